//! Sums over samples: the inner loop of everything here.

use super::Peak;
use crate::media::ffi::in_vectors;
use wide::{f32x4, i16x8, i32x4};

/// What a peak is reckoned from. Adding up is exact, but for the squares' last digits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sum {
    pub min: i16,
    pub max: i16,
    pub count: u64,
    /// Of |x|.
    pub level: u64,
    /// Of x².
    pub squares: f64,
}

impl Default for Sum {
    fn default() -> Self {
        Self { min: i16::MAX, max: i16::MIN, count: 0, level: 0, squares: 0.0 }
    }
}

/// Samples added in 32 bits before they are carried: 32768 of |x| ≤ 32768 fit each of four lanes, and as many signs the
/// 16 bits of eight.
const CARRY: usize = 1 << 15;

impl Sum {
    /// The sum of some samples.
    pub fn of(samples: &[i16]) -> Self {
        let mut sum = Self::default();
        for part in samples.chunks(CARRY) {
            sum.add(part);
        }
        sum
    }

    /// Written in vectors: what the compiler makes of the plain loop takes five times as long, a tenth of all that a
    /// waveform costs.
    fn add(&mut self, samples: &[i16]) {
        let (chunks, rest) = samples.as_chunks::<8>();
        let (mut min, mut max) = (i16x8::splat(i16::MAX), i16x8::splat(i16::MIN));
        let (mut level, mut negative, mut squares) = (i32x4::ZERO, i16x8::ZERO, f32x4::ZERO);
        for chunk in chunks {
            let x = i16x8::new(*chunk);
            (min, max) = (min.min(x), max.max(x));
            // |x| of what is below zero is its complement and one.
            let sign: i16x8 = x >> 15;
            level += (x ^ sign).dot(i16x8::ONE);
            negative -= sign;
            // Two squares of -32768 are 2³¹, which an i32 takes for -2³¹.
            squares += f32x4::from_i32x4(x.dot(x)).abs();
        }
        level += negative.dot(i16x8::ONE);
        self.min = min.to_array().into_iter().fold(self.min, i16::min);
        self.max = max.to_array().into_iter().fold(self.max, i16::max);
        self.count += samples.len() as u64;
        self.level += level.to_array().into_iter().map(|it| it as u64).sum::<u64>();
        self.squares += squares.to_array().into_iter().map(f64::from).sum::<f64>();
        for sample in rest {
            (self.min, self.max) = (self.min.min(*sample), self.max.max(*sample));
            self.level += u64::from(sample.unsigned_abs());
            self.squares += f64::from(*sample) * f64::from(*sample);
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.count += other.count;
        self.level += other.level;
        self.squares += other.squares;
    }

    /// `None` for no samples at all.
    pub fn peak(&self) -> Option<Peak> {
        if self.count == 0 {
            return None;
        }
        let count = self.count as f64;
        // In 65536ths: full scale is 32768. Rounded by hand: the function is a call on processors of before 2008, for which
        // this is built too.
        let scaled = |value: f64| (value * 2.0 + 0.5).min(65535.0) as u16;
        Some(Peak {
            min: self.min,
            max: self.max,
            mean: scaled(self.level as f64 / count),
            rms: scaled((self.squares / count).sqrt()),
        })
    }
}

/// The mean of the channels, sample by sample, cut off towards zero: as audiowaveform mixes.
pub fn mix(channels: &[&[i16]], out: &mut Vec<i16>) {
    if channels.len() != 2 {
        out.clear();
    }
    match channels {
        [] => {}
        [one] => out.extend_from_slice(one),
        [left, right] => mix_two(left, right, out),
        many => {
            let samples = many.iter().map(|it| it.len()).min().unwrap_or(0);
            let count = many.len() as i32;
            let sum = |at: usize| many.iter().map(|it| i32::from(it[at])).sum::<i32>();
            out.extend((0..samples).map(|at| (sum(at) / count) as i16));
        }
    }
}

/// In the place of what `out` held: mostly as many.
fn mix_two(left: &[i16], right: &[i16], out: &mut Vec<i16>) {
    out.resize(left.len().min(right.len()), 0);
    in_vectors(
        #[inline(always)]
        || {
            for ((to, left), right) in out.iter_mut().zip(left).zip(right) {
                *to = ((i32::from(*left) + i32::from(*right)) / 2) as i16;
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn full_scale_does_not_overflow() {
        let loud = vec![i16::MIN; 100_000];
        let peak = Sum::of(&loud).peak().unwrap();
        assert_eq!(peak, Peak { min: i16::MIN, max: i16::MIN, mean: 65535, rms: 65535 });
        assert_eq!(Sum::default().peak(), None);
    }

    #[test]
    fn channels_are_mixed_towards_zero() {
        let mut out = Vec::new();
        mix(&[&[3, -3, i16::MIN], &[0, 0, i16::MIN]], &mut out);
        assert_eq!(out, [1, -1, i16::MIN]);
        mix(&[&[5, -5], &[5, -5], &[1, -1]], &mut out);
        assert_eq!(out, [3, -3]);
        mix(&[&[7]], &mut out);
        assert_eq!(out, [7]);
        let edges = [i16::MIN, i16::MIN + 1, -3, -2, -1, 0, 1, 2, 3, i16::MAX - 1, i16::MAX];
        for right in edges {
            mix(&[&edges, &[right; 10]], &mut out);
            let wanted = edges[..10].iter().map(|left| ((i32::from(*left) + i32::from(right)) / 2) as i16);
            assert_eq!(out, wanted.collect::<Vec<i16>>(), "{right}");
        }
    }

    proptest! {
        #[test]
        fn sums_are_those_of_a_plain_loop(samples in prop::collection::vec(any::<i16>(), 1..700), cut in 0usize..700) {
            let sum = Sum::of(&samples);
            prop_assert_eq!(sum.min, *samples.iter().min().unwrap());
            prop_assert_eq!(sum.max, *samples.iter().max().unwrap());
            prop_assert_eq!(sum.level, samples.iter().map(|it| u64::from(it.unsigned_abs())).sum::<u64>());
            let squares: f64 = samples.iter().map(|it| f64::from(*it).powi(2)).sum();
            prop_assert!((sum.squares - squares).abs() <= squares * 1e-5);
            let (first, second) = samples.split_at(cut.min(samples.len()));
            let mut parts = Sum::of(first);
            parts.merge(&Sum::of(second));
            prop_assert_eq!((parts.min, parts.max, parts.count, parts.level), (sum.min, sum.max, sum.count, sum.level));
        }
    }
}
