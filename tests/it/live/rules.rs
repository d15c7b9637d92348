//! RFC 8216bis as seen from outside: what every playlist must be, and what it may become.

use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub uri: String,
    pub duration: f64,
    pub independent: bool,
    pub gap: bool,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Segment {
    pub number: u64,
    pub uri: Option<String>,
    pub duration: f64,
    pub parts: Vec<Part>,
    pub map: String,
    pub discontinuity: bool,
    pub date: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Playlist {
    pub text: String,
    pub version: u32,
    pub target: f64,
    pub part_target: Option<f64>,
    pub control: BTreeMap<String, String>,
    pub sequence: u64,
    pub discontinuities: u64,
    pub skipped: usize,
    /// The last may have parts alone.
    pub segments: Vec<Segment>,
    pub hint: Option<String>,
}

fn attributes(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').expect("a closing quote"),
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        assert!(found.insert(name.to_owned(), value.to_owned()).is_none(), "twice: {name}");
        rest = next.strip_prefix(',').unwrap_or(next);
    }
    found
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

impl Playlist {
    pub fn parse(text: &str) -> Self {
        let mut it = Self { text: text.into(), ..Self::default() };
        let (mut map, mut open) = (String::new(), Segment::default());
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("#EXTM3U"));
        for line in lines {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            match tag {
                "#EXT-X-VERSION" => it.version = value.parse().expect("a version"),
                "#EXT-X-TARGETDURATION" => it.target = value.parse::<u32>().expect("whole seconds").into(),
                "#EXT-X-PART-INF" => it.part_target = Some(number(&attributes(value)["PART-TARGET"])),
                "#EXT-X-SERVER-CONTROL" => it.control = attributes(value),
                "#EXT-X-MEDIA-SEQUENCE" => it.sequence = value.parse().expect("a number"),
                "#EXT-X-DISCONTINUITY-SEQUENCE" => it.discontinuities = value.parse().expect("a number"),
                "#EXT-X-SKIP" => {
                    it.skipped = attributes(value)["SKIPPED-SEGMENTS"].parse().expect("a number")
                }
                "#EXT-X-MAP" => map = attributes(value)["URI"].clone(),
                "#EXT-X-DISCONTINUITY" => open.discontinuity = true,
                "#EXT-X-PROGRAM-DATE-TIME" => open.date = Some(value.into()),
                "#EXT-X-PART" => {
                    assert!(it.part_target.is_some(), "parts without PART-INF");
                    let all = attributes(value);
                    open.parts.push(Part {
                        uri: all["URI"].clone(),
                        duration: number(&all["DURATION"]),
                        independent: all.get("INDEPENDENT").is_some_and(|it| it == "YES"),
                        gap: all.get("GAP").is_some_and(|it| it == "YES"),
                    });
                }
                "#EXTINF" => open.duration = number(value.trim_end_matches(',')),
                "#EXT-X-PRELOAD-HINT" => {
                    let all = attributes(value);
                    assert_eq!(all["TYPE"], "PART");
                    assert!(it.hint.replace(all["URI"].clone()).is_none(), "two hints");
                }
                "#EXT-X-INDEPENDENT-SEGMENTS" | "#EXT-X-GAP" => {}
                _ if line.starts_with('#') => panic!("an unknown tag: {line}"),
                _ => {
                    open.uri = Some(line.into());
                    open.map.clone_from(&map);
                    it.segments.push(std::mem::take(&mut open));
                }
            }
        }
        if !open.parts.is_empty() {
            open.map = map;
            it.segments.push(open);
        }
        let first = it.sequence + it.skipped as u64;
        it.segments.iter_mut().zip(first..).for_each(|(segment, number)| segment.number = number);
        it.check();
        it
    }

    /// What holds of one playlist.
    fn check(&self) {
        let text = &self.text;
        assert!(self.version >= 9 && self.target > 0.0, "{text}");
        let control = |name: &str| self.control.get(name).map(|it| number(it));
        assert_eq!(self.control.get("CAN-BLOCK-RELOAD").map(String::as_str), Some("YES"));
        assert!(control("HOLD-BACK").unwrap() >= 3.0 * self.target, "{text}");
        assert!(control("CAN-SKIP-UNTIL").unwrap() >= 6.0 * self.target, "{text}");
        if let Some(part_target) = self.part_target {
            assert!(control("PART-HOLD-BACK").unwrap() >= 3.0 * part_target - 1e-6, "{text}");
            assert!(self.hint.is_some(), "{text}");
        }
        for segment in &self.segments {
            assert!(!segment.map.is_empty() && segment.date.is_some(), "{text}");
            assert!(
                (segment.duration + 0.5).floor() <= self.target,
                "{} is past the target: {text}",
                segment.duration
            );
            let length: f64 = segment.parts.iter().map(|it| it.duration).sum();
            if segment.uri.is_some() && !segment.parts.is_empty() {
                assert!((length - segment.duration).abs() < 1e-6, "parts of {length}: {text}");
            }
            let Some(target) = self.part_target.filter(|_| !segment.parts.is_empty()) else { continue };
            assert!(segment.parts[0].independent, "a segment begins with a keyframe: {text}");
            for (at, part) in segment.parts.iter().enumerate() {
                let last = segment.uri.is_some() && at + 1 == segment.parts.len();
                assert!(part.duration <= target, "{} is past the part target: {text}", part.duration);
                assert!(
                    last || part.independent || part.duration >= 0.85 * target - 1e-6,
                    "{}: {text}",
                    part.duration
                );
            }
        }
    }

    pub fn last(&self) -> &Segment {
        self.segments.last().expect("a segment")
    }

    /// What the next reload waits for.
    pub fn next(&self) -> String {
        let hint = self.hint.as_ref().expect("a hint");
        let (segment, part) =
            hint.trim_start_matches("part-").trim_end_matches(".m4s").split_once('-').expect("two");
        format!("_HLS_msn={segment}&_HLS_part={part}")
    }
}

/// Follows a stream, playlist after playlist.
#[derive(Default)]
pub struct Checker {
    pub last: Option<Playlist>,
    /// Parts that were hinted at and have not been seen.
    hinted: Option<String>,
    pub seen: usize,
    /// What each part is, by its address: its duration, and whether a keyframe is in it.
    pub parts: BTreeMap<String, Part>,
}

impl Checker {
    /// Takes the next playlist, whole or a delta of the one before; gives it whole.
    pub fn take(&mut self, text: &str) -> &Playlist {
        let mut next = Playlist::parse(text);
        if next.skipped > 0 {
            let before = self.last.as_ref().expect("a playlist that is shortened");
            let kept = before.segments.iter().filter(|it| (next.sequence..).contains(&it.number));
            let mut segments: Vec<Segment> = kept.take(next.skipped).cloned().collect();
            assert_eq!(segments.len(), next.skipped, "what is left out was there: {text}");
            assert!(segments.iter().all(|it| it.uri.is_some()));
            segments.append(&mut next.segments);
            next.segments = segments;
        }
        if let Some(before) = &self.last {
            follows(before, &next);
        }
        for part in next.segments.iter().flat_map(|it| &it.parts) {
            self.parts.insert(part.uri.clone(), part.clone());
        }
        if let Some(hinted) = self.hinted.take_if(|it| next.hint.as_ref() != Some(it)) {
            assert!(self.parts.contains_key(&hinted), "{hinted} was hinted at and never came: {text}");
        }
        self.hinted.clone_from(&next.hint);
        self.seen += 1;
        self.last.insert(next)
    }
}

/// What may have become of a playlist.
fn follows(before: &Playlist, next: &Playlist) {
    let both = || format!("{}\n--- became ---\n{}", before.text, next.text);
    assert_eq!(before.target, next.target, "{}", both());
    if let (Some(one), Some(other)) = (before.part_target, next.part_target) {
        assert_eq!(one, other, "{}", both());
    }
    assert!(next.sequence >= before.sequence, "{}", both());
    let gone = before.segments.iter().filter(|it| it.number < next.sequence);
    let after = before.segments.iter().filter(|it| it.number <= next.sequence).skip(1);
    // A discontinuity is counted once the segment behind it is the first, or gone.
    let passed = after.filter(|it| it.discontinuity).count() as u64;
    assert_eq!(next.discontinuities, before.discontinuities + passed, "{}", both());
    if gone.count() > 0 {
        let length: f64 = next.segments.iter().filter(|it| it.uri.is_some()).map(|it| it.duration).sum();
        assert!(length >= 3.0 * next.target, "too short after segments were taken away: {}", both());
    }
    for old in before.segments.iter().filter(|it| it.number >= next.sequence) {
        let new = next.segments.iter().find(|it| it.number == old.number);
        let new = new.unwrap_or_else(|| panic!("{} is missing: {}", old.number, both()));
        assert_eq!((&new.map, &new.date), (&old.map, &old.date), "{}", both());
        // Of the first segment it is not told any more.
        assert!(new.discontinuity == old.discontinuity || new.number == next.sequence, "{}", both());
        if old.uri.is_some() {
            assert_eq!((&new.uri, new.duration), (&old.uri, old.duration), "{}", both());
        }
        // Parts are added at the end, or no longer told of at all.
        assert!(new.parts.is_empty() || new.parts.starts_with(&old.parts), "{}", both());
        assert!(!new.parts.is_empty() || old.parts.is_empty() || new.uri.is_some(), "{}", both());
    }
}

/// A part or segment as bytes.
pub mod file {
    /// The boxes that lie side by side.
    pub fn boxes(mut bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
            found.push((&bytes[4..8], &bytes[8..length]));
            bytes = &bytes[length..];
        }
        found
    }

    pub fn content<'a>(bytes: &'a [u8], path: &[&str]) -> &'a [u8] {
        path.iter().fold(bytes, |bytes, name| {
            boxes(bytes)
                .into_iter()
                .find(|it| it.0 == name.as_bytes())
                .unwrap_or_else(|| panic!("no {name}"))
                .1
        })
    }

    pub fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_be_bytes(bytes[at * 4..at * 4 + 4].try_into().unwrap())
    }

    /// Of the pictures of a fragment: where it begins, how long it is, and whether a keyframe is in it.
    pub fn pictures(moof: &[u8]) -> (u64, u64, bool) {
        let traf = content(moof, &["traf"]);
        let (head, time, run) =
            (content(traf, &["tfhd"]), content(traf, &["tfdt"]), content(traf, &["trun"]));
        assert_eq!(word(head, 1), 1, "pictures come first");
        let from = u64::from(word(time, 1)) << 32 | u64::from(word(time, 2));
        let (head_flags, flags, count) = (word(head, 0), word(run, 0) & 0xff_ffff, word(run, 1));
        let same = (head_flags & 8 != 0).then(|| word(head, 2));
        let default = word(head, if same.is_some() { 3 } else { 2 });
        let fields: Vec<u32> =
            [0x100, 0x200, 0x400, 0x800].into_iter().filter(|it| flags & it != 0).collect();
        let place = |field: u32| fields.iter().position(|it| *it == field);
        let (mut length, mut key) = (0, false);
        for sample in 0..count as usize {
            let at = |place: usize| word(run, 3 + sample * fields.len() + place);
            length += u64::from(place(0x100).map_or(same.unwrap_or(0), at));
            key |= place(0x400).map_or(default, at) & 0x1_0000 == 0;
        }
        (from, length, key)
    }
}
