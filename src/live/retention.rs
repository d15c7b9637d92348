//! How much of what was recorded is kept: by age and bytes of a channel, and by the room the disk has left. The oldest goes
//! first, whole segments at a time; the newest of each quality stay whatever the rules say.
//!
//! What is derived from segments needs no word from here: caches find their segments gone.

use crate::archive::{Archive, Stored};
use crate::base::{Channel, Hour, Quality, Result, Timestamp, Token};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

/// Segments of each quality that are never taken away: who watches or cuts what is live is at them.
const SPARED: usize = 5;

/// What is kept of a channel; without a word, everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rule {
    /// No longer than this, in microseconds.
    pub age: Option<i64>,
    /// No more than this, over all qualities.
    pub bytes: Option<u64>,
}

/// What came of one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    pub segments: usize,
    pub bytes: u64,
}

/// What is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Debt {
    /// Segments that end by then.
    before: Option<Timestamp>,
    /// So many bytes, of the oldest.
    bytes: u64,
}

impl Debt {
    fn of(rule: Rule, held: u64, now: Timestamp) -> Self {
        let before = rule.age.map(|age| now + -age);
        Self { before, bytes: rule.bytes.map_or(0, |most| held.saturating_sub(most)) }
    }

    fn is_due(&self, segment: &Stored) -> bool {
        self.bytes > 0 || self.before.is_some_and(|before| segment.end <= before)
    }
}

/// How many of `segments`, the oldest first, are to go; those that start at or after what `spared` says of their quality
/// stay, and so does all behind the first that stays for its age.
fn plan(segments: &[Stored], debt: &mut Debt, spared: &BTreeMap<Quality, Timestamp>) -> Vec<usize> {
    let mut doomed = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        if !debt.is_due(segment) {
            break;
        }
        if spared.get(&segment.quality).is_none_or(|from| segment.start < *from) {
            debt.bytes = debt.bytes.saturating_sub(segment.bytes);
            doomed.push(index);
        }
    }
    doomed
}

type Place = (Channel, Quality, Hour);

/// Keeps to the rules. What hours take is remembered, so that a look costs one question for each hour that did not change.
#[derive(Debug, Default)]
pub struct Retention {
    known: Mutex<HashMap<Place, (SystemTime, u64)>>,
}

impl Retention {
    /// Takes away what the rules do not keep. Only files named as segments, of the channels that are named here.
    ///
    /// # Errors
    /// What the disk says; what was taken away until then is gone.
    pub fn keep(
        &self,
        archive: &Archive,
        rules: &[(Channel, Rule)],
        floor: u64,
        now: Timestamp,
        token: &Token,
    ) -> Result<Removed> {
        let mut removed = Removed::default();
        self.known.lock().retain(|it, _| rules.iter().any(|(channel, _)| *channel == it.0));
        for (channel, rule) in rules {
            let hours = hours(archive, channel)?;
            let held = self.held(archive, channel, &hours, token)?;
            let mut debt = Debt::of(*rule, held, now);
            self.pay(archive, channel, &hours, &mut debt, &mut removed, token)?;
        }
        // The disk is everybody's: of all channels the oldest hour goes first.
        let mut missing = floor.saturating_sub(archive.free()?);
        if missing > 0 {
            let mut all: Vec<(Hour, &Channel, Vec<Quality>)> = Vec::new();
            for (channel, _) in rules {
                all.extend(hours(archive, channel)?.into_iter().map(|(hour, of)| (hour, channel, of)));
            }
            all.sort_by_key(|it| it.0);
            for (hour, channel, qualities) in all {
                let mut debt = Debt { before: None, bytes: missing };
                let hours = [(hour, qualities)].into();
                self.pay(archive, channel, &hours, &mut debt, &mut removed, token)?;
                missing = debt.bytes;
                if missing == 0 {
                    break;
                }
            }
        }
        Ok(removed)
    }

    /// Bytes of a channel.
    fn held(&self, archive: &Archive, channel: &Channel, hours: &Hours, token: &Token) -> Result<u64> {
        let mut held = 0;
        for (hour, qualities) in hours {
            token.check()?;
            for quality in qualities {
                let place = (channel.clone(), quality.clone(), *hour);
                let changed = archive.changed(channel, quality, *hour);
                let known = self.known.lock().get(&place).copied();
                held += match known.filter(|it| Some(it.0) == changed) {
                    Some((_, bytes)) => bytes,
                    None => {
                        let bytes = archive.stored(channel, quality, *hour)?.iter().map(|it| it.bytes).sum();
                        self.known.lock().extend(changed.map(|at| (place, (at, bytes))));
                        bytes
                    }
                };
            }
        }
        Ok(held)
    }

    /// Takes away segments, hour by hour from the oldest, until the debt is paid.
    fn pay(
        &self,
        archive: &Archive,
        channel: &Channel,
        hours: &Hours,
        debt: &mut Debt,
        removed: &mut Removed,
        token: &Token,
    ) -> Result<()> {
        let due = |hour: &Hour, debt: &Debt| {
            debt.bytes > 0 || debt.before.is_some_and(|before| hour.start() < before)
        };
        let mut spared = None;
        for (hour, qualities) in hours {
            token.check()?;
            if !due(hour, debt) {
                return Ok(());
            }
            let mut segments = Vec::new();
            for quality in qualities {
                segments.extend(archive.stored(channel, quality, *hour)?);
            }
            segments.sort_by_key(|it| it.start);
            let spared = match &spared {
                Some(spared) => spared,
                None => spared.insert(newest(archive, channel)?),
            };
            let doomed = plan(&segments, debt, spared);
            for quality in qualities {
                let of = doomed.iter().map(|it| &segments[*it]).filter(|it| it.quality == *quality);
                removed.segments += archive.remove(channel, quality, *hour, of)?;
                // The folder of an hour that may still be written to stays.
                if spared.get(quality).is_some_and(|it| it.hour() > *hour) {
                    archive.remove_hour(channel, quality, *hour);
                }
            }
            removed.bytes += doomed.iter().map(|it| segments[*it].bytes).sum::<u64>();
            if doomed.len() < segments.len() && debt.bytes == 0 {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The hours of a channel with the qualities that have them, the oldest first.
type Hours = BTreeMap<Hour, Vec<Quality>>;

fn hours(archive: &Archive, channel: &Channel) -> Result<Hours> {
    let mut hours = Hours::new();
    for name in archive.qualities(channel)? {
        let Ok(quality) = Quality::new(&name) else { continue };
        for hour in archive.hours(channel, &quality)? {
            hours.entry(hour).or_default().push(quality.clone());
        }
    }
    Ok(hours)
}

/// Where the segments of each quality begin that are spared.
fn newest(archive: &Archive, channel: &Channel) -> Result<BTreeMap<Quality, Timestamp>> {
    let mut spared = BTreeMap::new();
    for name in archive.qualities(channel)? {
        let Ok(quality) = Quality::new(&name) else { continue };
        let mut starts = Vec::new();
        for hour in archive.hours(channel, &quality)?.into_iter().rev() {
            let mut of: Vec<_> = archive.stored(channel, &quality, hour)?.iter().map(|it| it.start).collect();
            of.dedup();
            starts.extend(of.into_iter().rev());
            if starts.len() >= SPARED {
                break;
            }
        }
        if let Some(from) = starts.get(SPARED - 1).or(starts.last()) {
            spared.insert(quality, *from);
        }
    }
    Ok(spared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{Limits, SegmentKind};
    use crate::base::metrics::Metrics;
    use crate::base::time::{HOUR, SECOND};

    const BLOCK: u64 = 4096;

    fn at(second: i64) -> Timestamp {
        Timestamp::parse("t", "2024-11-09T12:59:50").unwrap() + second * SECOND
    }

    fn write(archive: &Archive, quality: &str, second: i64) {
        let (channel, quality) = (Channel::new("cam").unwrap(), Quality::new(quality).unwrap());
        let mut writer = archive.create_segment(&channel, &quality, at(second)).unwrap();
        writer.write(&[second as u8; BLOCK as usize]).unwrap();
        writer.finish(2 * SECOND, SegmentKind::Full).unwrap();
    }

    /// Ten segments of two qualities from 12:59:50 on, over the end of the hour.
    fn archive(folder: &std::path::Path) -> Archive {
        let archive = Archive::open(folder, Limits::default(), Metrics::new()).unwrap();
        for number in 0..10 {
            write(&archive, "a", number * 2);
            write(&archive, "b", number * 2 + 1);
        }
        archive
    }

    fn left(archive: &Archive, quality: &str) -> Vec<i64> {
        let (channel, quality) = (Channel::new("cam").unwrap(), Quality::new(quality).unwrap());
        let hours = archive.hours(&channel, &quality).unwrap();
        let all = hours.into_iter().flat_map(|it| archive.stored(&channel, &quality, it).unwrap());
        all.map(|it| (it.start - at(0)) / SECOND).collect()
    }

    fn keep(archive: &Archive, rule: Rule, floor: u64, now: i64) -> Removed {
        let rules = [(Channel::new("cam").unwrap(), rule)];
        Retention::default().keep(archive, &rules, floor, at(now), &Token::root()).unwrap()
    }

    #[test]
    fn what_is_old_goes_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(folder.path());
        assert_eq!(keep(&archive, Rule::default(), 0, 1 << 30), Removed::default());
        let ten = Rule { age: Some(10 * SECOND), bytes: None };
        assert_eq!(keep(&archive, ten, 0, 16).segments, 5);
        assert_eq!(left(&archive, "a"), [6, 8, 10, 12, 14, 16, 18]);
        assert_eq!(left(&archive, "b"), [5, 7, 9, 11, 13, 15, 17, 19], "until its end");
        // However old: the last of each quality stay, and hours without any go.
        let gone = keep(&archive, ten, 0, 3600);
        assert_eq!((left(&archive, "a").len(), left(&archive, "b").len()), (5, 5));
        assert_eq!(gone.segments, 5);
        assert!(!folder.path().join("cam/a/2024-11-09T12").exists());
        assert!(folder.path().join("cam/a/2024-11-09T13").exists());
    }

    #[test]
    fn bytes_are_kept_to_over_all_qualities() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(folder.path());
        let held: u64 = ["a", "b"].iter().map(|it| left(&archive, it).len() as u64 * BLOCK).sum();
        let gone = keep(&archive, Rule { age: None, bytes: Some(held - 4 * BLOCK + 1) }, 0, 0);
        assert_eq!((gone.segments, gone.bytes), (4, 4 * BLOCK), "the least that is enough");
        assert_eq!((left(&archive, "a")[0], left(&archive, "b")[0]), (4, 5));
        let nothing = Rule { age: None, bytes: Some(0) };
        keep(&archive, nothing, 0, 0);
        assert_eq!((left(&archive, "a").len(), left(&archive, "b").len()), (5, 5));
        assert_eq!(keep(&archive, nothing, 0, 0), Removed::default());
    }

    #[test]
    fn room_on_the_disk_is_made_from_the_oldest_on() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(folder.path());
        // More than any disk has: all but the last go.
        keep(&archive, Rule::default(), u64::MAX, 0);
        assert_eq!((left(&archive, "a").len(), left(&archive, "b").len()), (5, 5));
    }

    #[test]
    fn only_segments_of_named_channels_are_touched() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(folder.path());
        let hour = folder.path().join("cam/a/2024-11-09T12");
        let other = folder.path().join("other/a/2024-11-09T12");
        std::fs::create_dir_all(&other).unwrap();
        for name in ["batch.json", "notes.ts", "50:00.0-2.0-temp-x.ts", ".moviola-1-2-3.part"] {
            std::fs::write(hour.join(name), "x").unwrap();
        }
        std::fs::write(other.join("50:00.000000-2.0-full-AA.ts"), "x").unwrap();
        keep(&archive, Rule { age: Some(0), bytes: Some(0) }, u64::MAX, 10 * HOUR / SECOND);
        let mut names: Vec<_> = std::fs::read_dir(&hour)
            .unwrap()
            .map(|it| it.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, [".moviola-1-2-3.part", "50:00.0-2.0-temp-x.ts", "batch.json", "notes.ts"]);
        assert_eq!(std::fs::read_dir(other).unwrap().count(), 1);
    }

    #[test]
    fn hours_that_did_not_change_are_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(folder.path());
        let retention = Retention::default();
        let rules = [(Channel::new("cam").unwrap(), Rule { age: None, bytes: Some(1 << 40) })];
        retention.keep(&archive, &rules, 0, at(0), &Token::root()).unwrap();
        assert_eq!(retention.known.lock().len(), 4);
        write(&archive, "a", 40);
        let hours = hours(&archive, &rules[0].0).unwrap();
        let held = retention.held(&archive, &rules[0].0, &hours, &Token::root()).unwrap();
        assert_eq!(held, 21 * BLOCK);
        retention.keep(&archive, &[], 0, at(0), &Token::root()).unwrap();
        assert!(retention.known.lock().is_empty());
    }
}
