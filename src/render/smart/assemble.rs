//! What a container is given of a cut, in output order.

use super::file::Layout;
use crate::archive::Segment;
use crate::base::Result;
use crate::media::cut::edge::Sample;
use crate::media::cut::filling::{Filling, Stretch};
use crate::media::cut::plan::RangePlan;
use crate::media::cut::sound::Sound;
use crate::media::ts::{ProgramFacts, Rename};
use crate::render::index::SegmentIndex;
use std::ops::Range;
use std::sync::Arc;

/// A segment that goes into the cut whole, pictures and sound.
pub(super) struct Whole<'a> {
    pub segment: &'a Segment,
    pub index: &'a SegmentIndex,
    /// Output time = time in the segment + this, in ticks of 90 kHz.
    pub shift: i64,
    /// Its frames of sound, where the plan names them.
    pub sound: Vec<Sound>,
    /// Where it is sent under other PIDs than what came before: how it becomes the same program.
    pub rename: Option<Rename>,
}

/// Samples written anew, in the order of their decoding times.
pub(super) struct Made {
    pub samples: Vec<Sample>,
    /// The program of the source they stand beside.
    pub program: ProgramFacts,
    /// The PID of each track of the samples.
    pub pids: Vec<u16>,
}

/// The filling of a hole, over and over.
pub(super) struct Fill {
    pub filling: Filling,
    pub stretch: Stretch,
    /// The program of the source beside the hole, and the PID of each track.
    pub program: ProgramFacts,
    pub pids: Vec<u16>,
}

/// Pictures of a filling that are written at once: a minute at 30 a second, in memory while it is read.
const PART: u64 = 1_800;

impl Fill {
    /// The pictures of the hole in parts, in order.
    pub fn parts(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let pictures = self.stretch.pictures;
        (0..pictures.div_ceil(PART)).map(move |number| number * PART..((number + 1) * PART).min(pictures))
    }

    /// The samples of a part, with the silence beside them.
    pub fn made(&self, part: Range<u64>) -> Made {
        Made {
            samples: self.filling.samples(&self.stretch, part),
            program: self.program.clone(),
            pids: self.pids.clone(),
        }
    }
}

/// Lays a cut out as a file whose length and bytes are known before it is read. Called in output order.
pub(super) trait Assembler {
    /// A range, or a run of one without a hole, whose parts follow.
    fn range(&mut self, indexes: &[SegmentIndex], plan: &RangePlan) -> Result<()>;

    fn whole(&mut self, whole: Whole<'_>) -> Result<()>;

    fn made(&mut self, made: Made) -> Result<()>;

    /// What fills a hole. A container that can describe it holds no more than the filling, however long the hole is.
    fn fill(&mut self, fill: Arc<Fill>) -> Result<()> {
        fill.parts().try_for_each(|part| self.made(fill.made(part)))
    }

    /// Bytes held so far.
    fn held(&self) -> u64;

    fn finish(self: Box<Self>) -> Result<Layout>;
}
