//! Sources that fail.

use super::*;
use camera::Hole;

#[test]
fn black_holes_are_left_at_once_when_a_stream_is_stopped() {
    for hole in [Hole::Connect, Hole::Describe, Hole::Play, Hole::After(0), Hole::After(30)] {
        let camera = start(Manner { hole, ..Manner::default() });
        // Every patience is hours: it is the stop that ends it, or nothing does.
        let house = House::open(|_| {});
        let stream = house.follow(&camera, json!({}));
        until(&stream, "a connection", |_| camera.connections() == 1);
        if hole == Hole::After(30) {
            until(&stream, "pictures", has_pictures(25));
        }
        stream.stop();
        until(&stream, "left", |it| !it.is_running());
        assert_eq!((stream.state(), stream.status().cause), (State::Stopped, Some("stopped")), "{hole:?}");
        assert_eq!(stream.status().faults, 0);
    }
}

#[test]
fn each_stage_has_a_patience_of_its_own() {
    for (hole, option, cause) in [
        (Hole::Connect, "connect_timeout", "timeout-connect"),
        (Hole::Describe, "connect_timeout", "timeout-connect"),
        (Hole::Play, "connect_timeout", "timeout-connect"),
        (Hole::After(0), "first_frame_timeout", "timeout-first-frame"),
        (Hole::After(30), "stall_timeout", "stalled"),
    ] {
        let camera = start(Manner { hole, ..Manner::default() });
        let house = House::open(|parts| parts.policy.first = 3600 * SECOND);
        let stream = house.follow(&camera, json!({ option: 0.5 }));
        until(&stream, cause, |it| it.state() == State::BackingOff);
        assert_eq!(stream.status().cause, Some(cause), "{hole:?}");
        assert_eq!(camera.connections(), 1);
    }
}

#[test]
fn answers_of_a_server_are_told_apart() {
    for (status, cause, state) in [
        ("400 Bad Request", "bad-request", State::BackingOff),
        ("401 Unauthorized", "auth-failed", State::AuthFailed),
        ("403 Forbidden", "forbidden", State::BackingOff),
        ("404 Not Found", "not-found", State::BackingOff),
        ("408 Request Timeout", "bad-request", State::BackingOff),
        ("500 Internal Server Error", "server-error", State::BackingOff),
    ] {
        let camera = start(Manner { missing: status, ..Manner::default() });
        let house = House::open(|parts| parts.policy.first = 3600 * SECOND);
        let source = format!("rtsp://me:hunter2@{}/other?token=hunter3", camera.address);
        let stream = house.put("cam", json!({"source": source, "keepalive": true}));
        until(&stream, cause, |it| it.state() == state);
        assert_eq!(stream.status().cause, Some(cause), "{status}");
        assert!(!stream.to_json().to_string().contains("hunter"));
        let asked = camera.requests().iter().filter(|it| it.starts_with("DESCRIBE")).count();
        assert!((1..=2).contains(&asked), "once, and once more with credentials");
    }
}

#[test]
fn nobody_there_is_told_from_nobody_answering() {
    let house = House::open(|parts| {
        parts.policy.first = 3600 * SECOND;
        parts.guard = Guard::new("rtsp, http", "loopback, cam.invalid", Default::default()).expect("a guard");
    });
    // A port that was free a moment ago.
    let free =
        std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port").local_addr().expect("an address");
    for (name, source, cause) in [
        ("refused", format!("rtsp://{free}/x"), "refused"),
        ("unresolved", "rtsp://localhost.invalid/x".to_owned(), "dns"),
        ("elsewhere", "rtsp://cam.example.invalid./x".to_owned(), "dns"),
    ] {
        let stream = house.put(name, json!({"source": source, "keepalive": true}));
        until(&stream, cause, |it| it.state() == State::BackingOff);
        assert_eq!(stream.status().cause, Some(cause), "{name}");
    }
}

#[test]
fn what_is_no_media_is_told() {
    let house = House::open(|parts| parts.policy.first = 3600 * SECOND);
    std::fs::write(house.folder.path().join("noise.ts"), vec![0x55; 100_000]).expect("a file");
    let noise = house.put("noise", json!({"source": "file:noise.ts", "keepalive": true}));
    until(&noise, "a fault", |it| it.state() == State::BackingOff);
    // Sound alone.
    let bytes = camera::transport(160, 96, 50, 25, 0, false);
    let kept = bytes.chunks(188).filter(|it| (u16::from(it[1] & 0x1f) << 8 | u16::from(it[2])) != 0x100);
    std::fs::write(house.folder.path().join("deaf.wav"), wave()).expect("a file");
    drop(kept);
    let sound = house.put("sound", json!({"source": "file:deaf.wav", "keepalive": true}));
    until(&sound, "no video", |it| it.status().cause == Some("no-video"));
    assert!(samples(&sound).is_empty() && sound.ring.epoch().is_none());
}

/// A second of silence at 8 kHz.
fn wave() -> Vec<u8> {
    let mut bytes =
        b"RIFF\x64\x3e\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x40\x3e\0\0"
            .to_vec();
    bytes.resize(bytes.len() + 16_000, 0);
    bytes
}

#[test]
fn wrong_credentials_are_corrected_by_another_address() {
    let camera = start(Manner { password: Some("me:right"), ..Manner::default() });
    let house = House::open(|_| {});
    let stream = house
        .put("cam", json!({"source": format!("rtsp://me:wrong@{}/live", camera.address), "keepalive": true}));
    until(&stream, "refused", |it| it.state() == State::AuthFailed);
    let source = moviola::live::Source::from_json(&json!(format!("rtsp://me:right@{}/live", camera.address)));
    house.streams.set_source(&stream.id, source.expect("a source"), Default::default()).expect("a stream");
    live(&stream);
    assert_eq!(stream.status().updates, 1);
    assert!(!stream.to_json().to_string().contains("right"));
}

#[test]
fn another_size_in_the_middle_begins_an_epoch_on_the_same_connection() {
    let then = Reel::make(320, 192, 50, 25, false);
    let camera = start(Manner { then: Some(then), ..Manner::default() });
    let house = House::open(|_| {});
    let stream = house.follow(&camera, json!({}));
    until(&stream, "both sizes, and the first again", has_pictures(110));
    sound(&stream);
    assert_eq!(epochs(&stream)[..3], ["start", "codec", "codec"]);
    let shown = pictures(&stream);
    for (number, width) in [(0, 160), (49, 160), (50, 320), (99, 320), (100, 160)] {
        assert_eq!(shown[number].0.tracks[0].width, width, "picture {number}");
    }
    assert_eq!((camera.connections(), stream.figures().drops.len()), (1, 0));
}

#[test]
fn times_that_jump_or_run_over_are_no_reason_to_connect_again() {
    let minutes = 2_700 * 90_000;
    for (name, manner, causes) in [
        (
            "45 minutes",
            Manner { jump: Some((60, minutes)), ..Manner::default() },
            vec!["start", "timestamps"],
        ),
        (
            "45 minutes back",
            Manner { first: 1 << 31, jump: Some((60, -minutes)), ..Manner::default() },
            vec!["start", "timestamps"],
        ),
        ("32 bits run over", Manner { first: u32::MAX - 60 * 3_600, ..Manner::default() }, vec!["start"]),
    ] {
        let camera = start(manner);
        let house = House::open(|_| {});
        let stream = house.follow(&camera, json!({}));
        until(&stream, name, has_pictures(120));
        sound(&stream);
        let (shown, figures) = (pictures(&stream), stream.figures());
        assert_eq!((camera.connections(), epochs(&stream)), (1, causes), "{name}");
        assert_eq!(figures.drops.len(), 0, "{name}: {figures:?}");
        for pair in shown.windows(2) {
            let apart = pair[1].1.dts - pair[0].1.dts;
            assert!((1..=7_200).contains(&apart), "{name}: {apart} ticks");
            let apart = pair[1].1.time - pair[0].1.time;
            assert!((1..1_000_000).contains(&apart), "{name}: {apart} µs of wall time");
        }
    }
}

#[test]
fn a_connection_that_is_lost_comes_again_and_numbers_count_on() {
    let camera = start(Manner { cut: Some(60), ..Manner::default() });
    let house = House::open(|_| {});
    let stream = house.follow(&camera, json!({}));
    until(&stream, "three runs", |it| it.status().starts >= 3 && has_pictures(130)(it));
    sound(&stream);
    let all = stream.ring.read(0, usize::MAX).entries;
    assert!(all.iter().enumerate().all(|(at, it)| it.number == at as u64));
    let numbers: Vec<u64> = all.iter().map(|it| it.epoch.number).collect();
    assert!(numbers.is_sorted() && numbers.contains(&2));
    assert_eq!(epochs(&stream)[..3], ["start", "reconnect", "reconnect"]);
    let status = stream.status();
    assert_eq!(status.faults + 1, status.starts.max(status.faults + 1));
    assert_eq!(status.restarts.values().sum::<u64>(), status.faults, "{status:?}");
}
