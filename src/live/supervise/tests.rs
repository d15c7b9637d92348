//! The machine by a clock that is stepped.

use super::*;

const MS: i64 = 1_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000 * SECOND + millis * MS)
}

fn fault(cause: &'static str) -> Fault {
    Fault { cause, detail: format!("because of {cause}") }
}

fn kept() -> Machine {
    let mut machine = Machine::new(Policy::default(), at(0));
    machine.always = true;
    machine
}

/// The run that an action begins.
fn run(action: Option<Action>) -> u64 {
    match action {
        Some(Action::Run { run, .. }) => run,
        other => panic!("{other:?} begins no run"),
    }
}

#[test]
fn tries_come_quickly_first_then_rarer_up_to_the_cap() {
    let mut machine = kept();
    let mut now = 0;
    let mut number = run(machine.tick(at(now)));
    let mut waits = Vec::new();
    for _ in 0..9 {
        assert_eq!(machine.ended(number, fault("refused"), at(now), 0.5), None);
        assert_eq!((machine.state, machine.cause), (State::BackingOff, Some("refused")));
        let wait = (machine.retry_at.unwrap() - at(now)) / MS;
        waits.push(wait);
        assert_eq!(machine.tick(at(now + wait - 1)), None);
        now += wait;
        number = run(machine.tick(at(now)));
    }
    assert_eq!(waits, [700, 1_400, 2_800, 5_600, 11_200, 22_400, 30_000, 30_000, 30_000]);
    assert_eq!((machine.starts, machine.faults, machine.restarts["refused"]), (10, 9, 9));
}

#[test]
fn jitter_spreads_tries_and_never_passes_the_cap() {
    for (jitter, wait) in [(0.0, 525), (0.5, 700), (1.0, 875), (7.0, 875)] {
        let mut machine = kept();
        let number = run(machine.tick(at(0)));
        machine.ended(number, fault("reset"), at(0), jitter);
        assert_eq!((machine.retry_at.unwrap() - at(0)) / MS, wait);
    }
}

#[test]
fn a_healthy_run_makes_the_next_try_quick_again() {
    let mut machine = kept();
    let mut now = 0;
    for _ in 0..6 {
        let number = run(machine.tick(at(now)));
        machine.ended(number, fault("refused"), at(now), 0.5);
        now += 60_000;
    }
    let number = run(machine.tick(at(now)));
    machine.picture(number, at(now));
    now += 30_000;
    machine.ended(number, fault("reset"), at(now), 0.5);
    assert_eq!((machine.retry_at.unwrap() - at(now)) / MS, 30_000, "half a minute is not yet healthy");
    now += 40_000;
    let number = run(machine.tick(at(now)));
    machine.picture(number, at(now));
    now += 61_000;
    machine.ended(number, fault("reset"), at(now), 0.5);
    assert_eq!((machine.retry_at.unwrap() - at(now)) / MS, 700);
}

#[test]
fn an_update_in_the_middle_of_a_wait_begins_at_once() {
    let mut machine = kept();
    let number = run(machine.tick(at(0)));
    machine.ended(number, fault("not-found"), at(0), 0.5);
    assert_eq!(machine.update(at(1)), Some(Action::Run { run: 2, cause: "source" }));
    assert_eq!((machine.state, machine.updates), (State::Connecting, 1));
}

#[test]
fn an_update_of_a_run_waits_until_it_has_left() {
    let mut machine = kept();
    let number = run(machine.tick(at(0)));
    machine.picture(number, at(10));
    assert_eq!(machine.update(at(20)), Some(Action::Leave));
    machine.picture(number, at(21));
    assert_eq!(machine.state, State::Connecting, "pictures of the old source do not count");
    assert_eq!(machine.tick(at(30)), None, "never two at a time");
    let action = machine.ended(number, fault("cancelled"), at(40), 0.5);
    assert_eq!(action, Some(Action::Run { run: 2, cause: "source" }));
    assert_eq!((machine.faults, machine.restarts["source"]), (0, 1), "what was asked for is no fault");
}

#[test]
fn refused_credentials_are_not_tried_again_and_again() {
    let mut machine = kept();
    let number = run(machine.tick(at(0)));
    machine.ended(number, fault("auth-failed"), at(0), 0.5);
    assert_eq!((machine.state, machine.cause), (State::AuthFailed, Some("auth-failed")));
    assert_eq!(machine.touch(at(60_000)), None, "a viewer has no other credentials");
    assert_eq!(machine.tick(at(299_999)), None);
    assert_eq!(run(machine.update(at(299_999))), 2, "but other credentials are tried at once");
    machine.ended(2, fault("auth-failed"), at(300_000), 0.5);
    assert_eq!(run(machine.tick(at(600_000))), 3);
}

#[test]
fn nobody_asking_ends_it_and_a_dead_source_is_not_tried_for_nobody() {
    let mut machine = Machine::new(Policy::default(), at(0));
    assert_eq!(machine.tick(at(0)), None, "nobody wants it yet");
    let number = run(machine.touch(at(0)));
    machine.picture(number, at(100));
    assert_eq!(machine.touch(at(20_000)), None);
    machine.picture(number, at(49_000));
    assert_eq!(machine.tick(at(49_999)), None);
    assert_eq!(machine.tick(at(50_000)), Some(Action::Leave));
    assert_eq!((machine.state, machine.cause), (State::Stopped, Some("idle")));
    assert_eq!(machine.tick(at(50_100)), None, "told once");
    assert_eq!(machine.ended(number, fault("cancelled"), at(50_200), 0.5), None);
    // The same of one that never answered.
    let number = run(machine.touch(at(60_000)));
    machine.ended(number, fault("timeout-connect"), at(65_000), 0.5);
    assert_eq!(machine.tick(at(90_000)), None);
    assert_eq!((machine.state, machine.retry_at, machine.starts), (State::Stopped, None, 2));
    assert_eq!(machine.tick(at(900_000)), None);
}

#[test]
fn a_new_viewer_ends_the_wait_and_one_who_polls_does_not() {
    let mut machine = kept();
    let number = run(machine.tick(at(0)));
    machine.touch(at(0));
    (0..6).fold(number, |number, round| {
        machine.ended(number, fault("refused"), at(round), 0.5);
        run(machine.start(at(round)))
    });
    machine.ended(7, fault("refused"), at(1_000), 0.5);
    for poll in 1..12 {
        assert_eq!(machine.touch(at(1_000 + poll * 1_000)), None);
    }
    assert_eq!(run(machine.touch(at(25_000))), 8);
}

#[test]
fn a_stop_holds_until_a_start() {
    let mut machine = kept();
    let number = run(machine.tick(at(0)));
    assert_eq!(machine.stop("stopped", at(5)), Some(Action::Leave));
    assert_eq!(
        (machine.stop("stopped", at(6)), machine.touch(at(7)), machine.tick(at(8))),
        (None, None, None)
    );
    assert_eq!(machine.state, State::Stopped);
    assert_eq!(machine.start(at(9)), None, "the old run has not left");
    assert_eq!(
        machine.ended(number, fault("cancelled"), at(10), 0.5),
        Some(Action::Run { run: 2, cause: "start" })
    );
    machine.stop("stopped", at(11));
    assert_eq!(machine.ended(2, fault("cancelled"), at(12), 0.5), None);
    assert_eq!(machine.stop("stopped", at(13)), None, "once more has no effect");
}

#[test]
fn holds_keep_it_as_long_as_they_last() {
    let mut machine = Machine::new(Policy::default(), at(0));
    machine.holds = 1;
    let number = run(machine.tick(at(0)));
    machine.picture(number, at(0));
    machine.picture(number, at(3_600_000));
    assert_eq!(machine.tick(at(3_600_000)), None);
    machine.holds = 0;
    assert_eq!(machine.tick(at(3_600_100)), Some(Action::Leave));
}

#[test]
fn a_stall_is_seen_and_passes() {
    let mut machine = kept();
    let number = run(machine.tick(at(0)));
    machine.picture(number, at(0));
    machine.tick(at(2_999));
    assert_eq!(machine.state, State::Live);
    machine.tick(at(3_000));
    assert_eq!((machine.state, machine.cause), (State::Stalled, Some("stalled")));
    machine.picture(number, at(3_500));
    assert_eq!((machine.state, machine.cause, machine.since), (State::Live, None, at(3_500)));
}

#[test]
fn a_camera_that_is_off_is_live_never_and_not_now_and_then() {
    let mut machine = kept();
    let mut now = 0;
    for _ in 0..20 {
        let number = run(machine.tick(at(now)));
        assert_ne!(machine.state, State::Live);
        machine.ended(number, fault("unreachable"), at(now), 0.5);
        now += 30_000;
    }
    assert_eq!(machine.cause, Some("unreachable"), "and why is told all the time");
    let number = run(machine.tick(at(now)));
    assert_eq!((machine.state, machine.cause), (State::Connecting, Some("unreachable")));
    machine.picture(number, at(now));
    assert_eq!((machine.state, machine.cause, &machine.detail), (State::Live, None, &None));
}

#[test]
fn who_pushes_may_come_back_at_once() {
    let mut machine = kept();
    machine.push = true;
    let number = run(machine.tick(at(0)));
    machine.picture(number, at(0));
    machine.ended(number, fault("ended"), at(5_000), 0.5);
    assert_eq!(run(machine.tick(at(5_000))), 2);
    machine.ended(2, fault("in-use"), at(5_001), 0.5);
    assert!(machine.retry_at.unwrap() > at(5_500), "an address that is taken is no publisher that left");
}
