//! The end of a full cut: pictures and sound into encoders, packets into MPEG-TS, bytes into the sink.

use super::FullCutOptions;
use crate::base::Result;
use crate::base::time::TimeBase;
use crate::media::Sink;
use crate::media::ffi::{
    AudioSettings, Encoder, Frame, MemoryWriter, Muxer, Packet, PixelFormat, VideoSettings,
};
use crate::media::sound::SoundFormat;
use bytes::Bytes;

/// Output time of the first picture, in seconds: sound starts a packet of priming before it, and a decoder's buffer
/// is filled before that (H.222.0 §2.4.2.6 allows a second).
const LEAD_SECONDS: i64 = 1;

/// Seconds from one keyframe to the next: players seek to them.
const KEYFRAME_SECONDS: i64 = 2;

/// Bytes collected before they are handed on, but for the first ones.
const CHUNK_BYTES: usize = 64 * 1024;

/// Formats libx264 takes that keep every sample of the source.
const KEPT_FORMATS: [&str; 9] = [
    "yuv420p",
    "yuvj420p",
    "yuv422p",
    "yuvj422p",
    "yuv444p",
    "yuvj444p",
    "yuv420p10le",
    "yuv422p10le",
    "yuv444p10le",
];

pub struct Output<'a> {
    options: &'a FullCutOptions,
    sound: Option<SoundFormat>,
    sink: &'a mut dyn Sink,
    bytes: MemoryWriter,
    chunk: Vec<u8>,
    sent: bool,
    running: Option<Running>,
}

struct Running {
    muxer: Muxer,
    video: Encoder,
    audio: Option<Encoder>,
    picture: (PixelFormat, usize, usize),
}

impl<'a> Output<'a> {
    pub fn new(options: &'a FullCutOptions, sound: Option<SoundFormat>, sink: &'a mut dyn Sink) -> Self {
        Self {
            options,
            sound,
            sink,
            bytes: MemoryWriter::default(),
            chunk: Vec::new(),
            sent: false,
            running: None,
        }
    }

    /// Sets everything up for pictures like `first`, once.
    pub fn prepare(&mut self, first: &Frame, base: TimeBase, frame_ticks: i64) -> Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        let settings = self.video_settings(first, base, frame_ticks);
        let video = Encoder::video(&settings)?;
        let audio = self
            .sound
            .map(|format| {
                Encoder::audio(&AudioSettings {
                    codec: "aac".into(),
                    sample_rate: format.rate,
                    channels: format.channels,
                    bit_rate: self.options.audio_bit_rate,
                })
            })
            .transpose()?;
        let mut muxer = Muxer::new("mpegts", self.bytes.writer())?;
        muxer.add(&video)?;
        if let Some(audio) = &audio {
            muxer.add(audio)?;
        }
        muxer.start(&[])?;
        let picture = (settings.format, settings.width, settings.height);
        self.running = Some(Running { muxer, video, audio, picture });
        Ok(())
    }

    fn video_settings(&self, first: &Frame, base: TimeBase, frame_ticks: i64) -> VideoSettings {
        let format = first.format();
        let format = if KEPT_FORMATS.contains(&format.name()) { format } else { PixelFormat::YUV420P };
        let (shift_x, shift_y) = format.chroma_shift();
        // A source of one picture has no rate; 25 is as good as any.
        let rate = if frame_ticks > 0 { (base.den, base.num * frame_ticks as i32) } else { (25, 1) };
        let gop = (i64::from(rate.0) * KEYFRAME_SECONDS / i64::from(rate.1.max(1))).clamp(1, 600);
        let mut options = vec![
            ("preset".into(), self.options.preset.clone()),
            ("crf".into(), self.options.crf.to_string()),
            // H.222.0 §2.14.1 wants an access unit delimiter before every picture.
            ("aud".into(), "1".into()),
        ];
        // Lossless coding exists in the High 4:4:4 Predictive profile alone.
        if self.options.crf > 0 && format.depth() == 8 && (shift_x, shift_y) == (1, 1) {
            options.push(("profile".into(), "high".into()));
            // The fastest presets leave out what makes the stream High, the profile of nearly every source.
            options.push(("x264-params".into(), "8x8dct=1".into()));
        }
        VideoSettings {
            codec: "libx264".into(),
            // Subsampled pictures are coded in whole chroma samples.
            width: first.width() >> shift_x << shift_x,
            height: first.height() >> shift_y << shift_y,
            format,
            time_base: base,
            frame_rate: rate,
            sample_aspect: first.sample_aspect(),
            colour: first.colour(),
            interlaced: first.is_interlaced().then(|| first.is_top_field_first()),
            gop: gop as usize,
            b_frames: 0,
            threads: self.options.encoder_threads,
            bit_rate: 0,
            options,
        }
    }

    /// Format and size of the pictures wanted, once it is known.
    pub fn picture_format(&self) -> Option<(PixelFormat, usize, usize)> {
        self.running.as_ref().map(|it| it.picture)
    }

    /// Samples wanted in every frame of sound but the last; 0 while nothing is set up.
    pub fn sound_frame(&self) -> usize {
        self.running.as_ref().and_then(|it| it.audio.as_ref()).map_or(0, Encoder::frame_samples)
    }

    pub fn picture(&mut self, frame: &Frame) -> Result<()> {
        self.encode_picture(Some(frame))?;
        self.forward(false)
    }

    /// One frame of sound, with its output sample as time.
    pub fn sound(&mut self, frame: &Frame) -> Result<()> {
        self.encode_sound(Some(frame))
    }

    fn encode_picture(&mut self, frame: Option<&Frame>) -> Result<()> {
        let Some(Running { muxer, video, .. }) = &mut self.running else { return Ok(()) };
        let lead = lead(video.time_base());
        video.push(frame, |packet| muxer.write(0, shifted(packet, lead)))
    }

    fn encode_sound(&mut self, frame: Option<&Frame>) -> Result<()> {
        let Some(Running { muxer, audio: Some(audio), .. }) = &mut self.running else { return Ok(()) };
        let lead = lead(audio.time_base());
        audio.push(frame, |packet| muxer.write(1, shifted(packet, lead)))
    }

    /// Hands finished bytes to the sink; the first ones at once.
    fn forward(&mut self, all: bool) -> Result<()> {
        if let Some(running) = &mut self.running {
            running.muxer.flush()?;
        }
        self.chunk.append(&mut self.bytes.take());
        if !self.chunk.is_empty() && (all || !self.sent || self.chunk.len() >= CHUNK_BYTES) {
            self.sent = true;
            self.sink.write(Bytes::from(std::mem::take(&mut self.chunk)))?;
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<()> {
        self.encode_picture(None)?;
        self.encode_sound(None)?;
        if let Some(running) = self.running.take() {
            running.muxer.finish()?;
        }
        self.forward(true)
    }
}

fn lead(base: TimeBase) -> i64 {
    TimeBase::new(1, 1).rescale(LEAD_SECONDS, base)
}

fn shifted(mut packet: Packet, by: i64) -> Packet {
    packet.set_times(packet.pts().map(|it| it + by), packet.dts().map(|it| it + by));
    packet
}
