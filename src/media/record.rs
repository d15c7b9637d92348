//! What a decoder is told before the first sample, as MP4 and Matroska carry it.

use super::index::{AudioCodec, AudioTrack, ParameterSet, SetKind, VideoFormat};
use super::mp4::SoundCoding;
use super::nal::{BitReader, Chroma, unescape};

/// What MP4 and Matroska have no room for.
pub type Refused = &'static str;

/// SPS and PPS that fit into an AVCDecoderConfigurationRecord.
const MOST_SPS: usize = 31;
const MOST_PPS: usize = 255;
/// Profiles whose record says chroma format and depths (ISO/IEC 14496-15 §5.3.3.1.2).
const HIGH_PROFILES: [u8; 4] = [100, 110, 122, 144];

fn of_kind(sets: &[ParameterSet], kind: SetKind) -> impl Iterator<Item = &ParameterSet> {
    sets.iter().filter(move |set| set.kind == kind)
}

fn put_set(out: &mut Vec<u8>, set: &ParameterSet) {
    out.extend_from_slice(&(set.bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(&set.bytes);
}

fn chroma(format: &VideoFormat) -> u8 {
    match format.chroma {
        Chroma::Monochrome => 0,
        Chroma::Yuv420 => 1,
        Chroma::Yuv422 => 2,
        Chroma::Yuv444 => 3,
    }
}

/// AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1); `None` without a sequence's set or with too many.
pub fn avc(sets: &[ParameterSet], format: &VideoFormat) -> Option<Vec<u8>> {
    let (sps, pps): (Vec<_>, Vec<_>) =
        (of_kind(sets, SetKind::Sequence).collect(), of_kind(sets, SetKind::Picture).collect());
    if sps.len() > MOST_SPS || pps.len() > MOST_PPS {
        return None;
    }
    let [_, profile, constraints, level, ..] = *sps.first()?.bytes else { return None };
    // Lengths have four bytes.
    let mut out = vec![1, profile, constraints, level, 0xff, 0xe0 | sps.len() as u8];
    sps.iter().for_each(|set| put_set(&mut out, set));
    out.push(pps.len() as u8);
    pps.iter().for_each(|set| put_set(&mut out, set));
    if HIGH_PROFILES.contains(&profile) || profile == 244 {
        let depth = |bits: u8| 0xf8 | bits.saturating_sub(8) & 7;
        out.extend([0xfc | chroma(format), depth(format.depth), depth(format.depth_chroma), 0]);
    }
    Some(out)
}

/// HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 §8.3.3.1). `complete` says that samples hold no sets.
pub fn hevc(sets: &[ParameterSet], format: &VideoFormat, complete: bool) -> Option<Vec<u8>> {
    let sps = of_kind(sets, SetKind::Sequence).next()?;
    let mut scratch = Vec::new();
    let content = unescape(sps.bytes.get(2..)?, &mut scratch);
    let layers = BitReader::new(content).byte(8)?;
    // profile_tier_level( ) without its sub-layers follows.
    let profile = content.get(1..13)?;
    let depth = |bits: u8| 0xf8 | bits.saturating_sub(8) & 7;
    let mut out = vec![1];
    out.extend_from_slice(profile);
    // Spatial segmentation and parallelism are not told; neither is the frame rate.
    out.extend([0xf0, 0, 0xfc, 0xfc | chroma(format), depth(format.depth), depth(format.depth_chroma), 0, 0]);
    // Sub-layers, their nesting, and lengths of four bytes.
    out.push(((layers >> 1 & 7) + 1) << 3 | (layers & 1) << 2 | 3);
    let kinds = [(SetKind::Video, 32u8), (SetKind::Sequence, 33), (SetKind::Picture, 34)];
    let kinds: Vec<_> = kinds.into_iter().filter(|it| of_kind(sets, it.0).next().is_some()).collect();
    out.push(kinds.len() as u8);
    for (kind, unit_type) in kinds {
        out.push(if complete { 0x80 } else { 0 } | unit_type);
        out.extend_from_slice(&(of_kind(sets, kind).count() as u16).to_be_bytes());
        of_kind(sets, kind).for_each(|set| put_set(&mut out, set));
    }
    Some(out)
}

/// Sampling frequencies of MPEG-4 audio (ISO/IEC 14496-3 table 1.18).
const AAC_RATES: [u32; 13] =
    [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];

/// AudioSpecificConfig( ) (ISO/IEC 14496-3 §1.6.2.1) of AAC in ADTS. SBR stays unsaid, as in the source.
pub fn aac(track: &AudioTrack) -> Result<Vec<u8>, Refused> {
    if track.samples_per_frame != 1024 {
        return Err("AAC with several blocks in a frame");
    }
    if !AAC_RATES.contains(&track.sample_rate) {
        return Err("AAC of an unknown rate");
    }
    let channels = "AAC that tells its channels inside its frames";
    aac_config(track.object_type, track.sample_rate, track.channels.into()).ok_or(channels)
}

/// AudioSpecificConfig( ) of this object type, rate and number of channels; `None` where the latter need more words.
pub fn aac_config(object: u8, rate: u32, channels: u32) -> Option<Vec<u8>> {
    let rate = AAC_RATES.iter().position(|it| *it == rate)?;
    let channels = match channels {
        it @ 1..=6 => it as u16,
        8 => 7,
        _ => return None,
    };
    let bits = u16::from(object) << 11 | (rate as u16) << 7 | channels << 3;
    Some(bits.to_be_bytes().to_vec())
}

/// The same of AAC in ADTS whose header (ISO/IEC 14496-3 §1.A.3.2.1) is this; `None` where it tells its channels inside
/// its frames.
pub fn aac_of_adts(header: &[u8]) -> Option<Vec<u8>> {
    let [0xff, sync, format, channels, ..] = *header else { return None };
    if sync & 0xf6 != 0xf0 {
        return None;
    }
    let (object, rate) = (u16::from(format >> 6) + 1, u16::from(format >> 2 & 15));
    let channels = u16::from(format & 1) << 2 | u16::from(channels >> 6);
    let known = usize::from(rate) < AAC_RATES.len() && channels > 0;
    known.then(|| (object << 11 | rate << 7 | channels << 3).to_be_bytes().to_vec())
}

/// AC3SpecificBox's content (ETSI TS 102 366 §F.4).
pub fn ac3(track: &AudioTrack) -> Option<Vec<u8>> {
    let mut bits = BitReader::new(track.head.get(4..)?);
    let (rate, size_code) = (bits.bits(2)?, bits.bits(6)?);
    let (id, mode, channels) = (bits.bits(5)?, bits.bits(3)?, bits.bits(3)?);
    let between = if channels & 1 != 0 && channels != 1 { 2 } else { 0 }
        + if channels & 4 != 0 { 2 } else { 0 }
        + if channels == 2 { 2 } else { 0 };
    bits.skip(between)?;
    let low = u32::from(bits.flag()?);
    let all = rate << 22 | id << 17 | mode << 14 | channels << 11 | low << 10 | (size_code >> 1) << 5;
    Some(all.to_be_bytes()[1..].to_vec())
}

/// EC3SpecificBox's content (ETSI TS 102 366 §F.6) of one independent substream. `bit_rate` is in kbit/s.
pub fn eac3(track: &AudioTrack, bit_rate: u32) -> Option<Vec<u8>> {
    let mut bits = BitReader::new(track.head.get(2..)?);
    bits.skip(2 + 3 + 11)?;
    let rate = bits.bits(2)?;
    bits.bits(2)?;
    let (channels, low, id) = (bits.bits(3)?, bits.bits(1)?, bits.bits(5)?);
    let first = (bit_rate.min(0x1fff) << 3) as u16;
    let second = rate << 22 | id << 17 | channels << 9 | low << 8;
    Some([&first.to_be_bytes()[..], &second.to_be_bytes()[1..]].concat())
}

/// OpusHead without its magic word, numbers in the byte order of Matroska (RFC 7845 §5.1) or of MP4's OpusSpecificBox.
/// Nothing is skipped at the start: what is heard is told by the container.
pub fn opus(track: &AudioTrack, big_endian: bool) -> Result<Vec<u8>, Refused> {
    if !matches!(track.channels, 1 | 2) {
        return Err("Opus of more than two channels");
    }
    let rate = if big_endian { 48_000u32.to_be_bytes() } else { 48_000u32.to_le_bytes() };
    let version = if big_endian { 0 } else { 1 };
    Ok([&[version, track.channels, 0, 0][..], &rate, &[0, 0, 0]].concat())
}

/// How a codec is called in messages.
pub fn name(codec: AudioCodec) -> &'static str {
    match codec {
        AudioCodec::AacAdts => "AAC",
        AudioCodec::AacLatm => "AAC in LATM",
        AudioCodec::Mpeg { .. } => "MPEG audio",
        AudioCodec::Ac3 => "AC-3",
        AudioCodec::Eac3 => "E-AC-3",
        AudioCodec::Opus => "Opus",
    }
}

/// How MP4 tells of a track of sound. `bit_rate` is in kbit/s.
pub fn coding(track: &AudioTrack, bit_rate: u32) -> Result<SoundCoding, Refused> {
    let boxed = |entry, kind, record| SoundCoding::Boxed { entry, kind, record };
    let name = name(track.codec);
    Ok(match track.codec {
        AudioCodec::AacAdts => SoundCoding::Mpeg4 { object: 0x40, config: aac(track)? },
        // Audio of ISO/IEC 11172-3, and its lower rates of 13818-3.
        AudioCodec::Mpeg { .. } if track.sample_rate < 32_000 => {
            SoundCoding::Mpeg4 { object: 0x69, config: Vec::new() }
        }
        AudioCodec::Mpeg { .. } => SoundCoding::Mpeg4 { object: 0x6b, config: Vec::new() },
        AudioCodec::Ac3 => boxed(*b"ac-3", *b"dac3", ac3(track).ok_or(name)?),
        AudioCodec::Eac3 => boxed(*b"ec-3", *b"dec3", eac3(track, bit_rate).ok_or(name)?),
        AudioCodec::Opus => boxed(*b"Opus", *b"dOps", opus(track, true)?),
        AudioCodec::AacLatm => return Err(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(codec: AudioCodec, rate: u32, channels: u8, head: [u8; 8]) -> AudioTrack {
        AudioTrack {
            pid: 257,
            stream_type: 15,
            codec,
            sample_rate: rate,
            channels,
            samples_per_frame: 1024,
            object_type: 2,
            changes: false,
            head,
            frames: Vec::new(),
        }
    }

    #[test]
    fn sound_is_described() {
        assert_eq!(aac(&track(AudioCodec::AacAdts, 48_000, 2, [0; 8])), Ok(vec![0x11, 0x90]));
        assert_eq!(aac(&track(AudioCodec::AacAdts, 44_100, 1, [0; 8])), Ok(vec![0x12, 0x08]));
        assert!(aac(&track(AudioCodec::AacAdts, 48_000, 0, [0; 8])).is_err());
        assert_eq!(aac_of_adts(&[0xff, 0xf1, 0x4c, 0x80, 0, 0, 0]), Some(vec![0x11, 0x90]));
        let none: [&[u8]; 4] = [&[], &[0xff, 0xf1, 0x4c], &[0xff, 0xf1, 0x4c, 0], &[0x21, 0xf1, 0x4c, 0x80]];
        assert!(none.iter().all(|it| aac_of_adts(it).is_none()));
        // 48 kHz, 384 kbit/s, 3/2 with LFE, bsid 8.
        let it = track(AudioCodec::Ac3, 48_000, 6, [0x0b, 0x77, 0, 0, 0x1c, 0x40, 0xe1, 0]);
        assert_eq!(ac3(&it), Some(vec![0x10, 0x3d, 0xc0]));
        let it = track(AudioCodec::Eac3, 48_000, 2, [0x0b, 0x77, 0x02, 0x7f, 0x34, 0x80, 0, 0]);
        assert_eq!(eac3(&it, 192), Some(vec![0x06, 0x00, 0x20, 0x04, 0x00]));
        let it = track(AudioCodec::Opus, 48_000, 2, [0; 8]);
        assert_eq!(opus(&it, false).map(|it| it.len()), Ok(11));
        assert!(opus(&track(AudioCodec::Opus, 48_000, 6, [0; 8]), true).is_err());
    }

    #[test]
    fn pictures_are_described() {
        let set = |kind, bytes: &[u8]| ParameterSet::new(kind, 0, bytes.to_vec());
        let sets = [
            set(SetKind::Sequence, &[0x67, 100, 0, 31, 9]),
            set(SetKind::Sequence, &[0x67, 100, 0, 31, 8]),
            set(SetKind::Picture, &[0x68, 1]),
        ];
        let format =
            VideoFormat { depth: 10, depth_chroma: 10, chroma: Chroma::Yuv422, ..VideoFormat::default() };
        let expected = [
            &[1, 100, 0, 31, 0xff, 0xe2, 0, 5, 0x67, 100, 0, 31, 9, 0, 5, 0x67, 100, 0, 31, 8][..],
            &[1, 0, 2, 0x68, 1, 0xfe, 0xfa, 0xfa, 0],
        ];
        assert_eq!(avc(&sets, &format), Some(expected.concat()));
        assert_eq!(avc(&sets[2..], &format), None);
        let mut sps = vec![66, 1, 1];
        sps.extend(1..=12);
        let record = hevc(&[set(SetKind::Sequence, &sps)], &format, true).unwrap();
        assert_eq!((&record[1..13], record[21], record[22], record[23]), (&sps[3..], 0x0f, 1, 0xa1));
        assert_eq!(hevc(&[set(SetKind::Sequence, &sps[..9])], &format, true), None);
    }
}
