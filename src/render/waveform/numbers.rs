//! Pixels as the files that players read.

use super::wish::Form;
use crate::media::peaks::Extremes;
use crate::media::peaks::audiowaveform::{Head, dat, json};
use std::fmt::Write as _;
use std::ops::Range;

/// One number for a pixel: how far it reaches to either side, 0 to 1.
fn reach([min, max]: [i16; 2]) -> f32 {
    i32::from(min).abs().max(i32::from(max).abs()) as f32 / 32768.0
}

/// The file in a form. `seconds` is how long its pixels last.
pub fn write(form: Form, rate: u32, samples_per_pixel: u32, seconds: f64, tracks: &[&Extremes]) -> Vec<u8> {
    let head = |bits| Head { rate, samples_per_pixel, bits };
    match form {
        Form::Dat(bits) => dat(head(bits), tracks),
        Form::Json(bits) => json(head(bits), tracks),
        Form::F32 => floats(tracks),
        Form::Wavesurfer => {
            wavesurfer(f64::from(samples_per_pixel) / f64::from(rate.max(1)), seconds, tracks)
        }
    }
}

/// 32-bit floats, little endian, channel after channel; NaN in a hole.
fn floats(tracks: &[&Extremes]) -> Vec<u8> {
    let mut out = Vec::with_capacity(tracks.iter().map(|it| it.pairs().len() * size_of::<f32>()).sum());
    for track in tracks {
        let begin = out.len();
        out.extend(track.pairs().iter().flat_map(|it| reach(*it).to_le_bytes()));
        for hole in track.holes() {
            let bytes = &mut out[begin..][hole.start * size_of::<f32>()..hole.end * size_of::<f32>()];
            bytes.as_chunks_mut().0.fill(f32::NAN.to_le_bytes());
        }
    }
    out
}

/// `peaks` and `duration` as wavesurfer.js takes them, and the holes in seconds, which it does not know: a hole has 0.
fn wavesurfer(pixel: f64, seconds: f64, tracks: &[&Extremes]) -> Vec<u8> {
    let mut out = String::from("{\"peaks\":[");
    for (number, track) in tracks.iter().enumerate() {
        out.push_str(if number > 0 { ",[" } else { "[" });
        for (at, pair) in track.pairs().iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            // Five digits are finer than a sample of 16 bits. Writing to a string does not fail.
            let _ = match reach(*pair) {
                value if value > 0.0 => write!(out, "{comma}{value:.5}"),
                _ => write!(out, "{comma}0"),
            };
        }
        out.push(']');
    }
    let _ = write!(out, "],\"duration\":{seconds:.6},\"holes\":[");
    for (number, hole) in holes(tracks).into_iter().enumerate() {
        let comma = if number > 0 { "," } else { "" };
        let (start, end) = (hole.start as f64 * pixel, hole.end as f64 * pixel);
        let _ = write!(out, "{comma}{{\"start\":{start:.6},\"end\":{end:.6}}}");
    }
    out.push_str("]}\n");
    out.into_bytes()
}

/// Stretches of pixels that nobody has samples of.
fn holes(tracks: &[&Extremes]) -> Vec<Range<usize>> {
    let Some((first, others)) = tracks.split_first() else { return Vec::new() };
    others.iter().fold(first.holes().collect(), |holes: Vec<Range<usize>>, track| {
        let (mut both, mut own) = (Vec::new(), track.holes().peekable());
        for hole in holes {
            while let Some(other) = own.peek().filter(|it| it.start < hole.end) {
                let common = hole.start.max(other.start)..hole.end.min(other.end);
                both.extend((!common.is_empty()).then_some(common));
                // It may reach into the next hole too.
                if other.end > hole.end {
                    break;
                }
                own.next();
            }
        }
        both
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track() -> Extremes {
        Extremes::of_pairs([Some((-8192, 4096)), None, None, Some((0, 0)), Some((i16::MIN, 0))])
    }

    #[test]
    fn wavesurfer_is_told_where_nothing_is_known() {
        let bytes = write(Form::Wavesurfer, 1000, 500, 2.5, &[&track()]);
        let told: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(told["peaks"], serde_json::json!([[0.25, 0, 0, 0, 1.0]]));
        assert_eq!(told["duration"], 2.5);
        assert_eq!(told["holes"], serde_json::json!([{"start": 0.5, "end": 1.5}]));
    }

    #[test]
    fn floats_come_channel_after_channel() {
        let bytes = write(Form::F32, 1000, 500, 2.5, &[&track(), &track()]);
        let floats: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|it| f32::from_le_bytes(*it)).collect();
        assert_eq!(floats.len(), 10);
        assert_eq!((floats[5], floats[8], floats[9]), (0.25, 0.0, 1.0));
        assert!(floats[1].is_nan() && floats[7].is_nan());
    }
}
