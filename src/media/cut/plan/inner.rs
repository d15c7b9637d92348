//! Segments away from the edges of a range: what a plan needs of one that is copied whole, without its pictures and its
//! frames of sound. Pure.
//!
//! A plan looks at single pictures where copying begins and ends, and at single frames of sound where they are trimmed.
//! In a run of plain segments — each begins with a closed keyframe, is shown after the one before, and lies wholly inside
//! the range — neither happens but in the first and the last, so that those between stand as a few numbers. A range of six
//! hours is then planned in the memory of a short one, with the same outcome.

use super::{Source, anchor, frame_ticks, video};
use crate::base::time::{SECOND, TimeBase};
use crate::base::{Result, Span, Timestamp};
use crate::media::cut::sound;
use crate::media::index::{AudioFrame, AudioTrack, FrameIndex, UnitClass, VideoTrack};
use crate::media::timeline::{Anchor, Joiner};
use std::collections::VecDeque;

/// What is known of a plain segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inner {
    /// Length of the segment.
    pub bytes: u64,
    /// Pictures; two fields are one.
    pub pictures: u64,
    /// When the first is shown and when the last, in ticks of the source.
    pub first: i64,
    pub last: i64,
    /// The usual distance between two.
    pub frame: i64,
    /// By track.
    pub sound: Box<[InnerSound]>,
}

/// Frames of sound that follow each other without a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InnerSound {
    pub frames: usize,
    /// Where the first and the last begin, in ticks of the source; 0 without frames.
    pub first: i64,
    pub last: i64,
}

/// How far inside the range, and inside what has no hole, an inner segment lies, in microseconds: more than decoders of
/// sound have to run in, and than sound strays from its pictures.
const MARGIN: i64 = SECOND;

/// Finds inner segments among those of a range, given in order.
#[derive(Debug)]
pub struct Streak {
    span: Span,
    reach: (i64, i64),
    /// Segments seen.
    count: usize,
    /// When the first of the plain ones that follow each other is shown.
    since: Option<Timestamp>,
    /// When the first picture of the one before those that wait is shown.
    passed: Option<Timestamp>,
    /// Plain ones that may still be near the end of their stretch, with their numbers.
    waiting: VecDeque<(usize, Plain)>,
}

/// A plain segment.
#[derive(Debug, Clone)]
struct Plain {
    inner: Inner,
    /// When its first and its last picture are shown.
    first: Timestamp,
    last: Timestamp,
}

impl Streak {
    /// Of a range of `span`, of which transitions take up to `reach` microseconds at its start and its end.
    pub fn new(span: Span, reach: (i64, i64)) -> Self {
        Self { span, reach, count: 0, since: None, passed: None, waiting: VecDeque::new() }
    }

    /// Takes the next segment and, again, the one `before` it. Gives in numbers what turns out to be inner: plain ones
    /// between plain ones, farther from both ends of what has no hole than transitions reach.
    pub fn push(&mut self, next: &Source<'_>, before: Option<&Source<'_>>) -> Vec<(usize, Inner)> {
        let number = self.count;
        self.count += 1;
        let plain = Plain::of(next, self.span);
        let follows = match (&plain, self.waiting.back(), before) {
            (Some(plain), Some((_, last)), Some(before)) => plain.inner.follows(next, (&last.inner, before)),
            _ => false,
        };
        if !follows {
            self.waiting.clear();
            self.passed = None;
            self.since = plain.as_ref().map(|it| it.first);
        }
        let (Some(plain), Some(since)) = (plain, self.since) else { return Vec::new() };
        let (head, tail) = (since + (self.reach.0 + MARGIN), plain.first + -(self.reach.1 + MARGIN));
        self.waiting.push_back((number, plain));
        let mut found = Vec::new();
        // Its neighbours lie that far inside, too: a plan of the rest takes them whole.
        while self.waiting.get(1).is_some_and(|(_, it)| it.last < tail)
            && let Some((number, it)) = self.waiting.pop_front()
        {
            if self.passed.replace(it.first).is_some_and(|first| first > head) {
                found.push((number, it.inner));
            }
        }
        found
    }
}

impl Plain {
    fn of(source: &Source<'_>, span: Span) -> Option<Self> {
        let inner = Inner::of(source)?;
        let anchor = source.anchor()?;
        let (first, last) = (anchor.wall_of(inner.first), anchor.wall_of(inner.last));
        inner.is_within(anchor, span).then_some(Self { inner, first, last })
    }
}

impl Inner {
    /// The segment in numbers, where it is plain.
    fn of(source: &Source<'_>) -> Option<Self> {
        let index = source.index;
        let track = video(source).ok()?;
        let key = track.units.first()?;
        let opens = key.class == UnitClass::Idr && !key.second_field && !key.estimated;
        let intact = track.units.iter().all(|it| !it.damaged && (it.second_field || !it.estimated));
        let first = track.units.iter().map(|it| it.pts).min()?;
        let last = track.units.iter().map(|it| it.pts).max()?;
        let plain = source.whole && index.gaps == 0 && index.program_changes == 0;
        if !(plain && opens && intact && first == key.pts) {
            return None;
        }
        Some(Self {
            bytes: index.bytes,
            pictures: track.units.iter().filter(|it| !it.second_field).count() as u64,
            first,
            last,
            frame: frame_ticks(track),
            sound: index.audio.iter().map(steady).collect::<Option<_>>()?,
        })
    }

    /// Whether a plan of `span` takes all of the segment.
    fn is_within(&self, anchor: Anchor, span: Span) -> bool {
        let inside = Span::new(span.start + MARGIN, span.end + -MARGIN);
        let sounds = self.sound.iter().filter(|it| it.frames > 0).flat_map(|it| [it.first, it.last]);
        inside.start < inside.end
            && sounds.chain([self.first, self.last]).all(|it| anchor.is_inside(it, inside))
    }

    /// Whether the segment goes on after `before`, of the same streams, as one that is copied whole after another.
    fn follows(&self, source: &Source<'_>, before: (&Self, &Source<'_>)) -> bool {
        let (earlier, before) = before;
        if !source.joined || !same_streams(source.index, before.index) {
            return false;
        }
        let mut joiner = Joiner::new(TimeBase::MPEG);
        let of = |inner: &Self, wall| Anchor { wall, ticks: inner.first, base: TimeBase::MPEG };
        let anchors = (of(earlier, before.wall), of(self, source.wall));
        let shift = joiner.place(anchors.0, before.joined, 0) - earlier.first;
        let shown = earlier.last + shift;
        let here = joiner.place(anchors.1, true, shown + earlier.frame) - self.first;
        let steady =
            |((now, then), track): ((&InnerSound, &InnerSound), &AudioTrack)| match (now.frames, then.frames)
            {
                (0, 0) => true,
                (0, _) | (_, 0) => false,
                _ => sound::goes_on(then.last + shift + sound::duration(track), now.first + here, track),
            };
        let mut sounds = self.sound.iter().zip(&earlier.sound).zip(&source.index.audio);
        self.first + here > shown && sounds.all(steady)
    }
}

/// The frames of a track in numbers, where each follows the one before.
fn steady(track: &AudioTrack) -> Option<InnerSound> {
    let lasts = sound::duration(track);
    let follow = |pair: &[AudioFrame]| sound::goes_on(pair[0].pts + lasts, pair[1].pts, track);
    if track.changes || !track.frames.windows(2).all(follow) {
        return None;
    }
    let time = |frame: Option<&AudioFrame>| frame.map_or(0, |it| it.pts);
    Some(InnerSound {
        frames: track.frames.len(),
        first: time(track.frames.first()),
        last: time(track.frames.last()),
    })
}

/// Whether what is told of the streams besides their pictures and frames is the same.
fn same_streams(a: &FrameIndex, b: &FrameIndex) -> bool {
    let pictures = |it: &FrameIndex| it.video.as_ref().map(|it| (it.codec, it.pid, it.scan));
    let sets = |it: &FrameIndex| -> Vec<_> {
        let sets = it.video.iter().flat_map(|it| &it.sets);
        sets.map(|set| (set.kind, set.id, set.hash)).collect()
    };
    let sound = |it: &AudioTrack| {
        (it.pid, it.codec, it.sample_rate, it.channels, it.samples_per_frame, it.object_type)
    };
    a.pmt_pid == b.pmt_pid
        && pictures(a) == pictures(b)
        && sets(a) == sets(b)
        && a.audio.iter().map(sound).eq(b.audio.iter().map(sound))
}

/// An index that stands for the inner segments of a run: streams as in `index`, without pictures and frames.
pub fn hollow(index: &FrameIndex) -> FrameIndex {
    let video = index.video.as_ref().map(|it| VideoTrack {
        units: Vec::new(),
        sets: it.sets.clone(),
        states: it.states.clone(),
        ..*it
    });
    let audio = index.audio.iter().map(|it| AudioTrack { frames: Vec::new(), ..*it }).collect();
    FrameIndex { video, audio, ..*index }
}

impl Source<'_> {
    /// How its clock is tied to the wall, when its last picture is shown, and how long a picture usually lasts.
    pub(super) fn extent(&self) -> Result<(Anchor, i64, i64)> {
        if let Some(inner) = self.inner {
            let anchor = Anchor { wall: self.wall, ticks: inner.first, base: TimeBase::MPEG };
            return Ok((anchor, inner.last, inner.frame));
        }
        let track = video(self)?;
        let last = track.units.iter().map(|unit| unit.pts).max().unwrap_or(0);
        Ok((anchor(self, track), last, frame_ticks(track)))
    }
}

#[cfg(test)]
mod tests;
