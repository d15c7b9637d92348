//! `moviola cut` of a file.

use super::output::Output;
use crate::base::{Error, Result, Token};
use crate::config::Config;
use crate::media::cut::Container;
use crate::media::cut::edge::EdgeSettings;
pub use crate::media::file::Coding;
use crate::media::file::{FileCut, Progress, Range, Target, cut};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write;
use std::path::Path;

pub fn run(
    config: &Config,
    source: &Path,
    ranges: &[String],
    coding: Coding,
    (container, path): (Container, &Path),
) -> Result<()> {
    let mut ranges = ranges.iter().map(|it| Range::parse(it)).collect::<Result<Vec<Range>>>()?;
    if ranges.is_empty() {
        ranges.push(Range { start: None, end: None });
    }
    let edges = EdgeSettings { preset: config.cut.edge_preset.clone(), crf: f64::from(config.cut.edge_crf) };
    let what = FileCut { ranges, coding, container, edges };
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {bytes}/{total_bytes}, {eta} left") {
        bar.set_style(style);
    }
    let output = Output::create(path, ProgressBar::hidden())?;
    let target = match output.temporary() {
        Some(path) => Target::File(path.to_owned()),
        None => Target::Stream(Box::new(|bytes| {
            let written = std::io::stdout().write_all(bytes);
            written.map_err(|fault| Error::io("the output could not be written", &fault))
        })),
    };
    let summary = cut(source, &what, target, &Token::root(), &|progress| {
        let (message, done, all) = match progress {
            Progress::Reading { done, all } => ("reading", done, all),
            Progress::Writing { done, all } => ("writing", done, all),
        };
        if bar.length() != Some(all) {
            bar.set_length(all);
        }
        bar.set_message(message);
        bar.set_position(done);
    })?;
    output.finish()?;
    bar.finish_and_clear();
    for notice in &summary.notices {
        eprintln!("{notice}");
    }
    eprintln!("{} frames, {} encoded anew, {:.3} s", summary.frames, summary.encoded, summary.duration);
    Ok(())
}
