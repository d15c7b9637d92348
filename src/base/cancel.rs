//! Cancellation: a tree of tokens, each with an optional deadline. Cancelling a token cancels its children,
//! never its parent. Every loop of blocking work and libav's interrupt callback ask the same token.

use crate::base::error::{Error, Kind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Asks "should I go on?". Cheap to clone; clones share one state.
#[derive(Debug, Clone)]
pub struct Token(Arc<Node>);

#[derive(Debug)]
struct Node {
    cancelled: AtomicBool,
    deadline: Option<Instant>,
    parent: Option<Token>,
}

impl Default for Token {
    fn default() -> Self {
        Self::root()
    }
}

impl Token {
    /// A token nobody cancels but its holders.
    pub fn root() -> Self {
        Self::node(None, None)
    }

    /// A token that is cancelled when this one is.
    pub fn child(&self) -> Self {
        Self::node(Some(self.clone()), None)
    }

    /// A child that also gives up `limit` from now.
    pub fn child_with_deadline(&self, limit: Duration) -> Self {
        Self::node(Some(self.clone()), Instant::now().checked_add(limit))
    }

    fn node(parent: Option<Self>, deadline: Option<Instant>) -> Self {
        Self(Arc::new(Node { cancelled: AtomicBool::new(false), deadline, parent }))
    }

    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
    }

    /// True once this token or one above it is cancelled or past its deadline.
    pub fn is_cancelled(&self) -> bool {
        self.state().is_some()
    }

    /// `Ok` while work should go on; otherwise [`Kind::Cancelled`] or [`Kind::Deadline`].
    pub fn check(&self) -> Result<()> {
        match self.state() {
            None => Ok(()),
            Some(Kind::Deadline) => {
                Err(Error::new(Kind::Deadline, "deadline", "the work did not finish within its time limit"))
            }
            Some(_) => Err(Error::cancelled()),
        }
    }

    fn state(&self) -> Option<Kind> {
        let mut at = Some(self);
        while let Some(Token(node)) = at {
            if node.cancelled.load(Ordering::Acquire) {
                return Some(Kind::Cancelled);
            }
            if node.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Some(Kind::Deadline);
            }
            at = node.parent.as_ref();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelling_goes_down_and_never_up() {
        let root = Token::root();
        let (left, right) = (root.child(), root.child());
        left.cancel();
        assert!(left.is_cancelled() && !right.is_cancelled() && !root.is_cancelled());
        root.cancel();
        assert_eq!(right.check().unwrap_err().kind, Kind::Cancelled);
    }

    #[test]
    fn a_deadline_is_told_apart_from_a_cancel() {
        let root = Token::root();
        let late = root.child_with_deadline(Duration::ZERO);
        assert_eq!(late.child().check().unwrap_err().kind, Kind::Deadline);
        assert!(root.check().is_ok());
    }
}
