//! What to make, as data.

use crate::base::Timestamp;
use crate::base::time::{SECOND, TimeBase};

/// A made-up stream down to its coders.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// When the first picture is shown.
    pub start: Timestamp,
    /// PTS of the first picture, in seconds. A whole number of pictures at a steady pace.
    pub first_second: i64,
    pub frames: u64,
    pub pace: Pace,
    /// Lengths of the segments in pictures, over and over. A segment ends at the first place after its length where it
    /// may.
    pub segments: Vec<u64>,
    /// Segments begin with keyframes; else wherever all pictures shown before are coded before.
    pub at_keys: bool,
    pub picture: Picture,
    pub coder: Coder,
    pub sound: Sound,
}

/// How long each picture is shown.
#[derive(Debug, Clone)]
pub enum Pace {
    /// So many pictures in so many seconds.
    Steady(i32, i32),
    /// These lengths, in ticks of 90 kHz, over and over.
    Uneven(Vec<i64>),
}

#[derive(Debug, Clone)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    /// libav's name of the pixel format: planar, 8 bits or up to 16 in little endian.
    pub format: String,
    pub full_range: bool,
    /// `Some(top field first)`: two fields of different times in each picture.
    pub interlaced: Option<bool>,
}

#[derive(Debug, Clone)]
pub struct Coder {
    /// libav's name of the encoder.
    pub name: String,
    /// Pictures from keyframe to keyframe.
    pub gop: u64,
    pub b_frames: usize,
    /// Every keyframe is asked for and closed. Otherwise the encoder follows its options.
    pub forced: bool,
    /// Bits a second; 0 leaves it to `options`.
    pub bit_rate: i64,
    pub options: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub struct Sound {
    /// libav's name of an encoder that takes planar floats, or `libopus`.
    pub codec: String,
    pub bit_rate: i64,
    pub voice: Voice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// Worth looking at in a waveform, with a tick at every whole second.
    Song,
    /// Silence but for pairs of clicks, at times [`super::clicks`] knows.
    Clicks,
}

impl Coder {
    /// x264 with a keyframe every `gop` pictures.
    pub fn x264(preset: &str, crf: u8, gop: u64, b_frames: usize) -> Self {
        let options = [("preset", preset), ("crf", &crf.to_string()), ("profile", "high")]
            .into_iter()
            .chain([("forced-idr", "1"), ("sc_threshold", "0"), ("aud", "1")])
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Self { name: "libx264".into(), gop, b_frames, forced: true, bit_rate: 0, options }
    }
}

impl Pace {
    /// The clock pictures are counted on.
    pub fn base(&self) -> TimeBase {
        match self {
            Self::Steady(frames, seconds) => TimeBase::new(*seconds, *frames),
            Self::Uneven(_) => TimeBase::MPEG,
        }
    }

    /// Pictures in seconds; of an uneven pace the mean.
    pub fn rate(&self) -> (i32, i32) {
        match self {
            Self::Steady(frames, seconds) => (*frames, *seconds),
            Self::Uneven(lengths) => (90_000 * lengths.len() as i32, lengths.iter().sum::<i64>() as i32),
        }
    }

    /// When picture `number` starts, in [`Pace::base`] from the first.
    pub fn ticks(&self, number: u64) -> i64 {
        match self {
            Self::Steady(..) => number as i64,
            Self::Uneven(lengths) => {
                let (rounds, rest) = (number as usize / lengths.len(), number as usize % lengths.len());
                rounds as i64 * lengths.iter().sum::<i64>() + lengths[..rest].iter().sum::<i64>()
            }
        }
    }

    /// The picture on screen at `ticks`.
    pub fn number(&self, ticks: i64) -> u64 {
        match self {
            Self::Steady(..) => ticks as u64,
            Self::Uneven(lengths) => {
                let round: i64 = lengths.iter().sum();
                let (mut rest, mut number) = (ticks % round, ticks / round * lengths.len() as i64);
                for length in lengths {
                    if rest < *length {
                        break;
                    }
                    rest -= length;
                    number += 1;
                }
                number as u64
            }
        }
    }

    /// When picture `number` starts after the first, in microseconds rounded down.
    pub fn micros(&self, number: u64) -> i64 {
        let base = self.base();
        let ticks = i128::from(self.ticks(number)) * i128::from(base.num) * i128::from(SECOND);
        ticks.div_euclid(i128::from(base.den)) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_and_times_name_each_other() {
        let ntsc = Pace::Steady(30_000, 1001);
        assert_eq!(
            (ntsc.micros(1), ntsc.micros(30_000), ntsc.rate()),
            (33_366, 1_001_000_000, (30_000, 1001))
        );
        let uneven = Pace::Uneven(vec![1_500, 6_000, 3_000]);
        let starts: Vec<i64> = (0..5).map(|number| uneven.ticks(number)).collect();
        assert_eq!(starts, [0, 1_500, 7_500, 10_500, 12_000]);
        assert_eq!((uneven.micros(1), uneven.rate()), (16_666, (270_000, 10_500)));
        for number in 0..50 {
            assert_eq!(ntsc.number(ntsc.ticks(number)), number);
            assert_eq!(uneven.number(uneven.ticks(number)), number);
            assert_eq!(uneven.number(uneven.ticks(number + 1) - 1), number);
        }
    }
}
