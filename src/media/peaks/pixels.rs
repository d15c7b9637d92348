//! Pixels of waveform files: the smallest and largest sample of every so many.

use super::block::{Sum, mix};
use super::{BLOCK, LEVELS, Track, View, block_samples};
use std::ops::Range;

/// Pixels of whole blocks on the clock: pixel n holds the samples from `scale`·n on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Samples a second.
    pub rate: u32,
    /// Samples a pixel: a multiple of [`BLOCK`].
    scale: i64,
    /// Number of the first pixel.
    first: i64,
    tracks: Vec<(Track, Extremes)>,
}

/// The smallest and largest sample of each pixel; where there are none, the smallest is above the largest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extremes {
    pub min: Vec<i16>,
    pub max: Vec<i16>,
}

impl Extremes {
    fn new(count: usize) -> Self {
        Self { min: vec![i16::MAX; count], max: vec![i16::MIN; count] }
    }

    pub fn len(&self) -> usize {
        self.min.len()
    }

    pub fn is_empty(&self) -> bool {
        self.min.is_empty()
    }

    /// Both of a pixel, or nothing where it has no samples.
    pub fn get(&self, pixel: usize) -> Option<(i16, i16)> {
        let (min, max) = (*self.min.get(pixel)?, *self.max.get(pixel)?);
        (min <= max).then_some((min, max))
    }

    fn take(&mut self, pixel: usize, min: i16, max: i16) {
        self.min[pixel] = self.min[pixel].min(min);
        self.max[pixel] = self.max[pixel].max(max);
    }
}

/// The pixels that begin inside a stretch of samples. So stretches that adjoin share none and lose none.
pub fn pixels_of(samples: Range<i64>, scale: i64) -> Range<i64> {
    let from = |sample: i64| sample.div_euclid(scale) + i64::from(sample.rem_euclid(scale) != 0);
    from(samples.start)..from(samples.end)
}

impl Pixels {
    /// Pixels that nothing is in yet.
    pub fn new(rate: u32, scale: i64, pixels: Range<i64>, tracks: &[Track]) -> Self {
        let count = usize::try_from(pixels.end - pixels.start).unwrap_or(0);
        let tracks = tracks.iter().map(|it| (*it, Extremes::new(count))).collect();
        Self { rate, scale: scale.max(BLOCK) / BLOCK * BLOCK, first: pixels.start, tracks }
    }

    /// The largest level that pixels are made of whole blocks of.
    pub fn level(scale: i64) -> usize {
        (0..LEVELS).rev().find(|it| scale % block_samples(*it) == 0).unwrap_or(0)
    }

    pub fn scale(&self) -> i64 {
        self.scale
    }

    pub fn tracks(&self) -> impl ExactSizeIterator<Item = &Extremes> {
        self.tracks.iter().map(|it| &it.1)
    }

    /// Adds what a segment has. One of another rate is put where its times fall.
    pub fn add(&mut self, view: &View<'_>) {
        let level = Self::level(self.scale);
        let size = block_samples(level);
        for run in view.runs() {
            for (track, extremes) in &mut self.tracks {
                // What has not the channel at all is heard in all of them.
                let blocks = view.blocks(run, *track, level).or_else(|| view.blocks(run, Track::Mix, level));
                let Some(blocks) = blocks else { continue };
                let pixel_of = |block: i64| {
                    let sample = (block * size).max(run.start);
                    let own = if view.rate == self.rate {
                        sample
                    } else {
                        (i128::from(sample) * i128::from(self.rate) / i128::from(view.rate.max(1))) as i64
                    };
                    own.div_euclid(self.scale) - self.first
                };
                let direct = view.rate == self.rate && self.scale == size;
                let begin = blocks.first - self.first;
                let end = begin.saturating_add(blocks.len() as i64);
                if direct && begin >= 0 && end <= extremes.len() as i64 {
                    // A block is a pixel.
                    let range = begin as usize..end as usize;
                    for (own, it) in extremes.min[range.clone()].iter_mut().zip(blocks.minima()) {
                        *own = (*own).min(it);
                    }
                    for (own, it) in extremes.max[range].iter_mut().zip(blocks.maxima()) {
                        *own = (*own).max(it);
                    }
                    continue;
                }
                for (at, (min, max)) in blocks.minima().zip(blocks.maxima()).enumerate() {
                    let pixel = pixel_of(blocks.first + at as i64);
                    if let Ok(pixel) = usize::try_from(pixel)
                        && pixel < extremes.len()
                    {
                        extremes.take(pixel, min, max);
                    }
                }
            }
        }
    }
}

/// Pixels of a file, from its first sample on, at any scale; the last may have fewer samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePixels {
    scale: usize,
    split: bool,
    /// Pixels over all tracks that may be made; what follows is not taken, and `full` says so.
    most: usize,
    filled: usize,
    tracks: Vec<Extremes>,
    mixed: Vec<i16>,
    pub full: bool,
}

impl FilePixels {
    /// `split` keeps the channels apart.
    pub fn new(scale: usize, split: bool, most: usize) -> Self {
        Self {
            scale: scale.max(1),
            split,
            most,
            filled: 0,
            tracks: Vec::new(),
            mixed: Vec::new(),
            full: false,
        }
    }

    pub fn tracks(&self) -> impl ExactSizeIterator<Item = &Extremes> {
        self.tracks.iter()
    }

    /// Adds the samples that come next.
    pub fn add(&mut self, channels: &[Vec<i16>]) {
        let slices: Vec<&[i16]> = channels.iter().map(Vec::as_slice).collect();
        let mut mixed = std::mem::take(&mut self.mixed);
        let tracks: Vec<&[i16]> = if self.split {
            slices
        } else {
            mix(&slices, &mut mixed);
            vec![&mixed]
        };
        if self.tracks.is_empty() {
            self.tracks = vec![Extremes::default(); tracks.len()];
        }
        let length = tracks.iter().map(|it| it.len()).min().unwrap_or(0);
        let mut from = 0;
        while from < length && !self.full {
            let to = (from + self.scale - self.filled).min(length);
            if self.filled == 0 {
                self.full = self.tracks.iter().map(Extremes::len).sum::<usize>() + tracks.len() > self.most;
                if self.full {
                    break;
                }
                for own in &mut self.tracks {
                    own.min.push(i16::MAX);
                    own.max.push(i16::MIN);
                }
            }
            for (own, samples) in self.tracks.iter_mut().zip(&tracks) {
                let sum = Sum::of(&samples[from..to]);
                let last = own.len() - 1;
                own.take(last, sum.min, sum.max);
            }
            self.filled = (self.filled + to - from) % self.scale;
            from = to;
        }
        self.mixed = mixed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::peaks::{Builder, Part};
    use crate::media::sound::SoundFormat;
    use proptest::prelude::*;

    fn samples(from: i64, count: usize) -> Vec<i16> {
        (0..count as i64).map(|it| ((from + it) * 7919 % 65_521 - 32_760) as i16).collect()
    }

    /// Pixels over `range` of samples that lie at 1000, in segments of `each`.
    fn drawn(range: Range<i64>, scale: i64, each: usize) -> Pixels {
        let format = SoundFormat { rate: 48_000, channels: 1 };
        let mut pixels = Pixels::new(48_000, scale, pixels_of(range, scale), &[Track::Mix]);
        let part = Part::with(Pixels::level(scale), false);
        for segment in 0..40_000 / each {
            let start = 1000 + (segment * each) as i64;
            let mut builder = Builder::new();
            builder.add(start, format, &[samples(start, each)]);
            pixels.add(&View::decode(part, &builder.finish().encode(part)).unwrap());
        }
        pixels
    }

    #[test]
    fn borders_of_segments_leave_no_trace() {
        for scale in [256, 512, 768, 1024, 4096, 5120] {
            let one = drawn(1000..41_000, scale, 40_000);
            for each in [100, 1000, 4000, 8000] {
                assert_eq!(drawn(1000..41_000, scale, each), one, "{scale} {each}");
            }
            let extremes = one.tracks().next().unwrap();
            for pixel in 0..extremes.len() {
                let from = (one.first + pixel as i64) * scale;
                let sum = Sum::of(&samples(from, (41_000 - from).min(scale) as usize));
                assert_eq!(extremes.get(pixel), Some((sum.min, sum.max)));
            }
        }
    }

    #[test]
    fn a_file_ends_in_a_part_of_a_pixel() {
        let mut pixels = FilePixels::new(300, true, 100);
        for piece in samples(0, 1000).chunks(77) {
            pixels.add(&[piece.to_vec(), vec![5; piece.len()]]);
        }
        assert_eq!(pixels.tracks().map(Extremes::len).collect::<Vec<_>>(), [4, 4]);
        let last = Sum::of(&samples(900, 100));
        assert_eq!(pixels.tracks[0].get(3), Some((last.min, last.max)));
        assert!(!pixels.full);
        let mut bounded = FilePixels::new(2, false, 10);
        bounded.add(&[samples(0, 1000)]);
        assert_eq!((bounded.full, bounded.tracks[0].len()), (true, 10));
    }

    #[test]
    fn another_rate_falls_where_its_times_do() {
        let mut builder = Builder::new();
        builder.add(24_000, SoundFormat { rate: 24_000, channels: 1 }, &[vec![9; 24_000]]);
        let bytes = builder.finish().encode(Part::Coarse);
        let mut pixels = Pixels::new(48_000, 8192, pixels_of(0..144_000, 8192), &[Track::Channel(0)]);
        pixels.add(&View::decode(Part::Coarse, &bytes).unwrap());
        let extremes = pixels.tracks().next().unwrap();
        let heard: Vec<usize> = (0..extremes.len()).filter(|it| extremes.get(*it).is_some()).collect();
        assert_eq!((heard.first(), heard.last()), (Some(&5), Some(&11)), "one to two seconds");
    }

    proptest! {
        #[test]
        fn adjoining_stretches_share_no_pixel_and_lose_none(a in -100_000i64..100_000, b in 0i64..100_000, c in 0i64..100_000, scale in 1i64..200) {
            let scale = scale * 256;
            let (first, second) = (pixels_of(a..a + b, scale), pixels_of(a + b..a + b + c, scale));
            prop_assert_eq!(first.end, second.start);
            prop_assert_eq!(first.start..second.end, pixels_of(a..a + b + c, scale));
        }
    }
}
