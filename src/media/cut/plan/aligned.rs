//! Cuts that encode nothing: from the closed keyframe at or before the start to the one at or after the end.

use super::super::sound::SoundFit;
use super::{Candidate, Joins, RangePlan, Source, arrange, candidates, check_sources, follow};
use crate::base::{Error, Kind, Result, Span};
use std::ops::Range;

/// Where a span reaches out to a closed keyframe that its sources do not hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lacks {
    /// Sources before the first are needed.
    pub before: bool,
    /// Sources after the last are needed.
    pub after: bool,
}

/// Plans the whole groups of pictures that hold `span`, to come out at output tick `at` (see [`super::plan`]). Damaged
/// pictures and those after them, up to the next closed keyframe, are left out; what comes before the first closed
/// keyframe after a hole, too.
///
/// # Errors
/// Those of [`super::plan`]; `no-keyframe` when a stretch without a hole has no closed keyframe.
pub fn plan_aligned(
    sources: &[Source<'_>],
    span: Span,
    at: i64,
    sound_at: &[Option<i64>],
    fit: SoundFit,
) -> Result<RangePlan> {
    check_sources(sources)?;
    let (mut all, shifts) = candidates(sources, span, &Joins { only_certain: true, ..Joins::default() })?;
    for stretch in chunks(sources, &all) {
        align(sources, &mut all[stretch])?;
    }
    let plan = arrange(sources, span, (all, shifts), at, (sound_at, fit), false)?;
    if plan.encoded > 0 {
        return Err(Error::internal("a cut of whole groups of pictures encodes"));
    }
    Ok(plan)
}

/// Whether the sources reach far enough to either side.
pub fn lacks(sources: &[Source<'_>], span: Span) -> Result<Lacks> {
    check_sources(sources)?;
    let (mut all, _) = candidates(sources, span, &Joins { only_certain: true, ..Joins::default() })?;
    let chunks = chunks(sources, &all);
    let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { return Ok(Lacks::default()) };
    let mut lacks = Lacks::default();
    if let Some((reach, _)) = reach(sources, &mut all[first.clone()]) {
        lacks.before = reach.start.is_none();
    }
    if let Some((reach, _)) = reach(sources, &mut all[last.clone()]) {
        lacks.after = reach.end.is_none();
    }
    Ok(lacks)
}

/// The pictures between holes, as places in the list.
fn chunks(sources: &[Source<'_>], all: &[Candidate]) -> Vec<Range<usize>> {
    let mut at = 0;
    all.chunk_by(|a, b| follow(sources, a, b))
        .map(|stretch| {
            at += stretch.len();
            at - stretch.len()..at
        })
        .collect()
}

/// The closed keyframes around what is wanted, as places in decoding order.
struct Reach {
    start: Option<usize>,
    end: Option<usize>,
}

/// The keyframes around the wanted pictures, and the first keyframe there is; `None` where nothing is wanted.
fn reach(sources: &[Source<'_>], all: &mut [Candidate]) -> Option<(Reach, Option<usize>)> {
    for it in &mut *all {
        let source = &sources[it.place.source];
        let units = source.index.video.as_ref().map_or(&[][..], |track| &track.units);
        // Of a segment that stops early, nobody says how much of its last picture is there.
        let there = source.whole || it.place.unit + 1 < units.len();
        it.copyable = there && units.get(it.place.unit).is_some_and(|unit| !unit.damaged);
    }
    let wanted = || all.iter().filter(|it| it.wanted && !it.second_field).map(|it| it.at);
    let (first, last) = (wanted().min()?, wanted().max()?);
    let keys = || (0..all.len()).filter(|it| all[*it].is_closed());
    let start = keys().rfind(|it| all[*it].at <= first);
    let end = keys().find(|it| all[*it].at > last);
    Some((Reach { start, end }, keys().next()))
}

/// Makes wanted what is copied of a stretch.
fn align(sources: &[Source<'_>], all: &mut [Candidate]) -> Result<()> {
    let Some((reach, first)) = reach(sources, all) else { return Ok(()) };
    let Some(start) = reach.start.or(first) else {
        let wall = all.first().and_then(|it| sources.get(it.place.source)).map(|source| source.wall);
        let since = wall.map_or(String::new(), |wall| format!(" after {wall}"));
        let detail = format!(
            "there is no closed keyframe to copy from in the segments{since}; ask for type=smart, which encodes edges"
        );
        return Err(Error::new(Kind::Unsupported, "no-keyframe", detail).with_parameter("type"));
    };
    let end = reach.end.filter(|end| *end > start).unwrap_or(all.len());
    let mut intact = false;
    for (at, it) in all.iter_mut().enumerate() {
        intact = it.copyable && (intact || it.is_closed());
        it.wanted = intact && (start..end).contains(&at);
    }
    Ok(())
}
