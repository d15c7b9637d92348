//! Opening what libav reaches by an address, so that a stop, a deadline or a host that may not be asked ends any call.

use super::{Options, c_string, ffi};
use crate::base::{Error, Kind, Result, Token};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Says whether libav may open an address on its own: a playlist's segment, a redirection's target.
pub type Allow = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// What to open.
pub struct Remote<'a> {
    pub url: &'a str,
    /// libav's name of the container when it is known: skips guessing.
    pub format: Option<&'a str>,
    /// Of protocols and demuxers, by libav's names. Those nobody knows are ignored: they differ by protocol.
    pub options: &'a [(&'static str, String)],
    /// Those of `options` that must not be ignored.
    pub required: &'a [&'a str],
    /// libav's names of the protocols and containers that may be used, with commas.
    pub protocols: &'a str,
    pub formats: &'a str,
    pub allow: Allow,
    /// Whether H.264 with these parameter sets is known to be shown in the order it is sent.
    pub in_order: fn(&[u8]) -> bool,
    /// How long connecting may take, and understanding what comes after it.
    pub connect: Duration,
    pub understand: Duration,
}

/// The callback libav writes this context's `io_open` with.
type IoOpen = unsafe extern "C" fn(
    *mut ffi::AVFormatContext,
    *mut *mut ffi::AVIOContext,
    *const c_char,
    c_int,
    *mut *mut ffi::AVDictionary,
) -> c_int;

/// What libav's callbacks look at. Some protocols ask from threads of their own.
pub(super) struct Watch {
    token: Token,
    began: Instant,
    /// Microseconds after `began`; `i64::MAX` for none.
    deadline: AtomicI64,
    allow: Option<Allow>,
    open: Option<IoOpen>,
    refused: std::sync::atomic::AtomicBool,
}

impl Watch {
    pub(super) fn new(token: &Token, allow: Option<Allow>) -> Box<Self> {
        Box::new(Self {
            token: token.clone(),
            began: Instant::now(),
            deadline: AtomicI64::new(i64::MAX),
            allow,
            open: None,
            refused: false.into(),
        })
    }

    /// Calls end with `deadline` when `at` has passed.
    pub(super) fn limit(&self, at: Option<Instant>) {
        let micros = at.map(|at| at.saturating_duration_since(self.began).as_micros());
        let micros = micros.map_or(i64::MAX, |it| i64::try_from(it).unwrap_or(i64::MAX));
        self.deadline.store(micros, Ordering::Release);
    }

    fn is_late(&self) -> bool {
        let deadline = self.deadline.load(Ordering::Acquire);
        deadline != i64::MAX && self.began.elapsed().as_micros() as i64 >= deadline
    }

    /// Why a call ended, where that was our doing and not the network's.
    pub(super) fn verdict(&self) -> Option<Error> {
        if let Err(stop) = self.token.check() {
            return Some(stop);
        }
        if self.refused.load(Ordering::Acquire) {
            let detail = "the source leads to an address that may not be opened";
            return Some(Error::new(Kind::Forbidden, "not-allowed", detail));
        }
        self.is_late()
            .then(|| Error::new(Kind::Deadline, "timeout", "nothing came from the source within its time"))
    }

    /// Makes the context ask this watch. The watch has to outlive the context.
    ///
    /// # Safety
    /// `context` is allocated, not yet open, and closed before `self` is dropped.
    pub(super) unsafe fn attach(&mut self, context: *mut ffi::AVFormatContext) {
        // SAFETY: the caller's promise; fields libav documents for callers are set before opening.
        unsafe {
            self.open = (*context).io_open;
            let opaque = std::ptr::from_mut(self).cast::<c_void>();
            (*context).interrupt_callback.callback = Some(interrupt);
            (*context).interrupt_callback.opaque = opaque;
            if self.allow.is_some() {
                (*context).opaque = opaque;
                (*context).io_open = Some(guarded_open);
            }
        }
    }

    fn allows(&self, url: &str) -> bool {
        let allowed = self.allow.as_ref().is_none_or(|allow| allow(url));
        if !allowed {
            self.refused.store(true, Ordering::Release);
        }
        allowed
    }
}

unsafe extern "C" fn interrupt(opaque: *mut c_void) -> c_int {
    // SAFETY: opaque is the Watch that outlives every context it was attached to; only shared access is made.
    let watch = unsafe { &*opaque.cast::<Watch>() };
    let stop = catch_unwind(AssertUnwindSafe(|| watch.token.is_cancelled() || watch.is_late()));
    c_int::from(stop.unwrap_or(true))
}

unsafe extern "C" fn guarded_open(
    context: *mut ffi::AVFormatContext,
    io: *mut *mut ffi::AVIOContext,
    url: *const c_char,
    flags: c_int,
    options: *mut *mut ffi::AVDictionary,
) -> c_int {
    const EACCES: c_int = 13;
    // SAFETY: `opaque` was set to the watch with this callback; libav gives a string that ends, and its own function
    // is called with its own arguments. `location` is a string libav allocates for us to free.
    unsafe {
        let watch = &*(*context).opaque.cast::<Watch>();
        let allowed = |url: *const c_char| {
            let url = CStr::from_ptr(url).to_string_lossy();
            catch_unwind(AssertUnwindSafe(|| watch.allows(&url))).unwrap_or(false)
        };
        let Some(open) = watch.open.filter(|_| !url.is_null() && allowed(url)) else {
            return ffi::AVERROR(EACCES);
        };
        let code = open(context, io, url, flags, options);
        if code < 0 || (*io).is_null() {
            return code;
        }
        // Where redirections led to.
        let mut location = std::ptr::null_mut();
        let search = ffi::AV_OPT_SEARCH_CHILDREN as c_int;
        let found = ffi::av_opt_get((*io).cast(), c"location".as_ptr(), search, &mut location);
        if found >= 0 && !location.is_null() {
            let fine = *location == 0 || allowed(location.cast());
            ffi::av_free(location.cast());
            if !fine {
                ffi::avio_closep(io);
                return ffi::AVERROR(EACCES);
            }
        }
        code
    }
}

/// Bytes and microseconds of media looked at before it is said what a source holds: a live source is to be on screen soon,
/// and a track that is named and never comes must not hold it up.
const PROBE: [(&str, &str); 3] =
    [("probesize", "2000000"), ("analyzeduration", "1000000"), ("fpsprobesize", "0")];

/// libav's options to open `remote` with.
pub(super) fn options(remote: &Remote<'_>) -> Result<Options> {
    let mut pairs: Vec<(&str, &str)> = PROBE.to_vec();
    pairs.push(("protocol_whitelist", remote.protocols));
    pairs.push(("format_whitelist", remote.formats));
    pairs.extend(remote.options.iter().map(|(key, value)| (*key, value.as_str())));
    Options::new(&pairs)
}

/// The same, for what is read through a reader of ours.
pub(super) fn probing() -> Result<Options> {
    Options::new(&[PROBE.as_slice(), &[("protocol_whitelist", "")]].concat())
}

pub(super) fn format(name: Option<&str>) -> Result<*const ffi::AVInputFormat> {
    let Some(name) = name else { return Ok(std::ptr::null()) };
    let name = c_string(name)?;
    // SAFETY: looks a constant up by a string that lives during the call.
    Ok(unsafe { ffi::av_find_input_format(name.as_ptr()) })
}

/// What a libav code means to somebody who follows a source: a stable word, and a sentence.
pub(super) fn told(code: c_int) -> (&'static str, &'static str) {
    const REFUSED: c_int = -111;
    const UNREACHABLE: [c_int; 3] = [-113, -101, -100];
    const TIMED_OUT: c_int = -110;
    const RESET: [c_int; 4] = [-104, -103, -32, -107];
    const IN_USE: [c_int; 2] = [-98, -99];
    match code {
        ffi::AVERROR_EOF => ("ended", "the source ended"),
        ffi::AVERROR_HTTP_UNAUTHORIZED => ("auth-failed", "the source refuses the credentials"),
        ffi::AVERROR_HTTP_FORBIDDEN => ("forbidden", "the source does not allow this"),
        ffi::AVERROR_HTTP_NOT_FOUND => ("not-found", "there is no such source at its host"),
        ffi::AVERROR_HTTP_BAD_REQUEST => ("bad-request", "the source's host does not understand the address"),
        ffi::AVERROR_HTTP_TOO_MANY_REQUESTS => ("busy", "the source's host is asked too often"),
        ffi::AVERROR_HTTP_OTHER_4XX => ("bad-request", "the source's host refuses the address"),
        ffi::AVERROR_HTTP_SERVER_ERROR => ("server-error", "the source's host has a fault of its own"),
        ffi::AVERROR_INVALIDDATA => ("invalid-data", "what came is no media that is understood"),
        ffi::AVERROR_PROTOCOL_NOT_FOUND => ("unsupported", "this build of libav does not speak the protocol"),
        ffi::AVERROR_DEMUXER_NOT_FOUND => ("unsupported", "this build of libav does not read the container"),
        ffi::AVERROR_EXIT => ("cancelled", "the source was left"),
        REFUSED => ("refused", "the source's host refuses the connection"),
        TIMED_OUT => ("timeout", "the source's host did not answer in time"),
        _ if UNREACHABLE.contains(&code) => ("unreachable", "there is no way to the source's host"),
        _ if RESET.contains(&code) => ("reset", "the source's host closed the connection"),
        _ if IN_USE.contains(&code) => ("in-use", "the address to listen on is taken or not of this machine"),
        _ => ("broken", "the source failed"),
    }
}

/// A read that failed so may be tried again.
pub(super) fn passes(code: c_int) -> bool {
    code == ffi::AVERROR_INVALIDDATA || code == ffi::AVERROR(super::EAGAIN)
}

/// The error of a code; its `code` is the stable word.
pub(super) fn failure(code: c_int) -> Error {
    let (word, detail) = told(code);
    Error::new(Kind::Damaged, word, detail).with_cause(ffmpeg_next::Error::from(code))
}
