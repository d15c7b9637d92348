//! A file in the making: samples come in, fragments go out. Each fragment is written at once and is whole, so a process that
//! dies costs what was not a fragment yet: a second, or a group of pictures where those are shorter.

use super::closing::ROOM;
use crate::base::time::{SECOND, TimeBase};
use crate::base::{Error, Result};
use crate::live::Epoch;
use crate::media::live::{Sample, TrackKind};
use crate::media::mp4::{Edit, Head, Laid, Layout, Total, fragment, free};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// A fragment is no longer, in microseconds of its pictures.
const PART: i64 = SECOND;
/// How long the head waits for sound that is announced and does not come.
const LATE_SOUND: i64 = 3 * SECOND;
/// Samples of sound in a fragment, should pictures stay away.
const MOST_SOUNDS: usize = 1000;

/// A track of the source.
struct Lane {
    /// `None` where MP4 has no form for it.
    layout: Option<Layout>,
    base: TimeBase,
    /// In the file, counted from 1; 0 while it is not in it.
    number: u32,
    pending: Vec<Arc<Sample>>,
    /// Of what was written, in ticks of the track and the file's time.
    last: Option<i64>,
}

/// A file of one set of tracks.
pub struct Clip {
    file: File,
    lanes: Vec<Lane>,
    /// The lane of pictures.
    video: usize,
    orientation: u8,
    /// The head is written.
    headed: bool,
    sequence: u32,
    bytes: u64,
    /// From a picture's time in the epoch to its time in the file, in ticks of pictures; none before the epoch's first.
    shift: Option<i64>,
    /// When the file's first picture is shown, in the file's time, and where the one shown last ends; in ticks of pictures.
    from: i64,
    end: i64,
    /// PTS of the epoch's first picture, in ticks of pictures: sound before it is not of the file.
    first: i64,
}

/// `ticks` of `from` in `to`, rounded up.
fn up(from: TimeBase, ticks: i64, to: TimeBase) -> i64 {
    let near = from.rescale(ticks, to);
    let exact = |it: i64, of: TimeBase| i128::from(it) * i128::from(of.num);
    // near < ticks, each over its own denominator.
    let short = exact(near, to) * i128::from(from.den) < exact(ticks, from) * i128::from(to.den);
    near + i64::from(short)
}

impl Clip {
    /// A new file for the tracks of an epoch.
    ///
    /// # Errors
    /// `unsupported-codec` where MP4 has no form for its pictures; what the disk says.
    pub fn create(path: &Path, epoch: &Epoch, orientation: u8) -> Result<Self> {
        let video = epoch.video().ok_or_else(|| Error::damaged("the stream has no pictures"))?;
        let lane = |track: &crate::media::live::Track| Lane {
            layout: Layout::of(track),
            base: track.time_base,
            number: 0,
            pending: Vec::new(),
            last: None,
        };
        let lanes: Vec<Lane> = epoch.tracks.iter().map(lane).collect();
        if lanes[video].layout.is_none() {
            let detail = format!("MP4 has no form for {}", epoch.tracks[video].name);
            return Err(Error::new(crate::base::Kind::Unsupported, "unsupported-codec", detail));
        }
        let file = File::options().read(true).write(true).create_new(true).open(path);
        let file = file.map_err(|fault| Error::io("the recording cannot be written", &fault))?;
        Ok(Self {
            file,
            lanes,
            video,
            orientation,
            headed: false,
            sequence: 0,
            bytes: 0,
            shift: None,
            from: 0,
            end: 0,
            first: 0,
        })
    }

    /// Whether the tracks of an epoch are those of this file, so that it goes on in it.
    pub fn takes(&self, epoch: &Epoch) -> bool {
        self.lanes.len() == epoch.tracks.len()
            && self.lanes.iter().zip(&epoch.tracks).all(|(lane, track)| {
                let layout = lane.layout.as_ref().map(|it| &it.entry);
                layout == track.entry.as_ref() && lane.base == track.time_base
            })
    }

    /// Goes on with another epoch, where the presentation so far ends.
    pub fn join(&mut self) -> Result<()> {
        self.flush(None)?;
        self.shift = None;
        Ok(())
    }

    /// Bytes of fragments so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How long the presentation is so far, in microseconds, with what is not written yet.
    pub fn micros(&self) -> i64 {
        self.lanes[self.video].base.micros(self.end - self.from)
    }

    fn micros_between(&self, earlier: &Sample, later: &Sample) -> i64 {
        self.lanes[self.video].base.micros(later.dts - earlier.dts)
    }

    pub fn push(&mut self, sample: Arc<Sample>) -> Result<()> {
        let track = sample.track;
        if self.lanes.get(track).is_none_or(|it| it.layout.is_none()) {
            return Ok(());
        }
        if track != self.video {
            let lane = &mut self.lanes[track];
            // Sound of before the epoch's first picture is sorted out when that is known.
            lane.pending.push(sample);
            let full = lane.pending.len() >= MOST_SOUNDS;
            return match (self.shift, full) {
                (Some(_), true) => self.flush(None),
                (None, true) => {
                    lane.pending.remove(0);
                    Ok(())
                }
                _ => Ok(()),
            };
        }
        if self.shift.is_none() {
            if !sample.key {
                return Ok(());
            }
            self.begin(&sample);
        }
        let pending = &self.lanes[self.video].pending;
        if let Some(first) = pending.first() {
            let waiting = self.lanes.iter().any(|it| it.layout.is_some() && it.pending.is_empty());
            let most = if self.headed || !waiting { PART } else { LATE_SOUND };
            let long = self.micros_between(first, &sample);
            if long >= most || (sample.key && (self.headed || !waiting)) {
                self.flush(Some(sample.dts))?;
            }
        }
        if let Some(shift) = self.shift {
            self.end = self.end.max(sample.pts + shift + i64::from(sample.duration));
        }
        self.lanes[self.video].pending.push(sample);
        Ok(())
    }

    /// Lays the epoch that begins with this picture onto the file's time.
    fn begin(&mut self, key: &Sample) {
        let lane = &self.lanes[self.video];
        let (base, last) = (lane.base, lane.last);
        let shift = match last {
            // The first picture is decoded at 0.
            None => -key.dts,
            Some(last) => (self.end - key.pts).max(last + 1 - key.dts),
        };
        if last.is_none() {
            (self.from, self.end) = (key.pts - key.dts, key.pts - key.dts);
        }
        (self.shift, self.first) = (Some(shift), key.pts);
        for lane in &mut self.lanes {
            let (first, of) = (base.micros(key.pts), lane.base);
            lane.pending.retain(|it| of.micros(it.pts) >= first);
            if let Some(layout) = &mut lane.layout {
                layout.shift = base.rescale(shift, of);
            }
        }
    }

    /// Writes what there is as a fragment; `end` is the DTS of the picture that follows.
    fn flush(&mut self, end: Option<i64>) -> Result<()> {
        if self.shift.is_none() || self.lanes.iter().all(|it| it.pending.is_empty()) {
            return Ok(());
        }
        let broken = |fault: std::io::Error| Error::io("the recording cannot be written", &fault);
        if !self.headed {
            let head = self.head();
            self.file.write_all_at(&head, 0).map_err(broken)?;
            (self.bytes, self.headed) = (head.len() as u64, true);
        }
        let (base, first) = (self.lanes[self.video].base, self.first);
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            let of = lane.base;
            if index == self.video {
                continue;
            }
            lane.pending.retain(|it| lane.number > 0 && of.micros(it.pts) >= base.micros(first));
            // Rounding between clocks must not take sound back before what was written.
            if let (Some(layout), Some(last), Some(sample)) =
                (&mut lane.layout, lane.last, lane.pending.first())
            {
                layout.shift = layout.shift.max(last + 1 - sample.dts);
            }
        }
        self.sequence += 1;
        let laid = self.lanes.iter().enumerate().filter_map(|(index, lane)| {
            let layout = lane.layout.as_ref()?;
            let end = end.filter(|_| index == self.video);
            Some(Laid { number: lane.number, layout, samples: &lane.pending, end })
        });
        let laid: Vec<Laid<'_>> = laid.filter(|it| it.number > 0).collect();
        let bytes = fragment(self.sequence, &laid)
            .ok_or_else(|| Error::damaged("a part of the recording is larger than MP4 can tell"))?;
        let written = self.file.write_all_at(&bytes, self.bytes);
        for lane in &mut self.lanes {
            let Some(layout) = &lane.layout else { continue };
            for it in &lane.pending {
                let shown = it.pts + layout.shift + i64::from(it.duration);
                self.end = self.end.max(up(lane.base, shown, base));
            }
            lane.last = lane.pending.last().map(|it| it.dts + layout.shift).or(lane.last);
            lane.pending.clear();
        }
        if let Err(fault) = written {
            // What there is of it would be taken for the file's end all the same.
            let _ = self.file.set_len(self.bytes);
            return Err(broken(fault));
        }
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// The head, with room behind it for an index; announced sound that did not come is not in it.
    fn head(&mut self) -> Vec<u8> {
        let mut order: Vec<usize> = (0..self.lanes.len()).collect();
        order.sort_by_key(|it| *it != self.video);
        order.retain(|it| self.lanes[*it].layout.is_some() && !self.lanes[*it].pending.is_empty());
        for (number, index) in order.iter().enumerate() {
            self.lanes[*index].number = number as u32 + 1;
        }
        let base = self.lanes[self.video].base;
        let from = self.from;
        let tracks = order.iter().filter_map(|index| {
            let layout = self.lanes[*index].layout.as_ref()?;
            let at = layout.time(base.rescale(from, self.lanes[*index].base) - layout.shift);
            // How long it is shown is told when that is known.
            Some((layout, vec![Edit { duration: 0, media_time: Some(at) }]))
        });
        let head = Head { tracks: tracks.collect(), orientation: self.orientation, total: Total::Later };
        let mut bytes = head.bytes();
        bytes.extend(free(ROOM as u32));
        bytes
    }

    /// Writes what is left and gives the file back, with the place where its last whole fragment ends.
    pub fn finish(mut self) -> (File, Result<()>) {
        let done = self.flush(None);
        (self.file, done)
    }
}

/// The names of tracks that MP4 has no form for.
pub fn left_out(epoch: &Epoch) -> Vec<String> {
    let tracks = epoch.tracks.iter().filter(|it| it.entry.is_none() && it.kind == TrackKind::Audio);
    tracks.map(|it| it.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_rounded_up() {
        let (fine, coarse) = (TimeBase::new(1, 48_000), TimeBase::new(1, 1000));
        for (ticks, millis) in [(0, 0), (1, 1), (48, 1), (49, 2), (95, 2), (96, 2), (-1, 0), (-48, -1)] {
            assert_eq!(up(fine, ticks, coarse), millis, "{ticks}");
        }
        assert_eq!(up(coarse, 1, fine), 48);
    }
}
