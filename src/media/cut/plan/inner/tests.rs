use super::super::tests::{TICKS, ZERO, index};
use super::super::{Joins, plan_aligned, plan_with};
use super::*;
use crate::base::Timestamp;
use crate::media::cut::sequence;
use crate::media::cut::sound::SoundFit;
use proptest::prelude::*;

/// What is odd about a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Odd {
    Nothing,
    Missing,
    Partial,
    Gap,
    Damaged,
    OpensWithoutKey,
    RecoveryPoint,
    ClockRestarts,
    EarlyKey,
    Silent,
    SoundBreaks,
    OtherSets,
    LaterName,
}

fn odd() -> impl Strategy<Value = Odd> {
    prop_oneof![
        12 => Just(Odd::Nothing),
        1 => prop::sample::select(vec![
            Odd::Missing, Odd::Partial, Odd::Gap, Odd::Damaged, Odd::OpensWithoutKey, Odd::RecoveryPoint,
            Odd::ClockRestarts, Odd::EarlyKey, Odd::Silent, Odd::SoundBreaks, Odd::OtherSets, Odd::LaterName,
        ]),
    ]
}

struct Segment {
    index: FrameIndex,
    wall: Timestamp,
    joined: bool,
    whole: bool,
}

/// Segments of `gops` groups of 12 pictures each.
fn segments(odds: &[Odd], gops: &[usize], order: usize, open: bool, sound: bool) -> Vec<Segment> {
    let (mut all, mut first, mut wall, mut joined) = (Vec::new(), 900_000, ZERO, false);
    for (odd, gops) in odds.iter().zip(gops) {
        if *odd == Odd::ClockRestarts {
            first -= 1_234_567;
        }
        let mut index = index(first, *gops, order, open, sound);
        let ticks = *gops as i64 * 12 * TICKS;
        let track = index.video.as_mut().unwrap();
        match odd {
            Odd::Gap => index.gaps = 1,
            Odd::Damaged => track.units[5].damaged = true,
            Odd::OpensWithoutKey => track.units[0].class = UnitClass::Other,
            Odd::RecoveryPoint => track.units[0].class = UnitClass::RecoveryPoint { frames: 0 },
            Odd::EarlyKey => track.units.iter_mut().skip(1).for_each(|it| it.pts -= 2 * TICKS),
            Odd::Silent => index.audio.iter_mut().for_each(|it| it.frames.clear()),
            Odd::SoundBreaks => index.audio.iter_mut().for_each(|it| {
                it.frames.iter_mut().skip(3).for_each(|it| it.pts += 50_000);
            }),
            Odd::OtherSets => track.sets.push(crate::media::index::ParameterSet::new(
                crate::media::index::SetKind::Sequence,
                1,
                vec![0x67],
            )),
            Odd::Nothing | Odd::Missing | Odd::Partial | Odd::ClockRestarts | Odd::LaterName => {}
        }
        if *odd == Odd::Missing {
            joined = false;
        } else {
            let name = wall + if *odd == Odd::LaterName { 12_000 } else { 0 };
            all.push(Segment { index, wall: name, joined, whole: *odd != Odd::Partial });
            joined = true;
        }
        first += ticks;
        wall = wall + TimeBase::MPEG.micros(ticks);
    }
    all
}

/// The same sources with inner ones as numbers, and how many those are.
fn condense<'a>(
    full: &[Source<'a>],
    hollow: &'a FrameIndex,
    inner: &'a mut Vec<Option<Inner>>,
    span: Span,
    reach: (i64, i64),
) -> (Vec<Source<'a>>, usize) {
    let mut streak = Streak::new(span, reach);
    inner.resize(full.len(), None);
    for (number, source) in full.iter().enumerate() {
        let before = number.checked_sub(1).map(|it| &full[it]);
        for (place, found) in streak.push(source, before) {
            inner[place] = Some(found);
        }
    }
    let count = inner.iter().flatten().count();
    let condensed = full.iter().zip(inner.iter()).map(|(source, inner)| match inner {
        Some(inner) => Source { index: hollow, inner: Some(inner), ..*source },
        None => *source,
    });
    (condensed.collect(), count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_plan_is_the_same_without_the_pictures_of_inner_segments(
        odds in prop::collection::vec(odd(), 1..16),
        gops in prop::collection::vec(1usize..9, 16),
        order in 0usize..4,
        open in any::<bool>(),
        sound in any::<bool>(),
        from in -1_000_000i64..8_000_000,
        length in 1i64..40_000_000,
        reach in (0i64..3_000_000, 0i64..3_000_000),
        (only_certain, opens_output) in any::<(bool, bool)>(),
    ) {
        let segments = segments(&odds, &gops, order, open, sound);
        prop_assume!(!segments.is_empty());
        let span = Span::new(ZERO + from, ZERO + (from + length));
        let full: Vec<Source<'_>> = segments.iter().map(|it| Source {
            index: &it.index,
            wall: it.wall,
            joined: it.joined,
            whole: it.whole,
            inner: None,
        }).collect();
        let (empty, mut inner) = (hollow(&segments[0].index), Vec::new());
        let (condensed, _) = condense(&full, &empty, &mut inner, span, reach);

        let joins = Joins { opens_output, only_certain, ..Joins::default() };
        for fit in [SoundFit::Nearest, SoundFit::Covering] {
            let plans = [&full, &condensed]
                .map(|it| plan_with(it, span, 180_000, (&[Some(180_700)], fit), &joins).map_err(|it| it.code));
            prop_assert_eq!(&plans[0], &plans[1]);
            let plans =
                [&full, &condensed].map(|it| plan_aligned(it, span, 0, &[], fit).map_err(|it| it.code));
            prop_assert_eq!(&plans[0], &plans[1]);
        }
        // What transitions leave, and what they take.
        let run = |it: &[Source<'_>]| sequence::run(it, 0..it.len(), span, reach).map_err(|it| it.code);
        prop_assert_eq!(run(&full), run(&condensed));
        let Ok(Some(run)) = run(&full) else { return Ok(()) };
        let (head, tail) = (run.span.start + reach.0, run.span.end + -reach.1);
        for span in [Span::new(head, tail), Span::new(span.start, head), Span::new(tail, span.end)] {
            if span.start >= span.end {
                continue;
            }
            let plans = [&full, &condensed]
                .map(|it| plan_with(it, span, 7, (&[], SoundFit::Nearest), &joins).map_err(|it| it.code));
            prop_assert_eq!(&plans[0], &plans[1]);
            prop_assert_eq!(
                sequence::outermost(&full, span, true),
                sequence::outermost(&condensed, span, true)
            );
        }
    }
}

#[test]
fn all_but_the_edges_of_a_long_range_are_inner() {
    let segments = segments(&[Odd::Nothing; 100], &[5; 100], 1, false, true);
    let span = Span::new(ZERO + 700_000, ZERO + 195_000_000);
    let full: Vec<Source<'_>> = segments
        .iter()
        .map(|it| Source { index: &it.index, wall: it.wall, joined: it.joined, whole: it.whole, inner: None })
        .collect();
    let (empty, mut inner) = (hollow(&segments[0].index), Vec::new());
    let (_, count) = condense(&full, &empty, &mut inner, span, (0, 0));
    assert!(count >= 90, "{count}");
}
