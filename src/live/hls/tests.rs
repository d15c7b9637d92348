//! What the tests of this folder are made of, and the viewers' side as a whole.

use super::*;
use crate::base::Timestamp;
use crate::base::time::TimeBase;
use crate::live::{Epoch, RingLimits};
use crate::media::live::{Codec, Sample, Track, TrackKind};
use crate::media::mp4::{PictureEntry, SampleEntry, SoundCoding, SoundEntry};
use std::future::Future;

/// A frame of pictures at 25 a second, in ticks.
pub const FRAME: i64 = 3600;

pub fn video() -> Track {
    let entry = PictureEntry {
        kind: *b"avc1",
        record: vec![1, 0x64, 0, 0x1f],
        width: 320,
        height: 240,
        sar: (1, 1),
        colour: Default::default(),
        full_range: false,
    };
    Track {
        kind: TrackKind::Video,
        codec: Codec::H264,
        name: "h264".into(),
        time_base: TimeBase::MPEG,
        config: Bytes::new(),
        entry: Some(SampleEntry::Picture(entry)),
        codecs: "avc1.64001f".into(),
        width: 320,
        height: 240,
        frame_rate: (25, 1),
        sample_rate: 0,
        channels: 0,
        frame_samples: 0,
    }
}

pub fn sound() -> Track {
    let coding = SoundCoding::Mpeg4 { object: 0x40, config: vec![0x11, 0x90] };
    Track {
        kind: TrackKind::Audio,
        codec: Codec::Aac,
        name: "aac".into(),
        time_base: TimeBase::new(1, 48_000),
        entry: Some(SampleEntry::Sound(SoundEntry { channels: 2, rate: 48_000, coding })),
        codecs: "mp4a.40.2".into(),
        sample_rate: 48_000,
        channels: 2,
        frame_samples: 1024,
        ..video()
    }
}

pub fn epoch(number: u64, tracks: Vec<Track>) -> Arc<Epoch> {
    Arc::new(Epoch { number, tracks, cause: "start" })
}

/// A picture of `length` ticks at `dts`.
pub fn picture(dts: i64, length: i64, key: bool) -> Sample {
    let time = Timestamp::from_micros(TimeBase::MPEG.micros(dts));
    let data = Bytes::from(vec![0, 0, 0, 1, if key { 0x65 } else { 0x41 }]);
    Sample { track: 0, dts, pts: dts, duration: length as u32, key, time, data }
}

/// A frame of sound at `dts`, in samples.
pub fn frame_of_sound(dts: i64) -> Sample {
    let time = Timestamp::from_micros(TimeBase::new(1, 48_000).micros(dts));
    Sample { track: 1, dts, pts: dts, duration: 1024, key: true, time, data: Bytes::from_static(b"aac") }
}

fn options() -> Options {
    Options {
        segment: 2 * SECOND,
        part: SECOND / 2,
        limits: Limits { window: 10 * SECOND, segments: 100, bytes: 1 << 20 },
        wait: Duration::from_secs(20),
        idle: Duration::from_secs(60),
        token_idle: Duration::from_secs(60),
        tokens: 4,
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

/// Pictures `frames`, with a keyframe every second.
fn push(ring: &Ring, frames: std::ops::Range<i64>) {
    frames.for_each(|it| ring.push(picture(it * FRAME, FRAME, it % 25 == 0)));
}

fn stream() -> (Arc<Ring>, Hls) {
    let ring = Arc::new(Ring::new(RingLimits { micros: i64::MAX, bytes: usize::MAX }));
    let hls = Hls::new(Arc::clone(&ring), options());
    (ring, hls)
}

#[test]
fn the_first_part_is_there_as_soon_as_it_can_be() {
    let (ring, hls) = stream();
    ring.begin(vec![video()], "start");
    let text = run(async {
        let (text, ()) = tokio::join!(hls.playlist(Awaited::Part(0, 0), false), async {
            // One picture more than a part has: then its last picture's length is known.
            push(&ring, 0..14);
        });
        text.unwrap()
    });
    let text = std::str::from_utf8(&text.plain).unwrap();
    assert!(text.contains("#EXT-X-PART:DURATION=0.480000,URI=\"part-0-0.m4s\",INDEPENDENT=YES\n"), "{text}");
    assert!(
        run(hls.master()).unwrap().contains("CODECS=\"avc1.64001f\",RESOLUTION=320x240,FRAME-RATE=25.000")
    );
}

#[test]
fn what_the_ring_holds_can_be_watched_at_once() {
    let (ring, hls) = stream();
    ring.begin(vec![video()], "start");
    push(&ring, 0..1000);
    let text = run(hls.playlist(Awaited::Segment(1), false)).unwrap();
    let text = std::str::from_utf8(&text.plain).unwrap();
    assert!(text.contains("segment-0.m4s") && text.contains("segment-1.m4s"), "{text}");
    // Six seconds of backlog, not all that is held.
    assert!(text.contains("TIME:1970-01-01T00:00:33.000Z"), "{text}");
    assert_eq!(run(hls.segment(0)).unwrap().slice(4..8), &b"moof"[..]);
}

#[test]
fn all_who_wait_get_the_same_bytes() {
    let (ring, hls) = stream();
    ring.begin(vec![video()], "start");
    push(&ring, 0..60);
    run(async {
        hls.playlist(Awaited::Segment(1), false).await.unwrap();
        let waiting = || hls.playlist(Awaited::Part(2, 0), false);
        let part = || hls.part(2, 0);
        let (one, two, three, four, ()) = tokio::join!(waiting(), waiting(), part(), part(), async {
            // One part more, and no other change.
            push(&ring, 60..64);
        });
        assert!(Arc::ptr_eq(&one.unwrap(), &two.unwrap()));
        assert_eq!(three.unwrap().as_ptr(), four.unwrap().as_ptr());
    });
}

#[test]
fn a_source_that_ends_leaves_what_it_sent_and_its_successor_is_told_apart() {
    let (ring, hls) = stream();
    ring.begin(vec![video()], "start");
    push(&ring, 0..30);
    run(async {
        hls.playlist(Awaited::Any, false).await.unwrap();
        ring.end("reset");
        let text = hls.playlist(Awaited::Segment(1), false).await.unwrap();
        let text = std::str::from_utf8(&text.plain).unwrap();
        assert!(
            text.ends_with(
                "#EXTINF:0.200000,\nsegment-1.m4s\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part-2-0.m4s\"\n"
            ),
            "{text}"
        );
        ring.begin(vec![video()], "reconnect");
        push(&ring, 1000..1030);
        let text = hls.playlist(Awaited::Part(2, 0), false).await.unwrap();
        let text = std::str::from_utf8(&text.plain).unwrap();
        assert!(
            text.contains("segment-1.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-1.mp4\"\n"),
            "{text}"
        );
        assert_eq!(hls.segment(9).await.unwrap_err().kind, Kind::NotFound);
        assert_eq!((hls.head(1).unwrap().len() > 500, hls.head(2).unwrap_err().kind), (true, Kind::NotFound));
    });
}

#[test]
fn who_waits_in_vain_is_told_why() {
    let (ring, mut hls) = stream();
    Arc::get_mut(&mut hls.0).unwrap().options.wait = Duration::ZERO;
    assert_eq!(run(hls.master()).unwrap_err().kind, Kind::NotFound, "no source");
    ring.begin(vec![video()], "start");
    assert_eq!(run(hls.master()).unwrap_err().kind, Kind::Deadline, "a source that sends nothing yet");
}

#[test]
fn a_stream_is_watched_while_somebody_asks() {
    let (_ring, hls) = stream();
    let start = Instant::now();
    assert_eq!(hls.asked(), None);
    let _ = hls.head(0);
    let now = Instant::now();
    assert!(hls.asked().is_some_and(|it| start <= it && it <= now) && !hls.0.leave_if_idle(now));
    // The thread that follows ends then, and numbers go on with the next.
    let mut state = hls.0.state.lock();
    state.window.begin_stretch(segmenter::Stretch {
        epoch: epoch(0, vec![video()]),
        video: 0,
        audio: None,
        first: 0,
        lead: 0,
    });
    state.window.begin_segment(Timestamp::from_micros(0));
    drop(state);
    assert!(hls.0.leave_if_idle(now + Duration::from_secs(61)));
    let state = hls.0.state.lock();
    assert_eq!((state.following, state.window.newest(), state.window.next_number()), (false, None, 1));
}

#[test]
fn an_address_leads_to_its_stream() {
    assert_eq!(url(&StreamId::new("a b-c").unwrap(), "t"), "/live/a%20b-c/t/master.m3u8");
}
