//! Sound as 16-bit samples, channel by channel: of a segment on the clock of the wall, of any file from its first sample.

use super::Clip;
use super::ffi::{Decoder, Frame, Packet, Resampler, StreamKind, id};
use super::index::{self, AudioCodec, AudioTrack, ElementaryReader};
use super::sound::SoundFormat;
use super::source::{ClipReader, Want, open_probed};
use super::timeline::Anchor;
use crate::base::time::{SECOND, TimeBase};
use crate::base::{Error, Kind, Result, Timestamp, Token};
use std::path::Path;

/// The sample of a clock of `rate` that sounds at `instant`, counted from 1970: the nearest one.
pub fn sample_at(instant: Timestamp, rate: u32) -> i64 {
    let ticks = i128::from(instant.micros()) * i128::from(rate);
    (ticks + i128::from(SECOND / 2)).div_euclid(i128::from(SECOND)) as i64
}

/// Samples that lie together: the first one's place on the clock, and the samples of each channel.
pub type Take<'a> = dyn FnMut(i64, SoundFormat, &[Vec<i16>]) -> Result<()> + 'a;

/// The last sound frames of a segment, which a decoder needs before those of the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunIn {
    codec: AudioCodec,
    frames: Vec<Vec<u8>>,
}

/// The track that is heard: the first that has anything, as players choose.
fn heard(tracks: &[AudioTrack]) -> Option<&AudioTrack> {
    tracks.iter().find(|it| !it.frames.is_empty())
}

impl RunIn {
    /// What the segment after `segment` begins with; `None` where there is no sound.
    pub fn of(segment: &[u8]) -> Option<Self> {
        let sound = index::sound(segment).ok()?;
        Self::of_track(segment, heard(&sound.audio)?)
    }

    fn of_track(segment: &[u8], track: &AudioTrack) -> Option<Self> {
        let reader = ElementaryReader::new(segment, track.pid);
        let last = &track.frames[track.frames.len().saturating_sub(run_in_frames(track.codec))..];
        let read = |frame: &index::AudioFrame| {
            let mut bytes = Vec::with_capacity(frame.size as usize);
            reader.read(frame.extent(), &mut bytes).ok().map(|()| bytes)
        };
        Some(Self { codec: track.codec, frames: last.iter().map(read).collect::<Option<_>>()? })
    }
}

/// Frames after which a decoder that starts in the middle is right. AAC, AC-3 and layers I and II overlap one frame with
/// the next; layer III reaches back up to 511 bytes (ISO/IEC 11172-3 §2.4.2.7), which are four frames at 48 kbit/s; Opus
/// asks for 80 ms (RFC 7845 §4.6), four of its usual frames.
fn run_in_frames(codec: AudioCodec) -> usize {
    match codec {
        AudioCodec::Mpeg { layer: 3 } | AudioCodec::Opus => 4,
        _ => 1,
    }
}

fn codec_id(codec: AudioCodec) -> u32 {
    match codec {
        AudioCodec::AacAdts => id::AAC,
        AudioCodec::AacLatm => id::AAC_LATM,
        AudioCodec::Mpeg { layer: 1 } => id::MP1,
        AudioCodec::Mpeg { layer: 3 } => id::MP3,
        AudioCodec::Mpeg { .. } => id::MP2,
        AudioCodec::Ac3 => id::AC3,
        AudioCodec::Eac3 => id::EAC3,
        AudioCodec::Opus => id::OPUS,
    }
}

/// The format of some samples, and the samples of each channel.
type Converted<'a> = (SoundFormat, &'a [Vec<i16>]);

/// Frames as samples of one format, that of the first.
#[derive(Default)]
struct Converter {
    format: Option<SoundFormat>,
    resampler: Option<Resampler>,
    channels: Vec<Vec<i16>>,
}

impl Converter {
    /// The frame's samples, held until the next call.
    fn convert(&mut self, frame: &Frame) -> Result<Option<Converted<'_>>> {
        let own = SoundFormat { rate: frame.sample_rate(), channels: frame.channels() };
        if frame.samples() == 0 || own.rate == 0 || own.channels == 0 {
            return Ok(None);
        }
        let format = *self.format.get_or_insert(own);
        let converted;
        let frame = if own == format {
            frame
        } else {
            if !self.resampler.as_ref().is_some_and(|it| it.fits(frame)) {
                self.resampler = Some(Resampler::new(frame, format.rate, format.channels)?);
            }
            let Some(resampler) = &mut self.resampler else { return Ok(None) };
            converted = resampler.run(frame)?;
            &converted
        };
        self.channels.resize_with(format.channels, Vec::new);
        for (channel, samples) in self.channels.iter_mut().enumerate() {
            frame.write_i16(channel, samples);
        }
        Ok(Some((format, &self.channels)))
    }
}

/// Frames of sound, a millisecond of work, after which it is asked whether anybody still waits.
const CHECKED_EVERY: usize = 64;

/// Decodes the sound of segment after segment. To open a decoder of AAC takes as long as a fifth of a second of sound, so one is used
/// as long as the codec stays the same; it forgets one segment before the next. (What AAC's decoder makes up for noise
/// goes on where it was: noise is other noise then, and as loud.)
#[derive(Default)]
pub struct SegmentDecoder {
    open: Option<Open>,
    buffer: Vec<u8>,
}

struct Open {
    codec: AudioCodec,
    decoder: Decoder,
    packet: Packet,
    frame: Frame,
}

impl SegmentDecoder {
    /// Decodes the sound of an MPEG-TS segment whose first picture is shown at `start`, and nothing else of it. Positions
    /// count samples since 1970. Gives the run-in of the segment after it.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] where the sound's framing is not known here (libav may know it: [`clip`]);
    /// [`Kind::Damaged`] for what is no segment; what `take` says.
    pub fn segment(
        &mut self,
        bytes: &[u8],
        start: Timestamp,
        run_in: Option<&RunIn>,
        token: &Token,
        take: &mut Take<'_>,
    ) -> Result<Option<RunIn>> {
        let sound = index::sound(bytes)?;
        let (Some(track), Some(first)) = (heard(&sound.audio), sound.first_pts) else {
            return Err(Error::new(
                Kind::Unsupported,
                "no-sound-frames",
                "the segment has no sound known here",
            ));
        };
        let anchor = Anchor { wall: start, ticks: first, base: TimeBase::MPEG };
        let reader = ElementaryReader::new(bytes, track.pid);
        let Self { open, buffer } = self;
        let Open { decoder, packet, frame, .. } = match open.take_if(|it| it.codec == track.codec) {
            Some(ready) => open.insert(ready),
            None => open.insert(Open {
                codec: track.codec,
                decoder: Decoder::of_codec(codec_id(track.codec), TimeBase::MPEG)?,
                packet: Packet::new()?,
                frame: Frame::empty()?,
            }),
        };
        decoder.flush();
        let mut converter = Converter::default();
        let begin = track.frames.first().map_or(0, |it| it.pts);
        let mut next = None;
        let mut hand = |frame: &Frame| -> Result<()> {
            let pts = frame.pts();
            let Some((format, channels)) = converter.convert(frame)? else { return Ok(()) };
            let placed = pts.map(|it| Place { anchor, format }.position(it)).or(next);
            let samples = channels.first().map_or(0, Vec::len) as i64;
            next = placed.map(|it| it + samples);
            match (placed, pts) {
                // What came of the run-in belongs to the segment before.
                (_, Some(pts)) if pts < begin => Ok(()),
                (Some(position), _) => take(position, format, channels),
                (None, _) => Ok(()),
            }
        };
        let mut push = |pts: i64, bytes: &[u8]| -> Result<()> {
            // Decoders of AAC read ADTS themselves, and learn from it.
            packet.refill(if track.codec == AudioCodec::Opus { track.bare(bytes) } else { bytes })?;
            packet.set_times(Some(pts), Some(pts));
            match decoder.push_into(Some(packet), frame, &mut hand) {
                // A frame the decoder cannot make sense of is missing from the sound.
                Err(error) if error.kind == Kind::Damaged => Ok(()),
                outcome => outcome,
            }
        };
        let before = run_in.filter(|it| it.codec == track.codec).map_or(&[][..], |it| &it.frames);
        let step = i64::from(track.samples_per_frame) * 90_000 / i64::from(track.sample_rate.max(1));
        for (number, frame) in before.iter().enumerate() {
            push(begin - step.max(1) * (before.len() - number) as i64, frame)?;
        }
        for (number, frame) in track.frames.iter().enumerate() {
            if number % CHECKED_EVERY == 0 {
                token.check()?;
            }
            buffer.clear();
            reader.read(frame.extent(), buffer)?;
            push(frame.pts, buffer)?;
        }
        decoder.push_into(None, frame, &mut hand)?;
        Ok(RunIn::of_track(bytes, track))
    }
}

/// Where on the clock of the wall a clip's ticks lie.
struct Place {
    anchor: Anchor,
    format: SoundFormat,
}

impl Place {
    fn position(&self, ticks: i64) -> i64 {
        let since = self.anchor.base.rescale(ticks - self.anchor.ticks, self.format.base());
        sample_at(self.anchor.wall, self.format.rate) + since
    }
}

/// Decodes the sound of a clip of any container and codec through libav, which reads all of it. Positions as for
/// [`segment`].
pub fn clip(clip: &Clip, token: &Token, take: &mut Take<'_>) -> Result<()> {
    let mut reader = ClipReader::open(clip, Want::Both, token)?;
    let (Some(audio), Some(anchor)) = (reader.audio.clone(), reader.anchor) else {
        return Err(Error::damaged("a segment holds no sound"));
    };
    let mut decoder = Decoder::open(&reader.demuxer, audio.index, audio.time_base, 1)?;
    // The clock is known now; pictures need not even be assembled any more.
    reader.demuxer.select(&[audio.index]);
    let mut converter = Converter::default();
    let mut next = None;
    let mut hand = |frame: Frame| -> Result<()> {
        let pts = frame.pts();
        let Some((format, channels)) = converter.convert(&frame)? else { return Ok(()) };
        // The anchor counts in the picture's ticks, the frame in the sound's.
        let first = anchor.base.rescale(anchor.ticks, audio.time_base);
        let own = Anchor { ticks: first, base: audio.time_base, ..anchor };
        let placed = pts.map(|it| Place { anchor: own, format }.position(it)).or(next);
        next = placed.map(|it| it + channels.first().map_or(0, Vec::len) as i64);
        placed.map_or(Ok(()), |position| take(position, format, channels))
    };
    while let Some(packet) = reader.read()? {
        if packet.stream() == audio.index {
            decoder.push(Some(&packet), &mut hand)?;
        }
    }
    decoder.push(None, &mut hand)
}

/// Decodes the sound of a file of any container that libav reads, from its first sample on, which is number 0. Its
/// timestamps do not matter.
///
/// # Errors
/// [`Kind::Damaged`] where there is no sound.
pub fn file(path: &Path, token: &Token, take: &mut Take<'_>) -> Result<()> {
    let mut demuxer = open_probed(path, token)?;
    let audio = demuxer.best(StreamKind::Audio).ok_or_else(|| Error::damaged("the file holds no sound"))?;
    let mut decoder = Decoder::open(&demuxer, audio.index, audio.time_base, 1)?;
    demuxer.select(&[audio.index]);
    let mut converter = Converter::default();
    let mut position = 0;
    let mut hand = |frame: Frame| -> Result<()> {
        let Some((format, channels)) = converter.convert(&frame)? else { return Ok(()) };
        take(position, format, channels)?;
        position += channels.first().map_or(0, Vec::len) as i64;
        Ok(())
    };
    while let Some(packet) = demuxer.read()? {
        if packet.stream() == audio.index {
            decoder.push(Some(&packet), &mut hand)?;
        }
    }
    decoder.push(None, &mut hand)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_counts_from_1970_to_the_nearest_sample() {
        for (micros, rate, sample) in [
            (0, 48_000, 0),
            (1_000_000, 48_000, 48_000),
            (10, 48_000, 0),
            (11, 48_000, 1),
            (-11, 48_000, -1),
            (1_731_156_300_437_000, 44_100, 76_343_992_849_272),
        ] {
            assert_eq!(sample_at(Timestamp::from_micros(micros), rate), sample, "{micros}");
        }
    }
}
