//! What a sequence's parameter set says about its pictures, in one form for all codecs.

use super::sets::ParameterSet;
use super::{SetKind, VideoCodec};
use crate::media::nal::vui::{Colour, Vui};
use crate::media::nal::{Chroma, h264, hevc, mpeg2, unescape};

/// The order of a frame's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scan {
    #[default]
    Progressive,
    /// Interlaced, with unknown field order.
    Interlaced,
    TopFirst,
    BottomFirst,
}

/// The format of pictures. Zeros are unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VideoFormat {
    /// Shown size, in luma samples.
    pub width: u32,
    pub height: u32,
    /// profile_idc; of MPEG-2 the upper half of profile_and_level_indication (4 is Main), 0 is MPEG-1.
    pub profile: u8,
    /// H.264's constraint_set flags, flag 0 highest.
    pub constraints: u8,
    /// level_idc: H.264 ten times, HEVC thirty times the level; of MPEG-2 the lower half (8 is Main).
    pub level: u8,
    /// HEVC's High tier.
    pub high_tier: bool,
    pub chroma: Chroma,
    /// Bits of a luma and a chroma sample.
    pub depth: u8,
    pub depth_chroma: u8,
    /// Width to height of a sample; (0, 0) is unspecified.
    pub sar: (u16, u16),
    pub colour: Colour,
    pub full_range: bool,
    /// chroma_sample_loc_type of the top field.
    pub chroma_location: Option<u8>,
    /// video_format (H.264 table E-2); 5 is unspecified.
    pub video_format: u8,
    /// Fields or interlaced frames are allowed.
    pub interlaced: bool,
    /// H.264: frames may mix frame and field macroblocks.
    pub adaptive: bool,
    /// Frames per second, as a fraction; H.264's assumes two ticks a frame.
    pub frame_rate: Option<(u32, u32)>,
    /// H.264's fixed_frame_rate_flag.
    pub fixed_rate: bool,
    /// Pictures that may be decoded before and shown after another, where the set says so.
    pub reorder: Option<u8>,
    /// Pictures a decoder holds, where the set says so (max_dec_frame_buffering).
    pub buffering: Option<u8>,
    /// H.264's max_num_ref_frames.
    pub max_references: u8,
    /// pic_order_cnt_type of H.264.
    pub order_type: u8,
    /// pic_timing messages carry pic_struct.
    pub pic_struct: bool,
    /// A NAL HRD is described: the stream claims a buffer model.
    pub nal_hrd: bool,
}

impl VideoFormat {
    pub fn of(codec: VideoCodec, set: &ParameterSet) -> Option<Self> {
        if set.kind != SetKind::Sequence {
            return None;
        }
        let mut scratch = Vec::new();
        match codec {
            VideoCodec::H264 => {
                h264::Sps::parse(unescape(&set.bytes, &mut scratch)).map(|it| Self::h264(&it))
            }
            VideoCodec::Hevc => {
                hevc::Sps::parse(unescape(&set.bytes, &mut scratch)).map(|it| Self::hevc(&it))
            }
            VideoCodec::Mpeg2 => mpeg2::Sequence::parse(&set.bytes).map(|it| Self::mpeg2(&it)),
            VideoCodec::Vp9 | VideoCodec::Av1 | VideoCodec::Other(_) => None,
        }
    }

    fn used(self, vui: Option<Vui>) -> Self {
        let vui = vui.unwrap_or_default();
        Self {
            sar: vui.sar.unwrap_or_default(),
            colour: vui.colour.unwrap_or_default(),
            full_range: vui.full_range,
            chroma_location: vui.chroma_location.map(|it| it.0),
            video_format: vui.video_format.unwrap_or(5),
            ..self
        }
    }

    fn h264(sps: &h264::Sps) -> Self {
        let vui = sps.vui.unwrap_or_default();
        // num_units_in_tick is the time of a field (H.264 §E.2.1).
        let rate = vui.timing.and_then(|it| Some((it.scale, it.units.checked_mul(2)?)));
        Self {
            width: sps.width,
            height: sps.height,
            profile: sps.profile,
            constraints: sps.constraints,
            level: sps.level,
            chroma: sps.chroma,
            depth: sps.depth_luma,
            depth_chroma: sps.depth_chroma,
            interlaced: !sps.frame_mbs_only,
            adaptive: sps.adaptive,
            frame_rate: rate,
            fixed_rate: vui.timing.is_some_and(|it| it.fixed),
            reorder: match sps.order {
                h264::OrderCount::Decoding => Some(0),
                _ => vui.restriction.map(|it| it.reorder),
            },
            buffering: vui.restriction.map(|it| it.buffering),
            max_references: sps.max_references,
            order_type: match sps.order {
                h264::OrderCount::Sent { .. } => 0,
                h264::OrderCount::Cycle { .. } => 1,
                h264::OrderCount::Decoding => 2,
            },
            pic_struct: vui.pic_struct_present,
            nal_hrd: vui.nal_hrd.is_some(),
            ..Self::default()
        }
        .used(sps.vui)
    }

    fn hevc(sps: &hevc::Sps) -> Self {
        Self {
            width: sps.width,
            height: sps.height,
            profile: sps.profile,
            level: sps.level,
            high_tier: sps.high_tier,
            chroma: sps.chroma,
            depth: sps.depth_luma,
            depth_chroma: sps.depth_chroma,
            interlaced: sps.fields,
            frame_rate: sps.vui.and_then(|it| it.timing).map(|it| (it.scale, it.units)),
            reorder: Some(sps.reorder),
            buffering: Some(sps.buffering),
            pic_struct: sps.pic_struct_present,
            ..Self::default()
        }
        .used(sps.vui)
    }

    fn mpeg2(sequence: &mpeg2::Sequence) -> Self {
        Self {
            width: sequence.width,
            height: sequence.height,
            profile: sequence.profile_level >> 4,
            level: sequence.profile_level & 0x0f,
            chroma: sequence.chroma,
            depth: 8,
            depth_chroma: 8,
            sar: sequence.sar().unwrap_or_default(),
            colour: sequence.colour.unwrap_or_default(),
            video_format: sequence.video_format.unwrap_or(5),
            interlaced: !sequence.progressive,
            frame_rate: sequence.frame_rate,
            reorder: sequence.low_delay.then_some(0),
            ..Self::default()
        }
    }

    /// Ticks of 90 kHz that a frame lasts, where the set says so.
    pub fn frame_ticks(&self) -> Option<i64> {
        let (num, den) = self.frame_rate.filter(|(num, _)| *num != 0)?;
        Some(90_000 * i64::from(den) / i64::from(num)).filter(|it| *it > 0)
    }
}
