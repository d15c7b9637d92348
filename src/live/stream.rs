//! One stream: its settings, its machine, and the thread that follows its source.

use super::archive::Target;
use super::desk::Wanted;
use super::events::{Event, Events};
use super::hls::Hls;
use super::push::{self, Sender};
use super::ring::{Epoch, Ring};
use super::settings::{Record, Settings};
use super::source::{Push, Source};
use super::stats::{Figures, Stats};
use super::still::Stills;
use super::supervise::{Action, Fault, Machine, State};
use super::worker::{self, Job};
use super::{Parts, redacted};
use crate::base::{Error, Kind, Result, StreamId, Timestamp, Token};
use parking_lot::{Mutex, RwLock};
use serde_json::{Value, json};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::Thread;
use tokio::sync::watch;

/// What all streams share.
pub(super) struct Shared {
    pub parts: Parts,
    pub events: Events,
    pub stop: Token,
}

/// One source and what is held of it.
pub struct Stream {
    pub id: StreamId,
    pub ring: Arc<Ring>,
    /// What viewers get of it.
    pub hls: Hls,
    settings: RwLock<Arc<Settings>>,
    /// Locked before `token`, and that before `pushed`.
    machine: Mutex<Machine>,
    stats: Stats,
    /// Of the run at work.
    token: Mutex<Token>,
    /// Likewise: it may rest.
    thread: Mutex<Option<Thread>>,
    /// The reading end of what somebody sends, until a run takes it.
    pushed: Mutex<Option<push::Receiver>>,
    publishing: Mutex<()>,
    /// Pictures of it made lately.
    pub stills: Stills,
    changes: watch::Sender<u64>,
    shared: Arc<Shared>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("id", &self.id)
            .field("settings", &self.settings.read())
            .finish_non_exhaustive()
    }
}

/// How a stream is right now.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    pub state: State,
    pub cause: Option<&'static str>,
    pub detail: Option<String>,
    pub since: Timestamp,
    pub retry_at: Option<Timestamp>,
    pub starts: u64,
    pub faults: u64,
    pub updates: u64,
    pub restarts: std::collections::BTreeMap<&'static str, u64>,
}

/// Keeps a stream followed as long as it lives.
#[derive(Debug)]
pub struct Hold(Arc<Stream>);

impl Drop for Hold {
    fn drop(&mut self) {
        let mut machine = self.0.machine.lock();
        machine.holds = machine.holds.saturating_sub(1);
    }
}

impl Stream {
    pub(super) fn new(id: StreamId, settings: Settings, shared: Arc<Shared>) -> Arc<Self> {
        let ring = Arc::new(Ring::new(shared.parts.ring));
        Self::over(id, settings, ring, shared)
    }

    pub(super) fn over(id: StreamId, settings: Settings, ring: Arc<Ring>, shared: Arc<Shared>) -> Arc<Self> {
        let mut machine = Machine::new(shared.parts.policy, shared.parts.clock.now());
        set(&mut machine, &settings);
        let hls = Hls::new(Arc::clone(&ring), shared.parts.viewers.clone());
        hls.set_orientation(settings.orientation);
        Arc::new(Self {
            id,
            ring,
            hls,
            settings: RwLock::new(Arc::new(settings)),
            machine: Mutex::new(machine),
            stats: Stats::default(),
            token: Mutex::new(shared.stop.child()),
            thread: Mutex::default(),
            pushed: Mutex::default(),
            publishing: Mutex::default(),
            stills: Stills::default(),
            changes: watch::Sender::new(0),
            shared,
        })
    }

    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read())
    }

    /// Where it is to be recorded, if it is.
    pub fn to_record(&self) -> Option<Wanted> {
        let settings = self.settings();
        let Record { channel, quality } = settings.record.clone()?;
        let rule = settings.retention;
        let (stream, ring) = (self.id.clone(), Arc::clone(&self.ring));
        Some(Wanted { stream, ring, target: Target { channel, quality }, rule })
    }

    /// Somebody watches: a stream that nobody watched begins, and stays as long as this is said now and then.
    pub fn touch(self: &Arc<Self>) {
        self.step(Machine::touch);
    }

    /// Keeps it followed until what is returned is dropped.
    pub fn hold(self: &Arc<Self>) -> Hold {
        self.machine.lock().holds += 1;
        self.step(Machine::tick);
        Hold(Arc::clone(self))
    }

    pub fn start(self: &Arc<Self>) {
        self.step(Machine::start);
    }

    /// Ends it until it is started.
    pub fn stop(self: &Arc<Self>) {
        self.hls.revoke_all();
        self.step(|machine, now| machine.stop("stopped", now));
    }

    /// Ends it for good.
    pub(super) fn end(self: &Arc<Self>) {
        self.hls.revoke_all();
        self.step(|machine, now| machine.stop("stopped", now));
    }

    pub(super) fn tick(self: &Arc<Self>) {
        self.step(Machine::tick);
    }

    /// Takes other settings; a source that is another begins at once.
    pub(super) fn change(self: &Arc<Self>, settings: Settings, again: bool) {
        let before = std::mem::replace(&mut *self.settings.write(), Arc::new(settings));
        let now = self.settings();
        self.hls.set_orientation(now.orientation);
        let other = before.source != now.source || before.options != now.options || before.audio != now.audio;
        self.step(|machine, time| {
            set(machine, &now);
            if other || again { machine.update(time) } else { machine.tick(time) }
        });
    }

    /// A run is at work, or leaving.
    pub fn is_running(&self) -> bool {
        self.machine.lock().is_running()
    }

    /// Returns once no run is at work.
    pub async fn left(&self) {
        let mut changes = self.changes.subscribe();
        while self.is_running() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Changes whenever the state does.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub fn state(&self) -> State {
        self.machine.lock().state
    }

    pub fn status(&self) -> Status {
        let machine = self.machine.lock();
        Status {
            state: machine.state,
            cause: machine.cause,
            detail: machine.detail.clone(),
            since: machine.since,
            retry_at: machine.retry_at,
            starts: machine.starts,
            faults: machine.faults,
            updates: machine.updates,
            restarts: machine.restarts.clone(),
        }
    }

    pub fn figures(&self) -> Figures {
        self.stats.figures(self.shared.parts.clock.now())
    }

    /// Tells an event of this stream to all listeners.
    pub fn tell(&self, kind: &'static str, data: Value) {
        let time = self.shared.parts.clock.now();
        self.shared.events.tell(Event { stream: self.id.clone(), kind, time, data });
    }

    /// The end to fill for whoever sends media over HTTP.
    ///
    /// # Errors
    /// `not-pushed` where the source is no push over HTTP; `publishing` while somebody else sends.
    pub fn publish(self: &Arc<Self>) -> Result<Sender> {
        let settings = self.settings();
        if settings.source != Source::Push(Push::Http) {
            let detail = "this stream's source is not {\"push\": \"http\"}";
            return Err(Error::new(Kind::Conflict, "not-pushed", detail));
        }
        // One at a time may ask; whoever asks next finds a run.
        let _asking = self.publishing.lock();
        if self.is_running() {
            return Err(Error::new(Kind::Conflict, "publishing", "somebody sends to this stream already"));
        }
        let token = self.shared.stop.child();
        let stall = self.shared.parts.budgets.of(&settings).stall;
        let (sender, receiver) = push::pipe(self.shared.parts.pipe_bytes, stall, token.clone());
        *self.pushed.lock() = Some(receiver);
        // The pipe looks at the same token as the run that reads it.
        *self.token.lock() = token;
        self.step(|machine, now| machine.sender(now));
        if !self.is_running() {
            self.pushed.lock().take();
            return Err(Error::new(Kind::Conflict, "stopped", "this stream is stopped; start it first"));
        }
        Ok(sender)
    }

    /// Lets the machine take a step, tells what changed, and does what it says.
    fn step(self: &Arc<Self>, step: impl FnOnce(&mut Machine, Timestamp) -> Option<Action>) {
        let now = self.shared.parts.clock.now();
        let mut machine = self.machine.lock();
        let before = (machine.state, machine.cause);
        let action = step(&mut machine, now);
        let changed = before != (machine.state, machine.cause);
        let told = changed.then(|| {
            json!({ "state": machine.state.name(), "cause": machine.cause, "detail": machine.detail,
                "retry_at": machine.retry_at })
        });
        // Whoever ends this run from now on must find its token, not that of the run before.
        let token = match action {
            Some(Action::Leave) => {
                self.token.lock().cancel();
                self.thread.lock().iter().for_each(Thread::unpark);
                None
            }
            Some(Action::Run { .. }) => Some(self.next_token()),
            None => None,
        };
        drop(machine);
        if let Some(data) = told {
            self.tell("state", data);
            self.changed();
        }
        if let (Some(Action::Run { run, cause }), Some(token)) = (action, token) {
            self.follow(run, cause, token);
        }
    }

    /// The token of the next run; somebody who sends has brought one.
    fn next_token(&self) -> Token {
        let mut token = self.token.lock();
        if self.pushed.lock().is_none() {
            *token = self.shared.stop.child();
        }
        token.clone()
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Begins a run on a thread of its own.
    fn follow(self: &Arc<Self>, run: u64, cause: &'static str, token: Token) {
        let stream = Arc::clone(self);
        let work = move || {
            let error =
                catch_unwind(AssertUnwindSafe(|| stream.work(run, cause, &token))).unwrap_or_else(|_| {
                    Error::new(Kind::Internal, "panic", "following the source failed in a way it must not")
                });
            stream.ring.end(error.code);
            stream.ended(run, error);
        };
        let name = format!("live-{}", self.id);
        match std::thread::Builder::new().name(name).spawn(work) {
            Ok(handle) => *self.thread.lock() = Some(handle.thread().clone()),
            Err(fault) => self.ended(run, Error::io("no thread could be started for the source", &fault)),
        }
    }

    fn work(self: &Arc<Self>, run: u64, cause: &'static str, token: &Token) -> Error {
        let settings = self.settings();
        let parts = &self.shared.parts;
        tracing::debug!(stream = %self.id, source = %settings.source, cause, "following");
        worker::run(Job {
            settings: &settings,
            ring: &self.ring,
            stats: &self.stats,
            guard: &parts.guard,
            clock: &parts.clock,
            budgets: parts.budgets.of(&settings),
            listen: parts.listen,
            pushed: self.pushed.lock().take(),
            cause,
            token,
            picture: &|_| {
                self.step(|machine, now| {
                    machine.picture(run, now);
                    None
                });
            },
            watched: &|| self.machine.lock().watched(self.shared.parts.clock.now()),
            epoch: &|epoch: &Epoch| {
                self.hls.set_bursty_input(self.figures().format.starts_with("hls"));
                self.tell("epoch", json!({ "epoch": epoch.number, "cause": epoch.cause }))
            },
        })
    }

    fn ended(self: &Arc<Self>, run: u64, error: Error) {
        let asked = error.kind == Kind::Cancelled;
        let detail = redacted(&error.detail);
        let last = self.machine.lock().cause;
        let settings = self.settings();
        if asked || last == Some(error.code) {
            tracing::debug!(stream = %self.id, source = %settings.source, cause = error.code, "left: {detail}");
        } else {
            tracing::warn!(stream = %self.id, source = %settings.source, cause = error.code, "lost: {detail}");
        }
        let jitter = (RandomState::new().hash_one(run) >> 11) as f64 / (1u64 << 53) as f64;
        let fault = Fault { cause: error.code, detail };
        self.step(|machine, now| machine.ended(run, fault, now, jitter));
        self.changed();
    }

    /// The stream object of the API, but for what others add.
    pub fn to_json(&self) -> Value {
        let (settings, status, figures) = (self.settings(), self.status(), self.figures());
        let mut told = settings.to_json();
        let epoch = self.ring.epoch();
        let tracks: Vec<Value> = epoch.iter().flat_map(|it| &it.tracks).map(track).collect();
        let codec = |kind: &str| {
            tracks.iter().find(|it| it["kind"] == kind).map(|it| it["codec"].clone()).unwrap_or(Value::Null)
        };
        let format = Some(figures.format.as_str()).filter(|it| !it.is_empty());
        let wait = status.retry_at.map(|at| (at - status.since) as f64 / 1e6);
        told["id"] = json!(self.id.as_str());
        told["state"] = json!(status.state.name());
        told["cause"] = json!(status.cause);
        told["detail"] = json!(status.detail);
        told["since"] = json!(status.since);
        told["retry_at"] = json!(status.retry_at);
        told["diagnostics"] = json!({
            "container_format": format,
            "video_codec": codec("video"),
            "audio_codec": codec("audio"),
            "keepalive": settings.keepalive,
            "orientation": settings.orientation,
            "retry_timeout": wait,
            "start_worker": status.starts,
            "worker_error": status.faults,
            "update_source": status.updates,
            "fps": rounded(figures.fps),
            "bitrate": figures.bitrate.round(),
            "gop_seconds": figures.gop_seconds.map(rounded),
            "last_frame_age": figures.last_frame_age.map(rounded),
            "latency": figures.latency.map(rounded),
            "drops": figures.drops,
            "mended": figures.mended,
            "restarts": status.restarts,
            "viewers": self.hls.usage(std::time::Instant::now()).0,
            "ring_bytes": self.ring.bytes().0,
            "ring_seconds": self.ring.span() as f64 / 1e6,
        });
        told["tracks"] = json!(tracks);
        told
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn track(track: &crate::media::live::Track) -> Value {
    let kind = match track.kind {
        crate::media::live::TrackKind::Video => "video",
        crate::media::live::TrackKind::Audio => "audio",
    };
    let (num, den) = track.frame_rate;
    json!({
        "kind": kind, "codec": track.name, "codecs": track.codecs, "width": track.width, "height": track.height,
        "frame_rate": (num > 0).then(|| rounded(f64::from(num) / f64::from(den.max(1)))),
        "sample_rate": track.sample_rate, "channels": track.channels,
    })
}

fn set(machine: &mut Machine, settings: &Settings) {
    machine.push = matches!(settings.source, Source::Push(_));
    machine.always = settings.keepalive || settings.record.is_some() || machine.push;
    machine.sender = match settings.source {
        Source::Push(Push::Http) => Some(machine.sender.unwrap_or(false)),
        _ => None,
    };
}
