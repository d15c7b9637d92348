//! Writing: see [`super`].

use super::{Before, FAR, PACKET, Reckoning, bit, fold, zigzag};
use crate::media::index::{
    AccessUnit, AudioCodec, AudioTrack, FrameIndex, UnitClass, VideoCodec, VideoTrack,
};

/// `head` and the index after it.
pub(super) fn write(head: Vec<u8>, index: &FrameIndex) -> Vec<u8> {
    let mut out = Writer(head);
    out.number(index.bytes);
    for it in [index.program, index.pmt_pid, index.pcr_pid] {
        out.number(u64::from(it));
    }
    out.number(index.first_pcr.map_or(0, |it| it + 1));
    out.number(u64::from(index.gaps));
    out.number(u64::from(index.program_changes));
    out.byte(u8::from(index.video.is_some()));
    if let Some(track) = &index.video {
        out.video(track);
    }
    out.number(index.audio.len() as u64);
    for track in &index.audio {
        out.audio(track);
    }
    out.0
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
            VideoCodec::Vp9 => self.byte(4),
            VideoCodec::Av1 => self.byte(5),
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
            | flag(unit.parameter_set != before.state, bit::STATE)
            | flag(unit.sets != 0, bit::SETS);
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
        if unit.sets != 0 {
            self.number(u64::from(unit.sets));
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
        self.number(zigzag(i64::from(unit.size) - i64::from(unit.sets) - i64::from(unit.payload)));
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
        self.0.extend(track.head);
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
            let usual = frame.framing == track.usual_framing(frame.size);
            self.number(u64::from(frame.size) << 1 | u64::from(!usual));
            if !usual {
                self.byte(frame.framing);
            }
            reckoning.samples += u64::from(frame.samples);
            offset = frame.offset;
        }
    }
}
