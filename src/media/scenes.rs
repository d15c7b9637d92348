//! Where one scene gives way to another, told from keyframes and from how large the pictures between them are: nothing
//! but keyframes is decoded.

use super::index::VideoTrack;
use super::tile::Kept;
use crate::base::{Error, Result};

/// The grid a keyframe is compared on.
const COLUMNS: usize = 16;
const ROWS: usize = 9;

/// A picture that is as large as this part of the keyframes on either side holds little of the pictures before it: encoders
/// code what is new in full.
const NEW_SHARE: f64 = 0.5;

/// And so many times as large as the one before and the one after: pictures full of motion are all large.
const SPIKE: f64 = 1.5;

/// What a keyframe looks like: the mean colours of a grid of fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance(Vec<u8>);

impl Glance {
    /// Of a kept tile.
    ///
    /// # Errors
    /// [`crate::base::Kind::Damaged`] where it is no JPEG.
    pub fn of(tile: &Kept<'_>) -> Result<Self> {
        let damaged =
            |fault: turbojpeg::Error| Error::damaged("a kept tile cannot be read").with_cause(fault);
        let picture = turbojpeg::decompress(tile.jpeg, turbojpeg::PixelFormat::RGB).map_err(damaged)?;
        let mut sums = vec![[0u32; 4]; COLUMNS * ROWS];
        for y in 0..picture.height {
            for x in 0..picture.width {
                let field = y * ROWS / picture.height * COLUMNS + x * COLUMNS / picture.width;
                let pixel = &picture.pixels[y * picture.pitch + x * 3..][..3];
                for (sum, value) in sums[field].iter_mut().zip(pixel) {
                    *sum += u32::from(*value);
                }
                sums[field][3] += 1;
            }
        }
        let means = sums
            .iter()
            .flat_map(|[red, green, blue, count]| [red, green, blue].map(|it| (it / count.max(&1)) as u8));
        Ok(Self(means.collect()))
    }

    /// How different two are, from 0 to 1.
    pub fn distance(&self, other: &Self) -> f64 {
        let sum: u64 = self.0.iter().zip(&other.0).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / (255 * self.0.len().max(1)) as f64
    }
}

/// A picture between keyframes that may begin a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    pub pts: i64,
    pub bytes: u32,
    /// Bytes of the larger of the two beside it.
    pub beside: u32,
}

impl Candidate {
    /// Whether it, rather than the keyframe after it, begins a new scene; `before` and `after` are the bytes of the
    /// keyframes on either side.
    pub fn begins(&self, before: u32, after: u32) -> bool {
        let bytes = f64::from(self.bytes);
        bytes >= NEW_SHARE * f64::from(before.min(after)) && bytes >= SPIKE * f64::from(self.beside)
    }
}

/// The picture in each gap between keyframes that is the most likely to begin a scene: of those others are predicted from,
/// the one that stands out most between its neighbours. `keys` are the keyframes in order of time; what comes after the last
/// one is a gap too.
pub fn candidates(track: &VideoTrack, keys: &[usize]) -> Vec<Option<Candidate>> {
    let mut pictures: Vec<(i64, u32)> = track
        .units
        .iter()
        .filter(|it| it.reference && !it.second_field)
        .map(|it| (it.pts, it.size))
        .collect();
    pictures.sort_unstable_by_key(|it| it.0);
    let times: Vec<i64> = keys.iter().map(|it| track.units[*it].pts).collect();
    standing_out(&pictures, &times)
}

/// [`candidates`] of pictures told by their times and bytes, in order of time, between keyframes at `times`.
pub fn standing_out(pictures: &[(i64, u32)], times: &[i64]) -> Vec<Option<Candidate>> {
    let size = |at: Option<usize>| at.and_then(|at| pictures.get(at)).map_or(0, |it| it.1);
    let candidate = |at: usize| {
        let (before, after) = (size(at.checked_sub(1)), size(at.checked_add(1)));
        Candidate { pts: pictures[at].0, bytes: pictures[at].1, beside: before.max(after).max(1) }
    };
    let stands_out = |it: &Candidate| f64::from(it.bytes) / f64::from(it.beside);
    let gap = |(place, from): (usize, &i64)| {
        let to = times.get(place + 1).copied().unwrap_or(i64::MAX);
        let first = pictures.partition_point(|it| it.0 <= *from);
        let last = pictures.partition_point(|it| it.0 < to);
        (first..last.max(first)).map(candidate).max_by(|a, b| stands_out(a).total_cmp(&stands_out(b)))
    };
    times.iter().enumerate().map(gap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::picture::{PictureFormat, Raster};

    fn glance(colour: [u8; 3]) -> Glance {
        let jpeg = Raster::plain(80, 45, colour).encode(PictureFormat::Jpeg(90)).unwrap();
        Glance::of(&Kept { at: 0, width: 80, height: 45, jpeg: &jpeg }).unwrap()
    }

    #[test]
    fn pictures_are_told_apart_by_their_colours() {
        let (red, dark, green) = (glance([200, 40, 40]), glance([190, 40, 40]), glance([40, 200, 40]));
        assert_eq!(red.distance(&red), 0.0);
        assert!(red.distance(&dark) < 0.03 && red.distance(&green) > 0.35, "{}", red.distance(&green));
        assert_eq!(red.0.len(), 16 * 9 * 3);
    }

    #[test]
    fn a_large_picture_begins_a_scene() {
        let candidate = |bytes, beside| Candidate { pts: 0, bytes, beside };
        assert!(candidate(60_000, 9000).begins(100_000, 110_000));
        assert!(!candidate(20_000, 1000).begins(100_000, 110_000), "little that is new");
        assert!(!candidate(60_000, 50_000).begins(100_000, 20_000), "as the others beside it");
    }
}
