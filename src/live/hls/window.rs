//! What of a stream can be watched: its last segments, their parts as bytes, and the playlist of them. Pure but for memory.
//!
//! Invariant: numbers of segments and heads rise over a stream's life; nothing that was told changes but by its end.

use super::segmenter::{Part, Stretch};
use crate::base::Timestamp;
use crate::base::time::SECOND;
use crate::media::mp4::{Head, Laid, Layout, Total, fragment};
use crate::packaging::low_latency::{self, Media, Quality};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::Arc;

/// How much is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// What playlists tell of, in microseconds.
    pub window: i64,
    /// Segments they tell of.
    pub segments: usize,
    /// Bytes of segments, told of or not.
    pub bytes: usize,
}

/// Segments that are told of whatever their length, if they are there.
const LEAST_SEGMENTS: usize = 3;
/// How long a playlist is at least, in target durations.
const LEAST_TARGETS: i64 = 3;
/// Segments that no playlist tells of any more are kept as long again, for those who read it before (§6.2.2).
const KEPT: i64 = 2;

/// The head of a run of segments.
#[derive(Debug)]
pub struct Heading {
    pub number: u64,
    pub stretch: Stretch,
    /// Pictures, and sound where there is any.
    layouts: Vec<Layout>,
}

impl Heading {
    pub fn new(number: u64, stretch: Stretch) -> Self {
        let tracks = &stretch.epoch.tracks;
        let of = |track: usize| tracks.get(track).and_then(Layout::of);
        let mut layouts: Vec<Layout> =
            [Some(stretch.video), stretch.audio].into_iter().flatten().filter_map(of).collect();
        // Times in files are not negative; sound may begin a little before the first picture.
        let bases: Vec<_> = [Some(stretch.video), stretch.audio]
            .into_iter()
            .flatten()
            .filter_map(|it| tracks.get(it).map(|it| it.time_base))
            .collect();
        let lead = bases.first().map_or(0, |it| SECOND - it.micros(stretch.first).min(SECOND));
        // Whole seconds that are whole ticks of every track.
        let step: i64 = bases.iter().map(|it| i64::from(it.num.max(1))).product();
        let whole = step.saturating_mul(SECOND);
        let seconds = (lead.max(0).saturating_add(whole - 1) / whole).saturating_mul(step);
        for (layout, base) in layouts.iter_mut().zip(&bases) {
            layout.shift = seconds.saturating_mul(base.den.into()) / i64::from(base.num.max(1));
        }
        if let Some(video) = layouts.first_mut() {
            video.lead = stretch.lead;
        }
        Self { number, stretch, layouts }
    }

    /// The head's file, with pictures turned.
    pub fn file(&self, orientation: u8) -> Bytes {
        let tracks = self.layouts.iter().map(|it| (it, Vec::new())).collect();
        Head { tracks, orientation, total: Total::Open }.bytes().into()
    }

    /// A part's file; `None` where it cannot be written.
    pub fn part(&self, sequence: u32, part: &Part) -> Option<Bytes> {
        let samples = [(&part.video, Some(part.video_end)), (&part.audio, part.audio_end)];
        let laid: Vec<Laid<'_>> = (1..)
            .zip(&self.layouts)
            .zip(samples)
            .map(|((number, layout), (samples, end))| Laid { number, layout, samples, end })
            .collect();
        fragment(sequence, &laid).map(Bytes::from)
    }

    fn codecs(&self) -> Vec<String> {
        let tracks = [Some(self.stretch.video), self.stretch.audio];
        tracks.into_iter().flatten().map(|it| self.stretch.epoch.tracks[it].codecs.clone()).collect()
    }
}

#[derive(Debug)]
struct Segment {
    number: u64,
    heading: Arc<Heading>,
    start: Timestamp,
    parts: Vec<low_latency::Part>,
    /// Of each part. Once the segment is complete, slices of `whole`.
    bodies: Vec<Bytes>,
    whole: Option<Bytes>,
    in_parts: bool,
}

impl Segment {
    fn bytes(&self) -> usize {
        self.bodies.iter().map(Bytes::len).sum()
    }

    fn duration(&self) -> i64 {
        self.parts.iter().map(|it| it.duration).sum()
    }

    fn told(&self) -> low_latency::Segment<'_> {
        low_latency::Segment {
            number: self.number,
            head: self.heading.number,
            start: self.start,
            parts: &self.parts,
            in_parts: self.in_parts,
            complete: self.whole.is_some(),
        }
    }
}

/// What is asked of something that has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    Here(T),
    /// It may come.
    Later,
    /// It was here.
    Gone,
    /// It is not known that it ever comes.
    Never,
}

/// The window.
#[derive(Debug)]
pub struct Window {
    limits: Limits,
    /// The longest a part is, in microseconds.
    part_target: i64,
    /// Seconds; never falls.
    target: i64,
    segments: VecDeque<Segment>,
    heading: Option<Arc<Heading>>,
    next_segment: u64,
    next_heading: u64,
    /// Parts ever made.
    parts: u32,
    bytes: usize,
    plain: bool,
}

impl Window {
    pub fn new(limits: Limits, part_target: i64) -> Self {
        Self {
            limits,
            part_target,
            target: 1,
            segments: VecDeque::new(),
            heading: None,
            next_segment: 0,
            next_heading: 0,
            parts: 0,
            bytes: 0,
            plain: false,
        }
    }

    /// From the next segment on, it is handed out in whole segments alone.
    pub fn set_plain(&mut self, plain: bool) {
        self.plain = plain;
    }

    pub fn set_part_target(&mut self, part_target: i64) {
        self.part_target = part_target;
    }

    /// Expects segments of this length, in microseconds.
    pub fn expect(&mut self, segment: i64) {
        self.target = self.target.max(low_latency::target(segment));
    }

    /// Lets go of everything; numbers count on.
    pub fn clear(&mut self) {
        self.segments.clear();
        self.heading = None;
        self.bytes = 0;
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What follows has another head.
    pub fn begin_stretch(&mut self, stretch: Stretch) -> Arc<Heading> {
        let heading = Arc::new(Heading::new(self.next_heading, stretch));
        self.next_heading += 1;
        self.heading = Some(Arc::clone(&heading));
        heading
    }

    pub fn begin_segment(&mut self, start: Timestamp) {
        let Some(heading) = self.heading.clone() else { return };
        self.segments.push_back(Segment {
            number: self.next_segment,
            heading,
            start,
            parts: Vec::new(),
            bodies: Vec::new(),
            whole: None,
            in_parts: !self.plain,
        });
        self.next_segment += 1;
    }

    /// The number of the part that is to come, as its file tells it.
    pub fn next_part(&mut self) -> u32 {
        self.parts = self.parts.wrapping_add(1);
        self.parts
    }

    /// Adds a part to the segment begun last; without a body it is told to be missing.
    pub fn push_part(&mut self, duration: i64, independent: bool, body: Option<Bytes>) {
        let Some(segment) = self.segments.back_mut() else { return };
        segment.parts.push(low_latency::Part { duration, independent, gap: body.is_none() });
        let body = body.unwrap_or_default();
        self.bytes += body.len();
        segment.bodies.push(body);
        self.let_go();
    }

    pub fn end_segment(&mut self) {
        let Some(segment) = self.segments.back_mut().filter(|it| it.whole.is_none()) else { return };
        // One copy now instead of one a viewer: the parts become pieces of the whole.
        let mut whole = BytesMut::with_capacity(segment.bytes());
        segment.bodies.iter().for_each(|it| whole.extend_from_slice(it));
        let whole = whole.freeze();
        let mut from = 0;
        for body in &mut segment.bodies {
            let to = from + body.len();
            *body = whole.slice(from..to);
            from = to;
        }
        segment.whole = Some(whole);
        self.target = self.target.max(low_latency::target(segment.duration()));
        self.let_go();
    }

    fn let_go(&mut self) {
        let mut held: i64 = self.segments.iter().map(Segment::duration).sum();
        let told = self.segments.len() - self.listed();
        let most = self.limits.segments.max(told) * KEPT as usize + 1;
        while self.segments.len() > 2
            && (self.bytes > self.limits.bytes
                || self.segments.len() > most
                || (held > self.limits.window.max(LEAST_TARGETS * self.target * SECOND) * KEPT
                    && self.segments.len() > LEAST_SEGMENTS * KEPT as usize))
        {
            if let Some(gone) = self.segments.pop_front() {
                self.bytes -= gone.bytes();
                held -= gone.duration();
            }
        }
    }

    /// Where those begin that playlists tell of.
    fn listed(&self) -> usize {
        // A playlist is three target durations long, or longer (§6.2.2).
        let least = LEAST_TARGETS * self.target * SECOND;
        let begun = usize::from(self.is_begun());
        let (mut complete, mut length) = (0, 0);
        for segment in self.segments.iter().rev().skip(begun) {
            let more = length + segment.duration();
            let enough = more > self.limits.window || complete >= self.limits.segments;
            if complete >= LEAST_SEGMENTS && length >= least && enough {
                break;
            }
            complete += 1;
            length = more;
        }
        let told = complete + begun;
        self.segments.len() - told
    }

    fn is_begun(&self) -> bool {
        self.segments.back().is_some_and(|it| it.whole.is_none())
    }

    /// Something can be watched.
    pub fn is_ready(&self) -> bool {
        self.segments.iter().any(|it| it.whole.is_some() || (it.in_parts && !it.parts.is_empty()))
    }

    /// There is a segment that is complete.
    pub fn has_segment(&self) -> bool {
        self.segments.iter().any(|it| it.whole.is_some())
    }

    /// The media playlist.
    pub fn playlist(&self, delta: bool) -> String {
        let told: Vec<_> = self.segments.iter().skip(self.listed()).map(Segment::told).collect();
        let in_parts = self.segments.back().is_some_and(|it| it.in_parts);
        low_latency::media(&Media {
            target: self.target,
            part_target: in_parts.then_some(self.part_target),
            discontinuities: told.first().map_or(0, |it| it.head),
            segments: &told,
            delta,
        })
    }

    /// What the master playlist tells; `None` as long as nothing is known.
    pub fn quality(&self) -> Option<Quality> {
        let heading = self.segments.back().map(|it| &it.heading)?;
        let track = &heading.stretch.epoch.tracks[heading.stretch.video];
        let rate = |bytes: usize, micros: i64| {
            (bytes as u128 * 8 * SECOND as u128 / u128::try_from(micros.max(1)).unwrap_or(1)) as u64
        };
        let (bytes, length) =
            self.segments.iter().fold((0, 0), |sum, it| (sum.0 + it.bytes(), sum.1 + it.duration()));
        let average = rate(bytes, length);
        let complete = self.segments.iter().filter(|it| it.whole.is_some());
        let peak = complete.map(|it| rate(it.bytes(), it.duration())).max();
        Some(Quality {
            codecs: heading.codecs(),
            size: (track.width, track.height),
            frame_rate: track.frame_rate,
            peak: peak.unwrap_or(average * 6 / 5).max(average),
            average,
        })
    }

    pub fn heading(&self, number: u64) -> Found<Arc<Heading>> {
        let mut all = self.segments.iter().map(|it| &it.heading).chain(&self.heading);
        match all.find(|it| it.number == number) {
            Some(it) => Found::Here(Arc::clone(it)),
            None if number < self.next_heading => Found::Gone,
            None => Found::Never,
        }
    }

    fn segment_at(&self, number: u64) -> Option<&Segment> {
        let first = self.segments.front()?.number;
        self.segments.get(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    /// A segment's file. One that is begun is waited for, and so is the next.
    pub fn segment(&self, number: u64) -> Found<Bytes> {
        match self.segment_at(number) {
            Some(it) => it.whole.clone().map_or(Found::Later, Found::Here),
            None if number < self.next_segment => Found::Gone,
            None if number == self.next_segment => Found::Later,
            None => Found::Never,
        }
    }

    /// A part's file. The one that comes next, as playlists hint at it, is waited for.
    pub fn part(&self, number: u64, part: usize) -> Found<Bytes> {
        match self.segment_at(number) {
            Some(it) if part < it.bodies.len() && !it.parts[part].gap => Found::Here(it.bodies[part].clone()),
            Some(it) if it.whole.is_none() && part == it.bodies.len() => Found::Later,
            Some(_) => Found::Never,
            None if number < self.next_segment => Found::Gone,
            None if number == self.next_segment && part == 0 && !self.is_begun() => Found::Later,
            None => Found::Never,
        }
    }

    /// The newest segment, by its number, with what it has: parts, and whether it is complete. `None` before the first.
    pub fn newest(&self) -> Option<(u64, usize, bool)> {
        self.segments.back().map(|it| (it.number, it.parts.len(), it.whole.is_some()))
    }

    /// Parts of a complete segment; `None` where it is not complete, or not held.
    pub fn parts_of(&self, number: u64) -> Option<usize> {
        self.segment_at(number).filter(|it| it.whole.is_some()).map(|it| it.parts.len())
    }

    pub fn next_number(&self) -> u64 {
        self.next_segment
    }

    pub fn in_parts(&self) -> bool {
        self.segments.back().map_or(!self.plain, |it| it.in_parts)
    }

    pub fn part_target(&self) -> i64 {
        self.part_target
    }
}

#[cfg(test)]
mod tests;
