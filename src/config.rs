//! The configuration: a TOML file, then the environment, then flags; the later wins. Unknown keys are refused.
//!
//! Every key has one environment variable: `MOVIOLA_` and its path in capitals (`pool.batch_seats` is
//! `MOVIOLA_POOL_BATCH_SEATS`). docs/config.md describes each key; a test keeps the two in step.

mod live;
mod load;
mod record;

pub use crate::base::units::{ByteSize, Length};
pub use live::Live;
pub use load::{Sources, environment, load};
pub use record::Record;

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The archive's directory. Empty: none, and `moviola serve` refuses to start.
    pub archive: PathBuf,
    /// The address to serve on; port 0 lets the system choose one.
    pub listen: SocketAddr,
    /// What is logged, as tracing-subscriber's filter: `info`, `debug`, `moviola::http=debug,info`.
    pub log: String,
    pub http: Http,
    pub pool: Pool,
    pub shutdown: Shutdown,
    pub listing: Listing,
    pub cache: Cache,
    pub cut: Cut,
    pub frame: Frame,
    pub storyboard: Storyboard,
    pub thumbnail: Thumbnail,
    pub waveform: Waveform,
    pub warm: Warm,
    pub jobs: Jobs,
    pub record: Record,
    pub live: Live,
    pub hls: Hls,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Threads that speak HTTP. They never decode or read a disk, so few are enough.
    pub workers: usize,
    /// Connections held at a time, over all workers; more wait in the system's backlog.
    pub max_connections: usize,
    /// How long a client may take no byte of a body before its connection is cut and its worker freed.
    pub client_stall: Length,
    /// How long a client may take to send its request's head.
    pub request_timeout: Length,
    /// How long an idle connection is kept for the next request.
    pub keep_alive: Length,
    /// The longest request line (method, target, version) that is answered; longer is 414.
    pub request_line: ByteSize,
    /// The longest sum of request header names and values that is answered; longer is 431.
    pub request_headers: ByteSize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pool {
    /// Frames and waveforms worked on at a time.
    pub interactive_seats: usize,
    /// Frames and waveforms that may wait; one more is answered 503.
    pub interactive_queue: usize,
    /// Full cuts worked on at a time; a cut's encoder uses seats that are idle.
    pub batch_seats: usize,
    /// Full cuts that may wait; one more is answered 503.
    pub batch_queue: usize,
    /// Listings and file reads at a time.
    pub disk_seats: usize,
    /// Listings and file reads that may wait; one more is answered 503.
    pub disk_queue: usize,
    /// How long a frame or a waveform may wait for its turn; later it is answered 503.
    pub queue_wait: Length,
    /// The nice value of the threads that make full cuts; 0 leaves it alone.
    pub batch_nice: i32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// How long requests at hand may go on after SIGTERM before they are cancelled.
    pub grace: Length,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listing {
    /// Segment names held in memory, over all hours; the hours used longest ago are forgotten first.
    pub max_segments: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// Where what is derived from segments is kept. Empty: `.moviola-cache` in the archive.
    pub directory: PathBuf,
    /// The most it may take on the disk.
    pub disk: ByteSize,
    /// The most of it that is held in memory.
    pub memory: ByteSize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cut {
    /// The x264 preset of a full cut.
    pub preset: String,
    /// The x264 quality of a full cut, 0 (lossless) to 51.
    pub crf: u8,
    /// The x264 or x265 preset of the pictures a smart cut encodes anew.
    pub edge_preset: String,
    /// The quality of those pictures, 0 to 51: x264's quantiser, x265's rate factor.
    pub edge_crf: u8,
    /// The most the edges of smart cuts asked for lately may take in memory.
    pub edge_cache: ByteSize,
    /// Bits a second of a full cut's audio.
    pub audio_bitrate: u32,
    /// How fast VP9 is encoded for WebM: libvpx's `cpu-used` with its realtime deadline, 5 (best) to 8.
    pub webm_speed: u8,
    /// The VP9 quality of WebM, 0 to 63 (worst).
    pub webm_crf: u8,
    /// The longest span of a full cut.
    pub max_span: Length,
    /// How long a full cut may take; a cut that is not done then is broken off.
    pub deadline: Length,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Frame {
    /// The quality of JPEG frames, 1 to 100.
    pub jpeg_quality: u8,
    /// The quality of WebP frames, 1 to 100.
    pub webp_quality: u8,
    /// The quality of AVIF frames, 1 to 100.
    pub avif_quality: u8,
    /// The most that frames made lately, and sheets and waveforms that will not change any more, may take in memory, as they were sent.
    pub made_cache: ByteSize,
    /// The most that pictures decoded lately may take in memory.
    pub picture_cache: ByteSize,
    /// Decoders that wait where they are for the next picture of their group.
    pub warm_decoders: usize,
    /// How long a decoder waits.
    pub warm_idle: Length,
    /// How long a frame may take once it is asked for.
    pub deadline: Length,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storyboard {
    /// The longest span of a storyboard or a contact sheet.
    pub max_span: Length,
    /// How long one may take once it is asked for.
    pub deadline: Length,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thumbnail {
    /// The folder of templates: NAME.png, and NAME.json with what it is used with by default. Empty: there are none.
    pub templates: PathBuf,
    /// The largest template, in bytes.
    pub upload: ByteSize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Waveform {
    /// The longest span of a waveform.
    pub max_span: Length,
    /// The most pixels of a waveform in numbers, over all its channels; text may have a quarter of them.
    pub max_points: u64,
    /// How long a waveform may take once it is asked for.
    pub deadline: Length,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Warm {
    /// Whether the server makes what it keeps of new segments before anybody asks for it.
    pub enabled: bool,
    /// How often it looks for new ones.
    pub every: Length,
    /// Whether the pictures of storyboards are among it.
    pub pictures: bool,
    /// Whether the peaks of waveforms are.
    pub peaks: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jobs {
    /// Where the records of jobs are kept. Empty: `.moviola-jobs` in the archive.
    pub directory: PathBuf,
    /// Jobs that may wait for their turn; one more is answered 503.
    pub waiting: usize,
    /// Ended jobs whose records are kept.
    pub kept: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hls {
    /// Segments of live streams are this long, and on to the next keyframe.
    pub segment: Length,
    /// Parts of them are this long at most.
    pub part: Length,
    /// How much of a stream its playlist tells of.
    pub window: Length,
    /// The most segments it tells of.
    pub segments: usize,
    /// The most of a stream that is held for viewers.
    pub bytes: ByteSize,
    /// How long a request waits for what is to come; later it is 503, or 404 where the source has stopped.
    pub wait: Length,
    /// Nobody watches a stream once nobody has asked for so long.
    pub idle: Length,
    /// How long a viewer's token lives without use.
    pub token_idle: Length,
    /// Tokens a stream may have at a time; one more is 503.
    pub tokens: usize,
}

const fn seconds(count: u64) -> Length {
    Length(Duration::from_secs(count))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Default for Config {
    fn default() -> Self {
        Self {
            archive: PathBuf::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            log: "info".into(),
            http: Http::default(),
            pool: Pool::default(),
            shutdown: Shutdown { grace: seconds(10) },
            listing: Listing::default(),
            cache: Cache::default(),
            cut: Cut::default(),
            frame: Frame::default(),
            storyboard: Storyboard::default(),
            thumbnail: Thumbnail::default(),
            waveform: Waveform::default(),
            warm: Warm::default(),
            jobs: Jobs::default(),
            record: Record::default(),
            live: Live::default(),
            hls: Hls::default(),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            workers: 2,
            max_connections: 1024,
            client_stall: seconds(30),
            request_timeout: seconds(10),
            keep_alive: seconds(30),
            request_line: ByteSize(8 << 10),
            request_headers: ByteSize(32 << 10),
        }
    }
}

impl Default for Pool {
    fn default() -> Self {
        let cores = cores();
        Self {
            interactive_seats: cores,
            interactive_queue: 256,
            batch_seats: cores,
            batch_queue: 16,
            disk_seats: 2,
            disk_queue: 1024,
            queue_wait: seconds(30),
            batch_nice: 10,
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { grace: seconds(10) }
    }
}

impl Default for Listing {
    fn default() -> Self {
        Self { max_segments: 1_000_000 }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self { directory: PathBuf::new(), disk: ByteSize(4 << 30), memory: ByteSize(128 << 20) }
    }
}

impl Default for Cut {
    fn default() -> Self {
        Self {
            preset: "ultrafast".into(),
            crf: 12,
            edge_preset: "ultrafast".into(),
            edge_crf: 18,
            edge_cache: ByteSize(64 << 20),
            webm_speed: 7,
            webm_crf: 24,
            audio_bitrate: 192_000,
            max_span: seconds(12 * 3600),
            deadline: seconds(6 * 3600),
        }
    }
}

impl Default for Frame {
    fn default() -> Self {
        Self {
            jpeg_quality: 90,
            webp_quality: 80,
            avif_quality: 60,
            made_cache: ByteSize(64 << 20),
            picture_cache: ByteSize(128 << 20),
            warm_decoders: 8,
            warm_idle: seconds(10),
            deadline: seconds(30),
        }
    }
}

impl Default for Thumbnail {
    fn default() -> Self {
        Self { templates: PathBuf::new(), upload: ByteSize(8 << 20) }
    }
}

impl Default for Warm {
    fn default() -> Self {
        Self { enabled: false, every: seconds(10), pictures: true, peaks: true }
    }
}

impl Default for Storyboard {
    fn default() -> Self {
        Self { max_span: seconds(24 * 3600), deadline: seconds(60) }
    }
}

impl Default for Waveform {
    fn default() -> Self {
        Self { max_span: seconds(24 * 3600), max_points: 1 << 23, deadline: seconds(120) }
    }
}

impl Default for Jobs {
    fn default() -> Self {
        Self { directory: PathBuf::new(), waiting: 100, kept: 1000 }
    }
}

impl Default for Hls {
    fn default() -> Self {
        Self {
            segment: seconds(4),
            part: Length(Duration::from_millis(500)),
            window: seconds(60),
            segments: 30,
            bytes: ByteSize(64 << 20),
            wait: seconds(15),
            idle: seconds(30),
            token_idle: seconds(300),
            tokens: 1000,
        }
    }
}

impl Config {
    /// What is wrong with the values, each fault naming its key.
    pub fn check(&self) -> Result<(), String> {
        const PRESETS: [&str; 9] =
            ["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"];
        let within = |key: &str, value: usize, low: usize, high: usize| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(format!("{key} must lie between {low} and {high}, not {value}"))
            }
        };
        within("http.workers", self.http.workers, 1, 256)?;
        within("http.max_connections", self.http.max_connections, 1, 1_000_000)?;
        // The parser below us takes heads of 128 KiB at most.
        within("http.request_line", self.http.request_line.0 as usize, 512, 64 << 10)?;
        within("http.request_headers", self.http.request_headers.0 as usize, 1 << 10, 100 << 10)?;
        within("http.client_stall", self.http.client_stall.0.as_millis() as usize, 10, 86_400_000)?;
        for (key, value) in [
            ("pool.interactive_seats", self.pool.interactive_seats),
            ("pool.batch_seats", self.pool.batch_seats),
            ("pool.disk_seats", self.pool.disk_seats),
        ] {
            within(key, value, 1, 1024)?;
        }
        for (key, value) in [
            ("pool.interactive_queue", self.pool.interactive_queue),
            ("pool.batch_queue", self.pool.batch_queue),
            ("pool.disk_queue", self.pool.disk_queue),
        ] {
            within(key, value, 1, 1_000_000)?;
        }
        if !(0..=19).contains(&self.pool.batch_nice) {
            return Err(format!("pool.batch_nice must lie between 0 and 19, not {}", self.pool.batch_nice));
        }
        within("listing.max_segments", self.listing.max_segments, 1, 1_000_000_000)?;
        within("warm.every", self.warm.every.0.as_millis() as usize, 100, 86_400_000)?;
        within("jobs.waiting", self.jobs.waiting, 1, 100_000)?;
        within("jobs.kept", self.jobs.kept, 1, 100_000)?;
        self.record.check(&within)?;
        within("live.streams", self.live.streams, 1, 10_000)?;
        within("live.ring", self.live.ring.0.as_millis() as usize, 1_000, 3_600_000)?;
        within("live.ring_bytes", self.live.ring_bytes.0 as usize, 1 << 20, 64 << 30)?;
        within("live.push_buffer", self.live.push_buffer.0 as usize, 64 << 10, 1 << 30)?;
        within("live.events", self.live.events, 1, 100_000)?;
        for (key, value) in [
            ("live.connect", self.live.connect),
            ("live.first_frame", self.live.first_frame),
            ("live.stall", self.live.stall),
            ("live.retry", self.live.retry),
            ("live.retry_max", self.live.retry_max),
            ("live.retry_auth", self.live.retry_auth),
            ("live.healthy", self.live.healthy),
            ("live.idle", self.live.idle),
        ] {
            within(key, value.0.as_millis() as usize, 100, 86_400_000)?;
        }
        within("hls.segment", self.hls.segment.0.as_millis() as usize, 1_000, 30_000)?;
        within("hls.part", self.hls.part.0.as_millis() as usize, 100, 2_000)?;
        within("hls.window", self.hls.window.0.as_millis() as usize, 10_000, 3_600_000)?;
        within("hls.segments", self.hls.segments, 3, 3600)?;
        within("hls.bytes", self.hls.bytes.0 as usize, 1 << 20, 64 << 30)?;
        within("hls.wait", self.hls.wait.0.as_millis() as usize, 1_000, 120_000)?;
        within("hls.idle", self.hls.idle.0.as_millis() as usize, 1_000, 86_400_000)?;
        within("hls.token_idle", self.hls.token_idle.0.as_millis() as usize, 1_000, 31_622_400_000)?;
        within("hls.tokens", self.hls.tokens, 1, 100_000)?;
        within("cut.crf", self.cut.crf.into(), 0, 51)?;
        within("cut.edge_crf", self.cut.edge_crf.into(), 0, 51)?;
        within("cut.webm_speed", self.cut.webm_speed.into(), 5, 8)?;
        within("cut.webm_crf", self.cut.webm_crf.into(), 0, 63)?;
        within("cut.audio_bitrate", self.cut.audio_bitrate as usize, 8_000, 512_000)?;
        within("waveform.max_points", self.waveform.max_points as usize, 1, 1 << 30)?;
        within("frame.jpeg_quality", self.frame.jpeg_quality.into(), 1, 100)?;
        within("frame.webp_quality", self.frame.webp_quality.into(), 1, 100)?;
        within("frame.avif_quality", self.frame.avif_quality.into(), 1, 100)?;
        within("frame.warm_decoders", self.frame.warm_decoders, 0, 1024)?;
        within("thumbnail.upload", self.thumbnail.upload.0 as usize, 1 << 10, 256 << 20)?;
        for (key, preset) in [("cut.preset", &self.cut.preset), ("cut.edge_preset", &self.cut.edge_preset)] {
            if !PRESETS.contains(&preset.as_str()) {
                return Err(format!("{key} must be one of {}, not '{preset}'", PRESETS.join(", ")));
            }
        }
        Ok(())
    }

    /// The configuration as TOML, as [`load`] reads it.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_else(|fault| format!("# {fault}\n"))
    }
}
