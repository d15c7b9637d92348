//! What is expected of a live stream's playlists, parts and addresses, line by line: each test names its line. Lines without a
//! test here say where they are tried, or why they do not apply.

use super::feed::{Feeder, H264, HEVC};
use super::hls::{server, short};
use super::rules::{Playlist, file};
use crate::client::{Answer, Server};
use moviola::base::Timestamp;
use moviola::config::Length;
use std::time::Duration;

/// Lines that are tried elsewhere, and those that do not apply.
const ELSEWHERE: &[(u8, &str)] = &[
    (30, "hls::silent_and_late_sound_keep_the_rules"),
    (
        31,
        "hls::a_stream_keeps_the_rules_and_is_what_was_sent, live::hls::segmenter's tests; parts are as long as their pictures",
    ),
    (32, "hls::a_stream_keeps_the_rules_and_is_what_was_sent (Viewer::check_parts)"),
    (
        33,
        "hls::a_stream_keeps_the_rules_and_is_what_was_sent (Viewer::check_parts), media::mp4::fragment's tests",
    ),
    (36, "live::hls's a_source_that_ends_leaves_what_it_sent_and_its_successor_is_told_apart"),
    (37, "hls::restarts_and_other_codecs_are_discontinuities_with_heads_of_their_own"),
    (40, "packaging::low_latency's a_stream_in_segments: the text is another, since tags and addresses are"),
    (42, "live::hls::window's heads_are_counted_over_a_streams_life"),
    (43, "live::hls::window's heads_are_counted_over_a_streams_life"),
    (48, "live::hls::reload's parts_may_be_waited_for_as_far_as_three_seconds_ahead"),
    (
        52,
        "416 answers a Range that does not fit, and nothing else: a part that no playlist hints at is 404. A wait that \
          expires is 404 where the source has stopped, else 503 (RFC 8216bis §6.2.5.2)",
    ),
    (54, "packaging::low_latency's a_master_playlist_tells_what_is_known"),
];

#[test]
fn every_line_is_tried_or_explained() {
    let tests = include_str!("contract_hls.rs");
    let named = |line: u8| {
        let mut tests = tests.lines().filter(|it| it.starts_with("fn line_"));
        tests.any(|it| it.split('_').any(|word| word == line.to_string()))
    };
    for line in 31..=55 {
        let elsewhere = ELSEWHERE.iter().find(|it| it.0 == line);
        assert!(named(line) || elsewhere.is_some_and(|it| !it.1.is_empty()), "line {line}");
    }
}

/// A stream that has been fed so many seconds.
fn fed(server: &Server, seconds: f64) -> Feeder {
    let feeder = Feeder::new(server, "cam");
    feeder.begin(&H264, "start");
    feeder.send(&H264, 0.0, seconds, 0, |_| true);
    feeder
}

fn get(server: &Server, feeder: &Feeder, file: &str) -> Answer {
    server.get(&format!("{}{file}", feeder.folder))
}

/// The playlist once it holds this segment, asked for like a player does: one after the other.
fn reach(server: &Server, feeder: &Feeder, segment: u64) -> Playlist {
    (0..segment).for_each(|it| drop(playlist(server, feeder, &format!("?_HLS_msn={it}"))));
    playlist(server, feeder, &format!("?_HLS_msn={segment}"))
}

fn playlist(server: &Server, feeder: &Feeder, query: &str) -> Playlist {
    let answer = get(server, feeder, &format!("media.m3u8{query}"));
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    Playlist::parse(answer.text())
}

#[test]
fn line_34_hevc_is_hvc1() {
    let server = server();
    let feeder = Feeder::new(&server, "cam");
    feeder.begin(&HEVC, "start");
    feeder.send(&HEVC, 0.0, 2.0, 0, |_| true);
    let head = get(&server, &feeder, "master.m3u8");
    assert!(head.text().contains("CODECS=\"hvc1."), "{}", head.text());
    let head = get(&server, &feeder, "init-0.mp4").body;
    let stsd = file::content(&head, &["moov", "trak", "mdia", "minf", "stbl", "stsd"]);
    assert_eq!(&stsd[12..16], b"hvc1");
}

#[test]
fn line_35_and_defect_14_sources_in_bursts_have_no_parts_while_they_are_so() {
    let server = server();
    let feeder = Feeder::new(&server, "cam");
    feeder.stream.hls.set_bursty_input(true);
    feeder.begin(&H264, "start");
    feeder.send(&H264, 0.0, 4.2, 0, |_| true);
    let plain = reach(&server, &feeder, 1);
    assert!(plain.part_target.is_none() && plain.hint.is_none(), "{}", plain.text);
    feeder.stream.hls.set_bursty_input(false);
    feeder.send(&H264, 4.2, 10.2, 0, |_| true);
    // The next segment was begun before that.
    let again = playlist(&server, &feeder, &format!("?_HLS_msn={}", plain.last().number + 2));
    assert!(again.part_target.is_some() && again.hint.is_some(), "{}", again.text);
}

#[test]
fn line_38_everything_a_playlist_names_is_there_and_nothing_after_the_stream_was_stopped() {
    let server = server();
    let feeder = fed(&server, 6.0);
    let master = get(&server, &feeder, "master.m3u8");
    assert_eq!((master.status, master.text().lines().last()), (200, Some("media.m3u8")));
    assert_eq!(master.header("content-type"), "application/vnd.apple.mpegurl");
    let told = reach(&server, &feeder, 2);
    let segment = told.segments.iter().rev().find_map(|it| it.uri.clone()).unwrap();
    let (head, segment) = (get(&server, &feeder, &told.last().map), get(&server, &feeder, &segment));
    assert_eq!((head.status, head.header("content-type")), (200, "video/mp4"));
    assert_eq!((segment.status, segment.header("content-type")), (200, "video/iso.segment"));
    assert!(file::boxes(&segment.body).len() >= 4, "several parts");
    feeder.stream.stop();
    assert_eq!(get(&server, &feeder, "master.m3u8").code(), "not-found");
}

#[test]
fn line_39_a_source_that_gives_nothing_and_ends_is_told_so() {
    let server = Server::start_with(
        |_| {},
        |config| {
            short(config);
            config.hls.wait = Length(Duration::from_secs(1));
        },
    );
    let feeder = Feeder::new(&server, "cam");
    feeder.begin(&H264, "start");
    let answer = get(&server, &feeder, "media.m3u8");
    assert_eq!((answer.status, answer.code().as_str()), (503, "no-media"), "it may still come");
    feeder.stream.ring.end("reset");
    let answer = get(&server, &feeder, "media.m3u8");
    assert_eq!((answer.status, answer.code().as_str()), (404, "no-media"));
}

#[test]
fn line_41_segments_that_are_no_longer_told_of_are_kept_for_a_while() {
    let server = Server::start_with(
        |_| {},
        |config| {
            short(config);
            config.hls.segments = 3;
            config.hls.segment = Length(Duration::from_secs(1));
        },
    );
    let feeder = Feeder::new(&server, "cam");
    feeder.begin(&H264, "start");
    feeder.send(&H264, 0.0, 0.6, 0, |_| true);
    playlist(&server, &feeder, "?_HLS_msn=0&_HLS_part=0");
    feeder.send(&H264, 0.6, 19.0, 0, |_| true);
    let told = reach(&server, &feeder, 17);
    let complete = told.segments.iter().filter(|it| it.uri.is_some()).count();
    assert!((3..=7).contains(&complete) && told.sequence > 4, "{}", told.text);
    let status = |number: u64| get(&server, &feeder, &format!("segment-{number}.m4s")).status;
    assert_eq!((status(told.sequence - 1), status(told.sequence - 2), status(0)), (200, 200, 410));
    assert_eq!(get(&server, &feeder, "part-0-0.m4s").code(), "gone");
}

#[test]
fn line_44_and_45_hints_parts_and_dates() {
    let server = server();
    let feeder = fed(&server, 6.1);
    let told = reach(&server, &feeder, 2);
    assert!(told.segments.iter().all(|it| !it.parts.is_empty()), "{}", told.text);
    let last = told.last();
    let (segment, part) =
        if last.uri.is_some() { (last.number + 1, 0) } else { (last.number, last.parts.len()) };
    assert_eq!(told.hint, Some(format!("part-{segment}-{part}.m4s")));
    let date = |text: &str| Timestamp::parse("date", text).unwrap().micros();
    for pair in told.segments.windows(2) {
        let step = date(pair[1].date.as_ref().unwrap()) - date(pair[0].date.as_ref().unwrap());
        assert!((step as f64 / 1e6 - pair[0].duration).abs() < 1e-3, "{}", told.text);
    }
}

#[test]
fn line_46_and_47_what_may_be_asked_for() {
    let server = server();
    let feeder = fed(&server, 3.9);
    reach(&server, &feeder, 1);
    let last = playlist(&server, &feeder, "?_HLS_msn=2&_HLS_part=2").last().number;
    assert_eq!(last, 2);
    let ask = |query: &str| get(&server, &feeder, &format!("media.m3u8?{query}"));
    let refused = ask("_HLS_part=1");
    assert_eq!((refused.status, refused.code().as_str()), (400, "missing-parameter"));
    assert_eq!(refused.json()["parameter"], "_HLS_msn");
    let refused = ask("_HLS_msn=5");
    assert_eq!((refused.status, refused.code().as_str()), (400, "too-far-ahead"));
    for bad in [
        "_HLS_msn=x",
        "_HLS_msn=-1",
        "_HLS_msn=1&_HLS_part=",
        "_HLS_skip=NO",
        "_HLS_msn=99999999999999999999",
    ] {
        assert_eq!(ask(bad).status, 400, "{bad}");
    }
    assert_eq!((ask("_HLS_msn=0").status, ask("_HLS_msn=1").status, ask("other=1").status), (200, 200, 200));
}

#[test]
fn line_49_beyond_a_segments_end_is_the_start_of_the_next() {
    let server = server();
    let feeder = fed(&server, 1.02);
    // Segment 0 is complete: the keyframe after it came.
    let first = reach(&server, &feeder, 0);
    let parts = first.segments[0].parts.len();
    let ask = |segment: u64, part: usize| {
        get(&server, &feeder, &format!("media.m3u8?_HLS_msn={segment}&_HLS_part={part}"))
    };
    assert_eq!(ask(0, parts - 1).status, 200);
    let bodies = std::thread::scope(|scope| {
        let waiting = [(0, parts), (0, parts + 1), (1, 0)]
            .map(|(segment, part)| scope.spawn(move || ask(segment, part).body));
        // One part more, and nothing else.
        feeder.send(&H264, 1.02, 1.6, 0, |_| true);
        waiting.map(|it| it.join().unwrap())
    });
    let text = String::from_utf8_lossy(&bodies[0]).into_owned();
    assert!(text.contains("part-1-0.m4s") && bodies.iter().all(|it| *it == bodies[0]), "{text}");
}

#[test]
fn line_50_and_51_parts_by_their_addresses() {
    let server = server();
    let feeder = fed(&server, 2.1);
    let told = reach(&server, &feeder, 1);
    let whole = get(&server, &feeder, "segment-1.m4s");
    let parts: Vec<u8> =
        told.segments[1].parts.iter().flat_map(|it| get(&server, &feeder, &it.uri).body).collect();
    assert_eq!(whole.body, parts);
    // A part of a segment that has not begun, while the one before is not complete, is not known to come.
    assert_eq!(get(&server, &feeder, "part-3-0.m4s").status, 404);
    assert_eq!(get(&server, &feeder, "part-0-99.m4s").status, 404);
    // The one that is hinted at is waited for.
    let body = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| get(&server, &feeder, &told.hint.clone().unwrap()));
        feeder.send(&H264, 2.1, 3.2, 0, |_| true);
        waiting.join().unwrap()
    });
    assert_eq!((body.status, file::boxes(&body.body).len()), (200, 2));
}

#[test]
fn line_53_heads_tell_the_orientation_of_now() {
    let server = server();
    let feeder = fed(&server, 2.0);
    playlist(&server, &feeder, "");
    let matrix = || {
        let head = get(&server, &feeder, "init-0.mp4").body;
        let tkhd = file::content(&head, &["moov", "trak", "tkhd"]).to_vec();
        [10, 11, 13, 14].map(|at| file::word(&tkhd, at) as i32 >> 16)
    };
    assert_eq!(matrix(), [1, 0, 0, 1]);
    feeder.stream.hls.set_orientation(8);
    assert_eq!(matrix(), [0, 1, -1, 0]);
}

#[test]
fn line_55_what_a_token_does_not_open_is_not_there() {
    let server = server();
    let feeder = fed(&server, 2.0);
    let other = "0".repeat(64);
    for target in [
        format!("/live/cam/{other}/master.m3u8"),
        format!("/live/none/{other}/master.m3u8"),
        "/live/cam/x/part-0-0.m4s".into(),
    ] {
        let answer = server.get(&target);
        assert_eq!((answer.status, answer.code().as_str()), (404, "not-found"), "{target}");
    }
    assert_eq!(get(&server, &feeder, "media.m3u8").status, 200);
    assert_eq!(get(&server, &feeder, "index.html").status, 404);
    let made = server.raw_with_body(
        "POST",
        "/streams/cam/viewers",
        "Content-Length: 17\r\n",
        b"{\"scope\":\"still\"}",
    );
    assert_eq!(made.status, 201, "{}", made.text());
    let token = made.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(made.json()["url"], format!("/live/cam/{token}/master.m3u8"));
    assert_eq!(server.get(&format!("/live/cam/{token}/master.m3u8")).status, 404, "it opens stills alone");
    let made = server.raw_with_body("POST", "/streams/cam/viewers", "Content-Length: 0\r\n", b"");
    let token = made.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("/live/cam/{token}/master.m3u8")).status, 200);
    let revoke = || server.raw("DELETE", &format!("/streams/cam/viewers/{token}"), "").status;
    assert_eq!((revoke(), revoke()), (204, 404));
    assert_eq!(server.get(&format!("/live/cam/{token}/master.m3u8")).status, 404);
    for body in ["{\"scope\":\"x\"}", "{\"ttl\":0}", "[]", "{\"other\":1}"] {
        let head = format!("Content-Length: {}\r\n", body.len());
        let answer = server.raw_with_body("POST", "/streams/cam/viewers", &head, body.as_bytes());
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
    }
}

#[test]
fn answers_may_be_kept_as_long_as_they_are_true() {
    let server = server();
    let feeder = fed(&server, 2.1);
    let ask =
        |file: &str, headers: &[(&str, &str)]| server.get_with(&format!("{}{file}", feeder.folder), headers);
    let waited = ask("media.m3u8?_HLS_msn=0", &[("Accept-Encoding", "gzip")]);
    assert_eq!(
        (waited.header("cache-control"), waited.header("vary")),
        ("public, max-age=2", "Accept-Encoding")
    );
    assert_eq!(ask("media.m3u8", &[]).header("cache-control"), "no-cache");
    let part = ask("part-0-0.m4s", &[]);
    assert_eq!(part.header("cache-control"), "public, max-age=86400, immutable");
    let again = ask("part-0-0.m4s", &[("If-None-Match", part.header("etag"))]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    let piece = ask("part-0-0.m4s", &[("Range", "bytes=4-7")]);
    assert_eq!((piece.status, piece.body.as_slice()), (206, &b"moof"[..]));
    assert_eq!(server.raw("HEAD", &format!("{}part-0-0.m4s", feeder.folder), "").status, 200);
}

#[test]
fn defect_6_a_player_that_only_polls_keeps_its_stream() {
    let server = server();
    let feeder = fed(&server, 2.1);
    let before = feeder.stream.hls.asked();
    playlist(&server, &feeder, "");
    let after = feeder.stream.hls.asked();
    assert!(before.is_none() && after.is_some());
    playlist(&server, &feeder, "");
    assert!(feeder.stream.hls.asked() > after, "every request counts, whatever it is for");
}

#[test]
fn defect_12_the_bytes_held_for_viewers_are_bounded() {
    let server = Server::start_with(
        |_| {},
        |config| {
            short(config);
            config.hls.bytes = moviola::config::ByteSize(1 << 20);
        },
    );
    let feeder = fed(&server, 19.0);
    reach(&server, &feeder, 1);
    let (viewers, bytes) = feeder.stream.hls.usage(std::time::Instant::now());
    assert!(viewers == 1 && bytes > 0 && bytes <= 1 << 20, "{viewers} {bytes}");
}
