//! What is missing from a recording, and why: a line of JSON for each gap, in a small file for each channel and quality.
//!
//! The archive alone tells *that* something is missing; this tells the cause. It is a note beside the truth: a file that is
//! lost or damaged costs causes and nothing else.

use crate::archive::Archive;
use crate::base::{Channel, Error, Quality, Result, Span};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

/// Inside the archive; hidden, so that it is never listed.
const FOLDER: &str = ".moviola-gaps";
/// A line is some 120 bytes; a longer one is none of ours.
const LONGEST_LINE: u64 = 1024;
/// Gaps that wait for a disk that takes them.
const MOST_WAITING: usize = 256;

/// A stretch that was not recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Gap {
    #[schema(value_type = Object)]
    #[serde(flatten, with = "ends")]
    pub span: Span,
    /// A stable word: why the source or the writer stopped.
    pub cause: String,
}

/// `start` and `end` beside the other fields.
mod ends {
    use crate::base::{Span, Timestamp};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Ends {
        start: Timestamp,
        end: Timestamp,
    }

    pub fn serialize<S: Serializer>(span: &Span, serializer: S) -> Result<S::Ok, S::Error> {
        Ends { start: span.start, end: span.end }.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        Ends::deserialize(deserializer).map(|it| Span::new(it.start, it.end))
    }
}

/// The notes of one channel and quality.
#[derive(Debug)]
pub struct Gaps {
    path: PathBuf,
    /// The most the file may take, in bytes; past it the older half goes.
    bytes: u64,
    waiting: VecDeque<Gap>,
}

impl Gaps {
    pub fn of(archive: &Archive, channel: &Channel, quality: &Quality, bytes: u64) -> Self {
        let name = format!("{}.jsonl", quality.as_str());
        let path = archive.path().join(FOLDER).join(channel).join(name);
        Self { path, bytes, waiting: VecDeque::new() }
    }

    /// Notes a gap. Where the disk does not take it, it is tried again with the next.
    pub fn note(&mut self, gap: Gap) {
        self.waiting.push_back(gap);
        if self.waiting.len() > MOST_WAITING {
            self.waiting.pop_front();
        }
        match self.write() {
            Ok(()) => self.waiting.clear(),
            Err(fault) => tracing::warn!("gaps of a recording could not be noted: {fault}"),
        }
    }

    fn write(&self) -> std::io::Result<()> {
        let mut text = String::new();
        for gap in &self.waiting {
            text.push_str(&serde_json::to_string(gap)?);
            text.push('\n');
        }
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let length = fs::metadata(&self.path).map_or(0, |it| it.len());
        if length + text.len() as u64 > self.bytes {
            return self.halve(&text);
        }
        // One write: a line is there or it is not, but for a machine that dies, and then it is passed over.
        File::options().append(true).create(true).open(&self.path)?.write_all(text.as_bytes())
    }

    /// Leaves the younger half of the lines, and `text`.
    fn halve(&self, text: &str) -> std::io::Result<()> {
        let lines = read(&self.path);
        let mut kept = Vec::new();
        for gap in &lines[lines.len() / 2..] {
            serde_json::to_writer(&mut kept, gap)?;
            kept.push(b'\n');
        }
        if (kept.len() + text.len()) as u64 > self.bytes {
            kept.clear();
        }
        kept.extend_from_slice(text.as_bytes());
        let temp = self.path.with_extension("part");
        fs::write(&temp, kept)?;
        fs::rename(temp, &self.path)
    }
}

/// What can be read of a file, the oldest first.
fn read(path: &Path) -> Vec<Gap> {
    let Ok(file) = File::open(path) else { return Vec::new() };
    let mut reader = BufReader::new(file);
    let mut gaps = Vec::new();
    let mut line = String::new();
    loop {
        line.clear();
        match std::io::Read::take(&mut reader, LONGEST_LINE).read_line(&mut line) {
            Ok(0) => return gaps,
            Ok(_) => gaps.extend(serde_json::from_str::<Gap>(&line)),
            // Not text: what follows may be.
            Err(fault) if fault.kind() == std::io::ErrorKind::InvalidData => {}
            Err(_) => return gaps,
        }
    }
}

/// The gaps noted of a channel and quality that touch `span`, the oldest first.
///
/// # Errors
/// `not-found` where nothing was ever recorded there and nothing noted.
pub fn gaps_within(archive: &Archive, channel: &Channel, quality: &Quality, span: Span) -> Result<Vec<Gap>> {
    let gaps = Gaps::of(archive, channel, quality, 0);
    if !gaps.path.exists() && !archive.has_quality(channel, quality)? {
        return Err(Error::not_found("there is no such channel and quality"));
    }
    let touches = |it: &Gap| it.span.start < span.end && span.start < it.span.end;
    Ok(read(&gaps.path).into_iter().filter(touches).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Limits;
    use crate::base::Timestamp;
    use crate::base::metrics::Metrics;

    fn gap(second: i64) -> Gap {
        let at = |it: i64| Timestamp::from_micros(it * 1_000_000);
        Gap { span: Span::new(at(second), at(second + 1)), cause: "reconnect".into() }
    }

    #[test]
    fn gaps_are_noted_found_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::open(folder.path(), Limits::default(), Metrics::new()).unwrap();
        let (channel, quality) = (Channel::new("cam").unwrap(), Quality::new("source").unwrap());
        let all = Span::new(Timestamp::MIN, Timestamp::MAX);
        assert!(gaps_within(&archive, &channel, &quality, all).is_err());
        let mut gaps = Gaps::of(&archive, &channel, &quality, 2000);
        (0..10).for_each(|it| gaps.note(gap(it * 10)));
        let found = gaps_within(&archive, &channel, &quality, all).unwrap();
        assert_eq!(found, (0..10).map(|it| gap(it * 10)).collect::<Vec<_>>());
        let some = Span::new(gap(20).span.start, gap(30).span.end);
        assert_eq!(gaps_within(&archive, &channel, &quality, some).unwrap(), [gap(20), gap(30)]);
        let text = fs::read_to_string(&gaps.path).unwrap();
        let line = r#"{"start":"1970-01-01T00:00:00.000000","end":"1970-01-01T00:00:01.000000","cause":"reconnect"}"#;
        assert_eq!(text.lines().next(), Some(line));
        // A damaged line costs itself.
        fs::write(&gaps.path, text.replacen("{\"start\"", "{\u{fffd}", 1)).unwrap();
        assert_eq!(gaps_within(&archive, &channel, &quality, all).unwrap().len(), 9);
        (10..200).for_each(|it| gaps.note(gap(it * 10)));
        assert!(fs::metadata(&gaps.path).unwrap().len() <= 2000);
        let left = gaps_within(&archive, &channel, &quality, all).unwrap();
        assert!(left.len() >= 8 && left.last() == Some(&gap(1990)));
        assert!(archive.channels().unwrap().is_empty(), "nothing of it is listed");
    }

    #[test]
    fn what_the_disk_did_not_take_is_noted_later() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::open(folder.path(), Limits::default(), Metrics::new()).unwrap();
        let (channel, quality) = (Channel::new("cam").unwrap(), Quality::new("source").unwrap());
        fs::write(folder.path().join(FOLDER), "a file where a folder is meant").unwrap();
        let mut gaps = Gaps::of(&archive, &channel, &quality, 2000);
        gaps.note(gap(0));
        fs::remove_file(folder.path().join(FOLDER)).unwrap();
        gaps.note(gap(1));
        assert_eq!(read(&gaps.path), [gap(0), gap(1)]);
    }
}
