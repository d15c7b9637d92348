//! Makes a source's times usable: pure, packet by packet. Small faults are mended, big ones become a new epoch at the next
//! keyframe; none is a reason to connect anew.
//!
//! Invariant: of what is let through, every track's DTS rise strictly within an epoch, no PTS lies before its DTS, and it
//! begins with a keyframe.

mod order;

pub use order::Order;

use crate::base::time::{MINUTE, SECOND, TimeBase};
use std::collections::VecDeque;

/// What is known of a packet. Times are in its track's base.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub track: usize,
    pub pts: Option<i64>,
    pub dts: Option<i64>,
    /// 0 where the source does not tell.
    pub duration: i64,
    pub key: bool,
    /// When it came, in microseconds of any clock that runs on.
    pub arrival: i64,
}

/// A packet that goes on.
#[derive(Debug, PartialEq, Eq)]
pub struct Healed<T> {
    pub track: usize,
    pub pts: i64,
    pub dts: i64,
    pub duration: u32,
    pub key: bool,
    /// An epoch begins with it, and why.
    pub begins: Option<&'static str>,
    pub payload: T,
}

/// What came of a packet.
#[derive(Debug)]
pub struct Outcome<T> {
    /// What goes on, in order; a packet that was held back may be among it.
    pub ready: Vec<Healed<T>>,
    /// Why a packet was left out.
    pub dropped: Option<&'static str>,
    /// What was mended.
    pub mended: Option<&'static str>,
}

/// A track as the healer sees it.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub base: TimeBase,
    pub video: bool,
    /// Of a packet, in the track's base, where the source's own are missing.
    pub duration: i64,
}

/// Jumps up to here are mended where they are; larger ones begin an epoch.
const SMALL: i64 = 30 * SECOND;
/// A hole in the times counts as one in the source when this much at most differs from the time that passed.
const AGREES: i64 = SECOND / 2;
/// Sound whose times stray this much is led back in small steps, since its samples say how long it is.
const STRAYS: i64 = 80_000;
/// Two tracks that jump by nearly the same jumped together.
const TOGETHER: i64 = SECOND / 2;
/// Packets that go back in a row after which it is the time that went back, and not a packet that came late.
const BACK_IN_A_ROW: u32 = 3;
/// Packets held back until the second picture shows whether the first one's times can be true.
const HELD: usize = 64;
/// Pictures of them: the first ones of a source whose container tells when pictures are shown have no DTS, as many as pictures
/// are shown later than they are decoded, and the first that has one tells theirs.
const HELD_PICTURES: usize = 8;
/// Times from here on are noise, in ticks: no arithmetic on what is nearer runs over.
const FARTHEST: i64 = 1 << 55;
/// And so are lengths of packets.
const LONGEST: i64 = 1 << 31;
/// How far the first picture may lie before the second.
const FIRST_STEP: i64 = 2 * SECOND;

#[derive(Debug)]
struct Track {
    shape: Shape,
    /// Added to the source's times.
    offset: i64,
    /// The last DTS let through, and the length that went with it.
    last: Option<(i64, i64)>,
    arrival: i64,
    back: u32,
    /// The last jump mended, in microseconds.
    jump: i64,
    /// Samples' worth of times, for sound that strays.
    known: i64,
}

/// The state of a run. `T` is what travels with the times.
#[derive(Debug)]
pub struct Healer<T> {
    tracks: Vec<Track>,
    /// The last jump that any track made, in microseconds: others follow it by the same.
    jumped: Option<i64>,
    begun: bool,
    begins: Option<&'static str>,
    held: VecDeque<(Times, T)>,
}

impl<T> Healer<T> {
    /// `cause`: why the first epoch begins.
    pub fn new(shapes: &[Shape], cause: &'static str) -> Self {
        let track = |shape: &Shape| Track {
            shape: *shape,
            offset: 0,
            last: None,
            arrival: 0,
            back: 0,
            jump: 0,
            known: shape.duration.max(1),
        };
        Self {
            tracks: shapes.iter().map(track).collect(),
            jumped: None,
            begun: false,
            begins: Some(cause),
            held: VecDeque::new(),
        }
    }

    /// An epoch begins at the next keyframe, for a reason that is not in the times.
    pub fn begin(&mut self, cause: &'static str) {
        self.begins.get_or_insert(cause);
    }

    /// Takes the next packet.
    pub fn take(&mut self, times: Times, payload: T) -> Outcome<T> {
        let believable = |it: &i64| (-FARTHEST..FARTHEST).contains(it);
        let times = Times {
            pts: times.pts.filter(believable),
            dts: times.dts.filter(believable),
            duration: Some(times.duration).filter(|it| (1..LONGEST).contains(it)).unwrap_or(0),
            ..times
        };
        let mut outcome = Outcome { ready: Vec::new(), dropped: None, mended: None };
        let Some(track) = self.tracks.get(times.track) else {
            outcome.dropped = Some("no-track");
            return outcome;
        };
        let video = track.shape.video;
        if !self.begun && self.held.is_empty() && !(video && times.key) {
            outcome.dropped = Some("before-keyframe");
            return outcome;
        }
        if self.begun {
            self.pass(times, payload, &mut outcome);
            return outcome;
        }
        let second = video && !self.held.is_empty();
        self.held.push_back((times, payload));
        let held = self.held.iter().filter(|it| self.tracks[it.0.track].shape.video).count();
        let told = second && times.dts.is_some();
        if told || held >= HELD_PICTURES || self.held.len() > HELD {
            if told && held > 2 {
                self.date(times, &mut outcome);
            }
            let second = self.held.iter().skip(1).find(|it| self.tracks[it.0.track].shape.video);
            self.release(second.map(|it| it.0), &mut outcome);
        }
        outcome
    }

    /// Gives the pictures that are held, and have none, the DTS that lead to the first one that has.
    fn date(&mut self, known: Times, outcome: &mut Outcome<T>) {
        let track = &self.tracks[known.track];
        let (base, mut next) = (track.shape.base, known.dts);
        let mut step = if known.duration > 0 { known.duration } else { track.shape.duration.max(1) };
        for (times, _) in self.held.iter_mut().rev().skip(1).filter(|it| it.0.track == known.track) {
            let dts = times.dts.or(next.map(|it| it.saturating_sub(step)));
            // A picture that is shown before it can be decoded has other times than these.
            let early =
                times.pts.zip(dts).is_some_and(|(pts, dts)| base.micros(dts.saturating_sub(pts)) > SECOND);
            if times.dts.is_none() && !early {
                times.dts = dts;
                outcome.mended = Some("no-dts");
            }
            next = dts;
            if times.duration > 0 {
                step = times.duration;
            }
        }
    }

    /// Lets go of what is held, with the first picture's times made to lie before the second's.
    fn release(&mut self, second: Option<Times>, outcome: &mut Outcome<T>) {
        self.begun = true;
        let Some((mut first, payload)) = self.held.pop_front() else { return };
        if let Some(next) = second.and_then(|it| it.dts) {
            let track = &self.tracks[first.track];
            let step = if first.duration > 0 { first.duration } else { track.shape.duration.max(1) };
            let apart = |dts: i64| track.shape.base.micros(next.saturating_sub(dts));
            if first.dts.is_none_or(|dts| !(1..=FIRST_STEP).contains(&apart(dts))) {
                let true_pts = |pts: &i64| {
                    *pts >= next - step && track.shape.base.micros(pts.saturating_sub(next)) < SECOND
                };
                first.pts = first.pts.filter(true_pts).or(Some(next - step));
                first.dts = Some(next - step);
                outcome.mended = Some("first-keyframe");
            }
        }
        first.pts = first.pts.or_else(|| self.shown_before_the_others(&first));
        self.pass(first, payload, outcome);
        for (times, payload) in std::mem::take(&mut self.held) {
            self.pass(times, payload, outcome);
        }
    }

    /// When a first picture is shown that does not say so, as over RTP: a picture's length before the earliest of those that
    /// are held.
    fn shown_before_the_others(&self, first: &Times) -> Option<i64> {
        let shape = self.tracks[first.track].shape;
        let step = if first.duration > 0 { first.duration } else { shape.duration.max(1) };
        let shown = self.held.iter().filter(|it| it.0.track == first.track).filter_map(|it| it.0.pts);
        // The next one alone may be shown after pictures that are still to come.
        let shown = shown.clone().nth(1).and(shown.min())?.saturating_sub(step);
        let near = |dts: i64| shown >= dts && shape.base.micros(shown.saturating_sub(dts)) < SECOND;
        first.dts.is_some_and(near).then_some(shown)
    }

    fn pass(&mut self, times: Times, payload: T, outcome: &mut Outcome<T>) {
        let jumped = self.jumped;
        let track = &mut self.tracks[times.track];
        let step = if times.duration > 0 { times.duration } else { track.known };
        let placed = match track.place(&times, jumped) {
            Ok(placed) => placed,
            Err(why) => {
                outcome.dropped = Some(why);
                return;
            }
        };
        if let Some((word, jump)) = placed.jump {
            outcome.mended = Some(word);
            track.jump = jump;
            self.jumped = Some(jump);
            if jump.abs() > SMALL {
                self.begins.get_or_insert("timestamps");
            }
        } else if placed.derived {
            outcome.mended = Some("no-dts");
        }
        let track = &mut self.tracks[times.track];
        let dts = placed.dts;
        // How far apart pictures lie, where no packet says so.
        if let Some((last, _)) = track.last.filter(|_| times.duration <= 0 && track.shape.video) {
            let apart = dts - last;
            if track.shape.base.micros(apart) < SECOND {
                track.known = apart.max(1);
            }
        }
        track.last = Some((dts, step.max(1)));
        track.arrival = times.arrival;
        let pts = times.pts.map_or(dts, |it| it.saturating_add(placed.shift)).max(dts);
        let begins = if track.shape.video && times.key { self.begins.take() } else { None };
        let duration = u32::try_from(step.max(1)).unwrap_or(u32::MAX);
        outcome.ready.push(Healed {
            track: times.track,
            pts,
            dts,
            duration,
            key: times.key,
            begins,
            payload,
        });
    }
}

/// Where a packet comes to lie.
struct Placed {
    dts: i64,
    /// From the source's times to these.
    shift: i64,
    /// A jump that was taken out, as a word and in microseconds.
    jump: Option<(&'static str, i64)>,
    derived: bool,
}

impl Track {
    fn place(&mut self, times: &Times, jumped: Option<i64>) -> Result<Placed, &'static str> {
        let Some((last, length)) = self.last else {
            let dts = times.dts.or(times.pts).unwrap_or(0);
            return Ok(Placed { dts, shift: 0, jump: None, derived: times.dts.is_none() });
        };
        let expected = last.saturating_add(length);
        let base = self.shape.base;
        let Some(raw) = times.dts else {
            // Not after its own picture is shown, not before the one before it is decoded.
            let shown = times.pts.map(|it| it.saturating_add(self.offset));
            let believable = |it: &i64| base.micros(it.saturating_sub(expected)).abs() < SMALL;
            let dts = shown.filter(believable).map_or(expected, |it| it.min(expected)).max(last + 1);
            let shift = if shown.is_some_and(|it| believable(&it)) {
                self.offset
            } else {
                dts - times.pts.unwrap_or(dts)
            };
            return Ok(Placed { dts, shift, jump: None, derived: true });
        };
        let dts = raw.saturating_add(self.offset);
        let gap = base.micros(dts.saturating_sub(expected)).clamp(-FARTHEST * 64, FARTHEST * 64);
        let passed = times.arrival - self.arrival;
        let real =
            gap > 0 && (gap - passed).abs() <= AGREES.max(passed / 4) || gap.abs() < AGREES && dts > last;
        if !self.shape.video && gap.abs() <= STRAYS {
            self.back = 0;
            let lead = (dts - expected) / 16;
            let millisecond = TimeBase::new(1, 1000).rescale(1, base).max(1);
            let dts = expected + lead.clamp(-millisecond, millisecond);
            let dts = dts.max(last + 1);
            return Ok(Placed { dts, shift: dts - raw, jump: None, derived: false });
        }
        if real && gap <= SMALL {
            self.back = 0;
            return Ok(Placed { dts, shift: self.offset, jump: None, derived: false });
        }
        // 33 or 32 bits ran over: no jump at all.
        for bits in [33, 32] {
            let turn = 1i64 << bits;
            for turn in [turn, -turn] {
                if base.micros(dts.saturating_add(turn).saturating_sub(expected)).abs() < AGREES {
                    self.offset = self.offset.saturating_add(turn);
                    let dts = raw.saturating_add(self.offset).max(last + 1);
                    return Ok(Placed { dts, shift: self.offset, jump: Some(("wrap", 0)), derived: false });
                }
            }
        }
        let undoes = self.jump != 0 && (gap + self.jump).abs() < TOGETHER;
        let follows = jumped.is_some_and(|it| it != 0 && (gap - it).abs() < TOGETHER);
        if dts <= last && gap.abs() <= SMALL && !times.key && !undoes && !follows {
            self.back += 1;
            if self.back < BACK_IN_A_ROW {
                return Err(if dts == last { "repeated" } else { "backward" });
            }
        }
        self.back = 0;
        // Tracks that jump together jump by the same, so that sound stays with its picture.
        let jump = match jumped {
            Some(same) if follows => same,
            _ if undoes => -self.jump,
            _ => gap,
        };
        self.offset = self.offset.saturating_sub(TimeBase::MICROS.rescale(jump, base));
        let dts = raw.saturating_add(self.offset).max(last + 1);
        let jump = if undoes { ("jump", 0) } else { ("jump", jump) };
        Ok(Placed { dts, shift: self.offset, jump: Some(jump), derived: false })
    }
}

/// An hour is a jump nobody means.
const _: () = assert!(SMALL < MINUTE);

#[cfg(test)]
mod tests;
