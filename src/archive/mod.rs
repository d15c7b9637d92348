//! What is on disk, and nothing about what is inside a file: channels, qualities, hours, segments.
//!
//! [`Archive`] is the one door. Invariant: every path it opens lies below the archive's folder. Not here: media,
//! and anything derived from it.

mod beneath;
mod hour;
mod listing;
mod name;
mod select;
mod sidecar;
mod stored;
mod writer;

pub use hour::{HourListing, Segment};
pub use name::{MAX_DURATION, Refused, SegmentKind, SegmentName, decode_hash};
pub use select::{Item, Selection, Selector, TOLERANCE, select};
pub use sidecar::{Key, Product, SidecarLimits, Sidecars, Stamp};
pub use stored::Stored;
pub use writer::{SegmentWriter, VideoWriter, Written};

use crate::base::metrics::Metrics;
use crate::base::time::{Clock, HOUR, SystemClock};
use crate::base::{Channel, Error, Hour, Kind, Name, Quality, Result, Span, Timestamp, Token};
pub use beneath::Root;
use listing::Listings;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// For spans up to this many hours the folders are asked for by name; for longer ones the quality's folder is
/// read first, so that the year 9999 costs what the archive has and not what the calendar has.
const PROBED_HOURS: i64 = 48;

/// How much the archive may hold in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Segments in cached listings, at about 110 bytes each. 400,000 is nine days of 2 s segments.
    pub listing_segments: usize,
    /// Segments, holes and breaks in one selection, at 40 bytes each and their listings' 110.
    pub selection_items: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { listing_segments: 400_000, selection_items: 400_000 }
    }
}

/// The archive's folder, and all there is to ask of it. Every method may wait for the disk.
pub struct Archive {
    root: Root,
    listings: Listings,
    limits: Limits,
}

/// An open regular file of the archive.
#[derive(Debug)]
pub struct OpenFile {
    pub file: File,
    /// Its size in bytes when it was opened.
    pub len: u64,
    /// When it was last changed.
    pub modified: SystemTime,
}

impl Archive {
    /// # Errors
    /// [`Kind::Internal`] where `root` is no folder that can be read.
    pub fn open(root: &Path, limits: Limits, metrics: Metrics) -> Result<Self> {
        Self::open_with_clock(root, limits, metrics, Arc::new(SystemClock))
    }

    /// [`Self::open`] with another clock than the system's; it must agree with the one that stamps the files.
    pub fn open_with_clock(
        root: &Path,
        limits: Limits,
        metrics: Metrics,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let root = Root::open(root)?;
        for (name, limit) in
            [("listing_segments", limits.listing_segments), ("selection_items", limits.selection_items)]
        {
            metrics.limits.with_label_values(&[name]).set(limit as f64);
        }
        let listings = Listings::new(root.clone(), limits.listing_segments, clock, metrics);
        Ok(Self { root, listings, limits })
    }

    /// The archive's folder, for the log and for code that is handed paths.
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// The visible names at the top, sorted.
    pub fn channels(&self) -> Result<Vec<String>> {
        self.listings.names(&[])
    }

    /// The visible names in a channel, sorted; none where there is no such channel.
    pub fn qualities(&self, channel: &Channel) -> Result<Vec<String>> {
        self.listings.names(&[channel.as_str()])
    }

    /// The visible names in a quality, hours or not, sorted; none where there is no such quality.
    pub fn hours_raw(&self, channel: &Channel, quality: &Quality) -> Result<Vec<String>> {
        self.listings.names(&[channel.as_str(), quality.as_str()])
    }

    /// The names of the segments and chat batches in an hour as they are, sorted, without those a tombstone
    /// hides; with `tombstones`, the tombstones' names too. None where there is no such hour.
    pub fn files(
        &self,
        channel: &Channel,
        quality: &Quality,
        hour: &Name,
        tombstones: bool,
    ) -> Result<Vec<String>> {
        self.listings.files(channel, quality, hour, tombstones)
    }

    /// The paths of all files below a folder, hidden ones too, sorted; none where there is no such folder.
    pub fn below(&self, folder: &Name, token: &Token) -> Result<Vec<String>> {
        self.listings.below(folder, token)
    }

    /// The hours of a quality, earliest first.
    pub fn hours(&self, channel: &Channel, quality: &Quality) -> Result<Vec<Hour>> {
        self.listings.hours(channel, quality)
    }

    pub fn has_channel(&self, channel: &Channel) -> Result<bool> {
        Ok(self.root.folder(Path::new(channel.as_str()))?.is_some())
    }

    pub fn has_quality(&self, channel: &Channel, quality: &Quality) -> Result<bool> {
        Ok(self.root.folder(&Path::new(channel.as_str()).join(quality))?.is_some())
    }

    /// From the start of the earliest hour to the end of the latest; `None` where there are no hours.
    pub fn extent(&self, channel: &Channel, quality: &Quality) -> Result<Option<Span>> {
        let hours = self.listings.hours(channel, quality)?;
        Ok(hours.first().zip(hours.last()).map(|(first, last)| Span::new(first.start(), last.end())))
    }

    /// The best sequence of segments for `span`.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where there is no such quality; [`Kind::Invalid`] where the span holds more segments
    /// than the limit.
    pub fn select(&self, channel: &Channel, quality: &Quality, span: Span) -> Result<Selection> {
        let mut selector = Selector::new(span);
        let mut found = false;
        for hour in self.hours_for(channel, quality, span)? {
            if selector.is_done() {
                break;
            }
            if let Some(listing) = self.listings.hour(channel, quality, hour)? {
                found = true;
                selector.take(&listing);
                if selector.len() > self.limits.selection_items {
                    return Err(Error::new(
                        Kind::Invalid,
                        "too-many-segments",
                        format!("the range holds more than {} segments", self.limits.selection_items),
                    ));
                }
            }
        }
        if !found && !self.has_quality(channel, quality)? {
            return Err(Error::not_found("there is no such channel and quality"));
        }
        Ok(selector.finish())
    }

    /// The hours that may hold segments of `span`: those it touches, and the one before, whose last segment may
    /// reach into it.
    fn hours_for(&self, channel: &Channel, quality: &Quality, span: Span) -> Result<Vec<Hour>> {
        let (first, last) = (span.start.hour().previous(), span.end.hour());
        if span.is_empty() {
            Ok(Vec::new())
        } else if span.micros() / HOUR <= PROBED_HOURS {
            let hours = std::iter::successors(Some(first), |hour| Some(hour.next()));
            Ok(hours.take_while(|hour| *hour <= last).collect())
        } else {
            let mut hours = self.listings.hours(channel, quality)?;
            hours.retain(|hour| (first..=last).contains(hour));
            Ok(hours)
        }
    }

    /// Bytes of the file system that holds the archive: all, and those that may still be written.
    pub fn disk(&self) -> Result<(u64, u64)> {
        let facts = rustix::fs::statvfs(self.root.path())
            .map_err(|errno| Error::io("the archive's file system cannot be asked", &errno.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(facts.f_frsize);
        Ok((bytes(facts.f_blocks), bytes(facts.f_bavail)))
    }

    /// Where a selected segment's file lies.
    pub fn path_of(&self, segment: &Segment) -> PathBuf {
        self.root.path().join(segment.relative_path())
    }

    /// Opens a visible regular file below the archive's folder.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where there is none, where it is a folder, and where a link leads out of the archive.
    pub fn open_file(&self, components: &[Name]) -> Result<OpenFile> {
        let relative: PathBuf = components.iter().collect();
        let found = if components.is_empty() { None } else { self.root.file(&relative)? };
        let (file, stat) = found.ok_or_else(|| Error::not_found("there is no such file"))?;
        let modified = file.metadata().and_then(|facts| facts.modified());
        let modified = modified.map_err(|fault| Error::io("the file cannot be read", &fault))?;
        Ok(OpenFile { file, len: u64::try_from(stat.st_size).unwrap_or(0), modified })
    }

    /// Begins a segment whose first video frame is shown at `start`.
    ///
    /// # Errors
    /// [`Kind::Exhausted`] where the disk is full, [`Kind::Internal`] for its other faults.
    pub fn create_segment(
        &self,
        channel: &Channel,
        quality: &Quality,
        start: Timestamp,
    ) -> Result<SegmentWriter> {
        SegmentWriter::create(self.root.path(), channel, quality, start)
    }

    /// Begins a video at the top of the archive; `None` where there is one of that name.
    ///
    /// # Errors
    /// As [`Self::create_segment`].
    pub fn create_video(&self, name: &Name) -> Result<Option<VideoWriter>> {
        VideoWriter::create(self.root.path(), name)
    }

    /// Removes what writers killed on the way left behind: what nobody has locked, or wrote to for `age`. Walks the whole
    /// archive. Returns how many files went.
    pub fn sweep(&self, age: Duration, token: &Token) -> Result<usize> {
        writer::sweep(self.root.path(), age, token)
    }
}

#[cfg(test)]
mod tests;
