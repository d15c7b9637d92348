//! Five hundred viewers of one live stream, and how soon the first one sees something.
//!
//! A made-up stream of 720p at 25 pictures a second is put into a ring as if it were sent now; each viewer has a connection of
//! its own, asks for the part that is hinted at, and then for the playlist that has it. What counts is the time from the
//! picture that completes a part to the last byte of that part at each viewer. Viewers and server share the machine.
//! `cargo bench --bench live`; `-- play SECONDS` keeps the stream going for a player: a restart after a quarter, another profile
//! and size of H.264 after two, AV1 after three.

#[path = "live/client.rs"]
mod client;
mod common;
#[path = "live/floor.rs"]
mod floor;

use client::Client;
use common::{Outcome, bar, heads, line, millis, process, quantile};
use moviola::app::App;
use moviola::base::{StreamId, Timestamp, Token};
use moviola::config::Config;
use moviola::live::hls::Scope;
use moviola::live::{RingLimits, Stream};
use moviola::media::live::{Sample, Track};
use moviola::media::synthetic::{Coder, Pace, Picture, Recipe, Sound, Voice, samples};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const VIEWERS: usize = 500;
const LENGTH: Duration = Duration::from_secs(20);
const RATE: u64 = 25;
/// As long as parts are at this rate.
const PART: Duration = Duration::from_millis(480);

struct Clip {
    tracks: Vec<Track>,
    samples: Vec<Sample>,
    seconds: i64,
}

fn clip(seconds: u64, size: (usize, usize), profile: &str) -> Outcome<Clip> {
    let mut coder = Coder::x264("superfast", 30, RATE, if profile == "high" { 2 } else { 0 });
    coder.options.retain(|it| it.0 != "profile");
    coder.options.push(("profile".into(), profile.into()));
    if profile == "av1" {
        coder.name = "libaom-av1".into();
        coder.options = [("usage", "realtime"), ("cpu-used", "8"), ("crf", "45")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec();
    }
    let recipe = Recipe {
        start: Timestamp::from_micros(0),
        first_second: 63,
        frames: seconds * RATE,
        pace: Pace::Steady(RATE as i32, 1),
        segments: vec![RATE],
        at_keys: true,
        picture: Picture {
            width: size.0,
            height: size.1,
            format: "yuv420p".into(),
            full_range: false,
            interlaced: None,
        },
        coder,
        sound: Sound { codec: "aac".into(), bit_rate: 64_000, voice: Voice::Song },
    };
    let (tracks, samples) = samples(&recipe, true, &Token::root())?;
    Ok(Clip { tracks, samples, seconds: seconds as i64 })
}

/// Sends a clip over and over, each sample when it is due; notes when each picture was sent.
fn feed(stream: &Stream, clip: &Clip, until: &dyn Fn() -> bool, sent: &Mutex<Vec<Instant>>) {
    let base = clip.tracks[0].time_base;
    let first = clip.samples[0].dts;
    let (begun, began_at) =
        (Instant::now(), moviola::base::time::Clock::now(&moviola::base::time::SystemClock));
    for round in 0.. {
        for sample in &clip.samples {
            let seconds = clip.tracks[sample.track].time_base.seconds(sample.dts) - base.seconds(first);
            let due = (seconds + (round * clip.seconds) as f64).max(0.0);
            let due = begun + Duration::from_secs_f64(due);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if until() {
                return;
            }
            let mut sample = sample.clone();
            let by = round * clip.seconds * i64::from(clip.tracks[sample.track].time_base.den);
            (sample.dts, sample.pts) = (sample.dts + by, sample.pts + by);
            sample.time = began_at + sample.time.micros() + round * clip.seconds * 1_000_000;
            if sample.track == 0 {
                sent.lock().push(Instant::now());
            }
            stream.ring.push(sample);
        }
    }
}

fn uri(line: &str) -> Option<String> {
    line.split("URI=\"").nth(1).and_then(|it| it.split('"').next()).map(str::to_owned)
}

/// What a playlist hints at.
fn hint(text: &str) -> Outcome<String> {
    // The last line, most often.
    text.lines().rev().find(|it| it.starts_with("#EXT-X-PRELOAD-HINT")).and_then(uri).ok_or("no hint".into())
}

/// What all viewers saw: addresses of parts and when they were there.
type Seen = Arc<Mutex<Vec<(String, Instant)>>>;

async fn watch(address: SocketAddr, folder: String, over: Arc<AtomicBool>, seen: Seen) -> Outcome<()> {
    let mut client = Client::connect(address).await?;
    let mut next = hint(&client.get(&format!("{folder}media.m3u8")).await?)?;
    while !over.load(Ordering::Relaxed) {
        client.fetch(&format!("{folder}{next}")).await?;
        let at = Instant::now();
        let text = client.get(&format!("{folder}media.m3u8{}&_HLS_skip=YES", query(&next))).await?;
        seen.lock().push((next, at));
        next = hint(&text)?;
    }
    Ok(())
}

fn query(hint: &str) -> String {
    let (segment, part) =
        hint.trim_start_matches("part-").trim_end_matches(".m4s").split_once('-').unwrap_or_default();
    format!("?_HLS_msn={segment}&_HLS_part={part}")
}

/// Where each part ends, in pictures from the first.
async fn ends(address: SocketAddr, folder: String, over: Arc<AtomicBool>) -> Outcome<HashMap<String, usize>> {
    let mut client = Client::connect(address).await?;
    let (mut ends, mut at) = (HashMap::new(), 0.0);
    let mut query_now = String::new();
    while !over.load(Ordering::Relaxed) {
        let text = client.get(&format!("{folder}media.m3u8{query_now}")).await?;
        for line in text.lines() {
            let length =
                || line.strip_prefix("#EXT-X-PART:DURATION=")?.split(',').next()?.parse::<f64>().ok();
            let Some((length, uri)) = length().zip(uri(line)) else { continue };
            ends.entry(uri).or_insert_with(|| {
                at += length;
                (at * RATE as f64).round() as usize
            });
        }
        query_now = query(&hint(&text)?);
    }
    Ok(ends)
}

fn serve() -> Outcome<(App, Arc<Stream>, String, tempfile::TempDir)> {
    let archive = tempfile::tempdir()?;
    let mut config = Config { archive: archive.path().to_owned(), ..Config::default() };
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.http.max_connections = 4 * VIEWERS;
    let app = App::new(config)?;
    let limits = RingLimits { micros: 60_000_000, bytes: 256 << 20 };
    let stream = app.streams().put(StreamId::new("cam")?, limits);
    let folder = format!("/live/cam/{}/", stream.hls.own_token()?);
    Ok((app, stream, folder, archive))
}

fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    match words.iter().position(|it| it == "play") {
        Some(at) => common::run(|| play(words.get(at + 1).and_then(|it| it.parse().ok()).unwrap_or(180))),
        None => common::run(bench),
    }
}

/// Runs the server beside `work`.
fn beside<T>(app: App, work: impl FnOnce(SocketAddr) -> Outcome<T>) -> Outcome<T> {
    let (address, stopper) = (app.address(), app.stopper());
    std::thread::scope(|scope| {
        let server = std::thread::Builder::new().name("server".into()).spawn_scoped(scope, || app.run())?;
        let done = work(address);
        stopper.stop();
        server.join().map_err(|_| "the server fell over")??;
        done
    })
}

/// For a player: a stream with a restart and other codecs.
fn play(seconds: u64) -> Outcome<()> {
    let clips =
        [clip(20, (640, 360), "high")?, clip(20, (480, 270), "baseline")?, clip(10, (480, 270), "av1")?];
    let (app, stream, folder, _archive) = serve()?;
    beside(app, |address| {
        println!("http://{address}{folder}master.m3u8");
        let sent = Mutex::new(Vec::new());
        let turns =
            [(&clips[0], "start"), (&clips[0], "reconnect"), (&clips[1], "codec"), (&clips[2], "codec")];
        for (clip, cause) in turns {
            let end = Instant::now() + Duration::from_secs(seconds) / 4;
            stream.ring.begin(clip.tracks.clone(), cause);
            feed(&stream, clip, &|| Instant::now() >= end, &sent);
            stream.ring.end(cause);
        }
        Ok(())
    })
}

fn bench() -> Outcome<()> {
    let clip = clip(10, (1280, 720), "high")?;
    let rate = clip.samples.iter().map(|it| it.data.len()).sum::<usize>() as f64 * 8.0 / 10e6;
    let (app, stream, folder, _archive) = serve()?;
    let (sent, over) = (Mutex::new(Vec::new()), Arc::new(AtomicBool::new(false)));
    // The source goes on until everybody has what they wait for.
    let left = AtomicBool::new(false);
    let seen: Seen = Arc::default();
    let (cold, warm, ends, cpu) = beside(app, |address| {
        std::thread::scope(|scope| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let begun = Instant::now();
            stream.ring.begin(clip.tracks.clone(), "start");
            let feeder = scope.spawn(|| feed(&stream, &clip, &|| left.load(Ordering::Relaxed), &sent));
            let done = runtime.block_on(async {
                let start = tokio::task::LocalSet::new();
                start
                    .run_until(async {
                        let control =
                            tokio::task::spawn_local(ends(address, folder.clone(), Arc::clone(&over)));
                        let cold = first(address, &folder).await?;
                        let cold = cold - begun;
                        tokio::time::sleep(Duration::from_secs(3)).await;
                        let asked = Instant::now();
                        let warm = first(address, &folder).await? - asked;
                        let before = process::cpu_of(std::process::id()).unwrap_or_default();
                        let mut viewers = Vec::new();
                        for _ in 0..VIEWERS {
                            let folder =
                                format!("/live/{}/{}/", stream.id, stream.hls.mint(Scope::Live, None)?);
                            let (over, seen) = (Arc::clone(&over), Arc::clone(&seen));
                            viewers.push(tokio::task::spawn_local(watch(address, folder, over, seen)));
                        }
                        tokio::time::sleep(LENGTH).await;
                        let cpu = process::cpu_of(std::process::id()).unwrap_or_default() - before;
                        over.store(true, Ordering::Relaxed);
                        for viewer in viewers {
                            viewer.await??;
                        }
                        Outcome::Ok((cold, warm, control.await??, cpu))
                    })
                    .await
            });
            left.store(true, Ordering::Relaxed);
            feeder.join().map_err(|_| "the feeder fell over")?;
            done
        })
    })?;
    let sent = sent.into_inner();
    let seen = std::mem::take(&mut *seen.lock());
    let late = |(uri, at): &(String, Instant)| Some(millis(at.duration_since(*sent.get(*ends.get(uri)?)?)));
    let times: Vec<f64> = seen.iter().filter_map(late).collect();
    println!(
        "{VIEWERS} viewers of 720p25 of {rate:.1} Mbit/s, parts of {} ms, for {} s: from a part's completion to its last byte, ms",
        PART.as_millis(),
        LENGTH.as_secs()
    );
    heads("", &["p50", "p99", "max", "parts", "CPU s/s"]);
    let p99 = quantile(&times, 0.99);
    line(
        "delivery",
        &[
            format!("{:.1}", quantile(&times, 0.5)),
            format!("{p99:.1}"),
            format!("{:.1}", quantile(&times, 1.0)),
            format!("{}", times.len()),
            format!("{:.2}", cpu.as_secs_f64() / LENGTH.as_secs_f64()),
        ],
    );
    bar(&format!("p99 {p99:.1} ms; bar 50"), p99 <= 50.0);
    let limit = floor::floor(VIEWERS, &part_sizes(&clip), PART)?;
    let p99_of_limit = quantile(&limit, 0.99);
    line(
        "the same bytes, written and nothing else",
        &[
            format!("{:.1}", quantile(&limit, 0.5)),
            format!("{p99_of_limit:.1}"),
            format!("{:.1}", quantile(&limit, 1.0)),
            limit.len().to_string(),
        ],
    );
    println!("  p99 {:.2} times that of the limit", p99 / p99_of_limit);
    let (cold, warm) = (millis(cold), millis(warm));
    bar(
        &format!("first bytes that can be decoded: {cold:.0} ms after the source began; bar 1300"),
        cold <= 1300.0,
    );
    bar(&format!("{warm:.0} ms after it was asked for, of a stream that runs; bar 200"), warm <= 200.0);
    Ok(())
}

/// Bytes of the media of each part.
fn part_sizes(clip: &Clip) -> Vec<usize> {
    let mut sizes = Vec::new();
    for sample in &clip.samples {
        let base = clip.tracks[sample.track].time_base;
        let part = (base.micros(sample.dts - clip.samples[0].dts).max(0) / PART.as_micros() as i64) as usize;
        if sizes.len() <= part {
            sizes.resize(part + 1, 0);
        }
        sizes[part] += sample.data.len();
    }
    sizes
}

/// When a player that begins now has a head and a part that begins with a keyframe.
async fn first(address: SocketAddr, folder: &str) -> Outcome<Instant> {
    let mut client = Client::connect(address).await?;
    client.get(&format!("{folder}master.m3u8")).await?;
    let text = client.get(&format!("{folder}media.m3u8")).await?;
    let last = |wish: &dyn Fn(&str) -> bool| text.lines().rev().find(|it| wish(it)).and_then(uri);
    let head = last(&|it| it.starts_with("#EXT-X-MAP")).ok_or("no head")?;
    let part = last(&|it| it.ends_with("INDEPENDENT=YES")).ok_or("no part")?;
    client.fetch(&format!("{folder}{head}")).await?;
    client.fetch(&format!("{folder}{part}")).await?;
    Ok(Instant::now())
}
