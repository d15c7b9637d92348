//! One picture of a live source, decoded from the samples it was kept as.

use super::{Codec, Sample, Track};
use crate::base::{Error, Kind, Result, Token};
use crate::media::ffi::{Decoder, Frame, Packet, Skip, id};
use crate::media::nal::StartCodes;
use crate::media::nal::boxed::Framing;
use crate::media::nal::prefixed::LENGTH_BYTES;
use crate::media::picture::{Look, PictureFormat, draw};
use crate::media::turn::Turn;
use std::sync::Arc;

/// A decoded picture, and how it says it is to be turned.
pub struct Decoded {
    frame: Frame,
    turn: Turn,
}

/// Decodes the picture of `samples`' track that is shown at `pts`. `samples` are in decoding order, from a keyframe to the
/// wanted picture.
///
/// # Errors
/// `Unsupported` for a codec this build has no decoder for; `Damaged` where nothing can be decoded.
pub fn decode(track: &Track, samples: &[Arc<Sample>], pts: i64, token: &Token) -> Result<Decoded> {
    let codec = match track.codec {
        Codec::H264 => id::H264,
        Codec::Hevc => id::HEVC,
        Codec::Av1 => id::AV1,
        Codec::Vp9 => id::VP9,
        Codec::Other(codec) => codec,
        _ => return Err(Error::new(Kind::Unsupported, "no-decoder", "the track has no pictures")),
    };
    let mut decoder = Decoder::of_codec(codec, track.time_base)?;
    let skips = matches!(track.codec, Codec::H264 | Codec::Hevc) && samples.len() > 2;
    let mut best = run(&mut decoder, track, samples, pts, skips, token)?;
    if skips && best.as_ref().and_then(Frame::pts) != Some(pts) {
        decoder.flush();
        best = run(&mut decoder, track, samples, pts, false, token)?;
    }
    let frame = best.ok_or_else(|| Error::damaged("the picture cannot be decoded"))?;
    let turn = frame.turn().unwrap_or_default();
    Ok(Decoded { frame, turn })
}

/// The last picture at or before `pts`; with `skip`, without decoding what no other picture needs.
fn run(
    decoder: &mut Decoder,
    track: &Track,
    samples: &[Arc<Sample>],
    pts: i64,
    skip: bool,
    token: &Token,
) -> Result<Option<Frame>> {
    let mut best: Option<Frame> = None;
    let mut take = |frame: Frame| {
        let shown = frame.pts().unwrap_or(i64::MIN);
        if shown <= pts && best.as_ref().is_none_or(|it| it.pts().unwrap_or(i64::MIN) < shown) {
            best = Some(frame);
        }
        Ok(())
    };
    for (at, sample) in samples.iter().enumerate() {
        token.check()?;
        let passed = skip && at > 0 && sample.pts != pts;
        decoder.set_skip(if passed { Skip::NonReference } else { Skip::Nothing });
        let mut packet = Packet::from_bytes(&coded(track, sample, at == 0))?;
        packet.set_times(Some(sample.pts), Some(sample.dts));
        decoder.push(Some(&packet), &mut take)?;
    }
    decoder.push(None, &mut take)?;
    Ok(best)
}

/// A sample as a decoder takes it that was told nothing beside: the first with what it has to be told.
fn coded(track: &Track, sample: &Sample, first: bool) -> Vec<u8> {
    let hevc = match track.codec {
        Codec::H264 => false,
        Codec::Hevc => true,
        Codec::Av1 => {
            // Behind four bytes an av1C record holds OBUs (AV1 in ISOBMFF §2.3.3).
            let told = track.config.get(4..).filter(|_| first).unwrap_or_default();
            return [told, &sample.data].concat();
        }
        _ => return sample.data.to_vec(),
    };
    let codes = StartCodes::default();
    let mut out = Vec::with_capacity(sample.data.len() + 256);
    if first {
        for set in Framing::of(&track.config, hevc).1 {
            out.extend_from_slice(&[0, 0, 0, 1]);
            out.extend_from_slice(set);
        }
    }
    Framing::Lengths(LENGTH_BYTES as u8).units(&codes, &sample.data, |unit| {
        out.extend_from_slice(&[0, 0, 0, 1]);
        out.extend_from_slice(unit);
    });
    out
}

impl Decoded {
    /// Writes the picture, turned as `orientation` has it, as `look` has it.
    pub fn draw(&self, orientation: u8, look: &Look, format: PictureFormat) -> Result<Vec<u8>> {
        draw(&self.frame, self.turn.then(Turn::of_orientation(orientation)), look, format)
    }

    /// Bytes it takes in memory.
    pub fn bytes(&self) -> usize {
        self.frame.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::mp4::matrix;

    #[test]
    fn pictures_are_turned_as_files_say() {
        for orientation in 0..=9 {
            let Turn { degrees, mirrored } = Turn::of_orientation(orientation);
            // Where a step to the right and one down lead.
            let turn = |(x, y): (i32, i32)| match degrees {
                90 => (-y, x),
                180 => (-x, -y),
                270 => (y, -x),
                _ => (x, y),
            };
            let step = |from| {
                let (x, y) = turn(from);
                (if mirrored { -x } else { x }, y)
            };
            let told = matrix(orientation);
            let at = |place: usize| (told[place] as i32).signum();
            assert_eq!(step((1, 0)), (at(0), at(1)), "{orientation}");
            assert_eq!(step((0, 1)), (at(3), at(4)), "{orientation}");
        }
    }
}
