//! Parameters that HTTP and the command line share, from words into values.

use crate::base::time::SECOND;
use crate::base::{Error, Result};

/// One of some words; `default` where there is none.
///
/// # Errors
/// `invalid-choice`, with the words there are.
pub fn choice<T: Copy>(parameter: &str, text: Option<&str>, default: T, all: &[(&str, T)]) -> Result<T> {
    let Some(text) = text else { return Ok(default) };
    all.iter().find(|(name, _)| *name == text).map(|it| it.1).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|it| it.0).collect();
        Error::invalid(
            "invalid-choice",
            parameter,
            format!("{parameter} must be one of: {}", names.join(", ")),
        )
    })
}

/// A whole number from `least` to `most`.
///
/// # Errors
/// `invalid-number`, with what is allowed.
pub fn number(parameter: &str, text: Option<&str>, least: u32, most: u32) -> Result<Option<u32>> {
    let Some(text) = text else { return Ok(None) };
    let digits = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let value = text.parse().ok().filter(|it| digits && (least..=most).contains(it));
    value.map(Some).ok_or_else(|| {
        let detail = format!("{parameter} must be a whole number from {least} to {most}");
        Error::invalid("invalid-number", parameter, detail)
    })
}

/// Seconds with a fraction, in microseconds, from `least` to `most`.
///
/// # Errors
/// `invalid-number`, with what is allowed.
pub fn seconds(parameter: &str, text: Option<&str>, least: i64, most: i64) -> Result<Option<i64>> {
    let Some(text) = text else { return Ok(None) };
    let plain = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit() || it == b'.');
    let value = text.parse::<f64>().ok().filter(|_| plain).map(|it| (it * SECOND as f64).round() as i64);
    value.filter(|it| (least..=most).contains(it)).map(Some).ok_or_else(|| {
        let shown = |micros: i64| micros as f64 / SECOND as f64;
        let detail = format!("{parameter} must be seconds from {} to {}", shown(least), shown(most));
        Error::invalid("invalid-number", parameter, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_plain_numbers_in_bounds() {
        let read = |text| seconds("interval", Some(text), SECOND, 3600 * SECOND).ok().flatten();
        for (text, micros) in [
            ("1", Some(SECOND)),
            ("2.5", Some(2_500_000)),
            ("3600", Some(3600 * SECOND)),
            ("0.999999", None),
            ("3601", None),
            ("", None),
            ("-5", None),
            ("1e3", None),
            ("inf", None),
            ("nan", None),
            (".", None),
        ] {
            assert_eq!(read(text), micros, "{text:?}");
        }
        let error = seconds("interval", Some("x"), SECOND, 60 * SECOND).unwrap_err();
        assert_eq!(error.detail, "interval must be seconds from 1 to 60");
    }
}
