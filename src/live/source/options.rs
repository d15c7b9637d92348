//! The options of a source: what may be said, what libav is told.

use super::{Address, Protocol, Push};
use crate::base::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// How RTSP's media come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    Tcp,
    Udp,
    UdpMulticast,
    Http,
}

/// Which clock says what wall time a sample has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeSource {
    /// The source's, where it tells one that is not far from ours.
    #[default]
    Auto,
    /// The source's, however far it is off.
    Source,
    /// Ours, at its arrival.
    Arrival,
}

/// What may be said of a source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// RTSP: tcp, udp, udp_multicast or http. Without it TCP is tried first.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtsp_transport: Option<Transport>,
    /// Times of arrival instead of the source's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_wallclock_as_timestamps: Option<bool>,
    /// Refuse a host whose certificate is not trusted. Cameras sign their own, so it is off unless asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_ssl: Option<bool>,
    /// Seconds more that a request for a part that is not there yet may wait, at most 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_part_wait_time: Option<f64>,
    /// HTTP: who we say we are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// HTTP: headers to send. Their values are never shown.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Seconds until the source has to have answered, 0.1 to 300.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<f64>,
    /// Seconds from then to the first picture, 0.1 to 300.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_frame_timeout: Option<f64>,
    /// Seconds without a picture after which the source is taken for lost, 0.1 to 3600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall_timeout: Option<f64>,
    /// Files: begin again at the end. True unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#loop: Option<bool>,
    /// Files: as fast as they are shown, not as fast as they can be read. True unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pace: Option<bool>,
    /// auto, source or arrival: whose clock tells wall times.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<TimeSource>,
    /// Push over RTMP or SRT: the port to listen on, 1024 to 65535.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// SRT: the passphrase, 10 to 79 bytes. Never shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<String>,
    /// SRT: the identifier to ask for. Never shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<String>,
    /// SRT: milliseconds a lost packet may take to come again, 20 to 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<u32>,
}

/// What stands for a value that is not shown.
const STARS: &str = "****";

fn invalid(key: &str, why: &str) -> Error {
    let detail = format!("Invalid stream options: {why}");
    Error::new(Kind::Invalid, "invalid-options", detail).with_parameter(format!("options.{key}"))
}

impl Options {
    /// Reads what somebody sent.
    ///
    /// # Errors
    /// `invalid-options`, "Invalid stream options: …", naming the key.
    pub fn from_json(value: &Value) -> Result<Self> {
        let whole = match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(fields) => fields,
            _ => return Err(invalid("", "options must be an object")),
        };
        for (key, value) in whole {
            // Alone, so that a fault is blamed on its key; serde's words may hold values, so only its word on keys is kept.
            let one: Map<String, Value> = [(key.clone(), value.clone())].into_iter().collect();
            if let Err(fault) = serde_json::from_value::<Self>(Value::Object(one)) {
                let fault = fault.to_string();
                let why = match fault.strip_prefix("unknown field ") {
                    Some(rest) => format!("there is no key {rest}"),
                    None => format!("{key} has a value of the wrong kind"),
                };
                return Err(invalid(key, &why));
            }
        }
        let options: Self =
            serde_json::from_value(value.clone()).map_err(|_| invalid("", "options must be an object"))?;
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<()> {
        let seconds = |key: &str, value: Option<f64>, low: f64, high: f64| match value {
            Some(it) if !(low..=high).contains(&it) => {
                Err(invalid(key, &format!("{key} must lie between {low} and {high} seconds")))
            }
            _ => Ok(()),
        };
        seconds("extra_part_wait_time", self.extra_part_wait_time, f64::MIN_POSITIVE, 60.0)?;
        seconds("connect_timeout", self.connect_timeout, 0.1, 300.0)?;
        seconds("first_frame_timeout", self.first_frame_timeout, 0.1, 300.0)?;
        seconds("stall_timeout", self.stall_timeout, 0.1, 3600.0)?;
        if self.port.is_some_and(|it| it < 1024) {
            return Err(invalid("port", "port must lie between 1024 and 65535"));
        }
        if self.latency.is_some_and(|it| !(20..=10_000).contains(&it)) {
            return Err(invalid("latency", "latency must lie between 20 and 10000 milliseconds"));
        }
        if self.passphrase.as_ref().is_some_and(|it| !(10..=79).contains(&it.len())) {
            return Err(invalid("passphrase", "passphrase must have 10 to 79 bytes"));
        }
        let plain = |text: &str| text.len() <= 512 && !text.chars().any(char::is_control);
        let texts = [
            ("user_agent", &self.user_agent),
            ("stream_id", &self.stream_id),
            ("passphrase", &self.passphrase),
        ];
        for (key, text) in texts {
            if text.as_ref().is_some_and(|it| !plain(it)) {
                return Err(invalid(key, &format!("{key} must be a line of at most 512 bytes")));
            }
        }
        let token = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if self.headers.len() > 16 || self.headers.iter().any(|(name, value)| !token(name) || !plain(value)) {
            return Err(invalid(
                "headers",
                "headers must be at most 16 names with lines of at most 512 bytes",
            ));
        }
        Ok(())
    }

    /// Those of a source that cannot be used with it would be silently without effect.
    pub fn check_push(&self, push: Push) -> Result<()> {
        match push {
            Push::Rtmp | Push::Srt if self.port.is_none() => {
                Err(invalid("port", "a source that is pushed over RTMP or SRT needs the port to listen on"))
            }
            _ => Ok(()),
        }
    }

    /// As they are shown.
    pub fn redacted(&self) -> Self {
        let mut shown = self.clone();
        shown.headers.values_mut().for_each(|it| *it = STARS.into());
        for secret in [&mut shown.passphrase, &mut shown.stream_id] {
            *secret = secret.take().map(|_| STARS.into());
        }
        shown
    }

    /// What libav is told to fetch `address`, and which of it must not be without effect.
    pub fn for_libav(
        &self,
        address: &Address,
        connect: Duration,
    ) -> (Vec<(&'static str, String)>, &'static [&'static str]) {
        let mut told: Vec<(&'static str, String)> = Vec::new();
        let micros = connect.as_micros().to_string();
        if self.use_wallclock_as_timestamps == Some(true) {
            told.push(("use_wallclock_as_timestamps", "1".into()));
        }
        match address.protocol() {
            Some(Protocol::Rtsp) => {
                told.push(("rtsp_flags", "prefer_tcp".into()));
                told.push(("timeout", micros));
                told.push(("allowed_media_types", "video+audio".into()));
                if let Some(transport) = self.rtsp_transport {
                    told.push(("rtsp_transport", transport.name().into()));
                }
            }
            Some(Protocol::Http) => {
                told.push(("rw_timeout", micros));
                told.extend(self.user_agent.clone().map(|it| ("user_agent", it)));
                if !self.headers.is_empty() {
                    let lines = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
                    told.push(("headers", lines.collect()));
                }
            }
            Some(Protocol::Srt) => self.for_srt(&mut told, connect),
            // A fifo that ran over loses packets; that is no reason to give the source up.
            Some(Protocol::Udp) => told.push(("overrun_nonfatal", "1".into())),
            Some(Protocol::Rtmp) => told.push(("rtmp_live", "live".into())),
            Some(Protocol::File) | None => {}
        }
        let verify = self.verify_ssl == Some(true);
        if address.is_encrypted() {
            told.push(("tls_verify", if verify { "1" } else { "0" }.into()));
        }
        (told, if verify && address.is_encrypted() { &["tls_verify"] } else { &[] })
    }

    /// What libav is told to wait for somebody who pushes.
    pub fn for_listening(&self, push: Push) -> Vec<(&'static str, String)> {
        let mut told = Vec::new();
        match push {
            Push::Rtmp => told.push(("listen", "1".into())),
            Push::Srt => {
                told.push(("mode", "listener".into()));
                self.for_srt(&mut told, Duration::from_secs(3600));
            }
            Push::Http => {}
        }
        told
    }

    fn for_srt(&self, told: &mut Vec<(&'static str, String)>, connect: Duration) {
        told.push(("connect_timeout", connect.as_millis().to_string()));
        told.extend(self.passphrase.clone().map(|it| ("passphrase", it)));
        told.extend(self.stream_id.clone().map(|it| ("streamid", it)));
        // libav counts it in microseconds.
        told.extend(self.latency.map(|it| ("latency", (u64::from(it) * 1000).to_string())));
    }
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::UdpMulticast => "udp_multicast",
            Self::Http => "http",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(url: &str, options: Value) -> BTreeMap<&'static str, String> {
        let address = Address::parse(url).unwrap();
        Options::from_json(&options)
            .unwrap()
            .for_libav(&address, Duration::from_secs(5))
            .0
            .into_iter()
            .collect()
    }

    #[test]
    fn what_libav_is_told() {
        let rtsp = told("rtsp://h/x", json!({}));
        assert_eq!((rtsp["rtsp_flags"].as_str(), rtsp["timeout"].as_str()), ("prefer_tcp", "5000000"));
        let udp = told("rtsp://h/x", json!({"rtsp_transport": "udp", "use_wallclock_as_timestamps": true}));
        assert_eq!((udp["rtsp_transport"].as_str(), udp["rtsp_flags"].as_str()), ("udp", "prefer_tcp"));
        assert_eq!(udp["use_wallclock_as_timestamps"], "1");
        assert_eq!(told("rtsps://h/x", json!({}))["tls_verify"], "0");
        assert_eq!(told("https://h/x", json!({"verify_ssl": true}))["tls_verify"], "1");
        assert!(!told("rtsp://h/x", json!({"verify_ssl": true})).contains_key("tls_verify"));
        assert_eq!(told("http://h/x", json!({"headers": {"X-A": "b"}}))["headers"], "X-A: b\r\n");
        assert_eq!(told("srt://h:1", json!({"latency": 200}))["latency"], "200000");
        assert!(!told("rtmp://h/a/b", json!({})).contains_key("timeout"), "there it means to listen");
    }

    #[test]
    fn what_is_not_known_or_wrong_is_refused_by_its_key() {
        for (options, parameter) in [
            (json!({"rtsp_transprt": "tcp"}), "options.rtsp_transprt"),
            (json!({"rtsp_transport": "carrier pigeon"}), "options.rtsp_transport"),
            (json!({"verify_ssl": "yes"}), "options.verify_ssl"),
            (json!({"extra_part_wait_time": 0}), "options.extra_part_wait_time"),
            (json!({"extra_part_wait_time": -1.0}), "options.extra_part_wait_time"),
            (json!({"connect_timeout": 1e9}), "options.connect_timeout"),
            (json!({"port": 80}), "options.port"),
            (json!({"port": 80000}), "options.port"),
            (json!({"headers": {"A b": "x"}}), "options.headers"),
            (json!({"headers": {"A": "x\r\nB: y"}}), "options.headers"),
            (json!({"passphrase": "short"}), "options.passphrase"),
            (json!([]), "options."),
        ] {
            let error = Options::from_json(&options).unwrap_err();
            assert!(error.detail.starts_with("Invalid stream options"), "{}", error.detail);
            assert_eq!((error.code, error.parameter.as_deref()), ("invalid-options", Some(parameter)));
        }
        assert!(Options::default().check_push(Push::Rtmp).is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        let all = json!({"passphrase": "0123456789", "stream_id": "u=me", "headers": {"Authorization": "Basic x"}, "port": 2000});
        let shown = serde_json::to_value(Options::from_json(&all).unwrap().redacted()).unwrap();
        assert_eq!(
            shown,
            json!({"passphrase": "****", "stream_id": "****", "headers": {"Authorization": "****"}, "port": 2000})
        );
    }
}
