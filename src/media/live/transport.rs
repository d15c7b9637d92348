//! Samples of a live source as MPEG-TS, without coding anything anew: segments that run on from one to the next.

use super::{Codec, Sample, Track, TrackKind};
use crate::base::time::TimeBase;
use crate::base::{Error, Result};
use crate::media::ffi::id;
use crate::media::nal::boxed::Framing;
use crate::media::nal::prefixed::{LENGTH_BYTES, Role, role};
use crate::media::nal::{BitReader, StartCodes};
use crate::media::ts::{ContinuityCounters, ProgramFacts, StreamFacts, TsWriter, adts_frame};

const PMT_PID: u16 = 0x1000;
/// Of the first stream; the others follow.
const FIRST_PID: u16 = 0x100;
/// DTS minus PCR in ticks of 90 kHz, as FFmpeg's muxer has it: how far sound may come after its picture.
const LEAD: i64 = 63_000;
/// What samples of H.264 and HEVC have before each unit.
const FRAMING: Framing = Framing::Lengths(LENGTH_BYTES as u8);
/// Below this MPEG audio is of ISO/IEC 13818-3, which has a stream type of its own.
const LOWEST_RATE_OF_MPEG1: u32 = 32_000;

/// What of a track MPEG-TS has no room for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The track's index.
    pub track: usize,
    pub why: String,
}

/// How samples of a track stand in the stream.
#[derive(Debug)]
enum Form {
    AsIs,
    /// As a byte stream; the parameter sets go before keyframes that have none.
    Units {
        hevc: bool,
        sets: Vec<u8>,
    },
    /// Behind this header, with its length set.
    Adts([u8; 7]),
    /// Behind an opus_control_header (ETSI TS 103 491).
    Opus,
}

/// A transport stream of one program, in segments that each begin with its tables.
#[derive(Debug)]
pub struct Transport {
    facts: ProgramFacts,
    forms: Vec<(Form, TimeBase)>,
    counters: ContinuityCounters,
    writer: Option<TsWriter>,
    /// The last DTS, by track.
    last: Vec<i64>,
    codes: StartCodes,
    unit: Vec<u8>,
    /// Of the segment before, for the next.
    room: Vec<u8>,
}

impl Transport {
    /// # Errors
    /// [`Refused`] for the first track that MPEG-TS cannot carry, and where there are no pictures.
    pub fn new(tracks: &[Track]) -> Result<Self, Refused> {
        let mut forms = Vec::new();
        let mut streams = Vec::new();
        for (index, track) in tracks.iter().enumerate() {
            let (form, stream_type, descriptors) =
                carried(track).map_err(|why| Refused { track: index, why })?;
            forms.push((form, track.time_base));
            streams.push(StreamFacts { pid: FIRST_PID + index as u16, stream_type, descriptors });
        }
        let Some(video) = tracks.iter().position(|it| it.kind == TrackKind::Video) else {
            return Err(Refused { track: 0, why: "there are no pictures".into() });
        };
        let facts = ProgramFacts {
            transport_stream_id: 1,
            program_number: 1,
            pmt_pid: PMT_PID,
            pcr_pid: FIRST_PID + video as u16,
            pat_version: 0,
            pmt_version: 0,
            descriptors: Vec::new(),
            streams,
            lead_90k: LEAD,
        };
        Ok(Self {
            facts,
            forms,
            counters: ContinuityCounters::default(),
            writer: None,
            last: vec![i64::MIN; tracks.len()],
            codes: StartCodes::default(),
            unit: Vec::new(),
            room: Vec::new(),
        })
    }

    /// Begins a segment.
    pub fn begin(&mut self) -> Result<()> {
        let (counters, room) = (std::mem::take(&mut self.counters), std::mem::take(&mut self.room));
        self.writer = Some(TsWriter::into_room(self.facts.clone(), counters, room)?);
        Ok(())
    }

    /// Writes one sample into the segment begun. False where it is left out: it is longer than its header can tell.
    pub fn write(&mut self, sample: &Sample) -> Result<bool> {
        let (Some(writer), Some((form, base))) = (&mut self.writer, self.forms.get(sample.track)) else {
            return Err(Error::internal("a sample outside of a segment"));
        };
        let (data, unit) = (&*sample.data, &mut self.unit);
        unit.clear();
        let bytes = match form {
            Form::AsIs => data,
            Form::Units { hevc, sets } => {
                if sample.key && !has_sets(&self.codes, data, *hevc) {
                    unit.extend_from_slice(sets);
                }
                FRAMING.units(&self.codes, data, |it| {
                    unit.extend_from_slice(&[0, 0, 0, 1]);
                    unit.extend_from_slice(it);
                });
                unit
            }
            Form::Adts(header) => match adts_frame(header, data) {
                Some(frame) => {
                    *unit = frame;
                    unit
                }
                None => return Ok(false),
            },
            Form::Opus => {
                unit.extend_from_slice(&[0x7f, 0xe0]);
                unit.resize(2 + data.len() / 255, 255);
                unit.push((data.len() % 255) as u8);
                unit.extend_from_slice(data);
                unit
            }
        };
        // A finer clock than 90 kHz may have two samples in one tick.
        let last = &mut self.last[sample.track];
        let dts = base.rescale(sample.dts, TimeBase::MPEG).max(last.saturating_add(1));
        *last = dts;
        let pts = base.rescale(sample.pts, TimeBase::MPEG).max(dts);
        writer.write_unit(sample.track, pts, dts, sample.key, bytes)?;
        Ok(true)
    }

    /// Hands on what of the segment is ready to go to the disk, once it is `least` bytes.
    pub fn drain(&mut self, least: usize, take: impl FnOnce(&[u8]) -> Result<()>) -> Result<()> {
        match self.writer.as_mut().filter(|it| it.ready().len() >= least.max(1)) {
            Some(writer) => {
                let taken = take(writer.ready());
                writer.clear();
                taken
            }
            None => Ok(()),
        }
    }

    /// Ends the segment, and hands on what is left of it.
    pub fn end(&mut self, take: impl FnOnce(&[u8]) -> Result<()>) -> Result<()> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        (self.room, self.counters) = writer.finish();
        take(&self.room)
    }
}

fn has_sets(codes: &StartCodes, sample: &[u8], hevc: bool) -> bool {
    let mut found = false;
    FRAMING.units(codes, sample, |unit| {
        found |= unit.first().is_some_and(|head| role(*head, hevc) == Role::Set);
    });
    found
}

/// A registration descriptor (H.222.0 §2.6.8).
fn registration(format: &[u8; 4]) -> Vec<u8> {
    [&[5, 4][..], format].concat()
}

/// A track's form, its stream type and its descriptors.
fn carried(track: &Track) -> Result<(Form, u8, Vec<u8>), String> {
    let units = |hevc| {
        let (_, sets) = Framing::of(&track.config, hevc);
        let sets = sets.iter().flat_map(|it| [&[0, 0, 0, 1][..], it].concat()).collect();
        Form::Units { hevc, sets }
    };
    Ok(match track.codec {
        Codec::H264 => (units(false), 0x1b, Vec::new()),
        Codec::Hevc => (units(true), 0x24, registration(b"HEVC")),
        Codec::Other(id::MPEG2) => (Form::AsIs, 0x02, Vec::new()),
        Codec::Aac => (Form::Adts(adts_header(&track.config)?), 0x0f, Vec::new()),
        Codec::Mpeg if track.sample_rate < LOWEST_RATE_OF_MPEG1 => (Form::AsIs, 0x04, Vec::new()),
        Codec::Mpeg => (Form::AsIs, 0x03, Vec::new()),
        Codec::Ac3 => (Form::AsIs, 0x81, registration(b"AC-3")),
        Codec::Eac3 => (Form::AsIs, 0x87, registration(b"EAC3")),
        Codec::Opus => {
            let channels = u8::try_from(track.channels).ok().filter(|it| (1..=8).contains(it));
            let channels = channels.ok_or("MPEG-TS has no word for Opus of so many channels")?;
            (Form::Opus, 0x06, [registration(b"Opus"), vec![0x7f, 2, 0x80, channels]].concat())
        }
        Codec::Av1 | Codec::Vp9 | Codec::Flac | Codec::Alaw | Codec::Mulaw | Codec::Other(_) => {
            return Err(format!("MPEG-TS does not carry {}", track.name));
        }
    })
}

/// The header of a frame in ADTS of what an AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1) tells; its length is left open.
fn adts_header(config: &[u8]) -> Result<[u8; 7], String> {
    const LC: u32 = 2;
    const EXTENDED: [u32; 2] = [5, 29];
    let broken = || "the AAC does not tell what it is".to_owned();
    let mut bits = BitReader::new(config);
    let object = bits.bits(5).ok_or_else(broken)?;
    let rate = bits.bits(4).ok_or_else(broken)?;
    let channels = bits.bits(4).ok_or_else(broken)?;
    let mut core = object;
    if EXTENDED.contains(&object) {
        // The rate of the core came first; that of the extension and the core's type follow.
        bits.bits(4).ok_or_else(broken)?;
        core = bits.bits(5).ok_or_else(broken)?;
    }
    if core != LC || rate > 12 {
        return Err("MPEG-TS carries AAC of Low Complexity and what extends it, at the usual rates".into());
    }
    if !(1..=7).contains(&channels) {
        return Err("the AAC tells its channels inside its frames".into());
    }
    Ok([0xff, 0xf1, 0x40 | (rate as u8) << 2 | (channels >> 2) as u8, (channels as u8 & 3) << 6, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use crate::media::ts::psi::{ProgramMap, Sections};
    use crate::media::ts::{AdtsFrames, Packets};
    use bytes::Bytes;

    fn track(kind: TrackKind, codec: Codec, config: &[u8]) -> Track {
        Track {
            kind,
            codec,
            name: "x".into(),
            time_base: TimeBase::MPEG,
            config: Bytes::copy_from_slice(config),
            entry: None,
            codecs: String::new(),
            width: 16,
            height: 16,
            frame_rate: (0, 1),
            sample_rate: 48_000,
            channels: 2,
            frame_samples: 0,
        }
    }

    const AVCC: [u8; 14] = [1, 100, 0, 31, 0xff, 0xe1, 0, 2, 0x67, 9, 1, 0, 1, 0x68];

    fn sample(track: usize, dts: i64, key: bool, data: &[u8]) -> Sample {
        let (time, data) = (Timestamp::from_micros(0), Bytes::copy_from_slice(data));
        Sample { track, dts, pts: dts, duration: 1, key, time, data }
    }

    #[test]
    fn every_codec_stands_in_its_form_or_is_refused_by_name() {
        let video = track(TrackKind::Video, Codec::H264, &AVCC);
        let with = |codec, config: &[u8]| {
            let it = Transport::new(&[video.clone(), track(TrackKind::Audio, codec, config)]);
            it.map(|it| it.facts.streams[1].stream_type)
        };
        assert_eq!(with(Codec::Aac, &[0x11, 0x90]), Ok(0x0f));
        assert_eq!(with(Codec::Mpeg, &[]), Ok(3));
        assert_eq!(with(Codec::Ac3, &[]), Ok(0x81));
        assert_eq!(with(Codec::Eac3, &[]), Ok(0x87));
        assert_eq!(with(Codec::Opus, &[]), Ok(6));
        assert_eq!(with(Codec::Hevc, &[]), Ok(0x24));
        assert_eq!(with(Codec::Other(id::MPEG2), &[]), Ok(2));
        for codec in [Codec::Av1, Codec::Vp9, Codec::Flac, Codec::Alaw, Codec::Mulaw, Codec::Other(1)] {
            assert_eq!(with(codec, &[]).unwrap_err().track, 1, "{codec:?}");
        }
        assert!(Transport::new(&[track(TrackKind::Audio, Codec::Ac3, &[])]).is_err(), "sound alone");
    }

    #[test]
    fn aac_is_told_by_its_configuration() {
        assert_eq!(adts_header(&[0x11, 0x90]), Ok([0xff, 0xf1, 0x4c, 0x80, 0, 0, 0]));
        // HE-AAC: 24 kHz inside 48 kHz, of Low Complexity.
        let high = [0x2b, 0x11, 0x88, 0];
        assert_eq!(adts_header(&high), Ok([0xff, 0xf1, 0x58, 0x80, 0, 0, 0]));
        assert!(adts_header(&[0x0a, 0x10]).is_err(), "the Main profile");
        assert!(adts_header(&[0x11, 0x80]).is_err(), "no channels");
        assert!(adts_header(&[]).is_err());
    }

    #[test]
    fn parameter_sets_stand_before_every_keyframe_once_and_segments_run_on() {
        let tracks =
            [track(TrackKind::Video, Codec::H264, &AVCC), track(TrackKind::Audio, Codec::Aac, &[0x11, 0x90])];
        let mut it = Transport::new(&tracks).unwrap();
        let mut pictures = Vec::new();
        let mut all = Vec::new();
        for segment in 0..3i64 {
            it.begin().unwrap();
            let own = segment == 1;
            let key: &[u8] =
                if own { &[0, 0, 0, 2, 0x67, 7, 0, 0, 0, 2, 0x65, 1] } else { &[0, 0, 0, 2, 0x65, 1] };
            let at = segment * 9000;
            it.write(&sample(0, at, true, key)).unwrap();
            let mut bytes = Vec::new();
            let mut keep = |some: &[u8]| {
                bytes.extend_from_slice(some);
                Ok(())
            };
            it.drain(1, &mut keep).unwrap();
            it.write(&sample(1, at, true, &[0x21, 5])).unwrap();
            it.write(&sample(0, at + 3600, false, &[0, 0, 0, 2, 0x41, 1])).unwrap();
            it.end(&mut keep).unwrap();
            assert!(it.write(&sample(0, at + 7200, false, &[])).is_err());
            let mut map = None;
            let mut tables = Sections::default();
            for packet in Packets::new(&bytes) {
                match packet.pid() {
                    PMT_PID => tables.push(packet.payload(), packet.starts_unit(), |it| {
                        map = ProgramMap::parse(it);
                    }),
                    FIRST_PID if packet.starts_unit() => pictures.push(packet.payload()[14..].to_vec()),
                    0x101 => pes_sound(packet.payload()),
                    _ => {}
                }
            }
            assert_eq!(map.unwrap().streams.len(), 2, "each segment has its tables");
            all.extend(bytes);
        }
        let sets = [0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 0x67, 9, 0, 0, 0, 1, 0x68, 0, 0, 0, 1, 0x65, 1];
        assert_eq!(pictures[0], sets);
        assert_eq!(pictures[2], [0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 0x67, 7, 0, 0, 0, 1, 0x65, 1]);
        assert_eq!(pictures[4], sets);
        let mut counted = all.clone();
        ContinuityCounters::default().renumber(&mut counted);
        assert_eq!(all, counted, "counters run on");
    }

    fn pes_sound(payload: &[u8]) {
        let frames: Vec<_> = AdtsFrames::new(&payload[14..]).collect();
        assert_eq!((frames.len(), frames[0].sample_rate, &frames[0].bytes[7..]), (1, 48_000, &[0x21, 5][..]));
    }
}
