//! Files as audiowaveform (github.com/bbc/audiowaveform) writes them, its `doc/DataFormat.md`: what peaks.js and
//! waveform-data.js read. Version 1 has one channel, version 2 says how many.
//!
//! The format knows no holes: where nobody has samples stands 0, 0.

use super::decimals::Decimals;
use super::extremes::Extremes;

/// Bits of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Bits {
    /// A 256th of the sample, cut off towards zero: -255 to 255 are 0.
    Eight,
    #[default]
    Sixteen,
}

impl Bits {
    /// Bytes that a smallest and a largest value take together.
    pub(super) const fn pair_bytes(self) -> usize {
        match self {
            Self::Eight => 2,
            Self::Sixteen => 4,
        }
    }
}

/// Bytes of the binary form's head: version 1 has one channel, and version 2 says how many.
pub(super) const fn head_bytes(tracks: usize) -> usize {
    if tracks == 1 { 20 } else { 24 }
}

/// The binary form: of each pixel the smallest and the largest of each channel.
pub fn dat(rate: u32, samples_per_pixel: u32, extremes: Extremes) -> Vec<u8> {
    let (tracks, count) = (extremes.tracks(), extremes.count());
    let version = if tracks == 1 { 1 } else { 2 };
    let narrow = u32::from(extremes.bits() == Bits::Eight);
    let fields = [version, narrow, rate, samples_per_pixel, count as u32, tracks as u32];
    let (head, mut bytes) = extremes.into_bytes();
    for (to, field) in bytes[..head].as_chunks_mut().0.iter_mut().zip(fields) {
        *to = field.to_le_bytes();
    }
    bytes
}

/// The JSON form. No key stands in it that audiowaveform does not write: its reader refuses others.
pub fn json(rate: u32, samples_per_pixel: u32, extremes: &Extremes) -> Vec<u8> {
    let (tracks, count) = (extremes.tracks(), extremes.count());
    let (bits, digits) = match extremes.bits() {
        Bits::Eight => (8, 4),
        Bits::Sixteen => (16, 6),
    };
    let head = format!(
        "{{\"version\":2,\"channels\":{tracks},\"sample_rate\":{rate},\"samples_per_pixel\":{samples_per_pixel},\"bits\":{bits},\"length\":{count},\"data\":[",
    );
    let mut out = Decimals::after(head, 2 * count * tracks * digits);
    extremes.each(|[min, max]| {
        out.integer(min);
        out.integer(max);
    });
    out.end("]}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_channel_is_version_1_and_more_are_version_2() {
        let one = vec![[-300, 255], [i16::MIN, i16::MAX], [0, 0]];
        let two = vec![[1, 2], [3, 4], [5, 600]];
        let head = [1i32, 0, 48_000, 256, 3].map(i32::to_le_bytes).concat();
        let data = [-300i16, 255, i16::MIN, i16::MAX, 0, 0].map(i16::to_le_bytes).concat();
        let extremes = Extremes::of_tracks(Bits::Sixteen, std::slice::from_ref(&one));
        assert_eq!(dat(48_000, 256, extremes), [head, data].concat());
        let head = [2i32, 1, 48_000, 256, 3, 2].map(i32::to_le_bytes).concat();
        let data: Vec<u8> = [-1i8, 0, 0, 0, -128, 127, 0, 0, 0, 0, 0, 2].iter().map(|it| *it as u8).collect();
        let extremes = Extremes::of_tracks(Bits::Eight, &[one, two]);
        assert_eq!(dat(48_000, 256, extremes), [head, data].concat());
    }

    #[test]
    fn json_has_these_keys_alone() {
        let text = json(48_000, 256, &Extremes::of_tracks(Bits::Sixteen, &[vec![[-3, 4], [0, 0]]]));
        let expected = "{\"version\":2,\"channels\":1,\"sample_rate\":48000,\"samples_per_pixel\":256,\"bits\":16,\
                        \"length\":2,\"data\":[-3,4,0,0]}\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
