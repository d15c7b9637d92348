//! What the units of a byte stream mean for the borders between pictures, by codec.

mod h264;
mod hevc;
mod mpeg2;

use super::sets::Sets;
use super::{PictureType, Scan, UnitClass, VideoCodec};

/// A coded picture, as its first slice or header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    pub class: UnitClass,
    pub picture_type: PictureType,
    pub reference: bool,
    /// It is one field of a frame.
    pub field: bool,
    pub second_field: bool,
    /// Index of the sequence's parameter set.
    pub active: Option<u16>,
    /// Place in display order, in half frames from where `sequence` begins; `None` is the order of decoding.
    pub order: Option<i64>,
    /// Counts the stretches inside which `order` can be compared.
    pub sequence: u32,
    pub scan: Option<Scan>,
    /// False when its beginning is missing.
    pub whole: bool,
}

impl Default for Picture {
    fn default() -> Self {
        Self {
            class: UnitClass::Other,
            picture_type: PictureType::I,
            reference: true,
            field: false,
            second_field: false,
            active: None,
            order: None,
            sequence: 0,
            scan: None,
            whole: true,
        }
    }
}

/// The part that a unit of the byte stream plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// It belongs to the access unit before it.
    Follows,
    /// After a picture, it begins the next access unit.
    Opens,
    /// It begins a picture, and with it an access unit unless one without a picture is open.
    Begins(Picture),
    /// It goes on with the picture.
    Goes(PictureType),
    /// It tells more of the picture just begun.
    Amends(Picture),
}

/// One codec's reading of its units.
#[derive(Debug)]
pub enum Syntax {
    H264(Box<h264::H264>),
    Hevc(Box<hevc::Hevc>),
    Mpeg2(mpeg2::Mpeg2),
}

/// Bytes of an SEI unit looked at. Recovery points come first or after captions, of which a picture has some hundred.
const SEI_BYTES: usize = 2048;
/// Bytes of a slice header looked at: the fields read have at most 32 bits each, and are at most 12.
const SLICE_BYTES: usize = 48;

impl Syntax {
    pub fn new(codec: VideoCodec) -> Option<Self> {
        match codec {
            VideoCodec::H264 => Some(Self::H264(Box::default())),
            VideoCodec::Hevc => Some(Self::Hevc(Box::default())),
            VideoCodec::Mpeg2 => Some(Self::Mpeg2(mpeg2::Mpeg2::default())),
            VideoCodec::Vp9 | VideoCodec::Av1 | VideoCodec::Other(_) => None,
        }
    }

    /// Bytes of a unit's header.
    pub fn header_bytes(&self) -> usize {
        if matches!(self, Self::Hevc(_)) { 2 } else { 1 }
    }

    /// How many bytes of the unit with this header are worth keeping.
    pub fn wanted(&self, header: &[u8]) -> usize {
        match self {
            Self::H264(_) => h264::wanted(header),
            Self::Hevc(_) => hevc::wanted(header),
            Self::Mpeg2(_) => mpeg2::wanted(header),
        }
    }

    /// Reads the kept bytes of a unit.
    pub fn take(&mut self, unit: &[u8], sets: &mut Sets) -> Piece {
        match self {
            Self::H264(it) => it.take(unit, sets),
            Self::Hevc(it) => it.take(unit, sets),
            Self::Mpeg2(it) => it.take(unit, sets),
        }
    }
}
