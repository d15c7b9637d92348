//! The real server on port 0 over a temporary archive, and a small client. Dropping the server stops it and checks
//! that it left no worker, no queued task and no temporary file behind.

use base64::Engine;
use moviola::app::{App, Stopper};
use moviola::config::Config;
use moviola::live::{Desk, Streams};
use moviola::render::Render;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub struct Server {
    /// Removed once the server has stopped.
    _archive: tempfile::TempDir,
    pub address: SocketAddr,
    pub render: Render,
    pub streams: Streams,
    pub desk: Arc<Desk>,
    stopper: Stopper,
    thread: Option<std::thread::JoinHandle<()>>,
    agent: ureq::Agent,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The code of a problem document, after a look at its form.
    pub fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        let document = self.json();
        assert_eq!(document["status"], self.status);
        assert_eq!(document["request_id"], self.header("x-request-id"));
        assert!(!self.text().contains("/tmp"), "{}", self.text());
        document["code"].as_str().expect("a code").to_owned()
    }
}

impl Server {
    pub fn start(fill: impl FnOnce(&Path)) -> Self {
        Self::start_with(fill, |_| {})
    }

    pub fn start_with(fill: impl FnOnce(&Path), set: impl FnOnce(&mut Config)) -> Self {
        let archive = tempfile::tempdir().expect("a folder");
        fill(archive.path());
        let mut config = Config {
            archive: archive.path().to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            ..Config::default()
        };
        set(&mut config);
        let app = App::new(config).expect("a server");
        let (address, render, stopper) = (app.address(), app.render().clone(), app.stopper());
        let (streams, desk) = (app.streams().clone(), Arc::clone(app.desk()));
        let run = move || app.run().expect("a clean stop");
        let thread = std::thread::Builder::new().name("server".into()).spawn(run).expect("a thread");
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into();
        Self { _archive: archive, address, render, streams, desk, stopper, thread: Some(thread), agent }
    }

    pub fn get(&self, target: &str) -> Answer {
        self.get_with(target, &[])
    }

    pub fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.agent.get(format!("http://{}{target}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.call().expect("an answer");
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap_or_default().to_owned()))
            .collect();
        let mut body = Vec::new();
        response.into_body().into_reader().read_to_end(&mut body).expect("a body");
        Answer { status, headers, body }
    }

    /// Sends a head as it is and reads what comes until the server closes. For what no library would send.
    pub fn raw(&self, method: &str, target: &str, headers: &str) -> Answer {
        self.raw_with_body(method, target, headers, &[])
    }

    pub fn raw_with_body(&self, method: &str, target: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        // A server that refuses early may close before all is written.
        let _ = stream.write_all(&[head.as_bytes(), body].concat());
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Answer { status, headers, body: bytes[end + 4..].to_vec() }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream
    }

    /// Asks the server to stop and goes on.
    pub fn stop(&self) {
        self.stopper.stop();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopper.stop();
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        if std::thread::panicking() {
            return;
        }
        assert!(matches!(ended, Some(Ok(()))), "the server ended badly");
        let metrics = &self.render.metrics;
        for lane in ["interactive", "batch", "background", "disk"] {
            assert_eq!(metrics.pool_running.with_label_values(&[lane]).get(), 0, "live workers in {lane}");
            assert_eq!(metrics.pool_queued.with_label_values(&[lane]).get(), 0, "queued tasks in {lane}");
            assert_eq!(
                metrics.pool_tasks.with_label_values(&[lane, "panicked"]).get(),
                0,
                "panics in {lane}"
            );
        }
    }
}

/// Writes a segment made of `bytes`, and gives its name.
pub fn segment(
    archive: &Path,
    channel: &str,
    quality: &str,
    hour: &str,
    start: &str,
    kind: &str,
    bytes: &[u8],
) -> String {
    let hash = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(bytes));
    let name = format!("{start}-2.0-{kind}-{hash}.ts");
    let folder = archive.join(channel).join(quality).join(hour);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(&name), bytes).expect("a segment");
    name
}

pub const HOUR: &str = "2024-11-09T12";

/// `chan/720p`: 10 segments of 2 s from 12:58:00, with a hole of 2 s at 12:58:10; each 1880 bytes of its number.
pub fn small_archive(archive: &Path) {
    for number in (0u8..11).filter(|number| *number != 5) {
        let start = format!("58:{:02}.000000", number * 2);
        segment(archive, "chan", "720p", HOUR, &start, "full", &vec![number; 1880]);
    }
    std::fs::create_dir_all(archive.join("chan/empty")).expect("a folder");
    std::fs::create_dir_all(archive.join(".secret/x")).expect("a folder");
    std::fs::write(archive.join("chan/720p/.hidden.ts"), "hidden").expect("a file");
}
