//! Time: UTC microseconds on the wall, ticks in media, and the one place that turns one into the other.
//!
//! The rule every answer follows: the time in a segment's name is the presentation time of its first video
//! frame; inside a segment time runs by PTS; a frame is on screen from its start to the next frame's start.

use crate::base::error::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;
use std::ops::{Add, Sub};

/// Microseconds in a second, a minute, an hour.
pub const SECOND: i64 = 1_000_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;

const EPOCH: jiff::civil::Date = jiff::civil::date(1970, 1, 1);

/// Callers round to milliseconds, so a boundary less than this after a frame's start means that start.
pub const ROUNDING_MICROS: i64 = 500;

/// An instant, in microseconds since 1970-01-01T00:00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 9999-12-31T23:59:59.999999, the last instant four digits of year can name.
    pub const MAX: Self = Self(253_402_300_799_999_999);
    /// 0001-01-01T00:00:00.
    pub const MIN: Self = Self(-62_135_596_800_000_000);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The hour this instant lies in.
    pub const fn hour(self) -> Hour {
        Hour(self.0.div_euclid(HOUR))
    }

    /// Reads ISO 8601 in UTC, to the microsecond: `2024-11-09T12:50:00[.ffffff][Z]`. The forms with a space for
    /// the `T`, with a comma before the fraction, without separators, and those that stop at the minute, the
    /// hour or the day are read too. `parameter` names the value in the error.
    pub fn parse(parameter: &str, text: &str) -> Result<Self> {
        parse_iso(text).ok_or_else(|| {
            Error::invalid(
                "invalid-timestamp",
                parameter,
                format!(
                    "{parameter} must be an ISO 8601 time in UTC with at most six digits of fraction, \
                     such as 2024-11-09T12:50:00.123456 or 2024-11-09T12:50:00Z"
                ),
            )
        })
    }
}

fn parse_iso(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix(['Z', 'z']).or_else(|| text.strip_suffix("+00:00")).unwrap_or(text);
    // 2024-11-09T12:50:00.123456 is 26 bytes; nothing longer is a UTC time in microseconds.
    if text.len() > 26 || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let shape = |c: char| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | ',' | 'T' | 't' | ' ');
    if !text.chars().all(shape) {
        return None;
    }
    if let Some((whole, fraction)) = text.split_once(['.', ',']) {
        let digits = whole.bytes().filter(u8::is_ascii_digit).count();
        if digits != 14 || fraction.is_empty() || fraction.len() > 6 {
            return None;
        }
    }
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, ""));
    // A dash after the T is a zone other than UTC.
    if time.contains('-') {
        return None;
    }
    // A leap second has no place on a clock of microseconds since 1970; jiff would fold it into the second before.
    let seconds =
        time.split(['.', ',']).next()?.bytes().filter(u8::is_ascii_digit).skip(4).collect::<Vec<_>>();
    if seconds.starts_with(b"60") {
        return None;
    }
    let date: jiff::civil::Date = match date.len() {
        8 | 10 => date.parse().ok()?,
        _ => return None,
    };
    let time: jiff::civil::Time = match time.len() {
        0 if text.len() == 8 || text.len() == 10 => jiff::civil::Time::midnight(),
        // "T12" names an hour, as the archive's folders do; jiff wants at least the minutes.
        2 => jiff::civil::time(time.parse().ok().filter(|hour| *hour < 24)?, 0, 0, 0),
        0 | 1 => return None,
        _ => format!("T{time}").parse().ok()?,
    };
    let since = date.to_datetime(time).duration_since(EPOCH.to_datetime(jiff::civil::Time::midnight()));
    let stamp = Timestamp(i64::try_from(since.as_micros()).ok()?);
    (Timestamp::MIN..=Timestamp::MAX).contains(&stamp).then_some(stamp)
}

/// `2024-11-09T12:50:00.123456`, always six digits, no zone: the form the archive and its clients use.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hour = self.hour();
        let within = self.0 - hour.start().0;
        write!(f, "{hour}:{}", MinuteSecond(within))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Self::parse("time", &String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// `MM:SS.ffffff`, microseconds within an hour as segment names spell them.
pub struct MinuteSecond(pub i64);

impl fmt::Display for MinuteSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (minutes, rest) = (self.0 / MINUTE, self.0 % MINUTE);
        write!(f, "{minutes:02}:{:02}.{:06}", rest / SECOND, rest % SECOND)
    }
}

impl Add<i64> for Timestamp {
    type Output = Self;
    /// Adds microseconds, stopping at the ends of the calendar.
    fn add(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros).clamp(Self::MIN.0, Self::MAX.0))
    }
}

impl Sub for Timestamp {
    type Output = i64;
    /// Microseconds from `earlier` to `self`.
    fn sub(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

/// An hour of the archive, counted from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hour(i64);

impl Hour {
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 * HOUR)
    }

    pub const fn end(self) -> Timestamp {
        Timestamp((self.0 + 1) * HOUR)
    }

    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    pub const fn previous(self) -> Self {
        Self(self.0 - 1)
    }

    /// Reads a folder's name, `YYYY-MM-DDTHH` and nothing else.
    pub fn parse(name: &str) -> Option<Self> {
        let bytes = name.as_bytes();
        let exact = bytes.len() == 13
            && bytes.iter().enumerate().all(|(at, byte)| match at {
                4 | 7 => *byte == b'-',
                10 => *byte == b'T',
                _ => byte.is_ascii_digit(),
            });
        exact.then(|| parse_iso(name)).flatten().map(Timestamp::hour)
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, hour) = (self.0.div_euclid(24), self.0.rem_euclid(24));
        let date = EPOCH.checked_add(jiff::SignedDuration::from_hours(days * 24)).map_err(|_| fmt::Error)?;
        write!(f, "{:04}-{:02}-{:02}T{hour:02}", date.year(), date.month(), date.day())
    }
}

/// A half-open stretch of wall time, `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Span {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Span {
    pub const fn new(start: Timestamp, end: Timestamp) -> Self {
        Self { start, end }
    }

    /// Length in microseconds; negative when the end lies before the start.
    pub fn micros(self) -> i64 {
        self.end - self.start
    }

    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }

    pub fn contains(self, instant: Timestamp) -> bool {
        self.start <= instant && instant < self.end
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.start, self.end)
    }
}

/// Seconds per tick of a media clock, as a fraction: 1/90000 in MPEG-TS (H.222.0 §2.4.3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeBase {
    pub num: i32,
    pub den: i32,
}

impl TimeBase {
    pub const MPEG: Self = Self { num: 1, den: 90_000 };
    pub const MICROS: Self = Self { num: 1, den: 1_000_000 };

    pub const fn new(num: i32, den: i32) -> Self {
        Self { num, den }
    }

    /// `ticks` of this base in ticks of `other`, rounded to the nearest, halves away from zero.
    pub fn rescale(self, ticks: i64, other: Self) -> i64 {
        let numerator = i128::from(ticks) * i128::from(self.num) * i128::from(other.den);
        let denominator = i128::from(self.den) * i128::from(other.num);
        let half = denominator / 2;
        let rounded = if numerator >= 0 { numerator + half } else { numerator - half } / denominator;
        rounded as i64
    }

    pub fn micros(self, ticks: i64) -> i64 {
        self.rescale(ticks, Self::MICROS)
    }

    pub fn seconds(self, ticks: i64) -> f64 {
        ticks as f64 * f64::from(self.num) / f64::from(self.den)
    }
}

/// Where wall time comes from. Code that must be tested over hours is given a clock it can step.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;

    /// Lets so much time pass on this thread, or less where something woke it.
    fn pause(&self, micros: i64) {
        std::thread::park_timeout(std::time::Duration::from_micros(micros.max(0).unsigned_abs()));
    }
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_microsecond())
    }
}

/// A clock that stands until it is moved, for tests.
#[derive(Debug)]
pub struct SteppedClock(std::sync::atomic::AtomicI64);

impl SteppedClock {
    pub fn new(at: Timestamp) -> Self {
        Self(std::sync::atomic::AtomicI64::new(at.0))
    }

    pub fn step(&self, micros: i64) {
        self.0.fetch_add(micros, std::sync::atomic::Ordering::AcqRel);
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(std::sync::atomic::Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<String> {
        Timestamp::parse("start", text).ok().map(|stamp| stamp.to_string())
    }

    #[test]
    fn reads_utc_to_the_microsecond() {
        for (text, expected) in [
            ("2024-11-09T12:50:00", "2024-11-09T12:50:00.000000"),
            ("2024-11-09T12:50:00Z", "2024-11-09T12:50:00.000000"),
            ("2024-11-09T12:50:00+00:00", "2024-11-09T12:50:00.000000"),
            ("2024-11-09T12:50:00.5", "2024-11-09T12:50:00.500000"),
            ("2024-11-09T12:50:00,123456", "2024-11-09T12:50:00.123456"),
            ("2024-11-09 12:50:00", "2024-11-09T12:50:00.000000"),
            ("20241109T125000", "2024-11-09T12:50:00.000000"),
            ("2024-11-09T12:50", "2024-11-09T12:50:00.000000"),
            ("2024-11-09T12", "2024-11-09T12:00:00.000000"),
            ("2024-11-09", "2024-11-09T00:00:00.000000"),
            ("9999-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999"),
            ("0001-01-01", "0001-01-01T00:00:00.000000"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "now",
            "1731156600",
            "2024-11-09T12:50:00+05:00",
            "2024-11-09T12:50:00-07:00",
            "2024-11-09T12:50:00 05:00",
            "2024-11-09T12:50:00.1234567",
            "2024-11-09T12:50:60",
            "2024-11-09T24:00:00",
            "2024-02-30T00:00:00",
            "2024-W45-6",
            "2024-314",
            "12:50",
            "Nov 9 2024 12:50:00",
            "2024-11",
            "2024-11-09T",
            "2024-11-09T12:5",
            "2024-11-09T12:50:00.",
            "+002024-11-09T12:50:00",
            "2024-11-09T12:50:00[UTC]",
            "2024-11-09T12.5",
            "é",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn hours_read_only_folder_names() {
        assert_eq!(Hour::parse("2024-11-09T12").unwrap().to_string(), "2024-11-09T12");
        for bad in ["2024-11-09T24", "2024-11-09 12", "not-an-hour", "2024-11-09T12 ", "2024-13-09T12"] {
            assert_eq!(Hour::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(micros in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let stamp = Timestamp(micros);
            prop_assert_eq!(Timestamp::parse("t", &stamp.to_string()).unwrap(), stamp);
            prop_assert_eq!(Hour::parse(&stamp.hour().to_string()), Some(stamp.hour()));
        }

        #[test]
        fn parsing_never_panics(text in ".{0,40}") {
            let _ = Timestamp::parse("t", &text);
        }

        #[test]
        fn rescaling_to_a_finer_clock_and_back_is_exact(ticks in -(1i64 << 40)..(1i64 << 40)) {
            let fine = TimeBase::new(1, 27_000_000);
            prop_assert_eq!(fine.rescale(TimeBase::MPEG.rescale(ticks, fine), TimeBase::MPEG), ticks);
        }
    }
}
