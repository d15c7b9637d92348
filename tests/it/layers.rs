//! The floors of the house: an arrow runs only downwards. Reads the paths out of every file in src/ and fails on
//! an arrow that the table below does not allow, and on a few words that belong into one room only.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What each room may name, beside itself. Siblings do not know each other; a room missing here may name nothing
/// and be named by nobody, so a new folder has to be entered.
const FLOORS: &[(&str, &[&str])] = &[
    // 1: words everyone may say
    ("base", &[]),
    // 2: siblings
    ("archive", &["base"]),
    ("media", &["base"]),
    ("pool", &["base"]),
    ("packaging", &["base"]),
    // Beside the floors: settings, read by those who build things. The floors below take plain values.
    ("config", &["base"]),
    // 3: the uses
    ("render", &["base", "archive", "media", "pool", "packaging", "config"]),
    ("live", &["base", "archive", "media", "pool", "packaging"]),
    ("jobs", &["base", "archive", "media", "pool", "packaging"]),
    // 4
    ("http", &["base", "archive", "media", "pool", "packaging", "config", "render", "live", "jobs"]),
    // 5: the only file that knows everybody
    ("app", &["base", "archive", "media", "pool", "packaging", "config", "render", "live", "jobs", "http"]),
    // Beside app: commands that run without a server, and the arguments of all of them.
    (
        "cli",
        &["base", "archive", "media", "pool", "packaging", "config", "render", "live", "jobs", "http", "app"],
    ),
    // 6
    (
        "main",
        &[
            "base",
            "archive",
            "media",
            "pool",
            "packaging",
            "config",
            "render",
            "live",
            "jobs",
            "http",
            "app",
            "cli",
        ],
    ),
    // The root only lists the rooms.
    ("lib", &[]),
];

/// Lines past which a file asks to become a folder.
const MAX_LINES: usize = 600;

#[derive(Debug, PartialEq, Eq)]
struct Breach {
    file: PathBuf,
    line: usize,
    what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src/{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

/// A token of the source without its text in strings being taken for code, and without doc comments.
#[derive(Debug)]
struct Token {
    text: String,
    line: usize,
    /// A string, byte string, number or character.
    literal: bool,
}

fn flatten(stream: TokenStream, out: &mut Vec<Token>) {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    let mut index = 0;
    while index < trees.len() {
        match &trees[index] {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                // `# [doc = "…"]` and `# ! [doc = "…"]` are what comments become.
                let inner = match trees.get(index + 1) {
                    Some(TokenTree::Punct(bang)) if bang.as_char() == '!' => index + 2,
                    _ => index + 1,
                };
                if let Some(TokenTree::Group(group)) = trees.get(inner) {
                    let first = group.stream().into_iter().next();
                    if matches!(first, Some(TokenTree::Ident(word)) if word == "doc") {
                        index = inner + 1;
                        continue;
                    }
                }
            }
            TokenTree::Punct(punct) => {
                let (text, line) = (punct.as_char(), punct.span().start().line);
                match out.last_mut() {
                    Some(last) if text == ':' && last.text == ":" && !last.literal => last.text.push(':'),
                    _ => out.push(Token { text: text.into(), line, literal: false }),
                }
            }
            TokenTree::Ident(word) => {
                out.push(Token { text: word.to_string(), line: word.span().start().line, literal: false })
            }
            TokenTree::Literal(literal) => out.push(Token {
                text: literal.to_string(),
                line: literal.span().start().line,
                literal: true,
            }),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                let token = |text: &str, line| Token { text: text.into(), line, literal: false };
                out.push(token(open, group.span_open().start().line));
                flatten(group.stream(), out);
                out.push(token(close, group.span_close().start().line));
            }
        }
        index += 1;
    }
}

fn room_of(file: &Path) -> String {
    let first = file.iter().next().unwrap_or_default().to_string_lossy().into_owned();
    first.strip_suffix(".rs").map(str::to_owned).unwrap_or(first)
}

/// The module a file is: `archive/name.rs` is `[archive, name]`, `archive/mod.rs` is `[archive]`, `lib.rs` is `[]`.
fn module_of(file: &Path) -> Vec<String> {
    let mut path: Vec<String> = file.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let last = path.pop().unwrap_or_default();
    match last.trim_end_matches(".rs") {
        "mod" | "lib" | "main" => {}
        name => path.push(name.to_owned()),
    }
    path
}

/// The rooms that the path starting at `index` leads to, where `prefix` is what stands before it, seen from the
/// root. Follows groups (`crate::{a, b::c}`) and returns the index after the path.
fn follow(
    tokens: &[Token],
    mut index: usize,
    mut prefix: Vec<String>,
    found: &mut Vec<(usize, String)>,
) -> usize {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let mut line = tokens.get(index).map_or(0, |token| token.line);
    loop {
        match text(index) {
            "super" => {
                prefix.pop();
            }
            "self" => {}
            "{" => {
                index += 1;
                while index < tokens.len() && text(index) != "}" {
                    index = follow(tokens, index, prefix.clone(), found);
                    // What follows an entry (`as name`) up to the comma belongs to it.
                    while !matches!(text(index), "," | "}" | "") {
                        index += 1;
                    }
                    if text(index) == "," {
                        index += 1;
                    }
                }
                return index + 1;
            }
            "*" => {
                prefix.push("*".into());
            }
            word => {
                line = tokens.get(index).map_or(line, |token| token.line);
                prefix.push(word.to_owned());
            }
        }
        if text(index + 1) == "::" && text(index + 2) != "<" {
            index += 2;
        } else {
            if let Some(room) = prefix.first() {
                found.push((line, room.clone()));
            }
            return index + 1;
        }
    }
}

/// Every room named by a file, with the line.
fn arrows(file: &Path, tokens: &[Token]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let home = module_of(file);
    // Inline modules around the current token, with the depth of braces they were opened at.
    let mut inline: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    let mut index = 0;
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    while index < tokens.len() {
        let starts = index == 0 || text(index - 1) != "::";
        match text(index) {
            _ if tokens[index].literal => {}
            "mod" if text(index + 2) == "{" => inline.push((text(index + 1).to_owned(), depth)),
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if inline.last().is_some_and(|(_, at)| *at == depth) {
                    inline.pop();
                }
            }
            "crate" | "moviola" if starts && text(index + 1) == "::" => {
                index = follow(tokens, index + 2, Vec::new(), &mut found);
                continue;
            }
            "super" | "self" if starts && text(index + 1) == "::" => {
                let mut module = home.clone();
                module.extend(inline.iter().map(|(name, _)| name.clone()));
                index = follow(tokens, index, module, &mut found);
                continue;
            }
            _ => {}
        }
        index += 1;
    }
    found
}

/// Everything wrong with one file.
fn check(file: &Path, source: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut report = |line: usize, what: String| breaches.push(Breach { file: file.to_owned(), line, what });
    let lines = source.lines().count();
    if lines > MAX_LINES {
        report(lines, format!("{lines} lines; past {MAX_LINES} a file asks to become a folder"));
    }
    let stream = match TokenStream::from_str(source) {
        Ok(stream) => stream,
        Err(error) => {
            report(error.span().start().line, format!("is not Rust: {error}"));
            return breaches;
        }
    };
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);

    let room = room_of(file);
    let allowed = FLOORS.iter().find(|(name, _)| *name == room).map(|(_, below)| *below);
    if allowed.is_none() {
        report(1, format!("`{room}` stands on no floor; enter it in the table of tests/it/layers.rs"));
    }
    for (line, other) in arrows(file, &tokens) {
        if other == room || allowed.unwrap_or_default().contains(&other.as_str()) {
            continue;
        }
        report(line, format!("`{room}` may not name `{other}`"));
    }

    let below = |folder: &str| file.starts_with(folder);
    let in_ffi = file == Path::new("media/ffi.rs") || below("media/ffi");
    let in_http = below("http") || file == Path::new("app.rs") || below("app");
    for (index, token) in tokens.iter().enumerate() {
        let next = |step: usize| tokens.get(index + step).map_or("", |token| token.text.as_str());
        if token.literal {
            // Tests read what is written.
            let writes = token.text.contains("#EXT-X-") && !file.ends_with("tests.rs");
            if writes && !below("packaging") {
                report(token.line, "writes `#EXT-X-`, which belongs into packaging/".into());
            }
            continue;
        }
        match token.text.as_str() {
            "unsafe" if !in_ffi => report(token.line, "`unsafe` belongs into media/ffi alone".into()),
            word if (word == "actix" || word.starts_with("actix_")) && !in_http => {
                report(token.line, format!("names `{word}`, which belongs into http/"));
            }
            "Command" if next(1) == "::" && next(2) == "new" => {
                report(token.line, "starts a process: there is none in this program".into());
            }
            _ => {}
        }
    }
    breaches
}

fn rust_files(folder: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn arrows_run_only_downwards() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 5, "src/ was not found");
    let breaches: Vec<String> = files
        .iter()
        .flat_map(|path| check(path.strip_prefix(&src).unwrap(), &std::fs::read_to_string(path).unwrap()))
        .map(|breach| breach.to_string())
        .collect();
    assert!(breaches.is_empty(), "the floors of ARCHITECTURE.md are broken:\n{}", breaches.join("\n"));
}

#[test]
fn the_table_has_no_circle() {
    for (index, (room, below)) in FLOORS.iter().enumerate() {
        for other in *below {
            let at = FLOORS.iter().position(|(name, _)| name == other);
            assert!(at.is_some_and(|at| at < index), "{room} → {other} does not run downwards in the table");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(file: &str, source: &str) -> Vec<String> {
        check(Path::new(file), source)
            .into_iter()
            .map(|breach| format!("{}: {}", breach.line, breach.what))
            .collect()
    }

    fn named(file: &str, source: &str) -> Vec<String> {
        let mut tokens = Vec::new();
        flatten(TokenStream::from_str(source).unwrap(), &mut tokens);
        arrows(Path::new(file), &tokens).into_iter().map(|(_, room)| room).collect()
    }

    #[test]
    fn paths_are_followed_wherever_they_hide() {
        assert_eq!(named("render/cut.rs", "use crate::archive::select;"), ["archive"]);
        assert_eq!(named("render/cut.rs", "fn f() { crate::media::cut::run() }"), ["media"]);
        assert_eq!(
            named("main.rs", "use moviola::{app, base::time::{Hour, Span}};"),
            ["app", "base", "base"]
        );
        assert_eq!(named("a/b.rs", "use crate::{self as root, x::Y as Z, w};"), ["x", "w"]);
        assert_eq!(named("a/b.rs", "info!(x = crate::http::STATUS);"), ["http"], "inside a macro");
        assert_eq!(named("a/b.rs", "use crate::*;"), ["*"], "the root's glob leads everywhere");
        assert_eq!(named("a/b.rs", "let v: Vec<crate::c::D<crate::e::F>>;"), ["c", "e"]);
        assert_eq!(named("a/b.rs", "crate::c::f::<crate::e::F>()"), ["c", "e"]);
    }

    #[test]
    fn super_is_counted_from_the_file_and_its_inline_modules() {
        assert_eq!(named("archive/name.rs", "use super::listing::Hour;"), ["archive"]);
        assert_eq!(named("archive/name.rs", "use super::super::media::Clip;"), ["media"]);
        assert_eq!(named("archive/mod.rs", "use super::media::Clip;"), ["media"]);
        assert_eq!(named("archive/name.rs", "mod tests { use super::super::select; }"), ["archive"]);
        assert_eq!(named("archive/name.rs", "mod tests { use super::super::super::pool; }"), ["pool"]);
        assert_eq!(
            named("archive/name.rs", "mod tests { fn f() { } } use super::super::pool::Pool;"),
            ["pool"],
            "the inline module is over"
        );
        assert_eq!(named("archive/name.rs", "use super::{select, super::http};"), ["archive", "http"]);
        assert_eq!(named("archive/name.rs", "use self::super::super::pool;"), ["pool"]);
        assert_eq!(named("config.rs", "use super::app;"), ["app"]);
    }

    #[test]
    fn comments_strings_and_visibility_are_no_arrows() {
        let source = r##"
            //! crate::http is named here only.
            /// Like crate::http, unsafe, actix_web and #EXT-X-ENDLIST.
            pub(crate) struct A; // use crate::http;
            pub(in crate::archive) const S: &str = "crate::http unsafe";
            const R: &str = r#"use crate::http;"#;
            #[allow(unsafe_code)]
            fn life<'a>(_: &'a str) -> char { 'c' }
        "##;
        assert_eq!(whats("archive/name.rs", source), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_upwards_or_sideways_is_reported_with_its_line() {
        assert_eq!(
            whats("archive/name.rs", "use crate::base::Result;\nuse crate::media::Clip;\n"),
            ["2: `archive` may not name `media`"]
        );
        assert_eq!(whats("base/id.rs", "use crate::http::X;"), ["1: `base` may not name `http`"]);
        assert_eq!(whats("render/cut.rs", "use crate::live::X;"), ["1: `render` may not name `live`"]);
        assert_eq!(whats("media/cut/run.rs", "use crate::config::C;"), ["1: `media` may not name `config`"]);
        assert_eq!(whats("app.rs", "use crate::cli::X;"), ["1: `app` may not name `cli`"]);
        assert_eq!(whats("http/mod.rs", "use crate::Nobody;"), ["1: `http` may not name `Nobody`"]);
        assert_eq!(
            whats("http/mod.rs", "use crate::render::cut; use crate::base::Kind;"),
            Vec::<String>::new()
        );
        assert_eq!(whats("attic/mod.rs", "").len(), 1, "a room that stands on no floor");
    }

    #[test]
    fn words_stay_in_their_rooms() {
        let one = |file: &str, source: &str| whats(file, source).len();
        assert_eq!(one("media/frame.rs", "fn f() { unsafe { g() } }"), 1);
        assert_eq!(one("media/ffi.rs", "fn f() { unsafe { g() } }"), 0);
        assert_eq!(one("media/ffi/avio.rs", "unsafe fn f() {}"), 0);
        assert_eq!(one("media/ffi_not.rs", "unsafe fn f() {}"), 1);
        assert_eq!(one("render/cut.rs", "use actix_web::web;"), 1);
        assert_eq!(one("http/routes/cut.rs", "use actix_web::web;"), 0);
        assert_eq!(one("app.rs", "use actix_web::HttpServer;"), 0);
        assert_eq!(one("media/cut/run.rs", "std::process::Command::new(\"ffmpeg\");"), 1);
        assert_eq!(one("http/routes/playlist.rs", "const END: &str = \"#EXT-X-ENDLIST\";"), 1);
        assert_eq!(one("packaging/hls.rs", "const END: &str = \"#EXT-X-ENDLIST\";"), 0);
        assert_eq!(one("live/hls/tests.rs", "const END: &str = \"#EXT-X-ENDLIST\";"), 0);
        assert_eq!(one("base/id.rs", &"\n".repeat(600)), 0);
        assert_eq!(one("base/id.rs", &"\n".repeat(601)), 1);
        assert_eq!(one("base/id.rs", "fn f( {"), 1, "a file that cannot be read is no pass");
    }
}
