//! One pass over a segment.

use super::audio::AudioScanner;
use super::place::Places;
use super::video::VideoScanner;
use super::{AudioCodec, AudioTrack, FrameIndex, MAX_AUDIO_TRACKS, MAX_FRAMES, SoundIndex, VideoCodec};
use crate::base::{Error, Result};
use crate::media::ts::psi::{self, Program, ProgramMap, Sections, Stream};
use crate::media::ts::{Packet, Packets, PesReader};

/// Programs of a PAT looked at.
const MAX_PROGRAMS: usize = 64;
const PIDS: usize = 1 << 13;

/// Indexes a segment: the first program of its PAT that has a picture, or else the first.
///
/// Never panics, and holds no more than the index itself, whatever the bytes. Fails with
/// [`crate::base::error::Kind::Damaged`] when there is no program to be found, or more in it than any real segment has.
pub fn build(segment: &[u8]) -> Result<FrameIndex> {
    if u32::try_from(segment.len()).is_err() {
        return Err(Error::damaged("the segment is longer than 4 GB"));
    }
    let (map, pmt_pid) = find_program(segment)?;
    Builder::new(map, pmt_pid).run(segment)
}

/// Indexes the sound of a segment and finds its clock, passing over the pictures: a twentieth of [`build`]'s time. The
/// tracks are those of [`build`], and so is the first time where each picture has a PES packet of its own.
///
/// Fails as [`build`] does.
pub fn sound(segment: &[u8]) -> Result<SoundIndex> {
    let (map, pmt_pid) = find_program(segment)?;
    let mut builder = Builder::new(map, pmt_pid);
    let mut clock = Clock::default();
    for packet in Packets::new(segment) {
        match builder.roles[usize::from(packet.pid())] {
            // The first is the only one: a builder has one reader for pictures.
            Role::Video => clock.push(packet, &mut builder.reference),
            _ => builder.push(packet)?,
        }
    }
    let audio: Vec<AudioTrack> = builder.audio.into_iter().map(|(scanner, _)| scanner.finish()).collect();
    let first = clock.first.or_else(|| audio.iter().flat_map(|it| &it.frames).map(|it| it.pts).min());
    Ok(SoundIndex { first_pts: first, audio })
}

/// The smallest time of one PID's PES packets.
#[derive(Default)]
struct Clock<'a> {
    pes: PesReader<'a>,
    places: Places,
    /// A header runs on into the next packet.
    open: bool,
    first: Option<i64>,
}

impl<'a> Clock<'a> {
    fn push(&mut self, packet: Packet<'a>, reference: &mut Option<i64>) {
        if !packet.starts_unit() && !self.open {
            return;
        }
        let chunk = self.pes.push(packet);
        self.open = chunk.is_none() && (self.open || packet.starts_unit());
        let Some(chunk) = chunk else { return };
        let position = self.places.advance(&chunk, packet.offset, reference);
        if let (Some(times), _) = self.places.take_times(position) {
            self.first = Some(self.first.map_or(times.pts, |first| first.min(times.pts)));
        }
    }
}

/// The program map, which may stand after the first pictures.
fn find_program(segment: &[u8]) -> Result<(ProgramMap, u16)> {
    let mut pat = Sections::default();
    let mut programs: Vec<(Program, Sections, Option<ProgramMap>)> = Vec::new();
    for packet in Packets::new(segment).filter(|it| it.has_payload() && !it.is_broken()) {
        let pid = packet.pid();
        if pid == 0 {
            pat.push(packet.payload(), packet.starts_unit(), |section| {
                for program in psi::programs(section).unwrap_or_default() {
                    if programs.len() < MAX_PROGRAMS && programs.iter().all(|it| it.0 != program) {
                        programs.push((program, Sections::default(), None));
                    }
                }
            });
            continue;
        }
        let mut complete = false;
        for (program, sections, map) in programs.iter_mut().filter(|it| it.0.pmt_pid == pid && it.2.is_none())
        {
            sections.push(packet.payload(), packet.starts_unit(), |section| {
                let found = ProgramMap::parse(section).filter(|it| it.program == program.number);
                *map = found.or(map.take());
            });
            complete |= map.is_some();
        }
        if complete && (programs.iter().all(|it| it.2.is_some()) || best(&programs, true).is_some()) {
            break;
        }
    }
    best(&programs, true)
        .or_else(|| best(&programs, false))
        .ok_or_else(|| Error::damaged("the segment holds no MPEG-TS program"))
}

fn best(programs: &[(Program, Sections, Option<ProgramMap>)], pictures: bool) -> Option<(ProgramMap, u16)> {
    let fits = |map: &ProgramMap| !pictures || map.streams.iter().any(|it| video_codec(it).is_some());
    programs.iter().find_map(|(program, _, map)| {
        map.as_ref().filter(|it| fits(it)).map(|it| (it.clone(), program.pmt_pid))
    })
}

/// How pictures of a stream are coded (H.222.0 table 2-34); `None` for streams without pictures.
fn video_codec(stream: &Stream) -> Option<VideoCodec> {
    match stream.stream_type {
        0x01 | 0x02 => Some(VideoCodec::Mpeg2),
        0x1b => Some(VideoCodec::H264),
        0x24 => Some(VideoCodec::Hevc),
        0x06 if stream.registration() == Some(*b"HEVC") => Some(VideoCodec::Hevc),
        // MPEG-4 part 2, SVC and MVC, JPEG 2000, scalable HEVC, VVC, EVC, CAVS, Dirac, VC-1.
        it @ (0x10 | 0x1f | 0x20 | 0x21 | 0x25 | 0x33 | 0x35 | 0x42 | 0xd1 | 0xea) => {
            Some(VideoCodec::Other(it))
        }
        _ => None,
    }
}

/// How a stream's sound is coded: by stream type, or by descriptor where the type says only "private" (ETSI
/// EN 300 468 annex D, ATSC A/52 annex A, ETSI TS 103 491).
fn audio_codec(stream: &Stream) -> Option<AudioCodec> {
    match stream.stream_type {
        0x03 | 0x04 => Some(AudioCodec::Mpeg { layer: 2 }),
        0x0f => Some(AudioCodec::AacAdts),
        0x11 => Some(AudioCodec::AacLatm),
        0x81 => Some(AudioCodec::Ac3),
        0x84 | 0x87 => Some(AudioCodec::Eac3),
        0x06 => match stream.registration() {
            Some(it) if it == *b"Opus" => Some(AudioCodec::Opus),
            Some(it) if it == *b"AC-3" => Some(AudioCodec::Ac3),
            Some(it) if it == *b"EAC3" => Some(AudioCodec::Eac3),
            _ => stream.descriptors().find_map(|(tag, _)| match tag {
                0x6a => Some(AudioCodec::Ac3),
                0x7a => Some(AudioCodec::Eac3),
                0x7c => Some(AudioCodec::AacLatm),
                _ => None,
            }),
        },
        _ => None,
    }
}

/// What the packets of a PID are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    None,
    Map,
    Video,
    Audio(u8),
}

struct Builder<'a> {
    map: ProgramMap,
    pmt_pid: u16,
    roles: Vec<Role>,
    sections: Sections,
    video: Option<(VideoScanner, PesReader<'a>)>,
    audio: Vec<(AudioScanner, PesReader<'a>)>,
    /// Sound frames found, over all tracks.
    frames: usize,
    first_pcr: Option<u64>,
    program_changes: u32,
    /// Any time of the segment: what the first of each stream is unwrapped by.
    reference: Option<i64>,
}

impl<'a> Builder<'a> {
    fn new(map: ProgramMap, pmt_pid: u16) -> Self {
        let mut it = Self {
            pmt_pid,
            roles: vec![Role::None; PIDS],
            sections: Sections::default(),
            video: None,
            audio: Vec::new(),
            frames: 0,
            first_pcr: None,
            program_changes: 0,
            reference: None,
            map,
        };
        it.enter();
        it
    }

    /// Gives the streams of the map their readers, so far as they have none.
    fn enter(&mut self) {
        for stream in &self.map.streams {
            let role = &mut self.roles[usize::from(stream.pid)];
            if *role != Role::None {
                continue;
            }
            if let Some(codec) = video_codec(stream) {
                if self.video.is_none() {
                    let scanner = VideoScanner::new(stream.pid, stream.stream_type, codec);
                    self.video = Some((scanner, PesReader::default()));
                    *role = Role::Video;
                }
            } else if let Some(codec) = audio_codec(stream)
                && self.audio.len() < MAX_AUDIO_TRACKS
            {
                *role = Role::Audio(self.audio.len() as u8);
                let scanner = AudioScanner::new(stream.pid, stream.stream_type, codec);
                self.audio.push((scanner, PesReader::default()));
            }
        }
        self.roles[usize::from(self.pmt_pid)] = Role::Map;
    }

    fn run(mut self, segment: &'a [u8]) -> Result<FrameIndex> {
        for packet in Packets::new(segment) {
            self.push(packet)?;
        }
        self.finish(segment.len() as u64)
    }

    fn push(&mut self, packet: Packet<'a>) -> Result<()> {
        if self.first_pcr.is_none() && packet.pid() == self.map.pcr_pid {
            self.first_pcr = packet.pcr();
        }
        match self.roles[usize::from(packet.pid())] {
            Role::None => {}
            Role::Map => self.update(packet),
            Role::Video => {
                if let Some((scanner, pes)) = &mut self.video
                    && let Some(chunk) = pes.push(packet)
                {
                    scanner.push(&chunk, packet.offset, &mut self.reference)?;
                }
            }
            Role::Audio(index) => {
                if let Some((scanner, pes)) = self.audio.get_mut(usize::from(index))
                    && let Some(chunk) = pes.push(packet)
                {
                    let before = scanner.frames();
                    scanner.push(&chunk, packet.offset, &mut self.reference);
                    self.frames += scanner.frames().saturating_sub(before);
                    if self.frames > MAX_FRAMES {
                        return Err(Error::damaged(format!(
                            "the segment has more than {MAX_FRAMES} sound frames"
                        )));
                    }
                }
            }
        }
        Ok(())
    }

    /// A later program map may add streams. Those of the first stay what they are.
    fn update(&mut self, packet: Packet<'a>) {
        if !packet.has_payload() || packet.is_broken() {
            return;
        }
        let (program, mut found) = (self.map.program, None);
        self.sections.push(packet.payload(), packet.starts_unit(), |section| {
            found = ProgramMap::parse(section).filter(|it| it.program == program).or(found.take());
        });
        if let Some(map) = found
            && map.streams != self.map.streams
        {
            self.program_changes = self.program_changes.saturating_add(1);
            self.map = ProgramMap { pcr_pid: self.map.pcr_pid, ..map };
            self.enter();
        }
    }

    fn finish(self, bytes: u64) -> Result<FrameIndex> {
        let gaps = self.video.iter().map(|it| it.1.gaps).chain(self.audio.iter().map(|it| it.1.gaps));
        Ok(FrameIndex {
            bytes,
            program: self.map.program,
            pmt_pid: self.pmt_pid,
            pcr_pid: self.map.pcr_pid,
            first_pcr: self.first_pcr,
            gaps: gaps.fold(0, u32::saturating_add),
            program_changes: self.program_changes,
            video: self.video.map(|(scanner, _)| scanner.finish(bytes)).transpose()?,
            audio: self.audio.into_iter().map(|(scanner, _)| scanner.finish()).collect(),
        })
    }
}
