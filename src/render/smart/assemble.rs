//! What a container is given of a cut, in output order.

use super::file::Layout;
use crate::archive::Segment;
use crate::base::Result;
use crate::media::cut::edge::Sample;
use crate::media::ts::ProgramFacts;
use crate::render::index::SegmentIndex;

/// A segment that goes into the cut whole, pictures and sound.
pub(super) struct Whole<'a> {
    pub segment: &'a Segment,
    pub index: &'a SegmentIndex,
    /// Output time = time in the segment + this, in ticks of 90 kHz.
    pub shift: i64,
}

/// Samples written anew, in the order of their decoding times.
pub(super) struct Made {
    pub samples: Vec<Sample>,
    /// The program of the source they stand beside.
    pub program: ProgramFacts,
    /// The PID of each track of the samples.
    pub pids: Vec<u16>,
}

/// Lays a cut out as a file whose length and bytes are known before it is read. Called in output order.
pub(super) trait Assembler {
    fn whole(&mut self, whole: Whole<'_>) -> Result<()>;

    fn made(&mut self, made: Made) -> Result<()>;

    /// Bytes held so far.
    fn held(&self) -> u64;

    fn finish(self: Box<Self>) -> Result<Layout>;
}
