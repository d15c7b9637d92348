//! Which frames of sound a range takes.

use super::plan::{Piece, RangePlan, Source};
use crate::media::index::{AudioCodec, AudioFrame, AudioTrack};
use std::ops::Range;

/// How sound is fitted to the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SoundFit {
    /// The container cannot trim: a frame counts when at least half of it is heard, and where that is none of the
    /// output's first range, the one most of which is. The sound of whole segments is not named in the plan.
    Nearest,
    /// The container trims to the sample: every frame that is heard in part, and those before that a decoder needs to
    /// get the first right. All are named in the plan, and what is heard of them.
    Covering,
}

/// Sound frames of one source, taken over as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    pub track: usize,
    pub source: usize,
    pub frames: Range<usize>,
}

/// What is to be heard of frames that follow each other without a join, in output ticks of 90 kHz. The frames named
/// before it, since the last of its track, are those it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    pub track: usize,
    /// Frames, those before that are not heard included.
    pub frames: usize,
    pub from: i64,
    pub to: i64,
}

/// A frame counts as heard from this many ticks on: times are rounded to one.
const HEARD_TICKS: i64 = 2;
/// A stretch of sound that stops longer than this is two, in ticks: half a second.
const PAUSE_TICKS: i64 = 45_000;

/// Ticks of 90 kHz a frame of sound lasts.
pub(super) fn duration(track: &AudioTrack) -> i64 {
    i64::from(track.samples_per_frame) * 90_000 / i64::from(track.sample_rate.max(1))
}

/// Frames before one that have to be decoded to get it right.
fn run_in(track: &AudioTrack) -> usize {
    match track.codec {
        // Half of each window is the frame before's (ISO/IEC 14496-3 §4.6.11, ETSI TS 102 366 §4.2.6, ISO/IEC 11172-3).
        AudioCodec::AacAdts | AudioCodec::AacLatm | AudioCodec::Ac3 | AudioCodec::Eac3 => 1,
        // main_data_begin reaches 511 bytes back: at 32 kbit/s and 48 kHz over five frames of layer III.
        AudioCodec::Mpeg { layer: 3 } => 6,
        AudioCodec::Mpeg { .. } => 1,
        // 80 ms (RFC 7845 §4.6).
        AudioCodec::Opus => 3_840usize.div_ceil(usize::from(track.samples_per_frame).max(1)),
    }
}

impl RangePlan {
    /// Lays the sound of the sources `stretch`, between which nothing is missing, from output time `start` to `end`.
    /// Pieces before `from` are of other stretches.
    pub(super) fn lay_sound(
        &mut self,
        fit: SoundFit,
        sources: &[Source<'_>],
        stretch: Range<usize>,
        from: usize,
        (start, end): (i64, i64),
    ) {
        let tracks = sources.get(stretch.start).map_or(0, |it| it.index.audio.len());
        self.sound_ends.resize(tracks, None);
        for track in 0..tracks {
            match fit {
                SoundFit::Nearest => self.lay_nearest(track, sources, stretch.clone(), from, (start, end)),
                SoundFit::Covering => self.lay_covering(track, sources, stretch.clone(), (start, end)),
            }
        }
    }

    /// After another range, the frames follow on where that one's sound ended, so that the error never adds up.
    fn lay_nearest(
        &mut self,
        track: usize,
        sources: &[Source<'_>],
        stretch: Range<usize>,
        from: usize,
        (start, end): (i64, i64),
    ) {
        let is_whole = |number| self.pieces[from..].contains(&Piece::Whole { source: number });
        let whole: Vec<usize> = stretch.clone().filter(|number| is_whole(*number)).collect();
        let mut ends = self.sound_ends[track];
        for source in stretch.clone() {
            let Some(sound) = sources[source].index.audio.get(track) else { continue };
            let shift = self.shifts[source];
            if whole.contains(&source) {
                ends = sound.frames.last().map(|frame| frame.pts + shift + duration(sound)).or(ends);
                continue;
            }
            let half = duration(sound) / 2;
            let place = |frame: &AudioFrame| frame.pts + shift;
            // What was short of a range before is less than a frame; silence longer than that stays.
            let cursor = ends.map_or(start, |ends| ends.max(start - duration(sound)));
            let skip = sound.frames.iter().take_while(|frame| place(frame) < cursor - half).count();
            let take = sound.frames[skip..].iter().take_while(|frame| place(frame) + half < end).count();
            if let Some(frame) = sound.frames[skip..skip + take].last() {
                ends = Some(place(frame) + duration(sound));
                self.sound.push(Sound { track, source, frames: skip..skip + take });
            }
        }
        self.sound_ends[track] = ends.or_else(|| self.lay_one(track, sources, stretch, (start, end)));
    }

    /// Of an output so short that less than half of every frame is heard, one is taken all the same: players find fault
    /// with a stream in which there is nothing. Where it ends; `None` when nothing is heard.
    fn lay_one(
        &mut self,
        track: usize,
        sources: &[Source<'_>],
        stretch: Range<usize>,
        (start, end): (i64, i64),
    ) -> Option<i64> {
        let frames = stretch.filter_map(|source| {
            let sound = sources[source].index.audio.get(track)?;
            let shift = self.shifts[source];
            let heard = move |(number, frame): (usize, &AudioFrame)| {
                let (from, to) = (frame.pts + shift, frame.pts + shift + duration(sound));
                (to.min(end) - from.max(start), source, number, to)
            };
            sound.frames.iter().enumerate().map(heard).max_by_key(|it| it.0)
        });
        let (_, source, frame, to) = frames.max_by_key(|it| it.0).filter(|it| it.0 >= HEARD_TICKS)?;
        self.sound.push(Sound { track, source, frames: frame..frame + 1 });
        Some(to)
    }

    fn lay_covering(
        &mut self,
        track: usize,
        sources: &[Source<'_>],
        stretch: Range<usize>,
        (start, end): (i64, i64),
    ) {
        // Frames in order with their times, runs without a pause apart.
        let mut runs: Vec<Vec<(usize, usize, i64)>> = Vec::new();
        let mut reached = i64::MIN;
        for source in stretch {
            let Some(sound) = sources[source].index.audio.get(track) else { continue };
            for (number, frame) in sound.frames.iter().enumerate() {
                let at = frame.pts + self.shifts[source];
                // What lies before the frames already taken repeats them.
                if at + HEARD_TICKS < reached.saturating_sub(duration(sound) / 2) {
                    continue;
                }
                if at.saturating_sub(reached) > PAUSE_TICKS {
                    runs.push(Vec::new());
                }
                if let Some(run) = runs.last_mut() {
                    run.push((source, number, at));
                }
                reached = at + duration(sound);
            }
        }
        for run in runs {
            let Some((source, _, _)) = run.first() else { continue };
            let sound = &sources[*source].index.audio[track];
            let lasts = duration(sound);
            let first = run.partition_point(|(_, _, at)| at + lasts < start + HEARD_TICKS);
            let last = run.partition_point(|(_, _, at)| at + HEARD_TICKS <= end);
            if first >= last {
                continue;
            }
            let (from, to) = (run[first].2.max(start), (run[last - 1].2 + lasts).min(end));
            let taken = &run[first.saturating_sub(run_in(sound))..last];
            for frames in taken.chunk_by(|a, b| a.0 == b.0 && a.1 + 1 == b.1) {
                let (source, begin) = (frames[0].0, frames[0].1);
                self.sound.push(Sound { track, source, frames: begin..begin + frames.len() });
            }
            self.heard.push(Heard { track, frames: taken.len(), from, to });
            self.sound_ends[track] = Some(to);
        }
    }
}
