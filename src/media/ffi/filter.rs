//! Filter graphs that only give: sources inside, sinks outside.

use super::frame::Frame;
use super::{EAGAIN, c_string, check, ffi, out_of_memory};
use crate::base::{Error, Result};
use std::ptr::NonNull;

/// A graph whose open ends are sinks named `out0`, `out1`, … in its description.
pub struct Graph {
    graph: NonNull<ffi::AVFilterGraph>,
    /// Borrowed from the graph, which outlives them here.
    sinks: Vec<*mut ffi::AVFilterContext>,
}

// SAFETY: a graph may move between threads as long as one uses it at a time.
unsafe impl Send for Graph {}

impl Graph {
    /// Builds `description`, in libavfilter's language, with one buffer sink a label in `video` and one abuffersink a
    /// label in `audio`; sinks are numbered in that order.
    pub fn sources(description: &str, video: &[&str], audio: &[&str]) -> Result<Self> {
        super::initialise();
        let mut text = description.to_owned();
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
            let mut this = Self { graph, sinks: Vec::new() };
            (*graph.as_ptr()).nb_threads = 1;
            let (mut inputs, mut outputs) = (std::ptr::null_mut(), std::ptr::null_mut());
            let code = ffi::avfilter_graph_parse2(graph.as_ptr(), text.as_ptr(), &mut inputs, &mut outputs);
            let open_ends = !inputs.is_null() || !outputs.is_null();
            ffi::avfilter_inout_free(&mut inputs);
            ffi::avfilter_inout_free(&mut outputs);
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
            Ok(this)
        }
    }

    /// The next frame of a sink, `None` at its end.
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
