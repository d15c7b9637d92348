//! `/waveform`: the loudness of a span as a picture.

use super::{Answer, App, is_head};
use crate::base::Span;
use crate::http::body;
use crate::http::error::Document;
use crate::http::extract::{Path, Query};
use crate::render::waveform::DEFAULT_SIZE;
use actix_web::HttpRequest;

/// A waveform.
#[utoipa::path(get, path = "/waveform/{channel}/{quality}.png", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path),
        ("start" = String, Query, description = "UTC, ISO 8601", example = "2024-11-09T12:50:00"),
        ("end" = String, Query, description = "UTC, ISO 8601; at most 6 hours later", example = "2024-11-09T12:51:00"),
        ("size" = Option<String>, Query, description = "WIDTHxHEIGHT, each 1 to 4096; default 1024x64",
            example = "1920x125")), responses(
    (status = 200, description = "The picture", content_type = "image/png"),
    (status = 304, description = "The client has it"),
    (status = 406, description = "There is no content in the range", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn waveform(request: HttpRequest, app: App) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality_without(2, ".png")?);
    let query = Query::of(&request);
    let span = Span::new(query.required_timestamp("start")?, query.required_timestamp("end")?);
    let size = query.size("size", DEFAULT_SIZE)?;
    let selection = app.waveform_selection(channel, quality, span).await?;
    if is_head(&request) {
        return Ok(body::unmade("image/png"));
    }
    Ok(body::made(&request, "image/png", app.waveform(selection, size).await?))
}
