//! The only file that knows everybody: builds in order, stops in reverse order.

use crate::archive::{Archive, Limits, SidecarLimits, Sidecars};
use crate::base::metrics::Metrics;
use crate::base::time::{Clock, SystemClock};
use crate::base::{Error, Result, StreamId, Token};
use crate::config::{Config, Length};
use crate::http;
use crate::jobs::{self, Jobs};
use crate::live::archive::{Event as RecordEvent, Lengths, Limits as RecordLimits};
use crate::live::recorder::{self, Recordings};
use crate::live::{self, Desk, Guard, RingLimits, Streams, Wanted, hls};
use crate::media;
use crate::pool::{self, Lane, LaneOptions, Pool};
use crate::render::frame::Pictures;
use crate::render::smart::SmartCache;
use crate::render::warm::{Seen, Warmth};
use crate::render::{Parts, Render, generate};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// A server that is built and listens, and answers once it is [run](App::run).
pub struct App {
    render: Render,
    jobs: Jobs,
    streams: Streams,
    desk: Arc<Desk>,
    recordings: Recordings,
    listener: TcpListener,
    address: SocketAddr,
    stop: Arc<Notify>,
}

/// Stops a running server from another thread, as SIGTERM does.
#[derive(Clone)]
pub struct Stopper(Arc<Notify>);

impl Stopper {
    pub fn stop(&self) {
        // Kept when nobody waits yet.
        self.0.notify_one();
    }
}

/// The cache inside an archive; hidden, so that it is never listed.
const CACHE: &str = ".moviola-cache";

/// How often the cache is looked through. Between two looks only other processes can push it over its limit.
const SURVEY_EVERY: Duration = Duration::from_secs(300);

/// Builds what the uses need: archive, pool, metrics. The command line uses it without a server.
pub fn build(config: Config) -> Result<Render> {
    if config.archive.as_os_str().is_empty() {
        let detail = "no archive is configured: use --archive DIR, MOVIOLA_ARCHIVE or the key archive";
        return Err(Error::invalid("no-archive", "archive", detail));
    }
    let metrics = Metrics::new();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    metrics.start_time.set(now.as_secs_f64());
    let limits = Limits { listing_segments: config.listing.max_segments, ..Limits::default() };
    let archive = Arc::new(Archive::open(&config.archive, limits, metrics.clone())?);
    let pool = Pool::start(&lanes(&config), &metrics)?;
    let stop = Token::root();
    let cache = &config.cache;
    let directory = match cache.directory.as_os_str().is_empty() {
        true => config.archive.join(CACHE),
        false => cache.directory.clone(),
    };
    let limits = SidecarLimits { disk_bytes: cache.disk.0, memory_bytes: cache.memory.0 };
    let sidecars = Sidecars::open(&directory, limits, metrics.clone());
    let smart = SmartCache::default();
    let pictures = Pictures::new(&config.frame, &metrics);
    Ok(Render::new(Parts { archive, sidecars, smart, pictures, pool, config, metrics, stop }))
}

/// Bounds what the allocator keeps of memory that was given back. Called once, before threads are started.
pub fn settle_memory() {
    // Encoders ask for huge pages for each of their pictures, which rounds every one up to 2 MiB: 5 MiB of 78 in a smart cut
    // of 720p, and no time is won by it. Kernels that know no huge pages refuse.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    media::share_heaps();
}

/// The records of jobs inside an archive; hidden, so that they are never listed.
const JOBS: &str = ".moviola-jobs";

/// The jobs of a server, with everything there is to do.
fn jobs(render: &Render) -> Jobs {
    let config = &render.config.jobs;
    let directory = match config.directory.as_os_str().is_empty() {
        true => render.archive.path().join(JOBS),
        false => config.directory.clone(),
    };
    let limits = jobs::Limits { waiting: config.waiting, kept: config.kept };
    let (pool, stop) = (render.pool.clone(), render.stop.clone());
    let render = render.clone();
    let videos: jobs::Work = Arc::new(move |parameters, progress, token| {
        render.generate_videos(parameters, &mut |done, total| progress.set(done, total), token)
    });
    Jobs::open(&directory, [(generate::KIND, videos)], limits, pool, stop)
}

/// Recordings inside an archive; hidden, so that they are never listed.
const RECORDINGS: &str = ".moviola-recordings";

/// Recording into the archive.
fn desk(render: &Render, streams: &Streams) -> Desk {
    let config = &render.config.record;
    let lengths = Lengths {
        target: micros(config.segment),
        longest: micros(config.longest_segment),
        bytes: usize::try_from(config.largest_segment.0).unwrap_or(usize::MAX),
    };
    let limits = RecordLimits { lengths, gaps: config.gaps.0 };
    let events = streams.events().clone();
    let tell = move |stream: &StreamId, event: RecordEvent| {
        let (kind, data) = event.told();
        events.tell(live::Event { stream: stream.clone(), kind, time: SystemClock.now(), data });
    };
    Desk::new(Arc::clone(&render.archive), limits, render.metrics.clone(), Arc::new(tell))
}

/// Recordings in files of their own.
fn recordings(render: &Render, streams: &Streams) -> Recordings {
    let config = &render.config.record;
    let directory = match config.directory.as_os_str().is_empty() {
        true => render.archive.path().join(RECORDINGS),
        false => config.directory.clone(),
    };
    let limits = recorder::Limits {
        running: config.running,
        kept: config.kept,
        longest: micros(config.longest),
        first_media: config.first_media.0,
    };
    let events = streams.events().clone();
    let tell = move |it: &recorder::Recording| {
        let data = serde_json::to_value(it).unwrap_or_default();
        events.tell(live::Event {
            stream: it.stream.clone(),
            kind: "recording",
            time: SystemClock.now(),
            data,
        });
    };
    Recordings::open(&directory, limits, render.metrics.clone(), Arc::new(tell))
}

/// Records the streams that are to be recorded, as they are set up, changed and taken away.
async fn follow_streams(render: Render, streams: Streams, desk: Arc<Desk>) {
    let mut events = streams.events().listen();
    loop {
        let wanted: Vec<Wanted> = streams.list().iter().filter_map(|it| it.to_record()).collect();
        let desk = Arc::clone(&desk);
        let follow = move |_: &Token| {
            desk.follow(wanted);
            Ok(())
        };
        let done = match render.pool.submit(Lane::Disk, &render.stop, follow) {
            Ok(ticket) => ticket.await,
            Err(refused) => Err(refused),
        };
        if done.is_err() {
            // The lane is full, or the server stops.
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        }
        loop {
            match events.recv().await {
                Ok(event) if matches!(event.kind, "changed" | "removed") => break,
                Ok(_) => {}
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => break,
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            }
        }
    }
}

/// A temporary file that nobody wrote to for so long is of a writer that was killed, whatever locks say: no segment takes
/// longer.
const LEFT_BEHIND: Duration = Duration::from_secs(2 * 3600);

/// Not at once: it looks into every folder, and so do the first requests of those who waited for the server. By then nobody has
/// written for a while to what the process before this one left.
const SWEPT_AFTER: Duration = Duration::from_secs(60);

/// Takes away what killed writers left, once.
async fn sweep(render: Render) {
    tokio::time::sleep(SWEPT_AFTER).await;
    let parts = render.clone();
    let sweep = move |token: &Token| parts.archive.sweep(LEFT_BEHIND, token);
    if let Ok(ticket) = render.pool.submit(Lane::Batch, &render.stop, sweep)
        && let Err(error) = ticket.await
    {
        tracing::debug!("what killed writers left was not swept away: {error}");
    }
}

/// Takes away what is no longer to be kept, now and then.
async fn keep_retention(render: Render, desk: Arc<Desk>) {
    let every = render.config.record.retention_every.0;
    loop {
        // Not at once, for the same reason.
        tokio::time::sleep(every).await;
        let (desk, floor) = (Arc::clone(&desk), render.config.record.free.0);
        let look = move |token: &Token| desk.keep(floor, SystemClock.now(), token);
        let done = match render.pool.submit(Lane::Batch, &render.stop, look) {
            Ok(ticket) => ticket.await,
            Err(refused) => Err(refused),
        };
        match done {
            Ok(removed) if removed.segments > 0 => {
                tracing::info!(
                    "{} segments were no longer to be kept: {} bytes",
                    removed.segments,
                    removed.bytes
                );
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("what is no longer to be kept was not taken away: {error}"),
        }
    }
}

fn micros(length: Length) -> i64 {
    i64::try_from(length.0.as_micros()).unwrap_or(i64::MAX)
}

/// Live sources, taken up as they were left.
fn streams(render: &Render) -> Result<Streams> {
    let config = &render.config.live;
    let wrong = |what: String| Error::invalid("live", "live", format!("live.schemes or live.hosts: {what}"));
    let usual = render.archive.path().join(crate::render::demo::LIVE_FOLDER);
    let files = match config.files.as_os_str().is_empty() {
        true => Some(usual).filter(|it| it.is_dir()).unwrap_or_default(),
        false => config.files.clone(),
    };
    Streams::open(live::Parts {
        directory: match config.directory.as_os_str().is_empty() {
            true => render.archive.path().join(live::FOLDER),
            false => config.directory.clone(),
        },
        most: config.streams,
        ring: RingLimits { micros: micros(config.ring), bytes: config.ring_bytes.0 as usize },
        budgets: live::Budgets {
            connect: config.connect.0,
            first_frame: config.first_frame.0,
            stall: config.stall.0,
        },
        viewers: viewers(&render.config),
        policy: live::Policy {
            first: micros(config.retry),
            most: micros(config.retry_max),
            healthy: micros(config.healthy),
            auth: micros(config.retry_auth),
            idle: micros(config.idle),
            ..live::Policy::default()
        },
        guard: Guard::new(&config.schemes, &config.hosts, files).map_err(wrong)?,
        listen: config.listen,
        pipe_bytes: config.push_buffer.0 as usize,
        events: config.events,
        clock: Arc::new(SystemClock),
        metrics: render.metrics.clone(),
    })
}

/// How streams are handed out.
fn viewers(config: &Config) -> hls::Options {
    let hls = &config.hls;
    let bytes = usize::try_from(hls.bytes.0).unwrap_or(usize::MAX);
    hls::Options {
        segment: micros(hls.segment),
        part: micros(hls.part),
        limits: hls::Limits { window: micros(hls.window), segments: hls.segments, bytes },
        wait: hls.wait.0,
        idle: hls.idle.0,
        token_idle: hls.token_idle.0,
        tokens: hls.tokens,
    }
}

/// The nice value of what nobody waits for: with it two busy threads leave a hundredth of a processor to it.
const LOWEST_PRIORITY: i32 = 19;

fn lanes(config: &Config) -> pool::Options {
    let pool = &config.pool;
    let lane = |seats, queue, max_wait, nice| LaneOptions { seats, queue, max_wait, nice };
    pool::Options {
        interactive: lane(pool.interactive_seats, pool.interactive_queue, Some(pool.queue_wait.0), 0),
        // A cut may wait for the cut before it, however long that takes: its queue is short instead.
        batch: lane(pool.batch_seats, pool.batch_queue, None, pool.batch_nice),
        background: lane(pool.batch_seats, pool.batch_queue, None, LOWEST_PRIORITY),
        disk: lane(pool.disk_seats, pool.disk_queue, None, 0),
    }
}

/// Keeps the cache within its limit, whoever else writes there: looks through it now and every few minutes.
async fn keep_bounded(render: Render) {
    loop {
        let parts = render.clone();
        let survey = move |token: &Token| parts.sidecars.survey(token);
        let done = match render.pool.submit(Lane::Batch, &render.stop, survey) {
            Ok(ticket) => ticket.await,
            Err(refused) => Err(refused),
        };
        if let Err(error) = done {
            tracing::debug!("the cache was not looked through: {error}");
        }
        tokio::time::sleep(SURVEY_EVERY).await;
    }
}

/// Follows what is added to the archive, where that is configured.
async fn keep_warm(render: Render) {
    let warm = render.config.warm.clone();
    if !warm.enabled {
        return;
    }
    let warmth = Warmth { pictures: warm.pictures, peaks: warm.peaks };
    let mut seen = Seen::default();
    loop {
        if let Err(error) = render.warm_new(&mut seen, SystemClock.now(), warmth).await {
            tracing::debug!("new segments were not looked at: {error}");
        }
        tokio::time::sleep(warm.every.0).await;
    }
}

/// How often decoders of pictures nobody asks for any more are looked for.
const IDLE_LOOKED_FOR_EVERY: Duration = Duration::from_secs(2);

/// Lets go of decoders that have been idle for as long as they may, and hands back what those held that went.
async fn forget_idle(render: Render) {
    loop {
        tokio::time::sleep(IDLE_LOOKED_FOR_EVERY).await;
        if render.pictures.forget_idle(Instant::now()) {
            // Decoders come and go in pieces of every size, and the heap would keep the holes between them.
            let give_back = |_: &Token| {
                media::give_back();
                Ok(())
            };
            if let Ok(ticket) = render.pool.submit(Lane::Disk, &render.stop, give_back) {
                let _ = ticket.await;
            }
        }
    }
}

/// File descriptors a connection may hold: its socket, the second handle it is cut with when it stalls, and the file
/// it is sent.
const FILES_OF_CONNECTION: u64 = 3;
/// File descriptors a running task may hold: folders on the way to a segment, and the segment.
const FILES_OF_TASK: u64 = 8;
/// File descriptors of the process itself: an idle server has 22 with two workers, and four more for each worker more.
const FILES_OF_SERVER: u64 = 64;

/// As many connections as configured, or as `files` descriptors allow. Were more let in, clients that only connect
/// would keep everybody else's requests from opening a segment.
fn connections_within(files: u64, config: &Config) -> usize {
    let pool = &config.pool;
    let tasks = (pool.interactive_seats + 2 * pool.batch_seats + pool.disk_seats) as u64;
    let others = FILES_OF_SERVER + 4 * config.http.workers as u64 + FILES_OF_TASK * tasks;
    let allowed = files.saturating_sub(others) / FILES_OF_CONNECTION;
    config.http.max_connections.min(usize::try_from(allowed).unwrap_or(usize::MAX)).max(1)
}

/// Takes all the file descriptors the system grants, and no more connections than they are enough for.
fn claim_files(config: &mut Config) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let Some(files) = (if raised { maximum } else { current }) else { return };
    let allowed = connections_within(files, config);
    if allowed < config.http.max_connections {
        tracing::warn!(
            "the limit of {files} open files is enough for {allowed} connections, not for the {} of \
             http.max_connections",
            config.http.max_connections
        );
        config.http.max_connections = allowed;
    }
}

impl App {
    /// Builds everything and listens.
    pub fn new(mut config: Config) -> Result<Self> {
        claim_files(&mut config);
        let refused = |fault: std::io::Error| {
            Error::invalid("listen", "listen", format!("{} cannot be listened on: {fault}", config.listen))
        };
        let listener = TcpListener::bind(config.listen).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let render = build(config)?;
        let jobs = jobs(&render);
        let streams = streams(&render)?;
        let limit = render.config.hls.bytes.0 as f64;
        render.metrics.limits.with_label_values(&["hls_bytes_a_stream"]).set(limit);
        let desk = Arc::new(desk(&render, &streams));
        let recordings = recordings(&render, &streams);
        let stop = Arc::new(Notify::new());
        Ok(Self { render, jobs, streams, desk, recordings, listener, address, stop })
    }

    /// Where it listens; the port is the real one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.stop))
    }

    pub fn render(&self) -> &Render {
        &self.render
    }

    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    pub fn recordings(&self) -> &Recordings {
        &self.recordings
    }

    /// Serves until SIGTERM, SIGINT or a [`Stopper`]; then finishes what is at hand within the grace, cancels the
    /// rest, and returns when no thread is left.
    pub fn run(self) -> Result<()> {
        let broken = |fault: std::io::Error| Error::io("the server cannot run", &fault);
        let Self { render, jobs, streams, desk, recordings, listener, stop, .. } = self;
        let stopping = actix_web::rt::System::new().block_on(async {
            let server =
                http::server(&render, &jobs, (&streams, &desk, &recordings), listener).map_err(broken)?;
            let handle = server.handle();
            actix_web::rt::spawn(keep_bounded(render.clone()));
            actix_web::rt::spawn(keep_warm(render.clone()));
            actix_web::rt::spawn(forget_idle(render.clone()));
            actix_web::rt::spawn(follow_streams(render.clone(), streams.clone(), Arc::clone(&desk)));
            actix_web::rt::spawn(sweep(render.clone()));
            actix_web::rt::spawn(keep_retention(render.clone(), Arc::clone(&desk)));
            actix_web::rt::spawn(jobs.run());
            let serving = actix_web::rt::spawn(server);
            let mut terminate = signal(SignalKind::terminate()).map_err(broken)?;
            let mut interrupt = signal(SignalKind::interrupt()).map_err(broken)?;
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
                _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
                () = stop.notified() => {}
            }
            let began = Instant::now();
            let mut stopped = std::pin::pin!(handle.stop(true));
            let grace = render.config.shutdown.grace.0;
            if tokio::time::timeout(grace, &mut stopped).await.is_err() {
                tracing::warn!("the grace of {grace:?} is over: cancelling what is left");
                render.stop.cancel();
                stopped.await;
            }
            // The server's own task ends with it; its error, if any, was logged by actix.
            let _ = serving.await;
            Ok(began)
        });
        let began = stopping?;
        // What was recorded so far is finished: nobody writes to the rings any more.
        recordings.shutdown();
        desk.shutdown();
        if !streams.shutdown(Duration::from_secs(2)) {
            tracing::error!("a source did not heed its cancellation and is left behind");
        }
        let left = render.config.shutdown.grace.0.saturating_sub(began.elapsed());
        render.stop.cancel();
        if !render.pool.shutdown(left.min(Duration::from_secs(1))) {
            tracing::error!("a worker did not heed its cancellation and is left behind");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_work() {
        let mut config = Config::default();
        (config.http.workers, config.http.max_connections) = (2, 1024);
        (config.pool.interactive_seats, config.pool.batch_seats, config.pool.disk_seats) = (2, 2, 2);
        for (files, allowed) in [(0, 1), (120, 1), (256, 40), (1024, 296), (1 << 20, 1024), (u64::MAX, 1024)]
        {
            assert_eq!(connections_within(files, &config), allowed, "{files}");
        }
    }
}
