//! One exact frame of 720p beside its floor and beside an ffmpeg process.
//!
//! At random instants, nothing held in memory by the server: CPU time beside its floor (decode of
//! the needed pictures, conversion and encoding) and beside the segments piped into an ffmpeg process; then 16 at a time
//! over HTTP; then what a server keeps: frames cold, their neighbours, the same again, and the pictures of a grid.
//! `cargo bench --bench frame [-- cpu | http | kept]`.
#![allow(clippy::disallowed_methods)]

mod common;

use common::process::{self, thread_cpu};
use common::server::Server;
use common::{CHANNEL, Dice, Outcome, bar, heads, line, mean, median, millis};
use moviola::base::{Channel, Quality, Timestamp, Token};
use moviola::config::Config;
use moviola::media::Clip;
use moviola::media::frame::{extract, gather};
use moviola::media::picture::{PictureFormat, encode};
use moviola::render::Render;
use moviola::render::frame::FrameSource;
use moviola::render::frame::wish::{Format, Wish};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const QUALITY: &str = "720p";
const TARGETS: usize = 60;
const AT_A_TIME: usize = 16;
const ROUND: Duration = Duration::from_millis(3_300);
const ROUNDS: u64 = 3;

fn main() -> std::process::ExitCode {
    common::run(bench)
}

fn bench() -> Outcome<()> {
    let root = common::archive()?;
    let clips = common::clips(&root, QUALITY)?;
    let ffmpeg = common::ffmpeg();
    if common::wanted("cpu") {
        cpu(&clips, ffmpeg)?;
    }
    if common::wanted("http") {
        http(&root, &clips, ffmpeg)?;
    }
    if common::wanted("kept") {
        kept(&root, &clips, ffmpeg)?;
    }
    Ok(())
}

/// A server's way to a frame without HTTP.
struct Kept {
    render: Render,
    runtime: tokio::runtime::Runtime,
    _cache: tempfile::TempDir,
}

impl Kept {
    fn new(root: &Path) -> Outcome<Self> {
        let cache = tempfile::tempdir()?;
        let mut config = Config { archive: root.to_owned(), ..Config::default() };
        config.cache.directory = cache.path().to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Ok(Self { render: moviola::app::build(config)?, runtime, _cache: cache })
    }

    fn find(&self, at: Timestamp, words: &[(&str, &str)], format: Format) -> Outcome<FrameSource> {
        let wish = Wish::read(at, |key| Ok(words.iter().find(|it| it.0 == key).map(|it| it.1)))?;
        let (channel, quality) = (Channel::new(CHANNEL)?, Quality::new(QUALITY)?);
        Ok(self.runtime.block_on(self.render.frame_source(channel, quality, wish, format))?)
    }

    /// Finds and makes, in ms of CPU of the whole process.
    fn frame(&self, at: Timestamp, words: &[(&str, &str)], format: Format) -> Outcome<f64> {
        let begun = process::cpu();
        let source = self.find(at, words, format)?;
        let made = self.runtime.block_on(self.render.frame(source))?;
        if made.bytes.len() < 100 {
            return Err("no picture".into());
        }
        Ok(millis(process::cpu() - begun))
    }

    fn decoded(&self) -> u64 {
        self.render.metrics.media_decoded.with_label_values(&["frame"]).get()
    }
}

/// Repeats of a frame that are measured together: one is far below the clock's tick.
const REPEATS: usize = 500;
/// Pictures of a grid, and the seconds they are spread over.
const GRID: i64 = 100;
const GRID_SECONDS: i64 = 60;
/// What a frame of 720p was recorded to cost the reference, in ms, where it cannot be measured.
const REFERENCE_MILLIS: f64 = 230.0;

fn kept(root: &Path, clips: &[Clip], ffmpeg: Option<&str>) -> Outcome<()> {
    const FRAME: i64 = 33_334;
    let (server, token) = (Kept::new(root)?, Token::root());
    let mut dice = Dice::new(5);
    let mut reference = Vec::new();
    println!("Frames of a server that keeps what it can, {QUALITY}, {TARGETS} random groups, ms of CPU");
    heads("", &["median", "mean", "x floor"]);
    for (name, format, drawn) in
        [("PNG", Format::Png, PictureFormat::Png), ("JPEG", Format::Jpeg, PictureFormat::Jpeg(90))]
    {
        let (mut floor, mut cold, mut next, mut before, mut again) = (vec![], vec![], vec![], vec![], vec![]);
        for number in 0..TARGETS {
            let at = dice.instant(QUALITY);
            let (earlier, clip) = around(clips, at);
            // A third of them, since each takes a while.
            if let Some(program) = ffmpeg.filter(|_| number % 3 == 0) {
                reference.push(by_reference(program, earlier, clip, at)?);
            }
            // The index is there, as it is of every segment that was looked at once.
            server.find(at, &[], format)?;
            let gathered = gather(clip, at, &token)?;
            let (decoding, picture) = timed(|| gathered.decode(Some(earlier), &token))?;
            let (encoding, _) = timed(|| encode(&picture.frame, picture.turn, drawn))?;
            floor.push(decoding + encoding);
            cold.push(server.frame(at, &[], format)?);
            // Each of its own: after the one the other is no neighbour of where the decoder is.
            match number % 2 {
                0 => next.push(server.frame(at + FRAME, &[], format)?),
                _ => before.push(server.frame(at + -FRAME, &[], format)?),
            }
            let begun = process::cpu();
            for _ in 0..REPEATS {
                server.frame(at, &[], format)?;
            }
            again.push(millis(process::cpu() - begun) / REPEATS as f64);
        }
        let all = mean(&floor);
        for (what, values) in [
            ("floor", &floor),
            ("cold", &cold),
            ("the next frame", &next),
            ("the frame before", &before),
            ("the same again", &again),
        ] {
            line(
                &format!("{name}: {what}"),
                &[
                    format!("{:.3}", median(values)),
                    format!("{:.3}", mean(values)),
                    format!("{:.3}", mean(values) / all),
                ],
            );
        }
        let theirs = if reference.is_empty() { REFERENCE_MILLIS } else { mean(&reference) };
        line(&format!("{name}: the reference way"), &[String::new(), format!("{theirs:.1}"), String::new()]);
        let ratio = mean(&cold) / all;
        bar(&format!("{name}: cold {ratio:.3} x its floor; bar 1.15"), ratio <= 1.15);
        for (what, values, least) in
            [("cold", &cold, 4.0), ("next", &next, 50.0), ("before", &before, 50.0), ("again", &again, 50.0)]
        {
            let (times, usual) = (theirs / mean(values), theirs / median(values));
            bar(
                &format!(
                    "{name}: {what} {times:.1} x less than the reference (median {usual:.1}); bar {least:.0}"
                ),
                times >= least,
            );
        }
    }
    let (first, words) = (clips[1].start, [("width", "320")]);
    let (mut cpu, decoded) = (0.0, server.decoded());
    for number in 0..GRID {
        let at = first + number * GRID_SECONDS * 1_000_000 / GRID;
        cpu += server.frame(at, &words, Format::Jpeg)?;
    }
    let decoded = server.decoded() - decoded;
    println!(
        "{GRID} pictures of 320 pixels over {GRID_SECONDS} s, JPEG: {cpu:.0} ms, {decoded} pictures decoded"
    );
    bar(
        &format!("{decoded} of {} pictures decoded; bar all", GRID_SECONDS * 30),
        decoded <= GRID_SECONDS as u64 * 30,
    );
    if let Some(program) = ffmpeg {
        let some = clips.iter().filter(|it| it.start >= first && it.start - first < GRID_SECONDS * 1_000_000);
        let begun = process::cpu_of_children();
        let mut child = Command::new(program)
            .args(["-v", "error", "-threads", "1", "-f", "mpegts", "-i", "-", "-an", "-f", "null", "-"])
            .stdin(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().ok_or("no input")?;
        for clip in some {
            input.write_all(&std::fs::read(&clip.path)?)?;
        }
        drop(input);
        child.wait()?;
        let whole = millis(process::cpu_of_children() - begun);
        bar(
            &format!("{:.2} of one decode of that minute by ffmpeg ({whole:.0} ms); bar 1", cpu / whole),
            cpu <= whole,
        );
    }
    Ok(())
}

/// The clip on screen at `at`, and the one before it.
fn around(clips: &[Clip], at: Timestamp) -> (&Clip, &Clip) {
    let shown = clips.partition_point(|it| it.start <= at) - 1;
    (&clips[shown - 1], &clips[shown])
}

fn timed<T>(work: impl FnOnce() -> moviola::base::Result<T>) -> moviola::base::Result<(f64, T)> {
    let begun = thread_cpu();
    let result = work()?;
    Ok((millis(thread_cpu() - begun), result))
}

/// What one target cost, in ms of CPU.
#[derive(Default)]
struct Costs {
    gather: Vec<f64>,
    decode: Vec<f64>,
    encode: Vec<f64>,
    floor: Vec<f64>,
    whole: Vec<f64>,
    ratio: Vec<f64>,
}

fn cpu(clips: &[Clip], ffmpeg: Option<&str>) -> Outcome<()> {
    let token = Token::root();
    let mut dice = Dice::new(1);
    let formats = [("PNG", PictureFormat::Png), ("JPEG", PictureFormat::Jpeg(90))];
    let mut costs = [Costs::default(), Costs::default()];
    let (mut reference, mut decoded) = (Vec::new(), Vec::new());
    for round in 0..TARGETS {
        let at = dice.instant(QUALITY);
        let (before, clip) = around(clips, at);
        for ((_, format), costs) in formats.iter().zip(&mut costs) {
            let whole = || {
                timed(|| {
                    let picture = extract(Some(before), clip, at, &token)?;
                    encode(&picture.frame, picture.turn, *format)
                })
            };
            let mut floor = || -> Outcome<[f64; 3]> {
                let (gathering, gathered) = timed(|| gather(clip, at, &token))?;
                let (decoding, picture) = timed(|| gathered.decode(Some(before), &token))?;
                let (encoding, _) = timed(|| encode(&picture.frame, picture.turn, *format))?;
                decoded.push(picture.decoded as f64);
                Ok([gathering, decoding, encoding])
            };
            // Each goes first half of the time: the second finds the caches warm.
            let (whole, parts) = if round % 2 == 0 {
                let whole = whole()?.0;
                (whole, floor()?)
            } else {
                let parts = floor()?;
                (whole()?.0, parts)
            };
            let [gathering, decoding, encoding] = parts;
            costs.gather.push(gathering);
            costs.decode.push(decoding);
            costs.encode.push(encoding);
            costs.floor.push(decoding + encoding);
            costs.whole.push(whole);
            costs.ratio.push(whole / (decoding + encoding));
        }
        if let Some(program) = ffmpeg {
            reference.push(by_reference(program, before, clip, at)?);
        }
    }
    println!(
        "Cold exact frame, {QUALITY}, {TARGETS} random instants, ms of CPU ({:.0} pictures decoded)",
        mean(&decoded)
    );
    heads("", &["median", "mean", "x floor"]);
    let show = |what: String, values: &[f64], ratio: Option<f64>| {
        let ratio = ratio.map_or(String::new(), |it| format!("{it:.3}"));
        line(&what, &[format!("{:.2}", median(values)), format!("{:.2}", mean(values)), ratio]);
    };
    for ((name, _), costs) in formats.iter().zip(&costs) {
        show(format!("{name}: open, demux, hold"), &costs.gather, None);
        show(format!("{name}: decode"), &costs.decode, None);
        show(format!("{name}: convert and encode"), &costs.encode, None);
        show(format!("{name}: floor (decode + convert + encode)"), &costs.floor, Some(1.0));
        show(format!("{name}: moviola, whole"), &costs.whole, Some(mean(&costs.whole) / mean(&costs.floor)));
    }
    let ratio = |costs: &Costs| (mean(&costs.whole) / mean(&costs.floor), median(&costs.ratio));
    for ((name, _), costs) in formats.iter().zip(&costs) {
        let (means, pairs) = ratio(costs);
        bar(&format!("{name}: {means:.3} x its floor (median of pairs {pairs:.3}); bar 1.25"), means <= 1.25);
    }
    if !reference.is_empty() {
        show(
            "PNG: two segments piped into ffmpeg".into(),
            &reference,
            Some(mean(&reference) / mean(&costs[0].floor)),
        );
        let times = mean(&reference) / mean(&costs[0].whole);
        bar(&format!("ffmpeg takes {times:.2} x the CPU of moviola (PNG); bar 4"), times >= 4.0);
    }
    Ok(())
}

/// What the reference way takes for a frame, in ms of CPU.
fn by_reference(program: &str, before: &Clip, clip: &Clip, at: Timestamp) -> Outcome<f64> {
    let (begun, own) = (process::cpu_of_children(), process::cpu());
    if piped(program, before, clip, at, |_| {})? < 1000 {
        return Err("ffmpeg wrote no picture".into());
    }
    // What pushing the segments costs counts: somebody has to.
    Ok(millis(process::cpu_of_children() - begun + process::cpu() - own))
}

/// The reference way: segments pushed into a process until it has its picture. Gives the picture's size.
fn piped(
    program: &str,
    before: &Clip,
    clip: &Clip,
    at: Timestamp,
    started: impl FnOnce(u32),
) -> Outcome<usize> {
    let seek = format!("{:.6}", (at - before.start) as f64 / 1e6);
    let mut child = Command::new(program)
        .args(["-hide_banner", "-loglevel", "error", "-i", "-", "-ss", &seek, "-frames:v", "1"])
        .args(["-f", "image2pipe", "-c:v", "png", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    started(child.id());
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let bytes = std::thread::scope(|scope| -> Outcome<Vec<u8>> {
        scope.spawn(move || {
            let Some(mut input) = input else { return };
            for clip in [before, clip] {
                let bytes = std::fs::read(&clip.path).unwrap_or_default();
                // It closes its end once it has its picture.
                if input.write_all(&bytes).is_err() {
                    return;
                }
            }
        });
        let mut bytes = Vec::new();
        output.ok_or("no output")?.read_to_end(&mut bytes)?;
        Ok(bytes)
    })?;
    child.wait()?;
    Ok(bytes.len())
}

/// What a contender did in its rounds.
#[derive(Default)]
struct Load {
    rates: Vec<f64>,
    peaks: Vec<f64>,
    shares: Vec<f64>,
    cpu: Vec<f64>,
}

fn http(root: &Path, clips: &[Clip], ffmpeg: Option<&str>) -> Outcome<()> {
    let (mut png, mut jpeg, mut reference) = (Load::default(), Load::default(), Load::default());
    for round in 0..ROUNDS {
        served(root, "png", round, &mut png)?;
        if let Some(program) = ffmpeg {
            pushed(program, clips, round, &mut reference)?;
        }
        served(root, "jpg", round, &mut jpeg)?;
    }
    println!("{AT_A_TIME} at a time, {QUALITY}, {ROUNDS} rounds of {:.1} s, medians", ROUND.as_secs_f64());
    heads("", &["frames/s", "CPU ms each", "peak MiB", "shared MiB"]);
    for (name, load) in [
        ("moviola PNG over HTTP", &png),
        ("moviola JPEG over HTTP", &jpeg),
        ("ffmpeg processes, PNG", &reference),
    ] {
        if load.rates.is_empty() {
            continue;
        }
        line(
            name,
            &[
                format!("{:.1}", median(&load.rates)),
                format!("{:.1}", median(&load.cpu)),
                format!("{:.0}", median(&load.peaks)),
                format!("{:.0}", median(&load.shares)),
            ],
        );
    }
    println!("  peak: sum of resident sizes; shared: pages of libraries counted once for all who share them");
    if !reference.rates.is_empty() {
        let faster = median(&png.rates) / median(&reference.rates);
        bar(&format!("{faster:.2} x the frames a second; bar 4"), faster >= 4.0);
        let less = median(&png.peaks) / median(&reference.peaks);
        bar(&format!("{less:.3} of the memory; bar 0.2"), less <= 0.2);
        let less = median(&png.shares) / median(&reference.shares);
        println!("           {less:.3} of it with shared pages divided");
    }
    Ok(())
}

/// A fresh server and 16 clients that ask again and again.
fn served(root: &Path, kind: &str, round: u64, load: &mut Load) -> Outcome<()> {
    let server = Server::start(root, &[])?;
    let (over, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let cpu = server.cpu();
    let begun = Instant::now();
    let mut share = 0f64;
    std::thread::scope(|scope| -> Outcome<()> {
        let clients: Vec<_> = (0..AT_A_TIME as u64)
            .map(|number| {
                let (server, over, count) = (&server, &over, &count);
                scope.spawn(move || -> Outcome<()> {
                    let mut dice = Dice::new(100 * round + number + 1);
                    let mut client = server.client()?;
                    while !over.load(Ordering::Relaxed) {
                        let at = dice.instant(QUALITY);
                        let answer =
                            client.get(&format!("/frame/{CHANNEL}/{QUALITY}.{kind}?timestamp={at}"))?;
                        if answer.status != 200 {
                            return Err(format!("status {}", answer.status).into());
                        }
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        while begun.elapsed() < ROUND {
            std::thread::sleep(Duration::from_millis(200));
            share = share.max(process::share_of(server.pid()));
        }
        over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| "a client panicked")??;
        }
        Ok(())
    })?;
    let count = count.into_inner() as f64;
    load.rates.push(count / begun.elapsed().as_secs_f64());
    load.cpu.push(millis(server.cpu() - cpu) / count);
    load.peaks.push(server.memory().peak);
    load.shares.push(share);
    Ok(())
}

/// 16 threads that each run one ffmpeg after the other.
fn pushed(program: &str, clips: &[Clip], round: u64, load: &mut Load) -> Outcome<()> {
    let (over, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let running: Vec<AtomicU64> = (0..AT_A_TIME).map(|_| AtomicU64::new(0)).collect();
    let cpu = process::cpu_of_children() + process::cpu();
    let begun = Instant::now();
    let (mut peak, mut share) = (0f64, 0f64);
    let mut looks = 0;
    std::thread::scope(|scope| -> Outcome<()> {
        let threads: Vec<_> = running
            .iter()
            .enumerate()
            .map(|(number, slot)| {
                let (over, count) = (&over, &count);
                scope.spawn(move || -> Outcome<()> {
                    let mut dice = Dice::new(100 * round + number as u64 + 1);
                    while !over.load(Ordering::Relaxed) {
                        let at = dice.instant(QUALITY);
                        let (before, clip) = around(clips, at);
                        piped(program, before, clip, at, |pid| slot.store(pid.into(), Ordering::Relaxed))?;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        while begun.elapsed() < ROUND {
            std::thread::sleep(Duration::from_millis(20));
            let pids: Vec<u32> =
                running.iter().map(|it| it.load(Ordering::Relaxed) as u32).filter(|it| *it > 0).collect();
            peak = peak.max(pids.iter().map(|pid| process::memory(*pid).now).sum());
            looks += 1;
            if looks % 10 == 0 {
                share = share.max(pids.iter().map(|pid| process::share_of(*pid)).sum());
            }
        }
        over.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(())
    })?;
    let count = count.into_inner() as f64;
    load.rates.push(count / begun.elapsed().as_secs_f64());
    load.cpu.push(millis(process::cpu_of_children() + process::cpu() - cpu) / count);
    load.peaks.push(peak);
    load.shares.push(share);
    Ok(())
}
