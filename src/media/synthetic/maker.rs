//! Runs the coders of a recipe, picture by picture.

use super::paint;
use super::recipe::{Recipe, Voice};
use super::sound::{RATE, SONG, clicks};
use crate::base::time::TimeBase;
use crate::base::{Error, Result, Timestamp};
use crate::media::ffi::{AudioSettings, Encoder, Frame, FrameMut, Graph, Muxer, Packet, VideoSettings};
use std::collections::VecDeque;

/// Samples in a frame where the coder takes any number.
const SOUND_FRAME: usize = 1024;

pub struct Maker<'a> {
    what: &'a Recipe,
    graph: Graph,
    pub video: Encoder,
    pub audio: Encoder,
    /// Packets made and not yet muxed; times in the encoders' bases.
    pub pictures: VecDeque<Packet>,
    pub sounds: VecDeque<Packet>,
    /// The first picture, pulled ahead to see its format.
    pulled: Option<Frame>,
    made: u64,
    /// Samples of clicks made.
    clicked: u64,
    sound_ended: bool,
}

impl<'a> Maker<'a> {
    /// `headers_apart`: parameter sets go into the container's header, not into the stream.
    pub fn new(what: &'a Recipe, headers_apart: bool) -> Result<Self> {
        let (pace, coder) = (&what.pace, &what.coder);
        let mut graph = graph(what)?;
        let first = graph.pull(0)?.ok_or_else(|| Error::internal("a source without pictures"))?;
        let (num, den) = pace.rate();
        let video = Encoder::video(&VideoSettings {
            codec: coder.name.clone(),
            width: what.picture.width,
            height: what.picture.height,
            format: first.format(),
            time_base: pace.base(),
            frame_rate: (num, den),
            sample_aspect: (1, 1),
            colour: what.colour(),
            interlaced: what.picture.interlaced,
            gop: coder.gop as usize,
            b_frames: coder.b_frames,
            threads: 1,
            bit_rate: coder.bit_rate,
            global_header: headers_apart,
            options: coder.options.clone(),
        })?;
        let audio = Encoder::audio(&AudioSettings {
            codec: what.sound.codec.clone(),
            sample_rate: RATE,
            channels: 2,
            bit_rate: what.sound.bit_rate,
            global_header: headers_apart,
        })?;
        if what.sound.voice == Voice::Song {
            graph.set_frame_samples(1, audio.frame_samples());
        }
        Ok(Self {
            what,
            graph,
            video,
            audio,
            pictures: VecDeque::new(),
            sounds: VecDeque::new(),
            pulled: Some(first),
            made: 0,
            clicked: 0,
            sound_ended: false,
        })
    }

    /// Makes one picture more and the sound up to a second after it; at the end of the recipe, what the coders still
    /// hold, and false.
    pub fn step(&mut self) -> Result<bool> {
        let frame = self.next_picture()?;
        self.encode(frame.as_ref())?;
        Ok(frame.is_some())
    }

    /// The next picture with its number and the time it stands for painted in.
    fn next_picture(&mut self) -> Result<Option<Frame>> {
        if self.made == self.what.frames {
            return Ok(None);
        }
        let next = self.pulled.take();
        let Some(frame) = (if next.is_some() { next } else { self.graph.pull(0)? }) else {
            return Err(Error::internal("a source ran out of pictures"));
        };
        let number = self.made;
        let mut frame = frame.into_mut()?;
        paint::number(&mut frame, number as u32);
        paint::clock(&mut frame, &format!("{}  {number}", self.what.time_of(number)));
        let (range, primaries, transfer, matrix) = self.what.colour();
        frame.set_colour(range, primaries, transfer, matrix);
        let mut frame = frame.freeze();
        frame.set_pts(Some(self.what.pace.ticks(number)));
        let coder = &self.what.coder;
        frame.set_picture_type(coder.forced && number.is_multiple_of(coder.gop));
        self.made += 1;
        Ok(Some(frame))
    }

    /// Encodes a picture, and the sound up to a second after it; `None` ends both.
    fn encode(&mut self, picture: Option<&Frame>) -> Result<()> {
        let pictures = &mut self.pictures;
        self.video.push(picture, |packet| {
            pictures.push_back(packet);
            Ok(())
        })?;
        let base = self.what.pace.base();
        let after = base.rescale(self.what.pace.ticks(self.made), TimeBase::new(1, RATE as i32));
        let until = picture.map_or(i64::MAX, |_| after + i64::from(RATE));
        while !self.sound_ended && self.sounds.back().and_then(Packet::pts).is_none_or(|at| at < until) {
            let frame = match self.what.sound.voice {
                Voice::Song => self.graph.pull(1)?,
                Voice::Clicks => self.next_clicks()?,
            };
            self.sound_ended = frame.is_none();
            let sounds = &mut self.sounds;
            self.audio.push(frame.as_ref(), |packet| {
                sounds.push_back(packet);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn next_clicks(&mut self) -> Result<Option<Frame>> {
        let (pace, frames) = (&self.what.pace, self.what.frames);
        let all = pace.base().rescale(pace.ticks(frames), TimeBase::new(1, RATE as i32)) as u64;
        let size = match self.audio.frame_samples() {
            0 => SOUND_FRAME,
            size => size,
        };
        let count = (all - self.clicked).min(size as u64);
        if count == 0 {
            return Ok(None);
        }
        let mut frame = FrameMut::audio(2, RATE, count as usize)?;
        for channel in 0..2 {
            for (at, sample) in (self.clicked..).zip(frame.channel_mut(channel)) {
                *sample = clicks::sample(at);
            }
        }
        let mut frame = frame.freeze();
        frame.set_pts(Some(self.clicked as i64));
        self.clicked += count;
        Ok(Some(frame))
    }

    /// Moves the first `count` pictures, and the sound that is heard before `until` (in the pictures' base), into a
    /// muxer of both streams.
    pub fn hand_over(&mut self, muxer: &mut Muxer, count: usize, until: Option<i64>) -> Result<()> {
        let (pictures, sounds) = (self.video.time_base(), self.audio.time_base());
        let until = until.map_or(i64::MAX, |at| pictures.rescale(at, sounds));
        for packet in self.pictures.drain(..count) {
            muxer.write(0, self.what.placed(packet, pictures))?;
        }
        let ready = self.sounds.iter().take_while(|it| it.pts().is_some_and(|at| at < until)).count();
        for packet in self.sounds.drain(..ready) {
            muxer.write(1, self.what.placed(packet, sounds))?;
        }
        Ok(())
    }
}

fn graph(what: &Recipe) -> Result<Graph> {
    let (picture, (num, den)) = (&what.picture, what.pace.rate());
    let size = format!("{}x{}", picture.width, picture.height);
    // Two fields of a picture are two moments: pictures twice as often, woven into each other.
    let moving = match picture.interlaced {
        None => format!("testsrc2=size={size}:rate={num}/{den},format={}", picture.format),
        Some(top_first) => format!(
            "testsrc2=size={size}:rate={}/{den},format={},tinterlace=mode=interleave_{},setfield={}",
            num * 2,
            picture.format,
            if top_first { "top" } else { "bottom" },
            if top_first { "tff" } else { "bff" }
        ),
    };
    if what.sound.voice == Voice::Clicks {
        return Graph::sources(&format!("{moving}[picture]"), &["picture"], &[]);
    }
    let seconds = what.pace.base().seconds(what.pace.ticks(what.frames));
    let sound = format!("{SONG}:d={seconds},aformat=sample_fmts=fltp");
    Graph::sources(&format!("{moving}[picture];{sound}[sound]"), &["picture"], &["sound"])
}

impl Recipe {
    /// When picture `number` is shown.
    pub fn time_of(&self, number: u64) -> Timestamp {
        self.start + self.pace.micros(number)
    }

    fn colour(&self) -> (i32, i32, i32, i32) {
        (if self.picture.full_range { 2 } else { 1 }, 1, 1, 1)
    }

    /// The packet at its time in the container.
    fn placed(&self, mut packet: Packet, base: TimeBase) -> Packet {
        let by = TimeBase::new(1, 1).rescale(self.first_second, base);
        packet.set_times(packet.pts().map(|it| it + by), packet.dts().map(|it| it + by));
        packet
    }
}
