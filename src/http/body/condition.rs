//! Conditional requests (RFC 9110 §13): what the client already has.

use actix_web::http::header::{self, HeaderMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the conditions of a request come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Send it.
    Go,
    /// The client has it: 304.
    NotModified,
    /// It is not the one the client means: 412.
    Failed,
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn date(headers: &HeaderMap, name: header::HeaderName) -> Option<SystemTime> {
    text(headers, name).and_then(|value| httpdate::parse_http_date(value).ok())
}

/// HTTP dates count whole seconds.
fn whole_seconds(time: SystemTime) -> SystemTime {
    time.duration_since(UNIX_EPOCH).map_or(time, |since| UNIX_EPOCH + Duration::from_secs(since.as_secs()))
}

/// Does a list of entity tags hold `etag` (quoted)? Weak comparison takes `W/"x"` for `"x"`.
fn lists(list: &str, etag: &str, weak: bool) -> bool {
    list.trim() == "*"
        || list
            .split(',')
            .map(str::trim)
            .any(|one| one == etag || (weak && one.strip_prefix("W/") == Some(etag)))
}

/// Weighs the conditions in the order of §13.2.2. `etag` is quoted and strong.
pub fn weigh(headers: &HeaderMap, etag: &str, modified: Option<SystemTime>) -> Verdict {
    if let Some(list) = text(headers, header::IF_MATCH) {
        if !lists(list, etag, false) {
            return Verdict::Failed;
        }
    } else if let (Some(since), Some(modified)) = (date(headers, header::IF_UNMODIFIED_SINCE), modified)
        && whole_seconds(modified) > since
    {
        return Verdict::Failed;
    }
    if let Some(list) = text(headers, header::IF_NONE_MATCH) {
        if lists(list, etag, true) {
            return Verdict::NotModified;
        }
    } else if let (Some(since), Some(modified)) = (date(headers, header::IF_MODIFIED_SINCE), modified)
        && whole_seconds(modified) <= since
    {
        return Verdict::NotModified;
    }
    Verdict::Go
}

/// Whether `Range` counts: without `If-Range`, or when that names this very body (§13.1.5, strong comparison).
pub fn range_counts(headers: &HeaderMap, etag: &str, modified: Option<SystemTime>) -> bool {
    match text(headers, header::IF_RANGE) {
        None => !headers.contains_key(header::IF_RANGE),
        Some(one) if one.starts_with('"') || one.starts_with("W/") => one == etag,
        Some(_) => match (date(headers, header::IF_RANGE), modified) {
            (Some(date), Some(modified)) => whole_seconds(modified) == date,
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderName;

    const OLD: &str = "Sat, 01 Jan 2000 00:00:00 GMT";
    const AT: &str = "Sat, 09 Nov 2024 12:00:00 GMT";

    fn modified() -> Option<SystemTime> {
        httpdate::parse_http_date(AT).ok().map(|at| at + Duration::from_millis(700))
    }

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn conditions_come_to_a_verdict() {
        use header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
        for (pairs, verdict) in [
            (&[][..], Verdict::Go),
            (&[(IF_NONE_MATCH, "*")], Verdict::NotModified),
            (&[(IF_NONE_MATCH, "\"x\", W/\"a\"")], Verdict::NotModified),
            (&[(IF_NONE_MATCH, "\"x\"")], Verdict::Go),
            (&[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, AT)], Verdict::Go),
            (&[(IF_MODIFIED_SINCE, AT)], Verdict::NotModified),
            (&[(IF_MODIFIED_SINCE, OLD)], Verdict::Go),
            (&[(IF_MODIFIED_SINCE, "soon")], Verdict::Go),
            (&[(IF_MATCH, "\"x\"")], Verdict::Failed),
            (&[(IF_MATCH, "W/\"a\"")], Verdict::Failed),
            (&[(IF_MATCH, "\"a\"")], Verdict::Go),
            (&[(IF_UNMODIFIED_SINCE, OLD)], Verdict::Failed),
        ] {
            assert_eq!(weigh(&headers(pairs), "\"a\"", modified()), verdict, "{pairs:?}");
        }
    }

    #[test]
    fn if_range_must_name_this_very_body() {
        let counts = |value: &str| range_counts(&headers(&[(header::IF_RANGE, value)]), "\"a\"", modified());
        assert!(counts("\"a\"") && counts(AT) && range_counts(&headers(&[]), "\"a\"", None));
        assert!(!counts("\"b\"") && !counts("W/\"a\"") && !counts(OLD) && !counts("soon"));
    }
}
