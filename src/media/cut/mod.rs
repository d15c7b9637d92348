//! Cuts of many clips into one stream.

pub mod edge;
pub mod filling;
mod full;
pub mod mix;
pub mod plan;
mod reader;
pub mod sequence;
pub mod sound;
pub mod transition;
mod web;

pub(super) use edge::with_sets;
pub use full::{FullCut, full};
pub(super) use reader::codec_id;

use super::Clip;
use super::source::{ClipReader, Entry, Want};
use crate::base::{Result, Token};

/// What a cut is made from: runs of clips without anything missing inside a run, and a hole between two runs.
#[derive(Debug, Clone, Default)]
pub struct CutSource {
    /// The clip the first one continues, where the archive has it: its last pictures may be needed to decode the first
    /// wanted one, and its last sound belongs to the first picture.
    pub before: Option<Clip>,
    pub runs: Vec<Vec<Clip>>,
    /// The clip that continues the last one: its first sound belongs to the last picture.
    pub after: Option<Clip>,
    /// Nothing covers the start of the span, or its end.
    pub missing: (bool, bool),
    /// Where the one clip is a file of any kind and length: where it is read from.
    pub entry: Option<Entry>,
}

impl CutSource {
    fn open(&self, clip: &Clip, want: Want, token: &Token) -> Result<ClipReader> {
        match self.entry {
            Some(entry) => ClipReader::open_at(clip, entry, want, token),
            None => ClipReader::open(clip, want, token),
        }
    }
}

/// What becomes of a hole inside a range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Holes {
    /// The cut is refused.
    #[default]
    Refuse,
    /// What is there follows on without it.
    Skip,
    /// The last picture before it stays, without sound, as long as it lasts.
    Freeze,
    /// Black, without sound, as long as it lasts.
    Black,
}

/// How one range goes over into the next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Transition {
    /// A name of libavfilter's xfade, or one of our own.
    pub name: String,
    /// How long both ranges are seen, in microseconds.
    pub micros: i64,
}

/// What a cut is wrapped in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Container {
    /// MPEG-TS (H.222.0).
    #[default]
    TransportStream,
    /// ISO base media (ISO/IEC 14496-12 and -14).
    Mp4,
    /// Matroska (RFC 9559).
    Matroska,
    /// Matroska with VP8, VP9 or AV1, and Vorbis or Opus.
    WebM,
}

/// How a full cut is encoded.
#[derive(Debug, Clone)]
pub struct FullCutOptions {
    /// x264's preset.
    pub preset: String,
    /// x264's constant rate factor, 0 (lossless) to 51.
    pub crf: u8,
    /// Bits a second of the sound.
    pub audio_bit_rate: i64,
    pub encoder_threads: usize,
    /// WebM holds VP9 and Opus, all others H.264 and AAC.
    pub container: Container,
    /// libvpx's `cpu-used` with its realtime deadline, 5 (best) to 8 (fastest).
    pub vp9_speed: u8,
    /// libvpx's constant quality, 0 to 63.
    pub vp9_crf: u8,
}

/// What a cut turned out to be.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CutSummary {
    /// Pictures in the output.
    pub frames: u64,
    /// Pictures decoded to get them.
    pub decoded: u64,
    /// Audio samples in the output, per channel.
    pub samples: u64,
    /// From the first picture to the end of the last.
    pub seconds: f64,
}
