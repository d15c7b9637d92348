//! Storyboards: the right keyframe on every tile, holes marked, and texts that lead to the right places.
#![allow(clippy::disallowed_methods)]

use crate::barcode;
use crate::client::Server;
use crate::judge;
use crate::media::{FRAMES, start, stream, whole};
use moviola::archive::SegmentKind;
use moviola::base::Timestamp;
use std::path::Path;
use std::process::Command;

/// Segments, and the pictures of each, of which the first is the only keyframe.
const SEGMENTS: i64 = 8;
const EACH: u32 = 60;
/// Tiles as large as the pictures, so that their bar codes can be read.
const LARGE: &str = "width=480&columns=2&rows=2&interval=2";
const TILE: (u32, u32) = (480, 270);

fn at(seconds: i64) -> Timestamp {
    start() + seconds * 1_000_000
}

/// The third segment is missing.
fn holed(root: &Path) {
    stream(root, FRAMES, |number| (number != 2).then_some(SegmentKind::Full));
}

/// The picture numbers on a sheet of large tiles, row by row.
fn numbers(bytes: &[u8]) -> Vec<Option<u32>> {
    let sheet = image::load_from_memory(bytes).expect("a picture").to_luma8();
    let (columns, rows) = (sheet.width() / TILE.0, sheet.height() / TILE.1);
    let corners = (0..rows).flat_map(|y| (0..columns).map(move |x| (x * TILE.0, y * TILE.1)));
    corners.map(|corner| number(&sheet, corner)).collect()
}

fn number(sheet: &image::GrayImage, (x, y): (u32, u32)) -> Option<u32> {
    let tile = image::imageops::crop_imm(sheet, x, y, TILE.0, TILE.1).to_image();
    barcode::read(tile.as_raw(), TILE.0 as usize, 16)
}

fn tiles_decoded(server: &Server) -> Option<u64> {
    let metrics = server.get("/metrics");
    let line = metrics.text().lines().find(|it| it.contains("decoded_frames_total{purpose=\"tile\"}"))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn sheets_show_keyframes_and_mark_holes() {
    let server = Server::start(holed);
    let ask = |extension: &str, seconds| {
        let answer =
            server.get(&format!("/storyboard/chan/270p/sheet.{extension}?start={}&{LARGE}", at(seconds)));
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer
    };
    for extension in ["png", "jpg"] {
        assert_eq!(numbers(&ask(extension, 0).body), [Some(0), Some(EACH), None, Some(3 * EACH)]);
    }
    let whole = ask("png", 8);
    assert_eq!(numbers(&whole.body), [4, 5, 6, 7].map(|it| Some(it * EACH)));
    assert_eq!(whole.header("cache-control"), "public, max-age=86400, immutable");
    assert_eq!(ask("png", 0).header("cache-control"), "no-cache");
    // Every keyframe was decoded once, whatever was drawn of it.
    assert_eq!(tiles_decoded(&server), Some(SEGMENTS as u64 - 1));
    // A tile of nothing is striped, and one after the end too.
    let sheet = image::load_from_memory(&ask("png", 14).body).expect("a picture").to_luma8();
    let shades =
        |x: u32| (0..64).map(|it| sheet.get_pixel(x + it, 5).0[0]).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(shades(500).len(), 2, "stripes");
    let webp = ask("webp", 0);
    assert_eq!((webp.header("content-type"), &webp.body[..4]), ("image/webp", &b"RIFF"[..]));
}

/// Pairs of times in seconds, and what they are of.
fn cues(vtt: &str) -> Vec<(f64, f64, String)> {
    let seconds = |text: &str| {
        text.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().expect("a number"))
    };
    let blocks = vtt.split("\n\n").skip(1);
    let cue = |block: &str| {
        let (times, url) = block.split_once('\n').expect("two lines");
        let (from, to) = times.split_once(" --> ").expect("two times");
        (seconds(from), seconds(to), url.trim().to_owned())
    };
    blocks.map(cue).collect()
}

#[test]
fn vtt_counts_as_the_playlist_does_and_leads_to_the_right_tiles() {
    let server = Server::start(holed);
    let range = format!("start={}&end={}", at(0), at(16));
    let vtt = server.get(&format!("/storyboard/chan/270p/storyboard.vtt?{range}&{LARGE}"));
    assert_eq!((vtt.status, vtt.header("content-type")), (200, "text/vtt"));
    assert!(vtt.text().starts_with("WEBVTT\n\n"));
    let cues = cues(vtt.text());
    let playlist = server.get(&format!("/playlist/chan/270p.m3u8?{range}"));
    let duration: f64 = playlist
        .text()
        .lines()
        .filter_map(|it| it.strip_prefix("#EXTINF:")?.split(',').next()?.parse::<f64>().ok())
        .sum();
    assert_eq!((cues[0].0, cues.last().map(|it| it.1)), (0.0, Some(duration)));
    for pair in cues.windows(2) {
        assert_eq!(pair[0].1, pair[1].0, "without a gap");
    }
    for (from, to, url) in &cues {
        let (sheet, place) = url.split_once("#xywh=").expect("a place");
        let place: Vec<u32> = place.split(',').map(|it| it.parse().expect("a number")).collect();
        let answer = server.get(&format!("/storyboard/chan/270p/{sheet}"));
        assert_eq!(answer.status, 200, "{sheet}");
        let picture = image::load_from_memory(&answer.body).expect("a picture").to_luma8();
        let number = number(&picture, (place[0], place[1])).expect("a bar code");
        // Where the player shows that picture: the hole of a segment takes no time.
        let shown = f64::from(number) / 30.0 - if number >= 2 * EACH { 2.0 } else { 0.0 };
        assert!((from - 2.0..to + 2.0).contains(&shown), "{from} to {to} shows {shown}");
    }
    let wall = server.get(&format!("/storyboard/chan/270p/storyboard.vtt?{range}&{LARGE}&timeline=wall"));
    assert_eq!(self::cues(wall.text()).last().map(|it| it.1), Some(16.0));
}

#[test]
fn json_is_one_sheet_or_a_list() {
    let server = Server::start(whole);
    let range = format!("start={}&end={}", at(0), at(16));
    let json =
        server.get(&format!("/storyboard/chan/270p/storyboard.json?{range}&width=480&columns=2&rows=4"));
    assert_eq!(json.header("content-type"), "application/json");
    let value = json.json();
    assert_eq!((value["tile_width"].as_u64(), value["tile_height"].as_u64()), (Some(480), Some(270)));
    let tiles = value["tiles"].as_array().expect("tiles");
    assert_eq!(tiles.len(), 8);
    let url = value["url"].as_str().expect("an address");
    let (_, path) = url.split_once("//").and_then(|it| it.1.split_once('/')).expect("a whole address");
    let sheet = server.get(&format!("/{path}"));
    assert_eq!(numbers(&sheet.body), (0..8).map(|it| Some(it * EACH)).collect::<Vec<_>>());
    let list = server.get(&format!("/storyboard/chan/270p/storyboard.json?{range}&format=list&interval=4"));
    assert!(list.json().as_array().is_some_and(|it| it.len() >= 4));
    let narrow =
        server.get(&format!("/storyboard/chan/270p/storyboard.json?{range}&columns=1&rows=1&interval=4"));
    assert_eq!((narrow.status, narrow.json()["parameter"].as_str()), (400, Some("interval")));
}

#[test]
fn bif_is_read_by_its_published_layout() {
    let server = Server::start(whole);
    let target = format!("/storyboard/chan/270p/storyboard.bif?start={}&end={}&{LARGE}", at(0), at(16));
    let file = server.get(&target).body;
    let word = |place: usize| u32::from_le_bytes(file[place..place + 4].try_into().expect("a word"));
    assert_eq!((&file[..8], word(8), word(12), word(16)), (&b"\x89BIF\r\n\x1a\n"[..], 0, 8, 2000));
    for number in 0..8 {
        let (from, to) = (word(68 + 8 * number) as usize, word(76 + 8 * number) as usize);
        assert_eq!(word(64 + 8 * number), number as u32);
        assert_eq!(numbers(&file[from..to]), [Some(number as u32 * EACH)]);
    }
    assert_eq!((word(128), word(132) as usize), (u32::MAX, file.len()));
}

#[test]
fn playlists_of_images_and_keyframes_lead_to_pictures() {
    let server = Server::start(holed);
    let range = format!("start={}&end={}", at(0), at(16));
    let images = server.get(&format!("/storyboard/chan/270p/images.m3u8?{range}&{LARGE}"));
    assert!(
        images.text().contains("#EXT-X-IMAGES-ONLY\n") && images.text().contains("#EXT-X-DISCONTINUITY\n")
    );
    let sheets: Vec<&str> = images.text().lines().filter(|it| !it.starts_with('#')).collect();
    let shown: Vec<_> = sheets
        .iter()
        .map(|it| numbers(&server.get(&format!("/storyboard/chan/270p/{it}")).body))
        .map(|it| it[0])
        .collect();
    assert_eq!(shown, [0, 3, 7].map(|it| Some(it * EACH)));

    let text = server.get(&format!("/playlist/chan/270p/iframes.m3u8?{range}"));
    assert_eq!(text.header("content-type"), "application/vnd.apple.mpegurl");
    let lines: Vec<&str> = text.text().lines().collect();
    assert!(lines.contains(&"#EXT-X-I-FRAMES-ONLY") && lines.contains(&"#EXT-X-ENDLIST"));
    let length = |tag: &str| -> Vec<f64> {
        let value = |it: &&str| it.strip_prefix(tag)?.split(',').next()?.parse().ok();
        lines.iter().filter_map(value).collect()
    };
    assert_eq!(length("#EXTINF:"), [2.0; 7]);
    let mut keyframes = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some((size, offset)) = line.strip_prefix("#EXT-X-BYTERANGE:").and_then(|it| it.split_once('@'))
        else {
            continue;
        };
        let (size, offset): (u64, u64) = (size.parse().expect("a size"), offset.parse().expect("a place"));
        let part = format!("bytes={offset}-{}", offset + size - 1);
        let answer = server.get_with(lines[at + 1], &[("Range", &part)]);
        assert_eq!((answer.status, answer.body.len() as u64 % 188), (206, 0));
        keyframes.push(answer.body);
    }
    assert_eq!(keyframes.len(), 7);
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let numbers = keyframes.iter().map(|bytes| {
        let file = tempfile::NamedTempFile::with_suffix(".ts").expect("a file");
        std::fs::write(file.path(), bytes).expect("a keyframe");
        judge.numbers(file.path())
    });
    let expected = [0, 1, 3, 4, 5, 6, 7].map(|it| vec![it * EACH]);
    assert_eq!(numbers.collect::<Vec<_>>(), expected);
}

#[test]
fn a_contact_sheet_is_a_picture_with_times() {
    let server = Server::start(holed);
    let range = format!("start={}&end={}", at(0), at(16));
    let sheet = server.get(&format!("/contact-sheet/chan/270p.jpg?{range}&columns=4&rows=2&width=160"));
    let picture = image::load_from_memory(&sheet.body).expect("a picture");
    // A line of text is 11 pixels high.
    assert_eq!((picture.width(), picture.height()), (640, 2 * (90 + 11)));
    let empty = server.get("/contact-sheet/chan/270p.jpg?start=2020-01-01T00:00:00&end=2020-01-01T01:00:00");
    assert_eq!((empty.status, empty.code().as_str()), (406, "no-content"));
}

#[test]
fn bad_wishes_are_refused_by_name() {
    let server = Server::start(whole);
    let (from, to) = (at(0), at(16));
    for (target, parameter) in [
        ("sheet.jpg?width=160".to_owned(), "start"),
        (format!("sheet.jpg?start={from}&width=161"), "width"),
        (format!("sheet.jpg?start={from}&columns=51"), "columns"),
        (format!("sheet.jpg?start={from}&width=640&columns=50"), "columns"),
        (format!("sheet.jpg?start={from}&interval=3600&rows=50"), "end"),
        (format!("storyboard.vtt?start={to}&end={from}"), "end"),
        (format!("storyboard.vtt?start={from}&end={to}&timeline=x"), "timeline"),
        (format!("storyboard.json?start={from}&end={to}&format=x"), "format"),
        (format!("storyboard.bif?start={from}&end={to}&interval=0"), "interval"),
        ("images.m3u8?start=x".to_owned(), "start"),
    ] {
        let answer = server.get(&format!("/storyboard/chan/270p/{target}"));
        assert_eq!((answer.status, answer.json()["parameter"].as_str()), (400, Some(parameter)), "{target}");
    }
    for target in [
        "storyboard/nochan/270p/sheet.jpg",
        "storyboard/chan/no/storyboard.vtt",
        "playlist/no/q/iframes.m3u8",
    ] {
        assert_eq!(server.get(&format!("/{target}?start={from}&end={to}")).status, 404, "{target}");
    }
}

#[test]
fn what_was_made_before_is_not_made_again() {
    let server = Server::start(|root| {
        whole(root);
        let done = Command::new(env!("CARGO_BIN_EXE_moviola"))
            .args(["index", "chan", "--pictures", "--peaks", "--archive"])
            .arg(root)
            .output()
            .expect("the program runs");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success() && said.contains("8 segments are ready, of which 0"), "{said}");
    });
    let range = format!("start={}&end={}", at(0), at(16));
    for target in [
        format!("/storyboard/chan/270p/sheet.jpg?start={}", at(0)),
        format!("/waveform/chan/270p.png?{range}&size=64x32"),
        format!("/silence/chan/270p.json?{range}"),
    ] {
        assert_eq!(server.get(&target).status, 200, "{target}");
    }
    let metrics = server.get("/metrics");
    let decoded = metrics.text().lines().filter(|it| it.starts_with("moviola_media_decoded_frames_total{"));
    let counts: Vec<&str> = decoded.filter(|it| !it.ends_with(" 0")).collect();
    assert!(counts.is_empty(), "{counts:?}");
}

#[test]
fn what_will_not_change_is_drawn_once() {
    let server = Server::start(holed);
    let drawn = || server.render.metrics.pool_tasks.with_label_values(&["interactive", "done"]).get();
    for (target, settled) in [
        (format!("/storyboard/chan/270p/sheet.jpg?start={}&columns=2&rows=1&interval=2", at(8)), true),
        (format!("/storyboard/chan/270p/sheet.jpg?start={}&columns=2&rows=2&interval=2", at(0)), false),
        (format!("/waveform/chan/270p.png?start={}&end={}", at(10), at(12)), true),
        (format!("/waveform/chan/270p.png?start={}&end={}", at(0), at(8)), false),
    ] {
        let first = server.get(&target);
        assert_eq!(first.status, 200, "{target}");
        let before = drawn();
        let again = server.get(&target);
        assert_eq!(drawn() == before, settled, "{target}");
        assert_eq!((&again.body, again.header("etag")), (&first.body, first.header("etag")), "{target}");
    }
}
