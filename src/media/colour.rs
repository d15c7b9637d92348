//! Which matrix and range a picture's YUV has, and its planes as JPEG wants them. Pure arithmetic.

use super::ffi::{Frame, PixelFormat};

/// The matrix and range of a picture's samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Colour {
    /// Matrix code point of ISO/IEC 23091-2 §8.3.
    pub matrix: i32,
    pub full_range: bool,
}

const BT709: i32 = 1;
const FCC: i32 = 4;
const BT470BG: i32 = 5;
const SMPTE170M: i32 = 6;
const SMPTE240M: i32 = 7;
const BT2020_NON_CONSTANT: i32 = 9;
const BT2020_CONSTANT: i32 = 10;

impl Colour {
    /// What the stream says, or where it says nothing what its size implies: standard definition was made for BT.601,
    /// everything taller than 576 lines for BT.709.
    pub fn of(frame: &Frame) -> Self {
        let (range, _, _, matrix) = frame.colour();
        let known = [BT709, FCC, BT470BG, SMPTE170M, SMPTE240M, BT2020_NON_CONSTANT, BT2020_CONSTANT];
        let matrix = if known.contains(&matrix) {
            matrix
        } else if frame.height() > 576 {
            BT709
        } else {
            SMPTE170M
        };
        Self { matrix, full_range: range == 2 || frame.format() == PixelFormat::YUVJ420P }
    }

    /// Weights of red and blue in luma.
    fn weights(self) -> (f64, f64) {
        match self.matrix {
            BT709 => (0.2126, 0.0722),
            FCC => (0.30, 0.11),
            SMPTE240M => (0.212, 0.087),
            BT2020_NON_CONSTANT | BT2020_CONSTANT => (0.2627, 0.0593),
            _ => (0.299, 0.114),
        }
    }

    pub fn matrix_for_rgb(self) -> yuv::YuvStandardMatrix {
        let (red, blue) = self.weights();
        yuv::YuvStandardMatrix::Custom(red as f32, blue as f32)
    }

    pub fn range_for_rgb(self) -> yuv::YuvRange {
        if self.full_range { yuv::YuvRange::Full } else { yuv::YuvRange::Limited }
    }
}

/// From 8-bit YUV of limited range to RGB, in parts of a level.
pub struct LimitedToRgb {
    luma: i32,
    red: i32,
    green: [i32; 2],
    blue: i32,
}

impl LimitedToRgb {
    /// Luma of black.
    pub const BLACK: u8 = 16;
    const BITS: u32 = 16;

    pub fn new(colour: Colour) -> Self {
        let (red, blue) = colour.weights();
        let fixed = |value: f64| (value * 255.0 * f64::from(1 << Self::BITS)).round() as i32;
        let (of_red, of_blue) = (2.0 * (1.0 - red) / 224.0, 2.0 * (1.0 - blue) / 224.0);
        let green = 1.0 - red - blue;
        Self {
            luma: fixed(1.0 / 219.0),
            red: fixed(of_red),
            green: [fixed(-of_blue * blue / green), fixed(-of_red * red / green)],
            blue: fixed(of_blue),
        }
    }

    pub fn pixel(&self, luma: u8, blue: u8, red: u8) -> [u8; 3] {
        let luma = (i32::from(luma) - i32::from(Self::BLACK)) * self.luma + (1 << (Self::BITS - 1));
        let [blue, red] = [blue, red].map(|it| i32::from(it) - 128);
        let sums = [red * self.red, blue * self.green[0] + red * self.green[1], blue * self.blue];
        sums.map(|it| ((luma + it) >> Self::BITS).clamp(0, 255) as u8)
    }
}

/// Bits that samples and coefficients are moved up by so that the upper half of a 16-bit product, which every processor
/// has for eight samples at once, is in [`UNITS`] of a level.
const LUMA_UP: u32 = 6;
const LUMA_COEFFICIENT: u32 = 14;
const CHROMA_UP: u32 = 7;
const CHROMA_COEFFICIENT: u32 = 13;

/// What is summed, in parts of a level, as a power of two.
const UNITS: u32 = 4;

/// Half a level, so that what is cut off is rounded, and half a unit for each of the two products cut off before.
const HALF: i16 = (1 << (UNITS - 1)) + 1;

/// Coefficients from a source's YUV to JFIF's, which is BT.601 with full range (ITU-T T.871 §7).
struct ToJfif {
    luma: i16,
    luma_of_chroma: [i16; 2],
    blue: [i16; 2],
    red: [i16; 2],
    luma_offset: i16,
}

impl ToJfif {
    fn new(colour: Colour) -> Self {
        let (kr, kb) = colour.weights();
        let kg = 1.0 - kr - kb;
        // Rows: R, G, B from (Y, Cb, Cr) of the source, all as fractions of full scale.
        let rgb = [
            [1.0, 0.0, 2.0 * (1.0 - kr)],
            [1.0, -2.0 * kb * (1.0 - kb) / kg, -2.0 * kr * (1.0 - kr) / kg],
            [1.0, 2.0 * (1.0 - kb), 0.0],
        ];
        let (red, green, blue) = (0.299, 0.587, 0.114);
        let mut matrix = [[0.0; 3]; 3];
        for column in 0..3 {
            let [r, g, b] = [rgb[0][column], rgb[1][column], rgb[2][column]];
            let luma = red * r + green * g + blue * b;
            matrix[0][column] = luma;
            matrix[1][column] = (b - luma) / (2.0 * (1.0 - blue));
            matrix[2][column] = (r - luma) / (2.0 * (1.0 - red));
        }
        let (luma_scale, chroma_scale) =
            if colour.full_range { (1.0, 1.0) } else { (255.0 / 219.0, 255.0 / 224.0) };
        // None is as large as 2, so all of them fit.
        let fixed = |value: f64, bits: u32| (value * f64::from(1 << bits)).round() as i16;
        let chroma = |value: f64| fixed(value * chroma_scale, CHROMA_COEFFICIENT);
        Self {
            luma: fixed(matrix[0][0] * luma_scale, LUMA_COEFFICIENT),
            luma_of_chroma: [chroma(matrix[0][1]), chroma(matrix[0][2])],
            blue: [chroma(matrix[1][1]), chroma(matrix[1][2])],
            red: [chroma(matrix[2][1]), chroma(matrix[2][2])],
            luma_offset: if colour.full_range { 0 } else { 16 },
        }
    }
}

/// The upper half of a product.
fn upper(a: i16, b: i16) -> i16 {
    ((i32::from(a) * i32::from(b)) >> 16) as i16
}

fn clamp(units: i16) -> u8 {
    (units >> UNITS).clamp(0, 255) as u8
}

/// A plane and its row stride in bytes.
type Plane<'a> = (&'a [u8], usize);

/// Converts 8-bit 4:2:0 planes of `colour` to JFIF's colours: three planes with even sizes, back to back without padding,
/// as libjpeg-turbo takes them. An odd last row or column is repeated.
pub fn to_jfif(planes: [Plane<'_>; 3], width: usize, height: usize, colour: Colour) -> Vec<u8> {
    let to = ToJfif::new(colour);
    let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
    let (full_width, full_height) = (chroma_width * 2, chroma_height * 2);
    let mut bytes = vec![0u8; full_width * full_height + 2 * chroma_width * chroma_height];
    let (luma, chroma) = bytes.split_at_mut(full_width * full_height);
    let (blue, red) = chroma.split_at_mut(chroma_width * chroma_height);
    let row = |plane: usize, at: usize, length: usize| &planes[plane].0[at * planes[plane].1..][..length];

    // The luma correction of one chroma row, widened to luma columns, serves two luma rows.
    let mut correction = vec![[0i16; 2]; chroma_width];
    for chroma_row in 0..chroma_height {
        let (source_blue, source_red) = (row(1, chroma_row, chroma_width), row(2, chroma_row, chroma_width));
        let target_blue = &mut blue[chroma_row * chroma_width..][..chroma_width];
        let target_red = &mut red[chroma_row * chroma_width..][..chroma_width];
        let sources = source_blue.iter().zip(source_red);
        let targets = target_blue.iter_mut().zip(target_red).zip(&mut correction);
        for ((blue, red), ((to_blue, to_red), add)) in sources.zip(targets) {
            let cb = (i16::from(*blue) - 128) << CHROMA_UP;
            let cr = (i16::from(*red) - 128) << CHROMA_UP;
            *to_blue = clamp(upper(cb, to.blue[0]) + upper(cr, to.blue[1]) + (128 << UNITS) + HALF);
            *to_red = clamp(upper(cb, to.red[0]) + upper(cr, to.red[1]) + (128 << UNITS) + HALF);
            *add = [upper(cb, to.luma_of_chroma[0]) + upper(cr, to.luma_of_chroma[1]) + HALF; 2];
        }
        let correction = correction.as_flattened();
        for luma_row in [2 * chroma_row, 2 * chroma_row + 1] {
            let source = row(0, luma_row.min(height - 1), width);
            let target = &mut luma[luma_row * full_width..][..full_width];
            for ((out, y), add) in target.iter_mut().zip(source).zip(correction) {
                *out = clamp(upper((i16::from(*y) - to.luma_offset) << LUMA_UP, to.luma) + add);
            }
            if full_width > width {
                target[width] = target[width - 1];
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RGB to YUV by the definition, in floating point.
    fn from_rgb(rgb: [f64; 3], colour: Colour) -> [u8; 3] {
        let (kr, kb) = colour.weights();
        let luma = kr * rgb[0] + (1.0 - kr - kb) * rgb[1] + kb * rgb[2];
        let (cb, cr) = ((rgb[2] - luma) / (2.0 * (1.0 - kb)), (rgb[0] - luma) / (2.0 * (1.0 - kr)));
        let (scale, offset, chroma) =
            if colour.full_range { (1.0, 0.0, 1.0) } else { (219.0 / 255.0, 16.0, 224.0 / 255.0) };
        [luma * scale + offset, cb * chroma + 128.0, cr * chroma + 128.0].map(|it| it.round() as u8)
    }

    #[test]
    fn every_matrix_arrives_at_bt601_full_range() {
        let jfif = Colour { matrix: SMPTE170M, full_range: true };
        for matrix in [BT709, FCC, BT470BG, SMPTE170M, SMPTE240M, BT2020_NON_CONSTANT] {
            for full_range in [false, true] {
                let colour = Colour { matrix, full_range };
                for rgb in [
                    [200.0, 40.0, 40.0],
                    [16.0, 235.0, 80.0],
                    [0.0, 0.0, 255.0],
                    [128.0; 3],
                    [255.0; 3],
                    [0.0; 3],
                ] {
                    let [y, u, v] = from_rgb(rgb, colour);
                    let out = to_jfif([(&[y; 4], 2), (&[u], 1), (&[v], 1)], 2, 2, colour);
                    let expected = from_rgb(rgb, jfif);
                    for (got, want) in [(out[0], expected[0]), (out[4], expected[1]), (out[5], expected[2])] {
                        assert!(got.abs_diff(want) <= 2, "{matrix} {full_range} {rgb:?}: {got} for {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn odd_sizes_are_padded_by_repeating() {
        let colour = Colour { matrix: SMPTE170M, full_range: true };
        let luma = [10, 20, 30, 40, 50, 60, 70, 80, 90];
        let out = to_jfif([(&luma, 3), (&[128; 4], 2), (&[128; 4], 2)], 3, 3, colour);
        assert_eq!(out.len(), 4 * 4 + 2 * 2 * 2);
        assert_eq!(&out[..16], &[10, 20, 30, 30, 40, 50, 60, 60, 70, 80, 90, 90, 70, 80, 90, 90]);
    }
}
