//! The end of a full cut: pictures and sound into encoders, packets into a container, bytes into the sink.

use super::packets::Clock;
use super::shots::Fit;
use crate::base::Result;
use crate::base::time::TimeBase;
use crate::media::Sink;
use crate::media::cut::{Container, FullCutOptions};
use crate::media::ffi::{
    AudioSettings, Encoder, Frame, MemoryWriter, Muxer, Packet, PixelFormat, VideoSettings,
};
use crate::media::sound::SoundFormat;
use crate::media::turn::Turn;
use bytes::Bytes;

/// Output time of the first picture in MPEG-TS, in seconds: sound starts a packet of priming before it, and a decoder's buffer
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

/// Formats libvpx-vp9 takes that keep every sample of the source.
const KEPT_BY_VP9: [&str; 6] = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"];

/// The only rate of Opus that needs no note on another (RFC 7845 §5.1).
const OPUS_RATE: u32 = 48_000;

/// How often the fragments of an MP4 begin at the latest, in microseconds: what a player waits for, and what is held.
const FRAGMENT_MICROS: &str = "2000000";

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
    picture: Fit,
    /// Ticks a picture lasts.
    step: i64,
    /// Output time of the first picture, in seconds.
    lead: i64,
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

    /// Rate and channels of the sound to be sent; `None` without sound.
    pub fn sound_format(&self) -> Option<SoundFormat> {
        let opus = self.options.container == Container::WebM;
        self.sound.map(|it| if opus { SoundFormat { rate: OPUS_RATE, ..it } } else { it })
    }

    /// Sets everything up for pictures like `first`, to be turned as `turn` has it.
    pub fn prepare(&mut self, first: &Frame, clock: Clock, turn: Turn) -> Result<()> {
        let container = self.options.container;
        let settings = match container {
            Container::WebM => self.vp9_settings(first, clock),
            _ => self.h264_settings(first, clock),
        };
        let video = Encoder::video(&settings)?;
        let audio = self
            .sound_format()
            .map(|format| {
                Encoder::audio(&AudioSettings {
                    codec: if container == Container::WebM { "libopus" } else { "aac" }.into(),
                    sample_rate: format.rate,
                    channels: format.channels,
                    bit_rate: self.options.audio_bit_rate,
                    global_header: container != Container::TransportStream,
                })
            })
            .transpose()?;
        let (name, options, lead): (_, &[(&str, &str)], _) = match container {
            Container::TransportStream => ("mpegts", &[], LEAD_SECONDS),
            // The index first, once the first packets tell how streams are offset; then fragments.
            Container::Mp4 => (
                "mp4",
                &[
                    ("movflags", "frag_keyframe+empty_moov+default_base_moof+delay_moov"),
                    ("frag_duration", FRAGMENT_MICROS),
                ],
                0,
            ),
            Container::Matroska => ("matroska", &[], 0),
            Container::WebM => ("webm", &[("avoid_negative_ts", "disabled")], 0),
        };
        let mut muxer = Muxer::new(name, self.bytes.writer())?;
        let pictures = muxer.add(&video)?;
        muxer.set_turn(pictures, turn)?;
        if let Some(audio) = &audio {
            muxer.add(audio)?;
        }
        muxer.start(options)?;
        let picture = (settings.format, settings.width, settings.height);
        self.running = Some(Running { muxer, video, audio, picture, step: clock.step, lead });
        Ok(())
    }

    fn h264_settings(&self, first: &Frame, clock: Clock) -> VideoSettings {
        let format = kept(first, &KEPT_FORMATS);
        let (shift_x, shift_y) = format.chroma_shift();
        let mut options = vec![
            ("preset".into(), self.options.preset.clone()),
            ("crf".into(), self.options.crf.to_string()),
        ];
        if self.options.container == Container::TransportStream {
            // H.222.0 §2.14.1 wants an access unit delimiter before every picture.
            options.push(("aud".into(), "1".into()));
        }
        // Lossless coding exists in the High 4:4:4 Predictive profile alone.
        if self.options.crf > 0 && format.depth() == 8 && (shift_x, shift_y) == (1, 1) {
            options.push(("profile".into(), "high".into()));
            // The fastest presets leave out what makes the stream High, the profile of nearly every source.
            options.push(("x264-params".into(), "8x8dct=1".into()));
        }
        self.video_settings("libx264", options, format, first, clock)
    }

    fn vp9_settings(&self, first: &Frame, clock: Clock) -> VideoSettings {
        // Made while somebody waits for it: the deadline of live encoding, rows on several threads.
        let mut options = vec![
            ("deadline".into(), "realtime".into()),
            ("cpu-used".into(), self.options.vp9_speed.to_string()),
            ("row-mt".into(), "1".into()),
            ("tile-columns".into(), "2".into()),
            ("crf".into(), self.options.vp9_crf.to_string()),
        ];
        if self.options.crf == 0 {
            options.push(("lossless".into(), "1".into()));
        }
        let format = kept(first, &KEPT_BY_VP9);
        self.video_settings("libvpx-vp9", options, format, first, clock)
    }

    fn video_settings(
        &self,
        codec: &str,
        options: Vec<(String, String)>,
        format: PixelFormat,
        first: &Frame,
        clock: Clock,
    ) -> VideoSettings {
        let (shift_x, shift_y) = format.chroma_shift();
        let rate =
            (clock.base.den, i32::try_from(clock.step).unwrap_or(i32::MAX).saturating_mul(clock.base.num));
        let gop = (i64::from(rate.0) * KEYFRAME_SECONDS / i64::from(rate.1.max(1))).clamp(1, 600);
        let interlaced = first.is_interlaced().then(|| first.is_top_field_first());
        VideoSettings {
            codec: codec.into(),
            // Subsampled pictures are coded in whole chroma samples.
            width: first.width() >> shift_x << shift_x,
            height: first.height() >> shift_y << shift_y,
            format,
            time_base: clock.base,
            frame_rate: rate,
            sample_aspect: first.sample_aspect(),
            colour: first.colour(),
            // VP9 knows no fields.
            interlaced: interlaced.filter(|_| codec == "libx264"),
            gop: gop as usize,
            b_frames: 0,
            threads: self.options.encoder_threads,
            bit_rate: 0,
            global_header: self.options.container != Container::TransportStream,
            options,
        }
    }

    /// Format and size of the pictures wanted, once it is known.
    pub fn picture_format(&self) -> Option<Fit> {
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
        let Some(Running { muxer, video, step, lead, .. }) = &mut self.running else { return Ok(()) };
        let lead = TimeBase::new(1, 1).rescale(*lead, video.time_base());
        video.push(frame, |mut packet| {
            // The last picture has to last as well.
            packet.set_duration(*step);
            muxer.write(0, shifted(packet, lead))
        })
    }

    fn encode_sound(&mut self, frame: Option<&Frame>) -> Result<()> {
        let Some(Running { muxer, audio: Some(audio), lead, .. }) = &mut self.running else { return Ok(()) };
        let mut lead = TimeBase::new(1, 1).rescale(*lead, audio.time_base());
        if self.options.container == Container::WebM {
            // A block's time is told with the priming, which players subtract (RFC 9559 §5.1.4.1.25, CodecDelay).
            lead += audio.priming();
        }
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

/// The picture's own format, where the encoder takes it.
fn kept(first: &Frame, formats: &[&str]) -> PixelFormat {
    let format = first.format();
    if formats.contains(&format.name()) { format } else { PixelFormat::YUV420P }
}

fn shifted(mut packet: Packet, by: i64) -> Packet {
    packet.set_times(packet.pts().map(|it| it + by), packet.dts().map(|it| it + by));
    packet
}
