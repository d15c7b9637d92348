//! Every metric's name, unit and labels, and the guards that feed them. Labels never hold what a client
//! made up, so the number of series is bounded.

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};
use std::sync::Arc;

/// The server's metrics. Cloning shares them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

pub struct Inner {
    registry: Registry,
    /// Requests answered, by route pattern, method and status.
    pub http_requests: IntCounterVec,
    /// Seconds from the request's arrival to its headers, by route pattern.
    pub http_seconds: HistogramVec,
    /// Bytes sent in bodies.
    pub http_body_bytes: IntCounter,
    /// Workers running a task now, by lane.
    pub pool_running: IntGaugeVec,
    /// Tasks waiting for a worker, by lane.
    pub pool_queued: IntGaugeVec,
    /// Tasks ended, by lane and outcome (done, failed, cancelled, panicked, refused).
    pub pool_tasks: IntCounterVec,
    /// Hours of listings held in memory.
    /// Of the file system the archive lies on, by `kind`: `size` and `free`.
    pub archive_disk: IntGaugeVec,
    pub listing_hours: IntGauge,
    /// Segment names held in memory by those listings.
    pub listing_segments: IntGauge,
    /// Listings answered from memory (hit) and read from the disk (miss).
    pub listing_reads: IntCounterVec,
    /// Bytes of derived data on the disk, in whole blocks.
    pub sidecar_bytes_disk: IntGauge,
    /// Bytes of derived data and its tables held in memory.
    pub sidecar_bytes_memory: IntGauge,
    /// Entries asked for, by where they were (memory, disk, miss).
    pub sidecar_reads: IntCounterVec,
    /// Packs of derived data taken away to keep the bound.
    pub sidecar_evictions: IntCounter,
    /// What did not work and was done without (damaged, read, write, room, busy).
    pub sidecar_faults: IntCounterVec,
    /// Pictures decoded, by purpose (frame, cut, waveform counts audio frames).
    pub media_decoded: IntCounterVec,
    /// Pictures encoded, by purpose.
    pub media_encoded: IntCounterVec,
    /// Bytes of frames made lately held in memory.
    pub frame_bytes_made: IntGauge,
    /// Bytes of pictures decoded lately held in memory.
    pub frame_bytes_decoded: IntGauge,
    /// Decoders that wait for the next picture of their group.
    pub frame_warm_decoders: IntGauge,
    /// Frames asked for, by what they came from (made, decoded, warm, cold, plain).
    pub frame_reads: IntCounterVec,
    /// Viewers' tokens of live streams that were used within the idle time.
    pub hls_viewers: IntGauge,
    /// Bytes of live streams held for viewers, beside their rings.
    pub hls_bytes: IntGauge,
    /// Bytes of edges of smart cuts held in memory.
    pub cut_edge_bytes: IntGauge,
    /// Doubtful joins of smart cuts decoded and compared with the source (proved, refused).
    pub cut_joins: IntCounterVec,
    /// Of live streams, by stream: pictures a second, bits a second, seconds from keyframe to keyframe, seconds since the last
    /// picture (-1 before the first), viewers, what the ring holds.
    pub stream_fps: GaugeVec,
    pub stream_bitrate: GaugeVec,
    pub stream_gop: GaugeVec,
    pub stream_age: GaugeVec,
    pub stream_viewers: GaugeVec,
    pub stream_ring_bytes: GaugeVec,
    pub stream_ring_seconds: GaugeVec,
    /// 1 for the state a stream is in, by stream and state.
    pub stream_state: IntGaugeVec,
    /// By stream and reason.
    pub stream_drops: IntCounterVec,
    pub stream_mended: IntCounterVec,
    pub stream_restarts: IntCounterVec,
    /// Who listens to events of streams.
    pub stream_listeners: IntGauge,
    /// Segments of live streams written, by kind (full, suspect, partial).
    pub record_segments: IntCounterVec,
    /// Their bytes.
    pub record_bytes: IntCounter,
    /// Seconds from a segment's last byte to its name on the disk.
    pub record_sync_seconds: Histogram,
    /// Gaps in recordings of live streams, by cause.
    pub record_gaps: IntCounterVec,
    /// Recordings that run now.
    pub recordings_running: IntGauge,
    /// Recordings that ended, by state (done, failed, cancelled).
    pub recordings_ended: IntCounterVec,
    /// Segments taken away to keep within age, bytes and room, and their bytes.
    pub retention_segments: IntCounter,
    pub retention_bytes: IntCounter,
    /// Configured limits, by name, so that a dashboard can draw them beside the gauges.
    pub limits: GaugeVec,
    /// When the process started, in seconds since 1970.
    pub start_time: Gauge,
}

impl std::ops::Deref for Metrics {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// # Panics
    /// Never in practice: names are constants and each is registered once.
    #[allow(clippy::expect_used)]
    pub fn new() -> Self {
        let registry = Registry::new();
        let counter_vec = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels).expect("constant name");
            registry.register(Box::new(metric.clone())).expect("registered once");
            metric
        };
        let gauge_vec = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntGaugeVec::new(Opts::new(name, help), labels).expect("constant name");
            registry.register(Box::new(metric.clone())).expect("registered once");
            metric
        };
        let by_stream = |name: &str, help: &str| {
            let metric = GaugeVec::new(Opts::new(name, help), &["stream"]).expect("constant name");
            registry.register(Box::new(metric.clone())).expect("registered once");
            metric
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help).expect("constant name");
            registry.register(Box::new(metric.clone())).expect("registered once");
            metric
        };
        let http_seconds = HistogramVec::new(
            HistogramOpts::new("moviola_http_seconds", "Seconds from a request's arrival to its headers")
                .buckets(vec![0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 30.0]),
            &["route"],
        )
        .expect("constant name");
        registry.register(Box::new(http_seconds.clone())).expect("registered once");
        let http_body_bytes =
            IntCounter::new("moviola_http_body_bytes_total", "Bytes sent in bodies").expect("constant name");
        registry.register(Box::new(http_body_bytes.clone())).expect("registered once");
        let record_bytes =
            IntCounter::new("moviola_record_bytes_total", "Bytes of segments of live streams written")
                .expect("constant name");
        registry.register(Box::new(record_bytes.clone())).expect("registered once");
        let counter = |name: &str, help: &str| {
            let metric = IntCounter::new(name, help).expect("constant name");
            registry.register(Box::new(metric.clone())).expect("registered once");
            metric
        };
        let retention_segments = counter(
            "moviola_retention_segments_total",
            "Segments taken away to keep within age, bytes and room",
        );
        let retention_bytes = counter("moviola_retention_bytes_total", "Bytes of those segments");
        let record_sync_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "moviola_record_sync_seconds",
                "Seconds from the last byte of a segment to its name on the disk",
            )
            .buckets(vec![0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0]),
        )
        .expect("constant name");
        registry.register(Box::new(record_sync_seconds.clone())).expect("registered once");
        let sidecar_evictions = IntCounter::new(
            "moviola_sidecar_evictions_total",
            "Packs of derived data taken away to keep the bound",
        )
        .expect("constant name");
        registry.register(Box::new(sidecar_evictions.clone())).expect("registered once");
        let limits = GaugeVec::new(
            Opts::new("moviola_limit", "Configured limits, in the unit their name ends in"),
            &["name"],
        )
        .expect("constant name");
        registry.register(Box::new(limits.clone())).expect("registered once");
        let start_time =
            Gauge::new("moviola_start_time_seconds", "When the process started").expect("constant name");
        registry.register(Box::new(start_time.clone())).expect("registered once");
        let inner = Inner {
            http_requests: counter_vec(
                "moviola_http_requests_total",
                "Requests answered",
                &["route", "method", "status"],
            ),
            http_seconds,
            http_body_bytes,
            pool_running: gauge_vec("moviola_pool_running", "Workers running a task now", &["lane"]),
            pool_queued: gauge_vec("moviola_pool_queued", "Tasks waiting for a worker", &["lane"]),
            pool_tasks: counter_vec("moviola_pool_tasks_total", "Tasks ended", &["lane", "outcome"]),
            archive_disk: gauge_vec(
                "moviola_archive_disk_bytes",
                "Of the file system the archive lies on, when it was last asked",
                &["kind"],
            ),
            listing_hours: gauge("moviola_listing_hours", "Hours of listings held in memory"),
            listing_segments: gauge("moviola_listing_segments", "Segment names held in memory"),
            listing_reads: counter_vec(
                "moviola_listing_reads_total",
                "Listings by where they came from",
                &["from"],
            ),
            sidecar_bytes_disk: gauge("moviola_sidecar_bytes_disk", "Bytes of derived data on the disk"),
            sidecar_bytes_memory: gauge("moviola_sidecar_bytes_memory", "Bytes of derived data in memory"),
            sidecar_reads: counter_vec(
                "moviola_sidecar_reads_total",
                "Derived data asked for, by where it was",
                &["from"],
            ),
            sidecar_evictions,
            sidecar_faults: counter_vec(
                "moviola_sidecar_faults_total",
                "What the cache of derived data did without",
                &["what"],
            ),
            frame_bytes_made: gauge(
                "moviola_frame_bytes_made",
                "Bytes of answers made lately held in memory",
            ),
            frame_bytes_decoded: gauge(
                "moviola_frame_bytes_decoded",
                "Bytes of pictures decoded lately held in memory",
            ),
            frame_warm_decoders: gauge(
                "moviola_frame_warm_decoders",
                "Decoders that wait for the next picture of their group",
            ),
            frame_reads: counter_vec(
                "moviola_frame_reads_total",
                "Frames asked for, by what they came from",
                &["from"],
            ),
            hls_viewers: gauge("moviola_hls_viewers", "Viewers of live streams that asked for media lately"),
            hls_bytes: gauge("moviola_hls_bytes", "Bytes of live streams held for viewers"),
            cut_edge_bytes: gauge("moviola_cut_edge_bytes", "Bytes of edges of smart cuts held in memory"),
            cut_joins: counter_vec(
                "moviola_cut_joins_total",
                "Joins of smart cuts compared with the source by decoding, by outcome",
                &["outcome"],
            ),
            media_decoded: counter_vec("moviola_media_decoded_frames_total", "Frames decoded", &["purpose"]),
            media_encoded: counter_vec("moviola_media_encoded_frames_total", "Frames encoded", &["purpose"]),
            stream_fps: by_stream("moviola_stream_fps", "Pictures a second"),
            stream_bitrate: by_stream("moviola_stream_bitrate", "Bits a second"),
            stream_gop: by_stream("moviola_stream_gop_seconds", "Seconds from keyframe to keyframe"),
            stream_age: by_stream(
                "moviola_stream_last_frame_age_seconds",
                "Seconds since the last picture; -1 before the first",
            ),
            stream_viewers: by_stream("moviola_stream_viewers", "Viewers that asked lately"),
            stream_ring_bytes: by_stream("moviola_stream_ring_bytes", "Bytes of samples held in memory"),
            stream_ring_seconds: by_stream(
                "moviola_stream_ring_seconds",
                "Seconds of samples held in memory",
            ),
            stream_state: gauge_vec(
                "moviola_stream_state",
                "1 for the state a stream is in",
                &["stream", "state"],
            ),
            stream_drops: counter_vec(
                "moviola_stream_drops_total",
                "Packets left out",
                &["stream", "reason"],
            ),
            stream_mended: counter_vec("moviola_stream_mended_total", "Times mended", &["stream", "what"]),
            stream_restarts: counter_vec(
                "moviola_stream_restarts_total",
                "Runs of a source that ended, by why",
                &["stream", "cause"],
            ),
            stream_listeners: gauge("moviola_stream_listeners", "Clients that listen to events of streams"),
            record_segments: counter_vec(
                "moviola_record_segments_total",
                "Segments of live streams written",
                &["kind"],
            ),
            record_bytes,
            record_sync_seconds,
            record_gaps: counter_vec(
                "moviola_record_gaps_total",
                "Gaps in recordings of live streams, by cause",
                &["cause"],
            ),
            recordings_running: gauge("moviola_recordings_running", "Recordings that run now"),
            recordings_ended: counter_vec("moviola_recordings_total", "Recordings that ended", &["state"]),
            retention_segments,
            retention_bytes,
            limits,
            start_time,
            registry,
        };
        Self(Arc::new(inner))
    }

    /// The Prometheus text exposition format, version 0.0.4.
    pub fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Writing to a Vec cannot fail; a metric that cannot be encoded is left out.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        text
    }
}
