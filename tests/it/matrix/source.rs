//! A source of the matrix, made and judged once, and what a cut of it has to hold.

use super::verdict::{Click, Heard, Verdict, judge};
use moviola::archive::{Archive, Limits, SegmentKind};
use moviola::base::metrics::Metrics;
use moviola::base::time::TimeBase;
use moviola::base::{Channel, Quality, Token};
use moviola::media::synthetic::{Pace, Recipe, clicks, segments};
use moviola::media::ts::{Pids, ProgramFacts, Rename};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

/// Ranges of pictures, by their numbers.
pub type Ranges = [Range<u64>];

/// GOPs wholly inside a range whose pictures have to be the source's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Whole,
    /// All but one that a range begins with, unless the range is the output's first.
    Counted,
    Nothing,
}

pub struct Source {
    pub recipe: Recipe,
    /// (start, duration in microseconds, bytes) of each segment.
    segments: Vec<(moviola::base::Timestamp, i64, Vec<u8>)>,
    /// Coded pictures from a keyframe to the next, by their numbers, as far as they are shown from the keyframe on.
    gops: Vec<BTreeSet<u64>>,
    /// Pictures coded after a keyframe and shown before it.
    pub leading: usize,
    hashes: Vec<String>,
    /// A segment is missing, and with it the packets of sound over its borders that it holds: silence there is up to a
    /// packet long.
    pub torn: bool,
    /// Ticks of 90 kHz of one packet of sound.
    sound_ticks: i64,
    /// Times are told in milliseconds.
    coarse: bool,
    /// How late its sound is, in ticks: what made it may have put the two out of step.
    late: f64,
}

/// What may be asked of a cut in its container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Times are told in milliseconds.
    pub coarse: bool,
    pub sound: Fit,
}

/// How exactly a container can say where sound begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// By packets.
    Packets,
    /// To the sample, but that FFmpeg plays the last packet to its end.
    Begin,
    /// To the sample.
    Both,
}

impl Form {
    pub fn of(extension: &str) -> Self {
        match extension {
            "ts" => Self { coarse: false, sound: Fit::Packets },
            "mp4" => Self { coarse: false, sound: Fit::Begin },
            _ => Self { coarse: true, sound: Fit::Both },
        }
    }
}

/// One millisecond in ticks of 90 kHz.
const MILLI: i64 = 90;

impl Source {
    /// Makes a source of segments and checks that it is what its recipe says.
    pub fn new(recipe: Recipe) -> Self {
        let mut made = Vec::new();
        segments(&recipe, &Token::root(), |segment| {
            made.push((segment.start, segment.duration, segment.bytes));
            Ok(())
        })
        .expect("a stream");
        let file = tempfile::NamedTempFile::with_suffix(".ts").expect("a file");
        let all: Vec<u8> = made.iter().flat_map(|(_, _, bytes)| bytes).copied().collect();
        std::fs::write(file.path(), all).expect("a source");
        Self { segments: made, ..Self::of_file(recipe, file.path(), Form::of("ts")) }
    }

    /// A source that is a file, checked likewise.
    pub fn of_file(recipe: Recipe, file: &Path, form: Form) -> Self {
        let verdict = judge(file);
        assert_eq!(verdict.numbers, (0..recipe.frames as u32).collect::<Vec<_>>(), "the source");
        assert_eq!(verdict.warnings, "", "the source");
        let (gops, leading) = gops(&recipe, &verdict, form.coarse);
        let source = Self {
            gops,
            leading,
            torn: false,
            hashes: verdict.hashes.iter().map(|(_, hash)| hash.clone()).collect(),
            sound_ticks: verdict.sounds[5].pts - verdict.sounds[4].pts,
            segments: Vec::new(),
            coarse: form.coarse,
            late: 0.0,
            recipe,
        };
        let late = source.lateness(&verdict);
        let source = Self { late, ..source };
        let all = 0..source.recipe.frames;
        // Nothing but the coder's delay tells where the sound of a source begins.
        let form = Form { sound: Fit::Packets, ..form };
        let faults = source.faults(std::slice::from_ref(&all), &verdict, Kept::Whole, form);
        assert!(faults.is_empty(), "the source itself: {faults:?}");
        source
    }

    /// How late the clicks of the source itself are, in the middle.
    fn lateness(&self, verdict: &Verdict) -> f64 {
        let first = verdict.pictures.iter().map(|it| it.pts).min().expect("pictures") as f64;
        let off = |(ticks, up): (f64, bool)| {
            let same = verdict.clicks.iter().filter(|click| click.up == up);
            same.map(|click| click.at - first - ticks).min_by(|a, b| a.abs().total_cmp(&b.abs()))
        };
        let mut all: Vec<f64> = self.ideal_clicks().filter_map(off).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    }

    /// When a picture is shown, in microseconds from the first.
    pub fn micros(&self, number: u64) -> i64 {
        let micros = self.recipe.pace.micros(number);
        if self.coarse { (micros + 500).div_euclid(1000) * 1000 } else { micros }
    }

    /// Puts the segments there, but `missing`.
    pub fn fill(&self, root: &Path, missing: Option<usize>) {
        let archive = Archive::open(root, Limits::default(), Metrics::new()).expect("an archive");
        let (channel, quality) =
            (Channel::new("chan").expect("a name"), Quality::new("matrix").expect("a name"));
        let there = self.segments.iter().enumerate().filter(|(number, _)| Some(*number) != missing);
        for (_, (start, duration, bytes)) in there {
            let mut writer = archive.create_segment(&channel, &quality, *start).expect("a segment");
            writer.write(bytes).expect("a segment");
            writer.finish(*duration, SegmentKind::Full).expect("a segment");
        }
    }

    /// Sends the segments from number `from` on under other PIDs, as a source does that was started again otherwise.
    pub fn move_pids(&mut self, from: usize) {
        for (_, _, bytes) in self.segments.iter_mut().skip(from) {
            let mut program = ProgramFacts::of(bytes).expect("a program");
            let of = |it: &ProgramFacts| Pids {
                pmt: it.pmt_pid,
                pcr: it.pcr_pid,
                streams: it.streams.iter().map(|it| it.pid).collect(),
            };
            let old = of(&program);
            // The pictures under what was the PID of the sound.
            for (number, stream) in program.streams.iter_mut().enumerate() {
                stream.pid = old.streams[old.streams.len() - 1] + number as u16;
            }
            (program.pmt_pid, program.pcr_pid) = (old.pmt + 7, program.streams[0].pid);
            let rename = Rename::new(&old, &of(&program), &program).expect("as many streams");
            rename.apply(bytes);
        }
    }

    /// Numbers of the keyframes.
    pub fn keys(&self) -> Vec<u64> {
        self.gops.iter().filter_map(|gop| gop.first().copied()).collect()
    }

    /// Numbers of a segment's pictures.
    pub fn pictures(&self, segment: usize) -> Range<u64> {
        let recipe = &self.recipe;
        let (start, duration, _) = self.segments[segment];
        let first = |micros: i64| {
            (0..recipe.frames)
                .find(|number| recipe.pace.micros(*number) > micros - 500)
                .unwrap_or(recipe.frames)
        };
        first(start - recipe.start)..first(start - recipe.start + duration)
    }

    /// From the keyframe at or before the start of a span to that at or after its end.
    pub fn outward(&self, span: &Range<u64>) -> Range<u64> {
        let keys = self.keys();
        let start = keys.iter().rev().find(|key| **key <= span.start).expect("the first picture is one");
        *start..*keys.iter().find(|key| **key >= span.end).unwrap_or(&self.recipe.frames)
    }

    /// When a picture is shown, in ticks of 90 kHz from the first.
    fn ticks(&self, number: u64) -> i64 {
        let pace = &self.recipe.pace;
        pace.base().rescale(pace.ticks(number), TimeBase::MPEG)
    }

    /// All that is wrong with a cut of `ranges`.
    pub fn faults(&self, ranges: &Ranges, cut: &Verdict, kept: Kept, form: Form) -> Vec<String> {
        let mut faults = Vec::new();
        let wanted: Vec<u32> = ranges.iter().flat_map(|it| it.start as u32..it.end as u32).collect();
        if cut.numbers != wanted {
            faults.push(difference(&wanted, &cut.numbers));
        }
        if cut.hashes.len() == wanted.len() && kept != Kept::Nothing {
            self.compare(ranges, &cut.hashes, kept, &mut faults);
        }
        let sent: Vec<i64> = cut.pictures.iter().filter_map(|it| it.dts).collect();
        if sent.windows(2).any(|pair| pair[0] >= pair[1]) {
            faults.push("DTS do not rise".into());
        }
        if let Some(packet) = cut.pictures.iter().find(|it| it.dts.is_some_and(|dts| dts > it.pts)) {
            faults.push(format!("DTS {:?} after PTS {}", packet.dts, packet.pts));
        }
        let starts = self.times(ranges, cut, form, &mut faults);
        if !starts.is_empty() {
            match form.sound {
                Fit::Packets => self.listen_for_packets(ranges, &starts, cut, &mut faults),
                fit => self.listen_for_samples(ranges, &starts, cut, fit, &mut faults),
            }
            let tolerance = match form.sound {
                // Sound is taken over packet by packet; half a millisecond is given to what the coder makes of a click.
                Fit::Packets => (self.sound_ticks / 2 + 1) as f64 + 45.0,
                Fit::Begin | Fit::Both => {
                    MILLI as f64 * (1.0 + f64::from(u8::from(self.coarse) + u8::from(form.coarse)) / 2.0)
                }
            };
            self.listen_for_clicks(ranges, &starts, cut, (form, tolerance), &mut faults);
        }
        if !cut.warnings.is_empty() {
            let text: String = cut.warnings.chars().take(300).collect();
            faults.push(format!("the decoder says: {text}"));
        }
        faults
    }

    /// Pictures of GOPs wholly inside a range have to be those of the source.
    fn compare(&self, ranges: &Ranges, hashes: &[(i64, String)], kept: Kept, faults: &mut Vec<String>) {
        let mut at = 0;
        for range in ranges {
            for gop in &self.gops {
                let begins = kept == Kept::Counted && at > 0 && gop.first() == Some(&range.start);
                if begins || gop.iter().any(|number| !range.contains(number)) {
                    continue;
                }
                let changed: Vec<u64> = gop
                    .iter()
                    .copied()
                    .filter(|number| {
                        hashes[at + (number - range.start) as usize].1 != self.hashes[*number as usize]
                    })
                    .collect();
                if let (Some(first), Some(last)) = (changed.first(), changed.last()) {
                    let (count, all) = (changed.len(), gop.len());
                    faults
                        .push(format!("{count} of {all} pictures of a whole GOP changed, {first} to {last}"));
                }
            }
            at += (range.end - range.start) as usize;
        }
    }

    /// Checks the times of the pictures and gives where each range starts and the last one ends.
    fn times(&self, ranges: &Ranges, cut: &Verdict, form: Form, faults: &mut Vec<String>) -> Vec<i64> {
        let mut shown: Vec<i64> = cut.pictures.iter().map(|packet| packet.pts).collect();
        shown.sort_unstable();
        let tolerance = (i64::from(self.coarse) + i64::from(form.coarse)) * MILLI;
        let mut at = shown.first().copied().unwrap_or(0);
        let (mut rest, mut starts) = (&shown[..], Vec::new());
        for range in ranges {
            // Where times are rounded, what a range is late the next one is later.
            if let Some(first) = rest.first().filter(|it| (*it - at).abs() <= tolerance) {
                at = *first;
            }
            starts.push(at);
            for number in range.clone() {
                let expected = at + self.ticks(number) - self.ticks(range.start);
                let Some((got, later)) = rest.split_first() else {
                    faults.push(format!("only {} coded pictures", shown.len()));
                    return Vec::new();
                };
                if (got - expected).abs() > tolerance {
                    let place = shown.len() - rest.len();
                    faults.push(format!("PTS of picture {place} is {} off", got - expected));
                    return Vec::new();
                }
                rest = later;
            }
            at += self.ticks(range.end) - self.ticks(range.start);
        }
        if !rest.is_empty() {
            faults.push(format!("{} coded pictures too many", rest.len()));
            return Vec::new();
        }
        starts.push(at);
        starts
    }

    /// Checks where the sound is: at both ends and packet by packet.
    fn listen_for_packets(&self, ranges: &Ranges, starts: &[i64], cut: &Verdict, faults: &mut Vec<String>) {
        // Sound is taken over packet by packet; one tick is lost in rounding.
        let rounding = if self.coarse { MILLI } else { 1 };
        let half = self.sound_ticks / 2 + rounding;
        let (Some(first), Some(last)) = (cut.sounds.first(), cut.sounds.last()) else {
            return faults.push("no sound".into());
        };
        let end = starts[starts.len() - 1];
        // Of pictures that are shorter together than a packet, a stream holds one packet that reaches over them, since
        // none at all is no stream: it says where it is, and covers more of them than any other.
        if end - starts[0] < self.sound_ticks && cut.sounds.len() == 1 {
            let (from, to) = (first.pts.max(starts[0]), (first.pts + self.sound_ticks).min(end));
            if to - from < (end - starts[0]) / 2 - 1 {
                faults.push(format!("the only sound is {} ticks from the pictures", first.pts - starts[0]));
            }
            return;
        }
        // A coder's priming lies before the first picture of a stream.
        let primed = ranges[0].start == 0 && (first.pts - starts[0] + self.sound_ticks).abs() <= half;
        if (first.pts - starts[0]).abs() > half && !primed {
            faults.push(format!("the sound starts {} ticks off", first.pts - starts[0]));
        }
        // The end of a stream cuts its last packet short.
        let ends = last.pts + self.sound_ticks - end;
        if ends.abs() > half && !(ranges[ranges.len() - 1].end == self.recipe.frames && ends > 0) {
            faults.push(format!("the sound ends {ends} ticks off"));
        }
        for pair in cut.sounds.windows(2) {
            let off = pair[1].pts - pair[0].pts - self.sound_ticks;
            if off.abs() > if self.torn { self.sound_ticks } else { half } {
                faults.push(format!("the sound jumps by {off} ticks at {}", pair[1].pts - starts[0]));
                break;
            }
        }
    }

    /// Checks that sound is heard from the first picture on to the end of the last, to the millisecond, without a gap of
    /// more than half a packet.
    fn listen_for_samples(
        &self,
        ranges: &Ranges,
        starts: &[i64],
        cut: &Verdict,
        fit: Fit,
        faults: &mut Vec<String>,
    ) {
        let ticks = |samples: i64| samples * 90 / 48;
        let end_of = |it: &Heard| ticks(it.at + it.samples as i64);
        let (Some(first), Some(last)) = (cut.heard.first(), cut.heard.last()) else {
            return faults.push("no sound is heard".into());
        };
        // FFmpeg's parser of AC-3 loses what Matroska says about a packet, or gives it to the one before; and what MP4's
        // first edit says that is shorter than a packet.
        let short = ranges.first().is_some_and(|it| it.end - it.start <= 1);
        let parsed = (fit == Fit::Both || short) && matches!(&*self.recipe.sound.codec, "ac3" | "eac3");
        let begins = ticks(first.at) - starts[0];
        if begins.abs() > MILLI + if parsed { self.sound_ticks } else { 0 } {
            faults.push(format!("the sound is heard {begins} ticks off at the start"));
        }
        let over = end_of(last) - starts[starts.len() - 1];
        // Two times of whole milliseconds are compared: both ends of the pictures, and the last packet's.
        let allowed = if fit == Fit::Both && !parsed { 2 * MILLI } else { self.sound_ticks + MILLI };
        let least = MILLI + if parsed { self.sound_ticks } else { 0 };
        // How long the last picture of a stream of uneven pace is shown, nobody knows.
        let ends = ranges.last().is_some_and(|it| it.end == self.recipe.frames);
        let open = ends && matches!(self.recipe.pace, Pace::Uneven(_));
        // Of the end of its sound a coder may keep something to itself.
        let least = least + if ends { self.sound_ticks / 2 } else { 0 };
        if !open && (over < -least || over > allowed) {
            faults.push(format!("the sound is heard {over} ticks over at the end"));
        }
        // MP4 goes from one range to the next between two frames, and makes good at a join what it lacked at the one before.
        let jump = if parsed || fit == Fit::Begin { self.sound_ticks } else { self.sound_ticks / 2 };
        for pair in cut.heard.windows(2) {
            let off = ticks(pair[1].at) - end_of(&pair[0]);
            if off.abs() > jump + MILLI {
                faults
                    .push(format!("what is heard jumps by {off} ticks at {}", ticks(pair[1].at) - starts[0]));
                break;
            }
        }
    }

    /// Checks each click: in its place, and none where none belongs.
    fn listen_for_clicks(
        &self,
        ranges: &Ranges,
        starts: &[i64],
        cut: &Verdict,
        (form, tolerance): (Form, f64),
        faults: &mut Vec<String>,
    ) {
        let mut unexplained: Vec<Click> = cut.clicks.clone();
        for (number, (range, start)) in ranges.iter().zip(starts).enumerate() {
            let (from, to) = (self.ticks(range.start) as f64, self.ticks(range.end) as f64);
            let margin = self.sound_ticks as f64 * 1.5;
            // Where nothing can be hidden, which is behind joins in cuts of single files too, layer III begins with frames whose
            // bytes lie in those before (ISO/IEC 11172-3 §2.4.2.7): two of 128 kbit/s, and the one whose window they share.
            let unhidden = form.sound == Fit::Packets || number > 0 && self.segments.is_empty();
            let deaf = if unhidden && self.recipe.sound.codec == "libmp3lame" { 3.5 } else { 1.5 };
            let deaf = self.sound_ticks as f64 * deaf;
            for (ticks, up) in self.ideal_clicks() {
                if ticks < from - margin || ticks > to + margin {
                    continue;
                }
                let ideal = *start as f64 + ticks - from + self.late;
                let heard = cut
                    .clicks
                    .iter()
                    .filter(|click| click.up == up)
                    .map(|click| click.at - ideal)
                    .min_by(|a, b| a.abs().total_cmp(&b.abs()));
                let inner = ticks > from + deaf && ticks < to - margin;
                if inner && heard.is_none_or(|off| off.abs() > tolerance) {
                    let off = heard.unwrap_or(f64::NAN);
                    faults.push(format!("a click at {ticks} of the source is {off:.0} ticks off"));
                    return;
                }
                // Half of the first packet's window is the packet's before, which is not there: a click in it comes back
                // mirrored too, weaker and of the other sign (aliasing in time, ISO/IEC 14496-3 §4.6.11, ETSI TS 102 366).
                let reach = (self.sound_ticks + self.sound_ticks / 2 + 1) as f64;
                let echo = |click: &Click| (click.at - *start as f64).abs() < reach;
                unexplained
                    .retain(|click| click.up != up && !echo(click) || (click.at - ideal).abs() > margin);
            }
        }
        if let Some(click) = unexplained.first() {
            let at = click.at - starts[0] as f64;
            faults.push(format!("a click is heard at {at:.0} where none belongs"));
        }
    }

    /// Every click of the source, in ticks from the first picture.
    fn ideal_clicks(&self) -> impl Iterator<Item = (f64, bool)> {
        let pairs = self.ticks(self.recipe.frames) as u64 * 48 / 90 / clicks::PERIOD + 1;
        (0..pairs).flat_map(|pair| {
            let up = pair * clicks::PERIOD;
            [(up, true), (up + clicks::gap(pair), false)].map(|(at, up)| (at as f64 * 90.0 / 48.0, up))
        })
    }
}

/// The GOPs of the source without their leading pictures, and how many of those there are.
fn gops(recipe: &Recipe, verdict: &Verdict, coarse: bool) -> (Vec<BTreeSet<u64>>, usize) {
    let first = verdict.pictures.iter().map(|packet| packet.pts).min().expect("pictures");
    let mut gops: Vec<BTreeSet<u64>> = Vec::new();
    let (mut key, mut leading) = (0, 0);
    for packet in &verdict.pictures {
        // The clock of the pace has coarser ticks than the container, or the same.
        let rounded = if coarse { MILLI } else { 0 };
        let at = TimeBase::MPEG.rescale(packet.pts - first + rounded, recipe.pace.base());
        let number = recipe.pace.number(at);
        if packet.key {
            gops.push(BTreeSet::new());
            key = number;
        }
        match gops.last_mut() {
            Some(gop) if number >= key => drop(gop.insert(number)),
            _ => leading += 1,
        }
    }
    (gops, leading)
}

/// How a list of frames differs from the one wanted, in few words.
fn difference(wanted: &[u32], got: &[u32]) -> String {
    let count = |list: &[u32]| {
        let mut counts = BTreeMap::<u32, i64>::new();
        list.iter().for_each(|number| *counts.entry(*number).or_default() += 1);
        counts
    };
    let (wants, gets) = (count(wanted), count(got));
    let short = |a: &BTreeMap<u32, i64>, b: &BTreeMap<u32, i64>| -> Vec<u32> {
        let missing =
            |(number, times): (&u32, &i64)| (b.get(number).unwrap_or(&0) < times).then_some(*number);
        a.iter().filter_map(missing).take(12).collect()
    };
    let (missing, extra) = (short(&wants, &gets), short(&gets, &wants));
    let first = wanted.iter().zip(got).position(|(a, b)| a != b);
    format!(
        "{} pictures instead of {}, missing {missing:?}, too many {extra:?}, first difference at {first:?}",
        got.len(),
        wanted.len()
    )
}
