//! `/loudness`, `/silence` and `/scenes`: what editors that trim by themselves want to know.

use super::{Answer, App, is_head};
use crate::base::Span;
use crate::http::body::{self, Cache};
use crate::http::error::Document;
use crate::http::extract::{Path, Query};
use crate::render::scenes::threshold;
use crate::render::waveform::wish::{Quiet, Wish};
use actix_web::HttpRequest;
use utoipa::IntoParams;

const JSON: &str = "application/json";

/// A span.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is read for the document alone")]
struct SpanParams {
    /// UTC, ISO 8601.
    #[param(example = "2024-11-09T12:50:00")]
    start: String,
    /// UTC, ISO 8601; at most 24 hours later.
    #[param(example = "2024-11-09T12:51:00")]
    end: String,
}

fn span(query: &Query) -> crate::base::Result<Span> {
    Ok(Span::new(query.required_timestamp("start")?, query.required_timestamp("end")?))
}

/// How loud a span is: EBU R128's integrated loudness, its range, the true peak and the short-term curve.
#[utoipa::path(get, path = "/loudness/{channel}/{quality}.json", tag = "analysis",
    params(("channel" = String, Path), ("quality" = String, Path), SpanParams), responses(
    (status = 200, description = "The loudness", content_type = "application/json"),
    (status = 304, description = "The client has it"),
    (status = 406, description = "There is no content in the range", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn loudness(request: HttpRequest, app: App) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality_without(2, ".json")?);
    let span = span(&Query::of(&request))?;
    if is_head(&request) {
        return Ok(body::unmade(JSON));
    }
    Ok(body::made(&request, JSON, app.loudness(channel, quality, span).await?))
}

/// The stretches of a span in which no sample is above a threshold.
#[utoipa::path(get, path = "/silence/{channel}/{quality}.json", tag = "analysis",
    params(("channel" = String, Path), ("quality" = String, Path), SpanParams,
        ("threshold" = Option<f64>, Query, description = "In dB of full scale, -90 to 0; default -50"),
        ("minimum" = Option<f64>, Query, description = "Seconds a silence lasts at least, 0 to 3600; default 0.5")),
    responses(
    (status = 200, description = "The silences", content_type = "application/json"),
    (status = 304, description = "The client has it"),
    (status = 406, description = "There is no content in the range", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn silence(request: HttpRequest, app: App) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality_without(2, ".json")?);
    let query = Query::of(&request);
    let (span, quiet) = (span(&query)?, Quiet::read(|key| query.text(key))?);
    let source = app.waveform_source(channel, quality, span, Wish::Silence(quiet)).await?;
    if is_head(&request) {
        return Ok(body::unmade(JSON));
    }
    let cache = if source.settled { Cache::Settled } else { Cache::Revalidate };
    Ok(body::kept(&request, JSON, app.waveform(source).await?, cache))
}

/// Where scenes change in a span.
#[utoipa::path(get, path = "/scenes/{channel}/{quality}.json", tag = "analysis",
    params(("channel" = String, Path), ("quality" = String, Path), SpanParams,
        ("threshold" = Option<f64>, Query,
            description = "How different the keyframes before and after are at least, 0 to 1; default 0.1")),
    responses(
    (status = 200, description = "The changes", content_type = "application/json"),
    (status = 304, description = "The client has it"),
    (status = 406, description = "There is no content in the range", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn scenes(request: HttpRequest, app: App) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality_without(2, ".json")?);
    let query = Query::of(&request);
    let (span, threshold) = (span(&query)?, threshold(query.text("threshold")?)?);
    if is_head(&request) {
        return Ok(body::unmade(JSON));
    }
    Ok(body::made(&request, JSON, app.scenes(channel, quality, span, threshold).await?))
}
