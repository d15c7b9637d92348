//! `/{channel}/chat.json`: the chat beside a stream.

use super::{Answer, App};
use crate::base::Span;
use crate::http::body;
use crate::http::error::Document;
use crate::http::extract::{Path, Query};
use actix_web::HttpRequest;

/// The chat messages of a span, from all batches of the channel's quality `chat`, each once.
#[utoipa::path(get, path = "/{channel}/chat.json", tag = "archive",
    params(("channel" = String, Path),
        ("start" = String, Query, description = "UTC, ISO 8601", example = "2024-11-09T12:50:00"),
        ("end" = String, Query, description = "UTC, ISO 8601; at most 2 hours later", example = "2024-11-09T12:51:00")),
    responses(
    (status = 200, description = "Messages by time, as they were recorded; empty where there is no such channel",
        body = Vec<Object>),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn messages(request: HttpRequest, app: App) -> Answer {
    let channel = Path::of(&request).channel(0)?;
    let query = Query::of(&request);
    let span = Span::new(query.required_timestamp("start")?, query.required_timestamp("end")?);
    Ok(body::made(&request, "application/json", app.chat(channel, span).await?))
}
