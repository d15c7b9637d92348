//! From the packets of libav's demuxers to samples as MP4 keeps them: NAL units behind lengths, AAC without ADTS, and what
//! decoders are told beside them, followed as it changes. Times are handed on as they come.

use super::{Codec, Track, TrackKind};
use crate::base::time::TimeBase;
use crate::base::{Error, Kind, Result};
use crate::media::ffi::{Demuxer, Packet, StreamInfo, StreamKind, codec_name};
use crate::media::index::{AudioCodec, AudioTrack, ParameterSet, SetKind, VideoCodec, VideoFormat};
use crate::media::mp4::{PictureEntry, SampleEntry, SoundCoding, SoundEntry};
use crate::media::nal::boxed::Framing;
use crate::media::nal::prefixed::{self, Role};
use crate::media::nal::{StartCodes, av1, without_trailing_zeros};
use crate::media::record;
use bytes::{BufMut, Bytes, BytesMut};

/// Parameter sets that are followed; streams in use have two or three.
const MOST_SETS: usize = 64;
/// Bytes of an ADTS header, and of one with a checksum (ISO/IEC 14496-3 §1.A.3.2).
const ADTS_BYTES: usize = 7;
const ADTS_BYTES_CHECKED: usize = 9;
/// Bytes of STREAMINFO (RFC 9639 §8.2).
const STREAMINFO_BYTES: usize = 34;

/// A packet as a sample, with its times as the source has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// Its track's index in [`Intake::tracks`].
    pub track: usize,
    /// In the track's time base.
    pub dts: Option<i64>,
    pub pts: Option<i64>,
    /// 0 where it is not known.
    pub duration: i64,
    pub key: bool,
    /// Parts of it were lost on the way.
    pub corrupt: bool,
    pub data: Bytes,
}

/// What a packet brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// Of no track that is followed, or with nothing in it.
    Nothing,
    Sample(Raw),
    /// A sample from which on [`Intake::tracks`] are others than before: a codec became known or changed.
    Changed(Raw),
}

/// Samples lie one behind the other in blocks of so many bytes: they leave a ring in the order they came, and an allocation for
/// each makes a heap of many sources slow.
const BLOCK: usize = 256 << 10;

/// Where samples are put.
#[derive(Default)]
struct Room(BytesMut);

impl Room {
    /// Puts a sample of some `bytes` there.
    fn put(&mut self, bytes: usize, write: impl FnOnce(&mut BytesMut)) -> Bytes {
        // A large one lies alone, so that no more than a like part of a block is left over.
        if bytes > BLOCK / 4 {
            let mut alone = BytesMut::with_capacity(bytes);
            write(&mut alone);
            return alone.freeze();
        }
        if self.0.capacity() < bytes {
            self.0 = BytesMut::with_capacity(BLOCK);
        }
        write(&mut self.0);
        self.0.split().freeze()
    }
}

/// The first video and the first sound of a source.
pub struct Intake {
    readers: Vec<Reader>,
    room: Room,
}

struct Reader {
    stream: StreamInfo,
    codec: Codec,
    codes: StartCodes,
    framing: Framing,
    sets: Vec<ParameterSet>,
    track: Track,
    known: bool,
    /// Every packet of AAC brings a header of its own, since nothing was told beside them.
    adts: bool,
    /// Of sound that libav does not know: the last time that was told, and samples since.
    since: Option<(i64, i64)>,
}

impl Intake {
    /// # Errors
    /// `no-video` where the source has none.
    pub fn new(source: &Demuxer, sound: bool) -> Result<Self> {
        let video = source.best(StreamKind::Video);
        let video =
            video.ok_or_else(|| Error::new(Kind::Unsupported, "no-video", "the stream has no video"))?;
        let sound = source.streams().into_iter().find(|it| sound && it.kind == StreamKind::Audio);
        let mut readers = Vec::new();
        for stream in [Some(video), sound].into_iter().flatten() {
            let extradata = source.extradata(stream.index)?;
            let samples = source.packet_samples(stream.index)?;
            readers.push(Reader::new(stream, &extradata, samples));
        }
        Ok(Self { readers, room: Room::default() })
    }

    /// libav's indices of the streams that are followed.
    pub fn streams(&self) -> Vec<usize> {
        self.readers.iter().map(|it| it.stream.index).collect()
    }

    /// The tracks, video first, as far as they are known: a track of which nothing came yet may lack its configuration.
    pub fn tracks(&self) -> Vec<Track> {
        self.readers.iter().map(|it| it.track.clone()).collect()
    }

    pub fn codec(&self, track: usize) -> Option<Codec> {
        self.readers.get(track).map(|it| it.codec)
    }

    /// Whether every track's decoder can be set up.
    pub fn is_known(&self) -> bool {
        self.readers.iter().all(|it| it.known)
    }

    /// Whether that of pictures can.
    pub fn knows_video(&self) -> bool {
        self.readers.first().is_some_and(|it| it.known)
    }

    /// Whether pictures say how far they are reordered: of H.264 the sequence parameter sets may, of others they do.
    pub fn tells_order(&self) -> bool {
        let Some(reader) = self.readers.first().filter(|it| it.codec == Codec::H264) else { return true };
        let mut formats = reader.sets.iter().filter_map(|it| VideoFormat::of(VideoCodec::H264, it));
        formats.all(|it| it.reorder.is_some())
    }

    /// Whether sound that is not known yet is on its way: it came while the source was opened, so that libav knows how it sounds,
    /// or nobody waited for it then.
    pub fn is_heard(&self) -> bool {
        let unknown = |it: &&Reader| !it.known && it.track.kind == TrackKind::Audio;
        let found = self.readers.iter().find(unknown);
        found.is_some_and(|it| it.stream.sample_rate > 0 || it.stream.tells_by_packet())
    }

    pub fn take(&mut self, packet: &Packet) -> Taken {
        let place = self.readers.iter().position(|it| it.stream.index == packet.stream());
        let Some(track) = place.filter(|_| !packet.data().is_empty()) else { return Taken::Nothing };
        let reader = &mut self.readers[track];
        let mut changed = packet.new_extradata().is_some_and(|it| reader.set_up(it));
        let (data, learnt) = reader.sample(packet.data(), &mut self.room);
        changed |= learnt;
        if data.is_empty() {
            return Taken::Nothing;
        }
        let (dts, pts, duration) = match reader.timed(packet.pts()) {
            Some((at, duration)) => (at, at, duration),
            None => (packet.dts(), packet.pts(), packet.duration()),
        };
        let raw = Raw {
            track,
            dts,
            pts,
            duration,
            key: packet.is_key() || reader.track.kind == TrackKind::Audio,
            corrupt: packet.is_corrupt(),
            data,
        };
        if changed { Taken::Changed(raw) } else { Taken::Sample(raw) }
    }
}

impl Reader {
    fn new(stream: StreamInfo, extradata: &[u8], frame_samples: u32) -> Self {
        let codec = Codec::of(stream.codec);
        let kind = if stream.kind == StreamKind::Video { TrackKind::Video } else { TrackKind::Audio };
        let (num, den) = stream.frame_rate;
        let track = Track {
            kind,
            codec,
            name: codec_name(stream.codec),
            time_base: stream.time_base,
            config: Bytes::new(),
            entry: None,
            codecs: String::new(),
            width: stream.width,
            height: stream.height,
            frame_rate: (num.max(0) as u32, den.max(1) as u32),
            sample_rate: stream.sample_rate,
            channels: stream.channels,
            frame_samples,
        };
        let mut reader = Self {
            stream,
            codec,
            codes: StartCodes::default(),
            framing: Framing::ByteStream,
            sets: Vec::new(),
            track,
            known: false,
            adts: codec == Codec::Aac && extradata.is_empty(),
            since: None,
        };
        reader.set_up(extradata);
        // Nothing is to be learnt of what has no form in MP4.
        reader.known |= matches!(codec, Codec::Alaw | Codec::Mulaw | Codec::Vp9 | Codec::Other(_));
        reader
    }

    fn is_hevc(&self) -> bool {
        self.codec == Codec::Hevc
    }

    /// Takes what a container tells beside the packets; whether it told something new.
    fn set_up(&mut self, extradata: &[u8]) -> bool {
        if extradata.is_empty() {
            return false;
        }
        match self.codec {
            Codec::H264 | Codec::Hevc => {
                let (framing, units) = Framing::of(extradata, self.is_hevc());
                let units: Vec<Vec<u8>> = units.into_iter().map(<[u8]>::to_vec).collect();
                self.framing = framing;
                let changed = units.iter().fold(false, |changed, it| self.learn(it) | changed);
                changed && self.describe_pictures()
            }
            Codec::Av1 => {
                let entry = self.picture_entry(*b"av01", extradata);
                let names = av1_name(extradata).filter(|_| extradata.first() == Some(&0x81));
                names.is_some_and(|it| self.describe(extradata, Some(entry), it))
            }
            Codec::Aac => {
                self.adts = false;
                self.describe_aac(extradata)
            }
            Codec::Flac => {
                let from = extradata.len().checked_sub(STREAMINFO_BYTES);
                let Some(info) = from.map(|it| &extradata[it..]) else { return false };
                // A full box of version 0 with one metadata block, which is the last (FLAC in ISOBMFF §3.3.2).
                let record = [&[0, 0, 0, 0, 0x80, 0, 0, STREAMINFO_BYTES as u8][..], info].concat();
                let coding = SoundCoding::Boxed { entry: *b"fLaC", kind: *b"dfLa", record };
                self.describe(extradata, Some(self.sound_entry(coding)), "fLaC".into())
            }
            Codec::Opus => {
                let Some(record) = opus_record(extradata) else { return false };
                let coding = SoundCoding::Boxed { entry: *b"Opus", kind: *b"dOps", record };
                self.describe(extradata, Some(self.sound_entry(coding)), "opus".into())
            }
            _ => false,
        }
    }

    /// Notes a parameter set; whether it is new.
    fn learn(&mut self, unit: &[u8]) -> bool {
        let codec = if self.is_hevc() { VideoCodec::Hevc } else { VideoCodec::H264 };
        let Some(set) = ParameterSet::parse(codec, unit) else { return false };
        match self.sets.iter().position(|it| (it.kind, it.id) == (set.kind, set.id)) {
            Some(at) if self.sets[at].hash == set.hash => return false,
            Some(at) => self.sets[at] = set,
            None if self.sets.len() < MOST_SETS => self.sets.push(set),
            None => return false,
        }
        true
    }

    /// Describes H.264 and HEVC by the sets there are; whether that is another description than before.
    fn describe_pictures(&mut self) -> bool {
        let hevc = self.is_hevc();
        let codec = if hevc { VideoCodec::Hevc } else { VideoCodec::H264 };
        let sequence = self.sets.iter().find(|it| it.kind == SetKind::Sequence);
        let Some(format) = sequence.and_then(|it| VideoFormat::of(codec, it)) else { return false };
        let record =
            if hevc { record::hevc(&self.sets, &format, true) } else { record::avc(&self.sets, &format) };
        let complete = self.sets.iter().any(|it| it.kind == SetKind::Picture);
        let Some(record) = record.filter(|_| complete) else { return false };
        (self.track.width, self.track.height) = (format.width, format.height);
        if let Some((num, den)) = format.frame_rate.filter(|_| self.track.frame_rate.0 == 0) {
            self.track.frame_rate = (num, den.max(1));
        }
        let mut entry = self.picture_entry(if hevc { *b"hvc1" } else { *b"avc1" }, &record);
        (entry.sar, entry.colour, entry.full_range) = (format.sar, format.colour, format.full_range);
        let name = if hevc { hevc_name(&record) } else { avc_name(&record) };
        self.describe(&record, Some(entry), name)
    }

    fn describe_aac(&mut self, config: &[u8]) -> bool {
        let object = config.first().map_or(0, |it| it >> 3);
        let coding = SoundCoding::Mpeg4 { object: 0x40, config: config.to_vec() };
        self.describe(config, Some(self.sound_entry(coding)), format!("mp4a.40.{object}"))
    }

    fn picture_entry(&self, kind: [u8; 4], record: &[u8]) -> PictureEntry {
        let side = |it: u32| u16::try_from(it).unwrap_or(u16::MAX);
        PictureEntry {
            kind,
            record: record.to_vec(),
            width: side(self.track.width),
            height: side(self.track.height),
            sar: (0, 0),
            colour: Default::default(),
            full_range: false,
        }
    }

    fn sound_entry(&self, coding: SoundCoding) -> SoundEntry {
        let channels = u16::try_from(self.track.channels).unwrap_or(u16::MAX);
        SoundEntry { channels, rate: self.track.sample_rate, coding }
    }

    fn describe<E: Into<SampleEntry>>(&mut self, config: &[u8], entry: Option<E>, codecs: String) -> bool {
        let entry = entry.map(Into::into);
        let same = self.known && self.track.config == config && self.track.entry == entry;
        self.known = true;
        self.track.config = Bytes::copy_from_slice(config);
        self.track.entry = entry;
        self.track.codecs = codecs;
        !same
    }

    /// The packet as a sample, and whether the track is another from it on.
    fn sample(&mut self, packet: &[u8], room: &mut Room) -> (Bytes, bool) {
        let mut put = |bytes: &[u8]| room.put(bytes.len(), |out| out.put_slice(bytes));
        match self.codec {
            Codec::H264 | Codec::Hevc => self.units(packet, room),
            Codec::Aac => {
                let Some(config) = record::aac_of_adts(packet).filter(|_| self.adts) else {
                    return (put(packet), false);
                };
                let bare = packet[1] & 1 == 1;
                let head = if bare { ADTS_BYTES } else { ADTS_BYTES_CHECKED };
                let found = AudioTrack::of_frame(AudioCodec::AacAdts, packet);
                self.follow(found.as_ref());
                let learnt = self.describe_aac(&config);
                (put(packet.get(head..).unwrap_or_default()), learnt)
            }
            Codec::Mpeg => (put(packet), self.learn_sound(AudioCodec::Mpeg { layer: 3 }, packet)),
            Codec::Ac3 => (put(packet), self.learn_sound(AudioCodec::Ac3, packet)),
            Codec::Eac3 => (put(packet), self.learn_sound(AudioCodec::Eac3, packet)),
            Codec::Av1 => {
                // Temporal delimiters are left out of samples (AV1 in ISOBMFF §2.4).
                let kept = av1::units(packet).filter(|it| it.kind != av1::kind::DELIMITER);
                (room.put(packet.len(), |out| kept.for_each(|it| out.put_slice(it.whole))), false)
            }
            _ => (put(packet), false),
        }
    }

    fn units(&mut self, packet: &[u8], room: &mut Room) -> (Bytes, bool) {
        let hevc = self.is_hevc();
        let mut sets: Vec<Vec<u8>> = Vec::new();
        let out = room.put(packet.len() + 64, |out| {
            self.framing.units(&self.codes, packet, |unit| {
                let unit = without_trailing_zeros(unit);
                let Some(role) = unit.first().map(|it| prefixed::role(*it, hevc)) else { return };
                if role == Role::Set && sets.len() < MOST_SETS {
                    sets.push(unit.to_vec());
                }
                if role != Role::Dropped {
                    out.put_u32(u32::try_from(unit.len()).unwrap_or(u32::MAX));
                    out.put_slice(unit);
                }
            });
        });
        let changed = sets.iter().fold(false, |changed, it| self.learn(it) | changed);
        (out, changed && self.describe_pictures())
    }

    /// The time and the length of a packet of sound that libav does not know: a PES packet has the time of its first frame alone.
    fn timed(&mut self, told: Option<i64>) -> Option<(Option<i64>, i64)> {
        let (samples, rate) = (i64::from(self.track.frame_samples), self.track.sample_rate);
        if self.stream.sample_rate > 0 || !self.stream.tells_by_packet() || samples == 0 || rate == 0 {
            return None;
        }
        let ticks = |samples: i64| TimeBase::new(1, rate as i32).rescale(samples, self.track.time_base);
        let since = told.map(|it| (it, 0)).or(self.since);
        let at = since.map(|(begin, count)| begin.saturating_add(ticks(count)));
        let end = since.map(|(begin, count)| begin.saturating_add(ticks(count + samples)));
        self.since = since.map(|(begin, count)| (begin, count + samples));
        Some((at, at.zip(end).map_or(ticks(samples), |(at, end)| end.saturating_sub(at))))
    }

    fn follow(&mut self, found: Option<&AudioTrack>) {
        if let Some(found) = found {
            self.track.sample_rate = found.sample_rate;
            self.track.channels = u32::from(found.channels);
            self.track.frame_samples = u32::from(found.samples_per_frame);
        }
    }

    fn learn_sound(&mut self, codec: AudioCodec, packet: &[u8]) -> bool {
        let Some(found) = AudioTrack::of_frame(codec, packet) else { return false };
        let bit_rate = u32::try_from(self.stream.bit_rate.max(0) / 1000).unwrap_or(u32::MAX);
        let Ok(coding) = record::coding(&found, bit_rate) else { return false };
        let (config, name) = match &coding {
            SoundCoding::Mpeg4 { object, .. } => (vec![*object], format!("mp4a.{object:02x}")),
            SoundCoding::Boxed { entry, record, .. } => {
                (record.clone(), String::from_utf8_lossy(entry).into_owned())
            }
        };
        self.follow(Some(&found));
        let entry = self.sound_entry(coding);
        self.describe(&config, Some(entry), name)
    }
}

/// Whether pictures of H.264 with these parameter sets are shown in the order they are sent, and how many a second: then a source
/// needs no further look.
pub fn is_in_order(extradata: &[u8]) -> bool {
    let (_, units) = Framing::of(extradata, false);
    let sets = units.iter().filter_map(|it| ParameterSet::parse(VideoCodec::H264, it));
    let mut formats = sets.filter_map(|it| VideoFormat::of(VideoCodec::H264, &it)).peekable();
    formats.peek().is_some() && formats.all(|it| it.reorder == Some(0) && it.frame_rate.is_some())
}

/// OpusSpecificBox (Opus in ISOBMFF §4.3.2) out of an OpusHead (RFC 7845 §5.1), whose numbers have the other byte order.
fn opus_record(head: &[u8]) -> Option<Vec<u8>> {
    let rest = head.strip_prefix(b"OpusHead")?;
    let [_, channels, skip0, skip1, rate0, rate1, rate2, rate3, gain0, gain1, mapping @ ..] = rest else {
        return None;
    };
    let fixed = [0, *channels, *skip1, *skip0, *rate3, *rate2, *rate1, *rate0, *gain1, *gain0];
    Some([&fixed[..], mapping].concat())
}

/// RFC 6381 §3.3, ISO/IEC 14496-15 annex E.
fn avc_name(record: &[u8]) -> String {
    let at = |place: usize| record.get(place).copied().unwrap_or_default();
    format!("avc1.{:02x}{:02x}{:02x}", at(1), at(2), at(3))
}

/// ISO/IEC 14496-15 §E.3: profile, compatibility in reverse bit order, tier and level, constraints without zeros behind.
fn hevc_name(record: &[u8]) -> String {
    let at = |place: usize| record.get(place).copied().unwrap_or_default();
    let space = ["", "A", "B", "C"][usize::from(at(1) >> 6)];
    let compatible = u32::from_be_bytes([at(2), at(3), at(4), at(5)]).reverse_bits();
    let tier = if at(1) & 0x20 == 0 { 'L' } else { 'H' };
    let mut name = format!("hvc1.{space}{}.{compatible:X}.{tier}{}", at(1) & 0x1f, at(12));
    let constraints: Vec<u8> = (6..12).map(at).collect();
    let used = constraints.iter().rposition(|it| *it != 0).map_or(0, |it| it + 1);
    constraints[..used].iter().for_each(|it| name.push_str(&format!(".{it:X}")));
    name
}

/// AV1 in ISOBMFF §5: profile, level and tier, bit depth.
fn av1_name(record: &[u8]) -> Option<String> {
    let [_, profile_level, bits, ..] = *record else { return None };
    let tier = if bits & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match (bits & 0x40 != 0, bits & 0x20 != 0) {
        (true, true) => 12,
        (true, false) => 10,
        (false, _) => 8,
    };
    Some(format!("av01.{}.{:02}{tier}.{depth:02}", profile_level >> 5, profile_level & 0x1f))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Timestamp, Token};
    use crate::media::ffi::Input;
    use crate::media::synthetic::{Synthetic, synthesise};
    use std::io::Cursor;
    use std::path::Path;

    fn open(bytes: Vec<u8>) -> Demuxer {
        let input = Input { reader: Box::new(Cursor::new(bytes)), format: None, probe: true };
        Demuxer::open(input, &Token::root()).unwrap()
    }

    /// Everything a source brings, and how often its tracks changed.
    fn all(bytes: Vec<u8>) -> (Intake, Vec<Raw>, usize) {
        let mut source = open(bytes);
        let mut intake = Intake::new(&source, true).unwrap();
        let (mut samples, mut changes) = (Vec::new(), 0);
        while let Some(packet) = source.read().unwrap() {
            match intake.take(&packet) {
                Taken::Nothing => {}
                Taken::Sample(raw) => samples.push(raw),
                Taken::Changed(raw) => {
                    changes += 1;
                    samples.push(raw);
                }
            }
        }
        (intake, samples, changes)
    }

    #[test]
    fn a_transport_stream_becomes_samples() {
        let what = Synthetic {
            start: Timestamp::from_micros(0),
            frames: 50,
            fps: 25,
            segment_frames: 25,
            width: 160,
            height: 96,
            preset: "ultrafast".into(),
            crf: 30,
            b_frames: 2,
        };
        let mut bytes = Vec::new();
        synthesise(&what, &Token::root(), |segment| {
            bytes.extend(segment.bytes);
            Ok(())
        })
        .unwrap();
        let (intake, samples, changes) = all(bytes);
        assert!(intake.is_known());
        // The configuration of AAC comes with its first frame.
        assert_eq!(changes, 1);
        let [video, sound] = &intake.tracks()[..] else { panic!("two tracks") };
        assert_eq!((video.width, video.height, &video.codecs[..5]), (160, 96, "avc1."));
        assert_eq!(
            (sound.codecs.as_str(), sound.sample_rate, sound.frame_samples),
            ("mp4a.40.2", 48_000, 1024)
        );
        let pictures: Vec<&Raw> = samples.iter().filter(|it| it.track == 0).collect();
        assert_eq!((pictures.len(), pictures.iter().filter(|it| it.key).count()), (50, 2));
        for picture in pictures {
            let (mut units, mut total) = (0, 0);
            Framing::Lengths(4).units(&StartCodes::default(), &picture.data, |unit| {
                assert_ne!(prefixed::role(unit[0], false), Role::Dropped);
                (units, total) = (units + 1, total + 4 + unit.len());
            });
            assert!(units > 0 && total == picture.data.len());
        }
        let adts = |it: &&Raw| it.track == 1 && it.data[0] == 0xff && it.data[1] & 0xf0 == 0xf0;
        assert!(
            samples.iter().filter(|it| it.track == 1).count() > 80 && !samples.iter().any(|it| adts(&it))
        );
    }

    #[test]
    fn clips_of_the_wild_are_described() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media");
        if !folder.is_dir() {
            println!("skipped: there are no shared clips");
            return;
        }
        for (file, names) in [
            ("ts/androidx_sample_h265.ts", &["hvc1.1.6.L90.90"][..]),
            ("hevc/androidx_h265_bframes.mp4", &["hvc1.1.6.L90.90"]),
            ("av1-vp9/androidx_sample_av1.mp4", &["av01.0.05M.08", "mp4a.40.2"]),
            ("av1-vp9/androidx_bear-vp9.webm", &[""]),
        ] {
            let (intake, samples, _) = all(std::fs::read(folder.join(file)).unwrap());
            let found: Vec<String> = intake.tracks().into_iter().map(|it| it.codecs).collect();
            assert!(intake.is_known() && !samples.is_empty(), "{file}");
            assert_eq!(found, names, "{file}");
        }
    }

    #[test]
    fn codecs_are_named_as_players_know_them() {
        assert_eq!(avc_name(&[1, 0x64, 0, 0x1f, 0xff]), "avc1.64001f");
        // Main profile, level 3.1, progressive and frame-only.
        let record = [1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93];
        assert_eq!(hevc_name(&record), "hvc1.1.6.L93.90");
        assert_eq!(hevc_name(&[1, 0x62, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 150]), "hvc1.A2.4.H150");
        assert_eq!(av1_name(&[0x81, 0x04, 0x0c, 0]).as_deref(), Some("av01.0.04M.08"));
        assert_eq!(av1_name(&[0x81]), None);
    }

    #[test]
    fn opus_heads_change_their_byte_order() {
        let head = [&b"OpusHead"[..], &[1, 2, 0x38, 1, 0x80, 0xbb, 0, 0, 0, 0, 0]].concat();
        assert_eq!(opus_record(&head).unwrap(), [0, 2, 1, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 0]);
        assert_eq!(opus_record(b"OpusHead"), None);
    }
}
