//! Continuity counters over the segments of a stream (H.222.0 §2.4.3.3).

use super::fields::{Fields, Header, Walk};
use super::patch::Patch;
use super::{NULL_PID, PACKET_BYTES, PIDS};
use crate::base::Result;

/// Numbers continuity counters on over the segments of a stream, so that a concatenation of them is one
/// transport stream. Muxers start each segment at 0.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ContinuityCounters {
    /// The last counter given, by rising PID. A stream has a handful of them, and every packet asks.
    last: Vec<(u16, u8)>,
}

impl ContinuityCounters {
    /// Renumbers the packets of one segment. Bytes that are not packets are left alone.
    pub fn renumber(&mut self, segment: &mut [u8]) {
        Patch { shift_90k: 0, joined: false }.renumber(segment, self);
    }

    /// Goes on to the end of a segment without reading it: what patching the segment would leave here.
    pub fn pass(&mut self, segment: &CounterProfile) {
        for it in &segment.pids {
            let before = self.before(it.pid, it.before);
            self.set(it.pid, before.wrapping_add(it.last.wrapping_sub(it.before)));
        }
    }

    /// The counter for the next packet with a payload of `pid`; the first is 0.
    pub(super) fn next(&mut self, pid: u16) -> u8 {
        match self.place(pid) {
            Ok(at) => {
                let last = &mut self.last[at].1;
                *last = (*last + 1) & 0x0f;
                *last
            }
            Err(at) => {
                self.last.insert(at, (pid, 0));
                0
            }
        }
    }

    fn place(&self, pid: u16) -> Result<usize, usize> {
        self.last.binary_search_by_key(&pid, |it| it.0)
    }

    fn last(&self, pid: u16) -> Option<u8> {
        self.place(pid).ok().map(|at| self.last[at].1)
    }

    /// The counter of a packet of `pid` without a payload, which repeats the last one.
    pub(super) fn repeat(&self, pid: u16) -> u8 {
        self.last(pid).unwrap_or(0x0f)
    }

    /// The last counter given, or the segment's own where its PID is new.
    pub(super) fn before(&self, pid: u16, own: u8) -> u8 {
        self.last(pid).unwrap_or(own)
    }

    pub(super) fn set(&mut self, pid: u16, last: u8) {
        let last = last & 0x0f;
        match self.place(pid) {
            Ok(at) => self.last[at].1 = last,
            Err(at) => self.last.insert(at, (pid, last)),
        }
    }
}

/// What a segment does to continuity counters: small, kept with the index of the segment, so that the counters at
/// the start of any segment of a stream are known without reading the segments before it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct CounterProfile {
    /// By rising PID; a stream has a handful of them.
    pub pids: Vec<PidCounters>,
    /// Where the last packet ends, in bytes. What lies behind is a packet cut off (a source that broke) or garbage:
    /// copied before another segment, it would cost a reader its step, and that segment its tables.
    pub end: u64,
}

/// The counters of one PID in one segment, 0 to 15.
///
/// Their difference is how far the segment moves the counter on: its packets with a payload, where it has lost none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PidCounters {
    pub pid: u16,
    /// What the packet before the segment's first has to have.
    pub before: u8,
    /// What the segment's last packet has.
    pub last: u8,
}

impl CounterProfile {
    /// Reads a segment. Fails where patching it would fail, so that a plan knows beforehand.
    pub fn of(segment: &[u8]) -> Result<Self> {
        let mut pids: Vec<PidCounters> = Vec::new();
        // 1 + the place in `pids`, by PID.
        let mut places = [0u16; PIDS];
        let mut walk = Walk::default();
        let mut end = 0;
        while let Some(at) = walk.next(segment) {
            let Some(packet) = segment[at..].first_chunk::<PACKET_BYTES>() else { break };
            end = (at + PACKET_BYTES) as u64;
            let header = Header::of(packet);
            if !header.is_counted() {
                continue;
            }
            Fields::of(packet, header)?;
            let place = &mut places[usize::from(header.pid)];
            if *place == 0 {
                let before = header.before();
                pids.push(PidCounters { pid: header.pid, before, last: header.counter });
                *place = pids.len() as u16;
            }
            pids[usize::from(*place) - 1].last = header.counter;
        }
        pids.sort_unstable_by_key(|it| it.pid);
        Ok(Self { pids, end })
    }
}

impl Header {
    /// Whether the packet's counter means something: it is no stuffing, is not known to be wrong, and has what the
    /// standard calls a defined adaptation_field_control.
    pub(super) fn is_counted(&self) -> bool {
        self.pid != NULL_PID && !self.errored && (self.payload || self.adaptation)
    }

    /// The counter that the packet before this one has to have: packets without a payload do not count up.
    pub(super) fn before(&self) -> u8 {
        self.counter.wrapping_sub(u8::from(self.payload)) & 0x0f
    }
}

#[cfg(test)]
mod tests {
    use super::super::SYNC;
    use super::*;

    fn packet(pid: u16, counter: u8) -> [u8; PACKET_BYTES] {
        let mut packet = [0xff; PACKET_BYTES];
        packet[..4].copy_from_slice(&[SYNC, (pid >> 8) as u8, pid as u8, 0x10 | counter]);
        packet
    }

    fn without_payload(pid: u16, counter: u8) -> [u8; PACKET_BYTES] {
        let mut packet = packet(pid, counter);
        packet[3..6].copy_from_slice(&[0x20 | counter, 183, 0]);
        packet
    }

    fn counted(bytes: &[u8]) -> Vec<u8> {
        bytes.chunks(PACKET_BYTES).map(|it| it[3] & 0x0f).collect()
    }

    #[test]
    fn counters_run_on_by_pid() {
        let mut counters = ContinuityCounters::default();
        let mut out = Vec::new();
        for _ in 0..2 {
            let mut segment =
                [packet(0, 0), packet(256, 0), packet(256, 1), packet(NULL_PID, 7), packet(256, 2)].concat();
            counters.renumber(&mut segment);
            out.extend(counted(&segment));
        }
        assert_eq!(out, [0, 0, 1, 7, 2, 1, 3, 4, 7, 5]);
    }

    #[test]
    fn repeats_and_losses_of_a_segment_stay() {
        let mut counters = ContinuityCounters::default();
        counters.renumber(&mut packet(256, 9));
        let lost = [packet(256, 3), packet(256, 3), without_payload(256, 3), packet(256, 6)].concat();
        let mut segment = lost.clone();
        counters.renumber(&mut segment);
        assert_eq!(counted(&segment), [10, 10, 10, 13]);
        let mut segment = [without_payload(256, 4), packet(256, 5)].concat();
        counters.renumber(&mut segment);
        assert_eq!(counted(&segment), [13, 14], "a packet without payload at the start repeats");
        let profile = CounterProfile::of(&lost).unwrap();
        assert_eq!(profile.pids, [PidCounters { pid: 256, before: 2, last: 6 }]);
        assert_eq!(profile.end, 4 * 188);
        assert_eq!(CounterProfile::of(&lost[..4 * 188 - 1]).unwrap().end, 3 * 188);
    }

    #[test]
    fn a_segment_with_every_pid_is_read() {
        let segment: Vec<u8> = (0..PIDS as u16).flat_map(|pid| packet(pid, 3)).collect();
        assert_eq!(CounterProfile::of(&segment).unwrap().pids.len(), PIDS - 1);
        let mut copy = segment.clone();
        let mut counters = ContinuityCounters::default();
        counters.renumber(&mut copy);
        assert_eq!(copy, segment, "nothing came before");
    }
}
