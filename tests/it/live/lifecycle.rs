//! When sources are followed and left, by a clock that is stepped.

use super::*;
use camera::Hole;
use moviola::base::time::{Clock, SteppedClock, SystemClock};
use moviola::live::Source;

fn stepped() -> (Arc<SteppedClock>, House) {
    let clock = Arc::new(SteppedClock::new(SystemClock.now()));
    let given: Arc<dyn Clock> = clock.clone();
    (clock, House::open(|parts| (parts.clock, parts.policy) = (given, Policy::default())))
}

#[test]
fn a_stream_begins_when_it_is_watched_and_ends_when_nobody_asks() {
    let camera = start(Manner::default());
    let (clock, house) = stepped();
    let stream = house.put("cam", json!({"source": camera.url()}));
    house.streams.tick();
    assert_eq!((stream.state(), camera.connections()), (State::Stopped, 0), "nobody asked yet");
    stream.touch();
    live(&stream);
    clock.step(20 * SECOND);
    stream.touch();
    clock.step(20 * SECOND);
    house.streams.tick();
    assert!(stream.is_running());
    clock.step(11 * SECOND);
    house.streams.tick();
    until(&stream, "left", |it| !it.is_running());
    assert_eq!((stream.state(), stream.status().cause), (State::Stopped, Some("idle")));
    assert!(stream.ring.is_ended());
    stream.stop();
    assert_eq!(stream.state(), State::Stopped, "once more has no effect");
    let hold = stream.hold();
    assert!(!stream.is_running(), "what somebody stopped stays stopped");
    stream.start();
    live(&stream);
    clock.step(3600 * SECOND);
    house.streams.tick();
    assert!(stream.is_running(), "as long as it is held");
    drop(hold);
    house.streams.tick();
    until(&stream, "left", |it| !it.is_running());
}

#[test]
fn a_stream_that_is_kept_alive_needs_no_viewer() {
    let camera = start(Manner::default());
    let (clock, house) = stepped();
    let stream = house.follow(&camera, json!({}));
    live(&stream);
    clock.step(86_400 * SECOND);
    house.streams.tick();
    assert!(stream.is_running());
}

#[test]
fn a_dead_camera_is_not_tried_for_nobody() {
    let camera = start(Manner { cut: Some(0), ..Manner::default() });
    let (clock, house) = stepped();
    let stream = house.put("cam", json!({"source": camera.url()}));
    stream.touch();
    until(&stream, "a fault", |it| it.state() == State::BackingOff);
    clock.step(31 * SECOND);
    house.streams.tick();
    assert_eq!((stream.state(), stream.status().retry_at), (State::Stopped, None));
    let tried = camera.connections();
    for _ in 0..10 {
        clock.step(3600 * SECOND);
        house.streams.tick();
    }
    assert_eq!((camera.connections(), stream.is_running()), (tried, false));
}

#[test]
fn another_source_ends_a_wait_and_a_run_at_once() {
    let (dead, camera) = (start(Manner { cut: Some(0), ..Manner::default() }), start(Manner::default()));
    // The clock stands: a wait would never be over.
    let (_clock, house) = stepped();
    let stream = house.follow(&dead, json!({}));
    until(&stream, "a wait", |it| it.state() == State::BackingOff);
    let source = |of: &Camera| Source::from_json(&json!(of.url())).expect("a source");
    house.streams.set_source(&stream.id, source(&camera), Default::default()).expect("a stream");
    live(&stream);
    let other = start(Manner::default());
    house.streams.set_source(&stream.id, source(&other), Default::default()).expect("a stream");
    until(&stream, "the other camera", |it| other.connections() == 1 && it.state() == State::Live);
    until(&stream, "its epoch", |it| epochs(it).len() == 2);
    assert_eq!(epochs(&stream), ["source", "source"]);
    assert_eq!((stream.status().updates, stream.status().restarts["source"]), (2, 1));
}

#[test]
fn a_call_that_blocks_is_left_for_another_source() {
    let (hole, camera) =
        (start(Manner { hole: Hole::Connect, ..Manner::default() }), start(Manner::default()));
    let house = House::open(|_| {});
    let stream = house.follow(&hole, json!({}));
    until(&stream, "a connection", |_| hole.connections() == 1);
    let source = Source::from_json(&json!(camera.url())).expect("a source");
    house.streams.set_source(&stream.id, source, Default::default()).expect("a stream");
    live(&stream);
    assert_eq!(hole.connections(), 1);
}

/// The system's clock, which fails one stream's thread once.
struct Trap(std::sync::atomic::AtomicBool);

impl Clock for Trap {
    fn now(&self) -> moviola::base::Timestamp {
        let here = std::thread::current().name() == Some("live-trapped");
        let armed = here && self.0.swap(false, std::sync::atomic::Ordering::AcqRel);
        assert!(!armed, "a fault that is made for this test");
        SystemClock.now()
    }
}

#[test]
fn a_panic_in_a_source_ends_its_run_alone() {
    let camera = start(Manner::default());
    let house = House::open(|parts| parts.clock = Arc::new(Trap(true.into())));
    let other = house.put("other", json!({"source": camera.url(), "keepalive": true}));
    live(&other);
    let trapped = house.put("trapped", json!({"source": camera.url(), "keepalive": true}));
    until(&trapped, "live again", |it| it.status().starts == 2 && it.state() == State::Live);
    assert_eq!((trapped.status().restarts["panic"], other.status().starts), (1, 1));
}

#[test]
fn a_stall_is_told_and_passes() {
    let camera = start(Manner::default());
    let (clock, house) = stepped();
    let stream = house.follow(&camera, json!({}));
    live(&stream);
    camera.behave(|it| it.hole = Hole::None);
    let mut events = house.streams.events().listen();
    // The clock leaps further than a picture may be late; the next picture tells that it came after all.
    clock.step(4 * SECOND);
    house.streams.tick();
    live(&stream);
    let mut states = Vec::new();
    while let Ok(event) = events.try_recv() {
        states.extend(event.data["state"].as_str().map(str::to_owned));
    }
    assert!(states.iter().all(|it| it == "stalled" || it == "live"), "{states:?}");
}

#[test]
fn streams_are_taken_up_as_they_were_left() {
    let camera = start(Manner::default());
    let folder = tempfile::tempdir().expect("a folder");
    let settings = |keepalive: bool| {
        Settings::from_json(&json!({"source": camera.url(), "keepalive": keepalive, "orientation": 6}))
            .expect("settings")
    };
    let id = |name: &str| moviola::base::StreamId::new(name).expect("a name");
    let streams = Streams::open(parts(folder.path())).expect("streams");
    streams.set(&id("kept"), settings(true)).expect("a stream");
    streams.set(&id("idle"), settings(false)).expect("a stream");
    streams.set(&id("gone"), settings(true)).expect("a stream");
    streams.remove(&id("gone")).expect("a stream");
    assert!(streams.shutdown(Duration::from_secs(30)), "all threads leave, whatever is kept alive");
    let again = Streams::open(parts(folder.path())).expect("streams");
    assert_eq!(again.list().iter().map(|it| it.id.to_string()).collect::<Vec<_>>(), ["idle", "kept"]);
    live(&again.get(&id("kept")).expect("a stream"));
    let idle = again.get(&id("idle")).expect("a stream");
    assert_eq!((idle.state(), idle.settings().orientation), (State::Stopped, 6));
    assert!(again.shutdown(Duration::from_secs(30)));
}
