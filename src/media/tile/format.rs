//! The file form of a segment's tiles.
//!
//! | bytes | what, little endian |
//! | --- | --- |
//! | 2 | count of tiles |
//! | 16 each | a tile: microseconds from the segment's start on, width, height, bytes of its JPEG |
//! | | the JPEGs, one after the other |
//!
//! What reads it trusts nothing: whoever keeps it has its checksum, but a disk may lie.

use super::{MAX_SIDE, MAX_TILES};

const HEAD: usize = 2;
const ENTRY: usize = 16;

/// A tile just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// When its picture comes on screen, in microseconds from the segment's start on.
    pub at: i64,
    pub width: u16,
    pub height: u16,
    pub jpeg: Vec<u8>,
}

impl Tile {
    /// As it would be read where it is kept.
    pub fn kept(&self) -> Kept<'_> {
        Kept { at: self.at, width: self.width.into(), height: self.height.into(), jpeg: &self.jpeg }
    }
}

/// The tiles of a segment, in order of time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tiles(pub Vec<Tile>);

impl Tiles {
    pub fn encode(&self) -> Vec<u8> {
        let tiles = &self.0[..self.0.len().min(MAX_TILES)];
        let mut out = Vec::with_capacity(HEAD + tiles.iter().map(|it| ENTRY + it.jpeg.len()).sum::<usize>());
        out.extend_from_slice(&(tiles.len() as u16).to_le_bytes());
        for tile in tiles {
            out.extend_from_slice(&tile.at.to_le_bytes());
            out.extend_from_slice(&tile.width.to_le_bytes());
            out.extend_from_slice(&tile.height.to_le_bytes());
            out.extend_from_slice(&(tile.jpeg.len() as u32).to_le_bytes());
        }
        tiles.iter().for_each(|it| out.extend_from_slice(&it.jpeg));
        out
    }
}

/// A tile where it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept<'a> {
    /// As in [`Tile`].
    pub at: i64,
    pub width: usize,
    pub height: usize,
    pub jpeg: &'a [u8],
}

impl<'a> Kept<'a> {
    /// Reads what [`Tiles::encode`] wrote; `None` where it is something else.
    pub fn all(bytes: &'a [u8]) -> Option<Vec<Self>> {
        let (count, rest) = bytes.split_first_chunk::<HEAD>()?;
        let count = usize::from(u16::from_le_bytes(*count));
        if count > MAX_TILES {
            return None;
        }
        let (entries, mut rest) = rest.split_at_checked(count * ENTRY)?;
        let mut tiles: Vec<Self> = Vec::with_capacity(count);
        for entry in entries.chunks_exact(ENTRY) {
            let (at, entry) = entry.split_first_chunk::<8>()?;
            let ([a, b, c, d], length) = entry.split_first_chunk::<4>()?;
            let length = u32::from_le_bytes(*length.first_chunk()?) as usize;
            let (jpeg, after) = rest.split_at_checked(length)?;
            rest = after;
            let at = i64::from_le_bytes(*at);
            let (width, height) = (u16::from_le_bytes([*a, *b]).into(), u16::from_le_bytes([*c, *d]).into());
            let sizes = 1..=MAX_SIDE;
            let follows = tiles.last().is_none_or(|it| it.at < at);
            if !sizes.contains(&width) || !sizes.contains(&height) || !follows {
                return None;
            }
            tiles.push(Self { at, width, height, jpeg });
        }
        rest.is_empty().then_some(tiles)
    }

    /// Of some tiles, the one nearest to `at`; of two as near, the earlier.
    pub fn nearest(tiles: &[Self], at: i64) -> Option<Self> {
        tiles.iter().copied().min_by_key(|it| it.at.abs_diff(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(at: i64, jpeg: &[u8]) -> Tile {
        Tile { at, width: 160, height: 90, jpeg: jpeg.to_vec() }
    }

    #[test]
    fn what_is_written_is_read() {
        let tiles = Tiles(vec![tile(0, b"one"), tile(1_000_000, b"two!"), tile(5_000_000, b"")]);
        let bytes = tiles.encode();
        let kept = Kept::all(&bytes).unwrap();
        let read: Vec<_> = kept.iter().map(|it| tile(it.at, it.jpeg)).collect();
        assert_eq!(Tiles(read), tiles);
        assert_eq!(Kept::nearest(&kept, 500_000).unwrap().jpeg, b"one");
        assert_eq!(Kept::nearest(&kept, 4_000_000).unwrap().at, 5_000_000);
        assert_eq!(Kept::all(&Tiles::default().encode()).unwrap(), []);
    }

    #[test]
    fn anything_else_is_refused() {
        let bytes = Tiles(vec![tile(0, b"one"), tile(1, b"two")]).encode();
        for length in 0..bytes.len() {
            assert_eq!(Kept::all(&bytes[..length]), None, "{length} bytes");
        }
        assert_eq!(Kept::all(&[&bytes[..], b"!"].concat()), None);
        let with = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            Kept::all(&bytes).is_some()
        };
        // Out of order; wider than any; as it was.
        assert_eq!([with(2, 1), with(11, 0xff), with(2, 0)], [false, false, true]);
    }
}
