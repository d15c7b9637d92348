//! The full cut: every picture of a span decoded once, encoded anew, and streamed as MPEG-TS while it is made.

use super::{CutSource, CutSummary, FullCutOptions, output::Output};
use crate::base::time::TimeBase;
use crate::base::{Error, Result, Span, Token};
use crate::media::ffi::{Decoder, Frame, FrameMut, Packet, PixelFormat, Scaler, Skip};
use crate::media::sound::{Placement, SoundDecoder, SoundFormat, SoundTrack};
use crate::media::source::{ClipReader, Want};
use crate::media::timeline::{Anchor, Joiner};
use crate::media::{Clip, Sink, colour::Colour, frame::lead_in};
use std::collections::{BTreeSet, VecDeque};

/// Audio packets read before a clip is taken to have no sound.
const SOUND_LOOK_AHEAD: usize = 64;

/// Cuts `span` out of `source`, encodes it as H.264 and AAC, and writes MPEG-TS to `sink` as it comes.
///
/// # Errors
/// `damaged-media` when no picture of the span can be decoded; whatever the sink says when its receiver is gone.
pub fn full(
    source: &CutSource,
    span: Span,
    options: &FullCutOptions,
    token: &Token,
    sink: &mut dyn Sink,
) -> Result<CutSummary> {
    let format = sound_format(source, token)?;
    let mut cut = Cut {
        span,
        token,
        output: Output::new(options, format, sink),
        sound: format.map(SoundTrack::new),
        sound_decoder: SoundDecoder::default(),
        video: None,
        joiner: None,
        wanted: BTreeSet::new(),
        first: None,
        content_end: 0,
        frame_ticks: 0,
        last_pts: None,
        summary: CutSummary::default(),
        scaler: None,
    };
    cut.run(source)?;
    if cut.summary.frames == 0 {
        return Err(Error::damaged("no picture of the span can be decoded"));
    }
    cut.finish()
}

/// Rate and channels of the source's sound: those of the first clip that has any, among the first few.
fn sound_format(source: &CutSource, token: &Token) -> Result<Option<SoundFormat>> {
    for clip in source.runs.iter().flatten().take(3) {
        let mut reader = ClipReader::open(clip, Want::Both, token)?;
        let Some(stream) = reader.audio.clone() else { continue };
        let mut decoder = SoundDecoder::default();
        decoder.prepare(&reader.demuxer, &stream)?;
        let (mut found, mut looked) = (None, 0);
        while found.is_none()
            && looked < SOUND_LOOK_AHEAD
            && let Some(packet) = reader.read()?
        {
            if packet.stream() == stream.index {
                looked += 1;
                decoder.push(&packet, None, |frame| {
                    if frame.sample_rate() > 0 && (1..=8).contains(&frame.channels()) {
                        found = Some(SoundFormat { rate: frame.sample_rate(), channels: frame.channels() });
                    }
                    Ok(())
                })?;
            }
        }
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

struct Cut<'a> {
    span: Span,
    token: &'a Token,
    output: Output<'a>,
    sound: Option<SoundTrack>,
    sound_decoder: SoundDecoder,
    /// The running decoder, with the codec it is for.
    video: Option<(u32, Decoder)>,
    joiner: Option<(TimeBase, Joiner)>,
    /// Output times of pictures sent to the decoder that belong to the cut.
    wanted: BTreeSet<i64>,
    /// Output time of the cut's first picture.
    first: Option<i64>,
    /// Where the last picture encoded so far ends, on the joiner's clock.
    content_end: i64,
    frame_ticks: i64,
    last_pts: Option<i64>,
    summary: CutSummary,
    scaler: Option<(PixelFormat, usize, usize, Scaler)>,
}

impl Cut<'_> {
    fn run(&mut self, source: &CutSource) -> Result<()> {
        let last_run = source.runs.len().saturating_sub(1);
        for (run, clips) in source.runs.iter().enumerate() {
            for (at, clip) in clips.iter().enumerate() {
                let first = run == 0 && at == 0;
                let before = source.before.as_ref().filter(|_| first);
                match self.clip(clip, before, at > 0) {
                    // A clip that may stop early (suspect, partial) may also hold nothing that can be read.
                    Err(error) if error.kind == crate::base::Kind::Damaged && !clip.whole => {}
                    outcome => outcome?,
                }
            }
            self.drain_decoder()?;
            if run == last_run
                && let Some(after) = &source.after
            {
                self.sound_after(after)?;
            }
            self.end_run()?;
        }
        Ok(())
    }

    /// Sends one clip's pictures and sound through.
    fn clip(&mut self, clip: &Clip, before: Option<&Clip>, joined: bool) -> Result<()> {
        let mut reader = ClipReader::open(clip, Want::Both, self.token)?;
        let (Some(stream), Some(anchor)) = (reader.video.clone(), reader.anchor) else {
            return Err(Error::damaged("a segment of the span holds no picture"));
        };
        if reader.frame_ticks > 0 {
            self.frame_ticks = reader.frame_ticks;
        }
        if self.video.as_ref().is_none_or(|(codec, _)| *codec != stream.codec) {
            self.drain_decoder()?;
            self.video =
                Some((stream.codec, Decoder::open(&reader.demuxer, stream.index, stream.time_base, 1)?));
        } else if !joined {
            self.restart_decoder()?;
        }
        let (base, joiner) =
            self.joiner.get_or_insert_with(|| (stream.time_base, Joiner::new(stream.time_base)));
        let base = *base;
        // The last picture before ends where this clip starts, unless something is missing between.
        let content_end = self.last_pts.map_or(0, |pts| pts + self.frame_ticks);
        let at = joiner.place(anchor, joined, content_end);
        let placement = Placement { anchor, at, video_base: base };
        if self.sound.is_some()
            && let Some(audio) = &reader.audio
        {
            self.sound_decoder.prepare(&reader.demuxer, audio)?;
        }
        if let Some(before) = before {
            self.sound_before(before, placement)?;
        }

        // Nothing is sent before the keyframe from which the first wanted picture can be decoded.
        let mut held: Vec<Packet> = Vec::new();
        let mut started = joined && self.first.is_some();
        let mut primed = false;
        while let Some(packet) = reader.read()? {
            if reader.is_audio(&packet) {
                if let Some(audio) = &reader.audio {
                    self.add_sound(&packet, placement, audio.time_base)?;
                }
                continue;
            }
            if started {
                self.send(packet, anchor, placement)?;
                continue;
            }
            let Some(pts) = packet.pts() else {
                held.push(packet);
                continue;
            };
            let wall = anchor.wall_of(pts);
            if packet.is_key() && wall.micros() <= self.span.start.micros() {
                held.clear();
                primed = true;
            }
            let decoding = packet.dts().unwrap_or(pts);
            let inside = anchor.is_inside(pts, self.span);
            held.push(packet);
            if inside || anchor.wall_of(decoding) >= self.span.start {
                started = true;
                let shown_first = |packet: &Packet| packet.pts() == Some(anchor.ticks);
                let alone = held.first().is_some_and(|it| it.is_key() && (primed || shown_first(it)));
                if let Some(before) = before.filter(|_| !alone) {
                    for packet in lead_in(before, self.token)? {
                        self.push(Some(&packet), Skip::Nothing)?;
                    }
                }
                for packet in held.drain(..) {
                    self.send(packet, anchor, placement)?;
                }
            }
        }
        for packet in held {
            self.send(packet, anchor, placement)?;
        }
        Ok(())
    }

    /// Sends one picture to the decoder, with its output time, unless everything wanted has been sent.
    fn send(&mut self, mut packet: Packet, anchor: Anchor, placement: Placement) -> Result<()> {
        let base = placement.video_base;
        let place = |ticks: i64| anchor.base.rescale(ticks - anchor.ticks, base) + placement.at;
        let (pts, dts) = (packet.pts(), packet.dts());
        let inside = pts.is_some_and(|pts| anchor.is_inside(pts, self.span));
        if !inside && dts.or(pts).is_some_and(|time| anchor.wall_of(time) >= self.span.end) {
            return Ok(());
        }
        if let Some(pts) = pts.filter(|_| inside) {
            self.wanted.insert(place(pts));
        }
        packet.set_times(pts.map(place), dts.map(place));
        // A packet without a time may be the second field of a wanted picture.
        let skip = if inside || pts.is_none() { Skip::Nothing } else { Skip::NonReference };
        self.push(Some(&packet), skip)
    }

    fn push(&mut self, packet: Option<&Packet>, skip: Skip) -> Result<()> {
        self.token.check()?;
        let Some((codec, mut decoder)) = self.video.take() else { return Ok(()) };
        decoder.set_skip(skip);
        let outcome = decoder.push(packet, |frame| self.picture(frame));
        self.video = Some((codec, decoder));
        outcome
    }

    fn drain_decoder(&mut self) -> Result<()> {
        self.push(None, Skip::Nothing)?;
        self.restart_decoder()
    }

    fn restart_decoder(&mut self) -> Result<()> {
        if let Some((_, decoder)) = &mut self.video {
            decoder.flush();
        }
        Ok(())
    }

    /// A decoded picture: encoded when it belongs to the cut.
    fn picture(&mut self, frame: Frame) -> Result<()> {
        self.summary.decoded += 1;
        let Some(pts) = frame.pts().filter(|pts| self.wanted.contains(pts)) else { return Ok(()) };
        // Times of pictures that never came (damage, second fields) are behind us for good.
        self.wanted = self.wanted.split_off(&(pts + 1));
        if self.last_pts.is_some_and(|last| pts <= last) {
            return Ok(());
        }
        let first = *self.first.get_or_insert(pts);
        self.last_pts = Some(pts);
        self.content_end = pts + self.frame_ticks;
        self.summary.frames += 1;
        let base = self.base();
        self.output.prepare(&frame, base, self.frame_ticks)?;
        let mut frame = self.fit(frame)?;
        frame.set_pts(Some(pts - first));
        frame.set_picture_type(false);
        self.output.picture(&frame)?;
        if let Some(sound) = &mut self.sound {
            sound.keep_up(base.rescale(pts, sound.format().base()));
        }
        self.drain_sound(false)
    }

    /// Pictures of another size or format than the first (the source changed) are brought to it.
    fn fit(&mut self, frame: Frame) -> Result<Frame> {
        let Some((format, width, height)) = self.output.picture_format() else { return Ok(frame) };
        let kind = (frame.format(), frame.width(), frame.height());
        if kind == (format, width, height) {
            return Ok(frame);
        }
        if self.scaler.as_ref().is_none_or(|(a, b, c, _)| (*a, *b, *c) != kind) {
            let colour = Colour::of(&frame);
            let scaler = Scaler::new(
                &frame,
                colour.matrix,
                colour.full_range,
                format,
                width,
                height,
                colour.full_range,
            )?;
            self.scaler = Some((kind.0, kind.1, kind.2, scaler));
        }
        let mut target = FrameMut::picture(format, width, height)?;
        target.copy_properties(&frame)?;
        if let Some((.., scaler)) = &mut self.scaler {
            scaler.run(&frame, &mut target)?;
        }
        Ok(target.freeze())
    }

    fn add_sound(&mut self, packet: &Packet, placement: Placement, base: TimeBase) -> Result<()> {
        let Some(track) = &mut self.sound else { return Ok(()) };
        let format = track.format();
        self.sound_decoder.push(packet, Some(format), |frame| {
            track.add(frame.pts().map(|ticks| placement.sample(ticks, base, format)), &frame)
        })?;
        Ok(())
    }

    /// The sound at the end of the clip before the first one; also primes the audio decoder.
    fn sound_before(&mut self, clip: &Clip, first: Placement) -> Result<()> {
        if self.sound.is_none() {
            return Ok(());
        }
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
                // The last second covers any interleaving seen in archives (64 ms) many times over.
                if packets.len() > 64 {
                    packets.pop_front();
                }
            }
        }
        for packet in &packets {
            self.add_sound(packet, placement, audio.time_base)?;
        }
        Ok(())
    }

    /// The sound of the clip after the last one, as far as it belongs to the last picture.
    fn sound_after(&mut self, clip: &Clip) -> Result<()> {
        if self.sound.is_none() || self.last_pts.is_none() {
            return Ok(());
        }
        let Ok(mut reader) = ClipReader::open(clip, Want::Both, self.token) else { return Ok(()) };
        let (Some(audio), Some(anchor)) = (reader.audio.clone(), reader.anchor) else { return Ok(()) };
        let content_end = self.content_end;
        let Some((base, joiner)) = &mut self.joiner else { return Ok(()) };
        let placement = Placement { anchor, at: joiner.place(anchor, true, content_end), video_base: *base };
        let base = *base;
        let mut looked = 0;
        while let Some(packet) = reader.read()? {
            if packet.stream() != audio.index {
                continue;
            }
            looked += 1;
            self.add_sound(&packet, placement, audio.time_base)?;
            let enough = self
                .sound
                .as_ref()
                .is_none_or(|it| it.end() >= base.rescale(content_end, it.format().base()));
            if enough || looked > SOUND_LOOK_AHEAD {
                break;
            }
        }
        Ok(())
    }

    fn base(&self) -> TimeBase {
        self.joiner.as_ref().map_or(TimeBase::MPEG, |(base, _)| *base)
    }

    fn end_run(&mut self) -> Result<()> {
        let base = self.base();
        if let (Some(sound), Some(_)) = (&mut self.sound, self.first) {
            let format = sound.format();
            sound.end_run(base.rescale(self.content_end, format.base()))?;
        }
        self.drain_sound(false)
    }

    /// Encodes the sound that belongs to pictures encoded so far; `last` also takes a frame that is not full.
    fn drain_sound(&mut self, last: bool) -> Result<()> {
        let base = self.base();
        let (Some(sound), Some(first)) = (&mut self.sound, self.first) else { return Ok(()) };
        let clock = sound.format().base();
        let (zero, until) = (base.rescale(first, clock), base.rescale(self.content_end, clock));
        sound.start_at(zero);
        let full = self.output.sound_frame();
        loop {
            let frame = match sound.take(full, until)? {
                None if last => sound.take(sound.available(until), until)?,
                frame => frame,
            };
            let Some(mut frame) = frame else { return Ok(()) };
            self.summary.samples += frame.samples() as u64;
            frame.set_pts(frame.pts().map(|at| at - zero));
            self.output.sound(&frame)?;
        }
    }

    fn finish(mut self) -> Result<CutSummary> {
        self.drain_sound(true)?;
        self.output.finish()?;
        Ok(self.summary)
    }
}
