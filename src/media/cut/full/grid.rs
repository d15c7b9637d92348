//! Where the pictures of a range lie in the output, and how many stand for what is missing. Pure.

use super::packets::{Clock, Wanted};
use crate::base::time::TimeBase;
use crate::base::{Span, Timestamp};
use crate::media::cut::Holes;
use crate::media::timeline::is_inside;

/// Names a picture of a range; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    run: usize,
    /// False for the pictures that stand for what is missing before the run.
    real: bool,
    at: i64,
}

/// A picture's place: first `fill` pictures for what is missing, then it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    pub fill: i64,
    /// Of the picture itself, on the range's own clock, which starts at 0.
    pub at: i64,
    pub key: Key,
}

/// What is known of a range before its pictures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub span: Span,
    pub holes: Holes,
    /// Nothing covers the start, or the end.
    pub missing: (bool, bool),
}

pub struct Grid {
    range: Range,
    clock: Clock,
    /// Wall time of 0, once a picture is known.
    origin: Option<Timestamp>,
    /// Run, content time and place of its first picture.
    run: Option<(usize, i64, i64)>,
    /// Where the last picture ends.
    end: i64,
}

impl Grid {
    pub fn new(range: Range, clock: Clock) -> Self {
        Self { range, clock, origin: None, run: None, end: 0 }
    }

    fn fills(&self) -> bool {
        matches!(self.range.holes, Holes::Freeze | Holes::Black)
    }

    /// Pictures between two instants, rounded to the nearest whole number; none when the second is earlier.
    fn pictures(&self, micros: i64) -> i64 {
        let ticks = TimeBase::MICROS.rescale(micros.max(0), self.clock.base);
        (ticks + self.clock.step / 2) / self.clock.step
    }

    /// Wall time of the first place, when the first picture came on screen at `wall`: as many steps before it as would
    /// have counted from the start of the span.
    fn begin(&self, wall: Timestamp) -> Timestamp {
        if !self.fills() || !self.range.missing.0 {
            return wall;
        }
        let before = |count: i64| wall + -self.clock.base.micros(count * self.clock.step);
        let mut count = self.pictures(wall - self.range.span.start) + 1;
        while count > 0 && !is_inside(before(count), self.range.span) {
            count -= 1;
        }
        before(count)
    }

    /// Places the next picture.
    pub fn place(&mut self, it: Wanted) -> Placed {
        let (mut fill, mut run) = (0, self.run.filter(|run| run.0 == it.run));
        if run.is_none() {
            let origin = match self.origin {
                Some(origin) => origin,
                None => self.begin(it.wall),
            };
            self.origin = Some(origin);
            if self.fills() {
                fill = self.pictures(it.wall - (origin + self.clock.base.micros(self.end)));
            }
            // Without filling, a run begins where the one before it ends.
            run = Some((it.run, it.pts, self.end + fill * self.clock.step));
            self.run = run;
        }
        let (_, first, begin) = run.unwrap_or_default();
        let at = begin + it.pts - first;
        self.end = at + self.clock.step;
        Placed { fill, at, key: Key { run: it.run, real: true, at: it.pts } }
    }

    /// Where the last picture so far ends.
    pub fn end(&self) -> i64 {
        self.end
    }

    /// Pictures that are missing after the last one, or in all of a range that has none.
    pub fn rest(&self) -> i64 {
        if !self.fills() || !(self.range.missing.1 || self.origin.is_none()) {
            return 0;
        }
        let origin = self.origin.unwrap_or(self.range.span.start);
        let mut count = self.pictures(self.range.span.end - (origin + self.clock.base.micros(self.end)));
        // Rounding may be off by one; a picture counts when its start lies in the span.
        let inside = |count: i64| {
            is_inside(origin + self.clock.base.micros(self.end + count * self.clock.step), self.range.span)
        };
        while count > 0 && !inside(count - 1) {
            count -= 1;
        }
        while inside(count) {
            count += 1;
        }
        count
    }
}

impl Key {
    /// The key of the picture number `number` of those that stand for what is missing before `next`; after the last
    /// run where that is `None`.
    pub fn fill(next: Option<Key>, number: i64) -> Self {
        Self { run: next.map_or(usize::MAX, |it| it.run), real: false, at: number }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: Timestamp = Timestamp::from_micros(1_731_156_300_000_000);

    fn grid(holes: Holes, span: (i64, i64), missing: (bool, bool)) -> Grid {
        let span = Span::new(ZERO + span.0, ZERO + span.1);
        Grid::new(Range { span, holes, missing }, Clock { base: TimeBase::MPEG, step: 3000 })
    }

    /// A picture at 30 a second, `number` of them after the zero of the wall, on a content clock that leaves out `gap`.
    fn picture(number: i64, gap: i64, run: usize) -> Wanted {
        Wanted { pts: (number - gap) * 3000, wall: ZERO + number * 1_000_000 / 30, run }
    }

    #[test]
    fn what_is_skipped_leaves_no_trace() {
        let mut grid = grid(Holes::Skip, (0, 3_000_000), (false, true));
        for number in 0..30 {
            assert_eq!(grid.place(picture(number, 0, 0)).at, number * 3000);
        }
        let next = grid.place(picture(60, 30, 1));
        assert_eq!((next.fill, next.at), (0, 90_000));
        assert_eq!(grid.rest(), 0);
    }

    #[test]
    fn what_is_filled_keeps_the_time_of_the_wall() {
        let mut grid = grid(Holes::Black, (0, 3_000_000), (false, true));
        for number in 0..30 {
            grid.place(picture(number, 0, 0));
        }
        let next = grid.place(picture(60, 30, 1));
        assert_eq!((next.fill, next.at), (30, 180_000));
        assert_eq!(grid.place(picture(61, 30, 1)).at, 183_000);
        assert_eq!(grid.rest(), 28, "to 90 pictures in all");
    }

    #[test]
    fn a_source_that_comes_back_out_of_phase_drifts_by_less_than_a_picture() {
        let mut grid = grid(Holes::Freeze, (0, 60_000_000), (false, false));
        grid.place(picture(0, 0, 0));
        for run in 1..20 {
            // 2.99 s later each time.
            let wall = ZERO + run as i64 * 2_990_000;
            let placed = grid.place(Wanted { pts: run as i64 * 3000, wall, run });
            let off = TimeBase::MPEG.micros(placed.at) - run as i64 * 2_990_000;
            assert!(off.abs() <= 16_667, "{off} in run {run}");
        }
    }

    #[test]
    fn a_hole_at_the_start_is_filled_to_the_start() {
        for (start, fill) in [(0, 60), (10_000, 59), (33_333, 59), (1_000_000, 30), (1_990_000, 0)] {
            let mut grid = grid(Holes::Freeze, (start, 4_000_000), (true, false));
            let placed = grid.place(picture(60, 0, 0));
            assert_eq!((placed.fill, placed.at), (fill, fill * 3000), "{start}");
        }
        let mut whole = grid(Holes::Freeze, (10_000, 4_000_000), (false, false));
        assert_eq!(whole.place(picture(1, 0, 0)).fill, 0);
    }

    #[test]
    fn a_range_without_a_picture_is_as_long_as_it_is() {
        assert_eq!(grid(Holes::Black, (0, 2_000_000), (true, true)).rest(), 60);
        assert_eq!(grid(Holes::Black, (0, 2_010_000), (true, true)).rest(), 61);
        assert_eq!(grid(Holes::Skip, (0, 2_000_000), (true, true)).rest(), 0);
    }

    #[test]
    fn keys_are_in_the_order_of_the_pictures() {
        let key = |run, at| Key { run, real: true, at };
        let keys = [
            Key::fill(Some(key(0, 0)), 0),
            key(0, 0),
            key(0, 3000),
            Key::fill(Some(key(1, 9000)), 0),
            Key::fill(Some(key(1, 9000)), 1),
            key(1, 9000),
            Key::fill(None, 0),
        ];
        assert!(keys.is_sorted());
    }
}
