//! `/cut`: a span as one MPEG-TS file.

use super::{Answer, App, is_head};
use crate::base::{Error, Kind, Result, Timestamp};
use crate::http::body::{self, Reader};
use crate::http::error::Document;
use crate::http::extract::{Path, Query};
use crate::render::bytes::Made;
use crate::render::cut::Coding;
use crate::render::smart::SmartCut;
use crate::render::{Ends, MAX_RANGES, Wanted};
use actix_web::HttpRequest;
use actix_web::http::header;
use std::sync::Arc;

const MPEG_TS: &str = "video/mp2t";

/// How a cut is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    /// Whole segments, byte for byte.
    Rough,
    /// Exactly the frames asked for; all but the edges taken over as they are.
    Smart,
    /// Exactly the frames asked for, encoded anew.
    Full,
}

/// A cut.
#[utoipa::path(get, path = "/cut/{channel}/{quality}.ts", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path),
        ("start" = Option<String>, Query, description = "UTC, ISO 8601; default: where the first segment starts",
            example = "2024-11-09T12:50:00"),
        ("end" = Option<String>, Query, description = "UTC, ISO 8601; default: where the last segment ends",
            example = "2024-11-09T12:51:00"),
        ("range" = Option<String>, Query, description = "START,END instead of start and end; either may be empty. \
            A smart cut takes up to 200 of them, in any order, one after the other"),
        ("type" = Option<String>, Query, description = "smart (default; fast is the same): exactly the frames asked \
            for, all but the edges taken over bit for bit; rough: the segments as they lie; both with Content-Length, \
            ETag and Range. mpegts: exactly the frames asked for, all encoded anew"),
        ("quality" = Option<String>, Query, description = "of mpegts: default or lossless"),
        ("allow_holes" = Option<bool>, Query, description = "Cut what there is instead of answering 406"),
        ("receipt" = Option<bool>, Query, description = "Answer with what a smart cut would hold, as JSON")), responses(
    (status = 200, description = "The cut", content_type = "video/mp2t"),
    (status = 206, description = "The part of a smart or rough cut that Range asks for"),
    (status = 304, description = "The client has this cut"),
    (status = 406, description = "The range is not all there; the body names the holes", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn cut(request: HttpRequest, app: App) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality_without(2, ".ts")?);
    let query = Query::of(&request);
    let ranges = ranges(&query)?;
    let allow_holes = query.boolean("allow_holes")?;
    let (kind, coding) = (kind(&query)?, coding(&query)?);
    // Rough cuts are source footage for later editing: a transition has nothing to say there.
    if kind != Type::Rough {
        refuse_transitions(&query)?;
    }
    let receipt = query.boolean("receipt")? || wants_json(&request);
    let wanted = Wanted { channel, quality, ranges, allow_holes };
    match kind {
        Type::Rough => {
            return body::file(&request, reader(&app), app.rough_cut(wanted).await?, MPEG_TS).await;
        }
        Type::Smart => match app.smart_cut(wanted.clone()).await {
            // What cannot be copied is encoded, unless only the receipt was asked for.
            Err(error) if error.code == "unsupported-source" && !receipt => {}
            cut => return smart(&request, &app, cut?, receipt).await,
        },
        Type::Full => {}
    }
    let selection = app.full_cut_selection(wanted).await?;
    if is_head(&request) {
        return Ok(body::unmade(MPEG_TS));
    }
    Ok(body::streamed(MPEG_TS, app.full_cut(selection, coding).await?))
}

fn reader(app: &App) -> Reader {
    Reader { pool: app.pool.clone(), token: app.stop.clone() }
}

fn wants_json(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|list| list.split(',').any(|it| it.trim().starts_with("application/json")))
}

/// A smart cut, or its receipt.
async fn smart(request: &HttpRequest, app: &App, cut: Arc<SmartCut>, receipt: bool) -> Answer {
    if receipt {
        let text = serde_json::to_vec(&cut.receipt).map_err(|fault| Error::internal(fault.to_string()))?;
        return Ok(body::made(request, "application/json", Made::new(text)));
    }
    let summary = [
        ("moviola-frames", cut.receipt.frames.to_string()),
        ("moviola-encoded-frames", cut.receipt.encoded_frames.to_string()),
        ("moviola-duration", format!("{:.6}", cut.receipt.duration)),
    ];
    let mut answer = body::file(request, reader(app), cut, MPEG_TS).await?;
    for (name, value) in summary {
        if let Ok(value) = header::HeaderValue::from_str(&value) {
            answer.headers_mut().insert(header::HeaderName::from_static(name), value);
        }
    }
    Ok(answer)
}

/// The ranges: each `range`, else `start` and `end`; then the rules on ends and transitions, in this order.
fn ranges(query: &Query) -> Result<Vec<Ends>> {
    let mut ranges = Vec::new();
    for text in query.all("range") {
        ranges.push(parse_range(text?)?);
        if ranges.len() > MAX_RANGES {
            let detail = format!("a cut takes at most {MAX_RANGES} ranges");
            return Err(Error::invalid("too-many-ranges", "range", detail));
        }
    }
    if ranges.is_empty() {
        ranges.push((query.timestamp("start")?, query.timestamp("end")?));
    }
    if ranges.iter().any(|(start, end)| start.zip(*end).is_some_and(|(start, end)| end <= start)) {
        return Err(Error::invalid("empty-range", "end", "Ends must be after starts"));
    }
    if query.all("transition").count() >= ranges.len() {
        return Err(Error::invalid("too-many-transitions", "transition", "Too many transitions"));
    }
    Ok(ranges)
}

fn refuse_transitions(query: &Query) -> Result<()> {
    for transition in query.all("transition") {
        // An empty transition is a hard cut.
        if !transition?.is_empty() {
            let detail = "transitions are not supported yet; leave transition empty for a hard cut";
            return Err(
                Error::new(Kind::Unsupported, "unsupported-transition", detail).with_parameter("transition")
            );
        }
    }
    Ok(())
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
        None | Some("smart" | "fast") => Ok(Type::Smart),
        Some("mpegts") => Ok(Type::Full),
        Some("rough") => Ok(Type::Rough),
        Some("mp4") => unsupported(
            "mp4 type has been disabled due to the load it causes; use smart, rough or mpegts".into(),
        ),
        Some(known @ ("webm" | "copy")) => {
            unsupported(format!("type {known} is not supported yet; use smart, rough or mpegts"))
        }
        Some(other) => {
            // What a client made up is quoted, but not at length.
            let other: String = other.chars().take(40).collect();
            unsupported(format!("Unknown type '{other}'; use smart, rough or mpegts"))
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
