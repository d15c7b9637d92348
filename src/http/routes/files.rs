//! `/files`: the names in the archive, as JSON lists.

use super::{Answer, App};
use crate::base::Result;
use crate::http::body;
use crate::http::error::{Document, Problem};
use crate::http::extract::{Path, Query};
use crate::render::bytes::Made;
use actix_web::{HttpRequest, HttpResponse};

fn list(request: &HttpRequest, names: Result<Vec<String>>) -> Answer {
    let text = serde_json::to_vec(&names?)
        .map_err(|fault| crate::base::Error::internal("the list could not be written").with_cause(fault))?;
    Ok::<HttpResponse, Problem>(body::made(request, "application/json", Made::new(text)))
}

/// The channels.
#[utoipa::path(get, path = "/files", tag = "archive", responses(
    (status = 200, description = "Names, sorted; hidden ones are left out", body = Vec<String>),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn channels(request: HttpRequest, app: App) -> Answer {
    list(&request, app.channels().await)
}

/// The qualities of a channel.
#[utoipa::path(get, path = "/files/{channel}", tag = "archive", params(("channel" = String, Path)), responses(
    (status = 200, description = "Names, sorted; empty where there is no such channel", body = Vec<String>),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn qualities(request: HttpRequest, app: App) -> Answer {
    let channel = Path::of(&request).channel(1)?;
    list(&request, app.qualities(channel).await)
}

/// The hours of a quality.
#[utoipa::path(get, path = "/files/{channel}/{quality}", tag = "archive",
    params(("channel" = String, Path), ("quality" = String, Path)), responses(
    (status = 200, description = "Names, sorted; empty where there is no such quality", body = Vec<String>),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn hours(request: HttpRequest, app: App) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality(2)?);
    list(&request, app.hours(channel, quality).await)
}

/// The segments and chat batches of an hour.
#[utoipa::path(get, path = "/files/{channel}/{quality}/{hour}", tag = "archive",
    params(("channel" = String, Path), ("quality" = String, Path),
        ("hour" = String, Path, description = "YYYY-MM-DDTHH", example = "2024-11-09T12"),
        ("tombstones" = Option<bool>, Query, description = "Name tombstones too")), responses(
    (status = 200, description = "Names, sorted; those a tombstone hides are left out", body = Vec<String>),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn files(request: HttpRequest, app: App) -> Answer {
    let path = Path::of(&request);
    let (channel, quality, hour) = (path.channel(1)?, path.quality(2)?, path.name(3, "hour")?);
    let tombstones = Query::of(&request).boolean("tombstones")?;
    list(&request, app.files(channel, quality, hour, tombstones).await)
}

/// All files below a folder of the archive.
#[utoipa::path(get, path = "/extras/{dir}", tag = "archive", params(("dir" = String, Path)), responses(
    (status = 200, description = "Paths below the folder, sorted, hidden ones too; empty where there is none",
        body = Vec<String>),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn extras(request: HttpRequest, app: App) -> Answer {
    let folder = Path::of(&request).name(1, "dir")?;
    list(&request, app.extras(folder).await)
}
