//! Transitions: the pictures and the sound of two ranges mixed while one goes over into the other.

mod blend;
mod chroma;
mod shape;

use super::Transition;
use crate::base::{Error, Kind, Result};
use crate::media::ffi::{Frame, FrameMut, Graph, PictureInput, PixelFormat, choices};
use blend::Weights;
use shape::{Arrival, Shape};
use std::sync::LazyLock;

/// A transition by its name, with a sentence on what it looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    pub name: String,
    pub description: String,
}

/// The ones made here; a name of libavfilter's that stands here too is made here.
const OWN: [(&str, &str); 4] = [
    ("fade", "The pictures are faded into each other."),
    ("clockwipe", "A hand turns clockwise from twelve and uncovers the new picture behind it."),
    ("starwipe", "The new picture is seen through a five-pointed star that grows from the middle."),
    ("diamondwipe", "The new picture is seen through a rhombus that grows from the middle."),
];

/// Wants an expression, which a request does not give.
const CUSTOM: &str = "custom";

/// Every transition there is: those made here, then those of the xfade filter of the libav that is linked.
pub fn transitions() -> &'static [Description] {
    static ALL: LazyLock<Vec<Description>> = LazyLock::new(|| {
        let own = OWN.map(|(name, text)| Description { name: name.into(), description: text.into() });
        let filtered = choices("xfade", "transition")
            .into_iter()
            .filter(|(name, _)| name != CUSTOM && OWN.iter().all(|(own, _)| own != name));
        let filtered = filtered.map(|(name, help)| {
            let description = sentence(if help.is_empty() { &name } else { &help });
            Description { name, description }
        });
        own.into_iter().chain(filtered).collect()
    });
    &ALL
}

/// The longest transition, in seconds.
pub const MAX_SECONDS: f64 = 60.0;

/// Reads `NAME,SECONDS`; nothing at all is a hard cut.
///
/// # Errors
/// `invalid-transition` for what is neither, `unknown-transition` for a name there is not.
pub fn parse(text: &str) -> Result<Option<Transition>> {
    if text.is_empty() {
        return Ok(None);
    }
    let invalid = |detail: String| Error::invalid("invalid-transition", "transition", detail);
    let Some((name, seconds)) = text.split_once(',') else {
        return Err(invalid("transition must be NAME,SECONDS, or empty for a hard cut".into()));
    };
    if transitions().iter().all(|it| it.name != name) {
        let some: Vec<&str> = transitions().iter().take(8).map(|it| it.name.as_str()).collect();
        let name: String = name.chars().take(40).collect();
        let detail =
            format!("there is no transition '{name}'; /transitions lists them all: {} …", some.join(", "));
        return Err(Error::invalid("unknown-transition", "transition", detail));
    }
    match seconds.trim().parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= MAX_SECONDS => {
            Ok(Some(Transition { name: name.to_owned(), micros: (seconds * 1e6).round() as i64 }))
        }
        _ => {
            Err(invalid(format!("the seconds of a transition must be more than 0 and at most {MAX_SECONDS}")))
        }
    }
}

/// libav's note on a transition, with a capital and a full stop.
fn sentence(note: &str) -> String {
    let mut letters = note.chars();
    let first = letters.next().map(|it| it.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

enum Way {
    /// The same weight everywhere.
    Fade,
    /// A shape of ours; when it reaches each sample is known once the first pictures are.
    Wipe(Shape, Option<Box<Wipe>>),
    /// libavfilter's.
    Filter(String, Option<Graph>),
}

/// When a wipe reaches each sample, of luma and of chroma.
struct Wipe {
    luma: Arrival,
    chroma: Arrival,
}

/// Mixes the pictures of one transition, in the format they have.
pub struct Mixer {
    way: Way,
    frames: usize,
    done: usize,
    kind: Option<PictureInput>,
}

impl Mixer {
    /// A transition of `frames` pictures of both sides.
    ///
    /// # Errors
    /// `unknown-transition` for a name that is not one of [`transitions`].
    pub fn new(name: &str, frames: usize) -> Result<Self> {
        if transitions().iter().all(|it| it.name != name) {
            return Err(Error::invalid("unknown-transition", "transition", "there is no such transition"));
        }
        let way = match name {
            "fade" => Way::Fade,
            "clockwipe" => Way::Wipe(Shape::Clock, None),
            "starwipe" => Way::Wipe(Shape::Star, None),
            "diamondwipe" => Way::Wipe(Shape::Diamond, None),
            filtered => Way::Filter(filtered.to_owned(), None),
        };
        Ok(Self { way, frames: frames.max(1), done: 0, kind: None })
    }

    /// Mixes the next picture of both sides, counted from the first of the transition: picture k of n is k/n new.
    /// The result has the format, the time, the colour and the aspect of the left one.
    ///
    /// # Errors
    /// `unsupported-source` when the sides differ in size or format, or change, or are no planar YUV.
    pub fn mix(&mut self, left: Frame, right: Frame) -> Result<Frame> {
        let kind_of =
            |it: &Frame| PictureInput { format: it.format(), width: it.width(), height: it.height() };
        let kind = *self.kind.get_or_insert_with(|| kind_of(&left));
        if kind_of(&left) != kind || kind_of(&right) != kind {
            return Err(unsupported(
                "the pictures on both sides of a transition are not of one size and format",
            ));
        }
        let layout = Layout::of(kind)?;
        let at = self.done;
        self.done += 1;
        let share = at.min(self.frames) as f64 / self.frames as f64;
        match &mut self.way {
            Way::Fade => blended(&left, &right, layout, |_| Weights::Even(blend::weight(share))),
            Way::Wipe(shape, wipe) => {
                let wipe = wipe.get_or_insert_with(|| Box::new(Wipe::new(*shape, &left, layout)));
                blended(&left, &right, layout, |plane| {
                    let arrival = if plane == 0 { &wipe.luma } else { &wipe.chroma };
                    Weights::Reached(arrival, arrival.front(share))
                })
            }
            Way::Filter(name, graph) => {
                if graph.is_none() {
                    *graph = Some(filter(name, self.frames, layout.full_chroma(kind)?)?);
                }
                let Some(graph) = graph else { return Err(Error::internal("a filter graph is missing")) };
                let (before, after) = (to_full_chroma(&left, layout)?, to_full_chroma(&right, layout)?);
                graph.push(0, before, at)?;
                graph.push(1, after, at)?;
                let mixed = graph.pull(0)?.ok_or_else(|| Error::internal("a transition gave no picture"))?;
                from_full_chroma(&mixed, &left, layout)
            }
        }
    }
}

fn unsupported(detail: &str) -> Error {
    Error::new(Kind::Unsupported, "unsupported-source", detail)
}

fn filter(name: &str, frames: usize, kind: PictureInput) -> Result<Graph> {
    // The graph sees a picture each millisecond, so that n pictures last n ms exactly. The transition has begun a moment
    // before its first picture: at exactly its beginning, FFmpeg 5.1 reads a row or a column past the end of the
    // pictures it slides.
    let format = kind.format.name();
    let description =
        format!("[in0][in1]xfade=transition={name}:duration={frames}ms:offset=-16us,format={format}[out]");
    Graph::of_pictures(&description, kind, 2)
}

/// How the samples of a planar YUV format lie.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// Bytes a sample.
    bytes: usize,
    /// log2 of horizontal and vertical chroma subsampling.
    shift: (u8, u8),
}

impl Layout {
    fn of(kind: PictureInput) -> Result<Self> {
        let refuse = || unsupported("transitions take planar YUV with three planes");
        let name = kind.format.name();
        // yuva… has a fourth plane, and big-endian samples no machine of today decodes to.
        let planar = name.strip_prefix("yuvj").or(name.strip_prefix("yuv")).ok_or_else(refuse)?;
        if !planar.starts_with('4') || !planar.contains('p') || name.ends_with("be") {
            return Err(refuse());
        }
        let bytes = if kind.format.depth() > 8 { 2 } else { 1 };
        Ok(Self { bytes, shift: kind.format.chroma_shift() })
    }

    /// The same pictures with as much chroma as luma, which is what xfade takes. Ranges make no difference to it.
    fn full_chroma(self, kind: PictureInput) -> Result<PictureInput> {
        let depth = kind.format.depth();
        let name = if self.bytes == 1 { "yuv444p".to_owned() } else { format!("yuv444p{depth}le") };
        let format =
            PixelFormat::named(&name).ok_or_else(|| unsupported("no transition takes samples this deep"))?;
        Ok(PictureInput { format, ..kind })
    }
}

impl Wipe {
    fn new(shape: Shape, picture: &Frame, layout: Layout) -> Self {
        let (width, height) = (picture.width(), picture.height());
        let (num, den) = picture.sample_aspect();
        // As it is seen: a sample is num/den times as wide as it is high.
        let seen = (width as f32 * num as f32 / den as f32, height as f32);
        let (x, y) = layout.shift;
        let chroma = (width.div_ceil(1 << x), height.div_ceil(1 << y));
        Self { luma: Arrival::new(shape, (width, height), seen), chroma: Arrival::new(shape, chroma, seen) }
    }
}

/// Width and height of `plane` in samples.
fn plane_size(frame: &Frame, layout: Layout, plane: usize) -> (usize, usize) {
    let (x, y) = if plane == 0 { (0, 0) } else { layout.shift };
    (frame.width().div_ceil(1 << x), frame.height().div_ceil(1 << y))
}

fn blended<'a>(
    left: &Frame,
    right: &Frame,
    layout: Layout,
    weights: impl Fn(usize) -> Weights<'a>,
) -> Result<Frame> {
    let mut out = FrameMut::picture(left.format(), left.width(), left.height())?;
    out.copy_properties(left)?;
    for plane in 0..3 {
        let (width, height) = plane_size(left, layout, plane);
        let weights = weights(plane);
        let ((from, from_stride), (to, to_stride)) = (left.plane(plane), right.plane(plane));
        let (target, stride) = out.plane_mut(plane);
        for row in 0..height {
            let line = |bytes: usize| bytes * row..bytes * row + width * layout.bytes;
            let (Some(from), Some(to), Some(target)) =
                (from.get(line(from_stride)), to.get(line(to_stride)), target.get_mut(line(stride)))
            else {
                return Err(Error::damaged("a picture without its samples"));
            };
            blend::row(from, to, target, layout.bytes, weights, row);
        }
    }
    Ok(out.freeze())
}

fn to_full_chroma(frame: &Frame, layout: Layout) -> Result<Frame> {
    let kind = PictureInput { format: frame.format(), width: frame.width(), height: frame.height() };
    let mut out = FrameMut::picture(layout.full_chroma(kind)?.format, frame.width(), frame.height())?;
    for plane in 0..3 {
        let shift = if plane == 0 { (0, 0) } else { layout.shift };
        let (target, stride) = out.plane_mut(plane);
        let (source, from) = frame.plane(plane);
        let size = (frame.width(), frame.height());
        chroma::spread((source, from), (target, stride), size, shift, layout.bytes);
    }
    Ok(out.freeze())
}

fn from_full_chroma(mixed: &Frame, like: &Frame, layout: Layout) -> Result<Frame> {
    let mut out = FrameMut::picture(like.format(), like.width(), like.height())?;
    out.copy_properties(like)?;
    for plane in 0..3 {
        let shift = if plane == 0 { (0, 0) } else { layout.shift };
        let (target, stride) = out.plane_mut(plane);
        let (source, from) = mixed.plane(plane);
        let size = (like.width(), like.height());
        chroma::gather((source, from), (target, stride), size, shift, layout.bytes);
    }
    Ok(out.freeze())
}

/// Samples `from..` of a cross-fade over `of` samples: both sides change linearly, as libavfilter's acrossfade does by
/// default (its curve `tri`), so that equal sound stays as loud as it is.
pub fn crossfade(left: &[f32], right: &[f32], from: usize, of: usize) -> Vec<f32> {
    let of = of.max(1) as f32;
    let sample = |(at, (left, right)): (usize, (&f32, &f32))| {
        let share = ((from + at) as f32 / of).min(1.0);
        left * (1.0 - share) + right * share
    };
    left.iter().zip(right).enumerate().map(sample).collect()
}

#[cfg(test)]
mod tests;
