//! The sequence parameter set of H.265 (§7.3.2.2), up to the timing in its VUI.

use super::vui::Vui;
use super::{BitReader, Chroma};

/// Sequence parameter set of the base layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sps {
    pub vps_id: u8,
    pub id: u8,
    /// sps_max_sub_layers_minus1 + 1.
    pub sub_layers: u8,
    pub profile: u8,
    /// general_profile_compatibility_flags, flag 0 highest.
    pub compatibility: u32,
    pub high_tier: bool,
    /// general_level_idc: thirty times the level.
    pub level: u8,
    pub chroma: Chroma,
    pub separate_planes: bool,
    /// Shown size in luma samples, after the conformance window.
    pub width: u32,
    pub height: u32,
    /// Something is cropped off at the left or the top.
    pub cropped_start: bool,
    pub depth_luma: u8,
    pub depth_chroma: u8,
    pub order_lsb_bits: u32,
    /// sps_max_dec_pic_buffering and sps_max_num_reorder_pics of the highest sub-layer, in pictures.
    pub buffering: u8,
    pub reorder: u8,
    /// Bits of slice_segment_address.
    pub address_bits: u32,
    /// field_seq_flag: pictures are fields.
    pub fields: bool,
    /// frame_field_info_present_flag
    pub pic_struct_present: bool,
    pub vui: Option<Vui>,
}

struct Profile {
    profile: u8,
    compatibility: u32,
    high_tier: bool,
    level: u8,
}

/// profile_tier_level( 1, … ) (§7.3.3).
fn profile(bits: &mut BitReader<'_>, sub_layers: u8) -> Option<Profile> {
    bits.bits(2)?;
    let (high_tier, profile) = (bits.flag()?, bits.byte(5)?);
    let compatibility = bits.bits(32)?;
    bits.skip(48)?;
    let level = bits.byte(8)?;
    let lower = usize::from(sub_layers - 1);
    let mut present = [(false, false); 8];
    for it in present.iter_mut().take(if lower > 0 { 8 } else { 0 }) {
        *it = (bits.flag()?, bits.flag()?);
    }
    for (profile, level) in present.into_iter().take(lower) {
        bits.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 })?;
    }
    Some(Profile { profile, compatibility, high_tier, level })
}

/// scaling_list_data( ) (§7.3.4).
fn skip_scaling_lists(bits: &mut BitReader<'_>) -> Option<()> {
    for size in 0..4 {
        for _ in (0..6).step_by(if size == 3 { 3 } else { 1 }) {
            if !bits.flag()? {
                bits.ue()?;
                continue;
            }
            if size > 1 {
                bits.se()?;
            }
            for _ in 0..64.min(1 << (4 + 2 * size)) {
                bits.se()?;
            }
        }
    }
    Some(())
}

/// st_ref_pic_set( ) for all sets of a sequence (§7.3.7).
fn skip_reference_sets(bits: &mut BitReader<'_>) -> Option<()> {
    // Pictures in the set before.
    let mut pictures = 0;
    for index in 0..bits.ue_to(64)? {
        if index != 0 && bits.flag()? {
            bits.flag()?;
            bits.ue()?;
            let mut kept = 0;
            for _ in 0..=pictures {
                // used_by_curr_pic_flag, or else use_delta_flag
                if bits.flag()? || bits.flag()? {
                    kept += 1;
                }
            }
            pictures = kept;
        } else {
            pictures = bits.ue_to(16)? + bits.ue_to(16)?;
            for _ in 0..pictures {
                bits.ue()?;
                bits.flag()?;
            }
        }
    }
    Some(())
}

impl Sps {
    /// `unit` is the content with its two header bytes, emulation prevention removed.
    pub fn parse(unit: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(unit.get(2..)?);
        let vps_id = bits.byte(4)?;
        let sub_layers = Some(bits.byte(3)? + 1).filter(|it| *it <= 7)?;
        bits.flag()?;
        let profile = profile(&mut bits, sub_layers)?;
        let id = bits.ue_to(15)? as u8;
        let chroma = Chroma::from_idc(bits.ue()?)?;
        let separate_planes = chroma == Chroma::Yuv444 && bits.flag()?;
        // Level 6.2 allows sides up to sqrt(8 · 35651584) (§A.4.1); decoders in use end at 16 bits.
        let (coded_width, coded_height) = (bits.ue_to(65535)?, bits.ue_to(65535)?);
        let (mut width, mut height) = (coded_width, coded_height);
        let mut cropped_start = false;
        if bits.flag()? {
            let (across, down) = if separate_planes { (1, 1) } else { chroma.subsampling() };
            let (left, right) = (bits.ue_to(65535)?, bits.ue_to(65535)?);
            let (top, bottom) = (bits.ue_to(65535)?, bits.ue_to(65535)?);
            width = width.checked_sub((left + right) * across)?;
            height = height.checked_sub((top + bottom) * down)?;
            cropped_start = left + top > 0;
        }
        if width == 0 || height == 0 {
            return None;
        }
        let (depth_luma, depth_chroma) = (bits.ue_to(8)? as u8 + 8, bits.ue_to(8)? as u8 + 8);
        let order_lsb_bits = bits.ue_to(12)? + 4;
        let (mut buffering, mut reorder) = (0, 0);
        // One entry for all sub-layers, or one for each: the last is the highest.
        for _ in if bits.flag()? { 0 } else { sub_layers - 1 }..sub_layers {
            (buffering, reorder) = (bits.ue_to(15)? as u8 + 1, bits.ue_to(15)? as u8);
            bits.ue()?;
        }
        let smallest = bits.ue_to(3)? + 3;
        let block_bits = smallest + bits.ue_to(3)?;
        for _ in 0..4 {
            bits.ue()?; // sizes and depths of transforms
        }
        if bits.flag()? && bits.flag()? {
            skip_scaling_lists(&mut bits)?;
        }
        bits.bits(2)?; // amp_enabled_flag, sample_adaptive_offset_enabled_flag
        if bits.flag()? {
            bits.bits(8)?;
            bits.ue()?;
            bits.ue()?;
            bits.flag()?;
        }
        skip_reference_sets(&mut bits)?;
        if bits.flag()? {
            for _ in 0..bits.ue_to(32)? {
                bits.bits(order_lsb_bits + 1)?;
            }
        }
        bits.bits(2)?; // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
        let blocks = coded_width.div_ceil(1 << block_bits) * coded_height.div_ceil(1 << block_bits);
        let mut it = Self {
            vps_id,
            id,
            sub_layers,
            profile: profile.profile,
            compatibility: profile.compatibility,
            high_tier: profile.high_tier,
            level: profile.level,
            chroma,
            separate_planes,
            width,
            height,
            cropped_start,
            depth_luma,
            depth_chroma,
            order_lsb_bits,
            buffering,
            reorder,
            address_bits: u32::BITS - blocks.saturating_sub(1).leading_zeros(),
            fields: false,
            pic_struct_present: false,
            vui: None,
        };
        if bits.flag()? {
            // A set whose VUI is cut short is still a set.
            let _ = it.usability(&mut bits);
        }
        Some(it)
    }

    /// vui_parameters( ) (§E.2.1) as far as vui_timing_info.
    fn usability(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        let vui = self.vui.insert(Vui::common(bits)?);
        bits.flag()?; // neutral_chroma_indication_flag
        self.fields = bits.flag()?;
        self.pic_struct_present = bits.flag()?;
        if bits.flag()? {
            for _ in 0..4 {
                bits.ue()?;
            }
        }
        vui.timing = Vui::timing(bits, false)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// x265's set for 64x64 and its window, made by hand: Main, level 1, four reference sets of which two predicted.
    #[test]
    fn reference_sets_are_stepped_over() {
        // 1 set: 1 negative, 0 positive | delta 0, used. Then a predicted one: flag 1, sign 0, delta 0, 2 × used.
        // num=2: 011 | 010 1 | 1 1 -- next set: 1 0 1 1 1
        let bytes = [0b0110_1011, 0b1101_1100];
        let mut bits = BitReader::new(&bytes);
        assert_eq!(skip_reference_sets(&mut bits), Some(()));
        assert_eq!(bits.left(), 16 - 14);
    }
}
