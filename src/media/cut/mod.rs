//! Cuts of many clips into one stream.

pub mod edge;
mod full;
mod output;
pub mod plan;

pub use full::full;

use super::Clip;

/// What a cut is made from: runs of clips without anything missing inside a run, and a hole between two runs.
#[derive(Debug, Clone, Default)]
pub struct CutSource {
    /// The clip the first one continues, where the archive has it: its last pictures may be needed to decode the first
    /// wanted one, and its last sound belongs to the first picture.
    pub before: Option<Clip>,
    pub runs: Vec<Vec<Clip>>,
    /// The clip that continues the last one: its first sound belongs to the last picture.
    pub after: Option<Clip>,
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
}

/// What a cut turned out to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CutSummary {
    /// Pictures in the output.
    pub frames: u64,
    /// Pictures decoded to get them.
    pub decoded: u64,
    /// Audio samples in the output, per channel.
    pub samples: u64,
}
