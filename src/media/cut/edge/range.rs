//! Plans and makes one range of a cut, until every join of it holds.

use super::prove::Proof;
use super::{EdgeMaker, EdgeSettings, Elementary, Sample};
use crate::base::{Result, Token};
use crate::media::cut::plan::{Joins, Part, RangePlan, Source};

/// Doubtful places tried for one range. Sources either keep their word at all of them or hardly at any; then closed
/// keyframes alone count.
const TRIES: usize = 4;
/// Doubtful places where a decoder complains before the first of them is taken all the same: encoders that put away
/// references by name in a way that is not followed (fields, long-term references; see `mend.rs`) do so at every keyframe.
const COMPLAINTS: usize = 2;

/// A range with its parts made.
#[derive(Debug)]
pub struct MadeRange {
    pub plan: RangePlan,
    /// The output in order; the samples of parts that are not whole segments.
    pub parts: Vec<(Part, Vec<Sample>)>,
    /// Joins proved by decoding, and those that did not hold and were planned anew.
    pub proved: u64,
    pub refused: u64,
    /// The last decoding time of a picture.
    pub last_dts: Option<i64>,
}

/// What a range is made from.
pub struct RangeMaker<'a> {
    pub sources: &'a [Source<'a>],
    pub elementary: &'a dyn Elementary,
    pub settings: &'a EdgeSettings,
    pub token: &'a Token,
}

impl RangeMaker<'_> {
    /// Makes what `plan` plans with what is known of joins so far. `after` is the last decoding time of a picture before
    /// the range in the output; none opens it.
    ///
    /// # Errors
    /// Those of `plan`; `damaged-media` when a picture cannot be read or decoded.
    pub fn make(&self, plan: impl Fn(&Joins) -> Result<RangePlan>, after: Option<i64>) -> Result<MadeRange> {
        let mut joins = Joins { opens_output: after.is_none(), ..Joins::default() };
        let mut refused = 0;
        let mut complaints = Vec::new();
        loop {
            let plan = plan(&joins)?;
            let Self { sources, elementary, settings, token } = *self;
            let lenient = joins.only.is_some();
            let maker = EdgeMaker { plan: &plan, sources, elementary, settings, token, lenient };
            let mut made =
                MadeRange { plan: plan.clone(), parts: Vec::new(), proved: 0, refused, last_dts: after };
            let mut failed = None;
            for part in plan.parts() {
                let samples = match &part {
                    Part::Whole { source } => {
                        let units = self.sources[*source].index.video.iter().flat_map(|it| &it.units);
                        // After inner segments follows one that is not.
                        made.last_dts = units.map(|it| it.dts + plan.shifts[*source]).max().or(made.last_dts);
                        Vec::new()
                    }
                    Part::Edge { pieces, sources } => {
                        let edge = maker.samples(pieces.clone(), sources.clone(), made.last_dts)?;
                        failed = edge.refused;
                        made.proved += edge.proved;
                        let pictures = edge.samples.iter().filter(|it| it.track == 0);
                        made.last_dts = pictures.map(|it| it.dts).max().or(made.last_dts);
                        edge.samples
                    }
                };
                if failed.is_some() {
                    break;
                }
                made.parts.push((part, samples));
            }
            let Some((place, proof)) = failed else { return Ok(made) };
            refused += 1;
            joins.barred.insert(place);
            if proof == Proof::Complains {
                complaints.push(place);
            }
            let tried = joins.barred.len() >= TRIES || complaints.len() >= COMPLAINTS;
            // The place taken for want of a better one is proved in a new plan, once.
            joins.only_certain = joins.only.is_some() || tried && complaints.is_empty();
            joins.only = complaints.first().copied().filter(|_| tried && !joins.only_certain);
        }
    }
}
