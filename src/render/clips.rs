//! From what the archive has to what libav is given.

use crate::archive::{Archive, Item, Segment, SegmentKind, Selection, TOLERANCE};
use crate::base::{Result, Span};
use crate::media::Clip;
use crate::media::cut::CutSource;

pub(super) fn clip(archive: &Archive, segment: &Segment) -> Clip {
    Clip {
        path: archive.path_of(segment),
        start: segment.start(),
        duration: segment.duration(),
        whole: segment.kind() == SegmentKind::Full,
    }
}

/// The clip that `segment` continues without a hole.
pub(super) fn before(archive: &Archive, segment: &Segment) -> Result<Option<Clip>> {
    Ok(segment_before(archive, segment)?.map(|it| clip(archive, &it)))
}

/// The segment that `segment` continues without a hole.
pub(super) fn segment_before(archive: &Archive, segment: &Segment) -> Result<Option<Segment>> {
    let start = segment.start();
    let span = Span::new(start + -(TOLERANCE + 1), start);
    let selection = archive.select(segment.channel(), segment.quality(), span)?;
    // A partial segment before ends its run, whatever its name says of its length.
    let last =
        selection.segments().next_back().filter(|it| it.kind() == SegmentKind::Full && it.start() < start);
    let joins = |it: &&Segment| (it.end() - start).abs() <= TOLERANCE;
    Ok(last.filter(joins).cloned())
}

/// The segment that continues `segment` without a hole.
pub(super) fn segment_after(archive: &Archive, segment: &Segment) -> Result<Option<Segment>> {
    if segment.kind() != SegmentKind::Full {
        return Ok(None);
    }
    let end = segment.end();
    let span = Span::new(end + -TOLERANCE, end + (TOLERANCE + 1));
    let selection = archive.select(segment.channel(), segment.quality(), span)?;
    let next =
        selection.segments().find(|it| (it.start() - end).abs() <= TOLERANCE && it.start() > segment.start());
    Ok(next.cloned())
}

/// A selection as runs without holes, with the clips on either side.
pub(super) fn cut_source(archive: &Archive, selection: &Selection) -> Result<CutSource> {
    let mut runs: Vec<Vec<Clip>> = vec![Vec::new()];
    for item in &selection.items {
        match (item, runs.last_mut()) {
            (Item::Segment(segment), Some(run)) => run.push(clip(archive, segment)),
            (_, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
            _ => {}
        }
    }
    runs.retain(|run| !run.is_empty());
    let (first, last) = (selection.segments().next(), selection.segments().next_back());
    Ok(CutSource {
        before: first.map(|it| before(archive, it)).transpose()?.flatten(),
        runs,
        missing: (
            matches!(selection.items.first(), Some(Item::Hole(_))),
            matches!(selection.items.last(), Some(Item::Hole(_) | Item::Break(_))),
        ),
        entry: None,
        after: last.map(|it| segment_after(archive, it)).transpose()?.flatten().map(|it| clip(archive, &it)),
    })
}
