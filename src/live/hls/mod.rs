//! What viewers get of a stream: low-latency HLS out of its ring, made while somebody watches.
//!
//! Invariant: one thread a stream that is watched, none a viewer; what is made is made once, whoever many ask for it. Not
//! here: the text of playlists (packaging), the bytes of fragments (media::mp4).

mod follow;
mod pace;
mod queue;
mod reload;
mod segmenter;
mod tokens;
mod viewers;
mod window;

pub use reload::Awaited;
pub use tokens::Scope;
pub use window::{Found, Limits};

use crate::base::time::SECOND;
use crate::base::{Error, Kind, Result, StreamId, Token};
use crate::live::Ring;
use crate::packaging::low_latency;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use queue::Queue;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};
use tokens::Tokens;
use tokio::sync::watch;
use viewers::Viewers;
use window::Window;

/// How a stream is handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Segments are this long at least, in microseconds.
    pub segment: i64,
    /// Parts are this long at most, in microseconds.
    pub part: i64,
    pub limits: Limits,
    /// How long a request may wait for what is to come.
    pub wait: Duration,
    /// Nobody watches once nobody has asked for so long.
    pub idle: Duration,
    /// How long a token lives that is not used.
    pub token_idle: Duration,
    pub tokens: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment: 4 * SECOND,
            part: SECOND / 2,
            limits: Limits { window: 60 * SECOND, segments: 30, bytes: 64 << 20 },
            wait: Duration::from_secs(15),
            idle: Duration::from_secs(30),
            token_idle: Duration::from_secs(300),
            tokens: 1000,
        }
    }
}

/// The code of a wait in vain.
const LATE: &str = "no-media";

/// What stays as it is in an address (RFC 3986 §2.3).
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where a stream is watched by whoever has this token.
pub fn url(id: &StreamId, token: &str) -> String {
    format!("/live/{}/{token}/master.m3u8", utf8_percent_encode(id.as_str(), NAME))
}

/// A playlist as it is sent.
#[derive(Debug)]
pub struct Text {
    pub plain: Bytes,
    pub gzip: Bytes,
    /// A word that changes whenever a byte does.
    pub tag: String,
}

#[derive(Debug)]
struct State {
    window: Window,
    /// The playlist, whole and as a delta, since the last change.
    texts: [Option<Arc<Text>>; 2],
    /// Counts changes.
    version: u64,
    following: bool,
    /// What the source sends now has no form here: the name of its codec.
    refused: Option<String>,
}

#[derive(Debug)]
struct Shared {
    ring: Arc<Ring>,
    options: Options,
    state: Mutex<State>,
    tokens: Mutex<Tokens>,
    viewers: Mutex<Viewers>,
    changed: watch::Sender<u64>,
    queue: Queue,
    /// When somebody asked last.
    asked: Mutex<Option<Instant>>,
    orientation: AtomicU8,
    bursty_input: AtomicBool,
    stop: Token,
}

/// The viewers' side of a stream.
#[derive(Debug)]
pub struct Hls(Arc<Shared>);

impl Drop for Hls {
    fn drop(&mut self) {
        self.0.stop.cancel();
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut Window)) {
        let mut state = self.state.lock();
        change(&mut state.window);
        state.texts = [None, None];
        state.version += 1;
        drop(state);
        self.queue.turn();
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Whoever waits for what has no form here waits in vain.
    fn refuse(&self, codec: Option<String>) {
        self.state.lock().refused = codec;
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Whether nobody has asked for long enough; the thread that follows is to end then.
    fn leave_if_idle(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        // Looked at under the lock: who asks now finds the thread gone, or keeps it.
        let idle = self.asked.lock().is_none_or(|it| now.saturating_duration_since(it) > self.options.idle);
        if idle {
            (state.following, state.refused) = (false, None);
            state.window.clear();
            state.texts = [None, None];
        }
        idle
    }
}

impl Hls {
    pub fn new(ring: Arc<Ring>, options: Options) -> Self {
        let state = State {
            window: Window::new(options.limits, options.part),
            texts: [None, None],
            version: 0,
            following: false,
            refused: None,
        };
        Self(Arc::new(Shared {
            ring,
            tokens: Mutex::new(Tokens::new(options.tokens, options.token_idle)),
            viewers: Mutex::new(Viewers::new(options.tokens)),
            options,
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
            queue: Queue::default(),
            asked: Mutex::new(None),
            orientation: AtomicU8::new(1),
            bursty_input: AtomicBool::new(false),
            stop: Token::root(),
        }))
    }

    /// How pictures are turned when they are shown, 1 to 8; told by heads from now on.
    pub fn set_orientation(&self, orientation: u8) {
        self.0.orientation.store(orientation, Ordering::Relaxed);
    }

    /// The source is one that comes in bursts (another HLS): it is handed out in whole segments.
    pub fn set_bursty_input(&self, bursty: bool) {
        self.0.bursty_input.store(bursty, Ordering::Relaxed);
    }

    /// When somebody asked for anything last.
    pub fn asked(&self) -> Option<Instant> {
        *self.0.asked.lock()
    }

    /// Who watches, and bytes held for them.
    pub fn usage(&self, now: Instant) -> (usize, usize) {
        (self.0.viewers.lock().count(now), self.0.state.lock().window.bytes())
    }

    /// Somebody who was let in asks for media; by what they are told apart.
    pub fn saw(&self, who: &[&str]) {
        self.0.viewers.lock().saw(who, Instant::now());
    }

    /// A new token.
    pub fn mint(&self, scope: Scope, limit: Option<Duration>) -> Result<String> {
        self.0.tokens.lock().mint(scope, limit, Instant::now())
    }

    /// The token that the stream itself tells of.
    pub fn own_token(&self) -> Result<String> {
        self.0.tokens.lock().own(Instant::now())
    }

    pub fn revoke(&self, token: &str) -> bool {
        self.0.tokens.lock().revoke(token)
    }

    /// Nobody's token opens anything any more: the stream was stopped.
    pub fn revoke_all(&self) {
        self.0.tokens.lock().clear();
        self.0.viewers.lock().clear();
    }

    /// # Errors
    /// `not-found` where the token opens nothing of this.
    pub fn admit(&self, token: &str, what: Scope) -> Result<()> {
        match self.0.tokens.lock().opens(token, what, Instant::now()) {
            true => Ok(()),
            false => Err(Error::not_found("There is no such stream, or its address is no longer valid.")),
        }
    }

    /// Notes that somebody asks, and follows the ring if nobody did.
    fn ask(&self) -> Result<()> {
        *self.0.asked.lock() = Some(Instant::now());
        let mut state = self.0.state.lock();
        if state.following {
            return Ok(());
        }
        let shared = Arc::clone(&self.0);
        let run = move || follow::follow(&shared);
        std::thread::Builder::new()
            .name("hls".into())
            .spawn(run)
            .map_err(|fault| Error::busy("the stream cannot be followed").with_cause(fault))?;
        state.following = true;
        Ok(())
    }

    /// Waits until `look` finds something, media or what tells of it; no thread waits.
    async fn wait<T>(&self, media: bool, mut look: impl FnMut(&mut State) -> Result<Option<T>>) -> Result<T> {
        self.ask()?;
        let mut changed = self.0.changed.subscribe();
        let limit = tokio::time::sleep(self.0.options.wait);
        tokio::pin!(limit);
        let mut queued = None;
        loop {
            {
                let mut state = self.0.state.lock();
                if let Some(found) = look(&mut state)? {
                    return Ok(found);
                }
                if let Some(codec) = &state.refused {
                    let detail = format!("Low-latency HLS has no form for {codec} here.");
                    return Err(Error::new(Kind::Unsupported, "unsupported-codec", detail));
                }
            }
            match &mut queued {
                None if media => queued = Some(self.0.queue.enter()),
                None => {}
                Some(place) => place.stay(),
            }
            tokio::select! {
                _ = changed.changed() => {}
                () = &mut limit => return Err(self.late()),
            }
        }
    }

    fn late(&self) -> Error {
        let detail = "The source has brought nothing for as long as a request may wait.";
        match self.0.ring.is_ended() {
            true => Error::new(Kind::NotFound, LATE, detail),
            false => Error::new(Kind::Deadline, LATE, detail),
        }
    }

    /// The master playlist.
    pub async fn master(&self) -> Result<String> {
        self.wait(false, |state| Ok(state.window.quality().map(|it| low_latency::master(&it)))).await
    }

    /// The media playlist, once it holds what is awaited.
    pub async fn playlist(&self, awaited: Awaited, delta: bool) -> Result<Arc<Text>> {
        let found =
            self.wait(false, |state| Ok(awaited.is_in(&state.window)?.then(|| state.text(delta)))).await;
        if found.is_ok() {
            self.0.queue.let_pass().await;
        }
        match found {
            // Keyframes are further apart than a request may wait: parts are better than nothing.
            Err(error) if awaited == Awaited::Any && error.code == LATE => {
                let mut state = self.0.state.lock();
                if state.window.is_ready() { Ok(state.text(delta)) } else { Err(error) }
            }
            found => found,
        }
    }

    /// The head of a run of segments.
    pub fn head(&self, number: u64) -> Result<Bytes> {
        self.ask()?;
        let orientation = self.0.orientation.load(Ordering::Relaxed);
        match self.0.state.lock().window.heading(number) {
            Found::Here(it) => Ok(it.file(orientation)),
            Found::Gone => Err(gone()),
            Found::Later | Found::Never => Err(never()),
        }
    }

    /// A segment, once it is complete.
    pub async fn segment(&self, number: u64) -> Result<Bytes> {
        self.wait(true, |state| settle(state.window.segment(number))).await
    }

    /// A part, once it is there.
    pub async fn part(&self, number: u64, part: usize) -> Result<Bytes> {
        self.wait(true, |state| settle(state.window.part(number, part))).await
    }
}

fn gone() -> Error {
    Error::new(Kind::Gone, "gone", "This part of the stream is no longer held.")
}

fn never() -> Error {
    Error::not_found("The stream has no such part.")
}

fn settle<T>(found: Found<T>) -> Result<Option<T>> {
    match found {
        Found::Here(it) => Ok(Some(it)),
        Found::Later => Ok(None),
        Found::Gone => Err(gone()),
        Found::Never => Err(never()),
    }
}

impl State {
    fn text(&mut self, delta: bool) -> Arc<Text> {
        let (window, version) = (&self.window, self.version);
        let text = self.texts[usize::from(delta)].get_or_insert_with(|| {
            let plain = Bytes::from(window.playlist(delta));
            let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
            // Writing to a Vec cannot fail.
            let _ = encoder.write_all(&plain);
            let gzip = encoder.finish().unwrap_or_default().into();
            Arc::new(Text { plain, gzip, tag: format!("{version:x}{}", if delta { "d" } else { "" }) })
        });
        Arc::clone(text)
    }
}

#[cfg(test)]
mod tests;
