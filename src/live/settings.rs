//! What is asked of a stream, in its three forms: sent, kept and shown.

use super::retention::Rule;
use super::source::{Options, Source};
use crate::base::time::SECOND;
use crate::base::units::{ByteSize, Length};
use crate::base::{Channel, Error, Quality, Result};
use serde_json::{Map, Value, json};

/// Where a stream is kept in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub channel: Channel,
    pub quality: Quality,
}

/// Everything that is asked of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub source: Source,
    pub options: Options,
    /// Followed whether somebody watches or not.
    pub keepalive: bool,
    /// With its sound.
    pub audio: bool,
    /// As EXIF numbers them, 1 to 8.
    pub orientation: u8,
    pub record: Option<Record>,
    /// How much of what is recorded is kept.
    pub retention: Option<Rule>,
}

/// What may be sent.
const KEYS: [&str; 7] = ["source", "options", "keepalive", "audio", "orientation", "record", "retention"];

fn invalid(parameter: &str, detail: impl Into<String>) -> Error {
    Error::invalid("invalid-stream", parameter, detail)
}

impl Settings {
    pub fn new(source: Source) -> Self {
        Self {
            source,
            options: Options::default(),
            keepalive: false,
            audio: true,
            orientation: 1,
            record: None,
            retention: None,
        }
    }

    /// Reads a whole stream.
    ///
    /// # Errors
    /// The key at fault, and what it may be.
    pub fn from_json(value: &Value) -> Result<Self> {
        let fields = object(value)?;
        let source = fields.get("source").ok_or_else(|| invalid("source", "source is required"))?;
        Self::new(Source::from_json(source)?).with(fields)
    }

    /// These with the fields that are sent changed.
    pub fn patched(&self, value: &Value) -> Result<Self> {
        let fields = object(value)?;
        let mut changed = self.clone();
        if let Some(source) = fields.get("source") {
            changed.source = Source::from_json(source)?;
        }
        changed.with(fields)
    }

    fn with(mut self, fields: &Map<String, Value>) -> Result<Self> {
        for (key, value) in fields {
            let boolean =
                || value.as_bool().ok_or_else(|| invalid(key, format!("{key} must be true or false")));
            match key.as_str() {
                "source" => {}
                "options" => self.options = Options::from_json(value)?,
                "keepalive" => self.keepalive = boolean()?,
                "audio" => self.audio = boolean()?,
                "orientation" => {
                    let number = value.as_u64().filter(|it| (1..=8).contains(it));
                    let wrong =
                        || invalid(key, "orientation must be a whole number from 1 to 8, as EXIF has them");
                    self.orientation = number.ok_or_else(wrong)? as u8;
                }
                "record" => self.record = record(value)?,
                "retention" => self.retention = retention(value)?,
                _ => {
                    return Err(invalid(
                        key,
                        format!("there is no key {key}; there are {}", KEYS.join(", ")),
                    ));
                }
            }
        }
        if let Source::Push(push) = self.source {
            self.options.check_push(push)?;
        }
        Ok(self)
    }

    /// As it is kept, with what is secret.
    pub fn to_secret_json(&self) -> Value {
        self.write(self.source.to_secret_json(), &self.options)
    }

    /// As it is shown.
    pub fn to_json(&self) -> Value {
        self.write(self.source.to_json(), &self.options.redacted())
    }

    fn write(&self, source: Value, options: &Options) -> Value {
        let record = self.record.as_ref();
        let record =
            record.map(|it| json!({ "channel": it.channel.as_str(), "quality": it.quality.as_str() }));
        let retention = self.retention.map(|it| {
            let age = it.age.map(|micros| Length(std::time::Duration::from_micros(micros.max(0) as u64)));
            json!({ "age": age, "bytes": it.bytes.map(ByteSize) })
        });
        json!({
            "source": source,
            "options": options,
            "keepalive": self.keepalive,
            "audio": self.audio,
            "orientation": self.orientation,
            "record": record,
            "retention": retention,
        })
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>> {
    value.as_object().ok_or_else(|| invalid("body", "the body must be a JSON object"))
}

fn record(value: &Value) -> Result<Option<Record>> {
    let wrong = || invalid("record", "record must be null or {\"channel\": NAME, \"quality\": NAME}");
    let fields = match value {
        Value::Null => return Ok(None),
        Value::Object(fields) if fields.len() == 2 => fields,
        _ => return Err(wrong()),
    };
    let text = |key: &str| fields.get(key).and_then(Value::as_str).ok_or_else(wrong);
    Ok(Some(Record { channel: Channel::new(text("channel")?)?, quality: Quality::new(text("quality")?)? }))
}

fn retention(value: &Value) -> Result<Option<Rule>> {
    let wrong = |why: &str| {
        invalid(
            "retention",
            format!(
                "retention must be null or {{\"age\": \"7d\", \"bytes\": \"50GB\"}}, either or both{why}"
            ),
        )
    };
    let fields = match value {
        Value::Null => return Ok(None),
        Value::Object(fields) => fields,
        _ => return Err(wrong("")),
    };
    let mut rule = Rule::default();
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("age" | "bytes", Value::Null) => {}
            ("age", Value::String(text)) => {
                let length: Length = text.parse().map_err(|why: String| wrong(&format!(": {why}")))?;
                rule.age =
                    Some(i64::try_from(length.0.as_micros()).unwrap_or(i64::MAX)).filter(|it| *it >= SECOND);
                rule.age.ok_or_else(|| wrong(": an age is at least a second"))?;
            }
            ("bytes", Value::String(text)) => {
                let size: ByteSize = text.parse().map_err(|why: String| wrong(&format!(": {why}")))?;
                rule.bytes = Some(size.0);
            }
            ("bytes", Value::Number(number)) => rule.bytes = Some(number.as_u64().ok_or_else(|| wrong(""))?),
            _ => return Err(wrong("")),
        }
    }
    Ok(Some(rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back_and_what_is_shown_has_no_secrets() {
        let sent = json!({
            "source": "rtsp://me:secret@10.0.0.9/x?token=secret",
            "options": {"rtsp_transport": "udp", "headers": {"A": "secret"}},
            "keepalive": true, "audio": false, "orientation": 6,
            "record": {"channel": "cam", "quality": "source"},
            "retention": {"age": "7d", "bytes": "50GB"},
        });
        let settings = Settings::from_json(&sent).unwrap();
        assert_eq!(Settings::from_json(&settings.to_secret_json()).unwrap(), settings);
        assert!(!settings.to_json().to_string().contains("secret"));
        assert!(!format!("{settings:?}").contains("me:secret"));
        assert_eq!(
            settings.retention,
            Some(Rule { age: Some(604_800 * SECOND), bytes: Some(50_000_000_000) })
        );
        let patched = settings.patched(&json!({"orientation": 3, "record": null})).unwrap();
        assert_eq!((patched.orientation, &patched.record, patched.keepalive), (3, &None, true));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let base = |key: &str, value: Value| {
            let mut fields = json!({"source": "rtsp://10.0.0.9/x"});
            fields[key] = value;
            Settings::from_json(&fields).unwrap_err()
        };
        for (key, value, parameter) in [
            ("keepalive", json!("yes"), "keepalive"),
            ("orientation", json!(9), "orientation"),
            ("orientation", json!(1.5), "orientation"),
            ("record", json!({"channel": "a"}), "record"),
            ("record", json!({"channel": "../a", "quality": "b"}), "channel"),
            ("retention", json!({"age": 7}), "retention"),
            ("retention", json!({"age": "soon"}), "retention"),
            ("nope", json!(1), "nope"),
            ("options", json!({"nope": 1}), "options.nope"),
            ("source", json!({"push": "rtmp"}), "options.port"),
        ] {
            assert_eq!(base(key, value).parameter.as_deref(), Some(parameter), "{key}");
        }
        assert_eq!(Settings::from_json(&json!({})).unwrap_err().parameter.as_deref(), Some("source"));
        assert_eq!(Settings::from_json(&json!([])).unwrap_err().parameter.as_deref(), Some("body"));
    }
}
