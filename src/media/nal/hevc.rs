//! H.265 (ITU-T H.265 §7.3): kinds of units, picture parameter sets, the beginning of slice headers, one SEI message.
//! Functions take a NAL unit's content with its two header bytes, emulation prevention already removed.

pub use super::hevc_sps::Sps;
use super::{BitReader, PictureType, h264::messages};

/// nal_unit_type (H.265 table 7-1).
pub mod kind {
    pub const RADL_N: u8 = 6;
    pub const RADL_R: u8 = 7;
    pub const RASL_N: u8 = 8;
    pub const RASL_R: u8 = 9;
    /// BLA_W_LP, BLA_W_RADL and BLA_N_LP.
    pub const BLA: std::ops::RangeInclusive<u8> = 16..=18;
    pub const IDR_W_RADL: u8 = 19;
    pub const IDR_N_LP: u8 = 20;
    pub const CRA: u8 = 21;
    /// Intra random access points, the reserved ones among them.
    pub const IRAP: std::ops::RangeInclusive<u8> = 16..=23;
    /// Highest value of units that hold slices.
    pub const LAST_SLICE: u8 = 31;
    pub const VPS: u8 = 32;
    pub const SPS: u8 = 33;
    pub const PPS: u8 = 34;
    pub const DELIMITER: u8 = 35;
    pub const END_OF_SEQUENCE: u8 = 36;
    pub const PREFIX_SEI: u8 = 39;
}

/// nal_unit_header( ) (§7.3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub kind: u8,
    pub layer: u8,
    /// TemporalId.
    pub temporal: u8,
}

impl Header {
    pub fn parse(unit: &[u8]) -> Option<Self> {
        let [first, second, ..] = *unit else { return None };
        let layer = (first & 1) << 5 | second >> 3;
        Some(Self { kind: first >> 1 & 0x3f, layer, temporal: (second & 7).saturating_sub(1) })
    }

    pub fn is_slice(self) -> bool {
        self.kind <= kind::LAST_SLICE
    }

    /// Trailing, TSA, STSA, RADL and RASL pictures come as _N (even) and _R (odd): of a picture _N nothing in its own
    /// sub-layer is predicted (§7.4.2.2), and of one in the highest sub-layer nothing at all.
    pub fn is_reference(self, sub_layers: u8) -> bool {
        self.kind > 14 || self.kind % 2 == 1 || self.temporal + 1 < sub_layers
    }

    /// Whether the unit, after a slice, belongs to the next access unit (§7.4.2.4.4).
    pub fn opens_unit(self) -> bool {
        matches!(self.kind, kind::VPS..=kind::DELIMITER | kind::PREFIX_SEI | 41..=44 | 48..=55)
    }
}

/// vps_video_parameter_set_id.
pub fn vps_id(unit: &[u8]) -> Option<u8> {
    unit.get(2).map(|it| it >> 4)
}

/// Picture parameter set (§7.3.2.3), as far as slice headers need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pps {
    pub id: u8,
    pub sps_id: u8,
    pub dependent_slices: bool,
    pub output_flag: bool,
    pub extra_bits: u32,
}

impl Pps {
    pub fn parse(unit: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(unit.get(2..)?);
        let (id, sps_id) = (bits.ue_to(63)? as u8, bits.ue_to(15)? as u8);
        let (dependent_slices, output_flag) = (bits.flag()?, bits.flag()?);
        Some(Self { id, sps_id, dependent_slices, output_flag, extra_bits: bits.bits(3)? })
    }
}

/// The beginning of a slice segment header (§7.3.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceHeader {
    /// first_slice_segment_in_pic_flag
    pub first: bool,
    pub pps_id: u8,
    /// `None` in dependent segments, which go on with the slice before.
    pub picture_type: Option<PictureType>,
    /// slice_pic_order_cnt_lsb; 0 for IDR pictures.
    pub order_lsb: u32,
}

impl SliceHeader {
    /// `sets` answers the picture parameter set of an id, and the sequence's it names.
    pub fn parse<'s>(unit: &[u8], sets: impl FnOnce(u8) -> Option<(&'s Sps, &'s Pps)>) -> Option<Self> {
        let header = Header::parse(unit)?;
        let mut bits = BitReader::new(&unit[2..]);
        let first = bits.flag()?;
        if kind::IRAP.contains(&header.kind) {
            bits.flag()?; // no_output_of_prior_pics_flag
        }
        let pps_id = bits.ue_to(63)? as u8;
        let (sps, pps) = sets(pps_id)?;
        let mut it = Self { first, pps_id, picture_type: None, order_lsb: 0 };
        if !first {
            let dependent = pps.dependent_slices && bits.flag()?;
            bits.bits(sps.address_bits)?;
            if dependent {
                return Some(it);
            }
        }
        bits.bits(pps.extra_bits)?;
        it.picture_type = Some(match bits.ue_to(2)? {
            0 => PictureType::B,
            1 => PictureType::P,
            _ => PictureType::I,
        });
        if pps.output_flag {
            bits.flag()?;
        }
        if sps.separate_planes {
            bits.bits(2)?;
        }
        if !matches!(header.kind, kind::IDR_W_RADL | kind::IDR_N_LP) {
            it.order_lsb = bits.bits(sps.order_lsb_bits)?;
        }
        Some(it)
    }
}

/// recovery_poc_cnt of a recovery point message (§D.2.8), in pictures; a negative one counts as 0.
pub fn recovery_point(unit: &[u8]) -> Option<u16> {
    let (_, content) = messages(unit.get(2..)?).find(|(kind, _)| *kind == 6)?;
    let count = BitReader::new(content).se()?;
    Some(count.clamp(0, i32::from(u16::MAX)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_kinds() {
        let it = |first, second| Header::parse(&[first, second]).unwrap();
        assert_eq!(it(0x42, 0x01), Header { kind: kind::SPS, layer: 0, temporal: 0 });
        assert_eq!(it(0x03, 0x0a).layer, 33);
        assert!(it(0x26, 1).is_reference(1) && it(0x02, 1).is_reference(1));
        assert!(!it(0x00, 1).is_reference(1), "TRAIL_N");
        assert!(it(0x00, 1).is_reference(2), "a higher sub-layer may use it");
        assert!(!it(0x04, 2).is_reference(2), "TSA_N in the highest");
        assert!(it(0x46, 1).opens_unit() && !it(0x50, 1).opens_unit(), "a suffix SEI ends a unit");
    }

    /// x265, Main, 64x64, from the CrOS codec tests.
    #[test]
    fn sets_name_each_other() {
        let pps = Pps::parse(&[0x44, 1, 0b1110_0101]).unwrap();
        assert_eq!(pps, Pps { id: 0, sps_id: 0, dependent_slices: true, output_flag: false, extra_bits: 2 });
        assert_eq!(vps_id(&[0x40, 1, 0x1c]), Some(1));
        assert_eq!(recovery_point(&[0x4e, 1, 6, 1, 0b0010_1000]), Some(0), "-2 counts as 0");
        assert_eq!(recovery_point(&[0x4e, 1, 6, 1, 0b0010_0100]), Some(2));
    }
}
