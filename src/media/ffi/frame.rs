//! Frames: reference-counted buffers of libav, as values.

use super::vectors::in_vectors;
use super::{check, ffi, out_of_memory};
use crate::base::{Error, Result};
use crate::media::turn::Turn;
use std::ptr::NonNull;

const NO_PTS: i64 = ffi::AV_NOPTS_VALUE;

/// A pixel format, by libav's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PixelFormat(pub(super) i32);

impl PixelFormat {
    pub const YUV420P: Self = Self(ffi::AVPixelFormat::AV_PIX_FMT_YUV420P as i32);
    pub const YUVJ420P: Self = Self(ffi::AVPixelFormat::AV_PIX_FMT_YUVJ420P as i32);
    pub const RGB24: Self = Self(ffi::AVPixelFormat::AV_PIX_FMT_RGB24 as i32);

    /// The format libav calls `name`.
    pub fn named(name: &str) -> Option<Self> {
        // SAFETY: as in `descriptor`; a descriptor's name is a static string.
        unsafe {
            let mut descriptor = ffi::av_pix_fmt_desc_next(std::ptr::null());
            while !descriptor.is_null() {
                if std::ffi::CStr::from_ptr((*descriptor).name).to_bytes() == name.as_bytes() {
                    let id = ffi::av_pix_fmt_desc_get_id(descriptor);
                    return Some(Self(std::ptr::addr_of!(id).cast::<i32>().read()));
                }
                descriptor = ffi::av_pix_fmt_desc_next(descriptor);
            }
        }
        None
    }

    fn descriptor(self) -> Option<&'static ffi::AVPixFmtDescriptor> {
        // SAFETY: the list is walked from its start and compared as integers, so no enum value is made up; the
        // descriptors are static tables of libavutil.
        unsafe {
            let mut descriptor = ffi::av_pix_fmt_desc_next(std::ptr::null());
            while !descriptor.is_null() {
                let id = ffi::av_pix_fmt_desc_get_id(descriptor);
                if std::ptr::addr_of!(id).cast::<i32>().read() == self.0 {
                    return Some(&*descriptor);
                }
                descriptor = ffi::av_pix_fmt_desc_next(descriptor);
            }
        }
        None
    }

    /// Libav's name, such as `yuv420p`.
    pub fn name(self) -> &'static str {
        self.descriptor()
            // SAFETY: a descriptor's name is a static string of ASCII.
            .map_or("unknown", |it| {
                unsafe { std::ffi::CStr::from_ptr(it.name) }.to_str().unwrap_or("unknown")
            })
    }

    /// Bits of one sample of the first component.
    pub fn depth(self) -> i32 {
        self.descriptor().map_or(0, |it| it.comp[0].depth)
    }

    /// (log2 of horizontal, log2 of vertical) chroma subsampling; (1, 1) for 4:2:0.
    pub fn chroma_shift(self) -> (u8, u8) {
        self.descriptor().map_or((0, 0), |it| (it.log2_chroma_w, it.log2_chroma_h))
    }
}

/// A decoded picture or run of samples. Its buffers may be shared with the decoder, so they are read-only;
/// [`Frame::into_mut`] gives a frame that may be written to.
pub struct Frame(NonNull<ffi::AVFrame>);

// SAFETY: an AVFrame is plain data plus atomically counted buffers; a shared one is never written to.
unsafe impl Send for Frame {}
// SAFETY: through `&Frame` nothing is ever written.
unsafe impl Sync for Frame {}

impl Frame {
    /// A frame of nothing, for a decoder to fill.
    pub fn empty() -> Result<Self> {
        super::initialise();
        // SAFETY: returns a fresh frame or null.
        NonNull::new(unsafe { ffi::av_frame_alloc() }).map(Self).ok_or_else(|| out_of_memory("frame"))
    }

    /// Takes over a frame nobody else holds.
    pub(super) fn from_raw(raw: NonNull<ffi::AVFrame>) -> Self {
        Self(raw)
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::AVFrame {
        self.0.as_ptr()
    }

    fn raw(&self) -> *const ffi::AVFrame {
        self.0.as_ptr()
    }

    /// Two frames over the same buffers. Takes the frame, so that a [`FrameMut`] cannot be shared.
    pub fn share(self) -> Result<(Self, Self)> {
        // SAFETY: gives a fresh frame with references of its own to the same buffers, or null.
        let other = NonNull::new(unsafe { ffi::av_frame_clone(self.raw()) });
        Ok((self, other.map(Self).ok_or_else(|| out_of_memory("frame"))?))
    }

    /// The frame with buffers nobody else reads, copied if need be.
    pub fn into_mut(self) -> Result<FrameMut> {
        // SAFETY: the frame is ours; av_frame_make_writable replaces shared buffers by copies.
        check("copying a frame", unsafe { ffi::av_frame_make_writable(self.as_ptr()) })?;
        Ok(FrameMut(self))
    }

    /// Another frame over the same buffers, with times of its own.
    pub fn another(&self) -> Result<Self> {
        let other = Self::empty()?;
        // SAFETY: both frames are alive; the new one gets references of its own to the buffers, which are read-only.
        check("sharing a frame", unsafe { ffi::av_frame_ref(other.as_ptr(), self.raw()) })?;
        Ok(other)
    }

    /// Presentation time in the time base of the packets that made it.
    pub fn pts(&self) -> Option<i64> {
        // SAFETY: reads an integer of a live frame (this holds for every getter below).
        let (pts, guess) = unsafe { ((*self.raw()).pts, (*self.raw()).best_effort_timestamp) };
        [pts, guess].into_iter().find(|time| *time != NO_PTS)
    }

    pub fn set_pts(&mut self, pts: Option<i64>) {
        // SAFETY: `&mut self` makes the write exclusive; only the header is written, never a shared buffer.
        unsafe { (*self.as_ptr()).pts = pts.unwrap_or(NO_PTS) };
    }

    pub fn set_sample_aspect(&mut self, (num, den): (i32, i32)) {
        // SAFETY: as in `set_pts`.
        unsafe { (*self.as_ptr()).sample_aspect_ratio = ffi::AVRational { num, den } };
    }

    /// Forgets the source's picture type, so that an encoder decides itself; `key` asks for an IDR picture.
    pub fn set_picture_type(&mut self, key: bool) {
        let kind = if key {
            ffi::AVPictureType::AV_PICTURE_TYPE_I
        } else {
            ffi::AVPictureType::AV_PICTURE_TYPE_NONE
        };
        // SAFETY: as in `set_pts`.
        unsafe { (*self.as_ptr()).pict_type = kind };
    }

    /// Asks an encoder for a picture predicted from those before it alone.
    pub fn set_predicted(&mut self) {
        // SAFETY: as in `set_pts`.
        unsafe { (*self.as_ptr()).pict_type = ffi::AVPictureType::AV_PICTURE_TYPE_P };
    }

    pub fn width(&self) -> usize {
        // SAFETY: see `pts`.
        unsafe { (*self.raw()).width.max(0) as usize }
    }

    pub fn height(&self) -> usize {
        // SAFETY: see `pts`.
        unsafe { (*self.raw()).height.max(0) as usize }
    }

    pub fn format(&self) -> PixelFormat {
        // SAFETY: see `pts`; AVFrame.format is a plain integer.
        PixelFormat(unsafe { (*self.raw()).format })
    }

    /// Width of a sample over its height; (1, 1) when the stream does not say.
    pub fn sample_aspect(&self) -> (u32, u32) {
        // SAFETY: see `pts`.
        let ratio = unsafe { (*self.raw()).sample_aspect_ratio };
        match (u32::try_from(ratio.num), u32::try_from(ratio.den)) {
            (Ok(num), Ok(den)) if num > 0 && den > 0 => (num, den),
            _ => (1, 1),
        }
    }

    /// Colour code points as in ISO/IEC 23091-2: (range: 1 limited, 2 full; primaries; transfer; matrix).
    pub fn colour(&self) -> (i32, i32, i32, i32) {
        // SAFETY: see `pts`; enums are read as the integers they are.
        unsafe {
            (
                super::enum_field!(self.raw(), color_range),
                super::enum_field!(self.raw(), color_primaries),
                super::enum_field!(self.raw(), color_trc),
                super::enum_field!(self.raw(), colorspace),
            )
        }
    }

    #[cfg(not(libavutil_60))]
    pub fn is_interlaced(&self) -> bool {
        // SAFETY: see `pts`.
        unsafe { (*self.raw()).interlaced_frame != 0 }
    }

    #[cfg(not(libavutil_60))]
    pub fn is_top_field_first(&self) -> bool {
        // SAFETY: see `pts`.
        unsafe { (*self.raw()).top_field_first != 0 }
    }

    #[cfg(libavutil_60)]
    pub fn is_interlaced(&self) -> bool {
        // SAFETY: see `pts`.
        unsafe { (*self.raw()).flags & ffi::AV_FRAME_FLAG_INTERLACED as i32 != 0 }
    }

    #[cfg(libavutil_60)]
    pub fn is_top_field_first(&self) -> bool {
        // SAFETY: see `pts`.
        unsafe { (*self.raw()).flags & ffi::AV_FRAME_FLAG_TOP_FIELD_FIRST as i32 != 0 }
    }

    /// What a display matrix on the frame asks for, rounded to a quarter turn.
    pub fn turn(&self) -> Option<Turn> {
        // SAFETY: side data lives as long as the frame; a display matrix is nine 32-bit integers, checked by size.
        unsafe {
            let data = ffi::av_frame_get_side_data(
                self.raw(),
                ffi::AVFrameSideDataType::AV_FRAME_DATA_DISPLAYMATRIX,
            );
            if data.is_null() || (*data).size < 36 {
                return None;
            }
            Some(turn_of((*data).data.cast::<i32>()))
        }
    }

    /// Row stride of `plane` in bytes and its rows, as one slice. Empty when there is no such plane, or when the
    /// picture is stored upside down (negative stride), which no decoder used here does.
    pub fn plane(&self, plane: usize) -> (&[u8], usize) {
        let rows = self.plane_rows(plane);
        // SAFETY: see `pts`. A video plane of a frame made by libav has at least stride × (rows − 1) + row bytes, and
        // av_frame_get_plane_buffer gives the buffer those bytes lie in, so the slice is cut to that buffer's end.
        unsafe {
            let frame = &*self.raw();
            if plane >= 4 || frame.data[plane].is_null() || frame.linesize[plane] <= 0 || rows == 0 {
                return (&[], 0);
            }
            let buffer = ffi::av_frame_get_plane_buffer(self.as_ptr(), plane as i32);
            if buffer.is_null() {
                return (&[], 0);
            }
            let stride = frame.linesize[plane] as usize;
            let offset = (frame.data[plane] as usize).wrapping_sub((*buffer).data as usize);
            let length = (stride * rows).min((*buffer).size.saturating_sub(offset));
            (std::slice::from_raw_parts(frame.data[plane], length), stride)
        }
    }

    fn plane_rows(&self, plane: usize) -> usize {
        let (_, shift) = self.format().chroma_shift();
        if plane == 1 || plane == 2 { (self.height() + (1 << shift) - 1) >> shift } else { self.height() }
    }

    /// What its planes take in memory.
    pub fn bytes(&self) -> usize {
        // SAFETY: see `pts`; the pointers are null or buffers of the frame's own.
        unsafe {
            let buffers = (*self.raw()).buf.iter();
            buffers.filter_map(|it| it.as_ref()).map(|it| it.size as usize).sum()
        }
    }

    /// Samples per channel of an audio frame.
    pub fn samples(&self) -> usize {
        // SAFETY: see `pts`.
        unsafe { (*self.raw()).nb_samples.max(0) as usize }
    }

    /// Samples a second of an audio frame.
    pub fn sample_rate(&self) -> u32 {
        // SAFETY: see `pts`.
        unsafe { (*self.raw()).sample_rate.max(0) as u32 }
    }

    pub fn channels(&self) -> usize {
        // SAFETY: see `pts`.
        unsafe { (*self.raw()).ch_layout.nb_channels.max(0) as usize }
    }

    /// The same planar 32-bit float samples with their channels interleaved.
    pub(super) fn interleaved(&self) -> Result<Self> {
        let (channels, samples) = (self.channels(), self.samples());
        let frame = Frame::empty()?;
        // SAFETY: as in `FrameMut::audio`. Interleaved float audio has one buffer of samples × channels floats at
        // data[0], which nobody else holds yet.
        unsafe {
            let raw = frame.as_ptr();
            (*raw).format = ffi::AVSampleFormat::AV_SAMPLE_FMT_FLT as i32;
            (*raw).nb_samples = samples as i32;
            (*raw).sample_rate = self.sample_rate() as i32;
            ffi::av_channel_layout_default(&mut (*raw).ch_layout, channels as i32);
            check("allocating samples", ffi::av_frame_get_buffer(raw, 0))?;
            (*raw).pts = (*self.raw()).pts;
            let out = std::slice::from_raw_parts_mut((*raw).data[0].cast::<f32>(), samples * channels);
            out.fill(0.0);
            for channel in 0..channels {
                for (out, sample) in out.iter_mut().skip(channel).step_by(channels).zip(self.channel(channel))
                {
                    *out = *sample;
                }
            }
        }
        Ok(frame)
    }

    /// One channel of planar 32-bit float samples; empty for any other sample format.
    pub fn channel(&self, channel: usize) -> &[f32] {
        let planar_float = ffi::AVSampleFormat::AV_SAMPLE_FMT_FLTP as i32;
        // SAFETY: see `pts`. For planar float audio, extended_data holds one pointer a channel to nb_samples floats,
        // aligned by libav to more than a float needs.
        unsafe {
            let frame = &*self.raw();
            if frame.format != planar_float || channel >= self.channels() || frame.extended_data.is_null() {
                return &[];
            }
            let data = *frame.extended_data.add(channel);
            if data.is_null() { &[] } else { std::slice::from_raw_parts(data.cast::<f32>(), self.samples()) }
        }
    }

    /// Puts one channel in the place of what `out` held, as 16-bit samples, rounded as libswresample does: floats to the
    /// nearest, halves to even; longer integers cut off. Nothing comes of a channel or a sample format there is not.
    pub fn write_i16(&self, channel: usize, out: &mut Vec<i16>) {
        let (samples, channels) = (self.samples(), self.channels());
        if channel >= channels {
            return out.clear();
        }
        // SAFETY: see `pts`. `format` names the type of the samples and whether each channel has a plane of its own, which
        // is what `elements` wants to be told truly.
        unsafe {
            use ffi::AVSampleFormat as F;
            let format = (*self.raw()).format;
            let (plane, count, at, step) =
                if format >= F::AV_SAMPLE_FMT_U8P as i32 && format != F::AV_SAMPLE_FMT_S64 as i32 {
                    (channel, samples, 0, 1)
                } else {
                    (0, samples.saturating_mul(channels), channel, channels)
                };
            macro_rules! append {
                ($kind:ty, $convert:expr) => {{
                    let all: &[$kind] = self.elements(plane, count);
                    out.clear();
                    if step == 1 {
                        out.extend(all.iter().map($convert));
                    } else {
                        out.extend(all.iter().skip(at).step_by(step).map($convert));
                    }
                }};
            }
            const U8: i32 = F::AV_SAMPLE_FMT_U8 as i32;
            const U8P: i32 = F::AV_SAMPLE_FMT_U8P as i32;
            const S16: i32 = F::AV_SAMPLE_FMT_S16 as i32;
            const S16P: i32 = F::AV_SAMPLE_FMT_S16P as i32;
            const S32: i32 = F::AV_SAMPLE_FMT_S32 as i32;
            const S32P: i32 = F::AV_SAMPLE_FMT_S32P as i32;
            const S64: i32 = F::AV_SAMPLE_FMT_S64 as i32;
            const S64P: i32 = F::AV_SAMPLE_FMT_S64P as i32;
            const FLT: i32 = F::AV_SAMPLE_FMT_FLT as i32;
            const FLTP: i32 = F::AV_SAMPLE_FMT_FLTP as i32;
            const DBL: i32 = F::AV_SAMPLE_FMT_DBL as i32;
            const DBLP: i32 = F::AV_SAMPLE_FMT_DBLP as i32;
            match format {
                U8 | U8P => append!(u8, |it| (i16::from(*it) - 128) << 8),
                S16 | S16P => append!(i16, |it| *it),
                S32 | S32P => append!(i32, |it| (*it >> 16) as i16),
                S64 | S64P => append!(i64, |it| (*it >> 48) as i16),
                FLTP => write_rounded(self.elements(plane, count), out),
                FLT => append!(f32, |it| rounded(*it)),
                DBL | DBLP => {
                    append!(f64, |it| { (*it * 32768.0).round_ties_even().clamp(-32768.0, 32767.0) as i16 })
                }
                _ => out.clear(),
            }
        }
    }

    /// # Safety
    /// The frame holds samples of type `T`, `count` of them in `plane`.
    unsafe fn elements<T>(&self, plane: usize, count: usize) -> &[T] {
        // SAFETY: the caller's promise; libav aligns planes to more than any sample needs, and `linesize[0]` is what each
        // of them has in bytes.
        unsafe {
            let frame = &*self.raw();
            if frame.extended_data.is_null() || frame.linesize[0] <= 0 {
                return &[];
            }
            let data = *frame.extended_data.add(plane);
            let count = count.min(frame.linesize[0] as usize / size_of::<T>());
            if data.is_null() { &[] } else { std::slice::from_raw_parts(data.cast::<T>(), count) }
        }
    }
}

/// A channel's samples as [`rounded`] has them, in the place of what `out` held.
fn write_rounded(samples: &[f32], out: &mut Vec<i16>) {
    // One frame has as many as the one before: then nothing is written twice.
    out.resize(samples.len(), 0);
    in_vectors(
        #[inline(always)]
        || out.iter_mut().zip(samples).for_each(|(to, sample)| *to = rounded(*sample)),
    );
}

/// A float sample as 16 bits. Adding what has no room for a fraction rounds to the nearest, halves to even, in one
/// instruction of every processor; a call for each sample would cost more than decoding it.
#[inline(always)]
fn rounded(sample: f32) -> i16 {
    const NO_FRACTION: f32 = 12_582_912.0;
    let scaled = sample * 32768.0;
    let scaled = if scaled < 32767.0 { scaled } else { 32767.0 };
    let scaled = if scaled > -32768.0 { scaled } else { -32768.0 };
    ((scaled + NO_FRACTION).to_bits() as i32).wrapping_sub(NO_FRACTION.to_bits() as i32) as i16
}

/// # Safety
/// `matrix` points to nine readable 32-bit integers.
pub(super) unsafe fn turn_of(matrix: *const i32) -> Turn {
    // SAFETY: the caller's promise.
    let mut matrix = unsafe { *matrix.cast::<[i32; 9]>() };
    // A point is a row before it: the first column makes what is seen across, the second what is seen down.
    let [a, b, _, c, d, ..] = matrix.map(i64::from);
    let mirrored = a * d - b * c < 0;
    if mirrored {
        (matrix[0], matrix[3]) = (matrix[0].saturating_neg(), matrix[3].saturating_neg());
    }
    // SAFETY: nine integers are read.
    let degrees = unsafe { ffi::av_display_rotation_get(matrix.as_ptr()) };
    if degrees.is_nan() {
        return Turn::NONE;
    }
    // libav counts counter-clockwise.
    Turn::new(((-degrees / 90.0).round() as i64).rem_euclid(4) as u32 * 90, mirrored)
}

impl Drop for Frame {
    fn drop(&mut self) {
        let mut raw = self.0.as_ptr();
        // SAFETY: the frame was allocated by av_frame_alloc and is freed once.
        unsafe { ffi::av_frame_free(&mut raw) };
    }
}

/// A frame whose buffers nobody else holds.
pub struct FrameMut(Frame);

impl FrameMut {
    /// A picture with freshly allocated planes of undefined content.
    pub fn picture(format: PixelFormat, width: usize, height: usize) -> Result<Self> {
        let frame = Frame::empty()?;
        let bad = || Error::internal("a picture larger than libav can hold");
        // SAFETY: the frame is ours and has no buffers yet; av_frame_get_buffer allocates them for these values.
        unsafe {
            (*frame.as_ptr()).format = format.0;
            (*frame.as_ptr()).width = i32::try_from(width).map_err(|_| bad())?;
            (*frame.as_ptr()).height = i32::try_from(height).map_err(|_| bad())?;
            check("allocating a picture", ffi::av_frame_get_buffer(frame.as_ptr(), 0))?;
        }
        Ok(Self(frame))
    }

    /// `samples` zeroed planar float samples of each of `channels` channels.
    pub fn audio(channels: usize, rate: u32, samples: usize) -> Result<Self> {
        let frame = Frame::empty()?;
        // SAFETY: as in `picture`; the layout is the default one for the count of channels.
        unsafe {
            let raw = frame.as_ptr();
            (*raw).format = ffi::AVSampleFormat::AV_SAMPLE_FMT_FLTP as i32;
            (*raw).nb_samples = samples as i32;
            (*raw).sample_rate = rate as i32;
            ffi::av_channel_layout_default(&mut (*raw).ch_layout, channels as i32);
            check("allocating samples", ffi::av_frame_get_buffer(raw, 0))?;
        }
        let mut frame = Self(frame);
        for channel in 0..channels {
            frame.channel_mut(channel).fill(0.0);
        }
        Ok(frame)
    }

    /// Copies everything but the planes (times, colour, aspect) from `other`.
    pub fn copy_properties(&mut self, other: &Frame) -> Result<()> {
        // SAFETY: both frames are alive; only headers and side data are copied.
        check("copying properties", unsafe { ffi::av_frame_copy_props(self.0.as_ptr(), other.raw()) })
            .map(drop)
    }

    /// Marks the picture's colour code points (see [`Frame::colour`]).
    pub fn set_colour(&mut self, range: i32, primaries: i32, transfer: i32, matrix: i32) {
        // SAFETY: the fields are C integers; values come from this program or another frame of the same library.
        unsafe {
            super::enum_field!(self.0.as_ptr(), color_range = range);
            super::enum_field!(self.0.as_ptr(), color_primaries = primaries);
            super::enum_field!(self.0.as_ptr(), color_trc = transfer);
            super::enum_field!(self.0.as_ptr(), colorspace = matrix);
        }
    }

    pub fn plane_mut(&mut self, plane: usize) -> (&mut [u8], usize) {
        let (bytes, stride) = self.0.plane(plane);
        let (start, length) = (bytes.as_ptr().cast_mut(), bytes.len());
        if length == 0 {
            return (&mut [], 0);
        }
        // SAFETY: `FrameMut` is only made with buffers that have one reference, and `&mut self` excludes any other
        // borrow, so the bytes `plane` described may be written.
        (unsafe { std::slice::from_raw_parts_mut(start, length) }, stride)
    }

    pub fn channel_mut(&mut self, channel: usize) -> &mut [f32] {
        let samples = self.0.channel(channel);
        let (start, length) = (samples.as_ptr().cast_mut(), samples.len());
        if length == 0 {
            return &mut [];
        }
        // SAFETY: as in `plane_mut`.
        unsafe { std::slice::from_raw_parts_mut(start, length) }
    }

    pub fn freeze(self) -> Frame {
        self.0
    }
}

impl std::ops::Deref for FrameMut {
    type Target = Frame;
    fn deref(&self) -> &Frame {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{rounded, write_rounded};

    #[test]
    fn floats_are_rounded_as_a_straight_calculation_does() {
        for step in -140_000i32..=140_000 {
            // Quarters of a 16-bit step, past both ends.
            let sample = step as f32 / 4.0 / 32768.0;
            let plain = (sample * 32768.0).round_ties_even().clamp(-32768.0, 32767.0) as i16;
            assert_eq!(rounded(sample), plain, "{step}");
            let mut many = vec![7];
            write_rounded(&[sample; 11], &mut many);
            assert!(many == [plain; 11], "{step}: {many:?}");
        }
    }
}
