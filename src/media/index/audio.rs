//! Cuts a sound stream into frames as its bytes come, without holding them.

use super::headers::{self, FrameHeader, HEAD_BYTES, Parsed};
use super::place::{Place, Places};
use super::{AudioCodec, AudioFrame, AudioTrack, HEAD_KEPT};
use crate::media::ts::pes::Chunk;

/// Reads one sound stream.
#[derive(Debug)]
pub struct AudioScanner {
    track: AudioTrack,
    places: Places,
    /// The beginning of the frame to come.
    head: Vec<u8>,
    /// Bytes of the last frame still to come.
    left: usize,
    last: Option<FrameHeader>,
    /// A time of the stream and the samples since.
    anchor: Option<(i64, u64)>,
    /// Frames since sync was found.
    streak: u32,
}

impl AudioTrack {
    /// A track without frames, as the header of one of its frames tells of it; `None` where `frame` begins with none.
    pub fn of_frame(codec: AudioCodec, frame: &[u8]) -> Option<Self> {
        let Parsed::Frame(header) = headers::parse(codec, frame.get(..HEAD_BYTES.min(frame.len()))?, None)
        else {
            return None;
        };
        let mut track = AudioScanner::new(0, 0, codec).track;
        track.tell(&header, frame);
        Some(track)
    }

    /// What the header of its first frame says.
    fn tell(&mut self, header: &FrameHeader, head: &[u8]) {
        self.sample_rate = header.rate;
        self.channels = header.channels;
        self.samples_per_frame = header.samples;
        self.object_type = header.object_type;
        if let AudioCodec::Mpeg { layer } = &mut self.codec {
            *layer = header.layer;
        }
        self.changes = false;
        self.head.fill(0);
        let kept = head.len().min(HEAD_KEPT);
        self.head[..kept].copy_from_slice(&head[..kept]);
    }
}

impl AudioScanner {
    pub fn new(pid: u16, stream_type: u8, codec: AudioCodec) -> Self {
        let track = AudioTrack {
            pid,
            stream_type,
            codec,
            sample_rate: 0,
            channels: 0,
            samples_per_frame: 0,
            object_type: 0,
            changes: false,
            head: [0; HEAD_KEPT],
            frames: Vec::new(),
        };
        Self {
            track,
            places: Places::default(),
            head: Vec::new(),
            left: 0,
            last: None,
            anchor: None,
            streak: 0,
        }
    }

    /// Frames found so far.
    pub fn frames(&self) -> usize {
        self.track.frames.len()
    }

    pub fn push(&mut self, chunk: &Chunk<'_>, packet: u64, reference: &mut Option<i64>) {
        if chunk.gap {
            self.lose();
        }
        self.places.advance(chunk, packet, reference);
        // Bytes of this chunk not yet looked at; what is held of `head` lies before them.
        let mut bytes = chunk.bytes;
        loop {
            let passed = self.left.min(bytes.len());
            self.left -= passed;
            bytes = &bytes[passed..];
            match headers::parse(self.track.codec, &self.head, self.last.as_ref()) {
                Parsed::More(wanted) => {
                    let now = wanted.min(HEAD_BYTES).saturating_sub(self.head.len()).min(bytes.len());
                    if now == 0 {
                        return;
                    }
                    self.head.extend_from_slice(&bytes[..now]);
                    bytes = &bytes[now..];
                }
                Parsed::Bad => {
                    self.doubt();
                    // Sync is looked for from the next byte on.
                    self.head.remove(0);
                }
                Parsed::Frame(header) => {
                    let position = self.places.taken() - (bytes.len() + self.head.len()) as u64;
                    let place = self.places.place(position);
                    self.begin(header, place);
                    // A frame may be shorter than what was looked at.
                    let used = header.size.min(self.head.len());
                    self.left = header.size - used;
                    self.head.drain(..used);
                }
            }
        }
    }

    /// Bytes are missing: the frame they belong to is none.
    fn lose(&mut self) {
        if self.left > 0 {
            self.track.frames.pop();
        }
        self.left = 0;
        self.head.clear();
        self.streak = 0;
    }

    /// What follows the last frame is no frame: if it was the first since sync was lost, it was none either.
    fn doubt(&mut self) {
        if self.streak == 1
            && let Some(frame) = self.track.frames.pop()
            && let Some((_, samples)) = &mut self.anchor
        {
            *samples = samples.saturating_sub(u64::from(frame.samples));
        }
        self.streak = 0;
    }

    fn begin(&mut self, header: FrameHeader, place: Place) {
        if header.dependent {
            if let Some(frame) = self.track.frames.last_mut() {
                frame.size = frame.size.saturating_add(header.size as u32);
            }
            return;
        }
        let (times, _) = self.places.take_times(place.position);
        if let Some(times) = times {
            self.anchor = Some((times.pts, 0));
        }
        self.last = Some(header);
        // A frame before the first time of the stream has no place in it.
        let Some((pts, samples)) = &mut self.anchor else { return };
        let rate = u64::from(header.rate.max(1));
        // Rounded to the nearest tick, as muxers do.
        let since = (*samples * 90_000 + rate / 2) / rate;
        let frame = AudioFrame {
            pts: *pts + since as i64,
            offset: place.offset,
            skip: place.skip,
            size: header.size as u32,
            framing: header.framing,
            samples: header.samples,
        };
        *samples += u64::from(header.samples);
        self.streak += 1;
        let track = &mut self.track;
        if track.frames.is_empty() {
            track.tell(&header, &self.head);
        } else if track.codec == AudioCodec::Opus {
            // Each packet is coded in one channel or in two, as it pleases the encoder (RFC 6716 §3.1).
            track.channels = track.channels.max(header.channels);
        } else if (track.sample_rate, track.channels) != (header.rate, header.channels) {
            track.changes = true;
        }
        track.frames.push(frame);
    }

    pub fn finish(mut self) -> AudioTrack {
        // The segment ends inside its last frame.
        self.lose();
        self.track
    }
}
