//! Jobs, and the videos they make.

use crate::client::Server;
use crate::judge;
use crate::media::{start, whole};

fn post(server: &Server, target: &str, headers: &str, body: &str) -> crate::client::Answer {
    server.raw_with_body(
        "POST",
        target,
        &format!("{headers}Content-Length: {}\r\n", body.len()),
        body.as_bytes(),
    )
}

const JSON: &str = "Content-Type: application/json\r\n";
const VIDEOS: &str = "/generate_videos/chan/270p";

fn body(name: &str, from: i64, to: i64) -> String {
    format!("{{\"{name}\": [\"{}\", \"{}\"]}}", start() + from, start() + to)
}

#[test]
fn videos_are_made_once_and_are_whole() {
    let server = Server::start(whole);
    let answer = post(&server, VIDEOS, JSON, &body("one", 2_500_000, 5_500_000));
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{}", answer.text());
    let job = server.get(answer.header("location")).json();
    assert_eq!((&job["state"], &job["result"]["made"][0]), (&"done".into(), &"chan_270p_one_0.mkv".into()));
    let video = server.get("/segments/chan_270p_one_0.mkv");
    assert_eq!(video.status, 200);
    if let Some(judge) = judge::ffmpeg() {
        let file = tempfile::NamedTempFile::with_suffix(".mkv").expect("a file");
        std::fs::write(file.path(), &video.body).expect("a video");
        // Two whole segments of 2 s, at 30 a second.
        assert_eq!(judge.numbers(file.path()), (60..180).collect::<Vec<u32>>());
        assert_eq!(judge.complaints(file.path()), "");
    }
    let again = post(&server, VIDEOS, JSON, &body("one", 2_500_000, 5_500_000));
    let job = server.get(again.header("location")).json();
    assert_eq!(job["result"], serde_json::json!({"made": [], "kept": ["chan_270p_one_0.mkv"]}));
    assert_eq!(server.get("/files").json(), serde_json::json!(["chan", "chan_270p_one_0.mkv"]));
}

#[test]
fn who_prefers_not_to_wait_is_told_where_to_ask() {
    let server = Server::start(whole);
    let prefer = format!("{JSON}Prefer: respond-async, wait=10\r\n");
    let answer = post(&server, VIDEOS, &prefer, &body("later", 0, 2_000_000));
    assert_eq!((answer.status, answer.header("preference-applied")), (202, "respond-async"));
    let address = answer.header("location").to_owned();
    assert_eq!(address, format!("/jobs/{}", answer.json()["id"].as_str().expect("an id")));
    // One that waits until the first is done.
    assert_eq!(post(&server, VIDEOS, JSON, &body("after", 0, 2_000_000)).status, 200);
    assert_eq!(server.get(&address).json()["state"], "done");
    assert_eq!(server.get("/jobs").json().as_array().map(Vec::len), Some(2));
    assert_eq!(server.raw("DELETE", &address, "").json()["state"], "done");
}

#[test]
fn a_request_for_videos_is_checked_before_anything_is_made() {
    let server = Server::start(whole);
    let (from, to) = (start(), start() + 1_000_000);
    let span = format!("[\"{from}\", \"{to}\"]");
    for (target, headers, body, status, code) in [
        (VIDEOS, JSON, String::new(), 400, "malformed-body"),
        (VIDEOS, JSON, "{bad".into(), 400, "malformed-body"),
        (VIDEOS, JSON, "[]".into(), 400, "malformed-body"),
        (VIDEOS, JSON, "{\"a\": [1, 2]}".into(), 400, "malformed-body"),
        (VIDEOS, JSON, format!("{{\"a\": [\"{from}\"]}}"), 400, "malformed-body"),
        (VIDEOS, "", "{}".into(), 415, "not-json"),
        (VIDEOS, JSON, format!("{{\"a/b\": {span}}}"), 400, "bad-name"),
        (VIDEOS, JSON, format!("{{\"a\\u0000\": {span}}}"), 400, "bad-name"),
        (VIDEOS, JSON, format!("{{\"{}\": {span}}}", "x".repeat(240)), 400, "long-name"),
        (VIDEOS, JSON, format!("{{\"a\": [\"{to}\", \"{from}\"]}}"), 400, "empty-range"),
        (VIDEOS, JSON, "{\"a\": [\"x\", \"y\"]}".into(), 400, "invalid-timestamp"),
        ("/generate_videos/none/270p", JSON, format!("{{\"a\": {span}}}"), 404, "not-found"),
        ("/generate_videos/.x/270p", JSON, "{}".into(), 403, "hidden-name"),
    ] {
        let answer = post(&server, target, headers, &body);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{body}");
    }
    assert_eq!(post(&server, VIDEOS, JSON, "{}").status, 200);
    let nothing = "{\"a\": [\"2030-01-01T00:00:00\", \"2030-01-01T01:00:00\"]}";
    assert_eq!(post(&server, VIDEOS, JSON, nothing).status, 200);
    assert_eq!(server.get("/files").json(), serde_json::json!(["chan"]));
    assert_eq!(server.get("/jobs/none").code(), "not-found");
    assert_eq!(server.raw("GET", VIDEOS, "").header("allow"), "POST, OPTIONS");
}
