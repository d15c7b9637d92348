//! A cut as MPEG-TS: segments patched in place, and what is made between them.

use super::assemble::{Assembler, Fill, Made, Whole};
use super::file::{Layout, Origin, Part, Recipe, changed};
use crate::base::{Error, Result};
use crate::media::cut::plan::RangePlan;
use crate::media::ts::{ContinuityCounters, CounterProfile, Patch, Rename, TsWriter};
use crate::render::Render;
use crate::render::index::SegmentIndex;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

pub(super) struct TransportStream {
    layout: Layout,
    counters: ContinuityCounters,
}

impl TransportStream {
    pub fn new(render: Render) -> Self {
        Self { layout: Layout::new(render), counters: ContinuityCounters::default() }
    }
}

/// Times shifted and counters numbered on.
struct Patched {
    /// Where the segment is of another program.
    rename: Option<Rename>,
    patch: Patch,
    counters: ContinuityCounters,
    /// Where the segment's last packet ends.
    end: u64,
}

impl Recipe for Patched {
    fn make(&self, mut source: Vec<u8>) -> Result<Bytes> {
        let end = usize::try_from(self.end).unwrap_or(usize::MAX);
        if source.len() < end {
            return Err(changed());
        }
        source.truncate(end);
        if let Some(rename) = &self.rename {
            rename.apply(&mut source);
        }
        self.patch.apply(&mut source, &mut self.counters.clone())?;
        Ok(source.into())
    }
}

/// A part of a filling, written while it is read.
struct Woven {
    fill: Arc<Fill>,
    part: Range<u64>,
    counters: ContinuityCounters,
}

impl Recipe for Woven {
    fn make(&self, _: Vec<u8>) -> Result<Bytes> {
        let made = self.fill.made(self.part.clone());
        Ok(write(made, self.counters.clone())?.0.into())
    }

    fn held(&self) -> u64 {
        // The parts share one filling.
        if self.part.start == 0 { self.fill.filling.held() } else { 0 }
    }
}

/// Samples as transport packets that number on from `counters`, and the counters behind them.
fn write(made: Made, counters: ContinuityCounters) -> Result<(Vec<u8>, ContinuityCounters)> {
    let mut streams = Vec::with_capacity(made.pids.len());
    for pid in &made.pids {
        let found = made.program.streams.iter().position(|it| it.pid == *pid);
        streams.push(found.ok_or_else(|| Error::damaged("a stream is missing from the program tables"))?);
    }
    let mut writer = TsWriter::new(made.program, counters)?;
    for sample in made.samples {
        writer.write_unit(streams[sample.track], sample.pts, sample.dts, sample.key, &sample.bytes)?;
    }
    Ok(writer.finish())
}

impl TransportStream {
    fn push(&mut self, origin: Origin, shift: i64, profile: &CounterProfile, rename: Option<Rename>) {
        let patch = Patch { shift_90k: shift, joined: true };
        let recipe = Patched { rename, patch, counters: self.counters.clone(), end: profile.end };
        self.layout.push(Part { origin, recipe: Some(Box::new(recipe)), length: profile.end });
        self.counters.pass(profile);
    }
}

impl Assembler for TransportStream {
    fn range(&mut self, _: &[SegmentIndex], _: &RangePlan) -> Result<()> {
        Ok(())
    }

    fn whole(&mut self, whole: Whole<'_>) -> Result<()> {
        let origin = Origin::Segment(whole.segment.clone());
        let counters = &whole.index.counters;
        let renamed = whole.rename.as_ref().map(|it| it.profile(counters));
        self.push(origin, whole.shift, renamed.as_ref().unwrap_or(counters), whole.rename);
        Ok(())
    }

    fn made(&mut self, made: Made) -> Result<()> {
        let bytes = write(made, ContinuityCounters::default())?.0;
        let profile = CounterProfile::of(&bytes)?;
        self.push(Origin::Held(bytes.into()), 0, &profile, None);
        Ok(())
    }

    fn fill(&mut self, fill: Arc<Fill>) -> Result<()> {
        for part in fill.parts() {
            let recipe =
                Woven { fill: Arc::clone(&fill), part: part.clone(), counters: self.counters.clone() };
            let (bytes, counters) = write(fill.made(part), self.counters.clone())?;
            let (origin, length) = (Origin::Held(Bytes::new()), bytes.len() as u64);
            self.layout.push(Part { origin, recipe: Some(Box::new(recipe)), length });
            self.counters = counters;
        }
        Ok(())
    }

    fn held(&self) -> u64 {
        self.layout.held()
    }

    fn finish(self: Box<Self>) -> Result<Layout> {
        Ok(self.layout)
    }
}
