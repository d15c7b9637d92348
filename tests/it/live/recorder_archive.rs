//! A stream in the archive: segments named by the source's clock, which can be cut, framed and drawn at once; what is not
//! recorded, and why; and pictures of what is live.

use super::feed::{FPS, Feed, PLAIN, REORDERED, SMALLER, begin};
use super::recorder::{PATIENCE, limits, ring, stream};
use crate::client::Server;
use crate::{barcode, judge};
use moviola::archive::{Archive, Limits, SegmentKind};
use moviola::base::metrics::Metrics;
use moviola::base::{Channel, Quality, Span, Timestamp};
use moviola::live::archive::{Lengths, Limits as RecordLimits, State, Target, gaps_within};
use moviola::live::recorder::{self, Recording, Recordings, Source};
use moviola::live::{Desk, Ring, RingLimits};
use moviola::media::live::{Codec, Track, TrackKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const SECOND: i64 = 1_000_000;

pub fn target(channel: &str) -> Target {
    Target {
        channel: Channel::new(channel).expect("a name"),
        quality: Quality::new("source").expect("a name"),
    }
}

pub fn desk(root: &Path, metrics: &Metrics) -> Desk {
    let archive = Archive::open(root, Limits::default(), metrics.clone()).expect("an archive");
    let lengths = Lengths { target: 2 * SECOND, longest: 60 * SECOND, bytes: 64 << 20 };
    let limits = RecordLimits { lengths, gaps: 64 << 10 };
    Desk::new(Arc::new(archive), limits, metrics.clone(), Arc::new(|_: &_, _| {}))
}

/// Looks until it is so.
pub fn until(wish: impl Fn() -> bool) {
    let began = Instant::now();
    while !wish() {
        assert!(began.elapsed() < PATIENCE, "the moment does not come");
        std::thread::sleep(crate::crash::GLANCE);
    }
}

fn recorded(desk: &Desk, segments: u64) {
    until(|| desk.status(&stream()).is_some_and(|it| it.1.segments >= segments));
}

/// Start, duration and kind of every segment.
fn segments(archive: &Archive, target: &Target) -> Vec<(Timestamp, i64, SegmentKind)> {
    let all = Span::new(begin() + -3600 * SECOND, begin() + 3600 * SECOND);
    let selection = archive.select(&target.channel, &target.quality, all).expect("a selection");
    selection.segments().map(|it| (it.start(), it.duration(), it.kind())).collect()
}

#[test]
fn segments_are_named_by_what_is_in_them_and_gaps_by_their_cause() {
    let folder = tempfile::tempdir().expect("a folder");
    let (desk, ring, target) = (desk(folder.path(), &Metrics::new()), ring(), target("cam"));
    let feed = &*REORDERED;
    desk.set(&stream(), &ring, Some(target.clone()), None).expect("a recording");
    feed.epoch(&ring, "start");
    feed.push(&ring, 0.0, 9.0);
    recorded(&desk, 4);
    // Another stream may not write where this one does.
    let other = moviola::base::StreamId::new("other").expect("a name");
    let taken = desk.set(&other, &ring, Some(target.clone()), None).expect_err("one at a time");
    assert_eq!(taken.code, "target-taken");
    ring.end("reset");
    recorded(&desk, 5);
    // Four seconds later the source is back, with times of its own.
    feed.epoch(&ring, "reconnect");
    // The first picture is sent before it is shown.
    feed.push(&ring, 12.9, 20.0);
    recorded(&desk, 8);
    desk.set(&stream(), &ring, None, None).expect("no recording");
    let at = |seconds: i64| begin() + seconds * SECOND;
    let found = segments(desk.archive(), &target);
    let full = |second: i64| (at(second), 2 * SECOND, SegmentKind::Full);
    assert_eq!(found[..4], [full(0), full(2), full(4), full(6)]);
    assert_eq!((found[4].0, found[4].2), (at(8), SegmentKind::Partial), "broken off with the source");
    assert!((960_000..1_200_000).contains(&found[4].1), "{}", found[4].1);
    assert_eq!(found[5..8], [full(13), full(15), full(17)]);
    assert_eq!((found[8].0, found[8].2), (at(19), SegmentKind::Suspect), "ended by a stop");
    let all = Span::new(Timestamp::MIN, Timestamp::MAX);
    let gaps = gaps_within(desk.archive(), &target.channel, &target.quality, all).expect("gaps");
    assert_eq!(gaps.len(), 1);
    assert_eq!((gaps[0].span.end, gaps[0].cause.as_str()), (at(13), "reconnect"));
    // A stop and a start are told too.
    desk.set(&stream(), &ring, Some(target.clone()), None).expect("a recording");
    feed.push(&ring, 24.0, 29.0);
    recorded(&desk, 1);
    let gaps = gaps_within(desk.archive(), &target.channel, &target.quality, all).expect("gaps");
    assert_eq!(gaps.last().map(|it| it.cause.as_str()), Some("off"));
    desk.shutdown();
}

#[test]
fn what_is_live_is_cut_framed_and_drawn_as_soon_as_it_is_there() {
    let feed = &*REORDERED;
    let server = Server::start(|_| {});
    let limits = RingLimits { micros: 600 * SECOND, bytes: 64 << 20 };
    let stream = server.streams.put(stream(), limits);
    let record = serde_json::json!({"record": {"channel": "cam", "quality": "source"}});
    server.streams.patch(&stream.id, &record).expect("a recording");
    until(|| server.desk.status(&stream.id).is_some());
    feed.epoch(&stream.ring, "start");
    feed.push(&stream.ring, 0.0, 9.0);
    recorded(&server.desk, 4);
    let time = |micros: i64| (begin() + micros).to_string();
    let cut = format!("/cut/cam/source.ts?type=smart&start={}&end={}", time(1_200_000), time(7_800_000));
    let cut = server.get(&cut);
    assert_eq!(cut.status, 200, "{}", cut.text());
    if let Some(judge) = judge::ffmpeg() {
        let file = tempfile::Builder::new().suffix(".ts").tempfile().expect("a file");
        std::fs::write(file.path(), &cut.body).expect("a file");
        let numbers = judge.numbers(file.path());
        assert_eq!(numbers, (30..195).collect::<Vec<u32>>());
        assert_eq!(judge.complaints(file.path()), "");
    }
    for micros in [0, 1_999_999, 2_000_000, 5_480_000] {
        let frame = server.get(&format!("/frame/cam/source.png?timestamp={}", time(micros)));
        let number = (micros * FPS / SECOND) as u32;
        assert_eq!(barcode::read_png(&frame.body), Some(number), "{micros}");
    }
    let wave = server.get(&format!("/waveform/cam/source.png?start={}&end={}", time(0), time(8_000_000)));
    assert_eq!(wave.status, 200, "{}", wave.text());
    // Straight out of the ring: the newest keyframe, and the picture of a time.
    let frame = server.get("/live/cam/frame.png");
    assert_eq!((frame.status, barcode::read_png(&frame.body)), (200, Some(225)), "sent before it is shown");
    assert_eq!(frame.header("moviola-frame-key"), "true");
    assert_eq!(frame.header("moviola-frame-time"), time(9_000_000));
    for micros in [0, 4_960_000, 4_999_999, 5_000_000, 7_320_000] {
        let frame = server.get(&format!("/live/cam/frame.png?t={}", time(micros)));
        let number = (micros * FPS / SECOND) as u32;
        assert_eq!(barcode::read_png(&frame.body), Some(number), "{micros}: {}", frame.status);
    }
    let etag = frame.header("etag").to_owned();
    assert_eq!(server.get_with("/live/cam/frame.png", &[("If-None-Match", &etag)]).status, 304);
    for (extension, magic) in [("jpg", &b"\xff\xd8"[..]), ("webp", b"RIFF")] {
        let frame = server.get(&format!("/live/cam/frame.{extension}?width=160&quality=50"));
        assert!(frame.body.starts_with(magic), "{extension}: {}", frame.status);
    }
    for (query, status, code) in [
        ("frame.png?width=0", 400, "invalid-number"),
        ("frame.png?t=soon", 400, "invalid-timestamp"),
        ("frame.png?next=soon", 400, "invalid-boolean"),
        ("frame.png?next=true&t=2030-01-01T00:00:00", 400, "invalid-next"),
        ("frame.png?t=2020-01-01T00:00:00", 404, "no-picture"),
        ("frame.png?t=2030-01-01T00:00:00", 404, "no-picture"),
    ] {
        let refused = server.get(&format!("/live/cam/{query}"));
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{query}");
    }
    assert_eq!(server.get("/live/nobody/frame.png").status, 404);
    turned(&server, &stream);
    // The next picture is another; the first keyframe of a source is enough for one.
    feed.push(&stream.ring, 9.0, 10.5);
    assert_eq!(barcode::read_png(&server.get("/live/cam/frame.png").body), Some(250));
    clips(&server, feed, &stream);
    // Another size, of the same keyframe; and another source, from its first keyframe on.
    let size = |target: &str| {
        let body = server.get(target).body;
        let reader = png::Decoder::new(std::io::Cursor::new(body)).read_info().expect("a picture");
        (reader.info().width, reader.info().height)
    };
    assert_eq!(size("/live/cam/frame.png"), (448, 252));
    assert_eq!(size("/live/cam/frame.png?width=112"), (112, 63));
    let small = &*SMALLER;
    small.epoch(&stream.ring, "codec");
    stream.ring.push(small.sample(0));
    assert_eq!(size("/live/cam/frame.png"), (416, 240));
    assert_eq!(barcode::read_png(&server.get("/live/cam/frame.png").body), Some(0));
}

/// Eight orientations of one picture.
fn turned(server: &Server, stream: &moviola::live::Stream) {
    let pixels = |orientation: u8| {
        let fields = serde_json::json!({ "orientation": orientation });
        server.streams.patch(&stream.id, &fields).expect("a stream");
        let frame = server.get("/live/cam/frame.png");
        let mut reader = png::Decoder::new(std::io::Cursor::new(frame.body)).read_info().expect("a picture");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut bytes).expect("a picture");
        (info.width as usize, info.height as usize, bytes)
    };
    let (width, height, upright) = pixels(1);
    let at = |x: usize, y: usize| &upright[(y * width + x) * 3..][..3];
    for orientation in 2..=8u8 {
        let (across, down, turned) = pixels(orientation);
        let sideways = orientation >= 5;
        assert_eq!((across, down), if sideways { (height, width) } else { (width, height) });
        for (x, y) in [(0, 0), (5, 3), (across - 1, 0), (across / 2, down - 7)] {
            // Where the pixel was, as the table of orientations has it.
            let from = match orientation {
                2 => (width - 1 - x, y),
                3 => (width - 1 - x, height - 1 - y),
                4 => (x, height - 1 - y),
                5 => (width - 1 - y, height - 1 - x),
                6 => (width - 1 - y, x),
                7 => (y, x),
                _ => (y, height - 1 - x),
            };
            let pixel = &turned[(y * across + x) * 3..][..3];
            assert_eq!(pixel, at(from.0, from.1), "{orientation} at {x},{y}");
        }
    }
    server.streams.patch(&stream.id, &serde_json::json!({ "orientation": 1 })).expect("a stream");
}

/// Recordings by their routes.
fn clips(server: &Server, feed: &Feed, stream: &moviola::live::Stream) {
    let send = |method: &str, target: &str, body: &str| {
        let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        server.raw_with_body(method, target, &headers, body.as_bytes())
    };
    let made = send("POST", "/streams/cam/recordings", r#"{"name": "clip.mp4", "lookback": 4}"#);
    assert_eq!(made.status, 201, "{}", made.text());
    let place = made.header("location").to_owned();
    assert_eq!(made.json()["state"], "recording");
    let extended = send("PATCH", &place, r#"{"duration": 2}"#);
    assert_eq!(
        (extended.status, extended.json()["duration"].as_f64()),
        (200, Some(2.0)),
        "{}",
        extended.text()
    );
    feed.push(&stream.ring, 10.5, 16.0);
    until(|| server.get(&place).json()["state"] == "done");
    let told = server.get(&place).json();
    assert_eq!(told["url"], format!("{place}/file"));
    let file = server.get_with(&format!("{place}/file"), &[("Range", "bytes=4-7")]);
    assert_eq!((file.status, &file.body[..]), (206, &b"ftyp"[..]));
    assert_eq!(server.get("/streams/cam/recordings").json().as_array().map(Vec::len), Some(1));
    assert_eq!(server.get("/recordings").json()[0]["id"], told["id"]);
    for (method, target, body, status, code) in [
        ("POST", "/streams/cam/recordings", r#"{"name": "clip.mp4"}"#, 400, "name-taken"),
        ("POST", "/streams/cam/recordings", r#"{"name": "../clip.mp4"}"#, 403, "hidden-name"),
        ("POST", "/streams/cam/recordings", r#"{"duration": -1}"#, 400, "invalid-length"),
        ("POST", "/streams/cam/recordings", r#"{"length": 1}"#, 400, "malformed-body"),
        ("POST", "/streams/nobody/recordings", "{}", 404, "not-found"),
        ("PATCH", &place, r#"{"duration": 9}"#, 400, "ended"),
        ("GET", "/streams/other/recordings/x", "", 404, "not-found"),
    ] {
        let refused = send(method, target, body);
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{method} {target} {body}");
    }
    assert_eq!(send("DELETE", &place, "").status, 204);
    assert_eq!(server.get(&place).status, 404);
    assert_eq!(server.get(&format!("{place}/file")).status, 404);
}

#[test]
fn a_clip_reaches_back_over_the_ring_into_the_archive() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let folder = tempfile::tempdir().expect("a folder");
    let (desk, target) = (desk(folder.path(), &Metrics::new()), target("cam"));
    let ring = Arc::new(Ring::new(RingLimits { micros: 6 * SECOND, bytes: 64 << 20 }));
    let feed = &*REORDERED;
    desk.set(&stream(), &ring, Some(target.clone()), None).expect("a recording");
    feed.epoch(&ring, "start");
    for second in 0..15 {
        feed.push(&ring, second as f64, second as f64 + 1.0);
        let shown = begin() + (second - 3).max(0) * SECOND;
        until(|| second < 4 || desk.status(&stream()).is_some_and(|it| it.1.until >= Some(shown)));
    }
    let (sender, told) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let tell = move |it: &Recording| {
        let _ = sender.lock().expect("a sender").send(it.clone());
    };
    let clips = folder.path().join("clips");
    let recordings = Recordings::open(&clips, limits(), Metrics::new(), Arc::new(tell));
    let source = Source {
        stream: stream(),
        ring: Arc::clone(&ring),
        orientation: 1,
        hold: None,
        archive: Some((Arc::clone(desk.archive()), target)),
    };
    let span = recorder::Span { duration: Some(SECOND), lookback: 11 * SECOND + SECOND / 2 };
    let it = recordings.start(source, Some("a.mp4"), span).expect("a clip");
    until(|| recordings.get(&stream(), &it.id).is_ok_and(|it| it.start.is_some()));
    feed.push(&ring, 15.0, 18.0);
    let done = loop {
        let it = told.recv_timeout(PATIENCE).expect("a clip ends");
        if it.state.is_final() {
            break it;
        }
    };
    assert_eq!(done.state, recorder::State::Done, "{done:?}");
    // From the keyframe before, in the middle of a segment.
    assert_eq!(done.start, Some(begin() + 3 * SECOND));
    let file = clips.join("cam/a.mp4");
    assert_eq!(judge.complaints(&file), "");
    let numbers = judge.numbers(&file);
    assert!(numbers.len() > 12 * FPS as usize, "{}", numbers.len());
    let first = 3 * FPS as u32;
    let all = numbers.len() - 2;
    assert!(
        numbers[..all].iter().enumerate().all(|(at, it)| *it == (first + at as u32) % 400),
        "{numbers:?}"
    );
    let steps = |stream: &str| {
        let times = judge.packets(&file, stream);
        times.windows(2).map(|it| it[1].dts - it[0].dts).collect::<Vec<_>>()
    };
    assert!(steps("v").iter().all(|it| (3599..=3601).contains(it)), "{:?}", steps("v"));
    assert!(steps("a").iter().all(|it| (1919..=1921).contains(it)), "{:?}", steps("a"));
    recordings.shutdown();
    desk.shutdown();
}

#[test]
fn what_mpeg_ts_cannot_carry_is_refused_and_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let (desk, ring, target) = (desk(folder.path(), &Metrics::new()), ring(), target("cam"));
    let feed = &*PLAIN;
    desk.set(&stream(), &ring, Some(target.clone()), None).expect("a recording");
    let mut tracks = feed.tracks.clone();
    (tracks[1].codec, tracks[1].name) = (Codec::Flac, "flac".into());
    ring.begin(tracks, "start");
    feed.push(&ring, 0.0, 5.0);
    until(|| desk.status(&stream()).is_some_and(|it| it.1.state == State::Refused));
    let (_, status) = desk.status(&stream()).expect("a recording");
    assert_eq!(status.cause, Some("record-refused"));
    assert_eq!(status.detail.as_deref(), Some("track 1 cannot be recorded: MPEG-TS does not carry flac"));
    assert_eq!(status.segments, 0);
    // Without that track it is recorded.
    let tracks: Vec<Track> = feed.tracks.iter().filter(|it| it.kind == TrackKind::Video).cloned().collect();
    ring.begin(tracks, "codec");
    let pictures = (0..feed.number_at(5.0)).map(|it| feed.sample(it)).filter(|it| it.track == 0);
    pictures.for_each(|it| ring.push(it));
    recorded(&desk, 2);
    assert_eq!(desk.status(&stream()).expect("a recording").1.state, State::Recording);
    desk.shutdown();
}
