use super::super::tests::{FRAME, epoch, frame_of_sound, picture, sound, video};
use super::*;
use crate::media::live::Track;
use proptest::prelude::*;

const TARGETS: Targets = Targets { segment: 2 * SECOND, part: SECOND };

/// What comes out, as a text a line: `stretch`, `segment`, `part LENGTH PICTURES SOUNDS`, with `!` where a keyframe is in it.
fn cut(targets: Targets, samples: &[(Arc<Epoch>, Sample)]) -> Vec<String> {
    let mut told = Vec::new();
    let mut say = |cut: Cut| {
        told.push(match cut {
            Cut::Stretch(it) => {
                format!("stretch {}{}", it.epoch.number, if it.audio.is_some() { " sound" } else { "" })
            }
            Cut::Segment(_) => "segment".to_owned(),
            Cut::Part(it) => {
                let key = if it.independent { "!" } else { "" };
                format!("part{key} {} {} {}", it.duration, it.video.len(), it.audio.len())
            }
            Cut::End => "end".to_owned(),
        });
    };
    let mut segmenter = Segmenter::new(targets);
    for (epoch, sample) in samples {
        segmenter.take(epoch, &Arc::new(sample.clone()), &mut say);
    }
    segmenter.end(&mut say);
    told
}

/// Pictures at a steady rate with a keyframe every `gop`.
fn pictures(epoch: &Arc<Epoch>, count: i64, length: i64, gop: i64) -> Vec<(Arc<Epoch>, Sample)> {
    (0..count).map(|it| (Arc::clone(epoch), picture(it * length, length, it % gop == 0))).collect()
}

fn parts(told: &[String]) -> Vec<&str> {
    told.iter().filter_map(|it| it.strip_prefix("part")).collect()
}

#[test]
fn segments_begin_with_keyframes_and_parts_end_before_their_target() {
    let it = epoch(0, vec![video()]);
    // 25 a second, a keyframe every second and a half; the first segments end with the first keyframes.
    let told = cut(TARGETS, &pictures(&it, 155, FRAME, 38));
    let whole = ["segment", "part! 1000000 25 0", "part 520000 13 0", "end"];
    let long =
        ["segment", "part! 1000000 25 0", "part! 1000000 25 0", "part 1000000 25 0", "part 40000 1 0", "end"];
    let rest = ["segment", "part! 120000 3 0", "end"];
    let expected: Vec<&str> = [&["stretch 0"][..], &whole, &whole, &long, &rest].concat();
    assert_eq!(told, expected);
}

#[test]
fn rates_that_do_not_divide_the_target_leave_parts_a_little_short() {
    let it = epoch(0, vec![video()]);
    for (length, gop, expected) in [
        (6_000, 30, vec!["! 1000000 15 0", " 1000000 15 0"]),
        (18_000, 10, vec!["! 1000000 5 0", " 1000000 5 0"]),
        // 24 a second and 11 a second: 0.959 and 0.909.
        (3_754, 48, vec!["! 959356 23 0", " 959355 23 0", " 83422 2 0"]),
        (8_182, 22, vec!["! 909111 10 0", " 909111 10 0", " 181822 2 0"]),
    ] {
        let told = cut(TARGETS, &pictures(&it, gop, length, gop));
        // The last is cut by the end of the stream, where the length of the last picture is what it said.
        assert_eq!(parts(&told), expected, "{length}");
    }
}

#[test]
fn a_picture_that_lasts_longer_than_it_said_goes_to_the_next_part() {
    let it = epoch(0, vec![video()]);
    let at = |millis: i64| millis * 90;
    let samples: Vec<_> = [0, 400, 800, 1300, 1700, 4500, 4600]
        .iter()
        .map(|millis| (Arc::clone(&it), picture(at(*millis), at(10), *millis == 0)))
        .collect();
    // From 800 to 1300 would be past the target; from 1700 on one picture is too long for any part, and is told as it is.
    let expected = ["! 800000 2 0", " 900000 2 0", " 2800000 1 0", " 110000 2 0"];
    assert_eq!(parts(&cut(TARGETS, &samples)), expected);
}

#[test]
fn pictures_behind_others_that_did_not_come_are_left_out_at_the_end() {
    let it = epoch(0, vec![video()]);
    // Shown in the order I, B, B, P, sent in that of I, P, B, B, a picture later than sent at least.
    let shown = [1, 4, 2, 3, 7, 5, 6, 10, 8, 9];
    for (count, whole) in [(1, 1), (2, 1), (3, 1), (4, 4), (5, 4), (6, 4), (7, 7), (8, 7), (10, 10)] {
        let sent = (0..count).map(|number| {
            let mut sample = picture(number as i64 * FRAME, FRAME, number == 0);
            sample.pts = shown[number] * FRAME;
            (Arc::clone(&it), sample)
        });
        let expected = format!("! {} {whole} 0", whole * 40_000);
        assert_eq!(parts(&cut(TARGETS, &sent.collect::<Vec<_>>())), [expected], "{count}");
    }
}

#[test]
fn a_stretch_lasts_as_long_as_a_picture_that_was_handed_out_before_others_that_did_not_come() {
    let it = epoch(0, vec![video()]);
    // As above; the second part ends with a P picture whose B pictures are the third's.
    for (count, third) in [(50, None), (51, Some(" 80000 1 0")), (52, Some(" 80000 2 0"))] {
        let sent = (0..count).map(|number| {
            let mut sample = picture(number * FRAME, FRAME, number == 0);
            sample.pts = match number {
                0 => FRAME,
                _ if number % 3 == 1 => (number + 3) * FRAME,
                _ => number * FRAME,
            };
            (Arc::clone(&it), sample)
        });
        let told = cut(TARGETS, &sent.collect::<Vec<_>>());
        let expected = ["! 1000000 25 0", if third.is_some() { " 1000000 25 0" } else { " 960000 24 0" }];
        assert_eq!(parts(&told), expected.into_iter().chain(third).collect::<Vec<_>>(), "{count}");
    }
}

#[test]
fn nothing_is_handed_out_before_the_first_keyframe() {
    let it = epoch(0, vec![video(), sound()]);
    let mut samples = vec![(Arc::clone(&it), frame_of_sound(0)), (Arc::clone(&it), picture(0, FRAME, false))];
    samples
        .extend([picture(FRAME, FRAME, true), frame_of_sound(2000)].map(|sample| (Arc::clone(&it), sample)));
    assert_eq!(cut(TARGETS, &samples), ["stretch 0 sound", "segment", "part! 40000 1 1", "end"]);
    let none = epoch(0, vec![Track { entry: None, ..video() }]);
    assert!(cut(TARGETS, &pictures(&none, 100, FRAME, 25)).is_empty(), "no form in MP4, no segments");
}

/// 25 pictures a second, and sound for the seconds that `heard` takes.
fn with_sound(it: &Arc<Epoch>, seconds: i64, heard: impl Fn(i64) -> bool) -> Vec<(Arc<Epoch>, Sample)> {
    let mut samples = Vec::new();
    for frame in 0..seconds * 25 {
        samples.push((Arc::clone(it), picture(frame * FRAME, FRAME, frame % 25 == 0)));
        // 1920 samples a picture.
        let until = (frame + 1) * 1920 / 1024;
        for sound in frame * 1920 / 1024..until {
            if heard(frame / 25) {
                samples.push((Arc::clone(it), frame_of_sound(sound * 1024)));
            }
        }
    }
    samples
}

#[test]
fn sound_goes_with_the_pictures_it_is_heard_with() {
    let it = epoch(0, vec![video(), sound()]);
    let told = cut(TARGETS, &with_sound(&it, 4, |_| true));
    assert_eq!(told[0], "stretch 0 sound");
    let sounds: Vec<i64> =
        parts(&told).iter().map(|it| it.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(sounds, [46, 47, 47, 47]);
}

#[test]
fn sound_fits_its_pictures_at_both_ends() {
    let it = epoch(0, vec![video(), sound()]);
    // Shown two pictures after they are decoded; sound is sent as the pictures beside it are decoded.
    let samples = with_sound(&it, 2, |_| true).into_iter().map(|(epoch, mut sample)| {
        sample.pts += if sample.track == 0 { 2 * FRAME } else { 0 };
        (epoch, sample)
    });
    let (mut leads, mut parts) = (Vec::new(), Vec::new());
    let mut keep = |cut: Cut| match cut {
        Cut::Stretch(it) => leads.push(it.lead),
        Cut::Part(it) => parts.push(it),
        _ => {}
    };
    let mut segmenter = Segmenter::new(TARGETS);
    samples.for_each(|(epoch, sample)| segmenter.take(&epoch, &Arc::new(sample), &mut keep));
    segmenter.end(&mut keep);
    assert_eq!(leads, [2 * FRAME]);
    // The first picture is shown after 80 ms; the frame from 64 ms on is the first that is heard with it.
    assert_eq!(parts[0].audio[0].dts, 3 * 1024);
    // The last picture is shown until 2.08 s.
    assert_eq!(parts.last().unwrap().audio_end, Some(48_000 * 208 / 100));
}

#[test]
fn silent_sound_blocks_nothing_and_is_not_told_of() {
    let it = epoch(0, vec![video(), sound()]);
    let told = cut(TARGETS, &with_sound(&it, 6, |_| false));
    assert_eq!((told[0].as_str(), parts(&told).len()), ("stretch 0", 6));
    assert_eq!(told.iter().filter(|it| it.starts_with("stretch")).count(), 1);
}

#[test]
fn sound_that_comes_late_or_falls_silent_is_another_stretch() {
    let it = epoch(0, vec![video(), sound()]);
    let told = cut(TARGETS, &with_sound(&it, 20, |second| (3..8).contains(&second)));
    let stretches: Vec<usize> = (0..told.len()).filter(|at| told[*at].starts_with("stretch")).collect();
    let names: Vec<&str> = stretches.iter().map(|at| told[*at].as_str()).collect();
    assert_eq!(names, ["stretch 0", "stretch 0 sound", "stretch 0"]);
    assert!(stretches[1..].iter().all(|at| told[at - 1] == "end" && told[at + 1] == "segment"));
    assert_eq!(parts(&told).len(), 20);
}

#[test]
fn silence_takes_the_place_of_sound_that_is_told_of() {
    let aac = || Track { config: bytes::Bytes::from_static(&[0x11, 0x90]), ..sound() };
    let it = epoch(0, vec![video(), aac()]);
    for heard in [&[][..], &[3, 4, 5, 6, 7], &[0, 1, 2, 9, 10, 11], &[0, 2, 4, 6, 8, 10]] {
        let samples = with_sound(&it, 12, |second| heard.contains(&second));
        let (mut stretches, mut parts, mut sounds) = (0, 0, Vec::new());
        let mut segmenter = Segmenter::new(TARGETS);
        let mut keep = |cut: Cut| match cut {
            Cut::Stretch(it) => stretches += usize::from(it.audio == Some(1)),
            Cut::Part(it) => {
                parts += 1;
                sounds.extend(it.audio);
            }
            _ => {}
        };
        samples
            .iter()
            .for_each(|(epoch, sample)| segmenter.take(epoch, &Arc::new(sample.clone()), &mut keep));
        segmenter.end(&mut keep);
        assert_eq!((stretches, parts), (1, 12), "{heard:?}: one head for all of it");
        // Without a hole from the first to the last, but for what is less than a frame.
        let steps: Vec<i64> = sounds.windows(2).map(|it| it[1].dts - it[0].dts).collect();
        assert!(sounds[0].dts < 1024 && steps.iter().all(|it| (1024..2048).contains(it)), "{steps:?}");
        assert!(sounds.last().unwrap().dts >= 12 * 48_000 - 2048);
        // Everything that came is there.
        let came = sounds.iter().filter(|it| it.data == "aac").count();
        assert_eq!(came, samples.iter().filter(|it| it.1.track == 1).count(), "{heard:?}");
    }
}

#[test]
fn sound_that_comes_much_later_than_its_pictures_is_waited_for() {
    let it = epoch(0, vec![video(), Track { config: bytes::Bytes::from_static(&[0x11, 0x90]), ..sound() }]);
    // Each frame is sent a second and a half after the pictures beside it.
    let (pictures, sounds): (Vec<_>, Vec<_>) =
        with_sound(&it, 20, |_| true).into_iter().partition(|it| it.1.track == 0);
    let mut all: Vec<_> = pictures.into_iter().map(|it| (it.1.dts * 8 / 15, it)).collect();
    all.extend(sounds.into_iter().map(|it| (it.1.dts + 72_000, it)));
    all.sort_by_key(|it| it.0);
    let mut came = Vec::new();
    let mut segmenter = Segmenter::new(TARGETS);
    for (_, (epoch, sample)) in &all {
        segmenter.take(epoch, &Arc::new(sample.clone()), |cut| {
            if let Cut::Part(it) = cut {
                came.extend(it.audio);
            }
        });
    }
    assert!(came.windows(2).all(|it| it[1].dts > it[0].dts), "each at a time of its own");
    let late: Vec<bool> = came.iter().map(|it| it.data == "aac").collect();
    assert!(late[late.len() - 500..].iter().all(|it| *it), "once that is known, all of it is heard");
}

#[test]
fn another_epoch_ends_what_is_open() {
    let (first, second) = (epoch(4, vec![video()]), epoch(5, vec![video()]));
    let mut samples = pictures(&first, 30, FRAME, 30);
    samples.extend(pictures(&second, 3, FRAME, 3));
    let expected = [
        "stretch 4",
        "segment",
        "part! 1000000 25 0",
        "part 200000 5 0",
        "end",
        "stretch 5",
        "segment",
        "part! 120000 3 0",
        "end",
    ];
    assert_eq!(cut(TARGETS, &samples), expected);
}

proptest! {
    #[test]
    fn parts_are_whole_and_add_up(
        steps in prop::collection::vec((prop_oneof![4 => 1000i64..9000, 1 => 1i64..200_000], any::<bool>()), 1..200),
        start in -(1i64 << 33)..1 << 33,
    ) {
        let it = epoch(0, vec![video()]);
        let mut dts = start;
        let mut samples = Vec::new();
        for (at, (step, key)) in steps.iter().enumerate() {
            samples.push(picture(dts, *step, at == 0 || *key));
            dts += step;
        }
        let (mut seen, mut total, mut open) = (0, 0, false);
        let mut check = |cut: Cut| match cut {
            Cut::Segment(_) => { assert!(!open); open = true; }
            Cut::End => { assert!(open); open = false; }
            Cut::Stretch(_) => {}
            Cut::Part(part) => {
                assert!(open && !part.video.is_empty());
                assert!(part.duration <= TARGETS.part || part.video.len() == 1, "{} of {}", part.duration, part.video.len());
                assert_eq!(part.independent, part.video.iter().any(|it| it.key));
                seen += part.video.len();
                total += part.duration;
            }
        };
        let mut segmenter = Segmenter::new(TARGETS);
        samples.iter().for_each(|one| segmenter.take(&it, &Arc::new(one.clone()), &mut check));
        segmenter.end(&mut check);
        prop_assert_eq!((seen, total), (samples.len(), TimeBase::MPEG.micros(dts - start)));
    }
}
