//! The index as a file: a magic word, a version, varints and differences, and a checksum over all of it.
//!
//! What follows from the rest is not written: formats are parsed again out of the parameter sets, ends of units and
//! the reordering are derived. A picture takes about 8 bytes, a sound frame about 4.

mod reader;
mod writer;

use super::FrameIndex;
use crate::base::error::Kind;
use crate::base::{Error, Result};
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: [u8; 4] = *b"MVFI";
/// Counts up with every change of the format, or of what `build` puts in it; other versions are built anew.
const VERSION: u8 = 3;
const CHECK_BYTES: usize = 8;

/// Bits of a unit's first byte above its class (3) and type (2).
mod bit {
    pub const REFERENCE: u8 = 0x20;
    pub const SAME_STEP: u8 = 0x40;
    pub const MORE: u8 = 0x80;
    // Of the second.
    pub const SECOND_FIELD: u8 = 0x01;
    pub const ESTIMATED: u8 = 0x02;
    pub const DAMAGED: u8 = 0x04;
    pub const SKIP: u8 = 0x08;
    pub const STATE: u8 = 0x10;
    pub const SETS: u8 = 0x20;
    // Of a sound frame.
    pub const AS_RECKONED: u8 = 0x01;
    pub const SAME_SAMPLES: u8 = 0x02;
    pub const AT_PES: u8 = 0x04;
}

/// Distances in packets are told in the upper 5 bits of a sound frame's first byte; this one says that they follow.
const FAR: u64 = 31;

impl FrameIndex {
    /// The index as bytes.
    pub fn encode(&self) -> Vec<u8> {
        seal(writer::write([&MAGIC[..], &[VERSION]].concat(), self))
    }

    /// Any bytes in the place of an index, with a magic word, version and checksum that fit: for fuzzing.
    #[doc(hidden)]
    pub fn sealed(body: &[u8]) -> Vec<u8> {
        seal([&MAGIC[..], &[VERSION], body].concat())
    }

    /// Reads an index. Anything but what [`FrameIndex::encode`] writes in this version is
    /// [`Kind::Damaged`]; memory is bounded by a multiple of the input's length.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let damaged =
            || Error::new(Kind::Damaged, "damaged-index", "the frame index is damaged or of another version");
        let (content, check) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or_else(damaged)?;
        let body =
            content.strip_prefix(&MAGIC).and_then(|it| it.strip_prefix(&[VERSION])).ok_or_else(damaged)?;
        if xxh3_64(content) != u64::from_le_bytes(*check) {
            return Err(damaged());
        }
        reader::read(body).ok_or_else(damaged)
    }
}

fn seal(mut content: Vec<u8>) -> Vec<u8> {
    let check = xxh3_64(&content);
    content.extend_from_slice(&check.to_le_bytes());
    content
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// `value`, shorter when it is a multiple of `step`.
fn fold(value: i64, step: i64) -> u64 {
    if step > 0 && value % step == 0 { zigzag(value / step) << 1 | 1 } else { zigzag(value) << 1 }
}

fn unfold(value: u64, step: i64) -> Option<i64> {
    let it = unzigzag(value >> 1);
    if value & 1 == 1 { it.checked_mul(step) } else { Some(it) }
}

const PACKET: i64 = crate::media::ts::PACKET_BYTES as i64;

/// PTS of sound frames by samples since the last that was told.
struct Reckoning {
    rate: u64,
    pts: i64,
    samples: u64,
}

impl Reckoning {
    fn new(rate: u32) -> Self {
        Self { rate: u64::from(rate.max(1)), pts: 0, samples: 0 }
    }

    fn next(&self) -> i64 {
        self.pts.wrapping_add(
            (self.samples.saturating_mul(90_000).saturating_add(self.rate / 2) / self.rate) as i64,
        )
    }

    fn told(&mut self, pts: i64) {
        (self.pts, self.samples) = (pts, 0);
    }
}

/// What units are written as differences to.
#[derive(Default, Clone, Copy)]
struct Before {
    dts: i64,
    offset: u64,
    state: u16,
}
