//! Text of manifests. Pure functions of what they are given: no clock, no disk, no archive.

pub mod hls;
pub mod iframes;
pub mod low_latency;
pub mod storyboard;
mod url;
