//! The smallest and largest sample of every pixel, laid out as waveform files have them: of a file that is asked for as it
//! lies here, nothing is copied.

use super::audiowaveform::{Bits, head_bytes};
use super::format::{Blocks, PLANE, signed};
use crate::media::ffi::in_vectors;
use parking_lot::{Mutex, MutexGuard};
use std::ops::Range;

/// Pixels under one lock: what lies further apart is filled in side by side.
const PIECE: usize = 1 << 15;

/// The smallest and the largest sample of each pixel of some tracks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extremes {
    bits: Bits,
    tracks: usize,
    count: usize,
    /// Room for a file's head, then pixel after pixel, in each the pair of every track: 0 and 0 where it has no samples.
    bytes: Vec<u8>,
    /// Of each piece, what each track has.
    filled: Vec<Vec<Filled>>,
}

impl Extremes {
    /// `count` pixels that nothing is in yet.
    pub fn new(bits: Bits, tracks: usize, count: usize) -> Self {
        // Zeros come from the system as they are: those that are written once are not written twice.
        let bytes = vec![0; head_bytes(tracks) + count * tracks * bits.pair_bytes()];
        let filled = vec![vec![Filled::default(); tracks]; count.div_ceil(PIECE)];
        Self { bits, tracks, count, bytes, filled }
    }

    /// Pixels of which all is known, as many of each track.
    pub fn of_tracks(bits: Bits, tracks: &[Vec<[i16; 2]>]) -> Self {
        let count = tracks.iter().map(Vec::len).min().unwrap_or(0);
        let mut extremes = Self::new(bits, tracks.len(), count);
        let shared = extremes.shared();
        for (number, track) in tracks.iter().enumerate() {
            for (at, pairs) in track[..count].chunks(PIECE).enumerate() {
                if let Some((mut piece, own)) = shared.piece(at * PIECE) {
                    piece.put(number, own..own + pairs.len(), pairs.iter().copied());
                }
            }
        }
        drop(shared);
        extremes
    }

    pub fn bits(&self) -> Bits {
        self.bits
    }

    /// How many tracks there are.
    pub fn tracks(&self) -> usize {
        self.tracks
    }

    /// How many pixels each track has.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Room for a file's head of so many bytes, and the pairs as they are kept: pixel after pixel, in each those of every track.
    pub fn into_bytes(self) -> (usize, Vec<u8>) {
        (head_bytes(self.tracks), self.bytes)
    }

    /// Hands both of every pixel to `take`, in it of each track, in the bits that are kept: 0 and 0 where it has no samples, as
    /// waveform files have it.
    pub fn each(&self, mut take: impl FnMut([i16; 2])) {
        let data = self.data();
        match self.bits {
            Bits::Eight => data.as_chunks().0.iter().for_each(|it| take(Narrow::read(*it))),
            Bits::Sixteen => data.as_chunks().0.iter().for_each(|it| take(Wide::read(*it))),
        }
    }

    /// [`Self::each`], of one track.
    pub fn each_of(&self, track: usize, mut take: impl FnMut([i16; 2])) {
        if self.tracks == 1 {
            return self.each(take);
        }
        let (data, tracks) = (self.data(), self.tracks.max(1));
        let narrow = || data.as_chunks().0.iter().skip(track).step_by(tracks);
        let wide = || data.as_chunks().0.iter().skip(track).step_by(tracks);
        match self.bits {
            Bits::Eight => narrow().for_each(|it| take(Narrow::read(*it))),
            Bits::Sixteen => wide().for_each(|it| take(Wide::read(*it))),
        }
    }

    fn data(&self) -> &[u8] {
        &self.bytes[head_bytes(self.tracks).min(self.bytes.len())..]
    }

    /// Whether no pixel has any samples.
    pub fn is_empty(&self) -> bool {
        self.filled.iter().flatten().all(|it| it.0.is_empty())
    }

    /// Stretches of pixels that one track has no samples of.
    pub fn holes(&self, track: usize) -> Vec<Range<usize>> {
        let (mut holes, mut end) = (Vec::new(), 0);
        for (number, piece) in self.filled.iter().enumerate() {
            for filled in piece.get(track).into_iter().flat_map(|it| &it.0) {
                let start = number * PIECE + filled.start;
                holes.extend((end < start).then_some(end..start));
                end = number * PIECE + filled.end;
            }
        }
        holes.extend((end < self.count).then_some(end..self.count));
        holes
    }

    /// Both of a track's pixel, or nothing where it has no samples.
    #[cfg(test)]
    pub fn get(&self, track: usize, pixel: usize) -> Option<(i16, i16)> {
        if self.holes(track).iter().any(|it| it.contains(&pixel)) {
            return None;
        }
        self.pairs_of(track).get(pixel).map(|[min, max]| (*min, *max))
    }

    /// Those of one track.
    #[cfg(test)]
    pub fn pairs_of(&self, track: usize) -> Vec<[i16; 2]> {
        let mut pairs = Vec::new();
        self.each_of(track, |pair| pairs.push(pair));
        pairs
    }

    /// For several threads to fill.
    pub fn shared(&mut self) -> Shared<'_> {
        let (bits, tracks, count) = (self.bits, self.tracks, self.count);
        let pixel = (tracks * bits.pair_bytes()).max(1);
        let head = head_bytes(tracks).min(self.bytes.len());
        let pieces = self.bytes[head..].chunks_mut(PIECE * pixel).zip(&mut self.filled);
        let pieces = pieces.map(|(bytes, filled)| Mutex::new(Piece { bits, bytes, filled }));
        Shared { count, pieces: pieces.collect() }
    }
}

/// Pixels that are being filled, by any number of threads.
#[derive(Debug)]
pub struct Shared<'a> {
    count: usize,
    pieces: Vec<Mutex<Piece<'a>>>,
}

impl<'a> Shared<'a> {
    /// The piece a pixel lies in, and its number there.
    fn piece(&self, pixel: usize) -> Option<(MutexGuard<'_, Piece<'a>>, usize)> {
        Some((self.pieces.get(pixel / PIECE)?.lock(), pixel % PIECE))
    }

    /// Adds blocks of a track that lie one after the other, `each` a pixel, the first of them number `first`.
    pub(super) fn add(&self, track: usize, first: i64, each: i64, blocks: &Blocks<'_>) {
        let last = first.saturating_add(blocks.len() as i64);
        let pixel = |block: i64| usize::try_from(block.max(0)).unwrap_or(usize::MAX).min(self.count);
        let (mut at, end) = (pixel(first.div_euclid(each)), pixel((last - 1).div_euclid(each) + 1));
        while at < end {
            let Some((mut piece, own)) = self.piece(at) else { return };
            let until = (at - own + PIECE).min(end);
            let from = (at as i64 * each).max(first);
            let to = (until as i64 * each).min(last);
            let blocks = blocks.slice((from - first) as usize..(to - first) as usize);
            // The first pixel may have fewer blocks than the others.
            let lead = ((at as i64 + 1) * each).min(last) - from;
            piece.add(track, own..own + until - at, each as usize, lead as usize, &blocks);
            at = until;
        }
    }

    /// Adds what is known of one pixel of a track.
    pub fn take(&self, track: usize, pixel: usize, min: i16, max: i16) {
        if let Some((mut piece, own)) = self.piece(pixel) {
            piece.put(track, own..own + 1, std::iter::once([min, max]));
        }
    }
}

/// Neighbouring pixels of all tracks.
#[derive(Debug)]
struct Piece<'a> {
    bits: Bits,
    bytes: &'a mut [u8],
    /// Of each track.
    filled: &'a mut [Filled],
}

impl Piece<'_> {
    /// Adds blocks to some pixels: `lead` to the first, `each` to the others, what is left to the last.
    fn add(&mut self, track: usize, pixels: Range<usize>, each: usize, lead: usize, blocks: &Blocks<'_>) {
        let (minima, maxima) = blocks.extremes();
        if each == 1 {
            return self.put(track, pixels, signed(minima).zip(signed(maxima)).map(|(min, max)| [min, max]));
        }
        let least = |values: &[u8]| signed(values).fold(i16::MAX, i16::min);
        let most = |values: &[u8]| signed(values).fold(i16::MIN, i16::max);
        let (min, minima) = minima.split_at((lead * PLANE).min(minima.len()));
        let (max, maxima) = maxima.split_at((lead * PLANE).min(maxima.len()));
        let second = pixels.start + 1;
        self.put(track, pixels.start..second, std::iter::once([least(min), most(max)]));
        if each > 2 {
            let values = minima.chunks(each * PLANE).zip(maxima.chunks(each * PLANE));
            return self.put(track, second..pixels.end, values.map(|(min, max)| [least(min), most(max)]));
        }
        let (minima, min) = minima.as_chunks::<{ 2 * PLANE }>();
        let (maxima, max) = maxima.as_chunks::<{ 2 * PLANE }>();
        let two = |[a, b, c, d]: [u8; 4]| (i16::from_le_bytes([a, b]), i16::from_le_bytes([c, d]));
        let whole = minima.iter().zip(maxima).map(|(minima, maxima)| {
            let ((a, b), (c, d)) = (two(*minima), two(*maxima));
            [a.min(b), c.max(d)]
        });
        let last = second + whole.len();
        self.put(track, second..last, whole);
        if last < pixels.end {
            self.put(track, last..pixels.end, std::iter::once([least(min), most(max)]));
        }
    }

    /// Puts a pair into each of some pixels, or joins it with what is there.
    fn put(&mut self, track: usize, pixels: Range<usize>, mut pairs: impl Iterator<Item = [i16; 2]>) {
        if pixels.is_empty() {
            return;
        }
        // Segments mostly come in order, and share a pixel at most with the one before.
        if let Some(fresh) = self.filled[track].append(&pixels) {
            if pixels.start < fresh {
                let had = pixels.start..fresh;
                self.cells(track, &had, true, pairs.by_ref().take(had.len()));
            }
            // All at once, as a loop that is compiled into vectors.
            return self.cells(track, &(fresh..pixels.end), false, pairs);
        }
        for (pixels, had) in self.filled[track].insert(pixels) {
            self.cells(track, &pixels, had, pairs.by_ref().take(pixels.len()));
        }
    }

    fn cells(
        &mut self,
        track: usize,
        pixels: &Range<usize>,
        had: bool,
        pairs: impl Iterator<Item = [i16; 2]>,
    ) {
        let tracks = self.filled.len();
        let pixel = tracks * self.bits.pair_bytes();
        let bytes = &mut self.bytes[pixels.start * pixel..pixels.end * pixel];
        match self.bits {
            Bits::Eight => of_track::<Narrow, 2, 4>(bytes, track, tracks, had, pairs),
            Bits::Sixteen => of_track::<Wide, 4, 8>(bytes, track, tracks, had, pairs),
        }
    }
}

/// Puts pairs into the cells of one track; `BOTH` is two cells.
fn of_track<C: Cell<ONE>, const ONE: usize, const BOTH: usize>(
    bytes: &mut [u8],
    track: usize,
    tracks: usize,
    had: bool,
    pairs: impl Iterator<Item = [i16; 2]>,
) {
    if had {
        let cells = bytes.as_chunks_mut::<ONE>().0.iter_mut().skip(track).step_by(tracks.max(1));
        for (cell, own) in cells.zip(pairs) {
            let ([old_min, old_max], [min, max]) = (C::read(*cell), C::kept(own));
            *cell = C::write([old_min.min(min), old_max.max(max)]);
        }
        return;
    }
    match (tracks, track) {
        (1, _) => in_vectors(
            #[inline(always)]
            || {
                let cells = bytes.as_chunks_mut::<ONE>().0.iter_mut();
                cells.zip(pairs).for_each(|(cell, own)| *cell = C::write(C::kept(own)));
            },
        ),
        // By the step, which is known here.
        (2, 0) => {
            for (both, own) in bytes.as_chunks_mut::<BOTH>().0.iter_mut().zip(pairs) {
                if let Some((cell, _)) = both.split_first_chunk_mut() {
                    *cell = C::write(C::kept(own));
                }
            }
        }
        (2, _) => {
            for (both, own) in bytes.as_chunks_mut::<BOTH>().0.iter_mut().zip(pairs) {
                if let Some((_, cell)) = both.split_last_chunk_mut() {
                    *cell = C::write(C::kept(own));
                }
            }
        }
        _ => {
            for (pixel, own) in bytes.chunks_exact_mut(tracks.max(1) * ONE).zip(pairs) {
                if let Some(cell) = pixel[track * ONE..].first_chunk_mut() {
                    *cell = C::write(C::kept(own));
                }
            }
        }
    }
}

/// How a pair is kept.
trait Cell<const BYTES: usize> {
    /// What is kept of a pair's two. The least of several has the least of what is kept of them.
    fn kept(pair: [i16; 2]) -> [i16; 2];

    fn read(bytes: [u8; BYTES]) -> [i16; 2];

    fn write(kept: [i16; 2]) -> [u8; BYTES];
}

struct Wide;

impl Cell<4> for Wide {
    fn kept(pair: [i16; 2]) -> [i16; 2] {
        pair
    }

    fn read([a, b, c, d]: [u8; 4]) -> [i16; 2] {
        [i16::from_le_bytes([a, b]), i16::from_le_bytes([c, d])]
    }

    fn write([min, max]: [i16; 2]) -> [u8; 4] {
        let ([a, b], [c, d]) = (min.to_le_bytes(), max.to_le_bytes());
        [a, b, c, d]
    }
}

struct Narrow;

impl Cell<2> for Narrow {
    // Not by `map`, which is not compiled into vectors.
    fn kept([min, max]: [i16; 2]) -> [i16; 2] {
        [min / 256, max / 256]
    }

    fn read([min, max]: [u8; 2]) -> [i16; 2] {
        [i16::from(min as i8), i16::from(max as i8)]
    }

    fn write([min, max]: [i16; 2]) -> [u8; 2] {
        [min as u8, max as u8]
    }
}

/// Which pixels have samples: stretches in order that do not touch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Filled(Vec<Range<usize>>);

impl Filled {
    /// Enters a stretch that begins in the last one or after it, and gives where what is new of it begins.
    fn append(&mut self, range: &Range<usize>) -> Option<usize> {
        match self.0.last_mut() {
            Some(last) if range.start < last.start => None,
            Some(last) if range.start <= last.end => {
                let fresh = last.end.min(range.end);
                last.end = last.end.max(range.end);
                Some(fresh)
            }
            _ => {
                self.0.push(range.clone());
                Some(range.start)
            }
        }
    }

    /// Enters a stretch, and gives its parts: those that were there, and those that were not.
    fn insert(&mut self, range: Range<usize>) -> Vec<(Range<usize>, bool)> {
        let from = self.0.partition_point(|it| it.end < range.start);
        let to = self.0.partition_point(|it| it.start <= range.end);
        let mut parts = Vec::new();
        let mut at = range.start;
        let mut whole = range.clone();
        for old in &self.0[from..to] {
            let (start, end) = (old.start.max(range.start), old.end.min(range.end));
            parts.extend((at < start).then_some((at..start, false)));
            parts.extend((start < end).then_some((start..end, true)));
            at = at.max(end);
            whole = whole.start.min(old.start)..whole.end.max(old.end);
        }
        parts.extend((at < range.end).then_some((at..range.end, false)));
        self.0.splice(from..to, [whole]);
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::peaks::{Builder, Part, Track, View};
    use crate::media::sound::SoundFormat;

    #[test]
    fn pieces_join_where_they_meet() {
        let count = 3 * PIECE / 2;
        let format = SoundFormat { rate: 48_000, channels: 1 };
        let sample = |at: i64| (at * 7919 % 65_521 - 32_760) as i16;
        for each in [1, 2, 5] {
            // From the middle of one piece into the next, and over what is there already.
            let mut extremes = Extremes::new(Bits::Sixteen, 2, count);
            let mut plain = vec![[i16::MAX, i16::MIN]; count];
            for start in [PIECE - 500, PIECE - 900, PIECE + 300] {
                let first = (start * each * 256) as i64;
                let samples: Vec<i16> = (first..first + 1000 * each as i64 * 256).map(sample).collect();
                for (at, sample) in samples.iter().enumerate() {
                    let [min, max] = &mut plain[start + at / (each * 256)];
                    (*min, *max) = ((*min).min(*sample), (*max).max(*sample));
                }
                let mut builder = Builder::new();
                builder.add(first, format, &[samples]);
                let bytes = builder.finish().encode(Part::Mix);
                let view = View::decode(Part::Mix, &bytes).unwrap();
                let blocks = view.runs().map(|run| view.blocks(run, Track::Mix, 0).unwrap());
                let shared = extremes.shared();
                blocks.for_each(|it| shared.add(1, it.first, each as i64, &it));
            }
            assert_eq!(extremes.holes(1), [0..PIECE - 900, PIECE + 1300..count], "{each}");
            assert!(extremes.get(0, PIECE).is_none());
            let own = PIECE - 900..PIECE + 1300;
            assert!(extremes.pairs_of(1)[own.clone()] == plain[own], "{each}");
            assert!(extremes.pairs_of(0).iter().all(|it| *it == [0, 0]));
        }
    }
}
