//! Bits in the order of the bit stream (H.264 §7.2, H.265 §7.2), and Exp-Golomb codes (H.264 §9.1, H.265 §9.2).

/// Reads bits from the front. Everything answers `None` past the end.
#[derive(Debug, Clone, Copy)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bits not yet read.
    pub fn left(&self) -> usize {
        (self.bytes.len() * 8).saturating_sub(self.at)
    }

    /// u(n), n at most 32.
    pub fn bits(&mut self, count: u32) -> Option<u32> {
        if count > 32 || self.left() < count as usize {
            return None;
        }
        let first = self.at / 8;
        // 7 bits before and 32 of the value touch at most 5 bytes.
        let mut window = [0; 8];
        let near = &self.bytes[first..self.bytes.len().min(first + 5)];
        window[..near.len()].copy_from_slice(near);
        let value = u64::from_be_bytes(window) << (self.at % 8);
        self.at += count as usize;
        // A shift by 64 would overflow: no bits are no value.
        Some(value.checked_shr(64 - count).unwrap_or(0) as u32)
    }

    /// u(n) for n at most 8.
    pub fn byte(&mut self, count: u32) -> Option<u8> {
        self.bits(count).and_then(|it| u8::try_from(it).ok())
    }

    pub fn flag(&mut self) -> Option<bool> {
        self.bits(1).map(|it| it == 1)
    }

    pub fn skip(&mut self, bits: usize) -> Option<()> {
        if self.left() < bits {
            return None;
        }
        self.at += bits;
        Some(())
    }

    /// ue(v).
    pub fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let value = (1u64 << zeros) - 1 + u64::from(self.bits(zeros)?);
        u32::try_from(value).ok()
    }

    /// ue(v) that may not be more than `most`.
    pub fn ue_to(&mut self, most: u32) -> Option<u32> {
        self.ue().filter(|it| *it <= most)
    }

    /// se(v).
    pub fn se(&mut self) -> Option<i32> {
        let code = i64::from(self.ue()?);
        let value = if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) };
        i32::try_from(value).ok()
    }
}

/// Writes bits from the front.
#[derive(Debug, Default, Clone)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Bits taken of the last byte; 8 is all.
    used: u32,
}

impl BitWriter {
    /// u(n), n at most 32: the lowest bits of `value`.
    pub fn bits(&mut self, value: u32, count: u32) {
        for at in (0..count.min(32)).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
                self.used = 0;
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> at & 1) as u8) << (7 - self.used);
            }
            self.used += 1;
        }
    }

    pub fn flag(&mut self, value: bool) {
        self.bits(value.into(), 1);
    }

    /// ue(v).
    pub fn ue(&mut self, value: u32) {
        let code = u64::from(value) + 1;
        let length = 64 - code.leading_zeros();
        self.bits(0, length - 1);
        self.bits((code >> 32) as u32, length.saturating_sub(32));
        self.bits(code as u32, length.min(32));
    }

    /// se(v).
    pub fn se(&mut self, value: i32) {
        let twice = i64::from(value).unsigned_abs() * 2;
        let code = if value > 0 { twice - 1 } else { twice };
        self.ue(u32::try_from(code).unwrap_or(u32::MAX));
    }

    /// Fills the last byte with ones.
    pub fn align_with_ones(&mut self) {
        self.bits(u32::MAX, (8 - self.used % 8) % 8);
    }

    /// Whole bytes; quick when the bits before fill their bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        if self.used.is_multiple_of(8) {
            self.bytes.extend_from_slice(bytes);
            return;
        }
        let shift = self.used;
        for byte in bytes {
            if let Some(last) = self.bytes.last_mut() {
                *last |= byte >> shift;
            }
            self.bytes.push(byte << (8 - shift));
        }
    }

    /// What was written; the last byte is filled with zeros.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_and_exp_golomb() {
        // 1 | 010 | 011 | 00100 | 00101 | 1010 1010 …
        let bytes = [0b1010_0110, 0b0100_0010, 0b1101_0101, 0b0000_0000];
        let mut it = BitReader::new(&bytes);
        assert_eq!([it.ue(), it.ue(), it.ue(), it.ue(), it.ue()], [0, 1, 2, 3, 4].map(Some));
        assert_eq!((it.bits(4), it.bits(0), it.flag()), (Some(0b1010), Some(0), Some(true)));
        let mut it = BitReader::new(&bytes);
        assert_eq!([it.se(), it.se(), it.se(), it.se(), it.se()], [0, 1, -1, 2, -2].map(Some));
    }

    #[test]
    fn the_end_is_no_value() {
        let mut it = BitReader::new(&[0xff, 0xff, 0xff, 0xff, 0x80]);
        assert_eq!(it.skip(7), Some(()));
        assert_eq!(it.bits(32), Some(0xffff_ffc0));
        assert_eq!((it.left(), it.bits(2), it.bits(1), it.bits(1)), (1, None, Some(0), None));
        assert_eq!(BitReader::new(&[0; 16]).ue(), None);
        assert_eq!(BitReader::new(&[0; 3]).ue(), None);
        assert_eq!(BitReader::new(&[0, 0, 0, 0, 0x80, 0, 0, 0, 0]).ue(), None, "2^32 - 1 is one too many");
    }
}
