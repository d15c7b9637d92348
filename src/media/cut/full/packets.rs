//! The packets of one range, in the order they are to be decoded, placed on a clock that holes do not stop.

use crate::base::time::{SECOND, TimeBase};
use crate::base::{Error, Kind, Result, Span, Timestamp, Token};
use crate::media::Clip;
use crate::media::cut::CutSource;
use crate::media::ffi::{Packet, Skip, StreamInfo};
use crate::media::frame::lead_in;
use crate::media::sound::Placement;
use crate::media::source::{ClipReader, Want};
use crate::media::timeline::{Anchor, Joiner};
use std::collections::VecDeque;

/// Audio packets read of a neighbouring clip: more than a second, where streams are interleaved within 64 ms.
const NEIGHBOUR_SOUND: usize = 64;

/// What times are told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    pub base: TimeBase,
    /// Ticks from one picture to the next, where nothing else is known; at least 1.
    pub step: i64,
}

/// A picture of the range, before it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// On the range's content clock.
    pub pts: i64,
    pub wall: Timestamp,
    /// Counts the runs of the source from 0.
    pub run: usize,
}

pub enum Event {
    /// A clip begins; [`Packets::clip`] has its streams.
    Clip {
        joined: bool,
    },
    Picture {
        packet: Packet,
        wanted: Option<Wanted>,
        skip: Skip,
    },
    Sound {
        packet: Packet,
        placement: Placement,
        base: TimeBase,
    },
    /// A run ends; its last picture lasts until `end` on the content clock.
    RunEnd {
        end: i64,
    },
}

pub struct Packets<'a> {
    source: &'a CutSource,
    span: Span,
    token: &'a Token,
    want: Want,
    run: usize,
    /// The next clip of the run.
    at: usize,
    open: Option<Open<'a>>,
    queue: VecDeque<Event>,
    joiner: Option<(TimeBase, Joiner)>,
    /// Where the last wanted picture so far ends.
    content_end: Option<i64>,
    frame_ticks: i64,
}

struct Open<'a> {
    reader: ClipReader,
    video: StreamInfo,
    anchor: Anchor,
    placement: Placement,
    before: Option<&'a Clip>,
    whole: bool,
    /// Nothing is sent before the keyframe from which the first wanted picture can be decoded.
    held: Vec<Packet>,
    started: bool,
    primed: bool,
}

impl<'a> Packets<'a> {
    pub fn new(source: &'a CutSource, span: Span, want: Want, token: &'a Token) -> Self {
        Self {
            source,
            span,
            token,
            want,
            run: 0,
            at: 0,
            open: None,
            queue: VecDeque::new(),
            joiner: None,
            content_end: None,
            frame_ticks: 0,
        }
    }

    /// The content clock and the usual distance between two pictures on it, 25 a second where nothing tells; `None`
    /// before the first clip.
    pub fn clock(&self) -> Option<Clock> {
        let (base, _) = self.joiner.as_ref()?;
        let step =
            if self.frame_ticks > 0 { self.frame_ticks } else { TimeBase::new(1, 25).rescale(1, *base) };
        Some(Clock { base: *base, step: step.max(1) })
    }

    /// The clip at hand, with its video stream.
    pub fn clip(&self) -> Option<(&ClipReader, &StreamInfo)> {
        self.open.as_ref().map(|it| (&it.reader, &it.video))
    }

    /// Leaves the clip at hand. False where it had to be whole, and its damage cannot be passed over.
    pub fn give_up(&mut self) -> bool {
        self.queue.clear();
        self.open.take().is_some_and(|it| !it.whole)
    }

    /// The next event, `None` at the end of the range.
    pub fn next(&mut self) -> Result<Option<Event>> {
        loop {
            self.token.check()?;
            if let Some(event) = self.queue.pop_front() {
                return Ok(Some(event));
            }
            let stepped = match &self.open {
                Some(_) => self.step(),
                None => match self.source.runs.get(self.run) {
                    None => return Ok(None),
                    Some(clips) => match clips.get(self.at) {
                        Some(clip) => self.begin(clip),
                        None => self.end_run(),
                    },
                },
            };
            match stepped {
                // A clip that may stop early (suspect, partial) may also hold nothing that can be read.
                Err(error) if error.kind == Kind::Damaged && self.passable() => {
                    self.give_up();
                }
                outcome => outcome?,
            }
        }
    }

    /// Whether the clip at hand, or the one that could not be opened, may stop early.
    fn passable(&self) -> bool {
        let tried = self.source.runs.get(self.run).and_then(|run| run.get(self.at.checked_sub(1)?));
        tried.is_some_and(|clip| !clip.whole)
    }

    fn begin(&mut self, clip: &'a Clip) -> Result<()> {
        let first = self.run == 0 && self.at == 0;
        let joined = self.at > 0;
        self.at += 1;
        let reader = self.source.open(clip, self.want, self.token)?;
        let (Some(video), Some(anchor)) = (reader.video.clone(), reader.anchor) else {
            return Err(Error::damaged("a segment of the span holds no picture"));
        };
        if reader.frame_ticks > 0 {
            self.frame_ticks = reader.frame_ticks;
        }
        let (base, joiner) =
            self.joiner.get_or_insert_with(|| (video.time_base, Joiner::new(video.time_base)));
        // The last picture before ends where this clip starts, unless something is missing between.
        // 0 lies a second or two before what is wanted, so that nothing is held of a long clip.
        let unwanted = ((self.span.start - clip.start) / SECOND - 1).max(0) * SECOND;
        let begin = -TimeBase::MICROS.rescale(unwanted, *base);
        let at = joiner.place(anchor, joined, self.content_end.unwrap_or(begin));
        let placement = Placement { anchor, at, video_base: *base };
        self.queue.push_back(Event::Clip { joined });
        let before = self.source.before.as_ref().filter(|_| first);
        if let (Some(before), Want::Both, Some(_)) = (before, self.want, &reader.audio) {
            self.sound_before(before, placement)?;
        }
        self.open = Some(Open {
            reader,
            video,
            anchor,
            placement,
            before,
            whole: clip.whole,
            held: Vec::new(),
            started: joined && self.content_end.is_some(),
            primed: false,
        });
        Ok(())
    }

    /// Reads one packet of the clip at hand.
    fn step(&mut self) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let Some(packet) = open.reader.read()? else {
            let held = std::mem::take(&mut open.held);
            self.send(held);
            self.open = None;
            return Ok(());
        };
        if open.reader.is_audio(&packet) {
            if let Some(audio) = &open.reader.audio {
                let (placement, base) = (open.placement, audio.time_base);
                // A decoder needs some of what comes before.
                let early = -TimeBase::new(1, 1).rescale(1, placement.video_base);
                if packet.pts().is_some_and(|pts| placement.ticks(pts, base) < early) {
                    return Ok(());
                }
                self.queue.push_back(Event::Sound { packet, placement, base });
            }
            return Ok(());
        }
        if !open.reader.is_video(&packet) {
            return Ok(());
        }
        if open.started {
            self.send(vec![packet]);
            return Ok(());
        }
        let Some(pts) = packet.pts() else {
            open.held.push(packet);
            return Ok(());
        };
        if packet.is_key() && open.anchor.wall_of(pts).micros() <= self.span.start.micros() {
            open.held.clear();
            open.primed = true;
        }
        let decoding = packet.dts().unwrap_or(pts);
        let inside = open.anchor.is_inside(pts, self.span);
        open.held.push(packet);
        if inside || open.anchor.wall_of(decoding) >= self.span.start {
            open.started = true;
            let shown_first = |packet: &Packet| packet.pts() == Some(open.anchor.ticks);
            let alone = open.held.first().is_some_and(|it| it.is_key() && (open.primed || shown_first(it)));
            let held = std::mem::take(&mut open.held);
            // Who only counts needs nothing to decode from.
            if let Some(before) = open.before.filter(|_| !alone && self.want == Want::Both) {
                for packet in lead_in(before, self.token)? {
                    self.queue.push_back(Event::Picture { packet, wanted: None, skip: Skip::Nothing });
                }
            }
            self.send(held);
        }
        Ok(())
    }

    /// Places pictures on the content clock. What is only needed after the span's end is left out.
    fn send(&mut self, packets: Vec<Packet>) {
        let Some(Open { anchor, placement, .. }) = &self.open else { return };
        let base = placement.video_base;
        let place = |ticks: i64| anchor.base.rescale(ticks - anchor.ticks, base) + placement.at;
        for mut packet in packets {
            let (pts, dts) = (packet.pts(), packet.dts());
            let inside = pts.filter(|pts| anchor.is_inside(*pts, self.span));
            if inside.is_none() && dts.or(pts).is_some_and(|time| anchor.wall_of(time) >= self.span.end) {
                continue;
            }
            let wanted =
                inside.map(|pts| Wanted { pts: place(pts), wall: anchor.wall_of(pts), run: self.run });
            if let Some(wanted) = wanted {
                let end = wanted.pts + self.frame_ticks;
                self.content_end = Some(self.content_end.map_or(end, |it| it.max(end)));
            }
            packet.set_times(pts.map(place), dts.map(place));
            // A packet without a time may be the second field of a wanted picture.
            let skip = if inside.is_some() || pts.is_none() { Skip::Nothing } else { Skip::NonReference };
            self.queue.push_back(Event::Picture { packet, wanted, skip });
        }
    }

    fn end_run(&mut self) -> Result<()> {
        let last = self.run + 1 == self.source.runs.len();
        (self.run, self.at) = (self.run + 1, 0);
        let end = self.content_end.unwrap_or(0);
        if let (true, Some(after), Want::Both, Some(_)) =
            (last, &self.source.after, self.want, self.content_end)
        {
            self.sound_after(after, end)?;
        }
        self.queue.push_back(Event::RunEnd { end });
        Ok(())
    }

    /// The sound at the end of the clip before the first one; it also primes the decoder.
    fn sound_before(&mut self, clip: &Clip, first: Placement) -> Result<()> {
        let Ok(mut reader) = ClipReader::open(clip, Want::Both, self.token) else { return Ok(()) };
        let (Some(audio), Some(anchor)) = (reader.audio.clone(), reader.anchor) else { return Ok(()) };
        let mut joiner = Joiner::new(first.video_base);
        joiner.place(anchor, false, 0);
        // Placed so that the first clip comes out where it is.
        let distance = joiner.place(first.anchor, true, i64::MAX);
        if distance == i64::MAX {
            return Ok(());
        }
        let placement = Placement { anchor, at: first.at - distance, video_base: first.video_base };
        let mut packets = VecDeque::new();
        while let Some(packet) = reader.read()? {
            if packet.stream() == audio.index {
                packets.push_back(packet);
                if packets.len() > NEIGHBOUR_SOUND {
                    packets.pop_front();
                }
            }
        }
        let sound = |packet| Event::Sound { packet, placement, base: audio.time_base };
        self.queue.extend(packets.into_iter().map(sound));
        Ok(())
    }

    /// The sound of the clip after the last one, as far as it belongs to the last picture, which ends at `end`.
    fn sound_after(&mut self, clip: &Clip, end: i64) -> Result<()> {
        let Ok(mut reader) = ClipReader::open(clip, Want::Both, self.token) else { return Ok(()) };
        let (Some(audio), Some(anchor)) = (reader.audio.clone(), reader.anchor) else { return Ok(()) };
        let Some((base, joiner)) = &mut self.joiner else { return Ok(()) };
        let placement = Placement { anchor, at: joiner.place(anchor, true, end), video_base: *base };
        let mut looked = 0;
        while looked < NEIGHBOUR_SOUND
            && let Some(packet) = reader.read()?
        {
            if packet.stream() != audio.index {
                continue;
            }
            looked += 1;
            let beyond = packet.pts().is_some_and(|pts| placement.ticks(pts, audio.time_base) >= end);
            self.queue.push_back(Event::Sound { packet, placement, base: audio.time_base });
            if beyond {
                break;
            }
        }
        Ok(())
    }
}
