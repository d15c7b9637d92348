//! From a clip to packets: opening, finding the first frame's time, walking the packets with look-ahead.

use super::Clip;
use super::ffi::{Demuxer, Input, Packet, StreamInfo, StreamKind};
use super::timeline::Anchor;
use crate::base::{Error, Result, Token};
use std::collections::VecDeque;
use std::path::Path;

/// Video packets looked at to find a clip's smallest PTS. The reorder depth of H.264 and HEVC is at most 16 frames
/// (ITU-T H.264 §E.2.1 max_num_reorder_frames), or 32 fields.
pub const LOOK_AHEAD: usize = 33;

/// Opens a file. MPEG-TS by its name is read without guessing; anything else is probed.
pub fn open(path: &Path, token: &Token) -> Result<Demuxer> {
    let transport = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("ts"));
    open_as(path, transport, token)
}

/// Opens a file and reads ahead until every stream's parameters are known.
pub fn open_probed(path: &Path, token: &Token) -> Result<Demuxer> {
    open_as(path, false, token)
}

fn open_as(path: &Path, transport: bool, token: &Token) -> Result<Demuxer> {
    let file =
        std::fs::File::open(path).map_err(|error| Error::io("the media could not be opened", &error))?;
    if file.metadata().is_ok_and(|it| it.len() == 0) {
        return Err(Error::damaged("the segment is empty"));
    }
    let format = transport.then_some("mpegts");
    Demuxer::open(Input { reader: Box::new(file), format, probe: !transport }, token)
}

/// Where a long file is read from: known from its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Time of the file's first picture, in ticks of the video's time base.
    pub first: i64,
    /// A place from which the first wanted picture can be decoded: its time, and its byte where times are not searched.
    /// `None` is the file's start.
    pub place: Option<(i64, Option<u64>)>,
}

/// The packets of a clip's picture and sound, in file order, with the clip's anchor found beforehand.
pub struct ClipReader {
    pub demuxer: Demuxer,
    pub video: Option<StreamInfo>,
    pub audio: Option<StreamInfo>,
    /// `None` when the clip holds neither picture nor sound with a time. Without a picture, the sound is the clock.
    pub anchor: Option<Anchor>,
    /// The usual distance between two pictures, in ticks of the video's time base; 0 when there is one picture.
    pub frame_ticks: i64,
    pending: VecDeque<Packet>,
}

/// Which streams of a clip are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    Video,
    Both,
}

impl ClipReader {
    pub fn open(clip: &Clip, want: Want, token: &Token) -> Result<Self> {
        Self::of(open(&clip.path, token)?, clip, want)
    }

    /// Opens a clip that is a file of any kind, at `entry`.
    pub fn open_at(clip: &Clip, entry: Entry, want: Want, token: &Token) -> Result<Self> {
        let again = || Self::of(open_probed(&clip.path, token)?, clip, want);
        let mut reader = again()?;
        if let (Some((stamp, byte)), Some(stream)) = (entry.place, &reader.video) {
            let sought = match byte {
                Some(byte) => reader.demuxer.seek_bytes(byte),
                None => reader.demuxer.seek(stream.index, stamp),
            };
            reader.pending.clear();
            // A container that cannot be searched is read from its start.
            if sought.is_err() {
                reader = again()?;
            }
        }
        if let Some(stream) = &reader.video {
            reader.anchor = Some(Anchor { wall: clip.start, ticks: entry.first, base: stream.time_base });
        }
        Ok(reader)
    }

    fn of(mut demuxer: Demuxer, clip: &Clip, want: Want) -> Result<Self> {
        let video = demuxer.best(StreamKind::Video);
        let audio = if want == Want::Both { demuxer.best(StreamKind::Audio) } else { None };
        let wanted: Vec<usize> = [&video, &audio].into_iter().flatten().map(|it| it.index).collect();
        demuxer.select(&wanted);
        let mut pending = VecDeque::new();
        let mut times = Vec::new();
        let mut seen = 0;
        let clock = video.as_ref().or(audio.as_ref());
        while let Some(stream) = clock
            && seen < LOOK_AHEAD
            && let Some(packet) = demuxer.read()?
        {
            if packet.stream() == stream.index {
                seen += 1;
                times.extend(packet.pts());
            }
            pending.push_back(packet);
        }
        times.sort_unstable();
        let anchor = clock.zip(times.first()).map(|(stream, ticks)| Anchor {
            wall: clip.start,
            ticks: *ticks,
            base: stream.time_base,
        });
        let mut steps: Vec<i64> = times.windows(2).map(|it| it[1] - it[0]).filter(|it| *it > 0).collect();
        steps.sort_unstable();
        let frame_ticks = steps.get(steps.len() / 2).copied().unwrap_or(0);
        Ok(Self { demuxer, video, audio, anchor, frame_ticks, pending })
    }

    pub fn read(&mut self) -> Result<Option<Packet>> {
        match self.pending.pop_front() {
            Some(packet) => Ok(Some(packet)),
            None => self.demuxer.read(),
        }
    }

    pub fn is_video(&self, packet: &Packet) -> bool {
        self.video.as_ref().is_some_and(|it| it.index == packet.stream())
    }

    pub fn is_audio(&self, packet: &Packet) -> bool {
        self.audio.as_ref().is_some_and(|it| it.index == packet.stream())
    }

    /// Skips to the last keyframe at or before `ticks`, where the container can. MPEG-TS cannot without reading
    /// everything, and its clips are short.
    pub fn seek(&mut self, ticks: i64) -> Result<()> {
        if let Some(stream) = &self.video {
            self.demuxer.seek(stream.index, ticks)?;
            self.pending.clear();
        }
        Ok(())
    }
}
