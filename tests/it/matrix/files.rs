//! Sources as single files in every kind of container, cut by what the command line calls.

use super::kinds;
use super::source::{Form, Source};
use super::{Cutter, Gops, Made, Matrix, Spans, is_full};
use crate::judge;
use moviola::base::Token;
use moviola::media::cut::Container;
use moviola::media::cut::edge::EdgeSettings;
use moviola::media::file::{Coding, FileCut, Range, Target, cut};
use moviola::media::synthetic::{Recipe, file};
use tempfile::NamedTempFile;

struct Files {
    source: NamedTempFile,
    /// The containers cuts are asked for in, in turn, and whose turn it is.
    extensions: &'static [&'static str],
    turn: usize,
}

/// Judges cuts of one source, a file of libav's `muxer` with its options.
fn run(
    name: &'static str,
    recipe: Recipe,
    gops: Gops,
    muxer: (&str, &[(&str, &str)]),
    extensions: &'static [&'static str],
) {
    let (extension, format) = match muxer.0 {
        "mp4" => (".mp4", Form::of("mp4")),
        "mpegts" => (".ts", Form::of("ts")),
        "webm" => (".webm", Form::of("webm")),
        _ => (".mkv", Form::of("mkv")),
    };
    let path = NamedTempFile::with_suffix(extension).expect("a file");
    let target = path.reopen().expect("a file");
    match file(&recipe, muxer.0, muxer.1, target, &Token::root()) {
        Err(error) if error.code == "no-encoder" => return println!("skipped: {}", error.detail),
        made => made.unwrap_or_else(|error| panic!("{name}: {error:?}")),
    }
    let source = Source::of_file(recipe, path.path(), format);
    let cutter = Files { source: path, extensions, turn: 0 };
    Matrix::new(name, source, gops, Box::new(cutter)).run();
}

impl Files {
    fn extension(&self) -> &'static str {
        self.extensions[self.turn % self.extensions.len()]
    }
}

impl Cutter for Files {
    fn cut(&mut self, spans: &Spans) -> Result<Made, String> {
        self.turn += 1;
        let extension = self.extension();
        let what = FileCut {
            ranges: spans.iter().map(|it| Range { start: Some(it.0), end: Some(it.1) }).collect(),
            coding: Coding::Smart,
            container: match extension {
                "ts" => Container::TransportStream,
                "mp4" => Container::Mp4,
                "mkv" => Container::Matroska,
                _ => Container::WebM,
            },
            edges: EdgeSettings { preset: "veryfast".into(), crf: 18.0 },
        };
        let file = NamedTempFile::with_suffix(format!(".{extension}")).expect("a file");
        let target = Target::File(file.path().to_owned());
        let summary = cut(self.source.path(), &what, target, &Token::root(), &|_| {})
            .map_err(|error| format!("{}: {}", error.code, error.detail))?;
        Ok(Made { file, extension, frames: summary.frames })
    }

    fn call(&self, spans: &Spans) -> String {
        let seconds = |micros: i64| micros as f64 / 1e6;
        let ranges = spans.iter().map(|it| format!(" --range {:.6},{:.6}", seconds(it.0), seconds(it.1)));
        format!("moviola cut SOURCE{} -o out.{}", ranges.collect::<String>(), self.extension())
    }
}

/// From 0 on, as files are.
fn early(recipe: Recipe) -> Recipe {
    Recipe { first_second: 0, ..recipe }
}

/// Files written forward only, and such whose index comes last.
const FRAGMENTS: (&str, &[(&str, &str)]) = ("mp4", &[("movflags", "frag_keyframe+delay_moov")]);
const MP4: (&str, &[(&str, &str)]) = ("mp4", &[]);
const MATROSKA: (&str, &[(&str, &str)]) = ("matroska", &[]);
const WEBM: (&str, &[(&str, &str)]) = ("webm", &[]);
const STREAM: (&str, &[(&str, &str)]) = ("mpegts", &[]);

macro_rules! files {
    ($($name:ident: $recipe:expr, $gops:ident, $muxer:ident, $extensions:expr;)*) => {$(
        #[test]
        fn $name() {
            if judge::ffmpeg().is_none() {
                return println!("skipped: there is no ffmpeg to judge");
            }
            run(stringify!($name), $recipe, Gops::$gops, $muxer, &$extensions);
        }
    )*};
}

files! {
    mp4_h264_closed: early(kinds::h264_closed()), Closed, MP4, ["mp4", "mkv", "ts"];
    mp4_h264_pyramid: early(kinds::h264_pyramid()), Closed, MP4, ["mp4", "mkv", "ts"];
    mp4_h264_uneven: early(kinds::h264_uneven()), Closed, MP4, ["mp4", "mkv", "ts"];
    mp4_h264_2997_fragments: early(kinds::h264_2997()), Closed, FRAGMENTS, ["mp4", "mkv", "ts"];
    mp4_h264_late: kinds::h264_25(), Closed, MP4, ["mp4", "mkv", "ts"];
    mkv_h264_422_ten_bits: early(kinds::h264_422_ten_bits()), Closed, MATROSKA, ["mkv", "mp4", "ts"];
    mkv_h264_full_range: early(kinds::h264_full_range()), Closed, MATROSKA, ["mp4", "mkv", "ts"];
    ts_h264_mbaff: kinds::h264_mbaff_top(), Closed, STREAM, ["mkv", "mp4", "ts"];
    ts_h264_60: kinds::h264_60(), Closed, STREAM, ["mp4", "mkv", "ts"];
    ts_h264_wrap: kinds::h264_wrap(), Closed, STREAM, ["mp4", "ts", "mkv"];
    mp4_hevc_closed: early(kinds::hevc_closed()), Closed, MP4, ["mp4", "mkv", "ts"];
    mkv_hevc_open: early(kinds::hevc_open()), Open, MATROSKA, ["mp4", "mkv", "ts"];
    webm_vp9: kinds::with_sound(early(kinds::vp9()), "libopus"), Closed, WEBM, ["webm", "mp4", "mkv"];
    mp4_vp9: early(kinds::vp9()), Closed, MP4, ["mkv", "mp4"];
    mp4_av1: kinds::with_sound(early(kinds::av1()), "libopus"), Closed, MP4, ["webm", "mp4", "mkv"];
    mkv_av1: early(kinds::av1()), Closed, MATROSKA, ["mp4", "mkv"];
    mkv_mpeg2_open: early(kinds::mpeg2_open()), Open, MATROSKA, ["ts", "mkv", "mp4"];
    ts_mpeg2_interlaced: kinds::mpeg2_interlaced(), Open, STREAM, ["mkv", "ts", "mp4"];
}

macro_rules! sounds {
    ($($name:ident: $codec:literal, $muxer:ident;)*) => {$(
        /// A row of full runs alone.
        #[test]
        fn $name() {
            if judge::ffmpeg().is_none() || !is_full() {
                return println!("skipped: a row of full runs, which FFmpeg judges");
            }
            let recipe = early(kinds::with_sound(kinds::h264_closed(), $codec));
            run(stringify!($name), recipe, Gops::Closed, $muxer, &["mp4", "mkv", "ts"]);
        }
    )*};
}

sounds! {
    mkv_mp2: "libtwolame", MATROSKA;
    mp4_mp3: "libmp3lame", MP4;
    mkv_ac3: "ac3", MATROSKA;
    mp4_eac3: "eac3", MP4;
    mkv_opus: "libopus", MATROSKA;
}
