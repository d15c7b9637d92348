//! `/metrics`: Prometheus' text format. `/metrics/{anything}` is the same, for scrapers that name a service there.

use super::App;
use crate::http::body;
use actix_web::HttpResponse;

/// The server's metrics.
#[utoipa::path(get, path = "/metrics", tag = "server", responses(
    (status = 200, description = "Prometheus' text format, version 0.0.4", body = String,
        content_type = "text/plain; version=0.0.4; charset=utf-8")))]
pub async fn metrics(app: App) -> HttpResponse {
    // A disk that does not answer, or a full lane, takes no metric away but its own.
    if let Ok((size, free)) = app.ask(|archive, _| archive.disk()).await {
        for (kind, bytes) in [("size", size), ("free", free)] {
            let gauge = app.metrics.archive_disk.with_label_values(&[kind]);
            gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }
    body::passing("text/plain; version=0.0.4; charset=utf-8", app.metrics.render())
}
