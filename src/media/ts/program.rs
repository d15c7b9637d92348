//! A segment's tables as facts, so that what is written beside it tells the same program.

use super::packet::Packets;
use super::psi::{ProgramMap, Sections, programs};
use super::{ProgramFacts, StreamFacts};
use crate::base::{Error, Result};

const PAT_PID: u16 = 0;
/// Where transport_stream_id and version_number lie in a section (H.222.0 §2.4.4.3).
const ID: std::ops::Range<usize> = 3..5;
const VERSION: usize = 5;
/// program_info_length and what it counts (H.222.0 §2.4.4.8).
const INFO_LENGTH: usize = 10;
const INFO: usize = 12;

impl ProgramFacts {
    /// Reads the first PAT and PMT of a segment. `lead_90k` is left 0.
    ///
    /// # Errors
    /// `damaged-media` when the segment has none.
    pub fn of(segment: &[u8]) -> Result<Self> {
        let (mut pats, mut pmts) = (Sections::default(), Sections::default());
        let mut found: Option<Self> = None;
        let mut told = None;
        for packet in Packets::new(segment) {
            let payload = packet.payload();
            if packet.pid() == PAT_PID && found.is_none() {
                pats.push(payload, packet.starts_unit(), |section| {
                    found = found.take().or_else(|| from_pat(section))
                });
            } else if let Some(facts) = found.as_mut().filter(|facts| facts.pmt_pid == packet.pid()) {
                pmts.push(payload, packet.starts_unit(), |section| {
                    told = told.or_else(|| add_pmt(facts, section))
                });
                if told.is_some() {
                    return found.ok_or_else(|| Error::internal("tables that went"));
                }
            }
        }
        Err(Error::damaged("a segment of the span has no program tables"))
    }
}

fn version(section: &[u8]) -> u8 {
    section.get(VERSION).map_or(0, |byte| byte >> 1 & 0x1f)
}

fn from_pat(section: &[u8]) -> Option<ProgramFacts> {
    let program = programs(section)?.into_iter().find(|program| program.number != 0)?;
    let id = section.get(ID)?;
    Some(ProgramFacts {
        transport_stream_id: u16::from_be_bytes([id[0], id[1]]),
        program_number: program.number,
        pmt_pid: program.pmt_pid,
        pcr_pid: 0,
        pat_version: version(section),
        pmt_version: 0,
        descriptors: Vec::new(),
        streams: Vec::new(),
        lead_90k: 0,
    })
}

fn add_pmt(facts: &mut ProgramFacts, section: &[u8]) -> Option<()> {
    let map = ProgramMap::parse(section).filter(|map| map.program == facts.program_number)?;
    let length = usize::from(u16::from_be_bytes([section[INFO_LENGTH], section[INFO_LENGTH + 1]]) & 0x0fff);
    facts.descriptors = section.get(INFO..INFO + length)?.to_vec();
    facts.pmt_version = map.version;
    facts.pcr_pid = map.pcr_pid;
    let stream = |it: super::psi::Stream| StreamFacts {
        pid: it.pid,
        stream_type: it.stream_type,
        descriptors: it.descriptors,
    };
    facts.streams = map.streams.into_iter().map(stream).collect();
    Some(())
}
