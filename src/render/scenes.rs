//! Where scenes change in a span, from the keyframes that storyboards keep and from the frame indexes.

use super::bytes::Made;
use super::loudness::{Hole, holes, rounded};
use super::words::seconds;
use super::{Parts, Render, select, within};
use crate::archive::{Item, Segment, Selection};
use crate::base::time::TimeBase;
use crate::base::{Channel, Error, Kind, Quality, Result, Span, Timestamp, Token};
use crate::media::cut::Holes;
use crate::media::scenes::{Candidate, Glance, candidates, standing_out};
use crate::media::tile::file::keyframes;
use crate::media::tile::{APART, Kept, decoded_alone, of_picture};
use crate::render::spread::lane_for;
use serde::Serialize;
use std::path::Path;
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
        let looks =
            self.spread(lane_for(span.micros()), count, &token, work).await?.into_iter().flatten().collect();
        let answer = Answer {
            start: span.start,
            end: span.end,
            threshold,
            scenes: scenes(&selection, looks, threshold),
            holes: holes(&selection),
        };
        write(answer)
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

/// The scene changes of a file of any container that libav reads, with times as if it began with the year 1970.
///
/// # Errors
/// [`Kind::Damaged`] where no picture can be decoded by itself.
pub fn of_file(path: &Path, threshold: f64, token: &Token) -> Result<Made> {
    let start = Timestamp::from_micros(0);
    let mut glances = Vec::new();
    let walk = keyframes(path, APART, token, &mut |frame, turn, at| {
        glances.push((at, Glance::of(&of_picture(frame, turn, at, TILE)?.kept())?));
        Ok(())
    })?;
    let times: Vec<i64> = glances.iter().map(|it| it.0).collect();
    let bytes = |at: i64| {
        let place = walk.pictures.partition_point(|it| it.0 < at);
        walk.pictures.get(place).map_or(0, |it| it.1)
    };
    let place = |it: Candidate| (start + it.pts, it);
    let looks = glances.into_iter().zip(standing_out(&walk.pictures, &times)).map(|((at, glance), new)| {
        Look { at: start + at, bytes: bytes(at), glance, candidate: new.map(place) }
    });
    let mut compare = Compare { span: Span::new(start, start + walk.end), threshold, before: None };
    let scenes = looks.filter_map(|it| compare.next(it)).collect();
    write(Answer { start, end: start + walk.end, threshold, scenes, holes: Vec::new() })
}

fn write(answer: Answer) -> Result<Made> {
    let text = serde_json::to_vec(&answer);
    Ok(Made::new(text.map_err(|it| Error::internal("an answer cannot be written").with_cause(it))?))
}

/// Compares each keyframe with the one before it.
struct Compare {
    span: Span,
    threshold: f64,
    before: Option<Look>,
}

impl Compare {
    fn next(&mut self, look: Look) -> Option<Scene> {
        let scene = self.before.as_ref().and_then(|before| {
            let score = before.glance.distance(&look.glance);
            let new = before.candidate.filter(|it| it.1.begins(before.bytes, look.bytes));
            let start = new.map_or(look.at, |it| it.0);
            (score >= self.threshold && self.span.contains(start))
                .then(|| Scene { start, score: rounded(score) })
        });
        self.before = Some(look);
        scene
    }
}

/// The scenes of a selection; nothing is compared over a hole.
fn scenes(selection: &Selection, looks: Vec<Vec<Look>>, threshold: f64) -> Vec<Scene> {
    let mut found = Vec::new();
    let mut looks = looks.into_iter();
    let mut compare = Compare { span: selection.span, threshold, before: None };
    for item in &selection.items {
        match item {
            Item::Segment(_) => {
                found.extend(looks.next().into_iter().flatten().filter_map(|it| compare.next(it)));
            }
            _ => compare.before = None,
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
