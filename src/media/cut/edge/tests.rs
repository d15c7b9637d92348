//! Ranges of streams made by other settings than those of edges, judged by decoding what came out.

use super::*;
use crate::base::time::TimeBase;
use crate::base::{Span, Timestamp};
use crate::media::cut::plan::plan_with;
use crate::media::cut::sound::SoundFit;
use crate::media::ffi::{
    Decoder, Encoder, Frame, FrameMut, MemoryWriter, Muxer, Packet, PixelFormat, VideoSettings, id,
};
use crate::media::index::{AccessUnit, ElementaryReader, FrameIndex, build};

const FPS: i32 = 30;
const TICKS: i64 = 3_000;
const FRAMES: i64 = 75;
const ZERO: Timestamp = Timestamp::from_micros(1_731_156_300_437_000);

/// Stripes that move by three samples a picture, so that none looks like its neighbours.
fn picture(number: i64) -> Frame {
    let mut frame = FrameMut::picture(PixelFormat::YUV420P, 160, 96).unwrap();
    for plane in 0..3 {
        let (bytes, stride) = frame.plane_mut(plane);
        for (at, byte) in bytes.iter_mut().enumerate() {
            let (x, y) = ((at % stride) as i64, (at / stride) as i64);
            *byte = if plane == 0 { (40 + (x * 2 + y + number * 9) % 160) as u8 } else { 128 };
        }
    }
    let mut frame = frame.freeze();
    frame.set_pts(Some(number));
    frame
}

/// `None` where this build of libav lacks the encoder.
fn stream(codec: &str, b_frames: usize, options: &[(&str, &str)]) -> Option<Vec<u8>> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let settings = VideoSettings {
        codec: codec.into(),
        width: 160,
        height: 96,
        format: PixelFormat::YUV420P,
        time_base: TimeBase::new(1, FPS),
        frame_rate: (FPS, 1),
        sample_aspect: (1, 1),
        colour: (1, 1, 1, 1),
        interlaced: None,
        gop: 12,
        b_frames,
        threads: 1,
        bit_rate: 0,
        global_header: false,
        options: options.iter().map(owned).collect(),
    };
    let mut encoder = match Encoder::video(&settings) {
        Err(error) if error.code == "no-encoder" => return None,
        other => other.unwrap(),
    };
    let memory = MemoryWriter::default();
    let mut muxer = Muxer::new("mpegts", memory.writer()).unwrap();
    let track = muxer.add(&encoder).unwrap();
    muxer.start(&[]).unwrap();
    for number in 0..=FRAMES {
        let frame = (number < FRAMES).then(|| picture(number));
        let mut packets = Vec::new();
        encoder
            .push(frame.as_ref(), |packet| {
                packets.push(packet);
                Ok(())
            })
            .unwrap();
        for packet in packets {
            muxer.write(track, packet).unwrap();
        }
    }
    muxer.finish().unwrap();
    Some(memory.take())
}

struct Segment(Vec<u8>, FrameIndex);

impl Elementary for Segment {
    fn picture(&self, place: Place) -> Result<Vec<u8>> {
        let video = self.1.video.as_ref().unwrap();
        let mut out = Vec::new();
        ElementaryReader::new(&self.0, video.pid).read(video.units[place.unit].extent(), &mut out)?;
        Ok(out)
    }

    fn sound(&self, _: usize, _: usize, _: usize) -> Result<Vec<u8>> {
        unreachable!("the streams are silent")
    }
}

/// Luma of every picture, by its time, in the order they come out; strictly decoded.
fn decoded(codec: u32, pictures: impl Iterator<Item = (i64, Vec<u8>)>) -> Vec<(i64, Vec<u8>)> {
    let mut decoder = Decoder::of_codec(codec, TimeBase::MPEG).unwrap();
    decoder.make_strict();
    let mut out = Vec::new();
    let mut take = |frame: Frame| {
        let (bytes, stride) = frame.plane(0);
        let rows = bytes.chunks(stride).take(frame.height());
        out.push((frame.pts().unwrap(), rows.flat_map(|row| row[..frame.width()].to_vec()).collect()));
        Ok(())
    };
    for (pts, bytes) in pictures {
        let mut packet = Packet::from_bytes(&bytes).unwrap();
        packet.set_times(Some(pts), None);
        decoder.push(Some(&packet), &mut take).unwrap();
    }
    decoder.push(None, &mut take).unwrap();
    assert_eq!(decoder.faults(), 0);
    out
}

/// Cuts every kind of span and counts the pictures that were not encoded.
fn check(name: &str, b_frames: usize, options: &[(&str, &str)], codec: u32, most_encoded: u64) {
    let Some(bytes) = stream(name, b_frames, options) else { return println!("skipped: no {name}") };
    let index = build(&bytes).unwrap();
    let segment = Segment(bytes, index);
    let units = &segment.1.video.as_ref().unwrap().units;
    let first = segment.1.first_pts().unwrap();
    let read = |unit: usize| segment.picture(Place { source: 0, unit }).unwrap();
    let truth = decoded(codec, (0..units.len()).map(|unit| (units[unit].pts, read(unit))));
    assert_eq!(truth.len(), FRAMES as usize, "{name}");
    let sources = [Source { index: &segment.1, wall: ZERO, joined: false, whole: true, inner: None }];
    let settings = EdgeSettings { preset: "veryfast".into(), crf: 12.0 };
    let token = Token::root();
    let at_once = |most: usize, work: &(dyn Fn() + Sync)| {
        std::thread::scope(|scope| {
            (0..most).for_each(|_| drop(scope.spawn(work)));
            work();
        });
    };
    let maker = RangeMaker {
        sources: &sources,
        elementary: &segment,
        settings: &settings,
        token: &token,
        at_once: &at_once,
    };
    let before = Before { last_dts: Some(90_000), orders: Vec::new() };
    for (from, to) in [(0, 75), (5, 50), (11, 61), (12, 40), (13, 37), (20, 27), (23, 24), (30, 75), (36, 60)]
    {
        let time = |frame: i64| ZERO + TimeBase::MPEG.micros(frame * TICKS);
        let what = format!("{name}, pictures {from} to {to}");
        let span = Span::new(time(from), time(to));
        let made = maker
            .make(|joins| plan_with(&sources, span, 180_000, (&[], SoundFit::Nearest), joins), &before)
            .unwrap();
        let samples = made.parts.iter().flat_map(|(_, samples)| samples).collect::<Vec<_>>();
        assert!(samples.windows(2).all(|pair| pair[0].dts < pair[1].dts), "{what}");
        assert!(samples.iter().all(|it| it.dts <= it.pts && it.dts > 90_000), "{what}");
        let out = decoded(codec, samples.iter().map(|it| (it.pts, it.bytes.clone())));
        let times: Vec<i64> = out.iter().map(|it| it.0).collect();
        let ideal: Vec<i64> = (0..to - from).map(|it| 180_000 + it * TICKS).collect();
        assert_eq!(times, ideal, "{what}");
        let mut differ = 0;
        for ((_, made), (pts, source)) in out.iter().zip(&truth[from as usize..]) {
            assert_eq!((pts - first) % TICKS, 0);
            differ += u64::from(made != source);
            let error: u64 = made.iter().zip(source).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            assert!(error / made.len() as u64 <= 4, "a foreign picture in {what}");
        }
        assert!(differ <= made.plan.encoded, "{what}: {differ} differ, {} encoded", made.plan.encoded);
        assert!(made.plan.encoded <= most_encoded, "{what}: {} encoded", made.plan.encoded);
    }
}

const X264: &str = "keyint=12:min-keyint=12:scenecut=0:bframes=3:b-adapt=0:threads=1";

#[test]
fn h264_with_closed_groups() {
    let options = [("preset", "veryfast"), ("x264-params", X264)];
    check("libx264", 3, &options, id::H264, 14);
}

#[test]
fn h264_with_open_groups() {
    let params = format!("{X264}:open-gop=1:b-pyramid=none");
    check("libx264", 3, &[("preset", "veryfast"), ("x264-params", &params)], id::H264, 30);
    // Variable length codes, no references but the last.
    let params = format!("{X264}:open-gop=1:b-pyramid=none:cabac=0:ref=1:8x8dct=0:weightp=0");
    check("libx264", 3, &[("preset", "veryfast"), ("x264-params", &params)], id::H264, 30);
}

#[test]
fn h264_with_gradual_refresh_is_encoded() {
    let params = format!("{X264}:intra-refresh=1:bframes=0");
    check("libx264", 0, &[("preset", "veryfast"), ("x264-params", &params)], id::H264, FRAMES as u64);
}

#[test]
fn hevc_with_open_groups() {
    let params = "log-level=none:open-gop=1:keyint=12:min-keyint=12:bframes=3:b-adapt=0:scenecut=0:pools=1:frame-threads=1";
    check("libx265", 3, &[("preset", "ultrafast"), ("x265-params", params)], id::HEVC, 18);
}

#[test]
fn mpeg2_with_open_groups() {
    let options = [("flags", "+qscale"), ("global_quality", "236"), ("sc_threshold", "1000000000")];
    check("mpeg2video", 2, &options, id::MPEG2, 16);
}

#[test]
fn a_range_begins_at_no_keyframe_whose_order_is_held() {
    let params = "log-level=none:open-gop=1:keyint=12:min-keyint=12:bframes=3:b-adapt=0:scenecut=0:pools=1:frame-threads=1";
    let options = [("preset", "ultrafast"), ("x265-params", params)];
    let Some(bytes) = stream("libx265", 3, &options) else { return println!("skipped: no libx265") };
    let index = build(&bytes).unwrap();
    let segment = Segment(bytes, index);
    let sources = [Source { index: &segment.1, wall: ZERO, joined: false, whole: true, inner: None }];
    let (settings, token) = (EdgeSettings { preset: "veryfast".into(), crf: 12.0 }, Token::root());
    let maker = RangeMaker {
        sources: &sources,
        elementary: &segment,
        settings: &settings,
        token: &token,
        at_once: &|_, work| work(),
    };
    let make = |frames: Range<i64>, before: &Before| {
        let [from, to] = [frames.start, frames.end].map(|it| ZERO + TimeBase::MPEG.micros(it * TICKS));
        let fit = (&[][..], SoundFit::Nearest);
        let at = before.last_dts.unwrap_or(0) + 90_000;
        maker.make(|joins| plan_with(&sources, Span::new(from, to), at, fit, joins), before).unwrap()
    };
    let units = &segment.1.video.as_ref().unwrap().units;
    let shown = |unit: &AccessUnit| (unit.pts - segment.1.first_pts().unwrap()) / TICKS;
    let key = units.iter().find(|it| it.class == UnitClass::Cra).map(shown).unwrap();
    // What is copied up to behind the keyframe ends with its order count, or with one of those before it.
    for (end, repeats) in [(key + 1, true), (key - 4, false)] {
        let first = make(0..end, &Before::default());
        let second = make(key..FRAMES, &first.after);
        let free = make(key..FRAMES, &Before { orders: Vec::new(), ..first.after.clone() });
        assert_eq!(second.plan.encoded > free.plan.encoded, repeats, "{end}: {:?}", first.after.orders);
        assert_eq!(u64::from(repeats), second.refused, "{end}");
    }
}
