//! What FFmpeg's programs say about a stream. Any word on their error channel is a fault.

use std::path::Path;
use std::process::{Command, Stdio};

/// A packet as ffprobe reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub stream: usize,
    /// In ticks of 90 kHz. FFmpeg takes times near the end of the 33 bits for negative ones.
    pub pts: i64,
    pub dts: i64,
    pub size: usize,
    pub key: bool,
}

/// The packets of all streams, in the order of the file.
pub fn packets(stream: &[u8]) -> Vec<Packet> {
    let arguments = ["-show_entries", "packet=stream_index,pts,dts,size,flags", "-of", "csv=p=0"];
    let text = run("ffprobe", stream, &[], &arguments);
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            let fields: Vec<_> = line.split(',').collect();
            let number = |at: usize| fields[at].parse::<i64>().unwrap_or_else(|_| panic!("{line}"));
            Packet {
                stream: number(0) as usize,
                pts: number(1),
                dts: number(2),
                size: number(3) as usize,
                key: fields[4].starts_with('K'),
            }
        })
        .collect()
}

/// The hash of every picture and every frame of sound, in order, each with the number of its stream.
pub fn decode(stream: &[u8]) -> Vec<(usize, String)> {
    let arguments = [
        "-map",
        "0",
        "-fps_mode",
        "passthrough",
        "-c:v",
        "rawvideo",
        "-c:a",
        "pcm_f32le",
        "-f",
        "framemd5",
        "-",
    ];
    let text = run("ffmpeg", stream, &["-i"], &arguments);
    text.lines()
        .filter(|line| !line.is_empty())
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let fields: Vec<_> = line.split(',').map(str::trim).collect();
            (fields[0].parse().expect("a stream"), fields[5].to_owned())
        })
        .collect()
}

// The judge is FFmpeg's own program, not the library that is tested.
#[allow(clippy::disallowed_methods)]
fn run(program: &str, stream: &[u8], before: &[&str], arguments: &[&str]) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("stream.ts");
    std::fs::write(&path, stream).expect("a file");
    let path: &Path = &path;
    let output = Command::new(program)
        .args(["-hide_banner", "-v", "error"])
        .args(before)
        .arg(path)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|fault| panic!("{program}: {fault}; scripts/prepare.sh test installs it"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{program}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}
