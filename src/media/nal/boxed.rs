//! Units in files: behind their lengths, with their parameter sets apart (avcC and hvcC, ISO/IEC 14496-15 §5.3.3,
//! §8.3.3), or as byte streams.

use super::{START_CODE, StartCodes, without_trailing_zeros};

/// How the units of a packet are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// By start codes.
    #[default]
    ByteStream,
    /// Each behind its length in so many bytes, 1 to 4.
    Lengths(u8),
}

impl Framing {
    /// The framing that the decoder's configuration `extradata` tells of, and the parameter sets in it.
    pub fn of(extradata: &[u8], hevc: bool) -> (Self, Vec<&[u8]>) {
        if matches!(extradata, [0, 0, 0 | 1, ..]) {
            return (Self::ByteStream, StartCodes::default().slices(extradata));
        }
        let found = if hevc { hvcc(extradata) } else { avcc(extradata) };
        found.map_or((Self::ByteStream, Vec::new()), |(length, sets)| (Self::Lengths(length), sets))
    }

    /// Hands every unit of a packet to `take`; stops at one that says it is longer than the packet.
    pub fn units<'a>(self, codes: &StartCodes, packet: &'a [u8], mut take: impl FnMut(&'a [u8])) {
        let length = match self {
            Self::ByteStream => {
                let mut rest = codes.find(packet).map(|at| &packet[at + START_CODE.len()..]);
                while let Some(now) = rest {
                    let end = codes.find(now);
                    take(&now[..end.unwrap_or(now.len())]);
                    rest = end.map(|at| &now[at + START_CODE.len()..]);
                }
                return;
            }
            Self::Lengths(length) => usize::from(length),
        };
        let mut rest = packet;
        while let Some((head, later)) = rest.split_at_checked(length) {
            let size = head.iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
            let Some((unit, later)) = later.split_at_checked(size) else { return };
            rest = later;
            if !unit.is_empty() {
                take(unit);
            }
        }
    }

    /// The packet as a byte stream, without the units that `drop` names.
    pub fn byte_stream(self, codes: &StartCodes, packet: &[u8], drop: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(packet.len() + 64);
        self.units(codes, packet, |unit| {
            let unit = without_trailing_zeros(unit);
            if !unit.is_empty() && !drop(unit) {
                out.extend_from_slice(&[0, 0, 0, 1]);
                out.extend_from_slice(unit);
            }
        });
        out
    }
}

impl StartCodes {
    fn slices<'a>(&self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut out = Vec::new();
        Framing::ByteStream.units(self, bytes, |unit| out.push(without_trailing_zeros(unit)));
        out
    }
}

/// A 16-bit length and so many bytes.
fn sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (head, later) = rest.split_at_checked(2)?;
    let (unit, later) = later.split_at_checked(usize::from(head[0]) << 8 | usize::from(head[1]))?;
    *rest = later;
    Some(unit)
}

fn avcc(bytes: &[u8]) -> Option<(u8, Vec<&[u8]>)> {
    let [1, _, _, _, length, count, ..] = *bytes else { return None };
    let (mut rest, mut sets) = (&bytes[6..], Vec::new());
    for _ in 0..count & 31 {
        sets.push(sized(&mut rest)?);
    }
    let (pictures, mut rest) = rest.split_first()?;
    for _ in 0..*pictures {
        sets.push(sized(&mut rest)?);
    }
    Some(((length & 3) + 1, sets))
}

fn hvcc(bytes: &[u8]) -> Option<(u8, Vec<&[u8]>)> {
    let (length, arrays) = (*bytes.get(21)?, *bytes.get(22)?);
    let (mut rest, mut sets) = (&bytes[23..], Vec::new());
    for _ in 0..arrays {
        let (head, later) = rest.split_at_checked(3)?;
        rest = later;
        for _ in 0..usize::from(head[1]) << 8 | usize::from(head[2]) {
            sets.push(sized(&mut rest)?);
        }
    }
    Some(((length & 3) + 1, sets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn configurations_of_files_are_read() {
        let avcc = [1, 100, 0, 31, 0xff, 0xe1, 0, 2, 0x67, 9, 1, 0, 1, 0x68];
        assert_eq!(Framing::of(&avcc, false), (Framing::Lengths(4), vec![&[0x67, 9][..], &[0x68]]));
        let mut hvcc = vec![1; 23];
        hvcc[21] = 0xfd;
        hvcc[22] = 1;
        hvcc.extend([0xa0, 0, 1, 0, 3, 0x40, 1, 7]);
        assert_eq!(Framing::of(&hvcc, true), (Framing::Lengths(2), vec![&[0x40, 1, 7][..]]));
        let stream = [0, 0, 0, 1, 0x67, 9, 0, 0, 1, 0x68];
        assert_eq!(Framing::of(&stream, false), (Framing::ByteStream, vec![&[0x67, 9][..], &[0x68]]));
        assert_eq!(Framing::of(&[], true), (Framing::ByteStream, vec![]));
    }

    #[test]
    fn packets_become_byte_streams() {
        let codes = StartCodes::default();
        let packet = [0, 2, 9, 0xf0, 0, 3, 0x65, 1, 2];
        let stream = Framing::Lengths(2).byte_stream(&codes, &packet, |unit| unit[0] & 31 == 9);
        assert_eq!(stream, [0, 0, 0, 1, 0x65, 1, 2]);
        assert_eq!(Framing::ByteStream.byte_stream(&codes, &stream, |_| false), stream);
    }

    proptest! {
        #[test]
        fn hostile_bytes_panic_nowhere(bytes in prop::collection::vec(any::<u8>(), 0..80), length in 1u8..5, hevc in any::<bool>()) {
            Framing::of(&bytes, hevc);
            let mut sum = 0;
            Framing::Lengths(length).units(&StartCodes::default(), &bytes, |unit| sum += unit.len());
            prop_assert!(sum <= bytes.len());
        }
    }
}
