//! `moviola loudness`, `silence` and `scenes`.

use super::source::{Of, Source};
use super::{output::save, wait, waveform};
use crate::app;
use crate::base::{Result, Token};
use crate::config::Config;
use crate::render::waveform::wish::{Quiet, Wish};
use crate::render::{loudness, scenes};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Loudness {
    #[command(flatten)]
    source: Source,
    /// The JSON to write, or - for standard output.
    #[arg(long, short, default_value = "-")]
    output: PathBuf,
}

#[derive(Debug, Args)]
pub struct Silence {
    #[command(flatten)]
    source: Source,
    /// What counts as silence, in dB of full scale: -90 to 0, by default -50.
    #[arg(long, allow_hyphen_values = true)]
    threshold: Option<String>,
    /// Seconds a silence lasts at least, by default 0.5.
    #[arg(long)]
    minimum: Option<String>,
    /// The JSON to write, or - for standard output.
    #[arg(long, short, default_value = "-")]
    output: PathBuf,
}

#[derive(Debug, Args)]
pub struct Scenes {
    #[command(flatten)]
    source: Source,
    /// How different the keyframes before and after a change are at least, 0 to 1, by default 0.1.
    #[arg(long)]
    threshold: Option<String>,
    /// The JSON to write, or - for standard output.
    #[arg(long, short, default_value = "-")]
    output: PathBuf,
}

pub fn loudness(config: Config, arguments: &Loudness) -> Result<()> {
    let made = match arguments.source.read()? {
        Of::Archive(channel, quality, span) => {
            let render = app::build(config)?;
            wait(render.loudness(channel, quality, span))?
        }
        Of::File(path) => loudness::of_file(path, &Token::root())?,
    };
    save(&arguments.output, &made.bytes)
}

pub fn silence(config: Config, arguments: &Silence) -> Result<()> {
    let quiet = Quiet::read(|key| {
        Ok(match key {
            "threshold" => arguments.threshold.as_deref(),
            "minimum" => arguments.minimum.as_deref(),
            _ => None,
        })
    })?;
    let made = waveform::made(config, &arguments.source, Wish::Silence(quiet))?;
    save(&arguments.output, &made.bytes)
}

pub fn scenes(config: Config, arguments: &Scenes) -> Result<()> {
    let threshold = scenes::threshold(arguments.threshold.as_deref())?;
    let made = match arguments.source.read()? {
        Of::Archive(channel, quality, span) => {
            let render = app::build(config)?;
            wait(render.scenes(channel, quality, span, threshold))?
        }
        Of::File(path) => scenes::of_file(path, threshold, &Token::root())?,
    };
    save(&arguments.output, &made.bytes)
}
