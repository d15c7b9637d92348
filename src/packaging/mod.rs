//! Text of manifests. Pure functions of what they are given: no clock, no disk, no archive.

pub mod hls;
