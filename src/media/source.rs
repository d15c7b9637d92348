//! From a clip to packets: opening, finding the first frame's time, walking the packets with look-ahead.

use super::Clip;
use super::ffi::{Demuxer, Input, Packet, StreamInfo, StreamKind, id};
use super::index::VideoCodec;
use super::index::packets::{FilePacket, PacketScanner};
use super::timeline::Anchor;
use crate::base::time::TimeBase;
use crate::base::{Error, Kind, Result, Token};
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
    /// PTS and DTS of the pictures to come, of a stream that has none.
    stamps: VecDeque<Option<Stamp>>,
}

/// PTS and DTS.
type Stamp = (i64, i64);

/// The index's name of a stream's codec.
pub fn codec_of(stream: &StreamInfo) -> VideoCodec {
    match stream.codec {
        id::H264 => VideoCodec::H264,
        id::HEVC => VideoCodec::Hevc,
        id::MPEG1 | id::MPEG2 => VideoCodec::Mpeg2,
        id::VP9 => VideoCodec::Vp9,
        id::AV1 => VideoCodec::Av1,
        _ => VideoCodec::Other(0),
    }
}

/// Times of pictures that have none, as those of AVI and of bare streams: by what they say of their order, at the pace that
/// is told. The file is read once for it.
fn reckoned(path: &Path, token: &Token) -> Result<VecDeque<Option<Stamp>>> {
    let mut demuxer = open_probed(path, token)?;
    let Some(video) = demuxer.best(StreamKind::Video) else { return Ok(VecDeque::new()) };
    demuxer.select(&[video.index]);
    let mut scanner = PacketScanner::new(codec_of(&video), &demuxer.extradata(video.index)?);
    let mut stamps = VecDeque::new();
    while let Some(packet) = demuxer.read()? {
        if packet.stream() != video.index {
            continue;
        }
        stamps.push_back(None);
        scanner.push(&FilePacket {
            bytes: packet.data(),
            pts: None,
            dts: packet.dts().map(|it| video.time_base.rescale(it, TimeBase::MPEG)),
            key: packet.is_key(),
            damaged: packet.is_corrupt(),
        })?;
    }
    let rate = (video.frame_rate.0 > 0).then_some((video.frame_rate.0 as u32, video.frame_rate.1 as u32));
    for unit in scanner.finish(rate).units {
        let [pts, dts] = [unit.pts, unit.dts].map(|it| TimeBase::MPEG.rescale(it, video.time_base));
        if let Some(stamp) = stamps.get_mut(unit.offset as usize) {
            *stamp = Some((pts, dts));
        }
    }
    Ok(stamps)
}

/// Which streams of a clip are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    Video,
    Both,
}

impl ClipReader {
    pub fn open(clip: &Clip, want: Want, token: &Token) -> Result<Self> {
        let mut reader = Self::of(open(&clip.path, token)?, clip, want)?;
        // A segment without times is damaged.
        let may = reader.anchor.is_none() && reader.demuxer.format_name() != "mpegts";
        if let Some(stream) = reader.video.as_ref().filter(|_| may) {
            reader.stamps = reckoned(&clip.path, token)?;
            let times = reader.stamps.iter().take(LOOK_AHEAD).flatten().map(|it| it.0).collect();
            (reader.anchor, reader.frame_ticks) = clocked(clip, stream, times);
        }
        Ok(reader)
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
        let (mut times, mut hidden) = (Vec::new(), Vec::new());
        let mut seen = 0;
        let clock = video.as_ref().or(audio.as_ref());
        while let Some(stream) = clock
            && seen < LOOK_AHEAD
            && let Some(packet) = demuxer.read()?
        {
            if packet.stream() == stream.index {
                seen += 1;
                // What an edit list has only for decoders is not shown.
                if packet.is_discarded() { &mut hidden } else { &mut times }.extend(packet.pts());
            }
            pending.push_back(packet);
        }
        let times = if times.is_empty() { hidden } else { times };
        let (anchor, frame_ticks) = clock.map_or((None, 0), |it| clocked(clip, it, times));
        let stamps = VecDeque::new();
        Ok(Self { demuxer, video, audio, anchor, frame_ticks, pending, stamps })
    }

    pub fn read(&mut self) -> Result<Option<Packet>> {
        let mut packet = match self.pending.pop_front() {
            Some(packet) => Some(packet),
            None => self.demuxer.read()?,
        };
        if let Some(packet) = packet.as_mut().filter(|it| self.is_video(it))
            && let Some(stamp) = self.stamps.pop_front()
        {
            packet.set_times(stamp.map(|it| it.0), stamp.map(|it| it.1));
        }
        Ok(packet)
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
        if !self.stamps.is_empty() {
            return Err(Error::new(Kind::Unsupported, "unsupported-source", "the pictures have no times"));
        }
        if let Some(stream) = &self.video {
            self.demuxer.seek(stream.index, ticks)?;
            self.pending.clear();
        }
        Ok(())
    }
}

/// The first of some times of a stream, and the usual distance between two.
fn clocked(clip: &Clip, stream: &StreamInfo, mut times: Vec<i64>) -> (Option<Anchor>, i64) {
    times.sort_unstable();
    let anchor = times.first().map(|it| Anchor { wall: clip.start, ticks: *it, base: stream.time_base });
    let mut steps: Vec<i64> = times.windows(2).map(|it| it[1] - it[0]).filter(|it| *it > 0).collect();
    steps.sort_unstable();
    (anchor, steps.get(steps.len() / 2).copied().unwrap_or(0))
}
