//! What the server holds in memory, part by part: the figures of the ceiling in docs/operations.md.
//! `cargo bench --bench memory [-- idle | frames | cuts | clients | names]`.

mod common;

use common::server::{Client, Server};
use common::{CHANNEL, Dice, Outcome, TINY, TINY_START, heads, line, seconds, start};
use moviola::base::Timestamp;
use moviola::base::time::{HOUR, SECOND};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn main() -> std::process::ExitCode {
    common::run(bench)
}

fn bench() -> Outcome<()> {
    let root = common::archive()?;
    heads("Resident memory in MiB", &["before", "after", "each"]);
    if common::wanted("idle") {
        idle(&root)?;
    }
    if common::wanted("frames") {
        frames(&root)?;
    }
    if common::wanted("cuts") {
        cuts(&root)?;
    }
    if common::wanted("clients") {
        clients(&root)?;
    }
    if common::wanted("names") {
        names(&root)?;
    }
    Ok(())
}

fn show(what: &str, before: f64, after: f64, count: f64) {
    line(what, &[format!("{before:.1}"), format!("{after:.1}"), format!("{:.3}", (after - before) / count)]);
}

/// A server that has answered one frame and one playlist, so that what is set up once is set up.
fn warm(root: &Path, keys: &[&str]) -> Outcome<Server> {
    let server = Server::start(root, keys)?;
    let mut client = server.client()?;
    client.get("/health")?;
    client.get(&frame("720p", start() + SECOND))?;
    client.get(&playlist(900))?;
    Ok(server)
}

fn frame(quality: &str, at: Timestamp) -> String {
    format!("/frame/{CHANNEL}/{quality}.png?timestamp={at}")
}

fn playlist(seconds: i64) -> String {
    let start = Timestamp::parse("start", TINY_START).expect("a time");
    format!("/playlist/{TINY}/720p.m3u8?start={start}&end={}", start + seconds * SECOND)
}

fn cut(quality: &str, kind: &str) -> String {
    let end = start() + (seconds(quality) - 1) * SECOND;
    format!("/cut/{CHANNEL}/{quality}.ts?type={kind}&start={}&end={end}", start() + SECOND)
}

fn idle(root: &Path) -> Outcome<()> {
    let server = Server::start(root, &[])?;
    server.client()?.get("/health")?;
    let fresh = server.memory();
    show("idle: own pages, and with libraries", fresh.own, fresh.now, f64::NAN);
    let used = warm(root, &[])?.memory();
    show("idle after one frame and one playlist", used.own, used.now, f64::NAN);
    Ok(())
}

/// The peak with `seats` decoders that are never without work.
fn frames(root: &Path) -> Outcome<()> {
    for quality in ["720p", "1080p"] {
        let mut first = 0.0;
        for seats in [1usize, 8] {
            let server = warm(root, &[&format!("pool.interactive_seats={seats}")])?;
            let over = AtomicBool::new(false);
            std::thread::scope(|scope| -> Outcome<()> {
                let threads: Vec<_> = (0..seats as u64 * 2)
                    .map(|number| {
                        let (server, over) = (&server, &over);
                        scope.spawn(move || -> Outcome<()> {
                            let (mut client, mut dice) = (server.client()?, Dice::new(number + 1));
                            while !over.load(Ordering::Relaxed) {
                                client.get(&frame(quality, dice.instant(quality)))?;
                            }
                            Ok(())
                        })
                    })
                    .collect();
                std::thread::sleep(Duration::from_secs(6));
                over.store(true, Ordering::Relaxed);
                for thread in threads {
                    thread.join().map_err(|_| "a client panicked")??;
                }
                Ok(())
            })?;
            let memory = server.memory();
            if seats == 1 {
                first = memory.peak;
            } else {
                show(
                    &format!("{quality}: frames, 1 decoder, then {seats}"),
                    first,
                    memory.peak,
                    (seats - 1) as f64,
                );
                show(
                    &format!("{quality}: the same server, idle again"),
                    first,
                    memory.now,
                    (seats - 1) as f64,
                );
            }
        }
    }
    Ok(())
}

fn cuts(root: &Path) -> Outcome<()> {
    for quality in ["720p", "1080p"] {
        for threads in [1usize, 2, 4] {
            let server = warm(root, &[&format!("pool.batch_seats={threads}")])?;
            let before = server.memory().now;
            let answer = server.client()?.get(&cut(quality, "mpegts"))?;
            if answer.status != 200 {
                return Err(format!("a cut was answered {}", answer.status).into());
            }
            show(
                &format!("{quality}: a full cut with {threads} encoder threads"),
                before,
                server.memory().peak,
                1.0,
            );
        }
    }
    Ok(())
}

/// Connections whose clients take nothing.
fn clients(root: &Path) -> Outcome<()> {
    const COUNT: usize = 200;
    let held = |what: &str, target: Option<&str>, count: usize| -> Outcome<()> {
        let server = warm(root, &["http.client_stall=60s", "pool.batch_seats=2"])?;
        let before = server.memory().now;
        let mut clients: Vec<Client> = (0..count).map(|_| server.client()).collect::<Outcome<_>>()?;
        match target {
            Some(target) => clients.iter_mut().try_for_each(|client| client.send(target))?,
            None => clients.iter_mut().try_for_each(|client| client.get("/health").map(drop))?,
        }
        // Until it grows no more.
        let mut last = 0.0;
        loop {
            std::thread::sleep(Duration::from_millis(1500));
            let now = server.memory().now;
            if now - last < 0.2 {
                break;
            }
            last = now;
        }
        show(what, before, last, count as f64);
        Ok(())
    };
    held(&format!("{COUNT} idle connections"), None, COUNT)?;
    held(&format!("{COUNT} slow clients of a rough cut"), Some(&cut("720p", "rough")), COUNT)?;
    held("20 slow clients of a playlist of 12 h (3.6 MiB)", Some(&playlist(12 * 3600)), 20)?;
    // More than the system's buffers take: the rest stays with the server.
    held("20 slow clients of a playlist of 56 h (17 MiB)", Some(&playlist(56 * 3600)), 20)?;
    Ok(())
}

fn names(root: &Path) -> Outcome<()> {
    let server = warm(root, &[])?;
    let before = server.memory();
    let mut client = server.client()?;
    let start = Timestamp::parse("start", TINY_START)?;
    // Hour by hour, and little of each in the answer: what stays is the listings.
    for hour in 0..56 {
        let from = start + hour * HOUR + 600 * SECOND;
        client.get(&format!("/playlist/{TINY}/720p.m3u8?start={from}&end={}", from + 20 * SECOND))?;
    }
    let after = server.memory();
    show("listings of 100,800 names; each: of 100,000", before.now, after.now, 1.008);
    client.get(&playlist(12 * 3600))?;
    show("and the peak of a playlist of 12 h", after.now, server.memory().peak, 1.0);
    Ok(())
}
