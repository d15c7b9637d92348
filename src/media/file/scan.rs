//! One pass over a file's packets: the frame index of its pictures, the places of its sound, and where to seek.

use crate::base::time::TimeBase;
use crate::base::{Error, Result, Timestamp, Token};
use crate::media::cut::Container;
use crate::media::cut::plan::Source;
use crate::media::ffi::{StreamInfo, StreamKind, codec_name, id};
use crate::media::index::packets::{FilePacket, PacketScanner};
use crate::media::index::{AccessUnit, FrameIndex, MAX_AUDIO_TRACKS, MAX_FRAMES, UnitClass, VideoTrack};
use crate::media::nal::boxed::Framing;
use crate::media::record;
use crate::media::source::{codec_of, open_probed};
use std::path::Path;

/// A stretch of the file that is copied or edited as one ends before a random access point after so many pictures or
/// bytes.
const LEAST_UNITS: usize = 12;
const LEAST_BYTES: u64 = 256 << 10;

/// It ends anywhere after so many: what is taken over beside an edge is held until it is written.
const MOST_UNITS: usize = 48;
const MOST_BYTES: u64 = 1 << 20;

/// A packet of the pictures that the container can be asked to go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeekPoint {
    /// The packet's number in its stream.
    pub number: u64,
    /// In ticks of 90 kHz.
    pub pts: i64,
    /// As the container tells it, in the stream's time base.
    pub stamp: i64,
    pub position: Option<u64>,
}

/// One packet of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoundPacket {
    /// As the container tells it, in the stream's time base.
    pub stamp: i64,
    /// In samples on the file's clock: smoothed where the container's clock is coarser than a sample.
    pub at: i64,
    pub samples: u32,
}

pub struct SoundTrack {
    pub stream: StreamInfo,
    pub packets: Vec<SoundPacket>,
    /// Samples that decoding a packet gives, where the codec fixes them: of the last one the file may leave some out.
    pub decoded: u32,
    /// What its decoder is told, where the container does not: of AAC in ADTS.
    pub config: Option<Vec<u8>>,
}

impl SoundTrack {
    /// The clock of [`SoundPacket::at`].
    pub fn clock(&self) -> TimeBase {
        TimeBase::new(1, self.stream.sample_rate.max(1) as i32)
    }
}

/// A piece of text shown for a while; times in ticks of its stream.
pub struct Cue {
    pub at: i64,
    pub duration: i64,
    pub bytes: Vec<u8>,
}

/// What a file holds.
pub struct FileIndex {
    pub video: StreamInfo,
    pub framing: Framing,
    /// The clock of the output's pictures: the source's own, where 90 kHz can tell its ticks apart.
    pub clock: TimeBase,
    /// The pictures, stretch by stretch, in decoding order.
    pub segments: Vec<FrameIndex>,
    /// When each stretch begins, from the first picture on.
    walls: Vec<Timestamp>,
    /// As the container tells it, of every packet of the pictures: by it a packet is known again.
    pub stamps: Vec<i64>,
    /// Whether the container tells presentation times: then packets without one are not known again by themselves.
    pub timed: bool,
    pub seek_points: Vec<SeekPoint>,
    pub sounds: Vec<SoundTrack>,
    /// Streams that are neither, and the cues of those that are text.
    pub others: Vec<StreamInfo>,
    pub cues: Vec<Vec<Cue>>,
    /// The pictures come with such that say how opaque they are.
    pub alpha: bool,
    /// First and last picture shown, in ticks of 90 kHz, and where the last one ends.
    pub first: i64,
    pub last: i64,
    pub end: i64,
    /// The usual distance of two pictures.
    pub step: i64,
    pub reorder: usize,
    /// Whether packets are found by bytes, because timestamps lie where they are read.
    pub by_bytes: bool,
}

/// Text of a file, which is held: a film has some 100 KB of it.
const MAX_CUE_BYTES: usize = 64 << 20;

/// Subtitles that are taken along.
pub fn is_text(stream: &StreamInfo) -> bool {
    matches!(stream.codec, id::SUBRIP | id::ASS | id::WEBVTT)
}

/// Sound that a container can be told of: damaged headers leave its codec or its rate out.
fn is_sound(stream: &StreamInfo) -> bool {
    stream.kind == StreamKind::Audio && stream.codec != 0 && stream.sample_rate > 0
}

/// Collects the sound of one stream.
struct SoundScanner {
    track: SoundTrack,
}

impl SoundScanner {
    fn push(&mut self, stamp: Option<i64>, duration: i64) {
        let (base, clock) = (self.track.stream.time_base, self.track.clock());
        let before = self.track.packets.last().copied();
        let follows = before.map(|it| it.at + i64::from(it.samples));
        let told = base.rescale(duration, clock).clamp(0, i64::from(u32::MAX)) as u32;
        // Where ticks are coarse a packet's duration is rounded.
        let tolerance = base.rescale(2, clock).max(2);
        let fixed = self.track.decoded;
        let near = (i64::from(told) - i64::from(fixed)).abs() <= tolerance;
        let samples = if fixed > 0 && (told == 0 || near) { fixed } else { told };
        let at = match (stamp.map(|it| base.rescale(it, clock)), follows) {
            (Some(at), Some(follows)) if (at - follows).abs() <= tolerance => follows,
            (Some(at), _) => at,
            (None, Some(follows)) => follows,
            (None, None) => 0,
        };
        let stamp = stamp.unwrap_or_else(|| clock.rescale(at, base));
        self.track.packets.push(SoundPacket { stamp, at, samples });
    }
}

impl FileIndex {
    /// Reads the file through. `progress` is told bytes, and how many there are.
    ///
    /// # Errors
    /// `unsupported-source` when it has no pictures or an edit list plays parts of it in another order;
    /// `damaged-media` when it cannot be read or holds more than an index may.
    pub fn scan(path: &Path, token: &Token, progress: &dyn Fn(u64, u64)) -> Result<Self> {
        let bytes =
            std::fs::metadata(path).map_err(|fault| Error::io("the file could not be read", &fault))?.len();
        let mut demuxer = open_probed(path, token)?;
        let format = demuxer.format_name();
        let by_bytes = matches!(&*format, "mpegts" | "mpeg");
        let Some(video) = demuxer.best(StreamKind::Video) else {
            return Err(unsupported("the file has no video"));
        };
        let streams = demuxer.streams();
        let mut sounds = Vec::new();
        for stream in streams.iter().filter(|it| is_sound(it)).take(MAX_AUDIO_TRACKS) {
            let fixed = demuxer.packet_samples(stream.index)?;
            let track =
                SoundTrack { stream: stream.clone(), packets: Vec::new(), decoded: fixed, config: None };
            sounds.push(SoundScanner { track });
        }
        let others = streams.iter().filter(|it| {
            it.index != video.index && !sounds.iter().any(|sound| sound.track.stream.index == it.index)
        });
        let others: Vec<StreamInfo> = others.cloned().collect();
        let texts = others.iter().filter(|it| is_text(it)).map(|it| it.index);
        let wanted: Vec<usize> =
            sounds.iter().map(|it| it.track.stream.index).chain([video.index]).chain(texts).collect();
        demuxer.select(&wanted);
        let mut cues: Vec<Vec<Cue>> = others.iter().map(|_| Vec::new()).collect();
        let mut cue_bytes = 0;
        let mut scanner = PacketScanner::new(codec_of(&video), &demuxer.extradata(video.index)?);
        let (mut stamps, mut seek_points) = (Vec::new(), Vec::new());
        let (mut hidden, mut frames, mut timed, mut alpha) = (Vec::new(), 0, false, false);
        let mut latest = (i64::MIN, 0);
        while let Some(packet) = demuxer.read()? {
            if packet.is_encrypted() {
                return Err(unsupported("the file is encrypted"));
            }
            if let Some(position) = packet.position() {
                progress(position.min(bytes), bytes);
            }
            if let Some(text) = others.iter().position(|it| it.index == packet.stream()) {
                cue_bytes += packet.data().len() + size_of::<Cue>();
                if cue_bytes > MAX_CUE_BYTES {
                    return Err(Error::damaged("the file has more than 64 MiB of text"));
                }
                if let Some(at) = packet.pts() {
                    let bytes = packet.data().to_vec();
                    cues[text].push(Cue { at, duration: packet.duration(), bytes });
                }
                continue;
            }
            if packet.stream() != video.index {
                frames += 1;
                if frames > MAX_FRAMES {
                    return Err(Error::damaged(format!(
                        "the file has more than {MAX_FRAMES} packets of sound"
                    )));
                }
                if let Some(sound) = sounds.iter_mut().find(|it| it.track.stream.index == packet.stream()) {
                    if sound.track.packets.is_empty() && sound.track.stream.codec == id::AAC {
                        sound.track.config = record::aac_of_adts(packet.data());
                    }
                    sound.push(packet.pts(), packet.duration());
                }
                continue;
            }
            if let Some(extradata) = packet.new_extradata() {
                scanner.configure(extradata);
            }
            let ticks = |time: Option<i64>| time.map(|it| video.time_base.rescale(it, TimeBase::MPEG));
            let number = stamps.len() as u64;
            stamps.push(packet.pts().or(packet.dts()).unwrap_or(i64::MIN));
            timed |= packet.pts().is_some();
            alpha |= packet.alpha().is_some();
            if let Some(pts) = packet.pts().filter(|it| *it > latest.0) {
                latest = (pts, packet.duration());
            }
            if packet.is_key()
                && let Some(pts) = ticks(packet.pts().or(packet.dts()))
            {
                let (stamp, position) = (packet.dts().or(packet.pts()), packet.position());
                seek_points.push(SeekPoint { number, pts, stamp: stamp.unwrap_or(0), position });
            }
            if packet.is_discarded() {
                hidden.extend(ticks(packet.pts()));
            }
            scanner.push(&FilePacket {
                bytes: packet.data(),
                pts: ticks(packet.pts()),
                dts: ticks(packet.dts()),
                key: packet.is_key(),
                damaged: packet.is_corrupt(),
            })?;
        }
        progress(bytes, bytes);
        // Streams guess how long a picture lasts; files tell.
        let lasts = if by_bytes { 0 } else { video.time_base.rescale(latest.1, TimeBase::MPEG) };
        let framing = scanner.framing();
        let rate = (video.frame_rate.0 > 0).then_some((video.frame_rate.0 as u32, video.frame_rate.1 as u32));
        let track = scanner.finish(rate);
        let sounds = sounds.into_iter().map(|it| it.track).filter(|it| !it.packets.is_empty()).collect();
        Self::of(
            video,
            framing,
            track,
            &hidden,
            Rest { stamps, timed, seek_points, sounds, others, cues, alpha, by_bytes, bytes, lasts },
        )
    }

    fn of(
        video: StreamInfo,
        framing: Framing,
        track: VideoTrack,
        hidden: &[i64],
        rest: Rest,
    ) -> Result<Self> {
        let mut times: Vec<i64> = track.units.iter().filter(|it| !it.second_field).map(|it| it.pts).collect();
        times.sort_unstable();
        if times.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(unsupported("pictures of the file share their times"));
        }
        let mut steps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        steps.sort_unstable();
        // A file of one picture: 25 a second is as good as any.
        let step = steps.get(steps.len() / 2).copied().unwrap_or(3600);
        let mut shown = times.clone();
        if !hidden.is_empty() {
            let mut hidden = hidden.to_vec();
            hidden.sort_unstable();
            shown.retain(|it| hidden.binary_search(it).is_err());
            let inside = |it: &i64| shown.first() < Some(it) && Some(it) < shown.last();
            if hidden.iter().any(inside) {
                return Err(unsupported("the file's edit list leaves out pictures between others"));
            }
        }
        let (Some(first), Some(last)) = (shown.first().copied(), shown.last().copied()) else {
            return Err(unsupported("the file holds no picture"));
        };
        let base = video.time_base;
        let fine = i64::from(base.den) <= 90_000 * i64::from(base.num);
        let mut it = Self {
            clock: if fine { base } else { TimeBase::MPEG },
            video,
            framing,
            segments: Vec::new(),
            walls: Vec::new(),
            stamps: rest.stamps,
            timed: rest.timed,
            seek_points: rest.seek_points,
            sounds: rest.sounds,
            others: rest.others,
            cues: rest.cues,
            alpha: rest.alpha,
            first,
            last,
            end: last + if hidden.is_empty() && rest.lasts > 0 { rest.lasts } else { step },
            step,
            reorder: usize::from(track.reorder),
            by_bytes: rest.by_bytes,
        };
        it.split(track, rest.bytes);
        Ok(it)
    }

    /// Parts the track into stretches.
    fn split(&mut self, mut track: VideoTrack, bytes: u64) {
        let units = std::mem::take(&mut track.units);
        let mut rest: Vec<AccessUnit> = Vec::new();
        let mut size = 0;
        for unit in units {
            let enough = rest.len() >= LEAST_UNITS || size >= LEAST_BYTES;
            let full = rest.len() >= MOST_UNITS || size >= MOST_BYTES;
            if !unit.second_field && (enough && begins(&unit) || full) {
                self.push(&track, std::mem::take(&mut rest), bytes);
                size = 0;
            }
            size += u64::from(unit.size);
            rest.push(unit);
        }
        if !rest.is_empty() {
            self.push(&track, rest, bytes);
        }
    }

    fn push(&mut self, track: &VideoTrack, units: Vec<AccessUnit>, bytes: u64) {
        let begin = units.iter().map(|it| it.pts).min().unwrap_or(self.first);
        self.walls.push(self.wall(begin));
        let mut units = units;
        units.shrink_to_fit();
        self.segments.push(FrameIndex {
            bytes,
            program: 0,
            pmt_pid: 0,
            pcr_pid: 0,
            first_pcr: None,
            gaps: 0,
            program_changes: 0,
            video: Some(VideoTrack { units, ..track.clone() }),
            audio: Vec::new(),
        });
    }

    /// Micros from the first picture on, as an instant.
    pub fn wall(&self, ticks: i64) -> Timestamp {
        Timestamp::from_micros(TimeBase::MPEG.micros(ticks - self.first))
    }

    pub fn units(&self, segment: usize) -> &[AccessUnit] {
        self.segments[segment].video.as_ref().map_or(&[], |it| &it.units)
    }

    pub fn track(&self) -> Option<&VideoTrack> {
        self.segments.first()?.video.as_ref()
    }

    /// The number of a unit's packet in its stream.
    pub fn number_of(&self, segment: usize, unit: usize) -> u64 {
        self.units(segment).get(unit).map_or(0, |it| it.offset)
    }

    /// Sources for a plan of `[start, end)` in ticks of 90 kHz, and the number of the first one's stretch: with those
    /// before it that decoding may need.
    pub fn sources(&self, start: i64, end: i64) -> (usize, Vec<Source<'_>>) {
        let starts_by = |time: i64| self.walls.partition_point(|it| *it <= self.wall(time));
        // Leading pictures may be shown before the stretch that they follow in decoding order.
        let mut from = starts_by(start).saturating_sub(3);
        let can_begin = |segment: usize| {
            self.units(segment).first().is_some_and(|it| match it.class {
                UnitClass::RecoveryPoint { frames } => frames == 0,
                class => class.is_random_access(),
            })
        };
        while from > 0 && !can_begin(from) {
            from -= 1;
        }
        let until = (starts_by(end) + 2).min(self.segments.len());
        let source = |number: usize| Source {
            index: &self.segments[number],
            wall: self.walls[number],
            joined: number > from,
            whole: true,
            inner: None,
        };
        (from, (from..until).map(source).collect())
    }

    /// The first picture's time as the container tells it.
    pub fn first_stamp(&self) -> i64 {
        let base = self.video.time_base;
        let shown = |it: &&i64| **it != i64::MIN && base.rescale(**it, TimeBase::MPEG) == self.first;
        self.stamps.iter().find(shown).copied().unwrap_or_else(|| TimeBase::MPEG.rescale(self.first, base))
    }

    /// Says that the pictures will be seen unturned, where they are stored turned and `container` cannot tell it.
    pub fn lost_turn(&self, container: Container) -> Option<String> {
        let lost = !self.video.turn.is_none() && container != Container::Mp4;
        let mirrored = if self.video.turn.mirrored { " and mirrored" } else { "" };
        lost.then(|| {
            format!(
                "that the pictures are turned by {} degrees{mirrored} is left out",
                self.video.turn.degrees
            )
        })
    }

    /// The name of the pictures' codec.
    pub fn codec_name(&self) -> String {
        codec_name(self.video.codec)
    }
}

/// Decoding may begin at the unit for all that is shown after it.
fn begins(unit: &AccessUnit) -> bool {
    !unit.second_field
        && match unit.class {
            UnitClass::RecoveryPoint { frames } => frames == 0,
            class => class.is_random_access(),
        }
}

struct Rest {
    stamps: Vec<i64>,
    timed: bool,
    seek_points: Vec<SeekPoint>,
    sounds: Vec<SoundTrack>,
    others: Vec<StreamInfo>,
    cues: Vec<Vec<Cue>>,
    alpha: bool,
    by_bytes: bool,
    bytes: u64,
    /// How long the last picture is shown, where that is told, in ticks of 90 kHz.
    lasts: i64,
}

pub fn unsupported(what: impl Into<String>) -> Error {
    Error::new(crate::base::error::Kind::Unsupported, "unsupported-source", what)
}
