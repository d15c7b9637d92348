//! What happens to streams, told to whoever listens. A listener that is too slow loses the oldest and is told how much.

use crate::base::{StreamId, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::broadcast;

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Event {
    pub stream: StreamId,
    /// A stable word: `state`, `epoch`, `changed`, `removed`, and those of others who tell.
    pub kind: &'static str,
    pub time: Timestamp,
    pub data: Value,
}

impl Event {
    /// As a line of JSON.
    pub fn to_json(&self) -> Value {
        json!({ "stream": self.stream.as_str(), "event": self.kind, "time": self.time, "data": self.data })
    }
}

/// All listeners. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Events(broadcast::Sender<Arc<Event>>);

impl Events {
    /// `kept`: events a slow listener may be behind.
    pub fn new(kept: usize) -> Self {
        Self(broadcast::Sender::new(kept.max(1)))
    }

    pub fn tell(&self, event: Event) {
        // Nobody listening is no fault.
        let _ = self.0.send(Arc::new(event));
    }

    pub fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.0.subscribe()
    }

    pub fn listeners(&self) -> usize {
        self.0.receiver_count()
    }
}
