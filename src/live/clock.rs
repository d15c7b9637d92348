//! The wall time of samples: pure. The source's clock tells it where it has one that can be believed, else the times of
//! arrival do, without their jitter. What is off is led back in small steps, never backwards.

use super::source::TimeSource;
use crate::base::Timestamp;
use crate::base::time::SECOND;
use std::collections::VecDeque;

/// How far the source's clock may be off from ours before it is taken for one that was never set.
const BELIEVED: i64 = 60 * SECOND;
/// Arrivals are looked at over so much of the source's time: the earliest of them came with the least delay.
const WINDOW: i64 = 20 * SECOND;
/// A hundredth of a percent is what clocks are off; this leads them back sixty times as fast.
const SLEW: i64 = 160;
/// Errors from here on are led back faster, by one part in so many.
const FAR: i64 = SECOND;
const FAR_SLEW: i64 = 8;

/// The clock of a run.
#[derive(Debug)]
pub struct WallClock {
    choice: TimeSource,
    /// From the source's time to wall time.
    offset: Option<i64>,
    /// The source's time at which the offset was last led back.
    at: i64,
    /// Arrivals less the source's time, rising: the smallest of the window in front.
    least: VecDeque<(i64, i64)>,
    /// What the source's own clock said last.
    source: Option<i64>,
}

impl WallClock {
    pub fn new(choice: TimeSource) -> Self {
        Self { choice, offset: None, at: 0, least: VecDeque::new(), source: None }
    }

    /// Takes what is known of a sample: its decoding time by the (healed) clock of the media in microseconds, when it came, and
    /// the wall time that the source's clock tells, with the moment of the media it tells it of.
    pub fn observe(&mut self, media: i64, arrival: Timestamp, source: Option<(i64, i64)>) {
        let late = arrival.micros().saturating_sub(media);
        while self.least.back().is_some_and(|(_, it)| *it >= late) {
            self.least.pop_back();
        }
        self.least.push_back((media, late));
        while self.least.len() > 1 && self.least.front().is_some_and(|(at, _)| media - at > WINDOW) {
            self.least.pop_front();
        }
        let believed = |told: &i64| match self.choice {
            TimeSource::Auto => (told - arrival.micros()).abs() < BELIEVED,
            TimeSource::Source => true,
            TimeSource::Arrival => false,
        };
        if let Some((told, of)) = source {
            self.source = Some(told).filter(believed).map(|it| it.saturating_sub(of));
        }
        let Some(aim) = self.source.or_else(|| self.least.front().map(|(_, late)| *late)) else { return };
        let Some(offset) = self.offset else {
            (self.offset, self.at) = (Some(aim), media);
            return;
        };
        let passed = (media - self.at).clamp(0, WINDOW);
        let off = aim - offset;
        let most = if off.abs() > FAR { passed / FAR_SLEW } else { passed / SLEW };
        // A clock that is far behind is set at once: time may leap ahead, and only ahead.
        let by = if off > FAR { off } else { off.clamp(-most, most) };
        // Steps of less than a microsecond are kept for later.
        if by != 0 || off == 0 {
            self.at = media;
        }
        self.offset = Some(offset + by);
    }

    /// The wall time of a moment of the media.
    pub fn time(&self, media: i64) -> Timestamp {
        Timestamp::from_micros(media.saturating_add(self.offset.unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: i64 = 40_000;
    const NOW: i64 = 1_700_000_000 * SECOND;

    /// Follows `seconds` of a source whose media clock is `ppm` fast; packets come up to `jitter` late. Gives the largest error
    /// against `truth` after a minute.
    fn worst(
        seconds: i64,
        ppm: i64,
        jitter: i64,
        choice: TimeSource,
        source: impl Fn(i64) -> Option<i64>,
    ) -> i64 {
        let mut clock = WallClock::new(choice);
        let (mut worst, mut last) = (0, i64::MIN);
        for number in 0..seconds * 25 {
            let truth = NOW + number * FRAME;
            let media = number * FRAME + number * FRAME / 1_000_000 * ppm;
            let late = 20_000 + (number * 7_919 % 997) * jitter / 997;
            clock.observe(media, Timestamp::from_micros(truth + late), source(truth).map(|it| (it, media)));
            let told = clock.time(media).micros();
            assert!(told > last, "time goes on");
            last = told;
            if number > 60 * 25 {
                worst = worst.max((told - truth).abs());
            }
        }
        worst
    }

    #[test]
    fn a_day_by_the_sources_clock_is_exact_to_a_frame() {
        for ppm in [-200, -50, 0, 50, 200] {
            let off = worst(86_400, ppm, 200_000, TimeSource::Auto, Some);
            assert!(off < FRAME / 4, "{ppm} ppm: {off} µs");
        }
    }

    #[test]
    fn without_one_arrivals_tell_it_to_their_least_delay() {
        for ppm in [-100, 0, 100] {
            let off = worst(7_200, ppm, 300_000, TimeSource::Auto, |_| None);
            assert!(off < 20_000 + FRAME, "{ppm} ppm: {off} µs");
        }
    }

    #[test]
    fn a_clock_that_was_never_set_is_not_believed_unless_it_is_to_be() {
        let wrong = |truth: i64| Some(truth - 40 * 365 * 86_400 * SECOND);
        assert!(worst(600, 0, 1000, TimeSource::Auto, wrong) < FRAME);
        assert!(worst(600, 0, 1000, TimeSource::Source, wrong) > 86_400 * SECOND);
        let off_by_a_bit = |truth: i64| Some(truth + 5 * SECOND);
        assert!(worst(600, 0, 1000, TimeSource::Arrival, off_by_a_bit) < FRAME);
        assert!((worst(600, 0, 1000, TimeSource::Auto, off_by_a_bit) - 5 * SECOND).abs() < FRAME);
    }

    #[test]
    fn a_sender_report_that_comes_late_moves_time_gently() {
        // Half a second of delay on the way, told after ten seconds: led back at 1/160, not at once and not backwards.
        let mut clock = WallClock::new(TimeSource::Auto);
        let mut last = i64::MIN;
        let mut steps = Vec::new();
        for number in 0..25 * 120 {
            let truth = NOW + number * FRAME;
            let source = (number > 250).then_some((truth, number * FRAME));
            clock.observe(number * FRAME, Timestamp::from_micros(truth + 500_000), source);
            let told = clock.time(number * FRAME).micros();
            if last != i64::MIN {
                steps.push(told - last);
            }
            last = told;
        }
        assert!(steps.iter().all(|it| (FRAME - 300..=FRAME + 300).contains(it)));
        assert!((last - (NOW + (25 * 120 - 1) * FRAME)).abs() < 1000);
    }
}
