//! `/metrics`: Prometheus' text format. `/metrics/{anything}` is the same, for scrapers that name a service there.

use super::{App, Streams};
use crate::http::body;
use actix_web::{HttpResponse, web};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long the disk may take to say how full it is. A network's file system that hangs would never say.
const DISK_WAIT: Duration = Duration::from_secs(1);

/// Whether the disk was asked and has not answered: it is asked once at a time, so that scrapes of a disk that hangs do not
/// take all seats of its lane.
#[derive(Debug, Default)]
pub struct Asking(Arc<AtomicBool>);

/// Dropped with the answer, or with a question that nobody waits for any more.
struct Asked(Arc<AtomicBool>);

impl Asking {
    fn begin(&self) -> Option<Asked> {
        (!self.0.swap(true, Ordering::AcqRel)).then(|| Asked(Arc::clone(&self.0)))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// The server's metrics.
#[utoipa::path(get, path = "/metrics", tag = "server", responses(
    (status = 200, description = "Prometheus' text format, version 0.0.4", body = String,
        content_type = "text/plain; version=0.0.4; charset=utf-8")))]
pub async fn metrics(app: App, streams: Streams, asking: web::Data<Asking>) -> HttpResponse {
    if let Some(asked) = asking.begin() {
        ask(&app, asked).await;
    }
    let now = std::time::Instant::now();
    let usage = streams.list().into_iter().map(|it| it.hls.usage(now));
    let (viewers, bytes) = usage.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    app.metrics.hls_viewers.set(viewers as i64);
    app.metrics.hls_bytes.set(bytes as i64);
    body::passing("text/plain; version=0.0.4; charset=utf-8", app.metrics.render())
}

/// A disk that does not answer, or a full lane, takes no metric away but its own: a figure of before would hide it.
async fn ask(app: &App, asked: Asked) {
    let question = app.ask(move |archive, _| {
        let _asked = asked;
        archive.disk()
    });
    let gauge = &app.metrics.archive_disk;
    match actix_web::rt::time::timeout(DISK_WAIT, question).await {
        Ok(Ok((size, free))) => {
            for (kind, bytes) in [("size", size), ("free", free)] {
                gauge.with_label_values(&[kind]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
            }
        }
        _ => gauge.reset(),
    }
}
