//! What lies on the disk by its size and age, and how it is taken away again.

use super::Archive;
use super::hour::hour_path;
use super::name::{SegmentKind, SegmentName};
use crate::base::{Channel, Error, Hour, Quality, Result, Timestamp};
use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;
use std::time::SystemTime;

/// A file with the name of a segment, best of its start or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub quality: Quality,
    pub hour: Hour,
    /// The file's name, extension included.
    pub name: String,
    pub start: Timestamp,
    pub end: Timestamp,
    pub bytes: u64,
}

impl Archive {
    /// The files of one hour that are named as finished segments, by their starts; none where there is no such hour.
    pub fn stored(&self, channel: &Channel, quality: &Quality, hour: Hour) -> Result<Vec<Stored>> {
        let relative = hour_path(channel, quality, hour);
        let Some(folder) = self.root.folder(&relative)? else { return Ok(Vec::new()) };
        let broken = |errno: Errno| Error::io("an hour of the archive cannot be read", &errno.into());
        let mut found = Vec::new();
        for entry in Dir::read_from(&folder).map_err(broken)? {
            let entry = entry.map_err(broken)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let Ok(segment) = SegmentName::parse(hour, name) else { continue };
            if segment.kind == SegmentKind::Temp {
                continue;
            }
            // One that went meanwhile is gone.
            let Ok(facts) = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if FileType::from_raw_mode(facts.st_mode) == FileType::RegularFile {
                let (start, end) = (segment.start, segment.end());
                let bytes = u64::try_from(facts.st_blocks).unwrap_or(0) * 512;
                let quality = quality.clone();
                found.push(Stored { quality, hour, name: name.to_owned(), start, end, bytes });
            }
        }
        found.sort_by(|a, b| (a.start, &a.name).cmp(&(b.start, &b.name)));
        Ok(found)
    }

    /// When a name in the folder of an hour last came or went.
    pub fn changed(&self, channel: &Channel, quality: &Quality, hour: Hour) -> Option<SystemTime> {
        std::fs::metadata(self.root.path().join(hour_path(channel, quality, hour))).ok()?.modified().ok()
    }

    /// Takes segments of one hour away. Those that are gone already are none of the count.
    pub fn remove<'a>(
        &self,
        channel: &Channel,
        quality: &Quality,
        hour: Hour,
        segments: impl IntoIterator<Item = &'a Stored>,
    ) -> Result<usize> {
        let Some(folder) = self.root.folder(&hour_path(channel, quality, hour))? else { return Ok(0) };
        let mut count = 0;
        for segment in segments {
            match rustix::fs::unlinkat(&folder, segment.name.as_str(), AtFlags::empty()) {
                Ok(()) => count += 1,
                Err(Errno::NOENT) => {}
                Err(errno) => {
                    return Err(Error::io("a segment cannot be taken away", &errno.into()));
                }
            }
        }
        Ok(count)
    }

    /// Takes the folder of an hour away if nothing is in it.
    pub fn remove_hour(&self, channel: &Channel, quality: &Quality, hour: Hour) {
        // What is in it still keeps it there.
        let _ = std::fs::remove_dir(self.root.path().join(hour_path(channel, quality, hour)));
    }

    /// Bytes the disk has left for who is no administrator.
    pub fn free(&self) -> Result<u64> {
        let facts = rustix::fs::statvfs(self.root.path())
            .map_err(|errno| Error::io("the disk cannot be asked for its room", &errno.into()))?;
        Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
    }
}
