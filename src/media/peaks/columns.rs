//! Columns of a picture: any stretch of samples in any number of equal parts, whose borders fall where they fall.

use super::block::{Sum, mix};
use super::{LEVELS, Peak, Track, View, WHOLE, block_samples};
use std::ops::Range;

/// Blocks that make a column, at least. A block over a border counts on both sides by its share, so what is wrong in a
/// column is at most how uneven the two blocks at its borders are.
const BLOCKS: i64 = 4;

/// Samples of another rate that are put together.
const FEW: usize = 16;

/// No column found yet.
const NOWHERE: (usize, Range<i64>) = (0, 0..0);

/// What is known of one track in one column. Sums of whole numbers, so that the order of adding does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    min: i16,
    max: i16,
    samples: u64,
    /// Of |x|, in 65536ths of full scale.
    level: u64,
    /// Of x², in squares of those.
    squares: u128,
}

impl Default for Column {
    fn default() -> Self {
        Self { min: i16::MAX, max: i16::MIN, samples: 0, level: 0, squares: 0 }
    }
}

impl Column {
    fn add(&mut self, peak: Peak, samples: u64) {
        self.min = self.min.min(peak.min);
        self.max = self.max.max(peak.max);
        self.samples += samples;
        self.level += u64::from(peak.mean) * samples;
        self.squares += u128::from(u32::from(peak.rms) * u32::from(peak.rms)) * u128::from(samples);
    }

    /// True where nobody has samples: a hole, not silence.
    pub fn is_empty(&self) -> bool {
        self.samples == 0
    }

    /// Smallest and largest sample, -1 to 1.
    pub fn extremes(&self) -> Option<(f64, f64)> {
        (!self.is_empty()).then(|| (f64::from(self.min) / 32768.0, f64::from(self.max) / 32768.0))
    }

    /// Mean of |x|, 0 to 1.
    pub fn mean(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.level as f64 / self.samples as f64 / 65536.0)
    }

    /// Root of the mean square, 0 to 1.
    pub fn rms(&self) -> Option<f64> {
        (!self.is_empty()).then(|| (self.squares as f64 / self.samples as f64).sqrt() / 65536.0)
    }
}

/// Columns of some tracks over a stretch of samples, equally wide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    rate: u32,
    /// Place of the first sample.
    from: i64,
    /// Samples over all columns.
    total: i64,
    width: usize,
    tracks: Vec<(Track, Vec<Column>)>,
    mixed: Vec<i16>,
}

impl Columns {
    /// `width` columns over the `total` samples from place `from` on, of a clock of `rate`.
    pub fn new(rate: u32, from: i64, total: i64, width: usize, tracks: &[Track]) -> Self {
        let tracks = tracks.iter().map(|it| (*it, vec![Column::default(); width])).collect();
        Self { rate, from, total: total.max(1), width: width.max(1), tracks, mixed: Vec::new() }
    }

    pub fn tracks(&self) -> impl ExactSizeIterator<Item = &[Column]> {
        self.tracks.iter().map(|it| &*it.1)
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// The largest level that is fine enough, or `None` where only the samples themselves are.
    pub fn level(total: i64, width: usize) -> Option<usize> {
        let column = total / width.max(1) as i64;
        (0..LEVELS).rev().find(|level| block_samples(*level) * BLOCKS <= column)
    }

    /// Calls `take` for each column that samples `begin..end` reach into, with how many of them are in it. Column c holds
    /// the samples from ceil(c·total/width) to before that of c + 1.
    /// `near` is the column found last, where it begins and where it ends: mostly the next one too.
    fn spread(
        &self,
        begin: i64,
        end: i64,
        near: &mut (usize, Range<i64>),
        mut take: impl FnMut(usize, i64, i64),
    ) {
        let place = |sample: i64| sample.saturating_sub(self.from).clamp(0, self.total);
        let (mut at, end) = (place(begin), place(end));
        while at < end {
            if !near.1.contains(&at) {
                let (column, border) = self.column(at);
                *near = (column.min(self.width - 1), at..border);
            }
            let to = near.1.end.min(end).max(at + 1);
            take(near.0, at + self.from, to + self.from);
            at = to;
        }
    }

    /// The column of a place, and where the next one begins.
    fn column(&self, at: i64) -> (usize, i64) {
        // Days at any rate; dividing 128 bits takes ten times as long.
        let (width, total) = (self.width as u64, self.total as u64);
        if total.checked_add(1).and_then(|it| it.checked_mul(width)).is_some() {
            let column = at as u64 * width / total;
            return (column as usize, ((column + 1) * total).div_ceil(width) as i64);
        }
        let (width, total) = (self.width as i128, i128::from(self.total));
        let column = i128::from(at) * width / total;
        (column as usize, (((column + 1) * total + width - 1) / width) as i64)
    }

    /// Adds what a segment has.
    pub fn add(&mut self, view: &View<'_>) {
        let Some(fine) = Self::level(self.total, self.width) else { return };
        let mut tracks = std::mem::take(&mut self.tracks);
        let mut near = NOWHERE;
        for run in view.runs() {
            // A run that is short beside a column is one block.
            let whole = (run.length as i64).saturating_mul(BLOCKS) <= self.total / self.width as i64;
            let level = if whole && fine >= 2 { WHOLE } else { fine };
            let last = run.start + run.length as i64;
            for (track, columns) in &mut tracks {
                let blocks = view.blocks(run, *track, level).or_else(|| view.blocks(run, Track::Mix, level));
                let Some(blocks) = blocks else { continue };
                for (at, peak) in blocks.peaks().enumerate() {
                    let (begin, end) = if level == WHOLE {
                        (run.start, last)
                    } else {
                        let begin = (blocks.first + at as i64) * block_samples(level);
                        (begin.max(run.start), (begin + block_samples(level)).min(last))
                    };
                    let (begin, end) = (self.own(begin, view.rate), self.own(end, view.rate));
                    self.spread(begin, end, &mut near, |column, from, to| {
                        columns[column].add(peak, (to - from) as u64);
                    });
                }
            }
        }
        self.tracks = tracks;
    }

    /// A place on the clock of another rate.
    fn own(&self, sample: i64, rate: u32) -> i64 {
        if rate == self.rate {
            return sample;
        }
        (i128::from(sample) * i128::from(self.rate) / i128::from(rate.max(1))) as i64
    }

    /// Adds samples as they are, the first at place `position` of a clock of `rate`. Those of another rate are put where
    /// their times fall, a few together.
    pub fn add_samples(&mut self, position: i64, rate: u32, channels: &[Vec<i16>]) {
        let slices: Vec<&[i16]> = channels.iter().map(Vec::as_slice).collect();
        let mut mixed = std::mem::take(&mut self.mixed);
        mix(&slices, &mut mixed);
        let mut tracks = std::mem::take(&mut self.tracks);
        let mut near = NOWHERE;
        for (track, columns) in &mut tracks {
            let samples = match track {
                Track::Channel(channel) if slices.len() > 1 => {
                    slices.get(*channel).copied().unwrap_or_default()
                }
                _ => &mixed,
            };
            if rate != self.rate {
                for (number, few) in samples.chunks(FEW).enumerate() {
                    let begin = position + (number * FEW) as i64;
                    let (begin, end) = (self.own(begin, rate), self.own(begin + few.len() as i64, rate));
                    let Some(peak) = Sum::of(few).peak() else { continue };
                    self.spread(begin, end, &mut near, |column, from, to| {
                        columns[column].add(peak, (to - from) as u64);
                    });
                }
                continue;
            }
            self.spread(position, position + samples.len() as i64, &mut near, |column, from, to| {
                let sum = Sum::of(&samples[(from - position) as usize..(to - position) as usize]);
                let it = &mut columns[column];
                it.min = it.min.min(sum.min);
                it.max = it.max.max(sum.max);
                it.samples += sum.count;
                it.level += 2 * sum.level;
                // Whole numbers again: the squares of a column's part fit a double exactly enough.
                it.squares += (sum.squares * 4.0) as u128;
            });
        }
        (self.tracks, self.mixed) = (tracks, mixed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::peaks::{Builder, Part};
    use crate::media::sound::SoundFormat;

    const FORMAT: SoundFormat = SoundFormat { rate: 1000, channels: 2 };

    #[test]
    fn samples_fall_into_their_columns_and_holes_stay_empty() {
        let mut columns = Columns::new(1000, 0, 10, 5, &[Track::Channel(0), Track::Channel(1)]);
        let part =
            |samples: &[f32]| vec![samples.iter().map(|it| (it * 32768.0) as i16).collect::<Vec<_>>(); 2];
        columns.add_samples(-2, 1000, &part(&[0.9, 0.9, 0.5, -1.0, 0.25]));
        columns.add_samples(8, 1000, &part(&[-0.5, 0.5, 0.7]));
        let track = columns.tracks().nth(1).unwrap();
        let means: Vec<_> = track.iter().map(Column::mean).collect();
        assert_eq!(means, [Some(0.75), Some(0.25), None, None, Some(0.5)]);
        assert_eq!(track[0].extremes(), Some((-1.0, 0.5)));
        assert_eq!(track[4].rms(), Some(0.5));
        assert!(track[2].is_empty());
    }

    /// A sweep in level over 200,000 samples, in segments.
    fn segments() -> Vec<(i64, Vec<Vec<i16>>)> {
        let sample = |it: i64| ((it * 7919 % 65_521 - 32_760) * (it + 1000) / 210_000) as i16;
        (0..20)
            .map(|number| {
                let start = 1_000_077 + number * 10_000;
                let left = (start..start + 10_000).map(|it| sample(it - 1_000_077)).collect::<Vec<_>>();
                (start, vec![left.iter().map(|it| it / 2).collect(), left])
            })
            .collect()
    }

    #[test]
    fn columns_of_blocks_are_those_of_samples() {
        let tracks = [Track::Mix, Track::Channel(0), Track::Channel(1)];
        for (width, from, total) in
            [(40, 1_000_077, 200_000), (100, 1_012_345, 150_000), (3, 990_000, 210_000)]
        {
            let level = Columns::level(total, width).unwrap();
            let mut exact = Columns::new(1000, from, total, width, &tracks);
            let mut blocks = exact.clone();
            for (start, channels) in segments() {
                exact.add_samples(start, 1000, &channels);
                let mut builder = Builder::new();
                builder.add(start, FORMAT, &channels);
                let pyramid = builder.finish();
                for part in Part::ALL {
                    let bytes = pyramid.encode(part);
                    let view = View::decode(part, &bytes).unwrap();
                    // Coarse levels have all tracks in one part.
                    if part == Part::Coarse || level < 2 && part == Part::Channels {
                        blocks.add(&view);
                    }
                }
            }
            let skip = usize::from(level < 2);
            for (exact, own) in exact.tracks().zip(blocks.tracks()).skip(skip) {
                for (exact, own) in exact.iter().zip(own) {
                    let far = |a: Option<f64>, b: Option<f64>| match (a, b) {
                        (Some(a), Some(b)) => (a - b).abs(),
                        (None, None) => 0.0,
                        _ => 1.0,
                    };
                    assert!(far(exact.mean(), own.mean()) < 0.01, "{width}: {exact:?} {own:?}");
                    assert!(far(exact.rms(), own.rms()) < 0.01, "{width}: {exact:?} {own:?}");
                }
            }
        }
    }

    #[test]
    fn zooming_in_comes_to_the_samples() {
        assert_eq!(Columns::level(1024 * 1023, 1024), None);
        assert_eq!(Columns::level(1024 * 1024, 1024), Some(0));
        assert_eq!(Columns::level(6 * 3600 * 48_000, 1024), Some(4));
    }
}
