//! Contiguous stretches of a channel as Matroska files in the archive's folder.

use super::bytes::ByteSource;
use super::{Render, Wanted};
use crate::archive::{Archive, Item};
use crate::base::{Channel, Error, Name, Quality, Result, Span, Timestamp, Token};
use crate::media::cut::{Container, Holes};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What jobs of this kind are called.
pub const KIND: &str = "generate-videos";

/// Videos asked for at once at most.
const MAX_VIDEOS: usize = 1000;

/// Bytes copied at a time.
const CHUNK: u64 = 1 << 20;

/// Which videos to make. In a job's record it is spelt as [`Parameters`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Videos {
    channel: Channel,
    quality: Quality,
    /// What to call each, and its span.
    spans: BTreeMap<String, Span>,
}

#[derive(Serialize, Deserialize)]
struct Parameters {
    channel: String,
    quality: String,
    videos: BTreeMap<String, (Timestamp, Timestamp)>,
}

impl Videos {
    /// # Errors
    /// `too-many-videos`, `bad-name` and `long-name`, `empty-range`.
    pub fn new(channel: Channel, quality: Quality, spans: BTreeMap<String, Span>) -> Result<Self> {
        if spans.len() > MAX_VIDEOS {
            let detail = format!("at most {MAX_VIDEOS} videos can be asked for at once");
            return Err(Error::invalid("too-many-videos", "body", detail));
        }
        let this = Self { channel, quality, spans };
        for (name, span) in &this.spans {
            if name.contains('/') {
                return Err(Error::invalid("bad-name", "name", "Name cannot contain /"));
            }
            // The most digits a number of a stretch can have.
            this.file_name(name, usize::MAX)?;
            if span.is_empty() {
                return Err(Error::invalid("empty-range", "end", "End must be after start"));
            }
        }
        Ok(this)
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    fn file_name(&self, name: &str, number: usize) -> Result<Name> {
        Name::new("name", &format!("{}_{}_{name}_{number}.mkv", self.channel, self.quality))
    }

    /// # Errors
    /// `not-found` where there is no such quality.
    pub fn check(&self, archive: &Archive) -> Result<()> {
        match archive.has_quality(&self.channel, &self.quality)? {
            true => Ok(()),
            false => Err(Error::not_found("there is no such channel and quality")),
        }
    }

    /// As a job's parameters.
    pub fn into_parameters(self) -> Result<Value> {
        let videos = self.spans.into_iter().map(|(name, span)| (name, (span.start, span.end))).collect();
        let parameters =
            Parameters { channel: self.channel.to_string(), quality: self.quality.to_string(), videos };
        serde_json::to_value(parameters).map_err(|fault| Error::internal(fault.to_string()))
    }

    fn from_parameters(parameters: &Value) -> Result<Self> {
        let unreadable = |fault: serde_json::Error| {
            Error::internal("the parameters of a job cannot be read").with_cause(fault)
        };
        let parameters = Parameters::deserialize(parameters).map_err(unreadable)?;
        let span = |(name, (start, end))| (name, Span::new(start, end));
        Ok(Self {
            channel: Channel::new(&parameters.channel)?,
            quality: Quality::new(&parameters.quality)?,
            spans: parameters.videos.into_iter().map(span).collect(),
        })
    }
}

/// What came of a job.
#[derive(Serialize)]
struct Outcome {
    /// Names of files made now.
    made: Vec<String>,
    /// Names of files that were there.
    kept: Vec<String>,
}

impl Render {
    /// Makes the videos of a job, on the caller's thread. `progress` is told how much of the time asked for is done.
    pub fn generate_videos(
        &self,
        parameters: &Value,
        progress: &mut dyn FnMut(u64, u64),
        token: &Token,
    ) -> Result<Value> {
        let videos = Videos::from_parameters(parameters)?;
        let mut stretches = Vec::new();
        for (name, span) in &videos.spans {
            token.check()?;
            for (number, stretch) in self.stretches(&videos, *span)?.into_iter().enumerate() {
                stretches.push((videos.file_name(name, number)?, stretch));
            }
        }
        let micros = |span: &Span| u64::try_from(span.micros()).unwrap_or(0);
        let total = stretches.iter().map(|(_, span)| micros(span)).sum();
        let (mut done, mut outcome) = (0, Outcome { made: Vec::new(), kept: Vec::new() });
        for (name, span) in &stretches {
            let mut told = |part: f64| progress(done + (part * micros(span) as f64) as u64, total);
            match self.generate_video(&videos, name, *span, &mut told, token)? {
                true => outcome.made.push(name.to_string()),
                false => outcome.kept.push(name.to_string()),
            }
            done += micros(span);
            progress(done, total);
        }
        serde_json::to_value(outcome).map_err(|fault| Error::internal(fault.to_string()))
    }

    /// The stretches without a hole of the segments that cover `span`, whole segments.
    fn stretches(&self, videos: &Videos, span: Span) -> Result<Vec<Span>> {
        let selection = self.archive.select(&videos.channel, &videos.quality, span)?;
        let (mut stretches, mut open) = (Vec::<Span>::new(), None);
        for item in &selection.items {
            match (item, open.take()) {
                (Item::Segment(segment), started) => {
                    let start = started.map_or(segment.start(), |it: Span| it.start);
                    open = Some(Span::new(start, segment.end()));
                }
                (_, Some(stretch)) => stretches.push(stretch),
                (_, None) => {}
            }
        }
        stretches.extend(open);
        Ok(stretches)
    }

    /// One file; false where it was there.
    fn generate_video(
        &self,
        videos: &Videos,
        name: &Name,
        span: Span,
        progress: &mut dyn FnMut(f64),
        token: &Token,
    ) -> Result<bool> {
        let Some(mut writer) = self.archive.create_video(name)? else { return Ok(false) };
        let cut = self.copied_now(
            &Wanted {
                channel: videos.channel.clone(),
                quality: videos.quality.clone(),
                ranges: vec![(Some(span.start), Some(span.end))],
                transitions: Vec::new(),
                holes: Holes::Refuse,
                container: Container::Matroska,
            },
            token,
        )?;
        let (mut offset, length) = (0, cut.length());
        while offset < length {
            token.check()?;
            let count = CHUNK.min(length - offset);
            writer.write(&cut.read_at(offset, count as usize)?)?;
            offset += count;
            progress(offset as f64 / length as f64);
        }
        writer.finish()?;
        Ok(true)
    }
}
