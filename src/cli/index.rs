//! `moviola index`.

use super::wait;
use crate::app;
use crate::base::{Channel, Error, Quality, Result, Span, Timestamp};
use crate::config::Config;
use crate::render::warm::Warmth;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Arc;

#[derive(Debug, Args)]
pub struct Arguments {
    /// A channel; without one, all of them.
    channel: Option<String>,
    /// A quality; without one, all of them.
    quality: Option<String>,
    /// UTC, ISO 8601; by default the first hour there is.
    #[arg(long)]
    from: Option<String>,
    /// UTC, ISO 8601; by default the last hour there is.
    #[arg(long)]
    to: Option<String>,
    /// The pictures of storyboards too.
    #[arg(long)]
    pictures: bool,
    /// The peaks of waveforms too.
    #[arg(long)]
    peaks: bool,
}

pub fn run(config: Config, arguments: &Arguments) -> Result<()> {
    let time = |name: &str, text: &Option<String>| {
        text.as_deref().map(|text| Timestamp::parse(name, text)).transpose()
    };
    let (from, to) = (time("from", &arguments.from)?, time("to", &arguments.to)?);
    let channel = arguments.channel.as_deref().map(Channel::new).transpose()?;
    let quality = arguments.quality.as_deref().map(Quality::new).transpose()?;
    let warmth = Warmth { pictures: arguments.pictures, peaks: arguments.peaks };
    let render = app::build(config)?;
    let (mut segments, mut failed) = (0, 0);
    for (channel, quality, hours) in wait(render.hours_of(channel, quality))? {
        let ends = hours.first().zip(hours.last()).map(|(first, last)| (first.start(), last.end()));
        let Some((first, last)) = ends else { continue };
        let span = Span::new(from.unwrap_or(first).max(first), to.unwrap_or(last).min(last));
        if span.is_empty() {
            continue;
        }
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} segments, {eta} left");
        style.into_iter().for_each(|it| bar.set_style(it));
        bar.set_message(format!("{channel}/{quality}"));
        let shown = bar.clone();
        let progress = Arc::new(move |done, all| {
            shown.set_length(all);
            shown.set_position(done);
        });
        let warmed = wait(render.warm(channel, quality, span, warmth, progress))?;
        bar.finish_and_clear();
        segments += warmed.segments;
        failed += warmed.failed;
    }
    eprintln!("{segments} segments are ready, of which {failed} could not be read");
    if segments > 0 && failed == segments {
        return Err(Error::damaged("no segment could be read"));
    }
    Ok(())
}
