//! The picture of a sound: columns become bars, bars become PNG or SVG.

mod axis;
mod png;
mod svg;

pub use png::png;
pub use svg::svg;

use super::peaks::{Column, Columns};
use crate::base::Span;

/// What of a column is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Style {
    /// Mean of |x|, on both sides of the middle: libavfilter's showwavespic.
    Mean,
    /// From the smallest sample to the largest.
    Peak,
    /// Root of the mean square, on both sides of the middle.
    Rms,
}

/// How a level becomes a height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scale {
    Sqrt,
    Lin,
    /// Of the level as a 16-bit number, plus one.
    Log,
    Cbrt,
}

impl Scale {
    /// A level and its height, both 0 to 1.
    fn height(self, level: f64) -> f64 {
        match self {
            Self::Sqrt => level.sqrt(),
            Self::Lin => level,
            Self::Log => (level * 32767.0).ln_1p() / 32767f64.ln_1p(),
            Self::Cbrt => level.cbrt(),
        }
    }
}

/// Which tracks are drawn, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layers {
    /// Each channel over the others, with its share of the opacity.
    Overlay,
    /// The mean of the channels.
    Mix,
    /// The channels one below the other.
    Split,
}

/// Red, green, blue and opacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Colour(pub [u8; 4]);

impl Colour {
    pub const BLACK: Self = Self([0, 0, 0, 255]);
    pub const NONE: Self = Self([0; 4]);

    /// `RGB`, `RGBA`, `RRGGBB` or `RRGGBBAA` in hexadecimal, with or without a `#`, or `transparent`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("transparent") {
            return Some(Self::NONE);
        }
        let digits = text.strip_prefix('#').unwrap_or(text);
        if !digits.bytes().all(|it| it.is_ascii_hexdigit()) {
            return None;
        }
        let value = u32::from_str_radix(digits, 16).ok()?;
        // A short form's digit stands for two of its kind.
        let short = |at: u32| (value >> (4 * at) & 0xf) as u8 * 0x11;
        Some(Self(match digits.len() {
            3 => [short(2), short(1), short(0), 255],
            4 => [short(3), short(2), short(1), short(0)],
            6 => (value << 8 | 0xff).to_be_bytes(),
            8 => value.to_be_bytes(),
            _ => return None,
        }))
    }
}

/// How a picture looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// In pixels.
    pub width: usize,
    pub height: usize,
    pub style: Style,
    pub scale: Scale,
    pub layers: Layers,
    pub colour: Colour,
    pub background: Colour,
    /// With an axis of time below, and holes shaded.
    pub axis: bool,
}

/// Rows the axis takes; a picture with one is at least twice as high.
pub const AXIS_ROWS: usize = 14;

impl Look {
    /// Rows that bars are drawn in.
    fn rows(&self) -> usize {
        self.height.saturating_sub(if self.axis { AXIS_ROWS } else { 0 })
    }

    /// The lanes of the tracks, each with its first row, its rows and its share of the opacity.
    fn lanes(&self, tracks: usize) -> Vec<(usize, usize, f64)> {
        let tracks = tracks.max(1);
        match self.layers {
            Layers::Split => {
                let lane = |at: usize| (at * self.rows() / tracks, (at + 1) * self.rows() / tracks);
                (0..tracks).map(lane).map(|(top, bottom)| (top, bottom - top, 1.0)).collect()
            }
            _ => vec![(0, self.rows(), (255 / tracks) as f64 / 255.0); tracks],
        }
    }
}

/// One column's bar: how far it reaches above and below the middle, in rows.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bar {
    above: f64,
    below: f64,
}

fn bar(column: &Column, look: &Look, rows: usize) -> Option<Bar> {
    let half = rows as f64 / 2.0;
    let level = match look.style {
        Style::Mean => column.mean(),
        Style::Rms => column.rms(),
        Style::Peak => {
            let side = |level: f64| level.signum() * look.scale.height(level.abs()) * half;
            return column.extremes().map(|(min, max)| Bar { above: side(max), below: -side(min) });
        }
    };
    let reach = look.scale.height(level?.min(1.0)) * half;
    Some(Bar { above: reach, below: reach })
}

/// Stretches of columns that nobody has samples of, as the first and the one after the last.
fn holes(columns: &Columns) -> Vec<(usize, usize)> {
    let mut holes: Vec<(usize, usize)> = Vec::new();
    for x in 0..columns.width() {
        if columns.tracks().all(|track| track[x].is_empty()) {
            match holes.last_mut() {
                Some((_, end)) if *end == x => *end += 1,
                _ => holes.push((x, x + 1)),
            }
        }
    }
    holes
}

/// What is drawn: columns, how, and over which time where an axis is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Drawing<'a> {
    pub columns: &'a Columns,
    pub look: &'a Look,
    pub span: Span,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_as_in_style_sheets() {
        for (text, colour) in [
            ("#fff", Some([255; 4])),
            ("1234", Some([0x11, 0x22, 0x33, 0x44])),
            ("#102030", Some([16, 32, 48, 255])),
            ("10203040", Some([16, 32, 48, 64])),
            ("transparent", Some([0; 4])),
            ("", None),
            ("#12", None),
            ("red", None),
            ("+12345", None),
            ("##123", None),
            ("123456789", None),
            ("ä#1", None),
        ] {
            assert_eq!(Colour::parse(text).map(|it| it.0), colour, "{text}");
        }
    }

    #[test]
    fn heights_rise_from_nothing_to_all() {
        for scale in [Scale::Sqrt, Scale::Lin, Scale::Log, Scale::Cbrt] {
            assert_eq!((scale.height(0.0), scale.height(1.0)), (0.0, 1.0), "{scale:?}");
            assert!(scale.height(0.3) < scale.height(0.4));
        }
    }
}
