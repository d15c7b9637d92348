//! Where segments and parts begin and end. Pure: samples in, cuts out; no clock, and no waiting for sound.
//!
//! A part ends before the picture that would make it longer than its target, so its last picture's length is known to be
//! true. A segment begins with a keyframe, at or after its target.

use crate::base::Timestamp;
use crate::base::time::{SECOND, TimeBase};
use crate::live::Epoch;
use crate::media::live::{Sample, TrackKind, silence};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// How long things are to be, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Targets {
    pub segment: i64,
    pub part: i64,
}

/// A run of segments with the same head. Another one is a discontinuity.
#[derive(Debug, Clone)]
pub struct Stretch {
    pub epoch: Arc<Epoch>,
    /// Indices of its tracks.
    pub video: usize,
    pub audio: Option<usize>,
    /// DTS of its first picture, and how much later that is shown.
    pub first: i64,
    pub lead: i64,
}

/// The samples of a part, in decoding order.
#[derive(Debug, Clone)]
pub struct Part {
    pub video: Vec<Arc<Sample>>,
    pub audio: Vec<Arc<Sample>>,
    /// DTS of what follows, in each track's ticks.
    pub video_end: i64,
    pub audio_end: Option<i64>,
    /// In microseconds; those of a segment's parts add up to the segment's.
    pub duration: i64,
    /// It holds a keyframe.
    pub independent: bool,
}

/// What becomes of a stream.
#[derive(Debug, Clone)]
pub enum Cut {
    Stretch(Stretch),
    /// A segment begins; its first picture is shown at this time.
    Segment(Timestamp),
    Part(Part),
    /// The segment is complete.
    End,
}

/// A part is this much of its target at least (RFC 8216bis §4.4.4.9), but for the last of a segment.
const LEAST_PERCENT: i64 = 85;
/// Segments at the start of a stretch that end with the first keyframe, whatever their target: who joins then has
/// whole segments soon.
const EAGER_SEGMENTS: u32 = 2;
/// Sound that is not heard for so long is taken for silent. Players wait for every track that a head tells of, and some give up
/// where the next head tells of others: sound of a codec whose silence is known here is filled with it, other sound is left
/// out of the next segment's head.
const SILENT: i64 = 5 * SECOND;
/// How much later than its pictures sound may come before what is missing is filled. Sound that does come later is waited for
/// that long from then on.
const LATE: i64 = SECOND / 2;
/// Frames of silence that are put in at a time; larger holes are left.
const MOST_SILENCE: i64 = 1024;
/// What may be missing of sound at the end of a stretch, in microseconds: it is sent later than its pictures.
const SHORT: i64 = SECOND / 2;
/// Pictures looked at for those that others were to be shown before: as many as are reordered.
const MOST_INCOMPLETE: usize = 16;
/// Frames of sound that wait for the pictures they belong to; sources that are further ahead lose the oldest.
const MOST_WAITING: usize = 4096;

/// Cuts one stream.
#[derive(Debug)]
pub struct Segmenter {
    targets: Targets,
    open: Option<Open>,
}

/// An epoch at hand.
#[derive(Debug)]
struct Open {
    epoch: Arc<Epoch>,
    video: usize,
    audio: Option<usize>,
    video_base: TimeBase,
    audio_base: TimeBase,
    /// DTS of the first picture: where times are counted from.
    first: i64,
    /// How much later the first picture is shown, in ticks of pictures.
    lead: i64,
    /// When the picture is shown that is shown last of those handed out.
    latest: i64,
    /// Nothing follows the part at hand.
    last: bool,
    /// Of pictures, in microseconds from `first`.
    segment_at: i64,
    part_at: i64,
    pictures: Vec<Arc<Sample>>,
    sounds: VecDeque<Arc<Sample>>,
    /// The stretch was told, and whether with sound.
    told: Option<bool>,
    /// Whether there is sound is to be looked at again.
    doubtful: bool,
    segments: u32,
    segment_told: bool,
    /// Where sound was handed out last, in microseconds from `first`.
    heard_at: i64,
    /// What missing sound is filled with.
    silence: Option<Silence>,
}

/// Where sound has come to, of a track whose silence is known.
#[derive(Debug)]
struct Silence {
    track: usize,
    frame: Bytes,
    /// Of a frame, in ticks of the track.
    length: i64,
    /// DTS behind the last frame that was handed out, and whether that was made here.
    at: Option<i64>,
    made: bool,
    /// [`LATE`], or what the source needs.
    late: i64,
}

impl Silence {
    /// Puts frames in where sound is missing: between those that came, and behind them up to `until`. Frames of a time that
    /// was filled already are left out, and waited for longer from now on; `lateness` tells how late one is.
    fn fill(
        &mut self,
        came: Vec<Arc<Sample>>,
        until: i64,
        lateness: impl Fn(&Sample) -> i64,
    ) -> Vec<Arc<Sample>> {
        let mut out = Vec::with_capacity(came.len());
        for sample in came {
            self.put(sample.dts, &mut out);
            let at = self.at.unwrap_or(sample.dts);
            if self.made && sample.dts + self.length / 2 < at {
                self.late = lateness(&sample).saturating_add(LATE / 2).clamp(self.late, SILENT);
                continue;
            }
            (self.at, self.made) = (Some(sample.dts + i64::from(sample.duration)), false);
            out.push(sample);
        }
        self.put(until, &mut out);
        out
    }

    /// Silence up to a frame before `until`, unless that is what a frame may stray.
    fn put(&mut self, until: i64, out: &mut Vec<Arc<Sample>>) {
        let Some(at) = self.at else { return };
        let count = until.saturating_sub(at) / self.length;
        if (1..=MOST_SILENCE).contains(&count) {
            out.extend((0..count).map(|number| {
                let dts = at + number * self.length;
                let (duration, data) = (u32::try_from(self.length).unwrap_or(u32::MAX), self.frame.clone());
                let time = Timestamp::MIN;
                Arc::new(Sample { track: self.track, dts, pts: dts, duration, key: true, time, data })
            }));
            (self.at, self.made) = (Some(at + count * self.length), true);
        } else if count > MOST_SILENCE {
            self.at = Some(until);
        }
    }
}

impl Segmenter {
    pub fn new(targets: Targets) -> Self {
        Self { targets, open: None }
    }

    /// Takes the next sample.
    pub fn take(&mut self, epoch: &Arc<Epoch>, sample: &Arc<Sample>, mut cut: impl FnMut(Cut)) {
        if self.open.as_ref().is_none_or(|it| it.epoch.number != epoch.number) {
            self.end(&mut cut);
            self.open = Open::new(epoch, sample);
        }
        let Some(open) = &mut self.open else { return };
        if Some(sample.track) == open.audio {
            open.sounds.push_back(Arc::clone(sample));
            if open.sounds.len() > MOST_WAITING {
                open.sounds.pop_front();
            }
        } else if sample.track == open.video {
            open.picture(sample, self.targets, &mut cut);
        }
    }

    /// Nothing follows what came, or something is missing: what is open is completed.
    pub fn end(&mut self, mut cut: impl FnMut(Cut)) {
        let Some(mut open) = self.open.take() else { return };
        open.leave_out_the_incomplete();
        if let Some(last) = open.pictures.last() {
            let end = last.dts.saturating_add(last.duration.into());
            let length = i64::from(last.duration);
            open.spill(end, self.targets, &mut cut);
            open.last = true;
            let end = open.end_of_shown(end, length, self.targets);
            open.close_part(open.pictures.len(), end, &mut cut);
        }
        if open.segment_told {
            cut(Cut::End);
        }
    }
}

impl Open {
    /// Begins with a keyframe.
    fn new(epoch: &Arc<Epoch>, sample: &Arc<Sample>) -> Option<Self> {
        let video = epoch.video().filter(|it| sample.key && sample.track == *it)?;
        epoch.tracks.get(video)?.entry.as_ref()?;
        let audio = epoch.tracks.iter().position(|it| it.kind == TrackKind::Audio && it.entry.is_some());
        let base = |track: usize| epoch.tracks[track].time_base;
        let silence = audio.and_then(|track| {
            let it = &epoch.tracks[track];
            let (frame, samples) = silence::frame(it)?;
            let rate = TimeBase::new(1, i32::try_from(it.sample_rate).ok()?);
            let length = rate.rescale(samples.into(), it.time_base).max(1);
            Some(Silence { track, frame, length, at: None, made: false, late: LATE })
        });
        Some(Self {
            epoch: Arc::clone(epoch),
            video,
            audio,
            video_base: base(video),
            audio_base: audio.map_or(TimeBase::MICROS, base),
            first: sample.dts,
            lead: sample.pts.saturating_sub(sample.dts).max(0),
            latest: i64::MIN,
            last: false,
            segment_at: 0,
            part_at: 0,
            pictures: Vec::new(),
            sounds: VecDeque::new(),
            told: None,
            doubtful: true,
            segments: 0,
            segment_told: false,
            heard_at: 0,
            silence,
        })
    }

    /// A picture's place, in microseconds from the first.
    fn at(&self, dts: i64) -> i64 {
        self.video_base.micros(dts.saturating_sub(self.first))
    }

    fn heard(&self, sound: &Sample) -> i64 {
        let from = self.video_base.rescale(self.first, self.audio_base);
        self.audio_base.micros(sound.dts.saturating_sub(from))
    }

    /// A place in the sound, by microseconds from the first picture.
    fn sound_at(&self, micros: i64) -> i64 {
        let from = self.video_base.rescale(self.first, self.audio_base);
        from.saturating_add(TimeBase::MICROS.rescale(micros, self.audio_base))
    }

    /// Sound of a part whose pictures are shown until `end`, with what is missing of it where that can be made.
    fn filled(&mut self, came: Vec<Arc<Sample>>, end: i64) -> Vec<Arc<Sample>> {
        let Some(mut silence) = self.silence.take() else { return came };
        let late = if self.last { 0 } else { silence.late };
        // Where more came already it is known what is missing.
        let until = match self.sounds.front() {
            Some(next) => next.dts.min(self.sound_at(end)),
            None => self.sound_at(end - late),
        };
        let filled = silence.fill(came, until, |it| end - self.heard(it));
        self.silence = Some(silence);
        filled
    }

    /// The last picture ends at `end`, as is known now: where that is too long for the part, it is the next one's first.
    fn spill(&mut self, end: i64, targets: Targets, cut: &mut impl FnMut(Cut)) {
        if self.at(end) - self.part_at > targets.part && self.pictures.len() > 1 {
            let count = self.pictures.len() - 1;
            self.close_part(count, self.pictures[count].dts, cut);
        }
    }

    fn picture(&mut self, picture: &Arc<Sample>, targets: Targets, cut: &mut impl FnMut(Cut)) {
        let at = self.at(picture.dts);
        self.spill(picture.dts, targets, cut);
        let least = if self.segments < EAGER_SEGMENTS { targets.part } else { targets.segment };
        let ends_segment = picture.key && at - self.segment_at >= least;
        let length = at - self.part_at;
        let next = at + self.video_base.micros(picture.duration.into());
        let full = next - self.part_at > targets.part && length * 100 >= targets.part * LEAST_PERCENT;
        if (ends_segment || full) && !self.pictures.is_empty() {
            self.close_part(self.pictures.len(), picture.dts, cut);
        }
        if ends_segment && self.segment_told {
            cut(Cut::End);
            self.segment_told = false;
            self.segments += 1;
            // Sound that has fallen silent, or is heard at last, is another stretch.
            let silent = at - self.heard_at >= SILENT;
            let heard = self.heard_at > self.segment_at;
            self.doubtful =
                self.silence.is_none() && (self.told == Some(silent) || self.told == Some(!heard));
            self.segment_at = at;
        }
        self.pictures.push(Arc::clone(picture));
    }

    /// When the picture is shown that is shown last of those handed out and these.
    fn latest_with(&self, pictures: &[Arc<Sample>]) -> i64 {
        pictures.iter().map(|it| it.pts).fold(self.latest, i64::max)
    }

    /// Leaves out pictures at the end which others were to be shown before that did not come: for players the time of those
    /// is a hole, at which their pictures stop while the sound goes on.
    fn leave_out_the_incomplete(&mut self) {
        let count = self.pictures.len();
        let Some(last) = self.pictures.last() else { return };
        let end = last.dts.saturating_add(last.duration.into());
        let complete = |count: &usize| {
            let latest = self.latest_with(&self.pictures[..*count]);
            let end = self.pictures.get(*count).map_or(end, |it| it.dts);
            latest < end.saturating_add(self.lead)
        };
        let whole = (1..=count).rev().take(MOST_INCOMPLETE).find(complete);
        self.pictures.truncate(whole.unwrap_or(count));
    }

    /// Where the stretch ends: behind the last picture shown. One that was handed out before others which were to be shown first
    /// and did not come is shown later than what was sent lasts; the next stretch would take its time, and players then drop it
    /// with all that was decoded from it.
    fn end_of_shown(&self, end: i64, length: i64, targets: Targets) -> i64 {
        let shown = self.latest_with(&self.pictures).saturating_add(length).saturating_sub(self.lead);
        let fits = self.at(shown) - self.part_at <= targets.part;
        if fits { end.max(shown) } else { end }
    }

    /// Hands out the first `count` pictures, which end at `end`, with the sound that is heard before.
    fn close_part(&mut self, count: usize, end: i64, cut: &mut impl FnMut(Cut)) {
        let rest = self.pictures.split_off(count);
        let video = std::mem::replace(&mut self.pictures, rest);
        self.latest = self.latest_with(&video);
        let end_at = self.at(end);
        let lead = self.video_base.micros(self.lead);
        let ready = self.sounds.iter().take_while(|it| self.heard(it) < end_at + lead).count();
        let mut audio: Vec<Arc<Sample>> = self.sounds.drain(..ready).collect();
        let sounds = !audio.is_empty() || self.silence.is_some();
        if std::mem::take(&mut self.doubtful) && self.told != Some(sounds) {
            self.told = Some(sounds);
            let (epoch, video_first) = (Arc::clone(&self.epoch), video.first());
            let first = video_first.map_or(0, |it| it.dts);
            let track = self.audio.filter(|_| sounds);
            cut(Cut::Stretch(Stretch { epoch, video: self.video, audio: track, first, lead: self.lead }));
            // What is heard before the first picture is shown would be a hole in the picture.
            let shown = self.part_at + lead;
            audio.retain(|it| self.heard(it) + self.audio_base.micros(it.duration.into()) > shown);
            let from = self.sound_at(shown);
            if let Some(silence) = &mut self.silence {
                silence.at = Some(from);
            }
        }
        audio = self.filled(audio, end_at + lead);
        let with_sound = self.told == Some(true);
        let near = |next: &i64| {
            let silence = self.silence.as_ref();
            silence.is_none_or(|it| it.at.is_none_or(|at| *next - at < it.length))
        };
        let audio_end = self.sounds.front().map(|it| it.dts).filter(near).or_else(|| {
            // The last frame lasts as long as the pictures: players take what is missing for a hole.
            let end = self.video_base.rescale(end.saturating_add(self.lead), self.audio_base);
            let natural = audio.last().map(|it| it.dts.saturating_add(it.duration.into()))?;
            let missing = self.audio_base.micros(end.saturating_sub(natural));
            (self.last && (0..SHORT).contains(&missing)).then_some(end)
        });
        if !audio.is_empty() {
            self.heard_at = end_at;
        }
        if !self.segment_told {
            self.segment_told = true;
            cut(Cut::Segment(video.first().map_or(Timestamp::MIN, |it| it.time)));
        }
        cut(Cut::Part(Part {
            independent: video.iter().any(|it| it.key),
            video,
            audio: if with_sound { audio } else { Vec::new() },
            video_end: end,
            audio_end,
            duration: end_at - self.part_at,
        }));
        self.part_at = end_at;
    }
}

#[cfg(test)]
mod tests;
