//! Times for units that the stream gives none: second fields, and pictures that share a PES packet.

use super::AccessUnit;

/// What is known of a unit's place in time beside its PES packet.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// See [`super::syntax::Picture`].
    pub order: Option<i64>,
    pub sequence: u32,
    pub field: bool,
}

/// Ticks of 90 kHz a frame is taken to last when nothing tells: 25 a second.
const DEFAULT_FRAME: i64 = 3600;
/// No frame is taken to last longer: 10 seconds, in ticks.
const LONGEST_FRAME: i64 = 900_000;
/// A time reckoned further from its neighbour than this is none: half the clock's turn.
const FARTHEST: i64 = 1 << 32;

/// Fills in the times of units marked `estimated`. `frame` is how long a frame lasts in ticks, where a parameter set
/// says so.
pub fn fill(units: &mut [AccessUnit], timing: &[Timing], frame: Option<i64>) {
    if !units.iter().any(|it| it.estimated) {
        return;
    }
    let real = |it: &i64| (1..=LONGEST_FRAME).contains(it);
    let frame = frame.filter(real).or_else(|| usual_step(units).filter(real)).unwrap_or(DEFAULT_FRAME);
    fill_decoding(units, timing, frame);
    let (rise, run) = slope(units, timing).unwrap_or((frame, 2));
    // The nearest unit before with a time, or else the next after.
    let mut anchor: Option<usize> = None;
    let mut next = 0;
    for index in 0..units.len() {
        if !units[index].estimated {
            anchor = Some(index);
            continue;
        }
        let same = |other: usize| {
            let (own, its) = (timing[index], timing[other]);
            (own.sequence == its.sequence)
                .then(|| Some(own.order? - its.order?))
                .flatten()
                .map(|it| (other, it))
        };
        let found = anchor.and_then(same).or_else(|| {
            next = next.max(index);
            while next < units.len() && units[next].estimated {
                next += 1;
            }
            if next < units.len() { same(next) } else { None }
        });
        let reckoned = found.and_then(|(other, steps)| {
            let after = steps.saturating_mul(rise).div_euclid(run);
            (after.abs() <= FARTHEST).then(|| units[other].pts + after)
        });
        units[index].pts = reckoned.unwrap_or(units[index].dts);
    }
}

/// DTS run on from the unit before; those before the first known one run back from it.
fn fill_decoding(units: &mut [AccessUnit], timing: &[Timing], frame: i64) {
    let lasts = |index: usize| if timing[index].field { frame / 2 } else { frame };
    let first = units.iter().position(|it| !it.estimated).unwrap_or(0);
    for index in (0..first).rev() {
        units[index].dts = units[index + 1].dts - lasts(index);
    }
    for index in first + 1..units.len() {
        if units[index].estimated {
            units[index].dts = units[index - 1].dts + lasts(index - 1);
        }
    }
}

/// The usual distance between units that follow each other.
fn usual_step(units: &[AccessUnit]) -> Option<i64> {
    let mut steps: Vec<i64> = units
        .windows(2)
        .filter(|pair| !pair[0].estimated && !pair[1].estimated)
        .map(|pair| pair[1].dts - pair[0].dts)
        .filter(|it| *it > 0)
        .collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).copied()
}

/// Ticks to steps of the order, measured: encoders count frames by one or by two.
fn slope(units: &[AccessUnit], timing: &[Timing]) -> Option<(i64, i64)> {
    let mut before: Option<usize> = None;
    for index in (0..units.len()).filter(|it| !units[*it].estimated) {
        if let Some(other) = before.replace(index)
            && timing[index].sequence == timing[other].sequence
            && let (Some(to), Some(from)) = (timing[index].order, timing[other].order)
            && to != from
        {
            let (rise, run) = (units[index].pts - units[other].pts, to - from);
            if rise != 0 && (rise > 0) == (run > 0) {
                return Some((rise.abs(), run.abs()));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::index::{PictureType, UnitClass};

    fn unit(time: Option<(i64, i64)>) -> AccessUnit {
        let (pts, dts) = time.unwrap_or_default();
        AccessUnit {
            pts,
            dts,
            offset: 0,
            end: 0,
            skip: 0,
            size: 0,
            payload: 0,
            sets: 0,
            class: UnitClass::Other,
            picture_type: PictureType::P,
            reference: true,
            second_field: false,
            estimated: time.is_none(),
            damaged: false,
            parameter_set: 0,
        }
    }

    /// PTS and DTS, order, field.
    type Known = (Option<(i64, i64)>, i64, bool);

    fn filled(list: &[Known], frame: Option<i64>) -> Vec<(i64, i64)> {
        let mut units: Vec<AccessUnit> = list.iter().map(|it| unit(it.0)).collect();
        let timing: Vec<Timing> =
            list.iter().map(|it| Timing { order: Some(it.1), sequence: 0, field: it.2 }).collect();
        fill(&mut units, &timing, frame);
        units.iter().map(|it| (it.pts, it.dts)).collect()
    }

    #[test]
    fn times_come_from_the_order_of_display() {
        // I B B P with the time of the first only; then P with its own.
        let list = [
            (Some((9000, 0)), 6, false),
            (None, 2, false),
            (None, 4, false),
            (Some((18_000, 9000)), 12, false),
        ];
        assert_eq!(filled(&list, Some(3000)), [(9000, 0), (3000, 3000), (6000, 6000), (18_000, 9000)]);
        // The first units have none.
        let list = [(None, 0, false), (None, 2, false), (Some((6000, 6000)), 4, false)];
        assert_eq!(filled(&list, Some(3000)), [(0, 0), (3000, 3000), (6000, 6000)]);
    }

    #[test]
    fn a_second_field_is_half_a_frame_later() {
        let list = [(Some((0, 0)), 0, true), (None, 1, true), (Some((3600, 3600)), 2, true), (None, 3, true)];
        assert_eq!(filled(&list, Some(3600)), [(0, 0), (1800, 1800), (3600, 3600), (5400, 5400)]);
    }

    #[test]
    fn absurd_numbers_are_not_believed() {
        let list = [(Some((0, 0)), 0, false), (None, i64::MAX / 2, false), (None, i64::MIN / 2, false)];
        assert_eq!(filled(&list, Some(i64::MAX)), [(0, 0), (3600, 3600), (7200, 7200)]);
    }
}
