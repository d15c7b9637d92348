//! Coded pictures as bytes: what has to be put before them, taken out of them or changed in them at a join. Pure.

use crate::media::index::{ParameterSet, SetKind, UnitClass, VideoCodec, VideoTrack};
use crate::media::nal::h264::{self, Pps, SliceHeader, Sps};
use crate::media::nal::slice::{self, Marking, Syntax};
use crate::media::nal::{self, hevc, mpeg2};

/// nal_unit_type of a unit of H.264 or HEVC.
fn kind(nal: &[u8], codec: VideoCodec) -> u8 {
    let shift = if codec == VideoCodec::Hevc { 1 } else { 0 };
    let mask = if codec == VideoCodec::Hevc { 0x3f } else { 0x1f };
    nal.first().map_or(0, |head| head >> shift & mask)
}

/// The unit with the parameter sets in force before its pictures, unless it brings its own.
pub fn with_sets(track: &VideoTrack, state: u16, unit: Vec<u8>) -> Vec<u8> {
    let Some(state) = track.states.get(usize::from(state)) else { return unit };
    match track.codec {
        VideoCodec::Av1 => {
            let sequence = state.active.and_then(|it| track.sets.get(usize::from(it)));
            return sequence.map_or(unit.clone(), |it| nal::av1::with_sequence(&it.bytes, unit));
        }
        VideoCodec::Vp9 | VideoCodec::Other(_) => return unit,
        VideoCodec::H264 | VideoCodec::Hevc | VideoCodec::Mpeg2 => {}
    }
    let sets = || state.sets.iter().filter_map(|number| track.sets.get(usize::from(*number)));
    let codes = nal::StartCodes::default();
    let (sequence, delimiter) = match track.codec {
        VideoCodec::Av1 => {
            let active = state.active.and_then(|it| track.sets.get(usize::from(it)));
            return active.map_or(unit.clone(), |it| nal::av1::with_sequence(&it.bytes, unit));
        }
        VideoCodec::Vp9 | VideoCodec::Other(_) => return unit,
        VideoCodec::Mpeg2 => {
            if codes.units(&unit).any(|it| it.first() == Some(&mpeg2::kind::SEQUENCE)) {
                return unit;
            }
            let mut out: Vec<u8> = sets().flat_map(|set| set.bytes.clone()).collect();
            out.extend_from_slice(&unit);
            return out;
        }
        VideoCodec::Hevc => (hevc::kind::SPS, hevc::kind::DELIMITER),
        VideoCodec::H264 => (h264::kind::SPS, h264::kind::DELIMITER),
    };
    let kind = |nal: &[u8]| kind(nal, track.codec);
    if codes.units(&unit).any(|it| kind(it) == sequence) {
        return unit;
    }
    let mut out = Vec::with_capacity(unit.len() + 256);
    // An access unit delimiter stays in front of everything.
    codes.units(&unit).take_while(|it| kind(it) == delimiter).for_each(|it| put(&mut out, it));
    sets().for_each(|set| put(&mut out, &set.bytes));
    codes.units(&unit).skip_while(|it| kind(it) == delimiter).for_each(|it| put(&mut out, it));
    out
}

/// Adds a NAL unit with a start code.
pub fn put(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend_from_slice(&[0, 0, 0, 1]);
    out.extend_from_slice(nal::without_trailing_zeros(nal));
}

/// The unit without its supplemental information: encoders sign their work there.
pub fn without_notes(unit: &[u8], codec: VideoCodec) -> Vec<u8> {
    if !matches!(codec, VideoCodec::H264 | VideoCodec::Hevc) {
        return unit.to_vec();
    }
    let mut out = Vec::with_capacity(unit.len());
    for nal in nal::StartCodes::default().units(unit) {
        let is_note = match kind(nal, codec) {
            39 | 40 => codec == VideoCodec::Hevc,
            h264::kind::SEI => codec == VideoCodec::H264,
            _ => nal.is_empty(),
        };
        if !is_note {
            put(&mut out, nal);
        }
    }
    out
}

/// Where each start code's content begins.
fn places(unit: &[u8]) -> Vec<usize> {
    let codes = nal::StartCodes::default();
    let mut places = Vec::new();
    let mut at = 0;
    while let Some(found) = codes.find(&unit[at..]) {
        at += found + nal::START_CODE.len();
        places.push(at);
    }
    places
}

/// Tells decoders that what a random access picture of the source follows there is not before it now: HEVC's clean
/// random access becomes a broken link (H.265 §7.4.2.2 gives both the same syntax), an open group of MPEG-2 whose
/// leading pictures are gone a closed one. `leads` says that leading pictures follow that need nothing else.
pub fn broken_off(unit: &mut [u8], codec: VideoCodec, class: UnitClass, leads: bool) {
    // BLA_W_RADL and BLA_N_LP.
    let broken = if leads { 17 } else { 18 };
    for at in places(unit) {
        match codec {
            VideoCodec::Hevc if matches!(class, UnitClass::Cra | UnitClass::Bla) => {
                let Some(head) = unit.get_mut(at) else { continue };
                let is = *head >> 1 & 0x3f;
                if is == hevc::kind::CRA || hevc::kind::BLA.contains(&is) {
                    *head = *head & 0x81 | broken << 1;
                }
            }
            VideoCodec::Mpeg2 if unit.get(at) == Some(&mpeg2::kind::GROUP) => {
                // After 25 bits of time_code: closed_gop, broken_link.
                if let Some(flags) = unit.get_mut(at + 4) {
                    *flags = *flags & !0x20 | 0x40;
                }
            }
            _ => {}
        }
    }
}

/// A picture of ours with the source's sequence header in place of its own, so that a decoder meets one sequence only.
/// Matrices of the source's own would change what the picture means.
pub fn with_source_header(unit: Vec<u8>, source: &ParameterSet) -> Vec<u8> {
    let load_flags = source.bytes.get(nal::START_CODE.len() + 8);
    if load_flags.is_none_or(|flags| flags & 3 != 0) {
        return unit;
    }
    let is_header = |at: usize| {
        let extension = unit.get(at).filter(|it| **it == mpeg2::kind::EXTENSION);
        let of_sequence = [mpeg2::extension::SEQUENCE, mpeg2::extension::DISPLAY];
        unit.get(at) == Some(&mpeg2::kind::SEQUENCE)
            || extension.is_some()
                && mpeg2::extension_of(&unit[at..]).is_some_and(|it| of_sequence.contains(&it))
    };
    let places = places(&unit);
    let count = places.iter().take_while(|at| is_header(**at)).count();
    match places.get(count) {
        Some(rest) if count > 0 => [&source.bytes[..], &unit[rest - nal::START_CODE.len()..]].concat(),
        _ => unit,
    }
}

/// The parameter sets of a picture of H.264, by its first slice, whose content without emulation prevention this is.
fn picture_sets<'a>(track: &'a VideoTrack, state: u16, slice: &[u8]) -> Option<(Vec<u8>, &'a ParameterSet)> {
    let state = track.states.get(usize::from(state))?;
    let set = |kind: SetKind, id: u8| {
        let mut sets = state.sets.iter().filter_map(|it| track.sets.get(usize::from(*it)));
        sets.find(|set| set.kind == kind && set.id == id)
    };
    // The id of the picture's set stands after two numbers.
    let mut bits = nal::BitReader::new(slice.get(1..)?);
    bits.ue()?;
    bits.ue()?;
    let mut content = Vec::new();
    nal::unescape(&set(SetKind::Picture, bits.ue_to(255)? as u8)?.bytes, &mut content);
    let sequence = set(SetKind::Sequence, Pps::parse(&content)?.sps_id)?;
    Some((content, sequence))
}

fn is_slice(nal: &[u8]) -> bool {
    matches!(kind(nal, VideoCodec::H264), h264::kind::SLICE | h264::kind::IDR)
}

/// The first slice header of a picture of H.264, and the parameter set of its sequence.
pub fn slice_header<'a>(
    track: &'a VideoTrack,
    state: u16,
    unit: &[u8],
) -> Option<(SliceHeader, &'a ParameterSet)> {
    let codes = nal::StartCodes::default();
    let mut scratch = Vec::new();
    let content = nal::unescape(codes.units(unit).find(|it| is_slice(it))?, &mut scratch);
    let (picture, sequence) = picture_sets(track, state, content)?;
    let pps = Pps::parse(&picture)?;
    let sps = Sps::parse(nal::unescape(&sequence.bytes, &mut Vec::new()))?;
    let header = SliceHeader::parse(content, |_| Some((&sps, &pps)))?;
    Some((header, sequence))
}

/// slice_pic_order_cnt_lsb of a picture of HEVC.
pub fn hevc_order(track: &VideoTrack, state: u16, unit: &[u8]) -> Option<u32> {
    let state = track.states.get(usize::from(state))?;
    let set = |wanted: SetKind, id: u8| {
        let mut sets = state.sets.iter().filter_map(|it| track.sets.get(usize::from(*it)));
        Some(
            nal::unescape(&sets.find(|it| it.kind == wanted && it.id == id)?.bytes, &mut Vec::new()).to_vec(),
        )
    };
    let codes = nal::StartCodes::default();
    let slice = codes.units(unit).find(|it| hevc::Header::parse(it).is_some_and(hevc::Header::is_slice))?;
    let mut scratch = Vec::new();
    let content = nal::unescape(slice, &mut scratch);
    // The id of the picture's set stands after one flag, or two.
    let mut bits = nal::BitReader::new(content.get(2..)?);
    bits.flag()?;
    if hevc::kind::IRAP.contains(&kind(slice, VideoCodec::Hevc)) {
        bits.flag()?;
    }
    let pps = hevc::Pps::parse(&set(SetKind::Picture, bits.ue_to(63)? as u8)?)?;
    let sps = hevc::Sps::parse(&set(SetKind::Sequence, pps.sps_id)?)?;
    Some(hevc::SliceHeader::parse(content, |_| Some((&sps, &pps)))?.order_lsb)
}

/// The sequence of a picture of H.264, and how its slice headers are written.
pub fn slice_syntax(track: &VideoTrack, state: u16, unit: &[u8]) -> Option<(Sps, Syntax)> {
    let codes = nal::StartCodes::default();
    let mut scratch = Vec::new();
    let content = nal::unescape(codes.units(unit).find(|it| is_slice(it))?, &mut scratch);
    let (picture, sequence) = picture_sets(track, state, content)?;
    Some((Sps::parse(nal::unescape(&sequence.bytes, &mut Vec::new()))?, Syntax::parse(&picture)?))
}

/// How a reference frame marks the others, with its number. `None` for other pictures.
pub fn marking(unit: &[u8], (sps, syntax): &(Sps, Syntax)) -> Option<(u32, Marking)> {
    let codes = nal::StartCodes::default();
    let slice = codes.units(unit).find(|it| is_slice(it))?;
    slice::marking(nal::unescape(nal::without_trailing_zeros(slice), &mut Vec::new()), sps, syntax)
}

/// A reference frame with another marking in all its slices. `None` when it has parts that cannot be rewritten.
pub fn with_marking(unit: &[u8], (sps, syntax): &(Sps, Syntax), marking: &Marking) -> Option<Vec<u8>> {
    let codes = nal::StartCodes::default();
    let (mut out, mut scratch) = (Vec::with_capacity(unit.len() + 64), Vec::new());
    for nal in codes.units(unit) {
        match kind(nal, VideoCodec::H264) {
            h264::kind::SLICE | h264::kind::IDR => {
                let content = nal::unescape(nal::without_trailing_zeros(nal), &mut scratch);
                put(&mut out, &nal::escape(&slice::with_marking(content, sps, syntax, marking)?));
            }
            // Data partitions, and slices of other views and layers, have headers of their own.
            h264::kind::PARTITION_A..h264::kind::IDR | 20..=21 => return None,
            _ => put(&mut out, nal),
        }
    }
    Some(out)
}

/// Numbers of the reference frames of our own making since the last IDR picture; `sps` is that they stand under.
pub fn references<'a>(units: impl Iterator<Item = &'a [u8]>, sps: &Sps) -> Option<Vec<u32>> {
    let codes = nal::StartCodes::default();
    let (mut numbers, mut scratch) = (Vec::new(), Vec::new());
    for unit in units {
        let content = nal::unescape(codes.units(unit).find(|it| is_slice(it))?, &mut scratch);
        let (kind, importance) = h264::header(*content.first()?);
        let mut bits = nal::BitReader::new(&content[1..]);
        for _ in 0..3 {
            bits.ue()?;
        }
        if kind == h264::kind::IDR {
            numbers.clear();
        }
        if importance > 0 {
            numbers.push(bits.bits(sps.frame_num_bits)?);
        }
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_access_picture_becomes_a_broken_link() {
        let mut unit = [0, 0, 1, 0x46, 1, 0x50, 0, 0, 1, 0x2a, 1, 0x80, 0, 0, 1, 0x2b, 1].to_vec();
        broken_off(&mut unit, VideoCodec::Hevc, UnitClass::Cra, false);
        assert_eq!(unit, [0, 0, 1, 0x46, 1, 0x50, 0, 0, 1, 0x24, 1, 0x80, 0, 0, 1, 0x25, 1]);
        broken_off(&mut unit, VideoCodec::Hevc, UnitClass::Bla, true);
        assert_eq!((unit[9], unit[15]), (0x22, 0x23));
        let mut group = [0, 0, 1, 0xb8, 0, 8, 0, 0x3f, 0, 0, 1, 0].to_vec();
        broken_off(&mut group, VideoCodec::Mpeg2, UnitClass::KeyOpen, false);
        assert_eq!(
            mpeg2::Group::parse(&group[3..8]).map(|it| (it.closed, it.broken_link)),
            Some((true, false))
        );
    }

    #[test]
    fn a_picture_gets_the_sources_sequence_header() {
        let header = |rate: u8| [0, 0, 1, 0xb3, 0x2d, 2, 0x40, rate, 0xff, 0xff, 0xe0, 0x18].to_vec();
        let extension = [0, 0, 1, 0xb5, 0x14, 0x82, 0, 1, 0, 0];
        let group = [0, 0, 1, 0xb8, 0, 8, 0, 0x40, 0, 0, 1, 0, 0, 0x0f];
        let source = ParameterSet::new(SetKind::Sequence, 0, [&header(0x33)[..], &extension].concat());
        let unit = [&header(0x13)[..], &extension, &group].concat();
        assert_eq!(with_source_header(unit.clone(), &source), [&source.bytes[..], &group].concat());
        assert_eq!(with_source_header(group.to_vec(), &source), group);
        let mut custom = source.clone();
        custom.bytes[11] |= 2;
        assert_eq!(with_source_header(unit.clone(), &custom), unit);
    }
}
