//! What holds for every request: CORS, methods, slashes, limits, hostile input, slow and stopping.

use crate::client::{HOUR, Server, segment, small_archive};
use moviola::base::Token;
use moviola::config::{ByteSize, Length};
use moviola::pool::Lane;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

#[test]
fn every_answer_may_be_read_by_any_page() {
    let server = Server::start(small_archive);
    for (method, target, status) in [
        ("GET", "/files", 200),
        ("HEAD", "/files", 200),
        ("OPTIONS", "/files", 200),
        ("OPTIONS", "/", 200),
        ("OPTIONS", "/nothing", 404),
        ("POST", "/files", 405),
        ("BREW", "/files", 405),
        ("GET", "/nothing", 404),
        ("GET", "/files/", 404),
        ("GET", "/files/.x", 403),
        ("GET", "/segments//etc/passwd", 308),
        ("GET", "/cut/chan/720p.ts", 406),
        ("GET", "/frame/chan/720p.png", 400),
    ] {
        let answer = server.raw(method, target, "");
        assert_eq!(answer.status, status, "{method} {target}");
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-headers", "*"),
            ("access-control-allow-methods", "GET,POST,HEAD"),
            ("access-control-allow-credentials", "false"),
            ("access-control-max-age", "86400"),
        ] {
            assert_eq!(answer.header(name), value, "{method} {target}");
        }
        let allow =
            if method == "OPTIONS" && status == 200 || status == 405 { "GET, HEAD, OPTIONS" } else { "" };
        assert_eq!(answer.header("allow"), allow, "{method} {target}");
        if method == "HEAD" || method == "OPTIONS" && status == 200 {
            assert!(answer.body.is_empty());
        }
    }
}

#[test]
fn slashes_are_merged_and_no_redirect_leaves_the_server() {
    let server = Server::start(small_archive);
    assert_eq!(server.raw("GET", "//files", "").text(), "[\"chan\"]");
    for (target, location) in [
        ("/files//chan?a=//", "/files/chan?a=//"),
        ("//evil.example//x", "/evil.example/x"),
        ("/files///", "/files/"),
    ] {
        let answer = server.raw("GET", target, "");
        assert_eq!((answer.status, answer.header("location")), (308, location), "{target}");
    }
}

#[test]
fn long_heads_are_refused() {
    let server = Server::start_with(small_archive, |config| config.http.request_headers = ByteSize(16 << 10));
    let answer = server.raw("GET", &format!("/files?{}", "a".repeat(8200)), "");
    assert_eq!((answer.status, answer.code().as_str()), (414, "long-request-line"));
    let fits = format!("X-Long: {}\r\n", "a".repeat(8200));
    assert_eq!(server.raw("GET", "/files", &fits).status, 200);
    let answer = server.raw("GET", "/files", &fits.repeat(2));
    assert_eq!((answer.status, answer.code().as_str()), (431, "long-headers"));
}

#[test]
fn a_full_queue_is_told_when_to_come_again() {
    let server = Server::start_with(small_archive, |config| {
        config.pool.disk_seats = 1;
        config.pool.disk_queue = 1;
    });
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (say, began) = std::sync::mpsc::channel::<()>();
    let pool = &server.render.pool;
    let block = pool.submit(Lane::Disk, &Token::root(), move |_| {
        say.send(()).ok();
        wait.recv().ok();
        Ok(())
    });
    began.recv().unwrap();
    let queued = pool.submit(Lane::Disk, &Token::root(), |_| Ok(()));
    let answer = server.get("/files");
    assert_eq!((answer.status, answer.code().as_str(), answer.header("retry-after")), (503, "busy", "1"));
    go.send(()).unwrap();
    block.unwrap().wait().unwrap();
    queued.unwrap().wait().unwrap();
    assert_eq!(server.get("/files").status, 200);
}

/// Far more than the socket buffers of both sides hold.
const BIG: usize = 64 << 20;

fn big_archive(archive: &std::path::Path) -> String {
    segment(archive, "big", "q", HOUR, "00:00.000000", "full", &vec![0; BIG])
}

#[test]
fn a_client_that_takes_nothing_is_cut() {
    let mut name = String::new();
    let server = Server::start_with(
        |archive| name = big_archive(archive),
        |config| config.http.client_stall = Length(Duration::from_millis(100)),
    );
    let mut client = server.connect();
    let target = format!("/segments/big/q/{HOUR}/{name}");
    is_cut(&mut client, &target);
    // One that took something before, and rested for longer than it may stall.
    let mut client = server.connect();
    write!(client, "GET {target} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-999999\r\n\r\n").unwrap();
    client.read_exact(&mut vec![0; 1_000_000]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    is_cut(&mut client, &target);
}

/// Asks for what is too much for the sockets' buffers, and takes nothing.
fn is_cut(client: &mut std::net::TcpStream, target: &str) {
    write!(client, "GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    // Once the server has shut the connection, a byte sent is answered with a reset, and the next one fails. The
    // bytes are also no HTTP, which makes the connection one that closes: it must not wait for the client either.
    let patience = Instant::now() + Duration::from_secs(30);
    while client.write_all(b"\r").is_ok() {
        assert!(Instant::now() < patience, "the client was never cut");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_client_that_is_slow_is_served() {
    let mut name = String::new();
    let server = Server::start_with(
        |archive| name = big_archive(archive),
        |config| config.http.client_stall = Length(Duration::from_secs(10)),
    );
    let mut client = server.connect();
    let head = format!("GET /segments/big/q/{HOUR}/{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    client.write_all(head.as_bytes()).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    loop {
        let count = client.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        total += count;
        std::thread::yield_now();
    }
    assert!(total > BIG, "{total}");
}

#[test]
fn what_is_at_hand_is_finished_before_the_server_stops() {
    let mut name = String::new();
    let server = Server::start(|archive| name = big_archive(archive));
    let mut client = server.connect();
    let head = format!("GET /segments/big/q/{HOUR}/{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    client.write_all(head.as_bytes()).unwrap();
    let mut first = [0; 1];
    client.read_exact(&mut first).unwrap();
    server.stop();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert!(rest.len() >= BIG, "{}", rest.len());
}

/// A small generator, so that a failure can be had again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

#[test]
fn two_thousand_hostile_requests_do_no_harm() {
    const WORDS: [&str; 24] = [
        "chan",
        "720p",
        "2024-11-09T12",
        "..",
        "%2e%2e",
        "%00",
        "%ff%fe",
        "%2f",
        "%5c..%5c",
        ".",
        "*",
        "~",
        "%",
        "%zz",
        "a%20b",
        "%F0%9F%92%A9",
        "720p.ts",
        "chan.m3u8",
        ".m3u8",
        "{}",
        "%0d%0aX:y",
        "'\"<>",
        "nul",
        "9999-12-31T23",
    ];
    const ROUTES: [&str; 10] = [
        "files",
        "segments",
        "playlist",
        "cut",
        "frame",
        "waveform",
        "metrics",
        "health",
        "openapi.json",
        "",
    ];
    const ENDS: [&str; 8] = ["", ".ts", ".png", ".jpg", ".m3u8", "/", "//", "%2Ets"];
    const KEYS: [&str; 10] = [
        "start",
        "end",
        "range",
        "size",
        "type",
        "timestamp",
        "allow_holes",
        "tombstones",
        "transition",
        "%ff",
    ];
    const VALUES: [&str; 22] = [
        "",
        "2024-11-09T12:58:00",
        "2024-11-09T12:58:04",
        "9999-12-31T23:59:59.999999",
        "0001-01-01",
        "-1",
        "NaN",
        "1e309",
        "4096x4096",
        "99999999999999999999x1",
        "rough",
        "mpegts",
        "true",
        "TRUE",
        "%00",
        "%ff",
        "%f0%9f%92%a9",
        "2024-11-09T12:58:00,2024-11-09T12:58:04",
        ",",
        "2024-02-30",
        "00000000000000000000000000000",
        "+",
    ];
    const HEADERS: [&str; 9] = [
        "",
        "Range: bytes=0-,0-,0-,0-,0-\r\n",
        "Range: bytes=-99999999999999999999\r\n",
        "Range: bytes=18446744073709551615-\r\n",
        "If-None-Match: \"\r\n",
        "If-Range: x\r\nRange: bytes=0-0\r\n",
        "Accept-Encoding: gzip;q=nan, gzip\r\n",
        "If-Modified-Since: Thu, 99 Foo 9999\r\n",
        "Content-Length: 0\r\n",
    ];
    const METHODS: [&str; 8] = ["GET", "GET", "GET", "GET", "HEAD", "POST", "OPTIONS", "TRACE"];
    let server = Server::start_with(small_archive, |config| {
        config.http.request_timeout = Length(Duration::from_secs(2))
    });
    let mut dice = Dice(20_241_109);
    for number in 0..2000 {
        let mut target = format!("/{}", dice.pick(&ROUTES));
        for _ in 0..dice.roll(5) {
            target.push('/');
            target.push_str(dice.pick(&WORDS));
        }
        target.push_str(dice.pick(&ENDS));
        for at in 0..dice.roll(5) {
            target.push(if at == 0 { '?' } else { '&' });
            target.push_str(&format!("{}={}", dice.pick(&KEYS), dice.pick(&VALUES)));
        }
        let (method, headers) = (dice.pick(&METHODS), dice.pick(&HEADERS));
        let answer = server.raw(method, &target, headers);
        assert!(
            answer.status < 500,
            "{number}: {method} {target} {headers}: {} {:?}",
            answer.status,
            answer.text()
        );
        assert!(!String::from_utf8_lossy(&answer.body).contains("root:x:"), "{target}");
    }
    assert_eq!(server.get("/health").status, 200);
}
