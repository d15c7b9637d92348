//! Access units of H.264 and HEVC on a transport stream (H.222.0 §2.14.1, §2.17.1).

const AVC: u8 = 0x1b;
const HEVC: u8 = 0x24;

/// A delimiter for any kind of picture, with a start code.
const AVC_DELIMITER: &[u8] = &[0, 0, 0, 1, 0x09, 0xf0];
const HEVC_DELIMITER: &[u8] = &[0, 0, 0, 1, 0x46, 0x01, 0x50];

/// What has to be written before `unit`, a byte stream (Annex B) of one access unit: a delimiter, where streams of
/// this type need one and the unit has none; otherwise nothing.
pub fn access_unit_delimiter(stream_type: u8, unit: &[u8]) -> &'static [u8] {
    let delimiter = match stream_type {
        AVC => AVC_DELIMITER,
        HEVC => HEVC_DELIMITER,
        _ => return &[],
    };
    let mut at = 0;
    // A delimiter comes first, but a stray one further back must not be doubled either: it would be two units.
    while let Some(start) = unit[at..].windows(3).position(|it| it == [0, 0, 1]) {
        at += start + 3;
        let Some(first) = unit.get(at) else { break };
        // Type, the type of a delimiter, and those of slices.
        let (kind, own, slices) = match stream_type {
            AVC => (first & 0x1f, 9, 1..=5),
            _ => (first >> 1 & 0x3f, 35, 0..=31),
        };
        if kind == own {
            return &[];
        }
        if slices.contains(&kind) {
            break;
        }
    }
    delimiter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delimiter_is_added_where_one_is_missing() {
        let of = |kind, unit: &[u8]| access_unit_delimiter(kind, unit).len();
        assert_eq!(of(AVC, b"\0\0\0\x01\x67\x42\0\0\x01\x65\x88"), 6);
        assert_eq!(of(AVC, b"\0\0\0\x01\x09\xf0\0\0\x01\x65\x88"), 0);
        assert_eq!(of(AVC, b"\0\0\x01\x09\x10\0\0\x01\x65\x88"), 0, "a short start code");
        assert_eq!(of(AVC, b"\0\0\x01\x06\x05\0\0\x01\x09\x10\0\0\x01\x65"), 0, "after an SEI message");
        assert_eq!(of(AVC, b"\0\0\x01\x65\x05\0\0\x01\x09\x10"), 6, "the next unit's");
        assert_eq!(of(HEVC, b"\0\0\0\x01\x40\x01\x0c\0\0\x01\x26\x01"), 7);
        assert_eq!(of(HEVC, b"\0\0\0\x01\x46\x01\x50\0\0\x01\x26\x01"), 0);
        assert_eq!(of(AVC, b""), 6);
        assert_eq!(of(AVC, b"\0\0\x01"), 6);
        assert_eq!(of(0x02, b"\0\0\x01\xb3"), 0, "MPEG-2 has none");
    }
}
