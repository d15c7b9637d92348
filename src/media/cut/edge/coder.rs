//! Encodes the pictures of an edge so that they join: the source's format, profile, colour and scan, no reordering, and
//! for H.264 the source's own sequence where that can be.

use super::{EdgeMaker, EdgeSettings, Sample, track, units};
use crate::base::time::TimeBase;
use crate::base::{Error, Result};
use crate::media::cut::plan::Place;
use crate::media::cut::web;
use crate::media::ffi::{Encoder, Frame, VideoSettings};
use crate::media::index::{Scan, SetKind, VideoCodec, VideoFormat, VideoTrack};
use crate::media::nal;
use crate::media::nal::adopt::Adoption;
use crate::media::nal::h264::kind;
use std::collections::{BTreeSet, VecDeque};

/// mpeg2video's quantiser, in libav's units of 118 a step: 3 is hard to tell from the source.
const MPEG2_QUALITY: &str = "354";

/// Encodes pictures such that they join those of a track.
pub(in crate::media::cut) struct EdgeCoder<'a> {
    settings: &'a EdgeSettings,
    track: &'a VideoTrack,
    format: Option<&'a VideoFormat>,
    encoder: Option<Encoder>,
    /// Times of pictures sent to the encoder and not given back.
    sent: VecDeque<i64>,
    /// Pictures sent.
    count: i64,
    /// The number of a picture that begins a sequence anew, of HEVC.
    again: i64,
    delay: i64,
}

impl<'a> EdgeCoder<'a> {
    pub fn new(settings: &'a EdgeSettings, track: &'a VideoTrack) -> Self {
        Self::of(settings, track, track.format())
    }

    /// A coder of pictures that look like this unit of the track.
    pub fn like(settings: &'a EdgeSettings, track: &'a VideoTrack, unit: usize) -> Self {
        let format = track.units.get(unit).and_then(|unit| track.format_of(unit));
        Self::of(settings, track, format)
    }

    fn of(settings: &'a EdgeSettings, track: &'a VideoTrack, format: Option<&'a VideoFormat>) -> Self {
        // How long before it is shown the source decodes a keyframe: edges keep the distance, so that decoding times run
        // on over the join.
        let key = track.units.iter().find(|it| it.class.is_random_access());
        let delay = key.map_or(0, |it| (it.pts - it.dts).max(0));
        Self { settings, track, format, encoder: None, sent: VecDeque::new(), count: 0, again: 0, delay }
    }

    /// Makes another IDR picture of the one with this number, of HEVC.
    pub fn start_again(&mut self, number: usize) {
        self.again = number as i64;
    }

    /// Encodes one picture to be shown at an output time; `None` is the end.
    pub fn push(&mut self, picture: Option<(i64, Frame)>, samples: &mut Vec<Sample>) -> Result<()> {
        let codec = self.track.codec;
        let frame = match picture {
            None => None,
            Some((pts, mut frame)) => {
                // Encoders of MPEG-2 know the frame rates of its table alone.
                frame.set_pts(Some(if codec == VideoCodec::Mpeg2 { self.count } else { pts }));
                frame.set_picture_type(codec == VideoCodec::Hevc && self.count == self.again);
                if codec == VideoCodec::Hevc && self.count > 0 && self.count != self.again {
                    frame.set_predicted();
                }
                if self.encoder.is_none() {
                    self.encoder = Some(self.open(&frame)?);
                }
                self.count += 1;
                self.sent.push_back(pts);
                Some(frame)
            }
        };
        let Some(encoder) = &mut self.encoder else { return Ok(()) };
        let (sent, delay) = (&mut self.sent, self.delay);
        encoder.push(frame.as_ref(), |packet| {
            let Some(pts) = sent.pop_front() else {
                return Err(Error::internal("an encoder gave more pictures than it was sent"));
            };
            let bytes = match codec {
                VideoCodec::Vp9 | VideoCodec::Av1 => packet.data().to_vec(),
                _ => units::without_notes(packet.data(), codec),
            };
            let key = packet.is_key();
            samples.push(Sample { track: 0, pts, dts: pts - delay, key, second_field: false, bytes });
            Ok(())
        })?;
        if frame.is_none() {
            // It holds several pictures, and what comes now needs none.
            self.encoder = None;
        }
        Ok(())
    }

    fn open(&self, first: &Frame) -> Result<Encoder> {
        let plain = self.settings(first);
        match self.track.codec {
            VideoCodec::Vp9 => web::vp9(plain, &self.settings.preset),
            VideoCodec::Av1 => web::av1(plain, &self.settings.preset),
            _ => Encoder::video(&plain),
        }
    }

    fn interlaced(&self, first: &Frame) -> Option<bool> {
        let top_first = if first.is_interlaced() {
            first.is_top_field_first()
        } else {
            self.track.scan != Scan::BottomFirst
        };
        let interlaced = match self.track.codec {
            // Frames of a sequence whose frames do not mix are coded as progressive ones, fields side by side.
            VideoCodec::H264 => self.format.is_some_and(|it| it.interlaced && it.adaptive),
            _ => self.format.is_some_and(|it| it.interlaced),
        };
        interlaced.then_some(top_first)
    }

    /// No reordering, so that nothing is decoded later than the source would.
    fn settings(&self, first: &Frame) -> VideoSettings {
        let settings = self.settings;
        let rate = self.format.and_then(|it| it.frame_rate).filter(|(num, den)| *num > 0 && *den > 0);
        let frame_rate = rate.map_or((30, 1), |(num, den)| (num as i32, den as i32));
        let quality =
            || vec![("preset".into(), settings.preset.clone()), ("crf".into(), settings.crf.to_string())];
        let location = match self.format.and_then(|it| it.chroma_location) {
            Some(location) => format!(":chromaloc={location}"),
            None => String::new(),
        };
        let (codec, time_base, options) = match self.track.codec {
            VideoCodec::Hevc => {
                // x265 numbers its sets 0 always; the source's are sent again after the edge.
                // It announces the reordering of the B pictures it may use (sps_max_num_reorder_pics, H.265 §7.4.3.2.1), of
                // which it is let use none: a decoder is to wait as long for these pictures as for the source's.
                let reorder = match self.track.reorder {
                    0 => "bframes=0",
                    1 => "bframes=1:b-pyramid=0",
                    _ => "bframes=3:b-pyramid=1",
                };
                let params = format!(
                    "log-level=none:info=0:hrd=0:open-gop=0:scenecut=0:b-adapt=0:ref=1:{reorder}:keyint=-1:repeat-headers=1:pools=1:frame-threads=1"
                );
                let mut options = quality();
                options.push(("x265-params".into(), format!("{params}{location}")));
                // A picture that is asked for as a key is an IDR picture.
                options.push(("forced-idr".into(), "1".into()));
                ("libx265", TimeBase::MPEG, options)
            }
            VideoCodec::Mpeg2 => {
                let options = [("flags", "+qscale"), ("global_quality", MPEG2_QUALITY)];
                let options = options.map(|(key, value)| (key.into(), value.into())).to_vec();
                // MPEG-1 has no profiles.
                let first = self.format.is_some_and(|it| (it.profile, it.level) == (0, 0));
                let codec = if first { "mpeg1video" } else { "mpeg2video" };
                (codec, TimeBase::new(frame_rate.1, frame_rate.0), options)
            }
            _ => {
                let number = (0..32u8)
                    .rev()
                    .find(|number| self.track.sets.iter().all(|set| set.id != *number))
                    .unwrap_or(31);
                let params = format!(
                    "sps-id={number}:stitchable=1:scenecut=0:open-gop=0:keyint=infinite:bframes=0:ref=1:weightp=0:rc-lookahead=0:sync-lookahead=0:threads=1{location}"
                );
                // A constant quantiser: for a rate factor x264 keeps every picture in half its size too, 5 MiB at 720p, and
                // looks at it twice. 0 would be lossless, which is another profile.
                let deeper = 6 * (first.format().depth() - 8).max(0);
                let quantiser = (settings.crf.round() as i32 + deeper).max(1);
                let mut options = vec![
                    ("preset".into(), settings.preset.clone()),
                    ("qp".into(), quantiser.to_string()),
                    ("x264-params".into(), params),
                ];
                if let Some(profile) = self.format.and_then(h264_profile) {
                    options.push(("profile".into(), profile.into()));
                }
                ("libx264", TimeBase::MPEG, options)
            }
        };
        VideoSettings {
            codec: codec.into(),
            width: first.width(),
            height: first.height(),
            format: first.format(),
            time_base,
            frame_rate,
            sample_aspect: first.sample_aspect(),
            colour: first.colour(),
            interlaced: self.interlaced(first),
            gop: 100_000,
            b_frames: 0,
            threads: 1,
            bit_rate: 0,
            global_header: false,
            options,
        }
    }

    /// Makes the pictures part of the source's sequence. `before` and `after` are the copied pictures on both sides;
    /// `numbered` says that the one after goes on with numbers of its own. False when that cannot be, and then the
    /// pictures stand under the encoder's sets.
    pub fn settle(
        &self,
        maker: &EdgeMaker<'_>,
        samples: &mut [Sample],
        first: Place,
        before: Option<Place>,
        after: Option<Place>,
        numbered: bool,
    ) -> Result<bool> {
        let state = self.track.units[first.unit].parameter_set;
        let state = self.track.states.get(usize::from(state));
        let set = state.and_then(|it| it.active).and_then(|it| self.track.sets.get(usize::from(it)));
        let Some(set) = set else { return Ok(!numbered) };
        match self.track.codec {
            VideoCodec::H264 => {}
            VideoCodec::Mpeg2 => {
                for it in samples.iter_mut().filter(|it| it.key) {
                    it.bytes = units::with_source_header(std::mem::take(&mut it.bytes), set);
                }
                return Ok(true);
            }
            _ => return Ok(true),
        }
        let header = |place: Option<Place>| -> Result<_> {
            let Some(place) = place else { return Ok(None) };
            let track = track(&maker.sources[place.source])?;
            let unit = maker.elementary.picture(place)?;
            Ok(units::slice_header(track, track.units[place.unit].parameter_set, &unit))
        };
        let (before, after) = (header(before)?, header(after)?);
        let next = match &after {
            Some((header, sequence)) if numbered && sequence.bytes == set.bytes => Some(header),
            _ if numbered => return Ok(false),
            _ => None,
        };
        let top_first = self
            .format
            .is_some_and(|it| it.interlaced && it.adaptive)
            .then(|| self.track.scan != Scan::BottomFirst);
        let bottom = match top_first {
            None => 0,
            Some(true) => 1,
            Some(false) => -1,
        };
        let neighbours: Vec<u32> =
            [before, after].into_iter().flatten().filter(|it| it.0.idr).map(|it| it.0.idr_pic_id).collect();
        // Two IDR pictures that follow each other have different ids; edges differ in their times.
        let time = samples.first().map_or(0, |it| it.pts & 0x7fff) as u32;
        let idr_pic_id = (time..).find(|id| !neighbours.contains(id)).unwrap_or(time);
        match adopted(maker, samples, &set.bytes, next, bottom, idr_pic_id) {
            Some(all) => {
                for (it, bytes) in samples.iter_mut().zip(all) {
                    it.bytes = bytes;
                }
                Ok(true)
            }
            None => Ok(!numbered),
        }
    }
}

/// The pictures rewritten to stand under the source's set.
fn adopted(
    maker: &EdgeMaker<'_>,
    samples: &[Sample],
    source: &[u8],
    next: Option<&nal::h264::SliceHeader>,
    bottom: i32,
    idr_pic_id: u32,
) -> Option<Vec<Vec<u8>>> {
    let codes = nal::StartCodes::default();
    let first = &samples.first()?.bytes;
    let find = |is: u8| {
        let found = codes.units(first).find(|it| it.first().is_some_and(|it| it & 0x1f == is));
        found.map(nal::without_trailing_zeros)
    };
    let sources = maker.sources.iter().filter_map(|it| it.index.video.as_ref());
    let taken: BTreeSet<u8> = sources
        .flat_map(|track| &track.sets)
        .filter(|set| set.kind == SetKind::Picture)
        .map(|set| set.id)
        .collect();
    let pps_id = (0..=u8::MAX).find(|id| !taken.contains(id))?;
    let adoption = Adoption::new(find(kind::SPS)?, find(kind::PPS)?, source, pps_id)?;
    let numbers = adoption.numbers(samples.len(), next, bottom, idr_pic_id)?;
    let mut all = Vec::with_capacity(samples.len());
    for (at, (it, numbers)) in samples.iter().zip(numbers).enumerate() {
        let mut out = Vec::with_capacity(it.bytes.len() + 64);
        if at == 0 {
            units::put(&mut out, source);
            units::put(&mut out, &adoption.picture_set);
        }
        for unit in codes.units(&it.bytes) {
            match unit.first().map_or(0, |it| it & 0x1f) {
                kind::SLICE | kind::IDR => {
                    units::put(&mut out, &adoption.slice(unit, numbers)?);
                }
                kind::SPS | kind::PPS | kind::DELIMITER => {}
                _ => return None,
            }
        }
        all.push(out);
    }
    Some(all)
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
