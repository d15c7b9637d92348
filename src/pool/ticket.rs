//! A claim on a task's result. Dropping it cancels the task.

use crate::base::{Error, Result, Token};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// The result of a task to come: await it, or [`Ticket::wait`] for it on a thread of your own.
///
/// Dropping the ticket cancels the task, and skips it when it has not begun.
#[derive(Debug)]
#[must_use = "dropping a ticket cancels its task"]
pub struct Ticket<T> {
    receiver: Option<oneshot::Receiver<Result<T>>>,
    token: Token,
}

impl<T> Ticket<T> {
    pub(super) fn new(receiver: oneshot::Receiver<Result<T>>, token: Token) -> Self {
        Self { receiver: Some(receiver), token }
    }

    /// The task's token: cancel it to end the task and still learn how it ended.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Blocks until the task ended. Not for async code: it must never hold up an HTTP worker.
    pub fn wait(mut self) -> Result<T> {
        match self.receiver.take() {
            Some(receiver) => receiver.blocking_recv().unwrap_or_else(|_| Err(Error::cancelled())),
            None => Err(Error::cancelled()),
        }
    }
}

impl<T> Future for Ticket<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let Some(receiver) = self.receiver.as_mut() else {
            return Poll::Ready(Err(Error::cancelled()));
        };
        // A sender that went without a word belonged to a pool that is gone.
        Pin::new(receiver).poll(context).map(|got| got.unwrap_or_else(|_| Err(Error::cancelled())))
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        self.token.cancel();
    }
}
