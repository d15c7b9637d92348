//! The peaks of segments: made once from their sound alone, kept beside the archive, read by whoever draws.

use super::{Parts, clips};
use crate::archive::{Archive, Key, Product, Segment, SegmentKind, TOLERANCE};
use crate::base::{Error, Kind, Result, Token};
use crate::media::pcm::{self, RunIn, SegmentDecoder, Take};
use crate::media::peaks::{Builder, Part, Pyramid, View};
use bytes::Bytes;

/// What is kept; another layout, or another way to reckon, gets another number.
const PRODUCT: Product<'static> = Product::new("peaks", 1);

fn product(part: Part) -> Result<Product<'static>> {
    PRODUCT.variant(match part {
        Part::Coarse => "coarse",
        Part::Mix => "mix",
        Part::Channels => "channels",
    })
}

/// Segments in order of time, and what a decoder needs from the one before each.
pub(super) struct Sounds<'a> {
    parts: &'a Parts,
    segments: &'a [Segment],
    /// The run-in that the last segment decoded leaves for the one at this place.
    tail: Option<(usize, Option<RunIn>)>,
    decoder: SegmentDecoder,
    bytes: Vec<u8>,
    /// What was built last, for its memory.
    spare: Pyramid,
    /// Parts of segments, by their places, that are not filed yet.
    made: Vec<(usize, Part, Bytes)>,
}

/// The largest segment whose memory is used again, in bytes.
const KEPT_BYTES: usize = 16 << 20;

/// Parts that are filed together: those of a task's segments.
const FILED_AT_ONCE: usize = 72;

/// Whether `segment` continues `before` without a hole.
fn joins(before: &Segment, segment: &Segment) -> bool {
    before.kind() == SegmentKind::Full && (before.end() - segment.start()).abs() <= TOLERANCE
}

impl<'a> Sounds<'a> {
    pub(super) fn new(parts: &'a Parts, segments: &'a [Segment]) -> Self {
        Self {
            parts,
            segments,
            tail: None,
            decoder: SegmentDecoder::default(),
            bytes: Vec::new(),
            spare: Pyramid::default(),
            made: Vec::new(),
        }
    }

    /// The last frames before the segment at `at`.
    fn run_in(&mut self, at: usize) -> Result<Option<RunIn>> {
        if let Some((_, tail)) = self.tail.take_if(|it| it.0 == at) {
            return Ok(tail);
        }
        let segment = &self.segments[at];
        let before = match at.checked_sub(1) {
            Some(before) => Some(self.segments[before].clone()).filter(|it| joins(it, segment)),
            None => clips::segment_before(&self.parts.archive, segment)?,
        };
        let Some(before) = before else { return Ok(None) };
        match self.parts.read_segment(&before, &mut self.bytes) {
            Ok(()) => Ok(RunIn::of(&self.bytes)),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Decodes the sound of the segment at `at`.
    pub(super) fn decode(&mut self, at: usize, token: &Token, take: &mut Take<'_>) -> Result<()> {
        let run_in = self.run_in(at)?;
        let segment = &self.segments[at];
        self.parts.read_segment(segment, &mut self.bytes)?;
        let (decoder, bytes) = (&mut self.decoder, &self.bytes);
        let tail = match decoder.segment(bytes, segment.start(), run_in.as_ref(), token, take) {
            Err(error) if error.kind == Kind::Unsupported => {
                let clip = clips::clip(&self.parts.archive, segment);
                pcm::clip(&clip, token, take)?;
                None
            }
            outcome => outcome?,
        };
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
        let joined = self.segments.get(at + 1).is_some_and(|next| joins(segment, next));
        self.tail = Some((at + 1, tail.filter(|_| joined)));
        self.parts.metrics.media_decoded.with_label_values(&["sound"]).inc();
        Ok(())
    }

    /// One part of the peaks of the segment at `at`, from the cache or made now. What is damaged has the sound that could
    /// be decoded.
    pub(super) fn peaks(&mut self, at: usize, part: Part, token: &Token) -> Result<Bytes> {
        match self.kept(at, part)? {
            Some(bytes) => Ok(bytes),
            None => self.make(at, part, token),
        }
    }

    fn kept(&self, at: usize, part: Part) -> Result<Option<Bytes>> {
        let key = Key::of(&self.parts.archive, &self.segments[at], product(part)?);
        Ok(self.parts.sidecars.get(&key?))
    }

    /// [`Self::peaks`], of a segment whose are not kept.
    pub(super) fn make(&mut self, at: usize, part: Part, token: &Token) -> Result<Bytes> {
        let parts = self.parts;
        let key = |part: Part| Key::of(&parts.archive, &self.segments[at], product(part)?);
        let (coarse_key, key) = (key(Part::Coarse)?, key(part)?);
        let mut made = None;
        let coarse = parts.sidecars.make_to_file(&coarse_key, token, || {
            let pyramid = self.build(at, token)?;
            let coarse = pyramid.encode(Part::Coarse);
            // Who waits for the coarse part to ask for this one finds it.
            let wanted = (part != Part::Coarse).then(|| Bytes::from(pyramid.encode(part)));
            wanted.iter().for_each(|wanted| parts.sidecars.hold(&key, wanted));
            made = Some((pyramid, wanted));
            Ok(coarse)
        })?;
        if made.is_none() && part != Part::Coarse {
            self.file();
            if let Some(bytes) = parts.sidecars.get(&key) {
                return Ok(bytes);
            }
            // Only the coarse part was still there.
            made = Some((self.build(at, token)?, None));
        }
        let Some((pyramid, wanted)) = made else { return Ok(coarse) };
        let encoded = |part: Part| match part {
            Part::Coarse => coarse.clone(),
            _ => pyramid.encode(part).into(),
        };
        let bytes = wanted.unwrap_or_else(|| encoded(part));
        // Of one channel, the mix is all there is.
        let all = [Part::Coarse, Part::Mix, Part::Channels];
        for kept in &all[..if pyramid.channels > 1 { 3 } else { 2 }] {
            let bytes = if *kept == part { bytes.clone() } else { encoded(*kept) };
            self.made.push((at, *kept, bytes));
        }
        if self.made.len() >= FILED_AT_ONCE {
            self.file();
        }
        self.spare = pyramid;
        Ok(bytes)
    }

    fn build(&mut self, at: usize, token: &Token) -> Result<Pyramid> {
        let mut builder = Builder::in_place_of(std::mem::take(&mut self.spare));
        let decoded = self.decode(at, token, &mut |position, format, channels| {
            builder.add(position, format, channels);
            Ok(())
        });
        match decoded {
            Err(error) if matches!(error.kind, Kind::Damaged | Kind::Unsupported) => {}
            outcome => outcome?,
        }
        Ok(builder.finish())
    }

    /// Files what is not filed yet: each product of an hour by one write.
    fn file(&mut self) {
        let mut made = std::mem::take(&mut self.made);
        // The coarse parts last: who finds one need not ask for the others.
        made.sort_by_key(|(_, part, _)| match part {
            Part::Mix => 0,
            Part::Channels => 1,
            Part::Coarse => 2,
        });
        let key = |at: usize, part: Part| Key::of(&self.parts.archive, &self.segments[at], product(part)?);
        let keys: Vec<_> = made.iter().map(|(at, part, _)| key(*at, *part)).collect();
        let entries =
            keys.iter().zip(made).filter_map(|(key, (_, _, bytes))| Some((key.as_ref().ok()?, bytes)));
        self.parts.sidecars.put_many(&entries.collect::<Vec<_>>());
    }
}

impl Drop for Sounds<'_> {
    fn drop(&mut self) {
        self.file();
    }
}

impl Parts {
    /// Hands all parts that are kept to `take`, and gives the places of the segments whose are not.
    pub(super) fn kept_peaks(
        &self,
        segments: &[Segment],
        part: Part,
        mut take: impl FnMut(&[View<'_>]),
    ) -> Result<Vec<usize>> {
        let keys = keys(&self.archive, segments, product(part)?)?;
        let mut add = |places: &mut dyn Iterator<Item = (usize, Option<&[u8]>)>| {
            let (mut views, mut missing) = (Vec::with_capacity(places.size_hint().0), Vec::new());
            for (place, bytes) in places {
                match bytes.and_then(|bytes| View::decode(part, bytes)) {
                    Some(view) => views.push(view),
                    None => missing.push(place),
                }
            }
            take(&views);
            missing
        };
        let mut missing = Vec::new();
        self.sidecars.look_many(&keys, |first, held| {
            missing.extend(add(&mut held.iter().enumerate().map(|(at, bytes)| (first + at, *bytes))));
        });
        if missing.is_empty() {
            return Ok(missing);
        }
        let keys: Vec<_> = missing.iter().map(|at| keys[*at]).collect();
        let kept = self.sidecars.get_many(&keys);
        Ok(add(&mut missing.iter().copied().zip(kept.iter().map(Option::as_deref))))
    }
}

fn keys<'a>(archive: &Archive, segments: &'a [Segment], product: Product<'a>) -> Result<Vec<Key<'a>>> {
    segments.iter().map(|it| Key::of(archive, it, product)).collect()
}

/// What was just made, read.
pub(super) fn view(part: Part, bytes: &[u8]) -> Result<View<'_>> {
    View::decode(part, bytes).ok_or_else(|| Error::internal("peaks just made cannot be read"))
}
