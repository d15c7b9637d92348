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

/// Fills in the times of units marked `estimated`. `frame` is how long a frame lasts in ticks, where a parameter set
/// says so.
pub fn fill(units: &mut [AccessUnit], timing: &[Timing], frame: Option<i64>) {
    if !units.iter().any(|it| it.estimated) {
        return;
    }
    let frame = frame.or_else(|| usual_step(units)).unwrap_or(DEFAULT_FRAME);
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
        units[index].pts = match found {
            Some((other, steps)) => {
                units[other].pts.saturating_add(steps.saturating_mul(rise).div_euclid(run))
            }
            None => units[index].dts,
        };
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
