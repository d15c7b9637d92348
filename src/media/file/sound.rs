//! Which packets of sound go into a cut, and where. Pure.

use super::edges::Prepared;
use super::scan::{FileIndex, SoundTrack};
use crate::base::time::TimeBase;
use crate::media::cut::Container;
use crate::media::ffi::id;
use std::ops::Range;

/// The sound of one range on one track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub frames: Range<usize>,
    /// Output time = time in the file + this, in samples.
    pub shift: i64,
    /// Samples at the end of the last packet that are not to be heard.
    pub trim_end: u32,
    /// What decoding the last packet gives more than it is told to last, which is not heard either.
    pub unsaid: u32,
}

impl Chosen {
    /// Something at the end of this packet is not to be heard.
    pub fn trims_end(&self, frame: usize) -> bool {
        frame + 1 == self.frames.end && self.trim_end + self.unsaid > 0
    }

    /// What of a packet lies before the output's first picture, in samples.
    pub fn early(&self, track: &SoundTrack, frame: usize) -> u32 {
        let packet = track.packets[frame];
        let before = (-(packet.at + self.shift)).clamp(0, i64::from(packet.samples));
        before as u32
    }
}

/// Chooses for every track of the file, and of each, for every range. What can trim gets whole packets around the cut, and before them what a
/// decoder has to hear first; what cannot (MPEG-TS), and every inner join, gets the packets that lie at least half
/// inside.
pub fn choose(index: &FileIndex, prepared: &[Prepared], container: Container) -> Vec<Vec<Chosen>> {
    let trims = container != Container::TransportStream;
    index.sounds.iter().map(|track| choose_track(index.clock, track, prepared, trims)).collect()
}

/// Packets before the first one heard that its decoding needs.
fn preroll(codec: u32, packet: u32, rate: u32) -> usize {
    match codec {
        // RFC 7845 §4.6: 80 ms.
        id::OPUS => (rate * 80 / 1000).div_ceil(packet.max(1)) as usize,
        // The bit reservoir reaches 511 bytes back (ISO/IEC 11172-3 §2.4.2.7): three packets at low rates.
        id::MP3 => 3,
        // Windows overlap by one packet.
        id::AAC | id::VORBIS => 1,
        _ => 0,
    }
}

/// Samples that decoding a packet gives. A file may tell less of its last one.
fn decoded(track: &SoundTrack, frame: usize) -> u32 {
    let samples = |at: usize| track.packets.get(at).map_or(0, |it| it.samples);
    match track.decoded {
        // Opus has frames of several lengths, of which an encoder keeps to one.
        0 if track.stream.codec == id::OPUS && frame > 0 && frame + 1 == track.packets.len() => {
            samples(frame - 1)
        }
        0 => samples(frame),
        fixed => fixed,
    }
}

fn choose_track(video: TimeBase, track: &SoundTrack, prepared: &[Prepared], trims: bool) -> Vec<Chosen> {
    let (clock, packets) = (track.clock(), &track.packets);
    let ends = |it: &super::scan::SoundPacket| it.at + i64::from(it.samples);
    let mut ranges = Vec::with_capacity(prepared.len());
    let mut cursor = None;
    for (number, range) in prepared.iter().enumerate() {
        let (at, end_at) = (video.rescale(range.at, clock), video.rescale(range.end_at, clock));
        let start = TimeBase::MPEG.rescale(range.start, clock);
        let shift = at - start;
        let end = end_at - shift;
        let half = |it: &super::scan::SoundPacket| i64::from(it.samples) / 2;
        let exact_start = trims && number == 0;
        let from = if exact_start {
            let first = packets.partition_point(|it| ends(it) <= start);
            let size = packets.get(first).map_or(0, |it| it.samples);
            let before = preroll(track.stream.codec, size, track.stream.sample_rate);
            // Sound that begins later needs nothing before it.
            let begins_inside = packets.get(first).is_some_and(|it| it.at > start);
            if begins_inside && first == 0 { 0 } else { first.saturating_sub(before) }
        } else {
            let from = cursor.map_or(start, |cursor: i64| cursor - shift);
            packets.partition_point(|it| it.at + half(it) < from)
        };
        let exact_end = trims && number + 1 == prepared.len();
        let until =
            packets.partition_point(|it| if exact_end { it.at < end } else { it.at + half(it) < end });
        let frames = from..until.max(from);
        let mut chosen = Chosen { frames, shift, trim_end: 0, unsaid: 0 };
        if let Some(last) = packets[chosen.frames.clone()].last() {
            let over = if exact_end { (ends(last) - end).clamp(0, i64::from(last.samples)) } else { 0 };
            chosen.trim_end = over as u32;
            chosen.unsaid = decoded(track, chosen.frames.end - 1).saturating_sub(last.samples);
            cursor = Some(ends(last) + shift);
        }
        ranges.push(chosen);
    }
    ranges
}
