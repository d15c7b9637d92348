//! A frame in which nothing is heard, for sound that is told of and does not come: AAC and Opus. Pure.

use super::{Codec, Track};
use bytes::Bytes;

/// Bits, the first of a byte being its highest.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    fn put(&mut self, value: u8, bits: usize) {
        for at in (0..bits).rev() {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= (value >> at & 1) << (7 - self.count % 8);
            }
            self.count += 1;
        }
    }
}

/// Elements of a raw_data_block (ISO/IEC 14496-3 table 4.85).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    Single = 0,
    Pair = 1,
    Low = 3,
    End = 7,
}

/// Those of each channel configuration (table 1.19).
fn elements(channels: u8) -> &'static [Element] {
    use Element::{Low, Pair, Single};
    match channels {
        1 => &[Single],
        2 => &[Pair],
        3 => &[Single, Pair],
        4 => &[Single, Pair, Single],
        5 => &[Single, Pair, Pair],
        6 => &[Single, Pair, Pair, Low],
        7 => &[Single, Pair, Pair, Pair, Low],
        _ => &[],
    }
}

/// One window without any band (§4.4.2.1, table 4.6): reserved bit, sequence, shape, bands, prediction.
fn window(out: &mut Bits) {
    out.put(0, 5);
    out.put(0, 6);
}

/// A channel of no bands (table 4.50): its gain, its window where it has one of its own, and no tools.
fn channel(out: &mut Bits, own_window: bool) {
    out.put(0, 8);
    if own_window {
        window(out);
    }
    out.put(0, 3);
}

/// The frame, and how long it is in samples of the track's rate; `None` where none is known for the track.
pub fn frame(track: &Track) -> Option<(Bytes, u32)> {
    match track.codec {
        Codec::Aac => aac(track).map(|it| (it, track.frame_samples)),
        Codec::Opus => opus(track),
        _ => None,
    }
    .filter(|it| it.1 > 0 && track.sample_rate > 0)
}

/// Twenty milliseconds of the whole band in one channel, of which the range coder's first symbol says that they are silent (RFC
/// 6716 §3.1, §4.3). Any decoder of one or two channels takes it.
fn opus(track: &Track) -> Option<(Bytes, u32)> {
    const FRAME: [u8; 3] = [0xf8, 0xff, 0xfe];
    (track.channels <= 2).then(|| (Bytes::from_static(&FRAME), track.sample_rate / 50))
}

/// `None` where it is not of low complexity, or tells its channels inside its frames.
fn aac(track: &Track) -> Option<Bytes> {
    const LOW_COMPLEXITY: u8 = 2;
    /// With spectral bands that are made up, and with parametric stereo: a frame without them is one of low complexity.
    const EXTENDED: [u8; 2] = [5, 29];
    /// A rate that stands behind it in full, as nobody writes.
    const OWN_RATE: u8 = 15;
    let [first, second, ..] = *track.config else { return None };
    let (object, rate, channels) = (first >> 3, (first & 7) << 1 | second >> 7, second >> 3 & 15);
    let plain = object == LOW_COMPLEXITY || EXTENDED.contains(&object);
    let all = elements(channels);
    if !plain || rate == OWN_RATE || all.is_empty() {
        return None;
    }
    let mut out = Bits::default();
    for (at, element) in all.iter().enumerate() {
        out.put(*element as u8, 3);
        // Elements of a kind are counted.
        out.put(all[..at].iter().filter(|it| *it == element).count() as u8, 4);
        if *element == Element::Pair {
            out.put(1, 1);
            window(&mut out);
            out.put(0, 2);
            channel(&mut out, false);
            channel(&mut out, false);
        } else {
            channel(&mut out, true);
        }
    }
    out.put(Element::End as u8, 3);
    Some(out.bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::TimeBase;
    use crate::media::live::TrackKind;

    fn track(config: &[u8]) -> Track {
        Track {
            kind: TrackKind::Audio,
            codec: Codec::Aac,
            name: "aac".into(),
            time_base: TimeBase::new(1, 48_000),
            config: Bytes::copy_from_slice(config),
            entry: None,
            codecs: String::new(),
            width: 0,
            height: 0,
            frame_rate: (0, 1),
            sample_rate: 48_000,
            channels: 0,
            frame_samples: 1024,
        }
    }

    #[test]
    fn every_channel_is_there_and_has_nothing_in_it() {
        // One channel: 3 + 4 + 8 + 11 + 3 bits, and the end's 3, which are ones.
        assert_eq!(aac(&track(&[0x11, 0x88])).unwrap(), [0, 0, 0, 0b0000_0111][..]);
        // Two: 3 + 4 + 1 + 11 + 2 + 2 * 11 bits, and the end's.
        assert_eq!(aac(&track(&[0x11, 0x90])).unwrap(), [0x21, 0, 0, 0, 0, 0b0001_1100][..]);
        let six = aac(&track(&[0x11, 0xb0])).unwrap();
        assert_eq!(six.len(), (29usize + 43 + 43 + 29 + 3).div_ceil(8));
        for none in [&[][..], &[0x11], &[0x11, 0x80], &[0x09, 0x90], &[0x17, 0x90]] {
            assert_eq!(frame(&track(none)), None, "{none:x?}");
        }
        let other = |codec, channels| frame(&Track { codec, channels, ..track(&[0x11, 0x90]) });
        assert_eq!(other(Codec::Aac, 2).unwrap().1, 1024);
        assert_eq!(other(Codec::Opus, 2).unwrap(), (Bytes::from_static(&[0xf8, 0xff, 0xfe]), 960));
        assert_eq!((other(Codec::Opus, 6), other(Codec::Flac, 2)), (None, None));
    }
}
