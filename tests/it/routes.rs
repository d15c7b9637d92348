//! Each address over a small archive of plain files.

use crate::client::{HOUR, Server, segment, small_archive};
use moviola::base::Token;
use moviola::pool::Lane;

const SPAN: &str = "start=2024-11-09T12:58:00&end=2024-11-09T12:58:10";

#[test]
fn files_are_listed_and_hidden_ones_are_not() {
    let server = Server::start(small_archive);
    assert_eq!(server.get("/files").json(), serde_json::json!(["chan"]));
    assert_eq!(server.get("/files/chan").json(), serde_json::json!(["720p", "empty"]));
    assert_eq!(server.get("/files/chan/720p").json(), serde_json::json!([HOUR]));
    let answer = server.get(&format!("/files/chan/720p/{HOUR}?t=1"));
    assert_eq!(answer.json().as_array().unwrap().len(), 10);
    assert_eq!(
        (answer.header("content-type"), answer.header("cache-control")),
        ("application/json", "no-cache")
    );
    let again = server.get_with("/files", &[("If-None-Match", server.get("/files").header("etag"))]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(server.get("/files/nochan").text(), "[]");
    let answer = server.get(&format!("/files/chan/720p/{HOUR}?tombstones=1"));
    assert_eq!((answer.status, answer.code().as_str()), (400, "invalid-boolean"));
    let answer = server.get("/files/.secret");
    assert_eq!(
        (answer.status, answer.json()["detail"].as_str()),
        (403, Some("Bad channel: May not start with a period"))
    );
}

#[test]
fn segments_are_sent_whole_or_in_part() {
    let server = Server::start(|archive| {
        small_archive(archive);
        let bytes: Vec<u8> = (0..700_000u32).map(|n| (n % 251) as u8).collect();
        segment(archive, "big", "q", HOUR, "00:00.000000", "full", &bytes);
    });
    let name = server.get(&format!("/files/big/q/{HOUR}")).json()[0].as_str().unwrap().to_owned();
    let target = format!("/segments/big/q/{HOUR}/{}", name.replace(':', "%3A"));
    let whole = server.get(&target);
    assert_eq!((whole.status, whole.body.len(), whole.header("content-type")), (200, 700_000, "video/mp2t"));
    assert_eq!((whole.header("accept-ranges"), whole.header("content-length")), ("bytes", "700000"));
    let etag = whole.header("etag").to_owned();
    let modified = whole.header("last-modified").to_owned();
    let part = |range: &str| server.get_with(&target, &[("Range", range)]);
    for (range, from, to) in
        [("bytes=0-187", 0, 188), ("bytes=262100-262200", 262_100, 262_201), ("bytes=-10", 699_990, 700_000)]
    {
        let answer = part(range);
        assert_eq!((answer.status, &answer.body[..]), (206, &whole.body[from..to]), "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes {from}-{}/700000", to - 1));
    }
    for range in ["bytes=99999999-", "bytes=5-2", "bytes=abc"] {
        let answer = part(range);
        assert_eq!((answer.status, answer.code().as_str()), (416, "range-not-satisfiable"), "{range}");
        assert_eq!(answer.header("content-range"), "bytes */700000");
    }
    assert_eq!(part("items=0-1").status, 200);
    let several = part("bytes=0-1,300000-300003");
    assert_eq!(
        (several.status, several.header("content-length")),
        (206, several.body.len().to_string().as_str())
    );
    let boundary = several.header("content-type").split("boundary=").nth(1).unwrap();
    let body = String::from_utf8_lossy(&several.body);
    assert_eq!(body.matches(&format!("--{boundary}\r\n")).count(), 2);
    assert!(body.contains("Content-Range: bytes 300000-300003/700000\r\n\r\n") && body.ends_with("--\r\n"));
    for headers in
        [("If-None-Match", etag.as_str()), ("If-None-Match", "*"), ("If-Modified-Since", modified.as_str())]
    {
        let answer = server.get_with(&target, &[headers]);
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{headers:?}");
    }
    let if_range =
        |value: &str| server.get_with(&target, &[("Range", "bytes=0-9"), ("If-Range", value)]).status;
    assert_eq!((if_range(&etag), if_range("\"nope\""), if_range(&modified)), (206, 200, 206));
    assert_eq!(server.get_with(&target, &[("If-Match", "\"nope\"")]).status, 412);
    let head = server.raw("HEAD", &target, "Range: bytes=0-1\r\n");
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, "700000"));
}

#[test]
fn nothing_outside_the_archive_or_hidden_in_it_is_sent() {
    let server = Server::start(|archive| {
        small_archive(archive);
        std::os::unix::fs::symlink("/etc/passwd", archive.join("chan/720p/link.ts")).unwrap();
        std::os::unix::fs::symlink("/etc", archive.join("etc")).unwrap();
        std::fs::write(archive.join("chan/page.html"), "<script>").unwrap();
    });
    for target in [
        "/segments/../../etc/passwd",
        "/segments/%2e%2e/%2e%2e/etc/passwd",
        "/segments/..%2f..%2fetc%2fpasswd",
        "/segments/%2fetc/passwd",
        "/segments/..\\..\\etc\\passwd",
        "/segments/chan/720p/.hidden.ts",
        "/segments/chan/720p/link.ts",
        "/segments/etc/passwd",
        "/segments/.secret",
        "/segments/chan",
        "/segments/chan/",
        "/segments",
        "/segments/",
        "/segments/%00",
        "/segments/chan/%ff.ts",
        "/segments/chan/720p/nope.ts",
    ] {
        let answer = server.raw("GET", target, "");
        assert_eq!((answer.status, answer.code().as_str()), (404, "not-found"), "{target}");
    }
    let long = format!("/segments/chan/{}", "x".repeat(300));
    assert_eq!(server.get(&long).status, 404);
    assert_eq!(server.get("/segments/chan/page.html").header("content-type"), "application/octet-stream");
}

#[test]
fn playlists_are_what_players_read() {
    let server = Server::start(small_archive);
    let answer = server.get("/playlist/chan.m3u8?start=2024-11-09%2012:50&t=5&t=6");
    assert_eq!(answer.header("content-type"), "application/vnd.apple.mpegurl");
    let text = answer.text();
    assert!(
        text.contains("\n/playlist/chan/720p.m3u8?start=2024-11-09+12:50&t=5\n") && !text.contains("empty"),
        "{text}"
    );
    let parsed = |target: &str| m3u8_rs::parse_media_playlist_res(&server.get(target).body).unwrap();
    let full = parsed(&format!("/playlist/chan/720p.m3u8?{SPAN}"));
    assert_eq!((full.segments.len(), full.end_list), (5, true));
    let holed = parsed("/playlist/chan/720p.m3u8");
    assert_eq!((holed.segments.len(), holed.end_list), (10, false));
    assert_eq!(holed.segments.iter().filter(|segment| segment.discontinuity).count(), 1);
    for segment in &holed.segments {
        assert_eq!(server.get(&segment.uri).status, 200, "{}", segment.uri);
    }
    let backwards = server.get("/playlist/chan/720p.m3u8?start=2024-11-09T13:00:00&end=2024-11-09T12:00:00");
    assert_eq!((backwards.status, backwards.text().contains("EXTINF")), (200, false));
    let far = server.get("/playlist/chan/720p.m3u8?start=0001-01-01&end=9999-12-31T23:59:59");
    assert_eq!(far.status, 200);
    let implicit = server.get("/playlist/chan/720p.m3u8?start=2024-11-09T00:00:00");
    assert_eq!((implicit.status, implicit.code().as_str()), (400, "implicit-range-too-long"));
    for target in
        ["/playlist/nochan.m3u8", "/playlist/chan/nope.m3u8", "/playlist/chan/empty.m3u8", "/playlist/chan"]
    {
        assert_eq!(server.get(target).status, 404, "{target}");
    }
    assert_eq!(server.get("/playlist/chan/720p.m3u8?start=banana").code(), "invalid-timestamp");
}

#[test]
fn playlists_are_gzipped_for_those_who_take_it() {
    let server = Server::start(small_archive);
    let target = "/playlist/chan/720p.m3u8";
    let plain = server.raw("GET", target, "");
    let packed = server.raw("GET", target, "Accept-Encoding: gzip\r\n");
    assert_eq!((plain.header("content-encoding"), packed.header("content-encoding")), ("", "gzip"));
    assert_eq!((plain.header("vary"), packed.header("vary")), ("Accept-Encoding", "Accept-Encoding"));
    assert!(packed.body.len() < plain.body.len() && packed.body.starts_with(&[0x1f, 0x8b]));
    assert_ne!(plain.header("etag"), packed.header("etag"));
    let name = server.get(&format!("/files/chan/720p/{HOUR}")).json()[0].as_str().unwrap().to_owned();
    let video = server.raw("GET", &format!("/segments/chan/720p/{HOUR}/{name}"), "Accept-Encoding: gzip\r\n");
    assert_eq!((video.header("content-encoding"), video.body.len()), ("", 1880));
}

#[test]
fn a_rough_cut_is_its_segments() {
    let server = Server::start(small_archive);
    let target = format!("/cut/chan/720p.ts?type=rough&{SPAN}");
    let whole = server.get(&target);
    let expected: Vec<u8> = (0u8..5).flat_map(|number| vec![number; 1880]).collect();
    assert_eq!((whole.status, whole.header("content-type")), (200, "video/mp2t"));
    assert_eq!((whole.body == expected, whole.header("content-length")), (true, "9400"));
    let part = server.get_with(&target, &[("Range", "bytes=1870-5650"), ("If-Range", whole.header("etag"))]);
    assert_eq!((part.status, &part.body[..]), (206, &expected[1870..5651]));
    assert_eq!(server.get_with(&target, &[("If-None-Match", whole.header("etag"))]).status, 304);
    let head = server.raw("HEAD", &target, "");
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, "9400"));
    let ranged = server.get("/cut/chan/720p.ts?type=rough&range=2024-11-09T12:58:00,2024-11-09T12:58:10");
    assert_eq!(ranged.body, expected);
}

#[test]
fn holes_are_named_and_may_be_allowed() {
    let server = Server::start(small_archive);
    let target = "/cut/chan/720p.ts?type=rough&start=2024-11-09T12:58:06&end=2024-11-09T12:58:14";
    let answer = server.get(target);
    assert_eq!((answer.status, answer.code().as_str()), (406, "holes"));
    let document = answer.json();
    assert_eq!(document["detail"], "Requested time range contains holes or is incomplete.");
    assert_eq!(document["holes"][0]["start"], "2024-11-09T12:58:10.000000");
    assert_eq!(document["holes"][0]["end"], "2024-11-09T12:58:12.000000");
    assert_eq!(server.get(&format!("{target}&allow_holes=TRUE")).body.len(), 3 * 1880);
    let none = server.get("/cut/chan/720p.ts?start=2030-01-01&end=2030-01-02&allow_holes=true");
    assert_eq!((none.status, none.code().as_str()), (406, "no-content"));
    let detail = "We have no content available within the requested time range.";
    assert_eq!(none.json()["detail"], detail);
    // An open end reaches past what there is; the editor's `START,` and `,END` are read.
    let open = server.get("/cut/chan/720p.ts?type=rough&allow_holes=true&range=2024-11-09T12:58:18,");
    assert_eq!((open.status, open.body.len()), (200, 2 * 1880));
    let frame = server.get("/frame/chan/720p.png?timestamp=2024-11-09T12:58:11");
    assert_eq!((frame.status, frame.code().as_str()), (406, "no-content"));
    let waveform =
        server.get("/waveform/chan/720p.png?start=2024-11-09T12:58:10.5&end=2024-11-09T12:58:11.5");
    assert_eq!((waveform.status, waveform.code().as_str()), (406, "no-content"));
}

#[test]
fn what_is_asked_wrongly_is_told_why() {
    let server = Server::start(small_archive);
    let ends = "start=2024-11-09T12:58:00&end=2024-11-09T12:58:02";
    for (target, status, code) in [
        (
            "/cut/chan/720p.ts?start=2024-11-09T12:58:02&end=2024-11-09T12:58:00".to_owned(),
            400,
            "empty-range",
        ),
        (format!("/cut/chan/720p.ts?{ends}&type=banana"), 400, "unsupported-type"),
        (format!("/cut/chan/720p.ts?{ends}&type=webm"), 422, "damaged-media"),
        (format!("/cut/chan/720p.ts?{ends}&type=fast"), 422, "damaged-media"),
        (format!("/cut/chan/720p.ts?{ends}&type=mp4"), 422, "damaged-media"),
        (format!("/cut/chan/720p.webm?{ends}&type=rough"), 400, "unsupported-type"),
        (format!("/cut/chan/720p.ts?{ends}&type=rough&holes=freeze"), 400, "unsupported-holes"),
        (format!("/cut/chan/720p.ts?{ends}&transition="), 400, "too-many-transitions"),
        (format!("/cut/chan/720p.ts?{ends}&allow_holes=1"), 400, "invalid-boolean"),
        (format!("/cut/chan/720p.ts?{ends}&quality=best"), 400, "invalid-quality"),
        ("/cut/chan/720p.ts?range=a&range=b".to_owned(), 400, "invalid-range"),
        (
            format!(
                "/cut/chan/720p.ts?transition=banana,1{}",
                "&range=2024-11-09T12:58:00,2024-11-09T12:58:02".repeat(2)
            ),
            400,
            "unknown-transition",
        ),
        ("/cut/chan/720p.ts?range=".to_owned(), 400, "invalid-range"),
        ("/cut/chan/720p.ts?range=2024-11-09,2024-11-10,x".to_owned(), 400, "invalid-range"),
        ("/cut/chan/720p.ts?start=2024-11-09T12:58:00%2B05:00".to_owned(), 400, "invalid-timestamp"),
        ("/cut/chan/nope.ts".to_owned(), 404, "not-found"),
        (format!("/cut/nochan/720p.ts?{ends}"), 404, "not-found"),
        (format!("/cut/.x/720p.ts?{ends}"), 403, "hidden-name"),
        ("/frame/chan/720p.png".to_owned(), 400, "missing-parameter"),
        ("/frame/chan/720p.gif?timestamp=2024-11-09".to_owned(), 404, "not-found"),
        ("/waveform/chan/720p.png?start=2024-11-09".to_owned(), 400, "missing-parameter"),
        (format!("/waveform/chan/720p.png?{ends}&size=4097x1"), 400, "invalid-size"),
        (
            "/waveform/chan/720p.png?start=2024-11-09&end=2024-11-10T00:00:01".to_owned(),
            400,
            "range-too-long",
        ),
        (format!("/waveform/chan/720p.png?{ends}&style=loud"), 400, "invalid-choice"),
        (format!("/waveform/chan/720p.dat?{ends}&samples_per_pixel=300"), 400, "invalid-number"),
        (format!("/waveform/chan/720p.svg?{ends}&color=reddish"), 400, "invalid-color"),
        ("/waveform/chan/720p.png?start=2024-11-10&end=2024-11-09".to_owned(), 400, "empty-range"),
    ] {
        let answer = server.get(&target);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{target}");
    }
}

#[test]
fn the_server_describes_itself() {
    let server = Server::start(small_archive);
    assert_eq!(server.get("/health").json()["status"], "ok");
    let api = server.get("/openapi.json");
    assert_eq!(api.header("content-type"), "application/json");
    assert!(api.json()["paths"]["/cut/{channel}/{quality}.ts"]["get"].is_object());
    let page = server.get("/docs");
    assert!(page.text().contains("/openapi.json") && !page.text().contains("https://"), "no foreign host");
    for target in ["/metrics", "/metrics/restreamer"] {
        let answer = server.get(target);
        assert!(
            answer
                .text()
                .contains("moviola_http_requests_total{method=\"GET\",route=\"/health\",status=\"200\"} 1")
        );
        assert!(answer.header("content-type").starts_with("text/plain"));
    }
}

#[test]
fn metrics_are_told_while_the_disk_hangs() {
    let server = Server::start(small_archive);
    let told = || server.get("/metrics").text().contains("moviola_archive_disk_bytes{kind=\"free\"}");
    assert!(told());
    // Every seat of the disk is taken until the sender goes.
    let (release, held) = crossbeam_channel::bounded::<()>(0);
    let tickets: Vec<_> = (0..server.render.config.pool.disk_seats)
        .map(|_| {
            let held = held.clone();
            let wait = move |_: &Token| {
                let _ = held.recv();
                Ok(())
            };
            server.render.pool.submit(Lane::Disk, &Token::root(), wait).unwrap()
        })
        .collect();
    assert!(!told() && !told(), "what the disk said before is not told again");
    drop(release);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tickets.into_iter().for_each(|it| runtime.block_on(it).unwrap());
    // Asked anew once the question that nobody waited for has ended.
    while !told() {
        std::thread::yield_now();
    }
}

#[test]
fn coverage_says_what_there_is_and_what_is_missing() {
    let server = Server::start(|archive| {
        small_archive(archive);
        segment(archive, "chan", "720p", HOUR, "58:22.000000", "partial", b"x");
        segment(archive, "chan", "720p", "2024-11-10T01", "00:00.000000", "suspect", b"x");
    });
    let answer = server.get("/coverage/chan/720p.json");
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let told = answer.json();
    assert_eq!((&told["first"], &told["start"]), (&told["start"], &"2024-11-09T12:58:00.000000".into()));
    assert_eq!((&told["last"], &told["end"]), (&told["end"], &"2024-11-10T01:00:02.000000".into()));
    assert_eq!(told["segments"], 12);
    let totals = &told["totals"];
    assert_eq!(
        (&totals["full"], &totals["partial"], &totals["suspect"]),
        (&20.0.into(), &2.0.into(), &2.0.into())
    );
    let kinds = |told: &serde_json::Value| -> Vec<String> {
        let spans = told["spans"].as_array().unwrap().iter();
        spans
            .map(|it| format!("{} {}", &it["start"].as_str().unwrap()[11..19], it["kind"].as_str().unwrap()))
            .collect()
    };
    let all = [
        "12:58:00 full",
        "12:58:10 hole",
        "12:58:12 full",
        "12:58:22 partial",
        "12:58:24 hole",
        "01:00:00 suspect",
    ];
    assert_eq!(kinds(&told), all);
    let coarse = server
        .get("/coverage/chan/720p.json?start=2024-11-09T12:00:00&end=2024-11-09T13:00:00&resolution=6")
        .json();
    // What was before the first segment is missed by nobody.
    assert_eq!(
        kinds(&coarse),
        [
            "12:00:00 hole",
            "12:58:00 full",
            "12:58:06 partial",
            "12:58:12 full",
            "12:58:18 partial",
            "12:58:24 hole"
        ]
    );

    let picture = server.get("/coverage/chan/720p.png?column=10&height=120");
    assert_eq!((picture.status, picture.header("content-type")), (200, "image/png"));
    let size = |at: usize| u32::from_be_bytes(picture.body[at..at + 4].try_into().unwrap());
    assert_eq!((size(16), size(20)), (140, 120), "fourteen hours of ten pixels");

    for (query, status, code) in [
        ("start=2024-11-09&end=2024-11-09", 400, "empty-range"),
        ("start=2024-01-01&end=2024-12-01", 400, "range-too-long"),
        ("start=2024-11-09&end=2024-11-10&resolution=0.2", 400, "fine-resolution"),
        ("resolution=x", 400, "invalid-number"),
        ("start=noon", 400, "invalid-timestamp"),
    ] {
        let answer = server.get(&format!("/coverage/chan/720p.json?{query}"));
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{query}");
    }
    let wide = server.get("/coverage/chan/720p.png?start=2024-11-01&end=2024-12-01&column=64");
    assert_eq!((wide.status, wide.code().as_str()), (400, "large-picture"));
    assert_eq!(server.get("/coverage/chan/none.json").status, 404);
    assert_eq!(server.get("/coverage/chan/.x.png").status, 403);
}

#[test]
fn chat_is_merged_and_extras_are_listed() {
    let server = Server::start(|archive| {
        small_archive(archive);
        let folder = archive.join("chan/chat").join(HOUR);
        std::fs::create_dir_all(&folder).unwrap();
        let line = |who: &str, at: f64| {
            format!(
                "{{\"params\":[\"hi\"],\"receivers\":{{\"{who}\":{at}}},\"tags\":{{\"id\":\"1\"}},\"time\":1731157080.5,\"time_range\":0}}"
            )
        };
        std::fs::write(folder.join("58:00-aa.json"), line("a", 1.5)).unwrap();
        std::fs::write(folder.join("58:00-bb.json"), line("b", 2.5)).unwrap();
        std::fs::write(folder.join("odd.json"), "not a batch").unwrap();
        std::fs::create_dir_all(archive.join("emotes/25/.hidden")).unwrap();
        std::fs::write(archive.join("emotes/25/dark"), "x").unwrap();
        std::fs::write(archive.join("emotes/25/.hidden/y"), "x").unwrap();
    });
    let chat = server.get(&format!("/chan/chat.json?{SPAN}"));
    assert_eq!((chat.status, chat.header("content-type")), (200, "application/json"));
    let messages = chat.json();
    assert_eq!(messages.as_array().unwrap().len(), 1, "{messages}");
    assert_eq!(messages[0]["receivers"], serde_json::json!({"a": 1.5, "b": 2.5}));
    assert_eq!(
        server.get("/nochan/chat.json?start=2024-11-09T12:00:00&end=2024-11-09T12:00:01").text(),
        "[]"
    );
    for (query, code) in [
        ("start=2024-11-09T12:00:00&end=2024-11-09T14:00:01", "range-too-long"),
        ("start=2024-11-09T12:00:00&end=2024-11-09T12:00:00", "empty-range"),
        ("start=2024-11-09T12:00:00", "missing-parameter"),
    ] {
        let answer = server.get(&format!("/chan/chat.json?{query}"));
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{query}");
    }
    assert_eq!(server.get("/extras/emotes").json(), serde_json::json!(["25/.hidden/y", "25/dark"]));
    assert_eq!(server.get("/extras/nothing").text(), "[]");
    assert_eq!(server.get("/extras/.secret").status, 403);
    assert_eq!(server.get("/extras/emotes/25").status, 404);
}

#[test]
fn the_page_or_how_to_add_it_is_at_the_root() {
    let server = Server::start(small_archive);
    let page = server.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.text().contains("<title>Moviola</title>"));
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(server.get_with("/", &[("If-None-Match", page.header("etag"))]).status, 304);
    let head = server.raw("HEAD", "/", "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    let none = server.get("/assets/none.js");
    assert_eq!((none.status, none.code().as_str()), (404, "not-found"));
}
