//! Boxes of ISO/IEC 14496-12 §4.2: a length, four letters, and the rest.

/// A file in the making.
#[derive(Debug, Default)]
pub struct Boxes(pub Vec<u8>);

impl Boxes {
    /// A box whose content `fill` writes.
    pub fn put(&mut self, kind: &[u8; 4], fill: impl FnOnce(&mut Self)) {
        let from = self.0.len();
        self.u32(0);
        self.bytes(kind);
        fill(self);
        // Boxes of a header stay far below 4 GiB: samples are counted in 32 bits, and bounded.
        let length = (self.0.len() - from) as u32;
        self.0[from..from + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// A box with a version and flags.
    pub fn full(&mut self, kind: &[u8; 4], version: u8, flags: u32, fill: impl FnOnce(&mut Self)) {
        self.put(kind, |out| {
            out.u32(u32::from(version) << 24 | flags);
            fill(out);
        });
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    pub fn zeros(&mut self, count: usize) {
        self.0.resize(self.0.len() + count, 0);
    }
}

/// Equal values that follow each other, with their number.
pub fn runs<T: PartialEq + Copy>(values: impl Iterator<Item = T>) -> Vec<(u32, T)> {
    let mut runs: Vec<(u32, T)> = Vec::new();
    for value in values {
        match runs.last_mut() {
            Some((count, last)) if *last == value => *count += 1,
            _ => runs.push((1, value)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_know_their_length() {
        let mut out = Boxes::default();
        out.put(b"outr", |out| out.full(b"innr", 1, 2, |out| out.u16(9)));
        assert_eq!(out.0, b"\0\0\0\x16outr\0\0\0\x0einnr\x01\0\0\x02\0\x09");
        assert_eq!(runs([5, 5, 6, 5].into_iter()), [(2, 5), (1, 6), (1, 5)]);
    }
}
