//! Splice messages, which announce advertisements: their times follow the clock of the program (SCTE 35 §9.6).

use super::crc::crc32;
use super::stamp::add_wrapped;
use std::ops::Range;

const TABLE: u8 = 0xfc;
/// From table_id to pts_adjustment: 33 bits that end with this byte are added to every time in the message.
const ADJUSTMENT: Range<usize> = 4..9;
const CRC_BYTES: usize = 4;

/// Where in a payload that starts a section there is a whole and undamaged splice message. `Err` when there is one
/// that runs on into the next packet.
pub(super) fn find(payload: &[u8]) -> Result<Option<Range<usize>>, ()> {
    let Some(start) = payload.first().map(|pointer| 1 + usize::from(*pointer)) else { return Ok(None) };
    let Some(&[TABLE, high, low, ..]) = payload.get(start..) else { return Ok(None) };
    let end = start + 3 + (usize::from(high & 0x0f) << 8 | usize::from(low));
    let Some(section) = payload.get(start..end) else { return Err(()) };
    let whole = section.len() >= ADJUSTMENT.end + CRC_BYTES && crc32(section) == 0;
    Ok(whole.then_some(start..end))
}

/// Adds `by` ticks of 90 kHz to the times of a message that [`find`] found. Those in its (maybe encrypted) body stay:
/// pts_adjustment is added to them by the receiver, and was made for this.
pub(super) fn shift(section: &mut [u8], by: u64) {
    let checked = section.len().saturating_sub(CRC_BYTES);
    let Some(field) = section.get_mut(ADJUSTMENT).and_then(|it| it.first_chunk_mut()) else { return };
    add_wrapped(field, by);
    let crc = crc32(&section[..checked]);
    section[checked..].copy_from_slice(&crc.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_shifted_with_its_program() {
        // SCTE 35 §14.1, "time_signal": its adjustment is 0.
        let original = [
            0xfc, 0x30, 0x34, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xf0, 0x05, 0x06, 0xfe, 0x72,
            0xbd, 0x00, 0x50, 0x00, 0x1e, 0x02, 0x1c, 0x43, 0x55, 0x45, 0x49, 0x48, 0x00, 0x00, 0x8e, 0x7f,
            0xcf, 0x00, 0x01, 0xa5, 0x99, 0xb0, 0x08, 0x08, 0x00, 0x00, 0x00, 0x00, 0x2c, 0xa0, 0xa1, 0x8a,
            0x34, 0x02, 0x00, 0x9a, 0xc9, 0xd1, 0x7e,
        ];
        let payload = [&[2, 9, 9], &original[..], &[0xff; 20]].concat();
        assert_eq!(find(&payload), Ok(Some(3..3 + original.len())));
        assert_eq!(find(&payload[..50]), Err(()), "the rest is in the next packet");
        let mut section = original;
        section[4] = 0x7e;
        shift(&mut section, (1 << 33) - 1);
        assert_eq!(section[4..9], [0x7f, 0xff, 0xff, 0xff, 0xff], "the bits before it are others");
        assert_eq!(crc32(&section), 0);
        shift(&mut section, 1);
        section[4] = 0;
        section[51..].copy_from_slice(&original[51..]);
        assert_eq!(section, original);
        let mut damaged = payload.clone();
        damaged[20] ^= 1;
        assert_eq!(find(&damaged), Ok(None));
        for other in [&[][..], &[0], &[0, 0xfc], &[0, 0xfc, 0, 0], &[200, 0xfc], &[0, 0, 0xb0, 13, 0, 1]] {
            assert_eq!(find(other), Ok(None));
        }
    }
}
