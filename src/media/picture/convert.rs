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
