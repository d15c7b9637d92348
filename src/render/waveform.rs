//! The loudness of a span as a picture.

use super::bytes::Made;
use super::{Render, select, within};
use crate::archive::Selection;
use crate::base::{Channel, Error, Kind, Quality, Result, Span};

/// The picture's size when none is asked for.
pub const DEFAULT_SIZE: (u32, u32) = (1024, 64);

impl Render {
    /// The segments a waveform is drawn from, or why there is none.
    pub async fn waveform_selection(
        &self,
        channel: Channel,
        quality: Quality,
        span: Span,
    ) -> Result<Selection> {
        if span.is_empty() {
            return Err(Error::invalid("empty-range", "end", "End must be after start"));
        }
        within(span, self.config.waveform.max_span, "Range")?;
        self.ask(move |archive, _| select(archive, &channel, &quality, span, true)).await
    }

    /// Decodes and draws on the interactive lane.
    pub async fn waveform(&self, selection: Selection, size: (u32, u32)) -> Result<Made> {
        // Not wired yet: media::waveform is being built.
        let _ = (selection, size);
        Err(Error::new(Kind::Unsupported, "not-built", "This build cannot draw waveforms yet."))
    }
}
