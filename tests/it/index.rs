//! The frame index beside the judge: every MPEG-TS file of the shared media, packet by packet, against ffprobe.

use moviola::media::index::{
    self, AccessUnit, AudioCodec, AudioTrack, ElementaryReader, FrameIndex, UnitClass, VideoCodec,
};
use std::path::{Path, PathBuf};

/// A packet as ffprobe tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    pts: Option<i64>,
    dts: Option<i64>,
    size: u64,
    pos: Option<u64>,
    key: bool,
}

/// The packets of the stream with this PID.
fn ffprobe(file: &Path, pid: u16) -> Option<Vec<Told>> {
    #[allow(
        clippy::disallowed_methods,
        reason = "the judge is another program; the server itself starts none"
    )]
    let output = std::process::Command::new("ffprobe")
        .args(["-v", "quiet", "-of", "json", "-show_packets", "-select_streams", &format!("i:{pid:#x}")])
        .arg(file)
        .output()
        .ok()?;
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let number = |it: &serde_json::Value| it.as_str().and_then(|it| it.parse().ok());
    let packet = |it: &serde_json::Value| Told {
        pts: it["pts"].as_i64(),
        dts: it["dts"].as_i64(),
        size: number(&it["size"]).unwrap_or(0),
        pos: number(&it["pos"]),
        key: it["flags"].as_str().is_some_and(|it| it.starts_with('K')),
    };
    Some(told["packets"].as_array()?.iter().map(packet).collect())
}

fn media() -> Option<PathBuf> {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/media"));
    let named = std::env::var_os("MOVIOLA_REFERENCE").map(|it| PathBuf::from(it).join("media"));
    [Some(beside), named].into_iter().flatten().find(|it| it.is_dir())
}

fn transport_streams(folder: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut entries: Vec<PathBuf> = entries.flatten().map(|it| it.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            transport_streams(&path, out);
        } else if path.extension().is_some_and(|it| it == "ts") {
            out.push(path);
        }
    }
}

/// Equal on a clock of 33 bits, give or take: ffprobe unwraps by rules of its own.
fn same_time(own: i64, told: Option<i64>, tolerance: i64) -> bool {
    told.is_none_or(|told| {
        let turn = 1i64 << 33;
        let difference = (own - told).rem_euclid(turn);
        difference.min(turn - difference) <= tolerance
    })
}

/// The units as ffprobe counts packets: it puts two fields of MPEG-2 into one.
fn packets(units: &[AccessUnit], codec: VideoCodec) -> Vec<AccessUnit> {
    let mut out: Vec<AccessUnit> = Vec::new();
    for unit in units {
        match out.last_mut() {
            Some(first) if codec == VideoCodec::Mpeg2 && unit.second_field => first.size += unit.size,
            _ => out.push(*unit),
        }
    }
    out
}

fn compare_video(index: &FrameIndex, told: &[Told]) -> Vec<String> {
    let Some(track) = &index.video else { return Vec::new() };
    let own = packets(&track.units, track.codec);
    let mut faults = Vec::new();
    if own.len() != told.len() {
        faults.push(format!("{} pictures, ffprobe says {}", own.len(), told.len()));
    }
    for (number, (unit, told)) in own.iter().zip(told).enumerate() {
        let key = matches!(
            unit.class,
            UnitClass::Idr
                | UnitClass::RecoveryPoint { .. }
                | UnitClass::Cra
                | UnitClass::Bla
                | UnitClass::KeyOpen
        );
        let times = unit.estimated || same_time(unit.pts, told.pts, 0) && same_time(unit.dts, told.dts, 0);
        let place = told.pos.is_none_or(|it| it == unit.offset || unit.skip != 0);
        // ffprobe's HEVC parser counts the zero byte before the next unit's start code to the unit before it.
        let slack = u64::from(track.codec == VideoCodec::Hevc);
        let size = u64::from(unit.size).abs_diff(told.size) <= slack;
        if !times || !size || key != told.key || !place {
            faults.push(format!("picture {number}: {unit:?}, ffprobe says {told:?}"));
        }
    }
    faults
}

fn compare_audio(track: &AudioTrack, told: &[Told]) -> Vec<String> {
    let frames = &track.frames;
    let mut told = told;
    // ffprobe makes packets of what the segment has of frames that begin before it and end after it, and gives the
    // PES packet's time to the piece instead of the first frame that commences.
    let piece = told.len() > frames.len()
        && told.first().zip(frames.first()).is_some_and(|(told, own)| told.size != u64::from(own.size));
    if piece {
        told = &told[1..];
    }
    if told.len() == frames.len() + 1 {
        told = &told[..frames.len()];
    }
    let mut faults = Vec::new();
    if frames.len() != told.len() {
        faults.push(format!("PID {}: {} frames, ffprobe says {}", track.pid, frames.len(), told.len()));
    }
    // Where a frame is no whole number of ticks, ffprobe rounds each frame down and the index their sum.
    let whole = u64::from(track.samples_per_frame) * 90_000 % u64::from(track.sample_rate.max(1)) == 0;
    let tolerance = if whole { 0 } else { 16 };
    // ffprobe's Opus packets are without their control header.
    let header = if track.codec == AudioCodec::Opus { 2..=8 } else { 0..=0 };
    for (number, (frame, told)) in frames.iter().zip(told).enumerate() {
        let time = number == 0 && piece || same_time(frame.pts, told.pts, tolerance);
        if !time || !header.contains(&u64::from(frame.size).wrapping_sub(told.size)) {
            faults.push(format!("PID {}, frame {number}: {frame:?}, ffprobe says {told:?}", track.pid));
        }
    }
    faults
}

/// What every index must hold, whatever the segment.
fn check(index: &FrameIndex, segment: &[u8]) -> Vec<String> {
    let mut faults = Vec::new();
    let encoded = index.encode();
    if FrameIndex::decode(&encoded).ok().as_ref() != Some(index) {
        faults.push("is not itself after encoding and decoding".into());
    }
    let mut out = Vec::new();
    if let Some(track) = &index.video {
        let reader = ElementaryReader::new(segment, track.pid);
        for (number, unit) in track.units.iter().enumerate() {
            out.clear();
            let read = reader.read(unit.extent(), &mut out).is_ok() && out.len() == unit.size as usize;
            let starts = matches!(track.codec, VideoCodec::Other(_))
                || out.starts_with(&[0, 0, 1])
                || out.starts_with(&[0, 0, 0, 1]);
            if !read || !starts || unit.end <= unit.offset || unit.end > index.bytes {
                faults.push(format!("picture {number} cannot be read: {unit:?}"));
            }
        }
    }
    for track in &index.audio {
        let reader = ElementaryReader::new(segment, track.pid);
        for (number, frame) in track.frames.iter().enumerate() {
            out.clear();
            if reader.read(frame.extent(), &mut out).is_err() || out.len() != frame.size as usize {
                faults.push(format!("sound frame {number} cannot be read: {frame:?}"));
            }
        }
    }
    faults
}

/// Where ffprobe and the index differ, with the reason.
const DIFFERENCES: &[(&str, &str)] =
    &[("corrupt/mux.js_test-stuffed-pes.ts", "one packet without a program: neither has anything to say")];

#[test]
fn the_index_agrees_with_ffprobe() {
    let Some(media) = media() else {
        println!("SKIP: no shared media (MOVIOLA_REFERENCE)");
        return;
    };
    let mut files = Vec::new();
    transport_streams(&media, &mut files);
    let extra = std::env::var("MOVIOLA_INDEX_EXTRA").unwrap_or_default();
    files.extend(extra.split(':').filter(|it| !it.is_empty()).map(PathBuf::from));
    let mut faults = Vec::new();
    for file in &files {
        let name = file.strip_prefix(&media).unwrap_or(file).display().to_string();
        let segment = std::fs::read(file).unwrap();
        let mut found = Vec::new();
        match index::build(&segment) {
            Ok(index) => {
                found.extend(check(&index, &segment));
                let sound = index::sound(&segment).unwrap();
                if (sound.first_pts, &sound.audio) != (index.first_pts(), &index.audio) {
                    found.push("has another sound or clock where the pictures are passed over".into());
                }
                let told = index.video.as_ref().map(|it| ffprobe(file, it.pid));
                if let Some(None) = told {
                    println!("SKIP: no ffprobe");
                    return;
                }
                found.extend(compare_video(&index, &told.flatten().unwrap_or_default()));
                for track in &index.audio {
                    found.extend(compare_audio(track, &ffprobe(file, track.pid).unwrap_or_default()));
                }
            }
            Err(error) => found.push(format!("no index: {error}")),
        }
        let known = DIFFERENCES.iter().any(|(it, _)| *it == name);
        if known != found.is_empty() {
            println!("{name}: agrees{}", if known { " in all but what is known" } else { "" });
        }
        found.truncate(4);
        faults.extend(found.into_iter().filter(|_| !known).map(|it| format!("{name}: {it}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
