use super::*;
use crate::media::timeline::is_inside;
use proptest::prelude::*;

const TICKS: i64 = 3_600;
const MICROS: i64 = 40_000;
const ZERO: Timestamp = Timestamp::from_micros(1_731_156_300_437_000);

/// A run of pictures `from..to` of a source of 25 a second.
fn made(from: i64, to: i64) -> Run {
    let starts: Vec<Timestamp> = (from..to).map(|number| ZERO + number * MICROS).collect();
    Run {
        sources: 0..1,
        pictures: starts.len() as u64,
        span: Span::new(starts[0], ZERO + to * MICROS),
        frame: TICKS,
        head: starts.clone(),
        tail: starts,
    }
}

/// A range `[from, to)` of pictures, those of `missing` not there.
fn range(from: i64, to: i64, missing: &[Range<i64>]) -> Available {
    let mut runs: Vec<Run> = Vec::new();
    let mut at = from;
    for hole in missing {
        if hole.start.clamp(from, to) > at {
            runs.push(made(at, hole.start.clamp(from, to)));
        }
        at = at.max(hole.end);
    }
    if at < to {
        runs.push(made(at, to));
    }
    Available { span: Span::new(ZERO + from * MICROS, ZERO + to * MICROS), runs }
}

/// The pictures of a part, by number.
fn pictures(taken: &Taken, ranges: &[Available]) -> Vec<i64> {
    let starts = ranges[taken.range].runs[taken.run].head.iter();
    starts.filter(|at| is_inside(**at, taken.span)).map(|at| (*at - ZERO).div_euclid(MICROS)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_picture_is_lost_or_shown_twice(
        spans in prop::collection::vec((0i64..200, 2i64..120), 1..5),
        holes in prop::collection::vec((0i64..300, 1i64..40), 0..4),
        transitions in prop::collection::vec(prop::option::of(1i64..30), 4),
        policy in prop::sample::select(vec![Holes::Skip, Holes::Freeze, Holes::Black]),
    ) {
        let mut missing: Vec<Range<i64>> = holes.iter().map(|(from, length)| *from..from + length).collect();
        missing.sort_by_key(|it| it.start);
        let there = |number: &i64| !missing.iter().any(|hole| hole.contains(number));
        let ranges: Vec<Available> =
            spans.iter().map(|(from, length)| range(*from, from + length, &missing)).collect();
        prop_assume!(ranges.iter().all(|range| !range.runs.is_empty()));
        let wanted: Vec<Option<i64>> = transitions.iter().map(|it| it.map(|count| count * MICROS)).collect();
        let items = match sequence(&ranges, &wanted, policy) {
            Ok(items) => items,
            Err(error) => {
                prop_assert_eq!(error.code, "transition-too-long");
                // Some range is too short for its transitions, or has a hole at an end that one needs.
                let taken = |at: Option<usize>| {
                    at.filter(|at| at + 1 < ranges.len()).and_then(|at| transitions[at]).unwrap_or(0)
                };
                let short = ranges.iter().enumerate().any(|(number, range)| {
                    let (before, after) = (taken(number.checked_sub(1)), taken(Some(number)));
                    let (first, last) = (range.runs[0].pictures as i64, range.runs[range.runs.len() - 1].pictures as i64);
                    let one = range.runs.len() == 1;
                    let ends = (range.runs[0].span.start > range.span.start && before > 0 && policy != Holes::Skip)
                        || (range.runs[range.runs.len() - 1].span.end < range.span.end && after > 0 && policy != Holes::Skip);
                    before > first || after > last || (one && before + after > first) || ends
                });
                prop_assert!(short, "{}", error.detail);
                return Ok(());
            }
        };
        // In order, every picture of every range, those of a transition on either side of it.
        let mut seen: Vec<Vec<i64>> = vec![Vec::new(); ranges.len()];
        let (mut length, mut filled) = (0, 0);
        for item in &items {
            match item {
                Item::Range(taken) => {
                    let it = pictures(taken, &ranges);
                    prop_assert_eq!(it.len() as u64, taken.pictures);
                    length += it.len() as i64 * TICKS;
                    seen[taken.range].extend(it);
                }
                Item::Hole { range, pictures, ticks, .. } => {
                    prop_assert_eq!(*pictures as i64 * TICKS, *ticks);
                    length += ticks;
                    filled += *pictures as i64;
                    seen[*range].extend(std::iter::repeat_n(-1, *pictures as usize));
                }
                Item::Mix { transition, left, right } => {
                    prop_assert_eq!((left.range, right.range), (*transition, transition + 1));
                    prop_assert_eq!(left.pictures as i64 * MICROS, wanted[*transition].unwrap());
                    prop_assert_eq!(right.pictures, left.pictures);
                    length += left.pictures as i64 * TICKS;
                    seen[left.range].extend(pictures(left, &ranges));
                    seen[right.range].extend(pictures(right, &ranges));
                }
            }
        }
        let mut ideal_length = 0;
        for ((from, count), seen) in spans.iter().zip(&seen) {
            let ideal: Vec<i64> = (*from..from + count)
                .filter_map(|it| if there(&it) { Some(it) } else { (policy != Holes::Skip).then_some(-1) })
                .collect();
            prop_assert_eq!(seen, &ideal);
            ideal_length += ideal.len() as i64;
        }
        let used: i64 = transitions.iter().take(ranges.len() - 1).flatten().sum();
        prop_assert_eq!(length, (ideal_length - used) * TICKS);
        prop_assert!(policy != Holes::Skip || filled == 0);
    }
}

#[test]
fn a_transition_that_is_too_long_names_its_range() {
    let ranges = [range(0, 50, &[]), range(100, 125, &[]), range(0, 50, &[])];
    let wanted = |first: i64, second: i64| [Some(first * MICROS), Some(second * MICROS)];
    let refused = |first, second| sequence(&ranges, &wanted(first, second), Holes::Skip).unwrap_err().detail;
    assert!(sequence(&ranges, &wanted(12, 13), Holes::Skip).is_ok());
    assert_eq!(
        refused(13, 13),
        "transition 2 takes 0.52 seconds, but range 2 has 0.480 seconds without a hole left at its end"
    );
    assert_eq!(
        refused(26, 1),
        "transition 1 takes 1.04 seconds, but range 2 has 1.000 seconds without a hole at its start"
    );
}

#[test]
fn the_ends_of_a_span_count_whole_pictures() {
    // From the middle of picture 2 to the middle of picture 9 a source without holes has 3 to 9; here 5 and 6 are there.
    let span = Span::new(ZERO + 2 * MICROS + MICROS / 2, ZERO + 9 * MICROS + MICROS / 2);
    let items = sequence(&[Available { span, runs: vec![made(5, 7)] }], &[], Holes::Black).unwrap();
    let counts: Vec<u64> = items
        .iter()
        .map(|item| match item {
            Item::Hole { pictures, .. } => *pictures,
            Item::Range(taken) => taken.pictures,
            Item::Mix { .. } => 0,
        })
        .collect();
    assert_eq!(counts, [2, 2, 3]);
}
