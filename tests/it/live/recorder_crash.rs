//! Recording killed on its way: what was written is there, whole, and it goes on.

use super::feed::{FPS, REORDERED, begin};
use super::recorder::{limits, ring, stream};
use crate::crash::{GLANCE, PATIENCE, Program, files, hidden, judge};
use crate::judge;
use moviola::archive::{Archive, Limits, SegmentKind};
use moviola::base::metrics::Metrics;
use moviola::base::{Channel, Quality, Span, StreamId, Timestamp};
use moviola::live::Desk;
use moviola::live::archive::{Lengths, Limits as RecordLimits, Target, gaps_within};
use moviola::live::recorder::{Recordings, Source, Span as Asked, State};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SECOND: i64 = 1_000_000;
/// The folder that a child of these tests works in.
const FOLDER: &str = "MOVIOLA_TEST_FOLDER";
const SOURCES: usize = 5;

fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os(FOLDER).expect("a folder"))
}

/// Runs one of the children below, which say nothing until they are killed.
fn child(name: &str, folder: &Path) -> Program {
    let own = std::env::current_exe().expect("a program");
    let own = own.to_str().expect("a path");
    let variable = format!("{FOLDER}={}", folder.display());
    let name = format!("live::recorder_crash::{name}");
    // The last argument is a filter that lets nothing else in.
    Program::start_by(
        &["env", &variable, own],
        &["--ignored", "--nocapture", "--exact", &name, "--skip"],
        Path::new("nothing"),
    )
}

#[test]
#[ignore = "a child of the test below"]
fn child_that_records_a_clip() {
    let (feed, ring) = (&*REORDERED, ring());
    let recordings = Recordings::open(&folder(), limits(), Metrics::new(), Arc::new(|_| {}));
    feed.epoch(&ring, "start");
    feed.push(&ring, 0.0, 1.0);
    let source =
        Source { stream: stream(), ring: Arc::clone(&ring), orientation: 1, hold: None, archive: None };
    let it = recordings.start(source, Some("a.mp4"), Asked { duration: None, lookback: 0 }).expect("a clip");
    // Ten times as fast as it is shown, until somebody ends it.
    for tenth in 10..3000 {
        feed.push(&ring, tenth as f64 / 10.0, (tenth + 1) as f64 / 10.0);
        std::thread::sleep(Duration::from_millis(10));
        let length = recordings.get(&stream(), &it.id).expect("a clip").length;
        println!("recorded {length}");
    }
}

#[test]
fn a_killed_recording_loses_a_part_at_most_and_plays() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let folder = tempfile::tempdir().expect("a folder");
    let mut program = child("child_that_records_a_clip", folder.path());
    let mut told = 0.0;
    for line in BufReader::new(program.0.stdout.take().expect("its output")).lines() {
        let line = line.expect("a line");
        if let Some((_, length)) = line.split_once("recorded ") {
            told = length.parse().expect("a length");
        }
        if told > 7.0 {
            break;
        }
    }
    program.signal(rustix::process::Signal::KILL);
    program.end();
    let recordings = Recordings::open(folder.path(), limits(), Metrics::new(), Arc::new(|_| {}));
    let found = recordings.list(None).pop().expect("a recording");
    assert_eq!((found.state, found.cause.as_deref()), (State::Failed, Some("interrupted")), "{found:?}");
    // A part lasts a second, here a group of pictures; what is told is told to a frame or two.
    assert!(found.length >= told - 1.1, "{} of {told}", found.length);
    let file = folder.path().join("cam").join(&found.files[0].name);
    assert_eq!(judge.complaints(&file), "");
    let numbers = judge.numbers(&file);
    assert!((found.length - numbers.len() as f64 / FPS as f64).abs() < 0.06, "{}", numbers.len());
    assert!(numbers.iter().enumerate().all(|(at, it)| *it == at as u32 % 400), "{numbers:?}");
    let length: f64 = judge.values(&file, "format=duration")[0].parse().expect("a duration");
    assert!((found.length - length).abs() < 0.002, "{} told, {length} there", found.length);
    assert!(files(folder.path()).iter().all(|it| !it.to_string_lossy().ends_with(".part")));
    recordings.shutdown();
}

fn place(number: usize) -> (StreamId, Target) {
    let channel = Channel::new(&format!("cam{number}")).expect("a name");
    let quality = Quality::new("source").expect("a name");
    (StreamId::new(&format!("cam{number}")).expect("a name"), Target { channel, quality })
}

#[test]
#[ignore = "a child of the test below"]
fn child_that_records_five_sources() {
    let feed = &*REORDERED;
    let archive = Archive::open(&folder(), Limits::default(), Metrics::new()).expect("an archive");
    // Where an earlier child left off the source has gone on meanwhile.
    let (_, first) = place(0);
    let hours = archive.hours(&first.channel, &first.quality).expect("hours");
    let from = if hours.is_empty() { 0 } else { 600 };
    let lengths = Lengths { target: 2 * SECOND, longest: 60 * SECOND, bytes: 64 << 20 };
    let limits = RecordLimits { lengths, gaps: 64 << 10 };
    let desk = Desk::new(Arc::new(archive), limits, Metrics::new(), Arc::new(|_: &_, _| {}));
    let rings: Vec<_> = (0..SOURCES).map(|_| ring()).collect();
    for (number, ring) in rings.iter().enumerate() {
        let (stream, target) = place(number);
        feed.epoch(ring, "start");
        desk.set(&stream, ring, Some(target), None).expect("a recording");
    }
    println!("recording");
    for tenth in from..from + 3000 {
        for ring in &rings {
            feed.push(ring, tenth as f64 / 10.0, (tenth + 1) as f64 / 10.0);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until every source has so many segments of the time from `from` on.
fn recorded(root: &Path, program: &mut Program, from: Timestamp, count: usize) {
    let archive = Archive::open(root, Limits::default(), Metrics::new()).expect("an archive");
    let began = Instant::now();
    let enough = |number: usize| {
        let (_, target) = place(number);
        let span = Span::new(from, from + 3600 * SECOND);
        let found = archive.select(&target.channel, &target.quality, span);
        found.is_ok_and(|it| it.segments().count() >= count)
    };
    while !(0..SOURCES).all(enough) {
        assert!(program.0.try_wait().expect("a status").is_none(), "the program ended by itself");
        assert!(began.elapsed() < PATIENCE, "the moment does not come");
        std::thread::sleep(GLANCE);
    }
}

#[test]
fn five_recordings_killed_have_every_segment_whole_and_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let mut program = child("child_that_records_five_sources", root);
    recorded(root, &mut program, begin(), 3);
    program.signal(rustix::process::Signal::KILL);
    program.end();
    let visible = |it: &PathBuf| !hidden(it) && it.extension().is_some_and(|it| it == "ts");
    let before: Vec<PathBuf> = files(root).into_iter().filter(visible).collect();
    assert!(before.len() >= 3 * SOURCES);
    // Each is what its name says, and nothing half is to be seen.
    judge(root);
    let mut again = child("child_that_records_five_sources", root);
    let later = begin() + 60 * SECOND;
    recorded(root, &mut again, later, 3);
    again.signal(rustix::process::Signal::KILL);
    again.end();
    assert!(before.iter().all(|it| it.exists()), "what there was is there");
    let archive = Archive::open(root, Limits::default(), Metrics::new()).expect("an archive");
    for number in 0..SOURCES {
        let (_, target) = place(number);
        let all = Span::new(begin(), begin() + 3600 * SECOND);
        let found = archive.select(&target.channel, &target.quality, all).expect("a selection");
        assert!(found.segments().all(|it| it.kind() == SegmentKind::Full));
        assert!(found.segments().all(|it| it.duration() == 2 * SECOND));
        let gaps = gaps_within(&archive, &target.channel, &target.quality, all).expect("gaps");
        assert_eq!(gaps.iter().map(|it| it.cause.as_str()).collect::<Vec<_>>(), ["off"]);
        // The keyframe of that time is sent before it.
        assert_eq!(gaps[0].span.end, later + SECOND);
    }
}
