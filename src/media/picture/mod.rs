//! A decoded picture to a file of PNG, JPEG, WebP or AVIF: upright, with square pixels, in the right colours, cropped
//! and scaled. What is to be done is [`Shape`], computed without a picture; [`Raster`] does it.

mod canvas;
pub mod chart;
mod convert;
mod raster;
mod shape;
mod write;

pub use canvas::Canvas;
pub use raster::Raster;
pub use shape::{Crop, Fit, Look, MAX_SIDE, Region, Shape, Stored};
pub use write::{png, png_rgba};

use super::colour::{Colour, to_jfif};
use super::ffi::{Frame, PixelFormat};
use crate::base::{Error, Result};
use crate::media::turn::Turn;

/// File formats of still pictures. Qualities are from 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PictureFormat {
    Png,
    Jpeg(u8),
    WebP(u8),
    Avif(u8),
}

impl PictureFormat {
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg(_) => "image/jpeg",
            Self::WebP(_) => "image/webp",
            Self::Avif(_) => "image/avif",
        }
    }
}

fn fault(error: impl std::fmt::Display) -> Error {
    Error::internal("a picture could not be written").with_cause(error)
}

/// Writes `frame`, turned as `turn` has it, with square pixels, in its own size.
pub fn encode(frame: &Frame, turn: Turn, format: PictureFormat) -> Result<Vec<u8>> {
    draw(frame, turn, &Look::default(), format)
}

/// Writes `frame`, turned as `turn` has it, with square pixels, as `look` has it.
pub fn draw(frame: &Frame, turn: Turn, look: &Look, format: PictureFormat) -> Result<Vec<u8>> {
    let stored = Stored::of(frame, turn);
    match format {
        PictureFormat::Jpeg(quality)
            if matches!(frame.format(), PixelFormat::YUV420P | PixelFormat::YUVJ420P)
                && Shape::new(&stored, look)?.is_stored(&stored) =>
        {
            jpeg_of_planes(frame, quality)
        }
        _ => Raster::of(frame, turn, look)?.encode(format),
    }
}

/// Without a way over RGB, which would cost half as much again.
fn jpeg_of_planes(frame: &Frame, quality: u8) -> Result<Vec<u8>> {
    let (width, height) = (frame.width(), frame.height());
    let planes = to_jfif([frame.plane(0), frame.plane(1), frame.plane(2)], width, height, Colour::of(frame));
    let subsamp = turbojpeg::Subsamp::Sub2x2;
    let image = turbojpeg::YuvImage { pixels: &planes[..], width, align: 1, height, subsamp };
    write::compressor(quality)?.compress_yuv_to_vec(image).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Token;
    use crate::media::ffi::{Decoder, Demuxer, FrameMut, Input, StreamKind};

    /// A flat picture of one YUV value in one format, by its matrix.
    fn flat(format: PixelFormat, size: (usize, usize), yuv: [u8; 3], matrix: i32) -> Frame {
        let mut frame = FrameMut::picture(format, size.0, size.1).unwrap();
        for (plane, value) in yuv.into_iter().enumerate() {
            frame.plane_mut(plane).0.fill(value);
        }
        frame.set_colour(1, matrix, matrix, matrix);
        frame.freeze()
    }

    /// What was written, read by libav.
    fn read(bytes: Vec<u8>) -> Raster {
        let token = Token::root();
        let input = Input { reader: Box::new(std::io::Cursor::new(bytes)), format: None, probe: true };
        let mut demuxer = Demuxer::open(input, &token).unwrap();
        let stream = demuxer.best(StreamKind::Video).unwrap();
        let mut decoder = Decoder::open(&demuxer, stream.index, stream.time_base, 1).unwrap();
        let mut frames = Vec::new();
        let mut take = |frame| {
            frames.push(frame);
            Ok(())
        };
        while let Some(packet) = demuxer.read().unwrap() {
            decoder.push(Some(&packet), &mut take).unwrap();
        }
        decoder.push(None, &mut take).unwrap();
        Raster::of(&frames[0], Turn::NONE, &Look::default()).unwrap()
    }

    fn near(picture: &Raster, want: [u8; 3], tolerance: u8, what: &str) {
        let at = (picture.height / 2 * picture.width + picture.width / 2) * 3;
        let got = &picture.pixels()[at..][..3];
        assert!(
            got.iter().zip(want).all(|(got, want)| got.abs_diff(want) <= tolerance),
            "{what}: {got:?} for {want:?}"
        );
    }

    #[test]
    fn colours_follow_the_matrix_in_every_format() {
        // (200, 40, 40) in BT.709 limited range; the usual tools give (187, 24, 43) as JPEG.
        for format in
            [PictureFormat::Png, PictureFormat::Jpeg(95), PictureFormat::WebP(95), PictureFormat::Avif(95)]
        {
            if !format.is_available() {
                println!("skipped: libav has no encoder for {format:?}");
                continue;
            }
            for size in [(64, 48), (63, 47)] {
                let frame = flat(PixelFormat::YUV420P, size, [80, 112, 198], 1);
                let picture = read(encode(&frame, Turn::NONE, format).unwrap());
                assert_eq!((picture.width, picture.height), size, "{format:?}");
                near(&picture, [200, 40, 40], 3, &format!("{format:?}"));
                let look = Look { width: Some(32), ..Look::default() };
                let small = read(draw(&frame, Turn::new(90, true), &look, format).unwrap());
                assert_eq!(small.width, 32, "{format:?}");
                near(&small, [200, 40, 40], 3, &format!("{format:?}, scaled and turned"));
            }
        }
    }

    #[test]
    fn a_part_is_the_pixels_of_the_whole() {
        let mut frame = FrameMut::picture(PixelFormat::YUV420P, 64, 48).unwrap();
        for plane in 0..3 {
            let bytes = frame.plane_mut(plane).0;
            bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * 7 % 200 + 20) as u8);
        }
        let frame = frame.freeze();
        for turn in (1..=8).map(Turn::of_orientation) {
            let whole = Raster::of(&frame, turn, &Look::default()).unwrap();
            let crop = Some(Crop { x: 5, y: 8, width: 20, height: 11 });
            let part = Raster::of(&frame, turn, &Look { crop, ..Look::default() }).unwrap();
            assert_eq!(part, whole.window(5, 8, 20, 11), "{turn:?}");
        }
    }

    #[test]
    fn a_transparent_webp_keeps_its_transparency() {
        if !PictureFormat::WebP(80).is_available() {
            return println!("skipped: libav has no encoder for WebP");
        }
        let bytes = Raster::clear(33, 21).encode(PictureFormat::WebP(80)).unwrap();
        // VP8X with the flag for alpha (RFC 9649 §2.7.1.2).
        assert_eq!((&bytes[12..16], bytes[20] & 0x10), (&b"VP8X"[..], 0x10));
    }
}
