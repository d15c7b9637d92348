//! `/frame`: the picture that is meant by an instant.

use super::{Answer, App, is_head};
use crate::base::Result;
use crate::http::accept::negotiate;
use crate::http::body::{self, Cache};
use crate::http::error::Document;
use crate::http::extract::{Path, Query};
use crate::render::frame::wish::{Format, Wish};
use crate::render::frame::{Facts, FrameSource};
use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, HeaderValue, VARY};

/// Which frame, and what it is to look like.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "it describes the parameters in the API's document")]
pub struct Asked {
    /// UTC, ISO 8601
    #[param(example = "2024-11-09T12:50:00.437")]
    timestamp: String,
    /// exact (default): the frame on screen then; keyframe: the last keyframe at or before it; nearest: the frame that
    /// begins nearest to it, also across a hole
    accuracy: Option<String>,
    /// How far from the timestamp a keyframe or the nearest frame may be, in seconds, at most 60; default 30
    tolerance: Option<f64>,
    /// Pixels at most; nothing is enlarged
    #[param(example = 320)]
    width: Option<u32>,
    /// Pixels at most; nothing is enlarged
    height: Option<u32>,
    /// With both width and height: contain (default) or scale-down, cover, fill
    fit: Option<String>,
    /// X,Y,WIDTH,HEIGHT in pixels of the upright picture, taken out before it is scaled
    crop: Option<String>,
    /// 1 to 100, of JPEG, WebP and AVIF
    quality: Option<u8>,
}

/// A frame as PNG.
#[utoipa::path(get, path = "/frame/{channel}/{quality}.png", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path), Asked), responses(
    (status = 200, description = "The frame", content_type = "image/png"),
    (status = 304, description = "The client has it"),
    (status = 406, description = "There is no content then", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn png(request: HttpRequest, app: App) -> Answer {
    frame(request, app, ".png", Format::Png).await
}

/// A frame as JPEG.
#[utoipa::path(get, path = "/frame/{channel}/{quality}.jpg", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path), Asked), responses(
    (status = 200, description = "The frame", content_type = "image/jpeg"),
    (status = "default", description = "As of .png", body = Document, content_type = "application/problem+json")))]
pub async fn jpeg(request: HttpRequest, app: App) -> Answer {
    frame(request, app, ".jpg", Format::Jpeg).await
}

/// A frame as WebP.
#[utoipa::path(get, path = "/frame/{channel}/{quality}.webp", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path), Asked), responses(
    (status = 200, description = "The frame", content_type = "image/webp"),
    (status = "default", description = "As of .png", body = Document, content_type = "application/problem+json")))]
pub async fn webp(request: HttpRequest, app: App) -> Answer {
    frame(request, app, ".webp", Format::WebP).await
}

/// A frame as AVIF.
#[utoipa::path(get, path = "/frame/{channel}/{quality}.avif", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path), Asked), responses(
    (status = 200, description = "The frame", content_type = "image/avif"),
    (status = "default", description = "As of .png", body = Document, content_type = "application/problem+json")))]
pub async fn avif(request: HttpRequest, app: App) -> Answer {
    frame(request, app, ".avif", Format::Avif).await
}

/// A frame in the form the client likes best.
#[utoipa::path(get, path = "/frame/{channel}/{quality}", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path), Asked,
        ("Accept" = Option<String>, Header, description = "Of image/jpeg, image/png, image/webp, image/avif")), responses(
    (status = 200, description = "The frame", content_type = "image/jpeg"),
    (status = 406, description = "There is no content then, or no form that is accepted", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "As of .png", body = Document, content_type = "application/problem+json")))]
pub async fn any(request: HttpRequest, app: App) -> Answer {
    let forms = [Format::Jpeg, Format::Png, Format::WebP, Format::Avif]
        .into_iter()
        .filter(|it| it.with(None, &app.config.frame).is_available())
        .map(|it| (it.media_type(), it))
        .collect::<Vec<_>>();
    // Of two that are named and liked as much: WebP takes a tenth of the time of AVIF.
    let named = [Format::WebP, Format::Avif, Format::Jpeg, Format::Png];
    let format = negotiate(&request, &forms, &named)?;
    let mut answer = frame(request, app, "", format).await?;
    answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    Ok(answer)
}

/// The wish in a query.
fn wish(query: &Query) -> Result<Wish> {
    Wish::read(query.required_timestamp("timestamp")?, |key| query.text(key))
}

async fn frame(request: HttpRequest, app: App, extension: &str, format: Format) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality_without(2, extension)?);
    let source = app.frame_source(channel, quality, wish(&Query::of(&request))?, format).await?;
    let (facts, cache, content_type) = (source.facts(), lifetime(&source), source.content_type());
    let mut answer = match body::held(&request, &source.tag(), cache) {
        Some(held) => held,
        None if is_head(&request) => body::unmade_as(content_type, &source.tag(), cache),
        None => body::ranged(&request, content_type, app.frame(source).await?, cache)?,
    };
    for (name, value) in facts.into_iter().flat_map(told) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    Ok(answer)
}

/// What was found for a time that is settled stays what it is.
fn lifetime(source: &FrameSource) -> Cache {
    if source.is_settled() { Cache::Settled } else { Cache::Revalidate }
}

/// Which frame it is, as headers.
fn told(facts: Facts) -> [(&'static str, String); 4] {
    let (sign, distance) = (if facts.distance < 0 { "-" } else { "" }, facts.distance.unsigned_abs());
    [
        ("moviola-frame-time", facts.time.to_string()),
        ("moviola-frame-pts", facts.pts.to_string()),
        ("moviola-frame-key", facts.key.to_string()),
        ("moviola-frame-distance", format!("{sign}{}.{:06}", distance / 1_000_000, distance % 1_000_000)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;

    #[test]
    fn a_frame_is_told_by_its_headers() {
        let time = Timestamp::parse("t", "2024-11-09T12:50:00.437").unwrap();
        let facts = Facts { time, pts: -7, key: true, distance: -12_345 };
        let values = told(facts).map(|it| it.1);
        assert_eq!(values, ["2024-11-09T12:50:00.437000", "-7", "true", "-0.012345"]);
        assert_eq!(told(Facts { distance: 2_000_001, ..facts })[3].1, "2.000001");
    }
}
