//! `moviola waveform`.

use super::source::{Of, Source};
use super::{output::save, wait};
use crate::app;
use crate::base::{Error, Result, Token};
use crate::config::Config;
use crate::render::bytes::Made;
use crate::render::waveform::of_file;
use crate::render::waveform::wish::{DEFAULT_SIZE, Extension, MAX_SIDE, Origin, Wish};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// WIDTHxHEIGHT of a picture, in pixels.
    #[arg(long, default_value = "1024x64", value_parser = size)]
    size: (u32, u32),
    /// Pixels of a picture, instead of the size's; of numbers, pixels at most.
    #[arg(long)]
    width: Option<String>,
    /// Pixels of a picture, instead of the size's.
    #[arg(long)]
    height: Option<String>,
    /// What is drawn: mean, peak or rms.
    #[arg(long)]
    style: Option<String>,
    /// How a level becomes a height: sqrt, lin, log or cbrt.
    #[arg(long)]
    scale: Option<String>,
    /// RGB, RGBA, RRGGBB or RRGGBBAA in hexadecimal.
    #[arg(long)]
    color: Option<String>,
    /// As the colour, or transparent.
    #[arg(long)]
    background: Option<String>,
    /// overlay (pictures alone), mix or split.
    #[arg(long)]
    channels: Option<String>,
    /// With the time below the picture.
    #[arg(long)]
    axis: bool,
    /// How much sound a pixel of numbers stands for; of an archive a multiple of 256.
    #[arg(long)]
    samples_per_pixel: Option<String>,
    /// 8 or 16 bits for each number of .dat and .json.
    #[arg(long)]
    bits: Option<String>,
    /// Of .json: audiowaveform or wavesurfer.
    #[arg(long)]
    format: Option<String>,
    /// The file to write: NAME.png, .svg, .dat, .json or .f32, or - for a PNG on standard output.
    #[arg(long, short)]
    output: PathBuf,
}

fn size(text: &str) -> Result<(u32, u32)> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=MAX_SIDE).contains(side));
    text.split_once('x').and_then(|(width, height)| Some((side(width)?, side(height)?))).ok_or_else(|| {
        let detail = format!(
            "size must be WIDTHxHEIGHT, each from 1 to {MAX_SIDE}, such as {}x{}",
            DEFAULT_SIZE.0, DEFAULT_SIZE.1
        );
        Error::invalid("invalid-size", "size", detail)
    })
}

impl Arguments {
    fn extension(&self) -> Result<Extension> {
        let Some(ending) = self.output.extension() else { return Ok(Extension::Png) };
        let found = Extension::ALL.iter().find(|(name, _)| ending == *name);
        found.map(|it| it.1).ok_or_else(|| {
            let names: Vec<String> = Extension::ALL.iter().map(|it| format!(".{}", it.0)).collect();
            Error::invalid("output", "output", format!("the output must end in {}", names.join(", ")))
        })
    }

    fn get(&self, key: &str) -> Option<&str> {
        let value = match key {
            "width" => &self.width,
            "height" => &self.height,
            "style" => &self.style,
            "scale" => &self.scale,
            "color" => &self.color,
            "background" => &self.background,
            "channels" => &self.channels,
            "samples_per_pixel" => &self.samples_per_pixel,
            "bits" => &self.bits,
            "format" => &self.format,
            "axis" => return self.axis.then_some("true"),
            _ => return None,
        };
        value.as_deref()
    }
}

/// What is told of the sound of a span or a file.
pub(super) fn made(config: Config, source: &Source, wish: Wish) -> Result<Made> {
    match source.read()? {
        Of::Archive(channel, quality, span) => {
            let render = app::build(config)?;
            wait(async {
                let source = render.waveform_source(channel, quality, span, wish).await?;
                render.waveform(source).await
            })
        }
        Of::File(path) => of_file(path, wish, config.waveform.max_points, &Token::root()),
    }
}

pub fn run(config: Config, arguments: &Arguments) -> Result<()> {
    let origin = if arguments.source.is_archive() { Origin::Archive } else { Origin::File };
    let wish = Wish::read(arguments.extension()?, origin, arguments.size, |key| Ok(arguments.get(key)))?;
    let made = made(config, &arguments.source, wish)?;
    save(&arguments.output, &made.bytes)
}
