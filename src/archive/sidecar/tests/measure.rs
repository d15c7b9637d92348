//! Run by hand: figures, and disks that only somebody who may mount can make.

use super::*;
use crate::base::Timestamp;

/// `cargo test --release --lib archive::sidecar -- --ignored --nocapture`: the numbers in the module's text.
#[test]
#[ignore = "measures"]
fn packs_beside_single_files() {
    const HOURS: i64 = 12;
    const EACH: i64 = 1800;
    let dir = tempfile::tempdir_in(std::env::var("MEASURE_IN").unwrap_or("/tmp".into())).unwrap();
    let hash = "J-0Gnfy5JFUEAQJqOzVwcC9eKO2YOM4c9fVemPwOzxg";
    let names: Vec<(Hour, String)> = (0..HOURS * EACH)
        .map(|at| {
            let start = Timestamp::from_micros(hour(0).start().micros() + at * 2_000_000);
            let name = format!("{:02}:{:02}.000000-2.0-full-{hash}.ts", at % EACH / 30, at % 30 * 2);
            (start.hour(), name)
        })
        .collect();
    let noise = |at: usize| (0..1024).map(|byte| (byte * at) as u8).collect::<Vec<u8>>();
    let limits = SidecarLimits { disk_bytes: 1 << 32, memory_bytes: 1 << 30 };
    let cache = open(dir.path(), limits);
    let keys: Vec<_> = names
        .iter()
        .map(|(hour, name)| Key::named(&CHANNEL, &QUALITY, *hour, name, INDEX, || unreachable!()).unwrap())
        .collect();
    let time = |what: &str, work: &mut dyn FnMut()| {
        let best = (0..5)
            .map(|_| {
                let began = std::time::Instant::now();
                work();
                began.elapsed()
            })
            .min();
        println!("{what}: {:?}", best.unwrap());
    };
    let began = std::time::Instant::now();
    for (at, key) in keys.iter().enumerate() {
        assert!(cache.put(key, noise(at)));
    }
    println!("put {} entries: {:?}", keys.len(), began.elapsed());
    let files = dir.path().join("files");
    let paths: Vec<PathBuf> =
        names.iter().map(|(hour, name)| files.join(hour.to_string()).join(name)).collect();
    let began = std::time::Instant::now();
    for (at, path) in paths.iter().enumerate() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, noise(at)).unwrap();
    }
    println!("write {} files: {:?}", paths.len(), began.elapsed());
    time("files, in the page cache", &mut || {
        assert_eq!(paths.iter().map(|path| fs::read(path).unwrap().len()).sum::<usize>(), keys.len() * 1024);
    });
    time("packs, in the page cache", &mut || {
        assert!(open(dir.path(), limits).get_many(&keys).iter().all(Option::is_some));
    });
    assert!(cache.get_many(&keys).iter().all(Option::is_some));
    time("packs, in memory", &mut || {
        assert!(cache.get_many(&keys).iter().all(Option::is_some));
    });
    time("one entry in memory", &mut || {
        assert!(cache.get(&keys[77]).is_some());
    });
    time("one entry, table unknown", &mut || {
        assert!(open(dir.path(), limits).get(&keys[77]).is_some());
    });
    println!("memory {} disk {}", cache.shelf.weight(), cache.disk_bytes());
    let cold = |what: &str, work: &dyn Fn()| {
        rustix::fs::sync();
        if fs::write("/proc/sys/vm/drop_caches", "3").is_ok() {
            let began = std::time::Instant::now();
            work();
            println!("{what}: {:?}", began.elapsed());
        }
    };
    cold("files, from the disk", &|| {
        assert_eq!(paths.iter().map(|path| fs::read(path).unwrap().len()).sum::<usize>(), keys.len() * 1024);
    });
    cold("packs, from the disk", &|| {
        assert!(open(dir.path(), limits).get_many(&keys).iter().all(Option::is_some));
    });
    use std::os::unix::fs::MetadataExt as _;
    let blocks = |path: &Path| fs::metadata(path).unwrap().blocks() * 512;
    println!("files take {}", paths.iter().map(|path| blocks(path)).sum::<u64>());
    println!("packs take {}", packs(dir.path()).iter().map(|path| blocks(path)).sum::<u64>());
}

/// A real full disk and a real read-only one, where somebody who may mount has set them up.
#[test]
#[ignore = "needs SMALL_DISK, a folder on a file system of 256 KiB that may be written or not"]
fn a_small_disk() {
    let dir = PathBuf::from(std::env::var("SMALL_DISK").unwrap());
    let cache = open(&dir, BIG);
    let before = open(&dir, COLD).get(&key("0.ts"));
    let mut kept = 0;
    for at in 0..200 {
        let name = format!("{at}.ts");
        kept += u32::from(cache.put(&key(&name), vec![at; 9000]));
        assert_eq!(cache.get(&key(&name)), Some(vec![at; 9000].into()));
    }
    println!("before {:?}, kept {kept}, faults {}", before.map(|bytes| bytes.len()), faults(&cache, "write"));
    assert_eq!(cache.disk_bytes(), on_disk(&dir));
    assert!(kept < 100);
    let again = open(&dir, COLD);
    let found = (0..200).filter(|at| again.get(&key(&format!("{at}.ts"))).is_some()).count();
    println!("found {found}");
}
