use super::super::segmenter::Stretch;
use super::super::tests::{epoch, video};
use super::super::window::Limits;
use super::*;
use crate::base::Timestamp;
use bytes::Bytes;

/// A window of complete segments of so many parts, of which the last may be open.
fn window(part: i64, segments: &[usize], open: bool) -> Window {
    let mut window = Window::new(Limits { window: 1000 * SECOND, segments: 1000, bytes: 1 << 20 }, part);
    window.begin_stretch(Stretch {
        epoch: epoch(0, vec![video()]),
        video: 0,
        audio: None,
        first: 0,
        lead: 0,
    });
    for (at, parts) in segments.iter().enumerate() {
        window.begin_segment(Timestamp::from_micros(0));
        (0..*parts).for_each(|_| window.push_part(part, true, Some(Bytes::from_static(b"x"))));
        if !open || at + 1 < segments.len() {
            window.end_segment();
        }
    }
    window
}

/// Y for what is there, w for what is waited for, N for what may not be asked for.
fn asked(window: &Window, wants: &[Awaited]) -> String {
    let letter = |it: &Awaited| match it.is_in(window) {
        Ok(true) => 'Y',
        Ok(false) => 'w',
        Err(_) => 'N',
    };
    wants.iter().map(letter).collect()
}

fn segments(range: std::ops::Range<u64>) -> Vec<Awaited> {
    range.map(Awaited::Segment).collect()
}

fn parts(segment: u64, range: std::ops::Range<usize>) -> Vec<Awaited> {
    range.map(|it| Awaited::Part(segment, it)).collect()
}

#[test]
fn segments_two_ahead_may_be_waited_for() {
    assert_eq!(asked(&window(SECOND, &[], false), &segments(0..4)), "wwNN");
    assert_eq!(asked(&window(SECOND, &[2, 2, 2], false), &segments(0..6)), "YYYwwN");
    assert_eq!(asked(&window(SECOND, &[2, 2, 2], true), &segments(0..6)), "YYwwwN");
}

#[test]
fn parts_may_be_waited_for_as_far_as_three_seconds_ahead() {
    // Four of eight, with a limit of four.
    assert_eq!(asked(&window(3 * SECOND / 4, &[8, 4], true), &parts(1, 0..9)), "YYYYwwwNN");
    for (part, limit) in [(200_000, 15), (250_000, 12), (500_000, 6), (1_000_000, 3), (1_500_000, 3)] {
        let letters = asked(&window(part, &[1, 1], true), &parts(1, 0..20));
        assert_eq!(letters.matches('w').count(), limit - 1, "{part}");
    }
}

#[test]
fn beyond_a_segments_end_is_the_next_ones_start() {
    let ended = window(SECOND, &[3, 3], false);
    let wants = [Awaited::Part(1, 2), Awaited::Part(1, 3), Awaited::Part(1, 4), Awaited::Part(2, 0)];
    assert_eq!(asked(&ended, &wants), "Ywww");
    assert_eq!(asked(&window(SECOND, &[3, 3, 1], true), &wants), "YYYY");
}

#[test]
fn parts_are_of_no_use_without_their_segment() {
    let error = Awaited::new(None, Some(1)).unwrap_err();
    assert_eq!((error.kind, error.parameter.as_deref()), (crate::base::Kind::Invalid, Some("_HLS_msn")));
    assert_eq!(Awaited::new(None, None).unwrap(), Awaited::Any);
    let far = Awaited::Part(5, 0).is_in(&window(SECOND, &[2, 2, 2], false)).unwrap_err();
    assert_eq!((far.parameter.as_deref(), far.code), (Some("_HLS_msn"), "too-far-ahead"));
    assert!(Awaited::Part(u64::MAX, usize::MAX).is_in(&window(SECOND, &[], false)).is_err());
}

#[test]
fn where_there_are_no_parts_their_segment_is_waited_for() {
    let mut plain = window(SECOND, &[2], false);
    plain.set_plain(true);
    plain.begin_segment(Timestamp::from_micros(0));
    plain.push_part(SECOND, true, Some(Bytes::from_static(b"x")));
    assert_eq!(
        asked(&plain, &[Awaited::Any, Awaited::Part(0, 9), Awaited::Part(1, 0), Awaited::Part(1, 99)]),
        "YYww"
    );
}

#[test]
fn who_asks_for_nothing_waits_for_a_whole_segment() {
    assert_eq!(asked(&window(SECOND, &[], false), &[Awaited::Any]), "w");
    assert_eq!(asked(&window(SECOND, &[2], true), &[Awaited::Any, Awaited::Part(0, 1)]), "wY");
    assert_eq!(asked(&window(SECOND, &[2], false), &[Awaited::Any]), "Y");
}

#[test]
fn what_was_let_go_is_waited_for_until_there_is_something_again() {
    let mut window = window(SECOND, &[2, 2], false);
    window.clear();
    assert_eq!(asked(&window, &[Awaited::Any, Awaited::Segment(1), Awaited::Part(1, 1)]), "www");
}
