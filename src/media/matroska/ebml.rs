//! Elements of EBML (RFC 8794): an id, a length, and the rest.

/// Elements in the making.
#[derive(Debug, Default)]
pub struct Elements(pub Vec<u8>);

/// Bytes an id takes: its length is in its first bits.
fn put_id(out: &mut Vec<u8>, id: u32) {
    let skip = (id.leading_zeros() / 8) as usize;
    out.extend_from_slice(&id.to_be_bytes()[skip..]);
}

/// Bytes that the length `value` is told in.
pub fn length_bytes(value: u64) -> usize {
    // All ones is kept for "unknown" (RFC 8794 §6.2).
    (1..8).find(|bytes| value < (1 << (7 * bytes)) - 1).unwrap_or(8)
}

/// A length in so many bytes.
fn put_length(out: &mut Vec<u8>, value: u64, bytes: usize) {
    let marked = value | 1 << (7 * bytes);
    out.extend_from_slice(&marked.to_be_bytes()[8 - bytes..]);
}

impl Elements {
    /// The beginning of an element whose content of `length` bytes follows.
    pub fn begin(&mut self, id: u32, length: u64) {
        put_id(&mut self.0, id);
        put_length(&mut self.0, length, length_bytes(length));
    }

    /// The same with a length of eight bytes, whatever it is.
    pub fn begin_long(&mut self, id: u32, length: u64) {
        put_id(&mut self.0, id);
        put_length(&mut self.0, length, 8);
    }

    pub fn bytes(&mut self, id: u32, content: &[u8]) {
        self.begin(id, content.len() as u64);
        self.0.extend_from_slice(content);
    }

    pub fn text(&mut self, id: u32, content: &str) {
        self.bytes(id, content.as_bytes());
    }

    pub fn number(&mut self, id: u32, value: u64) {
        let skip = (value.leading_zeros() / 8).min(7) as usize;
        self.bytes(id, &value.to_be_bytes()[skip..]);
    }

    /// A number in eight bytes, whatever it is.
    pub fn long_number(&mut self, id: u32, value: u64) {
        self.bytes(id, &value.to_be_bytes());
    }

    pub fn signed(&mut self, id: u32, value: i64) {
        self.bytes(id, &value.to_be_bytes());
    }

    pub fn float(&mut self, id: u32, value: f64) {
        self.bytes(id, &value.to_be_bytes());
    }

    pub fn master(&mut self, id: u32, fill: impl FnOnce(&mut Self)) {
        let mut content = Self::default();
        fill(&mut content);
        self.bytes(id, &content.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_lengths() {
        let mut out = Elements::default();
        out.master(0x1a45_dfa3, |out| {
            out.number(0x4286, 1);
            out.number(0xd7, 0);
            out.number(0x86, 0x1234);
        });
        assert_eq!(out.0, b"\x1a\x45\xdf\xa3\x8b\x42\x86\x81\x01\xd7\x81\x00\x86\x82\x12\x34");
        assert_eq!([126, 127, 16_382, 16_383].map(length_bytes), [1, 2, 2, 3]);
        let mut out = Elements::default();
        out.begin(0xa3, 127);
        out.begin_long(0xa3, 1);
        assert_eq!(out.0, b"\xa3\x40\x7f\xa3\x01\0\0\0\0\0\0\x01");
    }
}
