//! `/playlist`: HLS, so that a player shows a stretch of the archive as one video.

use super::{Answer, App};
use crate::http::body;
use crate::http::error::Document;
use crate::http::extract::{Path, Query};
use actix_web::HttpRequest;
use actix_web::http::header::{HeaderValue, VARY};

const HLS: &str = "application/vnd.apple.mpegurl";

/// The master playlist of a channel: its qualities.
#[utoipa::path(get, path = "/playlist/{channel}.m3u8", tag = "playlists",
    params(("channel" = String, Path),
        ("start" = Option<String>, Query, description = "UTC, ISO 8601", example = "2024-11-09T12:50:00"),
        ("end" = Option<String>, Query, description = "UTC, ISO 8601", example = "2024-11-09T12:51:00")), responses(
    (status = 200, description = "The playlist", body = String, content_type = "application/vnd.apple.mpegurl"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn master(request: HttpRequest, app: App) -> Answer {
    let channel = Path::of(&request).channel_without(1, ".m3u8")?;
    let query = Query::of(&request);
    let (start, end) = (query.timestamp("start")?, query.timestamp("end")?);
    let playlist = app.master_playlist(channel, start, end, query.passed_on()).await?;
    Ok(body::made(&request, HLS, playlist))
}

/// The media playlist of a quality: the segments of a range. It ends (EXT-X-ENDLIST) once all of the range is there.
#[utoipa::path(get, path = "/playlist/{channel}/{quality}.m3u8", tag = "playlists",
    params(("channel" = String, Path), ("quality" = String, Path),
        ("start" = Option<String>, Query, description = "UTC, ISO 8601; default: the first hour there is",
            example = "2024-11-09T12:50:00"),
        ("end" = Option<String>, Query, description = "UTC, ISO 8601; default: the last hour there is, and on",
            example = "2024-11-09T12:51:00")), responses(
    (status = 200, description = "The playlist", body = String, content_type = "application/vnd.apple.mpegurl"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn media(request: HttpRequest, app: App) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality_without(2, ".m3u8")?);
    let query = Query::of(&request);
    let (start, end) = (query.timestamp("start")?, query.timestamp("end")?);
    let gzip = body::takes_gzip(&request);
    let playlist = app.media_playlist(channel, quality, start, end, gzip).await?;
    let mut response = body::made(&request, HLS, playlist);
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    Ok(response)
}

/// The keyframes of a range (EXT-X-I-FRAMES-ONLY), for players that show pictures while they seek.
#[utoipa::path(get, path = "/playlist/{channel}/{quality}/iframes.m3u8", tag = "playlists",
    params(("channel" = String, Path), ("quality" = String, Path),
        ("start" = Option<String>, Query, description = "UTC, ISO 8601; default: the first hour there is",
            example = "2024-11-09T12:50:00"),
        ("end" = Option<String>, Query, description = "UTC, ISO 8601; default: the last hour there is, and on",
            example = "2024-11-09T12:51:00")), responses(
    (status = 200, description = "The playlist", body = String, content_type = "application/vnd.apple.mpegurl"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn iframes(request: HttpRequest, app: App) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality(2)?);
    let query = Query::of(&request);
    let (start, end) = (query.timestamp("start")?, query.timestamp("end")?);
    Ok(body::made(&request, HLS, app.iframe_playlist(channel, quality, start, end).await?))
}
