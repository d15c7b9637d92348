//! The index as a file: a magic word, a version, varints and differences, and a checksum over all of it.
//!
//! What follows from the rest is not written: formats are parsed again out of the parameter sets, ends of units and
//! the reordering are derived. A picture takes about 7 bytes, a sound frame about 4.

use super::sets::{MAX_SETS, MAX_STATES, ParameterSet, ParameterState, SetKind};
use super::{
    AccessUnit, AudioCodec, AudioFrame, AudioTrack, FrameIndex, MAX_AUDIO_TRACKS, MAX_FRAMES, MAX_UNITS,
    PictureType, Scan, UnitClass, VideoCodec, VideoFormat, VideoTrack,
};
use crate::base::error::Kind;
use crate::base::{Error, Result};
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: [u8; 4] = *b"MVFI";
/// Counts up with every change of the format, or of what `build` puts in it; other versions are built anew.
const VERSION: u8 = 1;
const CHECK_BYTES: usize = 8;
/// The least a unit, a sound frame, a set, a state and a track are written in, in bytes: no more of them are made
/// room for than the file can hold.
const UNIT_LEAST: usize = 4;
const FRAME_LEAST: usize = 2;
const SET_LEAST: usize = 3;
const STATE_LEAST: usize = 2;
const TRACK_LEAST: usize = 10;

/// Bits of a unit's first byte above its class (3) and type (2).
mod bit {
    pub const REFERENCE: u8 = 0x20;
    pub const SAME_STEP: u8 = 0x40;
    pub const MORE: u8 = 0x80;
    // Of the second.
    pub const SECOND_FIELD: u8 = 0x01;
    pub const ESTIMATED: u8 = 0x02;
    pub const DAMAGED: u8 = 0x04;
    pub const SKIP: u8 = 0x08;
    pub const STATE: u8 = 0x10;
    // Of a sound frame.
    pub const AS_RECKONED: u8 = 0x01;
    pub const SAME_SAMPLES: u8 = 0x02;
    pub const AT_PES: u8 = 0x04;
}

/// Distances in packets are told in the upper 5 bits of a sound frame's first byte; this one says that they follow.
const FAR: u64 = 31;

impl FrameIndex {
    /// The index as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer(MAGIC.to_vec());
        out.byte(VERSION);
        out.number(self.bytes);
        for it in [self.program, self.pmt_pid, self.pcr_pid] {
            out.number(u64::from(it));
        }
        out.number(self.first_pcr.map_or(0, |it| it + 1));
        out.number(u64::from(self.gaps));
        out.number(u64::from(self.program_changes));
        out.byte(u8::from(self.video.is_some()));
        if let Some(track) = &self.video {
            out.video(track);
        }
        out.number(self.audio.len() as u64);
        for track in &self.audio {
            out.audio(track);
        }
        seal(out.0)
    }

    /// Any bytes in the place of an index, with a magic word, version and checksum that fit: for fuzzing.
    #[doc(hidden)]
    pub fn sealed(body: &[u8]) -> Vec<u8> {
        seal([&MAGIC[..], &[VERSION], body].concat())
    }

    /// Reads an index. Anything but what [`FrameIndex::encode`] writes in this version is
    /// [`Kind::Damaged`]; memory is bounded by a multiple of the input's length.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let damaged =
            || Error::new(Kind::Damaged, "damaged-index", "the frame index is damaged or of another version");
        let (content, check) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or_else(damaged)?;
        let body =
            content.strip_prefix(&MAGIC).and_then(|it| it.strip_prefix(&[VERSION])).ok_or_else(damaged)?;
        if xxh3_64(content) != u64::from_le_bytes(*check) {
            return Err(damaged());
        }
        let mut reader = Reader(body);
        reader.index().filter(|_| reader.0.is_empty()).ok_or_else(damaged)
    }
}

fn seal(mut content: Vec<u8>) -> Vec<u8> {
    let check = xxh3_64(&content);
    content.extend_from_slice(&check.to_le_bytes());
    content
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// `value`, shorter when it is a multiple of `step`.
fn fold(value: i64, step: i64) -> u64 {
    if step > 0 && value % step == 0 { zigzag(value / step) << 1 | 1 } else { zigzag(value) << 1 }
}

fn unfold(value: u64, step: i64) -> Option<i64> {
    let it = unzigzag(value >> 1);
    if value & 1 == 1 { it.checked_mul(step) } else { Some(it) }
}

const PACKET: i64 = crate::media::ts::PACKET_BYTES as i64;

/// PTS of sound frames by samples since the last that was told.
struct Reckoning {
    rate: u64,
    pts: i64,
    samples: u64,
}

impl Reckoning {
    fn new(rate: u32) -> Self {
        Self { rate: u64::from(rate.max(1)), pts: 0, samples: 0 }
    }

    fn next(&self) -> i64 {
        self.pts.wrapping_add(
            (self.samples.saturating_mul(90_000).saturating_add(self.rate / 2) / self.rate) as i64,
        )
    }

    fn told(&mut self, pts: i64) {
        (self.pts, self.samples) = (pts, 0);
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn video(&mut self, track: &VideoTrack) {
        self.number(u64::from(track.pid));
        self.byte(track.stream_type);
        match track.codec {
            VideoCodec::H264 => self.byte(0),
            VideoCodec::Hevc => self.byte(1),
            VideoCodec::Mpeg2 => self.byte(2),
            VideoCodec::Other(it) => self.0.extend([3, it]),
        }
        self.byte(track.scan as u8);
        self.number(track.sets.len() as u64);
        for set in &track.sets {
            self.0.extend([set.kind as u8, set.id]);
            self.number(set.bytes.len() as u64);
            self.0.extend_from_slice(&set.bytes);
        }
        self.number(track.states.len() as u64);
        for state in &track.states {
            self.number(state.active.map_or(0, |it| u64::from(it) + 1));
            self.number(state.sets.len() as u64);
            for it in &state.sets {
                self.number(u64::from(*it));
            }
        }
        self.number(track.units.len() as u64);
        let (mut before, mut step) = (Before::default(), 0);
        for unit in &track.units {
            self.unit(unit, &mut before, &mut step);
        }
    }

    fn unit(&mut self, unit: &AccessUnit, before: &mut Before, step: &mut i64) {
        let class = match unit.class {
            UnitClass::Idr => 0,
            UnitClass::RecoveryPoint { .. } => 1,
            UnitClass::Cra => 2,
            UnitClass::Bla => 3,
            UnitClass::Rasl => 4,
            UnitClass::Radl => 5,
            UnitClass::KeyOpen => 6,
            UnitClass::Other => 7,
        };
        let flag = |is: bool, bit: u8| if is { bit } else { 0 };
        let steps = unit.dts.wrapping_sub(before.dts);
        let more = flag(unit.second_field, bit::SECOND_FIELD)
            | flag(unit.estimated, bit::ESTIMATED)
            | flag(unit.damaged, bit::DAMAGED)
            | flag(unit.skip != 0, bit::SKIP)
            | flag(unit.parameter_set != before.state, bit::STATE);
        let first = class | (unit.picture_type as u8) << 3;
        let same = flag(steps == *step, bit::SAME_STEP);
        self.byte(first | flag(unit.reference, bit::REFERENCE) | same | flag(more != 0, bit::MORE));
        if more != 0 {
            self.byte(more);
        }
        if unit.skip != 0 {
            self.byte(unit.skip);
        }
        if unit.parameter_set != before.state {
            self.number(u64::from(unit.parameter_set));
        }
        if let UnitClass::RecoveryPoint { frames } = unit.class {
            self.number(u64::from(frames));
        }
        if same == 0 {
            self.number(zigzag(steps));
            *step = steps;
        }
        self.number(fold(unit.pts.wrapping_sub(unit.dts), *step));
        self.number(fold(unit.offset.wrapping_sub(before.offset) as i64, PACKET));
        self.number(u64::from(unit.size));
        *before = Before { dts: unit.dts, offset: unit.offset, state: unit.parameter_set };
    }

    fn audio(&mut self, track: &AudioTrack) {
        self.number(u64::from(track.pid));
        self.byte(track.stream_type);
        let (codec, layer) = match track.codec {
            AudioCodec::AacAdts => (0, 0),
            AudioCodec::AacLatm => (1, 0),
            AudioCodec::Mpeg { layer } => (2, layer),
            AudioCodec::Ac3 => (3, 0),
            AudioCodec::Eac3 => (4, 0),
            AudioCodec::Opus => (5, 0),
        };
        self.0.extend([codec, layer, track.channels, track.object_type, u8::from(track.changes)]);
        self.number(u64::from(track.sample_rate));
        self.number(u64::from(track.samples_per_frame));
        self.number(track.frames.len() as u64);
        let mut reckoning = Reckoning::new(track.sample_rate);
        let mut offset = 0u64;
        for frame in &track.frames {
            let reckoned = reckoning.next();
            let steps = frame.offset.wrapping_sub(offset);
            let near = steps % PACKET as u64 == 0 && steps / (PACKET as u64) < FAR;
            let flag = |is: bool, bit: u8| if is { bit } else { 0 };
            self.byte(
                flag(frame.pts == reckoned, bit::AS_RECKONED)
                    | flag(frame.samples == track.samples_per_frame, bit::SAME_SAMPLES)
                    | flag(frame.skip == 0, bit::AT_PES)
                    | (if near { steps / PACKET as u64 } else { FAR } as u8) << 3,
            );
            if frame.pts != reckoned {
                self.number(zigzag(frame.pts.wrapping_sub(reckoned)));
                reckoning.told(frame.pts);
            }
            if frame.samples != track.samples_per_frame {
                self.number(u64::from(frame.samples));
            }
            if frame.skip != 0 {
                self.byte(frame.skip);
            }
            if !near {
                self.number(fold(steps as i64, PACKET));
            }
            self.number(u64::from(frame.size));
            reckoning.samples += u64::from(frame.samples);
            offset = frame.offset;
        }
    }
}

/// What units are written as differences to.
#[derive(Default, Clone, Copy)]
struct Before {
    dts: i64,
    offset: u64,
    state: u16,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && part > 1 {
                return None;
            }
            value |= part << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn short<T: TryFrom<u64>>(&mut self) -> Option<T> {
        self.number()?.try_into().ok()
    }

    /// A count of things that take `least` bytes each, no more than `most`.
    fn count(&mut self, least: usize, most: usize) -> Option<usize> {
        self.short().filter(|it: &usize| *it <= most && *it <= self.0.len() / least)
    }

    fn index(&mut self) -> Option<FrameIndex> {
        let bytes = self.number()?;
        let (program, pmt_pid, pcr_pid) = (self.short()?, self.short()?, self.short()?);
        let first_pcr = self.number()?.checked_sub(1);
        let (gaps, program_changes) = (self.short()?, self.short()?);
        let video = if self.flag()? { Some(self.video(bytes)?) } else { None };
        let tracks = self.count(TRACK_LEAST, MAX_AUDIO_TRACKS)?;
        let audio = (0..tracks).map(|_| self.audio(bytes)).collect::<Option<_>>()?;
        Some(FrameIndex { bytes, program, pmt_pid, pcr_pid, first_pcr, gaps, program_changes, video, audio })
    }

    fn video(&mut self, bytes: u64) -> Option<VideoTrack> {
        let (pid, stream_type) = (self.short()?, self.byte()?);
        let codec = match self.byte()? {
            0 => VideoCodec::H264,
            1 => VideoCodec::Hevc,
            2 => VideoCodec::Mpeg2,
            3 => VideoCodec::Other(self.byte()?),
            _ => return None,
        };
        let scans = [Scan::Progressive, Scan::Interlaced, Scan::TopFirst, Scan::BottomFirst];
        let scan = *scans.get(usize::from(self.byte()?))?;
        let mut sets = Vec::new();
        for _ in 0..self.count(SET_LEAST, MAX_SETS)? {
            let kinds = [SetKind::Video, SetKind::Sequence, SetKind::Picture];
            let (kind, id) = (*kinds.get(usize::from(self.byte()?))?, self.byte()?);
            let length = self.short()?;
            sets.push(ParameterSet::new(kind, id, self.take(length)?.to_vec()));
        }
        let formats: Vec<VideoFormat> =
            sets.iter().map(|it| VideoFormat::of(codec, it).unwrap_or_default()).collect();
        let mut states = Vec::new();
        for _ in 0..self.count(STATE_LEAST, MAX_STATES)? {
            let active = self.number()?.checked_sub(1).map(u16::try_from).transpose().ok()?;
            let format = match active {
                Some(it) => *formats.get(usize::from(it))?,
                None => VideoFormat::default(),
            };
            let mut force = Vec::new();
            for _ in 0..self.count(1, MAX_SETS)? {
                force.push(self.short().filter(|it| usize::from(*it) < sets.len())?);
            }
            states.push(ParameterState { sets: force, active, format });
        }
        let count = self.count(UNIT_LEAST, MAX_UNITS)?;
        let mut units = Vec::with_capacity(count);
        let (mut before, mut step) = (Before::default(), 0);
        for _ in 0..count {
            let unit = self.unit(&mut before, &mut step)?;
            let inside = unit.offset < bytes && u64::from(unit.size) <= bytes;
            units.push(Some(unit).filter(|it| inside && usize::from(it.parameter_set) < states.len())?);
        }
        let mut track =
            VideoTrack { pid, stream_type, codec, sets, states, units, scan, reorder: 0, has_b: false };
        track.derive(bytes);
        Some(track)
    }

    fn unit(&mut self, before: &mut Before, step: &mut i64) -> Option<AccessUnit> {
        let first = self.byte()?;
        let more = if first & bit::MORE != 0 { self.byte()? } else { 0 };
        let skip = if more & bit::SKIP != 0 { self.byte()? } else { 0 };
        let parameter_set = if more & bit::STATE != 0 { self.short()? } else { before.state };
        let class = match first & 7 {
            0 => UnitClass::Idr,
            1 => UnitClass::RecoveryPoint { frames: self.short()? },
            2 => UnitClass::Cra,
            3 => UnitClass::Bla,
            4 => UnitClass::Rasl,
            5 => UnitClass::Radl,
            6 => UnitClass::KeyOpen,
            _ => UnitClass::Other,
        };
        let picture_type =
            *[PictureType::I, PictureType::P, PictureType::B].get(usize::from(first >> 3 & 3))?;
        if first & bit::SAME_STEP == 0 {
            *step = unzigzag(self.number()?);
        }
        let dts = before.dts.checked_add(*step)?;
        let pts = dts.checked_add(unfold(self.number()?, *step)?)?;
        let offset = before.offset.checked_add_signed(unfold(self.number()?, PACKET)?)?;
        let size = self.short()?;
        *before = Before { dts, offset, state: parameter_set };
        Some(AccessUnit {
            pts,
            dts,
            offset,
            end: 0,
            skip,
            size,
            class,
            picture_type,
            reference: first & bit::REFERENCE != 0,
            second_field: more & bit::SECOND_FIELD != 0,
            estimated: more & bit::ESTIMATED != 0,
            damaged: more & bit::DAMAGED != 0,
            parameter_set,
        })
    }

    fn audio(&mut self, bytes: u64) -> Option<AudioTrack> {
        let (pid, stream_type) = (self.short()?, self.byte()?);
        let (codec, layer) = (self.byte()?, self.byte()?);
        let codec = match codec {
            0 => AudioCodec::AacAdts,
            1 => AudioCodec::AacLatm,
            2 => AudioCodec::Mpeg { layer },
            3 => AudioCodec::Ac3,
            4 => AudioCodec::Eac3,
            5 => AudioCodec::Opus,
            _ => return None,
        };
        let (channels, object_type, changes) = (self.byte()?, self.byte()?, self.flag()?);
        let (sample_rate, samples_per_frame) = (self.short()?, self.short()?);
        let count = self.count(FRAME_LEAST, MAX_FRAMES)?;
        let mut frames = Vec::with_capacity(count);
        let mut reckoning = Reckoning::new(sample_rate);
        let mut offset = 0u64;
        for _ in 0..count {
            let first = self.byte()?;
            if first & bit::AS_RECKONED == 0 {
                let pts = reckoning.next().checked_add(unzigzag(self.number()?))?;
                reckoning.told(pts);
            }
            let pts = reckoning.next();
            let samples = if first & bit::SAME_SAMPLES != 0 { samples_per_frame } else { self.short()? };
            let skip = if first & bit::AT_PES != 0 { 0 } else { self.byte()? };
            offset = match u64::from(first >> 3) {
                FAR => offset.checked_add_signed(unfold(self.number()?, PACKET)?)?,
                near => offset.checked_add(near * PACKET as u64)?,
            };
            let size = self.short().filter(|it| u64::from(*it) <= bytes && offset < bytes)?;
            reckoning.samples += u64::from(samples);
            frames.push(AudioFrame { pts, offset, skip, size, samples });
        }
        Some(AudioTrack {
            pid,
            stream_type,
            codec,
            sample_rate,
            channels,
            samples_per_frame,
            object_type,
            changes,
            frames,
        })
    }
}
