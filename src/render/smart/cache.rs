//! Smart cuts prepared lately.

use super::SmartCut;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// A cut that is being prepared, or is.
pub(super) type Cell = OnceCell<Arc<SmartCut>>;

/// Cuts prepared lately, the latest last. A cut asked for twice at once is prepared once.
pub struct SmartCache {
    cuts: Mutex<VecDeque<(String, Arc<Cell>)>>,
}

/// Prepared cuts kept, whatever they hold.
const KEPT: usize = 64;

impl Default for SmartCache {
    fn default() -> Self {
        Self { cuts: Mutex::new(VecDeque::new()) }
    }
}

impl SmartCache {
    pub(super) fn cell(&self, key: &str) -> Arc<Cell> {
        let mut cuts = self.cuts.lock();
        let cell = match cuts.iter().position(|(kept, _)| kept == key).and_then(|at| cuts.remove(at)) {
            Some((_, cell)) => cell,
            None => Arc::default(),
        };
        cuts.push_back((key.to_owned(), Arc::clone(&cell)));
        cell
    }

    /// A cut that is prepared.
    pub(super) fn find(&self, key: &str) -> Option<Arc<SmartCut>> {
        let cuts = self.cuts.lock();
        cuts.iter().find(|(kept, _)| kept == key).and_then(|(_, cell)| cell.get().cloned())
    }

    /// Forgets cuts asked for longest ago until the edges of the rest are within `limit`; gives what is held then.
    pub(super) fn trim(&self, limit: u64) -> u64 {
        let mut cuts = self.cuts.lock();
        let held = |cell: &Cell| cell.get().map_or(0, |cut| cut.held());
        let mut sum: u64 = cuts.iter().map(|(_, cell)| held(cell)).sum();
        while (sum > limit || cuts.len() > KEPT)
            && let Some((_, cell)) = cuts.pop_front()
        {
            sum -= held(&cell);
        }
        sum
    }
}
