//! Work that outlives a request: a record with exactly one state, kept on disk, taken up again after a crash.
//!
//! Invariant: a job's state changes in [`record`] alone, and is on the disk before anybody is told of a new job. One
//! job runs at a time, on the batch lane; the others wait here. Not here: what the work is; kinds are taught by whoever
//! builds the program.

mod journal;
mod record;

pub use record::{Failure, Record, State};

use crate::base::time::{Clock, SystemClock, Timestamp};
use crate::base::{Error, JobId, Kind, Result, Token};
use crate::pool::{Lane, Pool};
use journal::Journal;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How far a job is.
#[derive(Debug, Default)]
pub struct Progress(AtomicU64);

impl Progress {
    /// `done` of `total`, in any unit.
    pub fn set(&self, done: u64, total: u64) {
        let part = done as f64 / total.max(1) as f64;
        self.0.store(part.min(1.0).to_bits(), Ordering::Relaxed);
    }

    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// What does the work of a kind: given its parameters, it says what came of it. It may be run again from the start
/// after a crash, so what is done already it has to find done.
pub type Work = Arc<dyn Fn(&Value, &Progress, &Token) -> Result<Value> + Send + Sync>;

/// How many jobs there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Jobs that wait; one more is refused.
    pub waiting: usize,
    /// Ended jobs whose records are kept; the earliest go first.
    pub kept: usize,
}

struct Entry {
    record: Record,
    progress: Arc<Progress>,
    /// Cancelled by who asks for the job's end; set while it runs.
    token: Option<Token>,
}

#[derive(Default)]
struct Board {
    entries: BTreeMap<JobId, Entry>,
    waiting: VecDeque<JobId>,
    /// Told to give up by somebody, while running.
    unwanted: Option<JobId>,
}

struct Inner {
    kinds: BTreeMap<&'static str, Work>,
    limits: Limits,
    journal: Journal,
    clock: Arc<dyn Clock>,
    pool: Pool,
    stop: Token,
    board: Mutex<Board>,
    /// There may be something to run.
    news: Notify,
    /// Counts changes of states.
    changes: watch::Sender<u64>,
}

/// The jobs. Cloning shares them.
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

/// How long to wait when the pool has no place for a job.
const RETRY: Duration = Duration::from_secs(1);

fn unknown() -> Error {
    Error::not_found("there is no such job")
}

impl Jobs {
    /// Reads the jobs kept in `folder`; those that had not ended wait again.
    pub fn open(
        folder: &Path,
        kinds: impl IntoIterator<Item = (&'static str, Work)>,
        limits: Limits,
        pool: Pool,
        stop: Token,
    ) -> Self {
        let journal = Journal::new(folder);
        let clock = Arc::new(SystemClock);
        let mut board = Board::default();
        for mut record in journal.read() {
            if record.state == State::Running {
                record.turn(State::Queued, clock.now());
            }
            if record.state == State::Queued {
                board.waiting.push_back(record.id.clone());
            }
            let entry = Entry { progress: Arc::default(), token: None, record };
            board.entries.insert(entry.record.id.clone(), entry);
        }
        let inner = Inner {
            kinds: kinds.into_iter().collect(),
            limits,
            journal,
            clock,
            pool,
            stop,
            board: Mutex::new(board),
            news: Notify::new(),
            changes: watch::Sender::new(0),
        };
        let this = Self(Arc::new(inner));
        this.trim();
        this
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Keeps a new job, to run when its turn comes. Waits for the disk.
    ///
    /// # Errors
    /// [`Kind::Busy`] when too many wait; [`Kind::Exhausted`] when the record cannot be kept.
    pub fn submit(&self, kind: &'static str, parameters: Value) -> Result<Record> {
        if !self.0.kinds.contains_key(kind) {
            return Err(Error::internal("nobody does this kind of job"));
        }
        let id = JobId::next(self.now());
        let record = Record::new(id, kind, parameters, self.now());
        let mut board = self.0.board.lock();
        if board.waiting.len() >= self.0.limits.waiting {
            return Err(Error::busy("too many jobs wait; try again when some are done"));
        }
        self.0.journal.write(&record)?;
        board.waiting.push_back(record.id.clone());
        let entry = Entry { progress: Arc::default(), token: None, record: record.clone() };
        board.entries.insert(record.id.clone(), entry);
        drop(board);
        self.0.news.notify_one();
        Ok(record)
    }

    /// One job as it is now.
    pub fn get(&self, id: &JobId) -> Result<Record> {
        let board = self.0.board.lock();
        board.entries.get(id).map(Entry::told).ok_or_else(unknown)
    }

    /// Every job, the latest first.
    pub fn list(&self) -> Vec<Record> {
        let board = self.0.board.lock();
        let mut records: Vec<Record> = board.entries.values().map(Entry::told).collect();
        records.sort_by(|a, b| (b.created, b.id.as_str()).cmp(&(a.created, a.id.as_str())));
        records
    }

    /// Asks for a job's end: one that waits never runs, one that runs is told, one that has ended stays as it is.
    /// Waits for the disk.
    pub fn cancel(&self, id: &JobId) -> Result<Record> {
        let mut board = self.0.board.lock();
        let board = &mut *board;
        let entry = board.entries.get_mut(id).ok_or_else(unknown)?;
        match (entry.record.state, &entry.token) {
            (State::Running, Some(token)) => {
                board.unwanted = Some(id.clone());
                token.cancel();
            }
            (State::Queued, _) => {
                entry.record.turn(State::Cancelled, self.0.clock.now());
                board.waiting.retain(|it| it != id);
                self.keep(&entry.record);
                self.changed();
            }
            _ => {}
        }
        Ok(entry.told())
    }

    /// Waits until a job has ended.
    pub async fn ended(&self, id: &JobId) -> Result<Record> {
        let mut changes = self.0.changes.subscribe();
        loop {
            let record = self.get(id)?;
            if record.state.is_final() {
                return Ok(record);
            }
            self.0.stop.check()?;
            // A stop makes no change in a job that waits, so now and then it is looked for.
            let _ = tokio::time::timeout(RETRY, changes.changed()).await;
        }
    }

    /// Runs jobs one after the other, for ever.
    pub async fn run(self) {
        loop {
            let Some((id, kind, parameters, progress)) = self.next() else {
                self.0.news.notified().await;
                continue;
            };
            let Some(work) = self.0.kinds.get(kind.as_str()).cloned() else {
                self.conclude(&id, Err(Error::internal("nobody does this kind of job any more")));
                continue;
            };
            let task = move |token: &Token| work(&parameters, &progress, token);
            let ticket = match self.0.pool.submit(Lane::Batch, &self.0.stop, task) {
                Ok(ticket) => ticket,
                Err(error) if error.kind == Kind::Busy => {
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
                Err(_) => return,
            };
            if self.begin(&id, ticket.token()) {
                let outcome = ticket.await;
                self.conclude(&id, outcome);
            }
        }
    }

    /// The job whose turn it is; it stays in the queue until it begins.
    fn next(&self) -> Option<(JobId, String, Value, Arc<Progress>)> {
        let board = self.0.board.lock();
        let id = board.waiting.front()?;
        let entry = board.entries.get(id)?;
        let record = &entry.record;
        Some((id.clone(), record.kind.clone(), record.parameters.clone(), Arc::clone(&entry.progress)))
    }

    /// False when the job was cancelled while a place was sought for it.
    fn begin(&self, id: &JobId, token: &Token) -> bool {
        let mut board = self.0.board.lock();
        board.waiting.retain(|it| it != id);
        let Some(entry) = board.entries.get_mut(id) else { return false };
        if !entry.record.turn(State::Running, self.0.clock.now()) {
            return false;
        }
        entry.token = Some(token.clone());
        self.keep(&entry.record);
        self.changed();
        true
    }

    fn conclude(&self, id: &JobId, outcome: Result<Value>) {
        let mut board = self.0.board.lock();
        let unwanted = board.unwanted.take_if(|it| it == id).is_some();
        board.waiting.retain(|it| it != id);
        let Some(entry) = board.entries.get_mut(id) else { return };
        entry.token = None;
        let record = &mut entry.record;
        if record.state == State::Queued {
            record.turn(State::Running, self.0.clock.now());
        }
        match outcome {
            Ok(result) => {
                record.progress = 1.0;
                record.result = Some(result);
                record.turn(State::Done, self.0.clock.now());
            }
            Err(_) if unwanted => {
                record.turn(State::Cancelled, self.0.clock.now());
            }
            // The server stops: the job is run again when it is back.
            Err(error) if error.kind == Kind::Cancelled => {
                record.turn(State::Queued, self.0.clock.now());
            }
            Err(error) => {
                tracing::warn!(%id, code = error.code, detail = %error.detail, cause = error.cause, "a job failed");
                record.failure = Some(Failure::from(&error));
                record.turn(State::Failed, self.0.clock.now());
            }
        }
        self.keep(record);
        drop(board);
        self.changed();
        self.trim();
    }

    fn changed(&self) {
        self.0.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// A record that cannot be kept is told to the log: the job itself goes on.
    fn keep(&self, record: &Record) {
        if let Err(error) = self.0.journal.write(record) {
            tracing::warn!(id = %record.id, cause = error.cause, "a job's state was not kept");
        }
    }

    /// Forgets ended jobs past the limit.
    fn trim(&self) {
        let mut board = self.0.board.lock();
        let ended = board.entries.values().filter(|it| it.record.state.is_final());
        let mut ended: Vec<(Timestamp, JobId)> =
            ended.map(|it| (it.record.ended.unwrap_or(it.record.created), it.record.id.clone())).collect();
        let surplus = ended.len().saturating_sub(self.0.limits.kept);
        ended.sort();
        for (_, id) in ended.into_iter().take(surplus) {
            if let Some(entry) = board.entries.remove(&id) {
                self.0.journal.forget(&entry.record);
            }
        }
    }
}

impl Entry {
    fn told(&self) -> Record {
        let mut record = self.record.clone();
        if record.state == State::Running {
            record.progress = self.progress.get();
        }
        record
    }
}

#[cfg(test)]
mod tests;
