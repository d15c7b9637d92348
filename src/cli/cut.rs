//! `moviola cut`.

use super::{output::Output, wait};
use crate::app;
use crate::base::{Channel, Quality, Result, Timestamp};
use crate::config::Config;
use crate::media::Sink;
use crate::media::cut::{Container, Holes};
use crate::render::Wanted;
use crate::render::bytes::ByteSource;
use crate::render::cut::Coding;
use crate::render::smart::Ends;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, Args)]
pub struct Arguments {
    channel: String,
    quality: String,
    /// UTC, ISO 8601; default: where the first segment starts.
    #[arg(long)]
    start: Option<String>,
    /// UTC, ISO 8601; default: where the last segment ends.
    #[arg(long)]
    end: Option<String>,
    /// How the cut is made.
    #[arg(long = "type", value_enum, default_value_t = Type::Smart)]
    kind: Type,
    /// Cut what there is instead of failing at a hole.
    #[arg(long)]
    allow_holes: bool,
    /// Encode without any loss (High 4:4:4 Predictive, several times the source's size).
    #[arg(long)]
    lossless: bool,
    /// The file to write, or - for standard output.
    #[arg(long, short)]
    output: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Type {
    /// Exactly the frames asked for; all but the edges taken over as they are.
    Smart,
    /// Exactly the frames asked for, encoded anew.
    Mpegts,
    /// From the keyframe before the span to the one behind it; nothing is encoded.
    Copy,
    /// The segments that cover the span, byte for byte.
    Rough,
}

/// Bytes of a rough cut read at once.
const CHUNK: u64 = 1 << 20;

pub fn run(config: Config, arguments: Arguments) -> Result<()> {
    let time = |name: &str, text: &Option<String>| {
        text.as_deref().map(|text| Timestamp::parse(name, text)).transpose()
    };
    let wanted = Wanted {
        channel: Channel::new(&arguments.channel)?,
        quality: Quality::new(&arguments.quality)?,
        ranges: vec![(time("start", &arguments.start)?, time("end", &arguments.end)?)],
        transitions: Vec::new(),
        holes: if arguments.allow_holes { Holes::Skip } else { Holes::Refuse },
        container: Container::TransportStream,
    };
    let render = app::build(config)?;
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} cut {bytes}, {bytes_per_sec}, {elapsed}") {
        bar.set_style(style);
    }
    let mut output = Output::create(&arguments.output, bar.clone())?;
    if arguments.kind != Type::Mpegts {
        let cut: Arc<dyn ByteSource> = match arguments.kind {
            Type::Rough => wait(render.rough_cut(wanted))?,
            Type::Copy => wait(render.smart_cut(wanted, Ends::Keyframes))?.cut,
            _ => wait(render.smart_cut(wanted, Ends::Exact))?.cut,
        };
        let mut offset = 0;
        while offset < cut.length() {
            let length = CHUNK.min(cut.length() - offset);
            output.write(cut.read_at(offset, length as usize)?)?;
            offset += length;
        }
        bar.finish_and_clear();
        return output.finish();
    }
    let selection = wait(render.full_cut_selection(wanted))?;
    let coding = if arguments.lossless { Coding::Lossless } else { Coding::Default };
    let (summary, output) = render.full_cut_into(selection, coding, output)?;
    output.finish()?;
    bar.finish_and_clear();
    eprintln!("{} frames, {} decoded", summary.frames, summary.decoded);
    Ok(())
}
