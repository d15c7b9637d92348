//! `moviola cut` of a file.

use super::output::Output;
use crate::base::{Error, Result, Token};
use crate::config::Config;
use crate::media::cut::Container;
use crate::media::cut::edge::EdgeSettings;
pub use crate::media::file::Coding;
use crate::media::file::{FileCut, Progress, Range, cut};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::Path;

fn container(path: &Path) -> Result<Container> {
    let extension = path.extension().and_then(|it| it.to_str()).unwrap_or_default();
    match &*extension.to_ascii_lowercase() {
        "ts" => Ok(Container::TransportStream),
        "mp4" => Ok(Container::Mp4),
        "mkv" => Ok(Container::Matroska),
        "webm" => Ok(Container::WebM),
        _ => Err(Error::invalid("output", "output", "the output must end in .mp4, .mkv, .webm or .ts")),
    }
}

pub fn run(config: &Config, source: &Path, ranges: &[String], coding: Coding, target: &Path) -> Result<()> {
    let container = container(target)?;
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
    let output = Output::create(target, ProgressBar::hidden())?;
    let file = output.file()?.ok_or_else(|| Error::internal("a container has no extension"))?;
    let summary = cut(source, &what, file, &Token::root(), &|progress| {
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
