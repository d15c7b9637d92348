//! The tiles of segments: from the cache, or made of their keyframes now.

use super::super::{Parts, clips};
use crate::archive::{Key, OpenFile, Product, Segment, Selection};
use crate::base::{Error, Kind, Result, Span, Timestamp, Token};
use crate::media::frame::extract;
use crate::media::tile::{Tiles, of_keyframes, of_picture};
use bytes::Bytes;
use std::os::unix::fs::FileExt;

/// What is kept; another layout, or another way to draw, gets another number.
const PRODUCT: Product<'static> = Product::new("tiles", 1);

/// The most of a segment that one keyframe may take: what is read at once.
const MAX_KEYFRAME: u64 = 64 << 20;

/// A picture for a tile: near this instant in this segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    /// Its place among the segments.
    pub segment: usize,
    pub at: Timestamp,
}

/// Which picture stands for `span`: one of the segment that plays in its middle, or else of the one in it that is nearest
/// to the middle. `None` where there is none.
pub fn pick(segments: &[Segment], span: Span) -> Option<Pick> {
    let middle = span.start + span.micros() / 2;
    let after = segments.partition_point(|it| it.start() <= middle);
    let near = after.saturating_sub(1)..segments.len().min(after + 1);
    let far = |it: &Segment| match middle {
        at if at < it.start() => it.start() - at,
        at if at >= it.end() => at - it.end() + 1,
        _ => 0,
    };
    let within = near.filter(|at| segments[*at].start() < span.end && segments[*at].end() > span.start);
    let segment = within.min_by_key(|at| far(&segments[*at]))?;
    let it = &segments[segment];
    Some(Pick { segment, at: middle.clamp(it.start(), it.end().max(it.start())) })
}

impl Parts {
    /// The tiles of a segment, each as large as fits into `size`.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where the segment is gone; what `token` has. What is damaged has no tiles.
    pub(in crate::render) fn tiles(
        &self,
        segment: &Segment,
        size: (u32, u32),
        token: &Token,
    ) -> Result<Bytes> {
        let variant = format!("{}x{}", size.0, size.1);
        let key = Key::of(&self.archive, segment, PRODUCT.variant(&variant)?)?;
        self.sidecars.get_or_make(&key, token, || {
            let tiles = match self.make_tiles(segment, size, token) {
                Err(error) if error.kind == Kind::Damaged => Tiles::default(),
                tiles => tiles?,
            };
            Ok(tiles.encode())
        })
    }

    fn make_tiles(&self, segment: &Segment, size: (u32, u32), token: &Token) -> Result<Tiles> {
        let tiles = match self.index(segment, token) {
            Err(error) if error.kind == Kind::Unsupported => Tiles::default(),
            Err(error) => return Err(error),
            Ok(index) => {
                let open = self.open_segment(segment)?;
                of_keyframes(&index.index, size, token, &mut |range| part(&open, range))?
            }
        };
        self.metrics.media_decoded.with_label_values(&["tile"]).inc_by(tiles.0.len() as u64);
        if !tiles.0.is_empty() {
            return Ok(tiles);
        }
        // No picture of it can be decoded alone, or its container is not ours to read: its first picture, as any other.
        let before = clips::before(&self.archive, segment)?;
        let clip = clips::clip(&self.archive, segment);
        let picture = extract(before.as_ref(), &clip, segment.start(), token)?;
        self.metrics.media_decoded.with_label_values(&["tile"]).inc_by(picture.decoded as u64);
        let at = picture.start - segment.start();
        Ok(Tiles(vec![of_picture(&picture.frame, picture.turn, at, size)?]))
    }
}

/// Bytes of an open segment.
fn part(open: &OpenFile, range: std::ops::Range<u64>) -> Result<Vec<u8>> {
    let length = range.end.saturating_sub(range.start);
    if range.end > open.len || length > MAX_KEYFRAME {
        return Err(Error::damaged("a segment is shorter than its index, or a keyframe larger than 64 MiB"));
    }
    let mut bytes = vec![0; length as usize];
    let unreadable = |fault: std::io::Error| Error::io("a segment cannot be read", &fault);
    open.file.read_exact_at(&mut bytes, range.start).map_err(unreadable)?;
    Ok(bytes)
}

/// The segments of a selection.
pub fn segments(selection: &Selection) -> Vec<Segment> {
    selection.segments().cloned().collect()
}
