//! Mutates seeds and calls a target until the time is over. See README.md.

mod targets;

use moviola::base::{Timestamp, Token};
use moviola::media::index;
use moviola::media::peaks::{Builder, Part, SoundFormat};
use moviola::media::picture::{PictureFormat, Raster};
use moviola::media::synthetic::{Synthetic, synthesise};
use moviola::media::tile::{Tile, Tiles};
use moviola::media::ts::psi;
use std::collections::HashSet;
use std::error::Error;
use std::time::{Duration, Instant};

/// Inputs kept beside the seeds.
const MAX_KEPT: usize = 2000;
/// Inputs longer than this are cut, so that many are tried.
const MAX_INPUT: usize = 64 * 1024;
/// Longer than any input of that length may take.
const SLOW: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    const NAMES: &str = "ts_index, ts_patch, ts_rename, index_decode, peaks_decode and tiles_decode";
    let name = arguments.next().ok_or("which target?")?;
    let target = match name.as_str() {
        "ts_patch" => targets::ts_patch,
        "ts_rename" => targets::ts_rename,
        "tiles_decode" => targets::tiles_decode,
        "ts_index" => targets::ts_index,
        "index_decode" => targets::index_decode,
        "peaks_decode" => targets::peaks_decode,
        _ => return Err(format!("there are the targets {NAMES}").into()),
    };
    let (mut seconds, mut random, mut corpus) = (60, Random(0x9e37_79b9_7f4a_7c15), Vec::new());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => seconds = arguments.next().ok_or("how many seconds?")?.parse()?,
            "--seed" => random.0 ^= arguments.next().ok_or("which seed?")?.parse::<u64>()? << 1,
            file => corpus.push(std::fs::read(file)?),
        }
    }
    seeds(&mut corpus)?;
    if name == "index_decode" {
        let bodies = corpus.iter().filter_map(|it| index::build(it).ok());
        // Magic word and version before, checksum after.
        corpus = bodies.map(|it| it.encode()).map(|it| it[5..it.len() - 8].to_vec()).collect();
    }
    match name.as_str() {
        "peaks_decode" => corpus = peaks(),
        "tiles_decode" => corpus = tiles()?,
        _ => {}
    }
    corpus.iter_mut().for_each(|it| it.truncate(MAX_INPUT));
    let seeded = corpus.len();
    let mut shapes: HashSet<u64> = HashSet::new();
    let crash = format!("fuzz-{name}-crash.bin");
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut runs, mut slowest) = (0u64, Duration::ZERO);
    while runs < seeded as u64 || Instant::now() < end {
        let mut input = corpus[runs as usize % corpus.len()].clone();
        if runs >= seeded as u64 {
            input = corpus[random.below(corpus.len())].clone();
            for _ in 0..1 + random.below(6) {
                mutate(&mut input, &corpus, &mut random);
            }
            input.truncate(MAX_INPUT);
        }
        let begun = Instant::now();
        let answer = std::panic::catch_unwind(|| target(&input));
        let mut took = begun.elapsed();
        if answer.is_ok() && took > SLOW {
            // The machine may have been busy elsewhere for that moment.
            let again = Instant::now();
            target(&input);
            took = took.min(again.elapsed());
        }
        slowest = slowest.max(took);
        let Ok(shape) = answer else {
            std::fs::write(&crash, &input)?;
            return Err(format!("a panic after {runs} runs; the input is in {crash}").into());
        };
        if took > SLOW {
            std::fs::write(&crash, &input)?;
            return Err(format!("{took:?} for one input; it is in {crash}").into());
        }
        if shapes.insert(shape) && runs >= seeded as u64 && corpus.len() < seeded + MAX_KEPT {
            corpus.push(input);
        }
        runs += 1;
    }
    println!("{name}: {runs} runs clean in {seconds} s, {} shapes, slowest {slowest:?}", shapes.len());
    Ok(())
}

/// Made-up segments, and the same under other names of codecs.
fn seeds(corpus: &mut Vec<Vec<u8>>) -> moviola::base::Result<()> {
    let what = Synthetic {
        start: Timestamp::parse("start", "2024-11-10T00:00:00")?,
        frames: 36,
        fps: 30,
        segment_frames: 12,
        width: 160,
        height: 96,
        preset: "ultrafast".into(),
        crf: 40,
        b_frames: 2,
    };
    let mut made = Vec::new();
    synthesise(&what, &Token::root(), |segment| {
        made.push(segment.bytes);
        Ok(())
    })?;
    for types in [(0x24, 0x11), (0x02, 0x03), (0x33, 0x81), (0x1b, 0x87)] {
        corpus.extend(made.first().map(|it| retyped(it, types)));
    }
    corpus.extend(made);
    Ok(())
}

/// Parts of the peaks of short runs, with one channel and with more.
fn peaks() -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    for channels in [1, 2, 6] {
        let mut builder = Builder::new();
        for (start, length) in [(82_000_000_000_100i64, 3000usize), (82_000_000_009_000, 700)] {
            let samples: Vec<i16> = (0..length).map(|it| (it * 7919 % 65_521) as u16 as i16).collect();
            builder.add(start, SoundFormat { rate: 48_000, channels }, &vec![samples; channels]);
        }
        let pyramid = builder.finish();
        parts.extend(Part::ALL.map(|part| pyramid.encode(part)));
    }
    parts
}

/// Tiles of one colour, few and many.
fn tiles() -> moviola::base::Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for count in [0, 1, 3] {
        let tile = |number: u8| {
            let picture = Raster::plain(160, 90, [number * 40, 90, 200]);
            let jpeg = picture.encode(PictureFormat::Jpeg(80))?;
            Ok(Tile { at: i64::from(number) * 1_000_000, width: 160, height: 90, jpeg })
        };
        let tiles: moviola::base::Result<Vec<Tile>> = (0..count).map(tile).collect();
        all.push(Tiles(tiles?).encode());
    }
    Ok(all)
}

/// The segment with other stream types in its program map.
fn retyped(segment: &[u8], types: (u8, u8)) -> Vec<u8> {
    let mut segment = segment.to_vec();
    for packet in segment.chunks_exact_mut(188).filter(|it| it[1] & 0x40 != 0 && it[4] == 0 && it[5] == 2) {
        let end = 8 + (usize::from(packet[6] & 15) << 8 | usize::from(packet[7]));
        let mut at = 17 + usize::from(packet[16]);
        while at + 5 < end.min(184) {
            packet[at] = if packet[at] == 0x1b { types.0 } else { types.1 };
            at += 5 + usize::from(packet[at + 4]);
        }
        if (21..=188).contains(&end) {
            let crc = psi::crc(&packet[5..end - 4]);
            packet[end - 4..end].copy_from_slice(&crc.to_be_bytes());
        }
    }
    segment
}

/// xorshift64*: the same seed gives the same run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `limit`, and 0 for 0.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 32) as usize % limit.max(1)
    }
}

/// Bytes that mean something to one parser or the other.
const INTERESTING: [&[u8]; 16] = [
    &[0],
    &[0xff],
    &[0x7f],
    &[0x80],
    &[0x47],
    &[0, 0, 1],
    &[0, 0, 1, 0x67],
    &[0, 0, 1, 0x68],
    &[0, 0, 1, 0x65, 0x88],
    &[0, 0, 1, 0x06, 0x06, 0x01],
    &[0, 0, 1, 0xb3],
    &[0, 0, 1, 0x42, 0x01],
    &[0, 0, 3],
    &[0xff, 0xf1, 0x4c, 0x80],
    &[0x0b, 0x77],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
];

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len());
    let most = if random.below(2) == 0 { 8 } else { 400 };
    let length = 1 + random.below(most);
    let end = (at + length).min(input.len());
    match random.below(9) {
        _ if input.is_empty() => input.push(random.next() as u8),
        0 | 1 => input[at] ^= 1 << random.below(8),
        2 => input[at] = random.next() as u8,
        3 | 4 => {
            let word = INTERESTING[random.below(INTERESTING.len())];
            let end = (at + word.len()).min(input.len());
            input[at..end].copy_from_slice(&word[..end - at]);
        }
        5 => drop(input.drain(at..end)),
        6 => {
            let piece = input[at..end].to_vec();
            let to = random.below(input.len());
            input.splice(to..to, piece);
        }
        7 => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len());
            let piece = other[from..(from + length).min(other.len())].to_vec();
            input.splice(at..end, piece);
        }
        _ => {
            // A whole packet goes, comes twice, or changes its head.
            let packet = at / 188 * 188;
            let end = (packet + 188).min(input.len());
            match random.below(3) {
                0 => drop(input.drain(packet..end)),
                1 => {
                    let piece = input[packet..end].to_vec();
                    input.splice(packet..packet, piece);
                }
                _ => input[(packet + random.below(8)).min(end - 1)] ^= random.next() as u8,
            }
        }
    }
}
