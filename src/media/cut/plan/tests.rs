use super::*;
use crate::media::cut::sound::SoundFit;
use crate::media::index::{AudioCodec, AudioFrame, AudioTrack, PictureType};
use proptest::prelude::*;

pub(super) const TICKS: i64 = 3_000;
pub(super) const ZERO: Timestamp = Timestamp::from_micros(1_731_156_300_437_000);

/// Coding orders of one GOP of 12 pictures, by their number in display order.
const ORDERS: [[usize; 12]; 4] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    [0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 11, 10],
    [0, 4, 2, 1, 3, 8, 6, 5, 7, 11, 10, 9],
    [0, 8, 4, 2, 1, 3, 6, 5, 7, 11, 9, 10],
];

/// A segment of `gops` GOPs in the given order; `open` makes every keyframe but the first a recovery point.
pub(super) fn index(first: i64, gops: usize, order: usize, open: bool, sound: bool) -> FrameIndex {
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
        framing: 0,
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
            inner: None,
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
            inner: None,
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
    let sources = [Source { index: &index, wall: ZERO, joined: false, whole: true, inner: None }];
    let plan = plan(&sources, Span::new(ZERO, ZERO + 166_000), 0, &[], SoundFit::Nearest).unwrap();
    let encode =
        Piece::Encode { frames: vec![Place { source: 0, unit: 5 }], from: Place { source: 0, unit: 0 } };
    assert_eq!(plan.pieces, [Piece::Copy { source: 0, units: 0..4 }, encode]);
    assert_eq!((plan.copied, plan.encoded), (4, 1));
}

/// A stream of open groups of 12 pictures: a keyframe, `leads` pictures shown before it, then P and B in turn.
fn open_groups(
    first: i64,
    groups: usize,
    leads: usize,
    codec: VideoCodec,
    class: UnitClass,
    starts: bool,
) -> FrameIndex {
    let mut it = index(first, groups, 0, false, true);
    let track = it.video.as_mut().unwrap();
    track.codec = codec;
    let lead_class = if codec == VideoCodec::Hevc { UnitClass::Rasl } else { UnitClass::Other };
    for (number, unit) in track.units.iter_mut().enumerate() {
        let (group, place) = (number / 12, number % 12);
        // The stream's first keyframe is closed and has nothing before it.
        let leads = if starts && group == 0 { 0 } else { leads };
        let (shown, class, kind) = match place {
            0 if starts && group == 0 => (0, UnitClass::Idr, PictureType::I),
            0 => (leads, class, PictureType::I),
            _ if place <= leads => (place - 1, lead_class, PictureType::B),
            _ => {
                // Pairs of P and B after the leading pictures; a last one alone.
                let (pair, odd) = ((place - leads - 1) / 2, (place - leads - 1) % 2);
                let alone = leads + 1 + 2 * pair + 1 > 11;
                let shown = leads + 1 + 2 * pair + usize::from(odd == 0 && !alone);
                (shown, UnitClass::Other, if odd == 0 { PictureType::P } else { PictureType::B })
            }
        };
        unit.pts = first + (group * 12 + shown) as i64 * TICKS;
        unit.dts = first + number as i64 * TICKS - 5 * TICKS;
        (unit.class, unit.picture_type) = (class, kind);
        unit.reference = kind != PictureType::B;
    }
    it
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn open_groups_are_copied_and_only_their_leading_pictures_encoded(
        kind in 0usize..3,
        leads in 0usize..4,
        count in 1usize..5,
        opens_output in any::<bool>(),
        from in 0i64..4_000_000,
        length in 1i64..4_000_000,
    ) {
        let (codec, class) = [
            (VideoCodec::H264, UnitClass::RecoveryPoint { frames: 0 }),
            (VideoCodec::Hevc, UnitClass::Cra),
            (VideoCodec::Mpeg2, UnitClass::KeyOpen),
        ][kind];
        let indexes: Vec<FrameIndex> = (0..count)
            .map(|it| open_groups(900_000 + it as i64 * 36 * TICKS, 3, leads, codec, class, it == 0))
            .collect();
        let sources: Vec<Source<'_>> = indexes.iter().enumerate().map(|(number, index)| Source {
            index,
            wall: ZERO + TimeBase::MPEG.micros(number as i64 * 36 * TICKS),
            joined: number > 0,
            whole: true,
            inner: None,
        }).collect();
        let span = Span::new(ZERO + from, ZERO + (from + length));
        let anchor = Anchor { wall: ZERO, ticks: 0, base: TimeBase::MPEG };
        let wanted = (0..count as i64 * 36).filter(|it| anchor.is_inside(it * TICKS, span)).count();
        let joins = Joins { opens_output, ..Joins::default() };
        let Ok(plan) = plan_with(&sources, span, 180_000, (&[], SoundFit::Nearest), &joins) else {
            prop_assert_eq!(wanted, 0);
            return Ok(());
        };
        let mut times: Vec<i64> = shown(&plan, &sources).iter().map(|(at, _)| *at).collect();
        times.sort_unstable();
        let ideal: Vec<i64> = (0..wanted as i64).map(|number| 180_000 + number * TICKS).collect();
        prop_assert_eq!(&times, &ideal);
        // A head of less than a group with the leading pictures of the next, and a tail that waits for one picture;
        // twice as much where copying may not start at the first keyframe.
        let head = if codec == VideoCodec::H264 && !opens_output { 24 } else { 12 };
        prop_assert!(plan.encoded as usize <= head + leads + 2 + leads, "{} of {wanted} encoded", plan.encoded);
        prop_assert_eq!(plan.doubtful.len(), usize::from(
            codec == VideoCodec::H264 && plan.pieces.iter().zip(std::iter::once(None).chain(plan.pieces.iter().map(Some)))
                .any(|(piece, before)| matches!(piece, Piece::Copy { source, units }
                    if indexes[*source].video.as_ref().unwrap().units[units.start].class == class
                        && !matches!(before, Some(Piece::Copy { .. } | Piece::Whole { .. }))))
        ));
        // After something else than its source has there, a keyframe is not followed by what leads it.
        let mut before: Option<Place> = None;
        for piece in &plan.pieces {
            if let Piece::Copy { source, units } = piece {
                let all = &indexes[*source].video.as_ref().unwrap().units;
                let goes_on = before.is_some_and(|it| it == Place { source: *source, unit: units.start.wrapping_sub(1) }
                    || units.start == 0 && it.source + 1 == *source);
                let key = all[units.start];
                let starts = key.class.is_random_access() && !goes_on;
                prop_assert!(!starts || all[units.clone()].iter().all(|it| it.pts >= key.pts));
                before = Some(Place { source: *source, unit: units.end - 1 });
            } else if let Piece::Whole { source } = piece {
                before = Some(Place { source: *source, unit: 35 });
            }
        }
    }
}

#[test]
fn a_gradual_refresh_is_decoded_from_where_it_is_through() {
    let mut index = index(900_000, 3, 0, false, false);
    for (number, unit) in index.video.as_mut().unwrap().units.iter_mut().enumerate() {
        unit.class = match number {
            0 => UnitClass::Idr,
            12 | 24 => UnitClass::RecoveryPoint { frames: 11 },
            _ => UnitClass::Other,
        };
    }
    let sources = [Source { index: &index, wall: ZERO, joined: false, whole: true, inner: None }];
    let cut = |from: i64| {
        plan(&sources, Span::new(ZERO + from, ZERO + 1_100_000), 0, &[], SoundFit::Nearest).unwrap()
    };
    let begins = |plan: &RangePlan| match &plan.pieces[..] {
        [Piece::Encode { from, .. }] => from.unit,
        other => panic!("{other:?}"),
    };
    // Picture 22 comes 10 references after the recovery point at 12, picture 23 comes 11.
    assert_eq!((begins(&cut(733_334)), begins(&cut(766_667))), (0, 12));
    // Without anything before it, the pictures until then cannot be shown.
    let mut later = index.clone();
    later.video.as_mut().unwrap().units.drain(..12);
    let sources = [Source { index: &later, wall: ZERO, joined: false, whole: true, inner: None }];
    let it = plan(&sources, Span::new(ZERO, ZERO + 1_000_000), 0, &[], SoundFit::Nearest).unwrap();
    assert_eq!((it.encoded, it.first.unit), (13, 11));
}

#[test]
fn a_barred_join_is_not_tried_again() {
    let class = UnitClass::RecoveryPoint { frames: 0 };
    let index = open_groups(900_000, 4, 2, VideoCodec::H264, class, true);
    let sources = [Source { index: &index, wall: ZERO, joined: false, whole: true, inner: None }];
    let span = Span::new(ZERO + 100_000, ZERO + 1_600_000);
    let mut joins = Joins::default();
    let mut starts = Vec::new();
    loop {
        let plan = plan_with(&sources, span, 0, (&[], SoundFit::Nearest), &joins).unwrap();
        let Some(place) = plan.doubtful.first() else { break };
        starts.push(place.unit);
        joins.barred.insert(*place);
    }
    assert_eq!(starts, [12, 24, 36]);
    joins = Joins { only_certain: true, ..Joins::default() };
    assert!(plan_with(&sources, span, 0, (&[], SoundFit::Nearest), &joins).unwrap().doubtful.is_empty());
}

#[test]
fn pictures_of_another_format_are_encoded_by_themselves() {
    let mut index = index(900_000, 2, 0, false, false);
    let track = index.video.as_mut().unwrap();
    for number in 0..2u8 {
        let set = crate::media::index::ParameterSet::new(
            crate::media::index::SetKind::Sequence,
            0,
            vec![0x67, number],
        );
        track.sets.push(set);
        track.states.push(crate::media::index::ParameterState {
            sets: vec![number.into()],
            active: Some(number.into()),
            format: Default::default(),
        });
    }
    track.units[12..].iter_mut().for_each(|unit| unit.parameter_set = 1);
    let sources = [Source { index: &index, wall: ZERO, joined: false, whole: false, inner: None }];
    let plan = plan(&sources, Span::new(ZERO, ZERO + 10_000_000), 0, &[], SoundFit::Nearest).unwrap();
    let counts = plan.pieces.iter().map(|piece| match piece {
        Piece::Encode { frames, from } => (from.unit, frames.len()),
        other => panic!("{other:?}"),
    });
    assert_eq!(counts.collect::<Vec<_>>(), [(0, 12), (12, 12)]);
}

#[test]
fn a_picture_shorter_than_a_packet_is_heard_in_one() {
    let mut index = index(900_000, 2, 0, false, true);
    // 90 pictures a second.
    for unit in &mut index.video.as_mut().unwrap().units {
        (unit.pts, unit.dts) = (900_000 + (unit.pts - 900_000) / 3, 900_000 + (unit.dts - 900_000) / 3);
    }
    let sources = [Source { index: &index, wall: ZERO, joined: false, whole: true, inner: None }];
    let single = |number: i64, at: i64, ends: &[Option<i64>]| {
        let from = ZERO + TimeBase::MPEG.micros(number * 1_000);
        plan(&sources, Span::new(from, from + 11_000), at, ends, SoundFit::Nearest).unwrap()
    };
    let frames = |plan: &RangePlan| plan.sound.iter().map(|it| it.frames.len()).sum::<usize>();
    for number in 0..24 {
        let plan = single(number, 180_000, &[]);
        assert_eq!((frames(&plan), plan.sound.len()), (1, 1), "picture {number}");
        let sound = &index.audio[0].frames[plan.sound[0].frames.start];
        let (from, to) = (sound.pts + plan.shifts[0], sound.pts + plan.shifts[0] + 1_920);
        assert!(to.min(181_000) - from.max(180_000) >= 500, "picture {number} is heard from {from} on");
        assert_eq!(plan.sound_ends, [Some(to)]);
    }
    // One after the other, they are heard as one.
    let (mut at, mut ends, mut taken) = (180_000, Vec::new(), 0);
    for number in (0..24).rev() {
        let plan = single(number, at, &ends);
        taken += frames(&plan);
        (at, ends) = (plan.end, plan.sound_ends.clone());
        assert!((ends[0].unwrap() - at).abs() <= 1_920);
    }
    assert!((12..=13).contains(&taken), "{taken} packets for 24000 ticks");
}

#[test]
fn silence_before_a_range_is_not_made_good() {
    let mut index = index(900_000, 6, 0, false, true);
    // Sound begins a second in.
    index.audio[0].frames.retain(|frame| frame.pts >= 990_000);
    let sources = [Source { index: &index, wall: ZERO, joined: false, whole: true, inner: None }];
    let cut = |from: i64, at: i64, ends: &[Option<i64>]| {
        let span = Span::new(ZERO + from, ZERO + (from + 500_000));
        plan(&sources, span, at, ends, SoundFit::Nearest).unwrap()
    };
    let silent = cut(200_000, 180_000, &[]);
    assert!(silent.sound.is_empty());
    let heard = cut(1_500_000, silent.end, &silent.sound_ends);
    let first = index.audio[0].frames[heard.sound[0].frames.start].pts + heard.shifts[0];
    assert!((first - heard.start).abs() <= 960, "{first} instead of {}", heard.start);
}
