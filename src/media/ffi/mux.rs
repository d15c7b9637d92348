//! Writing a container to a Rust writer.

use super::codec::Encoder;
use super::frame::Packet;
use super::io::Writer;
use super::{Options, c_string, check, fault, ffi, out_of_memory};
use crate::base::time::TimeBase;
use crate::base::{Error, Result};
use std::ptr::NonNull;

/// A container being written, forward only.
pub struct Muxer {
    // Freed before the writer its context points to.
    context: NonNull<ffi::AVFormatContext>,
    writer: Writer,
    /// Time bases packets come in, by stream.
    inputs: Vec<TimeBase>,
    started: bool,
}

// SAFETY: as for Demuxer.
unsafe impl Send for Muxer {}

impl Muxer {
    /// A muxer of libav's `format` ("mpegts") into `write`.
    pub fn new(format: &str, write: impl FnMut(&[u8]) -> Result<()> + Send + 'static) -> Result<Self> {
        super::initialise();
        let writer = Writer::new(Box::new(write))?;
        let format = c_string(format)?;
        let mut context = std::ptr::null_mut();
        // SAFETY: allocates a context for a named format; on success it is owned by the Muxer.
        let context = unsafe {
            let code = ffi::avformat_alloc_output_context2(
                &mut context,
                std::ptr::null(),
                format.as_ptr(),
                std::ptr::null(),
            );
            check("opening a container", code)?;
            let context = NonNull::new(context).ok_or_else(|| out_of_memory("muxer"))?;
            (*context.as_ptr()).pb = writer.as_ptr();
            (*context.as_ptr()).flags |= ffi::AVFMT_FLAG_CUSTOM_IO as i32;
            // How far ahead of its decoding a packet may be sent, in microseconds: half the lead of the first picture.
            (*context.as_ptr()).max_delay = 500_000;
            // The same input must give the same bytes: no version strings.
            (*context.as_ptr()).flags |= ffi::AVFMT_FLAG_BITEXACT as i32;
            context
        };
        Ok(Self { context, writer, inputs: Vec::new(), started: false })
    }

    /// Adds the stream an encoder makes; returns its number.
    pub fn add(&mut self, encoder: &Encoder) -> Result<usize> {
        // SAFETY: the header is not written yet; the new stream belongs to the context.
        unsafe {
            let stream = ffi::avformat_new_stream(self.context.as_ptr(), std::ptr::null());
            if stream.is_null() {
                return Err(out_of_memory("stream"));
            }
            encoder.fill((*stream).codecpar)?;
            (*(*stream).codecpar).codec_tag = 0;
            // What Matroska takes for how long a picture lasts.
            (*stream).avg_frame_rate = encoder.frame_rate();
            let base = encoder.time_base();
            (*stream).time_base = ffi::AVRational { num: base.num, den: base.den };
        }
        self.inputs.push(encoder.time_base());
        Ok(self.inputs.len() - 1)
    }

    pub fn start(&mut self, options: &[(&str, &str)]) -> Result<()> {
        let mut options = Options::new(options)?;
        // SAFETY: the context has its streams and its byte stream.
        let code = unsafe { ffi::avformat_write_header(self.context.as_ptr(), &mut options.0) };
        self.outcome("starting a container", code)?;
        options.all_taken()?;
        self.started = true;
        Ok(())
    }

    /// Writes a packet of `stream`, whose times are in the encoder's time base. Takes the packet: libav keeps its
    /// buffer until the streams are interleaved.
    pub fn write(&mut self, stream: usize, mut packet: Packet) -> Result<()> {
        let base = *self.inputs.get(stream).ok_or_else(|| Error::internal("no such output stream"))?;
        packet.set_stream(stream);
        // SAFETY: the header is written, so the stream's time base is final; the packet is ours and given away.
        let code = unsafe {
            let target = (**(*self.context.as_ptr()).streams.add(stream)).time_base;
            let source = ffi::AVRational { num: base.num, den: base.den };
            ffi::av_packet_rescale_ts(packet.as_ptr(), source, target);
            ffi::av_interleaved_write_frame(self.context.as_ptr(), packet.as_ptr())
        };
        self.outcome("writing a packet", code)
    }

    /// Hands what the muxer has finished to the writer now.
    pub fn flush(&mut self) -> Result<()> {
        self.writer.flush()
    }

    /// Writes the end of the container. Dropping a muxer without this leaves an unfinished file.
    pub fn finish(mut self) -> Result<()> {
        if self.started {
            self.started = false;
            // SAFETY: the header is written and the trailer is not.
            let code = unsafe { ffi::av_write_trailer(self.context.as_ptr()) };
            self.outcome("finishing a container", code)?;
        }
        self.writer.flush()
    }

    fn outcome(&mut self, what: &str, code: i32) -> Result<()> {
        match self.writer.failure() {
            Some(failure) => Err(failure),
            None if code < 0 => Err(fault(what, code)),
            None => Ok(()),
        }
    }
}

impl Drop for Muxer {
    fn drop(&mut self) {
        // SAFETY: frees the context once; the byte stream is ours and freed by `writer` next.
        unsafe {
            (*self.context.as_ptr()).pb = std::ptr::null_mut();
            ffi::avformat_free_context(self.context.as_ptr());
        }
    }
}
