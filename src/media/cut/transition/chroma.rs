//! Chroma planes to the size of luma and back. A sample is spread over the block it stands for, and a block becomes
//! its mean: what a transition leaves alone comes back bit for bit. Pure.

/// A plane and its row stride in bytes.
type From<'a> = (&'a [u8], usize);
type Onto<'a> = (&'a mut [u8], usize);

/// Fills a plane of `size` samples from one that has `1 << shift` times fewer in each direction.
pub fn spread(source: From, target: Onto, size: (usize, usize), shift: (u8, u8), bytes: usize) {
    let ((source, from), (target, to)) = (source, target);
    let width = size.0.div_ceil(1 << shift.0) * bytes;
    for row in 0..size.1 {
        let Some(source) = source.get((row >> shift.1) * from..).and_then(|it| it.get(..width)) else {
            return;
        };
        let Some(target) = target.get_mut(row * to..row * to + size.0 * bytes) else { return };
        match shift.0 {
            0 => target.copy_from_slice(source),
            shift => {
                for (block, sample) in target.chunks_mut(bytes << shift).zip(source.chunks_exact(bytes)) {
                    for out in block.chunks_exact_mut(bytes) {
                        out.copy_from_slice(sample);
                    }
                }
            }
        }
    }
}

/// Fills a plane that has `1 << shift` times fewer samples than the source's `size`, with the means of its blocks.
pub fn gather(source: From, target: Onto, size: (usize, usize), shift: (u8, u8), bytes: usize) {
    let ((source, from), (target, to)) = (source, target);
    let (width, height) = (size.0.div_ceil(1 << shift.0), size.1.div_ceil(1 << shift.1));
    let mut sums = vec![0u32; width];
    for row in 0..height {
        let rows = (row << shift.1)..((row + 1) << shift.1).min(size.1);
        let count = rows.len();
        sums.fill(0);
        for row in rows {
            let Some(line) = source.get(row * from..row * from + size.0 * bytes) else { return };
            for (sum, block) in sums.iter_mut().zip(line.chunks(bytes << shift.0)) {
                *sum += block.chunks_exact(bytes).map(sample).sum::<u32>();
            }
        }
        let Some(target) = target.get_mut(row * to..row * to + width * bytes) else { return };
        for (at, (out, sum)) in target.chunks_exact_mut(bytes).zip(&sums).enumerate() {
            // The last block of an odd width holds fewer samples.
            let across = (size.0 - (at << shift.0)).min(1 << shift.0);
            let samples = (across * count) as u32;
            out.copy_from_slice(&((sum + samples / 2) / samples).to_le_bytes()[..bytes]);
        }
    }
}

fn sample(bytes: &[u8]) -> u32 {
    match bytes {
        [low, high] => u32::from(u16::from_le_bytes([*low, *high])),
        _ => u32::from(bytes[0]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_is_the_same() {
        for (shift, bytes) in [((1, 1), 1), ((1, 0), 1), ((0, 0), 1), ((2, 0), 1), ((1, 1), 2), ((1, 0), 2)] {
            let (width, height) = (13usize, 7usize);
            let (small_width, small_height) = (width.div_ceil(1 << shift.0), height.div_ceil(1 << shift.1));
            let small: Vec<u8> =
                (0..small_width * small_height * bytes).map(|it| (it * 37 % 251) as u8).collect();
            let mut large = vec![0; width * height * bytes];
            spread((&small, small_width * bytes), (&mut large, width * bytes), (width, height), shift, bytes);
            let mut back = vec![0; small.len()];
            gather((&large, width * bytes), (&mut back, small_width * bytes), (width, height), shift, bytes);
            assert_eq!(back, small, "{shift:?} {bytes}");
        }
    }

    #[test]
    fn a_block_becomes_its_mean() {
        let mut out = [0; 2];
        gather((&[1, 2, 10, 2, 2, 20], 3), (&mut out, 2), (3, 2), (1, 1), 1);
        assert_eq!(out, [2, 15]);
    }
}
