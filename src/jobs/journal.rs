//! Where jobs are kept: a file each, replaced whole, so that a process that dies leaves the state before or after.

use super::record::Record;
use crate::base::{Error, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

const SUFFIX: &str = ".json";
const TEMP: &str = ".writing";

/// The longest record that is read back, in bytes; requests are far shorter.
const MAX_RECORD_BYTES: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
}

fn failed(fault: std::io::Error) -> Error {
    match fault.kind() {
        std::io::ErrorKind::NotFound => Error::internal("the job cannot be kept").with_cause(fault),
        _ => Error::io("the job cannot be kept", &fault),
    }
}

impl Journal {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Every record that can be read, earliest first. Others are left where they are, and told to the log.
    pub fn read(&self) -> Vec<Record> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let mut records = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path();
            if !entry.file_name().to_str().is_some_and(|name| name.ends_with(SUFFIX)) {
                continue;
            }
            let small =
                entry.metadata().is_ok_and(|facts| facts.is_file() && facts.len() <= MAX_RECORD_BYTES);
            let text = if small { fs::read(&path).ok() } else { None };
            match text.as_deref().map(serde_json::from_slice::<Record>) {
                Some(Ok(record)) if self.path(&record) == path => records.push(record),
                _ => tracing::warn!(path = %path.display(), "a job's record cannot be read"),
            }
        }
        records.sort_by(|a, b| (a.created, a.id.as_str()).cmp(&(b.created, b.id.as_str())));
        records
    }

    fn path(&self, record: &Record) -> PathBuf {
        self.folder.join(format!("{}{SUFFIX}", record.id))
    }

    /// Keeps a record as it is now; it is on the disk when this returns.
    pub fn write(&self, record: &Record) -> Result<()> {
        let text = serde_json::to_vec(record).map_err(|fault| Error::internal(fault.to_string()))?;
        fs::create_dir_all(&self.folder).map_err(failed)?;
        let temp = self.folder.join(format!("{}{TEMP}", record.id));
        let kept = File::create(&temp)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&temp, self.path(record)))
            .and_then(|()| File::open(&self.folder)?.sync_all());
        kept.map_err(|fault| {
            // The record before it stands; what is left of this one is of no use.
            let _ = fs::remove_file(&temp);
            failed(fault)
        })
    }

    pub fn forget(&self, record: &Record) {
        if let Err(fault) = fs::remove_file(self.path(record)) {
            tracing::debug!(id = %record.id, "a job's record was not removed: {fault}");
        }
    }
}
