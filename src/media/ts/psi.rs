//! Program tables: PAT and PMT, from the packets of their PIDs (H.222.0 §2.4.4).

/// A private section has at most 4096 bytes, PAT and PMT at most 1024 (H.222.0 §2.4.4.3, §2.4.4.8, §2.4.4.10).
const MAX_SECTION_BYTES: usize = 4096;
/// table_id to section_length.
const SECTION_HEAD: usize = 3;
const CRC_BYTES: usize = 4;

/// Puts the sections of one PID together. Holds one section at most.
#[derive(Debug, Default)]
pub struct Sections {
    held: Vec<u8>,
    /// False until a packet has shown where a section begins.
    aligned: bool,
}

impl Sections {
    /// Takes the payload of the PID's next packet and hands on every section that is complete with it.
    pub fn push(&mut self, payload: &[u8], starts_unit: bool, mut take: impl FnMut(&[u8])) {
        let mut rest = payload;
        if starts_unit {
            // pointer_field: how much of this payload still belongs to the section before.
            let Some((pointer, after)) = payload.split_first() else { return };
            let Some((before, begin)) = after.split_at_checked(usize::from(*pointer)) else {
                self.lose();
                return;
            };
            if self.aligned {
                self.extend(before, &mut take);
            }
            self.held.clear();
            self.aligned = true;
            rest = begin;
        }
        if self.aligned {
            self.extend(rest, &mut take);
        }
    }

    /// Packets were lost: what is held cannot be completed.
    pub fn lose(&mut self) {
        self.held.clear();
        self.aligned = false;
    }

    fn extend(&mut self, mut bytes: &[u8], take: &mut impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            // 0xff where a table_id is expected is stuffing up to the packet's end.
            if self.held.is_empty() && bytes[0] == 0xff {
                return;
            }
            let wanted = match *self.held {
                [_, high, low, ..] => SECTION_HEAD + (usize::from(high & 0x0f) << 8 | usize::from(low)),
                _ => SECTION_HEAD,
            };
            if wanted > MAX_SECTION_BYTES {
                self.lose();
                return;
            }
            let (now, later) = bytes.split_at((wanted - self.held.len()).min(bytes.len()));
            self.held.extend_from_slice(now);
            bytes = later;
            if self.held.len() == wanted && wanted > SECTION_HEAD {
                take(&self.held);
                self.held.clear();
            } else if self.held.len() == SECTION_HEAD && self.held[1] & 0x0f == 0 && self.held[2] == 0 {
                self.held.clear();
            }
        }
    }
}

/// CRC-32/MPEG-2 (H.222.0 Annex A): of a whole section with its CRC it is 0.
pub fn crc(bytes: &[u8]) -> u32 {
    super::crc::crc32(bytes)
}

/// The common head of long sections (H.222.0 §2.4.4.11), checked.
struct Section<'a> {
    table: u8,
    extension: u16,
    version: u8,
    body: &'a [u8],
}

/// `None` for a section that is short, damaged, of the short form, or not yet in force.
fn section(bytes: &[u8]) -> Option<Section<'_>> {
    let [table, high, _, e0, e1, flags, _, _, ..] = *bytes else { return None };
    if high & 0x80 == 0 || flags & 1 == 0 || crc(bytes) != 0 {
        return None;
    }
    let body = bytes.get(8..bytes.len().checked_sub(CRC_BYTES)?)?;
    Some(Section { table, extension: u16::from_be_bytes([e0, e1]), version: flags >> 1 & 0x1f, body })
}

fn pid(high: u8, low: u8) -> u16 {
    u16::from(high & 0x1f) << 8 | u16::from(low)
}

/// One entry of the PAT: a program and the PID of its PMT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    pub number: u16,
    pub pmt_pid: u16,
}

/// The programs of a PAT section; the network PID (program 0) is left out.
pub fn programs(bytes: &[u8]) -> Option<Vec<Program>> {
    let it = section(bytes).filter(|it| it.table == 0)?;
    let entry = |entry: &[u8]| match *entry {
        [n0, n1, high, low] => Program { number: u16::from_be_bytes([n0, n1]), pmt_pid: pid(high, low) },
        _ => Program { number: 0, pmt_pid: 0 },
    };
    Some(it.body.chunks_exact(4).map(entry).filter(|it| it.number != 0).collect())
}

/// A stream of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    pub pid: u16,
    /// H.222.0 table 2-34.
    pub stream_type: u8,
    /// The descriptors, as in the table (H.222.0 §2.6).
    pub descriptors: Vec<u8>,
}

impl Stream {
    /// Tag and content of each descriptor.
    pub fn descriptors(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut rest = &*self.descriptors;
        std::iter::from_fn(move || {
            let [tag, length, ref after @ ..] = *rest else { return None };
            let (content, later) = after.split_at_checked(usize::from(length))?;
            rest = later;
            Some((tag, content))
        })
    }

    /// format_identifier of a registration descriptor (H.222.0 §2.6.8).
    pub fn registration(&self) -> Option<[u8; 4]> {
        self.descriptors().find(|(tag, _)| *tag == 5)?.1.first_chunk().copied()
    }
}

/// A program map (H.222.0 §2.4.4.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramMap {
    pub program: u16,
    pub version: u8,
    pub pcr_pid: u16,
    pub streams: Vec<Stream>,
}

impl ProgramMap {
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let it = section(bytes).filter(|it| it.table == 2)?;
        let length = |high: u8, low: u8| usize::from(high & 0x0f) << 8 | usize::from(low);
        let [p0, p1, l0, l1, ref rest @ ..] = *it.body else { return None };
        let mut rest = rest.get(length(l0, l1)..)?;
        let mut streams = Vec::new();
        while let [stream_type, high, low, l0, l1, ref after @ ..] = *rest {
            let (descriptors, later) = after.split_at_checked(length(l0, l1))?;
            streams.push(Stream { pid: pid(high, low), stream_type, descriptors: descriptors.to_vec() });
            rest = later;
        }
        Some(Self { program: it.extension, version: it.version, pcr_pid: pid(p0, p1), streams })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn finish(mut section: Vec<u8>) -> Vec<u8> {
        let length = section.len() + CRC_BYTES - SECTION_HEAD;
        section[1] = 0xb0 | (length >> 8) as u8;
        section[2] = length as u8;
        let crc = crc(&section);
        section.extend(crc.to_be_bytes());
        section
    }

    fn pat() -> Vec<u8> {
        finish(vec![0, 0, 0, 0, 1, 0xc1, 0, 0, 0, 0, 0xe0, 16, 0, 1, 0xf0, 0])
    }

    fn pmt() -> Vec<u8> {
        let head = [2, 0, 0, 0, 1, 0xc3, 0, 0, 0xe1, 0, 0xf0, 2, 9, 0];
        let streams = [0x1b, 0xe1, 0, 0xf0, 0, 6, 0xe1, 1, 0xf0, 6, 5, 4, b'O', b'p', b'u', b's'];
        finish([&head[..], &streams].concat())
    }

    fn collect(payloads: &[(&[u8], bool)]) -> Vec<Vec<u8>> {
        let (mut sections, mut out) = (Sections::default(), Vec::new());
        for (payload, starts) in payloads {
            sections.push(payload, *starts, |it| out.push(it.to_vec()));
        }
        out
    }

    #[test]
    fn tables_are_read() {
        assert_eq!(crc(&pat()), 0);
        assert_eq!(programs(&pat()).unwrap(), [Program { number: 1, pmt_pid: 0x1000 }]);
        let map = ProgramMap::parse(&pmt()).unwrap();
        assert_eq!((map.program, map.version, map.pcr_pid, map.streams.len()), (1, 1, 0x100, 2));
        assert_eq!((map.streams[0].pid, map.streams[0].stream_type), (0x100, 0x1b));
        assert_eq!(map.streams[1].registration(), Some(*b"Opus"));
        assert_eq!(ProgramMap::parse(&pat()), None);
    }

    #[test]
    fn a_damaged_or_future_section_is_no_table() {
        for index in 0..pmt().len() {
            let mut broken = pmt();
            broken[index] ^= 0x10;
            assert_eq!(ProgramMap::parse(&broken), None, "byte {index}");
        }
        let mut next = pat();
        next.truncate(next.len() - CRC_BYTES);
        next[5] &= 0xfe;
        assert_eq!(programs(&finish(next)), None, "current_next_indicator is 0");
    }

    #[test]
    fn sections_run_over_packets_and_share_them() {
        let (pat, pmt) = (pat(), pmt());
        let whole = [&[0][..], &pat, &pmt, &[0xff; 20]].concat();
        assert_eq!(collect(&[(&whole, true)]), [pat.clone(), pmt.clone()]);
        let first = [&[0][..], &pmt[..10]].concat();
        let second = [&[(pmt.len() - 10) as u8][..], &pmt[10..], &pat].concat();
        assert_eq!(collect(&[(&first, true), (&second, true)]), [pmt.clone(), pat.clone()]);
        assert_eq!(collect(&[(&first, true), (&pmt[10..], false)]), std::slice::from_ref(&pmt));
        assert_eq!(collect(&[(&pmt[10..], false), (&whole, true)]).len(), 2, "a tail alone is passed over");
        assert_eq!(collect(&[(&[200, 1, 2], true)]).len(), 0, "the pointer leads out of the packet");
    }
}
