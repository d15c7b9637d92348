//! Following sources as they happen. Every source has one ring of samples; what is watched, kept, recorded or shown of
//! it reads the ring and knows nothing of the source.
//!
//! Invariant: what goes to the archive goes through its writer. Not here: HTTP, and libav but through `media`.

pub mod archive;
mod clock;
mod desk;
mod events;
mod guard;
mod heal;
pub mod hls;
mod open;
mod push;
pub mod recorder;
mod rest;
pub mod retention;
pub mod ring;
mod settings;
mod sound;
mod source;
mod stats;
pub mod still;
mod store;
mod stream;
mod streams;
mod supervise;
mod worker;

pub use desk::{Desk, Wanted};
pub use events::{Event, Events};
pub use guard::Guard;
pub use push::Sender;
pub use ring::{Entry, Epoch, Ring, RingLimits};
pub use settings::{Record, Settings};
pub use source::{Address, Options, Push, Source, TimeSource, Transport, redacted};
pub use stats::Figures;
pub use stream::{Hold, Status, Stream};
pub use streams::{Budgets, Streams};
pub use supervise::{Policy, State};

use crate::base::metrics::Metrics;
use crate::base::time::Clock;
use std::sync::Arc;

/// The folder of the file of streams inside an archive; hidden, so that it is never listed.
pub const FOLDER: &str = ".moviola-streams";

/// What streams are made of and bounded by.
#[derive(Clone)]
pub struct Parts {
    /// Where they are kept.
    pub directory: std::path::PathBuf,
    /// How many there may be.
    pub most: usize,
    /// Of each one's ring.
    pub ring: RingLimits,
    pub budgets: Budgets,
    /// How each is handed out to viewers.
    pub viewers: hls::Options,
    pub policy: Policy,
    pub guard: Guard,
    /// Where pushes over RTMP and SRT are waited for.
    pub listen: std::net::IpAddr,
    /// Of a push over HTTP, waiting to be read.
    pub pipe_bytes: usize,
    /// Events a slow listener may be behind.
    pub events: usize,
    pub clock: Arc<dyn Clock>,
    pub metrics: Metrics,
}
