//! Cold frames while what is kept of an hour of segments is made: by the server's own warmer, and by `moviola index`.

use crate::common::process::cpu_of;
use crate::common::server::Server;
use crate::common::{self, Dice, Outcome, bar, bytes_in, heads, line, median, millis, quantile};
use moviola::base::time::MINUTE;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// As many as there are seats: no more is to be had of the machine.
const CLIENTS: u64 = 2;
const LENGTH: Duration = Duration::from_secs(8);
const ROUNDS: u64 = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    Warmer,
    Index,
}

struct Round {
    times: Vec<f64>,
    /// A second.
    frames: f64,
    /// Kept in the cache at the end, in MB.
    kept: f64,
}

pub fn run(root: &Path) -> Outcome<()> {
    let kinds = [
        ("nothing beside", Beside::Nothing),
        ("the warmer", Beside::Warmer),
        ("moviola index", Beside::Index),
    ];
    let mut rounds: [Vec<Round>; 3] = Default::default();
    for number in 0..ROUNDS {
        for ((_, beside), rounds) in kinds.iter().zip(&mut rounds) {
            rounds.push(round(root, *beside, number)?);
        }
    }
    println!(
        "{CLIENTS} clients ask for random frames of 720p, ms, medians of {ROUNDS} rounds of {} s",
        LENGTH.as_secs()
    );
    heads("", &["p50", "p99", "frames/s", "MB kept"]);
    let mut rates = Vec::new();
    for ((name, _), rounds) in kinds.iter().zip(&rounds) {
        let of = |value: &dyn Fn(&Round) -> f64| median(&rounds.iter().map(value).collect::<Vec<_>>());
        let rate = of(&|it| it.frames);
        line(
            name,
            &[
                format!("{:.1}", of(&|it| quantile(&it.times, 0.5))),
                format!("{:.1}", of(&|it| quantile(&it.times, 0.99))),
                format!("{rate:.1}"),
                format!("{:.1}", of(&|it| it.kept)),
            ],
        );
        rates.push(rate);
    }
    for ((name, _), rate) in kinds.iter().zip(&rates).skip(1) {
        let part = rate / rates[0];
        bar(&format!("{part:.2} of the frames a second beside {name}; bar 0.9"), part >= 0.9);
    }
    Ok(())
}

fn round(root: &Path, beside: Beside, number: u64) -> Outcome<Round> {
    let cache = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let directory = format!("cache.directory={}", cache.path().display());
    let mut keys = vec![directory.as_str(), "pool.interactive_seats=2"];
    if beside == Beside::Warmer {
        keys.extend(["warm.enabled=true", "warm.every=100ms"]);
    }
    let server = Server::start(root, &keys)?;
    let mut index = match beside {
        Beside::Index => Some(
            common::program()
                .args(["index", "long", "720p", "--pictures", "--peaks", "--archive"])
                .arg(root)
                .args(["--set", &directory])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?,
        ),
        _ => None,
    };
    let begun = Instant::now();
    let mut times = Vec::new();
    std::thread::scope(|scope| -> Outcome<()> {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let server = &server;
                scope.spawn(move || -> Outcome<Vec<f64>> {
                    let mut dice = Dice::new(1000 * number + client + 1);
                    let mut client = server.client()?;
                    let mut times = Vec::new();
                    while begun.elapsed() < LENGTH {
                        let at = common::start() + dice.below(60 * MINUTE);
                        let asked = Instant::now();
                        let status =
                            client.get(&format!("/frame/long/720p.jpg?width=320&timestamp={at}"))?.status;
                        if status != 200 {
                            return Err(format!("a frame was answered {status}").into());
                        }
                        times.push(millis(asked.elapsed()));
                    }
                    Ok(times)
                })
            })
            .collect();
        for client in clients {
            times.extend(client.join().map_err(|_| "a client panicked")??);
        }
        Ok(())
    })?;
    let frames = times.len() as f64 / begun.elapsed().as_secs_f64();
    if let Some(index) = &mut index {
        if cpu_of(index.id()).is_none() || index.try_wait()?.is_some() {
            return Err("moviola index ended before the round did".into());
        }
        index.kill()?;
        index.wait()?;
    }
    Ok(Round { times, frames, kept: bytes_in(cache.path())? as f64 / 1e6 })
}
