//! From the keyframes of a segment to its tiles. Of each keyframe only its own bytes are read and decoded.

use super::{APART, KEPT_QUALITY, MAX_TILES, Tile, Tiles};
use crate::base::time::TimeBase;
use crate::base::{Error, Kind, Result, Token};
use crate::media::cut::{codec_id, with_sets};
use crate::media::ffi::{Decoder, Frame, Packet};
use crate::media::index::{ElementaryReader, FrameIndex, UnitClass, VideoTrack};
use crate::media::picture::{Look, PictureFormat, Raster};
use crate::media::turn::Turn;
use std::ops::Range;

/// The pictures of `track` that can be decoded alone, in decoding order. None where there are only points from which a
/// decoder recovers.
pub fn decoded_alone(track: &VideoTrack) -> Vec<usize> {
    let alone = |it: &usize| {
        let unit = &track.units[*it];
        let class = match unit.class {
            UnitClass::RecoveryPoint { frames } => frames == 0,
            class => class.is_random_access(),
        };
        class && !unit.damaged && !unit.second_field && track.format_of(unit).is_some()
    };
    (0..track.units.len()).filter(alone).collect()
}

/// Those that get a tile, in order of time: at least [`APART`] from each other.
fn chosen(track: &VideoTrack) -> Vec<usize> {
    let mut units = decoded_alone(track);
    units.sort_by_key(|it| track.units[*it].pts);
    let mut last = None;
    units.retain(|it| {
        let pts = track.units[*it].pts;
        let keep = last.is_none_or(|last| TimeBase::MPEG.micros(pts - last) >= APART);
        if keep {
            last = Some(pts);
        }
        keep
    });
    units.truncate(MAX_TILES);
    units
}

/// The tiles of a segment, each as large as fits into `size`; `read` gives bytes of the segment. Empty where nothing can be
/// decoded alone.
///
/// # Errors
/// What `read` says, and what `token` has.
pub fn of_keyframes(
    index: &FrameIndex,
    size: (u32, u32),
    token: &Token,
    read: &mut dyn FnMut(Range<u64>) -> Result<Vec<u8>>,
) -> Result<Tiles> {
    let Some((track, first)) = index.video.as_ref().zip(index.first_pts()) else {
        return Ok(Tiles::default());
    };
    let mut tiles = Vec::new();
    let mut decoder = None;
    for at in chosen(track) {
        token.check()?;
        let decoder = match &mut decoder {
            Some(decoder) => decoder,
            none => none.insert(Decoder::of_codec(codec_id(track.codec), TimeBase::MPEG)?),
        };
        let frame = match decode(decoder, track, at, read) {
            // A picture that cannot be decoded is missing from the storyboard.
            Err(error) if error.kind == Kind::Damaged => continue,
            frame => frame?,
        };
        let when = TimeBase::MPEG.micros(track.units[at].pts - first);
        tiles.extend(frame.map(|it| of_picture(&it, it.turn().unwrap_or_default(), when, size)).transpose()?);
    }
    Ok(Tiles(tiles))
}

/// Decodes the unit at `at`, with its second field where it has one, and nothing else.
fn decode(
    decoder: &mut Decoder,
    track: &VideoTrack,
    at: usize,
    read: &mut dyn FnMut(Range<u64>) -> Result<Vec<u8>>,
) -> Result<Option<Frame>> {
    let fields = 1 + usize::from(track.units.get(at + 1).is_some_and(|it| it.second_field));
    let units = &track.units[at..at + fields];
    let (from, to) = (units[0].offset, units[fields - 1].end);
    let bytes = read(from..to)?;
    let reader = ElementaryReader::window(&bytes, from, track.pid);
    let mut found = None;
    let mut take = |frame: Frame| {
        found.get_or_insert(frame);
        Ok(())
    };
    decoder.flush();
    for (number, unit) in units.iter().enumerate() {
        let mut coded = Vec::with_capacity(unit.size as usize);
        reader.read(unit.extent(), &mut coded)?;
        let coded = if number == 0 { with_sets(track, unit.parameter_set, coded) } else { coded };
        let mut packet = Packet::from_bytes(&coded)?;
        packet.set_times(Some(unit.pts), Some(unit.dts));
        decoder.push(Some(&packet), &mut take)?;
    }
    decoder.push(None, &mut take)?;
    Ok(found)
}

/// A tile of a decoded picture, upright, with square pixels, as large as fits into `size`.
pub fn of_picture(frame: &Frame, turn: Turn, at: i64, (width, height): (u32, u32)) -> Result<Tile> {
    let look = Look { width: Some(width), height: Some(height), ..Look::default() };
    let picture = Raster::of(frame, turn, &look)?;
    let side = |it: usize| u16::try_from(it).map_err(|_| Error::internal("a tile is too large"));
    let (width, height) = (side(picture.width)?, side(picture.height)?);
    Ok(Tile { at, width, height, jpeg: picture.encode(PictureFormat::Jpeg(KEPT_QUALITY))? })
}
