//! The unsafe folder: every call into libav, behind types that cannot be misused from safe code.
//!
//! Invariant of the whole folder: a pointer held here is owned by exactly one Rust value, is never null after
//! construction, and is freed once, on drop. `ffmpeg_next`'s own wrappers are not used for contexts, packets
//! and frames, because several of them reach undefined behaviour from safe code (vendor-notes.md lists which);
//! its bindings, error type and codec identifiers are.
#![allow(unsafe_code)]
// The bindings give some constants another integer type with another FFmpeg.
#![allow(clippy::unnecessary_cast)]

mod codec;
mod demux;
mod eager;
mod filter;
mod frame;
mod io;
mod memory;
mod mux;
mod packet;
mod remote;
mod scale;
mod vectors;

pub use codec::{AudioSettings, Decoder, Encoder, Skip, VideoSettings, has_encoder};
pub use demux::{Demuxer, Input, StreamInfo, StreamKind};
pub use eager::EagerDecoder;
pub use filter::{Graph, PictureInput, choices};
pub use frame::{Frame, FrameMut, PixelFormat};
pub use io::MemoryWriter;
pub use memory::{give_back, share_heaps};
pub use mux::{CopiedStream, Muxer, has_muxer};
pub use packet::Packet;
pub use remote::{Allow, Remote};
pub use scale::{Resampler, Scaler};
pub use vectors::in_vectors;

use crate::base::{Error, Result};
use ffmpeg_next::ffi;
use std::ffi::{CStr, CString, c_int};
use std::sync::Once;

/// The codec identifiers this program names. Values come from the bindings, so they follow the headers.
pub mod id {
    use ffmpeg_next::ffi::AVCodecID;
    pub const H264: u32 = AVCodecID::AV_CODEC_ID_H264 as u32;
    pub const HEVC: u32 = AVCodecID::AV_CODEC_ID_HEVC as u32;
    pub const MPEG2: u32 = AVCodecID::AV_CODEC_ID_MPEG2VIDEO as u32;
    pub const AAC: u32 = AVCodecID::AV_CODEC_ID_AAC as u32;
    pub const AAC_LATM: u32 = AVCodecID::AV_CODEC_ID_AAC_LATM as u32;
    pub const MP1: u32 = AVCodecID::AV_CODEC_ID_MP1 as u32;
    pub const MP2: u32 = AVCodecID::AV_CODEC_ID_MP2 as u32;
    pub const MP3: u32 = AVCodecID::AV_CODEC_ID_MP3 as u32;
    pub const AC3: u32 = AVCodecID::AV_CODEC_ID_AC3 as u32;
    pub const EAC3: u32 = AVCodecID::AV_CODEC_ID_EAC3 as u32;
    pub const OPUS: u32 = AVCodecID::AV_CODEC_ID_OPUS as u32;
    pub const FLAC: u32 = AVCodecID::AV_CODEC_ID_FLAC as u32;
    pub const PCM_ALAW: u32 = AVCodecID::AV_CODEC_ID_PCM_ALAW as u32;
    pub const PCM_MULAW: u32 = AVCodecID::AV_CODEC_ID_PCM_MULAW as u32;
    pub const MPEG1: u32 = AVCodecID::AV_CODEC_ID_MPEG1VIDEO as u32;
    pub const VP8: u32 = AVCodecID::AV_CODEC_ID_VP8 as u32;
    pub const VP9: u32 = AVCodecID::AV_CODEC_ID_VP9 as u32;
    pub const AV1: u32 = AVCodecID::AV_CODEC_ID_AV1 as u32;
    pub const VORBIS: u32 = AVCodecID::AV_CODEC_ID_VORBIS as u32;
    pub const SUBRIP: u32 = AVCodecID::AV_CODEC_ID_SUBRIP as u32;
    pub const ASS: u32 = AVCodecID::AV_CODEC_ID_ASS as u32;
    pub const WEBVTT: u32 = AVCodecID::AV_CODEC_ID_WEBVTT as u32;
}

/// Makes libav quiet, once. It would otherwise write to the terminal for every damaged packet; what matters
/// comes back as an error and is logged with its request.
pub fn initialise() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: sets one global integer inside libavutil; no other thread has called libav yet, because
        // every constructor in this folder goes through here first.
        unsafe { ffi::av_log_set_level(ffi::AV_LOG_QUIET) };
    });
}

/// The versions of libav this process runs on, such as `libavcodec 59.37.100`.
pub fn versions() -> Vec<String> {
    let text = |name: &str, version: u32| {
        format!("{name} {}.{}.{}", version >> 16, (version >> 8) & 0xff, version & 0xff)
    };
    // SAFETY: these functions take nothing and return a constant.
    unsafe {
        vec![
            text("libavcodec", ffi::avcodec_version()),
            text("libavformat", ffi::avformat_version()),
            text("libavfilter", ffi::avfilter_version()),
            text("libavutil", ffi::avutil_version()),
            text("libswscale", ffi::swscale_version()),
            text("libswresample", ffi::swresample_version()),
        ]
    }
}

/// The name libav gives a codec, for example `h264`.
pub fn codec_name(id: u32) -> String {
    // SAFETY: avcodec_get_name takes any integer; the bindings' enum is only an integer to it, but a value
    // outside the enum must not be made, so the descriptor is looked up by walking the list instead.
    unsafe {
        let mut descriptor = std::ptr::null();
        loop {
            descriptor = ffi::avcodec_descriptor_next(descriptor);
            if descriptor.is_null() {
                return "unknown".into();
            }
            if std::ptr::addr_of!((*descriptor).id).cast::<u32>().read() == id {
                return CStr::from_ptr((*descriptor).name).to_string_lossy().into_owned();
            }
        }
    }
}

/// Turns a libav return code into what it counts, or an error that says what was being done.
fn check(what: &str, code: c_int) -> Result<c_int> {
    if code >= 0 { Ok(code) } else { Err(fault(what, code)) }
}

fn fault(what: &str, code: c_int) -> Error {
    let text = ffmpeg_next::Error::from(code).to_string();
    match code {
        ffi::AVERROR_EXIT => Error::cancelled(),
        _ if code == ffi::AVERROR(libc_enomem()) => {
            Error::new(crate::base::Kind::Exhausted, "memory", "not enough memory for this picture")
                .with_cause(what)
        }
        _ => Error::damaged(format!("{what}: {text}")),
    }
}

const fn libc_enomem() -> c_int {
    12
}

const EAGAIN: c_int = 11;

fn out_of_memory(what: &str) -> Error {
    Error::new(crate::base::Kind::Exhausted, "memory", format!("not enough memory for a {what}"))
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::internal("a name for libav holds a NUL byte"))
}

/// An AVDictionary for one call. Options the callee did not take are an error: a typing mistake must not be
/// silent.
struct Options(*mut ffi::AVDictionary);

impl Options {
    fn new(pairs: &[(&str, &str)]) -> Result<Self> {
        let mut options = Self(std::ptr::null_mut());
        for (key, value) in pairs {
            let (key, value) = (c_string(key)?, c_string(value)?);
            // SAFETY: the dictionary pointer is ours; key and value are copied by av_dict_set.
            let code = unsafe { ffi::av_dict_set(&mut options.0, key.as_ptr(), value.as_ptr(), 0) };
            check("setting an option", code)?;
        }
        Ok(options)
    }

    /// The callee left this one untaken.
    fn holds(&self, key: &str) -> bool {
        let Ok(key) = c_string(key) else { return false };
        // SAFETY: as in `all_taken`; the key lives during the call.
        unsafe { !ffi::av_dict_get(self.0, key.as_ptr(), std::ptr::null(), 0).is_null() }
    }

    /// Fails when the callee left an option untaken.
    fn all_taken(&self) -> Result<()> {
        // SAFETY: a null dictionary is an empty one to libav; the empty key with IGNORE_SUFFIX finds any entry,
        // whose strings live as long as the dictionary.
        unsafe {
            let entry =
                ffi::av_dict_get(self.0, c"".as_ptr(), std::ptr::null(), ffi::AV_DICT_IGNORE_SUFFIX as c_int);
            if entry.is_null() {
                return Ok(());
            }
            let key = CStr::from_ptr((*entry).key).to_string_lossy().into_owned();
            Err(Error::internal(format!("this build of libav does not know the option {key}")))
        }
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: frees what av_dict_set allocated and nulls the pointer; null is accepted.
        unsafe { ffi::av_dict_free(&mut self.0) };
    }
}

/// Reads a C enum field as the integer it is. A library newer than its headers may hold values the bindings'
/// Rust enum has no name for, and reading such a value as the enum would be undefined.
macro_rules! enum_field {
    ($pointer:expr, $field:ident) => {
        std::ptr::addr_of!((*$pointer).$field).cast::<i32>().read()
    };
    ($pointer:expr, $field:ident = $value:expr) => {
        std::ptr::addr_of_mut!((*$pointer).$field).cast::<i32>().write($value)
    };
}
use enum_field;
