//! One makes it, the others wait.

use super::*;
use crate::base::Error;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;

#[test]
fn one_makes_it_and_the_others_wait() {
    let dir = tempfile::tempdir().unwrap();
    let (cache, made, token) = (open(dir.path(), COLD), AtomicUsize::new(0), Token::root());
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                let bytes = cache.get_or_make(&key("a.ts"), &token, || {
                    made.fetch_add(1, Ordering::Relaxed);
                    Ok(vec![1; 1000])
                });
                assert_eq!(bytes.unwrap(), vec![1; 1000]);
            });
        }
    });
    assert_eq!((made.load(Ordering::Relaxed), cache.flights.len()), (1, 0));
}

/// Runs a maker that ends as `end` says, with a waiter that makes it then if it must. What each got.
fn maker_and_waiter(end: impl FnOnce(&Token) -> Result<Vec<u8>> + Send) -> [Option<Result<Bytes>>; 2] {
    let dir = tempfile::tempdir().unwrap();
    let (cache, token) = (open(dir.path(), BIG), Token::root());
    let (begun, wait_begun) = mpsc::channel();
    std::thread::scope(|scope| {
        let (cache, token) = (&cache, &token);
        let maker = scope.spawn(move || {
            cache.get_or_make(&key("a.ts"), token, || {
                begun.send(()).unwrap();
                end(token)
            })
        });
        wait_begun.recv().unwrap();
        let waiter = scope.spawn(|| cache.get_or_make(&key("a.ts"), &Token::root(), || Ok(b"mine".to_vec())));
        let answers = [maker, waiter].map(|thread| thread.join().ok());
        assert_eq!(cache.flights.len(), 0);
        answers
    })
}

#[test]
fn a_maker_that_goes_hands_over() {
    let [maker, waiter] = maker_and_waiter(|token| {
        token.cancel();
        token.check()?;
        Ok(Vec::new())
    });
    assert_eq!(maker.unwrap().unwrap_err().kind, Kind::Cancelled);
    assert_eq!(waiter.unwrap().unwrap(), "mine");
    let [maker, waiter] = maker_and_waiter(|_| panic!("a bug in the maker"));
    assert!(maker.is_none());
    assert_eq!(waiter.unwrap().unwrap(), "mine");
}

#[test]
fn errors_are_not_kept_and_waiters_may_go() {
    let dir = tempfile::tempdir().unwrap();
    let (cache, token) = (open(dir.path(), BIG), Token::root());
    let failed = cache.get_or_make(&key("a.ts"), &token, || Err(Error::damaged("no picture")));
    assert_eq!(failed.unwrap_err().kind, Kind::Damaged);
    let waiter = token.child();
    let inside = cache.get_or_make(&key("a.ts"), &token, || {
        // While it is being made, another asks and is cancelled, and the maker of something else is not held up.
        std::thread::scope(|scope| {
            let asked =
                scope.spawn(|| cache.get_or_make(&key("a.ts"), &waiter, || panic!("it is being made")));
            let other = cache.get_or_make(&key("b.ts"), &token, || Ok(b"other".to_vec()));
            assert_eq!(other.unwrap(), "other");
            waiter.cancel();
            assert_eq!(asked.join().unwrap().unwrap_err().kind, Kind::Cancelled);
        });
        Ok(b"made".to_vec())
    });
    assert_eq!(inside.unwrap(), "made");
    let kept = cache.get_or_make(&key("a.ts"), &token, || panic!("it is kept"));
    assert_eq!(kept.unwrap(), "made");
}
