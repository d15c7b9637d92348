//! When a source is followed, left, and tried again: a pure machine over time that is given.
//!
//! Invariant: at most one run at a time; another begins only once the one before has ended, so that a camera that takes one
//! connection never sees two.

use crate::base::Timestamp;
use crate::base::time::SECOND;
use std::collections::BTreeMap;

/// What a stream is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Stopped,
    Connecting,
    Live,
    /// Connected, and nothing to see for a while.
    Stalled,
    BackingOff,
    AuthFailed,
}

impl State {
    pub const ALL: [Self; 6] =
        [Self::Stopped, Self::Connecting, Self::Live, Self::Stalled, Self::BackingOff, Self::AuthFailed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Stalled => "stalled",
            Self::BackingOff => "backing-off",
            Self::AuthFailed => "auth-failed",
        }
    }
}

/// Lengths of time, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Before the first try after a failure; doubled with each failure more.
    pub first: i64,
    pub most: i64,
    /// A run that was live for so long is no failure of before.
    pub healthy: i64,
    /// Between tries with credentials that are refused: cameras lock whoever tries too often.
    pub auth: i64,
    /// A source that nobody asked for so long is left.
    pub idle: i64,
    /// Without a picture for so long, a source counts as stalled.
    pub stalled: i64,
    /// Who asks after so long a silence is a new viewer, for whom a source is tried at once.
    pub fresh: i64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first: 700_000,
            most: 30 * SECOND,
            healthy: 60 * SECOND,
            auth: 300 * SECOND,
            idle: 30 * SECOND,
            stalled: 3 * SECOND,
            fresh: 10 * SECOND,
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Begin a run; its first epoch begins for this reason.
    Run { run: u64, cause: &'static str },
    /// The run is to end.
    Leave,
}

/// Why a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A stable word.
    pub cause: &'static str,
    /// A sentence, without secrets.
    pub detail: String,
}

#[derive(Debug)]
pub struct Machine {
    pub state: State,
    pub cause: Option<&'static str>,
    pub detail: Option<String>,
    pub since: Timestamp,
    pub retry_at: Option<Timestamp>,
    pub policy: Policy,
    /// Followed though nobody watches.
    pub always: bool,
    /// A push comes when it comes: there is nothing to wait for between two.
    pub push: bool,
    /// Of a source that is sent to us in a request: whether there is one that sends.
    pub sender: Option<bool>,
    /// Users that hold it, such as recordings.
    pub holds: usize,
    /// Until somebody starts it again.
    pub held: bool,
    pub starts: u64,
    pub faults: u64,
    pub updates: u64,
    pub restarts: BTreeMap<&'static str, u64>,
    touched: Timestamp,
    run: Option<u64>,
    leaving: bool,
    /// Another run is to begin once this one has left, and why.
    again: Option<&'static str>,
    failures: u32,
    picture: Option<Timestamp>,
    live_since: Option<Timestamp>,
}

impl Machine {
    pub fn new(policy: Policy, now: Timestamp) -> Self {
        Self {
            state: State::Stopped,
            cause: None,
            detail: None,
            since: now,
            retry_at: None,
            policy,
            always: false,
            push: false,
            sender: None,
            holds: 0,
            held: false,
            starts: 0,
            faults: 0,
            updates: 0,
            restarts: BTreeMap::new(),
            touched: Timestamp::MIN,
            run: None,
            leaving: false,
            again: None,
            failures: 0,
            picture: None,
            live_since: None,
        }
    }

    /// A run is at work, or leaving.
    pub fn is_running(&self) -> bool {
        self.run.is_some()
    }

    pub fn wanted(&self, now: Timestamp) -> bool {
        !self.held && (self.always || self.watched(now))
    }

    /// Somebody watches, or uses it in another way.
    pub fn watched(&self, now: Timestamp) -> bool {
        self.holds > 0 || now - self.touched < self.policy.idle
    }

    /// Somebody asks for it by name.
    pub fn start(&mut self, now: Timestamp) -> Option<Action> {
        self.held = false;
        self.touched = now;
        match self.state {
            State::Stopped | State::BackingOff | State::AuthFailed => self.begin("start", now),
            _ => None,
        }
    }

    /// Somebody wants it ended, until it is started.
    pub fn stop(&mut self, cause: &'static str, now: Timestamp) -> Option<Action> {
        self.held = cause == "stopped";
        self.leave(State::Stopped, cause, now)
    }

    /// The source or its options are others now: what runs ends, and another begins at once, out of any wait. What is stopped
    /// stays so.
    pub fn update(&mut self, now: Timestamp) -> Option<Action> {
        self.updates += 1;
        self.failures = 0;
        if self.state == State::Stopped {
            return None;
        }
        let action = self.begin("source", now);
        if self.run.is_some() && action.is_none() {
            self.turn(State::Connecting, Some("source"), now);
            self.leaving = true;
            return Some(Action::Leave);
        }
        action
    }

    /// Somebody watches.
    pub fn touch(&mut self, now: Timestamp) -> Option<Action> {
        let fresh = now - self.touched >= self.policy.fresh;
        self.touched = self.touched.max(now);
        match self.state {
            State::Stopped if !self.held => self.begin("start", now),
            State::BackingOff if fresh => self.begin("reconnect", now),
            _ => None,
        }
    }

    /// Somebody sends, where that is how the source comes.
    pub fn sender(&mut self, now: Timestamp) -> Option<Action> {
        if self.held || self.run.is_some() {
            return None;
        }
        self.sender = Some(true);
        self.begin("start", now)
    }

    /// Time went on.
    pub fn tick(&mut self, now: Timestamp) -> Option<Action> {
        let wanted = self.wanted(now);
        match self.state {
            State::Stopped if wanted && !self.held => return self.begin("start", now),
            State::Stopped => {}
            _ if !wanted => return self.leave(State::Stopped, "idle", now),
            State::BackingOff | State::AuthFailed if self.retry_at.is_none_or(|at| now >= at) => {
                return self.begin("reconnect", now);
            }
            State::Live if self.picture.is_some_and(|at| now - at >= self.policy.stalled) => {
                self.turn(State::Stalled, Some("stalled"), now);
            }
            _ => {}
        }
        None
    }

    /// A picture came.
    pub fn picture(&mut self, run: u64, now: Timestamp) {
        if self.run != Some(run) || self.leaving {
            return;
        }
        self.picture = Some(now);
        if self.state != State::Live {
            self.live_since.get_or_insert(now);
            self.turn(State::Live, None, now);
        }
    }

    /// A run has ended: by its fault, or as it was told. `jitter` lies between 0 and 1.
    pub fn ended(&mut self, run: u64, fault: Fault, now: Timestamp, jitter: f64) -> Option<Action> {
        if self.run != Some(run) {
            return None;
        }
        self.run = None;
        self.picture = None;
        self.sender = self.sender.map(|_| false);
        let lasted = self.live_since.take().map_or(0, |at| now - at);
        let told = std::mem::take(&mut self.leaving);
        if let Some(cause) = self.again.take().filter(|_| !self.held) {
            *self.restarts.entry(cause).or_default() += 1;
            return self.begin(cause, now);
        }
        if told {
            return None;
        }
        self.faults += 1;
        *self.restarts.entry(fault.cause).or_default() += 1;
        self.failures = if lasted >= self.policy.healthy { 0 } else { self.failures };
        self.failures = self.failures.saturating_add(1);
        self.detail = Some(fault.detail);
        if self.push && matches!(fault.cause, "ended" | "reset" | "broken" | "stalled" | "invalid-data") {
            self.turn(State::BackingOff, Some(fault.cause), now);
            self.retry_at = Some(now);
            return None;
        }
        let (state, wait) = match fault.cause {
            "auth-failed" => (State::AuthFailed, self.policy.auth),
            _ => (State::BackingOff, self.backoff(jitter)),
        };
        self.turn(state, Some(fault.cause), now);
        self.retry_at = Some(now + wait);
        None
    }

    /// Half again as long or half as short: sources that were lost together do not come back together.
    fn backoff(&self, jitter: f64) -> i64 {
        let doubled = 1i64.checked_shl(self.failures.saturating_sub(1).min(40)).unwrap_or(i64::MAX);
        let wait = self.policy.first.saturating_mul(doubled).min(self.policy.most);
        let spread = 0.75 + jitter.clamp(0.0, 1.0) / 2.0;
        ((wait as f64 * spread) as i64).min(self.policy.most)
    }

    fn begin(&mut self, cause: &'static str, now: Timestamp) -> Option<Action> {
        if self.run.is_some() {
            self.again = Some(cause);
            if self.state == State::Stopped {
                self.turn(State::Connecting, Some(cause), now);
            }
            return None;
        }
        if self.sender == Some(false) {
            self.turn(State::Connecting, Some("waiting"), now);
            return None;
        }
        self.starts += 1;
        self.run = Some(self.starts);
        self.leaving = false;
        // What went wrong last stays to be read until the source is live.
        let cause_now = if self.state == State::BackingOff { self.cause } else { None };
        self.turn(State::Connecting, cause_now, now);
        Some(Action::Run { run: self.starts, cause })
    }

    fn leave(&mut self, state: State, cause: &'static str, now: Timestamp) -> Option<Action> {
        self.again = None;
        self.failures = 0;
        if self.state != state {
            self.detail = None;
            self.turn(state, Some(cause), now);
        }
        let told = std::mem::replace(&mut self.leaving, self.run.is_some());
        (self.run.is_some() && !told).then_some(Action::Leave)
    }

    fn turn(&mut self, state: State, cause: Option<&'static str>, now: Timestamp) {
        if self.state != state {
            self.since = now;
        }
        self.state = state;
        self.cause = cause;
        self.retry_at = None;
        if state == State::Live {
            self.detail = None;
        }
    }
}

#[cfg(test)]
mod tests;
