//! `/storyboard` and `/contact-sheet`: a range in small pictures.

use super::{Answer, App, is_head};
use crate::base::Span;
use crate::http::body::{self, Cache};
use crate::http::error::Document;
use crate::http::extract::{Path, Query};
use crate::render::storyboard::wish::Wish;
use crate::render::storyboard::{ContactWish, SheetFormat, TextKind};
use crate::render::words::choice;
use actix_web::HttpRequest;
use utoipa::IntoParams;

/// What a sheet is asked for with.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is read for the document alone")]
struct SheetParams {
    /// UTC, ISO 8601: when the first tile's time begins. The texts that name sheets name them at multiples of their length.
    #[param(example = "2024-11-09T12:50:00")]
    start: String,
    /// Of a tile, in pixels: 80, 120, 160 (default), 240, 320, 480 or 640.
    width: Option<u32>,
    /// Of a tile, 16 to 1024; default: the pictures' shape.
    height: Option<u32>,
    /// Tiles across, 1 to 50; default 10.
    columns: Option<u32>,
    /// Tiles down, 1 to 50; default 10.
    rows: Option<u32>,
    /// Seconds a tile stands for, 1 to 3600; default 10.
    interval: Option<f64>,
}

/// What a text about sheets is asked for with.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is read for the document alone")]
struct TextParams {
    /// UTC, ISO 8601; default: the first hour there is.
    #[param(example = "2024-11-09T12:50:00")]
    start: Option<String>,
    /// UTC, ISO 8601, at most 24 hours later; default: the last hour there is.
    #[param(example = "2024-11-09T12:51:00")]
    end: Option<String>,
    /// Of a tile, in pixels: 80, 120, 160 (default), 240, 320, 480 or 640.
    width: Option<u32>,
    /// Of a tile, 16 to 1024; default: the pictures' shape.
    height: Option<u32>,
    /// Tiles across, 1 to 50; default 10.
    columns: Option<u32>,
    /// Tiles down, 1 to 50; default 10.
    rows: Option<u32>,
    /// Seconds a tile stands for, 1 to 3600; default 10, and of one sheet's JSON as few as fit.
    interval: Option<f64>,
    /// playlist (default): times count as those of a player of the playlist of this range, in which holes take no time;
    /// wall: from start on, holes and all.
    timeline: Option<String>,
}

async fn sheet(request: HttpRequest, app: App, format: SheetFormat, content_type: &'static str) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality(2)?);
    let query = Query::of(&request);
    let start = query.required_timestamp("start")?;
    let wish = Wish::read(|key| query.text(key))?;
    let source = app.sheet_source(channel, quality, start, wish).await?;
    if is_head(&request) {
        return Ok(body::unmade(content_type));
    }
    let cache = if source.settled { Cache::Settled } else { Cache::Revalidate };
    Ok(body::kept(&request, content_type, app.sheet(source, format).await?, cache))
}

/// A sheet of tiles as JPEG.
#[utoipa::path(get, path = "/storyboard/{channel}/{quality}/sheet.jpg", tag = "storyboards",
    params(("channel" = String, Path), ("quality" = String, Path), SheetParams), responses(
    (status = 200, description = "The sheet; tiles of times nothing is known of are striped", content_type = "image/jpeg"),
    (status = 304, description = "The client has it"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn jpeg(request: HttpRequest, app: App) -> Answer {
    sheet(request, app, SheetFormat::Jpeg, "image/jpeg").await
}

/// A sheet of tiles as PNG.
#[utoipa::path(get, path = "/storyboard/{channel}/{quality}/sheet.png", tag = "storyboards",
    params(("channel" = String, Path), ("quality" = String, Path), SheetParams), responses(
    (status = 200, description = "The sheet; tiles of times nothing is known of are striped", content_type = "image/png"),
    (status = 304, description = "The client has it"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn png(request: HttpRequest, app: App) -> Answer {
    sheet(request, app, SheetFormat::Png, "image/png").await
}

/// A sheet of tiles as WebP.
#[utoipa::path(get, path = "/storyboard/{channel}/{quality}/sheet.webp", tag = "storyboards",
    params(("channel" = String, Path), ("quality" = String, Path), SheetParams), responses(
    (status = 200, description = "The sheet; tiles of times nothing is known of are striped", content_type = "image/webp"),
    (status = 304, description = "The client has it"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn webp(request: HttpRequest, app: App) -> Answer {
    sheet(request, app, SheetFormat::WebP, "image/webp").await
}

async fn text(request: HttpRequest, app: App, kind: TextKind) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality(2)?);
    let query = Query::of(&request);
    let ends = (query.timestamp("start")?, query.timestamp("end")?);
    let wish = Wish::read(|key| query.text(key))?;
    let content_type = kind.content_type();
    Ok(body::made(&request, content_type, app.storyboard(channel, quality, ends, wish, kind).await?))
}

/// A storyboard as WebVTT, whose cues are places on sheets.
#[utoipa::path(get, path = "/storyboard/{channel}/{quality}/storyboard.vtt", tag = "storyboards",
    params(("channel" = String, Path), ("quality" = String, Path), TextParams), responses(
    (status = 200, description = "The storyboard", body = String, content_type = "text/vtt"),
    (status = 304, description = "The client has it"),
    (status = 406, description = "There is no content in the range", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn vtt(request: HttpRequest, app: App) -> Answer {
    text(request, app, TextKind::Vtt).await
}

/// A storyboard as JSON: of one sheet, or a list of tiles.
#[utoipa::path(get, path = "/storyboard/{channel}/{quality}/storyboard.json", tag = "storyboards",
    params(("channel" = String, Path), ("quality" = String, Path), TextParams,
        ("format" = Option<String>, Query, description = "mux (default): one sheet, as Mux has it; list: any number of them")),
    responses(
    (status = 200, description = "The storyboard", content_type = "application/json"),
    (status = 304, description = "The client has it"),
    (status = 406, description = "There is no content in the range", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn json(request: HttpRequest, app: App) -> Answer {
    // Players of it take whole addresses alone.
    let base = {
        let connection = request.connection_info();
        let folder = request.uri().path().trim_end_matches("storyboard.json");
        format!("{}://{}{folder}", connection.scheme(), connection.host())
    };
    let list =
        choice("format", Query::of(&request).text("format")?, false, &[("mux", false), ("list", true)])?;
    let kind = if list { TextKind::JsonList { base } } else { TextKind::JsonSheet { base } };
    text(request, app, kind).await
}

/// A storyboard as BIF: pictures at even distances of time.
#[utoipa::path(get, path = "/storyboard/{channel}/{quality}/storyboard.bif", tag = "storyboards",
    params(("channel" = String, Path), ("quality" = String, Path), TextParams), responses(
    (status = 200, description = "The storyboard", content_type = "application/octet-stream"),
    (status = 304, description = "The client has it"),
    (status = 406, description = "There is no content in the range", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn bif(request: HttpRequest, app: App) -> Answer {
    text(request, app, TextKind::Bif).await
}

/// An HLS playlist of sheets (EXT-X-TILES).
#[utoipa::path(get, path = "/storyboard/{channel}/{quality}/images.m3u8", tag = "storyboards",
    params(("channel" = String, Path), ("quality" = String, Path), TextParams), responses(
    (status = 200, description = "The playlist", body = String, content_type = "application/vnd.apple.mpegurl"),
    (status = 304, description = "The client has it"),
    (status = 406, description = "There is no content in the range", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn images(request: HttpRequest, app: App) -> Answer {
    text(request, app, TextKind::Images).await
}

/// A range at a glance: keyframes at even distances, with times.
#[utoipa::path(get, path = "/contact-sheet/{channel}/{quality}.jpg", tag = "storyboards",
    params(("channel" = String, Path), ("quality" = String, Path),
        ("start" = String, Query, description = "UTC, ISO 8601", example = "2024-11-09T12:50:00"),
        ("end" = String, Query, description = "UTC, ISO 8601; at most 24 hours later", example = "2024-11-09T12:51:00"),
        ("width" = Option<u32>, Query, description = "Of a picture: 80, 120, 160, 240, 320 (default), 480 or 640"),
        ("columns" = Option<u32>, Query, description = "1 to 20; default 4"),
        ("rows" = Option<u32>, Query, description = "1 to 20; default 4")), responses(
    (status = 200, description = "The sheet", content_type = "image/jpeg"),
    (status = 304, description = "The client has it"),
    (status = 406, description = "There is no content in the range", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn contact(request: HttpRequest, app: App) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality_without(2, ".jpg")?);
    let query = Query::of(&request);
    let span = Span::new(query.required_timestamp("start")?, query.required_timestamp("end")?);
    let wish = ContactWish::read(|key| query.text(key))?;
    if is_head(&request) {
        return Ok(body::unmade("image/jpeg"));
    }
    Ok(body::made(&request, "image/jpeg", app.contact_sheet(channel, quality, span, wish).await?))
}
