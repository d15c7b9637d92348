//! Recordings: clips of a stream in files of their own, any number at a time, from before they were asked for.
//!
//! A recording is a reader of the ring with a thread of its own. While it is written its file is a fragmented MP4, so that a
//! process that dies costs a second; at its end it is indexed in place. A recording ends in one state, and its record is on
//! the disk before anybody is told of it.

mod before;
mod clip;
mod closing;
mod record;
mod run;
mod store;

pub use record::{Recording, Span, State, Written};

use super::archive::Target;
use super::{Hold, Ring};
use crate::archive::Archive;
use crate::base::metrics::Metrics;
use crate::base::time::{Clock as _, SECOND, SystemClock};
use crate::base::{Error, RecordingId, Result, StreamId, Token};
use parking_lot::Mutex;
use record::{checked_name, given_name, numbered, seconds};
use run::Run;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread::{JoinHandle, Thread};
use std::time::Duration;
use store::Store;

/// What bounds recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// At a time.
    pub running: usize,
    /// Records of ended ones that are kept; their files stay.
    pub kept: usize,
    /// Of one recording, in microseconds; lookback too.
    pub longest: i64,
    /// How long a stream may take to bring its first picture.
    pub first_media: Duration,
}

/// What is recorded.
pub struct Source {
    pub stream: StreamId,
    pub ring: Arc<Ring>,
    /// 1 to 8, as EXIF counts.
    pub orientation: u8,
    /// Keeps the stream followed as long as it is recorded.
    pub hold: Option<Hold>,
    /// Where the stream is recorded anyway: who looks back further than the ring finds it there.
    pub archive: Option<(Arc<Archive>, Target)>,
}

/// Hears of every change of a recording.
pub type Tell = Arc<dyn Fn(&Recording) + Send + Sync>;

/// What somebody wants of a running recording.
#[derive(Debug, Clone, Default)]
struct Control {
    duration: Option<i64>,
    stop: bool,
    cancel: bool,
}

struct Held {
    record: Mutex<Recording>,
    control: Mutex<Control>,
    token: Token,
    thread: Mutex<Option<Thread>>,
}

impl Held {
    fn new(record: Recording, token: Token, duration: Option<i64>) -> Arc<Self> {
        let control = Mutex::new(Control { duration, ..Control::default() });
        Arc::new(Self { record: Mutex::new(record), control, token, thread: Mutex::default() })
    }

    fn order(&self, change: impl FnOnce(&mut Control)) {
        change(&mut self.control.lock());
        self.thread.lock().iter().for_each(Thread::unpark);
    }
}

struct Inner {
    store: Store,
    limits: Limits,
    metrics: Metrics,
    tell: Tell,
    stop: Token,
    all: Mutex<BTreeMap<RecordingId, Arc<Held>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Inner {
    /// Changes a record, keeps it and tells of it.
    fn change(&self, held: &Held, change: impl FnOnce(&mut Recording)) {
        let record = {
            let mut record = held.record.lock();
            change(&mut record);
            record.clone()
        };
        // A full disk is told by the recording's state, which is known as long as the process lives.
        if let Err(error) = self.store.write(&record) {
            tracing::warn!("the record of a recording was not kept: {error}");
        }
        (self.tell)(&record);
    }

    fn running(&self) -> usize {
        self.all.lock().values().filter(|it| !it.record.lock().state.is_final()).count()
    }

    fn ended(&self, held: &Held) {
        let state = held.record.lock().state.as_str();
        self.metrics.recordings_ended.with_label_values(&[state]).inc();
        self.metrics.recordings_running.set(self.running() as i64);
        self.forget_old();
    }

    /// Lets go of the records of what ended longest ago.
    fn forget_old(&self) {
        let mut all = self.all.lock();
        let mut ended: Vec<_> = all
            .iter()
            .filter(|it| it.1.record.lock().state.is_final())
            .map(|(id, it)| (it.record.lock().created, id.clone()))
            .collect();
        ended.sort_unstable();
        let over = ended.len().saturating_sub(self.limits.kept);
        for (_, id) in &ended[..over] {
            if let Some(gone) = all.remove(id) {
                self.store.forget(&gone.record.lock());
            }
        }
    }
}

/// All recordings. Cloning shares them.
#[derive(Clone)]
pub struct Recordings(Arc<Inner>);

impl Recordings {
    /// Those of a folder. What a killed process left unfinished is finished as far as it goes.
    pub fn open(folder: &Path, limits: Limits, metrics: Metrics, tell: Tell) -> Self {
        metrics.limits.with_label_values(&["recordings_running"]).set(limits.running as f64);
        let (all, threads, stop) = (Mutex::default(), Mutex::default(), Token::root());
        let inner = Inner { store: Store::new(folder), limits, metrics, tell, stop, all, threads };
        for record in inner.store.records() {
            let unfinished = !record.state.is_final();
            let held = Held::new(record, inner.stop.child(), None);
            if unfinished {
                inner.recover(&held);
            }
            let id = held.record.lock().id.clone();
            inner.all.lock().insert(id, held);
        }
        inner.forget_old();
        Self(Arc::new(inner))
    }

    /// Begins one.
    ///
    /// # Errors
    /// `Invalid` for a name that may not be or is taken, and lengths beyond the limit; `Busy` where as many run as may.
    pub fn start(&self, source: Source, name: Option<&str>, span: Span) -> Result<Recording> {
        let inner = &self.0;
        let longest = inner.limits.longest;
        for (parameter, value, least) in
            [("duration", span.duration, 1), ("lookback", Some(span.lookback), 0)]
        {
            if value.is_some_and(|it| !(least..=longest).contains(&it)) {
                let most = seconds(longest);
                let detail = format!("{parameter} must be a number of seconds up to {most}");
                return Err(Error::invalid("invalid-length", parameter, detail));
            }
        }
        let now = SystemClock.now();
        let name = match name {
            Some(name) => checked_name(name)?.as_str().to_owned(),
            None => given_name(&source.stream, now),
        };
        let record = Recording {
            id: RecordingId::next(now),
            stream: source.stream.clone(),
            name,
            state: State::Recording,
            cause: None,
            detail: None,
            created: now,
            start: None,
            end: None,
            duration: span.duration.map(seconds),
            lookback: seconds(span.lookback),
            length: 0.0,
            bytes: 0,
            left_out: Vec::new(),
            orientation: source.orientation,
            files: Vec::new(),
        };
        let held = Held::new(record.clone(), inner.stop.child(), span.duration);
        {
            let mut all = inner.all.lock();
            let running = all.values().filter(|it| !it.record.lock().state.is_final());
            if running.clone().count() >= inner.limits.running {
                let detail = format!("{} recordings run, which is as many as may", inner.limits.running);
                return Err(Error::busy(detail));
            }
            let same = |it: &&Arc<Held>| {
                let other = it.record.lock();
                other.stream == record.stream && other.name == record.name
            };
            let mut running = running;
            if running.any(|it| same(&it)) || inner.store.has(&record.stream, &record.name) {
                let detail = format!("there is a recording of the name {} already", record.name);
                return Err(Error::invalid("name-taken", "name", detail));
            }
            all.insert(record.id.clone(), Arc::clone(&held));
        }
        let started = inner.store.write(&record).and_then(|()| {
            let run = Run::new(Arc::clone(inner), Arc::clone(&held), source);
            let name = format!("clip {}", record.stream);
            std::thread::Builder::new()
                .name(name)
                .spawn(move || run.run())
                .map_err(|fault| Error::io("a thread could not be started", &fault))
        });
        match started {
            Ok(thread) => {
                *held.thread.lock() = Some(thread.thread().clone());
                let mut threads = inner.threads.lock();
                threads.retain(|it| !it.is_finished());
                threads.push(thread);
            }
            Err(error) => {
                inner.all.lock().remove(&record.id);
                inner.store.forget(&record);
                return Err(error);
            }
        }
        inner.metrics.recordings_running.set(inner.running() as i64);
        (inner.tell)(&record);
        Ok(record)
    }

    /// All of a stream, or of every stream, the latest first.
    pub fn list(&self, stream: Option<&StreamId>) -> Vec<Recording> {
        let all = self.0.all.lock();
        let records = all.values().map(|it| it.record.lock().clone());
        let mut list: Vec<_> = records.filter(|it| stream.is_none_or(|of| *of == it.stream)).collect();
        list.sort_by_key(|it| std::cmp::Reverse(it.created));
        list
    }

    fn held(&self, stream: &StreamId, id: &RecordingId) -> Result<Arc<Held>> {
        let held = self.0.all.lock().get(id).cloned();
        held.filter(|it| it.record.lock().stream == *stream)
            .ok_or_else(|| Error::not_found("there is no such recording"))
    }

    /// # Errors
    /// `not-found`.
    pub fn get(&self, stream: &StreamId, id: &RecordingId) -> Result<Recording> {
        Ok(self.held(stream, id)?.record.lock().clone())
    }

    /// Sets how long a running one goes on, from the moment it was asked for, in microseconds.
    ///
    /// # Errors
    /// `not-found`; `Invalid` beyond the limit, and where it has ended.
    pub fn extend(&self, stream: &StreamId, id: &RecordingId, duration: i64) -> Result<Recording> {
        let held = self.held(stream, id)?;
        if !(1..=self.0.limits.longest).contains(&duration) {
            let detail =
                format!("duration must be a number of seconds up to {}", seconds(self.0.limits.longest));
            return Err(Error::invalid("invalid-length", "duration", detail));
        }
        if held.record.lock().state != State::Recording {
            return Err(Error::invalid("ended", "recording", "the recording has ended"));
        }
        held.order(|it| it.duration = Some(duration));
        self.0.change(&held, |it| it.duration = Some(seconds(duration)));
        self.get(stream, id)
    }

    /// Asks for the end of a running one, with what has come until now.
    pub fn finish(&self, stream: &StreamId, id: &RecordingId) -> Result<Recording> {
        self.held(stream, id)?.order(|it| it.stop = true);
        self.get(stream, id)
    }

    /// Takes a running one back, or an ended one away with its files.
    pub fn remove(&self, stream: &StreamId, id: &RecordingId) -> Result<Recording> {
        let held = self.held(stream, id)?;
        let record = held.record.lock().clone();
        if record.state.is_final() {
            self.0.store.remove_files(&record);
            self.0.store.forget(&record);
            self.0.all.lock().remove(id);
        } else {
            held.order(|it| it.cancel = true);
        }
        Ok(record)
    }

    /// A file of a recording, counted from 1.
    ///
    /// # Errors
    /// `not-found` while it is not finished, and where it is gone.
    pub fn file(&self, stream: &StreamId, id: &RecordingId, number: usize) -> Result<(File, Written)> {
        let record = self.get(stream, id)?;
        let written = number.checked_sub(1).and_then(|it| record.files.get(it)).cloned();
        let written =
            written.ok_or_else(|| Error::not_found("the recording has no such file, or not yet"))?;
        Ok((self.0.store.open(&record, &written.name)?, written))
    }

    /// Ends what runs, with what has come until now, and waits for it. Blocks.
    pub fn shutdown(&self) {
        self.0.stop.cancel();
        let threads = std::mem::take(&mut *self.0.threads.lock());
        threads.iter().for_each(|it| it.thread().unpark());
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a recording's thread panicked");
            }
        }
    }
}

impl Inner {
    /// Finishes what a process left that died.
    fn recover(&self, held: &Held) {
        let record = held.record.lock().clone();
        let name = numbered(&record.name, record.files.len() + 1);
        let found = match self.store.open_part(&record) {
            Some(file) => closing::close(&file).and_then(|closed| {
                let name = self.store.publish(&record, &name)?;
                Ok(Written { name, bytes: closed.bytes, length: closed.millis as f64 / 1000.0 })
            }),
            // It had its name, and nobody was told.
            None if record.state == State::Finishing => self
                .store
                .open(&record, &name)
                .and_then(|file| closing::close(&file))
                .map(|closed| Written { name, bytes: closed.bytes, length: closed.millis as f64 / 1000.0 }),
            None => Err(Error::damaged("nothing of it was written")),
        };
        self.store.forget_part(&record);
        self.change(held, |record| {
            record.state = State::Failed;
            record.cause = Some("interrupted".into());
            record.detail = Some("the server died while it was recorded".into());
            match found {
                Ok(written) => record.files.push(written),
                Err(error) => tracing::warn!("nothing could be saved of a recording: {error}"),
            }
            record.bytes = record.files.iter().map(|it| it.bytes).sum();
            record.length = record.files.iter().map(|it| it.length).sum();
            record.end = record.start.map(|it| it + (record.length * SECOND as f64) as i64);
        });
    }
}
