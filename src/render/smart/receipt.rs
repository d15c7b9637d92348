//! What a smart cut holds, told without its media.

use super::FIRST_AT;
use super::draw::Drawn;
use crate::archive::Segment;
use crate::base::time::{SECOND, TimeBase};
use crate::base::{Span, Timestamp};
use crate::media::cut::plan::{Piece, Place, RangePlan, Source};
use crate::media::cut::{Container, Holes};
use crate::media::index::{AccessUnit, AudioTrack};
use crate::media::timeline::Anchor;
use serde::Serialize;
use std::collections::BTreeSet;

/// What a cut holds, for people and programs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Receipt {
    /// Pictures of the output.
    pub frames: u64,
    /// Those encoded anew, those of fillings and transitions among them; the others are the source's, bit for bit.
    pub encoded_frames: u64,
    /// Joins that hold by the word of the source's encoder alone, and are proved by decoding when the cut is made: where
    /// one does not hold, more is encoded.
    pub doubtful_joins: u64,
    /// Segments inside the ranges whose bytes are not those their names tell the hash of, and the first names of them:
    /// pictures taken over from them may be damaged.
    pub altered_segments: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub altered: Vec<String>,
    /// Seconds.
    pub duration: f64,
    pub container: &'static str,
    pub content_type: &'static str,
    /// Length of the file, where it is prepared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// About how long the file will be, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_bytes: Option<u64>,
    /// Why all of it is encoded anew, where that is so. Then it is made while it is sent, and its length is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_encode: Option<String>,
    pub cost: Cost,
    pub ranges: Vec<RangeReceipt>,
    /// The output from its start to its end.
    pub timeline: Vec<Entry>,
    #[serde(skip)]
    policy: &'static str,
    /// Bytes of the parts so far, exact for what is copied.
    #[serde(skip)]
    sum: u64,
    /// Picture elements of the pictures so far.
    #[serde(skip)]
    elements: f64,
}

/// What preparing a cut takes, before anything of it is cached.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Cost {
    pub pictures_decoded: u64,
    pub pictures_encoded: u64,
    /// By [`DECODING`] and [`ENCODING`].
    pub estimated_cpu_seconds: f64,
}

/// Seconds of one core that a picture element takes to decode, and to encode with the edges' settings and x264's preset
/// `ultrafast`. Measured as user time on a cloud machine's Xeon: 300 pictures of 720p of FFmpeg's testsrc2 (3.7 Mbit/s) take
/// 0.74 s and 0.87 s. Other machines, codecs and presets differ, mostly by less than a factor of three.
const DECODING: f64 = 2.7e-9;
const ENCODING: f64 = 3.1e-9;

/// Altered segments that are named.
const NAMED: usize = 100;

/// Bytes of a transport stream beside a byte of what it carries, with packets that are not full.
const OVERHEAD: f64 = 1.06;
/// A transport packet, and what it carries.
const PACKET: u64 = 188;
const PAYLOAD: u64 = 184;

#[derive(Debug, Clone, Serialize)]
pub struct RangeReceipt {
    /// What was asked for.
    pub requested: Span,
    /// The first and the last picture of the source.
    pub first: Option<PictureReceipt>,
    pub last: Option<PictureReceipt>,
    /// Seconds that the range begins before what was asked for, and ends after it; negative where it stays inside.
    pub reach_before: f64,
    pub reach_after: f64,
    /// Pictures of the source, those that are seen in transitions too.
    pub frames: u64,
    pub encoded_frames: u64,
    /// Where the range lies in the output, in seconds from its first picture.
    pub output_start: f64,
    pub output_end: f64,
    pub audio: Vec<AudioReceipt>,
    /// What is missing inside.
    pub holes: Vec<HoleReceipt>,
}

/// Sound is taken over in whole frames.
#[derive(Debug, Clone, Serialize)]
pub struct AudioReceipt {
    /// Samples by which the sound begins before the first picture, and ends after the last; negative where it is short.
    pub lead_samples: i64,
    pub trail_samples: i64,
}

#[derive(Debug, Clone, Serialize)]
pub struct HoleReceipt {
    pub start: Timestamp,
    pub end: Timestamp,
    /// As `holes` names it.
    pub policy: &'static str,
    /// Pictures that fill it.
    pub frames: u64,
    /// Where it lies in the output, in seconds.
    pub output_start: f64,
    pub output_end: f64,
}

/// A part of the output.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    pub output_start: f64,
    pub output_end: f64,
    /// When the source shows what begins here; of a hole, when it begins.
    pub source_start: Timestamp,
    pub kind: What,
    /// Counted from 0; of a transition, the range it comes from.
    pub range: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transition: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    Content,
    Hole,
    Transition,
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
    pub(super) fn new(holes: Holes, container: Container) -> Self {
        let policy = match holes {
            Holes::Refuse => "refuse",
            Holes::Skip => "skip",
            Holes::Freeze => "freeze",
            Holes::Black => "black",
        };
        let (container, content_type) = names(container);
        Self { policy, container, content_type, ..Self::default() }
    }

    /// A segment that is not what its name says.
    pub(super) fn altered(&mut self, segment: &Segment) {
        self.altered_segments += 1;
        if self.altered.len() < NAMED {
            self.altered.push(segment.name().to_owned());
        }
    }

    /// The same pictures, all of them encoded into another container.
    pub(super) fn encoded_anew(mut self, container: Container, why: String) -> Self {
        (self.container, self.content_type) = names(container);
        (self.encoded_frames, self.doubtful_joins, self.estimated_bytes) = (self.frames, 0, None);
        let decoded = self.ranges.iter().map(|it| it.frames).sum();
        for range in &mut self.ranges {
            range.encoded_frames = range.frames + range.holes.iter().map(|it| it.frames).sum::<u64>();
            // Samples are cut, not packets.
            range.audio.iter_mut().for_each(|it| (it.lead_samples, it.trail_samples) = (0, 0));
        }
        let each = if self.frames > 0 { self.elements / self.frames as f64 } else { 0.0 };
        self.cost = Cost {
            pictures_decoded: decoded,
            pictures_encoded: self.frames,
            estimated_cpu_seconds: each * (decoded as f64 * DECODING + self.frames as f64 * ENCODING),
        };
        self.full_encode = Some(why);
        self
    }

    /// Says how long the file is, exactly where that is known.
    pub(super) fn close(mut self, bytes: Option<u64>) -> Self {
        self.bytes = bytes;
        self.estimated_bytes = bytes.is_none().then_some(self.sum);
        self
    }

    /// What is known of a range; all that follows in the output belongs to it, or to it and the one before.
    fn range(&mut self, number: usize, span: Span, at: i64) -> &mut RangeReceipt {
        while self.ranges.len() <= number {
            self.ranges.push(RangeReceipt::new(span, seconds(at)));
        }
        &mut self.ranges[number]
    }

    fn enter(&mut self, range: usize, (start, end): (i64, i64), source: Timestamp, kind: What) -> &mut Entry {
        self.duration = seconds(end);
        let (output_start, output_end) = (seconds(start), seconds(end));
        let entry = Entry { output_start, output_end, source_start: source, kind, range, transition: None };
        self.timeline.push(entry);
        let last = self.timeline.len() - 1;
        &mut self.timeline[last]
    }

    /// The pictures of a plan.
    pub(super) fn content(&mut self, number: usize, seen: &Seen<'_>, plan: &RangePlan) {
        let sources = seen.sources;
        self.frames += plan.copied + plan.encoded;
        self.encoded_frames += plan.encoded;
        self.elements += seen.elements() * (plan.copied + plan.encoded) as f64;
        let start = seen.picture(plan.first).time;
        self.enter(number, (plan.start, plan.end), start, What::Content);
        let range = self.range(number, seen.range.span, plan.start);
        range.see(seen, plan);
        range.encoded_frames += plan.encoded;
        range.hear(audio(sources, plan));
        let mut whole = BTreeSet::new();
        for piece in &plan.pieces {
            match piece {
                Piece::Whole { source } => {
                    whole.insert(*source);
                    let source = &sources[*source];
                    self.sum += source.inner.map_or(source.index.bytes, |it| it.bytes);
                }
                Piece::Copy { source, units } => {
                    let copied = &seen.units(*source)[units.clone()];
                    self.add(copied.iter().map(|it| u64::from(it.size)).sum());
                }
                Piece::Encode { frames, from } => {
                    // About as many bytes as the source has for them.
                    let size =
                        |it: &Place| seen.units(it.source).get(it.unit).map_or(0, |it| u64::from(it.size));
                    self.add(frames.iter().map(size).sum());
                    self.work(seen, decoded(seen, frames, *from), frames.len() as u64);
                }
            }
        }
        // The sound of whole segments is in their bytes.
        for sound in plan.sound.iter().filter(|it| !whole.contains(&it.source)) {
            let track = &sources[sound.source].index.audio[sound.track];
            let packets =
                track.frames[sound.frames.clone()].iter().map(|it| u64::from(it.size).div_ceil(PAYLOAD));
            self.sum += packets.sum::<u64>() * PACKET;
        }
    }

    /// A hole, and what fills it: `frames` pictures, of which the first `group` are encoded to look like one beside it.
    pub(super) fn hole(&mut self, number: usize, seen: &Seen<'_>, place: Place, hole: &Hole) {
        let policy = self.policy;
        self.frames += hole.frames;
        self.encoded_frames += hole.frames;
        self.elements += seen.elements() * hole.frames as f64;
        self.enter(number, hole.output, hole.missing.start, What::Hole);
        let range = self.range(number, seen.range.span, hole.output.0);
        range.encoded_frames += hole.frames;
        range.output_end = seconds(hole.output.1);
        range.holes.push(HoleReceipt {
            start: hole.missing.start,
            end: hole.missing.end,
            policy,
            frames: hole.frames,
            output_start: seconds(hole.output.0),
            output_end: seconds(hole.output.1),
        });
        if hole.frames > 0 {
            let keyframes = seen.units(place.source).iter().filter(|it| it.class.is_random_access());
            let keyframe = keyframes.map(|it| u64::from(it.size)).max().unwrap_or(0);
            self.add(hole.frames.div_ceil(hole.group.max(1)) * keyframe);
            self.sum += hole.frames * PACKET;
            self.work(seen, decoded(seen, &[place], seen.decode_start(place)), hole.group);
        }
    }

    /// The end of range `number` and the start of the next, seen together at the times of the first plan.
    pub(super) fn transition(
        &mut self,
        number: usize,
        name: &str,
        seen: &[Seen<'_>; 2],
        plans: [&RangePlan; 2],
    ) {
        let left = plans[0];
        let frames = left.copied + left.encoded;
        self.frames += frames;
        self.encoded_frames += frames;
        self.elements += seen[0].elements() * frames as f64;
        let start = seen[0].picture(left.first).time;
        self.enter(number, (left.start, left.end), start, What::Transition).transition =
            Some(name.to_owned());
        for (side, (seen, plan)) in seen.iter().zip(plans).enumerate() {
            let range = self.range(number + side, seen.range.span, left.start);
            range.see(seen, plan);
            range.encoded_frames += plan.copied + plan.encoded;
            range.output_end = seconds(left.end);
            let from = seen.decode_start(plan.first);
            self.work(seen, decoded(seen, &[plan.last], from), if side == 0 { frames } else { 0 });
        }
        // About as many bytes as the source has for its pictures.
        let units = seen[0].units(left.first.source);
        let size = units.iter().map(|it| u64::from(it.size)).sum::<u64>() / (units.len() as u64).max(1);
        self.add(size * frames);
    }

    /// Adds elementary bytes.
    fn add(&mut self, bytes: u64) {
        self.sum += (bytes as f64 * OVERHEAD) as u64;
    }

    fn work(&mut self, seen: &Seen<'_>, decoded: u64, encoded: u64) {
        self.cost.pictures_decoded += decoded;
        self.cost.pictures_encoded += encoded;
        let seconds = seen.elements() * (decoded as f64 * DECODING + encoded as f64 * ENCODING);
        self.cost.estimated_cpu_seconds += seconds;
    }
}

/// A hole in the output.
pub(super) struct Hole {
    pub missing: Span,
    /// In ticks of 90 kHz.
    pub output: (i64, i64),
    pub frames: u64,
    pub group: u64,
}

/// A run of a range, as it is looked at.
pub(super) struct Seen<'a> {
    pub range: &'a Drawn,
    /// Where the sources begin in the range.
    pub run: usize,
    pub sources: &'a [Source<'a>],
}

impl<'a> Seen<'a> {
    /// Picture elements of a picture.
    fn elements(&self) -> f64 {
        let format = self.sources.first().and_then(|it| it.index.video.as_ref()?.format());
        format.map_or(0.0, |it| f64::from(it.width) * f64::from(it.height))
    }

    fn units(&self, source: usize) -> &'a [AccessUnit] {
        self.sources[source].index.video.as_ref().map_or(&[][..], |track| &track.units)
    }

    fn decode_start(&self, place: Place) -> Place {
        let track = self.sources[place.source].index.video.as_ref();
        Place { unit: track.and_then(|it| it.decode_start(place.unit)).unwrap_or(0), ..place }
    }

    fn picture(&self, place: Place) -> PictureReceipt {
        let segment = &self.range.segments[self.run + place.source];
        let units = self.units(place.source);
        let pts = units.get(place.unit).map_or(0, |unit| unit.pts);
        let shown = units.iter().filter(|unit| !unit.second_field);
        let first = shown.clone().map(|unit| unit.pts).min().unwrap_or(pts);
        PictureReceipt {
            segment: segment.name().to_owned(),
            number: shown.filter(|unit| unit.pts < pts).count(),
            pts,
            time: Anchor { wall: segment.start(), ticks: first, base: TimeBase::MPEG }.wall_of(pts),
        }
    }
}

impl RangeReceipt {
    fn new(requested: Span, output_start: f64) -> Self {
        Self {
            requested,
            first: None,
            last: None,
            reach_before: 0.0,
            reach_after: 0.0,
            frames: 0,
            encoded_frames: 0,
            output_start,
            output_end: output_start,
            audio: Vec::new(),
            holes: Vec::new(),
        }
    }

    /// Takes in the pictures of a plan.
    fn see(&mut self, seen: &Seen<'_>, plan: &RangePlan) {
        let (first, last) = (seen.picture(plan.first), seen.picture(plan.last));
        let shown = seen.units(plan.last.source).get(plan.last.unit).map_or(0, |it| it.pts);
        let lasts = plan.end - (shown + plan.shifts[plan.last.source]);
        let part = |micros: i64| micros as f64 / SECOND as f64;
        self.reach_after = part(last.time + TimeBase::MPEG.micros(lasts) - self.requested.end);
        if self.first.is_none() {
            self.reach_before = part(self.requested.start - first.time);
            self.first = Some(first);
        }
        self.last = Some(last);
        self.frames += plan.copied + plan.encoded;
        self.output_end = seconds(plan.end);
    }

    fn hear(&mut self, audio: Vec<AudioReceipt>) {
        if self.audio.is_empty() {
            self.audio = audio;
            return;
        }
        for (known, now) in self.audio.iter_mut().zip(audio) {
            known.trail_samples = now.trail_samples;
        }
    }
}

/// What a container is called, by people and by HTTP.
fn names(container: Container) -> (&'static str, &'static str) {
    match container {
        Container::TransportStream => ("mpegts", "video/mp2t"),
        Container::Mp4 => ("mp4", "video/mp4"),
        Container::Matroska => ("matroska", "video/x-matroska"),
        Container::WebM => ("webm", "video/webm"),
    }
}

fn seconds(ticks: i64) -> f64 {
    TimeBase::MPEG.seconds(ticks - FIRST_AT)
}

/// Pictures that are decoded to have those at `frames`, from `from` on.
fn decoded(seen: &Seen<'_>, frames: &[Place], from: Place) -> u64 {
    let Some(last) = frames.iter().max() else { return 0 };
    let between = (from.source..=last.source).map(|source| {
        let first = if source == from.source { from.unit } else { 0 };
        let end = if source == last.source { last.unit + 1 } else { usize::MAX };
        seen.units(source).iter().take(end).skip(first).filter(|unit| !unit.second_field).count() as u64
    });
    between.sum()
}

/// How far the sound of a plan reaches beyond its pictures.
fn audio(sources: &[Source<'_>], plan: &RangePlan) -> Vec<AudioReceipt> {
    let tracks = sources.first().map_or(&[][..], |it| &it.index.audio[..]);
    let of = |(number, track): (usize, &AudioTrack)| {
        let whole = plan.pieces.iter().filter_map(|piece| match piece {
            Piece::Whole { source } => Some((*source, 0)),
            _ => None,
        });
        let edges = plan.sound.iter().filter(|it| it.track == number).map(|it| (it.source, it.frames.start));
        let start = |(source, frame): (usize, usize)| {
            Some(sources[source].index.audio.get(number)?.frames.get(frame)?.pts + plan.shifts[source])
        };
        // Frames that are decoded and not heard do not count.
        let heard = plan.heard.iter().filter(|it| it.track == number).map(|it| it.from).min();
        let first = heard.or_else(|| whole.chain(edges).filter_map(start).min());
        let samples =
            |ticks: i64| TimeBase::MPEG.rescale(ticks, TimeBase::new(1, track.sample_rate.max(1) as i32));
        AudioReceipt {
            lead_samples: first.map_or(0, |first| samples(plan.start - first)),
            trail_samples: plan
                .sound_ends
                .get(number)
                .copied()
                .flatten()
                .map_or(0, |end| samples(end - plan.end)),
        }
    };
    tracks.iter().enumerate().map(of).collect()
}
