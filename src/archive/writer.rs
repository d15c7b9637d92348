//! The one place that makes a segment: a hidden temporary file, written and hashed, flushed to the disk,
//! renamed to its final name, and the folder flushed too.
//!
//! Invariant: a visible file with the name of a segment is complete and on the disk, whatever moment the
//! process or the machine died at. What a killed writer leaves is hidden, and [`sweep`] takes it away.

use crate::archive::hour::hour_path;
use crate::archive::name::{MAX_DURATION, SegmentKind, SegmentName};
use crate::base::time::{Clock, SystemClock};
use crate::base::{Channel, Error, Hour, Name, Quality, Result, Timestamp, Token};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Hidden, so that neither listings nor other programs on the archive take it for a segment.
const TEMP_PREFIX: &str = ".moviola-";
const TEMP_SUFFIX: &str = ".part";

/// MPEG-TS arrives in packets of 188 bytes; this many bytes go to the disk at once.
const BUFFER: usize = 64 * 1024;

/// Tells the temporary files of one process apart.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// A segment being written. Dropping it takes the temporary file away.
#[derive(Debug)]
pub struct SegmentWriter {
    folder: PathBuf,
    /// `None` once the file has its final name.
    temp: Option<PathBuf>,
    file: BufWriter<File>,
    hash: Sha256,
    start: Timestamp,
    bytes: u64,
}

/// A finished segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub hour: Hour,
    /// The file's name, extension included.
    pub name: String,
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

impl SegmentWriter {
    /// Begins a segment below `root`; `start` is the presentation time of its first video frame. Makes the
    /// folders it needs.
    ///
    /// # Errors
    /// [`crate::base::Kind::Exhausted`] where the disk is full, else `Internal`.
    pub(super) fn create(
        root: &Path,
        channel: &Channel,
        quality: &Quality,
        start: Timestamp,
    ) -> Result<Self> {
        let folder = make_folders(root, &hour_path(channel, quality, start.hour())).map_err(failed)?;
        let (temp, file) = create_temp(&folder).map_err(failed)?;
        let file = BufWriter::with_capacity(BUFFER, file);
        Ok(Self { folder, temp: Some(temp), file, hash: Sha256::new(), start, bytes: 0 })
    }

    /// Appends bytes of the segment.
    ///
    /// # Errors
    /// [`crate::base::Kind::Exhausted`] where the disk is full, else `Internal`. The segment is lost then.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(failed)?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// How many bytes were written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives the segment its name; it is visible and on the disk when this returns. `duration` is in
    /// microseconds. Another segment of the same name has the same content and is replaced by it.
    ///
    /// # Errors
    /// `Invalid` for a duration no name can carry and for [`SegmentKind::Temp`]; otherwise as [`Self::write`].
    pub fn finish(mut self, duration: i64, kind: SegmentKind) -> Result<Written> {
        if !(0..=MAX_DURATION).contains(&duration) || kind == SegmentKind::Temp {
            return Err(Error::invalid(
                "invalid-segment",
                "duration",
                "a segment lasts from 0 to 86400 seconds and is full, suspect or partial",
            ));
        }
        self.file.flush().map_err(failed)?;
        self.file.get_ref().sync_all().map_err(failed)?;
        let hash = URL_SAFE_NO_PAD.encode(self.hash.finalize_reset());
        let name = SegmentName { start: self.start, duration, kind, hash: &hash }.to_string();
        let path = self.folder.join(&name);
        if let Some(temp) = &self.temp {
            fs::rename(temp, &path).map_err(failed)?;
        }
        self.temp = None;
        sync_folder(&self.folder).map_err(failed)?;
        Ok(Written { hour: self.start.hour(), name, path, bytes: self.bytes })
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        if let Some(temp) = &self.temp {
            // It may be gone already; and a file that cannot be removed is left to `sweep`.
            let _ = fs::remove_file(temp);
        }
    }
}

/// A video at the top of the archive being written, under a name of its own. Dropping it takes the temporary file away.
#[derive(Debug)]
pub struct VideoWriter {
    folder: PathBuf,
    path: PathBuf,
    /// `None` once the file has its final name.
    temp: Option<PathBuf>,
    file: BufWriter<File>,
}

impl VideoWriter {
    /// Begins the video `name` below `root`; `None` where there is something of that name.
    pub(super) fn create(root: &Path, name: &Name) -> Result<Option<Self>> {
        let path = root.join(name);
        if fs::symlink_metadata(&path).is_ok() {
            return Ok(None);
        }
        let (temp, file) = create_temp(root).map_err(failed)?;
        let file = BufWriter::with_capacity(BUFFER, file);
        Ok(Some(Self { folder: root.to_owned(), path, temp: Some(temp), file }))
    }

    /// # Errors
    /// [`crate::base::Kind::Exhausted`] where the disk is full, else `Internal`. The video is lost then.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(failed)
    }

    /// Gives the video its name; it is visible and on the disk when this returns. Where another writer was sooner,
    /// his stays.
    pub fn finish(mut self) -> Result<()> {
        self.file.flush().map_err(failed)?;
        self.file.get_ref().sync_all().map_err(failed)?;
        if let Some(temp) = self.temp.take() {
            // A link is not made over a name that is taken, as a renaming would be.
            let linked = fs::hard_link(&temp, &self.path);
            let _ = fs::remove_file(&temp);
            match linked {
                Err(fault) if fault.kind() != ErrorKind::AlreadyExists => return Err(failed(fault)),
                _ => {}
            }
        }
        sync_folder(&self.folder).map_err(failed)
    }
}

impl Drop for VideoWriter {
    fn drop(&mut self) {
        if let Some(temp) = &self.temp {
            // It may be gone already; and a file that cannot be removed is left to `sweep`.
            let _ = fs::remove_file(temp);
        }
    }
}

fn failed(fault: std::io::Error) -> Error {
    match fault.kind() {
        // A folder taken away under the writer is the server's trouble; nobody asked for a missing thing.
        ErrorKind::NotFound => Error::internal("the segment cannot be written").with_cause(fault),
        _ => Error::io("the segment cannot be written", &fault),
    }
}

/// Makes the folders of `relative` below `root`, flushing the parent of each new one.
fn make_folders(root: &Path, relative: &Path) -> std::io::Result<PathBuf> {
    let mut folder = root.to_owned();
    for component in relative.components() {
        let parent = folder.clone();
        folder.push(component);
        match fs::create_dir(&folder) {
            Ok(()) => sync_folder(&parent)?,
            Err(fault) if fault.kind() == ErrorKind::AlreadyExists => (),
            Err(fault) => return Err(fault),
        }
    }
    Ok(folder)
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A new file whose name no other writer has, in this process, another, or one on another machine. It is locked as long as it
/// is open, so that [`sweep`] can tell whether its writer lives.
fn create_temp(folder: &Path) -> std::io::Result<(PathBuf, File)> {
    loop {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let (process, now) = (std::process::id(), SystemClock.now().micros());
        let path = folder.join(format!("{TEMP_PREFIX}{process}-{now:x}-{serial}{TEMP_SUFFIX}"));
        match File::options().write(true).create_new(true).open(&path) {
            Ok(file) => {
                // File systems without locks have their files judged by age alone.
                let _ = lock(&file);
                return Ok((path, file));
            }
            Err(fault) if fault.kind() == ErrorKind::AlreadyExists => continue,
            Err(fault) => return Err(fault),
        }
    }
}

/// True where nobody else has it locked.
fn lock(file: &File) -> bool {
    flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// A file that nobody has locked is swept once it was not written to for so long: between its creation and its lock it is
/// younger.
const UNLOCKED: Duration = Duration::from_secs(30);

/// Removes the temporary files that writers killed on the way left behind: those that nobody has locked, and those not written
/// to for `age`, which must be longer than any living writer pauses. Walks the whole archive, so it is work for the batch
/// lane. Returns how many went.
pub(super) fn sweep(root: &Path, age: Duration, token: &Token) -> Result<usize> {
    let unreadable = |fault: std::io::Error| Error::internal("the archive cannot be swept").with_cause(fault);
    let now = SystemTime::now();
    let mut removed = 0;
    // Channels, qualities, hours: temporary files lie in hours, and those of videos at the top.
    let mut folders = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        token.check()?;
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(fault) if depth > 0 && fault.kind() == ErrorKind::NotFound => continue,
            Err(fault) => return Err(unreadable(fault)),
        };
        for entry in entries {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let Ok(kind) = entry.file_type() else { continue };
            let visible = kind.is_dir() && !name.starts_with('.');
            if depth < 3 && visible && (depth < 2 || Hour::parse(name).is_some()) {
                folders.push((entry.path(), depth + 1));
            }
            if matches!(depth, 0 | 3)
                && kind.is_file()
                && name.starts_with(TEMP_PREFIX)
                && name.ends_with(TEMP_SUFFIX)
            {
                let written = entry.metadata().and_then(|facts| facts.modified());
                let idle = written.ok().and_then(|at| now.duration_since(at).ok()).unwrap_or_default();
                let left = || File::options().write(true).open(entry.path()).is_ok_and(|it| lock(&it));
                if (idle >= age || idle >= UNLOCKED && left()) && fs::remove_file(entry.path()).is_ok() {
                    removed += 1;
                }
            }
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Kind;
    use std::sync::atomic::AtomicBool;

    fn names() -> (Channel, Quality) {
        (Channel::new("chan").unwrap(), Quality::new("720p").unwrap())
    }

    fn start() -> Timestamp {
        Timestamp::parse("start", "2024-11-09T13:45:00.437").unwrap()
    }

    fn writer(root: &Path) -> SegmentWriter {
        let (channel, quality) = names();
        SegmentWriter::create(root, &channel, &quality, start()).unwrap()
    }

    /// All names in the hour, hidden ones too.
    fn all(root: &Path) -> Vec<String> {
        let hour = root.join("chan/720p/2024-11-09T13");
        let mut names: Vec<String> = fs::read_dir(hour)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn writes_under_the_name_that_its_content_gives() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path());
        writer.write(b"a").unwrap();
        writer.write(b"bc").unwrap();
        let written = writer.finish(2_000_000, SegmentKind::Full).unwrap();
        // SHA-256 of "abc" (FIPS 180-2, appendix B.1).
        let name = "45:00.437000-2.0-full-ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0.ts";
        assert_eq!((written.name.as_str(), written.bytes), (name, 3));
        assert_eq!(written.path, dir.path().join("chan/720p/2024-11-09T13").join(name));
        assert_eq!(fs::read(&written.path).unwrap(), b"abc");
        assert_eq!(all(dir.path()), [name]);
    }

    #[test]
    fn two_writers_of_the_same_content_make_one_segment() {
        let dir = tempfile::tempdir().unwrap();
        let (mut one, mut two) = (writer(dir.path()), writer(dir.path()));
        for writer in [&mut one, &mut two] {
            writer.write(b"same").unwrap();
        }
        let one = one.finish(2_000_000, SegmentKind::Full).unwrap();
        assert_eq!(two.finish(2_000_000, SegmentKind::Full).unwrap(), one);
        assert_eq!(all(dir.path()), [one.name]);
    }

    #[test]
    fn a_dropped_or_refused_segment_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut dropped = writer(dir.path());
        dropped.write(b"half").unwrap();
        drop(dropped);
        for (duration, kind) in
            [(-1, SegmentKind::Full), (MAX_DURATION + 1, SegmentKind::Full), (1, SegmentKind::Temp)]
        {
            let refused = writer(dir.path()).finish(duration, kind).unwrap_err();
            assert_eq!(refused.kind, Kind::Invalid);
        }
        assert_eq!(all(dir.path()), Vec::<String>::new());
    }

    #[test]
    fn faults_of_the_disk_are_told_apart() {
        assert_eq!(failed(ErrorKind::StorageFull.into()).kind, Kind::Exhausted);
        assert_eq!(failed(ErrorKind::QuotaExceeded.into()).kind, Kind::Exhausted);
        assert_eq!(failed(ErrorKind::NotFound.into()).kind, Kind::Internal);
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("chan"), "a file where a folder is meant").unwrap();
        let (channel, quality) = names();
        let refused = SegmentWriter::create(dir.path(), &channel, &quality, start()).unwrap_err();
        assert_eq!(refused.kind, Kind::Internal);
        assert!(!refused.detail.contains("chan"));
    }

    #[test]
    fn what_a_killed_writer_leaves_is_hidden_and_swept() {
        let dir = tempfile::tempdir().unwrap();
        let mut killed = writer(dir.path());
        killed.write(&[7; 3 * BUFFER]).unwrap();
        // As if the process had died here: nothing is cleaned up.
        std::mem::forget(killed);
        let hour = dir.path().join("chan/720p/2024-11-09T13");
        fs::write(hour.join(".moviola-foreign"), "").unwrap();
        let left = all(dir.path());
        assert_eq!(left.len(), 2);
        assert!(left.iter().all(|name| name.starts_with('.')));
        let token = Token::root();
        let hour_long = Duration::from_secs(3600);
        assert_eq!(sweep(dir.path(), hour_long, &token).unwrap(), 0, "it is young");
        assert_eq!(sweep(dir.path(), Duration::ZERO, &token).unwrap(), 1);
        assert_eq!(all(dir.path()), [".moviola-foreign"]);
        // Nobody wrote to either for a minute; one of their writers lives.
        let (living, dead) = (writer(dir.path()), writer(dir.path()));
        for name in all(dir.path()) {
            let file = File::options().write(true).open(hour.join(name)).unwrap();
            file.set_modified(SystemTime::now() - 2 * UNLOCKED).unwrap();
        }
        let gone = dead.temp.clone().unwrap();
        // As if the process had died here: the system lets go of its locks.
        flock(dead.file.get_ref(), FlockOperation::Unlock).unwrap();
        std::mem::forget(dead);
        assert_eq!(sweep(dir.path(), hour_long, &token).unwrap(), 1);
        assert!(!gone.exists() && living.temp.as_ref().is_some_and(|it| it.exists()));
        drop(living);
        token.cancel();
        assert_eq!(sweep(dir.path(), Duration::ZERO, &token).unwrap_err().kind, Kind::Cancelled);
    }

    #[test]
    fn at_no_moment_is_a_visible_file_incomplete() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        drop(writer(root));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut seen = 0;
                loop {
                    let last_round = stop.load(Ordering::Acquire);
                    for name in all(root).iter().filter(|name| !name.starts_with('.')) {
                        let bytes = fs::read(root.join("chan/720p/2024-11-09T13").join(name)).unwrap();
                        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(&bytes));
                        assert!(name.ends_with(&format!("-{hash}.ts")), "{name} is not what it says");
                        seen += 1;
                    }
                    if last_round {
                        return seen;
                    }
                }
            });
            for round in 0..20_u8 {
                let mut one = writer(root);
                for chunk in 0..4 {
                    one.write(&vec![round; 1 + chunk * BUFFER]).unwrap();
                }
                one.finish(2_000_000, SegmentKind::Suspect).unwrap();
            }
            stop.store(true, Ordering::Release);
            assert!(watcher.join().unwrap() >= 20);
        });
    }
}
