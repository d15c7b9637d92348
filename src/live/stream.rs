//! The streams there are, by their names.

use super::ring::{Ring, RingLimits};
use super::still::Stills;
use crate::base::{Error, Result, StreamId};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;

/// One source and what is held of it.
#[derive(Debug)]
pub struct Stream {
    pub id: StreamId,
    pub ring: Arc<Ring>,
    /// How its pictures are turned when they are shown, 1 to 8 as EXIF counts.
    pub orientation: AtomicU8,
    /// Pictures of it made lately.
    pub stills: Stills,
}

impl Stream {
    fn new(id: StreamId, limits: RingLimits) -> Self {
        let (ring, orientation) = (Arc::new(Ring::new(limits)), AtomicU8::new(1));
        Self { id, ring, orientation, stills: Stills::default() }
    }
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
        let make = || Arc::new(Stream::new(id.clone(), limits));
        Arc::clone(all.entry(id.clone()).or_insert_with(make))
    }
}
