//! Reading: see [`super`]. Every count is held against the bytes that are left before room is made for it.

use super::{Before, FAR, PACKET, Reckoning, bit, unfold, unzigzag};
use crate::media::index::sets::{MAX_SETS, MAX_STATES, ParameterSet, ParameterState, SetKind};
use crate::media::index::{
    AccessUnit, AudioCodec, AudioFrame, AudioTrack, FrameIndex, HEAD_KEPT, MAX_AUDIO_TRACKS, MAX_FRAMES,
    MAX_UNITS, PictureType, Scan, UnitClass, VideoCodec, VideoFormat, VideoTrack,
};

/// The least a unit, a sound frame, a set, a state and a track are written in, in bytes: no more of them are made
/// room for than the file can hold.
const UNIT_LEAST: usize = 5;
const FRAME_LEAST: usize = 2;
const SET_LEAST: usize = 3;
const STATE_LEAST: usize = 2;
const TRACK_LEAST: usize = 10 + HEAD_KEPT;

/// Times and lengths beyond these are of no segment, and would be too long for the differences they are written as:
/// 33 bits unwrapped over every packet of 4 GB end below.
const TIMES: std::ops::RangeInclusive<i64> = -(1 << 59)..=1 << 59;
const MAX_SEGMENT: u64 = 1 << 48;

/// The index that is all of `body`.
pub(super) fn read(body: &[u8]) -> Option<FrameIndex> {
    let mut reader = Reader(body);
    reader.index().filter(|_| reader.0.is_empty())
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
        let bytes = self.number().filter(|it| *it <= MAX_SEGMENT)?;
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
            4 => VideoCodec::Vp9,
            5 => VideoCodec::Av1,
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
            let inside = unit.offset < bytes
                && u64::from(unit.size) <= bytes
                && TIMES.contains(&unit.pts)
                && TIMES.contains(&unit.dts);
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
        let sets = if more & bit::SETS != 0 { self.short()? } else { 0 };
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
        let rest = i64::from(size) - i64::from(sets);
        let payload = rest.checked_sub(unzigzag(self.number()?))?.try_into().ok()?;
        *before = Before { dts, offset, state: parameter_set };
        Some(AccessUnit {
            pts,
            dts,
            offset,
            end: 0,
            skip,
            size,
            payload,
            sets,
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
        let head = *self.take(HEAD_KEPT)?.first_chunk()?;
        let (sample_rate, samples_per_frame) = (self.short()?, self.short()?);
        let count = self.count(FRAME_LEAST, MAX_FRAMES)?;
        let mut track = AudioTrack {
            pid,
            stream_type,
            codec,
            sample_rate,
            channels,
            samples_per_frame,
            object_type,
            changes,
            head,
            frames: Vec::with_capacity(count),
        };
        let mut reckoning = Reckoning::new(sample_rate);
        let mut offset = 0u64;
        for _ in 0..count {
            let first = self.byte()?;
            if first & bit::AS_RECKONED == 0 {
                let pts =
                    reckoning.next().checked_add(unzigzag(self.number()?)).filter(|it| TIMES.contains(it))?;
                reckoning.told(pts);
            }
            let pts = reckoning.next();
            let samples = if first & bit::SAME_SAMPLES != 0 { samples_per_frame } else { self.short()? };
            let skip = if first & bit::AT_PES != 0 { 0 } else { self.byte()? };
            offset = match u64::from(first >> 3) {
                FAR => offset.checked_add_signed(unfold(self.number()?, PACKET)?)?,
                near => offset.checked_add(near * PACKET as u64)?,
            };
            let told = self.number()?;
            let size =
                u32::try_from(told >> 1).ok().filter(|it| u64::from(*it) <= bytes && offset < bytes)?;
            let framing = if told & 1 == 0 { track.usual_framing(size) } else { self.byte()? };
            if u32::from(framing) > size {
                return None;
            }
            reckoning.samples += u64::from(samples);
            track.frames.push(AudioFrame { pts, offset, skip, size, framing, samples });
        }
        Some(track)
    }
}
