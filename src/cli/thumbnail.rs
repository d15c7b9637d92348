//! `moviola thumbnail`.

use super::{output::save, wait};
use crate::app;
use crate::base::{Channel, Error, Quality, Result, Timestamp, Token};
use crate::config::Config;
use crate::render::frame::wish::{Format, Wish};
use crate::render::thumbnail::{Edges, Placement, of_file, template_of_file};
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
    /// The template: a PNG or JPEG. NAME.json beside it may say crop and location.
    #[arg(long, value_name = "FILE")]
    template: PathBuf,
    /// LEFT,TOP,RIGHT,BOTTOM of the frame's part, in its pixels.
    #[arg(long, allow_hyphen_values = true)]
    crop: Option<String>,
    /// LEFT,TOP,RIGHT,BOTTOM in the template that part is scaled to.
    #[arg(long, allow_hyphen_values = true)]
    location: Option<String>,
    /// 1 to 100, of JPEG and WebP.
    #[arg(long = "quality", value_name = "1-100")]
    picture_quality: Option<String>,
    /// The file to write: NAME.png, .jpg or .webp, or - for a PNG on standard output.
    #[arg(long, short)]
    output: PathBuf,
}

pub fn run(config: Config, arguments: &Arguments) -> Result<()> {
    let format = match arguments.output.extension().and_then(|it| it.to_str()) {
        None => Format::Png,
        Some(ending) => Format::named(&ending.to_ascii_lowercase()).ok_or_else(|| {
            Error::invalid("output", "output", "the output must end in .png, .jpg or .webp")
        })?,
    };
    let edges =
        |key: &str, text: &Option<String>| text.as_deref().map(|it| Edges::parse(key, it)).transpose();
    let template = template_of_file(&arguments.template, config.thumbnail.upload.0)?;
    let (crop, location) = (edges("crop", &arguments.crop)?, edges("location", &arguments.location)?);
    let placement = Placement::new(crop, location, &template.notes)?;
    let wish = |at: Timestamp| {
        Wish::read(at, |key| Ok(arguments.picture_quality.as_deref().filter(|_| key == "quality")))
    };
    let made = match &arguments.quality {
        Some(quality) => {
            let (channel, quality) = (Channel::new(&arguments.channel)?, Quality::new(quality)?);
            let wish = wish(Timestamp::parse("timestamp", &arguments.timestamp)?)?;
            let written = format.with(wish.quality, &config.frame);
            let render = app::build(config)?;
            wait(async {
                let source = render.frame_source(channel, quality, wish, format).await?;
                render.thumbnail(source, template, placement, written).await
            })?
        }
        None => {
            let at = crate::media::file::position("timestamp", &arguments.timestamp)?;
            let wish = wish(Timestamp::from_micros(at))?;
            let written = format.with(wish.quality, &config.frame);
            let path = Path::new(&arguments.channel);
            of_file(path, wish.at, &template, placement, written, &Token::root())?
        }
    };
    save(&arguments.output, &made.bytes)
}
