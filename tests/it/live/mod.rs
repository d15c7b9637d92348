//! Live streams: recording, pictures, files.

pub mod feed;
mod recorder;
mod recorder_archive;
mod recorder_crash;
