//! From a byte stream to the samples of ISO/IEC 14496-15 and Matroska: each NAL unit behind its length, in four bytes.

use super::{StartCodes, h264, hevc, without_trailing_zeros};

/// Bytes of a length.
pub const LENGTH_BYTES: usize = 4;

/// What becomes of a NAL unit in a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is part of the picture.
    Payload,
    /// A parameter set: in the sample entry, or in front of the picture.
    Set,
    /// Delimiters and filler belong to byte streams.
    Dropped,
}

/// filler_data_rbsp( ) (H.264 §7.3.2.7, H.265 §7.3.2.8).
const FILLER_H264: u8 = 12;
const FILLER_HEVC: u8 = 38;

/// The role of the unit with this first byte.
pub fn role(head: u8, hevc: bool) -> Role {
    if hevc {
        return match head >> 1 & 0x3f {
            hevc::kind::VPS..=hevc::kind::PPS => Role::Set,
            hevc::kind::DELIMITER | FILLER_HEVC => Role::Dropped,
            _ => Role::Payload,
        };
    }
    match h264::header(head).0 {
        h264::kind::SPS | h264::kind::PPS => Role::Set,
        h264::kind::DELIMITER | FILLER_H264 => Role::Dropped,
        _ => Role::Payload,
    }
}

/// The units of `stream` that are not empty, without zeros behind them, and the role of each.
pub fn units<'a>(
    codes: &'a StartCodes,
    stream: &'a [u8],
    hevc: bool,
) -> impl Iterator<Item = (Role, &'a [u8])> {
    let units = codes.units(stream).map(without_trailing_zeros);
    units.filter_map(move |unit| unit.first().map(|head| (role(*head, hevc), unit)))
}

/// Appends `stream`, an access unit as a byte stream, to `out` as a sample; with its parameter sets where `sets`.
pub fn append(stream: &[u8], hevc: bool, sets: bool, out: &mut Vec<u8>) {
    for (role, unit) in units(&StartCodes::default(), stream, hevc) {
        if role == Role::Payload || (sets && role == Role::Set) {
            out.extend_from_slice(&(unit.len() as u32).to_be_bytes());
            out.extend_from_slice(unit);
        }
    }
}

/// Bytes of a sample, by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    pub payload: u32,
    pub sets: u32,
}

impl Sizes {
    /// Counts a unit of `length` bytes that begins with `head`.
    pub fn add(&mut self, head: u8, length: u64, hevc: bool) {
        let bytes = u32::try_from(length.saturating_add(LENGTH_BYTES as u64)).unwrap_or(u32::MAX);
        match role(head, hevc) {
            Role::Payload => self.payload = self.payload.saturating_add(bytes),
            Role::Set => self.sets = self.sets.saturating_add(bytes),
            Role::Dropped => {}
        }
    }

    /// Those of an access unit.
    pub fn of(stream: &[u8], hevc: bool) -> Self {
        let mut sizes = Self::default();
        for unit in StartCodes::default().units(stream).map(without_trailing_zeros) {
            if let Some(head) = unit.first() {
                sizes.add(*head, unit.len() as u64, hevc);
            }
        }
        sizes
    }

    /// Those of two units in one sample.
    pub fn and(self, other: Self) -> Self {
        Self {
            payload: self.payload.saturating_add(other.payload),
            sets: self.sets.saturating_add(other.sets),
        }
    }

    pub fn total(self, sets: bool) -> u32 {
        self.payload.saturating_add(if sets { self.sets } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &[u8] = &[
        0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 1, 12, 0xff, 0x80, 0, 0, 1,
        0x65, 7, 8, 0, 0, 0,
    ];

    #[test]
    fn samples_leave_out_what_is_of_the_byte_stream() {
        let of = |sets| {
            let mut out = Vec::new();
            append(STREAM, false, sets, &mut out);
            out
        };
        assert_eq!(of(false), [0, 0, 0, 3, 0x65, 7, 8]);
        assert_eq!(of(true), [0, 0, 0, 3, 0x67, 1, 2, 0, 0, 0, 2, 0x68, 3, 0, 0, 0, 3, 0x65, 7, 8]);
        assert_eq!(Sizes::of(STREAM, false), Sizes { payload: 7, sets: 13 });
        let mut out = Vec::new();
        append(&[0, 0, 1, 70, 1, 0x50, 0, 0, 1, 66, 1, 1, 0, 0, 1, 40, 1, 9], true, false, &mut out);
        assert_eq!(out, [0, 0, 0, 3, 40, 1, 9]);
    }

    proptest! {
        #[test]
        fn sizes_are_those_of_samples(stream in prop::collection::vec(prop_oneof![Just(0u8), Just(1u8), any::<u8>()], 0..200), hevc: bool, sets: bool) {
            let mut out = Vec::new();
            append(&stream, hevc, sets, &mut out);
            prop_assert_eq!(out.len() as u32, Sizes::of(&stream, hevc).total(sets));
        }
    }
}
