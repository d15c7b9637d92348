//! Storyboards and contact sheets of a file. Its first picture is at 0, which is the beginning of 1970 where a clock is
//! needed.

use super::contact::{self, ContactWish, clock};
use super::texts::{MAX_PICTURES, MAX_TILES, bif_of, few};
use super::wish::{DEFAULT_INTERVAL, Wish, spread};
use super::{QUALITY, SheetFormat};
use crate::base::{Error, Result, Span, Timestamp, Token};
use crate::media::tile::file::{claimed_length, height_of, keyframes};
use crate::media::tile::{APART, Kept, Sheet, Tile, of_picture};
use crate::packaging::storyboard::{Grid, Naming, Sheets, Timeline, json_list, vtt};
use crate::render::bytes::Made;
use std::path::Path;

/// What is made of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Board {
    /// All of it on one sheet.
    Sheet(SheetFormat),
    Bif,
    /// Sheets, and texts that name them; `base` stands before the names of the sheets.
    Texts {
        base: String,
    },
}

/// A file that was made: its name, where it has one of its own, and what is in it.
pub struct Part {
    pub name: Option<String>,
    pub made: Made,
}

/// The pictures of a file that may stand for others.
struct Pictures {
    tiles: Vec<Tile>,
    height: u32,
    span: Span,
}

impl Pictures {
    /// Reads the file once. Pictures nearer to each other than half of `interval` are of no use.
    fn read(path: &Path, width: u32, height: Option<u32>, interval: i64, token: &Token) -> Result<Self> {
        let (mut tiles, mut own) = (Vec::new(), height);
        let walk = keyframes(path, APART.max(interval / 2), token, &mut |frame, turn, at| {
            let height = match own {
                Some(height) => height,
                None => *own.insert(height_of(frame, turn, width)?.clamp(16, 1024)),
            };
            tiles.push(of_picture(frame, turn, at, (width, height))?);
            Ok(())
        })?;
        let start = Timestamp::from_micros(0);
        Ok(Self { tiles, height: own.unwrap_or(16), span: Span::new(start, start + walk.end.max(1)) })
    }

    /// The picture that stands for a time: the one nearest to its middle.
    fn nearest(&self, span: Span) -> Option<Kept<'_>> {
        let at = span.start.micros() + span.micros() / 2;
        self.tiles.iter().map(Tile::kept).min_by_key(|it| it.at.abs_diff(at))
    }

    /// Draws the sheet from `start` on; `text` is called for each picture with when it was.
    fn draw(
        &self,
        sheet: &mut Sheet,
        grid: Grid,
        start: Timestamp,
        mut text: impl FnMut(&mut Sheet, usize, i64),
    ) -> Result<()> {
        for number in 0..grid.tiles() {
            let span = grid.tile(start, number);
            if span.start >= self.span.end {
                break;
            }
            if let Some(tile) = self.nearest(span) {
                sheet.draw(number as usize, &tile)?;
                text(sheet, number as usize, tile.at);
            }
        }
        Ok(())
    }

    fn sheet(&self, grid: Grid, start: Timestamp, format: SheetFormat) -> Result<Made> {
        let cell = (grid.width as usize, grid.height as usize);
        let mut sheet = Sheet::new(cell, grid.columns as usize, grid.rows as usize, 0);
        self.draw(&mut sheet, grid, start, |_, _, _| {})?;
        Ok(Made::new(sheet.raster().encode(format.picture(QUALITY))?))
    }
}

/// The length of a file, for intervals that follow from it; what its container claims is near enough.
fn length(path: &Path, token: &Token) -> Result<i64> {
    match claimed_length(path, token)? {
        Some(length) => Ok(length),
        // No keyframe but the first is decoded.
        None => Ok(keyframes(path, i64::MAX, token, &mut |_, _, _| Ok(()))?.end),
    }
}

/// A storyboard of a file of any container that libav reads.
///
/// # Errors
/// [`crate::base::Kind::Invalid`] for more pictures or pixels than there may be; [`crate::base::Kind::Damaged`] where
/// there is no picture.
pub fn of_file(path: &Path, wish: Wish, board: &Board, token: &Token) -> Result<Vec<Part>> {
    let tiles = wish.columns * wish.rows;
    let interval = match (board, wish.interval) {
        (_, Some(interval)) => interval,
        (Board::Sheet(_), None) => spread(length(path, token)?, tiles),
        (Board::Bif | Board::Texts { .. }, None) => DEFAULT_INTERVAL,
    };
    let pictures = Pictures::read(path, wish.width, wish.height, interval, token)?;
    let timeline = Timeline::of_wall(pictures.span);
    few(timeline.duration() / interval, if *board == Board::Bif { MAX_PICTURES } else { MAX_TILES })?;
    let mut grid = wish.grid(pictures.height, interval)?;
    match board {
        Board::Sheet(format) => {
            let used = (pictures.span.micros() + interval - 1) / interval;
            if used > i64::from(tiles) {
                let detail = format!(
                    "interval must be larger: {tiles} tiles are on one sheet, and the file is of {used}"
                );
                return Err(Error::invalid("too-many-tiles", "interval", detail));
            }
            // Rows that would stay empty are left out.
            grid.rows = grid.rows.min((used as u32).div_ceil(grid.columns)).max(1);
            let made = pictures.sheet(grid, pictures.span.start, *format)?;
            Ok(vec![Part { name: None, made }])
        }
        Board::Bif => {
            let bytes =
                bif_of(&timeline, grid, |span| Ok(pictures.nearest(span).map(|it| it.jpeg.to_vec())))?;
            Ok(vec![Part { name: None, made: Made::new(bytes) }])
        }
        Board::Texts { base } => {
            let sheets =
                Sheets { naming: Naming::Numbered, base: base.clone(), ..Sheets::on_the_clock(grid) };
            let part = |name: &str, bytes: Vec<u8>| Part { name: Some(name.into()), made: Made::new(bytes) };
            let mut parts = vec![
                part("storyboard.vtt", vtt(&sheets, &timeline).into_bytes()),
                part("storyboard.json", json_list(&sheets, &timeline)),
            ];
            let mut start = pictures.span.start;
            while start < pictures.span.end {
                token.check()?;
                let made = pictures.sheet(grid, start, SheetFormat::Jpeg)?;
                parts.push(Part { name: Some(sheets.url(start)), made });
                start = start + grid.sheet_micros();
            }
            Ok(parts)
        }
    }
}

/// A contact sheet of a file: keyframes at even distances, and below each when it is.
///
/// # Errors
/// As [`of_file`].
pub fn contact_of_file(path: &Path, wish: ContactWish, token: &Token) -> Result<Made> {
    let cells = i64::from(wish.columns * wish.rows);
    let interval = length(path, token)? / cells;
    let pictures = Pictures::read(path, wish.width, None, interval, token)?;
    let (mut sheet, grid) = wish.sheet(pictures.height, pictures.span)?;
    pictures.draw(&mut sheet, grid, pictures.span.start, |sheet, number, at| {
        sheet.write(number, &clock(Timestamp::from_micros(at)));
    })?;
    Ok(Made::new(sheet.raster().encode(SheetFormat::Jpeg.picture(contact::QUALITY))?))
}
