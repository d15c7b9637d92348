//! The streams there are, by their names.

use super::hls::{self, Hls};
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
    /// What viewers get of it.
    pub hls: Hls,
}

/// All streams. Cloning shares them.
#[derive(Clone)]
pub struct Streams(Arc<Inner>);

struct Inner {
    held: RwLock<BTreeMap<StreamId, Arc<Stream>>>,
    viewers: hls::Options,
}

impl Streams {
    /// None yet; each is handed out to viewers like this.
    pub fn new(viewers: hls::Options) -> Self {
        Self(Arc::new(Inner { held: RwLock::default(), viewers }))
    }

    /// # Errors
    /// `not-found` where there is none.
    pub fn get(&self, id: &StreamId) -> Result<Arc<Stream>> {
        self.0.held.read().get(id).cloned().ok_or_else(|| Error::not_found("there is no such stream"))
    }

    pub fn list(&self) -> Vec<Arc<Stream>> {
        self.0.held.read().values().cloned().collect()
    }

    /// The stream of this name, made where there is none yet.
    pub fn put(&self, id: StreamId, limits: RingLimits) -> Arc<Stream> {
        let make = || {
            let ring = Arc::new(Ring::new(limits));
            let hls = Hls::new(Arc::clone(&ring), self.0.viewers.clone());
            Arc::new(Stream { id: id.clone(), ring, hls })
        };
        Arc::clone(self.0.held.write().entry(id.clone()).or_insert_with(make))
    }
}
