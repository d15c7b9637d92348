//! HLS playlists.

use super::bytes::Made;
use super::{Ends, Render};
use crate::archive::{Archive, Item};
use crate::base::time::HOUR;
use crate::base::{Channel, Error, Hour, Quality, Result, Span, Timestamp};
use crate::packaging::hls::{self, Entry};

/// The longest range of a playlist that is not named at both ends: a whole archive by accident is too much for a
/// player.
const IMPLICIT_LIMIT: i64 = 12 * HOUR;

/// A quality that holds no video.
const CHAT: &str = "chat";

impl Render {
    /// The master playlist; `query` is passed on to the media playlists. With a start or an end, only the
    /// qualities with an hour in the range are named.
    pub async fn master_playlist(
        &self,
        channel: Channel,
        start: Option<Timestamp>,
        end: Option<Timestamp>,
        query: String,
    ) -> Result<Made> {
        self.ask(move |archive, token| {
            if !archive.has_channel(&channel)? {
                return Err(Error::not_found("There is no such channel."));
            }
            let mut named = Vec::new();
            for name in archive.qualities(&channel)? {
                token.check()?;
                // A name the rest of the API cannot speak of is left out.
                let Ok(quality) = Quality::new(&name) else { continue };
                if name != CHAT && has_hour(archive, &channel, &quality, start, end)? {
                    named.push(quality);
                }
            }
            Ok(Made::new(hls::master(&channel, &named, &query, (start, end))))
        })
        .await
    }

    /// The media playlist of a range; an end left open is the archive's own.
    pub async fn media_playlist(
        &self,
        channel: Channel,
        quality: Quality,
        start: Option<Timestamp>,
        end: Option<Timestamp>,
        gzip: bool,
    ) -> Result<Made> {
        self.ask(move |archive, token| {
            let span = played(archive, &channel, &quality, start, end)?;
            let selection = archive.select(&channel, &quality, span)?;
            token.check()?;
            let entries = selection.items.iter().map(|item| match item {
                Item::Segment(segment) => Entry::Segment {
                    start: segment.start(),
                    duration: segment.duration(),
                    name: segment.name(),
                },
                Item::Hole(_) | Item::Break(_) => Entry::Gap,
            });
            let made = Made::new(hls::media(&channel, &quality, entries));
            token.check()?;
            if gzip { made.gzip() } else { Ok(made) }
        })
        .await
    }
}

/// The range of a playlist.
pub(super) fn played(
    archive: &Archive,
    channel: &Channel,
    quality: &Quality,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
) -> Result<Span> {
    let span = span(archive, channel, quality, start, end)?;
    if (start.is_none() || end.is_none()) && span.micros() > IMPLICIT_LIMIT {
        let detail = "Implicit range may not be longer than 12 hours";
        return Err(Error::invalid("implicit-range-too-long", "start", detail));
    }
    Ok(span)
}

/// Whether a quality has an hour in the range, both ends included.
fn has_hour(
    archive: &Archive,
    channel: &Channel,
    quality: &Quality,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
) -> Result<bool> {
    if start.is_none() && end.is_none() {
        return Ok(true);
    }
    let hours = archive.hours(channel, quality)?;
    Ok(hours.iter().any(|hour| {
        start.is_none_or(|start| start <= hour.end()) && end.is_none_or(|end| hour.start() <= end)
    }))
}

/// The range of a cut with its open ends filled in: from the first picture there is to the end of the last one.
pub(super) fn content_span(
    archive: &Archive,
    channel: &Channel,
    quality: &Quality,
    (start, end): Ends,
) -> Result<Span> {
    if let (Some(start), Some(end)) = (start, end) {
        return Ok(Span::new(start, end));
    }
    let hours = archive.hours(channel, quality)?;
    let within = |hour: &Hour| -> Result<Option<Span>> {
        let selection = archive.select(channel, quality, Span::new(hour.start(), hour.end()))?;
        let mut segments = selection.segments().filter(|it| it.hour() == *hour);
        let first = segments.next().map(|it| it.start());
        Ok(first
            .zip(selection.segments().next_back().map(|it| it.end()))
            .map(|(start, end)| Span::new(start, end)))
    };
    // Folders may be empty; the first and the last that are not say it.
    let ends = |mut hours: Box<dyn Iterator<Item = &Hour> + '_>| {
        hours.find_map(|hour| within(hour).transpose()).transpose()
    };
    let first = ends(Box::new(hours.iter()))?;
    let last = ends(Box::new(hours.iter().rev()))?;
    match first.zip(last) {
        Some((first, last)) => Ok(Span::new(start.unwrap_or(first.start), end.unwrap_or(last.end))),
        None => span(archive, channel, quality, start, end),
    }
}

/// The range with its open ends filled in: from the first hour to one hour after the last, so that a live
/// stream's playlist, which still grows, never looks complete.
pub(super) fn span(
    archive: &Archive,
    channel: &Channel,
    quality: &Quality,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
) -> Result<Span> {
    if let (Some(start), Some(end)) = (start, end) {
        return Ok(Span::new(start, end));
    }
    let extent = archive.extent(channel, quality)?;
    let extent = extent.ok_or_else(|| Error::not_found("There is no such channel and quality."))?;
    Ok(Span::new(start.unwrap_or(extent.start), end.unwrap_or(extent.end + HOUR)))
}
