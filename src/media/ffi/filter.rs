//! Filter graphs: pictures in where they want some, frames out of their sinks; and what a filter's options may say.

use super::frame::{Frame, PixelFormat};
use super::{EAGAIN, c_string, check, ffi, out_of_memory};
use crate::base::{Error, Result};
use std::ptr::NonNull;

/// A graph whose open ends are sinks named `out0`, `out1`, … in its description.
pub struct Graph {
    graph: NonNull<ffi::AVFilterGraph>,
    /// Borrowed from the graph, which outlives them here.
    sinks: Vec<*mut ffi::AVFilterContext>,
    inputs: Vec<*mut ffi::AVFilterContext>,
}

/// Ticks of an input's clock from one of its pictures to the next. The filters see a picture each millisecond.
const PICTURE_TICKS: i64 = 64;

/// Pictures a graph is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureInput {
    pub format: PixelFormat,
    pub width: usize,
    pub height: usize,
}

// SAFETY: a graph may move between threads as long as one uses it at a time.
unsafe impl Send for Graph {}

impl Graph {
    /// Builds `description`, in libavfilter's language, with one buffer sink a label in `video` and one abuffersink a
    /// label in `audio`; sinks are numbered in that order.
    pub fn sources(description: &str, video: &[&str], audio: &[&str]) -> Result<Self> {
        Self::build(description.to_owned(), 0, video, audio)
    }

    /// Builds `description`, which takes pictures like `input` at its labels `in0`, `in1`, … (`inputs` of them) and
    /// gives pictures at `out`.
    pub fn of_pictures(description: &str, input: PictureInput, inputs: usize) -> Result<Self> {
        let PictureInput { format, width, height } = input;
        let mut text = String::new();
        for number in 0..inputs {
            text.push_str(&format!(
                "buffer@in{number}=video_size={width}x{height}:pix_fmt={}:time_base=1/64000:frame_rate=1000/1:\
                 pixel_aspect=1/1[in{number}];",
                format.name()
            ));
        }
        text.push_str(description);
        Self::build(text, inputs, &["out"], &[])
    }

    fn build(mut text: String, inputs: usize, video: &[&str], audio: &[&str]) -> Result<Self> {
        super::initialise();
        for label in video {
            text.push_str(&format!(";[{label}]buffersink@{label}"));
        }
        for label in audio {
            text.push_str(&format!(";[{label}]abuffersink@{label}"));
        }
        let text = c_string(&text)?;
        // SAFETY: the graph is ours; parse2 gives back lists of open ends, which we free and which must be empty.
        unsafe {
            let graph =
                NonNull::new(ffi::avfilter_graph_alloc()).ok_or_else(|| out_of_memory("filter graph"))?;
            let mut this = Self { graph, sinks: Vec::new(), inputs: Vec::new() };
            (*graph.as_ptr()).nb_threads = 1;
            let (mut ins, mut outs) = (std::ptr::null_mut(), std::ptr::null_mut());
            let code = ffi::avfilter_graph_parse2(graph.as_ptr(), text.as_ptr(), &mut ins, &mut outs);
            let open_ends = !ins.is_null() || !outs.is_null();
            ffi::avfilter_inout_free(&mut ins);
            ffi::avfilter_inout_free(&mut outs);
            check("building a filter graph", code)?;
            if open_ends {
                return Err(Error::internal("a filter graph has open ends"));
            }
            check(
                "building a filter graph",
                ffi::avfilter_graph_config(graph.as_ptr(), std::ptr::null_mut()),
            )?;
            for (kind, label) in
                video.iter().map(|it| ("buffersink", it)).chain(audio.iter().map(|it| ("abuffersink", it)))
            {
                let name = c_string(&format!("{kind}@{label}"))?;
                let sink = ffi::avfilter_graph_get_filter(graph.as_ptr(), name.as_ptr().cast_mut());
                if sink.is_null() {
                    return Err(Error::internal("a filter graph lost its sink"));
                }
                this.sinks.push(sink);
            }
            for number in 0..inputs {
                let name = c_string(&format!("buffer@in{number}"))?;
                let input = ffi::avfilter_graph_get_filter(graph.as_ptr(), name.as_ptr().cast_mut());
                if input.is_null() {
                    return Err(Error::internal("a filter graph lost its input"));
                }
                this.inputs.push(input);
            }
            Ok(this)
        }
    }

    /// Gives an input its picture number `number`, which has the time of as many milliseconds.
    pub fn push(&mut self, input: usize, mut frame: Frame, number: usize) -> Result<()> {
        let input = *self.inputs.get(input).ok_or_else(|| Error::internal("no such input"))?;
        frame.set_pts(Some(number as i64 * PICTURE_TICKS));
        // SAFETY: the input belongs to our configured graph; it takes the frame's references and leaves it empty.
        check("filtering", unsafe { ffi::av_buffersrc_add_frame_flags(input, frame.as_ptr(), 0) }).map(drop)
    }

    /// The next frame of a sink, `None` at its end or while its inputs are waited for.
    pub fn pull(&mut self, sink: usize) -> Result<Option<Frame>> {
        let sink = *self.sinks.get(sink).ok_or_else(|| Error::internal("no such sink"))?;
        let frame = Frame::empty()?;
        // SAFETY: the sink belongs to our graph; on success the frame holds references of its own.
        let code = unsafe { ffi::av_buffersink_get_frame(sink, frame.as_ptr()) };
        if code == ffi::AVERROR_EOF || code == ffi::AVERROR(EAGAIN) {
            return Ok(None);
        }
        check("filtering", code)?;
        Ok(Some(frame))
    }

    /// Gives an audio sink frames of exactly `samples` samples (the last may be shorter).
    pub fn set_frame_samples(&mut self, sink: usize, samples: usize) {
        if let Some(sink) = self.sinks.get(sink) {
            // SAFETY: the sink is an abuffersink of our configured graph.
            unsafe { ffi::av_buffersink_set_frame_size(*sink, samples as u32) };
        }
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        let mut raw = self.graph.as_ptr();
        // SAFETY: frees the graph and its filters, once.
        unsafe { ffi::avfilter_graph_free(&mut raw) };
    }
}

/// The names an option of a filter can be set to, with what libav says of each, in its order. Empty where this build
/// has no such filter or option.
pub fn choices(filter: &str, option: &str) -> Vec<(String, String)> {
    super::initialise();
    let Ok(name) = c_string(filter) else { return Vec::new() };
    let text = |pointer: *const std::ffi::c_char| {
        // SAFETY: strings of a filter's options are static, NUL-terminated and null where there is none.
        if pointer.is_null() { None } else { unsafe { std::ffi::CStr::from_ptr(pointer) }.to_str().ok() }
    };
    let (mut unit, mut found) = (None, Vec::new());
    // SAFETY: a filter's class is static; av_opt_next takes a pointer to a pointer to a class, and walks that class's
    // static table of options. The kind of an option is read as the integer it is.
    unsafe {
        let filter = ffi::avfilter_get_by_name(name.as_ptr());
        if filter.is_null() || (*filter).priv_class.is_null() {
            return Vec::new();
        }
        let class = std::ptr::addr_of!((*filter).priv_class);
        let mut entry = std::ptr::null();
        loop {
            entry = ffi::av_opt_next(class.cast(), entry);
            if entry.is_null() {
                return found;
            }
            let Some(name) = text((*entry).name) else { continue };
            let constant = super::enum_field!(entry, type_) == ffi::AVOptionType::AV_OPT_TYPE_CONST as i32;
            if constant && unit.is_some() && text((*entry).unit) == unit {
                found.push((name.to_owned(), text((*entry).help).unwrap_or_default().to_owned()));
            } else if !constant && name == option {
                unit = text((*entry).unit);
            }
        }
    }
}
