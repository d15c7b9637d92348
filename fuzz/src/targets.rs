//! What is fuzzed: functions of bytes that must neither panic nor take long. They answer a word that tells inputs
//! of different kinds apart.

use moviola::media::index::{self, ElementaryReader, FrameIndex, VideoCodec};
use moviola::media::nal::prefixed::Sizes;
use moviola::media::peaks::{Columns, Part, Pixels, Track, View, WHOLE};
use moviola::media::tile::{Kept, MAX_TILES, Sheet, Tile, Tiles};
use moviola::media::ts::{ContinuityCounters, CounterProfile, Patch, Pids, ProgramFacts, Rename};

/// Any bytes as a segment.
pub fn ts_index(bytes: &[u8]) -> u64 {
    let Ok(index) = index::build(bytes) else { return 0 };
    let again = FrameIndex::decode(&index.encode()).expect("its own file is read");
    assert_eq!(again, index, "the file says what the index says");
    let mut shape = u64::from(index.gaps.min(3)) << 1 | u64::from(index.program_changes.min(1));
    let mut out = Vec::new();
    if let Some(track) = &index.video {
        let reader = ElementaryReader::new(bytes, track.pid);
        for (number, unit) in track.units.iter().enumerate() {
            out.clear();
            let read = reader.read(unit.extent(), &mut out).is_ok();
            assert!(out.len() <= bytes.len(), "no more is read than there is");
            if read && !unit.damaged && matches!(track.codec, VideoCodec::H264 | VideoCodec::Hevc) {
                let sizes = Sizes { payload: unit.payload, sets: unit.sets };
                assert_eq!(
                    Sizes::of(&out, track.codec == VideoCodec::Hevc),
                    sizes,
                    "samples are as long as told"
                );
            }
            assert!(unit.offset < unit.end && unit.end <= index.bytes, "places lie inside");
            // Questions that walk over all units are asked of some.
            if number % 16 == 0 {
                let start = track.gop_start(unit.pts);
                assert!(start.is_none_or(|it| track.units[it].class.is_random_access()));
                track.is_leading(number);
                track.format_of(unit);
            }
            let class = format!("{:?}", unit.class).len() as u64;
            shape |= 1 << (4 + class % 20) | u64::from(unit.damaged) << 28 | u64::from(unit.skip != 0) << 29;
        }
        assert_eq!(track.display_order().len(), track.units.len());
        shape |= (track.units.len() as u64).min(255) << 32 | (track.sets.len() as u64).min(15) << 40;
        shape |= (track.states.len() as u64).min(15) << 44;
    }
    for track in &index.audio {
        let reader = ElementaryReader::new(bytes, track.pid);
        for frame in &track.frames {
            out.clear();
            let _ = reader.read(frame.extent(), &mut out);
        }
        shape ^= (track.frames.len() as u64).min(255) << 48 | u64::from(track.stream_type) << 56;
    }
    shape
}

/// Any bytes as what stands between an index file's magic word and its checksum.
pub fn index_decode(bytes: &[u8]) -> u64 {
    match FrameIndex::decode(&FrameIndex::sealed(bytes)) {
        Ok(index) => {
            let again = FrameIndex::decode(&index.encode()).expect("what was read can be written");
            assert_eq!(again, index);
            let units = index.video.as_ref().map_or(0, |it| it.units.len() + 1);
            let frames: usize = index.audio.iter().map(|it| it.frames.len() + 1).sum();
            assert!(units <= bytes.len() && frames <= bytes.len(), "no more than the bytes can hold");
            1 + (units as u64) << 20 | frames as u64
        }
        Err(_) => 0,
    }
}

/// Any bytes as a part of a segment's peaks: every block of every track at every level, and both kinds of drawing.
pub fn peaks_decode(bytes: &[u8]) -> u64 {
    let mut shape = 0;
    for (number, part) in Part::ALL.into_iter().enumerate() {
        let Some(view) = View::decode(part, bytes) else { continue };
        let tracks = [Track::Mix, Track::Channel(0), Track::Channel(1), Track::Channel(usize::MAX - 1)];
        let mut blocks = 0;
        for run in view.runs() {
            for track in tracks {
                for level in 0..=WHOLE + 1 {
                    blocks += view.blocks(run, track, level).map_or(0, |it| it.peaks().count());
                }
            }
        }
        assert!(blocks <= bytes.len(), "no more blocks than the bytes can hold");
        let first = view.runs().next().map_or(0, |it| it.start);
        for (rate, from) in [(view.rate, first), (48_000, 0), (u32::MAX, first)] {
            for total in [1, 5000, 1 << 40] {
                Columns::new(rate, from, total, 7, &tracks).add(&view);
            }
            for scale in [256i64, 65_536] {
                let pixel = from.div_euclid(scale);
                Pixels::new(rate, scale, pixel..pixel + 9, &tracks).add(&view);
            }
        }
        shape |= (1 + (view.runs().count() as u64).min(15) + u64::from(view.channels.min(9)) * 16)
            << (20 * number);
    }
    shape
}

/// Any bytes as a segment that is patched in place: nothing is lost or grows, and shifting back gives back what was there.
pub fn ts_patch(bytes: &[u8]) -> u64 {
    let mut patched = bytes.to_vec();
    let patch = Patch { shift_90k: 0x1_2345_6789, joined: bytes.len() % 2 == 0 };
    let applied = patch.apply(&mut patched, &mut ContinuityCounters::default());
    assert_eq!(patched.len(), bytes.len(), "the length stays");
    // What cannot be patched is known before.
    let profile = CounterProfile::of(bytes);
    assert_eq!(applied.is_ok(), profile.is_ok(), "{applied:?} {profile:?}");
    let Ok(report) = applied else { return 0 };
    let same = patched.iter().zip(bytes).filter(|(a, b)| a == b).count() as u64;
    assert!(report.packets * 188 + report.stray_bytes <= bytes.len() as u64, "{report:?}");
    assert!(bytes.len() as u64 - same <= report.packets * 188, "only packets change");
    let again = Patch { shift_90k: -patch.shift_90k, joined: false };
    assert!(
        again.apply(&mut patched, &mut ContinuityCounters::default()).is_ok(),
        "what was patched can be again"
    );
    let small = |value: u64| value.min(15);
    small(report.packets)
        | small(report.stamped) << 4
        | small(report.clocks) << 8
        | small(report.splices) << 12
        | small(report.scrambled) << 16
        | small(report.errored) << 20
        | small(report.malformed) << 24
        | small(report.stray_bytes) << 28
}

/// Any bytes as a segment of another program, told as one.
pub fn ts_rename(bytes: &[u8]) -> u64 {
    let from = ProgramFacts::of(bytes);
    let pids = |it: &ProgramFacts| Pids {
        pmt: it.pmt_pid,
        pcr: it.pcr_pid,
        streams: it.streams.iter().map(|it| it.pid).collect(),
    };
    let Ok(from) = from else { return 0 };
    let mut to = from.clone();
    for (stream, pid) in to.streams.iter_mut().zip(0x100..) {
        stream.pid = pid;
    }
    let clock = from.streams.iter().position(|it| it.pid == from.pcr_pid);
    (to.pmt_pid, to.pcr_pid) = (0x99, clock.map_or(0x98, |it| to.streams[it].pid));
    let Some(rename) = Rename::new(&pids(&from), &pids(&to), &to) else { return 1 };
    let mut renamed = bytes.to_vec();
    rename.apply(&mut renamed);
    assert_eq!(renamed.len(), bytes.len(), "the length stays");
    let told = ProgramFacts::of(&renamed);
    let Ok(profile) = CounterProfile::of(bytes) else { return 2 };
    assert_eq!(CounterProfile::of(&renamed).ok(), Some(rename.profile(&profile)), "counters are known before");
    3 + u64::from(told.is_ok()) + (from.streams.len() as u64).min(15) << 4
        | (profile.pids.len() as u64).min(15) << 8
}

/// Any bytes as the kept tiles of a segment, each drawn on a sheet.
pub fn tiles_decode(bytes: &[u8]) -> u64 {
    let Some(tiles) = Kept::all(bytes) else { return 0 };
    assert!(tiles.len() <= MAX_TILES && tiles.iter().map(|it| it.jpeg.len()).sum::<usize>() < bytes.len());
    let own = tiles.iter().map(|it| Tile {
        at: it.at,
        width: it.width as u16,
        height: it.height as u16,
        jpeg: it.jpeg.to_vec(),
    });
    assert_eq!(Tiles(own.collect()).encode(), bytes, "it is written as it was read");
    let mut drawn = 0;
    for (number, tile) in tiles.iter().enumerate().take(4) {
        let mut sheet = Sheet::new((256, 144), 2, 2, 1);
        drawn |= u64::from(sheet.draw(number, tile).is_ok()) << number;
        sheet.write(number, "12:50:00");
    }
    for at in [i64::MIN, 0, i64::MAX] {
        assert_eq!(Kept::nearest(&tiles, at).is_some(), !tiles.is_empty());
    }
    1 + (tiles.len() as u64) << 4 | drawn
}
