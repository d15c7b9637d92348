//! Pictures as rows of pixels: drawn from decoded ones, scaled, put together.

use super::shape::{Look, Region, Shape, Stored};
use super::{convert, fault};
use crate::base::{Error, Kind, Result};
use crate::media::ffi::Frame;
use crate::media::turn::Turn;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::ImageReader;
use std::io::Cursor;

/// 8-bit pixels of three or four channels: red, green, blue, and how opaque it is (not multiplied into the colours).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raster {
    pub width: usize,
    pub height: usize,
    channels: usize,
    pixels: Vec<u8>,
}

/// The best filter there is for shrinking: what thumbnails are made with elsewhere too.
const FILTER: ResizeAlg = ResizeAlg::Convolution(FilterType::Lanczos3);

impl Stored {
    pub fn of(frame: &Frame, turn: Turn) -> Self {
        Self { width: frame.width(), height: frame.height(), aspect: frame.sample_aspect(), turn }
    }
}

impl Raster {
    /// A decoded picture, turned upright by `turn`, as `look` has it.
    ///
    /// # Errors
    /// As [`Shape::new`].
    pub fn of(frame: &Frame, turn: Turn, look: &Look) -> Result<Self> {
        let shape = Shape::new(&Stored::of(frame, turn), look)?;
        let pixels = convert::to_rgb(frame)?;
        let stored = Self { width: frame.width(), height: frame.height(), channels: 3, pixels };
        stored.shaped(&shape)
    }

    fn shaped(self, shape: &Shape) -> Result<Self> {
        let part = match shape.copied() {
            Some((0, 0)) if (self.width, self.height) == (shape.width, shape.height) => self,
            Some((left, top)) => self.cut(left, top, shape.width, shape.height),
            None => self.scaled(Some(shape.region), shape.width, shape.height)?,
        };
        let turned = part.turned(shape.turn.quarters());
        Ok(if shape.turn.mirrored { turned.mirrored() } else { turned })
    }

    /// A picture of nothing, transparent.
    pub fn clear(width: usize, height: usize) -> Self {
        Self { width, height, channels: 4, pixels: vec![0; width * height * 4] }
    }

    /// A picture of one colour.
    pub fn plain(width: usize, height: usize, colour: [u8; 3]) -> Self {
        Self { width, height, channels: 3, pixels: colour.repeat(width * height) }
    }

    /// A picture of pixels: red, green and blue, row after row; rows that are missing are black.
    pub fn of_rgb(width: usize, height: usize, mut pixels: Vec<u8>) -> Self {
        pixels.resize(width * height * 3, 0);
        Self { width, height, channels: 3, pixels }
    }

    /// Sets one pixel, opaque; one that lies outside is left out.
    pub fn dot(&mut self, x: usize, y: usize, colour: [u8; 3]) {
        if x < self.width && y < self.height {
            let at = (y * self.width + x) * self.channels;
            self.pixels[at..][..3].copy_from_slice(&colour);
            if let Some(alpha) = self.pixels.get_mut(at + 3).filter(|_| self.channels == 4) {
                *alpha = 255;
            }
        }
    }

    /// Reads a PNG or JPEG of somebody else's, with its transparency. Its header is looked at before anything of its size
    /// is allocated.
    ///
    /// # Errors
    /// `not-a-picture`; `large-picture` for one of more than `max_pixels`.
    pub fn read(bytes: &[u8], max_pixels: u64) -> Result<Self> {
        let broken = |error: image::ImageError| {
            let detail = "the template is no PNG or JPEG that can be read";
            Error::invalid("not-a-picture", "template", detail).with_cause(error)
        };
        let open =
            || ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(image::ImageError::from);
        let (width, height) = open().and_then(ImageReader::into_dimensions).map_err(broken)?;
        if u64::from(width) * u64::from(height) > max_pixels {
            let detail = format!("a template may have at most {max_pixels} pixels, not {width}x{height}");
            return Err(Error::invalid("large-picture", "template", detail));
        }
        let mut reader = open().map_err(broken)?;
        let mut limits = image::Limits::default();
        // 16 bits of four channels, and what the decoder needs beside them.
        limits.max_alloc = Some(max_pixels * 8 + (16 << 20));
        reader.limits(limits);
        let picture = reader.decode().map_err(broken)?.into_rgba8();
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        Ok(Self { width, height, channels: 4, pixels: picture.into_raw() })
    }

    /// Rows without padding.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    pub fn is_opaque(&self) -> bool {
        self.channels == 3
    }

    fn row(&self, y: usize) -> &[u8] {
        let length = self.width * self.channels;
        &self.pixels[y * length..][..length]
    }

    fn cut(&self, left: usize, top: usize, width: usize, height: usize) -> Self {
        let rows =
            (top..top + height).flat_map(|y| &self.row(y)[left * self.channels..][..width * self.channels]);
        Self { width, height, channels: self.channels, pixels: rows.copied().collect() }
    }

    /// The region, or everything, at another size.
    pub fn scaled(&self, region: Option<Region>, width: usize, height: usize) -> Result<Self> {
        let kind = if self.channels == 3 { PixelType::U8x3 } else { PixelType::U8x4 };
        let source =
            ImageRef::new(self.width as u32, self.height as u32, &self.pixels, kind).map_err(fault)?;
        let mut target = Image::new(width as u32, height as u32, kind);
        let mut options = ResizeOptions::new().resize_alg(FILTER);
        if let Some(it) = region {
            // Rounding may leave the region a hair's breadth outside.
            let (left, top) = (it.left.max(0.0), it.top.max(0.0));
            let (across, down) = (self.width as f64 - left, self.height as f64 - top);
            options = options.crop(left, top, it.width.min(across), it.height.min(down));
        }
        Resizer::new().resize(&source, &mut target, &options).map_err(fault)?;
        Ok(Self { width, height, channels: self.channels, pixels: target.into_vec() })
    }

    /// What is left is right.
    pub fn mirrored(mut self) -> Self {
        let row = (self.width * self.channels).max(1);
        for line in self.pixels.chunks_exact_mut(row) {
            let (mut left, mut right) = (0, row);
            while right >= left + 2 * self.channels {
                right -= self.channels;
                for channel in 0..self.channels {
                    line.swap(left + channel, right + channel);
                }
                left += self.channels;
            }
        }
        self
    }

    /// Turned clockwise by quarter turns.
    pub fn turned(self, turns: u32) -> Self {
        if turns.is_multiple_of(4) {
            return self;
        }
        let size = self.channels;
        let (width, height) =
            if turns % 2 == 1 { (self.height, self.width) } else { (self.width, self.height) };
        let mut pixels = Vec::with_capacity(self.pixels.len());
        for y in 0..height {
            for x in 0..width {
                let (from_x, from_y) = match turns % 4 {
                    1 => (y, self.height - 1 - x),
                    2 => (self.width - 1 - x, self.height - 1 - y),
                    _ => (self.width - 1 - y, x),
                };
                pixels.extend_from_slice(&self.pixels[(from_y * self.width + from_x) * size..][..size]);
            }
        }
        Self { width, height, channels: size, pixels }
    }

    /// The part from (`left`, `top`) on; where it reaches past the picture it is black.
    pub fn window(&self, left: i64, top: i64, width: usize, height: usize) -> Self {
        let mut out = Self { width, height, channels: self.channels, pixels: Vec::new() };
        out.pixels = if self.channels == 3 {
            vec![0; width * height * 3]
        } else {
            [0, 0, 0, 255].repeat(width * height)
        };
        out.place(self, left.saturating_neg(), top.saturating_neg());
        out
    }

    /// Puts `other` into this picture with its left top corner at (`left`, `top`); what reaches past it is left out.
    /// What was there is gone, also under what is transparent.
    pub fn place(&mut self, other: &Self, left: i64, top: i64) {
        let across = overlap(self.width, other.width, left);
        let down = overlap(self.height, other.height, top);
        let size = self.channels;
        for y in down.clone() {
            let from = other.row((y as i64 - top) as usize);
            let start = (y * self.width + across.start) * size;
            let to = &mut self.pixels[start..][..across.len() * size];
            let from = &from[(across.start as i64 - left).max(0) as usize * other.channels..];
            for (to, from) in to.chunks_exact_mut(size).zip(from.chunks_exact(other.channels)) {
                to[..3].copy_from_slice(&from[..3]);
                if let Some(alpha) = to.get_mut(3) {
                    *alpha = from.get(3).copied().unwrap_or(255);
                }
            }
        }
    }

    /// Lays `other` over this picture, both of the same size, as transparent as it is.
    pub fn cover(&mut self, other: &Self) {
        let (size, others) = (self.channels, other.channels);
        for (under, over) in self.pixels.chunks_exact_mut(size).zip(other.pixels.chunks_exact(others)) {
            let alpha = u32::from(over.get(3).copied().unwrap_or(255));
            let below = u32::from(under.get(3).copied().unwrap_or(255));
            // How opaque both are together, in 1/255 of 1/255.
            let share = below * (255 - alpha);
            let sum = alpha * 255 + share;
            if sum == 0 {
                continue;
            }
            for (under, over) in under[..3].iter_mut().zip(over) {
                let mixed = u32::from(*over) * alpha * 255 + u32::from(*under) * share;
                *under = ((mixed + sum / 2) / sum) as u8;
            }
            if let Some(below) = under.get_mut(3) {
                *below = ((sum + 127) / 255) as u8;
            }
        }
    }

    /// Without transparency: what shows through is black.
    pub fn opaque(&self) -> Self {
        let mut out = Self::plain(self.width, self.height, [0; 3]);
        out.cover(self);
        out
    }
}

/// The places of `own` that `other`, put at `at`, comes to lie on.
fn overlap(own: usize, other: usize, at: i64) -> std::ops::Range<usize> {
    let start = at.clamp(0, own as i64);
    let end = at.saturating_add(other as i64).clamp(start, own as i64);
    start as usize..end as usize
}

/// What is too large to be drawn is refused before it is.
pub fn check_size(width: usize, height: usize) -> Result<()> {
    let limit = super::MAX_SIDE as usize;
    if (1..=limit).contains(&width) && (1..=limit).contains(&height) {
        return Ok(());
    }
    let detail = format!("a picture has sides of 1 to {limit} pixels, not {width}x{height}");
    Err(Error::new(Kind::Invalid, "picture-size", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raster(width: usize, height: usize, channels: usize, pixels: &[u8]) -> Raster {
        Raster { width, height, channels, pixels: pixels.to_vec() }
    }

    #[test]
    fn turns_clockwise() {
        let grey = |values: &[u8]| values.iter().flat_map(|it| [*it; 3]).collect::<Vec<_>>();
        let picture = raster(3, 2, 3, &grey(&[1, 2, 3, 4, 5, 6]));
        for (turns, width, height, values) in [
            (0, 3, 2, [1, 2, 3, 4, 5, 6]),
            (1, 2, 3, [4, 1, 5, 2, 6, 3]),
            (2, 3, 2, [6, 5, 4, 3, 2, 1]),
            (3, 2, 3, [3, 6, 2, 5, 1, 4]),
        ] {
            assert_eq!(picture.clone().turned(turns), raster(width, height, 3, &grey(&values)), "{turns}");
        }
    }

    #[test]
    fn a_mirror_swaps_left_and_right() {
        let grey = |values: &[u8]| values.iter().flat_map(|it| [*it; 3]).collect::<Vec<_>>();
        for (from, to) in
            [(vec![1, 2, 3, 4], vec![2, 1, 4, 3]), (vec![1, 2, 3, 4, 5, 6], vec![3, 2, 1, 6, 5, 4])]
        {
            let width = from.len() / 2;
            let mirrored = raster(width, 2, 3, &grey(&from)).mirrored();
            assert_eq!(mirrored, raster(width, 2, 3, &grey(&to)));
        }
    }

    #[test]
    fn what_reaches_past_a_picture_is_left_out() {
        let dot = Raster::plain(2, 2, [9, 9, 9]);
        for (left, top, lit) in
            [(0, 0, 4), (-1, -1, 1), (2, 2, 1), (3, 0, 0), (-2, 0, 0), (i64::MIN, i64::MAX, 0)]
        {
            let mut under = Raster::clear(3, 3);
            under.place(&dot, left, top);
            let count = under.pixels.chunks_exact(4).filter(|it| *it == [9, 9, 9, 255]).count();
            assert_eq!(count, lit, "{left},{top}");
        }
        let window = Raster::plain(2, 2, [7; 3]).window(-1, 1, 3, 2);
        let lit: Vec<bool> = window.pixels.chunks_exact(3).map(|it| it == [7; 3]).collect();
        assert_eq!(lit, [false, true, true, false, false, false]);
    }

    #[test]
    fn transparent_pictures_are_mixed_by_how_opaque_both_are() {
        let mut under = raster(3, 1, 4, &[100, 0, 0, 255, 100, 0, 0, 128, 0, 0, 0, 0]);
        under.cover(&raster(3, 1, 4, &[0, 200, 0, 128, 0, 200, 0, 128, 0, 50, 0, 10]));
        // By the definition of "over": 128/255 of the upper, the rest of the lower.
        assert_eq!(under.pixels, [50, 100, 0, 255, 33, 134, 0, 192, 0, 50, 0, 10]);
        assert_eq!(under.opaque().pixels[..3], [50, 100, 0]);
    }

    #[test]
    fn a_huge_picture_is_refused_by_its_header() {
        // A PNG that claims 50,000 x 50,000 pixels and has none.
        let mut bytes = vec![0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 0, 0, 13];
        let mut head = b"IHDR".to_vec();
        head.extend([50_000u32.to_be_bytes(), 50_000u32.to_be_bytes()].concat());
        head.extend([8, 6, 0, 0, 0]);
        bytes.extend(&head);
        bytes.extend(crc32fast::hash(&head).to_be_bytes());
        bytes.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
        assert_eq!(Raster::read(&bytes, 16 << 20).unwrap_err().code, "large-picture");
        for bad in [&b""[..], b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"] {
            assert_eq!(Raster::read(bad, 1 << 20).unwrap_err().code, "not-a-picture");
        }
    }
}
