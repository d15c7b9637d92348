//! A camera: an RTSP server over TCP that sends made-up pictures as RTP, and can fail in the ways cameras fail.
// The rules against processes and unnamed threads are about the server.
#![allow(clippy::disallowed_methods)]

use base64::Engine;
use moviola::base::{Timestamp, Token};
use moviola::media::index::{ParameterSet, VideoCodec, VideoFormat};
use moviola::media::live::intake::{Intake, Taken};
use moviola::media::live::{Demuxer, Input};
use moviola::media::nal::{escape, unescape};
use moviola::media::synthetic::{Coder, Pace, Picture, Recipe, Sound, Voice, segments};
use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Coded pictures, each as its NAL units.
#[derive(Clone)]
pub struct Reel {
    pub hevc: bool,
    /// Shown at, in ticks of 90 kHz; the NAL units.
    pub pictures: Vec<(i64, Vec<Vec<u8>>)>,
    pub step: i64,
}

impl Reel {
    /// `frames` pictures, 25 a second, a keyframe every `gop`.
    pub fn make(width: usize, height: usize, frames: u64, gop: u64, hevc: bool) -> Self {
        Self::with_b_frames(width, height, frames, gop, 0, hevc)
    }

    /// The same, some of them shown in another order than they are sent.
    pub fn with_b_frames(
        width: usize,
        height: usize,
        frames: u64,
        gop: u64,
        b_frames: usize,
        hevc: bool,
    ) -> Self {
        let bytes = transport(width, height, frames, gop, b_frames, hevc);
        let input = Input { reader: Box::new(Cursor::new(bytes)), format: Some("mpegts"), probe: true };
        let mut source = Demuxer::open(input, &Token::root()).expect("a source");
        let mut intake = Intake::new(&source, false).expect("pictures");
        let mut pictures = Vec::new();
        while let Some(packet) = source.read().expect("a packet") {
            if let Taken::Sample(raw) | Taken::Changed(raw) = intake.take(&packet) {
                let (mut units, mut rest) = (Vec::new(), &raw.data[..]);
                while let Some((length, after)) = rest.split_first_chunk::<4>() {
                    let (unit, after) = after.split_at(u32::from_be_bytes(*length) as usize);
                    units.push(unit.to_vec());
                    rest = after;
                }
                pictures.push((raw.pts.expect("a time"), units));
            }
        }
        let first = pictures[0].0;
        pictures.iter_mut().for_each(|it| it.0 -= first);
        Self { hevc, pictures, step: 3_600 }
    }

    /// The same without what its sequence parameter sets say of order and pace (H.264 §E.1), as of many cameras.
    pub fn silent_of_order(mut self) -> Self {
        let hevc = self.hevc;
        for unit in self.pictures.iter_mut().flat_map(|it| &mut it.1).filter(|it| !hevc && it[0] & 0x1f == 7)
        {
            *unit = without_usability(unit);
        }
        self
    }

    fn kind(&self, unit: &[u8]) -> u8 {
        if self.hevc { (unit[0] >> 1) & 0x3f } else { unit[0] & 0x1f }
    }

    fn description(&self) -> String {
        let base64 = |unit: &Vec<u8>| base64::engine::general_purpose::STANDARD.encode(unit);
        let find = |kind: u8| {
            let mut units = self.pictures.iter().flat_map(|it| &it.1);
            base64(units.find(|it| self.kind(it) == kind).expect("a parameter set"))
        };
        if self.hevc {
            let (vps, sps, pps) = (find(32), find(33), find(34));
            format!("a=rtpmap:96 H265/90000\r\na=fmtp:96 sprop-vps={vps};sprop-sps={sps};sprop-pps={pps}\r\n")
        } else {
            let (sps, pps) = (find(7), find(8));
            format!(
                "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets={sps},{pps}\r\n"
            )
        }
    }
}

/// A sequence parameter set of H.264 without its usability information: cut off where the flag is, which is where what is left
/// says the same of pictures.
fn without_usability(unit: &[u8]) -> Vec<u8> {
    let format = |unit: &[u8]| {
        let set = ParameterSet::parse(VideoCodec::H264, unit)?;
        VideoFormat::of(VideoCodec::H264, &set)
    };
    let mut scratch = Vec::new();
    let bare = unescape(unit, &mut scratch).to_vec();
    let whole = format(unit).expect("a set");
    let bit = |at: usize| bare[at / 8] >> (7 - at % 8) & 1;
    let cut = |at: usize| {
        let mut short: Vec<u8> = bare[..=at / 8].to_vec();
        short[at / 8] &= !(0xff >> (at % 8));
        // No such information, and the bit that ends a set.
        let end = at + 1;
        short.resize(end / 8 + 1, 0);
        short[end / 8] |= 0x80 >> (end % 8);
        escape(&short)
    };
    let same = |it: &VideoFormat| {
        it.reorder.is_none()
            && (it.width, it.height, it.max_references) == (whole.width, whole.height, whole.max_references)
    };
    let mut shorter = (32..bare.len() * 8).filter(|at| bit(*at) == 1).map(cut);
    shorter.find(|it| format(it).is_some_and(|it| same(&it))).expect("a shorter set")
}

/// Made-up pictures and silence with clicks.
pub fn recipe(width: usize, height: usize, frames: u64, gop: u64, b_frames: usize, hevc: bool) -> Recipe {
    let mut coder = Coder::x264("ultrafast", 30, gop, b_frames);
    if hevc {
        coder.name = "libx265".into();
        coder.options =
            [("preset", "ultrafast"), ("x265-params", "log-level=none:repeat-headers=1:bframes=0")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .to_vec();
    }
    Recipe {
        start: Timestamp::from_micros(0),
        first_second: 10,
        frames,
        pace: Pace::Steady(25, 1),
        segments: vec![gop],
        at_keys: true,
        picture: Picture { width, height, format: "yuv420p".into(), full_range: false, interlaced: None },
        coder,
        sound: Sound { codec: "aac".into(), bit_rate: 64_000, voice: Voice::Clicks },
    }
}

/// The same as an MPEG transport stream.
pub fn transport(width: usize, height: usize, frames: u64, gop: u64, b_frames: usize, hevc: bool) -> Vec<u8> {
    let recipe = recipe(width, height, frames, gop, b_frames, hevc);
    let mut bytes = Vec::new();
    segments(&recipe, &Token::root(), |segment| {
        bytes.extend(segment.bytes);
        Ok(())
    })
    .expect("a stream");
    bytes
}

/// Where a camera falls silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hole {
    None,
    Connect,
    Describe,
    Play,
    /// After so many pictures.
    After(usize),
}

/// How a camera behaves, for connections to come.
#[derive(Clone)]
pub struct Manner {
    pub hole: Hole,
    /// `Authorization: Basic …` of these.
    pub password: Option<&'static str>,
    /// What is sent to requests for other paths than `/live`.
    pub missing: &'static str,
    /// From this picture on its times jump by so many ticks.
    pub jump: Option<(usize, i64)>,
    /// RTP's first time.
    pub first: u32,
    /// After the reel comes this one, of another size.
    pub then: Option<Reel>,
    /// The connection is cut after so many pictures.
    pub cut: Option<usize>,
    /// The wall time of the first picture, told in sender reports.
    pub clock: Option<Timestamp>,
    /// A second track of G.711.
    pub sound: bool,
    /// Microseconds from picture to picture; the reel's own pace is 40 000.
    pub pace: u64,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            hole: Hole::None,
            password: None,
            missing: "404 Not Found",
            jump: None,
            first: 1_000,
            then: None,
            cut: None,
            clock: None,
            sound: false,
            pace: 4_000,
        }
    }
}

struct Shared {
    reel: Reel,
    manner: Mutex<Manner>,
    stopping: AtomicBool,
    /// Woken when it stops.
    bell: (Mutex<()>, Condvar),
    connections: AtomicUsize,
    log: Mutex<Vec<String>>,
    sockets: Mutex<Vec<TcpStream>>,
}

pub struct Camera {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Camera {
    pub fn start(reel: Reel, manner: Manner) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            reel,
            manner: Mutex::new(manner),
            stopping: false.into(),
            bell: Default::default(),
            connections: 0.into(),
            log: Mutex::default(),
            sockets: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let mut threads = Vec::new();
            for stream in listener.incoming().flatten() {
                if serving.stopping.load(Ordering::Acquire) {
                    break;
                }
                serving.connections.fetch_add(1, Ordering::AcqRel);
                serving.sockets.lock().expect("sockets").extend(stream.try_clone());
                let serving = Arc::clone(&serving);
                threads.push(std::thread::spawn(move || {
                    // A client that leaves is no fault of the camera.
                    let mut session = Session::new(&serving, stream);
                    let _ = session.run();
                    let _ = session.stream.shutdown(std::net::Shutdown::Both);
                }));
            }
            threads.into_iter().for_each(|it| it.join().expect("a session"));
        });
        Self { address, shared, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("rtsp://{}/live", self.address)
    }

    pub fn behave(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.shared.manner.lock().expect("a manner"));
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Acquire)
    }

    /// Pictures of its reel.
    pub fn length(&self) -> usize {
        self.shared.reel.pictures.len()
    }

    /// The first pictures of its reel.
    pub fn pictures(&self, count: usize) -> Vec<Vec<Vec<u8>>> {
        self.shared.reel.pictures.iter().take(count).map(|it| it.1.clone()).collect()
    }

    pub fn requests(&self) -> Vec<String> {
        self.shared.log.lock().expect("a log").clone()
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        for socket in self.shared.sockets.lock().expect("sockets").drain(..) {
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.bell.1.notify_all();
        self.cut();
        let _ = TcpStream::connect(self.address);
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "the camera ended badly");
    }
}

struct Session<'a> {
    shared: &'a Shared,
    manner: Manner,
    stream: TcpStream,
    sequence: [u16; 2],
}

impl<'a> Session<'a> {
    fn new(shared: &'a Shared, stream: TcpStream) -> Self {
        let manner = shared.manner.lock().expect("a manner").clone();
        stream.set_nodelay(true).expect("an option");
        Self { shared, manner, stream, sequence: [0; 2] }
    }

    /// Waits as long as the camera is there.
    fn wait(&self, limit: Duration) {
        let guard = self.shared.bell.0.lock().expect("a bell");
        let stopping = |(): &mut ()| !self.shared.stopping.load(Ordering::Acquire);
        drop(self.shared.bell.1.wait_timeout_while(guard, limit, stopping).expect("a bell"));
    }

    /// Reads and drops what comes until the other side leaves.
    fn silence(&self, reader: &mut impl BufRead) -> std::io::Result<()> {
        std::io::copy(reader, &mut std::io::sink()).map(drop)
    }

    fn run(&mut self) -> std::io::Result<()> {
        let mut reader = BufReader::new(self.stream.try_clone()?);
        if self.manner.hole == Hole::Connect {
            return self.silence(&mut reader);
        }
        loop {
            let Some((method, url, headers)) = request(&mut reader)? else { return Ok(()) };
            self.shared.log.lock().expect("a log").push(format!("{method} {url}"));
            let header = |name: &str| {
                headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str()).to_owned()
            };
            let sequence = header("cseq");
            let mut answer = |status: &str, more: &str, body: &str| {
                let length = body.len();
                let head = format!(
                    "RTSP/1.0 {status}\r\nCSeq: {sequence}\r\nSession: 7\r\n{more}Content-Length: {length}\r\n\r\n"
                );
                self.stream.write_all((head + body).as_bytes())
            };
            if let Some(password) = self.manner.password {
                let right = base64::engine::general_purpose::STANDARD.encode(password);
                if method != "OPTIONS" && header("authorization") != format!("Basic {right}") {
                    answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"camera\"\r\n", "")?;
                    continue;
                }
            }
            match method.as_str() {
                "DESCRIBE" if self.manner.hole == Hole::Describe => return self.silence(&mut reader),
                "DESCRIBE"
                    if !url
                        .split('?')
                        .next()
                        .unwrap_or_default()
                        .trim_end_matches('/')
                        .ends_with("/live") =>
                {
                    answer(self.manner.missing, "", "")?
                }
                "DESCRIBE" => {
                    let mut sdp = format!(
                        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\n\
                         {}a=control:track1\r\n",
                        self.shared.reel.description()
                    );
                    if self.manner.sound {
                        sdp += "m=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=control:track2\r\n";
                    }
                    answer("200 OK", "Content-Type: application/sdp\r\n", &sdp)?;
                }
                "SETUP" => {
                    let transport = header("transport");
                    answer("200 OK", &format!("Transport: {transport}\r\n"), "")?;
                }
                "PLAY" if self.manner.hole == Hole::Play => return self.silence(&mut reader),
                "PLAY" => {
                    answer("200 OK", "", "")?;
                    return self.play(&mut reader);
                }
                "TEARDOWN" => {
                    answer("200 OK", "", "")?;
                    return Ok(());
                }
                _ => answer("200 OK", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n", "")?,
            }
        }
    }

    fn play(&mut self, reader: &mut impl BufRead) -> std::io::Result<()> {
        let reel = &self.shared.reel;
        let then = self.manner.then.clone();
        let reels = std::iter::once(reel).chain(then.as_ref());
        let mut pictures = Vec::new();
        for reel in reels {
            let begins = pictures.len();
            pictures.extend(reel.pictures.iter().map(|it| (begins, it)));
        }
        for number in 0.. {
            if self.shared.stopping.load(Ordering::Acquire) || self.manner.cut == Some(number) {
                return Ok(());
            }
            if self.manner.hole == Hole::After(number) {
                return self.silence(reader);
            }
            // Reels follow each other at the pace of their pictures, each of which is shown when it is.
            let place = number % pictures.len();
            let (begins, (shown, units)) = pictures[place];
            let mut ticks = (number - place + begins) as i64 * reel.step + shown;
            let wall = ticks * 100 / 9;
            if let Some((_, by)) = self.manner.jump.filter(|(from, _)| number >= *from) {
                ticks += by;
            }
            let time = self.manner.first.wrapping_add(ticks as u32);
            if let Some(clock) = self.manner.clock.filter(|_| number % 25 == 0) {
                self.report(clock + wall, time)?;
            }
            for (at, unit) in units.iter().enumerate() {
                self.unit(unit, time, at + 1 == units.len())?;
            }
            if self.manner.sound {
                // 40 ms of A-law silence.
                self.packet(1, 8, (number * 320) as u32, true, &[0xd5; 320])?;
            }
            self.wait(Duration::from_micros(self.manner.pace));
        }
        Ok(())
    }

    /// RFC 6184 §5.6, §5.8; RFC 7798 §4.4.1, §4.4.3.
    fn unit(&mut self, unit: &[u8], time: u32, last: bool) -> std::io::Result<()> {
        const MOST: usize = 1_400;
        // A fragment alone would be first and last at once, which is not allowed.
        if unit.len() <= MOST + 2 {
            return self.packet(0, 96, time, last, unit);
        }
        let (kept, hevc) = (if self.shared.reel.hevc { 2 } else { 1 }, self.shared.reel.hevc);
        let pieces = unit[kept..].chunks(MOST);
        let count = pieces.len();
        for (at, piece) in pieces.enumerate() {
            let edge = u8::from(at == 0) << 7 | u8::from(at + 1 == count) << 6;
            let head = if hevc {
                vec![(unit[0] & 0x81) | 49 << 1, unit[1], edge | ((unit[0] >> 1) & 0x3f)]
            } else {
                vec![(unit[0] & 0xe0) | 28, edge | (unit[0] & 0x1f)]
            };
            self.packet(0, 96, time, last && at + 1 == count, &[&head, piece].concat())?;
        }
        Ok(())
    }

    fn packet(
        &mut self,
        track: usize,
        kind: u8,
        time: u32,
        mark: bool,
        payload: &[u8],
    ) -> std::io::Result<()> {
        let sequence = self.sequence[track];
        self.sequence[track] = sequence.wrapping_add(1);
        let mut bytes = vec![0x80, u8::from(mark) << 7 | kind];
        bytes.extend(sequence.to_be_bytes());
        bytes.extend(time.to_be_bytes());
        bytes.extend((track as u32 + 1).to_be_bytes());
        bytes.extend(payload);
        self.frame(track as u8 * 2, &bytes)
    }

    /// A sender report (RFC 3550 §6.4.1).
    fn report(&mut self, wall: Timestamp, time: u32) -> std::io::Result<()> {
        let micros = wall.micros() + 2_208_988_800 * 1_000_000;
        let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
        let fraction = ((rest as u64) << 32) / 1_000_000;
        let mut bytes = vec![0x80, 200, 0, 6, 0, 0, 0, 1];
        bytes.extend((seconds as u32).to_be_bytes());
        bytes.extend((fraction as u32).to_be_bytes());
        bytes.extend(time.to_be_bytes());
        bytes.extend([0; 8]);
        self.frame(1, &bytes)
    }

    /// Interleaved (RFC 2326 §10.12).
    fn frame(&mut self, channel: u8, bytes: &[u8]) -> std::io::Result<()> {
        let mut framed = vec![b'$', channel];
        framed.extend((bytes.len() as u16).to_be_bytes());
        framed.extend(bytes);
        self.stream.write_all(&framed)
    }
}

type Head = (String, String, Vec<(String, String)>);

fn request(reader: &mut impl BufRead) -> std::io::Result<Option<Head>> {
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        match (line.is_empty(), lines.is_empty()) {
            (true, true) => {}
            (true, false) => break,
            _ => lines.push(line),
        }
    }
    let mut words = lines[0].split(' ').map(str::to_owned);
    let (method, url) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers = lines[1..].iter().filter_map(|it| it.split_once(':'));
    let headers = headers.map(|(key, value)| (key.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Ok(Some((method, url, headers)))
}
