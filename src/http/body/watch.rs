//! Cuts clients that take nothing. A connection polls a body only when the client has taken what it was given,
//! so a body that is not polled for long, though it has bytes to give, belongs to a client that stalls.

use crate::base::metrics::Metrics;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use std::cell::Cell;
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll};
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

/// When the body was last asked for bytes, and whether it had any.
struct Pulse {
    asked: Cell<Instant>,
    /// True when the body had nothing yet: then the client waits for us.
    empty_handed: Cell<bool>,
}

/// A body under watch, whose bytes are counted.
pub struct Watched {
    inner: BoxBody,
    pulse: Rc<Pulse>,
    metrics: Metrics,
}

impl Watched {
    pub fn new(inner: BoxBody, connection: Option<&Connection>, stall: Duration, metrics: &Metrics) -> Self {
        let pulse = Rc::new(Pulse { asked: Cell::new(Instant::now()), empty_handed: Cell::new(false) });
        if let Some(Connection(socket)) = connection {
            actix_web::rt::spawn(watch(Rc::downgrade(&pulse), Arc::downgrade(socket), stall));
        }
        Self { inner, pulse, metrics: metrics.clone() }
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
async fn watch(pulse: Weak<Pulse>, socket: std::sync::Weak<TcpStream>, stall: Duration) {
    let mut wait = stall;
    loop {
        tokio::time::sleep(wait).await;
        let (Some(pulse), Some(socket)) = (pulse.upgrade(), socket.upgrade()) else { return };
        if pulse.empty_handed.get() {
            pulse.asked.set(Instant::now());
        }
        wait = match stall.checked_sub(pulse.asked.get().elapsed()) {
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
        let polled = Pin::new(&mut self.inner).poll_next(context);
        self.pulse.asked.set(Instant::now());
        self.pulse.empty_handed.set(polled.is_pending());
        if let Poll::Ready(Some(Ok(bytes))) = &polled {
            self.metrics.http_body_bytes.inc_by(bytes.len() as u64);
        }
        polled
    }
}
