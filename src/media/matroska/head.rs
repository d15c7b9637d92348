//! Everything before the clusters (RFC 9559 §5.1).

use super::ebml::Elements;
use crate::media::nal::vui::Colour;

/// What a track is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Media {
    Picture {
        /// Shown size, in luma samples.
        width: u32,
        height: u32,
        /// Size in square samples.
        shown: (u32, u32),
        colour: Colour,
        full_range: bool,
        /// Nanoseconds a frame lasts, where all last the same.
        frame: Option<u64>,
    },
    Sound {
        channels: u8,
        /// Hz.
        rate: u32,
        /// Nanoseconds a decoder has to run in after a seek.
        preroll: u64,
        /// Nanoseconds before what is heard first, which are not.
        delay: u64,
    },
}

/// A track; its number is its place, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// RFC 9559's registry of codecs.
    pub codec: &'static str,
    pub private: Vec<u8>,
    pub media: Media,
}

/// Where a picture that decoding may begin at lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CuePoint {
    /// In milliseconds.
    pub at: u64,
    /// Of its cluster, from the first byte of the first.
    pub cluster: u64,
}

/// A file's head.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// In milliseconds.
    pub duration: f64,
    pub tracks: Vec<Track>,
    pub cues: Vec<CuePoint>,
}

const SEGMENT: u32 = 0x1853_8067;
const SEEK_HEAD: u32 = 0x114d_9b74;
const INFO: u32 = 0x1549_a966;
const TRACKS: u32 = 0x1654_ae6b;
const CUES: u32 = 0x1c53_bb6b;

impl Head {
    /// What stands before `clusters` bytes of clusters.
    pub fn bytes(&self, clusters: u64) -> Vec<u8> {
        let mut out = Elements::default();
        out.master(0x1a45_dfa3, |out| {
            out.number(0x4286, 1); // EBMLVersion
            out.number(0x42f7, 1);
            out.number(0x42f2, 4); // EBMLMaxIDLength
            out.number(0x42f3, 8);
            out.text(0x4282, "matroska");
            // DiscardPadding and CodecDelay came with version 4.
            out.number(0x4287, 4);
            out.number(0x4285, 2);
        });
        let (info, tracks) = (self.info(), self.tracks());
        // Places are told in eight bytes each, so that the lengths of what tells them are known.
        let seek_bytes = Self::seek_head([0; 3]).len() as u64;
        let cue_bytes = self.cues(0).len() as u64;
        let places =
            [seek_bytes, seek_bytes + info.len() as u64, seek_bytes + (info.len() + tracks.len()) as u64];
        let first = places[2] + cue_bytes;
        out.begin_long(SEGMENT, first + clusters);
        out.0.extend_from_slice(&Self::seek_head(places));
        out.0.extend_from_slice(&info);
        out.0.extend_from_slice(&tracks);
        out.0.extend_from_slice(&self.cues(first));
        out.0
    }

    fn seek_head(places: [u64; 3]) -> Vec<u8> {
        let mut out = Elements::default();
        out.master(SEEK_HEAD, |out| {
            for (id, place) in [INFO, TRACKS, CUES].into_iter().zip(places) {
                out.master(0x4dbb, |out| {
                    out.bytes(0x53ab, &id.to_be_bytes());
                    out.long_number(0x53ac, place);
                });
            }
        });
        out.0
    }

    fn info(&self) -> Vec<u8> {
        let mut out = Elements::default();
        out.master(INFO, |out| {
            out.number(0x2a_d7b1, 1_000_000); // TimestampScale: nanoseconds
            out.float(0x4489, self.duration);
            out.text(0x4d80, "Moviola");
            out.text(0x5741, "Moviola");
        });
        out.0
    }

    fn tracks(&self) -> Vec<u8> {
        let mut out = Elements::default();
        out.master(TRACKS, |out| {
            let mut sounds = 0;
            for (number, track) in self.tracks.iter().enumerate() {
                sounds += u32::from(matches!(track.media, Media::Sound { .. }));
                out.master(0xae, |out| track.write(out, number as u64 + 1, sounds < 2));
            }
        });
        out.0
    }

    fn cues(&self, first: u64) -> Vec<u8> {
        let mut out = Elements::default();
        out.master(CUES, |out| {
            for cue in &self.cues {
                out.master(0xbb, |out| {
                    out.number(0xb3, cue.at);
                    out.master(0xb7, |out| {
                        out.number(0xf7, 1); // CueTrack
                        out.long_number(0xf1, first + cue.cluster);
                    });
                });
            }
        });
        out.0
    }
}

impl Track {
    fn write(&self, out: &mut Elements, number: u64, default: bool) {
        let kind = match self.media {
            Media::Picture { .. } => 1,
            Media::Sound { .. } => 2,
        };
        out.number(0xd7, number);
        out.number(0x73c5, number); // TrackUID: the same cut has the same bytes
        out.number(0x83, kind);
        out.number(0x88, u64::from(default)); // FlagDefault
        out.number(0x9c, 0); // FlagLacing
        out.text(0x22_b59c, "und");
        out.text(0x86, self.codec);
        if !self.private.is_empty() {
            out.bytes(0x63a2, &self.private);
        }
        match &self.media {
            Media::Sound { channels, rate, preroll, delay } => {
                if *delay > 0 {
                    out.number(0x56aa, *delay); // CodecDelay
                }
                if *preroll > 0 {
                    out.number(0x56bb, *preroll); // SeekPreRoll
                }
                out.master(0xe1, |out| {
                    out.float(0xb5, f64::from(*rate));
                    out.number(0x9f, u64::from(*channels));
                });
            }
            Media::Picture { width, height, shown, colour, full_range, frame } => {
                if let Some(frame) = frame {
                    out.number(0x23_e383, *frame); // DefaultDuration
                }
                out.master(0xe0, |out| {
                    out.number(0xb0, u64::from(*width));
                    out.number(0xba, u64::from(*height));
                    if *shown != (*width, *height) {
                        out.number(0x54b0, u64::from(shown.0));
                        out.number(0x54ba, u64::from(shown.1));
                    }
                    out.master(0x55b0, |out| {
                        out.number(0x55b1, u64::from(colour.matrix));
                        out.number(0x55b9, if *full_range { 2 } else { 1 });
                        out.number(0x55ba, u64::from(colour.transfer));
                        out.number(0x55bb, u64::from(colour.primaries));
                    });
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_right() {
        let sound = Media::Sound { channels: 2, rate: 48_000, preroll: 0, delay: 22_000_000 };
        let track = Track { codec: "A_AAC", private: vec![0x11, 0x90], media: sound };
        let cues = vec![CuePoint { at: 0, cluster: 0 }, CuePoint { at: 2000, cluster: 300 }];
        let head = Head { duration: 4000.0, tracks: vec![track], cues };
        let bytes = head.bytes(1000);
        let segment = bytes.windows(4).position(|it| it == SEGMENT.to_be_bytes()).unwrap();
        let length = u64::from_be_bytes(bytes[segment + 4..segment + 12].try_into().unwrap());
        let data = segment + 12;
        assert_eq!(length & !(1 << 56), (bytes.len() - data) as u64 + 1000);
        // The places of the seek head are where the elements are, and cues begin behind the last of them.
        let told = bytes.windows(11).filter(|it| it.starts_with(b"\x53\xac\x88"));
        let told: Vec<usize> =
            told.map(|it| u64::from_be_bytes(it[3..].try_into().unwrap()) as usize).collect();
        assert_eq!(told.len(), 3);
        for (id, place) in [INFO, TRACKS, CUES].into_iter().zip(told) {
            assert!(bytes[data + place..].starts_with(&id.to_be_bytes()));
        }
        assert!(
            bytes.ends_with(&[&b"\xf1\x88"[..], &((bytes.len() - data) as u64 + 300).to_be_bytes()].concat())
        );
    }
}
