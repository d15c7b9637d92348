//! A cut as a file of parts: bytes made beforehand, and segments changed while they are read.

use crate::archive::Segment;
use crate::base::{Error, Result};
use crate::render::Render;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

/// How the bytes of a part come to be what the file holds. The same input gives the same bytes.
pub(super) trait Recipe: Send + Sync {
    fn make(&self, source: Vec<u8>) -> Result<Bytes>;

    /// Bytes it holds itself.
    fn held(&self) -> u64 {
        0
    }
}

/// Where a part comes from.
pub(super) enum Origin {
    /// Made beforehand, and held.
    Held(Bytes),
    /// A segment of the archive, whole.
    Segment(Segment),
}

/// A part of the file.
pub(super) struct Part {
    pub origin: Origin,
    /// `None` takes the origin as it is.
    pub recipe: Option<Box<dyn Recipe>>,
    /// What the recipe gives, in bytes.
    pub length: u64,
}

/// Parts one after the other.
pub(super) struct Layout {
    render: Render,
    parts: Vec<Part>,
    /// The offset behind each part's last byte.
    ends: Vec<u64>,
    /// The part made last: readers ask for a megabyte at a time.
    last: Mutex<Option<(usize, Bytes)>>,
}

impl Layout {
    pub fn new(render: Render) -> Self {
        Self { render, parts: Vec::new(), ends: Vec::new(), last: Mutex::default() }
    }

    pub fn push(&mut self, part: Part) {
        self.ends.push(self.length() + part.length);
        self.parts.push(part);
    }

    pub fn length(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Bytes made beforehand, which stay in memory as long as the cut.
    pub fn held(&self) -> u64 {
        let held = |part: &Part| {
            let origin = match &part.origin {
                Origin::Held(bytes) => bytes.len() as u64,
                Origin::Segment(_) => 0,
            };
            origin + part.recipe.as_ref().map_or(0, |recipe| recipe.held())
        };
        self.parts.iter().map(held).sum()
    }

    fn part(&self, at: usize) -> Result<Bytes> {
        let mut last = self.last.lock();
        if let Some((number, bytes)) = &*last
            && *number == at
        {
            return Ok(bytes.clone());
        }
        let part = &self.parts[at];
        let bytes = match (&part.origin, &part.recipe) {
            (Origin::Held(bytes), None) => return Ok(bytes.clone()),
            (Origin::Held(bytes), Some(recipe)) => recipe.make(bytes.to_vec())?,
            (Origin::Segment(segment), None) => self.render.segment_bytes(segment)?.into(),
            (Origin::Segment(segment), Some(recipe)) => recipe.make(self.render.segment_bytes(segment)?)?,
        };
        if bytes.len() as u64 != part.length {
            return Err(changed());
        }
        *last = Some((at, bytes.clone()));
        Ok(bytes)
    }

    /// Lets go of a part that was read to its end: whoever reads on needs the next one.
    fn done(&self, at: usize) {
        let mut last = self.last.lock();
        if last.as_ref().is_some_and(|(number, _)| *number == at) {
            *last = None;
        }
    }

    /// `count` bytes of a part from `skip` on.
    fn slice(&self, at: usize, skip: usize, count: usize) -> Result<Bytes> {
        let bytes = self.part(at)?;
        let end = skip + count;
        if end == bytes.len() {
            self.done(at);
        }
        Ok(bytes.slice(skip..end))
    }

    /// Exactly `length` bytes from `offset`, which lie within the file; those of one part without a copy.
    pub fn read_at(&self, offset: u64, length: usize) -> Result<Bytes> {
        let mut at = self.ends.partition_point(|end| *end <= offset);
        let mut from = offset;
        if let Some(end) = self.ends.get(at)
            && offset + length as u64 <= *end
        {
            let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
            return self.slice(at, (offset - begin) as usize, length);
        }
        let mut out = BytesMut::with_capacity(length);
        while out.len() < length {
            if at >= self.parts.len() {
                return Err(Error::internal("a read beyond the end of a cut"));
            }
            let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
            let skip = (from - begin) as usize;
            let count = (self.parts[at].length as usize - skip).min(length - out.len());
            out.extend_from_slice(&self.slice(at, skip, count)?);
            from += count as u64;
            at += 1;
        }
        Ok(out.freeze())
    }
}

pub(super) fn changed() -> Error {
    Error::damaged("a segment changed while it was read")
}
