//! A decoder that hands a picture over as soon as it is decoded.
//!
//! libav keeps pictures back until it is sure which is shown next; to get the last one a decoder has to be drained,
//! after which it cannot go on. A picture's buffer, though, is known when it is asked for, and filled when the packet is
//! taken: decoders of one thread decode while they are sent a packet.

use super::codec::Decoder;
use super::frame::Frame;
use super::packet::Packet;
use super::{ffi, id};
use crate::base::time::TimeBase;
use crate::base::{Error, Result};
use std::ffi::c_int;
use std::ptr::NonNull;

/// Buffers looked at of one packet: the picture's, and those of pictures that are missing.
const MOST: usize = 64;

#[derive(Default)]
struct Caught(Vec<Frame>);

/// A decoder of one thread.
pub struct EagerDecoder {
    decoder: Decoder,
    caught: NonNull<Caught>,
    codec: u32,
}

// SAFETY: as for Decoder; what was caught is reached through the decoder's own calls and `&mut self` alone.
unsafe impl Send for EagerDecoder {}

impl EagerDecoder {
    /// A decoder of H.264, HEVC or MPEG-2 whose packets bring everything along.
    pub fn open(codec: u32, time_base: TimeBase) -> Result<Self> {
        let decoder = Decoder::of_codec(codec, time_base)?;
        let caught = NonNull::from(Box::leak(Box::<Caught>::default()));
        let raw = decoder.raw();
        // SAFETY: both fields are documented as the user's; decoders read them when they want a buffer, in calls of ours.
        // `caught` is taken
        // back only after the callback is (see `drop`).
        unsafe {
            (*raw).opaque = caught.as_ptr().cast();
            (*raw).get_buffer2 = Some(get_buffer);
        }
        Ok(Self { decoder, caught, codec })
    }

    /// Decodes one coded picture. The second of two fields gives nothing: it completes the picture the first one gave.
    ///
    /// # Errors
    /// [`crate::base::Kind::Damaged`] for what cannot be decoded without a fault.
    pub fn push(&mut self, packet: &Packet) -> Result<Option<Frame>> {
        // SAFETY: the allocation is ours and alive, and no callback runs between calls of ours.
        unsafe { self.caught.as_mut() }.0.clear();
        let before = self.decoder.faults();
        self.decoder.push(Some(packet), |_| Ok(()))?;
        if self.decoder.faults() > before {
            return Err(Error::damaged("a picture could not be decoded"));
        }
        // SAFETY: as above.
        let caught = &mut unsafe { self.caught.as_mut() }.0;
        // H.264's decoder makes up frames that are missing before the picture, the others after it.
        let picture = if self.codec == id::H264 {
            caught.pop()
        } else {
            (!caught.is_empty()).then(|| caught.swap_remove(0))
        };
        caught.clear();
        let raw = self.decoder.raw();
        Ok(picture.inspect(|frame| {
            // A buffer is asked for in the coded size. What is cut off at the right and at the bottom is only not looked at.
            // SAFETY: the frame is ours alone; its header is written, its planes are at least that large.
            unsafe {
                let (frame, width, height) = (frame.as_ptr(), (*raw).width, (*raw).height);
                (*frame).width = width.clamp(0, (*frame).width);
                (*frame).height = height.clamp(0, (*frame).height);
            }
        }))
    }

    /// Forgets everything it was sent.
    pub fn flush(&mut self) {
        self.decoder.flush();
    }
}

impl Drop for EagerDecoder {
    fn drop(&mut self) {
        // SAFETY: no call of ours runs any more, and freeing a context asks for no buffer; restoring the default keeps that
        // so whatever libav does. The allocation came from a Box and is taken back once.
        unsafe {
            (*self.decoder.raw()).get_buffer2 = Some(ffi::avcodec_default_get_buffer2);
            drop(Box::from_raw(self.caught.as_ptr()));
        }
    }
}

/// # Safety
/// Called by libav with a context of [`EagerDecoder`] and a frame to give buffers.
unsafe extern "C" fn get_buffer(
    context: *mut ffi::AVCodecContext,
    frame: *mut ffi::AVFrame,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's promise; `opaque` is what `open` put there. A clone has references of its own to the buffers.
    // Nothing here panics.
    unsafe {
        let code = ffi::avcodec_default_get_buffer2(context, frame, flags);
        if code >= 0
            && let Some(caught) = (*context).opaque.cast::<Caught>().as_mut()
            && caught.0.len() < MOST
            && let Some(clone) = NonNull::new(ffi::av_frame_clone(frame))
        {
            caught.0.push(Frame::from_raw(clone));
        }
        code
    }
}
