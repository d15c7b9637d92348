//! Sound on one clock: decoded frames from many clips, laid down sample by sample.

use super::ffi::{Decoder, Demuxer, Frame, FrameMut, Packet, Resampler, StreamInfo};
use super::timeline::Anchor;
use crate::base::time::TimeBase;
use crate::base::{Error, Result};
use std::collections::VecDeque;

/// Timestamps of consecutive audio frames may be off by their rounding: one tick in MPEG-TS, a millisecond in
/// Matroska and FLV. Within this, in microseconds, frames follow each other without a gap or an overlap.
const JITTER_MICROS: i64 = 1500;

/// The most sound held while waiting for its picture, in seconds. Streams are interleaved within one or two.
const MAX_HELD_SECONDS: usize = 30;

/// Rate and channels of the sound that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoundFormat {
    pub rate: u32,
    pub channels: usize,
}

impl SoundFormat {
    pub fn base(self) -> TimeBase {
        TimeBase::new(1, self.rate as i32)
    }
}

/// Decodes the sound of clip after clip. One decoder runs on over clips of the same codec, so that the overlap
/// between frames is right at every join.
#[derive(Default)]
pub struct SoundDecoder {
    decoder: Option<(u32, Decoder)>,
    resampler: Option<Resampler>,
}

impl SoundDecoder {
    /// Makes ready for a clip's audio stream.
    pub fn prepare(&mut self, demuxer: &Demuxer, stream: &StreamInfo) -> Result<()> {
        if self.decoder.as_ref().is_none_or(|(codec, _)| *codec != stream.codec) {
            self.decoder = Some((stream.codec, Decoder::open(demuxer, stream.index, stream.time_base, 1)?));
        }
        Ok(())
    }

    /// Decodes one packet; frames are given in `format`, or as they come when that is not known yet.
    pub fn push(
        &mut self,
        packet: &Packet,
        format: Option<SoundFormat>,
        mut take: impl FnMut(Frame) -> Result<()>,
    ) -> Result<()> {
        let Some((_, decoder)) = &mut self.decoder else { return Ok(()) };
        let resampler = &mut self.resampler;
        decoder.push(Some(packet), |frame| {
            let Some(format) = format else { return take(frame) };
            let same = frame.sample_rate() == format.rate && frame.channels() == format.channels;
            if frame.samples() == 0 || (same && !frame.channel(0).is_empty()) {
                return take(frame);
            }
            if !resampler.as_ref().is_some_and(|it| it.fits(&frame)) {
                *resampler = Some(Resampler::new(&frame, format.rate, format.channels)?);
            }
            match resampler {
                Some(resampler) => take(resampler.run(&frame)?),
                None => Ok(()),
            }
        })
    }
}

/// Where on the output a clip's ticks lie.
#[derive(Debug, Clone, Copy)]
pub struct Placement {
    pub anchor: Anchor,
    /// Output ticks, in `video_base`, of the clip's first picture.
    pub at: i64,
    pub video_base: TimeBase,
}

impl Placement {
    /// Where `ticks` (in `base`) lie on the output, in ticks of `video_base`.
    pub fn ticks(&self, ticks: i64, base: TimeBase) -> i64 {
        let first = self.anchor.base.rescale(self.anchor.ticks, base);
        base.rescale(ticks - first, self.video_base) + self.at
    }

    /// The output sample at which audio of `ticks` (in `base`) starts.
    pub fn sample(&self, ticks: i64, base: TimeBase, format: SoundFormat) -> i64 {
        let first = self.anchor.base.rescale(self.anchor.ticks, base);
        base.rescale(ticks - first, format.base()) + self.video_base.rescale(self.at, format.base())
    }
}

/// Samples waiting to be encoded, on the output's clock.
pub struct SoundTrack {
    format: SoundFormat,
    held: Vec<VecDeque<f32>>,
    /// The output sample `held` starts with.
    start: i64,
    /// Where the frame after the last one added starts, kept or not: only the first frame of a PES packet has a time.
    next: Option<i64>,
    /// Samples before this belong to nobody: the run of clips starts here.
    from: i64,
}

impl SoundTrack {
    pub fn new(format: SoundFormat) -> Self {
        Self { format, held: vec![VecDeque::new(); format.channels], start: 0, next: None, from: 0 }
    }

    pub fn format(&self) -> SoundFormat {
        self.format
    }

    fn length(&self) -> i64 {
        self.held.first().map_or(0, VecDeque::len) as i64
    }

    /// The first sample held.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// The sample after the last one held.
    pub fn end(&self) -> i64 {
        self.start + self.length()
    }

    /// Lays a frame down with its first sample at `position`; `None` means right after the frame before it.
    pub fn add(&mut self, position: Option<i64>, frame: &Frame) -> Result<()> {
        let end = self.end();
        let Some(mut position) = position.or(self.next) else { return Ok(()) };
        let jitter = i64::from(self.format.rate) * JITTER_MICROS / 1_000_000;
        if self.length() > 0 && (position - end).abs() <= jitter {
            position = end;
        }
        let samples = frame.samples() as i64;
        self.next = Some(position + samples);
        let skip = (end.max(self.from) - position).clamp(0, samples);
        if skip == samples {
            return Ok(());
        }
        let gap = (position + skip - end).max(0) as usize;
        if self.length() as usize + gap > MAX_HELD_SECONDS * self.format.rate as usize {
            return Err(Error::damaged("sound and picture lie further apart than 30 seconds"));
        }
        for (channel, held) in self.held.iter_mut().enumerate() {
            held.extend(std::iter::repeat_n(0.0, gap));
            match frame.channel(channel) {
                [] => held.extend(std::iter::repeat_n(0.0, (samples - skip) as usize)),
                data => held.extend(&data[skip as usize..]),
            }
        }
        Ok(())
    }

    /// Ends a run of clips at output sample `end`: what lies past it is dropped, what is missing is silence, and the
    /// next run starts there.
    pub fn end_run(&mut self, end: i64) -> Result<()> {
        let length = usize::try_from(end - self.start).unwrap_or(0);
        if length > (MAX_HELD_SECONDS + 1) * self.format.rate as usize {
            // The stretch without sound is longer than may be held; the caller drains as it goes, so this is silence
            // the track would never get to.
            return Err(Error::damaged("more than 30 seconds without sound in a stream that has sound"));
        }
        for held in &mut self.held {
            held.resize(length, 0.0);
        }
        self.from = end;
        Ok(())
    }

    /// Takes one frame of exactly `samples` samples that end at or before `until`; `None` when there are not so many.
    pub fn take(&mut self, samples: usize, until: i64) -> Result<Option<Frame>> {
        if self.end().min(until) - self.start < samples as i64 || samples == 0 {
            return Ok(None);
        }
        let mut frame = FrameMut::audio(self.format.channels, self.format.rate, samples)?;
        for (channel, held) in self.held.iter_mut().enumerate() {
            for (target, source) in frame.channel_mut(channel).iter_mut().zip(held.drain(..samples)) {
                *target = source;
            }
        }
        let mut frame = frame.freeze();
        frame.set_pts(Some(self.start));
        self.start += samples as i64;
        Ok(Some(frame))
    }

    /// Drops what lies before output sample `first`, where the first picture is. Only the first call has an effect.
    pub fn start_at(&mut self, first: i64) {
        let ahead = (first - self.start).clamp(0, self.length()) as usize;
        for held in &mut self.held {
            held.drain(..ahead);
        }
        self.start = self.start.max(first);
        self.from = self.from.max(first);
    }

    /// Silence instead of sound that never came: called when the picture is at output sample `picture`, it keeps the
    /// track from falling further behind than streams are interleaved.
    pub fn keep_up(&mut self, picture: i64) {
        let behind = picture - self.end() - 10 * i64::from(self.format.rate);
        if behind > 0 {
            for held in &mut self.held {
                held.extend(std::iter::repeat_n(0.0, behind as usize));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: SoundFormat = SoundFormat { rate: 1000, channels: 1 };

    fn frame(values: &[f32]) -> Frame {
        let mut frame = FrameMut::audio(1, 1000, values.len()).unwrap();
        frame.channel_mut(0).copy_from_slice(values);
        frame.freeze()
    }

    fn all(track: &mut SoundTrack, until: i64) -> Vec<f32> {
        let mut out = Vec::new();
        while let Some(frame) = track.take(1, until).unwrap() {
            out.extend_from_slice(frame.channel(0));
        }
        out
    }

    #[test]
    fn overlaps_are_dropped_gaps_are_silence_and_jitter_is_neither() {
        let mut track = SoundTrack::new(FORMAT);
        track.add(Some(-2), &frame(&[9.0, 9.0, 1.0])).unwrap();
        track.add(Some(2), &frame(&[2.0])).unwrap();
        track.add(Some(6), &frame(&[3.0, 4.0])).unwrap();
        track.add(Some(4), &frame(&[8.0, 8.0])).unwrap();
        track.add(None, &frame(&[8.0, 8.0, 5.0])).unwrap();
        assert_eq!(all(&mut track, 100), [1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn a_run_ends_where_its_picture_ends() {
        let mut track = SoundTrack::new(FORMAT);
        track.add(Some(0), &frame(&[1.0; 10])).unwrap();
        track.end_run(6).unwrap();
        track.add(Some(3), &frame(&[7.0, 7.0, 7.0, 2.0])).unwrap();
        track.end_run(9).unwrap();
        assert_eq!(all(&mut track, 100), [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 0.0, 0.0]);
    }
}
