//! Low-latency HLS (RFC 8216bis): the playlists of a stream that is made as it is watched.

use crate::base::Timestamp;
use crate::base::time::SECOND;
use std::fmt::Write as _;

/// A part of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// In microseconds.
    pub duration: i64,
    pub independent: bool,
    /// It could not be made.
    pub gap: bool,
}

/// A segment, complete or begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment<'a> {
    pub number: u64,
    /// Its head, and which: all segments between two discontinuities share one.
    pub head: u64,
    pub start: Timestamp,
    pub parts: &'a [Part],
    /// False where it is handed out whole only.
    pub in_parts: bool,
    pub complete: bool,
}

/// What a media playlist is made of.
#[derive(Debug, Clone)]
pub struct Media<'a> {
    /// Seconds no segment exceeds once rounded.
    pub target: i64,
    /// Microseconds no part exceeds; `None` for segments alone.
    pub part_target: Option<i64>,
    /// In order, none left out between them; only the last may be incomplete.
    pub segments: &'a [Segment<'a>],
    /// Heads that were before the first segment's.
    pub discontinuities: u64,
    /// The client has the playlist of a moment ago, and asks for what is new alone (§6.2.5.1).
    pub delta: bool,
}

/// A client may leave out what is so many target durations from the end; six at least (§4.4.3.8).
const SKIP_TARGETS: i64 = 6;
/// Players stay away from the end by so many parts, or so many segments; three at least.
const HOLD_BACK: i64 = 3;
/// Parts are told of segments that end within so many target durations of the end (§4.4.4.9).
const PARTS_TARGETS: i64 = 3;

impl Segment<'_> {
    pub fn duration(&self) -> i64 {
        self.parts.iter().map(|it| it.duration).sum()
    }
}

/// Seconds with six digits of fraction, so that what adds up still does when written.
fn seconds(micros: i64) -> String {
    format!("{}.{:06}", micros.max(0) / SECOND, micros.max(0) % SECOND)
}

/// The target duration for a longest segment: no EXTINF, rounded to the nearest second, exceeds it (§4.4.3.1).
pub fn target(longest: i64) -> i64 {
    ((longest + SECOND / 2) / SECOND).max(1)
}

/// The media playlist. All of its addresses lie beside it.
pub fn media(it: &Media<'_>) -> String {
    let mut text = String::with_capacity(512 + 160 * it.segments.len());
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{}\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,\
         CAN-SKIP-UNTIL={}.0,HOLD-BACK={}.0",
        it.target,
        it.target * SKIP_TARGETS,
        it.target * HOLD_BACK,
    );
    if let Some(part) = it.part_target {
        let _ = write!(
            text,
            ",PART-HOLD-BACK={}\n#EXT-X-PART-INF:PART-TARGET={}",
            seconds(part * HOLD_BACK),
            seconds(part)
        );
    }
    let sequence = it.segments.first().map_or(0, |it| it.number);
    let _ = writeln!(text, "\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MEDIA-SEQUENCE:{sequence}");
    if it.discontinuities > 0 {
        let _ = writeln!(text, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", it.discontinuities);
    }
    // How far each segment's end is from the end of all.
    let mut distances = vec![0; it.segments.len()];
    for at in (1..it.segments.len()).rev() {
        distances[at - 1] = distances[at] + it.segments[at].duration();
    }
    let boundary = it.target * SKIP_TARGETS * SECOND;
    let far = |at: usize| distances[at] >= boundary && it.segments[at].complete;
    let skipped = if it.delta { (0..it.segments.len()).take_while(|at| far(*at)).count() } else { 0 };
    if skipped > 0 {
        let _ = writeln!(text, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}");
    }
    let mut head = None;
    for (at, segment) in it.segments.iter().enumerate() {
        let before = head.replace(segment.head);
        if at < skipped {
            continue;
        }
        if before.is_some_and(|it| it != segment.head) {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if before != Some(segment.head) || at == skipped {
            let _ = writeln!(text, "#EXT-X-MAP:URI=\"init-{}.mp4\"", segment.head);
        }
        write_segment(&mut text, segment, distances[at] <= it.target * PARTS_TARGETS * SECOND);
    }
    if let Some(last) = it.segments.last().filter(|_| it.part_target.is_some()) {
        let (number, part) =
            if last.complete { (last.number + 1, 0) } else { (last.number, last.parts.len()) };
        let _ = writeln!(text, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part-{number}-{part}.m4s\"");
    }
    text
}

fn write_segment(text: &mut String, segment: &Segment<'_>, near: bool) {
    let number = segment.number;
    let in_parts = segment.in_parts && near;
    if !segment.complete && !in_parts {
        return;
    }
    // `2024-11-09T12:50:00.123456`, of which players read the milliseconds.
    let date = segment.start.to_string();
    let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{}Z", date.get(..23).unwrap_or(&date));
    if segment.complete && segment.parts.iter().any(|it| it.gap) {
        text.push_str("#EXT-X-GAP\n");
    }
    for (at, part) in segment.parts.iter().enumerate().filter(|_| in_parts) {
        let _ =
            write!(text, "#EXT-X-PART:DURATION={},URI=\"part-{number}-{at}.m4s\"", seconds(part.duration));
        text.push_str(if part.independent { ",INDEPENDENT=YES" } else { "" });
        text.push_str(if part.gap { ",GAP=YES\n" } else { "\n" });
    }
    if segment.complete {
        let _ = writeln!(text, "#EXTINF:{},\nsegment-{number}.m4s", seconds(segment.duration()));
    }
}

/// What a master playlist tells of its one quality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quality {
    /// RFC 6381's names.
    pub codecs: Vec<String>,
    pub size: (u32, u32),
    /// Frames in seconds; (0, 1) is not known.
    pub frame_rate: (u32, u32),
    /// Bits a second of the segment that has the most, and of all.
    pub peak: u64,
    pub average: u64,
}

/// The master playlist.
pub fn master(it: &Quality) -> String {
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={}",
        it.peak.max(1),
        it.average.max(1)
    );
    let codecs: Vec<String> = it.codecs.iter().filter(|it| !it.is_empty()).map(|it| capped(it)).collect();
    // What is not known of one is better left out for all: a list is taken for whole.
    if codecs.len() == it.codecs.len() && !codecs.is_empty() {
        let _ = write!(text, ",CODECS=\"{}\"", codecs.join(","));
    }
    if it.size.0 > 0 && it.size.1 > 0 {
        let _ = write!(text, ",RESOLUTION={}x{}", it.size.0, it.size.1);
    }
    if it.frame_rate.0 > 0 && it.frame_rate.1 > 0 {
        let _ = write!(text, ",FRAME-RATE={:.3}", f64::from(it.frame_rate.0) / f64::from(it.frame_rate.1));
    }
    text.push_str("\nmedia.m3u8\n");
    text
}

/// The highest level of H.264 that is told: Cast devices refuse what tells more, and play it all the same.
const HIGHEST_LEVEL: u8 = 41;

fn capped(codec: &str) -> String {
    let level = codec.strip_prefix("avc1.").filter(|it| it.len() == 6).and_then(|it| it.get(4..));
    match level.and_then(|it| u8::from_str_radix(it, 16).ok()) {
        Some(level) if level > HIGHEST_LEVEL => format!("{}{HIGHEST_LEVEL:02x}", &codec[..codec.len() - 2]),
        _ => codec.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn part(duration: i64, independent: bool) -> Part {
        Part { duration, independent, gap: false }
    }

    fn segment(number: u64, head: u64, parts: &[Part]) -> Segment<'_> {
        let start = Timestamp::from_micros(1_731_157_200_000_000 + number as i64 * 2 * SECOND);
        Segment { number, head, start, parts, in_parts: true, complete: true }
    }

    const WHOLE: [Part; 2] = [part(1_000_000, true), part(999_999, false)];

    #[test]
    fn a_stream_in_parts() {
        let lost = [part(500_000, false), Part { gap: true, ..part(1, false) }];
        let open = Segment { complete: false, ..segment(9, 3, &WHOLE[..1]) };
        let segments = [segment(7, 2, &WHOLE), segment(8, 3, &lost), open];
        let it = Media {
            target: 2,
            part_target: Some(SECOND),
            segments: &segments,
            discontinuities: 2,
            delta: false,
        };
        let expected = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n\
            #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.0,HOLD-BACK=6.0,PART-HOLD-BACK=3.000000\n\
            #EXT-X-PART-INF:PART-TARGET=1.000000\n\
            #EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-DISCONTINUITY-SEQUENCE:2\n\
            #EXT-X-MAP:URI=\"init-2.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2024-11-09T13:00:14.000Z\n\
            #EXT-X-PART:DURATION=1.000000,URI=\"part-7-0.m4s\",INDEPENDENT=YES\n\
            #EXT-X-PART:DURATION=0.999999,URI=\"part-7-1.m4s\"\n#EXTINF:1.999999,\nsegment-7.m4s\n\
            #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-3.mp4\"\n\
            #EXT-X-PROGRAM-DATE-TIME:2024-11-09T13:00:16.000Z\n#EXT-X-GAP\n\
            #EXT-X-PART:DURATION=0.500000,URI=\"part-8-0.m4s\"\n\
            #EXT-X-PART:DURATION=0.000001,URI=\"part-8-1.m4s\",GAP=YES\n#EXTINF:0.500001,\nsegment-8.m4s\n\
            #EXT-X-PROGRAM-DATE-TIME:2024-11-09T13:00:18.000Z\n\
            #EXT-X-PART:DURATION=1.000000,URI=\"part-9-0.m4s\",INDEPENDENT=YES\n\
            #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part-9-1.m4s\"\n";
        assert_eq!(media(&it), expected);
        let whole = Media { segments: &segments[..2], ..it.clone() };
        assert!(
            media(&whole).ends_with("segment-8.m4s\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part-9-0.m4s\"\n")
        );
    }

    #[test]
    fn a_stream_in_segments() {
        let plain = |number, complete| Segment { in_parts: false, complete, ..segment(number, 0, &WHOLE) };
        let segments = [plain(0, true), plain(1, false)];
        let it =
            Media { target: 2, part_target: None, segments: &segments, discontinuities: 0, delta: false };
        let expected = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n\
            #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.0,HOLD-BACK=6.0\n\
            #EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MEDIA-SEQUENCE:0\n\
            #EXT-X-MAP:URI=\"init-0.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2024-11-09T13:00:00.000Z\n\
            #EXTINF:1.999999,\nsegment-0.m4s\n";
        assert_eq!(media(&it), expected);
    }

    #[test]
    fn what_is_far_from_the_end_is_left_out_for_those_who_have_it() {
        let segments: Vec<Segment<'_>> = (3..15).map(|it| segment(it, it / 6, &WHOLE)).collect();
        let it = Media {
            target: 2,
            part_target: Some(SECOND),
            segments: &segments,
            discontinuities: 0,
            delta: true,
        };
        let text = media(&it);
        // Twelve segments of just under two seconds; of five, twelve seconds or more follow... less 12 µs each.
        assert!(text.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=5\n#EXT-X-MAP:URI=\"init-1.mp4\""), "{text}");
        assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:3\n") && !text.contains("segment-7.m4s"));
        assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
        // Parts are told of the last three targets.
        assert!(!text.contains("part-10-") && text.contains("part-11-0") && text.contains("part-14-1"));
        assert!(!media(&Media { delta: false, ..it.clone() }).contains("SKIP:"));
        let few = media(&Media { segments: &segments[8..], ..it });
        assert!(!few.contains("SKIP:"), "nothing is that far from the end");
    }

    #[test]
    fn targets_round_to_the_nearest() {
        for (longest, seconds) in [(0, 1), (1_499_999, 1), (1_500_000, 2), (6_500_000, 7), (6_499_999, 6)] {
            assert_eq!(target(longest), seconds, "{longest}");
        }
    }

    #[test]
    fn a_master_playlist_tells_what_is_known() {
        let it = Quality {
            codecs: vec!["avc1.640033".into(), "mp4a.40.2".into()],
            size: (1920, 1080),
            frame_rate: (30_000, 1001),
            peak: 2_000_000,
            average: 1_500_000,
        };
        let expected = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-INDEPENDENT-SEGMENTS\n\
            #EXT-X-STREAM-INF:BANDWIDTH=2000000,AVERAGE-BANDWIDTH=1500000,CODECS=\"avc1.640029,mp4a.40.2\",\
            RESOLUTION=1920x1080,FRAME-RATE=29.970\nmedia.m3u8\n";
        assert_eq!(master(&it), expected);
        let unknown = Quality {
            codecs: vec!["avc1.64001f".into(), String::new()],
            size: (0, 0),
            frame_rate: (0, 1),
            peak: 0,
            average: 0,
        };
        assert!(master(&unknown).ends_with("INF:BANDWIDTH=1,AVERAGE-BANDWIDTH=1\nmedia.m3u8\n"));
        for (name, told) in [
            ("avc1.640029", "avc1.640029"),
            ("avc1.42e033", "avc1.42e029"),
            ("hvc1.1.6.L153", "hvc1.1.6.L153"),
        ] {
            assert_eq!(capped(name), told);
        }
    }
}
