//! Elementary bytes out of a segment, by an index: what decoders and copies are fed with.

use super::Extent;
use crate::base::{Error, Result};
use crate::media::ts::pes::Chunk;
use crate::media::ts::{Packets, PesReader};

/// Reads units of one PID.
#[derive(Debug, Clone, Copy)]
pub struct ElementaryReader<'a> {
    bytes: &'a [u8],
    base: u64,
    pid: u16,
}

impl<'a> ElementaryReader<'a> {
    /// A reader of a whole segment.
    pub fn new(segment: &'a [u8], pid: u16) -> Self {
        Self::window(segment, 0, pid)
    }

    /// A reader of a part of a segment, which begins at the segment's byte `base`. Offsets stay the segment's.
    pub fn window(bytes: &'a [u8], base: u64, pid: u16) -> Self {
        Self { bytes, base, pid }
    }

    /// Appends the bytes of `extent` to `out`. When the segment is not the one of the index, the bytes are others or
    /// [`crate::base::error::Kind::Damaged`] is answered; never more is read than there is.
    pub fn read(&self, extent: Extent, out: &mut Vec<u8>) -> Result<()> {
        let mut left = extent.size as usize;
        let mut packets = Packets::window(self.bytes, self.base, extent.offset);
        let mut pes = PesReader::default();
        if extent.skip != 0 {
            pes = PesReader::inside();
        }
        let mut first = true;
        for packet in packets.by_ref().filter(|it| it.pid() == self.pid) {
            if left == 0 {
                break;
            }
            let begins = std::mem::take(&mut first) && extent.skip != 0;
            // In the first packet the beginning is known; the PES reader still has to see it, for what repeats it.
            let chunk = pes.push(packet);
            let skip = usize::from(extent.skip);
            let bytes = match chunk {
                // A PES packet that begins in this one says where it ends.
                Some(Chunk { bytes, inside, begins: Some(_), .. }) if begins => {
                    bytes.get(skip.saturating_sub(usize::from(inside))..).unwrap_or_default()
                }
                _ if begins => packet.from_index(skip),
                Some(chunk) => chunk.bytes,
                None => continue,
            };
            let now = &bytes[..bytes.len().min(left)];
            out.extend_from_slice(now);
            left -= now.len();
        }
        if left > 0 {
            return Err(Error::damaged("the segment ends inside a unit of its index"));
        }
        Ok(())
    }
}
