//! `/streams/{stream}/recordings`: clips of what is live, and `/gaps`: what was not recorded, and why.

use super::generate::insert;
use super::jobs::json;
use super::{Answer, App, Desk, Recordings, Streams};
use crate::archive::OpenFile;
use crate::base::time::SECOND;
use crate::base::{Error, Span as Times, StreamId, Timestamp};
use crate::http::body::{self, Reader};
use crate::http::error::Document;
use crate::http::extract::{Path, Query};
use crate::http::sent;
use crate::live::archive::{Gap, gaps_within};
use crate::live::recorder::{Recording, Source, Span};
use crate::render::files::StoredFile;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The longest body taken, in bytes.
const MAX_BODY: usize = 64 << 10;

/// A recording, and where its file is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Told {
    #[serde(flatten)]
    recording: Recording,
    /// Of its file, once that is finished.
    url: Option<String>,
}

impl Told {
    fn of(recording: Recording) -> Self {
        let url = (!recording.files.is_empty()).then(|| format!("{}/file", place(&recording)));
        Self { recording, url }
    }
}

fn place(it: &Recording) -> String {
    let stream = utf8_percent_encode(it.stream.as_str(), NON_ALPHANUMERIC);
    format!("/streams/{stream}/recordings/{}", it.id)
}

/// A stream's recordings, the latest first.
pub(super) fn told(recordings: &Recordings, stream: &StreamId) -> Vec<impl Serialize + use<>> {
    recordings.list(Some(stream)).into_iter().map(Told::of).collect()
}

/// What a recording is asked for with.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Asked {
    /// Of the file: ends in .mp4; by default the stream's name and the time
    name: Option<String>,
    /// Seconds from now on; without it, until it is stopped
    duration: Option<f64>,
    /// Seconds before now; from the keyframe before that
    lookback: Option<f64>,
}

/// What of a running recording is changed.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Seconds from when it was asked for
    duration: f64,
}

/// Seconds as microseconds; what is too much for them is too much for any limit.
fn micros(seconds: f64) -> i64 {
    (seconds * SECOND as f64).round() as i64
}

/// Every recording that is known, the latest first.
#[utoipa::path(get, path = "/recordings", tag = "live", responses(
    (status = 200, description = "Recordings that run, and those that ended", body = Vec<Recording>)))]
pub async fn all(recordings: Recordings) -> Answer {
    Ok(json(&recordings.list(None).into_iter().map(Told::of).collect::<Vec<_>>())?)
}

/// The recordings of a stream, the latest first.
#[utoipa::path(get, path = "/streams/{stream}/recordings", tag = "live", params(("stream" = String, Path)),
    responses((status = 200, description = "Recordings that run, and those that ended", body = Vec<Recording>),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn list(request: HttpRequest, recordings: Recordings) -> Answer {
    let stream = Path::of(&request).stream(1)?;
    Ok(json(&told(&recordings, &stream))?)
}

/// Records a clip, from before now if that is wished.
#[utoipa::path(post, path = "/streams/{stream}/recordings", tag = "live", params(("stream" = String, Path)),
    request_body(content = Asked, example = json!({"duration": 30, "lookback": 10})), responses(
    (status = 201, description = "The recording as it begins", body = Recording),
    (status = 503, description = "As many run as may", body = Document, content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn start(
    request: HttpRequest,
    app: App,
    streams: Streams,
    desk: Desk,
    recordings: Recordings,
    payload: web::Payload,
) -> Answer {
    let stream = streams.get(&Path::of(&request).stream(1)?)?;
    let body = sent::body(payload, "the body", MAX_BODY).await?;
    let shape =
        "{\"name\": \"clip.mp4\", \"duration\": SECONDS, \"lookback\": SECONDS}, each of them optional";
    let asked: Asked = sent::object_or_default(&body, shape)?;
    let source = Source {
        stream: stream.id.clone(),
        ring: Arc::clone(&stream.ring),
        orientation: stream.settings().orientation,
        hold: Some(stream.hold()),
        archive: desk.status(&stream.id).map(|(target, _)| (Arc::clone(desk.archive()), target)),
    };
    let span = Span { duration: asked.duration.map(micros), lookback: micros(asked.lookback.unwrap_or(0.0)) };
    let begin = move |_: &_, _: &_| recordings.start(source, asked.name.as_deref(), span);
    let recording = app.ask(begin).await?;
    let location = (header::LOCATION, place(&recording));
    let mut answer = json(&Told::of(recording))?;
    *answer.status_mut() = StatusCode::CREATED;
    insert(&mut answer, location);
    Ok(answer)
}

/// One recording.
#[utoipa::path(get, path = "/streams/{stream}/recordings/{recording}", tag = "live",
    params(("stream" = String, Path), ("recording" = String, Path)), responses(
    (status = 200, description = "The recording as it is now", body = Recording),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn one(request: HttpRequest, recordings: Recordings) -> Answer {
    let path = Path::of(&request);
    Ok(json(&Told::of(recordings.get(&path.stream(1)?, &path.recording(3)?)?))?)
}

/// Lets a running recording go on for another time than was asked for.
#[utoipa::path(patch, path = "/streams/{stream}/recordings/{recording}", tag = "live",
    params(("stream" = String, Path), ("recording" = String, Path)), request_body = Change, responses(
    (status = 200, description = "The recording as it is now", body = Recording),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn extend(request: HttpRequest, app: App, recordings: Recordings, payload: web::Payload) -> Answer {
    let path = Path::of(&request);
    let (stream, id) = (path.stream(1)?, path.recording(3)?);
    let body = sent::body(payload, "the body", MAX_BODY).await?;
    let change: Change = sent::object(&body, "{\"duration\": SECONDS}")?;
    let done = app.ask(move |_, _| recordings.extend(&stream, &id, micros(change.duration))).await?;
    Ok(json(&Told::of(done))?)
}

/// Ends a running recording now; what has come is its file.
#[utoipa::path(post, path = "/streams/{stream}/recordings/{recording}/stop", tag = "live",
    params(("stream" = String, Path), ("recording" = String, Path)), responses(
    (status = 200, description = "The recording as it is now", body = Recording),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn stop(request: HttpRequest, recordings: Recordings) -> Answer {
    let path = Path::of(&request);
    Ok(json(&Told::of(recordings.finish(&path.stream(1)?, &path.recording(3)?)?))?)
}

/// Takes a running recording back, or takes an ended one away with its files.
#[utoipa::path(delete, path = "/streams/{stream}/recordings/{recording}", tag = "live",
    params(("stream" = String, Path), ("recording" = String, Path)), responses(
    (status = 204, description = "It is gone, or will be in a moment"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn remove(request: HttpRequest, app: App, recordings: Recordings) -> Answer {
    let path = Path::of(&request);
    let (stream, id) = (path.stream(1)?, path.recording(3)?);
    app.ask(move |_, _| recordings.remove(&stream, &id)).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)]
pub struct Which {
    /// Which of its files, where the source's tracks changed on the way; the first is 1
    part: Option<u32>,
}

/// The file of a recording.
#[utoipa::path(get, path = "/streams/{stream}/recordings/{recording}/file", tag = "live",
    params(("stream" = String, Path), ("recording" = String, Path), Which), responses(
    (status = 200, description = "The file", content_type = "video/mp4"),
    (status = 206, description = "The part that Range asks for"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn file(request: HttpRequest, app: App, recordings: Recordings) -> Answer {
    let path = Path::of(&request);
    let (stream, id) = (path.stream(1)?, path.recording(3)?);
    let part = match Query::of(&request).text("part")? {
        None => 1,
        Some(text) => text.parse().map_err(|_| {
            Error::invalid("invalid-part", "part", "part must be the number of a file, counted from 1")
        })?,
    };
    let open = move |_: &_, _: &_| {
        let (file, _) = recordings.file(&stream, &id, part)?;
        let facts = file.metadata().map_err(|fault| Error::io("the recording cannot be read", &fault))?;
        let modified = facts.modified().map_err(|fault| Error::io("the recording cannot be read", &fault))?;
        StoredFile::new(OpenFile { file, len: facts.len(), modified })
    };
    let file = Arc::new(app.ask(open).await?);
    let reader = Reader { pool: app.pool.clone(), token: app.stop.clone() };
    body::file(&request, reader, file, "video/mp4").await
}

#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)]
pub struct Within {
    /// UTC; by default the earliest
    start: Option<String>,
    /// UTC; by default the latest
    end: Option<String>,
}

/// What was not recorded of a channel, and why.
#[utoipa::path(get, path = "/gaps/{channel}/{quality}", tag = "live",
    params(("channel" = String, Path), ("quality" = String, Path), Within), responses(
    (status = 200, description = "Gaps that touch the span, the earliest first", body = Vec<Gap>),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn gaps(request: HttpRequest, app: App) -> Answer {
    let (path, query) = (Path::of(&request), Query::of(&request));
    let (channel, quality) = (path.channel(1)?, path.quality(2)?);
    let span = Times::new(
        query.timestamp("start")?.unwrap_or(Timestamp::MIN),
        query.timestamp("end")?.unwrap_or(Timestamp::MAX),
    );
    let gaps = app.ask(move |archive, _| gaps_within(archive, &channel, &quality, span)).await?;
    Ok(json(&gaps)?)
}
