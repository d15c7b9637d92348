//! Sources as segments of an archive, cut over HTTP.

use super::kinds;
use super::source::{Ranges, Source};
use super::{Cutter, Gops, Made, Matrix, Spans, is_full};
use crate::client::Server;
use crate::judge;
use moviola::base::Timestamp;
use moviola::media::synthetic::Recipe;
use std::ops::Range;

struct Archived {
    server: Server,
    start: Timestamp,
    /// The containers cuts are asked for in, in turn, and whose turn it is.
    extensions: &'static [&'static str],
    /// What is asked for beside the ranges.
    kind: &'static str,
    turn: usize,
}

/// Judges cuts of one source.
pub fn run(name: &'static str, recipe: Recipe, gops: Gops, extensions: &'static [&'static str]) {
    matrix(name, recipe, gops, extensions, ("type=smart", None)).run();
}

/// Cuts of one kind, of an archive in which one segment may be missing.
fn matrix(
    name: &'static str,
    recipe: Recipe,
    gops: Gops,
    extensions: &'static [&'static str],
    (kind, missing): (&'static str, Option<usize>),
) -> Matrix {
    let mut source = Source::new(recipe);
    source.torn = missing.is_some();
    served(name, source, gops, extensions, (kind, missing))
}

fn served(
    name: &'static str,
    source: Source,
    gops: Gops,
    extensions: &'static [&'static str],
    (kind, missing): (&'static str, Option<usize>),
) -> Matrix {
    let server = Server::start(|root| source.fill(root, missing));
    let cutter = Archived { server, start: source.recipe.start, extensions, kind, turn: 0 };
    Matrix::new(name, source, gops, Box::new(cutter))
}

impl Archived {
    fn extension(&self) -> &'static str {
        self.extensions[self.turn % self.extensions.len()]
    }
}

impl Cutter for Archived {
    fn cut(&mut self, spans: &Spans) -> Result<Made, String> {
        self.turn += 1;
        let answer = self.server.get(&self.call(spans));
        if answer.status != 200 {
            return Err(format!("status {}: {}", answer.status, String::from_utf8_lossy(&answer.body)));
        }
        let extension = self.extension();
        let file = tempfile::NamedTempFile::with_suffix(format!(".{extension}")).expect("a file");
        std::fs::write(file.path(), &answer.body).expect("a cut");
        let said = answer.header("moviola-frames");
        let frames = said.parse().map_err(|_| format!("the header counts {said:?} frames"))?;
        Ok(Made { file, extension, frames })
    }

    fn call(&self, spans: &Spans) -> String {
        let ranges =
            spans.iter().map(|(from, to)| format!("&range={},{}", self.start + *from, self.start + *to));
        format!("/cut/chan/matrix.{}?{}{}", self.extension(), self.kind, ranges.collect::<String>())
    }

    fn receipt(&self, spans: &Spans) -> Option<serde_json::Value> {
        Some(self.server.get(&format!("{}&receipt=true", self.call(spans))).json())
    }
}

macro_rules! kinds {
    ($($name:ident: $recipe:expr, $gops:ident;)*) => {$(
        #[test]
        fn $name() {
            if judge::ffmpeg().is_none() {
                return println!("skipped: there is no ffmpeg to judge");
            }
            run(stringify!($name), $recipe, Gops::$gops, &["mp4", "mkv"]);
        }
    )*};
}

kinds! {
    movies_h264: kinds::h264_closed(), Closed;
    movies_h264_uneven: kinds::h264_uneven(), Closed;
    movies_hevc: kinds::hevc_open(), Open;
    movies_ac3: kinds::with_sound(kinds::h264_closed(), "ac3"), Closed;
    movies_eac3: kinds::with_sound(kinds::h264_closed(), "eac3"), Closed;
    movies_mp3: kinds::with_sound(kinds::h264_closed(), "libmp3lame"), Closed;
}

macro_rules! sounds {
    ($($name:ident: $codec:literal;)*) => {$(
        /// A row of full runs alone: what other sounds share is seen by the rows of movies.
        #[test]
        fn $name() {
            if judge::ffmpeg().is_none() || !is_full() {
                return println!("skipped: a row of full runs, which FFmpeg judges");
            }
            let recipe = kinds::with_sound(kinds::h264_closed(), $codec);
            run(stringify!($name), recipe, Gops::Closed, &["ts", "mp4", "mkv"]);
        }
    )*};
}

sounds! {
    sounds_mp2: "libtwolame";
    sounds_mp3: "libmp3lame";
    sounds_ac3: "ac3";
    sounds_eac3: "eac3";
    sounds_opus: "libopus";
}

/// Cuts the whole GOPs around spans, and looks at what the receipt says of them.
fn copy(matrix: &mut Matrix, spans: &Ranges) {
    let ranges: Vec<Range<u64>> = spans.iter().map(|span| matrix.source.outward(span)).collect();
    let times = matrix.exact(spans);
    matrix.cut(&times, &ranges);
    let receipt = matrix.cutter.receipt(&times).expect("a receipt");
    let pace = &matrix.source.recipe.pace;
    let seconds = |frames: &Range<u64>| (pace.micros(frames.end) - pace.micros(frames.start)) as f64 / 1e6;
    for (at, (span, range)) in spans.iter().zip(&ranges).enumerate() {
        let reaches = [("reach_before", range.start..span.start), ("reach_after", span.end..range.end)];
        for (name, frames) in reaches {
            let said = receipt["ranges"][at][name].as_f64().expect("seconds");
            if (said - seconds(&frames)).abs() > 0.000_1 {
                matrix.faults.push(format!("{name} of {span:?} is {said}, not {}", seconds(&frames)));
            }
        }
    }
    if receipt["encoded_frames"] != 0 {
        matrix.faults.push(format!("{} pictures of {spans:?} are encoded", receipt["encoded_frames"]));
    }
}

#[test]
fn copies_are_the_whole_gops_around_a_span() {
    if judge::ffmpeg().is_none() {
        return println!("skipped: there is no ffmpeg to judge");
    }
    let sources = [
        ("copy of h264_irregular", kinds::h264_irregular()),
        ("copy of h264_unaligned", kinds::h264_unaligned()),
        ("copy of hevc_closed", kinds::hevc_closed()),
    ];
    for (name, recipe) in sources {
        let mut matrix = matrix(name, recipe, Gops::Closed, &["ts"], ("type=copy", None));
        for _ in 0..2 {
            let (_, span) = matrix.random_span();
            copy(&mut matrix, &[span]);
        }
        let spans = matrix.medley(3);
        copy(&mut matrix, &spans);
        matrix.finish();
    }
}

#[test]
fn a_source_that_comes_back_under_other_pids_is_one_program() {
    if judge::ffmpeg().is_none() {
        return println!("skipped: there is no ffmpeg to judge");
    }
    let mut source = Source::new(kinds::h264_closed());
    source.move_pids(3);
    let mut matrix = served("moved", source, Gops::Closed, &["ts", "mp4"], ("type=smart", None));
    // Over the change, with whole segments on both sides; the other ones first; from nothing but the others.
    let moved = [vec![(20, 220)], vec![(150, 235), (10, 130)], vec![(150, 230)]];
    for ranges in moved.map(|it| it.into_iter().map(|(from, to)| from..to).collect::<Vec<_>>()) {
        let ranges = &ranges[..];
        let times = matrix.exact(ranges);
        for _ in 0..2 {
            matrix.cut(&times, ranges);
        }
        let encoded = matrix.cutter.receipt(&times).expect("a receipt")["encoded_frames"].as_u64();
        assert!(
            encoded.is_some_and(|it| it < 90 * ranges.len() as u64),
            "{encoded:?} are encoded of {ranges:?}"
        );
    }
    matrix.finish();
}

#[test]
fn what_is_left_beside_a_hole_is_exact() {
    if judge::ffmpeg().is_none() {
        return println!("skipped: there is no ffmpeg to judge");
    }
    for (name, recipe) in
        [("hole in h264_closed", kinds::h264_closed()), ("hole in mpeg2_closed", kinds::mpeg2_closed())]
    {
        let kind = ("type=smart&holes=skip", Some(3));
        let mut matrix = matrix(name, recipe, Gops::Closed, &["ts"], kind);
        let hole = matrix.source.pictures(3);
        let frames = matrix.source.recipe.frames;
        for _ in 0..3 {
            let from = matrix.random.below(hole.start as i64) as u64;
            let to = hole.end + 1 + matrix.random.below((frames - hole.end) as i64) as u64;
            let times = matrix.exact(std::slice::from_ref(&(from..to)));
            matrix.cut(&times, &[from..hole.start, hole.end..to]);
        }
        matrix.finish();
    }
}
