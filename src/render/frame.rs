//! The frame that is on screen at an instant.

use super::bytes::Made;
use super::{Render, no_content};
use crate::archive::{Segment, TOLERANCE};
use crate::base::time::ROUNDING_MICROS;
use crate::base::{Channel, Error, Kind, Quality, Result, Span, Timestamp};

/// What a frame is encoded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Png,
    Jpeg,
}

impl Render {
    /// The segments that may hold the frame on screen at `at`: the one that holds the instant, and those within
    /// the tolerance of a join.
    pub async fn frame_segments(
        &self,
        channel: Channel,
        quality: Quality,
        at: Timestamp,
    ) -> Result<Vec<Segment>> {
        self.ask(move |archive, _| {
            let around = Span::new(at + -TOLERANCE, at + (ROUNDING_MICROS + 1));
            let selection = archive.select(&channel, &quality, around)?;
            let segments: Vec<Segment> = selection.segments().cloned().collect();
            if segments.is_empty() { Err(no_content(Span::new(at, at + 1))) } else { Ok(segments) }
        })
        .await
    }

    /// Decodes and encodes the frame on the interactive lane.
    pub async fn frame(&self, segments: Vec<Segment>, at: Timestamp, format: Format) -> Result<Made> {
        // Not wired yet: media::frame is being built.
        let _ = (segments, at, format);
        Err(Error::new(Kind::Unsupported, "not-built", "This build cannot make frames yet."))
    }
}
