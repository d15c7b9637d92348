//! Waveforms of six hours beside `ffmpeg showwavespic`: cold, with nothing kept, and warm at every zoom.
//!
//! `cargo bench --bench waveform`. The archive is five minutes of a made-up 360p stream, linked under the names of six
//! hours, so that every segment is read and decoded as if it were another. Cold runs begin with an empty cache. The peer
//! draws the same hours from their files, fed to it one after the other: one hour, times six, since its
//! cost is linear. CPU is user and system time of the whole process; medians.

#![allow(clippy::disallowed_methods)]

#[path = "common/mod.rs"]
mod common;

use common::process::{cpu_of, cpu_of_children};
use common::server::Server;
use common::{HOURS, Outcome, bar, heads, line, median, millis};
use moviola::base::time::{MINUTE, SECOND};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

const ROUNDS: usize = 3;
const WARM_ROUNDS: usize = 15;

fn main() -> ExitCode {
    common::run(bench)
}

fn bench() -> Outcome<()> {
    let root = common::long()?;
    let hours = HOURS as i64 * 60 * MINUTE;
    println!("six hours of stereo AAC in {} segments of 2 s", HOURS * common::PER_HOUR);
    let span = format!("start={}&end={}", common::START, common::start() + hours);
    let png = format!("/waveform/long/360p.png?{span}");

    let (mut cpu, mut wall) = (Vec::new(), Vec::new());
    let mut server = None;
    for _ in 0..ROUNDS {
        drop(server.take());
        let cache = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let key = format!("cache.directory={}", cache.path().display());
        let started = Server::start(&root, &[&key])?;
        // The listing is read before: it is not of waveforms.
        started.client()?.get(&format!("/playlist/long/360p.m3u8?{span}"))?;
        let (before, begun) = (started.cpu(), Instant::now());
        let answer = started.client()?.get(&png)?;
        if answer.status != 200 {
            return Err(format!("the answer was {}", answer.status).into());
        }
        wall.push(begun.elapsed().as_secs_f64());
        cpu.push((started.cpu() - before).as_secs_f64());
        server = Some((started, cache));
    }
    let Some((server, cache)) = server else { return Ok(()) };
    let cold = median(&cpu);
    heads("", &["CPU s", "wall s"]);
    line("cold, 1024x64", &[format!("{cold:.2}"), format!("{:.2}", median(&wall))]);
    line("  kept on the disk, MB", &[format!("{:.1}", common::bytes_in(cache.path())? as f64 / 1e6)]);
    let peer = showwavespic(&root)?;
    if let Some(peer) = peer {
        line("showwavespic, 1024x64", &[format!("{peer:.2}")]);
    }

    println!();
    heads("warm", &["CPU ms", "wall ms", "MB", "sent ms"]);
    let mut slowest = (0.0, String::new());
    let mut worst: f64 = 0.0;
    let targets = [
        "png?size=1024x64".to_owned(),
        "png?size=4096x256".to_owned(),
        "png?size=100x20&style=peak".to_owned(),
        "svg?size=4096x256".to_owned(),
        "dat?bits=8&samples_per_pixel=65536".to_owned(),
        "dat?bits=8&samples_per_pixel=4096".to_owned(),
        "dat?bits=8&samples_per_pixel=1024".to_owned(),
        "dat?bits=8&samples_per_pixel=512".to_owned(),
        "dat?bits=8&samples_per_pixel=256".to_owned(),
        "dat?bits=16&samples_per_pixel=256&channels=split".to_owned(),
        "json?bits=8&samples_per_pixel=4096".to_owned(),
    ];
    for target in targets {
        let (mut cpu, mut wall, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut client = server.client()?;
        let target = format!("/waveform/long/360p.{target}");
        // Each a little later than the one before: the same again would be the answer that is kept.
        let later = |seconds: i64| {
            let start = common::start() + seconds * SECOND;
            format!("{target}&start={start}&end={}", start + (hours - 60 * SECOND))
        };
        client.get(&later(0))?;
        let before = server.cpu();
        for round in 0..WARM_ROUNDS {
            let begun = Instant::now();
            bytes = client.get(&later(1 + round as i64))?.bytes;
            wall.push(millis(begun.elapsed()));
        }
        // In steps of 10 ms, so only over all rounds.
        cpu.push(millis(cpu_of(server.pid()).unwrap_or_default() - before) / WARM_ROUNDS as f64);
        let name =
            target.split('&').next().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
        let (cpu, wall, limit) = (median(&cpu), median(&wall), sent(bytes as usize)?);
        let more =
            target.split('&').skip(1).take_while(|it| !it.starts_with("start")).collect::<Vec<_>>().join("&");
        line(
            &format!("{name} {more}"),
            &[
                format!("{cpu:.1}"),
                format!("{wall:.1}"),
                format!("{:.2}", bytes as f64 / 1e6),
                format!("{limit:.1}"),
            ],
        );
        // What takes most of that time to be sent, if nothing else is done, has no room for anything else.
        if wall > slowest.0 && limit < 5.0 {
            slowest = (wall, format!("{name} {more}"));
        }
        if name.starts_with("360p.png") {
            worst = worst.max(cpu);
        }
    }
    println!();
    bar(
        &format!(
            "warm at any zoom that is sent in 5 ms within 20 ms (slowest: {:.1} ms, {})",
            slowest.0, slowest.1
        ),
        slowest.0 <= 20.0,
    );
    if let Some(peer) = peer {
        let (warm, cold) = (peer * 1000.0 / worst.max(0.1), peer / cold);
        bar(&format!("a warm picture costs 500 times less CPU than showwavespic ({warm:.0})"), warm >= 500.0);
        bar(&format!("a cold one twice less ({cold:.2})"), cold >= 2.0);
    }
    Ok(())
}

/// Milliseconds that as many bytes take over the same loopback, written and read and nothing else.
fn sent(bytes: usize) -> Outcome<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let (mut stream, all) = (listener.accept()?.0, vec![1; bytes]);
            let mut asked = [0];
            for _ in 0..WARM_ROUNDS {
                stream.read_exact(&mut asked)?;
                stream.write_all(&all)?;
            }
            std::io::Result::Ok(())
        });
        let mut stream = TcpStream::connect(address)?;
        let (mut buffer, mut times) = (vec![0; 1 << 20], Vec::new());
        for _ in 0..WARM_ROUNDS {
            let begun = Instant::now();
            stream.write_all(&[0])?;
            let mut left = bytes;
            while left > 0 {
                let most = left.min(buffer.len());
                left -= stream.read(&mut buffer[..most])?;
            }
            times.push(millis(begun.elapsed()));
        }
        writer.join().map_err(|_| "the writer fell over")??;
        Ok(median(&times))
    })
}

/// CPU seconds of the peer for six hours.
fn showwavespic(root: &Path) -> Outcome<Option<f64>> {
    let Some(ffmpeg) = common::ffmpeg() else { return Ok(None) };
    let folder = root.join("long/360p/2024-11-09T13");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|it| it.map(|it| it.path())).collect::<Result<_, _>>()?;
    files.sort();
    let mut cpu = Vec::new();
    for _ in 0..ROUNDS {
        let before = cpu_of_children();
        let mut child = Command::new(ffmpeg)
            .args(["-v", "error", "-f", "mpegts", "-i", "-"])
            .args(["-filter_complex", "[0:a]showwavespic=size=1024x64:colors=#000000:scale=sqrt"])
            .args(["-frames:v", "1", "-c:v", "png", "-f", "image2pipe", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut input = child.stdin.take().ok_or("no input")?;
        for file in &files {
            std::io::copy(&mut std::fs::File::open(file)?, &mut input)?;
        }
        drop(input);
        child.wait()?;
        cpu.push((cpu_of_children() - before).as_secs_f64() * HOURS as f64);
    }
    Ok(Some(median(&cpu)))
}
