//! What a file of media is, for a person or a script to read.

use super::ffi::{StreamInfo, StreamKind, codec_name, versions};
use super::source::open_probed;
use crate::base::time::SECOND;
use crate::base::{Error, Result, Token};
use serde::Serialize;
use std::path::Path;

/// A container and its streams.
#[derive(Debug, Clone, Serialize)]
pub struct Probe {
    /// libav's name of the container.
    pub container: String,
    pub bytes: u64,
    /// In seconds, where the container tells it.
    pub duration: Option<f64>,
    pub streams: Vec<Stream>,
}

/// One stream. What does not apply to its kind is left out.
#[derive(Debug, Clone, Serialize)]
pub struct Stream {
    pub index: usize,
    pub kind: &'static str,
    pub codec: String,
    /// Seconds per tick, as a fraction.
    pub time_base: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixel_format: Option<&'static str>,
    /// Pictures a second on average, as a fraction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<String>,
    /// Degrees clockwise the picture must be turned to be seen upright.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<u32>,
    /// True where it must be mirrored from left to right after that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mirrored: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u32>,
    /// Bits a second, where the container tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit_rate: Option<i64>,
}

/// Looks into a file.
pub fn probe(path: &Path, token: &Token) -> Result<Probe> {
    let bytes =
        std::fs::metadata(path).map_err(|error| Error::io("the file could not be read", &error))?.len();
    let demuxer = open_probed(path, token)?;
    Ok(Probe {
        container: demuxer.format_name(),
        bytes,
        duration: demuxer.duration().map(|micros| micros as f64 / SECOND as f64),
        streams: demuxer.streams().iter().map(describe).collect(),
    })
}

fn describe(stream: &StreamInfo) -> Stream {
    let (video, audio) = (stream.kind == StreamKind::Video, stream.kind == StreamKind::Audio);
    let (num, den) = stream.frame_rate;
    Stream {
        index: stream.index,
        kind: match stream.kind {
            StreamKind::Video => "video",
            StreamKind::Audio => "audio",
            StreamKind::Other => "other",
        },
        codec: codec_name(stream.codec),
        time_base: format!("{}/{}", stream.time_base.num, stream.time_base.den),
        width: video.then_some(stream.width),
        height: video.then_some(stream.height),
        pixel_format: video.then(|| stream.format.name()),
        frame_rate: (video && num > 0).then(|| format!("{num}/{den}")),
        rotation: (video && stream.turn.degrees != 0).then_some(stream.turn.degrees),
        mirrored: video && stream.turn.mirrored,
        sample_rate: audio.then_some(stream.sample_rate),
        channels: audio.then_some(stream.channels),
        bit_rate: Some(stream.bit_rate).filter(|rate| *rate > 0),
    }
}

/// The libav this process runs on, a line a library.
pub fn libraries() -> Vec<String> {
    versions()
}
