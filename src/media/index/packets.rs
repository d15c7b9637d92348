//! The frame index of a file's video stream, from the packets a demuxer gives. A unit is a packet; its place is the
//! packet's number in the stream.

use super::sets::{ParameterState, SetKind, Sets};
use super::syntax::{Picture, Piece, Syntax};
use super::times::{self, Timing};
use super::{AccessUnit, MAX_UNITS, PictureType, Scan, UnitClass, VideoCodec, VideoFormat, VideoTrack};
use crate::base::error::Kind;
use crate::base::{Error, Result};
use crate::media::nal::boxed::Framing;
use crate::media::nal::prefixed::{self, LENGTH_BYTES, Role};
use crate::media::nal::{StartCodes, av1, vp9, without_trailing_zeros};

/// A packet of a demuxer; times in ticks of 90 kHz.
#[derive(Debug, Clone, Copy)]
pub struct FilePacket<'a> {
    pub bytes: &'a [u8],
    pub pts: Option<i64>,
    pub dts: Option<i64>,
    /// The container's word that decoding can start here. Where the codec is known, its own word counts.
    pub key: bool,
    pub damaged: bool,
}

/// Ticks of 90 kHz a picture lasts where nothing tells: 25 a second.
const DEFAULT_FRAME: i64 = 3600;

/// Reads one video stream, packet by packet.
#[derive(Debug)]
pub struct PacketScanner {
    codec: VideoCodec,
    framing: Framing,
    codes: StartCodes,
    syntax: Option<Syntax>,
    sets: Sets,
    /// Of VP9's last keyframe, with the number of its set.
    format: Option<(vp9::Format, u16)>,
    sequence: Option<u16>,
    units: Vec<AccessUnit>,
    timing: Vec<Timing>,
    scan: Option<Scan>,
    packets: u64,
    /// Whether any packet has a time.
    dated: bool,
}

fn unsupported(what: &str) -> Error {
    Error::new(Kind::Unsupported, "unsupported-source", what)
}

impl PacketScanner {
    /// `extradata` is what decoders are set up with beside the packets.
    pub fn new(codec: VideoCodec, extradata: &[u8]) -> Self {
        let mut it = Self {
            codec,
            framing: Framing::ByteStream,
            codes: StartCodes::default(),
            syntax: Syntax::new(codec),
            sets: Sets::default(),
            format: None,
            sequence: None,
            units: Vec::new(),
            timing: Vec::new(),
            scan: None,
            packets: 0,
            dated: false,
        };
        it.configure(extradata);
        it
    }

    /// Takes what decoders are set up with from here on.
    pub fn configure(&mut self, extradata: &[u8]) {
        match self.codec {
            VideoCodec::H264 | VideoCodec::Hevc => {
                let (framing, sets) = Framing::of(extradata, self.codec == VideoCodec::Hevc);
                self.framing = framing;
                for unit in sets {
                    self.take(unit);
                }
            }
            VideoCodec::Mpeg2 => {
                self.picture(extradata);
            }
            // The configuration record (AV1-ISOBMFF §2.3) has four bytes before its units.
            VideoCodec::Av1 if extradata.first() == Some(&0x81) => {
                self.temporal_unit(extradata.get(4..).unwrap_or_default());
            }
            VideoCodec::Av1 => {
                self.temporal_unit(extradata);
            }
            VideoCodec::Vp9 | VideoCodec::Other(_) => {}
        }
    }

    pub fn framing(&self) -> Framing {
        self.framing
    }

    fn take(&mut self, unit: &[u8]) -> Option<Piece> {
        let syntax = self.syntax.as_mut()?;
        let wanted = syntax.wanted(unit).max(syntax.header_bytes()).min(unit.len());
        Some(syntax.take(&unit[..wanted], &mut self.sets))
    }

    /// The picture in a packet of units.
    fn picture(&mut self, packet: &[u8]) -> Option<Picture> {
        let mut units = Vec::new();
        self.framing.units(&self.codes, packet, |unit| units.push(unit));
        let mut found: Option<Picture> = None;
        for unit in units.into_iter().filter(|it| !it.is_empty()) {
            match self.take(unit) {
                // A packet that holds both fields of a frame is one unit.
                Some(Piece::Begins(picture)) => match &mut found {
                    Some(found) => {
                        found.picture_type = found.picture_type.max(picture.picture_type);
                        found.reference |= picture.reference;
                        found.field = false;
                    }
                    None => found = Some(picture),
                },
                Some(Piece::Amends(picture)) => found = Some(picture),
                Some(Piece::Goes(picture_type)) => match &mut found {
                    Some(found) => found.picture_type = found.picture_type.max(picture_type),
                    None => found = Some(Picture { picture_type, whole: false, ..Picture::default() }),
                },
                Some(Piece::Follows | Piece::Opens) | None => {}
            }
        }
        found
    }

    fn superframe(&mut self, packet: &[u8]) -> Result<Option<Picture>> {
        let Some(found) = vp9::Packet::parse(packet) else {
            return Ok((!packet.is_empty()).then(|| Picture { whole: false, ..Picture::default() }));
        };
        if found.shown > 1 {
            return Err(unsupported("packets of the VP9 stream show more than one picture"));
        }
        if let Some(format) = found.format
            && self.format.is_none_or(|it| it.0 != format)
        {
            let described = format!("{format:?}");
            let put = self.sets.put(SetKind::Sequence, 0, described.as_bytes());
            self.format = put.map(|(index, _)| (format, index));
        }
        Ok(Some(Picture {
            class: if found.key { UnitClass::Idr } else { UnitClass::Other },
            picture_type: if found.key { PictureType::I } else { PictureType::P },
            active: self.format.map(|it| it.1),
            // A picture that is not shown goes where the one before it goes, as second fields do.
            second_field: found.shown == 0,
            ..Picture::default()
        }))
    }

    fn temporal_unit(&mut self, packet: &[u8]) -> Option<Picture> {
        let found = av1::TemporalUnit::parse(packet);
        if let Some(sequence) = found.sequence {
            self.sequence = self.sets.put(SetKind::Sequence, 0, sequence).map(|it| it.0);
        }
        found.picture.then(|| Picture {
            class: if found.key { UnitClass::Idr } else { UnitClass::Other },
            picture_type: if found.key { PictureType::I } else { PictureType::P },
            active: self.sequence,
            ..Picture::default()
        })
    }

    /// Bytes of the packet as a sample, and those of its parameter sets, where it is made of NAL units.
    fn sizes(&self, packet: &[u8]) -> Option<(u32, u32)> {
        let hevc = match self.codec {
            VideoCodec::H264 => false,
            VideoCodec::Hevc => true,
            VideoCodec::Mpeg2 | VideoCodec::Vp9 | VideoCodec::Av1 | VideoCodec::Other(_) => return None,
        };
        let (mut payload, mut sets) = (0u32, 0u32);
        self.framing.units(&self.codes, packet, |unit| {
            let unit = without_trailing_zeros(unit);
            let Some(head) = unit.first() else { return };
            let bytes = u32::try_from(LENGTH_BYTES + unit.len()).unwrap_or(u32::MAX);
            match prefixed::role(*head, hevc) {
                Role::Payload => payload = payload.saturating_add(bytes),
                Role::Set => sets = sets.saturating_add(bytes),
                Role::Dropped => {}
            }
        });
        Some((payload, sets))
    }

    /// Takes the stream's next packet. One without a picture is no unit.
    ///
    /// # Errors
    /// `damaged-media` when there are more packets than any index holds; `unsupported-source` for VP9 packets that
    /// show several pictures.
    pub fn push(&mut self, packet: &FilePacket<'_>) -> Result<()> {
        let number = self.packets;
        self.packets += 1;
        let picture = match self.codec {
            VideoCodec::H264 | VideoCodec::Hevc | VideoCodec::Mpeg2 => self.picture(packet.bytes),
            VideoCodec::Vp9 => self.superframe(packet.bytes)?,
            VideoCodec::Av1 => self.temporal_unit(packet.bytes),
            VideoCodec::Other(_) => (!packet.bytes.is_empty()).then(|| Picture {
                class: if packet.key { UnitClass::Idr } else { UnitClass::Other },
                ..Picture::default()
            }),
        };
        if self.sets.overflow {
            return Err(Error::damaged("the file changes its parameters more often than any real stream"));
        }
        let Some(picture) = picture else { return Ok(()) };
        if self.units.len() >= MAX_UNITS {
            return Err(Error::damaged(format!("the file has more than {MAX_UNITS} pictures")));
        }
        self.scan = self.scan.or(picture.scan);
        self.dated |= packet.pts.or(packet.dts).is_some();
        let parameter_set = self.sets.state(picture.active);
        let Picture { order, sequence, field, .. } = picture;
        self.timing.push(Timing { order, sequence, field });
        let size = u32::try_from(packet.bytes.len()).unwrap_or(u32::MAX);
        let (payload, sets) = self.sizes(packet.bytes).unwrap_or((size, 0));
        self.units.push(AccessUnit {
            pts: packet.pts.unwrap_or_default(),
            dts: packet.dts.or(packet.pts).unwrap_or_default(),
            offset: number,
            end: number + 1,
            skip: 0,
            size,
            payload,
            sets,
            class: picture.class,
            picture_type: picture.picture_type,
            reference: picture.reference,
            second_field: picture.second_field,
            estimated: packet.pts.is_none(),
            damaged: packet.damaged || !picture.whole,
            parameter_set,
        });
        Ok(())
    }

    /// The track of the whole file. `rate` are the container's pictures a second, where the stream tells none.
    pub fn finish(mut self, rate: Option<(u32, u32)>) -> VideoTrack {
        let (codec, sets) = (self.codec, self.sets.sets);
        let vp9 = self.format.map(|it| it.0);
        let states: Vec<ParameterState> = self
            .sets
            .states
            .into_iter()
            .map(|(force, active)| {
                let set = active.and_then(|it| sets.get(usize::from(it)));
                let mut format = set.and_then(|it| VideoFormat::of(codec, it)).unwrap_or_default();
                if let Some(vp9) = vp9 {
                    (format.width, format.height) = (vp9.width, vp9.height);
                    (format.profile, format.depth, format.chroma) = (vp9.profile, vp9.depth, vp9.chroma);
                }
                format.frame_rate = format.frame_rate.filter(|it| it.0 > 0 && it.1 > 0).or(rate);
                ParameterState { sets: force, active, format }
            })
            .collect();
        let frame = states.iter().find_map(|it| it.format.frame_ticks());
        if !self.dated {
            // A bare stream: its pictures follow each other at the pace it tells.
            let (step, mut at) = (frame.unwrap_or(DEFAULT_FRAME), 0);
            for (unit, timing) in self.units.iter_mut().zip(&self.timing) {
                unit.dts = at;
                at += if timing.field { step / 2 } else { step };
            }
        }
        give_times(&mut self.units, &self.timing, frame);
        if codec == VideoCodec::Vp9 {
            place_hidden(&mut self.units);
        }
        let mut track = VideoTrack {
            pid: 0,
            stream_type: match codec {
                VideoCodec::H264 => 0x1b,
                VideoCodec::Hevc => 0x24,
                VideoCodec::Mpeg2 => 0x02,
                VideoCodec::Vp9 | VideoCodec::Av1 | VideoCodec::Other(_) => 0,
            },
            codec,
            sets,
            states,
            has_b: self.units.iter().any(|it| it.picture_type == PictureType::B),
            units: self.units,
            scan: self.scan.unwrap_or_default(),
            reorder: 0,
        };
        track.reorder = track.measure_reorder();
        decode_in_order(&mut track);
        track
    }
}

/// Times for units without: AVI has none but decoding times, and second fields have none at all.
fn give_times(units: &mut [AccessUnit], timing: &[Timing], frame: Option<i64>) {
    if units.iter().all(|it| it.estimated) {
        // Between two resets of the order, pictures are shown in their order at the times they are decoded at.
        let mut from = 0;
        while from < units.len() {
            let run = timing[from..].iter().take_while(|it| it.sequence == timing[from].sequence).count();
            let mut order: Vec<usize> = (from..from + run).collect();
            order.sort_by_key(|it| timing[*it].order);
            let times: Vec<i64> = units[from..from + run].iter().map(|it| it.dts).collect();
            for (time, unit) in times.into_iter().zip(order) {
                units[unit].pts = time;
                units[unit].estimated = false;
            }
            from += run;
        }
    }
    times::fill(units, timing, frame);
    units.iter_mut().for_each(|it| it.estimated = false);
}

/// Pictures that are not shown go midway between their neighbours: containers give them the time of the next one, or one a
/// little before it.
fn place_hidden(units: &mut [AccessUnit]) {
    for hidden in (1..units.len().saturating_sub(1)).filter(|it| units[*it].second_field).collect::<Vec<_>>()
    {
        let (before, after) = (units[hidden - 1].pts, units[hidden + 1].pts);
        units[hidden].pts = before + (after - before) / 2;
    }
}

/// Decoding times from the order of decoding alone: containers tell none, or such as no other container takes. The
/// k-th picture is decoded when the one shown `reorder` places before it is shown.
fn decode_in_order(track: &mut VideoTrack) {
    let depth = usize::from(track.reorder);
    let mut times: Vec<i64> = track.units.iter().map(|it| it.pts).collect();
    times.sort_unstable();
    let step = times.windows(2).map(|it| it[1] - it[0]).find(|it| *it > 0).unwrap_or(1);
    for (number, unit) in track.units.iter_mut().enumerate() {
        unit.dts = match number.checked_sub(depth) {
            Some(before) => times[before],
            None => times[0] - step * (depth - number) as i64,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(pts: Option<i64>, dts: Option<i64>, key: bool) -> FilePacket<'static> {
        FilePacket { bytes: &[1, 2, 3], pts, dts, key, damaged: false }
    }

    fn scanned(list: &[(Option<i64>, Option<i64>, bool)]) -> VideoTrack {
        let mut scanner = PacketScanner::new(VideoCodec::Other(0), &[]);
        for (pts, dts, key) in list {
            scanner.push(&packet(*pts, *dts, *key)).unwrap();
        }
        scanner.finish(Some((25, 1)))
    }

    #[test]
    fn decoding_times_follow_the_reorder_depth() {
        let it = scanned(&[
            (Some(7200), None, true),
            (Some(18_000), None, false),
            (Some(10_800), None, false),
            (Some(14_400), None, false),
        ]);
        assert_eq!(it.reorder, 1);
        let dts: Vec<i64> = it.units.iter().map(|it| it.dts).collect();
        assert_eq!(dts, [3600, 7200, 10_800, 14_400]);
        assert!(it.units.iter().all(|it| it.dts <= it.pts));
        assert_eq!(it.units[0].class, UnitClass::Idr);
    }

    #[test]
    fn a_file_with_decoding_times_alone_is_shown_in_order() {
        let it = scanned(&[(None, Some(0), true), (None, Some(3600), true), (None, Some(7200), true)]);
        let pts: Vec<i64> = it.units.iter().map(|it| it.pts).collect();
        assert_eq!(pts, [0, 3600, 7200]);
        assert!(it.units.iter().all(|it| !it.estimated));
    }

    #[test]
    fn a_packet_without_a_picture_counts_but_is_no_unit() {
        let mut scanner = PacketScanner::new(VideoCodec::H264, &[]);
        let slice = [0, 0, 1, 0x65, 0x88, 0x84];
        for bytes in [&slice[..], &[0, 0, 1, 9, 0xf0], &slice] {
            let packet = FilePacket { bytes, pts: Some(0), dts: None, key: false, damaged: false };
            scanner.push(&packet).unwrap();
        }
        let places: Vec<u64> = scanner.finish(None).units.iter().map(|it| it.offset).collect();
        assert_eq!(places, [0, 2]);
    }

    #[test]
    fn a_hidden_picture_of_vp9_goes_with_the_one_before() {
        let mut scanner = PacketScanner::new(VideoCodec::Vp9, &[]);
        for (bytes, pts) in [(&[0x86, 1, 2][..], 0), (&[0x84, 1, 2], 3600), (&[0x86, 1, 2], 3600)] {
            scanner.push(&FilePacket { bytes, ..packet(Some(pts), None, false) }).unwrap();
        }
        let units = scanner.finish(None).units;
        let hidden: Vec<(bool, i64)> = units.iter().map(|it| (it.second_field, it.pts)).collect();
        assert_eq!(hidden, [(false, 0), (true, 1800), (false, 3600)]);
    }

    #[test]
    fn a_stream_without_any_time_has_the_pace_it_tells() {
        let it = scanned(&[(None, None, true), (None, None, true), (None, None, true)]);
        assert_eq!(it.units.iter().map(|it| it.pts).collect::<Vec<i64>>(), [0, 3600, 7200]);
    }
}
