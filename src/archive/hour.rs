//! One hour of one quality, best segment per start time: what a listing of its folder comes down to.
//! Pure: whoever read the folder hands in names, and is asked for a file's size where a choice needs it.

use crate::archive::name::{Refused, SegmentKind, SegmentName, decode_hash};
use crate::base::{Channel, Hour, Quality, Span, Timestamp};
use std::cmp::Ordering;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// The best segments of an hour, sorted by start; no two share one. Immutable: a changed folder makes a new one.
#[derive(Debug)]
pub struct HourListing {
    channel: Channel,
    quality: Quality,
    hour: Hour,
    /// All names, one after the other in the order of `entries`: one allocation instead of thousands, and a
    /// playlist reads them straight through.
    names: Box<str>,
    entries: Box<[Entry]>,
}

/// A parsed name; the text lies in the names beside it.
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: Timestamp,
    duration: i64,
    kind: SegmentKind,
    /// A name is at most 255 bytes.
    len: u8,
    hash_at: u8,
    at: u32,
}

impl Entry {
    fn range(&self) -> Range<usize> {
        self.at as usize..self.at as usize + usize::from(self.len)
    }

    fn name<'a>(&self, names: &'a str) -> &'a str {
        &names[self.range()]
    }

    /// Without the `.ts`, which is what a tombstone is named after.
    fn stem<'a>(&self, names: &'a str) -> &'a str {
        let name = self.name(names);
        name.strip_suffix(".ts").unwrap_or(name)
    }

    fn hash<'a>(&self, names: &'a str) -> &'a str {
        &self.stem(names)[usize::from(self.hash_at)..]
    }
}

impl HourListing {
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    pub fn quality(&self) -> &Quality {
        &self.quality
    }

    pub fn hour(&self) -> Hour {
        self.hour
    }

    /// How many segments there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where the segments with a start at or after `instant` begin.
    pub(super) fn first_from(&self, instant: Timestamp) -> usize {
        self.entries.partition_point(|entry| entry.start < instant)
    }

    /// Start, end and kind of the segment at `index`, which is below [`Self::len`].
    pub(super) fn bounds(&self, index: usize) -> (Timestamp, Timestamp, SegmentKind) {
        let entry = &self.entries[index];
        (entry.start, entry.start + entry.duration, entry.kind)
    }

    /// The segments, earliest first.
    pub fn segments(self: &Arc<Self>) -> impl Iterator<Item = Segment> + '_ {
        (0..self.entries.len() as u32).map(|index| Segment { listing: Arc::clone(self), index })
    }

    pub(super) fn segment(self: &Arc<Self>, index: usize) -> Segment {
        Segment { listing: Arc::clone(self), index: index as u32 }
    }
}

/// One segment of the archive. Cloning costs a counter: the text stays in the listing it came from.
#[derive(Debug, Clone)]
pub struct Segment {
    listing: Arc<HourListing>,
    index: u32,
}

impl Segment {
    fn entry(&self) -> &Entry {
        &self.listing.entries[self.index as usize]
    }

    /// The presentation time of its first video frame.
    pub fn start(&self) -> Timestamp {
        self.entry().start
    }

    /// How long it claims to last, in microseconds.
    pub fn duration(&self) -> i64 {
        self.entry().duration
    }

    /// When it ends by its own account.
    pub fn end(&self) -> Timestamp {
        self.start() + self.duration()
    }

    pub fn span(&self) -> Span {
        Span::new(self.start(), self.end())
    }

    pub fn kind(&self) -> SegmentKind {
        self.entry().kind
    }

    /// The file's name, extension included.
    pub fn name(&self) -> &str {
        self.entry().name(&self.listing.names)
    }

    /// The hash as the name spells it: unpadded URL-safe base64 of the content's SHA-256, where Moviola or one
    /// of its kin wrote the file.
    pub fn hash(&self) -> &str {
        self.entry().hash(&self.listing.names)
    }

    pub fn hour(&self) -> Hour {
        self.listing.hour
    }

    pub fn channel(&self) -> &Channel {
        &self.listing.channel
    }

    pub fn quality(&self) -> &Quality {
        &self.listing.quality
    }

    /// Where it lies below the archive's folder.
    pub fn relative_path(&self) -> PathBuf {
        let mut path = hour_path(&self.listing.channel, &self.listing.quality, self.listing.hour);
        path.push(self.name());
        path
    }
}

/// The same file; listings read at different times may both hold it.
impl PartialEq for Segment {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
            && self.hour() == other.hour()
            && self.quality() == other.quality()
            && self.channel() == other.channel()
    }
}

impl Eq for Segment {}

/// `channel/quality/hour`, below the archive's folder.
pub(super) fn hour_path(channel: &Channel, quality: &Quality, hour: Hour) -> PathBuf {
    let mut path = PathBuf::with_capacity(channel.as_str().len() + quality.as_str().len() + 16);
    path.push(channel);
    path.push(quality);
    path.push(hour.to_string());
    path
}

/// Collects the names of an hour's folder and then chooses.
#[derive(Debug)]
pub(super) struct Candidates {
    hour: Hour,
    names: String,
    entries: Vec<Entry>,
    tombstones: Vec<String>,
}

impl Candidates {
    pub(super) fn new(hour: Hour) -> Self {
        Self { hour, names: String::new(), entries: Vec::new(), tombstones: Vec::new() }
    }

    /// Takes the name of a visible regular file. Segments that are still being written are passed over.
    pub(super) fn add(&mut self, name: &str) -> Result<(), Refused> {
        let parsed = SegmentName::parse(self.hour, name)?;
        if parsed.kind == SegmentKind::Temp {
            return Ok(());
        }
        // A name of 255 bytes and the folder's bound keep these in range.
        let (Ok(at), Ok(len)) = (u32::try_from(self.names.len()), u8::try_from(name.len())) else {
            return Err(Refused::Unnameable);
        };
        let hash_at = len - parsed.hash.len() as u8 - ".ts".len() as u8;
        self.names.push_str(name);
        let SegmentName { start, duration, kind, .. } = parsed;
        self.entries.push(Entry { start, duration, kind, len, hash_at, at });
        Ok(())
    }

    /// Takes the stem of a tombstone: the segment of that stem counts as deleted.
    pub(super) fn bury(&mut self, stem: &str) {
        self.tombstones.push(stem.to_owned());
    }

    /// Chooses the best segment of each start. `size` tells a file's size in bytes by its name, or `None`
    /// where it is gone; it is asked only where the names do not decide.
    pub(super) fn choose(
        mut self,
        channel: Channel,
        quality: Quality,
        mut size: impl FnMut(&str) -> Option<u64>,
    ) -> HourListing {
        let names = &self.names;
        if !self.tombstones.is_empty() {
            self.tombstones.sort_unstable();
            let buried = &self.tombstones;
            self.entries.retain(|entry| {
                buried.binary_search_by(|stem| stem.as_str().cmp(entry.stem(names))).is_err()
            });
        }
        // By name among equals, so that the choice does not hang on the order the folder was read in.
        self.entries
            .sort_unstable_by(|a, b| a.start.cmp(&b.start).then_with(|| a.name(names).cmp(b.name(names))));
        let mut text = String::with_capacity(names.len());
        let mut chosen = Vec::with_capacity(self.entries.len());
        for rivals in self.entries.chunk_by(|a, b| a.start == b.start) {
            let best = match rivals {
                [only] => Some(only),
                rivals => best_of(rivals, names, &mut size),
            };
            let Some(best) = best else { continue };
            chosen.push(Entry { at: text.len() as u32, ..*best });
            text.push_str(best.name(names));
        }
        HourListing { channel, quality, hour: self.hour, names: text.into(), entries: chosen.into() }
    }
}

/// Full beats suspect beats partial. Of several fulls the longest, then the biggest, then the one with the
/// highest hash; of several suspects or partials the biggest. The first by name, where all that is equal.
fn best_of<'a>(
    rivals: &'a [Entry],
    names: &str,
    mut size: impl FnMut(&str) -> Option<u64>,
) -> Option<&'a Entry> {
    let kind = rivals.iter().map(|rival| rival.kind).min()?;
    let duration = |rival: &Entry| if kind.is_whole() { rival.duration } else { 0 };
    let longest = rivals.iter().filter(|rival| rival.kind == kind).map(duration).max()?;
    let tied: Vec<&Entry> =
        rivals.iter().filter(|rival| rival.kind == kind && duration(rival) == longest).collect();
    if let [only] = tied[..] {
        return Some(only);
    }
    let mut best: Option<(u64, &Entry)> = None;
    for rival in tied {
        let Some(bytes) = size(rival.name(names)) else { continue };
        let better = best.is_none_or(|(most, held)| match bytes.cmp(&most) {
            Ordering::Equal if kind.is_whole() => {
                decode_hash(rival.hash(names)) > decode_hash(held.hash(names))
            }
            order => order.is_gt(),
        });
        if better {
            best = Some((bytes, rival));
        }
    }
    best.map(|(_, rival)| rival)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::collections::HashMap;

    /// A listing of `names` in the hour 2024-11-09T13 whose files have the sizes given.
    pub(in crate::archive) fn listing(names: &[(&str, u64)], tombstones: &[&str]) -> Arc<HourListing> {
        listing_of("2024-11-09T13", names, tombstones)
    }

    pub(in crate::archive) fn listing_of(
        hour: &str,
        names: &[(&str, u64)],
        tombstones: &[&str],
    ) -> Arc<HourListing> {
        let sizes: HashMap<_, _> = names.iter().copied().collect();
        let mut candidates = Candidates::new(Hour::parse(hour).unwrap());
        for (name, _) in names {
            let _ = candidates.add(name);
        }
        for stem in tombstones {
            candidates.bury(stem);
        }
        let (channel, quality) = (Channel::new("chan").unwrap(), Quality::new("720p").unwrap());
        Arc::new(
            candidates.choose(channel, quality, |name| sizes.get(name).copied().filter(|size| *size < 1000)),
        )
    }

    fn names(listing: &Arc<HourListing>) -> Vec<String> {
        listing.segments().map(|segment| segment.name().to_owned()).collect()
    }

    #[test]
    fn chooses_the_best_of_each_start() {
        for (rivals, best) in [
            // Kind comes first, whatever the size.
            (
                &[
                    ("00:00-2.0-partial-AA.ts", 9),
                    ("00:00-2.0-suspect-AA.ts", 5),
                    ("00:00-1.0-full-AA.ts", 1),
                ][..],
                2,
            ),
            (&[("00:00-9.0-partial-AA.ts", 9), ("00:00-2.0-suspect-AA.ts", 5)], 1),
            // Fulls: duration, then size, then hash.
            (&[("00:00-2.0-full-AA.ts", 9), ("00:00-2.004-full-AA.ts", 1)], 1),
            (&[("00:00-2.0-full-zz.ts", 8), ("00:00-2.0-full-AA.ts", 9)], 1),
            (&[("00:00-2.0-full-AA.ts", 9), ("00:00-2.0-full-_A.ts", 9), ("00:00-2.0-full-zA.ts", 9)], 1),
            // The hash is compared by its bytes, not by its letters: in base64 9 stands for more than z.
            (&[("00:00-2.0-full-zz.ts", 9), ("00:00-2.0-full-9A.ts", 9)], 1),
            // Suspects and partials: size alone.
            (&[("00:00-2.0-suspect-zz.ts", 5), ("00:00-1.0-suspect-AA.ts", 6)], 1),
            (&[("00:00-9.0-partial-zz.ts", 5), ("00:00-1.0-partial-AA.ts", 6)], 1),
            (&[("00:00-2.0-partial-zz.ts", 5), ("00:00-2.0-partial-AA.ts", 5)], 1),
            // Other spellings of one time are one start.
            (&[("00:00-2.0-full-AA.ts", 5), ("00:00.000000-2.5-full-AA.ts", 5)], 1),
            // A file that is gone by the time it is measured cannot win.
            (&[("00:00-2.0-full-AA.ts", 5), ("00:00-2.0-full-zz.ts", 1000)], 0),
            // Temp files do not count.
            (&[("00:00-2.0-temp-AA.ts", 5), ("00:00-2.0-partial-AA.ts", 1)], 1),
        ] {
            assert_eq!(names(&listing(rivals, &[])), [rivals[best].0], "{rivals:?}");
        }
    }

    #[test]
    fn asks_for_sizes_only_where_the_names_tie() {
        let mut candidates = Candidates::new(Hour::parse("2024-11-09T13").unwrap());
        for name in [
            "00:00-2.0-full-AA.ts",
            "00:00-2.1-full-AA.ts",
            "00:00-2.0-partial-AA.ts",
            "00:02-2.0-partial-AA.ts",
        ] {
            candidates.add(name).unwrap();
        }
        let (channel, quality) = (Channel::new("chan").unwrap(), Quality::new("720p").unwrap());
        let listing = candidates.choose(channel, quality, |name| panic!("{name} was measured"));
        assert_eq!(listing.len(), 2);
    }

    #[test]
    fn tombstones_hide_their_segment_alone() {
        let rivals = [("00:00-2.0-full-AA.ts", 5), ("00:00-1.0-full-AA.ts", 4), ("00:02-2.0-full-AA.ts", 5)];
        let hidden = listing(&rivals, &["00:02-2.0-full-AA", "00:00-2.0-full-AA", "other"]);
        assert_eq!(names(&hidden), ["00:00-1.0-full-AA.ts"]);
    }

    #[test]
    fn a_segment_tells_what_its_name_says() {
        let listing = listing(&[("01:02.5-2.002-suspect--_.ts", 5)], &[]);
        let segment = listing.segments().next().unwrap();
        assert_eq!(segment.start().to_string(), "2024-11-09T13:01:02.500000");
        assert_eq!(segment.end().to_string(), "2024-11-09T13:01:04.502000");
        assert_eq!(
            (segment.duration(), segment.kind(), segment.hash()),
            (2_002_000, SegmentKind::Suspect, "-_")
        );
        assert_eq!(
            segment.relative_path().to_str(),
            Some("chan/720p/2024-11-09T13/01:02.5-2.002-suspect--_.ts")
        );
    }
}
