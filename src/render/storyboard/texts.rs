//! The texts of storyboards: WebVTT, JSON, BIF and playlists of sheets.

use super::super::playlist::span;
use super::wish::{DEFAULT_INTERVAL, Wish, check_sheet, spread};
use super::{Parts, tiles, timeline};
use crate::archive::Segment;
use crate::base::time::SECOND;
use crate::base::{Channel, Error, Quality, Result, Span, Timestamp, Token};
use crate::media::picture::{PictureFormat, Raster};
use crate::media::tile::{Kept, Sheet};
use crate::packaging::storyboard::{Grid, Sheets, Timeline, bif, images, json_list, json_sheet, vtt};
use crate::pool::Lane;
use crate::render::bytes::Made;
use crate::render::{Render, no_content, within};

/// Tiles a text may name: a day at five seconds and more.
pub(super) const MAX_TILES: i64 = 20_000;

/// Pictures of a BIF file: twelve hours at ten seconds, some 40 MB.
pub(super) const MAX_PICTURES: i64 = 4320;

/// Which text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextKind {
    Vtt,
    /// One sheet as Mux has it; `base` stands before its address, which has to be whole.
    JsonSheet {
        base: String,
    },
    /// A list of tiles, likewise.
    JsonList {
        base: String,
    },
    Bif,
    /// An HLS playlist of sheets.
    Images,
}

impl TextKind {
    pub fn content_type(&self) -> &'static str {
        match self {
            Self::Vtt => "text/vtt",
            Self::JsonSheet { .. } | Self::JsonList { .. } => "application/json",
            Self::Bif => "application/octet-stream",
            Self::Images => "application/vnd.apple.mpegurl",
        }
    }
}

impl Render {
    /// A text of the storyboard of a range; an end left open is the archive's own.
    pub async fn storyboard(
        &self,
        channel: Channel,
        quality: Quality,
        (start, end): (Option<Timestamp>, Option<Timestamp>),
        wish: Wish,
        kind: TextKind,
    ) -> Result<Made> {
        let render = self.clone();
        let deadline = self.config.storyboard.deadline.0;
        let task = move |token: &Token| {
            let token = token.child_with_deadline(deadline);
            let span = span(&render.archive, &channel, &quality, start, end)?;
            if span.is_empty() {
                return Err(Error::invalid("empty-range", "end", "End must be after start"));
            }
            within(span, render.config.storyboard.max_span, "Range")?;
            let selection = render.archive.select(&channel, &quality, span)?;
            if selection.is_empty() {
                return Err(no_content(span));
            }
            let segments = tiles::segments(&selection);
            let (timeline, complete) = timeline(&selection, wish.counting);
            let height = render.tile_height(&segments, wish.width, &token)?;
            render.text(&Board { segments, timeline, complete, wish, height }, kind, &token)
        };
        self.pool.submit(Lane::Interactive, &self.stop, task)?.await
    }
}

/// What a text is written of.
struct Board {
    segments: Vec<Segment>,
    timeline: Timeline,
    complete: bool,
    wish: Wish,
    height: u32,
}

pub(super) fn few(tiles: i64, most: i64) -> Result<()> {
    if tiles <= most {
        return Ok(());
    }
    let detail = format!(
        "interval must be larger, or the range shorter: these are {tiles} pictures, and {most} are allowed"
    );
    Err(Error::invalid("too-many-tiles", "interval", detail))
}

impl Parts {
    fn text(&self, board: &Board, kind: TextKind, token: &Token) -> Result<Made> {
        let Board { timeline, wish, .. } = board;
        let interval = wish.interval.unwrap_or(DEFAULT_INTERVAL);
        few(timeline.duration() / interval, if kind == TextKind::Bif { MAX_PICTURES } else { MAX_TILES })?;
        let sheets = |interval| wish.grid(board.height, interval).map(Sheets::on_the_clock);
        Ok(Made::new(match kind {
            TextKind::Vtt => vtt(&sheets(interval)?, timeline).into_bytes(),
            TextKind::Images => images(&sheets(interval)?, timeline, board.complete).into_bytes(),
            TextKind::JsonList { base } => json_list(&Sheets { base, ..sheets(interval)? }, timeline),
            TextKind::JsonSheet { base } => json_sheet(&one_sheet(board, base)?, timeline),
            TextKind::Bif => self.bif(board, interval, token)?,
        }))
    }

    fn bif(&self, board: &Board, interval: i64, token: &Token) -> Result<Vec<u8>> {
        let grid = board.wish.grid(board.height, interval)?;
        let mut last = None;
        bif_of(&board.timeline, grid, |span| {
            token.check()?;
            let pick = tiles::pick(&board.segments, span);
            let tile =
                pick.map(|it| self.tile(&board.segments, it, grid, &mut last, token)).transpose()?.flatten();
            Ok(tile.as_ref().zip(pick).and_then(|((start, bytes), pick)| {
                let all = Kept::all(bytes).unwrap_or_default();
                Kept::nearest(&all, pick.at - *start).map(|it| it.jpeg.to_vec())
            }))
        })
    }
}

/// A BIF of the pictures that `picture` has for each interval of a timeline.
pub(super) fn bif_of(
    timeline: &Timeline,
    grid: Grid,
    mut picture: impl FnMut(Span) -> Result<Option<Vec<u8>>>,
) -> Result<Vec<u8>> {
    let mut pictures = Vec::new();
    let mut time = 0;
    while let Some(from) = timeline.wall_of(time) {
        pictures.push(match picture(Span::new(from, from + grid.interval))? {
            Some(jpeg) => jpeg,
            None => marked(grid)?,
        });
        time += grid.interval;
    }
    let millis = u32::try_from(grid.interval / 1000).unwrap_or(u32::MAX);
    bif(millis, &pictures).ok_or_else(|| Error::internal("a storyboard is too large"))
}

/// A tile of which there is no picture, by itself.
fn marked(grid: Grid) -> Result<Vec<u8>> {
    let mut sheet = Sheet::new((grid.width as usize, grid.height as usize), 1, 1, 0);
    sheet.mark(0);
    Raster::encode(sheet.raster(), PictureFormat::Jpeg(super::QUALITY))
}

/// All of a range on one sheet: from its start on, as close as its tiles reach, or with the interval asked for.
fn one_sheet(board: &Board, base: String) -> Result<Sheets> {
    let Board { timeline, wish, height, .. } = board;
    let (Some(first), Some(last)) = (timeline.runs().first(), timeline.runs().last()) else {
        return Err(Error::internal("a storyboard of nothing"));
    };
    let micros = last.wall.end - first.wall.start;
    let tiles = wish.columns * wish.rows;
    let least = spread(micros, tiles);
    let interval = match wish.interval {
        None => least,
        Some(interval) if interval.saturating_mul(i64::from(tiles)) >= micros => interval,
        Some(_) => {
            let detail = format!(
                "interval must be at least {} for {tiles} tiles on one sheet; format=list takes any",
                least / SECOND
            );
            return Err(Error::invalid("too-many-tiles", "interval", detail));
        }
    };
    let mut grid = wish.grid(*height, interval)?;
    // Rows that would stay empty are left out.
    let used = (micros + interval - 1) / interval;
    grid.rows = grid.rows.min((used as u32).div_ceil(grid.columns)).max(1);
    check_sheet(grid.width * grid.columns, grid.height * grid.rows, "columns")?;
    Ok(Sheets { base, origin: first.wall.start, ..Sheets::on_the_clock(grid) })
}
