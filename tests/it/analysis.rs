//! Loudness, silences and scene changes beside what FFmpeg's filters say of the same media.
#![allow(clippy::disallowed_methods)]

use crate::client::Server;
use crate::judge;
use crate::media::{FRAMES, start, stream};
use moviola::archive::{Archive, Limits, SegmentKind};
use moviola::base::metrics::Metrics;
use moviola::base::{Channel, Quality};
use std::path::Path;
use std::process::Command;

/// Makes MPEG-TS with FFmpeg from a graph of filters whose ends are [v] and [a].
fn made(graph: &str, options: &[&str]) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-filter_complex", graph, "-map", "[v]", "-map", "[a]"])
        .args(["-c:v", "libx264", "-preset", "superfast", "-c:a", "aac", "-b:a", "192k"])
        .args(options)
        .args(["-f", "mpegts", "-muxdelay", "0", "-"])
        .output()
        .expect("the judge runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// An archive of one segment.
fn one_segment(root: &Path, bytes: &[u8], seconds: i64) {
    let archive = Archive::open(root, Limits::default(), Metrics::new()).expect("an archive");
    let (channel, quality) = (Channel::new("chan").expect("a name"), Quality::new("q").expect("a name"));
    let mut writer = archive.create_segment(&channel, &quality, start()).expect("a segment");
    writer.write(bytes).expect("its bytes");
    writer.finish(seconds * 1_000_000, SegmentKind::Full).expect("its end");
}

fn ask(server: &Server, what: &str, quality: &str, seconds: i64, more: &str) -> serde_json::Value {
    let range = format!("start={}&end={}", start(), start() + seconds * 1_000_000);
    let answer = server.get(&format!("/{what}/chan/{quality}.json?{range}{more}"));
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

/// Seconds after the start of what an answer lists.
fn offsets(list: &serde_json::Value, key: &str) -> Vec<f64> {
    let at = |it: &serde_json::Value| {
        let time = moviola::base::Timestamp::parse(key, it[key].as_str().expect("a time")).expect("a time");
        (time - start()) as f64 / 1e6
    };
    list.as_array().expect("a list").iter().map(at).collect()
}

#[test]
fn loudness_is_what_ebur128_says() {
    if judge::ffmpeg().is_none() {
        return println!("skipped: there is no ffmpeg to judge");
    }
    // A voice-like mix that is louder and softer, with a pause.
    let sound = "aevalsrc='(0.05+0.3*between(t,6,14))*(sin(440*2*PI*t)+0.4*random(0))*(1-between(t,16,18))|\
                 0.2*sin(997*2*PI*t)*sin(0.4*t)':s=48000:d=24";
    let graph = format!("color=s=160x96:r=30:d=24[v];{sound}[a]");
    let bytes = made(&graph, &["-g", "60"]);
    let file = tempfile::NamedTempFile::with_suffix(".ts").expect("a file");
    std::fs::write(file.path(), &bytes).expect("a file");
    let told = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostats", "-i"])
        .arg(file.path())
        .args(["-af", "ebur128=peak=true", "-f", "null", "-"])
        .output()
        .expect("the judge runs");
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    let summary = told.rsplit("Summary:").next().expect("a summary");
    let value = |name: &str| -> f64 {
        let line = summary.lines().find(|it| it.trim().starts_with(name)).expect(name);
        line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("a number")
    };
    let server = Server::start(|root| one_segment(root, &bytes, 24));
    let own = ask(&server, "loudness", "q", 24, "");
    for (name, key, tolerance) in
        [("I:", "integrated", 0.2), ("LRA:", "range", 1.0), ("Peak:", "true_peak", 0.3)]
    {
        let (own, theirs) = (own[key].as_f64().expect(key), value(name));
        assert!((own - theirs).abs() <= tolerance, "{key}: {own} and {theirs}");
    }
    assert_eq!(own["short_term"].as_array().expect("a curve").len(), 24);
    assert_eq!(own["holes"].as_array().expect("holes").len(), 0);
    assert_eq!(ask(&server, "loudness", "q", 24, ""), own, "from what is kept");
}

#[test]
fn silences_are_what_silencedetect_says() {
    if judge::ffmpeg().is_none() {
        return println!("skipped: there is no ffmpeg to judge");
    }
    let sound = "aevalsrc='0.5*sin(440*2*PI*t)*(1-between(t,2,3.5))*(1-between(t,6,6.2))*(1-between(t,8,12))':s=48000:d=12";
    let bytes = made(&format!("color=s=160x96:r=30:d=12[v];{sound}[a]"), &["-g", "60"]);
    let server = Server::start(|root| one_segment(root, &bytes, 12));
    let own = ask(&server, "silence", "q", 12, "");
    for (key, expected) in [("start", [2.0, 8.0]), ("end", [3.5, 12.0])] {
        let found = offsets(&own["silences"], key);
        let near = found.iter().zip(expected).all(|(own, it)| (own - it).abs() < 0.06);
        assert!(found.len() == 2 && near, "{key}: {found:?}");
    }
    assert_eq!(
        ask(&server, "silence", "q", 12, "&minimum=0.1")["silences"].as_array().expect("a list").len(),
        3
    );
    assert_eq!(
        ask(&server, "silence", "q", 12, "&threshold=0")["silences"].as_array().expect("a list").len(),
        1
    );
}

#[test]
fn what_is_missing_is_no_silence() {
    let server =
        Server::start(|root| stream(root, FRAMES, |number| (number != 3).then_some(SegmentKind::Full)));
    let own = ask(&server, "silence", "270p", 16, "&threshold=0");
    assert_eq!(
        (own["silences"].as_array().map(Vec::len), own["missing"].as_array().map(Vec::len)),
        (Some(2), Some(1))
    );
    let missing = (offsets(&own["missing"], "start")[0], offsets(&own["missing"], "end")[0]);
    // Sound lies beside its picture by a frame or two.
    assert!((missing.0 - 6.0).abs() < 0.1 && (missing.1 - 8.0).abs() < 0.1, "{missing:?}");
    let loud = ask(&server, "loudness", "270p", 16, "");
    assert_eq!(loud["holes"].as_array().map(Vec::len), Some(1));
    assert!(loud["integrated"].is_f64());
    assert_eq!(
        ask(&server, "scenes", "270p", 16, "&threshold=0.9")["scenes"].as_array().map(Vec::len),
        Some(0)
    );
    for (target, parameter) in [
        ("silence/chan/270p.json?threshold=1", "threshold"),
        ("silence/chan/270p.json?minimum=x", "minimum"),
        ("scenes/chan/270p.json?threshold=2", "threshold"),
    ] {
        let range = format!("start={}&end={}", start(), start() + 1_000_000);
        let answer = server.get(&format!("/{target}&{range}"));
        assert_eq!((answer.status, answer.json()["parameter"].as_str()), (400, Some(parameter)));
    }
}

#[test]
fn scenes_change_where_the_pictures_do() {
    if judge::ffmpeg().is_none() {
        return println!("skipped: there is no ffmpeg to judge");
    }
    // In the middle of a GOP, at a keyframe, and where nothing but the sound changes.
    let graph = "testsrc2=s=320x180:r=30:d=2.5[a1];mandelbrot=s=320x180:r=30,trim=duration=3.5,setpts=PTS-STARTPTS[a2];\
                 smptebars=s=320x180:r=30:d=4[a3];[a1][a2][a3]concat=n=3[v];sine=d=10[a]";
    let bytes = made(graph, &["-g", "60", "-keyint_min", "60", "-sc_threshold", "0", "-pix_fmt", "yuv420p"]);
    let server = Server::start(|root| one_segment(root, &bytes, 10));
    let own = ask(&server, "scenes", "q", 10, "");
    let found = offsets(&own["scenes"], "start");
    // The first picture of a scene may be one that the next refers to.
    let near = found.iter().zip([2.5, 6.0]).all(|(own, it)| (own - it).abs() < 0.12);
    assert!(found.len() == 2 && near, "{own}");
}
