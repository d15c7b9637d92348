//! A made-up stream, in process: moving pictures that carry their number, and sound worth looking at or measuring. It
//! feeds the demo archive and the tests; nothing is read from disk.

mod maker;
mod paint;
mod recipe;
mod samples;
mod sound;

pub use paint::CELL;
pub(in crate::media) use paint::glyph;
pub use recipe::{Coder, Pace, Picture, Recipe, Sound, Voice};
pub use samples::samples;
pub use sound::clicks;

use super::ffi::{MemoryWriter, Muxer};
use super::ts::ContinuityCounters;
use crate::base::{Error, Result, Timestamp, Token};
use maker::Maker;
use std::fs::File;
use std::ops::Range;

/// PTS of the first picture, in seconds: some way off zero, as live streams are.
const FIRST_PTS_SECONDS: i64 = 63;

/// A plain stream: H.264 at a steady pace, a closed GOP a segment. Segment k holds pictures `k · segment_frames ..` and
/// starts `k · segment_frames / fps` after `start`.
#[derive(Debug, Clone)]
pub struct Synthetic {
    pub start: Timestamp,
    pub frames: u64,
    pub fps: u32,
    pub segment_frames: u64,
    pub width: usize,
    pub height: usize,
    /// x264's preset.
    pub preset: String,
    pub crf: u8,
    pub b_frames: usize,
}

/// One finished segment.
pub struct SyntheticSegment {
    pub number: u64,
    /// Its pictures, by their numbers.
    pub frames: Range<u64>,
    pub start: Timestamp,
    /// In microseconds.
    pub duration: i64,
    pub bytes: Vec<u8>,
}

/// Makes the stream and hands out its segments in order.
pub fn synthesise(
    what: &Synthetic,
    token: &Token,
    take: impl FnMut(SyntheticSegment) -> Result<()>,
) -> Result<()> {
    let recipe = Recipe {
        start: what.start,
        first_second: FIRST_PTS_SECONDS,
        frames: what.frames,
        pace: Pace::Steady(what.fps as i32, 1),
        segments: vec![what.segment_frames],
        at_keys: true,
        picture: Picture {
            width: what.width,
            height: what.height,
            format: "yuv420p".into(),
            full_range: false,
            interlaced: None,
        },
        coder: Coder::x264(&what.preset, what.crf, what.segment_frames, what.b_frames),
        sound: Sound { codec: "aac".into(), bit_rate: 128_000, voice: Voice::Song },
    };
    segments(&recipe, token, take)
}

/// Makes what the recipe says as MPEG-TS and hands out its segments in order.
pub fn segments(
    what: &Recipe,
    token: &Token,
    take: impl FnMut(SyntheticSegment) -> Result<()>,
) -> Result<()> {
    if what.frames == 0 {
        return Ok(());
    }
    let maker = Maker::new(what, false)?;
    let counters = ContinuityCounters::default();
    let mut segmenter = Segmenter { what, maker, number: 0, first: 0, length_sum: 0, counters, take };
    segmenter.length_sum = segmenter.length(0);
    while segmenter.maker.step()? {
        token.check()?;
        segmenter.close(false)?;
    }
    segmenter.close(true)
}

/// Makes what the recipe says as one file of libav's `format`, with the muxer's `options`.
pub fn file(
    what: &Recipe,
    format: &str,
    options: &[(&str, &str)],
    target: File,
    token: &Token,
) -> Result<()> {
    // A stream has no header of its own.
    let mut maker = Maker::new(what, format != "mpegts")?;
    let mut muxer = Muxer::seekable(format, Box::new(target))?;
    muxer.add(&maker.video)?;
    muxer.add(&maker.audio)?;
    muxer.start(options)?;
    loop {
        token.check()?;
        let more = maker.step()?;
        let count = maker.pictures.len();
        // Sound comes a second ahead of its picture; the muxer puts both in order.
        maker.hand_over(&mut muxer, count, None)?;
        if !more {
            return muxer.finish();
        }
    }
}

struct Segmenter<'a, T> {
    what: &'a Recipe,
    maker: Maker<'a>,
    /// Of the segment the packets in hand belong to, and of its first picture.
    number: u64,
    first: u64,
    /// The lengths of all segments up to this one.
    length_sum: u64,
    counters: ContinuityCounters,
    take: T,
}

impl<T: FnMut(SyntheticSegment) -> Result<()>> Segmenter<'_, T> {
    fn length(&self, number: u64) -> u64 {
        self.what.segments[(number % self.what.segments.len() as u64) as usize]
    }

    /// The count of packets of the segment in hand, once the next one's first is there.
    fn border(&self) -> Option<usize> {
        let mut shown = self.first;
        for (at, packet) in self.maker.pictures.iter().enumerate() {
            let number = self.what.pace.number(packet.pts()?);
            let done = at > 0 && shown == self.first + at as u64;
            if done && number >= self.length_sum && (packet.is_key() || !self.what.at_keys) {
                return Some(at);
            }
            shown = shown.max(number + 1);
        }
        None
    }

    /// Muxes every segment that is whole, or all that is left.
    fn close(&mut self, all: bool) -> Result<()> {
        while let Some(count) = self.border().or(all.then_some(self.maker.pictures.len())) {
            if count == 0 {
                return Ok(());
            }
            let last = self.maker.pictures.len() == count;
            let next = self.first + count as u64;
            let until = (!last).then(|| self.what.pace.ticks(next));
            let bytes = self.mux(count, until)?;
            let (start, end) = (self.what.time_of(self.first), self.what.time_of(next));
            let (number, frames) = (self.number, self.first..next);
            (self.take)(SyntheticSegment { number, frames, start, duration: end - start, bytes })?;
            self.first = next;
            self.number += 1;
            self.length_sum += self.length(self.number);
        }
        Ok(())
    }

    /// Muxes `count` pictures and the sound that is heard before `until`, when the next segment comes on screen. Sound
    /// that went by sending times would lead the picture in each segment, and a player that puts a segment's
    /// EXT-X-PROGRAM-DATE-TIME on whatever comes first in it would be two pictures off.
    fn mux(&mut self, count: usize, until: Option<i64>) -> Result<Vec<u8>> {
        let memory = MemoryWriter::default();
        let mut muxer = Muxer::new("mpegts", memory.writer())?;
        muxer.add(&self.maker.video)?;
        muxer.add(&self.maker.audio)?;
        muxer.start(&[])?;
        self.maker.hand_over(&mut muxer, count, until)?;
        muxer.finish()?;
        let mut bytes = memory.take();
        if bytes.is_empty() {
            return Err(Error::internal("a segment came out empty"));
        }
        self.counters.renumber(&mut bytes);
        Ok(bytes)
    }
}
