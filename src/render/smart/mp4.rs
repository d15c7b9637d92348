//! A cut as MP4: its index first, then the samples of each part.

use super::assemble::{Assembler, Made, Whole};
use super::file::{Layout, Origin, Part, Recipe};
use super::movie::{Entry, Key, Movie, MoviePart, SampleReader, Samples, Whence, Window, put_held};
use crate::base::{Error, Result};
use crate::media::cut::plan::{RangePlan, refuse};
use crate::media::mp4::{self, Chunk, Edit, PictureEntry, SampleEntry, SoundEntry, Track, runs};
use crate::media::record;
use crate::render::Render;
use crate::render::index::SegmentIndex;
use bytes::Bytes;

/// How long samples of one track lie together: half a second, in ticks.
const PACE: i64 = 45_000;
/// Units a second of the movie and of its pictures.
const TICKS: u32 = 90_000;
/// How far sound may stray from its count of samples before the count gives way: 2 ms, in ticks.
const STRAY_TICKS: i64 = 180;
/// A shorter gap before the first sound comes of rounding, in ticks: 0.13 ms.
const NO_GAP: i64 = 12;
/// Across a longer gap, nobody counts samples: half a second, in ticks.
const PAUSE: i64 = 45_000;
/// Frames of sound given up at a join.
const MOST_DROPPED: usize = 2;

pub(super) struct Mp4 {
    render: Render,
    movie: Movie,
}

impl Mp4 {
    pub fn new(render: Render) -> Self {
        Self { render, movie: Movie::new(PACE) }
    }
}

impl Assembler for Mp4 {
    fn range(&mut self, indexes: &[SegmentIndex], plan: &RangePlan) -> Result<()> {
        self.movie.range(indexes, plan)
    }

    fn whole(&mut self, whole: Whole<'_>) -> Result<()> {
        self.movie.whole(&whole)
    }

    fn made(&mut self, made: Made) -> Result<()> {
        self.movie.made(made)
    }

    fn held(&self) -> u64 {
        self.movie.held()
    }

    fn finish(self: Box<Self>) -> Result<Layout> {
        let Self { render, mut movie } = *self;
        let (record, in_band) = movie.record()?;
        let mut sounds = Vec::new();
        for number in 0..movie.sounds.len() {
            sounds.push(SoundTrack::new(&mut movie, number)?);
        }
        let mut tracks = vec![picture_track(&movie, record, in_band)?];
        for (number, sound) in sounds.into_iter().enumerate() {
            tracks.push(sound.track(&movie, number)?);
        }
        let data = lay_chunks(&movie.parts, in_band, &mut tracks);
        // A track of which nothing is in the cut is none of its.
        tracks.retain(|it| !it.sizes.is_empty());
        let head = mp4::Movie { timescale: TICKS, orientation: 1, tracks }.head(data);
        let hevc = movie.is_hevc();
        let mut layout = Layout::new(render.clone());
        layout.push(Part { length: head.len() as u64, origin: Origin::Held(head.into()), recipe: None });
        for MoviePart { entries, samples } in movie.parts {
            let length = entries.iter().map(|it| u64::from(it.size(in_band))).sum();
            let (origin, recipe): (_, Option<Box<dyn Recipe>>) = match samples {
                Samples::Held(samples) => {
                    let mut bytes = Vec::new();
                    entries.iter().for_each(|it| put_held(&samples, it, hevc, in_band, &mut bytes));
                    (Origin::Held(bytes.into()), None)
                }
                Samples::Segment(whence) => (
                    Origin::Segment(whence.segment.clone()),
                    Some(Box::new(Extract { render: render.clone(), whence, in_band, length })),
                ),
            };
            layout.push(Part { origin, recipe, length });
        }
        Ok(layout)
    }
}

/// The samples of a segment, without what is around them.
struct Extract {
    render: Render,
    whence: Whence,
    in_band: bool,
    length: u64,
}

impl Recipe for Extract {
    fn make(&self, source: Vec<u8>) -> Result<Bytes> {
        let index = self.render.index(&self.whence.segment, &self.render.stop)?;
        let mut reader = SampleReader::new(&source, &index.index, self.in_band);
        let mut out = Vec::with_capacity(self.length as usize);
        for entry in self.whence.entries(&index.index)? {
            reader.read(&entry, &mut out)?;
        }
        Ok(out.into())
    }
}

/// Where samples lie; gives the bytes of all.
fn lay_chunks(parts: &[MoviePart], in_band: bool, tracks: &mut [Track]) -> u64 {
    let (mut offset, mut last) = (0, None);
    for entry in parts.iter().flat_map(|it| &it.entries) {
        let track = &mut tracks[usize::from(entry.track)];
        let size = entry.size(in_band);
        match track.chunks.last_mut().filter(|_| last == Some(entry.track)) {
            Some(chunk) => chunk.samples += 1,
            None => track.chunks.push(Chunk { offset, samples: 1 }),
        }
        track.sizes.push(size);
        last = Some(entry.track);
        offset += u64::from(size);
    }
    offset
}

fn of_track(movie: &Movie, track: u8) -> impl Iterator<Item = &Entry> {
    movie.parts.iter().flat_map(|it| &it.entries).filter(move |it| it.track == track)
}

fn step(ticks: i64) -> Result<u32> {
    u32::try_from(ticks).map_err(|_| Error::damaged("the times of the source cannot be put in order"))
}

/// Decoding times follow from the times pictures are shown at: the earliest, each as many pictures later as the source
/// reorders, so that they rise and none is shown before it is decoded.
fn picture_track(movie: &Movie, record: Vec<u8>, in_band: bool) -> Result<Track> {
    let shown: Vec<i64> = of_track(movie, 0).map(|it| it.at).collect();
    let mut sorted = shown.clone();
    sorted.sort_unstable();
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
        return Err(Error::internal("a cut without pictures"));
    };
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(refuse("two pictures of the source are shown at the same time"));
    }
    let place = |at: i64| sorted.partition_point(|it| *it < at);
    let delay =
        shown.iter().enumerate().map(|(number, at)| number.saturating_sub(place(*at))).max().unwrap_or(0);
    let lasts = (movie.end - last).max(1);
    let usual = sorted.get(1).map_or(lasts, |second| second - first);
    let decoded = |number: usize| match number.checked_sub(delay) {
        Some(earlier) => sorted[earlier],
        None => first - (delay - number) as i64 * usual,
    };
    let count = shown.len();
    let end = decoded(count - 1) + lasts;
    let steps = (0..count).map(|it| step(if it + 1 < count { decoded(it + 1) } else { end } - decoded(it)));
    let steps = runs(steps.collect::<Result<Vec<_>>>()?.into_iter());
    let offsets = shown.iter().enumerate().map(|(number, at)| step(at - decoded(number)));
    let offsets = offsets.collect::<Result<Vec<_>>>()?;
    let offsets = if offsets.iter().all(|it| *it == 0) { Vec::new() } else { runs(offsets.into_iter()) };
    let keys = of_track(movie, 0)
        .enumerate()
        .filter(|(_, it)| it.key == Key::Sync)
        .map(|(number, _)| number as u32 + 1);
    let keys: Vec<u32> = keys.collect();
    let format = &movie.format;
    let side = |it: u32| u16::try_from(it).unwrap_or(u16::MAX);
    Ok(Track {
        timescale: TICKS,
        entry: SampleEntry::Picture(PictureEntry {
            kind: match (movie.is_hevc(), in_band) {
                (false, false) => *b"avc1",
                (false, true) => *b"avc3",
                (true, false) => *b"hvc1",
                (true, true) => *b"hev1",
            },
            record,
            width: side(format.width),
            height: side(format.height),
            sar: format.sar,
            colour: format.colour,
            full_range: format.full_range,
        }),
        sizes: Vec::with_capacity(count),
        steps,
        offsets,
        sync: (keys.len() < count).then_some(keys),
        chunks: Vec::new(),
        edits: vec![Edit {
            duration: (movie.end - first) as u64,
            media_time: Some((first - decoded(0)) as u64),
        }],
    })
}

/// A frame of sound in the making of its track.
#[derive(Debug, Clone, Copy)]
struct Frame {
    part: u32,
    entry: u32,
    at: i64,
    samples: u16,
}

/// The timing of one track of sound.
struct SoundTrack {
    steps: Vec<(u32, u32)>,
    edits: Vec<Edit>,
}

impl SoundTrack {
    /// Lays the edits of a track. FFmpeg trims the first edit's beginning to the sample; later ones it begins with a
    /// whole frame, and it plays the last frame of each to its end. So later edits begin with the frame whose start is
    /// nearest to the pictures' join; and where frames played whole would come late, the last before the join is left
    /// out of the file, so that what FFmpeg counts never drifts from what the edits say.
    fn new(movie: &mut Movie, number: usize) -> Result<Self> {
        let track = number as u8 + 1;
        let rate = i64::from(movie.sounds[number].sample_rate.max(1));
        let lasts = |samples: u16| i64::from(samples) * 90_000 / rate;
        let mut frames = Vec::new();
        for (part, it) in movie.parts.iter().enumerate() {
            for (entry, it) in it.entries.iter().enumerate().filter(|it| it.1.track == track) {
                let (part, entry) = (part as u32, entry as u32);
                frames.push(Frame { part, entry, at: it.at, samples: it.samples });
            }
        }
        let mut windows: Vec<(&[Frame], Window)> = Vec::new();
        let mut rest = &frames[..];
        for window in &movie.windows[number] {
            let (now, later) = rest
                .split_at_checked(window.frames)
                .ok_or_else(|| Error::internal("a window of sound without its frames"))?;
            windows.push((now, *window));
            rest = later;
        }
        if !rest.is_empty() {
            return Err(Error::internal("sound that is in no window"));
        }
        // Where frames played whole have come to, and what is left out.
        let mut counted = 0;
        let mut dropped = Vec::new();
        for at in 0..windows.len() {
            let (before, rest) = windows.split_at_mut(at);
            let (frames, window) = &mut rest[0];
            if let Some((earlier, before)) = before.last_mut() {
                let nearest = frames.iter().map(|it| it.at).min_by_key(|it| (it - window.from).abs());
                window.from = nearest.unwrap_or(window.from);
                if window.from - before.to > PAUSE {
                    counted = window.from;
                }
                for _ in 0..MOST_DROPPED {
                    let Some((last, rest)) = earlier.split_last().filter(|(it, rest)| {
                        !rest.is_empty() && matches!(movie.parts[it.part as usize].samples, Samples::Held(_))
                    }) else {
                        break;
                    };
                    let late = counted - window.from;
                    if (late - lasts(last.samples)).abs() >= late.abs() {
                        break;
                    }
                    counted -= lasts(last.samples);
                    dropped.push((last.part, last.entry));
                    *earlier = rest;
                }
                let ends = earlier.last().map_or(before.from, |it| it.at + lasts(it.samples));
                before.to = ends.min(window.from).max(before.from);
            } else {
                counted = window.from;
            }
            let heard = frames.iter().map(|it| (it.at.max(window.from), it.at + lasts(it.samples)));
            counted += heard.map(|(from, to)| (to - from).max(0)).sum::<i64>();
        }
        dropped.sort_unstable();
        for (part, entry) in dropped.into_iter().rev() {
            movie.parts[part as usize].entries.remove(entry as usize);
        }
        let (mut steps, mut edits, mut position) = (Vec::new(), Vec::new(), 0i64);
        let mut cursor = movie.start;
        for (number, (frames, window)) in windows.iter().enumerate() {
            let mut media_time = None;
            let mut tied = frames.first().map_or((0, 0), |it| (it.at, position));
            for (place, frame) in frames.iter().enumerate() {
                if media_time.is_none() && frame.at + lasts(frame.samples) > window.from {
                    let inside = (window.from - frame.at).max(0);
                    media_time = Some(position + (inside * rate + 45_000) / 90_000);
                }
                let mut count = i64::from(frame.samples);
                if let Some(next) = frames.get(place + 1) {
                    let told = tied.1 + ((next.at - tied.0) * rate + 45_000).div_euclid(90_000);
                    if (told - position - count).abs() * 90_000 > STRAY_TICKS * rate && told > position {
                        count = told - position;
                        tied = (next.at, told);
                    }
                }
                steps.push(step(count)?);
                position += count;
            }
            let Some(media_time) = media_time else { continue };
            if edits.is_empty() && window.from - cursor >= NO_GAP {
                edits.push(Edit { duration: (window.from - cursor) as u64, media_time: None });
                cursor = window.from;
            }
            // An edit ends a sample before its last frame does: where it ends with it, FFmpeg plays the next frame too.
            let there = (position - media_time - 1) * 90_000 / rate;
            let mut lasts = window.to - cursor;
            match windows.get(number + 1) {
                // FFmpeg plays something at an empty edit between others: the last frame stays on instead.
                Some((_, next)) => {
                    lasts = next.from - cursor;
                    let missing = (lasts - there).max(0) * rate / 90_000;
                    if let Some(last) = steps.last_mut().filter(|_| lasts > there) {
                        *last += step(missing + 2)?;
                        position += missing + 2;
                    }
                }
                None => lasts = lasts.min(there),
            }
            if lasts > 0 {
                edits.push(Edit { duration: lasts as u64, media_time: Some(media_time as u64) });
                cursor += lasts;
            }
        }
        Ok(Self { steps: runs(steps.into_iter()), edits })
    }

    fn track(self, movie: &Movie, number: usize) -> Result<Track> {
        let sound = &movie.sounds[number];
        Ok(Track {
            timescale: sound.sample_rate.max(1),
            entry: SampleEntry::Sound(SoundEntry {
                channels: u16::from(sound.channels),
                rate: sound.sample_rate,
                coding: record::coding(sound, movie.bit_rate(number))
                    .map_err(|why| refuse(&format!("{why} cannot be put into MP4 as it is")))?,
            }),
            sizes: Vec::new(),
            steps: self.steps,
            offsets: Vec::new(),
            sync: None,
            chunks: Vec::new(),
            edits: self.edits,
        })
    }
}
