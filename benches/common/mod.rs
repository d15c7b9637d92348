//! What the benches share: an archive of made-up streams, kept below the target folder; the server as a process of its
//! own; what the system says of a process; medians and lines of a table.
#![allow(dead_code, clippy::disallowed_methods)]

pub mod process;
pub mod server;

use moviola::archive::{Archive, Limits, SegmentKind};
use moviola::base::metrics::Metrics;
use moviola::base::time::SECOND;
use moviola::base::{Channel, Quality, Timestamp, Token};
use moviola::media::Clip;
use moviola::media::synthetic::{Synthetic, synthesise};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// When every stream starts.
pub const START: &str = "2024-11-09T12:00:00";
/// The channel with pictures, in the qualities of [`STREAMS`].
pub const CHANNEL: &str = "bench";
/// The channel of empty segments, in the one quality 720p, and where it starts.
pub const TINY: &str = "tiny";
pub const TINY_START: &str = "2024-11-10T00:00:00";
pub const PER_HOUR: usize = 1800;

pub const FPS: i64 = 30;
pub const SEGMENT: i64 = 2 * SECOND;

/// Name, width, height, seconds.
const STREAMS: [(&str, usize, usize, i64); 2] = [("720p", 1280, 720, 64), ("1080p", 1920, 1080, 16)];
/// Hours of empty segments.
const TINY_HOURS: usize = 56;

pub fn start() -> Timestamp {
    Timestamp::parse("start", START).expect("a time")
}

/// Seconds of a quality.
pub fn seconds(quality: &str) -> i64 {
    STREAMS.iter().find(|it| it.0 == quality).map_or(0, |it| it.3)
}

/// Writes seconds of a made-up stream into a quality.
fn fill(
    root: &Path,
    (channel, quality): (&str, &str),
    seconds: i64,
    (width, height): (usize, usize),
    crf: u8,
) -> Outcome<()> {
    let archive = Archive::open(root, Limits::default(), Metrics::new())?;
    let (channel, quality) = (Channel::new(channel)?, Quality::new(quality)?);
    let what = Synthetic {
        start: start(),
        frames: (seconds * FPS) as u64,
        fps: FPS as u32,
        segment_frames: (SEGMENT / SECOND * FPS) as u64,
        width,
        height,
        preset: "veryfast".into(),
        crf,
        b_frames: 3,
    };
    synthesise(&what, &Token::root(), |segment| {
        let mut writer = archive.create_segment(&channel, &quality, segment.start)?;
        writer.write(&segment.bytes)?;
        writer.finish(segment.duration, SegmentKind::Full).map(drop)
    })?;
    Ok(())
}

/// The archive, made by the first bench that asks. A change of what it holds wants another name.
pub fn archive() -> Outcome<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let root = target.join("bench-archive-1");
    if root.is_dir() {
        return Ok(root);
    }
    eprintln!("making an archive in {} (once, half a minute)", root.display());
    let part = tempfile::tempdir_in(target)?;
    for (name, width, height, seconds) in STREAMS {
        fill(part.path(), (CHANNEL, name), seconds, (width, height), 16)?;
    }
    tiny(part.path(), TINY_HOURS)?;
    let part = part.keep();
    if std::fs::rename(&part, &root).is_err() {
        // Another bench was faster.
        std::fs::remove_dir_all(part)?;
    }
    // A folder changed a moment ago is read again each time.
    std::thread::sleep(Duration::from_secs(3));
    Ok(root)
}

/// Minutes of 360p that are made for [`long`], and the hours they are linked over.
const MADE: i64 = 5;
pub const HOURS: usize = 6;

/// An archive of hours: channel `long` has six of 360p and one of 720p. Some minutes of each are made and linked under the
/// names of all, so that every segment is read and decoded as if it were another. A change of what it holds wants another
/// name.
pub fn long() -> Outcome<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let root = target.join("bench-long-2");
    if root.is_dir() {
        return Ok(root);
    }
    eprintln!("making an archive in {} (once, a minute)", root.display());
    let part = tempfile::tempdir_in(target)?;
    fill(part.path(), ("made", "360p"), MADE * 60, (640, 360), 20)?;
    link(&part.path().join("made/360p/2024-11-09T12"), &part.path().join("long/360p"), HOURS)?;
    link(&self::archive()?.join(format!("{CHANNEL}/720p/2024-11-09T12")), &part.path().join("long/720p"), 1)?;
    std::fs::rename(part.keep(), &root)?;
    // A folder changed a moment ago is read again each time.
    std::thread::sleep(Duration::from_secs(3));
    Ok(root)
}

/// Links the segments of a folder one after the other over hours of another quality, from [`START`] on.
fn link(made: &Path, quality: &Path, hours: usize) -> Outcome<()> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(made)?.map(|it| it.map(|it| it.path())).collect::<Result<_, _>>()?;
    files.sort();
    for number in 0..hours * PER_HOUR {
        let from = &files[number % files.len()];
        let name = from.file_name().and_then(|it| it.to_str()).ok_or("a name")?;
        // What follows the time: duration, kind and hash.
        let rest = name.get("00:00.000000".len()..).ok_or("a name")?;
        let at = start() + number as i64 * SEGMENT;
        let folder = quality.join(at.hour().to_string());
        std::fs::create_dir_all(&folder)?;
        let within = Timestamp::to_string(&at);
        let minutes = within.get("2024-11-09T12:".len()..).ok_or("a time")?;
        std::fs::hard_link(from, folder.join(format!("{minutes}{rest}")))?;
    }
    Ok(())
}

/// What the files below a folder have in bytes.
pub fn bytes_in(folder: &Path) -> std::io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let facts = entry.metadata()?;
        sum += if facts.is_dir() { bytes_in(&entry.path())? } else { facts.len() };
    }
    Ok(sum)
}

/// Empty segments: what listings and playlists read is in the names.
pub fn tiny(root: &Path, hours: usize) -> std::io::Result<()> {
    for hour in 0..hours {
        let folder = root.join(format!("{TINY}/720p/2024-11-{:02}T{:02}", 10 + hour / 24, hour % 24));
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

/// The segments of a quality of [`CHANNEL`], in order.
pub fn clips(root: &Path, quality: &str) -> Outcome<Vec<Clip>> {
    let archive = Archive::open(root, Limits::default(), Metrics::new())?;
    let (channel, quality) = (Channel::new(CHANNEL)?, Quality::new(quality)?);
    let extent = archive.extent(&channel, &quality)?.ok_or("the archive is empty")?;
    let selection = archive.select(&channel, &quality, extent)?;
    let clip = |segment: &moviola::archive::Segment| Clip {
        path: archive.path_of(segment),
        start: segment.start(),
        duration: segment.duration(),
        whole: true,
    };
    Ok(selection.segments().map(clip).collect())
}

/// The peer, where it is installed.
pub fn ffmpeg() -> Option<&'static str> {
    let quiet = Command::new("ffmpeg").arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if quiet.is_ok_and(|status| status.success()) {
        return Some("ffmpeg");
    }
    println!("ffmpeg is not installed: its lines are left out");
    None
}

/// The program, at its own command line: this very binary, which [`run`] turns into it. The one in the target folder may
/// be another version by now.
pub fn program() -> Command {
    Command::new("/proc/self/exe")
}

/// Runs a bench, or the program when that is asked for.
pub fn run(bench: impl FnOnce() -> Outcome<()>) -> ExitCode {
    if std::env::args().nth(1).is_some_and(|word| ["serve", "cut", "index"].contains(&word.as_str())) {
        return moviola::cli::run();
    }
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}

/// Numbers that look random and are the same in every run (xorshift64*).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// From 0 to before `end`.
    pub fn below(&mut self, end: i64) -> i64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as i64 % end
    }

    /// An instant of a quality, not in its first segment: the reference way begins one before.
    pub fn instant(&mut self, quality: &str) -> Timestamp {
        start() + (SEGMENT + self.below(seconds(quality) * SECOND - SEGMENT))
    }
}

/// The value at `part` (0 to 1) of the sorted values.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(((sorted.len() as f64 - 1.0) * part).round() as usize).copied().unwrap_or(f64::NAN)
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A line of a table: what, and its columns.
pub fn line(what: &str, columns: &[String]) {
    print!("  {what:<52}");
    columns.iter().for_each(|it| print!(" {it:>11}"));
    println!();
}

pub fn heads(what: &str, columns: &[&str]) {
    line(what, &columns.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
}

/// A bar, and whether it is met: said, never asserted.
pub fn bar(what: &str, met: bool) {
    println!("  {} {what}", if met { "[met]   " } else { "[MISSED]" });
}

/// `cargo bench --bench X -- WORD` runs the parts whose name holds WORD.
pub fn wanted(part: &str) -> bool {
    let words: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    words.is_empty() || words.iter().any(|word| part.contains(word.as_str()))
}
