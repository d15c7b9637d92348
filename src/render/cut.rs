//! A full cut: exactly the frames asked for, encoded anew, streamed while it is made.

use super::bytes::{Feed, Streaming};
use super::{Render, Wanted, clips, playlist, select, within};
use crate::archive::Selection;
use crate::base::{Error, Kind, Result, Token};
use crate::media::Sink;
use crate::media::cut::{CutSummary, FullCutOptions, full};
use crate::pool::{Lane, Ticket};

/// How a full cut is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// The configured preset and quality, in the source's own profile class.
    Default,
    /// Bit for bit: x264 at crf 0, which is High 4:4:4 Predictive.
    Lossless,
}

/// x264 gains little from more threads, and holds frames for each.
const MAX_ENCODER_THREADS: usize = 8;

impl Render {
    /// What a full cut would be made of, or why there is none.
    pub async fn full_cut_selection(&self, wanted: Wanted) -> Result<Selection> {
        let limit = self.config.cut.max_span;
        let [(start, end)] = wanted.ranges[..] else {
            let detail = "several ranges are for type=smart and type=rough; mpegts takes one range at a time";
            return Err(Error::new(Kind::Unsupported, "unsupported-ranges", detail).with_parameter("range"));
        };
        self.ask(move |archive, _| {
            let span = playlist::content_span(archive, &wanted.channel, &wanted.quality, (start, end))?;
            // Holes first: an open range over a sparse archive is told what is missing, not that it is long.
            let selection = select(archive, &wanted.channel, &wanted.quality, span, wanted.holes)?;
            within(span, limit, "Range")?;
            Ok(selection)
        })
        .await
    }

    /// Starts a full cut on the batch lane and waits for its first bytes.
    pub async fn full_cut(&self, selection: Selection, coding: Coding) -> Result<Streaming> {
        let (mut feed, rest) = Feed::new();
        let ticket = self.start_cut(selection, coding, move |cut| {
            cut(&mut feed)?;
            feed.finish()
        })?;
        Streaming::begin(rest, ticket).await
    }

    /// A full cut into `sink`, which is given back; waits for the end on the caller's thread.
    pub fn full_cut_into<S>(
        &self,
        selection: Selection,
        coding: Coding,
        mut sink: S,
    ) -> Result<(CutSummary, S)>
    where
        S: Sink + Send + 'static,
    {
        self.start_cut(selection, coding, move |cut| Ok((cut(&mut sink)?, sink)))?.wait()
    }

    fn start_cut<T, F>(&self, selection: Selection, coding: Coding, deliver: F) -> Result<Ticket<T>>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn FnMut(&mut dyn Sink) -> Result<CutSummary>) -> Result<T> + Send + 'static,
    {
        let render = self.clone();
        self.pool.submit(Lane::Batch, &self.stop, move |token: &Token| {
            let config = &render.config.cut;
            let token = token.child_with_deadline(config.deadline.0);
            let source = clips::cut_source(&render.archive, &selection)?;
            // Seats nobody needs now become encoder threads; they are given back when the cut is done.
            let lent = render.pool.seats(Lane::Batch).borrow_idle(MAX_ENCODER_THREADS - 1);
            let options = FullCutOptions {
                preset: config.preset.clone(),
                crf: if coding == Coding::Lossless { 0 } else { config.crf },
                audio_bit_rate: config.audio_bitrate.into(),
                encoder_threads: 1 + lent.count(),
            };
            deliver(&mut |sink| {
                let summary = full(&source, selection.span, &options, &token, sink)?;
                render.metrics.media_decoded.with_label_values(&["cut"]).inc_by(summary.decoded);
                render.metrics.media_encoded.with_label_values(&["cut"]).inc_by(summary.frames);
                Ok(summary)
            })
        })
    }
}
