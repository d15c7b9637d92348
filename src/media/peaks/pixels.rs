//! Pixels of waveform files: the smallest and largest sample of every so many.

use super::block::{Sum, mix};
use super::format::{Blocks, PLANE, signed};
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

/// The smallest and the largest sample of each pixel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extremes {
    /// 0 and 0 where there are no samples.
    pairs: Vec<[i16; 2]>,
    filled: Filled,
}

impl Extremes {
    /// Pixels that nothing is in yet.
    fn new(count: usize) -> Self {
        // Zeros come from the system as they are: those that are written once are not written twice.
        Self { pairs: vec![[0; 2]; count], filled: Filled::default() }
    }

    /// Pixels of which all is known.
    #[cfg(test)]
    pub fn of_pairs(pairs: impl IntoIterator<Item = Option<(i16, i16)>>) -> Self {
        let pairs: Vec<_> = pairs.into_iter().collect();
        let mut it = Self::new(pairs.len());
        for (pixel, pair) in pairs.into_iter().enumerate() {
            if let Some((min, max)) = pair {
                it.take(pixel, min, max);
            }
        }
        it
    }

    /// Both of each pixel; 0 and 0 where it has no samples, as waveform files have it.
    pub fn pairs(&self) -> &[[i16; 2]] {
        &self.pairs
    }

    /// Whether no pixel has any samples.
    pub fn is_empty(&self) -> bool {
        self.filled.0.is_empty()
    }

    /// Stretches of pixels without samples.
    pub fn holes(&self) -> impl Iterator<Item = Range<usize>> {
        let ends = self.filled.0.iter().map(|it| it.end);
        let starts = self.filled.0.iter().map(|it| it.start).chain(std::iter::once(self.pairs.len()));
        std::iter::once(0).chain(ends).zip(starts).map(|(end, start)| end..start).filter(|it| !it.is_empty())
    }

    /// Both of a pixel, or nothing where it has no samples.
    pub fn get(&self, pixel: usize) -> Option<(i16, i16)> {
        let [min, max] = *self.pairs.get(pixel)?;
        self.filled.contains(pixel).then_some((min, max))
    }

    /// Adds blocks that lie one after the other, `each` a pixel, the first of them number `first`.
    fn add(&mut self, first: i64, each: i64, blocks: &Blocks<'_>) {
        let last = first.saturating_add(blocks.len() as i64);
        let pixel = |block: i64| usize::try_from(block.max(0)).unwrap_or(usize::MAX).min(self.pairs.len());
        let pixels = pixel(first.div_euclid(each))..pixel((last - 1).div_euclid(each) + 1);
        for (pixels, had) in self.filled.insert(pixels) {
            let from = (pixels.start as i64 * each).max(first);
            let to = (pixels.end as i64 * each).min(last);
            let blocks = blocks.slice((from - first) as usize..(to - first) as usize);
            let lead = ((pixels.start as i64 + 1) * each).min(last) - from;
            let pairs = &mut self.pairs[pixels];
            if had {
                fold(pairs, each as usize, lead as usize, &blocks, |[min, max], [own_min, own_max]| {
                    [min.min(own_min), max.max(own_max)]
                });
            } else {
                fold(pairs, each as usize, lead as usize, &blocks, |own, _| own);
            }
        }
    }

    /// Adds what is known of one pixel.
    fn take(&mut self, pixel: usize, min: i16, max: i16) {
        for (pixels, had) in self.filled.insert(pixel..pixel + 1) {
            let pair = &mut self.pairs[pixels.start];
            *pair = if had { [pair[0].min(min), pair[1].max(max)] } else { [min, max] };
        }
    }
}

/// Makes each pair of `each` blocks, the first of `lead`; `join` is given what they come to and what was there.
fn fold(
    pairs: &mut [[i16; 2]],
    each: usize,
    lead: usize,
    blocks: &Blocks<'_>,
    join: impl Fn([i16; 2], [i16; 2]) -> [i16; 2],
) {
    if each == 1 {
        for (pair, (min, max)) in pairs.iter_mut().zip(blocks.minima().zip(blocks.maxima())) {
            *pair = join([min, max], *pair);
        }
        return;
    }
    let Some((first, rest)) = pairs.split_first_mut() else { return };
    let least = |values: &[u8]| signed(values).fold(i16::MAX, i16::min);
    let most = |values: &[u8]| signed(values).fold(i16::MIN, i16::max);
    let (minima, maxima) = blocks.extremes();
    let (min, minima) = minima.split_at((lead * PLANE).min(minima.len()));
    let (max, maxima) = maxima.split_at((lead * PLANE).min(maxima.len()));
    *first = join([least(min), most(max)], *first);
    if each == 2 {
        let pairs = |values: &[u8]| values.as_chunks::<{ 2 * PLANE }>().0.len();
        let whole = pairs(minima).min(pairs(maxima)).min(rest.len());
        let (whole, last) = rest.split_at_mut(whole);
        let values = minima.as_chunks().0.iter().zip(maxima.as_chunks().0);
        for (pair, ([a, b, c, d], [e, f, g, h])) in whole.iter_mut().zip(values) {
            let min = i16::from_le_bytes([*a, *b]).min(i16::from_le_bytes([*c, *d]));
            let max = i16::from_le_bytes([*e, *f]).max(i16::from_le_bytes([*g, *h]));
            *pair = join([min, max], *pair);
        }
        let done = whole.len() * 2 * PLANE;
        if let (Some(pair), false) = (last.first_mut(), done >= minima.len()) {
            *pair = join([least(&minima[done..]), most(&maxima[done..])], *pair);
        }
        return;
    }
    let values = minima.chunks(each * PLANE).zip(maxima.chunks(each * PLANE));
    for (pair, (min, max)) in rest.iter_mut().zip(values) {
        *pair = join([least(min), most(max)], *pair);
    }
}

/// Which pixels have samples: stretches in order that do not touch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Filled(Vec<Range<usize>>);

impl Filled {
    fn contains(&self, pixel: usize) -> bool {
        let after = self.0.partition_point(|it| it.start <= pixel);
        after > 0 && pixel < self.0[after - 1].end
    }

    /// Enters a stretch, and gives its parts: those that were there, and those that were not.
    fn insert(&mut self, range: Range<usize>) -> Vec<(Range<usize>, bool)> {
        if range.is_empty() {
            return Vec::new();
        }
        // Segments mostly come in order.
        match self.0.last_mut() {
            Some(last) if last.end == range.start => {
                last.end = range.end;
                return vec![(range, false)];
            }
            Some(last) if last.end < range.start => {
                self.0.push(range.clone());
                return vec![(range, false)];
            }
            None => {
                self.0.push(range.clone());
                return vec![(range, false)];
            }
            Some(_) => {}
        }
        let from = self.0.partition_point(|it| it.end < range.start);
        let to = self.0.partition_point(|it| it.start <= range.end);
        let mut parts = Vec::new();
        let mut at = range.start;
        let mut whole = range.clone();
        for old in &self.0[from..to] {
            let (start, end) = (old.start.max(range.start), old.end.min(range.end));
            parts.extend((at < start).then_some((at..start, false)));
            parts.extend((start < end).then_some((start..end, true)));
            at = at.max(end);
            whole = whole.start.min(old.start)..whole.end.max(old.end);
        }
        parts.extend((at < range.end).then_some((at..range.end, false)));
        self.0.splice(from..to, [whole]);
        parts
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
        let each = self.scale / size;
        for run in view.runs() {
            for (track, extremes) in &mut self.tracks {
                // What has not the channel at all is heard in all of them.
                let blocks = view.blocks(run, *track, level).or_else(|| view.blocks(run, Track::Mix, level));
                let Some(blocks) = blocks else { continue };
                if view.rate == self.rate {
                    extremes.add(blocks.first - self.first * each, each, &blocks);
                    continue;
                }
                for (at, (min, max)) in blocks.minima().zip(blocks.maxima()).enumerate() {
                    let sample = i128::from(((blocks.first + at as i64) * size).max(run.start));
                    let own = (sample * i128::from(self.rate) / i128::from(view.rate.max(1))) as i64;
                    let pixel = usize::try_from(own.div_euclid(self.scale) - self.first);
                    if let Some(pixel) = pixel.ok().filter(|it| *it < extremes.pairs.len()) {
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
    pub fn finish(self) -> Vec<Extremes> {
        let all = |pairs: Vec<[i16; 2]>| Extremes {
            filled: Filled((!pairs.is_empty()).then_some(0..pairs.len()).into_iter().collect()),
            pairs,
        };
        self.tracks.into_iter().map(all).collect()
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
            for pixel in 0..extremes.pairs.len() {
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
        assert!(!pixels.full);
        let tracks = pixels.finish();
        assert_eq!(tracks.iter().map(|it| it.pairs.len()).collect::<Vec<_>>(), [4, 4]);
        let last = Sum::of(&samples(900, 100));
        assert_eq!(tracks[0].get(3), Some((last.min, last.max)));
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
        let heard: Vec<usize> = (0..extremes.pairs.len()).filter(|it| extremes.get(*it).is_some()).collect();
        assert_eq!((heard.first(), heard.last()), (Some(&5), Some(&11)), "one to two seconds");
    }

    proptest! {
        #[test]
        fn pixels_are_those_of_a_plain_loop(
            runs in prop::collection::vec((0i64..60_000, 1usize..9000), 0..8),
            scale in 1i64..40,
            from in 0i64..30_000,
        ) {
            let (scale, format) = (scale * 256, SoundFormat { rate: 48_000, channels: 1 });
            let range = pixels_of(from..from + 40_000, scale);
            let mut pixels = Pixels::new(48_000, scale, range.clone(), &[Track::Mix]);
            let part = Part::with(Pixels::level(scale), false);
            let mut plain: Vec<Option<(i16, i16)>> = vec![None; (range.end - range.start) as usize];
            for (start, count) in runs {
                let samples = samples(start, count);
                let mut builder = Builder::new();
                builder.add(start, format, std::slice::from_ref(&samples));
                pixels.add(&View::decode(part, &builder.finish().encode(part)).unwrap());
                for (at, sample) in samples.into_iter().enumerate() {
                    let pixel = (start + at as i64).div_euclid(scale) - range.start;
                    if let Some(own) = usize::try_from(pixel).ok().and_then(|it| plain.get_mut(it)) {
                        let (min, max) = own.unwrap_or((sample, sample));
                        *own = Some((min.min(sample), max.max(sample)));
                    }
                }
            }
            let track = pixels.tracks().next().unwrap();
            let drawn: Vec<_> = (0..plain.len()).map(|it| track.get(it)).collect();
            prop_assert_eq!(&drawn, &plain);
            let mut holes = vec![false; plain.len()];
            track.holes().for_each(|it| holes[it].fill(true));
            prop_assert!(plain.iter().zip(&holes).all(|(own, hole)| own.is_none() == *hole));
            prop_assert_eq!(track.is_empty(), plain.iter().all(Option::is_none));
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
