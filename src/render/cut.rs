//! A full cut: exactly the frames asked for, encoded anew, streamed while it is made.

use super::bytes::Streaming;
use super::rough::Wanted;
use super::{Render, playlist, select, within};
use crate::archive::Selection;
use crate::base::{Error, Kind, Result};

/// How a full cut is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// The configured preset and quality, in the source's own profile class.
    Default,
    /// Bit for bit: x264 at crf 0, which is High 4:4:4 Predictive.
    Lossless,
}

impl Render {
    /// What a full cut would be made of, or why there is none.
    pub async fn full_cut_selection(&self, wanted: Wanted) -> Result<Selection> {
        let limit = self.config.cut.max_span;
        self.ask(move |archive, _| {
            let span = playlist::span(archive, &wanted.channel, &wanted.quality, wanted.start, wanted.end)?;
            // Holes first: an open range over a sparse archive is told what is missing, not that it is long.
            let selection = select(archive, &wanted.channel, &wanted.quality, span, wanted.allow_holes)?;
            within(span, limit, "Range")?;
            Ok(selection)
        })
        .await
    }

    /// Starts a full cut on the batch lane and waits for its first bytes.
    pub async fn full_cut(&self, selection: Selection, coding: Coding) -> Result<Streaming> {
        // Not wired yet: media::cut is being built.
        let _ = (selection, coding);
        Err(Error::new(Kind::Unsupported, "not-built", "This build cannot make full cuts yet."))
    }
}
