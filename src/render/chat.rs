//! Chat: batches of a minute each, one message a line, written by several recorders at once; merged, each message
//! stands once.

use super::bytes::Made;
use super::{Render, within};
use crate::archive::Archive;
use crate::base::time::{MINUTE, SECOND};
use crate::base::{Channel, Error, Hour, Kind, Name, Quality, Result, Span, Timestamp, Token};
use crate::config::Length;
use serde_json::{Map, Number, Value};
use std::collections::HashMap;
use std::io::Read as _;
use std::time::Duration;

const MAX_SPAN: Length = Length(Duration::from_secs(2 * 3600));
/// The quality that holds it.
const QUALITY: &str = "chat";
/// How long a batch is. A message whose time is known to a minute alone may lie in the batch before its own.
const BATCH: i64 = MINUTE;
/// Bytes of batches read for one answer: two hours of the busiest chats have a tenth of that.
const MAX_BYTES: u64 = 256 << 20;

/// What differs between two recordings of one message.
const OF_THE_RECORDER: [&str; 3] = ["receivers", "time", "time_range"];

#[derive(Debug, Clone, PartialEq)]
struct Message(Map<String, Value>);

impl Message {
    fn number(&self, key: &str) -> f64 {
        self.0.get(key).and_then(Value::as_f64).unwrap_or(0.0)
    }

    /// Seconds since 1970 between which it was sent.
    fn sent(&self) -> (f64, f64) {
        let time = self.number("time");
        (time, time + self.number("time_range"))
    }

    /// Everything but what differs between recorders.
    fn word(&self) -> String {
        let mut rest = self.0.clone();
        for key in OF_THE_RECORDER {
            rest.remove(key);
        }
        Value::Object(rest).to_string()
    }

    /// Takes over what another recording of the same message knows; false where the times say it is another one.
    fn merge(&mut self, other: &Self) -> bool {
        let (own, theirs) = (self.sent(), other.sent());
        let (from, to) = (own.0.max(theirs.0), own.1.min(theirs.1));
        if from > to {
            return false;
        }
        if from > own.0 {
            self.0.insert("time".into(), other.0.get("time").cloned().unwrap_or(Value::Null));
        }
        if to - from < self.number("time_range") {
            let range = Number::from_f64(to - from).map_or(Value::from(0), Value::Number);
            self.0.insert("time_range".into(), range);
        }
        if let (Some(Value::Object(own)), Some(Value::Object(theirs))) =
            (self.0.get_mut("receivers"), other.0.get("receivers"))
        {
            own.extend(theirs.iter().map(|(name, at)| (name.clone(), at.clone())));
        }
        true
    }
}

/// Messages of any number of batches, each once.
#[derive(Default)]
struct Merged {
    messages: Vec<Message>,
    by_word: HashMap<String, Vec<usize>>,
}

impl Merged {
    /// Adds a batch. What says the same twice in one batch was said twice.
    fn add(&mut self, batch: impl Iterator<Item = Message>) {
        let before = self.messages.len();
        let mut taken = Vec::new();
        for message in batch {
            let same = self.by_word.entry(message.word()).or_default();
            let found = same
                .iter()
                .copied()
                .find(|at| *at < before && !taken.contains(at) && self.messages[*at].merge(&message));
            match found {
                Some(at) => taken.push(at),
                None => {
                    same.push(self.messages.len());
                    self.messages.push(message);
                }
            }
        }
    }

    /// Those that may have been sent in `span`, by time.
    fn within(self, span: Span) -> Vec<Value> {
        let seconds = |at: Timestamp| at.micros() as f64 / SECOND as f64;
        let (start, end) = (seconds(span.start), seconds(span.end));
        let mut chosen = self.messages;
        chosen.retain(|it| start <= it.sent().1 && it.sent().0 < end);
        chosen.sort_by(|a, b| {
            a.sent().0.total_cmp(&b.sent().0).then(a.number("time_range").total_cmp(&b.number("time_range")))
        });
        chosen.into_iter().map(|it| Value::Object(it.0)).collect()
    }
}

/// The lines of a batch that are messages.
fn lines(text: &str) -> impl Iterator<Item = Message> + '_ {
    text.lines().filter_map(|line| match serde_json::from_str(line) {
        Ok(Value::Object(message)) => Some(Message(message)),
        _ => None,
    })
}

/// When a batch begins by its name: `MM:SS-HASH.json`, with a fraction or without.
fn begins(hour: Hour, name: &str) -> Option<Timestamp> {
    let clock = name.strip_suffix(".json")?.split('-').next()?;
    Timestamp::parse("batch", &format!("{hour}:{clock}")).ok()
}

fn read(archive: &Archive, channel: &Channel, span: Span, token: &Token) -> Result<Merged> {
    let quality = Quality::new(QUALITY)?;
    let around = Span::new(span.start + -2 * BATCH, span.end + BATCH);
    let (mut merged, mut left) = (Merged::default(), MAX_BYTES);
    let mut hour = around.start.hour();
    while hour.start() < around.end {
        let folder = Name::new("hour", &hour.to_string())?;
        for name in archive.files(channel, &quality, &folder, false)? {
            if !begins(hour, &name).is_some_and(|at| around.contains(at)) {
                continue;
            }
            token.check()?;
            let path = [
                Name::new("channel", channel.as_str())?,
                Name::new("quality", QUALITY)?,
                folder.clone(),
                Name::new("file", &name)?,
            ];
            let file = match archive.open_file(&path) {
                Ok(open) => open.file,
                // Replaced by one of more recorders since it was listed.
                Err(error) if error.kind == Kind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let mut text = Vec::new();
            let got = file.take(left).read_to_end(&mut text);
            left -= got.map_err(|fault| Error::io("a batch of chat cannot be read", &fault))? as u64;
            if left == 0 {
                let detail = format!("the range holds more than {} MiB of chat", MAX_BYTES >> 20);
                return Err(Error::new(Kind::Invalid, "too-much-chat", detail).with_parameter("end"));
            }
            merged.add(lines(&String::from_utf8_lossy(&text)));
        }
        hour = hour.next();
    }
    Ok(merged)
}

impl Render {
    /// The chat of a span, as JSON.
    ///
    /// # Errors
    /// `empty-range`, `range-too-long`.
    pub async fn chat(&self, channel: Channel, span: Span) -> Result<Made> {
        if span.is_empty() {
            return Err(Error::invalid("empty-range", "end", "End must be after start"));
        }
        within(span, MAX_SPAN, "Range of chat")?;
        self.ask(move |archive, token| {
            let messages = read(archive, &channel, span, token)?.within(span);
            let text = serde_json::to_vec(&messages);
            Ok(Made::new(text.map_err(|it| Error::internal("an answer cannot be written").with_cause(it))?))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::HOUR;

    fn told(batches: &[&str], span: (i64, i64)) -> Vec<Value> {
        let mut merged = Merged::default();
        for batch in batches {
            merged.add(lines(batch));
        }
        let at = |seconds: i64| Timestamp::from_micros(seconds * SECOND);
        merged.within(Span::new(at(span.0), at(span.1)))
    }

    #[test]
    fn a_message_of_two_recorders_stands_once() {
        let one = r#"{"command":"PRIVMSG","params":["hello"],"receivers":{"a":10.2},"tags":{"id":"x"},"time":10.0,"time_range":0}
{"command":"JOIN","user":"u","receivers":{"a":20},"time":18,"time_range":4}
no message"#;
        let two = r#"{"command":"PRIVMSG","params":["hello"],"receivers":{"b":10.3},"tags":{"id":"x"},"time":10.0,"time_range":0}
{"command":"JOIN","user":"u","receivers":{"b":21},"time":20,"time_range":4}
{"command":"JOIN","user":"u","receivers":{"b":31},"time":30,"time_range":4}"#;
        let merged = told(&[one, two], (0, 100));
        assert_eq!(merged.len(), 3, "{merged:?}");
        assert_eq!(merged[0]["receivers"], serde_json::json!({"a": 10.2, "b": 10.3}));
        assert_eq!((merged[1]["time"].as_f64(), merged[1]["time_range"].as_f64()), (Some(20.0), Some(2.0)));
        assert_eq!(merged[2]["time"], 30);
        assert_eq!(told(&[two, one], (0, 100)), merged, "in whatever order they are read");
        assert_eq!(told(&[one, two, two], (0, 100)), merged, "however often");
    }

    #[test]
    fn what_is_said_twice_in_a_batch_was_said_twice() {
        let batch = "{\"command\":\"PART\",\"time\":5,\"time_range\":10}\n{\"command\":\"PART\",\"time\":5,\"time_range\":10}";
        assert_eq!(told(&[batch], (0, 100)).len(), 2);
        assert_eq!(told(&[batch, batch], (0, 100)).len(), 2);
        // It may have been sent at 15 and is not sent at 5 any more.
        assert_eq!(told(&[batch], (15, 16)).len(), 2);
        assert_eq!(told(&[batch], (16, 17)).len(), 0);
        assert_eq!(told(&[batch], (0, 5)).len(), 0);
    }

    #[test]
    fn batches_tell_when_they_begin() {
        let hour = Timestamp::from_micros(11 * HOUR).hour();
        assert_eq!(begins(hour, "50:00-abc_-x.json"), Some(Timestamp::from_micros(11 * HOUR + 50 * MINUTE)));
        assert_eq!(begins(hour, "50:00.5-abc.json").map(|it| it.micros() % SECOND), Some(500_000));
        assert_eq!(begins(hour, "50:00-abc.ts"), None);
        assert_eq!(begins(hour, "x.json"), None);
    }
}
