//! Headers of sound frames: how long a frame is, in bytes and in samples.

use super::AudioCodec;
use crate::media::nal::BitReader;

/// Bytes of a frame looked at; none of the headers needs more.
pub const HEAD_BYTES: usize = 24;

/// What a frame says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameHeader {
    /// Bytes, the header included.
    pub size: usize,
    /// Bytes of framing: what does not go to a decoder.
    pub framing: u8,
    /// Of each channel.
    pub samples: u16,
    /// Hz; 0 when it is told elsewhere.
    pub rate: u32,
    pub channels: u8,
    /// MPEG-4 audio object type.
    pub object_type: u8,
    /// MPEG audio layer.
    pub layer: u8,
    /// It is more of the frame before (E-AC-3 substreams).
    pub dependent: bool,
}

/// Answer to a frame's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    Frame(FrameHeader),
    /// So many bytes are needed to tell.
    More(usize),
    /// No frame begins like this.
    Bad,
}

/// Reads the beginning of a frame. `before` is the last frame's header: LATM may leave its configuration out.
pub fn parse(codec: AudioCodec, head: &[u8], before: Option<&FrameHeader>) -> Parsed {
    let least = match codec {
        AudioCodec::AacAdts | AudioCodec::Ac3 | AudioCodec::Eac3 => 7,
        AudioCodec::Mpeg { .. } => 4,
        AudioCodec::AacLatm | AudioCodec::Opus => 3,
    };
    // A wrong first byte is not waited for.
    let first = match codec {
        AudioCodec::AacAdts | AudioCodec::Mpeg { .. } => 0xff,
        AudioCodec::Ac3 | AudioCodec::Eac3 => 0x0b,
        AudioCodec::AacLatm => 0x56,
        AudioCodec::Opus => 0x7f,
    };
    if head.first().is_some_and(|it| *it != first) {
        return Parsed::Bad;
    }
    if head.len() < least {
        return Parsed::More(least);
    }
    let found = match codec {
        AudioCodec::AacAdts => adts(head),
        AudioCodec::AacLatm => return latm(head, before),
        AudioCodec::Mpeg { .. } => mpeg(head),
        AudioCodec::Ac3 | AudioCodec::Eac3 => ac3(head),
        AudioCodec::Opus => return opus(head),
    };
    found.map_or(Parsed::Bad, Parsed::Frame)
}

/// Sampling frequencies of MPEG-4 audio (ISO/IEC 14496-3 table 1.18).
const AAC_RATES: [u32; 13] =
    [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];

/// Channels of a channel configuration (ISO/IEC 14496-3 table 1.19); 0 is told inside the frame.
fn aac_channels(configuration: u32) -> u8 {
    match configuration {
        it @ 0..=6 => it as u8,
        7 | 12 | 14 => 8,
        11 => 7,
        _ => 0,
    }
}

/// adts_fixed_header( ) and adts_variable_header( ) (ISO/IEC 14496-3 §1.A.2.2).
fn adts(head: &[u8]) -> Option<FrameHeader> {
    // Read at once: this is done for every frame of an hour.
    let mut bytes = [0; 8];
    bytes[..7].copy_from_slice(head.get(..7)?);
    let word = u64::from_be_bytes(bytes);
    let bits = |at: u32, count: u32| (word << at) >> (64 - count);
    let (sync, layer, no_crc) = (bits(0, 12), bits(13, 2), bits(15, 1));
    let size = bits(30, 13) as usize;
    if sync != 0xfff || layer != 0 || size < 7 {
        return None;
    }
    let object_type = bits(16, 2) as u8 + 1;
    let rate = *AAC_RATES.get(bits(18, 4) as usize)?;
    let channels = aac_channels(bits(23, 3) as u32);
    let framing = if no_crc == 1 { 7 } else { 9 };
    let samples = 1024 * (bits(54, 2) as u16 + 1);
    Some(FrameHeader { size, framing, samples, rate, channels, object_type, ..FrameHeader::default() })
}

/// AudioSyncStream( ) (ISO/IEC 14496-3 §1.7.2).
fn latm(head: &[u8], before: Option<&FrameHeader>) -> Parsed {
    if head[1] & 0xe0 != 0xe0 {
        return Parsed::Bad;
    }
    let size = 3 + (usize::from(head[1] & 0x1f) << 8 | usize::from(head[2]));
    let enough = size.min(HEAD_BYTES);
    if head.len() < enough {
        return Parsed::More(enough);
    }
    let mut bits = BitReader::new(&head[3..]);
    let Some(same) = bits.flag() else { return Parsed::Bad };
    let found = if same { before.copied() } else { mux_config(&mut bits) };
    // Frames before the first configuration cannot be decoded.
    found.map_or(Parsed::Bad, |it| Parsed::Frame(FrameHeader { size, ..it }))
}

/// StreamMuxConfig( ) of one program with one layer (ISO/IEC 14496-3 table 1.42).
fn mux_config(bits: &mut BitReader<'_>) -> Option<FrameHeader> {
    let value = |bits: &mut BitReader<'_>| {
        let bytes = bits.bits(2)? + 1;
        bits.bits(8 * bytes)
    };
    let version = bits.flag()?;
    if version && bits.flag()? {
        return None;
    }
    if version {
        value(bits)?;
    }
    bits.flag()?; // allStreamsSameTimeFraming
    let sub_frames = bits.bits(6)? as u16 + 1;
    if bits.bits(4)? != 0 || bits.bits(3)? != 0 {
        return None;
    }
    if version {
        value(bits)?;
    }
    // AudioSpecificConfig( ) (§1.6.2.1)
    let object = |bits: &mut BitReader<'_>| match bits.bits(5)? {
        31 => Some(32 + bits.bits(6)?),
        it => Some(it),
    };
    let frequency = |bits: &mut BitReader<'_>| match bits.bits(4)? {
        15 => bits.bits(24),
        it => AAC_RATES.get(it as usize).copied(),
    };
    let mut object_type = object(bits)?;
    let rate = frequency(bits).filter(|it| *it > 0)?;
    let channels = aac_channels(bits.bits(4)?);
    // SBR and PS said openly: the core's type follows.
    if matches!(object_type, 5 | 29) {
        frequency(bits)?;
        object_type = object(bits)?;
    }
    let samples = if bits.flag()? { 960 } else { 1024 } * sub_frames;
    let object_type = object_type as u8;
    Some(FrameHeader { samples, rate, channels, object_type, ..FrameHeader::default() })
}

/// Bit rates in kbit/s (ISO/IEC 11172-3 §2.4.2.3, 13818-3 §2.4.2.3): layers I, II, III of MPEG-1; I and the others of
/// MPEG-2.
const MPEG_BIT_RATES: [[u32; 15]; 5] = [
    [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

fn mpeg(head: &[u8]) -> Option<FrameHeader> {
    let [_, b, c, d, ..] = *head else { return None };
    if b & 0xe0 != 0xe0 {
        return None;
    }
    // Halvings of MPEG-1's rates.
    let halvings = match b >> 3 & 3 {
        0 => 2,
        2 => 1,
        3 => 0,
        _ => return None,
    };
    let layer = 4u8.checked_sub(b >> 1 & 3).filter(|it| *it <= 3)?;
    let table = match (halvings, layer) {
        (0, it) => usize::from(it) - 1,
        (_, 1) => 3,
        _ => 4,
    };
    // Free format (0) does not tell its length.
    let bit_rate = MPEG_BIT_RATES[table].get(usize::from(c >> 4)).copied().filter(|it| *it > 0)? * 1000;
    let rate = [44100, 48000, 32000].get(usize::from(c >> 2 & 3)).copied()? >> halvings;
    let padding = u32::from(c >> 1 & 1);
    let samples = match layer {
        1 => 384,
        3 if halvings > 0 => 576,
        _ => 1152,
    };
    let size = match layer {
        1 => (12 * bit_rate / rate + padding) * 4,
        _ => samples / 8 * bit_rate / rate + padding,
    };
    let channels = if d >> 6 == 3 { 1 } else { 2 };
    let (size, samples) = (size as usize, samples as u16);
    Some(FrameHeader { size, samples, rate, channels, layer, ..FrameHeader::default() })
}

/// Bit rates of AC-3 in kbit/s (ETSI TS 102 366 table 4.13).
const AC3_BIT_RATES: [usize; 19] =
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];

/// syncinfo and the beginning of bsi (ETSI TS 102 366 §4.3, §E.1.2).
fn ac3(head: &[u8]) -> Option<FrameHeader> {
    let channels = |mode: u32, lfe: bool| [2, 1, 2, 3, 3, 4, 4, 5][mode as usize & 7] + u8::from(lfe);
    let rate_of = |code: u32| [48000, 44100, 32000].get(code as usize).copied();
    let mut bits = BitReader::new(head);
    if bits.bits(16)? != 0x0b77 {
        return None;
    }
    if head[5] >> 3 > 10 {
        let (kind, substream) = (bits.bits(2)?, bits.bits(3)?);
        let size = (bits.bits(11)? as usize + 1) * 2;
        let (rate, blocks) = match bits.bits(2)? {
            3 => (rate_of(bits.bits(2)?)? / 2, 6),
            code => (rate_of(code)?, [1, 2, 3, 6][bits.bits(2)? as usize & 3]),
        };
        let channels = channels(bits.bits(3)?, bits.flag()?);
        if kind == 3 || size < 7 {
            return None;
        }
        let dependent = kind == 1 || substream != 0;
        return Some(FrameHeader {
            size,
            samples: 256 * blocks,
            rate,
            channels,
            dependent,
            ..FrameHeader::default()
        });
    }
    bits.bits(16)?; // crc1
    let (rate, code) = (rate_of(bits.bits(2)?)?, bits.bits(6)? as usize);
    let bit_rate = *AC3_BIT_RATES.get(code / 2)?;
    let words = match rate {
        48000 => bit_rate * 2,
        44100 => bit_rate * 320 / 147 + code % 2,
        _ => bit_rate * 3,
    };
    // bsid 9 and 10 halve the rate.
    let rate = rate >> bits.bits(5)?.saturating_sub(8);
    bits.bits(3)?;
    let mode = bits.bits(3)?;
    // cmixlev, surmixlev and dsurmod come before lfeon, when the mode has them.
    let between = if mode & 1 != 0 && mode != 1 { 2 } else { 0 }
        + if mode & 4 != 0 { 2 } else { 0 }
        + if mode == 2 { 2 } else { 0 };
    bits.skip(between)?;
    let channels = channels(mode, bits.flag().unwrap_or_default());
    Some(FrameHeader { size: words * 2, samples: 1536, rate, channels, ..FrameHeader::default() })
}

/// Bytes of the control header of an Opus frame of `size` bytes that has no more in it than its length, which is told in
/// a byte for each 255 and one for the rest.
pub fn opus_header(size: u32) -> u32 {
    let told = size.saturating_sub(3);
    3 + told / 256
}

/// opus_control_header( ) (ETSI TS 103 491) and the first bytes of the packet (RFC 6716 §3.1).
fn opus(head: &[u8]) -> Parsed {
    if head[1] & 0xe0 != 0xe0 {
        return Parsed::Bad;
    }
    let mut at = 2;
    let mut size = 0;
    let next = |at: &mut usize| {
        let byte = head.get(*at).copied();
        *at += 1;
        byte
    };
    let mut read = || {
        loop {
            let byte = next(&mut at)?;
            size += usize::from(byte);
            if byte != 255 {
                break;
            }
        }
        at += if head[1] & 0x10 != 0 { 2 } else { 0 } + if head[1] & 0x08 != 0 { 2 } else { 0 };
        if head[1] & 0x04 != 0 {
            at += usize::from(next(&mut at)?);
        }
        let header = at;
        let toc = next(&mut at)?;
        let count = match toc & 3 {
            0 => 1,
            3 => usize::from(next(&mut at)? & 63),
            _ => 2,
        };
        Some((header, toc, count))
    };
    let Some((header, toc, count)) = read() else {
        // A header that does not fit is none.
        return if head.len() < HEAD_BYTES { Parsed::More(head.len() + 1) } else { Parsed::Bad };
    };
    // Samples at 48 kHz.
    let frame = match toc >> 3 {
        it @ 0..12 => [480, 960, 1920, 2880][usize::from(it & 3)],
        it @ 12..16 => [480, 960][usize::from(it & 1)],
        it => [120, 240, 480, 960][usize::from(it & 3)],
    };
    // A packet lasts 120 ms at most.
    let samples = frame * count;
    let Some(framing) = u8::try_from(header).ok().filter(|_| size > 0 && samples > 0 && samples <= 5760)
    else {
        return Parsed::Bad;
    };
    Parsed::Frame(FrameHeader {
        size: header + size,
        framing,
        samples: samples as u16,
        rate: 48000,
        channels: if toc & 4 != 0 { 2 } else { 1 },
        ..FrameHeader::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(codec: AudioCodec, head: &[u8]) -> FrameHeader {
        let mut head = head.to_vec();
        head.resize(HEAD_BYTES, 0);
        match parse(codec, &head, None) {
            Parsed::Frame(it) => it,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn headers_of_every_codec() {
        let it = frame(AudioCodec::AacAdts, &[0xff, 0xf1, 0x4c, 0x80, 0x36, 0x1f, 0xfc]);
        assert_eq!((it.size, it.samples, it.rate, it.channels, it.object_type), (432, 1024, 48000, 2, 2));
        let it = frame(AudioCodec::Mpeg { layer: 2 }, &[0xff, 0xfd, 0x84, 0x00]);
        assert_eq!((it.size, it.samples, it.rate, it.channels, it.layer), (384, 1152, 48000, 2, 2));
        let it = frame(AudioCodec::Mpeg { layer: 2 }, &[0xff, 0xfb, 0x90, 0xc0]);
        assert_eq!((it.size, it.samples, it.rate, it.channels, it.layer), (417, 1152, 44100, 1, 3));
        let it = frame(AudioCodec::Ac3, &[0x0b, 0x77, 0, 0, 0x1c, 0x40, 0xe1, 0]);
        assert_eq!((it.size, it.samples, it.rate, it.channels), (1536, 1536, 48000, 6));
        let it = frame(AudioCodec::Eac3, &[0x0b, 0x77, 0x02, 0x7f, 0x34, 0x86, 0, 0]);
        assert_eq!((it.size, it.samples, it.rate, it.channels, it.dependent), (1280, 1536, 48000, 2, false));
        let it = frame(AudioCodec::Opus, &[0x7f, 0xf0, 255, 10, 1, 56, 0xfc]);
        assert_eq!((it.size, it.framing, it.samples, it.rate, it.channels), (6 + 265, 6, 960, 48000, 2));
    }

    #[test]
    fn short_and_foreign_bytes() {
        assert_eq!(parse(AudioCodec::AacAdts, &[0xff, 0xf1], None), Parsed::More(7));
        assert_eq!(parse(AudioCodec::AacAdts, &[0x00], None), Parsed::Bad);
        assert_eq!(parse(AudioCodec::Opus, &[0x7f, 0xe0, 255], None), Parsed::More(4));
        assert_eq!(
            parse(AudioCodec::AacLatm, &[0x56, 0xe0, 0x02, 0x80, 0], None),
            Parsed::Bad,
            "no configuration"
        );
        let before = FrameHeader { rate: 48000, samples: 1024, ..FrameHeader::default() };
        let parsed = parse(AudioCodec::AacLatm, &[0x56, 0xe0, 0x02, 0x80, 0], Some(&before));
        assert_eq!(parsed, Parsed::Frame(FrameHeader { size: 5, ..before }));
    }

    proptest! {
        #[test]
        fn frames_have_a_length(mut head in prop::collection::vec(any::<u8>(), 1..HEAD_BYTES + 1), first in prop::sample::select(vec![0xffu8, 0x0b, 0x56, 0x7f])) {
            head[0] = first;
            for codec in [AudioCodec::AacAdts, AudioCodec::AacLatm, AudioCodec::Mpeg { layer: 2 }, AudioCodec::Ac3, AudioCodec::Eac3, AudioCodec::Opus] {
                match parse(codec, &head, Some(&FrameHeader { rate: 1, samples: 1, ..FrameHeader::default() })) {
                    Parsed::Frame(it) => prop_assert!(it.size >= 3 && it.rate > 0 && it.samples > 0),
                    Parsed::More(more) => prop_assert!(more > head.len() && more <= HEAD_BYTES),
                    Parsed::Bad => {}
                }
            }
        }
    }
}
