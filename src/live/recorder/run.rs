//! The thread of one recording: reads the ring from where the recording begins to where it ends.

use super::before::before;
use super::clip::{Clip, left_out};
use super::closing::close;
use super::record::{Recording, State, Written, numbered, seconds};
use super::store::Store;
use super::{Held, Inner, Source};
use crate::base::time::{Clock as _, SECOND, SystemClock};
use crate::base::{Error, Kind, Result, Timestamp, Token};
use crate::live::{Entry, Epoch};
use crate::media::live::Sample;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two looks at the ring.
const LOOK: Duration = Duration::from_millis(50);
/// Samples taken from the ring at once.
const BATCH: usize = 512;
/// Sound that came before the picture it is heard with; cameras send some tenths of a second of it.
const EARLY: usize = 128;
/// How long the end of a recording waits for sound that comes after its pictures, in microseconds.
const LATE_SOUND: i64 = SECOND;
/// A source that is gone does not hold a recording for longer than this past its end.
const GRACE: Duration = Duration::from_secs(5);

/// How a recording came to its end.
enum End {
    Complete,
    Cancelled,
    Broken(Error),
}

pub(super) struct Run {
    inner: Arc<Inner>,
    held: Arc<Held>,
    source: Source,
    /// The next number to be read, and the first picture's that is wanted.
    next: u64,
    from: u64,
    /// Duration counts from here: where the stream was when the recording was asked for.
    zero: Option<(Timestamp, Instant)>,
    /// Where it is to begin, where that is in the ring or before it.
    wanted: Option<Timestamp>,
    /// What is shown before this came out of the archive.
    joint: Option<Timestamp>,
    clip: Option<Clip>,
    epoch: Option<Arc<Epoch>>,
    early: VecDeque<Arc<Sample>>,
    /// Pictures that are shown after the end, and may be needed by some that are shown before it.
    beyond: Vec<Arc<Sample>>,
    /// When the picture of the clip is shown that is shown last.
    furthest: Option<Timestamp>,
    /// The newest time seen.
    newest: Option<Timestamp>,
    /// A stop ends it before this number.
    until: Option<u64>,
    /// Tracks of the epoch that have come to the end.
    ended: Vec<bool>,
    written: Vec<Written>,
}

impl Run {
    /// What was in the ring when this was called is before, what comes is after the moment it was asked for.
    pub fn new(inner: Arc<Inner>, held: Arc<Held>, source: Source) -> Self {
        let range = source.ring.range();
        let newest = source.ring.read(range.end.max(1) - 1, 1).entries.pop().filter(|_| !range.is_empty());
        let lookback = (held.record.lock().lookback * SECOND as f64) as i64;
        let zero = newest.and_then(|it| {
            // A ring that is at its end is of a source that is gone: of use only to who looks back.
            let now = SystemClock.now();
            match source.ring.is_ended() {
                true => (it.sample.time >= now + -lookback).then_some(now),
                false => Some(it.sample.time),
            }
        });
        Self {
            inner,
            held,
            source,
            next: range.end,
            from: range.end,
            zero: zero.map(|it| (it, Instant::now())),
            wanted: zero.map(|it| it + -lookback),
            joint: None,
            clip: None,
            epoch: None,
            early: VecDeque::new(),
            beyond: Vec::new(),
            furthest: None,
            newest: None,
            until: None,
            ended: Vec::new(),
            written: Vec::new(),
        }
    }

    fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Records, and says what came of it.
    pub fn run(mut self) {
        let end = self.record().unwrap_or_else(End::Broken);
        let closed = match &end {
            End::Cancelled => Ok(()),
            _ => self.close(),
        };
        let (state, fault) = match (end, closed) {
            (End::Cancelled, _) => (State::Cancelled, None),
            (End::Broken(error), _) => (State::Failed, Some(error)),
            // What was written before a codec changed is there all the same.
            (End::Complete, Err(error)) => (State::Failed, Some(error)),
            (End::Complete, Ok(())) if self.written.is_empty() => (State::Failed, Some(no_media())),
            (End::Complete, Ok(())) => (State::Done, None),
        };
        self.clip = None;
        let record = self.held.record.lock().clone();
        self.store().forget_part(&record);
        if state == State::Cancelled {
            self.store().remove_files(&record);
        }
        self.inner.change(&self.held, |record| {
            record.state = state;
            if let Some(error) = &fault {
                record.cause = Some(error.code.to_owned());
                record.detail = Some(error.detail.clone());
            }
            if state == State::Cancelled {
                (record.files, record.bytes, record.length) = (Vec::new(), 0, 0.0);
            }
        });
        self.inner.ended(&self.held);
    }

    fn record(&mut self) -> Result<End> {
        let token = self.held.token.clone();
        if self.begin(&token)? {
            return Ok(End::Complete);
        }
        let began = Instant::now();
        loop {
            let control = self.held.control.lock().clone();
            if control.cancel {
                return Ok(End::Cancelled);
            }
            let last = token.is_cancelled();
            let batch = self.source.ring.read(self.next, BATCH);
            if batch.lost > 0 {
                tracing::warn!(
                    "a recording of {} was too slow for {} samples",
                    self.source.stream,
                    batch.lost
                );
                if let Some(clip) = &mut self.clip {
                    clip.join()?;
                }
            }
            self.next = batch.next;
            if control.stop {
                self.until.get_or_insert_with(|| self.source.ring.range().end);
            }
            let full = batch.entries.len() == BATCH;
            for entry in batch.entries {
                if self.take(entry)? {
                    return Ok(End::Complete);
                }
            }
            self.told();
            if last {
                return Ok(End::Broken(Error::new(
                    Kind::Cancelled,
                    "server-stopped",
                    "the server was stopped before the recording came to its end",
                )));
            }
            let over = |(_, at): (Timestamp, Instant)| {
                let length = self.held.control.lock().duration.unwrap_or(self.inner.limits.longest);
                at.elapsed() >= Duration::from_micros(length as u64) + GRACE
            };
            if self.zero.is_some_and(over) || self.until.is_some_and(|it| self.next >= it) {
                return Ok(End::Complete);
            }
            if self.clip.is_none()
                && self.written.is_empty()
                && began.elapsed() >= self.inner.limits.first_media
            {
                return Ok(End::Broken(no_media()));
            }
            if !full {
                std::thread::park_timeout(LOOK);
            }
        }
    }

    /// Finds where the recording begins; true where it ends there already.
    fn begin(&mut self, token: &Token) -> Result<bool> {
        let ring = Arc::clone(&self.source.ring);
        let Some(wanted) = self.wanted else { return Ok(false) };
        let range = ring.range();
        let Some(key) = ring.keyframe_at(wanted) else { return Ok(false) };
        let archive = self.source.archive.clone().filter(|_| key.sample.time > wanted);
        if let Some((archive, target)) = archive {
            let all = ring.read(range.start, usize::MAX).entries;
            let keys: Vec<Entry> = all.iter().filter(|it| it.is_video_key()).cloned().collect();
            match before(&archive, &target, wanted, &keys, token) {
                Ok(Some(before)) => {
                    self.change(&key.epoch)?;
                    for sample in before.samples {
                        self.push(sample)?;
                    }
                    self.from = before.next;
                    self.joint = Some(before.time);
                    // Held since before the archive was read: the ring may have let go of it.
                    let first = before.next.saturating_sub(EARLY as u64);
                    for entry in all.into_iter().filter(|it| it.number >= first) {
                        self.next = entry.number + 1;
                        if self.take(entry)? {
                            return Ok(true);
                        }
                    }
                    return Ok(false);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!("the archive was not looked back into: {error}");
                }
            }
        }
        self.from = key.number;
        self.next = key.number.saturating_sub(EARLY as u64).max(range.start);
        Ok(false)
    }

    /// Takes one sample; true once the end is reached.
    fn take(&mut self, entry: Entry) -> Result<bool> {
        let before = entry.number < self.from;
        let is_video = entry.epoch.video() == Some(entry.sample.track);
        // Sound that came late is in the archive's segment already.
        let had = !is_video && self.joint.is_some_and(|it| entry.sample.time < it);
        if (before && is_video) || had {
            return Ok(false);
        }
        if self.epoch.as_ref().is_none_or(|it| it.number != entry.epoch.number) {
            self.change(&entry.epoch)?;
        }
        let sample = entry.sample;
        self.newest = self.newest.max(Some(sample.time));
        if self.zero.is_none() && is_video && sample.key {
            self.zero = Some((sample.time, Instant::now()));
        }
        if let Some(end) = self.end() {
            let base = entry.epoch.tracks[sample.track].time_base;
            let sent = sample.time + -base.micros(sample.pts - sample.dts);
            // What is shown before a picture that the clip has is of the clip too, whenever it is sent.
            let within = is_video && self.furthest.is_some_and(|it| sample.time < it);
            if within {
                self.push(sample)?;
                return Ok(false);
            }
            if sent >= end {
                self.ended[sample.track] = true;
                let pictures = entry.epoch.video().is_some_and(|it| self.ended[it]);
                let late = is_video && sent - end >= LATE_SOUND;
                return Ok(pictures && (late || self.ended.iter().all(|it| *it)));
            }
        }
        if self.ended[sample.track] {
            return Ok(false);
        }
        if is_video && self.end().is_some_and(|end| sample.time >= end) {
            // Decoded before the end and shown after it: only what one shown before it may need is of the clip.
            self.beyond.push(sample);
            return Ok(false);
        }
        if is_video {
            for needed in std::mem::take(&mut self.beyond) {
                self.push(needed)?;
            }
        }
        self.push(sample)?;
        Ok(false)
    }

    fn end(&self) -> Option<Timestamp> {
        let (zero, _) = self.zero?;
        Some(zero + self.held.control.lock().duration.unwrap_or(self.inner.limits.longest))
    }

    fn push(&mut self, sample: Arc<Sample>) -> Result<()> {
        let Some(epoch) = self.epoch.clone() else { return Ok(()) };
        let is_key = epoch.video() == Some(sample.track) && sample.key;
        if self.clip.is_none() && is_key {
            let record = self.held.record.lock().clone();
            let mut clip = Clip::create(&self.store().part(&record)?, &epoch, record.orientation)?;
            for sound in self.early.drain(..) {
                clip.push(sound)?;
            }
            self.clip = Some(clip);
            self.inner.change(&self.held, |record| {
                record.start.get_or_insert(sample.time);
                record.left_out = left_out(&epoch);
            });
        }
        match &mut self.clip {
            Some(clip) => {
                if epoch.video() == Some(sample.track) {
                    self.furthest = self.furthest.max(Some(sample.time));
                }
                clip.push(sample)
            }
            None => {
                if epoch.video() != Some(sample.track) {
                    self.early.push_back(sample);
                    if self.early.len() > EARLY {
                        self.early.pop_front();
                    }
                }
                Ok(())
            }
        }
    }

    /// Another epoch: in the same file where its tracks are the same, else in one of its own.
    fn change(&mut self, epoch: &Arc<Epoch>) -> Result<()> {
        self.epoch = Some(Arc::clone(epoch));
        self.ended = vec![false; epoch.tracks.len()];
        self.furthest = None;
        self.early.clear();
        match &mut self.clip {
            Some(clip) if clip.takes(epoch) => clip.join(),
            Some(_) => {
                self.close()?;
                self.inner.change(&self.held, |record| record.state = State::Recording);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn told(&self) {
        let Some(clip) = &self.clip else { return };
        let (bytes, micros) = (clip.bytes(), clip.micros());
        let mut record = self.held.record.lock();
        let before: (u64, f64) =
            self.written.iter().fold((0, 0.0), |sum, it| (sum.0 + it.bytes, sum.1 + it.length));
        (record.bytes, record.length) = (before.0 + bytes, before.1 + seconds(micros));
    }

    /// Finishes the file in hand, where there is one, and gives it its name.
    fn close(&mut self) -> Result<()> {
        let Some(clip) = self.clip.take() else { return Ok(()) };
        self.inner.change(&self.held, |record| record.state = State::Finishing);
        let (file, flushed) = clip.finish();
        let closed = close(&file)?;
        drop(file);
        let record = self.held.record.lock().clone();
        let name = self.store().publish(&record, &numbered(&record.name, self.written.len() + 1))?;
        self.written.push(Written { name, bytes: closed.bytes, length: closed.millis as f64 / 1000.0 });
        let (files, end) = (self.written.clone(), self.newest);
        self.inner.change(&self.held, |record: &mut Recording| {
            record.bytes = files.iter().map(|it| it.bytes).sum();
            record.length = files.iter().map(|it| it.length).sum();
            record.end = record.start.map(|it| it + (record.length * SECOND as f64) as i64).or(end);
            if let Some(first) = files.first() {
                record.name = first.name.clone();
            }
            record.files = files;
        });
        flushed
    }
}

fn no_media() -> Error {
    Error::new(Kind::Deadline, "no-media", "the stream brought no picture in time")
}
