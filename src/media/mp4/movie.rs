//! ftyp, moov and the head of mdat.

use super::boxes::{Boxes, runs};
use super::entry::SampleEntry;

/// Part of a track's presentation (ISO/IEC 14496-12 §8.6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit {
    /// In units of the movie.
    pub duration: u64,
    /// In units of the track; `None` shows nothing.
    pub media_time: Option<u64>,
}

/// Samples of one track that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// From the first byte of the samples of the file.
    pub offset: u64,
    pub samples: u32,
}

/// A track; its samples in decoding order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Units a second.
    pub timescale: u32,
    pub entry: SampleEntry,
    /// Of each sample, in bytes.
    pub sizes: Vec<u32>,
    /// Time from each sample's decoding to the next's, as runs.
    pub steps: Vec<(u32, u32)>,
    /// Time from decoding to presentation, as runs; none when all are 0.
    pub offsets: Vec<(u32, u32)>,
    /// Numbers from 1 of the samples that decoding may begin at; `None` when it may at any.
    pub sync: Option<Vec<u32>>,
    pub chunks: Vec<Chunk>,
    pub edits: Vec<Edit>,
}

/// A file's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movie {
    /// Units a second of edits and durations.
    pub timescale: u32,
    /// How pictures are turned when they are shown, 1 to 8; see [`matrix`].
    pub orientation: u8,
    pub tracks: Vec<Track>,
}

/// The matrix (ISO/IEC 14496-12 §8.2.2.2) of an orientation: 16.16, and 2.30 in the last column. 2 is mirrored, 3 upside
/// down, 4 flipped, 6 and 8 a quarter turn to the left and to the right, 5 and 7 those and flipped; all others are upright.
pub const fn matrix(orientation: u8) -> [u32; 9] {
    const ONE: u32 = 0x0001_0000;
    const MINUS: u32 = ONE.wrapping_neg();
    let (a, b, c, d) = match orientation {
        2 => (MINUS, 0, 0, ONE),
        3 => (MINUS, 0, 0, MINUS),
        4 => (ONE, 0, 0, MINUS),
        5 => (0, MINUS, MINUS, 0),
        6 => (0, MINUS, ONE, 0),
        7 => (0, ONE, ONE, 0),
        8 => (0, ONE, MINUS, 0),
        _ => (ONE, 0, 0, ONE),
    };
    [a, b, 0, c, d, 0, 0, 0, 0x4000_0000]
}

/// "und", each letter in five bits.
const UNDETERMINED: u16 = 0x55c4;
/// The longest an mdat's length in 32 bits may be, and the last offset in 32 bits.
const SHORT: u64 = u32::MAX as u64;

impl Movie {
    /// What stands before `data` bytes of samples.
    pub fn head(&self, data: u64) -> Vec<u8> {
        let mut out = Boxes::default();
        out.put(b"ftyp", |out| {
            out.bytes(b"isom");
            out.u32(0x200);
            out.bytes(b"isomiso2mp41");
        });
        // The size of the tables does not depend on the offsets in them, but on how wide they are.
        let mut sized = Boxes::default();
        self.moov(&mut sized, 0, false, |_| {});
        let long = out.0.len() as u64 + sized.0.len() as u64 + data + 16 > SHORT;
        if long {
            sized = Boxes::default();
            self.moov(&mut sized, 0, true, |_| {});
        }
        let length = sized.0.len() as u64;
        drop(sized);
        let header = if long { 16 } else { 8 };
        let from = out.0.len() as u64 + length + header;
        self.moov(&mut out, from, long, |_| {});
        if long {
            out.u32(1);
            out.bytes(b"mdat");
            out.u64(data + header);
        } else {
            out.u32((data + header) as u32);
            out.bytes(b"mdat");
        }
        out.0
    }

    /// `extends` adds what stands behind the tracks.
    pub(super) fn moov(&self, out: &mut Boxes, data_at: u64, long: bool, extends: impl FnOnce(&mut Boxes)) {
        out.put(b"moov", |out| {
            let duration = self.tracks.iter().map(Track::shown).max().unwrap_or(0);
            times(
                out,
                b"mvhd",
                0,
                duration,
                |out| out.u32(self.timescale),
                |out| {
                    out.u32(0x0001_0000); // rate
                    out.u16(0x0100); // volume
                    out.zeros(10);
                    matrix(1).iter().for_each(|it| out.u32(*it));
                    out.zeros(24);
                    out.u32(self.tracks.len() as u32 + 1);
                },
            );
            let mut sounds = 0;
            for (number, track) in self.tracks.iter().enumerate() {
                let is_sound = matches!(track.entry, SampleEntry::Sound(_));
                sounds += u32::from(is_sound);
                // Of several sounds the first is played.
                let flags = if sounds > 1 { 2 } else { 3 };
                let orientation = if is_sound { 1 } else { self.orientation };
                let head = (number as u32 + 1, flags, orientation);
                out.put(b"trak", |out| track.write(out, head, data_at, long));
            }
            extends(out);
        });
    }
}

/// A header with creation and modification time, both unknown, a `middle`, a duration and a `rest`.
fn times(
    out: &mut Boxes,
    kind: &[u8; 4],
    flags: u32,
    duration: u64,
    middle: impl FnOnce(&mut Boxes),
    rest: impl FnOnce(&mut Boxes),
) {
    let version = u8::from(duration > SHORT);
    out.full(kind, version, flags, |out| {
        out.zeros(if version == 1 { 16 } else { 8 });
        middle(out);
        match version {
            1 => out.u64(duration),
            _ => out.u32(duration as u32),
        }
        rest(out);
    });
}

impl Track {
    /// What its edits show, in units of the movie.
    fn shown(&self) -> u64 {
        self.edits.iter().map(|it| it.duration).sum()
    }

    fn write(&self, out: &mut Boxes, head: (u32, u32, u8), data_at: u64, long: bool) {
        let (number, flags, orientation) = head;
        let (volume, group, (width, height)) = match &self.entry {
            SampleEntry::Picture(it) => (0, 0, it.shown()),
            SampleEntry::Sound(_) => (0x0100, 1, (0, 0)),
        };
        let id = |out: &mut Boxes| {
            out.u32(number);
            out.u32(0);
        };
        times(out, b"tkhd", flags, self.shown(), id, |out| {
            out.zeros(8);
            out.u16(0); // layer
            out.u16(group);
            out.u16(volume);
            out.u16(0);
            matrix(orientation).iter().for_each(|it| out.u32(*it));
            out.u32(width << 16);
            out.u32(height << 16);
        });
        if !self.edits.is_empty() {
            out.put(b"edts", |out| self.edits(out));
        }
        out.put(b"mdia", |out| {
            let duration = self.steps.iter().map(|(count, step)| u64::from(*count) * u64::from(*step)).sum();
            times(
                out,
                b"mdhd",
                0,
                duration,
                |out| out.u32(self.timescale),
                |out| {
                    out.u16(UNDETERMINED);
                    out.u16(0);
                },
            );
            let handler = match &self.entry {
                SampleEntry::Picture(_) => b"vide",
                SampleEntry::Sound(_) => b"soun",
            };
            out.full(b"hdlr", 0, 0, |out| {
                out.u32(0);
                out.bytes(handler);
                out.zeros(12);
                // Without a name.
                out.u8(0);
            });
            out.put(b"minf", |out| {
                match &self.entry {
                    SampleEntry::Picture(_) => out.full(b"vmhd", 0, 1, |out| out.zeros(8)),
                    SampleEntry::Sound(_) => out.full(b"smhd", 0, 0, |out| out.zeros(4)),
                }
                out.put(b"dinf", |out| {
                    out.full(b"dref", 0, 0, |out| {
                        out.u32(1);
                        // The samples are in this file.
                        out.full(b"url ", 0, 1, |_| {});
                    });
                });
                out.put(b"stbl", |out| self.tables(out, data_at, long));
            });
        });
    }

    fn edits(&self, out: &mut Boxes) {
        let most = self.edits.iter().flat_map(|it| [it.duration, it.media_time.unwrap_or(0)]).max();
        let long = most.is_some_and(|it| it > i32::MAX as u64);
        out.full(b"elst", u8::from(long), 0, |out| {
            out.u32(self.edits.len() as u32);
            for edit in &self.edits {
                match long {
                    true => {
                        out.u64(edit.duration);
                        out.u64(edit.media_time.unwrap_or(u64::MAX));
                    }
                    false => {
                        out.u32(edit.duration as u32);
                        out.u32(edit.media_time.map_or(u32::MAX, |it| it as u32));
                    }
                }
                out.u32(0x0001_0000); // media_rate
            }
        });
    }

    fn tables(&self, out: &mut Boxes, data_at: u64, long: bool) {
        out.full(b"stsd", 0, 0, |out| {
            out.u32(1);
            self.entry.write(out);
        });
        let pairs = |out: &mut Boxes, list: &[(u32, u32)]| {
            out.u32(list.len() as u32);
            for (count, value) in list {
                out.u32(*count);
                out.u32(*value);
            }
        };
        out.full(b"stts", 0, 0, |out| pairs(out, &self.steps));
        if !self.offsets.is_empty() {
            out.full(b"ctts", 0, 0, |out| pairs(out, &self.offsets));
        }
        if let Some(sync) = &self.sync {
            out.full(b"stss", 0, 0, |out| {
                out.u32(sync.len() as u32);
                sync.iter().for_each(|it| out.u32(*it));
            });
        }
        out.full(b"stsc", 0, 0, |out| {
            let mut first = 1;
            let runs = runs(self.chunks.iter().map(|it| it.samples));
            out.u32(runs.len() as u32);
            for (count, samples) in runs {
                out.u32(first);
                out.u32(samples);
                out.u32(1); // sample_description_index
                first += count;
            }
        });
        out.full(b"stsz", 0, 0, |out| {
            let same = self.sizes.first().copied().filter(|first| self.sizes.iter().all(|it| it == first));
            out.u32(same.unwrap_or(0));
            out.u32(self.sizes.len() as u32);
            if same.is_none() {
                self.sizes.iter().for_each(|it| out.u32(*it));
            }
        });
        let kind = if long { b"co64" } else { b"stco" };
        out.full(kind, 0, 0, |out| {
            out.u32(self.chunks.len() as u32);
            for chunk in &self.chunks {
                match long {
                    true => out.u64(data_at + chunk.offset),
                    false => out.u32((data_at + chunk.offset) as u32),
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::mp4::{SoundCoding, SoundEntry};

    /// The content of the box at this path, each name the first of its kind inside the one before.
    fn content<'a>(mut bytes: &'a [u8], path: &[&[u8; 4]]) -> &'a [u8] {
        for name in path {
            loop {
                let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
                if &bytes[4..8] == *name {
                    bytes = &bytes[8..length];
                    break;
                }
                bytes = &bytes[length..];
            }
        }
        bytes
    }

    fn movie() -> Movie {
        let coding = SoundCoding::Mpeg4 { object: 0x40, config: vec![0x11, 0x90] };
        let track = Track {
            timescale: 48_000,
            entry: SampleEntry::Sound(SoundEntry { channels: 2, rate: 48_000, coding }),
            sizes: vec![10, 20, 30],
            steps: vec![(3, 1024)],
            offsets: Vec::new(),
            sync: None,
            chunks: vec![Chunk { offset: 0, samples: 2 }, Chunk { offset: 100, samples: 1 }],
            edits: vec![Edit { duration: 3840, media_time: Some(1024) }],
        };
        Movie { timescale: 90_000, orientation: 1, tracks: vec![track] }
    }

    const TABLES: [&[u8; 4]; 5] = [b"moov", b"trak", b"mdia", b"minf", b"stbl"];

    #[test]
    fn chunks_lie_behind_the_head() {
        let head = movie().head(130);
        let stbl = content(&head, &TABLES);
        let first = head.len() as u32;
        let offsets = [[0; 4], 2u32.to_be_bytes(), first.to_be_bytes(), (first + 100).to_be_bytes()].concat();
        assert_eq!(content(stbl, &[b"stco"]), offsets);
        assert_eq!(head[head.len() - 8..], [&138u32.to_be_bytes()[..], b"mdat"].concat());
        let chunks: Vec<u8> = [0u32, 2, 1, 2, 1, 2, 1, 1].iter().flat_map(|it| it.to_be_bytes()).collect();
        assert_eq!(content(stbl, &[b"stsc"]), chunks);
        let edit: Vec<u8> = [0u32, 1, 3840, 1024, 0x1_0000].iter().flat_map(|it| it.to_be_bytes()).collect();
        assert_eq!(content(&head, &[b"moov", b"trak", b"edts", b"elst"]), edit);
    }

    #[test]
    fn large_files_have_wide_offsets() {
        let head = movie().head(5 << 32);
        let stbl = content(&head, &TABLES);
        let first = head.len() as u64;
        let offsets =
            [&[0, 0, 0, 0, 0, 0, 0, 2][..], &first.to_be_bytes(), &(first + 100).to_be_bytes()].concat();
        assert_eq!(content(stbl, &[b"co64"]), offsets);
        assert_eq!(head[head.len() - 8..], ((5u64 << 32) + 16).to_be_bytes());
    }
}
