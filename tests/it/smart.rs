//! Smart cuts: exactly the frames asked for, the untouched ones bit for bit, and a file that behaves like one.

use crate::client::Server;
use crate::judge::{self, Judge};
use crate::media::{FPS, FRAMES, Random, first_from, start, stream, whole};
use moviola::archive::SegmentKind;

pub fn target(ranges: &[(i64, i64)], more: &str) -> String {
    let mut target = format!("/cut/chan/270p.ts?type=smart{more}");
    for (from, to) in ranges {
        target.push_str(&format!("&range={},{}", start() + *from, start() + *to));
    }
    target
}

pub fn saved(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::with_suffix(".ts").expect("a file");
    std::fs::write(file.path(), bytes).expect("a cut");
    file
}

/// Checks pictures, times and sound of a cut against the frames it has to hold.
pub fn check(judge: &Judge, bytes: &[u8], frames: &[u32], what: &str) {
    let file = saved(bytes);
    assert_eq!(judge.numbers(file.path()), frames, "{what}");
    let packets = judge.packets(file.path(), "v");
    assert!(packets.windows(2).all(|pair| pair[0].dts < pair[1].dts), "DTS of {what}");
    assert!(packets.iter().all(|packet| packet.dts <= packet.pts), "DTS after PTS in {what}");
    let mut times: Vec<i64> = packets.iter().map(|packet| packet.pts).collect();
    times.sort_unstable();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 90_000 / FPS), "PTS of {what}");
    // Sound is taken over frame by frame: at most half a frame (960 ticks) off at both ends and at every join.
    let sound = judge.packets(file.path(), "a");
    let (first, last) = (sound[0].pts, sound[sound.len() - 1].pts);
    let end = times[times.len() - 1] + 90_000 / FPS;
    assert!((first - times[0]).abs() <= 961, "the sound of {what} starts {} off", first - times[0]);
    assert!((last + 1920 - end).abs() <= 961, "the sound of {what} ends {} off", last + 1920 - end);
    assert!(sound.windows(2).all(|pair| (pair[1].pts - pair[0].pts - 1920).abs() <= 961), "sound of {what}");
    assert_eq!(judge.complaints(file.path()), "", "{what}");
}

pub fn between(from: i64, to: i64) -> Vec<u32> {
    (first_from(from)..first_from(to)).collect()
}

#[test]
fn a_smart_cut_holds_exactly_its_frames() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let server = Server::start(whole);
    let mut random = Random(11);
    let mut spans = vec![
        (1_234_567, 13_456_789),
        (2_100_000, 2_600_000),
        (4_000_000, 6_000_000),
        (0, 16_000_000),
        (0, 33_333),
        (1_966_667, 2_033_333),
        (3_999_000, 8_001_000),
    ];
    for _ in 0..12 {
        let from = random.below(15_000_000);
        spans.push((from, from + 40_000 + random.below(15_900_000 - from)));
    }
    for span in spans {
        let target = target(&[span], "");
        let answer = server.get(&target);
        assert_eq!((answer.status, answer.header("content-type")), (200, "video/mp2t"), "{target}");
        let frames = between(span.0, span.1);
        assert_eq!(answer.header("moviola-frames"), frames.len().to_string());
        check(&judge, &answer.body, &frames, &target);
    }
}

#[test]
fn what_is_not_encoded_is_the_source_bit_for_bit() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let server = Server::start(whole);
    let span = (1_234_567, 13_456_789);
    let source =
        server.get(&format!("/cut/chan/270p.ts?type=rough&start={}&end={}", start(), start() + 16_000_000));
    let cut = server.get(&target(&[span], ""));
    let encoded: usize = cut.header("moviola-encoded-frames").parse().expect("a number");
    let (source, cut) = (judge.hashes(saved(&source.body).path()), judge.hashes(saved(&cut.body).path()));
    assert_eq!(source.len(), FRAMES as usize);
    let first = first_from(span.0) as usize;
    let same: Vec<bool> = cut.iter().zip(&source[first..]).map(|(a, b)| a == b).collect();
    // The head up to the keyframe at 2 s, and of the tail what its references do not let stay.
    assert_eq!(same.iter().filter(|same| !**same).count(), encoded);
    let head = 60 - first;
    assert!(same[..head].iter().all(|same| !same));
    let tail = same.len() - (encoded - head);
    assert!(encoded - head <= 3, "{} frames encoded at the end", encoded - head);
    assert!(same[head..tail].iter().all(|same| *same));
}

#[test]
fn ranges_come_in_any_order_and_more_than_once() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let server = Server::start(whole);
    let ranges =
        [(9_100_000, 15_000_000), (1_500_000, 3_200_000), (1_500_000, 3_200_000), (2_000_000, 10_000_000)];
    let answer = server.get(&target(&ranges, ""));
    let frames: Vec<u32> = ranges.iter().flat_map(|(from, to)| between(*from, *to)).collect();
    check(&judge, &answer.body, &frames, "four ranges");

    // Keep everything in n pieces: the frames of the source.
    let mut random = Random(5);
    for pieces in [2, 5, 9] {
        let mut borders: Vec<i64> = (1..pieces).map(|_| random.below(15_900) * 1000 + 50_000).collect();
        borders.extend([0, 16_000_000]);
        borders.sort_unstable();
        borders.dedup();
        let ranges: Vec<(i64, i64)> = borders.windows(2).map(|pair| (pair[0], pair[1])).collect();
        let answer = server.get(&target(&ranges, ""));
        check(&judge, &answer.body, &(0..FRAMES as u32).collect::<Vec<_>>(), &format!("{pieces} pieces"));
    }
}

#[test]
fn a_hole_is_passed_over_when_allowed() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let server =
        Server::start(|root| stream(root, FRAMES, |number| (number != 3).then_some(SegmentKind::Full)));
    let span = [(3_000_000, 12_000_000)];
    assert_eq!(server.get(&target(&span, "")).status, 406);
    let answer = server.get(&target(&span, "&allow_holes=true"));
    let frames: Vec<u32> = (90..180).chain(240..360).collect();
    check(&judge, &answer.body, &frames, "a cut over a hole");
}

#[test]
fn a_cut_behaves_like_a_file() {
    let server = Server::start(whole);
    let target = target(&[(1_234_567, 13_456_789)], "");
    let all = server.get(&target);
    let length = all.body.len();
    assert_eq!(all.header("content-length"), length.to_string());
    assert_eq!(length % 188, 0);
    let head = server.raw("HEAD", &target, "");
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, &*length.to_string(), 0));
    assert_eq!(head.header("etag"), all.header("etag"));
    // Pieces of all sizes, over the joins of edges and segments.
    let mut random = Random(3);
    let mut at = 0;
    let mut joined = Vec::new();
    while at < length {
        let to = (at + 1 + random.below(200_000) as usize).min(length);
        let range = format!("bytes={at}-{}", to - 1);
        let part = server.get_with(&target, &[("range", &range), ("if-range", all.header("etag"))]);
        assert_eq!(part.status, 206, "{range}");
        joined.extend_from_slice(&part.body);
        at = to;
    }
    assert!(joined == all.body, "the parts are not the whole");
    let unchanged = server.get_with(&target, &[("if-none-match", all.header("etag"))]);
    assert_eq!(unchanged.status, 304);
}

#[test]
fn the_receipt_says_what_the_cut_holds() {
    let server = Server::start(whole);
    let ranges = [(1_234_567, 7_000_000), (9_000_000, 9_500_000)];
    let cut = server.get(&target(&ranges, ""));
    let receipt = server.get(&target(&ranges, "&receipt=true"));
    assert_eq!(receipt.header("content-type"), "application/json");
    let receipt = receipt.json();
    assert_eq!(receipt["bytes"], cut.body.len());
    assert_eq!(receipt["frames"].to_string(), cut.header("moviola-frames"));
    assert_eq!(receipt["encoded_frames"].to_string(), cut.header("moviola-encoded-frames"));
    assert_eq!((&receipt["altered_segments"], cut.header("moviola-altered-segments")), (&0.into(), ""));
    let first = &receipt["ranges"][0]["first"];
    assert_eq!(
        (first["number"].as_u64(), first["time"].as_str()),
        (Some(38), Some(&*(start() + 1_266_666).to_string()))
    );
    assert_eq!(receipt["ranges"][1]["frames"], between(9_000_000, 9_500_000).len());
}
