//! Bytes that lie ready on a disk, and bytes that a worker is making.

use crate::base::{Error, Result};
use crate::media::Sink;
use crate::pool::Ticket;
use bytes::{Bytes, BytesMut};
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use std::time::SystemTime;
use tokio::sync::mpsc;

/// A body whose length and identity are known before its first byte is read.
pub trait ByteSource: Send + Sync + 'static {
    /// Bytes in all.
    fn length(&self) -> u64;

    /// A word that changes whenever a byte does; without quotes.
    fn tag(&self) -> &str;

    fn modified(&self) -> Option<SystemTime>;

    /// Exactly `length` bytes from `offset`, which lie within the whole. Blocks; runs on the disk lane.
    fn read_at(&self, offset: u64, length: usize) -> Result<Bytes>;
}

/// A body made whole in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub bytes: Bytes,
    /// A word that changes whenever a byte does; without quotes.
    pub tag: String,
    /// True when `bytes` are gzip'd.
    pub gzipped: bool,
}

impl Made {
    /// Tags the bytes with their length and the checksums of their halves: 64 bits and more, which is plenty to tell
    /// versions of one address apart, at a tenth of the time of SHA-256. A playlist of 12 hours has 4 MB and is
    /// asked for again and again.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let sum = |half: &[u8]| {
            let mut crc = flate2::Crc::new();
            crc.update(half);
            crc.sum()
        };
        let tag = format!("{:x}-{:08x}{:08x}", bytes.len(), sum(first), sum(second));
        Self { bytes, tag, gzipped: false }
    }

    /// The same, compressed. 4 MB take some 20 ms.
    pub fn gzip(self) -> Result<Self> {
        let broken =
            |fault: std::io::Error| Error::internal("the answer could not be compressed").with_cause(fault);
        let mut encoder = GzEncoder::new(Vec::with_capacity(self.bytes.len() / 8), Compression::fast());
        encoder.write_all(&self.bytes).map_err(broken)?;
        let bytes = encoder.finish().map_err(broken)?.into();
        // Another representation, so another tag (RFC 9110 §8.8.3.3).
        Ok(Self { bytes, tag: format!("{}-gzip", self.tag), gzipped: true })
    }
}

/// A body a worker is making. Dropping it closes the channel and cancels the worker.
pub struct Streaming {
    /// The first chunk: nobody is told "200" before it is there.
    pub first: Bytes,
    pub rest: mpsc::Receiver<Bytes>,
    /// How the work ended, once `rest` is dry.
    pub end: Ticket<()>,
}

impl Streaming {
    /// Waits for the first chunk, or for the failure that came instead of it.
    pub async fn begin(mut rest: mpsc::Receiver<Bytes>, end: Ticket<()>) -> Result<Self> {
        match rest.recv().await {
            Some(first) => Ok(Self { first, rest, end }),
            None => {
                end.await?;
                Err(Error::internal("the work ended without a result"))
            }
        }
    }
}

/// Chunks that may wait between a worker and its client, and the bytes that make a chunk: with the ~130 KiB
/// that sit in the connection this bounds what a slow client of a cut holds in memory to about 1.2 MiB.
pub const CHUNKS_WAITING: usize = 8;
pub const CHUNK_BYTES: usize = 128 << 10;

/// A worker's end of the channel: gathers small writes into chunks.
pub struct Feed {
    sender: mpsc::Sender<Bytes>,
    gathered: BytesMut,
}

impl Feed {
    pub fn new() -> (Self, mpsc::Receiver<Bytes>) {
        let (sender, receiver) = mpsc::channel(CHUNKS_WAITING);
        (Self { sender, gathered: BytesMut::new() }, receiver)
    }

    fn send(&self, bytes: Bytes) -> Result<()> {
        // Blocks while the client is slower than the worker; fails once the client is gone.
        self.sender.blocking_send(bytes).map_err(|_| Error::cancelled())
    }

    /// Sends what is left. Without it the last bytes are lost: a failed body is not to look finished.
    pub fn finish(mut self) -> Result<()> {
        let last = self.gathered.split().freeze();
        if last.is_empty() { Ok(()) } else { self.send(last) }
    }
}

impl Sink for Feed {
    fn write(&mut self, bytes: Bytes) -> Result<()> {
        if self.gathered.is_empty() && bytes.len() >= CHUNK_BYTES {
            return self.send(bytes);
        }
        self.gathered.extend_from_slice(&bytes);
        if self.gathered.len() < CHUNK_BYTES {
            // A client that is gone is noticed at the next small write, not a chunk later.
            return if self.sender.is_closed() { Err(Error::cancelled()) } else { Ok(()) };
        }
        let chunk = self.gathered.split().freeze();
        self.send(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Kind;

    #[test]
    fn small_writes_are_gathered_and_none_is_lost() {
        let (mut feed, mut receiver) = Feed::new();
        let mut sent = 0;
        for size in [1, 1000, CHUNK_BYTES - 500, CHUNK_BYTES, 7] {
            feed.write(Bytes::from(vec![7; size])).unwrap();
            sent += size;
        }
        feed.finish().unwrap();
        let mut got = 0;
        while let Some(chunk) = receiver.blocking_recv() {
            got += chunk.len();
        }
        assert_eq!(got, sent);
    }

    #[test]
    fn a_gone_client_ends_the_work_at_the_next_write() {
        let (mut feed, receiver) = Feed::new();
        feed.write(Bytes::from_static(b"x")).unwrap();
        drop(receiver);
        assert_eq!(feed.write(Bytes::from_static(b"y")).unwrap_err().kind, Kind::Cancelled);
    }
}
