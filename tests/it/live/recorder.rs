//! Recordings: exactly the packets of the source, told right in their heads, whatever the source does meanwhile.

use super::feed::{FPS, Feed, PLAIN, REORDERED, SMALLER, begin};
use crate::judge;
use moviola::base::metrics::Metrics;
use moviola::base::{StreamId, Token};
use moviola::live::recorder::{Limits, Recording, Recordings, Source, Span, State};
use moviola::live::{Ring, RingLimits};
use moviola::media::live::{Sample, samples_of};
use moviola::media::mp4::matrix;
use moviola::media::nal::StartCodes;
use moviola::media::nal::boxed::Framing;
use moviola::media::nal::prefixed::{Role, role};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Only a test that has already failed waits for it.
pub const PATIENCE: Duration = Duration::from_secs(120);
const SECOND: i64 = 1_000_000;

pub fn limits() -> Limits {
    Limits { running: 10, kept: 100, longest: 3600 * SECOND, first_media: PATIENCE }
}

pub fn ring() -> Arc<Ring> {
    Arc::new(Ring::new(RingLimits { micros: 600 * SECOND, bytes: 256 << 20 }))
}

pub fn stream() -> StreamId {
    StreamId::new("cam").expect("a name")
}

fn source(ring: &Arc<Ring>, orientation: u8) -> Source {
    Source { stream: stream(), ring: Arc::clone(ring), orientation, hold: None, archive: None }
}

fn span(duration: Option<i64>, lookback: i64) -> Span {
    Span { duration: duration.map(|it| it * SECOND), lookback: lookback * SECOND }
}

/// Recordings in a folder, and what is told of them.
fn open(folder: &Path, limits: Limits) -> (Recordings, Receiver<Recording>) {
    let (sender, told) = channel();
    let sender = std::sync::Mutex::new(sender);
    let tell = move |it: &Recording| {
        let _ = sender.lock().expect("a sender").send(it.clone());
    };
    (Recordings::open(folder, limits, Metrics::new(), Arc::new(tell)), told)
}

/// Waits until so many recordings have ended.
fn ended(told: &Receiver<Recording>, count: usize) -> Vec<Recording> {
    let mut found = Vec::new();
    while found.len() < count {
        let it = told.recv_timeout(PATIENCE).expect("a recording ends");
        found.extend(it.state.is_final().then_some(it));
    }
    found
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join("cam").join(name)
}

/// A picture without its parameter sets, which a file has in its head.
fn bare(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Framing::Lengths(4).units(&StartCodes::default(), data, |unit| {
        if role(unit[0], false) == Role::Payload {
            out.extend_from_slice(unit);
        }
    });
    out
}

type Content = (Vec<Vec<u8>>, Vec<Vec<u8>>);

/// The pictures and the sound of samples.
fn content<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Content {
    let (mut pictures, mut sound) = (Vec::new(), Vec::new());
    for it in samples {
        match it.track {
            0 => pictures.push(bare(&it.data)),
            _ => sound.push(it.data.to_vec()),
        }
    }
    (pictures, sound)
}

fn read(file: &Path) -> Content {
    let (_, samples) = samples_of(file, begin(), &Token::root()).expect("a file");
    content(&samples)
}

/// What the source has from the picture `from` (in seconds) to before `to`: pictures by when they are sent, sound by when it
/// is heard.
fn expected(feed: &Feed, from: f64, to: f64) -> Content {
    let end = begin() + (to * 1e6) as i64;
    let start = begin() + (from * 1e6) as i64;
    let samples: Vec<Sample> = (0..feed.number_at(to + 2.0)).map(|it| feed.sample(it)).collect();
    let sent = |it: &Sample| it.time + -feed.tracks[it.track].time_base.micros(it.pts - it.dts);
    // Of pictures shown after the end those that one shown before it may need.
    let last = samples.iter().rposition(|it| it.track == 0 && it.time < end).expect("a picture");
    let of =
        |(at, it): &(usize, &Sample)| it.time >= start && sent(it) < end && (it.track > 0 || *at <= last);
    // And all that is shown before those.
    let shown = samples.iter().enumerate().filter(of).map(|it| it.1).filter(|it| it.track == 0);
    let furthest = shown.map(|it| it.time).max().expect("a picture");
    let between = |it: &Sample| it.track == 0 && (start..furthest).contains(&it.time);
    content(samples.iter().enumerate().filter(|it| of(it) || between(it.1)).map(|it| it.1))
}

#[test]
fn overlapping_clips_have_exactly_the_packets_of_the_source() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    // A keyframe a second, pictures decoded in another order than shown.
    let (feed, ring) = (&*REORDERED, ring());
    let folder = tempfile::tempdir().expect("a folder");
    let (recordings, told) = open(folder.path(), limits());
    feed.epoch(&ring, "start");
    feed.push(&ring, 0.0, 12.0);
    // Where the stream is: the time of its newest sample.
    let last = ring.read(ring.range().end - 1, 1).entries.pop().expect("a sample").sample.time;
    let zero = (last - begin()) as f64 / 1e6;
    let asked = [(3, 0), (5, 4), (2, 8)];
    for (index, (duration, lookback)) in asked.iter().enumerate() {
        let name = format!("clip {index}.mp4");
        recordings
            .start(source(&ring, 1), Some(&name), span(Some(*duration), *lookback))
            .expect("a recording");
    }
    feed.push(&ring, 12.0, 25.0);
    let mut done = ended(&told, 3);
    done.sort_by(|a, b| a.name.cmp(&b.name));
    for (it, (duration, lookback)) in done.iter().zip(asked) {
        assert_eq!((it.state, it.cause.as_deref()), (State::Done, None), "{it:?}");
        let file = path(folder.path(), &it.name);
        let from = (zero - lookback as f64).floor();
        let to = zero + duration as f64;
        let (pictures, sound) = read(&file);
        let wanted = expected(feed, from, to);
        assert_eq!((pictures.len(), sound.len()), (wanted.0.len(), wanted.1.len()), "{}", it.name);
        assert!(pictures == wanted.0 && sound == wanted.1, "{}: packets differ", it.name);
        assert_eq!(it.start, Some(begin() + (from * 1e6) as i64));
        // Told in the head, to the frame.
        let length: f64 = judge.values(&file, "format=duration")[0].parse().expect("a duration");
        let least = pictures.len() as f64 / FPS as f64;
        assert!((least..least + 0.1).contains(&length), "{length} for {least}");
        // To a frame of sound, whose start ffprobe counts in.
        assert!((it.length - length).abs() < 0.022, "{} told, {length} there", it.length);
        assert_eq!(judge.complaints(&file), "");
        let times = judge.packets(&file, "v");
        assert!(times.windows(2).all(|it| it[0].dts < it[1].dts));
        let numbers = judge.numbers(&file);
        let first = (from * FPS as f64) as u32;
        assert!(numbers.iter().enumerate().all(|(at, it)| *it == (first + at as u32) % 400), "{numbers:?}");
        // An index that leads to every keyframe.
        let bytes = std::fs::read(&file).expect("a file");
        assert!(bytes.windows(4).any(|it| it == b"sidx") && bytes.windows(4).any(|it| it == b"mfra"));
        assert_eq!(it.bytes, bytes.len() as u64);
    }
    recordings.shutdown();
}

#[test]
fn an_interrupted_source_is_one_film_and_another_codec_another_file() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let (feed, ring) = (&*REORDERED, ring());
    let small = &*SMALLER;
    let folder = tempfile::tempdir().expect("a folder");
    let (recordings, told) = open(folder.path(), limits());
    feed.epoch(&ring, "start");
    feed.push(&ring, 0.0, 1.0);
    let it = recordings.start(source(&ring, 1), Some("a.mp4"), span(None, 10)).expect("a recording");
    feed.push(&ring, 1.0, 4.0);
    // Times begin anew; and then other pictures.
    feed.epoch(&ring, "reconnect");
    feed.push(&ring, 0.0, 3.0);
    small.epoch(&ring, "codec");
    small.push(&ring, 0.0, 2.0);
    let refused = recordings.extend(&stream(), &it.id, 0).expect_err("no time");
    assert_eq!(refused.parameter.as_deref(), Some("duration"));
    recordings.finish(&stream(), &it.id).expect("a recording");
    let done = ended(&told, 1).pop().expect("a recording");
    assert_eq!(done.state, State::Done, "{done:?}");
    let names: Vec<&str> = done.files.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["a.mp4", "a.2.mp4"]);
    let (one, two) = (path(folder.path(), "a.mp4"), path(folder.path(), "a.2.mp4"));
    for file in [&one, &two] {
        assert_eq!(judge.complaints(file), "");
        let times = judge.packets(file, "v");
        assert!(times.windows(2).all(|it| it[0].dts < it[1].dts));
    }
    // Of the last pictures before a cut some are missing that come later than those shown after them.
    let numbers = judge.numbers(&one);
    let cut = numbers.iter().rposition(|it| *it == 0).expect("the second beginning");
    assert!(numbers[..98].iter().chain([&98]).enumerate().all(|(at, it)| *it == at as u32));
    assert!(numbers[cut..cut + 72].iter().enumerate().all(|(at, it)| *it == at as u32));
    assert!((99..=104).contains(&cut), "{cut}");
    // The join is where the presentation before it ends.
    let mut shown: Vec<f64> = judge.times(&one, "v").iter().map(|it| it.0).collect();
    shown.sort_by(f64::total_cmp);
    let steps = shown.windows(2).map(|it| it[1] - it[0]);
    assert!(steps.clone().all(|it| (0.03..0.13).contains(&it)), "{:?}", steps.collect::<Vec<_>>());
    recordings.shutdown();
}

#[test]
fn an_idle_stream_is_recorded_from_its_first_picture_and_silence_is_no_track() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let (feed, ring) = (&*PLAIN, ring());
    let folder = tempfile::tempdir().expect("a folder");
    let (recordings, told) = open(folder.path(), limits());
    recordings.start(source(&ring, 1), Some("a.mp4"), span(Some(2), 4)).expect("a recording");
    feed.epoch(&ring, "start");
    // Sound is announced and does not come.
    let pictures = (0..feed.number_at(8.0)).map(|it| feed.sample(it)).filter(|it| it.track == 0);
    pictures.for_each(|it| ring.push(it));
    let done = ended(&told, 1).pop().expect("a recording");
    assert_eq!((done.state, done.start), (State::Done, Some(begin())), "{done:?}");
    let file = path(folder.path(), "a.mp4");
    assert_eq!(judge.values(&file, "stream=codec_type"), ["video"]);
    assert_eq!(judge.numbers(&file), (0..50).collect::<Vec<u32>>());
    // Sound that MP4 has no form for is named.
    let mut tracks = feed.tracks.clone();
    (tracks[1].entry, tracks[1].name) = (None, "pcm_alaw".into());
    let ring = self::ring();
    ring.begin(tracks, "start");
    recordings.start(source(&ring, 1), Some("b.mp4"), span(Some(2), 0)).expect("a recording");
    feed.push(&ring, 16.0, 24.0);
    let done = ended(&told, 1).pop().expect("a recording");
    assert_eq!((done.state, done.left_out), (State::Done, vec!["pcm_alaw".to_owned()]));
    recordings.shutdown();
}

#[test]
fn how_pictures_are_turned_stands_in_the_head_from_the_start() {
    let (feed, ring) = (&*PLAIN, ring());
    let folder = tempfile::tempdir().expect("a folder");
    let (recordings, told) = open(folder.path(), limits());
    feed.epoch(&ring, "start");
    feed.push(&ring, 0.0, 4.0);
    let it = recordings.start(source(&ring, 8), Some("a.mp4"), span(None, 4)).expect("a recording");
    let part = folder.path().join("cam").join(format!(".{}.part", it.id));
    let turned: Vec<u8> = matrix(8).iter().flat_map(|it| it.to_be_bytes()).collect();
    let is_turned = |file: &Path| {
        let bytes = std::fs::read(file).unwrap_or_default();
        bytes.windows(36).any(|it| it == turned)
    };
    let began = std::time::Instant::now();
    while !is_turned(&part) {
        assert!(began.elapsed() < PATIENCE, "nothing is written");
        std::thread::yield_now();
    }
    recordings.finish(&stream(), &it.id).expect("a recording");
    assert_eq!(ended(&told, 1)[0].state, State::Done);
    assert!(is_turned(&path(folder.path(), "a.mp4")));
    recordings.shutdown();
}

#[test]
fn a_stream_that_brings_nothing_fails_in_time_and_leaves_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (recordings, told) =
        open(folder.path(), Limits { first_media: Duration::from_millis(50), ..limits() });
    recordings.start(source(&ring(), 1), None, span(Some(1), 5)).expect("a recording");
    let failed = ended(&told, 1).pop().expect("a recording");
    assert_eq!((failed.state, failed.cause.as_deref()), (State::Failed, Some("no-media")));
    let left: Vec<_> = std::fs::read_dir(folder.path().join("cam"))
        .expect("a folder")
        .map(|it| it.expect("a name").file_name().into_string().expect("text"))
        .collect();
    assert!(left.iter().all(|it| it.ends_with(".json")), "{left:?}");
    // It is known afterwards, too, and can be taken away.
    recordings.shutdown();
    let (recordings, _) = open(folder.path(), limits());
    assert_eq!(recordings.list(None), std::slice::from_ref(&failed));
    recordings.remove(&stream(), &failed.id).expect("a recording");
    assert!(recordings.list(Some(&stream())).is_empty());
    assert_eq!(std::fs::read_dir(folder.path().join("cam")).expect("a folder").count(), 0);
}

#[test]
fn only_names_in_the_folder_are_taken_once_and_not_too_many() {
    let folder = tempfile::tempdir().expect("a folder");
    let (recordings, told) = open(folder.path(), Limits { running: 2, ..limits() });
    let ring = ring();
    let start = |name: &str, span| recordings.start(source(&ring, 1), Some(name), span).map(|it| it.id);
    for bad in ["../a.mp4", "/etc/a.mp4", "a/b.mp4", "a.avi", ".mp4", ".a.mp4", "a\0.mp4"] {
        assert!(start(bad, span(None, 0)).is_err(), "{bad}");
    }
    let longest = start("a.mp4", span(Some(3601), 0)).expect_err("too long");
    assert_eq!(longest.parameter.as_deref(), Some("duration"));
    assert_eq!(
        start("a.mp4", span(None, 3601)).expect_err("too long").parameter.as_deref(),
        Some("lookback")
    );
    let first = start("a.mp4", span(None, 0)).expect("a recording");
    assert_eq!(start("a.mp4", span(None, 0)).expect_err("the same name").code, "name-taken");
    let second = start("b.mp4", span(None, 0)).expect("a recording");
    assert_eq!(start("c.mp4", span(None, 0)).expect_err("a third").kind, moviola::base::Kind::Busy);
    for id in [first, second] {
        recordings.remove(&stream(), &id).expect("a recording");
    }
    assert!(ended(&told, 2).iter().all(|it| it.state == State::Cancelled && it.files.is_empty()));
    recordings.shutdown();
}

#[test]
fn a_full_disk_fails_the_recording_and_keeps_what_there_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(_small) = Mounted::tmpfs(folder.path(), "size=600k") else {
        return println!("skipped: nothing may be mounted here");
    };
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let (feed, ring) = (&*PLAIN, ring());
    let (recordings, told) = open(folder.path(), limits());
    feed.epoch(&ring, "start");
    feed.push(&ring, 0.0, 1.0);
    recordings.start(source(&ring, 1), Some("a.mp4"), span(Some(300), 1)).expect("a recording");
    feed.push(&ring, 1.0, 120.0);
    let failed = ended(&told, 1).pop().expect("a recording");
    assert_eq!((failed.state, failed.cause.as_deref()), (State::Failed, Some("storage-full")), "{failed:?}");
    let file = path(folder.path(), &failed.files[0].name);
    assert_eq!(judge.complaints(&file), "");
    let numbers = judge.numbers(&file);
    assert!(numbers.len() >= FPS as usize);
    assert!(numbers.iter().enumerate().all(|(at, it)| *it == at as u32 % 400));
    assert!((failed.files[0].length - numbers.len() as f64 / FPS as f64).abs() < 0.06);
    recordings.shutdown();
}

/// A file system of its own at a folder, as long as it lives.
struct Mounted(PathBuf);

impl Mounted {
    /// `None` where this process may not.
    #[allow(clippy::disallowed_methods)] // The rule against processes is about the server.
    fn tmpfs(at: &Path, options: &str) -> Option<Self> {
        let run = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(at)
            .output();
        run.is_ok_and(|it| it.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    #[allow(clippy::disallowed_methods)]
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).output();
    }
}
