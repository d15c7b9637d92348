//! Coverage as a picture for dashboards: an hour a column, its minutes from top to bottom.

use super::{Cover, CoverageWish, Covered};
use crate::base::time::HOUR;
use crate::base::{Channel, Error, Quality, Result, Timestamp};
use crate::media::picture::chart::{Bar, Chart};
use crate::render::Render;
use crate::render::bytes::Made;
use crate::render::words::number;

const MAX_SIDE: u32 = 4096;
const DEFAULT_COLUMN: u32 = 8;
const DEFAULT_HEIGHT: u32 = 240;

/// How large a picture of it is to be.
#[derive(Debug, Clone, Copy)]
pub struct PictureWish {
    column: u32,
    height: u32,
}

impl PictureWish {
    /// Reads the parameters, which `get` knows by name.
    ///
    /// # Errors
    /// `invalid-number`.
    pub fn read<'a>(get: impl Fn(&str) -> Result<Option<&'a str>>) -> Result<Self> {
        Ok(Self {
            column: number("column", get("column")?, 1, 64)?.unwrap_or(DEFAULT_COLUMN),
            height: number("height", get("height")?, 60, MAX_SIDE)?.unwrap_or(DEFAULT_HEIGHT),
        })
    }
}

/// Told apart by brightness too.
const fn colour(kind: Cover) -> [u8; 3] {
    match kind {
        Cover::Full => [46, 160, 110],
        Cover::Suspect => [222, 190, 70],
        Cover::Partial => [226, 120, 50],
        Cover::Hole => [70, 24, 32],
    }
}

impl Render {
    /// The coverage of a span, as PNG.
    pub async fn coverage_picture(
        &self,
        channel: Channel,
        quality: Quality,
        wish: CoverageWish,
        picture: PictureWish,
    ) -> Result<Made> {
        self.ask(move |archive, token| {
            let covered = Covered::read(archive, &channel, &quality, &wish, token)?;
            let first = covered.span.start.hour();
            let origin = first.start();
            // The end itself is not in the span.
            let hours = ((covered.span.end + -1).hour().end() - origin) / HOUR;
            let hours = u32::try_from(hours).unwrap_or(u32::MAX);
            if hours.saturating_mul(picture.column) > MAX_SIDE {
                let detail =
                    format!("column times hours may be at most {MAX_SIDE} pixels; there are {hours} hours");
                return Err(Error::invalid("large-picture", "column", detail));
            }
            // A day begins where its first column does.
            let days = (0..hours as usize).filter_map(|number| {
                let at = (origin + number as i64 * HOUR).to_string();
                let (date, clock) = at.split_once('T')?;
                (clock.starts_with("00") || number == 0)
                    .then(|| (number, date.get(5..).unwrap_or(date).to_owned()))
            });
            let chart = Chart {
                columns: hours as usize,
                column: picture.column as usize,
                height: picture.height as usize,
                labels: days.collect(),
            };
            let mut bars = Vec::new();
            for stretch in &covered.stretches {
                let mut at = stretch.span.start;
                while at < stretch.span.end {
                    let hour = at.hour();
                    let end = stretch.span.end.min(hour.end());
                    let share = |it: Timestamp| (it - hour.start()) as f64 / HOUR as f64;
                    let bar = Bar {
                        column: usize::try_from((hour.start() - origin) / HOUR).unwrap_or(0),
                        from: share(at),
                        to: share(end),
                        colour: colour(stretch.kind),
                    };
                    // Whatever is short is still seen, and nothing lies over what is missing.
                    bars.push((stretch.kind, bar));
                    at = end;
                }
            }
            bars.sort_by_key(|it| it.0);
            Ok(Made::new(chart.png(bars.into_iter().map(|it| it.1))?))
        })
        .await
    }
}
