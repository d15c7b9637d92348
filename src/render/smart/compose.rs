//! Composes a cut: what follows what, each part planned, and made where it goes into a file.

use super::assemble::{Assembler, Fill, Made, Whole};
use super::draw::{Drawn, Opened};
use super::program::{Seat, Told, told};
use super::receipt::{Hole, Receipt, Seen};
use super::{FIRST_AT, MAX_EDGE_BYTES, Reach, fit};
use crate::base::{Error, Result, Span, Token};
use crate::media::cut::edge::{Before, EdgeSettings, RangeMaker};
use crate::media::cut::filling::{self, Filling, Look, Stretch};
use crate::media::cut::mix::{self, Side, mix};
use crate::media::cut::plan::{Joins, MAX_ENCODED, Part, frame_ticks, plan, plan_aligned, plan_with, refuse};
use crate::media::cut::sequence::{self, Available, Item, Taken, sequence};
use crate::media::cut::sound::{Sound, SoundFit};
use crate::media::cut::{Container, Holes, Transition};
use crate::pool::Lane;
use crate::render::Render;
use crate::render::index::SegmentIndex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is composed.
pub(super) struct Score {
    pub drawn: Vec<Drawn>,
    /// Between each range and the next.
    pub transitions: Vec<Option<Transition>>,
    pub holes: Holes,
    pub reach: Reach,
    pub container: Container,
}

impl Score {
    /// Reaches outward to keyframes.
    pub fn widen(&mut self, render: &Render, token: &Token) -> Result<()> {
        let holes = self.holes;
        self.drawn.iter_mut().try_for_each(|range| range.widen(render, holes, token))
    }
}

/// Ranges whose indexes are held: the two sides of a transition.
const HELD: usize = 2;

pub(super) struct Composer<'a> {
    render: &'a Render,
    token: &'a Token,
    settings: EdgeSettings,
    score: Score,
    available: Vec<Available>,
    held: VecDeque<(usize, Arc<Vec<SegmentIndex>>)>,
    /// `None` plans, and makes nothing.
    file: Option<Box<dyn Assembler>>,
    /// Where the output has got to, in ticks of 90 kHz, and where its sound ends, by track.
    at: i64,
    sound_at: Vec<Option<i64>>,
    /// What is made so far.
    before: Before,
    /// The program that the output is told as: that of its first segment.
    told: Option<Told>,
    receipt: Receipt,
    /// Time spent on what is made.
    making: Duration,
}

/// A cut composed.
pub(super) struct Composed {
    pub receipt: Receipt,
    pub file: Option<Box<dyn Assembler>>,
    pub making: Duration,
}

/// Composes a cut into `file`; without one it is planned only.
pub(super) fn compose(
    render: &Render,
    score: Score,
    file: Option<Box<dyn Assembler>>,
    token: &Token,
) -> Result<Composed> {
    // Sound that is made has no frames of its source to run in from, which MP4 and Matroska would hide.
    let transport = score.container == Container::TransportStream;
    if !transport && score.transitions.iter().any(Option::is_some) {
        return Err(refuse("smart transitions are MPEG-TS"));
    }
    let mut composer = Composer {
        render,
        token,
        settings: render.edge_settings(),
        receipt: Receipt::new(score.holes, score.container),
        score,
        available: Vec::new(),
        held: VecDeque::new(),
        file,
        at: FIRST_AT,
        sound_at: Vec::new(),
        before: Before::default(),
        told: None,
        making: Duration::ZERO,
    };
    composer.survey()?;
    let lengths: Vec<Option<i64>> =
        composer.score.transitions.iter().map(|it| it.as_ref().map(|it| it.micros)).collect();
    for item in sequence(&composer.available, &lengths, composer.score.holes)? {
        composer.token.check()?;
        match item {
            Item::Range(taken) => composer.range(taken)?,
            Item::Hole { range, missing, run, after, pictures, ticks } => {
                composer.hole(Gap { range, missing, run, after, pictures, ticks })?;
            }
            Item::Mix { transition, left, right } => composer.mix(transition, left, right)?,
        }
        composer.check()?;
    }
    let Composer { receipt, file, making, .. } = composer;
    Ok(Composed { receipt, file, making })
}

/// A hole of a range; see [`Item::Hole`].
struct Gap {
    range: usize,
    missing: Span,
    run: usize,
    after: bool,
    pictures: u64,
    ticks: i64,
}

/// A run of a range with all that is needed to plan and to make it.
struct Scene {
    range: usize,
    run: std::ops::Range<usize>,
    indexes: Arc<Vec<SegmentIndex>>,
}

impl Scene {
    fn indexes(&self) -> &[SegmentIndex] {
        &self.indexes[self.run.clone()]
    }
}

impl Composer<'_> {
    /// Looks what there is of every range.
    fn survey(&mut self) -> Result<()> {
        let lengths = |at: Option<usize>| {
            let transition = at.and_then(|at| self.score.transitions.get(at)?.as_ref());
            transition.map_or(0, |it| it.micros)
        };
        let wanted: Vec<(i64, i64)> =
            (0..self.score.drawn.len()).map(|it| (lengths(it.checked_sub(1)), lengths(Some(it)))).collect();
        for (number, wanted) in wanted.into_iter().enumerate() {
            self.token.check()?;
            let holes = self.score.holes;
            let range = &mut self.score.drawn[number];
            range.reach = wanted;
            let indexes = range.indexes(self.render, holes, self.token)?;
            let altered = range.segments.iter().zip(&indexes).filter(|(_, index)| index.altered);
            for (segment, _) in altered.filter(|(it, _)| range.touches(it)) {
                self.receipt.altered(segment);
            }
            let mut runs = Vec::new();
            let all = range.sources(0..indexes.len(), &indexes);
            for run in range.runs() {
                runs.extend(sequence::run(&all, run, range.span, wanted)?);
            }
            if runs.is_empty() {
                return Err(super::super::no_content(range.span));
            }
            self.available.push(Available { span: range.span, runs });
            self.hold(number, Arc::new(indexes));
        }
        Ok(())
    }

    fn hold(&mut self, range: usize, indexes: Arc<Vec<SegmentIndex>>) {
        self.held.push_back((range, indexes));
        while self.held.len() > HELD {
            self.held.pop_front();
        }
    }

    fn scene(&mut self, range: usize, run: usize) -> Result<Scene> {
        let run = self.available[range].runs[run].sources.clone();
        let held = self.held.iter().find(|(number, _)| *number == range).map(|(_, it)| Arc::clone(it));
        let indexes = match held {
            Some(indexes) => indexes,
            None => {
                let holes = self.score.holes;
                let indexes = Arc::new(self.score.drawn[range].indexes(self.render, holes, self.token)?);
                self.hold(range, Arc::clone(&indexes));
                indexes
            }
        };
        if indexes.len() < run.end {
            return Err(super::file::changed());
        }
        Ok(Scene { range, run, indexes })
    }

    /// Refuses what would hold too much.
    fn check(&self) -> Result<()> {
        if self.receipt.cost.pictures_encoded > MAX_ENCODED {
            return Err(refuse("the source has too few keyframes to copy from"));
        }
        if self.file.as_ref().is_some_and(|file| file.held() > MAX_EDGE_BYTES) {
            return Err(refuse("the edges of the ranges hold more than 256 MiB"));
        }
        Ok(())
    }

    /// Pictures and sound of the source.
    fn range(&mut self, taken: Taken) -> Result<()> {
        let scene = self.scene(taken.range, taken.run)?;
        let range = &self.score.drawn[scene.range];
        let indexes = scene.indexes();
        let sources = range.sources(scene.run.clone(), indexes);
        let sound_fit = fit(self.score.container);
        let transport = self.score.container == Container::TransportStream;
        let planned = |joins: &Joins| match self.score.reach {
            Reach::Exact => plan_with(&sources, taken.span, self.at, (&self.sound_at, sound_fit), joins),
            Reach::Keyframes => plan_aligned(&sources, taken.span, self.at, &self.sound_at, sound_fit),
        };
        let seen = Seen { range, run: scene.run.start, sources: &sources };
        let plan = if let Some(file) = &mut self.file {
            let segments = &range.segments[scene.run.clone()];
            let opened = Opened::new(self.render, segments, indexes);
            // A range has an edge at either end: where a seat is idle, both are made at once.
            let seats = self.render.pool.seats(Lane::Interactive);
            let maker = RangeMaker {
                sources: &sources,
                elementary: &opened,
                settings: &self.settings,
                token: self.token,
                at_once: &|most, work| seats.with_idle(most, work),
            };
            let since = Instant::now();
            let made = maker.make(planned, &self.before)?;
            self.making += since.elapsed();
            file.range(indexes, &made.plan)?;
            let mut sounds: BTreeMap<usize, Vec<Sound>> = BTreeMap::new();
            for sound in &made.plan.sound {
                sounds.entry(sound.source).or_default().push(sound.clone());
            }
            for (part, samples) in made.parts {
                match part {
                    Part::Whole { source } => {
                        self.token.check()?;
                        let (segment, shift) = (&segments[source], made.plan.shifts[source]);
                        let sound = sounds.remove(&source).unwrap_or_default();
                        let index = match &indexes[source] {
                            // Whoever lists samples needs those of inner segments, too.
                            hollow if hollow.inner.is_some() && !transport => {
                                &self.render.index(segment, self.token)?
                            }
                            index => index,
                        };
                        let rename =
                            if transport { told(&mut self.told, &opened, source)?.rename } else { None };
                        file.whole(Whole { segment, index, shift, sound, rename })?;
                    }
                    Part::Edge { sources, .. } => {
                        let Seat { program, pids, .. } = told(&mut self.told, &opened, sources.start)?;
                        file.made(Made { pids, program, samples })?;
                    }
                }
            }
            let metrics = &self.render.metrics;
            metrics.media_encoded.with_label_values(&["cut"]).inc_by(made.plan.encoded);
            metrics.cut_joins.with_label_values(&["proved"]).inc_by(made.proved);
            metrics.cut_joins.with_label_values(&["refused"]).inc_by(made.refused);
            self.before = made.after;
            made.plan
        } else {
            planned(&Joins { opens_output: self.at == FIRST_AT, ..Joins::default() })?
        };
        self.receipt.doubtful_joins += plan.doubtful.len() as u64;
        self.receipt.content(taken.range, &seen, &plan);
        (self.at, self.sound_at) = (plan.end, plan.sound_ends);
        Ok(())
    }

    /// The end of one range and the start of the next seen together.
    fn mix(&mut self, transition: usize, left: Taken, right: Taken) -> Result<()> {
        let name =
            self.score.transitions.get(transition).and_then(|it| it.as_ref()).map(|it| it.name.clone());
        let name = name.ok_or_else(|| Error::internal("a transition without a name"))?;
        let scenes = [self.scene(left.range, left.run)?, self.scene(right.range, right.run)?];
        let ranges = scenes.each_ref().map(|it| &self.score.drawn[it.range]);
        let [left_sources, right_sources] =
            [0, 1].map(|it| ranges[it].sources(scenes[it].run.clone(), scenes[it].indexes()));
        let left_plan = plan(&left_sources, left.span, self.at, &self.sound_at, SoundFit::Nearest)?;
        let right_plan = plan(&right_sources, right.span, self.at, &self.sound_at, SoundFit::Nearest)?;
        let seen = [
            Seen { range: ranges[0], run: scenes[0].run.start, sources: &left_sources },
            Seen { range: ranges[1], run: scenes[1].run.start, sources: &right_sources },
        ];
        self.receipt.transition(left.range, &name, &seen, [&left_plan, &right_plan]);
        let (first, last) = (&scenes[0].indexes()[left_plan.first.source], right_plan.first.source);
        let stretch = Stretch {
            start: left_plan.start,
            end: left_plan.end,
            pictures: left.pictures,
            sound_at: self.sound_at.clone(),
        };
        let tracks = (&first.index.audio, &scenes[1].indexes()[last].index.audio);
        let sound_ends = mix::sound_ends(tracks.0, tracks.1, &stretch)?;
        if let Some(file) = &mut self.file {
            let since = Instant::now();
            let [left_open, right_open] = [0, 1].map(|it| {
                Opened::new(self.render, &ranges[it].segments[scenes[it].run.clone()], scenes[it].indexes())
            });
            let sides = [
                Side { sources: &left_sources, elementary: &left_open, span: left.span, plan: &left_plan },
                Side {
                    sources: &right_sources,
                    elementary: &right_open,
                    span: right.span,
                    plan: &right_plan,
                },
            ];
            let samples = mix(&name, &sides[0], &sides[1], &self.sound_at, &self.settings, self.token)?;
            let Seat { program, pids, .. } = told(&mut self.told, &left_open, left_plan.first.source)?;
            let pictures = samples.iter().filter(|it| it.track == 0);
            let count = pictures.clone().count();
            if let Some(last_dts) = pictures.map(|it| it.dts).max() {
                self.before = Before::encoded(last_dts, count);
            }
            file.made(Made { samples, program, pids })?;
            self.making += since.elapsed();
            self.render.metrics.media_encoded.with_label_values(&["cut"]).inc_by(left.pictures);
        }
        (self.at, self.sound_at) = (stretch.end, sound_ends);
        Ok(())
    }

    /// A hole, filled or passed over.
    fn hole(&mut self, gap: Gap) -> Result<()> {
        let stretch = Stretch {
            start: self.at,
            end: self.at + gap.ticks,
            pictures: gap.pictures,
            sound_at: self.sound_at.clone(),
        };
        let scene = self.scene(gap.range, gap.run)?;
        let range = &self.score.drawn[scene.range];
        let indexes = scene.indexes();
        let sources = range.sources(scene.run.clone(), indexes);
        let place = sequence::outermost(&sources, range.span, gap.after)
            .ok_or_else(|| Error::internal("a hole beside nothing"))?;
        let source = &indexes[place.source].index;
        let group = filling::group(source.video.as_ref().map_or(0, frame_ticks), gap.pictures);
        let hole =
            Hole { missing: gap.missing, output: (stretch.start, stretch.end), frames: gap.pictures, group };
        let seen = Seen { range, run: scene.run.start, sources: &sources };
        self.receipt.hole(gap.range, &seen, place, &hole);
        let look = match self.score.holes {
            Holes::Freeze => Look::Freeze,
            Holes::Black => Look::Black,
            Holes::Refuse | Holes::Skip => return Ok(()),
        };
        if gap.pictures == 0 {
            return Ok(());
        }
        if self.score.container != Container::TransportStream {
            return Err(refuse("smart fillings of holes are MPEG-TS"));
        }
        if self.score.reach == Reach::Keyframes {
            return Err(Error::internal("a filling in a cut that encodes nothing"));
        }
        self.at = stretch.end;
        self.sound_at = filling::sound_ends(&source.audio, &stretch);
        if let Some(file) = &mut self.file {
            let since = Instant::now();
            let opened = Opened::new(self.render, &range.segments[scene.run.clone()], indexes);
            let wanted = (look, gap.pictures);
            let filling = Filling::new(&sources, place, wanted, &opened, &self.settings, self.token)?;
            let Seat { program, pids, .. } = told(&mut self.told, &opened, place.source)?;
            let last_group = (gap.pictures - 1) % group.max(1) + 1;
            self.before = Before::encoded(filling.last_dts(&stretch), last_group as usize);
            file.fill(Arc::new(Fill { filling, stretch, program, pids }))?;
            self.making += since.elapsed();
        }
        Ok(())
    }
}
