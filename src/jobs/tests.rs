use super::*;
use crate::base::metrics::Metrics;
use crate::pool::{LaneOptions, Options};
use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::json;

struct Bench {
    folder: tempfile::TempDir,
    pool: Pool,
    stop: Token,
}

impl Bench {
    fn new() -> Self {
        let lane = LaneOptions { seats: 1, queue: 4, max_wait: None, nice: 0 };
        let [interactive, batch, background, disk] = std::array::from_fn(|_| lane.clone());
        let options = Options { interactive, batch, background, disk };
        let pool = Pool::start(&options, &Metrics::new()).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), pool, stop: Token::root() }
    }

    fn jobs(&self, work: Work, limits: Limits) -> Jobs {
        Jobs::open(self.folder.path(), [("work", work)], limits, self.pool.clone(), self.stop.clone())
    }
}

const LIMITS: Limits = Limits { waiting: 3, kept: 2 };

fn echo() -> Work {
    Arc::new(|parameters, _, _| match parameters.as_str() {
        Some("fail") => Err(Error::damaged("it is broken")),
        _ => Ok(parameters.clone()),
    })
}

/// Work that says when it began and then waits until it may go on or is cancelled.
fn gated() -> (Work, Receiver<()>, Sender<()>) {
    let (say, began) = bounded(8);
    let (go, wait) = bounded::<()>(8);
    let work: Work = Arc::new(move |_, progress, token| {
        progress.set(1, 4);
        say.send(()).ok();
        loop {
            token.check()?;
            if wait.recv_timeout(Duration::from_millis(1)).is_ok() {
                return Ok(json!("done"));
            }
        }
    });
    (work, began, go)
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// Runs jobs while `what` goes on.
fn while_running<T>(jobs: &Jobs, what: impl Future<Output = T>) -> T {
    block(async {
        tokio::select! {
            () = jobs.clone().run() => panic!("it runs for ever"),
            got = what => got,
        }
    })
}

#[test]
fn jobs_run_in_their_order_and_say_how_they_ended() {
    let bench = Bench::new();
    let jobs = bench.jobs(echo(), LIMITS);
    let good = jobs.submit("work", json!({"a": 1})).unwrap();
    let bad = jobs.submit("work", json!("fail")).unwrap();
    assert_eq!(jobs.get(&good.id).unwrap().state, State::Queued);
    let (good, bad) = while_running(&jobs, async {
        (jobs.ended(&good.id).await.unwrap(), jobs.ended(&bad.id).await.unwrap())
    });
    assert_eq!((good.state, good.result, good.progress), (State::Done, Some(json!({"a": 1})), 1.0));
    assert_eq!((bad.state, bad.failure.unwrap().code.as_str()), (State::Failed, "damaged-media"));
    assert!(good.ended <= bad.started);
    // What is kept says the same.
    let again = bench.jobs(echo(), LIMITS);
    assert_eq!(again.list().iter().map(|it| it.state).collect::<Vec<_>>(), [State::Failed, State::Done]);
}

#[test]
fn a_job_can_be_called_off_before_and_while_it_runs() {
    let bench = Bench::new();
    let (work, began, _go) = gated();
    let jobs = bench.jobs(work, LIMITS);
    let running = jobs.submit("work", json!(1)).unwrap().id;
    let waiting = jobs.submit("work", json!(2)).unwrap().id;
    while_running(&jobs, async {
        while began.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        let seen = jobs.get(&running).unwrap();
        assert_eq!((seen.state, seen.progress), (State::Running, 0.25));
        assert_eq!(jobs.cancel(&waiting).unwrap().state, State::Cancelled);
        jobs.cancel(&running).unwrap();
        assert_eq!(jobs.ended(&running).await.unwrap().state, State::Cancelled);
        // An end is an end.
        assert_eq!(jobs.cancel(&running).unwrap().state, State::Cancelled);
    });
    assert!(began.try_recv().is_err(), "the one that waited never began");
}

#[test]
fn what_had_not_ended_is_taken_up_again() {
    let bench = Bench::new();
    let (work, began, _go) = gated();
    let jobs = bench.jobs(work, LIMITS);
    let id = jobs.submit("work", json!(1)).unwrap().id;
    while_running(&jobs, async {
        while began.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        assert_eq!(jobs.get(&id).unwrap().state, State::Running);
    });
    // Dropped in the middle, as by a crash: the record on the disk says that it runs.
    drop(jobs);
    std::fs::write(bench.folder.path().join("x.json"), "{").unwrap();
    let jobs = bench.jobs(echo(), LIMITS);
    assert_eq!(jobs.list().len(), 1);
    let record = while_running(&jobs, async { jobs.ended(&id).await.unwrap() });
    assert_eq!((record.state, record.result), (State::Done, Some(json!(1))));
}

#[test]
fn nothing_grows() {
    let bench = Bench::new();
    let jobs = bench.jobs(echo(), LIMITS);
    let ids: Vec<JobId> = (0..3).map(|number| jobs.submit("work", json!(number)).unwrap().id).collect();
    assert_eq!(jobs.submit("work", json!(9)).unwrap_err().kind, Kind::Busy);
    while_running(&jobs, async { jobs.ended(&ids[2]).await.unwrap() });
    assert_eq!(jobs.list().into_iter().map(|it| it.id).collect::<Vec<_>>(), [ids[2].clone(), ids[1].clone()]);
    assert_eq!(jobs.get(&ids[0]).unwrap_err().kind, Kind::NotFound);
    assert_eq!(std::fs::read_dir(bench.folder.path()).unwrap().count(), 2);
}
