//! Clusters and their blocks (RFC 9559 §5.1.3, §10).

use super::ebml::{Elements, length_bytes};

const CLUSTER: u32 = 0x1f43_b675;
const TIMESTAMP: u32 = 0xe7;
const SIMPLE_BLOCK: u32 = 0xa3;
const BLOCK_GROUP: u32 = 0xa0;
const BLOCK: u32 = 0xa1;
const BLOCK_DURATION: u32 = 0x9b;
const DISCARD_PADDING: u32 = 0x75a2;

/// Track number, time and flags.
const BLOCK_HEAD: u64 = 4;
/// Times inside a cluster are 16 bits of milliseconds, and may lie before its own.
pub const CLUSTER_MILLIS: i64 = 30_000;

/// When a block is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockTiming {
    /// In milliseconds.
    pub at: i64,
    /// Nanoseconds of its sound that are not heard: at its end, or where negative at its beginning.
    pub discard: i64,
    /// In milliseconds, where the next block does not tell.
    pub duration: Option<u64>,
}

/// A frame in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// From 1, below 127.
    pub track: u8,
    pub key: bool,
    pub timing: BlockTiming,
    pub size: u32,
}

/// Blocks that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cluster {
    /// In milliseconds.
    pub at: u64,
}

fn element_bytes(id_bytes: u64, length: u64) -> u64 {
    id_bytes + length_bytes(length) as u64 + length
}

impl Block {
    fn is_simple(&self) -> bool {
        self.timing.discard == 0 && self.timing.duration.is_none()
    }

    fn head(&self, cluster: Cluster, simple: bool) -> [u8; BLOCK_HEAD as usize] {
        let [high, low] = ((self.timing.at - cluster.at as i64) as i16).to_be_bytes();
        let key = if simple && self.key { 0x80 } else { 0 };
        [0x80 | self.track, high, low, key]
    }

    /// What stands around the frame in a group: its duration, and what is discarded.
    fn rest(&self) -> Elements {
        let mut rest = Elements::default();
        if let Some(duration) = self.timing.duration {
            rest.number(BLOCK_DURATION, duration);
        }
        if self.timing.discard != 0 {
            rest.signed(DISCARD_PADDING, self.timing.discard);
        }
        rest
    }

    /// Bytes in the file, the frame included.
    pub fn bytes(&self) -> u64 {
        let block = element_bytes(1, BLOCK_HEAD + u64::from(self.size));
        if self.is_simple() { block } else { element_bytes(1, block + self.rest().0.len() as u64) }
    }

    /// Appends the block, whose frame `fill` appends.
    pub fn put<E>(
        &self,
        cluster: Cluster,
        out: &mut Vec<u8>,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let length = BLOCK_HEAD + u64::from(self.size);
        let mut elements = Elements(std::mem::take(out));
        let simple = self.is_simple();
        let rest = self.rest().0;
        if simple {
            elements.begin(SIMPLE_BLOCK, length);
        } else {
            elements.begin(BLOCK_GROUP, element_bytes(1, length) + rest.len() as u64);
            elements.begin(BLOCK, length);
        }
        *out = elements.0;
        out.extend_from_slice(&self.head(cluster, simple));
        fill(out)?;
        if !simple {
            out.extend_from_slice(&rest);
        }
        Ok(())
    }
}

impl Cluster {
    /// The cluster's beginning; `blocks` bytes of blocks follow.
    pub fn head(self, blocks: u64) -> Vec<u8> {
        let mut time = Elements::default();
        time.number(TIMESTAMP, self.at);
        let mut out = Elements::default();
        out.begin(CLUSTER, time.0.len() as u64 + blocks);
        out.0.extend_from_slice(&time.0);
        out.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_the_bytes_they_say() {
        let cluster = Cluster { at: 1000 };
        for (discard, duration, size) in
            [(0, None, 3), (-5, None, 200), (9, Some(7), 0), (0, Some(300), 20_000)]
        {
            let block =
                Block { track: 2, key: true, timing: BlockTiming { at: 990, discard, duration }, size };
            let mut out = Vec::new();
            let fill = |out: &mut Vec<u8>| {
                out.resize(out.len() + size as usize, 7);
                Ok::<(), ()>(())
            };
            block.put(cluster, &mut out, fill).unwrap();
            assert_eq!(out.len() as u64, block.bytes());
        }
        let block = Block {
            track: 1,
            key: true,
            timing: BlockTiming { at: 990, discard: 0, duration: None },
            size: 1,
        };
        let mut out = Vec::new();
        let nine = |out: &mut Vec<u8>| {
            out.push(9);
            Ok::<(), ()>(())
        };
        block.put(cluster, &mut out, nine).unwrap();
        assert_eq!(out, b"\xa3\x85\x81\xff\xf6\x80\x09");
        assert_eq!(cluster.head(7), b"\x1f\x43\xb6\x75\x8b\xe7\x82\x03\xe8");
    }
}
