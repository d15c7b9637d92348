//! Silences as JSON.

use super::wish::Quiet;
use crate::base::time::{SECOND, TimeBase};
use crate::base::{Error, Result, Span, Timestamp};
use crate::media::peaks::Silence;
use serde::Serialize;
use std::ops::Range;

#[derive(Serialize)]
struct Stretch {
    start: Timestamp,
    end: Timestamp,
    /// Seconds.
    duration: f64,
}

#[derive(Serialize)]
struct Answer {
    start: Timestamp,
    end: Timestamp,
    /// In dB of full scale.
    threshold: f64,
    /// In seconds.
    minimum: f64,
    silences: Vec<Stretch>,
    /// Where there is no sound at all: nobody knows whether it was silent.
    missing: Vec<Stretch>,
}

pub(super) fn write(span: Span, silence: &Silence, quiet: Quiet) -> Result<Vec<u8>> {
    let base = TimeBase::new(1, silence.rate as i32);
    let stretch = |samples: &Range<i64>| {
        let at = |sample: i64| Timestamp::from_micros(base.micros(sample)).clamp(span.start, span.end);
        let (start, end) = (at(samples.start), at(samples.end));
        Stretch { start, end, duration: (end - start) as f64 / SECOND as f64 }
    };
    let minimum = i128::from(quiet.minimum) * i128::from(silence.rate) / i128::from(SECOND);
    let found = silence.stretches(minimum as i64);
    let answer = Answer {
        start: span.start,
        end: span.end,
        threshold: quiet.threshold,
        minimum: quiet.minimum as f64 / SECOND as f64,
        silences: found.silent.iter().map(stretch).collect(),
        missing: found.missing.iter().map(stretch).collect(),
    };
    serde_json::to_vec(&answer).map_err(|it| Error::internal("an answer cannot be written").with_cause(it))
}
