//! Timestamps over joins: from ticks to the wall and back, wraps, and where each clip lies in an output. Pure.

use crate::base::time::{ROUNDING_MICROS, SECOND, TimeBase};
use crate::base::{Span, Timestamp};

/// PTS and DTS of MPEG-TS have 33 bits and start over after 26.5 hours (H.222.0 §2.4.3.7).
const WRAP_BITS: u32 = 33;

/// How far the wall times of two clips and their timestamps may disagree before their timestamps are taken to be
/// of two different runs of the source. Archives truncate names to the millisecond, and the reference archive
/// holds gaps and overlaps of up to 10 ms inside one run; a frame at 60 fps lasts 16.7 ms.
const SAME_RUN_MICROS: i64 = 15_000;

/// Ties one clip's clock to the wall: the first frame shown, `ticks`, was shown at `wall`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    pub wall: Timestamp,
    pub ticks: i64,
    pub base: TimeBase,
}

impl Anchor {
    /// When `ticks` is on the wall, rounded down to the microsecond.
    pub fn wall_of(&self, ticks: i64) -> Timestamp {
        let numerator = i128::from(ticks - self.ticks) * i128::from(self.base.num) * i128::from(SECOND);
        self.wall + numerator.div_euclid(i128::from(self.base.den)) as i64
    }

    /// The last tick whose wall time is not after `instant`: a frame is on screen at `instant` if it is the last one
    /// that starts at or before this tick.
    pub fn ticks_at(&self, instant: Timestamp) -> i64 {
        // wall_of rounds down, so every tick that starts before the next microsecond counts.
        let numerator = i128::from(instant - self.wall + 1) * i128::from(self.base.den) - 1;
        let denominator = i128::from(self.base.num) * i128::from(SECOND);
        self.ticks + numerator.div_euclid(denominator) as i64
    }

    /// Whether a frame that starts at `ticks` belongs to a cut of `span`.
    pub fn is_inside(&self, ticks: i64, span: Span) -> bool {
        is_inside(self.wall_of(ticks), span)
    }
}

/// Whether a frame whose start is `start` belongs to a cut of `span`: `[start, end)`, where a boundary less than
/// half a millisecond after a frame's start means that start.
pub fn is_inside(start: Timestamp, span: Span) -> bool {
    let counts_from = |boundary: Timestamp| start.micros() > boundary.micros() - ROUNDING_MICROS;
    counts_from(span.start) && !counts_from(span.end)
}

/// `later - earlier` on a clock that starts over after 2^33 ticks, taken the short way round.
fn wrapped_difference(later: i64, earlier: i64) -> i64 {
    let (turn, half) = (1i64 << WRAP_BITS, 1i64 << (WRAP_BITS - 1));
    (later - earlier + half).rem_euclid(turn) - half
}

/// `raw`, 33 bits, on the turn of the clock that brings it nearest to `near`.
pub fn unwrapped(raw: i64, near: i64) -> i64 {
    near + wrapped_difference(raw, near)
}

/// Lays clips one after the other on the clock of an output, which starts at 0.
///
/// Clips of one run of the source keep the source's own spacing; across a hole or a restart the next clip starts
/// where the last picture before it ends.
#[derive(Debug)]
pub struct Joiner {
    base: TimeBase,
    last: Option<(Anchor, i64)>,
}

impl Joiner {
    pub fn new(base: TimeBase) -> Self {
        Self { base, last: None }
    }

    /// The output time of the clip's first frame, in ticks of the joiner's base. `joined` says that the archive has
    /// nothing missing between this clip and the one before; `content_end` is where the last picture before it ends, or
    /// where the first clip lies.
    pub fn place(&mut self, anchor: Anchor, joined: bool, content_end: i64) -> i64 {
        let at = match self.last {
            None => content_end,
            Some((before, offset)) => {
                let run = wrapped_difference(anchor.ticks, before.ticks);
                let on_wall = anchor.wall - before.wall;
                let same = joined
                    && anchor.base == before.base
                    && (anchor.base.micros(run) - on_wall).abs() <= SAME_RUN_MICROS;
                if same { offset + anchor.base.rescale(run, self.base) } else { content_end }
            }
        };
        self.last = Some((anchor, at));
        at
    }
}

/// Decoding times for pictures of `(pts, dts)` in decoding order: those given where they rise, otherwise moved as little
/// as keeps pictures apart; after `after`, before `before` and never after the picture is shown. `None` when there is no
/// room for them.
pub fn rising(times: &[(i64, i64)], after: Option<i64>, before: Option<i64>) -> Option<Vec<i64>> {
    // Half a frame at 60 fps, and less where there is no room.
    let mut apart = 750;
    while apart > 0 {
        // The latest each may be.
        let mut latest = vec![0; times.len()];
        let mut bound = before;
        for (at, (pts, _)) in times.iter().enumerate().rev() {
            latest[at] = bound.map_or(*pts, |bound| (bound - apart).min(*pts));
            bound = Some(latest[at]);
        }
        let mut last = after;
        let mut out = Vec::with_capacity(times.len());
        for ((_, dts), latest) in times.iter().zip(&latest) {
            // Times that rise by themselves may be nearer than that: a second field's, or of a high rate.
            let dts = (*dts).min(*latest);
            let earliest = last.map_or(dts, |last| if dts > last { dts } else { last + apart });
            if earliest > *latest {
                break;
            }
            out.push(earliest);
            last = Some(earliest);
        }
        if out.len() == times.len() {
            return Some(out);
        }
        apart /= 2;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ZERO: Timestamp = Timestamp::from_micros(1_731_156_300_437_000);

    fn anchor(ticks: i64) -> Anchor {
        Anchor { wall: ZERO, ticks, base: TimeBase::MPEG }
    }

    fn span(start: i64, end: i64) -> Span {
        Span::new(ZERO + start, ZERO + end)
    }

    #[test]
    fn a_boundary_just_after_a_start_means_that_start() {
        // The second frame at 30 fps starts at 33.333 ms.
        let it = anchor(900);
        let second = 900 + 3000;
        assert!(it.is_inside(second, span(33_333, 50_000)));
        assert!(it.is_inside(second, span(33_832, 50_000)), "0.499 ms after its start");
        assert!(!it.is_inside(second, span(33_833, 50_000)), "0.5 ms after its start");
        assert!(!it.is_inside(second, span(0, 33_333)));
        assert!(!it.is_inside(second, span(0, 33_832)), "an end just after its start leaves it out");
        assert!(it.is_inside(second, span(0, 33_833)));
        assert!(it.is_inside(second, span(33_000, 34_000)));
    }

    #[test]
    fn the_frame_on_screen_is_the_last_that_started() {
        let it = anchor(0);
        assert_eq!(it.ticks_at(ZERO), 0);
        assert!(it.ticks_at(ZERO + 33_332) < 3000);
        assert!(it.ticks_at(ZERO + 33_333) >= 3000, "33.333 ms names the start of 33.333… ms");
        assert!(it.ticks_at(ZERO + -1) < 0);
    }

    fn at(wall: i64, ticks: i64) -> Anchor {
        Anchor { wall: ZERO + wall, ticks, base: TimeBase::MPEG }
    }

    #[test]
    fn one_run_keeps_its_spacing_even_where_names_are_rounded() {
        let mut joiner = Joiner::new(TimeBase::MPEG);
        assert_eq!(joiner.place(at(0, 100), false, 0), 0);
        assert_eq!(joiner.place(at(2_002_000, 100 + 180_180), true, 180_180), 180_180);
        let early = joiner.place(at(4_003_000, 100 + 360_360), true, 360_360);
        assert_eq!(early, 360_360, "named a millisecond early");
    }

    #[test]
    fn a_wrap_does_not_break_a_run_and_a_restart_does() {
        let mut joiner = Joiner::new(TimeBase::MPEG);
        joiner.place(at(0, (1 << 33) - 90_000), false, 0);
        assert_eq!(joiner.place(at(2_000_000, 90_000), true, 180_000), 180_000);
        assert_eq!(joiner.place(at(4_000_000, 7_000), true, 359_000), 359_000, "the source restarted");
        assert_eq!(joiner.place(at(6_000_000, 187_000), true, 539_001), 359_000 + 180_000);
    }

    #[test]
    fn times_are_unwrapped_the_short_way_round() {
        let turn = 1i64 << WRAP_BITS;
        for (raw, near, want) in
            [(5, 3, 5), (2, turn - 1, turn + 2), (turn - 1, 2, -1), (7, 3 * turn, 3 * turn + 7)]
        {
            assert_eq!(unwrapped(raw, near), want);
        }
    }

    #[test]
    fn a_hole_is_closed_though_the_source_ran_on() {
        let mut joiner = Joiner::new(TimeBase::MPEG);
        joiner.place(at(0, 0), false, 0);
        assert_eq!(joiner.place(at(10_000_000, 900_000), false, 180_000), 180_000);
    }

    proptest! {
        #[test]
        fn decoding_times_rise(
            steps in prop::collection::vec((-4000i64..6000, 0i64..20_000), 1..60),
            after in prop::option::of(-20_000i64..0),
        ) {
            let mut dts = 0;
            let times: Vec<(i64, i64)> = steps.iter().map(|(step, ahead)| {
                dts += step;
                (dts + ahead, dts)
            }).collect();
            let Some(out) = rising(&times, after, None) else {
                // There was no room: even a tick apart, some picture comes too late.
                let mut last = after.unwrap_or(i64::MIN / 2);
                let fits = times.iter().enumerate().all(|(at, _)| {
                    let latest = times[at..].iter().enumerate().map(|(more, it)| it.0 - more as i64).min();
                    last += 1;
                    latest.is_some_and(|latest| latest >= last)
                });
                prop_assert!(!fits || after.is_none());
                return Ok(());
            };
            prop_assert!(out.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(after.is_none_or(|after| out[0] > after));
            prop_assert!(out.iter().zip(&times).all(|(out, (pts, _))| out <= pts));
            // Times that are right stay.
            if times.windows(2).all(|pair| pair[0].1 < pair[1].1) && after.is_none_or(|after| times[0].1 > after) && times.windows(2).all(|pair| pair[1].0 - pair[0].0 > 750) {
                prop_assert_eq!(out, times.iter().map(|it| it.1).collect::<Vec<_>>());
            }
        }
    }

    proptest! {
        #[test]
        fn wall_and_ticks_agree(ticks in -1_000_000_000i64..1_000_000_000, den in prop::sample::select(vec![90_000, 1000, 30_000, 25, 60, 48_000])) {
            let it = Anchor { wall: ZERO, ticks: 0, base: TimeBase::new(1, den) };
            let wall = it.wall_of(ticks);
            prop_assert!(it.ticks_at(wall) >= ticks);
            prop_assert!(it.wall_of(it.ticks_at(wall)) <= wall);
            prop_assert!(it.wall_of(it.ticks_at(wall) + 1) > wall);
        }

        #[test]
        fn adjoining_cuts_share_no_frame_and_lose_none(start in 0i64..5_000_000, first in 1i64..5_000_000, second in 1i64..5_000_000, frame in 0i64..400) {
            let it = anchor(0);
            let (middle, end) = (start + first, start + first + second);
            let ticks = frame * 3003;
            let parts = usize::from(it.is_inside(ticks, span(start, middle))) + usize::from(it.is_inside(ticks, span(middle, end)));
            prop_assert_eq!(parts, usize::from(it.is_inside(ticks, span(start, end))));
        }
    }
}
