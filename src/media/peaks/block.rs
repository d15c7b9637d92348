//! Sums over samples: the inner loop of everything here.

use super::Peak;

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

/// Samples worked on side by side: as many as fit a register of the processors this is built for.
const LANES: usize = 8;

/// Samples added in 32 bits before they are carried: 32768 of |x| ≤ 32768 fit each lane.
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

    fn add(&mut self, samples: &[i16]) {
        let (mut min, mut max) = ([i16::MAX; LANES], [i16::MIN; LANES]);
        let (mut level, mut squares) = ([0u32; LANES], [0f32; LANES]);
        let chunks = samples.chunks_exact(LANES);
        let rest = chunks.remainder();
        for chunk in chunks {
            for lane in 0..LANES {
                let sample = chunk[lane];
                min[lane] = min[lane].min(sample);
                max[lane] = max[lane].max(sample);
                level[lane] += i32::from(sample).unsigned_abs();
                squares[lane] += f32::from(sample) * f32::from(sample);
            }
        }
        for (lane, sample) in rest.iter().enumerate() {
            min[lane] = min[lane].min(*sample);
            max[lane] = max[lane].max(*sample);
            level[lane] += i32::from(*sample).unsigned_abs();
            squares[lane] += f32::from(*sample) * f32::from(*sample);
        }
        self.min = min.into_iter().fold(self.min, i16::min);
        self.max = max.into_iter().fold(self.max, i16::max);
        self.count += samples.len() as u64;
        self.level += level.into_iter().map(u64::from).sum::<u64>();
        self.squares += squares.into_iter().map(f64::from).sum::<f64>();
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
        // In 65536ths: full scale is 32768.
        let scaled = |value: f64| (value * 2.0).round().min(65535.0) as u16;
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
    out.clear();
    match channels {
        [] => {}
        [one] => out.extend_from_slice(one),
        [left, right] => out.extend(
            left.iter().zip(*right).map(|(left, right)| ((i32::from(*left) + i32::from(*right)) / 2) as i16),
        ),
        many => {
            let samples = many.iter().map(|it| it.len()).min().unwrap_or(0);
            let count = many.len() as i32;
            let sum = |at: usize| many.iter().map(|it| i32::from(it[at])).sum::<i32>();
            out.extend((0..samples).map(|at| (sum(at) / count) as i16));
        }
    }
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
