//! How fast a segment is indexed, beside reading its bytes once (XXH3) and walking its packet headers. One line a
//! figure: `cargo bench --bench index [FILE…]`; without files, made-up 720p segments. Best of many rounds, one core.

use moviola::base::{Timestamp, Token};
use moviola::media::index::{self, ElementaryReader, FrameIndex};
use moviola::media::synthetic::{Synthetic, synthesise};
use moviola::media::ts::Packets;
use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 30;

fn main() -> Result<(), Box<dyn Error>> {
    let files: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    let mut segments: Vec<Vec<u8>> = files.iter().map(std::fs::read).collect::<Result<_, _>>()?;
    if segments.is_empty() {
        let what = Synthetic {
            start: Timestamp::parse("start", "2024-11-10T00:00:00")?,
            frames: 240,
            fps: 30,
            segment_frames: 60,
            width: 1280,
            height: 720,
            preset: "veryfast".into(),
            crf: 18,
            b_frames: 2,
        };
        synthesise(&what, &Token::root(), |segment| {
            segments.push(segment.bytes);
            Ok(())
        })?;
    }
    let total: usize = segments.iter().map(Vec::len).sum();
    let indexes: Vec<FrameIndex> = segments.iter().map(|it| index::build(it)).collect::<Result<_, _>>()?;
    let units: usize = indexes.iter().flat_map(|it| &it.video).map(|it| it.units.len()).sum();
    let frames: usize = indexes.iter().flat_map(|it| &it.audio).map(|it| it.frames.len()).sum();
    let coded: usize = indexes.iter().map(|it| it.encode().len()).sum();
    println!("{} segments, {total} bytes, {units} pictures, {frames} sound frames", segments.len());
    println!("index: {coded} bytes, {:.1} a picture or frame", coded as f64 / (units + frames) as f64);

    let rate = |time: Duration| total as f64 / time.as_secs_f64() / 1e9;
    let report = |what: &str, time: Duration| println!("{what:<28} {:>7.2} GB/s", rate(time));
    report(
        "XXH3 of the bytes",
        best(|| segments.iter().map(|it| xxhash_rust::xxh3::xxh3_64(it)).sum::<u64>()),
    );
    report(
        "packet headers",
        best(|| segments.iter().flat_map(|it| Packets::new(it)).map(|it| u64::from(it.pid())).sum::<u64>()),
    );
    report("build", best(|| segments.iter().map(|it| index::build(it)).collect::<Vec<_>>()));
    report(
        "read all units",
        best(|| {
            let mut out = Vec::new();
            for (segment, index) in segments.iter().zip(&indexes) {
                if let Some(track) = &index.video {
                    let reader = ElementaryReader::new(segment, track.pid);
                    for unit in &track.units {
                        out.clear();
                        let _ = black_box(reader.read(unit.extent(), &mut out));
                    }
                }
            }
            out
        }),
    );
    let encoded: Vec<Vec<u8>> = indexes.iter().map(FrameIndex::encode).collect();
    let each = |time: Duration| time.as_secs_f64() * 1e6 / segments.len() as f64;
    let time = best(|| indexes.iter().map(FrameIndex::encode).collect::<Vec<_>>());
    println!("{:<28} {:>7.1} µs a segment", "encode", each(time));
    let time = best(|| encoded.iter().map(|it| FrameIndex::decode(it)).collect::<Vec<_>>());
    println!("{:<28} {:>7.1} µs a segment", "decode", each(time));
    Ok(())
}

fn best<T>(mut work: impl FnMut() -> T) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        black_box(work());
        least = least.min(begun.elapsed());
    }
    least
}
