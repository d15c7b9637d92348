//! Reads the frame number that the demo archive and the reference archive write into every picture.
//!
//! The number is a row of 26 square cells in the top left corner: the first white, the last black, and between
//! them 24 bits, the highest first, white for one. A cell is 16 px wide, 32 px in pictures higher than 720.

/// Cells in the row.
const CELLS: usize = 26;

/// The width of a cell in a picture of this height, in pixels.
pub fn cell(height: usize) -> usize {
    if height > 720 { 32 } else { 16 }
}

/// The number in a plane of luma; `None` where there is no bar code.
pub fn read(luma: &[u8], stride: usize, cell: usize) -> Option<u32> {
    if cell == 0 || stride < CELLS * cell {
        return None;
    }
    let bit = |index: usize| -> Option<bool> {
        luma.get(cell / 2 * stride + index * cell + cell / 2).map(|&value| value >= 128)
    };
    if !bit(0)? || bit(CELLS - 1)? {
        return None;
    }
    (1..CELLS - 1).try_fold(0, |number, index| Some(number << 1 | u32::from(bit(index)?)))
}

/// The number in a PNG; `None` where there is no bar code or no picture.
pub fn read_png(bytes: &[u8]) -> Option<u32> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().ok()?;
    let mut pixels = vec![0; reader.output_buffer_size()?];
    let info = reader.next_frame(&mut pixels).ok()?;
    let (width, height) = (info.width as usize, info.height as usize);
    let samples = info.color_type.samples();
    let colours = if samples >= 3 { 3 } else { 1 };
    let luma: Vec<u8> = pixels[..info.buffer_size()]
        .chunks_exact(samples)
        .map(|pixel| (pixel[..colours].iter().map(|&v| u32::from(v)).sum::<u32>() / colours as u32) as u8)
        .collect();
    read(&luma, width, cell(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(number: u32, width: usize, cell: usize) -> Vec<u8> {
        let mut luma = vec![90; width * cell * 2];
        for index in 0..CELLS {
            let white = index == 0 || (index < CELLS - 1 && number >> (CELLS - 2 - index) & 1 == 1);
            for y in 0..cell {
                for x in 0..cell {
                    luma[y * width + index * cell + x] = if white { 235 } else { 16 };
                }
            }
        }
        luma
    }

    #[test]
    fn a_drawn_number_is_read() {
        for number in [0, 1, 2, 0x00aa_aaaa, 0x0055_5555, 0x00ff_ffff, 21_600] {
            assert_eq!(read(&draw(number, 640, 16), 640, 16), Some(number));
            assert_eq!(read(&draw(number, 1920, 32), 1920, 32), Some(number));
        }
    }

    #[test]
    fn a_picture_without_a_bar_code_has_no_number() {
        assert_eq!(read(&[0; 640 * 16], 640, 16), None, "black: the first cell is not white");
        assert_eq!(read(&[255; 640 * 16], 640, 16), None, "white: the last cell is not black");
        assert_eq!(read(&draw(5, 640, 16)[..640], 640, 16), None, "cut off");
        assert_eq!(read(&draw(5, 640, 16), 400, 16), None, "narrower than the row");
        assert_eq!(read(&[], 0, 0), None);
        assert_eq!(read_png(b"no picture"), None);
    }

    #[test]
    fn a_png_is_read_in_every_colour_type_the_server_writes() {
        let luma = draw(123_456, 640, 16);
        for (colour, samples) in
            [(png::ColorType::Grayscale, 1), (png::ColorType::Rgb, 3), (png::ColorType::Rgba, 4)]
        {
            let mut bytes = Vec::new();
            let mut encoder = png::Encoder::new(&mut bytes, 640, 32);
            encoder.set_color(colour);
            let pixels: Vec<u8> = luma.iter().flat_map(|&v| std::iter::repeat_n(v, samples)).collect();
            let mut writer = encoder.write_header().unwrap();
            writer.write_image_data(&pixels).unwrap();
            drop(writer);
            assert_eq!(read_png(&bytes), Some(123_456), "{colour:?}");
        }
    }
}
