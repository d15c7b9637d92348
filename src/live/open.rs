//! Opens what a run reads from: an address, somebody who pushes, or a file that stands for a source.

use super::source::{Address, Options, Protocol, Push, Source, Transport};
use super::worker::Job;
use crate::archive::Root;
use crate::base::time::{Clock, TimeBase};
use crate::base::{Error, Kind, Result, Timestamp, Token};
use crate::media::live::{Demuxer, Input, Packet, Remote, intake};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Containers that come over a network.
const FORMATS: &str = "rtsp,sdp,rtp,hls,flv,live_flv,mpegts,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,h264,hevc,mpjpeg,mjpeg,aac,mp3,ogg";

/// A source that is open.
pub(super) struct Opened {
    demuxer: Demuxer,
    film: Option<Film>,
    gathers: bool,
}

/// A file that stands for a live source: begun again at its end, at the pace it is shown at.
struct Film {
    root: Root,
    name: String,
    again: bool,
    pace: bool,
    /// Added to the file's times in this round, in microseconds.
    shift: i64,
    /// Where this round's pictures begin and end, in microseconds with the shift.
    first: Option<i64>,
    end: i64,
    /// Where each track's last packet ends.
    ends: BTreeMap<usize, i64>,
    /// When the first sample was shown, and its media time.
    begun: Option<(Timestamp, i64)>,
}

pub(super) fn open(job: &mut Job<'_>) -> Result<Opened> {
    let options = &job.settings.options;
    match &job.settings.source {
        Source::Pull(address) if address.protocol() == Some(Protocol::File) => film(job, address),
        Source::Pull(address) => {
            let found = job.guard.check(address, job.budgets.connect, job.token)?;
            let urls = address.fixed(&found);
            let budget = job.budgets.connect / urls.len() as u32;
            let (told, required) = options.for_libav(address, budget);
            let reach = |url: &String| reach(job, url, &told, required, protocols(address), budget);
            // A host may have addresses that lead nowhere from here.
            let passing = |error: &Error| {
                matches!(error.code, "refused" | "unreachable" | "timeout" | "timeout-connect")
            };
            let (last, others) = urls.split_last().ok_or_else(|| Error::internal("an address of nothing"))?;
            let others = others.iter().map(reach).find(|it| !it.as_ref().is_err_and(passing));
            let demuxer = others.unwrap_or_else(|| reach(last))?;
            // RTSP follows redirections by itself.
            let there = demuxer.address();
            if !urls.contains(&there) && address.protocol() == Some(Protocol::Rtsp) {
                job.guard.check(&Address::parse(&there)?, job.budgets.connect, job.token)?;
            }
            Ok(Opened { demuxer, film: None, gathers: gathers(address, options) })
        }
        Source::Push(Push::Http) => {
            let gone = || Error::new(Kind::NotFound, "ended", "nobody sends");
            let reader = job.pushed.take().ok_or_else(gone)?;
            let silent = |error: Error| match error.code {
                "input-output" => Error { code: "timeout-first-frame", ..error },
                _ => error,
            };
            let demuxer = Demuxer::open_stream(Box::new(reader), None, job.token).map_err(silent)?;
            Ok(Opened { demuxer, film: None, gathers: true })
        }
        Source::Push(push) => {
            let host = std::net::SocketAddr::new(job.listen, options.port.unwrap_or_default());
            let (url, protocols) = match push {
                Push::Rtmp => (format!("rtmp://{host}/live"), "rtmp,tcp"),
                _ => (format!("srt://{host}"), "srt"),
            };
            let told = options.for_listening(*push);
            // Whoever pushes comes when they come.
            let demuxer = reach(job, &url, &told, &[], protocols, Duration::MAX)?;
            Ok(Opened { demuxer, film: None, gathers: *push == Push::Rtmp })
        }
    }
}

fn reach(
    job: &Job<'_>,
    url: &str,
    options: &[(&'static str, String)],
    required: &[&str],
    protocols: &str,
    connect: Duration,
) -> Result<Demuxer> {
    let (guard, token, home) = (job.guard.clone(), job.token.clone(), url.to_owned());
    let budget = job.budgets.connect;
    let allow = move |other: &str| {
        let other = ["crypto+", "crypto:"].iter().find_map(|it| other.strip_prefix(it)).unwrap_or(other);
        other == home || Address::parse(other).is_ok_and(|it| guard.check(&it, budget, &token).is_ok())
    };
    let remote = Remote {
        url,
        format: None,
        options,
        required,
        protocols,
        formats: FORMATS,
        allow: Box::new(allow),
        in_order: intake::is_in_order,
        connect,
        understand: job.budgets.first_frame,
    };
    Demuxer::open_remote(remote, job.token).map_err(|error| match error.code {
        "timeout" => Error { code: "timeout-connect", ..error },
        _ => error,
    })
}

/// Whether what is not read at once waits in the buffers of a connection, and whoever sends waits where those are full. What comes
/// in datagrams is lost instead; and where arrivals are the times, each counts.
fn gathers(address: &Address, options: &Options) -> bool {
    let connected = match address.protocol() {
        Some(Protocol::Http | Protocol::Rtmp) => true,
        Some(Protocol::Rtsp) => matches!(options.rtsp_transport, Some(Transport::Tcp | Transport::Http)),
        _ => false,
    };
    connected && options.use_wallclock_as_timestamps != Some(true)
}

/// The protocols of libav that an address may lead to.
fn protocols(address: &Address) -> &'static str {
    match address.scheme() {
        "rtsp" | "rtsps" => "rtsp,rtp,srtp,udp,tcp,tls,http",
        "rtmp" => "rtmp,tcp",
        "rtmps" => "rtmps,tls,tcp",
        "srt" => "srt",
        "udp" | "rtp" => "udp,rtp",
        _ => "http,https,tls,tcp,crypto",
    }
}

fn film(job: &Job<'_>, address: &Address) -> Result<Opened> {
    job.guard.check_early(address)?;
    let missing =
        || Error::new(Kind::NotFound, "not-found", "there is no such file in the folder of live files");
    let folder = job.guard.files().ok_or_else(missing)?;
    let name = address.file_name().ok_or_else(missing)?;
    let root = Root::open(folder).map_err(|_| missing())?;
    let demuxer = roll(&root, &name, job.token)?;
    let options = &job.settings.options;
    let film = Film {
        root,
        name,
        again: options.r#loop != Some(false),
        pace: options.pace != Some(false),
        shift: 0,
        first: None,
        end: i64::MIN,
        ends: BTreeMap::new(),
        begun: None,
    };
    Ok(Opened { demuxer, film: Some(film), gathers: false })
}

fn roll(root: &Root, name: &str, token: &Token) -> Result<Demuxer> {
    let missing =
        || Error::new(Kind::NotFound, "not-found", "there is no such file in the folder of live files");
    let (file, _) = root.file(Path::new(name))?.ok_or_else(missing)?;
    Demuxer::open(Input { reader: Box::new(file), format: None, probe: true }, token)
}

impl Opened {
    pub fn demuxer(&mut self) -> &mut Demuxer {
        &mut self.demuxer
    }

    /// The next packet; `None` at the end.
    pub fn read(&mut self, token: &Token) -> Result<Option<Packet>> {
        loop {
            if let Some(packet) = self.demuxer.read()? {
                return Ok(Some(packet));
            }
            let Some(film) = self.film.as_mut().filter(|it| it.again) else { return Ok(None) };
            let Some(first) = film.first.take().filter(|it| film.end > *it) else { return Ok(None) };
            film.shift += film.end - first;
            film.end = i64::MIN;
            let kept: Vec<usize> = self.demuxer.selected();
            self.demuxer = roll(&film.root, &film.name, token)?;
            self.demuxer.select(&kept);
        }
    }

    /// What is added to times of this base.
    pub fn shift(&self, base: TimeBase) -> i64 {
        self.film.as_ref().map_or(0, |it| TimeBase::MICROS.rescale(it.shift, base))
    }

    /// Whether a packet is to go on. Rounds join where their pictures do; sound that reaches over the join is heard once.
    pub fn admits(
        &mut self,
        track: usize,
        video: bool,
        base: TimeBase,
        at: Option<i64>,
        duration: i64,
    ) -> bool {
        /// Times are rounded between bases.
        const ROUNDING: i64 = 1_000;
        let (Some(film), Some(at)) = (&mut self.film, at) else { return true };
        let end = base.micros(at.saturating_add(duration.max(0)));
        let at = base.micros(at);
        if video {
            film.first.get_or_insert(at);
            film.end = film.end.max(end);
        } else if film.ends.get(&track).is_some_and(|it| at < *it - ROUNDING) {
            return false;
        }
        film.ends.insert(track, end);
        true
    }

    /// It may be left alone for a while.
    pub fn gathers(&self) -> bool {
        self.gathers
    }

    pub fn is_paced(&self) -> bool {
        self.film.as_ref().is_some_and(|it| it.pace)
    }

    /// Waits until a file's sample is due.
    pub fn pace(&mut self, media: i64, clock: &Arc<dyn Clock>, token: &Token) -> Result<()> {
        /// A clock that is stepped and a token that is cancelled have nobody to wake.
        const LOOK: i64 = 20_000;
        let Some(film) = self.film.as_mut().filter(|it| it.pace) else { return Ok(()) };
        let (begun, first) = *film.begun.get_or_insert((clock.now(), media));
        loop {
            token.check()?;
            let left = (begun + (media - first)) - clock.now();
            if left <= 0 {
                return Ok(());
            }
            clock.pause(left.min(LOOK));
        }
    }

    pub fn realtime_start(&self) -> Option<i64> {
        self.film.is_none().then(|| self.demuxer.realtime_start()).flatten()
    }
}
