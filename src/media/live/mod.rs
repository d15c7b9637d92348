//! What a live source is made of, whatever brought it: tracks and their samples, in the form MP4 keeps them.

pub mod aac;
pub mod intake;
pub mod silence;
pub mod still;
mod stored;
mod transport;

pub use stored::samples_of;
pub use transport::{Refused, Transport};

use super::ffi::id;
pub use super::ffi::{Allow, Demuxer, Input, Packet, Remote};
use super::mp4::SampleEntry;
use crate::base::Timestamp;
use crate::base::time::TimeBase;
use bytes::Bytes;

/// How a track is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    H264,
    Hevc,
    Av1,
    Vp9,
    Aac,
    /// MPEG-1/2 layer II or III.
    Mpeg,
    Opus,
    Flac,
    Ac3,
    Eac3,
    /// G.711, A-law and µ-law.
    Alaw,
    Mulaw,
    /// Something else, by libav's identifier.
    Other(u32),
}

impl Codec {
    /// The codec of libav's identifier.
    pub fn of(codec: u32) -> Self {
        match codec {
            id::H264 => Self::H264,
            id::HEVC => Self::Hevc,
            id::AV1 => Self::Av1,
            id::VP9 => Self::Vp9,
            id::AAC => Self::Aac,
            id::MP1 | id::MP2 | id::MP3 => Self::Mpeg,
            id::OPUS => Self::Opus,
            id::FLAC => Self::Flac,
            id::AC3 => Self::Ac3,
            id::EAC3 => Self::Eac3,
            id::PCM_ALAW => Self::Alaw,
            id::PCM_MULAW => Self::Mulaw,
            other => Self::Other(other),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrackKind {
    Video,
    Audio,
}

/// One track of an epoch; it does not change within it.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    pub kind: TrackKind,
    pub codec: Codec,
    /// The codec by libav's short name (`h264`, `pcm_alaw`), for people and diagnostics.
    pub name: String,
    /// Of its samples' times.
    pub time_base: TimeBase,
    /// What a decoder is set up with, as MP4 has it: an avcC, hvcC or av1C record, an AudioSpecificConfig, and so on.
    pub config: Bytes,
    /// Its sample entry in MP4; `None` where MP4 has none that players know.
    pub entry: Option<SampleEntry>,
    /// RFC 6381's name of the codec, such as `avc1.64001f`; empty where there is none.
    pub codecs: String,
    /// Shown size in luma samples; 0 for sound.
    pub width: u32,
    pub height: u32,
    /// Frames a second as the source tells, (0, 1) where it does not.
    pub frame_rate: (u32, u32),
    /// Of sound, in Hz; 0 for pictures.
    pub sample_rate: u32,
    pub channels: u32,
    /// Samples in each frame of sound; 0 where they differ or are not known.
    pub frame_samples: u32,
}

/// One access unit or one frame of sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Its track's index in the epoch.
    pub track: usize,
    /// In the track's time base. Within an epoch a track's DTS rise strictly, without a hole that its source has not.
    pub dts: i64,
    pub pts: i64,
    /// To the next sample's DTS, as far as is known; never 0.
    pub duration: u32,
    /// Decoding can begin here. True of every frame of sound.
    pub key: bool,
    /// The wall time it is shown or heard at, by the source's clock where that tells one.
    pub time: Timestamp,
    /// H.264, HEVC: NAL units behind lengths of four bytes, all of them but delimiters and filler, parameter sets too
    /// (see [`crate::media::nal::prefixed`]). AAC: without ADTS headers. AV1: OBUs of a temporal unit. Others: as they are.
    pub data: Bytes,
}
