//! What follows what in a cut: ranges as far as there is something, what fills their holes, and the transitions
//! between them. Pure.

use super::Holes;
use super::plan::{Place, Source, frame_ticks, video};
use crate::base::time::{ROUNDING_MICROS, SECOND, TimeBase};
use crate::base::{Error, Result, Span, Timestamp};
use std::ops::Range;

/// Pictures of a range without a hole between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The sources they are drawn from.
    pub sources: Range<usize>,
    pub pictures: u64,
    /// When the first is shown, and when the last one ends.
    pub span: Span,
    /// How long a picture usually lasts, in ticks of 90 kHz.
    pub frame: i64,
    /// When the first ones are shown: those a transition may take, and one more.
    head: Vec<Timestamp>,
    /// When the last ones are shown: those a transition may take.
    tail: Vec<Timestamp>,
}

/// A range with what there is of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Available {
    pub span: Span,
    /// In order; none is empty.
    pub runs: Vec<Run>,
}

/// Pictures of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    pub range: usize,
    pub run: usize,
    /// Holds the starts of the pictures taken, and no others.
    pub span: Span,
    pub pictures: u64,
}

/// A part of the cut, in output order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Pictures of the source.
    Range(Taken),
    /// A hole.
    Hole {
        range: usize,
        /// What is missing.
        missing: Span,
        /// The run whose format the filling has: the one before the hole, or the one after where there is none.
        run: usize,
        /// The run lies before the hole.
        after: bool,
        /// Pictures that fill it, and how long they last in ticks of 90 kHz; none where it is passed over.
        pictures: u64,
        ticks: i64,
    },
    /// Pictures of two ranges seen together: as many as the left one has.
    Mix { transition: usize, left: Taken, right: Taken },
}

/// What the pictures of `sources`, between which nothing is missing, have of `span`; `head` and `tail` are how long the
/// transitions before and after it may take, in microseconds. `None` when no picture lies in the span.
pub fn run(
    sources: &[Source<'_>],
    place: Range<usize>,
    span: Span,
    (head, tail): (i64, i64),
) -> Result<Option<Run>> {
    let mut starts = Vec::new();
    let (mut frame, mut end, mut inner_pictures) = (0, None, 0);
    for source in &sources[place.clone()] {
        if let (Some(inner), Some(anchor)) = (source.inner, source.anchor()) {
            // Its first pictures and its last lie farther inside than a transition reaches.
            inner_pictures += inner.pictures;
            end = end.max(Some(anchor.wall_of(inner.last + inner.frame)));
            continue;
        }
        let track = video(source)?;
        let Some(anchor) = source.anchor() else { continue };
        frame = frame_ticks(track);
        let shown = track.units.iter().filter(|unit| !unit.second_field && anchor.is_inside(unit.pts, span));
        for unit in shown {
            starts.push(anchor.wall_of(unit.pts));
            end = end.max(Some(anchor.wall_of(unit.pts + frame)));
        }
    }
    starts.sort_unstable();
    let (Some(first), Some(end)) = (starts.first().copied(), end) else { return Ok(None) };
    let micros = TimeBase::MPEG.micros(frame);
    // One more than a transition can want: rounding, and the border.
    let count_head = starts.iter().take_while(|it| **it - first <= head + micros).count() + 1;
    let count_tail = starts.iter().rev().take_while(|it| end - **it <= tail + micros).count();
    Ok(Some(Run {
        sources: place,
        pictures: starts.len() as u64 + inner_pictures,
        span: Span::new(first, end),
        frame,
        head: starts[..count_head.min(starts.len())].to_vec(),
        tail: starts[starts.len() - count_tail..].to_vec(),
    }))
}

/// The picture of a span that is shown first, or last.
pub fn outermost(sources: &[Source<'_>], span: Span, last: bool) -> Option<Place> {
    let shown = |source: usize| {
        let (track, anchor) = (sources[source].index.video.as_ref()?, sources[source].anchor()?);
        let units = track.units.iter().enumerate();
        let inside = units.filter(|(_, unit)| !unit.second_field && anchor.is_inside(unit.pts, span));
        let chosen = if last { inside.max_by_key(|it| it.1.pts) } else { inside.min_by_key(|it| it.1.pts) };
        chosen.map(|(unit, _)| Place { source, unit })
    };
    let mut sources = 0..sources.len();
    if last { sources.rev().find_map(shown) } else { sources.find_map(shown) }
}

/// Lays out a cut of `ranges`; `transitions` holds, for each range and the next, how long both are seen together in
/// microseconds, `None` for a hard cut.
///
/// # Errors
/// `transition-too-long` when a range has fewer pictures without a hole at that end than its transitions take.
pub fn sequence(ranges: &[Available], transitions: &[Option<i64>], holes: Holes) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let transition = |number: Option<usize>| number.and_then(|it| transitions.get(it).copied().flatten());
    // What the transition at hand took of the range before.
    let mut left: Option<Taken> = None;
    for (number, range) in ranges.iter().enumerate() {
        let (before, after) = (transition(number.checked_sub(1)), transition(Some(number)));
        let after = after.filter(|_| number + 1 < ranges.len());
        let gaps = gaps(range, holes);
        // The sources of a run end with it, so that its span may reach as far as the range does.
        let mut spans: Vec<(Span, u64)> = range.runs.iter().map(|run| (range.span, run.pictures)).collect();
        let mut took = 0;
        if let (Some(micros), Some(run)) = (before, range.runs.first()) {
            let held = gaps.iter().any(|gap| gap.before == Some(0) && gap.pictures > 0);
            let count = if held { 0 } else { run.first(micros) };
            let end = usize::try_from(count).ok().and_then(|it| run.head.get(it).copied());
            let end = end.unwrap_or(range.span.end);
            if count == 0 {
                let have = if held { 0 } else { run.pictures as i64 * run.frame };
                return Err(too_long(number, micros, number - 1, have, "at its start"));
            }
            let right =
                Taken { range: number, run: 0, span: Span::new(range.span.start, end), pictures: count };
            (spans[0], took) = ((Span::new(end, range.span.end), run.pictures - count), count);
            if let Some(left) = left.take() {
                items.push(Item::Mix { transition: number - 1, left, right });
            }
        }
        let last = range.runs.len().saturating_sub(1);
        let mut trail = None;
        if let (Some(micros), Some(run)) = (after, range.runs.last()) {
            let held = gaps.iter().any(|gap| gap.before.is_none() && gap.pictures > 0);
            let free = if held { 0 } else { run.pictures - if last == 0 { took } else { 0 } };
            let count = run.last(micros);
            if count > free || free == 0 {
                let (have, place) = (
                    free as i64 * run.frame,
                    if took > 0 && last == 0 { "left at its end" } else { "at its end" },
                );
                return Err(too_long(number, micros, number, have, place));
            }
            let start = run.tail[run.tail.len() - count as usize];
            trail = Some(Taken {
                range: number,
                run: last,
                span: Span::new(start, range.span.end),
                pictures: count,
            });
            spans[last] = (Span::new(spans[last].0.start, start), spans[last].1 - count);
        }
        for (run, (span, pictures)) in spans.into_iter().enumerate() {
            items
                .extend(gaps.iter().filter(|gap| gap.before == Some(run)).map(|gap| gap.item(number, range)));
            if pictures > 0 {
                items.push(Item::Range(Taken { range: number, run, span, pictures }));
            }
        }
        items.extend(gaps.iter().filter(|gap| gap.before.is_none()).map(|gap| gap.item(number, range)));
        left = trail;
    }
    Ok(items)
}

impl Run {
    /// How many pictures at the start last `micros`, as near as can be; 0 when there are not so many.
    fn first(&self, micros: i64) -> u64 {
        let half = TimeBase::MPEG.micros(self.frame) / 2;
        if self.span.micros() + half < micros {
            return 0;
        }
        let count = self.head.iter().take_while(|it| **it - self.span.start < micros - half).count();
        (count as u64).clamp(1, self.pictures)
    }

    /// How many pictures at the end last `micros`; more than there are when they do not.
    fn last(&self, micros: i64) -> u64 {
        let half = TimeBase::MPEG.micros(self.frame) / 2;
        if self.span.micros() + half < micros {
            return u64::MAX;
        }
        let count = self.tail.iter().rev().take_while(|it| self.span.end - **it <= micros + half).count();
        (count as u64).clamp(1, self.pictures)
    }
}

/// What is missing before a run, or after the last.
struct Gap {
    before: Option<usize>,
    missing: Span,
    ticks: i64,
    pictures: u64,
}

impl Gap {
    fn item(&self, range: usize, available: &Available) -> Item {
        let after = self.before != Some(0);
        let run = match self.before {
            Some(run) => run.saturating_sub(1),
            None => available.runs.len() - 1,
        };
        Item::Hole { range, missing: self.missing, run, after, pictures: self.pictures, ticks: self.ticks }
    }
}

/// How far the end of a span may lie behind the last picture's end before something is missing: archives join segments
/// over as much. 10 ms.
const SLACK: i64 = 900;

/// The holes of a range, filled by pictures on the grid of the source.
fn gaps(range: &Available, holes: Holes) -> Vec<Gap> {
    let (Some(first), Some(last)) = (range.runs.first(), range.runs.last()) else { return Vec::new() };
    let ticks = |from: Timestamp, to: Timestamp| TimeBase::MICROS.rescale(to - from, TimeBase::MPEG);
    let mut gaps = Vec::new();
    let mut add = |before, missing: Span, count: i64, ticks: i64| {
        let filled = matches!(holes, Holes::Freeze | Holes::Black) && count > 0;
        let (pictures, ticks) = if filled { (count as u64, ticks) } else { (0, 0) };
        gaps.push(Gap { before, missing, ticks, pictures });
    };
    // At the ends only whole pictures count, since a span begins and ends anywhere in one.
    let (lead, frame) = (ticks(range.span.start, first.span.start), first.frame.max(1));
    let count = (lead + TimeBase::MICROS.rescale(ROUNDING_MICROS, TimeBase::MPEG)).div_euclid(frame);
    if count > 0 {
        add(Some(0), Span::new(range.span.start, first.span.start), count, count * frame);
    }
    for (number, pair) in range.runs.windows(2).enumerate() {
        let (from, to) = (pair[0].span.end, pair[1].span.start.max(pair[0].span.end));
        let (length, frame) = (ticks(from, to), pair[0].frame.max(1));
        add(Some(number + 1), Span::new(from, to), (length + frame / 2) / frame, length);
    }
    let (trail, frame) = (ticks(last.span.end, range.span.end), last.frame.max(1));
    let count = (trail - SLACK + frame - 1).div_euclid(frame);
    if count > 0 {
        add(None, Span::new(last.span.end, range.span.end), count, count * frame);
    }
    gaps
}

fn too_long(range: usize, micros: i64, transition: usize, have: i64, place: &str) -> Error {
    let seconds = |micros: i64| micros as f64 / SECOND as f64;
    let detail = format!(
        "transition {} takes {} seconds, but range {} has {:.3} seconds without a hole {place}",
        transition + 1,
        seconds(micros),
        range + 1,
        seconds(TimeBase::MPEG.micros(have)),
    );
    Error::invalid("transition-too-long", "transition", detail)
}

#[cfg(test)]
mod tests;
