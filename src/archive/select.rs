//! Which segments make up a span of time, and where there are none. Pure.
//!
//! Segments are taken in order of their starts. The first may begin before the span if it reaches into it, the
//! last may end after it. One that begins well before the last one taken ends is passed over. What no segment
//! covers is named, so that nobody has to infer it from the times.

use crate::archive::hour::{HourListing, Segment};
use crate::base::{Span, Timestamp};
use std::sync::Arc;

/// Segments of one stream whose ends and starts differ by no more than this, in microseconds, join: playlists
/// give durations in milliseconds, and sums of rounded ones drift by a few.
pub const TOLERANCE: i64 = 10_000;

/// A piece of the answer, in order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Segment(Segment),
    /// Nothing covers this; it reaches from the end of one segment (or the start of the span asked for) to the
    /// start of the next (or the end of the span).
    Hole(Span),
    /// The segment before may stop early, somewhere before its nominal end, and is not known to join what
    /// follows. The span is what lies between its nominal end and the next start, often empty.
    Break(Span),
}

/// What the archive has for a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// What was asked for.
    pub span: Span,
    pub items: Vec<Item>,
}

impl Selection {
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &Segment> + Clone {
        self.items.iter().filter_map(|item| match item {
            Item::Segment(segment) => Some(segment),
            Item::Hole(_) | Item::Break(_) => None,
        })
    }

    /// True where no segment touches the span.
    pub fn is_empty(&self) -> bool {
        self.segments().next().is_none()
    }

    /// True where whole segments cover all of a span that is not empty.
    pub fn is_unbroken(&self) -> bool {
        !self.items.is_empty() && self.items.iter().all(|item| matches!(item, Item::Segment(_)))
    }

    /// The holes and breaks, in order. A break's span may be empty.
    pub fn holes(&self) -> Vec<Span> {
        self.items
            .iter()
            .filter_map(|item| match item {
                Item::Segment(_) => None,
                Item::Hole(span) | Item::Break(span) => Some(*span),
            })
            .collect()
    }
}

/// Chooses from the listings of consecutive hours, earliest first; the first of them the hour before the span's,
/// where there is one. An empty span has nothing in it, not even a hole.
pub fn select<'a>(span: Span, hours: impl IntoIterator<Item = &'a Arc<HourListing>>) -> Selection {
    let mut selector = Selector::new(span);
    for hour in hours {
        if selector.is_done() {
            break;
        }
        selector.take(hour);
    }
    selector.finish()
}

/// [`select`], an hour at a time, so that the hours after the end need not be read.
#[derive(Debug)]
pub struct Selector {
    span: Span,
    items: Vec<Item>,
    /// The last segment taken: when it ends, and whether it surely reaches that far.
    last: Option<(Timestamp, bool)>,
    done: bool,
}

impl Selector {
    pub fn new(span: Span) -> Self {
        Self { span, items: Vec::new(), last: None, done: span.is_empty() }
    }

    /// True once no later hour can add anything.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// How many segments, holes and breaks there are so far.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Takes what the next hour has to offer.
    pub fn take(&mut self, hour: &Arc<HourListing>) {
        let until = hour.first_from(self.span.end);
        self.items.reserve(until - hour.first_from(self.span.start).min(until));
        for index in 0..until {
            if self.done {
                return;
            }
            let (start, end, kind) = hour.bounds(index);
            match self.last {
                None if start <= self.span.start => {
                    if end <= self.span.start {
                        continue;
                    }
                }
                None => self.items.push(Item::Hole(Span::new(self.span.start, start))),
                Some((last_end, whole)) => {
                    let gap = start - last_end;
                    if gap < -TOLERANCE {
                        continue;
                    }
                    if gap > TOLERANCE {
                        self.items.push(Item::Hole(Span::new(last_end, start)));
                    } else if !whole {
                        self.items.push(Item::Break(Span::new(last_end, start.max(last_end))));
                    }
                }
            }
            self.items.push(Item::Segment(hour.segment(index)));
            self.last = Some((end, kind.is_whole()));
            self.done = end >= self.span.end;
        }
        // The folder of a later hour cannot hold anything that starts in the span.
        self.done |= until < hour.len();
    }

    /// Names what is missing at the end.
    pub fn finish(mut self) -> Selection {
        let end = self.span.end;
        match self.last {
            _ if self.span.is_empty() => (),
            None => self.items.push(Item::Hole(self.span)),
            Some((last_end, _)) if last_end < end => self.items.push(Item::Hole(Span::new(last_end, end))),
            Some((last_end, false)) => self.items.push(Item::Break(Span::new(last_end, last_end))),
            Some((_, true)) => (),
        }
        Selection { span: self.span, items: self.items }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::hour::tests::{listing, listing_of};
    use crate::archive::name::SegmentKind;
    use crate::base::time::MINUTE;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse("at", &format!("2024-11-09T13:{text}")).unwrap()
    }

    fn span(start: &str, end: &str) -> Span {
        Span::new(at(start), at(end))
    }

    /// Segments by the start in their name, holes as `start/end`, breaks as `~start/end`, all within the hour.
    fn told(selection: &Selection) -> Vec<String> {
        let short = |at: Timestamp| at.to_string()["2024-11-09T13:".len()..][.."00:00.000".len()].to_owned();
        let short = |span: &Span| format!("{}/{}", short(span.start), short(span.end));
        selection
            .items
            .iter()
            .map(|item| match item {
                Item::Segment(segment) => segment.name().split_once('-').unwrap().0.to_owned(),
                Item::Hole(span) => short(span),
                Item::Break(span) => format!("~{}", short(span)),
            })
            .collect()
    }

    fn chosen(names: &[&str], asked: Span) -> Vec<String> {
        let names: Vec<(&str, u64)> = names.iter().map(|name| (*name, 1)).collect();
        told(&select(asked, [&listing(&names, &[])]))
    }

    const RUN: [&str; 6] = [
        "00:05-10.0-full-AA.ts",
        "00:15-10.0-full-AA.ts",
        "00:30-10.0-full-AA.ts",
        "00:40-10.0-partial-AA.ts",
        "00:50-10.0-suspect-AA.ts",
        "01:02-10.0-full-AA.ts",
    ];

    #[test]
    fn names_segments_holes_and_breaks_in_order() {
        for (start, end, expected) in [
            ("00:05", "00:25", &["00:05", "00:15"][..]),
            ("00:10", "00:20", &["00:05", "00:15"]),
            ("00:00", "00:10", &["00:00.000/00:05.000", "00:05"]),
            ("00:20", "00:35", &["00:15", "00:25.000/00:30.000", "00:30"]),
            ("00:35", "00:45", &["00:30", "00:40", "~00:50.000/00:50.000"]),
            ("00:35", "00:55", &["00:30", "00:40", "~00:50.000/00:50.000", "00:50", "~01:00.000/01:00.000"]),
            ("00:55", "01:05", &["00:50", "01:00.000/01:02.000", "01:02"]),
            ("01:05", "01:30", &["01:02", "01:12.000/01:30.000"]),
            ("02:00", "02:30", &["02:00.000/02:30.000"]),
            ("00:00", "00:04", &["00:00.000/00:04.000"]),
            // Ends are exclusive: a segment that ends where the span starts is not part of it, nor one that
            // starts where the span ends.
            ("00:15", "00:25", &["00:15"]),
            ("00:00", "00:05", &["00:00.000/00:05.000"]),
            // A span that ends inside a hole takes nothing from after the hole.
            ("00:20", "00:27", &["00:15", "00:25.000/00:27.000"]),
            ("00:26", "00:27", &["00:26.000/00:27.000"]),
            ("00:10", "00:10", &[]),
            ("00:10", "00:09", &[]),
        ] {
            assert_eq!(chosen(&RUN, span(start, end)), expected, "{start} to {end}");
        }
    }

    #[test]
    fn small_gaps_and_overlaps_join() {
        for (second, expected) in [
            ("00:02.010", &["00:00", "00:02.010"][..]),
            ("00:02.011", &["00:00", "00:02.000/00:02.011", "00:02.011"]),
            ("00:01.990", &["00:00", "00:01.990"]),
            // Overlaps by more than the tolerance: passed over, and what is missing then is a hole.
            ("00:01.989", &["00:00", "00:02.000/00:03.500"]),
        ] {
            let name = format!("{second}-2.0-full-AA.ts");
            assert_eq!(
                chosen(&["00:00-2.0-full-AA.ts", &name], span("00:00", "00:03.5")),
                expected,
                "{second}"
            );
        }
        // After a partial one, a small overlap is a break that starts and ends where the partial one ends.
        let names = ["00:00-2.0-partial-AA.ts", "00:01.995-2.0-full-AA.ts"];
        assert_eq!(chosen(&names, span("00:00", "00:03")), ["00:00", "~00:02.000/00:02.000", "00:01.995"]);
        let names = ["00:00-2.0-partial-AA.ts", "00:02.005-2.0-full-AA.ts"];
        assert_eq!(chosen(&names, span("00:00", "00:03")), ["00:00", "~00:02.000/00:02.005", "00:02.005"]);
    }

    #[test]
    fn runs_over_hours_and_reads_none_after_the_end() {
        let before = listing_of("2024-11-09T12", &[("59:59-2.0-full-AA.ts", 1)], &[]);
        let within = listing(&[("00:01-2.0-full-AA.ts", 1), ("59:58-5.0-full-AA.ts", 1)], &[]);
        let selection = select(span("00:00", "00:02"), [&before, &within]);
        assert_eq!(told(&selection), ["59:59", "00:01"]);
        assert!(selection.is_unbroken());
        let mut selector = Selector::new(span("00:02", "00:20"));
        selector.take(&before);
        assert!(!selector.is_done());
        selector.take(&within);
        assert!(selector.is_done(), "59:58 starts after the end");
        assert_eq!(selector.finish().holes(), [span("00:03", "00:20")]);
    }

    /// The rules as told in the reference, written down as plainly as possible over all segments at once.
    fn plainly(segments: &[Segment], span: Span) -> (Vec<Segment>, usize) {
        let (mut taken, mut holes) = (Vec::<Segment>::new(), 0);
        for segment in segments.iter().filter(|segment| segment.start() < span.end) {
            let Some(last) = taken.last() else {
                if segment.start() <= span.start && span.start < segment.end() {
                    taken.push(segment.clone());
                } else if span.start < segment.start() {
                    holes += 1;
                    taken.push(segment.clone());
                }
                continue;
            };
            if last.end() >= span.end {
                break;
            }
            let gap = segment.start() - last.end();
            if gap >= -10_000 {
                holes += usize::from(gap > 10_000 || last.kind() != SegmentKind::Full);
                taken.push(segment.clone());
            }
        }
        let complete =
            taken.last().is_some_and(|last| last.kind() == SegmentKind::Full && last.end() >= span.end);
        (taken, holes + usize::from(!complete))
    }

    proptest! {
        #[test]
        fn keeps_its_promises(
            pieces in prop::collection::vec((0i64..3_000, 0i64..4_000, 0u8..6), 0..60),
            start in 0i64..60_000,
            length in 1i64..60_000,
        ) {
            // Starts and durations in milliseconds, dense enough to overlap and sparse enough to leave holes.
            let mut clock = 0;
            let names: Vec<String> = pieces
                .iter()
                .map(|(step, duration, kind)| {
                    clock += step;
                    let kind = ["full", "full", "full", "full", "suspect", "partial"][usize::from(*kind)];
                    let (minute, second) = (clock / 60_000, clock % 60_000);
                    format!("{minute:02}:{:02}.{:03}-{}.{:03}-{kind}-AA.ts",
                        second / 1000, second % 1000, duration / 1000, duration % 1000)
                })
                .collect();
            let named: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
            let hour = listing(&named, &[]);
            let from = at("00:00") + start * 1000;
            let span = Span::new(from, from + length * 1000);
            let selection = select(span, [&hour]);
            let all: Vec<Segment> = hour.segments().collect();
            let taken: Vec<Segment> = selection.segments().cloned().collect();

            // The same choices as the rules written plainly.
            let (expected, holes) = plainly(&all, span);
            prop_assert_eq!(&taken, &expected);
            prop_assert_eq!(selection.holes().len(), holes);

            // Never an overlap beyond the tolerance, nothing from outside.
            for pair in taken.windows(2) {
                prop_assert!(pair[1].start() - pair[0].end() >= -TOLERANCE);
            }
            prop_assert!(taken.iter().all(|one| one.start() < span.end));
            prop_assert!(taken.first().is_none_or(|first| first.end() > span.start || first.start() > span.start));

            // No full segment is lost that overlaps none of the segments taken.
            for one in all.iter().filter(|one| one.kind() == SegmentKind::Full) {
                let inside = one.start() < span.end && one.end() > span.start && one.duration() > 0;
                let clear = taken.iter().all(|other| {
                    one.start() - other.end() >= 0 || other.start() - one.end() >= 0
                });
                prop_assert!(!(inside && clear), "{} is lost", one.name());
            }

            // Items follow each other without a jump and cover the span.
            let bounds: Vec<Span> = selection.items.iter().map(|item| match item {
                Item::Segment(segment) => segment.span(),
                Item::Hole(span) | Item::Break(span) => *span,
            }).collect();
            prop_assert!(bounds.first().unwrap().start <= span.start);
            prop_assert!(bounds.last().unwrap().end >= span.end);
            for pair in bounds.windows(2) {
                prop_assert!((pair[1].start - pair[0].end).abs() <= TOLERANCE);
            }
            prop_assert_eq!(selection.is_unbroken(), holes == 0);
        }
    }

    #[test]
    fn a_long_range_is_quick_to_choose() {
        // 12 hours of 2 s; not timed here (benches/ does), but built and checked at that size.
        let hours: Vec<_> = (0..12)
            .map(|hour| {
                let names: Vec<String> = (0..1800)
                    .map(|n| format!("{:02}:{:02}.000000-2.0-full-AA.ts", n / 30, n % 30 * 2))
                    .collect();
                let names: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
                listing_of(&format!("2024-11-09T{hour:02}"), &names, &[])
            })
            .collect();
        let start = hours[0].hour().start();
        let selection = select(Span::new(start, start + 720 * MINUTE), &hours);
        assert_eq!(selection.items.len(), 21_600);
        assert!(selection.is_unbroken());
    }
}
