//! Threads for blocking work. It runs closures, and knows no media and no HTTP.
//!
//! Four lanes, so that work of one kind never waits for another: `interactive` (a person waits for a frame or
//! a waveform), `batch` (minutes of encoding, at a lower OS priority), `background` (what nobody waits for, at the lowest) and
//! `disk` (listings and reads of files; never decodes, so busy decoders cannot delay a playlist). Each lane has named threads, a bounded queue and
//! as many seats as threads. A full queue refuses at once.

mod lane;
mod seats;
mod ticket;

pub use seats::{Borrowed, Seats};
pub use ticket::Ticket;

use crate::base::metrics::Metrics;
use crate::base::{Error, Result, Token};
use lane::{Job, Running};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which threads run a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// A person waits for it: a frame, a waveform.
    Interactive,
    /// Long work at a lower OS priority: full cuts.
    Batch,
    /// Nobody waits for it: what is made before it is asked for.
    Background,
    /// Listings and reads of files; nothing that decodes.
    Disk,
}

impl Lane {
    pub const ALL: [Self; 4] = [Self::Interactive, Self::Batch, Self::Background, Self::Disk];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Batch => "batch",
            Self::Background => "background",
            Self::Disk => "disk",
        }
    }
}

/// How one lane is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneOptions {
    /// Threads, and tasks that run at a time.
    pub seats: usize,
    /// Tasks that may wait; one more is refused.
    pub queue: usize,
    /// A task that waited longer than this is refused instead of run.
    pub max_wait: Option<Duration>,
    /// The threads' nice value; 0 leaves them alone.
    pub nice: i32,
}

/// How the pool is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub interactive: LaneOptions,
    pub batch: LaneOptions,
    pub background: LaneOptions,
    pub disk: LaneOptions,
}

/// The pool. Cloning shares it; [`Pool::shutdown`] ends it.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    lanes: [Running; 4],
    /// Cancelled when the grace of a shutdown is over: nothing queued begins after it.
    root: Token,
}

impl Pool {
    /// Starts the threads.
    pub fn start(options: &Options, metrics: &Metrics) -> Result<Self> {
        let root = Token::root();
        let start = |lane: Lane, options: &LaneOptions| Running::start(lane, options, metrics, &root);
        Ok(Self(Arc::new(Inner {
            lanes: [
                start(Lane::Interactive, &options.interactive)?,
                start(Lane::Batch, &options.batch)?,
                start(Lane::Background, &options.background)?,
                start(Lane::Disk, &options.disk)?,
            ],
            root,
        })))
    }

    fn lane(&self, lane: Lane) -> &Running {
        match lane {
            Lane::Interactive => &self.0.lanes[0],
            Lane::Batch => &self.0.lanes[1],
            Lane::Background => &self.0.lanes[2],
            Lane::Disk => &self.0.lanes[3],
        }
    }

    /// Queues `task`, or refuses it with [`Kind::Busy`](crate::base::Kind::Busy) when the lane's queue is full.
    ///
    /// The task is given a child of `token`, which dropping the ticket cancels; a task cancelled before its turn
    /// is never run. A panic in the task ends it with [`Kind::Internal`](crate::base::Kind::Internal).
    pub fn submit<T, F>(&self, lane: Lane, token: &Token, task: F) -> Result<Ticket<T>>
    where
        T: Send + 'static,
        F: FnOnce(&Token) -> Result<T> + Send + 'static,
    {
        let token = token.child();
        let (job, ticket) = Job::new(token, task);
        self.lane(lane).queue(job)?;
        Ok(ticket)
    }

    /// The seats of a lane, for a task that wants to use idle ones for threads of its own.
    pub fn seats(&self, lane: Lane) -> Seats {
        self.lane(lane).seats()
    }

    /// Stops accepting, lets the tasks at hand finish for `grace`, then cancels those that are left, and joins
    /// the threads. False when a task did not heed its token within [`HEED`]; its thread is left behind.
    pub fn shutdown(&self, grace: Duration) -> bool {
        for lane in &self.0.lanes {
            lane.close();
        }
        let deadline = Instant::now() + grace;
        let finished = self.0.lanes.iter().all(|lane| lane.wait_until(deadline));
        if !finished {
            self.0.root.cancel();
            self.0.lanes.iter().for_each(Running::cancel);
        }
        let deadline = Instant::now() + HEED;
        // Not `all`: each lane is to be joined even when one before it is stuck.
        let stuck = self.0.lanes.iter().filter(|lane| !lane.join_until(deadline)).count();
        stuck == 0
    }
}

/// How long a cancelled task has to notice: far longer than one packet takes to decode.
pub const HEED: Duration = Duration::from_secs(5);

pub(crate) fn refused(lane: Lane) -> Error {
    Error::busy(format!("every {} worker is busy and the queue is full; try again in a moment", lane.name()))
}

#[cfg(test)]
mod tests;
