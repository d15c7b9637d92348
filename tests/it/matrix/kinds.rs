//! The sources of the matrix, as recipes: small pictures, a keyframe about every two seconds, sound of clicks.

use moviola::base::Timestamp;
use moviola::media::synthetic::{Coder, Pace, Picture, Recipe, Sound, Voice};

/// Every source runs over a full hour, so that its segments lie in two folders.
const START: &str = "2024-11-09T12:59:54.437000";

/// H.264 with two B-frames, closed GOPs of a second and a half, at 30 pictures a second: eight seconds, of a full run twelve.
pub fn h264_closed() -> Recipe {
    Recipe {
        start: Timestamp::parse("start", START).expect("a time"),
        first_second: 63,
        frames: if super::is_full() { 360 } else { 240 },
        pace: Pace::Steady(30, 1),
        segments: vec![45],
        at_keys: true,
        picture: Picture {
            width: 432,
            height: 240,
            format: "yuv420p".into(),
            full_range: false,
            interlaced: None,
        },
        coder: Coder::x264("superfast", 24, 45, 2),
        sound: Sound { codec: "aac".into(), bit_rate: 128_000, voice: Voice::Clicks },
    }
}

/// The plain source with another coder: keyframes every `gop` pictures where the coder wants them.
fn coded(name: &str, gop: u64, b_frames: usize, options: &[(&str, &str)]) -> Recipe {
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let coder = Coder { name: name.into(), gop, b_frames, forced: false, bit_rate: 0, options };
    Recipe { coder, ..h264_closed() }
}

fn x264(b_frames: usize, params: &str) -> Recipe {
    let params = format!("scenecut=0:keyint=45:min-keyint=45:{params}");
    coded("libx264", 45, b_frames, &[("preset", "superfast"), ("crf", "24"), ("x264-params", &params)])
}

fn x265(gop: u64, format: &str, params: &str) -> Recipe {
    let params =
        format!("log-level=none:scenecut=0:keyint={gop}:min-keyint={gop}:pools=1:frame-threads=1:{params}");
    let options = [("preset", "ultrafast"), ("crf", "26"), ("x265-params", &*params)];
    let mut recipe = coded("libx265", gop, 3, &options);
    recipe.picture.format = format.into();
    recipe
}

/// Twelve seconds: not every group of an encoder that chooses for itself has leading pictures.
fn long(recipe: Recipe) -> Recipe {
    Recipe { frames: 360, ..recipe }
}

fn at(recipe: Recipe, frames: i32, seconds: i32) -> Recipe {
    Recipe { pace: Pace::Steady(frames, seconds), ..recipe }
}

/// The recipe in another format of pixels, with x264's name of a profile that has it.
fn pixels(mut recipe: Recipe, format: &str, profile: &str) -> Recipe {
    recipe.picture.format = format.into();
    for (key, value) in &mut recipe.coder.options {
        if key == "profile" {
            *value = profile.into();
        }
    }
    recipe
}

fn interlaced(mut recipe: Recipe, top_first: bool) -> Recipe {
    recipe.picture.interlaced = Some(top_first);
    recipe
}

/// Keyframes are recovery points behind which leading pictures reach back over them.
pub fn h264_open() -> Recipe {
    long(x264(3, "open-gop=1:aud=1"))
}

pub fn h264_pyramid() -> Recipe {
    x264(7, "open-gop=0:b-pyramid=normal:b-adapt=0:ref=4")
}

pub fn h264_open_pyramid() -> Recipe {
    long(x264(5, "open-gop=1:b-pyramid=normal:b-adapt=0:ref=4"))
}

/// A column of intra blocks that wanders over the picture; no keyframe but the first.
pub fn h264_intra_refresh() -> Recipe {
    x264(0, "intra-refresh=1")
}

pub fn h264_mbaff_top() -> Recipe {
    at(interlaced(x264(2, "open-gop=0:tff=1"), true), 25, 1)
}

pub fn h264_mbaff_bottom() -> Recipe {
    at(interlaced(x264(2, "open-gop=0:bff=1"), false), 30_000, 1001).starting(1001)
}

/// Progressive pictures in a stream that says fields may come.
pub fn h264_fake_interlaced() -> Recipe {
    at(x264(2, "open-gop=0:fake-interlaced=1"), 25, 1)
}

pub fn h264_uneven() -> Recipe {
    let lengths = vec![3_000, 3_003, 1_500, 6_000, 2_997, 4_500, 3_750, 1_800, 9_000, 3_600, 2_700];
    // The sound of a shorter one ends before its pictures.
    long(Recipe { pace: Pace::Uneven(lengths), ..h264_closed() })
}

pub fn h264_422_ten_bits() -> Recipe {
    pixels(h264_closed(), "yuv422p10le", "high422")
}

pub fn h264_full_range() -> Recipe {
    let mut recipe = h264_closed();
    recipe.picture.full_range = true;
    recipe
}

pub fn h264_no_b() -> Recipe {
    Recipe { coder: Coder::x264("superfast", 24, 45, 0), ..h264_closed() }
}

/// No CABAC, no B-frames, one reference.
pub fn h264_baseline() -> Recipe {
    pixels(h264_no_b(), "yuv420p", "baseline")
}

/// The 33 bits of the clock run over about six seconds in, in the middle of a GOP.
pub fn h264_wrap() -> Recipe {
    h264_closed().starting((1 << 33) / 90_000 - 6)
}

pub fn h264_25() -> Recipe {
    at(h264_closed(), 25, 1)
}

pub fn h264_2997() -> Recipe {
    at(h264_closed(), 30_000, 1001).starting(1001)
}

pub fn h264_60() -> Recipe {
    Recipe {
        frames: if super::is_full() { 600 } else { 400 },
        segments: vec![90],
        coder: Coder::x264("superfast", 26, 90, 2),
        ..at(h264_closed(), 60, 1)
    }
}

/// One to three GOPs a segment.
pub fn h264_irregular() -> Recipe {
    Recipe { segments: vec![50, 30, 90, 20], coder: Coder::x264("superfast", 24, 30, 2), ..h264_closed() }
}

/// Segments begin anywhere in a GOP.
pub fn h264_unaligned() -> Recipe {
    Recipe { segments: vec![55, 40, 62], at_keys: false, ..h264_closed() }
}

pub fn hevc_closed() -> Recipe {
    x265(45, "yuv420p", "open-gop=0")
}

/// CRA pictures with RASL pictures behind them: a GOP that is no multiple of four leaves B-frames over.
pub fn hevc_open() -> Recipe {
    long(x265(47, "yuv420p", "open-gop=1"))
}

pub fn hevc_ten_bits() -> Recipe {
    x265(45, "yuv420p10le", "open-gop=0")
}

fn mpeg2(flags: &str) -> Recipe {
    let mut recipe = at(coded("mpeg2video", 15, 2, &[("flags", flags), ("b_strategy", "0")]), 25, 1);
    recipe.coder.bit_rate = 3_000_000;
    recipe.sound.codec = "ac3".into();
    recipe.sound.bit_rate = 192_000;
    recipe
}

pub fn mpeg2_open() -> Recipe {
    mpeg2("-cgop")
}

pub fn mpeg2_closed() -> Recipe {
    let mut recipe = mpeg2("+cgop");
    // The encoder insists: a scene change may not open a GOP of its own.
    recipe.coder.options.push(("sc_threshold".into(), "1000000000".into()));
    recipe
}

pub fn mpeg2_interlaced() -> Recipe {
    interlaced(mpeg2("-cgop"), true)
}

/// With another coder of sound.
pub fn with_sound(mut recipe: Recipe, codec: &str) -> Recipe {
    recipe.sound.codec = codec.into();
    recipe
}

/// A change in how a recipe starts.
trait Starting {
    /// With its first picture at this second of the stream's clock.
    fn starting(self, second: i64) -> Self;
}

impl Starting for Recipe {
    fn starting(self, second: i64) -> Self {
        Self { first_second: second, ..self }
    }
}

/// Pictures hidden in the packets of others.
pub fn vp9() -> Recipe {
    let lag = [("deadline", "good"), ("cpu-used", "8"), ("lag-in-frames", "16"), ("crf", "32"), ("b", "0")];
    coded("libvpx-vp9", 45, 0, &lag)
}

pub fn av1() -> Recipe {
    coded("libaom-av1", 45, 0, &[("usage", "realtime"), ("cpu-used", "8"), ("crf", "35")])
}
