//! Single flight: of several that want the same thing at once, one makes it and the others wait for it.

use crate::base::{Kind, Result, Token};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How late a waiter may notice that its own asker is gone. It is woken at once when the flight lands.
const NOTICE: Duration = Duration::from_millis(20);

/// What is being made now. One entry for each maker, so never more than there are threads.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<String, Arc<Flight>>>);

#[derive(Default)]
struct Flight {
    state: Mutex<State>,
    turned: Condvar,
}

#[derive(Default)]
enum State {
    #[default]
    Flying,
    Landed(Result<Bytes>),
    /// The maker went away; whoever comes first makes it.
    Abandoned,
}

impl Flights {
    /// Runs `make` unless somebody is at it for the same `name`, whose result it gives then. A maker that is
    /// cancelled, runs out of time or panics hands over to one of those who wait. Other errors go to all of
    /// them, and nobody after them.
    pub(super) fn run(
        &self,
        name: &str,
        token: &Token,
        make: impl FnOnce() -> Result<Bytes>,
    ) -> Result<Bytes> {
        loop {
            token.check()?;
            let (flight, mine) = {
                let mut flights = self.0.lock();
                match flights.get(name) {
                    Some(flight) => (Arc::clone(flight), false),
                    None => {
                        let flight = Arc::new(Flight::default());
                        flights.insert(name.to_owned(), Arc::clone(&flight));
                        (flight, true)
                    }
                }
            };
            if mine {
                let pilot = Pilot { flights: self, name, flight };
                let result = make();
                let gone =
                    matches!(&result, Err(error) if matches!(error.kind, Kind::Cancelled | Kind::Deadline));
                if !gone {
                    *pilot.flight.state.lock() = State::Landed(result.clone());
                }
                return result;
            }
            let mut state = flight.state.lock();
            loop {
                match &*state {
                    State::Landed(result) => return result.clone(),
                    State::Abandoned => break,
                    State::Flying => {
                        flight.turned.wait_for(&mut state, NOTICE);
                        if matches!(*state, State::Flying) {
                            token.check()?;
                        }
                    }
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

/// Ends a flight however its maker ends.
struct Pilot<'a> {
    flights: &'a Flights,
    name: &'a str,
    flight: Arc<Flight>,
}

impl Drop for Pilot<'_> {
    fn drop(&mut self) {
        self.flights.0.lock().remove(self.name);
        let mut state = self.flight.state.lock();
        if matches!(*state, State::Flying) {
            *state = State::Abandoned;
        }
        drop(state);
        self.flight.turned.notify_all();
    }
}
