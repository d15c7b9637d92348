//! Names that came from outside, checked once. A value of these types is one visible path component, so a
//! path joined from them cannot leave the archive.

use crate::base::error::{Error, Kind, Result};
use crate::base::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest component most file systems take, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// One visible path component: not empty, no leading period, no slash, backslash or control character, at
/// most [`MAX_NAME_BYTES`] long.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<str>);

impl Name {
    /// Checks `text`; `what` ("channel", "hour") names the parameter in the error.
    pub fn new(what: &'static str, text: &str) -> Result<Self> {
        let refuse = |code, why: &str| Err(Error::invalid(code, what, format!("Bad {what}: {why}")));
        if text.starts_with('.') {
            return Err(Error::new(
                Kind::Forbidden,
                "hidden-name",
                format!("Bad {what}: May not start with a period"),
            )
            .with_parameter(what));
        }
        if text.is_empty() {
            return refuse("empty-name", "May not be empty");
        }
        if text.len() > MAX_NAME_BYTES {
            return refuse("long-name", "May not be longer than 255 bytes");
        }
        if text.contains(['/', '\\']) || text.chars().any(char::is_control) {
            return refuse("bad-name", "May not contain a slash, a backslash or a control character");
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<std::path::Path> for Name {
    fn as_ref(&self) -> &std::path::Path {
        std::path::Path::new(&*self.0)
    }
}

macro_rules! named {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(Name);

        impl $type {
            pub fn new(text: &str) -> Result<Self> {
                Name::new($what, text).map(Self)
            }

            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl AsRef<std::path::Path> for $type {
            fn as_ref(&self) -> &std::path::Path {
                self.0.as_ref()
            }
        }
    };
}

named! {
    /// A channel: the first level of the archive.
    Channel, "channel"
}
named! {
    /// A quality of a channel: the second level of the archive.
    Quality, "quality"
}

named! {
    /// A job: work that outlives the request that asked for it.
    JobId, "job"
}

named! {
    /// A stream: a live source that is followed.
    StreamId, "stream"
}

named! {
    /// A recording: a clip of a stream in a file of its own.
    RecordingId, "recording"
}

impl RecordingId {
    /// A new one, as [`JobId::next`] makes them.
    pub fn next(now: Timestamp) -> Self {
        Self(JobId::next(now).0)
    }
}

impl JobId {
    /// A new one. Those of one process differ by their count, those of another by their time.
    pub fn next(now: Timestamp) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(Name(format!("{:x}-{count:x}", now.micros()).into()))
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_is_one_visible_component() {
        for good in ["chan", "720p", "ch an", "näme", "a..b", "-", &"x".repeat(255)] {
            assert_eq!(Channel::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn refuses_what_could_leave_the_archive_or_hide_in_it() {
        for (bad, kind) in [
            ("", Kind::Invalid),
            (".", Kind::Forbidden),
            ("..", Kind::Forbidden),
            (".hidden", Kind::Forbidden),
            ("a/b", Kind::Invalid),
            ("/etc", Kind::Invalid),
            ("a\\b", Kind::Invalid),
            ("a\0b", Kind::Invalid),
            ("a\nb", Kind::Invalid),
        ] {
            assert_eq!(Quality::new(bad).unwrap_err().kind, kind, "{bad:?}");
        }
        assert_eq!(Quality::new(&"x".repeat(256)).unwrap_err().code, "long-name");
    }
}
