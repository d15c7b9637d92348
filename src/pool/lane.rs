//! One lane: its queue, its threads, and what becomes of a task.

use super::{Lane, LaneOptions, Seats, Ticket, refused};
use crate::base::metrics::Metrics;
use crate::base::{Error, Kind, Result, Token};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::{Condvar, Mutex};
use prometheus::{IntCounterVec, IntGauge};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How a task ended, as the metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Failed,
    Cancelled,
    Panicked,
    Refused,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
            Self::Refused => "refused",
        }
    }

    fn of<T>(result: &Result<T>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(error) if error.kind == Kind::Cancelled => Self::Cancelled,
            Err(_) => Self::Failed,
        }
    }
}

/// Called with the outcome when a task ended, before its result is handed over: whoever holds the result finds
/// the worker free and the counters up to date.
type Ended<'a> = &'a mut dyn FnMut(Outcome);
/// A task with its result's way home: run it (`Ok`), or end it unrun (`Err`).
type Run = Box<dyn FnOnce(Result<&Token>, Ended<'_>) + Send>;

/// A task on its way to a worker.
pub(super) struct Job {
    run: Run,
    token: Token,
    since: Instant,
}

impl Job {
    pub(super) fn new<T, F>(token: Token, task: F) -> (Self, Ticket<T>)
    where
        T: Send + 'static,
        F: FnOnce(&Token) -> Result<T> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let run: Run = Box::new(move |start, ended| {
            let (result, outcome) = match start {
                // The closure is gone after a panic, so no half-changed state of its own is seen again; what it
                // shares sits behind locks that do not poison, and is written in whole steps.
                Ok(token) => match catch_unwind(AssertUnwindSafe(|| task(token))) {
                    Ok(result) => {
                        let outcome = Outcome::of(&result);
                        (result, outcome)
                    }
                    Err(panic) => (Err(panicked(panic.as_ref())), Outcome::Panicked),
                },
                Err(error) => {
                    let outcome = match error.kind {
                        Kind::Cancelled => Outcome::Cancelled,
                        _ => Outcome::Refused,
                    };
                    (Err(error), outcome)
                }
            };
            ended(outcome);
            // Nobody waits any more when this fails.
            let _ = sender.send(result);
        });
        let ticket = Ticket::new(receiver, token.clone());
        (Self { run, token, since: Instant::now() }, ticket)
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    let words = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::internal("the server failed while working on this").with_cause(format!("panic: {words}"))
}

/// What a lane's threads and its submitters share.
struct Shared {
    lane: Lane,
    root: Token,
    seats: Seats,
    max_wait: Option<Duration>,
    running: IntGauge,
    queued: IntGauge,
    tasks: IntCounterVec,
    /// The token of the task each thread is running, so that a shutdown reaches all of them.
    at_hand: Mutex<Vec<Option<Token>>>,
    /// Threads that have not ended.
    alive: Mutex<usize>,
    ended: Condvar,
}

impl Shared {
    fn count(&self, outcome: Outcome) {
        self.tasks.with_label_values(&[self.lane.name(), outcome.name()]).inc();
    }

    /// Why `job` is not to be run, if so.
    fn verdict(&self, job: &Job) -> Result<()> {
        self.root.check()?;
        job.token.check()?;
        match self.max_wait {
            Some(limit) if job.since.elapsed() > limit => {
                Err(Error::busy("the server is too busy: the work waited too long for its turn"))
            }
            _ => Ok(()),
        }
    }

    fn work(&self, number: usize, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let seat = self.seats.take();
            self.queued.dec();
            // After the seat: the wait for it counts, and its ticket may be gone since.
            let verdict = self.verdict(&job);
            let Job { run, token, .. } = job;
            // A panic of the glue itself (the task's own is caught further in) must not end the thread.
            let caught = catch_unwind(AssertUnwindSafe(|| match verdict {
                Ok(()) => {
                    self.running.inc();
                    self.at_hand.lock()[number] = Some(token.clone());
                    // A shutdown that came between the verdict and here did not see this task.
                    if self.root.is_cancelled() {
                        token.cancel();
                    }
                    let mut seat = Some(seat);
                    run(Ok(&token), &mut |outcome| {
                        drop(seat.take());
                        self.at_hand.lock()[number] = None;
                        self.running.dec();
                        self.count(outcome);
                    });
                }
                Err(error) => run(Err(error), &mut |outcome| self.count(outcome)),
            }));
            if caught.is_err() {
                tracing::error!(lane = self.lane.name(), "a result could not be handed over");
            }
        }
    }
}

/// A lane at work.
pub(super) struct Running {
    shared: Arc<Shared>,
    /// Taken away when the lane closes. The lock also keeps the queue's order while it is swept.
    sender: Mutex<Option<Sender<Job>>>,
    jobs: Receiver<Job>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Running {
    pub(super) fn start(lane: Lane, options: &LaneOptions, metrics: &Metrics, root: &Token) -> Result<Self> {
        let count = options.seats.max(1);
        let (sender, jobs) = bounded(options.queue.max(1));
        let shared = Arc::new(Shared {
            lane,
            root: root.clone(),
            seats: Seats::new(count),
            max_wait: options.max_wait,
            running: metrics.pool_running.with_label_values(&[lane.name()]),
            queued: metrics.pool_queued.with_label_values(&[lane.name()]),
            tasks: metrics.pool_tasks.clone(),
            at_hand: Mutex::new(vec![None; count]),
            alive: Mutex::new(0),
            ended: Condvar::new(),
        });
        metrics.limits.with_label_values(&[&format!("pool_{}_seats", lane.name())]).set(count as f64);
        metrics.limits.with_label_values(&[&format!("pool_{}_queue", lane.name())]).set(options.queue as f64);
        let running = Self {
            shared,
            sender: Mutex::new(Some(sender)),
            jobs,
            threads: Mutex::new(Vec::with_capacity(count)),
        };
        for number in 0..count {
            running.spawn(number, options.nice)?;
        }
        Ok(running)
    }

    fn spawn(&self, number: usize, nice: i32) -> Result<()> {
        let (shared, jobs) = (Arc::clone(&self.shared), self.jobs.clone());
        *self.shared.alive.lock() += 1;
        // Linux cuts thread names at 15 bytes.
        let name =
            format!("mv-{}-{number}", &self.shared.lane.name()[..self.shared.lane.name().len().min(8)]);
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            if nice != 0 {
                lower_priority(nice);
            }
            shared.work(number, &jobs);
            *shared.alive.lock() -= 1;
            shared.ended.notify_all();
        });
        match thread {
            Ok(handle) => {
                self.threads.lock().push(handle);
                Ok(())
            }
            Err(fault) => {
                *self.shared.alive.lock() -= 1;
                Err(Error::io("a worker thread could not be started", &fault))
            }
        }
    }

    pub(super) fn queue(&self, job: Job) -> Result<()> {
        let sender = self.sender.lock();
        let Some(sender) = sender.as_ref() else {
            self.shared.count(Outcome::Refused);
            return Err(Error::busy("the server is stopping"));
        };
        let offer = |job| {
            // Counted before it is sent: a worker may take it at once.
            self.shared.queued.inc();
            sender.try_send(job).inspect_err(|_| self.shared.queued.dec())
        };
        let job = match offer(job) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => job,
        };
        self.sweep(sender);
        offer(job).map_err(|_| {
            self.shared.count(Outcome::Refused);
            refused(self.shared.lane)
        })
    }

    /// Ends the queued tasks whose tickets are gone, so that clients that left do not keep others out. Order is
    /// kept: the caller holds the only way in.
    fn sweep(&self, sender: &Sender<Job>) {
        for _ in 0..self.jobs.len() {
            let Ok(job) = self.jobs.try_recv() else { return };
            match self.shared.verdict(&job) {
                // There is room: one was taken out and nobody else may put one in.
                Ok(()) => {
                    if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) =
                        sender.try_send(job)
                    {
                        self.end_unrun(job, refused(self.shared.lane));
                    }
                }
                Err(error) => self.end_unrun(job, error),
            }
        }
    }

    fn end_unrun(&self, job: Job, error: Error) {
        self.shared.queued.dec();
        (job.run)(Err(error), &mut |outcome| self.shared.count(outcome));
    }

    pub(super) fn seats(&self) -> Seats {
        self.shared.seats.clone()
    }

    /// Takes no more tasks; the threads end when the queue is empty.
    pub(super) fn close(&self) {
        drop(self.sender.lock().take());
    }

    /// Cancels the tasks that run now.
    pub(super) fn cancel(&self) {
        self.shared.at_hand.lock().iter().flatten().for_each(Token::cancel);
    }

    /// True once every thread has ended; false at `deadline`.
    pub(super) fn wait_until(&self, deadline: Instant) -> bool {
        let mut alive = self.shared.alive.lock();
        while *alive > 0 {
            if self.shared.ended.wait_until(&mut alive, deadline).timed_out() {
                return *alive == 0;
            }
        }
        true
    }

    pub(super) fn join_until(&self, deadline: Instant) -> bool {
        let finished = self.wait_until(deadline);
        if finished {
            for thread in self.threads.lock().drain(..) {
                // A thread that panicked is over as well.
                let _ = thread.join();
            }
        }
        finished
    }
}

/// On Linux a nice value belongs to a thread: 0 is the caller's own.
fn lower_priority(nice: i32) {
    if let Err(fault) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), nice) {
        tracing::warn!(%fault, nice, "the priority of a batch thread could not be lowered");
    }
}
