//! What fills a hole: one group of pictures that all look alike, and silence, coded once and repeated as long as it takes.

use super::edge::{EdgeCoder, EdgeSettings, Sample, track};
use super::plan::{Place, frame_ticks};
use super::reader::{Footage, PictureReader};
use super::sound::duration;
use crate::base::{Error, Kind, Result, Token};
use crate::media::cut::edge::Elementary;
use crate::media::cut::plan::Source;
use crate::media::ffi::{AudioSettings, Encoder, Frame, FrameMut};
use crate::media::index::{AudioCodec, AudioTrack};
use crate::media::ts::adts_frame;
use bytes::Bytes;
use std::ops::Range;

/// How long a group of pictures lasts before it is repeated, in ticks of 90 kHz: two seconds, so that players can seek.
const GROUP: i64 = 2 * 90_000;
/// Pictures of a group at most: two seconds at 120 a second.
const MAX_GROUP: i64 = 240;

/// What is seen in a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A picture of the source.
    Freeze,
    Black,
}

/// A filling, coded. It holds one group of pictures and one frame of silence a track, whatever the hole's length.
#[derive(Debug)]
pub struct Filling {
    /// A keyframe, and pictures that repeat it.
    group: Vec<Bytes>,
    /// Of a picture, in ticks of 90 kHz.
    frame: i64,
    /// How long before it is shown a picture is decoded.
    delay: i64,
    /// By track; `None` where silence cannot be coded as the source's sound is.
    silence: Vec<Option<Silence>>,
}

#[derive(Debug)]
struct Silence {
    frame: Bytes,
    grid: Grid,
}

/// Frames of sound one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub samples: i64,
    pub rate: i64,
}

/// A hole on the clock of the output, in ticks of 90 kHz.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    pub start: i64,
    pub end: i64,
    pub pictures: u64,
    /// Where the sound before it ends, by track.
    pub sound_at: Vec<Option<i64>>,
}

/// Pictures that are coded, of `pictures` that last `frame` ticks each.
pub fn group(frame: i64, pictures: u64) -> u64 {
    (GROUP / frame.max(1)).clamp(1, MAX_GROUP).min(pictures.max(1) as i64) as u64
}

/// Where the silence of a stretch beside `tracks` ends, by track; `None` where there is none.
pub fn sound_ends(tracks: &[AudioTrack], stretch: &Stretch) -> Vec<Option<i64>> {
    let ends = tracks.iter().enumerate().map(|(number, track)| {
        let (grid, from) = (Grid::of(track)?, stretch.sound_from(number));
        Some(from + grid.ticks(grid.count(stretch.end - from)))
    });
    ends.collect()
}

impl Filling {
    /// Codes a filling that looks like the picture at `place`, or as black as it can be, for `pictures` pictures.
    pub fn new(
        sources: &[Source<'_>],
        place: Place,
        (look, pictures): (Look, u64),
        elementary: &dyn Elementary,
        settings: &EdgeSettings,
        token: &Token,
    ) -> Result<Self> {
        // Each source on a turn of its own: one picture is looked for, and no other is to have its time.
        let shifts: Vec<i64> = (0..sources.len() as i64).map(|number| number << 40).collect();
        let footage = Footage { sources, shifts: &shifts, elementary, token };
        let mut reader = PictureReader::new(footage, &[place], footage.decode_start(place)?)?;
        let source = &sources[place.source];
        let undecodable = || {
            Error::damaged(format!(
                "the picture beside a hole, in the segment of {}, cannot be decoded",
                source.wall
            ))
        };
        let (_, picture) = reader.next()?.ok_or_else(undecodable)?;
        let picture = if look == Look::Black { black(&picture)? } else { picture };
        let video = track(source)?;
        let frame = frame_ticks(video).max(1);
        let count = group(frame, pictures) as i64;
        let mut coder = EdgeCoder::new(settings, video);
        let mut samples: Vec<Sample> = Vec::new();
        for number in 0..count {
            token.check()?;
            coder.push(Some((number * frame, picture.another()?)), &mut samples)?;
        }
        coder.push(None, &mut samples)?;
        let delay = samples.first().map_or(0, |sample| sample.pts - sample.dts);
        let group: Vec<Bytes> = samples.into_iter().map(|sample| Bytes::from(sample.bytes)).collect();
        if group.len() as i64 != count {
            return Err(Error::internal("an encoder kept pictures of a filling"));
        }
        let silence = source.index.audio.iter().enumerate();
        let silence =
            silence.map(|(number, track)| Silence::like(track, || elementary.sound(place.source, number, 0)));
        Ok(Self { group, frame, delay, silence: silence.collect::<Result<_>>()? })
    }

    /// When the last picture is decoded, where it fills `stretch`.
    pub fn last_dts(&self, stretch: &Stretch) -> i64 {
        stretch.end - self.frame - self.delay
    }

    /// Bytes held.
    pub fn held(&self) -> u64 {
        let silence = self.silence.iter().flatten().map(|it| it.frame.len());
        self.group.iter().map(Bytes::len).chain(silence).sum::<usize>() as u64
    }

    /// The samples of `pictures` of a stretch with the silence beside them, in the order of decoding times; all of it,
    /// part by part, is the whole.
    pub fn samples(&self, stretch: &Stretch, pictures: Range<u64>) -> Vec<Sample> {
        let time = |number: u64| stretch.start + number as i64 * self.frame;
        let mut samples: Vec<Sample> = pictures
            .clone()
            .map(|number| {
                let place = (number % self.group.len() as u64) as usize;
                let pts = time(number);
                Sample {
                    track: 0,
                    pts,
                    dts: pts - self.delay,
                    key: place == 0,
                    second_field: false,
                    bytes: self.group[place].to_vec(),
                }
            })
            .collect();
        for (track, silence) in self.silence.iter().enumerate() {
            let Some(silence) = silence else { continue };
            let from = stretch.sound_from(track);
            // Sound before the first picture belongs to the first part, sound behind the last to the last one.
            let until = |border: u64| match border {
                0 => 0,
                border if border >= stretch.pictures => silence.grid.count(stretch.end - from),
                border => silence.grid.count(time(border) - from),
            };
            for number in until(pictures.start)..until(pictures.end) {
                let pts = from + silence.grid.ticks(number);
                samples.push(Sample {
                    track: 1 + track,
                    pts,
                    dts: pts,
                    key: true,
                    second_field: false,
                    bytes: silence.frame.to_vec(),
                });
            }
        }
        samples.sort_by_key(|sample| (sample.dts, sample.track));
        samples
    }
}

impl Stretch {
    pub(super) fn sound_from(&self, track: usize) -> i64 {
        self.sound_at.get(track).copied().flatten().unwrap_or(self.start)
    }
}

impl Grid {
    /// That of the silence beside a track; `None` where silence cannot be coded as its sound is.
    pub fn of(track: &AudioTrack) -> Option<Self> {
        let coded = matches!(track.codec, AudioCodec::AacAdts | AudioCodec::Ac3 | AudioCodec::Eac3);
        // The layouts of other counts of channels differ between coders.
        let usual = matches!(track.channels, 1 | 2 | 6) && !track.frames.is_empty() && duration(track) > 0;
        (coded && usual)
            .then(|| Self { samples: track.samples_per_frame.into(), rate: track.sample_rate.into() })
    }

    pub fn ticks(self, frames: i64) -> i64 {
        frames * self.samples * 90_000 / self.rate
    }

    /// How many frames come nearest to `ticks`.
    pub fn count(self, ticks: i64) -> i64 {
        let frame = self.samples * 90_000;
        ((ticks * self.rate * 2 + frame) / (2 * frame)).max(0)
    }
}

impl Silence {
    /// A frame of silence that goes on where frames of `track` end, of which `source` gives one.
    fn like(track: &AudioTrack, source: impl FnOnce() -> Result<Vec<u8>>) -> Result<Option<Self>> {
        let Some(grid) = Grid::of(track) else { return Ok(None) };
        let settings = AudioSettings {
            codec: match track.codec {
                AudioCodec::Ac3 => "ac3",
                AudioCodec::Eac3 => "eac3",
                _ => "aac",
            }
            .into(),
            sample_rate: track.sample_rate,
            channels: track.channels.into(),
            bit_rate: 64_000 * i64::from(track.channels),
            global_header: false,
        };
        let mut encoder = Encoder::audio(&settings)?;
        let samples = encoder.frame_samples();
        if samples as i64 != grid.samples {
            return Err(Error::internal("an encoder has frames of another length than its codec"));
        }
        let mut packets: Vec<Vec<u8>> = Vec::new();
        for number in 0..4 {
            let mut frame = FrameMut::audio(settings.channels, settings.sample_rate, samples)?.freeze();
            frame.set_pts(Some(number * samples as i64));
            encoder.push(Some(&frame), |packet| {
                packets.push(packet.data().to_vec());
                Ok(())
            })?;
        }
        // The first ones hold what encoders begin with.
        let packet = packets.pop().ok_or_else(|| Error::internal("an encoder gives no silence"))?;
        let frame = match track.codec {
            AudioCodec::AacAdts => adts_frame(&source()?, &packet)
                .ok_or_else(|| Error::damaged("a frame of sound beside a hole cannot be read"))?,
            _ => packet,
        };
        Ok(Some(Self { frame: frame.into(), grid }))
    }
}

/// Black, in everything else like `picture`.
fn black(picture: &Frame) -> Result<Frame> {
    let format = picture.format();
    let name = format.name();
    let yuv = name.starts_with("yuv") && (name.contains('p') && !name.starts_with("yuva"));
    if !yuv || name.ends_with("be") {
        let detail =
            format!("holes=black cannot be made for pictures of the format {name}; ask for holes=freeze");
        return Err(Error::new(Kind::Unsupported, "unsupported-holes", detail).with_parameter("holes"));
    }
    let depth = format.depth();
    // Full range says so in the picture, or by the format's old name (Rec. ITU-T H.273 §8.3).
    let full = picture.colour().0 == 2 || name.starts_with("yuvj");
    let luma: u16 = if full { 0 } else { 16 << (depth - 8) };
    let chroma: u16 = 128 << (depth - 8);
    let mut black = FrameMut::picture(format, picture.width(), picture.height())?;
    black.copy_properties(picture)?;
    for plane in 0..3 {
        let value = if plane == 0 { luma } else { chroma };
        let (bytes, _) = black.plane_mut(plane);
        if depth == 8 {
            bytes.fill(value as u8);
        } else {
            bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|sample| *sample = value.to_le_bytes());
        }
    }
    Ok(black.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_make_up_the_whole(
            pictures in 1u64..400,
            group in 1usize..60,
            frame in prop::sample::select(vec![1_500i64, 3_000, 3_003, 3_600]),
            rate in prop::sample::select(vec![44_100i64, 48_000, 32_000]),
            lead in -960i64..960,
            more in -700i64..700,
            part in 1u64..200,
        ) {
            let silence = Silence { frame: Bytes::from_static(b"s"), grid: Grid { samples: 1024, rate } };
            let grid = silence.grid;
            let filling = Filling {
                group: (0..group).map(|it| Bytes::from(vec![it as u8])).collect(),
                frame,
                delay: 2 * frame,
                silence: vec![Some(silence), None],
            };
            let end = 180_000 + pictures as i64 * frame + more;
            let stretch = Stretch { start: 180_000, end, pictures, sound_at: vec![Some(180_000 + lead), Some(7)] };
            let mut all = Vec::new();
            for from in (0..pictures).step_by(part as usize) {
                all.extend(filling.samples(&stretch, from..(from + part).min(pictures)));
            }
            let times: Vec<i64> = all.iter().filter(|it| it.track == 0).map(|it| it.pts).collect();
            let ideal: Vec<i64> = (0..pictures as i64).map(|number| 180_000 + number * frame).collect();
            prop_assert_eq!(times, ideal);
            let repeats = |(number, it): (usize, &Sample)| {
                it.key == (number % group == 0) && it.bytes == [(number % group) as u8]
            };
            prop_assert!(all.iter().filter(|it| it.track == 0).enumerate().all(repeats));
            // The silence goes on where the sound before ended, and ends within half a frame of the hole's end.
            let sound: Vec<i64> = all.iter().filter(|it| it.track == 1).map(|it| it.pts).collect();
            let length = 1024 * 90_000 / rate;
            prop_assert!(sound.first().is_none_or(|first| *first == 180_000 + lead));
            prop_assert!(sound.windows(2).all(|pair| (pair[1] - pair[0] - length).abs() <= 1));
            let from = stretch.sound_from(0);
            let sound_end = from + grid.ticks(grid.count(end - from));
            prop_assert!((sound_end - end).abs() <= length / 2 + 1 || sound.is_empty());
            prop_assert!(sound.last().is_none_or(|last| (sound_end - last - length).abs() <= 1));
            prop_assert!(all.iter().all(|it| it.track < 2));
        }
    }
}
