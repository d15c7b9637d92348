//! A storyboard of half an hour of 360p: its sheets and its text, with nothing kept, and again.
//!
//! `cargo bench --bench storyboard`. CPU is user and system time of the whole server, which begins with an empty cache;
//! beside it what FFmpeg takes that decodes the keyframes alone of every second that has a tile. Medians.
#![allow(clippy::disallowed_methods)]

mod common;

use common::process::cpu_of_children;
use common::server::Server;
use common::{Outcome, bar, heads, line, median, millis};
use moviola::base::time::{MINUTE, SECOND};
use std::io::Write;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;
const LENGTH: i64 = 30 * MINUTE;
/// What a sheet stands for: ten by ten tiles of ten seconds.
const SHEET: i64 = 1000 * SECOND;
const AGAIN: usize = 20;

fn main() -> ExitCode {
    common::run(bench)
}

fn bench() -> Outcome<()> {
    let root = common::long()?;
    let span = format!("start={}&end={}", common::START, common::start() + LENGTH);
    let (mut cpu, mut wall, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let cache = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let server = Server::start(&root, &[&format!("cache.directory={}", cache.path().display())])?;
        let mut client = server.client()?;
        // The listing is read before: it is not of storyboards.
        client.get(&format!("/playlist/long/360p.m3u8?{span}"))?;
        let (before, begun) = (server.cpu(), Instant::now());
        let mut targets = vec![format!("/storyboard/long/360p/storyboard.vtt?{span}")];
        for sheet in 0..LENGTH.div_euclid(SHEET) + 1 {
            let at = common::start() + sheet * SHEET;
            targets.push(format!("/storyboard/long/360p/sheet.jpg?start={at}"));
        }
        let ask = |client: &mut common::server::Client| -> Outcome<()> {
            for target in &targets {
                let answer = client.get(target)?;
                if answer.status != 200 || answer.bytes < 1000 {
                    return Err(format!("{target}: {} with {} bytes", answer.status, answer.bytes).into());
                }
            }
            Ok(())
        };
        ask(&mut client)?;
        cpu.push((server.cpu() - before).as_secs_f64());
        wall.push(begun.elapsed().as_secs_f64());
        let before = server.cpu();
        for _ in 0..AGAIN {
            ask(&mut client)?;
        }
        kept.push(millis(server.cpu() - before) / AGAIN as f64 / 1000.0);
    }
    heads("Two sheets of 100 tiles of 160 pixels, and the text", &["CPU s", "wall s"]);
    line("with nothing kept", &[format!("{:.2}", median(&cpu)), format!("{:.2}", median(&wall))]);
    line("again", &[format!("{:.3}", median(&kept))]);
    if let Some(program) = common::ffmpeg() {
        let peer = keyframes(program, &root)?;
        line("ffmpeg: one segment in five, keyframes alone, tiled", &[format!("{:.2}", peer.as_secs_f64())]);
    }
    bar(&format!("{:.2} CPU-s; bar 1", median(&cpu)), median(&cpu) <= 1.0);
    Ok(())
}

/// What the peer takes for the same tiles of segments piped into it.
fn keyframes(program: &str, root: &std::path::Path) -> Outcome<Duration> {
    let mut files: Vec<_> = std::fs::read_dir(root.join("long/360p/2024-11-09T12"))?
        .map(|it| it.map(|it| it.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    let before = cpu_of_children();
    let mut child = Command::new(program)
        .args(["-v", "error", "-threads", "1", "-skip_frame", "nokey", "-f", "mpegts", "-i", "-", "-an"])
        .args(["-vf", "scale=160:90,tile=10x10", "-c:v", "mjpeg", "-f", "image2pipe", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().ok_or("no input")?;
    for file in files.iter().take((LENGTH / common::SEGMENT) as usize).step_by(5) {
        input.write_all(&std::fs::read(file)?)?;
    }
    drop(input);
    child.wait()?;
    Ok(cpu_of_children() - before)
}
