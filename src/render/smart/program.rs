//! The program a transport stream is told as, whatever the PIDs of its segments are: a source that was restarted may send
//! the same streams under others.

use super::draw::Opened;
use crate::base::Result;
use crate::media::cut::plan::refuse;
use crate::media::index::{AudioCodec, FrameIndex, VideoCodec};
use crate::media::ts::{Pids, ProgramFacts, Rename};

/// What a segment's streams are, beside their PIDs.
type Kinds = (Option<VideoCodec>, Vec<(AudioCodec, u8)>);

/// The program of the output's first segment.
pub(super) struct Told {
    pids: Pids,
    kinds: Kinds,
    program: ProgramFacts,
}

/// How what stands beside a segment, or is it, goes into the output.
pub(super) struct Seat {
    pub program: ProgramFacts,
    /// Of each track: pictures, then sound.
    pub pids: Vec<u16>,
    /// Of the segment itself, where it is of another program.
    pub rename: Option<Rename>,
}

fn pids(index: &FrameIndex) -> Pids {
    let video = index.video.iter().map(|track| track.pid);
    let streams = video.chain(index.audio.iter().map(|track| track.pid)).collect();
    Pids { pmt: index.pmt_pid, pcr: index.pcr_pid, streams }
}

fn kinds(index: &FrameIndex) -> Kinds {
    let sound = |it: &crate::media::index::AudioTrack| (it.codec, it.stream_type);
    (index.video.as_ref().map(|it| it.codec), index.audio.iter().map(sound).collect())
}

/// The place in the output of what belongs to the segment `source`; the first that is asked for is what all are told as.
///
/// # Errors
/// `unsupported-source` where a segment's streams are not those of the first, but for their PIDs.
pub(super) fn told(told: &mut Option<Told>, opened: &Opened<'_>, source: usize) -> Result<Seat> {
    let index = opened.index(source);
    let own = pids(index);
    let Some(told) = told else {
        let program = opened.program(source)?;
        let seat = Seat { program: program.clone(), pids: own.streams.clone(), rename: None };
        *told = Some(Told { pids: own, kinds: kinds(index), program });
        return Ok(seat);
    };
    let other = || refuse("the source changes its streams inside the cut");
    if told.kinds != kinds(index) {
        return Err(other());
    }
    let rename = match told.pids == own {
        true => None,
        false => Some(Rename::new(&own, &told.pids, &told.program).ok_or_else(other)?),
    };
    let lead_90k = opened.lead(source, told.program.lead_90k);
    let program = ProgramFacts { lead_90k, ..told.program.clone() };
    Ok(Seat { program, pids: told.pids.streams.clone(), rename })
}
