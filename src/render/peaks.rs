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
    /// Fine parts of segments, by their places, that are not filed yet.
    fine: Vec<(usize, Part, Bytes)>,
}

/// The largest segment whose memory is used again, in bytes.
const KEPT_BYTES: usize = 16 << 20;

/// Fine parts that are filed together: those of a task's segments.
const FILED_AT_ONCE: usize = 48;

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
            fine: Vec::new(),
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
        let (parts, segments) = (self.parts, self.segments);
        let key = |part: Part| Key::of(&parts.archive, &segments[at], product(part)?);
        let mut made = None;
        let coarse = parts.sidecars.get_or_make(&key(Part::Coarse)?, token, || {
            let pyramid = self.build(at, token)?;
            self.keep_fine(at, &pyramid);
            let bytes = pyramid.encode(Part::Coarse);
            made = Some(pyramid);
            Ok(bytes)
        })?;
        if part == Part::Coarse {
            self.spare = made.unwrap_or_default();
            return Ok(coarse);
        }
        if made.is_none() {
            self.file_fine();
            if let Some(bytes) = parts.sidecars.get(&key(part)?) {
                return Ok(bytes);
            }
        }
        let pyramid = match made {
            Some(pyramid) => pyramid,
            // Only the coarse part was still there.
            None => {
                let pyramid = self.build(at, token)?;
                self.keep_fine(at, &pyramid);
                pyramid
            }
        };
        let bytes = pyramid.encode(part).into();
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

    fn keep_fine(&mut self, at: usize, pyramid: &Pyramid) {
        self.fine.push((at, Part::Mix, pyramid.encode(Part::Mix).into()));
        // One channel is the mix.
        if pyramid.channels > 1 {
            self.fine.push((at, Part::Channels, pyramid.encode(Part::Channels).into()));
        }
        if self.fine.len() >= FILED_AT_ONCE {
            self.file_fine();
        }
    }

    /// Files what is not filed yet: each product of an hour by one write.
    fn file_fine(&mut self) {
        let mut fine = std::mem::take(&mut self.fine);
        fine.sort_by_key(|(_, part, _)| *part != Part::Mix);
        let key = |at: usize, part: Part| Key::of(&self.parts.archive, &self.segments[at], product(part)?);
        let keys: Vec<_> = fine.iter().map(|(at, part, _)| key(*at, *part)).collect();
        let entries =
            keys.iter().zip(fine).filter_map(|(key, (_, _, bytes))| Some((key.as_ref().ok()?, bytes)));
        self.parts.sidecars.put_many(&entries.collect::<Vec<_>>());
    }
}

impl Drop for Sounds<'_> {
    fn drop(&mut self) {
        self.file_fine();
    }
}

impl Parts {
    /// Hands every part that is kept to `take`, and gives the places of the segments whose is not.
    pub(super) fn kept_peaks(
        &self,
        segments: &[Segment],
        part: Part,
        mut take: impl FnMut(&View<'_>),
    ) -> Result<Vec<usize>> {
        let mut missing = Vec::new();
        let keys = keys(&self.archive, segments, product(part)?)?;
        for (at, bytes) in self.sidecars.get_many(&keys).into_iter().enumerate() {
            match bytes.as_deref().and_then(|bytes| View::decode(part, bytes)) {
                Some(view) => take(&view),
                None => missing.push(at),
            }
        }
        Ok(missing)
    }
}

fn keys<'a>(archive: &Archive, segments: &'a [Segment], product: Product<'a>) -> Result<Vec<Key<'a>>> {
    segments.iter().map(|it| Key::of(archive, it, product)).collect()
}

/// What was just made, read.
pub(super) fn view(part: Part, bytes: &[u8]) -> Result<View<'_>> {
    View::decode(part, bytes).ok_or_else(|| Error::internal("peaks just made cannot be read"))
}
