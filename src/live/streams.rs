//! The streams there are, by their names: set up, kept, changed while they run.

use super::events::Events;
use super::hls;
use super::ring::{Ring, RingLimits};
use super::settings::Settings;
use super::source::{Options, Push, Source};
use super::store::Store;
use super::stream::{Shared, Stream};
use super::supervise::{Policy, State};
use super::{Guard, Parts};
use crate::base::metrics::Metrics;
use crate::base::time::{SECOND, SystemClock};
use crate::base::{Error, Kind, Result, StreamId, Token};
use parking_lot::{Condvar, Mutex, RwLock};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a run may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// Until the source has answered.
    pub connect: Duration,
    /// From then to its first picture.
    pub first_frame: Duration,
    /// Without a picture.
    pub stall: Duration,
}

impl Default for Parts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            directory: std::path::PathBuf::new(),
            most: 1000,
            ring: RingLimits { micros: 60 * SECOND, bytes: 128 << 20 },
            budgets: Budgets { connect: seconds(5), first_frame: seconds(15), stall: seconds(10) },
            viewers: hls::Options::default(),
            policy: Policy::default(),
            guard: Guard::default(),
            listen: std::net::IpAddr::from([127, 0, 0, 1]),
            pipe_bytes: 4 << 20,
            events: 256,
            clock: Arc::new(SystemClock),
            metrics: Metrics::new(),
        }
    }
}

/// All streams. Cloning shares them.
#[derive(Clone)]
pub struct Streams(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    all: RwLock<BTreeMap<StreamId, Arc<Stream>>>,
    /// Held while streams are set up, changed or taken away, so that what is kept is what there is.
    store: Mutex<Option<Store>>,
    ticker: Mutex<Option<std::thread::JoinHandle<()>>>,
    bell: (Mutex<bool>, Condvar),
}

/// How often machines are told that time went on.
const TICK: Duration = Duration::from_millis(100);
/// Ticks from one look at the figures to the next.
const TICKS_OF_FIGURES: u32 = 10;

impl Default for Streams {
    fn default() -> Self {
        Self::with(Parts::default(), None)
    }
}

impl Streams {
    fn with(parts: Parts, store: Option<Store>) -> Self {
        let events = Events::new(parts.events);
        let shared = Arc::new(Shared { parts, events, stop: Token::root() });
        Self(Arc::new(Inner {
            shared,
            all: RwLock::default(),
            store: Mutex::new(store),
            ticker: Mutex::default(),
            bell: Default::default(),
        }))
    }

    /// Takes up the streams that are kept, and follows them as time goes on.
    pub fn open(parts: Parts) -> Result<Self> {
        let store = Store::new(&parts.directory);
        let kept = store.read()?;
        let streams = Self::with(parts, Some(store));
        for (id, settings) in kept {
            let stream = Stream::new(id.clone(), settings, Arc::clone(&streams.0.shared));
            streams.0.all.write().insert(id, stream);
        }
        let ticking = streams.clone();
        let ticker = std::thread::Builder::new().name("live-ticker".into()).spawn(move || ticking.run());
        let failed = |fault: std::io::Error| Error::io("no thread could be started for the streams", &fault);
        *streams.0.ticker.lock() = Some(ticker.map_err(failed)?);
        Ok(streams)
    }

    /// # Errors
    /// `not-found` where there is none.
    pub fn get(&self, id: &StreamId) -> Result<Arc<Stream>> {
        self.0.all.read().get(id).cloned().ok_or_else(|| Error::not_found("there is no such stream"))
    }

    pub fn list(&self) -> Vec<Arc<Stream>> {
        self.0.all.read().values().cloned().collect()
    }

    pub fn events(&self) -> &Events {
        &self.0.shared.events
    }

    /// A stream without a source, whose ring somebody else fills. It is not kept.
    pub fn put(&self, id: StreamId, limits: RingLimits) -> Arc<Stream> {
        let mut all = self.0.all.write();
        let make = || {
            let settings = Settings::new(Source::Push(Push::Http));
            let ring = Arc::new(Ring::new(limits));
            Stream::over(id.clone(), settings, ring, Arc::clone(&self.0.shared))
        };
        Arc::clone(all.entry(id.clone()).or_insert_with(make))
    }

    /// Sets a stream up, or changes it to this; whether it is new.
    ///
    /// # Errors
    /// `not-allowed` for a source that may not be opened; `too-many-streams`.
    pub fn set(&self, id: &StreamId, settings: Settings) -> Result<(Arc<Stream>, bool)> {
        self.allow(&settings)?;
        let store = self.0.store.lock();
        let found = self.0.all.read().get(id).cloned();
        if found.is_none() && self.0.all.read().len() >= self.0.shared.parts.most {
            let detail =
                format!("there are {} streams, and more are not allowed here", self.0.shared.parts.most);
            return Err(Error::new(Kind::Conflict, "too-many-streams", detail));
        }
        self.keep(store.as_ref(), id, Some(&settings))?;
        let (stream, new) = match found {
            Some(stream) => {
                stream.change(settings, false);
                (stream, false)
            }
            None => {
                let stream = Stream::new(id.clone(), settings, Arc::clone(&self.0.shared));
                self.0.all.write().insert(id.clone(), Arc::clone(&stream));
                stream.tick();
                (stream, true)
            }
        };
        stream.tell("changed", json!({ "new": new }));
        Ok((stream, new))
    }

    /// Changes the fields that are sent.
    pub fn patch(&self, id: &StreamId, fields: &Value) -> Result<Arc<Stream>> {
        let settings = self.get(id)?.settings().patched(fields)?;
        Ok(self.set(id, settings)?.0)
    }

    /// Another source for those who watch already; it begins at once even where it is the same.
    pub fn set_source(&self, id: &StreamId, source: Source, options: Options) -> Result<Arc<Stream>> {
        let stream = self.get(id)?;
        let settings = Settings { source, options, ..(*stream.settings()).clone() };
        if let Source::Push(push) = settings.source {
            settings.options.check_push(push)?;
        }
        self.allow(&settings)?;
        let store = self.0.store.lock();
        self.keep(store.as_ref(), id, Some(&settings))?;
        stream.change(settings, true);
        stream.tell("changed", json!({ "new": false }));
        Ok(stream)
    }

    /// Ends a stream and forgets it.
    pub fn remove(&self, id: &StreamId) -> Result<Arc<Stream>> {
        let store = self.0.store.lock();
        let stream = self.get(id)?;
        self.keep(store.as_ref(), id, None)?;
        self.0.all.write().remove(id);
        drop(store);
        stream.end();
        stream.tell("removed", json!({}));
        self.forget_figures(&stream);
        Ok(stream)
    }

    fn allow(&self, settings: &Settings) -> Result<()> {
        match &settings.source {
            Source::Pull(address) => self.0.shared.parts.guard.check_early(address),
            Source::Push(_) => Ok(()),
        }
    }

    /// Keeps what there is, with one stream changed or, with `None`, without it.
    fn keep(&self, store: Option<&Store>, id: &StreamId, settings: Option<&Settings>) -> Result<()> {
        let Some(store) = store else { return Ok(()) };
        let others: Vec<(StreamId, Arc<Settings>)> = {
            let all = self.0.all.read();
            all.values().filter(|it| it.id != *id).map(|it| (it.id.clone(), it.settings())).collect()
        };
        store.write(others.iter().map(|(id, it)| (id, &**it)).chain(settings.map(|it| (id, it))))
    }

    fn run(&self) {
        let mut ticks = 0u32;
        let (rung, bell) = &self.0.bell;
        loop {
            self.tick();
            if ticks.is_multiple_of(TICKS_OF_FIGURES) {
                self.tell_figures();
            }
            ticks = ticks.wrapping_add(1);
            let mut rung = rung.lock();
            if !*rung {
                bell.wait_for(&mut rung, TICK);
            }
            if *rung {
                return;
            }
        }
    }

    /// Tells every machine that time went on.
    pub fn tick(&self) {
        self.list().iter().for_each(Stream::tick);
    }

    fn tell_figures(&self) {
        let metrics = &self.0.shared.parts.metrics;
        metrics.stream_listeners.set(self.0.shared.events.listeners() as i64);
        for stream in self.list() {
            let (id, figures, status) = (stream.id.as_str(), stream.figures(), stream.status());
            let set = |gauge: &prometheus::GaugeVec, value: f64| gauge.with_label_values(&[id]).set(value);
            set(&metrics.stream_fps, figures.fps);
            set(&metrics.stream_bitrate, figures.bitrate);
            set(&metrics.stream_gop, figures.gop_seconds.unwrap_or(0.0));
            set(&metrics.stream_age, figures.last_frame_age.unwrap_or(-1.0));
            set(&metrics.stream_viewers, stream.hls.usage(Instant::now()).0 as f64);
            set(&metrics.stream_ring_bytes, stream.ring.bytes().0 as f64);
            set(&metrics.stream_ring_seconds, stream.ring.span() as f64 / SECOND as f64);
            for state in State::ALL {
                let here = i64::from(state == status.state);
                metrics.stream_state.with_label_values(&[id, state.name()]).set(here);
            }
            let counts = [
                (&metrics.stream_drops, &figures.drops),
                (&metrics.stream_mended, &figures.mended),
                (&metrics.stream_restarts, &status.restarts),
            ];
            for (counter, words) in counts {
                for (word, total) in words {
                    let counter = counter.with_label_values(&[id, word]);
                    counter.inc_by(total.saturating_sub(counter.get()));
                }
            }
        }
    }

    fn forget_figures(&self, stream: &Stream) {
        let metrics = &self.0.shared.parts.metrics;
        let (id, figures, status) = (stream.id.as_str(), stream.figures(), stream.status());
        for gauge in [
            &metrics.stream_fps,
            &metrics.stream_bitrate,
            &metrics.stream_gop,
            &metrics.stream_age,
            &metrics.stream_viewers,
            &metrics.stream_ring_bytes,
            &metrics.stream_ring_seconds,
        ] {
            let _ = gauge.remove_label_values(&[id]);
        }
        for state in State::ALL {
            let _ = metrics.stream_state.remove_label_values(&[id, state.name()]);
        }
        let counts = [
            (&metrics.stream_drops, figures.drops.keys()),
            (&metrics.stream_mended, figures.mended.keys()),
            (&metrics.stream_restarts, status.restarts.keys()),
        ];
        for (counter, words) in counts {
            for word in words {
                let _ = counter.remove_label_values(&[id, word]);
            }
        }
    }

    /// Ends every run, whatever is kept alive, and waits for the threads; `false` where one did not leave in time.
    pub fn shutdown(&self, limit: Duration) -> bool {
        *self.0.bell.0.lock() = true;
        self.0.bell.1.notify_all();
        if let Some(ticker) = self.0.ticker.lock().take() {
            let _ = ticker.join();
        }
        let all = self.list();
        all.iter().for_each(Stream::end);
        self.0.shared.stop.cancel();
        let until = Instant::now() + limit;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let Ok(runtime) = runtime else { return false };
        runtime.block_on(async {
            for stream in &all {
                let left = until.saturating_duration_since(Instant::now());
                if tokio::time::timeout(left, stream.left()).await.is_err() {
                    return false;
                }
            }
            true
        })
    }
}
