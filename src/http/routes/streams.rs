//! `/streams`: live sources that are followed.

use super::jobs::json;
use super::{Answer, App, Desk, Recordings, Streams};
use crate::base::{Error, Result, StreamId};
use crate::http::body::Cache;
use crate::http::error::Document;
use crate::http::extract::Path;
use crate::http::sent;
use crate::live::{Event, Options, Settings, Source, Stream};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::broadcast;

/// The longest description of a stream taken, in bytes.
const MAX_BODY: usize = 64 << 10;
/// How long an answer waits for a run that was told to end.
const LEAVE: Duration = Duration::from_secs(2);

fn object(stream: &Stream) -> Value {
    let mut told = stream.to_json();
    // Without room for one more token there is no address to tell.
    let url = stream.hls.own_token().ok().map(|token| crate::live::hls::url(&stream.id, &token));
    told["viewer_url"] = json!(url);
    told
}

/// With how it is recorded.
fn whole(stream: &Stream, desk: &Desk, recordings: &Recordings) -> Value {
    let mut told = object(stream);
    told["recorded"] = json!(desk.status(&stream.id).map(|it| it.1));
    told["recordings"] = json!(super::recordings::told(recordings, &stream.id));
    told
}

fn stream(request: &HttpRequest) -> Result<StreamId> {
    Path::of(request).stream(1)
}

/// Every stream there is.
#[utoipa::path(get, path = "/streams", tag = "live", responses(
    (status = 200, description = "Streams, by their names", body = Vec<Object>),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn list(streams: Streams, desk: Desk, recordings: Recordings) -> Answer {
    Ok(json(&streams.list().iter().map(|it| whole(it, &desk, &recordings)).collect::<Vec<_>>())?)
}

/// One stream, how it is right now.
#[utoipa::path(get, path = "/streams/{stream}", tag = "live", params(("stream" = String, Path)), responses(
    (status = 200, description = "The stream", body = Object),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn one(request: HttpRequest, streams: Streams, desk: Desk, recordings: Recordings) -> Answer {
    Ok(json(&whole(&*streams.get(&stream(&request)?)?, &desk, &recordings))?)
}

/// Sets a stream up, or changes it to this. Viewers keep their address.
#[utoipa::path(put, path = "/streams/{stream}", tag = "live", params(("stream" = String, Path)),
    request_body(content = Asked, description = "The stream", example = json!({"source": "rtsp://10.0.0.9/live",
        "options": {"rtsp_transport": "tcp"}, "keepalive": true})),
    responses(
        (status = 200, description = "It was there, and is this now", body = Object),
        (status = 201, description = "It is new", body = Object),
        (status = 403, description = "The source may not be opened here", body = Document,
            content_type = "application/problem+json"),
        (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn put(request: HttpRequest, app: App, streams: Streams, payload: web::Payload) -> Answer {
    let id = stream(&request)?;
    let settings = Settings::from_json(&read(payload).await?)?;
    let (stream, new) = {
        let streams = streams.clone();
        app.ask(move |_, _| streams.set(&id, settings)).await?
    };
    let mut answer = json(&object(&stream))?;
    if new {
        *answer.status_mut() = StatusCode::CREATED;
    }
    Ok(answer)
}

/// Changes the fields that are sent; nothing else, and nobody is interrupted whom it does not concern.
#[utoipa::path(patch, path = "/streams/{stream}", tag = "live", params(("stream" = String, Path)),
    request_body(content = Asked, description = "The fields to change", example = json!({"orientation": 6})),
    responses(
        (status = 200, description = "The stream", body = Object),
        (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn patch(request: HttpRequest, app: App, streams: Streams, payload: web::Payload) -> Answer {
    let id = stream(&request)?;
    let fields = read(payload).await?;
    let streams = streams.clone();
    let stream = app.ask(move |_, _| streams.patch(&id, &fields)).await?;
    Ok(json(&object(&stream))?)
}

/// Ends a stream and forgets it. What is recorded of it stays.
#[utoipa::path(delete, path = "/streams/{stream}", tag = "live", params(("stream" = String, Path)), responses(
    (status = 204, description = "It is gone"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn remove(request: HttpRequest, app: App, streams: Streams) -> Answer {
    let id = stream(&request)?;
    let streams = streams.clone();
    let stream = app.ask(move |_, _| streams.remove(&id)).await?;
    let _ = tokio::time::timeout(LEAVE, stream.left()).await;
    Ok(HttpResponse::NoContent().finish())
}

/// Another source for those who watch already. The run ends and another begins at once, out of any wait.
#[utoipa::path(put, path = "/streams/{stream}/source", tag = "live", params(("stream" = String, Path)),
    request_body(content = Another, description = "The source", example = json!({"source": "rtsp://10.0.0.9/live"})),
    responses(
        (status = 200, description = "The stream", body = Object),
        (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn source(request: HttpRequest, app: App, streams: Streams, payload: web::Payload) -> Answer {
    let id = stream(&request)?;
    let sent = read(payload).await?;
    let wrong = |key: &str| {
        Error::invalid(
            "invalid-stream",
            key,
            "the body must be {\"source\": …} or {\"source\": …, \"options\": {…}}",
        )
    };
    let fields = sent.as_object().ok_or_else(|| wrong("body"))?;
    if let Some(key) = fields.keys().find(|it| !["source", "options"].contains(&it.as_str())) {
        return Err(wrong(key).into());
    }
    let source = Source::from_json(fields.get("source").ok_or_else(|| wrong("source"))?)?;
    let options = match fields.get("options") {
        Some(options) => Options::from_json(options)?,
        None => streams.get(&id)?.settings().options.clone(),
    };
    let streams = streams.clone();
    let stream = app.ask(move |_, _| streams.set_source(&id, source, options)).await?;
    Ok(json(&object(&stream))?)
}

/// Follows a stream, at once.
#[utoipa::path(post, path = "/streams/{stream}/start", tag = "live", params(("stream" = String, Path)), responses(
    (status = 200, description = "The stream", body = Object),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn start(request: HttpRequest, streams: Streams) -> Answer {
    let stream = streams.get(&stream(&request)?)?;
    stream.start();
    Ok(json(&object(&stream))?)
}

/// Ends a stream until it is started; with `keepalive`, until then or until the server starts.
#[utoipa::path(post, path = "/streams/{stream}/stop", tag = "live", params(("stream" = String, Path)), responses(
    (status = 200, description = "The stream", body = Object),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn stop(request: HttpRequest, streams: Streams) -> Answer {
    let stream = streams.get(&stream(&request)?)?;
    stream.stop();
    let _ = tokio::time::timeout(LEAVE, stream.left()).await;
    Ok(json(&object(&stream))?)
}

/// Sends media to a stream whose source is `{"push": "http"}`: MPEG-TS, fragmented MP4, Matroska or FLV, as it comes.
#[utoipa::path(put, path = "/streams/{stream}/media", tag = "live", params(("stream" = String, Path)),
    request_body(content = Vec<u8>, content_type = "video/mp2t", description = "Media, for as long as there is any"),
    responses(
        (status = 204, description = "All of it was taken"),
        (status = 409, description = "Somebody else sends, or the stream is stopped or not pushed over HTTP", body = Document,
            content_type = "application/problem+json"),
        (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn media(request: HttpRequest, streams: Streams, mut payload: web::Payload) -> Answer {
    let stream = streams.get(&stream(&request)?)?;
    let sender = stream.publish()?;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|fault| {
            Error::invalid("unreadable-body", "body", "the body cannot be read").with_cause(fault)
        })?;
        if let Err(error) = sender.send(chunk).await {
            // What was wrong with it is known by now.
            stream.left().await;
            let detail = stream.status().detail.unwrap_or_else(|| error.detail.clone());
            return Err(Error { detail, ..error }.into());
        }
    }
    drop(sender);
    stream.left().await;
    Ok(HttpResponse::NoContent().finish())
}

/// What happens to one stream, as it happens.
#[utoipa::path(get, path = "/streams/{stream}/events", tag = "live", params(("stream" = String, Path)), responses(
    (status = 200, description = "Server-sent events: state, epoch, changed, removed, and those of recordings",
        body = String, content_type = "text/event-stream"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn events(request: HttpRequest, streams: Streams) -> Answer {
    let stream = streams.get(&stream(&request)?)?;
    let first = Event {
        stream: stream.id.clone(),
        kind: "state",
        time: stream.status().since,
        data: json!({ "state": stream.status().state.name(), "cause": stream.status().cause }),
    };
    Ok(told(&streams, Some(stream.id.clone()), vec![first]))
}

/// What happens to all streams, as it happens.
#[utoipa::path(get, path = "/streams/events", tag = "live", responses(
    (status = 200, description = "Server-sent events", body = String, content_type = "text/event-stream"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn all_events(streams: Streams) -> Answer {
    Ok(told(&streams, None, Vec::new()))
}

fn told(streams: &Streams, of: Option<StreamId>, first: Vec<Event>) -> HttpResponse {
    let waiting = first.into_iter().map(|it| line(&it)).collect();
    let body = Told { of, listening: Box::pin(next(streams.events().listen())), waiting };
    let mut response = HttpResponse::Ok();
    response.content_type("text/event-stream").insert_header(Cache::Never.header());
    // Proxies that gather an answer before they pass it on would hold events back.
    response.insert_header((header::HeaderName::from_static("x-accel-buffering"), "no"));
    response.body(BoxBody::new(body))
}

type Receiver = broadcast::Receiver<Arc<Event>>;
type Heard = (Receiver, Option<Result<Arc<Event>, broadcast::error::RecvError>>);

/// How often a silent listener is sent a comment, so that one who is gone is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

async fn next(mut receiver: Receiver) -> Heard {
    let heard = tokio::time::timeout(HEARTBEAT, receiver.recv()).await.ok();
    (receiver, heard)
}

fn line(event: &Event) -> Bytes {
    format!("event: {}\ndata: {}\n\n", event.kind, event.to_json()).into()
}

/// A body of server-sent events.
struct Told {
    of: Option<StreamId>,
    listening: Pin<Box<dyn Future<Output = Heard>>>,
    waiting: std::collections::VecDeque<Bytes>,
}

impl MessageBody for Told {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        loop {
            if let Some(first) = self.waiting.pop_front() {
                return Poll::Ready(Some(Ok(first)));
            }
            let Poll::Ready((receiver, heard)) = self.listening.as_mut().poll(context) else {
                return Poll::Pending;
            };
            self.listening = Box::pin(next(receiver));
            let bytes = match heard {
                None => Bytes::from_static(b": \n\n"),
                Some(Ok(event)) if self.of.as_ref().is_none_or(|it| *it == event.stream) => line(&event),
                Some(Ok(_)) => continue,
                Some(Err(broadcast::error::RecvError::Lagged(count))) => {
                    format!("event: lost\ndata: {{\"events\":{count}}}\n\n").into()
                }
                Some(Err(broadcast::error::RecvError::Closed)) => return Poll::Ready(None),
            };
            return Poll::Ready(Some(Ok(bytes)));
        }
    }
}

async fn read(payload: web::Payload) -> Result<Value> {
    let bytes = sent::body(payload, "the body", MAX_BODY).await?;
    serde_json::from_slice(&bytes).map_err(|fault| {
        let place = format!("the body is not JSON: line {}, column {}", fault.line(), fault.column());
        Error::invalid("malformed-body", "body", place)
    })
}

/// What is asked of a stream.
#[derive(utoipa::ToSchema)]
#[schema(as = StreamAsked)]
#[allow(dead_code, reason = "it describes what is sent")]
pub struct Asked {
    /// An address, or `{"push": "rtmp" | "srt" | "http"}`.
    #[schema(value_type = Object, example = "rtsp://10.0.0.9/live")]
    source: Value,
    options: Options,
    /// Followed whether somebody watches or not.
    keepalive: bool,
    /// With its sound; true unless said otherwise.
    audio: bool,
    /// As EXIF numbers them, 1 to 8.
    orientation: u8,
    /// The channel and quality of the archive it is kept in, or null.
    record: Option<Recorded>,
    /// How much of that is kept, or null: everything.
    retention: Option<Kept>,
}

#[derive(utoipa::ToSchema)]
#[schema(as = StreamSource)]
#[allow(dead_code, reason = "it describes what is sent")]
pub struct Another {
    #[schema(value_type = Object, example = "rtsp://10.0.0.9/live")]
    source: Value,
    options: Options,
}

#[derive(utoipa::ToSchema)]
#[schema(as = StreamRecord)]
#[allow(dead_code, reason = "it describes what is sent")]
pub struct Recorded {
    channel: String,
    quality: String,
}

#[derive(utoipa::ToSchema)]
#[schema(as = StreamRetention)]
#[allow(dead_code, reason = "it describes what is sent")]
pub struct Kept {
    #[schema(example = "7d")]
    age: Option<String>,
    #[schema(example = "50GB")]
    bytes: Option<String>,
}

/// A stream as it is right now: what was asked of it, with credentials left out, and how it is.
#[derive(utoipa::ToSchema)]
#[schema(as = Stream)]
#[allow(dead_code, reason = "it describes what is answered")]
pub struct Object {
    id: String,
    #[schema(value_type = Object)]
    source: Value,
    options: Options,
    keepalive: bool,
    audio: bool,
    orientation: u8,
    record: Option<Recorded>,
    retention: Option<Kept>,
    /// stopped, connecting, live, stalled, backing-off or auth-failed.
    state: String,
    /// Why, as a stable word.
    cause: Option<String>,
    /// Why, for people.
    detail: Option<String>,
    since: String,
    /// When the source is tried again.
    retry_at: Option<String>,
    tracks: Vec<BTreeMap<String, String>>,
    /// Counts and rates.
    #[schema(value_type = Object)]
    diagnostics: Value,
}
