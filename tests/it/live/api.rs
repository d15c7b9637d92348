//! `/streams` from the outside.

use super::*;
use crate::client::{Answer, Server};
use std::io::{Read, Write};

fn server(folder: &Path) -> Server {
    let folder = folder.to_owned();
    Server::start_with(
        |_| {},
        move |config| {
            config.live.hosts = "loopback, private".into();
            config.live.files = folder;
        },
    )
}

fn send(server: &Server, method: &str, target: &str, body: &str) -> Answer {
    server.raw_with_body(method, target, &format!("Content-Length: {}\r\n", body.len()), body.as_bytes())
}

fn stream_of(server: &Server, name: &str) -> Arc<Stream> {
    server.streams.get(&StreamId::new(name).expect("a name")).expect("a stream")
}

#[test]
fn streams_are_set_up_changed_and_taken_away() {
    let camera = start(Manner::default());
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    assert_eq!(server.get("/streams").json(), json!([]));
    let body = json!({"source": format!("rtsp://me:hunter2@{}/live?token=hunter3&x=1", camera.address), "keepalive": true});
    let made = send(&server, "PUT", "/streams/cam", &body.to_string());
    assert_eq!(made.status, 201, "{}", made.text());
    live(&stream_of(&server, "cam"));
    let told = server.get("/streams/cam");
    assert!(!told.text().contains("hunter"));
    let told = told.json();
    assert_eq!(told["source"], format!("rtsp://****:****@{}/live?token=****&x=1", camera.address));
    assert_eq!(
        (&told["state"], &told["cause"], &told["tracks"][0]["codec"]),
        (&json!("live"), &json!(null), &json!("h264"))
    );
    assert_eq!((&told["tracks"][0]["width"], &told["diagnostics"]["start_worker"]), (&json!(160), &json!(1)));
    // Orientation is changed while it runs, on the same connection.
    let patched = send(&server, "PATCH", "/streams/cam", "{\"orientation\": 8}").json();
    assert_eq!((&patched["orientation"], &patched["state"]), (&json!(8), &json!("live")));
    assert_eq!(send(&server, "PUT", "/streams/cam", &body.to_string()).status, 200);
    assert_eq!(camera.connections(), 1, "the same source is not interrupted");
    let stopped = send(&server, "POST", "/streams/cam/stop", "").json();
    assert_eq!((&stopped["state"], &stopped["cause"]), (&json!("stopped"), &json!("stopped")));
    assert!(!stream_of(&server, "cam").is_running());
    assert_eq!(send(&server, "POST", "/streams/cam/start", "").json()["state"], "connecting");
    live(&stream_of(&server, "cam"));
    let series = "moviola_stream_state{state=\"live\",stream=\"cam\"} 1";
    until(&stream_of(&server, "cam"), series, |_| server.get("/metrics").text().contains(series));
    assert_eq!(send(&server, "DELETE", "/streams/cam", "").status, 204);
    assert_eq!(server.get("/streams/cam").code(), "not-found");
    assert!(!server.get("/metrics").text().contains("stream=\"cam\""), "its series are gone");
}

#[test]
fn what_is_wrong_is_refused_and_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    for (method, target, body, status, code) in [
        ("PUT", "/streams/cam", "{", 400, "malformed-body"),
        ("PUT", "/streams/cam", "[]", 400, "invalid-stream"),
        ("PUT", "/streams/cam", "{}", 400, "invalid-stream"),
        ("PUT", "/streams/cam", "{\"source\": \"ftp://h/x\"}", 400, "invalid-source"),
        ("PUT", "/streams/cam", "{\"source\": \"file:../../etc/passwd\"}", 400, "invalid-source"),
        ("PUT", "/streams/cam", "{\"source\": \"rtsp://127.0.0.1/x\", \"nope\": 1}", 400, "invalid-stream"),
        (
            "PUT",
            "/streams/cam",
            "{\"source\": \"rtsp://127.0.0.1/x\", \"options\": {\"nope\": 1}}",
            400,
            "invalid-options",
        ),
        ("PUT", "/streams/cam", "{\"source\": \"http://169.254.169.254/latest\"}", 403, "not-allowed"),
        ("PUT", "/streams/cam", "{\"source\": {\"push\": \"rtmp\"}}", 400, "invalid-options"),
        ("PUT", "/streams/.cam", "{\"source\": \"rtsp://127.0.0.1/x\"}", 403, "hidden-name"),
        ("PUT", "/streams/none/source", "{\"source\": \"rtsp://127.0.0.1/x\"}", 404, "not-found"),
        ("PUT", "/streams/none/media", "x", 404, "not-found"),
        ("PATCH", "/streams/none", "{}", 404, "not-found"),
        ("POST", "/streams/none/start", "", 404, "not-found"),
        ("DELETE", "/streams/none", "", 404, "not-found"),
    ] {
        let answer = send(&server, method, target, body);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {target} {body}");
    }
    let long = format!("{{\"source\": \"{}\"}}", "x".repeat(70_000));
    assert_eq!(send(&server, "PUT", "/streams/cam", &long).status, 413);
    let options = send(
        &server,
        "PUT",
        "/streams/cam",
        "{\"source\": \"rtsp://127.0.0.1/x\", \"options\": {\"nope\": 1}}",
    )
    .json();
    assert!(options["detail"].as_str().is_some_and(|it| it.starts_with("Invalid stream options")));
    assert_eq!((&options["parameter"], server.get("/streams").json()), (&json!("options.nope"), json!([])));
}

#[test]
fn there_are_no_more_streams_than_allowed() {
    let server = Server::start_with(|_| {}, |config| config.live.streams = 2);
    let put = |name: &str| {
        send(&server, "PUT", &format!("/streams/{name}"), "{\"source\": \"rtsp://10.0.0.9/x\"}").status
    };
    assert_eq!((put("a"), put("b"), put("c"), put("a")), (201, 201, 409, 200));
}

#[test]
fn events_are_told_as_they_happen() {
    let camera = start(Manner::default());
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    send(&server, "PUT", "/streams/cam", &json!({"source": camera.url()}).to_string());
    let mut listening = server.connect();
    listening.write_all(b"GET /streams/cam/events HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
    let mut heard = String::new();
    let mut read_until = |word: &str| {
        let mut bytes = [0; 4096];
        while !heard.contains(word) {
            let count = listening.read(&mut bytes).expect("events");
            assert!(count > 0, "the events ended: {heard}");
            heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        heard.clone()
    };
    let first = read_until("\"state\":\"stopped\"");
    assert!(first.contains("content-type: text/event-stream") && first.contains("event: state\ndata: {"));
    send(&server, "POST", "/streams/cam/start", "");
    read_until("\"state\":\"connecting\"");
    read_until("event: epoch");
    read_until("\"state\":\"live\"");
    send(&server, "DELETE", "/streams/cam", "");
    read_until("event: removed");
}

#[test]
fn who_sends_over_http_is_followed_and_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    let bytes = camera::transport(160, 96, 100, 25, 0, false);
    let refused = send(&server, "PUT", "/streams/push", "{\"source\": {\"push\": \"http\"}}").json();
    assert_eq!((&refused["state"], &refused["cause"]), (&json!("connecting"), &json!("waiting")));
    let stream = stream_of(&server, "push");
    let mut sending = server.connect();
    let head =
        format!("PUT /streams/push/media HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", bytes.len());
    sending.write_all(head.as_bytes()).expect("a head");
    sending.write_all(&bytes[..bytes.len() * 3 / 4]).expect("media");
    until(&stream, "pictures", has_pictures(25));
    assert_eq!(stream.state(), State::Live);
    let second = send(&server, "PUT", "/streams/push/media", "x");
    assert_eq!((second.status, second.code().as_str()), (409, "publishing"));
    sending.write_all(&bytes[bytes.len() * 3 / 4..]).expect("media");
    let mut answer = [0; 12];
    sending.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 204");
    sound(&stream);
    assert_eq!(pictures(&stream).len(), 100, "to the last picture");
    // The next sender is taken, and is another epoch.
    until(&stream, "waiting", |it| it.status().cause == Some("waiting"));
    let again = server.raw_with_body(
        "PUT",
        "/streams/push/media",
        &format!("Content-Length: {}\r\n", bytes.len()),
        &bytes,
    );
    assert_eq!((again.status, epochs(&stream).len()), (204, 2));
    send(&server, "POST", "/streams/push/stop", "");
    let stopped = send(&server, "PUT", "/streams/push/media", "x");
    assert_eq!((stopped.status, stopped.code().as_str()), (409, "stopped"));
}

#[test]
fn a_server_that_stops_leaves_no_source_behind() {
    let hole = start(Manner { hole: camera::Hole::Connect, ..Manner::default() });
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    send(&server, "PUT", "/streams/cam", &json!({"source": hole.url(), "keepalive": true}).to_string());
    let stream = stream_of(&server, "cam");
    until(&stream, "a connection", |_| hole.connections() == 1);
    drop(server);
    assert!(!stream.is_running());
}
