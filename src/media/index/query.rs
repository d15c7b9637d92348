//! Questions to an index: what is shown when, and where decoding may begin.

use super::{AccessUnit, FrameIndex, UnitClass, VideoFormat, VideoTrack};
use crate::media::nal::PictureType;
use crate::media::ts::PACKET_BYTES;

impl FrameIndex {
    /// The smallest PTS of a picture; without pictures, of a sound frame.
    pub fn first_pts(&self) -> Option<i64> {
        let pictures = self.video.iter().flat_map(|it| &it.units).map(|it| it.pts).min();
        pictures.or_else(|| self.audio.iter().flat_map(|it| &it.frames).map(|it| it.pts).min())
    }
}

impl VideoTrack {
    /// Fills in what follows from the rest: ends of units, measured reordering. `bytes` is the segment's length.
    pub(super) fn derive(&mut self, bytes: u64) {
        let mut end = bytes;
        for unit in self.units.iter_mut().rev() {
            unit.end = end;
            // A unit that begins inside a packet shares it with the one before.
            end = if unit.skip == 0 { unit.offset } else { unit.offset + PACKET_BYTES as u64 };
        }
        self.has_b = self.units.iter().any(|it| it.picture_type == PictureType::B);
        self.reorder = self.measure_reorder();
    }

    /// For each picture, those decoded before and shown after it; the most of that.
    pub(super) fn measure_reorder(&self) -> u8 {
        // No standard allows more than 16 frames; fields count twice.
        const MOST: usize = 32;
        let waits = |index: usize| {
            let before = &self.units[index.saturating_sub(MOST)..index];
            before.iter().filter(|it| it.pts > self.units[index].pts).count()
        };
        (0..self.units.len()).map(waits).max().unwrap_or(0) as u8
    }

    /// The format of the first picture that has one.
    pub fn format(&self) -> Option<&VideoFormat> {
        self.units.iter().find_map(|it| self.format_of(it))
    }

    /// The format of one picture; `None` when its parameter sets are missing.
    pub fn format_of(&self, unit: &AccessUnit) -> Option<&VideoFormat> {
        let state = self.states.get(usize::from(unit.parameter_set))?;
        state.active.map(|_| &state.format)
    }

    /// Indices of the units by PTS; of equal ones, by decoding order.
    pub fn display_order(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.units.len() as u32).collect();
        order.sort_by_key(|it| self.units[*it as usize].pts);
        order
    }

    /// Indices of the units where a decoder may be started.
    pub fn random_access_points(&self) -> impl Iterator<Item = usize> {
        (0..self.units.len()).filter(|it| self.units[*it].class.is_random_access())
    }

    /// The unit on screen at `pts`: the last in display order that starts at or before it. A frame of two fields
    /// counts by its first.
    pub fn shown_at(&self, pts: i64) -> Option<usize> {
        let shown = |it: &(usize, &AccessUnit)| it.1.pts <= pts && !it.1.second_field;
        self.units.iter().enumerate().filter(shown).max_by_key(|it| it.1.pts).map(|it| it.0)
    }

    /// The last random access point at or before `unit` in decoding order.
    pub fn random_access_before(&self, unit: usize) -> Option<usize> {
        (0..=unit.min(self.units.len().checked_sub(1)?))
            .rev()
            .find(|it| self.units[*it].class.is_random_access())
    }

    /// Whether the unit is decoded after, and shown before, the random access point that precedes it.
    pub fn is_leading(&self, unit: usize) -> bool {
        let point = self.random_access_before(unit);
        point.is_some_and(|it| self.units[unit].pts < self.units[it].pts)
    }

    /// Where a decoder has to begin to show the right picture at `pts`: the last random access point from which the
    /// unit on screen then is right. `None` when that lies before the segment, or nothing is shown yet.
    pub fn gop_start(&self, pts: i64) -> Option<usize> {
        self.decode_start(self.shown_at(pts)?)
    }

    /// The last random access point from which `unit` is decoded right.
    pub fn decode_start(&self, unit: usize) -> Option<usize> {
        let wanted = self.units.get(unit)?;
        // frame_num counts the reference frames before a picture.
        let mut frames_since = 0;
        for point in (0..=unit).rev() {
            let from = &self.units[point];
            if point != unit && from.reference && !from.second_field {
                frames_since += 1;
            }
            let leading = wanted.pts < from.pts;
            let right = match from.class {
                UnitClass::Rasl | UnitClass::Radl | UnitClass::Other => false,
                UnitClass::Idr => true,
                // Right is what has a frame_num that much higher.
                UnitClass::RecoveryPoint { frames } => !leading && frames_since >= usize::from(frames),
                UnitClass::Cra | UnitClass::Bla | UnitClass::KeyOpen => {
                    !leading || wanted.class == UnitClass::Radl
                }
            };
            if right {
                return Some(point);
            }
        }
        None
    }
}
