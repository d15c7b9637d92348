//! The loudness of a span, column by column, and its picture.

use super::Clip;
use super::picture::png_rgba;
use super::sound::{Placement, SoundDecoder, SoundFormat};
use super::source::{ClipReader, Want};
use crate::base::time::SECOND;
use crate::base::{Error, Kind, Result, Span, Token};
use plotters::prelude::{BLACK, Color, IntoDrawingArea, PathElement};
use plotters_backend::{BackendColor, BackendCoord, DrawingBackend, DrawingErrorKind};

/// The sum of |x| and the count of samples of one channel in one column.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Column {
    pub sum: f64,
    pub count: u64,
}

impl Column {
    /// Mean of |x|, from 0 to 1; `None` where there is no sound at all.
    pub fn mean(self) -> Option<f64> {
        (self.count > 0).then(|| (self.sum / self.count as f64).min(1.0))
    }
}

/// Columns of every channel over a span, equally wide in wall time.
#[derive(Debug, Clone, PartialEq)]
pub struct Waveform {
    pub width: usize,
    pub channels: Vec<Vec<Column>>,
}

/// Sums the sound of `clips` inside `span` into `width` columns. A column in a hole has no samples; it is not silence.
pub fn columns(clips: &[Clip], span: Span, width: usize, token: &Token) -> Result<Waveform> {
    let mut waveform = Waveform { width, channels: Vec::new() };
    let mut decoder = SoundDecoder::default();
    let mut format = None;
    for clip in clips {
        match add(&mut waveform, &mut decoder, &mut format, clip, span, token) {
            // Part of a damaged segment is better than none of a day.
            Err(error) if error.kind == Kind::Damaged => {}
            outcome => outcome?,
        }
    }
    if waveform.channels.is_empty() {
        return Err(Error::damaged("there is no sound in the requested time range"));
    }
    Ok(waveform)
}

fn add(
    waveform: &mut Waveform,
    decoder: &mut SoundDecoder,
    format: &mut Option<SoundFormat>,
    clip: &Clip,
    span: Span,
    token: &Token,
) -> Result<()> {
    let mut reader = ClipReader::open(clip, Want::Both, token)?;
    let (Some(audio), Some(anchor)) = (reader.audio.clone(), reader.anchor) else {
        return Err(Error::damaged("a segment holds no sound"));
    };
    decoder.prepare(&reader.demuxer, &audio)?;
    // The clock is known now; pictures need not even be assembled any more.
    reader.demuxer.select(&[audio.index]);
    let at = clip.start - span.start;
    let placement = Placement { anchor, at, video_base: crate::base::time::TimeBase::MICROS };
    let mut next = None;
    while let Some(packet) = reader.read()? {
        if packet.stream() != audio.index {
            continue;
        }
        decoder.push(&packet, *format, |frame| {
            let kind =
                *format.get_or_insert(SoundFormat { rate: frame.sample_rate(), channels: frame.channels() });
            let position = frame.pts().map(|ticks| placement.sample(ticks, audio.time_base, kind)).or(next);
            next = position.map(|it| it + frame.samples() as i64);
            if let Some(position) = position {
                waveform.sum(position, &frame, span, kind);
            }
            Ok(())
        })?;
    }
    Ok(())
}

impl Waveform {
    /// Adds a frame whose first sample is `position` samples after the span's start.
    fn sum(&mut self, position: i64, frame: &super::ffi::Frame, span: Span, format: SoundFormat) {
        if self.channels.is_empty() {
            self.channels = vec![vec![Column::default(); self.width]; format.channels.max(1)];
        }
        let total = i128::from(span.micros()) * i128::from(format.rate) / i128::from(SECOND);
        let (width, samples) = (self.width as i128, frame.samples() as i64);
        if total <= 0 || width == 0 {
            return;
        }
        // Column c holds the samples from ceil(c · total / width) to before that of c + 1.
        let border = |column: i128| ((column * total + width - 1) / width) as i64;
        let mut from = position.max(0);
        let end = (position + samples).min(total as i64);
        while from < end {
            let column = (i128::from(from) * width / total).min(width - 1);
            let to = border(column + 1).min(end).max(from + 1);
            for (channel, columns) in self.channels.iter_mut().enumerate() {
                let data = frame.channel(channel);
                if let Some(data) = data.get((from - position) as usize..(to - position) as usize) {
                    columns[column as usize].sum += f64::from(data.iter().map(|it| it.abs()).sum::<f32>());
                    columns[column as usize].count += data.len() as u64;
                }
            }
            from = to;
        }
    }

    /// Draws the columns as libavfilter's showwavespic does with `scale=sqrt`: black on nothing, centred, each channel
    /// laid over the others with its share of the opacity.
    pub fn draw(&self, height: usize) -> Result<Vec<u8>> {
        let mut pixels = vec![0; self.width * height * 4];
        let share = (255 / self.channels.len().max(1)) as f64 / 255.0;
        let fault = |error: &dyn std::fmt::Display| {
            Error::internal("a waveform could not be drawn").with_cause(error)
        };
        {
            let canvas = Canvas { pixels: &mut pixels, width: self.width, height };
            let area = canvas.into_drawing_area();
            for columns in &self.channels {
                for (x, column) in columns.iter().enumerate() {
                    let rise = (column.mean().unwrap_or(0.0).sqrt() * height as f64) as i32;
                    if rise > 0 {
                        let top = (height as i32 - rise) / 2;
                        let line = vec![(x as i32, top), (x as i32, top + rise - 1)];
                        area.draw(&PathElement::new(line, BLACK.mix(share))).map_err(|it| fault(&it))?;
                    }
                }
            }
            area.present().map_err(|it| fault(&it))?;
        }
        png_rgba(&pixels, self.width, height)
    }
}

/// A canvas for plotters with an alpha channel, which its own bitmap backend lacks. Opacity adds up.
struct Canvas<'a> {
    pixels: &'a mut [u8],
    width: usize,
    height: usize,
}

impl DrawingBackend for Canvas<'_> {
    type ErrorType = std::convert::Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.width as u32, self.height as u32)
    }

    fn ensure_prepared(&mut self) -> std::result::Result<(), DrawingErrorKind<Self::ErrorType>> {
        Ok(())
    }

    fn present(&mut self) -> std::result::Result<(), DrawingErrorKind<Self::ErrorType>> {
        Ok(())
    }

    fn draw_pixel(
        &mut self,
        (x, y): BackendCoord,
        colour: BackendColor,
    ) -> std::result::Result<(), DrawingErrorKind<Self::ErrorType>> {
        if (0..self.width as i32).contains(&x) && (0..self.height as i32).contains(&y) {
            let pixel = &mut self.pixels[(y as usize * self.width + x as usize) * 4..][..4];
            let (red, green, blue) = colour.rgb;
            pixel[..3].copy_from_slice(&[red, green, blue]);
            pixel[3] = pixel[3].saturating_add((colour.alpha * 255.0).round() as u8);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use crate::media::ffi::FrameMut;

    fn frame(values: &[f32]) -> crate::media::ffi::Frame {
        let mut frame = FrameMut::audio(2, 1000, values.len()).unwrap();
        for channel in 0..2 {
            frame.channel_mut(channel).copy_from_slice(values);
        }
        frame.freeze()
    }

    #[test]
    fn samples_fall_into_their_columns_and_holes_stay_empty() {
        let span = Span::new(Timestamp::from_micros(0), Timestamp::from_micros(10_000));
        let mut waveform = Waveform { width: 5, channels: Vec::new() };
        let format = SoundFormat { rate: 1000, channels: 2 };
        waveform.sum(-2, &frame(&[9.0, 9.0, 0.5, -1.0, 0.25]), span, format);
        waveform.sum(8, &frame(&[-0.5, 0.5, 7.0]), span, format);
        let means: Vec<_> = waveform.channels[1].iter().map(|it| it.mean()).collect();
        assert_eq!(means, [Some(0.75), Some(0.25), None, None, Some(0.5)]);
    }

    #[test]
    fn a_column_rises_by_the_square_root_on_both_sides_of_the_middle() {
        let full = Column { sum: 1.0, count: 4 };
        let waveform =
            Waveform { width: 2, channels: vec![vec![full, Column::default()], vec![Column::default(); 2]] };
        let image = image::load_from_memory(&waveform.draw(16).unwrap()).unwrap().to_rgba8();
        let column: Vec<u8> = (0..16).map(|y| image.get_pixel(0, y).0[3]).collect();
        // The mean is a quarter, its root a half: the middle 8 of 16 rows, with one channel of two.
        assert_eq!(column, [[0; 4], [127; 4], [127; 4], [0; 4]].concat());
        assert!((0..16).all(|y| image.get_pixel(1, y).0[3] == 0));
    }
}
