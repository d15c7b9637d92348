//! The frame index of a segment: built once, kept beside the archive, read by whoever needs to know what is where.

use super::Parts;
use crate::archive::{Key, OpenFile, Product, Segment, SegmentKind, decode_hash};
use crate::base::time::TimeBase;
use crate::base::{Error, Kind, Name, Result, Token};
use crate::media::cut::plan::{Inner, frame_ticks};
use crate::media::index::{FrameIndex, build};
use crate::media::ts::{CounterProfile, PidCounters};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::sync::Arc;

/// What is kept; another layout gets another number.
pub(super) const PRODUCT: Product<'static> = Product::new("index", 3);

/// Pictures that the shown ones of a segment may be short of its duration, the last one's own length among them.
const SHORT: i64 = 3;

/// The largest segment that is indexed: it is read whole.
const MAX_SEGMENT_BYTES: u64 = 1 << 30;

/// What is known of a segment without reading it.
#[derive(Debug, Clone)]
pub struct SegmentIndex {
    /// Without pictures and frames of sound where `inner` stands for them.
    pub index: Arc<FrameIndex>,
    pub counters: CounterProfile,
    /// Its bytes are not those whose hash its name tells.
    pub altered: bool,
    pub inner: Option<Inner>,
}

impl SegmentIndex {
    /// What makes a segment as good as missing: it holds no picture, or it is not what its name says and pictures that the
    /// name promises are not there, since it was cut off or lost packets after it was written.
    fn fault(&self, segment: &Segment) -> Option<Error> {
        let Some(track) = self.index.video.as_ref().filter(|it| !it.units.is_empty()) else {
            return Some(Error::damaged("it holds no picture"));
        };
        if !self.altered || segment.kind() != SegmentKind::Full {
            return None;
        }
        let times = || track.units.iter().map(|it| it.pts);
        let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
        let picture = frame_ticks(track);
        let promised = TimeBase::MICROS.rescale(segment.duration(), TimeBase::MPEG);
        let short = last - first + picture * SHORT < promised;
        let lost = self.index.gaps > 0 || track.units.iter().any(|it| it.damaged);
        (short || lost).then(|| {
            Error::damaged("it is not what its name tells the hash of, and pictures are missing in it")
        })
    }

    fn encode(&self) -> Vec<u8> {
        let index = self.index.encode();
        let mut out = Vec::with_capacity(index.len() + 16 + 4 * self.counters.pids.len());
        out.push(u8::from(self.altered));
        out.extend_from_slice(&self.counters.end.to_le_bytes());
        out.extend_from_slice(&(self.counters.pids.len() as u32).to_le_bytes());
        for it in &self.counters.pids {
            out.extend_from_slice(&it.pid.to_le_bytes());
            out.extend_from_slice(&[it.before, it.last]);
        }
        out.extend_from_slice(&index);
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (altered, rest) = bytes.split_first()?;
        let (end, rest) = rest.split_first_chunk::<8>()?;
        let (count, mut rest) = rest.split_first_chunk::<4>()?;
        let mut pids = Vec::new();
        for _ in 0..u32::from_le_bytes(*count) {
            let ([low, high, before, last], after) = rest.split_first_chunk::<4>()?;
            pids.push(PidCounters { pid: u16::from_le_bytes([*low, *high]), before: *before, last: *last });
            rest = after;
        }
        let counters = CounterProfile { pids, end: u64::from_le_bytes(*end) };
        let index = Arc::new(FrameIndex::decode(rest).ok()?);
        Some(Self { index, counters, altered: *altered != 0, inner: None })
    }
}

/// A segment that cannot be taken, by its time.
pub(super) fn unreadable(segment: &Segment, fault: Error) -> Error {
    let detail = format!("the segment of {} cannot be read: {}", segment.start(), fault.detail);
    Error { detail, ..fault }
}

impl Parts {
    /// What makes a segment as good as missing, by its index, which may be older than the harm, and by its length now.
    pub(super) fn harm(&self, segment: &Segment, index: &SegmentIndex) -> Option<Error> {
        let changed = self.open_segment(segment).is_ok_and(|it| it.len != index.index.bytes);
        let fault = || Error::damaged("it has another length than when it was indexed");
        changed.then(fault).or_else(|| index.fault(segment))
    }

    /// What makes a segment as good as missing, or `None`; also where it is of a kind that has no index.
    ///
    /// # Errors
    /// What `token` has.
    pub(super) fn fault(&self, segment: &Segment, token: &Token) -> Result<Option<Error>> {
        let index = self.index(segment, token);
        token.check()?;
        Ok(match index {
            Ok(index) => self.harm(segment, &index),
            Err(error) => Some(error).filter(|it| it.kind == Kind::Damaged),
        })
    }

    /// A segment's file.
    pub(super) fn open_segment(&self, segment: &Segment) -> Result<OpenFile> {
        self.archive.open_file(&[
            Name::new("channel", segment.channel().as_str())?,
            Name::new("quality", segment.quality().as_str())?,
            Name::new("hour", &segment.hour().to_string())?,
            Name::new("segment", segment.name())?,
        ])
    }

    /// The index of a segment where it is kept.
    pub(super) fn kept_index(&self, segment: &Segment) -> Result<Option<SegmentIndex>> {
        let key = Key::of(&self.archive, segment, PRODUCT)?;
        Ok(self.sidecars.get(&key).as_deref().and_then(SegmentIndex::decode))
    }

    /// A segment's bytes.
    pub(super) fn segment_bytes(&self, segment: &Segment) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_segment(segment, &mut bytes)?;
        Ok(bytes)
    }

    /// A segment's bytes, in the place of what `bytes` held. Who goes through many uses the same memory for all: the system
    /// clears what it gives away anew.
    pub(super) fn read_segment(&self, segment: &Segment, bytes: &mut Vec<u8>) -> Result<()> {
        let mut open = self.open_segment(segment)?;
        if open.len > MAX_SEGMENT_BYTES {
            return Err(Error::damaged("a segment is larger than 1 GiB"));
        }
        bytes.clear();
        bytes.reserve(open.len as usize);
        let unreadable = |fault: std::io::Error| Error::io("a segment cannot be read", &fault);
        open.file.by_ref().take(open.len).read_to_end(bytes).map_err(unreadable)?;
        Ok(())
    }

    /// The index of one segment among many that are gone through.
    ///
    /// # Errors
    /// [`Kind::Damaged`], [`Kind::Unsupported`] where the segment is no MPEG-TS; what `token` has.
    pub(super) fn index(&self, segment: &Segment, token: &Token) -> Result<SegmentIndex> {
        let index = self.indexes(std::slice::from_ref(segment), false, token)?.pop();
        index.ok_or_else(|| Error::internal("a segment without an index"))?
    }

    /// The indexes of segments, from the cache or built now; for each that is damaged, what is wrong with it. If `hold`,
    /// those read from the disk stay in memory.
    pub(super) fn indexes(
        &self,
        segments: &[Segment],
        hold: bool,
        token: &Token,
    ) -> Result<Vec<Result<SegmentIndex>>> {
        let keys =
            segments.iter().map(|it| Key::of(&self.archive, it, PRODUCT)).collect::<Result<Vec<_>>>()?;
        let kept = if hold { self.sidecars.get_many(&keys) } else { self.sidecars.pass_many(&keys) };
        let mut indexes = Vec::with_capacity(segments.len());
        for ((segment, key), kept) in segments.iter().zip(&keys).zip(kept) {
            token.check()?;
            if let Some(index) = kept.as_deref().and_then(SegmentIndex::decode) {
                indexes.push(Ok(index));
                continue;
            }
            let bytes = self.sidecars.get_or_make(key, token, || {
                let bytes = self.segment_bytes(segment)?;
                let index = Arc::new(build(&bytes)?);
                let counters = CounterProfile::of(&bytes)?;
                let altered = decode_hash(segment.hash()).is_some_and(|it| it != Sha256::digest(&bytes)[..]);
                if altered {
                    tracing::warn!(
                        segment = segment.name(),
                        "its bytes are not those its name tells the hash of"
                    );
                }
                Ok(SegmentIndex { index, counters, altered, inner: None }.encode())
            });
            let bytes = match bytes {
                Err(error) if error.kind == Kind::Damaged => {
                    indexes.push(Err(error));
                    continue;
                }
                bytes => bytes?,
            };
            let index = SegmentIndex::decode(&bytes);
            indexes.push(Ok(index.ok_or_else(|| Error::internal("an index just made cannot be read"))?));
        }
        Ok(indexes)
    }
}
