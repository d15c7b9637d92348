//! Groups of pictures: which coded pictures have to be decoded for one, and a decoder that stays where it is, so that
//! the next picture of the group does not begin with the first.

mod plan;

pub use plan::{Coded, Pass, Run};

use super::cut::edge::with_sets;
use super::ffi::{EagerDecoder, Frame, Packet, id};
use super::index::{AccessUnit, ParameterState, SetKind, VideoCodec, VideoTrack};
use super::nal::{self, h264, hevc};
use crate::base::Result;
use crate::base::time::TimeBase;

/// Whether pictures of the track may be taken as they are decoded. A crop at the left or the top is known only to who
/// shows a picture, and other codecs need their container's word.
pub fn is_plain(track: &VideoTrack) -> bool {
    let crops = |state: &ParameterState| {
        let set = state.active.and_then(|it| track.sets.get(usize::from(it)));
        let Some(set) = set.filter(|it| it.kind == SetKind::Sequence) else { return false };
        let mut scratch = Vec::new();
        let content = nal::unescape(&set.bytes, &mut scratch);
        match track.codec {
            VideoCodec::H264 => h264::Sps::parse(content).is_none_or(|it| it.cropped_start),
            VideoCodec::Hevc => hevc::Sps::parse(content).is_none_or(|it| it.cropped_start),
            _ => false,
        }
    };
    codec_id(track.codec).is_some() && !track.states.iter().any(crops)
}

fn codec_id(codec: VideoCodec) -> Option<u32> {
    match codec {
        VideoCodec::H264 => Some(id::H264),
        VideoCodec::Hevc => Some(id::HEVC),
        VideoCodec::Mpeg2 => Some(id::MPEG2),
        VideoCodec::Vp9 | VideoCodec::Av1 | VideoCodec::Other(_) => None,
    }
}

/// A decoder somewhere in a run of coded pictures.
pub struct GopDecoder {
    decoder: EagerDecoder,
    codec: VideoCodec,
    /// The position after the last that was decoded of those that others are predicted from.
    next: usize,
}

impl GopDecoder {
    /// A decoder at the beginning of a run of a codec that [`is_plain`]; `None` for another.
    pub fn open(codec: VideoCodec) -> Result<Option<Self>> {
        let Some(id) = codec_id(codec) else { return Ok(None) };
        Ok(Some(Self { decoder: EagerDecoder::open(id, TimeBase::MPEG)?, codec, next: 0 }))
    }

    /// The position it goes on from.
    pub fn next(&self) -> usize {
        self.next
    }

    pub fn codec(&self) -> VideoCodec {
        self.codec
    }

    /// Goes back to the beginning.
    pub fn restart(&mut self) {
        self.decoder.flush();
        self.next = 0;
    }

    /// Decodes the coded picture at `position` of its run: `unit` of `track`, whose bytes are `bytes`. The second of two
    /// fields gives nothing.
    ///
    /// # Errors
    /// [`crate::base::Kind::Damaged`] where it cannot be decoded without a fault, or says that it is to be turned: then
    /// somebody has to look at it in the way it is shown.
    pub fn feed(
        &mut self,
        position: usize,
        track: &VideoTrack,
        unit: &AccessUnit,
        bytes: Vec<u8>,
    ) -> Result<Option<Frame>> {
        let bytes = if position == 0 { with_sets(track, unit.parameter_set, bytes) } else { bytes };
        if is_turned(self.codec, &bytes) {
            return Err(crate::base::Error::damaged("a picture is to be turned"));
        }
        let mut packet = Packet::from_bytes(&bytes)?;
        packet.set_times(Some(unit.pts), Some(unit.dts));
        let frame = self.decoder.push(&packet)?;
        self.next = self.next.max(position + 1);
        Ok(frame.map(|mut frame| {
            frame.set_pts(Some(unit.pts));
            frame
        }))
    }
}

/// Whether a message asks for the picture to be turned (display_orientation: H.264 §D.1.27, H.265 §D.2.17).
fn is_turned(codec: VideoCodec, unit: &[u8]) -> bool {
    const DISPLAY_ORIENTATION: u32 = 47;
    // Messages stand in front of the slices, and slices are long.
    const LOOKED_AT: usize = 4096;
    let codes = nal::StartCodes::default();
    let mut scratch = Vec::new();
    let mut asks = |unit: &[u8], header: usize| {
        let content = nal::unescape(unit, &mut scratch);
        h264::messages(content.get(header..).unwrap_or_default()).any(|it| it.0 == DISPLAY_ORIENTATION)
    };
    codes.units(&unit[..unit.len().min(LOOKED_AT)]).any(|unit| match (codec, unit.first()) {
        (VideoCodec::H264, Some(head)) if head & 0x1f == h264::kind::SEI => asks(unit, 1),
        (VideoCodec::Hevc, Some(head)) if head >> 1 & 0x3f == hevc::kind::PREFIX_SEI => asks(unit, 2),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_that_ask_to_be_turned_are_told_from_others() {
        // cancel_flag 0, no flips, a quarter turn.
        let orientation = [47, 5, 0x08, 0, 0x08, 0, 0x80, 0x80];
        let unit =
            |head: &[u8], message: &[u8]| [&[0, 0, 1][..], head, message, &[0, 0, 1, 0x65, 9]].concat();
        assert!(is_turned(VideoCodec::H264, &unit(&[6], &orientation)));
        assert!(is_turned(VideoCodec::H264, &unit(&[6], &[[6, 1, 0x84].as_slice(), &orientation].concat())));
        assert!(is_turned(VideoCodec::Hevc, &unit(&[39 << 1, 1], &orientation)));
        assert!(!is_turned(VideoCodec::H264, &unit(&[6], &[6, 1, 0x84, 0x80])));
        assert!(!is_turned(VideoCodec::Mpeg2, &unit(&[6], &orientation)));
    }
}
