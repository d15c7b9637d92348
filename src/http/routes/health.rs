//! `/health`: for load balancers and `make run`.

use super::{Answer, App};
use crate::base::Error;
use crate::http::body;
use crate::http::error::Document;

/// Whether the server takes work: its disk lane answers and it is not stopping.
#[utoipa::path(get, path = "/health", tag = "server", responses(
    (status = 200, description = "It does", body = inline(Health)),
    (status = 503, description = "It does not", body = Document, content_type = "application/problem+json")))]
pub async fn health(app: App) -> Answer {
    // The way every request goes: a lane that hangs or is full shows here.
    app.ask(|archive, _| archive.channels().map(drop)).await.map_err(|error| {
        Error::busy("The archive does not answer.").with_cause(error.cause.unwrap_or(error.detail))
    })?;
    let health = Health { status: "ok", version: env!("CARGO_PKG_VERSION") };
    let text = serde_json::to_vec(&health)
        .map_err(|fault| Error::internal("the answer could not be written").with_cause(fault))?;
    Ok(body::passing("application/json", text))
}

#[derive(serde::Serialize, utoipa::ToSchema)]
struct Health {
    /// Always "ok"; anything else is a 503.
    status: &'static str,
    version: &'static str,
}
