//! Reading folders of the archive, and the listings of hours kept in memory.
//!
//! A listing stays true for as long as its folder does: a folder's times change whenever a name in it comes,
//! goes or is renamed. Asking for them is one system call, so an hour that is over costs that and no more.
//! File sizes are not part of a folder's times, but they matter only where two files of one start tie, and a
//! visible file that is not `temp` is finished: writers rename it into place complete. For those that do not
//! (somebody copies by hand into an hour), a tied file that was touched a moment ago is not trusted either,
//! and the hour is read again the next time.

use crate::archive::beneath::Root;
use crate::archive::hour::{Candidates, HourListing, hour_path};
use crate::base::metrics::Metrics;
use crate::base::time::{Clock, SECOND};
use crate::base::{Channel, Error, Hour, Kind, Name, Quality, Result, Token};
use parking_lot::Mutex;
use rustix::fs::{Dir, FileType, Stat};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder changed less than this before it was read, in microseconds, may change again without its times
/// showing it: ext4 and xfs stamp with the tick (up to 10 ms), NFS servers and FAT with whole seconds up to two.
const RACY: i64 = 2 * SECOND;

/// No folder with more names than this is read: an hour of 2 s segments has 1,800, one of single frames at
/// 60 fps 216,000. It bounds what one request can make the server hold.
const MAX_NAMES: usize = 1 << 20;

/// Reads folders, and keeps the listings of hours it has read.
pub struct Listings {
    root: Root,
    /// The most segments held, over all hours.
    limit: usize,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    hits: prometheus::IntCounter,
    misses: prometheus::IntCounter,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    hours: HashMap<Key, Slot>,
    /// The sum of [`weight`] over `hours`.
    weight: usize,
    /// Counts requests; a slot's `used` says when it was last of use.
    tick: u64,
}

type Key = (Channel, Quality, Hour);

struct Slot {
    listing: Arc<HourListing>,
    stamp: Stamp,
    used: u64,
}

/// What tells one content of a folder from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    /// Cannot be set back by programs that restore the time of modification, such as rsync.
    changed: (i64, i64),
}

/// Listings without segments take memory too.
fn weight(listing: &HourListing) -> usize {
    listing.len().max(1)
}

impl Listings {
    /// Keeps at most `limit` segments in memory; `clock` is the one that stamps the files.
    pub(super) fn new(root: Root, limit: usize, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        let reads = |from| metrics.listing_reads.with_label_values(&[from]);
        let (hits, misses) = (reads("hit"), reads("miss"));
        Self { root, limit, clock, metrics, hits, misses, held: Mutex::default() }
    }

    /// The best segments of one hour; `None` where it has no folder. No lock is held while the disk is asked.
    pub fn hour(&self, channel: &Channel, quality: &Quality, hour: Hour) -> Result<Option<Arc<HourListing>>> {
        let relative = hour_path(channel, quality, hour);
        let key = (channel.clone(), quality.clone(), hour);
        if let Some((listing, stamp)) = self.held(&key) {
            let now = std::fs::metadata(self.root.path().join(&relative));
            if now.is_ok_and(|facts| stamp == Stamp::of_metadata(&facts)) {
                self.hits.inc();
                return Ok(Some(listing));
            }
        }
        let Some(folder) = self.root.folder(&relative)? else {
            self.forget(&key);
            return Ok(None);
        };
        self.misses.inc();
        let (listing, trusted) = self.read_hour(folder, &relative, channel, quality, hour)?;
        let listing = Arc::new(listing);
        match trusted {
            Some(stamp) => self.keep(key, &listing, stamp),
            None => self.forget(&key),
        }
        Ok(Some(listing))
    }

    /// The hours that have a folder, earliest first. Other names beside them are passed over.
    pub fn hours(&self, channel: &Channel, quality: &Quality) -> Result<Vec<Hour>> {
        let mut hours = Vec::new();
        if let Some(folder) = self.root.folder(&Path::new(channel.as_str()).join(quality))? {
            each_name(folder, |name, kind| {
                let folder = !matches!(kind, FileType::RegularFile);
                hours.extend(Hour::parse(name).filter(|_| folder));
            })?;
        }
        hours.sort_unstable();
        Ok(hours)
    }

    /// All visible names of a folder, sorted; none where there is no such folder.
    pub fn names(&self, components: &[&str]) -> Result<Vec<String>> {
        let mut relative = PathBuf::from(".");
        relative.extend(components);
        let mut names = Vec::new();
        if let Some(folder) = self.root.folder(&relative)? {
            each_name(folder, |name, _| names.push(name.to_owned()))?;
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The paths of all files below a folder, relative to it, hidden ones too, sorted. Links to folders are not followed.
    pub fn below(&self, folder: &Name, token: &Token) -> Result<Vec<String>> {
        let (mut found, mut waiting) = (Vec::new(), vec![PathBuf::new()]);
        while let Some(relative) = waiting.pop() {
            token.check()?;
            let Some(open) = self.root.folder(&Path::new(folder.as_str()).join(&relative))? else { continue };
            each_entry(open, |name, kind| {
                let path = relative.join(name);
                match kind {
                    FileType::Directory => waiting.push(path),
                    _ => found.extend(path.to_str().map(str::to_owned)),
                }
            })?;
            if found.len() + waiting.len() > MAX_NAMES {
                return Err(too_large());
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The names of an hour's segments (`.ts`) and chat batches (`.json`) as they are, sorted, without those a
    /// tombstone hides; with `tombstones`, the tombstones' names too.
    pub fn files(
        &self,
        channel: &Channel,
        quality: &Quality,
        hour: &Name,
        tombstones: bool,
    ) -> Result<Vec<String>> {
        let mut names = self.names(&[channel.as_str(), quality.as_str(), hour.as_str()])?;
        let extension =
            |name: &str| name.rsplit_once('.').map(|(stem, extension)| (stem.len(), extension.to_owned()));
        let buried: std::collections::HashSet<String> =
            names.iter().filter_map(|name| name.strip_suffix(".tombstone")).map(str::to_owned).collect();
        names.retain(|name| match extension(name) {
            Some((stem, kind)) if kind == "ts" || kind == "json" => !buried.contains(&name[..stem]),
            Some((_, kind)) => tombstones && kind == "tombstone",
            None => false,
        });
        Ok(names)
    }

    /// Reads and chooses; the stamp comes along where the result may be used again.
    fn read_hour(
        &self,
        folder: OwnedFd,
        relative: &Path,
        channel: &Channel,
        quality: &Quality,
        hour: Hour,
    ) -> Result<(HourListing, Option<Stamp>)> {
        let now = self.clock.now().micros();
        // Taken before the names are: what changes in between shows in the next comparison.
        let facts = rustix::fs::fstat(&folder).map_err(|errno| unreadable(relative, &errno))?;
        let stamp = Stamp::of(&facts);
        let mut settled = now - stamp.latest_micros() >= RACY;
        let mut candidates = Candidates::new(hour);
        each_name(folder, |name, kind| {
            if let Some(stem) = name.strip_suffix(".tombstone") {
                candidates.bury(stem);
            } else if name.ends_with(".ts")
                && self.is_file(relative, name, kind)
                && let Err(why) = candidates.add(name)
            {
                tracing::debug!(?relative, name, %why, "not a segment");
            }
        })?;
        let listing = candidates.choose(channel.clone(), quality.clone(), |name| {
            let facts = self.root.stat_file(&relative.join(name)).ok().flatten()?;
            settled &= now - Stamp::of(&facts).latest_micros() >= RACY;
            u64::try_from(facts.st_size).ok()
        });
        Ok((listing, settled.then_some(stamp)))
    }

    /// Most file systems say with the name what it is; links, and names of the others, are looked at.
    fn is_file(&self, relative: &Path, name: &str, kind: FileType) -> bool {
        match kind {
            FileType::RegularFile => true,
            FileType::Symlink | FileType::Unknown => {
                matches!(self.root.stat_file(&relative.join(name)), Ok(Some(_)))
            }
            _ => false,
        }
    }

    fn held(&self, key: &Key) -> Option<(Arc<HourListing>, Stamp)> {
        let mut held = self.held.lock();
        held.tick += 1;
        let tick = held.tick;
        let slot = held.hours.get_mut(key)?;
        slot.used = tick;
        Some((Arc::clone(&slot.listing), slot.stamp))
    }

    fn keep(&self, key: Key, listing: &Arc<HourListing>, stamp: Stamp) {
        let mut held = self.held.lock();
        held.remove(&key);
        if weight(listing) <= self.limit {
            held.weight += weight(listing);
            let used = held.tick;
            held.hours.insert(key, Slot { listing: Arc::clone(listing), stamp, used });
        }
        while held.weight > self.limit {
            let oldest = held.hours.iter().min_by_key(|(_, slot)| slot.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            held.remove(&oldest);
        }
        self.show(&held);
    }

    fn forget(&self, key: &Key) {
        let mut held = self.held.lock();
        if held.remove(key) {
            self.show(&held);
        }
    }

    fn show(&self, held: &Held) {
        self.metrics.listing_hours.set(held.hours.len() as i64);
        self.metrics.listing_segments.set(held.hours.values().map(|slot| slot.listing.len() as i64).sum());
    }
}

impl Held {
    fn remove(&mut self, key: &Key) -> bool {
        let Some(slot) = self.hours.remove(key) else { return false };
        self.weight -= weight(&slot.listing);
        true
    }
}

impl Stamp {
    // The widths of these fields differ between systems.
    #[allow(clippy::unnecessary_cast)]
    fn of(facts: &Stat) -> Self {
        Self {
            device: facts.st_dev as u64,
            inode: facts.st_ino as u64,
            modified: (facts.st_mtime as i64, facts.st_mtime_nsec as i64),
            changed: (facts.st_ctime as i64, facts.st_ctime_nsec as i64),
        }
    }

    fn of_metadata(facts: &std::fs::Metadata) -> Self {
        Self {
            device: facts.dev(),
            inode: facts.ino(),
            modified: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        }
    }

    fn latest_micros(&self) -> i64 {
        let (seconds, nanos) = self.modified.max(self.changed);
        seconds.saturating_mul(SECOND).saturating_add(nanos / 1000)
    }
}

/// Calls `each` for every visible name that is UTF-8; no request could ask for another.
fn each_name(folder: OwnedFd, mut each: impl FnMut(&str, FileType)) -> Result<()> {
    each_entry(folder, |name, kind| {
        if !name.starts_with('.') {
            each(name, kind);
        }
    })
}

fn too_large() -> Error {
    Error::new(Kind::Exhausted, "folder-too-large", "a folder holds more names than are read")
}

/// All names of a folder that are UTF-8, but for its own and its parent's.
fn each_entry(folder: OwnedFd, mut each: impl FnMut(&str, FileType)) -> Result<()> {
    let dir = Dir::new(folder).map_err(|errno| unreadable(Path::new(""), &errno))?;
    for (count, entry) in dir.enumerate() {
        let entry = match entry {
            Ok(entry) => entry,
            // The folder was removed while it was being read.
            Err(rustix::io::Errno::NOENT) => break,
            Err(errno) => return Err(unreadable(Path::new(""), &errno)),
        };
        if count >= MAX_NAMES {
            return Err(too_large());
        }
        match entry.file_name().to_str() {
            Ok("." | "..") | Err(_) => (),
            Ok(name) => each(name, entry.file_type()),
        }
    }
    Ok(())
}

fn unreadable(relative: &Path, errno: &rustix::io::Errno) -> Error {
    Error::io("a folder of the archive cannot be read", &(*errno).into())
        .with_cause(format!("{}: {errno}", relative.display()))
}

#[cfg(test)]
mod tests;
