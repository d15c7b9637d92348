//! Sources as segments of an archive, cut over HTTP.

use super::kinds;
use super::source::Source;
use super::{Cutter, Gops, Made, Matrix, Spans};
use crate::client::Server;
use crate::judge;
use moviola::base::Timestamp;
use moviola::media::synthetic::Recipe;

struct Archived {
    server: Server,
    start: Timestamp,
    /// The containers cuts are asked for in, in turn, and whose turn it is.
    extensions: &'static [&'static str],
    turn: usize,
}

/// Judges cuts of one source.
pub fn run(name: &'static str, recipe: Recipe, gops: Gops, extensions: &'static [&'static str]) {
    let source = Source::new(recipe);
    let server = Server::start(|root| source.fill(root));
    let cutter = Archived { server, start: source.recipe.start, extensions, turn: 0 };
    Matrix::new(name, source, gops, Box::new(cutter)).run();
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
        format!("/cut/chan/matrix.{}?type=smart{}", self.extension(), ranges.collect::<String>())
    }
}

macro_rules! kinds {
    ($($name:ident: $kind:ident, $gops:ident;)*) => {$(
        #[test]
        fn $name() {
            if judge::ffmpeg().is_none() {
                return println!("skipped: there is no ffmpeg to judge");
            }
            run(stringify!($name), kinds::$kind(), Gops::$gops, &["mp4", "mkv"]);
        }
    )*};
}

kinds! {
    movies_h264: h264_closed, Closed;
    movies_h264_uneven: h264_uneven, Closed;
    movies_hevc: hevc_open, Open;
}
