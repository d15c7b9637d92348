//! The sound of the ranges on the clock of the output: one after the other, and two at a time in transitions. It may
//! come later than its pictures, as streams send it.

use crate::base::Result;
use crate::base::time::TimeBase;
use crate::media::cut::transition::crossfade;
use crate::media::ffi::{Frame, FrameMut};
use crate::media::sound::{SoundFormat, SoundTrack};
use std::collections::{BTreeMap, VecDeque};

/// Samples moved at once.
const MOST: i64 = 1 << 14;

/// A stretch of a range's sound.
enum Piece {
    /// Of its track, up to this sample.
    Track { until: i64 },
    /// So many samples of nothing.
    Silence { left: i64 },
}

/// The sound of one range.
pub struct RangeSound {
    pub track: SoundTrack,
    pieces: VecDeque<Piece>,
    started: bool,
    /// Nothing will be added.
    closed: bool,
}

impl RangeSound {
    fn new(format: SoundFormat) -> Self {
        Self { track: SoundTrack::new(format), pieces: VecDeque::new(), started: false, closed: false }
    }

    fn clock(&self) -> TimeBase {
        self.track.format().base()
    }

    /// A picture is on screen from `from` to `to` of the content clock, whose base is `base`.
    pub fn picture(&mut self, base: TimeBase, from: i64, to: i64) {
        let (from, to) = (base.rescale(from, self.clock()), base.rescale(to, self.clock()));
        if !self.started {
            self.started = true;
            self.track.start_at(from);
        }
        self.track.keep_up(from);
        match self.pieces.back_mut() {
            Some(Piece::Track { until }) => *until = to.max(*until),
            _ => self.pieces.push_back(Piece::Track { until: to }),
        }
    }

    /// Nothing is heard from `from` to `to` of the range's own clock, whose base is `base`.
    pub fn silence(&mut self, base: TimeBase, from: i64, to: i64) {
        let samples = base.rescale(to, self.clock()) - base.rescale(from, self.clock());
        match self.pieces.back_mut() {
            Some(Piece::Silence { left }) => *left += samples,
            _ => self.pieces.push_back(Piece::Silence { left: samples }),
        }
    }

    pub fn end_run(&mut self, base: TimeBase, end: i64) -> Result<()> {
        // A run without a picture has no sound either.
        if self.started { self.track.end_run(base.rescale(end, self.clock())) } else { Ok(()) }
    }

    /// Up to `most` samples of each channel; fewer where the rest has not come yet. Once the range is closed, what
    /// never came is silence.
    fn take(&mut self, most: i64) -> Result<Vec<Vec<f32>>> {
        let channels = self.track.format().channels;
        loop {
            match self.pieces.front_mut() {
                Some(Piece::Silence { left: 0 }) => {}
                Some(Piece::Silence { left }) => {
                    let count = most.min(*left);
                    *left -= count;
                    return Ok(vec![vec![0.0; count as usize]; channels]);
                }
                Some(Piece::Track { until }) => {
                    let until = *until;
                    let count = most.min(until.min(self.track.end()) - self.track.start());
                    if count > 0 {
                        let Some(frame) = self.track.take(count as usize, until)? else {
                            return Ok(vec![Vec::new(); channels]);
                        };
                        return Ok((0..channels).map(|it| frame.channel(it).to_vec()).collect());
                    }
                    if self.track.start() < until && !self.closed {
                        return Ok(vec![Vec::new(); channels]);
                    }
                }
                None if self.closed => return Ok(vec![vec![0.0; most as usize]; channels]),
                None => return Ok(vec![Vec::new(); channels]),
            }
            // The last piece may still grow.
            if self.pieces.len() == 1 && !self.closed {
                return Ok(vec![Vec::new(); channels]);
            }
            self.pieces.pop_front();
        }
    }
}

/// Who is heard, up to which sample of the output.
struct Phase {
    /// Ranges by their number; the second is the one a transition goes over to.
    sides: (usize, Option<usize>),
    start: i64,
    end: i64,
    /// Samples the transition lasts.
    length: i64,
}

pub struct SoundJoin {
    format: Option<SoundFormat>,
    sides: BTreeMap<usize, RangeSound>,
    phases: VecDeque<Phase>,
    /// The next sample of the output.
    position: i64,
    /// Sound of the left side whose other half has not come yet.
    waiting: Vec<Vec<f32>>,
    /// Finished samples; the last of them is the one before `position`.
    out: Vec<VecDeque<f32>>,
}

impl SoundJoin {
    pub fn new(format: Option<SoundFormat>) -> Self {
        let channels = format.map_or(0, |it| it.channels);
        Self {
            format,
            sides: BTreeMap::new(),
            phases: VecDeque::new(),
            position: 0,
            waiting: vec![Vec::new(); channels],
            out: vec![VecDeque::new(); channels],
        }
    }

    /// `None` where the cut has no sound.
    pub fn format(&self) -> Option<SoundFormat> {
        self.format
    }

    pub fn open(&mut self, range: usize) {
        if let Some(format) = self.format {
            self.sides.entry(range).or_insert_with(|| RangeSound::new(format));
        }
    }

    pub fn side(&mut self, range: usize) -> Option<&mut RangeSound> {
        self.sides.get_mut(&range)
    }

    /// The range has given its last picture.
    pub fn close(&mut self, range: usize) {
        if let Some(side) = self.sides.get_mut(&range) {
            side.closed = true;
        }
    }

    /// One range is seen until `end`, in ticks of `base`.
    pub fn solo(&mut self, base: TimeBase, range: usize, end: i64) {
        self.extend(base, (range, None), end, 0);
    }

    /// Two ranges are mixed until `end`, for `length` in all, in ticks of `base`.
    pub fn mixed(&mut self, base: TimeBase, sides: (usize, usize), end: i64, length: i64) {
        self.extend(base, (sides.0, Some(sides.1)), end, length);
    }

    fn extend(&mut self, base: TimeBase, sides: (usize, Option<usize>), end: i64, length: i64) {
        let Some(format) = self.format else { return };
        // Every end is counted from the start of the output, so that rounding does not add up.
        let end = base.rescale(end, format.base());
        match self.phases.back_mut() {
            Some(phase) if phase.sides == sides => phase.end = end,
            before => {
                let start = before.map_or(self.position, |it| it.end);
                let length = base.rescale(length, format.base());
                self.phases.push_back(Phase { sides, start, end, length });
            }
        }
    }

    /// Moves on as far as sound has come, and gives it in frames of `samples`; with `last`, also one that is not full.
    pub fn pump(
        &mut self,
        samples: usize,
        last: bool,
        mut give: impl FnMut(Frame) -> Result<()>,
    ) -> Result<()> {
        let Some(format) = self.format else { return Ok(()) };
        loop {
            let moved = self.advance()?;
            loop {
                let held = self.out.first().map_or(0, VecDeque::len);
                let count = if held >= samples {
                    samples
                } else if last && !moved {
                    held
                } else {
                    0
                };
                if count == 0 {
                    break;
                }
                let mut frame = FrameMut::audio(format.channels, format.rate, count)?;
                for (channel, out) in self.out.iter_mut().enumerate() {
                    for (to, from) in frame.channel_mut(channel).iter_mut().zip(out.drain(..count)) {
                        *to = from;
                    }
                }
                let mut frame = frame.freeze();
                frame.set_pts(Some(self.position - held as i64));
                give(frame)?;
            }
            if !moved {
                return Ok(());
            }
        }
    }

    /// Moves a stretch of sound to the output; false when there is none yet.
    fn advance(&mut self) -> Result<bool> {
        let Some(phase) = self.phases.front() else { return Ok(false) };
        let most = (phase.end - self.position).clamp(0, MOST);
        if most == 0 {
            // The phase may still grow, unless another has begun.
            if self.phases.len() < 2 {
                return Ok(false);
            }
            let left = phase.sides.0;
            self.phases.pop_front();
            if self.phases.iter().all(|it| it.sides.0 != left && it.sides.1 != Some(left)) {
                self.sides.remove(&left);
            }
            return Ok(true);
        }
        let (sides, from, length) = (phase.sides, self.position - phase.start, phase.length);
        let taken = match sides {
            (only, None) => self.taken(only, most)?,
            (left, Some(right)) => {
                let held = self.waiting.first().map_or(0, Vec::len) as i64;
                if held < most {
                    let more = self.taken(left, most - held)?;
                    self.waiting.iter_mut().zip(more).for_each(|(held, more)| held.extend(more));
                }
                let held = self.waiting.first().map_or(0, Vec::len) as i64;
                let new = self.taken(right, held.min(most))?;
                let count = new.first().map_or(0, Vec::len);
                let old = self.waiting.iter_mut().map(|held| held.drain(..count).collect::<Vec<f32>>());
                let pairs = old.zip(new);
                pairs.map(|(old, new)| crossfade(&old, &new, from as usize, length as usize)).collect()
            }
        };
        let count = taken.first().map_or(0, Vec::len);
        self.out.iter_mut().zip(taken).for_each(|(out, taken)| out.extend(taken));
        self.position += count as i64;
        Ok(count > 0)
    }

    fn taken(&mut self, range: usize, most: i64) -> Result<Vec<Vec<f32>>> {
        match self.sides.get_mut(&range) {
            Some(side) if most > 0 => side.take(most),
            _ => Ok(vec![Vec::new(); self.out.len()]),
        }
    }
}
