use super::super::tests::{epoch, sound, video};
use super::*;

const LIMITS: Limits = Limits { window: 10 * SECOND, segments: 100, bytes: 10_000 };

fn stretch(number: u64) -> Stretch {
    Stretch { epoch: epoch(number, vec![video(), sound()]), video: 0, audio: Some(1), first: 0, lead: 0 }
}

/// A segment of parts of a second, each of so many bytes.
fn segment(window: &mut Window, parts: usize, bytes: usize) {
    window.begin_segment(Timestamp::from_micros(window.next_number() as i64 * 2 * SECOND));
    for part in 0..parts {
        let body = Bytes::from(vec![window.next_number() as u8; bytes]);
        window.push_part(SECOND, part == 0, Some(body));
    }
}

fn window(segments: usize) -> Window {
    let mut window = Window::new(LIMITS, SECOND);
    window.begin_stretch(stretch(0));
    for _ in 0..segments {
        segment(&mut window, 2, 100);
        window.end_segment();
    }
    window
}

fn first_told(window: &Window) -> u64 {
    let text = window.playlist(false);
    let line = text.lines().find_map(|it| it.strip_prefix("#EXT-X-MEDIA-SEQUENCE:")).unwrap();
    line.parse().unwrap()
}

#[test]
fn the_last_segments_are_told_and_as_many_more_are_kept() {
    let mut window = window(30);
    // Five segments are ten seconds; ten are held.
    assert_eq!((first_told(&window), window.segments.len(), window.bytes()), (25, 10, 2000));
    assert_eq!(window.segment(19), Found::Gone);
    assert!(matches!(window.segment(20), Found::Here(_)));
    assert_eq!((window.segment(30), window.segment(31)), (Found::Later, Found::Never));
    segment(&mut window, 1, 100);
    assert_eq!(first_told(&window), 25, "what is not complete does not count");
    window.limits.segments = 3;
    assert_eq!(first_told(&window), 27);
    window.limits.window = 1;
    assert_eq!(first_told(&window), 27, "three whatever their length");
}

#[test]
fn bytes_are_bounded_but_for_the_last_segments() {
    let mut window = Window::new(Limits { bytes: 1000, ..LIMITS }, SECOND);
    window.begin_stretch(stretch(0));
    for _ in 0..9 {
        segment(&mut window, 2, 200);
        window.end_segment();
    }
    assert_eq!((window.bytes(), window.segments.len()), (800, 2));
    segment(&mut window, 2, 5000);
    assert_eq!((window.bytes(), window.segments.len()), (10_400, 2));
    window.clear();
    assert_eq!((window.bytes(), window.next_number(), window.newest()), (0, 10, None));
}

#[test]
fn parts_are_pieces_of_their_segment() {
    let mut window = window(1);
    segment(&mut window, 1, 100);
    assert_eq!(window.segment(1), Found::Later, "not complete");
    assert_eq!(window.part(1, 1), Found::Later, "it is hinted at");
    assert_eq!(
        (window.part(1, 2), window.part(2, 0), window.part(0, 2)),
        (Found::Never, Found::Never, Found::Never)
    );
    let Found::Here(before) = window.part(1, 0) else { panic!("a part") };
    window.push_part(SECOND, false, None);
    assert_eq!(window.part(1, 1), Found::Never, "it is missing");
    window.end_segment();
    assert_eq!(window.part(2, 0), Found::Later, "hinted at, as the segment is complete");
    let (Found::Here(whole), Found::Here(part)) = (window.segment(1), window.part(1, 0)) else {
        panic!("bytes")
    };
    assert_eq!((whole.as_ptr(), &part), (part.as_ptr(), &before));
    assert!(
        window.playlist(false).contains("#EXT-X-GAP\n#EXT-X-PART:DURATION=1.000000,URI=\"part-1-0.m4s\"")
    );
}

#[test]
fn heads_are_counted_over_a_streams_life() {
    let mut window = window(2);
    window.begin_stretch(stretch(1));
    for _ in 0..3 {
        segment(&mut window, 2, 100);
        window.end_segment();
    }
    let text = window.playlist(false);
    assert!(
        !text.contains("DISCONTINUITY-SEQUENCE") && text.matches("#EXT-X-DISCONTINUITY\n").count() == 1,
        "{text}"
    );
    segment(&mut window, 2, 100);
    window.end_segment();
    segment(&mut window, 2, 100);
    window.end_segment();
    let text = window.playlist(false);
    assert!(
        text.contains("#EXT-X-DISCONTINUITY-SEQUENCE:1\n") && !text.contains("#EXT-X-DISCONTINUITY\n"),
        "{text}"
    );
    assert!(matches!(window.heading(0), Found::Here(_)), "kept with its segments");
    assert!(matches!((window.heading(1), window.heading(2)), (Found::Here(_), Found::Never)));
    window.clear();
    assert!(matches!(window.heading(1), Found::Gone));
}

#[test]
fn target_durations_rise_only_when_they_must() {
    let target = |window: &Window| {
        let text = window.playlist(false);
        text.lines().find_map(|it| it.strip_prefix("#EXT-X-TARGETDURATION:")).unwrap().to_owned()
    };
    let mut window = window(1);
    assert_eq!(target(&window), "2");
    window.expect(6 * SECOND);
    assert_eq!(target(&window), "6");
    segment(&mut window, 7, 1);
    assert_eq!(target(&window), "6", "it may still end in time, for all that is told");
    window.end_segment();
    assert_eq!(target(&window), "7");
    (0..9).for_each(|_| {
        segment(&mut window, 2, 1);
        window.end_segment();
    });
    assert_eq!(target(&window), "7");
}

#[test]
fn a_source_in_bursts_is_told_in_segments_while_it_is_so() {
    let mut window = window(2);
    window.set_plain(true);
    segment(&mut window, 1, 100);
    let text = window.playlist(false);
    assert!(!text.contains("PART-INF") && !text.contains("HINT") && text.contains("part-1-1"), "{text}");
    assert!(!text.contains("part-2-"), "{text}");
    window.end_segment();
    window.set_plain(false);
    segment(&mut window, 1, 100);
    let text = window.playlist(false);
    assert!(text.contains("PART-INF") && text.contains("part-3-0") && !text.contains("part-2-"), "{text}");
}

#[test]
fn the_master_tells_codecs_and_rates() {
    let mut window = Window::new(LIMITS, SECOND);
    assert_eq!(window.quality(), None);
    window.begin_stretch(stretch(0));
    segment(&mut window, 1, 1000);
    let it = window.quality().unwrap();
    assert_eq!((it.codecs.join(","), it.peak, it.average), ("avc1.64001f,mp4a.40.2".into(), 9600, 8000));
    window.end_segment();
    segment(&mut window, 1, 500);
    window.end_segment();
    let it = window.quality().unwrap();
    assert_eq!((it.peak, it.average, it.size, it.frame_rate), (8000, 6000, (320, 240), (25, 1)));
}

#[test]
fn times_in_files_are_not_negative() {
    let shifts = |first: i64| {
        let heading = Heading::new(0, Stretch { first, ..stretch(0) });
        heading.layouts.iter().map(|it| it.shift).collect::<Vec<_>>()
    };
    assert_eq!(shifts(90_000), [0, 0]);
    assert_eq!(shifts(1 << 32), [0, 0]);
    assert_eq!(shifts(0), [90_000, 48_000], "sound may begin before");
    assert_eq!(shifts(-90_001), [3 * 90_000, 3 * 48_000]);
}
