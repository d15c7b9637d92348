//! Pictures to other sizes and formats, samples to other rates and layouts.

use super::frame::{Frame, FrameMut, PixelFormat};
use super::{check, ffi, out_of_memory};
use crate::base::{Error, Result};
use ffmpeg_next::software::scaling::Flags;
use std::ptr::NonNull;

/// Converts pictures of one size, format and colour to another.
pub struct Scaler(NonNull<ffi::SwsContext>);

// SAFETY: a scaling context may move between threads as long as one uses it at a time.
unsafe impl Send for Scaler {}

impl Scaler {
    /// From pictures like `source` to `format` at `width` × `height`. YUV is read with the matrix and range
    /// `matrix` and `full_range` name (as in [`Frame::colour`]) and, where the target is YUV too, written with the same;
    /// `full_output` makes the target full range.
    pub fn new(
        source: &Frame,
        matrix: i32,
        full_range: bool,
        format: PixelFormat,
        width: usize,
        height: usize,
        full_output: bool,
    ) -> Result<Self> {
        let size = |value: usize| {
            i32::try_from(value)
                .ok()
                .filter(|it| *it > 0)
                .ok_or_else(|| Error::internal("a picture without a size"))
        };
        // Area averaging when shrinking, bicubic otherwise; exact rounding, chroma interpolated at full resolution.
        let shrinks = width * 2 < source.width();
        // By ffmpeg-next's names: what C calls them is a macro up to FFmpeg 7 and an enum from 8 on.
        let kernel = if shrinks { Flags::AREA } else { Flags::BICUBIC };
        let flags = kernel | Flags::ACCURATE_RND | Flags::FULL_CHR_H_INT | Flags::FULL_CHR_H_INP;
        // SAFETY: a fresh context is given integers through its documented options, then initialised; the coefficient
        // tables are static.
        unsafe {
            let context = NonNull::new(ffi::sws_alloc_context()).ok_or_else(|| out_of_memory("scaler"))?;
            let scaler = Self(context);
            let set = |name: &std::ffi::CStr, value: i64| {
                check(
                    "preparing a scaler",
                    ffi::av_opt_set_int(context.as_ptr().cast(), name.as_ptr(), value, 0),
                )
            };
            set(c"srcw", i64::from(size(source.width())?))?;
            set(c"srch", i64::from(size(source.height())?))?;
            set(c"src_format", i64::from(source.format().0))?;
            set(c"dstw", i64::from(size(width)?))?;
            set(c"dsth", i64::from(size(height)?))?;
            set(c"dst_format", i64::from(format.0))?;
            set(c"sws_flags", i64::from(flags.bits()))?;
            let table = ffi::sws_getCoefficients(matrix);
            // A refusal only means that neither side is YUV, where there is no matrix to set.
            let _ = ffi::sws_setColorspaceDetails(
                context.as_ptr(),
                table,
                i32::from(full_range),
                table,
                i32::from(full_output),
                0,
                1 << 16,
                1 << 16,
            );
            check(
                "preparing a scaler",
                ffi::sws_init_context(context.as_ptr(), std::ptr::null_mut(), std::ptr::null_mut()),
            )?;
            Ok(scaler)
        }
    }

    pub fn run(&mut self, source: &Frame, target: &mut FrameMut) -> Result<()> {
        // SAFETY: both frames are alive; `target` owns its planes alone; the caller made the scaler for these sizes, and
        // libav checks the slice against the source height.
        unsafe {
            let (from, to) = (source.as_ptr(), target.as_ptr());
            let rows = ffi::sws_scale(
                self.0.as_ptr(),
                (*from).data.as_ptr().cast(),
                (*from).linesize.as_ptr(),
                0,
                (*from).height,
                (*to).data.as_ptr(),
                (*to).linesize.as_ptr(),
            );
            check("scaling a picture", rows).map(drop)
        }
    }
}

impl Drop for Scaler {
    fn drop(&mut self) {
        // SAFETY: allocated by sws_alloc_context, freed once.
        unsafe { ffi::sws_freeContext(self.0.as_ptr()) };
    }
}

/// Converts audio of any kind to planar 32-bit float at one rate and count of channels.
pub struct Resampler {
    context: NonNull<ffi::SwrContext>,
    rate: u32,
    channels: usize,
    /// What it was set up for: (sample format, rate, channels).
    source: (i32, u32, usize),
}

// SAFETY: as for Scaler.
unsafe impl Send for Resampler {}

impl Resampler {
    fn describe(frame: &Frame) -> (i32, u32, usize) {
        (frame.format().0, frame.sample_rate(), frame.channels())
    }

    pub fn new(source: &Frame, rate: u32, channels: usize) -> Result<Self> {
        let mut context = std::ptr::null_mut();
        // SAFETY: layouts are copied; the input layout is the frame's own.
        let context = unsafe {
            let mut layout: ffi::AVChannelLayout = std::mem::zeroed();
            ffi::av_channel_layout_default(&mut layout, channels as i32);
            let format = std::ptr::addr_of!((*source.as_ptr()).format).cast::<ffi::AVSampleFormat>().read();
            let code = ffi::swr_alloc_set_opts2(
                &mut context,
                &mut layout,
                ffi::AVSampleFormat::AV_SAMPLE_FMT_FLTP,
                rate as i32,
                std::ptr::addr_of_mut!((*source.as_ptr()).ch_layout),
                format,
                source.sample_rate() as i32,
                0,
                std::ptr::null_mut(),
            );
            check("preparing audio", code)?;
            let context = NonNull::new(context).ok_or_else(|| out_of_memory("resampler"))?;
            check("preparing audio", ffi::swr_init(context.as_ptr()))?;
            context
        };
        Ok(Self { context, rate, channels, source: Self::describe(source) })
    }

    /// True when `frame` is of the kind this resampler was made for.
    pub fn fits(&self, frame: &Frame) -> bool {
        self.source == Self::describe(frame)
    }

    /// Converts one frame. Where the rate changes, some samples come with a later frame.
    pub fn run(&mut self, frame: &Frame) -> Result<Frame> {
        // SAFETY: the context is initialised; the output has room for what swr says it may give.
        unsafe {
            let room =
                ffi::swr_get_out_samples(self.context.as_ptr(), frame.samples() as i32).max(0) as usize;
            let target = FrameMut::audio(self.channels, self.rate, room.max(1))?;
            let raw = target.as_ptr();
            let count = ffi::swr_convert(
                self.context.as_ptr(),
                (*raw).extended_data,
                room as i32,
                (*frame.as_ptr()).extended_data.cast(),
                frame.samples() as i32,
            );
            (*raw).nb_samples = check("converting audio", count)?;
            (*raw).pts = (*frame.as_ptr()).pts;
            Ok(target.freeze())
        }
    }
}

impl Drop for Resampler {
    fn drop(&mut self) {
        let mut raw = self.context.as_ptr();
        // SAFETY: allocated by swr_alloc_set_opts2, freed once.
        unsafe { ffi::swr_free(&mut raw) };
    }
}
