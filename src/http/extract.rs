//! Strings from the wire into types, once. Path components are decoded here and nowhere else.

use crate::base::{Channel, Error, JobId, Name, Quality, RecordingId, Result, StreamId, Timestamp};
use actix_web::HttpRequest;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;

/// The components of a request's path, still encoded.
pub struct Path<'a>(Vec<&'a str>);

impl<'a> Path<'a> {
    pub fn of(request: &'a HttpRequest) -> Self {
        Self::new(request.uri().path())
    }

    fn new(path: &'a str) -> Self {
        Self(path.strip_prefix('/').unwrap_or(path).split('/').collect())
    }

    /// Component `index` (the route's first word is 0), decoded exactly once; `what` names it in errors.
    fn decoded(&self, index: usize, what: &'static str) -> Result<Cow<'a, str>> {
        let raw = self.0.get(index).ok_or_else(nothing_here)?;
        percent_decode_str(raw).decode_utf8().map_err(|_| {
            Error::invalid("not-utf-8", what, format!("Bad {what}: Must be percent-encoded UTF-8"))
        })
    }

    /// Component `index` without the extension its route has.
    fn without(&self, index: usize, what: &'static str, extension: &str) -> Result<String> {
        let text = self.decoded(index, what)?;
        text.strip_suffix(extension).map(str::to_owned).ok_or_else(nothing_here)
    }

    pub fn channel(&self, index: usize) -> Result<Channel> {
        Channel::new(&self.decoded(index, "channel")?)
    }

    pub fn channel_without(&self, index: usize, extension: &str) -> Result<Channel> {
        Channel::new(&self.without(index, "channel", extension)?)
    }

    pub fn quality(&self, index: usize) -> Result<Quality> {
        Quality::new(&self.decoded(index, "quality")?)
    }

    pub fn quality_without(&self, index: usize, extension: &str) -> Result<Quality> {
        Quality::new(&self.without(index, "quality", extension)?)
    }

    pub fn name(&self, index: usize, what: &'static str) -> Result<Name> {
        Name::new(what, &self.decoded(index, what)?)
    }

    pub fn stream(&self, index: usize) -> Result<StreamId> {
        StreamId::new(&self.decoded(index, "stream")?)
    }

    pub fn recording(&self, index: usize) -> Result<RecordingId> {
        RecordingId::new(&self.decoded(index, "recording")?)
    }

    /// A component as it is.
    pub fn text(&self, index: usize, what: &'static str) -> Result<String> {
        self.decoded(index, what).map(Cow::into_owned)
    }

    pub fn job(&self, index: usize) -> Result<JobId> {
        JobId::new(&self.decoded(index, "job")?)
    }

    /// Every component from `index` on, for a file's path. What cannot name a file is not found, as the server
    /// this one replaces has it: hidden names, `..`, slashes in disguise, names no file system takes.
    pub fn file(&self, index: usize) -> Result<Vec<Name>> {
        let rest = self.0.get(index..).unwrap_or_default();
        if rest.is_empty() || rest.len() > MAX_DEPTH {
            return Err(nothing_here());
        }
        (index..self.0.len()).map(|at| self.name(at, "path").map_err(|_| nothing_here())).collect()
    }
}

/// The deepest path below the archive that is looked at; its own layout is four deep.
const MAX_DEPTH: usize = 12;

fn nothing_here() -> Error {
    Error::not_found("There is nothing at this address.")
}

/// The query's parameters, decoded. A value that is not UTF-8 is kept as `None`: it is refused when asked for,
/// and ignored like any other when its key is not known.
pub struct Query(Vec<(String, Option<String>)>);

/// What stays readable in a query that is passed on: RFC 3986's unreserved characters, and those of `pchar` that
/// mean nothing in a query's values.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b',')
    .remove(b'/')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'(')
    .remove(b')')
    .remove(b'*');

impl Query {
    pub fn of(request: &HttpRequest) -> Self {
        Self::parse(request.query_string())
    }

    fn parse(text: &str) -> Self {
        let decode = |part: &str| {
            let spaced = part.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8().ok().map(Cow::into_owned)
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(key)?, decode(value)))
        });
        Self(pairs.collect())
    }

    /// The first value of `key`.
    pub fn text<'a>(&'a self, key: &str) -> Result<Option<&'a str>> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| readable(key, value)).transpose()
    }

    /// Every value of `key`, for parameters that are lists.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = Result<&'a str>> {
        self.0.iter().filter(move |(name, _)| name == key).map(move |(_, value)| readable(key, value))
    }

    pub fn timestamp(&self, key: &str) -> Result<Option<Timestamp>> {
        self.text(key)?.map(|text| Timestamp::parse(key, text)).transpose()
    }

    pub fn required_timestamp(&self, key: &str) -> Result<Timestamp> {
        self.timestamp(key)?.ok_or_else(|| {
            Error::invalid(
                "missing-parameter",
                key,
                format!("The parameter {key} is required: an ISO 8601 time in UTC"),
            )
        })
    }

    /// `true` or `false` in any case; absent means false.
    pub fn boolean(&self, key: &str) -> Result<bool> {
        match self.text(key)? {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => {
                Err(Error::invalid("invalid-boolean", key, format!("{key} must be one of: true, false")))
            }
        }
    }

    /// `WIDTHxHEIGHT`, each 1 to [`MAX_SIDE`].
    pub fn size(&self, key: &str, default: (u32, u32)) -> Result<(u32, u32)> {
        let Some(text) = self.text(key)? else { return Ok(default) };
        let invalid = || Error::invalid("invalid-size", key, "Invalid size");
        let (width, height) = text.split_once('x').ok_or_else(invalid)?;
        let side = |text: &str| whole_number(text).ok_or_else(invalid);
        let (width, height) = (side(width)?, side(height)?);
        let range = 1..=i64::from(MAX_SIDE);
        if !range.contains(&width) || !range.contains(&height) {
            let detail = format!("Image size must be between 1x1 and {MAX_SIDE}x{MAX_SIDE}");
            return Err(Error::invalid("invalid-size", key, detail));
        }
        Ok((width as u32, height as u32))
    }

    /// The query as it is handed on to another address: the first value of each key, in order, encoded anew.
    pub fn passed_on(&self) -> String {
        let mut text = String::new();
        for (at, (key, value)) in self.0.iter().enumerate() {
            let Some(value) = value else { continue };
            if self.0[..at].iter().any(|(earlier, _)| earlier == key) {
                continue;
            }
            let encode = |part: &str| utf8_percent_encode(part, QUERY_VALUE).to_string().replace("%20", "+");
            text.push_str(if text.is_empty() { "" } else { "&" });
            text.push_str(&format!("{}={}", encode(key), encode(value)));
        }
        text
    }
}

fn readable<'a>(key: &str, value: &'a Option<String>) -> Result<&'a str> {
    let unreadable = || Error::invalid("not-utf-8", key, format!("{key} must be percent-encoded UTF-8"));
    value.as_deref().ok_or_else(unreadable)
}

/// The largest picture side.
pub const MAX_SIDE: u32 = 4096;

/// A whole number as the clients' language writes it: blanks around it and single underscores between digits
/// are allowed (" 10", "1_000").
fn whole_number(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let sound = digits.split('_').all(|group| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit()));
    if !sound {
        return None;
    }
    // Longer than an i64 is out of every range there is.
    Some(text.replace('_', "").parse().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Kind;
    use proptest::prelude::*;

    #[test]
    fn components_are_decoded_once_and_cannot_leave_the_archive() {
        let channel = |text: &str| Path::new(&format!("/files/{text}")).channel(1).map(|c| c.to_string());
        assert_eq!(channel("n%C3%A4me").unwrap(), "näme");
        assert_eq!(channel("a%2520b").unwrap(), "a%20b");
        assert_eq!(channel("a%zz").unwrap(), "a%zz");
        for (text, kind) in [
            ("%2e%2e", Kind::Forbidden),
            ("..%2f..%2fetc", Kind::Forbidden),
            ("chan%2f720p", Kind::Invalid),
            ("%2fetc", Kind::Invalid),
            ("a%5cb", Kind::Invalid),
            ("%00", Kind::Invalid),
            ("%ff", Kind::Invalid),
            ("%C3", Kind::Invalid),
        ] {
            assert_eq!(channel(text).unwrap_err().kind, kind, "{text}");
        }
        assert_eq!(channel(&"x".repeat(300)).unwrap_err().code, "long-name");
    }

    #[test]
    fn a_files_path_is_whole_or_not_found() {
        let file = |text: &str| Path::new(text).file(1);
        assert_eq!(file("/segments/chan/45%3A00.ts").unwrap().len(), 2);
        for bad in [
            "/segments",
            "/segments/",
            "/segments/chan/",
            "/segments/../x",
            "/segments/a/.hidden",
            "/segments/a%2fb",
            "/segments/%00",
            "/segments/a/%ff",
            "/segments/a/b/c/d/e/f/g/h/i/j/k/l/m",
        ] {
            assert_eq!(file(bad).unwrap_err().kind, Kind::NotFound, "{bad}");
        }
    }

    #[test]
    fn queries_take_the_first_value_and_ignore_the_rest() {
        let query =
            Query::parse("start=2024-11-09+12%3A50&start=x&t=1&%ff=1&bad=%ff&flag=TRUE&x=&size= 10x1_0");
        assert_eq!(query.timestamp("start").unwrap().unwrap().to_string(), "2024-11-09T12:50:00.000000");
        assert_eq!(query.text("bad").unwrap_err().code, "not-utf-8");
        assert!(query.boolean("flag").unwrap() && !query.boolean("none").unwrap());
        assert_eq!(query.boolean("x").unwrap_err().detail, "x must be one of: true, false");
        assert_eq!(query.size("size", (1, 1)).unwrap(), (10, 10));
        assert_eq!(query.required_timestamp("end").unwrap_err().code, "missing-parameter");
        assert_eq!(query.all("start").count(), 2);
    }

    #[test]
    fn sizes() {
        let size = |text: &str| Query::parse(&format!("size={text}")).size("size", (1024, 64));
        assert_eq!(Query::parse("").size("size", (1024, 64)).unwrap(), (1024, 64));
        assert_eq!(size("4096x4096").unwrap(), (4096, 4096));
        for bad in ["10", "10x10x10", "axb", "", "10X10", "x", "1__0x1", "_1x1"] {
            assert_eq!(size(bad).unwrap_err().detail, "Invalid size", "{bad}");
        }
        for bad in ["4097x1", "0x10", "-1x10", "99999999999999999999x1"] {
            let detail = size(bad).unwrap_err().detail;
            assert_eq!(detail, "Image size must be between 1x1 and 4096x4096", "{bad}");
        }
    }

    #[test]
    fn what_is_passed_on_cannot_break_a_playlist() {
        let pass = |text: &str| Query::parse(text).passed_on();
        assert_eq!(pass("foo=bar&start=2024-11-09T12:50:00&foo=x"), "foo=bar&start=2024-11-09T12:50:00");
        assert_eq!(pass("start=2024-11-09%2012:50"), "start=2024-11-09+12:50");
        assert_eq!(pass("start=2024-11-09T12:50:00%2B05:00"), "start=2024-11-09T12:50:00%2B05:00");
        assert_eq!(pass("a=%0A%23EXT&b=%22"), "a=%0A%23EXT&b=%22");
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".{0,60}") {
            let query = Query::parse(&text);
            let _ = (query.timestamp("start"), query.size("size", (1, 1)), query.boolean("b"), query.passed_on());
            let _ = Path::new(&text).file(0);
        }
    }
}
