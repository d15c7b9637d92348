//! Listings over folders on disk, with a clock that decides what counts as settled.

use super::*;
use crate::base::time::{SteppedClock, SystemClock};
use std::fs;

struct Fixture {
    dir: tempfile::TempDir,
    clock: Arc<SteppedClock>,
    metrics: Metrics,
    listings: Listings,
}

const HOUR: &str = "2024-11-09T13";

impl Fixture {
    fn new(limit: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SteppedClock::new(SystemClock.now()));
        let metrics = Metrics::new();
        let root = Root::open(dir.path()).unwrap();
        let listings = Listings::new(root, limit, Arc::<SteppedClock>::clone(&clock), metrics.clone());
        Self { dir, clock, metrics, listings }
    }

    /// From here on, everything written so far was written long ago. The listing's clock is stepped; the file
    /// system's is waited for, which takes a tick on kernels that stamp with it (up to 10 ms): the next change
    /// must carry another time than the last, as it would seconds later.
    fn settle(&self) {
        let touch = || {
            let probe = self.dir.path().join(".probe");
            fs::write(&probe, "x").unwrap();
            let facts = fs::metadata(&probe).unwrap();
            (facts.ctime(), facts.ctime_nsec())
        };
        let first = touch();
        while touch() == first {
            std::thread::yield_now();
        }
        self.clock.step(10 * SECOND);
    }

    fn file(&self, hour: &str, name: &str, bytes: usize) -> PathBuf {
        let folder = self.dir.path().join("chan/720p").join(hour);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), vec![0; bytes]).unwrap();
        folder.join(name)
    }

    fn read(&self, hour: &str) -> Option<Vec<String>> {
        let (channel, quality) = names();
        let listing = self.listings.hour(&channel, &quality, Hour::parse(hour).unwrap()).unwrap()?;
        Some(listing.segments().map(|segment| segment.name().to_owned()).collect())
    }

    /// How many listings came from memory and from the disk.
    fn reads(&self) -> (u64, u64) {
        (self.listings.hits.get(), self.listings.misses.get())
    }
}

fn names() -> (Channel, Quality) {
    (Channel::new("chan").unwrap(), Quality::new("720p").unwrap())
}

#[test]
fn a_settled_hour_is_read_once_and_a_changed_one_again() {
    let fixture = Fixture::new(100);
    fixture.file(HOUR, "00:00.0-2.0-full-AA.ts", 1);
    fixture.settle();
    for _ in 0..3 {
        assert_eq!(fixture.read(HOUR).unwrap(), ["00:00.0-2.0-full-AA.ts"]);
    }
    assert_eq!(fixture.reads(), (2, 1));
    let second = fixture.file(HOUR, "00:02.0-2.0-full-AA.ts", 1);
    fixture.settle();
    assert_eq!(fixture.read(HOUR).unwrap().len(), 2);
    fs::remove_file(second).unwrap();
    fixture.settle();
    assert_eq!(fixture.read(HOUR).unwrap().len(), 1);
    assert_eq!(fixture.reads(), (2, 3));
    fs::remove_dir_all(fixture.dir.path().join("chan/720p").join(HOUR)).unwrap();
    assert_eq!(fixture.read(HOUR), None);
    assert_eq!((fixture.metrics.listing_hours.get(), fixture.metrics.listing_segments.get()), (0, 0));
}

#[test]
fn a_folder_changed_a_moment_ago_is_not_trusted() {
    let fixture = Fixture::new(100);
    fixture.file(HOUR, "00:00.0-2.0-full-AA.ts", 1);
    for _ in 0..3 {
        fixture.read(HOUR);
    }
    assert_eq!(fixture.reads(), (0, 3));
    assert_eq!(fixture.metrics.listing_hours.get(), 0);
}

#[test]
fn a_tie_over_a_file_that_may_still_grow_is_not_trusted() {
    let fixture = Fixture::new(100);
    let growing = fixture.file(HOUR, "00:00.0-2.0-partial-AA.ts", 1);
    fixture.file(HOUR, "00:00.0-2.0-partial-BA.ts", 2);
    fixture.settle();
    assert_eq!(fixture.read(HOUR).unwrap(), ["00:00.0-2.0-partial-BA.ts"]);
    // Touched "now", which is what growing does; the folder's own times stay.
    let touched = fs::File::options().write(true).open(&growing).unwrap();
    touched.set_len(3).unwrap();
    let ahead = std::time::SystemTime::now() + std::time::Duration::from_secs(20);
    touched.set_times(fs::FileTimes::new().set_modified(ahead)).unwrap();
    // The one before was trusted, which is the documented limit: files do not grow under their final name.
    assert_eq!(fixture.read(HOUR).unwrap(), ["00:00.0-2.0-partial-BA.ts"]);
    fixture.file(HOUR, "00:02.0-2.0-full-AA.ts", 1);
    fixture.settle();
    let before = fixture.reads();
    for _ in 0..2 {
        assert_eq!(fixture.read(HOUR).unwrap()[0], "00:00.0-2.0-partial-AA.ts");
    }
    assert_eq!(fixture.reads(), (before.0, before.1 + 2));
}

#[test]
fn holds_no_more_than_its_limit_and_drops_what_was_not_asked_for() {
    let fixture = Fixture::new(5);
    let hours = ["2024-11-09T01", "2024-11-09T02", "2024-11-09T03"];
    for hour in hours {
        fixture.file(hour, "00:00.0-2.0-full-AA.ts", 1);
        fixture.file(hour, "00:02.0-2.0-full-AA.ts", 1);
    }
    for second in 0..6 {
        fixture.file("2024-11-09T04", &format!("00:0{second}.0-1.0-full-AA.ts"), 1);
    }
    fixture.settle();
    for hour in [hours[0], hours[1], hours[0], hours[2]] {
        fixture.read(hour);
    }
    assert_eq!((fixture.metrics.listing_hours.get(), fixture.metrics.listing_segments.get()), (2, 4));
    let before = fixture.reads();
    fixture.read(hours[0]);
    fixture.read(hours[2]);
    assert_eq!(fixture.reads(), (before.0 + 2, before.1), "the one not asked for lately went");
    // An hour larger than the limit is answered and not held.
    assert_eq!(fixture.read("2024-11-09T04").unwrap().len(), 6);
    assert_eq!(fixture.metrics.listing_segments.get(), 4);
}

#[test]
fn passes_over_what_is_no_segment() {
    let fixture = Fixture::new(100);
    fixture.file(HOUR, "00:00.0-2.0-full-AA.ts", 1);
    fixture.file(HOUR, ".00:02.0-2.0-full-AA.ts", 1);
    fixture.file(HOUR, "00:04.0-inf-full-AA.ts", 1);
    fixture.file(HOUR, "00:06.0-2.0-temp-x.ts", 1);
    fixture.file(HOUR, "00:08.0-2.0-full-AA.ts", 1);
    fixture.file(HOUR, "00:08.0-2.0-full-AA.tombstone", 0);
    let target = fixture.file(HOUR, "readme.txt", 1);
    let folder = target.parent().unwrap().to_owned();
    fs::create_dir(folder.join("00:10.0-2.0-full-AA.ts")).unwrap();
    std::os::unix::fs::symlink("readme.txt", folder.join("00:12.0-2.0-full-AA.ts")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("00:14.0-2.0-full-AA.ts")).unwrap();
    let odd = std::ffi::OsStr::new("00:16.0-2.0-full-");
    let odd = [std::os::unix::ffi::OsStrExt::as_bytes(odd), b"\xff.ts"].concat();
    fs::write(folder.join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&odd)), "x").unwrap();
    assert_eq!(fixture.read(HOUR).unwrap(), ["00:00.0-2.0-full-AA.ts", "00:12.0-2.0-full-AA.ts"]);
    let (channel, quality) = names();
    let listed = |tombstones| {
        fixture.listings.files(&channel, &quality, &Name::new("hour", HOUR).unwrap(), tombstones).unwrap()
    };
    let mut plain = vec![
        "00:00.0-2.0-full-AA.ts",
        "00:04.0-inf-full-AA.ts",
        "00:06.0-2.0-temp-x.ts",
        "00:10.0-2.0-full-AA.ts",
        "00:12.0-2.0-full-AA.ts",
        "00:14.0-2.0-full-AA.ts",
    ];
    assert_eq!(listed(false), plain);
    plain.insert(3, "00:08.0-2.0-full-AA.tombstone");
    assert_eq!(listed(true), plain);
}

#[test]
fn hours_are_the_folders_named_so() {
    let fixture = Fixture::new(100);
    for hour in ["2024-11-09T13", "2024-11-09T02", "not-an-hour", "9999-12-31T23", "2024-11-09T24"] {
        fixture.file(hour, "x.ts", 1);
    }
    fs::write(fixture.dir.path().join("chan/720p/2024-11-09T05"), "a file").unwrap();
    let (channel, quality) = names();
    let hours: Vec<String> =
        fixture.listings.hours(&channel, &quality).unwrap().iter().map(Hour::to_string).collect();
    assert_eq!(hours, ["2024-11-09T02", "2024-11-09T13", "9999-12-31T23"]);
    assert_eq!(fixture.read("2024-11-09T05"), None);
    assert!(fixture.listings.hours(&Channel::new("nope").unwrap(), &quality).unwrap().is_empty());
    assert_eq!(fixture.listings.names(&[]).unwrap(), ["chan"]);
    assert_eq!(fixture.listings.names(&["chan", "720p", "2024-11-09T05"]).unwrap(), Vec::<String>::new());
}

#[test]
fn many_readers_agree_and_the_bound_holds() {
    let fixture = Fixture::new(7);
    let hours: Vec<String> = (0..6).map(|hour| format!("2024-11-09T{hour:02}")).collect();
    for (index, hour) in hours.iter().enumerate() {
        for second in 0..=index {
            fixture.file(hour, &format!("00:0{second}.0-1.0-full-AA.ts"), 1);
        }
    }
    fixture.settle();
    std::thread::scope(|scope| {
        for reader in 0..4 {
            let (fixture, hours) = (&fixture, &hours);
            scope.spawn(move || {
                for round in 0..100 {
                    let index = (round * (reader + 1)) % hours.len();
                    assert_eq!(fixture.read(&hours[index]).unwrap().len(), index + 1);
                }
            });
        }
    });
    let held = fixture.listings.held.lock();
    let weights: usize = held.hours.values().map(|slot| weight(&slot.listing)).sum();
    assert_eq!(held.weight, weights);
    assert!(weights <= 7);
    assert_eq!(fixture.metrics.listing_hours.get(), held.hours.len() as i64);
}
