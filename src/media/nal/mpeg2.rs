//! MPEG-2 video, and MPEG-1 as far as it is the same (ITU-T H.262 §6.2): headers of sequences, groups and pictures.
//! Functions take what follows a start code, beginning with the code's value.

use super::vui::Colour;
use super::{BitReader, Chroma, PictureType, START_CODE, StartCodes, without_trailing_zeros};

/// Values of start codes (H.262 table 6-1).
pub mod kind {
    pub const PICTURE: u8 = 0x00;
    pub const FIRST_SLICE: u8 = 0x01;
    pub const LAST_SLICE: u8 = 0xaf;
    pub const SEQUENCE: u8 = 0xb3;
    pub const EXTENSION: u8 = 0xb5;
    pub const GROUP: u8 = 0xb8;
}

/// extension_start_code_identifier (H.262 table 6-2).
pub mod extension {
    pub const SEQUENCE: u8 = 1;
    pub const DISPLAY: u8 = 2;
    pub const PICTURE_CODING: u8 = 8;
}

/// The identifier of an extension.
pub fn extension_of(unit: &[u8]) -> Option<u8> {
    unit.get(1).map(|it| it >> 4)
}

/// Sequence header with its extensions (§6.2.2.1, §6.2.2.3, §6.2.2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    pub width: u32,
    pub height: u32,
    /// aspect_ratio_information (table 6-3): 1 square samples, 2 4:3, 3 16:9, 4 2.21:1 of the picture.
    pub aspect: u8,
    /// Frames per second, as a fraction.
    pub frame_rate: Option<(u32, u32)>,
    /// profile_and_level_indication; 0 is MPEG-1.
    pub profile_level: u8,
    pub progressive: bool,
    pub low_delay: bool,
    pub chroma: Chroma,
    pub video_format: Option<u8>,
    pub colour: Option<Colour>,
    /// display_horizontal_size and display_vertical_size.
    pub display: Option<(u32, u32)>,
}

/// Table 6-4 from 1 on.
const FRAME_RATES: [(u32, u32); 8] =
    [(24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (50, 1), (60000, 1001), (60, 1)];

impl Sequence {
    /// Reads a header and the extensions after it, with start codes, as they stand in the stream.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let codes = StartCodes::default();
        let mut units = codes.units(bytes);
        let mut it = Self::header(units.next()?)?;
        for unit in units.filter(|it| it.first() == Some(&kind::EXTENSION)) {
            match extension_of(unit) {
                Some(extension::SEQUENCE) => it.extend(unit)?,
                // What a display does may be cut short.
                Some(extension::DISPLAY) => {
                    let _ = it.displayed(unit);
                }
                _ => {}
            }
        }
        Some(it)
    }

    fn header(unit: &[u8]) -> Option<Self> {
        let (code, rest) = unit.split_first()?;
        if *code != kind::SEQUENCE {
            return None;
        }
        let mut bits = BitReader::new(rest);
        let (width, height) = (bits.bits(12)?, bits.bits(12)?);
        let (aspect, rate) = (bits.byte(4)?, bits.byte(4)?);
        Some(Self {
            width,
            height,
            aspect,
            frame_rate: usize::from(rate).checked_sub(1).and_then(|it| FRAME_RATES.get(it)).copied(),
            profile_level: 0,
            progressive: true,
            low_delay: false,
            chroma: Chroma::Yuv420,
            video_format: None,
            colour: None,
            display: None,
        })
    }

    fn extend(&mut self, unit: &[u8]) -> Option<()> {
        let mut bits = BitReader::new(unit.get(1..)?);
        bits.bits(4)?;
        self.profile_level = bits.byte(8)?;
        self.progressive = bits.flag()?;
        self.chroma = Chroma::from_idc(bits.bits(2)?)?;
        self.width |= bits.bits(2)? << 12;
        self.height |= bits.bits(2)? << 12;
        bits.skip(12 + 1 + 8)?; // bit rate and buffer size
        self.low_delay = bits.flag()?;
        let (n, d) = (bits.bits(2)? + 1, bits.bits(5)? + 1);
        self.frame_rate = self.frame_rate.map(|(num, den)| (num * n, den * d));
        Some(())
    }

    fn displayed(&mut self, unit: &[u8]) -> Option<()> {
        let mut bits = BitReader::new(unit.get(1..)?);
        bits.bits(4)?;
        self.video_format = Some(bits.byte(3)?);
        if bits.flag()? {
            let (primaries, transfer, matrix) = (bits.byte(8)?, bits.byte(8)?, bits.byte(8)?);
            self.colour = Some(Colour { primaries, transfer, matrix });
        }
        let width = bits.bits(14)?;
        bits.flag()?;
        self.display = Some((width, bits.bits(14)?));
        Some(())
    }

    /// Width to height of a sample. Aspects of the picture are taken of the coded size (§6.3.3 would take a display
    /// size that is smaller; decoders in use do not agree on that).
    pub fn sar(&self) -> Option<(u16, u16)> {
        let (num, den) = match self.aspect {
            1 => return Some((1, 1)),
            2 => (4, 3),
            3 => (16, 9),
            4 => (221, 100),
            _ => return None,
        };
        let (num, den) = (num * self.height, den * self.width);
        let divisor = greatest_common_divisor(num, den);
        if divisor == 0 {
            return None;
        }
        Some((u16::try_from(num / divisor).ok()?, u16::try_from(den / divisor).ok()?))
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Adds a sequence header or one of its extensions to what [`Sequence::parse`] reads, without the zeros after it.
/// Units of MPEG-2 may end in zeros of their own, so it is their syntax that tells their length.
pub fn append(sequence: &mut Vec<u8>, unit: &[u8]) {
    let bit = |byte: usize, mask: u8| unit.get(byte).is_some_and(|it| it & mask != 0);
    let matrix = |is: bool| if is { 64 } else { 0 };
    let length = match (unit.first(), extension_of(unit)) {
        (Some(&kind::SEQUENCE), _) => {
            let intra = matrix(bit(8, 2));
            9 + intra + matrix(bit(8 + intra, 1))
        }
        (_, Some(extension::SEQUENCE)) => 7,
        (_, Some(extension::DISPLAY)) => {
            if bit(1, 1) {
                9
            } else {
                6
            }
        }
        _ => without_trailing_zeros(unit).len(),
    };
    sequence.extend_from_slice(&START_CODE);
    sequence.extend_from_slice(&unit[..length.min(unit.len())]);
}

/// Group of pictures header (§6.2.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// The first B pictures need nothing from the group before.
    pub closed: bool,
    /// The group before is gone: the first B pictures of an open group cannot be decoded.
    pub broken_link: bool,
}

impl Group {
    pub fn parse(unit: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(unit.get(1..)?);
        bits.skip(25)?; // time_code
        Some(Self { closed: bits.flag()?, broken_link: bits.flag()? })
    }
}

/// Picture header (§6.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureHeader {
    /// Place in display order inside the group, modulo 1024.
    pub temporal_reference: u16,
    pub picture_type: PictureType,
}

impl PictureHeader {
    pub fn parse(unit: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(unit.get(1..)?);
        let temporal_reference = bits.bits(10)? as u16;
        let picture_type = match bits.bits(3)? {
            // 4 is a D picture of MPEG-1: DC coefficients only, predicted from nothing.
            1 | 4 => PictureType::I,
            2 => PictureType::P,
            3 => PictureType::B,
            _ => return None,
        };
        Some(Self { temporal_reference, picture_type })
    }
}

/// picture_structure (table 6-14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    TopField,
    BottomField,
    Frame,
}

/// Picture coding extension (§6.2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureCoding {
    pub structure: Structure,
    pub top_first: bool,
    pub repeat_first: bool,
    pub progressive: bool,
}

impl PictureCoding {
    pub fn parse(unit: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(unit.get(1..)?);
        bits.skip(4 + 16 + 2)?; // identifier, f_codes, intra_dc_precision
        let structure = match bits.bits(2)? {
            1 => Structure::TopField,
            2 => Structure::BottomField,
            3 => Structure::Frame,
            _ => return None,
        };
        let top_first = bits.flag()?;
        bits.skip(5)?;
        let repeat_first = bits.flag()?;
        bits.skip(1)?;
        Some(Self { structure, top_first, repeat_first, progressive: bits.flag()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_with_its_extensions() {
        // 720x576, 16:9, 25 fps; Main@Main, interlaced, 4:2:0; PAL, BT.470BG.
        let mut bytes = Vec::new();
        append(&mut bytes, &[0xb3, 0x2d, 0x02, 0x40, 0x33, 0xff, 0xff, 0xe0, 0x18]);
        append(&mut bytes, &[0xb5, 0x14, 0x82, 0x00, 0x01, 0x00, 0x00]);
        append(&mut bytes, &[0xb5, 0x23, 0x05, 0x05, 0x05, 0x0b, 0x42, 0x12, 0x00]);
        let it = Sequence::parse(&bytes).unwrap();
        assert_eq!((it.width, it.height, it.frame_rate), (720, 576, Some((25, 1))));
        assert_eq!((it.sar(), it.profile_level, it.progressive), (Some((64, 45)), 0x48, false));
        assert_eq!((it.chroma, it.video_format), (Chroma::Yuv420, Some(1)));
        assert_eq!(it.colour, Some(Colour { primaries: 5, transfer: 5, matrix: 5 }));
        assert_eq!(it.display, Some((720, 576)));
        assert_eq!(Sequence::parse(&bytes[8..]), None);
    }

    #[test]
    fn groups_and_pictures() {
        let group = |byte| Group::parse(&[0xb8, 0, 8, 0, byte]).unwrap();
        assert_eq!(group(0x40), Group { closed: true, broken_link: false });
        assert_eq!(group(0x20), Group { closed: false, broken_link: true });
        let picture = PictureHeader::parse(&[0, 0x00, 0x9f, 0xff]).unwrap();
        assert_eq!((picture.temporal_reference, picture.picture_type), (2, PictureType::B));
        assert_eq!(PictureHeader::parse(&[0, 0, 0]), None);
        let coding = PictureCoding::parse(&[0xb5, 0x8f, 0xff, 0xf3, 0x80, 0x80]).unwrap();
        assert_eq!((coding.structure, coding.top_first, coding.progressive), (Structure::Frame, true, true));
    }
}
