//! Which streams are recorded into the archive, and what is kept of their channels.

use super::Ring;
use super::archive::{self, ArchiveWriter, Parts, Status, Target, Tell};
use super::retention::{Removed, Retention, Rule};
use crate::archive::Archive;
use crate::base::metrics::Metrics;
use crate::base::{Channel, Error, Result, StreamId, Timestamp, Token};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A stream that is to be recorded.
pub struct Wanted {
    pub stream: StreamId,
    pub ring: Arc<Ring>,
    pub target: Target,
    pub rule: Option<Rule>,
}

struct Kept {
    writer: ArchiveWriter,
    rule: Option<Rule>,
}

/// All recording into the archive.
pub struct Desk {
    archive: Arc<Archive>,
    limits: archive::Limits,
    metrics: Metrics,
    tell: Tell,
    kept: Mutex<BTreeMap<StreamId, Kept>>,
    retention: Retention,
}

impl Desk {
    pub fn new(archive: Arc<Archive>, limits: archive::Limits, metrics: Metrics, tell: Tell) -> Self {
        Self { archive, limits, metrics, tell, kept: Mutex::default(), retention: Retention::default() }
    }

    pub fn archive(&self) -> &Arc<Archive> {
        &self.archive
    }

    /// Records a stream to `target` from now on, or no longer. What runs as wished goes on. Ending a recording waits for its
    /// last segment to be on the disk: it blocks.
    ///
    /// # Errors
    /// `target-taken` where another stream is recorded there.
    pub fn set(
        &self,
        stream: &StreamId,
        ring: &Arc<Ring>,
        target: Option<Target>,
        rule: Option<Rule>,
    ) -> Result<()> {
        let mut kept = self.kept.lock();
        if let Some(target) = &target {
            if kept.iter().any(|(id, it)| id != stream && it.writer.target() == target) {
                let detail = "another stream is recorded to this channel and quality";
                return Err(Error::invalid("target-taken", "record", detail));
            }
            if let Some(it) = kept.get_mut(stream).filter(|it| it.writer.target() == target) {
                it.rule = rule;
                return Ok(());
            }
        }
        let before = kept.remove(stream);
        if let Some(target) = target {
            let writer = ArchiveWriter::start(Parts {
                stream: stream.clone(),
                ring: Arc::clone(ring),
                archive: Arc::clone(&self.archive),
                target,
                limits: self.limits,
                metrics: self.metrics.clone(),
                tell: Arc::clone(&self.tell),
            })?;
            kept.insert(stream.clone(), Kept { writer, rule });
        }
        drop(kept);
        drop(before);
        Ok(())
    }

    /// Records exactly these streams from now on, each where it says. One that is to go where another goes is left out, and
    /// said in the log. Blocks as [`Self::set`] does.
    pub fn follow(&self, wanted: Vec<Wanted>) {
        let gone: Vec<StreamId> = {
            let kept = self.kept.lock();
            kept.keys().filter(|id| wanted.iter().all(|it| it.stream != **id)).cloned().collect()
        };
        let ended: Vec<Kept> = {
            let mut kept = self.kept.lock();
            gone.iter().filter_map(|id| kept.remove(id)).collect()
        };
        drop(ended);
        for it in wanted {
            if let Err(error) = self.set(&it.stream, &it.ring, Some(it.target), it.rule) {
                tracing::warn!("{} is not recorded: {error}", it.stream);
            }
        }
    }

    /// Where a stream is recorded, and how that goes.
    pub fn status(&self, stream: &StreamId) -> Option<(Target, Status)> {
        let kept = self.kept.lock();
        kept.get(stream).map(|it| (it.writer.target().clone(), it.writer.status()))
    }

    /// What is kept of each channel; of several rules for one, each holds.
    fn rules(&self) -> Vec<(Channel, Rule)> {
        let kept = self.kept.lock();
        kept.values().filter_map(|it| Some((it.writer.target().channel.clone(), it.rule?))).collect()
    }

    /// Takes away what the rules do not keep, and more where the disk has less left than `floor` bytes.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep(&self, floor: u64, now: Timestamp, token: &Token) -> Result<Removed> {
        let removed = self.retention.keep(&self.archive, &self.rules(), floor, now, token)?;
        self.metrics.retention_segments.inc_by(removed.segments as u64);
        self.metrics.retention_bytes.inc_by(removed.bytes);
        Ok(removed)
    }

    /// Ends all recording, each with its last segment on the disk. Blocks.
    pub fn shutdown(&self) {
        let kept = std::mem::take(&mut *self.kept.lock());
        kept.values().for_each(|it| it.writer.stop());
    }
}
