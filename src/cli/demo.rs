//! `moviola demo`.

use crate::archive::{Archive, Limits};
use crate::base::metrics::Metrics;
use crate::base::{Error, Result, StreamId, Token};
use crate::live::{self, Address, Settings, Source, Streams};
use crate::render::demo;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Minutes of stream to make, half of them before a full hour.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,
    /// The archive's directory; it is made when it is missing.
    dir: PathBuf,
}

/// Sets up a stream that follows the demo's file over and over.
fn live(archive: &Path) -> Result<()> {
    let source = Source::Pull(Address::parse(&format!("file:{}", demo::LIVE_FILE))?);
    let parts = live::Parts {
        directory: archive.join(live::FOLDER),
        guard: live::Guard::new("file", "", archive.join(demo::LIVE_FOLDER)).map_err(Error::internal)?,
        ..live::Parts::default()
    };
    let streams = Streams::open(parts)?;
    let kept = streams.set(&StreamId::new(demo::CHANNEL)?, Settings::new(source));
    streams.shutdown(std::time::Duration::from_secs(1));
    kept.map(drop)
}

pub fn run(arguments: &Arguments) -> Result<()> {
    std::fs::create_dir_all(&arguments.dir)
        .map_err(|fault| Error::io("the demo's directory could not be made", &fault))?;
    let archive = Archive::open(&arguments.dir, Limits::default(), Metrics::new())?;
    let bar = ProgressBar::new(0);
    if let Ok(style) =
        ProgressStyle::with_template("making the demo {bar:40} {pos}/{len} segments, {eta} left")
    {
        bar.set_style(style);
    }
    demo::make(&archive, arguments.minutes, &Token::root(), &|done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    live(&arguments.dir)?;
    eprintln!(
        "made {} minutes of channel {} in {}",
        arguments.minutes,
        demo::CHANNEL,
        arguments.dir.display()
    );
    Ok(())
}
