//! Sample entries: how the samples of a track are coded (ISO/IEC 14496-12 §8.5.2, -14 §5.6, -15 §5.4).

use super::boxes::Boxes;
use crate::media::nal::vui::Colour;

/// How pictures are coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureEntry {
    /// `avc1`, `avc3`, `hvc1`, `hev1` or `av01`.
    pub kind: [u8; 4],
    /// The decoder's configuration record.
    pub record: Vec<u8>,
    /// Shown size, in luma samples.
    pub width: u16,
    pub height: u16,
    /// Width to height of a sample; (0, 0) is unspecified.
    pub sar: (u16, u16),
    pub colour: Colour,
    pub full_range: bool,
}

/// How sound is coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoundEntry {
    pub channels: u16,
    /// Hz.
    pub rate: u32,
    pub coding: SoundCoding,
}

/// The codec of sound with what its decoder is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SoundCoding {
    /// An object type (mp4ra.org) and an AudioSpecificConfig, which MPEG audio has not.
    Mpeg4 { object: u8, config: Vec<u8> },
    /// A sample entry and a box of its own, whose whole content `record` is: `Opus` and dOps, `ac-3` and dac3, `ec-3` and
    /// dec3, `fLaC` and dfLa (with its version and flags).
    Boxed { entry: [u8; 4], kind: [u8; 4], record: Vec<u8> },
}

/// What a track's samples are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SampleEntry {
    Picture(PictureEntry),
    Sound(SoundEntry),
}

impl From<PictureEntry> for SampleEntry {
    fn from(entry: PictureEntry) -> Self {
        Self::Picture(entry)
    }
}

impl From<SoundEntry> for SampleEntry {
    fn from(entry: SoundEntry) -> Self {
        Self::Sound(entry)
    }
}

impl SampleEntry {
    pub(super) fn write(&self, out: &mut Boxes) {
        match self {
            Self::Picture(it) => it.write(out),
            Self::Sound(it) => it.write(out),
        }
    }
}

impl PictureEntry {
    /// Shown size in square samples.
    pub fn shown(&self) -> (u32, u32) {
        let (across, down) = self.sar;
        let width = match down {
            0 => u32::from(self.width),
            _ => u32::from(self.width) * u32::from(across) / u32::from(down),
        };
        (width, u32::from(self.height))
    }

    fn write(&self, out: &mut Boxes) {
        out.put(&self.kind, |out| {
            out.zeros(6);
            out.u16(1); // data_reference_index
            out.zeros(16);
            out.u16(self.width);
            out.u16(self.height);
            // 72 dots an inch, as everybody writes.
            out.u32(0x0048_0000);
            out.u32(0x0048_0000);
            out.u32(0);
            out.u16(1); // frame_count
            out.zeros(32);
            out.u16(0x0018);
            out.u16(0xffff);
            let config = match &self.kind {
                b"av01" => b"av1C",
                [b'a', ..] => b"avcC",
                _ => b"hvcC",
            };
            out.put(config, |out| out.bytes(&self.record));
            if self.colour != Colour::default() || self.full_range {
                out.put(b"colr", |out| {
                    out.bytes(b"nclx");
                    for it in [self.colour.primaries, self.colour.transfer, self.colour.matrix] {
                        out.u16(u16::from(it));
                    }
                    out.u8(if self.full_range { 0x80 } else { 0 });
                });
            }
            if self.sar.0 != 0 && self.sar.1 != 0 {
                out.put(b"pasp", |out| {
                    out.u32(u32::from(self.sar.0));
                    out.u32(u32::from(self.sar.1));
                });
            }
        });
    }
}

/// A descriptor of ISO/IEC 14496-1 §8.3; none here is as long as 128 bytes.
fn descriptor(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, content.len() as u8][..], content].concat()
}

impl SoundEntry {
    /// Bits of a sample: 16 for what is not stored sample by sample; of FLAC, what its STREAMINFO has (FLAC in ISOBMFF §3.3.1).
    fn sample_bits(&self) -> u16 {
        const INFO: usize = 8;
        match &self.coding {
            SoundCoding::Boxed { kind: [b'd', b'f', b'L', b'a'], record, .. } => {
                // One less, in five bits behind the sizes, the rate and the channels (RFC 9639 §8.2).
                let at = |place: usize| record.get(INFO + place).copied().map(u16::from);
                at(12).zip(at(13)).map_or(16, |(high, low)| ((high & 1) << 4 | low >> 4) + 1)
            }
            _ => 16,
        }
    }

    fn write(&self, out: &mut Boxes) {
        let kind = match &self.coding {
            SoundCoding::Mpeg4 { .. } => b"mp4a",
            SoundCoding::Boxed { entry, .. } => entry,
        };
        out.put(kind, |out| {
            out.zeros(6);
            out.u16(1); // data_reference_index
            out.zeros(8);
            out.u16(self.channels);
            out.u16(self.sample_bits());
            out.u32(0);
            // Rates above 16 bits are told by the codec.
            out.u16(u16::try_from(self.rate).unwrap_or(0));
            out.u16(0);
            match &self.coding {
                SoundCoding::Boxed { kind, record, .. } => out.put(kind, |out| out.bytes(record)),
                SoundCoding::Mpeg4 { object, config } => out.full(b"esds", 0, 0, |out| {
                    // An audio stream; neither buffer nor rates are told.
                    let mut decoder = vec![*object, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                    if !config.is_empty() {
                        decoder.extend(descriptor(5, config));
                    }
                    let stream = [&[0, 0, 0][..], &descriptor(4, &decoder), &descriptor(6, &[2])].concat();
                    out.bytes(&descriptor(3, &stream));
                }),
            }
        });
    }
}
