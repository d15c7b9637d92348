//! The streams there are, by their names.

use super::ring::{Ring, RingLimits};
use crate::base::{Error, Result, StreamId};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One source and what is held of it.
#[derive(Debug)]
pub struct Stream {
    pub id: StreamId,
    pub ring: Arc<Ring>,
}

/// All streams. Cloning shares them.
#[derive(Clone, Default)]
pub struct Streams(Arc<RwLock<BTreeMap<StreamId, Arc<Stream>>>>);

impl Streams {
    /// # Errors
    /// `not-found` where there is none.
    pub fn get(&self, id: &StreamId) -> Result<Arc<Stream>> {
        self.0.read().get(id).cloned().ok_or_else(|| Error::not_found("there is no such stream"))
    }

    pub fn list(&self) -> Vec<Arc<Stream>> {
        self.0.read().values().cloned().collect()
    }

    /// The stream of this name, made where there is none yet.
    pub fn put(&self, id: StreamId, limits: RingLimits) -> Arc<Stream> {
        let mut all = self.0.write();
        let make = || Arc::new(Stream { id: id.clone(), ring: Arc::new(Ring::new(limits)) });
        Arc::clone(all.entry(id.clone()).or_insert_with(make))
    }
}
