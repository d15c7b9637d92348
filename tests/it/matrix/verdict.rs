//! Everything FFmpeg's programs have to say about a file, in one run of each.
#![allow(clippy::disallowed_methods)]

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// In ticks of 90 kHz.
    pub pts: i64,
    /// Where the container tells it, or FFmpeg can guess.
    pub dts: Option<i64>,
    pub key: bool,
}

/// Samples that are heard one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// In samples at 48 kHz, on the file's clock.
    pub at: i64,
    pub samples: usize,
}

/// A click that is heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Click {
    /// In ticks of 90 kHz, on the file's clock.
    pub at: f64,
    pub up: bool,
}

#[derive(Debug)]
pub struct Verdict {
    /// The numbers in the pictures, in the order they are shown.
    pub numbers: Vec<u32>,
    /// A hash of each picture, and its time in ticks of 90 kHz.
    pub hashes: Vec<(i64, String)>,
    pub pictures: Vec<Packet>,
    pub sounds: Vec<Packet>,
    /// From where FFmpeg counts when it seeks, in ticks of 90 kHz.
    pub start: i64,
    pub heard: Vec<Heard>,
    pub clicks: Vec<Click>,
    /// What was said against the stream.
    pub warnings: String,
}

/// The bar code squeezed to one pixel a cell.
const ROW: &str = "crop=416:16:0:0,scale=26:1:flags=area,format=gray";
/// A sample this loud is part of a click; an encoder's echo is not.
const LOUD: f32 = 0.2;
/// Samples around a click that belong to it.
const NEAR: usize = 200;

fn run(program: &str, arguments: &[&str]) -> (Vec<u8>, String) {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().expect("the judge runs");
    (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// What was said about the stream. The scaler's grumble about yuvj420p is about the judge's own filters, and how long
/// a PES packet of sound lasts, MPEG-TS does not say; a short cut has one.
fn about_the_stream(said: &str, sounds: usize) -> String {
    let mut beside = false;
    let mut lines = Vec::new();
    for line in said.lines() {
        if !line.contains("Last message repeated") {
            beside = line.contains("deprecated pixel format");
        }
        let alone = sounds < 5 && line.contains("stream 1 : no PTS found at end of file");
        if !beside && !alone {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// The numbers in rows of the bar code.
fn numbers(rows: &[u8]) -> Vec<u32> {
    let number = |row: &[u8]| row[1..25].iter().fold(0, |number, cell| number << 1 | u32::from(*cell > 128));
    rows.chunks_exact(26).map(number).collect()
}

fn hashes(text: &str) -> Vec<(i64, String)> {
    let hash = |line: &str| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        Some((fields.get(2)?.parse().ok()?, (*fields.last()?).to_owned()))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(hash).collect()
}

/// Seconds with six decimals in ticks of 90 kHz: to the tick, as a microsecond is less than half of one.
fn ticks(seconds: &str) -> Option<i64> {
    Some((seconds.parse::<f64>().ok()? * 90_000.0).round() as i64)
}

/// The packets of pictures and of sound, and where the file starts.
fn packets(file: &Path) -> (Vec<Packet>, Vec<Packet>, i64) {
    let file = file.to_str().expect("a plain name");
    let entries = "packet=codec_type,pts_time,dts_time,flags:format=start_time";
    let (text, _) = run("ffprobe", &["-v", "error", "-show_entries", entries, "-of", "csv=p=0", file]);
    let text = String::from_utf8(text).expect("numbers");
    let of = |kind: &str| -> Vec<Packet> {
        let packet = |line: &str| {
            let mut fields = line.split(',').skip(1);
            let (pts, dts) = (ticks(fields.next()?)?, fields.next().and_then(ticks));
            Some(Packet { pts, dts, key: fields.next()?.starts_with('K') })
        };
        text.lines().filter(|line| line.starts_with(kind)).filter_map(packet).collect()
    };
    let start = text.lines().last().and_then(ticks).unwrap_or(0);
    (of("video"), of("audio"), start)
}

/// What decoding each packet of sound gave.
fn heard(text: &str) -> Vec<Heard> {
    let frame = |line: &str| {
        let mut fields = line.split(',').skip(2).map(str::trim);
        Some(Heard { at: fields.next()?.parse().ok()?, samples: fields.next()?.parse().ok()? })
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(frame).collect()
}

/// The clicks in samples that are heard so.
fn clicks(samples: &[f32], heard: &[Heard]) -> Vec<Click> {
    let mut found = Vec::new();
    let (mut at, mut frames, mut begin) = (0, heard.iter(), 0);
    let mut frame = frames.next();
    while let Some(first) = samples[at..].iter().position(|it| it.abs() > LOUD).map(|it| it + at) {
        let window = &samples[first..(first + NEAR).min(samples.len())];
        let loudest = (0..window.len()).max_by(|a, b| window[*a].abs().total_cmp(&window[*b].abs()));
        let place = first + loudest.unwrap_or(0);
        while let Some(it) = frame.filter(|it| place >= begin + it.samples) {
            begin += it.samples;
            frame = frames.next();
        }
        if let Some(it) = frame {
            let time = it.at + (place - begin) as i64;
            found.push(Click { at: time as f64 * 90.0 / 48.0, up: samples[place] > 0.0 });
        }
        at = (place + NEAR).min(samples.len());
    }
    found
}

/// Judges a file with one stream of pictures and one of sound at 48 kHz.
pub fn judge(file: &Path) -> Verdict {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name).to_str().expect("a plain name").to_owned();
    let (rows, hashed, sound, frames) = (place("rows"), place("hashes"), place("sound"), place("frames"));
    let name = file.to_str().expect("a plain name");
    // Many of these run at a time.
    let mut arguments = vec!["-v", "warning", "-nostats", "-threads", "1", "-copyts", "-i", name];
    arguments.extend(["-map", "0:v:0", "-vf", ROW, "-fps_mode", "passthrough", "-f", "rawvideo"]);
    // Its own guess of a frame rate may be too coarse for a clock.
    arguments.extend(["-enc_time_base", "1:90000", &rows]);
    arguments.extend(["-map", "0:v:0", "-fps_mode", "passthrough", "-enc_time_base", "1:90000"]);
    arguments.extend(["-f", "framehash", "-hash", "murmur3", &hashed]);
    arguments.extend(["-map", "0:a:0", "-f", "f32le", &sound]);
    arguments.extend(["-map", "0:a:0", "-f", "framehash", "-hash", "murmur3", &frames]);
    let (_, said) = run("ffmpeg", &arguments);
    let (pictures, sounds, start) = packets(file);
    let read = |name: &str| std::fs::read(name).unwrap_or_default();
    // Two channels alike; the first is looked at.
    let samples: Vec<f32> =
        read(&sound).chunks_exact(8).map(|it| f32::from_le_bytes([it[0], it[1], it[2], it[3]])).collect();
    let heard = heard(&String::from_utf8_lossy(&read(&frames)));
    let warnings = about_the_stream(&said, sounds.len());
    Verdict {
        numbers: numbers(&read(&rows)),
        hashes: hashes(&String::from_utf8_lossy(&read(&hashed))),
        clicks: clicks(&samples, &heard),
        heard,
        pictures,
        sounds,
        start,
        warnings,
    }
}

/// The first `count` pictures shown after a seek to `at`, as in [`Verdict::hashes`]. The file starts at `start`, from where
/// FFmpeg counts; both in ticks of 90 kHz.
pub fn after_seek(file: &Path, start: i64, at: i64, count: usize) -> Vec<(i64, String)> {
    let (name, second) = (file.to_str().expect("a plain name"), (at - start) as f64 / 90_000.0);
    let second = format!("{second:.6}");
    let mut arguments =
        vec!["-v", "quiet", "-threads", "1", "-ss", &second, "-copyts", "-i", name, "-map", "0:v:0"];
    let count = count.to_string();
    arguments.extend(["-frames:v", &count, "-fps_mode", "passthrough", "-enc_time_base", "1:90000"]);
    arguments.extend(["-f", "framehash", "-hash", "murmur3", "-"]);
    hashes(&String::from_utf8_lossy(&run("ffmpeg", &arguments).0))
}

/// What another program says against a file that should hold `frames` pictures.
pub fn second_opinion(program: &OsStr, file: &Path, frames: u64) -> Option<String> {
    let output =
        Command::new(program).arg(file).stdin(Stdio::null()).output().expect("the second judge runs");
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let fine = output.status.success() && said == format!("{frames} pictures");
    (!fine).then(|| format!("the second judge says: {said} {}", String::from_utf8_lossy(&output.stderr)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clicks_are_found_at_their_samples_and_times() {
        let mut samples = vec![0.0; 4096];
        (samples[1500], samples[1501], samples[1502]) = (0.3, 0.7, -0.3);
        samples[3000] = -0.6;
        // The third frame comes 53 samples late.
        let heard = [0, 1024, 2101, 3125].map(|at| Heard { at, samples: 1024 });
        let expected = [(1501.0 * 1.875, true), (3053.0 * 1.875, false)];
        let found: Vec<(f64, bool)> =
            clicks(&samples, &heard).into_iter().map(|click| (click.at, click.up)).collect();
        assert_eq!(found, expected);
    }
}
