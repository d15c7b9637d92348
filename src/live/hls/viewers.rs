//! Who watches just now: those that asked for something lately, told apart by their token, their address and their program. Times
//! are parameters.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// Players ask for a playlist once a segment at least, and for much more while they play.
const LATELY: Duration = Duration::from_secs(15);

/// The viewers of a stream. Nothing is kept of them but a number that means nothing elsewhere.
pub struct Viewers {
    seen: HashMap<u64, Instant>,
    keys: RandomState,
    most: usize,
}

impl std::fmt::Debug for Viewers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} viewers", self.seen.len())
    }
}

impl Viewers {
    /// Counts up to `most`.
    pub fn new(most: usize) -> Self {
        Self { seen: HashMap::new(), keys: RandomState::new(), most }
    }

    /// Somebody asked, who is known by these words.
    pub fn saw(&mut self, words: &[&str], now: Instant) {
        let key = self.keys.hash_one(words);
        if self.seen.len() >= self.most && !self.seen.contains_key(&key) {
            self.seen.retain(|_, at| now.saturating_duration_since(*at) < LATELY);
            if self.seen.len() >= self.most {
                return;
            }
        }
        self.seen.insert(key, now);
    }

    pub fn count(&self, now: Instant) -> usize {
        self.seen.values().filter(|at| now.saturating_duration_since(**at) < LATELY).count()
    }

    pub fn clear(&mut self) {
        self.seen.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_asked_lately_are_counted_once() {
        let (mut all, start) = (Viewers::new(3), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        for (words, at, count) in [
            (["t", "10.0.0.1", "a"], 0, 1),
            (["t", "10.0.0.1", "a"], 5, 1),
            (["t", "10.0.0.2", "a"], 5, 2),
            (["t", "10.0.0.1", "b"], 6, 3),
            // No more than are to be counted.
            (["t", "10.0.0.3", "b"], 7, 3),
            (["u", "10.0.0.3", "b"], 22, 1),
        ] {
            all.saw(&words, after(at));
            assert_eq!(all.count(after(at)), count, "{words:?} {at}");
        }
        all.saw(&["t", "10.0.0.1", "a"], after(23));
        assert_eq!((all.count(after(36)), all.count(after(37)), all.count(after(38))), (2, 1, 0));
        all.clear();
        assert_eq!(all.count(after(23)), 0);
    }
}
