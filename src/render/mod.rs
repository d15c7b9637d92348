//! The uses: "this channel, this span" becomes bytes. Joins archive, media, pool and packaging, so that a handler
//! above needs to know none of them, and the command line runs the same code.

pub mod bytes;
mod chat;
mod clips;
pub mod coverage;
pub mod cut;
pub mod demo;
pub mod files;
pub mod frame;
pub mod generate;
mod iframes;
mod index;
pub mod loudness;
mod peaks;
pub mod playlist;
pub mod rough;
pub mod scenes;
pub mod smart;
mod spread;
pub mod storyboard;
pub mod thumbnail;
pub mod warm;
pub mod waveform;
pub mod words;

use crate::archive::{Archive, Selection, Sidecars};
use crate::base::metrics::Metrics;
use crate::base::{Channel, Error, Kind, Quality, Result, Span, Timestamp, Token};
use crate::config::Config;
use crate::media::cut::{Container, Holes, Transition};
use crate::pool::{Lane, Pool};
use std::ops::Deref;
use std::sync::Arc;

/// One range of a cut; an open end is the archive's own.
pub type Ends = (Option<Timestamp>, Option<Timestamp>);

/// Reads `START,END`; either may be left out, for where the first segment starts and the last one ends.
///
/// # Errors
/// `invalid-range` without exactly one comma; `invalid-timestamp`.
pub fn parse_range(text: &str) -> Result<Ends> {
    let parts: Vec<&str> = text.split(',').collect();
    let [start, end] = parts[..] else {
        let detail = "range must be START,END: two times and one comma";
        return Err(Error::invalid("invalid-range", "range", detail));
    };
    let read = |text: &str| match text {
        "" => Ok(None),
        text => Timestamp::parse("range", text).map(Some),
    };
    Ok((read(start)?, read(end)?))
}

/// Ranges of one cut at most.
pub const MAX_RANGES: usize = 200;

/// What a cut is made of: its ranges, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub channel: Channel,
    pub quality: Quality,
    pub ranges: Vec<Ends>,
    /// Between each range and the next; `None` is a hard cut.
    pub transitions: Vec<Option<Transition>>,
    pub holes: Holes,
    pub container: Container,
}

/// What every use needs. Cloning shares it.
#[derive(Clone)]
pub struct Render(Arc<Parts>);

pub struct Parts {
    /// Shared with what records live streams.
    pub archive: Arc<Archive>,
    /// Bytes derived from segments.
    pub sidecars: Sidecars,
    /// Smart cuts prepared lately.
    pub smart: smart::SmartCache,
    /// Pictures decoded and drawn lately.
    pub pictures: frame::Pictures,
    pub pool: Pool,
    pub config: Config,
    pub metrics: Metrics,
    /// Cancelled when the grace of a shutdown is over; every piece of work hangs below it.
    pub stop: Token,
}

impl Deref for Render {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Render {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Asks the archive on the disk lane.
    pub async fn ask<T, F>(&self, question: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Archive, &Token) -> Result<T> + Send + 'static,
    {
        let parts = self.clone();
        self.pool.submit(Lane::Disk, &self.stop, move |token| question(&parts.archive, token))?.await
    }
}

/// Holes named in one error: a span of years over a few minutes of content has thousands.
const HOLES_NAMED: usize = 100;

/// What the archive has for `span`, or [`Kind::Holes`] where it has nothing, or not all and holes are not allowed.
fn select(
    archive: &Archive,
    channel: &Channel,
    quality: &Quality,
    span: Span,
    holes: Holes,
) -> Result<Selection> {
    let selection = archive.select(channel, quality, span)?;
    if holes == Holes::Refuse && !selection.is_unbroken() {
        let detail = "Requested time range contains holes or is incomplete.";
        let mut holes = selection.holes();
        holes.truncate(HOLES_NAMED);
        return Err(Error::new(Kind::Holes, "holes", detail).with_holes(holes));
    }
    // Black needs nothing to be there.
    if selection.is_empty() && holes != Holes::Black {
        return Err(no_content(span));
    }
    Ok(selection)
}

fn no_content(span: Span) -> Error {
    let detail = "We have no content available within the requested time range.";
    Error::new(Kind::Holes, "no-content", detail).with_holes(vec![span])
}

/// A limit on a span, in the words clients know; `limit` is a whole number of hours or said in its own unit.
fn within(span: Span, limit: crate::config::Length, what: &str) -> Result<()> {
    if u128::try_from(span.micros()).unwrap_or(0) <= limit.0.as_micros() {
        return Ok(());
    }
    let limit = match limit.0.as_secs() {
        seconds if seconds > 0 && seconds % 3600 == 0 => format!("{} hours", seconds / 3600),
        _ => limit.to_string(),
    };
    Err(Error::invalid("range-too-long", "end", format!("{what} may not be longer than {limit}")))
}
