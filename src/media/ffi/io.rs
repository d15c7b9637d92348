//! libav's byte streams over Rust readers and writers. No panic crosses into C, and the first error a reader or
//! writer gives is kept, so that it and not libav's translation of it reaches the caller.

use super::{check, ffi, out_of_memory};
use crate::base::{Error, Result, Token};
use parking_lot::Mutex;
use std::ffi::{c_int, c_void};
use std::io::{Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;

/// Bytes libav asks for at once. The default of 32 KiB costs eight times the calls for no gain.
const BUFFER_BYTES: usize = 256 * 1024;

pub trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

enum Origin {
    Forward(Box<dyn Read + Send>),
    Seekable(Box<dyn ReadSeek>),
}

struct ReadState {
    origin: Origin,
    token: Token,
    failure: Option<Error>,
}

/// An AVIOContext that reads.
pub(super) struct Reader {
    context: NonNull<ffi::AVIOContext>,
    state: *mut ReadState,
}

// SAFETY: the context and its state are used by one thread at a time (whoever owns the Reader); the reader is Send.
unsafe impl Send for Reader {}

impl Reader {
    pub(super) fn new(reader: Box<dyn ReadSeek>, token: Token) -> Result<Self> {
        Self::from(Origin::Seekable(reader), token)
    }

    /// Reads forward only.
    pub(super) fn forward(reader: Box<dyn Read + Send>, token: Token) -> Result<Self> {
        Self::from(Origin::Forward(reader), token)
    }

    fn from(origin: Origin, token: Token) -> Result<Self> {
        let seekable = matches!(origin, Origin::Seekable(_));
        let state = Box::into_raw(Box::new(ReadState { origin, token, failure: None }));
        // SAFETY: the buffer is libav's own allocation (it may reallocate it); `state` outlives the context, since drop
        // frees the context first.
        unsafe {
            let buffer = ffi::av_malloc(BUFFER_BYTES).cast::<u8>();
            let context = if buffer.is_null() {
                std::ptr::null_mut()
            } else {
                ffi::avio_alloc_context(
                    buffer,
                    BUFFER_BYTES as c_int,
                    0,
                    state.cast(),
                    Some(read),
                    None,
                    if seekable { Some(seek) } else { None },
                )
            };
            match NonNull::new(context) {
                Some(context) => Ok(Self { context, state }),
                None => {
                    ffi::av_free(buffer.cast());
                    drop(Box::from_raw(state));
                    Err(out_of_memory("reader"))
                }
            }
        }
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::AVIOContext {
        self.context.as_ptr()
    }

    /// The error that ended reading, if it was the reader's or the token's.
    pub(super) fn failure(&mut self) -> Option<Error> {
        // SAFETY: no libav call is running (we have `&mut self`), so the callbacks do not touch the state.
        unsafe { (*self.state).failure.take() }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // SAFETY: the demuxer that used the context is gone (it owns us and closes first). The buffer is freed through
        // the context because libav may have replaced it.
        unsafe {
            let mut context = self.context.as_ptr();
            ffi::av_freep(std::ptr::addr_of_mut!((*context).buffer).cast());
            ffi::avio_context_free(&mut context);
            drop(Box::from_raw(self.state));
        }
    }
}

unsafe extern "C" fn read(opaque: *mut c_void, buffer: *mut u8, size: c_int) -> c_int {
    // SAFETY: opaque is the ReadState given at creation; libav calls from the thread that owns the Reader.
    let state = unsafe { &mut *opaque.cast::<ReadState>() };
    if let Err(stop) = state.token.check() {
        state.failure = Some(stop);
        return ffi::AVERROR_EXIT;
    }
    // SAFETY: libav gives `size` writable bytes.
    let target = unsafe { std::slice::from_raw_parts_mut(buffer, size.max(0) as usize) };
    let read = AssertUnwindSafe(|| match &mut state.origin {
        Origin::Forward(reader) => reader.read(target),
        Origin::Seekable(reader) => reader.read(target),
    });
    match catch_unwind(read) {
        Ok(Ok(0)) => ffi::AVERROR_EOF,
        Ok(Ok(count)) => count as c_int,
        Ok(Err(error)) => {
            state.failure = Some(Error::io("the media could not be read", &error));
            ffi::AVERROR(5)
        }
        Err(_) => {
            state.failure = Some(Error::internal("reading media panicked"));
            ffi::AVERROR(5)
        }
    }
}

unsafe extern "C" fn seek(opaque: *mut c_void, offset: i64, whence: c_int) -> i64 {
    // SAFETY: as in `read`.
    let state = unsafe { &mut *opaque.cast::<ReadState>() };
    let Origin::Seekable(reader) = &mut state.origin else { return i64::from(ffi::AVERROR(5)) };
    let result = catch_unwind(AssertUnwindSafe(|| {
        if whence & ffi::AVSEEK_SIZE as c_int != 0 {
            let here = reader.stream_position()?;
            let size = reader.seek(SeekFrom::End(0))?;
            reader.seek(SeekFrom::Start(here))?;
            return Ok(size);
        }
        reader.seek(match whence & 3 {
            0 => SeekFrom::Start(offset.max(0) as u64),
            1 => SeekFrom::Current(offset),
            _ => SeekFrom::End(offset),
        })
    }));
    match result {
        Ok(Ok(position)) => position as i64,
        Ok(Err(_)) | Err(_) => i64::from(ffi::AVERROR(5)),
    }
}

type WriteFn = Box<dyn FnMut(&[u8]) -> Result<()> + Send>;

pub trait WriteSeek: Write + Seek + Send {}
impl<T: Write + Seek + Send> WriteSeek for T {}

enum Target {
    Forward(WriteFn),
    Seekable(Box<dyn WriteSeek>),
}

struct WriteState {
    target: Target,
    failure: Option<Error>,
}

/// An AVIOContext that writes.
pub(super) struct Writer {
    context: NonNull<ffi::AVIOContext>,
    state: *mut WriteState,
}

// SAFETY: as for Reader.
unsafe impl Send for Writer {}

impl Writer {
    /// Writes forward only.
    pub(super) fn new(write: WriteFn) -> Result<Self> {
        Self::to(Target::Forward(write))
    }

    pub(super) fn seekable(file: Box<dyn WriteSeek>) -> Result<Self> {
        Self::to(Target::Seekable(file))
    }

    fn to(target: Target) -> Result<Self> {
        let seekable = matches!(target, Target::Seekable(_));
        let state = Box::into_raw(Box::new(WriteState { target, failure: None }));
        // SAFETY: as in Reader::new.
        unsafe {
            let buffer = ffi::av_malloc(BUFFER_BYTES).cast::<u8>();
            let context = if buffer.is_null() {
                std::ptr::null_mut()
            } else {
                ffi::avio_alloc_context(
                    buffer,
                    BUFFER_BYTES as c_int,
                    1,
                    state.cast(),
                    None,
                    Some(write_packet),
                    if seekable { Some(seek_output) } else { None },
                )
            };
            match NonNull::new(context) {
                Some(context) => Ok(Self { context, state }),
                None => {
                    ffi::av_free(buffer.cast());
                    drop(Box::from_raw(state));
                    Err(out_of_memory("writer"))
                }
            }
        }
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::AVIOContext {
        self.context.as_ptr()
    }

    /// Hands what libav still buffers to the writer.
    pub(super) fn flush(&mut self) -> Result<()> {
        // SAFETY: the context is ours and no other libav call runs.
        unsafe {
            ffi::avio_flush(self.context.as_ptr());
            if let Some(failure) = (*self.state).failure.take() {
                return Err(failure);
            }
            check("writing", (*self.context.as_ptr()).error).map(drop)
        }
    }

    pub(super) fn failure(&mut self) -> Option<Error> {
        // SAFETY: as in Reader::failure.
        unsafe { (*self.state).failure.take() }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // SAFETY: as in Reader::drop.
        unsafe {
            let mut context = self.context.as_ptr();
            ffi::av_freep(std::ptr::addr_of_mut!((*context).buffer).cast());
            ffi::avio_context_free(&mut context);
            drop(Box::from_raw(self.state));
        }
    }
}

/// `*mut u8` before libavformat 61, `*const u8` since.
trait BytePointer {
    fn start(self) -> *const u8;
}
impl BytePointer for *mut u8 {
    fn start(self) -> *const u8 {
        self
    }
}
impl BytePointer for *const u8 {
    fn start(self) -> *const u8 {
        self
    }
}

unsafe extern "C" fn write_packet<P: BytePointer>(opaque: *mut c_void, buffer: P, size: c_int) -> c_int {
    // SAFETY: opaque is the WriteState given at creation; libav gives `size` readable bytes.
    let (state, bytes) = unsafe {
        let state = &mut *opaque.cast::<WriteState>();
        (state, std::slice::from_raw_parts(buffer.start(), size.max(0) as usize))
    };
    if state.failure.is_some() {
        return ffi::AVERROR_EXIT;
    }
    let written = catch_unwind(AssertUnwindSafe(|| match &mut state.target {
        Target::Forward(write) => write(bytes),
        Target::Seekable(file) => {
            file.write_all(bytes).map_err(|fault| Error::io("the output could not be written", &fault))
        }
    }));
    match written {
        Ok(Ok(())) => size,
        Ok(Err(error)) => {
            state.failure = Some(error);
            ffi::AVERROR_EXIT
        }
        Err(_) => {
            state.failure = Some(Error::internal("writing media panicked"));
            ffi::AVERROR_EXIT
        }
    }
}

unsafe extern "C" fn seek_output(opaque: *mut c_void, offset: i64, whence: c_int) -> i64 {
    // SAFETY: as in `write_packet`.
    let state = unsafe { &mut *opaque.cast::<WriteState>() };
    let Target::Seekable(file) = &mut state.target else { return i64::from(ffi::AVERROR(5)) };
    let result = catch_unwind(AssertUnwindSafe(|| {
        if whence & ffi::AVSEEK_SIZE as c_int != 0 {
            let here = file.stream_position()?;
            let size = file.seek(SeekFrom::End(0))?;
            file.seek(SeekFrom::Start(here))?;
            return Ok::<u64, std::io::Error>(size);
        }
        file.seek(match whence & 3 {
            0 => SeekFrom::Start(offset.max(0) as u64),
            1 => SeekFrom::Current(offset),
            _ => SeekFrom::End(offset),
        })
    }));
    match result {
        Ok(Ok(position)) => position as i64,
        Ok(Err(_)) | Err(_) => i64::from(ffi::AVERROR(5)),
    }
}

/// A place for a muxer's bytes that the caller empties when it likes.
#[derive(Clone, Default)]
pub struct MemoryWriter(Arc<Mutex<Vec<u8>>>);

impl MemoryWriter {
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock())
    }

    pub fn writer(&self) -> impl FnMut(&[u8]) -> Result<()> + Send + 'static {
        let memory = self.clone();
        move |bytes| {
            memory.0.lock().extend_from_slice(bytes);
            Ok(())
        }
    }
}
