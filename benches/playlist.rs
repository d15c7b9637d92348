//! A media playlist of 12 hours of 2 s segments, cold and warm.
//!
//! How long its parts take in process, and the whole answer over HTTP; cold
//! (nothing held in memory by the process; the system's caches warm) and warm. `cargo bench --bench playlist`; medians.

mod common;

use common::server::Server;
use common::{Outcome, TINY, TINY_START, bar, heads, line, median, millis};
use moviola::archive::{Archive, Item, Limits, Selection};
use moviola::base::metrics::Metrics;
use moviola::base::time::SECOND;
use moviola::base::{Channel, Quality, Span, Timestamp};
use moviola::packaging::hls::{self, Entry};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

const HOURS: i64 = 12;
const ROUNDS: usize = 21;

/// The recorded server's answer to the same request on two cores, warm and in a fresh process, in ms
/// (shared/reference/restreamer.md §3).
const REFERENCE: [f64; 2] = [195.0, 336.0];

fn main() -> ExitCode {
    common::run(bench)
}

fn bench() -> Outcome<()> {
    let root = common::archive()?;
    println!("A playlist of {HOURS} hours, ms, medians of {ROUNDS}");
    heads("", &["cold", "warm"]);
    in_process(&root)?;
    over_http(&root)
}

fn in_process(root: &Path) -> Outcome<()> {
    let (channel, quality) = (Channel::new(TINY)?, Quality::new("720p")?);
    let start = Timestamp::parse("start", TINY_START)?;
    let all = Span::new(start, start + HOURS * 3600 * SECOND);
    let middle = start + 6 * 3600 * SECOND + 10 * SECOND;
    let short = Span::new(middle, middle + 20 * SECOND);
    let open = || Archive::open(root, Limits::default(), Metrics::new());
    let warm = open()?;
    let selection = warm.select(&channel, &quality, all)?;
    let text = |selection: &Selection| render(&channel, &quality, selection);
    let bytes = text(&selection).len();

    let show = |what: &str, cold: f64, warm: f64| line(what, &[format!("{cold:.2}"), format!("{warm:.2}")]);
    let cold = timed(|| open()?.select(&channel, &quality, all))?;
    show("list and select", cold, timed(|| warm.select(&channel, &quality, all))?);
    show(
        &format!("write {} segments, {bytes} bytes", selection.segments().count()),
        f64::NAN,
        timed(|| Ok(text(&selection)))?,
    );
    for (what, span) in [("12 h: list, select, write", all), ("20 s: list, select, write", short)] {
        let cold = timed(|| Ok(text(&open()?.select(&channel, &quality, span)?)))?;
        show(what, cold, timed(|| Ok(text(&warm.select(&channel, &quality, span)?)))?);
    }
    Ok(())
}

/// From the request to the last byte: warm on one server; cold the first answer of a new one.
fn over_http(root: &Path) -> Outcome<()> {
    let start = Timestamp::parse("start", TINY_START)?;
    let target = format!("/playlist/{TINY}/720p.m3u8?start={start}&end={}", start + HOURS * 3600 * SECOND);
    let ask = |client: &mut common::server::Client| -> Outcome<f64> {
        let begun = Instant::now();
        let answer = client.get(&target)?;
        if answer.status != 200 {
            return Err(format!("a playlist was answered {}", answer.status).into());
        }
        Ok(millis(begun.elapsed()))
    };
    let kept = Server::start(root, &[])?;
    let mut client = kept.client()?;
    ask(&mut client)?;
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        warm.push(ask(&mut client)?);
        let fresh = Server::start(root, &[])?;
        cold.push(ask(&mut fresh.client()?)?);
    }
    let (cold, warm) = (median(&cold), median(&warm));
    line("12 h: the whole answer over HTTP", &[format!("{cold:.2}"), format!("{warm:.2}")]);
    let [reference_warm, reference_cold] = REFERENCE;
    let (faster_warm, faster_cold) = (reference_warm / warm, reference_cold / cold);
    bar(
        &format!("warm {faster_warm:.1} x as fast as the recorded server's {reference_warm} ms; bar 20"),
        faster_warm >= 20.0,
    );
    bar(
        &format!("cold {faster_cold:.1} x as fast as the recorded server's {reference_cold} ms; bar 5"),
        faster_cold >= 5.0,
    );
    Ok(())
}

fn render(channel: &Channel, quality: &Quality, selection: &Selection) -> bytes::Bytes {
    let entries = selection.items.iter().map(|item| match item {
        Item::Segment(segment) => {
            Entry::Segment { start: segment.start(), duration: segment.duration(), name: segment.name() }
        }
        Item::Hole(_) | Item::Break(_) => Entry::Gap,
    });
    hls::media(channel, quality, entries)
}

fn timed<T>(mut work: impl FnMut() -> moviola::base::Result<T>) -> Outcome<f64> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let result = work()?;
        times.push(millis(begun.elapsed()));
        drop(result);
    }
    Ok(median(&times))
}
