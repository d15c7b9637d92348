//! The parts of an address (RFC 3986), as far as libav takes them too.

/// An address in its parts. What is not understood the same by everybody is not taken: no backslash, no blank, no second
/// `@`, no fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// As it was given.
    pub whole: String,
    /// In lower case.
    pub scheme: String,
    /// It has `//` behind its scheme.
    pub has_authority: bool,
    /// User and password as they stand before the `@`.
    pub user: Option<String>,
    /// In lower case; IPv6 in its brackets; empty where there is none.
    pub host: String,
    pub port: Option<u16>,
    pub path: String,
    /// Behind the question mark.
    pub query: Option<String>,
}

impl Url {
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let sound = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(sound) {
            return None;
        }
        if rest.contains(['\\', '#', '<', '>', '"', ' ']) {
            return None;
        }
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query.to_owned())),
            None => (rest, None),
        };
        let mut url = Self {
            whole: text.to_owned(),
            scheme: scheme.to_ascii_lowercase(),
            has_authority: false,
            user: None,
            host: String::new(),
            port: None,
            path: rest.to_owned(),
            query,
        };
        let Some(rest) = rest.strip_prefix("//") else { return Some(url) };
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        (url.has_authority, url.path) = (true, path.to_owned());
        let host = match authority.rsplit_once('@') {
            Some((user, _)) if user.contains('@') => return None,
            Some((user, host)) => {
                url.user = Some(user.to_owned());
                host
            }
            None => authority,
        };
        let (host, port) = if host.starts_with('[') {
            let end = host.find(']')?;
            (&host[..=end], host[end + 1..].strip_prefix(':').or(Some("").filter(|_| host.len() == end + 1))?)
        } else {
            host.split_once(':').unwrap_or((host, ""))
        };
        if !port.is_empty() {
            url.port = Some(port.parse().ok()?);
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let named = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        let sound = if host.starts_with('[') {
            bare.parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            bare.bytes().all(named)
        };
        url.host = host.to_ascii_lowercase();
        sound.then_some(url)
    }
}
