//! What smart cuts are composed of: holes filled and passed over, whole groups of pictures, and what the receipt tells.

use crate::client::{Answer, Server};
use crate::judge;
use crate::media::{FRAMES, start, stream, whole};
use crate::smart::{between, check, saved, target};
use moviola::archive::{Archive, Limits, SegmentKind};
use moviola::base::metrics::Metrics;
use moviola::base::{Channel, Quality, Token};
use moviola::media::synthetic::{Synthetic, synthesise};
use std::path::{Path, PathBuf};

/// The stream without its fourth segment: nothing from 6 to 8 s.
fn with_a_hole(root: &Path) {
    stream(root, FRAMES, |number| (number != 3).then_some(SegmentKind::Full));
}

fn seconds(value: &serde_json::Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn a_hole_is_filled_with_its_last_picture_or_with_black() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let server = Server::start(with_a_hole);
    // Over the hole; from inside it; to inside it; with another range after it.
    for (policy, filler) in [("freeze", 179), ("black", 0)] {
        let more = format!("&holes={policy}");
        let fill = |count: usize, filler: u32| std::iter::repeat_n(filler, count);
        let cut = |ranges: &[(i64, i64)], frames: &[u32]| {
            let target = target(ranges, &more);
            let answer = server.get(&target);
            assert_eq!(answer.status, 200, "{target}: {}", String::from_utf8_lossy(&answer.body));
            assert_eq!(answer.header("moviola-frames"), frames.len().to_string(), "{target}");
            check(&judge, &answer.body, frames, &target);
        };
        let over: Vec<u32> = (90..180).chain(fill(60, filler)).chain(240..360).collect();
        cut(&[(3_000_000, 12_000_000)], &over);
        // Where nothing lies before it, a hole is frozen at what comes after it.
        let before = if policy == "freeze" { 240 } else { 0 };
        let from: Vec<u32> = fill(30, before).chain(240..300).collect();
        cut(&[(7_000_000, 10_000_000)], &from);
        let to: Vec<u32> = (150..180).chain(fill(15, filler)).collect();
        cut(&[(5_000_000, 6_500_000)], &to);
        let twice: Vec<u32> = to.iter().copied().chain(30..60).chain(from.iter().copied()).collect();
        cut(&[(5_000_000, 6_500_000), (1_000_000, 2_000_000), (7_000_000, 10_000_000)], &twice);
    }
}

#[test]
fn ten_minutes_without_anything_cost_next_to_nothing() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    const LONG: i64 = 600_000_000;
    let server = Server::start(|root| {
        let archive = Archive::open(root, Limits::default(), Metrics::new()).expect("an archive");
        let (channel, quality) =
            (Channel::new("chan").expect("a name"), Quality::new("270p").expect("a name"));
        let what = Synthetic {
            start: start(),
            frames: 240,
            fps: 30,
            segment_frames: 60,
            width: 480,
            height: 270,
            preset: "superfast".into(),
            crf: 23,
            b_frames: 2,
        };
        // The second half of the stream comes ten minutes late.
        synthesise(&what, &Token::root(), |segment| {
            let at = segment.start + if segment.number < 2 { 0 } else { LONG };
            let mut writer = archive.create_segment(&channel, &quality, at)?;
            writer.write(&segment.bytes)?;
            writer.finish(segment.duration, SegmentKind::Full).map(drop)
        })
        .expect("a stream");
    });
    let ranges = [(1_000_000, LONG + 7_000_000)];
    for policy in ["freeze", "black"] {
        let target = target(&ranges, &format!("&holes={policy}"));
        let head = server.raw("HEAD", &target, "");
        assert_eq!(head.status, 200);
        assert_eq!(head.header("moviola-frames"), (18_000 + 180).to_string());
        assert!((head.header("moviola-duration").parse::<f64>().expect("seconds") - 606.0).abs() < 0.001);
        // Every two seconds a player can begin, ten minutes later too.
        let length: u64 = head.header("content-length").parse().expect("a length");
        let from = length / 2 / 188 * 188;
        let part = server.get_with(&target, &[("range", &format!("bytes={from}-{}", from + 400 * 188 - 1))]);
        assert_eq!((part.status, part.body.len()), (206, 400 * 188));
        let numbers = judge.numbers(saved(&part.body).path());
        assert!(numbers.len() > 20, "{} pictures in the middle of a hole", numbers.len());
        let expected = if policy == "freeze" { 119 } else { 0 };
        assert!(numbers.iter().all(|number| *number == expected), "{numbers:?}");
    }
    let edges = [(1_000_000, 4_000_000), (LONG + 4_000_000, LONG + 7_000_000)];
    let held = || server.render.metrics.cut_edge_bytes.get();
    let both = held();
    server.raw("HEAD", &target(&edges, ""), "");
    let without = held() - both;
    // Two cuts with a filling and the edges, and once the edges.
    assert!(both - 2 * without < 2 * 100_000, "{both} bytes held, {without} of them for the edges of a cut");
    let cut = server.get(&target(&ranges, "&holes=black"));
    let frames: Vec<u32> = (30..120).chain(std::iter::repeat_n(0, 18_000)).chain(120..210).collect();
    check(&judge, &cut.body, &frames, "a cut over ten minutes without anything");
}

#[test]
fn a_copied_cut_reaches_from_keyframe_to_keyframe() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let server = Server::start(whole);
    let ranges = [(3_200_000, 7_100_000), (500_000, 1_000_000), (15_000_000, 16_000_000)];
    let target = target(&ranges, "&type=copy").replace("type=smart&", "");
    let receipt = server.get(&format!("{target}&receipt=true")).json();
    let cut = server.get(&target);
    assert_eq!((cut.status, cut.header("moviola-encoded-frames")), (200, "0"), "{}", cut.text_or_size());
    let frames: Vec<u32> = (60..240).chain(0..60).chain(420..480).collect();
    check(&judge, &cut.body, &frames, "a copied cut");
    assert_eq!(receipt["cost"]["pictures_encoded"], 0);
    for (number, before, after) in [(0, 1.2, 0.9), (1, 0.5, 1.0), (2, 1.0, 0.0)] {
        let range = &receipt["ranges"][number];
        assert!((seconds(&range["reach_before"]) - before).abs() < 0.001, "{range}");
        assert!((seconds(&range["reach_after"]) - after).abs() < 0.001, "{range}");
    }
    // Bit for bit.
    let source =
        server.get(&format!("/cut/chan/270p.ts?type=rough&start={}&end={}", start(), start() + 16_000_000));
    let (source, cut) = (judge.hashes(saved(&source.body).path()), judge.hashes(saved(&cut.body).path()));
    let expected: Vec<&String> = frames.iter().map(|number| &source[*number as usize]).collect();
    assert_eq!(cut.iter().collect::<Vec<_>>(), expected);
    for more in ["&holes=freeze", "&holes=black"] {
        assert_eq!(server.get(&format!("{target}{more}")).code(), "unsupported-holes");
    }
}

impl Answer {
    /// For messages: a media body is not shown.
    fn text_or_size(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap_or_else(|_| format!("{} bytes", self.body.len()))
    }
}

#[test]
fn a_copied_cut_takes_what_is_intact_of_a_segment_that_stops_early() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let server = Server::start(|root| {
        stream(root, FRAMES, |number| {
            Some(if number == 2 { SegmentKind::Partial } else { SegmentKind::Full })
        });
    });
    let target = target(&[(2_500_000, 9_000_000)], "&type=copy&holes=skip").replace("type=smart&", "");
    let cut = server.get(&target);
    assert_eq!((cut.status, cut.header("moviola-encoded-frames")), (200, "0"), "{}", cut.text_or_size());
    let file = saved(&cut.body);
    let numbers = judge.numbers(file.path());
    let partial: Vec<u32> = numbers.iter().copied().filter(|number| (120..180).contains(number)).collect();
    assert!((5..60).contains(&partial.len()), "{} pictures of the partial segment", partial.len());
    let rest: Vec<u32> = numbers.iter().copied().filter(|number| !(120..180).contains(number)).collect();
    assert_eq!(rest, between(2_000_000, 4_000_000).into_iter().chain(180..300).collect::<Vec<_>>());
    assert_eq!(judge.complaints(file.path()), "");
}

#[test]
fn a_receipt_is_told_without_encoding() {
    let server = Server::start(with_a_hole);
    let encoded = || server.render.metrics.media_encoded.with_label_values(&["cut"]).get();
    let ranges = [(1_234_567, 9_000_000), (9_000_000, 9_500_000)];
    let plain = target(&ranges, "&holes=black");
    let planned = server.get(&format!("{plain}&receipt=true")).json();
    assert_eq!(encoded(), 0);
    assert_eq!(planned["bytes"], serde_json::Value::Null);
    let cut = server.get(&plain);
    assert!(encoded() > 0);
    let prepared = server.get(&format!("{plain}&receipt=true")).json();
    assert_eq!(
        (prepared["bytes"].as_u64(), &prepared["estimated_bytes"]),
        (Some(cut.body.len() as u64), &serde_json::Value::Null)
    );
    let estimate = seconds(&planned["estimated_bytes"]) / cut.body.len() as f64;
    assert!((0.5..2.0).contains(&estimate), "the estimate is {estimate} of the length");
    // All but the length is known beforehand.
    for field in ["frames", "encoded_frames", "duration", "cost", "ranges", "timeline", "container"] {
        assert_eq!(planned[field], prepared[field], "{field}");
    }
    assert_eq!(planned["frames"].to_string(), cut.header("moviola-frames"));
    assert_eq!(planned["content_type"], cut.header("content-type"));
    assert!(seconds(&planned["cost"]["estimated_cpu_seconds"]) > 0.0);
    let timeline: Vec<(String, f64)> = planned["timeline"]
        .as_array()
        .expect("a timeline")
        .iter()
        .map(|it| (it["kind"].as_str().expect("a kind").to_owned(), seconds(&it["output_start"])))
        .collect();
    let expected =
        [("content", 0.0), ("hole", 142.0 / 30.0), ("content", 202.0 / 30.0), ("content", 232.0 / 30.0)];
    assert_eq!(timeline.len(), expected.len());
    for ((kind, at), (expected_kind, expected_at)) in timeline.iter().zip(expected) {
        assert!(kind == expected_kind && (at - expected_at).abs() < 0.001, "{timeline:?}");
    }
    let hole = &planned["ranges"][0]["holes"][0];
    assert_eq!((hole["policy"].as_str(), hole["frames"].as_u64()), (Some("black"), Some(60)));
    assert_eq!(hole["start"], (start() + 6_000_000).to_string());
    let audio = &planned["ranges"][0]["audio"][0];
    for end in ["lead_samples", "trail_samples"] {
        assert!(audio[end].as_i64().expect("samples").abs() <= 512, "{audio}");
    }
}

#[test]
fn the_headers_say_what_a_cut_took() {
    let server = Server::start(whole);
    let target = target(&[(1_234_567, 7_000_000)], "");
    let first = server.get(&target);
    let timing = first.header("server-timing");
    assert!(timing.starts_with("cache;desc=miss, plan;dur="), "{timing}");
    assert!(timing.contains(", edges;dur=") && timing.contains(", total;dur="), "{timing}");
    let second = server.get(&target);
    assert!(second.header("server-timing").starts_with("cache;desc=hit, total;dur="));
    assert_eq!(
        first.header("moviola-duration"),
        format!("{:.6}", between(1_234_567, 7_000_000).len() as f64 / 30.0)
    );
}

/// Makes another segment of one.
type Make = fn(&[u8]) -> Vec<u8>;

/// The stream with its fourth segment replaced; the name stays that of a whole one.
fn with_instead(root: &Path, make: impl Fn(&[u8]) -> Vec<u8>) {
    whole(root);
    replace(root, make);
}

fn replace(root: &Path, make: impl Fn(&[u8]) -> Vec<u8>) {
    let hours = std::fs::read_dir(root.join("chan/270p")).expect("hours");
    for hour in hours {
        for segment in std::fs::read_dir(hour.expect("an hour").path()).expect("segments") {
            let path = segment.expect("a segment").path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("59:58.437")) {
                let bytes = std::fs::read(&path).expect("a segment");
                std::fs::write(&path, make(&bytes)).expect("another segment");
            }
        }
    }
}

#[test]
fn a_segment_that_cannot_be_read_is_named_or_a_hole() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let makes: [(&str, Make); 4] = [
        ("empty", |_| Vec::new()),
        ("text", |_| b"<html>not found</html>".repeat(300)),
        ("an MP4", |bytes| [b"\0\0\0\x18ftypisom\0\0\0\0isommp42", &[0; 4000][..], &bytes[..100]].concat()),
        ("packets of nothing", |bytes| {
            bytes.iter().map(|byte| if *byte == 0x47 { 0x47 } else { 0xff }).collect()
        }),
    ];
    for (what, make) in makes {
        let server = Server::start(|root| with_instead(root, make));
        let ranges = [(3_000_000, 12_000_000)];
        let refused = server.get(&target(&ranges, ""));
        assert_eq!((refused.status, &*refused.code()), (422, "damaged-media"), "{what}");
        let detail = refused.json()["detail"].as_str().expect("a detail").to_owned();
        assert!(detail.contains(&(start() + 6_000_000).to_string()[..19]), "{what}: {detail}");
        let skipped = server.get(&target(&ranges, "&holes=skip"));
        let frames: Vec<u32> = (90..180).chain(240..360).collect();
        check(&judge, &skipped.body, &frames, what);
        let frozen = server.get(&target(&ranges, "&holes=freeze"));
        let frames: Vec<u32> = (90..180).chain(std::iter::repeat_n(179, 60)).chain(240..360).collect();
        check(&judge, &frozen.body, &frames, what);
    }
}

#[test]
fn a_segment_cut_off_or_with_flipped_bits_harms_nothing_else() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let makes: [(&str, Make); 2] = [
        ("cut off", |bytes| bytes[..bytes.len() * 2 / 3].to_vec()),
        ("flipped", |bytes| {
            let flip = |(at, byte): (usize, &u8)| if at % 5_003 == 4_999 { byte ^ 0x10 } else { *byte };
            bytes.iter().enumerate().map(flip).collect()
        }),
    ];
    for (what, make) in makes {
        let server = Server::start(|root| with_instead(root, make));
        for (ranges, more) in [
            ((3_000_000, 12_000_000), "&holes=freeze"),
            ((6_500_000, 7_500_000), "&holes=skip"),
            ((3_000_000, 12_000_000), ""),
        ] {
            let answer = server.get(&target(&[ranges], more));
            if answer.status != 200 {
                let told = (answer.status, &*answer.code());
                assert!(
                    [(422, "damaged-media"), (406, "no-content")].contains(&told),
                    "{what}{more}: {told:?}"
                );
                continue;
            }
            // What is taken over of it is told of; what lacks pictures is a hole.
            let receipt = server.get(&(target(&[ranges], more) + "&receipt=true")).json();
            let hole = &receipt["ranges"][0]["holes"][0]["start"];
            let altered = receipt["altered"][0].as_str().unwrap_or_default();
            assert_eq!(altered.starts_with("59:58.437"), hole.is_null(), "{what}{more}: {receipt}");
            let counted = if hole.is_null() { "1" } else { "" };
            assert_eq!(answer.header("moviola-altered-segments"), counted, "{what}{more}");
            let numbers = judge.numbers(saved(&answer.body).path());
            let elsewhere: Vec<u32> = numbers
                .iter()
                .copied()
                .filter(|number| (90..179).contains(number) || (240..360).contains(number))
                .collect();
            if ranges.0 == 3_000_000 {
                assert!(elsewhere.starts_with(&(90..179).collect::<Vec<_>>()), "{what}{more}: {elsewhere:?}");
                assert!(elsewhere.ends_with(&(240..360).collect::<Vec<_>>()), "{what}{more}: {elsewhere:?}");
            }
        }
    }
}

#[test]
fn pictures_are_never_missing_without_a_word() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let makes: [(&str, Make); 3] = [
        ("cut off", |bytes| bytes[..bytes.len() / 3].to_vec()),
        ("without its first half", |bytes| bytes[bytes.len() / 376 * 188..].to_vec()),
        ("empty", |_| Vec::new()),
    ];
    // Harmed before anybody looked at it, and after.
    for ((what, make), late) in makes.into_iter().zip([false, true, true]) {
        let mut place = PathBuf::new();
        let server = Server::start(|root| {
            whole(root);
            place = root.to_owned();
        });
        let ranges = [(3_000_000, 12_000_000)];
        if late {
            assert_eq!(server.get(&target(&ranges, "&receipt=true")).json()["frames"], 270, "{what}");
        }
        replace(&place, make);
        for kind in ["smart", "mpegts"] {
            let ask = |holes| {
                let smart = target(&ranges, &format!("&holes={holes}"));
                server.get(&smart.replace("smart", kind))
            };
            let refused = ask("refuse");
            assert_eq!((refused.status, &*refused.code()), (422, "damaged-media"), "{what}, {kind}");
            let frames: Vec<u32> = (90..180).chain(240..360).collect();
            assert_eq!(judge.numbers(saved(&ask("skip").body).path()), frames, "{what}, {kind}");
        }
    }
}

/// Samples of the first channel at 48 kHz from the first picture on, and their power.
fn power(samples: &[f32]) -> f64 {
    samples.iter().map(|it| f64::from(*it).powi(2)).sum()
}

#[test]
fn a_transition_between_equal_pictures_cannot_be_told_from_the_source() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let server = Server::start(whole);
    let plain = server.get(&target(&[(2_000_000, 12_000_000)], ""));
    let plain = judge.sound(saved(&plain.body).path());
    for (name, seconds) in [("fade", 0.5), ("starwipe", 1.0), ("pixelize", 0.1)] {
        // What the left range shows last is what the right one shows first.
        let back = (seconds * 1e6) as i64;
        let ranges = [(2_000_000, 7_300_000), (7_300_000 - back, 12_000_000)];
        let target = target(&ranges, &format!("&transition={name},{seconds}"));
        let cut = server.get(&target);
        assert_eq!(cut.status, 200, "{target}: {}", cut.text_or_size());
        if name == "pixelize" {
            // Its coarse pictures cannot be read; everything else holds.
            assert_eq!(judge.complaints(saved(&cut.body).path()), "");
            continue;
        }
        check(&judge, &cut.body, &between(2_000_000, 12_000_000), &target);
        let sound = judge.sound(saved(&cut.body).path());
        // From before the transition to behind it, to the sample.
        let (from, to) = ((5_200_000 - back) * 48 / 1000, 5_400_000 * 48 / 1000);
        let (from, to) = (from as usize, to as usize);
        let differs = |lag: usize| -> f64 {
            let other = plain[from..to].iter();
            let own = sound[from + lag - 8..].iter();
            other.zip(own).map(|(a, b)| f64::from(a - b).powi(2)).sum()
        };
        let best = (0..=16).min_by(|a, b| differs(*a).total_cmp(&differs(*b))).expect("a lag");
        assert!(best.abs_diff(8) <= 1, "the sound is {} samples off", best as i64 - 8);
        let share = differs(best) / power(&plain[from..to]);
        assert!(share < 0.02, "{share} of the sound is something else");
    }
}

#[test]
fn hard_cuts_and_transitions_mix() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let server = Server::start(whole);
    let ranges =
        [(9_100_000, 13_000_000), (1_500_000, 3_200_000), (4_000_000, 8_000_000), (500_000, 3_000_000)];
    let target = target(&ranges, "&transition=fade,0.5&transition=&transition=fade,0.8");
    let cut = server.get(&target);
    assert_eq!(cut.status, 200, "{target}: {}", cut.text_or_size());
    let parts: Vec<Vec<u32>> = ranges.iter().map(|(from, to)| between(*from, *to)).collect();
    // Faded pictures read as the one there is more of; those that are half and half are read off.
    let seen = judge.numbers(saved(&cut.body).path());
    let mut frames: Vec<u32> = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let shared = [0, 15, 0, 24][number];
        let start = frames.len() - shared;
        for (at, frame) in part.iter().enumerate() {
            if at >= shared {
                frames.push(*frame);
                continue;
            }
            let share = at as f64 / shared as f64;
            if share > 0.6 {
                frames[start + at] = *frame;
            } else if share > 0.4 {
                frames[start + at] = seen.get(start + at).copied().unwrap_or_default();
            }
        }
    }
    assert_eq!(cut.header("moviola-frames"), frames.len().to_string());
    check(&judge, &cut.body, &frames, &target);
    let receipt = server.get(&format!("{target}&receipt=true")).json();
    let kinds: Vec<&str> =
        receipt["timeline"].as_array().expect("a list").iter().filter_map(|it| it["kind"].as_str()).collect();
    assert_eq!(kinds, ["content", "transition", "content", "content", "transition", "content"]);
    assert_eq!(receipt["ranges"][1]["frames"], parts[1].len());
    // Only the transitions and the edges were encoded.
    let encoded = receipt["encoded_frames"].as_u64().expect("a number");
    assert!(encoded < 15 + 24 + 8 * 60, "{encoded} encoded");
    assert!(seconds(&receipt["cost"]["pictures_encoded"]) < (frames.len() / 2 + 200) as f64);
}

#[test]
fn a_transition_that_cannot_be_made_is_refused() {
    let server = Server::start(with_a_hole);
    let ask = |ranges: &[(i64, i64)], more: &str| {
        let answer = server.get(&target(ranges, more));
        (answer.status, answer.code(), answer.json()["detail"].as_str().unwrap_or_default().to_owned())
    };
    let ranges = [(1_000_000, 3_000_000), (4_000_000, 5_000_000)];
    let (status, code, detail) = ask(&ranges, "&transition=fade,1.5");
    assert_eq!((status, &*code), (400, "transition-too-long"));
    assert_eq!(
        detail,
        "transition 1 takes 1.5 seconds, but range 2 has 1.000 seconds without a hole at its start"
    );
    // A filled hole is no picture to go over from.
    let over = [(5_000_000, 7_000_000), (9_000_000, 12_000_000)];
    assert_eq!(ask(&over, "&transition=fade,0.5&holes=freeze").1, "transition-too-long");
    assert_eq!(ask(&ranges, "&transition=nothing,1").1, "unknown-transition");
    for wrong in ["fade", "fade,", "fade,0", "fade,-1", "fade,NaN", "fade,1e9", "fade,1,1"] {
        assert_eq!(ask(&ranges, &format!("&transition={wrong}")).1, "invalid-transition", "{wrong}");
    }
    let target = target(&ranges, "&transition=fade,0.5&type=copy").replace("type=smart&", "");
    assert_eq!(server.get(&target).code(), "unsupported-transition");
}
