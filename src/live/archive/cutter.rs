//! Where one segment ends and the next begins, and which sample goes into which. Pure: samples of one epoch come in, in the
//! order of the ring, and what is to be done with them comes out.
//!
//! A segment holds the pictures from a keyframe up to the next that comes late enough, and the sound that is heard while they
//! are shown, whichever of the two arrived first.

use crate::archive::{SegmentKind, TOLERANCE};
use crate::base::Timestamp;
use crate::base::time::{SECOND, TimeBase};
use crate::live::Epoch;
use crate::media::live::Sample;
use std::collections::VecDeque;
use std::sync::Arc;

/// A keyframe this much too early still ends a segment: encoders are asked for a distance and keep it roughly.
const SLACK: i64 = SECOND / 10;
/// How long a segment's end waits for sound that comes after its picture.
const LATE_SOUND: i64 = SECOND;
/// Samples of sound that wait for their pictures; more, and they go with those there are.
const MOST_SOUNDS: usize = 1024;

/// How long segments are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// A segment ends at the first keyframe this long after its start, in microseconds.
    pub target: i64,
    /// Without a keyframe for this long, in microseconds, or this many bytes, it is broken off.
    pub longest: i64,
    pub bytes: usize,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A segment begins, whose first picture is shown at this time.
    Begin(Timestamp),
    Sample(Arc<Sample>),
    /// The segment begun last ends.
    End {
        /// In microseconds.
        duration: i64,
        kind: SegmentKind,
    },
    /// What follows is left out until the next keyframe.
    TooLong,
}

#[derive(Debug)]
struct Open {
    start: Timestamp,
    /// Of the first picture on screen, in microseconds of the epoch.
    first: i64,
    /// Where the picture shown last ends, likewise.
    end: i64,
    bytes: usize,
    /// Which tracks were heard in it.
    heard: Vec<bool>,
}

/// Cuts one epoch.
#[derive(Debug)]
pub struct Cutter {
    bases: Vec<TimeBase>,
    video: usize,
    lengths: Lengths,
    videos: VecDeque<Arc<Sample>>,
    sounds: VecDeque<Arc<Sample>>,
    open: Option<Open>,
    /// DTS of the last picture that was handed on, in microseconds.
    sent: i64,
}

impl Cutter {
    /// `None` for an epoch without pictures.
    pub fn new(epoch: &Epoch, lengths: Lengths) -> Option<Self> {
        Some(Self {
            bases: epoch.tracks.iter().map(|it| it.time_base).collect(),
            video: epoch.video()?,
            lengths,
            videos: VecDeque::new(),
            sounds: VecDeque::new(),
            open: None,
            sent: i64::MIN,
        })
    }

    fn micros(&self, sample: &Sample, ticks: i64) -> i64 {
        self.bases.get(sample.track).map_or(0, |it| it.micros(ticks))
    }

    fn pts(&self, sample: &Sample) -> i64 {
        self.micros(sample, sample.pts)
    }

    pub fn push(&mut self, sample: Arc<Sample>, out: &mut Vec<Step>) {
        if sample.track == self.video {
            self.videos.push_back(sample);
        } else if sample.track < self.bases.len() {
            self.sounds.push_back(sample);
        }
        self.drain(false, out);
    }

    /// Ends the segment in hand as it is; what follows begins with the next keyframe.
    pub fn finish(&mut self, kind: SegmentKind, out: &mut Vec<Step>) {
        self.drain(true, out);
        if let Some(open) = self.open.take() {
            while let Some(sound) = self.sounds.pop_front() {
                if self.pts(&sound) < open.end {
                    out.push(Step::Sample(sound));
                }
            }
            out.push(Step::End { duration: open.end - open.first, kind });
        }
        self.videos.clear();
        self.sounds.clear();
    }

    fn drain(&mut self, all: bool, out: &mut Vec<Step>) {
        while let Some(front) = self.videos.front() {
            let target = self.lengths.target - SLACK;
            let due = |open: &Open| self.pts(front) - open.first >= target;
            if front.key && self.open.as_ref().is_none_or(due) {
                let Some((first, until)) = self.border(all) else { return };
                if !self.cut(&first, until, all, out) {
                    return;
                }
            } else if self.open.is_none() {
                // Nothing can be made of it without a keyframe.
                self.videos.pop_front();
                continue;
            }
            self.send(out);
        }
        self.release(out);
    }

    /// The first picture on screen of the segment that begins with the picture in front, and when it is shown. Pictures
    /// decoded after a keyframe and shown before it belong to the same segment.
    fn border(&self, all: bool) -> Option<(Arc<Sample>, i64)> {
        let key = self.videos.front()?;
        let mut first = key;
        for it in self.videos.iter().skip(1) {
            if it.pts > key.pts || it.key {
                return Some((Arc::clone(first), self.pts(first)));
            }
            if it.pts < first.pts {
                first = it;
            }
        }
        all.then(|| (Arc::clone(first), self.pts(first)))
    }

    /// Begins a segment at `until`. False while sound of the one before is still on its way.
    fn cut(&mut self, first: &Sample, until: i64, all: bool, out: &mut Vec<Step>) -> bool {
        if let Some(open) = &self.open {
            let decoded = |it: Option<&Arc<Sample>>| it.map_or(0, |it| self.micros(it, it.dts));
            let waited = decoded(self.videos.back()) - decoded(self.videos.front());
            let complete = |track: usize| {
                !open.heard[track] || self.sounds.iter().any(|it| it.track == track && self.pts(it) >= until)
            };
            if !all && waited < LATE_SOUND && !(0..self.bases.len()).all(complete) {
                return false;
            }
        }
        let mut later = VecDeque::new();
        while let Some(sound) = self.sounds.pop_front() {
            if self.pts(&sound) >= until {
                later.push_back(sound);
            } else if self.open.is_some() {
                out.push(Step::Sample(sound));
            }
        }
        self.sounds = later;
        if let Some(open) = self.open.take() {
            let (told, shown) = (first.time - open.start, until - open.first);
            // A clock that was set is no reason to name a length that is not there.
            let duration = if (told - shown).abs() <= TOLERANCE { told } else { shown };
            out.push(Step::End { duration: duration.max(0), kind: SegmentKind::Full });
        }
        out.push(Step::Begin(first.time));
        let heard = vec![false; self.bases.len()];
        self.open = Some(Open { start: first.time, first: until, end: until, bytes: 0, heard });
        true
    }

    /// Hands on the picture in front.
    fn send(&mut self, out: &mut Vec<Step>) {
        let Some(sample) = self.videos.pop_front() else { return };
        let base = self.bases[self.video];
        self.sent = base.micros(sample.dts);
        let (shown, end) = (base.micros(sample.pts), base.micros(sample.pts + i64::from(sample.duration)));
        let Some(open) = &mut self.open else { return };
        open.end = open.end.max(end);
        open.bytes += sample.data.len();
        let too_long = shown - open.first > self.lengths.longest || open.bytes > self.lengths.bytes;
        out.push(Step::Sample(sample));
        if too_long {
            let duration = open.end - open.first;
            self.open = None;
            out.extend([Step::End { duration, kind: SegmentKind::Partial }, Step::TooLong]);
        }
        self.release(out);
    }

    /// Hands on the sound that is heard before any segment to come can begin.
    fn release(&mut self, out: &mut Vec<Step>) {
        while let Some(sound) = self.sounds.front() {
            let due = self.pts(sound) <= self.sent || self.sounds.len() > MOST_SOUNDS;
            if !due {
                return;
            }
            let Some(sound) = self.sounds.pop_front() else { return };
            if let Some(open) =
                self.open.as_mut().filter(|it| self.bases[sound.track].micros(sound.pts) >= it.first)
            {
                open.heard[sound.track] = true;
                open.bytes += sound.data.len();
                out.push(Step::Sample(sound));
            }
        }
    }
}

#[cfg(test)]
mod tests;
