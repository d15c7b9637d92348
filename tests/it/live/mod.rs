//! Live sources against a camera that can fail in every way, and against FFmpeg as a sender; recordings of them.

mod api;
mod camera;
mod contract;
mod contract_hls;
mod faults;
mod feed;
mod hls;
mod lifecycle;
mod push;
mod recorder;
mod recorder_archive;
mod recorder_crash;
mod rules;
mod soak;
mod sources;

use camera::{Camera, Manner, Reel};
use moviola::base::StreamId;
use moviola::base::time::SECOND;
use moviola::live::{Budgets, Epoch, Guard, Parts, Policy, RingLimits, Settings, State, Stream, Streams};
use moviola::media::live::Sample;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// Two seconds of H.264 with a keyframe each second.
static REEL: LazyLock<Reel> = LazyLock::new(|| Reel::make(160, 96, 50, 25, false));

/// Streams over a folder of their own. Dropping them shows that no thread is left.
pub struct House {
    pub streams: Streams,
    pub folder: tempfile::TempDir,
}

/// Waits no camera's patience, but hours: what ends sooner was ended by something else.
const HOURS: Duration = Duration::from_secs(7200);

fn parts(folder: &Path) -> Parts {
    Parts {
        directory: folder.join("streams"),
        guard: Guard::new("rtsp, rtmp, srt, udp, http, file", "loopback", folder.to_owned())
            .expect("a guard"),
        ring: RingLimits { micros: 600 * SECOND, bytes: 256 << 20 },
        budgets: Budgets { connect: HOURS, first_frame: HOURS, stall: HOURS },
        policy: Policy { first: 50_000, stalled: 3600 * SECOND, ..Policy::default() },
        ..Parts::default()
    }
}

impl House {
    pub fn open(change: impl FnOnce(&mut Parts)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut parts = parts(folder.path());
        change(&mut parts);
        Self { streams: Streams::open(parts).expect("streams"), folder }
    }

    pub fn put(&self, name: &str, value: Value) -> Arc<Stream> {
        let settings = Settings::from_json(&value).expect("settings");
        self.streams.set(&StreamId::new(name).expect("a name"), settings).expect("a stream").0
    }

    /// A camera's stream that is followed whether somebody watches or not.
    pub fn follow(&self, camera: &Camera, options: Value) -> Arc<Stream> {
        self.put("cam", json!({"source": camera.url(), "options": options, "keepalive": true}))
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let left = self.streams.shutdown(Duration::from_secs(30));
        assert!(left || std::thread::panicking(), "a source's thread is left behind");
    }
}

/// Returns once it holds of the stream. It is asked at each change of state, and now and then.
pub fn until(stream: &Stream, what: &str, holds: impl Fn(&Stream) -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let begun = Instant::now();
    let mut changes = stream.watch();
    while !holds(stream) {
        let status = stream.status();
        assert!(begun.elapsed() < Duration::from_secs(120), "{what}: {status:?} {:?}", stream.figures());
        runtime.block_on(async {
            let _ = tokio::time::timeout(Duration::from_millis(20), changes.changed()).await;
        });
    }
}

pub fn live(stream: &Stream) {
    until(stream, "live", |it| it.state() == State::Live);
}

/// Every sample held, with its epoch.
pub fn samples(stream: &Stream) -> Vec<(Arc<Epoch>, Arc<Sample>)> {
    let batch = stream.ring.read(0, usize::MAX);
    assert_eq!(batch.lost, 0, "the ring is large enough");
    batch.entries.into_iter().map(|it| (it.epoch, it.sample)).collect()
}

pub fn pictures(stream: &Stream) -> Vec<(Arc<Epoch>, Arc<Sample>)> {
    samples(stream).into_iter().filter(|(epoch, it)| Some(it.track) == epoch.video()).collect()
}

pub fn has_pictures(count: usize) -> impl Fn(&Stream) -> bool {
    move |stream| pictures(stream).len() >= count
}

/// The epochs there are samples of, by why they began.
pub fn epochs(stream: &Stream) -> Vec<&'static str> {
    let mut found: Vec<(u64, &'static str)> =
        samples(stream).iter().map(|(epoch, _)| (epoch.number, epoch.cause)).collect();
    found.dedup();
    found.into_iter().map(|it| it.1).collect()
}

/// What every reader of a ring relies on.
pub fn sound(stream: &Stream) {
    let mut last: Vec<(u64, usize, i64)> = Vec::new();
    for (epoch, sample) in samples(stream) {
        let before = last.iter().find(|it| (it.0, it.1) == (epoch.number, sample.track)).map(|it| it.2);
        match before {
            None => assert!(sample.key, "a track begins with a keyframe"),
            Some(before) => assert!(sample.dts > before, "DTS rise: {before}, then {}", sample.dts),
        }
        assert!(sample.pts >= sample.dts && sample.duration > 0);
        last.retain(|it| (it.0, it.1) != (epoch.number, sample.track));
        last.push((epoch.number, sample.track, sample.dts));
    }
}

fn start(manner: Manner) -> Camera {
    Camera::start(REEL.clone(), manner)
}
