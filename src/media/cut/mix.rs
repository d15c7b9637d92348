//! The pictures and the sound of a transition: both sides decoded, mixed, and coded such that they join the left one.

use super::edge::{EdgeCoder, EdgeSettings, Elementary, Sample, track};
use super::filling::{Grid, Stretch};
use super::plan::{Place, RangePlan, Source, refuse};
use super::reader::{Footage, PictureReader};
use super::sound::duration;
use super::transition::{Mixer, crossfade};
use crate::base::time::TimeBase;
use crate::base::{Error, Result, Span, Token};
use crate::media::ffi::{AudioSettings, Decoder, Encoder, Frame, FrameMut, Packet, id};
use crate::media::index::{AudioCodec, AudioTrack};
use crate::media::ts::adts_frame;

/// One side of a transition: all its pictures are seen in it.
pub struct Side<'a> {
    pub sources: &'a [Source<'a>],
    pub elementary: &'a dyn Elementary,
    /// Its pictures.
    pub span: Span,
    /// The plan of them; both sides start at the same output time.
    pub plan: &'a RangePlan,
}

/// Frames of sound decoded before the first one heard: a frame is right once the one before it is known, and the
/// spectral tools of some look further back.
const RUN_IN: usize = 3;

impl Side<'_> {
    fn footage<'a>(&'a self, token: &'a Token) -> Footage<'a> {
        Footage { sources: self.sources, shifts: &self.plan.shifts, elementary: self.elementary, token }
    }

    /// Its pictures in the order they are shown, with their output times.
    fn pictures(&self) -> Result<Vec<(i64, Place)>> {
        let mut all = Vec::new();
        for (source, it) in self.sources.iter().enumerate() {
            let Some(anchor) = it.anchor() else { continue };
            let units = track(it)?.units.iter().enumerate();
            let inside =
                units.filter(|(_, unit)| !unit.second_field && anchor.is_inside(unit.pts, self.span));
            let shift = self.plan.shifts[source];
            all.extend(inside.map(|(unit, it)| (it.pts + shift, Place { source, unit })));
        }
        all.sort_unstable();
        Ok(all)
    }

    fn reader<'a>(&'a self, token: &'a Token) -> Result<(PictureReader<'a>, Vec<i64>)> {
        let pictures = self.pictures()?;
        let places: Vec<Place> = pictures.iter().map(|(_, place)| *place).collect();
        let footage = self.footage(token);
        let starts =
            places.first().into_iter().chain(places.iter().min()).map(|it| footage.decode_start(*it));
        let from = starts.collect::<Result<Vec<Place>>>()?.into_iter().min();
        let from = from.ok_or_else(|| Error::internal("a transition without pictures"))?;
        Ok((
            PictureReader::new(footage, &places, from)?,
            pictures.into_iter().map(|(time, _)| time).collect(),
        ))
    }

    fn tracks(&self) -> &[AudioTrack] {
        self.sources.first().map_or(&[], |it| &it.index.audio)
    }

    fn undecodable(&self) -> Error {
        let wall = self.sources.get(self.plan.first.source).map_or(self.span.start, |it| it.wall);
        Error::damaged(format!(
            "a picture of a transition, in the segment of {wall} or after it, cannot be decoded"
        ))
    }
}

/// Where the sound of a transition ends, by track; `stretch` is the transition on the clock of the output.
///
/// # Errors
/// `unsupported-source` when the sound of the sides cannot be mixed and coded again as it is.
pub fn sound_ends(left: &[AudioTrack], right: &[AudioTrack], stretch: &Stretch) -> Result<Vec<Option<i64>>> {
    let alike = |(a, b): (&AudioTrack, &AudioTrack)| {
        a.pid == b.pid && a.codec == b.codec && a.sample_rate == b.sample_rate && a.channels == b.channels
    };
    if left.len() != right.len() || !left.iter().zip(right).all(alike) {
        return Err(refuse("the sides of a transition have other sound"));
    }
    let ends = left.iter().enumerate().map(|(number, track)| {
        if track.frames.is_empty() {
            return Ok(None);
        }
        let grid = Grid::of(track).filter(|_| track.codec == AudioCodec::AacAdts);
        let grid = grid.ok_or_else(|| refuse("transitions take sound in AAC with 1, 2 or 6 channels"))?;
        let from = stretch.sound_from(number);
        Ok(Some(from + grid.ticks(grid.count(stretch.end - from))))
    });
    ends.collect()
}

/// Makes the samples of a transition named `name`, in the order of decoding times. The pictures have the times of the
/// left ones; the sound goes on where that before it ends.
///
/// # Errors
/// `damaged-media` when a picture cannot be decoded; `unsupported-source` when the sides are not alike.
pub fn mix(
    name: &str,
    left: &Side<'_>,
    right: &Side<'_>,
    sound_at: &[Option<i64>],
    settings: &EdgeSettings,
    token: &Token,
) -> Result<Vec<Sample>> {
    let mut samples = pictures(name, left, right, settings, token)?;
    let (start, end) = (left.plan.start, left.plan.end);
    let stretch = Stretch { start, end, pictures: 0, sound_at: sound_at.to_vec() };
    for (number, ends) in sound_ends(left.tracks(), right.tracks(), &stretch)?.into_iter().enumerate() {
        if let Some(until) = ends {
            let from = stretch.sound_from(number);
            Heard { left, right, number, from, until, token }.mix((start, end), &mut samples)?;
        }
    }
    samples.sort_by_key(|sample| (sample.dts, sample.track));
    Ok(samples)
}

fn pictures(
    name: &str,
    left: &Side<'_>,
    right: &Side<'_>,
    settings: &EdgeSettings,
    token: &Token,
) -> Result<Vec<Sample>> {
    let ((mut lefts, times), (mut rights, right_times)) = (left.reader(token)?, right.reader(token)?);
    let mut mixer = Mixer::new(name, times.len())?;
    let mut coder = EdgeCoder::new(settings, track(&left.sources[left.plan.first.source])?);
    let mut samples = Vec::new();
    let (mut seen, mut given): (Option<Frame>, usize) = (None, 0);
    for (number, time) in times.iter().enumerate() {
        let (at, picture) = lefts.next()?.ok_or_else(|| left.undecodable())?;
        if at != *time {
            return Err(left.undecodable());
        }
        // Where the sides run at different paces, the picture that is on screen at the right.
        let pace = times.get(number + 1).map_or(left.plan.end, |next| *next) - time;
        while given == 0 || right_times.get(given).is_some_and(|next| *next <= time + pace / 2) {
            let (at, frame) = rights.next()?.ok_or_else(|| right.undecodable())?;
            if right_times.get(given) != Some(&at) {
                return Err(right.undecodable());
            }
            (seen, given) = (Some(frame), given + 1);
        }
        let other = seen.as_ref().ok_or_else(|| right.undecodable())?.another()?;
        coder.push(Some((*time, mixer.mix(picture, other)?)), &mut samples)?;
    }
    coder.push(None, &mut samples)?;
    Ok(samples)
}

/// A track of sound while it goes over.
struct Heard<'a> {
    left: &'a Side<'a>,
    right: &'a Side<'a>,
    number: usize,
    /// Output ticks: where the frames made begin and end.
    from: i64,
    until: i64,
    token: &'a Token,
}

impl Heard<'_> {
    fn track(&self) -> &AudioTrack {
        &self.left.tracks()[self.number]
    }

    fn mix(&self, (start, end): (i64, i64), samples: &mut Vec<Sample>) -> Result<()> {
        let track = self.track();
        let (rate, channels) = (track.sample_rate, usize::from(track.channels));
        let clock = TimeBase::new(1, rate as i32);
        let place = |ticks: i64| TimeBase::MPEG.rescale(ticks - self.from, clock);
        let block = usize::from(track.samples_per_frame);
        let grid = Grid { samples: block as i64, rate: rate.into() };
        let count = grid.count(self.until - self.from) as usize;
        if count == 0 {
            return Ok(());
        }
        // A frame's window reaches over the frame after it (ISO/IEC 14496-3 §4.6.11).
        let length = (count + 1) * block;
        let (left, right) = (self.decode(self.left, length)?, self.decode(self.right, length)?);
        let border = |ticks: i64| usize::try_from(place(ticks)).unwrap_or(0).min(length);
        let (begin, done) = (border(start), border(end));
        // The first sample of the transition may lie before the first one made.
        let ahead = usize::try_from(-place(start)).unwrap_or(0);
        let mut encoder = Encoder::audio(&AudioSettings {
            codec: "aac".into(),
            sample_rate: rate,
            channels,
            bit_rate: bit_rate(track),
            global_header: false,
        })?;
        if encoder.frame_samples() != block {
            return Err(refuse("the sound has frames of another length than AAC-LC"));
        }
        let mixed: Vec<Vec<f32>> = left
            .into_iter()
            .zip(right)
            .map(|(mut left, right)| {
                let over = crossfade(&left[begin..done], &right[begin..done], ahead, ahead + done - begin);
                left[begin..done].copy_from_slice(&over);
                left[done..].copy_from_slice(&right[done..]);
                left
            })
            .collect();
        let header = self.left.elementary.sound(self.header(), self.number, 0)?;
        let mut take = |packet: Packet| {
            let Some(pts) = packet.pts() else { return Err(Error::internal("coded sound without a time")) };
            // What lies before the first sample is the encoder's run-in.
            let number = pts.div_euclid(block as i64);
            if (0..count as i64).contains(&number) {
                let bytes = adts_frame(&header, packet.data())
                    .ok_or_else(|| Error::damaged("a frame of sound of a transition cannot be read"))?;
                let pts = self.from + grid.ticks(number);
                samples.push(Sample {
                    track: 1 + self.number,
                    pts,
                    dts: pts,
                    key: true,
                    second_field: false,
                    bytes,
                });
            }
            Ok(())
        };
        for number in 0..=count {
            self.token.check()?;
            let mut frame = FrameMut::audio(channels, rate, block)?;
            for (channel, mixed) in mixed.iter().enumerate() {
                frame.channel_mut(channel).copy_from_slice(&mixed[number * block..(number + 1) * block]);
            }
            let mut frame = frame.freeze();
            frame.set_pts(Some((number * block) as i64));
            encoder.push(Some(&frame), &mut take)?;
        }
        encoder.push(None, &mut take)
    }

    /// A source of the left side that has a frame of the track.
    fn header(&self) -> usize {
        let has =
            |it: &Source<'_>| it.index.audio.get(self.number).is_some_and(|track| !track.frames.is_empty());
        self.left.sources.iter().position(has).unwrap_or(0)
    }

    /// `length` samples a channel of one side, from where the frames made begin; silence where there are none.
    fn decode(&self, side: &Side<'_>, length: usize) -> Result<Vec<Vec<f32>>> {
        let track = self.track();
        let (rate, channels) = (track.sample_rate, usize::from(track.channels));
        let clock = TimeBase::new(1, rate as i32);
        let mut out = vec![vec![0f32; length]; channels];
        let mut decoder = Decoder::of_codec(id::AAC, TimeBase::MPEG)?;
        let frame_ticks = duration(track);
        let from = self.from - RUN_IN as i64 * frame_ticks;
        let until = self.from + TimeBase::new(1, rate as i32).rescale(length as i64, TimeBase::MPEG);
        let mut next: Option<i64> = None;
        let mut lay = |frame: Frame| {
            if frame.sample_rate() != rate || frame.channels() != channels {
                return Err(refuse("the sound is coded with a spectrum or a stage of its own (HE-AAC)"));
            }
            let at = frame.pts().map(|pts| TimeBase::MPEG.rescale(pts - self.from, clock));
            let Some(mut at) = at.or(next) else { return Ok(()) };
            // Times are rounded to ticks; frames that follow each other do so to the sample.
            at = next.filter(|next| (at - next).abs() <= i64::from(rate) / 500).unwrap_or(at);
            next = Some(at + frame.samples() as i64);
            let skip = usize::try_from(-at).unwrap_or(0);
            let to = usize::try_from(at).unwrap_or(0).min(length);
            for (channel, out) in out.iter_mut().enumerate() {
                let source = frame.channel(channel).get(skip..).unwrap_or_default();
                out[to..].iter_mut().zip(source).for_each(|(target, source)| *target = *source);
            }
            Ok(())
        };
        for (source, it) in side.sources.iter().enumerate() {
            let shift = side.plan.shifts[source];
            let Some(track) = it.index.audio.get(self.number) else { continue };
            for (number, frame) in track.frames.iter().enumerate() {
                let at = frame.pts + shift;
                if at + frame_ticks <= from || at >= until {
                    continue;
                }
                self.token.check()?;
                let mut packet = Packet::from_bytes(&side.elementary.sound(source, self.number, number)?)?;
                packet.set_times(Some(at), Some(at));
                decoder.push(Some(&packet), &mut lay)?;
            }
        }
        decoder.push(None, &mut lay)?;
        Ok(out)
    }
}

/// Bits a second of the source's sound, within what the encoder is good at.
fn bit_rate(track: &AudioTrack) -> i64 {
    let bytes: i64 = track.frames.iter().map(|it| i64::from(it.size)).sum();
    let samples: i64 = track.frames.iter().map(|it| i64::from(it.samples)).sum();
    let rate = bytes * 8 * i64::from(track.sample_rate) / samples.max(1);
    rate.clamp(64_000, 160_000 * i64::from(track.channels))
}
