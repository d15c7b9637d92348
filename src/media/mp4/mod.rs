//! MP4 (ISO/IEC 14496-12 and -14): the head of a file whose samples follow in one mdat, and files in fragments. Pure.

mod boxes;
pub mod closing;
mod entry;
mod fragment;
mod fragments;
mod movie;

pub use boxes::runs;
pub use entry::{PictureEntry, SampleEntry, SoundCoding, SoundEntry};
pub use fragment::{Laid, Layout, fragment};
pub use fragments::{Head, IndexEntry, Total, free, mfra, sidx, sidx_bytes};
pub use movie::{Chunk, Edit, Movie, Track, matrix};
