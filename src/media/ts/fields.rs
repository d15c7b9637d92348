//! Finding the packets of a segment, and the fields of one packet that a patch changes.

use super::{PACKET_BYTES, SYNC, splice};
use crate::base::{Error, Kind, Result};
use std::ops::Range;

/// Walks over the packets of a segment. Keeps the place alone, so that the bytes may be changed on the way.
#[derive(Debug, Default)]
pub(super) struct Walk {
    at: usize,
    /// Bytes passed over because they are in no packet.
    pub stray: u64,
}

impl Walk {
    /// Where the next packet starts. After a loss of synchronisation, the next place from which three packets
    /// follow each other, or as many as the segment still has.
    pub fn next(&mut self, bytes: &[u8]) -> Option<usize> {
        let in_step =
            |at: usize| (0..3).all(|n| bytes.get(at + n * PACKET_BYTES).is_none_or(|it| *it == SYNC));
        let start = self.at;
        let mut at = start;
        while bytes.len() - at >= PACKET_BYTES {
            if bytes[at] == SYNC && (at == start || in_step(at)) {
                self.at = at + PACKET_BYTES;
                self.stray += (at - start) as u64;
                return Some(at);
            }
            at += 1;
        }
        self.at = bytes.len();
        self.stray += (bytes.len() - start) as u64;
        None
    }
}

/// The four bytes every packet starts with (H.222.0 §2.4.3.2).
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub pid: u16,
    pub counter: u8,
    pub unit_start: bool,
    pub scrambled: bool,
    pub adaptation: bool,
    pub payload: bool,
    /// The transport error indicator: any bit of the packet may be wrong, those of its PID too.
    pub errored: bool,
}

impl Header {
    pub fn of(packet: &[u8; PACKET_BYTES]) -> Self {
        let [_, high, low, last, ..] = *packet;
        Self {
            pid: u16::from(high & 0x1f) << 8 | u16::from(low),
            counter: last & 0x0f,
            unit_start: high & 0x40 != 0,
            scrambled: last & 0xc0 != 0,
            adaptation: last & 0x20 != 0,
            payload: last & 0x10 != 0,
            errored: high & 0x80 != 0,
        }
    }
}

/// Where in a packet the fields that depend on time are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    /// The discontinuity indicator is set, in the byte [`FLAGS`].
    pub discontinuity: bool,
    /// PCR and OPCR, six bytes each.
    pub clocks: [Option<usize>; 2],
    /// PTS and DTS, five bytes each.
    pub stamps: [Option<usize>; 2],
    /// ESCR, six bytes.
    pub stream_clock: Option<usize>,
    /// A splice message, which may lie beside the others' places.
    pub splice: Option<Range<usize>>,
    /// A length or a flag contradicts the packet: what lies behind it was not looked at.
    pub malformed: bool,
}

/// The flags of an adaptation field, where there is one that is not empty.
pub(super) const FLAGS: usize = 5;
pub(super) const DISCONTINUITY: u8 = 0x80;
const HAS_PCR: u8 = 0x10;
const HAS_OPCR: u8 = 0x08;
const CLOCK_BYTES: usize = 6;
const STAMP_BYTES: usize = 5;

/// The bytes of a PES header up to its own length (H.222.0 §2.4.3.6).
const PES_FIXED: usize = 9;

impl Fields {
    /// Fails where a PES header runs on into the next packet of its PID; no muxer known does that.
    #[inline]
    pub fn of(packet: &[u8; PACKET_BYTES], header: Header) -> Result<Self> {
        let mut fields = Self::default();
        let mut payload = 4;
        if header.adaptation {
            let length = usize::from(packet[4]);
            payload = 5 + length;
            if payload > PACKET_BYTES {
                fields.malformed = true;
                return Ok(fields);
            }
            if length > 0 {
                fields.read_adaptation(packet[FLAGS], payload);
            }
        }
        if header.payload && header.unit_start && !header.scrambled {
            fields.read_pes(packet, payload)?;
        }
        Ok(fields)
    }

    fn read_adaptation(&mut self, flags: u8, end: usize) {
        self.discontinuity = flags & DISCONTINUITY != 0;
        let mut at = FLAGS + 1;
        for (clock, flag) in [HAS_PCR, HAS_OPCR].into_iter().enumerate() {
            if flags & flag == 0 {
                continue;
            }
            if at + CLOCK_BYTES > end {
                self.malformed = true;
                return;
            }
            self.clocks[clock] = Some(at);
            at += CLOCK_BYTES;
        }
    }

    fn read_pes(&mut self, packet: &[u8; PACKET_BYTES], start: usize) -> Result<()> {
        const PREFIX: [u8; 3] = [0, 0, 1];
        let pes = &packet[start..];
        // A section starts with a pointer and a table: 0, 0, 1 would be the start of a program association table
        // without its syntax indicator, which there is not.
        if !PREFIX.starts_with(&pes[..pes.len().min(PREFIX.len())]) {
            match splice::find(pes) {
                Ok(found) => self.splice = found.map(|it| start + it.start..start + it.end),
                Err(()) => self.malformed = true,
            }
            return Ok(());
        }
        if pes.is_empty() {
            self.malformed = true;
            return Ok(());
        }
        let Some(id) = pes.get(3) else { return Err(split()) };
        if !has_optional_header(*id) {
            return Ok(());
        }
        let Some(&[marks, flags, length]) = pes.get(6..PES_FIXED) else { return Err(split()) };
        // Two bits that are always 10, and "DTS without PTS", which is forbidden.
        if marks & 0xc0 != 0x80 || flags >> 6 == 1 {
            self.malformed = true;
            return Ok(());
        }
        let stamps = match flags >> 6 {
            0 => 0,
            2 => 1,
            _ => 2,
        };
        let escr = flags & 0x20 != 0;
        let needed = stamps * STAMP_BYTES + if escr { CLOCK_BYTES } else { 0 };
        if usize::from(length) < needed {
            self.malformed = true;
            return Ok(());
        }
        if pes.len() < PES_FIXED + needed {
            return Err(split());
        }
        for (n, stamp) in self.stamps.iter_mut().take(stamps).enumerate() {
            *stamp = Some(start + PES_FIXED + n * STAMP_BYTES);
        }
        self.stream_clock = escr.then_some(start + PES_FIXED + stamps * STAMP_BYTES);
        Ok(())
    }
}

fn split() -> Error {
    Error::new(Kind::Unsupported, "split-pes-header", "a PES header is spread over two transport packets")
}

/// Whether PES packets of this stream have flags and timestamps (H.222.0 §2.4.3.7, table 2-21): all but maps,
/// padding, private_stream_2, ECM, EMM, DSM-CC, H.222.1 type E and directories.
fn has_optional_header(stream_id: u8) -> bool {
    !matches!(stream_id, 0xbc | 0xbe | 0xbf | 0xf0 | 0xf1 | 0xf2 | 0xf8 | 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_finds_its_step_again() {
        let mut bytes = vec![0; PACKET_BYTES * 6 + 30];
        for at in [0, 188, 400, 588, 776, 964] {
            bytes[at] = SYNC;
        }
        // In the garbage, and not the start of packets.
        bytes[380] = SYNC;
        let mut walk = Walk::default();
        let found: Vec<_> = std::iter::from_fn(|| walk.next(&bytes)).collect();
        assert_eq!(found, [0, 188, 400, 588, 776, 964]);
        assert_eq!(walk.stray, 24 + 6);
        assert_eq!(Walk::default().next(&[]), None);
    }

    fn start(pes: &[u8], stuffing: usize) -> [u8; PACKET_BYTES] {
        let mut packet = [0xff; PACKET_BYTES];
        packet[..6].copy_from_slice(&[SYNC, 0x41, 0, 0x30, stuffing as u8, 0]);
        let at = PACKET_BYTES.min(5 + stuffing);
        let end = PACKET_BYTES.min(at + pes.len());
        packet[at..end].copy_from_slice(&pes[..end - at]);
        packet
    }

    #[test]
    fn fields_of_a_pes_header_are_found_or_said_to_be_elsewhere() {
        let of = |packet: [u8; PACKET_BYTES]| Fields::of(&packet, Header::of(&packet));
        let both = [0, 0, 1, 0xe0, 0, 0, 0x80, 0xc0, 10, 0x31, 0, 1, 0, 1, 0x11, 0, 1, 0, 1];
        assert_eq!(of(start(&both, 10)).unwrap().stamps, [Some(24), Some(29)]);
        assert_eq!(of(start(&both, 183 - 19)).unwrap().stamps, [Some(178), Some(183)], "to the last byte");
        for stuffing in 183 - 18..183 {
            assert_eq!(of(start(&both, stuffing)).unwrap_err().code, "split-pes-header", "{stuffing}");
        }
        assert!(of(start(&both, 183)).unwrap().malformed, "a start of nothing");
        assert!(of(start(&both, 184)).unwrap().malformed, "an adaptation field past the packet's end");
        let padding = [0, 0, 1, 0xbe, 0, 0, 0xff, 0xff, 0xff];
        assert_eq!(of(start(&padding, 10)).unwrap(), Fields::default());
        let short = [0, 0, 1, 0xe0, 0, 0, 0x80, 0xc0, 5];
        assert!(of(start(&short, 10)).unwrap().malformed);
        let table = [0, 0, 0xb0, 13];
        assert_eq!(of(start(&table, 10)).unwrap(), Fields::default());
    }
}
