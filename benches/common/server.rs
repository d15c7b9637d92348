//! The server as a process of its own, so that its memory and CPU are its alone, and a client that costs little.

use super::Outcome;
use super::process::{self, Memory};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Serves `archive` on a free port, with keys of the configuration as `key=value`.
    pub fn start(archive: &Path, keys: &[&str]) -> Outcome<Self> {
        let mut command = super::program();
        command.args(["serve", "--listen", "127.0.0.1:0", "--log", "warn", "--archive"]).arg(archive);
        for key in keys {
            command.args(["--set", key]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).stdin(Stdio::null()).spawn()?;
        let mut said = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut said)?;
        let address = said.trim().rsplit('/').next().and_then(|it| it.parse().ok());
        let Some(address) = address else {
            child.kill()?;
            return Err(format!("the server said '{said}'").into());
        };
        Ok(Self { child, address })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn memory(&self) -> Memory {
        process::memory(self.pid())
    }

    pub fn cpu(&self) -> Duration {
        process::cpu_of(self.pid()).unwrap_or_default()
    }

    pub fn client(&self) -> Outcome<Client> {
        Client::connect(self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

/// One connection that is kept. It reads bodies and drops them.
pub struct Client {
    stream: BufReader<TcpStream>,
}

pub struct Answer {
    pub status: u16,
    pub bytes: u64,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(600)))?;
        Ok(Self { stream: BufReader::with_capacity(256 << 10, stream) })
    }

    /// Sends a request and reads nothing.
    pub fn send(&mut self, target: &str) -> Outcome<()> {
        let head = format!("GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n");
        Ok(self.stream.get_mut().write_all(head.as_bytes())?)
    }

    pub fn get(&mut self, target: &str) -> Outcome<Answer> {
        self.send(target)?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|it| it.parse().ok()).ok_or("no status")?;
        let (mut length, mut chunked) = (0, false);
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse()?,
                "transfer-encoding" => chunked = true,
                _ => {}
            }
        }
        if !chunked {
            self.discard(length)?;
            return Ok(Answer { status, bytes: length });
        }
        let mut bytes = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let chunk = u64::from_str_radix(line.trim(), 16)?;
            self.discard(chunk + 2)?;
            bytes += chunk;
            if chunk == 0 {
                return Ok(Answer { status, bytes });
            }
        }
    }

    fn discard(&mut self, count: u64) -> Outcome<()> {
        let read = std::io::copy(&mut Read::by_ref(&mut self.stream).take(count), &mut std::io::sink())?;
        if read == count { Ok(()) } else { Err("the body was cut short".into()) }
    }
}
