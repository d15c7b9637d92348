//! Seats: how many threads' worth of work a lane may do at a time. A task sits on one; it may borrow idle ones
//! for threads of its own (an encoder's), so that the threads of a process stay within what was configured.

use parking_lot::{Condvar, Mutex};
use std::sync::Arc;

/// The seats of one lane. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Seats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Workers that hold a task and wait for a seat: nothing is lent over their heads.
    waiting: usize,
}

impl Seats {
    pub(super) fn new(count: usize) -> Self {
        let state = Mutex::new(State { free: count, waiting: 0 });
        Self(Arc::new(Inner { state, freed: Condvar::new() }))
    }

    /// Waits for a seat and takes it.
    pub(super) fn take(&self) -> Borrowed {
        let mut state = self.0.state.lock();
        state.waiting += 1;
        while state.free == 0 {
            self.0.freed.wait(&mut state);
        }
        state.waiting -= 1;
        state.free -= 1;
        Borrowed { seats: self.clone(), count: 1 }
    }

    /// Takes up to `max` seats nobody uses or waits for, perhaps none, without waiting.
    pub fn borrow_idle(&self, max: usize) -> Borrowed {
        let mut state = self.0.state.lock();
        let count = max.min(state.free.saturating_sub(state.waiting));
        state.free -= count;
        Borrowed { seats: self.clone(), count }
    }

    /// Seats nobody sits on now.
    pub fn idle(&self) -> usize {
        self.0.state.lock().free
    }
}

/// Seats taken; dropping gives them back.
#[derive(Debug)]
pub struct Borrowed {
    seats: Seats,
    count: usize,
}

impl Borrowed {
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if self.count > 0 {
            self.seats.0.state.lock().free += self.count;
            self.seats.0.freed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lends_what_is_idle_and_gets_it_back() {
        let seats = Seats::new(4);
        let own = seats.take();
        let lent = seats.borrow_idle(8);
        assert_eq!((own.count(), lent.count(), seats.idle()), (1, 3, 0));
        assert_eq!(seats.borrow_idle(1).count(), 0);
        drop(lent);
        assert_eq!(seats.idle(), 3);
        assert_eq!(seats.borrow_idle(2).count(), 2);
        drop(own);
        assert_eq!(seats.idle(), 4);
    }
}
