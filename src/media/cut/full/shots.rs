//! The pictures of one range, decoded when they are asked for, with those that stand for what is missing.

use super::grid::{Grid, Key, Placed, Range};
use super::join::SoundJoin;
use super::packets::{Clock, Event, Packets, Wanted};
use crate::base::{Error, Kind, Result, Token};
use crate::media::colour::Colour;
use crate::media::cut::{CutSource, Holes};
use crate::media::ffi::{Decoder, Frame, FrameMut, Packet, PixelFormat, Scaler, Skip};
use crate::media::sound::SoundDecoder;
use crate::media::source::Want;
use crate::media::turn::Turn;
use std::collections::{BTreeMap, VecDeque};

/// One picture of a range.
pub struct Shot {
    pub frame: Frame,
    pub key: Key,
    /// On the range's own clock, which starts at 0, in ticks of the cut's.
    pub at: i64,
}

/// Format and size of a picture.
pub type Fit = (PixelFormat, usize, usize);

/// What all ranges of a cut are brought to: what the first picture is like.
pub struct Look {
    pub clock: Clock,
    pub fit: Fit,
    pub black: Option<Frame>,
}

impl Look {
    pub fn new(clock: Clock, fit: Fit, like: &Frame) -> Result<Self> {
        let (format, width, height) = fit;
        let mut black = FrameMut::picture(format, width, height)?;
        black.copy_properties(like)?;
        let deep = format.depth() - 8;
        let luma = if Colour::of(like).full_range { 0 } else { 16 };
        for plane in 0..3 {
            let value: u16 = (if plane == 0 { luma } else { 128 }) << deep.max(0);
            let bytes = value.to_le_bytes();
            let size = if deep > 0 { 2 } else { 1 };
            for sample in black.plane_mut(plane).0.chunks_exact_mut(size) {
                sample.copy_from_slice(&bytes[..size]);
            }
        }
        Ok(Self { clock, fit, black: Some(black.freeze()) })
    }
}

/// The frame in `slot` once more.
pub fn again(slot: &mut Option<Frame>) -> Result<Option<Frame>> {
    let Some(frame) = slot.take() else { return Ok(None) };
    let (frame, other) = frame.share()?;
    *slot = Some(frame);
    Ok(Some(other))
}

/// Pictures that stand for what is missing, and the one that follows them.
struct Filling {
    given: i64,
    count: i64,
    /// Of the first, on the range's clock.
    at: i64,
    next: Option<(Frame, Wanted, Placed)>,
}

pub struct Shots<'a> {
    /// Of the range, from 0.
    number: usize,
    range: Range,
    packets: Packets<'a>,
    /// The running decoder, with the codec it is for.
    video: Option<(u32, Decoder)>,
    sound: SoundDecoder,
    /// Pictures sent to the decoder that belong to the range, by their times.
    wanted: BTreeMap<i64, Wanted>,
    ready: VecDeque<(Frame, Wanted)>,
    last: Option<i64>,
    decoded: u64,
    grid: Option<Grid>,
    filling: Option<Filling>,
    /// The picture given last.
    still: Option<Frame>,
    scaler: Option<(Fit, Scaler)>,
    ended: bool,
}

impl<'a> Shots<'a> {
    pub fn new(number: usize, source: &'a CutSource, range: Range, token: &'a Token) -> Self {
        Self {
            number,
            range,
            packets: Packets::new(source, range.span, Want::Both, token),
            video: None,
            sound: SoundDecoder::default(),
            wanted: BTreeMap::new(),
            ready: VecDeque::new(),
            last: None,
            decoded: 0,
            grid: None,
            filling: None,
            still: None,
            scaler: None,
            ended: false,
        }
    }

    pub fn number(&self) -> usize {
        self.number
    }

    /// Pictures decoded since this was asked last.
    pub fn take_decoded(&mut self) -> u64 {
        std::mem::take(&mut self.decoded)
    }

    /// The first picture as it was decoded, with the range's clock and how it is to be turned; `None` where the range has
    /// none.
    pub fn first(&mut self, join: &mut SoundJoin) -> Result<Option<(&Frame, Clock, Turn)>> {
        while self.ready.is_empty() && self.step(join)? {}
        let first = self.ready.front().zip(self.packets.clock());
        let turn = self.packets.clip().map_or(Turn::NONE, |(_, video)| video.turn);
        Ok(first.map(|((frame, _), clock)| (frame, clock, turn)))
    }

    /// The next picture, `None` at the end of the range.
    pub fn next(&mut self, look: &mut Look, join: &mut SoundJoin) -> Result<Option<Shot>> {
        loop {
            if let Some(filling) = self.filling.take() {
                if let Some(shot) = self.fill(filling, look, join)? {
                    return Ok(Some(shot));
                }
                continue;
            }
            while self.ready.is_empty() && self.step(join)? {}
            let clock = self.packets.clock().unwrap_or(look.clock);
            let grid = self.grid.get_or_insert_with(|| Grid::new(self.range, clock));
            let Some((frame, wanted)) = self.ready.pop_front() else {
                let (count, at) = (grid.rest(), grid.end());
                if self.ended || count == 0 {
                    return Ok(None);
                }
                self.ended = true;
                self.filling = Some(Filling { given: 0, count, at, next: None });
                continue;
            };
            let placed = grid.place(wanted);
            let frame = self.fitted(frame, look.fit)?;
            if placed.fill > 0 {
                let at = placed.at - placed.fill * clock.step;
                self.filling =
                    Some(Filling { given: 0, count: placed.fill, at, next: Some((frame, wanted, placed)) });
                continue;
            }
            return self.real(frame, wanted, placed, look, join).map(Some);
        }
    }

    fn fill(&mut self, mut it: Filling, look: &mut Look, join: &mut SoundJoin) -> Result<Option<Shot>> {
        if it.given == it.count {
            let Some((frame, wanted, placed)) = it.next else { return Ok(None) };
            return self.real(frame, wanted, placed, look, join).map(Some);
        }
        let frame = match self.range.holes {
            Holes::Black => again(&mut look.black)?,
            _ if self.still.is_some() => again(&mut self.still)?,
            _ => match it.next.take() {
                Some((frame, wanted, placed)) => {
                    let (frame, other) = frame.share()?;
                    it.next = Some((frame, wanted, placed));
                    Some(other)
                }
                None => None,
            },
        };
        let nothing = || {
            let detail =
                format!("Range {} has no picture that could stay for what is missing.", self.number + 1);
            Error::new(Kind::Holes, "no-content", detail).with_holes(vec![self.range.span])
        };
        let frame = frame.ok_or_else(nothing)?;
        let clock = self.packets.clock().unwrap_or(look.clock);
        let at = it.at + it.given * clock.step;
        let key = Key::fill(it.next.as_ref().map(|(_, _, placed)| placed.key), it.given);
        it.given += 1;
        self.filling = Some(it);
        if let Some(side) = join.side(self.number) {
            side.silence(clock.base, at, at + clock.step);
        }
        Ok(Some(Shot { frame, key, at: clock.base.rescale(at, look.clock.base) }))
    }

    fn real(
        &mut self,
        frame: Frame,
        wanted: Wanted,
        placed: Placed,
        look: &Look,
        join: &mut SoundJoin,
    ) -> Result<Shot> {
        let clock = self.packets.clock().unwrap_or(look.clock);
        if let Some(side) = join.side(self.number) {
            side.picture(clock.base, wanted.pts, wanted.pts + clock.step);
        }
        let (frame, still) = frame.share()?;
        self.still = Some(still);
        Ok(Shot { frame, key: placed.key, at: clock.base.rescale(placed.at, look.clock.base) })
    }

    /// Works through one event; false at the end.
    fn step(&mut self, join: &mut SoundJoin) -> Result<bool> {
        let Some(event) = self.packets.next()? else { return Ok(false) };
        match self.take(event, join) {
            // A clip that may stop early may also hold what cannot be decoded.
            Err(error) if error.kind == Kind::Damaged && self.packets.give_up() => Ok(true),
            outcome => outcome.map(|()| true),
        }
    }

    fn take(&mut self, event: Event, join: &mut SoundJoin) -> Result<()> {
        match event {
            Event::Clip { joined } => self.begin(joined, join),
            Event::Picture { packet, wanted, skip } => {
                if let Some(wanted) = wanted {
                    self.wanted.insert(wanted.pts, wanted);
                }
                self.push(Some(&packet), skip)
            }
            Event::Sound { packet, placement, base } => {
                let (Some(format), Some(side)) = (join.format(), join.side(self.number)) else {
                    return Ok(());
                };
                self.sound.push(&packet, Some(format), |frame| {
                    side.track.add(frame.pts().map(|ticks| placement.sample(ticks, base, format)), &frame)
                })
            }
            Event::RunEnd { end } => {
                self.drain()?;
                let clock = self.packets.clock();
                match (clock, join.side(self.number)) {
                    (Some(clock), Some(side)) => side.end_run(clock.base, end),
                    _ => Ok(()),
                }
            }
        }
    }

    fn begin(&mut self, joined: bool, join: &SoundJoin) -> Result<()> {
        let codec = self.packets.clip().map(|(_, video)| video.codec);
        let fits = self.video.as_ref().is_some_and(|(running, _)| Some(*running) == codec);
        if !fits {
            self.drain()?;
        }
        let Some((reader, video)) = self.packets.clip() else { return Ok(()) };
        match &mut self.video {
            Some((_, decoder)) if fits && !joined => decoder.flush(),
            Some(_) if fits => {}
            other => {
                let decoder = Decoder::open(&reader.demuxer, video.index, video.time_base, 1)?;
                *other = Some((video.codec, decoder));
            }
        }
        match &reader.audio {
            Some(audio) if join.format().is_some() => self.sound.prepare(&reader.demuxer, audio),
            _ => Ok(()),
        }
    }

    fn push(&mut self, packet: Option<&Packet>, skip: Skip) -> Result<()> {
        let Some((_, decoder)) = &mut self.video else { return Ok(()) };
        let (wanted, ready, last, decoded) =
            (&mut self.wanted, &mut self.ready, &mut self.last, &mut self.decoded);
        decoder.set_skip(skip);
        decoder.push(packet, |frame| {
            *decoded += 1;
            let Some((pts, it)) = frame.pts().and_then(|pts| Some((pts, *wanted.get(&pts)?))) else {
                return Ok(());
            };
            // Times of pictures that never came (damage, second fields) are behind us for good.
            *wanted = wanted.split_off(&(pts + 1));
            if last.is_none_or(|last| pts > last) {
                *last = Some(pts);
                ready.push_back((frame, it));
            }
            Ok(())
        })
    }

    fn drain(&mut self) -> Result<()> {
        self.push(None, Skip::Nothing)?;
        if let Some((_, decoder)) = &mut self.video {
            decoder.flush();
        }
        Ok(())
    }

    /// Pictures of another size or format than the cut's (the source changed) are brought to it.
    fn fitted(&mut self, frame: Frame, fit: Fit) -> Result<Frame> {
        let (format, width, height) = fit;
        let kind = (frame.format(), frame.width(), frame.height());
        if kind == fit {
            return Ok(frame);
        }
        if self.scaler.as_ref().is_none_or(|(made_for, _)| *made_for != kind) {
            let Colour { matrix, full_range } = Colour::of(&frame);
            let scaler = Scaler::new(&frame, matrix, full_range, format, width, height, full_range)?;
            self.scaler = Some((kind, scaler));
        }
        let mut target = FrameMut::picture(format, width, height)?;
        target.copy_properties(&frame)?;
        if let Some((_, scaler)) = &mut self.scaler {
            scaler.run(&frame, &mut target)?;
        }
        Ok(target.freeze())
    }
}
