//! The folder of recordings: a folder for each stream, files under their names, and hidden beside them what is known of each
//! recording and the file it is being written to.

use super::record::Recording;
use crate::base::{Error, Result, StreamId};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// A record is some kilobytes; a larger file is none of ours.
const LONGEST_RECORD: u64 = 1 << 20;

#[derive(Debug)]
pub struct Store {
    root: PathBuf,
}

fn broken(fault: std::io::Error) -> Error {
    Error::io("the folder of recordings cannot be written", &fault)
}

impl Store {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn folder(&self, stream: &StreamId) -> PathBuf {
        self.root.join(stream)
    }

    fn hidden(&self, record: &Recording, extension: &str) -> PathBuf {
        self.folder(&record.stream).join(format!(".{}.{extension}", record.id))
    }

    /// Where a recording is being written; its folder is there.
    pub fn part(&self, record: &Recording) -> Result<PathBuf> {
        fs::create_dir_all(self.folder(&record.stream)).map_err(broken)?;
        Ok(self.hidden(record, "part"))
    }

    pub fn forget_part(&self, record: &Recording) {
        // It is gone once the file has its name.
        let _ = fs::remove_file(self.hidden(record, "part"));
    }

    /// Whether a name is taken.
    pub fn has(&self, stream: &StreamId, name: &str) -> bool {
        fs::symlink_metadata(self.folder(stream).join(name)).is_ok()
    }

    /// Gives the file its name, or one like it where that was taken meanwhile.
    pub fn publish(&self, record: &Recording, name: &str) -> Result<String> {
        let (folder, part) = (self.folder(&record.stream), self.hidden(record, "part"));
        let stem = name.strip_suffix(".mp4").unwrap_or(name);
        for name in [name.to_owned(), format!("{stem}-{}.mp4", record.id)] {
            match renameat_with(CWD, &part, CWD, folder.join(&name), RenameFlags::NOREPLACE) {
                Ok(()) => {
                    File::open(&folder).and_then(|it| it.sync_all()).map_err(broken)?;
                    return Ok(name);
                }
                Err(Errno::EXIST) => {}
                // File systems that cannot promise it.
                Err(Errno::INVAL | Errno::NOSYS) if !self.has(&record.stream, &name) => {
                    fs::rename(&part, folder.join(&name)).map_err(broken)?;
                    return Ok(name);
                }
                Err(Errno::INVAL | Errno::NOSYS) => {}
                Err(errno) => return Err(broken(errno.into())),
            }
        }
        Err(Error::internal("every name for the recording is taken"))
    }

    /// Keeps what is known.
    pub fn write(&self, record: &Recording) -> Result<()> {
        fs::create_dir_all(self.folder(&record.stream)).map_err(broken)?;
        let text = serde_json::to_vec(record)
            .map_err(|fault| Error::internal("a record could not be written").with_cause(fault))?;
        let (temp, path) = (self.hidden(record, "json.new"), self.hidden(record, "json"));
        let mut file = File::create(&temp).map_err(broken)?;
        file.write_all(&text).and_then(|()| file.sync_data()).map_err(broken)?;
        fs::rename(temp, path).map_err(broken)
    }

    pub fn forget(&self, record: &Recording) {
        let _ = fs::remove_file(self.hidden(record, "json"));
    }

    pub fn remove_files(&self, record: &Recording) {
        for it in &record.files {
            let _ = fs::remove_file(self.folder(&record.stream).join(&it.name));
        }
    }

    pub fn open(&self, record: &Recording, name: &str) -> Result<File> {
        File::open(self.folder(&record.stream).join(name)).map_err(|fault| match fault.kind() {
            ErrorKind::NotFound => Error::not_found("the recording's file is gone"),
            _ => Error::io("the recording cannot be read", &fault),
        })
    }

    /// The file a recording was being written to, where it is still there.
    pub fn open_part(&self, record: &Recording) -> Option<File> {
        File::options().read(true).write(true).open(self.hidden(record, "part")).ok()
    }

    /// Every record there is. What cannot be read is passed over: a file beside it is still a file.
    pub fn records(&self) -> Vec<Recording> {
        let mut found = Vec::new();
        for folder in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            for entry in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let of_record = |name: &str| name.starts_with('.') && name.ends_with(".json");
                let small = entry.metadata().is_ok_and(|it| it.is_file() && it.len() <= LONGEST_RECORD);
                if !small || !name.to_str().is_some_and(of_record) {
                    continue;
                }
                match fs::read(entry.path()).map(|text| serde_json::from_slice::<Recording>(&text)) {
                    // A name that leads elsewhere is none that was written here.
                    Ok(Ok(record)) if self.hidden(&record, "json") == entry.path() => found.push(record),
                    _ => tracing::warn!("a record of a recording cannot be read: {}", entry.path().display()),
                }
            }
        }
        found
    }
}
