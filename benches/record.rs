//! Twenty sources recorded into the archive while nobody watches, beside as many processes of `ffmpeg -c copy -f segment`.
//!
//! Each source is 1080p at 30 pictures a second and some 5 Mbit/s as MPEG-TS over HTTP, sent picture by picture as it is due;
//! first ffmpeg gets them, then the server. What counts is the CPU time of who records, for each source and second, and of the
//! server the memory beside its rings. `cargo bench --bench record`; `-- SECONDS` measures another while than half a minute.
#![allow(clippy::disallowed_methods)]

mod common;

use common::server::Server;
use common::{Outcome, bar, heads, line, process};
use moviola::base::{Timestamp, Token};
use moviola::media::synthetic::{Coder, Pace, Picture, Recipe, Sound, Voice, file};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SOURCES: usize = 20;
const FPS: u64 = 30;
const BIT_RATE: i64 = 5_000_000;
/// From the first picture until everything runs as it goes on, the rings full.
const WARM: u64 = 20;
const USUAL: u64 = 30;
/// Of each source in memory; short, so that it is full when it is looked at.
const RING: &str = "10 s";
/// What a source may take beside its ring, in MiB.
const BESIDE: f64 = 3.0;

/// A source's bytes, and where each picture's end.
struct Clip {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// Made by the first run, and kept below the target folder.
fn clip(seconds: u64) -> Outcome<Clip> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-record-1-{seconds}.ts"));
    if !path.exists() {
        eprintln!("making {} (once, a minute)", path.display());
        let part = path.with_extension("part");
        let mut coder = Coder { bit_rate: BIT_RATE, ..Coder::x264("ultrafast", 0, FPS, 0) };
        coder.options.retain(|it| it.0 != "crf");
        let recipe = Recipe {
            start: Timestamp::from_micros(0),
            first_second: 63,
            frames: seconds * FPS,
            pace: Pace::Steady(FPS as i32, 1),
            segments: vec![FPS],
            at_keys: true,
            picture: Picture {
                width: 1920,
                height: 1080,
                format: "yuv420p".into(),
                full_range: false,
                interlaced: None,
            },
            coder,
            sound: Sound { codec: "aac".into(), bit_rate: 128_000, voice: Voice::Song },
        };
        file(&recipe, "mpegts", &[], std::fs::File::create(&part)?, &Token::root())?;
        std::fs::rename(part, &path)?;
    }
    let bytes = std::fs::read(path)?;
    // The first stream is the pictures', on FFmpeg's usual PID.
    let begins = |packet: &[u8]| packet[1] & 0x5f == 0x41 && packet[2] == 0;
    let starts = bytes.chunks_exact(188).enumerate().filter(|it| begins(it.1)).map(|it| it.0 * 188);
    let ends = starts.skip(1).chain([bytes.len()]).collect();
    Ok(Clip { bytes, ends })
}

/// Sends the clip to everybody who connects, each picture when it is due.
struct Sender {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Viewer {
    stream: TcpStream,
    begun: Instant,
    next: usize,
}

impl Sender {
    fn start(clip: Arc<Clip>) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let (address, over) = (listener.local_addr()?, Arc::new(AtomicBool::new(false)));
        let stop = Arc::clone(&over);
        let work = move || send(&listener, &clip, &stop);
        let thread = std::thread::Builder::new().name("sender".into()).spawn(work)?;
        Ok(Self { address, over, thread: Some(thread) })
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn send(listener: &TcpListener, clip: &Clip, over: &AtomicBool) {
    let frame = Duration::from_secs(1) / FPS as u32;
    let mut viewers: Vec<Viewer> = Vec::new();
    let mut count = 0;
    while !over.load(Ordering::Relaxed) {
        while let Ok((stream, _)) = listener.accept() {
            // Cameras are not in step.
            let begun = Instant::now() + frame * (count % SOURCES) as u32 / SOURCES as u32;
            count += 1;
            if greet(&stream).is_ok() {
                viewers.push(Viewer { stream, begun, next: 0 });
            }
        }
        let due = |it: &Viewer| it.begun + frame * it.next as u32;
        let wait = |it: Instant| it.saturating_duration_since(Instant::now()).min(frame);
        let Some(first) = viewers.iter_mut().min_by_key(|it| due(it)) else {
            std::thread::sleep(frame);
            continue;
        };
        let rest = wait(due(first));
        if !rest.is_zero() {
            std::thread::sleep(rest);
            continue;
        }
        let from = first.next.checked_sub(1).map_or(0, |it| clip.ends[it]);
        let sent = (&first.stream).write_all(&clip.bytes[from..clip.ends[first.next]]);
        first.next += 1;
        // Who left is forgotten, and so is who has seen it all.
        if sent.is_err() || first.next == clip.ends.len() {
            first.next = usize::MAX;
            viewers.retain(|it| it.next < usize::MAX);
        }
    }
}

fn greet(mut stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut head = [0; 4096];
    let mut filled = 0;
    while !head[..filled].ends_with(b"\r\n\r\n") {
        match stream.read(&mut head[filled..])? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n")
}

/// CPU time between two moments of what `cpu` tells, from when everything runs.
fn measured(seconds: u64, cpu: impl Fn() -> Duration) -> f64 {
    std::thread::sleep(Duration::from_secs(WARM));
    let (before, begun) = (cpu(), Instant::now());
    std::thread::sleep(Duration::from_secs(seconds));
    (cpu() - before).as_secs_f64() / begun.elapsed().as_secs_f64() / SOURCES as f64
}

struct Peers(Vec<Child>);

impl Drop for Peers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Of ffmpeg: CPU seconds for each source and second, its memory for each in MiB, and how many segments it wrote.
fn peer(ffmpeg: &str, sender: &Sender, folder: &Path, seconds: u64) -> Outcome<(f64, f64, usize)> {
    let mut peers = Peers(Vec::new());
    for source in 0..SOURCES {
        let folder = folder.join(source.to_string());
        std::fs::create_dir_all(&folder)?;
        let child = Command::new(ffmpeg)
            .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-i"])
            .arg(format!("http://{}/{source}.ts", sender.address))
            .args(["-c", "copy", "-f", "segment", "-segment_time", "2", "-segment_format", "mpegts"])
            .arg(folder.join("%05d.ts"))
            .stdin(Stdio::null())
            .spawn()?;
        peers.0.push(child);
    }
    let all = || peers.0.iter().filter_map(|it| process::cpu_of(it.id())).sum();
    let cpu = measured(seconds, all);
    let memory = peers.0.iter().map(|it| process::share_of(it.id())).sum::<f64>() / SOURCES as f64;
    drop(peers);
    Ok((cpu, memory, files(folder)?))
}

fn files(folder: &Path) -> Outcome<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        count +=
            if path.is_dir() { files(&path)? } else { usize::from(path.extension() == Some("ts".as_ref())) };
    }
    Ok(count)
}

fn ask(address: SocketAddr, method: &str, target: &str, body: &str) -> Outcome<String> {
    let mut stream = TcpStream::connect(address)?;
    let head = format!("{method} {target} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n");
    write!(stream, "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 2") { Ok(answer) } else { Err(answer.into()) }
}

/// The sum of a metric over its labels.
fn metric(text: &str, name: &str) -> f64 {
    let values = text.lines().filter(|it| it.starts_with(name) && it[name.len()..].starts_with(['{', ' ']));
    values.filter_map(|it| it.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Of the server: CPU seconds for each source and second; memory beside its rings for each source and the rings', in MiB;
/// what it counted.
fn own(sender: &Sender, folder: &Path, seconds: u64) -> Outcome<(f64, f64, f64, String)> {
    let ring = format!("live.ring={RING}");
    let server = Server::start(folder, &["live.hosts=loopback", &ring])?;
    let idle = server.memory().own;
    for source in 0..SOURCES {
        let body = format!(
            r#"{{"source": "http://{}/{source}.ts", "record": {{"channel": "cam{source}", "quality": "source"}}}}"#,
            sender.address
        );
        ask(server.address, "PUT", &format!("/streams/cam{source}"), &body)?;
    }
    let cpu = measured(seconds, || server.cpu());
    let told = ask(server.address, "GET", "/metrics", "")?;
    let rings = metric(&told, "moviola_stream_ring_bytes") / f64::from(1 << 20);
    let beside = server.memory().own - idle - rings;
    Ok((cpu, beside / SOURCES as f64, rings / SOURCES as f64, told))
}

fn main() -> std::process::ExitCode {
    common::run(bench)
}

fn bench() -> Outcome<()> {
    let seconds = std::env::args().skip(1).find_map(|it| it.parse().ok()).unwrap_or(USUAL);
    let clip = Arc::new(clip(WARM + seconds + 10)?);
    let rate = clip.bytes.len() as f64 * 8.0 / 1e6 / (WARM + seconds + 10) as f64;
    let sender = Sender::start(Arc::clone(&clip))?;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    println!("{SOURCES} sources of 1080p30 of {rate:.1} Mbit/s as MPEG-TS over HTTP, for {seconds} s each");
    heads("for each source", &["CPU ms/s", "MiB", "segments"]);
    let peer = match common::ffmpeg() {
        Some(ffmpeg) => Some(peer(ffmpeg, &sender, &folder.path().join("peer"), seconds)?),
        None => None,
    };
    let row = |what: &str, cpu: f64, memory: f64, segments: usize| {
        line(what, &[format!("{:.2}", cpu * 1e3), format!("{memory:.1}"), segments.to_string()]);
    };
    if let Some((cpu, memory, segments)) = peer {
        row("ffmpeg -c copy -f segment", cpu, memory, segments);
    }
    let archive = folder.path().join("archive");
    std::fs::create_dir(&archive)?;
    let (cpu, beside, rings, told) = own(&sender, &archive, seconds)?;
    row("moviola, a ring beside", cpu, beside, files(&archive)?);
    let lost = ["stream_drops", "stream_restarts", "record_gaps"]
        .map(|it| metric(&told, &format!("moviola_{it}_total")));
    println!("  rings of {rings:.1} MiB each; drops, restarts, gaps: {lost:?}");
    if let Some((theirs, ..)) = peer {
        let ratio = cpu / theirs;
        bar(&format!("CPU {ratio:.2} of ffmpeg's; bar 1"), ratio <= 1.0);
    }
    bar(&format!("{beside:.1} MiB a source beside its ring; bar {BESIDE}"), beside <= BESIDE);
    Ok(())
}
