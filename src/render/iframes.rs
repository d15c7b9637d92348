//! Playlists of keyframes, out of the frame indexes.

use super::bytes::Made;
use super::index::SegmentIndex;
use super::playlist::played;
use super::{Parts, Render};
use crate::archive::{Item, Segment};
use crate::base::time::TimeBase;
use crate::base::{Channel, Kind, Quality, Result, Timestamp, Token};
use crate::media::tile::decoded_alone;
use crate::packaging::iframes::{Entry, iframes};
use crate::pool::Lane;
use crate::render::spread::lane_for;
use std::ops::Range;
use std::sync::Arc;

/// Bytes before the first keyframe that are taken for program tables and what belongs to them. Where there are more, it
/// does not stand at the segment's beginning.
const MAX_TABLES: u64 = 16 << 10;

/// Segments whose indexes are asked for at once: some half a second of work where none is kept.
const AT_ONCE: usize = 64;

/// What tells whether a segment's program tables are those of the one before.
type Program = (u16, u16, u16, u8);

impl Render {
    /// The playlist of the keyframes of a range; an end left open is the archive's own. Segments that cannot be read are
    /// left out.
    pub async fn iframe_playlist(
        &self,
        channel: Channel,
        quality: Quality,
        start: Option<Timestamp>,
        end: Option<Timestamp>,
    ) -> Result<Made> {
        let (archive, names) = (self.clone(), (channel.clone(), quality.clone()));
        let select = move |_: &Token| {
            let span = played(&archive.archive, &names.0, &names.1, start, end)?;
            archive.archive.select(&names.0, &names.1, span)
        };
        let selection = self.pool.submit(Lane::Interactive, &self.stop, select)?.await?;
        let segments: Arc<[Segment]> = selection.items.iter().filter_map(segment).cloned().collect();
        let micros = segments.iter().map(Segment::duration).fold(0, i64::saturating_add);
        let token = self.stop.child_with_deadline(self.config.storyboard.deadline.0);
        // Segments nobody looked at yet are indexed now, by as many seats as there are.
        let (render, count) = (self.clone(), segments.len().div_ceil(AT_ONCE));
        let work = move |number: usize, token: &Token| {
            let part = &segments[number * AT_ONCE..((number + 1) * AT_ONCE).min(segments.len())];
            let indexes = render.readable(part, token)?;
            Ok(indexes.iter().map(|it| it.as_ref().and_then(Keyframes::of)).collect::<Vec<_>>())
        };
        let mut keyframes = self.spread(lane_for(micros), count, &token, work).await?.into_iter().flatten();
        let write = move |_: &Token| {
            let complete = matches!(selection.items.last(), Some(Item::Segment(_)));
            let mut list = List::default();
            for items in selection.items.chunk_by(|a, b| segment(a).is_some() == segment(b).is_some()) {
                if items.first().and_then(segment).is_none() {
                    list.gap();
                    continue;
                }
                for it in items.iter().filter_map(segment) {
                    match keyframes.next().flatten() {
                        Some(keyframes) => list.add(it, keyframes),
                        None => list.skip(it),
                    }
                }
                list.end_run();
            }
            Ok(Made::new(iframes(&channel, &quality, &list.entries, complete)))
        };
        self.pool.submit(Lane::Interactive, &self.stop, write)?.await
    }
}

/// What a playlist tells of a segment.
struct Keyframes {
    program: Program,
    /// Where the first picture begins.
    begins: u64,
    /// When each keyframe comes on screen, in microseconds from the segment's start on, and its bytes.
    all: Vec<(i64, Range<u64>)>,
    /// Whether the first picture is one.
    first: bool,
}

impl Keyframes {
    /// `None` where there are no pictures.
    fn of(index: &SegmentIndex) -> Option<Self> {
        let index = &index.index;
        let (track, first) = index.video.as_ref().zip(index.first_pts())?;
        let mut keyframes = decoded_alone(track);
        keyframes.sort_by_key(|it| track.units[*it].pts);
        let keyframe = |at: &usize| {
            let unit = &track.units[*at];
            let fields = usize::from(track.units.get(at + 1).is_some_and(|it| it.second_field));
            (TimeBase::MPEG.micros(unit.pts - first), unit.offset..track.units[at + fields].end)
        };
        Some(Self {
            program: (index.program, index.pmt_pid, track.pid, track.stream_type),
            begins: track.units.first().map_or(0, |it| it.offset),
            all: keyframes.iter().map(keyframe).collect(),
            first: keyframes.contains(&0),
        })
    }
}

fn segment(item: &Item) -> Option<&Segment> {
    match item {
        Item::Segment(segment) => Some(segment),
        Item::Hole(_) | Item::Break(_) => None,
    }
}

impl Parts {
    /// The indexes of segments; `None` for those that have none.
    fn readable(&self, segments: &[Segment], token: &Token) -> Result<Vec<Option<SegmentIndex>>> {
        let one = |it: &Segment| match self.index(it, token) {
            Err(error) if matches!(error.kind, Kind::Damaged | Kind::Unsupported | Kind::NotFound) => {
                Ok(None)
            }
            index => index.map(Some),
        };
        match self.indexes(segments, false, token) {
            Ok(indexes) => Ok(indexes.into_iter().map(Result::ok).collect()),
            // One of them spoils the lot.
            Err(error) if matches!(error.kind, Kind::Unsupported | Kind::NotFound) => {
                segments.iter().map(one).collect()
            }
            Err(error) => Err(error),
        }
    }
}

/// The entries so far. A keyframe lasts until the next one, so the last is still open.
#[derive(Default)]
struct List {
    entries: Vec<Entry>,
    /// The place of the last keyframe, and where its run ends for now.
    open: Option<(usize, Timestamp)>,
    program: Option<Program>,
}

impl List {
    fn close(&mut self, at: Timestamp) {
        if let Some((place, _)) = self.open.take()
            && let Some(Entry::Keyframe { start, duration, .. }) = self.entries.get_mut(place)
        {
            *duration = (at - *start).max(0);
        }
    }

    fn end_run(&mut self) {
        if let Some((_, end)) = self.open {
            self.close(end);
        }
    }

    fn gap(&mut self) {
        self.end_run();
        self.entries.push(Entry::Gap);
        self.program = None;
    }

    fn add(&mut self, segment: &Segment, keyframes: Keyframes) {
        let Keyframes { program, begins, all, first } = keyframes;
        let has_tables = (1..=MAX_TABLES).contains(&begins);
        let told = self.program.replace(program) == Some(program);
        let tables = (has_tables && !told).then_some(0..begins);
        self.entries.push(Entry::Segment { start: segment.start(), name: segment.name().to_owned(), tables });
        for (at, mut bytes) in all {
            let start = segment.start() + at;
            self.close(start);
            // The first has the tables with it: some players read them nowhere else.
            if first && has_tables && bytes.start == begins {
                bytes.start = 0;
            }
            self.open = Some((self.entries.len(), segment.end()));
            self.entries.push(Entry::Keyframe { start, duration: 0, bytes });
        }
        self.reach(segment.end());
    }

    /// Passes over a segment without a keyframe that can be read: the one before it stays on screen.
    fn skip(&mut self, segment: &Segment) {
        self.program = None;
        self.reach(segment.end());
    }

    fn reach(&mut self, end: Timestamp) {
        if let Some((_, until)) = &mut self.open {
            *until = end;
        }
    }
}
