//! BIF (Base Index Frames, of Roku): an index, and JPEG pictures at even distances of time.

const MAGIC: [u8; 8] = [0x89, b'B', b'I', b'F', 0x0d, 0x0a, 0x1a, 0x0a];
/// The index begins here.
const HEAD: usize = 64;

/// Writes a file whose picture n is shown from n × `interval` milliseconds on. `None` where it would pass 4 GiB, which
/// its offsets cannot.
pub fn bif<T: AsRef<[u8]>>(interval: u32, pictures: &[T]) -> Option<Vec<u8>> {
    let index = HEAD + 8 * (pictures.len() + 1);
    let total = pictures.iter().map(|it| it.as_ref().len()).sum::<usize>().checked_add(index)?;
    u32::try_from(total).ok()?;
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(&MAGIC);
    // Version 0, the number of pictures, what a time in the index is a multiple of.
    for field in [0, pictures.len() as u32, interval] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    out.resize(HEAD, 0);
    let mut offset = index as u32;
    for (number, picture) in pictures.iter().enumerate() {
        out.extend_from_slice(&(number as u32).to_le_bytes());
        out.extend_from_slice(&offset.to_le_bytes());
        offset += picture.as_ref().len() as u32;
    }
    // The last entry says where the last picture ends.
    out.extend_from_slice(&u32::MAX.to_le_bytes());
    out.extend_from_slice(&offset.to_le_bytes());
    for picture in pictures {
        out.extend_from_slice(picture.as_ref());
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_full() {
        let file = bif(10_000, &[&b"one"[..], b"three"]).unwrap();
        assert_eq!(file[..24], *b"\x89BIF\r\n\x1a\n\0\0\0\0\x02\0\0\0\x10\x27\0\0\0\0\0\0");
        assert!(file[24..64].iter().all(|it| *it == 0));
        let field = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        let entries: Vec<_> = (0..3).map(|it| (field(64 + 8 * it), field(68 + 8 * it))).collect();
        assert_eq!(entries, [(0, 88), (1, 91), (u32::MAX, 96)]);
        assert_eq!(file[88..], *b"onethree");
        assert_eq!(bif::<&[u8]>(1000, &[]).unwrap().len(), 72);
    }
}
