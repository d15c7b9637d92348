//! From ranges on the wall clock to the segments they are drawn from.

use crate::archive::{Archive, Item, Segment, SegmentKind, Selection};
use crate::base::{Error, Kind, Result, Span, Token};
use crate::media::cut::Holes;
use crate::media::cut::edge::Elementary;
use crate::media::cut::plan::{self, Place, Source, Streak};
use crate::media::index::{ElementaryReader, FrameIndex};
use crate::media::ts::ProgramFacts;
use crate::render::index::{SegmentIndex, unreadable};
use crate::render::{Parts, clips};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// A range with what the archive has for it.
pub(super) struct Drawn {
    pub span: Span,
    /// The selection's segments, with those it continues and that continue it.
    pub segments: Vec<Segment>,
    /// Whether nothing is missing before each.
    pub joined: Vec<bool>,
    /// How far transitions reach in from its ends, in microseconds.
    pub reach: (i64, i64),
}

impl Drawn {
    pub fn new(archive: &Archive, span: Span, selection: &Selection) -> Result<Self> {
        let (mut segments, mut joined) = (Vec::new(), Vec::new());
        let first = selection.segments().next();
        if let Some(before) = first.map(|it| clips::segment_before(archive, it)).transpose()?.flatten() {
            segments.push(before);
            joined.push(false);
        }
        let mut after_hole = segments.is_empty();
        for item in &selection.items {
            match item {
                Item::Segment(segment) => {
                    segments.push(segment.clone());
                    joined.push(!after_hole);
                    after_hole = false;
                }
                Item::Hole(_) | Item::Break(_) => after_hole = true,
            }
        }
        if let Some(last) = segments.last().cloned()
            && let Some(after) = clips::segment_after(archive, &last)?
        {
            segments.push(after);
            joined.push(true);
        }
        Ok(Self { span, segments, joined, reach: (0, 0) })
    }

    /// The indexes of the segments, those away from the edges in numbers alone. Segments that cannot be read are holes
    /// from then on.
    ///
    /// # Errors
    /// `damaged-media`, naming the segment, where holes are refused or nothing is left.
    pub fn indexes(&mut self, render: &Parts, holes: Holes, token: &Token) -> Result<Vec<SegmentIndex>> {
        let (mut kept, mut lost, mut first) = (Condensed::new(self.span, self.reach), false, None);
        let all = std::mem::take(&mut self.segments);
        let mut joined = std::mem::take(&mut self.joined).into_iter();
        // Those of a short range are asked for again when its ends are moved.
        let hold = all.len() <= BATCH;
        for batch in all.chunks(BATCH) {
            let indexes = render.indexes(batch, hold, token)?;
            for ((segment, index), joined) in batch.iter().zip(indexes).zip(&mut joined) {
                let fault = match index.map(|index| (render.harm(segment, &index), index)) {
                    Ok((None, index)) => {
                        let joined = joined && !lost;
                        kept.push(index, segment, joined);
                        self.segments.push(segment.clone());
                        self.joined.push(joined);
                        lost = false;
                        continue;
                    }
                    Ok((Some(error), _)) | Err(error) => error,
                };
                lost = true;
                // Those beside the span only lend to it.
                if self.touches(segment) && first.is_none() {
                    first = Some(unreadable(segment, fault));
                }
            }
        }
        match first {
            Some(error) if holes == Holes::Refuse || kept.indexes.is_empty() => Err(error),
            _ => Ok(kept.indexes),
        }
    }

    /// Whether a segment has some of the range, and is not only beside it.
    pub fn touches(&self, segment: &Segment) -> bool {
        segment.start() < self.span.end && segment.end() > self.span.start
    }

    /// The segments between holes.
    pub fn runs(&self) -> Vec<Range<usize>> {
        let mut at = 0;
        let starts = (0..self.joined.len()).filter(|it| *it > 0 && !self.joined[*it]);
        let ends = starts.chain([self.joined.len()]);
        ends.map(|end| std::mem::replace(&mut at, end)..end).filter(|run| !run.is_empty()).collect()
    }

    /// The sources of a plan of some of the segments, which `indexes` are those of.
    pub fn sources<'a>(&self, run: Range<usize>, indexes: &'a [SegmentIndex]) -> Vec<Source<'a>> {
        let all = self.segments[run.clone()].iter().zip(indexes).zip(&self.joined[run]);
        all.map(|((segment, index), joined)| source(index, segment, *joined)).collect()
    }

    /// Takes in the segments to either side up to the closed keyframes around the span.
    pub fn widen(&mut self, render: &Parts, holes: Holes, token: &Token) -> Result<()> {
        for _ in 0..REACH {
            let indexes = self.indexes(render, holes, token)?;
            let lacks = plan::lacks(&self.sources(0..indexes.len(), &indexes), self.span)?;
            let (first, last) = (self.segments.first().cloned(), self.segments.last().cloned());
            let before = first.filter(|_| lacks.before).map(|it| clips::segment_before(&render.archive, &it));
            let after = last.filter(|_| lacks.after).map(|it| clips::segment_after(&render.archive, &it));
            let (before, after) = (before.transpose()?.flatten(), after.transpose()?.flatten());
            if before.is_none() && after.is_none() {
                return Ok(());
            }
            if let Some(segment) = before {
                self.segments.insert(0, segment);
                self.joined.insert(0, false);
                self.joined[1] = true;
            }
            if let Some(segment) = after {
                self.segments.push(segment);
                self.joined.push(true);
            }
        }
        let detail = format!(
            "there is no closed keyframe within {REACH} segments of the range of {}; ask for type=smart, which encodes edges",
            self.span.start
        );
        Err(Error::new(Kind::Unsupported, "no-keyframe", detail).with_parameter("type"))
    }
}

fn source<'a>(index: &'a SegmentIndex, segment: &Segment, joined: bool) -> Source<'a> {
    Source {
        index: &index.index,
        wall: segment.start(),
        joined,
        whole: segment.kind() == SegmentKind::Full,
        inner: index.inner.as_ref(),
    }
}

/// Indexes read at once.
const BATCH: usize = 64;

/// Indexes in order, those of inner segments reduced to what a plan needs of them: some 200 bytes instead of 10 KB.
struct Condensed {
    streak: Streak,
    indexes: Vec<SegmentIndex>,
    last: Option<(Segment, bool)>,
    /// Stands for the inner ones that follow each other, of which the last has this number.
    hollow: Option<Arc<FrameIndex>>,
    hollowed: usize,
}

impl Condensed {
    fn new(span: Span, reach: (i64, i64)) -> Self {
        Self { streak: Streak::new(span, reach), indexes: Vec::new(), last: None, hollow: None, hollowed: 0 }
    }

    fn push(&mut self, index: SegmentIndex, segment: &Segment, joined: bool) {
        let last = self.indexes.last().zip(self.last.as_ref());
        let before = last.map(|(index, (segment, joined))| source(index, segment, *joined));
        let found = self.streak.push(&source(&index, segment, joined), before.as_ref());
        for (number, inner) in found {
            let it = &mut self.indexes[number];
            let same = self.hollow.as_ref().filter(|_| number > 0 && number == self.hollowed + 1);
            let hollow = same.map_or_else(|| Arc::new(plan::hollow(&it.index)), Arc::clone);
            (it.index, it.inner, self.hollowed) = (Arc::clone(&hollow), Some(inner), number);
            self.hollow = Some(hollow);
        }
        self.indexes.push(index);
        self.last = Some((segment.clone(), joined));
    }
}

/// Segments looked through on either side of a range for a closed keyframe.
const REACH: usize = 16;

/// Coded pictures and sound out of segments, each segment read once while it is needed.
pub(super) struct Opened<'a> {
    render: &'a Parts,
    segments: &'a [Segment],
    indexes: &'a [SegmentIndex],
    kept: Mutex<VecDeque<(usize, Arc<Vec<u8>>)>>,
}

/// Segments kept while the edges of a range are made: of either, its own and a neighbour.
const OPENED: usize = 4;

impl<'a> Opened<'a> {
    pub fn new(render: &'a Parts, segments: &'a [Segment], indexes: &'a [SegmentIndex]) -> Self {
        Self { render, segments, indexes, kept: Mutex::default() }
    }

    fn bytes(&self, source: usize) -> Result<Arc<Vec<u8>>> {
        let mut kept = self.kept.lock();
        if let Some((_, bytes)) = kept.iter().find(|(number, _)| *number == source) {
            return Ok(Arc::clone(bytes));
        }
        let bytes = Arc::new(self.render.segment_bytes(&self.segments[source])?);
        kept.push_back((source, Arc::clone(&bytes)));
        while kept.len() > OPENED {
            kept.pop_front();
        }
        Ok(bytes)
    }

    pub fn index(&self, source: usize) -> &FrameIndex {
        &self.indexes[source].index
    }

    /// The program as the source tells it, and how far ahead of its decoding it sends a picture.
    pub fn program(&self, source: usize) -> Result<ProgramFacts> {
        let mut facts = ProgramFacts::of(&self.bytes(source)?)?;
        facts.lead_90k = self.lead(source, 0);
        Ok(facts)
    }

    /// How far ahead of its decoding the source sends a picture; `usual` where its index does not tell.
    pub fn lead(&self, source: usize, usual: i64) -> i64 {
        let index = self.index(source);
        let Some(first) = index.video.iter().flat_map(|it| &it.units).map(|unit| unit.dts).min() else {
            return usual;
        };
        let lead = index.first_pcr.map_or(0, |pcr| first - (pcr / 300) as i64);
        // A source that sends its clock late or absurdly early is given half a second.
        if (0..=90_000).contains(&lead) { lead } else { 45_000 }
    }
}

fn gone() -> Error {
    Error::internal("a plan names what its index does not hold")
}

impl Elementary for Opened<'_> {
    fn picture(&self, place: Place) -> Result<Vec<u8>> {
        let video = self.indexes[place.source].index.video.as_ref().ok_or_else(gone)?;
        let unit = video.units.get(place.unit).ok_or_else(gone)?;
        let mut out = Vec::with_capacity(unit.size as usize);
        ElementaryReader::new(&self.bytes(place.source)?, video.pid).read(unit.extent(), &mut out)?;
        Ok(out)
    }

    fn sound(&self, source: usize, track: usize, frame: usize) -> Result<Vec<u8>> {
        let audio = self.indexes[source].index.audio.get(track).ok_or_else(gone)?;
        let frame = audio.frames.get(frame).ok_or_else(gone)?;
        let mut out = Vec::with_capacity(frame.size as usize);
        ElementaryReader::new(&self.bytes(source)?, audio.pid).read(frame.extent(), &mut out)?;
        Ok(out)
    }
}
