//! Contact sheets: a range at a glance, with times, for people.

use super::wish::{WIDTHS, check_sheet};
use super::{SheetFormat, tiles};
use crate::archive::Segment;
use crate::base::{Channel, Error, Quality, Result, Span, Timestamp, Token};
use crate::media::tile::Sheet;
use crate::packaging::storyboard::Grid;
use crate::pool::Lane;
use crate::render::bytes::Made;
use crate::render::words::number;
use crate::render::{Render, no_content, within};

const DEFAULT_WIDTH: u32 = 320;
const DEFAULT_COLUMNS: u32 = 4;
const DEFAULT_ROWS: u32 = 4;
const MAX_ALONG: u32 = 20;
/// JPEG quality: it is looked at longer than a storyboard.
pub(super) const QUALITY: u8 = 85;

/// What a contact sheet is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContactWish {
    pub width: u32,
    pub columns: u32,
    pub rows: u32,
}

impl ContactWish {
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
        Ok(Self {
            width,
            columns: number("columns", get("columns")?, 1, MAX_ALONG)?.unwrap_or(DEFAULT_COLUMNS),
            rows: number("rows", get("rows")?, 1, MAX_ALONG)?.unwrap_or(DEFAULT_ROWS),
        })
    }

    /// An empty sheet whose cells stand for equal parts of `span`, each with a line of text below.
    pub(super) fn sheet(&self, height: u32, span: Span) -> Result<(Sheet, Grid)> {
        let Self { width, columns, rows } = *self;
        let text = (width / 160).max(1) as usize;
        // A line of text is 11 pixels high at its smallest.
        check_sheet(width * columns, (height + 11 * text as u32) * rows, "columns")?;
        let interval = (span.micros() / i64::from(columns * rows)).max(1);
        let sheet = Sheet::new((width as usize, height as usize), columns as usize, rows as usize, text);
        Ok((sheet, Grid { width, height, columns, rows, interval }))
    }
}

impl Render {
    /// Keyframes of a range at even distances, and below each when it was.
    pub async fn contact_sheet(
        &self,
        channel: Channel,
        quality: Quality,
        span: Span,
        wish: ContactWish,
    ) -> Result<Made> {
        if span.is_empty() {
            return Err(Error::invalid("empty-range", "end", "End must be after start"));
        }
        within(span, self.config.storyboard.max_span, "Range")?;
        let render = self.clone();
        let deadline = self.config.storyboard.deadline.0;
        let task = move |token: &Token| {
            let token = token.child_with_deadline(deadline);
            let selection = render.archive.select(&channel, &quality, span)?;
            if selection.is_empty() {
                return Err(no_content(span));
            }
            let segments: Vec<Segment> = tiles::segments(&selection);
            let height = render.tile_height(&segments, wish.width, &token)?;
            let (mut sheet, grid) = wish.sheet(height, span)?;
            let cells = (0..grid.tiles()).map(|it| grid.tile(span.start, it));
            let picks: Vec<_> = cells.map(|it| tiles::pick(&segments, it)).collect();
            let drawn = render.draw(&mut sheet, &segments, &picks, grid, &token)?;
            for (number, at) in drawn.iter().enumerate() {
                let at = at.unwrap_or_else(|| grid.tile(span.start, number as u32).start);
                sheet.write(number, &clock(at));
            }
            render.encode(&sheet, SheetFormat::Jpeg.picture(QUALITY))
        };
        self.pool.submit(Lane::Interactive, &self.stop, task)?.await
    }
}

/// `12:50:00`.
pub(super) fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    text.get("2024-11-09T".len().."2024-11-09T12:50:00".len()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!(clock(Timestamp::parse("at", "2024-11-09T12:50:00.437").unwrap()), "12:50:00");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (key, value) in [("width", "300"), ("columns", "0"), ("rows", "21")] {
            let error = ContactWish::read(|it| Ok((it == key).then_some(value))).unwrap_err();
            assert_eq!(error.parameter.as_deref(), Some(key));
        }
        assert_eq!(ContactWish::read(|_| Ok(None)).unwrap(), ContactWish { width: 320, columns: 4, rows: 4 });
    }
}
