//! Full cuts of many ranges: transitions, holes, containers, and the sound at the joins.

use crate::client::{Answer, Server};
use crate::judge::{self, Judge};
use crate::media::{FPS, FRAMES, first_from, start, stream, whole};
use moviola::archive::SegmentKind;
use std::path::Path;

const SECOND: i64 = 1_000_000;

fn get(server: &Server, extension: &str, ranges: &[(i64, i64)], more: &str) -> Answer {
    let mut target = format!("/cut/chan/270p.{extension}?{more}");
    for (from, to) in ranges {
        target.push_str(&format!("&range={},{}", start() + *from, start() + *to));
    }
    server.get(&target)
}

fn saved(bytes: &[u8], extension: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::with_suffix(format!(".{extension}")).expect("a file");
    std::fs::write(file.path(), bytes).expect("a cut");
    file
}

fn between(from: i64, to: i64) -> Vec<u32> {
    (first_from(from)..first_from(to)).collect()
}

/// Pictures one after the other without a gap, in MPEG-TS.
fn check_times(judge: &Judge, file: &Path, frames: usize) {
    let packets = judge.packets(file, "v");
    assert!(packets.windows(2).all(|pair| pair[0].dts < pair[1].dts), "DTS");
    let mut times: Vec<i64> = packets.iter().map(|packet| packet.pts).collect();
    times.sort_unstable();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 90_000 / FPS), "{times:?}");
    assert_eq!(times.len(), frames);
    let sound = judge.packets(file, "a");
    assert!(sound.windows(2).all(|pair| (pair[1].pts - pair[0].pts - 1920).abs() <= 1), "sound");
    let end = times[times.len() - 1] + 90_000 / FPS;
    let last = sound[sound.len() - 1].pts;
    assert!(end - last <= 1920 && end > last, "the sound ends {} after", last - end);
    assert_eq!(judge.complaints(file), "");
}

#[test]
fn ranges_follow_each_other_in_any_order() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let server = Server::start(whole);
    let ranges =
        [(9_100_000, 11_000_000), (1_234_567, 2_500_000), (2_000_000, 3_000_000), (9_100_000, 9_133_000)];
    let answer = get(&server, "ts", &ranges, "type=mpegts");
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let frames: Vec<u32> = ranges.iter().flat_map(|(from, to)| between(*from, *to)).collect();
    let file = saved(&answer.body, "ts");
    assert_eq!(judge.numbers(file.path()), frames);
    check_times(&judge, file.path(), frames.len());
}

#[test]
fn a_transition_takes_as_much_of_both_sides_and_leaves_the_rest_alone() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let server = Server::start(whole);
    let ranges =
        [(0, 3 * SECOND), (8 * SECOND, 11 * SECOND), (4 * SECOND, 5 * SECOND), (13 * SECOND, 15 * SECOND)];
    let answer =
        get(&server, "ts", &ranges, "type=full&transition=fade,1&transition=&transition=clockwipe,0.5");
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let file = saved(&answer.body, "ts");
    let numbers = judge.numbers(file.path());
    assert_eq!(numbers.len(), 90 + 90 + 30 + 60 - 30 - 15);
    let expect = |from: usize, frames: std::ops::Range<u32>| {
        let frames: Vec<u32> = frames.collect();
        assert_eq!(numbers[from..from + frames.len()], frames, "from {from}");
    };
    expect(0, 0..60);
    expect(90, 270..330);
    expect(150, 120..135);
    // The first picture of a transition is still the old one.
    expect(165, 135..136);
    expect(180, 405..450);
    check_times(&judge, file.path(), numbers.len());
    let format = judge.values(file.path(), "stream=pix_fmt,profile");
    assert!(format.contains(&"yuv420p".to_owned()) && format.contains(&"High".to_owned()), "{format:?}");
    // A smart cut comes to the same.
    let smart = get(&server, "ts", &ranges[..2], "type=smart&transition=fade,1");
    assert_eq!(smart.status, 200);
    let numbers = judge.numbers(saved(&smart.body, "ts").path());
    assert_eq!(
        (numbers.len(), &numbers[..60], &numbers[90..]),
        (150, &between(0, 2 * SECOND)[..], &between(9 * SECOND, 11 * SECOND)[..])
    );
}

#[test]
fn transitions_that_do_not_fit_are_refused() {
    let server = Server::start(whole);
    let ranges = [(0, 2 * SECOND), (4 * SECOND, 5 * SECOND), (8 * SECOND, 10 * SECOND)];
    for (transitions, words) in [
        ("transition=fade,3", "range 1 has 60 frames (2.000 s)"),
        ("transition=&transition=fade,1.5", "range 2 has 30 frames (1.000 s)"),
        ("transition=fade,0.6&transition=wipeleft,0.6", "range 2 has 30 frames (1.000 s)"),
    ] {
        let answer = get(&server, "ts", &ranges, &format!("type=mpegts&{transitions}"));
        assert_eq!((answer.status, answer.code().as_str()), (400, "transition-too-long"), "{transitions}");
        let detail = answer.json()["detail"].as_str().expect("a detail").to_owned();
        assert!(detail.contains(words), "{detail}");
    }
    let just = get(&server, "ts", &ranges, "type=mpegts&transition=fade,0.5&transition=wipeleft,0.5");
    assert_eq!(just.status, 200);
    for (transition, code) in [
        ("banana,1", "unknown-transition"),
        ("fade", "invalid-transition"),
        ("fade,61", "invalid-transition"),
    ] {
        let answer = get(&server, "ts", &ranges, &format!("type=mpegts&transition={transition}"));
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{transition}");
    }
    let list = server.get("/transitions");
    assert_eq!((list.status, list.header("content-type")), (200, "application/json"));
    let list = list.json();
    let names: Vec<&str> =
        list.as_array().expect("a list").iter().filter_map(|it| it["name"].as_str()).collect();
    for name in ["fade", "clockwipe", "starwipe", "diamondwipe", "wipeleft", "zoomin", "dissolve"] {
        assert!(names.contains(&name), "{name}");
    }
    assert!(!names.contains(&"custom"));
}

#[test]
fn what_is_missing_is_filled_as_asked() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    // From 6 to 8 s nothing is there.
    let server =
        Server::start(|root| stream(root, FRAMES, |number| (number != 3).then_some(SegmentKind::Full)));
    let span = [(5 * SECOND, 9 * SECOND)];
    let numbers = |ranges: &[(i64, i64)], more: &str| {
        let answer = get(&server, "ts", ranges, more);
        assert_eq!(answer.status, 200, "{more}: {}", String::from_utf8_lossy(&answer.body));
        let file = saved(&answer.body, "ts");
        let numbers = judge.numbers(file.path());
        check_times(&judge, file.path(), numbers.len());
        (numbers, judge.sound(file.path()))
    };
    let joined = |parts: &[(u32, u32)], still: u32, count: usize, at: usize| {
        let mut frames: Vec<u32> = parts.iter().flat_map(|(from, to)| *from..*to).collect();
        frames.splice(at..at, std::iter::repeat_n(still, count));
        frames
    };
    let (skipped, _) = numbers(&span, "type=mpegts&holes=skip");
    assert_eq!(skipped, joined(&[(150, 180), (240, 270)], 0, 0, 0));
    for (holes, still) in [("freeze", 179), ("black", 0)] {
        let (filled, sound) = numbers(&span, &format!("type=mpegts&holes={holes}"));
        assert_eq!(filled, joined(&[(150, 180), (240, 270)], still, 60, 30), "{holes}");
        assert!((sound.len() as i64 - 4 * 48_000).abs() <= 1024, "{holes}: {} samples", sound.len());
        let quiet = |from: usize, to: usize| sound[from..to].iter().all(|it| it.abs() < 1e-3);
        assert!(quiet(50_500, 142_000) && !quiet(0, 47_000) && !quiet(145_500, 190_000), "{holes}");
    }
    // At the start, at the end, and all of a range beside another.
    assert_eq!(
        numbers(&[(7 * SECOND, 9 * SECOND)], "type=mpegts&holes=freeze").0,
        joined(&[(240, 270)], 240, 30, 0)
    );
    assert_eq!(
        numbers(&[(5 * SECOND, 7 * SECOND)], "type=mpegts&holes=freeze").0,
        joined(&[(150, 180)], 179, 30, 30)
    );
    let ranges = [(6_500_000, 7_500_000), (8 * SECOND, 9 * SECOND)];
    assert_eq!(numbers(&ranges, "type=mpegts&holes=black").0, joined(&[(240, 270)], 0, 30, 0));
    let faded = numbers(&ranges, "type=mpegts&holes=black&transition=wipeleft,0.5").0;
    assert_eq!((faded.len(), &faded[30..]), (45, &joined(&[(255, 270)], 0, 0, 0)[..]));
    for holes in ["freeze", "refuse", "skip"] {
        let answer = get(&server, "ts", &ranges, &format!("type=mpegts&holes={holes}"));
        let code = if holes == "refuse" { "holes" } else { "no-content" };
        assert_eq!((answer.status, answer.code().as_str()), (406, code), "{holes}");
    }
    let nothing = get(&server, "ts", &ranges[..1], "type=mpegts&holes=black");
    assert_eq!((nothing.status, nothing.code().as_str()), (406, "no-content"));
    let rough = get(&server, "ts", &span, "type=rough&holes=black");
    assert_eq!((rough.status, rough.code().as_str()), (400, "unsupported-holes"));
}

#[test]
fn the_extension_says_what_a_cut_is_wrapped_in() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let server = Server::start_with(whole, |config| config.cut.webm_speed = 8);
    let range = [(1_234_567, 4_500_000)];
    let frames = between(1_234_567, 4_500_000);
    for (extension, kind, mime, codecs) in [
        ("mp4", "type=full", "video/mp4", ["h264", "aac"]),
        ("ts", "type=mp4", "video/mp4", ["h264", "aac"]),
        ("mkv", "type=mpegts", "video/x-matroska", ["h264", "aac"]),
        ("webm", "", "video/webm", ["vp9", "opus"]),
        ("ts", "type=webm", "video/webm", ["vp9", "opus"]),
    ] {
        let answer = get(&server, extension, &range, kind);
        assert_eq!((answer.status, answer.header("content-type")), (200, mime), "{extension} {kind}");
        let file = saved(&answer.body, "bin");
        assert_eq!(judge.values(file.path(), "stream=codec_name"), codecs, "{mime}");
        assert_eq!(judge.numbers(file.path()), frames, "{mime}");
        assert_eq!(judge.complaints(file.path()), "", "{mime}");
        // To the tick of a millisecond, in which Matroska counts: nothing is before the first picture but the priming of
        // the sound, and nothing after the end of the last.
        let length = frames.len() as f64 / FPS as f64;
        for stream in ["v", "a"] {
            let times = judge.times(file.path(), stream);
            let first = times[0].0;
            let end =
                times.iter().map(|(at, lasts)| at + lasts.unwrap_or(1.0 / FPS as f64)).fold(0.0, f64::max);
            // MP4 and WebM put the priming before zero, Matroska begins with it.
            let begin = match (mime, stream) {
                ("video/mp4", "a") => -1024.0 / 48_000.0,
                ("video/webm", "a") => -312.0 / 48_000.0,
                ("video/x-matroska", "v") => 1024.0 / 48_000.0,
                _ => 0.0,
            };
            assert!((first - begin).abs() < 0.0015, "{mime} {stream} starts at {first}");
            let length = if mime == "video/x-matroska" { length + 1024.0 / 48_000.0 } else { length };
            // The last packet of sound is told as a whole one, whatever of it is heard.
            let spare = if stream == "a" { 0.028 } else { 0.0015 };
            assert!(
                (-0.0015..spare).contains(&(end - length)),
                "{mime} {stream} ends at {end}, not {length}"
            );
        }
        if mime == "video/mp4" {
            // What its fragments say: the pictures, and the sound with its priming.
            let lasts = judge.values(file.path(), "stream=duration");
            let lasts: Vec<f64> = lasts.iter().map(|it| it.parse().expect("a duration")).collect();
            let ideal = [length, length + 1024.0 / 48_000.0];
            assert!(
                lasts.iter().zip(ideal).all(|(it, ideal)| (it - ideal).abs() < 0.0001),
                "{lasts:?} {ideal:?}"
            );
            assert_eq!(&answer.body[4..8], b"ftyp");
            let at = |name: &[u8]| answer.body.windows(4).position(|it| it == name);
            assert!(at(b"moov") < at(b"moof") && at(b"elst") < at(b"moof"), "the index comes first");
        }
    }
    let head = server.raw("HEAD", &format!("/cut/chan/270p.webm?range={},{}", start(), start() + SECOND), "");
    assert_eq!((head.status, head.header("content-type"), head.body.len()), (200, "video/webm", 0));
    let rough = get(&server, "mp4", &range, "type=rough");
    assert_eq!((rough.status, rough.code().as_str()), (400, "unsupported-type"));
}

#[test]
fn the_sound_of_every_range_is_in_its_place_to_the_sample() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let server = Server::start(whole);
    let sound = |ranges: &[(i64, i64)], more: &str| {
        let answer = get(&server, "ts", ranges, more);
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        judge.sound(saved(&answer.body, "ts").path())
    };
    let all = sound(&[(0, 16 * SECOND)], "type=mpegts");
    let ranges =
        [(9_100_000, 10_500_000), (3_234_567, 5_000_000), (6_000_000, 8_000_000), (4_000_000, 6_000_000)];
    let part = sound(&ranges, "type=mpegts&transition=&transition=&transition=fade,1");
    // Where each range is heard alone: its first sample there, in the output and in the source.
    let mut at = 0;
    for (number, (from, to)) in ranges.into_iter().enumerate() {
        let (first, end) = (i64::from(first_from(from)), i64::from(first_from(to)));
        // The last is faded into for a second.
        let (into, begin) = if number == 3 { (30, at - 30) } else { (0, at) };
        let (output, source) = ((begin + into) * 1600 + 4800, (first + into) * 1600 + 4800);
        let window = &part[output as usize..][..12_000];
        let error = |lag: i64| -> f64 {
            let other = &all[(source + lag) as usize..][..window.len()];
            window.iter().zip(other).map(|(a, b)| f64::from(a - b).powi(2)).sum()
        };
        let best = (-1000..=1000).min_by(|a, b| error(*a).total_cmp(&error(*b))).expect("a lag");
        assert!(best.abs() <= 1, "the sound of range {} is {best} samples off", number + 1);
        at = begin + end - first;
    }
    assert!((part.len() as i64 - at * 1600).abs() <= 1024, "{} samples for {at} frames", part.len());
    // Half way through the fade both sides are heard at half their strength.
    let middle = (42 + 52 + 45) * 1600;
    let (left, right) = ((180 + 45) * 1600, (120 + 15) * 1600);
    let error: f64 = (0..200)
        .map(|it| {
            let mean = f64::from(all[left + it] + all[right + it]) / 2.0;
            (f64::from(part[middle + it]) - mean).abs()
        })
        .sum();
    assert!(error / 200.0 < 0.02, "{}", error / 200.0);
}
