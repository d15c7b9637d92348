//! VP9: what the uncompressed headers of a packet say (VP9 bitstream specification §6.2, superframes Annex B).

use super::{BitReader, Chroma};

/// One packet of a container: a frame, or a superframe of several of which one is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Packet {
    /// It begins with a keyframe that is shown: nothing after it needs anything before it.
    pub key: bool,
    /// Frames of it that are shown.
    pub shown: u8,
    /// Of the keyframe it begins with.
    pub format: Option<Format>,
}

/// What a keyframe says of its pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    pub profile: u8,
    pub depth: u8,
    pub chroma: Chroma,
    pub full_range: bool,
    pub width: u32,
    pub height: u32,
}

struct Frame {
    key: bool,
    shown: bool,
    format: Option<Format>,
}

impl Packet {
    /// `None` when a frame's header is not one of VP9.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let mut found = Self::default();
        let mut rest = packet;
        let sizes = superframe(packet);
        let count = sizes.map_or(1, |it| it.0);
        for number in 0..count {
            let size = match sizes {
                Some((_, sizes)) => sizes[number],
                None => rest.len(),
            };
            let (now, later) = rest.split_at_checked(size)?;
            rest = later;
            // A frame of no bytes is a place left empty.
            if now.is_empty() {
                continue;
            }
            let frame = frame(now)?;
            if number == 0 {
                found.key = frame.key && frame.shown;
                found.format = frame.format;
            }
            found.shown += u8::from(frame.shown);
        }
        Some(found)
    }
}

/// superframe_index( ): how many frames, and the bytes of each.
fn superframe(packet: &[u8]) -> Option<(usize, [usize; 8])> {
    let marker = usize::from(*packet.last()?);
    if marker & 0xe0 != 0xc0 {
        return None;
    }
    let (count, width) = ((marker & 7) + 1, (marker >> 3 & 3) + 1);
    let index = packet.len().checked_sub(2 + count * width)?;
    if usize::from(packet[index]) != marker {
        return None;
    }
    let mut sizes = [0; 8];
    for (size, bytes) in sizes.iter_mut().zip(packet[index + 1..packet.len() - 1].chunks_exact(width)) {
        *size = bytes.iter().rev().fold(0, |size, byte| size << 8 | usize::from(*byte));
    }
    Some((count, sizes))
}

/// uncompressed_header( ), as far as the size of a keyframe.
fn frame(bytes: &[u8]) -> Option<Frame> {
    let mut bits = BitReader::new(bytes);
    if bits.bits(2)? != 2 {
        return None;
    }
    let profile = bits.byte(1)? | bits.byte(1)? << 1;
    if profile == 3 {
        bits.flag()?;
    }
    if bits.flag()? {
        return Some(Frame { key: false, shown: true, format: None });
    }
    let (key, shown, _resilient) = (!bits.flag()?, bits.flag()?, bits.flag()?);
    let format = if key { Some(key_format(&mut bits, profile)?) } else { None };
    Some(Frame { key, shown, format })
}

fn key_format(bits: &mut BitReader<'_>, profile: u8) -> Option<Format> {
    if bits.bits(24)? != 0x49_83_42 {
        return None;
    }
    let depth = match profile {
        0 | 1 => 8,
        _ if bits.flag()? => 12,
        _ => 10,
    };
    let odd = profile & 1 == 1;
    let (chroma, full_range) = if bits.bits(3)? == 7 {
        if odd {
            bits.flag()?;
        }
        (Chroma::Yuv444, true)
    } else {
        let full_range = bits.flag()?;
        let chroma = if odd {
            let (across, down) = (bits.flag()?, bits.flag()?);
            bits.flag()?;
            match (across, down) {
                (true, true) => Chroma::Yuv420,
                (true, false) => Chroma::Yuv422,
                _ => Chroma::Yuv444,
            }
        } else {
            Chroma::Yuv420
        };
        (chroma, full_range)
    };
    let (width, height) = (bits.bits(16)? + 1, bits.bits(16)? + 1);
    Some(Format { profile, depth, chroma, full_range, width, height })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A keyframe of profile 0, 640x360, as far as its size.
    const KEY: [u8; 9] = [0x82, 0x49, 0x83, 0x42, 0x20, 0x27, 0xf0, 0x16, 0x70];
    /// An inter frame that is not shown, and one that is.
    const HIDDEN: [u8; 3] = [0x84, 1, 2];
    const SHOWN: [u8; 3] = [0x86, 1, 2];

    fn packed(frames: &[&[u8]]) -> Vec<u8> {
        let marker = 0xc0 | (frames.len() - 1) as u8;
        let mut out = frames.concat();
        out.push(marker);
        out.extend(frames.iter().map(|it| it.len() as u8));
        out.push(marker);
        out
    }

    #[test]
    fn keyframes_and_their_format() {
        let it = Packet::parse(&KEY).unwrap();
        assert!(it.key && it.shown == 1);
        let format = it.format.unwrap();
        assert_eq!((format.profile, format.depth, format.width, format.height), (0, 8, 640, 360));
    }

    #[test]
    fn superframes_show_what_they_show() {
        let shown = |frames: &[&[u8]]| Packet::parse(&packed(frames)).map(|it| (it.key, it.shown));
        assert_eq!(shown(&[&HIDDEN, &SHOWN]), Some((false, 1)));
        assert_eq!(shown(&[&KEY, &HIDDEN]), Some((true, 1)));
        // show_existing_frame
        assert_eq!(Packet::parse(&[0x88]).map(|it| (it.key, it.shown)), Some((false, 1)));
        assert_eq!(Packet::parse(&HIDDEN).map(|it| it.shown), Some(0));
        assert_eq!(Packet::parse(&[0x12, 0x34]), None);
    }

    proptest! {
        #[test]
        fn hostile_packets_panic_nowhere(mut bytes in prop::collection::vec(any::<u8>(), 0..64), marker in 0xc0u8..0xe0) {
            let _ = Packet::parse(&bytes);
            bytes.push(marker);
            let _ = Packet::parse(&bytes);
        }
    }
}
