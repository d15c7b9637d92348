//! Cuts of 720p: smart ones beside the floor of their edges and beside smartcut, full ones beside the ffmpeg program.
//!
//! The ends lie off the keyframes. Of a full cut of 60 s both read the same segments: CPU time and wall, as configured
//! (ultrafast, crf 12) and lossless. `cargo bench --bench cut [-- smart | beside | full]`.
#![allow(clippy::disallowed_methods)]

mod common;
#[path = "cut/smart.rs"]
mod smart;

use common::process;
use common::{CHANNEL, Outcome, heads, line, median, millis};
use moviola::base::time::SECOND;
use moviola::media::Clip;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const ROUNDS: usize = 3;
const LENGTH: i64 = 60 * SECOND;
/// Past the second keyframe.
const OFFSET: i64 = 2 * SECOND + 700_000;

/// Seconds of CPU and of wall, MiB written.
#[derive(Default)]
struct Costs {
    cpu: Vec<f64>,
    wall: Vec<f64>,
    size: f64,
}

fn main() -> std::process::ExitCode {
    common::run(bench)
}

fn bench() -> Outcome<()> {
    let root = common::archive()?;
    if common::wanted("smart") {
        smart::cost(&root)?;
    }
    if common::wanted("beside") {
        smart::beside_smartcut(&root)?;
    }
    if common::wanted("full") {
        full(&root)?;
    }
    Ok(())
}

fn full(root: &Path) -> Outcome<()> {
    let clips = common::clips(root, "720p")?;
    let ffmpeg = common::ffmpeg();
    println!("Full cut of 60 s, 720p, off the keyframes; medians of {ROUNDS} rounds");
    heads("", &["CPU s", "x CPU", "wall s", "x wall", "MiB"]);
    for (coding, crf) in [("crf 12", 12), ("lossless", 0)] {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let contenders = [
            ("ffmpeg, the same settings, as many threads", false, cores),
            ("moviola, as many encoder threads as cores", true, cores),
            ("ffmpeg, the same settings, one encoder thread", false, 1),
            ("moviola, one encoder thread", true, 1),
        ];
        let mut costs: Vec<Costs> = contenders.iter().map(|_| Costs::default()).collect();
        for _ in 0..ROUNDS {
            for ((_, own, threads), costs) in contenders.iter().zip(&mut costs) {
                let output = Path::new(env!("CARGO_TARGET_TMPDIR"))
                    .join(format!("bench-cut-{}.ts", std::process::id()));
                let mut command = match (own, ffmpeg) {
                    (true, _) => moviola(root, crf, *threads, &output),
                    (false, Some(program)) => peer(program, &clips, crf, *threads, &output),
                    (false, None) => continue,
                };
                let (cpu, begun) = (process::cpu_of_children(), Instant::now());
                let status =
                    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
                if !status.success() {
                    return Err(format!("{command:?} failed").into());
                }
                costs.cpu.push(millis(process::cpu_of_children() - cpu) / 1000.0);
                costs.wall.push(millis(begun.elapsed()) / 1000.0);
                costs.size = std::fs::metadata(&output)?.len() as f64 / f64::from(1 << 20);
                std::fs::remove_file(output)?;
            }
        }
        for (at, ((name, ..), cost)) in contenders.iter().zip(&costs).enumerate() {
            let peer = &costs[at / 2 * 2];
            let of = |value: f64, peer: &[f64]| format!("{:.2}", value / median(peer));
            let (cpu, wall) = (median(&cost.cpu), median(&cost.wall));
            line(
                &format!("{coding}: {name}"),
                &[
                    format!("{cpu:.2}"),
                    of(cpu, &peer.cpu),
                    format!("{wall:.2}"),
                    of(wall, &peer.wall),
                    format!("{:.1}", cost.size),
                ],
            );
        }
    }
    println!("  ffmpeg decodes with as many threads as there are cores, moviola with one");
    Ok(())
}

fn moviola(root: &Path, crf: u8, threads: usize, output: &Path) -> Command {
    let start = common::start() + OFFSET;
    let mut command = common::program();
    command.args([
        "cut",
        CHANNEL,
        "720p",
        "--start",
        &start.to_string(),
        "--end",
        &(start + LENGTH).to_string(),
    ]);
    command.args([
        "--set",
        &format!("pool.batch_seats={threads}"),
        "--set",
        "pool.batch_nice=0",
        "--archive",
    ]);
    command.arg(root).arg("--output").arg(output);
    if crf == 0 {
        command.arg("--lossless");
    }
    command
}

fn peer(program: &str, clips: &[Clip], crf: u8, threads: usize, output: &Path) -> Command {
    let names: Vec<_> = clips.iter().map(|clip| clip.path.to_string_lossy()).collect();
    let seconds = |micros: i64| format!("{:.6}", micros as f64 / 1e6);
    let mut command = Command::new(program);
    // What lies before is decoded and dropped, as the reference server has it done.
    command.args(["-v", "error", "-y", "-i", &format!("concat:{}", names.join("|"))]);
    command.args([
        "-ss",
        &seconds(OFFSET),
        "-t",
        &seconds(LENGTH),
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
    ]);
    command.args(["-crf", &crf.to_string(), "-g", "60", "-threads:v", &threads.to_string()]);
    if crf > 0 {
        command.args(["-profile:v", "high"]);
    }
    let params = if crf > 0 { "8x8dct=1:aud=1" } else { "aud=1" };
    command.args(["-x264-params", params, "-c:a", "aac", "-b:a", "192k", "-f", "mpegts"]).arg(output);
    command
}
