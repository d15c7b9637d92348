//! `/generate_videos`: contiguous stretches of a channel as files in the archive's folder.

use super::jobs::json;
use super::{Answer, App, Jobs};
use crate::base::{Error, Kind, Result, Span, Timestamp};
use crate::http::error::Document;
use crate::http::extract::Path;
use crate::http::sent;
use crate::jobs::{Record, State};
use crate::render::generate::{KIND, Videos};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use std::collections::BTreeMap;

/// The longest body taken, in bytes: some ten thousand videos.
const MAX_BODY: usize = 1 << 20;

/// Makes videos.
///
/// For each name, every stretch without a hole of the segments that cover its span becomes a Matroska file
/// `CHANNEL_QUALITY_NAME_N.mkv` in the archive's folder, nothing encoded anew. Files that exist are left as they are.
#[utoipa::path(post, path = "/generate_videos/{channel}/{quality}", tag = "jobs",
    params(("channel" = String, Path), ("quality" = String, Path),
        ("Prefer" = Option<String>, Header, description = "respond-async: answer at once with the job")),
    request_body(content = std::collections::BTreeMap<String, (String, String)>, description = "By name, start and end \
        in UTC", example = json!({"opening": ["2024-11-09T12:50:00", "2024-11-09T12:58:00"]})),
    responses(
        (status = 200, description = "All is made"),
        (status = 202, description = "The job; Location says where to ask how far it is", body = Record),
        (status = 415, description = "The body is not JSON", body = Document, content_type = "application/problem+json"),
        (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn videos(request: HttpRequest, app: App, jobs: Jobs, payload: web::Payload) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality(2)?);
    if !request.content_type().eq_ignore_ascii_case("application/json") {
        let detail = "the body must be JSON, and Content-Type must say so: application/json";
        return Err(Error::new(Kind::WrongType, "not-json", detail).with_parameter("Content-Type").into());
    }
    let body = sent::body(payload, "the body", MAX_BODY).await?;
    let videos = Videos::new(channel, quality, spans(&body)?)?;
    if videos.is_empty() {
        return Ok(HttpResponse::Ok().finish());
    }
    let record = {
        let jobs = jobs.clone();
        app.ask(move |archive, _| {
            videos.check(archive)?;
            jobs.submit(KIND, videos.into_parameters()?)
        })
        .await?
    };
    let location = (header::LOCATION, format!("/jobs/{}", record.id));
    if prefers_async(&request) {
        let mut answer = json(&record)?;
        *answer.status_mut() = StatusCode::ACCEPTED;
        insert(&mut answer, location);
        insert(&mut answer, (header::HeaderName::from_static("preference-applied"), "respond-async".into()));
        return Ok(answer);
    }
    let record = jobs.ended(&record.id).await?;
    match (record.state, record.failure) {
        (State::Done, _) => {
            let mut answer = HttpResponse::Ok().finish();
            insert(&mut answer, location);
            Ok(answer)
        }
        (_, Some(failure)) => {
            let kind = failure.kind.unwrap_or(Kind::Internal);
            Err(Error::new(kind, "job-failed", failure.detail).into())
        }
        _ => Err(Error::cancelled().into()),
    }
}

/// Reads `{NAME: [START, END], …}`.
fn spans(body: &[u8]) -> Result<BTreeMap<String, Span>> {
    let asked: BTreeMap<String, (String, String)> =
        sent::object(body, "{\"NAME\": [\"START\", \"END\"], …}")?;
    let span = |(name, (start, end)): (String, (String, String))| {
        Ok((name, Span::new(Timestamp::parse("start", &start)?, Timestamp::parse("end", &end)?)))
    };
    asked.into_iter().map(span).collect()
}

pub(super) fn insert(answer: &mut HttpResponse, (name, value): (header::HeaderName, String)) {
    if let Ok(value) = header::HeaderValue::from_str(&value) {
        answer.headers_mut().insert(name, value);
    }
}

/// `Prefer: respond-async` (RFC 7240 §4.1).
fn prefers_async(request: &HttpRequest) -> bool {
    let preferences = request.headers().get_all("prefer").filter_map(|value| value.to_str().ok());
    let mut words = preferences.flat_map(|list| list.split([',', ';']));
    words.any(|word| word.trim().eq_ignore_ascii_case("respond-async"))
}
