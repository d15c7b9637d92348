//! The only folder that names actix: strings become types, types become responses.
//!
//! Invariant: nothing here blocks; what waits for a disk or a decoder is asked of `render`. Not here: what a
//! request means (render), and any status but in error.rs.

mod accept;
mod around;
pub mod body;
pub mod error;
pub mod extract;
mod routes;
mod sent;

pub use routes::page::built as page_built;

use crate::jobs::Jobs;
use crate::live::recorder::Recordings;
use crate::live::{Desk, Streams};
use crate::render::Render;
use actix_web::dev::Server;
use actix_web::http::KeepAlive;
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, FromRequest, Handler, HttpServer, Resource, Responder, Route, guard};
use routes::{
    analysis, chat, coverage, cut, files, frame, generate, health, jobs, live, metrics, openapi, page,
    playlist, recordings, segments, stills, storyboard, streams, thumbnail, transitions, waveform,
};
use std::future::ready;
use std::net::TcpListener;
use std::sync::Arc;

/// Every address there is. Those without a word on it answer GET, HEAD and OPTIONS.
fn tree(config: &mut ServiceConfig) {
    config
        // Addresses are tried in this order, each by an expression of its own. First, since every viewer of a live stream asks for
        // it four times a second: behind all others, finding it took a fifth of what a viewer costs.
        .service(at("/live/{stream}/{token}/{file}", live::file))
        .service(at("/files", files::channels))
        .service(at("/files/{channel}", files::qualities))
        .service(at("/files/{channel}/{quality}", files::hours))
        .service(at("/files/{channel}/{quality}/{hour}", files::files))
        .service(at("/segments/{path:.+}", segments::segment))
        .service(at("/extras/{dir}", files::extras))
        .service(at("/coverage/{channel}/{quality}.json", coverage::json))
        .service(at("/coverage/{channel}/{quality}.png", coverage::png))
        .service(at("/playlist/{channel}.m3u8", playlist::master))
        .service(at("/playlist/{channel}/{quality}.m3u8", playlist::media))
        .service(at("/playlist/{channel}/{quality}/iframes.m3u8", playlist::iframes))
        .service(at("/cut/{channel}/{quality}.ts", cut::ts))
        .service(at("/cut/{channel}/{quality}.mp4", cut::mp4))
        .service(at("/cut/{channel}/{quality}.mkv", cut::mkv))
        .service(at("/cut/{channel}/{quality}.webm", cut::webm))
        .service(at("/transitions", transitions::transitions))
        .service(at("/frame/{channel}/{quality}.png", frame::png))
        .service(at("/frame/{channel}/{quality}.jpg", frame::jpeg))
        .service(at("/frame/{channel}/{quality}.webp", frame::webp))
        .service(at("/frame/{channel}/{quality}.avif", frame::avif))
        .service(at("/frame/{channel}/{quality}", frame::any))
        .service(taking("/thumbnail/{channel}/{quality}.png", thumbnail::png))
        .service(taking("/thumbnail/{channel}/{quality}.jpg", thumbnail::jpeg))
        .service(taking("/thumbnail/{channel}/{quality}.webp", thumbnail::webp))
        .service(at("/templates", thumbnail::templates))
        .service(at("/storyboard/{channel}/{quality}/sheet.jpg", storyboard::jpeg))
        .service(at("/storyboard/{channel}/{quality}/sheet.png", storyboard::png))
        .service(at("/storyboard/{channel}/{quality}/sheet.webp", storyboard::webp))
        .service(at("/storyboard/{channel}/{quality}/storyboard.vtt", storyboard::vtt))
        .service(at("/storyboard/{channel}/{quality}/storyboard.json", storyboard::json))
        .service(at("/storyboard/{channel}/{quality}/storyboard.bif", storyboard::bif))
        .service(at("/storyboard/{channel}/{quality}/images.m3u8", storyboard::images))
        .service(at("/contact-sheet/{channel}/{quality}.jpg", storyboard::contact))
        .service(at("/waveform/{channel}/{quality}.png", waveform::png))
        .service(at("/waveform/{channel}/{quality}.svg", waveform::svg))
        .service(at("/waveform/{channel}/{quality}.json", waveform::json))
        .service(at("/waveform/{channel}/{quality}.dat", waveform::dat))
        .service(at("/waveform/{channel}/{quality}.f32", waveform::f32))
        .service(at("/loudness/{channel}/{quality}.json", analysis::loudness))
        .service(at("/silence/{channel}/{quality}.json", analysis::silence))
        .service(at("/scenes/{channel}/{quality}.json", analysis::scenes))
        .service(resource("/generate_videos/{channel}/{quality}", "POST, OPTIONS", |it| {
            it.route(web::post().to(generate::videos))
        }))
        .service(at("/jobs", jobs::list))
        .service(resource("/jobs/{job}", "GET, HEAD, DELETE, OPTIONS", |it| {
            it.route(reads().to(jobs::one)).route(web::delete().to(jobs::cancel))
        }))
        .service(at("/streams", streams::list))
        .service(at("/streams/events", streams::all_events))
        .service(resource("/streams/{stream}", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS", |it| {
            it.route(reads().to(streams::one))
                .route(web::put().to(streams::put))
                .route(web::patch().to(streams::patch))
                .route(web::delete().to(streams::remove))
        }))
        .service(resource("/streams/{stream}/source", "PUT, OPTIONS", |it| {
            it.route(web::put().to(streams::source))
        }))
        .service(resource("/streams/{stream}/media", "PUT, OPTIONS", |it| {
            it.route(web::put().to(streams::media))
        }))
        .service(resource("/streams/{stream}/start", "POST, OPTIONS", |it| {
            it.route(web::post().to(streams::start))
        }))
        .service(resource("/streams/{stream}/stop", "POST, OPTIONS", |it| {
            it.route(web::post().to(streams::stop))
        }))
        .service(at("/streams/{stream}/events", streams::events))
        .service(at("/recordings", recordings::all))
        .service(resource("/streams/{stream}/recordings", "GET, HEAD, POST, OPTIONS", |it| {
            it.route(reads().to(recordings::list)).route(web::post().to(recordings::start))
        }))
        .service(resource(
            "/streams/{stream}/recordings/{recording}",
            "GET, HEAD, PATCH, DELETE, OPTIONS",
            |it| {
                it.route(reads().to(recordings::one))
                    .route(web::patch().to(recordings::extend))
                    .route(web::delete().to(recordings::remove))
            },
        ))
        .service(resource("/streams/{stream}/recordings/{recording}/stop", "POST, OPTIONS", |it| {
            it.route(web::post().to(recordings::stop))
        }))
        .service(at("/streams/{stream}/recordings/{recording}/file", recordings::file))
        .service(at("/gaps/{channel}/{quality}", recordings::gaps))
        .service(at("/live/{stream}/frame.jpg", stills::jpeg))
        .service(at("/live/{stream}/frame.png", stills::png))
        .service(at("/live/{stream}/frame.webp", stills::webp))
        .service(at("/live/{stream}/frame.avif", stills::avif))
        .service(resource("/streams/{stream}/viewers", "POST, OPTIONS", |it| {
            it.route(web::post().to(live::invite))
        }))
        .service(resource("/streams/{stream}/viewers/{token}", "DELETE, OPTIONS", |it| {
            it.route(web::delete().to(live::revoke))
        }))
        .service(at("/metrics", metrics::metrics))
        .service(at("/metrics/{any}", metrics::metrics))
        .service(at("/health", health::health))
        .service(at("/openapi.json", openapi::document))
        .service(at("/docs", openapi::page))
        .service(at("/", page::index))
        .service(at("/assets/{file}", page::file))
        // Last: its first word may be any channel.
        .service(at("/{channel}/chat.json", chat::messages));
}

fn at<F, Args>(pattern: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    resource(pattern, "GET, HEAD, OPTIONS", |it| it.route(reads().to(handler)))
}

/// An address that is read, or sent something to answer with.
fn taking<F, Args>(pattern: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    resource(pattern, "GET, HEAD, POST, OPTIONS", |it| {
        it.route(reads().to(handler.clone())).route(web::post().to(handler))
    })
}

fn reads() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// An address, with what it does beside saying what it allows.
fn resource(pattern: &str, allow: &'static str, add: impl FnOnce(Resource) -> Resource) -> Resource {
    add(web::resource(pattern))
        .route(web::route().guard(guard::Options()).to(move || ready(around::options(allow))))
        .default_service(web::to(move || ready(around::not_allowed(allow))))
}

/// Seconds a connection has to take its last bytes after the grace of a shutdown.
const LAST_BYTES_SECONDS: u64 = 1;

/// The server over `listener`; it runs once it is awaited. `render` is built once, outside: the closure below runs
/// once per HTTP worker.
pub fn server(
    render: &Render,
    jobs: &Jobs,
    live: (&Streams, &Arc<Desk>, &Recordings),
    listener: TcpListener,
) -> std::io::Result<Server> {
    let options = render.config.http.clone();
    let grace = render.config.shutdown.grace.0;
    let data = web::Data::new(render.clone());
    let jobs = web::Data::new(jobs.clone());
    let (streams, desk) = (web::Data::new(live.0.clone()), web::Data::from(Arc::clone(live.1)));
    let recordings = web::Data::new(live.2.clone());
    let asking = web::Data::new(metrics::Asking::default());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .app_data(jobs.clone())
            .app_data(streams.clone())
            .app_data(desk.clone())
            .app_data(recordings.clone())
            .app_data(asking.clone())
            .wrap(from_fn(around::around))
            .configure(tree)
            .default_service(web::to(around::nothing_here))
    });
    let server = server
        .workers(options.workers)
        // What is written is all there is for now: the last of it, or an event, is not to wait until the client has told
        // that it took what was before, which takes 40 ms.
        .tcp_nodelay(true)
        .max_connections(options.max_connections.div_ceil(options.workers))
        // Unused, but actix would make room for 512 threads.
        .worker_max_blocking_threads(1)
        .client_request_timeout(options.request_timeout.0)
        .keep_alive(KeepAlive::Timeout(options.keep_alive.0))
        // A client that closed its side is gone: its work is to end now, not at the next write.
        .h1_allow_half_closed(false)
        // app.rs listens for signals, and cancels what is left after the grace; this is the backstop.
        .disable_signals()
        .shutdown_timeout(grace.as_secs() + LAST_BYTES_SECONDS)
        .on_connect(|stream, data| {
            if let Some(connection) = stream.downcast_ref::<TcpStream>().and_then(body::Connection::of) {
                data.insert(connection);
            }
        });
    Ok(server.listen(listener)?.run())
}
