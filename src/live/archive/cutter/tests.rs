use super::*;
use crate::media::live::{Codec, Track, TrackKind};
use bytes::Bytes;
use proptest::prelude::*;

const LENGTHS: Lengths = Lengths { target: 2 * SECOND, longest: 60 * SECOND, bytes: 1 << 20 };
const BEGIN: i64 = 1_700_000_000 * SECOND + 437_000;

fn epoch() -> Epoch {
    let track = |kind, codec| Track {
        kind,
        codec,
        name: String::new(),
        time_base: TimeBase::MPEG,
        config: Bytes::new(),
        entry: None,
        codecs: String::new(),
        width: 0,
        height: 0,
        frame_rate: (0, 1),
        sample_rate: 0,
        channels: 0,
        frame_samples: 0,
    };
    let tracks = vec![track(TrackKind::Video, Codec::H264), track(TrackKind::Audio, Codec::Aac)];
    Epoch { number: 0, tracks, cause: "start" }
}

/// A picture or a frame of sound, with times in hundredths of a second.
fn sample(track: usize, dts: i64, pts: i64, duration: i64, key: bool) -> Arc<Sample> {
    let ticks = |it: i64| it * 900;
    let time = Timestamp::from_micros(BEGIN + pts * 10_000);
    let data = Bytes::from_static(b"0123456789");
    Arc::new(Sample {
        track,
        dts: ticks(dts),
        pts: ticks(pts),
        duration: ticks(duration) as u32,
        key,
        time,
        data,
    })
}

fn cut(samples: &[Arc<Sample>], lengths: Lengths, end: Option<SegmentKind>) -> Vec<Step> {
    let mut cutter = Cutter::new(&epoch(), lengths).unwrap();
    let mut out = Vec::new();
    samples.iter().for_each(|it| cutter.push(Arc::clone(it), &mut out));
    end.into_iter().for_each(|kind| cutter.finish(kind, &mut out));
    out
}

/// `B0 v0 v10 a5 E200f`: begins, pictures and sound by their PTS, ends by their length; times in hundredths.
fn told(steps: &[Step]) -> String {
    let word = |it: &Step| match it {
        Step::Begin(at) => format!("B{}", (at.micros() - BEGIN) / 10_000),
        Step::Sample(it) => format!("{}{}", if it.track == 0 { "v" } else { "a" }, it.pts / 900),
        Step::End { duration, kind } => format!("E{}{}", duration / 10_000, &kind.as_str()[..1]),
        Step::TooLong => "L".into(),
    };
    steps.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// Pictures each half second, a keyframe every `gop`.
fn pictures(count: i64, gop: i64) -> Vec<Arc<Sample>> {
    (0..count).map(|it| sample(0, it * 50, it * 50, 50, it % gop == 0)).collect()
}

#[test]
fn a_segment_ends_at_the_first_keyframe_late_enough() {
    let steps = cut(&pictures(9, 2), LENGTHS, Some(SegmentKind::Suspect));
    assert_eq!(told(&steps), "B0 v0 v50 v100 v150 E200f B200 v200 v250 v300 v350 E200f B400 v400 E50s");
    // Groups of 1.5 s make segments of 3 s, groups of 5 s of 5 s.
    let ends = |gop, count| {
        let steps = cut(&pictures(count, gop), LENGTHS, None);
        steps
            .iter()
            .filter(|it| matches!(it, Step::End { .. }))
            .map(|it| told(std::slice::from_ref(it)))
            .collect::<Vec<_>>()
    };
    assert_eq!(ends(3, 14), ["E300f", "E300f"]);
    assert_eq!(ends(10, 22), ["E500f", "E500f"]);
    // A frame too early is late enough.
    let close: Vec<_> = (0..9).map(|it| sample(0, it * 49, it * 49, 49, it % 4 == 0)).collect();
    assert!(told(&cut(&close, LENGTHS, None)).contains("E196f B196"));
}

#[test]
fn what_comes_before_the_first_keyframe_is_left_out() {
    let mut samples = vec![sample(1, 0, 0, 2, true), sample(0, 10, 10, 10, false)];
    samples.extend([sample(0, 20, 20, 10, true), sample(1, 20, 20, 2, true), sample(0, 30, 30, 10, false)]);
    assert_eq!(told(&cut(&samples, LENGTHS, Some(SegmentKind::Partial))), "B20 v20 a20 v30 E20p");
}

#[test]
fn pictures_shown_before_their_keyframe_begin_the_segment() {
    // I at 20, shown after two that are decoded after it.
    let pts = [0, 10, 220, 200, 210, 230];
    let mut samples: Vec<_> = (0..2).map(|it| sample(0, pts[it] - 20, pts[it], 10, it == 0)).collect();
    samples.extend((2..6).map(|it| sample(0, 180 + it as i64, pts[it], 10, it == 2)));
    assert_eq!(
        told(&cut(&samples, LENGTHS, Some(SegmentKind::Suspect))),
        "B0 v0 v10 E200f B200 v220 v200 v210 v230 E40s"
    );
}

#[test]
fn sound_goes_where_it_is_heard_whether_early_or_late() {
    let mut pictures: VecDeque<_> = pictures(10, 4).into();
    let sounds: Vec<_> = (0..45).map(|it| sample(1, it * 10, it * 10, 10, true)).collect();
    for ahead in [-80, -30, 0, 30, 90] {
        // Merged as if sound came so much earlier than its pictures.
        let mut samples: Vec<_> = pictures.iter().chain(&sounds).cloned().collect();
        samples.sort_by_key(|it| it.dts / 900 - if it.track == 1 { ahead } else { 0 });
        let steps = cut(&samples, LENGTHS, Some(SegmentKind::Full));
        let mut start = i64::MIN;
        for step in &steps {
            match step {
                Step::Begin(at) => start = (at.micros() - BEGIN) / 10_000,
                Step::Sample(it) if it.track == 1 => {
                    let at = it.pts / 900;
                    assert!((start..start + 200).contains(&at), "{at} in {start}, {ahead} ahead");
                }
                _ => {}
            }
        }
        let count = steps.iter().filter(|it| matches!(it, Step::Sample(it) if it.track == 1)).count();
        assert_eq!(count, 45, "{ahead} ahead");
    }
    pictures.truncate(6);
    // A track that was never heard is not waited for.
    let early = cut(pictures.make_contiguous(), LENGTHS, None);
    assert!(told(&early).contains("E200f B200 v200"));
    // One that fell silent is waited for a second.
    let mut samples: Vec<_> = sounds[..3].to_vec();
    samples.extend((0..100).map(|it| sample(0, it * 10, it * 10, 10, it % 20 == 0)));
    samples.sort_by_key(|it| it.dts);
    let at = |count: usize| told(&cut(&samples[..count], LENGTHS, None)).contains("E200f");
    assert_eq!((at(33), at(34)), (false, true));
}

#[test]
fn without_a_keyframe_a_segment_is_broken_off() {
    let lengths = Lengths { longest: 3 * SECOND, ..LENGTHS };
    let steps = cut(&pictures(22, 20), lengths, None);
    assert_eq!(told(&steps), "B0 v0 v50 v100 v150 v200 v250 v300 v350 E400p L B1000 v1000 v1050");
    let lengths = Lengths { bytes: 25, ..LENGTHS };
    assert!(told(&cut(&pictures(8, 8), lengths, None)).starts_with("B0 v0 v50 v100 E150p L"));
}

#[test]
fn a_clock_that_is_set_names_no_length_that_is_not_there() {
    let mut samples = pictures(6, 4);
    for it in &mut samples[4..] {
        let mut moved = Sample::clone(it);
        moved.time = moved.time + 700_000;
        *it = Arc::new(moved);
    }
    assert!(told(&cut(&samples, LENGTHS, None)).contains("E200f B270"), "a hole, not a stretched segment");
}

proptest! {
    #[test]
    fn every_sample_from_the_first_keyframe_on_is_in_one_segment(
        gops in prop::collection::vec(1usize..12, 1..12), lead in -20i64..20, step in 1i64..40,
    ) {
        let mut samples = Vec::new();
        let mut at = 0;
        for gop in &gops {
            for it in 0..*gop {
                samples.push(sample(0, at * step, at * step, step, it == 0));
                samples.push(sample(1, (at * step + lead).max(0) , (at * step + lead).max(0), step, true));
                at += 1;
            }
        }
        let steps = cut(&samples, LENGTHS, Some(SegmentKind::Suspect));
        let videos = steps.iter().filter(|it| matches!(it, Step::Sample(it) if it.track == 0)).count();
        prop_assert_eq!(videos as i64, at);
        let (mut open, mut end) = (false, None);
        for it in &steps {
            match it {
                Step::Begin(at) => {
                    prop_assert!(!open);
                    if let Some(end) = end {
                        prop_assert_eq!(*at, end);
                    }
                    (open, end) = (true, Some(*at));
                }
                Step::Sample(_) => prop_assert!(open),
                Step::End { duration, .. } => {
                    prop_assert!(open && *duration > 0);
                    (open, end) = (false, end.map(|it: Timestamp| it + *duration));
                }
                Step::TooLong => prop_assert!(false),
            }
        }
        prop_assert!(!open);
    }
}
