//! H.264 (ITU-T H.264 §7.3): parameter sets, the beginning of slice headers, two SEI messages.
//! Functions take a NAL unit's content with its header byte, emulation prevention already removed.

use super::vui::Vui;
use super::{BitReader, Chroma, PictureType};

/// nal_unit_type (H.264 table 7-1).
pub mod kind {
    pub const SLICE: u8 = 1;
    /// Data partition A has a slice header too; B and C have not.
    pub const PARTITION_A: u8 = 2;
    pub const IDR: u8 = 5;
    pub const SEI: u8 = 6;
    pub const SPS: u8 = 7;
    pub const PPS: u8 = 8;
    pub const DELIMITER: u8 = 9;
    pub const END_OF_SEQUENCE: u8 = 10;
}

/// nal_unit_type and nal_ref_idc of a header byte.
pub fn header(byte: u8) -> (u8, u8) {
    (byte & 0x1f, byte >> 5 & 3)
}

/// How picture order counts are sent (H.264 §7.4.2.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderCount {
    /// Type 0: the low bits of the count.
    Sent { lsb_bits: u32 },
    /// Type 1: differences to an expected cycle.
    Cycle { always_zero: bool },
    /// Type 2: pictures are shown in decoding order.
    Decoding,
}

/// Sequence parameter set (§7.3.2.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sps {
    pub id: u8,
    pub profile: u8,
    /// constraint_set0_flag is the highest of the 8 bits.
    pub constraints: u8,
    /// level_idc: ten times the level.
    pub level: u8,
    pub chroma: Chroma,
    pub separate_planes: bool,
    pub depth_luma: u8,
    pub depth_chroma: u8,
    pub frame_num_bits: u32,
    pub order: OrderCount,
    pub max_references: u8,
    pub frame_mbs_only: bool,
    /// mb_adaptive_frame_field_flag: frames may hold interlaced macroblocks.
    pub adaptive: bool,
    /// Shown size in luma samples, after cropping.
    pub width: u32,
    pub height: u32,
    /// PicWidthInMbs and PicHeightInMapUnits.
    pub coded: (u32, u32),
    /// Something is cropped off at the left or the top.
    pub cropped_start: bool,
    /// Scaling matrices, or coding without loss: macroblocks mean something else with them.
    pub scaled: bool,
    pub vui: Option<Vui>,
}

/// Profiles whose sets say chroma format and depth (§7.3.2.1.1).
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

fn skip_scaling_list(bits: &mut BitReader<'_>, size: usize) -> Option<()> {
    let (mut last, mut next) = (8i32, 8i32);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.se()?.rem_euclid(256)).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

impl Sps {
    pub fn parse(unit: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(unit.get(1..)?);
        let (profile, constraints, level) = (bits.byte(8)?, bits.byte(8)?, bits.byte(8)?);
        let id = bits.ue_to(31)? as u8;
        let (mut chroma, mut separate_planes, mut depths) = (Chroma::Yuv420, false, (8, 8));
        let mut scaled = false;
        if HIGH_PROFILES.contains(&profile) {
            chroma = Chroma::from_idc(bits.ue()?)?;
            separate_planes = chroma == Chroma::Yuv444 && bits.flag()?;
            depths = (bits.ue_to(6)? as u8 + 8, bits.ue_to(6)? as u8 + 8);
            scaled = bits.flag()?; // qpprime_y_zero_transform_bypass_flag
            if bits.flag()? {
                scaled = true;
                for list in 0..if chroma == Chroma::Yuv444 { 12 } else { 8 } {
                    if bits.flag()? {
                        skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                    }
                }
            }
        }
        let frame_num_bits = bits.ue_to(12)? + 4;
        let order = match bits.ue_to(2)? {
            0 => OrderCount::Sent { lsb_bits: bits.ue_to(12)? + 4 },
            1 => {
                let always_zero = bits.flag()?;
                bits.se()?;
                bits.se()?;
                for _ in 0..bits.ue_to(255)? {
                    bits.se()?;
                }
                OrderCount::Cycle { always_zero }
            }
            _ => OrderCount::Decoding,
        };
        let max_references = bits.ue_to(16)? as u8;
        bits.flag()?; // gaps_in_frame_num_value_allowed_flag
        // Level 6.2 allows 139264 macroblocks; a side has at most sqrt(8 · that) (§A.3.1).
        let (width_mbs, height_units) = (bits.ue_to(1055)? + 1, bits.ue_to(1055)? + 1);
        let frame_mbs_only = bits.flag()?;
        let adaptive = !frame_mbs_only && bits.flag()?;
        bits.flag()?; // direct_8x8_inference_flag
        let fields = if frame_mbs_only { 1 } else { 2 };
        let (mut width, mut height) = (width_mbs * 16, height_units * 16 * fields);
        let mut cropped_start = false;
        if bits.flag()? {
            let (across, down) = if separate_planes { (1, 1) } else { chroma.subsampling() };
            let (left, right) = (bits.ue_to(1 << 14)?, bits.ue_to(1 << 14)?);
            let (top, bottom) = (bits.ue_to(1 << 14)?, bits.ue_to(1 << 14)?);
            cropped_start = left + top > 0;
            width = width.checked_sub((left + right) * across).filter(|it| *it > 0)?;
            height = height.checked_sub((top + bottom) * down * fields).filter(|it| *it > 0)?;
        }
        // A set whose VUI is cut short is still a set.
        let vui = if bits.flag()? { Vui::h264(&mut bits) } else { None };
        Some(Self {
            id,
            profile,
            constraints,
            level,
            chroma,
            separate_planes,
            depth_luma: depths.0,
            depth_chroma: depths.1,
            frame_num_bits,
            order,
            max_references,
            frame_mbs_only,
            adaptive,
            width,
            height,
            coded: (width_mbs, height_units),
            cropped_start,
            scaled,
            vui,
        })
    }
}

/// Picture parameter set (§7.3.2.2), as far as slice headers need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pps {
    pub id: u8,
    pub sps_id: u8,
    /// CABAC.
    pub arithmetic: bool,
    /// bottom_field_pic_order_in_frame_present_flag
    pub order_present: bool,
}

impl Pps {
    pub fn parse(unit: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(unit.get(1..)?);
        let (id, sps_id) = (bits.ue_to(255)? as u8, bits.ue_to(31)? as u8);
        Some(Self { id, sps_id, arithmetic: bits.flag()?, order_present: bits.flag()? })
    }
}

/// Which field of a frame a picture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Top,
    Bottom,
}

/// The beginning of a slice header (§7.3.3): what tells pictures apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceHeader {
    pub first_mb: u32,
    pub picture_type: PictureType,
    pub pps_id: u8,
    pub sps_id: u8,
    pub frame_num: u32,
    pub field: Option<Field>,
    pub idr: bool,
    pub reference: bool,
    pub idr_pic_id: u32,
    pub order_lsb: u32,
    /// delta_pic_order_cnt_bottom, or delta_pic_order_cnt[0] and [1].
    pub order_delta: [i32; 2],
}

impl SliceHeader {
    /// `sets` answers the picture parameter set of an id, and the sequence's it names.
    pub fn parse<'s>(unit: &[u8], sets: impl FnOnce(u8) -> Option<(&'s Sps, &'s Pps)>) -> Option<Self> {
        let (kind, importance) = header(*unit.first()?);
        let mut bits = BitReader::new(&unit[1..]);
        let first_mb = bits.ue_to(1 << 18)?;
        let picture_type = match bits.ue_to(9)? % 5 {
            0 | 3 => PictureType::P,
            1 => PictureType::B,
            _ => PictureType::I,
        };
        let pps_id = bits.ue_to(255)? as u8;
        let (sps, pps) = sets(pps_id)?;
        if sps.separate_planes {
            bits.bits(2)?;
        }
        let frame_num = bits.bits(sps.frame_num_bits)?;
        let mut field = None;
        if !sps.frame_mbs_only && bits.flag()? {
            field = Some(if bits.flag()? { Field::Bottom } else { Field::Top });
        }
        let idr = kind == kind::IDR;
        let idr_pic_id = if idr { bits.ue_to(65535)? } else { 0 };
        let (mut order_lsb, mut order_delta) = (0, [0; 2]);
        match sps.order {
            OrderCount::Sent { lsb_bits } => {
                order_lsb = bits.bits(lsb_bits)?;
                if pps.order_present && field.is_none() {
                    order_delta[0] = bits.se()?;
                }
            }
            OrderCount::Cycle { always_zero: false } => {
                order_delta[0] = bits.se()?;
                if pps.order_present && field.is_none() {
                    order_delta[1] = bits.se()?;
                }
            }
            OrderCount::Cycle { .. } | OrderCount::Decoding => {}
        }
        let reference = importance != 0;
        Some(Self {
            first_mb,
            picture_type,
            pps_id,
            sps_id: sps.id,
            frame_num,
            field,
            idr,
            reference,
            idr_pic_id,
            order_lsb,
            order_delta,
        })
    }

    /// Whether this slice begins another primary coded picture than `before` belongs to (§7.4.1.2.4).
    pub fn is_new_picture(&self, before: &Self) -> bool {
        self.frame_num != before.frame_num
            || self.pps_id != before.pps_id
            || self.sps_id != before.sps_id
            || self.field != before.field
            || self.reference != before.reference
            || self.idr != before.idr
            || self.idr_pic_id != before.idr_pic_id
            || self.order_lsb != before.order_lsb
            || self.order_delta != before.order_delta
    }
}

/// What SEI messages say (§D.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sei {
    /// recovery_frame_cnt: frames after which pictures are right, counted by frame_num.
    pub recovery: Option<u16>,
    /// pic_struct of pic_timing (table D-1): 3, 5 top field first; 4, 6 bottom field first.
    pub pic_struct: Option<u8>,
}

/// Reads the messages of an SEI unit. `sps` tells how pic_timing is written.
pub fn sei(unit: &[u8], sps: Option<&Sps>) -> Sei {
    let mut it = Sei::default();
    for (kind, content) in messages(unit.get(1..).unwrap_or_default()) {
        match kind {
            1 => it.pic_struct = it.pic_struct.or_else(|| pic_struct(content, sps?.vui.as_ref()?)),
            6 => it.recovery = BitReader::new(content).ue_to(65535).map(|it| it as u16),
            _ => {}
        }
    }
    it
}

fn pic_struct(content: &[u8], vui: &Vui) -> Option<u8> {
    let mut bits = BitReader::new(content);
    if let Some(hrd) = vui.nal_hrd.or(vui.vcl_hrd) {
        bits.bits(hrd.removal_delay_bits)?;
        bits.bits(hrd.output_delay_bits)?;
    }
    if vui.pic_struct_present { bits.byte(4) } else { None }
}

/// Type and content of each message of an SEI payload (H.264 §7.3.2.3.1, H.265 §7.3.5); a cut one comes as it is.
pub fn messages(payload: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        let mut number = || {
            let mut value = 0u32;
            loop {
                let (byte, after) = rest.split_first()?;
                rest = after;
                value = value.saturating_add(u32::from(*byte));
                if *byte != 255 {
                    return Some(value);
                }
            }
        };
        let (kind, size) = (number()?, number()? as usize);
        let (content, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        Some((kind, content))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_an_sei_unit() {
        let found: Vec<(u32, &[u8])> = messages(&[6, 1, 0x84, 255, 5, 2, 7, 8, 0x80]).collect();
        assert_eq!(found, [(6, &[0x84][..]), (260, &[7, 8])]);
        assert_eq!(sei(&[6, 6, 1, 0x84, 0x80], None).recovery, Some(0));
        assert_eq!(sei(&[6, 6, 1, 0x2c], None).recovery, Some(4));
        assert_eq!(sei(&[6, 6], None), Sei::default());
    }

    /// x264, High 4.2, 1920x1080, 60 fps, BT.709, from the reference archive.
    #[test]
    fn a_real_sps() {
        let unit = [
            0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03,
            0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x3c, 0x60, 0xc6, 0x58,
        ];
        let mut scratch = Vec::new();
        let sps = Sps::parse(crate::media::nal::unescape(&unit, &mut scratch)).unwrap();
        assert_eq!((sps.profile, sps.level, sps.width, sps.height), (100, 40, 1920, 1080));
        assert_eq!((sps.chroma, sps.depth_luma, sps.frame_mbs_only), (Chroma::Yuv420, 8, true));
        let vui = sps.vui.unwrap();
        assert_eq!(vui.timing.map(|it| (it.units, it.scale)), Some((1, 50)));
        assert_eq!(vui.restriction.map(|it| it.reorder), Some(2));
    }

    #[test]
    fn fields_and_frames_are_told_apart() {
        let slice = SliceHeader {
            first_mb: 0,
            picture_type: PictureType::P,
            pps_id: 0,
            sps_id: 0,
            frame_num: 3,
            field: Some(Field::Top),
            idr: false,
            reference: true,
            idr_pic_id: 0,
            order_lsb: 6,
            order_delta: [0; 2],
        };
        assert!(!SliceHeader { first_mb: 40, picture_type: PictureType::I, ..slice }.is_new_picture(&slice));
        assert!(SliceHeader { field: Some(Field::Bottom), ..slice }.is_new_picture(&slice));
        assert!(SliceHeader { reference: false, ..slice }.is_new_picture(&slice));
        assert!(SliceHeader { order_lsb: 8, ..slice }.is_new_picture(&slice));
    }
}
