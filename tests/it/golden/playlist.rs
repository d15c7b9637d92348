//! Playlists compared by what they say, not by how they are written.

use super::archive::mask;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fmt::Write as _;

/// What the recorded server left unescaped in a path.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Segment {
    pub discontinuity: bool,
    /// As written, with six digits after the point.
    pub date: String,
    /// Milliseconds.
    pub duration: u64,
    /// Decoded.
    pub uri: String,
}

#[derive(Debug, PartialEq, Eq, Clone, Default)]
pub struct Media {
    pub segments: Vec<Segment>,
    pub ended: bool,
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// `2024-11-09T12:49:58.437Z` and `….437000Z` are the same instant.
fn date(text: &str) -> String {
    let text = text.strip_suffix("+00:00").unwrap_or(text).trim_end_matches('Z');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}.{fraction:0<6}Z")
}

fn milliseconds(text: &str) -> Option<u64> {
    let seconds: f64 = text.parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then(|| (seconds * 1000.0).round() as u64)
}

impl Media {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        if lines.next() != Some("#EXTM3U") {
            return Err("does not begin with #EXTM3U".into());
        }
        let mut media = Self::default();
        let (mut discontinuity, mut time, mut duration) = (false, None, None);
        for line in lines {
            if let Some(text) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
                time = Some(date(text));
            } else if let Some(text) = line.strip_prefix("#EXTINF:") {
                let number = text.split(',').next().unwrap_or_default();
                duration = Some(milliseconds(number).ok_or_else(|| format!("no duration: {line:?}"))?);
            } else if line == "#EXT-X-DISCONTINUITY" {
                discontinuity = true;
            } else if line == "#EXT-X-ENDLIST" {
                media.ended = true;
            } else if !line.is_empty() && !line.starts_with('#') {
                media.segments.push(Segment {
                    discontinuity: std::mem::take(&mut discontinuity),
                    date: time.take().ok_or_else(|| format!("no date before {line:?}"))?,
                    duration: duration.take().ok_or_else(|| format!("no duration before {line:?}"))?,
                    uri: decoded(line),
                });
            }
        }
        Ok(media)
    }

    /// As the recorded server writes it, so that a record that kept only the hash can be compared as well.
    pub fn as_recorded(&self) -> String {
        let mut seen: Vec<(u64, usize)> = Vec::new();
        for segment in &self.segments {
            match seen.iter_mut().find(|(duration, _)| *duration == segment.duration) {
                Some((_, count)) => *count += 1,
                None => seen.push((segment.duration, 1)),
            }
        }
        // The most common duration, the first of equals; six seconds where there is none.
        let target =
            seen.iter().rev().max_by_key(|(_, count)| *count).map_or(6000, |(duration, _)| *duration);
        let mut text = format!("#EXTM3U\n#EXT-X-TARGETDURATION:{}.{:03}\n\n", target / 1000, target % 1000);
        for segment in &self.segments {
            if segment.discontinuity {
                text.push_str("#EXT-X-DISCONTINUITY\n");
            }
            let (seconds, rest) = (segment.duration / 1000, segment.duration % 1000);
            let _ = write!(
                text,
                "#EXT-X-PROGRAM-DATE-TIME:{}\n#EXTINF:{seconds}.{rest:03},live\n{}\n",
                segment.date,
                utf8_percent_encode(&segment.uri, KEPT)
            );
        }
        if self.ended {
            text.push_str("#EXT-X-ENDLIST\n");
        }
        text
    }

    pub fn masked(mut self) -> Self {
        for segment in &mut self.segments {
            segment.uri = mask(&segment.uri);
        }
        self
    }
}

/// The first place where two lists part, for a reader.
pub fn parting(here: &Media, there: &Media) -> (String, String) {
    let tell = |media: &Media, index: usize| match media.segments.get(index) {
        Some(segment) => format!("#{index} {segment:?}"),
        None => format!("{} segments, ended: {}", media.segments.len(), media.ended),
    };
    let index = (0..).find(|&index| {
        let (a, b) = (here.segments.get(index), there.segments.get(index));
        a != b || (a.is_none() && b.is_none())
    });
    let index = index.unwrap_or(0);
    (tell(here, index), tell(there, index))
}

/// The variants of a master playlist, sorted: name, bandwidth, path and query.
pub fn master(text: &str) -> Result<Vec<String>, String> {
    if text.lines().next() != Some("#EXTM3U") {
        return Err("does not begin with #EXTM3U".into());
    }
    let mut variants = Vec::new();
    let mut attributes = None;
    for line in text.lines().skip(1) {
        if let Some(text) = line.strip_prefix("#EXT-X-STREAM-INF:") {
            let attribute = |name: &str| {
                // NAME and BANDWIDTH hold no comma.
                let found = text.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
                found.unwrap_or("-").trim_matches('"').to_owned()
            };
            attributes = Some(format!("{} {}", attribute("NAME"), attribute("BANDWIDTH")));
        } else if !line.is_empty() && !line.starts_with('#') {
            let before = attributes.take().ok_or_else(|| format!("no STREAM-INF before {line:?}"))?;
            variants.push(format!("{before} {}", decoded(line)));
        }
    }
    variants.sort();
    Ok(variants)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:2.000\n\n\
        #EXT-X-PROGRAM-DATE-TIME:2024-11-09T12:57:14.437000Z\n#EXTINF:2.000,live\n\
        /segments/mess/360p/2024-11-09T12/57%3A14.437000-2.0-full-x_y-z.ts\n\
        #EXT-X-DISCONTINUITY\n\
        #EXT-X-PROGRAM-DATE-TIME:2024-11-09T12:57:26.437000Z\n#EXTINF:1.500,live\n\
        /segments/mess/360p/2024-11-09T12/57%3A26.437000-1.5-full-a.ts\n#EXT-X-ENDLIST\n";

    #[test]
    fn a_recorded_playlist_is_written_back_as_it_was() {
        assert_eq!(Media::parse(RECORDED).unwrap().as_recorded(), RECORDED);
        let empty = "#EXTM3U\n#EXT-X-TARGETDURATION:6.000\n\n";
        assert_eq!(Media::parse(empty).unwrap().as_recorded(), empty);
    }

    #[test]
    fn the_way_of_writing_does_not_matter_but_what_is_said_does() {
        let other = RECORDED
            .replace("TARGETDURATION:2.000", "VERSION:6\n#EXT-X-TARGETDURATION:2")
            .replace("57%3A14", "57:14")
            .replace("14.437000Z", "14.437Z")
            .replace("2.000,live", "2.0,");
        assert_eq!(Media::parse(&other), Media::parse(RECORDED));
        for (from, to) in [
            ("#EXT-X-ENDLIST\n", ""),
            ("#EXT-X-DISCONTINUITY\n", ""),
            ("14.437000Z", "14.438000Z"),
            ("1.500", "1.501"),
            ("full-a", "full-b"),
        ] {
            assert_ne!(Media::parse(&RECORDED.replace(from, to)), Media::parse(RECORDED), "{from}");
        }
        for text in ["", "#EXTM3U\n/x.ts\n", "#EXTM3U\n#EXTINF:nan,\n"] {
            assert!(Media::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_master_is_a_set_of_variants() {
        let text = "#EXTM3U\n#EXT-X-MEDIA:TYPE=VIDEO,NAME=\"b\"\n\
            #EXT-X-STREAM-INF:VIDEO=\"b\",NAME=\"b\",BANDWIDTH=2\n/playlist/c/b.m3u8?x=1%2B2\n\
            #EXT-X-STREAM-INF:VIDEO=\"a\",NAME=\"a\",BANDWIDTH=1,CODECS=\"x,y\"\n/playlist/c/a.m3u8\n";
        assert_eq!(master(text).unwrap(), ["a 1 /playlist/c/a.m3u8", "b 2 /playlist/c/b.m3u8?x=1+2"]);
        assert_eq!(master("#EXTM3U\n").unwrap(), Vec::<String>::new());
        assert!(master("#EXTM3U\n/playlist/c/a.m3u8\n").is_err());
    }

    #[test]
    fn the_place_where_two_lists_part_is_found() {
        let there = Media::parse(RECORDED).unwrap();
        let mut here = there.clone();
        here.segments.pop();
        assert!(parting(&here, &there).1.starts_with("#1 "));
        here = there.clone();
        here.ended = false;
        assert_eq!(
            parting(&here, &there),
            ("2 segments, ended: false".into(), "2 segments, ended: true".into())
        );
    }
}
