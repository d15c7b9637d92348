//! Blocking playlist reload (RFC 8216bis §6.2.5.2): what a player asks for, and whether it is there. Pure.

use super::window::Window;
use crate::base::time::SECOND;
use crate::base::{Error, Result};

/// What a playlist is to hold before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// Something that every player can begin with: a segment that is complete. Some take a playlist of parts alone for an
    /// empty one, and give up.
    Any,
    Segment(u64),
    Part(u64, usize),
}

/// Segments a player may ask for beyond the last.
const SEGMENTS_AHEAD: u64 = 2;
/// Parts: as many as make this long, and three at least.
const AHEAD: i64 = 3 * SECOND;

impl Awaited {
    /// From `_HLS_msn` and `_HLS_part`.
    pub fn new(msn: Option<u64>, part: Option<u64>) -> Result<Self> {
        match (msn, part) {
            (None, None) => Ok(Self::Any),
            (Some(msn), None) => Ok(Self::Segment(msn)),
            (Some(msn), Some(part)) => Ok(Self::Part(msn, usize::try_from(part).unwrap_or(usize::MAX))),
            (None, Some(_)) => {
                Err(Error::invalid("missing-parameter", "_HLS_msn", "_HLS_part is of use with _HLS_msn only"))
            }
        }
    }

    /// Whether the window holds it.
    ///
    /// # Errors
    /// It is further ahead than a player may ask for.
    pub fn is_in(self, window: &Window) -> Result<bool> {
        let next = window.next_number();
        let (msn, part) = match self {
            Self::Any => return Ok(window.has_segment()),
            Self::Segment(msn) => (msn, None),
            Self::Part(msn, part) => (msn, Some(part)),
        };
        // `next` is one more than the last.
        if msn > next.saturating_add(SEGMENTS_AHEAD - 1) {
            let most = next + SEGMENTS_AHEAD - 1;
            let detail = format!("_HLS_msn is more than two segments ahead: it may be up to {most}");
            return Err(Error::invalid("too-far-ahead", "_HLS_msn", detail));
        }
        let newest = window.newest();
        let complete = newest.map_or(next, |(number, _, complete)| if complete { next } else { number });
        if !window.is_ready() {
            return Ok(false);
        }
        let Some(part) = part.filter(|_| window.in_parts()) else { return Ok(msn < complete) };
        if msn < complete {
            // What is beyond a segment's end is the first part of the next.
            return match window.parts_of(msn) {
                Some(parts) if part >= parts => Self::Part(msn + 1, 0).is_in(window),
                _ => Ok(true),
            };
        }
        let present = newest.filter(|it| it.0 == msn).map_or(0, |it| it.1);
        let ahead = (AHEAD / window.part_target().max(1)).max(3) as usize;
        let most = present + ahead - 2;
        if part > most {
            let detail = format!("_HLS_part is too far ahead: it may be up to {most}");
            return Err(Error::invalid("too-far-ahead", "_HLS_part", detail));
        }
        Ok(part < present)
    }
}

#[cfg(test)]
mod tests;
