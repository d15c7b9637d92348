//! Encoders for the edges of VP9 and AV1: no picture hidden, none reordered, so that an edge ends where its last
//! picture does.

use crate::base::Result;
use crate::media::ffi::{Encoder, VideoSettings};

/// Quantiser of VP9's edges, 0 to 63: about x264's constant rate factor 18.
const VP9_QUALITY: &str = "24";
/// Quantiser of AV1's edges, 0 to 63.
const AV1_QUALITY: &str = "22";

/// How fast libvpx and libaom are to be, for x264's preset.
fn speed(preset: &str) -> u8 {
    match preset {
        "ultrafast" | "superfast" => 8,
        "veryfast" | "faster" => 6,
        "fast" | "medium" => 4,
        _ => 2,
    }
}

fn options(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// An encoder of VP9 for pictures as `plain` tells; the profile follows from their format.
pub fn vp9(plain: VideoSettings, preset: &str) -> Result<Encoder> {
    let speed = speed(preset).to_string();
    let options = options(&[
        ("deadline", "good"),
        ("cpu-used", &speed.parse::<u8>().map_or(5, |it| it.min(5)).to_string()),
        ("auto-alt-ref", "0"),
        ("lag-in-frames", "0"),
        ("crf", VP9_QUALITY),
    ]);
    Encoder::video(&VideoSettings { codec: "libvpx-vp9".into(), options, ..plain })
}

/// An encoder of AV1, libaom or else SVT-AV1, for pictures as `plain` tells.
pub fn av1(plain: VideoSettings, preset: &str) -> Result<Encoder> {
    let speed = speed(preset).to_string();
    let aom = options(&[
        ("usage", "realtime"),
        ("cpu-used", &speed),
        ("lag-in-frames", "0"),
        ("auto-alt-ref", "0"),
        ("crf", AV1_QUALITY),
    ]);
    let made = Encoder::video(&VideoSettings { codec: "libaom-av1".into(), options: aom, ..plain.clone() });
    if !matches!(&made, Err(error) if error.code == "no-encoder") {
        return made;
    }
    // Low delay: every picture is shown when it is coded.
    let svt = options(&[("preset", &speed), ("crf", AV1_QUALITY), ("svtav1-params", "pred-struct=1")]);
    Encoder::video(&VideoSettings { codec: "libsvtav1".into(), options: svt, ..plain })
}
