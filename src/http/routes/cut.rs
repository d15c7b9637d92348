//! `/cut`: a span as one MPEG-TS file.

use super::{Answer, App, is_head};
use crate::base::{Error, Kind, Result, Timestamp};
use crate::http::body::{self, Reader};
use crate::http::error::Document;
use crate::http::extract::{Path, Query};
use crate::render::cut::Coding;
use crate::render::rough::Wanted;
use actix_web::HttpRequest;

const MPEG_TS: &str = "video/mp2t";

/// How a cut is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    /// Whole segments, byte for byte.
    Rough,
    /// Exactly the frames asked for, encoded anew.
    Full,
}

/// A cut.
#[utoipa::path(get, path = "/cut/{channel}/{quality}.ts", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path),
        ("start" = Option<String>, Query, description = "UTC, ISO 8601; default: the first hour there is",
            example = "2024-11-09T12:50:00"),
        ("end" = Option<String>, Query, description = "UTC, ISO 8601; default: the last hour there is",
            example = "2024-11-09T12:51:00"),
        ("range" = Option<String>, Query, description = "START,END instead of start and end; either may be empty"),
        ("type" = Option<String>, Query, description = "rough: the segments as they lie, with Range and ETag; \
            mpegts (default): exactly the frames asked for, encoded anew"),
        ("quality" = Option<String>, Query, description = "of mpegts: default or lossless"),
        ("allow_holes" = Option<bool>, Query, description = "Cut what there is instead of answering 406")), responses(
    (status = 200, description = "The cut", content_type = "video/mp2t"),
    (status = 206, description = "The part of a rough cut that Range asks for"),
    (status = 304, description = "The client has this rough cut"),
    (status = 406, description = "The range is not all there; the body names the holes", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn cut(request: HttpRequest, app: App) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality_without(2, ".ts")?);
    let query = Query::of(&request);
    let (start, end) = range(&query)?;
    let allow_holes = query.boolean("allow_holes")?;
    let (kind, coding) = (kind(&query)?, coding(&query)?);
    let wanted = Wanted { channel, quality, start, end, allow_holes };
    if kind == Type::Rough {
        let cut = app.rough_cut(wanted).await?;
        let reader = Reader { pool: app.pool.clone(), token: app.stop.clone() };
        return body::file(&request, reader, cut, MPEG_TS).await;
    }
    let selection = app.full_cut_selection(wanted).await?;
    if is_head(&request) {
        return Ok(body::unmade(MPEG_TS));
    }
    Ok(body::streamed(MPEG_TS, app.full_cut(selection, coding).await?))
}

type Ends = (Option<Timestamp>, Option<Timestamp>);

/// The one range: `range`, else `start` and `end`; then the rules on ends and transitions, in this order.
fn range(query: &Query) -> Result<Ends> {
    let ranges = query.all("range").collect::<Result<Vec<_>>>()?;
    let (start, end) = match &ranges[..] {
        [] => (query.timestamp("start")?, query.timestamp("end")?),
        [one] => parse_range(one)?,
        _ => {
            let detail = "More than one range is not supported yet; ask for one range at a time";
            return Err(Error::new(Kind::Unsupported, "unsupported-ranges", detail).with_parameter("range"));
        }
    };
    if start.zip(end).is_some_and(|(start, end)| end <= start) {
        return Err(Error::invalid("empty-range", "end", "Ends must be after starts"));
    }
    if query.all("transition").next().is_some() {
        return Err(Error::invalid("too-many-transitions", "transition", "Too many transitions"));
    }
    Ok((start, end))
}

/// `START,END`; the editor leaves either out for "to the end of what there is".
fn parse_range(text: &str) -> Result<Ends> {
    let parts: Vec<&str> = text.split(',').collect();
    let [start, end] = parts[..] else {
        return Err(Error::invalid(
            "invalid-range",
            "range",
            "range must be START,END: two times and one comma",
        ));
    };
    let read = |text: &str| match text {
        "" => Ok(None),
        text => Timestamp::parse("range", text).map(Some),
    };
    Ok((read(start)?, read(end)?))
}

fn kind(query: &Query) -> Result<Type> {
    let unsupported = |detail: String| {
        Err(Error::new(Kind::Unsupported, "unsupported-type", detail).with_parameter("type"))
    };
    match query.text("type")? {
        // The server this one replaces makes a fast cut here; until there is one, an exact cut serves its callers.
        None | Some("mpegts") => Ok(Type::Full),
        Some("rough") => Ok(Type::Rough),
        Some("mp4") => {
            unsupported("mp4 type has been disabled due to the load it causes; use rough or mpegts".into())
        }
        Some(known @ ("fast" | "smart" | "webm" | "copy")) => {
            unsupported(format!("type {known} is not supported yet; use rough or mpegts"))
        }
        Some(other) => {
            // What a client made up is quoted, but not at length.
            let other: String = other.chars().take(40).collect();
            unsupported(format!("Unknown type '{other}'; use rough or mpegts"))
        }
    }
}

fn coding(query: &Query) -> Result<Coding> {
    match query.text("quality")? {
        None | Some("default") => Ok(Coding::Default),
        Some("lossless") => Ok(Coding::Lossless),
        Some(_) => {
            Err(Error::invalid("invalid-quality", "quality", "quality must be one of: default, lossless"))
        }
    }
}
