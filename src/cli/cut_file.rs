//! `moviola cut` of a file.

use super::output::{Output, spinner};
use crate::base::{Error, Result, Token};
use crate::config::Config;
use crate::media::cut::edge::EdgeSettings;
use crate::media::cut::{Container, Transition};
pub use crate::media::file::Coding;
use crate::media::file::{FileCut, FileSummary, FullFile, Progress, Range, Target, cut, cut_whole};
use crate::render::cut;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write;
use std::path::Path;

/// The ranges as they are written, or all of the file.
pub fn ranges(texts: &[String]) -> Result<Vec<Range>> {
    let mut ranges = texts.iter().map(|it| Range::parse(it)).collect::<Result<Vec<Range>>>()?;
    if ranges.is_empty() {
        ranges.push(Range { start: None, end: None });
    }
    Ok(ranges)
}

pub fn run(
    config: &Config,
    source: &Path,
    ranges: Vec<Range>,
    coding: Coding,
    (container, path): (Container, &Path),
) -> Result<()> {
    let edges = EdgeSettings { preset: config.cut.edge_preset.clone(), crf: f64::from(config.cut.edge_crf) };
    let what = FileCut { ranges, coding, container, edges };
    let bar = bar();
    let output = Output::create(path, ProgressBar::hidden())?;
    let target = match output.temporary() {
        Some(path) => Target::File(path.to_owned()),
        None => Target::Stream(Box::new(|bytes| {
            let written = std::io::stdout().write_all(bytes);
            written.map_err(|fault| Error::io("the output could not be written", &fault))
        })),
    };
    let summary = cut(source, &what, target, &Token::root(), &|progress| show(&bar, progress))?;
    output.finish()?;
    tell(&bar, &summary);
    Ok(())
}

/// Encodes everything, with transitions between the ranges.
pub fn run_full(
    config: &Config,
    source: &Path,
    (ranges, transitions): (Vec<Range>, Vec<Option<Transition>>),
    coding: cut::Coding,
    (container, path): (Container, &Path),
) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let what =
        FullFile { ranges, transitions, options: cut::options(&config.cut, coding, container, threads) };
    let (bar, written) = (bar(), spinner());
    let mut output = Output::create(path, written.clone())?;
    let summary = cut_whole(source, &what, &mut output, &Token::root(), &|progress| {
        show(&bar, progress);
        if bar.length() == Some(bar.position()) {
            bar.finish_and_clear();
        }
    })?;
    output.finish()?;
    tell(&written, &summary);
    Ok(())
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {bytes}/{total_bytes}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, progress: Progress) {
    let (message, done, all) = match progress {
        Progress::Reading { done, all } => ("reading", done, all),
        Progress::Writing { done, all } => ("writing", done, all),
    };
    if bar.length() != Some(all) {
        bar.set_length(all);
    }
    bar.set_message(message);
    bar.set_position(done);
}

fn tell(bar: &ProgressBar, summary: &FileSummary) {
    bar.finish_and_clear();
    for notice in &summary.notices {
        eprintln!("{notice}");
    }
    eprintln!("{} frames, {} encoded anew, {:.3} s", summary.frames, summary.encoded, summary.duration);
}
