//! `/waveform`: the sound of a span as a picture or as numbers.

use super::{Answer, App, is_head};
use crate::base::Span;
use crate::http::body::{self, Cache};
use crate::http::error::Document;
use crate::http::extract::{Path, Query};
use crate::render::waveform::wish::{DEFAULT_SIZE, Extension, Origin, Wish};
use actix_web::HttpRequest;
use utoipa::IntoParams;

/// What a picture is asked for with.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is read for the document alone")]
struct PictureParams {
    /// UTC, ISO 8601
    #[param(example = "2024-11-09T12:50:00")]
    start: String,
    /// UTC, ISO 8601; at most 24 hours later
    #[param(example = "2024-11-09T12:51:00")]
    end: String,
    /// WIDTHxHEIGHT, each 1 to 4096; default 1024x64
    #[param(example = "1920x125")]
    size: Option<String>,
    /// 1 to 4096; instead of the size's
    width: Option<u32>,
    /// 1 to 4096; instead of the size's
    height: Option<u32>,
    /// mean (default), peak or rms
    style: Option<String>,
    /// sqrt (default), lin, log or cbrt
    scale: Option<String>,
    /// RGB, RGBA, RRGGBB or RRGGBBAA in hexadecimal; default 000
    color: Option<String>,
    /// as color; default transparent
    background: Option<String>,
    /// overlay (default), mix or split
    channels: Option<String>,
    /// true: with the time below, and holes shaded
    axis: Option<bool>,
}

/// What numbers are asked for with.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is read for the document alone")]
struct NumberParams {
    /// UTC, ISO 8601
    #[param(example = "2024-11-09T12:50:00")]
    start: String,
    /// UTC, ISO 8601; at most 24 hours later
    #[param(example = "2024-11-09T12:51:00")]
    end: String,
    /// A multiple of 256 up to 16777216; default 256
    samples_per_pixel: Option<u32>,
    /// Pixels at most, instead of samples_per_pixel
    width: Option<u32>,
    /// mix (default) or split
    channels: Option<String>,
}

async fn waveform(request: HttpRequest, app: App, extension: Extension, ending: &str) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality_without(2, ending)?);
    let query = Query::of(&request);
    let span = Span::new(query.required_timestamp("start")?, query.required_timestamp("end")?);
    let size = query.size("size", DEFAULT_SIZE)?;
    let wish = Wish::read(extension, Origin::Archive, size, |key| query.text(key))?;
    let source = app.waveform_source(channel, quality, span, wish).await?;
    if is_head(&request) {
        return Ok(body::unmade(extension.content_type()));
    }
    let cache = if source.settled { Cache::Settled } else { Cache::Revalidate };
    if source.settled
        && let Some(held) = body::held(&request, &source.tag(), cache)
    {
        return Ok(held);
    }
    Ok(body::kept(&request, extension.content_type(), app.waveform(source).await?, cache))
}

/// A waveform as PNG.
#[utoipa::path(get, path = "/waveform/{channel}/{quality}.png", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path), PictureParams), responses(
    (status = 200, description = "The waveform", content_type = "image/png"),
    (status = 304, description = "The client has it"),
    (status = 406, description = "There is no content in the range", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn png(request: HttpRequest, app: App) -> Answer {
    waveform(request, app, Extension::Png, ".png").await
}

/// A waveform as SVG.
#[utoipa::path(get, path = "/waveform/{channel}/{quality}.svg", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path), PictureParams), responses(
    (status = 200, description = "The waveform", content_type = "image/svg+xml"),
    (status = 304, description = "The client has it"),
    (status = 406, description = "There is no content in the range", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn svg(request: HttpRequest, app: App) -> Answer {
    waveform(request, app, Extension::Svg, ".svg").await
}

/// A waveform as numbers in JSON: of audiowaveform, or of wavesurfer.js.
#[utoipa::path(get, path = "/waveform/{channel}/{quality}.json", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path), NumberParams,
        ("bits" = Option<u8>, Query, description = "8 or 16 (default)"),
        ("format" = Option<String>, Query, description = "audiowaveform (default) or wavesurfer")), responses(
    (status = 200, description = "The waveform", content_type = "application/json"),
    (status = 304, description = "The client has it"),
    (status = 406, description = "There is no content in the range", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn json(request: HttpRequest, app: App) -> Answer {
    waveform(request, app, Extension::Json, ".json").await
}

/// A waveform as numbers: the binary form of audiowaveform.
#[utoipa::path(get, path = "/waveform/{channel}/{quality}.dat", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path), NumberParams,
        ("bits" = Option<u8>, Query, description = "8 or 16 (default)")), responses(
    (status = 200, description = "The waveform", content_type = "application/octet-stream"),
    (status = 304, description = "The client has it"),
    (status = 406, description = "There is no content in the range", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn dat(request: HttpRequest, app: App) -> Answer {
    waveform(request, app, Extension::Dat, ".dat").await
}

/// A waveform as 32-bit floats, little endian, channel after channel: 0 to 1, NaN where there is nothing.
#[utoipa::path(get, path = "/waveform/{channel}/{quality}.f32", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path), NumberParams), responses(
    (status = 200, description = "The waveform", content_type = "application/octet-stream"),
    (status = 304, description = "The client has it"),
    (status = 406, description = "There is no content in the range", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn f32(request: HttpRequest, app: App) -> Answer {
    waveform(request, app, Extension::F32, ".f32").await
}
