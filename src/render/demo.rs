//! A small archive to look at: two qualities of a made-up stream, over an hour's end, with a hole and a segment that
//! stops early.

use crate::archive::{Archive, SegmentKind};
use crate::base::{Channel, Error, Quality, Result, Timestamp, Token};
use crate::media::synthetic::{Synthetic, SyntheticSegment, synthesise};

/// The channel the demo is written to.
pub const CHANNEL: &str = "demo";
/// The hour the demo runs over: half of it lies before, half after.
pub const MIDDLE: &str = "2025-06-01T12:00:00";

const FPS: u32 = 30;
const SEGMENT_SECONDS: u64 = 2;
/// Qualities with their sizes.
const QUALITIES: [(&str, usize, usize); 2] = [("720p", 1280, 720), ("360p", 640, 360)];

/// Which segments are not whole. A demo too short to hold both keeps what fits.
struct Scars {
    /// Segments left out, from the first to before the second.
    hole: (u64, u64),
    /// The segment that stops early.
    partial: u64,
}

impl Scars {
    /// A hole of three segments after a quarter of the time, a partial segment after five eighths.
    fn of(segments: u64) -> Self {
        let hole = segments / 4;
        Self { hole: (hole, hole + 3), partial: segments * 5 / 8 }
    }
}

/// When a demo of `minutes` starts.
pub fn start(minutes: u64) -> Result<Timestamp> {
    let half = minutes as i64 * crate::base::time::MINUTE / 2;
    Ok(Timestamp::parse("start", MIDDLE)? + -half)
}

/// The folder of files that stand for live sources, inside an archive; hidden, so that it is never listed.
pub const LIVE_FOLDER: &str = ".moviola-live";
/// The demo's, half a minute that is shown over and over.
pub const LIVE_FILE: &str = "demo.ts";
const LIVE_SEGMENTS: u64 = 15;

/// Writes the file that stands for a live source.
fn film(archive: &Archive, segment: &SyntheticSegment) -> Result<()> {
    let failed = |fault: std::io::Error| Error::io("the demo's live source could not be written", &fault);
    let folder = archive.path().join(LIVE_FOLDER);
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let mut options = std::fs::OpenOptions::new();
    // A demo that is made again begins it again.
    options.create(true).write(true).append(segment.number > 0).truncate(segment.number == 0);
    let mut file = options.open(folder.join(LIVE_FILE)).map_err(failed)?;
    std::io::Write::write_all(&mut file, &segment.bytes).map_err(failed)
}

/// Writes the demo, both qualities at once; `progress` hears of every segment (finished, of all).
pub fn make(
    archive: &Archive,
    minutes: u64,
    token: &Token,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<()> {
    let channel = Channel::new(CHANNEL)?;
    let frames = minutes * 60 * u64::from(FPS);
    let segments = minutes * 60 / SEGMENT_SECONDS;
    let done = std::sync::atomic::AtomicU64::new(0);
    let start = start(minutes)?;
    let one = |(name, width, height): (&str, usize, usize)| -> Result<()> {
        let quality = Quality::new(name)?;
        let scars = Scars::of(segments);
        let what = Synthetic {
            start,
            frames,
            fps: FPS,
            segment_frames: SEGMENT_SECONDS * u64::from(FPS),
            width,
            height,
            preset: "superfast".into(),
            crf: 26,
            b_frames: 2,
        };
        synthesise(&what, token, |segment| {
            write(archive, &channel, &quality, &segment, &scars)?;
            if name == QUALITIES[0].0 && segment.number < LIVE_SEGMENTS {
                film(archive, &segment)?;
            }
            let finished = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            progress(finished, segments * QUALITIES.len() as u64);
            Ok(())
        })
    };
    // One thread a quality: each is a source, a coder and a muxer of its own.
    std::thread::scope(|scope| {
        let workers = QUALITIES.map(|quality| {
            let one = &one;
            let name = format!("demo {}", quality.0);
            std::thread::Builder::new().name(name).spawn_scoped(scope, move || one(quality))
        });
        for worker in workers {
            let worker = worker.map_err(|fault| Error::io("a thread could not be started", &fault))?;
            worker.join().map_err(|_| Error::internal("making the demo panicked"))??;
        }
        Ok(())
    })
}

fn write(
    archive: &Archive,
    channel: &Channel,
    quality: &Quality,
    segment: &SyntheticSegment,
    scars: &Scars,
) -> Result<()> {
    if (scars.hole.0..scars.hole.1).contains(&segment.number) {
        return Ok(());
    }
    let mut writer = archive.create_segment(channel, quality, segment.start)?;
    let partial = segment.number == scars.partial;
    // Where a download broke off: in the middle of a packet, after three fifths.
    let length = if partial { segment.bytes.len() * 3 / 5 } else { segment.bytes.len() };
    writer.write(&segment.bytes[..length])?;
    let kind = if partial { SegmentKind::Partial } else { SegmentKind::Full };
    writer.finish(segment.duration, kind)?;
    Ok(())
}
