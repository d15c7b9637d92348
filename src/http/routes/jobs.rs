//! `/jobs`: work that outlives the request that asked for it.

use super::{Answer, App, Jobs};
use crate::base::{Error, Result};
use crate::http::body;
use crate::http::error::Document;
use crate::http::extract::Path;
use crate::jobs::Record;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

pub(super) fn json(value: &impl Serialize) -> Result<HttpResponse> {
    let text = serde_json::to_vec(value)
        .map_err(|fault| Error::internal("the answer could not be written").with_cause(fault))?;
    Ok(body::passing("application/json", text))
}

/// Every job that is known, the latest first.
#[utoipa::path(get, path = "/jobs", tag = "jobs", responses(
    (status = 200, description = "Jobs that wait or run, and those that ended lately", body = Vec<Record>),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn list(jobs: Jobs) -> Answer {
    Ok(json(&jobs.list())?)
}

/// One job.
#[utoipa::path(get, path = "/jobs/{job}", tag = "jobs", params(("job" = String, Path)), responses(
    (status = 200, description = "The job as it is now", body = Record),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn one(request: HttpRequest, jobs: Jobs) -> Answer {
    Ok(json(&jobs.get(&Path::of(&request).job(1)?)?)?)
}

/// Asks for a job's end. One that waits never runs; one that runs is told, and its state says when it heeded; one that
/// has ended stays as it is.
#[utoipa::path(delete, path = "/jobs/{job}", tag = "jobs", params(("job" = String, Path)), responses(
    (status = 200, description = "The job as it is now", body = Record),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn cancel(request: HttpRequest, app: App, jobs: Jobs) -> Answer {
    let id = Path::of(&request).job(1)?;
    let record = app.ask(move |_, _| jobs.cancel(&id)).await?;
    Ok(json(&record)?)
}
