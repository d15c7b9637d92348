//! A cut as Matroska: its head with cues, then clusters part by part.

use super::assemble::{Assembler, Made, Whole};
use super::file::{Layout, Origin, Part, Recipe};
use super::movie::{Entry, Key, Movie, MoviePart, SampleReader, Samples, Whence, put_held};
use crate::base::{Error, Result};
use crate::media::cut::plan::{RangePlan, refuse};
use crate::media::index::{AudioCodec, AudioTrack};
use crate::media::matroska::{Block, BlockTiming, CLUSTER_MILLIS, Cluster, CuePoint, Head, Media, Track};
use crate::media::record;
use crate::render::Render;
use crate::render::index::SegmentIndex;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// Samples are ordered by the tick they are decoded at.
const PACE: i64 = 1;
/// Nanoseconds of 9 ticks.
const NANOS_OF_9: i64 = 100_000;
/// Ticks of a millisecond.
const MILLI: i64 = 90;
/// RFC 7845 §4.6, in nanoseconds.
const OPUS_PREROLL: u64 = 80_000_000;
/// Steps between pictures that differ by this much come of rounding, in ticks.
const ROUNDED: i64 = 1;

pub(super) struct Matroska {
    render: Render,
    movie: Movie,
}

impl Matroska {
    pub fn new(render: Render) -> Self {
        Self { render, movie: Movie::new(PACE) }
    }
}

/// How times become those of blocks.
#[derive(Debug, Clone)]
struct Clock {
    /// Output time of the first picture, in ticks.
    start: i64,
    /// What each track's times run ahead of what is heard, in milliseconds.
    delays: Arc<[i64]>,
}

impl Clock {
    /// In milliseconds, each rounded for itself, so that errors do not add up.
    fn millis(&self, entry: &Entry) -> i64 {
        let delay = self.delays.get(usize::from(entry.track)).copied().unwrap_or(0);
        (entry.at - self.start + MILLI / 2).div_euclid(MILLI) + delay
    }
}

/// What of a part's frames of sound is not heard: the number of the entry, and nanoseconds as in [`BlockTiming`].
type Discards = Vec<(usize, i64)>;

/// Blocks in clusters.
struct Clustered {
    cluster: Cluster,
    entries: Range<usize>,
    blocks: Vec<Block>,
    /// Of the blocks.
    bytes: u64,
}

impl Clustered {
    fn head(&self) -> Vec<u8> {
        self.cluster.head(self.bytes)
    }
}

/// A cluster begins with each part and with each keyframe.
fn clusters(entries: &[Entry], discards: &Discards, clock: &Clock, in_band: bool) -> Vec<Clustered> {
    let mut list: Vec<Clustered> = Vec::new();
    let mut discards = discards.iter().peekable();
    for (number, entry) in entries.iter().enumerate() {
        let at = clock.millis(entry);
        let discard = discards.next_if(|it| it.0 == number).map_or(0, |it| it.1);
        let fits = |it: &Clustered| (at - it.cluster.at as i64).abs() < CLUSTER_MILLIS;
        if (entry.track == 0 && entry.key != Key::No) || !list.last().is_some_and(fits) {
            let cluster = Cluster { at: at.max(0) as u64 };
            list.push(Clustered { cluster, entries: number..number, blocks: Vec::new(), bytes: 0 });
        }
        if let Some(last) = list.last_mut() {
            let timing = BlockTiming { at, discard, duration: None };
            let block = Block {
                track: entry.track + 1,
                key: entry.key != Key::No,
                timing,
                size: entry.size(in_band),
            };
            last.bytes += block.bytes();
            last.blocks.push(block);
            last.entries.end = number + 1;
        }
    }
    list
}

/// Writes clusters whose frames `sample` appends.
fn write(
    clusters: &[Clustered],
    entries: &[Entry],
    mut sample: impl FnMut(&Entry, &mut Vec<u8>) -> Result<()>,
) -> Result<Bytes> {
    let mut out = Vec::with_capacity(clusters.iter().map(|it| it.bytes as usize + 32).sum());
    for it in clusters {
        out.extend_from_slice(&it.head());
        for (block, entry) in it.blocks.iter().zip(&entries[it.entries.clone()]) {
            block.put(it.cluster, &mut out, |out| sample(entry, out))?;
        }
    }
    Ok(out.into())
}

impl Assembler for Matroska {
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
        let Self { render, movie } = *self;
        let (record, in_band) = movie.record()?;
        let mut discards: Vec<Discards> = vec![Discards::new(); movie.parts.len()];
        let (mut delays, mut tracks) = (vec![0], vec![picture_track(&movie, record)]);
        for number in 0..movie.sounds.len() {
            let ahead = discard(&movie, number, &mut discards)?;
            delays.push(ahead);
            tracks.push(sound_track(&movie.sounds[number], ahead)?);
        }
        discards.iter_mut().for_each(|it| it.sort_unstable());
        let clock = Clock { start: movie.start, delays: delays.into() };
        let hevc = movie.is_hevc();
        let (mut offset, mut cues, mut parts) = (0, Vec::new(), Vec::new());
        for (MoviePart { entries, samples }, discards) in movie.parts.into_iter().zip(discards) {
            let clusters = clusters(&entries, &discards, &clock, in_band);
            let begin = offset;
            for it in &clusters {
                let keys = entries[it.entries.clone()].iter().filter(|it| it.track == 0 && it.key != Key::No);
                cues.extend(keys.map(|it| CuePoint { at: clock.millis(it).max(0) as u64, cluster: offset }));
                offset += it.head().len() as u64 + it.bytes;
            }
            let (origin, recipe): (_, Option<Box<dyn Recipe>>) = match samples {
                Samples::Held(samples) => {
                    let bytes = write(&clusters, &entries, |entry, out| {
                        put_held(&samples, entry, hevc, in_band, out);
                        Ok(())
                    })?;
                    (Origin::Held(bytes), None)
                }
                Samples::Segment(whence) => {
                    let (segment, render, clock) = (whence.segment.clone(), render.clone(), clock.clone());
                    (
                        Origin::Segment(segment),
                        Some(Box::new(Wrap { render, whence, discards, clock, in_band })),
                    )
                }
            };
            parts.push(Part { origin, recipe, length: offset - begin });
        }
        let duration = (movie.end - movie.start) as f64 / MILLI as f64;
        let head = Head { duration, tracks, cues }.bytes(offset);
        let mut layout = Layout::new(render);
        layout.push(Part { length: head.len() as u64, origin: Origin::Held(head.into()), recipe: None });
        parts.into_iter().for_each(|part| layout.push(part));
        Ok(layout)
    }
}

/// The samples of a segment, in clusters.
struct Wrap {
    render: Render,
    whence: Whence,
    discards: Discards,
    clock: Clock,
    in_band: bool,
}

impl Recipe for Wrap {
    fn make(&self, source: Vec<u8>) -> Result<Bytes> {
        let index = self.render.index(&self.whence.segment, &self.render.stop)?;
        let mut reader = SampleReader::new(&source, &index.index, self.in_band);
        let entries = self.whence.entries(&index.index)?;
        let clusters = clusters(&entries, &self.discards, &self.clock, self.in_band);
        write(&clusters, &entries, |entry, out| reader.read(entry, out))
    }
}

/// Notes what is not heard of a track's frames; gives how far its first frame lies before the first picture, in
/// milliseconds, rounded up.
fn discard(movie: &Movie, number: usize, discards: &mut [Discards]) -> Result<i64> {
    let track = number as u8 + 1;
    let rate = i64::from(movie.sounds[number].sample_rate.max(1));
    let nanos = |ticks: i64| ticks * NANOS_OF_9 / 9;
    let mut windows = movie.windows[number].iter();
    let (mut window, mut left, mut ahead) = (None, 0, None);
    for (part, it) in movie.parts.iter().enumerate() {
        for (place, entry) in it.entries.iter().enumerate().filter(|it| it.1.track == track) {
            while left == 0 {
                let next = windows.next().ok_or_else(|| Error::internal("sound that is in no window"))?;
                (window, left) = (Some(next), next.frames);
            }
            left -= 1;
            let Some(window) = window else { continue };
            ahead.get_or_insert((movie.start - entry.at + MILLI - 1).div_euclid(MILLI).max(0));
            let all = i64::from(entry.samples) * 1_000_000_000 / rate;
            let (before, after) =
                (nanos(window.from - entry.at), nanos(entry.at - window.to).saturating_add(all));
            if before > 0 {
                discards[part].push((place, -before.min(all)));
            } else if after > 0 {
                discards[part].push((place, after.min(all)));
            }
        }
    }
    Ok(ahead.unwrap_or(0))
}

fn picture_track(movie: &Movie, record: Vec<u8>) -> Track {
    let mut shown: Vec<i64> =
        movie.parts.iter().flat_map(|it| &it.entries).filter(|it| it.track == 0).map(|it| it.at).collect();
    shown.sort_unstable();
    let step = shown.get(1).map_or(0, |second| second - shown[0]);
    let even = step > 0 && shown.windows(2).all(|pair| (pair[1] - pair[0] - step).abs() <= ROUNDED);
    let all = (movie.end - movie.start) * NANOS_OF_9 / 9;
    let format = &movie.format;
    let width = match format.sar {
        (across, down) if across > 0 && down > 0 => format.width * u32::from(across) / u32::from(down),
        _ => format.width,
    };
    Track {
        codec: if movie.is_hevc() { "V_MPEGH/ISO/HEVC" } else { "V_MPEG4/ISO/AVC" },
        private: record,
        media: Media::Picture {
            width: format.width,
            height: format.height,
            shown: (width, format.height),
            colour: format.colour,
            full_range: format.full_range,
            frame: even.then(|| all as u64 / shown.len() as u64),
        },
    }
}

fn sound_track(track: &AudioTrack, ahead: i64) -> Result<Track> {
    let name = record::name(track.codec);
    let (codec, private) = match track.codec {
        AudioCodec::AacAdts => ("A_AAC", record::aac(track)),
        AudioCodec::Mpeg { layer: 3 } => ("A_MPEG/L3", Ok(Vec::new())),
        AudioCodec::Mpeg { layer: 1 } => ("A_MPEG/L1", Ok(Vec::new())),
        AudioCodec::Mpeg { .. } => ("A_MPEG/L2", Ok(Vec::new())),
        AudioCodec::Ac3 => ("A_AC3", Ok(Vec::new())),
        AudioCodec::Eac3 => ("A_EAC3", Ok(Vec::new())),
        AudioCodec::Opus => ("A_OPUS", record::opus(track, false).map(|it| [&b"OpusHead"[..], &it].concat())),
        AudioCodec::AacLatm => ("", Err(name)),
    };
    let private = private.map_err(|why| refuse(&format!("{why} cannot be put into Matroska as it is")))?;
    Ok(Track {
        codec,
        private,
        media: Media::Sound {
            channels: track.channels,
            rate: track.sample_rate,
            preroll: if track.codec == AudioCodec::Opus { OPUS_PREROLL } else { 0 },
            delay: ahead as u64 * 1_000_000,
        },
    })
}
