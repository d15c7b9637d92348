use super::*;
use crate::base::Timestamp;
use crate::base::time::TimeBase;
use crate::media::live::{Codec, TrackKind};
use crate::media::mp4::{
    Edit, Head, IndexEntry, PictureEntry, SoundCoding, SoundEntry, Total, free, matrix, mfra, sidx,
    sidx_bytes,
};
use bytes::Bytes;
use proptest::prelude::*;

/// The boxes that lie side by side in `bytes`, to its last byte.
fn boxes(mut bytes: &[u8]) -> Vec<(String, &[u8])> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        found.push((String::from_utf8_lossy(&bytes[4..8]).into_owned(), &bytes[8..length]));
        bytes = &bytes[length..];
    }
    found
}

fn names(bytes: &[u8]) -> Vec<String> {
    boxes(bytes).into_iter().map(|it| it.0).collect()
}

fn content<'a>(bytes: &'a [u8], path: &[&str]) -> &'a [u8] {
    path.iter().fold(bytes, |bytes, name| boxes(bytes).into_iter().find(|it| it.0 == *name).unwrap().1)
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|it| u32::from_be_bytes(it.try_into().unwrap())).collect()
}

fn video(kind: &[u8; 4], base: TimeBase) -> Track {
    let entry = PictureEntry {
        kind: *kind,
        record: vec![1, 2, 3],
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
        time_base: base,
        config: Bytes::new(),
        entry: Some(SampleEntry::Picture(entry)),
        codecs: String::new(),
        width: 320,
        height: 240,
        frame_rate: (25, 1),
        sample_rate: 0,
        channels: 0,
        frame_samples: 0,
    }
}

fn sound() -> Track {
    let coding = SoundCoding::Boxed { entry: *b"Opus", kind: *b"dOps", record: vec![0; 11] };
    let entry = SampleEntry::Sound(SoundEntry { channels: 2, rate: 48_000, coding });
    let base = TimeBase::new(1, 48_000);
    Track { kind: TrackKind::Audio, entry: Some(entry), sample_rate: 48_000, ..video(b"avc1", base) }
}

fn sample(dts: i64, pts: i64, key: bool, data: &[u8]) -> Arc<Sample> {
    let (time, data) = (Timestamp::from_micros(0), Bytes::copy_from_slice(data));
    Arc::new(Sample { track: 0, dts, pts, duration: 7, key, time, data })
}

fn unit(head: u8, rest: &[u8]) -> Vec<u8> {
    [&(rest.len() as u32 + 1).to_be_bytes()[..], &[head], rest].concat()
}

#[test]
fn a_fragment_is_one_moof_and_one_mdat_in_which_every_sample_is_found() {
    let (pictures, sounds) = (Layout::of(&video(b"avc1", TimeBase::MPEG)), Layout::of(&sound()));
    let (pictures, sounds) = (pictures.unwrap(), sounds.unwrap());
    let key = [unit(0x67, &[1]), unit(0x68, &[2]), unit(0x65, &[3, 3])].concat();
    let video = [sample(1000, 4600, true, &key), sample(4600, 4000, false, &unit(0x41, &[4]))];
    let audio = [sample(5, 5, true, b"one"), sample(965, 965, true, b"three")];
    let tracks = [
        Laid { number: 1, layout: &pictures, samples: &video, end: Some(8300) },
        Laid { number: 2, layout: &sounds, samples: &audio, end: None },
    ];
    let bytes = fragment(9, &tracks).unwrap();
    assert_eq!(names(&bytes), ["moof", "mdat"]);
    let moof = content(&bytes, &["moof"]);
    assert_eq!(names(moof), ["mfhd", "traf", "traf"]);
    assert_eq!(words(content(moof, &["mfhd"])), [0, 9]);
    let traf = content(moof, &["traf"]);
    assert_eq!(words(content(traf, &["tfhd"])), [0x2_0020, 1, NO_SYNC]);
    assert_eq!(words(content(traf, &["tfdt"])), [0x0100_0000, 0, 1000]);
    // The parameter sets are in the sample entry, and a picture may be shown before it is decoded.
    let at = bytes.len() - 21;
    let expected = [0x0100_0f01, 2, at as u32, 3600, 7, SYNC, 3600, 3700, 6, NO_SYNC, (-600i32) as u32];
    assert_eq!(words(content(traf, &["trun"])), expected);
    let traf = boxes(moof).pop().unwrap().1;
    // The second's length is the one it tells itself, and all of sound may be begun at.
    assert_eq!(words(content(traf, &["tfhd"])), [0x2_0020, 2, SYNC]);
    assert_eq!(words(content(traf, &["trun"])), [0x0100_0301, 2, at as u32 + 13, 960, 3, 7, 5]);
    let expected = [unit(0x65, &[3, 3]), unit(0x41, &[4]), b"onethree".to_vec()].concat();
    assert_eq!(bytes[at..], expected);
}

#[test]
fn what_has_no_samples_makes_no_fragment() {
    let layout = Layout::of(&sound()).unwrap();
    assert_eq!(fragment(1, &[]), None);
    assert_eq!(fragment(1, &[Laid { number: 1, layout: &layout, samples: &[], end: None }]), None);
    assert_eq!(Layout::of(&Track { entry: None, ..sound() }), None);
}

#[test]
fn samples_hold_what_their_entry_leaves_to_them() {
    let of = |kind: &[u8; 4], data: &[u8]| {
        let layout = Layout::of(&video(kind, TimeBase::MPEG)).unwrap();
        let one = [sample(0, 0, true, data)];
        let bytes = fragment(1, &[Laid { number: 1, layout: &layout, samples: &one, end: None }]).unwrap();
        content(&bytes, &["mdat"]).to_vec()
    };
    let (avc, hevc) = ([unit(0x67, &[1]), unit(6, &[5])].concat(), [unit(64, &[1]), unit(38, &[1])].concat());
    assert_eq!((of(b"avc1", &avc), of(b"avc3", &avc)), (unit(6, &[5]), avc.clone()));
    assert_eq!((of(b"hvc1", &hevc), of(b"hev1", &hevc)), (unit(38, &[1]), hevc.clone()));
    assert_eq!((of(b"av01", &[0x12, 0, 0x32, 1]), of(b"av01", &[0x0a, 1])), (vec![0x32, 1], vec![0x0a, 1]));
    // A length that leads out of the sample is the rest of it.
    assert_eq!(of(b"avc1", &[0, 0, 1, 0, 0x65]), [0, 0, 1, 0, 0x65]);
    assert_eq!(of(b"avc1", &[0, 0, 1]), [0, 0, 1]);
}

#[test]
fn times_are_counted_from_where_it_is_said() {
    let mut layout = Layout::of(&video(b"avc1", TimeBase::new(1001, 30_000))).unwrap();
    layout.shift = -5;
    assert_eq!((layout.timescale, layout.time(4), layout.time(6)), (30_000, 0, 1001));
    let one = [sample(7, 8, true, b"")];
    let bytes = fragment(1, &[Laid { number: 1, layout: &layout, samples: &one, end: Some(9) }]).unwrap();
    let traf = content(&bytes, &["moof", "traf"]);
    assert_eq!(words(content(traf, &["tfhd"])), [0x2_0028, 1, 2002, SYNC]);
    assert_eq!(words(content(traf, &["tfdt"]))[2], 2002);
    assert_eq!(words(content(traf, &["trun"]))[3..], [0, 1001]);
    layout.lead = 1;
    let bytes = fragment(1, &[Laid { number: 1, layout: &layout, samples: &one, end: Some(9) }]).unwrap();
    let traf = content(&bytes, &["moof", "traf"]);
    assert_eq!(
        (words(content(traf, &["tfdt"]))[2], words(content(traf, &["trun"]))[3..].to_vec()),
        (3003, vec![0])
    );
}

#[test]
fn heads_tell_tracks_turns_and_lengths() {
    let (pictures, sounds) =
        (Layout::of(&video(b"hvc1", TimeBase::MPEG)).unwrap(), Layout::of(&sound()).unwrap());
    let head = |orientation, total| {
        let edit = Edit { duration: 40, media_time: Some(3600) };
        Head { tracks: vec![(&pictures, vec![edit]), (&sounds, Vec::new())], orientation, total }.bytes()
    };
    let bytes = head(6, Total::Open);
    assert_eq!(names(&bytes), ["ftyp", "moov"]);
    let moov = content(&bytes, &["moov"]);
    assert_eq!(names(moov), ["mvhd", "trak", "trak", "mvex"]);
    assert_eq!(names(content(moov, &["mvex"])), ["trex", "trex"]);
    let tkhd = words(content(moov, &["trak", "tkhd"]));
    assert_eq!(tkhd[10..], [0, 0xffff_0000, 0, 0x1_0000, 0, 0, 0, 0, 0x4000_0000, 320 << 16, 240 << 16]);
    let second = boxes(moov)[2].1;
    assert_eq!(names(second), ["tkhd", "mdia"]);
    assert_eq!(words(content(second, &["tkhd"]))[10..19], matrix(1), "sound is not turned");
    let stsd = content(second, &["mdia", "minf", "stbl", "stsd"]);
    assert_eq!(names(&stsd[8..]), ["Opus"]);
    let (later, known) = (head(1, Total::Later), head(1, Total::Of(5_000_000_000)));
    assert_eq!(later.len(), known.len(), "a length that becomes known is written in place");
    assert_eq!(names(content(&later, &["moov", "mvex"]))[0], "free");
    assert_eq!(words(content(&known, &["moov", "mvex", "mehd"])), [0x0100_0000, 1, 705_032_704]);
}

#[test]
fn orientations_are_matrices() {
    const ONE: u32 = 0x1_0000;
    const MINUS: u32 = 0xffff_0000;
    for (orientation, (a, b, c, d)) in [
        (0, (ONE, 0, 0, ONE)),
        (1, (ONE, 0, 0, ONE)),
        (2, (MINUS, 0, 0, ONE)),
        (3, (MINUS, 0, 0, MINUS)),
        (4, (ONE, 0, 0, MINUS)),
        (5, (0, MINUS, MINUS, 0)),
        (6, (0, MINUS, ONE, 0)),
        (7, (0, ONE, ONE, 0)),
        (8, (0, ONE, MINUS, 0)),
    ] {
        assert_eq!(matrix(orientation), [a, b, 0, c, d, 0, 0, 0, 0x4000_0000], "{orientation}");
    }
}

#[test]
fn indexes_tell_where_fragments_are() {
    let entry = |time, offset| IndexEntry { time, length: 90_000, offset, bytes: 500 };
    let entries = [entry(1 << 33, 700), entry((1 << 33) + 90_000, 1200)];
    let bytes = sidx(1, 90_000, 16, &entries);
    assert_eq!((bytes.len(), names(&bytes)), (sidx_bytes(2), vec!["sidx".to_owned()]));
    let expected =
        [0x0100_0000, 1, 90_000, 2, 0, 0, 16, 2, 500, 90_000, 0x9000_0000, 500, 90_000, 0x9000_0000];
    assert_eq!(words(content(&bytes, &["sidx"])), expected);
    let bytes = mfra(&[(1, entries.to_vec())]);
    assert_eq!(names(content(&bytes, &["mfra"])), ["tfra", "mfro"]);
    assert_eq!(words(content(&bytes, &["mfra", "mfro"]))[1] as usize, bytes.len());
    let tfra = content(&bytes, &["mfra", "tfra"]);
    assert_eq!(words(&tfra[..32]), [0x0100_0000, 1, 0, 2, 2, 0, 0, 700]);
    assert_eq!(tfra[32..35], [1, 1, 1]);
    assert_eq!((free(20).len(), names(&free(8))), (20, vec!["free".to_owned()]));
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let byte = prop_oneof![Just(0u8), Just(0x67), Just(2), any::<u8>()];
    let time = || prop_oneof![any::<i64>(), -(1i64 << 33)..1 << 33];
    (time(), time(), any::<u32>(), any::<bool>(), prop::collection::vec(byte, 0..40)).prop_map(
        |(dts, pts, duration, key, data)| {
            let (time, data) = (Timestamp::from_micros(0), Bytes::from(data));
            Sample { track: 0, dts, pts, duration, key, time, data }
        },
    )
}

proptest! {
    #[test]
    fn whatever_comes_is_one_moof_and_one_mdat(
        lists in prop::collection::vec((prop::collection::vec(any_sample(), 0..6), any::<Option<i64>>()), 0..3),
        kind in prop::sample::select(vec![*b"avc1", *b"avc3", *b"hvc1", *b"av01"]),
        base in (any::<i32>(), any::<i32>()),
        shift: i64,
        lead: i64,
    ) {
        let mut layout = Layout::of(&video(&kind, TimeBase { num: base.0, den: base.1 })).unwrap();
        (layout.shift, layout.lead) = (shift, lead);
        let lists: Vec<(Vec<Arc<Sample>>, Option<i64>)> =
            lists.into_iter().map(|(list, end)| (list.into_iter().map(Arc::new).collect(), end)).collect();
        let laid: Vec<Laid<'_>> = lists.iter().zip(1..)
            .map(|((samples, end), number)| Laid { number, layout: &layout, samples, end: *end }).collect();
        let count: usize = lists.iter().map(|it| it.0.len()).sum();
        match fragment(1, &laid) {
            None => prop_assert_eq!(count, 0),
            Some(bytes) => {
                prop_assert_eq!(names(&bytes), ["moof", "mdat"]);
                let kept: usize = lists.iter().flat_map(|it| &it.0).map(|it| layout.bytes(it)).sum();
                prop_assert_eq!(content(&bytes, &["mdat"]).len(), kept);
                let told: u32 = boxes(content(&bytes, &["moof"])).iter().filter(|it| it.0 == "traf")
                    .map(|it| words(content(it.1, &["trun"]))[1]).sum();
                prop_assert_eq!(told as usize, count);
            }
        }
    }
}
