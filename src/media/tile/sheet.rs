//! Tiles laid out on one picture.

use super::{Kept, MAX_SIDE};
use crate::base::{Error, Result};
use crate::media::picture::Raster;
use crate::media::synthetic::glyph;

/// What lies between and around tiles.
const GROUND: [u8; 3] = [24, 24, 24];
/// The stripes of a tile nothing is known of: nobody takes them for a picture.
const STRIPE: [u8; 3] = [56, 56, 56];
/// Their distance, in pixels.
const STRIPES: usize = 12;
const LETTERS: [u8; 3] = [230, 230, 230];

/// Pixels of a letter's box at size 1, and the rows of its glyph.
const LETTER: usize = 6;
const GLYPH: usize = 7;

/// A sheet of tiles in rows.
pub struct Sheet {
    cell: (usize, usize),
    columns: usize,
    /// Rows of pixels below each tile, for a line of text.
    caption: usize,
    raster: Raster,
}

impl Sheet {
    /// An empty sheet of `columns` × `rows` cells; below each cell there is room for a line of text of `text` times the
    /// smallest letters, or none with 0.
    pub fn new(cell: (usize, usize), columns: usize, rows: usize, text: usize) -> Self {
        let caption = if text == 0 { 0 } else { (GLYPH + 4) * text };
        let (width, height) = (cell.0 * columns, (cell.1 + caption) * rows);
        Self { cell, columns, caption, raster: Raster::plain(width, height, GROUND) }
    }

    /// What was drawn so far.
    pub fn raster(&self) -> &Raster {
        &self.raster
    }

    fn corner(&self, number: usize) -> (usize, usize) {
        (number % self.columns * self.cell.0, number / self.columns * (self.cell.1 + self.caption))
    }

    /// Draws a tile into the middle of cell `number`.
    ///
    /// # Errors
    /// [`crate::base::Kind::Damaged`] where it is no JPEG of the size it claims, or larger than a cell.
    pub fn draw(&mut self, number: usize, tile: &Kept<'_>) -> Result<()> {
        let damaged =
            |fault: turbojpeg::Error| Error::damaged("a kept tile cannot be read").with_cause(fault);
        let mut decompressor = turbojpeg::Decompressor::new().map_err(damaged)?;
        let header = decompressor.read_header(tile.jpeg).map_err(damaged)?;
        let claimed = (tile.width, tile.height);
        let fits = tile.width <= self.cell.0.min(MAX_SIDE) && tile.height <= self.cell.1.min(MAX_SIDE);
        if (header.width, header.height) != claimed || !fits {
            return Err(Error::damaged("a kept tile has another size"));
        }
        let mut pixels = vec![0; tile.width * tile.height * 3];
        let image = turbojpeg::Image {
            pixels: &mut pixels[..],
            width: tile.width,
            pitch: tile.width * 3,
            height: tile.height,
            format: turbojpeg::PixelFormat::RGB,
        };
        decompressor.decompress(tile.jpeg, image).map_err(damaged)?;
        let (left, top) = self.corner(number);
        let (left, top) = (left + (self.cell.0 - tile.width) / 2, top + (self.cell.1 - tile.height) / 2);
        let picture = Raster::of_rgb(tile.width, tile.height, pixels);
        self.raster.place(&picture, left as i64, top as i64);
        Ok(())
    }

    /// Marks cell `number` as one of which there is no picture.
    pub fn mark(&mut self, number: usize) {
        let (left, top) = self.corner(number);
        for y in 0..self.cell.1 {
            for x in 0..self.cell.0 {
                if (x + y) % STRIPES < STRIPES / 3 {
                    self.raster.dot(left + x, top + y, STRIPE);
                }
            }
        }
    }

    /// Writes a line of text below cell `number`, in the middle.
    pub fn write(&mut self, number: usize, text: &str) {
        let size = self.caption / (GLYPH + 4);
        let (left, top) = self.corner(number);
        let length = text.chars().count() * LETTER * size;
        let left = left + self.cell.0.saturating_sub(length) / 2;
        let top = top + self.cell.1 + 2 * size;
        for (place, letter) in text.chars().enumerate() {
            for (row, bits) in glyph(letter).into_iter().enumerate() {
                for column in (0..5).filter(|column| bits >> (4 - column) & 1 == 1) {
                    for (y, x) in (0..size).flat_map(|y| (0..size).map(move |x| (y, x))) {
                        let (x, y) = (left + (place * LETTER + column) * size + x, top + row * size + y);
                        self.raster.dot(x, y, LETTERS);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::picture::PictureFormat;

    fn pixel(sheet: &Sheet, x: usize, y: usize) -> [u8; 3] {
        let raster = sheet.raster();
        *raster.pixels()[(y * raster.width + x) * 3..].first_chunk().unwrap()
    }

    fn size(sheet: &Sheet) -> (usize, usize) {
        (sheet.raster().width, sheet.raster().height)
    }

    #[test]
    fn tiles_lie_in_the_middle_of_their_cells() {
        let red = [200, 30, 30];
        let jpeg = Raster::plain(32, 16, red).encode(PictureFormat::Jpeg(95)).unwrap();
        let tile = Kept { at: 0, width: 32, height: 16, jpeg: &jpeg };
        let mut sheet = Sheet::new((32, 32), 2, 2, 0);
        assert_eq!(size(&sheet), (64, 64));
        sheet.draw(3, &tile).unwrap();
        sheet.mark(0);
        for (at, colour) in
            [((48, 48), red), ((48, 35), GROUND), ((48, 16), GROUND), ((0, 0), STRIPE), ((6, 0), GROUND)]
        {
            let got = pixel(&sheet, at.0, at.1);
            assert!(got.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 6), "{at:?}: {got:?}");
        }
        let other = Kept { width: 16, ..tile };
        assert!(sheet.draw(1, &other).is_err());
        assert!(Sheet::new((16, 16), 1, 1, 0).draw(0, &tile).is_err(), "larger than its cell");
        assert!(sheet.draw(1, &Kept { jpeg: b"no jpeg", ..tile }).is_err());
    }

    #[test]
    fn text_stands_below() {
        let mut sheet = Sheet::new((40, 10), 1, 1, 1);
        assert_eq!(size(&sheet), (40, 21));
        sheet.write(0, "1:1");
        let lit = (0..21 * 40).filter(|it| pixel(&sheet, it % 40, it / 40) == LETTERS).map(|it| it / 40);
        let rows: Vec<usize> = lit.collect();
        assert!(rows.len() > 10 && rows.iter().all(|it| (12..19).contains(it)), "{rows:?}");
    }
}
