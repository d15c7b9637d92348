//! The archive through its door, over folders on disk.

use super::*;
use crate::base::time::{MINUTE, SECOND};
use std::io::Read as _;

fn archive(limits: Limits) -> (tempfile::TempDir, Archive) {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(dir.path(), limits, Metrics::new()).unwrap();
    (dir, archive)
}

fn names() -> (Channel, Quality) {
    (Channel::new("chan").unwrap(), Quality::new("720p").unwrap())
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse("at", text).unwrap()
}

/// Writes `count` segments of 2 s from `start` on.
fn fill(archive: &Archive, start: &str, count: i64) {
    let (channel, quality) = names();
    for index in 0..count {
        let start = at(start) + index * 2 * SECOND;
        let mut writer = archive.create_segment(&channel, &quality, start).unwrap();
        writer.write(start.to_string().as_bytes()).unwrap();
        writer.finish(2 * SECOND, SegmentKind::Full).unwrap();
    }
}

#[test]
fn what_is_written_is_selected_and_opened_over_an_hour_boundary() {
    let (_guard, archive) = archive(Limits::default());
    let (channel, quality) = names();
    fill(&archive, "2024-11-09T12:59:55", 5);
    let selection = archive
        .select(&channel, &quality, Span::new(at("2024-11-09T13:00:00"), at("2024-11-09T13:00:04")))
        .unwrap();
    assert!(selection.is_unbroken());
    let starts: Vec<String> = selection.segments().map(|segment| segment.start().to_string()).collect();
    assert_eq!(
        starts,
        ["2024-11-09T12:59:59.000000", "2024-11-09T13:00:01.000000", "2024-11-09T13:00:03.000000"]
    );
    for segment in selection.segments() {
        assert_eq!(std::fs::read(archive.path_of(segment)).unwrap(), segment.start().to_string().as_bytes());
        let components: Vec<Name> = [
            segment.channel().as_str(),
            segment.quality().as_str(),
            &segment.hour().to_string(),
            segment.name(),
        ]
        .iter()
        .map(|part| Name::new("part", part).unwrap())
        .collect();
        let mut open = archive.open_file(&components).unwrap();
        let mut text = String::new();
        open.file.read_to_string(&mut text).unwrap();
        assert_eq!((text.len() as u64, text), (open.len, segment.start().to_string()));
    }
    assert_eq!(
        archive.extent(&channel, &quality).unwrap(),
        Some(Span::new(at("2024-11-09T12"), at("2024-11-09T14")))
    );
}

#[test]
fn a_range_to_the_end_of_the_calendar_is_answered_at_once() {
    let (guard, archive) = archive(Limits::default());
    let (channel, quality) = names();
    fill(&archive, "2024-11-09T12:00:00", 2);
    for stray in ["not-an-hour", "9999-12-31T23"] {
        std::fs::create_dir(guard.path().join("chan/720p").join(stray)).unwrap();
    }
    let span = Span::new(Timestamp::MIN, Timestamp::MAX);
    let selection = archive.select(&channel, &quality, span).unwrap();
    assert_eq!(selection.segments().count(), 2);
    assert_eq!(
        selection.holes(),
        [
            Span::new(Timestamp::MIN, at("2024-11-09T12")),
            Span::new(at("2024-11-09T12:00:04"), Timestamp::MAX)
        ]
    );
    for edge in [Timestamp::MIN, Timestamp::MAX] {
        let short = Span::new(edge + -MINUTE, edge + MINUTE);
        assert!(archive.select(&channel, &quality, short).unwrap().is_empty());
    }
}

#[test]
fn what_is_not_there_is_told_apart_from_what_is_empty() {
    let (guard, archive) = archive(Limits { selection_items: 3, ..Limits::default() });
    let (channel, quality) = names();
    let span = Span::new(at("2024-11-09T12"), at("2024-11-09T13"));
    assert_eq!(archive.select(&channel, &quality, span).unwrap_err().kind, Kind::NotFound);
    assert_eq!(archive.qualities(&channel).unwrap(), Vec::<String>::new());
    assert!(!archive.has_channel(&channel).unwrap());
    std::fs::create_dir_all(guard.path().join("chan/720p")).unwrap();
    assert_eq!(archive.select(&channel, &quality, span).unwrap().items, [Item::Hole(span)]);
    assert_eq!(archive.extent(&channel, &quality).unwrap(), None);
    assert!(archive.has_channel(&channel).unwrap() && archive.has_quality(&channel, &quality).unwrap());
    fill(&archive, "2024-11-09T12:00:00", 4);
    assert_eq!(archive.select(&channel, &quality, span).unwrap_err().code, "too-many-segments");
}

#[test]
fn only_files_open() {
    let (guard, archive) = archive(Limits::default());
    fill(&archive, "2024-11-09T12:00:00", 1);
    std::os::unix::fs::symlink("/etc/passwd", guard.path().join("chan/out")).unwrap();
    for missing in [&[][..], &["chan"], &["chan", "720p"], &["nope"], &["chan", "out"]] {
        let components: Vec<Name> = missing.iter().map(|part| Name::new("part", part).unwrap()).collect();
        assert_eq!(archive.open_file(&components).unwrap_err().kind, Kind::NotFound, "{missing:?}");
    }
}

#[test]
fn one_archive_serves_all_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Archive>();
    shared::<Selection>();
}
