//! Pictures decoded and drawn lately, and decoders that wait for the next picture of their group. All of it bounded.

use super::find::Id;
use crate::base::metrics::Metrics;
use crate::config;
use crate::media::frame::Still;
use crate::media::gop::GopDecoder;
use crate::render::bytes::Made;
use crate::render::index::SegmentIndex;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use quick_cache::{OptionsBuilder, Weighter};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A coded picture: its segment's identity and its place in decoding order.
pub(super) type PictureKey = (Id, usize);

/// Where a run of coded pictures begins that is decoded together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct GopKey {
    pub segment: Id,
    /// The unit decoding begins at; `None` for one in the segment before.
    pub from: Option<usize>,
}

/// A group of pictures somebody asks for.
#[derive(Default)]
pub(super) struct Gop {
    /// Positions in the run that are waited for, and by how many.
    wanted: Mutex<BTreeMap<usize, usize>>,
    /// Who holds it decodes.
    pub turn: Arc<tokio::sync::Mutex<()>>,
}

/// A position that is waited for, as long as this lives.
pub(super) struct Waiting(Arc<Gop>, usize);

impl Gop {
    pub fn want(self: &Arc<Self>, position: usize) -> Waiting {
        *self.wanted.lock().entry(position).or_default() += 1;
        Waiting(Arc::clone(self), position)
    }

    pub fn wanted(&self) -> BTreeSet<usize> {
        self.wanted.lock().keys().copied().collect()
    }

    fn is_wanted(&self) -> bool {
        !self.wanted.lock().is_empty()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut wanted = self.0.wanted.lock();
        if let Some(count) = wanted.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                wanted.remove(&self.1);
            }
        }
    }
}

#[derive(Clone)]
pub(super) struct ByBytes;

impl<K> Weighter<K, Made> for ByBytes {
    fn weight(&self, _: &K, made: &Made) -> u64 {
        // The entry itself has a size too.
        made.bytes.len() as u64 + 320
    }
}

impl<K> Weighter<K, Arc<Still>> for ByBytes {
    fn weight(&self, _: &K, still: &Arc<Still>) -> u64 {
        still.frame.bytes() as u64 + 1024
    }
}

impl<K> Weighter<K, Arc<SegmentIndex>> for ByBytes {
    fn weight(&self, _: &K, it: &Arc<SegmentIndex>) -> u64 {
        let units = it.index.video.as_ref().map_or(0, |it| it.units.len());
        let sounds: usize = it.index.audio.iter().map(|it| it.frames.len()).sum();
        (units * 96 + sounds * 32 + 4096) as u64
    }
}

/// Frame indexes held in memory, in bytes: an hour of segments of two seconds.
const INDEX_BYTES: u64 = 16 << 20;

/// Groups remembered, as long as somebody asks for them or a decoder waits for more.
const GOPS: usize = 256;

/// A decoder that waits where it is for the next picture of its group.
struct Warm {
    key: GopKey,
    gop: Arc<Gop>,
    decoder: GopDecoder,
    since: Instant,
}

/// What is kept for frames.
pub struct Pictures {
    /// Finished answers, by what they are of and how they are drawn.
    made: Cache<Id, Made, ByBytes>,
    pub(super) decoded: Cache<PictureKey, Arc<Still>, ByBytes>,
    pub(super) indexes: Cache<Id, Arc<SegmentIndex>, ByBytes>,
    /// The one asked for last is the last.
    gops: Mutex<VecDeque<(GopKey, Arc<Gop>)>>,
    /// Those that nobody uses now, whether their group is waited for or not: who waits for a seat holds none. The one left
    /// last is the last.
    decoders: Mutex<VecDeque<Warm>>,
    /// A decoder was let go since the last look.
    let_go: AtomicBool,
    warm: usize,
    idle: Duration,
    metrics: Metrics,
}

/// The part of a cache that what was asked for again may hold against what is new. The cache's own default leaves 3 % to what
/// is new, which is less than the pictures beside one that were decoded with it.
const ASKED_AGAIN: f64 = 0.5;

/// One shard: pictures are large, and a part of the bound would be too small for some.
fn bounded<K: Hash + Eq, V: Clone>(bytes: u64, each: u64) -> Cache<K, V, ByBytes>
where
    ByBytes: Weighter<K, V>,
{
    let items = (bytes / each).clamp(16, 100_000) as usize;
    let mut options = OptionsBuilder::new();
    options.shards(1).weight_capacity(bytes).estimated_items_capacity(items).hot_allocation(ASKED_AGAIN);
    match options.build() {
        Ok(options) => Cache::with_options(options, ByBytes, Default::default(), Default::default()),
        // Only when a number is left out, and none is.
        Err(_) => Cache::with_weighter(items, bytes, ByBytes),
    }
}

impl Pictures {
    pub fn new(config: &config::Frame, metrics: &Metrics) -> Self {
        for (name, limit) in [
            ("frame_bytes_made", config.made_cache.0),
            ("frame_bytes_decoded", config.picture_cache.0),
            ("frame_warm_decoders", config.warm_decoders as u64),
        ] {
            metrics.limits.with_label_values(&[name]).set(limit as f64);
        }
        Self {
            made: bounded(config.made_cache.0, 64 << 10),
            decoded: bounded(config.picture_cache.0, 1 << 20),
            indexes: bounded(INDEX_BYTES, 8 << 10),
            gops: Mutex::default(),
            decoders: Mutex::default(),
            let_go: AtomicBool::new(false),
            warm: config.warm_decoders,
            idle: config.warm_idle.0,
            metrics: metrics.clone(),
        }
    }

    /// The group, from now on the one asked for last.
    pub(super) fn gop(&self, key: GopKey) -> Arc<Gop> {
        let mut gops = self.gops.lock();
        let gop = match gops.iter().position(|it| it.0 == key).and_then(|at| gops.remove(at)) {
            Some((_, gop)) => gop,
            None => Arc::default(),
        };
        gops.push_back((key, Arc::clone(&gop)));
        if gops.len() > GOPS {
            gops.pop_front();
        }
        gop
    }

    /// The decoder that waits for more of a group.
    pub(super) fn take_decoder(&self, key: GopKey) -> Option<GopDecoder> {
        let mut decoders = self.decoders.lock();
        let at = decoders.iter().position(|it| it.key == key)?;
        let warm = decoders.remove(at);
        self.metrics.frame_warm_decoders.set(decoders.len() as i64);
        warm.map(|it| it.decoder)
    }

    /// Leaves a decoder to who asks for the group next. Over the bound the one goes that waits longest of those nobody asks
    /// for; where all are asked for it is this one, so that the turn comes to some while they are still there.
    pub(super) fn leave_decoder(&self, key: GopKey, gop: &Arc<Gop>, decoder: GopDecoder, now: Instant) {
        let mut decoders = self.decoders.lock();
        decoders.push_back(Warm { key, gop: Arc::clone(gop), decoder, since: now });
        let mut gone = Vec::new();
        while decoders.len() > self.warm {
            let unwanted = decoders.iter().position(|it| !it.gop.is_wanted());
            let last = decoders.len() - 1;
            gone.extend(decoders.remove(unwanted.unwrap_or(last)));
        }
        self.metrics.frame_warm_decoders.set(decoders.len() as i64);
        if !gone.is_empty() {
            self.let_go.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn keep_decoded(&self, key: PictureKey, still: Arc<Still>) {
        self.decoded.insert(key, still);
        self.metrics.frame_bytes_decoded.set(self.decoded.weight() as i64);
    }

    /// A finished answer that is kept.
    pub(in crate::render) fn made(&self, of: Id) -> Option<Made> {
        self.made.get(&of)
    }

    pub(in crate::render) fn keep_made(&self, of: Id, made: Made) {
        self.made.insert(of, made);
        self.metrics.frame_bytes_made.set(self.made.weight() as i64);
    }

    /// Lets go of decoders that nobody came back to. True where any were let go since the last call: what they held is
    /// free, and still this process's.
    pub fn forget_idle(&self, now: Instant) -> bool {
        let mut decoders = self.decoders.lock();
        let before = decoders.len();
        decoders.retain(|it| now.duration_since(it.since) < self.idle);
        let some = decoders.len() < before;
        self.metrics.frame_warm_decoders.set(decoders.len() as i64);
        drop(decoders);
        self.gops.lock().retain(|(_, gop)| Arc::strong_count(gop) > 1);
        self.let_go.swap(false, Ordering::Relaxed) || some
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::index::VideoCodec;

    #[test]
    fn decoders_wait_for_a_while_and_not_too_many_do() {
        let metrics = Metrics::new();
        let config = config::Frame { warm_decoders: 2, ..config::Config::default().frame };
        let pictures = Pictures::new(&config, &metrics);
        let begin = Instant::now();
        let key = |number: usize| GopKey { segment: number as Id, from: Some(0) };
        let leave = |number: usize, seconds| {
            let decoder = GopDecoder::open(VideoCodec::H264).unwrap().unwrap();
            let gop = pictures.gop(key(number));
            pictures.leave_decoder(key(number), &gop, decoder, begin + Duration::from_secs(seconds));
        };
        let warm = || {
            let decoders = pictures.decoders.lock();
            assert_eq!(metrics.frame_warm_decoders.get(), decoders.len() as i64);
            decoders.iter().map(|it| it.key.segment).collect::<Vec<_>>()
        };
        (0..3).for_each(|number| leave(number, number as u64));
        assert_eq!(warm(), [1, 2]);
        let waiting = pictures.gop(key(1)).want(7);
        leave(3, 3);
        assert_eq!(warm(), [1, 3], "the longest that nobody asks for");
        let others = pictures.gop(key(3)).want(0);
        leave(4, 4);
        assert_eq!(warm(), [1, 3], "the others are asked for");
        assert!(pictures.take_decoder(key(3)).is_some() && pictures.take_decoder(key(3)).is_none());
        assert_eq!(warm(), [1]);
        drop((waiting, others));
        assert!(pictures.forget_idle(begin + Duration::from_secs(10)), "others went for want of room");
        assert_eq!((warm(), pictures.gops.lock().len()), (vec![1], 1));
        assert!(!pictures.forget_idle(begin + Duration::from_secs(10)));
        assert!(pictures.forget_idle(begin + Duration::from_secs(11)));
        assert!(warm().is_empty());
        assert!(pictures.gops.lock().is_empty());
    }

    #[test]
    fn what_is_new_stays_a_while_in_a_cache_that_is_full() {
        let cache: Cache<Id, Made, ByBytes> = bounded(32 << 20, 64 << 10);
        let made =
            |number: u8| Made { bytes: vec![number; 1 << 20].into(), tag: String::new(), gzipped: false };
        for number in 0..200u8 {
            cache.insert(Id::from(number), made(number));
            assert!(cache.weight() <= 32 << 20);
            // Of the last, a third of what it holds.
            for last in number.saturating_sub(9)..=number {
                assert!(cache.peek(&Id::from(last)).is_some(), "{last} is gone after {number}");
            }
        }
    }

    #[test]
    fn what_is_waited_for_is_known_until_nobody_waits() {
        let gop = Arc::new(Gop::default());
        let waiting = [gop.want(3), gop.want(7), gop.want(3)];
        assert_eq!(gop.wanted(), [3, 7].into());
        let [first, second, third] = waiting;
        drop((first, second));
        assert_eq!(gop.wanted(), [3].into());
        drop(third);
        assert!(gop.wanted().is_empty());
    }
}
