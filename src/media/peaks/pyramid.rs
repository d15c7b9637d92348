//! From samples to a pyramid.

use super::block::{Sum, mix};
use super::{BLOCK, LEVELS, MAX_CHANNELS, Peak, WHOLE, block_samples};
use crate::media::sound::SoundFormat;

/// Runs a segment may have; sound after the last of them is left out. A whole segment has one.
pub const MAX_RUNS: usize = 1024;

/// Samples a segment may have, three hours at 48 kHz; what follows is left out. In stereo its pyramid takes 67 MB.
pub const MAX_SAMPLES: u64 = 1 << 29;

/// Timestamps of frames that follow each other may be off by their rounding: one tick in MPEG-TS, a millisecond in
/// other containers. In microseconds.
const JITTER_MICROS: i64 = 1500;

/// Samples without a gap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Run {
    /// The first one's place on the clock.
    pub start: i64,
    pub length: u64,
    /// The mix, then each channel; of each, the blocks that the run touches at every level, and all of it.
    pub tracks: Vec<[Vec<Peak>; LEVELS + 1]>,
}

/// The peaks of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pyramid {
    /// Samples a second; 0 where there is no sound.
    pub rate: u32,
    /// Channels the sound has.
    pub channels: u8,
    pub runs: Vec<Run>,
}

/// Channels that are kept beside the mix: of one, the mix is all there is to keep.
pub fn kept_channels(channels: usize) -> usize {
    if channels == 1 { 0 } else { channels.min(MAX_CHANNELS) }
}

/// Builds a pyramid from samples as they come.
#[derive(Debug, Default)]
pub struct Builder {
    pyramid: Pyramid,
    /// Blocks not yet full, of the mix and each channel.
    open: Vec<[Sum; LEVELS + 1]>,
    /// The place after the last sample.
    next: i64,
    samples: u64,
    mixed: Vec<i16>,
    /// Memory for the blocks of the first run.
    spare: Vec<[Vec<Peak>; LEVELS + 1]>,
}

impl Builder {
    pub fn new() -> Self {
        Self::default()
    }

    /// One that builds in the memory of a pyramid which is not needed any more: segment after segment, most have as many
    /// blocks.
    pub fn in_place_of(mut pyramid: Pyramid) -> Self {
        let mut spare = pyramid.runs.drain(..).next().map(|it| it.tracks).unwrap_or_default();
        spare.iter_mut().flatten().for_each(Vec::clear);
        Self { spare, ..Self::default() }
    }

    /// Adds samples, the first at place `position`. What was there already is passed over; what is missing begins
    /// another run. Samples of another format than the first are left out.
    pub fn add(&mut self, position: i64, format: SoundFormat, channels: &[Vec<i16>]) {
        let length = channels.iter().map(Vec::len).min().unwrap_or(0);
        let Ok(count) = u8::try_from(format.channels) else { return };
        if length == 0 || count == 0 || format.rate == 0 || format.channels != channels.len() {
            return;
        }
        if self.pyramid.rate == 0 {
            self.pyramid = Pyramid { rate: format.rate, channels: count, runs: Vec::new() };
            self.open = vec![Default::default(); 1 + kept_channels(format.channels)];
        }
        if (self.pyramid.rate, self.pyramid.channels) != (format.rate, count) {
            return;
        }
        let jitter = i64::from(format.rate) * JITTER_MICROS / 1_000_000;
        let position = if !self.pyramid.runs.is_empty()
            && position.saturating_sub(self.next).saturating_abs() <= jitter
        {
            self.next
        } else {
            position
        };
        let skip = if self.pyramid.runs.is_empty() { 0 } else { self.next.saturating_sub(position).max(0) };
        if skip >= length as i64 || self.samples.saturating_add(length as u64) > MAX_SAMPLES {
            return;
        }
        if self.pyramid.runs.is_empty() || position > self.next {
            self.end_run();
            if self.pyramid.runs.len() >= MAX_RUNS {
                self.samples = MAX_SAMPLES;
                return;
            }
            // A whole segment has one run.
            let mut tracks = std::mem::take(&mut self.spare);
            tracks.resize_with(self.open.len(), Default::default);
            self.pyramid.runs.push(Run { start: position, length: 0, tracks });
            self.next = position;
        }
        let slices: Vec<&[i16]> = channels.iter().map(|it| &it[skip as usize..length]).collect();
        self.extend(&slices);
    }

    fn extend(&mut self, channels: &[&[i16]]) {
        let mut mixed = std::mem::take(&mut self.mixed);
        mix(channels, &mut mixed);
        let mut from = 0;
        while from < mixed.len() {
            let room = (BLOCK - self.next.rem_euclid(BLOCK)) as usize;
            let to = (from + room).min(mixed.len());
            let tracks = std::iter::once(&mixed[from..to]).chain(channels.iter().map(|it| &it[from..to]));
            for (open, samples) in self.open.iter_mut().zip(tracks) {
                open[0].merge(&Sum::of(samples));
            }
            self.next += (to - from) as i64;
            self.samples += (to - from) as u64;
            if let Some(run) = self.pyramid.runs.last_mut() {
                run.length += (to - from) as u64;
            }
            let full = (0..LEVELS).take_while(|it| self.next.rem_euclid(block_samples(*it)) == 0).count();
            self.close(full);
            from = to;
        }
        self.mixed = mixed;
    }

    /// Writes the open blocks of the lowest `levels` levels, and adds each to the level above.
    fn close(&mut self, levels: usize) {
        let Some(run) = self.pyramid.runs.last_mut() else { return };
        for (open, track) in self.open.iter_mut().zip(&mut run.tracks) {
            for level in 0..levels {
                let sum = std::mem::take(&mut open[level]);
                if let Some(peak) = sum.peak() {
                    track[level].push(peak);
                }
                if let Some(above) = open.get_mut(level + 1) {
                    above.merge(&sum);
                }
            }
        }
    }

    fn end_run(&mut self) {
        self.close(WHOLE + 1);
    }

    pub fn finish(mut self) -> Pyramid {
        self.end_run();
        self.pyramid
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn format(channels: usize) -> SoundFormat {
        SoundFormat { rate: 48_000, channels }
    }

    /// Samples that are never alike twice in a row.
    fn noise(count: usize, seed: u32) -> Vec<i16> {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 16) as i16
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn blocks_lie_on_the_clock_and_fold_by_four() {
        let samples = noise(5000, 7);
        let mut builder = Builder::new();
        // From the middle of block 3 on, in pieces of odd lengths.
        let mut at = 900;
        for piece in samples.chunks(333) {
            builder.add(at, format(1), &[piece.to_vec()]);
            at += piece.len() as i64;
        }
        let pyramid = builder.finish();
        let [run] = &pyramid.runs[..] else { panic!("one run") };
        assert_eq!((run.start, run.length, run.tracks.len()), (900, 5000, 1));
        for level in 0..LEVELS {
            let size = block_samples(level);
            let expected: Vec<Peak> = (900 / size..=5899 / size)
                .map(|block| {
                    let range = (block * size).max(900) - 900..((block + 1) * size).min(5900) - 900;
                    Sum::of(&samples[range.start as usize..range.end as usize]).peak().unwrap()
                })
                .collect();
            assert_eq!(run.tracks[0][level].len(), expected.len(), "level {level}");
            for (own, plain) in run.tracks[0][level].iter().zip(&expected) {
                assert_eq!((own.min, own.max, own.mean), (plain.min, plain.max, plain.mean), "level {level}");
                assert!(own.rms.abs_diff(plain.rms) <= 1);
            }
        }
        assert_eq!(run.tracks[0][WHOLE].len(), 1);
    }

    #[test]
    fn rounding_makes_no_hole_and_a_hole_begins_a_run() {
        let mut builder = Builder::new();
        let frame = || vec![vec![100i16; 1024], vec![-50; 1024]];
        builder.add(0, format(2), &frame());
        builder.add(1024 + 72, format(2), &frame());
        builder.add(2048 - 1000, format(2), &frame());
        builder.add(100_000, format(2), &frame());
        let pyramid = builder.finish();
        let told: Vec<_> = pyramid.runs.iter().map(|it| (it.start, it.length)).collect();
        assert_eq!(told, [(0, 2072), (100_000, 1024)]);
        let whole: Vec<_> = pyramid.runs[1].tracks.iter().map(|it| it[WHOLE][0]).collect();
        assert_eq!(whole[0], Peak { min: 25, max: 25, mean: 50, rms: 50 });
        assert_eq!(whole[1], Peak { min: 100, max: 100, mean: 200, rms: 200 });
        assert_eq!(whole[2], Peak { min: -50, max: -50, mean: 100, rms: 100 });
    }

    #[test]
    fn pieces_without_end_are_bounded() {
        let mut builder = Builder::new();
        for piece in 0..3 * MAX_RUNS as i64 {
            builder.add(piece * 10_000, format(1), &[vec![1; 10]]);
        }
        assert_eq!(builder.finish().runs.len(), MAX_RUNS);
    }

    proptest! {
        #[test]
        fn nothing_panics(pieces in prop::collection::vec((any::<i64>(), 0usize..600, 0usize..4), 0..20)) {
            let mut builder = Builder::new();
            for (at, length, channels) in pieces {
                // Places on a clock, which never come near the end of the numbers.
                builder.add(at / 4, format(channels), &vec![vec![3; length]; channels]);
            }
            let pyramid = builder.finish();
            for run in &pyramid.runs {
                prop_assert!(run.length > 0 && run.tracks.iter().all(|it| it[WHOLE].len() == 1));
            }
        }
    }
}
