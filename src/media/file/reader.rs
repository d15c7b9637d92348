//! Reads a file's packets again, and knows each by its number in the index: forward, and back where it must.

use super::scan::{FileIndex, SeekPoint};
use crate::base::time::TimeBase;
use crate::base::{Error, Result, Token};
use crate::media::ffi::{Demuxer, Packet};
use crate::media::source::open_probed;
use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;

/// How far before what is wanted reading begins, in ticks of 90 kHz: streams are not interleaved to the tick, and
/// the first packets after a seek may be cut off.
const MARGIN: i64 = 2 * 90_000;

/// Packets read on rather than sought.
const READ_ON: u64 = 64;

/// Packets read to see where a seek led.
const SETTLING: usize = 4096;

/// A packet of a stream that was asked for.
pub enum Item {
    Picture {
        number: u64,
        packet: Packet,
    },
    Sound {
        track: usize,
        frame: usize,
        packet: Packet,
    },
    /// Not in the index: cut off by a seek.
    Unknown,
}

pub struct Reader<'a> {
    path: &'a Path,
    index: &'a FileIndex,
    pub demuxer: Demuxer,
    /// With sound, or pictures alone.
    all: bool,
    /// The number of the next packet of the pictures, once one was known again.
    next: Option<u64>,
    /// The number of the packet that was sought last.
    sought: u64,
    /// The next frame of each sound track.
    sounds: Vec<Option<usize>>,
    /// Read after a seek to see where it led.
    pending: VecDeque<Item>,
    token: &'a Token,
}

fn open(path: &Path, index: &FileIndex, all: bool, token: &Token) -> Result<Demuxer> {
    let mut demuxer = open_probed(path, token)?;
    let mut wanted = vec![index.video.index];
    if all {
        wanted.extend(index.sounds.iter().map(|it| it.stream.index));
    }
    demuxer.select(&wanted);
    Ok(demuxer)
}

impl<'a> Reader<'a> {
    pub fn open(path: &'a Path, index: &'a FileIndex, all: bool, token: &'a Token) -> Result<Self> {
        let demuxer = open(path, index, all, token)?;
        let sounds = vec![Some(0); index.sounds.len()];
        Ok(Self {
            path,
            index,
            demuxer,
            all,
            next: Some(0),
            sought: 0,
            sounds,
            pending: VecDeque::new(),
            token,
        })
    }

    /// From the file's first packet on: where seeking did not lead where it should.
    fn rewind(&mut self) -> Result<()> {
        self.demuxer = open(self.path, self.index, self.all, self.token)?;
        self.pending.clear();
        self.next = Some(0);
        self.sounds.fill(Some(0));
        Ok(())
    }

    fn seek(&mut self, point: SeekPoint) -> Result<()> {
        let sought = match point.position {
            Some(position) if self.index.by_bytes => self.demuxer.seek_bytes(position),
            _ => self.demuxer.seek(self.index.video.index, point.stamp),
        };
        // A container that cannot be searched is read from its start.
        if sought.is_err() {
            return self.rewind();
        }
        self.pending.clear();
        self.next = None;
        self.sought = point.number;
        self.sounds.fill(None);
        Ok(())
    }

    /// Goes to where both the picture packet `number` and everything at `time` lie ahead.
    fn go(&mut self, number: u64, time: i64) -> Result<()> {
        let points = &self.index.seek_points;
        let point = points.iter().rev().find(|it| it.number <= number && it.pts <= time - MARGIN);
        match point.copied().filter(|it| it.number > 0) {
            Some(point) => self.seek(point),
            None => self.rewind(),
        }
    }

    /// Goes to where the picture packet `first` and the sound `frames` of each track lie ahead.
    pub fn go_before(&mut self, first: Option<u64>, frames: &[Range<usize>]) -> Result<()> {
        let mut time = i64::MAX;
        for (track, frames) in self.index.sounds.iter().zip(frames) {
            if let Some(packet) = track.packets.get(frames.start).filter(|_| !frames.is_empty()) {
                time = time.min(track.clock().rescale(packet.at, TimeBase::MPEG));
            }
        }
        let ahead = |frames: &Range<usize>, next: &Option<usize>| {
            frames.is_empty() || next.is_some_and(|next| next <= frames.start)
        };
        let sound_ahead = self.sounds.iter().zip(frames).all(|(next, frames)| ahead(frames, next));
        let picture_ahead = match (first, self.next) {
            (Some(first), Some(next)) => next <= first && first - next <= READ_ON,
            (None, Some(_)) => true,
            _ => false,
        };
        if sound_ahead && picture_ahead && self.pending.is_empty() {
            return Ok(());
        }
        if let Some(first) = first {
            let near = self.index.seek_points.iter().rev().find(|it| it.number <= first);
            time = time.min(near.map_or(i64::MIN, |it| it.pts));
        }
        if time == i64::MAX {
            return Ok(());
        }
        self.go(first.unwrap_or(u64::MAX), time)?;
        self.settle(first, frames)
    }

    /// After a seek, makes sure that what is wanted was not passed over; else begins at the start.
    fn settle(&mut self, first: Option<u64>, frames: &[Range<usize>]) -> Result<()> {
        if self.next.is_some() {
            return Ok(());
        }
        let mut unseen: Vec<bool> = frames.iter().map(|it| !it.is_empty()).collect();
        let (mut picture, mut late) = (false, false);
        while !late && self.pending.len() < SETTLING && (!picture || unseen.contains(&true)) {
            let Some(item) = self.next_item()? else { break };
            match &item {
                Item::Picture { number, .. } => {
                    late = !picture && first.is_some_and(|it| *number > it);
                    picture = true;
                    // Sound that was not seen until here comes later.
                    if first.is_some_and(|it| *number >= it) {
                        unseen.fill(false);
                    }
                }
                Item::Sound { track, frame, .. } => {
                    late |= unseen[*track] && *frame > frames[*track].start;
                    unseen[*track] = false;
                }
                Item::Unknown => {}
            }
            self.pending.push_back(item);
        }
        if late || !picture { self.rewind() } else { Ok(()) }
    }

    /// The next packet of the streams.
    pub fn read(&mut self) -> Result<Option<Item>> {
        match self.pending.pop_front() {
            Some(item) => Ok(Some(item)),
            None => self.next_item(),
        }
    }

    fn next_item(&mut self) -> Result<Option<Item>> {
        let Some(packet) = self.demuxer.read()? else { return Ok(None) };
        let stream = packet.stream();
        if stream == self.index.video.index {
            let number = self.number_of(&packet);
            self.next = number.map(|it| it + 1);
            return Ok(Some(number.map_or(Item::Unknown, |number| Item::Picture { number, packet })));
        }
        if let Some(track) = self.index.sounds.iter().position(|it| it.stream.index == stream) {
            let frame = self.frame_of(track, &packet);
            self.sounds[track] = frame.map(|it| it + 1);
            return Ok(Some(frame.map_or(Item::Unknown, |frame| Item::Sound { track, frame, packet })));
        }
        Ok(Some(Item::Unknown))
    }

    fn number_of(&self, packet: &Packet) -> Option<u64> {
        let stamps = &self.index.stamps;
        let stamp = packet.pts().or(packet.dts()).unwrap_or(i64::MIN);
        // Read in order from a packet that was known: the next is the next.
        if let Some(next) = self.next {
            let told = stamps.get(usize::try_from(next).ok()?)?;
            let known = packet.pts().is_none() || *told == stamp;
            return known.then_some(next);
        }
        if stamp == i64::MIN || packet.pts().is_none() && self.index.timed {
            return None;
        }
        let near = usize::try_from(self.sought).ok()?.min(stamps.len());
        let window = near.saturating_sub(SETTLING)..(near + SETTLING).min(stamps.len());
        let inside = stamps[window.clone()].iter().position(|it| *it == stamp).map(|it| it + window.start);
        inside.or_else(|| stamps.iter().position(|it| *it == stamp)).map(|it| it as u64)
    }

    fn frame_of(&self, track: usize, packet: &Packet) -> Option<usize> {
        let packets = &self.index.sounds[track].packets;
        if let Some(next) = self.sounds[track] {
            return (next < packets.len()).then_some(next);
        }
        let stamp = packet.pts()?;
        let near = packets.partition_point(|it| it.stamp < stamp);
        packets.get(near).filter(|it| it.stamp == stamp).map(|_| near)
    }

    /// The picture packet `number`, for which is read on or sought.
    pub fn picture(&mut self, number: u64) -> Result<Packet> {
        let seekable = self.index.seek_points.iter().rev().find(|it| it.number <= number).copied();
        let ahead = self.next.is_some_and(|next| {
            next <= number && (number - next <= READ_ON || seekable.is_none_or(|it| it.number <= next))
        });
        if !ahead {
            match seekable {
                Some(point) => self.go(number, point.pts)?,
                None => self.rewind()?,
            }
        }
        let mut again = self.next != Some(0);
        loop {
            match self.read()? {
                Some(Item::Picture { number: it, packet }) if it == number => return Ok(packet),
                Some(Item::Picture { number: it, .. }) if it < number => {}
                Some(Item::Picture { .. }) | None if again => {
                    again = false;
                    self.rewind()?;
                }
                Some(Item::Picture { .. }) | None => {
                    return Err(Error::damaged("the file was read differently the second time"));
                }
                Some(_) => {}
            }
        }
    }
}
