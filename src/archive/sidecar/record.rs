//! The bytes of a pack, read and written.
//!
//! ```text
//! pack    "MVPACK01"  length of the name u16  nonce u64  crc u32  name          then records
//! record  "\xC5rec"  length u32  crc u32  size u64  modified i64  length of the name u8  0 0 0  crc u32
//!         name  bytes
//! ```
//!
//! Little-endian. The crc of a record's head covers its name too and continues from the pack's, whose nonce is
//! drawn when the file is begun: records of another pack, or of an earlier file of the same name, are none here,
//! nor is anything that somebody put into the bytes of an entry. The first crc of a record is that of its bytes.

use crate::archive::sidecar::key::Stamp;
use bytes::Bytes;
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{ErrorKind, Result};
use std::os::unix::fs::FileExt as _;

const PACK_MARK: [u8; 8] = *b"MVPACK01";
pub(super) const PACK_HEAD: usize = 22;
const RECORD_MARK: [u8; 4] = *b"\xC5rec";
pub(super) const RECORD_HEAD: usize = 36;

/// A record's head with the longest name.
const LONGEST_HEAD: usize = RECORD_HEAD + 255;

/// Which file it is: one that was removed and begun again is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    nonce: u64,
    crc: u32,
}

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Where the record begins.
    pub at: u64,
    /// Length of its bytes.
    pub len: u32,
    /// That of its bytes.
    pub crc: u32,
    pub name_len: u8,
}

impl Place {
    pub(super) fn end(&self) -> u64 {
        self.bytes_at() + u64::from(self.len)
    }

    pub(super) fn bytes_at(&self) -> u64 {
        self.at + (RECORD_HEAD + usize::from(self.name_len)) as u64
    }
}

/// What somebody asks a pack for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub name: &'a str,
    pub stamp: Stamp,
}

/// Reads a file in larger pieces than it is asked for.
pub(super) struct Reader<'a> {
    file: &'a File,
    len: u64,
    piece: Vec<u8>,
    piece_at: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a File, len: u64) -> Self {
        Self { file, len, piece: Vec::new(), piece_at: 0 }
    }

    /// `len` bytes from `at`, or `None` where the file ends before; `ahead` are read where any must be.
    pub(super) fn get(&mut self, at: u64, len: usize, ahead: usize) -> Result<Option<&[u8]>> {
        let end = at.checked_add(len as u64).filter(|end| *end <= self.len);
        let Some(end) = end else { return Ok(None) };
        if at < self.piece_at || end > self.piece_at + self.piece.len() as u64 {
            let size = (ahead.max(len) as u64).min(self.len - at) as usize;
            self.piece.resize(size, 0);
            self.piece_at = at;
            let mut filled = 0;
            while filled < size {
                match self.file.read_at(&mut self.piece[filled..], at + filled as u64) {
                    Ok(0) => break,
                    Ok(count) => filled += count,
                    Err(fault) if fault.kind() == ErrorKind::Interrupted => (),
                    Err(fault) => return Err(fault),
                }
            }
            self.piece.truncate(filled);
        }
        Ok(self.piece[(at - self.piece_at) as usize..].get(..len))
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn crc(seed: u32, parts: [&[u8]; 2]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// Begins a pack in `text`.
pub(super) fn write_pack_head(text: &mut Vec<u8>, name: &str) -> Identity {
    let nonce = RandomState::new().build_hasher().finish();
    text.extend_from_slice(&PACK_MARK);
    text.extend_from_slice(&(name.len() as u16).to_le_bytes());
    text.extend_from_slice(&nonce.to_le_bytes());
    let crc = crc(0, [text, name.as_bytes()]);
    text.extend_from_slice(&crc.to_le_bytes());
    text.extend_from_slice(name.as_bytes());
    Identity { nonce, crc }
}

/// The pack's identity and the length of its head; `None` where this is no pack of that name.
pub(super) fn read_pack_head(
    reader: &mut Reader<'_>,
    name: &str,
    ahead: usize,
) -> Result<Option<(Identity, u64)>> {
    let len = PACK_HEAD + name.len();
    let Some(head) = reader.get(0, len, ahead)? else { return Ok(None) };
    let (fixed, echo) = head.split_at(PACK_HEAD);
    let parse = || {
        let (nonce, stored) = (u64_at(fixed, 10)?, u32_at(fixed, 18)?);
        let right = fixed.starts_with(&PACK_MARK)
            && fixed[8..10] == (name.len() as u16).to_le_bytes()
            && echo == name.as_bytes()
            && stored == crc(0, [&fixed[..18], echo]);
        right.then_some((Identity { nonce, crc: stored }, len as u64))
    };
    Ok(parse())
}

pub(super) fn write_record_head(text: &mut Vec<u8>, identity: Identity, wanted: Wanted<'_>, place: Place) {
    let begin = text.len();
    text.extend_from_slice(&RECORD_MARK);
    text.extend_from_slice(&place.len.to_le_bytes());
    text.extend_from_slice(&place.crc.to_le_bytes());
    text.extend_from_slice(&wanted.stamp.size.to_le_bytes());
    text.extend_from_slice(&wanted.stamp.modified.to_le_bytes());
    text.extend_from_slice(&[place.name_len, 0, 0, 0]);
    let crc = crc(identity.crc, [&text[begin..], wanted.name.as_bytes()]);
    text.extend_from_slice(&crc.to_le_bytes());
    text.extend_from_slice(wanted.name.as_bytes());
}

/// The head of the record at `at` and its name; `None` where there is no whole record.
pub(super) fn read_record_head(
    reader: &mut Reader<'_>,
    identity: Identity,
    at: u64,
    ahead: usize,
) -> Result<Option<(Place, Stamp, Vec<u8>)>> {
    // The piece may end within the name, and then one more is read that does not.
    let Some(head) = reader.get(at, RECORD_HEAD, ahead.max(LONGEST_HEAD))? else {
        return Ok(None);
    };
    let name_len = usize::from(head[28]);
    let whole = RECORD_HEAD + name_len;
    let Some(head) = reader.get(at, whole, ahead.max(LONGEST_HEAD))? else { return Ok(None) };
    let (fixed, name) = head.split_at(RECORD_HEAD);
    let parse = || {
        if !fixed.starts_with(&RECORD_MARK) || u32_at(fixed, 32)? != crc(identity.crc, [&fixed[..32], name]) {
            return None;
        }
        let place = Place { at, len: u32_at(fixed, 4)?, crc: u32_at(fixed, 8)?, name_len: fixed[28] };
        let stamp = Stamp { size: u64_at(fixed, 12)?, modified: u64_at(fixed, 20)? as i64 };
        Some((place, stamp, name.to_vec()))
    };
    let parsed = parse();
    let len = reader.len;
    Ok(parsed.filter(|(place, ..)| place.end() <= len))
}

/// The bytes of the record at `place`, where it still is the one wanted and adds up. Reads up to `run`.
pub(super) fn read_record(
    reader: &mut Reader<'_>,
    identity: Identity,
    wanted: Wanted<'_>,
    place: Place,
    run: u64,
) -> Result<Option<Bytes>> {
    let ahead = (run - place.at) as usize;
    match read_record_head(reader, identity, place.at, ahead)? {
        Some((found, stamp, name))
            if found == place && stamp == wanted.stamp && name == wanted.name.as_bytes() => {}
        _ => return Ok(None),
    }
    let len = place.len as usize;
    let Some(bytes) = reader.get(place.bytes_at(), len, (run - place.bytes_at()) as usize)? else {
        return Ok(None);
    };
    // Copied, so that an entry held in memory does not hold the piece it was read with.
    Ok((crc32fast::hash(bytes) == place.crc).then(|| Bytes::copy_from_slice(bytes)))
}
