//! The head of an MP4 file (ISO/IEC 14496-12 and -14): everything before its samples, which follow in one mdat. Pure.

mod boxes;
mod entry;
mod movie;

pub use boxes::runs;
pub use entry::{PictureEntry, SampleEntry, SoundCoding, SoundEntry};
pub use movie::{Chunk, Edit, Movie, Track};
