//! `Range` (RFC 9110 §14), read into byte spans. Pure.

use std::ops::Range;

/// What a `Range` header asks of a body of a known length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Everything: no range, or a unit this server does not know, which must be ignored (§14.2).
    Whole,
    /// These spans, in the order asked for; none empty, none overlapping.
    Parts(Vec<Range<u64>>),
    /// Nothing that is there, or not a range at all; the reason.
    Refused(&'static str),
}

/// Parts of one answer; a player asks for one, a downloader for a few.
const MAX_PARTS: usize = 16;

/// Reads the header. A range set of the `bytes` unit that is malformed is refused, as §14.2 allows and the server
/// this one replaces does.
pub fn read(header: &str, length: u64) -> Wanted {
    let Some((unit, set)) = header.split_once('=') else {
        return Wanted::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    let mut parts = Vec::new();
    let mut count = 0;
    for item in set.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        count += 1;
        if count > MAX_PARTS {
            return Wanted::Refused("Too many ranges; at most 16 are answered at a time.");
        }
        match one(item, length) {
            Some(part) if part.is_empty() => {}
            Some(part) => parts.push(part),
            None => return Wanted::Refused("The Range header is malformed; write bytes=FIRST-LAST."),
        }
    }
    if count == 0 {
        return Wanted::Refused("The Range header is malformed; write bytes=FIRST-LAST.");
    }
    if parts.is_empty() {
        return Wanted::Refused("The range lies beyond the end.");
    }
    Wanted::Parts(apart(parts))
}

/// One `FIRST-LAST`, `FIRST-` or `-SUFFIX`; empty when it lies beyond the end.
fn one(item: &str, length: u64) -> Option<Range<u64>> {
    let (first, last) = item.split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than a u64 holds are beyond any end.
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    if first.is_empty() {
        return Some(length.saturating_sub(number(last)?)..length);
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some(first.min(length)..last.saturating_add(1).min(length))
}

/// Parts that overlap are joined, so that no byte is sent twice (§15.3.7.2); where none do, the order is kept.
fn apart(parts: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut sorted = parts.clone();
    sorted.sort_by_key(|part| part.start);
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
    for part in sorted {
        match joined.last_mut() {
            Some(before) if part.start < before.end => before.end = before.end.max(part.end),
            _ => joined.push(part),
        }
    }
    if joined.len() == parts.len() { parts } else { joined }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_clients_send() {
        let parts = |list: &[(u64, u64)]| Wanted::Parts(list.iter().map(|(a, b)| *a..*b).collect());
        for (header, wanted) in [
            ("bytes=0-187", parts(&[(0, 188)])),
            ("bytes=188-", parts(&[(188, 1000)])),
            ("bytes=-188", parts(&[(812, 1000)])),
            ("bytes=-5000", parts(&[(0, 1000)])),
            ("bytes=0-0", parts(&[(0, 1)])),
            ("BYTES = 0-1 , 5-6", parts(&[(0, 2), (5, 7)])),
            ("bytes=5-6,0-1", parts(&[(5, 7), (0, 2)])),
            ("bytes=0-9,5-20,3-3", parts(&[(0, 21)])),
            ("bytes=0-1,9999-", parts(&[(0, 2)])),
            ("bytes=990-99999999999999999999999", parts(&[(990, 1000)])),
            ("items=0-1", Wanted::Whole),
            ("nonsense", Wanted::Whole),
        ] {
            assert_eq!(read(header, 1000), wanted, "{header}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        let many = format!("bytes={}", (0..17).map(|n| format!("{n}-{n}")).collect::<Vec<_>>().join(","));
        for header in
            ["bytes=5-2", "bytes=abc", "bytes=", "bytes=,", "bytes=1000-", "bytes=-0", "bytes=--1", &many]
        {
            assert!(matches!(read(header, 1000), Wanted::Refused(_)), "{header}");
        }
        assert!(matches!(read("bytes=0-", 0), Wanted::Refused(_)));
    }

    proptest! {
        #[test]
        fn parts_lie_within_and_apart(header in "bytes=[0-9,-]{0,40}", length in 0u64..3000) {
            if let Wanted::Parts(parts) = read(&header, length) {
                let mut sorted = parts.clone();
                sorted.sort_by_key(|part| part.start);
                for part in &sorted {
                    prop_assert!(part.start < part.end && part.end <= length);
                }
                for pair in sorted.windows(2) {
                    prop_assert!(pair[0].end <= pair[1].start);
                }
            }
        }
    }
}
