//! The made parts of a smart cut: pictures encoded anew, and pictures and sound taken over one by one.

use super::plan::{Piece, Place, RangePlan, Source};
use super::reader::{Footage, PictureReader};
use super::web;
use crate::base::time::TimeBase;
use crate::base::{Error, Result, Token};
use crate::media::ffi::{Encoder, Frame, VideoSettings};
use crate::media::index::{UnitClass, VideoCodec, VideoFormat, VideoTrack};
use crate::media::nal;
use std::collections::BTreeMap;
use std::ops::Range;

/// How edges are encoded.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeSettings {
    /// x264's or x265's preset.
    pub preset: String,
    /// Constant rate factor.
    pub crf: f64,
}

/// One coded picture or frame of sound on its way into a container; times are output times in ticks of 90 kHz.
#[derive(Debug, Clone)]
pub struct Sample {
    /// 0 is the video, 1 and on the audio tracks.
    pub track: usize,
    pub pts: i64,
    pub dts: i64,
    pub key: bool,
    /// The second field of the frame before.
    pub second_field: bool,
    pub bytes: Vec<u8>,
}

/// The coded pictures and sound frames of the sources a range draws from, read when they are needed.
pub trait Elementary {
    /// A coded picture, by its place in decoding order, as it lies in its source.
    fn picture(&self, place: Place) -> Result<Vec<u8>>;

    /// A frame of sound of `track`, as it lies in its source.
    fn sound(&self, source: usize, track: usize, frame: usize) -> Result<Vec<u8>>;
}

/// Makes the samples of `pieces`, a run of pieces none of which is a whole segment.
pub struct EdgeMaker<'a> {
    pub plan: &'a RangePlan,
    pub sources: &'a [Source<'a>],
    pub elementary: &'a dyn Elementary,
    pub settings: &'a EdgeSettings,
    pub token: &'a Token,
}

pub(super) fn track<'a>(source: &Source<'a>) -> Result<&'a VideoTrack> {
    source.index.video.as_ref().ok_or_else(|| Error::damaged("a segment of the span holds no picture"))
}

impl EdgeMaker<'_> {
    /// Everything of the edge, in the order of decoding times.
    pub fn samples(&self, pieces: Range<usize>, sources: Range<usize>) -> Result<Vec<Sample>> {
        let mut samples = Vec::new();
        let mut last = i64::MIN;
        for piece in &self.plan.pieces[pieces] {
            self.token.check()?;
            let from = samples.len();
            match piece {
                Piece::Copy { source, units } => self.copy(*source, units.clone(), &mut samples)?,
                Piece::Encode { frames, from } => self.encode(frames, *from, &mut samples)?,
                Piece::Whole { .. } => return Err(Error::internal("a whole segment in an edge")),
            }
            // Where coders reorder differently, a decoding time gives way, never a presentation time.
            for sample in &mut samples[from..] {
                sample.dts = sample.dts.max(last.saturating_add(1));
                last = sample.dts;
                if sample.dts > sample.pts {
                    return Err(Error::damaged("the pictures of the source cannot be put in order"));
                }
            }
        }
        let mut last_sound = BTreeMap::new();
        for sound in self.plan.sound.iter().filter(|it| sources.contains(&it.source)) {
            let audio = &self.sources[sound.source].index.audio[sound.track];
            for frame in sound.frames.clone() {
                let bytes = self.elementary.sound(sound.source, sound.track, frame)?;
                let pts = audio.frames[frame].pts + self.plan.shifts[sound.source];
                // Frames that are decoded and not heard may lie before those of the stretch before: they stay behind.
                let before = last_sound.entry(sound.track).or_insert(i64::MIN);
                let dts = pts.max(before.saturating_add(1));
                *before = dts;
                samples.push(Sample {
                    track: 1 + sound.track,
                    pts,
                    dts,
                    key: true,
                    second_field: false,
                    bytes,
                });
            }
        }
        samples.sort_by_key(|sample| (sample.dts, sample.track));
        Ok(samples)
    }

    fn copy(&self, source: usize, units: Range<usize>, samples: &mut Vec<Sample>) -> Result<()> {
        let track = track(&self.sources[source])?;
        let shift = self.plan.shifts[source];
        for number in units.clone() {
            let unit = &track.units[number];
            let mut out = self.elementary.picture(Place { source, unit: number })?;
            // After pictures encoded with other parameter sets, the source's own have to be sent again.
            if number == units.start {
                out = with_sets(track, unit.parameter_set, out);
            }
            let key = unit.class == UnitClass::Idr;
            let (pts, dts) = (unit.pts + shift, unit.dts + shift);
            samples.push(Sample { track: 0, pts, dts, key, second_field: unit.second_field, bytes: out });
        }
        Ok(())
    }

    fn footage(&self) -> Footage<'_> {
        Footage {
            sources: self.sources,
            shifts: &self.plan.shifts,
            elementary: self.elementary,
            token: self.token,
        }
    }

    fn encode(&self, frames: &[Place], from: Place, samples: &mut Vec<Sample>) -> Result<()> {
        let Some(first) = frames.first() else { return Ok(()) };
        let source = &self.sources[first.source];
        let mut coder = EdgeCoder::new(self.settings, track(source)?);
        let mut reader = PictureReader::new(self.footage(), frames, from)?;
        while let Some(picture) = reader.next()? {
            coder.push(Some(picture), samples)?;
        }
        coder.push(None, samples)?;
        // Pictures a damaged segment did not give are missing from the cut; without any there is nothing to show.
        if reader.missing() > 0 && source.whole {
            let detail = format!(
                "a picture at the edge of the cut, in the segment of {}, cannot be decoded",
                source.wall
            );
            return Err(Error::damaged(detail));
        }
        Ok(())
    }
}

/// Encodes pictures such that they join those of a track.
pub(super) struct EdgeCoder<'a> {
    settings: &'a EdgeSettings,
    track: &'a VideoTrack,
    encoder: Option<Encoder>,
    delay: i64,
}

impl<'a> EdgeCoder<'a> {
    pub fn new(settings: &'a EdgeSettings, track: &'a VideoTrack) -> Self {
        // How long before it is shown the source decodes a keyframe: edges keep the distance, so that decoding times run
        // on over the join.
        let delay = track.units.iter().find(|it| it.class == UnitClass::Idr).map_or(0, |it| it.pts - it.dts);
        Self { settings, track, encoder: None, delay }
    }

    /// Encodes one picture to be shown at an output time; `None` is the end.
    pub fn push(&mut self, picture: Option<(i64, Frame)>, samples: &mut Vec<Sample>) -> Result<()> {
        let frame = match picture {
            None => None,
            Some((pts, mut frame)) => {
                frame.set_pts(Some(pts));
                frame.set_picture_type(false);
                if self.encoder.is_none() {
                    self.encoder = Some(self.open(&frame)?);
                }
                Some(frame)
            }
        };
        let Some(encoder) = &mut self.encoder else { return Ok(()) };
        let (delay, codec) = (self.delay, self.track.codec);
        encoder.push(frame.as_ref(), |packet| {
            let Some(pts) = packet.pts() else {
                return Err(Error::internal("an encoded picture without a time"));
            };
            let bytes = match codec {
                VideoCodec::Vp9 | VideoCodec::Av1 => packet.data().to_vec(),
                _ => without_notes(packet.data(), codec == VideoCodec::Hevc),
            };
            let key = packet.is_key();
            samples.push(Sample { track: 0, pts, dts: pts - delay, key, second_field: false, bytes });
            Ok(())
        })
    }

    fn open(&self, first: &Frame) -> Result<Encoder> {
        let plain = self.settings(first);
        match self.track.codec {
            VideoCodec::Vp9 => web::vp9(plain, &self.settings.preset),
            VideoCodec::Av1 => web::av1(plain, &self.settings.preset),
            _ => Encoder::video(&plain),
        }
    }

    /// Settings that join: the source's profile, level, colour and scan; no reordering, so that nothing is decoded later
    /// than the source would; parameter sets of their own number, where the codec lets us choose.
    fn settings(&self, first: &Frame) -> VideoSettings {
        let settings = self.settings;
        let format = self.track.format();
        let hevc = self.track.codec == VideoCodec::Hevc;
        let mut options: Vec<(String, String)> =
            vec![("preset".into(), settings.preset.clone()), ("crf".into(), settings.crf.to_string())];
        if hevc {
            // x265 numbers its sets 0 always; the source's are sent again after the edge.
            options.push(("x265-params".into(), "log-level=none:info=0:hrd=0:open-gop=0:scenecut=0:bframes=0:keyint=-1:repeat-headers=1:pools=1:frame-threads=1".into()));
        } else {
            let number = (0..32u8)
                .rev()
                .find(|number| self.track.sets.iter().all(|set| set.id != *number))
                .unwrap_or(31);
            let mut params = format!(
                "sps-id={number}:stitchable=1:scenecut=0:open-gop=0:keyint=infinite:bframes=0:rc-lookahead=0:sync-lookahead=0:threads=1"
            );
            if let Some(location) = format.and_then(|it| it.chroma_location) {
                params.push_str(&format!(":chromaloc={location}"));
            }
            options.push(("x264-params".into(), params));
            if let Some(profile) = format.and_then(h264_profile) {
                options.push(("profile".into(), profile.into()));
            }
        }
        let rate = format.and_then(|it| it.frame_rate).filter(|(num, den)| *num > 0 && *den > 0);
        VideoSettings {
            codec: if hevc { "libx265" } else { "libx264" }.into(),
            width: first.width(),
            height: first.height(),
            format: first.format(),
            time_base: TimeBase::MPEG,
            frame_rate: rate.map_or((30, 1), |(num, den)| (num as i32, den as i32)),
            sample_aspect: first.sample_aspect(),
            colour: first.colour(),
            interlaced: first.is_interlaced().then(|| first.is_top_field_first()),
            gop: 100_000,
            b_frames: 0,
            threads: 1,
            bit_rate: 0,
            global_header: false,
            options,
        }
    }
}

/// x264's name of the source's profile (ITU-T H.264 §A.2), where it can encode it.
fn h264_profile(format: &VideoFormat) -> Option<&'static str> {
    match format.profile {
        66 => Some("baseline"),
        77 => Some("main"),
        100 => Some("high"),
        110 => Some("high10"),
        122 => Some("high422"),
        244 => Some("high444"),
        _ => None,
    }
}

/// The unit with the parameter sets in force before its pictures, unless it brings its own.
pub fn with_sets(track: &VideoTrack, state: u16, unit: Vec<u8>) -> Vec<u8> {
    match track.codec {
        VideoCodec::H264 | VideoCodec::Hevc => {}
        VideoCodec::Av1 => {
            let active = track.states.get(usize::from(state)).and_then(|it| it.active);
            let sequence = active.and_then(|it| track.sets.get(usize::from(it)));
            return sequence.map_or(unit.clone(), |it| nal::av1::with_sequence(&it.bytes, unit));
        }
        _ => return unit,
    }
    let hevc = track.codec == VideoCodec::Hevc;
    let kind = |nal: &[u8]| nal.first().map_or(0, |head| if hevc { head >> 1 & 0x3f } else { head & 0x1f });
    let (sequence, delimiter) = if hevc { (33, 35) } else { (7, 9) };
    let codes = nal::StartCodes::default();
    let Some(state) =
        track.states.get(usize::from(state)).filter(|_| !codes.units(&unit).any(|it| kind(it) == sequence))
    else {
        return unit;
    };
    let mut out = Vec::with_capacity(unit.len() + 256);
    let mut put = |nal: &[u8]| {
        out.extend_from_slice(&[0, 0, 0, 1]);
        out.extend_from_slice(nal::without_trailing_zeros(nal));
    };
    // An access unit delimiter stays in front of everything.
    codes.units(&unit).take_while(|it| kind(it) == delimiter).for_each(&mut put);
    state
        .sets
        .iter()
        .filter_map(|number| track.sets.get(usize::from(*number)))
        .for_each(|set| put(&set.bytes));
    codes.units(&unit).skip_while(|it| kind(it) == delimiter).for_each(&mut put);
    out
}

/// The unit without its supplemental information: encoders sign their work there.
fn without_notes(unit: &[u8], hevc: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(unit.len());
    for nal in nal::StartCodes::default().units(unit) {
        let is_note = match nal.first() {
            Some(head) if hevc => matches!(head >> 1 & 0x3f, 39 | 40),
            Some(head) => head & 0x1f == 6,
            None => true,
        };
        if !is_note {
            out.extend_from_slice(&[0, 0, 0, 1]);
            out.extend_from_slice(nal::without_trailing_zeros(nal));
        }
    }
    out
}
