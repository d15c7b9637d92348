//! What is secret in an address.

use super::address::Url;

const STARS: &str = "****";

/// Keys of a query whose values are secret, in lower case.
const SECRET_KEYS: [&str; 19] = [
    "auth",
    "user",
    "username",
    "usr",
    "password",
    "passwd",
    "pass",
    "pwd",
    "token",
    "access_token",
    "key",
    "apikey",
    "api_key",
    "secret",
    "sig",
    "signature",
    "passphrase",
    "streamid",
    "authorization",
];

/// An address as it may be shown.
pub fn url(url: &Url) -> String {
    let mut shown = format!("{}:", url.scheme);
    if url.has_authority {
        shown.push_str("//");
        match url.user.as_deref() {
            Some(user) if user.contains(':') => shown.push_str("****:****@"),
            Some(_) => shown.push_str("****@"),
            None => {}
        }
        shown.push_str(&url.host);
        if let Some(port) = url.port {
            shown.push_str(&format!(":{port}"));
        }
    }
    // The last word of RTMP's path is the key of whoever publishes.
    match url.path.rsplit_once('/') {
        Some((before, last)) if url.scheme.starts_with("rtmp") && !last.is_empty() => {
            shown.push_str(&format!("{before}/{STARS}"));
        }
        _ => shown.push_str(&url.path),
    }
    if let Some(query) = &url.query {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((key, _)) if SECRET_KEYS.contains(&key.to_ascii_lowercase().as_str()) => {
                format!("{key}={STARS}")
            }
            _ => pair.to_owned(),
        });
        shown.push('?');
        shown.push_str(&pairs.collect::<Vec<_>>().join("&"));
    }
    shown
}

/// A text with every address in it as it may be shown: for what other people's code says.
pub fn redacted(text: &str) -> String {
    let words = text.split_inclusive(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '<' | '>'));
    let mut shown = String::new();
    for word in words {
        let end = word
            .trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '<' | '>' | ',' | ')'));
        let parsed = if end.contains("://") { Url::parse(end) } else { None };
        match parsed {
            Some(parsed) => {
                shown.push_str(&url(&parsed));
                shown.push_str(&word[end.len()..]);
            }
            None if end.contains("://") => shown.push_str(STARS),
            None => shown.push_str(word),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn addresses_inside_of_texts_lose_their_secrets() {
        for (text, shown) in [
            ("no address", "no address"),
            ("opening 'rtsp://a:b@h/x' failed", "opening 'rtsp://****:****@h/x' failed"),
            ("http://h/?auth=1&ok=2, then", "http://h/?auth=****&ok=2, then"),
            ("x ://y", "x ****"),
        ] {
            assert_eq!(redacted(text), shown);
        }
    }
}
