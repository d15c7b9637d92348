//! What a smart cut holds, told without its media.

use super::FIRST_AT;
use super::draw::Drawn;
use crate::base::time::TimeBase;
use crate::base::{Span, Timestamp};
use crate::media::cut::plan::{Place, RangePlan};
use crate::media::timeline::Anchor;
use crate::render::index::SegmentIndex;
use serde::Serialize;

/// What a cut holds, for people and programs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Receipt {
    /// Pictures of all ranges.
    pub frames: u64,
    /// Those encoded anew; the others are the source's, bit for bit.
    pub encoded_frames: u64,
    /// Seconds.
    pub duration: f64,
    /// Length of the file.
    pub bytes: u64,
    pub ranges: Vec<RangeReceipt>,
}

#[derive(Debug, Clone, Serialize)]
pub struct RangeReceipt {
    /// What was asked for.
    pub requested: Span,
    /// The first and the last picture.
    pub first: PictureReceipt,
    pub last: PictureReceipt,
    pub frames: u64,
    pub encoded_frames: u64,
    /// Where the range lies in the output, in seconds from its first picture.
    pub output_start: f64,
    pub output_end: f64,
    /// What is missing inside and was passed over.
    pub holes: Vec<Span>,
}

/// A picture of the source.
#[derive(Debug, Clone, Serialize)]
pub struct PictureReceipt {
    pub segment: String,
    /// Its place in the segment in the order pictures are shown, from 0.
    pub number: usize,
    /// In ticks of 90 kHz, as in the segment.
    pub pts: i64,
    /// When it was shown.
    pub time: Timestamp,
}

impl Receipt {
    pub(super) fn add(&mut self, range: &Drawn, indexes: &[SegmentIndex], plan: &RangePlan) {
        let seconds = |ticks: i64| TimeBase::MPEG.seconds(ticks - FIRST_AT);
        let picture = |place: Place| {
            let segment = &range.segments[place.source];
            let units = indexes[place.source].index.video.as_ref().map_or(&[][..], |track| &track.units);
            let pts = units.get(place.unit).map_or(0, |unit| unit.pts);
            let shown = units.iter().filter(|unit| !unit.second_field);
            let first = shown.clone().map(|unit| unit.pts).min().unwrap_or(pts);
            PictureReceipt {
                segment: segment.name().to_owned(),
                number: shown.filter(|unit| unit.pts < pts).count(),
                pts,
                time: Anchor { wall: segment.start(), ticks: first, base: TimeBase::MPEG }.wall_of(pts),
            }
        };
        self.frames += plan.copied + plan.encoded;
        self.encoded_frames += plan.encoded;
        self.duration = seconds(plan.end);
        self.ranges.push(RangeReceipt {
            requested: range.span,
            first: picture(plan.first),
            last: picture(plan.last),
            frames: plan.copied + plan.encoded,
            encoded_frames: plan.encoded,
            output_start: seconds(plan.start),
            output_end: seconds(plan.end),
            holes: range.selection.holes(),
        });
    }
}
