//! `/coverage`: what there is of a span, and what is missing.

use super::{Answer, App};
use crate::http::body;
use crate::http::error::Document;
use crate::http::extract::{Path, Query};
use crate::render::coverage::{CoverageWish, PictureWish};
use actix_web::HttpRequest;

/// What there is of a span: stretches that are full, suspect, partial, or holes; and how long they are in all.
#[utoipa::path(get, path = "/coverage/{channel}/{quality}.json", tag = "archive",
    params(("channel" = String, Path), ("quality" = String, Path),
        ("start" = Option<String>, Query, description = "UTC, ISO 8601; default: where the first segment starts",
            example = "2024-11-09T12:50:00"),
        ("end" = Option<String>, Query, description = "UTC, ISO 8601; default: where the last segment ends; at most \
            31 days after the start", example = "2024-11-09T12:51:00"),
        ("resolution" = Option<f64>, Query, description = "Seconds of a cell, 0.1 to 86400: a hole where nothing of \
            it is there, partial where a part is missing; default: exact")), responses(
    (status = 200, description = "The coverage", content_type = "application/json"),
    (status = 304, description = "The client has it"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn json(request: HttpRequest, app: App) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality_without(2, ".json")?);
    let query = Query::of(&request);
    let ends = (query.timestamp("start")?, query.timestamp("end")?);
    let wish = CoverageWish::new(ends.0, ends.1, query.text("resolution")?)?;
    Ok(body::made(&request, "application/json", app.coverage(channel, quality, wish).await?))
}

/// The same as a picture: an hour a column, its minutes from top to bottom.
#[utoipa::path(get, path = "/coverage/{channel}/{quality}.png", tag = "archive",
    params(("channel" = String, Path), ("quality" = String, Path),
        ("start" = Option<String>, Query, description = "UTC, ISO 8601; default: where the first segment starts",
            example = "2024-11-09T12:50:00"),
        ("end" = Option<String>, Query, description = "UTC, ISO 8601; default: where the last segment ends; at most \
            31 days after the start", example = "2024-11-09T12:51:00"),
        ("column" = Option<u32>, Query, description = "Pixels of an hour, 1 to 64; default 8"),
        ("height" = Option<u32>, Query, description = "Pixels, 60 to 4096; default 240")), responses(
    (status = 200, description = "The picture", content_type = "image/png"),
    (status = 304, description = "The client has it"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn png(request: HttpRequest, app: App) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality_without(2, ".png")?);
    let query = Query::of(&request);
    let wish = CoverageWish::new(query.timestamp("start")?, query.timestamp("end")?, None)?;
    let picture = PictureWish::read(|key| query.text(key))?;
    Ok(body::made(&request, "image/png", app.coverage_picture(channel, quality, wish, picture).await?))
}
