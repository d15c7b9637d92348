//! The frame that is meant by an instant, drawn as it is wanted. What was made is kept, what was decoded is kept, and a
//! group of pictures is decoded by one request at a time, for all who wait for it.

mod decode;
mod find;
mod pictures;
pub mod wish;

pub use find::Facts;
use pictures::PictureKey;
pub use pictures::Pictures;

use super::Render;
use super::bytes::Made;
use crate::base::{Channel, Error, Kind, Quality, Result, Timestamp, Token};
use crate::config;
use crate::media::Clip;
use crate::media::frame::{Still, extract};
use crate::media::picture::{PictureFormat, Raster, draw};
use crate::pool::Lane;
use decode::gop_of;
use find::{Found, Indexes};
pub(in crate::render) use find::{Id, id, names_of};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use wish::{Accuracy, Format, Wish};

/// Bytes of pictures made by another version of this are others.
const EDITION: (&str, u32) = (env!("CARGO_PKG_VERSION"), 3);

/// A frame that was found, and how it is to be drawn; nothing is decoded yet.
#[derive(Clone)]
pub struct FrameSource {
    found: Found,
    wish: Wish,
    format: PictureFormat,
    tag: Id,
}

impl FrameSource {
    /// What is known of the frame; `None` where libav has to look for it.
    pub fn facts(&self) -> Option<Facts> {
        self.found.facts
    }

    /// Whether the answer will be the same for ever: whole segments and nothing missing.
    pub fn is_settled(&self) -> bool {
        self.found.settled
    }

    /// A word that tells this answer from every other, known before anything is decoded; without quotes.
    pub fn tag(&self) -> String {
        format!("{:032x}", self.tag)
    }

    pub fn content_type(&self) -> &'static str {
        self.format.media_type()
    }
}

impl Render {
    /// The frame that is meant. Nothing of a segment is read where its index is kept.
    pub async fn frame_source(
        &self,
        channel: Channel,
        quality: Quality,
        wish: Wish,
        format: Format,
    ) -> Result<FrameSource> {
        let format = format.with(wish.quality, &self.config.frame);
        if !format.is_available() {
            let detail = format!("this server cannot write {}; it has png and jpg", format.media_type());
            return Err(Error::new(Kind::NotAcceptable, "no-encoder", detail));
        }
        let found = self.found(channel, quality, wish).await?;
        let (unit, at) = (found.place.as_ref().map(|it| it.unit), found.place.is_none().then_some(wish.at));
        let tag = id((EDITION, found.id, unit, at, wish.look, format));
        Ok(FrameSource { found, wish, format, tag })
    }

    async fn found(&self, channel: Channel, quality: Quality, wish: Wish) -> Result<Found> {
        let (parts, names) = (self.clone(), (channel.clone(), quality.clone()));
        let ask = move |_: &Token| parts.find(&names.0, &names.1, &wish, Indexes::AtHand);
        if let Some(found) = self.pool.submit(Lane::Disk, &self.stop, ask)?.await? {
            return Ok(found);
        }
        let (parts, token) = (self.clone(), self.stop.child_with_deadline(self.config.frame.deadline.0));
        let make = move |token: &Token| {
            let found = parts.find(&channel, &quality, &wish, Indexes::Made(token))?;
            found.ok_or_else(|| Error::internal("an index just made is not there"))
        };
        self.pool.submit(Lane::Interactive, &token, make)?.await
    }

    /// The finished picture: as it was made before, or decoded and drawn on the interactive lane.
    pub async fn frame(&self, source: FrameSource) -> Result<Made> {
        if let Some(made) = self.pictures.made(source.tag) {
            self.metrics.frame_reads.with_label_values(&["made"]).inc();
            return Ok(made);
        }
        let render = self.clone();
        self.with_picture(source.found.clone(), move |still| {
            let bytes = draw(&still.frame, still.turn, &source.wish.look, source.format)?;
            render.metrics.media_encoded.with_label_values(&["frame"]).inc();
            let made = Made { bytes: bytes.into(), tag: source.tag(), gzipped: false };
            render.pictures.keep_made(source.tag, made.clone());
            Ok(made)
        })
        .await
    }

    /// The frame as pixels, for who puts it together with others.
    pub async fn frame_with<T: Send + 'static>(
        &self,
        source: FrameSource,
        draw: impl FnOnce(&Raster) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let look = source.wish.look;
        self.with_picture(source.found, move |still| draw(&Raster::of(&still.frame, still.turn, &look)?))
            .await
    }

    /// Hands the decoded picture to `work`, which runs on the interactive lane.
    async fn with_picture<T: Send + 'static>(
        &self,
        found: Found,
        work: impl FnOnce(&Still) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let deadline = self.config.frame.deadline.0;
        let token = self.stop.child_with_deadline(deadline);
        let key = found.place.as_ref().map(|it| (found.id, it.unit));
        // Who waits for a seat holds no picture: there may be many.
        let work = match key.filter(|key| self.pictures.decoded.peek(key).is_some()) {
            Some(key) => match self.with_decoded(key, &token, work).await? {
                Ok(done) => return Ok(done),
                Err(work) => work,
            },
            None => work,
        };
        let group = gop_of(&found).map(|(key, at)| (key, self.pictures.gop(key), at));
        let waiting = group.as_ref().map(|(_, gop, position)| gop.want(*position));
        // Whoever waits for a group that is being decoded takes no seat.
        let turn = match &group {
            Some((_, gop, _)) => {
                let turn = tokio::time::timeout(deadline, Arc::clone(&gop.turn).lock_owned()).await;
                let late = || Error::new(Kind::Deadline, "deadline", "the frame took longer than it may");
                Some(turn.map_err(|_| late())?)
            }
            None => None,
        };
        let render = self.clone();
        let task = move |token: &Token| {
            let pictures = &render.pictures;
            let still = match key.and_then(|key| pictures.decoded.get(&key)) {
                Some(still) => {
                    render.metrics.frame_reads.with_label_values(&["decoded"]).inc();
                    drop(waiting);
                    still
                }
                None => {
                    let group = group.as_ref().map(|(key, gop, _)| (*key, gop));
                    let mut decoder = group.and_then(|it| pictures.take_decoder(it.0));
                    let decoded = render.decode(&found, group.map(|it| (it.0, &**it.1)), &mut decoder, token);
                    drop(waiting);
                    if let (Some((key, gop)), Some(decoder)) = (group, decoder) {
                        pictures.leave_decoder(key, gop, decoder, Instant::now());
                    }
                    decoded?
                }
            };
            drop(turn);
            work(&still)
        };
        self.pool.submit(Lane::Interactive, &token, task)?.await
    }

    /// Hands a picture that was decoded lately to `work`, or gives that back where the picture is gone by then.
    async fn with_decoded<T: Send + 'static, W: FnOnce(&Still) -> Result<T> + Send + 'static>(
        &self,
        key: PictureKey,
        token: &Token,
        work: W,
    ) -> Result<Result<T, W>> {
        let render = self.clone();
        let task = move |_: &Token| match render.pictures.decoded.get(&key) {
            Some(still) => {
                render.metrics.frame_reads.with_label_values(&["decoded"]).inc();
                work(&still).map(Ok)
            }
            None => Ok(Err(work)),
        };
        self.pool.submit(Lane::Interactive, token, task)?.await
    }
}

/// The frame of a file of any container that libav reads; the wish's time counts from its first picture, which is at 0.
///
/// # Errors
/// [`Kind::NotFound`] for a time before the first picture; [`Kind::Damaged`] where nothing can be decoded.
pub fn of_file(
    path: &Path,
    wish: &Wish,
    format: Format,
    defaults: &config::Frame,
    token: &Token,
) -> Result<Made> {
    if wish.accuracy != Accuracy::Exact {
        let detail = "accuracy is of an archive: of a file the frame on screen is taken";
        return Err(Error::invalid("unexpected-parameter", "accuracy", detail));
    }
    let clip = Clip { path: path.to_owned(), start: Timestamp::from_micros(0), duration: 0, whole: true };
    let picture = extract(None, &clip, wish.at, token)?;
    let format = format.with(wish.quality, defaults);
    Ok(Made::new(draw(&picture.frame, picture.turn, &wish.look, format)?))
}
