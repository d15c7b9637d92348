//! Looks at what memory holds.

use super::*;

#[test]
fn what_memory_holds_is_shown_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..9).map(|at| format!("{at}.ts")).collect();
    let keys: Vec<_> =
        (0..9).map(|at| key_in(hour(if at < 5 { 13 } else { 14 }), &names[at], at as u64)).collect();
    let seen = |cache: &Sidecars, keys: &[Key<'_>]| {
        let mut seen = Vec::new();
        cache.look_many(keys, |first, held| {
            assert_eq!(first, seen.len(), "one hour after the other");
            seen.extend(held.iter().map(|it| it.map(<[u8]>::to_vec)));
        });
        seen
    };
    let cache = open(dir.path(), BIG);
    for at in [1, 4, 5, 8] {
        cache.put(&keys[at], vec![at as u8; at + 1]);
    }
    let expected: Vec<_> =
        (0..9).map(|at| [1, 4, 5, 8].contains(&at).then(|| vec![at as u8; at + 1])).collect();
    assert_eq!(seen(&cache, &keys), expected);
    assert_eq!(reads(&cache), [4, 0, 0]);
    let other = key_in(hour(13), &names[4], 99);
    assert_eq!(seen(&cache, &[other]), [None], "of another content");
    // What is on the disk alone is not there until it is asked for.
    let again = open(dir.path(), BIG);
    assert_eq!(seen(&again, &keys), vec![None; 9]);
    again.get_many(&keys);
    assert_eq!(seen(&again, &keys), expected);
}
