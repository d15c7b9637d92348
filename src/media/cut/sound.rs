//! Which frames of sound a range takes.

use super::plan::{Piece, RangePlan, Source};
use crate::media::index::{AudioCodec, AudioFrame, AudioTrack};
use std::collections::BTreeSet;
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

/// Whether a frame at `at` follows one that ends at `reached`: neither repeated nor after a pause.
pub(super) fn goes_on(reached: i64, at: i64, track: &AudioTrack) -> bool {
    at + HEARD_TICKS >= reached - duration(track) / 2 && at - reached <= PAUSE_TICKS
}

/// Frames of one source that follow each other, on the way through planning: one, or all of an inner source.
#[derive(Debug, Clone, Copy)]
struct Laid {
    source: usize,
    first: usize,
    count: usize,
    /// Output times: where the first begins and the last ends.
    at: i64,
    until: i64,
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
        let whole: BTreeSet<usize> = self.pieces[from..]
            .iter()
            .filter_map(|piece| match piece {
                Piece::Whole { source } => Some(*source),
                Piece::Copy { .. } | Piece::Encode { .. } => None,
            })
            .collect();
        let mut ends = self.sound_ends[track];
        for source in stretch.clone() {
            let Some(sound) = sources[source].index.audio.get(track) else { continue };
            let shift = self.shifts[source];
            if whole.contains(&source) {
                let last = match sources[source].inner.and_then(|it| it.sound.get(track)) {
                    Some(inner) => (inner.frames > 0).then_some(inner.last),
                    None => sound.frames.last().map(|frame| frame.pts),
                };
                ends = last.map(|last| last + shift + duration(sound)).or(ends);
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
        let mut runs: Vec<Vec<Laid>> = Vec::new();
        let mut reached = i64::MIN;
        for source in stretch {
            let Some(sound) = sources[source].index.audio.get(track) else { continue };
            let (shift, lasts) = (self.shifts[source], duration(sound));
            let inner = sources[source].inner.and_then(|it| it.sound.get(track)).filter(|it| it.frames > 0);
            let all = inner.map(|it| {
                let (at, until) = (it.first + shift, it.last + shift + lasts);
                Laid { source, first: 0, count: it.frames, at, until }
            });
            let single = sound.frames.iter().enumerate().map(|(first, frame)| {
                let at = frame.pts + shift;
                Laid { source, first, count: 1, at, until: at + lasts }
            });
            for laid in all.into_iter().chain(single) {
                // What lies before the frames already taken repeats them.
                if laid.at + HEARD_TICKS < reached.saturating_sub(lasts / 2) {
                    continue;
                }
                if laid.at.saturating_sub(reached) > PAUSE_TICKS {
                    runs.push(Vec::new());
                }
                if let Some(run) = runs.last_mut() {
                    run.push(laid);
                }
                reached = laid.until;
            }
        }
        for run in runs {
            let Some(laid) = run.first() else { continue };
            let sound = &sources[laid.source].index.audio[track];
            let first = run.partition_point(|it| it.until < start + HEARD_TICKS);
            let last = run.partition_point(|it| it.at + HEARD_TICKS <= end);
            if first >= last {
                continue;
            }
            let (from, to) = (run[first].at.max(start), run[last - 1].until.min(end));
            let taken = &run[first.saturating_sub(run_in(sound))..last];
            for frames in taken.chunk_by(|a, b| a.source == b.source && a.first + a.count == b.first) {
                let (source, begin) = (frames[0].source, frames[0].first);
                let count: usize = frames.iter().map(|it| it.count).sum();
                self.sound.push(Sound { track, source, frames: begin..begin + count });
            }
            self.heard.push(Heard { track, frames: taken.iter().map(|it| it.count).sum(), from, to });
            self.sound_ends[track] = Some(to);
        }
    }
}
