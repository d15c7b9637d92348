//! Where the axis of time has its marks, and what stands beside them.

use crate::base::Span;
use crate::base::time::{HOUR, MINUTE, SECOND};

/// Distances between two marks, in microseconds.
const STEPS: [i64; 26] = [
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
];

/// Columns of one letter, and those left free between two labels.
pub const LETTER: usize = 6;
const APART: usize = 12;

/// A mark of the axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// In columns from the left.
    pub x: f64,
    pub label: String,
}

fn letters(step: i64) -> usize {
    match step {
        ..SECOND => "00:00:00.000".len(),
        SECOND..MINUTE => "00:00:00".len(),
        _ => "00:00".len(),
    }
}

/// The marks of `span` over `width` columns, as close as their labels allow.
pub fn marks(span: Span, width: usize) -> Vec<Mark> {
    let micros = span.micros().max(1);
    let columns = |step: i64| step as f64 * width as f64 / micros as f64;
    let fits = |step: &&i64| columns(**step) >= (letters(**step) * LETTER + APART) as f64;
    let Some(step) = STEPS.iter().find(fits).copied() else { return Vec::new() };
    let start = span.start.micros();
    let first = start.div_euclid(step) * step + if start.rem_euclid(step) == 0 { 0 } else { step };
    (0..)
        .map(|number| first + number * step)
        .take_while(|at| *at < span.end.micros())
        .map(|at| {
            let text = crate::base::Timestamp::from_micros(at).to_string();
            let clock = text.split_once('T').map_or("", |it| it.1);
            Mark { x: columns(at - start), label: clock.get(..letters(step)).unwrap_or(clock).to_owned() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;

    #[test]
    fn marks_stand_at_round_times_and_do_not_touch() {
        let start = Timestamp::parse("start", "2024-11-09T12:50:07.5").unwrap();
        let told = |micros: i64, width: usize| {
            marks(Span::new(start, start + micros), width).into_iter().map(|it| it.label).collect::<Vec<_>>()
        };
        assert_eq!(told(60 * SECOND, 300), ["12:50:15", "12:50:30", "12:50:45", "12:51:00"]);
        assert_eq!(told(3 * HOUR, 200), ["13:00", "14:00", "15:00"]);
        assert_eq!(told(300_000, 400), ["12:50:07.500", "12:50:07.600", "12:50:07.700"]);
        assert!(told(24 * HOUR, 20).is_empty(), "no room for a single label");
        for width in [50, 333, 4096] {
            for micros in [40_000, 7 * SECOND, 11 * MINUTE, 23 * HOUR] {
                let marks = marks(Span::new(start, start + micros), width);
                for pair in marks.windows(2) {
                    assert!(pair[1].x - pair[0].x >= (pair[0].label.len() * LETTER) as f64);
                }
            }
        }
    }
}
