//! A connection of a viewer that costs as little as can be: five hundred of them share the machine with the server.

use crate::common::Outcome;
use bytes::BufMut;
use rustix::net::RecvFlags;
use std::net::SocketAddr;
use tokio::io::Interest;
use tokio::net::TcpStream;

pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// Answers come in pieces of this many bytes.
const ROOM: usize = 16 << 10;

impl Client {
    pub async fn connect(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(ROOM) })
    }

    /// Reads what is there; up to `room` bytes of it.
    async fn read(&mut self, room: usize) -> Outcome<()> {
        loop {
            self.stream.readable().await?;
            self.buffer.reserve(room);
            // What is read is appended; nothing is written twice.
            match self.stream.try_read_buf(&mut (&mut self.buffer).limit(room)) {
                Ok(0) => return Err("the server closed".into()),
                Ok(_) => return Ok(()),
                Err(fault) if fault.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    /// Takes `count` bytes off the socket without copying them: what a viewer elsewhere does with them costs this machine
    /// nothing.
    async fn discard(&self, mut count: usize) -> Outcome<()> {
        const MOST: usize = 256 << 10;
        let take = |count: usize| {
            // With this flag the system takes the buffer's length alone.
            let mut nowhere = [std::mem::MaybeUninit::<u8>::uninit(); MOST];
            Ok(rustix::net::recv(&self.stream, &mut nowhere[..count.min(MOST)], RecvFlags::TRUNC)?.1)
        };
        while count > 0 {
            self.stream.readable().await?;
            match self.stream.try_io(Interest::READABLE, || take(count)) {
                Ok(0) => return Err("the server closed".into()),
                Ok(taken) => count -= taken,
                Err(fault) if fault.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(())
    }

    async fn ask(&mut self, target: &str) -> Outcome<()> {
        let head = format!("GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n");
        let mut rest = head.as_bytes();
        while !rest.is_empty() {
            match self.stream.try_write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(fault) if fault.kind() == std::io::ErrorKind::WouldBlock => {
                    self.stream.writable().await?
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(())
    }

    /// Where the head ends, and the length of the body.
    async fn head(&mut self, target: &str) -> Outcome<(usize, usize)> {
        let end = loop {
            match memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.read(ROOM).await?,
            }
        };
        let head = std::str::from_utf8(&self.buffer[..end])?;
        if !head.starts_with("HTTP/1.1 200") {
            return Err(format!("{target}: {head}").into());
        }
        let length = |line: &str| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        };
        Ok((end, head.lines().find_map(length).ok_or("no length")?))
    }

    /// Asks for something and lets it go once it is all there.
    pub async fn fetch(&mut self, target: &str) -> Outcome<()> {
        self.ask(target).await?;
        self.fetched(target).await
    }

    /// Lets the next answer go once it is all there.
    pub async fn fetched(&mut self, target: &str) -> Outcome<()> {
        let (head, length) = self.head(target).await?;
        let here = (self.buffer.len() - head).min(length);
        self.buffer.drain(..head + here);
        self.discard(length - here).await
    }

    pub async fn get(&mut self, target: &str) -> Outcome<String> {
        self.ask(target).await?;
        let (head, length) = self.head(target).await?;
        while self.buffer.len() < head + length {
            self.read(head + length - self.buffer.len()).await?;
        }
        let body = String::from_utf8(self.buffer[head..head + length].to_vec());
        self.buffer.drain(..head + length);
        Ok(body?)
    }
}
