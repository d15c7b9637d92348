//! What a file with an index of its samples is laid out from: every sample's size and time, gathered part by part.

use super::assemble::{Made, Whole};
use super::file::changed;
use crate::archive::Segment;
use crate::base::{Error, Result};
use crate::media::cut::plan::{RangePlan, refuse};
use crate::media::cut::sound::Sound;
use crate::media::index::{
    AudioCodec, AudioTrack, ElementaryReader, FrameIndex, ParameterSet, UnitClass, VideoCodec, VideoFormat,
};
use crate::media::nal::StartCodes;
use crate::media::nal::prefixed::{self, Role, Sizes};
use crate::media::record;
use crate::render::index::SegmentIndex;
use std::collections::BTreeSet;

/// Samples of one file: ten hours of 60 pictures a second with two tracks of sound. Laying one out takes 80 bytes a sample:
/// 320 MB.
const MAX_SAMPLES: usize = 4 << 20;

/// Whether decoding may begin with a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    No,
    /// At a recovery point of H.264. MP4 calls none of them a sync sample (ISO/IEC 14496-15 §5.4.3), Matroska all.
    Open,
    /// At an IDR picture, and at any random access picture of HEVC (ISO/IEC 14496-15 §8.4.3).
    Sync,
}

impl Key {
    fn of(class: UnitClass) -> Self {
        match class {
            UnitClass::Idr | UnitClass::Cra | UnitClass::Bla => Self::Sync,
            UnitClass::RecoveryPoint { frames: 0 } | UnitClass::KeyOpen => Self::Open,
            _ => Self::No,
        }
    }
}

/// One sample: a frame of pictures or sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// 0 is the video, 1 and on the tracks of sound.
    pub track: u8,
    pub key: Key,
    /// Access units it is made of: two are the fields of a frame.
    units: u8,
    /// The first of them in its source's index, or the sample's number in a part that is held.
    number: u32,
    /// When it is shown or heard, in output ticks of 90 kHz.
    pub at: i64,
    /// Of sound: samples of each channel.
    pub samples: u16,
    sizes: Sizes,
}

impl Entry {
    /// Bytes in the file.
    pub fn size(&self, in_band: bool) -> u32 {
        self.sizes.total(in_band)
    }
}

/// How the samples of a segment become those of a file.
#[derive(Debug, Clone)]
pub(super) struct Whence {
    pub segment: Segment,
    pub shift: i64,
    pub sound: Vec<Sound>,
    /// How long samples of one track lie together, in ticks of 90 kHz.
    pub pace: i64,
}

/// Where the samples of a part come from.
pub(super) enum Samples {
    /// Made beforehand: pictures as byte streams, sound without its framing.
    Held(Vec<Vec<u8>>),
    Segment(Whence),
}

/// Samples in the order of the file.
pub(super) struct MoviePart {
    pub entries: Vec<Entry>,
    pub samples: Samples,
}

/// What is heard of the frames of a track that follow each other without a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub frames: usize,
    pub from: i64,
    pub to: i64,
}

/// Everything a file with an index is laid out from.
pub(super) struct Movie {
    pace: i64,
    pub codec: VideoCodec,
    pub format: VideoFormat,
    /// Tracks of sound, without their frames.
    pub sounds: Vec<AudioTrack>,
    /// Bytes of the frames of each track of sound.
    pub sound_bytes: Vec<u64>,
    /// The first set of each kind and id.
    pub sets: Vec<ParameterSet>,
    /// Sets of one id differ: they have to stay where they are.
    pub sets_differ: bool,
    pub parts: Vec<MoviePart>,
    pub windows: Vec<Vec<Window>>,
    /// Output time of the first picture, and where the last ends.
    pub start: i64,
    pub end: i64,
    count: usize,
    held: u64,
}

impl Movie {
    /// `pace` is how long samples of one track lie together, in ticks of 90 kHz.
    pub fn new(pace: i64) -> Self {
        Self {
            pace,
            codec: VideoCodec::H264,
            format: VideoFormat::default(),
            sounds: Vec::new(),
            sound_bytes: Vec::new(),
            sets: Vec::new(),
            sets_differ: false,
            parts: Vec::new(),
            windows: Vec::new(),
            start: 0,
            end: 0,
            count: 0,
            held: 0,
        }
    }

    pub fn is_hevc(&self) -> bool {
        self.codec == VideoCodec::Hevc
    }

    pub fn held(&self) -> u64 {
        self.held + (self.count * size_of::<Entry>()) as u64
    }

    /// A range whose parts follow.
    pub fn range(&mut self, indexes: &[SegmentIndex], plan: &RangePlan) -> Result<()> {
        let Some(index) = indexes.get(plan.first.source).map(|it| &it.index) else { return Ok(()) };
        let video = index.video.as_ref().ok_or_else(|| refuse("the source has no pictures"))?;
        if video.codec == VideoCodec::Mpeg2 {
            return Err(refuse("smart cuts as MP4 and Matroska take H.264 and HEVC"));
        }
        // Indexes of one range are of the same streams; what their first frames say differs in padding only.
        let sounds: Vec<AudioTrack> = index.audio.iter().map(without_frames).collect();
        if self.parts.is_empty() {
            self.codec = video.codec;
            self.format = video.format().copied().unwrap_or_default();
            self.start = plan.start;
            self.windows = vec![Vec::new(); sounds.len()];
            self.sound_bytes = vec![0; sounds.len()];
            self.sounds = sounds;
        } else {
            let key = |it: &AudioTrack| (it.codec, it.sample_rate, it.channels, it.object_type);
            let same = |(a, b)| key(a) == key(b);
            if video.codec != self.codec
                || sounds.len() != self.sounds.len()
                || !sounds.iter().zip(&self.sounds).all(same)
            {
                return Err(refuse("the source changes its streams between the ranges"));
            }
        }
        let mut tracks = indexes.iter().flat_map(|it| &it.index.audio);
        if let Some(track) = tracks.find(|it| it.changes) {
            let name = record::name(track.codec);
            return Err(refuse(&format!("the source changes its {name} sound inside the span")));
        }
        for heard in &plan.heard {
            let windows = self.windows.get_mut(heard.track).ok_or_else(gone)?;
            windows.push(Window { frames: heard.frames, from: heard.from, to: heard.to });
        }
        self.end = plan.end;
        Ok(())
    }

    pub fn whole(&mut self, whole: &Whole<'_>) -> Result<()> {
        let index = &whole.index.index;
        let video = index.video.as_ref().ok_or_else(gone)?;
        let states: BTreeSet<u16> = video.units.iter().map(|it| it.parameter_set).collect();
        let states = states.into_iter().filter_map(|it| video.states.get(usize::from(it)));
        for set in states.flat_map(|it| &it.sets).filter_map(|it| video.sets.get(usize::from(*it))) {
            self.add_set(set);
        }
        let whence = Whence {
            segment: whole.segment.clone(),
            shift: whole.shift,
            sound: whole.sound.clone(),
            pace: self.pace,
        };
        let entries = whence.entries(index)?;
        self.push(MoviePart { entries, samples: Samples::Segment(whence) })
    }

    pub fn made(&mut self, made: Made) -> Result<()> {
        let hevc = self.is_hevc();
        let codes = StartCodes::default();
        let (mut entries, mut samples): (Vec<(i64, Entry)>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
        let mut picture: Option<usize> = None;
        for sample in made.samples {
            let Some(number) = sample.track.checked_sub(1) else {
                for (_, unit) in prefixed::units(&codes, &sample.bytes, hevc).filter(|it| it.0 == Role::Set) {
                    if let Some(set) = ParameterSet::parse(self.codec, unit) {
                        self.add_set(&set);
                    }
                }
                let sizes = Sizes::of(&sample.bytes, hevc);
                self.held += sample.bytes.len() as u64;
                if let Some(first) = picture.filter(|_| sample.second_field) {
                    samples[first].extend_from_slice(&sample.bytes);
                    let entry = &mut entries[first].1;
                    entry.sizes = entry.sizes.and(sizes);
                    continue;
                }
                picture = Some(samples.len());
                let entry = Entry {
                    track: 0,
                    key: if sample.key { Key::Sync } else { Key::No },
                    units: 1,
                    number: samples.len() as u32,
                    at: sample.pts,
                    samples: 0,
                    sizes,
                };
                entries.push((sample.dts, entry));
                samples.push(sample.bytes);
                continue;
            };
            let track = self.sounds.get(number).ok_or_else(gone)?;
            let bytes = track.bare(&sample.bytes).to_vec();
            let sizes = Sizes { payload: bytes.len() as u32, sets: 0 };
            self.held += bytes.len() as u64;
            let entry = Entry {
                track: sample.track as u8,
                key: Key::Sync,
                units: 1,
                number: samples.len() as u32,
                at: sample.pts,
                samples: track.samples_per_frame,
                sizes,
            };
            entries.push((sample.dts, entry));
            samples.push(bytes);
        }
        let entries = in_order(entries, self.pace);
        self.push(MoviePart { entries, samples: Samples::Held(samples) })
    }

    fn push(&mut self, part: MoviePart) -> Result<()> {
        self.count += part.entries.len();
        if self.count > MAX_SAMPLES {
            return Err(refuse("the ranges hold more frames than one file of this kind may"));
        }
        for entry in &part.entries {
            if let Some(bytes) =
                usize::from(entry.track).checked_sub(1).and_then(|it| self.sound_bytes.get_mut(it))
            {
                *bytes += u64::from(entry.size(false));
            }
        }
        self.parts.push(part);
        Ok(())
    }

    fn add_set(&mut self, set: &ParameterSet) {
        match self.sets.iter().find(|it| (it.kind, it.id) == (set.kind, set.id)) {
            Some(known) => self.sets_differ |= known.bytes != set.bytes,
            None => self.sets.push(set.clone()),
        }
    }

    /// The record of the pictures' decoder, and whether sets stay in band.
    pub fn record(&self) -> Result<(Vec<u8>, bool)> {
        let missing = || Error::damaged("the source has no parameter sets");
        if self.is_hevc() {
            let record = record::hevc(&self.sets, &self.format, !self.sets_differ).ok_or_else(missing)?;
            return Ok((record, self.sets_differ));
        }
        if let Some(record) = record::avc(&self.sets, &self.format) {
            return Ok((record, self.sets_differ));
        }
        // More sets than a record takes.
        let first: Vec<ParameterSet> = self.sets.iter().take(2).cloned().collect();
        Ok((record::avc(&first, &self.format).ok_or_else(missing)?, true))
    }

    /// Average bits a second of a track of sound, in thousands.
    pub fn bit_rate(&self, track: usize) -> u32 {
        let ticks = (self.end - self.start).max(1) as u64;
        let bytes = self.sound_bytes.get(track).copied().unwrap_or(0);
        u32::try_from(bytes * 8 * 90 / ticks).unwrap_or(u32::MAX)
    }
}

fn without_frames(track: &AudioTrack) -> AudioTrack {
    // What Opus has in one channel is heard from both of two; what follows may have two.
    let channels = if track.codec == AudioCodec::Opus { 2 } else { track.channels };
    AudioTrack { frames: Vec::new(), channels, ..*track }
}

fn gone() -> Error {
    Error::internal("a plan names what its index does not hold")
}

/// Entries with their decoding times, in the order of the file: `pace` ticks of one track, then of the next.
fn in_order(mut entries: Vec<(i64, Entry)>, pace: i64) -> Vec<Entry> {
    entries.sort_by_key(|(dts, entry)| (dts.div_euclid(pace), entry.track));
    entries.into_iter().map(|(_, entry)| entry).collect()
}

impl Whence {
    /// The segment's samples in the order of the file, by its index.
    pub fn entries(&self, index: &FrameIndex) -> Result<Vec<Entry>> {
        let video = index.video.as_ref().ok_or_else(gone)?;
        let mut entries: Vec<(i64, Entry)> = Vec::with_capacity(video.units.len());
        for (number, unit) in video.units.iter().enumerate() {
            let sizes = Sizes { payload: unit.payload, sets: unit.sets };
            if unit.second_field
                && let Some((_, first)) = entries.last_mut()
            {
                first.units += 1;
                first.sizes = first.sizes.and(sizes);
                continue;
            }
            let entry = Entry {
                track: 0,
                key: Key::of(unit.class),
                units: 1,
                number: number as u32,
                at: unit.pts + self.shift,
                samples: 0,
                sizes,
            };
            entries.push((unit.dts + self.shift, entry));
        }
        for sound in &self.sound {
            let track = index.audio.get(sound.track).ok_or_else(gone)?;
            for number in sound.frames.clone() {
                let frame = track.frames.get(number).ok_or_else(gone)?;
                let at = frame.pts + self.shift;
                let sizes = Sizes { payload: frame.size.saturating_sub(frame.framing.into()), sets: 0 };
                let entry = Entry {
                    track: sound.track as u8 + 1,
                    key: Key::Sync,
                    units: 1,
                    number: number as u32,
                    at,
                    samples: frame.samples,
                    sizes,
                };
                entries.push((at, entry));
            }
        }
        Ok(in_order(entries, self.pace))
    }
}

/// Reads samples out of a segment.
pub(super) struct SampleReader<'a> {
    segment: &'a [u8],
    index: &'a FrameIndex,
    in_band: bool,
    scratch: Vec<u8>,
}

impl<'a> SampleReader<'a> {
    pub fn new(segment: &'a [u8], index: &'a FrameIndex, in_band: bool) -> Self {
        Self { segment, index, in_band, scratch: Vec::new() }
    }

    /// Appends a sample to `out`; it has the size its entry says.
    pub fn read(&mut self, entry: &Entry, out: &mut Vec<u8>) -> Result<()> {
        let from = out.len();
        let number = entry.number as usize;
        match usize::from(entry.track).checked_sub(1) {
            None => {
                let video = self.index.video.as_ref().ok_or_else(gone)?;
                let reader = ElementaryReader::new(self.segment, video.pid);
                let hevc = video.codec == VideoCodec::Hevc;
                for unit in video.units.iter().skip(number).take(usize::from(entry.units)) {
                    self.scratch.clear();
                    reader.read(unit.extent(), &mut self.scratch)?;
                    prefixed::append(&self.scratch, hevc, self.in_band, out);
                }
            }
            Some(track) => {
                let track = self.index.audio.get(track).ok_or_else(gone)?;
                let frame = track.frames.get(number).ok_or_else(gone)?;
                self.scratch.clear();
                ElementaryReader::new(self.segment, track.pid).read(frame.extent(), &mut self.scratch)?;
                out.extend_from_slice(track.bare(&self.scratch));
            }
        }
        if out.len() - from == entry.size(self.in_band) as usize { Ok(()) } else { Err(changed()) }
    }
}

/// Appends a sample that is held to `out`.
pub(super) fn put_held(samples: &[Vec<u8>], entry: &Entry, hevc: bool, in_band: bool, out: &mut Vec<u8>) {
    let bytes = samples.get(entry.number as usize).map_or(&[][..], Vec::as_slice);
    match entry.track {
        0 => prefixed::append(bytes, hevc, in_band, out),
        _ => out.extend_from_slice(bytes),
    }
}
