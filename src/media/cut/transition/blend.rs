//! Rows of samples of two pictures, mixed. Pure.

use super::shape::Arrival;

/// A weight of 1.
pub const ONE: u32 = 1 << 15;

/// How much of the new picture is seen.
#[derive(Clone, Copy)]
pub enum Weights<'a> {
    Even(u32),
    /// All of it where the front of a wipe has been.
    Reached(&'a Arrival, i32),
}

pub fn weight(share: f64) -> u32 {
    (share * f64::from(ONE)).round() as u32
}

/// Mixes one row. `bytes` is 1 for samples of 8 bits and 2 for deeper ones, which are little-endian.
pub fn row(left: &[u8], right: &[u8], out: &mut [u8], bytes: usize, weights: Weights, number: usize) {
    match (weights, bytes) {
        (Weights::Even(weight), 1) => {
            for ((out, left), right) in out.iter_mut().zip(left).zip(right) {
                *out = mixed(u32::from(*left), u32::from(*right), weight) as u8;
            }
        }
        (Weights::Even(weight), _) => deep(left, right, out, |_| weight),
        (Weights::Reached(arrival, front), bytes) => {
            let times = arrival.row(number);
            // Most rows, or most of a row, are on one side of the front.
            match arrival.side(number, front) {
                Some(true) => return out.copy_from_slice(right),
                Some(false) => return out.copy_from_slice(left),
                None => {}
            }
            let weight = |time: u16| arrival.weight(time, front);
            if bytes == 1 {
                for (((out, left), right), time) in out.iter_mut().zip(left).zip(right).zip(times) {
                    *out = mixed(u32::from(*left), u32::from(*right), weight(*time)) as u8;
                }
            } else {
                deep(left, right, out, |at| weight(times[at]));
            }
        }
    }
}

/// Rounded to the nearest. Samples have 16 bits at most and weights 15, so that nothing overflows.
fn mixed(left: u32, right: u32, weight: u32) -> u32 {
    (left * (ONE - weight) + right * weight + ONE / 2) >> 15
}

fn deep(left: &[u8], right: &[u8], out: &mut [u8], weight: impl Fn(usize) -> u32) {
    let sample = |pair: &[u8]| u32::from(u16::from_le_bytes([pair[0], pair[1]]));
    let sides = left.chunks_exact(2).zip(right.chunks_exact(2));
    for (at, (out, (left, right))) in out.chunks_exact_mut(2).zip(sides).enumerate() {
        out.copy_from_slice(&(mixed(sample(left), sample(right), weight(at)) as u16).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_the_mean_and_the_ends_are_the_sides() {
        let (left, right) = ([0, 10, 255, 16, 101], [255, 10, 0, 235, 102]);
        let mix = |share| {
            let mut out = [0; 5];
            row(&left, &right, &mut out, 1, Weights::Even(weight(share)), 0);
            out
        };
        assert_eq!((mix(0.0), mix(1.0)), (left, right));
        assert_eq!(mix(0.5), [128, 10, 128, 126, 102]);
    }

    #[test]
    fn deep_samples_keep_their_bits() {
        let bytes = |values: [u16; 3]| -> Vec<u8> { values.iter().flat_map(|it| it.to_le_bytes()).collect() };
        let mut out = vec![0; 6];
        let (left, right) = (bytes([0, 1023, 65535]), bytes([1023, 1021, 65535]));
        row(&left, &right, &mut out, 2, Weights::Even(weight(0.25)), 0);
        assert_eq!(out, bytes([256, 1023, 65535]));
    }
}
