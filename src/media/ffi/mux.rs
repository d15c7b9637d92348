//! Writing a container to a Rust writer.

use super::codec::Encoder;
use super::demux::Demuxer;
use super::io::{WriteSeek, Writer};
use super::packet::Packet;
use super::{Options, c_string, check, fault, ffi, out_of_memory};
use crate::base::time::TimeBase;
use crate::base::{Error, Result};
use crate::media::turn::Turn;
use std::ffi::CString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;

/// How a stream is described that is taken over from an input.
#[derive(Debug, Clone)]
pub struct CopiedStream {
    /// Of the packets that will come.
    pub base: TimeBase,
    /// Takes the place of the input's.
    pub extradata: Option<Vec<u8>>,
    /// The container's four-character code; `None` lets libav choose.
    pub tag: Option<[u8; 4]>,
    pub name: Option<&'static str>,
}

/// Whether this build of libav can write the container it calls `name`.
pub fn has_muxer(name: &str) -> bool {
    super::initialise();
    // SAFETY: looks a name up in a static list.
    c_string(name).is_ok_and(|name| unsafe {
        !ffi::av_guess_format(name.as_ptr(), std::ptr::null(), std::ptr::null()).is_null()
    })
}

/// A container being written.
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
        Self::over(format, Writer::new(Box::new(write))?)
    }

    /// A muxer into a file, for containers that write their beginning last.
    pub fn seekable(format: &str, file: Box<dyn WriteSeek>) -> Result<Self> {
        super::initialise();
        Self::over(format, Writer::seekable(file)?)
    }

    /// A muxer into the file of this name, which it may read again: to move its index to the front.
    pub fn file(format: &str, path: &Path) -> Result<Self> {
        let fault = |error: std::io::Error| Error::io("the output could not be written", &error);
        let muxer = Self::seekable(format, Box::new(File::create(path).map_err(fault)?))?;
        // The protocol is named, so that no name of a file is taken for another.
        let url = [&b"file:"[..], path.as_os_str().as_bytes()].concat();
        let url = CString::new(url).map_err(|_| Error::internal("a name with a zero in it"))?;
        // SAFETY: the context owns its address, which libav frees with it; the copy is libav's allocation.
        unsafe {
            let url = ffi::av_strdup(url.as_ptr());
            if url.is_null() {
                return Err(out_of_memory("muxer"));
            }
            ffi::av_freep(std::ptr::addr_of_mut!((*muxer.context.as_ptr()).url).cast());
            (*muxer.context.as_ptr()).url = url;
        }
        Ok(muxer)
    }

    fn over(format: &str, writer: Writer) -> Result<Self> {
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

    /// Says how the pictures of `stream` are to be turned, in containers that tell it.
    pub fn set_turn(&mut self, stream: usize, turn: Turn) -> Result<()> {
        if turn.is_none() {
            return Ok(());
        }
        let mut matrix = [0i32; 9];
        // SAFETY: nine integers are written, and copied to as many bytes of the stream's side data, which belongs to the
        // context. The bound of the streams is checked.
        unsafe {
            ffi::av_display_rotation_set(matrix.as_mut_ptr(), f64::from(turn.degrees));
            ffi::av_display_matrix_flip(matrix.as_mut_ptr(), turn.mirrored.into(), 0);
            let context = self.context.as_ptr();
            if stream >= (*context).nb_streams as usize {
                return Err(Error::internal("no such output stream"));
            }
            let size = std::mem::size_of_val(&matrix);
            let data = new_display_matrix(*(*context).streams.add(stream), size);
            if data.is_null() {
                return Err(out_of_memory("stream"));
            }
            std::ptr::copy_nonoverlapping(matrix.as_ptr().cast::<u8>(), data, size);
        }
        Ok(())
    }

    /// Adds a stream like `stream` of `input`: its codec, side data (display matrix, mastering display), shape of
    /// pixels, rate, language and disposition.
    pub fn add_copy(&mut self, input: &Demuxer, stream: usize, copy: &CopiedStream) -> Result<usize> {
        let source = input.stream_pointer(stream).ok_or_else(|| Error::internal("no such stream"))?;
        // SAFETY: the header is not written yet; the new stream belongs to the context, the source's to `input`, which
        // is borrowed. The extradata is an allocation of libav's with the padding it wants, owned by the parameters.
        unsafe {
            let target = ffi::avformat_new_stream(self.context.as_ptr(), std::ptr::null());
            if target.is_null() {
                return Err(out_of_memory("stream"));
            }
            let parameters = (*target).codecpar;
            check("describing a stream", ffi::avcodec_parameters_copy(parameters, (*source).codecpar))?;
            (*parameters).codec_tag = copy.tag.map_or(0, u32::from_le_bytes);
            // Times tell it, below 0.
            (*parameters).initial_padding = 0;
            if let Some(bytes) = &copy.extradata {
                let padding = ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
                let data = ffi::av_mallocz(bytes.len() + padding).cast::<u8>();
                if data.is_null() {
                    return Err(out_of_memory("stream"));
                }
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), data, bytes.len());
                ffi::av_freep(std::ptr::addr_of_mut!((*parameters).extradata).cast());
                (*parameters).extradata = data;
                (*parameters).extradata_size = bytes.len() as i32;
            }
            copy_side_data(source, target)?;
            (*target).time_base = ffi::AVRational { num: copy.base.num, den: copy.base.den };
            (*target).sample_aspect_ratio = (*source).sample_aspect_ratio;
            (*target).avg_frame_rate = (*source).avg_frame_rate;
            (*target).disposition = (*source).disposition;
            if let Some(name) = copy.name {
                let name = c_string(name)?;
                let code = ffi::av_dict_set(&mut (*target).metadata, c"title".as_ptr(), name.as_ptr(), 0);
                check("describing a stream", code)?;
            }
            // By the second, libav's WebM says that pictures come with their opacity.
            for key in [c"language", c"alpha_mode"] {
                let entry = ffi::av_dict_get((*source).metadata, key.as_ptr(), std::ptr::null(), 0);
                if !entry.is_null() {
                    let code = ffi::av_dict_set(&mut (*target).metadata, key.as_ptr(), (*entry).value, 0);
                    check("describing a stream", code)?;
                }
            }
        }
        self.inputs.push(copy.base);
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

/// # Safety
/// The stream is alive, and belongs to a container whose header is not written.
#[cfg(not(libavutil_60))]
unsafe fn new_display_matrix(stream: *mut ffi::AVStream, size: usize) -> *mut u8 {
    let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX;
    // SAFETY: the caller's promise.
    unsafe { ffi::av_stream_new_side_data(stream, kind, size) }
}

/// # Safety
/// The stream is alive, and belongs to a container whose header is not written.
#[cfg(libavutil_60)]
unsafe fn new_display_matrix(stream: *mut ffi::AVStream, size: usize) -> *mut u8 {
    let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX;
    // SAFETY: the caller's promise; the side data is the parameters', which own it.
    unsafe {
        let parameters = (*stream).codecpar;
        let (all, count) = (&mut (*parameters).coded_side_data, &mut (*parameters).nb_coded_side_data);
        let new = ffi::av_packet_side_data_new(all, count, kind, size, 0);
        if new.is_null() { std::ptr::null_mut() } else { (*new).data }
    }
}

/// # Safety
/// Both streams are alive, and `target` belongs to a container whose header is not written.
#[cfg(not(libavutil_60))]
unsafe fn copy_side_data(source: *mut ffi::AVStream, target: *mut ffi::AVStream) -> Result<()> {
    // SAFETY: the caller's promise; the new side data has the size of the old.
    unsafe {
        for number in 0..(*source).nb_side_data.max(0) as usize {
            let old = (*source).side_data.add(number);
            let new = ffi::av_stream_new_side_data(target, (*old).type_, (*old).size);
            if new.is_null() {
                return Err(out_of_memory("stream"));
            }
            std::ptr::copy_nonoverlapping((*old).data, new, (*old).size);
        }
    }
    Ok(())
}

/// Side data travels with the parameters.
///
/// # Safety
/// None is needed; the other form of this function needs it.
#[cfg(libavutil_60)]
unsafe fn copy_side_data(_: *mut ffi::AVStream, _: *mut ffi::AVStream) -> Result<()> {
    Ok(())
}
