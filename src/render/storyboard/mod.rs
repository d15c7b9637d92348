//! Storyboards: sheets of small pictures, and the texts that say what is where on them.

mod contact;
pub mod file;
mod texts;
mod tiles;
pub mod wish;

pub use contact::ContactWish;
pub use texts::TextKind;

use super::bytes::Made;
use super::frame::{Id, id, names_of};
use super::{Parts, Render, within};
use crate::archive::{Item, Segment, SegmentKind, Selection};
use crate::base::{Channel, Kind, Quality, Result, Span, Timestamp, Token};
use crate::media::index::VideoFormat;
use crate::media::picture::PictureFormat;
use crate::media::tile::{Kept, Sheet};
use crate::packaging::storyboard::{Grid, Timeline};
use crate::pool::Lane;
use tiles::{Pick, pick};
use wish::{Counting, DEFAULT_INTERVAL, Wish};

/// Segments looked into for the pictures' size; where none of them has any, it is [`USUAL`].
const LOOKED_INTO: usize = 8;

/// Width over height, where nothing is known.
const USUAL: f64 = 16.0 / 9.0;

/// JPEG quality of sheets: ten by ten tiles are some 400 kB.
const QUALITY: u8 = 75;

/// A quality that holds no video.
const CHAT: &str = "chat";

/// What a sheet is drawn from.
pub struct SheetSource {
    channel: Channel,
    quality: Quality,
    /// What the sheet stands for.
    span: Span,
    selection: Selection,
    wish: Wish,
    interval: i64,
    /// Whether the answer will be the same for ever.
    pub settled: bool,
    /// What it is drawn from and how, in short.
    of: Id,
}

impl Render {
    /// The segments of the sheet from `start` on, or why there is none.
    pub async fn sheet_source(
        &self,
        channel: Channel,
        quality: Quality,
        start: Timestamp,
        wish: Wish,
    ) -> Result<SheetSource> {
        let interval = wish.interval.unwrap_or(DEFAULT_INTERVAL);
        let span = Span::new(start, start + interval * i64::from(wish.columns * wish.rows));
        within(span, self.config.storyboard.max_span, "Range")?;
        self.ask(move |archive, _| {
            let selection = archive.select(&channel, &quality, span)?;
            let settled =
                selection.is_unbroken() && selection.segments().all(|it| it.kind() == SegmentKind::Full);
            let names = tiles::segments(&selection);
            let of = id(("sheet", &channel, &quality, span, wish, names_of(&names)));
            Ok(SheetSource { channel, quality, span, selection, wish, interval, settled, of })
        })
        .await
    }

    /// Draws a sheet on the interactive lane, or gives the one drawn before where it will be the same for ever. Where nothing
    /// is known of a tile's time, it is marked.
    pub async fn sheet(&self, source: SheetSource, format: SheetFormat) -> Result<Made> {
        let kept = source.settled.then(|| id((source.of, format)));
        if let Some(made) = kept.and_then(|it| self.pictures.made(it)) {
            return Ok(made);
        }
        let render = self.clone();
        let deadline = self.config.storyboard.deadline.0;
        let task = move |token: &Token| {
            let token = token.child_with_deadline(deadline);
            let own: Vec<Segment> = tiles::segments(&source.selection);
            let height = render.tile_height(&own, source.wish.width, &token)?;
            let grid = source.wish.grid(height, source.interval)?;
            let segments = render.smallest(&source, grid, own, &token)?;
            let picks = (0..grid.tiles()).map(|it| pick(&segments, grid.tile(source.span.start, it)));
            let picks: Vec<_> = picks.collect();
            let cell = (grid.width as usize, grid.height as usize);
            let mut sheet = Sheet::new(cell, grid.columns as usize, grid.rows as usize, 0);
            render.draw(&mut sheet, &segments, &picks, grid, &token)?;
            render.encode(&sheet, format.picture(QUALITY))
        };
        let made = self.pool.submit(Lane::Interactive, &self.stop, task)?.await?;
        if let Some(of) = kept {
            self.pictures.keep_made(of, made.clone());
        }
        Ok(made)
    }
}

/// What sheets are encoded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SheetFormat {
    Jpeg,
    Png,
    WebP,
}

impl SheetFormat {
    fn picture(self, quality: u8) -> PictureFormat {
        match self {
            Self::Jpeg => PictureFormat::Jpeg(quality),
            Self::Png => PictureFormat::Png,
            Self::WebP => PictureFormat::WebP(quality),
        }
    }
}

/// How a picture of this format is seen: width over height, with square pixels.
fn shape(format: &VideoFormat) -> f64 {
    let (across, down) = if format.sar.0 > 0 && format.sar.1 > 0 { format.sar } else { (1, 1) };
    f64::from(format.width.max(1)) * f64::from(across) / (f64::from(format.height.max(1)) * f64::from(down))
}

impl Parts {
    fn encode(&self, sheet: &Sheet, format: PictureFormat) -> Result<Made> {
        let bytes = sheet.raster().encode(format)?;
        self.metrics.media_encoded.with_label_values(&["storyboard"]).inc();
        Ok(Made::new(bytes))
    }

    /// The format of the first picture of some segments.
    fn format(&self, segments: &[Segment], token: &Token) -> Result<Option<VideoFormat>> {
        for segment in segments.iter().take(LOOKED_INTO) {
            match self.index(segment, token) {
                Err(error) if matches!(error.kind, Kind::Damaged | Kind::Unsupported | Kind::NotFound) => {}
                Err(error) => return Err(error),
                Ok(index) => {
                    if let Some(format) = index.index.video.as_ref().and_then(|it| it.format()) {
                        return Ok(Some(*format));
                    }
                }
            }
        }
        Ok(None)
    }

    /// How high a tile of this width is in the shape of the pictures.
    pub(super) fn tile_height(&self, segments: &[Segment], width: u32, token: &Token) -> Result<u32> {
        let shape = self.format(segments, token)?.map_or(USUAL, |it| shape(&it));
        Ok(((f64::from(width) / shape).round() as u32).clamp(16, 1024))
    }

    /// The segments tiles are taken from: of the channel's qualities, those of the smallest whose pictures are as large as a
    /// tile and which has as much of the span as the one asked for. Its keyframes cost the least to decode.
    fn smallest(
        &self,
        source: &SheetSource,
        grid: Grid,
        own: Vec<Segment>,
        token: &Token,
    ) -> Result<Vec<Segment>> {
        let area = |it: &VideoFormat| u64::from(it.width) * u64::from(it.height);
        let Some(format) = self.format(&own, token)? else { return Ok(own) };
        let mut best = (area(&format), own);
        let missing = uncovered(&source.selection);
        for name in self.archive.qualities(&source.channel)? {
            token.check()?;
            let Ok(quality) = Quality::new(&name) else { continue };
            if quality == source.quality || name == CHAT {
                continue;
            }
            let selection = match self.archive.select(&source.channel, &quality, source.span) {
                Err(error) if error.kind == Kind::NotFound => continue,
                selection => selection?,
            };
            if uncovered(&selection) > missing {
                continue;
            }
            let segments = tiles::segments(&selection);
            let Some(format) = self.format(&segments, token)? else { continue };
            let large = format.width >= grid.width && format.height >= grid.height.min(grid.width);
            if large && area(&format) < best.0 {
                best = (area(&format), segments);
            }
        }
        Ok(best.1)
    }

    /// Draws the picks into the sheet's cells, in order, and marks the others. What was drawn is told: when each picture
    /// came on screen.
    fn draw(
        &self,
        sheet: &mut Sheet,
        segments: &[Segment],
        picks: &[Option<Pick>],
        grid: Grid,
        token: &Token,
    ) -> Result<Vec<Option<Timestamp>>> {
        // Neighbours often are of one segment.
        let mut last = None;
        let mut drawn = Vec::with_capacity(picks.len());
        for (number, pick) in picks.iter().enumerate() {
            token.check()?;
            let tile = pick.map(|it| self.tile(segments, it, grid, &mut last, token)).transpose()?.flatten();
            let Some((start, bytes)) = tile else {
                sheet.mark(number);
                drawn.push(None);
                continue;
            };
            let all = Kept::all(&bytes).unwrap_or_default();
            let at = pick.map_or(0, |it| it.at - start);
            match Kept::nearest(&all, at) {
                Some(tile) => {
                    sheet.draw(number, &tile)?;
                    drawn.push(Some(start + tile.at));
                }
                None => {
                    sheet.mark(number);
                    drawn.push(None);
                }
            }
        }
        Ok(drawn)
    }

    /// The tiles of a pick's segment, and its start; `None` where it is gone.
    fn tile(
        &self,
        segments: &[Segment],
        pick: Pick,
        grid: Grid,
        last: &mut Option<(usize, bytes::Bytes)>,
        token: &Token,
    ) -> Result<Option<(Timestamp, bytes::Bytes)>> {
        let Some(segment) = segments.get(pick.segment) else { return Ok(None) };
        if let Some((_, bytes)) = last.as_ref().filter(|it| it.0 == pick.segment) {
            return Ok(Some((segment.start(), bytes.clone())));
        }
        match self.tiles(segment, (grid.width, grid.height), token) {
            // Gone since it was listed: a hole.
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(bytes) => {
                *last = Some((pick.segment, bytes.clone()));
                Ok(Some((segment.start(), bytes)))
            }
        }
    }
}

/// Microseconds of the span that no segment has.
fn uncovered(selection: &Selection) -> i64 {
    selection.holes().iter().map(|it| it.micros()).sum()
}

/// Runs without a hole, as a playlist's player counts them: each segment as long as its EXTINF says.
fn runs(selection: &Selection) -> Vec<Span> {
    let mut runs: Vec<Span> = Vec::new();
    let mut joined = false;
    for item in &selection.items {
        let Item::Segment(segment) = item else {
            joined = false;
            continue;
        };
        let millis = (segment.duration().max(0) + 500) / 1000 * 1000;
        match runs.last_mut().filter(|_| joined) {
            Some(run) => run.end = run.end + millis,
            None => runs.push(Span::new(segment.start(), segment.start() + millis)),
        }
        joined = true;
    }
    runs
}

/// The time of a range, and whether nothing will be added to it.
fn timeline(selection: &Selection, counting: Counting) -> (Timeline, bool) {
    let complete = matches!(selection.items.last(), Some(Item::Segment(_)));
    match counting {
        Counting::Playlist => (Timeline::of_playlist(runs(selection)), complete),
        Counting::Wall => (Timeline::of_wall(selection.span), complete),
    }
}
