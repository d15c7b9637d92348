//! A player's time beside the clock of the wall.

use crate::base::{Span, Timestamp};

/// A stretch of the archive without a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// When it was.
    pub wall: Span,
    /// The player's time at its start, in microseconds.
    pub start: i64,
}

impl Run {
    /// The player's time at an instant of the run.
    pub fn time_of(&self, at: Timestamp) -> i64 {
        self.start + (at - self.wall.start)
    }

    /// The player's time at its end.
    pub fn end(&self) -> i64 {
        self.time_of(self.wall.end)
    }
}

/// How a player counts its time over a range, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timeline(Vec<Run>);

impl Timeline {
    /// As a playlist's player does: one run after the other, from 0 on.
    pub fn of_playlist(runs: impl IntoIterator<Item = Span>) -> Self {
        let mut start = 0;
        let place = |wall: Span| {
            let run = Run { wall, start };
            start = run.end();
            run
        };
        Self(runs.into_iter().filter(|it| !it.is_empty()).map(place).collect())
    }

    /// As the wall's clock does, from the start of the range on, holes and all.
    pub fn of_wall(span: Span) -> Self {
        Self::of_playlist([span])
    }

    pub fn runs(&self) -> &[Run] {
        &self.0
    }

    /// The player's time at the end, in microseconds.
    pub fn duration(&self) -> i64 {
        self.0.last().map_or(0, Run::end)
    }

    /// When what plays at `time` was.
    pub fn wall_of(&self, time: i64) -> Option<Timestamp> {
        let after = self.0.partition_point(|it| it.start <= time);
        let run = self.0.get(after.checked_sub(1)?)?;
        (time < run.end()).then(|| run.wall.start + (time - run.start))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, span};
    use super::*;
    use crate::base::time::SECOND;

    #[test]
    fn holes_take_no_time_of_a_player() {
        let timeline = Timeline::of_playlist([
            span("2024-11-09T12:50:35", "2024-11-09T12:50:43"),
            span("2024-11-09T12:50:50", "2024-11-09T12:50:50"),
            span("2024-11-09T12:51:12", "2024-11-09T12:51:20"),
        ]);
        assert_eq!((timeline.runs().len(), timeline.duration()), (2, 16 * SECOND));
        assert_eq!(timeline.wall_of(8 * SECOND - 1), Some(at("2024-11-09T12:50:42.999999")));
        assert_eq!(timeline.wall_of(8 * SECOND), Some(at("2024-11-09T12:51:12")));
        assert_eq!((timeline.wall_of(16 * SECOND), timeline.wall_of(-1)), (None, None));
        assert_eq!(Timeline::default().duration(), 0);
    }
}
