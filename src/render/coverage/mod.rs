//! What the archive has of a span and what it lacks: stretches of one kind, and how long they are in all.

mod picture;

pub use picture::PictureWish;

use super::bytes::Made;
use super::playlist::content_span;
use super::words::seconds;
use super::{Render, within};
use crate::archive::{Archive, SegmentKind, TOLERANCE};
use crate::base::time::{HOUR, SECOND};
use crate::base::{Channel, Error, Hour, Kind, Quality, Result, Span, Timestamp, Token};
use crate::config::Length;
use serde::Serialize;
use std::collections::HashSet;
use std::time::Duration;

/// The longest span: a month of hours, each a look at a folder.
const MAX_SPAN: Length = Length(Duration::from_secs(31 * 24 * 3600));
/// Stretches, or cells, in one answer: 2 MB of JSON.
const MAX_SPANS: usize = 20_000;

/// What a stretch is, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Cover {
    Full,
    Suspect,
    Partial,
    Hole,
}

impl From<SegmentKind> for Cover {
    fn from(kind: SegmentKind) -> Self {
        match kind {
            SegmentKind::Full => Self::Full,
            SegmentKind::Suspect => Self::Suspect,
            SegmentKind::Partial | SegmentKind::Temp => Self::Partial,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Stretch {
    #[serde(flatten)]
    span: Span,
    kind: Cover,
}

/// Seconds of each kind.
#[derive(Serialize)]
struct Totals {
    full: f64,
    suspect: f64,
    partial: f64,
    hole: f64,
}

#[derive(Serialize)]
struct Answer<'a> {
    channel: &'a str,
    quality: &'a str,
    start: Timestamp,
    end: Timestamp,
    /// Where the first segment of the quality starts.
    first: Timestamp,
    /// Where the last one ends: the live edge, while one is recorded.
    last: Timestamp,
    resolution: Option<f64>,
    segments: usize,
    totals: Totals,
    spans: Vec<Stretch>,
}

/// What is asked for; ends left open are those of the content.
#[derive(Debug, Clone, Copy)]
pub struct CoverageWish {
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    /// Microseconds of a cell.
    resolution: Option<i64>,
}

impl CoverageWish {
    /// # Errors
    /// `invalid-number`.
    pub fn new(start: Option<Timestamp>, end: Option<Timestamp>, resolution: Option<&str>) -> Result<Self> {
        let resolution = seconds("resolution", resolution, SECOND / 10, 24 * HOUR)?;
        Ok(Self { start, end, resolution })
    }
}

/// All of a span, in order.
struct Covered {
    span: Span,
    /// That of the whole quality.
    content: Span,
    stretches: Vec<Stretch>,
    segments: usize,
}

impl Covered {
    fn read(
        archive: &Archive,
        channel: &Channel,
        quality: &Quality,
        wish: &CoverageWish,
        token: &Token,
    ) -> Result<Self> {
        let content = content_span(archive, channel, quality, (None, None))?;
        let span = Span::new(wish.start.unwrap_or(content.start), wish.end.unwrap_or(content.end));
        if span.is_empty() {
            return Err(Error::invalid("empty-range", "end", "End must be after start"));
        }
        within(span, MAX_SPAN, "Range")?;
        let there: HashSet<Hour> = archive.hours(channel, quality)?.into_iter().collect();
        let (mut stretches, mut segments) = (Vec::new(), 0);
        let mut hour = span.start.hour();
        while hour.start() < span.end {
            token.check()?;
            let part = Span::new(hour.start().max(span.start), hour.end().min(span.end));
            // The last segment of the hour before may reach into this one.
            if there.contains(&hour) || there.contains(&hour.previous()) {
                let selection = archive.select(channel, quality, part)?;
                let chosen = selection.segments().map(|it| (it.span(), it.kind().into()));
                segments += cover(part, chosen, &mut stretches);
            } else {
                push(&mut stretches, part, Cover::Hole);
            }
            hour = hour.next();
        }
        Ok(Self { span, content, stretches, segments })
    }

    fn seconds(&self, kind: Cover) -> f64 {
        let micros = self.stretches.iter().filter(|it| it.kind == kind).map(|it| it.span.micros());
        micros.sum::<i64>() as f64 / SECOND as f64
    }
}

/// Lays chosen segments over `part`; says how many start in it.
fn cover(part: Span, chosen: impl Iterator<Item = (Span, Cover)>, stretches: &mut Vec<Stretch>) -> usize {
    let (mut at, mut count) = (part.start, 0);
    for (span, kind) in chosen {
        count += usize::from(part.contains(span.start));
        if span.start - at > TOLERANCE {
            push(stretches, Span::new(at, span.start), Cover::Hole);
            at = span.start;
        }
        let end = span.end.min(part.end);
        push(stretches, Span::new(at, end), kind);
        at = at.max(end);
    }
    let kind = match stretches.last() {
        // Too short to be a hole.
        Some(last) if last.span.end == at && part.end - at <= TOLERANCE => last.kind,
        _ => Cover::Hole,
    };
    push(stretches, Span::new(at, part.end), kind);
    count
}

fn push(stretches: &mut Vec<Stretch>, span: Span, kind: Cover) {
    match stretches.last_mut() {
        _ if span.is_empty() => {}
        Some(last) if last.kind == kind && last.span.end == span.start => last.span.end = span.end,
        _ => stretches.push(Stretch { span, kind }),
    }
}

/// What each cell of `resolution` microseconds since 1970 is, cells alike put together: a hole where nothing of it is
/// there, partial where a part of it is missing, else as bad as the worst in it. What lies outside `content` is missed by
/// nobody.
fn cells(covered: &Covered, resolution: i64) -> Result<Vec<Stretch>> {
    let span = covered.span;
    let first = span.start.micros().div_euclid(resolution);
    let count = (span.end.micros() - 1).div_euclid(resolution) - first + 1;
    if count > MAX_SPANS as i64 {
        let detail = format!(
            "resolution must be at least {:.1} seconds for this span: an answer has at most {MAX_SPANS} cells",
            span.micros() as f64 / SECOND as f64 / MAX_SPANS as f64
        );
        return Err(Error::invalid("fine-resolution", "resolution", detail));
    }
    // Of each cell the worst that is there, and whether anything is missing.
    let mut seen = vec![(None::<Cover>, false); usize::try_from(count).unwrap_or(0)];
    let cell = |at: i64| usize::try_from(at.div_euclid(resolution) - first).unwrap_or(0);
    let inside =
        |part: Span| Span::new(part.start.max(covered.content.start), part.end.min(covered.content.end));
    for stretch in &covered.stretches {
        let part = if stretch.kind == Cover::Hole { inside(stretch.span) } else { stretch.span };
        if part.is_empty() {
            continue;
        }
        let cells = cell(part.start.micros())..=cell(part.end.micros() - 1);
        for (worst, missing) in seen.get_mut(cells).into_iter().flatten() {
            match stretch.kind {
                Cover::Hole => *missing = true,
                kind => *worst = Some(worst.map_or(kind, |it| it.max(kind))),
            }
        }
    }
    let mut out = Vec::new();
    for (number, (worst, missing)) in (first..).zip(seen) {
        let at = |number: i64| Timestamp::from_micros(number * resolution);
        let kind = match worst {
            None => Cover::Hole,
            Some(_) if missing => Cover::Partial,
            Some(worst) => worst,
        };
        push(&mut out, Span::new(at(number).max(span.start), at(number + 1).min(span.end)), kind);
    }
    Ok(out)
}

impl Render {
    /// The coverage of a span, as JSON.
    pub async fn coverage(&self, channel: Channel, quality: Quality, wish: CoverageWish) -> Result<Made> {
        self.ask(move |archive, token| {
            let covered = Covered::read(archive, &channel, &quality, &wish, token)?;
            let spans = match wish.resolution {
                Some(resolution) => cells(&covered, resolution)?,
                None => covered.stretches.clone(),
            };
            if spans.len() > MAX_SPANS {
                let detail = format!("the range has more than {MAX_SPANS} stretches; ask with a resolution");
                return Err(Error::new(Kind::Invalid, "too-many-spans", detail).with_parameter("resolution"));
            }
            let answer = Answer {
                channel: channel.as_str(),
                quality: quality.as_str(),
                start: covered.span.start,
                end: covered.span.end,
                first: covered.content.start,
                last: covered.content.end,
                resolution: wish.resolution.map(|it| it as f64 / SECOND as f64),
                segments: covered.segments,
                totals: Totals {
                    full: covered.seconds(Cover::Full),
                    suspect: covered.seconds(Cover::Suspect),
                    partial: covered.seconds(Cover::Partial),
                    hole: covered.seconds(Cover::Hole),
                },
                spans,
            };
            let text = serde_json::to_vec(&answer);
            Ok(Made::new(text.map_err(|it| Error::internal("an answer cannot be written").with_cause(it))?))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: i64, end: i64) -> Span {
        Span::new(Timestamp::from_micros(start), Timestamp::from_micros(end))
    }

    fn told(stretches: &[Stretch]) -> Vec<(i64, i64, Cover)> {
        stretches.iter().map(|it| (it.span.start.micros(), it.span.end.micros(), it.kind)).collect()
    }

    #[test]
    fn segments_and_what_is_between_them_fill_a_span() {
        use Cover::{Full, Hole, Partial};
        let second = SECOND;
        let mut stretches = Vec::new();
        let chosen = [
            (span(-second, second), Full),
            // Within the tolerance of the one before.
            (span(second + 5000, 3 * second), Full),
            (span(4 * second, 6 * second), Partial),
            (span(6 * second, 9 * second), Full),
        ];
        assert_eq!(cover(span(0, 8 * second), chosen.into_iter(), &mut stretches), 3);
        assert_eq!(
            told(&stretches),
            [
                (0, 3 * second, Full),
                (3 * second, 4 * second, Hole),
                (4 * second, 6 * second, Partial),
                (6 * second, 8 * second, Full)
            ]
        );
        // The next hour goes on where this one ends, and ends in a hole.
        assert_eq!(
            cover(
                span(8 * second, 10 * second),
                [(span(6 * second, 9 * second), Full)].into_iter(),
                &mut stretches
            ),
            0
        );
        assert_eq!(told(&stretches)[3..], [(6 * second, 9 * second, Full), (9 * second, 10 * second, Hole)]);
    }

    #[test]
    fn a_cell_is_a_hole_where_nothing_of_it_is_there() {
        use Cover::{Full, Hole, Partial, Suspect};
        let stretch = |start, end, kind| Stretch { span: span(start, end), kind };
        let covered = |stretches: Vec<Stretch>, content| Covered {
            span: span(5, 400),
            content,
            stretches,
            segments: 0,
        };
        let some = covered(
            vec![
                stretch(5, 20, Hole),
                stretch(20, 100, Full),
                stretch(100, 101, Hole),
                stretch(101, 170, Suspect),
                stretch(170, 210, Full),
                stretch(210, 400, Hole),
            ],
            span(20, 310),
        );
        assert_eq!(
            told(&cells(&some, 50).unwrap()),
            [(5, 100, Full), (100, 150, Partial), (150, 200, Suspect), (200, 250, Partial), (250, 400, Hole)]
        );
        let mut fine = covered(vec![stretch(0, 30_000, Full)], span(0, 30_000));
        fine.span = span(0, 30_000);
        assert_eq!(cells(&fine, 1).unwrap_err().code, "fine-resolution");
    }
}
