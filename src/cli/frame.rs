//! `moviola frame`.

use super::{output::save, wait};
use crate::app;
use crate::base::{Channel, Error, Quality, Result, Timestamp};
use crate::config::Config;
use crate::render::frame::Format;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Arguments {
    channel: String,
    quality: String,
    /// The instant, UTC, ISO 8601.
    #[arg(long)]
    timestamp: String,
    /// The file to write: NAME.png or NAME.jpg, or - for a PNG on standard output.
    #[arg(long, short)]
    output: PathBuf,
}

pub fn run(config: Config, arguments: Arguments) -> Result<()> {
    let format = match arguments.output.extension().and_then(|it| it.to_str()) {
        None | Some("png") => Format::Png,
        Some("jpg" | "jpeg") => Format::Jpeg,
        Some(_) => return Err(Error::invalid("output", "output", "the output must end in .png or .jpg")),
    };
    let (channel, quality) = (Channel::new(&arguments.channel)?, Quality::new(&arguments.quality)?);
    let at = Timestamp::parse("timestamp", &arguments.timestamp)?;
    let render = app::build(config)?;
    let made = wait(async {
        let source = render.frame_source(channel, quality, at).await?;
        render.frame(source, format).await
    })?;
    save(&arguments.output, &made.bytes)
}
