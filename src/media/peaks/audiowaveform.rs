//! Files as audiowaveform (github.com/bbc/audiowaveform) writes them, its `doc/DataFormat.md`: what peaks.js and
//! waveform-data.js read. Version 1 has one channel, version 2 says how many.
//!
//! The format knows no holes: where nobody has samples stands 0, 0.

use super::pixels::Extremes;

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

/// Bytes of the head of version 1; version 2 has the channels too.
const HEAD: usize = 20;
const HEAD_2: usize = 24;

/// The binary form: of each pixel the smallest and the largest of each channel.
pub fn dat(head: Head, tracks: &[&Extremes]) -> Vec<u8> {
    let pixels = tracks.first().map_or(0, |it| it.pairs().len());
    let wide = head.bits == Bits::Sixteen;
    let several = tracks.len() != 1;
    let begin = if several { HEAD_2 } else { HEAD };
    let pixel = tracks.len() * if wide { 4 } else { 2 };
    let mut out = vec![0; begin + pixels * pixel];
    let (start, data) = out.split_at_mut(begin);
    let version: u32 = if several { 2 } else { 1 };
    let fields =
        [version, u32::from(!wide), head.rate, head.samples_per_pixel, pixels as u32, tracks.len() as u32];
    for (to, field) in start.chunks_exact_mut(4).zip(fields) {
        to.copy_from_slice(&field.to_le_bytes());
    }
    match (tracks, wide) {
        ([one], true) => write_all(data, one, wide_pair),
        ([one], false) => write_all(data, one, narrow_pair),
        ([left, right], true) => write_two::<4, 8>(data, left, right, wide_pair),
        ([left, right], false) => write_two::<2, 4>(data, left, right, narrow_pair),
        (_, true) => tracks.iter().enumerate().for_each(|(at, it)| write(data, pixel, at, it, wide_pair)),
        (_, false) => tracks.iter().enumerate().for_each(|(at, it)| write(data, pixel, at, it, narrow_pair)),
    }
    out
}

fn wide_pair([min, max]: [i16; 2]) -> [u8; 4] {
    let ([a, b], [c, d]) = (min.to_le_bytes(), max.to_le_bytes());
    [a, b, c, d]
}

fn narrow_pair([min, max]: [i16; 2]) -> [u8; 2] {
    [eight(min) as u8, eight(max) as u8]
}

/// The only track: its pixels lie one after the other.
fn write_all<const N: usize>(out: &mut [u8], track: &Extremes, encode: impl Fn([i16; 2]) -> [u8; N]) {
    for (to, pair) in out.as_chunks_mut::<N>().0.iter_mut().zip(track.pairs()) {
        *to = encode(*pair);
    }
}

/// Two tracks, each pixel of one before that of the other: `BOTH` is twice `ONE`.
fn write_two<const ONE: usize, const BOTH: usize>(
    out: &mut [u8],
    left: &Extremes,
    right: &Extremes,
    encode: impl Fn([i16; 2]) -> [u8; ONE],
) {
    let pairs = left.pairs().iter().zip(right.pairs());
    for (to, (left, right)) in out.as_chunks_mut::<BOTH>().0.iter_mut().zip(pairs) {
        let (first, second) = to.split_at_mut(ONE);
        first.copy_from_slice(&encode(*left));
        second.copy_from_slice(&encode(*right));
    }
}

/// One of several tracks, the one at `place` of each pixel.
fn write<const N: usize>(
    out: &mut [u8],
    pixel: usize,
    place: usize,
    track: &Extremes,
    encode: impl Fn([i16; 2]) -> [u8; N],
) {
    for (to, pair) in out.chunks_exact_mut(pixel).zip(track.pairs()) {
        if let Some(to) = to.as_chunks_mut::<N>().0.get_mut(place) {
            *to = encode(*pair);
        }
    }
}

/// Appends a number in decimal: what a JSON of a day spends its time on.
fn decimal(out: &mut Vec<u8>, number: i16) {
    let (mut left, mut digits, mut at) = (number.unsigned_abs(), [0; 5], 5);
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// The JSON form. No key stands in it that audiowaveform does not write: its reader refuses others.
pub fn json(head: Head, tracks: &[&Extremes]) -> Vec<u8> {
    let pixels = tracks.first().map_or(0, |it| it.pairs().len());
    let bits = if head.bits == Bits::Eight { 8 } else { 16 };
    let mut out = format!(
        "{{\"version\":2,\"channels\":{},\"sample_rate\":{},\"samples_per_pixel\":{},\"bits\":{bits},\"length\":{pixels},\"data\":[",
        tracks.len(),
        head.rate,
        head.samples_per_pixel,
    )
    .into_bytes();
    out.reserve(pixels * tracks.len() * 10);
    for pixel in 0..pixels {
        for value in tracks.iter().filter_map(|it| it.pairs().get(pixel)).flatten() {
            let value = match head.bits {
                Bits::Eight => i16::from(eight(*value)),
                Bits::Sixteen => *value,
            };
            decimal(&mut out, value);
            out.push(b',');
        }
    }
    if pixels > 0 && !tracks.is_empty() {
        out.pop();
    }
    out.extend_from_slice(b"]}\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixels of two samples each; without any where both are 0.
    fn extremes(pairs: &[(i16, i16)]) -> Extremes {
        Extremes::of_pairs(pairs.iter().map(|it| (*it != (0, 0)).then_some(*it)))
    }

    const HEAD: Head = Head { rate: 48_000, samples_per_pixel: 256, bits: Bits::Sixteen };

    #[test]
    fn one_channel_is_version_1_and_more_are_version_2() {
        let one = extremes(&[(-300, 255), (i16::MIN, i16::MAX), (0, 0)]);
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
        let text = json(HEAD, &[&extremes(&[(-3, 4), (0, 0)])]);
        let expected = "{\"version\":2,\"channels\":1,\"sample_rate\":48000,\"samples_per_pixel\":256,\"bits\":16,\
                        \"length\":2,\"data\":[-3,4,0,0]}\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        for number in [0, 7, -7, 10, 12_345, i16::MAX, i16::MIN] {
            let mut out = Vec::new();
            decimal(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
        }
    }
}
