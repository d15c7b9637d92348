//! The frame that is on screen at an instant.

use super::bytes::Made;
use super::{Render, clips, no_content};
use crate::archive::TOLERANCE;
use crate::base::{Channel, Quality, Result, Span, Timestamp};
use crate::media::picture::{PictureFormat, encode};
use crate::media::{Clip, frame::extract};
use crate::pool::Lane;

/// What a frame is encoded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Png,
    Jpeg,
}

/// Where the frame of an instant is.
#[derive(Debug, Clone)]
pub struct FrameSource {
    /// The segment that was on screen, and the one it continues.
    clip: Clip,
    before: Option<Clip>,
    at: Timestamp,
}

impl Render {
    /// The segment on screen at `at`: the last that starts at or before it, unless that ended more than the
    /// tolerance of a join ago.
    pub async fn frame_source(
        &self,
        channel: Channel,
        quality: Quality,
        at: Timestamp,
    ) -> Result<FrameSource> {
        self.ask(move |archive, _| {
            let around = Span::new(at + -TOLERANCE, at + 1);
            let selection = archive.select(&channel, &quality, around)?;
            let shown = selection.segments().rfind(|it| it.start() <= at && at < it.end() + TOLERANCE);
            let segment = shown.ok_or_else(|| no_content(Span::new(at, at + 1)))?;
            Ok(FrameSource {
                clip: clips::clip(archive, segment),
                before: clips::before(archive, segment)?,
                at,
            })
        })
        .await
    }

    /// Decodes and encodes the frame on the interactive lane.
    pub async fn frame(&self, source: FrameSource, format: Format) -> Result<Made> {
        let render = self.clone();
        let deadline = self.config.frame.deadline.0;
        let format = match format {
            Format::Png => PictureFormat::Png,
            Format::Jpeg => PictureFormat::Jpeg(self.config.frame.jpeg_quality),
        };
        let task = move |token: &crate::base::Token| {
            let token = token.child_with_deadline(deadline);
            let picture = extract(source.before.as_ref(), &source.clip, source.at, &token)?;
            render.metrics.media_decoded.with_label_values(&["frame"]).inc_by(picture.decoded as u64);
            let bytes = encode(&picture.frame, picture.rotation, format)?;
            render.metrics.media_encoded.with_label_values(&["frame"]).inc();
            Ok(Made::new(bytes))
        };
        self.pool.submit(Lane::Interactive, &self.stop, task)?.await
    }
}
