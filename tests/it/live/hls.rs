//! Low-latency HLS over HTTP, judged by [`super::rules`], playlist after playlist and part after part.

use super::feed::{Feed, Feeder, H264, HEVC};
use super::rules::{Checker, file};
use crate::client::Server;
use crate::judge;
use moviola::config::{Config, Length};
use moviola::media::live::Sample;
use std::collections::BTreeMap;
use std::time::Duration;

pub fn short(config: &mut Config) {
    config.hls.segment = Length(Duration::from_secs(2));
    config.hls.window = Length(Duration::from_secs(10));
}

pub fn server() -> Server {
    Server::start_with(|_| {}, short)
}

/// A player that reads everything.
pub struct Viewer<'a> {
    server: &'a Server,
    folder: String,
    pub checker: Checker,
    /// Bytes by address.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl<'a> Viewer<'a> {
    pub fn new(server: &'a Server, feeder: &Feeder) -> Self {
        let folder = feeder.folder.clone();
        Self { server, folder, checker: Checker::default(), files: BTreeMap::new() }
    }

    /// Reads the playlist, once it holds what was hinted at; and the parts that are new.
    pub fn step(&mut self) {
        let query = match &self.checker.last {
            None => "?_HLS_msn=0&_HLS_part=0".into(),
            // Every second one as a delta.
            Some(last) if self.checker.seen % 2 == 1 => format!("?{}&_HLS_skip=YES", last.next()),
            Some(last) => format!("?{}", last.next()),
        };
        let answer = self.server.get(&format!("{}media.m3u8{query}", self.folder));
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        let told = self.checker.take(answer.text());
        let known: Vec<String> =
            told.segments.iter().flat_map(|it| it.parts.iter().map(|it| it.uri.clone())).collect();
        let maps: Vec<String> = told.segments.iter().map(|it| it.map.clone()).collect();
        for uri in maps.into_iter().chain(known) {
            if !self.files.contains_key(&uri) {
                let answer = self.server.get(&format!("{}{uri}", self.folder));
                assert_eq!(answer.status, 200, "{uri}: {}", answer.text());
                self.files.insert(uri, answer.body);
            }
        }
    }

    /// Every part is one moof and one mdat, as long as it was said, with a keyframe where that was said, and begins
    /// where the one before it ended.
    pub fn check_parts(&self) -> usize {
        let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
        let mut count = 0;
        let mut parts: Vec<_> = self.checker.parts.values().collect();
        let numbers = |uri: &str| -> (u64, u64) {
            let (one, two) = uri[5..].trim_end_matches(".m4s").split_once('-').expect("two numbers");
            (one.parse().expect("a number"), two.parse().expect("a number"))
        };
        parts.sort_by_key(|it| numbers(&it.uri));
        for part in parts {
            let (segment, at) = numbers(&part.uri);
            let all = file::boxes(&self.files[&part.uri]);
            let names: Vec<&[u8]> = all.iter().map(|it| it.0).collect();
            assert_eq!(names, [&b"moof"[..], b"mdat"], "{}", part.uri);
            let (from, length, key) = file::pictures(all[0].1);
            assert_eq!(key, part.independent, "{}", part.uri);
            // Ticks of 90 kHz, rounded to microseconds at both ends.
            assert!((length as f64 / 90_000.0 - part.duration).abs() < 1.5e-6, "{}: {length}", part.uri);
            if let Some(end) = ends.insert(segment, from + length).filter(|_| at > 0) {
                assert_eq!(end, from, "{}", part.uri);
            }
            count += 1;
        }
        count
    }

    /// The file of everything below one head, for another reader.
    pub fn joined(&self, map: &str) -> Vec<u8> {
        let mut bytes = self.files[map].clone();
        let mut parts: Vec<(u64, u64, &Vec<u8>)> = Vec::new();
        for (uri, body) in &self.files {
            let Some((one, two)) =
                uri.strip_prefix("part-").and_then(|it| it.trim_end_matches(".m4s").split_once('-'))
            else {
                continue;
            };
            parts.push((one.parse().expect("a number"), two.parse().expect("a number"), body));
        }
        parts.sort_by_key(|it| (it.0, it.1));
        parts.iter().for_each(|it| bytes.extend_from_slice(it.2));
        bytes
    }
}

/// Sends the clip in steps of a part and a bit, each followed by a look.
fn watch(
    viewer: &mut Viewer<'_>,
    feeder: &Feeder,
    clip: &Feed,
    seconds: f64,
    by: i64,
    take: impl Fn(&Sample) -> bool,
) {
    let mut at = 0.0;
    while at < seconds {
        feeder.send(clip, at, at + 0.6, by, &take);
        at += 0.6;
        viewer.step();
    }
}

#[test]
fn a_stream_keeps_the_rules_and_is_what_was_sent() {
    let server = server();
    let feeder = Feeder::new(&server, "cam");
    feeder.begin(&H264, "start");
    let mut viewer = Viewer::new(&server, &feeder);
    watch(&mut viewer, &feeder, &H264, 19.8, 0, |_| true);
    assert!(viewer.check_parts() >= 36 && viewer.checker.seen >= 30);
    let last = viewer.checker.last.as_ref().unwrap();
    assert!(last.sequence > 0, "the window moves: {}", last.text);
    let Some(judge) = judge::ffmpeg() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.mp4");
    std::fs::write(&path, viewer.joined("init-0.mp4")).unwrap();
    for (track, stream) in [(0, "v"), (1, "a")] {
        let sent: Vec<i64> = H264.samples.iter().filter(|it| it.track == track).map(|it| it.pts).collect();
        let found: Vec<i64> = judge.packets(&path, stream).iter().map(|it| it.pts).collect();
        // The last parts may still be on their way.
        assert!(found.len() * 100 > sent.len() * 90, "{} of {}", found.len(), sent.len());
        // The same steps from sample to sample, wherever they begin.
        let steps = |all: &[i64]| all.windows(2).map(|it| it[1] - it[0]).collect::<Vec<_>>();
        let (sent, found) = (steps(&sent), steps(&found));
        let place = (0..20).find(|at| sent[*at..].starts_with(&found[..found.len() - 2]));
        assert!(place.is_some(), "{stream}");
    }
    let pictures = judge.hashes(&path).len();
    assert!(pictures > 445, "{pictures} pictures");
    assert_eq!(judge.complaints(&path), "");
}

#[test]
fn restarts_and_other_codecs_are_discontinuities_with_heads_of_their_own() {
    let server = server();
    let feeder = Feeder::new(&server, "cam");
    let mut viewer = Viewer::new(&server, &feeder);
    feeder.begin(&H264, "start");
    watch(&mut viewer, &feeder, &H264, 5.0, 0, |_| true);
    feeder.stream.ring.end("reset");
    viewer.step();
    feeder.begin(&H264, "reconnect");
    watch(&mut viewer, &feeder, &H264, 4.0, 100, |_| true);
    feeder.begin(&HEVC, "codec");
    watch(&mut viewer, &feeder, &HEVC, 7.0, 0, |_| true);
    viewer.check_parts();
    let last = viewer.checker.last.clone().unwrap();
    let maps: std::collections::BTreeSet<&str> = last.segments.iter().map(|it| &*it.map).collect();
    assert!(maps.contains("init-2.mp4"), "{}", last.text);
    let (first, third) = (&viewer.files["init-0.mp4"], &viewer.files["init-2.mp4"]);
    let entry = |head: &[u8]| {
        let stsd = file::content(head, &["moov", "trak", "mdia", "minf", "stbl", "stsd"]);
        String::from_utf8_lossy(&stsd[12..16]).into_owned()
    };
    assert_eq!((entry(first), entry(third)), ("avc1".into(), "hvc1".into()));
    let master = server.get(&format!("{}master.m3u8", feeder.folder));
    assert!(
        master.text().contains("CODECS=\"hvc1.") && master.text().contains("RESOLUTION=192x96"),
        "{}",
        master.text()
    );
    // Numbers of segments count on.
    let numbers: Vec<u64> = last.segments.iter().map(|it| it.number).collect();
    assert!(numbers.windows(2).all(|it| it[1] == it[0] + 1) && numbers[0] > 0);
}

#[test]
fn silent_and_late_sound_keep_the_rules() {
    let server = server();
    let feeder = Feeder::new(&server, "cam");
    let mut viewer = Viewer::new(&server, &feeder);
    feeder.begin(&H264, "start");
    let start = H264.samples[0].dts;
    let second = |it: &Sample| (it.dts - start) / 90_000;
    watch(&mut viewer, &feeder, &H264, 19.0, 0, |it| it.track == 0 || (4..9).contains(&second(it)));
    assert!(viewer.check_parts() >= 34, "parts came all the time");
    let heads: Vec<&Vec<u8>> =
        viewer.files.iter().filter(|it| it.0.starts_with("init")).map(|it| it.1).collect();
    // One head for all of it, with sound from the start: players do not take tracks that come and go.
    let tracks = |head: &[u8]| {
        let moov = file::content(head, &["moov"]);
        file::boxes(moov).iter().filter(|it| it.0 == b"trak").count()
    };
    assert_eq!(heads.iter().map(|it| tracks(it)).collect::<Vec<_>>(), [2]);
    let Some(judge) = judge::ffmpeg() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.mp4");
    std::fs::write(&path, viewer.joined("init-0.mp4")).unwrap();
    let heard = judge.packets(&path, "a");
    assert!(heard.windows(2).all(|it| it[1].pts - it[0].pts < 2 * 1024), "silence where nothing came");
    assert_eq!(judge.complaints(&path), "");
}
