//! The frame index of one MPEG-TS segment: every coded picture and sound frame with its times, its place and its
//! class, and the parameter sets in force. Built in one pass over the bytes, without libav; kept as a small file.
//!
//! Times are ticks of 90 kHz, unwrapped inside the segment: the first time seen is as it stands in the stream
//! (33 bits), the others are the nearest to it, so they may be negative or above 2^33. Offsets are bytes of the segment.

mod audio;
mod build;
mod code;
mod format;
mod headers;
pub mod packets;
mod place;
mod query;
mod read;
mod sets;
mod syntax;
#[cfg(test)]
mod tests;
mod times;
mod video;

use headers::Parsed;

pub use build::{build, sound};
pub use format::{Scan, VideoFormat};
pub use read::ElementaryReader;
pub use sets::{ParameterSet, ParameterState, SetKind};

pub use crate::media::nal::PictureType;

/// Coded pictures a segment may have: four hours at 60 a second, and 64 MB of memory.
pub const MAX_UNITS: usize = 1 << 20;
/// Sound frames a segment may have over all its tracks: six hours of AAC in four tracks, and 128 MB.
pub const MAX_FRAMES: usize = 1 << 22;
/// Sound tracks an index keeps.
pub const MAX_AUDIO_TRACKS: usize = 32;

/// What is in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameIndex {
    /// Length of the segment the index is of, in bytes.
    pub bytes: u64,
    /// program_number.
    pub program: u16,
    pub pmt_pid: u16,
    pub pcr_pid: u16,
    /// The first PCR, in ticks of 27 MHz.
    pub first_pcr: Option<u64>,
    /// How often packets of the indexed streams were missing, damaged or scrambled.
    pub gaps: u32,
    /// Program maps after the first that list other streams.
    pub program_changes: u32,
    pub video: Option<VideoTrack>,
    pub audio: Vec<AudioTrack>,
}

/// The sound of a segment and the clock it is placed by, where nothing else is wanted: see [`sound`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoundIndex {
    /// The smallest PTS of a picture; without pictures, of a sound frame.
    pub first_pts: Option<i64>,
    pub audio: Vec<AudioTrack>,
}

/// How pictures are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    H264,
    Hevc,
    /// MPEG-1 or MPEG-2: they differ in a sequence's extension only.
    Mpeg2,
    /// Only in files: packets of a VP9 file are superframes.
    Vp9,
    /// Only in files: packets are temporal units.
    Av1,
    /// Something else, by its stream_type (H.222.0 table 2-34). A unit is a PES packet.
    Other(u8),
}

/// The pictures of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoTrack {
    pub pid: u16,
    pub stream_type: u8,
    pub codec: VideoCodec,
    /// Each parameter set once, in order of appearance.
    pub sets: Vec<ParameterSet>,
    /// Which sets were in force together; [`AccessUnit::parameter_set`] points here.
    pub states: Vec<ParameterState>,
    /// In decoding order.
    pub units: Vec<AccessUnit>,
    /// How the first picture that says so is scanned.
    pub scan: Scan,
    /// Most pictures that one waits for, decoded before it and shown after it: measured. Fields count as pictures.
    pub reorder: u8,
    pub has_b: bool,
}

/// One coded picture: a frame, or one field of a frame.
///
/// Its elementary bytes begin in the transport packet at `offset`: with `skip` 0 they are the first of the PES packet
/// that begins there (whose header may run on into the next packets); otherwise they begin at index `skip` of that
/// packet, in the middle of a PES packet. From there on they are the next `size` payload bytes of the PID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessUnit {
    pub pts: i64,
    /// Equals `pts` where the stream has none.
    pub dts: i64,
    pub offset: u64,
    /// The byte after the last packet that can hold bytes of this unit: where the next unit's first packet begins (or
    /// ends, when both share it), or the segment's end. Packets of other PIDs lie between.
    pub end: u64,
    pub skip: u8,
    /// Elementary bytes.
    pub size: u32,
    /// Of H.264 and HEVC: bytes it has as a sample, its NAL units behind lengths (ISO/IEC 14496-15 §4.3), and those its
    /// parameter sets add. Of other codecs, `size` and 0.
    pub payload: u32,
    pub sets: u32,
    pub class: UnitClass,
    pub picture_type: PictureType,
    /// Other pictures are predicted from it.
    pub reference: bool,
    /// The second field of the frame whose first is the unit before.
    pub second_field: bool,
    /// The stream has no time for this unit: `pts` and `dts` are reckoned from its neighbours.
    pub estimated: bool,
    /// Packets were lost inside, or its beginning is missing.
    pub damaged: bool,
    /// Index into [`VideoTrack::states`].
    pub parameter_set: u16,
}

/// How decoding may begin at a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnitClass {
    /// H.264 and HEVC IDR; an MPEG-2 I picture of a closed group. Nothing after it needs anything before it.
    Idr,
    /// An SEI message promises right pictures after `frames` more (recovery_frame_cnt, recovery_poc_cnt).
    RecoveryPoint {
        frames: u16,
    },
    /// HEVC clean random access: RASL pictures after it need pictures before it.
    Cra,
    /// HEVC broken link access, MPEG-2 with broken_link: leading pictures after it cannot be decoded.
    Bla,
    /// HEVC random access skipped leading.
    Rasl,
    /// HEVC random access decodable leading.
    Radl,
    /// An MPEG-2 I picture of an open group; of other codecs, a PES packet with random_access_indicator.
    KeyOpen,
    Other,
}

impl UnitClass {
    /// Whether a decoder may be started here.
    pub fn is_random_access(self) -> bool {
        !matches!(self, Self::Rasl | Self::Radl | Self::Other)
    }
}

/// How sound is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// AAC in ADTS.
    AacAdts,
    /// AAC in LATM with LOAS framing.
    AacLatm,
    /// MPEG audio, layer I, II or III.
    Mpeg {
        layer: u8,
    },
    Ac3,
    Eac3,
    /// With its control headers (ETSI TS 103 491); a frame's bytes include the header.
    Opus,
}

/// Bytes kept of a sound track's first frame.
pub const HEAD_KEPT: usize = 8;

/// One sound track of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioTrack {
    pub pid: u16,
    pub stream_type: u8,
    pub codec: AudioCodec,
    /// Of the first frame, in Hz; of AAC, that of the core (SBR may double it). 0 without frames.
    pub sample_rate: u32,
    /// Of the first frame, of Opus the most of any; 0 when its header does not tell.
    pub channels: u8,
    /// Samples of each channel in the first frame.
    pub samples_per_frame: u16,
    /// MPEG-4 audio object type of AAC (2 is LC), else 0.
    pub object_type: u8,
    /// Set when a later frame has another rate or other channels.
    pub changes: bool,
    /// How the first frame begins; zeros without frames.
    pub head: [u8; HEAD_KEPT],
    pub frames: Vec<AudioFrame>,
}

/// One sound frame. Its place is told as for [`AccessUnit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioFrame {
    /// Of its first sample: of the PES packet where it is the first to begin there, else reckoned by samples.
    pub pts: i64,
    pub offset: u64,
    pub skip: u8,
    /// Elementary bytes, the frame's header included.
    pub size: u32,
    /// Of them, bytes before what a decoder is given in a file: of ADTS, and of Opus its control header.
    pub framing: u8,
    /// Samples of each channel.
    pub samples: u16,
}

/// Where elementary bytes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub offset: u64,
    pub skip: u8,
    pub size: u32,
}

impl AccessUnit {
    pub fn extent(&self) -> Extent {
        Extent { offset: self.offset, skip: self.skip, size: self.size }
    }
}

impl AudioTrack {
    /// What of a frame goes to a decoder in a file: all but its framing.
    pub fn bare<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        let head = &frame[..frame.len().min(headers::HEAD_BYTES)];
        let framing = match headers::parse(self.codec, head, None) {
            Parsed::Frame(header) => usize::from(header.framing),
            Parsed::More(_) | Parsed::Bad => 0,
        };
        frame.get(framing..).unwrap_or_default()
    }

    /// Bytes of framing that frames of `size` bytes have, but for those that say more than usual.
    fn usual_framing(&self, size: u32) -> u8 {
        let bytes = match self.codec {
            // protection_absent (ISO/IEC 14496-3 §1.A.2.2.1): else a checksum follows.
            AudioCodec::AacAdts if self.head[1] & 1 == 1 => 7,
            AudioCodec::AacAdts => 9,
            AudioCodec::Opus => headers::opus_header(size),
            AudioCodec::AacLatm | AudioCodec::Mpeg { .. } | AudioCodec::Ac3 | AudioCodec::Eac3 => 0,
        };
        bytes.min(size).try_into().unwrap_or(u8::MAX)
    }
}

impl AudioFrame {
    pub fn extent(&self) -> Extent {
        Extent { offset: self.offset, skip: self.skip, size: self.size }
    }
}
