//! Frames: the right one of every kind of source, the pixels of a straight decode, and no work done twice. MOVIOLA_PICTURES
//! in the environment says how many are asked for of each kind.
#![allow(clippy::disallowed_methods)]

use crate::barcode;
use crate::client::{Answer, Server};
use crate::judge;
use crate::matrix::{kinds, variable};
use crate::media::{Random, start, stream, whole};
use moviola::archive::{Archive, Limits, SegmentKind};
use moviola::base::metrics::Metrics;
use moviola::base::{Channel, Kind, Quality, Timestamp, Token};
use moviola::config::Config;
use moviola::media::Clip;
use moviola::media::frame::extract;
use moviola::media::picture::{PictureFormat, encode};
use moviola::media::synthetic::{Recipe, file, segments};
use moviola::media::turn::Turn;
use moviola::render::frame::of_file;
use moviola::render::frame::wish::{Format, Wish};
use std::path::Path;
use std::process::{Command, Stdio};

/// Pictures decoded for frames so far.
fn decoded(server: &Server) -> u64 {
    server.render.metrics.media_decoded.with_label_values(&["frame"]).get()
}

fn encoded(server: &Server) -> u64 {
    server.render.metrics.media_encoded.with_label_values(&["frame"]).get()
}

fn frame(micros: i64, more: &str) -> String {
    format!("/frame/chan/270p.png?timestamp={}{more}", start() + micros)
}

/// Fills an archive with a recipe's stream, with `change` made to each segment's bytes; gives the stream in one piece.
fn fill(root: &Path, recipe: &Recipe, change: impl Fn(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let archive = Archive::open(root, Limits::default(), Metrics::new()).expect("an archive");
    let (channel, quality) = (Channel::new("chan").expect("a name"), Quality::new("kind").expect("a name"));
    let mut all = Vec::new();
    segments(recipe, &Token::root(), |segment| {
        let mut writer = archive.create_segment(&channel, &quality, segment.start)?;
        let bytes = change(segment.bytes);
        writer.write(&bytes)?;
        writer.finish(segment.duration, SegmentKind::Full)?;
        all.extend(bytes);
        Ok(())
    })
    .expect("a stream");
    all
}

/// Every picture of a file as FFmpeg decodes it from beginning to end, without loss in a file that can be entered anywhere;
/// as it is stored, or upright. `None` where FFmpeg makes nothing of it.
pub fn straight(source: &Path, folder: &Path, upright: bool) -> Option<Clip> {
    let path = folder.join("straight.mkv");
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-autorotate", if upright { "1" } else { "0" }, "-i"])
        .arg(source)
        .args(["-map", "0:v:0", "-fps_mode", "passthrough", "-c:v", "ffv1", "-g", "1"])
        .arg(&path)
        .stdin(Stdio::null())
        .status();
    let success = status.expect("the judge runs").success();
    success.then(|| Clip { path, start: Timestamp::from_micros(0), duration: 0, whole: true })
}

/// The picture of `clip` at `micros`, as PNG.
pub fn drawn(clip: &Clip, micros: i64) -> Vec<u8> {
    let picture =
        extract(None, clip, Timestamp::from_micros(micros), &Token::root()).expect("a straight picture");
    encode(&picture.frame, Turn::NONE, PictureFormat::Png).expect("a PNG")
}

/// Times at random, some with their neighbours on either side, so that decoders go on, go back and begin again.
fn times(recipe: &Recipe, random: &mut Random) -> Vec<u64> {
    let mut numbers = Vec::new();
    for _ in 0..variable("MOVIOLA_PICTURES", 14) {
        let number = random.below(recipe.frames as i64) as u64;
        numbers.extend([Some(number), number.checked_add(1), number.checked_sub(1), number.checked_sub(2)]);
    }
    numbers.into_iter().flatten().filter(|it| *it < recipe.frames).collect()
}

/// A server of a recipe's stream, and the stream decoded straight in a folder.
fn served(recipe: &Recipe, change: impl Fn(Vec<u8>) -> Vec<u8>) -> (Server, Clip, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut all = Vec::new();
    let server = Server::start(|root| all = fill(root, recipe, &change));
    let source = folder.path().join("source.ts");
    std::fs::write(&source, all).expect("a source");
    (server, straight(&source, folder.path(), false).expect("a straight decode"), folder)
}

/// Asks for frames of a source and compares number, time and pixels.
fn check(name: &str, recipe: Recipe, random: &mut Random) {
    let Some(_) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge {name}") };
    let (server, straight, _folder) = served(&recipe, |bytes| bytes);
    for number in times(&recipe, random) {
        // Somewhere in the time it is on screen; nothing is shorter than 16 ms.
        let at = recipe.time_of(number) + random.below(15_000);
        let answer = server.get(&format!("/frame/chan/kind.png?timestamp={at}"));
        assert_eq!(answer.status, 200, "{name} {number}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(barcode::read_png(&answer.body), Some(number as u32), "{name}");
        // Names of segments are rounded to the microsecond.
        let time = Timestamp::parse("time", answer.header("moviola-frame-time")).expect("a time");
        assert!((-1..=0).contains(&(time - recipe.time_of(number))), "{name} {number}: {time}");
        // Matroska counts in milliseconds.
        let reference = drawn(&straight, recipe.time_of(number) - recipe.start + 2_000);
        assert!(
            answer.body == reference,
            "{name}: the pixels of {number} are not those of a straight decode"
        );
    }
    // Left to libav is only what needs more than one keyframe.
    let plain = server.render.metrics.frame_reads.with_label_values(&["plain"]).get();
    assert!(plain == 0 || name == "intra refresh", "{name}: {plain} frames were left to libav");
}

#[test]
fn pictures_of_h264_are_those_of_a_straight_decode() {
    let mut random = Random(21);
    check("closed", kinds::h264_closed(), &mut random);
    check("open", kinds::h264_open(), &mut random);
    check("open pyramid", kinds::h264_open_pyramid(), &mut random);
    check("irregular segments", kinds::h264_irregular(), &mut random);
    check("intra refresh", kinds::h264_intra_refresh(), &mut random);
    check("unaligned segments", kinds::h264_unaligned(), &mut random);
}

#[test]
fn pictures_of_other_kinds_are_those_of_a_straight_decode() {
    let mut random = Random(22);
    check("interlaced", kinds::h264_mbaff_top(), &mut random);
    check("over the clock's turn", kinds::h264_wrap(), &mut random);
    check("HEVC, closed", kinds::hevc_closed(), &mut random);
    check("HEVC, open", kinds::hevc_open(), &mut random);
    check("MPEG-2, open", kinds::mpeg2_open(), &mut random);
    check("MPEG-2, interlaced", kinds::mpeg2_interlaced(), &mut random);
    check("HEVC, ten bits", kinds::hevc_ten_bits(), &mut random);
    check("H.264, ten bits of 4:2:2", kinds::h264_422_ten_bits(), &mut random);
}

/// Compares pixels where the bar code is no row of squares any more: each picture has one of its own, so it is the same
/// picture where the pixels are. `upright` turns what a straight decode gives.
fn check_shown(
    name: &str,
    recipe: &Recipe,
    size: (u32, u32),
    change: impl Fn(Vec<u8>) -> Vec<u8>,
    upright: impl Fn(&image::RgbImage) -> image::RgbImage,
) {
    let Some(_) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge {name}") };
    let (server, straight, _folder) = served(recipe, change);
    let pixels = |png: &[u8]| image::load_from_memory(png).expect("a picture").to_rgb8();
    for number in times(recipe, &mut Random(23)) {
        let answer =
            server.get(&format!("/frame/chan/kind.png?timestamp={}", recipe.time_of(number) + 5_000));
        assert_eq!(answer.status, 200, "{name} {number}: {}", String::from_utf8_lossy(&answer.body));
        let shown = pixels(&answer.body);
        assert_eq!((shown.width(), shown.height()), size, "{name}");
        let reference = upright(&pixels(&drawn(&straight, recipe.time_of(number) - recipe.start + 2_000)));
        assert!(shown == reference, "{name}: the pixels of {number} are not those of a straight decode");
    }
}

/// With pixels that are not square: the wider or the higher way is stretched when they are shown.
fn with_aspect(mut recipe: Recipe, across: u32, down: u32) -> Recipe {
    recipe.coder.options.push(("aspect".into(), format!("{across}:{down}")));
    recipe
}

#[test]
fn pictures_of_pixels_that_are_not_square_are_stretched() {
    let same = |bytes: Vec<u8>| bytes;
    check_shown("H.264, wide", &with_aspect(kinds::h264_closed(), 4, 3), (576, 240), same, Clone::clone);
    check_shown("HEVC, wide", &with_aspect(kinds::hevc_closed(), 4, 3), (576, 240), same, Clone::clone);
    // The sequence header has the aspect of the whole screen, 16 to 9 or 4 to 3: of 432 x 240 pixels of 27 to 20.
    let wide = with_aspect(kinds::mpeg2_interlaced(), 80, 81);
    check_shown("MPEG-2, 16:9", &wide, (432, 243), same, Clone::clone);
}

/// A segment whose pictures ask to be shown a quarter turn to the left (H.264 §D.1.27).
fn turned(bytes: Vec<u8>) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let [plain, turned] = ["plain.ts", "turned.ts"].map(|it| folder.path().join(it));
    std::fs::write(&plain, bytes).expect("a segment");
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-copyts", "-i"])
        .arg(&plain)
        .args([
            "-map",
            "0",
            "-c",
            "copy",
            "-bsf:v",
            "h264_metadata=display_orientation=insert:rotate=90",
            "-muxdelay",
            "0",
        ])
        .args(["-muxpreload", "0", "-mpegts_copyts", "1"])
        .arg(&turned)
        .stdin(Stdio::null())
        .status();
    assert!(status.expect("ffmpeg runs").success());
    std::fs::read(&turned).expect("a segment")
}

#[test]
fn pictures_that_ask_to_be_turned_are_turned() {
    let mut recipe = kinds::h264_closed();
    // Messages about timing before each picture: to them FFmpeg 5.1 adds one in its place, and without them it is put behind.
    recipe.coder.options.push(("x264-params".into(), "pic-struct=1".into()));
    check_shown("turned", &recipe, (240, 432), turned, image::imageops::rotate270);
}

#[test]
fn a_group_is_decoded_by_one_for_all() {
    let server = Server::start(whole);
    // The same picture of two groups: once asked for alone, once by eight at a time.
    server.get(&frame(4_000_000 + 1_400_000, ""));
    let alone = decoded(&server);
    assert!((10..40).contains(&alone), "{alone} pictures decoded for one");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                assert_eq!(server.get(&frame(8_000_000 + 1_400_000, "&width=64")).status, 200);
            });
        }
    });
    assert_eq!(decoded(&server), 2 * alone);

    // A grid, one after the other: no picture twice, and not those that no other needs.
    let before = decoded(&server);
    for step in 0..20 {
        assert_eq!(server.get(&frame(12_000_000 + step * 100_000, "&width=64")).status, 200);
    }
    let grid = decoded(&server) - before;
    assert!(grid <= 60, "{grid} pictures decoded of a group of 60");
}

#[test]
fn neighbours_cost_a_picture_or_none_and_a_repeat_nothing() {
    let server = Server::start(whole);
    let mut random = Random(3);
    for group in 0..7 {
        let number = 6 + random.below(48);
        let at = group * 2_000_000 + number * 1_000_000 / 30 + 10_000;
        let first = server.get(&frame(at, ""));
        let step = if group % 2 == 0 { 33_333 } else { -33_333 };
        let before = decoded(&server);
        assert_eq!(server.get(&frame(at + step, "")).status, 200);
        let cost = decoded(&server) - before;
        assert!(cost <= 3, "{cost} pictures decoded {step} beside {number} of group {group}");
        let before = (decoded(&server), encoded(&server));
        let again = server.get(&frame(at, ""));
        assert_eq!((decoded(&server), encoded(&server)), before);
        assert_eq!((&again.body, again.header("etag")), (&first.body, first.header("etag")));
    }
}

#[test]
fn a_client_that_has_a_frame_is_told_so_before_it_is_decoded() {
    let server = Server::start(whole);
    let target = frame(1_234_567, "&width=100");
    let head = server.raw("HEAD", &target, "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("cache-control"), "public, max-age=86400, immutable");
    let tag = head.header("etag").to_owned();
    let held = server.get_with(&target, &[("if-none-match", &tag)]);
    assert_eq!((held.status, held.body.len()), (304, 0));
    assert_eq!(decoded(&server), 0);
    let whole = server.get(&target);
    assert_eq!(whole.header("etag"), tag);
    let part = server.get_with(&target, &[("range", "bytes=1-7")]);
    assert_eq!((part.status, &part.body[..]), (206, &whole.body[1..8]));
    assert_eq!(part.header("content-range"), format!("bytes 1-7/{}", whole.body.len()));
    assert_eq!(server.get_with(&target, &[("if-match", "\"x\"")]).status, 412);
    let tags = ["&width=101", "&width=100&fit=fill", "&crop=0,0,99,99"]
        .map(|it| server.raw("HEAD", &frame(1_234_567, it), "").header("etag").to_owned());
    assert!(!tags.contains(&tag) && tags[0] != tags[1] && tags[1] != tags[2]);
    // Another time of the same frame is the same picture.
    assert_eq!(server.raw("HEAD", &frame(1_234_000, "&width=100"), "").header("etag"), tag);
}

fn size(answer: &Answer) -> (u32, u32) {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let picture = image::load_from_memory(&answer.body).expect("a picture");
    (picture.width(), picture.height())
}

#[test]
fn pictures_have_the_size_and_the_part_asked_for() {
    let server = Server::start(whole);
    for (more, expected) in [
        ("", (480, 270)),
        ("&width=160", (160, 90)),
        ("&height=27", (48, 27)),
        ("&width=100&height=100", (100, 56)),
        ("&width=100&height=100&fit=cover", (100, 100)),
        ("&width=100&height=100&fit=fill", (100, 100)),
        ("&width=9999&fit=scale-down", (480, 270)),
        ("&crop=10,20,100,50", (100, 50)),
        ("&crop=10,20,100,50&width=50", (50, 25)),
    ] {
        assert_eq!(size(&server.get(&frame(500_000, more))), expected, "{more}");
    }
    let all = image::load_from_memory(&server.get(&frame(500_000, "")).body).expect("a picture").to_rgb8();
    let part =
        image::load_from_memory(&server.get(&frame(500_000, "&crop=11,21,60,40")).body).expect("a picture");
    assert_eq!(part.to_rgb8(), image::imageops::crop_imm(&all, 11, 21, 60, 40).to_image());
    for (more, parameter) in [
        ("&width=0", "width"),
        ("&height=x", "height"),
        ("&fit=tile", "fit"),
        ("&crop=1,2", "crop"),
        ("&crop=470,0,20,20", "crop"),
        ("&quality=200", "quality"),
        ("&accuracy=roughly", "accuracy"),
        ("&tolerance=1", "tolerance"),
        ("&accuracy=keyframe&tolerance=soon", "tolerance"),
    ] {
        let refused = server.get(&frame(500_000, more));
        assert_eq!(refused.status, 400, "{more}");
        assert_eq!(refused.json()["parameter"], parameter, "{more}");
    }
    let refused = server.get("/frame/chan/270p.webp");
    assert_eq!((refused.status, refused.json()["parameter"].as_str()), (400, Some("timestamp")));
}

#[test]
fn the_form_is_the_one_the_client_likes_best() {
    let server = Server::start(whole);
    let target = format!("/frame/chan/270p?width=64&timestamp={}", start() + 500_000);
    let ask = |accept: &str| {
        let answer = server.get_with(&target, &[("accept", accept)]);
        assert_eq!(answer.header("vary"), if answer.status == 200 { "Accept" } else { "" }, "{accept}");
        (answer.status, answer.header("content-type").to_owned(), answer.body)
    };
    assert_eq!(ask("*/*").1, "image/jpeg");
    assert_eq!(ask("image/png").1, "image/png");
    assert_eq!(ask("image/png;q=0.1, image/jpeg;q=0.2").1, "image/jpeg");
    assert_eq!(ask("text/html").0, 406);
    let (webp, avif) = (PictureFormat::WebP(80).is_available(), PictureFormat::Avif(80).is_available());
    for (available, media_type, extension, place, mark) in
        [(webp, "image/webp", "webp", 8, &b"WEBP"[..]), (avif, "image/avif", "avif", 4, b"ftypavif")]
    {
        let named = server.get(&target.replace("270p?", &format!("270p.{extension}?")));
        if !available {
            assert_eq!((named.status, named.code().as_str()), (406, "no-encoder"));
            continue;
        }
        let (status, content_type, body) = ask(media_type);
        assert_eq!((status, &*content_type), (200, media_type));
        assert_eq!(&body[place..place + mark.len()], mark);
        assert_eq!(named.body, body);
    }
    let small = server.get(&frame(500_000, "").replace(".png", ".jpg")).body.len();
    let smaller = server.get(&frame(500_000, "&quality=10").replace(".png", ".jpg")).body.len();
    assert!(smaller * 2 < small, "{smaller} of {small} bytes");
}

#[test]
fn the_frame_that_is_meant_is_told() {
    // A hole from 4 to 6 s, and a last segment that stops early.
    let server = Server::start(|root| {
        stream(root, 480, |number| match number {
            2 => None,
            7 => Some(SegmentKind::Partial),
            _ => Some(SegmentKind::Full),
        });
    });
    let ask = |micros: i64, more: &str| {
        let answer = server.get(&frame(micros, more));
        let told =
            ["time", "key", "distance"].map(|it| answer.header(&format!("moviola-frame-{it}")).to_owned());
        (answer.status, told, answer.header("cache-control").to_owned())
    };
    let at = |micros: i64| (start() + micros).to_string();
    let settled = "public, max-age=86400, immutable";
    for (micros, more, time, key, distance, cache) in [
        (3_050_000, "", 3_033_333, "false", "-0.016667", settled),
        (3_050_000, "&accuracy=keyframe", 2_000_000, "true", "-1.050000", settled),
        (3_055_000, "&accuracy=nearest", 3_066_666, "false", "0.011666", settled),
        (4_900_000, "&accuracy=nearest", 3_966_666, "false", "-0.933334", "no-cache"),
        (5_500_000, "&accuracy=nearest", 6_000_000, "true", "0.500000", "no-cache"),
        (5_500_000, "&accuracy=keyframe", 2_000_000, "true", "-3.500000", "no-cache"),
        (14_100_000, "", 14_100_000, "false", "0.000000", "no-cache"),
    ] {
        let (status, told, control) = ask(micros, more);
        assert_eq!(status, 200, "{micros}{more}");
        assert_eq!(told, [at(time), key.to_owned(), distance.to_owned()], "{micros}{more}");
        assert_eq!(control, cache, "{micros}{more}");
    }
    for (micros, more) in [
        (5_000_000, ""),
        (5_000_000, "&accuracy=nearest&tolerance=0.9"),
        (5_500_000, "&accuracy=keyframe&tolerance=3.4"),
        (-40_000_000, "&accuracy=nearest"),
        (-1, "&accuracy=keyframe"),
    ] {
        let refused = server.get(&frame(micros, more));
        assert_eq!((refused.status, refused.code().as_str()), (406, "no-content"), "{micros}{more}");
    }
}

#[test]
fn files_of_other_containers_have_frames_too() {
    let defaults = Config::default().frame;
    let wish = |micros: i64| Wish::read(Timestamp::from_micros(micros), |_| Ok(None)).expect("a wish");
    let draw =
        |path: &Path, micros: i64, format| of_file(path, &wish(micros), format, &defaults, &Token::root());
    let mut random = Random(4);
    for (recipe, muxer, extension) in [
        (kinds::vp9(), "webm", ".webm"),
        (kinds::av1(), "mp4", ".mp4"),
        (kinds::h264_open(), "matroska", ".mkv"),
        (kinds::hevc_open(), "mp4", ".mp4"),
        (kinds::mpeg2_open(), "matroska", ".mkv"),
        (kinds::mpeg2_open(), "mov", ".mov"),
        // Its pictures have no times of their own.
        (kinds::h264_closed(), "avi", ".avi"),
    ] {
        let mut recipe = Recipe { first_second: 0, ..recipe };
        if muxer == "webm" {
            recipe.sound.codec = "libopus".into();
        }
        let path = tempfile::NamedTempFile::with_suffix(extension).expect("a file");
        file(&recipe, muxer, &[], path.reopen().expect("a file"), &Token::root()).expect("a file");
        let folder = tempfile::tempdir().expect("a folder");
        let straight = judge::ffmpeg().and_then(|_| straight(path.path(), folder.path(), false));
        let some = (0..variable("MOVIOLA_PICTURES", 8)).map(|_| random.below(recipe.frames as i64) as u64);
        // And all of a short group, with those that lead it.
        for number in some.collect::<Vec<_>>().into_iter().chain(40..57) {
            let at = recipe.time_of(number) - recipe.start + 2_000;
            let made = draw(path.path(), at, Format::Png).expect("a frame");
            assert_eq!(barcode::read_png(&made.bytes), Some(number as u32), "{}", recipe.coder.name);
            let reference = straight.as_ref().map(|it| drawn(it, at));
            assert!(
                reference.is_none_or(|it| made.bytes == it),
                "{}: the pixels of {number} are not those of a straight decode",
                recipe.coder.name
            );
        }
    }
    // A header that claims more than anybody has memory for.
    let bomb = tempfile::NamedTempFile::with_suffix(".png").expect("a file");
    let head =
        [b"IHDR".as_slice(), &60_000u32.to_be_bytes(), &60_000u32.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let mut bytes = [&[0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 0, 0, 13], &head[..]].concat();
    bytes.extend(crc32fast::hash(&head).to_be_bytes());
    bytes.extend([0; 4096]);
    std::fs::write(bomb.path(), bytes).expect("a file");
    assert_eq!(draw(bomb.path(), 0, Format::Png).expect_err("refused").kind, Kind::Damaged);
}

/// A template of 64 x 48: a red frame of 4 pixels around what is transparent.
fn template() -> Vec<u8> {
    let mut picture = image::RgbaImage::new(64, 48);
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        if !(4..60).contains(&x) || !(4..44).contains(&y) {
            *pixel = image::Rgba([255, 0, 0, 255]);
        }
    }
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).expect("a PNG");
    bytes.into_inner()
}

#[test]
fn a_frame_is_put_into_a_template() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("plain.png"), template()).expect("a template");
    std::fs::write(folder.path().join("noted.png"), template()).expect("a template");
    let notes = r#"{"description": "Red", "crop": [0, 0, 480, 270], "location": [4, 4, 60, 44]}"#;
    std::fs::write(folder.path().join("noted.json"), notes).expect("notes");
    let server = Server::start_with(whole, |config| {
        config.thumbnail.templates = folder.path().to_owned();
        config.thumbnail.upload = "16 KiB".parse().expect("a size");
    });
    let list = server.get("/templates").json();
    assert_eq!(list[0]["name"], "noted");
    assert_eq!((&list[0]["crop"][2], &list[1]["name"]), (&480.into(), &"plain".into()));

    let target = |more: &str| format!("/thumbnail/chan/270p.png?timestamp={}{more}", start() + 700_000);
    let place = "&crop=0,0,480,270&location=4,4,60,44";
    let post = |more: &str, body: &[u8]| {
        server.raw_with_body("POST", &target(more), &format!("Content-Length: {}\r\n", body.len()), body)
    };
    let posted = post(place, &template());
    assert_eq!((posted.status, posted.header("content-type")), (200, "image/png"));
    let named = server.get(&target(&format!("&template=plain{place}")));
    let noted = server.get(&target("&template=noted"));
    assert!(named.body == posted.body && noted.body == posted.body);
    let picture = image::load_from_memory(&posted.body).expect("a picture").to_rgba8();
    assert_eq!((picture.width(), picture.height(), picture.get_pixel(1, 1).0), (64, 48, [255, 0, 0, 255]));
    // Beside another's filter of the same kind, which rounds in other places.
    let source = image::load_from_memory(&server.get(&frame(700_000, "")).body).expect("a picture").to_rgb8();
    let small = image::imageops::resize(&source, 56, 40, image::imageops::FilterType::Lanczos3);
    let far = small.enumerate_pixels().flat_map(|(x, y, pixel)| {
        let got = picture.get_pixel(x + 4, y + 4).0;
        (0..3).map(move |it| u32::from(got[it].abs_diff(pixel.0[it])))
    });
    let mean = f64::from(far.sum::<u32>()) / f64::from(56 * 40 * 3);
    assert!(mean < 1.5, "{mean} levels off");
    let tag = noted.header("etag").to_owned();
    let held = server.get_with(&target("&template=noted"), &[("if-none-match", &tag)]);
    assert_eq!(held.status, 304);
    assert_ne!(server.get(&target("&template=noted&location=0,0,9,9")).header("etag"), tag);
    for extension in ["jpg", "webp"] {
        let answer = server.get(&target("&template=noted").replace(".png", &format!(".{extension}")));
        assert!(answer.status == 200 || extension == "webp" && answer.status == 406, "{extension}");
    }

    for (more, status, code) in [
        ("&template=none", 404, "not-found"),
        ("&template=../plain", 403, "hidden-name"),
        ("&template=a/b", 400, "bad-name"),
        ("", 400, "missing-parameter"),
        ("&template=plain", 400, "missing-parameter"),
        ("&template=plain&crop=1,2,3&location=0,0,9,9", 400, "invalid-rectangle"),
    ] {
        let refused = server.get(&target(more));
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{more}");
    }
    for (more, body, status, code) in [
        (place, &b"no picture"[..], 400, "not-a-picture"),
        (place, b"", 400, "not-a-picture"),
        ("&crop=0,0,1,1", b"", 400, "missing-parameter"),
        ("&crop=0,0,1,1&location=9,9,1,1", b"", 400, "invalid-rectangle"),
        (place, &[0; 20_000], 413, "long-body"),
    ] {
        let refused = post(more, body);
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{more}");
    }
}
