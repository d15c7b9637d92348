//! What a command looks at: a span of the archive, or a file.

use crate::base::{Channel, Error, Quality, Result, Span, Timestamp};
use clap::Args;
use std::path::Path;

#[derive(Debug, Args)]
pub struct Source {
    /// A channel of the archive, or, without a quality, a file of any container that libav reads.
    #[arg(value_name = "CHANNEL|FILE")]
    channel: String,
    quality: Option<String>,
    /// UTC, ISO 8601; of an archive.
    #[arg(long)]
    start: Option<String>,
    /// UTC, ISO 8601; of an archive.
    #[arg(long)]
    end: Option<String>,
}

/// The same, read.
pub enum Of<'a> {
    Archive(Channel, Quality, Span),
    File(&'a Path),
}

impl Source {
    pub fn is_archive(&self) -> bool {
        self.quality.is_some()
    }

    /// # Errors
    /// A span of a file, or none of an archive; names and times that are none.
    pub fn read(&self) -> Result<Of<'_>> {
        let Some(quality) = &self.quality else {
            if self.start.is_some() || self.end.is_some() {
                let detail =
                    "--start and --end are of an archive: CHANNEL and QUALITY; a file is taken as a whole";
                return Err(Error::invalid("unexpected-parameter", "start", detail));
            }
            return Ok(Of::File(Path::new(&self.channel)));
        };
        let time = |name: &str, text: &Option<String>| {
            let text = text.as_deref().ok_or_else(|| {
                Error::invalid(
                    "missing-parameter",
                    name,
                    format!("--{name} is needed: an ISO 8601 time in UTC"),
                )
            })?;
            Timestamp::parse(name, text)
        };
        let (channel, quality) = (Channel::new(&self.channel)?, Quality::new(quality)?);
        Ok(Of::Archive(channel, quality, Span::new(time("start", &self.start)?, time("end", &self.end)?)))
    }
}
