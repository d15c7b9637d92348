//! Decoders and encoders: push, pull, finish.

use super::demux::Demuxer;
use super::frame::{Frame, PixelFormat};
use super::packet::Packet;
use super::{EAGAIN, Options, c_string, check, enum_field, fault, ffi, out_of_memory};
use crate::base::time::TimeBase;
use crate::base::{Error, Kind, Result};
use std::ptr::NonNull;

/// The largest picture decoded, in pixels: 8192 × 8192. A header that claims more is refused before its planes
/// are allocated.
pub const MAX_PIXELS: i64 = 8192 * 8192;

/// An owned AVCodecContext.
struct Context(NonNull<ffi::AVCodecContext>);

// SAFETY: a codec context may move between threads as long as one uses it at a time.
unsafe impl Send for Context {}

impl Context {
    fn new(codec: *const ffi::AVCodec) -> Result<Self> {
        // SAFETY: allocates a context for a static codec description.
        NonNull::new(unsafe { ffi::avcodec_alloc_context3(codec) })
            .map(Self)
            .ok_or_else(|| out_of_memory("codec"))
    }

    fn get(&self) -> *mut ffi::AVCodecContext {
        self.0.as_ptr()
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let mut raw = self.0.as_ptr();
        // SAFETY: frees the context and everything it holds, once.
        unsafe { ffi::avcodec_free_context(&mut raw) };
    }
}

/// Which pictures a decoder may leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    Nothing,
    /// Pictures no other picture is predicted from.
    NonReference,
}

/// A decoder of one stream.
pub struct Decoder {
    context: Context,
    faults: u64,
}

impl Decoder {
    /// A decoder for `stream` of `demuxer`, on `threads` threads (1: every packet is decoded when it is sent).
    pub fn open(demuxer: &Demuxer, stream: usize, time_base: TimeBase, threads: usize) -> Result<Self> {
        let parameters = demuxer.parameters(stream)?;
        // SAFETY: the parameters are alive while `demuxer` is borrowed and are copied into the context.
        unsafe {
            let codec = ffi::avcodec_find_decoder((*parameters).codec_id);
            if codec.is_null() {
                return Err(Error::new(
                    Kind::Unsupported,
                    "no-decoder",
                    "this build of libav cannot decode the stream",
                ));
            }
            let context = Context::new(codec)?;
            check("preparing a decoder", ffi::avcodec_parameters_to_context(context.get(), parameters))?;
            (*context.get()).pkt_timebase = ffi::AVRational { num: time_base.num, den: time_base.den };
            (*context.get()).thread_count = threads as i32;
            (*context.get()).max_pixels = MAX_PIXELS;
            check("opening a decoder", ffi::avcodec_open2(context.get(), codec, std::ptr::null_mut()))?;
            Ok(Self { context, faults: 0 })
        }
    }

    /// A decoder for a codec whose packets bring everything along, as those of MPEG-TS do.
    pub fn of_codec(codec: u32, time_base: TimeBase) -> Result<Self> {
        super::initialise();
        let none =
            || Error::new(Kind::Unsupported, "no-decoder", "this build of libav cannot decode the stream");
        // SAFETY: the list of codecs is walked from its start and compared as integers, so no enum value is made up;
        // the context is ours.
        unsafe {
            let mut state = std::ptr::null_mut();
            let found = loop {
                let candidate = ffi::av_codec_iterate(&mut state);
                if candidate.is_null() {
                    return Err(none());
                }
                let same = std::ptr::addr_of!((*candidate).id).cast::<u32>().read() == codec;
                if same && ffi::av_codec_is_decoder(candidate) != 0 {
                    break candidate;
                }
            };
            let context = Context::new(found)?;
            (*context.get()).pkt_timebase = ffi::AVRational { num: time_base.num, den: time_base.den };
            (*context.get()).thread_count = 1;
            (*context.get()).max_pixels = MAX_PIXELS;
            check("opening a decoder", ffi::avcodec_open2(context.get(), found, std::ptr::null_mut()))?;
            Ok(Self { context, faults: 0 })
        }
    }

    pub(super) fn raw(&self) -> *mut ffi::AVCodecContext {
        self.context.get()
    }

    /// From now on a picture that refers to what is not there, or is coded against the standard, is a fault, and may
    /// not be given.
    pub fn make_strict(&mut self) {
        // SAFETY: documented as settable at any time by the user of the context.
        unsafe { (*self.context.get()).err_recognition |= ffi::AV_EF_EXPLODE as i32 };
    }

    /// How often it could not make sense of what it was sent.
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// Applies to packets sent from now on.
    pub fn set_skip(&mut self, skip: Skip) {
        let discard = match skip {
            Skip::Nothing => ffi::AVDiscard::AVDISCARD_DEFAULT,
            Skip::NonReference => ffi::AVDiscard::AVDISCARD_NONREF,
        };
        // SAFETY: documented as settable at any time by the user of the context.
        unsafe { (*self.context.get()).skip_frame = discard };
    }

    /// Sends one packet, or `None` for the end, and hands every picture that is ready to `take`. A packet the
    /// decoder cannot make sense of is passed over: what it held is missing from the pictures.
    pub fn push(&mut self, packet: Option<&Packet>, mut take: impl FnMut(Frame) -> Result<()>) -> Result<()> {
        self.send(packet, |own| {
            let mut taken = false;
            loop {
                let mut frame = Frame::empty()?;
                if !own.receive(&mut frame)? {
                    return Ok(taken);
                }
                taken = true;
                take(frame)?;
            }
        })
    }

    /// [`Self::push`] for who looks at each frame and keeps none: all come in `frame`. Of a packet with several, those after
    /// the first may come with the packets after it.
    pub fn push_into(
        &mut self,
        packet: Option<&Packet>,
        frame: &mut Frame,
        mut take: impl FnMut(&Frame) -> Result<()>,
    ) -> Result<()> {
        self.send(packet, |own| {
            let mut taken = false;
            while own.receive(frame)? {
                taken = true;
                take(frame)?;
                // To ask once more takes as long as a hundredth of decoding.
                if packet.is_some() {
                    break;
                }
            }
            Ok(taken)
        })
    }

    /// Sends a packet; `drain` takes what is ready, and says whether there was anything.
    fn send(
        &mut self,
        packet: Option<&Packet>,
        mut drain: impl FnMut(&mut Self) -> Result<bool>,
    ) -> Result<()> {
        loop {
            // SAFETY: context and packet are alive; a null packet means the end.
            let code = unsafe {
                ffi::avcodec_send_packet(
                    self.context.get(),
                    packet.map_or(std::ptr::null(), |it| it.as_ptr().cast_const()),
                )
            };
            let full = code == ffi::AVERROR(EAGAIN);
            self.faults += u64::from(code == ffi::AVERROR_INVALIDDATA);
            if code < 0 && !full && code != ffi::AVERROR_EOF && code != ffi::AVERROR_INVALIDDATA {
                return Err(fault("the media could not be decoded", code));
            }
            let taken = drain(self)?;
            if !full {
                return Ok(());
            }
            if !taken {
                return Err(Error::internal("a decoder neither takes nor gives"));
            }
        }
    }

    /// Puts the next frame into `frame`, in the place of what it held; false where none is ready.
    fn receive(&mut self, frame: &mut Frame) -> Result<bool> {
        loop {
            // SAFETY: context and frame are ours; the frame lets go of what it held, and on success holds references of its
            // own.
            let code = unsafe { ffi::avcodec_receive_frame(self.context.get(), frame.as_ptr()) };
            match code {
                0.. => return Ok(true),
                ffi::AVERROR_EOF => return Ok(false),
                _ if code == ffi::AVERROR(EAGAIN) => return Ok(false),
                ffi::AVERROR_INVALIDDATA => self.faults += 1,
                _ => return Err(fault("the media could not be decoded", code)),
            }
        }
    }

    /// Forgets everything it was sent, so that it can start anew (also after the end).
    pub fn flush(&mut self) {
        // SAFETY: the context is open.
        unsafe { ffi::avcodec_flush_buffers(self.context.get()) };
    }
}

/// What a video encoder is asked for.
#[derive(Debug, Clone)]
pub struct VideoSettings {
    /// libav's name of the encoder, such as `libx264`.
    pub codec: String,
    pub width: usize,
    pub height: usize,
    pub format: PixelFormat,
    /// Of the frames sent and the packets taken.
    pub time_base: TimeBase,
    /// A hint for rate control; frames keep their own times.
    pub frame_rate: (i32, i32),
    pub sample_aspect: (u32, u32),
    /// (range, primaries, transfer, matrix) as in [`Frame::colour`].
    pub colour: (i32, i32, i32, i32),
    /// `Some(top field first)` for interlaced pictures.
    pub interlaced: Option<bool>,
    /// The longest distance between keyframes, in frames.
    pub gop: usize,
    pub b_frames: usize,
    pub threads: usize,
    /// Bits a second; 0 leaves it to `options` (crf).
    pub bit_rate: i64,
    /// Parameter sets go into the container's head instead of before keyframes.
    pub global_header: bool,
    pub options: Vec<(String, String)>,
}

/// What an audio encoder is asked for; its input is planar 32-bit float.
#[derive(Debug, Clone)]
pub struct AudioSettings {
    pub codec: String,
    pub sample_rate: u32,
    pub channels: usize,
    pub bit_rate: i64,
    /// As in [`VideoSettings::global_header`].
    pub global_header: bool,
}

/// Whether this build of libav has the encoder it calls `name`.
pub fn has_encoder(name: &str) -> bool {
    Encoder::find(name).is_ok()
}

/// An encoder of one stream.
pub struct Encoder {
    context: Context,
    time_base: TimeBase,
    /// Samples are to be sent with their channels interleaved.
    interleaved: bool,
}

impl Encoder {
    fn find(name: &str) -> Result<*const ffi::AVCodec> {
        super::initialise();
        let c_name = c_string(name)?;
        // SAFETY: looks a name up in a static list.
        let codec = unsafe { ffi::avcodec_find_encoder_by_name(c_name.as_ptr()) };
        if codec.is_null() {
            let detail = format!("this build of libav has no encoder {name}");
            return Err(Error::new(Kind::Unsupported, "no-encoder", detail));
        }
        Ok(codec)
    }

    pub fn video(settings: &VideoSettings) -> Result<Self> {
        let codec = Self::find(&settings.codec)?;
        let context = Context::new(codec)?;
        let too_large =
            || Error::new(Kind::Unsupported, "picture-too-large", "the picture is too large to encode");
        // SAFETY: plain fields of a context that is not open yet; enums are written as the integers they are.
        unsafe {
            let raw = context.get();
            (*raw).width = i32::try_from(settings.width).map_err(|_| too_large())?;
            (*raw).height = i32::try_from(settings.height).map_err(|_| too_large())?;
            enum_field!(raw, pix_fmt = settings.format.0);
            (*raw).time_base = ffi::AVRational { num: settings.time_base.num, den: settings.time_base.den };
            (*raw).framerate =
                ffi::AVRational { num: settings.frame_rate.0, den: settings.frame_rate.1.max(1) };
            (*raw).sample_aspect_ratio = ffi::AVRational {
                num: settings.sample_aspect.0 as i32,
                den: settings.sample_aspect.1 as i32,
            };
            let (range, primaries, transfer, matrix) = settings.colour;
            enum_field!(raw, color_range = range);
            enum_field!(raw, color_primaries = primaries);
            enum_field!(raw, color_trc = transfer);
            enum_field!(raw, colorspace = matrix);
            if let Some(top_first) = settings.interlaced {
                (*raw).flags |= (ffi::AV_CODEC_FLAG_INTERLACED_DCT | ffi::AV_CODEC_FLAG_INTERLACED_ME) as i32;
                enum_field!(raw, field_order = if top_first { 2 } else { 3 });
            }
            (*raw).gop_size = settings.gop as i32;
            (*raw).max_b_frames = settings.b_frames as i32;
            (*raw).thread_count = settings.threads.max(1) as i32;
            (*raw).bit_rate = settings.bit_rate;
            if settings.global_header {
                (*raw).flags |= ffi::AV_CODEC_FLAG_GLOBAL_HEADER as i32;
            }
        }
        let pairs: Vec<(&str, &str)> =
            settings.options.iter().map(|(key, value)| (&**key, &**value)).collect();
        Self::open(context, codec, &pairs, settings.time_base)
    }

    pub fn audio(settings: &AudioSettings) -> Result<Self> {
        let codec = Self::find(&settings.codec)?;
        let context = Context::new(codec)?;
        let time_base = TimeBase::new(1, settings.sample_rate.max(1) as i32);
        // The one encoder used here that wants its channels interleaved.
        let interleaved = settings.codec == "libopus";
        let format = if interleaved {
            ffi::AVSampleFormat::AV_SAMPLE_FMT_FLT
        } else {
            ffi::AVSampleFormat::AV_SAMPLE_FMT_FLTP
        };
        // SAFETY: as in `video`.
        unsafe {
            let raw = context.get();
            (*raw).sample_rate = settings.sample_rate as i32;
            enum_field!(raw, sample_fmt = format as i32);
            ffi::av_channel_layout_default(&mut (*raw).ch_layout, settings.channels as i32);
            (*raw).time_base = ffi::AVRational { num: time_base.num, den: time_base.den };
            (*raw).bit_rate = settings.bit_rate;
            if settings.global_header {
                (*raw).flags |= ffi::AV_CODEC_FLAG_GLOBAL_HEADER as i32;
            }
        }
        let encoder = Self::open(context, codec, &[], time_base)?;
        Ok(Self { interleaved, ..encoder })
    }

    fn open(
        context: Context,
        codec: *const ffi::AVCodec,
        pairs: &[(&str, &str)],
        time_base: TimeBase,
    ) -> Result<Self> {
        let mut options = Options::new(pairs)?;
        // SAFETY: opens our context with the codec it was allocated for.
        check("opening an encoder", unsafe { ffi::avcodec_open2(context.get(), codec, &mut options.0) })?;
        options.all_taken()?;
        Ok(Self { context, time_base, interleaved: false })
    }

    pub fn time_base(&self) -> TimeBase {
        self.time_base
    }

    /// Samples an audio encoder wants in every frame but the last.
    pub fn frame_samples(&self) -> usize {
        // SAFETY: reads an integer of the open context.
        unsafe { (*self.context.get()).frame_size.max(0) as usize }
    }

    /// Sends one frame, or `None` for the end, and hands every packet that is ready to `take`.
    pub fn push(&mut self, frame: Option<&Frame>, mut take: impl FnMut(Packet) -> Result<()>) -> Result<()> {
        let interleaved = frame.filter(|_| self.interleaved).map(Frame::interleaved).transpose()?;
        let frame = interleaved.as_ref().or(frame);
        loop {
            // SAFETY: context and frame are alive; a null frame means the end. The encoder takes its own references.
            let code = unsafe {
                ffi::avcodec_send_frame(
                    self.context.get(),
                    frame.map_or(std::ptr::null(), |it| it.as_ptr().cast_const()),
                )
            };
            let full = code == ffi::AVERROR(EAGAIN);
            if code < 0 && !full && code != ffi::AVERROR_EOF {
                return Err(Error::internal("a picture could not be encoded").with_cause(code));
            }
            let mut taken = false;
            loop {
                let packet = Packet::new()?;
                // SAFETY: context and packet are ours.
                let code = unsafe { ffi::avcodec_receive_packet(self.context.get(), packet.as_ptr()) };
                if code == ffi::AVERROR(EAGAIN) || code == ffi::AVERROR_EOF {
                    break;
                }
                check("encoding", code)?;
                taken = true;
                take(packet)?;
            }
            if !full {
                return Ok(());
            }
            if !taken {
                return Err(Error::internal("an encoder neither takes nor gives"));
            }
        }
    }

    /// Samples an audio encoder puts before the first one it is given.
    pub fn priming(&self) -> i64 {
        // SAFETY: reads an integer of the open context.
        i64::from(unsafe { (*self.context.get()).initial_padding })
    }

    /// As set for pictures; 0/1 for sound.
    pub(super) fn frame_rate(&self) -> ffi::AVRational {
        // SAFETY: reads plain integers of the open context.
        unsafe { (*self.context.get()).framerate }
    }

    pub(super) fn fill(&self, parameters: *mut ffi::AVCodecParameters) -> Result<()> {
        // SAFETY: `parameters` belong to a stream of a muxer that is borrowed by the caller.
        check("describing a stream", unsafe {
            ffi::avcodec_parameters_from_context(parameters, self.context.get())
        })
        .map(drop)
    }
}
