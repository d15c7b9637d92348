//! What pictures of H.264 say of the references before them (memory management control operations, H.264 §8.2.5.4), set
//! right behind a join: those copied behind a keyframe that may do may name pictures that the source has before it, and
//! that are not there now. The keyframe puts away what is encoded before it, and those behind name only what is there.

use super::{EdgeMaker, Sample, track, units};
use crate::base::Result;
use crate::media::cut::plan::{Piece, Place};
use crate::media::index::{UnitClass, VideoCodec};
use crate::media::nal::marking::Follower;
use std::collections::BTreeMap;

/// Pictures that are not copied as they lie, but with another slice header.
pub(super) type Mended = BTreeMap<Place, Vec<u8>>;

impl EdgeMaker<'_> {
    /// The pictures that need other headers where piece `number` begins with a keyframe that may do, after the encoded
    /// pictures `lead`. None where fields, long-term references or numbers that begin anew are not followed: then the
    /// proof by decoding decides.
    pub(super) fn mend(&self, number: usize, lead: &[Sample]) -> Result<Mended> {
        Ok(self.try_mend(number, lead)?.unwrap_or_default())
    }

    fn try_mend(&self, number: usize, lead: &[Sample]) -> Result<Option<Mended>> {
        let ranges = self.plan.pieces[number..].iter().map_while(|piece| match piece {
            Piece::Copy { source, units } => Some((*source, units)),
            Piece::Whole { .. } | Piece::Encode { .. } => None,
        });
        let ranges: Vec<_> = ranges.collect();
        let (Some((source, first)), Some((last, end))) = (ranges.first(), ranges.last()) else {
            return Ok(None);
        };
        let key = Place { source: *source, unit: first.start };
        let end = Place { source: *last, unit: end.end };
        let (mut mended, mut follower) = (Mended::new(), None);
        for place in self.frames_from(key).take_while(|it| *it < end) {
            self.token.check()?;
            let track = track(&self.sources[place.source])?;
            let unit = &track.units[place.unit];
            if track.codec != VideoCodec::H264 || unit.class == UnitClass::Idr && place != key {
                break;
            }
            if !unit.reference {
                continue;
            }
            let picture = self.elementary.picture(place)?;
            let Some(syntax) = units::slice_syntax(track, unit.parameter_set, &picture) else {
                return Ok(None);
            };
            let Some((frame_num, marking)) = units::marking(&picture, &syntax) else { return Ok(None) };
            if follower.is_none() {
                let numbers = units::references(lead.iter().map(|it| &it.bytes[..]), &syntax.0);
                follower = numbers.map(|it| Follower::new(&syntax.0, &it, frame_num));
            }
            let Some(follower) = &mut follower else { return Ok(None) };
            let taken =
                ranges.iter().any(|(source, units)| *source == place.source && units.contains(&place.unit));
            if !taken {
                if follower.leave(frame_num, &marking).is_none() {
                    return Ok(None);
                }
                continue;
            }
            let Some(needed) = follower.keep(frame_num, &marking) else { return Ok(None) };
            if needed != marking {
                let Some(bytes) = units::with_marking(&picture, &syntax, &needed) else { return Ok(None) };
                mended.insert(place, bytes);
            }
        }
        Ok(Some(mended))
    }

    /// A coded picture for the output.
    pub(super) fn picture(&self, place: Place, mended: &Mended) -> Result<Vec<u8>> {
        mended.get(&place).map_or_else(|| self.elementary.picture(place), |it| Ok(it.clone()))
    }
}
