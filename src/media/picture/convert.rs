//! Decoded pictures to RGB, and RGB to what encoders take.

use super::fault;
use crate::base::Result;
use crate::media::colour::Colour;
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

/// The common formats without libswscale: an exact matrix at a fiftieth of its exact path's cost.
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
    Ok(Some(pixels))
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

    /// By the definition: BT.601, BT.709 and BT.2020 with constant coefficients (ITU-R BT.709-6 §3, BT.2020-2 table 4).
    fn defined(yuv: [u8; 3], (red, blue): (f64, f64), full_range: bool) -> [f64; 3] {
        let (black, luma, chroma) = if full_range { (0.0, 255.0, 255.0) } else { (16.0, 219.0, 224.0) };
        let y = (f64::from(yuv[0]) - black) / luma;
        let [u, v] = [yuv[1], yuv[2]].map(|it| (f64::from(it) - 128.0) / chroma);
        let (r, b) = (y + 2.0 * (1.0 - red) * v, y + 2.0 * (1.0 - blue) * u);
        let g = (y - red * r - blue * b) / (1.0 - red - blue);
        [r, g, b].map(|it| (it * 255.0).clamp(0.0, 255.0))
    }

    #[test]
    fn every_matrix_is_within_two_levels_of_its_definition() {
        let formats = ["yuv420p", "yuv422p", "yuv444p", "nv12", "yuv420p10le", "yuv422p10le"];
        for (name, matrix, shares) in
            [("BT.601", 6, (0.299, 0.114)), ("BT.709", 1, (0.2126, 0.0722)), ("BT.2020", 9, (0.2627, 0.0593))]
        {
            for (format, full_range) in formats.into_iter().flat_map(|it| [(it, false), (it, true)]) {
                let mut worst = 0f64;
                for step in 0..200usize {
                    let yuv =
                        [16 + step * 37 % 220, 16 + step * 91 % 225, 16 + step * 53 % 225].map(|it| it as u8);
                    let pixel_format = PixelFormat::named(format).unwrap();
                    let mut frame = FrameMut::picture(pixel_format, 16, 16).unwrap();
                    let planes = if format == "nv12" { 2 } else { 3 };
                    for plane in 0..planes {
                        let bytes = frame.plane_mut(plane).0;
                        match format {
                            "nv12" if plane == 1 => {
                                bytes.chunks_exact_mut(2).for_each(|it| it.copy_from_slice(&yuv[1..]));
                            }
                            "nv12" | "yuv420p" | "yuv422p" | "yuv444p" => bytes.fill(yuv[plane]),
                            _ => {
                                let value = u16::from(yuv[plane]) << 2;
                                bytes
                                    .chunks_exact_mut(2)
                                    .for_each(|it| it.copy_from_slice(&value.to_le_bytes()));
                            }
                        }
                    }
                    frame.set_colour(if full_range { 2 } else { 1 }, 1, 1, matrix);
                    let pixels = to_rgb(&frame.freeze()).unwrap();
                    // Ten bits of full range end at 1023, which is not four times 255.
                    let scale = if full_range && format.contains("10") { 1020.0 / 1023.0 } else { 1.0 };
                    let wanted = defined(yuv, shares, full_range);
                    for (got, want) in pixels[(8 * 16 + 8) * 3..].iter().zip(wanted) {
                        let slack = (1.0 - scale) * 255.0;
                        worst = worst.max((f64::from(*got) - want).abs() - slack);
                    }
                }
                assert!(worst <= 2.0, "{name}, {format}, full range {full_range}: {worst} levels");
            }
        }
    }
}
