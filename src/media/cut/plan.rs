//! What a smart cut copies, decodes, encodes and shifts, as data. Pure: the run only obeys.
//!
//! Of every stretch without a hole, the pictures before the first keyframe of the span are encoded anew, and with them
//! the pictures that lead it and need more than it; then everything is copied as far as decoding order and the end of
//! the span allow, and the pictures left over are encoded anew. A stretch without a keyframe to copy from, and a segment
//! that may stop early, is encoded whole.

mod inner;
mod join;

pub use inner::{Inner, Streak, hollow};

use super::sound::{Heard, Sound, SoundFit};
use crate::base::time::TimeBase;
use crate::base::{Error, Kind, Result, Span, Timestamp};
use crate::media::index::{AccessUnit, FrameIndex, UnitClass, VideoCodec, VideoTrack};
use crate::media::timeline::{Anchor, Joiner};
use join::{Entry, Start};
use std::collections::BTreeSet;
use std::ops::Range;

/// One segment a range may draw from. The segments around the span belong here too: they lend references and sound.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub index: &'a FrameIndex,
    /// When its first picture was shown.
    pub wall: Timestamp,
    /// Nothing is missing between it and the source before.
    pub joined: bool,
    /// False for a segment that may stop early: nothing of it is copied.
    pub whole: bool,
    /// Of a segment away from the edges, where `index` has neither its pictures nor its sound.
    pub inner: Option<&'a Inner>,
}

impl Source<'_> {
    /// When and on which tick its clock is tied to the wall; `None` without a picture.
    pub fn anchor(&self) -> Option<Anchor> {
        let inner = self.inner.map(|it| Anchor { wall: self.wall, ticks: it.first, base: TimeBase::MPEG });
        inner.or_else(|| video(self).ok().map(|track| anchor(self, track)))
    }
}

/// A picture, by its source and its place in decoding order there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub source: usize,
    pub unit: usize,
}

/// What becomes of a part of the range, in output order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A whole segment, patched in place.
    Whole { source: usize },
    /// Coded pictures taken over as they are.
    Copy { source: usize, units: Range<usize> },
    /// Pictures decoded and encoded anew, in the order they are shown; decoding starts at `from`.
    Encode { frames: Vec<Place>, from: Place },
}

/// One range of a cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangePlan {
    pub pieces: Vec<Piece>,
    pub sound: Vec<Sound>,
    /// What is heard of it, where the container trims.
    pub heard: Vec<Heard>,
    /// Output time = time in the source + the shift of its source, in ticks of 90 kHz.
    pub shifts: Vec<i64>,
    /// Output times: where the range's first picture starts and its last ends.
    pub start: i64,
    pub end: i64,
    /// Where the last frame of sound ends, by track.
    pub sound_ends: Vec<Option<i64>>,
    /// Pictures taken over, and pictures encoded anew.
    pub copied: u64,
    pub encoded: u64,
    /// The first and the last picture in the order they are shown.
    pub first: Place,
    pub last: Place,
    /// Where copying starts by the word of the source's encoder alone: to be proved by decoding.
    pub doubtful: Vec<Place>,
}

/// What is known of the places where copying may start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joins {
    /// Nothing comes before the range in the output.
    pub opens_output: bool,
    /// Doubtful places that turned out not to do.
    pub barred: BTreeSet<Place>,
    /// Every doubtful place is barred but this.
    pub only: Option<Place>,
    /// Every doubtful place is barred.
    pub only_certain: bool,
}

/// Part of a range's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Whole {
        source: usize,
    },
    /// Pieces written anew, with the sound of these sources.
    Edge {
        pieces: Range<usize>,
        sources: Range<usize>,
    },
}

/// Pictures encoded anew in one cut at most: 90 seconds at 60 a second. Past it the source has no keyframes to copy
/// from, and a full cut streams what this would hold in memory.
pub const MAX_ENCODED: u64 = 5_400;

/// A coded picture on the way through planning.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    place: Place,
    /// Output time.
    at: i64,
    wanted: bool,
    class: UnitClass,
    reference: bool,
    second_field: bool,
    copyable: bool,
    /// How copying may start here if it can be copied at all; `None` when it may not.
    entry: Option<Entry>,
    /// Hash of the sequence's parameter set.
    sequence: u64,
}

impl Candidate {
    /// Copying may start here.
    fn starts(&self) -> bool {
        self.entry.is_some() && self.copyable
    }

    /// Everything after it can be decoded without what lies before it.
    fn is_closed(&self) -> bool {
        self.entry == Some(Entry::Closed) && self.copyable
    }
}

pub(super) fn video<'a>(source: &Source<'a>) -> Result<&'a VideoTrack> {
    let track = source.index.video.as_ref().filter(|track| !track.units.is_empty());
    track.ok_or_else(|| Error::damaged("a segment of the span holds no picture"))
}

/// When and on which tick the source's clock is tied to the wall.
fn anchor(source: &Source<'_>, track: &VideoTrack) -> Anchor {
    let first = track.units.iter().map(|unit| unit.pts).min().unwrap_or(0);
    Anchor { wall: source.wall, ticks: first, base: TimeBase::MPEG }
}

/// The usual distance between two pictures.
pub fn frame_ticks(track: &VideoTrack) -> i64 {
    let frames = track.units.iter().filter(|unit| !unit.second_field);
    let mut times: Vec<i64> = frames.map(|unit: &AccessUnit| unit.pts).collect();
    times.sort_unstable();
    let mut steps: Vec<i64> =
        times.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 0).collect();
    steps.sort_unstable();
    // A segment of one picture: 25 a second is as good as any.
    steps.get(steps.len() / 2).copied().unwrap_or(3_600)
}

mod aligned;

pub use aligned::{Lacks, lacks, plan_aligned};

/// Plans `[span.start, span.end)` to come out at output tick `at`; `sound_at` is where the sound of the range before
/// ends, by track.
///
/// # Errors
/// `no-content` when no picture of the sources lies in the span; `damaged-media` when a source holds none;
/// `unsupported-source` when the sources are not H.264, HEVC or MPEG-2 on the same PIDs, or too much is to be encoded.
pub fn plan(
    sources: &[Source<'_>],
    span: Span,
    at: i64,
    sound_at: &[Option<i64>],
    fit: SoundFit,
) -> Result<RangePlan> {
    plan_with(sources, span, at, (sound_at, fit), &Joins::default())
}

/// [`plan`], with what is known of the places where copying may start.
///
/// # Errors
/// Those of [`plan`].
pub fn plan_with(
    sources: &[Source<'_>],
    span: Span,
    at: i64,
    (sound_at, fit): (&[Option<i64>], SoundFit),
    joins: &Joins,
) -> Result<RangePlan> {
    check_sources(sources)?;
    let (mut candidates, shifts) = candidates(sources, span, joins)?;
    for stretch in candidates.chunk_by_mut(|a, b| follow(sources, a, b)) {
        join::forget_undecodable(stretch);
    }
    let plan = arrange(sources, span, (candidates, shifts), at, (sound_at, fit), joins.opens_output)?;
    if plan.encoded > MAX_ENCODED {
        return Err(refuse("the source has too few keyframes to copy from"));
    }
    Ok(plan)
}

/// As [`plan`], for pictures of any codec, none of which is encoded.
///
/// # Errors
/// As those of [`plan`]; `unsupported-source` where pictures would have to be encoded.
pub fn plan_without_edges(sources: &[Source<'_>], span: Span, at: i64) -> Result<RangePlan> {
    let found = candidates(sources, span, &Joins::default())?;
    let plan = arrange(sources, span, found, at, (&[], SoundFit::Nearest), false)?;
    if plan.encoded > 0 {
        return Err(refuse("the range does not begin at a keyframe"));
    }
    Ok(plan)
}

/// Whether edges can be made that fit among pictures of this codec.
pub fn can_encode(codec: VideoCodec) -> bool {
    !matches!(codec, VideoCodec::Other(_))
}

/// Chooses what becomes of the pictures that are wanted.
fn arrange(
    sources: &[Source<'_>],
    span: Span,
    (mut candidates, mut shifts): (Vec<Candidate>, Vec<i64>),
    at: i64,
    (sound_at, fit): (&[Option<i64>], SoundFit),
    opens_output: bool,
) -> Result<RangePlan> {
    let wanted = || candidates.iter().filter(|it| it.wanted && !it.second_field);
    let (Some(first), Some(last)) = (wanted().min_by_key(|it| it.at), wanted().max_by_key(|it| it.at)) else {
        let detail = "We have no content available within the requested time range.";
        return Err(Error::new(Kind::Holes, "no-content", detail).with_holes(vec![span]));
    };
    let (first, last) = (*first, *last);
    let move_by = at - first.at;
    candidates.iter_mut().for_each(|it| it.at += move_by);
    shifts.iter_mut().for_each(|it| *it += move_by);
    let end = end_of(sources, &candidates, last.place, last.at + move_by)?;
    let mut plan = RangePlan {
        pieces: Vec::new(),
        sound: Vec::new(),
        heard: Vec::new(),
        shifts,
        start: at,
        end,
        sound_ends: sound_at.to_vec(),
        copied: 0,
        encoded: 0,
        first: first.place,
        last: last.place,
        doubtful: Vec::new(),
    };
    for stretch in candidates.chunk_by(|a, b| follow(sources, a, b)) {
        plan.stretch(sources, stretch, fit, opens_output)?;
    }
    Ok(plan)
}

/// What a smart cut cannot do, and what can be asked for instead.
pub fn refuse(why: &str) -> Error {
    let detail = format!("{why}; ask for type=mpegts, which encodes everything");
    Error::new(Kind::Unsupported, "unsupported-source", detail).with_parameter("type")
}

fn check_sources(sources: &[Source<'_>]) -> Result<()> {
    let Some(first) = sources.first() else { return Ok(()) };
    let than = video(first)?;
    let streams = |source: &Source<'_>| -> Vec<_> {
        source.index.audio.iter().map(|track| (track.codec, track.sample_rate, track.channels)).collect()
    };
    // Inner ones are of the streams of those around them.
    for source in sources.iter().filter(|it| it.inner.is_none()) {
        let track = video(source)?;
        if !can_encode(track.codec) {
            return Err(refuse("smart cuts take H.264, HEVC, MPEG-2, VP9 and AV1"));
        }
        // Under which PIDs they are sent is no matter of pictures and frames.
        let same = track.codec == than.codec
            && source.index.program_changes == 0
            && streams(source) == streams(first);
        if !same {
            return Err(refuse("the source changes its streams inside the span"));
        }
    }
    Ok(())
}

/// Every picture of the sources, but those of inner ones, on one clock, on which the first source starts at 0, and the shift that brought each
/// source there.
fn candidates(sources: &[Source<'_>], span: Span, joins: &Joins) -> Result<(Vec<Candidate>, Vec<i64>)> {
    let mut joiner = Joiner::new(TimeBase::MPEG);
    let (mut all, mut shifts, mut content_end) = (Vec::<Candidate>::new(), Vec::new(), 0);
    for (number, source) in sources.iter().enumerate() {
        let (anchor, last, frame) = source.extent()?;
        let shift = joiner.place(anchor, source.joined, content_end) - anchor.ticks;
        content_end = last + shift + frame;
        shifts.push(shift);
        if source.inner.is_some() {
            continue;
        }
        let track = video(source)?;
        for (unit, it) in track.units.iter().enumerate() {
            let field = it.second_field && unit > 0;
            let place = Place { source: number, unit };
            // A second field is sent with its first, and needs no time of its own.
            let copyable = source.whole && !it.damaged && (field || !it.estimated);
            let is_open = |entry: &Entry| match entry {
                Entry::Doubtful if joins.only.is_some() => joins.only == Some(place),
                Entry::Doubtful => !joins.only_certain && !joins.barred.contains(&place),
                Entry::Closed | Entry::Open => !joins.barred.contains(&place),
            };
            let state = track.states.get(usize::from(it.parameter_set)).and_then(|state| state.active);
            let set = state.and_then(|active| track.sets.get(usize::from(active)));
            all.push(Candidate {
                place,
                at: it.pts + shift,
                // A field goes where its frame goes.
                wanted: if field {
                    all.last().is_some_and(|it| it.wanted)
                } else {
                    anchor.is_inside(it.pts, span)
                },
                class: it.class,
                reference: it.reference,
                second_field: field,
                copyable,
                entry: Entry::of(it, track.codec).filter(|_| !field).filter(is_open),
                sequence: set.map_or(0, |set| set.hash),
            });
        }
    }
    Ok((all, shifts))
}

/// Where the picture at `place`, shown at `at`, ends: where the next one is shown, or after the usual time.
fn end_of(sources: &[Source<'_>], all: &[Candidate], place: Place, at: i64) -> Result<i64> {
    let next = all.iter().filter(|it| it.at > at && !it.second_field).map(|it| it.at).min();
    Ok(next.unwrap_or(at + frame_ticks(video(&sources[place.source])?)))
}

/// Nothing is missing between two pictures that follow each other.
fn follow(sources: &[Source<'_>], a: &Candidate, b: &Candidate) -> bool {
    // Between them lie inner sources, if any.
    (a.place.source + 1..=b.place.source).all(|it| sources[it].joined)
}

impl RangePlan {
    /// The output in order: whole segments, and between them what is written anew.
    pub fn parts(&self) -> Vec<Part> {
        let is_whole = |piece: &Piece| matches!(piece, Piece::Whole { .. });
        let (mut parts, mut at, mut source) = (Vec::new(), 0, 0);
        for run in self.pieces.chunk_by(|a, b| !is_whole(a) && !is_whole(b)) {
            let pieces = at..at + run.len();
            at = pieces.end;
            if let Piece::Whole { source: whole } = &run[0] {
                source = whole + 1;
                parts.push(Part::Whole { source: *whole });
                continue;
            }
            let next = self.pieces[at..].iter().find_map(|piece| match piece {
                Piece::Whole { source } => Some(*source),
                _ => None,
            });
            parts.push(Part::Edge { pieces, sources: source..next.unwrap_or(self.shifts.len()) });
        }
        parts
    }

    fn stretch(
        &mut self,
        sources: &[Source<'_>],
        all: &[Candidate],
        fit: SoundFit,
        opens_output: bool,
    ) -> Result<()> {
        let shown = |it: &&Candidate| it.wanted && !it.second_field;
        let wanted: Vec<&Candidate> = all.iter().filter(shown).collect();
        let (Some(first), Some(last)) =
            (wanted.iter().min_by_key(|it| it.at), wanted.iter().max_by_key(|it| it.at))
        else {
            return Ok(());
        };
        let (start, end) = (first.at, end_of(sources, all, last.place, last.at)?);
        let edges = (
            wanted.iter().map(|it| it.place.source).min().unwrap_or(0),
            wanted.iter().map(|it| it.place.source).max().unwrap_or(0),
        );
        let from = self.pieces.len();
        let (mut at, mut search) = (0, 0);
        while let Some(key) = (search..all.len()).find(|it| all[*it].wanted && all[*it].starts()) {
            search = key + 1;
            let Some(start) = Start::at(all, key) else { continue };
            let Some(end) = start.copy_end(all) else { continue };
            let before: Vec<usize> = (at..key).chain(start.dropped.iter().copied()).collect();
            if start.entry == Entry::Doubtful {
                // Its place in the order of display is told by what comes before: either nothing does, or pictures
                // that are encoded to suit it.
                let opens = opens_output && self.pieces.is_empty();
                if !opens && !before.iter().any(|it| shown(&&all[*it])) {
                    continue;
                }
                self.doubtful.push(all[key].place);
            }
            self.encode(all, &before);
            for run in start.runs(end) {
                // A keyframe that is changed or proved is written by itself.
                let apart = start.entry != Entry::Closed && run.start == key;
                self.copy(sources, &all[run], edges, apart);
            }
            (at, search) = (end, end);
        }
        self.encode(all, &(at..all.len()).collect::<Vec<_>>());
        let numbers = all[0].place.source..all[all.len() - 1].place.source + 1;
        self.lay_sound(fit, sources, numbers, from, (start, end));
        Ok(())
    }

    /// Encodes the wanted ones of these pictures, given in decoding order; those of another format by themselves.
    fn encode(&mut self, all: &[Candidate], pictures: &[usize]) {
        let shown = |it: &&usize| all[**it].wanted && !all[**it].second_field;
        let mut frames: Vec<usize> = pictures.iter().filter(shown).copied().collect();
        frames.sort_by_key(|it| all[*it].at);
        for frames in frames.chunk_by(|a, b| all[*a].sequence == all[*b].sequence) {
            let (Some(earliest), Some(first)) = (frames.iter().min(), frames.first()) else { continue };
            let from = all[join::decode_from(all, *earliest, all[*first].at)].place;
            self.encoded += frames.len() as u64;
            let frames = frames.iter().map(|it| all[*it].place).collect();
            self.pieces.push(Piece::Encode { frames, from });
        }
    }

    /// Copies pictures that follow each other in decoding order, whole segments as they lie. The first source of a
    /// stretch is written picture by picture, because its decoding times may have to follow others; so is the last, and
    /// both because their sound does not start and end with their pictures. `apart` says so of the first of these, too.
    fn copy(&mut self, sources: &[Source<'_>], pictures: &[Candidate], edges: (usize, usize), apart: bool) {
        self.copied += pictures.iter().filter(|it| !it.second_field).count() as u64;
        let mut next = pictures.first().map_or(0, |it| it.place.source);
        for part in pictures.chunk_by(|a, b| a.place.source == b.place.source) {
            let (source, first) = (part[0].place.source, part[0].place.unit);
            for (number, inner) in (next..source).filter_map(|it| Some((it, sources[it].inner?))) {
                self.copied += inner.pictures;
                self.pieces.push(Piece::Whole { source: number });
            }
            next = source + 1;
            let units = sources[source].index.video.as_ref().map_or(0, |track| track.units.len());
            let silent = sources[source].index.audio.is_empty();
            let apart = apart && part[0].place == pictures[0].place;
            let inner = source > edges.0 && (silent || source < edges.1) && !apart;
            let intact = sources[source].index.gaps == 0;
            self.pieces.push(if part.len() == units && inner && intact {
                Piece::Whole { source }
            } else {
                Piece::Copy { source, units: first..first + part.len() }
            });
        }
    }
}

#[cfg(test)]
mod tests;
