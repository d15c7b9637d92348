//! A long while of a source that is recorded, by a clock that leaps from picture to picture: a file that begins anew every ten
//! seconds.

use super::House;
use super::recorder_archive::{desk, target, until};
use moviola::base::metrics::Metrics;
use moviola::base::time::{Clock, SECOND};
use moviola::base::{Span, Timestamp, Token};
use moviola::live::retention::Rule;
use moviola::live::{RingLimits, Stream};
use moviola::media::synthetic::{Coder, Pace, Picture, Recipe, Sound, Voice, file};
use parking_lot::{Condvar, Mutex};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Minutes that are recorded; `MOVIOLA_SOAK_MINUTES=1440` makes it a day, and looks at the memory of the process.
const MINUTES: i64 = 150;
const VARIABLE: &str = "MOVIOLA_SOAK_MINUTES";
/// At a time.
const STEP: i64 = 600 * SECOND;
const FPS: i64 = 5;
const SEGMENT: i64 = 2 * SECOND;
const KEPT: i64 = 3600 * SECOND;
/// Pictures come up to so much later than they are due, as on a busy machine.
const JITTER: i64 = 15_000;
/// Of the process from the third hour on: what an allocator keeps back goes up and down.
const GROWTH: f64 = 4.0;

/// Stands at its limit; before that, whoever waits for a time has it at once.
struct Leaping {
    /// Now, the limit, and how often somebody waited.
    state: Mutex<(i64, i64, i64)>,
    moved: Condvar,
}

impl Clock for Leaping {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.state.lock().0)
    }

    fn pause(&self, micros: i64) {
        let mut state = self.state.lock();
        if state.0 + micros > state.1 {
            // Whoever waits looks around now and then.
            self.moved.wait_for(&mut state, Duration::from_millis(20));
            return;
        }
        state.2 += 1;
        state.0 += micros + state.2 * 7_919 % JITTER;
    }
}

impl Leaping {
    fn new(at: Timestamp) -> Self {
        Self { state: Mutex::new((at.micros(), at.micros(), 0)), moved: Condvar::new() }
    }

    fn leap(&self, micros: i64) -> Timestamp {
        let mut state = self.state.lock();
        state.1 += micros;
        self.moved.notify_all();
        Timestamp::from_micros(state.1)
    }
}

/// Ten seconds of small pictures.
fn film(path: &Path) {
    let gop = (SEGMENT / SECOND * FPS) as u64;
    let recipe = Recipe {
        start: Timestamp::from_micros(0),
        first_second: 63,
        frames: 10 * FPS as u64,
        pace: Pace::Steady(FPS as i32, 1),
        segments: vec![gop],
        at_keys: true,
        picture: Picture {
            width: 64,
            height: 48,
            format: "yuv420p".into(),
            full_range: false,
            interlaced: None,
        },
        coder: Coder::x264("ultrafast", 30, gop, 0),
        // It is not heard, and clicks are made sooner than songs.
        sound: Sound { codec: "aac".into(), bit_rate: 64_000, voice: Voice::Clicks },
    };
    let target = std::fs::File::create(path).expect("a file");
    file(&recipe, "mpegts", &[], target, &Token::root()).expect("a film");
}

/// Resident memory that no file is behind, in MiB.
fn memory() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|it| it.strip_prefix("RssAnon:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|it| it.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

#[test]
fn a_day_is_recorded_without_drift_or_growth_and_what_is_old_goes() {
    let whole: Option<i64> = std::env::var(VARIABLE).ok().map(|it| it.parse().expect("minutes"));
    let begin = Timestamp::parse("begin", "2026-03-01T11:59:50.437000").expect("a time");
    let clock = Arc::new(Leaping::new(begin));
    let house = House::open(|parts| {
        parts.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        parts.ring = RingLimits { micros: STEP + 120 * SECOND, bytes: 32 << 20 };
    });
    film(&house.folder.path().join("film.ts"));
    // Where a day of segments costs no disk.
    let memory_disk = Path::new("/dev/shm");
    let folder = match memory_disk.is_dir() {
        true => tempfile::tempdir_in(memory_disk),
        false => tempfile::tempdir(),
    };
    let folder = folder.expect("a folder");
    let metrics = Metrics::new();
    let (desk, target) = (desk(folder.path(), &metrics), target("cam"));
    let stream: Arc<Stream> =
        house.put("film", json!({"source": "file:film.ts", "keepalive": true, "audio": false}));
    let rule = Rule { age: Some(KEPT), bytes: None };
    desk.set(&stream.id, &stream.ring, Some(target.clone()), Some(rule)).expect("a recording");
    let status = || desk.status(&stream.id).expect("a recording").1;
    let select = |from: Timestamp, to: Timestamp| {
        desk.archive().select(&target.channel, &target.quality, Span::new(from, to)).expect("a selection")
    };
    let mut first = None;
    let mut hours = Vec::new();
    for round in 0..whole.unwrap_or(MINUTES) * 60 * SECOND / STEP {
        let now = clock.leap(STEP);
        until(|| status().until.is_some_and(|it| it >= now + -3 * SEGMENT));
        desk.keep(0, now, &Token::root()).expect("room");
        let (written, until) = (status().segments as i64, status().until.expect("an end"));
        let first =
            *first.get_or_insert_with(|| select(begin, until).segments().next().expect("one").start());
        let listed = desk.archive().hours(&target.channel, &target.quality).expect("hours");
        assert!(listed.len() <= 3, "{listed:?}");
        let kept = select(first.max(now + -KEPT), until);
        assert!(kept.holes().is_empty(), "{:?} in round {round}", kept.holes());
        assert!((1..=KEPT / SEGMENT + 1).contains(&(kept.segments().count() as i64)));
        let gone = select(first, first.max(now + -KEPT + -4 * SEGMENT));
        assert_eq!(gone.segments().count(), 0, "what is older than an hour is gone");
        // The source's clock tells where each belongs: all of them, since none is missing and the last is in its place.
        let off = kept.segments().map(|it| {
            let from_first = it.start() - first;
            let number = (from_first + SEGMENT / 2) / SEGMENT;
            from_first - number * SEGMENT
        });
        let worst = off.map(i64::abs).max().unwrap_or(0);
        assert!(worst <= JITTER, "off by {worst} µs in round {round}");
        assert_eq!((until - first + SEGMENT / 2) / SEGMENT, written, "every segment is in its place");
        let bytes = stream.ring.bytes().0;
        assert!(bytes <= 32 << 20 && stream.ring.span() <= STEP + 120 * SECOND);
        assert!(metrics.listing_segments.get() <= 4 * 3600 * SECOND / SEGMENT);
        if whole.is_some() && round % 6 == 5 {
            hours.push(memory());
        }
    }
    let told = (stream.status().starts, stream.figures().drops.len(), stream.status().restarts.len());
    assert_eq!(told, (1, 0, 0));
    let kinds: Vec<u64> = ["suspect", "partial"]
        .iter()
        .map(|it| metrics.record_segments.with_label_values(&[it]).get())
        .collect();
    assert_eq!(kinds, [0, 0]);
    assert!(metrics.retention_segments.get() > 0);
    println!("MiB after each hour: {hours:.1?}");
    if let [_, _, third, .., last] = hours[..] {
        assert!(last - third < GROWTH, "{hours:?}");
    }
    desk.shutdown();
}
