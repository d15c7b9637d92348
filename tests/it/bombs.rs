//! Headers that claim pictures nobody has memory for: refused before anything of that size is allocated.
#![allow(clippy::disallowed_methods)]

use crate::client::Server;
use crate::judge;
use crate::media::{start, whole};
use moviola::archive::{Archive, Limits, SegmentKind};
use moviola::base::metrics::Metrics;
use moviola::base::{Channel, Quality};
use moviola::media::ts::{ContinuityCounters, ProgramFacts, StreamFacts, TsWriter};
use std::path::Path;
use std::process::{Command, Stdio};

/// What a command may take of memory, in KiB: a picture of 16000 by 16000 in RGB has 750,000.
const MEMORY: &str = "700000";

/// Bits, the highest first.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, value: u32, bits: u32) -> &mut Self {
        self.0.extend((0..bits).rev().map(|at| value >> at & 1 == 1));
        self
    }

    /// Exp-Golomb (ITU-T H.264 §9.1).
    fn ue(&mut self, value: u32) -> &mut Self {
        let bits = 32 - (value + 1).leading_zeros();
        self.put(0, bits - 1).put(value + 1, bits)
    }

    /// The unit's bytes, with its stop bit and what keeps it from looking like a start code.
    fn unit(&mut self, header: u8) -> Vec<u8> {
        self.put(1, 1);
        let bytes = self
            .0
            .chunks(8)
            .map(|it| it.iter().enumerate().fold(0u8, |byte, (at, bit)| byte | u8::from(*bit) << (7 - at)));
        let (mut out, mut zeros) = (vec![0, 0, 0, 1, header], 0);
        for byte in bytes {
            if zeros >= 2 && byte <= 3 {
                out.push(3);
                zeros = 0;
            }
            out.push(byte);
            zeros = if byte == 0 { zeros + 1 } else { 0 };
        }
        out
    }
}

/// An IDR picture of H.264 whose sequence claims 16000 by 16000 pixels.
fn h264() -> Vec<u8> {
    let mut sequence = Bits::default();
    sequence.put(66, 8).put(0, 8).put(62, 8).ue(0).ue(0).ue(2).ue(1).put(0, 1).ue(999).ue(999);
    sequence.put(1, 1).put(1, 1).put(0, 2);
    let mut picture = Bits::default();
    picture.ue(0).ue(0).put(0, 2).ue(0).ue(0).ue(0).put(0, 3).ue(0).ue(0).ue(0).put(0, 3);
    let mut slice = Bits::default();
    slice.ue(0).ue(7).ue(0).put(0, 4).ue(0).put(0, 2).ue(0).ue(0);
    (0..40).for_each(|_| {
        slice.ue(25).put(0x5a, 8);
    });
    [sequence.unit(0x67), picture.unit(0x68), slice.unit(0x65)].concat()
}

/// The same as a segment.
fn segment() -> Vec<u8> {
    let facts = ProgramFacts {
        transport_stream_id: 1,
        program_number: 1,
        pmt_pid: 0x1000,
        pcr_pid: 0x100,
        pat_version: 0,
        pmt_version: 0,
        descriptors: Vec::new(),
        streams: vec![StreamFacts { pid: 0x100, stream_type: 0x1b, descriptors: Vec::new() }],
        lead_90k: 9_000,
    };
    let mut writer = TsWriter::new(facts, ContinuityCounters::default()).expect("a stream");
    for number in 0..3 {
        let pts = 90_000 + number * 3000;
        writer.write_unit(0, pts, pts, true, &h264()).expect("a picture");
    }
    writer.finish().0
}

/// A PNG whose header claims 16000 by 16000 pixels.
fn png() -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        out.extend((data.len() as u32).to_be_bytes());
        let body = [&kind[..], data].concat();
        out.extend(&body);
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        out.extend(crc.sum().to_be_bytes());
    };
    let side = 16_000u32.to_be_bytes();
    chunk(b"IHDR", &[&side[..], &side, &[8, 2, 0, 0, 0]].concat());
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &[0; 48_001]).expect("memory");
    chunk(b"IDAT", &packed.finish().expect("memory"));
    chunk(b"IEND", &[]);
    out
}

/// An Ogg page with the identification header of Theora, 844832 by 1012384 pixels (Theora specification §6.2).
fn theora() -> Vec<u8> {
    let mut head = b"\x80theora\x03\x02\x01".to_vec();
    head.extend(52_802u16.to_be_bytes());
    head.extend(63_274u16.to_be_bytes());
    head.extend(&844_832u32.to_be_bytes()[1..]);
    head.extend(&1_012_384u32.to_be_bytes()[1..]);
    head.extend([0, 0, 0, 0, 0, 25, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0xc0, 0]);
    let mut page = b"OggS\0\x02".to_vec();
    page.extend([0; 8]);
    page.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, head.len() as u8]);
    page.extend(&head);
    // Without reflection, from 0 (RFC 3533 §6).
    let crc = page.iter().fold(0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    });
    page[22..26].copy_from_slice(&crc.to_le_bytes());
    page
}

/// A Matroska of FFV1 whose track claims 16000 by 16000 pixels where it has 320 by 320.
fn ffv1(folder: &Path) -> Option<Vec<u8>> {
    let path = folder.join("small.mkv");
    judge::ffmpeg()?;
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x320:rate=5:duration=1", "-c:v", "ffv1"])
        .arg(&path)
        .stdin(Stdio::null())
        .status();
    assert!(made.expect("the judge runs").success());
    let mut bytes = std::fs::read(&path).expect("a file");
    for element in [0xb0, 0xba] {
        // PixelWidth and PixelHeight (RFC 9559 §5.1.4.1.28), two bytes each.
        let at = bytes.windows(4).position(|it| it == [element, 0x82, 1, 0x40]).expect("a size");
        bytes[at + 2..at + 4].copy_from_slice(&16_000u16.to_be_bytes());
    }
    Some(bytes)
}

/// What the program says about a file, in little memory.
fn run(arguments: &[&str]) -> (bool, String) {
    let line = format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"");
    let out = Command::new("sh")
        .args(["-c", &line, env!("CARGO_BIN_EXE_moviola")])
        .args(arguments)
        // Words of the tests' own, which are no keys.
        .env_remove("MOVIOLA_PICTURES")
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    assert!(out.status.code().is_some(), "{arguments:?} was killed");
    (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
fn files_are_refused_in_little_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bombs =
        vec![("bomb.h264", h264()), ("bomb.ts", segment()), ("bomb.png", png()), ("bomb.ogv", theora())];
    bombs.extend(ffv1(folder.path()).map(|it| ("bomb.mkv", it)));
    let template = folder.path().join("template.png");
    image::RgbaImage::new(64, 36).save(&template).expect("a template");
    let (out, template) = (folder.path().join("out.png"), template.to_str().expect("a name"));
    let out = out.to_str().expect("a name");
    for (name, bytes) in bombs {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        let path = path.to_str().expect("a name");
        for arguments in [
            &["frame", path, "--timestamp", "0", "-o", out][..],
            &["storyboard", path, "-o", out],
            &["contact-sheet", path, "-o", out],
            &["scenes", path],
            &["probe", path],
            &[
                "thumbnail",
                path,
                "--timestamp",
                "0",
                "--template",
                template,
                "--crop",
                "0,0,64,36",
                "--location",
                "0,0,64,36",
                "-o",
                out,
            ],
        ] {
            let (done, said) = run(arguments);
            // What a file is may be told; a picture of it is not to be had.
            assert!(!done || arguments[0] == "probe", "{arguments:?} was answered");
            assert!(
                !said.contains("panicked") && !said.contains("not enough memory"),
                "{arguments:?}: {said}"
            );
        }
    }
    // The same words on a file that is what it claims.
    let fine = folder.path().join("fine.png");
    image::RgbImage::new(320, 180).save(&fine).expect("a picture");
    let (done, said) = run(&["frame", fine.to_str().expect("a name"), "--timestamp", "0", "-o", out]);
    assert!(done, "{said}");
}

#[test]
fn a_segment_and_a_template_are_refused() {
    let server = Server::start(|root| {
        whole(root);
        let archive = Archive::open(root, Limits::default(), Metrics::new()).expect("an archive");
        let (channel, quality) =
            (Channel::new("bomb").expect("a name"), Quality::new("270p").expect("a name"));
        let mut writer = archive.create_segment(&channel, &quality, start()).expect("a segment");
        writer.write(&segment()).expect("a segment");
        writer.finish(2_000_000, SegmentKind::Full).expect("a segment");
    });
    for target in [
        format!("/frame/bomb/270p.png?timestamp={}", start()),
        format!("/frame/bomb/270p.jpg?timestamp={}&width=100", start()),
        format!("/contact-sheet/bomb/270p.jpg?start={}&end={}", start(), start() + 2_000_000),
        format!("/storyboard/bomb/270p/sheet.jpg?start={}", start()),
        format!("/cut/bomb/270p.ts?start={}&end={}&type=full", start(), start() + 2_000_000),
    ] {
        let answer = server.get(&target);
        assert!(answer.status < 500 || answer.status == 503, "{target}: {}", answer.status);
        assert!(
            answer.status != 200 || target.starts_with("/storyboard") || target.starts_with("/contact"),
            "{target}"
        );
    }
    let target =
        format!("/thumbnail/chan/270p.png?timestamp={}&crop=0,0,9,9&location=0,0,9,9", start() + 1_000_000);
    let bomb = png();
    let length = format!("Content-Length: {}\r\nContent-Type: image/png\r\n", bomb.len());
    let answer = server.raw_with_body("POST", &target, &length, &bomb);
    assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(&answer.body));
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).expect("a problem");
    assert_eq!(problem["code"], "large-picture");
}
