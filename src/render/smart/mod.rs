//! A smart cut as a file that seems to exist already: its edges are made first, the segments between are changed
//! while they are read.

mod assemble;
mod cache;
mod draw;
mod file;
mod receipt;
mod transport;

pub use cache::SmartCache;
pub use receipt::Receipt;

use super::bytes::ByteSource;
use super::{Render, Wanted, playlist, select, within};
use crate::base::{Result, Token};
use crate::media::cut::edge::{EdgeMaker, EdgeSettings};
use crate::media::cut::plan::{MAX_ENCODED, Part, plan, refuse};
use crate::pool::Lane;
use assemble::{Assembler, Made, Whole};
use base64::Engine;
use bytes::Bytes;
use draw::{Drawn, Opened};
use file::Layout;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::SystemTime;
use transport::TransportStream;

/// Changes whenever the same request gives other bytes.
const FORMAT: u32 = 1;

/// Output time of the first picture: the source's clock runs up to a second ahead of its pictures.
const FIRST_AT: i64 = 2 * 90_000;

/// The most a cut's edges may hold, in bytes: a hundred ranges of 1080p have less.
const MAX_EDGE_BYTES: u64 = 256 << 20;

/// A finished plan with its edges: everything but the segments between.
pub struct SmartCut {
    layout: Layout,
    tag: String,
    pub receipt: Receipt,
}

impl Render {
    /// A smart cut, prepared: its length is known and its edges are made.
    pub async fn smart_cut(&self, wanted: Wanted) -> Result<Arc<SmartCut>> {
        let render = self.clone();
        let drawn = self.ask(move |_, token| render.draw(&wanted, token)).await?;
        let tag = self.tag_of(&drawn);
        let cell = self.smart.cell(&tag);
        let cut = cell.get_or_try_init(|| async {
            let render = self.clone();
            let deadline = self.config.cut.deadline.0;
            let work = move |token: &Token| {
                let token = token.child_with_deadline(deadline);
                SmartCut::prepare(&render, drawn, tag, &token).map(Arc::new)
            };
            self.pool.submit(Lane::Interactive, &self.stop, work)?.await
        });
        let cut = cut.await.cloned();
        let held = self.smart.trim(self.config.cut.edge_cache.0);
        self.metrics.cut_edge_bytes.set(held as i64);
        cut
    }

    /// The same, on the caller's thread, and not kept for others.
    pub(super) fn smart_cut_now(&self, wanted: &Wanted, token: &Token) -> Result<SmartCut> {
        let drawn = self.draw(wanted, token)?;
        let tag = self.tag_of(&drawn);
        SmartCut::prepare(self, drawn, tag, token)
    }

    /// What the archive has for each range.
    fn draw(&self, wanted: &Wanted, token: &Token) -> Result<Vec<Drawn>> {
        let (archive, limit) = (&self.archive, self.config.cut.max_span);
        let mut drawn = Vec::new();
        for (start, end) in &wanted.ranges {
            token.check()?;
            let span = playlist::content_span(archive, &wanted.channel, &wanted.quality, (*start, *end))?;
            let selection = select(archive, &wanted.channel, &wanted.quality, span, wanted.holes)?;
            within(span, limit, "Range")?;
            drawn.push(Drawn::new(archive, span, selection)?);
        }
        Ok(drawn)
    }

    fn tag_of(&self, drawn: &[Drawn]) -> String {
        let mut digest = Sha256::new();
        digest.update(FORMAT.to_le_bytes());
        digest.update(self.edge_settings().preset.as_bytes());
        digest.update(self.edge_settings().crf.to_le_bytes());
        for range in drawn {
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

impl SmartCut {
    fn prepare(render: &Render, drawn: Vec<Drawn>, tag: String, token: &Token) -> Result<Self> {
        let settings = render.edge_settings();
        let mut receipt = Receipt::default();
        let mut file: Box<dyn Assembler> = Box::new(TransportStream::new(render.clone()));
        let (mut at, mut sound_at) = (FIRST_AT, Vec::new());
        for range in &drawn {
            let indexes = render.indexes(&range.segments, token)?;
            let sources = range.sources(&indexes);
            let plan = plan(&sources, range.span, at, &sound_at)?;
            let opened = Opened::new(render, range, &indexes);
            let maker =
                EdgeMaker { plan: &plan, sources: &sources, elementary: &opened, settings: &settings, token };
            for part in plan.parts() {
                match part {
                    Part::Whole { source } => file.whole(Whole {
                        segment: &range.segments[source],
                        index: &indexes[source],
                        shift: plan.shifts[source],
                    })?,
                    Part::Edge { pieces, sources } => {
                        let first = &indexes[sources.start].index;
                        let video = first.video.iter().map(|track| track.pid);
                        file.made(Made {
                            pids: video.chain(first.audio.iter().map(|track| track.pid)).collect(),
                            program: opened.program(sources.start)?,
                            samples: maker.samples(pieces, sources)?,
                        })?;
                        if file.held() > MAX_EDGE_BYTES {
                            return Err(refuse("the edges of the ranges hold more than 256 MiB"));
                        }
                    }
                }
            }
            receipt.add(range, &indexes, &plan);
            if receipt.encoded_frames > MAX_ENCODED {
                return Err(refuse("the source has too few keyframes to copy from"));
            }
            render.metrics.media_encoded.with_label_values(&["cut"]).inc_by(plan.encoded);
            (at, sound_at) = (plan.end, plan.sound_ends);
        }
        let layout = file.finish()?;
        receipt.bytes = layout.length();
        Ok(Self { layout, tag, receipt })
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
