//! Follows a ring for those who watch: one thread a stream, as long as somebody does.

use super::pace::Pace;
use super::segmenter::{Cut, Segmenter, Targets};
use super::window::Heading;
use super::{Options, Shared};
use crate::base::Timestamp;
use crate::base::time::SECOND;
use crate::live::sound::Sound;
use crate::live::{Entry, Epoch, Ring};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Samples taken from the ring at a time.
const BATCH: usize = 256;
/// How often it is looked whether anybody watches.
const LOOK: Duration = Duration::from_millis(500);
/// Segments made of what the ring holds already, so that a player has something to begin with.
const BACKLOG: i64 = 3;

/// Where to begin to read: at a keyframe some way back, or with what comes next where the source has stopped.
fn begin(ring: &Ring, back: i64) -> u64 {
    let end = ring.range().end;
    if ring.is_ended() {
        return end;
    }
    let held = ring.read(0, usize::MAX).entries;
    let Some(newest) = held.last() else { return end };
    let mut keys = held
        .iter()
        .rev()
        .take_while(|it| it.epoch.number == newest.epoch.number)
        .filter(|it| it.is_video_key());
    let mut from = end;
    for key in &mut keys {
        from = key.number;
        if newest.sample.time - key.sample.time >= back {
            break;
        }
    }
    from
}

/// The target of parts that pictures of this rate fill to 85 % at least.
fn fit(part: i64, frame_rate: (u32, u32)) -> i64 {
    if frame_rate.0 == 0 {
        return part;
    }
    let frame = i64::from(frame_rate.1) * SECOND / i64::from(frame_rate.0);
    let count = part / frame.max(1);
    let filled = (count * i64::from(frame_rate.1) * SECOND).div_euclid(i64::from(frame_rate.0)) + 1;
    if count == 0 || filled * 100 >= part * 85 { part } else { filled }
}

struct Follower<'a> {
    shared: &'a Shared,
    options: &'a Options,
    segmenter: Option<Segmenter>,
    heading: Option<Arc<Heading>>,
    sound: Sound,
    pace: Pace,
    /// The target of parts, of this following.
    part: i64,
    /// The epoch at hand.
    epoch: Option<u64>,
    /// What is read was in the ring before.
    backlog: bool,
    /// What has become of the stream with the sample at hand; told at once, so that nobody sees a part that ends its segment
    /// and thinks that another follows.
    done: Vec<Done>,
}

enum Done {
    Segment { start: Timestamp, plain: bool },
    Part { duration: i64, independent: bool, body: Option<Bytes> },
    End,
}

/// Follows until nobody has asked for long enough, or the stream is gone.
pub(super) fn follow(shared: &Shared) {
    let (ring, options) = (&shared.ring, &shared.options);
    let mut place = begin(ring, options.segment * BACKLOG);
    let newest = ring.range().end;
    let mut it = Follower {
        shared,
        options,
        segmenter: None,
        heading: None,
        sound: Sound::default(),
        pace: Pace::default(),
        part: options.part,
        epoch: None,
        backlog: true,
        done: Vec::new(),
    };
    let mut ended = true;
    while !shared.stop.is_cancelled() && !shared.leave_if_idle(Instant::now()) {
        let batch = ring.wait(place, BATCH, LOOK, &shared.stop);
        place = batch.next;
        it.backlog = place < newest;
        if batch.lost > 0 {
            it.end();
        }
        for entry in batch.entries {
            ended = false;
            it.take(entry);
        }
        if batch.ended && !ended {
            ended = true;
            it.end();
        }
    }
}

impl Follower<'_> {
    fn take(&mut self, entry: Entry) {
        if self.epoch.replace(entry.epoch.number) != Some(entry.epoch.number) {
            let pictures = entry.epoch.video().map(|it| &entry.epoch.tracks[it]);
            let refused = pictures.filter(|it| it.entry.is_none()).map(|it| it.name.clone());
            self.shared.refuse(refused);
        }
        if self.segmenter.is_none() {
            self.set_up(&entry.epoch);
        }
        let Some(mut segmenter) = self.segmenter.take() else { return };
        let mut sound = std::mem::take(&mut self.sound);
        sound.take(&entry.epoch, &entry.sample, |epoch, sample| {
            segmenter.take(epoch, sample, |cut| self.apply(cut));
        });
        self.sound = sound;
        self.segmenter = Some(segmenter);
        self.tell();
    }

    fn end(&mut self) {
        if let Some(mut segmenter) = self.segmenter.take() {
            segmenter.end(|cut| self.apply(cut));
            self.segmenter = Some(segmenter);
        }
        self.tell();
        self.sound = Sound::default();
        self.pace.begin();
    }

    fn set_up(&mut self, epoch: &Epoch) {
        let rate = epoch.video().map_or((0, 1), |it| epoch.tracks[it].frame_rate);
        self.part = fit(self.options.part, rate);
        self.segmenter = Some(Segmenter::new(Targets { segment: self.options.segment, part: self.part }));
        let mut state = self.shared.state.lock();
        state.window.set_part_target(self.part);
        state.window.expect(self.options.segment * 3 / 2);
    }

    fn apply(&mut self, cut: Cut) {
        match cut {
            Cut::Stretch(stretch) => {
                self.heading = Some(self.shared.state.lock().window.begin_stretch(stretch));
            }
            Cut::Segment(start) => {
                let plain = self.pace.is_bursty() || self.shared.bursty_input.load(Ordering::Relaxed);
                self.done.push(Done::Segment { start, plain });
            }
            Cut::Part(part) => {
                let Some(heading) = &self.heading else { return };
                let sequence = self.shared.state.lock().window.next_part();
                // Written while nobody waits for the lock.
                let body = heading.part(sequence, &part);
                if body.is_none() {
                    tracing::warn!("a part of {} samples could not be written", part.video.len());
                }
                let (duration, independent) = (part.duration, part.independent);
                self.done.push(Done::Part { duration, independent, body });
                if !self.backlog {
                    self.pace.part(Instant::now(), Duration::from_micros(self.part.unsigned_abs()));
                }
            }
            Cut::End => self.done.push(Done::End),
        }
    }

    fn tell(&mut self) {
        if self.done.is_empty() {
            return;
        }
        self.shared.change(|window| {
            for done in self.done.drain(..) {
                match done {
                    Done::Segment { start, plain } => {
                        window.set_plain(plain);
                        window.begin_segment(start);
                    }
                    Done::Part { duration, independent, body } => {
                        window.push_part(duration, independent, body)
                    }
                    Done::End => window.end_segment(),
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_whole_pictures() {
        for (part, rate, expected) in [
            (500_000, (25, 1), 500_000),
            (500_000, (30_000, 1001), 500_000),
            (1_000_000, (5, 2), 800_001),
            (500_000, (3, 1), 333_334),
            (500_000, (1, 1), 500_000),
            (500_000, (0, 1), 500_000),
        ] {
            assert_eq!(fit(part, rate), expected, "{rate:?}");
        }
    }
}
