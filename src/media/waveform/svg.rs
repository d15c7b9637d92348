//! A waveform as SVG 1.1.

use super::{Colour, Drawing, Style, axis, bar, holes};
use std::fmt::Write as _;

/// `fill` attributes of a colour, with a share of its opacity.
fn fill(colour: Colour, share: f64) -> String {
    let [red, green, blue, alpha] = colour.0;
    let opacity = f64::from(alpha) / 255.0 * share;
    let seen = if opacity < 1.0 { format!(" fill-opacity=\"{opacity:.3}\"") } else { String::new() };
    format!("fill=\"#{red:02x}{green:02x}{blue:02x}\"{seen}")
}

/// Draws columns: a bar each, not rounded to rows.
pub fn svg(drawing: &Drawing<'_>) -> String {
    let Drawing { columns, look, span } = *drawing;
    let (width, height) = (look.width, look.height);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n"
    );
    // Writing to a string does not fail.
    if look.background != Colour::NONE {
        let _ = writeln!(out, "<rect width=\"{width}\" height=\"{height}\" {}/>", fill(look.background, 1.0));
    }
    for (track, (first, rows, share)) in columns.tracks().zip(look.lanes(columns.tracks().len())) {
        let middle = first as f64 + rows as f64 / 2.0;
        let _ = write!(out, "<path {} d=\"", fill(look.colour, share));
        for (x, column) in track.iter().enumerate() {
            let Some(bar) = bar(column, look, rows) else { continue };
            // Peaks are told from holes by a hair; the other styles show nothing for silence, as in PNG.
            let least = if look.style == Style::Peak { 0.5 } else { 0.0 };
            let rise = (bar.above + bar.below).max(least);
            if rise >= 0.05 {
                let _ = write!(out, "M{x} {:.1}h1v{rise:.1}h-1z", middle - bar.above);
            }
        }
        out.push_str("\"/>\n");
    }
    if look.axis {
        let line = look.rows();
        for (from, to) in holes(columns) {
            let _ = writeln!(
                out,
                "<rect x=\"{from}\" width=\"{}\" height=\"{line}\" {}/>",
                to - from,
                fill(look.colour, 0.2)
            );
        }
        let paint = fill(look.colour, 1.0);
        let _ = writeln!(out, "<rect y=\"{line}\" width=\"{width}\" height=\"1\" {paint}/>");
        let _ = writeln!(out, "<g font-family=\"monospace\" font-size=\"10\" {paint}>");
        for mark in axis::marks(span, width) {
            let _ = writeln!(
                out,
                "<rect x=\"{:.1}\" y=\"{line}\" width=\"1\" height=\"4\"/><text x=\"{:.1}\" y=\"{}\">{}</text>",
                mark.x,
                mark.x + 3.0,
                height - 2,
                mark.label
            );
        }
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Span, Timestamp};
    use crate::media::peaks::{Columns, Track};
    use crate::media::waveform::{Layers, Look, Scale};

    #[test]
    fn bars_stand_where_they_do_in_png() {
        let mut columns = Columns::new(1000, 0, 8, 2, &[Track::Mix]);
        columns.add_samples(0, 1000, &[vec![8192, -8192, 8192, 8192]]);
        let look = Look {
            width: 2,
            height: 30,
            style: Style::Mean,
            scale: Scale::Sqrt,
            layers: Layers::Mix,
            colour: Colour([255, 0, 0, 128]),
            background: Colour([0, 0, 0, 255]),
            axis: true,
        };
        let span = Span::new(Timestamp::from_micros(0), Timestamp::from_micros(8_000));
        let text = svg(&Drawing { columns: &columns, look: &look, span });
        assert!(
            text.contains("<path fill=\"#ff0000\" fill-opacity=\"0.502\" d=\"M0 4.0h1v8.0h-1z\"/>"),
            "{text}"
        );
        assert!(text.contains("<rect width=\"2\" height=\"30\" fill=\"#000000\"/>"), "{text}");
        assert!(text.contains("<rect x=\"1\" width=\"1\" height=\"16\""), "the hole: {text}");
    }
}
