//! What comes from sources that do well.

use super::*;
use bytes::Bytes;
use moviola::base::Token;
use moviola::base::time::{Clock, SystemClock};
use moviola::live::still;
use moviola::media::live::Codec;
use moviola::media::live::still::decode;
use moviola::media::synthetic::file;

#[test]
fn cameras_are_followed_whatever_their_groups_of_pictures() {
    for (gop, hevc, seconds) in [(25, false, 1.0), (100, false, 4.0), (250, false, 10.0), (50, true, 2.0)] {
        let camera = Camera::start(Reel::make(160, 96, gop * 2, gop, hevc), Manner::default());
        let house = House::open(|_| {});
        let stream = house.follow(&camera, json!({}));
        until(&stream, "three keyframes", |it| pictures(it).iter().filter(|it| it.1.key).count() >= 3);
        sound(&stream);
        let shown = pictures(&stream);
        let keys: Vec<usize> = (0..shown.len()).filter(|it| shown[*it].1.key).collect();
        assert_eq!(keys[..3], [0, gop as usize, camera.length()], "the reel, and its start again");
        let track = &shown[0].0.tracks[0];
        let codec = if hevc { Codec::Hevc } else { Codec::H264 };
        assert_eq!((track.codec, track.width, track.height), (codec, 160, 96));
        assert!(track.codecs.starts_with(if hevc { "hvc1." } else { "avc1." }), "{}", track.codecs);
        let figures = stream.figures();
        assert_eq!((figures.gop_seconds, figures.drops.len()), (Some(seconds), 0), "{figures:?}");
        // RTP has no decoding times: libav tells none of the first picture.
        assert!(figures.mended.keys().all(|it| *it == "first-keyframe"), "{figures:?}");
        assert_eq!((camera.connections(), epochs(&stream)), (1, vec!["start"]));
        // Each picture is what the camera sent.
        let sent = camera.pictures(5);
        for ((_, sample), units) in shown.iter().zip(sent) {
            let whole: Vec<u8> =
                units.iter().flat_map(|it| [&(it.len() as u32).to_be_bytes()[..], it].concat()).collect();
            assert!(sample.data.ends_with(units.last().expect("a unit")) && sample.data.len() <= whole.len());
        }
    }
}

#[test]
fn a_cameras_first_picture_is_shown_once_the_second_begins() {
    // It falls silent then, before anything is known of times, or of their order.
    let silent = Reel::with_b_frames(160, 96, 50, 25, 2, false).silent_of_order();
    for reel in [Reel::make(160, 96, 50, 25, false), silent] {
        let camera = Camera::start(reel, Manner { hole: camera::Hole::After(2), ..Manner::default() });
        first_look(&camera);
    }
}

fn first_look(camera: &Camera) {
    let house = House::open(|_| {});
    let stream = house.follow(camera, json!({}));
    until(&stream, "something to look at", |it| it.ring.newest_look().is_some());
    let found = still::find(&stream.ring, None).expect("a picture");
    assert!(found.facts.key && pictures(&stream).is_empty());
    let look = stream.ring.newest_look().expect("a picture");
    let decoded =
        decode(&look.epoch.tracks[look.sample.track], &[look.sample], found.facts.pts, &Token::root());
    assert!(decoded.expect("a picture").bytes() >= 160 * 96);
}

#[test]
fn a_picture_is_one_of_now_where_the_source_brings_any() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let find = |stream: &Arc<Stream>, next| {
        stream.touch();
        runtime.block_on(still::find_newest(stream, next, HOURS))
    };
    let code = |stream: &Arc<Stream>, next| find(stream, next).map(|_| ()).expect_err("no picture").code;
    let camera = start(Manner::default());
    let house = House::open(|_| {});
    let stream = house.put("cam", json!({"source": camera.url()}));
    assert_eq!(stream.state(), State::Stopped);
    let first = find(&stream, false).expect("a picture of a source that had to begin").facts;
    let next = find(&stream, true).expect("a picture").facts;
    assert!(first.key && next.key && next.time > first.time && next.number > first.number);
    // A camera that is lost, and then refuses: what it showed last is all there is.
    camera.behave(|it| it.password = Some("another"));
    camera.cut();
    until(&stream, "refused", |it| it.state() == State::AuthFailed);
    let last = find(&stream, false).expect("what was last").facts;
    assert!(last.number >= next.number);
    assert_eq!(code(&stream, true), "no-media");
    // Begun again, it shows none of what was before.
    camera.behave(|it| it.password = None);
    stream.stop();
    until(&stream, "stopped", |it| !it.is_running());
    assert_eq!(find(&stream, false).expect("what was last").facts, last, "it is to stay stopped");
    stream.start();
    // Times of a camera that sends faster than it films are no measure of it.
    assert!(find(&stream, false).expect("a picture of now").facts.number > last.number);
    let never = house.put("never", json!({"source": camera.url().replace("/live", "/missing")}));
    assert_eq!(code(&never, false), "no-picture");
}

#[test]
fn wall_times_are_the_cameras_where_it_tells_them() {
    let clock = SystemClock.now() + -3 * SECOND;
    let camera = start(Manner { clock: Some(clock), ..Manner::default() });
    let house = House::open(|_| {});
    let stream = house.follow(&camera, json!({}));
    until(&stream, "two hundred pictures", has_pictures(200));
    for (number, (_, sample)) in pictures(&stream).iter().enumerate() {
        let off = sample.time - (clock + number as i64 * 40_000);
        assert!(off.abs() < 1_000, "picture {number} is off by {off} µs");
    }
}

#[test]
fn pictures_of_a_camera_may_be_sent_in_another_order_than_they_are_shown() {
    // RTP tells when pictures are shown, and nothing of when they are decoded.
    followed_in_order(Reel::with_b_frames(160, 96, 100, 25, 2, false));
}

#[test]
fn a_camera_need_not_say_how_its_pictures_are_ordered() {
    followed_in_order(Reel::with_b_frames(160, 96, 100, 25, 2, false).silent_of_order());
    followed_in_order(Reel::with_b_frames(160, 96, 100, 25, 1, false).silent_of_order());
}

fn followed_in_order(reel: Reel) {
    let clock = SystemClock.now() + -3 * SECOND;
    let shown: Vec<i64> = reel.pictures.iter().map(|it| it.0).collect();
    let camera = Camera::start(reel, Manner { clock: Some(clock), ..Manner::default() });
    let house = House::open(|_| {});
    let stream = house.follow(&camera, json!({}));
    until(&stream, "sixty pictures", has_pictures(60));
    sound(&stream);
    let found = pictures(&stream);
    let first = found[0].1.pts;
    for (number, (_, sample)) in found.iter().take(60).enumerate() {
        assert_eq!(sample.pts - first, shown[number], "picture {number} is there, and shown when it is");
        let off = sample.time - (clock + shown[number] * 100 / 9);
        assert!(off.abs() < 1_000, "picture {number} is off by {off} µs");
    }
    assert_eq!((epochs(&stream), stream.figures().drops.len()), (vec!["start"], 0));
}

#[test]
fn containers_that_tell_no_decoding_times_join_without_a_seam() {
    let house = House::open(|_| {});
    let recipe = camera::recipe(160, 96, 50, 25, 2, false);
    let target = std::fs::File::create(house.folder.path().join("film.mkv")).expect("a file");
    file(&recipe, "matroska", &[], target, &Token::root()).expect("a film");
    let options = json!({"pace": false});
    let stream = house.put("film", json!({"source": "file:film.mkv", "options": options, "keepalive": true}));
    until(&stream, "five rounds", has_pictures(250));
    stream.stop();
    until(&stream, "left", |it| !it.is_running());
    sound(&stream);
    assert_eq!(epochs(&stream), ["start"]);
    let drops = stream.figures().drops;
    assert!(!drops.contains_key("backward") && !drops.contains_key("repeated"), "{drops:?}");
    // Times are of whole milliseconds there.
    for pair in pictures(&stream).windows(2) {
        assert!((39..=41).contains(&(pair[1].1.dts - pair[0].1.dts)), "{}", pair[1].1.dts);
    }
}

#[test]
fn sound_is_a_track_from_the_first_picture_on_whatever_it_is_coded_as() {
    let house = House::open(|_| {});
    for (encoder, name, codecs) in [
        ("aac", "aac", "mp4a.40.2"),
        ("libmp3lame", "mp3", "mp4a.6b"),
        ("ac3", "ac3", "ac-3"),
        ("eac3", "eac3", "ec-3"),
        ("libopus", "opus", "opus"),
    ] {
        let mut recipe = camera::recipe(160, 96, 50, 25, 2, false);
        recipe.sound.codec = encoder.into();
        let target = std::fs::File::create(house.folder.path().join("film.ts")).expect("a file");
        file(&recipe, "mpegts", &[], target, &Token::root()).expect("a film");
        let options = json!({"pace": false, "loop": false});
        let stream =
            house.put(name, json!({"source": "file:film.ts", "options": options, "keepalive": true}));
        until(&stream, "its end", |it| it.status().cause == Some("ended"));
        stream.stop();
        let (epoch, _) = pictures(&stream)[0].clone();
        let track = &epoch.tracks[1];
        assert_eq!((track.name.as_str(), track.codecs.as_str()), (name, codecs));
        assert!(track.entry.is_some(), "MP4 has a form for it");
        assert!(
            !stream.figures().drops.contains_key("unknown-track"),
            "{name}: {:?}",
            stream.figures().drops
        );
    }
}

#[test]
fn sound_may_come_later_than_its_pictures() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let house = House::open(|_| {});
    for (encoder, name, length) in [("aac", "aac", 1920), ("libmp3lame", "mp3", 2160), ("ac3", "ac3", 2880)] {
        let mut recipe = camera::recipe(160, 96, 50, 25, 2, false);
        recipe.sound.codec = encoder.into();
        let target = std::fs::File::create(house.folder.path().join("film.ts")).expect("a file");
        file(&recipe, "mpegts", &[], target, &Token::root()).expect("a film");
        let film = std::fs::read(house.folder.path().join("film.ts")).expect("a film");
        // Every packet of sound waits until twelve pictures more have begun.
        let (mut early, mut late, mut begun) = (Vec::new(), std::collections::VecDeque::new(), 0);
        let mut first = None;
        for packet in film.chunks(188) {
            let pid = u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]);
            begun += usize::from(pid == 0x100 && packet[1] & 0x40 > 0);
            if pid == 0x101 {
                late.push_back((begun, packet));
            } else {
                if begun == 3 {
                    first.get_or_insert(early.len());
                }
                early.extend_from_slice(packet);
            }
            while late.front().is_some_and(|it: &(usize, &[u8])| it.0 + 12 < begun) {
                late.pop_front().into_iter().for_each(|it| early.extend_from_slice(it.1));
            }
        }
        let first = first.expect("three pictures");
        let stream = house.put(name, json!({"source": {"push": "http"}, "keepalive": true}));
        let sender = stream.publish().expect("a sender");
        let send = |bytes: &[u8]| {
            let pieces = bytes.chunks(1880).map(Bytes::copy_from_slice).collect::<Vec<_>>();
            runtime.block_on(async {
                for piece in pieces {
                    sender.send(piece).await.expect("room");
                }
            });
        };
        send(&early[..first + 188]);
        until(&stream, "something to look at", |it| it.ring.newest_look().is_some());
        assert!(pictures(&stream).is_empty(), "{name}: sound is waited for");
        send(&early[first + 188..]);
        until(&stream, "pictures", has_pictures(35));
        sound(&stream);
        let (epoch, _) = pictures(&stream)[0].clone();
        assert_eq!((epochs(&stream), epoch.tracks[1].name.as_str()), (vec!["start"], name));
        let heard: Vec<i64> =
            samples(&stream).iter().filter(|it| it.1.track == 1).map(|it| it.1.dts).collect();
        assert!(heard.len() > 10 && heard.windows(2).all(|it| it[1] - it[0] == length), "{name}: {heard:?}");
        assert!(stream.figures().drops.is_empty(), "{name}: {:?}", stream.figures());
    }
}

#[test]
fn sound_of_telephones_is_a_track() {
    let camera = start(Manner { sound: true, ..Manner::default() });
    let house = House::open(|_| {});
    let stream = house.follow(&camera, json!({}));
    until(&stream, "pictures", has_pictures(60));
    sound(&stream);
    let tracks = stream.ring.epoch().expect("an epoch").tracks.clone();
    assert_eq!((tracks.len(), tracks[1].codec, tracks[1].sample_rate), (2, Codec::Alaw, 8000));
    assert!(samples(&stream).iter().any(|it| it.1.track == 1));
    let bare = house.put("bare", json!({"source": camera.url(), "audio": false, "keepalive": true}));
    until(&bare, "pictures", has_pictures(10));
    assert_eq!(bare.ring.epoch().expect("an epoch").tracks.len(), 1);
}

#[test]
fn files_stand_for_sources_over_and_over() {
    let house = House::open(|_| {});
    std::fs::write(house.folder.path().join("film.ts"), camera::transport(160, 96, 50, 25, 2, false))
        .expect("a file");
    let film = |name: &str, options: Value| {
        house.put(name, json!({"source": "file:film.ts", "options": options, "keepalive": true}))
    };
    let stream = film("loop", json!({"pace": false}));
    until(&stream, "five rounds", has_pictures(250));
    stream.stop();
    until(&stream, "left", |it| !it.is_running());
    sound(&stream);
    assert_eq!(epochs(&stream), ["start"], "rounds join without a seam");
    let shown = pictures(&stream);
    for pair in shown.windows(2) {
        assert_eq!(pair[1].1.dts - pair[0].1.dts, 3_600);
    }
    let once = film("once", json!({"pace": false, "loop": false}));
    until(&once, "its end", |it| it.status().cause == Some("ended"));
    assert_eq!(pictures(&once).len() % 50, 0, "no picture is lost at the end");
    let missing = house.put("missing", json!({"source": "file:none.ts", "keepalive": true}));
    until(&missing, "missing", |it| it.status().cause == Some("not-found"));
}

#[test]
fn sound_that_never_comes_holds_up_nothing() {
    // The program names a track of sound of which no packet is there.
    let mut bytes = camera::transport(160, 96, 100, 25, 0, false);
    let sound_pid = 0x101u16;
    bytes = bytes
        .chunks(188)
        .filter(|it| (u16::from(it[1] & 0x1f) << 8 | u16::from(it[2])) != sound_pid)
        .flatten()
        .copied()
        .collect();
    let house = House::open(|_| {});
    std::fs::write(house.folder.path().join("silent.ts"), bytes).expect("a file");
    let options = json!({"pace": false, "loop": false});
    let stream =
        house.put("silent", json!({"source": "file:silent.ts", "options": options, "keepalive": true}));
    until(&stream, "its end", |it| it.status().cause == Some("ended"));
    let (first, count) = (pictures(&stream)[0].0.clone(), pictures(&stream).len());
    assert_eq!((first.tracks.len(), count % 100), (1, 0));
}
