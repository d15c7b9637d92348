//! What may stand in a URL as it is.

use crate::base::{Channel, Quality};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What a path component keeps as it is: the unreserved characters of RFC 3986 §2.3.
pub const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What may not stand in a query as it is (RFC 3986 §3.4), above all line ends, which would end the URL.
pub const QUERY: &AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The folder of a quality's segments: `/segments/CHANNEL/QUALITY/`.
pub fn segments(channel: &Channel, quality: &Quality) -> String {
    format!(
        "/segments/{}/{}/",
        utf8_percent_encode(channel.as_str(), PATH),
        utf8_percent_encode(quality.as_str(), PATH)
    )
}
