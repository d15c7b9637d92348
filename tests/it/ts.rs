//! Transport streams patched and written by `media::ts`, judged by FFmpeg's programs and by a strict checker that
//! shares no code with them.

mod checker;
mod judge;

use checker::{Checked, Unit, check, distance};
use judge::{Packet, decode, packets};
use moviola::base::{Timestamp, Token};
use moviola::media::synthetic::{Synthetic, synthesise};
use moviola::media::ts::{
    AdtsFrames, ContinuityCounters, CounterProfile, Patch, ProgramFacts, StreamFacts, TsWriter,
};
use std::sync::LazyLock;

/// Streams as FFmpeg numbers them, and their PIDs as its muxer gives them.
const VIDEO: usize = 0;
const AUDIO: usize = 1;
const PIDS: [u16; 2] = [0x100, 0x101];
const TURN: i64 = 1 << 33;
/// At 25 fps, in ticks of 90 kHz.
const FRAME_TICKS: i64 = 3_600;
const SEGMENT_FRAMES: i64 = 10;
const SEGMENT_TICKS: i64 = SEGMENT_FRAMES * FRAME_TICKS;
/// 1024 samples at 48 kHz.
const SOUND_TICKS: i64 = 1_920;

/// 2 s in five segments of ten pictures, with B-frames. Each follows the one before it in its counters and times.
static SEGMENTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let what = Synthetic {
        start: Timestamp::from_micros(0),
        frames: 50,
        fps: 25,
        segment_frames: SEGMENT_FRAMES as u64,
        width: 320,
        height: 180,
        preset: "veryfast".into(),
        crf: 30,
        b_frames: 2,
    };
    let mut segments = Vec::new();
    synthesise(&what, &Token::root(), |segment| {
        segments.push(segment.bytes);
        Ok(())
    })
    .expect("a synthetic stream");
    segments
});

/// The first time shown, on the clock with 33 bits.
fn first_pts(checked: &Checked) -> i64 {
    let units = &checked.units[&PIDS[VIDEO]];
    let first = units[0].pts;
    units.iter().map(|it| it.pts).min_by_key(|pts| distance(*pts, first)).expect("pictures")
}

/// Asserts that the pictures are on screen one after the other, without a gap.
fn assert_steady(units: &[Unit], start: i64) {
    let mut shown: Vec<i64> = units.iter().map(|it| distance(it.pts, start)).collect();
    shown.sort_unstable();
    let expected: Vec<i64> = (0..units.len() as i64).map(|n| n * FRAME_TICKS).collect();
    assert_eq!(shown, expected);
}

fn shifted(packets: &[Packet], by: i64) -> Vec<Packet> {
    let at = |ticks: i64| (ticks + by).rem_euclid(TURN);
    packets.iter().map(|it| Packet { pts: at(it.pts), dts: at(it.dts), ..it.clone() }).collect()
}

fn facts(source: &Checked) -> ProgramFacts {
    let stream = |pid, stream_type| StreamFacts { pid, stream_type, descriptors: vec![] };
    let first = &source.units[&PIDS[VIDEO]][0];
    ProgramFacts {
        transport_stream_id: 1,
        program_number: 1,
        pmt_pid: 0x1000,
        pcr_pid: PIDS[VIDEO],
        pat_version: 0,
        pmt_version: 0,
        descriptors: vec![],
        streams: vec![stream(PIDS[VIDEO], 0x1b), stream(PIDS[AUDIO], 0x0f)],
        lead_90k: distance(first.dts, first.clock),
    }
}

/// Writes the units of `source` anew, `by` ticks later, each frame of sound in a PES packet of its own.
fn rewrite(source: &Checked, by: i64, counters: ContinuityCounters) -> (Vec<u8>, ContinuityCounters) {
    let mut units = Vec::new();
    for unit in &source.units[&PIDS[VIDEO]] {
        units.push((VIDEO, unit.pts, unit.dts, unit.random_access, &unit.bytes[..]));
    }
    for unit in &source.units[&PIDS[AUDIO]] {
        let mut frames = AdtsFrames::new(&unit.bytes);
        for (n, frame) in frames.by_ref().enumerate() {
            assert_eq!((frame.sample_rate, frame.samples, frame.channels), (48_000, 1024, 2));
            let at = unit.pts + n as i64 * SOUND_TICKS;
            units.push((AUDIO, at, at, true, frame.bytes));
        }
        assert_eq!((frames.skipped(), frames.rest().len()), (0, 0));
    }
    units.sort_by_key(|it| it.2);
    let mut writer = TsWriter::new(facts(source), counters).unwrap();
    for (stream, pts, dts, key, bytes) in units {
        writer.write_unit(stream, pts + by, dts + by, key, bytes).unwrap();
    }
    writer.finish()
}

#[test]
fn segments_run_on_over_the_end_of_the_clock() {
    let source = SEGMENTS.concat();
    let start = first_pts(&check(&source));
    let (original, pictures) = (packets(&source), decode(&source));
    assert_eq!(pictures.iter().filter(|it| it.0 == VIDEO).count(), 50);
    // The clock ends in the middle of the second segment, at a segment's first picture, and nowhere near.
    for at in [SEGMENT_TICKS * 3 / 2, SEGMENT_TICKS * 2, 0, -TURN / 2] {
        let by = TURN - start - at;
        let mut counters = ContinuityCounters::default();
        let mut out = SEGMENTS.clone();
        for segment in &mut out {
            let report = Patch { shift_90k: by, joined: true }.apply(segment, &mut counters).unwrap();
            assert_eq!(
                (report.scrambled, report.errored, report.malformed, report.stray_bytes),
                (0, 0, 0, 0)
            );
            assert!(report.stamped > 10 && report.clocks > 0);
        }
        let out = out.concat();
        assert_eq!(out.len(), source.len());
        let checked = check(&out);
        assert_steady(&checked.units[&PIDS[VIDEO]], TURN - at);
        assert_eq!(shifted(&packets(&out), 0), shifted(&original, by));
        assert_eq!(decode(&out), pictures);
    }
}

#[test]
fn segments_in_any_order_are_one_stream() {
    let order = [0, 3, 1, 1, 2, 0, 4];
    let start = TURN - SEGMENT_TICKS * 2 - 7;
    let patch = |place: usize, index: usize| {
        let own = first_pts(&check(&SEGMENTS[index]));
        Patch { shift_90k: start + place as i64 * SEGMENT_TICKS - own, joined: true }
    };
    let mut counters = ContinuityCounters::default();
    let out: Vec<Vec<u8>> = (order.iter().enumerate())
        .map(|(place, index)| {
            let mut segment = SEGMENTS[*index].clone();
            patch(place, *index).apply(&mut segment, &mut counters).unwrap();
            segment
        })
        .collect();

    // Any segment comes out the same when it alone is read, from the summaries of those before it.
    let profiles: Vec<_> = SEGMENTS.iter().map(|it| CounterProfile::of(it).unwrap()).collect();
    for (place, index) in order.iter().enumerate().rev() {
        let mut counters = ContinuityCounters::default();
        order[..place].iter().for_each(|before| counters.pass(&profiles[*before]));
        let mut segment = SEGMENTS[*index].clone();
        patch(place, *index).apply(&mut segment, &mut counters).unwrap();
        assert_eq!(segment, out[place], "segment {place}");
    }

    let out = out.concat();
    let checked = check(&out);
    assert_steady(&checked.units[&PIDS[VIDEO]], start);
    assert_eq!(checked.tables.values().map(Vec::len).max(), Some(1), "tables that never change");
    let read = packets(&out);
    assert_eq!(
        read.iter().filter(|it| it.stream == VIDEO).count() as i64,
        order.len() as i64 * SEGMENT_FRAMES
    );
    // Every picture is that of its segment.
    let of = |bytes: &[u8]| decode(bytes).into_iter().filter(|it| it.0 == VIDEO).collect::<Vec<_>>();
    let expected: Vec<_> = order.iter().flat_map(|index| of(&SEGMENTS[*index])).collect();
    assert_eq!(of(&out), expected);
}

#[test]
fn what_is_written_is_read_back() {
    let source = SEGMENTS.concat();
    let checked = check(&source);
    let (original, pictures) = (packets(&source), decode(&source));
    for by in [0, TURN - first_pts(&checked) - SEGMENT_TICKS * 3 / 2] {
        let (out, _) = rewrite(&checked, by, ContinuityCounters::default());
        let again = check(&out);
        for stream in [VIDEO, AUDIO] {
            let of = |packets: &[Packet]| -> Vec<Packet> {
                packets.iter().filter(|it| it.stream == stream).cloned().collect()
            };
            assert_eq!(shifted(&of(&packets(&out)), 0), shifted(&of(&original), by));
            // Decoded, they differ in their order at most.
            let of = |all: &[(usize, String)]| -> Vec<String> {
                all.iter().filter(|it| it.0 == stream).map(|it| it.1.clone()).collect()
            };
            assert_eq!(of(&decode(&out)), of(&pictures));
        }
        assert_eq!(again.tables[&0], checked.tables[&0]);
        let sound = &again.units[&PIDS[AUDIO]];
        assert!(sound.iter().all(|it| it.stream_id == 0xc0));
        let random: Vec<bool> = again.units[&PIDS[VIDEO]].iter().map(|it| it.random_access).collect();
        assert_eq!(random, (0..50).map(|n| n % SEGMENT_FRAMES == 0).collect::<Vec<_>>());
        assert_eq!(rewrite(&checked, by, ContinuityCounters::default()).0, out, "the same bytes again");
    }
}

#[test]
fn a_written_edge_stands_between_copied_segments() {
    let source = SEGMENTS.concat();
    let by = TURN - first_pts(&check(&source)) - SEGMENT_TICKS * 3 / 2;
    let mut counters = ContinuityCounters::default();
    let mut out = Vec::new();
    for (index, segment) in SEGMENTS.iter().enumerate() {
        if index % 2 == 1 {
            let (bytes, after) = rewrite(&check(segment), by, counters);
            out.extend(bytes);
            counters = after;
        } else {
            let mut segment = segment.clone();
            Patch { shift_90k: by, joined: true }.apply(&mut segment, &mut counters).unwrap();
            out.extend(segment);
        }
    }
    let checked = check(&out);
    assert_steady(&checked.units[&PIDS[VIDEO]], TURN - SEGMENT_TICKS * 3 / 2);
    assert_eq!(checked.discontinuities, 0);
    let of = |stream: usize, packets: &[Packet]| -> Vec<Packet> {
        packets.iter().filter(|it| it.stream == stream).cloned().collect()
    };
    let (read, original) = (packets(&out), packets(&source));
    for stream in [VIDEO, AUDIO] {
        assert_eq!(shifted(&of(stream, &read), 0), shifted(&of(stream, &original), by));
    }
    let sorted = |mut all: Vec<(usize, String)>| {
        all.sort_by_key(|it| it.0);
        all
    };
    assert_eq!(sorted(decode(&out)), sorted(decode(&source)));
}
