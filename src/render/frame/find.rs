//! Which coded picture is meant by a time: found in frame indexes, without reading a segment.

use super::wish::{Accuracy, Wish};
use crate::archive::{Item, Key, Segment, SegmentKind, Selection, TOLERANCE};
use crate::base::time::TimeBase;
use crate::base::{Channel, Kind, Quality, Result, Span, Timestamp, Token};
use crate::media::index::{AccessUnit, FrameIndex, UnitClass, VideoTrack};
use crate::media::timeline::Anchor;
use crate::render::index::{PRODUCT, SegmentIndex};
use crate::render::{Parts, no_content};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// Tells one content from another: 128 bits of its segment's identity.
pub(in crate::render) type Id = u128;

pub(in crate::render) fn id(of: impl Hash) -> Id {
    struct Wide(Xxh3);
    impl Hasher for Wide {
        fn finish(&self) -> u64 {
            self.0.digest()
        }
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
    }
    let mut hasher = Wide(Xxh3::new());
    of.hash(&mut hasher);
    hasher.0.digest128()
}

/// What tells some segments from others, for an [`id`].
pub(in crate::render) fn names_of(segments: &[Segment]) -> Vec<(Timestamp, &str)> {
    segments.iter().map(|it| (it.start(), it.name())).collect()
}

/// A coded picture of a segment.
#[derive(Clone)]
pub(super) struct Place {
    pub index: Arc<SegmentIndex>,
    pub unit: usize,
}

/// What a client is told of its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// When it came on screen.
    pub time: Timestamp,
    /// In ticks of 90 kHz, as in the stream.
    pub pts: i64,
    /// Nothing else is needed to decode it.
    pub key: bool,
    /// From the time asked for to the frame's, in microseconds; negative for a frame before it.
    pub distance: i64,
}

/// A frame that was found.
#[derive(Clone)]
pub(super) struct Found {
    /// What was asked for.
    pub at: Timestamp,
    pub segment: Segment,
    pub id: Id,
    /// `None` where the segment's index does not tell: libav looks for it.
    pub place: Option<Place>,
    pub facts: Option<Facts>,
    /// Whether the same frame will be found for ever.
    pub settled: bool,
}

pub(super) fn track(index: &FrameIndex) -> Option<&VideoTrack> {
    index.video.as_ref().filter(|it| !it.units.is_empty())
}

fn anchor(segment: &Segment, index: &FrameIndex) -> Option<Anchor> {
    let base = TimeBase::MPEG;
    index.first_pts().map(|ticks| Anchor { wall: segment.start(), ticks, base })
}

fn is_key(unit: &AccessUnit) -> bool {
    match unit.class {
        UnitClass::RecoveryPoint { frames } => frames == 0,
        class => class.is_random_access(),
    }
}

/// The index of the frame of `track` that is meant by `at` ticks; `None` when there is none.
fn choose(track: &VideoTrack, accuracy: Accuracy, at: i64) -> Option<usize> {
    let frames = || track.units.iter().enumerate().filter(|it| !it.1.second_field);
    match accuracy {
        Accuracy::Exact => track.shown_at(at),
        Accuracy::Keyframe(_) => {
            frames().filter(|it| it.1.pts <= at && is_key(it.1)).max_by_key(|it| it.1.pts).map(|it| it.0)
        }
        // Of two as near, the earlier.
        Accuracy::Nearest(_) => frames().min_by_key(|it| ((it.1.pts - at).abs(), it.1.pts)).map(|it| it.0),
    }
}

/// Indexes may be made, which means reading segments, or only those at hand are looked at.
#[derive(Clone, Copy)]
pub(super) enum Indexes<'a> {
    AtHand,
    Made(&'a Token),
}

/// Stops a search: an index is not at hand.
struct Absent;

enum Looked {
    At(Arc<SegmentIndex>),
    /// It is damaged, or holds no pictures known here.
    Nothing,
}

impl Parts {
    /// The index of a segment; `None` when it is not at hand and must not be made.
    fn index_of(&self, segment: &Segment, indexes: Indexes<'_>) -> Result<Result<Looked, Absent>> {
        let id = self.segment_id(segment)?;
        if let Some(index) = self.pictures.indexes.get(&id) {
            return Ok(Ok(Looked::At(index)));
        }
        let made = match indexes {
            Indexes::AtHand => match self.kept_index(segment)? {
                Some(index) => Ok(index),
                None => return Ok(Err(Absent)),
            },
            Indexes::Made(token) => match self.indexes(std::slice::from_ref(segment), true, token)?.pop() {
                Some(index) => index,
                None => return Ok(Ok(Looked::Nothing)),
            },
        };
        match made {
            Ok(index) if track(&index.index).is_some() => {
                let index = Arc::new(index);
                self.pictures.indexes.insert(id, Arc::clone(&index));
                Ok(Ok(Looked::At(index)))
            }
            Ok(_) => Ok(Ok(Looked::Nothing)),
            Err(error) if error.kind == Kind::Damaged => Ok(Ok(Looked::Nothing)),
            Err(error) => Err(error),
        }
    }

    pub(super) fn segment_id(&self, segment: &Segment) -> Result<Id> {
        Ok(id(Key::of(&self.archive, segment, PRODUCT)?))
    }

    /// The index of a segment, made if need be.
    pub(super) fn index_made(&self, segment: &Segment, token: &Token) -> Result<Option<Arc<SegmentIndex>>> {
        match self.index_of(segment, Indexes::Made(token))? {
            Ok(Looked::At(index)) => Ok(Some(index)),
            _ => Ok(None),
        }
    }

    /// The frame that is meant; `None` when an index it takes is not at hand.
    ///
    /// # Errors
    /// `no-content` where there is no such frame.
    pub(super) fn find(
        &self,
        channel: &Channel,
        quality: &Quality,
        wish: &Wish,
        indexes: Indexes<'_>,
    ) -> Result<Option<Found>> {
        let at = wish.at;
        let (before, after) = match wish.accuracy {
            Accuracy::Exact => (TOLERANCE, 0),
            Accuracy::Keyframe(within) => (within + TOLERANCE, 0),
            Accuracy::Nearest(within) => (within + TOLERANCE, within),
        };
        let around = self.archive.select(channel, quality, Span::new(at + -before, at + (after + 1)))?;
        let mut best: Option<Found> = None;
        for segment in candidates(&around, wish) {
            let index = match self.index_of(segment, indexes)? {
                Ok(index) => index,
                Err(Absent) => return Ok(None),
            };
            let found = self.in_segment(segment, index, wish)?;
            let far = |it: &Found| it.facts.map_or((0, 0), |facts| (facts.distance.abs(), facts.distance));
            best = [best, found].into_iter().flatten().min_by_key(far);
            // Segments are looked through from the latest on; those before hold earlier keyframes only.
            if best.is_some() && matches!(wish.accuracy, Accuracy::Exact | Accuracy::Keyframe(_)) {
                break;
            }
        }
        let mut found = best.ok_or_else(|| no_content(Span::new(at, at + 1)))?;
        found.settled = is_settled(&around, &found, wish);
        Ok(Some(found))
    }

    fn in_segment(&self, segment: &Segment, index: Looked, wish: &Wish) -> Result<Option<Found>> {
        let id = self.segment_id(segment)?;
        let none =
            Found { at: wish.at, segment: segment.clone(), id, place: None, facts: None, settled: false };
        let Looked::At(index) = index else {
            // libav knows codecs and saves pieces of streams that an index does not.
            return Ok((wish.accuracy == Accuracy::Exact).then_some(none));
        };
        let (Some(anchor), Some(track)) = (anchor(segment, &index.index), track(&index.index)) else {
            return Ok(None);
        };
        let Some(unit) = choose(track, wish.accuracy, anchor.ticks_at(wish.at)) else { return Ok(None) };
        let coded = &track.units[unit];
        let time = anchor.wall_of(coded.pts);
        let distance = time - wish.at;
        let within = match wish.accuracy {
            Accuracy::Exact => i64::MAX,
            Accuracy::Keyframe(within) | Accuracy::Nearest(within) => within,
        };
        if distance.abs() > within {
            return Ok(None);
        }
        let facts = Facts { time, pts: coded.pts, key: is_key(coded), distance };
        Ok(Some(Found { place: Some(Place { index, unit }), facts: Some(facts), ..none }))
    }
}

/// The segments that may hold the frame, the likeliest first.
fn candidates<'a>(around: &'a Selection, wish: &Wish) -> Vec<&'a Segment> {
    let at = wish.at;
    let begun = around.segments().rev().filter(|it| it.start() <= at);
    match wish.accuracy {
        // The last that starts at or before it, unless that ended more than the tolerance of a join ago.
        Accuracy::Exact => begun.take(1).filter(|it| at < it.end() + TOLERANCE).collect(),
        Accuracy::Keyframe(_) => begun.collect(),
        Accuracy::Nearest(_) => begun.take(1).chain(around.segments().find(|it| it.start() > at)).collect(),
    }
}

/// Whole segments from the frame to the time asked for, and nothing missing between them and after it.
fn is_settled(around: &Selection, found: &Found, wish: &Wish) -> bool {
    let time = found.facts.map_or(wish.at, |it| it.time);
    let (from, to) = (time.min(wish.at), time.max(wish.at));
    let touches = |start: Timestamp, end: Timestamp| start <= to && end > from;
    let whole = around.items.iter().all(|item| match item {
        Item::Segment(it) => !touches(it.start(), it.end()) || it.kind() == SegmentKind::Full,
        Item::Hole(span) => !touches(span.start, span.end),
        // It follows a segment that is not whole.
        Item::Break(_) => true,
    });
    let covered = around.segments().any(|it| it.start() <= to && to < it.end() + -TOLERANCE);
    whole && covered
}
