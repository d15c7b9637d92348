//! Which packs lie on the disk, how large they are and when they were last of use: what keeps the bound.
//!
//! The directory is the truth. A [`Ledger::survey`] reads it; between surveys the ledger knows what this process
//! does. A pack's time of modification says when it was last of use, to [`FRESHNESS`], so that the order outlives
//! a restart, and so that one process sees what another uses before it takes it away.

use crate::base::metrics::Metrics;
use crate::base::time::{Clock, MINUTE, SECOND};
use crate::base::{Result, Token};
use parking_lot::Mutex;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A pack in use has its time set anew this often, in microseconds.
const FRESHNESS: i64 = 10 * MINUTE;

/// What a pack takes on the disk is counted in blocks of this many bytes.
const BLOCK: u64 = 4096;

/// More packs than this are not kept, however small: the ledger takes about 200 bytes for each.
const MAX_PACKS: usize = 262_144;

/// Folders between the root and the packs: channel, quality, day.
const DEPTH: usize = 3;

pub(super) struct Ledger {
    root: PathBuf,
    limit: u64,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    books: Mutex<Books>,
    /// Held by whoever takes packs away, so that they do not take more than is needed.
    evictor: Mutex<()>,
    surveyor: Mutex<()>,
}

#[derive(Default)]
struct Books {
    packs: HashMap<Arc<str>, Account>,
    /// Least recently used first.
    order: BTreeMap<Order, Arc<str>>,
    /// The sum of the accounts.
    total: u64,
    serial: u64,
    surveyed: bool,
}

/// Microseconds since 1970, and a number that tells equal ones apart.
type Order = (i64, u64);

struct Account {
    cost: u64,
    order: Order,
    /// The file's time of modification as far as we know, in microseconds since 1970.
    stamped: i64,
}

/// What a pack of `len` bytes takes on the disk.
pub(super) const fn cost(len: u64) -> u64 {
    len.next_multiple_of(BLOCK)
}

fn modified(facts: &fs::Metadata) -> i64 {
    facts.mtime().saturating_mul(SECOND).saturating_add(facts.mtime_nsec() / 1000)
}

impl Ledger {
    pub(super) fn new(root: PathBuf, limit: u64, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        let (books, evictor, surveyor) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { root, limit, clock, metrics, books, evictor, surveyor }
    }

    /// A pack was read. Unknown ones are left to the next survey.
    pub(super) fn used(&self, name: &str) {
        let now = self.clock.now().micros();
        let stale = {
            let mut books = self.books.lock();
            let order = books.next(now);
            let Books { packs, order: queue, .. } = &mut *books;
            match packs.get_mut(name) {
                Some(account) => {
                    if let Some(name) = queue.remove(&account.order) {
                        queue.insert(order, name);
                    }
                    account.order = order;
                    let stale = now.saturating_sub(account.stamped) >= FRESHNESS;
                    if stale {
                        account.stamped = now;
                    }
                    stale
                }
                None => true,
            }
        };
        if stale {
            self.stamp(name, now);
        }
    }

    /// Sets a pack's time of modification. It may be gone, or not ours to change; the order suffers, no more.
    fn stamp(&self, name: &str, micros: i64) {
        let time = Timespec {
            tv_sec: micros.div_euclid(SECOND) as _,
            tv_nsec: (micros.rem_euclid(SECOND) * 1000) as _,
        };
        let times = Timestamps { last_access: time, last_modification: time };
        let _ = rustix::fs::utimensat(CWD, self.root.join(name), &times, AtFlags::empty());
    }

    /// Makes room for the pack `name` to become `len` bytes long and enters it so; false where there is none.
    /// `evicted` hears the names of those that went for it.
    pub(super) fn reserve(&self, name: &str, len: u64, mut evicted: impl FnMut(&str)) -> bool {
        if self.enter(name, len) {
            return true;
        }
        if cost(len) > self.limit {
            return false;
        }
        let _alone = self.evictor.lock();
        while !self.enter(name, len) {
            match self.evict(Some(name)) {
                Some(gone) => evicted(&gone),
                None => return false,
            }
        }
        true
    }

    /// Enters the length of a pack if that keeps the bound.
    fn enter(&self, name: &str, len: u64) -> bool {
        let mut books = self.books.lock();
        let old = books.packs.get(name).map(|account| account.cost);
        let others = books.total - old.unwrap_or(0);
        let fits = others + cost(len) <= self.limit && (old.is_some() || books.packs.len() < MAX_PACKS);
        if fits {
            self.put(&mut books, name, len);
        }
        fits
    }

    /// A pack was written just now.
    pub(super) fn wrote(&self, name: &str) {
        let now = self.clock.now().micros();
        if let Some(account) = self.books.lock().packs.get_mut(name) {
            account.stamped = now;
        }
        self.stamp(name, now);
    }

    /// A pack was not there when it was looked for.
    pub(super) fn missed(&self, name: &str) {
        let mut books = self.books.lock();
        // Looked at again with the books closed, so that nobody enters it anew in between.
        if books.packs.contains_key(name) && !self.root.join(name).exists() {
            books.remove(name);
            self.show(&books);
        }
    }

    fn put(&self, books: &mut Books, name: &str, len: u64) {
        let now = self.clock.now().micros();
        books.enter(name.into(), len, now, now);
        self.show(books);
    }

    /// Takes the least recently used pack away, never `but`. `None` where there is none that can be.
    fn evict(&self, but: Option<&str>) -> Option<Arc<str>> {
        loop {
            let (name, stamped) = {
                let books = self.books.lock();
                let oldest = books.order.values().find(|name| Some(&***name) != but)?;
                (Arc::clone(oldest), books.packs.get(oldest)?.stamped)
            };
            let path = self.root.join(&*name);
            let facts = fs::metadata(&path);
            if let Ok(facts) = &facts
                && modified(facts) > stamped
            {
                // Another process used it since. Once is enough: the time is known now.
                let mut books = self.books.lock();
                let now = self.clock.now().micros();
                books.enter(name, facts.len(), modified(facts).min(now), modified(facts));
                continue;
            }
            match fs::remove_file(&path) {
                Ok(()) => {
                    self.metrics.sidecar_evictions.inc();
                    self.prune(&path);
                }
                Err(fault) if fault.kind() == ErrorKind::NotFound => (),
                Err(fault) => {
                    tracing::debug!(path = %path.display(), %fault, "a sidecar pack cannot be removed");
                    return None;
                }
            }
            let mut books = self.books.lock();
            books.remove(&name);
            self.show(&books);
            return Some(name);
        }
    }

    /// Removes the folders above a pack that went, as far as they are empty.
    fn prune(&self, path: &Path) {
        for folder in path.ancestors().skip(1).take(DEPTH) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }

    /// True where packs may be written: the directory was read, here and now if it must be and nobody else is
    /// at it.
    pub(super) fn is_ready(&self, evicted: impl FnMut(&str)) -> bool {
        if self.books.lock().surveyed {
            return true;
        }
        let Some(_alone) = self.surveyor.try_lock() else { return false };
        self.books.lock().surveyed || self.survey_alone(&Token::root(), evicted).is_ok()
    }

    /// Reads the directory, corrects the ledger by it and keeps the bound.
    pub(super) fn survey(&self, token: &Token, evicted: impl FnMut(&str)) -> Result<()> {
        let _alone = self.surveyor.lock();
        self.survey_alone(token, evicted)
    }

    fn survey_alone(&self, token: &Token, mut evicted: impl FnMut(&str)) -> Result<()> {
        let began = {
            let mut books = self.books.lock();
            books.serial += 1;
            books.serial
        };
        let mut found = HashMap::new();
        let mut folders = vec![(self.root.clone(), String::new(), 0)];
        while let Some((folder, above, depth)) = folders.pop() {
            token.check()?;
            // A folder that is gone or closed to us holds nothing that we could take away.
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                let relative = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
                let Ok(kind) = entry.file_type() else { continue };
                if depth < DEPTH && kind.is_dir() {
                    folders.push((entry.path(), relative, depth + 1));
                } else if depth == DEPTH && kind.is_file() && name.ends_with(".pack") {
                    let Ok(facts) = entry.metadata() else { continue };
                    found.insert(relative, (facts.len(), modified(&facts)));
                }
            }
        }
        let now = self.clock.now().micros();
        {
            let mut books = self.books.lock();
            // What was touched while the directory was read is known better than it was read.
            let gone: Vec<_> = books
                .packs
                .iter()
                .filter(|(name, account)| account.order.1 < began && !found.contains_key(&***name))
                .map(|(name, _)| Arc::clone(name))
                .collect();
            gone.iter().for_each(|name| books.remove(name));
            for (name, (len, modified)) in found {
                let known = books.packs.get(name.as_str());
                if known.is_some_and(|account| account.order.1 > began) {
                    continue;
                }
                let used = known.map_or(i64::MIN, |account| account.order.0).max(modified.min(now));
                books.enter(name.as_str().into(), len, used, modified);
            }
            books.surveyed = true;
            self.show(&books);
        }
        let _alone = self.evictor.lock();
        while self.is_over() {
            token.check()?;
            match self.evict(None) {
                Some(gone) => evicted(&gone),
                None => break,
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        let books = self.books.lock();
        books.total > self.limit || books.packs.len() > MAX_PACKS
    }

    /// Bytes on the disk.
    pub(super) fn total(&self) -> u64 {
        self.books.lock().total
    }

    fn show(&self, books: &Books) {
        self.metrics.sidecar_bytes_disk.set(i64::try_from(books.total).unwrap_or(i64::MAX));
    }
}

impl Books {
    fn next(&mut self, used: i64) -> Order {
        self.serial += 1;
        (used, self.serial)
    }

    fn enter(&mut self, name: Arc<str>, len: u64, used: i64, stamped: i64) {
        self.remove(&name);
        let order = self.next(used);
        self.order.insert(order, Arc::clone(&name));
        self.packs.insert(name, Account { cost: cost(len), order, stamped });
        self.total += cost(len);
    }

    fn remove(&mut self, name: &str) {
        if let Some(account) = self.packs.remove(name) {
            self.order.remove(&account.order);
            self.total -= account.cost;
        }
    }
}
