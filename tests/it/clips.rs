//! Frames of real clips, as files and as segments, beside a straight decode of each. MOVIOLA_PICTURES in the environment
//! says how many are asked for of each clip; without it only a few clips are looked at.
#![allow(clippy::disallowed_methods)]

use crate::client::Server;
use crate::judge::{self, Judge};
use crate::matrix::variable;
use crate::media::Random;
use crate::picture::{drawn, straight};
use moviola::base::{Kind, Timestamp, Token};
use moviola::config::Config;
use moviola::media::Clip;
use moviola::render::frame::of_file;
use moviola::render::frame::wish::{Format, Wish};
use std::path::{Path, PathBuf};

fn media() -> Option<PathBuf> {
    let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media");
    if media.is_dir() {
        return Some(media);
    }
    println!("skipped: there are no clips at {}", media.display());
    None
}

fn draw(path: &Path, micros: i64, format: Format) -> moviola::base::Result<Vec<u8>> {
    let wish = Wish::read(Timestamp::from_micros(micros), |_| Ok(None)).expect("a wish");
    of_file(path, &wish, format, &Config::default().frame, &Token::root()).map(|it| it.bytes.to_vec())
}

#[test]
fn real_clips_are_seen_upright_and_damaged_ones_harm_nobody() {
    let Some(media) = media() else { return };
    for (name, expected) in [
        ("rotation/decord_video_0.mov", (568, 320)),
        ("rotation/decord_video_90.mov", (320, 568)),
        ("rotation/decord_video_180.mov", (568, 320)),
        ("rotation/decord_video_270.mov", (320, 568)),
    ] {
        let made = draw(&media.join(name), 0, Format::Jpeg).expect("a frame");
        let picture = image::load_from_memory(&made).expect("a picture");
        assert_eq!((picture.width(), picture.height()), expected, "{name}");
    }
    for entry in std::fs::read_dir(media.join("corrupt")).expect("clips").flatten() {
        if let Err(error) = draw(&entry.path(), 0, Format::Png) {
            let sound = matches!(error.kind, Kind::Damaged | Kind::Unsupported | Kind::NotFound);
            assert!(sound, "{}: {error:?}", entry.path().display());
        }
    }
}

/// When the pictures of a straight decode come on screen, in microseconds from the first.
fn times(judge: &Judge, straight: &Clip) -> Vec<i64> {
    let mut times: Vec<i64> = judge.packets(&straight.path, "v").iter().map(|it| it.pts * 1000).collect();
    times.sort_unstable();
    let first = times.first().copied().unwrap_or(0);
    times.iter().map(|it| it - first).collect()
}

/// Compares frames at random times with those of a straight decode, as `ask` gives them; what is wrong with them.
fn compare(
    name: &str,
    straight: &Clip,
    times: &[i64],
    ask: impl Fn(i64) -> Result<Vec<u8>, String>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let mut random = Random(times.len() as u64);
    let usable: Vec<(i64, i64)> =
        times.windows(2).map(|it| (it[0], it[1])).filter(|it| it.1 - it.0 >= 4_000).collect();
    for _ in 0..variable("MOVIOLA_PICTURES", 3) {
        let Some((from, to)) = usable.get(random.below(usable.len().max(1) as i64) as usize) else { break };
        // Matroska counts in milliseconds, so a straight decode's times are half of one off.
        let at = from + 1_000 + random.below(to - from - 2_000);
        match ask(at) {
            Ok(body) if body == drawn(straight, (from + to) / 2) => {}
            Ok(_) => faults.push(format!("{name}: another picture at {at} us ({from} to {to})")),
            Err(error) => faults.push(format!("{name}: at {at} us: {error}")),
        }
    }
    faults
}

/// Clips whose straight decode is no judge, and why.
const LEFT_OUT: [(&str, &str); 7] = [
    ("torchcodec_nasa_13013.mp4", "its first pictures are not its best ones"),
    ("membrane-h26x-plugin_input-sps-pps-non-idr.h264", "it has no keyframe"),
    ("openh264_BA_MW_D_IDR_LOST.264", "its keyframe is lost"),
    ("openh264_Error_I_P.264", "it is damaged, and its size changes"),
    (
        "membrane-h26x-plugin_ref_video_variable_parameters.mp4",
        "FFmpeg enlarges its second half to the first's size",
    ),
    ("androidx_sample_shorter_audio.mp4", "its full range is not told by the straight file"),
    ("androidx_dolbyVision-hdr.MOV", "chroma of ten bits is interpolated before it is turned"),
];

#[test]
fn frames_of_real_clips_are_those_of_a_straight_decode() {
    let (Some(media), Some(judge)) = (media(), judge::ffmpeg()) else { return };
    let all = std::env::var_os("MOVIOLA_PICTURES").is_some();
    let folders = [
        "h264",
        "hevc",
        "av1-vp9",
        "interlaced-mpeg2",
        "rotation",
        "vfr-2997",
        "ts",
        "edit-lists",
        "silent-partial",
    ];
    let some = [
        "androidx_h265_bframes.mp4",
        "torchcodec_h264_10bits.mp4",
        "openh264_MR1_BT_A.h264",
        "androidx_iibbibb_editlist_videoonly.mp4",
        "androidx_sample_edit_list_only_preroll_sync_sample.mp4",
        "androidx_sample_rotate_and_reflect.mp4",
    ];
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in folders {
        files.extend(std::fs::read_dir(media.join(folder)).expect("clips").flatten().map(|it| it.path()));
    }
    files.sort();
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    files.retain(|it| all || some.contains(&&*name(it)));
    let (mut faults, mut compared) = (Vec::new(), 0);
    for path in &files {
        let name = name(path);
        if let Some((_, why)) = LEFT_OUT.iter().find(|it| it.0 == name) {
            println!("{name}: left out: {why}");
            continue;
        }
        if !judge.values(path, "stream=codec_type").contains(&"video".to_owned()) {
            continue;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let Some(straight) = straight(path, folder.path(), true) else {
            println!("{name}: left out: FFmpeg cannot decode it");
            continue;
        };
        let times = times(&judge, &straight);
        let before = faults.len();
        faults.extend(compare(&name, &straight, &times, |at| {
            draw(path, at, Format::Png).map_err(|it| format!("{it:?}"))
        }));
        if path.extension().is_some_and(|it| it == "ts") {
            let server = Server::start(|root| {
                let folder = root.join("c/q/2024-11-09T12");
                std::fs::create_dir_all(&folder).expect("a folder");
                let segment = format!("30:00.000000-600.0-full-{:0>43}.ts", 1);
                std::fs::copy(path, folder.join(segment)).expect("a copy");
            });
            let begin = Timestamp::parse("start", "2024-11-09T12:30:00").expect("a time");
            faults.extend(compare(&format!("{name} as a segment"), &straight, &times, |at| {
                let answer = server.get(&format!("/frame/c/q.png?timestamp={}", begin + at));
                if answer.status == 200 {
                    Ok(answer.body)
                } else {
                    Err(String::from_utf8_lossy(&answer.body).into_owned())
                }
            }));
        }
        println!("{name}: {} pictures, {} faults", times.len(), faults.len() - before);
        compared += 1;
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    assert!(compared >= some.len());
}
