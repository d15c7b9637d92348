mod flights;
mod look;
mod measure;

use super::*;
use crate::archive::{Archive, Limits, SegmentKind};
use crate::base::time::{HOUR, MINUTE, SteppedClock};
use crate::base::{Channel, Hour, Kind, Quality};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::LazyLock;

const INDEX: Product<'static> = Product::new("index", 1);
const BIG: SidecarLimits = SidecarLimits { disk_bytes: 1 << 30, memory_bytes: 1 << 24 };
/// Everything comes from the disk.
const COLD: SidecarLimits = SidecarLimits { disk_bytes: 1 << 30, memory_bytes: 0 };

static CHANNEL: LazyLock<Channel> = LazyLock::new(|| Channel::new("chan").unwrap());
static QUALITY: LazyLock<Quality> = LazyLock::new(|| Quality::new("720p").unwrap());

fn hour(index: i64) -> Hour {
    (Hour::parse("2024-11-09T00").unwrap().start() + index * HOUR).hour()
}

fn key_in(hour: Hour, name: &str, size: u64) -> Key<'_> {
    let stamp = || Ok(Stamp { size, modified: 7 });
    Key::named(&CHANNEL, &QUALITY, hour, name, INDEX, stamp).unwrap()
}

fn key(name: &str) -> Key<'_> {
    key_in(hour(13), name, 1)
}

fn open(dir: &Path, limits: SidecarLimits) -> Sidecars {
    Sidecars::open(dir, limits, Metrics::new())
}

const PACK: &str = "v1/chan/720p/2024-11-09/13.index-1.pack";

/// Every file below `dir` that takes room.
fn packs(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.join("v1")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => found.push(path),
            }
        }
    }
    found.sort();
    found
}

fn on_disk(dir: &Path) -> u64 {
    packs(dir).iter().filter_map(|path| Some(ledger::cost(fs::metadata(path).ok()?.len()))).sum()
}

fn reads(cache: &Sidecars) -> [u64; 3] {
    ["memory", "disk", "miss"].map(|from| cache.metrics.sidecar_reads.with_label_values(&[from]).get())
}

fn faults(cache: &Sidecars, what: &str) -> u64 {
    cache.metrics.sidecar_faults.with_label_values(&[what]).get()
}

#[test]
fn gives_back_what_was_put_now_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), BIG);
    let tiles = Product::new("tiles", 1);
    let products = [INDEX, Product::new("index", 2), tiles, tiles.variant("160x90").unwrap()];
    let keys: Vec<Key> = (0..48)
        .flat_map(|at| products.map(|product| (at, product)))
        .map(|(at, product)| {
            Key::named(&CHANNEL, &QUALITY, hour(at), "a.ts", product, || Ok(Stamp::default())).unwrap()
        })
        .collect();
    let bytes = |at: usize| Bytes::from(format!("bytes {at}").repeat(at));
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(cache.get(key), None);
        assert!(cache.put(key, bytes(at)));
        assert_eq!(cache.get(key), Some(bytes(at)));
    }
    assert_eq!(cache.disk_bytes(), on_disk(dir.path()));
    assert_eq!(reads(&cache), [keys.len() as u64, 0, keys.len() as u64]);
    let again = open(dir.path(), BIG);
    let expected: Vec<_> = (0..keys.len()).map(|at| Some(bytes(at))).collect();
    assert_eq!(again.get_many(&keys), expected);
    assert_eq!(again.get_many(&keys), expected);
    assert_eq!(reads(&again), [keys.len() as u64, keys.len() as u64, 0]);
    assert_eq!(packs(dir.path()).len(), keys.len(), "in one file for each hour and product");
    assert!(fs::read_to_string(dir.path().join("CACHEDIR.TAG")).unwrap().starts_with("Signature: 8a477f59"));
}

#[test]
fn many_are_put_by_one_write_of_each_pack() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..60).map(|at| format!("{at}.ts")).collect();
    // Forty of one hour, some of them there before, then twenty of the next.
    let keys: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(at, name)| key_in(hour(if at < 40 { 13 } else { 14 }), name, 1))
        .collect();
    let bytes = |at: usize| Bytes::from(vec![at as u8; 100 + at]);
    let cache = open(dir.path(), COLD);
    for at in [3, 17] {
        assert!(cache.put(&keys[at], bytes(at)));
    }
    // What is there already is not written again; what has another content is.
    assert!(cache.put(&keys[20], Bytes::from_static(b"other")));
    let entries: Vec<_> = keys.iter().enumerate().map(|(at, key)| (key, bytes(at))).collect();
    assert!(cache.put_many(&entries));
    let written = on_disk(dir.path());
    assert!(cache.put_many(&entries) && cache.put_many(&[]));
    assert_eq!((on_disk(dir.path()), cache.disk_bytes()), (written, written));
    let expected: Vec<_> = (0..60).map(|at| Some(bytes(at))).collect();
    assert_eq!(cache.get_many(&keys), expected);
    assert_eq!(open(dir.path(), COLD).get_many(&keys), expected);
    assert_eq!(packs(dir.path()).len(), 2);
    // One that is too long keeps none of its neighbours from the disk.
    let long = open(&dir.path().join("long"), COLD);
    let (neighbour, giant) = (bytes(1), Bytes::from(vec![0; MAX_ENTRY + 1]));
    assert!(!long.put_many(&[(&keys[0], giant), (&keys[1], neighbour.clone())]));
    assert_eq!(long.get_many(&keys[..2]), [None, Some(neighbour)]);
    // Where there is no room, memory has them all the same.
    let full = open(&dir.path().join("full"), SidecarLimits { disk_bytes: 0, memory_bytes: 1 << 20 });
    assert!(!full.put_many(&entries));
    assert_eq!(full.get_many(&keys), expected);
}

#[test]
fn going_through_many_entries_pushes_nothing_out_of_memory() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..50).map(|at| format!("{at}.ts")).collect();
    let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
    let bytes = |at: usize| Bytes::from(vec![at as u8; 1000]);
    let first = open(dir.path(), BIG);
    keys.iter().enumerate().for_each(|(at, key)| assert!(first.put(key, bytes(at))));
    let cache = open(dir.path(), BIG);
    assert_eq!(cache.get(&keys[7]), Some(bytes(7)));
    let weight = cache.shelf.weight();
    for _ in 0..2 {
        let expected: Vec<_> = (0..50).map(|at| Some(bytes(at))).collect();
        assert_eq!(cache.pass_many(&keys), expected);
    }
    assert_eq!(cache.shelf.weight(), weight);
    assert_eq!(reads(&cache), [2, 1 + 49 + 49, 0], "the one that is held, the others twice");
}

#[test]
fn many_entries_of_all_sizes_come_together_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..300).map(|at| format!("{at:0width$}.ts", width = 1 + at % 240)).collect();
    let bytes = |at: usize| Bytes::from(vec![at as u8; if at.is_multiple_of(50) { 300_000 } else { at * 7 }]);
    let cache = open(dir.path(), BIG);
    for (at, name) in names.iter().enumerate() {
        assert!(cache.put(&key(name), bytes(at)));
    }
    for limits in [BIG, COLD] {
        for step in [1, 7, 299] {
            let cache = open(dir.path(), limits);
            let asked: Vec<usize> = (0..300).rev().step_by(step).chain([5, 5]).collect();
            let keys: Vec<_> = asked.iter().map(|at| key(&names[*at])).collect();
            let expected: Vec<_> = asked.iter().map(|at| Some(bytes(*at))).collect();
            assert_eq!(cache.get_many(&keys), expected);
            assert_eq!(cache.get(&key("unknown.ts")), None);
            assert_eq!(cache.get(&keys[0]), expected[0]);
        }
    }
}

#[test]
fn a_name_without_a_hash_is_not_enough() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(dir.path(), Limits::default(), Metrics::new()).unwrap();
    for (second, kind) in [(0, SegmentKind::Full), (2, SegmentKind::Suspect), (4, SegmentKind::Partial)] {
        let start = hour(13).start() + second * 1_000_000;
        let mut writer = archive.create_segment(&CHANNEL, &QUALITY, start).unwrap();
        writer.write(b"abc").unwrap();
        writer.finish(2_000_000, kind).unwrap();
    }
    let listing = archive.listings.hour(&CHANNEL, &QUALITY, hour(13)).unwrap().unwrap();
    let segments: Vec<_> = listing.segments().collect();
    assert_eq!(segments.len(), 3);
    let cache = open(&dir.path().join(".cache"), BIG);
    for segment in &segments {
        let key = Key::of(&archive, segment, INDEX).unwrap();
        let path = archive.path_of(segment);
        let look = || Ok(Stamp::of(&fs::metadata(&path).unwrap()));
        let by_name = Key::named(&CHANNEL, &QUALITY, hour(13), segment.name(), INDEX, look).unwrap();
        assert_eq!(key, by_name);
        cache.put(&key, "old");
        let look = || panic!("the name is enough");
        if segment.kind() == SegmentKind::Full {
            Key::named(&CHANNEL, &QUALITY, hour(13), segment.name(), INDEX, look).unwrap();
        }
        // It grows: an upload by a program that does not rename.
        fs::write(&path, "abcd").unwrap();
        let now = Key::of(&archive, segment, INDEX).unwrap();
        let expected = (segment.kind() == SegmentKind::Full).then(|| Bytes::from("old"));
        assert_eq!(cache.get(&now), expected, "{}", segment.name());
        cache.put(&now, "new");
        assert_eq!(open(&dir.path().join(".cache"), BIG).get(&now), Some("new".into()));
        fs::remove_file(&path).unwrap();
        let gone = Key::of(&archive, segment, INDEX);
        assert_eq!(gone.is_ok(), segment.kind() == SegmentKind::Full);
    }
    for foreign in ["x.ts", "00:00-2.0-full-AA.ts", "00:00-2.0-full-!!!.ts"] {
        assert_eq!(key_in(hour(1), foreign, 5).stamp.size, 5, "{foreign}");
    }
    assert_eq!(INDEX.variant("../x").unwrap_err().kind, Kind::Internal);
}

#[test]
fn no_flipped_bit_makes_wrong_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let entries = [("one.ts", "first bytes"), ("two.ts", ""), ("three.ts", "third bytes")];
    let cache = open(dir.path(), COLD);
    for (name, bytes) in entries {
        assert!(cache.put(&key(name), bytes));
    }
    let whole = fs::read(dir.path().join(PACK)).unwrap();
    let (mut lost, mut found) = (0, 0);
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            fs::write(dir.path().join(PACK), &flipped).unwrap();
            // One that knows the table, and one that does not.
            for cache in [&cache, &open(dir.path(), COLD)] {
                let keys = entries.map(|(name, _)| key(name));
                let mut missing = 0;
                for ((name, bytes), got) in entries.iter().zip(cache.get_many(&keys)) {
                    match got {
                        Some(got) => assert_eq!(got, *bytes, "{name} at {at}, bit {bit}"),
                        None => missing += 1,
                    }
                }
                assert!(missing > 0, "a flip at {at} went unseen");
                (lost, found) = (lost + missing, found + 3 - missing);
            }
            // It heals.
            let healer = open(dir.path(), COLD);
            for (name, bytes) in entries {
                assert!(healer.put(&key(name), bytes));
            }
            let reader = open(dir.path(), COLD);
            assert_eq!(
                reader.get_many(&entries.map(|(name, _)| key(name))),
                entries.map(|(_, b)| Some(b.into()))
            );
        }
    }
    assert!(found > 0 && lost > 0, "a flip takes what it hits and, in a head, what lies behind it");
}

#[test]
fn a_torn_tail_is_cut_off_by_the_next_writer() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), BIG);
    cache.put(&key("one.ts"), "first");
    let one = fs::read(dir.path().join(PACK)).unwrap();
    // Bytes that look like a record of this very pack, could its nonce be known.
    let mut evil = one[one.len() - 47..].to_vec();
    assert!(evil.starts_with(b"\xC5rec"));
    cache.put(&key("two.ts"), evil.clone());
    evil.extend_from_slice(&one);
    cache.put(&key("three.ts"), evil.repeat(3));
    let whole = fs::read(dir.path().join(PACK)).unwrap();
    for len in (0..whole.len()).chain([whole.len() + 1, whole.len() + 5000]) {
        let mut torn = whole.clone();
        torn.resize(len, 0);
        fs::write(dir.path().join(PACK), &torn).unwrap();
        let before = open(dir.path(), COLD);
        let keys = [key("one.ts"), key("two.ts"), key("three.ts")];
        let seen = before.get_many(&keys);
        let writer = open(dir.path(), COLD);
        assert!(writer.put(&key("four.ts"), "fourth"));
        assert_eq!(writer.disk_bytes(), on_disk(dir.path()));
        for cache in [&before, &writer, &open(dir.path(), COLD)] {
            assert_eq!(cache.get(&key("four.ts")), Some("fourth".into()), "torn at {len}");
            assert_eq!(cache.get_many(&keys), seen);
        }
        assert_eq!(seen[0].is_some(), len >= one.len());
        let now = fs::metadata(dir.path().join(PACK)).unwrap().len() as usize;
        assert!(now <= whole.len() + 100, "the torn bytes are gone");
    }
}

#[test]
fn a_pack_under_another_name_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), BIG);
    cache.put(&key("one.ts"), "first");
    let other = dir.path().join(PACK.replace("13.", "14."));
    fs::rename(dir.path().join(PACK), &other).unwrap();
    let cache = open(dir.path(), BIG);
    let moved = key_in(hour(14), "one.ts", 1);
    assert_eq!((cache.get(&moved), faults(&cache, "damaged")), (None, 1));
    assert!(cache.put(&moved, "second"));
    assert_eq!(open(dir.path(), BIG).get(&moved), Some("second".into()));
}

#[test]
fn superseded_bytes_do_not_pile_up() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), BIG);
    cache.put(&key("same.ts"), "same");
    let len = fs::metadata(dir.path().join(PACK)).unwrap().len();
    cache.put(&key("same.ts"), "same");
    open(dir.path(), BIG).put(&key("same.ts"), "same");
    assert_eq!(fs::metadata(dir.path().join(PACK)).unwrap().len(), len, "the same bytes are kept once");
    for round in 0..100_u8 {
        assert!(cache.put(&key("a.ts"), vec![round; 100_000]));
        assert_eq!(cache.get(&key("a.ts")), Some(vec![round; 100_000].into()));
        assert!(on_disk(dir.path()) < 3 << 20);
        assert_eq!(cache.disk_bytes(), on_disk(dir.path()));
    }
    assert_eq!(open(dir.path(), COLD).get(&key("a.ts")), Some(vec![99; 100_000].into()));
}

/// A cache with room for 16 packs of one block, in a world where time is stepped.
fn small(dir: &Path, clock: &Arc<SteppedClock>) -> Sidecars {
    let limits = SidecarLimits { disk_bytes: 16 * 4096, memory_bytes: 0 };
    Sidecars::open_with_clock(dir, limits, Metrics::new(), Arc::<SteppedClock>::clone(clock) as _)
}

fn hours_kept(dir: &Path) -> Vec<usize> {
    let hour = |path: PathBuf| path.file_name()?.to_str()?.get(..2)?.parse().ok();
    packs(dir).into_iter().filter_map(hour).collect()
}

#[test]
fn the_least_recently_used_go_first_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SteppedClock::new(hour(100).start()));
    let cache = small(dir.path(), &clock);
    for at in 0..16 {
        assert!(cache.put(&key_in(hour(at), "a.ts", 1), vec![1; 3000]));
        clock.step(1);
    }
    assert_eq!(cache.disk_bytes(), 16 * 4096);
    assert!(cache.get(&key_in(hour(0), "a.ts", 1)).is_some());
    assert!(cache.put(&key_in(hour(16), "a.ts", 1), vec![1; 3000]));
    assert_eq!(hours_kept(dir.path()), [&[0][..], &(2..=16).collect::<Vec<_>>()].concat());
    // Growing counts too: the third entry needs a second block.
    clock.step(11 * MINUTE);
    assert!(cache.put(&key_in(hour(3), "b.ts", 1), vec![1; 3000]));
    assert!(!hours_kept(dir.path()).contains(&2));
    clock.step(11 * MINUTE);
    assert!(cache.get(&key_in(hour(4), "a.ts", 1)).is_some());
    let evictions = cache.metrics.sidecar_evictions.get();
    assert_eq!((evictions, on_disk(dir.path())), (2, 16 * 4096));

    let again = small(dir.path(), &clock);
    for at in 17..20 {
        clock.step(1);
        assert!(again.put(&key_in(hour(at), "a.ts", 1), vec![1; 3000]));
        assert_eq!(again.disk_bytes(), on_disk(dir.path()));
    }
    // 0, used after 1 to 15 were put, but within ten minutes of being put itself, goes by the time it was put.
    assert_eq!(hours_kept(dir.path()), [&[3, 4][..], &(7..=19).collect::<Vec<_>>()].concat());
    assert_eq!(again.metrics.sidecar_bytes_disk.get(), 16 * 4096);
}

#[test]
fn what_another_process_uses_is_spared() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SteppedClock::new(hour(100).start()));
    let (one, two) = (small(dir.path(), &clock), small(dir.path(), &clock));
    for at in 0..16 {
        one.put(&key_in(hour(at), "a.ts", 1), vec![1; 3000]);
    }
    clock.step(11 * MINUTE);
    assert!(two.get(&key_in(hour(0), "a.ts", 1)).is_some());
    clock.step(1);
    one.put(&key_in(hour(16), "a.ts", 1), vec![1; 3000]);
    assert!(one.get(&key_in(hour(0), "a.ts", 1)).is_some() && one.get(&key_in(hour(1), "a.ts", 1)).is_none());
    // What the other puts is seen by a survey.
    for at in 17..20 {
        two.put(&key_in(hour(at), "a.ts", 1), vec![1; 3000]);
    }
    one.survey(&Token::root()).unwrap();
    assert_eq!((one.disk_bytes(), on_disk(dir.path())), (16 * 4096, 16 * 4096));
    let cancelled = Token::root();
    cancelled.cancel();
    assert_eq!(one.survey(&cancelled).unwrap_err().kind, Kind::Cancelled);
}

#[test]
fn a_cache_removed_by_hand_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let (warm, cold) = (open(dir.path(), BIG), open(dir.path(), COLD));
    for cache in [&warm, &cold] {
        cache.put(&key("a.ts"), "bytes");
        assert_eq!(cache.get(&key("a.ts")), Some("bytes".into()));
        fs::remove_dir_all(dir.path()).unwrap();
    }
    assert_eq!(warm.get(&key("a.ts")), Some("bytes".into()), "memory has it, and a warm read opens no file");
    assert_eq!((cold.get(&key("a.ts")), cold.disk_bytes()), (None, 0));
    assert!(warm.put(&key("b.ts"), "more") && cold.put(&key("c.ts"), "more still"));
    for cache in [&warm, &cold, &open(dir.path(), COLD)] {
        assert_eq!(cache.get(&key("b.ts")), Some("more".into()));
        assert_eq!(cache.get(&key("c.ts")), Some("more still".into()));
        cache.survey(&Token::root()).unwrap();
        assert_eq!(cache.disk_bytes(), on_disk(dir.path()));
    }
}

#[test]
fn a_disk_that_refuses_is_done_without() {
    let dir = tempfile::tempdir().unwrap();
    let day = dir.path().join("v1/chan/720p/2024-11-09");
    fs::create_dir_all(&day).unwrap();
    // A full disk: whatever is written there ends in ENOSPC.
    std::os::unix::fs::symlink("/dev/full", dir.path().join(PACK)).unwrap();
    let cache = open(dir.path(), BIG);
    assert!(!cache.put(&key("a.ts"), "bytes"));
    assert_eq!((faults(&cache, "write"), cache.disk_bytes()), (1, 0));
    assert_eq!(cache.get(&key("a.ts")), Some("bytes".into()), "it is in memory");
    // A folder where a file is meant, a file where a folder is, nothing where a directory is.
    fs::create_dir(day.join("14.index-1.pack")).unwrap();
    fs::write(dir.path().join("v1/chan/1080p"), "").unwrap();
    let broken = key_in(hour(14), "a.ts", 1);
    assert!(cache.get(&broken).is_none() && !cache.put(&broken, "bytes"));
    assert_eq!(cache.get(&broken), Some("bytes".into()));
    let no_folder = Quality::new("1080p").unwrap();
    let broken = Key::named(&CHANNEL, &no_folder, hour(14), "a.ts", INDEX, || Ok(Stamp::default())).unwrap();
    assert!(cache.get(&broken).is_none() && !cache.put(&broken, "bytes"));
    for nowhere in ["/proc/nowhere", "/dev/null"] {
        let cache = open(Path::new(nowhere), BIG);
        assert!(!cache.put(&key("a.ts"), "bytes"));
        assert_eq!(cache.get(&key("a.ts")), Some("bytes".into()));
        let made = cache.get_or_make(&key("b.ts"), &Token::root(), || Ok(b"made".to_vec())).unwrap();
        assert_eq!(made, "made");
        assert!(faults(&cache, "write") > 0);
    }
    let off = open(&dir.path().join("off"), SidecarLimits { disk_bytes: 0, memory_bytes: 0 });
    assert!(!off.put(&key("a.ts"), "bytes") && off.get(&key("a.ts")).is_none());
    assert!(!dir.path().join("off").exists());
}

#[test]
fn entries_too_large_are_not_kept_and_a_full_pack_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let limits = SidecarLimits { disk_bytes: 64 * 4096, memory_bytes: 10_000 };
    let cache = open(dir.path(), limits);
    assert!(!cache.put(&key("a.ts"), vec![0; 16 * 4096]));
    assert_eq!((faults(&cache, "room"), on_disk(dir.path())), (1, 0));
    for at in 0..100 {
        let name = format!("{at}.ts");
        assert!(cache.put(&key(&name), vec![at; 5000]));
        assert_eq!(cache.get(&key(&name)), Some(vec![at; 5000].into()));
        assert!(on_disk(dir.path()) <= 16 * 4096);
        assert_eq!(cache.disk_bytes(), on_disk(dir.path()));
        assert!(cache.shelf.weight() <= 10_000);
        assert_eq!(cache.metrics.sidecar_bytes_memory.get() as u64, cache.shelf.weight());
    }
}

#[test]
fn threads_and_processes_share_it() {
    const NAMES: usize = 40;
    let dir = tempfile::tempdir().unwrap();
    let limits = SidecarLimits { disk_bytes: 40 * 4096, memory_bytes: 20_000 };
    let caches = [open(dir.path(), limits), open(dir.path(), limits)];
    let bytes = |hour: usize, name: usize| Bytes::from(vec![(hour * 7 + name) as u8; 100 + name * 20]);
    std::thread::scope(|scope| {
        for (thread, cache) in caches.iter().cycle().take(6).enumerate() {
            scope.spawn(move || {
                for round in 0..400 {
                    let at = (round * 13 + thread * 5) % (8 * NAMES);
                    let (in_hour, name) = (at / NAMES, at % NAMES);
                    let text = format!("{name}.ts");
                    let key = key_in(hour(in_hour as i64), &text, 1);
                    match cache.get(&key) {
                        Some(got) => assert_eq!(got, bytes(in_hour, name)),
                        None => drop(cache.put(&key, bytes(in_hour, name))),
                    }
                    if round % 100 == 99 && thread < 2 {
                        cache.survey(&Token::root()).unwrap();
                    }
                }
            });
        }
    });
    for cache in caches {
        assert!(cache.shelf.weight() <= limits.memory_bytes);
        cache.survey(&Token::root()).unwrap();
        assert_eq!(cache.disk_bytes(), on_disk(dir.path()));
        assert!(cache.disk_bytes() <= limits.disk_bytes);
        assert_eq!(faults(&cache, "write"), 0);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put { hour: i64, name: u8, len: usize },
    Get { hour: i64, name: u8 },
    Many { hour: i64 },
    Restart,
    Survey,
    Remove(usize),
    Cut(usize, u64),
    Flip(usize, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..6i64, 0..8u8, 0..9000usize).prop_map(|(hour, name, len)| Step::Put { hour, name, len }),
        6 => (0..6i64, 0..8u8).prop_map(|(hour, name)| Step::Get { hour, name }),
        2 => (0..6i64).prop_map(|hour| Step::Many { hour }),
        1 => Just(Step::Restart),
        1 => Just(Step::Survey),
        1 => any::<usize>().prop_map(Step::Remove),
        1 => (any::<usize>(), any::<u64>()).prop_map(|(pack, at)| Step::Cut(pack, at)),
        1 => (any::<usize>(), any::<u64>()).prop_map(|(pack, at)| Step::Flip(pack, at)),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever happens to the files: the last bytes put, or none; and the bound holds.
    #[test]
    fn right_or_nothing_and_never_too_much(steps in steps(), memory in prop::sample::select(vec![0, 12_000, 1 << 20])) {
        let dir = tempfile::tempdir().unwrap();
        let limits = SidecarLimits { disk_bytes: 20 * 4096, memory_bytes: memory };
        let mut caches = [open(dir.path(), limits), open(dir.path(), limits)];
        let mut put: HashMap<(i64, u8), Bytes> = HashMap::new();
        let mut fill = 0u8;
        let path = |index: usize| {
            let packs = packs(dir.path());
            packs.get(index % packs.len().max(1)).cloned()
        };
        for (turn, step) in steps.into_iter().enumerate() {
            let cache = &mut caches[turn % 2];
            match step {
                // Content of a key does not change, so neither do its bytes: by the key, as makers have it.
                Step::Put { hour: at, name, len } => {
                    fill = fill.wrapping_add(1);
                    let bytes = put.entry((at, name)).or_insert_with(|| vec![fill; len].into()).clone();
                    let text = format!("{name}.ts");
                    cache.put(&key_in(hour(at), &text, 1), bytes);
                }
                Step::Get { hour: at, name } => {
                    let text = format!("{name}.ts");
                    if let Some(got) = cache.get(&key_in(hour(at), &text, 1)) {
                        prop_assert_eq!(Some(&got), put.get(&(at, name)));
                    }
                }
                Step::Many { hour: at } => {
                    let names: Vec<String> = (0..8).map(|name| format!("{name}.ts")).collect();
                    let keys: Vec<_> = names.iter().map(|name| key_in(hour(at), name, 1)).collect();
                    for (name, got) in (0..8).zip(cache.get_many(&keys)) {
                        if let Some(got) = got {
                            prop_assert_eq!(Some(&got), put.get(&(at, name)));
                        }
                    }
                }
                Step::Restart => *cache = open(dir.path(), limits),
                Step::Survey => {
                    cache.survey(&Token::root()).unwrap();
                    prop_assert_eq!(cache.disk_bytes(), on_disk(dir.path()));
                }
                Step::Remove(index) => drop(path(index).map(fs::remove_file)),
                Step::Cut(index, at) => {
                    if let Some(path) = path(index) {
                        let file = File::options().write(true).open(path).unwrap();
                        file.set_len(at % (file.metadata().unwrap().len() + 100)).unwrap();
                    }
                }
                Step::Flip(index, at) => {
                    if let Some(path) = path(index) {
                        let mut bytes = fs::read(&path).unwrap();
                        if !bytes.is_empty() {
                            let at = at as usize % bytes.len();
                            bytes[at] ^= 0x10;
                            fs::write(&path, bytes).unwrap();
                        }
                    }
                }
            }
            prop_assert!(caches.iter().all(|cache| cache.shelf.weight() <= memory));
            // Two processes keep the bound each by what it knows, and together by a survey.
            prop_assert!(on_disk(dir.path()) <= 2 * limits.disk_bytes + 4096);
        }
        for cache in &caches {
            cache.survey(&Token::root()).unwrap();
            prop_assert!(on_disk(dir.path()) <= limits.disk_bytes);
            prop_assert_eq!(cache.disk_bytes(), on_disk(dir.path()));
        }
    }
}
