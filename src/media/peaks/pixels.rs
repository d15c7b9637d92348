//! Pixels of waveform files: the smallest and largest sample of every so many.

use super::audiowaveform::Bits;
use super::block::{Sum, mix};
use super::extremes::{Extremes, Shared};
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
    tracks: Vec<Track>,
    extremes: Extremes,
}

/// Pixels that are being filled, by any number of threads.
#[derive(Debug)]
pub struct SharedPixels<'a> {
    rate: u32,
    scale: i64,
    first: i64,
    tracks: &'a [Track],
    extremes: Shared<'a>,
}

/// The pixels that begin inside a stretch of samples. So stretches that adjoin share none and lose none.
pub fn pixels_of(samples: Range<i64>, scale: i64) -> Range<i64> {
    let from = |sample: i64| sample.div_euclid(scale) + i64::from(sample.rem_euclid(scale) != 0);
    from(samples.start)..from(samples.end)
}

impl Pixels {
    /// Pixels that nothing is in yet.
    pub fn new(rate: u32, scale: i64, pixels: Range<i64>, tracks: &[Track], bits: Bits) -> Self {
        let count = usize::try_from(pixels.end - pixels.start).unwrap_or(0);
        let extremes = Extremes::new(bits, tracks.len(), count);
        let scale = scale.max(BLOCK) / BLOCK * BLOCK;
        Self { rate, scale, first: pixels.start, tracks: tracks.to_vec(), extremes }
    }

    /// The largest level that pixels are made of whole blocks of.
    pub fn level(scale: i64) -> usize {
        (0..LEVELS).rev().find(|it| scale % block_samples(*it) == 0).unwrap_or(0)
    }

    pub fn scale(&self) -> i64 {
        self.scale
    }

    pub fn extremes(&self) -> &Extremes {
        &self.extremes
    }

    pub fn into_extremes(self) -> Extremes {
        self.extremes
    }

    /// For several threads to fill.
    pub fn shared(&mut self) -> SharedPixels<'_> {
        let Self { rate, scale, first, ref tracks, ref mut extremes } = *self;
        SharedPixels { rate, scale, first, tracks, extremes: extremes.shared() }
    }
}

impl SharedPixels<'_> {
    /// Adds what a segment has. One of another rate is put where its times fall.
    pub fn add(&self, view: &View<'_>) {
        let level = Pixels::level(self.scale);
        let size = block_samples(level);
        let each = self.scale / size;
        for run in view.runs() {
            for (number, track) in self.tracks.iter().enumerate() {
                // What has not the channel at all is heard in all of them.
                let blocks = view.blocks(run, *track, level).or_else(|| view.blocks(run, Track::Mix, level));
                let Some(blocks) = blocks else { continue };
                if view.rate == self.rate {
                    self.extremes.add(number, blocks.first - self.first * each, each, &blocks);
                    continue;
                }
                for (at, (min, max)) in blocks.minima().zip(blocks.maxima()).enumerate() {
                    let sample = i128::from(((blocks.first + at as i64) * size).max(run.start));
                    let own = (sample * i128::from(self.rate) / i128::from(view.rate.max(1))) as i64;
                    if let Ok(pixel) = usize::try_from(own.div_euclid(self.scale) - self.first) {
                        self.extremes.take(number, pixel, min, max);
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
    tracks: Vec<Vec<[i16; 2]>>,
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

    /// What was made of all of it.
    pub fn finish(self, bits: Bits) -> Extremes {
        Extremes::of_tracks(bits, &self.tracks)
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
            self.tracks = vec![Vec::new(); tracks.len()];
        }
        let length = tracks.iter().map(|it| it.len()).min().unwrap_or(0);
        let mut from = 0;
        while from < length && !self.full {
            let to = (from + self.scale - self.filled).min(length);
            if self.filled == 0 {
                self.full = self.tracks.iter().map(Vec::len).sum::<usize>() + tracks.len() > self.most;
                if self.full {
                    break;
                }
                self.tracks.iter_mut().for_each(|it| it.push([i16::MAX, i16::MIN]));
            }
            for (own, samples) in self.tracks.iter_mut().zip(&tracks) {
                let sum = Sum::of(&samples[from..to]);
                if let Some([min, max]) = own.last_mut() {
                    (*min, *max) = ((*min).min(sum.min), (*max).max(sum.max));
                }
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
        let mut pixels = Pixels::new(48_000, scale, pixels_of(range, scale), &[Track::Mix], Bits::Sixteen);
        let part = Part::with(Pixels::level(scale), false);
        for segment in 0..40_000 / each {
            let start = 1000 + (segment * each) as i64;
            let mut builder = Builder::new();
            builder.add(start, format, &[samples(start, each)]);
            pixels.shared().add(&View::decode(part, &builder.finish().encode(part)).unwrap());
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
            let extremes = one.extremes();
            assert_eq!(extremes.count(), extremes.pairs_of(0).len());
            for (pixel, pair) in extremes.pairs_of(0).into_iter().enumerate() {
                let from = (one.first + pixel as i64) * scale;
                let sum = Sum::of(&samples(from, (41_000 - from).min(scale) as usize));
                assert_eq!(pair, [sum.min, sum.max]);
            }
            assert!(extremes.holes(0).is_empty());
        }
    }

    #[test]
    fn a_file_ends_in_a_part_of_a_pixel() {
        let mut pixels = FilePixels::new(300, true, 100);
        for piece in samples(0, 1000).chunks(77) {
            pixels.add(&[piece.to_vec(), vec![5; piece.len()]]);
        }
        assert!(!pixels.full);
        let extremes = pixels.finish(Bits::Sixteen);
        assert_eq!((extremes.tracks(), extremes.count()), (2, 4));
        let last = Sum::of(&samples(900, 100));
        let lasts: Vec<_> = (0..2).map(|it| extremes.pairs_of(it)[3]).collect();
        assert_eq!(lasts, [[last.min, last.max], [5, 5]]);
        let mut bounded = FilePixels::new(2, false, 10);
        bounded.add(&[samples(0, 1000)]);
        assert_eq!((bounded.full, bounded.tracks[0].len()), (true, 10));
    }

    #[test]
    fn another_rate_falls_where_its_times_do() {
        let mut builder = Builder::new();
        builder.add(24_000, SoundFormat { rate: 24_000, channels: 1 }, &[vec![9; 24_000]]);
        let bytes = builder.finish().encode(Part::Coarse);
        let range = pixels_of(0..144_000, 8192);
        let mut pixels = Pixels::new(48_000, 8192, range, &[Track::Channel(0)], Bits::Sixteen);
        pixels.shared().add(&View::decode(Part::Coarse, &bytes).unwrap());
        assert_eq!(pixels.extremes().holes(0), [0..5, 12..18], "one to two seconds");
    }

    proptest! {
        #[test]
        fn pixels_are_those_of_a_plain_loop(
            runs in prop::collection::vec((0i64..60_000, 1usize..9000), 0..8),
            scale in 1i64..40,
            from in 0i64..30_000,
            channels in 1usize..4,
            narrow: bool,
        ) {
            let (scale, format) = (scale * 256, SoundFormat { rate: 48_000, channels });
            let bits = if narrow { Bits::Eight } else { Bits::Sixteen };
            let range = pixels_of(from..from + 40_000, scale);
            let tracks: Vec<_> = (0..channels).map(Track::Channel).collect();
            let mut pixels = Pixels::new(48_000, scale, range.clone(), &tracks, bits);
            let part = Part::with(Pixels::level(scale), true);
            let mut plain: Vec<Vec<Option<(i16, i16)>>> = vec![vec![None; (range.end - range.start) as usize]; channels];
            for (start, count) in runs {
                let samples: Vec<_> = (0..channels as i64).map(|it| samples(start + it * 1000, count)).collect();
                let mut builder = Builder::new();
                builder.add(start, format, &samples);
                pixels.shared().add(&View::decode(part, &builder.finish().encode(part)).unwrap());
                for (plain, samples) in plain.iter_mut().zip(samples) {
                    for (at, sample) in samples.into_iter().enumerate() {
                        let pixel = (start + at as i64).div_euclid(scale) - range.start;
                        if let Some(own) = usize::try_from(pixel).ok().and_then(|it| plain.get_mut(it)) {
                            let sample = if narrow { sample / 256 } else { sample };
                            let (min, max) = own.unwrap_or((sample, sample));
                            *own = Some((min.min(sample), max.max(sample)));
                        }
                    }
                }
            }
            let extremes = pixels.into_extremes();
            for (track, plain) in plain.iter().enumerate() {
                let drawn: Vec<_> = (0..plain.len()).map(|it| extremes.get(track, it)).collect();
                prop_assert_eq!(&drawn, plain);
                prop_assert!(extremes.pairs_of(track).iter().zip(plain).all(|(pair, own)| own.is_some() || *pair == [0, 0]));
            }
            prop_assert_eq!(extremes.is_empty(), plain.iter().flatten().all(Option::is_none));
        }

        #[test]
        fn adjoining_stretches_share_no_pixel_and_lose_none(a in -100_000i64..100_000, b in 0i64..100_000, c in 0i64..100_000, scale in 1i64..200) {
            let scale = scale * 256;
            let (first, second) = (pixels_of(a..a + b, scale), pixels_of(a + b..a + b + c, scale));
            prop_assert_eq!(first.end, second.start);
            prop_assert_eq!(first.start..second.end, pixels_of(a..a + b + c, scale));
        }
    }
}
