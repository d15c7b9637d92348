//! Cuts of single files, in any container libav reads: an index made in one pass, ranges in seconds from the first
//! picture, and a copy of the packets with edges encoded anew. Nothing of the file is held but its index.

mod edges;
mod full;
mod output;
mod pick;
mod reader;
mod scan;
mod sound;

pub use full::{FullFile, cut_whole};
pub use pick::{Range, position};

use super::cut::Container;
use super::cut::edge::EdgeSettings;
use super::cut::plan::{MAX_ENCODED, refuse};
use crate::base::{Error, Result, Token};
use edges::Prepared;
use output::{Output, Plan};
use reader::Reader;
use scan::{FileIndex, unsupported};
use std::path::{Path, PathBuf};

/// How a file is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Exactly the pictures asked for; those that cannot be taken over are encoded anew.
    Smart,
    /// Nothing is encoded: each range reaches outward to keyframes.
    Copy,
}

/// What is cut, and into what.
#[derive(Debug, Clone)]
pub struct FileCut {
    pub ranges: Vec<Range>,
    pub coding: Coding,
    pub container: Container,
    pub edges: EdgeSettings,
}

/// What the cut turned out to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileSummary {
    pub frames: u64,
    pub encoded: u64,
    /// Seconds.
    pub duration: f64,
    /// What the output could not take along, for people.
    pub notices: Vec<String>,
}

/// Takes a file's bytes in order.
pub type Forward = Box<dyn FnMut(&[u8]) -> Result<()> + Send>;

/// Where a cut is written.
pub enum Target {
    /// A file, which is made.
    File(PathBuf),
    /// Forward only. MP4 is fragmented then (ISO/IEC 14496-12 §8.8), Matroska without cues.
    Stream(Forward),
}

/// Stages of the work with what is done of it, both in bytes of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Reading { done: u64, all: u64 },
    Writing { done: u64, all: u64 },
}

/// The most that edges may hold, in bytes.
const MAX_EDGE_BYTES: usize = 256 << 20;

/// Cuts `source` into `target`.
///
/// # Errors
/// `invalid-range` when a range is empty or lies outside the file; `unsupported-source` when what would have to be
/// encoded cannot be, or the container cannot hold the streams; `damaged-media` when the file cannot be read.
pub fn cut(
    source: &Path,
    what: &FileCut,
    target: Target,
    token: &Token,
    progress: &dyn Fn(Progress),
) -> Result<FileSummary> {
    let index = FileIndex::scan(source, token, &|done, all| progress(Progress::Reading { done, all }))?;
    let spans = pick::spans(&index, &what.ranges, what.coding)?;
    let mut prepared = Vec::new();
    let (mut held, mut encoded) = (0, 0);
    {
        let pictures = Reader::open(source, &index, false, token)?;
        let mut maker = edges::Maker::new(&index, pictures, &what.edges, token);
        let mut at = 0;
        for span in spans {
            let range = maker.prepare(span, at)?;
            at = range.end_at;
            held += range.held();
            encoded += range.encoded;
            if held > MAX_EDGE_BYTES {
                return Err(refuse("the edges of the ranges hold more than 256 MiB"));
            }
            if encoded > MAX_ENCODED {
                return Err(refuse("the source has too few keyframes to copy from"));
            }
            prepared.push(range);
        }
    }
    if index.alpha {
        let kept = matches!(what.container, Container::Matroska | Container::WebM);
        if encoded > 0 || !kept {
            let why =
                if kept { "pictures cannot be encoded anew with it" } else { "only .webm and .mkv hold it" };
            let ways = "--type copy into .webm or .mkv keeps it, --type full leaves it out";
            return Err(unsupported(format!("the file's pictures are transparent, and {why}; {ways}")));
        }
    }
    let sounds = sound::choose(&index, &prepared, what.container);
    let mut reader = Reader::open(source, &index, true, token)?;
    let plan = Plan { prepared: &prepared, sounds: &sounds, container: what.container };
    let mut output = Output::create(&index, &reader, &plan, target)?;
    let all: u64 = prepared.iter().map(Prepared::copied_bytes).sum();
    let mut done = 0;
    for (number, range) in prepared.iter().enumerate() {
        let wanted: Vec<&sound::Chosen> = sounds.iter().map(|ranges| &ranges[number]).collect();
        copy_range(&index, &mut reader, range, &wanted, &mut output, &mut |bytes| {
            done += bytes;
            progress(Progress::Writing { done: done.min(all), all });
        })?;
    }
    let last = prepared.last().ok_or_else(|| Error::internal("a cut without a range"))?;
    let summary = FileSummary {
        frames: prepared.iter().map(|it| it.copied + it.encoded).sum(),
        encoded,
        duration: index.clock.seconds(last.end_at),
        notices: output.notices(),
    };
    output.finish()?;
    Ok(summary)
}

/// Writes one range: what was made beforehand and what is taken over in output order, and the sound as it comes by.
fn copy_range(
    index: &FileIndex,
    reader: &mut Reader<'_>,
    range: &Prepared,
    wanted: &[&sound::Chosen],
    output: &mut Output<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let mut left: Vec<std::ops::Range<usize>> = wanted.iter().map(|it| it.frames.clone()).collect();
    let first_copied = range.parts.iter().find_map(|part| match part {
        edges::Part::Whole(segment) => Some(index.number_of(*segment, 0)),
        edges::Part::Made(_) => None,
    });
    reader.go_before(first_copied, &left)?;
    output.texts(range)?;
    let mut pull =
        |reader: &mut Reader<'_>, output: &mut Output<'_>, until: Option<u64>| -> Result<Option<_>> {
            // Until the packet `until` of the pictures came, or without one, until all sound did.
            while until.is_some() || left.iter().any(|it| !it.is_empty()) {
                match reader.read()? {
                    None => return Ok(None),
                    Some(reader::Item::Picture { number, packet }) if Some(number) == until => {
                        return Ok(Some(packet));
                    }
                    Some(reader::Item::Picture { number, .. }) if until.is_some_and(|it| number > it) => {
                        return Err(Error::damaged("the file was read differently the second time"));
                    }
                    Some(reader::Item::Sound { track, frame, packet }) if frame == left[track].start => {
                        if !left[track].is_empty() {
                            left[track].start += 1;
                            output.sound(track, wanted[track], frame, &packet)?;
                        }
                    }
                    Some(_) => {}
                }
            }
            Ok(None)
        };
    for part in &range.parts {
        match part {
            edges::Part::Made(samples) => {
                for sample in samples {
                    output.made(range, sample)?;
                }
            }
            edges::Part::Whole(segment) => {
                let units = index.units(*segment);
                for (number, unit) in units.iter().enumerate() {
                    let packet = index.number_of(*segment, number);
                    let Some(packet) = pull(reader, output, Some(packet))? else {
                        return Err(Error::damaged("the file ended early the second time it was read"));
                    };
                    output.copied(range, *segment, unit, &packet)?;
                    progress(u64::from(unit.size));
                }
            }
        }
    }
    pull(reader, output, None)?;
    Ok(())
}
