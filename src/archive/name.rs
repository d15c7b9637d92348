//! Segment names: `MM:SS.ffffff-DURATION-TYPE-HASH.ts`, read and written. The hour comes from the folder.
//!
//! Reading is lenient where names made by other programs need it (no fraction of a second, a hash with odd
//! characters) and refuses what would poison a range: durations that are not finite numbers, impossible
//! times, names that could not be asked for again over HTTP.

use crate::base::Timestamp;
use crate::base::id::MAX_NAME_BYTES;
use crate::base::time::{HOUR, Hour, MINUTE, MinuteSecond, SECOND};
use std::fmt;

/// The longest duration a name may claim, in microseconds. Real segments last seconds; a claim of years would
/// swallow everything after it.
pub const MAX_DURATION: i64 = 24 * HOUR;

/// How good the file is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SegmentKind {
    /// All of it is there.
    Full,
    /// Probably all of it, but whoever fetched it was not told so.
    Suspect,
    /// The transfer broke off.
    Partial,
    /// Still being written; never selected.
    Temp,
}

impl SegmentKind {
    /// The word in the name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Suspect => "suspect",
            Self::Partial => "partial",
            Self::Temp => "temp",
        }
    }

    /// True where the segment can be trusted to reach the start of the one after it.
    pub const fn is_whole(self) -> bool {
        matches!(self, Self::Full)
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Full, Self::Suspect, Self::Partial, Self::Temp].into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for SegmentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a file is not a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("it is longer than 255 bytes or holds a character no request can name")]
    Unnameable,
    #[error("it does not end in .ts")]
    Extension,
    #[error("it has fewer than four parts")]
    Parts,
    #[error("its time is not MM:SS with at most six digits of fraction")]
    Time,
    #[error("its duration is not a number of seconds from 0 to 86400")]
    Duration,
    #[error("its type is none of full, suspect, partial, temp")]
    Kind,
    #[error("its hash is not base64")]
    Hash,
}

/// What a segment's name says. Borrows the hash from the name it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SegmentName<'a> {
    /// The presentation time of the first video frame.
    pub start: Timestamp,
    /// How long it claims to last, in microseconds: 0 to [`MAX_DURATION`].
    pub duration: i64,
    pub kind: SegmentKind,
    /// The hash as the name spells it; for [`SegmentKind::Temp`] whatever makes the name unique.
    pub hash: &'a str,
}

impl<'a> SegmentName<'a> {
    /// Reads the name of a file in the folder of `hour`. Allocates nothing.
    pub fn parse(hour: Hour, name: &'a str) -> Result<Self, Refused> {
        if name.len() > MAX_NAME_BYTES || !is_nameable(name) {
            return Err(Refused::Unnameable);
        }
        let stem = name.strip_suffix(".ts").ok_or(Refused::Extension)?;
        let mut parts = stem.splitn(4, '-');
        let mut part = || parts.next().ok_or(Refused::Parts);
        let (time, duration, kind, hash) = (part()?, part()?, part()?, part()?);
        let kind = SegmentKind::parse(kind).ok_or(Refused::Kind)?;
        if kind != SegmentKind::Temp && !is_hash(hash) {
            return Err(Refused::Hash);
        }
        let start = hour.start() + parse_minute_second(time).ok_or(Refused::Time)?;
        let duration = parse_seconds(duration).ok_or(Refused::Duration)?;
        Ok(Self { start, duration, kind, hash })
    }

    /// When the segment ends by its own account.
    pub fn end(&self) -> Timestamp {
        self.start + self.duration
    }
}

/// The name, extension included, in the one spelling that Moviola writes.
impl fmt::Display for SegmentName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = self.start - self.start.hour().start();
        write!(f, "{}-{}-{}-{}.ts", MinuteSecond(within), Seconds(self.duration), self.kind, self.hash)
    }
}

/// Microseconds as a decimal number of seconds with no needless zeros and at least one digit of fraction
/// (2.0, 2.002, 1.967), as the programs that share the archive print theirs. Below 0.0001 they would switch to
/// an exponent, whose dash they could not read back; plain digits are read by all.
struct Seconds(i64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut fraction, mut width) = (self.0 % SECOND, 6);
        while width > 1 && fraction % 10 == 0 {
            fraction /= 10;
            width -= 1;
        }
        write!(f, "{}.{fraction:0width$}", self.0 / SECOND)
    }
}

/// The same characters `base::id::Name` takes, so that every segment listed can be asked for by its name.
fn is_nameable(name: &str) -> bool {
    if name.is_ascii() {
        name.bytes().all(|byte| (b' '..0x7f).contains(&byte) && byte != b'/' && byte != b'\\')
    } else {
        !name.chars().any(|c| c.is_control() || c == '/' || c == '\\')
    }
}

/// `MM:SS` with an optional fraction of one to six digits, in microseconds.
fn parse_minute_second(text: &str) -> Option<i64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    let (clock, rest) = text.as_bytes().split_at_checked(5)?;
    let fraction = match rest {
        [] => rest,
        [b'.', fraction @ ..] if (1..=6).contains(&fraction.len()) => fraction,
        _ => return None,
    };
    let [m, n, b':', s, t] = *clock else { return None };
    let (minutes, seconds) = (digit(m)? * 10 + digit(n)?, digit(s)? * 10 + digit(t)?);
    if minutes > 59 || seconds > 59 {
        return None;
    }
    let mut micros = 0;
    for at in 0..6 {
        micros = micros * 10 + fraction.get(at).map_or(Some(0), |byte| digit(*byte))?;
    }
    Some(minutes * MINUTE + seconds * SECOND + micros)
}

/// A plain decimal number of seconds, in microseconds; digits beyond the sixth round half to even.
fn parse_seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_digit);
    if !digits(whole.as_bytes()) || !digits(fraction.as_bytes()) {
        return None;
    }
    let mut micros: i64 = 0;
    for byte in whole.bytes() {
        micros = micros * 10 + i64::from(byte - b'0');
        if micros > MAX_DURATION / SECOND {
            return None;
        }
    }
    for at in 0..6 {
        micros = micros * 10 + i64::from(fraction.as_bytes().get(at).map_or(0, |byte| byte - b'0'));
    }
    if let Some((&next, rest)) = fraction.as_bytes().get(6..).and_then(<[u8]>::split_first) {
        let beyond_half = next > b'5' || (next == b'5' && rest.iter().any(|byte| *byte != b'0'));
        let half = next == b'5' && !beyond_half;
        micros += i64::from(beyond_half || (half && micros % 2 == 1));
    }
    (micros <= MAX_DURATION).then_some(micros)
}

/// The bits of a base64 character in either alphabet.
const fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' | b'+' => Some(62),
        b'_' | b'/' => Some(63),
        _ => None,
    }
}

/// True where [`decode_hash`] would find something to decode.
fn is_hash(text: &str) -> bool {
    if text.bytes().all(|byte| sextet(byte).is_some()) {
        return text.len() % 4 != 1;
    }
    decode(text, |_| ())
}

/// The bytes of a hash as a name spells it: URL-safe base64 without padding, where characters outside the
/// alphabet count towards the padding but are passed over. That is how the programs sharing the archive read
/// it, and it decides which of two equal segments wins. `None` where the digits do not make whole bytes.
pub fn decode_hash(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    decode(text, |byte| bytes.push(byte)).then_some(bytes)
}

fn decode(text: &str, mut sink: impl FnMut(u8)) -> bool {
    let padding = text.chars().count().wrapping_neg() % 4;
    let (mut held, mut place, mut pads) = (0u8, 0u8, 0u8);
    for byte in text.bytes().chain(std::iter::repeat_n(b'=', padding)) {
        if byte == b'=' {
            if place >= 2 {
                pads += 1;
                // Enough padding ends the text, whatever follows.
                if place + pads >= 4 {
                    return true;
                }
            }
            continue;
        }
        let Some(bits) = sextet(byte) else { continue };
        pads = 0;
        match place {
            0 => (),
            1 => sink(held << 2 | bits >> 4),
            2 => sink(held << 4 | bits >> 2),
            _ => sink(held << 6 | bits),
        }
        held = bits;
        place = (place + 1) % 4;
    }
    place == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    const HASH: &str = "J-0Gnfy5JFUEAQJqOzVwcC9eKO2YOM4c9fVemPwOzxg";

    fn hour() -> Hour {
        Hour::parse("2024-11-09T13").unwrap()
    }

    fn read(stem: &str) -> Result<(String, i64), Refused> {
        SegmentName::parse(hour(), &format!("{stem}.ts")).map(|name| (name.start.to_string(), name.duration))
    }

    #[test]
    fn reads_what_the_archive_holds() {
        for (stem, start, duration) in [
            (format!("45:00.437000-2.0-full-{HASH}"), "2024-11-09T13:45:00.437000", 2_000_000),
            (format!("45:00-2.0-full-{HASH}"), "2024-11-09T13:45:00.000000", 2_000_000),
            (format!("45:00.5-2.002-partial-{HASH}"), "2024-11-09T13:45:00.500000", 2_002_000),
            (format!("00:00.000001-2-suspect-{HASH}"), "2024-11-09T13:00:00.000001", 2_000_000),
            (format!("59:59.999999-.5-full-{HASH}"), "2024-11-09T13:59:59.999999", 500_000),
            (format!("59:59.999999-0.-full-{HASH}"), "2024-11-09T13:59:59.999999", 0),
            ("45:30.000000-2.0-full-!!!".into(), "2024-11-09T13:45:30.000000", 2_000_000),
            ("45:30.000000-2.0-full-".into(), "2024-11-09T13:45:30.000000", 2_000_000),
            ("45:30.0-86400-temp-cd613e30-d8f1-6adf".into(), "2024-11-09T13:45:30.000000", MAX_DURATION),
            (format!("45:30.0-1.9666665-full-{HASH}"), "2024-11-09T13:45:30.000000", 1_966_666),
            (format!("45:30.0-1.9666675-full-{HASH}"), "2024-11-09T13:45:30.000000", 1_966_668),
            (format!("45:30.0-1.96666650001-full-{HASH}"), "2024-11-09T13:45:30.000000", 1_966_667),
        ] {
            assert_eq!(read(&stem), Ok((start.into(), duration)), "{stem}");
        }
    }

    #[test]
    fn refuses_what_would_poison_a_range() {
        for (stem, why) in [
            ("foo".to_owned(), Refused::Parts),
            ("00:00.000000-2.0-full".into(), Refused::Parts),
            (format!("00:00.000000-abc-full-{HASH}"), Refused::Duration),
            (format!("45:30.000000-nan-full-{HASH}"), Refused::Duration),
            (format!("57:30.000000-inf-full-{HASH}"), Refused::Duration),
            (format!("45:30.000000-1e3-full-{HASH}"), Refused::Duration),
            (format!("45:30.000000-86400.000001-full-{HASH}"), Refused::Duration),
            (format!("45:30.000000-{}-full-{HASH}", "9".repeat(60)), Refused::Duration),
            (format!("45:30.000000-.-full-{HASH}"), Refused::Duration),
            (format!("45:30.000000-1.2.3-full-{HASH}"), Refused::Duration),
            (format!("45:30.000000--2.0-full-{HASH}"), Refused::Kind),
            (format!("45:30.000000-2.0-weird-{HASH}"), Refused::Kind),
            (format!("45:30.000000-2.0-Full-{HASH}"), Refused::Kind),
            ("45:30.000000-2.0-full-A".into(), Refused::Hash),
            ("45:30.000000-2.0-full-ABCDE".into(), Refused::Hash),
            (format!("45:00.1234567-2.0-full-{HASH}"), Refused::Time),
            (format!("45:00.-2.0-full-{HASH}"), Refused::Time),
            (format!("60:00-2.0-full-{HASH}"), Refused::Time),
            (format!("00:60-2.0-full-{HASH}"), Refused::Time),
            (format!("99:99.000000-2.0-full-{HASH}"), Refused::Time),
            (format!("4:00-2.0-full-{HASH}"), Refused::Time),
            (format!("+4:00-2.0-full-{HASH}"), Refused::Time),
            (format!("45:00.1x-2.0-full-{HASH}"), Refused::Time),
            (format!("45:00-2.0-full-{}", "A".repeat(240)), Refused::Unnameable),
            (format!("45:00-2.0-full-{HASH}\n"), Refused::Unnameable),
            (format!("45:00-2.0-full-\\{HASH}"), Refused::Unnameable),
        ] {
            assert_eq!(read(&stem), Err(why), "{stem}");
        }
        for name in [format!("45:30-2.0-full-{HASH}.TS"), format!("45:30-2.0-full-{HASH}.ts.part"), "".into()]
        {
            assert_eq!(SegmentName::parse(hour(), &name), Err(Refused::Extension), "{name}");
        }
    }

    #[test]
    fn odd_hashes_decode_as_others_decode_them() {
        for (text, bytes) in [
            ("", Some(&[][..])),
            ("!!!", Some(&[])),
            ("A", None),
            ("AB", Some(&[0])),
            ("AB!", None),
            ("AB!!", None),
            ("A!B!", None),
            ("AB=C", None),
            ("AB==CD", Some(&[0])),
            ("-_-_", Some(&[0xfb, 0xff, 0xbf])),
            ("+/+/", Some(&[0xfb, 0xff, 0xbf])),
        ] {
            assert_eq!(decode_hash(text).as_deref(), bytes, "{text}");
            assert_eq!(is_hash(text), bytes.is_some(), "{text}");
        }
    }

    #[test]
    fn durations_print_without_needless_zeros() {
        for (micros, text) in [
            (2_000_000, "2.0"),
            (2_002_000, "2.002"),
            (1_967_000, "1.967"),
            (0, "0.0"),
            (50, "0.00005"),
            (10_500_000, "10.5"),
            (MAX_DURATION, "86400.0"),
        ] {
            assert_eq!(Seconds(micros).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            micros in 0..=Timestamp::MAX.micros(),
            duration in 0..=MAX_DURATION,
            kind in prop::sample::select(vec![
                SegmentKind::Full, SegmentKind::Suspect, SegmentKind::Partial, SegmentKind::Temp,
            ]),
            hash: [u8; 32],
        ) {
            let hash_text = URL_SAFE_NO_PAD.encode(hash);
            let name = SegmentName { start: Timestamp::from_micros(micros), duration, kind, hash: &hash_text };
            let text = name.to_string();
            prop_assert_eq!(SegmentName::parse(name.start.hour(), &text), Ok(name));
            prop_assert_eq!(decode_hash(&hash_text), Some(hash.to_vec()));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,80}", stem in "[0-9:.]{0,12}-[0-9.]{0,9}-(full|temp)-.{0,50}\\.ts") {
            for name in [text, stem] {
                if let Ok(read) = SegmentName::parse(hour(), &name) {
                    prop_assert!((0..=MAX_DURATION).contains(&read.duration));
                    prop_assert_eq!(read.start.hour(), hour());
                    let again = read.to_string();
                    prop_assert_eq!(SegmentName::parse(hour(), &again), Ok(read));
                }
            }
        }
    }
}
