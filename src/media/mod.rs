//! libav, and nothing about channels, queues or HTTP. It is given clips, a token and a sink.

mod colour;
pub mod cut;
mod ffi;
pub mod file;
pub mod frame;
pub mod gop;
pub mod index;
pub mod live;
pub mod loudness;
pub mod matroska;
pub mod mp4;
pub mod nal;
pub mod pcm;
pub mod peaks;
pub mod picture;
pub mod probe;
pub mod record;
mod reservoir;
pub mod scenes;
mod sound;
mod source;
pub mod synthetic;
pub mod tile;
pub mod timeline;
pub mod ts;
pub mod turn;
pub mod waveform;

pub use ffi::{give_back, share_heaps};

use crate::base::{Result, Timestamp};
use bytes::Bytes;
use std::path::PathBuf;

/// One file of media on the wall clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clip {
    pub path: PathBuf,
    /// The wall time of its first video frame (smallest PTS).
    pub start: Timestamp,
    /// How long it claims to last, in microseconds.
    pub duration: i64,
    /// False where the file may stop early (suspect and partial segments): a decode error near its end is expected.
    pub whole: bool,
}

/// Where finished bytes go. A write that fails ends the work: the receiver is gone.
pub trait Sink {
    fn write(&mut self, bytes: Bytes) -> Result<()>;
}
