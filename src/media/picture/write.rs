//! Pixels to files: PNG, JPEG, WebP, AVIF.

use super::raster::Raster;
use super::{PictureFormat, convert, fault};
use crate::base::time::TimeBase;
use crate::base::{Error, Kind, Result};
use crate::media::ffi::{self, Encoder, Frame, Muxer, Packet, VideoSettings};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use parking_lot::Mutex;
use std::io::{self, Cursor, Seek, SeekFrom, Write};
use std::sync::Arc;

/// libav's encoders; builds may be without them.
const WEBP: &str = "libwebp";
const AVIF: &str = "libaom-av1";

impl PictureFormat {
    /// Whether this build of libav can write it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Png | Self::Jpeg(_) => true,
            Self::WebP(_) => ffi::has_encoder(WEBP),
            Self::Avif(_) => ffi::has_encoder(AVIF) && ffi::has_muxer("avif"),
        }
    }
}

impl Raster {
    /// Writes the picture. Formats without transparency show black through it.
    ///
    /// # Errors
    /// [`Kind::NotAcceptable`] for a format that this build of libav cannot write.
    pub fn encode(&self, format: PictureFormat) -> Result<Vec<u8>> {
        super::raster::check_size(self.width, self.height)?;
        if !format.is_available() {
            let detail =
                format!("this build of libav cannot write {}; png and jpg are there", format.media_type());
            return Err(Error::new(Kind::NotAcceptable, "no-encoder", detail));
        }
        match format {
            PictureFormat::Png if self.is_opaque() => png(self.pixels(), self.width, self.height),
            PictureFormat::Png => png_rgba(self.pixels(), self.width, self.height),
            PictureFormat::WebP(quality) => webp(self, quality),
            PictureFormat::Jpeg(_) | PictureFormat::Avif(_) if !self.is_opaque() => {
                self.opaque().encode(format)
            }
            PictureFormat::Jpeg(quality) => jpeg(self, quality),
            PictureFormat::Avif(quality) => avif(self, quality),
        }
    }
}

/// Compressed at the png crate's fast level: a tenth of the time of the balanced one for 4 % more bytes.
pub fn png(pixels: &[u8], width: usize, height: usize) -> Result<Vec<u8>> {
    write_png(pixels, width, height, ExtendedColorType::Rgb8)
}

/// A PNG with an alpha channel.
pub fn png_rgba(pixels: &[u8], width: usize, height: usize) -> Result<Vec<u8>> {
    write_png(pixels, width, height, ExtendedColorType::Rgba8)
}

fn write_png(pixels: &[u8], width: usize, height: usize, colour: ExtendedColorType) -> Result<Vec<u8>> {
    let pixel = usize::from(colour.channel_count());
    let filter = filter_for(pixels, width * pixel, pixel);
    let mut out = Vec::with_capacity(pixels.len() / 2);
    PngEncoder::new_with_quality(&mut out, CompressionType::Fast, filter)
        .write_image(pixels, width as u32, height as u32, colour)
        .map_err(fault)?;
    Ok(out)
}

/// Rows between two that are looked at to choose a filter.
const LOOKED_AT: usize = 16;

/// The filter that leaves the least of a picture, by some of its rows: to try all of them on every row takes as long as to
/// compress it.
fn filter_for(pixels: &[u8], row: usize, pixel: usize) -> FilterType {
    let mut left = [0u64; 3];
    for (above, own) in
        pixels.chunks_exact(row.max(1)).zip(pixels.chunks_exact(row.max(1)).skip(1)).step_by(LOOKED_AT)
    {
        let Some(before) = own.get(..row - pixel.min(row)) else { continue };
        let (own, above) = (&own[pixel.min(row)..], &above[pixel.min(row)..]);
        let far = |value: u8| u64::from((value as i8).unsigned_abs());
        left[0] += own.iter().zip(before).map(|(own, left)| far(own.wrapping_sub(*left))).sum::<u64>();
        left[1] += own.iter().zip(above).map(|(own, up)| far(own.wrapping_sub(*up))).sum::<u64>();
        let mean = |(left, up): (&u8, &u8)| ((u16::from(*left) + u16::from(*up)) / 2) as u8;
        let means = before.iter().zip(above).map(mean);
        left[2] += own.iter().zip(means).map(|(own, mean)| far(own.wrapping_sub(mean))).sum::<u64>();
    }
    let filters = [FilterType::Sub, FilterType::Up, FilterType::Avg];
    left.into_iter().zip(filters).min_by_key(|it| it.0).map_or(FilterType::Up, |it| it.1)
}

/// A compressor for 4:2:0 of a quality from 1 to 100.
pub(super) fn compressor(quality: u8) -> Result<turbojpeg::Compressor> {
    let mut compressor = turbojpeg::Compressor::new().map_err(fault)?;
    compressor.set_quality(i32::from(quality.clamp(1, 100))).map_err(fault)?;
    compressor.set_subsamp(turbojpeg::Subsamp::Sub2x2).map_err(fault)?;
    Ok(compressor)
}

fn jpeg(picture: &Raster, quality: u8) -> Result<Vec<u8>> {
    let image = turbojpeg::Image {
        pixels: picture.pixels(),
        width: picture.width,
        pitch: picture.width * 3,
        height: picture.height,
        format: turbojpeg::PixelFormat::RGB,
    };
    compressor(quality)?.compress_to_vec(image).map_err(fault)
}

/// The settings of an encoder of one picture.
fn still(codec: &str, frame: &Frame, options: &[(&str, &str)]) -> VideoSettings {
    VideoSettings {
        codec: codec.into(),
        width: frame.width(),
        height: frame.height(),
        format: frame.format(),
        time_base: TimeBase::new(1, 25),
        frame_rate: (25, 1),
        sample_aspect: (1, 1),
        colour: frame.colour(),
        interlaced: None,
        gop: 1,
        b_frames: 0,
        threads: 1,
        bit_rate: 0,
        global_header: false,
        options: options.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
    }
}

/// The packets of one picture.
fn packets(encoder: &mut Encoder, mut frame: Frame) -> Result<Vec<Packet>> {
    frame.set_pts(Some(0));
    let mut packets = Vec::new();
    let mut take = |packet: Packet| {
        packets.push(packet);
        Ok(())
    };
    encoder.push(Some(&frame), &mut take)?;
    encoder.push(None, &mut take)?;
    Ok(packets)
}

/// The longest side WebP has room for, in pixels (RFC 9649 §2.5: 14 bits).
const WEBP_SIDE: usize = 16_383;

fn webp(picture: &Raster, quality: u8) -> Result<Vec<u8>> {
    if picture.width.max(picture.height) > WEBP_SIDE {
        let detail = format!("a side of WebP has at most {WEBP_SIDE} pixels; ask for a smaller picture");
        return Err(Error::new(Kind::Invalid, "picture-size", detail));
    }
    // VP8 is BT.601 of limited range (RFC 6386 §9.2).
    let frame = convert::to_planes(
        picture.pixels(),
        picture.width,
        picture.height,
        !picture.is_opaque(),
        yuv::YuvRange::Limited,
    )?;
    let options = [("quality", &*quality.clamp(1, 100).to_string()), ("compression_level", "2")];
    let packets = packets(&mut Encoder::video(&still(WEBP, &frame, &options))?, frame)?;
    // A packet is a whole file.
    packets.first().map(|it| it.data().to_vec()).ok_or_else(|| fault("nothing was encoded"))
}

/// Constant rate factor of AV1 for a quality from 1 to 100: 63 is the worst, 0 would be lossless.
fn avif_crf(quality: u8) -> u32 {
    63 - (u32::from(quality.clamp(1, 100)) * 61 + 50) / 100
}

fn avif(picture: &Raster, quality: u8) -> Result<Vec<u8>> {
    let frame =
        convert::to_planes(picture.pixels(), picture.width, picture.height, false, yuv::YuvRange::Full)?;
    let crf = avif_crf(quality).to_string();
    let options = [("crf", &*crf), ("usage", "allintra"), ("cpu-used", "8"), ("still-picture", "1")];
    let mut settings = still(AVIF, &frame, &options);
    settings.global_header = true;
    let mut encoder = Encoder::video(&settings)?;
    let memory = Memory::default();
    let mut muxer = Muxer::seekable("avif", Box::new(memory.clone()))?;
    let stream = muxer.add(&encoder)?;
    muxer.start(&[])?;
    for packet in packets(&mut encoder, frame)? {
        muxer.write(stream, packet)?;
    }
    muxer.finish()?;
    Ok(std::mem::take(memory.0.lock().get_mut()))
}

/// A file in memory for a muxer that goes back to its beginning.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Cursor<Vec<u8>>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Memory {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.lock().seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_follows_the_picture() {
        let (width, height) = (64, 64);
        let picture = |value: fn(usize, usize) -> usize| -> Vec<u8> {
            (0..height).flat_map(|y| (0..width).map(move |x| value(x, y) as u8)).collect()
        };
        let filter = |pixels: &[u8]| filter_for(pixels, width, 1);
        assert!(matches!(filter(&picture(|_, y| y * 37 % 251)), FilterType::Sub));
        assert!(matches!(filter(&picture(|x, _| x * 37 % 251)), FilterType::Up));
        assert!(matches!(filter(&picture(|x, y| x + 2 * y)), FilterType::Avg | FilterType::Sub));
        // A picture of one row, and one of one pixel.
        assert!(matches!(filter_for(&[1, 2, 3], 3, 3), FilterType::Sub));
        assert_eq!(png(&[1, 2, 3], 1, 1).unwrap()[..4], *b"\x89PNG");
    }

    #[test]
    fn better_is_less_compressed() {
        assert_eq!([1, 50, 80, 100].map(avif_crf), [62, 32, 14, 2]);
    }
}
