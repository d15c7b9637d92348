//! Cuts of single files by the command, in every kind of container, on sources with bar codes.
#![allow(clippy::disallowed_methods)]

use crate::containers::shift;
use crate::judge::{self, Judge};
use crate::media::FPS;
use moviola::base::{Timestamp, Token};
use moviola::media::synthetic::{Synthetic, synthesise};
use std::path::{Path, PathBuf};
use std::process::Command;

const FRAMES: u32 = 120;
/// Pictures from one keyframe of the sources to the next.
const GOP: u32 = 30;

/// A stream in MPEG-TS with a number in every picture, and sound.
fn stream(folder: &Path) -> PathBuf {
    let what = Synthetic {
        start: Timestamp::from_micros(0),
        frames: u64::from(FRAMES),
        fps: FPS as u32,
        segment_frames: u64::from(GOP),
        width: 432,
        height: 240,
        preset: "superfast".into(),
        crf: 20,
        b_frames: 2,
    };
    let mut bytes = Vec::new();
    synthesise(&what, &Token::root(), |segment| {
        bytes.extend(segment.bytes);
        Ok(())
    })
    .expect("a stream");
    let path = folder.join("source.ts");
    std::fs::write(&path, bytes).expect("a file");
    path
}

/// The stream in another container or codec, by the ffmpeg program; `None` where it has no such encoder.
fn remade(from: &Path, to: &str, options: &[&str]) -> Option<PathBuf> {
    let path = from.with_file_name(to);
    let run = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i"])
        .arg(from)
        .args(["-fps_mode", "passthrough"])
        .args(options)
        .arg(&path)
        .output()
        .expect("the judge runs");
    run.status.success().then_some(path)
}

struct Cut {
    path: PathBuf,
    said: String,
}

fn run(source: &Path, ranges: &[&str], more: &[&str], extension: &str) -> Result<Cut, String> {
    let path = source.with_extension(format!("cut.{extension}"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_moviola"));
    command.arg("cut").arg(source).args(more).arg("-o").arg(&path);
    for range in ranges {
        command.args(["--range", range]);
    }
    let done = command.output().expect("the program runs");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    if done.status.success() { Ok(Cut { path, said }) } else { Err(said) }
}

/// Frames, and frames encoded anew.
fn counts(said: &str) -> (usize, usize) {
    let line = said.lines().last().unwrap_or_default();
    let numbers: Vec<usize> =
        line.split(|c: char| !c.is_ascii_digit()).filter_map(|it| it.parse().ok()).collect();
    (numbers[0], numbers[1])
}

/// Cuts, and checks every picture against the number it has to carry and, where it was not encoded, its bytes.
fn check(judge: &Judge, source: &Path, ranges: &[(u32, u32)], extension: &str) {
    let texts: Vec<String> = ranges
        .iter()
        .map(|(from, to)| format!("{:.4},{:.4}", f64::from(*from) / FPS as f64, f64::from(*to) / FPS as f64))
        .collect();
    let texts: Vec<&str> = texts.iter().map(|it| &**it).collect();
    let what = format!("{} to {extension}, {ranges:?}", source.display());
    let cut = run(source, &texts, &[], extension).unwrap_or_else(|said| panic!("{what}: {said}"));
    let wanted: Vec<u32> = ranges.iter().flat_map(|(from, to)| *from..*to).collect();
    assert_eq!(judge.numbers(&cut.path), wanted, "{what}");
    let (frames, encoded) = counts(&cut.said);
    assert_eq!(frames, wanted.len(), "{what}: {}", cut.said);
    // At most what lies between a border and the keyframe inside of it, or a GOP's worth of reordering at the end.
    assert!(encoded <= 2 * GOP as usize * ranges.len(), "{what}: {encoded} encoded");
    let original = judge.hashes(source);
    let kept = judge.hashes(&cut.path);
    let same =
        kept.iter().zip(&wanted).filter(|(kept, number)| **kept == original[**number as usize]).count();
    assert!(same >= frames - encoded, "{what}: {same} pictures are the source's, of {frames} less {encoded}");
    assert_eq!(judge.complaints(&cut.path), "", "{what}");
    let times = shown(&cut.path).expect("one video stream");
    let steps = times.windows(2).map(|pair| (pair[1] - pair[0] - 1.0 / FPS as f64).abs());
    // Matroska tells milliseconds.
    assert!(steps.fold(0.0, f64::max) < 0.0011, "{what}: pictures at {times:?}");
}

const RANGES: [&[(u32, u32)]; 5] =
    [&[(37, 101)], &[(0, 120)], &[(30, 60)], &[(41, 43)], &[(70, 110), (5, 64), (50, 64), (119, 120)]];

fn check_all(judge: &Judge, source: &Path, extensions: &[&str]) {
    for extension in extensions {
        for ranges in RANGES {
            check(judge, source, ranges, extension);
        }
    }
}

#[test]
fn h264_is_cut_exactly_between_containers() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let folder = tempfile::tempdir().expect("a folder");
    let stream = stream(folder.path());
    // Every pair of containers is tried by matrix/, without the command line.
    check_all(&judge, &stream, &["mkv"]);
    let movie = remade(&stream, "source.mp4", &["-c", "copy"]).expect("a movie");
    check_all(&judge, &movie, &["ts"]);
    let matroska = remade(&stream, "source.mkv", &["-c", "copy"]).expect("a file");
    check_all(&judge, &matroska, &["mp4"]);
}

#[test]
fn hevc_is_cut_exactly() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let folder = tempfile::tempdir().expect("a folder");
    let stream = stream(folder.path());
    let options = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params"];
    let params = format!("log-level=none:keyint={GOP}:min-keyint={GOP}:open-gop=0:bframes=2:scenecut=0");
    let options = [&options[..], &[&params]].concat();
    let Some(movie) = remade(&stream, "source.mp4", &options) else { return println!("skipped: no encoder") };
    check_all(&judge, &movie, &["mp4"]);
}

#[test]
fn vp9_and_av1_are_cut_exactly() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let folder = tempfile::tempdir().expect("a folder");
    let stream = stream(folder.path());
    let gop = GOP.to_string();
    // Two passes of lag: pictures hidden in superframes.
    let vp9 =
        ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "16", "-g", &gop];
    let av1 = ["-c:v", "libaom-av1", "-usage", "good", "-cpu-used", "8", "-lag-in-frames", "19", "-g", &gop];
    let sound = ["-c:a", "libopus"];
    if let Some(web) = remade(&stream, "vp9.webm", &[&vp9[..], &sound].concat()) {
        check_all(&judge, &web, &["webm"]);
    }
    if let Some(web) = remade(&stream, "av1.mkv", &[&av1[..], &sound].concat()) {
        check_all(&judge, &web, &["mp4"]);
    }
}

#[test]
fn a_copy_reaches_outward_and_encodes_nothing() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let folder = tempfile::tempdir().expect("a folder");
    let stream = stream(folder.path());
    let cut = run(&stream, &["1.2,2.5"], &["--type", "copy"], "mkv").expect("a cut");
    assert_eq!(counts(&cut.said), (60, 0), "{}", cut.said);
    assert_eq!(judge.numbers(&cut.path), (30..90).collect::<Vec<u32>>());
}

#[test]
fn files_are_encoded_whole_and_mixed() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let folder = tempfile::tempdir().expect("a folder");
    let stream = stream(folder.path());
    let heard = judge.sound(&stream);
    let movie = remade(&stream, "source.mp4", &["-c", "copy"]).expect("a movie");
    let matroska = remade(&stream, "source.mkv", &["-c", "copy"]).expect("a file");
    for (source, kind, extension) in [
        (&stream, "mpegts", "mkv"),
        (&movie, "full", "ts"),
        (&matroska, "full", "mp4"),
        (&stream, "mp4", "mp4"),
    ] {
        let what = format!("{} to {extension}", source.display());
        // The first range is sought, and the sound of it is no silence.
        let cut = run(source, &["3.2,3.9", "0.5,1.5"], &["--type", kind], extension).expect(&what);
        assert_eq!(judge.numbers(&cut.path), (96..117).chain(15..45).collect::<Vec<u32>>(), "{what}");
        assert_eq!(counts(&cut.said), (51, 51), "{what}: {}", cut.said);
        assert!(cut.said.contains("1.700 s"), "{what}: {}", cut.said);
        assert_eq!(judge.complaints(&cut.path), "", "{what}");
        let sound = if extension == "ts" { judge.sound(&cut.path) } else { judge.plain_sound(&cut.path) };
        // The priming of AAC comes before the first picture; MP4 hides it.
        let starts = ["v", "a"].map(|it| judge.times(&cut.path, it)[0].0);
        let lead = if extension == "mkv" { ((starts[0] - starts[1]) * 48_000.0).round() as usize } else { 0 };
        let off = shift(&heard, 96 * 1600 + 1024, &sound[lead + 1024..lead + 20 * 1600]);
        // Sources tell milliseconds: edit lists of MP4, and all of Matroska.
        assert!(off.abs() <= 48, "{what}: the sound is {off} samples off");
        let mixed = run(source, &["0.5,2.5", "3,4"], &["--transition", "fade,0.5"], extension).expect(&what);
        let numbers = judge.numbers(&mixed.path);
        assert_eq!(counts(&mixed.said), (75, 75), "{what}: {}", mixed.said);
        let alone: Vec<u32> = numbers[..45].iter().chain(&numbers[60..]).copied().collect();
        assert_eq!(alone, (15..60).chain(105..120).collect::<Vec<u32>>(), "{what}");
        assert_eq!(judge.complaints(&mixed.path), "", "{what}");
    }
}

#[test]
fn a_turned_movie_stays_turned() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let folder = tempfile::tempdir().expect("a folder");
    let stream = stream(folder.path());
    let turned = ["-c", "copy", "-metadata:s:v:0", "rotate=90"];
    let movie = remade(&stream, "turned.mp4", &turned).expect("a movie");
    let entry = "stream_side_data=rotation";
    let wanted = judge.values(&movie, entry);
    if wanted.is_empty() {
        return println!("skipped: this ffmpeg turns nothing by rotate");
    }
    for kind in ["smart", "full"] {
        let cut = run(&movie, &["0.5,1"], &["--type", kind], "mp4").expect("a cut");
        assert_eq!(judge.values(&cut.path, entry), wanted, "{kind}");
        let lost = run(&movie, &["0.5,1"], &["--type", kind], "mkv").expect("a cut");
        assert!(lost.said.contains("that the pictures are turned by"), "{kind}: {}", lost.said);
    }
}

#[test]
fn the_opacity_of_pictures_is_kept_or_refused() {
    if judge::ffmpeg().is_none() {
        return println!("skipped: there is no ffmpeg to judge");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let stream = stream(folder.path());
    let gop = GOP.to_string();
    let options = ["-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-deadline", "realtime", "-cpu-used", "8"];
    let options = [&options[..], &["-g", &gop, "-auto-alt-ref", "0", "-an", "-frames:v", "60"]].concat();
    let Some(web) = remade(&stream, "opaque.webm", &options) else { return println!("skipped: no encoder") };
    // Pictures with an opacity, by the decoder that knows it.
    let opacity = |file: &Path| -> usize {
        let run = Command::new("ffmpeg")
            .args(["-v", "error", "-c:v", "libvpx-vp9", "-i"])
            .arg(file)
            .args(["-vf", "alphaextract", "-fps_mode", "passthrough", "-f", "framemd5", "-"])
            .output()
            .expect("the judge runs");
        String::from_utf8_lossy(&run.stdout).lines().filter(|line| !line.starts_with('#')).count()
    };
    assert_eq!(opacity(&web), 60);
    let copy = run(&web, &["1,2"], &[], "webm").expect("from keyframe to the end");
    assert_eq!((opacity(&copy.path), counts(&copy.said)), (30, (30, 0)));
    for (ranges, more, extension) in
        [(&["0.5,1.5"][..], &[][..], "webm"), (&["1,2"], &[], "mp4"), (&["1,2"], &["--type", "copy"], "mp4")]
    {
        let said = run(&web, ranges, more, extension).map(|it| it.said).expect_err("no cut");
        assert!(said.contains("transparent"), "{said}");
    }
    let full = run(&web, &["0.5,1.5"], &["--type", "full"], "mp4").expect("a cut");
    assert!(full.said.contains("transparency of the pictures is left out"), "{}", full.said);
}

#[test]
fn subtitles_keep_to_their_pictures() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let folder = tempfile::tempdir().expect("a folder");
    let stream = stream(folder.path());
    let cues = "1\n00:00:00,500 --> 00:00:01,700\nearly\n\n2\n00:00:02,000 --> 00:00:03,500\nlate\n";
    let text = folder.path().join("cues.srt");
    std::fs::write(&text, cues).expect("a file");
    let text = text.to_str().expect("a name");
    let source = folder.path().join("titled.mkv");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&stream)
        .args(["-i", text, "-map", "0:v", "-map", "0:a", "-map", "1", "-c", "copy", "-c:s", "srt"])
        .arg(&source)
        .status();
    assert!(made.is_ok_and(|it| it.success()));
    // The end of one cue, all of the other, and the end of the first once more: cues are far behind what was read last.
    let cut = run(&source, &["1.2,2.2", "2.5,4", "1,1.5"], &[], "mkv").expect("a cut");
    // From the first picture on, and how long.
    let cues = |file: &Path| -> Vec<(f64, f64)> {
        let first = judge.times(file, "v").iter().map(|it| it.0).fold(f64::MAX, f64::min);
        let cue = |it: &(f64, Option<f64>)| (it.0 - first, it.1.expect("Matroska tells it"));
        judge.times(file, "s").iter().map(cue).collect()
    };
    let told = cues(&source);
    let ends = told.iter().map(|it| it.0 + it.1).collect::<Vec<f64>>();
    let (early, late) = (told[0].0, told[1].0);
    let wanted = [(0.0, ends[0] - 1.2), (late - 1.2, 2.2 - late), (1.0, ends[1] - 2.5), (2.5, 0.5)];
    assert!((early - 0.5).abs() < 0.05 && (late - 2.0).abs() < 0.05, "{told:?}");
    let found = cues(&cut.path);
    let near = |(a, b): (&(f64, f64), &(f64, f64))| (a.0 - b.0).abs() < 0.002 && (a.1 - b.1).abs() < 0.002;
    assert!(found.len() == 4 && found.iter().zip(&wanted).all(near), "{found:?} instead of {wanted:?}");
}

#[test]
fn the_index_of_a_movie_comes_first() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let folder = tempfile::tempdir().expect("a folder");
    let stream = stream(folder.path());
    // A name that would be another protocol, or a pattern, were it an address.
    let source = folder.path().join("pipe:1 %d");
    std::fs::copy(&stream, &source).expect("a copy");
    let cut = run(&source, &["0.5,2.1"], &[], "mp4").expect("a cut");
    let (bytes, mut at, mut kinds) = (std::fs::read(&cut.path).expect("a cut"), 0, Vec::new());
    while let Some(head) = bytes.get(at..at + 8) {
        kinds.push(String::from_utf8_lossy(&head[4..]).into_owned());
        at += u32::from_be_bytes(head[..4].try_into().expect("four bytes")) as usize;
    }
    assert_eq!(at, bytes.len());
    assert_eq!(kinds[..2], ["ftyp", "moov"]);
    assert_eq!(kinds.last().map(|it| &**it), Some("mdat"));
    let plain = folder.path().join("cut.mp4");
    std::fs::rename(&cut.path, &plain).expect("another name");
    assert_eq!(judge.numbers(&plain), (15..63).collect::<Vec<u32>>());
}

#[test]
fn cuts_are_written_to_standard_output() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let folder = tempfile::tempdir().expect("a folder");
    let stream = stream(folder.path());
    for (more, extension, magic) in [
        (&[][..], "ts", &b"\x47"[..]),
        (&["--container", "mkv"], "mkv", b"\x1a\x45\xdf\xa3"),
        (&["--container", "mp4"], "mp4", b"\0\0\0"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_moviola"));
        command.arg("cut").arg(&stream).args(["--range", "0.5,2.1", "--range", "3,", "-o", "-"]).args(more);
        let done = command.output().expect("the program runs");
        assert!(done.status.success(), "{extension}: {}", String::from_utf8_lossy(&done.stderr));
        assert!(done.stdout.starts_with(magic), "{extension}: {:?}", &done.stdout[..16]);
        let file = folder.path().join(format!("out.{extension}"));
        std::fs::write(&file, &done.stdout).expect("a file");
        assert_eq!(judge.numbers(&file), (15..63).chain(90..120).collect::<Vec<u32>>(), "{extension}");
        assert_eq!(judge.complaints(&file), "", "{extension}");
    }
}

#[test]
fn what_cannot_be_done_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let stream = stream(folder.path());
    for (ranges, more, extension, word) in [
        (&["3,2"][..], &[][..], "ts", "end after it starts"),
        (&["7,8"], &[], "ts", "behind the file's last picture"),
        (&["a"], &[], "ts", "START,END"),
        (&["1,2"], &["--type", "rough"], "ts", "type must be"),
        (&["1,2", "3,4"], &["--type", "copy", "--transition", "fade,0.5"], "ts", "encodes nothing"),
        (&["1,1.2", "3,4"], &["--transition", "fade,0.5"], "ts", "range 1 has 6 frames"),
        (&["1,2"], &["--transition", "fade,0.5"], "ts", "Too many transitions"),
        (&["1,2"], &[], "avi", "must end in"),
        (&["1,2"], &[], "webm", "cannot hold h264"),
    ] {
        let said = run(&stream, ranges, more, extension).map(|it| it.said).expect_err("no cut");
        assert!(said.contains(word), "{ranges:?} {more:?} {extension}: {said}");
        assert!(!stream.with_extension(format!("cut.{extension}")).exists(), "a half file is left: {said}");
    }
    let nothing = folder.path().join("nothing.mp4");
    std::fs::write(&nothing, [0; 100]).expect("a file");
    run(&nothing, &["0,1"], &[], "mp4").map(|it| it.said).expect_err("no media");
}

/// When every picture of the first video stream is shown, in seconds from the first; `None` where there is not exactly
/// one such stream.
fn shown(file: &Path) -> Option<Vec<f64>> {
    let entries = "stream=index:frame=best_effort_timestamp_time";
    let run = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v", "-show_entries", entries, "-of", "csv"])
        .arg(file)
        .output()
        .expect("the judge runs");
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    let field = |line: &str| line.split(',').nth(1).and_then(|it| it.parse::<f64>().ok());
    if text.lines().filter(|line| line.starts_with("stream")).count() != 1 {
        return None;
    }
    let frames = text.lines().filter(|line| line.starts_with("frame"));
    let mut times: Vec<f64> = frames.map(field).collect::<Option<_>>()?;
    times.sort_by(f64::total_cmp);
    let first = *times.first()?;
    Some(times.into_iter().map(|it| it - first).collect())
}

#[test]
fn real_files_are_cut_to_the_frame() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let media = Path::new("../shared/media");
    if !media.exists() {
        return println!("skipped: {} is missing", media.display());
    }
    let folder = tempfile::tempdir().expect("a folder");
    for (name, extension) in [
        ("h264/androidx_sample.mp4", "mp4"),
        ("h264/androidx_bbb_800x640_768kbps_30fps_avc_pyramid_3b.mp4", "mkv"),
        ("h264/androidx_bbb_800x640_768kbps_30fps_avc_2b_firstpts_10_sec.mp4", "mp4"),
        ("h264/androidx_sample_2_byte_NAL_length.mp4", "ts"),
        ("h264/torchcodec_h264_10bits.mp4", "mp4"),
        ("hevc/torchcodec_h265_10bits.mp4", "mp4"),
        ("hevc/androidx_h265_bframes.mp4", "ts"),
        ("av1-vp9/androidx_bbb_642x642_768kbps_30fps_vp9.webm", "webm"),
        ("av1-vp9/androidx_roadtrip-vp92-10bit.webm", "mkv"),
        ("av1-vp9/androidx_sample_av1.mp4", "mp4"),
        ("av1-vp9/torchcodec_av1_video.mkv", "mkv"),
        ("edit-lists/androidx_iibbibb_editlist_videoonly.mp4", "mp4"),
        ("edit-lists/androidx_edit_list_positive_shift.mp4", "mp4"),
        ("rotation/androidx_sample_portrait.mp4", "mp4"),
        ("ingest-flv/srs_avatar.flv", "mkv"),
        ("subtitles/androidx_sample_with_srt.mkv", "mkv"),
        ("ts/shaka_b-frames-ptswrap.ts", "mkv"),
        ("ts/vhs_bipbop0.ts", "mp4"),
        ("vfr-2997/moviepy_smpte-2997.mp4", "mp4"),
        ("vfr-2997/mp4parser_count-video.mp4", "mp4"),
    ] {
        let source = folder.path().join(Path::new(name).file_name().expect("a name"));
        if std::fs::copy(media.join(name), &source).is_err() {
            println!("skipped: {name} is missing");
            continue;
        }
        let Some(times) = shown(&source) else { panic!("{name} has one video stream") };
        let end = times[times.len() - 1];
        let (from, to) = ((end * 1000.0 / 3.0).round() / 1000.0, (end * 2000.0 / 3.0).round() / 1000.0);
        let counts_from = |time: f64, at: f64| time > at - 0.0005;
        let inside = |it: &usize| counts_from(times[*it], from) && !counts_from(times[*it], to);
        let wanted: Vec<usize> = (0..times.len()).filter(inside).collect();
        let cut = run(&source, &[&format!("{from:.3},{to:.3}")], &[], extension)
            .unwrap_or_else(|said| panic!("{name}: {said}"));
        let (frames, encoded) = counts(&cut.said);
        let (original, kept) = (judge.hashes(&source), judge.hashes(&cut.path));
        assert_eq!((kept.len(), frames), (wanted.len(), wanted.len()), "{name}: {}", cut.said);
        let same = kept.iter().zip(&wanted).filter(|(kept, at)| **kept == original[**at]).count();
        assert!(same + encoded >= frames, "{name}: {same} of {frames} are the source's, {encoded} encoded");
        assert_eq!(judge.complaints(&cut.path), "", "{name}");
        let found = shown(&cut.path).expect("one video stream");
        let off =
            found.iter().zip(&wanted).map(|(found, at)| (found - (times[*at] - times[wanted[0]])).abs());
        // Matroska tells milliseconds.
        assert!(off.fold(0.0, f64::max) < 0.0011, "{name}: pictures are moved in time");
    }
}
