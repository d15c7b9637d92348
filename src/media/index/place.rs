//! Where a byte of an elementary stream lies in the segment, and which time belongs to it.

use crate::media::timeline::unwrapped;
use crate::media::ts::pes::{Begin, Chunk};

/// Runs remembered. A unit's beginning is asked for while at most 16 bytes past it were taken, and a run has at
/// least one byte.
const RUNS: usize = 32;
/// PES packets remembered.
const STARTS: usize = 8;

/// The times of a PES packet, unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    pub pts: i64,
    pub dts: i64,
}

/// The beginning of something: see [`super::AccessUnit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    pub offset: u64,
    pub skip: u8,
    /// Bytes of the elementary stream before it.
    pub position: u64,
}

/// Elementary bytes that lie together in a packet.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    position: u64,
    packet: u64,
    inside: u8,
}

#[derive(Debug, Clone, Copy, Default)]
struct Start {
    position: u64,
    packet: u64,
    times: Option<Times>,
    random_access: bool,
}

/// Follows one elementary stream. Bounded: it remembers the last few packets.
#[derive(Debug, Default)]
pub struct Places {
    /// Elementary bytes taken so far, the current run's included.
    taken: u64,
    runs: [Run; RUNS],
    run: usize,
    starts: [Option<Start>; STARTS],
    start: usize,
    /// The last time seen, which the next one is unwrapped by.
    last: Option<i64>,
}

impl Places {
    /// Notes a chunk; answers the position of its first byte. `reference` is any time of the segment, to begin with.
    pub fn advance(&mut self, chunk: &Chunk<'_>, packet: u64, reference: &mut Option<i64>) -> u64 {
        let position = self.taken;
        if let Some(begin) = &chunk.begins {
            let times = self.times(begin, reference);
            self.start = (self.start + 1) % STARTS;
            self.starts[self.start] =
                Some(Start { position, packet: begin.packet, times, random_access: begin.random_access });
        }
        if !chunk.bytes.is_empty() {
            self.run = (self.run + 1) % RUNS;
            self.runs[self.run] = Run { position, packet, inside: chunk.inside };
            self.taken += chunk.bytes.len() as u64;
        }
        position
    }

    fn times(&mut self, begin: &Begin, reference: &mut Option<i64>) -> Option<Times> {
        let pts = begin.header.pts?;
        let dts = begin.header.dts.unwrap_or(pts);
        let near = *self.last.get_or_insert(*reference.get_or_insert(dts));
        let dts = unwrapped(dts, near);
        self.last = Some(dts);
        Some(Times { dts, pts: unwrapped(pts, dts) })
    }

    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Where the byte at `position` lies; `position` is among the last bytes taken.
    pub fn place(&self, position: u64) -> Place {
        let starts = (0..STARTS).map(|back| self.starts[(self.start + STARTS - back) % STARTS]);
        for start in starts.flatten().take_while(|it| it.position >= position) {
            if start.position == position {
                return Place { offset: start.packet, skip: 0, position };
            }
        }
        let runs = (0..RUNS).map(|back| self.runs[(self.run + RUNS - back) % RUNS]);
        let run = runs.into_iter().find(|it| it.position <= position).unwrap_or_default();
        // A position is inside its run's packet, except after one that was forgotten.
        let skip = u64::from(run.inside).saturating_add(position - run.position.min(position)).min(187) as u8;
        Place { offset: run.packet, skip, position }
    }

    /// The position of the current PES packet's first byte.
    pub fn pes_position(&self) -> u64 {
        self.starts[self.start].map_or(0, |it| it.position)
    }

    /// The times for what begins at `position`: those of the PES packet it is in, once (H.222.0 §2.4.3.7: they are of
    /// the first unit that commences in the packet). Also whether that packet is marked for random access.
    pub fn take_times(&mut self, position: u64) -> (Option<Times>, bool) {
        for back in 0..STARTS {
            if let Some(start) = &mut self.starts[(self.start + STARTS - back) % STARTS]
                && start.position <= position
            {
                return (start.times.take(), std::mem::take(&mut start.random_access));
            }
        }
        (None, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::ts::pes::PesHeader;

    fn chunk(bytes: &[u8], inside: u8, begins: Option<(i64, u64)>) -> Chunk<'_> {
        let begins = begins.map(|(pts, packet)| Begin {
            header: PesHeader { pts: Some(pts), dts: None },
            packet,
            random_access: true,
        });
        Chunk { bytes, inside, begins, gap: false, cut: false }
    }

    #[test]
    fn bytes_are_found_in_their_packets() {
        let (mut places, mut reference) = (Places::default(), None);
        places.advance(&chunk(&[1; 10], 178, Some((500, 0))), 0, &mut reference);
        places.advance(&chunk(&[2; 184], 4, None), 376, &mut reference);
        // A PES packet whose header fills its first packet.
        assert_eq!(places.advance(&chunk(&[], 188, Some((800, 564))), 564, &mut reference), 194);
        places.advance(&chunk(&[3; 100], 88, None), 752, &mut reference);
        let at = |position| {
            let it = places.place(position);
            (it.offset, it.skip)
        };
        assert_eq!([at(0), at(9), at(10), at(193)], [(0, 0), (0, 187), (376, 4), (376, 187)]);
        assert_eq!([at(194), at(195)], [(564, 0), (752, 89)]);
        assert_eq!(places.take_times(12).0.map(|it| it.pts), Some(500));
        assert_eq!(places.take_times(20), (None, false), "the packet's time is used up");
        assert_eq!(places.take_times(200).0.map(|it| it.pts), Some(800));
    }

    #[test]
    fn times_go_on_over_the_wrap() {
        let (mut places, mut reference) = (Places::default(), Some((1 << 33) - 10));
        places.advance(&chunk(&[1], 187, Some((20, 0))), 0, &mut reference);
        assert_eq!(places.take_times(0).0, Some(Times { pts: (1 << 33) + 20, dts: (1 << 33) + 20 }));
    }
}
