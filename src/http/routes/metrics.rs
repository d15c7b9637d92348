//! `/metrics`: Prometheus' text format. `/metrics/{anything}` is the same, for scrapers that name a service there.

use super::App;
use crate::http::body;
use actix_web::HttpResponse;

/// The server's metrics.
#[utoipa::path(get, path = "/metrics", tag = "server", responses(
    (status = 200, description = "Prometheus' text format, version 0.0.4", body = String,
        content_type = "text/plain; version=0.0.4; charset=utf-8")))]
pub async fn metrics(app: App) -> HttpResponse {
    body::passing("text/plain; version=0.0.4; charset=utf-8", app.metrics.render())
}
