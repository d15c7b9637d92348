//! G.711 and plain PCM as AAC, for players that take neither.

use super::{Codec, Sample, Track, TrackKind};
use crate::base::time::TimeBase;
use crate::base::{Error, Result, Timestamp};
use crate::media::ffi::{AudioSettings, Encoder, FrameMut, Packet};
use crate::media::mp4::{SampleEntry, SoundCoding, SoundEntry};
use crate::media::record;
use bytes::Bytes;

/// How a sample is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Alaw,
    Mulaw,
    LittleEndian,
    BigEndian,
}

/// Where sound is elsewhere than counted by more than this, in microseconds, it is counted from there.
const DRIFT: i64 = 100_000;
/// The object type of what is made (ISO/IEC 14496-3 table 1.1).
const LOW_COMPLEXITY: u8 = 2;
/// Bits a second of each channel.
const BIT_RATE: i64 = 48_000;

/// Makes AAC of one track.
pub struct Converter {
    form: Form,
    channels: usize,
    source: TimeBase,
    encoder: Encoder,
    frame: usize,
    /// Samples that do not fill a frame yet, interleaved.
    waiting: Vec<f32>,
    /// Where the first of them is heard, in samples; and a wall time for a place.
    at: i64,
    anchor: Option<(i64, Timestamp)>,
}

fn form(track: &Track) -> Option<Form> {
    match (track.codec, track.name.as_str()) {
        (Codec::Alaw, _) => Some(Form::Alaw),
        (Codec::Mulaw, _) => Some(Form::Mulaw),
        (_, "pcm_s16le") => Some(Form::LittleEndian),
        (_, "pcm_s16be") => Some(Form::BigEndian),
        _ => None,
    }
}

/// The value of a sample of G.711 (ITU-T G.711 tables 1 and 2), -1 to 1.
fn g711(byte: u8, form: Form) -> f32 {
    let value = match form {
        Form::Alaw => {
            let it = byte ^ 0x55;
            let (exponent, mantissa) = (i32::from(it >> 4 & 7), i32::from(it & 15));
            let size =
                if exponent == 0 { mantissa * 16 + 8 } else { (mantissa * 16 + 264) << (exponent - 1) };
            if it & 0x80 == 0 { -size } else { size }
        }
        _ => {
            let it = !byte;
            let (exponent, mantissa) = (i32::from(it >> 4 & 7), i32::from(it & 15));
            let size = ((mantissa * 8 + 132) << exponent) - 132;
            if it & 0x80 == 0 { size } else { -size }
        }
    };
    value as f32 / 32768.0
}

impl Converter {
    /// A converter and the track it makes; `None` where the sound is of another kind.
    pub fn new(track: &Track) -> Option<Result<(Self, Track)>> {
        let form = form(track).filter(|_| track.kind == TrackKind::Audio)?;
        Some(Self::of(track, form))
    }

    fn of(track: &Track, form: Form) -> Result<(Self, Track)> {
        let (rate, channels) = (track.sample_rate, track.channels.max(1));
        let config = record::aac_config(LOW_COMPLEXITY, rate, channels)
            .ok_or_else(|| Error::internal("sound of a rate or with channels that AAC has not"))?;
        let encoder = Encoder::audio(&AudioSettings {
            codec: "aac".into(),
            sample_rate: rate,
            channels: channels as usize,
            bit_rate: BIT_RATE * i64::from(channels),
            global_header: true,
        })?;
        let coding = SoundCoding::Mpeg4 { object: 0x40, config: config.clone() };
        let entry = SoundEntry { channels: channels as u16, rate, coding };
        let made = Track {
            codec: Codec::Aac,
            name: "aac".into(),
            time_base: encoder.time_base(),
            config: config.into(),
            entry: Some(SampleEntry::Sound(entry)),
            codecs: "mp4a.40.2".into(),
            channels,
            frame_samples: encoder.frame_samples() as u32,
            ..track.clone()
        };
        let frame = encoder.frame_samples().max(1);
        let (source, channels) = (track.time_base, channels as usize);
        let waiting = Vec::new();
        Ok((Self { form, channels, source, encoder, frame, waiting, at: 0, anchor: None }, made))
    }

    /// Takes a sample of the source, and gives the samples that are ready.
    pub fn take(&mut self, sample: &Sample, mut give: impl FnMut(Sample)) -> Result<()> {
        let base = self.encoder.time_base();
        let at = self.source.rescale(sample.pts, base);
        let counted = self.at + (self.waiting.len() / self.channels) as i64;
        if self.anchor.is_none() || base.micros(at.saturating_sub(counted)).abs() > DRIFT {
            self.waiting.clear();
            self.at = at;
            self.anchor = Some((at, sample.time));
        }
        match self.form {
            Form::Alaw | Form::Mulaw => {
                self.waiting.extend(sample.data.iter().map(|it| g711(*it, self.form)))
            }
            Form::LittleEndian | Form::BigEndian => {
                let value = |it: &[u8]| match self.form {
                    Form::LittleEndian => i16::from_le_bytes([it[0], it[1]]),
                    _ => i16::from_be_bytes([it[0], it[1]]),
                };
                self.waiting.extend(sample.data.chunks_exact(2).map(|it| f32::from(value(it)) / 32768.0));
            }
        }
        while self.waiting.len() >= self.frame * self.channels {
            self.encode(sample.track, &mut give)?;
        }
        Ok(())
    }

    fn encode(&mut self, track: usize, give: &mut impl FnMut(Sample)) -> Result<()> {
        let base = self.encoder.time_base();
        let mut frame = FrameMut::audio(self.channels, base.den as u32, self.frame)?;
        for channel in 0..self.channels {
            let values = self.waiting.iter().skip(channel).step_by(self.channels);
            frame.channel_mut(channel).iter_mut().zip(values).for_each(|(to, from)| *to = *from);
        }
        let mut frame = frame.freeze();
        frame.set_pts(Some(self.at));
        self.waiting.drain(..self.frame * self.channels);
        self.at += self.frame as i64;
        let (anchor, length) = (self.anchor, self.frame as u32);
        self.encoder.push(Some(&frame), |packet: Packet| {
            let (Some(pts), Some((from, time))) = (packet.pts(), anchor) else { return Ok(()) };
            let time = time + base.micros(pts - from);
            let data = Bytes::copy_from_slice(packet.data());
            give(Sample { track, dts: pts, pts, duration: length, key: true, time, data });
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(codec: Codec, name: &str) -> Track {
        Track {
            kind: TrackKind::Audio,
            codec,
            name: name.into(),
            time_base: TimeBase::new(1, 8000),
            config: Bytes::new(),
            entry: None,
            codecs: String::new(),
            width: 0,
            height: 0,
            frame_rate: (0, 1),
            sample_rate: 8000,
            channels: 1,
            frame_samples: 0,
        }
    }

    #[test]
    fn values_of_g711() {
        // The largest and the smallest of each sign, of 13 and 14 bits, in 16.
        let value = |byte, form| (g711(byte, form) * 32768.0) as i32;
        let alaw = [0xaa, 0x2a, 0xd5, 0x55].map(|it| value(it, Form::Alaw));
        assert_eq!(alaw, [32256, -32256, 8, -8]);
        let mulaw = [0x80, 0x00, 0xff, 0x7f].map(|it| value(it, Form::Mulaw));
        assert_eq!(mulaw, [32124, -32124, 0, 0]);
    }

    #[test]
    fn sound_keeps_its_place() {
        let (mut it, made) = Converter::new(&track(Codec::Alaw, "pcm_alaw")).unwrap().unwrap();
        assert_eq!((made.codecs.as_str(), made.config.as_ref()), ("mp4a.40.2", &[0x15, 0x88][..]));
        let mut out = Vec::new();
        // Twenty milliseconds each; a hole of a second after two.
        for packet in 0..200i64 {
            let pts = packet * 160 + if packet >= 100 { 8000 } else { 0 };
            let time = Timestamp::from_micros(pts * 125);
            let data = Bytes::from(vec![0xd5; 160]);
            let sample = Sample { track: 1, dts: pts, pts, duration: 160, key: true, time, data };
            it.take(&sample, |it| out.push(it)).unwrap();
        }
        assert!(out.len() > 26 && out.iter().all(|it| it.track == 1 && it.time.micros() == it.pts * 125));
        let steps: Vec<i64> = out.windows(2).map(|it| it[1].pts - it[0].pts).collect();
        assert_eq!(steps.iter().filter(|it| **it != 1024).count(), 1, "{steps:?}");
        assert!(Converter::new(&track(Codec::Aac, "aac")).is_none());
        assert!(
            Converter::new(&Track { sample_rate: 8001, ..track(Codec::Mulaw, "pcm_mulaw") })
                .unwrap()
                .is_err()
        );
    }
}
