//! A chart of columns, each made of bars one above the other, with labels below.

use super::{Canvas, fault, png_rgba};
use crate::base::Result;
use crate::media::synthetic::glyph;
use plotters::prelude::{Color, IntoDrawingArea, PathElement, RGBAColor, RGBColor, Rectangle};

/// Rows below the columns, for the labels.
const LABELS: usize = 12;
/// Columns of one letter, and those left free between two labels.
const LETTER: usize = 6;
const APART: usize = 8;
/// Of labels and of the lines above them: seen on white and on black.
const GREY: RGBAColor = RGBAColor(128, 134, 144, 1.0);

/// A part of a column.
pub struct Bar {
    pub column: usize,
    /// Shares of the column, from its top.
    pub from: f64,
    pub to: f64,
    pub colour: [u8; 3],
}

pub struct Chart {
    pub columns: usize,
    /// Pixels from one to the next.
    pub column: usize,
    pub height: usize,
    /// What stands below the column of a number.
    pub labels: Vec<(usize, String)>,
}

impl Chart {
    /// Draws the bars, each over those before; none is lower than a pixel.
    pub fn png(&self, bars: impl Iterator<Item = Bar>) -> Result<Vec<u8>> {
        let (width, rows) = (self.columns * self.column, self.height.saturating_sub(LABELS));
        let mut pixels = vec![0; width * self.height * 4];
        {
            let canvas = Canvas { pixels: &mut pixels, width, height: self.height };
            let area = canvas.into_drawing_area();
            // A gap between columns where there is room for it.
            let gap = i32::from(self.column > 3);
            for bar in bars {
                let left = (bar.column * self.column) as i32;
                let row = |share: f64| (share * rows as f64).round() as i32;
                let (top, bottom) = (row(bar.from).min(rows as i32 - 1), row(bar.to));
                let [red, green, blue] = bar.colour;
                let right = left + self.column as i32 - 1 - gap;
                let corners = [(left, top), (right.max(left), (bottom - 1).max(top))];
                area.draw(&Rectangle::new(corners, RGBColor(red, green, blue).filled())).map_err(fault)?;
            }
            let mut free = 0;
            for (column, label) in &self.labels {
                let left = column * self.column;
                let line = vec![(left as i32, rows as i32), (left as i32, rows as i32 + 2)];
                area.draw(&PathElement::new(line, GREY)).map_err(fault)?;
                if left < free || left + label.len() * LETTER > width {
                    continue;
                }
                free = left + label.len() * LETTER + APART;
                for (at, letter) in label.chars().enumerate() {
                    for (row, bits) in glyph(letter).into_iter().enumerate() {
                        for dot in (0..5).filter(|dot| bits >> (4 - dot) & 1 == 1) {
                            let x = (left + 2 + at * LETTER + dot) as i32;
                            let y = (rows + LABELS - 8 + row) as i32;
                            area.draw_pixel((x, y), &GREY).map_err(fault)?;
                        }
                    }
                }
            }
        }
        png_rgba(&pixels, width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_bars_lie_over_earlier_ones_and_none_is_too_low_to_see() {
        let chart = Chart { columns: 2, column: 1, height: LABELS + 10, labels: vec![(0, "01-02".into())] };
        let bar = |from, to, shade| Bar { column: 1, from, to, colour: [shade; 3] };
        let bytes = chart.png([bar(0.0, 1.0, 200), bar(0.5, 0.501, 10)].into_iter()).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap().to_rgba8();
        assert_eq!(picture.dimensions(), (2, 22));
        let column: Vec<u8> = (0..10).map(|y| picture.get_pixel(1, y).0[0]).collect();
        assert_eq!(column, [200, 200, 200, 200, 200, 10, 200, 200, 200, 200]);
        assert_eq!(picture.get_pixel(0, 5).0, [0; 4], "nothing is known of the other column");
    }
}
