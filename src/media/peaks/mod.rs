//! Peaks: what is kept of sound so that it can be drawn without being decoded again. Pure, and safe Rust.
//!
//! Samples are counted on one clock for all time, from 1970 at the track's rate, and cut into blocks of [`BLOCK`] there:
//! block n holds the samples from 256·n on, whichever segment they came from. So spans that adjoin share no block and lose
//! none. Of each block there are the smallest and the largest sample, the mean of |x| and the root of the mean square, for
//! each channel and for their mean, folded by four again and again: a pyramid.
//!
//! A segment's first and last block hold what that segment has of them; its neighbours have the rest. Whoever reads joins
//! them, by minimum, maximum, and weighted by samples. Names of segments are cut off to the millisecond, so that two parts
//! of a block may overlap or miss a few samples there: the block is right nonetheless, and nothing drifts, since every
//! segment is placed by its own name. What nobody has samples of is a hole and not silence.

pub mod audiowaveform;
mod block;
mod columns;
mod decimals;
mod extremes;
mod format;
mod pixels;
mod pyramid;
mod silence;

pub use columns::{Column, Columns};
pub use decimals::Decimals;
pub use extremes::Extremes;
pub use format::{Part, View};
pub use pixels::{FilePixels, Pixels, SharedPixels, pixels_of};
pub use pyramid::{Builder, Pyramid};
pub use silence::{Silence, Stretches};

pub use super::sound::SoundFormat;

/// Samples of the smallest block.
pub const BLOCK: i64 = 256;

/// Sizes of blocks: 256, 1024, 4096, 16384 and 65536 samples.
pub const LEVELS: usize = 5;

/// The level after the last: all samples of a run, however many.
pub const WHOLE: usize = LEVELS;

/// Channels that are kept one by one; the mean is of all there are.
pub const MAX_CHANNELS: usize = 8;

/// Samples in a block of a level.
pub const fn block_samples(level: usize) -> i64 {
    BLOCK << (2 * level)
}

/// The number of the block that a sample lies in, at a level. Every answer asks for each of its segments, which a division
/// would make slow.
const fn block_of(sample: i64, level: usize) -> i64 {
    sample >> (BLOCK.trailing_zeros() as usize + 2 * level)
}

/// What is kept of some samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Peak {
    pub min: i16,
    pub max: i16,
    /// Mean of |x|, in 65536ths of full scale.
    pub mean: u16,
    /// Root of the mean square, in 65536ths of full scale.
    pub rms: u16,
}

/// Which sound is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Track {
    /// The mean of all channels: their sum divided by their count, cut off towards zero.
    Mix,
    /// One of them, from 0.
    Channel(usize),
}
