//! One run of a source: opens it, heals its times, tells their wall time, fills the ring, until it ends.

use super::clock::WallClock;
use super::heal::{Healed, Healer, Order, Shape, Times};
use super::open::{self, Opened};
use super::rest::{Read, Rests};
use super::ring::Ring;
use super::settings::Settings;
use super::source::{Push, Source};
use super::stats::Stats;
use super::{Budgets, Guard};
use crate::base::time::{Clock, SECOND, TimeBase};
use crate::base::{Error, Kind, Result, Timestamp, Token};
use crate::media::live::intake::{Intake, Raw, Taken};
use crate::media::live::{Codec, Packet};
use crate::media::live::{Sample, Track, TrackKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Everything a run needs.
pub(super) struct Job<'a> {
    pub settings: &'a Settings,
    pub ring: &'a Ring,
    pub stats: &'a Stats,
    pub guard: &'a Guard,
    pub clock: &'a Arc<dyn Clock>,
    pub budgets: Budgets,
    pub listen: std::net::IpAddr,
    /// What somebody sends over HTTP.
    pub pushed: Option<super::push::Receiver>,
    /// Why the first epoch begins.
    pub cause: &'static str,
    pub token: &'a Token,
    /// Told of every picture.
    pub picture: &'a dyn Fn(Timestamp),
    /// Whether somebody watches.
    pub watched: &'a dyn Fn() -> bool,
    /// Told of every epoch.
    pub epoch: &'a dyn Fn(&super::Epoch),
}

/// Longer than this, in media time, no track is waited for before the first epoch begins.
const WAIT_FOR_TRACKS: i64 = SECOND / 4;
/// Nor, longer than this, one that was heard while it was found out what the source holds: it is on its way, and an epoch
/// without it would be a discontinuity for nothing.
const WAIT_FOR_HEARD: i64 = SECOND;
/// A packet that is larger is no packet, in bytes.
const LARGEST_PACKET: usize = 64 << 20;
/// Frames a second of video that tells nothing.
const USUAL_RATE: (u32, u32) = (25, 1);

/// Runs to the source's end; there is always a reason why it ended, with a stable word as its code.
pub(super) fn run(job: Job<'_>) -> Error {
    let token = job.token.clone();
    let ended = match Run::begin(job) {
        Ok(mut run) => run.follow().err(),
        Err(error) => Some(error),
    };
    let ended = ended.unwrap_or_else(|| Error::new(Kind::Damaged, "ended", "the source ended"));
    // Whatever a call says that was interrupted: it was we who left.
    token.check().err().unwrap_or(ended)
}

/// What goes with a sample's times.
struct Payload {
    raw: Raw,
    arrival: Timestamp,
}

struct Run<'a> {
    job: Job<'a>,
    source: Opened,
    intake: Intake,
    /// Where nothing else tells when pictures are decoded.
    order: Option<Order<Payload>>,
    healer: Healer<Payload>,
    bases: Vec<TimeBase>,
    kinds: Vec<TrackKind>,
    clock: WallClock,
    wall: Wall,
    /// Each track's index in the epoch.
    places: Vec<Option<usize>>,
    /// The tracks of the epoch.
    tracks: Vec<Track>,
    begun: bool,
    /// Held until the tracks are known: samples, and the media time of the first.
    waiting: Vec<Healed<Payload>>,
    /// By when the next picture has to be there.
    limit: Instant,
    first: bool,
    rests: Rests,
}

impl<'a> Run<'a> {
    fn begin(mut job: Job<'a>) -> Result<Self> {
        let mut source = open::open(&mut job)?;
        let intake = Intake::new(source.demuxer(), job.settings.audio)?;
        source.demuxer().select(&intake.streams());
        job.stats.begin(source.demuxer().format_name());
        let tracks = intake.tracks();
        let shapes: Vec<Shape> = tracks.iter().map(shape).collect();
        let choice = job.settings.options.clock.unwrap_or_default();
        let limit = Instant::now() + job.budgets.first_frame;
        Ok(Self {
            order: None,
            healer: Healer::new(&shapes, job.cause),
            kinds: tracks.iter().map(|it| it.kind).collect(),
            bases: tracks.iter().map(|it| it.time_base).collect(),
            clock: WallClock::new(choice),
            wall: Wall::default(),
            places: vec![None; tracks.len()],
            tracks: Vec::new(),
            begun: false,
            waiting: Vec::new(),
            first: true,
            rests: Rests::new(Instant::now()),
            limit,
            job,
            source,
            intake,
        })
    }

    /// `Ok` at the source's end.
    fn follow(&mut self) -> Result<()> {
        loop {
            self.job.token.check()?;
            self.source.demuxer().limit(Some(self.limit));
            let asked = Instant::now();
            let packet = self.source.read(self.job.token).map_err(|error| self.late(error))?;
            let Some(packet) = packet else { break };
            let now = Instant::now();
            let picture = self.take(&packet)?;
            let rest =
                self.rests.after(Read { bytes: packet.data().len(), waited: now - asked, picture }, now);
            if let Some(rest) = rest.filter(|_| self.source.gathers() && !(self.job.watched)()) {
                self.job.clock.pause(rest.as_micros() as i64);
            }
            if Instant::now() >= self.limit {
                return Err(self.late(Error::new(Kind::Deadline, "timeout", "no picture came in time")));
            }
        }
        for (times, payload) in self.order.as_mut().map(Order::settle).unwrap_or_default() {
            self.heal(times, payload);
        }
        // What waits for tracks that never came is the source's all the same.
        self.settle(true);
        Ok(())
    }

    /// An error by the stage it belongs to.
    fn late(&self, error: Error) -> Error {
        // The pipe of a push has no other fault than that nothing came.
        let silent = self.job.settings.source == Source::Push(Push::Http) && error.code == "input-output";
        let code = if silent { "timeout" } else { error.code };
        match (code, self.first) {
            ("timeout", true) => Error { code: "timeout-first-frame", ..error },
            ("timeout", false) => Error { code: "stalled", ..error },
            _ => error,
        }
    }

    /// Of a picture, gives its time by the source in microseconds.
    fn take(&mut self, packet: &Packet) -> Result<Option<i64>> {
        if packet.data().len() > LARGEST_PACKET {
            return Err(Error::new(Kind::Damaged, "invalid-data", "a packet is larger than any picture"));
        }
        let (raw, changed) = match self.intake.take(packet) {
            Taken::Nothing => return Ok(None),
            Taken::Sample(raw) => (raw, false),
            Taken::Changed(raw) => (raw, true),
        };
        if changed && self.begun && self.differs() {
            self.healer.begin("codec");
        }
        let arrival = self.job.clock.now();
        self.job.stats.sample(raw.data.len(), arrival);
        let base = self.bases[raw.track];
        if raw.key && !self.begun && self.kinds[raw.track] == TrackKind::Video && self.intake.knows_video() {
            let tracks = self.intake.tracks();
            let (ticks, data) = (raw.pts.or(raw.dts).unwrap_or(0), raw.data.clone());
            let (track, duration) = (raw.track, 0);
            if self.order.is_none() && self.source.demuxer().is_untimed() && !self.intake.tells_order() {
                self.order = Some(Order::new(track, base, shape(&tracks[track]).duration));
            }
            let sample = Sample { track, dts: ticks, pts: ticks, duration, key: true, time: arrival, data };
            self.job.ring.show(tracks, sample);
        }
        let shift = |ticks: Option<i64>| ticks.map(|it| it.saturating_add(self.source.shift(base)));
        let (dts, pts) = (shift(raw.dts), shift(raw.pts));
        let video = self.kinds[raw.track] == TrackKind::Video;
        if video {
            let of = raw.pts.map(|it| base.micros(it));
            self.wall.take(self.intake.codec(raw.track), packet.producer_time(), of);
        }
        // Rounds of a file join where they are shown: of the first pictures a container may tell that alone.
        if !self.source.admits(raw.track, video, base, pts.or(dts), raw.duration) {
            return Ok(None);
        }
        let told = dts.or(pts).filter(|_| video).map(|it| base.micros(it));
        self.source.pace(base.micros(dts.or(pts).unwrap_or(0)), self.job.clock, self.job.token)?;
        let arrival = if self.source.is_paced() { self.job.clock.now() } else { arrival };
        let times = Times {
            track: raw.track,
            pts,
            dts,
            duration: raw.duration,
            key: raw.key,
            arrival: arrival.micros(),
        };
        let payload = Payload { raw, arrival };
        match &mut self.order {
            Some(order) => {
                order.take(times, payload).into_iter().for_each(|(times, payload)| self.heal(times, payload));
            }
            None => self.heal(times, payload),
        }
        self.settle(false);
        Ok(told)
    }

    fn heal(&mut self, times: Times, payload: Payload) {
        let outcome = self.healer.take(times, payload);
        if let Some(why) = outcome.dropped {
            self.job.stats.dropped(why);
        }
        if let Some(what) = outcome.mended {
            self.job.stats.mended(what);
        }
        self.waiting.extend(outcome.ready);
    }

    /// The wall time a picture is shown at by the source's clock.
    fn told(&self, base: TimeBase, pts: Option<i64>) -> Option<i64> {
        let offset = self.wall.offset.or_else(|| self.source.realtime_start())?;
        Some(offset.saturating_add(base.micros(pts?)))
    }

    /// The tracks are others than those of the epoch.
    fn differs(&self) -> bool {
        let known = self.known();
        known.len() != self.tracks.len() || known.iter().zip(&self.tracks).any(|(now, then)| now.1 != *then)
    }

    /// The tracks whose decoders can be set up, with their places.
    fn known(&self) -> Vec<(usize, Track)> {
        let ready = |(_, it): &(usize, Track)| {
            it.kind == TrackKind::Audio || !it.config.is_empty() || it.entry.is_some() || !is_described(it)
        };
        self.intake
            .tracks()
            .into_iter()
            .enumerate()
            .filter(ready)
            .filter(|(_, it)| !(it.kind == TrackKind::Audio && is_described(it) && it.config.is_empty()))
            .collect()
    }

    /// Hands on what waits, once it is known what the tracks are.
    fn settle(&mut self, ending: bool) {
        if !self.begun && !self.intake.is_known() {
            let media = |it: &Healed<Payload>| self.bases[it.track].micros(it.dts);
            let span = match (self.waiting.first(), self.waiting.last()) {
                (Some(first), Some(last)) => media(last) - media(first),
                _ => return,
            };
            let most = if self.intake.is_heard() { WAIT_FOR_HEARD } else { WAIT_FOR_TRACKS };
            if span < most && !ending || !self.intake.knows_video() {
                self.bound();
                return;
            }
        }
        for healed in std::mem::take(&mut self.waiting) {
            self.hand_on(healed);
        }
    }

    /// Pictures without parameter sets wait for them no longer than a few seconds' worth.
    fn bound(&mut self) {
        const WAITING: usize = 1000;
        if self.waiting.len() > WAITING {
            self.waiting.clear();
            self.job.stats.dropped("no-parameter-sets");
        }
    }

    fn hand_on(&mut self, healed: Healed<Payload>) {
        if let Some(cause) = healed.begins {
            let known = self.known();
            self.places = vec![None; self.bases.len()];
            for (place, (index, _)) in known.iter().enumerate() {
                self.places[*index] = Some(place);
            }
            self.tracks = known.into_iter().map(|(_, track)| track).collect();
            let epoch = self.job.ring.begin(self.tracks.clone(), cause);
            (self.job.epoch)(&epoch);
            self.begun = true;
        }
        let base = self.bases[healed.track];
        let Payload { raw, arrival } = healed.payload;
        let video = self.kinds[healed.track] == TrackKind::Video;
        let media = base.micros(healed.dts);
        if video {
            // RTP has no time for the first picture: its place before the second is known, and nothing was shifted yet.
            let of = raw.pts.or(self.first.then_some(healed.pts));
            let told = self.told(base, of).map(|it| (it, base.micros(healed.pts)));
            self.clock.observe(media, arrival, told);
        }
        let Some(track) = self.places[healed.track] else {
            self.job.stats.dropped("unknown-track");
            if self.differs() {
                self.healer.begin("tracks");
            }
            return;
        };
        let time = self.clock.time(base.micros(healed.pts));
        let Healed { dts, pts, duration, key, .. } = healed;
        self.job.ring.push(Sample { track, dts, pts, duration, key, time, data: raw.data });
        if video {
            self.first = false;
            self.limit = Instant::now() + self.job.budgets.stall;
            self.job.stats.picture(key, media, time, arrival);
            (self.job.picture)(arrival);
        }
    }
}

/// From the source's own times to wall times, as its sender tells them.
#[derive(Debug, Default)]
struct Wall {
    /// What came with the picture before.
    before: Option<i64>,
    /// In microseconds.
    offset: Option<i64>,
}

impl Wall {
    /// Takes what came with a picture: a wall time, and when it is shown by the source's own times.
    fn take(&mut self, codec: Option<Codec>, told: Option<i64>, of: Option<i64>) {
        // A picture of these ends, for libav's parsers of RTP, with the packet that begins the next: what comes with it is
        // that packet's, and tells of the next picture.
        let next = matches!(codec, Some(Codec::H264 | Codec::Hevc));
        let told = if next { std::mem::replace(&mut self.before, told) } else { told };
        self.offset = told.zip(of).map(|(told, of)| told.saturating_sub(of));
    }
}

/// MP4 wants a description of this codec.
fn is_described(track: &Track) -> bool {
    use crate::media::live::Codec::{Aac, Ac3, Av1, Eac3, Flac, H264, Hevc, Mpeg, Opus};
    matches!(track.codec, H264 | Hevc | Av1 | Aac | Mpeg | Opus | Flac | Ac3 | Eac3)
}

fn shape(track: &Track) -> Shape {
    let video = track.kind == TrackKind::Video;
    let base = track.time_base;
    let duration = if video {
        let (num, den) = if track.frame_rate.0 > 0 { track.frame_rate } else { USUAL_RATE };
        TimeBase::new(den.clamp(1, 1 << 20) as i32, num.clamp(1, 1 << 20) as i32).rescale(1, base)
    } else {
        let (samples, rate) = (track.frame_samples.max(1), track.sample_rate.max(1));
        TimeBase::new(1, rate as i32).rescale(i64::from(samples), base)
    };
    Shape { base, video, duration: duration.max(1) }
}

/// How long a run may wait for what, with its own options in place of what is usual.
impl Budgets {
    pub(super) fn of(self, settings: &Settings) -> Self {
        let own = |seconds: Option<f64>, usual: Duration| seconds.map_or(usual, Duration::from_secs_f64);
        let options = &settings.options;
        Self {
            connect: own(options.connect_timeout, self.connect),
            first_frame: own(options.first_frame_timeout, self.first_frame),
            stall: own(options.stall_timeout, self.stall),
        }
    }
}
