//! A made-up source: a recipe's samples, put into a stream's ring when a test says so.

use crate::client::Server;
use moviola::base::{StreamId, Timestamp, Token};
use moviola::live::{RingLimits, Stream};
use moviola::media::live::{Sample, Track};
use moviola::media::synthetic::{Coder, Pace, Picture, Recipe, Sound, Voice, samples};
use std::sync::{Arc, LazyLock};

pub struct Clip {
    pub tracks: Vec<Track>,
    pub samples: Vec<Sample>,
}

/// Pictures a second, and pictures from keyframe to keyframe.
pub const RATE: u64 = 25;

fn recipe(seconds: u64, width: usize, coder: Coder) -> Recipe {
    Recipe {
        start: Timestamp::parse("start", "2024-11-09T12:00:00").expect("a time"),
        first_second: 63,
        frames: seconds * RATE,
        pace: Pace::Steady(RATE as i32, 1),
        segments: vec![RATE],
        at_keys: true,
        picture: Picture { width, height: 96, format: "yuv420p".into(), full_range: false, interlaced: None },
        coder,
        sound: Sound { codec: "aac".into(), bit_rate: 64_000, voice: Voice::Clicks },
    }
}

fn clip(recipe: &Recipe) -> Clip {
    let (tracks, samples) = samples(recipe, true, &Token::root()).expect("a clip");
    Clip { tracks, samples }
}

/// Twenty seconds of H.264 with B-frames, a keyframe a second, and AAC.
pub static H264: LazyLock<Clip> =
    LazyLock::new(|| clip(&recipe(20, 160, Coder::x264("superfast", 30, RATE, 2))));

/// Eight seconds of HEVC of another size.
pub static HEVC: LazyLock<Clip> = LazyLock::new(|| {
    let params = "log-level=none:scenecut=0:keyint=25:pools=1:frame-threads=1";
    let options = [("preset", "ultrafast"), ("crf", "30"), ("x265-params", params)];
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let coder = Coder { name: "libx265".into(), gop: RATE, b_frames: 3, forced: false, bit_rate: 0, options };
    clip(&recipe(8, 192, coder))
});

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

    pub fn begin(&self, clip: &Clip, cause: &'static str) {
        self.stream.ring.begin(clip.tracks.clone(), cause);
    }

    /// Sends the clip's samples of these seconds, shifted by `by` seconds; of those that `take` takes.
    pub fn send(&self, clip: &Clip, from: f64, to: f64, by: i64, take: impl Fn(&Sample) -> bool) {
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
