//! `/openapi.json`, and a page over it at `/docs`.

use super::{
    analysis, chat, coverage, cut, files, frame, generate, health, jobs, live, metrics, playlist, recordings,
    segments, stills, storyboard, streams, thumbnail, transitions, waveform,
};
use crate::http::body;
use crate::http::error::{Document, Hole};
use crate::render::bytes::Made;
use actix_web::{HttpRequest, HttpResponse};
use std::sync::LazyLock;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Moviola",
        description = "A media server over archives of live video. Times are UTC, ISO 8601, up to microseconds; a time \
            means the frame on screen at that instant. Errors are problem documents (RFC 9457)."
    ),
    tags(
        (name = "archive", description = "What is there"),
        (name = "playlists", description = "Watching it"),
        (name = "live", description = "Watching what happens now"),
        (name = "media", description = "Cutting it"),
        (name = "storyboards", description = "Looking over it"),
        (name = "analysis", description = "What is in it"),
        (name = "live", description = "Following live sources"),
        (name = "jobs", description = "Work that outlives a request"),
        (name = "server", description = "The server itself")
    ),
    paths(
        files::channels, files::qualities, files::hours, files::files, files::extras, segments::segment, coverage::json,
        coverage::png, chat::messages, playlist::master,
        playlist::media, playlist::iframes, cut::ts, cut::mp4, cut::mkv, cut::webm, transitions::transitions,
        frame::png, frame::jpeg, frame::webp, frame::avif, frame::any,
        thumbnail::png, thumbnail::jpeg, thumbnail::webp, thumbnail::upload, thumbnail::templates,
        storyboard::jpeg, storyboard::png, storyboard::webp, storyboard::vtt, storyboard::json, storyboard::bif,
        storyboard::images, storyboard::contact, waveform::png, waveform::svg, waveform::json, waveform::dat,
        waveform::f32, analysis::loudness, analysis::silence, analysis::scenes, generate::videos,
        streams::list, streams::one, streams::put, streams::patch, streams::remove, streams::source, streams::start,
        streams::stop, streams::media, streams::events, streams::all_events,
                jobs::list, jobs::one, jobs::cancel, live::file, live::invite, live::revoke, recordings::all, recordings::list, recordings::start,
        recordings::one, recordings::extend, recordings::remove, recordings::stop, recordings::file,
        recordings::gaps, stills::jpeg, stills::png, stills::webp, stills::avif, metrics::metrics, health::health
    ),
    components(schemas(Document, Hole))
)]
struct Api;

/// Written once: it depends on nothing.
static DOCUMENT: LazyLock<Made> = LazyLock::new(|| Made::new(Api::openapi().to_json().unwrap_or_default()));
static PAGE: LazyLock<Made> = LazyLock::new(|| Made::new(include_str!("docs.html")));

pub async fn document(request: HttpRequest) -> HttpResponse {
    body::made(&request, "application/json", DOCUMENT.clone())
}

pub async fn page(request: HttpRequest) -> HttpResponse {
    body::made(&request, "text/html; charset=utf-8", PAGE.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_the_tree_is_described() {
        let api = Api::openapi();
        let tree = include_str!("../mod.rs");
        let served = tree.lines().filter_map(|line| {
            let line = line.trim();
            let rest =
                [".service(at(\"", ".service(taking(\""].iter().find_map(|it| line.strip_prefix(it))?;
            rest.split('"').next()
        });
        for pattern in served {
            let path = pattern.replace("{path:.+}", "{path}");
            let own =
                ["/openapi.json", "/docs", "/metrics/{any}", "/", "/assets/{file}"].contains(&path.as_str());
            assert!(own || api.paths.paths.contains_key(&path), "{path} is not in the document");
        }
        assert!(!DOCUMENT.bytes.is_empty());
    }
}
