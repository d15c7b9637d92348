//! A made-up stream as the samples a live source brings.

use super::{Recipe, whole};
use crate::base::{Result, Token};
use crate::media::ffi::{Demuxer, Input, MemoryWriter, Muxer};
use crate::media::live::intake::{Intake, Raw, Taken};
use crate::media::live::{Sample, Track};
use std::io::Cursor;

/// What the recipe says, as tracks and their samples in the order they were sent; without sound where `sound` is false.
pub fn samples(what: &Recipe, sound: bool, token: &Token) -> Result<(Vec<Track>, Vec<Sample>)> {
    // A container that any codec lies in, with its own clock.
    let memory = MemoryWriter::default();
    whole(what, Muxer::new("nut", memory.writer())?, true, &[], token)?;
    let input = Input { reader: Box::new(Cursor::new(memory.take())), format: Some("nut"), probe: true };
    let mut source = Demuxer::open(input, token)?;
    let mut intake = Intake::new(&source, sound)?;
    let mut raws: Vec<Raw> = Vec::new();
    while let Some(packet) = source.read()? {
        if let Taken::Sample(raw) | Taken::Changed(raw) = intake.take(&packet) {
            raws.push(raw);
        }
    }
    let tracks = intake.tracks();
    let shown = raws.iter().filter(|it| it.track == 0).filter_map(|it| it.pts).min().unwrap_or(0);
    let mut samples: Vec<Sample> = Vec::with_capacity(raws.len());
    let mut last: Vec<Option<usize>> = vec![None; tracks.len()];
    for raw in raws {
        let Some(dts) = raw.dts.or(raw.pts) else { continue };
        let base = tracks[raw.track].time_base;
        let pts = raw.pts.unwrap_or(dts);
        let time = what.start + (base.micros(pts) - tracks[0].time_base.micros(shown));
        let before = last[raw.track].replace(samples.len()).map(|it| &mut samples[it]);
        if let Some(before) = before {
            before.duration = u32::try_from(dts - before.dts).unwrap_or(1).max(1);
        }
        let duration = u32::try_from(raw.duration).unwrap_or(1).max(1);
        samples.push(Sample { track: raw.track, dts, pts, duration, key: raw.key, time, data: raw.data });
    }
    Ok((tracks, samples))
}
