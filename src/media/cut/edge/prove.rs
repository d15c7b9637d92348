//! Proves a join by decoding it: what is encoded, the keyframe that follows it and what is copied up to the next one
//! have to give the pictures that the source gives.

use super::mend::Mended;
use super::{EdgeMaker, Sample, track, units};
use crate::base::Result;
use crate::base::time::TimeBase;
use crate::media::cut::plan::{Piece, Place};
use crate::media::cut::reader::codec_id;
use crate::media::ffi::{Decoder, Frame, Packet};
use crate::media::index::UnitClass;
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::Xxh3;

/// Pictures compared at most. Joins that fail do so in the first pictures that refer to what is not there, which are
/// near: no more than 16 frames are kept.
const MOST: usize = 600;

/// What decoding says of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    Holds,
    /// The pictures are right, but a decoder finds fault with what it is sent: a picture behind the join puts away a
    /// reference that was not there.
    Complains,
    Fails,
}

impl EdgeMaker<'_> {
    /// Whether piece `number`, copied from a keyframe that may do, gives the source's pictures. `lead` are the encoded
    /// pictures before it; of those behind it, some may be `mended`.
    pub(super) fn prove(&self, number: usize, lead: &[Sample], mended: &Mended) -> Result<Proof> {
        let Piece::Copy { source, units } = &self.plan.pieces[number] else { return Ok(Proof::Fails) };
        let key = Place { source: *source, unit: units.start };
        let Some(before) = self.start_before(key) else { return Ok(Proof::Holds) };
        let copied = self.copied_until_next(number);
        let Some(last) = copied.last().copied() else { return Ok(Proof::Holds) };
        let shift = |place: &Place| -> Result<i64> {
            Ok(track(&self.sources[place.source])?.units[place.unit].pts + self.plan.shifts[place.source])
        };
        let times = copied.iter().map(shift).collect::<Result<BTreeSet<i64>>>()?;

        let (mut truth, untouched) = (BTreeMap::new(), Mended::new());
        let mut decoder = self.decoder(before)?;
        for place in self.frames_from(before).take_while(|it| *it <= last) {
            self.token.check()?;
            decoder.push(Some(&self.packet(place, place == before, &untouched)?), |it| {
                note(it, &times, &mut truth)
            })?;
        }
        decoder.push(None, |it| note(it, &times, &mut truth))?;

        for (strict, proof) in [(true, Proof::Holds), (false, Proof::Complains)] {
            let (mut made, mut order) = (BTreeMap::new(), Vec::new());
            let mut decoder = self.decoder(key)?;
            if strict {
                decoder.make_strict();
            }
            let mut note_made = |frame: Frame| {
                order.extend(frame.pts());
                note(frame, &times, &mut made)
            };
            for sample in lead {
                let mut packet = Packet::from_bytes(&sample.bytes)?;
                packet.set_times(Some(sample.pts), None);
                decoder.push(Some(&packet), &mut note_made)?;
            }
            for place in &copied {
                self.token.check()?;
                decoder.push(Some(&self.packet(*place, *place == key, mended)?), &mut note_made)?;
            }
            decoder.push(None, &mut note_made)?;
            // Pictures that come out in another order are shown in another.
            let in_order = order.windows(2).all(|pair| pair[0] < pair[1]);
            let all = order.len() == lead.len() + copied.len();
            if in_order && all && made == truth && (!strict || decoder.faults() == 0) {
                return Ok(proof);
            }
        }
        Ok(Proof::Fails)
    }

    fn decoder(&self, of: Place) -> Result<Decoder> {
        Decoder::of_codec(codec_id(track(&self.sources[of.source])?.codec), TimeBase::MPEG)
    }

    /// The frames of the sources from `from` on, in decoding order, by their first fields.
    pub(super) fn frames_from(&self, from: Place) -> impl Iterator<Item = Place> {
        let sources = (from.source..self.sources.len()).map_while(move |source| {
            let video = self.sources[source].index.video.as_ref()?;
            (source == from.source || self.sources[source].joined).then_some((source, video))
        });
        sources.flat_map(move |(source, video)| {
            let begin = if source == from.source { from.unit } else { 0 };
            let units = video.units.iter().enumerate().skip(begin);
            let first = units.filter(|(at, unit)| *at == 0 || !unit.second_field);
            first.map(move |(unit, _)| Place { source, unit })
        })
    }

    /// A frame, both fields of it, for a decoder.
    fn packet(&self, place: Place, with_sets: bool, mended: &Mended) -> Result<Packet> {
        let track = track(&self.sources[place.source])?;
        let unit = &track.units[place.unit];
        let mut bytes = self.picture(place, mended)?;
        if with_sets {
            bytes = units::with_sets(track, unit.parameter_set, bytes);
        }
        if track.units.get(place.unit + 1).is_some_and(|it| it.second_field) {
            bytes.extend(self.elementary.picture(Place { unit: place.unit + 1, ..place })?);
        }
        let mut packet = Packet::from_bytes(&bytes)?;
        packet.set_times(Some(unit.pts + self.plan.shifts[place.source]), None);
        Ok(packet)
    }

    /// Where decoding can start before `key`.
    pub(super) fn start_before(&self, key: Place) -> Option<Place> {
        let mut place = key;
        loop {
            while place.unit > 0 {
                place.unit -= 1;
                let unit = &self.sources[place.source].index.video.as_ref()?.units[place.unit];
                let whole = matches!(unit.class, UnitClass::RecoveryPoint { frames: 0 } | UnitClass::Idr);
                if whole && !unit.second_field {
                    return Some(place);
                }
            }
            if !self.sources[place.source].joined {
                return None;
            }
            place.source = place.source.checked_sub(1)?;
            place.unit = self.sources[place.source].index.video.as_ref()?.units.len();
        }
    }

    /// The frames copied from piece `number` on, up to the next place where decoding can start.
    fn copied_until_next(&self, number: usize) -> Vec<Place> {
        let mut all: Vec<Place> = Vec::new();
        for piece in &self.plan.pieces[number..] {
            let (source, range) = match piece {
                Piece::Copy { source, units } => (*source, units.clone()),
                Piece::Whole { source } => (*source, 0..usize::MAX),
                Piece::Encode { .. } => return all,
            };
            // Over a hole nothing is predicted.
            if all.last().is_some_and(|last| last.source != source && !self.sources[source].joined) {
                return all;
            }
            let Some(video) = &self.sources[source].index.video else { return all };
            let units = video.units.iter().enumerate().take(range.end).skip(range.start);
            for (unit, it) in units.filter(|(_, it)| !it.second_field) {
                if all.len() == MOST || !all.is_empty() && it.class.is_random_access() {
                    return all;
                }
                all.push(Place { source, unit });
            }
        }
        all
    }
}

/// Keeps a hash of a picture that counts.
fn note(frame: Frame, times: &BTreeSet<i64>, hashes: &mut BTreeMap<i64, u64>) -> Result<()> {
    let Some(pts) = frame.pts().filter(|pts| times.contains(pts)) else { return Ok(()) };
    let mut hash = Xxh3::new();
    let (across, _) = frame.format().chroma_shift();
    let sample = if frame.format().depth() > 8 { 2 } else { 1 };
    for plane in 0..3 {
        let (bytes, stride) = frame.plane(plane);
        let width = if plane == 0 { frame.width() } else { frame.width().div_ceil(1 << across) };
        for row in bytes.chunks(stride.max(1)) {
            hash.update(&row[..(width * sample).min(row.len())]);
        }
    }
    hashes.insert(pts, hash.digest());
    Ok(())
}
