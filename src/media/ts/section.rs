//! What a program consists of, as sections: PAT and PMT (H.222.0 §2.4.4).

use super::crc::crc32;
use super::{NULL_PID, PACKET_BYTES, SYNC};
use crate::base::{Error, Result};

/// A program as its tables tell it. Written beside segments of a source, it has to be told as the source tells it,
/// versions too: a table that changes makes players start over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramFacts {
    pub transport_stream_id: u16,
    pub program_number: u16,
    pub pmt_pid: u16,
    pub pcr_pid: u16,
    /// 0 to 31.
    pub pat_version: u8,
    pub pmt_version: u8,
    /// Descriptors of the program, as bytes.
    pub descriptors: Vec<u8>,
    pub streams: Vec<StreamFacts>,
    /// How long before its decoding a unit is sent: DTS minus PCR, in ticks of 90 kHz. FFmpeg's muxer has 0.7 s.
    pub lead_90k: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFacts {
    pub pid: u16,
    /// H.222.0 table 2-34.
    pub stream_type: u8,
    /// Descriptors of the stream, as bytes.
    pub descriptors: Vec<u8>,
}

impl StreamFacts {
    /// Whether it is video, whose PES packets may leave their length open.
    pub fn is_video(&self) -> bool {
        self.stream_id() == 0xe0
    }

    /// The stream_id of its PES packets (H.222.0 table 2-22): video and MPEG audio each have their own range,
    /// everything else is private_stream_1.
    pub fn stream_id(&self) -> u8 {
        match self.stream_type {
            // MPEG-1, MPEG-2, MPEG-4 part 2, AVC, SVC, MVC, JPEG 2000, HEVC, VVC, EVC.
            0x01 | 0x02 | 0x10 | 0x1b | 0x1f | 0x20 | 0x21 | 0x24 | 0x25 | 0x33..=0x35 => 0xe0,
            // MPEG-1, MPEG-2, AAC in ADTS, in LATM, raw.
            0x03 | 0x04 | 0x0f | 0x11 | 0x1c => 0xc0,
            _ => 0xbd,
        }
    }
}

/// The most that section_length may say in a PAT or PMT; it counts what follows it, the checksum too.
const LONGEST: usize = 1021;

impl ProgramFacts {
    pub(super) fn check(&self) -> Result<()> {
        let mut pids: Vec<u16> = self.streams.iter().map(|it| it.pid).collect();
        pids.push(self.pmt_pid);
        // Below 0x10 are tables.
        let usable = |pid: u16| (0x10..NULL_PID).contains(&pid);
        if !pids.iter().all(|pid| usable(*pid)) || !usable(self.pcr_pid) || self.pcr_pid == self.pmt_pid {
            return Err(Error::internal("a PID of the program is reserved"));
        }
        pids.sort_unstable();
        if pids.windows(2).any(|it| it[0] == it[1]) {
            return Err(Error::internal("a PID of the program is used twice"));
        }
        let streams: usize = self.streams.iter().map(|it| 5 + it.descriptors.len()).sum();
        if 13 + self.descriptors.len() + streams > LONGEST {
            return Err(Error::internal("the program does not fit into one section"));
        }
        Ok(())
    }

    pub(super) fn pat(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend(self.program_number.to_be_bytes());
        body.extend((0xe000 | self.pmt_pid).to_be_bytes());
        section(0, self.transport_stream_id, self.pat_version, &body)
    }

    pub(super) fn pmt(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend((0xe000 | self.pcr_pid).to_be_bytes());
        body.extend((0xf000 | self.descriptors.len() as u16).to_be_bytes());
        body.extend(&self.descriptors);
        for stream in &self.streams {
            body.push(stream.stream_type);
            body.extend((0xe000 | stream.pid).to_be_bytes());
            body.extend((0xf000 | stream.descriptors.len() as u16).to_be_bytes());
            body.extend(&stream.descriptors);
        }
        section(2, self.program_number, self.pmt_version, &body)
    }
}

/// The only section of a table in force now.
fn section(table: u8, id: u16, version: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![table];
    out.extend((0xb000 | (body.len() + 9) as u16).to_be_bytes());
    out.extend(id.to_be_bytes());
    out.extend([0xc1 | (version & 0x1f) << 1, 0, 0]);
    out.extend(body);
    out.extend(crc32(&out).to_be_bytes());
    out
}

/// Puts a section into packets of its own; `next` gives a packet's counter.
pub(super) fn packetise(section: &[u8], pid: u16, mut next: impl FnMut() -> u8, out: &mut Vec<u8>) {
    const HEADER: usize = 4;
    let mut rest = section;
    let mut start = true;
    while !rest.is_empty() {
        let end = out.len() + PACKET_BYTES;
        let [high, low] = pid.to_be_bytes();
        out.extend([SYNC, high | if start { 0x40 } else { 0 }, low, 0x10 | next()]);
        if start {
            // The section follows at once.
            out.push(0);
        }
        let room = PACKET_BYTES - HEADER - usize::from(start);
        let (now, later) = rest.split_at(room.min(rest.len()));
        out.extend(now);
        out.resize(end, 0xff);
        (rest, start) = (later, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> ProgramFacts {
        ProgramFacts {
            transport_stream_id: 1,
            program_number: 1,
            pmt_pid: 0x1000,
            pcr_pid: 0x100,
            pat_version: 0,
            pmt_version: 0,
            descriptors: vec![],
            streams: vec![
                StreamFacts { pid: 0x100, stream_type: 0x1b, descriptors: vec![] },
                StreamFacts { pid: 0x101, stream_type: 0x0f, descriptors: b"\x0a\x04und\x00".to_vec() },
            ],
            lead_90k: 63_000,
        }
    }

    #[test]
    fn tables_are_those_of_a_known_muxer() {
        // As FFmpeg's muxer writes them for this program.
        let pat = [0, 0xb0, 0x0d, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0, 0x2a, 0xb1, 0x04, 0xb2];
        assert_eq!(facts().pat(), pat);
        let pmt = facts().pmt();
        assert_eq!(crc32(&pmt), 0);
        assert_eq!(pmt[..12], [2, 0xb0, 29, 0, 1, 0xc1, 0, 0, 0xe1, 0, 0xf0, 0]);
        assert_eq!(pmt[12..28], *b"\x1b\xe1\x00\xf0\x00\x0f\xe1\x01\xf0\x06\x0a\x04und\x00");
    }

    #[test]
    fn a_long_section_takes_several_packets() {
        let mut long = facts();
        long.streams[0].descriptors = vec![7; 400];
        long.check().unwrap();
        let (mut out, mut counter) = (Vec::new(), 0);
        let section = long.pmt();
        packetise(
            &section,
            0x1000,
            || {
                counter += 1;
                counter
            },
            &mut out,
        );
        assert_eq!((out.len(), counter), (3 * PACKET_BYTES, 3));
        let mut payload: Vec<u8> = out.chunks(PACKET_BYTES).flat_map(|it| it[4..].to_vec()).collect();
        assert_eq!(payload.remove(0), 0);
        assert_eq!(payload[..section.len()], section);
        assert!(payload[section.len()..].iter().all(|it| *it == 0xff));
    }

    #[test]
    fn impossible_programs_are_refused() {
        let refused = |change: fn(&mut ProgramFacts)| {
            let mut facts = facts();
            change(&mut facts);
            facts.check().is_err()
        };
        assert!(!refused(|_| ()));
        assert!(refused(|it| it.streams[1].pid = 0x100));
        assert!(refused(|it| it.pmt_pid = 0x100));
        assert!(refused(|it| it.streams[1].pid = 0x1fff));
        assert!(refused(|it| it.pcr_pid = 0));
        assert!(refused(|it| it.descriptors = vec![0; 1000]));
        assert!(!refused(|it| it.descriptors = vec![0; LONGEST - 13 - 5 - 11]));
    }
}
