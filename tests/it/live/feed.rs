//! A made-up source that is pushed into a ring: a synthesised file over and over, with times that run on.

use moviola::base::time::TimeBase;
use moviola::base::{Timestamp, Token};
use moviola::live::{Epoch, Ring};
use moviola::media::live::{Sample, Track, TrackKind, samples_of};
use moviola::media::synthetic::{Coder, Pace, Picture, Recipe, Sound, Voice, file};
use std::sync::Arc;

pub const FPS: i64 = 25;
/// Frames of sound and pictures both fit into this a whole number of times.
pub const SECONDS: i64 = 16;
const BEGIN: &str = "2026-03-01T11:59:50.437000";

/// Some seconds of a source.
pub struct Feed {
    pub tracks: Vec<Track>,
    samples: Vec<Sample>,
    start: Timestamp,
}

pub fn begin() -> Timestamp {
    Timestamp::parse("begin", BEGIN).expect("a time")
}

/// 16 seconds of H.264 and AAC at 320x180, with a keyframe every `gop` pictures.
pub fn recipe(gop: u64, b_frames: usize) -> Recipe {
    Recipe {
        start: begin(),
        first_second: 63,
        frames: (SECONDS * FPS) as u64,
        pace: Pace::Steady(FPS as i32, 1),
        segments: vec![gop],
        at_keys: true,
        picture: Picture {
            width: 448,
            height: 252,
            format: "yuv420p".into(),
            full_range: false,
            interlaced: None,
        },
        coder: Coder::x264("ultrafast", 30, gop, b_frames),
        sound: Sound { codec: "aac".into(), bit_rate: 64_000, voice: Voice::Song },
    }
}

impl Feed {
    pub fn new(recipe: &Recipe) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("feed.ts");
        let target = std::fs::File::create(&path).expect("a file");
        file(recipe, "mpegts", &[], target, &Token::root()).expect("a source");
        let (tracks, mut samples) = samples_of(&path, recipe.start, &Token::root()).expect("samples");
        // A whole number of frames, so that the end fits the beginning.
        let end = recipe.start + SECONDS * 1_000_000;
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
