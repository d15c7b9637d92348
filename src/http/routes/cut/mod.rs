//! `/cut`: ranges as one file.

mod asked;

use super::{Answer, App, is_head};
use crate::base::Error;
use crate::http::body::{self, Reader};
use crate::http::error::Document;
use crate::media::cut::Container;
use crate::render::bytes::Made;
use crate::render::smart::{Prepared, Reach};
use actix_web::HttpRequest;
use actix_web::http::header;
use asked::{Asked, Type};
use std::time::{Duration, Instant};

const MPEG_TS: &str = "video/mp2t";

/// A cut.
#[utoipa::path(get, path = "/cut/{channel}/{quality}.ts", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path),
        ("start" = Option<String>, Query, description = "UTC, ISO 8601; default: where the first segment starts",
            example = "2024-11-09T12:50:00"),
        ("end" = Option<String>, Query, description = "UTC, ISO 8601; default: where the last segment ends",
            example = "2024-11-09T12:51:00"),
        ("range" = Option<String>, Query, description = "START,END instead of start and end; either may be empty. \
            Up to 200 of them, in any order, one after the other"),
        ("transition" = Option<String>, Query, description = "NAME,SECONDS between a range and the next; empty is a \
            hard cut. /transitions lists the names", example = "fade,1"),
        ("holes" = Option<String>, Query, description = "refuse (the default), skip, freeze or black"),
        ("type" = Option<String>, Query, description = "smart (default; fast is the same): exactly the frames asked \
            for, all but the edges taken over bit for bit; copy: from the keyframe before to the one behind, nothing \
            encoded; rough: the segments as they lie; all with Content-Length, ETag and Range. mpegts (full is the same): \
            exactly the frames asked for, all encoded anew; mp4 and webm: that as MP4 or WebM"),
        ("quality" = Option<String>, Query, description = "of full encodes: default or lossless"),
        ("allow_holes" = Option<bool>, Query, description = "true is holes=skip"),
        ("receipt" = Option<bool>, Query, description = "Answer with what a cut would hold, as JSON; not of rough cuts")), responses(
    (status = 200, description = "The cut", content_type = "video/mp2t"),
    (status = 206, description = "The part of a smart or rough cut that Range asks for"),
    (status = 304, description = "The client has this cut"),
    (status = 406, description = "The range is not all there; the body names the holes", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn ts(request: HttpRequest, app: App) -> Answer {
    cut(request, app).await
}

/// A cut as MP4.
#[utoipa::path(get, path = "/cut/{channel}/{quality}.mp4", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path)), responses(
    (status = 200, description = "The cut; parameters are those of .ts", content_type = "video/mp4"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn mp4(request: HttpRequest, app: App) -> Answer {
    cut(request, app).await
}

/// A cut as Matroska.
#[utoipa::path(get, path = "/cut/{channel}/{quality}.mkv", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path)), responses(
    (status = 200, description = "The cut; parameters are those of .ts", content_type = "video/x-matroska"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn mkv(request: HttpRequest, app: App) -> Answer {
    cut(request, app).await
}

/// A cut as WebM: VP9 and Opus.
#[utoipa::path(get, path = "/cut/{channel}/{quality}.webm", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path)), responses(
    (status = 200, description = "The cut; parameters are those of .ts", content_type = "video/webm"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn webm(request: HttpRequest, app: App) -> Answer {
    cut(request, app).await
}

fn content_type(container: Container) -> &'static str {
    match container {
        Container::TransportStream => MPEG_TS,
        Container::Mp4 => "video/mp4",
        Container::Matroska => "video/x-matroska",
        Container::WebM => "video/webm",
    }
}

async fn cut(request: HttpRequest, app: App) -> Answer {
    let since = Instant::now();
    let asked = Asked::of(&request)?;
    let wanted = asked.wanted;
    match asked.kind {
        Type::Rough => {
            return body::file(&request, reader(&app), app.rough_cut(wanted).await?, MPEG_TS).await;
        }
        _ if asked.receipt => {
            let receipt = match asked.kind {
                Type::Full => app.full_receipt(wanted, "all of it is asked to be encoded".into()).await?,
                kind => app.smart_receipt(wanted, reach(kind)).await?,
            };
            let text = serde_json::to_vec(&receipt).map_err(|fault| Error::internal(fault.to_string()))?;
            return Ok(body::made(&request, "application/json", Made::new(text)));
        }
        Type::Copy => {
            let content_type = content_type(wanted.container);
            let cut = app.smart_cut(wanted, Reach::Keyframes).await?;
            return smart(&request, &app, cut, content_type, since).await;
        }
        Type::Smart => match app.smart_cut(wanted.clone(), Reach::Exact).await {
            // What cannot be copied is encoded.
            Err(error) if error.code == "unsupported-source" => {}
            cut => return smart(&request, &app, cut?, content_type(wanted.container), since).await,
        },
        Type::Full => {}
    }
    let content_type = content_type(wanted.container);
    let selection = app.full_cut_selection(wanted).await?;
    if is_head(&request) {
        return Ok(body::unmade(content_type));
    }
    Ok(body::streamed(content_type, app.full_cut(selection, asked.coding).await?))
}

fn reader(app: &App) -> Reader {
    Reader { pool: app.pool.clone(), token: app.stop.clone() }
}

fn reach(kind: Type) -> Reach {
    if kind == Type::Copy { Reach::Keyframes } else { Reach::Exact }
}

/// A smart cut, with what it holds and what it took in its headers.
async fn smart(
    request: &HttpRequest,
    app: &App,
    prepared: Prepared,
    content_type: &'static str,
    since: Instant,
) -> Answer {
    let Prepared { cut, cached } = prepared;
    let millis = |it: Duration| format!("{:.3}", it.as_secs_f64() * 1000.0);
    let work = format!("plan;dur={}, edges;dur={}, ", millis(cut.planning), millis(cut.making));
    let (hit, work) = if cached { ("hit", "") } else { ("miss", &*work) };
    let summary = [
        ("moviola-frames", cut.receipt.frames.to_string()),
        ("moviola-encoded-frames", cut.receipt.encoded_frames.to_string()),
        ("moviola-duration", format!("{:.6}", cut.receipt.duration)),
        // W3C Server Timing, §3.
        ("server-timing", format!("cache;desc={hit}, {work}total;dur={}", millis(since.elapsed()))),
    ];
    let altered = Some(cut.receipt.altered_segments).filter(|it| *it > 0);
    let altered = altered.map(|it| ("moviola-altered-segments", it.to_string()));
    let mut answer = body::file(request, reader(app), cut, content_type).await?;
    for (name, value) in summary.into_iter().chain(altered) {
        if let Ok(value) = header::HeaderValue::from_str(&value) {
            answer.headers_mut().insert(header::HeaderName::from_static(name), value);
        }
    }
    Ok(answer)
}
