//! The made parts of a smart cut: pictures encoded anew, and pictures and sound taken over one by one.

mod coder;
mod mend;
mod order;
mod prove;
mod range;
#[cfg(test)]
mod tests;
mod units;

pub(super) use coder::EdgeCoder;
pub use range::{Before, MadeRange, RangeMaker};
pub use units::with_sets;

use super::plan::{Piece, Place, RangePlan, Source, frame_ticks};
use super::reader::{Footage, PictureReader};
use crate::base::{Error, Result, Token};
use crate::media::index::{AudioCodec, UnitClass, VideoCodec, VideoTrack};
use crate::media::reservoir::Reservoir;
use crate::media::timeline;
use mend::Mended;
use prove::Proof;
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

/// The coded pictures and sound frames of the sources a range draws from, read when they are needed. Edges may be made at
/// once, by several threads.
pub trait Elementary: Sync {
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
    /// A join that gives the right pictures does, although a strict decoder finds fault with it.
    pub lenient: bool,
    /// What comes before the range.
    pub before: &'a Before,
}

/// A made part of a cut.
#[derive(Debug, Default)]
pub struct Edge {
    /// In the order of decoding times.
    pub samples: Vec<Sample>,
    /// Doubtful places that decoding proved right.
    pub proved: u64,
    /// A doubtful place that does not do, and how: the samples are of no use.
    pub refused: Option<(Place, Proof)>,
}

/// How often decoding is started earlier than the index says.
const EARLIER_STARTS: usize = 3;

pub(super) fn track<'a>(source: &Source<'a>) -> Result<&'a VideoTrack> {
    source.index.video.as_ref().ok_or_else(|| Error::damaged("a segment of the span holds no picture"))
}

impl EdgeMaker<'_> {
    /// Everything of the edge. `after` is the last decoding time of a picture before it in the output.
    pub fn samples(&self, pieces: Range<usize>, sources: Range<usize>, after: Option<i64>) -> Result<Edge> {
        let mut edge = Edge::default();
        // Where the pictures encoded last begin among the samples.
        let mut encoded = None;
        let mut mended = Mended::new();
        for number in pieces.clone() {
            self.token.check()?;
            let from = edge.samples.len();
            match &self.plan.pieces[number] {
                Piece::Copy { source, units } => {
                    let key = Place { source: *source, unit: units.start };
                    if self.repeats_order(number)? {
                        return Ok(Edge { refused: Some((key, Proof::Fails)), ..Edge::default() });
                    }
                    let doubtful = self.plan.doubtful.contains(&key);
                    let lead = encoded.take().filter(|_| doubtful).unwrap_or(from)..from;
                    if doubtful {
                        mended = self.mend(number, &edge.samples[lead.clone()])?;
                    }
                    self.copy(number, *source, units.clone(), &mended, &mut edge.samples)?;
                    if doubtful {
                        let proof = self.prove(number, &edge.samples[lead], &mended)?;
                        if proof == Proof::Fails || proof == Proof::Complains && !self.lenient {
                            return Ok(Edge { refused: Some((key, proof)), ..Edge::default() });
                        }
                        edge.proved += 1;
                    }
                }
                Piece::Encode { frames, from: start } => {
                    let last = edge.samples.last().map(|it| it.dts).or(after);
                    encoded = Some(from);
                    if !self.encode(number, frames, *start, last, &mut edge.samples)? {
                        let refused = self.next_place(number).map(|place| (place, Proof::Fails));
                        return Ok(Edge { refused, ..Edge::default() });
                    }
                }
                Piece::Whole { .. } => return Err(Error::internal("a whole segment in an edge")),
            }
        }
        let following = match self.plan.pieces.get(pieces.end) {
            Some(Piece::Whole { source }) => self.first_times(*source, 0)?.map(|it| it.1),
            _ => None,
        };
        let times: Vec<(i64, i64)> = edge.samples.iter().map(|it| (it.pts, it.dts)).collect();
        let Some(times) = timeline::rising(&times, after, following) else {
            return Err(Error::damaged("the pictures of the source cannot be put in order"));
        };
        edge.samples.iter_mut().zip(times).for_each(|(sample, dts)| sample.dts = dts);
        self.sound(sources, &mut edge.samples)?;
        edge.samples.sort_by_key(|sample| (sample.dts, sample.track));
        Ok(edge)
    }

    fn sound(&self, sources: Range<usize>, samples: &mut Vec<Sample>) -> Result<()> {
        let mut last_sound = BTreeMap::new();
        let mut reservoirs = BTreeMap::new();
        for sound in self.plan.sound.iter().filter(|it| sources.contains(&it.source)) {
            let audio = &self.sources[sound.source].index.audio[sound.track];
            let layer_three = audio.codec == AudioCodec::Mpeg { layer: 3 };
            // From the midst of a source on, frames begin in none that is here; from its first on, in those of the source
            // before, as far as can be told.
            let before = reservoirs.remove(&(sound.track, sound.source, sound.frames.start));
            let first = if sound.frames.start == 0 { Reservoir::full() } else { Reservoir::default() };
            let mut reservoir = before.unwrap_or(first);
            for frame in sound.frames.clone() {
                let mut bytes = self.elementary.sound(sound.source, sound.track, frame)?;
                if layer_three {
                    reservoir.take(&mut bytes);
                }
                let pts = audio.frames[frame].pts + self.plan.shifts[sound.source];
                // Frames that are decoded and not heard may lie before those of the stretch before: they stay behind.
                let before = last_sound.entry(sound.track).or_insert(i64::MIN);
                let dts = pts.max(before.saturating_add(1));
                *before = dts;
                let track = 1 + sound.track;
                samples.push(Sample { track, pts, dts, key: true, second_field: false, bytes });
            }
            reservoirs.insert((sound.track, sound.source, sound.frames.end), reservoir);
        }
        Ok(())
    }

    /// PTS and DTS of a unit in the output.
    fn first_times(&self, source: usize, unit: usize) -> Result<Option<(i64, i64)>> {
        let shift = self.plan.shifts[source];
        Ok(track(&self.sources[source])?.units.get(unit).map(|it| (it.pts + shift, it.dts + shift)))
    }

    /// The first picture of the piece after piece `number`, when it is copied.
    fn next_place(&self, number: usize) -> Option<Place> {
        match self.plan.pieces.get(number + 1)? {
            Piece::Copy { source, units } => Some(Place { source: *source, unit: units.start }),
            Piece::Whole { source } => Some(Place { source: *source, unit: 0 }),
            Piece::Encode { .. } => None,
        }
    }

    /// The last picture of the piece before piece `number`, when it is copied.
    fn place_before(&self, number: usize) -> Option<Place> {
        let (source, end) = match self.plan.pieces.get(number.checked_sub(1)?)? {
            Piece::Copy { source, units } => (*source, units.end),
            Piece::Whole { source } => (*source, self.sources[*source].index.video.as_ref()?.units.len()),
            Piece::Encode { .. } => return None,
        };
        Some(Place { source, unit: end.checked_sub(1)? })
    }

    /// Whether copied piece `number`, which begins at `first`, goes on where the piece before it ends.
    fn goes_on(&self, number: usize, first: Place) -> bool {
        self.place_before(number).is_some_and(|before| {
            before == Place { source: first.source, unit: first.unit.wrapping_sub(1) }
                || first.unit == 0 && before.source + 1 == first.source && self.sources[first.source].joined
        })
    }

    /// Units between copied piece `number` and the next, which are left out of the same source.
    fn left_out(&self, number: usize) -> Range<usize> {
        match (&self.plan.pieces[number], self.plan.pieces.get(number + 1)) {
            (Piece::Copy { source, units }, Some(Piece::Copy { source: next, units: after }))
                if source == next && after.start > units.end =>
            {
                units.end..after.start
            }
            _ => 0..0,
        }
    }

    /// When the last unit of copied piece `number` is decoded: where pictures after it are left out, in their place, so
    /// that it is decoded no earlier before it is shown than the source's other pictures.
    fn decoded_last(&self, number: usize, source: usize) -> Result<Option<i64>> {
        let left_out = self.left_out(number);
        let units = &track(&self.sources[source])?.units;
        let last = left_out.rev().find(|it| !units[*it].second_field);
        Ok(last.map(|it| units[it].dts + self.plan.shifts[source]))
    }

    fn copy(
        &self,
        number: usize,
        source: usize,
        range: Range<usize>,
        mended: &Mended,
        samples: &mut Vec<Sample>,
    ) -> Result<()> {
        let track = track(&self.sources[source])?;
        let shift = self.plan.shifts[source];
        let goes_on = self.goes_on(number, Place { source, unit: range.start });
        let from = samples.len();
        for at in range.clone() {
            let unit = &track.units[at];
            let mut out = self.picture(Place { source, unit: at }, mended)?;
            let mut key = unit.class == UnitClass::Idr;
            if at == range.start {
                // After pictures encoded with other parameter sets, the source's own have to be sent again.
                out = units::with_sets(track, unit.parameter_set, out);
                if !goes_on && unit.class.is_random_access() {
                    let leads = track.units.get(at + 1).is_some_and(|it| it.class == UnitClass::Radl)
                        && range.len() > 1;
                    units::broken_off(&mut out, track.codec, unit.class, leads);
                    key |= track.codec != VideoCodec::H264;
                }
            }
            // A field without a time of its own is sent with the one before.
            if unit.second_field
                && unit.estimated
                && let Some(first) = samples[from..].last_mut()
            {
                first.bytes.extend_from_slice(&out);
                continue;
            }
            let (pts, dts) = (unit.pts + shift, unit.dts + shift);
            samples.push(Sample { track: 0, pts, dts, key, second_field: unit.second_field, bytes: out });
        }
        if let Some(dts) = self.decoded_last(number, source)?
            && let Some(last) = samples[from..].last_mut()
        {
            last.dts = dts.min(last.pts);
        }
        Ok(())
    }

    /// Encodes a piece; false when the doubtful place after it cannot follow. `last` is the decoding time before it.
    fn encode(
        &self,
        number: usize,
        frames: &[Place],
        from: Place,
        last: Option<i64>,
        samples: &mut Vec<Sample>,
    ) -> Result<bool> {
        let Some(&first) = frames.first() else { return Ok(true) };
        let source = &self.sources[first.source];
        let its_track = track(source)?;
        let mut from = from;
        let (mut tries, begin) = (0, samples.len());
        let Some(again) = self.second_start(number, frames.len())? else { return Ok(false) };
        let coder = loop {
            let mut coder = EdgeCoder::like(self.settings, its_track, first.unit);
            coder.start_again(again);
            let mut reader = PictureReader::new(self.footage(), frames, from)?;
            while let Some(picture) = reader.next()? {
                coder.push(Some(picture), samples)?;
            }
            coder.push(None, samples)?;
            if reader.missing() == 0 {
                break coder;
            }
            // Decoders hold pictures back that they do not trust yet; starting earlier they do.
            tries += 1;
            let Some(earlier) = self.start_before(from).filter(|_| tries <= EARLIER_STARTS) else {
                // Pictures a damaged segment did not give are missing from the cut.
                if !source.whole {
                    break coder;
                }
                let detail = format!(
                    "a picture at the edge of the cut, in the segment of {}, cannot be decoded",
                    source.wall
                );
                return Err(Error::damaged(detail));
            };
            from = earlier;
            samples.truncate(begin);
        };
        let after = self.next_place(number);
        let numbered = after.is_some_and(|after| self.plan.doubtful.contains(&after));
        let made = &mut samples[begin..];
        if !coder.settle(self, made, first, self.place_before(number), after, numbered)? {
            return Ok(false);
        }
        if let Some(delay) = self.delay(number, made, last)? {
            made.iter_mut().for_each(|sample| sample.dts = sample.pts - delay);
        }
        Ok(true)
    }

    fn footage(&self) -> Footage<'_> {
        Footage {
            sources: self.sources,
            shifts: &self.plan.shifts,
            elementary: self.elementary,
            token: self.token,
        }
    }

    /// How long before they are shown the pictures of a piece are decoded: as those that are copied around it, so that
    /// decoding times run on over the joins.
    fn delay(&self, number: usize, made: &[Sample], last: Option<i64>) -> Result<Option<i64>> {
        if let Some(next) = self.next_place(number)
            && let Some((pts, dts)) = self.first_times(next.source, next.unit)?
        {
            let alone =
                matches!(&self.plan.pieces[number + 1], Piece::Copy { units, .. } if units.len() == 1);
            let later = if alone { self.decoded_last(number + 1, next.source)? } else { None };
            return Ok(Some((pts - later.unwrap_or(dts)).max(0)));
        }
        let times: Vec<i64> = made.iter().map(|it| it.pts).take(2).collect();
        if let (Some(last), Some(first)) = (last, times.first()) {
            let source = first_source(&self.plan.pieces[number]);
            let usual = || track(&self.sources[source]).map(frame_ticks);
            let step = times.get(1).map_or_else(usual, |second| Ok(second - first))?;
            return Ok(Some((first - last - step).clamp(0, 90_000)));
        }
        Ok(None)
    }
}

fn first_source(piece: &Piece) -> usize {
    match piece {
        Piece::Whole { source } | Piece::Copy { source, .. } => *source,
        Piece::Encode { from, .. } => from.source,
    }
}
