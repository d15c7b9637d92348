//! `/frame`: the picture on screen at an instant.

use super::{Answer, App, is_head};
use crate::http::body;
use crate::http::error::Document;
use crate::http::extract::{Path, Query};
use crate::render::frame::Format;
use actix_web::HttpRequest;

/// A frame as PNG.
#[utoipa::path(get, path = "/frame/{channel}/{quality}.png", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path),
        ("timestamp" = String, Query, description = "UTC, ISO 8601", example = "2024-11-09T12:50:00.437")), responses(
    (status = 200, description = "The frame whose start is the last at or before the timestamp",
        content_type = "image/png"),
    (status = 304, description = "The client has it"),
    (status = 406, description = "There is no content then", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn png(request: HttpRequest, app: App) -> Answer {
    frame(request, app, ".png", Format::Png, "image/png").await
}

/// A frame as JPEG.
#[utoipa::path(get, path = "/frame/{channel}/{quality}.jpg", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path),
        ("timestamp" = String, Query, description = "UTC, ISO 8601", example = "2024-11-09T12:50:00.437")), responses(
    (status = 200, description = "The frame whose start is the last at or before the timestamp",
        content_type = "image/jpeg"),
    (status = 304, description = "The client has it"),
    (status = 406, description = "There is no content then", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn jpeg(request: HttpRequest, app: App) -> Answer {
    frame(request, app, ".jpg", Format::Jpeg, "image/jpeg").await
}

async fn frame(
    request: HttpRequest,
    app: App,
    extension: &str,
    format: Format,
    content_type: &'static str,
) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality_without(2, extension)?);
    let at = Query::of(&request).required_timestamp("timestamp")?;
    let source = app.frame_source(channel, quality, at).await?;
    if is_head(&request) {
        return Ok(body::unmade(content_type));
    }
    Ok(body::made(&request, content_type, app.frame(source, format).await?))
}
