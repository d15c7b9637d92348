//! One fragment: a moof and its mdat (ISO/IEC 14496-12 §8.8). Pure; whatever the samples are, it never panics.

use super::boxes::Boxes;
use super::entry::SampleEntry;
use crate::media::live::{Sample, Track};
use crate::media::nal::prefixed::{LENGTH_BYTES, Role, role};
use std::sync::Arc;

/// What of a sample's data stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    All,
    /// NAL units that are no parameter sets, since the sample entry has those.
    Units {
        hevc: bool,
    },
    /// OBUs without the delimiter in front (AV1 in ISOBMFF §2.4).
    Obus,
}

/// How the samples of a track are written.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    pub entry: SampleEntry,
    /// Units a second.
    pub timescale: u32,
    /// Added to the samples' times, in their ticks. What comes out below 0 is 0.
    pub shift: i64,
    /// How much later than they are decoded samples are shown at least, in their ticks. Told as the time they are decoded
    /// at: players put the start of a file there, and would see a hole before its first picture.
    pub lead: i64,
    /// Units in a tick of the samples' times.
    units: i64,
    kept: Kept,
}

/// Samples of one track in a fragment.
#[derive(Debug, Clone, Copy)]
pub struct Laid<'a> {
    /// The track's number in the head, counted from 1.
    pub number: u32,
    pub layout: &'a Layout,
    /// In decoding order.
    pub samples: &'a [Arc<Sample>],
    /// The DTS of the sample behind them, where it is known: how long the last of them is.
    pub end: Option<i64>,
}

/// Lengths and offsets in a fragment have 31 bits.
const MOST_BYTES: usize = i32::MAX as usize;

/// Nothing refers to it and decoding can begin; or it refers to others (§8.8.3.1).
const SYNC: u32 = 0x0200_0000;
const NO_SYNC: u32 = 0x0101_0000;

impl Layout {
    /// `None` where MP4 has no sample entry for the track.
    pub fn of(track: &Track) -> Option<Self> {
        let entry = track.entry.clone()?;
        let base = track.time_base;
        let kept = match &entry {
            SampleEntry::Picture(it) => match &it.kind {
                b"avc1" => Kept::Units { hevc: false },
                b"hvc1" => Kept::Units { hevc: true },
                b"av01" => Kept::Obus,
                _ => Kept::All,
            },
            SampleEntry::Sound(_) => Kept::All,
        };
        let (timescale, units) = (base.den.max(1) as u32, i64::from(base.num.max(1)));
        Some(Self { entry, timescale, shift: 0, lead: 0, units, kept })
    }

    /// The time in the file of a sample with this DTS.
    pub fn time(&self, ticks: i64) -> u64 {
        ticks.saturating_add(self.shift).saturating_add(self.lead).saturating_mul(self.units).max(0) as u64
    }

    fn length(&self, ticks: i64) -> u32 {
        let units = ticks.saturating_mul(self.units);
        u32::try_from(units.max(0)).unwrap_or(u32::MAX)
    }

    /// Bytes that the sample takes in the file.
    pub fn bytes(&self, sample: &Sample) -> usize {
        let mut bytes = 0;
        self.pieces(&sample.data, |piece| bytes += piece.len());
        bytes
    }

    /// What of a sample's data stands in the file.
    fn pieces<'a>(&self, data: &'a [u8], mut take: impl FnMut(&'a [u8])) {
        match self.kept {
            Kept::All => take(data),
            Kept::Obus => take(data.strip_prefix(&[0x12, 0]).unwrap_or(data)),
            Kept::Units { hevc } => {
                let mut rest = data;
                // Units that are kept and follow each other are one piece.
                let (mut from, mut at) = (0, 0);
                while let Some((length, _)) = rest.split_first_chunk::<LENGTH_BYTES>() {
                    let end = (u32::from_be_bytes(*length) as usize).saturating_add(LENGTH_BYTES);
                    let end = end.min(rest.len());
                    let set = rest.get(LENGTH_BYTES).is_some_and(|head| role(*head, hevc) == Role::Set);
                    if set {
                        take(&data[from..at]);
                        from = at + end;
                    }
                    at += end;
                    rest = &rest[end..];
                }
                take(&data[from..]);
            }
        }
    }
}

/// A fragment of these tracks, each with a sample at least; `None` where there is none or its lengths do not fit.
pub fn fragment(sequence: u32, tracks: &[Laid<'_>]) -> Option<Vec<u8>> {
    let tracks: Vec<&Laid<'_>> = tracks.iter().filter(|it| !it.samples.is_empty()).collect();
    let sizes: Vec<Vec<usize>> =
        tracks.iter().map(|it| it.samples.iter().map(|sample| it.layout.bytes(sample)).collect()).collect();
    let data = sizes.iter().flatten().try_fold(0usize, |sum, it| sum.checked_add(*it))?;
    let count: usize = sizes.iter().map(Vec::len).sum();
    // A sample takes sixteen bytes of a trun at most, the rest of a track's boxes some eighty.
    let head = count.checked_mul(16)?.checked_add(tracks.len() * 128 + 64)?;
    if tracks.is_empty() || head.checked_add(data)? > MOST_BYTES {
        return None;
    }
    let mut out = Boxes(Vec::with_capacity(head + data));
    let mut offsets_at = Vec::with_capacity(tracks.len());
    out.put(b"moof", |out| {
        out.full(b"mfhd", 0, 0, |out| out.u32(sequence));
        for (track, sizes) in tracks.iter().zip(&sizes) {
            out.put(b"traf", |out| offsets_at.push(track.head(out, sizes)));
        }
    });
    let mut offset = out.0.len() as u32 + 8;
    for (at, sizes) in offsets_at.iter().zip(&sizes) {
        out.0[*at..*at + 4].copy_from_slice(&offset.to_be_bytes());
        offset += sizes.iter().sum::<usize>() as u32;
    }
    out.put(b"mdat", |out| {
        for track in &tracks {
            for sample in track.samples {
                track.layout.pieces(&sample.data, |piece| out.bytes(piece));
            }
        }
    });
    Some(out.0)
}

impl Laid<'_> {
    /// How long each sample is, in units of the track.
    fn lengths(&self) -> Vec<u32> {
        let next = self.samples.iter().skip(1).map(|it| Some(it.dts)).chain([self.end]);
        let length = |(sample, next): (&Arc<Sample>, Option<i64>)| match next {
            Some(next) => self.layout.length(next.saturating_sub(sample.dts)),
            None => self.layout.length(sample.duration.into()),
        };
        self.samples.iter().zip(next).map(length).collect()
    }

    /// The content of its traf; returns where the offset of its data is to be written.
    fn head(&self, out: &mut Boxes, sizes: &[usize]) -> usize {
        let lengths = self.lengths();
        let offset = |it: &Arc<Sample>| {
            let late = it.pts.saturating_sub(it.dts).saturating_sub(self.layout.lead);
            let offset = late.saturating_mul(self.layout.units);
            offset.clamp(i32::MIN.into(), i32::MAX.into()) as i32
        };
        let same_length = lengths.first().copied().filter(|it| lengths.iter().all(|other| other == it));
        let all_sync = self.samples.iter().all(|it| it.key);
        let shown_late = self.samples.iter().any(|it| offset(it) != 0);
        // default-base-is-moof, default-sample-duration-present, default-sample-flags-present.
        let flags = 0x02_0000 | 0x20 | if same_length.is_some() { 8 } else { 0 };
        out.full(b"tfhd", 0, flags, |out| {
            out.u32(self.number);
            if let Some(length) = same_length {
                out.u32(length);
            }
            out.u32(if all_sync { SYNC } else { NO_SYNC });
        });
        let first = self.samples.first().map_or(0, |it| it.dts);
        out.full(b"tfdt", 1, 0, |out| out.u64(self.layout.time(first)));
        let present =
            [(same_length.is_none(), 0x100), (true, 0x200), (!all_sync, 0x400), (shown_late, 0x800)];
        let flags = present.iter().filter(|it| it.0).fold(1, |flags, it| flags | it.1);
        let mut at = 0;
        out.full(b"trun", 1, flags, |out| {
            out.u32(self.samples.len() as u32);
            at = out.0.len();
            out.u32(0);
            for ((sample, size), length) in self.samples.iter().zip(sizes).zip(&lengths) {
                if same_length.is_none() {
                    out.u32(*length);
                }
                out.u32(*size as u32);
                if !all_sync {
                    out.u32(if sample.key { SYNC } else { NO_SYNC });
                }
                if shown_late {
                    out.u32(offset(sample) as u32);
                }
            }
        });
        at
    }
}

#[cfg(test)]
mod tests;
