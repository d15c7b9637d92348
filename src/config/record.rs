//! `[record]`: recording what is live.

use super::{ByteSize, Length, seconds};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Record {
    /// A segment of a live stream ends at the first keyframe this long after its start.
    pub segment: Length,
    /// Without a keyframe for this long a segment is broken off.
    pub longest_segment: Length,
    /// And with this many bytes.
    pub largest_segment: ByteSize,
    /// The most that notes of gaps take on the disk, for each channel and quality.
    pub gaps: ByteSize,
    /// How often what is no longer to be kept is taken away.
    pub retention_every: Length,
    /// The room that is left on the disk: with less, the oldest segments of channels with a retention go.
    pub free: ByteSize,
    /// Where recordings are kept, a folder for each stream. Empty: `.moviola-recordings` in the archive.
    pub directory: PathBuf,
    /// Recordings at a time.
    pub running: usize,
    /// Records of ended recordings that are kept; their files stay.
    pub kept: usize,
    /// The longest recording, and the longest lookback.
    pub longest: Length,
    /// How long a stream may take to bring the first picture of a recording.
    pub first_media: Length,
    /// Whether anybody may see pictures of what is live; else they take a viewer's token.
    pub open_stills: bool,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            segment: seconds(2),
            longest_segment: seconds(60),
            largest_segment: ByteSize(128 << 20),
            gaps: ByteSize(256 << 10),
            retention_every: seconds(60),
            free: ByteSize(1 << 30),
            directory: PathBuf::new(),
            running: 64,
            kept: 1000,
            longest: seconds(24 * 3600),
            first_media: seconds(30),
            open_stills: true,
        }
    }
}

impl Record {
    /// # Errors
    /// The first key whose value may not be, in words; `within` says whether one lies between two.
    pub(super) fn check(
        &self,
        within: &impl Fn(&str, usize, usize, usize) -> Result<(), String>,
    ) -> Result<(), String> {
        within("record.segment", self.segment.0.as_millis() as usize, 500, 60_000)?;
        within("record.longest_segment", self.longest_segment.0.as_secs() as usize, 2, 3600)?;
        within("record.largest_segment", self.largest_segment.0 as usize, 1 << 20, 4 << 30)?;
        within("record.gaps", self.gaps.0 as usize, 4 << 10, 64 << 20)?;
        within("record.retention_every", self.retention_every.0.as_millis() as usize, 100, 86_400_000)?;
        within("record.running", self.running, 1, 10_000)?;
        within("record.kept", self.kept, 1, 100_000)?;
        within("record.longest", self.longest.0.as_secs() as usize, 1, 7 * 86_400)?;
        within("record.first_media", self.first_media.0.as_millis() as usize, 10, 3_600_000)?;
        Ok(())
    }
}
