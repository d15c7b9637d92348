//! Waveforms beside other programs' decoders: numbers equal to a plain calculation over their samples, pictures to
//! showwavespic's.
#![allow(clippy::disallowed_methods)]

use crate::client::{Answer, Server};
use crate::judge;
use crate::media::{FRAMES, start, stream, whole};
use moviola::archive::SegmentKind;
use moviola::base::{Timestamp, Token};
use moviola::media::index;
use moviola::render::waveform::of_file;
use moviola::render::waveform::wish::{DEFAULT_SIZE, Extension, Origin, Wish};
use std::path::{Path, PathBuf};
use std::process::Command;

/// 16-bit samples of a file's sound, channels interleaved, decoded by the judge.
fn pcm(file: &Path) -> Vec<i16> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-map", "0:a:0", "-c:a", "pcm_s16le", "-f", "s16le", "-"])
        .output()
        .expect("the judge runs");
    output.stdout.as_chunks::<2>().0.iter().map(|it| i16::from_le_bytes(*it)).collect()
}

/// The tracks of interleaved samples: each channel, or their sum divided by their count.
fn tracks(samples: &[i16], channels: usize, split: bool) -> Vec<Vec<i16>> {
    let frames = samples.chunks_exact(channels);
    if split {
        return (0..channels).map(|it| frames.clone().map(|frame| frame[it]).collect()).collect();
    }
    let mean = |frame: &[i16]| (frame.iter().map(|it| i32::from(*it)).sum::<i32>() / channels as i32) as i16;
    vec![frames.map(mean).collect()]
}

/// audiowaveform's binary file of some tracks, by its published description and nothing of the program's.
fn plain_dat(tracks: &[Vec<i16>], rate: u32, each: usize, bits: u32) -> Vec<u8> {
    let pixels = tracks[0].len().div_ceil(each);
    let mut out = Vec::new();
    for word in
        [if tracks.len() == 1 { 1 } else { 2 }, u32::from(bits == 8), rate, each as u32, pixels as u32]
    {
        out.extend(word.to_le_bytes());
    }
    if tracks.len() > 1 {
        out.extend((tracks.len() as u32).to_le_bytes());
    }
    for pixel in 0..pixels {
        for track in tracks {
            let samples = &track[pixel * each..((pixel + 1) * each).min(track.len())];
            for value in [samples.iter().min().unwrap(), samples.iter().max().unwrap()] {
                match bits {
                    8 => out.push((value / 256) as i8 as u8),
                    _ => out.extend(value.to_le_bytes()),
                }
            }
        }
    }
    out
}

fn wish(extension: Extension, query: &str) -> Wish {
    let pairs: Vec<(&str, &str)> = query.split('&').filter_map(|it| it.split_once('=')).collect();
    let get = |key: &str| Ok(pairs.iter().find(|it| it.0 == key).map(|it| it.1));
    Wish::read(extension, Origin::File, DEFAULT_SIZE, get).expect("a wish")
}

#[test]
fn files_give_what_audiowaveform_gives() {
    if judge::ffmpeg().is_none() {
        return println!("skipped: there is no ffmpeg to judge");
    }
    let folder = tempfile::tempdir().expect("a folder");
    // Name, coding, rate and channels; the length is a multiple of nothing.
    for (name, coding, rate, channels) in [
        ("a.wav", "pcm_s16le", 44_100, 2),
        ("b.wav", "pcm_u8", 8_000, 1),
        ("c.wav", "pcm_s24le", 48_000, 2),
        ("d.wav", "pcm_f32le", 48_000, 3),
        ("e.flac", "flac", 44_100, 2),
        ("f.flac", "flac -sample_fmt s32", 96_000, 1),
        ("g.mp3", "libmp3lame", 44_100, 2),
        ("h.m4a", "aac", 48_000, 2),
        ("i.mkv", "libopus", 48_000, 2),
    ] {
        let file = folder.path().join(name);
        let sound = format!(
            "aevalsrc=0.9*sin(2*PI*(100+90*t)*t)*sin(t)|1.1*random(0)*sin(3*t)-0.4|0.1*t:s={rate}:d=3.337"
        );
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-f", "lavfi", "-i", &sound, "-ac", &channels.to_string(), "-c:a"])
            .args(coding.split(' '))
            .arg(&file)
            .status();
        if !made.is_ok_and(|it| it.success()) {
            println!("skipped: this ffmpeg does not make {name}");
            continue;
        }
        let samples = pcm(&file);
        assert!(samples.len() > 3 * rate as usize * channels, "{name}");
        for (each, bits, split) in
            [(256, 16, false), (256, 8, true), (441, 8, false), (1000, 16, true), (2, 16, false)]
        {
            let query = format!(
                "samples_per_pixel={each}&bits={bits}&channels={}",
                if split { "split" } else { "mix" }
            );
            let own =
                of_file(&file, wish(Extension::Dat, &query), 1 << 23, &Token::root()).expect("a waveform");
            let plain = plain_dat(&tracks(&samples, channels, split), rate, each, bits);
            assert!(own.bytes == plain, "{name} {query}: {} and {} bytes", own.bytes.len(), plain.len());
            let json =
                of_file(&file, wish(Extension::Json, &query), 1 << 23, &Token::root()).expect("a waveform");
            let json: serde_json::Value = serde_json::from_slice(&json.bytes).expect("JSON");
            let mut keys: Vec<&String> = json.as_object().expect("an object").keys().collect();
            keys.sort();
            assert_eq!(
                keys,
                ["bits", "channels", "data", "length", "sample_rate", "samples_per_pixel", "version"]
            );
            let data: Vec<i64> =
                json["data"].as_array().expect("data").iter().filter_map(|it| it.as_i64()).collect();
            let body = &plain[if plain[0] == 1 { 20 } else { 24 }..];
            let values: Vec<i64> = match bits {
                8 => body.iter().map(|it| i64::from(*it as i8)).collect(),
                _ => body.as_chunks::<2>().0.iter().map(|it| i64::from(i16::from_le_bytes(*it))).collect(),
            };
            assert!(data == values && json["version"] == 2 && json["bits"] == bits, "{name} {query}");
        }
        let bounded = of_file(&file, wish(Extension::Dat, "samples_per_pixel=2"), 100, &Token::root());
        assert_eq!(bounded.unwrap_err().code, "too-many-pixels");
        let picture =
            of_file(&file, wish(Extension::Png, "axis=true"), 1, &Token::root()).expect("a picture");
        let picture = image::load_from_memory(&picture.bytes).expect("a PNG");
        assert_eq!((picture.width(), picture.height()), DEFAULT_SIZE);
    }
}

/// Values of a version 1 file with 16 bits, after a look at its head.
fn values(answer: &Answer, each: u32) -> Vec<(i16, i16)> {
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/octet-stream"));
    let (head, data) = answer.body.split_at(20);
    let word = |at: usize| u32::from_le_bytes(head[at * 4..at * 4 + 4].try_into().expect("a word"));
    assert_eq!([word(0), word(1), word(2), word(3)], [1, 0, 48_000, each]);
    assert_eq!(word(4) as usize * 4, data.len());
    let value = |bytes: &[u8]| i16::from_le_bytes([bytes[0], bytes[1]]);
    data.chunks_exact(4).map(|it| (value(it), value(&it[2..]))).collect()
}

/// All segments of the channel in one file, which its counters and clock run through.
fn joined(server: &Server) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::with_suffix(".ts").expect("a file");
    let mut bytes = Vec::new();
    for hour in ["2024-11-09T12", "2024-11-09T13"] {
        for name in server.get(&format!("/files/chan/270p/{hour}")).json().as_array().expect("names") {
            let name = name.as_str().expect("a name").replace(':', "%3A");
            bytes.extend(server.get(&format!("/segments/chan/270p/{hour}/{name}")).body);
        }
    }
    std::fs::write(file.path(), bytes).expect("a file");
    file
}

#[test]
fn blocks_over_borders_of_segments_are_those_of_the_whole_stream() {
    let Some(judge) = judge::ffmpeg() else { return println!("skipped: there is no ffmpeg to judge") };
    let server = Server::start(whole);
    let file = joined(&server);
    let samples = pcm(file.path());
    let mixed = tracks(&samples, 2, false).remove(0);
    let first = |stream| judge.packets(file.path(), stream).iter().map(|it| it.pts).min().expect("packets");
    let lead = ((first("a") - first("v")) as f64 * 48_000.0 / 90_000.0).round() as i64;
    // Where the stream's first sample lies on the clock.
    let origin = (start().micros() as i128 * 48 + 500).div_euclid(1000) as i64 + lead;
    for each in [256i64, 768, 4096, 65_536] {
        let span = format!("start={}&end={}", start() + 1_000_000, start() + 15_000_000);
        let own = values(
            &server.get(&format!("/waveform/chan/270p.dat?{span}&samples_per_pixel={each}")),
            each as u32,
        );
        let begin = ((start().micros() + 1_000_000) * 48 / 1000 + each - 1).div_euclid(each);
        // AAC fills bands with noise of the decoder's own dice (ISO/IEC 14496-3 §4.6.13): where there is any, two decoders
        // differ by little. Elsewhere every value is the same.
        let mut apart = 0;
        for (pixel, value) in own.iter().enumerate() {
            let from = (begin + pixel as i64) * each - origin;
            let part = &mixed[from as usize..((from + each) as usize).min(mixed.len())];
            let plain = (*part.iter().min().expect("samples"), *part.iter().max().expect("samples"));
            let far = plain.0.abs_diff(value.0).max(plain.1.abs_diff(value.1));
            // A tenth of full scale: what a block of another place differs by in this stream.
            assert!(far <= 3277, "pixel {pixel} of {each} samples: {value:?}, not {plain:?}");
            apart += usize::from(far > 0);
        }
        assert!(each > 1024 || apart * 10 < own.len(), "{apart} of {} pixels", own.len());
    }
}

#[test]
fn spans_that_adjoin_give_files_that_join() {
    let server = Server::start(whole);
    let get = |from: i64, to: i64, each: u32, more: &str| {
        let span = format!("start={}&end={}", start() + from, start() + to);
        server.get(&format!("/waveform/chan/270p.dat?{span}&samples_per_pixel={each}{more}"))
    };
    for each in [256, 512, 2048, 32_768] {
        // The parts first, which finds their segments not decoded yet.
        let borders = [0, 3_333_333, 5_999_999, 6_000_001, 11_234_567, 16_000_000];
        let parts: Vec<(i16, i16)> =
            borders.windows(2).flat_map(|it| values(&get(it[0], it[1], each, ""), each)).collect();
        let answer = get(0, 16_000_000, each, "");
        assert_eq!(values(&answer, each), parts, "{each}");
        assert_eq!(get(0, 16_000_000, each, "").header("etag"), answer.header("etag"));
    }
    // Version 2, with its count of channels.
    let split = get(0, 4_000_000, 256, "&channels=split&bits=8");
    assert_eq!((split.body[0], split.body[4], split.body[20]), (2, 1, 2));
    let pixels = u32::from_le_bytes(split.body[16..20].try_into().expect("a word")) as usize;
    assert_eq!(split.body.len(), 24 + pixels * 4);
    assert!((749..=751).contains(&pixels), "{pixels}");
    // What has segments all around it does not change any more; what has not may.
    assert_eq!(
        get(4_000_000, 8_000_000, 256, "").header("cache-control"),
        "public, max-age=86400, immutable"
    );
    assert_eq!(get(12_000_000, 16_000_000, 256, "").header("cache-control"), "no-cache");
    let few = server.get(&format!(
        "/waveform/chan/270p.json?start={}&end={}&width=50&bits=8",
        start(),
        start() + 16_000_000
    ));
    let length = few.json()["length"].as_u64().expect("a length");
    assert!((45..=50).contains(&length), "{length}");
}

#[test]
fn a_hole_is_not_silence() {
    let server =
        Server::start(|root| stream(root, FRAMES, |number| (number != 3).then_some(SegmentKind::Full)));
    let span = format!("start={}&end={}", start(), start() + 16_000_000);
    let told = server
        .get(&format!("/waveform/chan/270p.json?{span}&samples_per_pixel=4096&format=wavesurfer"))
        .json();
    let holes = told["holes"].as_array().expect("holes");
    assert_eq!(holes.len(), 1, "{holes:?}");
    let (from, to) = (holes[0]["start"].as_f64().expect("a time"), holes[0]["end"].as_f64().expect("a time"));
    assert!((from - 6.0).abs() < 0.2 && (to - 8.0).abs() < 0.2, "{from} to {to}");
    assert_eq!(told["peaks"].as_array().expect("channels").len(), 1);
    let floats = server.get(&format!("/waveform/chan/270p.f32?{span}&samples_per_pixel=4096"));
    let floats: Vec<f32> = floats.body.as_chunks::<4>().0.iter().map(|it| f32::from_le_bytes(*it)).collect();
    let missing = floats.iter().filter(|it| it.is_nan()).count();
    assert!((21..=24).contains(&missing), "{missing} of {}", floats.len());
    let svg = server.get(&format!("/waveform/chan/270p.svg?{span}&axis=true&style=peak&channels=split"));
    assert_eq!((svg.status, svg.header("content-type")), (200, "image/svg+xml"));
    assert_eq!(svg.text().matches("<path").count(), 2, "a path a channel");
    assert!(svg.text().contains(">13:00:00</text>"), "{}", &svg.text()[svg.text().len() - 400..]);
}

/// How many of the rows of each column are inked.
fn heights(png: &[u8]) -> Vec<u32> {
    let picture = image::load_from_memory(png).expect("a PNG").to_rgba8();
    let inked = |x: u32| (0..picture.height()).filter(|y| picture.get_pixel(x, *y).0[3] > 0).count() as u32;
    (0..picture.width()).map(inked).collect()
}

const WIDE: i64 = 150;
const HIGH: u32 = 1000;

fn showwavespic(file: &Path, filter: &str, samples: i64) -> Vec<u8> {
    let graph = format!("[0:a:0]atrim=end_sample={samples},showwavespic=s={WIDE}x{HIGH}:scale=sqrt{filter}");
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-filter_complex", &graph, "-frames:v", "1", "-c:v", "png", "-f", "image2pipe", "-"])
        .output();
    output.expect("the judge runs").stdout
}

fn shared() -> Option<PathBuf> {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/media"));
    let named = std::env::var_os("MOVIOLA_REFERENCE").map(|it| PathBuf::from(it).join("media"));
    [Some(beside), named].into_iter().flatten().find(|it| it.is_dir())
}

#[test]
fn columns_are_those_of_showwavespic() {
    if judge::ffmpeg().is_none() {
        return println!("skipped: there is no ffmpeg to judge");
    }
    let mut files: Vec<PathBuf> = Vec::new();
    match shared().map(|it| std::fs::read_dir(it.join("ts"))) {
        Some(Ok(folder)) => files.extend(folder.flatten().map(|it| it.path())),
        _ => println!("skipped in part: no shared media (MOVIOLA_REFERENCE)"),
    }
    files.retain(|it| it.extension().is_some_and(|it| it == "ts"));
    files.sort();
    let made = joined(&Server::start(whole));
    files.push(made.path().to_owned());
    let (mut compared, mut faults) = (0, Vec::new());
    for file in &files {
        let bytes = std::fs::read(file).expect("a file");
        let Ok(sound) = index::sound(&bytes) else { continue };
        let (Some(track), Some(first)) =
            (sound.audio.iter().find(|it| !it.frames.is_empty()), sound.first_pts)
        else {
            continue;
        };
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        let server = Server::start(|root| {
            let folder = root.join("c/q/2024-11-09T12");
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::copy(file, folder.join(format!("30:00.000000-600.0-full-{:0>43}.ts", 1)))
                .expect("a copy");
        });
        let begin = Timestamp::parse("start", "2024-11-09T12:30:00").expect("a time");
        let begin = begin + (track.frames[0].pts - first) * 100 / 9;
        // As long as a multiple of columns: showwavespic leaves the rest out.
        let channels = usize::from(track.channels.max(1));
        // A frame cut off at the file's end is none here, and half of one there.
        let told: i64 = track.frames.iter().map(|it| i64::from(it.samples)).sum();
        let heard = (pcm(file).len() / channels) as i64;
        let samples = heard.min(told) / WIDE * WIDE;
        // Too short for columns, or of a rate the index does not tell (SBR), or one that libav cuts gaps out of.
        let steady = track.frames.windows(2).all(|it| {
            let step = i64::from(it[0].samples) * 90_000 / i64::from(track.sample_rate);
            (it[1].pts - it[0].pts - step).abs() < 100
        });
        if samples < WIDE * 100 || (told - heard).abs() > 4 * 1024 || !steady || track.changes {
            println!("{name}: passed over");
            continue;
        }
        let end = begin + samples * 1_000_000 / i64::from(track.sample_rate);
        for (query, filter) in [("style=mean", ""), ("style=mean&channels=split", ":split_channels=1")] {
            let target = format!("/waveform/c/q.png?size={WIDE}x{HIGH}&start={begin}&end={end}&{query}");
            let answer = server.get(&target);
            let theirs = showwavespic(file, filter, samples);
            if answer.status != 200 || theirs.is_empty() {
                faults.push(format!("{name}: {} here, {} bytes there", answer.status, theirs.len()));
                continue;
            }
            let pairs: Vec<(u32, u32)> = heights(&answer.body).into_iter().zip(heights(&theirs)).collect();
            let worst = pairs.iter().map(|it| it.0.abs_diff(it.1)).max().unwrap_or(0);
            println!("{name} {query}: at most {worst} of {HIGH} rows apart");
            compared += 1;
            if worst > HIGH / 50 {
                faults.push(format!("{name} {query}: {worst} of {HIGH} rows apart"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(compared > 0);
}
