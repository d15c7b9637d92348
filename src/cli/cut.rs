//! `moviola cut`.

use super::output::{Output, spinner};
use super::{cut_file, wait};
use crate::app;
use crate::base::{Channel, Error, Kind, Quality, Result, Timestamp};
use crate::config::Config;
use crate::media::Sink;
use crate::media::cut::{Container, Holes, Transition, transition};
use crate::render::bytes::ByteSource;
use crate::render::cut::Coding;
use crate::render::smart;
use crate::render::{Ends, MAX_RANGES, Wanted, parse_range};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Args)]
pub struct Arguments {
    /// A channel of the archive, or without a quality, a file of media.
    #[arg(value_name = "CHANNEL|FILE")]
    channel: String,
    quality: Option<String>,
    /// UTC, ISO 8601; default: where the first segment starts.
    #[arg(long)]
    start: Option<String>,
    /// UTC, ISO 8601; default: where the last segment ends.
    #[arg(long)]
    end: Option<String>,
    /// START,END instead of --start and --end; either may be left out. May be given again: the ranges follow each other.
    /// Of a file in seconds from its first picture, 12.5 or 1:02:03.4.
    #[arg(long = "range", value_name = "START,END", conflicts_with_all = ["start", "end"])]
    ranges: Vec<String>,
    /// NAME,SECONDS between a range and the next, empty for a hard cut; once for each.
    #[arg(long = "transition", value_name = "NAME,SECONDS")]
    transitions: Vec<String>,
    /// What becomes of what is missing.
    #[arg(long, value_enum, default_value_t = Missing::Refuse, conflicts_with = "allow_holes")]
    holes: Missing,
    /// How the cut is made.
    #[arg(long = "type", value_enum, default_value_t = Type::Smart)]
    kind: Type,
    /// Cut what there is instead of failing at a hole: --holes skip.
    #[arg(long)]
    allow_holes: bool,
    /// Encode without any loss (High 4:4:4 Predictive, several times the source's size).
    #[arg(long)]
    lossless: bool,
    /// What the cut is wrapped in; default: what the output's name ends in, MPEG-TS for standard output, where MP4 is
    /// fragmented.
    #[arg(long, value_enum)]
    container: Option<Wrapping>,
    /// The file to write, or - for standard output.
    #[arg(long, short)]
    output: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Type {
    /// Exactly the frames asked for; all but the edges taken over as they are.
    Smart,
    /// Exactly the frames asked for, encoded anew.
    #[value(alias = "mpegts")]
    Full,
    /// The same, as MP4 where the output's name does not say another container.
    Mp4,
    /// The same, as WebM where the output's name does not say another container.
    Webm,
    /// From the keyframe before the span to the one behind it; nothing is encoded.
    Copy,
    /// The segments that cover the span, byte for byte.
    Rough,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wrapping {
    Ts,
    Mp4,
    Mkv,
    Webm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Missing {
    Refuse,
    Skip,
    Freeze,
    Black,
}

/// Bytes of a rough cut read at once.
const CHUNK: u64 = 1 << 20;

pub fn run(config: Config, mut arguments: Arguments) -> Result<()> {
    let twin = match arguments.kind {
        Type::Mp4 => Some(Wrapping::Mp4),
        Type::Webm => Some(Wrapping::Webm),
        _ => None,
    };
    if let Some(twin) = twin {
        arguments.kind = Type::Full;
        let named = arguments.output.extension().is_some_and(|it| !it.eq_ignore_ascii_case("ts"));
        arguments.container = arguments.container.or((!named).then_some(twin));
    }
    let Some(quality) = &arguments.quality else { return run_file(&config, &arguments) };
    let time = |name: &str, text: &Option<String>| {
        text.as_deref().map(|text| Timestamp::parse(name, text)).transpose()
    };
    let mut ranges = arguments.ranges.iter().map(|it| parse_range(it)).collect::<Result<Vec<Ends>>>()?;
    if ranges.is_empty() {
        ranges.push((time("start", &arguments.start)?, time("end", &arguments.end)?));
    }
    if ranges.len() > MAX_RANGES {
        return Err(Error::invalid(
            "too-many-ranges",
            "range",
            format!("a cut takes at most {MAX_RANGES} ranges"),
        ));
    }
    let wanted = Wanted {
        channel: Channel::new(&arguments.channel)?,
        quality: Quality::new(quality)?,
        transitions: transitions(&arguments.transitions, ranges.len())?,
        ranges,
        holes: match arguments.holes {
            Missing::Refuse if !arguments.allow_holes => Holes::Refuse,
            Missing::Refuse | Missing::Skip => Holes::Skip,
            Missing::Freeze => Holes::Freeze,
            Missing::Black => Holes::Black,
        },
        container: container(&arguments)?,
    };
    let render = app::build(config)?;
    let bar = spinner();
    let mut output = Output::create(&arguments.output, bar.clone())?;
    let transport = wanted.container == Container::TransportStream;
    let cut: Option<Arc<dyn ByteSource>> = match arguments.kind {
        Type::Rough if !transport => {
            let detail = "a rough cut is MPEG-TS, as its segments are; name the output .ts";
            return Err(Error::new(Kind::Unsupported, "unsupported-type", detail));
        }
        Type::Rough => Some(wait(render.rough_cut(wanted.clone()))?),
        Type::Copy if wanted.container == Container::WebM => {
            let detail = "a copied cut holds H.264 or HEVC, which WebM does not take; name the output .ts, .mp4 or .mkv";
            return Err(Error::new(Kind::Unsupported, "unsupported-type", detail));
        }
        Type::Copy => Some(wait(render.smart_cut(wanted.clone(), smart::Reach::Keyframes))?.cut),
        Type::Smart if wanted.container != Container::WebM => {
            match wait(render.smart_cut(wanted.clone(), smart::Reach::Exact)) {
                // What cannot be copied is encoded, as over HTTP.
                Err(error) if error.code == "unsupported-source" => None,
                prepared => Some(prepared?.cut),
            }
        }
        _ => None,
    };
    if let Some(cut) = cut {
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

/// Of a file there is neither a wall clock nor a hole.
fn run_file(config: &Config, arguments: &Arguments) -> Result<()> {
    if arguments.start.is_some() || arguments.end.is_some() {
        let detail = "start and end are times of an archive; a file is cut by range, in seconds";
        return Err(Error::invalid("invalid-range", "range", detail));
    }
    let ranges = cut_file::ranges(&arguments.ranges)?;
    let transitions = transitions(&arguments.transitions, ranges.len())?;
    let mixed = transitions.iter().any(Option::is_some);
    let (source, output) = (Path::new(&arguments.channel), (container(arguments)?, &*arguments.output));
    match arguments.kind {
        Type::Smart if !mixed => cut_file::run(config, source, ranges, cut_file::Coding::Smart, output),
        Type::Copy if mixed => {
            let detail = "a cut of type copy encodes nothing, so that it has no transitions; use smart";
            Err(Error::new(Kind::Unsupported, "unsupported-transition", detail).with_parameter("transition"))
        }
        Type::Copy => cut_file::run(config, source, ranges, cut_file::Coding::Copy, output),
        Type::Rough => {
            let detail = "type must be smart, copy or full for a file";
            Err(Error::invalid("invalid-type", "type", detail))
        }
        // Of a file, transitions are made where everything is encoded.
        Type::Smart | Type::Full | Type::Mp4 | Type::Webm => {
            let coding = if arguments.lossless { Coding::Lossless } else { Coding::Default };
            cut_file::run_full(config, source, (ranges, transitions), coding, output)
        }
    }
}

fn transitions(texts: &[String], ranges: usize) -> Result<Vec<Option<Transition>>> {
    let mut all = texts.iter().map(|it| transition::parse(it)).collect::<Result<Vec<_>>>()?;
    if all.len() >= ranges && !all.is_empty() {
        return Err(Error::invalid("too-many-transitions", "transition", "Too many transitions"));
    }
    all.resize(ranges - 1, None);
    Ok(all)
}

/// What is asked for, or else the output's name says.
fn container(arguments: &Arguments) -> Result<Container> {
    let (asked, output) = (arguments.container, &*arguments.output);
    let extension = output.extension().and_then(|it| it.to_str()).map(str::to_ascii_lowercase);
    let wrapping = match (asked, extension.as_deref()) {
        (Some(asked), _) => asked,
        (None, Some("ts")) => Wrapping::Ts,
        (None, Some("mp4")) => Wrapping::Mp4,
        (None, Some("mkv")) => Wrapping::Mkv,
        (None, Some("webm")) => Wrapping::Webm,
        (None, None) if output == Path::new("-") => Wrapping::Ts,
        // A device, or a name without an ending: the archive's own container.
        (None, _) if arguments.quality.is_some() => Wrapping::Ts,
        (None, _) => {
            let detail = "the output must end in .mp4, .mkv, .webm or .ts, or --container say what it is";
            return Err(Error::invalid("output", "output", detail));
        }
    };
    Ok(match wrapping {
        Wrapping::Ts => Container::TransportStream,
        Wrapping::Mp4 => Container::Mp4,
        Wrapping::Mkv => Container::Matroska,
        Wrapping::Webm => Container::WebM,
    })
}
