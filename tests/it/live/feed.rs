//! Made-up sources that are pushed into a ring when a test says so: synthesised samples, over and over, with times that run on.

use crate::client::Server;
use moviola::base::time::TimeBase;
use moviola::base::{StreamId, Timestamp, Token};
use moviola::live::{Epoch, Ring, RingLimits, Stream};
use moviola::media::live::{Sample, Track, TrackKind, samples_of};
use moviola::media::synthetic::{Coder, Pace, Picture, Recipe, Sound, Voice, file};
use std::sync::{Arc, LazyLock};

pub const FPS: i64 = 25;
/// Frames of sound and pictures both fit into this a whole number of times.
pub const SECONDS: i64 = 16;
const BEGIN: &str = "2026-03-01T11:59:50.437000";

/// Some seconds of a source.
pub struct Feed {
    pub tracks: Vec<Track>,
    pub samples: Vec<Sample>,
    start: Timestamp,
}

pub fn begin() -> Timestamp {
    Timestamp::parse("begin", BEGIN).expect("a time")
}

/// H.264 and AAC with a keyframe every second. A song takes longer to make than clicks, and no two of its frames are alike.
fn recipe(seconds: i64, (width, height): (usize, usize), b_frames: usize, voice: Voice) -> Recipe {
    Recipe {
        start: begin(),
        first_second: 63,
        frames: (seconds * FPS) as u64,
        pace: Pace::Steady(FPS as i32, 1),
        segments: vec![FPS as u64],
        at_keys: true,
        picture: Picture { width, height, format: "yuv420p".into(), full_range: false, interlaced: None },
        coder: Coder::x264("ultrafast", 30, FPS as u64, b_frames),
        sound: Sound { codec: "aac".into(), bit_rate: 64_000, voice },
    }
}

/// Each is made once, for all tests that ask for it: 16 seconds whose pictures are decoded as they are shown.
pub static PLAIN: LazyLock<Feed> = LazyLock::new(|| Feed::new(&recipe(SECONDS, (448, 252), 0, Voice::Song)));
/// In another order.
pub static REORDERED: LazyLock<Feed> =
    LazyLock::new(|| Feed::new(&recipe(SECONDS, (448, 252), 2, Voice::Song)));
/// Of another size.
pub static SMALLER: LazyLock<Feed> =
    LazyLock::new(|| Feed::new(&recipe(SECONDS, (416, 240), 0, Voice::Clicks)));
/// Twenty seconds of small pictures in another order.
pub static H264: LazyLock<Feed> = LazyLock::new(|| Feed::new(&recipe(20, (160, 96), 2, Voice::Clicks)));
/// Eight seconds of HEVC.
pub static HEVC: LazyLock<Feed> = LazyLock::new(|| {
    let params = "log-level=none:scenecut=0:keyint=25:pools=1:frame-threads=1";
    let options = [("preset", "ultrafast"), ("crf", "30"), ("x265-params", params)];
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let gop = FPS as u64;
    let coder = Coder { name: "libx265".into(), gop, b_frames: 3, forced: false, bit_rate: 0, options };
    Feed::new(&Recipe { coder, ..recipe(8, (192, 96), 0, Voice::Clicks) })
});

impl Feed {
    fn new(recipe: &Recipe) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("feed.ts");
        let target = std::fs::File::create(&path).expect("a file");
        file(recipe, "mpegts", &[], target, &Token::root()).expect("a source");
        let (tracks, mut samples) = samples_of(&path, recipe.start, &Token::root()).expect("samples");
        // A whole number of frames, so that the end fits the beginning.
        let end = recipe.start + recipe.frames as i64 / FPS * 1_000_000;
        let video = |it: &Sample| tracks[it.track].kind == TrackKind::Video;
        samples.retain(|it| video(it) || (recipe.start..end).contains(&it.time));
        let base = |it: &Sample| tracks[it.track].time_base;
        samples.sort_by_key(|it| base(it).micros(it.dts));
        Self { tracks, samples, start: recipe.start }
    }

    /// How many samples one round has.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Sample `number` of the source, which goes round and round.
    pub fn sample(&self, number: usize) -> Sample {
        let mut sample = self.samples[number % self.len()].clone();
        let later = (number / self.len()) as i64 * SECONDS * 1_000_000;
        let base = self.tracks[sample.track].time_base;
        let ticks = TimeBase::MICROS.rescale(later, base);
        sample.dts += ticks;
        sample.pts += ticks;
        sample.time = sample.time + later;
        sample
    }

    /// The first sample that is sent at or after `seconds`.
    pub fn number_at(&self, seconds: f64) -> usize {
        let at = (seconds * 1e6) as i64;
        let (rounds, rest) = (at / (SECONDS * 1_000_000), at % (SECONDS * 1_000_000));
        let sent =
            |it: &Sample| it.time - self.start - self.tracks[it.track].time_base.micros(it.pts - it.dts);
        // The first pictures are sent before the first is shown.
        let within = self.samples.iter().position(|it| rest == 0 || sent(it) >= rest).unwrap_or(self.len());
        rounds as usize * self.len() + within
    }

    pub fn epoch(&self, ring: &Ring, cause: &'static str) -> Arc<Epoch> {
        ring.begin(self.tracks.clone(), cause)
    }

    /// Pushes what is sent from one second to before another.
    pub fn push(&self, ring: &Ring, from: f64, to: f64) {
        (self.number_at(from)..self.number_at(to)).for_each(|it| ring.push(self.sample(it)));
    }
}

/// A stream of a server that tests feed.
pub struct Feeder {
    pub stream: Arc<Stream>,
    /// `/live/ID/TOKEN/`.
    pub folder: String,
}

impl Feeder {
    pub fn new(server: &Server, name: &str) -> Self {
        let id = StreamId::new(name).expect("a name");
        let limits = RingLimits { micros: 600_000_000, bytes: 64 << 20 };
        let stream = server.streams.put(id, limits);
        let token = stream.hls.own_token().expect("a token");
        Self { stream, folder: format!("/live/{name}/{token}/") }
    }

    pub fn begin(&self, clip: &Feed, cause: &'static str) {
        self.stream.ring.begin(clip.tracks.clone(), cause);
    }

    /// Sends the clip's samples of these seconds, shifted by `by` seconds; of those that `take` takes.
    pub fn send(&self, clip: &Feed, from: f64, to: f64, by: i64, take: impl Fn(&Sample) -> bool) {
        let first = &clip.samples[0];
        for sample in &clip.samples {
            let base = clip.tracks[sample.track].time_base;
            let start = clip.tracks[first.track].time_base.seconds(first.dts);
            let at = base.seconds(sample.dts) - start;
            if (from..to).contains(&at) && take(sample) {
                let ticks = by * i64::from(base.den) / i64::from(base.num);
                let mut sample = sample.clone();
                (sample.dts, sample.pts) = (sample.dts + ticks, sample.pts + ticks);
                sample.time = sample.time + by * 1_000_000;
                self.stream.ring.push(sample);
            }
        }
    }
}
