//! MPEG-TS packets as bytes (ISO/IEC 13818-1, H.222.0 §2.4.3): read and changed in place, without libav.

pub mod packet;
pub mod pes;
pub mod psi;

pub use packet::{Packet, Packets};
pub use pes::PesReader;

/// Bytes of a transport packet.
pub const PACKET_BYTES: usize = 188;
const SYNC: u8 = 0x47;
const NULL_PID: u16 = 0x1fff;

/// Numbers continuity counters on over the segments of a stream, so that a concatenation of them is one
/// transport stream (H.222.0 §2.4.3.3). Muxers start each segment at 0.
#[derive(Debug, Default)]
pub struct ContinuityCounters {
    /// The last counter given, by PID.
    last: std::collections::HashMap<u16, u8>,
}

impl ContinuityCounters {
    /// Renumbers the packets of one segment. Bytes that are not packets are left alone.
    pub fn renumber(&mut self, segment: &mut [u8]) {
        let mut shift = std::collections::HashMap::new();
        for packet in segment.chunks_exact_mut(PACKET_BYTES).filter(|it| it[0] == SYNC) {
            let pid = u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]);
            if pid == NULL_PID {
                continue;
            }
            let counter = packet[3] & 0x0f;
            // The segment's own steps are kept: packets without a payload do not count up.
            let by = *shift.entry(pid).or_insert_with(|| {
                let expected = self.last.get(&pid).map_or(counter, |last| last.wrapping_add(1));
                expected.wrapping_sub(counter)
            });
            let counter = counter.wrapping_add(by) & 0x0f;
            packet[3] = packet[3] & 0xf0 | counter;
            self.last.insert(pid, counter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(pid: u16, counter: u8) -> [u8; PACKET_BYTES] {
        let mut packet = [0xff; PACKET_BYTES];
        packet[..4].copy_from_slice(&[SYNC, (pid >> 8) as u8, pid as u8, 0x10 | counter]);
        packet
    }

    #[test]
    fn counters_run_on_by_pid() {
        let mut counters = ContinuityCounters::default();
        let mut out = Vec::new();
        for _ in 0..2 {
            let mut segment =
                [packet(0, 0), packet(256, 0), packet(256, 1), packet(NULL_PID, 7), packet(256, 2)].concat();
            counters.renumber(&mut segment);
            out.extend(segment.chunks(PACKET_BYTES).map(|it| it[3] & 0x0f));
        }
        assert_eq!(out, [0, 0, 1, 7, 2, 1, 3, 4, 7, 5]);
    }
}
