//! What a request for a cut asks for: strings become types here.

use crate::base::{Error, Kind, Result, Timestamp};
use crate::http::extract::{Path, Query};
use crate::media::cut::{Container, Holes, Transition, transition};
use crate::render::cut::Coding;
use crate::render::{Ends, MAX_RANGES, Wanted};
use actix_web::HttpRequest;
use actix_web::http::header;

/// The longest transition, in seconds.
const MAX_TRANSITION: f64 = 60.0;

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
        let (channel, quality) = (path.channel(1)?, path.quality_without(2, ".ts")?);
        let query = Query::of(request);
        let ranges = ranges(&query)?;
        let (kind, coding) = (kind(&query)?, coding(&query)?);
        let holes = holes(&query, kind)?;
        // Rough cuts are source footage for later editing: a transition has nothing to say there.
        let transitions = if kind == Type::Rough {
            vec![None; ranges.len() - 1]
        } else {
            transitions(&query, ranges.len())?
        };
        if kind != Type::Smart && transitions.iter().any(Option::is_some) {
            let detail = "a cut of this type has no transitions; use smart";
            return Err(
                Error::new(Kind::Unsupported, "unsupported-transition", detail).with_parameter("transition")
            );
        }
        let receipt = query.boolean("receipt")? || wants_json(request);
        let wanted =
            Wanted { channel, quality, ranges, transitions, holes, container: Container::TransportStream };
        Ok(Self { wanted, kind, coding, receipt })
    }
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
    if ranges.iter().any(|(start, end)| start.zip(*end).is_some_and(|(start, end)| end <= start)) {
        return Err(Error::invalid("empty-range", "end", "Ends must be after starts"));
    }
    if query.all("transition").count() >= ranges.len() {
        return Err(Error::invalid("too-many-transitions", "transition", "Too many transitions"));
    }
    Ok(ranges)
}

/// `START,END`; the editor leaves either out for "to the end of what there is".
fn parse_range(text: &str) -> Result<Ends> {
    let parts: Vec<&str> = text.split(',').collect();
    let [start, end] = parts[..] else {
        return Err(Error::invalid(
            "invalid-range",
            "range",
            "range must be START,END: two times and one comma",
        ));
    };
    let read = |text: &str| match text {
        "" => Ok(None),
        text => Timestamp::parse("range", text).map(Some),
    };
    Ok((read(start)?, read(end)?))
}

/// One entry between each range and the next. Those not given, and empty ones, are hard cuts.
fn transitions(query: &Query, ranges: usize) -> Result<Vec<Option<Transition>>> {
    let mut transitions = Vec::new();
    for text in query.all("transition") {
        match text? {
            "" => transitions.push(None),
            text => transitions.push(Some(transition(text)?)),
        }
    }
    transitions.resize(ranges - 1, None);
    Ok(transitions)
}

/// `TYPE,SECONDS`.
fn transition(text: &str) -> Result<Transition> {
    let invalid = |detail: &str| Error::invalid("invalid-transition", "transition", detail);
    let Some((name, seconds)) = text.split_once(',') else {
        return Err(invalid("transition must be TYPE,SECONDS, or empty for a hard cut"));
    };
    if transition::transitions().iter().all(|it| it.name != name) {
        return Err(Error::invalid(
            "unknown-transition",
            "transition",
            "there is no such transition; /transitions lists them",
        ));
    }
    let seconds = seconds.parse::<f64>().ok().filter(|it| *it > 0.0 && *it <= MAX_TRANSITION);
    let seconds = seconds.ok_or_else(|| {
        invalid(&format!("a transition lasts more than 0 and at most {MAX_TRANSITION} seconds"))
    })?;
    Ok(Transition { name: name.to_owned(), micros: (seconds * 1e6).round() as i64 })
}

/// `holes`, or else `allow_holes`, which is older.
fn holes(query: &Query, kind: Type) -> Result<Holes> {
    let allowed = query.boolean("allow_holes")?;
    match query.text("holes")? {
        None if allowed => Ok(Holes::Skip),
        None | Some("refuse") => Ok(Holes::Refuse),
        Some("skip") => Ok(Holes::Skip),
        Some("freeze" | "black") if kind != Type::Smart => {
            let detail = "this type takes refuse and skip for holes: what fills a hole is encoded; use smart";
            Err(Error::new(Kind::Unsupported, "unsupported-holes", detail).with_parameter("holes"))
        }
        Some("freeze") => Ok(Holes::Freeze),
        Some("black") => Ok(Holes::Black),
        Some(_) => {
            let detail = "holes must be one of: refuse, skip, freeze, black";
            Err(Error::invalid("invalid-holes", "holes", detail))
        }
    }
}

fn kind(query: &Query) -> Result<Type> {
    let unsupported = |detail: String| {
        Err(Error::new(Kind::Unsupported, "unsupported-type", detail).with_parameter("type"))
    };
    match query.text("type")? {
        None | Some("smart" | "fast") => Ok(Type::Smart),
        Some("mpegts") => Ok(Type::Full),
        Some("rough") => Ok(Type::Rough),
        Some("copy") => Ok(Type::Copy),
        Some("mp4") => unsupported(
            "mp4 type has been disabled due to the load it causes; use smart, rough or mpegts".into(),
        ),
        Some("webm") => unsupported("type webm is not supported yet; use smart, rough or mpegts".into()),
        Some(other) => {
            // What a client made up is quoted, but not at length.
            let other: String = other.chars().take(40).collect();
            unsupported(format!("Unknown type '{other}'; use smart, rough or mpegts"))
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
