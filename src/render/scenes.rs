//! Where scenes change in a span, from the keyframes that storyboards keep and from the frame indexes.

use super::bytes::Made;
use super::loudness::{Hole, holes, rounded};
use super::words::seconds;
use super::{Parts, Render, select, within};
use crate::archive::{Item, Segment, Selection};
use crate::base::time::TimeBase;
use crate::base::{Channel, Error, Kind, Quality, Result, Span, Timestamp, Token};
use crate::media::cut::Holes;
use crate::media::scenes::{Candidate, Glance, candidates};
use crate::media::tile::{Kept, decoded_alone};
use serde::Serialize;
use std::sync::Arc;

/// Tiles that are compared.
const TILE: (u32, u32) = (80, 45);

/// Segments a task looks at.
const AT_ONCE: usize = 32;

/// How different two keyframes of different scenes are at least, from 0 to 1, where nothing else is asked for.
const THRESHOLD: f64 = 0.1;

/// A keyframe, and what lies before the next one.
struct Look {
    at: Timestamp,
    bytes: u32,
    glance: Glance,
    /// The picture after it that may begin a scene, and when that is.
    candidate: Option<(Timestamp, Candidate)>,
}

#[derive(Serialize)]
struct Scene {
    /// When its first picture comes on screen: a keyframe, or the picture before it that holds the most that is new.
    start: Timestamp,
    /// How different the keyframes on either side are, from 0 to 1.
    score: f64,
}

#[derive(Serialize)]
struct Answer {
    start: Timestamp,
    end: Timestamp,
    threshold: f64,
    scenes: Vec<Scene>,
    holes: Vec<Hole>,
}

/// Reads the `threshold`.
///
/// # Errors
/// `invalid-number`.
pub fn threshold(text: Option<&str>) -> Result<f64> {
    // A share of one has the form of seconds.
    let micros = seconds("threshold", text, 0, 1_000_000).map_err(|_| {
        Error::invalid("invalid-number", "threshold", "threshold must be a number from 0 to 1")
    })?;
    Ok(micros.map_or(THRESHOLD, |it| it as f64 / 1e6))
}

impl Render {
    /// The scene changes of a span, as JSON.
    pub async fn scenes(
        &self,
        channel: Channel,
        quality: Quality,
        span: Span,
        threshold: f64,
    ) -> Result<Made> {
        if span.is_empty() {
            return Err(Error::invalid("empty-range", "end", "End must be after start"));
        }
        within(span, self.config.storyboard.max_span, "Range")?;
        let selection =
            self.ask(move |archive, _| select(archive, &channel, &quality, span, Holes::Skip)).await?;
        let segments: Arc<[Segment]> = selection.segments().cloned().collect();
        let token = self.stop.child_with_deadline(self.config.storyboard.deadline.0);
        let (render, shared) = (self.clone(), Arc::clone(&segments));
        let work = move |number: usize, token: &Token| {
            let part = &shared[number * AT_ONCE..((number + 1) * AT_ONCE).min(shared.len())];
            part.iter().map(|it| render.look(it, token)).collect::<Result<Vec<_>>>()
        };
        let count = segments.len().div_ceil(AT_ONCE);
        let looks = self.spread(span.micros(), count, &token, work).await?.into_iter().flatten().collect();
        let answer = Answer {
            start: span.start,
            end: span.end,
            threshold,
            scenes: scenes(&selection, looks, threshold),
            holes: holes(&selection),
        };
        let text = serde_json::to_vec(&answer);
        Ok(Made::new(text.map_err(|it| Error::internal("an answer cannot be written").with_cause(it))?))
    }
}

impl Parts {
    /// The keyframes of a segment; none where it is damaged, gone, or not ours to read.
    fn look(&self, segment: &Segment, token: &Token) -> Result<Vec<Look>> {
        token.check()?;
        let unreadable =
            |error: &Error| matches!(error.kind, Kind::Damaged | Kind::Unsupported | Kind::NotFound);
        let (tiles, index) = match (self.tiles(segment, TILE, token), self.index(segment, token)) {
            (Err(error), _) | (_, Err(error)) if unreadable(&error) => return Ok(Vec::new()),
            (tiles, index) => (tiles?, index?.index),
        };
        let Some((track, first)) = index.video.as_ref().zip(index.first_pts()) else { return Ok(Vec::new()) };
        let when = |pts: i64| TimeBase::MPEG.micros(pts - first);
        let tiles = Kept::all(&tiles).unwrap_or_default();
        let mut keys = decoded_alone(track);
        keys.sort_by_key(|it| track.units[*it].pts);
        // Those that have a tile.
        keys.retain(|it| tiles.iter().any(|tile| tile.at == when(track.units[*it].pts)));
        let between = candidates(track, &keys);
        let look = |(key, candidate): (&usize, Option<Candidate>)| {
            let unit = &track.units[*key];
            let tile = tiles.iter().find(|it| it.at == when(unit.pts))?;
            let place = |it: Candidate| (segment.start() + when(it.pts), it);
            Some(Glance::of(tile).map(|glance| Look {
                at: segment.start() + when(unit.pts),
                bytes: unit.size,
                glance,
                candidate: candidate.map(place),
            }))
        };
        keys.iter().zip(between).filter_map(look).collect()
    }
}

/// Compares each keyframe with the one before it, where no hole lies between.
fn scenes(selection: &Selection, looks: Vec<Vec<Look>>, threshold: f64) -> Vec<Scene> {
    let mut found = Vec::new();
    let mut looks = looks.into_iter();
    let mut before: Option<Look> = None;
    for item in &selection.items {
        let Item::Segment(_) = item else {
            before = None;
            continue;
        };
        for look in looks.next().unwrap_or_default() {
            if let Some(before) = &before {
                let score = before.glance.distance(&look.glance);
                let new = before.candidate.filter(|it| it.1.begins(before.bytes, look.bytes));
                let start = new.map_or(look.at, |it| it.0);
                if score >= threshold && selection.span.contains(start) {
                    found.push(Scene { start, score: rounded(score) });
                }
            }
            before = Some(look);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_shares_of_one() {
        for (text, value) in [
            (None, Some(0.1)),
            (Some("0.25"), Some(0.25)),
            (Some("1"), Some(1.0)),
            (Some("1.1"), None),
            (Some("-1"), None),
        ] {
            assert_eq!(threshold(text).ok(), value, "{text:?}");
        }
    }
}
