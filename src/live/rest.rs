//! When a source that nobody watches is left alone to gather some pictures: pure. Who fetches each as it comes wakes for each,
//! and finds caches that others have used meanwhile: waking is most of what following a source costs.
//!
//! Times of arrival stay true: after some rests the source is read until a read has to wait, which fetches a picture as it
//! comes; how late others may be is known by it.

use crate::base::time::SECOND;
use std::time::{Duration, Instant};

/// The longest rest.
const LONGEST: Duration = Duration::from_millis(150);
/// What may gather: the buffers of a connection's two ends hold as much, so that nobody who sends has to wait.
const MOST_BYTES: u64 = 96 << 10;
/// A read that took so long waited.
const WAITED: Duration = Duration::from_millis(1);
/// Before the first rest it is seen how much comes; then that of twice as long counts at most.
const KNOWN_AFTER: Duration = Duration::from_secs(1);
/// Rests after which a picture is waited for.
const BLIND: u32 = 4;

/// What was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    pub bytes: usize,
    /// How long it took.
    pub waited: Duration,
    /// Of a picture: its time by the source, in microseconds.
    pub picture: Option<i64>,
}

/// Of a run.
#[derive(Debug)]
pub(super) struct Rests {
    /// Since when bytes are counted.
    since: Instant,
    bytes: u64,
    rested: bool,
    /// A picture that was waited for: when it came, and its time.
    came: Option<(Instant, i64)>,
    last: Option<i64>,
    /// Rests since then.
    blind: u32,
}

impl Rests {
    pub fn new(now: Instant) -> Self {
        Self { since: now, bytes: 0, rested: false, came: None, last: None, blind: 0 }
    }

    /// Takes what was read; how long the source may be left alone now.
    pub fn after(&mut self, read: Read, now: Instant) -> Option<Duration> {
        self.bytes += read.bytes as u64;
        let before = self.last;
        self.last = read.picture.or(before);
        let passed = now.saturating_duration_since(self.since);
        if !self.rested && passed < KNOWN_AFTER {
            return None;
        }
        if read.waited >= WAITED {
            self.came = read.picture.map(|it| (now, it));
            self.blind = 0;
        } else if self.blind >= BLIND || !self.is_newest(read.picture?, before?, now) {
            return None;
        } else {
            self.blind += 1;
        }
        let room = passed.mul_f64(MOST_BYTES as f64 / self.bytes.max(1) as f64);
        self.rested = true;
        if passed > 2 * KNOWN_AFTER {
            (self.since, self.bytes) = (now - passed / 2, self.bytes / 2);
        }
        Some(room.min(LONGEST))
    }

    /// Whether the picture after this one is still to come.
    fn is_newest(&self, picture: i64, before: i64, now: Instant) -> bool {
        let Some((at, came)) = self.came else { return false };
        // Times that leap tell nothing.
        let (step, since) = (picture - before, picture - came);
        if !(1..SECOND).contains(&step) || !(0..SECOND * i64::from(BLIND)).contains(&since) {
            return false;
        }
        at + Duration::from_micros((since + step).unsigned_abs()) > now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_millis(20);
    const NONE: Duration = Duration::ZERO;

    /// Pictures of `bytes` every 40 ms, each fetched when it comes or, after a rest, when it is asked for. How many reads waited,
    /// how many rests there were, and the longest.
    fn follow(bytes: usize, count: u32) -> (u32, u32, Duration) {
        let begun = Instant::now();
        let (mut rests, mut now, mut waits, mut rested) = (Rests::new(begun), begun, 0, 0);
        let mut longest = NONE;
        for number in 0..count {
            let comes = begun + number * Duration::from_millis(40);
            let waited = comes.saturating_duration_since(now);
            now = now.max(comes);
            waits += u32::from(waited >= WAITED);
            let read = Read { bytes, waited, picture: Some(i64::from(number) * 40_000) };
            if let Some(rest) = rests.after(read, now) {
                (now, rested, longest) = (now + rest, rested + 1, longest.max(rest));
            }
            assert!(
                now - comes <= LONGEST + Duration::from_millis(40),
                "picture {number}: {:?}",
                now - comes
            );
        }
        (waits, rested, longest)
    }

    #[test]
    fn most_pictures_are_fetched_with_others() {
        let (waits, rested, longest) = follow(10_000, 1_000);
        // 25 at the beginning, then one in four or five rests of four pictures.
        assert!((60..=90).contains(&waits) && (200..=300).contains(&rested), "{waits} {rested}");
        assert_eq!(longest, LONGEST);
    }

    #[test]
    fn rests_are_as_long_as_buffers_hold() {
        let (.., longest) = follow(80_000, 1_000);
        assert!(longest < Duration::from_millis(60), "{longest:?}");
    }

    #[test]
    fn times_that_leap_and_sound_alone_are_waited_for() {
        let begun = Instant::now();
        let at = |millis: u64| begun + Duration::from_millis(millis);
        let mut rests = Rests::new(begun);
        let read = |waited, picture| Read { bytes: 1_000, waited, picture };
        assert_eq!(rests.after(read(LONG, Some(0)), at(500)), None, "nothing is known yet");
        assert_eq!(rests.after(read(LONG, Some(40_000)), at(1_000)), Some(LONGEST));
        assert_eq!(rests.after(read(NONE, Some(9_000_000)), at(1_151)), None, "a leap");
        assert_eq!(rests.after(read(NONE, Some(9_040_000)), at(1_152)), None);
        assert_eq!(rests.after(read(LONG, None), at(1_160)), Some(LONGEST), "sound that was waited for");
        assert_eq!(rests.after(read(NONE, Some(9_080_000)), at(1_311)), None, "no picture was");
    }
}
