//! The loudness of a span as a picture.

use super::bytes::Made;
use super::{Render, clips, select, within};
use crate::archive::Selection;
use crate::base::time::MINUTE;
use crate::base::{Channel, Error, Quality, Result, Span, Token};
use crate::media::cut::Holes;
use crate::media::waveform::columns;
use crate::pool::Lane;

/// The picture's size when none is asked for.
pub const DEFAULT_SIZE: (u32, u32) = (1024, 64);

/// Spans longer than this are drawn on the batch lane: half an hour of sound is half a second of decoding, six hours
/// are seven seconds, and frames must not wait for them.
const INTERACTIVE_MICROS: i64 = 30 * MINUTE;

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
        self.ask(move |archive, _| select(archive, &channel, &quality, span, Holes::Skip)).await
    }

    /// Decodes and draws.
    pub async fn waveform(&self, selection: Selection, size: (u32, u32)) -> Result<Made> {
        let lane = if selection.span.micros() > INTERACTIVE_MICROS { Lane::Batch } else { Lane::Interactive };
        let render = self.clone();
        let deadline = self.config.waveform.deadline.0;
        let task = move |token: &Token| {
            let token = token.child_with_deadline(deadline);
            let clips = clips::clips(&render.archive, &selection);
            let waveform = columns(&clips, selection.span, size.0 as usize, &token)?;
            waveform.draw(size.1 as usize).map(Made::new)
        };
        self.pool.submit(lane, &self.stop, task)?.await
    }
}
