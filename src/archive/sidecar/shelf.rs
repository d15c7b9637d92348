//! The packs held in memory: tables and bytes, bounded in bytes, the least recently used going first.

use crate::archive::sidecar::pack::Pack;
use crate::base::metrics::Metrics;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub(super) struct Shelf {
    limit: u64,
    metrics: Metrics,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    packs: HashMap<Arc<str>, Item>,
    /// Least recently used first.
    order: BTreeMap<u64, Arc<str>>,
    tick: u64,
    /// The sum of the items' weights.
    weight: u64,
}

struct Item {
    pack: Arc<Pack>,
    weight: u64,
    used: u64,
}

impl Shelf {
    pub(super) fn new(limit: u64, metrics: Metrics) -> Self {
        Self { limit, metrics, held: Mutex::default() }
    }

    /// The pack of that name, an empty one where none is held. Counts as a use.
    pub(super) fn pack(&self, name: &str) -> Arc<Pack> {
        let mut held = self.held.lock();
        held.tick += 1;
        let tick = held.tick;
        let Held { packs, order, weight, .. } = &mut *held;
        if let Some(item) = packs.get_mut(name) {
            if let Some(name) = order.remove(&item.used) {
                order.insert(tick, name);
            }
            item.used = tick;
            return Arc::clone(&item.pack);
        }
        let pack = Arc::new(Pack::new(name.into()));
        order.insert(tick, Arc::clone(pack.name()));
        *weight += pack.weight();
        let item = Item { pack: Arc::clone(&pack), weight: pack.weight(), used: tick };
        packs.insert(Arc::clone(pack.name()), item);
        pack
    }

    /// Takes note of a pack's weight after a use, and keeps the bound. The pack itself goes where it alone is
    /// too heavy.
    pub(super) fn weigh(&self, pack: &Arc<Pack>) {
        let mut held = self.held.lock();
        let Held { packs, weight, .. } = &mut *held;
        // Another may have taken its place; then nobody will find this one again.
        if let Some(item) = packs.get_mut(pack.name()).filter(|item| Arc::ptr_eq(&item.pack, pack)) {
            *weight = *weight - item.weight + pack.weight();
            item.weight = pack.weight();
        }
        while held.weight > self.limit {
            let Some((_, name)) = held.order.pop_first() else { break };
            held.take(&name);
        }
        self.show(&held);
    }

    pub(super) fn remove(&self, name: &str) {
        let mut held = self.held.lock();
        held.take(name);
        self.show(&held);
    }

    #[cfg(test)]
    pub(super) fn weight(&self) -> u64 {
        self.held.lock().weight
    }

    fn show(&self, held: &Held) {
        self.metrics.sidecar_bytes_memory.set(held.weight as i64);
    }
}

impl Held {
    fn take(&mut self, name: &str) {
        if let Some(item) = self.packs.remove(name) {
            self.order.remove(&item.used);
            self.weight -= item.weight;
        }
    }
}
