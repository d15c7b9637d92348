//! Whole segments changed in place, so that they follow each other as one transport stream: times shifted,
//! continuity counters numbered on. The length never changes, so that a cut's length is known before it is made.
//!
//! Not changed: DTS_next_AU of a seamless splice, times inside elementary streams, tables, scrambled payloads.

use super::fields::{DISCONTINUITY, FLAGS, Fields, Header, Walk};
use super::stamp::{shift_clock, shift_stamp, shift_stream_clock, wrapped};
use super::{ContinuityCounters, PACKET_BYTES, PIDS, splice};
use crate::base::Result;

/// What to change in a segment, beside its counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patch {
    /// Added to every PTS, DTS and to the base of every PCR, OPCR and ESCR, modulo 2^33, in ticks of 90 kHz. That
    /// is 300 times as many ticks of 27 MHz, so that the extension of a PCR stays.
    pub shift_90k: i64,
    /// The shift lets the segment's clock run on from what lies before it: a discontinuity announced at its start
    /// is one no longer. What a segment announces after its start is a fault of the source and stays announced.
    pub joined: bool,
}

/// What a patch met.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct PatchReport {
    pub packets: u64,
    /// PES headers whose times were shifted.
    pub stamped: u64,
    /// PCRs shifted.
    pub clocks: u64,
    /// Splice messages (SCTE 35) shifted.
    pub splices: u64,
    /// Packets whose payload is scrambled: their headers are patched, the times in their payload could not be.
    pub scrambled: u64,
    /// Packets that a demodulator marked as wrong, left alone.
    pub errored: u64,
    /// Packets whose lengths or flags contradict each other, and splice messages longer than a packet: their counters
    /// are patched, and what comes before the fault.
    pub malformed: u64,
    /// Bytes in no packet, left alone.
    pub stray_bytes: u64,
}

/// One PID while a segment is patched.
#[derive(Clone, Copy)]
struct Lane {
    /// Added to the segment's counters; `UNSEEN` before its first packet.
    offset: u8,
    last: u8,
    /// Every packet so far has announced a discontinuity.
    head: bool,
}

const UNSEEN: u8 = 0xff;

impl Patch {
    /// Patches a whole segment; `counters` are those at its start, and afterwards those at its end.
    ///
    /// A segment's own steps between counters are kept, so that losses of the source stay visible to a decoder.
    ///
    /// # Errors
    /// `split-pes-header` when a PES header does not lie in one packet. Some packets are patched by then: the bytes
    /// are of no use. [`super::CounterProfile::of`] says so beforehand.
    pub fn apply(&self, segment: &mut [u8], counters: &mut ContinuityCounters) -> Result<PatchReport> {
        self.run(segment, counters, Fields::of)
    }

    /// Counters alone; cannot fail, since no PES header is looked at.
    pub(super) fn renumber(&self, segment: &mut [u8], counters: &mut ContinuityCounters) {
        let _ = self.run(segment, counters, |_, _| Ok(Fields::default()));
    }

    #[inline(always)]
    fn run(
        &self,
        segment: &mut [u8],
        counters: &mut ContinuityCounters,
        fields: impl Fn(&[u8; PACKET_BYTES], Header) -> Result<Fields>,
    ) -> Result<PatchReport> {
        let shift = wrapped(self.shift_90k);
        let mut report = PatchReport::default();
        let mut lanes = [Lane { offset: UNSEEN, last: 0, head: true }; PIDS];
        let mut seen = Vec::new();
        let mut walk = Walk::default();
        while let Some(at) = walk.next(segment) {
            let Some(packet) = segment[at..].first_chunk_mut::<PACKET_BYTES>() else { break };
            report.packets += 1;
            let header = Header::of(packet);
            if !header.is_counted() {
                report.errored += u64::from(header.errored);
                continue;
            }
            report.scrambled += u64::from(header.scrambled);
            let lane = &mut lanes[usize::from(header.pid)];
            if lane.offset == UNSEEN {
                lane.last = counters.before(header.pid, header.before());
                lane.offset = lane.last.wrapping_sub(header.before()) & 0x0f;
                seen.push(header.pid);
            }
            let counter = (header.counter + lane.offset) & 0x0f;
            packet[3] = packet[3] & 0xf0 | counter;

            if header.adaptation || header.unit_start {
                let fields = fields(packet, header)?;
                shift_fields(packet, &fields, shift, &mut report);
                lane.head &= fields.discontinuity;
                // The flag may also excuse a jump of the counter inside the segment, and then it has to stay.
                let steady = counter == lane.last || counter == (lane.last + 1) & 0x0f;
                if self.joined && lane.head && steady {
                    packet[FLAGS] &= !DISCONTINUITY;
                }
            } else {
                lane.head = false;
            }
            lane.last = counter;
        }
        for pid in seen {
            counters.set(pid, lanes[usize::from(pid)].last);
        }
        report.stray_bytes = walk.stray;
        Ok(report)
    }
}

#[inline]
fn shift_fields(packet: &mut [u8; PACKET_BYTES], fields: &Fields, shift: u64, report: &mut PatchReport) {
    for at in fields.clocks.into_iter().flatten() {
        if let Some(field) = packet[at..].first_chunk_mut() {
            shift_clock(field, shift);
        }
    }
    for at in fields.stamps.into_iter().flatten() {
        if let Some(field) = packet[at..].first_chunk_mut() {
            shift_stamp(field, shift);
        }
    }
    if let Some(field) = fields.stream_clock.and_then(|at| packet[at..].first_chunk_mut()) {
        shift_stream_clock(field, shift);
    }
    if let Some(section) = fields.splice.clone().and_then(|it| packet.get_mut(it)) {
        splice::shift(section, shift);
        report.splices += 1;
    }
    report.clocks += u64::from(fields.clocks[0].is_some());
    report.stamped += u64::from(fields.stamps[0].is_some());
    report.malformed += u64::from(fields.malformed);
}

#[cfg(test)]
mod tests {
    use super::super::{CounterProfile, NULL_PID, SYNC};
    use super::*;
    use proptest::prelude::*;

    const JOINED: Patch = Patch { shift_90k: 0, joined: true };

    /// A packet with an adaptation field of flags only.
    fn flagged(pid: u16, counter: u8, flags: u8) -> [u8; PACKET_BYTES] {
        let mut packet = [0xff; PACKET_BYTES];
        packet[..6].copy_from_slice(&[SYNC, (pid >> 8) as u8, pid as u8, 0x30 | counter, 1, flags]);
        packet
    }

    fn flags_after(mut segment: Vec<u8>, patch: Patch) -> Vec<u8> {
        patch.apply(&mut segment, &mut ContinuityCounters::default()).unwrap();
        segment.chunks(PACKET_BYTES).map(|it| it[FLAGS]).collect()
    }

    #[test]
    fn a_discontinuity_at_the_start_is_one_no_longer() {
        let segment = [
            flagged(256, 0, 0xc0),
            flagged(256, 1, 0x80),
            flagged(257, 0, 0x80),
            flagged(256, 2, 0),
            flagged(256, 3, 0x80),
        ]
        .concat();
        assert_eq!(flags_after(segment.clone(), JOINED), [0x40, 0, 0, 0, 0x80]);
        assert_eq!(
            flags_after(segment, Patch { joined: false, ..JOINED }),
            [0xc0, 0x80, 0x80, 0, 0x80],
            "not joined"
        );
        let jump = [flagged(256, 0, 0x80), flagged(256, 7, 0x80)].concat();
        assert_eq!(flags_after(jump, JOINED), [0, 0x80], "it excuses a jump of the counter");
    }

    #[test]
    fn what_cannot_be_read_is_left_alone_and_counted() {
        let mut errored = flagged(256, 0, 0x80);
        errored[1] |= 0x80;
        let mut scrambled = flagged(256, 4, 0x80);
        scrambled[3] |= 0xc0;
        let mut long = flagged(256, 5, 0x80);
        long[4] = 184;
        let reserved = [SYNC, 1, 0, 0];
        let mut segment = [&errored[..], b"stray", &scrambled, &long, &flagged(NULL_PID, 1, 0x80)].concat();
        segment.extend(reserved.iter().chain(&[0; PACKET_BYTES - 4]));
        let before = segment.clone();
        let mut counters = ContinuityCounters::default();
        counters.set(256, 8);
        let report = Patch { shift_90k: 1, joined: false }.apply(&mut segment, &mut counters).unwrap();
        let expected = PatchReport {
            packets: 5,
            scrambled: 1,
            errored: 1,
            malformed: 1,
            stray_bytes: 5,
            ..PatchReport::default()
        };
        assert_eq!(report, expected);
        let changed: Vec<_> = (0..segment.len()).filter(|at| segment[*at] != before[*at]).collect();
        assert_eq!(changed, [193 + 3, 381 + 3], "the counters of the scrambled and the malformed one");
        assert_eq!(counters.before(256, 0), 10);
    }

    /// Mostly packets: a random body under a header with few PIDs, and sometimes a PES header.
    fn packets() -> impl Strategy<Value = Vec<u8>> {
        let packet = (
            prop::array::uniform32(any::<u8>()),
            prop::sample::select(vec![0u16, 256, 257, 258, NULL_PID]),
            any::<(u8, u8)>(),
            0usize..20,
            any::<bool>(),
        )
            .prop_map(|(body, pid, (control, high), stuffing, pes)| {
                let mut packet: Vec<u8> = body.iter().copied().cycle().take(PACKET_BYTES).collect();
                packet[..3].copy_from_slice(&[SYNC, (pid >> 8) as u8 | high & 0xc0, pid as u8]);
                packet[3] = control;
                if pes {
                    packet[1] |= 0x40;
                    packet[4] = stuffing as u8;
                    let at = if control & 0x20 != 0 { 5 + stuffing } else { 4 };
                    packet[at..at + 7].copy_from_slice(&[0, 0, 1, 0xe0, 0, 0, 0x80]);
                }
                packet
            });
        prop::collection::vec(packet, 0..40).prop_map(|packets| packets.concat())
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..2000),
            packets(),
            (packets(), any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..300)).prop_map(
                |(mut bytes, at, junk)| {
                    let at = at.index(bytes.len() + 1);
                    bytes.splice(at..at, junk);
                    bytes
                }
            ),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_bytes_are_patched_and_patched_back(original in bytes(), shift in any::<i64>(), last in 0u8..16) {
            let shift = shift >> 1;
            let mut segment = original.clone();
            let mut counters = ContinuityCounters::default();
            counters.set(256, last);
            let outcome = Patch { shift_90k: shift, joined: false }.apply(&mut segment, &mut counters);
            prop_assert_eq!(segment.len(), original.len());
            prop_assert_eq!(outcome.as_ref().err().map(|it| it.code), CounterProfile::of(&original).err().map(|it| it.code));
            if let Ok(report) = outcome {
                let profile = CounterProfile::of(&original).unwrap();
                let mut passed = ContinuityCounters::default();
                passed.set(256, last);
                passed.pass(&profile);
                prop_assert_eq!(&passed, &counters, "the profile says what the patch does");

                let mut start = ContinuityCounters::default();
                for it in &profile.pids {
                    start.set(it.pid, it.before);
                }
                let again = Patch { shift_90k: -shift, joined: false }.apply(&mut segment, &mut start).unwrap();
                prop_assert_eq!(&segment, &original);
                prop_assert_eq!(again, report);
            }
        }

        #[test]
        fn counters_are_continuous_over_any_sequence(order in prop::collection::vec((0usize..4, 1u8..40), 1..12)) {
            // Segments whose own counters are continuous, each from another start.
            let mut counters = ContinuityCounters::default();
            let mut seen: std::collections::HashMap<u16, u8> = std::collections::HashMap::new();
            for (kind, length) in order {
                let mut segment: Vec<u8> = (0..length)
                    .flat_map(|n| {
                        let pid = 256 + u16::from(n % 3) * kind as u16;
                        let per = (0..=n).filter(|m| 256 + u16::from(m % 3) * kind as u16 == pid).count() as u8;
                        flagged(pid, (per + kind as u8 * 5) & 0x0f, 0x80)
                    })
                    .collect();
                JOINED.apply(&mut segment, &mut counters).unwrap();
                for packet in segment.chunks(PACKET_BYTES) {
                    let pid = u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]);
                    let counter = packet[3] & 0x0f;
                    if let Some(before) = seen.insert(pid, counter) {
                        prop_assert_eq!(counter, (before + 1) & 0x0f);
                    }
                    prop_assert_eq!(packet[FLAGS], 0);
                }
            }
        }
    }
}
