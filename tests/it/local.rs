//! The commands on a file of another container say what the routes say of the segments it was made of.
#![allow(clippy::disallowed_methods)]

use crate::barcode;
use crate::client::Server;
use crate::judge;
use crate::media::{start, whole};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Segments of the stream, each of so many pictures, of which the first is the only keyframe.
const SEGMENTS: u32 = 8;
const EACH: u32 = 60;
const TILE: (u32, u32) = (480, 270);

/// The segments in one file: Matroska, where there is something to make it with.
fn file(archive: &Path, folder: &Path) -> PathBuf {
    let mut segments = Vec::new();
    for hour in std::fs::read_dir(archive.join("chan/270p")).expect("hours") {
        let hour = hour.expect("an hour").path();
        segments.extend(std::fs::read_dir(hour).expect("segments").map(|it| it.expect("a segment").path()));
    }
    segments.sort();
    let bytes: Vec<u8> = segments.iter().flat_map(|it| std::fs::read(it).expect("a segment")).collect();
    let (stream, matroska) = (folder.join("all.ts"), folder.join("all.mkv"));
    std::fs::write(&stream, bytes).expect("a file");
    if judge::ffmpeg().is_none() {
        return stream;
    }
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&stream)
        .args(["-map", "0", "-c", "copy"])
        .arg(&matroska)
        .stdin(Stdio::null())
        .status();
    assert!(made.expect("the judge runs").success());
    matroska
}

fn run(arguments: &[&str]) -> Vec<u8> {
    let out = Command::new(env!("CARGO_BIN_EXE_moviola")).args(arguments).output().expect("the program runs");
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

fn numbers(sheet: &Path) -> Vec<Option<u32>> {
    let sheet = image::open(sheet).expect("a sheet").to_luma8();
    let corners = (0..sheet.height() / TILE.1).flat_map(|y| (0..sheet.width() / TILE.0).map(move |x| (x, y)));
    let number = |(x, y): (u32, u32)| {
        let tile = image::imageops::crop_imm(&sheet, x * TILE.0, y * TILE.1, TILE.0, TILE.1).to_image();
        barcode::read(tile.as_raw(), TILE.0 as usize, 16)
    };
    corners.map(number).collect()
}

#[test]
fn commands_on_a_file_say_what_the_routes_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut path = PathBuf::new();
    let server = Server::start(|root| {
        whole(root);
        path = file(root, folder.path());
    });
    let path = path.to_str().expect("a name");
    let inside = |name: &str| folder.path().join(name).to_str().expect("a name").to_owned();
    let grid = ["--width", "480", "--columns", "2", "--rows", "2"];
    let keyframes: Vec<_> = (0..SEGMENTS).map(|it| Some(it * EACH)).collect();

    let board = inside("board");
    run(&[&["storyboard", path, "-o", &board, "--interval", "2"][..], &grid].concat());
    let sheets = ["sheet-001.jpg", "sheet-002.jpg"].map(|it| numbers(&Path::new(&board).join(it)));
    assert_eq!(sheets.concat(), keyframes);
    let vtt = std::fs::read_to_string(Path::new(&board).join("storyboard.vtt")).expect("a text");
    assert_eq!(vtt.matches(" --> ").count(), SEGMENTS as usize);
    assert!(vtt.contains("00:00:10.000 --> 00:00:12.000\nsheet-002.jpg#xywh=480,0,480,270\n"), "{vtt}");
    let json = std::fs::read(Path::new(&board).join("storyboard.json")).expect("a text");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(SEGMENTS as usize));

    let one = inside("one.png");
    run(&["storyboard", path, "-o", &one, "--width", "480", "--columns", "3", "--rows", "3"]);
    assert_eq!(numbers(Path::new(&one))[..keyframes.len()], keyframes, "spread over one sheet");
    let bif = inside("all.bif");
    run(&["storyboard", path, "-o", &bif, "--interval", "4", "--width", "480"]);
    let bif = std::fs::read(bif).expect("a file");
    assert_eq!(
        (&bif[..4], bif[12], bif[16..20].to_vec()),
        (&b"\x89BIF"[..], 4, 4000u32.to_le_bytes().to_vec())
    );
    let contact = inside("contact.jpg");
    run(&["contact-sheet", path, "-o", &contact, "--columns", "2", "--rows", "2", "--width", "160"]);
    let contact = image::open(contact).expect("a sheet");
    assert_eq!((contact.width(), contact.height()), (320, 2 * (90 + 11)));

    let template = inside("template.png");
    image::RgbaImage::new(TILE.0, TILE.1).save(&template).expect("a template");
    let thumbnail = inside("thumbnail.png");
    let area = format!("0,0,{},{}", TILE.0, TILE.1);
    run(&[
        "thumbnail",
        path,
        "--timestamp",
        "3.01",
        "--template",
        &template,
        "--crop",
        &area,
        "--location",
        &area,
        "-o",
        &thumbnail,
    ]);
    let picture = image::open(thumbnail).expect("a picture").to_luma8();
    assert_eq!(barcode::read(picture.as_raw(), TILE.0 as usize, 16), Some(90));

    let range = format!("start={}&end={}", start(), start() + 16_000_000);
    let both = |what: &str, words: &[&str], query: &str| -> [serde_json::Value; 2] {
        let own = run(&[&[what, path][..], words].concat());
        let route = server.get(&format!("/{what}/chan/270p.json?{range}{query}"));
        [serde_json::from_slice(&own).expect("JSON"), route.json()]
    };
    let [own, route] = both("loudness", &[], "");
    let value = |it: &serde_json::Value, key: &str| it[key].as_f64().expect("a number");
    for key in ["integrated", "true_peak"] {
        assert!((value(&own, key) - value(&route, key)).abs() < 0.1, "{key}: {own} and {route}");
    }
    let count = |it: &serde_json::Value, key: &str| it[key].as_array().map(Vec::len);
    let [own, route] = both("silence", &["--threshold", "0"], "&threshold=0");
    assert_eq!((count(&own, "silences"), count(&route, "silences")), (Some(1), Some(1)), "{own} and {route}");
    let [own, route] = both("scenes", &["--threshold", "0"], "&threshold=0");
    assert_eq!(count(&own, "scenes"), count(&route, "scenes"));
    assert_eq!(count(&own, "scenes"), Some(SEGMENTS as usize - 1), "one at each keyframe but the first");
}
