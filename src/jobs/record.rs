//! What is known of a job.

use crate::base::time::Timestamp;
use crate::base::{Error, JobId, Kind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The one state a job is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits for its turn.
    Queued,
    Running,
    Done,
    Failed,
    /// Somebody asked for its end.
    Cancelled,
}

impl State {
    /// Nothing comes after it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    /// Whether a job may go from here to `next`. A job that ran when the process died is queued again.
    fn leads_to(self, next: Self) -> bool {
        match self {
            Self::Queued => matches!(next, Self::Running | Self::Cancelled),
            Self::Running => next != Self::Running,
            Self::Done | Self::Failed | Self::Cancelled => false,
        }
    }
}

/// Why a job failed, as it would be told to who asked for the work itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Failure {
    /// For programs; stable.
    pub code: String,
    /// For people.
    pub detail: String,
    /// What kind of error it was; known as long as the process that saw it runs.
    #[serde(skip)]
    pub kind: Option<Kind>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self { code: error.code.to_owned(), detail: error.detail.clone(), kind: Some(error.kind) }
    }
}

/// A job, as it is kept and told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Record {
    #[schema(value_type = String)]
    pub id: JobId,
    /// What kind of work it is.
    pub kind: String,
    pub state: State,
    /// What was asked for, in the words of its kind.
    #[schema(value_type = Object)]
    pub parameters: Value,
    /// From 0 to 1.
    pub progress: f64,
    #[schema(value_type = String)]
    pub created: Timestamp,
    /// When it began, the last time it did.
    #[schema(value_type = Option<String>)]
    pub started: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    pub ended: Option<Timestamp>,
    /// What came of it, in the words of its kind.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Value>,
    pub failure: Option<Failure>,
}

impl Record {
    pub(super) fn new(id: JobId, kind: &str, parameters: Value, now: Timestamp) -> Self {
        Self {
            id,
            kind: kind.to_owned(),
            state: State::Queued,
            parameters,
            progress: 0.0,
            created: now,
            started: None,
            ended: None,
            result: None,
            failure: None,
        }
    }

    /// Goes to `next`, if that can be; the only place where a state changes.
    pub(super) fn turn(&mut self, next: State, now: Timestamp) -> bool {
        if !self.state.leads_to(next) {
            return false;
        }
        self.state = next;
        match next {
            State::Running => self.started = Some(now),
            State::Queued => self.progress = 0.0,
            State::Done | State::Failed | State::Cancelled => self.ended = Some(now),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_one_state_and_ends_once() {
        let now = Timestamp::parse("t", "2024-11-09T12:00:00").unwrap();
        let mut record = Record::new(JobId::new("j1").unwrap(), "x", Value::Null, now);
        assert!(!record.turn(State::Done, now), "before it ran");
        assert!(record.turn(State::Running, now) && !record.turn(State::Running, now));
        assert!(record.turn(State::Queued, now) && record.turn(State::Running, now));
        assert!(record.turn(State::Failed, now) && record.ended == Some(now));
        for next in [State::Queued, State::Running, State::Done, State::Failed, State::Cancelled] {
            assert!(!record.turn(next, now), "{next:?}");
        }
    }
}
