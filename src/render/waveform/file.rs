//! The waveform of a file, from its first sample on.

use super::wish::{Quiet, Wish, Zoom};
use super::{most_pixels, no_sound, numbers, picture, too_many};
use crate::base::time::TimeBase;
use crate::base::{Result, Span, Timestamp, Token};
use crate::media::pcm;
use crate::media::peaks::{Builder, Columns, FilePixels, MAX_CHANNELS, Part, Silence, Track};
use crate::media::waveform::{Drawing, Layers, Look};
use crate::render::bytes::Made;
use crate::render::peaks::view;
use std::path::Path;

/// Length in samples, rate and channels of a file's sound.
struct Extent {
    samples: i64,
    rate: u32,
    channels: usize,
}

/// Decodes all of it: containers are wrong about their length, and many say none.
fn extent(path: &Path, token: &Token) -> Result<Extent> {
    let mut extent = Extent { samples: 0, rate: 0, channels: 0 };
    pcm::file(path, token, &mut |position, format, channels| {
        let samples = position + channels.first().map_or(0, Vec::len) as i64;
        extent = Extent { samples, rate: format.rate, channels: format.channels };
        Ok(())
    })?;
    if extent.samples == 0 { Err(no_sound()) } else { Ok(extent) }
}

/// Draws the sound of a file of any container that libav reads. Pixels of numbers begin with the first sample, and the
/// last has what is left, as audiowaveform does; no more than `points` are made.
///
/// # Errors
/// [`crate::base::Kind::Invalid`] for more pixels than that; [`crate::base::Kind::Damaged`] where there is no sound.
pub fn of_file(path: &Path, wish: Wish, points: u64, token: &Token) -> Result<Made> {
    match wish {
        Wish::Png(look) | Wish::Svg(look) => of_look(path, look, &wish, token),
        Wish::Silence(quiet) => of_silence(path, quiet, token),
        Wish::Numbers { form, zoom, split } => {
            let scale = match zoom {
                Zoom::SamplesPerPixel(each) => u64::from(each),
                Zoom::Width(width) => (extent(path, token)?.samples as u64).div_ceil(u64::from(width)).max(2),
            };
            let most = most_pixels(form, points);
            let mut pixels = FilePixels::new(scale as usize, split, most as usize);
            let (mut rate, mut samples) = (0, 0);
            pcm::file(path, token, &mut |position, format, channels| {
                rate = format.rate;
                samples = position + channels.first().map_or(0, Vec::len) as i64;
                pixels.add(channels);
                if pixels.full { too_many(most + 1, most) } else { Ok(()) }
            })?;
            if samples == 0 {
                return Err(no_sound());
            }
            let extremes = pixels.finish(form.bits());
            let seconds = TimeBase::new(1, rate as i32).seconds(samples);
            Ok(Made::new(numbers::write(form, rate, scale as u32, seconds, extremes)))
        }
    }
}

/// Silences of a file, with times as if it began with the year 1970.
fn of_silence(path: &Path, quiet: Quiet, token: &Token) -> Result<Made> {
    let mut builder = Builder::new();
    pcm::file(path, token, &mut |position, format, channels| {
        builder.add(position, format, channels);
        Ok(())
    })?;
    let pyramid = builder.finish();
    let samples = pyramid.runs.last().map_or(0, |it| it.start + it.length as i64);
    if samples == 0 {
        return Err(no_sound());
    }
    let mut silence = Silence::new(pyramid.rate, 0..samples, quiet.limit());
    silence.add(&view(Part::Mix, &pyramid.encode(Part::Mix))?);
    let start = Timestamp::from_micros(0);
    let span = Span::new(start, start + TimeBase::new(1, pyramid.rate as i32).micros(samples));
    super::silence::write(span, &silence, quiet).map(Made::new)
}

/// Decodes twice: columns of equal width want the length first.
fn of_look(path: &Path, look: Look, wish: &Wish, token: &Token) -> Result<Made> {
    let extent = extent(path, token)?;
    let tracks: Vec<Track> = match look.layers {
        Layers::Mix => vec![Track::Mix],
        _ => (0..extent.channels.min(MAX_CHANNELS)).map(Track::Channel).collect(),
    };
    let mut columns = Columns::new(extent.rate, 0, extent.samples, look.width, &tracks);
    pcm::file(path, token, &mut |position, format, channels| {
        columns.add_samples(position, format.rate, channels);
        Ok(())
    })?;
    let start = Timestamp::from_micros(0);
    let span = Span::new(start, start + TimeBase::new(1, extent.rate as i32).micros(extent.samples));
    picture(&Drawing { columns: &columns, look: &look, span }, wish).map(Made::new)
}
