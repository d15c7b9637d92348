//! One recorded answer against one of ours.

use super::archive::{Archive, mask};
use super::playlist::{self, Media};
use super::record::{Entry, path_of};
use super::wire::{Answer, header};
use sha2::{Digest, Sha256};
use std::io::Read;

/// What two answers can differ in, as the table of docs/api.md names it.
pub const ASPECTS: &[&str] = &["status", "headers", "type", "json", "playlist", "png", "body"];

#[derive(Debug)]
pub struct Difference {
    pub aspect: &'static str,
    pub here: String,
    pub there: String,
}

fn differs(aspect: &'static str, here: impl Into<String>, there: impl Into<String>) -> Difference {
    Difference { aspect, here: here.into(), there: there.into() }
}

const CORS: &[&str] = &[
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Headers",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Credentials",
    "Access-Control-Max-Age",
];

pub fn compare(entry: &Entry, answer: &Answer, archive: &Archive) -> Vec<Difference> {
    if answer.status != entry.status {
        return vec![differs("status", answer.status.to_string(), entry.status.to_string())];
    }
    let mut found = Vec::new();
    headers(entry, answer, archive, &mut found);
    if !answer.complete && entry.complete {
        found.push(differs("body", format!("cut off after {} bytes", answer.body.len()), "whole"));
    }
    if (200..300).contains(&entry.status) && entry.method != "OPTIONS" {
        content_type(entry, answer, &mut found);
        if entry.method == "GET" || entry.group == "thumbnail" {
            body(entry, answer, archive, &mut found);
        }
    }
    found
}

fn headers(entry: &Entry, answer: &Answer, archive: &Archive, found: &mut Vec<Difference>) {
    let recorded = |name: &str| header(&entry.headers, name);
    let mut same = |name: &str, normal: &dyn Fn(&str) -> String| {
        let Some(there) = recorded(name) else { return };
        let here = answer.header(name).unwrap_or("(none)");
        if normal(here) != normal(there) {
            found.push(differs("headers", format!("{name}: {here}"), there));
        }
    };
    let list = |text: &str| {
        let mut words: Vec<String> = text.split(',').map(|word| word.trim().to_ascii_uppercase()).collect();
        words.sort();
        words.join(",")
    };
    for name in CORS {
        same(name, &list);
    }
    same("Allow", &list);
    // Only where the bytes are a file's: elsewhere the same content may be written in another length.
    if entry.group == "segments" && entry.status < 300 && archive.exact {
        same("Accept-Ranges", &str::to_owned);
        same("Content-Range", &str::to_owned);
        if answer.header("Content-Length").is_some() && answer.header("Content-Encoding").is_none() {
            same("Content-Length", &str::to_owned);
        }
    }
    if entry.status == 416 && archive.exact {
        same("Content-Range", &str::to_owned);
    }
    same("Location", &|text| {
        let after =
            text.split_once("://").map_or(text, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
        after.to_owned()
    });
}

/// The record's types are what a framework guessed; here they are checked for being right.
fn content_type(entry: &Entry, answer: &Answer, found: &mut Vec<Difference>) {
    if entry.status == 204 {
        return;
    }
    let path = path_of(&entry.target);
    let right: &[&str] = match entry.group.as_str() {
        "files" | "chat" | "extras" => &["application/json"],
        "master" | "media" => &["application/vnd.apple.mpegurl"],
        "cut" if path.ends_with(".ts") => &["video/mp2t", "video/webm"],
        "frame" | "thumbnail" | "waveform" => &["image/png"],
        "segments" if path.ends_with(".ts") => &["video/mp2t"],
        "segments" if path.ends_with(".png") => &["image/png"],
        "segments" if path.ends_with(".json") => &["application/json"],
        "misc" if path.starts_with("/metrics") => &["text/plain"],
        _ => return,
    };
    let here = answer.header("Content-Type").unwrap_or("(none)");
    let bare = here.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !right.contains(&bare.as_str()) {
        found.push(differs("type", here, right.join(" or ")));
    }
}

fn plain(answer: &Answer) -> Result<Vec<u8>, String> {
    match answer.header("Content-Encoding") {
        None | Some("identity") => Ok(answer.body.clone()),
        Some("gzip") => {
            let mut bytes = Vec::new();
            let mut decoder = flate2::read::GzDecoder::new(answer.body.as_slice());
            decoder.read_to_end(&mut bytes).map_err(|error| format!("gzip: {error}"))?;
            Ok(bytes)
        }
        Some(other) => Err(format!("encoded as {other}")),
    }
}

fn hex_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn body(entry: &Entry, answer: &Answer, archive: &Archive, found: &mut Vec<Difference>) {
    let bytes = match plain(answer) {
        Ok(bytes) => bytes,
        Err(what) => return found.push(differs("body", what, "readable")),
    };
    match entry.group.as_str() {
        "files" | "extras" => json(entry, &bytes, archive, found),
        "chat" => chat(entry, &bytes, found),
        "master" if entry.text.is_some() => {
            let here = playlist::master(&String::from_utf8_lossy(&bytes));
            let there = playlist::master(entry.text.as_deref().unwrap_or_default());
            if here != there {
                found.push(differs("playlist", format!("{here:?}"), format!("{there:?}")));
            }
        }
        "media" => media(entry, &bytes, archive, found),
        "frame" | "thumbnail" | "waveform" => match &entry.png {
            Some(there) => match size_of_png(&bytes) {
                Some(size) if size == (there.width, there.height) => {}
                size => found.push(differs(
                    "png",
                    format!("{size:?}"),
                    format!("{}x{}", there.width, there.height),
                )),
            },
            None if bytes.len() as u64 != entry.body_len => {
                found.push(differs(
                    "body",
                    format!("{} bytes", bytes.len()),
                    format!("{} bytes", entry.body_len),
                ));
            }
            None => {}
        },
        // Of cuts only the rough one is the archive's own bytes; what is in the others is tested elsewhere.
        "cut" if !entry.target.contains("type=rough") => {
            found.extend(
                bytes.is_empty().then(|| differs("body", "empty", format!("{} bytes", entry.body_len))),
            );
        }
        "segments" | "cut" if archive.exact && entry.stable_body => {
            let here = format!("{} bytes, sha256 {}", bytes.len(), hex_digest(&bytes));
            let there = format!("{} bytes, sha256 {}", entry.body_len, entry.body_sha256);
            found.extend((here != there).then(|| differs("body", here, there)));
        }
        _ => {}
    }
}

/// Messages, with whole numbers the same with a fraction and without.
fn chat(entry: &Entry, bytes: &[u8], found: &mut Vec<Difference>) {
    fn plain(value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::Number(number) => number.as_f64().map_or(Value::Number(number), Value::from),
            Value::Array(list) => list.into_iter().map(plain).collect(),
            Value::Object(map) => map.into_iter().map(|(key, value)| (key, plain(value))).collect(),
            other => other,
        }
    }
    let read = |bytes: &[u8]| {
        serde_json::from_slice::<Vec<serde_json::Value>>(bytes).map(|list| {
            let mut words: Vec<String> = list.into_iter().map(|it| plain(it).to_string()).collect();
            // Messages of one instant have no order.
            words.sort();
            words
        })
    };
    let Some(Ok(there)) = entry.text.as_ref().map(|text| read(text.as_bytes())) else { return };
    match read(bytes) {
        Ok(here) if here == there => {}
        Ok(here) => {
            let odd =
                |a: &[String], b: &[String]| a.iter().find(|it| !b.contains(it)).cloned().unwrap_or_default();
            let (ours, theirs) = (odd(&here, &there), odd(&there, &here));
            found.push(differs(
                "json",
                format!("{} messages, {ours}", here.len()),
                format!("{}, {theirs}", there.len()),
            ));
        }
        Err(error) => found.push(differs("json", error.to_string(), "messages")),
    }
}

fn json(entry: &Entry, bytes: &[u8], archive: &Archive, found: &mut Vec<Difference>) {
    let Some(there) = &entry.json_sorted else { return };
    let mut here: Vec<String> = match serde_json::from_slice(bytes) {
        Ok(list) => list,
        Err(error) => return found.push(differs("json", error.to_string(), "a list of names")),
    };
    let mut there = there.clone();
    if path_of(&entry.target).trim_matches('/') == "files" {
        there.retain(|channel| archive.root.join(channel).is_dir());
    }
    if !archive.exact {
        here = here.iter().map(|name| mask(name)).collect();
        there = there.iter().map(|name| mask(name)).collect();
    }
    here.sort();
    there.sort();
    if here != there {
        let missing = |a: &[String], b: &[String]| {
            let only: Vec<&String> = a.iter().filter(|name| !b.contains(name)).collect();
            format!("{} names, only here: {only:?}", a.len())
        };
        found.push(differs("json", missing(&here, &there), missing(&there, &here)));
    }
}

fn media(entry: &Entry, bytes: &[u8], archive: &Archive, found: &mut Vec<Difference>) {
    let here = match Media::parse(&String::from_utf8_lossy(bytes)) {
        Ok(here) => here,
        Err(what) => return found.push(differs("playlist", what, "a media playlist")),
    };
    match &entry.text {
        Some(text) => {
            let there = Media::parse(text).expect("a recorded playlist can be read");
            let (here, there) = if archive.exact { (here, there) } else { (here.masked(), there.masked()) };
            if here != there {
                let (ours, theirs) = playlist::parting(&here, &there);
                found.push(differs("playlist", ours, theirs));
            }
        }
        // Too long for the record to keep: written as the recorded server does, the hash must be the same.
        None if archive.exact => {
            let text = here.as_recorded();
            if hex_digest(text.as_bytes()) != entry.body_sha256 {
                let ours = format!("{} segments, {} bytes as recorded", here.segments.len(), text.len());
                found.push(differs("playlist", ours, format!("{} bytes", entry.body_len)));
            }
        }
        None => {}
    }
}

/// Width and height out of a PNG's first chunk.
fn size_of_png(bytes: &[u8]) -> Option<(u32, u32)> {
    if !bytes.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR") {
        return None;
    }
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    Some((number(16)?, number(20)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(json: &str) -> Entry {
        let mut value: serde_json::Value = serde_json::from_str(
            r#"{"id":"files-001","group":"files","method":"GET","target":"/files/c","http10":false,
                "request_headers":{},"status":200,"headers":[["Access-Control-Allow-Origin","*"],
                ["Allow","OPTIONS, HEAD, GET"]],"complete":true,"body_len":3,
                "body_sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                "json_sorted":["a","b"],"stable_body":true}"#,
        )
        .unwrap();
        let more: serde_json::Value = serde_json::from_str(json).unwrap();
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(value).unwrap()
    }

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![("access-control-allow-origin", "*"), ("allow", "GET,HEAD,OPTIONS")];
        all.extend_from_slice(headers);
        let headers = all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        Answer { status, headers, body: body.as_bytes().to_vec(), complete: true }
    }

    fn aspects(entry: &Entry, answer: &Answer) -> Vec<&'static str> {
        let archive = Archive { root: "/nonexistent".into(), full: true, exact: true };
        compare(entry, answer, &archive).iter().map(|difference| difference.aspect).collect()
    }

    const JSON: (&str, &str) = ("Content-Type", "application/json");

    #[test]
    fn the_same_content_in_another_order_and_spelling_is_the_same() {
        assert_eq!(aspects(&entry("{}"), &answer(200, &[JSON], "[ \"b\",\"a\" ]")), [""; 0]);
    }

    #[test]
    fn each_kind_of_difference_is_seen() {
        let none = entry("{}");
        assert_eq!(aspects(&none, &answer(404, &[], "")), ["status"]);
        assert_eq!(aspects(&none, &answer(200, &[JSON], "[\"a\"]")), ["json"]);
        assert_eq!(aspects(&none, &answer(200, &[JSON], "{}")), ["json"]);
        assert_eq!(aspects(&none, &answer(200, &[("Content-Type", "text/html")], "[\"a\",\"b\"]")), ["type"]);
        let mut bare = answer(200, &[JSON], "[\"a\",\"b\"]");
        bare.headers.remove(0);
        assert_eq!(aspects(&none, &bare), ["headers"]);
        bare.complete = false;
        assert_eq!(aspects(&none, &bare), ["headers", "body"]);
    }

    #[test]
    fn rough_cuts_are_compared_to_the_byte_and_others_are_not() {
        let ts = ("Content-Type", "video/mp2t");
        let rough = entry(r#"{"group":"cut","target":"/cut/c/q.ts?type=rough"}"#);
        assert_eq!(aspects(&rough, &answer(200, &[ts], "abc")), [""; 0]);
        assert_eq!(aspects(&rough, &answer(200, &[ts], "abd")), ["body"]);
        let full = entry(r#"{"group":"cut","target":"/cut/c/q.ts?type=mpegts"}"#);
        assert_eq!(aspects(&full, &answer(200, &[ts], "other")), [""; 0]);
        assert_eq!(aspects(&full, &answer(200, &[ts], "")), ["body"]);
    }

    #[test]
    fn segments_keep_their_ranges_and_lengths() {
        let part = r#"{"group":"segments","target":"/segments/c/x.ts","status":206,
            "headers":[["Content-Range","bytes 0-2/9"],["Content-Length","3"],["Accept-Ranges","bytes"]]}"#;
        let ts = ("Content-Type", "video/mp2t");
        let good =
            [ts, ("Content-Range", "bytes 0-2/9"), ("Content-Length", "3"), ("Accept-Ranges", "bytes")];
        assert_eq!(aspects(&entry(part), &answer(206, &good, "abc")), [""; 0]);
        let bad = [ts, ("Content-Range", "bytes 0-2/10"), ("Content-Length", "4")];
        assert_eq!(aspects(&entry(part), &answer(206, &bad, "abc")), ["headers"; 3]);
    }

    #[test]
    fn a_redirect_is_compared_by_its_path() {
        let there = r#"{"status":308,"headers":[["Location","http://127.0.0.1:18080/files/etc"]]}"#;
        assert_eq!(aspects(&entry(there), &answer(308, &[("Location", "/files/etc")], "")), [""; 0]);
        assert_eq!(
            aspects(&entry(there), &answer(308, &[("Location", "http://h/files/x")], "")),
            ["headers"]
        );
    }

    #[test]
    fn pictures_are_compared_by_their_size() {
        let picture = entry(r#"{"group":"frame","png":{"width":2,"height":1}}"#);
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x01".to_vec();
        let mut ours = answer(200, &[("Content-Type", "image/png")], "");
        ours.body = bytes.clone();
        assert_eq!(aspects(&picture, &ours), [""; 0]);
        bytes[19] = 3;
        ours.body = bytes;
        assert_eq!(aspects(&picture, &ours), ["png"]);
        ours.body.clear();
        assert_eq!(aspects(&picture, &ours), ["png"]);
    }
}
