//! Picture order counts of HEVC at broken links. They may repeat there (H.265 §8.3.1), but FFmpeg from 7.1 on throws a
//! picture away whose count one of those it still holds for reference has; an IDR picture alone lets go of them.

use super::{Before, EdgeMaker, units};
use crate::base::Result;
use crate::media::cut::plan::{Piece, Place};
use crate::media::index::{UnitClass, VideoCodec, VideoTrack};
use std::ops::ControlFlow;

/// Pictures that a decoder may still hold of ours, more than any does.
pub(super) const HELD: usize = 8;
/// And of any (H.265 §A.4.2).
const HELD_MOST: usize = 16;

impl Before {
    /// Behind `count` pictures encoded anew.
    pub fn encoded(last_dts: i64, count: usize) -> Self {
        Self { last_dts: Some(last_dts), orders: encoded(count, 0).collect() }
    }
}

/// Order counts of the last of `count` pictures encoded, the last first, where that at `again` is another IDR picture:
/// they count from 0, in steps of 1.
fn encoded(count: usize, again: usize) -> impl Iterator<Item = u32> {
    (0..count - again).rev().take(HELD).map(|it| it as u32)
}

/// Which of `count` pictures encoded before a broken link is another IDR picture; 0, the first one, where no other is
/// wanted. `order` is the count of the link itself. `None` where it cannot be avoided that a picture of that count is
/// still held.
pub(super) fn second_start(count: usize, order: usize) -> Option<usize> {
    if order >= count || order + HELD < count {
        return Some(0);
    }
    (order > 0).then(|| count - order.min(count - 1))
}

/// Whether copying may break off at a picture from the order counts before it.
fn breaks_off(track: &VideoTrack, unit: usize) -> bool {
    let class = track.units.get(unit).map(|it| it.class);
    track.codec == VideoCodec::Hevc && matches!(class, Some(UnitClass::Cra | UnitClass::Bla))
}

impl EdgeMaker<'_> {
    /// [`second_start`] for the `count` pictures of encoded piece `number`.
    pub(super) fn second_start(&self, number: usize, count: usize) -> Result<Option<usize>> {
        let Some(Piece::Copy { source, units }) = self.plan.pieces.get(number + 1) else {
            return Ok(Some(0));
        };
        let place = Place { source: *source, unit: units.start };
        let order = if breaks_off(super::track(&self.sources[*source])?, place.unit) {
            self.order(place)?
        } else {
            None
        };
        Ok(order.map_or(Some(0), |order| second_start(count, order as usize)))
    }

    /// Whether copied piece `number` begins at a broken link whose order count one of the pictures copied before it may
    /// have. Those encoded before it are made to suit it.
    pub(super) fn repeats_order(&self, number: usize) -> Result<bool> {
        let Piece::Copy { source, units } = &self.plan.pieces[number] else { return Ok(false) };
        let place = Place { source: *source, unit: units.start };
        let before = number.checked_sub(1).map(|it| &self.plan.pieces[it]);
        let suits = matches!(before, Some(Piece::Encode { .. })) || self.goes_on(number, place);
        if suits || !breaks_off(super::track(&self.sources[*source])?, place.unit) {
            return Ok(false);
        }
        let Some(order) = self.order(place)? else { return Ok(false) };
        Ok(self.held(number)?.contains(&order))
    }

    /// Order counts, in as many bits as slices tell, of the pictures that may be held before piece `number`.
    pub(super) fn held(&self, number: usize) -> Result<Vec<u32>> {
        let mut orders = Vec::new();
        for at in (0..number).rev() {
            let flow = match &self.plan.pieces[at] {
                Piece::Encode { frames, .. } => {
                    let again = self.second_start(at, frames.len())?.unwrap_or(0);
                    orders.extend(encoded(frames.len(), again));
                    ControlFlow::Break(())
                }
                Piece::Copy { source, units } => self.copied(*source, units.clone(), &mut orders)?,
                Piece::Whole { source } => {
                    let units = self.sources[*source].index.video.as_ref().map_or(0, |it| it.units.len());
                    self.copied(*source, 0..units, &mut orders)?
                }
            };
            if flow.is_break() {
                return Ok(orders);
            }
        }
        orders.extend(&self.before.orders);
        orders.truncate(HELD_MOST);
        Ok(orders)
    }

    /// Adds the order counts of pictures copied, the last first, until as many are found as can be held.
    fn copied(
        &self,
        source: usize,
        range: std::ops::Range<usize>,
        orders: &mut Vec<u32>,
    ) -> Result<ControlFlow<()>> {
        let Some(track) = self.sources[source].index.video.as_ref() else {
            return Ok(ControlFlow::Continue(()));
        };
        if track.codec != VideoCodec::Hevc {
            return Ok(ControlFlow::Break(()));
        }
        for unit in range.rev() {
            orders.extend(self.order(Place { source, unit })?);
            if orders.len() >= HELD_MOST || track.units[unit].class == UnitClass::Idr {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn order(&self, place: Place) -> Result<Option<u32>> {
        let track = super::track(&self.sources[place.source])?;
        let state = track.units[place.unit].parameter_set;
        Ok(units::hevc_order(track, state, &self.elementary.picture(place)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_held_picture_has_the_order_of_the_broken_link() {
        for count in 1..40 {
            for order in 0..50 {
                let Some(again) = second_start(count, order) else {
                    assert!(order == 0 && count <= HELD, "{count} {order}");
                    continue;
                };
                assert!(again < count, "{count} {order}");
                let held: BTreeSet<u32> = encoded(count, again).collect();
                assert!(!held.contains(&(order as u32)), "{count} {order}: {again}");
            }
        }
    }
}
