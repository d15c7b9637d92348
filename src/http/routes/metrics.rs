//! `/metrics`: Prometheus' text format. `/metrics/{anything}` is the same, for scrapers that name a service there.

use super::{App, Streams};
use crate::http::body;
use actix_web::HttpResponse;

/// The server's metrics.
#[utoipa::path(get, path = "/metrics", tag = "server", responses(
    (status = 200, description = "Prometheus' text format, version 0.0.4", body = String,
        content_type = "text/plain; version=0.0.4; charset=utf-8")))]
pub async fn metrics(app: App, streams: Streams) -> HttpResponse {
    // A disk that does not answer, or a full lane, takes no metric away but its own.
    if let Ok((size, free)) = app.ask(|archive, _| archive.disk()).await {
        for (kind, bytes) in [("size", size), ("free", free)] {
            let gauge = app.metrics.archive_disk.with_label_values(&[kind]);
            gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }
    let now = std::time::Instant::now();
    let usage = streams.list().into_iter().map(|it| it.hls.usage(now));
    let (viewers, bytes) = usage.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    app.metrics.hls_viewers.set(viewers as i64);
    app.metrics.hls_bytes.set(bytes as i64);
    body::passing("text/plain; version=0.0.4; charset=utf-8", app.metrics.render())
}
