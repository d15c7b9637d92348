//! Bytes derived from segments — frame indexes, peaks, tiles — kept in a cache directory. What they mean is the
//! business of those who make them; here they are filed, checked, bounded and given back.
//!
//! A cache in every respect: it may be empty, unwritable, damaged or removed at any moment, by hand or by
//! another server on the same directory, and the answer is the bytes that were put in under that very key, or
//! none. Faults are counted and never reach the request.
//!
//! # Why packs
//!
//! A day of 2 s segments is 43,200 of them, with an index of about a kilobyte each. One file each would take a
//! 4 KiB block and an inode each, and a request for 12 hours would open 21,600 files. So the entries of one hour
//! and product are appended to one file, the pack, whose table is built by reading it once. Twelve hours of 2 s
//! segments with 1 KiB each, all asked for at once, on ext4 (`tests/measure.rs`, one run):
//!
//! | | a file each | packs |
//! | --- | --- | --- |
//! | bytes on the disk, inodes | 88.5 MB, 21,600 | 24.4 MB, 12 |
//! | read from the disk, nothing cached | 1,423 ms | 77 ms |
//! | read from the page cache | 59 ms, unchecked | 28 ms, checked |
//! | held in memory | | 6.4 ms, 26.4 MB |
//! | written one by one | 463 ms | 317 ms |
//!
//! What that costs: an entry cannot be taken away alone, so eviction goes by the hour, and superseded entries
//! take room until more than half of a pack is dead and it is begun anew. Both are rare by nature: a segment
//! with the same name has the same content. One entry of an hour not yet looked at takes 0.7 ms, for the table.
//! Packs lie in a folder for each day, so that ten years are 3,650 folders in a quality.
//!
//! # Bounds
//!
//! What the cache takes on the disk never passes the limit by this process's doing: room is made before a pack
//! grows. What other processes on the directory put there is seen by [`Sidecars::survey`], which makes it hold
//! for all of them together.

mod flight;
mod key;
mod ledger;
mod pack;
mod record;
mod shelf;

pub use key::{Key, Product, Stamp};

use crate::base::metrics::Metrics;
use crate::base::time::{Clock, SystemClock};
use crate::base::{Result, Token};
use bytes::Bytes;
use flight::Flights;
use ledger::Ledger;
use pack::{Declined, Found, Pack};
use record::Wanted;
use shelf::Shelf;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The folder within the cache directory; another layout gets another one.
const LAYOUT: &str = "v1";

/// Programs that make backups pass over a directory that has this file (bford.info/cachedir).
const TAG_NAME: &str = "CACHEDIR.TAG";
const TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n# Derived data of Moviola; it can be removed at any time.\n";

/// A pack takes at most this part of the cache, so that one hour does not push out all others.
const SHARE: u64 = 4;

/// And no more than this, in bytes; an hour of pictures is tens of megabytes.
const MAX_PACK: u64 = 1024 * 1024 * 1024;

/// The largest entry, in bytes: what one read allocates.
const MAX_ENTRY: usize = 64 * 1024 * 1024;

/// How much the cache may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SidecarLimits {
    /// Bytes on the disk, in whole blocks; a pack takes at most a quarter. 0: nothing is written.
    pub disk_bytes: u64,
    /// Bytes in memory. 0: every read goes to the disk.
    pub memory_bytes: u64,
}

impl Default for SidecarLimits {
    fn default() -> Self {
        Self { disk_bytes: 4 << 30, memory_bytes: 128 << 20 }
    }
}

/// The cache. Every method may wait for the disk, and none fails for its sake.
pub struct Sidecars {
    root: PathBuf,
    limits: SidecarLimits,
    metrics: Metrics,
    shelf: Shelf,
    ledger: Ledger,
    flights: Flights,
    /// Faults of the disk are counted; the first one goes to the log.
    warned: AtomicBool,
}

impl Sidecars {
    /// The cache in `directory`, which is made where there is none. Reads nothing yet: call [`Self::survey`] in
    /// the background after this and every few minutes, or else the first [`Self::put`] does it.
    pub fn open(directory: &Path, limits: SidecarLimits, metrics: Metrics) -> Self {
        Self::open_with_clock(directory, limits, metrics, Arc::new(SystemClock))
    }

    /// [`Self::open`] with another clock, by which the packs are ordered.
    pub fn open_with_clock(
        directory: &Path,
        limits: SidecarLimits,
        metrics: Metrics,
        clock: Arc<dyn Clock>,
    ) -> Self {
        for (name, limit) in
            [("sidecar_disk_bytes", limits.disk_bytes), ("sidecar_memory_bytes", limits.memory_bytes)]
        {
            metrics.limits.with_label_values(&[name]).set(limit as f64);
        }
        let root = directory.join(LAYOUT);
        let cache = Self {
            shelf: Shelf::new(limits.memory_bytes, metrics.clone()),
            ledger: Ledger::new(root.clone(), limits.disk_bytes, clock, metrics.clone()),
            flights: Flights::default(),
            warned: AtomicBool::new(false),
            root,
            limits,
            metrics,
        };
        if limits.disk_bytes > 0
            && let Err(fault) = fs::create_dir_all(&cache.root).and_then(|()| tag(directory))
        {
            cache.fault("write", &fault);
        }
        cache
    }

    /// The bytes put under `key`.
    pub fn get(&self, key: &Key<'_>) -> Option<Bytes> {
        self.get_many(std::slice::from_ref(key)).pop().flatten()
    }

    /// The bytes put under each of `keys`, in their order. Neighbours of one hour and product cost one opening
    /// of one file, or none where memory has them.
    pub fn get_many(&self, keys: &[Key<'_>]) -> Vec<Option<Bytes>> {
        self.find(keys, true)
    }

    /// Shows `look` what memory holds of `keys`, those of one hour and product at a time, with the place of the first of them
    /// in `keys`. It has to be quick: nobody else gets at that hour meanwhile.
    pub fn look_many(&self, keys: &[Key<'_>], mut look: impl FnMut(usize, &[Option<&[u8]>])) {
        let mut first = 0;
        for keys in keys.chunk_by(Key::same_pack) {
            let Some(one) = keys.first() else { continue };
            let pack = self.shelf.pack(&one.pack());
            let wanted: Vec<_> = keys.iter().map(wanted).collect();
            let count = pack.look(&wanted, |held| look(first, held));
            if count > 0 {
                self.ledger.used(pack.name());
                self.metrics.sidecar_reads.with_label_values(&["memory"]).inc_by(count);
            }
            first += keys.len();
        }
    }

    /// [`Self::get_many`] for who goes through so many that they would push out what others come back for: nothing more
    /// is held in memory afterwards.
    pub fn pass_many(&self, keys: &[Key<'_>]) -> Vec<Option<Bytes>> {
        self.find(keys, false)
    }

    fn find(&self, keys: &[Key<'_>], hold: bool) -> Vec<Option<Bytes>> {
        let mut all = Vec::with_capacity(keys.len());
        for keys in keys.chunk_by(Key::same_pack) {
            let Some(first) = keys.first() else { continue };
            let pack = self.shelf.pack(&first.pack());
            let wanted: Vec<_> = keys.iter().map(wanted).collect();
            let mut found = Found::default();
            if let Err(fault) = pack.find(&self.path(&pack), &wanted, hold, &mut found) {
                self.fault("read", &fault);
            }
            self.shelf.weigh(&pack);
            if found.gone {
                self.ledger.missed(pack.name());
            }
            if found.from_memory + found.from_disk > 0 {
                self.ledger.used(pack.name());
            }
            let missed = keys.len() as u64 - found.from_memory - found.from_disk;
            for (from, count) in [("memory", found.from_memory), ("disk", found.from_disk), ("miss", missed)]
            {
                if count > 0 {
                    self.metrics.sidecar_reads.with_label_values(&[from]).inc_by(count);
                }
            }
            if found.damaged > 0 {
                self.metrics.sidecar_faults.with_label_values(&["damaged"]).inc_by(found.damaged);
            }
            all.append(&mut found.bytes);
        }
        all
    }

    /// Files `bytes` under `key`, in memory and on the disk. True where they are on the disk: elsewhere it is
    /// full, closed to us, or of no use for an entry of this size.
    pub fn put(&self, key: &Key<'_>, bytes: impl Into<Bytes>) -> bool {
        self.put_many(&[(key, bytes.into())])
    }

    /// [`Self::put`] for many. Neighbours of one hour and product cost one opening and one write of one file. True where all
    /// are on the disk.
    pub fn put_many(&self, entries: &[(&Key<'_>, Bytes)]) -> bool {
        let mut kept = true;
        for entries in entries.chunk_by(|a, b| a.0.same_pack(b.0)) {
            let Some((first, _)) = entries.first() else { continue };
            let pack = self.shelf.pack(&first.pack());
            if let Err(declined) = self.write(&pack, entries) {
                match declined {
                    // One of them may be what is too long, or all together.
                    Declined::NoRoom if entries.len() > 1 => {
                        for entry in entries {
                            kept &= self.put_many(std::slice::from_ref(entry));
                        }
                        continue;
                    }
                    Declined::NoRoom => self.metrics.sidecar_faults.with_label_values(&["room"]).inc(),
                    Declined::Busy => self.metrics.sidecar_faults.with_label_values(&["busy"]).inc(),
                    Declined::Failed(fault) => self.fault("write", &fault),
                }
                entries.iter().for_each(|(key, bytes)| pack.hold(wanted(key), bytes));
                kept = false;
            }
            self.shelf.weigh(&pack);
        }
        kept
    }

    fn write(&self, pack: &Arc<Pack>, entries: &[(&Key<'_>, Bytes)]) -> Result<(), Declined> {
        let cap = (self.limits.disk_bytes / SHARE).min(MAX_PACK);
        let evicted = |name: &str| self.shelf.remove(name);
        let longest = entries.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(0);
        if longest > MAX_ENTRY || longest as u64 > cap {
            return Err(Declined::NoRoom);
        }
        if !self.ledger.is_ready(evicted) {
            return Err(Declined::Busy);
        }
        let path = self.path(pack);
        let records: Vec<_> = entries.iter().map(|(key, bytes)| (wanted(key), bytes)).collect();
        let append = || {
            let room = |len| self.ledger.reserve(pack.name(), len, evicted);
            pack.append(&path, &records, cap, room)
        };
        let mut answer = append();
        // The folder is missing for the first of its day, and again where its last pack was just evicted.
        for _ in 0..3 {
            match (&answer, path.parent()) {
                (Err(Declined::Failed(fault)), Some(folder)) if fault.kind() == ErrorKind::NotFound => {
                    fs::create_dir_all(folder)?;
                    answer = append();
                }
                _ => break,
            }
        }
        answer.inspect(|()| self.ledger.wrote(pack.name()))
    }

    /// The bytes under `key`; where there are none, those that `make` gives, which are filed. Of several callers
    /// at once one makes them. A maker that is cancelled or runs out of time hands over to another caller.
    ///
    /// # Errors
    /// What `make` says, to all who waited for it and to nobody after them; [`crate::base::Kind::Cancelled`] or
    /// `Deadline` as `token` has it.
    pub fn get_or_make(
        &self,
        key: &Key<'_>,
        token: &Token,
        make: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Bytes> {
        self.run_flight(key, token, || {
            if let Some(bytes) = self.get(key) {
                return Ok(bytes);
            }
            let bytes = Bytes::from(make()?);
            self.put(key, bytes.clone());
            Ok(bytes)
        })
    }

    /// [`Self::get_or_make`] for who has just seen that they are not on the disk, and makes so many that they are better
    /// filed together: what is made is held in memory until the caller hands it to [`Self::put_many`].
    ///
    /// # Errors
    /// Those of [`Self::get_or_make`].
    pub fn make_to_file(
        &self,
        key: &Key<'_>,
        token: &Token,
        make: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Bytes> {
        self.run_flight(key, token, || {
            // Whoever was at it may have landed just now.
            if let Some(bytes) = self.shelf.pack(&key.pack()).held(wanted(key)) {
                return Ok(bytes);
            }
            let bytes = Bytes::from(make()?);
            self.hold(key, &bytes);
            Ok(bytes)
        })
    }

    /// Holds `bytes` under `key` in memory, until the caller hands them to [`Self::put_many`].
    pub fn hold(&self, key: &Key<'_>, bytes: &Bytes) {
        let pack = self.shelf.pack(&key.pack());
        pack.hold(wanted(key), bytes);
        self.shelf.weigh(&pack);
    }

    /// The bytes held under `key`, or those of a flight for it.
    fn run_flight(
        &self,
        key: &Key<'_>,
        token: &Token,
        make: impl FnOnce() -> Result<Bytes>,
    ) -> Result<Bytes> {
        let name = key.pack();
        let pack = self.shelf.pack(&name);
        if let Some(bytes) = pack.held(wanted(key)) {
            self.metrics.sidecar_reads.with_label_values(&["memory"]).inc();
            self.ledger.used(pack.name());
            return Ok(bytes);
        }
        drop(pack);
        let Wanted { name: file, stamp } = wanted(key);
        let flight = format!("{name}/{file}/{}/{}", stamp.size, stamp.modified);
        self.flights.run(&flight, token, make)
    }

    /// Reads the directory: what other processes put there, what was removed by hand. Takes away the least
    /// recently used packs until the bound holds. Work for the batch lane.
    ///
    /// # Errors
    /// [`crate::base::Kind::Cancelled`] or `Deadline` as `token` has it.
    pub fn survey(&self, token: &Token) -> Result<()> {
        self.ledger.survey(token, |name| self.shelf.remove(name))
    }

    /// Bytes on the disk, as far as this process knows, in whole blocks.
    pub fn disk_bytes(&self) -> u64 {
        self.ledger.total()
    }

    fn path(&self, pack: &Pack) -> PathBuf {
        self.root.join(&**pack.name())
    }

    fn fault(&self, what: &str, fault: &std::io::Error) {
        self.metrics.sidecar_faults.with_label_values(&[what]).inc();
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(root = %self.root.display(), what, %fault, "the cache directory cannot be used");
        }
    }
}

fn wanted<'a>(key: &Key<'a>) -> Wanted<'a> {
    Wanted { name: key.name, stamp: key.stamp }
}

fn tag(directory: &Path) -> std::io::Result<()> {
    match File::options().write(true).create_new(true).open(directory.join(TAG_NAME)) {
        Ok(mut file) => file.write_all(TAG),
        Err(fault) if fault.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(fault) => Err(fault),
    }
}

#[cfg(test)]
mod tests;
