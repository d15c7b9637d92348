//! Reads a file of fragments over again, as far as it was written, and sets right what its head tells. Pure: boxes come in as
//! bytes. What is read was written here, but by a process that may have died on the way, so nothing is believed.

use super::fragments::IndexEntry;

/// A box: its name, and where its content and its end lie in the bytes it was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub kind: [u8; 4],
    pub content: usize,
    pub end: usize,
}

/// Bytes that are enough to read a box's name and length.
pub const HEADER_BYTES: usize = 16;

/// The name of a box, the bytes before its content, and its length; `None` for what is none. A length of 0 (to the end of
/// the file) is none either: nobody here writes it.
pub fn header(bytes: &[u8]) -> Option<([u8; 4], usize, u64)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (kind, rest) = rest.split_first_chunk::<4>()?;
    let (head, length) = match u32::from_be_bytes(*length) {
        1 => (16, u64::from_be_bytes(*rest.first_chunk::<8>()?)),
        length => (8, u64::from(length)),
    };
    (length >= head as u64).then_some((*kind, head, length))
}

/// The boxes in a range of `bytes`.
fn boxes(bytes: &[u8], from: usize, to: usize) -> impl Iterator<Item = Found> + '_ {
    let mut at = from;
    std::iter::from_fn(move || {
        let (kind, head, length) = header(bytes.get(at..to)?)?;
        let end = at.checked_add(usize::try_from(length).ok()?).filter(|end| *end <= to)?;
        let found = Found { kind, content: at + head, end };
        at = end;
        Some(found)
    })
}

fn child(bytes: &[u8], of: Found, kind: &[u8; 4]) -> Option<Found> {
    boxes(bytes, of.content, of.end).find(|it| it.kind == *kind)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A track as a head tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadTrack {
    pub number: u32,
    /// Units a second.
    pub timescale: u32,
    pub is_video: bool,
    /// Where its presentation begins, in its units.
    pub from: u64,
}

/// The tracks of a moov; none where it is none.
pub fn tracks(moov: &[u8]) -> Vec<HeadTrack> {
    let Some(top) = boxes(moov, 0, moov.len()).find(|it| it.kind == *b"moov") else { return Vec::new() };
    let traks = boxes(moov, top.content, top.end).filter(|it| it.kind == *b"trak");
    traks.filter_map(|trak| track(moov, trak)).collect()
}

fn track(moov: &[u8], trak: Found) -> Option<HeadTrack> {
    let head = child(moov, trak, b"tkhd")?;
    let media = child(moov, trak, b"mdia")?;
    let times = child(moov, media, b"mdhd")?;
    let handler = child(moov, media, b"hdlr")?;
    let late = |it: Found| if moov.get(it.content) == Some(&1) { 8 } else { 0 };
    let from = child(moov, trak, b"edts").and_then(|it| child(moov, it, b"elst")).and_then(|list| match moov
        .get(
        list.content,
    )? {
        1 => u64_at(moov, list.content + 16),
        _ => u32_at(moov, list.content + 12).map(u64::from),
    });
    Some(HeadTrack {
        number: u32_at(moov, head.content + 12 + late(head))?,
        timescale: u32_at(moov, times.content + 12 + late(times))?,
        is_video: moov.get(handler.content + 8..handler.content + 12)? == b"vide",
        from: from.unwrap_or(0),
    })
}

/// Writes how long a file is into its head: `shown` is in the head's own units, milliseconds. Nothing moves.
pub fn tell_length(moov: &mut [u8], shown: u64) {
    let Some(top) = boxes(moov, 0, moov.len()).find(|it| it.kind == *b"moov") else { return };
    let find = |moov: &[u8], kind: &[u8; 4]| child(moov, top, kind);
    // The room that was left for it, of the same length.
    let room = find(moov, b"mvex").and_then(|it| child(moov, it, b"free"));
    if let Some(room) = room.filter(|it| it.end - it.content == 12) {
        moov[room.content - 4..room.content].copy_from_slice(b"mehd");
        moov[room.content..room.content + 4].copy_from_slice(&[1, 0, 0, 0]);
    }
    let mut places: Vec<(Found, usize, usize)> =
        find(moov, b"mvhd").map(|it| (it, 16, 24)).into_iter().collect();
    let extends = find(moov, b"mvex").and_then(|it| child(moov, it, b"mehd"));
    places.extend(extends.map(|it| (it, 4, 4)));
    for trak in boxes(moov, top.content, top.end).filter(|it| it.kind == *b"trak") {
        places.extend(child(moov, trak, b"tkhd").map(|it| (it, 20, 28)));
        let list = child(moov, trak, b"edts").and_then(|it| child(moov, it, b"elst"));
        places.extend(list.map(|it| (it, 8, 8)));
    }
    for (it, short, long) in places {
        if moov.get(it.content) == Some(&1) {
            let at = it.content + long;
            if at + 8 <= it.end {
                moov[at..at + 8].copy_from_slice(&shown.to_be_bytes());
            }
        } else {
            let at = it.content + short;
            if at + 4 <= it.end {
                moov[at..at + 4].copy_from_slice(&u32::try_from(shown).unwrap_or(u32::MAX).to_be_bytes());
            }
        }
    }
}

/// What a fragment has of one track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackRun {
    pub number: u32,
    /// DTS of its first sample, in units of the track.
    pub time: u64,
    /// When its first sample is shown.
    pub shown: u64,
    /// Of all its samples.
    pub length: u64,
    /// Where the sample shown last ends.
    pub end: u64,
    /// Decoding can begin at its first sample.
    pub key: bool,
}

/// What a moof tells; `None` where it does not hold together.
pub fn runs_of(moof: &[u8]) -> Option<Vec<TrackRun>> {
    let top = boxes(moof, 0, moof.len()).find(|it| it.kind == *b"moof")?;
    let trafs = boxes(moof, top.content, top.end).filter(|it| it.kind == *b"traf");
    trafs.map(|it| run(moof, it)).collect()
}

fn run(moof: &[u8], traf: Found) -> Option<TrackRun> {
    let head = child(moof, traf, b"tfhd")?;
    let flags = u32_at(moof, head.content)?;
    let number = u32_at(moof, head.content + 4)?;
    let mut at = head.content + 8;
    let mut optional = |flag: u32, bytes: usize| {
        let value = (flags & flag != 0).then(|| u32_at(moof, at));
        at += if value.is_some() { bytes } else { 0 };
        value.flatten()
    };
    optional(1, 8);
    optional(2, 4);
    let length = optional(8, 4).unwrap_or(0);
    optional(0x10, 4);
    let sync = |flags: u32| flags & 0x1_0000 == 0;
    let key = optional(0x20, 4).is_none_or(sync);
    let start = child(moof, traf, b"tfdt")?;
    let time = match moof.get(start.content)? {
        1 => u64_at(moof, start.content + 4)?,
        _ => u64::from(u32_at(moof, start.content + 4)?),
    };
    let mut all = TrackRun { number, time, shown: time, length: 0, end: time, key };
    let list = child(moof, traf, b"trun")?;
    let flags = u32_at(moof, list.content)?;
    let count = u32_at(moof, list.content + 4)?;
    let mut at = list.content + 8 + [1, 4].iter().filter(|it| flags & *it != 0).count() * 4;
    for index in 0..count {
        let mut field = |flag: u32| {
            let value = (flags & flag != 0).then(|| u32_at(moof, at).filter(|_| at + 4 <= list.end));
            at += if value.is_some() { 4 } else { 0 };
            value
        };
        let length = field(0x100).map_or(Some(length), |it| it)?;
        field(0x200).map_or(Some(0), |it| it)?;
        if let Some(flags) = field(0x400) {
            let key = sync(flags?);
            all.key = if index == 0 { key } else { all.key };
        }
        let offset = field(0x800).map_or(Some(0), |it| it)? as i32;
        let shown = (time + all.length).saturating_add_signed(offset.into());
        all.shown = if index == 0 { shown } else { all.shown };
        all.end = all.end.max(shown.saturating_add(length.into()));
        all.length = all.length.checked_add(length.into())?;
    }
    (count > 0).then_some(all)
}

/// At most `most` entries for an index, of fragments by their own: several that follow each other become one.
pub fn gathered(entries: &[IndexEntry], most: usize) -> Vec<IndexEntry> {
    let each = entries.len().div_ceil(most.max(1)).max(1);
    let mut gathered: Vec<IndexEntry> = Vec::new();
    let mut count = 0;
    for entry in entries {
        match gathered.last_mut() {
            Some(last) if count < each && fits(last.bytes, entry.bytes) => {
                last.bytes += entry.bytes;
                last.length = last.length.saturating_add(entry.length);
                count += 1;
            }
            _ => {
                gathered.push(*entry);
                count = 1;
            }
        }
    }
    gathered
}

/// Whether an entry may have so many bytes: it tells them in 31 bits.
pub fn fits(one: u32, more: u32) -> bool {
    u64::from(one) + u64::from(more) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::super::boxes::Boxes;
    use super::*;
    use proptest::prelude::*;

    fn moov() -> Vec<u8> {
        let mut out = Boxes::default();
        out.put(b"moov", |out| {
            out.full(b"mvhd", 0, 0, |out| out.zeros(96));
            for (number, handler, scale) in [(1u32, b"vide", 90_000u32), (2, b"soun", 48_000)] {
                out.put(b"trak", |out| {
                    out.full(b"tkhd", 0, 3, |out| {
                        out.zeros(8);
                        out.u32(number);
                        out.zeros(68);
                    });
                    out.put(b"edts", |out| {
                        out.full(b"elst", 0, 0, |out| {
                            [1, 0, number * 7, 0x1_0000].iter().for_each(|it| out.u32(*it));
                        });
                    });
                    out.put(b"mdia", |out| {
                        out.full(b"mdhd", 0, 0, |out| {
                            out.zeros(8);
                            out.u32(scale);
                            out.zeros(8);
                        });
                        out.full(b"hdlr", 0, 0, |out| {
                            out.u32(0);
                            out.bytes(handler);
                            out.zeros(13);
                        });
                    });
                });
            }
            out.put(b"mvex", |out| out.put(b"free", |out| out.zeros(12)));
        });
        out.0
    }

    #[test]
    fn a_head_tells_its_tracks_and_is_told_its_length() {
        let mut head = moov();
        let track = |number, timescale, is_video, from| HeadTrack { number, timescale, is_video, from };
        assert_eq!(tracks(&head), [track(1, 90_000, true, 7), track(2, 48_000, false, 14)]);
        let length = head.len();
        tell_length(&mut head, 0x0012_3456);
        assert_eq!(head.len(), length);
        let told = |head: &[u8]| head.windows(4).filter(|it| *it == [0, 0x12, 0x34, 0x56]).count();
        assert_eq!(told(&head), 6, "of the movie, two tracks, two lists of edits, and all fragments");
        let mut again = head.clone();
        tell_length(&mut again, 0x0012_3456);
        assert_eq!(again, head);
        assert!(head.windows(8).any(|it| it == b"mehd\x01\0\0\0"));
    }

    #[test]
    fn lengths_of_fragments_add_up() {
        let mut out = Boxes::default();
        out.put(b"moof", |out| {
            out.full(b"mfhd", 0, 0, |out| out.u32(1));
            out.put(b"traf", |out| {
                out.full(b"tfhd", 0, 0x02_0028, |out| {
                    [1, 3000, 0x0101_0000].iter().for_each(|it| out.u32(*it))
                });
                out.full(b"tfdt", 1, 0, |out| out.u64(9000));
                out.full(b"trun", 1, 0xe01, |out| {
                    out.u32(2);
                    out.u32(0);
                    [10, 0x0200_0000, 6000, 20, 0x0101_0000, 0].iter().for_each(|it| out.u32(*it));
                });
            });
        });
        let run = TrackRun { number: 1, time: 9000, shown: 15_000, length: 6000, end: 18_000, key: true };
        assert_eq!(runs_of(&out.0), Some(vec![run]));
        assert_eq!(runs_of(&out.0[..out.0.len() - 1]), None);
    }

    #[test]
    fn many_entries_become_few() {
        let entry = |time: u64| IndexEntry { time, length: 1, offset: time * 100, bytes: 100 };
        let all: Vec<_> = (0..10).map(entry).collect();
        assert_eq!(gathered(&all, 10), all);
        let few = gathered(&all, 4);
        assert_eq!(
            few.iter().map(|it| (it.time, it.length, it.bytes)).collect::<Vec<_>>(),
            [(0, 3, 300), (3, 3, 300), (6, 3, 300), (9, 1, 100)]
        );
        assert!(gathered(&[], 4).is_empty());
    }

    proptest! {
        #[test]
        fn hostile_bytes_panic_nowhere(mut bytes in prop::collection::vec(any::<u8>(), 0..200), flips in prop::collection::vec((0usize..500, any::<u8>()), 0..20)) {
            tracks(&bytes);
            runs_of(&bytes);
            tell_length(&mut bytes, 7);
            let mut head = moov();
            for (at, value) in flips {
                let at = at % head.len();
                head[at] = value;
            }
            tracks(&head);
            tell_length(&mut head, 7);
        }
    }
}
