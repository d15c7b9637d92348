//! A media playlist of 12 hours of 2 s segments: how long its parts take, cold (nothing held in memory by this
//! process; the system's caches warm) and warm. `cargo bench --bench playlist`; medians, one line a part.

use moviola::archive::{Archive, Item, Limits, Selection};
use moviola::base::metrics::Metrics;
use moviola::base::time::{Clock as _, SteppedClock, SystemClock};
use moviola::base::{Channel, Quality, Span, Timestamp};
use moviola::packaging::hls::{self, Entry};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const HOURS: usize = 12;
const PER_HOUR: usize = 1800;
const SECOND: i64 = 1_000_000;
const ROUNDS: usize = 21;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let (channel, quality) = (Channel::new("tiny")?, Quality::new("720p")?);
    generate(dir.path())?;
    let start = Timestamp::parse("start", "2024-11-10T00:00:00")?;
    let all = Span::new(start, start + (HOURS * 3600) as i64 * SECOND);
    let middle = start + 6 * 3600 * SECOND + 10 * SECOND;
    let short = Span::new(middle, middle + 20 * SECOND);
    // Far enough ahead that the folders just made count as settled.
    let clock = Arc::new(SteppedClock::new(SystemClock.now() + 3600 * SECOND));
    let open = || {
        Archive::open_with_clock(
            dir.path(),
            Limits::default(),
            Metrics::new(),
            Arc::<SteppedClock>::clone(&clock),
        )
    };
    let warm = open()?;
    warm.select(&channel, &quality, all)?;
    let selection = warm.select(&channel, &quality, all)?;
    let text = render(&channel, &quality, &selection);
    println!("{} segments, {} bytes of playlist", selection.segments().count(), text.len());

    let cold = median(|| open().and_then(|archive| archive.select(&channel, &quality, all)))?;
    report("12 h cold: list + select", cold);
    let total = median(|| {
        let selection = open()?.select(&channel, &quality, all)?;
        Ok(render(&channel, &quality, &selection))
    })?;
    report("12 h cold: list + select + render", total);
    report("12 h warm: list + select", median(|| warm.select(&channel, &quality, all))?);
    report("12 h warm: render", median(|| Ok(render(&channel, &quality, &selection)))?);
    let total = median(|| Ok(render(&channel, &quality, &warm.select(&channel, &quality, all)?)))?;
    report("12 h warm: list + select + render", total);
    let total = median(|| Ok(render(&channel, &quality, &open()?.select(&channel, &quality, short)?)))?;
    report("20 s cold: list + select + render", total);
    let total = median(|| Ok(render(&channel, &quality, &warm.select(&channel, &quality, short)?)))?;
    report("20 s warm: list + select + render", total);
    Ok(())
}

fn generate(root: &Path) -> std::io::Result<()> {
    for hour in 0..HOURS {
        let folder = root.join(format!("tiny/720p/2024-11-10T{hour:02}"));
        std::fs::create_dir_all(&folder)?;
        for index in 0..PER_HOUR {
            let (minute, second) = (index / 30, index % 30 * 2);
            // As long as a SHA-256 in base64.
            let name = format!("{minute:02}:{second:02}.000000-2.0-full-{:0>43}.ts", hour * PER_HOUR + index);
            std::fs::write(folder.join(name), b"")?;
        }
    }
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

fn median<T>(mut work: impl FnMut() -> moviola::base::Result<T>) -> moviola::base::Result<Duration> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let result = work()?;
        times.push(begun.elapsed());
        drop(result);
    }
    times.sort();
    Ok(times[ROUNDS / 2])
}

fn report(what: &str, time: Duration) {
    println!("{what:<36} {:>8.3} ms", time.as_secs_f64() * 1000.0);
}
