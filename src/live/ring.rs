//! The samples of a source of the last while, in the order they came. One writes, any number read, each at a place of
//! its own; a reader that is too slow loses the oldest and is told how much.
//!
//! Invariant: never more than the limits, but for the newest sample, however large that is.

use crate::base::{Timestamp, Token};
use crate::media::live::{Sample, Track, TrackKind};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How much a ring may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingLimits {
    /// From the oldest sample to the newest, in microseconds of wall time.
    pub micros: i64,
    /// Of the samples' data.
    pub bytes: usize,
}

/// A stretch in which tracks stay what they are and times run on.
#[derive(Debug, PartialEq)]
pub struct Epoch {
    /// Counted from 0 over a stream's life, restarts included.
    pub number: u64,
    pub tracks: Vec<Track>,
    /// Why the stretch before ended, as a stable word: `start`, `reconnect`, `timestamps`, `codec`, `source`, and so on.
    pub cause: &'static str,
}

impl Epoch {
    /// The index of its video track.
    pub fn video(&self) -> Option<usize> {
        self.tracks.iter().position(|it| it.kind == TrackKind::Video)
    }
}

/// A sample where it lies.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Counted from 0 over a stream's life: the place of a reader.
    pub number: u64,
    pub epoch: Arc<Epoch>,
    pub sample: Arc<Sample>,
}

impl Entry {
    /// Decoding of the stream can begin here.
    pub fn is_video_key(&self) -> bool {
        self.sample.key && self.epoch.video() == Some(self.sample.track)
    }
}

/// What a reader gets.
#[derive(Debug, Default)]
pub struct Batch {
    pub entries: Vec<Entry>,
    /// Samples that were gone already.
    pub lost: u64,
    /// Where to read on.
    pub next: u64,
    /// No sample follows until another epoch begins: the source stopped or was lost.
    pub ended: bool,
    /// Why, as a stable word; empty while it has not.
    pub cause: &'static str,
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<Entry>,
    bytes: usize,
    next: u64,
    epoch: Option<Arc<Epoch>>,
    epochs: u64,
    /// Of all that was ever pushed, for rates.
    pushed_bytes: u64,
    ended: bool,
    /// Why.
    cause: &'static str,
    /// See [`Ring::show`].
    shown: Option<Entry>,
}

/// The ring. Shared by reference counting; all of it may be called from any thread.
#[derive(Debug)]
pub struct Ring {
    state: Mutex<State>,
    limits: RingLimits,
    changed: Condvar,
    /// The number of changes so far.
    told: watch::Sender<u64>,
}

impl Ring {
    pub fn new(limits: RingLimits) -> Self {
        let state = Mutex::new(State { ended: true, ..State::default() });
        Self { state, limits, changed: Condvar::new(), told: watch::Sender::new(0) }
    }

    /// Begins an epoch; samples belong to it from now on.
    pub fn begin(&self, tracks: Vec<Track>, cause: &'static str) -> Arc<Epoch> {
        let mut state = self.state.lock();
        let epoch = Arc::new(Epoch { number: state.epochs, tracks, cause });
        state.epochs += 1;
        state.epoch = Some(Arc::clone(&epoch));
        state.ended = false;
        drop(state);
        self.tell();
        epoch
    }

    /// Adds a sample to the epoch begun last, and lets go of what is over the limits. Without an epoch nothing is added.
    pub fn push(&self, sample: Sample) {
        let mut state = self.state.lock();
        let Some(epoch) = state.epoch.clone().filter(|_| !state.ended) else { return };
        let newest = sample.time;
        state.bytes += sample.data.len();
        state.pushed_bytes += sample.data.len() as u64;
        let entry = Entry { number: state.next, epoch, sample: Arc::new(sample) };
        if state.shown.is_some() && entry.is_video_key() {
            state.shown = None;
        }
        state.next += 1;
        state.entries.push_back(entry);
        while state.entries.len() > 1
            && (state.bytes > self.limits.bytes
                || state.entries.front().is_some_and(|it| newest - it.sample.time > self.limits.micros))
        {
            if let Some(gone) = state.entries.pop_front() {
                state.bytes -= gone.sample.data.len();
            }
        }
        drop(state);
        self.tell();
    }

    /// Has a keyframe to be looked at before its epoch begins: its times are not known until others have come. It is of no
    /// order with the samples, and gone once a keyframe is pushed.
    pub fn show(&self, tracks: Vec<Track>, sample: Sample) {
        let mut state = self.state.lock();
        let epoch = Arc::new(Epoch { number: state.epochs, tracks, cause: "shown" });
        state.shown = Some(Entry { number: state.next, epoch, sample: Arc::new(sample) });
        drop(state);
        self.tell();
    }

    /// The newest keyframe to be looked at.
    pub fn newest_look(&self) -> Option<Entry> {
        let shown = self.state.lock().shown.clone();
        shown.or_else(|| self.last_keyframe())
    }

    /// The same of the source as it runs now: of its epoch, or before it. None once it has ended.
    pub fn current_look(&self) -> Option<Entry> {
        let look = self.newest_look()?;
        let state = self.state.lock();
        // Of the epoch at work, or of the one that is about to begin.
        let current = state.epochs - u64::from(!state.ended);
        (look.epoch.number >= current).then_some(look)
    }

    /// Says that nothing follows until [`Self::begin`], and why: `ended`, `cancelled`, `reset`, `stalled`, and so on.
    pub fn end(&self, cause: &'static str) {
        let mut state = self.state.lock();
        let was = std::mem::replace(&mut state.ended, true);
        state.shown = None;
        if !was {
            state.cause = cause;
        }
        drop(state);
        if !was {
            self.tell();
        }
    }

    /// Lets go of every sample; numbers count on.
    pub fn clear(&self) {
        let mut state = self.state.lock();
        state.entries.clear();
        state.shown = None;
        state.bytes = 0;
        drop(state);
        self.tell();
    }

    fn tell(&self) {
        self.changed.notify_all();
        self.told.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Up to `most` samples from number `from` on, at once.
    pub fn read(&self, from: u64, most: usize) -> Batch {
        self.state.lock().read(from, most)
    }

    /// [`Self::read`], waiting for at least one sample, the end, or `limit`. The token is looked at now and then.
    pub fn wait(&self, from: u64, most: usize, limit: Duration, token: &Token) -> Batch {
        // A token has nobody to wake: it is asked this often.
        const LOOK: Duration = Duration::from_millis(50);
        let until = Instant::now().checked_add(limit);
        let mut state = self.state.lock();
        while state.next <= from && !state.ended && !token.is_cancelled() {
            let left = until.map_or(LOOK, |it| it.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            self.changed.wait_for(&mut state, left.min(LOOK));
        }
        state.read(from, most)
    }

    /// Changes whenever something does; for those who wait without a thread.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.told.subscribe()
    }

    /// The numbers there are: from the oldest held to the next that will be given.
    pub fn range(&self) -> std::ops::Range<u64> {
        let state = self.state.lock();
        state.entries.front().map_or(state.next, |it| it.number)..state.next
    }

    pub fn is_ended(&self) -> bool {
        self.state.lock().ended
    }

    /// The epoch begun last.
    pub fn epoch(&self) -> Option<Arc<Epoch>> {
        self.state.lock().epoch.clone()
    }

    /// Bytes held now, and bytes that ever came.
    pub fn bytes(&self) -> (usize, u64) {
        let state = self.state.lock();
        (state.bytes, state.pushed_bytes)
    }

    /// From the oldest sample held to the newest, in microseconds of wall time.
    pub fn span(&self) -> i64 {
        let state = self.state.lock();
        let ends = state.entries.front().zip(state.entries.back());
        ends.map_or(0, |(first, last)| (last.sample.time - first.sample.time).max(0))
    }

    /// The last video keyframe shown at or before `time`, or the first held after it.
    pub fn keyframe_at(&self, time: Timestamp) -> Option<Entry> {
        let state = self.state.lock();
        let keys = || state.entries.iter().filter(|it| it.is_video_key());
        keys().rev().find(|it| it.sample.time <= time).or_else(|| keys().next()).cloned()
    }

    /// The newest video keyframe.
    pub fn last_keyframe(&self) -> Option<Entry> {
        self.state.lock().entries.iter().rev().find(|it| it.is_video_key()).cloned()
    }
}

impl State {
    fn read(&self, from: u64, most: usize) -> Batch {
        let first = self.entries.front().map_or(self.next, |it| it.number);
        let begin = from.max(first).min(self.next);
        let skip = (begin - first) as usize;
        let entries: Vec<Entry> = self.entries.iter().skip(skip).take(most).cloned().collect();
        let next = begin + entries.len() as u64;
        let ended = self.ended && next == self.next;
        let cause = if ended { self.cause } else { "" };
        Batch { entries, lost: begin.saturating_sub(from), next, ended, cause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::{SECOND, TimeBase};
    use crate::media::live::Codec;
    use bytes::Bytes;

    fn video() -> Track {
        Track {
            kind: TrackKind::Video,
            codec: Codec::H264,
            name: "h264".into(),
            time_base: TimeBase::MPEG,
            config: Bytes::new(),
            entry: None,
            codecs: String::new(),
            width: 16,
            height: 16,
            frame_rate: (1, 1),
            sample_rate: 0,
            channels: 0,
            frame_samples: 0,
        }
    }

    fn sample(second: i64, key: bool, bytes: usize) -> Sample {
        let (time, dts) = (Timestamp::from_micros(second * SECOND), second * 90_000);
        let data = Bytes::from(vec![0; bytes]);
        Sample { track: 0, dts, pts: dts, duration: 90_000, key, time, data }
    }

    fn numbers(batch: &Batch) -> Vec<u64> {
        batch.entries.iter().map(|it| it.number).collect()
    }

    #[test]
    fn readers_go_on_where_they_were_and_are_told_what_they_missed() {
        let ring = Ring::new(RingLimits { micros: 3 * SECOND, bytes: 1000 });
        ring.push(sample(0, true, 1));
        assert_eq!(ring.range(), 0..0, "nothing without an epoch");
        ring.begin(vec![video()], "start");
        (0..3).for_each(|it| ring.push(sample(it, it == 0, 10)));
        let batch = ring.read(0, 2);
        assert_eq!((numbers(&batch), batch.lost, batch.next, batch.ended), (vec![0, 1], 0, 2, false));
        (3..8).for_each(|it| ring.push(sample(it, it == 5, 10)));
        let batch = ring.read(batch.next, 100);
        assert_eq!((numbers(&batch), batch.lost), (vec![4, 5, 6, 7], 2));
        ring.end("reset");
        ring.end("ended");
        let batch = ring.wait(batch.next, 1, Duration::MAX, &Token::root());
        assert_eq!((numbers(&batch), batch.next, batch.ended, batch.cause), (vec![], 8, true, "reset"));
        assert_eq!(ring.read(99, 1).next, 8, "a place that is not there yet is the next");
    }

    #[test]
    fn bytes_are_bounded_but_the_newest_stays() {
        let ring = Ring::new(RingLimits { micros: i64::MAX, bytes: 100 });
        ring.begin(vec![video()], "start");
        for (bytes, held) in [(60, 60), (40, 100), (1, 41), (500, 500), (10, 10)] {
            ring.push(sample(0, true, bytes));
            assert_eq!(ring.bytes().0, held);
        }
        assert_eq!(ring.bytes().1, 611);
    }

    #[test]
    fn a_keyframe_is_shown_before_its_epoch_and_until_there_is_another() {
        let ring = Ring::new(RingLimits { micros: i64::MAX, bytes: usize::MAX });
        let look = || ring.newest_look().map(|it| (it.number, it.sample.data.len()));
        let current = || ring.current_look().map(|it| it.sample.data.len());
        assert_eq!((look(), current()), (None, None));
        ring.show(vec![video()], sample(0, true, 3));
        assert_eq!((look(), ring.last_keyframe().is_some(), ring.range()), (Some((0, 3)), false, 0..0));
        ring.begin(vec![video()], "start");
        assert_eq!(look(), Some((0, 3)), "the epoch has none yet");
        ring.push(sample(0, true, 2));
        assert_eq!((look(), current()), (Some((0, 2)), Some(2)));
        ring.end("reset");
        assert_eq!((look(), current()), (Some((0, 2)), None));
        ring.show(vec![video()], sample(9, true, 5));
        assert_eq!((look(), current()), (Some((1, 5)), Some(5)), "what came before a restart is older");
        ring.end("ended");
        assert_eq!((look(), current()), (Some((0, 2)), None));
        ring.begin(vec![video()], "reconnect");
        assert_eq!((look(), current()), (Some((0, 2)), None), "of the epoch before");
        ring.push(sample(10, true, 6));
        assert_eq!(current(), Some(6));
    }

    #[test]
    fn keyframes_are_found_by_time() {
        let ring = Ring::new(RingLimits { micros: i64::MAX, bytes: usize::MAX });
        ring.begin(vec![video()], "start");
        (0..10).for_each(|it| ring.push(sample(it, it % 4 == 2, 1)));
        let at = |second: i64| ring.keyframe_at(Timestamp::from_micros(second * SECOND)).map(|it| it.number);
        assert_eq!((at(0), at(2), at(5), at(9)), (Some(2), Some(2), Some(2), Some(6)));
        assert_eq!(ring.last_keyframe().map(|it| it.number), Some(6));
    }
}
