//! Twelve pictures a second with a keyframe each second, and what befalls them.

use super::*;

const STEP: i64 = 7_500;

fn shapes() -> [Shape; 2] {
    let sound = Shape { base: TimeBase::new(1, 48_000), video: false, duration: 1024 };
    [Shape { base: TimeBase::MPEG, video: true, duration: STEP }, sound]
}

fn picture(number: i64) -> Times {
    let dts = number * STEP;
    let arrival = TimeBase::MPEG.micros(dts);
    Times { track: 0, pts: Some(dts), dts: Some(dts), duration: STEP, key: number % 12 == 0, arrival }
}

#[derive(Default)]
struct Run {
    /// Number of the packet, its DTS, its PTS.
    kept: Vec<(i64, i64, i64)>,
    epochs: Vec<(i64, &'static str)>,
    dropped: Vec<(i64, &'static str)>,
    mended: Vec<(i64, &'static str)>,
}

fn run(packets: impl IntoIterator<Item = (i64, Times)>) -> Run {
    let mut healer = Healer::new(&shapes(), "start");
    let mut run = Run::default();
    let mut last = [i64::MIN; 2];
    for (number, times) in packets {
        let outcome = healer.take(times, number);
        run.dropped.extend(outcome.dropped.map(|why| (number, why)));
        run.mended.extend(outcome.mended.map(|what| (number, what)));
        for it in outcome.ready {
            assert!(
                it.dts > last[it.track] || it.begins.is_some(),
                "{number}: DTS {} after {}",
                it.dts,
                last[it.track]
            );
            assert!(it.pts >= it.dts && it.duration > 0);
            last[it.track] = it.dts;
            run.epochs.extend(it.begins.map(|why| (it.payload, why)));
            run.kept.push((it.payload, it.dts, it.pts));
        }
    }
    run
}

fn pictures(count: i64, change: impl Fn(i64, &mut Times)) -> Run {
    run((0..count).map(|number| {
        let mut times = picture(number);
        change(number, &mut times);
        (number, times)
    }))
}

/// Every picture is there, at its own place from the first.
fn whole(run: &Run, count: i64) {
    assert_eq!(run.kept.len() as i64, count, "{:?}", run.dropped);
    for (number, dts, _) in &run.kept {
        assert_eq!(*dts, run.kept[0].1 + number * STEP, "picture {number}");
    }
}

#[test]
fn good_packets_pass_as_they_are() {
    let run = pictures(60, |_, _| {});
    whole(&run, 60);
    assert_eq!((run.epochs, run.mended.len(), run.kept[0].1), (vec![(0, "start")], 0, 0));
}

#[test]
fn a_packet_that_came_late_is_left_out_alone() {
    let run = pictures(60, |number, it| {
        if number == 25 {
            (it.dts, it.pts) = (Some(STEP * 3), Some(STEP * 3));
        }
    });
    assert_eq!((run.kept.len(), run.dropped, run.epochs.len()), (59, vec![(25, "backward")], 1));
    let twice = pictures(60, |number, it| {
        if number == 25 {
            (it.dts, it.pts) = (Some(STEP * 24), Some(STEP * 24));
        }
    });
    assert_eq!(twice.dropped, vec![(25, "repeated")]);
}

#[test]
fn a_packet_that_jumps_ahead_alone_takes_nothing_with_it() {
    let run = pictures(60, |number, it| {
        if number == 35 {
            (it.dts, it.pts) = (Some(5 * 90_000), Some(5 * 90_000));
        }
    });
    whole(&run, 60);
    assert_eq!(run.epochs.len(), 1);
}

#[test]
fn jumps_of_the_clock_are_taken_out_and_large_ones_begin_an_epoch_at_the_next_keyframe() {
    for (name, jump, epochs) in [
        ("back 100 s", -100 * 90_000, vec![(0, "start"), (48, "timestamps")]),
        ("45 minutes", 2_700 * 90_000, vec![(0, "start"), (48, "timestamps")]),
        ("39 minutes back", -2_340 * 90_000, vec![(0, "start"), (48, "timestamps")]),
        ("ahead 5 s", 5 * 90_000, vec![(0, "start")]),
        ("33 bits ran over", -(1 << 33), vec![(0, "start")]),
        ("32 bits ran over", -(1 << 32), vec![(0, "start")]),
    ] {
        let run = pictures(90, |number, it| {
            if number >= 37 {
                (it.dts, it.pts) = (it.dts.map(|t| t + jump), it.pts.map(|t| t + jump));
            }
        });
        whole(&run, 90);
        assert_eq!(run.epochs, epochs, "{name}");
    }
}

#[test]
fn a_clock_that_went_back_a_little_costs_two_pictures() {
    let run = pictures(90, |number, it| {
        if number >= 37 {
            (it.dts, it.pts) = (it.dts.map(|t| t - 90_000), it.pts.map(|t| t - 90_000));
        }
    });
    assert_eq!(run.dropped, vec![(37, "backward"), (38, "backward")]);
    assert_eq!(run.kept.len(), 88);
    // At a keyframe nothing is lost: a picture that starts decoding is never left out.
    let run = pictures(90, |number, it| {
        if number >= 36 {
            (it.dts, it.pts) = (it.dts.map(|t| t - 90_000), it.pts.map(|t| t - 90_000));
        }
    });
    whole(&run, 90);
}

#[test]
fn a_hole_of_the_source_stays_a_hole() {
    // Three seconds in which nothing came, by the source's clock and by ours.
    let run = pictures(60, |number, it| {
        if number >= 30 {
            it.dts = it.dts.map(|t| t + 270_000);
            it.pts = it.dts;
            it.arrival += 3 * SECOND;
        }
    });
    assert_eq!((run.kept[30].1, run.kept.len(), run.mended.len()), (30 * STEP + 270_000, 60, 0));
}

#[test]
fn a_first_picture_without_times_is_shown_before_those_that_follow() {
    // One picture and two that are shown before it, over and over; decoding times are known from the sixth on.
    let shown = |number: i64| match number {
        0 => 0,
        it if it % 3 == 1 => it + 2,
        it => it - 1,
    };
    let run = pictures(30, |number, it| {
        it.pts = Some((shown(number) + 2) * STEP).filter(|_| number > 0);
        it.dts = it.dts.filter(|_| number > 5);
    });
    whole(&run, 30);
    for (number, dts, pts) in &run.kept {
        assert_eq!(pts - dts, (shown(*number) + 2 - number) * STEP, "picture {number}");
    }
}

#[test]
fn dts_that_are_missing_are_derived() {
    for range in [0..5, 0..7, 120..127, 50..54, 1..2, 0..1, 0..240] {
        let run = pictures(240, |number, it| {
            if range.contains(&number) {
                it.dts = None;
            }
        });
        whole(&run, 240);
        let bare = pictures(240, |number, it| {
            if range.contains(&number) {
                (it.dts, it.pts) = (None, None);
            }
        });
        whole(&bare, 240);
    }
}

#[test]
fn a_first_keyframe_is_put_before_the_second_picture() {
    for (name, pts, dts) in [
        ("none", None, None),
        ("far ahead", Some(1 << 40), Some(1 << 40)),
        ("far behind", Some(-(1 << 40)), Some(-(1 << 40))),
        ("the second's", Some(STEP), Some(STEP)),
    ] {
        let run = pictures(24, |number, it| {
            if number == 0 {
                (it.pts, it.dts) = (pts, dts);
            }
        });
        assert_eq!(run.kept[0], (0, 0, if name == "the second's" { STEP } else { 0 }), "{name}");
        assert_eq!(run.kept.len(), 24);
    }
    // With B-frames the first is shown later than it is decoded, and stays so.
    let run = pictures(24, |number, it| it.dts = Some(number * STEP - 2 * STEP));
    assert_eq!((run.kept[0], run.mended.len()), ((0, -2 * STEP, 0), 0));
}

#[test]
fn pictures_may_be_shown_in_another_order() {
    let run = pictures(24, |number, it| {
        it.dts = Some(number * STEP - 3 * STEP);
        it.pts = Some(number * STEP + [0, 2, -1, -1][number as usize % 4] * STEP);
    });
    assert_eq!((run.kept.len(), run.mended.len(), run.dropped.len()), (24, 0, 0));
}

#[test]
fn sound_before_the_first_keyframe_is_left_out() {
    let sound = |number: i64, at: i64| {
        let times = Times { track: 1, pts: Some(at), dts: Some(at), duration: 1024, key: true, arrival: 0 };
        (number, times)
    };
    let run = run([sound(100, 0), (0, picture(0)), sound(101, 1024), (1, picture(1)), sound(102, 2048)]);
    assert_eq!(run.dropped, vec![(100, "before-keyframe")]);
    assert_eq!(run.kept.iter().map(|it| it.0).collect::<Vec<_>>(), [0, 101, 1, 102]);
}

/// Pictures and sound as they come, each with its own times changed.
fn both(seconds: i64, change: impl Fn(i64, &mut Times)) -> Run {
    let mut all: Vec<Times> = (0..seconds * 12).map(picture).collect();
    all.extend((0..seconds * 48_000 / 1024).map(|number| {
        let dts = number * 1024;
        let arrival = TimeBase::new(1, 48_000).micros(dts);
        Times { track: 1, pts: Some(dts), dts: Some(dts), duration: 1024, key: true, arrival }
    }));
    all.sort_by_key(|it| it.arrival);
    run(all.into_iter().enumerate().map(|(number, mut times)| {
        change(times.arrival, &mut times);
        (number as i64, times)
    }))
}

#[test]
fn sound_stays_with_its_picture_through_a_jump() {
    let mut healer = Healer::new(&shapes(), "start");
    let mut apart = Vec::new();
    for second in 0..60 {
        let jump = if second >= 30 { 2_700 * SECOND } else { 0 };
        for part in 0..12 {
            let mut times = picture(second * 12 + part);
            let by = TimeBase::MICROS.rescale(jump, TimeBase::MPEG);
            (times.dts, times.pts) = (times.dts.map(|t| t + by), times.pts.map(|t| t + by));
            healer.take(times, ());
        }
        for part in 0..46 {
            let dts =
                second * 48_000 + part * 1024 + TimeBase::MICROS.rescale(jump, TimeBase::new(1, 48_000));
            let arrival = second * SECOND + part * 21_333;
            let times =
                Times { track: 1, pts: Some(dts), dts: Some(dts), duration: 1024, key: true, arrival };
            for it in healer.take(times, ()).ready.iter().filter(|_| part == 0) {
                apart.push(TimeBase::new(1, 48_000).micros(it.dts) - second * SECOND);
            }
        }
    }
    let (before, after) = (apart[20], apart[apart.len() - 1]);
    assert!((before - after).abs() < 60_000, "sound moved by {} µs against its picture", after - before);
}

#[test]
fn sound_that_strays_is_led_back_without_a_step() {
    // Times in whole milliseconds, as RTMP has them, and a clock that is off by a thousandth.
    let run = both(120, |arrival, it| {
        if it.track == 1 {
            let stray = arrival + arrival / 1000;
            it.dts = Some(TimeBase::new(1, 48_000).rescale(stray / 1000, TimeBase::new(1, 48_000)) * 48);
            it.pts = it.dts;
        }
    });
    assert_eq!((run.dropped.len(), run.epochs.len()), (0, 1));
}

#[test]
fn nothing_that_comes_panics_and_what_passes_is_in_order() {
    // A small generator of its own: the same packets every time.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..200 {
        let mut healer = Healer::new(&shapes(), "start");
        let mut last = [i64::MIN; 2];
        let mut arrival = 0;
        for _ in 0..200 {
            let wild = |bits: u64| match bits % 7 {
                0 => None,
                1 => Some(i64::MAX - (bits >> 40) as i64),
                2 => Some(i64::MIN + (bits >> 40) as i64),
                3 => Some((1 << 33) - (bits >> 50) as i64),
                _ => Some((bits >> 44) as i64),
            };
            arrival += (next() >> 48) as i64;
            let track = (next() % 2) as usize;
            let duration = [0, STEP, -5, i64::MAX][(next() % 4) as usize];
            let times = Times {
                track,
                pts: wild(next()),
                dts: wild(next()),
                duration,
                key: next() % 3 == 0,
                arrival,
            };
            for it in healer.take(times, ()).ready {
                assert!(it.dts > last[it.track] && it.pts >= it.dts && it.duration > 0);
                last[it.track] = it.dts;
            }
        }
    }
}
