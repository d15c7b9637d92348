//! The full cut: every picture of its ranges decoded once, mixed where one range goes over into the next, encoded anew,
//! and streamed while it is made. Memory does not grow with a range, a hole or a transition.

mod grid;
mod join;
mod output;
mod packets;
mod scan;
mod shots;

use super::transition::Mixer;
use super::{CutSource, CutSummary, FullCutOptions, Holes, Transition};
use crate::base::time::SECOND;
use crate::base::{Error, Result, Span, Token};
use crate::media::Sink;
use crate::media::ffi::Frame;
use crate::media::sound::{SoundDecoder, SoundFormat};
use crate::media::source::Want;
use grid::Range;
use join::SoundJoin;
use output::Output;
use packets::Clock;
use scan::Scan;
use shots::{Look, Shot, Shots, again};

/// Audio packets read before a clip is taken to have no sound.
const SOUND_LOOK_AHEAD: usize = 64;

/// Pictures of the longest transition: a minute at 240 a second.
const MAX_MIXED: usize = 60 * 240;

/// What a full cut is made of.
#[derive(Debug, Clone)]
pub struct FullCut {
    /// One after the other, each with what it is cut from.
    pub ranges: Vec<(Span, CutSource)>,
    /// Between each range and the next; `None` is a hard cut.
    pub transitions: Vec<Option<Transition>>,
    pub holes: Holes,
}

impl FullCut {
    fn range(&self, number: usize) -> Option<(Range, &CutSource)> {
        let (span, source) = self.ranges.get(number)?;
        Some((Range { span: *span, holes: self.holes, missing: source.missing }, source))
    }
}

/// Cuts the ranges, encodes them, and writes the container that is asked for to `sink` as it comes.
///
/// # Errors
/// `transition-too-long` when a range is shorter than the transitions at its ends; `no-content` when nothing could
/// stay for what a range lacks; `damaged-media` when no picture can be decoded; whatever the sink says when its receiver
/// is gone.
pub fn full(
    cut: &FullCut,
    options: &FullCutOptions,
    token: &Token,
    sink: &mut dyn Sink,
) -> Result<CutSummary> {
    let mut format = None;
    for (_, source) in &cut.ranges {
        format = sound_format(source, token)?;
        if format.is_some() {
            break;
        }
    }
    let output = Output::new(options, format, sink);
    let join = SoundJoin::new(output.sound_format());
    Sequence { cut, token, output, join, end: 0, summary: CutSummary::default() }.run()
}

/// Rate and channels of the source's sound: those of the first clip that has any, among the first few.
fn sound_format(source: &CutSource, token: &Token) -> Result<Option<SoundFormat>> {
    for clip in source.runs.iter().flatten().take(3) {
        let mut reader = match source.open(clip, Want::Both, token) {
            Err(_) if !clip.whole => continue,
            reader => reader?,
        };
        let Some(stream) = reader.audio.clone() else { continue };
        let mut decoder = SoundDecoder::default();
        decoder.prepare(&reader.demuxer, &stream)?;
        let (mut found, mut looked) = (None, 0);
        while found.is_none()
            && looked < SOUND_LOOK_AHEAD
            && let Some(packet) = reader.read()?
        {
            if packet.stream() == stream.index {
                looked += 1;
                decoder.push(&packet, None, |frame| {
                    if frame.sample_rate() > 0 && (1..=8).contains(&frame.channels()) {
                        found = Some(SoundFormat { rate: frame.sample_rate(), channels: frame.channels() });
                    }
                    Ok(())
                })?;
            }
        }
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

struct Sequence<'a> {
    cut: &'a FullCut,
    token: &'a Token,
    output: Output<'a>,
    join: SoundJoin,
    /// Where the last picture ends, on the output's clock.
    end: i64,
    summary: CutSummary,
}

/// A transition that is to come.
struct Coming<'a> {
    name: &'a str,
    frames: usize,
    scan: Scan<'a>,
}

impl<'a> Sequence<'a> {
    fn run(mut self) -> Result<CutSummary> {
        let (mut opened, mut look) = self.first_look()?;
        self.check_lengths(look.clock)?;
        let mut carried: Option<(Shots<'a>, i64)> = None;
        for number in 0..self.cut.ranges.len() {
            let (mut shots, offset) = match carried.take() {
                Some(carried) => carried,
                None => match opened.take_if(|it| it.number() == number) {
                    Some(shots) => (shots, self.end),
                    None => (self.open(number)?, self.end),
                },
            };
            let mut coming = self.coming(number, look.clock)?;
            while let Some(shot) = shots.next(&mut look, &mut self.join)? {
                if let Some(transition) = &mut coming
                    && transition.scan.is_among_last(shot.key, transition.frames)?
                {
                    let next = match opened.take_if(|it| it.number() == number + 1) {
                        Some(next) => next,
                        None => self.open(number + 1)?,
                    };
                    let sides = (&mut shots, next);
                    carried = Some(self.mix(transition, sides, (shot, offset), &mut look)?);
                    break;
                }
                let at = offset + shot.at;
                self.join.solo(look.clock.base, number, at + look.clock.step);
                self.show(shot.frame, at, look.clock)?;
                self.summary.decoded += shots.take_decoded();
            }
            self.join.close(number);
        }
        if self.summary.frames == 0 {
            return Err(Error::damaged("no picture of the span can be decoded"));
        }
        self.sound(true)?;
        self.summary.seconds = look.clock.base.seconds(self.end);
        self.output.finish()?;
        Ok(self.summary)
    }

    fn open(&mut self, number: usize) -> Result<Shots<'a>> {
        let (range, source) = self.cut.range(number).ok_or_else(|| Error::internal("no such range"))?;
        self.join.open(number);
        Ok(Shots::new(number, source, range, self.token))
    }

    /// The first range that has a picture, opened, and what its first picture is like.
    fn first_look(&mut self) -> Result<(Option<Shots<'a>>, Look)> {
        for number in 0..self.cut.ranges.len() {
            let mut shots = self.open(number)?;
            if let Some((frame, clock, turn)) = shots.first(&mut self.join)? {
                self.output.prepare(frame, clock, turn)?;
                let fit = self.output.picture_format().ok_or_else(|| Error::internal("no output"))?;
                let look = Look::new(clock, fit, frame)?;
                return Ok((Some(shots), look));
            }
        }
        Err(Error::damaged("no picture of the span can be decoded"))
    }

    /// Pictures of the transition after a range; 0 is a hard cut.
    fn mixed_after(&self, number: usize, clock: Clock) -> usize {
        let transition = self.cut.transitions.get(number).and_then(Option::as_ref);
        transition.map_or(0, |it| {
            let step = i128::from(clock.base.num) * i128::from(clock.step) * i128::from(SECOND);
            let ticks = i128::from(it.micros.max(0)) * i128::from(clock.base.den);
            usize::try_from((ticks + step / 2) / step).unwrap_or(usize::MAX).min(MAX_MIXED)
        })
    }

    /// Refuses transitions that need more pictures than a range has.
    fn check_lengths(&self, clock: Clock) -> Result<()> {
        for number in 0..self.cut.ranges.len() {
            let before = number.checked_sub(1).map_or(0, |it| self.mixed_after(it, clock));
            let needed = before + self.mixed_after(number, clock);
            if needed == 0 {
                continue;
            }
            let Some((range, source)) = self.cut.range(number) else { continue };
            let there = Scan::new(source, range, clock, self.token).count(needed)?;
            if there < needed {
                let seconds = |frames: usize| clock.base.seconds(frames as i64 * clock.step);
                let detail = format!(
                    "range {} has {there} frames ({:.3} s), and the transitions at its ends take {needed} ({:.3} s)",
                    number + 1,
                    seconds(there),
                    seconds(needed)
                );
                return Err(Error::invalid("transition-too-long", "transition", detail));
            }
        }
        Ok(())
    }

    fn coming(&self, number: usize, clock: Clock) -> Result<Option<Coming<'a>>> {
        let frames = self.mixed_after(number, clock);
        let cut: &'a FullCut = self.cut;
        match (cut.transitions.get(number).and_then(Option::as_ref), cut.range(number)) {
            (Some(transition), Some((range, source))) if frames > 0 => {
                let scan = Scan::new(source, range, clock, self.token);
                Ok(Some(Coming { name: &transition.name, frames, scan }))
            }
            _ => Ok(None),
        }
    }

    /// Mixes the rest of a range, from `first` on, with the start of the next. Gives that one back, with the output time
    /// its own clock starts at.
    fn mix(
        &mut self,
        transition: &Coming,
        (left, mut right): (&mut Shots<'a>, Shots<'a>),
        (first, offset): (Shot, i64),
        look: &mut Look,
    ) -> Result<(Shots<'a>, i64)> {
        let Clock { base, step } = look.clock;
        let sides = (left.number(), right.number());
        let mut mixer = Mixer::new(transition.name, transition.frames)?;
        let length = transition.frames as i64 * step;
        let (mut first, mut old, mut new) = (Some(first), None, None);
        let mut right_end = 0;
        for _ in 0..transition.frames {
            let mut at = self.end;
            let shot = match first.take() {
                Some(shot) => Some(shot),
                None => left.next(look, &mut self.join)?,
            };
            if let Some(shot) = shot {
                (at, old) = (offset + shot.at, Some(shot.frame));
            }
            if let Some(shot) = right.next(look, &mut self.join)? {
                (right_end, new) = (shot.at + step, Some(shot.frame));
            }
            // A picture that could not be decoded is the one before it once more.
            let (Some(old), Some(new)) = (again(&mut old)?, again(&mut new)?) else {
                return Err(Error::damaged("no picture of a range can be decoded for its transition"));
            };
            let mixed = mixer.mix(old, new)?;
            self.join.mixed(base, sides, at + step, length);
            self.show(mixed, at, look.clock)?;
            self.summary.decoded += left.take_decoded() + right.take_decoded();
        }
        // Nothing is left but, where times are uneven, a picture the count did not know of; its sound is read.
        while left.next(look, &mut self.join)?.is_some() {}
        Ok((right, self.end - right_end))
    }

    fn show(&mut self, mut frame: Frame, at: i64, clock: Clock) -> Result<()> {
        self.end = at + clock.step;
        self.summary.frames += 1;
        frame.set_pts(Some(at));
        frame.set_picture_type(false);
        self.output.picture(&frame)?;
        self.sound(false)
    }

    fn sound(&mut self, last: bool) -> Result<()> {
        let (output, summary) = (&mut self.output, &mut self.summary);
        self.join.pump(output.sound_frame(), last, |frame| {
            summary.samples += frame.samples() as u64;
            output.sound(&frame)
        })
    }
}
