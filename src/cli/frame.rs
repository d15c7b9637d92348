//! `moviola frame`.

use super::{output::save, wait};
use crate::app;
use crate::base::{Channel, Error, Quality, Result, Timestamp, Token};
use crate::config::Config;
use crate::render::frame::of_file;
use crate::render::frame::wish::{Format, Wish};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Arguments {
    /// A channel of the archive, or, without a quality, a file of any container that libav reads.
    #[arg(value_name = "CHANNEL|FILE")]
    channel: String,
    quality: Option<String>,
    /// The instant, UTC, ISO 8601; of a file in seconds from its first picture, 12.5 or 1:02:03.4.
    #[arg(long)]
    timestamp: String,
    /// exact, keyframe or nearest; of an archive.
    #[arg(long)]
    accuracy: Option<String>,
    /// How far away a keyframe or the nearest frame may be, in seconds.
    #[arg(long)]
    tolerance: Option<String>,
    /// Pixels at most; nothing is enlarged.
    #[arg(long)]
    width: Option<String>,
    /// Pixels at most; nothing is enlarged.
    #[arg(long)]
    height: Option<String>,
    /// With both width and height: contain, cover, fill or scale-down.
    #[arg(long)]
    fit: Option<String>,
    /// X,Y,WIDTH,HEIGHT in pixels of the upright picture, taken out before it is scaled.
    #[arg(long)]
    crop: Option<String>,
    /// 1 to 100, of JPEG, WebP and AVIF.
    #[arg(long = "quality", value_name = "1-100")]
    picture_quality: Option<String>,
    /// The file to write: NAME.png, .jpg, .webp or .avif, or - for a PNG on standard output.
    #[arg(long, short)]
    output: PathBuf,
}

impl Arguments {
    fn format(&self) -> Result<Format> {
        let Some(ending) = self.output.extension() else { return Ok(Format::Png) };
        let format = ending.to_str().and_then(|it| Format::named(&it.to_ascii_lowercase()));
        format.ok_or_else(|| {
            let detail = "the output must end in .png, .jpg, .webp or .avif";
            Error::invalid("output", "output", detail)
        })
    }

    fn get(&self, key: &str) -> Option<&str> {
        let value = match key {
            "accuracy" => &self.accuracy,
            "tolerance" => &self.tolerance,
            "width" => &self.width,
            "height" => &self.height,
            "fit" => &self.fit,
            "crop" => &self.crop,
            "quality" => &self.picture_quality,
            _ => return None,
        };
        value.as_deref()
    }

    fn wish(&self, at: Timestamp) -> Result<Wish> {
        Wish::read(at, |key| Ok(self.get(key)))
    }
}

pub fn run(config: Config, arguments: &Arguments) -> Result<()> {
    let format = arguments.format()?;
    let made = match &arguments.quality {
        Some(quality) => {
            let (channel, quality) = (Channel::new(&arguments.channel)?, Quality::new(quality)?);
            let wish = arguments.wish(Timestamp::parse("timestamp", &arguments.timestamp)?)?;
            let render = app::build(config)?;
            wait(async {
                let source = render.frame_source(channel, quality, wish, format).await?;
                render.frame(source).await
            })?
        }
        None => {
            let at = crate::media::file::position("timestamp", &arguments.timestamp)?;
            let wish = arguments.wish(Timestamp::from_micros(at))?;
            of_file(Path::new(&arguments.channel), &wish, format, &config.frame, &Token::root())?
        }
    };
    save(&arguments.output, &made.bytes)
}
