//! The picture on screen at an instant: only the GOP that holds it is decoded, and on the way to it only pictures
//! that others are predicted from.

use super::Clip;
use super::ffi::{Decoder, Frame, Packet, Skip, StreamInfo, id};
use super::source::{ClipReader, Want};
use super::timeline::Anchor;
use crate::base::{Error, Result, Timestamp, Token};
use crate::media::turn::Turn;

/// Compressed bytes of one GOP (or, in a segment, of the whole segment) held while a picture is looked for. At
/// 100 Mbit/s this is 20 seconds.
const MAX_HELD_BYTES: usize = 256 << 20;

/// A decoded picture that may be drawn again and again.
pub struct Still {
    pub frame: Frame,
    /// How it must be turned to be seen upright.
    pub turn: Turn,
}

/// A decoded picture and what it is.
pub struct Picture {
    pub frame: Frame,
    /// When it came on screen.
    pub start: Timestamp,
    pub pts: i64,
    pub key: bool,
    /// How it must be turned to be seen upright.
    pub turn: Turn,
    /// How many pictures were decoded to get it.
    pub decoded: usize,
}

/// The picture of `clip` on screen at `instant`. `before` is the clip that `clip` continues, when there is one: it is
/// read only when `clip` does not start with a picture that can be decoded alone.
///
/// # Errors
/// `not-found` when the clip starts after `instant`; `damaged-media` when nothing can be decoded.
pub fn extract(before: Option<&Clip>, clip: &Clip, instant: Timestamp, token: &Token) -> Result<Picture> {
    let mut gathered = gather(clip, instant, token)?;
    let mut picture = gathered.decode(before, token);
    // Of an open GOP libav shows nothing but the keyframe until it has shown that, and pictures that lead it need the
    // keyframe before.
    for _ in 0..KEYFRAMES_BACK {
        token.check()?;
        if picture.as_ref().is_ok_and(|it| gathered.is_wanted(it)) || !gathered.go_back() {
            break;
        }
        picture = gathered.decode(before, token).or(picture);
    }
    picture
}

/// Keyframes gone back by in a file until the wanted picture can be decoded: containers are searched by decoding times, and
/// not every keyframe is a place where decoding begins.
const KEYFRAMES_BACK: usize = 3;

/// The compressed pictures of a clip up to the one on screen at an instant, in memory.
pub struct Gathered {
    reader: ClipReader,
    video: StreamInfo,
    anchor: Anchor,
    packets: Vec<Packet>,
    /// The instant asked for, in ticks.
    target: i64,
    /// PTS and place of the packet on screen at the target.
    wanted: (i64, usize),
    /// Whether there may be more before the first packet.
    entered: bool,
}

/// Reads what [`extract`] decodes, and decodes nothing.
pub fn gather(clip: &Clip, instant: Timestamp, token: &Token) -> Result<Gathered> {
    let mut reader = ClipReader::open(clip, Want::Video, token)?;
    let (Some(video), Some(anchor)) = (reader.video.clone(), reader.anchor) else {
        return Err(Error::damaged("there is no picture in it"));
    };
    let target = anchor.ticks_at(instant);
    if target < anchor.ticks {
        return Err(Error::not_found("no picture had come on screen by then"));
    }
    // Long files are entered at the keyframe; those that cannot be searched are read from the start.
    let entered = reader.demuxer.format_name() != "mpegts" && reader.seek(target).is_ok();
    let packets = collect(&mut reader, target)?;
    let mut gathered = Gathered { reader, video, anchor, packets, target, wanted: (target, 0), entered };
    loop {
        if let Some(wanted) = shown(&gathered.packets, target) {
            gathered.wanted = wanted;
            return Ok(gathered);
        }
        if !gathered.go_back() {
            return Err(Error::damaged("there is no picture for that instant"));
        }
    }
}

/// PTS and place of the packet on screen at `target`.
fn shown(packets: &[Packet], target: i64) -> Option<(i64, usize)> {
    let seen = packets.iter().enumerate().filter(|(_, packet)| !packet.is_discarded());
    let times = seen.filter_map(|(at, packet)| packet.pts().map(|pts| (pts, at)));
    times.filter(|it| it.0 <= target).max()
}

/// The keyframe to start at for a wanted picture: the last one, in decoding order, that is sent before it and shown at or
/// before it. A picture shown before the keyframe it follows in the file (a leading picture of an open GOP) needs the
/// keyframe before.
fn keyframe(packets: &[Packet], (pts, at): (i64, usize)) -> Option<usize> {
    (0..=at).rev().find(|it| {
        let packet = &packets[*it];
        packet.is_key() && packet.pts().is_some_and(|key| key <= pts)
    })
}

impl Gathered {
    /// Whether nothing better is to be had by going back. Of two fields in two packets the picture has the first one's time;
    /// and where a packet behind one that was decoded gave nothing, an earlier beginning gives nothing either.
    fn is_wanted(&self, picture: &Picture) -> bool {
        let (pts, at) = self.wanted;
        let first_field = || at.checked_sub(1).and_then(|it| self.packets[it].pts());
        picture.pts == pts || picture.frame.is_interlaced() && first_field() == Some(picture.pts)
    }

    /// Reads from the keyframe before the first packet on; false where there is none.
    fn go_back(&mut self) -> bool {
        let first = self.packets.first().and_then(|it| it.dts().or(it.pts()));
        let Some(first) = first.filter(|_| self.entered) else { return false };
        if self.reader.seek(first - 1).is_err() {
            return false;
        }
        match collect(&mut self.reader, self.target) {
            Ok(more) if more.len() > self.packets.len() => self.packets = more,
            _ => return false,
        }
        self.wanted = shown(&self.packets, self.target).unwrap_or(self.wanted);
        true
    }

    /// Decodes the picture; see [`extract`].
    pub fn decode(&self, before: Option<&Clip>, token: &Token) -> Result<Picture> {
        let Self { reader, video, anchor, packets, target, wanted, .. } = self;
        let mut search = Search { packets, target: *target, wanted: *wanted, decoded: 0, turn: None, token };
        let mut decoder = Decoder::open(&reader.demuxer, video.index, video.time_base, 1)?;

        let key = keyframe(packets, *wanted);
        let mut found = None;
        if let Some(start) = key {
            found = search.decode(&mut decoder, &[], start, video.may_skip())?;
        }
        // Two fields in two packets make one picture: neither may be skipped and both must be sent. A start that did
        // not give the picture (gradual refresh, a lost reference) is moved back to where decoding surely works.
        let fields = video.codec == id::H264 && found.as_ref().is_some_and(Frame::is_interlaced);
        let exact = found.as_ref().is_some_and(|it| it.pts() == Some(wanted.0));
        if fields || !exact {
            let lead = before.map(|clip| lead_in(clip, token)).transpose()?.unwrap_or_default();
            let lead = if key.is_some() && fields { &[][..] } else { &lead[..] };
            let start = if fields { key.unwrap_or(0) } else { 0 };
            decoder.flush();
            if let Some(better) = search.decode(&mut decoder, lead, start, false)? {
                found = Some(better);
            }
        }
        let mut frame =
            found.ok_or_else(|| Error::damaged("the picture at that instant cannot be decoded"))?;
        video.sample_aspect.into_iter().for_each(|it| frame.set_sample_aspect(it));
        let pts = frame.pts().unwrap_or(wanted.0);
        let turn = frame.turn().or(search.turn).unwrap_or(video.turn);
        let key = packets[wanted.1].is_key();
        Ok(Picture { start: anchor.wall_of(pts), pts, key, turn, decoded: search.decoded, frame })
    }
}

/// Reads the clip's pictures from where the reader is up to the last that can come on screen at `target`.
fn collect(reader: &mut ClipReader, target: i64) -> Result<Vec<Packet>> {
    let (mut packets, mut held, mut beyond) = (Vec::new(), 0, 0);
    while let Some(packet) = reader.read()? {
        if !reader.is_video(&packet) {
            continue;
        }
        held += packet.data().len();
        if held > MAX_HELD_BYTES {
            return Err(Error::damaged("the GOP is larger than 256 MiB"));
        }
        // No later packet can be shown before its decoding time. Two more are kept: a second field, and one in hand.
        if packet.dts().or(packet.pts()).is_some_and(|time| time > target) {
            beyond += 1;
        }
        packets.push(packet);
        if beyond > 2 {
            break;
        }
    }
    Ok(packets)
}

/// The packets of `clip` from its last keyframe on, without times, to prime a decoder with.
pub(super) fn lead_in(clip: &Clip, token: &Token) -> Result<Vec<Packet>> {
    let mut reader = ClipReader::open(clip, Want::Video, token)?;
    let (mut packets, mut held) = (Vec::<Packet>::new(), 0);
    while let Some(mut packet) = reader.read()? {
        if !reader.is_video(&packet) {
            continue;
        }
        if packet.is_key() {
            packets.clear();
            held = 0;
        }
        held += packet.data().len();
        if held > MAX_HELD_BYTES {
            return Err(Error::damaged("the GOP is larger than 256 MiB"));
        }
        packet.set_times(None, None);
        packets.push(packet);
    }
    Ok(packets)
}

struct Search<'a> {
    packets: &'a [Packet],
    /// The instant asked for, in ticks.
    target: i64,
    /// PTS and place of the packet on screen at the target.
    wanted: (i64, usize),
    decoded: usize,
    /// What a picture said last. A keyframe says it for those behind it (H.264 §D.2.27), and libav tells it of that alone.
    turn: Option<Turn>,
    token: &'a Token,
}

impl Search<'_> {
    /// Decodes from packet `start` and gives the last picture that starts at or before the target.
    fn decode(
        &mut self,
        decoder: &mut Decoder,
        lead: &[Packet],
        start: usize,
        skip: bool,
    ) -> Result<Option<Frame>> {
        let target = self.target;
        let mut best: Option<Frame> = None;
        let (mut decoded, mut turn) = (0, self.turn);
        let mut take = |frame: Frame| {
            decoded += 1;
            turn = frame.turn().or(turn);
            if let Some(pts) = frame.pts().filter(|pts| *pts <= target)
                && best.as_ref().and_then(Frame::pts).is_none_or(|than| pts > than)
            {
                best = Some(frame);
            }
            Ok(())
        };
        let last = if skip { self.wanted.1 } else { (self.wanted.1 + 1).min(self.packets.len() - 1) };
        decoder.set_skip(Skip::Nothing);
        for packet in lead {
            self.token.check()?;
            decoder.push(Some(packet), &mut take)?;
        }
        for (at, packet) in self.packets.iter().enumerate().take(last + 1).skip(start) {
            self.token.check()?;
            let keep = !skip || at == self.wanted.1 || at == start;
            decoder.set_skip(if keep { Skip::Nothing } else { Skip::NonReference });
            decoder.push(Some(packet), &mut take)?;
        }
        decoder.push(None, &mut take)?;
        self.decoded += decoded;
        self.turn = turn;
        Ok(best)
    }
}
