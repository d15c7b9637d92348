//! Tells in a finished file what libav's muxer cannot: how much of a track's start is not to be heard.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

/// What is not heard of a track's beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The track's number in the file, from 1.
    pub track: u64,
    /// How far its times run ahead of what is heard, in nanoseconds.
    pub delay: u64,
    /// The number of the block, among the track's, whose DiscardPadding tells what its end leaves out but means its
    /// beginning.
    pub turned: Option<u64>,
}

/// The name of a track that is to become its CodecDelay: as long as a number of eight bytes.
pub const PLACE: &str = "--------";

const SEGMENT: u32 = 0x1853_8067;
const TRACKS: u32 = 0x1654_ae6b;
const TRACK_ENTRY: u32 = 0xae;
const TRACK_NUMBER: u32 = 0xd7;
const NAME: u32 = 0x536e;
const CODEC_DELAY: u32 = 0x56aa;
const CLUSTER: u32 = 0x1f43_b675;
const SIMPLE_BLOCK: u32 = 0xa3;
const BLOCK_GROUP: u32 = 0xa0;
const BLOCK: u32 = 0xa1;
const DISCARD_PADDING: u32 = 0x75a2;

/// Elements looked at before giving up: the starts of tracks lie in the first clusters.
const MOST_ELEMENTS: usize = 100_000;

/// An element: what it is, and where its content lies.
struct Element {
    id: u32,
    content: Range<u64>,
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The elements of a file, walked in order.
struct Walk<'a, F> {
    file: &'a mut F,
    left: usize,
}

impl<F: Read + Write + Seek> Walk<'_, F> {
    fn bytes<const N: usize>(&mut self, at: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.seek(SeekFrom::Start(at))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// A number with its length in its first bits (RFC 8794 §4), and that length.
    fn number(&mut self, at: u64) -> io::Result<(u64, u64)> {
        let [first] = self.bytes(at)?;
        let length = u64::from(first.leading_zeros()) + 1;
        let mut value = u64::from(first) & ((1 << (8 - length.min(8))) - 1);
        if length > 8 {
            return Err(wrong("a number without an end"));
        }
        for at in at + 1..at + length {
            value = value << 8 | u64::from(self.bytes::<1>(at)?[0]);
        }
        Ok((value, length))
    }

    /// The element at a place before `end`.
    fn element(&mut self, at: u64, end: u64) -> io::Result<Element> {
        self.left = self.left.checked_sub(1).ok_or_else(|| wrong("too many elements"))?;
        let (value, length) = self.number(at)?;
        // Ids keep their marker.
        let id = u32::try_from(value | 1 << (7 * length)).map_err(|_| wrong("an id that is too long"))?;
        let (size, bytes) = self.number(at + length)?;
        let from = at + length + bytes;
        let unknown = size == (1 << (7 * bytes)) - 1;
        let to = if unknown { end } else { from.saturating_add(size) };
        if to > end {
            return Err(wrong("an element that is longer than what holds it"));
        }
        Ok(Element { id, content: from..to })
    }

    /// The first child of this id in a range.
    fn child(&mut self, id: u32, within: &Range<u64>) -> io::Result<Option<Element>> {
        let mut at = within.start;
        while at < within.end {
            let child = self.element(at, within.end)?;
            if child.id == id {
                return Ok(Some(child));
            }
            at = child.content.end;
        }
        Ok(None)
    }

    fn unsigned(&mut self, content: &Range<u64>) -> io::Result<u64> {
        let mut value = 0;
        for at in content.clone().take(8) {
            value = value << 8 | u64::from(self.bytes::<1>(at)?[0]);
        }
        Ok(value)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(bytes)
    }

    /// Turns the name of a track into its delay.
    fn tell_delay(&mut self, entry: &Range<u64>, starts: &[Start]) -> io::Result<()> {
        let Some(number) = self.child(TRACK_NUMBER, entry)? else { return Ok(()) };
        let number = self.unsigned(&number.content)?;
        let Some(start) = starts.iter().find(|it| it.track == number) else { return Ok(()) };
        let name = self.child(NAME, entry)?.filter(|it| it.content.end - it.content.start == 8);
        let name = name.ok_or_else(|| wrong("a track without its place for a delay"))?;
        // Both ids have two bytes, and the length has one.
        self.write(name.content.start - 3, &CODEC_DELAY.to_be_bytes()[2..])?;
        self.write(name.content.start, &start.delay.to_be_bytes())
    }

    /// Makes a discard at the end one at the beginning.
    fn turn(&mut self, group: &Range<u64>) -> io::Result<()> {
        let found = self.child(DISCARD_PADDING, group)?;
        let content = found.ok_or_else(|| wrong("a block without its discard"))?.content;
        let bytes = (content.end - content.start).min(8) as usize;
        let value = self.unsigned(&content)? as i64;
        self.write(content.start, &value.wrapping_neg().to_be_bytes()[8 - bytes..])
    }
}

/// Amends a file of libav's muxer whose tracks of `starts` are named [`PLACE`].
///
/// # Errors
/// When the file cannot be read or written, or is not as expected.
pub fn amend(file: &mut (impl Read + Write + Seek), starts: &[Start]) -> io::Result<()> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut walk = Walk { file, left: MOST_ELEMENTS };
    let segment = walk.child(SEGMENT, &(0..end))?.ok_or_else(|| wrong("no segment"))?.content;
    let mut seen = vec![0; starts.len()];
    let mut waiting = starts.iter().filter(|it| it.turned.is_some()).count();
    let mut described = false;
    let mut at = segment.start;
    while at < segment.end && !(described && waiting == 0) {
        let Element { id, content } = walk.element(at, segment.end)?;
        at = content.end;
        let mut inner = content.start;
        while matches!(id, TRACKS | CLUSTER) && inner < content.end && (id == TRACKS || waiting > 0) {
            let it = walk.element(inner, content.end)?;
            inner = it.content.end;
            let block = match it.id {
                TRACK_ENTRY => {
                    walk.tell_delay(&it.content, starts)?;
                    continue;
                }
                SIMPLE_BLOCK => Some(it.content.start),
                BLOCK_GROUP => walk.child(BLOCK, &it.content)?.map(|block| block.content.start),
                _ => None,
            };
            let Some(block) = block else { continue };
            let (track, _) = walk.number(block)?;
            let Some(place) = starts.iter().position(|it| it.track == track) else { continue };
            if starts[place].turned == Some(seen[place]) {
                walk.turn(&it.content)?;
                waiting -= 1;
            }
            seen[place] += 1;
        }
        described |= id == TRACKS;
    }
    if described && waiting == 0 { Ok(()) } else { Err(wrong("a start that was not found")) }
}

#[cfg(test)]
mod tests {
    use super::super::ebml::Elements;
    use super::*;
    use std::io::Cursor;

    fn file(discard: i64) -> Vec<u8> {
        let mut out = Elements::default();
        out.master(0x1a45_dfa3, |out| out.number(0x4286, 1));
        out.master(SEGMENT, |out| {
            out.master(TRACKS, |out| {
                for number in 1..3 {
                    out.master(TRACK_ENTRY, |out| {
                        out.number(TRACK_NUMBER, number);
                        if number == 2 {
                            out.text(NAME, PLACE);
                        }
                    });
                }
            });
            for _ in 0..2 {
                out.master(CLUSTER, |out| {
                    out.number(0xe7, 0);
                    out.bytes(SIMPLE_BLOCK, &[0x81, 0, 0, 0x80, 9]);
                    out.master(BLOCK_GROUP, |out| {
                        out.bytes(BLOCK, &[0x82, 0, 0, 0, 9]);
                        let skip = (discard.leading_zeros() / 8) as usize;
                        out.bytes(DISCARD_PADDING, &discard.to_be_bytes()[skip..]);
                    });
                });
            }
        });
        out.0
    }

    #[test]
    fn delays_and_discards_are_told() {
        let before = file(0x12_3456);
        let mut after = Cursor::new(before.clone());
        amend(&mut after, &[Start { track: 2, delay: 7_000_000, turned: Some(1) }]).unwrap();
        let after = after.into_inner();
        let changed: Vec<usize> = (0..before.len()).filter(|at| before[*at] != after[*at]).collect();
        let name = before.windows(8).position(|it| it == PLACE.as_bytes()).unwrap();
        assert_eq!(
            after[name - 3..name + 8],
            [b"\x56\xaa\x88\0\0\0\0\0".as_slice(), b"\x6a\xcf\xc0"].concat()
        );
        // The second block's discard alone is turned.
        assert_eq!(after[after.len() - 3..], [0xed, 0xcb, 0xaa]);
        assert!(changed.iter().all(|at| *at < name + 8 || *at >= before.len() - 3));
    }

    #[test]
    fn what_is_not_as_expected_is_told() {
        let start = |track, turned| [Start { track, delay: 1, turned }];
        let bytes = file(0x12_3456);
        assert!(amend(&mut Cursor::new(bytes.clone()), &start(1, None)).is_err(), "no place for a delay");
        assert!(amend(&mut Cursor::new(bytes.clone()), &start(2, Some(2))).is_err(), "no third block");
        for length in 0..bytes.len() {
            assert!(amend(&mut Cursor::new(bytes[..length].to_vec()), &start(2, Some(1))).is_err());
        }
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x55;
            // Whatever comes of it, it ends.
            let _ = amend(&mut Cursor::new(bytes), &start(2, Some(1)));
        }
    }
}
