//! Tables on hand-made packets, and properties over made-up and mutated segments.

use super::*;
use crate::base::error::Kind;
use crate::media::nal::START_CODE;
use crate::media::nal::prefixed::Sizes;
use crate::media::ts::{PACKET_BYTES, psi};
use proptest::prelude::*;

const PMT_PID: u16 = 0x1000;
const VIDEO: u16 = 0x100;
const SOUND: u16 = 0x101;

/// Writes packets.
#[derive(Default)]
struct Segment {
    bytes: Vec<u8>,
    counters: std::collections::HashMap<u16, u8>,
}

fn time(prefix: u8, ticks: i64) -> [u8; 5] {
    let part = |shift: i64, mask: i64| (ticks >> shift & mask) as u8;
    [
        prefix << 4 | part(30, 7) << 1 | 1,
        part(22, 255),
        part(15, 127) << 1 | 1,
        part(7, 255),
        part(0, 127) << 1 | 1,
    ]
}

impl Segment {
    fn new(video_type: u8, audio_type: u8) -> Self {
        let mut it = Self::default();
        it.section(0, &[0, 1, 0xf0, 0], 0);
        let stream = |kind, pid: u16| [kind, 0xe0 | (pid >> 8) as u8, pid as u8, 0xf0, 0];
        let body = [&[0xe1, 0, 0xf0, 0][..], &stream(video_type, VIDEO), &stream(audio_type, SOUND)].concat();
        it.section(PMT_PID, &body, 2);
        it
    }

    fn section(&mut self, pid: u16, body: &[u8], table: u8) {
        let mut section = vec![table, 0xb0, (body.len() + 9) as u8, 0, 1, 0xc1, 0, 0];
        section.extend_from_slice(body);
        section.extend(psi::crc(&section).to_be_bytes());
        self.packets(pid, &[&[0][..], &section].concat());
    }

    fn pes(&mut self, pid: u16, times: Option<(i64, i64)>, payload: &[u8]) {
        let mut pes = vec![0, 0, 1, 0xe0, 0, 0, 0x80];
        match times {
            Some((pts, dts)) => {
                pes.extend([0xc0, 10]);
                pes.extend(time(3, pts));
                pes.extend(time(1, dts));
            }
            None => pes.extend([0, 0]),
        }
        pes.extend_from_slice(payload);
        self.packets(pid, &pes);
    }

    /// The first of them starts a unit, the last is filled up.
    fn packets(&mut self, pid: u16, payload: &[u8]) {
        for (index, chunk) in payload.chunks(PACKET_BYTES - 6).enumerate() {
            let counter = self.counters.entry(pid).or_insert(15);
            *counter = (*counter + 1) & 15;
            let start = if index == 0 { 0x40 } else { 0 };
            let mut packet = vec![0x47, start | (pid >> 8) as u8, pid as u8, 0x30 | *counter];
            let field = PACKET_BYTES - 5 - chunk.len();
            packet.extend([field as u8, 0]);
            packet.resize(5 + field, 0xff);
            packet.extend_from_slice(chunk);
            self.bytes.extend(packet);
        }
    }
}

fn units(list: &[&[u8]]) -> Vec<u8> {
    list.iter().flat_map(|it| [&[0][..], &START_CODE, it].concat()).collect()
}

/// x264: Constrained Baseline 320x180, order type 2.
const SPS: [u8; 10] = [0x67, 0x42, 0xc0, 0x0c, 0xda, 0x05, 0x06, 0x68, 0x40, 0x80];
const PPS: [u8; 4] = [0x68, 0xce, 0x3c, 0x80];
const AUD: [u8; 2] = [0x09, 0xf0];

/// first_mb 0, slice type 7 (I) or 5 (P), pps 0, frame_num in 4 bits.
fn slice(idr: bool, number: u8) -> Vec<u8> {
    // ue(0) ue(7) ue(0) u(4) … | ue(0) ue(5) ue(0) u(4) …
    if idr {
        vec![0x65, 0b1000_1000, 0b1000_0100, 0xaa, 0x55]
    } else {
        // 1 00110 1 0000 10101
        let bits: u16 = 0b1001_1010_0001_0101 | u16::from(number & 15) << 5;
        vec![0x41, (bits >> 8) as u8, bits as u8, 0xaa, 0x55]
    }
}

fn adts(size: usize) -> Vec<u8> {
    let mut frame = vec![0x11; size];
    frame[..7].copy_from_slice(&[0xff, 0xf1, 0x4c, 0x80, (size >> 3) as u8, (size << 5) as u8 | 0x1f, 0xfc]);
    frame
}

/// Two pictures in one PES packet that ends, by the length it says, before the transport packet does; the second goes on in
/// the PES packet behind. `filler` bytes lie between the two.
fn with_bytes_behind_a_pes_packet(filler: usize) -> (Segment, Vec<u8>) {
    let mut segment = Segment::new(0x1b, 0x0f);
    segment.pes(VIDEO, Some((93_000, 90_000)), &units(&[&AUD, &SPS, &PPS, &slice(true, 0)]));
    let second = units(&[&AUD, &slice(false, 2)]);
    let both = [units(&[&AUD, &slice(false, 1), &vec![0x0c; filler]]), second.clone()].concat();
    let at = segment.bytes.len();
    segment.pes(VIDEO, Some((96_000, 93_000)), &[&both[..], b"no elementary bytes"].concat());
    let start = at + segment.bytes[at..].windows(4).position(|it| it == [0, 0, 1, 0xe0]).unwrap();
    segment.bytes[start + 4..start + 6].copy_from_slice(&(13 + both.len() as u16).to_be_bytes());
    segment.pes(VIDEO, None, &[0x77; 50]);
    segment.pes(VIDEO, Some((102_000, 99_000)), &units(&[&AUD, &slice(false, 3)]));
    (segment, [&second[..], &[0x77; 50]].concat())
}

#[test]
fn bytes_behind_a_pes_packet_are_no_part_of_a_picture() {
    let (segment, second) = with_bytes_behind_a_pes_packet(10);
    let index = build(&segment.bytes).unwrap();
    let track = index.video.as_ref().unwrap();
    let (unit, mut out) = (&track.units[2], Vec::new());
    ElementaryReader::new(&segment.bytes, VIDEO).read(unit.extent(), &mut out).unwrap();
    assert_eq!((unit.damaged, &out), (false, &second));
    // Where the PES packet began earlier, a reader of the second alone cannot know of its end.
    let (segment, _) = with_bytes_behind_a_pes_packet(200);
    let index = build(&segment.bytes).unwrap();
    let damaged: Vec<bool> = index.video.as_ref().unwrap().units.iter().map(|it| it.damaged).collect();
    assert_eq!(damaged, [false, false, true, false]);
}

#[test]
fn a_unit_that_a_pes_packet_ends_inside_is_known_before_it_is_read() {
    let mut segment = Segment::new(0x1b, 0x0f);
    segment.pes(VIDEO, Some((93_000, 90_000)), &units(&[&AUD, &SPS, &PPS, &slice(true, 0)]));
    // A parameter set opens the second picture of a PES packet, whose said end lies in it.
    let first = units(&[&AUD, &slice(false, 1), &[0x0c; 200]]);
    let second = units(&[&[&PPS[..], &[0x55; 20]].concat(), &slice(false, 2)]);
    let (said, at) = (first.len() + 10, segment.bytes.len());
    segment.pes(VIDEO, Some((96_000, 93_000)), &[&first[..], &second].concat());
    let start = at + segment.bytes[at..].windows(4).position(|it| it == [0, 0, 1, 0xe0]).unwrap();
    segment.bytes[start + 4..start + 6].copy_from_slice(&(13 + said as u16).to_be_bytes());
    segment.pes(VIDEO, None, &second[10..]);
    segment.pes(VIDEO, Some((102_000, 99_000)), &units(&[&AUD, &slice(false, 3)]));
    let index = build(&segment.bytes).unwrap();
    let damaged: Vec<bool> = index.video.as_ref().unwrap().units.iter().map(|it| it.damaged).collect();
    assert_eq!(damaged, [false, false, true, false]);
}

#[test]
fn a_segment_by_hand() {
    let mut segment = Segment::new(0x1b, 0x0f);
    segment.pes(VIDEO, Some((93_000, 90_000)), &units(&[&AUD, &SPS, &PPS, &slice(true, 0)]));
    segment.pes(SOUND, Some((90_500, 90_500)), &[adts(100), adts(60)].concat());
    let third = segment.bytes.len() as u64;
    // Two pictures in one PES packet.
    let both = [units(&[&AUD, &slice(false, 1), &[0x0c; 400]]), units(&[&AUD, &slice(false, 2)])].concat();
    segment.pes(VIDEO, Some((96_000, 93_000)), &both);
    let last = segment.bytes.len() as u64;
    segment.pes(VIDEO, Some((102_000, 99_000)), &units(&[&AUD, &slice(false, 3)]));
    let index = build(&segment.bytes).unwrap();
    let track = index.video.as_ref().unwrap();
    assert_eq!((index.program, index.pmt_pid, index.pcr_pid, track.pid), (1, PMT_PID, 0x100, VIDEO));
    let times: Vec<(i64, i64, bool)> = track.units.iter().map(|it| (it.pts, it.dts, it.estimated)).collect();
    let step = 3000;
    assert_eq!(times[..2], [(93_000, 90_000, false), (96_000, 93_000, false)]);
    assert_eq!((times[2].1, times[2].2, times[3]), (93_000 + step, true, (102_000, 99_000, false)));
    let places: Vec<(u64, bool, u64)> =
        track.units.iter().map(|it| (it.offset, it.skip != 0, it.end)).collect();
    assert_eq!(places[0], (376, false, third));
    assert_eq!(places[1].0, third);
    assert!(places[2].1 && places[2].0 > third, "in the middle of a PES packet");
    assert_eq!((places[2].2, places[3].0, places[3].2), (last, last, index.bytes));
    assert_eq!(places[1].2, places[2].0 + 188, "the packet is shared");
    assert_eq!(track.units[0].class, UnitClass::Idr);
    assert_eq!((track.sets.len(), track.states.len()), (2, 1));
    let mut out = Vec::new();
    ElementaryReader::new(&segment.bytes, VIDEO).read(track.units[2].extent(), &mut out).unwrap();
    assert_eq!(out, units(&[&AUD, &slice(false, 2)]));
    let window = &segment.bytes[third as usize..last as usize];
    out.clear();
    ElementaryReader::window(window, third, VIDEO).read(track.units[1].extent(), &mut out).unwrap();
    assert_eq!(out.len(), track.units[1].size as usize);
    let sound = &index.audio[0];
    assert_eq!((sound.sample_rate, sound.channels, sound.object_type), (48_000, 2, 2));
    let frames: Vec<(i64, u32)> = sound.frames.iter().map(|it| (it.pts, it.size)).collect();
    assert_eq!(frames, [(90_500, 100), (92_420, 60)]);
    assert_eq!(FrameIndex::decode(&index.encode()).unwrap(), index);
}

#[test]
fn lost_packets_are_told() {
    let mut segment = Segment::new(0x1b, 0x0f);
    let long = [units(&[&AUD, &SPS, &PPS, &slice(true, 0)]), vec![0x11; 1000]].concat();
    segment.pes(VIDEO, Some((3000, 3000)), &long);
    segment.pes(VIDEO, Some((6000, 6000)), &units(&[&AUD, &slice(false, 1)]));
    let mut bytes = segment.bytes.clone();
    bytes.drain(4 * 188..5 * 188);
    let index = build(&bytes).unwrap();
    let units = &index.video.as_ref().unwrap().units;
    assert_eq!(index.gaps, 1);
    assert_eq!(units.iter().map(|it| it.damaged).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn nothing_is_no_index() {
    for bytes in [&[][..], &[0x47; 188], &[0; 5000]] {
        assert_eq!(build(bytes).unwrap_err().kind, Kind::Damaged);
    }
    assert_eq!(FrameIndex::decode(b"").unwrap_err().kind, Kind::Damaged);
}

#[test]
fn every_flipped_bit_of_a_file_is_noticed() {
    let mut segment = Segment::new(0x1b, 0x0f);
    segment.pes(VIDEO, Some((3000, 3000)), &units(&[&AUD, &SPS, &PPS, &slice(true, 0)]));
    let file = build(&segment.bytes).unwrap().encode();
    for bit in 0..file.len() * 8 {
        let mut broken = file.clone();
        broken[bit / 8] ^= 1 << (bit % 8);
        assert!(FrameIndex::decode(&broken).is_err(), "bit {bit}");
    }
    for length in 0..file.len() {
        assert!(FrameIndex::decode(&file[..length]).is_err(), "{length} bytes");
    }
}

/// Classes and times of a made-up stream: `(class, pts)` in decoding order.
fn track(list: &[(UnitClass, i64)]) -> VideoTrack {
    let unit = |(number, (class, pts)): (usize, &(UnitClass, i64))| AccessUnit {
        pts: *pts,
        dts: number as i64,
        offset: number as u64 * 188,
        end: 0,
        skip: 0,
        size: 1,
        payload: 1,
        sets: 0,
        class: *class,
        picture_type: PictureType::P,
        reference: true,
        second_field: false,
        estimated: false,
        damaged: false,
        parameter_set: 0,
    };
    let mut track = VideoTrack {
        pid: VIDEO,
        stream_type: 0x24,
        codec: VideoCodec::Hevc,
        sets: Vec::new(),
        states: vec![ParameterState { sets: Vec::new(), active: None, format: VideoFormat::default() }],
        units: list.iter().enumerate().map(unit).collect(),
        scan: Scan::Progressive,
        reorder: 0,
        has_b: false,
    };
    track.derive(list.len() as u64 * 188);
    track
}

#[test]
fn decoding_starts_where_the_picture_comes_out_right() {
    use UnitClass::{Cra, Idr, Other, Radl, Rasl, RecoveryPoint};
    let it = track(&[(Idr, 0), (Other, 2), (Cra, 6), (Rasl, 4), (Radl, 5), (Other, 8), (Idr, 10)]);
    let starts: Vec<Option<usize>> = [-1, 0, 3, 4, 5, 6, 9, 10, 99].map(|pts| it.gop_start(pts)).into();
    assert_eq!(starts, [None, Some(0), Some(0), Some(0), Some(2), Some(2), Some(2), Some(6), Some(6)]);
    assert_eq!(it.display_order(), [0, 1, 3, 4, 2, 5, 6]);
    assert_eq!(it.random_access_points().collect::<Vec<_>>(), [0, 2, 6]);
    assert!(it.is_leading(3) && it.is_leading(4) && !it.is_leading(5));
    assert_eq!(it.reorder, 1);
    // Intra refresh: right two pictures after the point.
    let point = RecoveryPoint { frames: 2 };
    let it = track(&[(Idr, 0), (Other, 1), (point, 2), (Other, 3), (Other, 4), (Other, 5)]);
    assert_eq!([2, 3, 4, 5].map(|pts| it.gop_start(pts)), [Some(0), Some(0), Some(2), Some(2)]);
    // A segment that begins in the middle of a group.
    let it = track(&[(Other, 0), (Cra, 4), (Rasl, 2)]);
    assert_eq!([0, 2, 4].map(|pts| it.gop_start(pts)), [None, None, Some(1)]);
}

fn class() -> impl Strategy<Value = UnitClass> {
    use UnitClass::{Bla, Cra, Idr, KeyOpen, Other, Radl, Rasl, RecoveryPoint};
    prop_oneof![
        Just(Idr),
        any::<u16>().prop_map(|frames| RecoveryPoint { frames }),
        prop::sample::select(vec![Cra, Bla, Rasl, Radl, KeyOpen, Other])
    ]
}

prop_compose! {
    fn unit()(
        times in (-1i64 << 40..1i64 << 40, 0i64..100_000), step in any::<bool>(), offset in 0u64..1 << 32,
        skip in 0u8..188, size in 0u32..1 << 30, class in class(), kind in 0usize..3, flags in any::<[bool; 4]>(),
        sample in (0u32..1 << 30, prop_oneof![Just(0u32), 0u32..200]),
    ) -> AccessUnit {
        let (dts, lag) = times;
        AccessUnit {
            pts: dts + if step { 3000 * (lag % 9) } else { lag },
            dts,
            offset,
            end: 0,
            skip: if step { 0 } else { skip },
            size,
            payload: sample.0,
            sets: sample.1,
            class,
            picture_type: [PictureType::I, PictureType::P, PictureType::B][kind],
            reference: flags[0],
            second_field: flags[1],
            estimated: flags[2],
            damaged: flags[3],
            parameter_set: 0,
        }
    }
}

#[test]
fn framing_is_taken_off() {
    let bare = |codec, frame: &'static [u8]| {
        let track = AudioTrack::of_frame(codec, frame);
        track.map(|it| it.bare(frame))
    };
    for (frame, left) in [
        (&[0x7f, 0xe0, 3, 0xfc, 2, 3][..], &[0xfc, 2, 3][..]),
        (&[0x7f, 0xf0, 2, 0, 9, 0xfc, 2], &[0xfc, 2]),
        (&[0x7f, 0xfc, 0xff, 1, 0, 9, 0, 9, 2, 7, 7, 0xfc], &[0xfc]),
    ] {
        assert_eq!(bare(AudioCodec::Opus, frame), Some(left));
    }
    assert_eq!(bare(AudioCodec::Opus, &[0x7f, 0xe0]), None);
    let adts = &[0xff, 0xf1, 0x4c, 0x80, 1, 0x3f, 0xfc, 5, 6];
    assert_eq!(bare(AudioCodec::AacAdts, adts), Some(&[5, 6][..]));
    assert_eq!(bare(AudioCodec::Eac3, &[0x0b, 0x77, 0x02, 0x7f, 0x34, 0x86, 0, 0]).map(<[u8]>::len), Some(8));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn encoding_and_decoding_is_nothing(
        mut list in prop::collection::vec(unit(), 0..40),
        frames in prop::collection::vec((any::<i32>(), 0u64..1 << 32, 0u8..188, 255u32..1 << 30, any::<u8>(), any::<u16>()), 0..40),
        pcr in prop::option::of(0u64..1 << 42), rate in any::<u32>(), sets in prop::collection::vec((0u8..3, any::<u8>(), prop::collection::vec(any::<u8>(), 0..9)), 0..4),
    ) {
        let mut video = track(&[]);
        list.sort_by_key(|it| it.offset);
        video.units = list;
        video.sets = sets.into_iter().map(|(kind, id, bytes)| ParameterSet::new([SetKind::Video, SetKind::Sequence, SetKind::Picture][usize::from(kind)], id, bytes)).collect();
        video.states[0].sets = (0..video.sets.len() as u16).collect();
        let frame = |(pts, offset, skip, size, framing, samples)| AudioFrame { pts: i64::from(pts), offset, skip, size, framing, samples };
        let sound = AudioTrack {
            pid: SOUND, stream_type: 3, codec: AudioCodec::Mpeg { layer: 3 }, sample_rate: rate, channels: 2,
            samples_per_frame: 1152, object_type: 0, changes: true, head: [7; HEAD_KEPT],
            frames: frames.into_iter().map(frame).collect(),
        };
        let bytes = 1u64 << 33;
        video.derive(bytes);
        let index = FrameIndex {
            bytes, program: 1, pmt_pid: PMT_PID, pcr_pid: VIDEO, first_pcr: pcr, gaps: 3, program_changes: 0,
            video: Some(video), audio: vec![sound],
        };
        prop_assert_eq!(FrameIndex::decode(&index.encode()).unwrap(), index);
    }

    #[test]
    fn random_bytes_panic_nowhere(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = build(&bytes);
        let _ = FrameIndex::decode(&bytes);
    }

    #[test]
    fn mutated_segments_panic_nowhere(
        video_type in prop::sample::select(vec![0x1bu8, 0x24, 0x02, 0x33]),
        audio_type in prop::sample::select(vec![0x0fu8, 0x11, 0x03, 0x81, 0x87]),
        payloads in prop::collection::vec((any::<bool>(), any::<i64>(), prop::collection::vec(prop::sample::select(vec![0u8, 0, 0, 1, 1, 3, 0x65, 0x67, 0x68, 0x41, 0xb3, 0xb8, 0xb5, 0x42, 0x44, 0x26, 0xff, 0xf1, 0x0b, 0x77, 0x80]), 0..600)), 0..8),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
    ) {
        let mut segment = Segment::new(video_type, audio_type);
        segment.pes(VIDEO, Some((3000, 0)), &units(&[&AUD, &SPS, &PPS, &slice(true, 0)]));
        for (is_video, pts, payload) in payloads {
            segment.pes(if is_video { VIDEO } else { SOUND }, (pts % 5 != 0).then_some((pts, pts)), &payload);
        }
        for (at, value) in flips {
            // Mostly past the tables, so that the streams are still found.
            let at = at.index(segment.bytes.len());
            if at > 376 || value % 8 == 0 {
                segment.bytes[at] = value;
            }
        }
        if let Ok(index) = build(&segment.bytes) {
            prop_assert_eq!(&FrameIndex::decode(&index.encode()).unwrap(), &index);
            let mut out = Vec::new();
            if let Some(track) = &index.video {
                let reader = ElementaryReader::new(&segment.bytes, track.pid);
                let is_prefixed = matches!(track.codec, VideoCodec::H264 | VideoCodec::Hevc);
                for unit in &track.units {
                    out.clear();
                    if reader.read(unit.extent(), &mut out).is_ok() && !unit.damaged && is_prefixed {
                        let sizes = Sizes { payload: unit.payload, sets: unit.sets };
                        prop_assert_eq!(Sizes::of(&out, track.codec == VideoCodec::Hevc), sizes);
                    }
                    track.gop_start(unit.pts);
                }
            }
        }
    }
}
