//! One pack: a file that only grows, and the table of what is in it.
//!
//! Of two records of one name the later counts. Readers take no lock. A reader that meets an appender, a torn
//! tail or a flipped bit sees a record that does not add up, and the table ends before it. Writers hold the
//! file's advisory lock, so what does not add up at the end of the file is nobody's work in progress then, and
//! is cut off.

use crate::archive::sidecar::key::Stamp;
use crate::archive::sidecar::record::{
    Identity, PACK_HEAD, Place, RECORD_HEAD, Reader, Wanted, read_pack_head, read_record, read_record_head,
    write_pack_head, write_record_head,
};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::hash::{BuildHasherDefault, Hasher};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::xxh3_128;

/// Bytes read at once while the table is built over small records, and over large ones, whose bytes are passed
/// over.
const AHEAD_SMALL: usize = 64 * 1024;
const AHEAD_LARGE: usize = 512;
const LARGE: usize = 16 * 1024;

/// Bytes read at once when many entries are asked for: an hour of frame indexes is about 2 MB.
const AHEAD_MANY: usize = 4 * 1024 * 1024;

/// Entries asked for together that lie closer than this, in bytes, are read together: less than a page.
const GAP: u64 = 4096;

/// What a table's row weighs beside its bytes.
const ROW_WEIGHT: u64 = 128;
const PACK_WEIGHT: u64 = 512;

/// How often a writer asks for a lock another process holds; that one is done in microseconds, or is stopped.
const LOCK_TRIES: usize = 1000;

/// A pack is begun anew when more than half of it was superseded and that is more than this, in bytes.
const MUCH_DEAD: u64 = 1024 * 1024;

/// What is known of one pack's file, and the bytes of it that are held in memory.
pub(super) struct Pack {
    name: Arc<str>,
    state: Mutex<State>,
    weight: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Which file the places in the table are of.
    identity: Option<Identity>,
    /// Up to where the file is in the table.
    end: u64,
    /// Bytes of records that a later one took the place of.
    dead: u64,
    table: HashMap<Name, Row, BuildHasherDefault<Named>>,
    weight: u64,
}

/// A record's name, in as many bits as no two names share: to compare the names themselves would take one more look at
/// memory for each of ten thousand segments.
type Name = u128;

fn name(text: &str) -> Name {
    xxh3_128(text.as_bytes())
}

/// What is looked up is a hash already.
#[derive(Default)]
struct Named(u64);

impl Hasher for Named {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, name: u128) {
        self.0 = name as u64;
    }
}

struct Row {
    stamp: Stamp,
    /// Where it lies in the file; `None` where it is held in memory alone.
    place: Option<Place>,
    bytes: Option<Bytes>,
}

/// What a read came to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In the order of what was wanted.
    pub bytes: Vec<Option<Bytes>>,
    pub from_memory: u64,
    pub from_disk: u64,
    /// Records that did not add up.
    pub damaged: u64,
    /// There is no such file.
    pub gone: bool,
}

/// Why bytes were not appended.
#[derive(Debug)]
pub(super) enum Declined {
    /// There is no room within the limit.
    NoRoom,
    /// Another process holds the pack.
    Busy,
    Failed(Error),
}

impl From<Error> for Declined {
    fn from(fault: Error) -> Self {
        Self::Failed(fault)
    }
}

impl Pack {
    pub(super) fn new(name: Arc<str>) -> Self {
        let state = State { weight: PACK_WEIGHT + name.len() as u64, ..State::default() };
        Self { name, weight: AtomicU64::new(state.weight), state: Mutex::new(state) }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Bytes of memory it takes.
    pub(super) fn weight(&self) -> u64 {
        self.weight.load(Ordering::Acquire)
    }

    /// The bytes held in memory, without asking the disk.
    pub(super) fn held(&self, wanted: Wanted<'_>) -> Option<Bytes> {
        self.state.lock().row(wanted)?.bytes.clone()
    }

    /// Shows `look` the bytes of `wanted` that are held in memory, in their place, and counts them. Nothing is copied, and no
    /// owner counted: of thousands that would take most of the time.
    pub(super) fn look(&self, wanted: &[Wanted<'_>], look: impl FnOnce(&[Option<&[u8]>])) -> u64 {
        let state = self.state.lock();
        let held: Vec<_> = wanted.iter().map(|one| state.row(*one)?.bytes.as_deref()).collect();
        look(&held);
        held.iter().flatten().count() as u64
    }

    /// Finds `wanted`, in memory or in the file at `path`. What was read is held from now on if `hold`.
    ///
    /// # Errors
    /// Where the file cannot be read; that there is none is no error. What memory held is in `found` all the same.
    pub(super) fn find(
        &self,
        path: &Path,
        wanted: &[Wanted<'_>],
        hold: bool,
        found: &mut Found,
    ) -> Result<()> {
        found.bytes.resize(wanted.len(), None);
        let mut missing = Vec::new();
        {
            let state = self.state.lock();
            for (index, one) in wanted.iter().enumerate() {
                found.bytes[index] = state.row(*one).and_then(|row| row.bytes.clone());
                match found.bytes[index] {
                    Some(_) => found.from_memory += 1,
                    None => missing.push(index),
                }
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let file = match File::open(path) {
            Ok(file) => file,
            Err(fault) if fault.kind() == ErrorKind::NotFound => {
                found.gone = true;
                self.update(|state| state.detach(None, 0));
                return Ok(());
            }
            Err(fault) => return Err(fault),
        };
        let len = file.metadata()?.len();
        let mut reader = Reader::new(&file, len);
        let many = missing.len() > 1;

        let mut state = self.state.lock();
        // What follows the head is wanted only where the table must be built.
        let ahead = match (many, state.identity) {
            (_, Some(_)) => AHEAD_LARGE,
            (true, None) => AHEAD_MANY,
            (false, None) => AHEAD_SMALL,
        };
        let head = read_pack_head(&mut reader, &self.name, ahead)?;
        let Some((identity, head_len)) = head else {
            found.damaged += u64::from(len > 0);
            state.detach(None, 0);
            self.publish(&state);
            return Ok(());
        };
        if state.identity != Some(identity) || len < state.end {
            state.detach(Some(identity), head_len);
        }
        let known = |state: &State, index: usize| state.row(wanted[index])?.place.map(|place| (index, place));
        if len > state.end && missing.iter().any(|index| known(&state, *index).is_none()) {
            state.scan(&mut reader, if many { AHEAD_MANY } else { AHEAD_SMALL })?;
        }
        let mut places: Vec<_> = missing.iter().filter_map(|index| known(&state, *index)).collect();
        self.publish(&state);
        drop(state);

        places.sort_unstable_by_key(|(_, place)| place.at);
        let mut read = Vec::with_capacity(places.len());
        let mut run = 0;
        for (order, (index, place)) in places.iter().enumerate() {
            if place.end() > run {
                // From here to the last of those that follow closely.
                run = place.end();
                for (_, next) in &places[order + 1..] {
                    if next.at > run + GAP || next.end() - place.at > AHEAD_MANY as u64 {
                        break;
                    }
                    run = run.max(next.end());
                }
            }
            let bytes = read_record(&mut reader, identity, wanted[*index], *place, run)?;
            read.push((*index, *place, bytes));
        }
        self.update(|state| {
            for (index, place, bytes) in read {
                if hold || bytes.is_none() {
                    state.settle(identity, wanted[index].name, place, bytes.as_ref());
                }
                match bytes {
                    Some(_) => found.from_disk += 1,
                    None => found.damaged += 1,
                }
                found.bytes[index] = bytes;
            }
        });
        Ok(())
    }

    /// Holds `bytes` in memory alone.
    pub(super) fn hold(&self, wanted: Wanted<'_>, bytes: &Bytes) {
        self.update(|state| state.insert(wanted, None, Some(bytes.clone())));
    }

    /// Appends `records` to the file at `path`, which is made where there is none; its folder must exist. The file
    /// may grow to `cap` bytes and is begun anew then. `room` is asked before the file grows, with its new
    /// length, and told where it turns out otherwise; the file's lock is held meanwhile.
    pub(super) fn append(
        &self,
        path: &Path,
        records: &[(Wanted<'_>, &Bytes)],
        cap: u64,
        mut room: impl FnMut(u64) -> bool,
    ) -> std::result::Result<(), Declined> {
        let crcs: Vec<u32> = records.iter().map(|(_, bytes)| crc32fast::hash(bytes)).collect();
        let mut state = self.state.lock();
        let file = open_locked(path)?;
        let len = file.metadata()?.len();
        let mut reader = Reader::new(&file, len);
        // What follows the head is wanted only where the table must be built.
        let ahead = if state.identity.is_some() { AHEAD_LARGE } else { AHEAD_SMALL };
        let head = read_pack_head(&mut reader, &self.name, ahead)?;
        match head {
            Some((identity, head_len)) if state.identity != Some(identity) || len < state.end => {
                state.detach(Some(identity), head_len);
            }
            Some(_) => (),
            None => state.detach(None, 0),
        }
        if state.identity.is_some() && len > state.end {
            state.scan(&mut reader, AHEAD_SMALL)?;
        }
        let mut fresh = Vec::with_capacity(records.len());
        for ((wanted, bytes), crc) in records.iter().zip(crcs) {
            // It may be there already, by another process; or only look so, being damaged.
            let row = state.row(*wanted);
            let place =
                row.and_then(|row| row.place).filter(|place| (place.len, place.crc) == (len_of(bytes), crc));
            if let (Some(place), Some(identity)) = (place, state.identity)
                && read_record(&mut reader, identity, *wanted, place, place.end())?.is_some()
            {
                state.insert(*wanted, Some(place), Some((*bytes).clone()));
            } else {
                fresh.push((*wanted, *bytes, crc));
            }
        }
        if fresh.is_empty() {
            self.publish(&state);
            room(len);
            return Ok(());
        }

        let size = |(wanted, bytes, _): &(Wanted<'_>, &Bytes, u32)| {
            (RECORD_HEAD + wanted.name.len() + bytes.len()) as u64
        };
        let size: u64 = fresh.iter().map(size).sum();
        let mostly_dead = state.dead > MUCH_DEAD && state.dead > state.end / 2;
        if state.end + size > cap || mostly_dead {
            state.detach(None, 0);
        }
        let mut text = Vec::with_capacity(PACK_HEAD + self.name.len() + size as usize);
        let identity = match state.identity {
            Some(identity) => identity,
            None => write_pack_head(&mut text, &self.name),
        };
        let from = state.end;
        let mut places = Vec::with_capacity(fresh.len());
        for (wanted, bytes, crc) in &fresh {
            let name_len = wanted.name.len() as u8;
            let place = Place { at: from + text.len() as u64, len: len_of(bytes), crc: *crc, name_len };
            write_record_head(&mut text, identity, *wanted, place);
            text.extend_from_slice(bytes);
            places.push(place);
        }
        let to = from + text.len() as u64;
        self.publish(&state);
        if to > cap || !room(to) {
            if len == 0 {
                let _ = std::fs::remove_file(path);
            }
            return Err(Declined::NoRoom);
        }
        let written = (if len > from { file.set_len(from) } else { Ok(()) })
            .and_then(|()| file.write_all_at(&text, from));
        if let Err(fault) = written {
            // Where that fails too, half a record takes room until the next writer comes; it misleads nobody.
            let _ = if from == 0 { std::fs::remove_file(path) } else { file.set_len(from) };
            room(file.metadata().map_or(from, |facts| facts.len()));
            return Err(fault.into());
        }
        state.identity = Some(identity);
        for ((wanted, bytes, _), place) in fresh.into_iter().zip(places) {
            state.insert(wanted, Some(place), Some(bytes.clone()));
        }
        state.end = to;
        self.publish(&state);
        Ok(())
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let answer = change(&mut state);
        self.publish(&state);
        answer
    }

    fn publish(&self, state: &State) {
        self.weight.store(state.weight, Ordering::Release);
    }
}

impl State {
    /// What is known of what is wanted, of that very content.
    fn row(&self, wanted: Wanted<'_>) -> Option<&Row> {
        self.table.get(&name(wanted.name)).filter(|row| row.stamp == wanted.stamp)
    }

    /// The file is another one, or none. Bytes in memory are still those of their keys.
    fn detach(&mut self, identity: Option<Identity>, end: u64) {
        (self.identity, self.end, self.dead) = (identity, end, 0);
        self.table.retain(|_, row| {
            row.place = None;
            if row.bytes.is_none() {
                self.weight -= ROW_WEIGHT;
            }
            row.bytes.is_some()
        });
    }

    fn insert(&mut self, wanted: Wanted<'_>, place: Option<Place>, bytes: Option<Bytes>) {
        let held = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        self.weight += held(&bytes);
        if let Some(row) = self.table.get_mut(&name(wanted.name)) {
            self.weight -= held(&row.bytes);
            if let Some(old) = row.place.filter(|old| place.is_none_or(|new| new.at != old.at)) {
                self.dead += old.end() - old.at;
            }
            *row = Row { stamp: wanted.stamp, place, bytes };
        } else {
            self.weight += ROW_WEIGHT;
            self.table.insert(name(wanted.name), Row { stamp: wanted.stamp, place, bytes });
        }
    }

    /// Takes the file's records from `end` on into the table.
    fn scan(&mut self, reader: &mut Reader<'_>, ahead: usize) -> Result<()> {
        let Some(identity) = self.identity else { return Ok(()) };
        let mut ahead = ahead;
        while let Some((place, stamp, name)) = read_record_head(reader, identity, self.end, ahead)? {
            ahead = if place.len as usize > LARGE { AHEAD_LARGE } else { ahead.max(AHEAD_SMALL) };
            let text = String::from_utf8_lossy(&name);
            self.insert(Wanted { name: &text, stamp }, Some(place), None);
            self.end = place.end();
        }
        Ok(())
    }

    /// What reading the record at `place` came to.
    fn settle(&mut self, identity: Identity, text: &str, place: Place, bytes: Option<&Bytes>) {
        if self.identity != Some(identity) {
            return;
        }
        let Some(row) = self.table.get_mut(&name(text)).filter(|row| row.place == Some(place)) else {
            return;
        };
        match bytes {
            Some(bytes) if row.bytes.is_none() => {
                self.weight += bytes.len() as u64;
                row.bytes = Some(bytes.clone());
            }
            Some(_) => (),
            None if row.bytes.is_some() => row.place = None,
            None => {
                self.weight -= ROW_WEIGHT;
                self.dead += place.end() - place.at;
                self.table.remove(&name(text));
            }
        }
    }
}

/// The cache takes no entry whose length would not fit.
fn len_of(bytes: &Bytes) -> u32 {
    bytes.len() as u32
}

/// The file at `path`, made where there is none, with its lock held until it is closed.
fn open_locked(path: &Path) -> std::result::Result<File, Declined> {
    for _ in 0..LOCK_TRIES {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                // Somebody may have removed it in between, and bytes would go to a file without a name.
                let (mine, named) = (file.metadata()?, std::fs::metadata(path));
                if named.is_ok_and(|named| (named.dev(), named.ino()) == (mine.dev(), mine.ino())) {
                    return Ok(file);
                }
            }
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            Err(TryLockError::Error(fault)) => return Err(fault.into()),
        }
    }
    Err(Declined::Busy)
}
