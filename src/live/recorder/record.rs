//! What is known of a recording.

use crate::base::time::SECOND;
use crate::base::{Error, Name, RecordingId, StreamId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The one state a recording is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Recording,
    /// It has come to its end and is being indexed.
    Finishing,
    Done,
    /// It did not come to the end that was asked for; what there is of it is a file, where there is any.
    Failed,
    /// Somebody took it back; there is no file.
    Cancelled,
}

impl State {
    pub const ALL: [Self; 5] = [Self::Recording, Self::Finishing, Self::Done, Self::Failed, Self::Cancelled];

    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recording => "recording",
            Self::Finishing => "finishing",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One file of a recording: a source whose tracks change goes on in another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Written {
    /// In the stream's folder of recordings.
    pub name: String,
    pub bytes: u64,
    /// In seconds.
    pub length: f64,
}

/// A recording, as it is kept and told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Recording {
    #[schema(value_type = String)]
    #[serde(with = "named")]
    pub id: RecordingId,
    #[schema(value_type = String)]
    #[serde(with = "named")]
    pub stream: StreamId,
    /// Of its file.
    pub name: String,
    pub state: State,
    /// Why it failed or ended early, as a stable word.
    pub cause: Option<String>,
    /// The same for people.
    pub detail: Option<String>,
    /// When it was asked for.
    #[schema(value_type = String)]
    pub created: Timestamp,
    /// When its first picture is shown; nothing was recorded yet without.
    #[schema(value_type = Option<String>)]
    pub start: Option<Timestamp>,
    /// Where it ended.
    #[schema(value_type = Option<String>)]
    pub end: Option<Timestamp>,
    /// Seconds that were asked for, after the moment it was asked; none: until it is stopped.
    pub duration: Option<f64>,
    /// Seconds that were asked for, before that moment.
    pub lookback: f64,
    /// Seconds there are.
    pub length: f64,
    pub bytes: u64,
    /// Tracks that MP4 has no form for, by their codecs.
    pub left_out: Vec<String>,
    /// How pictures are turned when they are shown, 1 to 8 as EXIF counts.
    pub orientation: u8,
    pub files: Vec<Written>,
}

/// Checked names as text.
mod named {
    use super::*;

    pub trait Named: Sized {
        fn text(&self) -> &str;
        fn read(text: &str) -> Result<Self, Error>;
    }

    impl Named for RecordingId {
        fn text(&self) -> &str {
            self.as_str()
        }
        fn read(text: &str) -> Result<Self, Error> {
            Self::new(text)
        }
    }

    impl Named for StreamId {
        fn text(&self) -> &str {
            self.as_str()
        }
        fn read(text: &str) -> Result<Self, Error> {
            Self::new(text)
        }
    }

    pub fn serialize<S: Serializer>(it: &impl Named, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(it.text())
    }

    pub fn deserialize<'de, T: Named, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        T::read(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// In microseconds; none: until it is stopped.
    pub duration: Option<i64>,
    pub lookback: i64,
}

/// The name of a file: one visible component that ends in `.mp4`, and leaves room for what is put before and behind it.
///
/// # Errors
/// `bad-name` and what [`Name::new`] says.
pub fn checked_name(text: &str) -> Result<Name, Error> {
    const LONGEST: usize = 200;
    let name = Name::new("name", text)?;
    let stem = text.strip_suffix(".mp4").filter(|it| !it.is_empty() && text.len() <= LONGEST);
    if stem.is_none() {
        let detail = "Bad name: Must end in .mp4 and have at most 200 bytes";
        return Err(Error::invalid("bad-name", "name", detail));
    }
    Ok(name)
}

/// The name of a recording that was given none.
pub fn given_name(stream: &StreamId, now: Timestamp) -> String {
    let stamp: String = now.to_string().chars().map(|it| if it == ':' { '-' } else { it }).collect();
    let stream: String = stream.as_str().chars().take(40).collect();
    format!("{stream}-{stamp}.mp4")
}

/// The name of the file after a change of tracks: `clip.2.mp4`.
pub fn numbered(name: &str, number: usize) -> String {
    let stem = name.strip_suffix(".mp4").unwrap_or(name);
    if number < 2 { name.to_owned() } else { format!("{stem}.{number}.mp4") }
}

pub fn seconds(micros: i64) -> f64 {
    micros as f64 / SECOND as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_folder() {
        assert_eq!(checked_name("clip one.mp4").unwrap().as_str(), "clip one.mp4");
        let long = format!("{}.mp4", "x".repeat(200));
        for bad in ["", ".mp4", "clip", "clip.mkv", "../clip.mp4", "a/b.mp4", "a\\b.mp4", ".clip.mp4", &long]
        {
            assert!(checked_name(bad).is_err(), "{bad}");
        }
        let (stream, now) = (StreamId::new("cam").unwrap(), Timestamp::from_micros(0));
        let given = given_name(&stream, now);
        assert_eq!(given, "cam-1970-01-01T00-00-00.000000.mp4");
        assert!(checked_name(&given).is_ok());
        assert_eq!((numbered("a.mp4", 1), numbered("a.mp4", 2)), ("a.mp4".into(), "a.2.mp4".into()));
    }
}
