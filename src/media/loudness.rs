//! Loudness by EBU R128 (ITU-R BS.1770-4): weighted energies of tenths of a second, and what is reckoned from them. Weighting
//! and true peaks are the ebur128 crate's.

use super::sound::SoundFormat;
use crate::base::{Error, Result};
use ebur128::{EbuR128, Mode};

/// What an energy is of, in milliseconds.
pub const STEP_MILLIS: u32 = 100;
/// Energies of a momentary block (400 ms) and of a short-term one (3 s).
const MOMENTARY: usize = 4;
const SHORT_TERM: usize = 30;

/// Below this nothing counts, in LUFS.
const ABSOLUTE_GATE: f64 = -70.0;
/// And below the mean of the rest by so many LU: for the integrated loudness, and for the range (EBU Tech 3342).
const RELATIVE_GATE: f64 = -10.0;
const RANGE_GATE: f64 = -20.0;

/// Energies of a segment at most: three hours.
const MAX_STEPS: usize = 108_000;
/// The highest true peak that is believed, linear: +40 dB.
const MAX_PEAK: f32 = 100.0;

fn loudness(energy: f64) -> f64 {
    -0.691 + 10.0 * energy.log10()
}

fn energy(loudness: f64) -> f64 {
    10f64.powf((loudness + 0.691) / 10.0)
}

/// What is kept of a segment's sound.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// When it begins, in microseconds from the segment's start on.
    pub start: i64,
    /// The highest true peak of all channels, linear; 1 is full scale.
    pub peak: f32,
    /// The weighted mean square of each tenth of a second.
    pub energies: Vec<f32>,
}

impl Measured {
    /// | bytes | what, little endian |
    /// | --- | --- |
    /// | 8 | start |
    /// | 4 | peak |
    /// | 4 each | energies |
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.start.to_le_bytes().to_vec();
        out.extend(self.peak.to_le_bytes());
        out.extend(self.energies.iter().flat_map(|it| it.to_le_bytes()));
        out
    }

    /// Reads what [`Self::encode`] wrote; `None` where it is something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (start, rest) = bytes.split_first_chunk::<8>()?;
        let (peak, rest) = rest.split_first_chunk::<4>()?;
        let (energies, []) = rest.as_chunks::<4>() else { return None };
        let energies: Vec<f32> = energies.iter().map(|it| f32::from_le_bytes(*it)).collect();
        let peak = f32::from_le_bytes(*peak);
        let sound = |it: &f32| it.is_finite() && *it >= 0.0;
        let whole =
            energies.len() <= MAX_STEPS && energies.iter().all(sound) && (0.0..=MAX_PEAK).contains(&peak);
        whole.then(|| Self { start: i64::from_le_bytes(*start), peak, energies })
    }
}

/// Measures sound as it comes.
#[derive(Default)]
pub struct Meter {
    ebu: Option<(EbuR128, SoundFormat)>,
    energies: Vec<f32>,
    /// Samples of the step that is not full yet.
    filled: usize,
}

fn fault(error: ebur128::Error) -> Error {
    Error::internal("loudness could not be measured").with_cause(error)
}

impl Meter {
    /// Adds samples of each channel. What has another format than the first is left out.
    pub fn add(&mut self, format: SoundFormat, channels: &[Vec<i16>]) -> Result<()> {
        let (ebu, own) = match &mut self.ebu {
            Some(ebu) => ebu,
            none => {
                let ebu = EbuR128::new(format.channels as u32, format.rate, Mode::M | Mode::TRUE_PEAK);
                none.insert((ebu.map_err(fault)?, format))
            }
        };
        let length = channels.iter().map(Vec::len).min().unwrap_or(0);
        if *own != format || channels.len() != format.channels {
            return Ok(());
        }
        let step = (format.rate as usize * STEP_MILLIS as usize / 1000).max(1);
        let mut from = 0;
        while from < length && self.energies.len() < MAX_STEPS {
            let to = length.min(from + step - self.filled);
            let part: Vec<&[i16]> = channels.iter().map(|it| &it[from..to]).collect();
            ebu.add_frames_planar_i16(&part).map_err(fault)?;
            self.filled += to - from;
            if self.filled == step {
                self.energies.push(energy(ebu.loudness_window(STEP_MILLIS).map_err(fault)?) as f32);
                self.filled = 0;
            }
            from = to;
        }
        Ok(())
    }

    /// What was measured. A last step that is not full is left out where it is not half of one.
    pub fn finish(mut self, start: i64) -> Result<Measured> {
        let Some((ebu, format)) = &mut self.ebu else { return Ok(Measured { start, ..Measured::default() }) };
        let millis = self.filled as u64 * 1000 / u64::from(format.rate.max(1));
        if millis >= u64::from(STEP_MILLIS / 2) {
            self.energies.push(energy(ebu.loudness_window(millis as u32).map_err(fault)?) as f32);
        }
        let peaks = (0..format.channels as u32).map(|it| ebu.true_peak(it).map_err(fault));
        let peak = peaks.collect::<Result<Vec<f64>>>()?.into_iter().fold(0.0, f64::max);
        Ok(Measured { start, peak: (peak as f32).min(MAX_PEAK), energies: self.energies })
    }
}

/// Energies of sound that follow each other without a hole.
pub type Run<'a> = &'a [f32];

fn blocks(runs: &[Run<'_>], length: usize) -> Vec<f64> {
    let mean = |block: &[f32]| block.iter().map(|it| f64::from(*it)).sum::<f64>() / length as f64;
    runs.iter().flat_map(|run| run.windows(length).map(mean)).collect()
}

/// The blocks that count: above the absolute gate, and then above the mean of those by `relative`.
fn gated(mut blocks: Vec<f64>, relative: f64) -> Vec<f64> {
    blocks.retain(|it| loudness(*it) > ABSOLUTE_GATE);
    let mean = blocks.iter().sum::<f64>() / blocks.len().max(1) as f64;
    let gate = loudness(mean) + relative;
    blocks.retain(|it| loudness(*it) > gate);
    blocks
}

/// The loudness of a programme, in LUFS; `None` where nothing of it is loud enough to count.
pub fn integrated(runs: &[Run<'_>]) -> Option<f64> {
    let blocks = gated(blocks(runs, MOMENTARY), RELATIVE_GATE);
    (!blocks.is_empty()).then(|| loudness(blocks.iter().sum::<f64>() / blocks.len() as f64))
}

/// The loudness range of a programme, in LU (EBU Tech 3342): from the tenth to the ninety-fifth of a hundred parts.
pub fn range(runs: &[Run<'_>]) -> Option<f64> {
    let mut blocks = gated(blocks(runs, SHORT_TERM), RANGE_GATE);
    blocks.sort_by(f64::total_cmp);
    let at =
        |share: f64| blocks.get(((blocks.len().checked_sub(1)?) as f64 * share).round() as usize).copied();
    Some(loudness(at(0.95)?) - loudness(at(0.10)?))
}

/// The short-term loudness at the end of energy number `at` of a run, in LUFS: of three seconds, or of what there is of them.
pub fn short_term(run: Run<'_>, at: usize) -> Option<f64> {
    let block = run.get((at + 1).saturating_sub(SHORT_TERM)..=at)?;
    let mean = block.iter().map(|it| f64::from(*it)).sum::<f64>() / block.len() as f64;
    let value = loudness(mean);
    (value > ABSOLUTE_GATE).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stereo sine of 1 kHz with this peak, in dB of full scale.
    fn sine(seconds: usize, decibels: f64) -> Vec<Vec<i16>> {
        let top = 10f64.powf(decibels / 20.0) * 32_767.0;
        let wave = |it: usize| (top * (std::f64::consts::TAU * it as f64 / 48.0).sin()).round() as i16;
        vec![(0..seconds * 48_000).map(wave).collect(); 2]
    }

    fn measured(parts: &[Vec<Vec<i16>>]) -> Measured {
        let mut meter = Meter::default();
        for part in parts {
            meter.add(SoundFormat { rate: 48_000, channels: 2 }, part).unwrap();
        }
        meter.finish(0).unwrap()
    }

    /// EBU Tech 3341, cases 1, 2 and 3: a 1 kHz tone of -23 dBFS in both channels is -23 LUFS; quiet parts are gated away.
    #[test]
    fn tones_are_as_loud_as_the_standard_says() {
        for decibels in [-23.0, -33.0] {
            let tone = measured(&[sine(20, decibels)]);
            assert_eq!(tone.energies.len(), 200);
            let value = integrated(&[&tone.energies]).unwrap();
            assert!((value - decibels).abs() < 0.1, "{value} for {decibels}");
            assert!((20.0 * f64::from(tone.peak).log10() - decibels).abs() < 0.2, "{}", tone.peak);
            assert!((short_term(&tone.energies, 100).unwrap() - decibels).abs() < 0.1);
        }
        let gated = measured(&[sine(10, -36.0), sine(60, -23.0), sine(10, -36.0)]);
        let value = integrated(&[&gated.energies]).unwrap();
        assert!((value + 23.0).abs() < 0.1, "{value}");
    }

    /// EBU Tech 3342, case 1: tones of -20 and -30 dBFS are ten units apart.
    #[test]
    fn ranges_are_as_wide_as_the_standard_says() {
        let tones = measured(&[sine(20, -20.0), sine(20, -30.0)]);
        let value = range(&[&tones.energies]).unwrap();
        assert!((value - 10.0).abs() < 1.0, "{value}");
        let silence = measured(&[vec![vec![0; 48_000]; 2]]);
        assert_eq!((integrated(&[&silence.energies]), range(&[&silence.energies])), (None, None));
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let own = Measured { start: -5, peak: 0.5, energies: vec![0.0, 1e-3, 0.25] };
        let bytes = own.encode();
        assert_eq!(Measured::decode(&bytes), Some(own));
        for length in [0, 11, 13, bytes.len() - 1] {
            assert_eq!(Measured::decode(&bytes[..length]), None);
        }
        let negative = Measured { energies: vec![-1.0], ..Measured::default() };
        assert_eq!(Measured::decode(&negative.encode()), None);
    }
}
