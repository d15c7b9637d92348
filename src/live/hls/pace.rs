//! Whether a source sends steadily, or in bursts: parts of what comes in bursts would be late, one and all. Pure.

use std::time::{Duration, Instant};

/// So many pauses within [`ENTER`] make a source bursty; without one for [`LEAVE`] it is steady again.
const PAUSES: usize = 3;
const ENTER: Duration = Duration::from_secs(60);
const LEAVE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub struct Pace {
    last: Option<Instant>,
    /// The last ones.
    pauses: [Option<Instant>; PAUSES],
    bursty: bool,
}

impl Pace {
    /// A part was completed; parts are `target` long.
    pub fn part(&mut self, now: Instant, target: Duration) {
        let last = self.last.replace(now);
        if last.is_some_and(|last| now.saturating_duration_since(last) > 2 * target) {
            self.pauses.rotate_left(1);
            self.pauses[PAUSES - 1] = Some(now);
        }
        let since = |it: Option<Instant>| it.map(|it| now.saturating_duration_since(it));
        if !self.bursty {
            self.bursty = since(self.pauses[0]).is_some_and(|it| it < ENTER);
        } else if since(self.pauses[PAUSES - 1]).is_none_or(|it| it >= LEAVE) {
            *self = Self { last: self.last, ..Self::default() };
        }
    }

    /// What follows has nothing to do with what came.
    pub fn begin(&mut self) {
        self.last = None;
    }

    pub fn is_bursty(&self) -> bool {
        self.bursty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_are_told_by_the_pauses_between_them() {
        let (mut pace, target) = (Pace::default(), Duration::from_millis(500));
        let mut now = Instant::now();
        let mut run = |gaps: &[u64]| {
            for gap in gaps {
                now += Duration::from_millis(*gap);
                pace.part(now, target);
            }
            pace.is_bursty()
        };
        assert!(!run(&[0, 500, 480, 520, 900, 100]), "late now and then");
        assert!(!run(&[3000, 0, 0, 0, 0, 3000, 0, 0, 0, 0]), "two pauses");
        assert!(run(&[3000, 0, 0]));
        assert!(run(&[500; 58]), "for half a minute");
        assert!(!run(&[500; 4]));
        assert!(!run(&[3000, 500, 500]), "the pauses before are long ago");
    }
}
