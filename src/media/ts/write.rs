//! Writes MPEG-TS: the edges of a cut, to stand between segments copied from a source, and segments of live sources.

use super::section::packetise;
use super::stamp::{clock, stamp};
use super::{ContinuityCounters, PACKET_BYTES, ProgramFacts, SYNC, access_unit_delimiter};
use crate::base::{Error, Result};

/// A PCR has to be sent every 100 ms (H.222.0 §2.7.2): this long without one from a unit, and one is sent alone. In
/// ticks of 90 kHz: 90 ms, which pictures at 12 fps and more stay under.
const CLOCK_PERIOD: i64 = 8_100;
/// The tables are repeated every 100 ms at most (ETSI TR 101 290 §5.2.1 wants 500 ms, DVB receivers 100 ms).
const TABLE_PERIOD: i64 = 9_000;
/// The longest pause between units, 10 minutes: an edge has none of that length, and its PCRs alone take 1.2 MB.
const LONGEST_PAUSE: i64 = 600 * 90_000;
/// Times beyond this, in ticks of 90 kHz, are a caller's mistake: 99 years.
const LATEST: i64 = 1 << 48;

const PAT_PID: u16 = 0;
const HEADER_BYTES: usize = 4;
const RANDOM_ACCESS: u8 = 0x40;
const HAS_CLOCK: u8 = 0x10;
/// Optional header, data aligned: a payload starts with an access unit or a frame of sound.
const PES_MARKS: u8 = 0x84;

/// A transport stream of one program in memory. The same calls give the same bytes.
#[derive(Debug)]
pub struct TsWriter {
    facts: ProgramFacts,
    pat: Vec<u8>,
    pmt: Vec<u8>,
    counters: ContinuityCounters,
    out: Vec<u8>,
    /// When the last PCR and the last tables were sent.
    clocked: Option<i64>,
    told: Option<i64>,
    /// The last DTS, by stream.
    last: Vec<Option<i64>>,
    /// Units without a PCR since the last one with: whether a clock of their own is due between them is known when
    /// the next one comes. At the end none is, since what follows the edge brings its own, and sooner.
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    pid: u16,
    sent: i64,
    key: bool,
    head: Vec<u8>,
    unit: Vec<u8>,
}

impl TsWriter {
    /// A writer that numbers on from `counters`.
    pub fn new(facts: ProgramFacts, counters: ContinuityCounters) -> Result<Self> {
        facts.check()?;
        Ok(Self {
            pat: facts.pat(),
            pmt: facts.pmt(),
            last: vec![None; facts.streams.len()],
            facts,
            counters,
            out: Vec::new(),
            clocked: None,
            told: None,
            waiting: Vec::new(),
        })
    }

    /// Writes one access unit of video, as a byte stream, or one or more frames of sound, into one PES packet.
    /// `stream` counts from 0 in the order of the facts; `pts` and `dts` are in ticks of 90 kHz and may lie outside
    /// of 33 bits. A missing access unit delimiter is added.
    ///
    /// Units of all streams come in the order of their DTS, as they are to be sent.
    pub fn write_unit(&mut self, stream: usize, pts: i64, dts: i64, key: bool, unit: &[u8]) -> Result<()> {
        let Some(facts) = self.facts.streams.get(stream) else {
            return Err(Error::internal("no such stream in the program"));
        };
        if pts < dts || pts > LATEST || dts < -LATEST {
            return Err(Error::internal("impossible times of a unit"));
        }
        if self.last[stream].is_some_and(|last| dts <= last) {
            return Err(Error::internal("units of a stream must have rising decoding times"));
        }
        let (pid, has_clock) = (facts.pid, facts.pid == self.facts.pcr_pid);
        let head = pes_header(facts.stream_id(), facts.is_video(), facts.stream_type, pts, dts, unit)?;
        let sent = dts - self.facts.lead_90k;
        if self.clocked.is_some_and(|last| sent - last > LONGEST_PAUSE) {
            return Err(Error::internal("a pause between units is too long"));
        }
        self.last[stream] = Some(dts);
        if !has_clock {
            self.waiting.push(Waiting { pid, sent, key, head, unit: unit.to_vec() });
            return Ok(());
        }
        self.write_waiting(true);
        self.write_tables(sent);
        self.write_clocks(sent, true);
        // A clock of its own may have brought it further.
        let at = self.clocked.map_or(sent, |last| sent.max(last));
        self.clocked = Some(at);
        self.write_pes(pid, Some(at), key, &head, unit);
        Ok(())
    }

    fn write_waiting(&mut self, clocks: bool) {
        for it in std::mem::take(&mut self.waiting) {
            self.write_tables(it.sent);
            if clocks {
                self.write_clocks(it.sent, false);
            }
            self.write_pes(it.pid, None, it.key, &it.head, &it.unit);
        }
    }

    /// [`Self::new`], which writes into `room`: whoever writes one stream after another needs no memory anew.
    pub fn into_room(facts: ProgramFacts, counters: ContinuityCounters, mut room: Vec<u8>) -> Result<Self> {
        room.clear();
        Ok(Self { out: room, ..Self::new(facts, counters)? })
    }

    /// What was written and is not let go yet; units that wait for the next clock are not among it.
    pub fn ready(&self) -> &[u8] {
        &self.out
    }

    /// Lets go of what is ready.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// What was written and not let go, and the counters for what follows.
    pub fn finish(mut self) -> (Vec<u8>, ContinuityCounters) {
        // A program of sound alone has no other clock.
        self.write_waiting(self.clocked.is_none());
        (self.out, self.counters)
    }

    fn write_tables(&mut self, now: i64) {
        if self.told.is_some_and(|last| now - last < TABLE_PERIOD) {
            return;
        }
        self.told = Some(now);
        let counters = &mut self.counters;
        packetise(&self.pat, PAT_PID, || counters.next(PAT_PID), &mut self.out);
        let pid = self.facts.pmt_pid;
        packetise(&self.pmt, pid, || counters.next(pid), &mut self.out);
    }

    /// Sends the PCRs that are due by `now` in packets of their own. `follows` says that a unit with one comes next.
    fn write_clocks(&mut self, now: i64, follows: bool) {
        if self.clocked.is_none() && !follows {
            self.write_clock(now);
        }
        while let Some(last) = self.clocked.filter(|last| now - last > CLOCK_PERIOD) {
            self.write_clock(last + CLOCK_PERIOD);
        }
    }

    fn write_clock(&mut self, at: i64) {
        const FIELD: u8 = (PACKET_BYTES - HEADER_BYTES - 1) as u8;
        let pid = self.facts.pcr_pid;
        let end = self.out.len() + PACKET_BYTES;
        let [high, low] = pid.to_be_bytes();
        self.out.extend([SYNC, high, low, 0x20 | self.counters.repeat(pid), FIELD, HAS_CLOCK]);
        self.out.extend(clock(at));
        self.out.resize(end, 0xff);
        self.clocked = Some(at);
    }

    fn write_pes(&mut self, pid: u16, at: Option<i64>, key: bool, head: &[u8], unit: &[u8]) {
        let mut rest = [head, unit];
        let mut flags = if key { RANDOM_ACCESS } else { 0 } | if at.is_some() { HAS_CLOCK } else { 0 };
        let mut start = 0x40;
        while rest.iter().any(|it| !it.is_empty()) {
            let left = rest[0].len() + rest[1].len();
            // The adaptation field with its length byte: what has to be in it, then as much as fills the packet.
            let needed = match (flags, at) {
                (0, _) => 0,
                (_, Some(_)) if flags & HAS_CLOCK != 0 => 8,
                _ => 2,
            };
            let room = PACKET_BYTES - HEADER_BYTES - needed;
            let field = needed + room.saturating_sub(left);
            let [high, low] = pid.to_be_bytes();
            let control = if field > 0 { 0x30 } else { 0x10 };
            let end = self.out.len() + PACKET_BYTES;
            self.out.extend([SYNC, high | start, low, control | self.counters.next(pid)]);
            if field > 0 {
                let payload = self.out.len() + field;
                self.out.push((field - 1) as u8);
                if field > 1 {
                    self.out.push(flags);
                }
                if let Some(at) = at.filter(|_| flags & HAS_CLOCK != 0) {
                    self.out.extend(clock(at));
                }
                self.out.resize(payload, 0xff);
            }
            for part in &mut rest {
                let (now, later) = part.split_at(part.len().min(end - self.out.len()));
                self.out.extend(now);
                *part = later;
            }
            (flags, start) = (0, 0);
        }
    }
}

/// A PES header, and the delimiter that `unit` lacks (H.222.0 §2.4.3.6).
fn pes_header(id: u8, video: bool, stream_type: u8, pts: i64, dts: i64, unit: &[u8]) -> Result<Vec<u8>> {
    let delimiter = access_unit_delimiter(stream_type, unit);
    let both = pts != dts;
    let (flags, times) = if both { (0xc0, 10) } else { (0x80, 5) };
    // What follows the length field: two bytes of flags and one of length, times, payload.
    let length = match u16::try_from(3 + times + delimiter.len() + unit.len()) {
        Ok(length) => length,
        // Video alone may leave it open.
        Err(_) if video => 0,
        Err(_) => return Err(Error::internal("more sound than one PES packet holds")),
    };
    let mut head = vec![0, 0, 1, id];
    head.extend(length.to_be_bytes());
    head.extend([PES_MARKS, flags, times as u8]);
    head.extend(stamp(if both { 3 } else { 2 }, pts));
    if both {
        head.extend(stamp(1, dts));
    }
    head.extend(delimiter);
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::super::fields::{Fields, Header};
    use super::super::{Patch, StreamFacts};
    use super::*;
    use proptest::prelude::*;

    fn facts() -> ProgramFacts {
        let stream = |pid, stream_type| StreamFacts { pid, stream_type, descriptors: vec![] };
        ProgramFacts {
            transport_stream_id: 1,
            program_number: 1,
            pmt_pid: 0x1000,
            pcr_pid: 0x100,
            pat_version: 0,
            pmt_version: 0,
            descriptors: vec![],
            streams: vec![stream(0x100, 0x1b), stream(0x101, 0x0f)],
            lead_90k: 63_000,
        }
    }

    fn written(units: &[(usize, i64, bool, Vec<u8>)]) -> Vec<u8> {
        let mut writer = TsWriter::new(facts(), ContinuityCounters::default()).unwrap();
        for (stream, dts, key, unit) in units {
            writer.write_unit(*stream, *dts, *dts, *key, unit).unwrap();
        }
        writer.finish().0
    }

    /// The payloads of a PID, and its counters.
    fn payload(bytes: &[u8], pid: u16) -> Vec<u8> {
        let mut out = Vec::new();
        let mut last = None;
        for packet in bytes.as_chunks::<PACKET_BYTES>().0 {
            let header = Header::of(packet);
            assert!(!Fields::of(packet, header).unwrap().malformed);
            if header.pid != pid {
                continue;
            }
            assert_eq!(header.before(), last.unwrap_or(header.before()));
            last = Some(header.counter);
            if header.payload {
                let skip = if header.adaptation { 5 + usize::from(packet[4]) } else { 4 };
                out.extend(&packet[skip..]);
            }
        }
        out
    }

    #[test]
    fn every_length_is_stuffed_right() {
        for length in (0..600).chain([65_521, 65_522, 65_527, 65_528, 70_000]) {
            for key in [false, true] {
                let unit = vec![0x55; length];
                // Eight bytes of PES header behind the length field, and six of delimiter.
                if length + 8 <= 65_535 {
                    let sound = payload(&written(&[(1, 0, key, unit.clone())]), 0x101);
                    assert_eq!(sound.len(), 14 + length);
                    assert_eq!(sound[..6], [0, 0, 1, 0xc0, ((length + 8) >> 8) as u8, (length + 8) as u8]);
                    assert_eq!(sound[14..], unit);
                }
                let video = payload(&written(&[(0, 0, key, unit)]), 0x100);
                assert_eq!(video.len(), 14 + 6 + length);
                let said = u16::from_be_bytes([video[4], video[5]]);
                assert_eq!(usize::from(said), if length + 14 > 65_535 { 0 } else { length + 14 });
            }
        }
    }

    #[test]
    fn too_much_sound_and_impossible_times_are_refused() {
        let mut writer = TsWriter::new(facts(), ContinuityCounters::default()).unwrap();
        assert!(writer.write_unit(1, 0, 0, true, &[0; 65_528]).is_err());
        assert!(writer.write_unit(2, 0, 0, true, &[]).is_err());
        assert!(writer.write_unit(0, -1, 0, true, &[]).is_err());
        assert!(writer.write_unit(0, i64::MAX, i64::MIN, true, &[]).is_err());
        writer.write_unit(0, 0, 0, true, &[]).unwrap();
        assert!(writer.write_unit(0, 0, 0, true, &[]).is_err(), "the same time twice");
        assert!(writer.write_unit(0, 1 << 40, 1 << 40, true, &[]).is_err(), "a pause of half a year");
        writer.write_unit(0, 3600, 3600, true, &[]).unwrap();
    }

    #[test]
    fn a_clock_runs_where_no_picture_carries_it() {
        // Sound first, then a picture, then half a second of sound alone, over the end of the 33 bits, and a picture.
        let start = (1i64 << 33) + 63_000 - 9_000;
        let mut units = vec![(1, start, true, vec![1; 300]), (0, start + 100, true, vec![2; 300])];
        units.extend((1..24).map(|n| (1, start + n * 1920, true, vec![1; 300])));
        units.push((0, start + 24 * 1920, true, vec![2; 300]));
        // What follows the last picture is followed by a clock of somebody else's.
        units.extend((25..32).map(|n| (1, start + n * 1920, true, vec![1; 300])));
        let bytes = written(&units);
        let clocks: Vec<i64> = bytes
            .as_chunks::<PACKET_BYTES>()
            .0
            .iter()
            .filter_map(|packet| {
                Fields::of(packet, Header::of(packet)).unwrap().clocks[0].map(|at| &packet[at..at + 6])
            })
            .map(|field| field[..5].iter().fold(0, |value, byte| value << 8 | i64::from(*byte)) >> 7)
            .collect();
        let first = (1 << 33) - 9_000;
        let expected = [0, 100, 8_200, 16_300, 24_400, 32_500, 40_600, 46_080];
        assert_eq!(clocks, expected.map(|it| (first + it) % (1 << 33)));
        assert_eq!(payload(&bytes, 0x101).len(), 31 * 314);
    }

    proptest! {
        #[test]
        fn units_come_back_whole(units in prop::collection::vec((0usize..2, 1i64..20_000, any::<bool>(), prop::collection::vec(any::<u8>(), 0..1500)), 1..20), shift in any::<i32>()) {
            let mut now = 1_000_000;
            let units: Vec<_> = units.into_iter().map(|(stream, step, key, unit)| {
                now += step;
                (stream, now, key, unit)
            }).collect();
            let bytes = written(&units);
            for (stream, pid) in [(0, 0x100), (1, 0x101)] {
                let mut sent = payload(&bytes, pid);
                for (_, _, _, unit) in units.iter().filter(|it| it.0 == stream) {
                    let delimiter = if stream == 0 { access_unit_delimiter(0x1b, unit) } else { &[] };
                    let whole = [delimiter, unit].concat();
                    prop_assert_eq!(&sent[14..14 + whole.len()], &whole[..]);
                    sent.drain(..14 + whole.len());
                }
                prop_assert!(sent.is_empty());
            }
            // A shift of the writer's times is what the patch makes of its bytes.
            let mut writer = TsWriter::new(facts(), ContinuityCounters::default()).unwrap();
            for (stream, dts, key, unit) in &units {
                let dts = dts + i64::from(shift);
                writer.write_unit(*stream, dts, dts, *key, unit).unwrap();
            }
            let (later, counters) = writer.finish();
            let mut patched = bytes;
            let mut own = ContinuityCounters::default();
            Patch { shift_90k: shift.into(), joined: false }.apply(&mut patched, &mut own).unwrap();
            prop_assert_eq!(patched, later);
            // A PID that has sent clocks alone has none of its own to go on from.
            if units.iter().any(|it| it.0 == 0) {
                prop_assert_eq!(own, counters);
            }
        }
    }
}
