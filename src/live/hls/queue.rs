//! Media before what tells of it. What hundreds wait for takes tens of milliseconds to be sent to all of them, and the first who
//! have it ask for the next playlist meanwhile, which is of no use before the next part: it waits until all have theirs.

use parking_lot::Mutex;
use std::time::Duration;
use tokio::sync::Notify;

/// How long a playlist waits at most: less than any part lasts.
const MOST: Duration = Duration::from_millis(40);

/// Who waits for media.
#[derive(Debug, Default)]
pub(super) struct Queue {
    counts: Mutex<Counts>,
    /// Nobody is due any more.
    served: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    /// Who wait for what is still to come, since the last turn.
    waiting: usize,
    /// Who waited before it and have not been served.
    due: usize,
    turn: u64,
}

/// One of the queue, until it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    queue: &'a Queue,
    turn: u64,
}

impl Queue {
    /// Something has come: all who wait now are due.
    pub fn turn(&self) {
        let mut counts = self.counts.lock();
        counts.due += std::mem::take(&mut counts.waiting);
        counts.turn += 1;
    }

    pub fn enter(&self) -> Place<'_> {
        let mut counts = self.counts.lock();
        counts.waiting += 1;
        Place { queue: self, turn: counts.turn }
    }

    /// Waits until nobody is due, but not for long.
    pub async fn let_pass(&self) {
        let served = self.served.notified();
        if self.counts.lock().due > 0 {
            let _ = tokio::time::timeout(MOST, served).await;
        }
    }

    /// One of `turn` is not due any more: it goes, or waits on.
    fn settle(&self, turn: u64, stays: bool) -> u64 {
        let mut counts = self.counts.lock();
        let was_due = turn < counts.turn;
        let left = if was_due { &mut counts.due } else { &mut counts.waiting };
        *left = left.saturating_sub(1);
        counts.waiting += usize::from(stays);
        if was_due && counts.due == 0 {
            self.served.notify_waiters();
        }
        counts.turn
    }
}

impl Place<'_> {
    /// It was not what this one waits for.
    pub fn stay(&mut self) {
        self.turn = self.queue.settle(self.turn, true);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue.settle(self.turn, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn who_tells_waits_for_those_who_are_due() {
        let queue = Queue::default();
        let mut context = Context::from_waker(Waker::noop());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        let mut is_free = |queue: &Queue| pin!(queue.let_pass()).poll(&mut context) == Poll::Ready(());
        let (first, mut second) = (queue.enter(), queue.enter());
        assert!(is_free(&queue), "what they wait for has not come");
        queue.turn();
        let third = queue.enter();
        assert!(!is_free(&queue));
        drop(first);
        assert!(!is_free(&queue));
        second.stay();
        assert!(is_free(&queue), "the one has it, for the other it was not");
        queue.turn();
        drop(third);
        assert!(!is_free(&queue));
        let mut context = Context::from_waker(Waker::noop());
        let mut waits = pin!(queue.let_pass());
        assert!(waits.as_mut().poll(&mut context).is_pending());
        drop(second);
        assert!(waits.as_mut().poll(&mut context).is_ready());
        assert!(is_free(&queue));
    }

    #[test]
    fn nobody_waits_for_long() {
        let queue = Queue::default();
        let _stuck = queue.enter();
        queue.turn();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(queue.let_pass());
    }
}
