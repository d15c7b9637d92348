//! How many pictures a range has left, without decoding any.

use super::grid::{Grid, Key, Range};
use super::packets::{Clock, Event, Packets, Wanted};
use crate::base::{Result, Token};
use crate::media::cut::CutSource;
use crate::media::source::{LOOK_AHEAD, Want};
use std::collections::{BTreeMap, VecDeque};

/// Reads a range ahead of its decoding, as far as is asked.
pub struct Scan<'a> {
    packets: Packets<'a>,
    range: Range,
    clock: Clock,
    grid: Option<Grid>,
    /// Pictures in the order they are sent, until no earlier one can follow.
    window: BTreeMap<i64, Wanted>,
    ahead: VecDeque<Key>,
    done: bool,
}

impl<'a> Scan<'a> {
    /// `clock` is the cut's, for a range without any clip.
    pub fn new(source: &'a CutSource, range: Range, clock: Clock, token: &'a Token) -> Self {
        Self {
            packets: Packets::new(source, range.span, Want::Video, token),
            range,
            clock,
            grid: None,
            window: BTreeMap::new(),
            ahead: VecDeque::new(),
            done: false,
        }
    }

    /// How many pictures there are from the first not passed yet, counted up to `most`.
    pub fn count(&mut self, most: usize) -> Result<usize> {
        while self.ahead.len() < most && !self.done {
            let window = match self.packets.next()? {
                Some(Event::Picture { wanted, .. }) => {
                    self.window.extend(wanted.map(|it| (it.pts, it)));
                    LOOK_AHEAD
                }
                Some(Event::RunEnd { .. }) => 0,
                Some(_) => continue,
                None => {
                    self.done = true;
                    0
                }
            };
            while self.window.len() > window
                && let Some((_, wanted)) = self.window.pop_first()
            {
                let placed = self.grid().place(wanted);
                self.ahead.extend((0..placed.fill).map(|number| Key::fill(Some(placed.key), number)));
                self.ahead.push_back(placed.key);
            }
            if self.done {
                let rest = self.grid().rest();
                self.ahead.extend((0..rest).map(|number| Key::fill(None, number)));
            }
        }
        Ok(self.ahead.len().min(most))
    }

    fn grid(&mut self) -> &mut Grid {
        let clock = self.packets.clock().unwrap_or(self.clock);
        self.grid.get_or_insert_with(|| Grid::new(self.range, clock))
    }

    /// Whether the picture `key` is one of the last `count` of the range. Keys have to be asked for in order.
    pub fn is_among_last(&mut self, key: Key, count: usize) -> Result<bool> {
        while self.ahead.front().is_some_and(|it| *it < key) {
            self.ahead.pop_front();
        }
        Ok(self.count(count + 1)? <= count)
    }
}
