//! One transport packet and its adaptation field (H.222.0 §2.4.3.2–§2.4.3.5), and the walk over a segment's packets.

use super::{PACKET_BYTES, SYNC};
use memchr::memchr_iter;

/// A view of one packet. Every accessor stays inside its 188 bytes, whatever they say.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    bytes: &'a [u8; PACKET_BYTES],
    /// Where the packet lies in the segment, in bytes.
    pub offset: u64,
}

impl<'a> Packet<'a> {
    pub fn new(bytes: &'a [u8; PACKET_BYTES], offset: u64) -> Self {
        Self { bytes, offset }
    }

    pub fn pid(self) -> u16 {
        u16::from(self.bytes[1] & 0x1f) << 8 | u16::from(self.bytes[2])
    }

    /// transport_error_indicator: a receiver could not correct this packet.
    pub fn is_broken(self) -> bool {
        self.bytes[1] & 0x80 != 0
    }

    /// payload_unit_start_indicator: a PES packet or a section begins here.
    pub fn starts_unit(self) -> bool {
        self.bytes[1] & 0x40 != 0
    }

    pub fn is_scrambled(self) -> bool {
        self.bytes[3] & 0xc0 != 0
    }

    /// continuity_counter, 0–15.
    pub fn counter(self) -> u8 {
        self.bytes[3] & 0x0f
    }

    pub fn has_payload(self) -> bool {
        self.bytes[3] & 0x10 != 0
    }

    /// The adaptation field without its length byte, cut off at the packet's end.
    fn adaptation(self) -> &'a [u8] {
        if self.bytes[3] & 0x20 == 0 {
            return &[];
        }
        let end = (5 + usize::from(self.bytes[4])).min(PACKET_BYTES);
        &self.bytes[5..end]
    }

    fn adaptation_flag(self, mask: u8) -> bool {
        self.adaptation().first().is_some_and(|flags| flags & mask != 0)
    }

    /// discontinuity_indicator: the counter, or the clock, may jump here with intent.
    pub fn is_discontinuity(self) -> bool {
        self.adaptation_flag(0x80)
    }

    /// random_access_indicator: decoding may begin with the unit that starts here.
    pub fn is_random_access(self) -> bool {
        self.adaptation_flag(0x40)
    }

    /// program_clock_reference in ticks of 27 MHz (§2.4.3.5).
    pub fn pcr(self) -> Option<u64> {
        let field = self.adaptation();
        if field.first()? & 0x10 == 0 {
            return None;
        }
        let [a, b, c, d, e, f] = *field.get(1..7)?.first_chunk::<6>()?;
        let base = u64::from(u32::from_be_bytes([a, b, c, d])) << 1 | u64::from(e >> 7);
        Some(base * 300 + (u64::from(e & 1) << 8 | u64::from(f)))
    }

    /// Index inside the packet of the payload's first byte; [`PACKET_BYTES`] when there is none.
    pub fn payload_start(self) -> usize {
        match self.bytes[3] & 0x30 {
            0x10 => 4,
            0x30 => (5 + usize::from(self.bytes[4])).min(PACKET_BYTES),
            _ => PACKET_BYTES,
        }
    }

    pub fn payload(self) -> &'a [u8] {
        &self.bytes[self.payload_start()..]
    }

    /// The packet's bytes from `index` on; empty past its end.
    pub fn from_index(self, index: usize) -> &'a [u8] {
        self.bytes.get(index..).unwrap_or_default()
    }
}

/// The packets of a segment in order. Where a packet does not begin with the sync byte, the next place is looked for
/// from which two packets follow each other (or one reaches the end). A packet cut off at the end is left out.
#[derive(Debug, Clone)]
pub struct Packets<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Added to the offsets given, for a window into a larger segment.
    base: u64,
    /// Bytes passed over to find the next packet.
    pub skipped: u64,
}

impl<'a> Packets<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, base: 0, skipped: 0 }
    }

    /// Packets of `bytes`, which begin at byte `base` of the segment, from the segment's byte `offset` on.
    pub fn window(bytes: &'a [u8], base: u64, offset: u64) -> Self {
        let at = offset.checked_sub(base).and_then(|it| usize::try_from(it).ok());
        Self { bytes, at: at.unwrap_or(bytes.len()).min(bytes.len()), base, skipped: 0 }
    }

    /// Moves to the next place that looks like a run of packets. False at the end.
    fn resync(&mut self) -> bool {
        let rest = &self.bytes[self.at..];
        let found = memchr_iter(SYNC, rest).find(|at| match rest.get(at + PACKET_BYTES) {
            Some(next) => *next == SYNC,
            None => rest.len() == at + PACKET_BYTES,
        });
        let step = found.unwrap_or(rest.len());
        self.at += step;
        self.skipped += step as u64;
        found.is_some()
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        loop {
            let packet = self.bytes.get(self.at..)?.first_chunk::<PACKET_BYTES>()?;
            if packet[0] == SYNC {
                let offset = self.base + self.at as u64;
                self.at += PACKET_BYTES;
                return Some(Packet::new(packet, offset));
            }
            if !self.resync() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(head: &[u8]) -> [u8; PACKET_BYTES] {
        let mut packet = [0xff; PACKET_BYTES];
        packet[..head.len()].copy_from_slice(head);
        packet
    }

    #[test]
    fn fields_of_a_header() {
        let bytes = packet(&[0x47, 0x41, 0x00, 0x37, 7, 0x50, 0, 0, 0, 1, 0xfe, 0x10, 9, 9]);
        let it = Packet::new(&bytes, 0);
        assert_eq!((it.pid(), it.counter(), it.starts_unit(), it.is_random_access()), (0x100, 7, true, true));
        assert_eq!((it.is_broken(), it.is_scrambled(), it.is_discontinuity()), (false, false, false));
        assert_eq!(it.pcr(), Some(3 * 300 + 16));
        assert_eq!((it.payload_start(), it.payload()[0]), (12, 9));
    }

    #[test]
    fn lying_lengths_stay_inside() {
        for head in [&[0x47, 0, 0, 0x30, 255][..], &[0x47, 0, 0, 0x20, 183], &[0x47, 0, 0, 0x00]] {
            let bytes = packet(head);
            let it = Packet::new(&bytes, 0);
            assert_eq!(it.payload(), &[] as &[u8]);
        }
        // A flag for a PCR that the field has no room for.
        let bytes = packet(&[0x47, 0, 0, 0x30, 3, 0x10]);
        assert_eq!(Packet::new(&bytes, 0).pcr(), None);
        let bytes = packet(&[0x47, 0, 0, 0x30, 0, 0x10]);
        assert!(!Packet::new(&bytes, 0).is_discontinuity(), "an empty field has no flags");
    }

    #[test]
    fn lost_sync_is_found_again() {
        let one = packet(&[0x47, 0, 1, 0x10]);
        let stream = [&[1, 0x47, 2][..], &one, &one, &[0x47; 5], &one, &one[..100]].concat();
        let mut packets = Packets::new(&stream);
        let offsets: Vec<u64> = packets.by_ref().map(|it| it.offset).collect();
        // The packet after the stray bytes cannot be told from them; the walk goes on where the pattern returns.
        assert_eq!(offsets[..2], [3, 191]);
        assert!(offsets.iter().all(|it| *it + 188 <= stream.len() as u64));
        assert_eq!(Packets::new(&[0; 4000]).count(), 0);
        assert_eq!(Packets::new(&[0x47; 187]).count(), 0);
    }

    #[test]
    fn a_window_keeps_the_segments_offsets() {
        let one = packet(&[0x47, 0, 1, 0x10]);
        let stream = [one, one, one].concat();
        let offsets = |base, offset| -> Vec<u64> {
            Packets::window(&stream, base, offset).map(|it| it.offset).collect()
        };
        assert_eq!(offsets(1000, 1188), [1188, 1376]);
        assert_eq!(offsets(1000, 999), [] as [u64; 0]);
        assert_eq!(offsets(0, u64::MAX), [] as [u64; 0]);
    }
}
