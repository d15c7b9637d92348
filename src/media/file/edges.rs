//! The plan of each range, and its edges made beforehand.

use super::reader::Reader;
use super::scan::{FileIndex, unsupported};
use crate::base::time::TimeBase;
use crate::base::{Error, Result, Span, Token};
use crate::media::cut::edge::{Before, EdgeSettings, Elementary, RangeMaker, Sample};
use crate::media::cut::plan::{self, Joins, Place, plan_with};
use crate::media::cut::sound::SoundFit;
use crate::media::index::VideoCodec;
use crate::media::nal::StartCodes;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// What a range's pictures become, in output order.
pub enum Part {
    /// A stretch of the file taken over packet by packet.
    Whole(usize),
    /// Pictures encoded anew, and such as are taken over beside them; times are the file's, in ticks of 90 kHz.
    Made(Vec<Sample>),
}

/// One range, ready to be written.
pub struct Prepared {
    pub parts: Vec<Part>,
    /// The file's time of the first picture, and where the last one ends, in ticks of 90 kHz.
    pub start: i64,
    pub end: i64,
    /// The last picture.
    pub last: i64,
    /// Where the range begins and ends in the output, in ticks of the output's clock.
    pub at: i64,
    pub end_at: i64,
    pub copied: u64,
    pub encoded: u64,
    whole_bytes: u64,
    /// What says how opaque the pictures are that are taken over beside edges, by their times in the file.
    pub alphas: BTreeMap<i64, Vec<u8>>,
}

impl Prepared {
    /// Bytes of its edges.
    pub fn held(&self) -> usize {
        let bytes = |part: &Part| match part {
            Part::Made(samples) => samples.iter().map(|it| it.bytes.len()).sum(),
            Part::Whole(_) => 0,
        };
        self.parts.iter().map(bytes).sum::<usize>() + self.alphas.values().map(Vec::len).sum::<usize>()
    }

    /// Bytes of the pictures taken over.
    pub fn copied_bytes(&self) -> u64 {
        self.whole_bytes
    }

    /// The output's time of a time in the file.
    pub fn place(&self, clock: TimeBase, ticks: i64) -> i64 {
        TimeBase::MPEG.rescale(ticks, clock) - TimeBase::MPEG.rescale(self.start, clock) + self.at
    }
}

/// The pictures of a file for the maker of edges.
struct Pictures<'r, 'a> {
    index: &'a FileIndex,
    /// The stretch that the plan's first source is.
    from: usize,
    reader: &'r Mutex<Reader<'a>>,
    codes: StartCodes,
    /// Of the pictures read; see [`Prepared::alphas`].
    alphas: Mutex<BTreeMap<i64, Vec<u8>>>,
}

impl Elementary for Pictures<'_, '_> {
    fn picture(&self, place: Place) -> Result<Vec<u8>> {
        let number = self.index.number_of(self.from + place.source, place.unit);
        let packet = self.reader.lock().picture(number)?;
        if let Some(alpha) = packet.alpha() {
            let unit = &self.index.units(self.from + place.source)[place.unit];
            self.alphas.lock().insert(unit.pts, alpha.to_vec());
        }
        Ok(elementary(self.index, &self.codes, packet.data()))
    }

    fn sound(&self, _: usize, _: usize, _: usize) -> Result<Vec<u8>> {
        Err(Error::internal("the sound of files is not planned with their pictures"))
    }
}

/// A packet as elementary streams have it: units behind start codes.
pub fn elementary(index: &FileIndex, codes: &StartCodes, packet: &[u8]) -> Vec<u8> {
    match index.track().map(|it| it.codec) {
        Some(VideoCodec::H264 | VideoCodec::Hevc) => index.framing.byte_stream(codes, packet, |_| false),
        _ => packet.to_vec(),
    }
}

pub struct Maker<'a> {
    index: &'a FileIndex,
    reader: Mutex<Reader<'a>>,
    settings: &'a EdgeSettings,
    token: &'a Token,
    /// The ranges before.
    before: Before,
}

impl<'a> Maker<'a> {
    pub fn new(
        index: &'a FileIndex,
        reader: Reader<'a>,
        settings: &'a EdgeSettings,
        token: &'a Token,
    ) -> Self {
        Self { index, reader: Mutex::new(reader), settings, token, before: Before::default() }
    }

    /// Plans a range that begins at the output's tick `at`, and makes its edges.
    pub fn prepare(&mut self, span: Span, at: i64) -> Result<Prepared> {
        let index = self.index;
        let ticks = |micros: i64| index.first + TimeBase::MICROS.rescale(micros, TimeBase::MPEG);
        let (from, sources) = index.sources(ticks(span.start.micros()), ticks(span.end.micros()));
        let can_encode = index.track().is_some_and(|it| plan::can_encode(it.codec));
        let plan_at = index.clock.rescale(at, TimeBase::MPEG);
        let planned = |joins: &Joins| {
            if can_encode {
                plan_with(&sources, span, plan_at, (&[], SoundFit::Nearest), joins)
            } else {
                plan::plan_without_edges(&sources, span, plan_at)
            }
        };
        let (codes, alphas) = (StartCodes::default(), Mutex::default());
        let pictures = Pictures { index, from, reader: &self.reader, codes, alphas };
        let maker = RangeMaker {
            sources: &sources,
            elementary: &pictures,
            settings: self.settings,
            token: self.token,
            // Edges would wait for each other at the file.
            at_once: &|_, work| work(),
        };
        let made = maker.make(planned, &self.before).map_err(|error| match error.code {
            "no-content" => {
                Error::invalid("invalid-range", "range", "no picture of the file begins in the range")
            }
            "unsupported-source" if !can_encode => {
                let codec = index.codec_name();
                unsupported(format!(
                    "the range does not begin at a keyframe, and pictures of the codec {codec} cannot be encoded \
                     to fit; ask for --type copy, which reaches outward to keyframes, or --type full, which encodes all"
                ))
            }
            _ => error,
        })?;
        self.before = made.after;
        let plan = made.plan;
        let shift = plan.shifts.first().copied().unwrap_or(0);
        if plan.shifts.iter().any(|it| *it != shift) {
            return Err(unsupported("the clock of the file jumps inside the range"));
        }
        let pts = |place: Place| index.units(from + place.source).get(place.unit).map_or(0, |it| it.pts);
        let (start, last) = (pts(plan.first), pts(plan.last));
        let end = self.end_of(from, sources.len(), last);
        let (mut parts, mut whole_bytes) = (Vec::new(), 0);
        for (part, mut samples) in made.parts {
            match part {
                plan::Part::Whole { source } => {
                    let units = index.units(from + source).iter();
                    whole_bytes += units.map(|it| u64::from(it.size)).sum::<u64>();
                    parts.push(Part::Whole(from + source));
                }
                plan::Part::Edge { .. } => {
                    samples.iter_mut().for_each(|it| it.pts -= shift);
                    parts.push(Part::Made(samples));
                }
            }
        }
        let mut range = Prepared {
            parts,
            start,
            end,
            last,
            at,
            end_at: at,
            copied: plan.copied,
            encoded: plan.encoded,
            whole_bytes,
            alphas: pictures.alphas.into_inner(),
        };
        range.end_at = range.place(index.clock, end);
        Ok(range)
    }

    /// Where the picture shown at `last` ends: where the next one starts, or after the usual time.
    fn end_of(&self, from: usize, count: usize, last: i64) -> i64 {
        let near = (from..from + count).flat_map(|segment| self.index.units(segment));
        let later = near.filter(|it| !it.second_field && it.pts > last).map(|it| it.pts);
        later.min().filter(|_| last < self.index.last).unwrap_or(self.index.end.max(last + 1))
    }
}
