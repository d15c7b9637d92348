//! Words everyone may say: identifiers, time, kinds of error, cancellation, metrics.
//!
//! Nothing here opens a file, knows a codec or speaks HTTP.

pub mod cancel;
pub mod error;
pub mod id;
pub mod metrics;
pub mod time;
pub mod units;

pub use cancel::Token;
pub use error::{Error, Kind, Result};
pub use id::{Channel, JobId, Name, Quality, RecordingId, StreamId};
pub use time::{Hour, Span, Timestamp};
