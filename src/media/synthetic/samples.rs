//! A made-up stream as the samples a live source brings.

use super::{Recipe, file, segments};
use crate::base::{Error, Result, Token};
use crate::media::ffi::{Demuxer, Input};
use crate::media::live::intake::{Intake, Raw, Taken};
use crate::media::live::{Sample, Track};
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io::{Cursor, Seek as _};

/// Encoders of what MPEG-TS carries.
const IN_TRANSPORT: [&str; 3] = ["libx264", "libx265", "mpeg2video"];

/// What the recipe says, as tracks and their samples in the order they were sent; without sound where `sound` is false.
pub fn samples(what: &Recipe, sound: bool, token: &Token) -> Result<(Vec<Track>, Vec<Sample>)> {
    let input = if IN_TRANSPORT.contains(&&*what.coder.name) {
        let mut bytes = Vec::new();
        segments(what, token, |segment| {
            bytes.extend(segment.bytes);
            Ok(())
        })?;
        Input { reader: Box::new(Cursor::new(bytes)), format: Some("mpegts"), probe: true }
    } else {
        let fault = |error: std::io::Error| Error::io("no memory for a file", &error);
        let memory = memfd_create("samples", MemfdFlags::CLOEXEC).map_err(|it| fault(it.into()))?;
        let mut memory = File::from(memory);
        file(what, "matroska", &[], memory.try_clone().map_err(fault)?, token)?;
        memory.rewind().map_err(fault)?;
        Input { reader: Box::new(memory), format: Some("matroska"), probe: true }
    };
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
