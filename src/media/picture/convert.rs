//! Decoded pictures to RGB, and RGB to what encoders take.

use super::fault;
use crate::base::Result;
use crate::media::colour::{Colour, LimitedToRgb};
use crate::media::ffi::{Frame, FrameMut, PixelFormat, Scaler};

/// 8-bit RGB rows without padding, in the picture's own size.
pub(super) fn to_rgb(frame: &Frame) -> Result<Vec<u8>> {
    let (colour, width, height) = (Colour::of(frame), frame.width(), frame.height());
    if let Some(pixels) = planar_to_rgb(frame, colour)? {
        return Ok(pixels);
    }
    let mut scaler =
        Scaler::new(frame, colour.matrix, colour.full_range, PixelFormat::RGB24, width, height, true)?;
    let mut target = FrameMut::picture(PixelFormat::RGB24, width, height)?;
    scaler.run(frame, &mut target)?;
    let (bytes, stride) = target.plane(0);
    Ok((0..height).flat_map(|y| &bytes[y * stride..][..width * 3]).copied().collect())
}

/// The common formats without libswscale: the same matrix at a fiftieth of its exact path's cost.
fn planar_to_rgb(frame: &Frame, colour: Colour) -> Result<Option<Vec<u8>>> {
    let convert = match frame.format().name() {
        "yuv420p" | "yuvj420p" => yuv::yuv420_to_rgb,
        "yuv422p" | "yuvj422p" => yuv::yuv422_to_rgb,
        "yuv444p" | "yuvj444p" => yuv::yuv444_to_rgb,
        _ => return Ok(None),
    };
    let (width, height) = (frame.width(), frame.height());
    let [y, u, v] = [frame.plane(0), frame.plane(1), frame.plane(2)];
    let planes = yuv::YuvPlanarImage {
        y_plane: y.0,
        y_stride: y.1 as u32,
        u_plane: u.0,
        u_stride: u.1 as u32,
        v_plane: v.0,
        v_stride: v.1 as u32,
        width: width as u32,
        height: height as u32,
    };
    let mut pixels = vec![0; width * height * 3];
    convert(&planes, &mut pixels, (width * 3) as u32, colour.range_for_rgb(), colour.matrix_for_rgb())
        .map_err(fault)?;
    if !colour.full_range {
        below_black(frame, &mut pixels, colour);
    }
    Ok(Some(pixels))
}

/// Makes pixels anew whose luma is below black: the conversion takes it as black, and with colour in their chroma they come
/// out up to nineteen levels too bright.
fn below_black(frame: &Frame, pixels: &mut [u8], colour: Colour) {
    let exact = LimitedToRgb::new(colour);
    let (width, (across, down)) = (frame.width(), frame.format().chroma_shift());
    let planes = [frame.plane(0), frame.plane(1), frame.plane(2)];
    for (y, pixels) in pixels.chunks_exact_mut(width * 3).enumerate() {
        let row = |plane: usize, at: usize| &planes[plane].0[at * planes[plane].1..];
        let luma = &row(0, y)[..width];
        // Most pictures have none: a look at them all at once.
        if luma.iter().copied().fold(u8::MAX, u8::min) >= LimitedToRgb::BLACK {
            continue;
        }
        let (blue, red) = (row(1, y >> down), row(2, y >> down));
        for (x, (luma, pixel)) in luma.iter().zip(pixels.chunks_exact_mut(3)).enumerate() {
            if *luma < LimitedToRgb::BLACK {
                pixel.copy_from_slice(&exact.pixel(*luma, blue[x >> across], red[x >> across]));
            }
        }
    }
}

/// Rows of RGB, or with transparency of RGBA, as planes of 4:2:0 by the matrix of BT.601.
pub(super) fn to_planes(
    pixels: &[u8],
    width: usize,
    height: usize,
    transparent: bool,
    range: yuv::YuvRange,
) -> Result<Frame> {
    let format = match transparent {
        true => PixelFormat::named("yuva420p").ok_or_else(|| fault("no format with transparency"))?,
        false => PixelFormat::YUV420P,
    };
    let mut frame = FrameMut::picture(format, width, height)?;
    let matrix = yuv::YuvStandardMatrix::Bt601;
    let mut planes =
        yuv::YuvPlanarImageMut::alloc(width as u32, height as u32, yuv::YuvChromaSubsampling::Yuv420);
    let mode = yuv::YuvConversionMode::Balanced;
    if transparent {
        yuv::rgba_to_yuv420(&mut planes, pixels, (width * 4) as u32, range, matrix, mode).map_err(fault)?;
        copy_rows(
            frame.plane_mut(3),
            pixels.chunks_exact(width * 4).map(|row| row.iter().skip(3).step_by(4)),
        );
    } else {
        yuv::rgb_to_yuv420(&mut planes, pixels, (width * 3) as u32, range, matrix, mode).map_err(fault)?;
    }
    for (plane, (bytes, stride), columns) in [
        (0, (planes.y_plane.borrow(), planes.y_stride), width),
        (1, (planes.u_plane.borrow(), planes.u_stride), width.div_ceil(2)),
        (2, (planes.v_plane.borrow(), planes.v_stride), width.div_ceil(2)),
    ] {
        copy_rows(frame.plane_mut(plane), bytes.chunks(stride as usize).map(|row| row[..columns].iter()));
    }
    let full = range == yuv::YuvRange::Full;
    // sRGB's primaries and transfer, the matrix of BT.601 (ISO/IEC 23091-2 §8).
    frame.set_colour(if full { 2 } else { 1 }, 1, 13, 6);
    Ok(frame.freeze())
}

fn copy_rows<'a, R: Iterator<Item = &'a u8>>(
    (bytes, stride): (&mut [u8], usize),
    rows: impl Iterator<Item = R>,
) {
    for (to, from) in bytes.chunks_mut(stride.max(1)).zip(rows) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the definition: BT.601, BT.709 and BT.2020 with constant coefficients (ITU-R BT.709-6 §3, BT.2020-2 table 4), of
    /// samples of `bits`.
    fn defined(yuv: [u16; 3], (red, blue): (f64, f64), full_range: bool, bits: u32) -> [f64; 3] {
        let (unit, most) = (f64::from(1 << (bits - 8)), f64::from((1 << bits) - 1));
        let (black, luma, chroma) =
            if full_range { (0.0, most, most) } else { (16.0 * unit, 219.0 * unit, 224.0 * unit) };
        let y = (f64::from(yuv[0]) - black) / luma;
        let [u, v] = [yuv[1], yuv[2]].map(|it| (f64::from(it) - 128.0 * unit) / chroma);
        let (r, b) = (y + 2.0 * (1.0 - red) * v, y + 2.0 * (1.0 - blue) * u);
        let g = (y - red * r - blue * b) / (1.0 - red - blue);
        [r, g, b].map(|it| it * 255.0)
    }

    /// libswscale, which has the rarer formats, reckons in 32 bits: what is twice as bright as white runs over. No camera sees
    /// that, but damaged pictures may have it.
    fn runs_over(format: &str, rgb: [f64; 3]) -> bool {
        !["yuv420p", "yuv422p", "yuv444p"].contains(&format) && rgb.iter().any(|it| it.abs() >= 510.0)
    }

    const FORMATS: [&str; 9] = [
        "yuv420p",
        "yuv422p",
        "yuv444p",
        "nv12",
        "yuv420p10le",
        "yuv422p10le",
        "yuv444p10le",
        "p010le",
        "yuv420p12le",
    ];

    /// Bits of a sample, and how far up they stand in what is stored.
    fn depth(format: &str) -> (u32, u32) {
        match format {
            "p010le" => (10, 6),
            _ if format.ends_with("10le") => (10, 0),
            _ if format.ends_with("12le") => (12, 0),
            _ => (8, 0),
        }
    }

    /// A picture whose columns have the luma of `luma` and everywhere the same chroma.
    fn columns(format: &str, luma: &[u16], chroma: [u16; 2]) -> FrameMut {
        let mut frame = FrameMut::picture(PixelFormat::named(format).unwrap(), luma.len(), 2).unwrap();
        let (bits, up) = depth(format);
        let woven = format.starts_with("nv") || format.starts_with("p0");
        for plane in 0..if woven { 2 } else { 3 } {
            let value = |at: usize| match plane {
                0 => luma.get(at).copied().unwrap_or(0),
                1 if woven => chroma[at % 2],
                _ => chroma[plane - 1],
            };
            let (bytes, stride) = frame.plane_mut(plane);
            for row in bytes.chunks_mut(stride) {
                if bits == 8 {
                    row.iter_mut().enumerate().for_each(|(at, byte)| *byte = value(at) as u8);
                } else {
                    let samples = row.chunks_exact_mut(2).enumerate();
                    samples.for_each(|(at, it)| it.copy_from_slice(&(value(at) << up).to_le_bytes()));
                }
            }
        }
        frame
    }

    #[test]
    fn every_matrix_is_within_two_levels_of_its_definition() {
        for (name, matrix, shares) in
            [("BT.601", 6, (0.299, 0.114)), ("BT.709", 1, (0.2126, 0.0722)), ("BT.2020", 9, (0.2627, 0.0593))]
        {
            for (format, full_range) in FORMATS.into_iter().flat_map(|it| [(it, false), (it, true)]) {
                let (bits, _) = depth(format);
                let level = |eight: u16| if eight == 255 { (1 << bits) - 1 } else { eight << (bits - 8) };
                // All of luma, and some columns more than vectors have lanes.
                let luma: Vec<u16> = (0..256).chain(0..7).map(level).collect();
                let (mut worst, mut at) = (0f64, [0; 3]);
                let steps = [0, 16, 60, 127, 128, 129, 171, 240, 255].map(level);
                for chroma in steps.into_iter().flat_map(|u| steps.map(|v| [u, v])) {
                    let mut frame = columns(format, &luma, chroma);
                    frame.set_colour(if full_range { 2 } else { 1 }, 1, 1, matrix);
                    let pixels = to_rgb(&frame.freeze()).unwrap();
                    for (pixel, y) in pixels.chunks_exact(3).zip(luma.iter().cycle()) {
                        let yuv = [*y, chroma[0], chroma[1]];
                        let defined = defined(yuv, shares, full_range, bits);
                        if runs_over(format, defined) {
                            continue;
                        }
                        for (got, want) in pixel.iter().zip(defined) {
                            let far = (f64::from(*got) - want.clamp(0.0, 255.0)).abs();
                            (worst, at) = if far > worst { (far, yuv) } else { (worst, at) };
                        }
                    }
                }
                assert!(worst <= 2.0, "{name}, {format}, full range {full_range}: {worst} levels at {at:?}");
            }
        }
    }
}
