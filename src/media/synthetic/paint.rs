//! Numbers a program can read and a clock a person can read, painted into the luma of a picture.

use crate::media::ffi::FrameMut;

/// Side of one cell of the bar code, in pixels.
pub const CELL: usize = 16;
/// A white cell, 24 bits from the highest, a black cell.
const CELLS: usize = 26;
const BLACK: u8 = 16;
const WHITE: u8 = 235;
const GREY: u8 = 128;

/// Columns and rows of a glyph, without the space around it.
const GLYPH: (usize, usize) = (5, 7);

/// Rows of five bits from the top, the leftmost the highest: digits, then `-`, `:`, `.`, `T`.
const GLYPHS: [[u8; 7]; 14] = [
    [0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e],
    [0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e],
    [0x0e, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1f],
    [0x1f, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0e],
    [0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02],
    [0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e],
    [0x06, 0x08, 0x10, 0x1e, 0x11, 0x11, 0x0e],
    [0x1f, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08],
    [0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e],
    [0x0e, 0x11, 0x11, 0x0f, 0x01, 0x02, 0x0c],
    [0x00, 0x00, 0x00, 0x1f, 0x00, 0x00, 0x00],
    [0x00, 0x0c, 0x0c, 0x00, 0x0c, 0x0c, 0x00],
    [0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x0c],
    [0x1f, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04],
];

/// The rows of a letter; nothing for one there is not.
pub fn glyph(letter: char) -> [u8; 7] {
    let at = match letter {
        '0'..='9' => letter as usize - '0' as usize,
        '-' => 10,
        ':' => 11,
        '.' => 12,
        'T' => 13,
        _ => return [0; 7],
    };
    GLYPHS[at]
}

/// Fills a rectangle of luma (given as of 8 bits) and takes the colour out of it; what lies outside the picture is left
/// out.
fn fill(frame: &mut FrameMut, x: usize, y: usize, width: usize, height: usize, luma: u8) {
    let (picture_width, picture_height) = (frame.width(), frame.height());
    let (right, bottom) = ((x + width).min(picture_width), (y + height).min(picture_height));
    if x >= right || y >= bottom {
        return;
    }
    let (depth, (across, down)) = (frame.format().depth(), frame.format().chroma_shift());
    let mut rectangle = |plane: usize, (across, down): (u8, u8), value: u8| {
        let (plane, stride) = frame.plane_mut(plane);
        let (left, right) = (x >> across, right.div_ceil(1 << across));
        for row in y >> down..bottom.div_ceil(1 << down) {
            if depth <= 8 {
                plane[row * stride + left..row * stride + right].fill(value);
                continue;
            }
            let value = (u16::from(value) << (depth - 8)).to_le_bytes();
            plane[row * stride + 2 * left..row * stride + 2 * right]
                .chunks_exact_mut(2)
                .for_each(|sample| sample.copy_from_slice(&value));
        }
    };
    rectangle(0, (0, 0), luma);
    rectangle(1, (across, down), GREY);
    rectangle(2, (across, down), GREY);
}

/// Paints `number` as a row of cells in the top left corner.
pub fn number(frame: &mut FrameMut, number: u32) {
    for cell in 0..CELLS {
        let white = match cell {
            0 => true,
            25 => false,
            bit => number >> (24 - bit) & 1 == 1,
        };
        fill(frame, cell * CELL, 0, CELL, CELL, if white { WHITE } else { BLACK });
    }
}

/// Paints `text` (digits, `-`, `:`, `.`, `T`, spaces) in the lower part of the picture, as large as fits.
pub fn clock(frame: &mut FrameMut, text: &str) {
    let letters = text.chars().count();
    let pitch = GLYPH.0 + 1;
    let scale = (frame.width() * 3 / 4 / (letters * pitch).max(1)).max(1);
    let (width, height) = (letters * pitch * scale, GLYPH.1 * scale);
    let (left, top) = (frame.width().saturating_sub(width) / 2, frame.height() * 4 / 5);
    fill(
        frame,
        left.saturating_sub(2 * scale),
        top.saturating_sub(scale),
        width + 3 * scale,
        height + 2 * scale,
        BLACK,
    );
    for (at, letter) in text.chars().enumerate() {
        for (row, bits) in glyph(letter).into_iter().enumerate() {
            for column in (0..GLYPH.0).filter(|column| bits >> (GLYPH.0 - 1 - column) & 1 == 1) {
                let (x, y) = (left + (at * pitch + column) * scale, top + row * scale);
                fill(frame, x, y, scale, scale, WHITE);
            }
        }
    }
}
