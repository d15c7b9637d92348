//! The bit fields that hold times: PTS and DTS (H.222.0 §2.4.3.6), PCR and OPCR (§2.4.3.4), ESCR (§2.4.3.6).

/// Times have 33 bits at 90 kHz and start over after 26.5 hours.
const TIME_BITS: u32 = 33;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// A time or a distance on the clock that starts over.
pub(super) fn wrapped(ticks: i64) -> u64 {
    ticks.rem_euclid(1 << TIME_BITS) as u64
}

/// A time cut into 3, 15 and 15 bits, with a marker after each, as PTS, DTS and ESCR have it: the lowest marker is
/// bit 0. Returns the bits that belong to the time.
const fn spread(time: u64) -> u64 {
    (time >> 30 & 0x7) << 33 | (time >> 15 & 0x7fff) << 17 | (time & 0x7fff) << 1
}

const fn gathered(field: u64) -> u64 {
    (field >> 33 & 0x7) << 30 | (field >> 17 & 0x7fff) << 15 | (field >> 1 & 0x7fff)
}

fn get<const N: usize>(field: &[u8; N]) -> u64 {
    field.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn put<const N: usize>(field: &mut [u8; N], value: u64) {
    field.copy_from_slice(&value.to_be_bytes()[8 - N..]);
}

/// Adds `by` to a PTS or DTS. Prefix and markers stay, right or wrong.
#[inline]
pub(super) fn shift_stamp(field: &mut [u8; 5], by: u64) {
    let value = get(field);
    let time = (gathered(value) + by) & TIME_MASK;
    put(field, value & !spread(TIME_MASK) | spread(time));
}

/// Adds `by` ticks of 90 kHz to a PCR or OPCR. Its extension counts 300ths of such a tick and stays.
#[inline]
pub(super) fn shift_clock(field: &mut [u8; 6], by: u64) {
    let value = get(field);
    let base = ((value >> 15) + by) & TIME_MASK;
    put(field, base << 15 | value & 0x7fff);
}

/// Adds `by` ticks of 90 kHz to an ESCR: two reserved bits, the time with its markers, nine bits of extension and
/// a marker.
pub(super) fn shift_stream_clock(field: &mut [u8; 6], by: u64) {
    // As in a PTS, above nine bits of extension and a last marker.
    const LIFT: u32 = 10;
    let value = get(field);
    let time = (gathered(value >> LIFT) + by) & TIME_MASK;
    put(field, value & !(spread(TIME_MASK) << LIFT) | spread(time) << LIFT);
}

/// Adds `by` to a time without markers in the lowest bits of a field.
pub(super) fn add_wrapped(field: &mut [u8; 5], by: u64) {
    let value = get(field);
    put(field, value & !TIME_MASK | (value + by) & TIME_MASK);
}

/// A PTS or DTS with its prefix: 2 for a PTS alone, 3 for a PTS before a DTS, 1 for a DTS.
pub(super) fn stamp(prefix: u8, ticks: i64) -> [u8; 5] {
    const MARKERS: u64 = 1 << 32 | 1 << 16 | 1;
    let mut field = [0; 5];
    put(&mut field, u64::from(prefix) << 36 | spread(wrapped(ticks)) | MARKERS);
    field
}

/// A PCR at a whole tick of 90 kHz.
pub(super) fn clock(ticks: i64) -> [u8; 6] {
    let mut field = [0; 6];
    // Six reserved bits between base and extension are ones.
    put(&mut field, wrapped(ticks) << 15 | 0x3f << 9);
    field
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_as_the_standard_draws_them() {
        // 0011 + 101 + 1, 15 bits + 1, 15 bits + 1
        let ticks = 0b101 << 30 | 0b100_0000_0000_0001 << 15 | 0b011_1111_1111_1110;
        assert_eq!(stamp(3, ticks), [0b0011_1011, 0b1000_0000, 0b0000_0011, 0b0111_1111, 0b1111_1101]);
        assert_eq!(clock(1), [0, 0, 0, 0, 0xfe, 0]);
        assert_eq!(clock(-1), [0xff, 0xff, 0xff, 0xff, 0xfe, 0]);
        // Made with the layout of the standard: 11 101 1 (15) 1 (15) 1 (9) 1.
        let mut escr = [0xc4 | 0x38, 0, 0x04, 0, 0x04 | 0x01, 0x57];
        shift_stream_clock(&mut escr, 1);
        assert_eq!(escr, [0xfc, 0, 0x04, 0, 0x0c | 0x01, 0x57]);
    }

    proptest! {
        #[test]
        fn a_shift_adds_to_the_time_and_to_nothing_else(ticks in 0i64..1 << 33, by in any::<i64>(), other in any::<[u8; 6]>()) {
            let mut field = stamp(3, ticks);
            shift_stamp(&mut field, wrapped(by));
            prop_assert_eq!(field, stamp(3, ((i128::from(ticks) + i128::from(by)).rem_euclid(1 << 33)) as i64));
            let mut field = clock(ticks);
            shift_clock(&mut field, wrapped(by));
            prop_assert_eq!(field, clock(((i128::from(ticks) + i128::from(by)).rem_euclid(1 << 33)) as i64));

            let back = wrapped(-(wrapped(by) as i64));
            let mut six = other;
            shift_clock(&mut six, wrapped(by));
            shift_clock(&mut six, back);
            prop_assert_eq!(six, other);
            shift_stream_clock(&mut six, wrapped(by));
            shift_stream_clock(&mut six, back);
            prop_assert_eq!(six, other);
            let first = [other[0], other[1], other[2], other[3], other[4]];
            let mut five = first;
            shift_stamp(&mut five, wrapped(by));
            shift_stamp(&mut five, back);
            prop_assert_eq!(five, first);
        }
    }
}
