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
use crate::base::{Channel, Error, Hour, Kind, Name, Quality, Result};
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
        let mut refused = 0_usize;
        each_name(folder, |name, kind| {
            if let Some(stem) = name.strip_suffix(".tombstone") {
                candidates.bury(stem);
            } else if name.ends_with(".ts") && self.is_file(relative, name, kind) {
                if let Err(why) = candidates.add(name) {
                    tracing::debug!(?relative, name, %why, "not a segment");
                    refused += 1;
                }
            }
        })?;
        if refused > 0 {
            tracing::debug!(?relative, refused, "names that are no segments were passed over");
        }
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
    let dir = Dir::new(folder).map_err(|errno| unreadable(Path::new(""), &errno))?;
    for (count, entry) in dir.enumerate() {
        let entry = match entry {
            Ok(entry) => entry,
            // The folder was removed while it was being read.
            Err(rustix::io::Errno::NOENT) => break,
            Err(errno) => return Err(unreadable(Path::new(""), &errno)),
        };
        if count >= MAX_NAMES {
            return Err(Error::new(
                Kind::Exhausted,
                "folder-too-large",
                "a folder holds more names than are read",
            ));
        }
        match entry.file_name().to_str() {
            Ok(name) if !name.starts_with('.') => each(name, entry.file_type()),
            _ => (),
        }
    }
    Ok(())
}

fn unreadable(relative: &Path, errno: &rustix::io::Errno) -> Error {
    Error::new(Kind::Internal, "input-output", "a folder of the archive cannot be read")
        .with_cause(format!("{}: {errno}", relative.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::{SteppedClock, SystemClock};
    use std::fs;

    struct Fixture {
        dir: tempfile::TempDir,
        clock: Arc<SteppedClock>,
        metrics: Metrics,
        listings: Listings,
    }

    const HOUR: &str = "2024-11-09T13";

    impl Fixture {
        fn new(limit: usize) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let clock = Arc::new(SteppedClock::new(SystemClock.now()));
            let metrics = Metrics::new();
            let root = Root::open(dir.path()).unwrap();
            let listings = Listings::new(root, limit, Arc::<SteppedClock>::clone(&clock), metrics.clone());
            Self { dir, clock, metrics, listings }
        }

        /// From here on, everything written so far was written long ago.
        fn settle(&self) {
            self.clock.step(10 * SECOND);
        }

        fn file(&self, hour: &str, name: &str, bytes: usize) -> PathBuf {
            let folder = self.dir.path().join("chan/720p").join(hour);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(name), vec![0; bytes]).unwrap();
            folder.join(name)
        }

        fn read(&self, hour: &str) -> Option<Vec<String>> {
            let (channel, quality) = names();
            let listing = self.listings.hour(&channel, &quality, Hour::parse(hour).unwrap()).unwrap()?;
            Some(listing.segments().map(|segment| segment.name().to_owned()).collect())
        }

        /// How many listings came from memory and from the disk.
        fn reads(&self) -> (u64, u64) {
            (self.listings.hits.get(), self.listings.misses.get())
        }
    }

    fn names() -> (Channel, Quality) {
        (Channel::new("chan").unwrap(), Quality::new("720p").unwrap())
    }

    #[test]
    fn a_settled_hour_is_read_once_and_a_changed_one_again() {
        let fixture = Fixture::new(100);
        fixture.file(HOUR, "00:00.0-2.0-full-AA.ts", 1);
        fixture.settle();
        for _ in 0..3 {
            assert_eq!(fixture.read(HOUR).unwrap(), ["00:00.0-2.0-full-AA.ts"]);
        }
        assert_eq!(fixture.reads(), (2, 1));
        let second = fixture.file(HOUR, "00:02.0-2.0-full-AA.ts", 1);
        fixture.settle();
        assert_eq!(fixture.read(HOUR).unwrap().len(), 2);
        fs::remove_file(second).unwrap();
        fixture.settle();
        assert_eq!(fixture.read(HOUR).unwrap().len(), 1);
        assert_eq!(fixture.reads(), (2, 3));
        fs::remove_dir_all(fixture.dir.path().join("chan/720p").join(HOUR)).unwrap();
        assert_eq!(fixture.read(HOUR), None);
        assert_eq!((fixture.metrics.listing_hours.get(), fixture.metrics.listing_segments.get()), (0, 0));
    }

    #[test]
    fn a_folder_changed_a_moment_ago_is_not_trusted() {
        let fixture = Fixture::new(100);
        fixture.file(HOUR, "00:00.0-2.0-full-AA.ts", 1);
        for _ in 0..3 {
            fixture.read(HOUR);
        }
        assert_eq!(fixture.reads(), (0, 3));
        assert_eq!(fixture.metrics.listing_hours.get(), 0);
    }

    #[test]
    fn a_tie_over_a_file_that_may_still_grow_is_not_trusted() {
        let fixture = Fixture::new(100);
        let growing = fixture.file(HOUR, "00:00.0-2.0-partial-AA.ts", 1);
        fixture.file(HOUR, "00:00.0-2.0-partial-BA.ts", 2);
        fixture.settle();
        assert_eq!(fixture.read(HOUR).unwrap(), ["00:00.0-2.0-partial-BA.ts"]);
        // Touched "now", which is what growing does; the folder's own times stay.
        let touched = fs::File::options().write(true).open(&growing).unwrap();
        touched.set_len(3).unwrap();
        let ahead = std::time::SystemTime::now() + std::time::Duration::from_secs(20);
        touched.set_times(fs::FileTimes::new().set_modified(ahead)).unwrap();
        // The one before was trusted, which is the documented limit: files do not grow under their final name.
        assert_eq!(fixture.read(HOUR).unwrap(), ["00:00.0-2.0-partial-BA.ts"]);
        fixture.file(HOUR, "00:02.0-2.0-full-AA.ts", 1);
        fixture.settle();
        let before = fixture.reads();
        for _ in 0..2 {
            assert_eq!(fixture.read(HOUR).unwrap()[0], "00:00.0-2.0-partial-AA.ts");
        }
        assert_eq!(fixture.reads(), (before.0, before.1 + 2));
    }

    #[test]
    fn holds_no_more_than_its_limit_and_drops_what_was_not_asked_for() {
        let fixture = Fixture::new(5);
        let hours = ["2024-11-09T01", "2024-11-09T02", "2024-11-09T03"];
        for hour in hours {
            fixture.file(hour, "00:00.0-2.0-full-AA.ts", 1);
            fixture.file(hour, "00:02.0-2.0-full-AA.ts", 1);
        }
        for second in 0..6 {
            fixture.file("2024-11-09T04", &format!("00:0{second}.0-1.0-full-AA.ts"), 1);
        }
        fixture.settle();
        for hour in [hours[0], hours[1], hours[0], hours[2]] {
            fixture.read(hour);
        }
        assert_eq!((fixture.metrics.listing_hours.get(), fixture.metrics.listing_segments.get()), (2, 4));
        let before = fixture.reads();
        fixture.read(hours[0]);
        fixture.read(hours[2]);
        assert_eq!(fixture.reads(), (before.0 + 2, before.1), "the one not asked for lately went");
        // An hour larger than the limit is answered and not held.
        assert_eq!(fixture.read("2024-11-09T04").unwrap().len(), 6);
        assert_eq!(fixture.metrics.listing_segments.get(), 4);
    }

    #[test]
    fn passes_over_what_is_no_segment() {
        let fixture = Fixture::new(100);
        fixture.file(HOUR, "00:00.0-2.0-full-AA.ts", 1);
        fixture.file(HOUR, ".00:02.0-2.0-full-AA.ts", 1);
        fixture.file(HOUR, "00:04.0-inf-full-AA.ts", 1);
        fixture.file(HOUR, "00:06.0-2.0-temp-x.ts", 1);
        fixture.file(HOUR, "00:08.0-2.0-full-AA.ts", 1);
        fixture.file(HOUR, "00:08.0-2.0-full-AA.tombstone", 0);
        let target = fixture.file(HOUR, "readme.txt", 1);
        let folder = target.parent().unwrap().to_owned();
        fs::create_dir(folder.join("00:10.0-2.0-full-AA.ts")).unwrap();
        std::os::unix::fs::symlink("readme.txt", folder.join("00:12.0-2.0-full-AA.ts")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.join("00:14.0-2.0-full-AA.ts")).unwrap();
        let odd = std::ffi::OsStr::new("00:16.0-2.0-full-");
        let odd = [std::os::unix::ffi::OsStrExt::as_bytes(odd), b"\xff.ts"].concat();
        fs::write(folder.join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&odd)), "x")
            .unwrap();
        assert_eq!(fixture.read(HOUR).unwrap(), ["00:00.0-2.0-full-AA.ts", "00:12.0-2.0-full-AA.ts"]);
        let (channel, quality) = names();
        let listed = |tombstones| {
            fixture.listings.files(&channel, &quality, &Name::new("hour", HOUR).unwrap(), tombstones).unwrap()
        };
        let mut plain = vec![
            "00:00.0-2.0-full-AA.ts",
            "00:04.0-inf-full-AA.ts",
            "00:06.0-2.0-temp-x.ts",
            "00:10.0-2.0-full-AA.ts",
            "00:12.0-2.0-full-AA.ts",
            "00:14.0-2.0-full-AA.ts",
        ];
        assert_eq!(listed(false), plain);
        plain.insert(3, "00:08.0-2.0-full-AA.tombstone");
        assert_eq!(listed(true), plain);
    }

    #[test]
    fn hours_are_the_folders_named_so() {
        let fixture = Fixture::new(100);
        for hour in ["2024-11-09T13", "2024-11-09T02", "not-an-hour", "9999-12-31T23", "2024-11-09T24"] {
            fixture.file(hour, "x.ts", 1);
        }
        fs::write(fixture.dir.path().join("chan/720p/2024-11-09T05"), "a file").unwrap();
        let (channel, quality) = names();
        let hours: Vec<String> =
            fixture.listings.hours(&channel, &quality).unwrap().iter().map(Hour::to_string).collect();
        assert_eq!(hours, ["2024-11-09T02", "2024-11-09T13", "9999-12-31T23"]);
        assert_eq!(fixture.read("2024-11-09T05"), None);
        assert!(fixture.listings.hours(&Channel::new("nope").unwrap(), &quality).unwrap().is_empty());
        assert_eq!(fixture.listings.names(&[]).unwrap(), ["chan"]);
        assert_eq!(fixture.listings.names(&["chan", "720p", "2024-11-09T05"]).unwrap(), Vec::<String>::new());
    }
}
