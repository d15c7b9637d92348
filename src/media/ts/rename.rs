//! A segment told as another program: its packets under other PIDs, and the other's tables in place of its own. The length
//! never changes, so that a segment behind a restart of its source can follow those before it.

use super::fields::{Header, Walk};
use super::{CounterProfile, NULL_PID, PACKET_BYTES, PIDS, PidCounters, ProgramFacts};
use std::sync::Arc;

const PAT_PID: u16 = 0;
/// Below this are tables, which stay as they are (H.222.0 table 2-3 and DVB's).
const FIRST_PROGRAM_PID: u16 = 0x20;
/// The longest section that the payload of one packet holds behind its pointer.
const LONGEST: usize = PACKET_BYTES - 5;

/// The PIDs of what a segment is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pids {
    pub pmt: u16,
    pub pcr: u16,
    /// Of each stream: the pictures', then the sound's.
    pub streams: Vec<u16>,
}

/// What becomes of a segment's packets.
#[derive(Debug, Clone)]
pub struct Rename {
    /// By PID; what has no place in the other program is stuffing.
    map: Arc<[(u16, u16)]>,
    pat: Arc<[u8]>,
    pmt: Arc<[u8]>,
    pmt_pid: u16,
}

impl Rename {
    /// From a segment's PIDs to those of `program`, which are `to`. `None` where the one's clock is no stream and the other's
    /// is, where they have not as many streams, or a table needs several packets.
    pub fn new(from: &Pids, to: &Pids, program: &ProgramFacts) -> Option<Self> {
        let (pat, pmt) = (program.pat(), program.pmt());
        let place = |pids: &Pids| pids.streams.iter().position(|it| *it == pids.pcr);
        if from.streams.len() != to.streams.len()
            || place(from) != place(to)
            || pat.len().max(pmt.len()) > LONGEST
        {
            return None;
        }
        let mut map: Vec<(u16, u16)> = from.streams.iter().copied().zip(to.streams.iter().copied()).collect();
        map.push((from.pmt, to.pmt));
        // A program without a clock names the PID of stuffing (H.222.0 §2.4.4.9), which stays stuffing.
        if place(from).is_none() && from.pcr != NULL_PID {
            map.push((from.pcr, to.pcr));
        }
        Some(Self { map: map.into(), pat: pat.into(), pmt: pmt.into(), pmt_pid: to.pmt })
    }

    fn target(&self, pid: u16) -> u16 {
        match self.map.iter().find(|it| it.0 == pid) {
            Some((_, to)) => *to,
            None if pid < FIRST_PROGRAM_PID => pid,
            None => NULL_PID,
        }
    }

    /// Changes a whole segment.
    pub fn apply(&self, segment: &mut [u8]) {
        let targets: Vec<u16> = (0..PIDS as u16).map(|pid| self.target(pid)).collect();
        let mut walk = Walk::default();
        while let Some(at) = walk.next(segment) {
            let Some(packet) = segment[at..].first_chunk_mut::<PACKET_BYTES>() else { break };
            let header = Header::of(packet);
            if header.errored {
                continue;
            }
            let to = targets[usize::from(header.pid)];
            packet[1] = packet[1] & 0xe0 | (to >> 8) as u8;
            packet[2] = to as u8;
            if to == PAT_PID {
                replace(packet, header, &self.pat);
            } else if to == self.pmt_pid {
                replace(packet, header, &self.pmt);
            }
        }
    }

    /// What [`Rename::apply`] makes of a segment's counters.
    pub fn profile(&self, profile: &CounterProfile) -> CounterProfile {
        let renamed = profile.pids.iter().map(|it| PidCounters { pid: self.target(it.pid), ..*it });
        let mut pids: Vec<PidCounters> = renamed.filter(|it| it.pid != NULL_PID).collect();
        pids.sort_unstable_by_key(|it| it.pid);
        CounterProfile { pids, end: profile.end }
    }
}

/// Puts a section into a packet that one begins in; what went on from the packet before is stuffing.
fn replace(packet: &mut [u8; PACKET_BYTES], header: Header, section: &[u8]) {
    let begin = if header.adaptation { 5 + usize::from(packet[4]) } else { 4 };
    let Some(payload) = packet.get_mut(begin..).filter(|_| header.payload) else { return };
    payload.fill(0xff);
    if let (true, Some(pointer)) = (header.unit_start, payload.first_mut()) {
        *pointer = 0;
        if let Some(place) = payload.get_mut(1..=section.len()) {
            place.copy_from_slice(section);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ContinuityCounters, Packets, StreamFacts, TsWriter};
    use super::*;

    fn program(pmt: u16, pids: [u16; 2]) -> ProgramFacts {
        let stream = |(pid, stream_type)| StreamFacts { pid, stream_type, descriptors: Vec::new() };
        ProgramFacts {
            transport_stream_id: 1,
            program_number: 1,
            pmt_pid: pmt,
            pcr_pid: pids[0],
            pat_version: 0,
            pmt_version: 0,
            descriptors: Vec::new(),
            streams: [(pids[0], 0x1b), (pids[1], 0x0f)].map(stream).into(),
            lead_90k: 9_000,
        }
    }

    fn pids(pmt: u16, streams: [u16; 2]) -> Pids {
        Pids { pmt, pcr: streams[0], streams: streams.into() }
    }

    fn segment(facts: ProgramFacts) -> Vec<u8> {
        let mut writer = TsWriter::new(facts, ContinuityCounters::default()).unwrap();
        let unit = [&[0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 0x65][..], &[7; 900]].concat();
        for number in 0..6 {
            writer.write_unit(0, number * 3000, number * 3000, number == 0, &unit).unwrap();
            writer.write_unit(1, number * 3000 + 1, number * 3000 + 1, true, &[0xff, 0xf1, 1, 2, 3]).unwrap();
        }
        writer.finish().0
    }

    #[test]
    fn a_segment_is_told_as_another_program() {
        // The PID of one's sound is that of the other's pictures.
        let (from, to) = (program(0x100, [0x101, 0x102]), program(0x1000, [0x102, 0x200]));
        let wanted = segment(to.clone());
        let mut bytes = segment(from.clone());
        let rename = Rename::new(&pids(0x100, [0x101, 0x102]), &pids(0x1000, [0x102, 0x200]), &to).unwrap();
        let profile = rename.profile(&CounterProfile::of(&bytes).unwrap());
        rename.apply(&mut bytes);
        assert!(bytes == wanted, "the packets of the other program");
        assert_eq!(profile, CounterProfile::of(&wanted).unwrap());
    }

    #[test]
    fn what_has_no_place_is_stuffing() {
        let (from, to) = (program(0x100, [0x101, 0x102]), program(0x1000, [0x200, 0x201]));
        let only = Pids { pmt: 0x1000, pcr: 0x200, streams: vec![0x200] };
        let rename =
            Rename::new(&Pids { streams: vec![0x101], ..pids(0x100, [0x101, 0x102]) }, &only, &to).unwrap();
        let mut bytes = segment(from);
        rename.apply(&mut bytes);
        let seen: std::collections::BTreeSet<u16> = Packets::new(&bytes).map(|it| it.pid()).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 0x200, 0x1000, NULL_PID]);
    }

    #[test]
    fn stuffing_is_not_the_clock_of_a_program_that_has_none() {
        let without = |it: Pids| Pids { pcr: NULL_PID, ..it };
        let (from, to) = (program(0x100, [0x101, 0x102]), program(0x1000, [0x200, 0x201]));
        let to_pids = Pids { pcr: 0x98, ..pids(0x1000, [0x200, 0x201]) };
        let rename = Rename::new(&without(pids(0x100, [0x101, 0x102])), &to_pids, &to).unwrap();
        let mut bytes = segment(from);
        let mut stuffing = [0xff; PACKET_BYTES];
        stuffing[..4].copy_from_slice(&[0x47, 0x1f, 0xff, 0x10]);
        bytes.extend(stuffing);
        let profile = rename.profile(&CounterProfile::of(&bytes).unwrap());
        rename.apply(&mut bytes);
        assert_eq!(profile, CounterProfile::of(&bytes).unwrap());
    }

    #[test]
    fn programs_that_differ_in_more_are_refused() {
        let to = program(0x1000, [0x200, 0x201]);
        let (from, wanted) = (pids(0x100, [0x101, 0x102]), pids(0x1000, [0x200, 0x201]));
        assert!(Rename::new(&from, &wanted, &to).is_some());
        assert!(
            Rename::new(&Pids { pcr: 0x103, ..from.clone() }, &wanted, &to).is_none(),
            "the clock by itself"
        );
        assert!(Rename::new(&Pids { streams: vec![0x101], ..from }, &wanted, &to).is_none());
        let long = ProgramFacts { descriptors: vec![0; 200], ..to };
        assert!(Rename::new(&pids(0x100, [0x101, 0x102]), &wanted, &long).is_none());
    }
}
