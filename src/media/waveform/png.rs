//! A waveform as PNG.

use super::{AXIS_ROWS, Colour, Drawing, Look, Style, axis, bar, holes};
use crate::base::{Error, Result};
use crate::media::picture::{Canvas, png_rgba};
use crate::media::synthetic::glyph;
use plotters::coord::Shift;
use plotters::prelude::{Color, DrawingArea, IntoDrawingArea, PathElement, RGBAColor, Rectangle};

/// Opacity of a hole's shade, beside the bars'.
const SHADE: f64 = 0.2;

/// Draws columns. With [`Style::Mean`], a square root, black on nothing and channels over each other, it is the picture of
/// libavfilter's showwavespic.
pub fn png(drawing: &Drawing<'_>) -> Result<Vec<u8>> {
    let look = drawing.look;
    let mut pixels = vec![0; look.width * look.height * 4];
    {
        let mut canvas = Canvas { pixels: &mut pixels, width: look.width, height: look.height };
        draw_bars(&mut canvas, drawing);
        let area = canvas.into_drawing_area();
        let axis = if look.axis { draw_axis(&area, drawing) } else { Ok(()) };
        let drawn = axis.and_then(|()| area.present());
        drawn.map_err(|it| Error::internal("a waveform could not be drawn").with_cause(it))?;
    }
    if look.background != Colour::NONE {
        lay_over(&mut pixels, look.background);
    }
    png_rgba(&pixels, look.width, look.height)
}

type Area<'a> = DrawingArea<Canvas<'a>, Shift>;
type Drawn = std::result::Result<(), plotters::drawing::DrawingAreaErrorKind<std::convert::Infallible>>;

fn shade(colour: Colour, share: f64) -> RGBAColor {
    let [red, green, blue, alpha] = colour.0;
    // In whole 255ths, so that what adds up does not depend on how it is rounded.
    RGBAColor(red, green, blue, (f64::from(alpha) * share).round() / 255.0)
}

/// Row after row: down the columns of a wide picture, each pixel would be in another part of memory.
fn draw_bars(canvas: &mut Canvas<'_>, drawing: &Drawing<'_>) {
    let Drawing { columns, look, .. } = *drawing;
    for (track, (first, rows, share)) in columns.tracks().zip(look.lanes(columns.tracks().len())) {
        let colour = shade(look.colour, share);
        let bars = track.iter().map(|column| {
            let rows = bar(column, look, rows).and_then(|it| rows_of(it, look, rows));
            let row = |row: i32| first + usize::try_from(row).unwrap_or(0);
            rows.map_or(0..0, |(top, bottom)| row(top)..row(bottom + 1))
        });
        canvas.bars(&bars.collect::<Vec<_>>(), first..first + rows, colour.to_backend_color());
    }
}

/// The first and the last row of a bar within its lane.
fn rows_of(bar: super::Bar, look: &Look, rows: usize) -> Option<(i32, i32)> {
    let rows = rows as i32;
    if look.style == Style::Peak {
        let middle = f64::from(rows) / 2.0;
        let top = ((middle - bar.above).floor() as i32).clamp(0, rows - 1);
        let bottom = ((middle + bar.below).ceil() as i32 - 1).clamp(top, rows - 1);
        return (rows > 0).then_some((top, bottom));
    }
    let rise = (bar.above + bar.below) as i32;
    let top = (rows - rise) / 2;
    (rise > 0).then_some((top, top + rise - 1))
}

fn draw_axis(area: &Area<'_>, drawing: &Drawing<'_>) -> Drawn {
    let look = drawing.look;
    let (line, colour) = (look.rows() as i32, shade(look.colour, 1.0));
    for (from, to) in holes(drawing.columns) {
        let style = shade(look.colour, SHADE).filled();
        area.draw(&Rectangle::new([(from as i32, 0), (to as i32 - 1, line - 1)], style))?;
    }
    area.draw(&PathElement::new(vec![(0, line), (look.width as i32 - 1, line)], colour))?;
    for mark in axis::marks(drawing.span, look.width) {
        let x = mark.x as i32;
        area.draw(&PathElement::new(vec![(x, line + 1), (x, line + 3)], colour))?;
        for (at, letter) in mark.label.chars().enumerate() {
            let left = x + 3 + (at * axis::LETTER) as i32;
            for (row, bits) in glyph(letter).into_iter().enumerate() {
                for column in (0..5).filter(|column| bits >> (4 - column) & 1 == 1) {
                    let y = line + (AXIS_ROWS - 9 + row) as i32;
                    area.draw_pixel((left + column, y), &colour)?;
                }
            }
        }
    }
    Ok(())
}

/// Lays what was drawn over a background.
fn lay_over(pixels: &mut [u8], background: Colour) {
    for pixel in pixels.chunks_exact_mut(4) {
        let (over, under) = (f64::from(pixel[3]) / 255.0, f64::from(background.0[3]) / 255.0);
        let alpha = over + under * (1.0 - over);
        for (own, below) in pixel[..3].iter_mut().zip(background.0) {
            let mixed = f64::from(*own) * over + f64::from(below) * under * (1.0 - over);
            *own = if alpha > 0.0 { (mixed / alpha).round() as u8 } else { 0 };
        }
        pixel[3] = (alpha * 255.0).round() as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Span, Timestamp};
    use crate::media::peaks::{Columns, Track};
    use crate::media::waveform::{Layers, Scale};

    fn look(width: usize, height: usize) -> Look {
        Look {
            width,
            height,
            style: Style::Mean,
            scale: Scale::Sqrt,
            layers: Layers::Overlay,
            colour: Colour::BLACK,
            background: Colour::NONE,
            axis: false,
        }
    }

    /// Left: a quarter of full scale in both directions in the first column alone; right: nothing but zeros.
    fn columns() -> Columns {
        let mut columns = Columns::new(1000, 0, 8, 2, &[Track::Channel(0), Track::Channel(1)]);
        columns.add_samples(0, 1000, &[vec![8192, -8192, 8192, 8192], vec![0; 4]]);
        columns
    }

    fn drawn(look: &Look) -> image::RgbaImage {
        let span = Span::new(Timestamp::from_micros(0), Timestamp::from_micros(8_000_000));
        let bytes = png(&Drawing { columns: &columns(), look, span }).unwrap();
        image::load_from_memory(&bytes).unwrap().to_rgba8()
    }

    fn alpha(image: &image::RgbaImage, x: u32) -> Vec<u8> {
        (0..image.height()).map(|y| image.get_pixel(x, y).0[3]).collect()
    }

    #[test]
    fn a_column_rises_by_the_square_root_on_both_sides_of_the_middle() {
        let image = drawn(&look(2, 16));
        // The mean is a quarter, its root a half: the middle 8 of 16 rows, with one channel of two.
        assert_eq!(alpha(&image, 0), [[0; 4], [127; 4], [127; 4], [0; 4]].concat());
        assert_eq!(alpha(&image, 1), [0; 16]);
    }

    #[test]
    fn peaks_are_drawn_where_they_are_and_channels_below_each_other() {
        let image =
            drawn(&Look { style: Style::Peak, scale: Scale::Lin, layers: Layers::Split, ..look(2, 32) });
        // The upper lane has 16 rows: a quarter of eight above and below its middle; silence is a line.
        let upper = [vec![0; 6], vec![255; 4], vec![0; 6]].concat();
        let lower = [vec![0; 8], vec![255; 1], vec![0; 7]].concat();
        assert_eq!(alpha(&image, 0), [upper, lower].concat());
        assert_eq!(alpha(&image, 1), [0; 32], "a hole is no silence");
    }

    #[test]
    fn colours_are_laid_over_the_background() {
        let colour = Colour([255, 0, 0, 128]);
        let image = drawn(&Look { colour, background: Colour([0, 0, 255, 255]), ..look(2, 16) });
        assert_eq!(image.get_pixel(0, 0).0, [0, 0, 255, 255]);
        // Half of half the opacity: one of two channels.
        assert_eq!(image.get_pixel(0, 8).0, [64, 0, 191, 255]);
    }

    #[test]
    fn an_axis_has_marks_and_shades_holes() {
        let image = drawn(&Look { axis: true, width: 2, ..look(2, 40) });
        assert_eq!(alpha(&image, 1)[..26], [51; 26], "the hole");
        assert_eq!(alpha(&image, 0)[26], 255, "the line");
    }
}
