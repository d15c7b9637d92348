//! A canvas for plotters with an alpha channel, which its own bitmap backend lacks. Opacity adds up.

use plotters_backend::{BackendColor, BackendCoord, BackendStyle, DrawingBackend, DrawingErrorKind};

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
            let paint = paint(colour);
            self.lay(x as usize, y as usize, paint);
        }
        Ok(())
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> std::result::Result<(), DrawingErrorKind<Self::ErrorType>> {
        // The bars of a waveform, of which one picture has thousands.
        if from.0 != to.0 || style.stroke_width() != 1 || style.color().alpha == 0.0 {
            return plotters_backend::rasterizer::draw_line(self, from, to, style);
        }
        let (paint, last) = (paint(style.color()), self.height as i32 - 1);
        if (0..self.width as i32).contains(&from.0) {
            for y in from.1.min(to.1).max(0)..=from.1.max(to.1).min(last) {
                self.lay(from.0 as usize, y as usize, paint);
            }
        }
        Ok(())
    }
}

fn paint(colour: BackendColor) -> [u8; 4] {
    let (red, green, blue) = colour.rgb;
    [red, green, blue, (colour.alpha * 255.0).round() as u8]
}

impl Canvas<'_> {
    /// Lays a colour on a pixel of the picture.
    fn lay(&mut self, x: usize, y: usize, [red, green, blue, alpha]: [u8; 4]) {
        let pixel = &mut self.pixels.as_chunks_mut::<4>().0[y * self.width + x];
        *pixel = [red, green, blue, pixel[3].saturating_add(alpha)];
    }
}
