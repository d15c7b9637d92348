//! What lies in a file, as samples of a live source: for who goes back further than a ring reaches.

use super::intake::{Intake, Raw, Taken};
use super::{Sample, Track, TrackKind};
use crate::base::{Error, Result, Timestamp, Token};
use crate::media::source::open_probed;
use std::path::Path;

/// Samples of one file that are held at most, in bytes: five seconds at 100 Mbit/s.
const MOST_BYTES: usize = 64 << 20;

/// The tracks and samples of a whole file, in its order; the picture shown first is shown at `start`.
///
/// # Errors
/// [`crate::base::Kind::Damaged`] where its tracks change on the way, it tells no times, or it holds more than is held.
pub fn samples_of(path: &Path, start: Timestamp, token: &Token) -> Result<(Vec<Track>, Vec<Sample>)> {
    let mut source = open_probed(path, token)?;
    let mut intake = Intake::new(&source, true)?;
    source.select(&intake.streams());
    let (mut raws, mut held) = (Vec::new(), 0);
    while let Some(packet) = source.read()? {
        let raw = match intake.take(&packet) {
            Taken::Nothing => continue,
            Taken::Sample(raw) | Taken::Changed(raw) => raw,
        };
        held += raw.data.len();
        if held > MOST_BYTES {
            return Err(Error::damaged("a file holds more than 64 MiB of samples"));
        }
        raws.push(raw);
    }
    let tracks = intake.tracks();
    let times: Vec<(i64, i64)> = raws.iter().filter_map(|it| Some((it.dts.or(it.pts)?, it.pts?))).collect();
    if times.len() < raws.len() || !intake.knows_video() {
        return Err(Error::damaged("a file does not tell the times of its samples"));
    }
    let base = |raw: &Raw| tracks[raw.track].time_base;
    let video = |raw: &Raw| tracks[raw.track].kind == TrackKind::Video;
    let pictures = raws.iter().zip(&times).filter(|it| video(it.0));
    let first = pictures.map(|(raw, (_, pts))| base(raw).micros(*pts)).min();
    let first = first.ok_or_else(|| Error::damaged("a file holds no pictures"))?;
    let mut samples: Vec<Sample> = Vec::with_capacity(raws.len());
    let mut last = vec![None; tracks.len()];
    for (raw, (dts, pts)) in raws.iter().zip(times) {
        let before: Option<usize> = last[raw.track].replace(samples.len());
        if let Some(before) = before.and_then(|it| samples.get_mut(it)) {
            before.duration = u32::try_from(dts - before.dts).unwrap_or(0).max(1);
        }
        let length = before.and_then(|it| samples.get(it)).map_or(1, |it| it.duration);
        let duration = u32::try_from(raw.duration).ok().filter(|it| *it > 0).unwrap_or(length);
        let time = start + (base(raw).micros(pts) - first);
        let (track, key, data) = (raw.track, raw.key, raw.data.clone());
        samples.push(Sample { track, dts, pts: pts.max(dts), duration, key, time, data });
    }
    Ok((tracks, samples))
}
