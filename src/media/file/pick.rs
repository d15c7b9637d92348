//! Ranges as people write them, and what they mean in a file. Pure.

use super::Coding;
use super::scan::FileIndex;
use crate::base::time::{ROUNDING_MICROS, SECOND};
use crate::base::{Error, Result, Span, Timestamp};
use crate::media::index::UnitClass;

/// A stretch of a file, in microseconds from its first picture; `None` is the file's start or end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub start: Option<i64>,
    pub end: Option<i64>,
}

/// Years of seconds are no time in a file.
const MOST_SECONDS: i64 = 1 << 32;

impl Range {
    /// Reads `START,END`, each `12.5`, `2:03.4` or `1:02:03.4`, or empty.
    ///
    /// # Errors
    /// `invalid-range` when it is written in another way, or ends before it starts.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            let detail = "range must be START,END in seconds from the first picture, such as 12.5,20 or \
                          1:02:03.4,1:02:10; an empty START or END means the file's";
            Error::invalid("invalid-range", "range", detail)
        };
        let (start, end) = text.split_once(',').ok_or_else(wrong)?;
        let time = |text: &str| match text.trim() {
            "" => Some(None),
            text => micros(text).map(Some),
        };
        let (Some(start), Some(end)) = (time(start), time(end)) else { return Err(wrong()) };
        if end.is_some_and(|end| end <= start.unwrap_or(0)) {
            return Err(Error::invalid("invalid-range", "range", "range must end after it starts"));
        }
        Ok(Self { start, end })
    }
}

/// Reads a place in a file, in microseconds from its first picture: `12.5`, `2:03.4` or `1:02:03.4`.
///
/// # Errors
/// `invalid-timestamp` when it is written in another way.
pub fn position(parameter: &str, text: &str) -> Result<i64> {
    micros(text.trim()).ok_or_else(|| {
        let detail = format!("{parameter} must be seconds from the first picture, such as 12.5 or 1:02:03.4");
        Error::invalid("invalid-timestamp", parameter, detail)
    })
}

/// Seconds with at most six digits of fraction, minutes and hours before colons.
fn micros(text: &str) -> Option<i64> {
    let digits = |text: &str| -> Option<i64> {
        let plain = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten().filter(|it| *it < MOST_SECONDS)
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let parts: Vec<i64> = whole.split(':').map(digits).collect::<Option<_>>()?;
    let seconds = match *parts {
        [seconds] => seconds,
        [minutes, seconds] if seconds < 60 => minutes * 60 + seconds,
        [hours, minutes, seconds] if minutes < 60 && seconds < 60 => (hours * 60 + minutes) * 60 + seconds,
        _ => return None,
    };
    digits(fraction)?;
    let places = fraction.len();
    let fraction = fraction.get(..6.min(places))?;
    let scale = 10i64.pow(6 - fraction.len() as u32);
    Some(seconds * SECOND + digits(fraction)? * scale)
}

/// The ranges on the file's own time, which begins with its first picture.
pub(super) fn spans(index: &FileIndex, ranges: &[Range], coding: Coding) -> Result<Vec<Span>> {
    let (last, end) = (index.wall(index.last), index.wall(index.end));
    ranges
        .iter()
        .map(|range| {
            let at = |micros: Option<i64>, else_: Timestamp| micros.map_or(else_, Timestamp::from_micros);
            let start = at(range.start, Timestamp::from_micros(0));
            if start.micros() >= last.micros() + ROUNDING_MICROS {
                let seconds = end.micros() as f64 / SECOND as f64;
                let detail =
                    format!("range starts behind the file's last picture; the file has {seconds:.3} s");
                return Err(Error::invalid("invalid-range", "range", detail));
            }
            let span = Span::new(start, at(range.end, end).min(end));
            Ok(match coding {
                Coding::Smart => span,
                Coding::Copy => outward(index, span, end),
            })
        })
        .collect()
}

/// From the last closed keyframe at or before the span's start to the next one at or after its end.
fn outward(index: &FileIndex, span: Span, end: Timestamp) -> Span {
    let units = (0..index.segments.len()).flat_map(|segment| index.units(segment));
    let closed = units.filter(|it| it.class == UnitClass::Idr && !it.second_field);
    let (mut from, mut until, mut earliest) = (None, end, None);
    for wall in closed.map(|it| index.wall(it.pts)) {
        earliest = earliest.or(Some(wall));
        if wall.micros() < span.start.micros() + ROUNDING_MICROS {
            from = Some(wall);
        }
        if wall.micros() > span.end.micros() - ROUNDING_MICROS {
            until = until.min(wall);
        }
    }
    let start = from.or(earliest).unwrap_or(span.start);
    Span::new(start.max(Timestamp::from_micros(0)), until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_people_write_them() {
        for (text, start, end) in [
            ("12.5,20", Some(12_500_000), Some(20_000_000)),
            ("1:02:03.4,", Some(3_723_400_000), None),
            (",2:03", None, Some(123_000_000)),
            (",", None, None),
            (" 0 , 0.000001 ", Some(0), Some(1)),
            ("90,120.1234567", Some(90_000_000), Some(120_123_456)),
        ] {
            assert_eq!(Range::parse(text).unwrap(), Range { start, end }, "{text}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "1",
            "1;2",
            "a,b",
            "-1,2",
            "1,1",
            "2,1",
            ",0",
            "1:60,2:00",
            "1:2:3:4,",
            "1.,2",
            "1e3,",
            "1:60:00,",
            "99999999999999999999,",
            "1,2,3",
            "١,٢",
        ] {
            let error = Range::parse(text).unwrap_err();
            assert_eq!((error.code, error.parameter.as_deref()), ("invalid-range", Some("range")), "{text}");
        }
    }
}
