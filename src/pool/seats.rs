//! Seats: how many threads' worth of work a lane may do at a time. A task sits on one; it may borrow idle ones
//! for threads of its own (an encoder's), so that the threads of a process stay within what was configured.

use parking_lot::{Condvar, Mutex};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

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

    /// Calls `work` on this thread, and at once on as many others as there are seats nobody uses or waits for, `most` of
    /// them; returns when all calls have. A panic in one goes on in this thread, as if it had been here.
    pub fn with_idle(&self, most: usize, work: &(dyn Fn() + Sync)) {
        let lent = self.borrow_idle(most);
        thread::scope(|scope| {
            let start = |number| {
                let named = thread::Builder::new().name(format!("mv-beside-{number}"));
                // Without another thread this one does it all.
                named.spawn_scoped(scope, work).ok()
            };
            let others: Vec<_> = (0..lent.count()).filter_map(start).collect();
            work();
            for other in others {
                other.join().unwrap_or_else(|panic| resume_unwind(panic));
            }
        });
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

    #[test]
    fn works_at_once_on_idle_seats_alone() {
        let seats = Seats::new(3);
        let own = seats.take();
        let calls = Mutex::new(0);
        // Each call ends when all have begun.
        let all = std::sync::Barrier::new(3);
        seats.with_idle(8, &|| {
            *calls.lock() += 1;
            all.wait();
        });
        assert_eq!((*calls.lock(), seats.idle()), (3, 2));
        let others = seats.borrow_idle(2);
        seats.with_idle(8, &|| *calls.lock() += 1);
        assert_eq!(*calls.lock(), 4);
        drop((own, others));
        assert_eq!(seats.idle(), 3);
    }

    #[test]
    fn a_panic_beside_goes_on_here() {
        let seats = Seats::new(2);
        let here = thread::current().id();
        let work = || seats.with_idle(1, &|| assert!(thread::current().id() == here, "beside"));
        let called = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        assert!(called.is_err());
        assert_eq!(seats.idle(), 2);
    }
}
