//! Plans and makes one range of a cut, until every join of it holds.

use super::prove::Proof;
use super::{Edge, EdgeMaker, EdgeSettings, Elementary, Sample};
use crate::base::{Result, Token};
use crate::media::cut::plan::{Joins, Part, RangePlan, Source};
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Doubtful places tried for one range. Sources either keep their word at all of them or hardly at any; then closed
/// keyframes alone count.
const TRIES: usize = 4;
/// Doubtful places where a decoder complains before the first of them is taken all the same: encoders that put away
/// references by name in a way that is not followed (fields, long-term references; see `mend.rs`) do so at every keyframe.
const COMPLAINTS: usize = 2;

/// What comes before a range in the output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Before {
    /// The last decoding time of a picture; `None` where nothing comes before.
    pub last_dts: Option<i64>,
    /// Of HEVC, the order counts of pictures that a decoder may still hold; see `order.rs`.
    pub orders: Vec<u32>,
}

/// A range with its parts made.
#[derive(Debug)]
pub struct MadeRange {
    pub plan: RangePlan,
    /// The output in order; the samples of parts that are not whole segments.
    pub parts: Vec<(Part, Vec<Sample>)>,
    /// Joins proved by decoding, and those that did not hold and were planned anew.
    pub proved: u64,
    pub refused: u64,
    /// What comes before the range after it.
    pub after: Before,
}

/// What a range is made from.
pub struct RangeMaker<'a> {
    pub sources: &'a [Source<'a>],
    pub elementary: &'a dyn Elementary,
    pub settings: &'a EdgeSettings,
    pub token: &'a Token,
    /// Calls the work it is given on this thread, and on up to so many others at once as it finds idle.
    pub at_once: &'a (dyn Fn(usize, &(dyn Fn() + Sync)) + Sync),
}

/// An edge that can be made without those before it.
struct Job {
    part: usize,
    pieces: Range<usize>,
    sources: Range<usize>,
    after: Option<i64>,
}

impl RangeMaker<'_> {
    /// Makes what `plan` plans with what is known of joins so far, behind `before`.
    ///
    /// # Errors
    /// Those of `plan`; `damaged-media` when a picture cannot be read or decoded.
    pub fn make(&self, plan: impl Fn(&Joins) -> Result<RangePlan>, before: &Before) -> Result<MadeRange> {
        let mut joins = Joins { opens_output: before.last_dts.is_none(), ..Joins::default() };
        let mut refused = 0;
        let mut complaints = Vec::new();
        loop {
            let plan = plan(&joins)?;
            let Self { sources, elementary, settings, token, .. } = *self;
            let lenient = joins.only.is_some();
            let maker = EdgeMaker { plan: &plan, sources, elementary, settings, token, lenient, before };
            let mut made = MadeRange {
                plan: plan.clone(),
                parts: Vec::new(),
                proved: 0,
                refused,
                after: before.clone(),
            };
            let mut failed = None;
            let parts = plan.parts();
            let mut edges = self.make_at_once(&maker, &parts, before.last_dts);
            for (part, edge) in parts.into_iter().zip(&mut edges) {
                let samples = match &part {
                    Part::Whole { source } => {
                        made.after.last_dts = self.last_dts(&plan, *source).or(made.after.last_dts);
                        Vec::new()
                    }
                    Part::Edge { pieces, sources } => {
                        let edge = match edge.take() {
                            Some(edge) => edge?,
                            None => maker.samples(pieces.clone(), sources.clone(), made.after.last_dts)?,
                        };
                        failed = edge.refused;
                        made.proved += edge.proved;
                        let pictures = edge.samples.iter().filter(|it| it.track == 0);
                        made.after.last_dts = pictures.map(|it| it.dts).max().or(made.after.last_dts);
                        edge.samples
                    }
                };
                if failed.is_some() {
                    break;
                }
                made.parts.push((part, samples));
            }
            let Some((place, proof)) = failed else {
                made.after.orders = maker.held(plan.pieces.len())?;
                return Ok(made);
            };
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

    /// The last decoding time of a whole segment. After inner segments follows one that is not.
    fn last_dts(&self, plan: &RangePlan, source: usize) -> Option<i64> {
        let units = self.sources[source].index.video.iter().flat_map(|it| &it.units);
        units.map(|it| it.dts + plan.shifts[source]).max()
    }

    /// The edges that can be made side by side, where there are several: whoever waits for the first byte waits for the
    /// dearest of them instead of all. Nothing for parts that are none, or have to wait for others.
    fn make_at_once(
        &self,
        maker: &EdgeMaker<'_>,
        parts: &[Part],
        after: Option<i64>,
    ) -> Vec<Option<Result<Edge>>> {
        let mut edges: Vec<Option<Result<Edge>>> = parts.iter().map(|_| None).collect();
        // The last decoding time before a part, as far as it can be told without making the parts before.
        let (mut jobs, mut before) = (Vec::new(), Some(after));
        for (number, part) in parts.iter().enumerate() {
            before = match part {
                Part::Whole { source } => self.last_dts(maker.plan, *source).map(Some).or(before),
                Part::Edge { pieces, sources } => {
                    let (pieces, sources) = (pieces.clone(), sources.clone());
                    jobs.extend(before.map(|after| Job { part: number, pieces, sources, after }));
                    None
                }
            };
        }
        if jobs.len() < 2 {
            return edges;
        }
        let (next, made) = (AtomicUsize::new(0), Mutex::new(&mut edges));
        (self.at_once)(jobs.len() - 1, &|| {
            while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let edge = maker.samples(job.pieces.clone(), job.sources.clone(), job.after);
                made.lock()[job.part] = Some(edge);
            }
        });
        edges
    }
}
