//! What a stream's last while looked like.

use crate::base::Timestamp;
use crate::base::time::SECOND;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};

/// Rates are of so much time.
const WINDOW: i64 = 5 * SECOND;
/// Pictures remembered for them at most.
const PICTURES: usize = 2000;

#[derive(Debug, Default)]
struct Inner {
    /// When each picture came.
    pictures: VecDeque<i64>,
    /// Bytes by tenths of a second.
    bytes: VecDeque<(i64, u64)>,
    last: Option<Timestamp>,
    keyframe: Option<i64>,
    gop: Option<f64>,
    latency: Option<i64>,
    drops: BTreeMap<&'static str, u64>,
    mended: BTreeMap<&'static str, u64>,
    format: String,
}

/// Counts and rates. Words are from closed sets.
#[derive(Debug, Default)]
pub struct Stats(Mutex<Inner>);

/// As it is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    pub fps: f64,
    /// Bits a second.
    pub bitrate: f64,
    pub gop_seconds: Option<f64>,
    pub last_frame_age: Option<f64>,
    /// From a picture's wall time to its arrival, in seconds.
    pub latency: Option<f64>,
    pub drops: BTreeMap<&'static str, u64>,
    pub mended: BTreeMap<&'static str, u64>,
    pub format: String,
}

impl Stats {
    /// A run begins; what is counted counts on.
    pub fn begin(&self, format: String) {
        let mut inner = self.0.lock();
        (inner.keyframe, inner.format) = (None, format);
    }

    pub fn sample(&self, bytes: usize, now: Timestamp) {
        let mut inner = self.0.lock();
        let slot = now.micros() / (SECOND / 10);
        match inner.bytes.back_mut() {
            Some((at, sum)) if *at == slot => *sum += bytes as u64,
            _ => inner.bytes.push_back((slot, bytes as u64)),
        }
        while inner.bytes.front().is_some_and(|(at, _)| slot - at > WINDOW / (SECOND / 10)) {
            inner.bytes.pop_front();
        }
    }

    /// `media`: its decoding time in microseconds; `shown`: its wall time.
    pub fn picture(&self, key: bool, media: i64, shown: Timestamp, now: Timestamp) {
        let mut inner = self.0.lock();
        inner.pictures.push_back(now.micros());
        while inner.pictures.len() > PICTURES
            || inner.pictures.front().is_some_and(|it| now.micros() - it > WINDOW)
        {
            inner.pictures.pop_front();
        }
        (inner.last, inner.latency) = (Some(now), Some(now - shown));
        if key {
            let before = inner.keyframe.replace(media);
            inner.gop =
                before.map(|it| (media - it) as f64 / SECOND as f64).filter(|it| *it > 0.0).or(inner.gop);
        }
    }

    pub fn dropped(&self, why: &'static str) {
        *self.0.lock().drops.entry(why).or_default() += 1;
    }

    pub fn mended(&self, what: &'static str) {
        *self.0.lock().mended.entry(what).or_default() += 1;
    }

    pub fn figures(&self, now: Timestamp) -> Figures {
        let inner = self.0.lock();
        let recent = |at: &i64| now.micros() - at <= WINDOW;
        let pictures: Vec<i64> = inner.pictures.iter().copied().filter(recent).collect();
        let fps = match (pictures.first(), pictures.last()) {
            (Some(first), Some(last)) if last > first => {
                (pictures.len() - 1) as f64 * SECOND as f64 / (last - first) as f64
            }
            _ => 0.0,
        };
        let slot = now.micros() / (SECOND / 10);
        let slots = inner.bytes.iter().filter(|(at, _)| slot - at <= WINDOW / (SECOND / 10));
        let (bytes, first) = slots.fold((0, slot), |(sum, first), (at, bytes)| (sum + bytes, first.min(*at)));
        let over = ((slot - first).max(10) as f64) / 10.0;
        Figures {
            fps,
            bitrate: bytes as f64 * 8.0 / over,
            gop_seconds: inner.gop,
            last_frame_age: inner.last.map(|it| (now - it) as f64 / SECOND as f64),
            latency: inner.latency.map(|it| it as f64 / SECOND as f64),
            drops: inner.drops.clone(),
            mended: inner.mended.clone(),
            format: inner.format.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_source() {
        let stats = Stats::default();
        let at = |frame: i64| Timestamp::from_micros(1_000 * SECOND + frame * 40_000);
        for frame in 0..250 {
            stats.sample(5_000, at(frame));
            stats.picture(frame % 50 == 0, frame * 40_000, at(frame) + -100_000, at(frame));
        }
        stats.dropped("backward");
        let now = at(249);
        let figures = stats.figures(now);
        assert!(
            (figures.fps - 25.0).abs() < 0.2 && (figures.bitrate - 1_000_000.0).abs() < 30_000.0,
            "{figures:?}"
        );
        assert_eq!(
            (figures.gop_seconds, figures.last_frame_age, figures.latency),
            (Some(2.0), Some(0.0), Some(0.1))
        );
        assert_eq!(figures.drops["backward"], 1);
        let later = stats.figures(now + 20 * SECOND);
        assert_eq!((later.fps, later.bitrate, later.last_frame_age), (0.0, 0.0, Some(20.0)));
    }
}
