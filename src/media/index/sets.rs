//! The parameter sets of a segment: kept once each, and which of them are in force together.

use super::VideoCodec;
use super::format::VideoFormat;
use crate::media::nal::{h264, hevc, unescape};
use xxhash_rust::xxh3::xxh3_64;

/// Distinct sets kept; streams in use have two or three.
pub const MAX_SETS: usize = 1024;
/// Distinct combinations kept.
pub const MAX_STATES: usize = 4096;
/// Bytes of all sets together.
const MAX_BYTES: usize = 1 << 20;
/// Bytes of one set; with every extension a real one has some hundred.
pub const MAX_SET_BYTES: usize = 4096;

/// What a parameter set describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SetKind {
    /// HEVC video parameter set.
    Video,
    /// Sequence parameter set; MPEG-2 sequence header with its extensions, id 0.
    Sequence,
    /// Picture parameter set.
    Picture,
}

/// One parameter set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSet {
    pub kind: SetKind,
    /// Its id among its kind.
    pub id: u8,
    /// XXH3 of `bytes`, to compare sets of different segments by.
    pub hash: u64,
    /// The NAL unit without start code, as in the stream; of MPEG-2 the headers with their start codes.
    pub bytes: Vec<u8>,
}

impl ParameterSet {
    pub fn new(kind: SetKind, id: u8, bytes: Vec<u8>) -> Self {
        Self { kind, id, hash: xxh3_64(&bytes), bytes }
    }

    /// The set that a NAL unit of H.264 or HEVC is.
    pub fn parse(codec: VideoCodec, unit: &[u8]) -> Option<Self> {
        let mut scratch = Vec::new();
        let content = unescape(unit, &mut scratch);
        let head = *unit.first()?;
        let (kind, id) = match codec {
            VideoCodec::H264 => match h264::header(head).0 {
                h264::kind::SPS => (SetKind::Sequence, h264::Sps::parse(content)?.id),
                h264::kind::PPS => (SetKind::Picture, h264::Pps::parse(content)?.id),
                _ => return None,
            },
            VideoCodec::Hevc => match hevc::Header::parse(unit)?.kind {
                // vps_video_parameter_set_id (H.265 §7.3.2.1)
                hevc::kind::VPS => (SetKind::Video, content.get(2)? >> 4),
                hevc::kind::SPS => (SetKind::Sequence, hevc::Sps::parse(content)?.id),
                hevc::kind::PPS => (SetKind::Picture, hevc::Pps::parse(content)?.id),
                _ => return None,
            },
            VideoCodec::Mpeg2 | VideoCodec::Vp9 | VideoCodec::Av1 | VideoCodec::Other(_) => return None,
        };
        Some(Self::new(kind, id, unit.to_vec()))
    }
}

/// What a decoder knows when it comes to a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterState {
    /// Indices of the sets in force, by kind and id. All of them, since a picture may use any.
    pub sets: Vec<u16>,
    /// Index of the sequence's set that pictures of this state use.
    pub active: Option<u16>,
    /// What that set says.
    pub format: VideoFormat,
}

impl ParameterState {
    /// Hash over all sets in force: equal states of different segments have equal hashes.
    pub fn hash(&self, sets: &[ParameterSet]) -> u64 {
        let hashes = self.sets.iter().filter_map(|it| sets.get(usize::from(*it)));
        let bytes: Vec<u8> = hashes.flat_map(|it| it.hash.to_le_bytes()).collect();
        xxh3_64(&bytes)
    }
}

/// Collects sets while a segment is read.
#[derive(Debug, Default)]
pub struct Sets {
    pub sets: Vec<ParameterSet>,
    pub states: Vec<(Vec<u16>, Option<u16>)>,
    /// Indices in force, ordered by kind and id.
    force: Vec<u16>,
    bytes: usize,
    /// The last answer of [`Sets::state`], as long as nothing changed.
    current: Option<(Option<u16>, u16)>,
    pub overflow: bool,
}

impl Sets {
    /// Puts a set in force. Answers its index, and whether it was in force already.
    pub fn put(&mut self, kind: SetKind, id: u8, bytes: &[u8]) -> Option<(u16, bool)> {
        let at = self.force.binary_search_by_key(&(kind, id), |it| {
            let set = &self.sets[usize::from(*it)];
            (set.kind, set.id)
        });
        if let Ok(at) = at
            && self.sets[usize::from(self.force[at])].bytes == bytes
        {
            return Some((self.force[at], true));
        }
        let known = self.sets.iter().position(|it| it.kind == kind && it.id == id && it.bytes == bytes);
        let index = match known {
            Some(index) => index as u16,
            None => {
                self.bytes += bytes.len();
                if self.sets.len() >= MAX_SETS || self.bytes > MAX_BYTES || bytes.len() > MAX_SET_BYTES {
                    self.overflow = true;
                    return None;
                }
                self.sets.push(ParameterSet::new(kind, id, bytes.to_vec()));
                (self.sets.len() - 1) as u16
            }
        };
        match at {
            Ok(at) => self.force[at] = index,
            Err(at) => self.force.insert(at, index),
        }
        self.current = None;
        Some((index, false))
    }

    /// The state a picture that uses the sequence's set `active` is in.
    pub fn state(&mut self, active: Option<u16>) -> u16 {
        if let Some((before, state)) = self.current
            && before == active
        {
            return state;
        }
        let known = self.states.iter().position(|(sets, it)| *it == active && *sets == self.force);
        let state = known.unwrap_or_else(|| {
            if self.states.len() >= MAX_STATES {
                self.overflow = true;
                return 0;
            }
            self.states.push((self.force.clone(), active));
            self.states.len() - 1
        }) as u16;
        self.current = Some((active, state));
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_kept_once_and_states_told_apart() {
        let mut it = Sets::default();
        assert_eq!(it.put(SetKind::Picture, 0, b"p"), Some((0, false)));
        assert_eq!(it.put(SetKind::Sequence, 0, b"s"), Some((1, false)));
        assert_eq!(it.put(SetKind::Sequence, 0, b"s"), Some((1, true)));
        assert_eq!((it.state(Some(1)), it.state(Some(1))), (0, 0));
        assert_eq!(it.put(SetKind::Sequence, 0, b"S"), Some((2, false)));
        assert_eq!(it.state(Some(2)), 1);
        it.put(SetKind::Sequence, 0, b"s");
        assert_eq!(it.state(Some(1)), 0, "back to the first");
        assert_eq!(it.states, [(vec![1, 0], Some(1)), (vec![2, 0], Some(2))]);
    }

    #[test]
    fn a_flood_of_sets_is_refused() {
        let mut it = Sets::default();
        for number in 0..100_000u32 {
            it.put(SetKind::Picture, (number % 256) as u8, &number.to_be_bytes());
            it.state(None);
        }
        assert!(it.overflow && it.sets.len() <= MAX_SETS && it.states.len() <= MAX_STATES);
        assert_eq!(Sets::default().put(SetKind::Picture, 0, &[0; MAX_SET_BYTES + 1]), None);
    }
}
