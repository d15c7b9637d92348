//! Decoded pictures of the sources, in the order they are shown.

use super::edge::{Elementary, track, with_sets};
use super::plan::{Place, Source};
use crate::base::time::TimeBase;
use crate::base::{Result, Token};
use crate::media::ffi::{Decoder, Frame, Packet, Skip, id};
use crate::media::index::{Scan, VideoCodec};
use std::collections::{BTreeMap, BTreeSet};

/// What pictures are decoded from.
#[derive(Clone, Copy)]
pub(super) struct Footage<'a> {
    pub sources: &'a [Source<'a>],
    /// Time of a picture = time in its source + the shift of its source, in ticks of 90 kHz.
    pub shifts: &'a [i64],
    pub elementary: &'a dyn Elementary,
    pub token: &'a Token,
}

impl Footage<'_> {
    pub fn time(&self, place: Place) -> Result<i64> {
        Ok(track(&self.sources[place.source])?.units[place.unit].pts + self.shifts[place.source])
    }

    /// Where a decoder has to begin to show the picture at `place` right, as far as the sources reach.
    pub fn decode_start(&self, place: Place) -> Result<Place> {
        if let Some(unit) = track(&self.sources[place.source])?.decode_start(place.unit) {
            return Ok(Place { source: place.source, unit });
        }
        for source in (0..place.source).rev() {
            let track = track(&self.sources[source])?;
            if let Some(unit) = track.random_access_before(track.units.len()) {
                return Ok(Place { source, unit });
            }
        }
        Ok(Place { source: 0, unit: 0 })
    }
}

/// libav's identifier of a codec.
pub(in crate::media) fn codec_id(codec: VideoCodec) -> u32 {
    match codec {
        VideoCodec::Hevc => id::HEVC,
        VideoCodec::Mpeg2 => id::MPEG2,
        VideoCodec::Vp9 => id::VP9,
        VideoCodec::Av1 => id::AV1,
        VideoCodec::H264 | VideoCodec::Other(_) => id::H264,
    }
}

/// Decodes chosen pictures one by one.
pub(super) struct PictureReader<'a> {
    footage: Footage<'a>,
    decoder: Decoder,
    /// Times of pictures that were not given yet.
    wanted: BTreeSet<i64>,
    /// Pictures come out in the order they are shown, but late; they are held until their turn.
    ready: BTreeMap<i64, Frame>,
    from: Place,
    /// What is sent to the decoder next; `None` at the end.
    next: Option<Place>,
    last: Place,
    ended: bool,
}

impl<'a> PictureReader<'a> {
    /// A reader of `frames`, of which there is one at least; decoding starts at `from`.
    pub fn new(footage: Footage<'a>, frames: &[Place], from: Place) -> Result<Self> {
        let wanted = frames.iter().map(|it| footage.time(*it)).collect::<Result<BTreeSet<i64>>>()?;
        let last = frames.iter().copied().max().unwrap_or(from);
        let codec = track(&footage.sources[from.source])?.codec;
        let decoder = Decoder::of_codec(codec_id(codec), TimeBase::MPEG)?;
        let next = Some(from);
        Ok(Self { footage, decoder, wanted, ready: BTreeMap::new(), from, next, last, ended: false })
    }

    /// The next picture with its time; `None` when there is none left. Pictures a decoder did not give are passed over.
    pub fn next(&mut self) -> Result<Option<(i64, Frame)>> {
        loop {
            let first = if self.ended { self.ready.keys().next() } else { self.wanted.first() }.copied();
            if let Some(frame) = first.and_then(|time| self.ready.remove(&time)) {
                let time = first.unwrap_or_default();
                self.wanted.remove(&time);
                return Ok(Some((time, frame)));
            }
            if self.ended || self.wanted.is_empty() {
                return Ok(None);
            }
            self.feed()?;
        }
    }

    /// How many pictures were asked for and not given.
    pub fn missing(&self) -> usize {
        self.wanted.len()
    }

    fn feed(&mut self) -> Result<()> {
        self.footage.token.check()?;
        let packet = match self.next {
            Some(place) => Some(self.packet(place)?),
            None => {
                self.ended = true;
                None
            }
        };
        let (wanted, ready) = (&self.wanted, &mut self.ready);
        self.decoder.push(packet.as_ref(), |frame| {
            if let Some(time) = frame.pts().filter(|time| wanted.contains(time)) {
                ready.insert(time, frame);
            }
            Ok(())
        })
    }

    /// The coded picture at `place`, ready to be sent; goes on to the one after it.
    fn packet(&mut self, place: Place) -> Result<Packet> {
        let track = track(&self.footage.sources[place.source])?;
        let it = &track.units[place.unit];
        let mut out = self.footage.elementary.picture(place)?;
        if place == self.from {
            out = with_sets(track, it.parameter_set, out);
        }
        let mut packet = Packet::from_bytes(&out)?;
        let time = self.footage.time(place)?;
        packet.set_times((!it.second_field).then_some(time), None);
        let keep =
            it.reference || it.second_field || self.wanted.contains(&time) || track.scan != Scan::Progressive;
        self.decoder.set_skip(if keep { Skip::Nothing } else { Skip::NonReference });
        self.next = self.following(place)?;
        Ok(packet)
    }

    fn following(&self, place: Place) -> Result<Option<Place>> {
        let units = &track(&self.footage.sources[place.source])?.units;
        let next = Place { unit: place.unit + 1, ..place };
        if place >= self.last {
            // One more than the last wanted is only looked at for the second field.
            return Ok((units.get(next.unit).is_some_and(|it| it.second_field) && place == self.last)
                .then_some(next));
        }
        for source in next.source..=self.last.source {
            let unit = if source == next.source { next.unit } else { 0 };
            if unit < track(&self.footage.sources[source])?.units.len() {
                return Ok(Some(Place { source, unit }));
            }
        }
        Ok(None)
    }
}
