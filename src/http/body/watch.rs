//! Cuts clients that take nothing. A connection polls a body only when the client has taken what it was given,
//! so a body that is not polled for long, though it has bytes to give, belongs to a client that stalls.

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

/// A second handle on a client's socket, to shut it down with.
#[derive(Debug, Clone)]
pub struct Connection(Arc<TcpStream>);

impl Connection {
    /// `None` when the process is out of file descriptors; such a connection is then not watched.
    pub fn of(stream: &impl std::os::fd::AsFd) -> Option<Self> {
        stream.as_fd().try_clone_to_owned().ok().map(|fd| Self(Arc::new(TcpStream::from(fd))))
    }
}

/// When the client's side last moved, and whose turn it is.
struct Pulse(Mutex<State>);

struct State {
    /// When the body was last asked for bytes, or had some again.
    moved: Instant,
    /// The connection's waker while the body has nothing: then the client waits for us.
    waiting: Option<Waker>,
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

/// A body under watch, whose bytes are counted.
pub struct Watched {
    inner: BoxBody,
    pulse: Arc<Pulse>,
    metrics: Metrics,
    /// Ended with the body: thousands that are gone are not to sleep on.
    watch: Option<JoinHandle<()>>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.iter().for_each(JoinHandle::abort);
    }
}

impl Watched {
    pub fn new(inner: BoxBody, connection: Option<&Connection>, stall: Duration, metrics: &Metrics) -> Self {
        let pulse = Arc::new(Pulse(Mutex::new(State { moved: Instant::now(), waiting: None })));
        let watch = connection.map(|Connection(socket)| {
            actix_web::rt::spawn(watch(Arc::downgrade(&pulse), Arc::downgrade(socket), stall))
        });
        Self { inner, pulse, metrics: metrics.clone(), watch }
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

/// Holds nothing of the body or the socket while it sleeps, so neither outlives its connection for it.
async fn watch(pulse: Weak<Pulse>, socket: Weak<TcpStream>, stall: Duration) {
    let mut wait = stall;
    loop {
        tokio::time::sleep(wait).await;
        let (Some(pulse), Some(socket)) = (pulse.upgrade(), socket.upgrade()) else { return };
        let still = {
            let mut state = pulse.0.lock();
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
                let _ = socket.shutdown(Shutdown::Both);
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
            state.waiting = Some(context.waker().clone());
        }
        let waker = Waker::from(Arc::clone(&self.pulse));
        let polled = Pin::new(&mut self.inner).poll_next(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            self.pulse.0.lock().waiting = None;
        }
        if let Poll::Ready(Some(Ok(bytes))) = &polled {
            self.metrics.http_body_bytes.inc_by(bytes.len() as u64);
        }
        polled
    }
}
