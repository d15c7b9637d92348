//! What a request for a cut asks for: strings become types here.

use crate::base::{Error, Kind, Result};
use crate::http::extract::{Path, Query};
use crate::media::cut::transition;
use crate::media::cut::{Container, Holes, Transition};
use crate::render::cut::Coding;
use crate::render::{Ends, MAX_RANGES, Wanted, parse_range};
use actix_web::HttpRequest;
use actix_web::http::header;

/// How a cut is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// Whole segments, byte for byte.
    Rough,
    /// Exactly the frames asked for; all but the edges taken over as they are.
    Smart,
    /// From keyframe to keyframe, nothing encoded.
    Copy,
    /// Exactly the frames asked for, encoded anew.
    Full,
}

pub(super) struct Asked {
    pub wanted: Wanted,
    pub kind: Type,
    pub coding: Coding,
    /// What the cut would hold instead of the cut.
    pub receipt: bool,
}

impl Asked {
    pub fn of(request: &HttpRequest) -> Result<Self> {
        let path = Path::of(request);
        let (extension, wrapped) = container(request.path());
        let (channel, quality) = (path.channel(1)?, path.quality_without(2, extension)?);
        let query = Query::of(request);
        let ranges = ranges(&query)?;
        let holes = holes(&query)?;
        let ((kind, container), coding) = (kind(&query, wrapped)?, coding(&query)?);
        if matches!(kind, Type::Rough | Type::Copy) && matches!(holes, Holes::Freeze | Holes::Black) {
            let detail = "a cut of this type encodes nothing: holes takes refuse and skip";
            return Err(Error::new(Kind::Unsupported, "unsupported-holes", detail).with_parameter("holes"));
        }
        // Rough cuts are source footage for later editing: a transition has nothing to say there.
        let transitions = if kind == Type::Rough {
            vec![None; ranges.len() - 1]
        } else {
            transitions(&query, ranges.len())?
        };
        if kind == Type::Copy && transitions.iter().any(Option::is_some) {
            let detail = "a cut of type=copy encodes nothing, so that it has no transitions; use smart";
            return Err(
                Error::new(Kind::Unsupported, "unsupported-transition", detail).with_parameter("transition")
            );
        }
        let receipt = query.boolean("receipt")? || wants_json(request);
        let wanted = Wanted { channel, quality, ranges, transitions, holes, container };
        Ok(Self { wanted, kind, coding, receipt })
    }
}

/// What an address's extension wraps a cut in.
fn container(path: &str) -> (&'static str, Container) {
    let known =
        [(".mp4", Container::Mp4), (".mkv", Container::Matroska), (".webm", Container::WebM)].into_iter();
    known.into_iter().find(|(it, _)| path.ends_with(it)).unwrap_or((".ts", Container::TransportStream))
}

fn wants_json(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|list| list.split(',').any(|it| it.trim().starts_with("application/json")))
}

/// The ranges: each `range`, else `start` and `end`; then the rules on ends and transitions, in this order.
fn ranges(query: &Query) -> Result<Vec<Ends>> {
    let mut ranges = Vec::new();
    for text in query.all("range") {
        ranges.push(parse_range(text?)?);
        if ranges.len() > MAX_RANGES {
            let detail = format!("a cut takes at most {MAX_RANGES} ranges");
            return Err(Error::invalid("too-many-ranges", "range", detail));
        }
    }
    if ranges.is_empty() {
        ranges.push((query.timestamp("start")?, query.timestamp("end")?));
    }
    let empty = |(start, end): &Ends| start.zip(*end).is_some_and(|(start, end)| end <= start);
    if let Some(at) = ranges.iter().position(empty) {
        let detail = match ranges.len() {
            1 => "Ends must be after starts".into(),
            _ => format!("Ends must be after starts: range {} is empty", at + 1),
        };
        let parameter = if query.all("range").next().is_some() { "range" } else { "end" };
        return Err(Error::invalid("empty-range", parameter, detail));
    }
    let joins = ranges.len() - 1;
    if query.all("transition").count() > joins {
        let detail = format!("Too many transitions: one for each join of two ranges, here {joins}");
        return Err(Error::invalid("too-many-transitions", "transition", detail));
    }
    Ok(ranges)
}

/// One entry between each range and the next. Those not given, and empty ones, are hard cuts.
fn transitions(query: &Query, ranges: usize) -> Result<Vec<Option<Transition>>> {
    let mut transitions = Vec::new();
    for text in query.all("transition") {
        transitions.push(transition::parse(text?)?);
    }
    transitions.resize(ranges - 1, None);
    Ok(transitions)
}

/// `holes`, or else `allow_holes`, which is older.
fn holes(query: &Query) -> Result<Holes> {
    let allowed = query.boolean("allow_holes")?;
    match query.text("holes")? {
        None if allowed => Ok(Holes::Skip),
        None | Some("refuse") => Ok(Holes::Refuse),
        Some("skip") => Ok(Holes::Skip),
        Some("freeze") => Ok(Holes::Freeze),
        Some("black") => Ok(Holes::Black),
        Some(_) => {
            let detail = "holes must be one of: refuse, skip, freeze, black";
            Err(Error::invalid("invalid-holes", "holes", detail))
        }
    }
}

/// How the cut is made, and what it is wrapped in: what the extension says, but for the older `type=mp4` and
/// `type=webm` at the address of a `.ts`.
fn kind(query: &Query, wrapped: Container) -> Result<(Type, Container)> {
    let unsupported = |detail: String| {
        Err(Error::new(Kind::Unsupported, "unsupported-type", detail).with_parameter("type"))
    };
    let transport = wrapped == Container::TransportStream;
    match query.text("type")? {
        // WebM takes neither H.264 nor HEVC.
        None | Some("smart" | "fast") if wrapped != Container::WebM => Ok((Type::Smart, wrapped)),
        None | Some("smart" | "fast" | "mpegts" | "full") => Ok((Type::Full, wrapped)),
        Some("mp4") => Ok((Type::Full, if transport { Container::Mp4 } else { wrapped })),
        Some("webm") => Ok((Type::Full, if transport { Container::WebM } else { wrapped })),
        Some("rough") if transport => Ok((Type::Rough, wrapped)),
        Some("copy") if wrapped != Container::WebM => Ok((Type::Copy, wrapped)),
        Some("rough") => unsupported("a rough cut is MPEG-TS, as its segments are; ask for .ts".into()),
        Some("copy") => unsupported(
            "a copied cut holds H.264 or HEVC, which WebM does not take; ask for .ts, .mp4 or .mkv".into(),
        ),
        Some(other) => {
            // What a client made up is quoted, but not at length.
            let other: String = other.chars().take(40).collect();
            unsupported(format!(
                "Unknown type '{other}'; use smart (or fast), copy, rough, mpegts (or full), mp4 or webm"
            ))
        }
    }
}

fn coding(query: &Query) -> Result<Coding> {
    match query.text("quality")? {
        None | Some("default") => Ok(Coding::Default),
        Some("lossless") => Ok(Coding::Lossless),
        Some(_) => {
            Err(Error::invalid("invalid-quality", "quality", "quality must be one of: default, lossless"))
        }
    }
}
