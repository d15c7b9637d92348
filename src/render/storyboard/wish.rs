//! What a storyboard is to be, from the words of a query.

use crate::base::time::{HOUR, SECOND};
use crate::base::{Error, Result};
use crate::packaging::storyboard::Grid;
use crate::render::words::{choice, number, seconds};

/// Widths of tiles. What is kept of each segment is kept for each of them that is asked for, so there are few.
pub const WIDTHS: [u32; 7] = [80, 120, 160, 240, 320, 480, 640];

pub const DEFAULT_WIDTH: u32 = 160;
/// Ten by ten tiles, each ten seconds: a sheet is a quarter of an hour and more.
const DEFAULT_SIDE: u32 = 10;
pub const DEFAULT_INTERVAL: i64 = 10 * SECOND;

/// Tiles along a side of a sheet, and the pixels a sheet may have: 16 million are 48 MB while it is drawn.
const MAX_ALONG: u32 = 50;
const MAX_PIXELS: u64 = 16 << 20;
/// JPEG has no longer sides that all its readers take.
const MAX_SHEET_SIDE: u32 = 16_384;

/// The heights a tile may have.
const HEIGHTS: (u32, u32) = (16, 1024);

const MIN_INTERVAL: i64 = SECOND;
const MAX_INTERVAL: i64 = HOUR;

/// Which clock a text counts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Counting {
    /// The player's of the playlist of the same range.
    #[default]
    Playlist,
    /// The wall's, from the start of the range on.
    Wall,
}

/// What is wanted; what is left out follows from the pictures or the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wish {
    pub width: u32,
    pub height: Option<u32>,
    pub columns: u32,
    pub rows: u32,
    /// In microseconds.
    pub interval: Option<i64>,
    pub counting: Counting,
}

impl Wish {
    /// Reads the parameters, which `get` knows by name.
    ///
    /// # Errors
    /// [`crate::base::Kind::Invalid`] for the first that says nothing sensible, with what is allowed.
    pub fn read<'a>(get: impl Fn(&str) -> Result<Option<&'a str>>) -> Result<Self> {
        let width = number("width", get("width")?, 1, u32::MAX)?.unwrap_or(DEFAULT_WIDTH);
        if !WIDTHS.contains(&width) {
            let detail = format!("width must be one of: {}", WIDTHS.map(|it| it.to_string()).join(", "));
            return Err(Error::invalid("invalid-choice", "width", detail));
        }
        let wish = Self {
            width,
            height: number("height", get("height")?, HEIGHTS.0, HEIGHTS.1)?,
            columns: number("columns", get("columns")?, 1, MAX_ALONG)?.unwrap_or(DEFAULT_SIDE),
            rows: number("rows", get("rows")?, 1, MAX_ALONG)?.unwrap_or(DEFAULT_SIDE),
            interval: seconds("interval", get("interval")?, MIN_INTERVAL, MAX_INTERVAL)?,
            counting: choice(
                "timeline",
                get("timeline")?,
                Counting::default(),
                &[("playlist", Counting::Playlist), ("wall", Counting::Wall)],
            )?,
        };
        Ok(wish)
    }

    /// The grid, once the height and the interval are known.
    ///
    /// # Errors
    /// `large-sheet` where a sheet would have too many pixels.
    pub fn grid(&self, height: u32, interval: i64) -> Result<Grid> {
        let Self { width, columns, rows, .. } = *self;
        let grid = Grid { width, height: self.height.unwrap_or(height), columns, rows, interval };
        check_sheet(grid.width * columns, grid.height * rows, "columns")?;
        Ok(grid)
    }
}

/// Refuses a sheet of too many pixels before it is drawn; `parameter` is what to change.
pub fn check_sheet(width: u32, height: u32, parameter: &str) -> Result<()> {
    let sides = width.max(height) <= MAX_SHEET_SIDE;
    if sides && u64::from(width) * u64::from(height) <= MAX_PIXELS {
        return Ok(());
    }
    let detail = format!(
        "a sheet may have {MAX_PIXELS} pixels and sides of {MAX_SHEET_SIDE}, and this would be {width}x{height}: ask for \
         fewer columns and rows, or smaller tiles"
    );
    Err(Error::invalid("large-sheet", parameter, detail))
}

/// An interval at which `micros` take no more than `tiles` tiles: whole seconds.
pub fn spread(micros: i64, tiles: u32) -> i64 {
    let each = (micros + i64::from(tiles) - 1) / i64::from(tiles);
    ((each + SECOND - 1) / SECOND * SECOND).max(MIN_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Wish> {
        let pairs: Vec<(&str, &str)> = query.split('&').filter_map(|it| it.split_once('=')).collect();
        Wish::read(|key| Ok(pairs.iter().find(|it| it.0 == key).map(|it| it.1)))
    }

    #[test]
    fn defaults_are_those_players_expect() {
        let wish = read("").unwrap();
        let grid = wish.grid(90, wish.interval.unwrap_or(DEFAULT_INTERVAL)).unwrap();
        assert_eq!(grid, Grid { width: 160, height: 90, columns: 10, rows: 10, interval: 10 * SECOND });
        let wish = read("width=320&height=180&columns=5&rows=4&interval=2.5&timeline=wall").unwrap();
        assert_eq!((wish.interval, wish.counting), (Some(2_500_000), Counting::Wall));
        assert_eq!(wish.grid(90, SECOND).unwrap().height, 180);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, parameter) in [
            ("width=100", "width"),
            ("width=x", "width"),
            ("height=15", "height"),
            ("columns=0", "columns"),
            ("rows=51", "rows"),
            ("interval=0.5", "interval"),
            ("interval=3601", "interval"),
            ("timeline=media", "timeline"),
        ] {
            let error = read(query).unwrap_err();
            assert_eq!(error.parameter.as_deref(), Some(parameter), "{query}");
        }
        let large = read("width=640&columns=10&rows=10").unwrap().grid(360, SECOND).unwrap_err();
        assert_eq!(large.code, "large-sheet");
        assert!(read("width=640&columns=26&rows=1").unwrap().grid(360, SECOND).is_err());
    }

    #[test]
    fn intervals_are_spread_over_one_sheet() {
        for (seconds, tiles, interval) in [(1000, 100, 10), (1001, 100, 11), (5, 100, 1), (86_400, 100, 864)]
        {
            assert_eq!(spread(seconds * SECOND, tiles), interval * SECOND, "{seconds} {tiles}");
        }
    }
}
