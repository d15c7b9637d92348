//! Where nothing is heard: blocks whose samples all stay below a limit.

use super::{BLOCK, Track, View};
use std::ops::Range;

/// What is known of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nothing,
    Quiet,
    Loud,
}

/// The blocks of a stretch of sound, each quiet, loud, or of nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Samples a second.
    pub rate: u32,
    samples: Range<i64>,
    first: i64,
    limit: i32,
    blocks: Vec<Heard>,
}

/// Stretches, in samples on the clock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stretches {
    pub silent: Vec<Range<i64>>,
    /// Those nobody has any sound of.
    pub missing: Vec<Range<i64>>,
}

impl Silence {
    /// Nothing known yet; a block is loud where a sample of the mix passes `limit` of 32768.
    pub fn new(rate: u32, samples: Range<i64>, limit: i32) -> Self {
        let first = samples.start.div_euclid(BLOCK);
        let count = usize::try_from((samples.end - 1).div_euclid(BLOCK) + 1 - first).unwrap_or(0);
        Self { rate, samples, first, limit, blocks: vec![Heard::Nothing; count] }
    }

    /// Whether no block has any sound.
    pub fn is_empty(&self) -> bool {
        self.blocks.iter().all(|it| *it == Heard::Nothing)
    }

    /// Adds what a segment has. Sound of another rate is left out.
    pub fn add(&mut self, view: &View<'_>) {
        if view.rate != self.rate {
            return;
        }
        for run in view.runs() {
            let Some(blocks) = view.blocks(run, Track::Mix, 0) else { continue };
            let begin = blocks.first - self.first;
            for (at, (min, max)) in blocks.minima().zip(blocks.maxima()).enumerate() {
                let Ok(place) = usize::try_from(begin + at as i64) else { continue };
                let Some(block) = self.blocks.get_mut(place) else { continue };
                let loud = i32::from(max).max(-i32::from(min)) > self.limit;
                // A block that two segments share is quiet where both are.
                *block = match (*block, loud) {
                    (Heard::Loud, _) | (_, true) => Heard::Loud,
                    _ => Heard::Quiet,
                };
            }
        }
    }

    /// The silences of at least `minimum` samples, and what is missing.
    pub fn stretches(&self, minimum: i64) -> Stretches {
        let mut found = Stretches::default();
        let mut at = self.first;
        for same in self.blocks.chunk_by(|a, b| a == b) {
            let next = at + same.len() as i64;
            let range = (at * BLOCK).max(self.samples.start)..(next * BLOCK).min(self.samples.end);
            at = next;
            match same.first() {
                Some(Heard::Quiet) if range.end - range.start >= minimum => found.silent.push(range),
                Some(Heard::Nothing) if range.start < range.end => found.missing.push(range),
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Builder, Part, SoundFormat};
    use super::*;

    #[test]
    fn quiet_blocks_are_told_from_missing_ones() {
        let format = SoundFormat { rate: 48_000, channels: 1 };
        let mut builder = Builder::new();
        let mut samples = vec![100i16; 256 * 20];
        // Loud in block 5 alone; blocks 20 to 29 are missing.
        samples[5 * 256 + 3] = -4000;
        builder.add(0, format, &[samples]);
        builder.add(256 * 30, format, &[vec![0; 256 * 10]]);
        let bytes = builder.finish().encode(Part::Mix);
        let mut silence = Silence::new(48_000, 100..256 * 40 - 56, 1000);
        assert!(silence.is_empty());
        silence.add(&View::decode(Part::Mix, &bytes).unwrap());
        let found = silence.stretches(256 * 6);
        assert_eq!(found.silent, [6 * 256..20 * 256, 30 * 256..256 * 40 - 56]);
        assert_eq!((found.missing.len(), found.missing[0].clone()), (1, 20 * 256..30 * 256));
        assert_eq!(silence.stretches(0).silent[0], 100..5 * 256);
    }
}
