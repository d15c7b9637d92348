//! Playlists while 64 clients ask for frames.
//!
//! The clients ask for random frames of 720p, each on a connection it keeps, while one asks for a playlist of 15 minutes
//! every 20 ms: how long its answers take from the request to the last byte, alone and under the load. Beside it, in the
//! same rounds, what the system alone takes to pass a word through as many threads as an answer passes through: on a
//! machine with other work that is most of the tail.
//!
//! Then 200 clients that scrub (`scrub.rs`), and frames while what is kept of segments is made beside them (`warming.rs`).
//! `cargo bench --bench load [-- frames | scrub | warm]`.

mod common;
#[path = "load/scrub.rs"]
mod scrub;
#[path = "load/warming.rs"]
mod warming;

use common::server::Server;
use common::{CHANNEL, Dice, Outcome, TINY, bar, heads, line, median, millis, quantile};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

const CLIENTS: usize = 64;
const EVERY: Duration = Duration::from_millis(20);
const LENGTH: Duration = Duration::from_secs(8);
const ROUNDS: u64 = 3;

/// What one round saw.
struct Round {
    /// Of the playlist, in ms.
    times: Vec<f64>,
    /// Of as many bare hops between threads, in ms.
    hops: Vec<f64>,
    frames: f64,
    busy: u64,
    peak: f64,
}

fn main() -> std::process::ExitCode {
    common::run(bench)
}

fn bench() -> Outcome<()> {
    if common::wanted("frames") {
        frames(&common::archive()?)?;
    }
    if common::wanted("scrub") {
        scrub::run(&common::long()?)?;
    }
    if common::wanted("warm") {
        warming::run(&common::long()?)?;
    }
    Ok(())
}

fn frames(root: &Path) -> Outcome<()> {
    let (mut alone, mut loaded) = (Vec::new(), Vec::new());
    for number in 0..ROUNDS {
        alone.push(round(root, 0, number, LENGTH / 4)?);
        loaded.push(round(root, CLIENTS, number, LENGTH)?);
    }
    println!(
        "A playlist of 15 minutes every {} ms, latency in ms, median of {ROUNDS} rounds",
        EVERY.as_millis()
    );
    heads("", &["p50", "p99", "max", "frames/s", "503", "peak MiB"]);
    let show = |what: &str, rounds: &[Round]| {
        let of = |value: &dyn Fn(&Round) -> f64| median(&rounds.iter().map(value).collect::<Vec<_>>());
        let p99 = of(&|it| quantile(&it.times, 0.99));
        line(
            what,
            &[
                format!("{:.2}", of(&|it| quantile(&it.times, 0.5))),
                format!("{p99:.2}"),
                format!("{:.2}", of(&|it| quantile(&it.times, 1.0))),
                format!("{:.1}", of(&|it| it.frames)),
                format!("{:.0}", of(&|it| it.busy as f64)),
                format!("{:.0}", of(&|it| it.peak)),
            ],
        );
        p99
    };
    show("nothing else asks", &alone);
    hops("- the same hops between bare threads", &alone);
    let p99 = show(&format!("{CLIENTS} clients ask for frames"), &loaded);
    hops("- the same hops between bare threads", &loaded);
    let worst = loaded.iter().map(|it| quantile(&it.times, 0.99)).fold(0.0, f64::max);
    bar(&format!("p99 {p99:.2} ms (worst round {worst:.2}); bar 20"), p99 <= 20.0);
    Ok(())
}

/// The line of the bare hops: what no server could do better on this machine at this moment.
fn hops(what: &str, rounds: &[Round]) {
    let of = |part| median(&rounds.iter().map(|it| quantile(&it.hops, part)).collect::<Vec<_>>());
    line(what, &[0.5, 0.99, 1.0].map(|part| format!("{:.2}", of(part))));
}

/// A thread that answers with what it is sent.
struct Echo {
    to: SyncSender<()>,
    from: Receiver<()>,
}

impl Echo {
    fn start() -> std::io::Result<Self> {
        let ((to, receiver), (sender, from)) = (sync_channel::<()>(0), sync_channel(0));
        std::thread::Builder::new()
            .name("echo".into())
            .spawn(move || while receiver.recv().is_ok() && sender.send(()).is_ok() {})?;
        Ok(Self { to, from })
    }

    /// From a client to the connection's thread, to the disk's, and back the same way: four wake-ups.
    fn hops(&self) -> Outcome<f64> {
        let asked = Instant::now();
        for _ in 0..2 {
            self.to.send(())?;
            self.from.recv()?;
        }
        Ok(millis(asked.elapsed()))
    }
}

fn round(root: &Path, clients: usize, number: u64, length: Duration) -> Outcome<Round> {
    let server = Server::start(root, &[])?;
    let (over, frames, busy) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let begun = Instant::now();
    let (times, hops) = std::thread::scope(|scope| -> Outcome<(Vec<f64>, Vec<f64>)> {
        let threads: Vec<_> = (0..clients as u64)
            .map(|client| {
                let (server, over, frames, busy) = (&server, &over, &frames, &busy);
                scope.spawn(move || -> Outcome<()> {
                    let mut dice = Dice::new(1000 * number + client + 1);
                    let mut client = server.client()?;
                    while !over.load(Ordering::Relaxed) {
                        let at = dice.instant("720p");
                        let target = format!("/frame/{CHANNEL}/720p.jpg?timestamp={at}");
                        match client.get(&target)?.status {
                            200 => frames.fetch_add(1, Ordering::Relaxed),
                            503 => busy.fetch_add(1, Ordering::Relaxed),
                            status => return Err(format!("a frame was answered {status}").into()),
                        };
                    }
                    Ok(())
                })
            })
            .collect();
        let target = format!("/playlist/{TINY}/720p.m3u8?start=2024-11-10T03:50:00&end=2024-11-10T04:05:00");
        let times = playlists(&server, &target, length);
        over.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_| "a client panicked")??;
        }
        times
    })?;
    let frames = frames.into_inner() as f64 / begun.elapsed().as_secs_f64();
    Ok(Round { times, hops, frames, busy: busy.into_inner(), peak: server.memory().peak })
}

/// Latencies of the playlist, and of the bare hops half way between two.
fn playlists(server: &Server, target: &str, length: Duration) -> Outcome<(Vec<f64>, Vec<f64>)> {
    let echo = Echo::start()?;
    let mut hops = Vec::new();
    let mut client = server.client()?;
    let begun = Instant::now();
    let mut times = Vec::new();
    let mut next = begun;
    while begun.elapsed() < length {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        // A late answer is followed at once: the rate is kept where the server can.
        next = (next + EVERY).max(Instant::now());
        let asked = Instant::now();
        let answer = client.get(target)?;
        if answer.status != 200 || answer.bytes < 10_000 {
            return Err(
                format!("a playlist was answered {} with {} bytes", answer.status, answer.bytes).into()
            );
        }
        times.push(millis(asked.elapsed()));
        std::thread::sleep((next - EVERY / 2).saturating_duration_since(Instant::now()));
        hops.push(echo.hops()?);
    }
    Ok((times, hops))
}
