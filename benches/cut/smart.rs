//! Smart cuts: a minute beside the floor of its edges, twenty minutes beside that minute, and both beside smartcut.

use crate::common::process::{self, Memory, thread_cpu};
use crate::common::server::Server;
use crate::common::{
    CHANNEL, Outcome, PER_HOUR, SEGMENT, bar, clips, heads, line, median, millis, program, start,
};
use ffmpeg_next::{Dictionary, Packet, Rational, codec, decoder, encoder, frame};
use moviola::base::time::SECOND;
use moviola::base::{Channel, Quality, Span};
use moviola::config::Config;
use moviola::media::cut::edge::with_sets;
use moviola::media::cut::plan::{Piece, Source, plan};
use moviola::media::cut::sound::SoundFit;
use moviola::media::cut::{Container, Holes};
use moviola::media::index::{ElementaryReader, FrameIndex, build};
use moviola::render::Wanted;
use moviola::render::bytes::ByteSource;
use moviola::render::smart::Reach;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 7;
const QUALITY: &str = "720p";
const MINUTE: i64 = 60 * SECOND + 800_000;
const LONG: i64 = 20 * 60 * SECOND;
/// Past the second keyframe.
const OFFSET: i64 = 2 * SECOND + 700_000;
/// As the edges are encoded by default, for pictures that are not reordered and need no look ahead.
const PRESET: &str = "ultrafast";
const QUANTISER: &str = "18";
const X264: &str = "stitchable=1:scenecut=0:open-gop=0:keyint=infinite:bframes=0:ref=1:weightp=0:rc-lookahead=0:sync-lookahead=0:threads=1";

fn seconds(time: Duration) -> f64 {
    millis(time) / 1000.0
}

/// The segments over and over for 21 minutes: as many names of the same files.
pub fn long_archive(root: &Path) -> Outcome<PathBuf> {
    let long = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-archive-long-1");
    if long.is_dir() {
        return Ok(long);
    }
    let part = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let sources = clips(root, QUALITY)?;
    let folder = part.path().join(format!("{CHANNEL}/{QUALITY}/2024-11-09T12"));
    std::fs::create_dir_all(&folder)?;
    for (number, clip) in (0..PER_HOUR * 21 / 60).zip(sources.iter().cycle()) {
        let name = clip.path.file_name().ok_or("a segment without a name")?.to_string_lossy().into_owned();
        let hash = name.splitn(4, '-').nth(3).ok_or("a segment without a hash")?;
        let name = format!("{:02}:{:02}.000000-2.0-full-{hash}", number / 30, number % 30 * 2);
        std::fs::hard_link(&clip.path, folder.join(name))?;
    }
    std::fs::rename(part.keep(), &long)?;
    // A folder changed a moment ago is read again each time.
    std::thread::sleep(Duration::from_secs(3));
    Ok(long)
}

fn wanted(length: i64) -> Outcome<Wanted> {
    let from = start() + OFFSET;
    Ok(Wanted {
        channel: Channel::new(CHANNEL)?,
        quality: Quality::new(QUALITY)?,
        ranges: vec![(Some(from), Some(from + length))],
        transitions: Vec::new(),
        holes: Holes::Refuse,
        container: Container::TransportStream,
    })
}

/// A cut in this process.
struct Cost {
    /// CPU seconds until its first byte can be given, and of all the others.
    prepared: f64,
    middle: f64,
    /// Seconds until the first byte.
    first: f64,
    bytes: u64,
    frames: (u64, u64),
}

/// A server's parts without its cache of cuts; `kept` says whether its frame indexes are there.
fn cut(root: &Path, length: i64, kept: bool) -> Outcome<Cost> {
    let cache = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut config = Config { archive: root.to_owned(), ..Config::default() };
    if !kept {
        config.cache.directory = cache.path().to_owned();
    }
    let render = moviola::app::build(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (cpu, since) = (process::cpu(), Instant::now());
    let cut = runtime.block_on(render.smart_cut(wanted(length)?, Reach::Exact))?.cut;
    let (prepared, first) = (process::cpu() - cpu, since.elapsed());
    let cpu = process::cpu();
    let (mut at, chunk) = (0, 256 << 10);
    while at < cut.length() {
        let bytes = cut.read_at(at, chunk.min(cut.length() - at) as usize)?;
        at += bytes.len() as u64;
    }
    let middle = process::cpu() - cpu;
    render.stop.cancel();
    render.pool.shutdown(Duration::from_secs(1));
    Ok(Cost {
        prepared: seconds(prepared),
        middle: seconds(middle),
        first: seconds(first),
        bytes: at,
        frames: (cut.receipt.frames, cut.receipt.encoded_frames),
    })
}

/// What the edges cost whoever makes them: decoding from where decoders have to begin, with pictures left out that nobody
/// refers to, and encoding. CPU seconds, and pictures encoded.
fn floor(root: &Path) -> Outcome<(f64, usize)> {
    let clips = clips(root, QUALITY)?;
    let read = clips.iter().map(|clip| std::fs::read(&clip.path));
    let segments = read.collect::<std::io::Result<Vec<Vec<u8>>>>()?;
    let indexes = segments.iter().map(|it| build(it)).collect::<moviola::base::Result<Vec<FrameIndex>>>()?;
    let sources: Vec<Source<'_>> = indexes
        .iter()
        .zip(&clips)
        .enumerate()
        .map(|(number, (index, clip))| Source {
            index,
            wall: clip.start,
            joined: number > 0,
            whole: true,
            inner: None,
        })
        .collect();
    let from = start() + OFFSET;
    let plan = plan(&sources, Span::new(from, from + MINUTE), 0, &[], SoundFit::Nearest)?;
    let (mut spent, mut encoded) = (Duration::ZERO, 0);
    for piece in &plan.pieces {
        let Piece::Encode { frames, from } = piece else { continue };
        let last = frames.iter().max().ok_or("an edge without pictures")?;
        let mut packets = Vec::new();
        for source in from.source..=last.source {
            let track = indexes[source].video.as_ref().ok_or("no pictures")?;
            let end = if source == last.source { last.unit + 1 } else { track.units.len() };
            let first = if source == from.source { from.unit } else { 0 };
            for unit in first..end {
                let it = &track.units[unit];
                let is_wanted = frames.iter().any(|it| (it.source, it.unit) == (source, unit));
                if !it.reference && !is_wanted {
                    continue;
                }
                let mut bytes = Vec::new();
                ElementaryReader::new(&segments[source], track.pid).read(it.extent(), &mut bytes)?;
                if packets.is_empty() {
                    bytes = with_sets(track, it.parameter_set, bytes);
                }
                packets.push((it.pts + plan.shifts[source], is_wanted, bytes));
            }
        }
        let since = thread_cpu();
        encoded += make(&packets)?;
        spent += thread_cpu() - since;
    }
    Ok((seconds(spent), encoded))
}

/// Decodes packets and encodes the pictures of those that are wanted.
fn make(packets: &[(i64, bool, Vec<u8>)]) -> Outcome<usize> {
    let found = decoder::find(codec::Id::H264).ok_or("no decoder")?;
    let mut decoder = codec::context::Context::new_with_codec(found).decoder().open_as(found)?.video()?;
    let mut encoder: Option<encoder::video::Encoder> = None;
    let (mut picture, mut out, mut sent) = (frame::Video::empty(), Packet::empty(), 0);
    let mut encode = |picture: &mut frame::Video| -> Outcome<()> {
        let at = picture.pts();
        if !packets.iter().any(|(pts, wanted, _)| *wanted && Some(*pts) == at) {
            return Ok(());
        }
        let encoder = match &mut encoder {
            Some(encoder) => encoder,
            None => encoder.insert(open(picture)?),
        };
        picture.set_kind(ffmpeg_next::picture::Type::None);
        encoder.send_frame(picture)?;
        sent += 1;
        while encoder.receive_packet(&mut out).is_ok() {}
        Ok(())
    };
    for (pts, _, bytes) in packets {
        let mut packet = Packet::copy(bytes);
        packet.set_pts(Some(*pts));
        decoder.send_packet(&packet)?;
        while decoder.receive_frame(&mut picture).is_ok() {
            encode(&mut picture)?;
        }
    }
    decoder.send_eof()?;
    while decoder.receive_frame(&mut picture).is_ok() {
        encode(&mut picture)?;
    }
    if let Some(encoder) = &mut encoder {
        encoder.send_eof()?;
        while encoder.receive_packet(&mut out).is_ok() {}
    }
    Ok(sent)
}

fn open(first: &frame::Video) -> Outcome<encoder::video::Encoder> {
    let found = encoder::find_by_name("libx264").ok_or("no libx264")?;
    let mut encoder = codec::context::Context::new_with_codec(found).encoder().video()?;
    encoder.set_width(first.width());
    encoder.set_height(first.height());
    encoder.set_format(first.format());
    encoder.set_time_base(Rational::new(1, 90_000));
    encoder.set_frame_rate(Some(Rational::new(30, 1)));
    encoder.set_gop(100_000);
    encoder.set_max_b_frames(0);
    let mut options = Dictionary::new();
    for (key, value) in [("preset", PRESET), ("qp", QUANTISER), ("x264-params", X264)] {
        options.set(key, value);
    }
    Ok(encoder.open_with(options)?)
}

fn median_of(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    median(&costs.iter().map(of).collect::<Vec<_>>())
}

/// The cost of an exact minute, beside the floor, and of twenty.
pub fn cost(root: &Path) -> Outcome<()> {
    ffmpeg_next::init()?;
    let long = long_archive(root)?;
    // Frame indexes are there from the second time on.
    for (root, length) in [(root, MINUTE), (&*long, LONG)] {
        cut(root, length, true)?;
    }
    let (mut floors, mut encoded) = (Vec::new(), 0);
    let [mut minute, mut cold, mut twenty, mut cold_twenty] = [const { Vec::<Cost>::new() }; 4];
    for _ in 0..ROUNDS {
        let (floor, count) = floor(root)?;
        floors.push(floor);
        encoded = count;
        minute.push(cut(root, MINUTE, true)?);
        cold.push(cut(root, MINUTE, false)?);
        twenty.push(cut(&long, LONG, true)?);
        cold_twenty.push(cut(&long, LONG, false)?);
    }
    let floor = median(&floors);
    let (frames, own) = minute.first().map(|it| it.frames).unwrap_or_default();
    println!("Smart cuts of 720p as MPEG-TS, in process; medians of {ROUNDS} rounds");
    println!("  {frames} pictures in the minute, {own} encoded; the floor encodes {encoded}");
    heads("", &["CPU s", "x floor", "first s", "middle GB/s"]);
    line("floor: decode and encode of the edges of a minute", &[format!("{floor:.3}"), "1.00".into()]);
    for (what, costs) in [
        ("a minute", &minute),
        ("a minute, no frame index kept", &cold),
        ("20 minutes", &twenty),
        ("20 minutes, no frame index kept", &cold_twenty),
    ] {
        let whole = median_of(costs, |it| it.prepared + it.middle);
        let rate = median_of(costs, |it| it.bytes as f64 / 1e9 / it.middle.max(1e-6));
        let first = median_of(costs, |it| it.first);
        line(
            what,
            &[
                format!("{whole:.3}"),
                format!("{:.2}", whole / floor),
                format!("{first:.3}"),
                format!("{rate:.2}"),
            ],
        );
    }
    let whole = |costs: &[Cost]| median_of(costs, |it| it.prepared + it.middle);
    let ratio = whole(&minute) / floor;
    bar(&format!("a minute takes {ratio:.2} x the CPU of its floor; bar 1.15"), ratio <= 1.15);
    let more = median_of(&twenty, |it| it.bytes as f64) - median_of(&minute, |it| it.bytes as f64);
    let rate = more / 1e9 / (whole(&twenty) - whole(&minute));
    bar(&format!("what 20 minutes have more comes at {rate:.2} GB/s of a core; bar 1.5"), rate >= 1.5);
    Ok(())
}

/// CPU seconds and the most memory in MiB of a command.
fn run(command: &mut Command) -> Outcome<(f64, f64)> {
    let before = process::cpu_of_children();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let mut most = Memory::default();
    let status = loop {
        let now = process::memory(child.id());
        most = if now.peak > most.peak { now } else { most };
        match child.try_wait()? {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    if !status.success() {
        return Err(format!("{command:?} failed").into());
    }
    Ok((seconds(process::cpu_of_children() - before), most.peak))
}

/// A minute out of one file of 64 s beside smartcut 1.7, where it is installed; and out of the archive by a server.
pub fn beside_smartcut(root: &Path) -> Outcome<()> {
    let smartcut = std::env::var_os("SMARTCUT").unwrap_or_else(|| "smartcut".into());
    let quiet = Command::new(&smartcut).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !quiet.is_ok_and(|it| it.success()) {
        println!("smartcut is not installed (pip install smartcut==1.7, or SMARTCUT): left out");
        return Ok(());
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (input, output) = (folder.path().join("in.ts"), folder.path().join("out.ts"));
    let mut all = Vec::new();
    for clip in clips(root, QUALITY)? {
        all.extend(std::fs::read(&clip.path)?);
    }
    std::fs::write(&input, all)?;
    let seconds = |micros: i64| format!("{:.1}", micros as f64 / SECOND as f64);
    let (from, to) = (seconds(OFFSET), seconds(OFFSET + MINUTE));
    let server = Server::start(root, &["cut.edge_cache=0B"])?;
    let mut client = server.client()?;
    let target = |length: i64| {
        let from = start() + OFFSET;
        format!("/cut/{CHANNEL}/{QUALITY}.ts?start={from}&end={}", from + length)
    };
    client.get(&target(SEGMENT))?;
    let [mut theirs, mut ours, mut served] = [const { (Vec::<f64>::new(), Vec::<f64>::new()) }; 3];
    for _ in 0..ROUNDS {
        let mut it = Command::new(&smartcut);
        let (cpu, peak) = run(it.arg(&input).arg(&output).args(["-k", &format!("{from},{to}")]))?;
        theirs.0.push(cpu);
        theirs.1.push(peak);
        std::fs::remove_file(&output)?;
        let (cpu, peak) = run(program()
            .arg("cut")
            .arg(&input)
            .args(["--range", &format!("{from},{to}"), "--output"])
            .arg(&output))?;
        ours.0.push(cpu);
        ours.1.push(peak);
        std::fs::remove_file(&output)?;
        let before = server.cpu();
        let answer = client.get(&target(MINUTE))?;
        if answer.status != 200 {
            return Err(format!("a cut was answered {}", answer.status).into());
        }
        served.0.push(millis(server.cpu() - before) / 1000.0);
        served.1.push(server.memory().peak);
    }
    println!("A minute of 720p beside smartcut; medians of {ROUNDS} rounds");
    heads("", &["CPU s", "x smartcut", "peak MiB"]);
    let than = median(&theirs.0);
    for (what, costs) in [
        ("smartcut, out of a file", &theirs),
        ("moviola cut, out of the same file", &ours),
        ("moviola, by a server out of the same segments", &served),
    ] {
        let cpu = median(&costs.0);
        let columns = [format!("{cpu:.2}"), format!("{:.2}", cpu / than), format!("{:.0}", median(&costs.1))];
        line(what, &columns);
    }
    let ratio = median(&ours.0) / than;
    bar(&format!("out of a file {ratio:.2} x the CPU of smartcut; bar 0.5"), ratio <= 0.5);
    let ratio = median(&served.0) / than;
    bar(&format!("by a server {ratio:.2} x the CPU of smartcut; bar 0.5"), ratio <= 0.5);
    let peak = median(&served.1);
    bar(&format!("the server's peak is {peak:.0} MiB; bar 80"), peak <= 80.0);
    Ok(())
}
