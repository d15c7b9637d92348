//! Making what is kept of segments before anybody asks for it.

use super::peaks::Sounds;
use super::storyboard::wish::DEFAULT_WIDTH;
use super::{Parts, Render};
use crate::archive::Segment;
use crate::base::{Channel, Error, Hour, Kind, Quality, Result, Span, Timestamp, Token};
use crate::media::peaks::Part;
use crate::pool::Lane;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Segments a task works through, one after the other, so that other work of the lane gets its turn.
const AT_ONCE: usize = 16;

/// What is made beside the frame index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Warmth {
    /// Tiles of storyboards, of the width they have by default.
    pub pictures: bool,
    /// Peaks of the sound.
    pub peaks: bool,
}

/// Told how many segments are done, of how many.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Warmed {
    pub segments: u64,
    /// Those something could not be made of.
    pub failed: u64,
}

impl Render {
    /// Works through the segments of a range on the background lane. What is there already is left as it is.
    pub async fn warm(
        &self,
        channel: Channel,
        quality: Quality,
        span: Span,
        warmth: Warmth,
        progress: Progress,
    ) -> Result<Warmed> {
        let selection = self.ask(move |archive, _| archive.select(&channel, &quality, span)).await?;
        let segments: Arc<[Segment]> = selection.segments().cloned().collect();
        let all = segments.len() as u64;
        let (render, shared, done) = (self.clone(), Arc::clone(&segments), Arc::new(AtomicU64::new(0)));
        let work = move |number: usize, token: &Token| {
            let mut failed = 0;
            let mut sounds = Sounds::new(&render, &shared);
            for at in number * AT_ONCE..((number + 1) * AT_ONCE).min(shared.len()) {
                token.check()?;
                match render.warm_one(&shared, at, &mut sounds, warmth, token) {
                    Err(error) if matches!(error.kind, Kind::Cancelled | Kind::Deadline) => {
                        return Err(error);
                    }
                    outcome => failed += u64::from(outcome.is_err()),
                }
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, all);
            }
            Ok(failed)
        };
        let tasks = segments.len().div_ceil(AT_ONCE);
        let failed = self.spread(Lane::Background, tasks, &self.stop, work).await?;
        Ok(Warmed { segments: all, failed: failed.into_iter().sum() })
    }

    /// Works through what was added to every quality since the last time; `seen` remembers how far that was, and begins with
    /// the newest hour.
    ///
    /// # Errors
    /// What the archive or the pool says.
    pub async fn warm_new(&self, seen: &mut Seen, now: Timestamp, warmth: Warmth) -> Result<()> {
        let newest = self.ask(|archive, token| {
            let mut newest = Vec::new();
            for channel in archive.channels()? {
                let Ok(channel) = Channel::new(&channel) else { continue };
                for quality in archive.qualities(&channel)? {
                    token.check()?;
                    let Ok(quality) = Quality::new(&quality) else { continue };
                    if let Some(hour) = archive.hours(&channel, &quality)?.last() {
                        newest.push((channel.clone(), quality, *hour));
                    }
                }
            }
            Ok(newest)
        });
        let newest = newest.await?;
        seen.0.retain(|(channel, quality), _| newest.iter().any(|it| it.0 == *channel && it.1 == *quality));
        for (channel, quality, hour) in newest {
            let from = seen.0.get(&(channel.clone(), quality.clone())).copied().unwrap_or(hour.start());
            let until = hour.end().min(now);
            if from >= until {
                continue;
            }
            self.warm(channel.clone(), quality.clone(), Span::new(from, until), warmth, Arc::new(|_, _| {}))
                .await?;
            // What may still be on its way is looked for again.
            let settled = until + -LATE;
            seen.0.insert((channel, quality), settled.max(from));
        }
        Ok(())
    }

    /// The hours there are of what matches, in order; of all channels and qualities where none is named.
    pub async fn hours_of(
        &self,
        channel: Option<Channel>,
        quality: Option<Quality>,
    ) -> Result<Vec<(Channel, Quality, Vec<Hour>)>> {
        self.ask(move |archive, _| {
            let channels = match &channel {
                Some(channel) => vec![channel.clone()],
                None => archive.channels()?.iter().filter_map(|it| Channel::new(it).ok()).collect(),
            };
            let mut all = Vec::new();
            for channel in channels {
                let qualities = match &quality {
                    Some(quality) => vec![quality.clone()],
                    None => {
                        archive.qualities(&channel)?.iter().filter_map(|it| Quality::new(it).ok()).collect()
                    }
                };
                for quality in qualities {
                    let hours = archive.hours(&channel, &quality)?;
                    if !hours.is_empty() {
                        all.push((channel.clone(), quality, hours));
                    }
                }
            }
            if all.is_empty() {
                return Err(Error::not_found("There is no such channel and quality."));
            }
            Ok(all)
        })
        .await
    }
}

/// Segments are written a while after what they show, in microseconds.
const LATE: i64 = 60_000_000;

/// How far each quality was worked through.
#[derive(Debug, Default)]
pub struct Seen(BTreeMap<(Channel, Quality), Timestamp>);

impl Parts {
    fn warm_one(
        &self,
        segments: &[Segment],
        at: usize,
        sounds: &mut Sounds<'_>,
        warmth: Warmth,
        token: &Token,
    ) -> Result<()> {
        let segment = &segments[at];
        self.index(segment, token)?;
        if warmth.pictures {
            let height = self.tile_height(std::slice::from_ref(segment), DEFAULT_WIDTH, token)?;
            self.tiles(segment, (DEFAULT_WIDTH, height), token)?;
        }
        if warmth.peaks {
            sounds.peaks(at, Part::Coarse, token)?;
        }
        Ok(())
    }
}
