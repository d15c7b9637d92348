//! What lies further back than a ring reaches, out of the archive a stream is recorded to: whole segments up to one that ends
//! with a keyframe the ring has, laid onto the ring's own times.

use crate::archive::{Archive, Item};
use crate::base::time::{SECOND, TimeBase};
use crate::base::{Result, Span, Timestamp, Token};
use crate::live::archive::Target;
use crate::live::{Entry, Epoch};
use crate::media::live::{Sample, Track, samples_of};
use std::sync::Arc;

/// A segment's name is told in microseconds of the same clock, so the keyframe behind it is this close to its end.
const NEAR: i64 = 1_000;
/// Times of MPEG-TS count to 33 bits, on this clock.
const WRAP: i64 = 1 << 33;
/// Where the times inside a segment and its name differ by more, its name is believed.
const APART: i64 = SECOND / 50;

/// Samples before a keyframe of the ring.
pub struct Before {
    /// In order; they end where the keyframe begins.
    pub samples: Vec<Arc<Sample>>,
    /// The keyframe's number, and when it is shown.
    pub next: u64,
    pub time: Timestamp,
}

/// Segments from `from` on up to a keyframe of `keys`, the ring's in rising order, all of one epoch. `None` where the archive
/// does not reach the ring without a hole, or has other tracks.
pub fn before(
    archive: &Archive,
    target: &Target,
    from: Timestamp,
    keys: &[Entry],
    token: &Token,
) -> Result<Option<Before>> {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Ok(None) };
    let span = Span::new(from, last.sample.time);
    if span.is_empty() {
        return Ok(None);
    }
    let selection = archive.select(&target.channel, &target.quality, span)?;
    // The first segment that ends at a keyframe of the ring, and those before it without a hole.
    let mut run = Vec::new();
    let mut joint = None;
    for item in &selection.items {
        let Item::Segment(segment) = item else {
            run.clear();
            continue;
        };
        run.push(segment.clone());
        let near = |it: &&Entry| (it.sample.time - segment.end()).abs() <= NEAR;
        joint = keys.iter().filter(|it| it.epoch.number == first.epoch.number).find(near);
        if joint.is_some() {
            break;
        }
    }
    let Some(joint) = joint else { return Ok(None) };
    let mut samples = Vec::new();
    for segment in run {
        token.check()?;
        let (tracks, found) = samples_of(&archive.path_of(&segment), segment.start(), token)?;
        let Some(of) = matched(&joint.epoch, &tracks) else { return Ok(None) };
        samples.extend(found.into_iter().filter_map(|it| {
            let track = (*of.get(it.track)?)?;
            Some(Arc::new(laid(it, track, tracks[it_track(&of, track)].time_base, joint)))
        }));
    }
    // From the keyframe before, as out of a ring.
    let video = joint.epoch.video();
    let is_key = |it: &Arc<Sample>| Some(it.track) == video && it.key;
    if let Some(begin) = samples.iter().rposition(|it| is_key(it) && it.time <= from) {
        let first = samples[begin].time;
        let later = samples.split_off(begin);
        samples.retain(|it| Some(it.track) != video && it.time >= first);
        samples.extend(later);
    }
    Ok(Some(Before { samples, next: joint.number, time: joint.sample.time }))
}

/// Where a track of the ring lies in the file.
fn it_track(of: &[Option<usize>], track: usize) -> usize {
    of.iter().position(|it| *it == Some(track)).unwrap_or(0)
}

/// The ring's track for each of a file's; `None` where its pictures are others.
fn matched(epoch: &Epoch, tracks: &[Track]) -> Option<Vec<Option<usize>>> {
    let find = |track: &Track| {
        epoch
            .tracks
            .iter()
            .position(|it| it.kind == track.kind && it.codec == track.codec && it.entry == track.entry)
    };
    let of: Vec<Option<usize>> = tracks.iter().map(find).collect();
    of.contains(&epoch.video()).then_some(of)
}

/// A sample of the archive at its time in the ring.
fn laid(sample: Sample, track: usize, base: TimeBase, joint: &Entry) -> Sample {
    let of = |track: usize| joint.epoch.tracks[track].time_base;
    let (own, key) = (of(track), &joint.sample);
    let at = of(key.track).rescale(key.pts, TimeBase::MPEG);
    let told = sample.time - key.time;
    // The way from the keyframe, the shorter way round.
    let way = (base.rescale(sample.pts, TimeBase::MPEG) - at + WRAP / 2).rem_euclid(WRAP) - WRAP / 2;
    let way = if (TimeBase::MPEG.micros(way) - told).abs() <= APART {
        way
    } else {
        TimeBase::MICROS.rescale(told, TimeBase::MPEG)
    };
    let pts = TimeBase::MPEG.rescale(at + way, own);
    let dts = pts - base.rescale(sample.pts - sample.dts, own);
    let duration = u32::try_from(base.rescale(sample.duration.into(), own)).unwrap_or(1).max(1);
    Sample { track, dts, pts, duration, ..sample }
}
