//! What live sources may be and take.

use super::{ByteSize, Length, seconds};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Live {
    /// The folder of the file of streams. Empty: `.moviola-streams` in the archive.
    pub directory: PathBuf,
    /// Streams there may be.
    pub streams: usize,
    /// The schemes a source may have.
    pub schemes: String,
    /// The hosts a source may be at: groups, networks, addresses, names; those with `!` not.
    pub hosts: String,
    /// The folder whose files may be sources. Empty: none.
    pub files: PathBuf,
    /// The address that pushes over RTMP and SRT are waited for at.
    pub listen: std::net::IpAddr,
    /// How much of each source is held in memory, in time.
    pub ring: Length,
    /// And at most so much of it.
    pub ring_bytes: ByteSize,
    /// How long a source may take to answer.
    pub connect: Length,
    /// How long its first picture may take after that.
    pub first_frame: Length,
    /// A source without a picture for so long is lost.
    pub stall: Length,
    /// The first wait after a failure; it doubles with each failure more.
    pub retry: Length,
    /// The longest wait.
    pub retry_max: Length,
    /// The wait after credentials were refused.
    pub retry_auth: Length,
    /// A source that was live for so long begins with the first wait again.
    pub healthy: Length,
    /// A source nobody asked for so long is left, unless it is kept alive.
    pub idle: Length,
    /// What is held of a push over HTTP until it is read.
    pub push_buffer: ByteSize,
    /// Events a listener may be behind before it loses some.
    pub events: usize,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            directory: PathBuf::new(),
            streams: 200,
            schemes: "rtsp, rtsps, rtmp, rtmps, srt, udp, rtp, http, https, file".into(),
            hosts: "private, public, multicast".into(),
            files: PathBuf::new(),
            listen: std::net::IpAddr::from([127, 0, 0, 1]),
            ring: seconds(60),
            ring_bytes: ByteSize(64 << 20),
            connect: seconds(5),
            first_frame: seconds(15),
            stall: seconds(10),
            retry: Length(Duration::from_millis(700)),
            retry_max: seconds(30),
            retry_auth: seconds(300),
            healthy: seconds(60),
            idle: seconds(30),
            push_buffer: ByteSize(4 << 20),
            events: 256,
        }
    }
}
