//! A rough cut: the segments that cover a span, one after the other, byte for byte.

use super::bytes::ByteSource;
use super::{Render, Wanted, playlist, select};
use crate::archive::{Archive, OpenFile, Segment, Selection};
use crate::base::{Error, Name, Result, Token};
use base64::Engine;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::SystemTime;

impl Render {
    pub async fn rough_cut(&self, wanted: Wanted) -> Result<Arc<RoughCut>> {
        let render = self.clone();
        self.ask(move |archive, token| {
            let mut selections = Vec::new();
            for (start, end) in &wanted.ranges {
                token.check()?;
                let span = playlist::content_span(archive, &wanted.channel, &wanted.quality, (*start, *end))?;
                selections.push(select(archive, &wanted.channel, &wanted.quality, span, wanted.holes)?);
            }
            RoughCut::new(render, selections.iter().flat_map(Selection::segments), token)
        })
        .await
        .map(Arc::new)
    }
}

/// The concatenation as a body. One file is open at a time.
pub struct RoughCut {
    render: Render,
    /// Each segment with the offset behind its last byte.
    pieces: Vec<(Segment, u64)>,
    tag: String,
    modified: Option<SystemTime>,
    /// The file read last and its place in `pieces`.
    open: Mutex<Option<(usize, Arc<OpenFile>)>>,
}

impl RoughCut {
    fn new<'a>(render: Render, segments: impl Iterator<Item = &'a Segment>, token: &Token) -> Result<Self> {
        let mut digest = Sha256::new();
        let (mut pieces, mut end, mut modified) = (Vec::new(), 0u64, None);
        for segment in segments {
            token.check()?;
            let open = open(&render.archive, segment)?;
            end = end.saturating_add(open.len);
            modified = modified.max(Some(open.modified));
            // The name holds the hash of the content; the length tells a file that was cut short since.
            digest.update(segment.name().as_bytes());
            digest.update(open.len.to_le_bytes());
            pieces.push((segment.clone(), end));
        }
        let tag = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest.finalize()[..18]);
        Ok(Self { render, pieces, tag, modified, open: Mutex::new(None) })
    }

    fn file(&self, at: usize) -> Result<Arc<OpenFile>> {
        let mut last = self.open.lock();
        match &*last {
            Some((place, file)) if *place == at => Ok(Arc::clone(file)),
            _ => {
                let file = Arc::new(open(&self.render.archive, &self.pieces[at].0)?);
                *last = Some((at, Arc::clone(&file)));
                Ok(file)
            }
        }
    }
}

fn open(archive: &Archive, segment: &Segment) -> Result<OpenFile> {
    archive.open_file(&[
        Name::new("channel", segment.channel().as_str())?,
        Name::new("quality", segment.quality().as_str())?,
        Name::new("hour", &segment.hour().to_string())?,
        Name::new("segment", segment.name())?,
    ])
}

impl ByteSource for RoughCut {
    fn length(&self) -> u64 {
        self.pieces.last().map_or(0, |(_, end)| *end)
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Bytes> {
        let changed = |fault: std::io::Error| Error::io("a segment changed while it was read", &fault);
        let mut buffer = BytesMut::zeroed(length);
        let (mut from, mut filled) = (offset, 0);
        let mut at = self.pieces.partition_point(|(_, end)| *end <= from);
        while filled < length {
            let Some((_, end)) = self.pieces.get(at) else {
                return Err(Error::internal("a read beyond the end of a cut"));
            };
            let begin = at.checked_sub(1).map_or(0, |before| self.pieces[before].1);
            let count = usize::try_from(end - from).unwrap_or(usize::MAX).min(length - filled);
            let part = &mut buffer[filled..filled + count];
            self.file(at)?.file.read_exact_at(part, from - begin).map_err(changed)?;
            (from, filled, at) = (from + count as u64, filled + count, at + 1);
        }
        Ok(buffer.freeze())
    }
}
