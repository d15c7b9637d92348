//! The exactness of smart cuts over many kinds of sources: random spans and the nasty ones, each judged by what is in
//! the cut. `make test` makes a few cuts a source, `make matrix` fifty. From the environment: MOVIOLA_MATRIX_CUTS,
//! MOVIOLA_MATRIX_SEED, MOVIOLA_MATRIX_KEEP, a folder for the cuts that are wrong, and MOVIOLA_MATRIX_JUDGE, a program
//! that is asked about each cut too (scripts/judge.py).

mod archived;
mod files;
pub mod kinds;
mod source;
mod verdict;

use crate::judge;
use crate::media::Random;
use source::{Form, Kept, Ranges, Source};
use std::ops::Range;
use std::path::Path;
use tempfile::NamedTempFile;
use verdict::Verdict;

/// Random cuts a source; the environment may ask for more. From 20 on the run is a full one: every nasty span, and
/// everything kept in one to twenty pieces.
const CUTS: u64 = 1;
const FULL: u64 = 20;
/// Nasty spans a source in a short run.
const NASTY: usize = 1;

pub fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Every nasty span and all the pieces are tried, of longer sources.
fn is_full() -> bool {
    variable("MOVIOLA_MATRIX_CUTS", CUTS) >= FULL
}

/// What keyframes mean in a kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gops {
    /// Nothing reaches back over a keyframe.
    Closed,
    /// Leading pictures do.
    Open,
    /// They do, and pictures behind go on with numbers from before the keyframe (H.264's recovery points): copying
    /// begins at one behind pictures that are encoded to suit it. Where a range begins with one and is not the output's
    /// first, there are none of its own, and its first GOP is encoded; the pictures have to be right all the same.
    OpenCounted,
    /// There is no keyframe but the first, only points from which a decoder recovers: all may be encoded.
    Refreshed,
}

/// Spans in microseconds from the first picture.
type Spans = [(i64, i64)];

/// A cut that was made.
struct Made {
    file: NamedTempFile,
    /// The extension of its container.
    extension: &'static str,
    /// How many pictures it is said to hold.
    frames: u64,
}

/// What makes cuts of a source.
trait Cutter {
    /// Cuts, or tells why not.
    fn cut(&mut self, spans: &Spans) -> Result<Made, String>;

    /// What was cut last, for people.
    fn call(&self, spans: &Spans) -> String;

    /// What a receipt says of a cut, where there is one.
    fn receipt(&self, _: &Spans) -> Option<serde_json::Value> {
        None
    }
}

/// A source with what cuts it, and the numbers of a run.
struct Matrix {
    name: &'static str,
    gops: Gops,
    source: Source,
    cutter: Box<dyn Cutter>,
    random: Random,
    seed: u64,
    faults: Vec<String>,
}

impl Matrix {
    fn new(name: &'static str, source: Source, gops: Gops, cutter: Box<dyn Cutter>) -> Self {
        match gops {
            Gops::Closed => assert_eq!(source.leading, 0),
            Gops::Open | Gops::OpenCounted => assert!(source.leading > 0),
            Gops::Refreshed => {}
        }
        let seed = variable("MOVIOLA_MATRIX_SEED", 1);
        // A sequence of its own for each source.
        let mixed = name.bytes().fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        Self { name, gops, source, cutter, random: Random(mixed), seed, faults: Vec::new() }
    }

    /// The frames of a random span: its ends are random times, so that the rule for times between frames counts too.
    fn random_span(&mut self) -> ((i64, i64), Range<u64>) {
        let frames = self.source.recipe.frames;
        let all = self.source.micros(frames);
        loop {
            let (a, b) = (self.random.below(all), self.random.below(all));
            let (from, to) = (a.min(b), a.max(b));
            // The first frame from a boundary on; half a millisecond is forgiven.
            let first = |micros: i64| {
                let after = |number: &u64| self.source.micros(*number) > micros - 500;
                (0..frames).find(after).unwrap_or(frames)
            };
            // Times within rounding of that half millisecond are nobody's business here.
            let clear = |micros: i64| first(micros - 12) == first(micros + 12);
            let found = first(from)..first(to);
            if found.start < found.end && clear(from) && clear(to) {
                return ((from, to), found);
            }
        }
    }

    fn kept(&self) -> Kept {
        match self.gops {
            Gops::Closed | Gops::Open => Kept::Whole,
            Gops::OpenCounted => Kept::Counted,
            Gops::Refreshed => Kept::Nothing,
        }
    }

    /// Spans that begin and end exactly with frames.
    fn exact(&self, ranges: &Ranges) -> Vec<(i64, i64)> {
        let time = |number| self.source.micros(number);
        ranges.iter().map(|it| (time(it.start), time(it.end))).collect()
    }

    /// One frame; around keyframes; the ends; inside one GOP; from keyframe to keyframe.
    fn nasty(&mut self) -> Vec<Range<u64>> {
        let frames = self.source.recipe.frames;
        let keys: Vec<u64> = self.source.keys().into_iter().filter(|key| *key > 0).collect();
        let some = self.random.below(frames as i64) as u64;
        let mut spans = vec![some..some + 1, 0..1, frames - 1..frames, 0..frames];
        // Two keyframes that follow each other, away from the ends.
        if let Some([before, key]) = keys.windows(2).nth(keys.len() / 3).and_then(|pair| pair.first_chunk()) {
            let (before, key) = (*before, *key);
            let inside = (before + key) / 2;
            spans.extend([
                key - 1..key,
                key..key + 1,
                key - 1..key + 1,
                key - 1..key + 6,
                before + 3..key - 3,
                inside..key,
                inside..key + 1,
                before..key,
                before + 1..frames,
                0..before + 2,
            ]);
        }
        spans
    }

    /// Makes a cut and notes everything wrong with it.
    fn cut(&mut self, spans: &Spans, ranges: &Ranges) {
        let mut faults = Vec::new();
        match self.cutter.cut(spans) {
            Ok(Made { file, extension, frames }) => {
                let verdict = verdict::judge(file.path());
                let form = Form::of(extension);
                faults = self.source.faults(ranges, &verdict, self.kept(), form);
                let wanted: u64 = ranges.iter().map(|it| it.end - it.start).sum();
                if frames != wanted {
                    faults.push(format!("{frames} frames are counted"));
                }
                if faults.is_empty() && self.gops != Gops::Refreshed {
                    self.seek(file.path(), &verdict, &mut faults);
                }
                if let Some(program) = std::env::var_os("MOVIOLA_MATRIX_JUDGE") {
                    faults.extend(verdict::second_opinion(&program, file.path(), wanted));
                }
                if let Some(folder) = std::env::var_os("MOVIOLA_MATRIX_KEEP").filter(|_| !faults.is_empty()) {
                    let name = format!("{}-{}.{extension}", self.name, self.faults.len());
                    std::fs::copy(file.path(), Path::new(&folder).join(name)).expect("a copy");
                }
            }
            Err(why) => faults.push(why),
        }
        if !faults.is_empty() {
            let shown = &ranges[..ranges.len().min(6)];
            let (name, seed, call) = (self.name, self.seed, self.cutter.call(spans));
            let fault = format!("{name}, seed {seed}, frames {shown:?}: {}\n    {call}", faults.join("; "));
            // A full run takes a while.
            println!("{fault}");
            self.faults.push(fault);
        }
    }

    /// After a seek, pictures are those that play at their times, from the first keyframe on: what FFmpeg shows of a
    /// transport stream before that is decoded without its references, in the source as in a cut.
    fn seek(&mut self, file: &Path, verdict: &Verdict, faults: &mut Vec<String>) {
        let (Some(first), Some(last)) = (verdict.hashes.first(), verdict.hashes.last()) else { return };
        let to = first.0 + self.random.below(last.0 - first.0 + 1);
        // A keyframe with little behind it is not shown after a seek into the GOP before, in any H.264 of x264's: FFmpeg
        // reaches its end before it has sorted it out.
        let behind = verdict.pictures.len().saturating_sub(8);
        let early = verdict.pictures[..behind].iter();
        let Some(key) = early.filter(|it| it.key && it.pts >= to).map(|it| it.pts).min() else { return };
        // FFmpeg leaves out what it believes to be before the time asked for, to the microsecond.
        let before = verdict.pictures.iter().filter(|it| (to..key).contains(&it.pts)).count();
        let found = verdict::after_seek(file, verdict.start, to - 1, before + 60);
        // Pictures without their references can be shown out of order; FFmpeg then takes the DTS for the times of all behind.
        if found.windows(2).any(|pair| pair[1].0 <= pair[0].0 && pair[1].0 < key) {
            return;
        }
        let mut shown = found.iter().filter(|it| it.0 >= key).peekable();
        if shown.peek().is_none_or(|it| it.0 != key) {
            faults.push(format!("a seek to {} misses the keyframe at {}", to - first.0, key - first.0));
        }
        if let Some((pts, _)) = shown.find(|it| !verdict.hashes.contains(it)) {
            let (to, at) = (to - first.0, pts - first.0);
            faults.push(format!("after a seek to {to} another picture is shown at {at}"));
        }
    }

    /// Everything, in `count` pieces.
    fn pieces(&mut self, count: u64) -> Vec<Range<u64>> {
        let frames = self.source.recipe.frames;
        let mut borders: Vec<u64> =
            (1..count).map(|_| 1 + self.random.below(frames as i64 - 1) as u64).collect();
        borders.extend([0, frames]);
        borders.sort_unstable();
        borders.dedup();
        borders.windows(2).map(|pair| pair[0]..pair[1]).collect()
    }

    /// Pieces from anywhere, in any order, overlapping, each of half a second to two.
    fn medley(&mut self, count: u64) -> Vec<Range<u64>> {
        let frames = self.source.recipe.frames;
        let mut piece = || {
            let length = 15 + self.random.below(45) as u64;
            let from = self.random.below((frames - length) as i64) as u64;
            from..from + length
        };
        (0..count).map(|_| piece()).collect()
    }

    fn run(mut self) {
        let cuts = variable("MOVIOLA_MATRIX_CUTS", CUTS);
        let full = is_full();
        for _ in 0..cuts {
            let (span, frames) = self.random_span();
            self.cut(&[span], &[frames]);
        }
        let mut nasty = self.nasty();
        while !full && nasty.len() > NASTY {
            let out = self.random.below(nasty.len() as i64) as usize;
            nasty.swap_remove(out);
        }
        for span in nasty {
            self.cut(&self.exact(std::slice::from_ref(&span)), &[span]);
        }
        let counts: Vec<u64> = if full { (1..=20).collect() } else { vec![2 + self.random.below(19) as u64] };
        for count in counts {
            let pieces = self.pieces(count);
            self.cut(&self.exact(&pieces), &pieces);
        }
        if full {
            let medley = self.medley(51);
            self.cut(&self.exact(&medley), &medley);
        }
        self.finish();
    }

    fn finish(self) {
        assert!(self.faults.is_empty(), "{} cuts are wrong:\n{}", self.faults.len(), self.faults.join("\n"));
    }
}

macro_rules! kinds {
    ($($name:ident: $gops:ident,)*) => {$(
        #[test]
        fn $name() {
            if judge::ffmpeg().is_none() {
                return println!("skipped: there is no ffmpeg to judge");
            }
            archived::run(stringify!($name), kinds::$name(), Gops::$gops, &["ts"]);
        }
    )*};
}

kinds! {
    h264_closed: Closed,
    h264_open: OpenCounted,
    h264_open_pyramid: OpenCounted,
    h264_pyramid: Closed,
    h264_intra_refresh: Refreshed,
    h264_fake_interlaced: Closed,
    h264_422_ten_bits: Closed,
    h264_full_range: Closed,
    h264_no_b: Closed,
    h264_baseline: Closed,
    h264_wrap: Closed,
    h264_25: Closed,
    h264_2997: Closed,
    h264_60: Closed,
    h264_irregular: Closed,
    h264_unaligned: Closed,
    h264_mbaff_top: Closed,
    h264_mbaff_bottom: Closed,
    h264_uneven: Closed,
    hevc_closed: Closed,
    hevc_open: Open,
    hevc_ten_bits: Closed,
    mpeg2_open: Open,
    mpeg2_closed: Closed,
    mpeg2_interlaced: Open,
}
