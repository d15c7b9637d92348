//! Sizes and durations as people write them: "256 MiB", "30 s", "10ms".

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes: "512 KiB", "1 GB", "4096".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// A length of time: "10 ms", "30 s", "5 min", "6 h".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(pub Duration);

/// Units from the largest, so that printing finds the one that divides evenly.
const SIZES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];
const LENGTHS: [(&str, u64); 7] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("min", 60_000),
    ("m", 60_000),
    ("s", 1_000),
    ("sec", 1_000),
    ("ms", 1),
];

/// The longest length of time: a century, so that no sum of two overflows a clock.
const LONGEST_MILLIS: u64 = 100 * 366 * 86_400_000;

/// Reads `number [unit]` into the smallest unit. The number may have a fraction.
fn parse(text: &str, units: &[(&str, u64)], default: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..split], text[split..].trim());
    let unit = if unit.is_empty() { default } else { unit };
    let factor = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    let value = number.parse::<f64>().ok()? * factor as f64;
    // 2^53: beyond it a float no longer names every whole number.
    (value.is_finite() && value < 9_007_199_254_740_992.0).then_some(value.round() as u64)
}

fn print(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    match units.iter().find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor)) {
        Some((name, factor)) => write!(f, "{} {name}", value / factor),
        None => write!(f, "{value} {}", units[units.len() - 1].0),
    }
}

impl FromStr for ByteSize {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        parse(text, &SIZES, "B").map(Self).ok_or_else(|| {
            format!("'{text}' is not a size; write one as \"256 MiB\" (B, kB, KiB, MB, MiB, GB, GiB)")
        })
    }
}

impl FromStr for Length {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        // A bare number has no unit, and guessing one has broken many a deployment; only zero needs none.
        let millis = if text.trim() == "0" { Some(0) } else { parse(text, &LENGTHS, "") };
        millis
            .filter(|millis| *millis <= LONGEST_MILLIS)
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or_else(|| {
                format!("'{text}' is not a length of time; write one as \"30 s\" (ms, s, min, h, d)")
            })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, self.0, &SIZES)
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, self.0.as_millis() as u64, &LENGTHS)
    }
}

macro_rules! as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

as_text!(ByteSize);
as_text!(Length);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        for (text, bytes) in [
            ("256 MiB", 256 << 20),
            ("1kb", 1000),
            ("4096", 4096),
            ("0.5 KiB", 512),
            (" 2 GB ", 2_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for (text, millis) in [
            ("10ms", 10),
            ("30 s", 30_000),
            ("1.5 s", 1500),
            ("6 h", 21_600_000),
            ("2 min", 120_000),
            ("0", 0),
        ] {
            assert_eq!(text.parse(), Ok(Length(Duration::from_millis(millis))), "{text}");
        }
        for bad in
            ["", "s", "-1 s", "1 fortnight", "1e9 s", "30", "99999999999999999999 d", "1.2.3 s", "NaN s"]
        {
            assert!(bad.parse::<Length>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(bytes: u64, millis in 0..=LONGEST_MILLIS) {
            prop_assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
            let length = Length(Duration::from_millis(millis));
            prop_assert_eq!(length.to_string().parse(), Ok(length));
        }
    }
}
