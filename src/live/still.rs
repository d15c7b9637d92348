//! Pictures of what is live: the newest keyframe, or the picture on screen at a time the ring still has. What was decoded and
//! drawn last is kept for each stream, and one request decodes for all who wait.

use super::supervise::State;
use super::{Entry, Epoch, Ring, Stream};
use crate::base::metrics::Metrics;
use crate::base::time::TimeBase;
use crate::base::{Error, Kind, Result, Timestamp, Token};
use crate::media::live::Sample;
use crate::media::live::still::{Decoded, decode};
use crate::media::picture::{Look, PictureFormat};
use crate::pool::{Lane, Pool};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Drawn pictures of a stream that are kept: one in each form and size that is looked at just now.
const DRAWN: usize = 8;

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wish {
    /// None: the newest keyframe.
    pub at: Option<Timestamp>,
    pub look: Look,
    pub format: PictureFormat,
    /// 1 to 8, as EXIF counts.
    pub orientation: u8,
}

/// Which picture it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// When it is shown, by the source's clock.
    pub time: Timestamp,
    /// In ticks of 90 kHz of its epoch.
    pub pts: i64,
    pub key: bool,
    /// From the time that was asked for to the picture's, in microseconds.
    pub distance: i64,
    /// Its number in the stream.
    pub number: u64,
}

/// A picture that was found; nothing is decoded yet.
#[derive(Clone)]
pub struct Found {
    pub facts: Facts,
    epoch: Arc<Epoch>,
    /// From the keyframe to the picture, in decoding order.
    samples: Vec<Arc<Sample>>,
}

/// Finds the picture.
///
/// # Errors
/// `not-found` where the ring has none, or not of that time.
pub fn find(ring: &Ring, at: Option<Timestamp>) -> Result<Found> {
    let none = |detail: &str| Error::new(Kind::NotFound, "no-picture", detail);
    let Some(at) = at else {
        return ring.newest_look().map(alone).ok_or_else(|| none("the stream has no picture yet"));
    };
    let key = ring.keyframe_at(at).ok_or_else(|| none("the stream has no picture yet"))?;
    if key.sample.time > at {
        return Err(none("the stream's memory does not reach back that far"));
    }
    let mut before: Vec<Entry> = Vec::new();
    let (mut best, mut shown_after) = (0, false);
    for entry in ring.read(key.number, usize::MAX).entries {
        if entry.epoch.number != key.epoch.number || entry.epoch.video() != Some(entry.sample.track) {
            continue;
        }
        // A keyframe begins what no longer matters, but for pictures shown before it.
        if entry.sample.key && !before.is_empty() && entry.sample.time > at {
            shown_after = true;
            break;
        }
        if entry.sample.time <= at && before.get(best).is_none_or(|it| entry.sample.time >= it.sample.time) {
            best = before.len();
        }
        shown_after |= entry.sample.time > at;
        before.push(entry);
    }
    before.truncate(best + 1);
    let Some(last) = before.last().cloned() else { return Err(none("the stream has no picture then")) };
    let base = key.epoch.tracks[last.sample.track].time_base;
    let end = last.sample.time + base.micros(last.sample.duration.into());
    if !shown_after && at >= end {
        return Err(none("the stream has no picture of that time yet"));
    }
    let samples = before.into_iter().map(|it| it.sample).collect();
    let distance = last.sample.time - at;
    Ok(found(last.epoch, samples, last.sample, last.number, distance))
}

/// Finds the newest keyframe of a source that may have begun just now, or with `next` the first that comes from now on. Where a
/// source brings none within `limit`, or has failed, it is the last there was.
///
/// # Errors
/// `no-picture` where there is none; `no-media` where none came that was to be newer.
pub async fn find_newest(stream: &Stream, next: bool, limit: Duration) -> Result<Found> {
    let ring = &stream.ring;
    let (mut samples, mut states) = (ring.watch(), stream.watch());
    let before = ring.current_look().filter(|_| next).map(|it| it.number);
    let limit = tokio::time::sleep(limit);
    tokio::pin!(limit);
    loop {
        if let Some(key) = ring.current_look().filter(|it| Some(it.number) != before) {
            return Ok(alone(key));
        }
        let coming = match stream.state() {
            State::Stopped => !ring.is_ended(),
            State::Connecting | State::Live | State::Stalled => true,
            State::BackingOff | State::AuthFailed => false,
        };
        if !coming {
            break;
        }
        tokio::select! {
            _ = samples.changed() => {}
            _ = states.changed() => {}
            () = &mut limit => break,
        }
    }
    if next {
        let detail = "No keyframe came: the source has stopped or failed, or brought none for as long as a request may wait.";
        return Err(Error::new(Kind::Deadline, "no-media", detail));
    }
    find(ring, None)
}

/// A keyframe, which needs no other picture.
fn alone(key: Entry) -> Found {
    found(key.epoch, vec![Arc::clone(&key.sample)], key.sample, key.number, 0)
}

fn found(epoch: Arc<Epoch>, samples: Vec<Arc<Sample>>, it: Arc<Sample>, number: u64, distance: i64) -> Found {
    let base = epoch.tracks[it.track].time_base;
    let pts = base.rescale(it.pts, TimeBase::MPEG);
    Found { facts: Facts { time: it.time, pts, key: it.key, distance, number }, epoch, samples }
}

type Drawn = VecDeque<((u64, Wish), Bytes)>;

type Last = Option<(u64, Arc<Decoded>)>;

/// What is kept of a stream's pictures.
#[derive(Default)]
pub struct Stills {
    drawn: Mutex<Drawn>,
    /// The picture decoded last, by its number. Who holds it decodes.
    turn: Arc<tokio::sync::Mutex<Last>>,
}

impl std::fmt::Debug for Stills {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stills").field("drawn", &self.drawn.lock().len()).finish()
    }
}

/// What pictures are made with.
#[derive(Clone)]
pub struct Tools {
    pub pool: Pool,
    pub metrics: Metrics,
    pub stop: Token,
    /// How long one may take.
    pub deadline: Duration,
}

impl Stills {
    fn drawn(&self, key: &(u64, Wish)) -> Option<Bytes> {
        self.drawn.lock().iter().find(|it| it.0 == *key).map(|it| it.1.clone())
    }

    /// The picture, as it was made before, or decoded and drawn on the interactive lane.
    pub async fn picture(&self, found: Found, wish: Wish, tools: &Tools) -> Result<Bytes> {
        // The time asked for is in the picture that was found.
        let key = (found.facts.number, Wish { at: None, ..wish });
        if let Some(bytes) = self.drawn(&key) {
            tools.metrics.frame_reads.with_label_values(&["made"]).inc();
            return Ok(bytes);
        }
        let turn = tokio::time::timeout(tools.deadline, Arc::clone(&self.turn).lock_owned()).await;
        let late = || Error::new(Kind::Deadline, "deadline", "the picture took longer than it may");
        let mut turn = turn.map_err(|_| late())?;
        // Whoever was sooner may have made it.
        if let Some(bytes) = self.drawn(&key) {
            tools.metrics.frame_reads.with_label_values(&["made"]).inc();
            return Ok(bytes);
        }
        let metrics = tools.metrics.clone();
        let token = tools.stop.child_with_deadline(tools.deadline);
        let task = move |token: &Token| {
            let number = found.facts.number;
            let decoded = match turn.as_ref().filter(|it| it.0 == number) {
                Some((_, decoded)) => {
                    metrics.frame_reads.with_label_values(&["decoded"]).inc();
                    Arc::clone(decoded)
                }
                None => {
                    let last =
                        found.samples.last().ok_or_else(|| Error::internal("a picture of no samples"))?;
                    let track = &found.epoch.tracks[last.track];
                    let decoded = Arc::new(decode(track, &found.samples, last.pts, token)?);
                    metrics.frame_reads.with_label_values(&["cold"]).inc();
                    metrics.media_decoded.with_label_values(&["frame"]).inc_by(found.samples.len() as u64);
                    *turn = Some((number, Arc::clone(&decoded)));
                    decoded
                }
            };
            drop(turn);
            metrics.media_encoded.with_label_values(&["frame"]).inc();
            decoded.draw(wish.orientation, &wish.look, wish.format).map(Bytes::from)
        };
        let bytes = tools.pool.submit(Lane::Interactive, &token, task)?.await?;
        let mut drawn = self.drawn.lock();
        drawn.push_back((key, bytes.clone()));
        if drawn.len() > DRAWN {
            drawn.pop_front();
        }
        Ok(bytes)
    }
}
