//! A smart cut as a file that seems to exist already: its edges are made first, the segments between are patched
//! while they are read.

use super::bytes::ByteSource;
use super::index::SegmentIndex;
use super::{Parts, Render, Wanted, clips, playlist, select, within};
use crate::archive::{Item, Segment, SegmentKind, Selection};
use crate::base::time::TimeBase;
use crate::base::{Error, Result, Span, Timestamp, Token};
use crate::media::cut::edge::{EdgeMaker, EdgeSettings, Segments};
use crate::media::cut::plan::{MAX_ENCODED, Part, Place, RangePlan, Source, plan, refuse};
use crate::media::timeline::Anchor;
use crate::media::ts::{ContinuityCounters, CounterProfile, Patch};
use crate::pool::Lane;
use base64::Engine;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::OnceCell;

/// Changes whenever the same request gives other bytes.
const FORMAT: u32 = 1;

/// Output time of the first picture: the source's clock runs up to a second ahead of its pictures.
const FIRST_AT: i64 = 2 * 90_000;

/// What a cut holds, for people and programs.
#[derive(Debug, Clone, Serialize)]
pub struct Receipt {
    /// Pictures of all ranges.
    pub frames: u64,
    /// Those encoded anew; the others are the source's, bit for bit.
    pub encoded_frames: u64,
    /// Seconds.
    pub duration: f64,
    /// Length of the file.
    pub bytes: u64,
    pub ranges: Vec<RangeReceipt>,
}

#[derive(Debug, Clone, Serialize)]
pub struct RangeReceipt {
    /// What was asked for.
    pub requested: Span,
    /// The first and the last picture.
    pub first: PictureReceipt,
    pub last: PictureReceipt,
    pub frames: u64,
    pub encoded_frames: u64,
    /// Where the range lies in the output, in seconds from its first picture.
    pub output_start: f64,
    pub output_end: f64,
    /// What is missing inside and was passed over.
    pub holes: Vec<Span>,
}

/// A picture of the source.
#[derive(Debug, Clone, Serialize)]
pub struct PictureReceipt {
    pub segment: String,
    /// Its place in the segment in the order pictures are shown, from 0.
    pub number: usize,
    /// In ticks of 90 kHz, as in the segment.
    pub pts: i64,
    /// When it was shown.
    pub time: Timestamp,
}

enum Slice {
    Made(Bytes),
    Segment(Segment, u64),
}

struct Placed {
    slice: Slice,
    patch: Patch,
    counters: ContinuityCounters,
    /// The offset behind its last byte.
    end: u64,
}

/// A finished plan with its edges: everything but the segments between.
pub struct SmartCut {
    parts: Vec<Placed>,
    tag: String,
    modified: Option<SystemTime>,
    pub receipt: Receipt,
    /// Bytes of the edges, which are held as long as the cut.
    edge_bytes: u64,
    render: Render,
    /// The segment patched last.
    last: Mutex<Option<(usize, Bytes)>>,
}

/// A cut that is being prepared, or is.
type Cell = OnceCell<Arc<SmartCut>>;

/// Cuts prepared lately, the latest last. A cut asked for twice at once is prepared once.
pub struct SmartCache {
    cuts: Mutex<VecDeque<(String, Arc<Cell>)>>,
}

/// Prepared cuts kept, whatever they hold.
const KEPT: usize = 64;

/// The most a cut's edges may hold, in bytes: a hundred ranges of 1080p have less.
const MAX_EDGE_BYTES: u64 = 256 << 20;

impl Default for SmartCache {
    fn default() -> Self {
        Self { cuts: Mutex::new(VecDeque::new()) }
    }
}

impl SmartCache {
    fn cell(&self, key: &str) -> Arc<Cell> {
        let mut cuts = self.cuts.lock();
        let cell = match cuts.iter().position(|(kept, _)| kept == key).and_then(|at| cuts.remove(at)) {
            Some((_, cell)) => cell,
            None => Arc::default(),
        };
        cuts.push_back((key.to_owned(), Arc::clone(&cell)));
        cell
    }

    /// Forgets cuts asked for longest ago until the edges of the rest are within `limit`; gives what is held then.
    fn trim(&self, limit: u64) -> u64 {
        let mut cuts = self.cuts.lock();
        let held = |cell: &Cell| cell.get().map_or(0, |cut| cut.edge_bytes);
        let mut sum: u64 = cuts.iter().map(|(_, cell)| held(cell)).sum();
        while (sum > limit || cuts.len() > KEPT)
            && let Some((_, cell)) = cuts.pop_front()
        {
            sum -= held(&cell);
        }
        sum
    }
}

/// A range with what the archive has for it.
struct Drawn {
    span: Span,
    selection: Selection,
    /// The selection's segments, with those it continues and that continue it.
    segments: Vec<Segment>,
    /// Whether nothing is missing before each.
    joined: Vec<bool>,
}

impl Render {
    /// A smart cut, prepared: its length is known and its edges are made.
    pub async fn smart_cut(&self, wanted: Wanted) -> Result<Arc<SmartCut>> {
        let limit = self.config.cut.max_span;
        let drawn = self
            .ask(move |archive, token| {
                let mut drawn = Vec::new();
                for (start, end) in &wanted.ranges {
                    token.check()?;
                    let span =
                        playlist::content_span(archive, &wanted.channel, &wanted.quality, (*start, *end))?;
                    let selection =
                        select(archive, &wanted.channel, &wanted.quality, span, wanted.allow_holes)?;
                    within(span, limit, "Range")?;
                    drawn.push(Drawn::new(archive, span, selection)?);
                }
                Ok(drawn)
            })
            .await?;
        let tag = self.tag_of(&drawn);
        let cell = self.smart.cell(&tag);
        let cut = cell.get_or_try_init(|| async {
            let render = self.clone();
            let deadline = self.config.cut.deadline.0;
            let work = move |token: &Token| {
                let token = token.child_with_deadline(deadline);
                SmartCut::prepare(&render, drawn, tag, &token).map(Arc::new)
            };
            self.pool.submit(Lane::Interactive, &self.stop, work)?.await
        });
        let cut = cut.await.cloned();
        let held = self.smart.trim(self.config.cut.edge_cache.0);
        self.metrics.cut_edge_bytes.set(held as i64);
        cut
    }

    fn tag_of(&self, drawn: &[Drawn]) -> String {
        let mut digest = Sha256::new();
        digest.update(FORMAT.to_le_bytes());
        digest.update(self.edge_settings().preset.as_bytes());
        digest.update(self.edge_settings().crf.to_le_bytes());
        for range in drawn {
            digest.update(range.span.to_string().as_bytes());
            for segment in &range.segments {
                digest.update(segment.channel().as_str().as_bytes());
                digest.update(segment.hour().to_string().as_bytes());
                // The name holds the hash of the content.
                digest.update(segment.name().as_bytes());
            }
        }
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest.finalize()[..18])
    }

    fn edge_settings(&self) -> EdgeSettings {
        EdgeSettings { preset: self.config.cut.edge_preset.clone(), crf: f64::from(self.config.cut.edge_crf) }
    }
}

impl Drawn {
    fn new(archive: &crate::archive::Archive, span: Span, selection: Selection) -> Result<Self> {
        let (mut segments, mut joined) = (Vec::new(), Vec::new());
        let first = selection.segments().next();
        if let Some(before) = first.map(|it| clips::segment_before(archive, it)).transpose()?.flatten() {
            segments.push(before);
            joined.push(false);
        }
        let mut after_hole = segments.is_empty();
        for item in &selection.items {
            match item {
                Item::Segment(segment) => {
                    segments.push(segment.clone());
                    joined.push(!after_hole);
                    after_hole = false;
                }
                Item::Hole(_) | Item::Break(_) => after_hole = true,
            }
        }
        if let Some(last) = segments.last().cloned()
            && let Some(after) = clips::segment_after(archive, &last)?
        {
            segments.push(after);
            joined.push(true);
        }
        Ok(Self { span, selection, segments, joined })
    }
}

/// Segments read for edges, each once.
struct Opened<'a> {
    render: &'a Parts,
    segments: &'a [Segment],
    kept: Mutex<VecDeque<(usize, Vec<u8>)>>,
}

/// Segments of edges kept while they are made: both ends of a range, with their neighbours.
const OPENED: usize = 4;

impl Segments for Opened<'_> {
    fn read(&self, source: usize) -> Result<Vec<u8>> {
        let mut kept = self.kept.lock();
        if let Some((_, bytes)) = kept.iter().find(|(number, _)| *number == source) {
            return Ok(bytes.clone());
        }
        let bytes = self.render.segment_bytes(&self.segments[source])?;
        kept.push_back((source, bytes.clone()));
        while kept.len() > OPENED {
            kept.pop_front();
        }
        Ok(bytes)
    }
}

impl SmartCut {
    fn prepare(render: &Render, drawn: Vec<Drawn>, tag: String, token: &Token) -> Result<Self> {
        let settings = render.edge_settings();
        let mut cut = Self {
            parts: Vec::new(),
            tag,
            modified: None,
            receipt: Receipt { frames: 0, encoded_frames: 0, duration: 0.0, bytes: 0, ranges: Vec::new() },
            edge_bytes: 0,
            render: render.clone(),
            last: Mutex::new(None),
        };
        let mut counters = ContinuityCounters::default();
        let (mut at, mut sound_at) = (FIRST_AT, Vec::new());
        for range in &drawn {
            let indexes = render.indexes(&range.segments, token)?;
            let sources: Vec<Source<'_>> = range
                .segments
                .iter()
                .zip(&indexes)
                .zip(&range.joined)
                .map(|((segment, index), joined)| Source {
                    index: &index.index,
                    wall: segment.start(),
                    joined: *joined,
                    whole: segment.kind() == SegmentKind::Full,
                })
                .collect();
            let plan = plan(&sources, range.span, at, &sound_at)?;
            let opened = Opened { render, segments: &range.segments, kept: Mutex::default() };
            let maker =
                EdgeMaker { plan: &plan, sources: &sources, segments: &opened, settings: &settings, token };
            for part in plan.parts() {
                let (slice, shift, profile) = match part {
                    Part::Whole { source } => {
                        let profile = indexes[source].counters.clone();
                        let slice = Slice::Segment(range.segments[source].clone(), profile.end);
                        (slice, plan.shifts[source], profile)
                    }
                    Part::Edge { pieces, sources } => {
                        let bytes = maker.transport_stream(pieces, sources)?;
                        let profile = CounterProfile::of(&bytes)?;
                        cut.edge_bytes += bytes.len() as u64;
                        if cut.edge_bytes > MAX_EDGE_BYTES {
                            return Err(refuse("the edges of the ranges hold more than 256 MiB"));
                        }
                        (Slice::Made(bytes.into()), 0, profile)
                    }
                };
                cut.receipt.bytes += profile.end;
                let patch = Patch { shift_90k: shift, joined: true };
                cut.parts.push(Placed { slice, patch, counters: counters.clone(), end: cut.receipt.bytes });
                counters.pass(&profile);
            }
            cut.receipt.add(range, &indexes, &plan);
            if cut.receipt.encoded_frames > MAX_ENCODED {
                return Err(refuse("the source has too few keyframes to copy from"));
            }
            render.metrics.media_encoded.with_label_values(&["cut"]).inc_by(plan.encoded);
            (at, sound_at) = (plan.end, plan.sound_ends);
        }
        Ok(cut)
    }

    /// One part as it goes out.
    fn part(&self, at: usize) -> Result<Bytes> {
        let mut last = self.last.lock();
        if let Some((number, bytes)) = &*last
            && *number == at
        {
            return Ok(bytes.clone());
        }
        let placed = &self.parts[at];
        let mut bytes = match &placed.slice {
            Slice::Made(bytes) => bytes.to_vec(),
            Slice::Segment(segment, length) => {
                let mut bytes = self.render.segment_bytes(segment)?;
                let length = usize::try_from(*length).unwrap_or(usize::MAX);
                if bytes.len() < length {
                    return Err(Error::damaged("a segment changed while it was read"));
                }
                bytes.truncate(length);
                bytes
            }
        };
        placed.patch.apply(&mut bytes, &mut placed.counters.clone())?;
        let bytes = Bytes::from(bytes);
        *last = Some((at, bytes.clone()));
        Ok(bytes)
    }
}

impl Receipt {
    fn add(&mut self, range: &Drawn, indexes: &[SegmentIndex], plan: &RangePlan) {
        let seconds = |ticks: i64| TimeBase::MPEG.seconds(ticks - FIRST_AT);
        let picture = |place: Place| {
            let segment = &range.segments[place.source];
            let units = indexes[place.source].index.video.as_ref().map_or(&[][..], |track| &track.units);
            let pts = units.get(place.unit).map_or(0, |unit| unit.pts);
            let shown = units.iter().filter(|unit| !unit.second_field);
            let first = shown.clone().map(|unit| unit.pts).min().unwrap_or(pts);
            PictureReceipt {
                segment: segment.name().to_owned(),
                number: shown.filter(|unit| unit.pts < pts).count(),
                pts,
                time: Anchor { wall: segment.start(), ticks: first, base: TimeBase::MPEG }.wall_of(pts),
            }
        };
        self.frames += plan.copied + plan.encoded;
        self.encoded_frames += plan.encoded;
        self.duration = seconds(plan.end);
        self.ranges.push(RangeReceipt {
            requested: range.span,
            first: picture(plan.first),
            last: picture(plan.last),
            frames: plan.copied + plan.encoded,
            encoded_frames: plan.encoded,
            output_start: seconds(plan.start),
            output_end: seconds(plan.end),
            holes: range.selection.holes(),
        });
    }
}

impl ByteSource for SmartCut {
    fn length(&self) -> u64 {
        self.receipt.bytes
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Bytes> {
        let mut out = BytesMut::with_capacity(length);
        let mut at = self.parts.partition_point(|part| part.end <= offset);
        let mut from = offset;
        while out.len() < length {
            if at >= self.parts.len() {
                return Err(Error::internal("a read beyond the end of a cut"));
            }
            let begin = at.checked_sub(1).map_or(0, |before| self.parts[before].end);
            let bytes = self.part(at)?;
            let skip = (from - begin) as usize;
            let count = (bytes.len() - skip).min(length - out.len());
            out.extend_from_slice(&bytes[skip..skip + count]);
            from += count as u64;
            at += 1;
        }
        Ok(out.freeze())
    }
}
