//! What stands around the fragments of a file: its head, and indexes of them. Pure.

use super::boxes::Boxes;
use super::fragment::Layout;
use super::movie::{Edit, Movie, Track};

/// How long the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// It is a stream, of which nobody knows.
    Open,
    /// It is told later: there is room for it, so that a head with it is as long as this one.
    Later,
    /// In milliseconds.
    Of(u64),
}

/// A file's head: no samples, the fragments follow.
#[derive(Debug, Clone)]
pub struct Head<'a> {
    /// Tracks, whose numbers count from 1, and their edits, in milliseconds.
    pub tracks: Vec<(&'a Layout, Vec<Edit>)>,
    /// How pictures are turned when they are shown; see [`super::matrix`].
    pub orientation: u8,
    pub total: Total,
}

/// Units a second of edits and durations.
const MILLIS: u32 = 1000;

impl Head<'_> {
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Boxes::default();
        out.put(b"ftyp", |out| {
            out.bytes(b"iso6");
            out.u32(0);
            out.bytes(b"iso6iso5cmfcmp41");
        });
        let track = |(layout, edits): &(&Layout, Vec<Edit>)| Track {
            timescale: layout.timescale,
            entry: layout.entry.clone(),
            sizes: Vec::new(),
            steps: Vec::new(),
            offsets: Vec::new(),
            sync: None,
            chunks: Vec::new(),
            edits: edits.clone(),
        };
        let tracks = self.tracks.iter().map(track).collect();
        let movie = Movie { timescale: MILLIS, orientation: self.orientation, tracks };
        movie.moov(&mut out, 0, false, |out| {
            out.put(b"mvex", |out| {
                match self.total {
                    Total::Open => {}
                    Total::Later => out.put(b"free", |out| out.zeros(12)),
                    Total::Of(millis) => out.full(b"mehd", 1, 0, |out| out.u64(millis)),
                }
                for number in 1..=self.tracks.len() as u32 {
                    out.full(b"trex", 0, 0, |out| {
                        out.u32(number);
                        out.u32(1); // default_sample_description_index
                        // Fragments tell lengths, sizes and flags themselves.
                        out.zeros(12);
                    });
                }
            });
        });
        out.0
    }
}

/// A fragment, or several that follow each other, in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry {
    /// Of its first sample, in units of the track.
    pub time: u64,
    /// In units of the track.
    pub length: u32,
    /// Of its moof in the file.
    pub offset: u64,
    /// Of all of it, below 2³¹.
    pub bytes: u32,
}

/// Bytes of a [`sidx`] of so many entries.
pub const fn sidx_bytes(entries: usize) -> usize {
    40 + 12 * entries
}

/// The segment index of a track (§8.16.3), behind which the first entry lies after `gap` bytes. Each entry begins with a
/// sample that decoding can begin at; of more entries than it has room for, the last are left out.
pub fn sidx(number: u32, timescale: u32, gap: u64, entries: &[IndexEntry]) -> Vec<u8> {
    let entries = &entries[..entries.len().min(u16::MAX.into())];
    let mut out = Boxes::default();
    out.full(b"sidx", 1, 0, |out| {
        out.u32(number);
        out.u32(timescale);
        out.u64(entries.first().map_or(0, |it| it.time));
        out.u64(gap);
        out.u16(0);
        out.u16(entries.len() as u16);
        for entry in entries {
            out.u32(entry.bytes & 0x7fff_ffff);
            out.u32(entry.length);
            // starts_with_SAP, of type 1.
            out.u32(0x9000_0000);
        }
    });
    out.0
}

/// Where the fragments of each track are that begin with a sample decoding can begin at (§8.8.9), for the end of a file.
pub fn mfra(tracks: &[(u32, Vec<IndexEntry>)]) -> Vec<u8> {
    let mut out = Boxes::default();
    out.put(b"mfra", |out| {
        for (number, entries) in tracks {
            out.full(b"tfra", 1, 0, |out| {
                out.u32(*number);
                out.u32(0); // numbers of one byte
                out.u32(entries.len() as u32);
                for entry in entries {
                    out.u64(entry.time);
                    out.u64(entry.offset);
                    out.bytes(&[1, 1, 1]); // its first traf, trun and sample
                }
            });
        }
        let length = out.0.len() as u32 + 16;
        out.full(b"mfro", 0, 0, |out| out.u32(length));
    });
    out.0
}

/// A box of `bytes` bytes, 8 at least, that says nothing.
pub fn free(bytes: u32) -> Vec<u8> {
    let mut out = Boxes::default();
    out.put(b"free", |out| out.zeros((bytes as usize).saturating_sub(8)));
    out.0
}
