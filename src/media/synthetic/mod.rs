//! A made-up stream, in process: moving pictures that carry their number, and sound worth looking at. It feeds the
//! demo archive and the tests; nothing is read from disk.

mod paint;

pub use paint::CELL;
pub(in crate::media) use paint::glyph;

use super::ffi::{
    AudioSettings, Encoder, Frame, Graph, MemoryWriter, Muxer, Packet, PixelFormat, VideoSettings,
};
use super::ts::ContinuityCounters;
use crate::base::time::{SECOND, TimeBase};
use crate::base::{Error, Result, Timestamp, Token};
use std::collections::VecDeque;

/// PTS of the first picture, in seconds: some way off zero, as live streams are.
const FIRST_PTS_SECONDS: i64 = 63;

/// What to make. Segment k holds pictures `k · segment_frames ..` and starts `k · segment_frames / fps` after `start`.
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
    pub start: Timestamp,
    /// In microseconds.
    pub duration: i64,
    pub bytes: Vec<u8>,
}

/// Makes the stream and hands out its segments in order.
pub fn synthesise(
    what: &Synthetic,
    token: &Token,
    mut take: impl FnMut(SyntheticSegment) -> Result<()>,
) -> Result<()> {
    let mut maker = Maker::new(what)?;
    let Some(first) = maker.next_picture()? else { return Ok(()) };
    let mut next = Some(first);
    while let Some(frame) = next {
        token.check()?;
        maker.encode(Some(&frame))?;
        maker.close_segments(false, &mut take)?;
        next = maker.next_picture()?;
    }
    maker.encode(None)?;
    maker.close_segments(true, &mut take)
}

struct Maker<'a> {
    what: &'a Synthetic,
    graph: Graph,
    video: Encoder,
    audio: Encoder,
    /// Packets made and not yet muxed; times in the encoders' bases.
    pictures: VecDeque<Packet>,
    sounds: VecDeque<Packet>,
    made: u64,
    sound_ended: bool,
    /// Number of the segment the packets in hand belong to.
    segment: u64,
    counters: ContinuityCounters,
}

/// Two voices: a sweep that swells and rests, bursts of noise, and a tick at every whole second.
const SOUND: &str = "aevalsrc=exprs='\
    0.35*sin(2*PI*(150*mod(t\\,37)+25*pow(mod(t\\,37)\\,2)))*(0.15+0.85*pow(sin(PI*t/23)\\,2))*gte(mod(t\\,19)\\,3)\
    +0.5*(random(0)*2-1)*lt(mod(t\\,11.3)\\,0.8)+0.4*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.02)\
    |0.3*sin(2*PI*(225*mod(t\\,37)+37*pow(mod(t\\,37)\\,2)))*(0.15+0.85*pow(cos(PI*t/31)\\,2))\
    +0.4*(random(1)*2-1)*lt(mod(t\\,13.7)\\,1.1)+0.4*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.02)'\
    :s=48000:c=stereo";

impl<'a> Maker<'a> {
    fn new(what: &'a Synthetic) -> Result<Self> {
        let (width, height, fps) = (what.width, what.height, what.fps);
        let seconds = what.frames as f64 / f64::from(fps);
        let graph = Graph::sources(
            &format!(
                "testsrc2=size={width}x{height}:rate={fps}:duration={seconds},format=yuv420p[picture];\
                 {SOUND}:d={seconds},aformat=sample_fmts=fltp[sound]"
            ),
            &["picture"],
            &["sound"],
        )?;
        let video = Encoder::video(&VideoSettings {
            codec: "libx264".into(),
            width,
            height,
            format: PixelFormat::YUV420P,
            time_base: TimeBase::new(1, fps as i32),
            frame_rate: (fps as i32, 1),
            sample_aspect: (1, 1),
            colour: (1, 1, 1, 1),
            interlaced: None,
            gop: what.segment_frames as usize,
            b_frames: what.b_frames,
            threads: 1,
            bit_rate: 0,
            global_header: false,
            options: [("preset", &*what.preset), ("crf", &what.crf.to_string()), ("profile", "high")]
                .into_iter()
                .chain([("forced-idr", "1"), ("sc_threshold", "0"), ("aud", "1")])
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        })?;
        let audio = Encoder::audio(&AudioSettings {
            codec: "aac".into(),
            sample_rate: 48_000,
            channels: 2,
            bit_rate: 128_000,
            global_header: false,
        })?;
        let mut this = Self {
            what,
            graph,
            video,
            audio,
            pictures: VecDeque::new(),
            sounds: VecDeque::new(),
            made: 0,
            sound_ended: false,
            segment: 0,
            counters: ContinuityCounters::default(),
        };
        let samples = this.audio.frame_samples();
        this.graph.set_frame_samples(1, samples);
        Ok(this)
    }

    /// The next picture with its number and the time it stands for painted in.
    fn next_picture(&mut self) -> Result<Option<Frame>> {
        if self.made == self.what.frames {
            return Ok(None);
        }
        let Some(frame) = self.graph.pull(0)? else { return Ok(None) };
        let number = self.made;
        let mut frame = frame.into_mut()?;
        paint::number(&mut frame, number as u32);
        paint::clock(&mut frame, &format!("{}  {number}", self.time_of(number)));
        frame.set_colour(1, 1, 1, 1);
        let mut frame = frame.freeze();
        frame.set_pts(Some(number as i64));
        frame.set_picture_type(number.is_multiple_of(self.what.segment_frames));
        self.made += 1;
        Ok(Some(frame))
    }

    fn time_of(&self, frame: u64) -> Timestamp {
        self.what.start + (frame as i64 * SECOND) / i64::from(self.what.fps)
    }

    /// Encodes a picture, and the sound up to a second after it; `None` ends both.
    fn encode(&mut self, picture: Option<&Frame>) -> Result<()> {
        let pictures = &mut self.pictures;
        self.video.push(picture, |packet| {
            pictures.push_back(packet);
            Ok(())
        })?;
        let until = picture.map_or(i64::MAX, |_| (self.made as i64 / i64::from(self.what.fps) + 1) * 48_000);
        while !self.sound_ended && self.sounds.back().and_then(Packet::pts).is_none_or(|at| at < until) {
            let frame = self.graph.pull(1)?;
            self.sound_ended = frame.is_none();
            let sounds = &mut self.sounds;
            self.audio.push(frame.as_ref(), |packet| {
                sounds.push_back(packet);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Muxes every segment whose next keyframe has come, or all that is left.
    fn close_segments(
        &mut self,
        all: bool,
        take: &mut impl FnMut(SyntheticSegment) -> Result<()>,
    ) -> Result<()> {
        while let Some(end) = self
            .pictures
            .iter()
            .skip(1)
            .position(Packet::is_key)
            .map(|at| at + 1)
            .or(all.then_some(self.pictures.len()))
        {
            if end == 0 {
                return Ok(());
            }
            // An IDR picture is the first of its segment on screen too: its PTS is where the sound is parted.
            let next = self.pictures.get(end).and_then(Packet::pts);
            let bytes = self.mux(end, next)?;
            let first = self.segment * self.what.segment_frames;
            let last = (first + self.what.segment_frames).min(self.what.frames);
            let (start, end) = (self.time_of(first), self.time_of(last));
            take(SyntheticSegment { number: self.segment, start, duration: end - start, bytes })?;
            self.segment += 1;
        }
        Ok(())
    }

    /// Muxes `count` pictures and the sound that is heard before `next`, when the next segment comes on screen. Sound
    /// that went by sending times would lead the picture in each segment, and a player that puts a segment's
    /// EXT-X-PROGRAM-DATE-TIME on whatever comes first in it would be two pictures off.
    fn mux(&mut self, count: usize, next: Option<i64>) -> Result<Vec<u8>> {
        let memory = MemoryWriter::default();
        let mut muxer = Muxer::new("mpegts", memory.writer())?;
        let (picture, sound) = (muxer.add(&self.video)?, muxer.add(&self.audio)?);
        muxer.start(&[])?;
        let (pictures, sounds) = (self.video.time_base(), self.audio.time_base());
        let until = next.map_or(i64::MAX, |at| pictures.rescale(at, sounds));
        for packet in self.pictures.drain(..count) {
            muxer.write(picture, later(packet, pictures))?;
        }
        let ready = self.sounds.iter().take_while(|it| it.pts().is_some_and(|at| at < until)).count();
        for packet in self.sounds.drain(..ready) {
            muxer.write(sound, later(packet, sounds))?;
        }
        muxer.finish()?;
        let mut bytes = memory.take();
        if bytes.is_empty() {
            return Err(Error::internal("a segment came out empty"));
        }
        self.counters.renumber(&mut bytes);
        Ok(bytes)
    }
}

fn later(mut packet: Packet, base: TimeBase) -> Packet {
    let by = TimeBase::new(1, 1).rescale(FIRST_PTS_SECONDS, base);
    packet.set_times(packet.pts().map(|it| it + by), packet.dts().map(|it| it + by));
    packet
}
