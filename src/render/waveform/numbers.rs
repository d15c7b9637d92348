//! Pixels as the files that players read.

use super::wish::Form;
use crate::media::peaks::audiowaveform::{dat, json};
use crate::media::peaks::{Decimals, Extremes};
use bytes::Bytes;
use std::fmt::Write as _;
use std::ops::Range;

/// One number for a pixel: how far it reaches to either side, in 32768ths.
fn reach([min, max]: [i16; 2]) -> u16 {
    min.unsigned_abs().max(max.unsigned_abs())
}

/// The file in a form. `seconds` is how long its pixels last.
pub fn write(form: Form, rate: u32, samples_per_pixel: u32, seconds: f64, extremes: Extremes) -> Bytes {
    match form {
        Form::Dat(_) => dat(rate, samples_per_pixel, extremes).into(),
        Form::Json(_) => json(rate, samples_per_pixel, &extremes).into(),
        Form::F32 => floats(extremes),
        Form::Wavesurfer => {
            wavesurfer(f64::from(samples_per_pixel) / f64::from(rate.max(1)), seconds, &extremes).into()
        }
    }
}

/// 32-bit floats, little endian, channel after channel; NaN in a hole.
fn floats(extremes: Extremes) -> Bytes {
    let float = |pair: [i16; 2]| (f32::from(reach(pair)) / 32768.0).to_le_bytes();
    let (tracks, count) = (extremes.tracks(), extremes.count());
    let holes: Vec<_> = (0..tracks).map(|track| extremes.holes(track)).collect();
    let (head, mut out) = if tracks == 1 {
        // A pair takes as much room as a float: each is put in the place of its own.
        let (head, mut bytes) = extremes.into_bytes();
        for cell in bytes[head..].as_chunks_mut().0 {
            let [a, b, c, d] = *cell;
            *cell = float([i16::from_le_bytes([a, b]), i16::from_le_bytes([c, d])]);
        }
        (head, bytes)
    } else {
        let mut out = Vec::with_capacity(tracks * count * size_of::<f32>());
        (0..tracks).for_each(|track| extremes.each_of(track, |pair| out.extend_from_slice(&float(pair))));
        (0, out)
    };
    let cells = out[head..].as_chunks_mut().0;
    for (cells, holes) in cells.chunks_mut(count.max(1)).zip(holes) {
        holes.into_iter().for_each(|hole| cells[hole].fill(f32::NAN.to_le_bytes()));
    }
    Bytes::from(out).slice(head..)
}

/// `peaks` and `duration` as wavesurfer.js takes them, and the holes in seconds, which it does not know: a hole has 0.
fn wavesurfer(pixel: f64, seconds: f64, extremes: &Extremes) -> Vec<u8> {
    let mut out = b"{\"peaks\":[".to_vec();
    for track in 0..extremes.tracks() {
        out.extend_from_slice(if track > 0 { b",[" } else { b"[" });
        let mut list = Decimals::after(out, extremes.count() * "0.12345,".len());
        extremes.each_of(track, |pair| list.fraction(reach(pair)));
        out = list.end("]");
    }
    let mut rest = format!("],\"duration\":{seconds:.6},\"holes\":[");
    for (number, hole) in holes(extremes).into_iter().enumerate() {
        let comma = if number > 0 { "," } else { "" };
        let (start, end) = (hole.start as f64 * pixel, hole.end as f64 * pixel);
        // Writing to a string does not fail.
        let _ = write!(rest, "{comma}{{\"start\":{start:.6},\"end\":{end:.6}}}");
    }
    rest.push_str("]}\n");
    out.extend_from_slice(rest.as_bytes());
    out
}

/// Stretches of pixels that nobody has samples of.
fn holes(extremes: &Extremes) -> Vec<Range<usize>> {
    (1..extremes.tracks()).fold(extremes.holes(0), |holes, track| {
        let (mut both, mut own) = (Vec::new(), extremes.holes(track).into_iter().peekable());
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
    use crate::media::peaks::audiowaveform::Bits;

    fn extremes(tracks: usize) -> Extremes {
        let known = [(0, -8192, 4096), (3, 0, 0), (4, i16::MIN, 0)];
        let mut extremes = Extremes::new(Bits::Sixteen, tracks, 5);
        let shared = extremes.shared();
        for track in 0..tracks {
            known.iter().for_each(|(pixel, min, max)| shared.take(track, *pixel, *min, *max));
        }
        drop(shared);
        extremes
    }

    #[test]
    fn wavesurfer_is_told_where_nothing_is_known() {
        for tracks in [1, 2] {
            let bytes = write(Form::Wavesurfer, 1000, 500, 2.5, extremes(tracks));
            let told: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(
                told["peaks"],
                serde_json::json!(vec![serde_json::json!([0.25, 0, 0, 0, 1.0]); tracks])
            );
            assert_eq!(told["duration"], 2.5);
            assert_eq!(told["holes"], serde_json::json!([{"start": 0.5, "end": 1.5}]));
        }
    }

    #[test]
    fn floats_come_channel_after_channel() {
        let bytes = write(Form::F32, 1000, 500, 2.5, extremes(2));
        let floats: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|it| f32::from_le_bytes(*it)).collect();
        assert_eq!(floats.len(), 10);
        assert_eq!((floats[5], floats[8], floats[9]), (0.25, 0.0, 1.0));
        assert!(floats[1].is_nan() && floats[7].is_nan());
    }
}
