//! Which coded pictures of a run are decoded for one of them. Pure.

use crate::media::index::{AccessUnit, VideoCodec};
use std::collections::BTreeSet;

/// What has to be known of a coded picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coded {
    pub pts: i64,
    /// Others are predicted from it, or it brings what others need.
    pub needed: bool,
    /// The second field of the frame whose first is the one before.
    pub second_field: bool,
}

impl From<&AccessUnit> for Coded {
    fn from(unit: &AccessUnit) -> Self {
        // Parameter sets may come with any picture.
        Self { pts: unit.pts, needed: unit.reference || unit.sets > 0, second_field: unit.second_field }
    }
}

/// Coded pictures in decoding order from one on where decoding may begin. Positions count from there.
#[derive(Debug, Clone)]
pub struct Run {
    units: Vec<Coded>,
    /// What is not needed by others can be decoded later too. HEVC's pictures say which others a decoder may forget (H.265
    /// §8.3.2), so there it is too late.
    late: bool,
}

/// What is decoded, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// The decoder goes back to the beginning first.
    pub restart: bool,
    pub feed: Vec<usize>,
}

/// Pictures before the wanted one that are decoded with it when a decoder had to begin again for it: who goes back once
/// goes back again, and then they are at hand.
const BACK: usize = 12;

/// Coded pictures between one and the frame shown before or after it: as many as encoders have in a row that others wait for.
const BESIDE: usize = 8;

impl Run {
    pub fn new(units: impl IntoIterator<Item = Coded>, codec: VideoCodec) -> Self {
        Self { units: units.into_iter().collect(), late: codec != VideoCodec::Hevc }
    }

    pub fn get(&self, position: usize) -> Option<&Coded> {
        self.units.get(position)
    }

    /// The position after the last unit of the frame that begins at `position`.
    fn frame_end(&self, position: usize) -> usize {
        let second = self.units.get(position + 1).is_some_and(|it| it.second_field);
        if second { position + 2 } else { position + 1 }
    }

    /// The frames shown before and after the one that begins at `wanted`, which are asked for next by who goes frame by
    /// frame. Those that only a few pictures have to be decoded for.
    pub fn beside(&self, wanted: usize) -> Vec<usize> {
        let near = wanted.saturating_sub(BESIDE)..self.units.len().min(wanted + 1 + BESIDE);
        let Some(own) = self.units.get(wanted).map(|it| it.pts) else { return Vec::new() };
        let frames = || near.clone().map(|at| (at, &self.units[at])).filter(|it| !it.1.second_field);
        let before = frames().filter(|it| it.1.pts < own).max_by_key(|it| it.1.pts);
        let after = frames().filter(|it| it.1.pts > own).min_by_key(|it| it.1.pts);
        before.into_iter().chain(after).map(|it| it.0).collect()
    }

    /// What is decoded for the frame that begins at `wanted` by a decoder that is at `next`, 0 for a fresh one; frames of
    /// `also` that lie on the way are decoded too, and those of `beside` even beyond it.
    pub fn pass(&self, next: usize, wanted: usize, also: &BTreeSet<usize>, beside: &[usize]) -> Pass {
        let end = beside.iter().map(|it| self.frame_end(*it)).fold(self.frame_end(wanted), usize::max);
        let needed = |at: usize| self.units.get(at).is_some_and(|it| it.needed);
        if wanted < next && self.late && !(wanted..next).any(needed) {
            return Pass { restart: false, feed: (wanted..self.frame_end(wanted)).collect() };
        }
        let restart = wanted < next;
        let (from, back) = if restart { (0, BACK) } else { (next, 0) };
        // Pictures shown before the first of the run may need what lies before it, and nothing shown later needs them.
        let first = self.units.first().map_or(i64::MIN, |it| it.pts);
        let leads = |at: usize| self.units.get(at).is_some_and(|it| it.pts < first);
        let wanted_leads = leads(wanted);
        let mut feed = Vec::new();
        let mut at = from;
        while at < end {
            let frame = at..self.frame_end(at).min(end);
            at = frame.end;
            let asked = frame.start == wanted
                || also.contains(&frame.start) && frame.start < wanted
                || beside.contains(&frame.start)
                || frame.start < wanted && wanted - frame.start < back;
            let led = leads(frame.start) && !wanted_leads;
            if (asked || frame.clone().any(needed)) && !led {
                feed.extend(frame);
            }
        }
        Pass { restart, feed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `I P b B`: capitals are needed; a digit after it is when it is shown; `'` marks a second field.
    fn run(text: &str, codec: VideoCodec) -> Run {
        let units = text.split(' ').map(|it| {
            let kind = it.chars().next().unwrap();
            let second_field = it.ends_with('\'');
            let pts = it[1..].trim_end_matches('\'').parse().unwrap();
            Coded { pts, needed: kind.is_ascii_uppercase(), second_field }
        });
        Run::new(units, codec)
    }

    fn feed(run: &Run, next: usize, wanted: usize, also: &[usize]) -> (bool, Vec<usize>) {
        let pass = run.pass(next, wanted, &also.iter().copied().collect(), &[]);
        (pass.restart, pass.feed)
    }

    #[test]
    fn only_what_is_needed_is_decoded() {
        let run = run("I0 P3 b1 b2 P6 b4 b5 P9 b7 b8", VideoCodec::H264);
        assert_eq!(feed(&run, 0, 0, &[]), (false, vec![0]));
        assert_eq!(feed(&run, 0, 7, &[]), (false, vec![0, 1, 4, 7]));
        assert_eq!(feed(&run, 0, 6, &[]), (false, vec![0, 1, 4, 6]));
        assert_eq!(
            feed(&run, 0, 6, &[2, 9]),
            (false, vec![0, 1, 2, 4, 6]),
            "what others wait for, on the way"
        );
        assert_eq!(feed(&run, 5, 8, &[]), (false, vec![7, 8]), "a decoder goes on");
        assert_eq!(feed(&run, 6, 6, &[]), (false, vec![6]));
    }

    #[test]
    fn what_was_passed_over_is_made_up_for_while_its_references_are_there() {
        let list = "I0 P3 b1 b2 P6 b4 b5";
        let run_264 = run(list, VideoCodec::H264);
        assert_eq!(feed(&run_264, 4, 2, &[]), (false, vec![2]));
        assert_eq!(feed(&run_264, 5, 2, &[]), (true, vec![0, 1, 2]), "a picture others need came since");
        assert_eq!(feed(&run(list, VideoCodec::Hevc), 4, 2, &[]), (true, vec![0, 1, 2]));
        assert_eq!(feed(&run_264, 7, 4, &[]), (true, vec![0, 1, 2, 3, 4]), "with those before it");
    }

    #[test]
    fn frames_beside_are_decoded_with_it() {
        let run = run("I0 P3 b1 b2 P6 b4 b5 P9 b7 b8", VideoCodec::H264);
        let feed = |next, wanted| run.pass(next, wanted, &BTreeSet::new(), &run.beside(wanted)).feed;
        assert_eq!(run.beside(4), [6, 8], "5 and 7 are shown beside 6");
        assert_eq!(feed(0, 4), [0, 1, 4, 6, 7, 8]);
        assert_eq!(feed(0, 5), [0, 1, 4, 5, 6], "what was decoded anyway costs nothing");
        assert_eq!(feed(7, 6), [6], "what is made up for is made up for alone");
        assert_eq!(run.beside(0), [2]);
        assert_eq!(run.beside(7), [9], "the last has nothing after it");
    }

    #[test]
    fn fields_come_in_pairs() {
        let run = run("I0 P0' b1 b1' P2 P2'", VideoCodec::Mpeg2);
        assert_eq!(feed(&run, 0, 0, &[]), (false, vec![0, 1]));
        assert_eq!(feed(&run, 0, 4, &[]), (false, vec![0, 1, 4, 5]));
        assert_eq!(feed(&run, 2, 2, &[]), (false, vec![2, 3]));
        assert_eq!(feed(&run, 6, 2, &[]), (true, vec![0, 1, 2, 3]));
    }

    #[test]
    fn leading_pictures_of_the_beginning_are_left_alone() {
        let run = run("I3 B1 b2 P6 b4", VideoCodec::H264);
        assert_eq!(feed(&run, 0, 3, &[]), (false, vec![0, 3]));
        assert_eq!(feed(&run, 0, 4, &[1, 2]), (false, vec![0, 3, 4]));
        assert_eq!(feed(&run, 0, 2, &[]), (false, vec![0, 1, 2]), "but where one of them is wanted");
    }
}
