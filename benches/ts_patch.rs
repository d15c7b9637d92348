//! Patching whole segments: GB/s of one core, and the ratio to copying the same bytes (memcpy, into memory that is
//! there already), in one run. `cargo bench --bench ts_patch`.
//!
//! Both for one 720p segment that stays in the processor's cache, as one just read does, and for a run of segments
//! far larger than it.

use moviola::base::{Result, Timestamp, Token};
use moviola::media::synthetic::{Synthetic, synthesise};
use moviola::media::ts::{ContinuityCounters, CounterProfile, Patch};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Larger than any cache, in bytes.
const LONG: usize = 256 << 20;
const ROUNDS: usize = 15;

fn main() -> Result<()> {
    let segment = segment()?;
    println!("720p30 segment of 2 s: {} bytes", segment.len());
    measure("one segment, in cache", std::slice::from_ref(&segment), (64 << 20) / segment.len())?;
    measure("256 MiB of segments", &vec![segment.clone(); LONG / segment.len()], 1)
}

/// The fastest of several rounds, each `repeats` times over all segments.
fn measure(what: &str, segments: &[Vec<u8>], repeats: usize) -> Result<()> {
    let bytes = segments.iter().map(Vec::len).sum::<usize>() * repeats;
    let mut target = segments.to_vec();
    let mut counters = ContinuityCounters::default();
    let patch = Patch { shift_90k: 12_345, joined: true };
    let mut best = [Duration::MAX; 4];
    let mut time = |slot: usize, work: &mut dyn FnMut() -> Result<()>| -> Result<()> {
        let begun = Instant::now();
        for _ in 0..repeats {
            work()?;
        }
        best[slot] = best[slot].min(begun.elapsed());
        Ok(())
    };
    // Taken in turns, so that a busy neighbour hits all of them.
    for _ in 0..ROUNDS {
        time(0, &mut || {
            for (to, from) in target.iter_mut().zip(segments) {
                black_box(to).copy_from_slice(black_box(from));
            }
            Ok(())
        })?;
        time(1, &mut || {
            target.iter_mut().try_for_each(|it| patch.apply(black_box(it), &mut counters).map(drop))
        })?;
        time(2, &mut || {
            target.iter_mut().zip(segments).try_for_each(|(to, from)| {
                to.copy_from_slice(black_box(from));
                patch.apply(black_box(to), &mut counters).map(drop)
            })
        })?;
        time(3, &mut || segments.iter().try_for_each(|it| CounterProfile::of(black_box(it)).map(drop)))?;
    }
    println!("{what}:");
    let rate = |time: Duration| bytes as f64 / time.as_secs_f64() / 1e9;
    for (name, time) in ["copy", "patch in place", "copy and patch", "counter profile"].iter().zip(best) {
        println!(
            "  {name:<16} {:>6.2} GB/s   {:>5.2} x the time of copy",
            rate(time),
            time.as_secs_f64() / best[0].as_secs_f64()
        );
    }
    Ok(())
}

fn segment() -> Result<Vec<u8>> {
    let what = Synthetic {
        start: Timestamp::from_micros(0),
        frames: 60,
        fps: 30,
        segment_frames: 60,
        width: 1280,
        height: 720,
        preset: "ultrafast".into(),
        crf: 23,
        b_frames: 0,
    };
    let mut bytes = Vec::new();
    synthesise(&what, &Token::root(), |segment| {
        bytes = segment.bytes;
        Ok(())
    })?;
    Ok(bytes)
}
