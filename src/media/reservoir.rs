//! The bit reservoir of MPEG audio layer III (ISO/IEC 11172-3 §2.4.2.7, ISO/IEC 13818-3): a frame's main data may begin in
//! the frames before it. Behind a join those are others, and a decoder makes noise of them.

use std::ops::Range;

/// A frame reaches back at most as far as 9 bits count.
const REACH: usize = 511;
const HEADER_BYTES: usize = 4;

/// What a decoder holds of the frames before the next one.
#[derive(Debug, Clone, Default)]
pub(super) struct Reservoir {
    bytes: usize,
}

impl Reservoir {
    /// Of frames that follow on those before them.
    pub fn full() -> Self {
        Self { bytes: REACH }
    }

    /// Takes the next frame. One whose main data begins before what is held is made silent; its own main data stays where
    /// the frames after it look for theirs. What is no frame of layer III is left alone.
    pub fn take(&mut self, frame: &mut [u8]) {
        let Some((side, begin)) = layout(frame) else {
            *self = Self::default();
            return;
        };
        if begin > self.bytes {
            // Granules without bits, main data from this frame on.
            frame[side.clone()].fill(0);
            if side.start > HEADER_BYTES {
                let sum = checksum(&frame[2..HEADER_BYTES], &frame[side.clone()]);
                frame[HEADER_BYTES..side.start].copy_from_slice(&sum.to_be_bytes());
            }
        }
        self.bytes = (self.bytes + frame.len().saturating_sub(side.end)).min(REACH);
    }
}

/// Where the side information lies, behind the header and what checksum it has, and main_data_begin.
fn layout(frame: &[u8]) -> Option<(Range<usize>, usize)> {
    let [0xff, kind, _, mode, ..] = *frame else { return None };
    // Layer III is 01; ID and the bit before it are 11 for MPEG-1, 10 for MPEG-2 and 00 for its extension to lower rates.
    if kind & 0xe6 != 0xe2 || kind & 0x18 == 0x08 {
        return None;
    }
    let (first, mono, checked) = (kind & 0x18 == 0x18, mode & 0xc0 == 0xc0, kind & 1 == 0);
    let length = match (first, mono) {
        (true, false) => 32,
        (true, true) | (false, false) => 17,
        (false, true) => 9,
    };
    let from = HEADER_BYTES + if checked { 2 } else { 0 };
    let side = from..from + length;
    let [a, b, ..] = *frame.get(side.clone())? else { return None };
    let begin = if first { usize::from(a) << 1 | usize::from(b >> 7) } else { usize::from(a) };
    Some((side, begin))
}

/// CRC-16 of the header's last two bytes and the side information (§2.4.3.1).
fn checksum(header: &[u8], side: &[u8]) -> u16 {
    header.iter().chain(side).fold(0xffff, |sum, byte| {
        (0..8).rev().fold(sum, |sum: u16, bit| {
            let carry = (sum >> 15) ^ u16::from(byte >> bit & 1);
            sum << 1 ^ if carry == 1 { 0x8005 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of MPEG-1 in stereo whose main data begins so many bytes before its own.
    fn frame(begin: u16, length: usize, checked: bool) -> Vec<u8> {
        let mut frame = vec![0x5a; length];
        frame[..4].copy_from_slice(&[0xff, if checked { 0xfa } else { 0xfb }, 0x90, 0x40]);
        let side = if checked { 6 } else { 4 };
        frame[side] = (begin >> 1) as u8;
        frame[side + 1] = frame[side + 1] & 0x7f | (begin << 7) as u8;
        frame
    }

    #[test]
    fn frames_that_reach_too_far_back_are_silent() {
        let mut reservoir = Reservoir::default();
        // 64 bytes of main data each: the first may hold nothing of those before, the second reaches as far as there is.
        for (begin, silent) in [(1, true), (64, false), (129, true), (192, false), (0, false)] {
            let before = frame(begin, 100, false);
            let mut after = before.clone();
            reservoir.take(&mut after);
            assert_eq!(after[4..36].iter().all(|it| *it == 0), silent, "{begin}");
            assert_eq!((&after[..4], &after[36..]), (&before[..4], &before[36..]), "{begin}");
        }
        let mut whole = frame(511, 100, false);
        Reservoir::full().take(&mut whole);
        assert_eq!(whole, frame(511, 100, false));
    }

    #[test]
    fn checksums_fit_what_was_changed() {
        let mut silent = frame(3, 100, true);
        Reservoir::default().take(&mut silent);
        let sum = u16::from_be_bytes([silent[4], silent[5]]);
        assert_eq!(checksum(&silent[2..4], &silent[6..38]), sum);
        assert_eq!(silent[6..38], [0; 32]);
        // The remainder of what is followed by its checksum is nothing.
        assert_eq!(checksum(&silent[2..4], &[&silent[6..38], &silent[4..6]].concat()), 0);
    }

    #[test]
    fn what_is_no_layer_three_is_left_alone() {
        for bytes in
            [&[][..], &[0xff], &[0xff, 0xf1, 0x50, 0x80, 1, 2, 3], &[0xff, 0xfd, 0x90, 0x40, 9, 9, 9]]
        {
            let mut after = bytes.to_vec();
            Reservoir::default().take(&mut after);
            assert_eq!(after, bytes);
        }
        // Too short for its side information.
        let mut short = frame(9, 30, false);
        Reservoir::default().take(&mut short);
        assert_eq!(short, frame(9, 30, false));
    }
}
