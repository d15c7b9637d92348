//! AAC frames in ADTS, the form they have on a transport stream (ISO/IEC 13818-7 §6.2, ISO/IEC 14496-3 §1.A.3.2).

/// Header without a checksum.
const HEADER_BYTES: usize = 7;
/// Samples that one raw data block gives.
const BLOCK_SAMPLES: u32 = 1024;
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// One frame with its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdtsFrame<'a> {
    /// Where it starts in the bytes given.
    pub at: usize,
    pub bytes: &'a [u8],
    /// Of the core: HE-AAC has twice as many samples at twice this rate.
    pub sample_rate: u32,
    /// Samples of each channel: 1024, or a multiple where a frame has several blocks.
    pub samples: u32,
    /// MPEG-4 channel configuration: 1 to 6 channels, 7 for eight; 0 where the frame itself tells.
    pub channels: u8,
}

/// `block`, one raw data block of the Low Complexity profile, as a frame with the header of the frame `like`, whose rate and
/// channels it has. `None` when `like` is none, has channels that only its block tells, or the block is too long.
pub fn adts_frame(like: &[u8], block: &[u8]) -> Option<Vec<u8>> {
    let header = like.first_chunk::<HEADER_BYTES>()?;
    let channels = (header[2] & 1) << 2 | header[3] >> 6;
    let length = u16::try_from(HEADER_BYTES + block.len()).ok().filter(|length| *length < 1 << 13)?;
    if header[0] != 0xff || header[1] & 0xf6 != 0xf0 || channels == 0 {
        return None;
    }
    let mut frame = Vec::with_capacity(length.into());
    frame.extend_from_slice(&[
        0xff,
        // Without a checksum.
        header[1] | 1,
        // Profile: object type 2, less one.
        header[2] & 0x3f | 0x40,
        header[3] & 0xfc | (length >> 11) as u8,
        (length >> 3) as u8,
        // The buffer's fullness says "variable rate"; one block.
        (length as u8) << 5 | 0x1f,
        0xfc,
    ]);
    frame.extend_from_slice(block);
    Some(frame)
}

/// Cuts bytes into ADTS frames. Bytes before a frame that are in none are passed over.
#[derive(Debug, Clone)]
pub struct AdtsFrames<'a> {
    bytes: &'a [u8],
    at: usize,
    skipped: usize,
}

impl<'a> AdtsFrames<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, skipped: 0 }
    }

    /// Bytes passed over so far.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// Once there are no more frames: what is left, which is the start of a frame whose end is not there, or empty.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }
}

impl<'a> Iterator for AdtsFrames<'a> {
    type Item = AdtsFrame<'a>;

    fn next(&mut self) -> Option<AdtsFrame<'a>> {
        while self.at < self.bytes.len() {
            let rest = &self.bytes[self.at..];
            match parse(rest) {
                Parsed::Frame { length, sample_rate, samples, channels } => {
                    let at = self.at;
                    // A frame is one if the next starts behind it; otherwise its sync word was found in data.
                    if !matches!(parse(&rest[length..]), Parsed::Not) {
                        self.at += length;
                        return Some(AdtsFrame {
                            at,
                            bytes: &rest[..length],
                            sample_rate,
                            samples,
                            channels,
                        });
                    }
                }
                // The end of the bytes, unless more frames follow in them.
                Parsed::Part if !self.follows(self.at + 1) => return None,
                Parsed::Part | Parsed::Not => (),
            }
            self.at += 1;
            self.skipped += 1;
        }
        None
    }
}

impl AdtsFrames<'_> {
    /// Whether two whole frames follow each other from any place on from `at`. A part is less than 8 KiB, the
    /// longest frame, from the end of the bytes, so that this is never asked far from it.
    fn follows(&self, at: usize) -> bool {
        (at..self.bytes.len()).any(|at| match parse(&self.bytes[at..]) {
            Parsed::Frame { length, .. } => {
                matches!(parse(&self.bytes[at + length..]), Parsed::Frame { .. })
            }
            _ => false,
        })
    }
}

enum Parsed {
    Frame {
        length: usize,
        sample_rate: u32,
        samples: u32,
        channels: u8,
    },
    /// The start of a frame, as far as there are bytes; none at all too.
    Part,
    Not,
}

fn parse(bytes: &[u8]) -> Parsed {
    let matches = |at: usize, mask: u8, value: u8| bytes.get(at).is_none_or(|it| it & mask == value);
    // Sync word of twelve ones, and layer 0.
    if !matches(0, 0xff, 0xff) || !matches(1, 0xf6, 0xf0) {
        return Parsed::Not;
    }
    let rate = bytes.get(2).map_or(Some(&0), |it| RATES.get(usize::from(it >> 2 & 0x0f)));
    let Some(sample_rate) = rate else { return Parsed::Not };
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return Parsed::Part };
    let [_, flags, profile, channels, middle, low, blocks] = *header;
    let length = usize::from(channels & 0x03) << 11 | usize::from(middle) << 3 | usize::from(low >> 5);
    let checked = flags & 0x01 == 0;
    if length < HEADER_BYTES + if checked { 2 } else { 0 } {
        return Parsed::Not;
    }
    if bytes.len() < length {
        return Parsed::Part;
    }
    Parsed::Frame {
        length,
        sample_rate: *sample_rate,
        samples: (u32::from(blocks & 0x03) + 1) * BLOCK_SAMPLES,
        channels: (profile & 0x01) << 2 | channels >> 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_gets_the_header_of_another_frame() {
        // 48 kHz, two channels, object type 1, with a checksum.
        let like = [0xff, 0xf0, 0x0c, 0x80, 0x02, 0x00, 0x00, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        for length in [0, 1, 6, 700, 8_184] {
            let frame = adts_frame(&like, &vec![0x21; length]).unwrap();
            let twice = [&frame[..], &frame].concat();
            let read: Vec<AdtsFrame<'_>> = AdtsFrames::new(&twice).collect();
            assert_eq!(read.len(), 2, "{length}");
            assert_eq!((read[1].at, read[1].bytes), (frame.len(), &frame[..]));
            assert_eq!((read[1].sample_rate, read[1].samples, read[1].channels), (48_000, 1024, 2));
            assert_eq!((frame.len(), frame[2] >> 6, frame[1] & 1), (7 + length, 1, 1));
        }
        assert_eq!(adts_frame(&like, &[0; 8_185]), None, "more than 13 bits of length");
        assert_eq!(
            adts_frame(&[0xff, 0xf1, 0x4c, 0x00, 0x02, 0, 0], &[]),
            None,
            "channels told by the block"
        );
        assert_eq!(adts_frame(&like[..6], &[]), None);
        assert_eq!(adts_frame(&[0; 16], &[]), None);
    }
    use proptest::prelude::*;

    /// 48 kHz stereo, AAC-LC.
    fn frame(payload: usize) -> Vec<u8> {
        let length = payload + HEADER_BYTES;
        let mut frame = vec![
            0xff,
            0xf1,
            0x4c,
            0x80 | (length >> 11) as u8,
            (length >> 3) as u8,
            (length << 5) as u8 | 0x1f,
            0xfc,
        ];
        frame.resize(length, 0x21);
        frame
    }

    #[test]
    fn frames_are_cut() {
        let bytes = [frame(100), frame(0), frame(3000)].concat();
        let mut frames = AdtsFrames::new(&bytes);
        let cut: Vec<_> = frames.by_ref().collect();
        assert_eq!(
            cut.iter().map(|it| (it.at, it.bytes.len())).collect::<Vec<_>>(),
            [(0, 107), (107, 7), (114, 3007)]
        );
        assert!(cut.iter().all(|it| (it.sample_rate, it.samples, it.channels) == (48_000, 1024, 2)));
        assert_eq!((frames.skipped(), frames.rest()), (0, &[][..]));
    }

    #[test]
    fn a_part_of_a_frame_is_left_and_garbage_is_not() {
        let mut bytes = [&b"\xff\xf1junk\xff"[..], &frame(50), &frame(50)].concat();
        bytes.extend(&frame(50)[..20]);
        let mut frames = AdtsFrames::new(&bytes);
        assert_eq!(frames.by_ref().map(|it| it.at).collect::<Vec<_>>(), [7, 64]);
        assert_eq!((frames.skipped(), frames.rest().len()), (7, 20));
        let mut frames = AdtsFrames::new(&bytes[64..64 + 58]);
        assert_eq!(frames.by_ref().count(), 1);
        assert_eq!(frames.rest(), [0xff], "may be the start of a frame");
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_without_a_loss(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xff), Just(0xf1)], 0..600)) {
            let mut frames = AdtsFrames::new(&bytes);
            let cut: usize = frames.by_ref().map(|it| it.bytes.len()).sum();
            prop_assert_eq!(cut + frames.skipped() + frames.rest().len(), bytes.len());
        }
    }
}
