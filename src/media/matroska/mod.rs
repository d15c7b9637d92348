//! Matroska (RFC 9559) in which every size is known beforehand: the head with its cues, and clusters. Pure. And what
//! libav's muxer leaves unsaid in its files.

pub mod amend;
mod cluster;
mod ebml;
mod head;

pub use cluster::{Block, BlockTiming, CLUSTER_MILLIS, Cluster};
pub use head::{CuePoint, Head, Media, Track};
