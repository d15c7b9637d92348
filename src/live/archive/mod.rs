//! Writes a stream into the archive: a reader of its ring on a thread of its own, which makes segments of what comes.
//!
//! A segment's name is told by the source's clock: it starts when its first picture is shown and lasts until the next one's
//! first. It is full where the next keyframe followed; suspect where recording was stopped, tracks changed, or the source came
//! to its end or was left, so that nobody knows whether more would have come; partial where the source broke off, or samples
//! were lost.

mod cutter;
mod gaps;

pub use cutter::Lengths;
pub use gaps::{Gap, gaps_within};

use super::sound::Sound;
use super::{Epoch, Ring};
use crate::archive::{Archive, SegmentKind, SegmentWriter, TOLERANCE};
use crate::base::metrics::Metrics;
use crate::base::{Channel, Error, Quality, Result, Span, StreamId, Timestamp, Token};
use crate::media::live::{Sample, Transport};
use cutter::{Cutter, Step};
use gaps::Gaps;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks at the ring: a segment is there that much later, and waking is a good part of what writing one costs.
const LOOK: Duration = Duration::from_millis(400);
/// Samples taken from the ring at once.
const BATCH: usize = 1024;
/// Bytes that are written at once.
const CHUNK: usize = 64 << 10;
/// Why epochs begin that are no fault of the source's connection.
const CHANGES: [&str; 3] = ["codec", "timestamps", "size"];

/// Where a stream is recorded to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    pub channel: Channel,
    pub quality: Quality,
}

/// What bounds a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub lengths: Lengths,
    /// Of the notes of gaps, in bytes for each channel and quality.
    pub gaps: u64,
}

/// What a recording is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing comes.
    Waiting,
    Recording,
    /// The archive has no form for what comes.
    Refused,
    /// The disk does not take it; every segment is tried anew.
    Failing,
}

/// What is known of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Status {
    pub state: State,
    /// A stable word, where something is wrong: `record-refused`, `storage-full`, and so on.
    pub cause: Option<&'static str>,
    pub detail: Option<String>,
    /// Segments written since the recording began, and their bytes.
    pub segments: u64,
    pub bytes: u64,
    /// Where the last of them ends.
    #[schema(value_type = Option<String>)]
    pub until: Option<Timestamp>,
}

/// What a recording has to tell.
#[derive(Debug, Clone)]
pub enum Event {
    Segment { span: Span, kind: SegmentKind, bytes: u64 },
    Gap(Gap),
    State(Status),
}

impl Event {
    /// As a stream's event: a stable word and what there is to it.
    pub fn told(&self) -> (&'static str, Value) {
        match self {
            Self::Segment { span, kind, bytes } => {
                let (start, end) = (span.start, span.end);
                ("segment", json!({ "start": start, "end": end, "kind": kind.as_str(), "bytes": bytes }))
            }
            Self::Gap(gap) => ("gap", json!(gap)),
            Self::State(status) => ("recorded", json!(status)),
        }
    }
}

/// Hears of events; called on the recording's thread.
pub type Tell = Arc<dyn Fn(&StreamId, Event) + Send + Sync>;

/// What a recording is made of.
pub struct Parts {
    pub stream: StreamId,
    pub ring: Arc<Ring>,
    pub archive: Arc<Archive>,
    pub target: Target,
    pub limits: Limits,
    pub metrics: Metrics,
    pub tell: Tell,
}

/// A running recording. Dropping it ends it, with the segment in hand finished as far as it came.
pub struct ArchiveWriter {
    target: Target,
    token: Token,
    status: Arc<Mutex<Status>>,
    thread: Option<JoinHandle<()>>,
}

impl ArchiveWriter {
    /// Starts recording with the newest keyframe of the ring, or the next.
    pub fn start(parts: Parts) -> Result<Self> {
        let token = Token::root();
        let (target, status) = (parts.target.clone(), Arc::new(Mutex::new(Status::waiting())));
        let mut worker = Worker::new(parts, token.clone(), Arc::clone(&status));
        worker.find_place();
        let name = format!("record {}", worker.parts.stream);
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || worker.run())
            .map_err(|fault| Error::io("a thread could not be started", &fault))?;
        Ok(Self { target, token, status, thread: Some(thread) })
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    pub fn status(&self) -> Status {
        self.status.lock().clone()
    }

    /// Asks for the end without waiting for it, so that many end at once.
    pub fn stop(&self) {
        self.token.cancel();
        self.thread.iter().for_each(|it| it.thread().unpark());
    }
}

impl Drop for ArchiveWriter {
    fn drop(&mut self) {
        self.stop();
        if self.thread.take().is_some_and(|it| it.join().is_err()) {
            tracing::error!("a recording's thread panicked");
        }
    }
}

impl Status {
    fn waiting() -> Self {
        Self { state: State::Waiting, cause: None, detail: None, segments: 0, bytes: 0, until: None }
    }
}

/// An epoch that can be recorded.
struct Running {
    cutter: Cutter,
    transport: Transport,
}

struct Worker {
    parts: Parts,
    token: Token,
    status: Arc<Mutex<Status>>,
    next: u64,
    /// The epoch's number, and what it is recorded with; `None` where it is refused.
    epoch: Option<(u64, Option<Running>)>,
    /// The segment in hand, when it starts; without a file where the disk failed.
    segment: Option<(Timestamp, Option<SegmentWriter>)>,
    /// Where the last segment that was written ends, and why the next does not begin there.
    until: Option<Timestamp>,
    cause: Option<&'static str>,
    gaps: Gaps,
    sound: Sound,
}

/// What a segment is with which the source ended. One that came to its end sent all of it, as far as anybody can tell; so did
/// one that was left because nobody wanted it any more.
fn ending(cause: &str) -> SegmentKind {
    match cause {
        "ended" | "cancelled" => SegmentKind::Suspect,
        _ => SegmentKind::Partial,
    }
}

impl Worker {
    fn new(parts: Parts, token: Token, status: Arc<Mutex<Status>>) -> Self {
        let Target { channel, quality } = &parts.target;
        let gaps = Gaps::of(&parts.archive, channel, quality, parts.limits.gaps);
        Self {
            parts,
            token,
            status,
            next: 0,
            epoch: None,
            segment: None,
            until: None,
            cause: None,
            gaps,
            sound: Sound::default(),
        }
    }

    fn run(mut self) {
        let ring = Arc::clone(&self.parts.ring);
        loop {
            // Asked first: what came before the end was asked for is written.
            let last = self.token.is_cancelled();
            let batch = ring.read(self.next, BATCH);
            if batch.lost > 0 {
                tracing::warn!("recording {} was too slow for {} samples", self.parts.stream, batch.lost);
                self.break_off(SegmentKind::Partial, "lost");
            }
            self.next = batch.next;
            let full = batch.entries.len() == BATCH;
            for entry in batch.entries {
                // G.711 and PCM have no place in MPEG-TS.
                let mut sound = std::mem::take(&mut self.sound);
                sound.take(&entry.epoch, &entry.sample, |epoch, sample| self.sample(epoch, sample));
                self.sound = sound;
            }
            if last {
                return self.break_off(SegmentKind::Suspect, "off");
            }
            if batch.ended {
                self.break_off(ending(batch.cause), "source");
                self.tell_state(State::Waiting, None, None);
            }
            if !full {
                std::thread::park_timeout(LOOK);
            }
        }
    }

    fn sample(&mut self, epoch: &Epoch, sample: &Arc<Sample>) {
        if self.epoch.as_ref().is_none_or(|it| it.0 != epoch.number) {
            self.change(epoch);
        }
        let mut steps = Vec::new();
        if let Some((_, Some(running))) = &mut self.epoch {
            running.cutter.push(Arc::clone(sample), &mut steps);
        }
        self.take(steps);
    }

    /// Begins with the newest keyframe, unless an earlier recording has it.
    fn find_place(&mut self) {
        self.until = self.recorded_until();
        // What is missing before the first segment was not asked for, or nobody was there to record it.
        self.cause = Some("off");
        let ring = &self.parts.ring;
        let newest = ring.last_keyframe().filter(|it| self.until.is_none_or(|until| it.sample.time >= until));
        self.next = newest.map_or_else(|| ring.range().end, |it| it.number);
    }

    /// Where the last segment of an earlier recording ends.
    fn recorded_until(&self) -> Option<Timestamp> {
        let Target { channel, quality } = &self.parts.target;
        let archive = &self.parts.archive;
        let hour = *archive.hours(channel, quality).ok()?.last()?;
        let selection = archive.select(channel, quality, Span::new(hour.start(), hour.end())).ok()?;
        selection.segments().next_back().map(|it| it.end())
    }

    fn change(&mut self, epoch: &Epoch) {
        // That the source was gone is known already; now it is known why.
        if self.cause == Some("source") {
            self.cause = Some(epoch.cause);
        }
        let kind = if CHANGES.contains(&epoch.cause) { SegmentKind::Suspect } else { SegmentKind::Partial };
        self.break_off(kind, epoch.cause);
        let cutter = Cutter::new(epoch, self.parts.limits.lengths);
        let running = match (Transport::new(&epoch.tracks), cutter) {
            (Ok(transport), Some(cutter)) => {
                self.tell_state(State::Recording, None, None);
                Some(Running { cutter, transport })
            }
            (Err(refused), _) => {
                let detail = format!("track {} cannot be recorded: {}", refused.track, refused.why);
                self.tell_state(State::Refused, Some("record-refused"), Some(detail));
                self.cause = Some("record-refused");
                None
            }
            // A transport stream without pictures is refused above.
            (Ok(_), None) => None,
        };
        self.epoch = Some((epoch.number, running));
    }

    /// Ends the segment in hand before its time; what is missing from there on has this cause.
    fn break_off(&mut self, kind: SegmentKind, cause: &'static str) {
        let mut steps = Vec::new();
        if let Some((_, Some(running))) = &mut self.epoch {
            running.cutter.finish(kind, &mut steps);
        }
        self.take(steps);
        self.cause.get_or_insert(cause);
    }

    fn take(&mut self, steps: Vec<Step>) {
        for step in steps {
            let done = match step {
                Step::Begin(start) => self.begin(start),
                Step::Sample(sample) => match &mut self.epoch {
                    Some((_, Some(running))) => match running.transport.write(&sample) {
                        Ok(_) => self.flush(CHUNK),
                        Err(error) => Err(error),
                    },
                    _ => Ok(()),
                },
                Step::End { duration, kind } => self.end(duration, kind),
                Step::TooLong => {
                    self.cause.get_or_insert("long-gop");
                    Ok(())
                }
            };
            if let Err(error) = done {
                self.failed(&error);
            }
        }
    }

    fn begin(&mut self, start: Timestamp) -> Result<()> {
        // Even where the disk fails: the samples that follow go through the transport all the same.
        self.segment = Some((start, None));
        if let Some((_, Some(running))) = &mut self.epoch {
            running.transport.begin()?;
        }
        let Target { channel, quality } = &self.parts.target;
        let file = self.parts.archive.create_segment(channel, quality, start)?;
        self.segment = Some((start, Some(file)));
        Ok(())
    }

    /// Writes what is ready, once it is `least` bytes.
    fn flush(&mut self, least: usize) -> Result<()> {
        let (Some((_, Some(running))), segment) = (&mut self.epoch, &mut self.segment) else { return Ok(()) };
        running.transport.drain(least, |bytes| match segment {
            Some((_, Some(file))) => file.write(bytes),
            _ => Ok(()),
        })
    }

    fn end(&mut self, duration: i64, kind: SegmentKind) -> Result<()> {
        let mut segment = self.segment.take();
        if let Some((_, Some(running))) = &mut self.epoch {
            running.transport.end(|bytes| match &mut segment {
                Some((_, Some(file))) => file.write(bytes),
                _ => Ok(()),
            })?;
        }
        let Some((start, Some(file))) = segment else { return Ok(()) };
        let began = Instant::now();
        let written = file.finish(duration, kind)?;
        let metrics = &self.parts.metrics;
        metrics.record_sync_seconds.observe(began.elapsed().as_secs_f64());
        metrics.record_segments.with_label_values(&[kind.as_str()]).inc();
        metrics.record_bytes.inc_by(written.bytes);
        self.tell_gap(start);
        let span = Span::new(start, start + duration);
        self.until = Some(span.end);
        {
            let mut status = self.status.lock();
            status.segments += 1;
            status.bytes += written.bytes;
            status.until = self.until;
        }
        self.tell_state(State::Recording, None, None);
        (self.parts.tell)(&self.parts.stream, Event::Segment { span, kind, bytes: written.bytes });
        Ok(())
    }

    /// Notes what is missing before a segment that was written.
    fn tell_gap(&mut self, start: Timestamp) {
        let cause = self.cause.take().unwrap_or("clock");
        let Some(until) = self.until.filter(|it| start - *it > TOLERANCE) else { return };
        let gap = Gap { span: Span::new(until, start), cause: cause.to_owned() };
        self.parts.metrics.record_gaps.with_label_values(&[cause]).inc();
        self.gaps.note(gap.clone());
        (self.parts.tell)(&self.parts.stream, Event::Gap(gap));
    }

    /// The segment in hand is lost; the next is tried anew.
    fn failed(&mut self, error: &Error) {
        if let Some((_, file)) = &mut self.segment {
            *file = None;
        }
        let cause = error.cause.as_deref().unwrap_or_default();
        tracing::warn!("recording {}: {error}: {cause}", self.parts.stream);
        self.cause.get_or_insert(error.code);
        self.tell_state(State::Failing, Some(error.code), Some(error.detail.clone()));
    }

    fn tell_state(&mut self, state: State, cause: Option<&'static str>, detail: Option<String>) {
        let told = {
            let mut status = self.status.lock();
            if (status.state, status.cause) == (state, cause) {
                return;
            }
            (status.state, status.cause, status.detail) = (state, cause, detail);
            status.clone()
        };
        (self.parts.tell)(&self.parts.stream, Event::State(told));
    }
}
