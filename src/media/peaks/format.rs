//! The file form of a pyramid, in three parts, since few readers want all: the coarse levels of every track, and the fine
//! ones of the mix and of the channels.
//!
//! | bytes | what, little endian |
//! | --- | --- |
//! | 4 | samples a second; 0 where there is no sound |
//! | 1 | channels of the sound |
//! | 2 | count of runs |
//! | 12 each | a run: its first sample's place, and its length in samples |
//! | | for each run, track and level: all minima, all maxima, all means, all roots, 16 bits each |
//!
//! How many blocks a run has at a level follows from its place and length. What reads it trusts nothing: whoever keeps it
//! has its checksum, but a disk may lie.

use super::pyramid::{MAX_RUNS, MAX_SAMPLES, Pyramid, Run, kept_channels};
use super::{LEVELS, Peak, Track, WHOLE, block_of};
use std::ops::{Range, RangeInclusive};

const HEAD: usize = 7;
const RUN: usize = 12;
/// Minimum, maximum, mean and root.
const PLANES: usize = 4;
pub(super) const PLANE: usize = 2;

/// Places further from 1970 are of no clock: the year 9999 at 16 MHz, which is more than any header can say.
const PLACES: RangeInclusive<i64> = -(1 << 62)..=1 << 62;

/// Which part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Blocks of 4096 samples and more, and whole runs, of the mix and the channels.
    Coarse,
    /// Blocks of 256 and 1024 samples of the mix.
    Mix,
    /// Blocks of 256 and 1024 samples of the channels; of one channel, those of the mix.
    Channels,
}

impl Part {
    pub const ALL: [Self; 3] = [Self::Coarse, Self::Mix, Self::Channels];

    /// The part that has a level of the mix, or of the channels.
    pub fn with(level: usize, channels: bool) -> Self {
        match (level, channels) {
            (2.., _) => Self::Coarse,
            (_, true) => Self::Channels,
            (_, false) => Self::Mix,
        }
    }

    fn levels(self) -> RangeInclusive<usize> {
        if self == Self::Coarse { 2..=WHOLE } else { 0..=1 }
    }

    /// Numbers of the tracks, of which 0 is the mix, where a sound has so many channels.
    fn tracks(self, channels: u8) -> RangeInclusive<usize> {
        let last = kept_channels(usize::from(channels));
        match self {
            Self::Coarse => 0..=last,
            Self::Channels if last > 0 => 1..=last,
            Self::Mix | Self::Channels => 0..=0,
        }
    }
}

/// Blocks of a level that a run touches.
fn blocks(start: i64, length: u64, level: usize) -> usize {
    if level >= LEVELS {
        return 1;
    }
    (block_of(start + length as i64 - 1, level) - block_of(start, level) + 1) as usize
}

impl Pyramid {
    /// One part of the pyramid as bytes.
    pub fn encode(&self, part: Part) -> Vec<u8> {
        let kept = |run: &Run| -> usize {
            let of = |track: usize| part.levels().map(|level| run.tracks[track][level].len()).sum::<usize>();
            part.tracks(self.channels).map(of).sum()
        };
        let blocks: usize = self.runs.iter().map(kept).sum();
        let mut out = Vec::with_capacity(HEAD + RUN * self.runs.len() + 2 * PLANES * blocks);
        out.extend_from_slice(&self.rate.to_le_bytes());
        out.push(self.channels);
        out.extend_from_slice(&(self.runs.len() as u16).to_le_bytes());
        for run in &self.runs {
            out.extend_from_slice(&run.start.to_le_bytes());
            // At most MAX_SAMPLES.
            out.extend_from_slice(&(run.length as u32).to_le_bytes());
        }
        for run in &self.runs {
            for track in part.tracks(self.channels) {
                for level in part.levels() {
                    let peaks = &run.tracks[track][level];
                    plane(&mut out, peaks, |it| it.min.to_le_bytes());
                    plane(&mut out, peaks, |it| it.max.to_le_bytes());
                    plane(&mut out, peaks, |it| it.mean.to_le_bytes());
                    plane(&mut out, peaks, |it| it.rms.to_le_bytes());
                }
            }
        }
        out
    }
}

/// Appends one field of some blocks.
fn plane(out: &mut Vec<u8>, peaks: &[Peak], field: impl Fn(&Peak) -> [u8; PLANE]) {
    let begin = out.len();
    out.resize(begin + PLANE * peaks.len(), 0);
    for (to, peak) in out[begin..].as_chunks_mut::<PLANE>().0.iter_mut().zip(peaks) {
        *to = field(peak);
    }
}

/// One part of a pyramid, read where it lies.
#[derive(Debug, Clone)]
pub struct View<'a> {
    pub part: Part,
    pub rate: u32,
    pub channels: u8,
    /// Most have one, for which nothing is allocated.
    first: Option<RunView<'a>>,
    others: Vec<RunView<'a>>,
}

/// A run of a part.
#[derive(Debug, Clone, Copy)]
pub struct RunView<'a> {
    pub start: i64,
    pub length: u64,
    bytes: &'a [u8],
}

/// The blocks of a run at a level, each plane 16 bits a block.
#[derive(Debug, Clone, Copy)]
pub struct Blocks<'a> {
    /// Number of the first block on the clock; of a whole run 0.
    pub first: i64,
    planes: [&'a [u8]; PLANES],
}

impl<'a> View<'a> {
    /// Reads a part; `None` where the bytes are none.
    pub fn decode(part: Part, bytes: &'a [u8]) -> Option<Self> {
        let (head, mut rest) = bytes.split_first_chunk::<HEAD>()?;
        let [r0, r1, r2, r3, channels, c0, c1] = *head;
        let rate = u32::from_le_bytes([r0, r1, r2, r3]);
        let count = usize::from(u16::from_le_bytes([c0, c1]));
        if count > MAX_RUNS || (rate == 0 || channels == 0) && (count > 0 || rate > 0 || channels > 0) {
            return None;
        }
        let (mut first, mut others) =
            (None, Vec::with_capacity(count.saturating_sub(1).min(rest.len() / RUN)));
        for number in 0..count {
            let (run, after) = rest.split_first_chunk::<RUN>()?;
            rest = after;
            let (start, length) = run.split_first_chunk::<8>()?;
            let length = u64::from(u32::from_le_bytes(*length.first_chunk()?));
            let start = i64::from_le_bytes(*start);
            if !PLACES.contains(&start) || !(1..=MAX_SAMPLES).contains(&length) {
                return None;
            }
            let run = RunView { start, length, bytes: &[] };
            if number == 0 { first = Some(run) } else { others.push(run) }
        }
        let tracks = part.tracks(channels).count();
        for run in first.iter_mut().chain(&mut others) {
            let blocks: usize = part.levels().map(|level| blocks(run.start, run.length, level)).sum();
            let (bytes, after) = rest.split_at_checked(blocks * tracks * PLANES * PLANE)?;
            (run.bytes, rest) = (bytes, after);
        }
        rest.is_empty().then_some(Self { part, rate, channels, first, others })
    }

    /// Whether there is sound at all.
    pub fn is_silent(&self) -> bool {
        self.first.is_none()
    }

    pub fn runs(&self) -> impl Iterator<Item = &RunView<'a>> {
        self.first.iter().chain(&self.others)
    }

    /// The blocks of one track of a run at a level; `None` where this part, or the sound, has none. One channel is found
    /// as the mix.
    pub fn blocks(&self, run: &RunView<'a>, track: Track, level: usize) -> Option<Blocks<'a>> {
        let number = match track {
            Track::Mix => 0,
            Track::Channel(_) if self.channels == 1 => 0,
            Track::Channel(channel) => channel.saturating_add(1),
        };
        let tracks = self.part.tracks(self.channels);
        if !tracks.contains(&number) || !self.part.levels().contains(&level) {
            return None;
        }
        let count = |level: usize| blocks(run.start, run.length, level) * PLANES * PLANE;
        let before: usize = self.part.levels().take_while(|it| *it < level).map(count).sum();
        let track: usize = self.part.levels().map(count).sum::<usize>() * (number - tracks.start());
        let bytes = run.bytes.get(track + before..)?.get(..count(level))?;
        let plane = bytes.len() / PLANES;
        let first = if level < LEVELS { block_of(run.start, level) } else { 0 };
        let planes = std::array::from_fn(|at| &bytes[at * plane..(at + 1) * plane]);
        Some(Blocks { first, planes })
    }
}

pub(super) fn signed(plane: &[u8]) -> impl ExactSizeIterator<Item = i16> {
    plane.as_chunks::<PLANE>().0.iter().map(|it| i16::from_le_bytes(*it))
}

impl Blocks<'_> {
    /// Some of the blocks.
    pub(super) fn slice(&self, range: Range<usize>) -> Self {
        let first = self.first + range.start as i64;
        Self { first, planes: self.planes.map(|it| &it[range.start * PLANE..range.end * PLANE]) }
    }

    /// All minima and all maxima.
    pub(super) fn extremes(&self) -> (&[u8], &[u8]) {
        (self.planes[0], self.planes[1])
    }

    pub fn len(&self) -> usize {
        self.planes[0].len() / PLANE
    }

    /// The minima of some blocks, from the first.
    pub fn minima(&self) -> impl ExactSizeIterator<Item = i16> {
        signed(self.planes[0])
    }

    pub fn maxima(&self) -> impl ExactSizeIterator<Item = i16> {
        signed(self.planes[1])
    }

    /// Everything that is kept of each block.
    pub fn peaks(&self) -> impl ExactSizeIterator<Item = Peak> {
        let unsigned = |plane| signed(plane).map(|it| it as u16);
        let levels = unsigned(self.planes[2]).zip(unsigned(self.planes[3]));
        self.minima().zip(self.maxima()).zip(levels).map(|((min, max), (mean, rms))| Peak {
            min,
            max,
            mean,
            rms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::peaks::Builder;
    use crate::media::sound::SoundFormat;

    fn pyramid(channels: usize) -> Pyramid {
        let format = SoundFormat { rate: 48_000, channels };
        let mut builder = Builder::new();
        for (start, count) in [(82_000_000_000_123i64, 96_000), (82_000_000_900_000, 700)] {
            let samples =
                |channel: usize| (0..count).map(|it| (it * 37 % 6007 * (channel + 1)) as i16).collect();
            builder.add(start, format, &(0..channels).map(samples).collect::<Vec<_>>());
        }
        builder.finish()
    }

    #[test]
    fn parts_read_back_as_they_were() {
        for channels in [1, 2, 6, 11] {
            let pyramid = pyramid(channels);
            for part in Part::ALL {
                let bytes = pyramid.encode(part);
                let view = View::decode(part, &bytes).unwrap();
                assert_eq!((view.rate, usize::from(view.channels)), (48_000, channels));
                for (own, run) in view.runs().zip(&pyramid.runs) {
                    assert_eq!((own.start, own.length), (run.start, run.length));
                    for (number, levels) in run.tracks.iter().enumerate() {
                        let track = number.checked_sub(1).map_or(Track::Mix, Track::Channel);
                        for (level, peaks) in levels.iter().enumerate() {
                            let found =
                                view.blocks(own, track, level).map(|it| it.peaks().collect::<Vec<_>>());
                            let here = part == Part::with(level, number > 0)
                                || (channels == 1 && part == Part::with(level, true));
                            assert_eq!(found.as_ref(), here.then_some(peaks), "{part:?} {track:?} {level}");
                        }
                    }
                }
                for cut in [0, 1, 6, 7, 18, bytes.len() - 1] {
                    assert!(View::decode(part, &bytes[..cut.min(bytes.len() - 1)]).is_none());
                }
            }
        }
        let one = pyramid(1);
        let bytes = one.encode(Part::Mix);
        let view = View::decode(Part::Mix, &bytes).unwrap();
        let run = *view.runs().next().unwrap();
        assert_eq!(view.blocks(&run, Track::Channel(0), 0).unwrap().len(), 376, "the mix is the one channel");
    }

    #[test]
    fn no_sound_is_seven_bytes() {
        for part in Part::ALL {
            let bytes = Pyramid::default().encode(part);
            assert_eq!(bytes, [0; HEAD]);
            assert!(View::decode(part, &bytes).unwrap().is_silent());
        }
    }
}
