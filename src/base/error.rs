//! One closed set of error kinds. Folders below `http` say a [`Kind`]; `http::error` alone turns it into a
//! status. No foreign error type travels in here: what a library said is kept as text, for the log only.

use crate::base::time::Span;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, from the point of view of whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A parameter is malformed or out of its range.
    Invalid,
    /// The request brings something of another type than is taken.
    WrongType,
    /// The request brings more than is taken.
    TooLarge,
    /// What is asked for does not go with how things are now; asked again later it may.
    Conflict,
    /// None of the forms the asker takes is there.
    NotAcceptable,
    /// The name may not be asked for at all (it is hidden, or would leave the archive).
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// There was, and there never will be again.
    Gone,
    /// The archive has no unbroken content for what was asked.
    Holes,
    /// A segment is there but cannot be decoded.
    Damaged,
    /// The request is well formed, but this build or configuration does not do it.
    Unsupported,
    /// Every seat and queue place is taken; try again in a moment.
    Busy,
    /// The asker is gone or the server is stopping.
    Cancelled,
    /// The work did not finish within its deadline.
    Deadline,
    /// The disk or memory is full.
    Exhausted,
    /// A fault of the server.
    Internal,
}

/// An error on its way to whoever asked.
///
/// `detail` is for the asker and never holds a file-system path; `cause` is for the log alone.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{detail}")]
pub struct Error {
    pub kind: Kind,
    /// A stable word a program can match on, for example `invalid-timestamp`.
    pub code: &'static str,
    pub detail: String,
    /// The parameter at fault, where one is.
    pub parameter: Option<String>,
    /// The holes in what was asked, for [`Kind::Holes`].
    pub holes: Vec<Span>,
    /// What lies behind it, for the log.
    pub cause: Option<String>,
}

impl Error {
    pub fn new(kind: Kind, code: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, code, detail: detail.into(), parameter: None, holes: Vec::new(), cause: None }
    }

    /// A parameter that does not say what is wanted; `detail` tells what is allowed.
    pub fn invalid(code: &'static str, parameter: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { parameter: Some(parameter.into()), ..Self::new(Kind::Invalid, code, detail) }
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, "not-found", detail)
    }

    pub fn damaged(detail: impl Into<String>) -> Self {
        Self::new(Kind::Damaged, "damaged-media", detail)
    }

    pub fn cancelled() -> Self {
        Self::new(Kind::Cancelled, "cancelled", "the request was cancelled")
    }

    pub fn busy(detail: impl Into<String>) -> Self {
        Self::new(Kind::Busy, "busy", detail)
    }

    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(Kind::Internal, "internal", detail)
    }

    pub fn with_cause(mut self, cause: impl std::fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    pub fn with_holes(mut self, holes: Vec<Span>) -> Self {
        self.holes = holes;
        self
    }

    pub fn with_parameter(mut self, parameter: impl Into<String>) -> Self {
        self.parameter = Some(parameter.into());
        self
    }

    /// An input/output fault; the system's words go to the log, the asker gets `what`.
    pub fn io(what: &str, fault: &std::io::Error) -> Self {
        use std::io::ErrorKind::{NotFound, OutOfMemory, QuotaExceeded, StorageFull};
        let (kind, code) = match fault.kind() {
            // Requests at hand hold them, and give them back as they end.
            _ if out_of_files(fault) => (Kind::Busy, "busy"),
            NotFound => (Kind::NotFound, "not-found"),
            StorageFull | QuotaExceeded | OutOfMemory => (Kind::Exhausted, "storage-full"),
            _ => (Kind::Internal, "input-output"),
        };
        Self::new(kind, code, what).with_cause(fault)
    }
}

/// Every file descriptor of the process, or of the system, is taken.
fn out_of_files(fault: &std::io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(fault), Some(Errno::MFILE | Errno::NFILE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn a_fault_that_passes_is_no_fault_of_the_server() {
        for (errno, kind) in [
            (Errno::MFILE, Kind::Busy),
            (Errno::NFILE, Kind::Busy),
            (Errno::NOSPC, Kind::Exhausted),
            (Errno::NOENT, Kind::NotFound),
            (Errno::IO, Kind::Internal),
        ] {
            assert_eq!(Error::io("it failed", &errno.into()).kind, kind, "{errno}");
        }
    }
}
