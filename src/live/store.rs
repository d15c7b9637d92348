//! The streams that are set up, as one file that only this user reads: it holds credentials.

use super::settings::Settings;
use crate::base::{Error, Result, StreamId};
use serde_json::{Map, Value, json};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const FILE: &str = "streams.json";
const TEMP: &str = "streams.json.writing";
/// The longest file that is read back, in bytes.
const MAX_BYTES: u64 = 64 << 20;

#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
}

fn failed(fault: std::io::Error) -> Error {
    match fault.kind() {
        std::io::ErrorKind::NotFound => Error::internal("the streams cannot be kept").with_cause(fault),
        _ => Error::io("the streams cannot be kept", &fault),
    }
}

impl Store {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// What is kept. An entry that cannot be read is told to the log and left out; a file that cannot be read is an error, so
    /// that it is not written over.
    pub fn read(&self) -> Result<Vec<(StreamId, Settings)>> {
        let path = self.folder.join(FILE);
        let unreadable = |why: String| {
            Error::internal("the file of streams cannot be read")
                .with_cause(format!("{}: {why}", path.display()))
        };
        match fs::metadata(&path) {
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(fault) => return Err(unreadable(fault.to_string())),
            Ok(facts) if facts.len() > MAX_BYTES => return Err(unreadable("it is too long".into())),
            Ok(_) => {}
        }
        let bytes = fs::read(&path).map_err(|fault| unreadable(fault.to_string()))?;
        // serde's words tell places, not contents.
        let value: Value = serde_json::from_slice(&bytes).map_err(|fault| unreadable(fault.to_string()))?;
        let entries = value.get("streams").and_then(Value::as_object);
        let entries = entries.ok_or_else(|| unreadable("it has no streams".into()))?;
        let mut found = Vec::new();
        for (name, value) in entries {
            match StreamId::new(name).and_then(|id| Ok((id, Settings::from_json(value)?))) {
                Ok(entry) => found.push(entry),
                Err(error) => tracing::warn!(stream = %name, "a stream that is kept cannot be read: {error}"),
            }
        }
        Ok(found)
    }

    /// Keeps these in place of what was kept; they are on the disk when this returns.
    pub fn write<'a>(&self, streams: impl Iterator<Item = (&'a StreamId, &'a Settings)>) -> Result<()> {
        let entries: Map<String, Value> =
            streams.map(|(id, settings)| (id.as_str().to_owned(), settings.to_secret_json())).collect();
        let text = serde_json::to_vec_pretty(&json!({ "version": 1, "streams": entries }))
            .map_err(|fault| Error::internal("the streams cannot be written").with_cause(fault))?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed)?;
        let temp = self.folder.join(TEMP);
        let kept = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temp)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&temp, self.folder.join(FILE)))
            .and_then(|()| File::open(&self.folder)?.sync_all());
        kept.map_err(|fault| {
            let _ = fs::remove_file(&temp);
            failed(fault)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn streams_are_read_back_and_only_this_user_may() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(&folder.path().join("streams"));
        assert!(store.read().unwrap().is_empty());
        let settings =
            Settings::from_json(&json!({"source": "rtsp://a:b@10.0.0.1/x", "keepalive": true})).unwrap();
        let id = StreamId::new("cam").unwrap();
        store.write([(&id, &settings)].into_iter()).unwrap();
        assert_eq!(store.read().unwrap(), vec![(id, settings)]);
        let path = folder.path().join("streams").join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, r#"{"version":1,"streams":{".x":{"source":"rtsp://h/x"},"y":{"source":"nope"}}}"#)
            .unwrap();
        assert!(store.read().unwrap().is_empty(), "what cannot be read is left out");
        fs::write(&path, "{").unwrap();
        assert!(store.read().is_err(), "and is not taken for nothing");
    }
}
