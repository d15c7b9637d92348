//! Packets on their way into a container.

use super::Target;
use super::edges::{Part, Prepared, elementary};
use super::reader::Reader;
use super::scan::{FileIndex, is_text, unsupported};
use super::sound::Chosen;
use crate::base::time::TimeBase;
use crate::base::{Error, Result};
use crate::media::cut::Container;
use crate::media::cut::edge::{Sample, with_sets};
use crate::media::ffi::{CopiedStream, Muxer, Packet, StreamInfo, codec_name, id};
use crate::media::index::{AccessUnit, ParameterSet, SetKind, UnitClass, VideoCodec};
use crate::media::matroska::amend::{self, Start};
use crate::media::nal::StartCodes;
use crate::media::nal::boxed::Framing;
use crate::media::nal::prefixed::{self, Role};
use crate::media::reservoir::Reservoir;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::File;
use std::path::PathBuf;

/// Where parameter sets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sets {
    /// In the container alone.
    Apart,
    /// Among the pictures, before each one that decoding may begin at.
    Among,
}

pub struct Output<'a> {
    index: &'a FileIndex,
    container: Container,
    muxer: Muxer,
    sets: Sets,
    codes: StartCodes,
    /// The output's stream of each sound track, and of each other stream that is kept.
    sounds: Vec<usize>,
    texts: Vec<Option<usize>>,
    times: DecodingTimes,
    notices: Vec<String>,
    /// The file that is written, what is told in it afterwards of each track of sound, and how many samples their times
    /// run ahead of what is heard.
    path: Option<PathBuf>,
    starts: Vec<Option<Start>>,
    leads: Vec<u32>,
    /// Of each track of MP3, and the frame that was written last.
    reservoirs: Vec<(Reservoir, Option<usize>)>,
}

/// Decoding times of packets as they are written, from their presentation times alone.
struct DecodingTimes {
    depth: usize,
    step: i64,
    first: Option<i64>,
    written: usize,
    waiting: BinaryHeap<Reverse<i64>>,
}

impl DecodingTimes {
    fn next(&mut self, pts: i64) -> i64 {
        self.waiting.push(Reverse(pts));
        let first = *self.first.get_or_insert(pts);
        self.written += 1;
        let early = (self.depth + 1).saturating_sub(self.written) as i64;
        if early > 0 {
            return first - early * self.step;
        }
        self.waiting.pop().map_or(pts, |it| it.0)
    }
}

fn format(container: Container) -> (&'static str, &'static str) {
    match container {
        Container::TransportStream => ("mpegts", ".ts"),
        Container::Mp4 => ("mp4", ".mp4"),
        Container::Matroska => ("matroska", ".mkv"),
        Container::WebM => ("webm", ".webm"),
    }
}

/// Codecs of sound that H.222.0 and its companions have a stream type for.
const IN_TRANSPORT: [&str; 9] = ["aac", "aac_latm", "mp1", "mp2", "mp3", "ac3", "eac3", "dts", "opus"];

fn check_codecs(index: &FileIndex, container: Container) -> Result<()> {
    let video = index.video.codec;
    let fits = match container {
        Container::TransportStream => matches!(video, id::H264 | id::HEVC | id::MPEG1 | id::MPEG2),
        Container::WebM => matches!(video, id::VP8 | id::VP9 | id::AV1),
        Container::Mp4 | Container::Matroska => true,
    };
    let sound = |it: &StreamInfo| match container {
        Container::TransportStream => IN_TRANSPORT.contains(&&*codec_name(it.codec)),
        Container::WebM => matches!(it.codec, id::OPUS | id::VORBIS),
        Container::Mp4 | Container::Matroska => true,
    };
    let foreign = if fits {
        index.sounds.iter().find(|it| !sound(&it.stream)).map(|it| codec_name(it.stream.codec))
    } else {
        Some(index.codec_name())
    };
    match foreign {
        None => Ok(()),
        Some(codec) => Err(cannot_hold(container, &codec)),
    }
}

fn cannot_hold(container: Container, codec: &str) -> Error {
    let extension = format(container).1;
    let ways = "; .mkv takes every codec, and --type full encodes anew";
    unsupported(format!("a {extension} file cannot hold {codec}{ways}")).with_parameter("output")
}

/// What is written.
pub struct Plan<'p> {
    pub prepared: &'p [Prepared],
    /// Of each track, for each range.
    pub sounds: &'p [Vec<Chosen>],
    pub container: Container,
}

impl Plan<'_> {
    /// The first packet of a track, in the range it belongs to.
    fn first(&self, track: usize) -> Option<&Chosen> {
        self.sounds[track].iter().find(|it| !it.frames.is_empty())
    }

    /// Samples of a track before the first picture.
    fn lead(&self, index: &FileIndex, track: usize) -> u32 {
        let at = self.first(track).map_or(0, |it| index.sounds[track].packets[it.frames.start].at + it.shift);
        u32::try_from(-at).unwrap_or(0)
    }

    /// What is not heard of the start of a track that is the file's `number`th, where that has to be told.
    fn start(&self, index: &FileIndex, track: usize, number: usize) -> Option<Start> {
        let (sound, lead) = (&index.sounds[track], self.lead(index, track));
        let delay = u64::from(lead) * 1_000_000_000 / u64::from(sound.stream.sample_rate.max(1));
        // The head of Opus says how much decoders leave out.
        let turned = self.first(track).filter(|_| sound.stream.codec != id::OPUS).and_then(|chosen| {
            let partial = |frame: &usize| {
                let early = chosen.early(sound, *frame);
                early > 0 && early < sound.packets[*frame].samples
            };
            let frame = chosen.frames.clone().find(partial)?;
            (!chosen.trims_end(frame)).then_some((frame - chosen.frames.start) as u64)
        });
        (lead > 0).then_some(Start { track: number as u64 + 1, delay, turned })
    }
}

/// An OpusHead (RFC 7845 §5.1) that skips so many samples.
fn opus_head(head: &[u8], skip: u32) -> Option<Vec<u8>> {
    let mut head = head.to_vec();
    let skip = u16::try_from(skip).ok()?;
    head.get_mut(10..12)?.copy_from_slice(&skip.to_le_bytes());
    Some(head)
}

impl<'a> Output<'a> {
    pub fn create(
        index: &'a FileIndex,
        reader: &Reader<'_>,
        plan: &Plan<'_>,
        target: Target,
    ) -> Result<Self> {
        let container = plan.container;
        check_codecs(index, container)?;
        let forward = matches!(target, Target::Stream(_));
        let name = format(container).0;
        let path = match &target {
            Target::File(path) => Some(path.clone()),
            Target::Stream(_) => None,
        };
        let mut muxer = match target {
            Target::File(path) => Muxer::file(name, &path)?,
            Target::Stream(write) => Muxer::new(name, write)?,
        };
        let matroska = matches!(container, Container::Matroska | Container::WebM);
        let (sets, video) = describe_video(index, plan.prepared, container);
        muxer.add_copy(&reader.demuxer, index.video.index, &video)?;
        let (mut streams, mut starts) = (Vec::new(), Vec::new());
        for (number, track) in index.sounds.iter().enumerate() {
            // What decoders have to hear before the first picture has times before 0: libav makes an edit list of them in
            // MP4. In Matroska they are told afterwards.
            let start = if matroska && !forward { plan.start(index, number, number + 1) } else { None };
            let name = start.as_ref().map(|_| amend::PLACE);
            let extradata = track.config.clone().filter(|_| container != Container::TransportStream);
            let mut copy = CopiedStream { base: track.clock(), extradata, tag: None, name };
            if track.stream.codec == id::OPUS && container != Container::TransportStream {
                // Decoders believe the head: what it says has to be what the container does.
                let head = reader.demuxer.extradata(track.stream.index)?;
                copy.extradata = opus_head(&head, plan.lead(index, number));
            }
            streams.push(muxer.add_copy(&reader.demuxer, track.stream.index, &copy)?);
            starts.push(start);
        }
        let mut texts = Vec::new();
        let mut notices: Vec<String> = index.lost_turn(container).into_iter().collect();
        for stream in &index.others {
            texts.push(if is_text(stream) && container == Container::Matroska {
                let copy = CopiedStream { base: stream.time_base, extradata: None, tag: None, name: None };
                Some(muxer.add_copy(&reader.demuxer, stream.index, &copy)?)
            } else {
                let codec = codec_name(stream.codec);
                notices.push(format!("stream {} ({codec}) is left out", stream.index));
                None
            });
        }
        let options: &[(&str, &str)] = match container {
            // Edits are told on the movie's clock: a millisecond is too coarse for them.
            Container::Mp4 if forward => {
                &[("movie_timescale", "90000"), ("movflags", "frag_keyframe+delay_moov")]
            }
            Container::Mp4 => &[("movie_timescale", "90000"), ("movflags", "faststart")],
            // Decoding times before 0 are no reason to move everything: these containers do not tell them.
            Container::Matroska | Container::WebM => &[("avoid_negative_ts", "disabled")],
            Container::TransportStream => &[],
        };
        muxer.start(options).map_err(|error| {
            let codecs = index.sounds.iter().map(|it| codec_name(it.stream.codec));
            let all: Vec<String> = [index.codec_name()].into_iter().chain(codecs).collect();
            cannot_hold(container, &all.join(" with ")).with_cause(error)
        })?;
        let step = TimeBase::MPEG.rescale(index.step, index.clock).max(1);
        let times =
            DecodingTimes { depth: index.reorder, step, first: None, written: 0, waiting: BinaryHeap::new() };
        let codes = StartCodes::default();
        let leads = (0..streams.len()).map(|it| starts[it].as_ref().map_or(0, |_| plan.lead(index, it)));
        let leads = leads.collect();
        let reservoirs = vec![Default::default(); streams.len()];
        Ok(Self {
            index,
            container,
            muxer,
            sets,
            codes,
            sounds: streams,
            texts,
            times,
            notices,
            path,
            starts,
            leads,
            reservoirs,
        })
    }

    pub fn notices(&self) -> Vec<String> {
        self.notices.clone()
    }

    fn picture(
        &mut self,
        range: &Prepared,
        (pts, key): (i64, bool),
        bytes: &[u8],
        alpha: Option<&[u8]>,
    ) -> Result<()> {
        let clock = self.index.clock;
        let at = range.place(clock, pts);
        let ends = if pts == range.last { range.end_at - at } else { self.times.step };
        let mut packet = Packet::from_bytes(bytes)?;
        let dts = self.times.next(at);
        if dts > at {
            return Err(Error::damaged("the pictures of the source cannot be put in order"));
        }
        packet.set_times(Some(at), Some(dts));
        packet.set_duration(ends.max(1));
        packet.set_key(key);
        if let Some(alpha) = alpha.filter(|_| self.keeps_alpha()) {
            packet.set_alpha(alpha)?;
        }
        self.muxer.write(0, packet)
    }

    fn keeps_alpha(&self) -> bool {
        matches!(self.container, Container::Matroska | Container::WebM)
    }

    /// Without what the container holds itself, or has no use for.
    fn unit(&self, bytes: Vec<u8>) -> Vec<u8> {
        let Some(codec) = self.index.track().map(|it| it.codec) else { return bytes };
        if self.container == Container::TransportStream || !is_nal(codec) {
            return bytes;
        }
        let apart = self.sets == Sets::Apart;
        let hevc = codec == VideoCodec::Hevc;
        Framing::ByteStream.byte_stream(&self.codes, &bytes, |unit| match prefixed::role(unit[0], hevc) {
            Role::Payload => false,
            Role::Set => apart,
            Role::Dropped => true,
        })
    }

    /// A sample made beforehand.
    pub fn made(&mut self, range: &Prepared, sample: &Sample) -> Result<()> {
        let bytes = self.unit(sample.bytes.clone());
        let alpha = range.alphas.get(&sample.pts).map(Vec::as_slice);
        self.picture(range, (sample.pts, sample.key), &bytes, alpha)
    }

    /// A packet of the file.
    pub fn copied(
        &mut self,
        range: &Prepared,
        segment: usize,
        unit: &AccessUnit,
        packet: &Packet,
    ) -> Result<()> {
        if packet.data().len() != unit.size as usize {
            return Err(Error::damaged("the file was read differently the second time"));
        }
        let mut bytes = elementary(self.index, &self.codes, packet.data());
        let random_access = unit.class.is_random_access() && !unit.second_field;
        if random_access
            && self.sets == Sets::Among
            && let Some(track) = &self.index.segments[segment].video
        {
            bytes = with_sets(track, unit.parameter_set, bytes);
        }
        let bytes = self.unit(bytes);
        // Recovery points of H.264 are no sync samples of MP4 (ISO/IEC 14496-15 §5.4.3).
        let key = match self.container {
            Container::Mp4 => matches!(unit.class, UnitClass::Idr | UnitClass::Cra | UnitClass::Bla),
            _ => random_access,
        };
        self.picture(range, (unit.pts, key), &bytes, packet.alpha())
    }

    pub fn sound(&mut self, track: usize, chosen: &Chosen, frame: usize, packet: &Packet) -> Result<()> {
        let track_sound = &self.index.sounds[track];
        let told = track_sound.packets[frame];
        // Other containers take no ADTS, and libav does not always take it off where it writes forward.
        let framing = match (&track_sound.config, packet.data()) {
            (Some(_), [0xff, flags, ..]) if self.container != Container::TransportStream => {
                adts_bytes(*flags)
            }
            _ => 0,
        };
        let bytes = packet.data().get(framing..).unwrap_or_default();
        let mut out = if track_sound.stream.codec == id::MP3 {
            Packet::from_bytes(&self.behind_a_join(track, frame, bytes))?
        } else {
            Packet::from_bytes(bytes)?
        };
        let at = told.at + chosen.shift + i64::from(self.leads[track]);
        let is_last = frame + 1 == chosen.frames.end;
        let trim = if is_last { chosen.trim_end } else { 0 };
        out.set_times(Some(at), Some(at));
        out.set_key(true);
        let matroska = matches!(self.container, Container::Matroska | Container::WebM);
        let turned = self.starts[track].as_ref().filter(|_| track_sound.stream.codec != id::OPUS);
        let early = turned.map_or(0, |_| chosen.early(track_sound, frame));
        if matroska && chosen.trims_end(frame) {
            out.trim_end(trim + chosen.unsaid)?;
        } else if matroska && early > 0 {
            out.trim_end(early)?;
        }
        // Where nothing else tells the end, a shorter last packet does.
        let heard = if matroska { told.samples } else { told.samples - trim.min(told.samples) };
        out.set_duration(i64::from(heard.max(1)));
        self.muxer.write(self.sounds[track], out)
    }

    /// A frame of MP3, made silent where it begins in frames that are not before it here.
    fn behind_a_join(&mut self, track: usize, frame: usize, bytes: &[u8]) -> Vec<u8> {
        let (reservoir, last) = &mut self.reservoirs[track];
        if last.replace(frame).is_none_or(|last| last + 1 != frame) {
            *reservoir = Reservoir::default();
        }
        let mut bytes = bytes.to_vec();
        reservoir.take(&mut bytes);
        bytes
    }

    /// The cues of text that are seen in a range, clipped to it.
    pub fn texts(&mut self, range: &Prepared) -> Result<()> {
        let index = self.index;
        for (track, cues) in index.cues.iter().enumerate() {
            let (Some(stream), base) = (self.texts[track], index.others[track].time_base) else { continue };
            let ticks = |time: i64| base.rescale(time, TimeBase::MPEG);
            let place = |ticks: i64| index.clock.rescale(range.place(index.clock, ticks), base);
            for cue in cues {
                let start = ticks(cue.at).max(range.start);
                let end = ticks(cue.at + cue.duration).min(range.end);
                if end <= start {
                    continue;
                }
                let (at, until) = (place(start), place(end));
                let mut out = Packet::from_bytes(&cue.bytes)?;
                out.set_times(Some(at), Some(at));
                out.set_duration(until - at);
                out.set_key(true);
                self.muxer.write(stream, out)?;
            }
        }
        Ok(())
    }

    pub fn finish(self) -> Result<()> {
        self.muxer.finish()?;
        let starts: Vec<Start> = self.starts.into_iter().flatten().collect();
        let Some(path) = self.path.filter(|_| !starts.is_empty()) else { return Ok(()) };
        let file = File::options().read(true).write(true).open(path);
        file.and_then(|mut file| amend::amend(&mut file, &starts))
            .map_err(|fault| Error::io("the output could not be written", &fault))
    }
}

/// Bytes of the header of ADTS with these flags: a checksum follows it, or none (ISO/IEC 14496-3 §1.A.3.2.1).
fn adts_bytes(flags: u8) -> usize {
    if flags & 1 == 1 { 7 } else { 9 }
}

fn is_nal(codec: VideoCodec) -> bool {
    matches!(codec, VideoCodec::H264 | VideoCodec::Hevc)
}

/// How the pictures' stream is described: all parameter sets of the source and its edges in the container where they
/// have numbers of their own, else among the pictures.
fn describe_video(index: &FileIndex, prepared: &[Prepared], container: Container) -> (Sets, CopiedStream) {
    let mut copy = CopiedStream { base: index.clock, extradata: None, tag: None, name: None };
    let Some(track) = index.track().filter(|it| is_nal(it.codec)) else { return (Sets::Among, copy) };
    let hevc = track.codec == VideoCodec::Hevc;
    let codes = StartCodes::default();
    let mut all: BTreeMap<(SetKind, u8), Vec<u8>> = BTreeMap::new();
    let mut apart = container == Container::Mp4;
    for set in &track.sets {
        let known = all.entry((set.kind, set.id)).or_insert_with(|| set.bytes.clone());
        apart &= *known == set.bytes;
    }
    let made = prepared.iter().flat_map(|it| &it.parts).filter_map(|part| match part {
        Part::Made(samples) => Some(samples),
        Part::Whole(_) => None,
    });
    for sample in made.flatten() {
        for (_, unit) in prefixed::units(&codes, &sample.bytes, hevc).filter(|it| it.0 == Role::Set) {
            if let Some(set) = ParameterSet::parse(track.codec, unit) {
                let known = all.entry((set.kind, set.id)).or_insert_with(|| set.bytes.clone());
                apart &= *known == set.bytes;
            }
        }
    }
    let mut extradata = Vec::new();
    for set in all.values() {
        extradata.extend_from_slice(&[0, 0, 0, 1]);
        extradata.extend_from_slice(set);
    }
    copy.extradata = Some(extradata);
    if container == Container::Mp4 {
        copy.tag = Some(*match (hevc, apart) {
            (false, true) => b"avc1",
            (false, false) => b"avc3",
            (true, true) => b"hvc1",
            (true, false) => b"hev1",
        });
    }
    (if apart { Sets::Apart } else { Sets::Among }, copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_times_rise_and_are_never_late() {
        // I P B B P B B of two ranges, one picture of reordering each.
        let order = [0, 3, 1, 2, 6, 4, 5, 7, 10, 8, 9];
        let mut times =
            DecodingTimes { depth: 1, step: 1, first: None, written: 0, waiting: BinaryHeap::new() };
        let given: Vec<i64> = order.iter().map(|pts| times.next(*pts)).collect();
        assert_eq!(given, [-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert!(given.iter().zip(order).all(|(dts, pts)| *dts <= pts));
    }
}
