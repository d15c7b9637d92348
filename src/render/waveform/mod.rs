//! The sound of a span as a picture or as numbers, drawn from the peaks of its segments.

mod file;
mod numbers;
mod silence;
pub mod wish;

pub use file::of_file;

use super::bytes::Made;
use super::frame::{Id, id, names_of};
use super::peaks::{Sounds, view};
use super::{Render, select, within};
use crate::archive::{Segment, SegmentKind, Selection};
use crate::base::time::{SECOND, TimeBase};
use crate::base::{Channel, Error, Kind, Quality, Result, Span, Token};
use crate::media::cut::Holes;
use crate::media::pcm::sample_at;
use crate::media::peaks::{
    BLOCK, Columns, MAX_CHANNELS, Part, Pixels, SharedPixels, Silence, Track, View, pixels_of,
};
use crate::media::waveform::{Drawing, Layers, Look, png, svg};
use crate::pool::Lane;
use crate::render::spread::lane_for;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use wish::{Form, MAX_SAMPLES_PER_PIXEL, Quiet, Wish, Zoom};

/// Sound may lie this far from its picture, in the segment before or after: streams are interleaved within a second.
const MARGIN: i64 = 2 * SECOND;

/// Threads that look for what is kept beside the one that was asked.
const MOST_BESIDE: usize = 3;

/// Segments asked of the cache at once, which bounds what is held of them: some eight kilobytes each at the finest zoom.
const KEPT_AT_ONCE: usize = 1024;

/// Segments a task decodes, one after the other: some twenty milliseconds, so that other work gets its turn.
const DECODED_AT_ONCE: usize = 24;

/// Segments looked into for the rate and the channels; where none of them has sound, it is reckoned with [`USUAL`].
const LOOKED_INTO: usize = 32;

/// The longest answer that is kept, in bytes: longer ones are copied from what is kept of segments, and would put out hundreds
/// of frames.
const LONGEST_KEPT: usize = 1 << 20;

/// Part of what tells answers apart: another way to draw gets another number.
const VERSION: u32 = 1;

/// Rate and channels.
const USUAL: (u32, u8) = (48_000, 1);

/// The lowest rate that sound is coded with, in Hz: what bounds the time a pixel may reach past the span.
const LOWEST_RATE: i64 = 7350;

/// Text takes several bytes for each of binary's: forms of text may have this part of the pixels.
const TEXT_SHARE: u64 = 4;

/// What a waveform is drawn from, and how.
pub struct WaveformSource {
    span: Span,
    wish: Wish,
    /// The segments of the span and those beside it whose sound may reach into it.
    segments: Vec<Segment>,
    /// Whether the answer will be the same for ever: whole segments without a hole.
    pub settled: bool,
    /// What it is drawn from and how, in short.
    of: Id,
}

impl WaveformSource {
    /// A word that tells this answer from every other, known before anything is read; without quotes.
    pub fn tag(&self) -> String {
        format!("{:032x}", self.of)
    }
}

/// What is drawn on.
enum Canvas {
    Columns(Columns, Look),
    Pixels(Pixels, Form),
    Silence(Silence, Quiet),
}

/// What is drawn on by several threads: pixels side by side, anything else by turns.
enum Easel<'a> {
    Columns(Mutex<&'a mut Columns>),
    Pixels(SharedPixels<'a>),
    Silence(Mutex<&'a mut Silence>),
}

impl Canvas {
    fn shared(&mut self) -> Easel<'_> {
        match self {
            Self::Columns(columns, _) => Easel::Columns(Mutex::new(columns)),
            Self::Pixels(pixels, _) => Easel::Pixels(pixels.shared()),
            Self::Silence(silence, _) => Easel::Silence(Mutex::new(silence)),
        }
    }

    /// Whether nothing was found for anything that was asked for: a span shorter than a pixel asks for none.
    fn is_empty(&self) -> bool {
        match self {
            Self::Columns(columns, _) => columns.tracks().flatten().all(|it| it.is_empty()),
            Self::Pixels(pixels, _) => pixels.extremes().count() > 0 && pixels.extremes().is_empty(),
            Self::Silence(silence, _) => silence.is_empty(),
        }
    }
}

impl Easel<'_> {
    fn add(&self, views: &[View<'_>]) {
        match self {
            Self::Columns(columns) => {
                let mut columns = columns.lock();
                views.iter().for_each(|view| columns.add(view));
            }
            Self::Pixels(pixels) => views.iter().for_each(|view| pixels.add(view)),
            Self::Silence(silence) => {
                let mut silence = silence.lock();
                views.iter().for_each(|view| silence.add(view));
            }
        }
    }
}

/// A waveform whose segments are not all kept yet.
struct Cold {
    source: WaveformSource,
    part: Part,
    /// Taken when it is finished.
    canvas: Mutex<Option<Canvas>>,
    /// Places of the segments to decode, a task each.
    tasks: Vec<Vec<usize>>,
}

enum Begun {
    Done(Made),
    Cold(Arc<Cold>),
}

impl Render {
    /// The segments a waveform is drawn from, or why there is none.
    pub async fn waveform_source(
        &self,
        channel: Channel,
        quality: Quality,
        span: Span,
        wish: Wish,
    ) -> Result<WaveformSource> {
        if span.is_empty() {
            return Err(Error::invalid("empty-range", "end", "End must be after start"));
        }
        within(span, self.config.waveform.max_span, "Range")?;
        self.ask(move |archive, _| {
            select(archive, &channel, &quality, span, Holes::Skip)?;
            let beyond = match wish {
                Wish::Numbers { zoom: Zoom::SamplesPerPixel(each), .. } => {
                    i64::from(each) * SECOND / LOWEST_RATE
                }
                Wish::Numbers { zoom: Zoom::Width(width), .. } => {
                    let longest = i64::from(MAX_SAMPLES_PER_PIXEL) * SECOND / LOWEST_RATE;
                    (span.micros() / i64::from(width) + SECOND).min(longest)
                }
                Wish::Png(_) | Wish::Svg(_) | Wish::Silence(_) => 0,
            };
            let around = Span::new(span.start + -MARGIN, span.end + (MARGIN + beyond));
            let around = archive.select(&channel, &quality, around)?;
            let settled = is_settled(&around);
            let segments: Vec<_> = around.segments().cloned().collect();
            let of =
                id(("waveform", VERSION, &channel, &quality, span, format!("{wish:?}"), names_of(&segments)));
            Ok(WaveformSource { span, wish, segments, settled, of })
        })
        .await
    }

    /// Draws, or gives what was drawn before where that will be the same for ever.
    pub async fn waveform(&self, source: WaveformSource) -> Result<Made> {
        let kept = source.settled.then_some(source.of);
        if let Some(made) = kept.and_then(|it| self.pictures.made(it)) {
            return Ok(made);
        }
        let made = self.draw_waveform(source).await?;
        if let Some(of) = kept.filter(|_| made.bytes.len() <= LONGEST_KEPT) {
            self.pictures.keep_made(of, made.clone());
        }
        Ok(made)
    }

    /// What is kept of the segments is read; the sound of the others is decoded first, as many segments at a time as the lane
    /// has seats.
    async fn draw_waveform(&self, source: WaveformSource) -> Result<Made> {
        let token = self.stop.child_with_deadline(self.config.waveform.deadline.0);
        let render = self.clone();
        let begin = move |token: &Token| begin(&render, source, token);
        let cold = match self.pool.submit(Lane::Interactive, &token, begin)?.await? {
            Begun::Done(made) => return Ok(made),
            Begun::Cold(cold) => cold,
        };
        let (render, shared) = (self.clone(), Arc::clone(&cold));
        let work = move |task: usize, token: &Token| shared.decode(&render, task, token);
        self.spread(lane_for(cold.missing_micros()), cold.tasks.len(), &token, work).await?;
        let finish = move |_: &Token| {
            let canvas = cold.canvas.lock().take();
            finish(&cold.source, canvas.ok_or_else(|| Error::internal("a waveform was finished twice"))?)
        };
        self.pool.submit(Lane::Interactive, &token, finish)?.await
    }
}

/// Whole segments without a hole do not change any more.
fn is_settled(selection: &Selection) -> bool {
    selection.is_unbroken() && selection.segments().all(|it| it.kind() == SegmentKind::Full)
}

fn no_sound() -> Error {
    Error::damaged("there is no sound in the requested time range")
}

/// The rate and the channels of the first sound.
fn format(sounds: &mut Sounds<'_>, segments: usize, token: &Token) -> Result<(u32, u8)> {
    for at in 0..segments.min(LOOKED_INTO) {
        match sounds.peaks(at, Part::Coarse, token) {
            Err(error) if error.kind == Kind::NotFound => {}
            Err(error) => return Err(error),
            Ok(bytes) => {
                let view = view(Part::Coarse, &bytes)?;
                if !view.is_silent() {
                    return Ok((view.rate, view.channels));
                }
            }
        }
    }
    Ok(USUAL)
}

fn begin(render: &Render, mut source: WaveformSource, token: &Token) -> Result<Begun> {
    let (rate, channels) = format(&mut Sounds::new(render, &source.segments), source.segments.len(), token)?;
    let samples = sample_at(source.span.start, rate)..sample_at(source.span.end, rate);
    let layers = match source.wish {
        Wish::Png(look) | Wish::Svg(look) => look.layers,
        Wish::Numbers { split: true, .. } => Layers::Split,
        Wish::Numbers { .. } | Wish::Silence(_) => Layers::Mix,
    };
    let tracks: Vec<Track> = match layers {
        Layers::Mix => vec![Track::Mix],
        _ => (0..usize::from(channels).min(MAX_CHANNELS)).map(Track::Channel).collect(),
    };
    let apart = layers != Layers::Mix && channels > 1;
    let (mut canvas, level) = match source.wish {
        Wish::Png(look) | Wish::Svg(look) => {
            let total = samples.end - samples.start;
            let columns = Columns::new(rate, samples.start, total, look.width, &tracks);
            (Canvas::Columns(columns, look), Columns::level(total, look.width))
        }
        Wish::Numbers { form, zoom, .. } => {
            let scale = scale(zoom, &samples)?;
            let pixels = pixels_of(samples, scale);
            let most = most_pixels(form, render.config.waveform.max_points);
            too_many((pixels.end - pixels.start).unsigned_abs() * tracks.len() as u64, most)?;
            let end = TimeBase::new(1, rate as i32).micros(pixels.end.saturating_mul(scale));
            source.segments.retain(|it| it.start().micros() < end + MARGIN);
            (
                Canvas::Pixels(Pixels::new(rate, scale, pixels, &tracks, form.bits()), form),
                Some(Pixels::level(scale)),
            )
        }
        Wish::Silence(quiet) => (Canvas::Silence(Silence::new(rate, samples, quiet.limit()), quiet), Some(0)),
    };
    let Some(level) = level else {
        decode_all(render, &source, &mut canvas, token)?;
        return finish(&source, canvas).map(Begun::Done);
    };
    let part = Part::with(level, apart);
    let missing = add_kept(render, &source.segments, part, &mut canvas, token)?;
    if missing.is_empty() {
        return finish(&source, canvas).map(Begun::Done);
    }
    let tasks = tasks(&missing);
    Ok(Begun::Cold(Arc::new(Cold { source, part, canvas: Mutex::new(Some(canvas)), tasks })))
}

/// Adds what is kept of the segments, and gives the places of those of which nothing is. Hours are asked for side by side
/// where seats are idle, from both ends, since those of one hour would wait for each other.
fn add_kept(
    render: &Render,
    segments: &[Segment],
    part: Part,
    canvas: &mut Canvas,
    token: &Token,
) -> Result<Vec<usize>> {
    let (mut first, mut pieces) = (0, VecDeque::new());
    for hour in segments.chunk_by(|a, b| a.hour() == b.hour()) {
        for piece in hour.chunks(KEPT_AT_ONCE) {
            pieces.push_back((first, piece));
            first += piece.len();
        }
    }
    let beside = pieces.len().saturating_sub(1).min(MOST_BESIDE);
    let (pieces, easel) = (Mutex::new((pieces, false)), canvas.shared());
    let found = Mutex::new(Ok(Vec::new()));
    let next = || {
        let (pieces, from_back) = &mut *pieces.lock();
        *from_back = !*from_back;
        if *from_back { pieces.pop_front() } else { pieces.pop_back() }
    };
    let work = || {
        while let Some((first, piece)) = next() {
            let add = |views: &[View<'_>]| easel.add(views);
            let missing = token.check().and_then(|()| render.kept_peaks(piece, part, add));
            let mut found = found.lock();
            match (&mut *found, missing) {
                (Ok(all), Ok(missing)) => all.extend(missing.into_iter().map(|at| first + at)),
                (Err(_), _) => return,
                (Ok(_), Err(error)) => *found = Err(error),
            }
        }
    };
    render.pool.seats(Lane::Interactive).with_idle(beside, &work);
    let mut missing = found.into_inner()?;
    missing.sort_unstable();
    Ok(missing)
}

/// Places in rows of neighbours, so that a decoder's run-in is at hand.
fn tasks(missing: &[usize]) -> Vec<Vec<usize>> {
    let rows = missing.chunk_by(|a, b| a + 1 == *b);
    rows.flat_map(|row| row.chunks(DECODED_AT_ONCE)).map(<[usize]>::to_vec).collect()
}

/// Samples a pixel.
fn scale(zoom: Zoom, samples: &Range<i64>) -> Result<i64> {
    let width = match zoom {
        Zoom::SamplesPerPixel(each) => return Ok(i64::from(each)),
        Zoom::Width(width) => i64::from(width),
    };
    let count = |scale: i64| {
        let pixels = pixels_of(samples.clone(), scale);
        pixels.end - pixels.start
    };
    let mut scale = ((samples.end - samples.start).div_euclid(width * BLOCK) * BLOCK).max(BLOCK);
    // Pixels lie on the clock, so that there may be one more than fits.
    while count(scale) > width && scale <= i64::from(MAX_SAMPLES_PER_PIXEL) {
        scale += BLOCK;
    }
    if scale > i64::from(MAX_SAMPLES_PER_PIXEL) {
        let detail = format!(
            "width must be at least {} for a range this long: a pixel is {MAX_SAMPLES_PER_PIXEL} samples at most",
            count(i64::from(MAX_SAMPLES_PER_PIXEL))
        );
        return Err(Error::invalid("invalid-number", "width", detail));
    }
    Ok(scale)
}

fn most_pixels(form: Form, points: u64) -> u64 {
    match form {
        Form::Dat(_) | Form::F32 => points,
        Form::Json(_) | Form::Wavesurfer => points / TEXT_SHARE,
    }
}

fn too_many(pixels: u64, most: u64) -> Result<()> {
    if pixels <= most {
        return Ok(());
    }
    let detail = format!(
        "samples_per_pixel must be larger: this would be {pixels} pixels over all channels, and {most} are allowed"
    );
    Err(Error::invalid("too-many-pixels", "samples_per_pixel", detail))
}

/// Draws from the samples themselves: a picture of seconds has fewer samples to a column than a block.
fn decode_all(render: &Render, source: &WaveformSource, canvas: &mut Canvas, token: &Token) -> Result<()> {
    let Canvas::Columns(columns, _) = canvas else { return Ok(()) };
    let mut sounds = Sounds::new(render, &source.segments);
    for at in 0..source.segments.len() {
        token.check()?;
        let decoded = sounds.decode(at, token, &mut |position, format, channels| {
            columns.add_samples(position, format.rate, channels);
            Ok(())
        });
        match decoded {
            // Part of a damaged segment is better than none of a day.
            Err(error) if matches!(error.kind, Kind::Damaged | Kind::Unsupported | Kind::NotFound) => {}
            outcome => outcome?,
        }
    }
    Ok(())
}

impl Cold {
    fn missing_micros(&self) -> i64 {
        self.tasks
            .iter()
            .flatten()
            .map(|at| self.source.segments[*at].duration())
            .fold(0, i64::saturating_add)
    }

    /// Decodes what one task has, and draws it.
    fn decode(&self, render: &Render, task: usize, token: &Token) -> Result<()> {
        let mut sounds = Sounds::new(render, &self.source.segments);
        for at in &self.tasks[task] {
            token.check()?;
            match sounds.make(*at, self.part, token) {
                // Gone since it was listed: a hole.
                Err(error) if error.kind == Kind::NotFound => {}
                Err(error) => return Err(error),
                Ok(bytes) => {
                    let view = view(self.part, &bytes)?;
                    if let Some(canvas) = &mut *self.canvas.lock() {
                        canvas.shared().add(&[view]);
                    }
                }
            }
        }
        Ok(())
    }
}

fn finish(source: &WaveformSource, canvas: Canvas) -> Result<Made> {
    if canvas.is_empty() {
        return Err(no_sound());
    }
    let bytes: Bytes = match canvas {
        Canvas::Columns(columns, look) => {
            picture(&Drawing { columns: &columns, look: &look, span: source.span }, &source.wish)?.into()
        }
        Canvas::Pixels(pixels, form) => {
            let (rate, scale, extremes) = (pixels.rate, pixels.scale(), pixels.into_extremes());
            let seconds = TimeBase::new(1, rate as i32).seconds(extremes.count() as i64 * scale);
            numbers::write(form, rate, scale as u32, seconds, extremes)
        }
        Canvas::Silence(silence, quiet) => silence::write(source.span, &silence, quiet)?.into(),
    };
    Ok(match source.settled {
        true => Made { bytes, tag: source.tag(), gzipped: false },
        false => Made::new(bytes),
    })
}

fn picture(drawing: &Drawing<'_>, wish: &Wish) -> Result<Vec<u8>> {
    match wish {
        Wish::Svg(_) => Ok(svg(drawing).into()),
        _ => png(drawing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_width_is_kept_wherever_the_span_begins() {
        for start in [0, 1, 255, 256, 82_000_000_000_017] {
            for (length, width) in [(1_000_000, 100), (48_000, 1), (300, 5), (4_147_200_000, 1024), (1, 1)] {
                let samples = start..start + length;
                let scale = scale(Zoom::Width(width), &samples).unwrap_or(256 * 65_536);
                let pixels = pixels_of(samples, scale);
                assert!(pixels.end - pixels.start <= i64::from(width), "{start} {length} {width}");
                assert!(scale % 256 == 0);
            }
        }
        let day = 0..86_400 * 48_000;
        let error = scale(Zoom::Width(10), &day).unwrap_err();
        assert!(error.detail.contains("at least 248"), "{}", error.detail);
    }

    #[test]
    fn tasks_are_neighbours() {
        let missing: Vec<usize> = (3..60).chain(70..72).collect();
        let lengths: Vec<(usize, usize)> = tasks(&missing).iter().map(|it| (it[0], it.len())).collect();
        assert_eq!(lengths, [(3, 24), (27, 24), (51, 9), (70, 2)]);
    }

    #[test]
    fn too_many_pixels_are_refused_before_they_are_made() {
        assert!(too_many(most_pixels(Form::F32, 100), 100).is_ok());
        let error = too_many(26, most_pixels(Form::Wavesurfer, 100)).unwrap_err();
        assert_eq!(error.parameter.as_deref(), Some("samples_per_pixel"));
    }
}
