//! Where copying may begin, how far it may go, and where decoding has to begin. Pure.

use super::Candidate;
use crate::media::index::{AccessUnit, PictureType, UnitClass, VideoCodec};
use std::ops::Range;

/// How copying may begin at a picture, after something else than what its source has before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// Nothing after it in decoding order needs anything before it.
    Closed,
    /// Its leading pictures do, and those after them do not, by the codec's standard: HEVC's CRA and BLA (§8.1.3),
    /// an I picture of MPEG-2 (H.262 §6.3.8).
    Open,
    /// As open, by the word of the encoder alone: an I picture of H.264 with a recovery point. Later pictures may keep
    /// references over it, and their numbers go on from pictures that are not there.
    Doubtful,
}

impl Entry {
    pub fn of(unit: &AccessUnit, codec: VideoCodec) -> Option<Self> {
        match (unit.class, codec) {
            (UnitClass::Idr, _) => Some(Self::Closed),
            (UnitClass::Cra | UnitClass::Bla, VideoCodec::Hevc) => Some(Self::Open),
            (UnitClass::KeyOpen | UnitClass::Bla, VideoCodec::Mpeg2) => Some(Self::Open),
            (UnitClass::RecoveryPoint { frames: 0 }, VideoCodec::H264)
                if unit.reference && unit.picture_type == PictureType::I =>
            {
                Some(Self::Doubtful)
            }
            // Gradual refresh: what comes before the recovery is needed and would be shown.
            _ => None,
        }
    }
}

/// Pictures before a keyframe in decoding order that are looked at: no standard lets a picture wait for more.
const REORDER: usize = 34;

/// A picture where copying begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    pub key: usize,
    pub entry: Entry,
    /// Behind the key and its leading pictures.
    pub body: usize,
    /// Leading pictures that cannot be copied with it.
    pub dropped: Vec<usize>,
}

/// Behind the key at `key` (with its second field) and the pictures that follow it and are shown before it.
fn leading(all: &[Candidate], key: usize) -> Range<usize> {
    let field = |at: &usize| all[*at].second_field;
    let first = key + 1 + (key + 1..all.len()).take_while(field).count();
    let early = |at: &usize| all[*at].second_field || all[*at].at < all[key].at;
    first..first + (first..all.len()).take_while(early).count()
}

impl Start {
    /// `None` when the pictures around `key` are not ordered as around a keyframe.
    pub fn at(all: &[Candidate], key: usize) -> Option<Self> {
        let entry = all[key].entry?;
        let leading = leading(all, key);
        let before = key.saturating_sub(REORDER)..key;
        if all[before].iter().any(|it| it.at > all[key].at) {
            return None;
        }
        // A picture shown before the key, but decoded after those that follow it.
        let next = (leading.end..all.len()).find(|it| all[*it].starts()).unwrap_or(all.len());
        if all[leading.end..next].iter().any(|it| it.at < all[key].at) {
            return None;
        }
        let safe = |it: &Candidate| it.wanted && (entry == Entry::Closed || it.class == UnitClass::Radl);
        let pictures = || leading.clone().filter(|it| !all[*it].second_field);
        // What is encoded is shown before what is copied.
        let latest = pictures().filter(|it| !safe(&all[*it])).map(|it| all[it].at).max();
        let mut kept = true;
        let dropped = leading.clone().filter(|it| {
            if !all[*it].second_field {
                kept = safe(&all[*it]) && latest.is_none_or(|latest| all[*it].at > latest);
            }
            !kept
        });
        let dropped = dropped.collect();
        Some(Self { key, entry, body: leading.end, dropped })
    }

    /// How far, in decoding order, pictures can be copied: as long as all are wanted, and such that every wanted picture
    /// left over before the next start is shown after all that are copied. `None` when that does not reach behind the
    /// leading pictures.
    pub fn copy_end(&self, all: &[Candidate]) -> Option<usize> {
        let kept = |at: &usize| !self.dropped.contains(at);
        let copied = |at: &usize| !kept(at) || all[*at].wanted && all[*at].copyable;
        let mut end = self.key + (self.key..all.len()).take_while(copied).count();
        // Pictures shown after `end` were decoded not long before it.
        let from = |end: usize| self.key.max(end.saturating_sub(4 * REORDER));
        let next = (end..all.len()).find(|it| all[*it].starts());
        let next = next.map_or(all.len(), |next| leading(all, next).end);
        loop {
            let left = all[end..next].iter().filter(|it| it.wanted).map(|it| it.at).min();
            let late = left.and_then(|left| (from(end)..end).find(|it| kept(it) && all[*it].at > left));
            let split = end < all.len() && all[end].second_field;
            match late {
                Some(late) => end = late,
                None if split && end > self.key => end -= 1,
                None => return (end >= self.body).then_some(end),
            }
        }
    }

    /// The copied pictures up to `end`, as runs that follow each other.
    pub fn runs(&self, end: usize) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for at in self.key..self.body {
            match runs.last_mut() {
                _ if self.dropped.contains(&at) => {}
                Some(run) if run.end == at => run.end += 1,
                _ => runs.push(at..at + 1),
            }
        }
        match runs.last_mut() {
            Some(run) if run.end == self.body => run.end = end,
            _ if self.body < end => runs.push(self.body..end),
            _ => {}
        }
        runs
    }
}

/// Where decoding has to begin for the pictures from `earliest` on in decoding order that are shown from `shown` on:
/// the last picture where a decoder may be started, or the first of all.
pub(super) fn decode_from(all: &[Candidate], earliest: usize, shown: i64) -> usize {
    // frame_num counts the reference frames before a picture, and recovery_frame_cnt is told in it.
    let mut references = 0;
    for at in (0..=earliest).rev() {
        let it = &all[at];
        if it.second_field {
            continue;
        }
        references += usize::from(at != earliest && it.reference);
        let right = match it.class {
            UnitClass::Idr => true,
            UnitClass::RecoveryPoint { frames } => it.at <= shown && references >= usize::from(frames),
            class => class.is_random_access() && it.at <= shown,
        };
        if right {
            return at;
        }
    }
    0
}

/// Marks as not wanted what nobody can decode: pictures before the first where a decoder may be started, those that
/// lead it, and those before a gradual refresh is through. A stretch without any such picture is left as it is.
pub(super) fn forget_undecodable(stretch: &mut [Candidate]) {
    let Some(first) = stretch.iter().position(|it| it.class.is_random_access() && !it.second_field) else {
        return;
    };
    stretch[..first].iter_mut().for_each(|it| it.wanted = false);
    match stretch[first].class {
        UnitClass::Idr => {}
        UnitClass::RecoveryPoint { frames } if frames > 0 => {
            let whole = |it: &Candidate| it.class == UnitClass::Idr;
            let mut references = 0;
            for it in stretch[first..].iter_mut() {
                if whole(it) || references > usize::from(frames) {
                    break;
                }
                references += usize::from(it.reference && !it.second_field);
                it.wanted &= references > usize::from(frames);
            }
        }
        _ => {
            for at in leading(stretch, first) {
                stretch[at].wanted &= stretch[at].class == UnitClass::Radl;
            }
        }
    }
}
