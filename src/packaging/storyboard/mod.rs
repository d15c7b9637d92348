//! Storyboards: small pictures of a stretch of the archive in the dialects players speak.
//!
//! A sheet is one picture of many tiles, row after row. Each tile stands for an interval; tiles and sheets lie on the clock
//! of the wall, as multiples of their length since 1970, so that the sheets of two ranges are the same sheets wherever
//! the ranges overlap, and a full sheet never changes.
//!
//! A player counts its time otherwise: from the first picture on, and holes take none of it. [`Timeline`] says which of
//! the two a text counts.

mod bif;
mod images;
mod text;
mod timeline;

pub use bif::bif;
pub use images::images;
pub use text::{json_list, json_sheet, vtt};
pub use timeline::{Run, Timeline};

use crate::base::time::SECOND;
use crate::base::{Span, Timestamp};

/// How tiles lie on a sheet, and how long each stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grid {
    /// Of a tile, in pixels.
    pub width: u32,
    pub height: u32,
    pub columns: u32,
    pub rows: u32,
    /// In microseconds.
    pub interval: i64,
}

impl Grid {
    pub fn tiles(&self) -> u32 {
        self.columns * self.rows
    }

    /// What a sheet stands for, in microseconds.
    pub fn sheet_micros(&self) -> i64 {
        self.interval * i64::from(self.tiles())
    }

    /// The time a tile of the sheet from `start` on stands for.
    pub fn tile(&self, start: Timestamp, number: u32) -> Span {
        let from = start + i64::from(number) * self.interval;
        Span::new(from, from + self.interval)
    }

    /// Pixels of the tile's left upper corner on its sheet.
    pub fn corner(&self, number: u32) -> (u32, u32) {
        (number % self.columns * self.width, number / self.columns * self.height)
    }
}

/// How sheets are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// By what a server is asked for them with.
    Asked,
    /// By their number, from 1: files.
    Numbered,
}

/// Where sheets are found.
#[derive(Debug, Clone)]
pub struct Sheets {
    pub naming: Naming,
    /// What stands before their names: nothing where the text that names them has an address beside theirs.
    pub base: String,
    pub grid: Grid,
    /// Where a sheet begins; the others do so in multiples of their length before and after.
    pub origin: Timestamp,
}

impl Sheets {
    /// Sheets that lie on the clock, named beside a text of theirs.
    pub fn on_the_clock(grid: Grid) -> Self {
        Self { naming: Naming::Asked, base: String::new(), grid, origin: Timestamp::from_micros(0) }
    }

    /// The start of the sheet that `at` lies in.
    pub fn sheet_at(&self, at: Timestamp) -> Timestamp {
        let length = self.grid.sheet_micros();
        self.origin + (at - self.origin).div_euclid(length) * length
    }

    /// The address of the sheet from `start` on.
    pub fn url(&self, start: Timestamp) -> String {
        if self.naming == Naming::Numbered {
            let number = (start - self.origin).div_euclid(self.grid.sheet_micros()) + 1;
            return format!("{}{number:03}.jpg", self.base);
        }
        let Grid { width, height, columns, rows, interval } = self.grid;
        format!(
            "{}sheet.jpg?start={start}&width={width}&height={height}&columns={columns}&rows={rows}&interval={}",
            self.base,
            seconds(interval),
        )
    }

    /// The cues of all tiles that `timeline` touches, in order.
    pub fn cues<'a>(&'a self, timeline: &'a Timeline) -> impl Iterator<Item = Cue> + 'a {
        timeline.runs().iter().flat_map(move |run| {
            let mut at = run.wall.start;
            std::iter::from_fn(move || {
                if at >= run.wall.end {
                    return None;
                }
                let sheet = self.sheet_at(at);
                let tile = ((at - sheet) / self.grid.interval) as u32;
                let (from, to) = (at, self.grid.tile(sheet, tile).end.min(run.wall.end));
                at = to;
                Some(Cue { start: run.time_of(from), end: run.time_of(to), sheet, tile })
            })
        })
    }
}

/// A tile as a player shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cue {
    /// In microseconds of the player's time.
    pub start: i64,
    pub end: i64,
    /// The start of its sheet.
    pub sheet: Timestamp,
    /// Its number there.
    pub tile: u32,
}

/// Seconds in their shortest form, to the microsecond.
fn seconds(micros: i64) -> String {
    let (whole, fraction) = (micros.div_euclid(SECOND), micros.rem_euclid(SECOND));
    if fraction == 0 {
        return whole.to_string();
    }
    format!("{whole}.{fraction:06}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
pub(in crate::packaging) mod tests {
    use super::*;

    pub fn at(text: &str) -> Timestamp {
        Timestamp::parse("at", text).unwrap()
    }

    pub fn span(start: &str, end: &str) -> Span {
        Span::new(at(start), at(end))
    }

    pub const GRID: Grid = Grid { width: 160, height: 90, columns: 2, rows: 2, interval: 10 * SECOND };

    pub fn sheets() -> Sheets {
        Sheets::on_the_clock(GRID)
    }

    #[test]
    fn sheets_lie_on_the_clock_or_from_an_origin_on() {
        assert_eq!(GRID.sheet_micros(), 40 * SECOND);
        assert_eq!(sheets().sheet_at(at("2024-11-09T12:50:39.999")), at("2024-11-09T12:50:00"));
        assert_eq!(sheets().sheet_at(at("2024-11-09T12:50:40")), at("2024-11-09T12:50:40"));
        let own = Sheets { origin: at("2024-11-09T12:50:15"), ..sheets() };
        assert_eq!(own.sheet_at(at("2024-11-09T12:50:40")), at("2024-11-09T12:50:15"));
        assert_eq!(own.sheet_at(at("2024-11-09T12:50:14")), at("2024-11-09T12:49:35"));
        assert_eq!(
            GRID.tile(at("2024-11-09T12:50:00"), 3),
            span("2024-11-09T12:50:30", "2024-11-09T12:50:40")
        );
        assert_eq!([0, 1, 2, 3].map(|it| GRID.corner(it)), [(0, 0), (160, 0), (0, 90), (160, 90)]);
    }

    #[test]
    fn cues_follow_the_players_time_over_a_hole() {
        let timeline = Timeline::of_playlist([
            span("2024-11-09T12:50:35", "2024-11-09T12:50:43"),
            span("2024-11-09T12:51:12", "2024-11-09T12:51:20"),
        ]);
        let (first, second) = (at("2024-11-09T12:50:00"), at("2024-11-09T12:50:40"));
        let cues: Vec<_> = sheets()
            .cues(&timeline)
            .map(|it| (it.start / SECOND, it.end / SECOND, it.sheet, it.tile))
            .collect();
        assert_eq!(cues, [(0, 5, first, 3), (5, 8, second, 0), (8, 16, second, 3)]);
    }

    #[test]
    fn cues_of_the_wall_go_on_over_a_hole() {
        let timeline = Timeline::of_wall(span("2024-11-09T12:50:35", "2024-11-09T12:51:00"));
        let times: Vec<_> = sheets().cues(&timeline).map(|it| (it.start / SECOND, it.end / SECOND)).collect();
        assert_eq!(times, [(0, 5), (5, 15), (15, 25)]);
    }

    #[test]
    fn a_sheet_is_asked_for_by_its_start() {
        let grid = Grid { interval: 2_500_000, ..GRID };
        assert_eq!(
            Sheets::on_the_clock(grid).url(at("2024-11-09T12:50:00")),
            "sheet.jpg?start=2024-11-09T12:50:00.000000&width=160&height=90&columns=2&rows=2&interval=2.5"
        );
        let files = Sheets { naming: Naming::Numbered, base: "sheet-".into(), ..sheets() };
        assert_eq!(files.url(Timestamp::from_micros(79 * SECOND)), "sheet-002.jpg");
    }
}
