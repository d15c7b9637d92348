//! Cuts clients that take nothing. A connection polls a body only when the client has taken what it was given,
//! so a body that is not polled for long, though it has bytes to give, belongs to a client that stalls.
//!
//! What is long is handed to the connection a slice at a time, too: it copies what it is given, and an answer of megabytes is not
//! to sit there twice for each slow client.

use crate::base::metrics::Metrics;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::rt::task::JoinHandle;
use bytes::Bytes;
use parking_lot::Mutex;
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// A client's connection: a second handle on its socket, to shut it down with, and the watch over it.
#[derive(Clone)]
pub struct Connection(Arc<Line>);

struct Line {
    socket: TcpStream,
    pulse: Arc<Pulse>,
    /// One for all bodies of the connection, begun with the first: viewers take a body twice a second.
    watch: Mutex<Option<JoinHandle<()>>>,
}

impl Connection {
    /// `None` when the process is out of file descriptors; such a connection is then not watched.
    pub fn of(stream: &impl std::os::fd::AsFd) -> Option<Self> {
        let socket = TcpStream::from(stream.as_fd().try_clone_to_owned().ok()?);
        Some(Self(Arc::new(Line { socket, pulse: Arc::default(), watch: Mutex::default() })))
    }

    /// Watches over the next body.
    fn begin(&self, stall: Duration) -> Arc<Pulse> {
        let line = &self.0;
        let mut state = line.pulse.0.lock();
        (state.moved, state.under_way) = (Instant::now(), true);
        if !std::mem::replace(&mut state.watched, true) {
            *line.watch.lock() = Some(actix_web::rt::spawn(watch(Arc::downgrade(line), stall)));
        }
        Arc::clone(&line.pulse)
    }
}

impl Drop for Line {
    /// Thousands that are gone are not to sleep on.
    fn drop(&mut self) {
        self.watch.get_mut().iter().for_each(JoinHandle::abort);
    }
}

/// When the client's side last moved, and whose turn it is.
#[derive(Default)]
struct Pulse(Mutex<State>);

struct State {
    /// When the body was last asked for bytes, or had some again.
    moved: Instant,
    /// The connection's waker while the body has nothing: then the client waits for us.
    waiting: Option<Waker>,
    /// There is a body.
    under_way: bool,
    /// Somebody watches.
    watched: bool,
}

impl Default for State {
    fn default() -> Self {
        Self { moved: Instant::now(), waiting: None, under_way: false, watched: false }
    }
}

/// Stands in for the connection's waker, to know when the body has bytes again. Without it a connection that is
/// closing, which asks for nothing more and only waits for its client to take what was written, would look like
/// one that waits for us.
impl Wake for Pulse {
    fn wake(self: Arc<Self>) {
        let waker = {
            let mut state = self.0.lock();
            state.moved = Instant::now();
            state.waiting.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// One of them and a head are what a connection writes at once, and keeps room for: it asks for more below 32 KiB. Larger
/// ones win little, and above 128 KiB the connection makes its room anew each time; smaller ones wake the client more often.
const SLICE: usize = 62 << 10;

/// A body under watch, handed over in slices, whose bytes are counted.
pub struct Watched {
    inner: BoxBody,
    /// What is left of what the body gave last.
    rest: Bytes,
    pulse: Arc<Pulse>,
    metrics: Metrics,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut state = self.pulse.0.lock();
        (state.under_way, state.waiting) = (false, None);
    }
}

impl Watched {
    pub fn new(inner: BoxBody, connection: Option<&Connection>, stall: Duration, metrics: &Metrics) -> Self {
        let pulse = connection.map(|it| it.begin(stall)).unwrap_or_default();
        Self { inner, rest: Bytes::new(), pulse, metrics: metrics.clone() }
    }

    fn slice(&mut self) -> Bytes {
        let slice = self.rest.split_to(self.rest.len().min(SLICE));
        self.metrics.http_body_bytes.inc_by(slice.len() as u64);
        slice
    }

    /// The sockets' buffers take so much at once; below it nothing is gained by watching.
    pub fn worth_it(size: BodySize) -> bool {
        match size {
            BodySize::None => false,
            BodySize::Sized(bytes) => bytes > 64 << 10,
            BodySize::Stream => true,
        }
    }
}

/// Holds nothing of the connection while it sleeps, so that none outlives itself for it, and ends where it finds no body.
async fn watch(line: Weak<Line>, stall: Duration) {
    let mut wait = stall;
    loop {
        tokio::time::sleep(wait).await;
        let Some(line) = line.upgrade() else { return };
        let still = {
            let mut state = line.pulse.0.lock();
            if !state.under_way {
                state.watched = false;
                return;
            }
            if state.waiting.is_some() {
                state.moved = Instant::now();
            }
            state.moved.elapsed()
        };
        wait = match stall.checked_sub(still) {
            Some(left) if !left.is_zero() => left,
            _ => {
                tracing::info!("a client took nothing for {stall:?}; its connection is cut");
                // Fails only when the client was faster in leaving.
                let _ = line.socket.shutdown(Shutdown::Both);
                return;
            }
        };
    }
}

impl MessageBody for Watched {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.inner.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        {
            let mut state = self.pulse.0.lock();
            state.moved = Instant::now();
            if self.rest.is_empty() {
                state.waiting = Some(context.waker().clone());
            }
        }
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.slice())));
        }
        let waker = Waker::from(Arc::clone(&self.pulse));
        let polled = Pin::new(&mut self.inner).poll_next(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            self.pulse.0.lock().waiting = None;
        }
        polled.map_ok(|bytes| {
            self.rest = bytes;
            self.slice()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::{BodyStream, SizedStream};

    #[test]
    fn what_is_long_is_handed_over_in_slices() {
        let whole = Bytes::from_iter((0..500_000_u32).map(|at| (at % 251) as u8));
        let length = whole.len() as u64;
        let chunks = || {
            let (first, second) = (whole.slice(..300_000), whole.slice(300_000..));
            futures_util::stream::iter([Ok::<_, std::io::Error>(first), Ok(second)])
        };
        let bodies = [
            (BoxBody::new(whole.clone()), BodySize::Sized(length)),
            (BoxBody::new(SizedStream::new(length, chunks())), BodySize::Sized(length)),
            (BoxBody::new(BodyStream::new(chunks())), BodySize::Stream),
        ];
        let metrics = Metrics::default();
        for (body, size) in bodies {
            assert!(Watched::worth_it(body.size()));
            let mut body = BoxBody::new(Watched::new(body, None, Duration::from_secs(1), &metrics));
            assert_eq!(body.size(), size);
            let (mut context, mut taken) = (Context::from_waker(Waker::noop()), Vec::new());
            while let Poll::Ready(Some(slice)) = Pin::new(&mut body).poll_next(&mut context) {
                let slice = slice.unwrap();
                assert!((1..=SLICE).contains(&slice.len()), "{} bytes at once", slice.len());
                taken.extend_from_slice(&slice);
            }
            assert!(taken == whole);
        }
        assert_eq!(metrics.http_body_bytes.get(), 3 * length);
    }
}
