//! Media somebody sends us over HTTP: a bounded pipe from the request to the worker.

use crate::base::{Error, Kind, Result, Token};
use bytes::{Buf, Bytes};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// The sender is done, or the worker is gone.
    closed: bool,
    /// The worker is gone.
    broken: bool,
}

#[derive(Debug)]
struct Pipe {
    state: Mutex<State>,
    most: usize,
    readable: Condvar,
    writable: Notify,
}

/// The end that a request fills. Dropping it ends the media.
#[derive(Debug)]
pub struct Sender(Arc<Pipe>);

/// The end that a worker reads.
#[derive(Debug)]
pub struct Receiver {
    pipe: Arc<Pipe>,
    token: Token,
    /// Without a byte for so long, it is over.
    stall: Duration,
}

/// A pipe that holds at most `most` bytes, and the chunk that goes over them.
pub fn pipe(most: usize, stall: Duration, token: Token) -> (Sender, Receiver) {
    let pipe =
        Arc::new(Pipe { state: Mutex::default(), most, readable: Condvar::new(), writable: Notify::new() });
    (Sender(Arc::clone(&pipe)), Receiver { pipe, token, stall })
}

impl Sender {
    /// Waits for room.
    ///
    /// # Errors
    /// `publish-ended` once the stream was stopped.
    pub async fn send(&self, chunk: Bytes) -> Result<()> {
        loop {
            let room = self.0.writable.notified();
            let mut room = std::pin::pin!(room);
            room.as_mut().enable();
            {
                let mut state = self.0.state.lock();
                if state.broken {
                    let detail = "the stream no longer takes what is sent";
                    return Err(Error::new(Kind::Conflict, "publish-ended", detail));
                }
                if state.bytes < self.0.most {
                    state.bytes += chunk.len();
                    state.chunks.push_back(chunk);
                    self.0.readable.notify_all();
                    return Ok(());
                }
            }
            room.await;
        }
    }

    /// The worker has left.
    pub fn is_broken(&self) -> bool {
        self.0.state.lock().broken
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.readable.notify_all();
    }
}

impl Read for Receiver {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        /// A token has nobody to wake: it is asked this often.
        const LOOK: Duration = Duration::from_millis(50);
        let until = Instant::now() + self.stall;
        let mut state = self.pipe.state.lock();
        loop {
            if let Some(chunk) = state.chunks.front_mut() {
                let count = chunk.len().min(target.len());
                chunk.copy_to_slice(&mut target[..count]);
                if chunk.is_empty() {
                    state.chunks.pop_front();
                }
                state.bytes -= count;
                drop(state);
                self.pipe.writable.notify_waiters();
                return Ok(count);
            }
            if state.closed {
                return Ok(0);
            }
            if self.token.is_cancelled() {
                return Err(io::Error::other("the stream was left"));
            }
            if Instant::now() >= until {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.pipe.readable.wait_for(&mut state, LOOK);
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut state = self.pipe.state.lock();
        (state.broken, state.bytes) = (true, 0);
        state.chunks.clear();
        drop(state);
        self.pipe.writable.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    fn poll<F: Future>(work: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        work.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn bytes_go_through_in_order_and_no_more_wait_than_there_is_room_for() {
        let (sender, mut receiver) = pipe(4, Duration::from_secs(60), Token::root());
        assert!(poll(std::pin::pin!(sender.send(Bytes::from_static(b"hello")))).is_ready());
        let mut waiting = Box::pin(sender.send(Bytes::from_static(b" you")));
        assert!(poll(waiting.as_mut()).is_pending());
        let mut four = [0; 4];
        assert_eq!((receiver.read(&mut four).unwrap(), &four), (4, b"hell"));
        assert!(poll(waiting.as_mut()).is_ready());
        drop(waiting);
        drop(sender);
        let mut rest = String::new();
        receiver.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "o you");
    }

    #[test]
    fn a_worker_that_left_is_told_to_the_sender_and_silence_ends_a_worker() {
        let (sender, mut receiver) = pipe(4, Duration::ZERO, Token::root());
        assert_eq!(receiver.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(receiver);
        let sent = poll(std::pin::pin!(sender.send(Bytes::from_static(b"x"))));
        assert!(matches!(sent, Poll::Ready(Err(error)) if error.code == "publish-ended"));
        let stopped = Token::root();
        stopped.cancel();
        let (_sender, mut receiver) = pipe(4, Duration::from_secs(60), stopped);
        assert!(receiver.read(&mut [0]).is_err());
    }
}
