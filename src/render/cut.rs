//! A full cut: exactly the frames asked for, encoded anew, streamed while it is made.

use super::bytes::{Feed, Streaming};
use super::index::unreadable;
use super::{Render, Wanted, clips, no_content, playlist, select, within};
use crate::archive::{Item, Selection};
use crate::base::{Result, Span, Token};
use crate::media::Sink;
use crate::media::cut::transition::{Description, transitions};
use crate::media::cut::{Container, CutSummary, FullCut, FullCutOptions, Holes, full};
use crate::pool::{Lane, Ticket};

/// How a full cut is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// The configured preset and quality, in the source's own profile class.
    Default,
    /// Bit for bit: x264 at crf 0, which is High 4:4:4 Predictive, or VP9 without loss.
    Lossless,
}

/// The encoders gain little from more threads, and hold frames for each.
const MAX_ENCODER_THREADS: usize = 8;

/// How a full cut is encoded into `container`, by so many threads.
pub fn options(
    config: &crate::config::Cut,
    coding: Coding,
    container: Container,
    threads: usize,
) -> FullCutOptions {
    FullCutOptions {
        preset: config.preset.clone(),
        crf: if coding == Coding::Lossless { 0 } else { config.crf },
        audio_bit_rate: config.audio_bitrate.into(),
        encoder_threads: threads.min(MAX_ENCODER_THREADS),
        container,
        vp9_speed: config.webm_speed,
        vp9_crf: config.webm_crf,
    }
}

/// What the archive has for each range of a full cut.
#[derive(Debug)]
pub struct FullCutSelection {
    wanted: Wanted,
    ranges: Vec<Selection>,
}

impl Render {
    /// Every transition a cut can be asked for.
    pub fn transitions(&self) -> &'static [Description] {
        transitions()
    }

    /// What a full cut would be made of, or why there is none.
    pub async fn full_cut_selection(&self, wanted: Wanted) -> Result<FullCutSelection> {
        let limit = self.config.cut.max_span;
        self.ask(move |archive, token| {
            let (mut ranges, mut micros) = (Vec::new(), 0i64);
            for ends in &wanted.ranges {
                token.check()?;
                let span = playlist::content_span(archive, &wanted.channel, &wanted.quality, *ends)?;
                // Holes first: an open range over a sparse archive is told what is missing, not that it is long.
                ranges.push(select(archive, &wanted.channel, &wanted.quality, span, wanted.holes)?);
                within(span, limit, "Range")?;
                micros = micros.saturating_add(span.micros());
                within(Span::new(span.start, span.start + micros), limit, "All ranges together")?;
            }
            match ranges.iter().all(Selection::is_empty).then(|| ranges.first()).flatten() {
                Some(first) => Err(no_content(first.span)),
                None => Ok(FullCutSelection { wanted, ranges }),
            }
        })
        .await
    }

    /// Starts a full cut on the batch lane and waits for its first bytes.
    pub async fn full_cut(&self, selection: FullCutSelection, coding: Coding) -> Result<Streaming> {
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
        selection: FullCutSelection,
        coding: Coding,
        mut sink: S,
    ) -> Result<(CutSummary, S)>
    where
        S: Sink + Send + 'static,
    {
        self.start_cut(selection, coding, move |cut| Ok((cut(&mut sink)?, sink)))?.wait()
    }

    /// Makes holes of segments that are as good as missing.
    ///
    /// # Errors
    /// The first of them, where holes are refused or nothing is left.
    fn leave_out(&self, ranges: &mut [Selection], holes: Holes, token: &Token) -> Result<()> {
        let mut first = None;
        for range in &mut *ranges {
            for item in &mut range.items {
                let Item::Segment(segment) = item else { continue };
                let Some(fault) = self.fault(segment, token)? else { continue };
                let hole = Span::new(segment.start(), segment.end());
                first.get_or_insert(unreadable(segment, fault));
                *item = Item::Hole(hole);
            }
        }
        match first {
            Some(error) if holes == Holes::Refuse || ranges.iter().all(Selection::is_empty) => Err(error),
            _ => Ok(()),
        }
    }

    fn start_cut<T, F>(&self, selection: FullCutSelection, coding: Coding, deliver: F) -> Result<Ticket<T>>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn FnMut(&mut dyn Sink) -> Result<CutSummary>) -> Result<T> + Send + 'static,
    {
        let render = self.clone();
        self.pool.submit(Lane::Batch, &self.stop, move |token: &Token| {
            let config = &render.config.cut;
            let token = token.child_with_deadline(config.deadline.0);
            let FullCutSelection { wanted, mut ranges } = selection;
            render.leave_out(&mut ranges, wanted.holes, &token)?;
            let sources = ranges.iter().map(|it| Ok((it.span, clips::cut_source(&render.archive, it)?)));
            let cut = FullCut {
                ranges: sources.collect::<Result<_>>()?,
                transitions: wanted.transitions,
                holes: wanted.holes,
            };
            // Seats nobody needs now become encoder threads; they are given back when the cut is done.
            let lent = render.pool.seats(Lane::Batch).borrow_idle(MAX_ENCODER_THREADS - 1);
            let options = options(config, coding, wanted.container, 1 + lent.count());
            deliver(&mut |sink| {
                let summary = full(&cut, &options, &token, sink)?;
                render.metrics.media_decoded.with_label_values(&["cut"]).inc_by(summary.decoded);
                render.metrics.media_encoded.with_label_values(&["cut"]).inc_by(summary.frames);
                Ok(summary)
            })
        })
    }
}
