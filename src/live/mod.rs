//! Following sources as they happen. Every source has one ring of samples; what is watched, kept, recorded or shown of
//! it reads the ring and knows nothing of the source.
//!
//! Invariant: what goes to the archive goes through its writer. Not here: HTTP, and libav but through `media`.

pub mod archive;
mod desk;
pub mod recorder;
pub mod retention;
pub mod ring;
pub mod still;
mod stream;

pub use desk::{Desk, Wanted};
pub use ring::{Entry, Epoch, Ring, RingLimits};
pub use stream::{Stream, Streams};
