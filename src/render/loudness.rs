//! How loud a span is, by EBU R128: measured once of each segment, and reckoned from what is kept.

use super::bytes::Made;
use super::peaks::Sounds;
use super::{Parts, Render, select, within};
use crate::archive::{Item, Key, Product, Segment, Selection};
use crate::base::time::{SECOND, TimeBase};
use crate::base::{Channel, Error, Kind, Quality, Result, Span, Timestamp, Token};
use crate::media::cut::Holes;
use crate::media::loudness::{self, Measured, Meter, STEP_MILLIS};
use crate::media::pcm;
use crate::render::spread::lane_for;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;

/// What is kept; another layout, or another way to measure, gets another number.
const PRODUCT: Product<'static> = Product::new("loudness", 1);

/// Segments a task measures, one after the other.
const AT_ONCE: usize = 24;

const STEP: i64 = STEP_MILLIS as i64 * 1000;
/// Energies between two values of the short-term curve.
const CURVE: usize = 10;

#[derive(Serialize)]
struct Answer {
    start: Timestamp,
    end: Timestamp,
    /// LUFS; null where nothing is loud enough to count.
    integrated: Option<f64>,
    /// LU.
    range: Option<f64>,
    /// dBTP.
    true_peak: Option<f64>,
    /// Seconds between two values of the curve; the first is at the start.
    step: f64,
    /// LUFS of the three seconds before; null where there is no sound.
    short_term: Vec<Option<f64>>,
    holes: Vec<Hole>,
}

#[derive(Serialize)]
pub(super) struct Hole {
    start: Timestamp,
    end: Timestamp,
}

/// What a span lacks.
pub(super) fn holes(selection: &Selection) -> Vec<Hole> {
    let whole = selection.holes().into_iter().filter(|it| !it.is_empty());
    whole.map(|it| Hole { start: it.start, end: it.end }).collect()
}

/// To a hundredth: more is noise.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

impl Render {
    /// Integrated loudness, range, true peak and the short-term curve of a span, as JSON.
    pub async fn loudness(&self, channel: Channel, quality: Quality, span: Span) -> Result<Made> {
        if span.is_empty() {
            return Err(Error::invalid("empty-range", "end", "End must be after start"));
        }
        within(span, self.config.waveform.max_span, "Range")?;
        let selection =
            self.ask(move |archive, _| select(archive, &channel, &quality, span, Holes::Skip)).await?;
        let segments: Arc<[Segment]> = selection.segments().cloned().collect();
        let token = self.stop.child_with_deadline(self.config.waveform.deadline.0);
        let (render, shared) = (self.clone(), Arc::clone(&segments));
        let work = move |number: usize, token: &Token| {
            let mut sounds = Sounds::new(&render, &shared);
            let part = number * AT_ONCE..((number + 1) * AT_ONCE).min(shared.len());
            part.map(|at| render.measured(&mut sounds, &shared, at, token)).collect::<Result<Vec<_>>>()
        };
        let count = segments.len().div_ceil(AT_ONCE);
        let measured =
            self.spread(lane_for(span.micros()), count, &token, work).await?.into_iter().flatten().collect();
        let (stretches, peak) = stretches(&selection, measured);
        Ok(Made::new(answer(span, &stretches, peak, holes(&selection))?))
    }
}

impl Parts {
    /// What is kept of a segment, measured now where nothing is; `None` without sound.
    fn measured(
        &self,
        sounds: &mut Sounds<'_>,
        segments: &[Segment],
        at: usize,
        token: &Token,
    ) -> Result<Option<Measured>> {
        token.check()?;
        let segment = &segments[at];
        let key = Key::of(&self.archive, segment, PRODUCT);
        let kept = key.and_then(|key| {
            self.sidecars.get_or_make(&key, token, || {
                let mut meter = Meter::default();
                let mut first = None;
                let decoded = sounds.decode(at, token, &mut |position, format, channels| {
                    let wall = TimeBase::new(1, format.rate as i32).micros(position);
                    first.get_or_insert(wall - segment.start().micros());
                    meter.add(format, channels)
                });
                match decoded {
                    // Part of a damaged segment is better than none.
                    Err(error) if matches!(error.kind, Kind::Damaged | Kind::Unsupported) => {}
                    outcome => outcome?,
                }
                Ok(meter.finish(first.unwrap_or(0))?.encode())
            })
        });
        match kept {
            // Gone since it was listed: a hole.
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(bytes) => {
                let measured = Measured::decode(&bytes);
                let measured =
                    measured.ok_or_else(|| Error::internal("what was just measured cannot be read"))?;
                Ok(Some(measured).filter(|it| !it.energies.is_empty()))
            }
        }
    }
}

/// A stretch without a hole: when its first energy begins, and all of them.
struct Stretch {
    start: Timestamp,
    energies: Vec<f32>,
}

/// The energies of a span, hole by hole.
fn stretches(selection: &Selection, measured: Vec<Option<Measured>>) -> (Vec<Stretch>, f32) {
    let (mut all, mut peak, mut joined): (Vec<Stretch>, f32, bool) = (Vec::new(), 0.0, false);
    let mut measured = measured.into_iter();
    for item in &selection.items {
        let Item::Segment(segment) = item else {
            joined = false;
            continue;
        };
        let Some(own) = measured.next().flatten() else {
            joined = false;
            continue;
        };
        let start = segment.start() + own.start;
        // Energies that begin in the span, to the nearest.
        let place = |at: Timestamp| {
            (at - start + STEP / 2).div_euclid(STEP).clamp(0, own.energies.len() as i64) as usize
        };
        let (from, to) = (place(selection.span.start), place(selection.span.end));
        if from >= to {
            continue;
        }
        peak = peak.max(own.peak);
        let kept = &own.energies[from..to];
        match all.last_mut().filter(|_| joined) {
            Some(stretch) => stretch.energies.extend_from_slice(kept),
            None => all.push(Stretch { start: start + from as i64 * STEP, energies: kept.to_vec() }),
        }
        joined = true;
    }
    (all, peak)
}

/// Loudness of a file of any container that libav reads, with times as if it began with the year 1970.
///
/// # Errors
/// [`Kind::Damaged`] where there is no sound.
pub fn of_file(path: &Path, token: &Token) -> Result<Made> {
    let mut meter = Meter::default();
    let mut end = 0;
    pcm::file(path, token, &mut |position, format, channels| {
        let samples = position + channels.first().map_or(0, Vec::len) as i64;
        end = TimeBase::new(1, format.rate as i32).micros(samples);
        meter.add(format, channels)
    })?;
    let measured = meter.finish(0)?;
    let start = Timestamp::from_micros(0);
    let stretches: Vec<Stretch> = match measured.energies.is_empty() {
        true => Vec::new(),
        false => vec![Stretch { start, energies: measured.energies }],
    };
    Ok(Made::new(answer(Span::new(start, start + end), &stretches, measured.peak, Vec::new())?))
}

fn answer(span: Span, stretches: &[Stretch], peak: f32, holes: Vec<Hole>) -> Result<Vec<u8>> {
    if stretches.is_empty() {
        return Err(Error::damaged("there is no sound in the requested time range"));
    }
    let runs: Vec<&[f32]> = stretches.iter().map(|it| &it.energies[..]).collect();
    let seconds = (span.micros() + SECOND - 1) / SECOND;
    let curve = (0..seconds).map(|second| {
        let at = span.start + second * SECOND;
        let stretch =
            stretches.partition_point(|it| it.start <= at).checked_sub(1).map(|it| &stretches[it])?;
        let number = (at - stretch.start) / (CURVE as i64 * STEP) * CURVE as i64;
        loudness::short_term(&stretch.energies, usize::try_from(number).ok()?)
    });
    let answer = Answer {
        start: span.start,
        end: span.end,
        integrated: loudness::integrated(&runs).map(rounded),
        range: loudness::range(&runs).map(rounded),
        true_peak: (peak > 0.0).then(|| rounded(20.0 * f64::from(peak).log10())),
        step: 1.0,
        short_term: curve.map(|it| it.map(rounded)).collect(),
        holes,
    };
    serde_json::to_vec(&answer).map_err(|it| Error::internal("an answer cannot be written").with_cause(it))
}
