//! The ffmpeg programs as a judge of what the server wrote: somebody else's decoder and somebody else's demuxer.
#![allow(clippy::disallowed_methods)]

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// What was asked of a file as it was then, and the answers: every start of a judge takes longer than its work, and tests
/// ask several things of one file.
type Asked = ((PathBuf, u64, Option<SystemTime>, Vec<String>), (Vec<u8>, String));

pub struct Judge(RefCell<Vec<Asked>>);

/// Answers that are kept.
const KEPT: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    pub pts: i64,
    pub dts: i64,
}

/// The judge, where it is installed.
pub fn ffmpeg() -> Option<Judge> {
    let quiet =
        |name| Command::new(name).arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    (quiet("ffmpeg").is_ok() && quiet("ffprobe").is_ok()).then(|| Judge(RefCell::default()))
}

impl Judge {
    fn output(&self, program: &str, file: &Path, before: &[&str], after: &[&str]) -> (Vec<u8>, String) {
        let about = std::fs::metadata(file).expect("a file");
        let words = [&[program][..], before, after].concat().into_iter().map(str::to_owned).collect();
        let asked = (file.to_owned(), about.len(), about.modified().ok(), words);
        let mut kept = self.0.borrow_mut();
        if let Some(at) = kept.iter().position(|it| it.0 == asked) {
            let again = kept.remove(at);
            kept.push(again);
            return kept[kept.len() - 1].1.clone();
        }
        let run = Command::new(program).args(before).arg(file).args(after).stdin(Stdio::null()).output();
        let output = run.expect("the judge runs");
        let answer = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push((asked, answer.clone()));
        answer
    }

    /// Rows of the pictures' bar codes, and what was said against all that was decoded for it.
    fn rows(&self, file: &Path) -> (Vec<u8>, String) {
        let filter = "crop=min(416\\,iw):min(16\\,ih):0:0,scale=26:1:flags=area,format=gray";
        let after = ["-map", "0:v:0", "-vf", filter, "-fps_mode", "passthrough", "-f", "rawvideo", "-"];
        let sound = ["-map", "0:a?", "-f", "null", "/dev/null"];
        self.output("ffmpeg", file, &["-v", "error", "-i"], &[&after[..], &sound].concat())
    }

    /// What a packet is of, its times in ticks and in seconds.
    fn probed(&self, file: &Path) -> String {
        let entries = "packet=codec_type,pts,pts_time,dts,duration_time";
        let before = ["-v", "error", "-show_entries", entries, "-of", "csv=p=0"];
        String::from_utf8(self.output("ffprobe", file, &before, &[]).0).expect("numbers")
    }

    /// The numbers in the pictures, in the order they are shown.
    pub fn numbers(&self, file: &Path) -> Vec<u32> {
        let (rows, _) = self.rows(file);
        let number =
            |row: &[u8]| row[1..25].iter().fold(0, |number, cell| number << 1 | u32::from(*cell > 128));
        rows.chunks_exact(26).map(number).collect()
    }

    /// What a decoder has to say against a file with pictures.
    pub fn complaints(&self, file: &Path) -> String {
        self.rows(file).1
    }

    /// PTS and DTS of a stream's packets (`v` or `a`), in file order.
    pub fn packets(&self, file: &Path, stream: &str) -> Vec<Packet> {
        let packet = |line: &str| {
            let mut fields = line.split(',').map(|field| field.parse::<i64>());
            let (pts, dts) = (fields.nth(1)?.ok()?, fields.nth(1)?.ok()?);
            Some(Packet { pts, dts })
        };
        self.probed(file).lines().filter(|line| line.starts_with(stream)).filter_map(packet).collect()
    }

    /// A hash of every decoded picture, in the order they are shown.
    pub fn hashes(&self, file: &Path) -> Vec<String> {
        let after = ["-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framehash", "-hash", "md5", "-"];
        let (text, _) = self.output("ffmpeg", file, &["-v", "error", "-i"], &after);
        let text = String::from_utf8(text).expect("hashes");
        let hash = |line: &str| line.rsplit(',').next().map(|hash| hash.trim().to_owned());
        text.lines().filter(|line| !line.starts_with('#')).filter_map(hash).collect()
    }

    /// When each packet of a stream is shown, in seconds, and how long where the container tells, in file order.
    pub fn times(&self, file: &Path, stream: &str) -> Vec<(f64, Option<f64>)> {
        let packet = |line: &str| {
            let mut fields = line.split(',').map(|field| field.parse::<f64>());
            Some((fields.nth(2)?.ok()?, fields.nth(1).and_then(Result::ok)))
        };
        self.probed(file).lines().filter(|line| line.starts_with(stream)).filter_map(packet).collect()
    }

    /// Values ffprobe has for `entries`, one a line.
    pub fn values(&self, file: &Path, entries: &str) -> Vec<String> {
        let before = ["-v", "error", "-show_entries", entries, "-of", "default=nw=1:nk=1"];
        let (text, _) = self.output("ffprobe", file, &before, &[]);
        String::from_utf8(text).expect("text").lines().map(str::to_owned).collect()
    }

    /// The first channel's samples, one after the other without a look at their times.
    pub fn plain_sound(&self, file: &Path) -> Vec<f32> {
        let after = ["-map", "0:a:0", "-af", "pan=mono|c0=c0", "-f", "f32le", "-"];
        let (bytes, _) = self.output("ffmpeg", file, &["-v", "error", "-i"], &after);
        bytes.chunks_exact(4).map(|it| f32::from_le_bytes([it[0], it[1], it[2], it[3]])).collect()
    }

    /// The first channel's samples at 48 kHz, from the time of the first picture on.
    pub fn sound(&self, file: &Path) -> Vec<f32> {
        let after = ["-map", "0:a:0", "-ac", "1", "-af", "pan=mono|c0=c0", "-f", "f32le", "-"];
        let (bytes, _) = self.output("ffmpeg", file, &["-v", "error", "-i"], &after);
        let samples: Vec<f32> =
            bytes.chunks_exact(4).map(|it| f32::from_le_bytes([it[0], it[1], it[2], it[3]])).collect();
        let (picture, sound) = (self.packets(file, "v"), self.packets(file, "a"));
        let first = picture.iter().map(|packet| packet.pts).min().expect("a picture");
        let lead = ((first - sound[0].pts) * 48 + 45).div_euclid(90);
        // Sound may also begin behind the first picture.
        let silence = usize::try_from(-lead).unwrap_or(0);
        let skip = usize::try_from(lead).unwrap_or(0);
        [&vec![0.0; silence][..], &samples[skip..]].concat()
    }
}
