//! `moviola waveform`.

use super::{output::save, wait};
use crate::app;
use crate::base::{Channel, Error, Quality, Result, Span, Timestamp};
use crate::config::Config;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Arguments {
    channel: String,
    quality: String,
    /// UTC, ISO 8601.
    #[arg(long)]
    start: String,
    /// UTC, ISO 8601.
    #[arg(long)]
    end: String,
    /// WIDTHxHEIGHT in pixels.
    #[arg(long, default_value = "1024x64", value_parser = size)]
    size: (u32, u32),
    /// The PNG to write, or - for standard output.
    #[arg(long, short)]
    output: PathBuf,
}

fn size(text: &str) -> Result<(u32, u32)> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=4096).contains(side));
    text.split_once('x').and_then(|(width, height)| Some((side(width)?, side(height)?))).ok_or_else(|| {
        Error::invalid("invalid-size", "size", "size must be WIDTHxHEIGHT, each from 1 to 4096")
    })
}

pub fn run(config: Config, arguments: Arguments) -> Result<()> {
    let (channel, quality) = (Channel::new(&arguments.channel)?, Quality::new(&arguments.quality)?);
    let start = Timestamp::parse("start", &arguments.start)?;
    let span = Span::new(start, Timestamp::parse("end", &arguments.end)?);
    let render = app::build(config)?;
    let made = wait(async {
        let selection = render.waveform_selection(channel, quality, span).await?;
        render.waveform(selection, arguments.size).await
    })?;
    save(&arguments.output, &made.bytes)
}
