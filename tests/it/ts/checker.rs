//! A strict reader of transport streams, by H.222.0 alone: it shares no code with what it checks, and panics at the
//! first fault.

use std::collections::BTreeMap;

const PACKET: usize = 188;
/// A PCR has to come every 100 ms (§2.7.2), in ticks of 27 MHz.
const CLOCK_PERIOD: i64 = 2_700_000;
const TURN: i64 = 1 << 33;

/// One PES packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// 33 bits, in ticks of 90 kHz.
    pub pts: i64,
    pub dts: i64,
    pub random_access: bool,
    pub stream_id: u8,
    pub bytes: Vec<u8>,
    /// The last PCR sent before it or with it, in ticks of 90 kHz.
    pub clock: i64,
    /// What the header says is to come; 0 leaves it open.
    length: usize,
}

/// What a stream without a fault holds.
#[derive(Debug, Default)]
pub struct Checked {
    /// By PID.
    pub units: BTreeMap<u16, Vec<Unit>>,
    /// In ticks of 90 kHz.
    pub clocks: Vec<i64>,
    pub discontinuities: usize,
    /// Each section of the PAT and the PMT that differs from the others of its PID.
    pub tables: BTreeMap<u16, Vec<Vec<u8>>>,
}

/// The short way from `earlier` to `later` on a clock that starts over.
pub fn distance(later: i64, earlier: i64) -> i64 {
    (later - earlier + TURN / 2).rem_euclid(TURN) - TURN / 2
}

pub fn check(stream: &[u8]) -> Checked {
    assert_eq!(stream.len() % PACKET, 0, "whole packets");
    let mut out = Checked::default();
    let mut counters: BTreeMap<u16, u8> = BTreeMap::new();
    let (mut pmt_pid, mut pcr_pid) = (None, None);
    let mut clock: Option<i64> = None;
    for (number, packet) in stream.chunks(PACKET).enumerate() {
        assert_eq!(packet[0], 0x47, "packet {number}: sync byte");
        let pid = u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]);
        assert_eq!(packet[1] & 0x80, 0, "packet {number}: transport error");
        assert_eq!(packet[3] & 0xc0, 0, "packet {number}: scrambled");
        if pid == 0x1fff {
            continue;
        }
        let (start, has_field, has_payload) =
            (packet[1] & 0x40 != 0, packet[3] & 0x20 != 0, packet[3] & 0x10 != 0);
        assert!(has_field || has_payload, "packet {number}: neither field nor payload");
        let counter = packet[3] & 0x0f;
        if let Some(last) = counters.insert(pid, counter) {
            let expected = (last + u8::from(has_payload)) & 0x0f;
            assert_eq!(counter, expected, "packet {number}: continuity counter of PID {pid:#x}");
        }
        let mut at = 4;
        let mut random_access = false;
        if has_field {
            let length = usize::from(packet[4]);
            if has_payload {
                assert!(length <= 182, "packet {number}: length of the adaptation field");
            } else {
                assert_eq!(length, 183, "packet {number}: length of the adaptation field");
            }
            at = 5 + length;
            if length > 0 {
                let flags = packet[5];
                out.discontinuities += usize::from(flags & 0x80 != 0);
                random_access = flags & 0x40 != 0;
                let mut used = 6;
                if flags & 0x10 != 0 {
                    assert_eq!(Some(pid), pcr_pid, "packet {number}: a PCR beside its PID");
                    let base = packet[6..11].iter().fold(0, |all, it| all << 8 | i64::from(*it)) >> 7;
                    let extension = i64::from(packet[10] & 1) << 8 | i64::from(packet[11]);
                    assert!(extension < 300, "packet {number}: extension of the PCR");
                    assert_eq!(packet[10] & 0x7e, 0x7e, "packet {number}: reserved bits of the PCR");
                    let now = base * 300 + extension;
                    if let Some(last) = clock.replace(now) {
                        let step = (now - last).rem_euclid(TURN * 300);
                        assert!(
                            (1..=CLOCK_PERIOD).contains(&step),
                            "packet {number}: {step} ticks between PCRs"
                        );
                    }
                    out.clocks.push(base);
                    used += 6;
                }
                assert_eq!(flags & 0x0f, 0, "packet {number}: fields this checker does not know");
                assert!(packet[used..at].iter().all(|it| *it == 0xff), "packet {number}: stuffing");
            }
        }
        let payload = &packet[at..];
        if pid == 0 || pid == 17 || Some(pid) == pmt_pid {
            assert!(start, "packet {number}: sections of one packet");
            let section = section(payload, number);
            if pid == 0 {
                pmt_pid = Some(u16::from(section[10] & 0x1f) << 8 | u16::from(section[11]));
            } else if pid != 17 {
                pcr_pid = Some(u16::from(section[8] & 0x1f) << 8 | u16::from(section[9]));
            }
            let tables = out.tables.entry(pid).or_default();
            if !tables.contains(&section) {
                tables.push(section);
            }
            continue;
        }
        assert!(pcr_pid.is_some(), "packet {number}: PID {pid:#x} before PAT and PMT");
        let units = out.units.entry(pid).or_default();
        if start {
            let clock = clock.unwrap_or_else(|| panic!("packet {number}: a unit before the first PCR")) / 300;
            let unit = pes(payload, random_access, clock, number);
            if let Some(last) = units.last() {
                assert!(distance(unit.dts, last.dts) > 0, "packet {number}: {} after {}", unit.dts, last.dts);
            }
            units.push(unit);
        } else if has_payload {
            let unit = units.last_mut().unwrap_or_else(|| panic!("packet {number}: a unit without start"));
            unit.bytes.extend(payload);
        }
    }
    for unit in out.units.values().flatten().filter(|it| it.length > 0) {
        assert_eq!(unit.bytes.len(), unit.length, "length of the PES packet at {}", unit.dts);
    }
    out
}

/// A section without the stuffing behind it.
fn section(payload: &[u8], number: usize) -> Vec<u8> {
    assert_eq!(payload[0], 0, "packet {number}: pointer");
    let length = usize::from(payload[2] & 0x0f) << 8 | usize::from(payload[3]);
    let (section, stuffing) = payload[1..].split_at(3 + length);
    assert!(stuffing.iter().all(|it| *it == 0xff), "packet {number}: stuffing");
    let mut crc = u32::MAX;
    for bit in section.iter().flat_map(|byte| (0..8).rev().map(move |n| u32::from(byte >> n & 1))) {
        let carry = crc >> 31 ^ bit;
        crc = (crc << 1) ^ (carry * 0x04c1_1db7);
    }
    assert_eq!(crc, 0, "packet {number}: checksum");
    section.to_vec()
}

fn pes(payload: &[u8], random_access: bool, clock: i64, number: usize) -> Unit {
    assert_eq!(payload[..3], [0, 0, 1], "packet {number}: start code");
    let packet_length = usize::from(payload[4]) << 8 | usize::from(payload[5]);
    assert_eq!(payload[6] & 0xf0, 0x80, "packet {number}: marks of the PES header");
    let (flags, header) = (payload[7], usize::from(payload[8]));
    let pts = time(&payload[9..14], if flags >> 6 == 3 { 3 } else { 2 }, number);
    let dts = match flags >> 6 {
        2 => pts,
        3 => time(&payload[14..19], 1, number),
        other => panic!("packet {number}: times {other}"),
    };
    assert!(distance(pts, dts) >= 0, "packet {number}: shown before it is decoded");
    assert!(distance(dts, clock) >= 0, "packet {number}: decoded before it is sent");
    Unit {
        pts,
        dts,
        random_access,
        stream_id: payload[3],
        bytes: payload[9 + header..].to_vec(),
        clock,
        length: packet_length.saturating_sub(3 + header),
    }
}

fn time(field: &[u8], prefix: u8, number: usize) -> i64 {
    assert_eq!(field[0] >> 4, prefix, "packet {number}: prefix of a time");
    assert!(field[0] & field[2] & field[4] & 1 == 1, "packet {number}: markers of a time");
    let field = field.iter().map(|it| i64::from(*it)).collect::<Vec<_>>();
    (field[0] >> 1 & 7) << 30 | field[1] << 22 | (field[2] >> 1) << 15 | field[3] << 7 | field[4] >> 1
}
