//! Where a stream comes from, as it is asked for: an address or a push, and the options that go with it.
//!
//! Invariant: an address is only shown with its credentials taken out; [`Address`] has no other `Display`, and no `Debug` tells more.

mod address;
mod options;
mod redact;

pub use options::{Options, TimeSource, Transport};
pub use redact::redacted;

use crate::base::{Error, Kind, Result};
use address::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use std::net::IpAddr;

/// The longest address taken, in bytes.
const MAX_ADDRESS_BYTES: usize = 4096;

/// What a source is.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    Pull(Address),
    Push(Push),
}

/// How a source comes to us that is not fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Push {
    Rtmp,
    Srt,
    /// As the body of `PUT /streams/{id}/media`.
    Http,
}

/// A checked address.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

/// How libav is to be asked for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Rtsp,
    Rtmp,
    Srt,
    Http,
    Udp,
    File,
}

impl Address {
    /// # Errors
    /// `invalid-source` where `text` is no address of a live source.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |why: &str| Error::invalid("invalid-source", "source", format!("Bad source: {why}"));
        if text.len() > MAX_ADDRESS_BYTES {
            return Err(refuse("May not be longer than 4096 bytes"));
        }
        if text.chars().any(char::is_control) {
            return Err(refuse("May not contain control characters"));
        }
        // `udp://@:1234`, as players write "listen on this port", has an empty host.
        let text = text.replacen("://@", "://", 1);
        let anywhere = ["udp://:", "rtp://:"].iter().find(|it| text.starts_with(**it));
        let text = anywhere
            .map_or(text.clone(), |it| format!("{}0.0.0.0:{}", it.trim_end_matches(':'), &text[it.len()..]));
        let url = Url::parse(&text).ok_or_else(|| {
            refuse("Must be an address such as rtsp://HOST/PATH, srt://HOST:PORT or file:NAME")
        })?;
        let address = Self(url);
        let protocol = address.protocol().ok_or_else(|| {
            refuse("The scheme must be one of rtsp, rtsps, rtmp, rtmps, srt, udp, rtp, http, https, file")
        })?;
        if protocol == Protocol::File {
            if address.file_name().is_none() {
                return Err(refuse("A file is named as file:NAME, below the folder of live files"));
            }
            return Ok(address);
        }
        if address.host().is_empty() {
            return Err(refuse("The address has no host"));
        }
        let portless = matches!(protocol, Protocol::Udp | Protocol::Srt) && address.0.port.is_none();
        if portless {
            return Err(refuse("The address needs a port"));
        }
        Ok(address)
    }

    pub fn scheme(&self) -> &str {
        self.0.scheme.as_str()
    }

    pub fn protocol(&self) -> Option<Protocol> {
        Some(match self.0.scheme.as_str() {
            "rtsp" | "rtsps" => Protocol::Rtsp,
            "rtmp" | "rtmps" => Protocol::Rtmp,
            "srt" => Protocol::Srt,
            "http" | "https" => Protocol::Http,
            "udp" | "rtp" => Protocol::Udp,
            "file" => Protocol::File,
            _ => return None,
        })
    }

    pub fn is_encrypted(&self) -> bool {
        matches!(self.0.scheme.as_str(), "rtsps" | "rtmps" | "https")
    }

    /// Without the brackets of IPv6.
    pub fn host(&self) -> &str {
        self.0.host.trim_start_matches('[').trim_end_matches(']')
    }

    pub fn port(&self) -> u16 {
        let usual = match self.0.scheme.as_str() {
            "rtsp" => 554,
            "rtsps" => 322,
            "rtmp" => 1935,
            "rtmps" | "https" => 443,
            "http" => 80,
            _ => 0,
        };
        self.0.port.unwrap_or(usual)
    }

    /// The file below the folder of live files.
    pub fn file_name(&self) -> Option<String> {
        let path = percent_encoding::percent_decode_str(&self.0.path).decode_utf8().ok()?;
        let path = path.trim_start_matches('/');
        let plain =
            !path.is_empty() && path.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
        (plain && self.0.host.is_empty()).then(|| path.to_owned())
    }

    /// As libav is given it: with everything that is secret.
    pub fn secret(&self) -> &str {
        &self.0.whole
    }

    /// The same with each of these in place of the host's name, where nothing but the connection needs the name: certificates
    /// are made for it, and servers of HTTP and RTMP look at it.
    pub fn fixed(&self, to: &[IpAddr]) -> Vec<String> {
        /// More are not tried.
        const MOST: usize = 3;
        if to.is_empty() || !matches!(self.scheme(), "rtsp" | "srt") {
            return vec![self.0.whole.clone()];
        }
        let Url { scheme, user, port, path, query, .. } = &self.0;
        let user = user.as_ref().map_or(String::new(), |it| format!("{it}@"));
        let port = port.map_or(String::new(), |it| format!(":{it}"));
        let query = query.as_ref().map_or(String::new(), |it| format!("?{it}"));
        let host = |ip: &IpAddr| if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
        to.iter().take(MOST).map(|ip| format!("{scheme}://{user}{}{port}{path}{query}", host(ip))).collect()
    }
}

/// Without what is secret.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact::url(&self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pull(address) => address.fmt(f),
            Self::Push(push) => write!(f, "push over {}", push.name()),
        }
    }
}

impl Push {
    pub fn name(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::Srt => "srt",
            Self::Http => "http",
        }
    }
}

impl Source {
    /// Reads `"rtsp://…"` or `{"push": "rtmp"}`.
    pub fn from_json(value: &Value) -> Result<Self> {
        let wrong = || {
            let detail = "source must be an address, or {\"push\": \"rtmp\"}, {\"push\": \"srt\"}, {\"push\": \"http\"}";
            Error::new(Kind::Invalid, "invalid-source", detail).with_parameter("source")
        };
        match value {
            Value::String(text) => Address::parse(text).map(Self::Pull),
            Value::Object(fields) if fields.len() == 1 => {
                let push = fields.get("push").cloned().ok_or_else(wrong)?;
                serde_json::from_value(push).map(Self::Push).map_err(|_| wrong())
            }
            _ => Err(wrong()),
        }
    }

    /// As it is kept: with what is secret.
    pub fn to_secret_json(&self) -> Value {
        match self {
            Self::Pull(address) => json!(address.secret()),
            Self::Push(push) => json!({ "push": push.name() }),
        }
    }

    /// As it is shown.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Pull(address) => json!(address.to_string()),
            Self::Push(push) => json!({ "push": push.name() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_secrets() {
        for (text, shown, host, port) in [
            ("rtsp://cam.lan/live", "rtsp://cam.lan/live", "cam.lan", 554),
            ("rtsp://a:b%40@10.0.0.9:8554/x?ch=1", "rtsp://****:****@10.0.0.9:8554/x?ch=1", "10.0.0.9", 8554),
            ("rtsps://u@cam/x", "rtsps://****@cam/x", "cam", 322),
            (
                "http://h/p.m3u8?token=t&q=1&User=me&password=p",
                "http://h/p.m3u8?token=****&q=1&User=****&password=****",
                "h",
                80,
            ),
            ("rtmp://h/live/key?x=1", "rtmp://h/live/****?x=1", "h", 1935),
            (
                "srt://[fe80::1]:9000?passphrase=0123456789&mode=caller",
                "srt://[fe80::1]:9000?passphrase=****&mode=caller",
                "fe80::1",
                9000,
            ),
            ("udp://@:5000", "udp://0.0.0.0:5000", "0.0.0.0", 5000),
            ("udp://@239.1.2.3:5000", "udp://239.1.2.3:5000", "239.1.2.3", 5000),
        ] {
            let address = Address::parse(text).expect(text);
            assert_eq!((address.to_string().as_str(), address.host(), address.port()), (shown, host, port));
            assert_eq!(format!("{:?}", Source::Pull(address)), shown);
        }
        assert_eq!(Address::parse("rtsp://a:b@h/x").unwrap().secret(), "rtsp://a:b@h/x");
        assert_eq!(Address::parse("file:demo/live.ts").unwrap().file_name().as_deref(), Some("demo/live.ts"));
    }

    #[test]
    fn a_name_gives_way_to_what_was_checked_where_nobody_else_needs_it() {
        let to = ["10.0.0.9".parse().unwrap(), "fd00::9".parse().unwrap()];
        let fixed = |text: &str| Address::parse(text).unwrap().fixed(&to);
        assert_eq!(
            fixed("rtsp://a:b%40@Cam.lan:8554/x?ch=1"),
            ["rtsp://a:b%40@10.0.0.9:8554/x?ch=1", "rtsp://a:b%40@[fd00::9]:8554/x?ch=1"]
        );
        assert_eq!(fixed("srt://cam:9000?mode=caller")[0], "srt://10.0.0.9:9000?mode=caller");
        for text in ["rtsps://cam/x", "https://cam/x", "http://cam/x", "rtmp://cam/live/x"] {
            assert_eq!(fixed(text), [text]);
        }
        assert_eq!(Address::parse("rtsp://cam/x").unwrap().fixed(&[]), ["rtsp://cam/x"]);
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_repeated() {
        for text in [
            "",
            "cam",
            "ftp://h/x",
            "rtsp://",
            "rtsp:///x",
            "udp://239.0.0.1",
            "srt://h",
            "file:",
            "file:../x",
            "file:.x",
            "file://host/x",
            "concat:a|b",
            "subfile,,:x",
            "rtsp://secret\n/",
            "pipe:0",
            "/etc/passwd",
            "data:text/plain,x",
        ] {
            let error = Address::parse(text).expect_err(text);
            assert_eq!((error.code, error.kind), ("invalid-source", Kind::Invalid), "{text}");
            assert!(!error.detail.contains("secret"));
        }
        assert!(Address::parse(&format!("rtsp://h/{}", "x".repeat(5000))).is_err());
        for value in
            [json!({"push": "ftp"}), json!({"push": "srt", "x": 1}), json!(1), json!(null), json!({})]
        {
            assert_eq!(Source::from_json(&value).unwrap_err().code, "invalid-source");
        }
        assert_eq!(Source::from_json(&json!({"push": "srt"})).unwrap(), Source::Push(Push::Srt));
    }
}
