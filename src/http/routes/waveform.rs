//! `/waveform`: the sound of a span as a picture or as numbers.

use super::{Answer, App, is_head};
use crate::base::Span;
use crate::http::body::{self, Cache};
use crate::http::error::Document;
use crate::http::extract::{Path, Query};
use crate::render::waveform::wish::{DEFAULT_SIZE, Extension, Origin, Wish};
use actix_web::HttpRequest;

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
    Ok(body::kept(&request, extension.content_type(), app.waveform(source).await?, cache))
}

/// A waveform as PNG.
#[utoipa::path(get, path = "/waveform/{channel}/{quality}.png", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path),
        ("start" = String, Query, description = "UTC, ISO 8601", example = "2024-11-09T12:50:00"),
        ("end" = String, Query, description = "UTC, ISO 8601; at most 24 hours later", example = "2024-11-09T12:51:00"),
        ("size" = Option<String>, Query, description = "WIDTHxHEIGHT, each 1 to 4096; default 1024x64",
            example = "1920x125"),
        ("width" = Option<u32>, Query, description = "1 to 4096; instead of the size's"),
        ("height" = Option<u32>, Query, description = "1 to 4096; instead of the size's"),
        ("style" = Option<String>, Query, description = "mean (default), peak or rms"),
        ("scale" = Option<String>, Query, description = "sqrt (default), lin, log or cbrt"),
        ("color" = Option<String>, Query, description = "RGB, RGBA, RRGGBB or RRGGBBAA in hexadecimal; default 000"),
        ("background" = Option<String>, Query, description = "as color; default transparent"),
        ("channels" = Option<String>, Query, description = "overlay (default), mix or split"),
        ("axis" = Option<bool>, Query, description = "true: with the time below, and holes shaded")), responses(
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
    params(("channel" = String, Path), ("quality" = String, Path),
        ("start" = String, Query, description = "UTC, ISO 8601", example = "2024-11-09T12:50:00"),
        ("end" = String, Query, description = "UTC, ISO 8601; at most 24 hours later", example = "2024-11-09T12:51:00"),
        ("size" = Option<String>, Query, description = "WIDTHxHEIGHT, each 1 to 4096; default 1024x64",
            example = "1920x125"),
        ("width" = Option<u32>, Query, description = "1 to 4096; instead of the size's"),
        ("height" = Option<u32>, Query, description = "1 to 4096; instead of the size's"),
        ("style" = Option<String>, Query, description = "mean (default), peak or rms"),
        ("scale" = Option<String>, Query, description = "sqrt (default), lin, log or cbrt"),
        ("color" = Option<String>, Query, description = "RGB, RGBA, RRGGBB or RRGGBBAA in hexadecimal; default 000"),
        ("background" = Option<String>, Query, description = "as color; default transparent"),
        ("channels" = Option<String>, Query, description = "overlay (default), mix or split"),
        ("axis" = Option<bool>, Query, description = "true: with the time below, and holes shaded")), responses(
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
    params(("channel" = String, Path), ("quality" = String, Path),
        ("start" = String, Query, description = "UTC, ISO 8601", example = "2024-11-09T12:50:00"),
        ("end" = String, Query, description = "UTC, ISO 8601; at most 24 hours later", example = "2024-11-09T12:51:00"),
        ("samples_per_pixel" = Option<u32>, Query, description = "A multiple of 256 up to 16777216; default 256"),
        ("width" = Option<u32>, Query, description = "Pixels at most, instead of samples_per_pixel"),
        ("channels" = Option<String>, Query, description = "mix (default) or split"),
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
    params(("channel" = String, Path), ("quality" = String, Path),
        ("start" = String, Query, description = "UTC, ISO 8601", example = "2024-11-09T12:50:00"),
        ("end" = String, Query, description = "UTC, ISO 8601; at most 24 hours later", example = "2024-11-09T12:51:00"),
        ("samples_per_pixel" = Option<u32>, Query, description = "A multiple of 256 up to 16777216; default 256"),
        ("width" = Option<u32>, Query, description = "Pixels at most, instead of samples_per_pixel"),
        ("channels" = Option<String>, Query, description = "mix (default) or split"),
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
    params(("channel" = String, Path), ("quality" = String, Path),
        ("start" = String, Query, description = "UTC, ISO 8601", example = "2024-11-09T12:50:00"),
        ("end" = String, Query, description = "UTC, ISO 8601; at most 24 hours later", example = "2024-11-09T12:51:00"),
        ("samples_per_pixel" = Option<u32>, Query, description = "A multiple of 256 up to 16777216; default 256"),
        ("width" = Option<u32>, Query, description = "Pixels at most, instead of samples_per_pixel"),
        ("channels" = Option<String>, Query, description = "mix (default) or split")), responses(
    (status = 200, description = "The waveform", content_type = "application/octet-stream"),
    (status = 304, description = "The client has it"),
    (status = 406, description = "There is no content in the range", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn f32(request: HttpRequest, app: App) -> Answer {
    waveform(request, app, Extension::F32, ".f32").await
}
