//! Names in the archive, and its files as they lie.

use super::Render;
use super::bytes::ByteSource;
use crate::archive::OpenFile;
use crate::base::{Channel, Error, Name, Quality, Result};
use bytes::Bytes;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::time::SystemTime;

impl Render {
    pub async fn channels(&self) -> Result<Vec<String>> {
        self.ask(|archive, _| archive.channels()).await
    }

    pub async fn qualities(&self, channel: Channel) -> Result<Vec<String>> {
        self.ask(move |archive, _| archive.qualities(&channel)).await
    }

    pub async fn hours(&self, channel: Channel, quality: Quality) -> Result<Vec<String>> {
        self.ask(move |archive, _| archive.hours_raw(&channel, &quality)).await
    }

    pub async fn files(
        &self,
        channel: Channel,
        quality: Quality,
        hour: Name,
        tombstones: bool,
    ) -> Result<Vec<String>> {
        self.ask(move |archive, _| archive.files(&channel, &quality, &hour, tombstones)).await
    }

    /// The paths of all files below a folder, hidden ones too.
    pub async fn extras(&self, folder: Name) -> Result<Vec<String>> {
        self.ask(move |archive, token| archive.below(&folder, token)).await
    }

    /// A file of the archive, open.
    pub async fn file(&self, path: Vec<Name>) -> Result<Arc<StoredFile>> {
        self.ask(move |archive, _| StoredFile::new(archive.open_file(&path)?)).await.map(Arc::new)
    }
}

/// A file as a body. It stays open while it is sent, so that it may be removed meanwhile.
#[derive(Debug)]
pub struct StoredFile {
    open: OpenFile,
    tag: String,
}

impl StoredFile {
    pub fn new(open: OpenFile) -> Result<Self> {
        let facts = open.file.metadata().map_err(|fault| Error::io("the file cannot be read", &fault))?;
        // Size, time to the nanosecond and inode: a file written anew gets another even within a clock tick.
        let tag = format!("{:x}-{:x}{:08x}-{:x}", open.len, facts.mtime(), facts.mtime_nsec(), facts.ino());
        Ok(Self { open, tag })
    }
}

impl ByteSource for StoredFile {
    fn length(&self) -> u64 {
        self.open.len
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    fn modified(&self) -> Option<SystemTime> {
        Some(self.open.modified)
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Bytes> {
        let mut buffer = vec![0; length];
        self.open
            .file
            .read_exact_at(&mut buffer, offset)
            .map_err(|fault| Error::io("the file changed while it was read", &fault))?;
        Ok(buffer.into())
    }
}
