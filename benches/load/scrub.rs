//! 200 clients that scrub for a minute: each asks ten times a second, four of five times for what was answered before.

use crate::common::server::Server;
use crate::common::{self, Dice, Outcome, bar, heads, line, millis, quantile};
use moviola::base::time::{MINUTE, SECOND};
use moviola::config::Config;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CLIENTS: u64 = 200;
const EVERY: Duration = Duration::from_millis(100);
const LENGTH: Duration = Duration::from_secs(60);
/// In a hundred.
const REPEATS: i64 = 80;
/// What was answered last, of all clients: what repeats are taken from.
const REMEMBERED: usize = 400;
/// Smaller than what the run makes, so that the bound is at work.
const DISK: u64 = 8 << 20;
/// Frames and waveforms at a time.
const SEATS: usize = 2;

/// Latencies in ms, and how often what was answered.
#[derive(Default)]
struct Seen {
    again: Vec<f64>,
    fresh: Vec<f64>,
    busy: usize,
}

pub fn run(root: &Path) -> Outcome<()> {
    let cache = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let directory = format!("cache.directory={}", cache.path().display());
    let seats = format!("pool.interactive_seats={SEATS}");
    let server = Server::start(root, &[&directory, &format!("cache.disk={DISK}B"), &seats])?;
    let (over, known) = (AtomicBool::new(false), Mutex::new(VecDeque::new()));
    let mut all = Seen::default();
    let (mut playlists, mut disk) = ((Vec::new(), Vec::new()), 0);
    std::thread::scope(|scope| -> Outcome<()> {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (server, over, known) = (&server, &over, &known);
                scope.spawn(move || client(server, number, over, known))
            })
            .collect();
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !over.load(Ordering::Relaxed) {
                most = most.max(common::bytes_in(cache.path()).unwrap_or(0));
                std::thread::sleep(Duration::from_secs(1));
            }
            most
        });
        let target = format!(
            "/playlist/long/360p.m3u8?start={}&end={}",
            common::start(),
            common::start() + 15 * MINUTE
        );
        let times = crate::playlists(&server, &target, LENGTH);
        over.store(true, Ordering::Relaxed);
        for client in clients {
            let seen = client.join().map_err(|_| "a client panicked")??;
            all.again.extend(seen.again);
            all.fresh.extend(seen.fresh);
            all.busy += seen.busy;
        }
        disk = watch.join().map_err(|_| "the watch panicked")?;
        playlists = times?;
        Ok(())
    })?;
    println!(
        "{CLIENTS} clients scrub an hour of 720p for {} s, each every {} ms; latency in ms",
        LENGTH.as_secs(),
        EVERY.as_millis()
    );
    heads("", &["answers", "p50", "p99", "max"]);
    let show = |what: &str, times: &[f64]| {
        let part = |part| format!("{:.2}", quantile(times, part));
        line(what, &[times.len().to_string(), part(0.5), part(0.99), part(1.0)]);
        quantile(times, 0.99)
    };
    let again = show("answered before", &all.again);
    show("asked for the first time", &all.fresh);
    let playlist = show("a playlist of 15 minutes", &playlists.0);
    show("- the same hops between bare threads", &playlists.1);
    line("503, with Retry-After", &[all.busy.to_string()]);
    let peak = server.memory().peak;
    bar(&format!("answered before: p99 {again:.1} ms; bar 150"), again <= 150.0);
    bar(&format!("playlists: p99 {playlist:.1} ms; bar 20"), playlist <= 20.0);
    let ceiling = ceiling();
    bar(&format!("peak {peak:.0} MiB; ceiling {ceiling:.0}"), peak <= ceiling);
    let [disk, limit] = [disk, DISK].map(|it| it as f64 / f64::from(1 << 20));
    bar(&format!("cache directory {disk:.1} MiB at most; limit {limit:.0}"), disk <= limit);
    Ok(())
}

/// What docs/operations.md comes to in MiB ("Memory") for 720p, the limits of the defaults, and what this run does: it makes
/// no cuts, and its clients take what they are sent.
fn ceiling() -> f64 {
    /// The idle server and the indexes it looked into lately; a seat; a decoder that waits; a connection.
    const PARTS: (f64, f64, f64, f64) = (50.0 + 16.0, 18.0, 25.0, 0.01);
    let config = Config::default();
    let kept = [config.cache.memory, config.frame.picture_cache, config.frame.made_cache];
    let kept: f64 = kept.iter().map(|it| it.0 as f64 / f64::from(1 << 20)).sum();
    let (idle, seat, decoder, connection) = PARTS;
    let decoders = SEATS as f64 * seat + config.frame.warm_decoders as f64 * decoder;
    idle + decoders + kept + CLIENTS as f64 * connection
}

fn client(server: &Server, number: u64, over: &AtomicBool, known: &Mutex<VecDeque<String>>) -> Outcome<Seen> {
    let mut dice = Dice::new(number + 1);
    let mut client = server.client()?;
    let mut seen = Seen::default();
    let mut at = dice.below(60 * MINUTE);
    // Not all at the same instant.
    let mut next = Instant::now() + Duration::from_micros(dice.below(EVERY.as_micros() as i64) as u64);
    while !over.load(Ordering::Relaxed) {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        next = (next + EVERY).max(Instant::now());
        let repeat = (dice.below(100) < REPEATS)
            .then(|| {
                let known = known.lock();
                known.get(dice.below(known.len().max(1) as i64) as usize).cloned()
            })
            .flatten();
        let target = repeat.clone().unwrap_or_else(|| fresh(&mut dice, &mut at));
        let asked = Instant::now();
        let status = client.get(&target)?.status;
        let took = millis(asked.elapsed());
        match status {
            200 if repeat.is_some() => seen.again.push(took),
            200 => {
                seen.fresh.push(took);
                let mut known = known.lock();
                known.push_back(target);
                if known.len() > REMEMBERED {
                    known.pop_front();
                }
            }
            503 => seen.busy += 1,
            status => return Err(format!("{target} was answered {status}").into()),
        }
    }
    Ok(seen)
}

/// What a page asks for next: mostly the frame under the pointer, which moves on a little or jumps.
fn fresh(dice: &mut Dice, at: &mut i64) -> String {
    *at = match dice.below(8) {
        0 => dice.below(60 * MINUTE),
        _ => (*at + dice.below(SECOND) - SECOND / 4).rem_euclid(60 * MINUTE),
    };
    let time = common::start() + *at;
    match dice.below(20) {
        0 => format!("/storyboard/long/720p/sheet.jpg?columns=5&rows=4&start={time}"),
        1 => format!("/waveform/long/720p.png?start={time}&end={}", time + 60 * SECOND),
        _ => format!("/frame/long/720p.jpg?width=320&timestamp={time}"),
    }
}
