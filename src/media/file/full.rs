//! Full cuts of single files: the pictures of the ranges encoded anew by what encodes those of an archive.

use super::pick::{self, Range};
use super::scan::{FileIndex, SeekPoint};
use super::{Coding, FileSummary, Progress};
use crate::base::time::TimeBase;
use crate::base::{Result, Span, Timestamp, Token};
use crate::media::cut::{Container, CutSource, FullCut, FullCutOptions, Holes, Transition, full};
use crate::media::ffi::codec_name;
use crate::media::source::Entry;
use crate::media::{Clip, Sink};
use std::path::Path;

/// How far before a range reading begins, in ticks of 90 kHz: sound lies beside its pictures to that, and its decoder has
/// to run in.
const MARGIN: i64 = 2 * 90_000;

/// What is made of a file.
#[derive(Debug, Clone)]
pub struct FullFile {
    pub ranges: Vec<Range>,
    /// Between each range and the next; `None` is a hard cut.
    pub transitions: Vec<Option<Transition>>,
    pub options: FullCutOptions,
}

/// Encodes the ranges of `source` into `sink`, one after the other, with the first track of its sound.
///
/// # Errors
/// `invalid-range` when a range is empty or lies outside the file; `transition-too-long`; `unsupported-source` when the
/// file has no pictures or plays parts of it in another order; `damaged-media` when it cannot be read.
pub fn cut_whole(
    source: &Path,
    what: &FullFile,
    sink: &mut dyn Sink,
    token: &Token,
    progress: &dyn Fn(Progress),
) -> Result<FileSummary> {
    let index = FileIndex::scan(source, token, &|done, all| progress(Progress::Reading { done, all }))?;
    let spans = pick::spans(&index, &what.ranges, Coding::Smart)?;
    let cut = FullCut {
        ranges: spans.into_iter().map(|span| (span, footage(source, &index, span))).collect(),
        transitions: what.transitions.clone(),
        holes: Holes::Refuse,
    };
    let summary = full(&cut, &what.options, token, sink)?;
    Ok(FileSummary {
        frames: summary.frames,
        encoded: summary.frames,
        duration: summary.seconds,
        notices: notices(&index, what.options.container),
    })
}

fn footage(source: &Path, index: &FileIndex, span: Span) -> CutSource {
    let start = Timestamp::from_micros(0);
    let clip = Clip {
        path: source.to_owned(),
        start,
        duration: TimeBase::MPEG.micros(index.end - index.first),
        whole: true,
    };
    let from = index.first + TimeBase::MICROS.rescale(span.start - start, TimeBase::MPEG) - MARGIN;
    let place = |it: &SeekPoint| (it.stamp, it.position.filter(|_| index.by_bytes));
    let before = index.seek_points.iter().rev().find(|it| it.pts <= from && it.number > 0);
    let entry = Entry { first: index.first_stamp(), place: before.map(place) };
    CutSource { runs: vec![vec![clip]], entry: Some(entry), ..CutSource::default() }
}

/// What the output could not take along.
fn notices(index: &FileIndex, container: Container) -> Vec<String> {
    let tracks = index.sounds.iter().skip(1).map(|it| &it.stream);
    let mut all: Vec<String> = tracks
        .chain(&index.others)
        .map(|it| format!("stream {} ({}) is left out", it.index, codec_name(it.codec)))
        .collect();
    if index.alpha {
        all.push("the transparency of the pictures is left out".into());
    }
    all.extend(index.lost_turn(container));
    all
}
