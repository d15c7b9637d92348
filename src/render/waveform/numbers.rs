//! Pixels as the files that players read.

use super::wish::Form;
use crate::media::peaks::Extremes;
use crate::media::peaks::audiowaveform::{Head, dat, json};
use std::fmt::Write as _;

/// One number for a pixel: how far it reaches to either side, 0 to 1.
fn reach(track: &Extremes, pixel: usize) -> Option<f32> {
    let (min, max) = track.get(pixel)?;
    Some(i32::from(min).abs().max(i32::from(max).abs()) as f32 / 32768.0)
}

/// The file in a form. `seconds` is how long its pixels last.
pub fn write(form: Form, rate: u32, samples_per_pixel: u32, seconds: f64, tracks: &[&Extremes]) -> Vec<u8> {
    let head = |bits| Head { rate, samples_per_pixel, bits };
    match form {
        Form::Dat(bits) => dat(head(bits), tracks),
        Form::Json(bits) => json(head(bits), tracks).into_bytes(),
        Form::F32 => floats(tracks),
        Form::Wavesurfer => {
            wavesurfer(f64::from(samples_per_pixel) / f64::from(rate.max(1)), seconds, tracks)
        }
    }
}

/// 32-bit floats, little endian, channel after channel; NaN in a hole.
fn floats(tracks: &[&Extremes]) -> Vec<u8> {
    let pixels = |track: &Extremes| -> Vec<u8> {
        (0..track.len()).flat_map(|it| reach(track, it).unwrap_or(f32::NAN).to_le_bytes()).collect()
    };
    tracks.iter().flat_map(|it| pixels(it)).collect()
}

/// `peaks` and `duration` as wavesurfer.js takes them, and the holes in seconds, which it does not know: a hole has 0.
fn wavesurfer(pixel: f64, seconds: f64, tracks: &[&Extremes]) -> Vec<u8> {
    let mut out = String::from("{\"peaks\":[");
    for (number, track) in tracks.iter().enumerate() {
        out.push_str(if number > 0 { ",[" } else { "[" });
        for at in 0..track.len() {
            let comma = if at > 0 { "," } else { "" };
            // Five digits are finer than a sample of 16 bits. Writing to a string does not fail.
            let _ = match reach(track, at) {
                Some(value) if value > 0.0 => write!(out, "{comma}{value:.5}"),
                _ => write!(out, "{comma}0"),
            };
        }
        out.push(']');
    }
    let _ = write!(out, "],\"duration\":{seconds:.6},\"holes\":[");
    for (number, (from, to)) in holes(tracks).into_iter().enumerate() {
        let comma = if number > 0 { "," } else { "" };
        let (start, end) = (from as f64 * pixel, to as f64 * pixel);
        let _ = write!(out, "{comma}{{\"start\":{start:.6},\"end\":{end:.6}}}");
    }
    out.push_str("]}\n");
    out.into_bytes()
}

/// Stretches of pixels that nobody has samples of.
fn holes(tracks: &[&Extremes]) -> Vec<(usize, usize)> {
    let mut holes: Vec<(usize, usize)> = Vec::new();
    for pixel in 0..tracks.first().map_or(0, |it| it.len()) {
        if tracks.iter().all(|track| track.get(pixel).is_none()) {
            match holes.last_mut() {
                Some((_, end)) if *end == pixel => *end += 1,
                _ => holes.push((pixel, pixel + 1)),
            }
        }
    }
    holes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track() -> Extremes {
        let none = (i16::MAX, i16::MIN);
        let pixels = [(-8192, 4096), none, none, (0, 0), (i16::MIN, 0)];
        Extremes { min: pixels.iter().map(|it| it.0).collect(), max: pixels.iter().map(|it| it.1).collect() }
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
