//! What is in the answers: frame numbers read from pictures, sound compared with its source, timestamps.

use crate::barcode;
use crate::client::Server;
use crate::judge;
use moviola::archive::{Archive, Limits, SegmentKind};
use moviola::base::metrics::Metrics;
use moviola::base::{Channel, Quality, Timestamp, Token};
use moviola::media::synthetic::{Synthetic, synthesise};
use std::path::Path;
use std::time::{Duration, Instant};

pub const FPS: i64 = 30;
/// Eight segments of two seconds, half of them before the full hour.
const START: &str = "2024-11-09T12:59:52.437000";
pub const FRAMES: u64 = 16 * FPS as u64;

pub fn start() -> Timestamp {
    Timestamp::parse("start", START).expect("a time")
}

/// Fills `root` with the stream; `kind` says what becomes of each segment, `None` leaves it out.
pub fn stream(root: &Path, frames: u64, kind: impl Fn(u64) -> Option<SegmentKind>) {
    let archive = Archive::open(root, Limits::default(), Metrics::new()).expect("an archive");
    let (channel, quality) = (Channel::new("chan").expect("a name"), Quality::new("270p").expect("a name"));
    let what = Synthetic {
        start: start(),
        frames,
        fps: FPS as u32,
        segment_frames: 60,
        width: 480,
        height: 270,
        preset: "superfast".into(),
        crf: 23,
        b_frames: 2,
    };
    synthesise(&what, &Token::root(), |segment| {
        if let Some(kind) = kind(segment.number) {
            let mut writer = archive.create_segment(&channel, &quality, segment.start)?;
            let whole = kind == SegmentKind::Full;
            writer
                .write(&segment.bytes[..if whole { segment.bytes.len() } else { segment.bytes.len() / 2 }])?;
            writer.finish(segment.duration, kind)?;
        }
        Ok(())
    })
    .expect("a stream");
}

pub fn whole(root: &Path) {
    stream(root, FRAMES, |_| Some(SegmentKind::Full));
}

/// The frame on screen `micros` after the start.
fn shown(micros: i64) -> u32 {
    // Frame n starts at n/30 s, rounded down to the microsecond.
    ((micros + 1) * FPS - 1).div_euclid(1_000_000) as u32
}

/// The first frame that counts from a boundary `micros` after the start.
pub fn first_from(micros: i64) -> u32 {
    (0..).find(|frame| frame * 1_000_000 / FPS > micros - 500).expect("a frame") as u32
}

/// The same numbers each time (SplitMix64).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, limit: i64) -> i64 {
        (self.next() % limit as u64) as i64
    }
}

#[test]
fn a_frame_is_the_one_on_screen() {
    let server = Server::start(whole);
    let mut random = Random(7);
    let mut times: Vec<i64> = (0..60).map(|_| random.below(15_990_000)).collect();
    // The first and the last, both sides of a segment's and of the hour's border, a frame's exact start.
    times.extend([0, 1_999_999, 2_000_000, 7_562_999, 7_563_000, 15_966_666, 15_990_000, 33_333, 33_332]);
    for micros in times {
        let target = format!("/frame/chan/270p.png?timestamp={}", start() + micros);
        let answer = server.get(&target);
        assert_eq!(answer.status, 200, "{target}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(barcode::read_png(&answer.body), Some(shown(micros)), "{target}");
    }
    let early = server.get(&format!("/frame/chan/270p.png?timestamp={}", start() + -20_000));
    assert_eq!((early.status, early.code().as_str()), (406, "no-content"));
    let jpeg = server.get(&format!("/frame/chan/270p.jpg?timestamp={}", start() + 1_234_567));
    assert_eq!((jpeg.status, jpeg.header("content-type")), (200, "image/jpeg"));
    let picture = image::load_from_memory(&jpeg.body).expect("a JPEG").to_luma8();
    assert_eq!(barcode::read(picture.as_raw(), 480, 16), Some(shown(1_234_567)));
}

/// Checks a cut's pictures against the frames expected, and its timestamps.
fn check_cut(bytes: &[u8], frames: &[u32], what: &str) {
    let Some(judge) = judge::ffmpeg() else {
        println!("skipped: there is no ffmpeg to judge {what}");
        return;
    };
    let file = tempfile::NamedTempFile::with_suffix(".ts").expect("a file");
    std::fs::write(file.path(), bytes).expect("a cut");
    assert_eq!(judge.numbers(file.path()), frames, "{what}");
    let packets = judge.packets(file.path(), "v");
    assert!(packets.windows(2).all(|pair| pair[0].dts < pair[1].dts), "DTS of {what}");
    let mut times: Vec<i64> = packets.iter().map(|packet| packet.pts).collect();
    times.sort_unstable();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 90_000 / FPS), "PTS of {what}");
    // The decoder gives one packet of priming before the first picture.
    let sound = judge.packets(file.path(), "a");
    let (first, last) = (sound[0].pts, sound[sound.len() - 1].pts);
    assert!((times[0] - first - 1920).abs() <= 1, "the sound of {what} starts {} before", times[0] - first);
    let end = times[times.len() - 1] + 90_000 / FPS;
    assert!((end - last) <= 1920 && end > last, "the sound of {what} ends {}", end - last);
    assert!(sound.windows(2).all(|pair| (pair[1].pts - pair[0].pts - 1920).abs() <= 1), "sound of {what}");
    assert_eq!(judge.complaints(file.path()), "", "{what}");
}

#[test]
fn a_full_cut_holds_exactly_its_frames() {
    let server = Server::start(whole);
    let mut random = Random(7);
    // Over the hour's end; inside one GOP; both ends on segments' borders; the whole stream; random ones.
    let mut spans =
        vec![(1_234_567, 13_456_789), (2_100_000, 2_600_000), (4_000_000, 6_000_000), (0, 16_000_000)];
    for _ in 0..4 {
        let start = random.below(14_000_000);
        spans.push((start, start + 40_000 + random.below(15_900_000 - start)));
    }
    for (from, to) in spans {
        let target = format!("/cut/chan/270p.ts?type=mpegts&start={}&end={}", start() + from, start() + to);
        let answer = server.get(&target);
        assert_eq!((answer.status, answer.header("content-type")), (200, "video/mp2t"), "{target}");
        let frames: Vec<u32> = (first_from(from)..first_from(to)).collect();
        check_cut(&answer.body, &frames, &target);
    }
}

#[test]
fn a_hole_is_refused_and_then_skipped() {
    let server =
        Server::start(|root| stream(root, FRAMES, |number| (number != 3).then_some(SegmentKind::Full)));
    let span = format!("start={}&end={}", start() + 3_000_000, start() + 12_000_000);
    let refused = server.get(&format!("/cut/chan/270p.ts?type=mpegts&{span}"));
    assert_eq!((refused.status, refused.code().as_str()), (406, "holes"));
    let hole = &refused.json()["holes"][0];
    assert_eq!(hole["start"], (start() + 6_000_000).to_string());
    assert_eq!(hole["end"], (start() + 8_000_000).to_string());
    let skipped = server.get(&format!("/cut/chan/270p.ts?type=mpegts&allow_holes=true&{span}"));
    let frames: Vec<u32> = (90..180).chain(240..360).collect();
    check_cut(&skipped.body, &frames, "a cut over a hole");
}

#[test]
fn a_segment_that_stops_early_gives_what_it_has() {
    let server = Server::start(|root| {
        stream(root, FRAMES, |number| {
            Some(if number == 2 { SegmentKind::Partial } else { SegmentKind::Full })
        });
    });
    let span = format!("start={}&end={}", start() + 2_000_000, start() + 10_000_000);
    let cut = server.get(&format!("/cut/chan/270p.ts?type=mpegts&allow_holes=true&{span}"));
    assert_eq!(cut.status, 200);
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let file = tempfile::NamedTempFile::with_suffix(".ts").expect("a file");
    std::fs::write(file.path(), &cut.body).expect("a cut");
    let numbers = judge.numbers(file.path());
    let of_partial = numbers.iter().filter(|number| (120..180).contains(*number)).count();
    assert!((5..60).contains(&of_partial), "{of_partial} frames of the partial segment");
    let rest: Vec<u32> = numbers.iter().copied().filter(|number| !(120..180).contains(number)).collect();
    assert_eq!(rest, (60..120).chain(180..300).collect::<Vec<_>>());
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice");
    assert_eq!(judge.complaints(file.path()), "");
}

#[test]
fn the_sound_of_a_cut_is_in_step_to_the_sample() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let server = Server::start(whole);
    let fetch = |from: i64, to: i64| {
        let target = format!("/cut/chan/270p.ts?type=mpegts&start={}&end={}", start() + from, start() + to);
        let file = tempfile::NamedTempFile::with_suffix(".ts").expect("a file");
        std::fs::write(file.path(), server.get(&target).body).expect("a cut");
        // From the first picture on: the priming lies before it.
        judge.sound(file.path())
    };
    let all = fetch(0, 16_000_000);
    for (from, to) in [(3_234_567, 7_000_000), (7_900_000, 12_000_000), (6_000_000, 9_000_000)] {
        let part = fetch(from, to);
        let frames = i64::from(first_from(to) - first_from(from));
        assert!(
            (part.len() as i64 - frames * 1600).abs() <= 1024,
            "{} samples for {frames} frames",
            part.len()
        );
        let expected = i64::from(first_from(from)) * 1600;
        let window = &part[4800..4800 + 12_000];
        let error = |lag: i64| -> f64 {
            let other = &all[(expected + 4800 + lag) as usize..][..window.len()];
            window.iter().zip(other).map(|(a, b)| f64::from(a - b).powi(2)).sum()
        };
        let best = (-1000..=1000).min_by(|a, b| error(*a).total_cmp(&error(*b))).expect("a lag");
        assert!(best.abs() <= 1, "the sound is {best} samples off");
    }
}

#[test]
fn a_waveform_has_the_size_asked_for_and_sound_in_it() {
    let server =
        Server::start(|root| stream(root, FRAMES, |number| (number != 3).then_some(SegmentKind::Full)));
    let span = format!("start={}&end={}", start(), start() + 16_000_000);
    let answer = server.get(&format!("/waveform/chan/270p.png?size=160x50&{span}"));
    assert_eq!((answer.status, answer.header("content-type")), (200, "image/png"));
    let picture = image::load_from_memory(&answer.body).expect("a PNG").to_rgba8();
    assert_eq!(picture.dimensions(), (160, 50));
    let inked = |from: u32, to: u32| {
        (from..to).filter(|x| (0..50).any(|y| picture.get_pixel(*x, y).0[3] > 0)).count()
    };
    assert!(inked(0, 59) > 50, "sound before the hole");
    // The hole lies from 6 to 8 s; a sound packet of its neighbours may reach a column into it.
    assert_eq!(inked(61, 79), 0, "nothing in the hole");
    assert!(inked(81, 160) > 70, "sound after the hole");
}

/// Waits for `done`, which other threads bring about.
fn eventually(what: &str, done: impl Fn() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < Duration::from_secs(20), "{what} never came");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

#[test]
fn a_client_that_leaves_frees_its_worker() {
    use std::io::{Read, Write};
    let server = Server::start_with(whole, |config| config.cut.preset = "veryslow".into());
    let running = || server.render.metrics.pool_running.with_label_values(&["batch"]).get();
    let mut client = server.connect();
    let span = format!("start={}&end={}", start(), start() + 16_000_000);
    write!(client, "GET /cut/chan/270p.ts?type=mpegts&{span} HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("a request");
    let mut first = [0; 512];
    assert!(client.read(&mut first).expect("an answer") > 0);
    assert_eq!(running(), 1);
    drop(client);
    eventually("a free worker", || running() == 0);
    let outcome = |name| server.render.metrics.pool_tasks.with_label_values(&["batch", name]).get();
    assert_eq!(outcome("cancelled"), 1);
}

#[test]
fn a_deadline_ends_a_cut() {
    let server = Server::start_with(whole, |config| config.cut.deadline = "1 ms".parse().expect("a length"));
    let span = format!("start={}&end={}", start(), start() + 16_000_000);
    let answer = server.get(&format!("/cut/chan/270p.ts?type=mpegts&{span}"));
    assert_eq!((answer.status, answer.code().as_str()), (503, "deadline"));
}

#[test]
fn garbage_in_a_segment_is_told_and_harms_nobody() {
    let server = Server::start(|root| {
        whole(root);
        let noise: Vec<u8> = {
            let mut random = Random(7);
            (0..188 * 200).map(|_| random.next() as u8).collect()
        };
        crate::client::segment(root, "noise", "270p", "2024-11-09T12", "10:00.000000", "full", &noise);
        crate::client::segment(root, "noise", "270p", "2024-11-09T12", "10:02.000000", "full", b"");
    });
    for target in [
        "/frame/noise/270p.png?timestamp=2024-11-09T12:10:01",
        "/frame/noise/270p.jpg?timestamp=2024-11-09T12:10:03",
        "/cut/noise/270p.ts?type=mpegts&start=2024-11-09T12:10:00&end=2024-11-09T12:10:03",
        "/waveform/noise/270p.png?start=2024-11-09T12:10:00&end=2024-11-09T12:10:03",
    ] {
        let answer = server.get(target);
        assert_eq!(answer.code(), "damaged-media", "{target}");
        assert!((400..500).contains(&answer.status), "{target}: {}", answer.status);
    }
    let fine = server.get(&format!("/frame/chan/270p.png?timestamp={}", start()));
    assert_eq!(fine.status, 200);
}
