//! The record: one JSON object a line, a request and the answer an earlier server gave to it.

use base64::Engine as _;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    pub id: String,
    pub group: String,
    pub method: String,
    pub target: String,
    pub http10: bool,
    pub request_headers: BTreeMap<String, String>,
    pub request_body: Option<String>,
    /// The same where it is no text, in base64.
    pub request_body_b64: Option<String>,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub complete: bool,
    pub body_len: u64,
    pub body_sha256: String,
    /// The body, where it was small.
    pub text: Option<String>,
    pub json_sorted: Option<Vec<String>>,
    pub png: Option<Picture>,
    pub stable_body: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Picture {
    pub width: u32,
    pub height: u32,
}

impl Entry {
    /// What was sent with the request.
    pub fn sent(&self) -> Vec<u8> {
        match &self.request_body_b64 {
            Some(text) => base64::engine::general_purpose::STANDARD.decode(text).expect("a body in base64"),
            None => self.request_body.clone().unwrap_or_default().into_bytes(),
        }
    }
}

pub fn read(file: &Path) -> Vec<Entry> {
    let text = std::fs::read_to_string(file).expect("the record is readable");
    let entries: Vec<Entry> = text
        .lines()
        .map(|line| {
            // json_sorted of /chat.json holds objects, which are compared as the text has them.
            let mut value: serde_json::Value =
                serde_json::from_str(line).expect("a line of the record is JSON");
            if value["json_sorted"].as_array().is_some_and(|list| list.iter().any(|name| !name.is_string())) {
                value["json_sorted"].take();
            }
            serde_json::from_value(value).expect("an entry has the known fields")
        })
        .collect();
    assert!(!entries.is_empty(), "the record is empty");
    entries
}

/// The path of a target, decoded, and the channel and quality it is about.
pub fn path_of(target: &str) -> String {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned()
}

/// The channel and, where there is one, the quality a target is about.
pub fn about(target: &str) -> (Option<String>, Option<String>) {
    let path = path_of(target);
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let route = parts.next().unwrap_or_default();
    let bare = |name: &str| {
        let known = [".m3u8", ".ts", ".png", ".jpg", ".mp4"];
        let suffix = known.iter().find(|suffix| name.ends_with(**suffix));
        name[..name.len() - suffix.map_or(0, |suffix| suffix.len())].to_owned()
    };
    let (first, second) = (parts.next(), parts.next());
    match route {
        "files" | "segments" | "generate_videos" => (first.map(str::to_owned), second.map(str::to_owned)),
        "extras" => (first.map(str::to_owned), None),
        "playlist" | "cut" | "frame" | "thumbnail" | "waveform" => match (first, second) {
            (Some(channel), Some(quality)) => (Some(channel.to_owned()), Some(bare(quality))),
            (Some(channel), None) => (Some(bare(channel)), None),
            _ => (None, None),
        },
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_tells_its_channel_and_quality() {
        let of = |target: &str| {
            let (channel, quality) = about(target);
            format!("{} {}", channel.unwrap_or("-".into()), quality.unwrap_or("-".into()))
        };
        assert_eq!(of("/files"), "- -");
        assert_eq!(of("//files?x=1"), "- -");
        assert_eq!(of("/files/chan%2f720p"), "chan 720p");
        assert_eq!(of("/segments/mess/360p/2024-11-09T12/45%3A00.ts"), "mess 360p");
        assert_eq!(of("/playlist/chan.m3u8?start=x/y"), "chan -");
        assert_eq!(of("/playlist/chan/720p.m3u8"), "chan 720p");
        assert_eq!(of("/frame/mess/360p.jpg"), "mess 360p");
        assert_eq!(of("/metrics/other"), "- -");
    }
}
