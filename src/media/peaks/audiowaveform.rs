//! Files as audiowaveform (github.com/bbc/audiowaveform) writes them, its `doc/DataFormat.md`: what peaks.js and
//! waveform-data.js read. Version 1 has one channel, version 2 says how many.
//!
//! The format knows no holes: where nobody has samples stands 0, 0.

use super::pixels::Extremes;
use std::fmt::Write as _;

/// Bits of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bits {
    /// A 256th of the sample, cut off towards zero: -255 to 255 are 0.
    Eight,
    Sixteen,
}

/// What the head of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub rate: u32,
    pub samples_per_pixel: u32,
    pub bits: Bits,
}

fn eight(value: i16) -> i8 {
    (value / 256) as i8
}

/// The values in the order of the file: of each pixel the smallest and the largest of each channel.
fn pairs<'a>(tracks: &'a [&'a Extremes]) -> impl Iterator<Item = (i16, i16)> + 'a {
    let pixels = tracks.first().map_or(0, |it| it.len());
    (0..pixels).flat_map(move |pixel| tracks.iter().map(move |it| it.get(pixel).unwrap_or((0, 0))))
}

/// The binary form.
pub fn dat(head: Head, tracks: &[&Extremes]) -> Vec<u8> {
    let pixels = tracks.first().map_or(0, |it| it.len());
    let wide = head.bits == Bits::Sixteen;
    let mut out = Vec::with_capacity(24 + pixels * tracks.len() * if wide { 4 } else { 2 });
    let version: i32 = if tracks.len() == 1 { 1 } else { 2 };
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&u32::from(!wide).to_le_bytes());
    out.extend_from_slice(&head.rate.to_le_bytes());
    out.extend_from_slice(&head.samples_per_pixel.to_le_bytes());
    out.extend_from_slice(&(pixels as u32).to_le_bytes());
    if version == 2 {
        out.extend_from_slice(&(tracks.len() as u32).to_le_bytes());
    }
    if wide {
        out.extend(pairs(tracks).flat_map(|(min, max)| {
            let ([a, b], [c, d]) = (min.to_le_bytes(), max.to_le_bytes());
            [a, b, c, d]
        }));
    } else {
        out.extend(pairs(tracks).flat_map(|(min, max)| [eight(min) as u8, eight(max) as u8]));
    }
    out
}

/// The JSON form. No key stands in it that audiowaveform does not write: its reader refuses others.
pub fn json(head: Head, tracks: &[&Extremes]) -> String {
    let pixels = tracks.first().map_or(0, |it| it.len());
    let mut out = String::with_capacity(128 + pixels * tracks.len() * 10);
    let bits = if head.bits == Bits::Eight { 8 } else { 16 };
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "{{\"version\":2,\"channels\":{},\"sample_rate\":{},\"samples_per_pixel\":{},\"bits\":{bits},\"length\":{pixels},\"data\":[",
        tracks.len(),
        head.rate,
        head.samples_per_pixel,
    );
    for (at, (min, max)) in pairs(tracks).enumerate() {
        let (min, max) = match head.bits {
            Bits::Eight => (i16::from(eight(min)), i16::from(eight(max))),
            Bits::Sixteen => (min, max),
        };
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(out, "{comma}{min},{max}");
    }
    out.push_str("]}\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extremes(pairs: &[(i16, i16)]) -> Extremes {
        Extremes { min: pairs.iter().map(|it| it.0).collect(), max: pairs.iter().map(|it| it.1).collect() }
    }

    const HEAD: Head = Head { rate: 48_000, samples_per_pixel: 256, bits: Bits::Sixteen };

    #[test]
    fn one_channel_is_version_1_and_more_are_version_2() {
        let one = extremes(&[(-300, 255), (i16::MIN, i16::MAX), (i16::MAX, i16::MIN)]);
        let two = extremes(&[(1, 2), (3, 4), (5, 6)]);
        let head = [1i32, 0, 48_000, 256, 3].map(i32::to_le_bytes).concat();
        let data = [-300i16, 255, i16::MIN, i16::MAX, 0, 0].map(i16::to_le_bytes).concat();
        assert_eq!(dat(HEAD, &[&one]), [head, data].concat());
        let head = [2i32, 1, 48_000, 256, 3, 2].map(i32::to_le_bytes).concat();
        let data: Vec<u8> = [-1i8, 0, 0, 0, -128, 127, 0, 0, 0, 0, 0, 0].iter().map(|it| *it as u8).collect();
        assert_eq!(dat(Head { bits: Bits::Eight, ..HEAD }, &[&one, &two]), [head, data].concat());
    }

    #[test]
    fn json_has_these_keys_alone() {
        let text = json(HEAD, &[&extremes(&[(-3, 4), (i16::MAX, i16::MIN)])]);
        let expected = "{\"version\":2,\"channels\":1,\"sample_rate\":48000,\"samples_per_pixel\":256,\"bits\":16,\
                        \"length\":2,\"data\":[-3,4,0,0]}\n";
        assert_eq!(text, expected);
    }
}
