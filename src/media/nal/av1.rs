//! AV1: open bitstream units and what a temporal unit begins with (AV1 bitstream specification §5.3, §5.9).

/// obu_type (§6.2.2).
pub mod kind {
    pub const SEQUENCE: u8 = 1;
    pub const DELIMITER: u8 = 2;
    pub const FRAME_HEADER: u8 = 3;
    pub const FRAME: u8 = 6;
}

/// One unit with its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit<'a> {
    pub kind: u8,
    /// All of it, as it lies in the stream.
    pub whole: &'a [u8],
    pub payload: &'a [u8],
}

/// The units of a temporal unit, until one is broken.
pub fn units(bytes: &[u8]) -> impl Iterator<Item = Unit<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (unit, later) = unit(rest)?;
        rest = later;
        Some(unit)
    })
}

fn unit(bytes: &[u8]) -> Option<(Unit<'_>, &[u8])> {
    let first = *bytes.first()?;
    if first & 0x80 != 0 {
        return None;
    }
    let header = 1 + usize::from(first >> 2 & 1);
    let (start, size) = if first & 2 != 0 {
        let (size, length) = leb128(bytes.get(header..)?)?;
        (header + length, size)
    } else {
        (header, bytes.len().checked_sub(header)?)
    };
    let end = start.checked_add(size)?;
    let whole = bytes.get(..end)?;
    Some((Unit { kind: first >> 3 & 15, whole, payload: &whole[start..] }, &bytes[end..]))
}

/// leb128( ) (§4.10.5): the number and the bytes it took.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            // No unit is larger (§4.10.5).
            let value = u32::try_from(value).ok()?;
            return Some((value as usize, at + 1));
        }
    }
    None
}

/// What a temporal unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TemporalUnit<'a> {
    /// Its first frame is a keyframe that is shown: nothing after it needs anything before it. A keyframe shown later
    /// (show_existing_frame) is none.
    pub key: bool,
    /// It holds a frame.
    pub picture: bool,
    /// The last sequence header in it, the unit's header included.
    pub sequence: Option<&'a [u8]>,
}

impl<'a> TemporalUnit<'a> {
    pub fn parse(bytes: &'a [u8]) -> Self {
        let mut found = Self::default();
        let mut still = false;
        for unit in units(bytes) {
            match unit.kind {
                kind::SEQUENCE => {
                    found.sequence = Some(unit.whole);
                    // seq_profile, still_picture, reduced_still_picture_header
                    still = unit.payload.first().is_some_and(|it| it >> 3 & 1 == 1);
                }
                kind::FRAME | kind::FRAME_HEADER if !found.picture => {
                    found.picture = true;
                    // show_existing_frame, frame_type, show_frame
                    let first = unit.payload.first().copied().unwrap_or(0xff);
                    found.key = still || first >> 4 == 1;
                }
                _ => {}
            }
        }
        found
    }
}

/// The temporal unit with `sequence` before its first frame, unless it brings its own.
pub fn with_sequence(sequence: &[u8], unit: Vec<u8>) -> Vec<u8> {
    if TemporalUnit::parse(&unit).sequence.is_some() {
        return unit;
    }
    // The temporal delimiter stays first.
    let begin = units(&unit).take_while(|it| it.kind == kind::DELIMITER).map(|it| it.whole.len()).sum();
    let mut out = Vec::with_capacity(unit.len() + sequence.len());
    out.extend_from_slice(&unit[..begin]);
    out.extend_from_slice(sequence);
    out.extend_from_slice(&unit[begin..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DELIMITER: [u8; 2] = [0x12, 0];
    const SEQUENCE: [u8; 4] = [0x0a, 2, 0x00, 0x00];
    /// A keyframe that is shown, one that is not, and an inter frame.
    const KEY: [u8; 4] = [0x32, 2, 0x10, 0xaa];
    const HIDDEN_KEY: [u8; 4] = [0x32, 2, 0x00, 0xaa];
    const INTER: [u8; 4] = [0x32, 2, 0x30, 0xaa];

    #[test]
    fn temporal_units_are_told_apart() {
        for (parts, key, picture, sequence) in [
            (&[&DELIMITER[..], &SEQUENCE, &KEY][..], true, true, true),
            (&[&KEY], true, true, false),
            (&[&HIDDEN_KEY, &INTER], false, true, false),
            (&[&INTER], false, true, false),
            (&[&DELIMITER], false, false, false),
        ] {
            let bytes = parts.concat();
            let it = TemporalUnit::parse(&bytes);
            assert_eq!((it.key, it.picture, it.sequence.is_some()), (key, picture, sequence), "{parts:?}");
        }
    }

    #[test]
    fn a_sequence_header_goes_behind_the_delimiter_and_only_once() {
        let unit = [&DELIMITER[..], &KEY].concat();
        let with = with_sequence(&SEQUENCE, unit);
        assert_eq!(with, [&DELIMITER[..], &SEQUENCE, &KEY].concat());
        assert_eq!(with_sequence(&SEQUENCE, with.clone()), with);
        assert_eq!(with_sequence(&SEQUENCE, KEY.to_vec()), [&SEQUENCE[..], &KEY].concat());
    }

    proptest! {
        #[test]
        fn hostile_units_panic_nowhere(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = TemporalUnit::parse(&bytes);
            let _ = with_sequence(&SEQUENCE, bytes.iter().map(|it| it & 0x7f).collect());
        }
    }
}
