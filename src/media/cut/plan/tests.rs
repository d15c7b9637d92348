use super::*;
use crate::media::cut::sound::SoundFit;
use crate::media::index::{AudioCodec, AudioFrame, AudioTrack, PictureType};
use proptest::prelude::*;

const TICKS: i64 = 3_000;
const ZERO: Timestamp = Timestamp::from_micros(1_731_156_300_437_000);

/// Coding orders of one GOP of 12 pictures, by their number in display order.
const ORDERS: [[usize; 12]; 4] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    [0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 11, 10],
    [0, 4, 2, 1, 3, 8, 6, 5, 7, 11, 10, 9],
    [0, 8, 4, 2, 1, 3, 6, 5, 7, 11, 9, 10],
];

/// A segment of `gops` GOPs in the given order; `open` makes every keyframe but the first a recovery point.
fn index(first: i64, gops: usize, order: usize, open: bool, sound: bool) -> FrameIndex {
    let mut units = Vec::new();
    for gop in 0..gops {
        for (place, shown) in ORDERS[order].iter().enumerate() {
            let class = match (place, gop) {
                (0, 0) => UnitClass::Idr,
                (0, _) if open => UnitClass::RecoveryPoint { frames: 0 },
                (0, _) => UnitClass::Idr,
                _ => UnitClass::Other,
            };
            units.push(AccessUnit {
                pts: first + (gop * 12 + shown) as i64 * TICKS,
                dts: first + (gop * 12 + place) as i64 * TICKS - 8 * TICKS,
                offset: 0,
                end: 0,
                skip: 0,
                size: 1,
                payload: 1,
                sets: 0,
                class,
                picture_type: PictureType::P,
                reference: true,
                second_field: false,
                estimated: false,
                damaged: false,
                parameter_set: 0,
            });
        }
    }
    let length = gops as i64 * 12 * TICKS;
    // Sound runs ahead of the pictures, as muxers interleave it.
    let frames = (0..length / 1920).map(|number| AudioFrame {
        pts: first - 4_000 + number * 1920,
        offset: 0,
        skip: 0,
        size: 1,
        samples: 1024,
    });
    let audio = AudioTrack {
        pid: 257,
        stream_type: 15,
        codec: AudioCodec::AacAdts,
        sample_rate: 48_000,
        channels: 2,
        samples_per_frame: 1024,
        object_type: 2,
        changes: false,
        head: [0; 8],
        frames: frames.collect(),
    };
    FrameIndex {
        bytes: 0,
        program: 1,
        pmt_pid: 4096,
        pcr_pid: 256,
        first_pcr: None,
        gaps: 0,
        program_changes: 0,
        video: Some(VideoTrack {
            pid: 256,
            stream_type: 27,
            codec: VideoCodec::H264,
            sets: Vec::new(),
            states: Vec::new(),
            units,
            scan: Default::default(),
            reorder: 0,
            has_b: false,
        }),
        audio: if sound { vec![audio] } else { Vec::new() },
    }
}

/// Every picture of a plan in output order, with its output time, and how many were encoded.
fn shown(plan: &RangePlan, sources: &[Source<'_>]) -> Vec<(i64, bool)> {
    let time = |place: Place| {
        sources[place.source].index.video.as_ref().unwrap().units[place.unit].pts + plan.shifts[place.source]
    };
    let mut all = Vec::new();
    for piece in &plan.pieces {
        match piece {
            Piece::Whole { source } => {
                let units = sources[*source].index.video.as_ref().unwrap().units.len();
                all.extend((0..units).map(|unit| (time(Place { source: *source, unit }), false)));
            }
            Piece::Copy { source, units } => {
                all.extend(units.clone().map(|unit| (time(Place { source: *source, unit }), false)));
            }
            Piece::Encode { frames, from } => {
                assert!(frames.iter().all(|frame| frame >= from), "decoding starts too late");
                assert!(
                    frames.windows(2).all(|pair| time(pair[0]) < time(pair[1])),
                    "not in the order shown"
                );
                all.extend(frames.iter().map(|frame| (time(*frame), true)));
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_plan_holds_exactly_the_span(
        order in 0usize..4,
        gops in 1usize..4,
        count in 1usize..6,
        open in any::<bool>(),
        sound in any::<bool>(),
        hole in prop::option::of(1usize..5),
        broken in prop::option::of(0usize..6),
        from in 0i64..6_000_000,
        length in 1i64..6_000_000,
    ) {
        let ticks = gops as i64 * 12 * TICKS;
        let micros = |segment: usize| TimeBase::MPEG.micros(segment as i64 * ticks);
        let indexes: Vec<FrameIndex> =
            (0..count).map(|it| index(900_000 + it as i64 * ticks, gops, order, open, sound)).collect();
        // A hole swallows two seconds before segment `hole`.
        let wall = |segment: usize| ZERO + micros(segment) + if hole.is_some_and(|at| segment >= at) { 2_000_000 } else { 0 };
        let sources: Vec<Source<'_>> = indexes.iter().enumerate().map(|(number, index)| Source {
            index,
            wall: wall(number),
            joined: number > 0 && hole != Some(number),
            whole: broken != Some(number),
        }).collect();
        let span = Span::new(ZERO + from, ZERO + (from + length));
        let wanted: usize = (0..count).map(|segment| {
            let anchor = Anchor { wall: wall(segment), ticks: 0, base: TimeBase::MPEG };
            (0..gops as i64 * 12).filter(|frame| anchor.is_inside(frame * TICKS, span)).count()
        }).sum();
        let plan = match plan(&sources, span, 180_000, &[], SoundFit::Nearest) {
            Ok(plan) => plan,
            Err(error) => {
                prop_assert_eq!((error.code, wanted), ("no-content", 0));
                return Ok(());
            }
        };
        let pictures = shown(&plan, &sources);
        prop_assert_eq!(pictures.len(), wanted);
        prop_assert_eq!((plan.copied + plan.encoded) as usize, wanted);
        prop_assert_eq!(pictures.iter().filter(|(_, encoded)| *encoded).count() as u64, plan.encoded);
        let mut times: Vec<i64> = pictures.iter().map(|(at, _)| *at).collect();
        times.sort_unstable();
        // Holes are closed: from the first picture on, one every tick.
        let ideal: Vec<i64> = (0..wanted as i64).map(|number| 180_000 + number * TICKS).collect();
        prop_assert_eq!(&times, &ideal);
        prop_assert_eq!(plan.end, 180_000 + wanted as i64 * TICKS);
        // Encoded pictures never lie between copied ones of the same GOP: pieces come out in the order they are shown.
        let mut latest = i64::MIN;
        for piece in plan.pieces.chunks(1) {
            let one = RangePlan { pieces: piece.to_vec(), ..plan.clone() };
            let times: Vec<i64> = shown(&one, &sources).into_iter().map(|(at, _)| at).collect();
            prop_assert!(times.iter().all(|at| *at > latest), "a piece is shown before the one before it ends");
            latest = times.into_iter().max().unwrap_or(latest);
        }
        // Only what the structure asks for is encoded: with closed GOPs, less than two a stretch.
        if !open && broken.is_none() {
            let stretches = 1 + u64::from(hole.is_some_and(|at| at < count));
            prop_assert!(plan.encoded <= stretches * 22, "{} encoded", plan.encoded);
        }
        // The parts hold every piece once.
        let parts: usize = plan.parts().iter().map(|part| match part {
            Part::Whole { .. } => 1,
            Part::Edge { pieces, .. } => pieces.len(),
        }).sum();
        prop_assert_eq!(parts, plan.pieces.len());
    }

    #[test]
    fn sound_stays_within_half_a_frame_over_many_ranges(cuts in prop::collection::vec((0i64..5_000_000, 100_000i64..2_000_000), 1..20)) {
        let indexes: Vec<FrameIndex> = (0..6).map(|it| index(900_000 + it * 36 * TICKS, 3, 1, false, true)).collect();
        let sources: Vec<Source<'_>> = indexes.iter().enumerate().map(|(number, index)| Source {
            index,
            wall: ZERO + TimeBase::MPEG.micros(number as i64 * 36 * TICKS),
            joined: number > 0,
            whole: true,
        }).collect();
        let (mut at, mut ends) = (180_000, Vec::new());
        for (from, length) in cuts {
            let span = Span::new(ZERO + from, ZERO + (from + length));
            let plan = plan(&sources, span, at, &ends, SoundFit::Nearest).unwrap();
            (at, ends) = (plan.end, plan.sound_ends.clone());
            let end = ends[0].unwrap();
            prop_assert!((end - at).abs() <= 960 + 1, "the sound ends {} ticks off", end - at);
        }
    }
}

#[test]
fn the_end_keeps_what_its_references_allow() {
    // Decoded 0 3 1 2 6 4 5 …; the first five pictures: 0 3 1 2 stay, 4 needs 6 and is encoded.
    let index = index(900_000, 1, 1, false, false);
    let sources = [Source { index: &index, wall: ZERO, joined: false, whole: true }];
    let plan = plan(&sources, Span::new(ZERO, ZERO + 166_000), 0, &[], SoundFit::Nearest).unwrap();
    let encode =
        Piece::Encode { frames: vec![Place { source: 0, unit: 5 }], from: Place { source: 0, unit: 0 } };
    assert_eq!(plan.pieces, [Piece::Copy { source: 0, units: 0..4 }, encode]);
    assert_eq!((plan.copied, plan.encoded), (4, 1));
}
