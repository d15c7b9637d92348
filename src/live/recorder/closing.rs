//! Finishes a file of fragments: what of it is whole is indexed, and its head is told how long it is. The same for one whose
//! recording ended and one that a killed process left; doing it twice does no harm.

use crate::base::{Error, Result};
use crate::media::mp4::closing::{
    HEADER_BYTES, HeadTrack, fits, gathered, header, runs_of, tell_length, tracks,
};
use crate::media::mp4::{IndexEntry, free, mfra, sidx, sidx_bytes};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Entries of the index that room is left for: of a longer file each stands for several fragments.
const ENTRIES: usize = 1000;
/// Bytes of the room behind the head.
pub const ROOM: usize = sidx_bytes(ENTRIES) + 8;
/// A head or the head of a fragment is not longer, whatever it says.
const LONGEST_HEAD: u64 = 16 << 20;

/// What a file is, now that it is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    pub millis: u64,
    pub bytes: u64,
}

fn broken(fault: std::io::Error) -> Error {
    Error::io("the recording cannot be finished", &fault)
}

fn bytes_at(file: &File, at: u64, length: u64) -> Result<Vec<u8>> {
    if length > LONGEST_HEAD {
        return Err(Error::damaged("a head of the recording is too long"));
    }
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, at).map_err(broken)?;
    Ok(bytes)
}

/// A box of the file: its name, where it is and how long.
struct Placed {
    kind: [u8; 4],
    at: u64,
    bytes: u64,
}

/// The box at `at`, if all of it is there.
fn box_at(file: &File, at: u64, end: u64) -> Option<Placed> {
    let mut head = [0; HEADER_BYTES];
    let length = (end.checked_sub(at)?).min(HEADER_BYTES as u64) as usize;
    file.read_exact_at(&mut head[..length], at).ok()?;
    let (kind, _, bytes) = header(&head[..length])?;
    at.checked_add(bytes).filter(|it| *it <= end)?;
    Some(Placed { kind, at, bytes })
}

/// Indexes a file, and cuts off what is not whole.
///
/// # Errors
/// `no-media` where nothing whole is in it; what the disk says.
pub fn close(file: &File) -> Result<Closed> {
    let none = || Error::damaged("there is nothing whole in the recording");
    let length = file.metadata().map_err(broken)?.len();
    let kind = box_at(file, 0, length).filter(|it| it.kind == *b"ftyp").ok_or_else(none)?;
    let head = box_at(file, kind.bytes, length).filter(|it| it.kind == *b"moov").ok_or_else(none)?;
    let mut moov = bytes_at(file, head.at, head.bytes)?;
    let tracks = tracks(&moov);
    let video = *tracks.iter().find(|it| it.is_video).ok_or_else(none)?;
    let room = head.at + head.bytes;
    let found = fragments(file, room + ROOM as u64, length, &tracks, video)?;
    if found.entries.is_empty() {
        return Err(none());
    }
    let end = found.end;
    file.set_len(end).map_err(broken)?;
    // Without room for it the file is as good without.
    let tail = mfra(&[(video.number, found.entries.clone())]);
    let tail = match file.write_all_at(&tail, end) {
        Ok(()) => tail.len() as u64,
        Err(fault) => {
            tracing::warn!("a recording is finished without its last index: {fault}");
            file.set_len(end).map_err(broken)?;
            0
        }
    };
    // What refers to the fragments comes after them on the disk.
    file.sync_data().map_err(broken)?;
    let entries = gathered(&found.entries, ENTRIES);
    let rest = ROOM - sidx_bytes(entries.len());
    let mut index = sidx(video.number, video.timescale, rest as u64, &entries);
    index.extend(free(rest as u32));
    file.write_all_at(&index, room).map_err(broken)?;
    tell_length(&mut moov, found.millis);
    file.write_all_at(&moov, head.at).map_err(broken)?;
    file.sync_all().map_err(broken)?;
    Ok(Closed { millis: found.millis, bytes: end + tail })
}

struct Fragments {
    /// Each from a keyframe to before the next.
    entries: Vec<IndexEntry>,
    /// Where the last whole one ends.
    end: u64,
    millis: u64,
}

fn fragments(
    file: &File,
    from: u64,
    length: u64,
    tracks: &[HeadTrack],
    video: HeadTrack,
) -> Result<Fragments> {
    let mut found = Fragments { entries: Vec::new(), end: from, millis: 0 };
    while let Some(head) = box_at(file, found.end, length).filter(|it| it.kind == *b"moof") {
        let data = box_at(file, head.at + head.bytes, length).filter(|it| it.kind == *b"mdat");
        let (Some(data), Some(runs)) = (data, runs_of(&bytes_at(file, head.at, head.bytes)?)) else { break };
        let bytes = u32::try_from(head.bytes + data.bytes).unwrap_or(u32::MAX);
        let run = runs.iter().find(|it| it.number == video.number);
        let lasts = run.map_or(0, |it| u32::try_from(it.length).unwrap_or(u32::MAX));
        match (found.entries.last_mut(), run) {
            (last, Some(run)) if run.key || last.as_ref().is_none_or(|it| !fits(it.bytes, bytes)) => {
                // On the time that is presented, which begins where the head says.
                let (time, offset) = (run.shown.saturating_sub(video.from), head.at);
                found.entries.push(IndexEntry { time, length: lasts, offset, bytes });
            }
            (Some(last), _) => {
                last.bytes = last.bytes.saturating_add(bytes);
                last.length = last.length.saturating_add(lasts);
            }
            // Nothing to be seen begins a file.
            _ => break,
        }
        for run in &runs {
            let track = tracks.iter().find(|it| it.number == run.number && it.timescale > 0);
            let Some(track) = track else { continue };
            let shown = u128::from(run.end.saturating_sub(track.from)) * 1000;
            let millis = shown.div_ceil(u128::from(track.timescale)) as u64;
            found.millis = found.millis.max(millis);
        }
        found.end = data.at + data.bytes;
    }
    Ok(found)
}
