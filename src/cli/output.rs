//! Where a command writes: a file, or standard output for `-`.

use crate::base::{Error, Result};
use crate::media::Sink;
use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file that appears under its name only when it is whole.
pub struct Output {
    writer: Box<dyn Write + Send>,
    /// The temporary name and the final one; none for standard output.
    names: Option<(PathBuf, PathBuf)>,
    progress: ProgressBar,
}

/// Shows how much is written of what nobody knows the length of.
pub fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} cut {bytes}, {bytes_per_sec}, {elapsed}") {
        bar.set_style(style);
    }
    bar
}

fn fault(error: &std::io::Error) -> Error {
    Error::io("the output could not be written", error)
}

impl Output {
    pub fn create(path: &Path, progress: ProgressBar) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self { writer: Box::new(std::io::stdout()), names: None, progress });
        }
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".part");
        let temporary = PathBuf::from(temporary);
        let file = std::fs::File::create(&temporary).map_err(|error| fault(&error))?;
        Ok(Self { writer: Box::new(file), names: Some((temporary, path.to_owned())), progress })
    }

    /// The name of the file while it is made; none for standard output.
    pub fn temporary(&self) -> Option<&Path> {
        self.names.as_ref().map(|it| &*it.0)
    }

    /// Gives the file its name.
    pub fn finish(mut self) -> Result<()> {
        self.writer.flush().map_err(|error| fault(&error))?;
        match self.names.take() {
            Some((temporary, name)) => std::fs::rename(temporary, name).map_err(|error| fault(&error)),
            None => Ok(()),
        }
    }
}

impl Sink for Output {
    fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.progress.inc(bytes.len() as u64);
        self.writer.write_all(&bytes).map_err(|error| fault(&error))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some((temporary, _)) = &self.names {
            // Nothing more can be done about a file that cannot be removed.
            let _ = std::fs::remove_file(temporary);
        }
    }
}

/// Writes what was made whole.
pub fn save(path: &Path, bytes: &Bytes) -> Result<()> {
    let mut output = Output::create(path, ProgressBar::hidden())?;
    output.write(bytes.clone())?;
    output.finish()
}
