//! Tiles: small pictures of a segment's keyframes, kept so that no keyframe is decoded for a storyboard twice, and the
//! sheets they are laid out on.

pub mod file;
mod format;
mod keyframe;
mod sheet;

pub use format::{Kept, Tile, Tiles};
pub use keyframe::{decoded_alone, of_keyframes, of_picture};
pub use sheet::Sheet;

/// Tiles of a segment at most; what follows is left out.
pub const MAX_TILES: usize = 64;

/// The longest side of a tile, in pixels.
pub const MAX_SIDE: usize = 1024;

/// Keyframes closer than this to the last one kept are passed over, in microseconds: no storyboard is finer.
pub const APART: i64 = 1_000_000;

/// JPEG quality of what is kept: drawn on a sheet it is compressed once more, and that is not to be seen.
const KEPT_QUALITY: u8 = 90;
