//! Video usability information: H.264 §E.1.1 and the beginning of H.265 §E.2.1, which is the same.

use super::BitReader;

/// Colour description by its code points (ITU-T H.273; 2 is unspecified).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Colour {
    pub primaries: u8,
    pub transfer: u8,
    pub matrix: u8,
}

impl Default for Colour {
    fn default() -> Self {
        Self { primaries: 2, transfer: 2, matrix: 2 }
    }
}

/// Code points of H.264 table E-1 from 1 on: sample aspect ratio.
const ASPECTS: [(u16, u16); 16] = [
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];

/// Units of time (num_units_in_tick, time_scale).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    pub units: u32,
    pub scale: u32,
    /// fixed_frame_rate_flag; H.265 has none.
    pub fixed: bool,
}

/// Lengths of the delays in pic_timing SEI messages, in bits (H.264 §E.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hrd {
    pub removal_delay_bits: u32,
    pub output_delay_bits: u32,
}

/// bitstream_restriction (H.264 §E.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restriction {
    /// num_reorder_frames, in frames.
    pub reorder: u8,
    /// max_dec_frame_buffering, in frames.
    pub buffering: u8,
}

/// What both standards say in the same words, and the rest of H.264's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vui {
    /// Width to height of a sample; `None` is unspecified.
    pub sar: Option<(u16, u16)>,
    pub overscan: Option<bool>,
    /// H.264 table E-2; 5 is unspecified, and absent means that.
    pub video_format: Option<u8>,
    pub full_range: bool,
    pub colour: Option<Colour>,
    /// chroma_sample_loc_type of the top and the bottom field.
    pub chroma_location: Option<(u8, u8)>,
    pub timing: Option<Timing>,
    pub nal_hrd: Option<Hrd>,
    pub vcl_hrd: Option<Hrd>,
    pub pic_struct_present: bool,
    pub restriction: Option<Restriction>,
}

impl Vui {
    /// Up to chroma_sample_loc_type_bottom_field.
    pub(super) fn common(bits: &mut BitReader<'_>) -> Option<Self> {
        let mut it = Self::default();
        if bits.flag()? {
            it.sar = match bits.byte(8)? {
                255 => {
                    let sar = (bits.bits(16)? as u16, bits.bits(16)? as u16);
                    (sar.0 != 0 && sar.1 != 0).then_some(sar)
                }
                idc => usize::from(idc).checked_sub(1).and_then(|it| ASPECTS.get(it)).copied(),
            };
        }
        if bits.flag()? {
            it.overscan = Some(bits.flag()?);
        }
        if bits.flag()? {
            it.video_format = Some(bits.byte(3)?);
            it.full_range = bits.flag()?;
            if bits.flag()? {
                let (primaries, transfer, matrix) = (bits.byte(8)?, bits.byte(8)?, bits.byte(8)?);
                it.colour = Some(Colour { primaries, transfer, matrix });
            }
        }
        if bits.flag()? {
            it.chroma_location = Some((bits.ue_to(5)? as u8, bits.ue_to(5)? as u8));
        }
        Some(it)
    }

    pub(super) fn timing(bits: &mut BitReader<'_>, has_fixed: bool) -> Option<Option<Timing>> {
        if !bits.flag()? {
            return Some(None);
        }
        let (units, scale) = (bits.bits(32)?, bits.bits(32)?);
        let fixed = has_fixed && bits.flag()?;
        Some((units != 0 && scale != 0).then_some(Timing { units, scale, fixed }))
    }

    /// All of H.264 §E.1.1.
    pub(super) fn h264(bits: &mut BitReader<'_>) -> Option<Self> {
        let mut it = Self::common(bits)?;
        it.timing = Self::timing(bits, true)?;
        if bits.flag()? {
            it.nal_hrd = Some(Hrd::parse(bits)?);
        }
        if bits.flag()? {
            it.vcl_hrd = Some(Hrd::parse(bits)?);
        }
        if it.nal_hrd.or(it.vcl_hrd).is_some() {
            bits.flag()?; // low_delay_hrd_flag
        }
        it.pic_struct_present = bits.flag()?;
        if bits.flag()? {
            bits.flag()?; // motion_vectors_over_pic_boundaries_flag
            for _ in 0..4 {
                bits.ue()?; // bytes and bits a picture or macroblock may have; lengths of motion vectors
            }
            let reorder = bits.ue_to(16)? as u8;
            it.restriction = Some(Restriction { reorder, buffering: bits.ue_to(16)? as u8 });
        }
        Some(it)
    }
}

impl Hrd {
    fn parse(bits: &mut BitReader<'_>) -> Option<Self> {
        let count = bits.ue_to(31)?;
        bits.bits(8)?; // bit_rate_scale, cpb_size_scale
        for _ in 0..=count {
            bits.ue()?;
            bits.ue()?;
            bits.flag()?;
        }
        bits.bits(5)?; // initial_cpb_removal_delay_length_minus1
        let (removal_delay_bits, output_delay_bits) = (bits.bits(5)? + 1, bits.bits(5)? + 1);
        bits.bits(5)?; // time_offset_length
        Some(Self { removal_delay_bits, output_delay_bits })
    }
}
