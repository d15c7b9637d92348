use super::*;
use crate::base::Kind;
use crossbeam_channel::bounded;
use std::sync::atomic::{AtomicUsize, Ordering};

fn lane(seats: usize, queue: usize) -> LaneOptions {
    LaneOptions { seats, queue, max_wait: None, nice: 0 }
}

fn pool(seats: usize, queue: usize) -> (Pool, Metrics) {
    let metrics = Metrics::new();
    let options = Options {
        interactive: lane(seats, queue),
        batch: LaneOptions { nice: 5, ..lane(seats, queue) },
        background: LaneOptions { nice: 19, ..lane(1, 4) },
        disk: lane(1, 4),
    };
    (Pool::start(&options, &metrics).unwrap(), metrics)
}

/// A task that says it began and then waits to be let go.
struct Gate {
    began: crossbeam_channel::Receiver<()>,
    go: crossbeam_channel::Sender<()>,
    ticket: Ticket<bool>,
}

fn gated(pool: &Pool, lane: Lane) -> Result<Gate> {
    let (say, began) = bounded(1);
    let (go, wait) = bounded::<()>(1);
    let ticket = pool.submit(lane, &Token::root(), move |token| {
        say.send(()).ok();
        wait.recv().ok();
        Ok(token.is_cancelled())
    })?;
    Ok(Gate { began, go, ticket })
}

fn ended(metrics: &Metrics, outcome: &str) -> u64 {
    metrics.pool_tasks.with_label_values(&["interactive", outcome]).get()
}

#[test]
fn a_result_comes_back_and_no_worker_is_left() {
    let (pool, metrics) = pool(2, 4);
    let ticket = pool.submit(Lane::Interactive, &Token::root(), |_| Ok(41 + 1)).unwrap();
    assert_eq!(ticket.wait().unwrap(), 42);
    assert_eq!(metrics.pool_running.with_label_values(&["interactive"]).get(), 0);
    assert_eq!(metrics.pool_queued.with_label_values(&["interactive"]).get(), 0);
    assert_eq!((ended(&metrics, "done"), pool.seats(Lane::Interactive).idle()), (1, 2));
    assert!(pool.shutdown(Duration::from_secs(5)));
}

#[test]
fn a_full_queue_refuses_now_and_a_dropped_ticket_makes_room() {
    let (pool, metrics) = pool(1, 1);
    let first = gated(&pool, Lane::Interactive).unwrap();
    first.began.recv().unwrap();
    let queued = gated(&pool, Lane::Interactive).unwrap();
    let refused = gated(&pool, Lane::Interactive).err().unwrap();
    assert_eq!(refused.kind, Kind::Busy);
    assert_eq!(ended(&metrics, "refused"), 1);
    // Another lane has its own queue.
    assert!(pool.submit(Lane::Disk, &Token::root(), |_| Ok(1)).unwrap().wait().is_ok());
    drop(queued.ticket);
    let third = gated(&pool, Lane::Interactive).unwrap();
    assert!(queued.began.recv().is_err(), "the dropped one must never begin");
    first.go.send(()).unwrap();
    third.go.send(()).unwrap();
    assert!(!third.ticket.wait().unwrap());
    assert_eq!(ended(&metrics, "cancelled"), 1);
}

#[test]
fn dropping_a_ticket_cancels_the_running_task() {
    let (pool, metrics) = pool(1, 1);
    let (say, heard) = bounded(1);
    let ticket = pool
        .submit(Lane::Interactive, &Token::root(), move |token| {
            say.send(0).ok();
            while !token.is_cancelled() {
                std::thread::yield_now();
            }
            say.send(1).ok();
            token.check()
        })
        .unwrap();
    assert_eq!(heard.recv().unwrap(), 0);
    drop(ticket);
    assert_eq!(heard.recv().unwrap(), 1);
    assert!(pool.shutdown(Duration::from_secs(5)));
    assert_eq!(ended(&metrics, "cancelled"), 1);
}

#[test]
fn a_panic_is_an_internal_error_and_the_worker_lives_on() {
    let (pool, metrics) = pool(1, 4);
    let ticket = pool.submit::<(), _>(Lane::Interactive, &Token::root(), |_| panic!("on purpose")).unwrap();
    let error = ticket.wait().unwrap_err();
    assert_eq!(error.kind, Kind::Internal);
    assert_eq!(error.cause.as_deref(), Some("panic: on purpose"));
    assert!(pool.submit(Lane::Interactive, &Token::root(), |_| Ok(())).unwrap().wait().is_ok());
    assert_eq!((ended(&metrics, "panicked"), ended(&metrics, "done")), (1, 1));
}

#[test]
fn what_waited_too_long_is_refused() {
    let metrics = Metrics::new();
    let impatient = LaneOptions { max_wait: Some(Duration::ZERO), ..lane(1, 4) };
    let options =
        Options { interactive: impatient, batch: lane(1, 1), background: lane(1, 1), disk: lane(1, 1) };
    let pool = Pool::start(&options, &metrics).unwrap();
    let ticket = pool.submit(Lane::Interactive, &Token::root(), |_| Ok(())).unwrap();
    assert_eq!(ticket.wait().unwrap_err().kind, Kind::Busy);
}

#[test]
fn borrowed_seats_keep_others_waiting() {
    let (pool, _) = pool(2, 4);
    let seats = pool.seats(Lane::Batch);
    let (say, heard) = bounded(1);
    let (go, wait) = bounded::<()>(1);
    let inner = seats.clone();
    let wide = pool
        .submit(Lane::Batch, &Token::root(), move |_| {
            let lent = inner.borrow_idle(8);
            say.send(lent.count()).ok();
            wait.recv().ok();
            Ok(())
        })
        .unwrap();
    assert_eq!(heard.recv().unwrap(), 1);
    let order = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&order);
    let second = pool.submit(Lane::Batch, &Token::root(), move |_| Ok(seen.load(Ordering::SeqCst))).unwrap();
    order.store(7, Ordering::SeqCst);
    go.send(()).unwrap();
    wide.wait().unwrap();
    assert_eq!(second.wait().unwrap(), 7);
    assert_eq!(seats.idle(), 2);
}

#[test]
fn batch_threads_run_at_a_lower_priority() {
    let (pool, _) = pool(1, 1);
    let nice = |lane| {
        pool.submit(lane, &Token::root(), |_| {
            let thread = rustix::thread::gettid();
            rustix::process::getpriority_process(Some(thread))
                .map_err(|fault| Error::internal(fault.to_string()))
        })
        .unwrap()
        .wait()
        .unwrap()
    };
    assert_eq!(nice(Lane::Batch), nice(Lane::Interactive).max(5));
    assert_eq!(nice(Lane::Background), 19);
}

#[test]
fn shutdown_cancels_what_outlives_the_grace() {
    let (pool, metrics) = pool(1, 4);
    let (say, heard) = bounded(1);
    let ticket = pool
        .submit(Lane::Interactive, &Token::root(), move |token| {
            say.send(()).ok();
            while !token.is_cancelled() {
                std::thread::yield_now();
            }
            token.check()
        })
        .unwrap();
    heard.recv().unwrap();
    let queued = pool.submit(Lane::Interactive, &Token::root(), |_| Ok(())).unwrap();
    assert!(pool.shutdown(Duration::ZERO));
    assert_eq!(ticket.wait().unwrap_err().kind, Kind::Cancelled);
    assert_eq!(queued.wait().unwrap_err().kind, Kind::Cancelled);
    assert_eq!(ended(&metrics, "cancelled"), 2);
    assert_eq!(pool.submit(Lane::Interactive, &Token::root(), |_| Ok(())).unwrap_err().kind, Kind::Busy);
}
