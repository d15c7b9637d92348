//! A smart cut as a file that seems to exist already: its edges are made first, the segments between are changed
//! while they are read.

mod assemble;
mod cache;
mod compose;
mod draw;
mod file;
mod matroska;
mod movie;
mod mp4;
mod program;
mod receipt;
mod transport;

pub use cache::SmartCache;
pub use receipt::Receipt;

use super::bytes::ByteSource;
use super::{Render, Wanted, playlist, select, within};
use crate::base::{Error, Result, Token};
use crate::config::Length;
use crate::media::cut::Container;
use crate::media::cut::edge::EdgeSettings;
use crate::media::cut::plan::refuse;
use crate::media::cut::sound::SoundFit;
use crate::pool::Lane;
use assemble::Assembler;
use base64::Engine;
use bytes::Bytes;
use compose::{Score, compose};
use draw::Drawn;
use file::Layout;
use matroska::Matroska;
use mp4::Mp4;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use transport::TransportStream;

/// Changes whenever the same request gives other bytes.
const FORMAT: u32 = 6;

/// Output time of the first picture: the source's clock runs up to a second ahead of its pictures.
const FIRST_AT: i64 = 2 * 90_000;

/// The most a cut's edges may hold, in bytes: a hundred ranges of 1080p have less.
const MAX_EDGE_BYTES: u64 = 256 << 20;

/// A finished plan with its edges: everything but the segments between.
pub struct SmartCut {
    layout: Layout,
    tag: String,
    pub receipt: Receipt,
    /// Time spent on the plan, and on what is made of it.
    pub planning: Duration,
    pub making: Duration,
}

/// How a smart cut treats the ends of its ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Exactly the pictures asked for; those that cannot be copied are encoded.
    Exact,
    /// From the closed keyframe before to the one behind; nothing is encoded.
    Keyframes,
}

/// A prepared cut as it is handed out.
pub struct Prepared {
    pub cut: Arc<SmartCut>,
    /// It had been prepared before.
    pub cached: bool,
}

impl Render {
    /// A smart cut, prepared: its length is known and its edges are made.
    pub async fn smart_cut(&self, wanted: Wanted, reach: Reach) -> Result<Prepared> {
        let score = self.score(wanted, reach).await?;
        let tag = self.tag_of(&score);
        let cell = self.smart.cell(&tag);
        let cached = cell.initialized();
        let cut = cell.get_or_try_init(|| async {
            let render = self.clone();
            let work = move |token: &Token| SmartCut::prepare(&render, score, tag, token).map(Arc::new);
            self.work(work).await
        });
        let cut = cut.await.cloned();
        let held = self.smart.trim(self.config.cut.edge_cache.0);
        self.metrics.cut_edge_bytes.set(held as i64);
        Ok(Prepared { cut: cut?, cached })
    }

    /// What a smart cut holds; nothing is encoded to know it. What cannot be copied into its container is encoded when the
    /// cut is made, and so says the receipt.
    pub async fn smart_receipt(&self, wanted: Wanted, reach: Reach) -> Result<Receipt> {
        let container = wanted.container;
        match self.planned(wanted.clone(), reach).await {
            Err(error)
                if error.code == "unsupported-source"
                    && reach == Reach::Exact
                    && container != Container::TransportStream =>
            {
                self.full_receipt(wanted, error.detail).await
            }
            planned => planned,
        }
    }

    /// What a cut holds of which all is encoded, and `why`.
    pub async fn full_receipt(&self, wanted: Wanted, why: String) -> Result<Receipt> {
        let container = wanted.container;
        // The pictures are those of a smart cut, and nothing is asked of a container that is not copied into.
        let wanted = Wanted { container: Container::TransportStream, ..wanted };
        Ok(self.planned(wanted, Reach::Exact).await?.encoded_anew(container, why))
    }

    async fn planned(&self, wanted: Wanted, reach: Reach) -> Result<Receipt> {
        let score = self.score(wanted, reach).await?;
        if let Some(cut) = self.smart.find(&self.tag_of(&score)) {
            return Ok(cut.receipt.clone());
        }
        let render = self.clone();
        self.work(move |token| Ok(compose(&render, score, None, token)?.receipt.close(None))).await
    }

    /// Runs what prepares a cut.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Token) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let deadline = self.config.cut.deadline.0;
        let work = move |token: &Token| work(&token.child_with_deadline(deadline));
        self.pool.submit(Lane::Interactive, &self.stop, work)?.await
    }

    /// What the archive has for a cut.
    async fn score(&self, wanted: Wanted, reach: Reach) -> Result<Score> {
        let render = self.clone();
        let limit = Some(self.config.cut.max_span);
        let mut score = self.ask(move |_, token| render.draw(&wanted, reach, limit, token)).await?;
        if reach == Reach::Exact {
            return Ok(score);
        }
        let render = self.clone();
        let widen = move |token: &Token| {
            score.widen(&render, token)?;
            Ok(score)
        };
        self.work(widen).await
    }

    /// A copied cut, prepared on the caller's thread and kept for nobody. It may be of any length.
    pub(super) fn copied_now(&self, wanted: &Wanted, token: &Token) -> Result<SmartCut> {
        let mut score = self.draw(wanted, Reach::Keyframes, None, token)?;
        score.widen(self, token)?;
        let tag = self.tag_of(&score);
        SmartCut::prepare(self, score, tag, token)
    }

    /// What the archive has for each range.
    fn draw(&self, wanted: &Wanted, reach: Reach, limit: Option<Length>, token: &Token) -> Result<Score> {
        let Wanted { channel, quality, holes, .. } = wanted;
        let mut drawn = Vec::new();
        for range in &wanted.ranges {
            token.check()?;
            let span = playlist::content_span(&self.archive, channel, quality, *range)?;
            let selection = select(&self.archive, channel, quality, span, *holes)?;
            if let Some(limit) = limit {
                within(span, limit, "Range")?;
            }
            drawn.push(Drawn::new(&self.archive, span, &selection)?);
        }
        let (transitions, holes, container) = (wanted.transitions.clone(), *holes, wanted.container);
        Ok(Score { drawn, transitions, holes, reach, container })
    }

    fn tag_of(&self, score: &Score) -> String {
        let mut digest = Sha256::new();
        digest.update(FORMAT.to_le_bytes());
        digest.update(self.edge_settings().preset.as_bytes());
        digest.update(self.edge_settings().crf.to_le_bytes());
        let how = (score.container, score.reach, score.holes, &score.transitions);
        digest.update(format!("{how:?}").as_bytes());
        for range in &score.drawn {
            digest.update(range.span.to_string().as_bytes());
            for segment in &range.segments {
                digest.update(segment.channel().as_str().as_bytes());
                digest.update(segment.hour().to_string().as_bytes());
                // The name holds the hash of the content.
                digest.update(segment.name().as_bytes());
            }
        }
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest.finalize()[..18])
    }

    fn edge_settings(&self) -> EdgeSettings {
        EdgeSettings { preset: self.config.cut.edge_preset.clone(), crf: f64::from(self.config.cut.edge_crf) }
    }
}

/// How a container wants its sound.
fn fit(container: Container) -> SoundFit {
    match container {
        Container::TransportStream => SoundFit::Nearest,
        Container::Mp4 | Container::Matroska | Container::WebM => SoundFit::Covering,
    }
}

fn assembler(container: Container, render: &Render) -> Result<Box<dyn Assembler>> {
    Ok(match container {
        Container::TransportStream => Box::new(TransportStream::new(render.clone())),
        Container::Mp4 => Box::new(Mp4::new(render.clone())),
        Container::Matroska => Box::new(Matroska::new(render.clone())),
        Container::WebM => return Err(refuse("WebM takes neither H.264 nor HEVC")),
    })
}

impl SmartCut {
    fn prepare(render: &Render, score: Score, tag: String, token: &Token) -> Result<Self> {
        let since = Instant::now();
        let file = assembler(score.container, render)?;
        let composed = compose(render, score, Some(file), token)?;
        let layout = composed.file.ok_or_else(|| Error::internal("a cut without a file"))?.finish()?;
        let planning = since.elapsed().saturating_sub(composed.making);
        let receipt = composed.receipt.close(Some(layout.length()));
        crate::media::give_back();
        Ok(Self { layout, tag, receipt, planning, making: composed.making })
    }

    /// Bytes of the edges, which are held as long as the cut.
    fn held(&self) -> u64 {
        self.layout.held()
    }
}

impl ByteSource for SmartCut {
    fn length(&self) -> u64 {
        self.layout.length()
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    fn modified(&self) -> Option<SystemTime> {
        None
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Bytes> {
        self.layout.read_at(offset, length)
    }
}
