//! HLS playlists (RFC 8216).

use super::url::{self, PATH, QUERY};
use crate::base::time::{HOUR, MINUTE, SECOND};
use crate::base::{Channel, Quality, Timestamp};
use bytes::Bytes;
use percent_encoding::utf8_percent_encode;
use std::fmt::Write as _;

/// Seconds to announce where a playlist has no segment to take them from.
const EMPTY_TARGET: i64 = 6;

/// What a quality is assumed to need, in bits per second, by its name; `source` and others as the first.
const BANDWIDTHS: [(&str, u32); 5] =
    [("1080p", 6_846_146), ("720p", 2_373_000), ("480p", 1_427_999), ("360p", 630_000), ("160p", 230_000)];

/// One line of a media playlist's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'a> {
    Segment {
        /// The presentation time of its first video frame; the folder in its URL is the hour this lies in.
        start: Timestamp,
        /// In microseconds, not negative.
        duration: i64,
        /// The file's name.
        name: &'a str,
    },
    /// What comes before does not join what comes after; at the end: not all that was asked for is there.
    Gap,
}

/// The part of a quality's bits that its keyframes take, about.
const KEYFRAMES_SHARE: u32 = 8;

/// What a playlist of sheets is assumed to need, in bits per second: 400 kB for a quarter of an hour.
const IMAGES_BANDWIDTH: u32 = 4000;

/// The size of a tile that is offered.
const TILE: (u32, u32) = (160, 90);

fn bandwidth(quality: &Quality) -> u32 {
    let known = BANDWIDTHS.iter().find(|(known, _)| *known == quality.as_str());
    known.map_or(BANDWIDTHS[0].1, |(_, bandwidth)| *bandwidth)
}

/// The master playlist of a channel. `query` is passed through to the media playlists, without its question
/// mark; an empty one is left out. For pictures while seeking there are the keyframes of each quality (RFC 8216 §4.3.4.3),
/// and sheets of tiles, which only some players know and others pass over.
pub fn master(channel: &Channel, qualities: &[Quality], query: &str, (start, end): Ends) -> String {
    let mut text = String::from("#EXTM3U\n");
    for quality in qualities {
        // A quoted attribute may hold anything but quotes and line ends (RFC 8216 §4.2) and has no escapes of its
        // own; a Quality has no line ends.
        let name = quality.as_str().replace('"', "%22");
        let bandwidth = bandwidth(quality);
        // Writing to a String cannot fail. NAME in STREAM-INF is in no RFC; the editor's menu is made of it.
        let _ = write!(
            text,
            "#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID=\"{name}\",NAME=\"{name}\",AUTOSELECT=YES,DEFAULT=YES\n\
             #EXT-X-STREAM-INF:VIDEO=\"{name}\",NAME=\"{name}\",BANDWIDTH={bandwidth}\n\
             /playlist/{}/{}.m3u8",
            utf8_percent_encode(channel.as_str(), PATH),
            utf8_percent_encode(quality.as_str(), PATH),
        );
        if !query.is_empty() {
            let _ = write!(text, "?{}", utf8_percent_encode(query, QUERY));
        }
        text.push('\n');
    }
    let range = |first: char| {
        let ends = [("start", start), ("end", end)].into_iter().filter_map(|(key, at)| Some((key, at?)));
        let text = ends
            .enumerate()
            .map(|(number, (key, at))| format!("{}{key}={at}", if number == 0 { first } else { '&' }));
        text.collect::<String>()
    };
    let path = |quality: &Quality| {
        format!(
            "{}/{}",
            utf8_percent_encode(channel.as_str(), PATH),
            utf8_percent_encode(quality.as_str(), PATH)
        )
    };
    for quality in qualities {
        let _ = writeln!(
            text,
            "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={},URI=\"/playlist/{}/iframes.m3u8{}\"",
            bandwidth(quality) / KEYFRAMES_SHARE,
            path(quality),
            range('?'),
        );
    }
    // All are of the same pictures; the smallest costs the least.
    if let Some(quality) = qualities.iter().min_by_key(|it| bandwidth(it)) {
        let _ = writeln!(
            text,
            "#EXT-X-IMAGE-STREAM-INF:BANDWIDTH={IMAGES_BANDWIDTH},RESOLUTION={width}x{height},CODECS=\"jpeg\",\
             URI=\"/storyboard/{}/images.m3u8?width={width}&height={height}{}\"",
            path(quality),
            range('&'),
            width = TILE.0,
            height = TILE.1,
        );
    }
    text
}

/// The range a playlist was asked for with; an end may be open.
pub type Ends = (Option<Timestamp>, Option<Timestamp>);

/// The media playlist of a run of segments. It is announced as complete where the last entry is a segment.
///
/// Fractions in EXTINF need version 3 (§7). The target duration is the longest segment's, rounded up: the RFC
/// asks only that none exceeds it once rounded to the nearest second (§4.3.3.1), but players compare unrounded.
pub fn media<'a, I>(channel: &Channel, quality: &Quality, entries: I) -> Bytes
where
    I: IntoIterator<Item = Entry<'a>>,
    I::IntoIter: Clone,
{
    let entries = entries.into_iter();
    let folder = url::segments(channel, quality);
    let (mut longest, mut size) = (None, 100);
    for entry in entries.clone() {
        if let Entry::Segment { duration, name, .. } = entry {
            longest = longest.max(Some(duration));
            // The fixed parts of the three lines make 90 to 95 bytes; a name has one colon to escape.
            size += 100 + folder.len() + name.len();
        }
    }
    let target = longest.map_or(EMPTY_TARGET, |longest| (longest + SECOND - 1).div_euclid(SECOND).max(1));
    let mut text =
        Text { bytes: Vec::with_capacity(size), folder, hour: None, date: String::new(), url: String::new() };
    text.push("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:");
    text.push(&target.to_string());
    text.push("\n");
    // A gap counts only once something stands before it and something follows.
    let (mut begun, mut gap) = (false, false);
    for entry in entries {
        match entry {
            Entry::Gap => gap = true,
            Entry::Segment { start, duration, name } => {
                if gap && begun {
                    text.push("#EXT-X-DISCONTINUITY\n");
                }
                text.segment(start, duration, name);
                (begun, gap) = (true, false);
            }
        }
    }
    if begun && !gap {
        text.push("#EXT-X-ENDLIST\n");
    }
    text.bytes.into()
}

/// A playlist being written. A long one has tens of thousands of segments and is asked for every two seconds by
/// each viewer of a live stream, so what changes once an hour is prepared once an hour, and digits are set by hand.
struct Text {
    bytes: Vec<u8>,
    /// `/segments/CHANNEL/QUALITY/`.
    folder: String,
    /// The hour that `date` and `url` are for, counted from 1970.
    hour: Option<i64>,
    /// The tag and the time up to the hour.
    date: String,
    /// The folder with the hour.
    url: String,
}

impl Text {
    fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn segment(&mut self, start: Timestamp, duration: i64, name: &str) {
        let hour = start.micros().div_euclid(HOUR);
        if self.hour != Some(hour) {
            let named = start.hour();
            self.hour = Some(hour);
            self.date = format!("#EXT-X-PROGRAM-DATE-TIME:{named}:");
            self.url = format!("live\n{}{named}/", self.folder);
        }
        self.bytes.extend_from_slice(self.date.as_bytes());
        let within = start.micros().rem_euclid(HOUR);
        let mut clock = *b"00:00.000000Z\n#EXTINF:";
        digits(&mut clock[0..2], within / MINUTE);
        digits(&mut clock[3..5], within / SECOND % 60);
        digits(&mut clock[6..12], within % SECOND);
        self.bytes.extend_from_slice(&clock);
        self.seconds(duration);
        self.bytes.extend_from_slice(self.url.as_bytes());
        self.escaped(name);
        self.bytes.push(b'\n');
    }

    /// Seconds with three digits of fraction, and the comma after them.
    fn seconds(&mut self, micros: i64) {
        let millis = (micros.max(0) + 500) / 1000;
        let mut whole = *b"00000000000000000000";
        let mut at = whole.len();
        let mut rest = millis / 1000;
        loop {
            at -= 1;
            whole[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 || at == 0 {
                break;
            }
        }
        self.bytes.extend_from_slice(&whole[at..]);
        let mut fraction = *b".000,";
        digits(&mut fraction[1..4], millis % 1000);
        self.bytes.extend_from_slice(&fraction);
    }

    fn escaped(&mut self, name: &str) {
        for piece in utf8_percent_encode(name, PATH) {
            self.bytes.extend_from_slice(piece.as_bytes());
        }
    }
}

/// Fills `place` with the lowest digits of `value`.
fn digits(place: &mut [u8], mut value: i64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse("at", text).unwrap()
    }

    fn names() -> (Channel, Quality) {
        (Channel::new("mess").unwrap(), Quality::new("360p").unwrap())
    }

    fn segment(start: &str, duration: i64) -> Entry<'static> {
        Entry::Segment { start: at(start), duration, name: "58:00.437000-2.0-full-AA.ts" }
    }

    fn written(entries: &[Entry]) -> String {
        let (channel, quality) = names();
        String::from_utf8(media(&channel, &quality, entries.iter().copied()).to_vec()).unwrap()
    }

    #[test]
    fn a_media_playlist_in_full() {
        let entries = [
            Entry::Gap,
            segment("2024-11-09T12:59:58.437", 2_000_000),
            segment("2024-11-09T13:00:00.437", 1_967_000),
            Entry::Gap,
            segment("2024-11-09T13:00:10", 12_345_678),
        ];
        let expected = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:13\n\
            #EXT-X-PROGRAM-DATE-TIME:2024-11-09T12:59:58.437000Z\n#EXTINF:2.000,live\n\
            /segments/mess/360p/2024-11-09T12/58%3A00.437000-2.0-full-AA.ts\n\
            #EXT-X-PROGRAM-DATE-TIME:2024-11-09T13:00:00.437000Z\n#EXTINF:1.967,live\n\
            /segments/mess/360p/2024-11-09T13/58%3A00.437000-2.0-full-AA.ts\n\
            #EXT-X-DISCONTINUITY\n\
            #EXT-X-PROGRAM-DATE-TIME:2024-11-09T13:00:10.000000Z\n#EXTINF:12.346,live\n\
            /segments/mess/360p/2024-11-09T13/58%3A00.437000-2.0-full-AA.ts\n";
        assert_eq!(written(&entries), format!("{expected}#EXT-X-ENDLIST\n"));
        assert_eq!(written(&[&entries[..], &[Entry::Gap]].concat()), expected);
    }

    #[test]
    fn an_empty_playlist_is_never_complete() {
        let empty = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:6\n";
        assert_eq!(written(&[]), empty);
        assert_eq!(written(&[Entry::Gap]), empty);
    }

    #[test]
    fn no_segment_exceeds_the_target() {
        for (duration, target, shown) in [
            (0, 1, "0.000"),
            (400, 1, "0.000"),
            (2_000_000, 2, "2.000"),
            (2_000_001, 3, "2.000"),
            (2_002_000, 3, "2.002"),
            (1_999_999, 2, "2.000"),
            (86_400_000_000, 86_400, "86400.000"),
        ] {
            let text =
                written(&[segment("2024-11-09T13:00:00", duration), segment("2024-11-09T13:00:00", 0)]);
            assert!(text.contains(&format!("#EXT-X-TARGETDURATION:{target}\n")), "{duration}");
            assert!(text.contains(&format!("#EXTINF:{shown},live\n")), "{duration}");
        }
    }

    #[test]
    fn another_reader_reads_the_same() {
        let text = written(&[
            segment("2024-11-09T12:59:58.437", 2_000_000),
            Entry::Gap,
            segment("2024-11-09T13:00:00.437", 1_967_000),
        ]);
        let read = m3u8_rs::parse_media_playlist_res(text.as_bytes()).unwrap();
        assert_eq!((read.version, read.target_duration, read.end_list), (Some(3), 2, true));
        let durations: Vec<f32> = read.segments.iter().map(|segment| segment.duration).collect();
        assert_eq!(durations, [2.0, 1.967]);
        let breaks: Vec<bool> = read.segments.iter().map(|segment| segment.discontinuity).collect();
        assert_eq!(breaks, [false, true]);
        let dates: Vec<i64> = read
            .segments
            .iter()
            .map(|segment| segment.program_date_time.unwrap().timestamp_micros())
            .collect();
        assert_eq!(
            dates,
            ["2024-11-09T12:59:58.437", "2024-11-09T13:00:00.437"].map(|text| at(text).micros())
        );
        assert_eq!(read.segments[0].uri, "/segments/mess/360p/2024-11-09T12/58%3A00.437000-2.0-full-AA.ts");
    }

    #[test]
    fn a_master_playlist_in_full() {
        let channel = Channel::new("chan").unwrap();
        let qualities = ["source", "720p"].map(|name| Quality::new(name).unwrap());
        let expected = "#EXTM3U\n\
            #EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID=\"source\",NAME=\"source\",AUTOSELECT=YES,DEFAULT=YES\n\
            #EXT-X-STREAM-INF:VIDEO=\"source\",NAME=\"source\",BANDWIDTH=6846146\n\
            /playlist/chan/source.m3u8?foo=bar&start=2024-11-09T12:50:00\n\
            #EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID=\"720p\",NAME=\"720p\",AUTOSELECT=YES,DEFAULT=YES\n\
            #EXT-X-STREAM-INF:VIDEO=\"720p\",NAME=\"720p\",BANDWIDTH=2373000\n\
            /playlist/chan/720p.m3u8?foo=bar&start=2024-11-09T12:50:00\n\
            #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=855768,URI=\"/playlist/chan/source/iframes.m3u8?start=2024-11-09T12:50:00.000000\"\n\
            #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=296625,URI=\"/playlist/chan/720p/iframes.m3u8?start=2024-11-09T12:50:00.000000\"\n\
            #EXT-X-IMAGE-STREAM-INF:BANDWIDTH=4000,RESOLUTION=160x90,CODECS=\"jpeg\",URI=\"/storyboard/chan/720p/images.m3u8?width=160&height=90&start=2024-11-09T12:50:00.000000\"\n";
        let ends = (Some(at("2024-11-09T12:50:00")), None);
        assert_eq!(master(&channel, &qualities, "foo=bar&start=2024-11-09T12:50:00", ends), expected);
        assert_eq!(master(&channel, &[], "x=1", ends), "#EXTM3U\n");
        let read = m3u8_rs::parse_master_playlist_res(expected.as_bytes()).unwrap();
        let path = |variant: &m3u8_rs::VariantStream| variant.uri.split('?').next().unwrap().to_owned();
        let (keyframes, whole): (Vec<_>, Vec<_>) = read.variants.iter().partition(|it| it.is_i_frame);
        let uris: Vec<String> = whole.into_iter().map(path).collect();
        assert_eq!(keyframes.len(), 2);
        assert_eq!(uris, ["/playlist/chan/source.m3u8", "/playlist/chan/720p.m3u8"]);
        assert_eq!(read.alternatives.len(), 2);
    }

    #[test]
    fn names_cannot_break_out_of_their_line() {
        let channel = Channel::new("ch an?").unwrap();
        let quality = Quality::new("ü\",URI=\"x").unwrap();
        let text = master(&channel, std::slice::from_ref(&quality), "a=b\n#EXTM3U\"é", (None, None));
        assert_eq!(text.lines().count(), 6);
        assert!(text.contains("GROUP-ID=\"ü%22,URI=%22x\",NAME=\"ü%22,URI=%22x\",AUTOSELECT"));
        assert!(text.contains("/playlist/ch%20an%3F/%C3%BC%22%2CURI%3D%22x.m3u8?a=b%0A%23EXTM3U%22%C3%A9\n"));
        let entry = Entry::Segment { start: at("2024-11-09"), duration: 0, name: "a\nb #é%.ts" };
        let text = String::from_utf8(media(&channel, &quality, [entry]).to_vec()).unwrap();
        assert!(text.contains(
            "\n/segments/ch%20an%3F/%C3%BC%22%2CURI%3D%22x/2024-11-09T00/a%0Ab%20%23%C3%A9%25.ts\n"
        ));
    }
}
