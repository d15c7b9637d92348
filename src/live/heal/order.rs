//! Decoding times for pictures that only say when they are shown, as over RTP, and whose parameter sets do not say how far
//! they are reordered (H.264 §E.2.1, bitstream_restriction_flag).

use super::Times;
use crate::base::time::{SECOND, TimeBase};

/// Pictures whose order is looked at before it is believed.
const LOOKED_AT: usize = 7;
/// Packets that are held for it at most.
const HELD: usize = 64;
/// Pictures a decoder holds at most (H.264 §A.3.1).
const DEEPEST: usize = 16;

/// Follows the pictures of one track. `T` is what travels with the times.
#[derive(Debug)]
pub struct Order<T> {
    track: usize,
    base: TimeBase,
    /// From one picture to the next.
    step: i64,
    /// From the first keyframe on, until it is known how far pictures are reordered.
    held: Option<Vec<(Times, T)>>,
    /// Pictures that are decoded before one that is shown earlier.
    depth: usize,
    /// When the last pictures are shown, the earliest first: one more than `depth`.
    shown: Vec<i64>,
    /// Where the pictures began, and how many there were since: up to `depth`.
    begin: (i64, usize),
    /// The last time of decoding.
    last: Option<i64>,
}

impl<T> Order<T> {
    /// `step` is how far apart pictures are where they do not tell.
    pub fn new(track: usize, base: TimeBase, step: i64) -> Self {
        let step = step.max(1);
        Self {
            track,
            base,
            step,
            held: Some(Vec::new()),
            depth: 0,
            shown: Vec::new(),
            begin: (0, 0),
            last: None,
        }
    }

    /// Takes the next packet, and gives those that go on.
    pub fn take(&mut self, times: Times, payload: T) -> Vec<(Times, T)> {
        let Some(held) = &mut self.held else { return vec![(self.date(times), payload)] };
        if held.is_empty() && !(times.key && times.track == self.track) {
            return vec![(times, payload)];
        }
        let waited = held.first().map_or(0, |it| times.arrival.saturating_sub(it.0.arrival));
        held.push((times, payload));
        let pictures = held.iter().filter(|it| it.0.track == self.track).count();
        if pictures >= LOOKED_AT || held.len() >= HELD || waited >= SECOND {
            self.settle()
        } else {
            Vec::new()
        }
    }

    /// What is held goes on: nothing more comes, or enough was seen.
    pub fn settle(&mut self) -> Vec<(Times, T)> {
        let mut held = self.held.take().unwrap_or_default();
        let pictures = || held.iter().filter(|it| it.0.track == self.track);
        let told: Vec<i64> = pictures().filter_map(|it| it.0.pts).collect();
        let mut sorted = told.clone();
        sorted.sort_unstable();
        let apart = sorted.windows(2).map(|it| it[1] - it[0]).filter(|it| *it > 0).min();
        self.step = apart.unwrap_or(self.step);
        // The first packet over RTP has no time: it is shown before the others.
        if let (Some(first), Some(earliest)) = (held.first_mut(), sorted.first()) {
            first.0.pts.get_or_insert(earliest - self.step);
        }
        let all = held.iter().filter(|it| it.0.track == self.track).filter_map(|it| it.0.pts);
        let all: Vec<i64> = all.collect();
        let later = |at: usize| all[..at].iter().filter(|it| **it > all[at]).count();
        self.depth = (0..all.len()).map(later).max().unwrap_or(0).min(DEEPEST);
        if let Some(earliest) = all.iter().min() {
            self.begin = (*earliest, 0);
        }
        held.into_iter().map(|(times, payload)| (self.date(times), payload)).collect()
    }

    /// The times with that of decoding.
    fn date(&mut self, times: Times) -> Times {
        let Some(pts) = times.pts.filter(|_| times.track == self.track) else { return times };
        // Times that jump have no order with those before them. A picture may be shown as late as a decoder can hold it.
        let far = TimeBase::MICROS.rescale(SECOND, self.base).max(self.step * 2 * DEEPEST as i64);
        if self.shown.last().is_some_and(|last| pts.saturating_sub(*last).saturating_abs() > far) {
            self.shown.clear();
            self.begin = (pts, 0);
            self.last = None;
        }
        let at = self.shown.partition_point(|it| *it <= pts);
        self.depth = self.depth.max(self.shown.len() - at).min(DEEPEST);
        self.shown.insert(at, pts);
        let much = self.shown.len().saturating_sub(self.depth + 1);
        self.shown.drain(..much);
        let (begin, count) = self.begin;
        let dts = if count < self.depth && self.shown.len() <= self.depth {
            self.begin.1 += 1;
            begin - (self.depth - count) as i64 * self.step
        } else {
            self.shown[0]
        };
        // Where the order gets deeper the group is shown a little late, and nothing of it is lost.
        let dts = self.last.map_or(dts, |last| dts.max(last + 1));
        self.last = Some(dts);
        Times { dts: Some(dts), ..times }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order<usize> {
        Order::new(0, TimeBase::MPEG, 3600)
    }

    /// DTS of pictures shown at these places, a hundred ticks apart; `None` is told by none.
    fn dated(order: &mut Order<usize>, shown: &[Option<i64>]) -> Vec<(Option<i64>, Option<i64>)> {
        let times = |(number, at): (usize, &Option<i64>)| {
            let pts = at.map(|it| it * 100);
            let arrival = number as i64 * 40_000;
            (Times { track: 0, pts, dts: None, duration: 0, key: number == 0, arrival }, number)
        };
        let mut out = Vec::new();
        for (times, number) in shown.iter().enumerate().map(times) {
            out.extend(order.take(times, number));
        }
        out.extend(order.settle());
        assert!(out.iter().enumerate().all(|(at, it)| at == it.1), "in the order they came");
        out.into_iter().map(|it| (it.0.pts.map(|it| it / 100), it.0.dts.map(|it| it / 100))).collect()
    }

    fn decoded(shown: &[i64]) -> Vec<i64> {
        let shown: Vec<_> = shown.iter().map(|it| Some(*it)).collect();
        dated(&mut order(), &shown).into_iter().map(|it| it.1.unwrap()).collect()
    }

    #[test]
    fn decoding_goes_before_showing_by_as_much_as_it_must() {
        assert_eq!(decoded(&[0, 1, 2, 3, 4, 5, 6, 7, 8]), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(decoded(&[0, 3, 1, 2, 6, 4, 5, 9, 7, 8]), [-1, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        // A pyramid: two pictures wait for one.
        assert_eq!(decoded(&[0, 4, 2, 1, 3, 8, 6, 5, 7]), [-2, -1, 0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(decoded(&[0, 2]), [0, 2], "a source that ends");
    }

    #[test]
    fn the_first_picture_is_shown_before_the_others() {
        let found = dated(&mut order(), &[None, Some(3), Some(1), Some(2), Some(6), Some(4), Some(5)]);
        assert_eq!((found[0], found[1]), ((Some(0), Some(-1)), (Some(3), Some(0))));
    }

    #[test]
    fn what_comes_before_the_first_keyframe_does_not_wait() {
        let times = Times { track: 0, pts: Some(1), dts: None, duration: 0, key: false, arrival: 0 };
        let mut order = order();
        assert_eq!(order.take(times, 1).len(), 1);
        assert_eq!(order.take(Times { key: true, ..times }, 2).len(), 0);
        assert_eq!(order.take(Times { track: 1, ..times }, 3).len(), 0, "sound waits for its picture");
        let late = Times { track: 1, arrival: SECOND, ..times };
        assert_eq!(order.take(late, 4).len(), 3, "and not longer than a second");
    }

    #[test]
    fn deeper_orders_are_learnt_and_jumps_forgotten() {
        let mut shown: Vec<i64> = (0..8).collect();
        shown.extend([10, 8, 9, 13, 11, 12]);
        let times = decoded(&shown);
        assert_eq!(times[..8], [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(times[11..], [10, 11, 12], "one later from then on");
        for jump in [-5_000_000, 5_000_000] {
            let shown = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8];
            let shown: Vec<i64> = shown.iter().copied().chain(shown.iter().map(|it| it + jump)).collect();
            let times = decoded(&shown);
            assert_eq!(times[10..], [-1, 0, 1, 2, 3, 4, 5, 6, 7, 8].map(|it| it + jump));
        }
    }
}
