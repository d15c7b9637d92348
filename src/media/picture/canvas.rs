//! A canvas for plotters with an alpha channel, which its own bitmap backend lacks. Opacity adds up.

use plotters_backend::{BackendColor, BackendCoord, DrawingBackend, DrawingErrorKind};
use std::ops::Range;

/// Red, green, blue and opacity, row after row.
pub struct Canvas<'a> {
    pub pixels: &'a mut [u8],
    pub width: usize,
    pub height: usize,
}

impl DrawingBackend for Canvas<'_> {
    type ErrorType = std::convert::Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.width as u32, self.height as u32)
    }

    fn ensure_prepared(&mut self) -> std::result::Result<(), DrawingErrorKind<Self::ErrorType>> {
        Ok(())
    }

    fn present(&mut self) -> std::result::Result<(), DrawingErrorKind<Self::ErrorType>> {
        Ok(())
    }

    fn draw_pixel(
        &mut self,
        (x, y): BackendCoord,
        colour: BackendColor,
    ) -> std::result::Result<(), DrawingErrorKind<Self::ErrorType>> {
        if (0..self.width as i32).contains(&x) && (0..self.height as i32).contains(&y) {
            let [red, green, blue, alpha] = paint(colour);
            let pixel = &mut self.pixels.as_chunks_mut::<4>().0[y as usize * self.width + x as usize];
            *pixel = [red, green, blue, pixel[3].saturating_add(alpha)];
        }
        Ok(())
    }
}

fn paint(colour: BackendColor) -> [u8; 4] {
    let (red, green, blue) = colour.rgb;
    [red, green, blue, (colour.alpha * 255.0).round() as u8]
}

impl Canvas<'_> {
    /// Draws an upright bar in each column, over the rows it is given; none of them leaves `rows`.
    pub fn bars(&mut self, bars: &[Range<usize>], rows: Range<usize>, colour: BackendColor) {
        let [red, green, blue, alpha] = paint(colour);
        if alpha == 0 {
            return;
        }
        let pixels = self.pixels.as_chunks_mut::<4>().0;
        for (y, row) in pixels.chunks_exact_mut(self.width.max(1)).enumerate().take(rows.end).skip(rows.start)
        {
            for (pixel, _) in row.iter_mut().zip(bars).filter(|(_, bar)| bar.contains(&y)) {
                *pixel = [red, green, blue, pixel[3].saturating_add(alpha)];
            }
        }
    }
}
