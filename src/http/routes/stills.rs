//! `/live/{stream}/frame`: what a stream shows now, or showed a moment ago.

use super::{Answer, App, Streams, is_head};
use crate::base::Error;
use crate::base::time::{Clock as _, SystemClock};
use crate::http::body::{self, Cache};
use crate::http::error::Document;
use crate::http::extract::{Path, Query};
use crate::live::hls::Scope;
use crate::live::still::{Facts, Tools, Wish, find, find_newest};
use crate::render::bytes::Made;
use crate::render::frame::wish::{Format, Wish as Words};
use crate::render::words::number;
use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, HeaderValue};

/// The parameters of a picture of a stream; only described here.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)]
pub struct Asked {
    /// UTC: the picture on screen then, as far back as the stream's memory reaches; without it, the newest keyframe
    t: Option<String>,
    /// true: the first keyframe that comes from now on, instead of the newest there is
    next: Option<bool>,
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
    /// A viewer's token for stills, where they are not open to all
    token: Option<String>,
}

/// A picture of what is live, as JPEG.
#[utoipa::path(get, path = "/live/{stream}/frame.jpg", tag = "live", params(("stream" = String, Path), Asked),
    responses((status = 200, description = "The picture", content_type = "image/jpeg"),
    (status = 304, description = "The client has it"),
    (status = 404, description = "There is no such stream, or no picture", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn jpeg(request: HttpRequest, app: App, streams: Streams) -> Answer {
    still(request, app, streams, Format::Jpeg).await
}

/// A picture of what is live, as PNG.
#[utoipa::path(get, path = "/live/{stream}/frame.png", tag = "live", params(("stream" = String, Path), Asked),
    responses((status = 200, description = "The picture", content_type = "image/png"),
    (status = "default", description = "As of .jpg", body = Document, content_type = "application/problem+json")))]
pub async fn png(request: HttpRequest, app: App, streams: Streams) -> Answer {
    still(request, app, streams, Format::Png).await
}

/// A picture of what is live, as WebP.
#[utoipa::path(get, path = "/live/{stream}/frame.webp", tag = "live", params(("stream" = String, Path), Asked),
    responses((status = 200, description = "The picture", content_type = "image/webp"),
    (status = "default", description = "As of .jpg", body = Document, content_type = "application/problem+json")))]
pub async fn webp(request: HttpRequest, app: App, streams: Streams) -> Answer {
    still(request, app, streams, Format::WebP).await
}

/// A picture of what is live, as AVIF.
#[utoipa::path(get, path = "/live/{stream}/frame.avif", tag = "live", params(("stream" = String, Path), Asked),
    responses((status = 200, description = "The picture", content_type = "image/avif"),
    (status = "default", description = "As of .jpg", body = Document, content_type = "application/problem+json")))]
pub async fn avif(request: HttpRequest, app: App, streams: Streams) -> Answer {
    still(request, app, streams, Format::Avif).await
}

async fn still(request: HttpRequest, app: App, streams: Streams, format: Format) -> Answer {
    let stream = streams.get(&Path::of(&request).stream(1)?)?;
    let query = Query::of(&request);
    match query.text("token")? {
        Some(token) => stream.hls.admit(token, Scope::Still)?,
        None if app.config.record.open_stills => {}
        None => stream.hls.admit("", Scope::Still)?,
    }
    let quality = number("quality", query.text("quality")?, 1, 100)?.map(|it| it as u8);
    let wish = Wish {
        at: query.timestamp("t")?,
        look: Words::look(|key| query.text(key))?,
        format: format.with(quality, &app.config.frame),
        orientation: stream.settings().orientation,
    };
    let next = query.boolean("next")?;
    if next && wish.at.is_some() {
        return Err(Error::invalid("invalid-next", "next", "next cannot be given with t").into());
    }
    // A stream that nobody watched begins.
    stream.touch();
    let found = match wish.at.is_some() || is_head(&request) {
        true => find(&stream.ring, wish.at)?,
        false => find_newest(&stream, next, app.config.hls.wait.0).await?,
    };
    let facts = found.facts;
    // Numbers count on over a stream's life and begin anew with the process.
    let made = (facts.time, facts.number, wish);
    let tag = format!("{:016x}", word(&made));
    let content_type = format.media_type();
    let mut answer = match body::held(&request, &tag, Cache::Revalidate) {
        Some(held) => held,
        None if is_head(&request) => body::unmade_as(content_type, &tag, Cache::Revalidate),
        None => {
            let tools = Tools {
                pool: app.pool.clone(),
                metrics: app.metrics.clone(),
                stop: app.stop.clone(),
                deadline: app.config.frame.deadline.0,
            };
            let bytes = stream.stills.picture(found, wish, &tools).await?;
            body::ranged(&request, content_type, Made { bytes, tag, gzipped: false }, Cache::Revalidate)?
        }
    };
    for (name, value) in told(facts) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    Ok(answer)
}

/// A word for a value that is the same for the same build.
fn word(value: &impl std::hash::Hash) -> u64 {
    use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

/// Which picture it is, and how old, as headers.
fn told(facts: Facts) -> [(&'static str, String); 5] {
    let seconds = |micros: i64| {
        let (sign, rest) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
        format!("{sign}{}.{:06}", rest / 1_000_000, rest % 1_000_000)
    };
    [
        ("moviola-frame-time", facts.time.to_string()),
        ("moviola-frame-pts", facts.pts.to_string()),
        ("moviola-frame-key", facts.key.to_string()),
        ("moviola-frame-distance", seconds(facts.distance)),
        ("moviola-frame-age", seconds(SystemClock.now() - facts.time)),
    ]
}
