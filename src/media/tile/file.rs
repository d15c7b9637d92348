//! Pictures of a file of any container that libav reads, in one pass over its packets: keyframes alone are decoded.

use crate::base::time::TimeBase;
use crate::base::{Error, Kind, Result, Timestamp, Token};
use crate::media::Clip;
use crate::media::ffi::{Decoder, Frame};
use crate::media::picture::Stored;
use crate::media::source::{ClipReader, Want, open_probed};
use crate::media::turn::Turn;
use std::path::Path;

/// What a pass found out beside the keyframes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Walk {
    /// When the last picture ends, in microseconds from the first picture on.
    pub end: i64,
    /// When each picture begins, likewise, and how many bytes it has, in order of time.
    pub pictures: Vec<(i64, u32)>,
}

/// Pictures a pass remembers: six days at 30 a second, 256 MB.
const MAX_PICTURES: usize = 1 << 24;

/// Takes a keyframe: how it is to be turned, and when it begins.
pub type TakeKeyframe<'a> = dyn FnMut(&Frame, Turn, i64) -> Result<()> + 'a;

/// Decodes the keyframes of a file that are at least `apart` microseconds from the one taken before, each by itself. One
/// that cannot be decoded is passed over.
///
/// # Errors
/// [`Kind::Damaged`] where there is no picture; what `take` says.
pub fn keyframes(path: &Path, apart: i64, token: &Token, take: &mut TakeKeyframe<'_>) -> Result<Walk> {
    let start = Timestamp::from_micros(0);
    let clip = Clip { path: path.to_owned(), start, duration: 0, whole: true };
    let mut reader = ClipReader::open(&clip, Want::Video, token)?;
    let (Some(video), Some(anchor)) = (reader.video.clone(), reader.anchor) else {
        return Err(Error::damaged("the file holds no picture"));
    };
    let mut decoder = Decoder::open(&reader.demuxer, video.index, video.time_base, 1)?;
    let usual = video.time_base.micros(reader.frame_ticks);
    let mut walk = Walk::default();
    let mut last: Option<i64> = None;
    while let Some(packet) = reader.read()? {
        token.check()?;
        let Some(pts) = packet.pts().or(packet.dts()).filter(|_| reader.is_video(&packet)) else { continue };
        let at = (anchor.wall_of(pts) - start).max(0);
        let lasts = match video.time_base.micros(packet.duration()) {
            0 => usual,
            told => told,
        };
        walk.end = walk.end.max(at.saturating_add(lasts));
        if walk.pictures.len() >= MAX_PICTURES {
            return Err(Error::damaged(format!("the file has more than {MAX_PICTURES} pictures")));
        }
        walk.pictures.push((at, u32::try_from(packet.data().len()).unwrap_or(u32::MAX)));
        if !packet.is_key() || last.is_some_and(|last| at - last < apart) {
            continue;
        }
        let mut found = None;
        let mut keep = |frame: Frame| {
            found.get_or_insert(frame);
            Ok(())
        };
        decoder.flush();
        let decoded = decoder.push(Some(&packet), &mut keep).and_then(|()| decoder.push(None, &mut keep));
        match decoded {
            Err(error) if error.kind == Kind::Damaged => continue,
            outcome => outcome?,
        }
        if let Some(mut frame) = found {
            video.sample_aspect.into_iter().for_each(|it| frame.set_sample_aspect(it));
            last = Some(at);
            take(&frame, frame.turn().unwrap_or(video.turn), at)?;
        }
    }
    walk.pictures.sort_unstable();
    if last.is_none() {
        return Err(Error::damaged("no picture of the file can be decoded by itself"));
    }
    Ok(walk)
}

/// How high a tile of this width is in the shape the picture is seen in.
///
/// # Errors
/// `picture-size` where it has none.
pub fn height_of(frame: &Frame, turn: Turn, width: u32) -> Result<u32> {
    let (across, down) = Stored::of(frame, turn).upright()?;
    Ok((f64::from(width) * f64::from(down) / f64::from(across)).round() as u32)
}

/// How long a file claims to be, in microseconds; `None` where its container does not say.
pub fn claimed_length(path: &Path, token: &Token) -> Result<Option<i64>> {
    let demuxer = open_probed(path, token)?;
    Ok(demuxer.duration().map(|it| TimeBase::new(1, 1_000_000).micros(it)))
}
