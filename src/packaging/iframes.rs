//! HLS playlists of keyframes alone (RFC 8216 §4.3.3.6): byte ranges of the segments that are there anyway.

use super::url::{self, PATH};
use crate::base::time::SECOND;
use crate::base::{Channel, Quality, Timestamp};
use percent_encoding::utf8_percent_encode;
use std::fmt::Write as _;
use std::ops::Range;

/// A line of the playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Keyframe {
        /// When it comes on screen.
        start: Timestamp,
        /// Until the next one, or the end of its run, in microseconds.
        duration: i64,
        /// Its bytes of the segment.
        bytes: Range<u64>,
    },
    /// What follows is in this segment.
    Segment {
        /// The folder it lies in is the hour of this.
        start: Timestamp,
        name: String,
        /// The bytes that a reader needs before any keyframe of it: the program tables (§3.2). Left out where those of the
        /// segment before say the same.
        tables: Option<Range<u64>>,
    },
    /// What comes before does not join what comes after.
    Gap,
}

fn range(bytes: &Range<u64>) -> String {
    format!("{}@{}", bytes.end.saturating_sub(bytes.start), bytes.start)
}

/// The playlist; complete where nothing will be added.
pub fn iframes(channel: &Channel, quality: &Quality, entries: &[Entry], complete: bool) -> String {
    let folder = url::segments(channel, quality);
    let longest = entries.iter().filter_map(|it| match it {
        Entry::Keyframe { duration, .. } => Some(*duration),
        _ => None,
    });
    let target = (longest.max().unwrap_or(SECOND) + SECOND - 1).div_euclid(SECOND).max(1);
    let mut text =
        format!("#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-I-FRAMES-ONLY\n");
    let (mut begun, mut gap, mut url) = (false, false, String::new());
    let mut map = None;
    for entry in entries {
        match entry {
            Entry::Gap => gap = true,
            Entry::Segment { start, name, tables } => {
                let hour = start.hour();
                url = format!("{folder}{hour}/{}", utf8_percent_encode(name, PATH));
                if let Some(tables) = tables {
                    map = Some(format!("#EXT-X-MAP:URI=\"{url}\",BYTERANGE=\"{}\"\n", range(tables)));
                }
            }
            Entry::Keyframe { start, duration, bytes } => {
                if gap && begun {
                    text.push_str("#EXT-X-DISCONTINUITY\n");
                }
                text.push_str(&map.take().unwrap_or_default());
                let millis = (*duration + 500) / 1000;
                // Writing to a String cannot fail.
                let _ = write!(
                    text,
                    "#EXT-X-PROGRAM-DATE-TIME:{start}Z\n#EXTINF:{}.{:03},\n#EXT-X-BYTERANGE:{}\n{url}\n",
                    millis / 1000,
                    millis % 1000,
                    range(bytes),
                );
                (begun, gap) = (true, false);
            }
        }
    }
    if complete {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_playlist_in_full() {
        let at = |text: &str| Timestamp::parse("at", text).unwrap();
        let (channel, quality) = (Channel::new("c").unwrap(), Quality::new("q").unwrap());
        let segment = |tables| Entry::Segment {
            start: at("2024-11-09T12:59:58"),
            name: "59:58.0-full.ts".into(),
            tables,
        };
        let keyframe = |start: &str, bytes| Entry::Keyframe { start: at(start), duration: 1_000_400, bytes };
        let entries = [
            Entry::Gap,
            segment(Some(0..376)),
            keyframe("2024-11-09T12:59:58", 0..1880),
            segment(None),
            keyframe("2024-11-09T12:59:59", 3760..4700),
            Entry::Gap,
            segment(Some(0..564)),
            keyframe("2024-11-09T13:00:09", 0..188),
        ];
        let url = "/segments/c/q/2024-11-09T12/59%3A58.0-full.ts";
        let expected = format!(
            "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-I-FRAMES-ONLY\n\
             #EXT-X-MAP:URI=\"{url}\",BYTERANGE=\"376@0\"\n\
             #EXT-X-PROGRAM-DATE-TIME:2024-11-09T12:59:58.000000Z\n#EXTINF:1.000,\n#EXT-X-BYTERANGE:1880@0\n{url}\n\
             #EXT-X-PROGRAM-DATE-TIME:2024-11-09T12:59:59.000000Z\n#EXTINF:1.000,\n#EXT-X-BYTERANGE:940@3760\n{url}\n\
             #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"{url}\",BYTERANGE=\"564@0\"\n\
             #EXT-X-PROGRAM-DATE-TIME:2024-11-09T13:00:09.000000Z\n#EXTINF:1.000,\n#EXT-X-BYTERANGE:188@0\n{url}\n"
        );
        assert_eq!(iframes(&channel, &quality, &entries, false), expected);
        assert_eq!(iframes(&channel, &quality, &entries, true), format!("{expected}#EXT-X-ENDLIST\n"));
    }
}
