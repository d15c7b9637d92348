//! From a coded picture to a decoded one: the run of pictures it is decoded in, and what of it is read.

use super::find::{Found, Place, track};
use super::pictures::{Gop, GopKey, PictureKey};
use crate::archive::Segment;
use crate::base::{Error, Kind, Result, Token};
use crate::media::frame::{self, Still};
use crate::media::gop::{Coded, GopDecoder, Run, is_plain};
use crate::media::index::{ElementaryReader, UnitClass, VideoTrack};
use crate::media::turn::Turn;
use crate::render::index::SegmentIndex;
use crate::render::{Parts, clips};
use std::collections::VecDeque;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Coded bytes read at once: a group of five seconds at 100 Mbit/s. Longer ones are left to libav's own reading.
const MAX_READ: u64 = 64 << 20;

/// Pictures decoded last on the way that are kept beside the wanted one: whoever looks at it looks at its neighbours next.
const NEIGHBOURS: usize = 3;
/// The same where a decoder had to begin again: who goes back once goes back again.
const NEIGHBOURS_BACK: usize = 12;

/// Coded pictures of a segment, a part of a run.
struct Stretch {
    segment: Segment,
    id: super::find::Id,
    index: Arc<SegmentIndex>,
    units: Range<usize>,
}

impl Stretch {
    fn track(&self) -> Result<&VideoTrack> {
        track(&self.index.index).ok_or_else(|| Error::internal("an index lost its pictures"))
    }
}

/// Coded pictures from where decoding begins to the end of the segment.
pub(super) struct Chain {
    stretches: Vec<Stretch>,
    run: Run,
    /// The position of the wanted picture.
    pub wanted: usize,
}

/// The group a found picture is decoded in, and its position there; `None` where it is left to libav.
pub(super) fn gop_of(found: &Found) -> Option<(GopKey, usize)> {
    let Place { index, unit } = found.place.as_ref()?;
    let track = track(&index.index)?;
    if !is_plain(track) || track.units[*unit].damaged {
        return None;
    }
    match track.decode_start(*unit) {
        Some(from) => Some((GopKey { segment: found.id, from: Some(from) }, unit - from)),
        // How far into the run it is is known once the segment before is looked at; until then they wait for their turn.
        None => Some((GopKey { segment: found.id, from: None }, usize::MAX)),
    }
}

impl Parts {
    /// The run a picture is decoded in; `None` where there is none.
    fn chain(&self, found: &Found, key: GopKey, token: &Token) -> Result<Option<Chain>> {
        let Some(Place { index, unit }) = &found.place else { return Ok(None) };
        let own = |from: usize| {
            let units = track(&index.index).map_or(0, |it| it.units.len());
            Stretch {
                segment: found.segment.clone(),
                id: found.id,
                index: Arc::clone(index),
                units: from..units,
            }
        };
        let mut stretches = Vec::new();
        let wanted = match key.from {
            Some(from) => {
                stretches.push(own(from));
                unit - from
            }
            None => {
                let Some(lead) = self.lead(found, token)? else { return Ok(None) };
                let wanted = lead.units.len() + unit;
                stretches.extend([lead, own(0)]);
                wanted
            }
        };
        let mut coded = Vec::new();
        for stretch in &stretches {
            coded.extend(stretch.track()?.units[stretch.units.clone()].iter().map(Coded::from));
        }
        let codec = stretches[0].track()?.codec;
        Ok(Some(Chain { run: Run::new(coded, codec), stretches, wanted }))
    }

    /// The end of the segment before, from its last picture on where decoding may begin.
    fn lead(&self, found: &Found, token: &Token) -> Result<Option<Stretch>> {
        let Some(before) = clips::segment_before(&self.archive, &found.segment)? else { return Ok(None) };
        let Some(index) = self.index_made(&before, token)? else { return Ok(None) };
        let own = found.place.as_ref().and_then(|it| track(&it.index.index));
        let (Some(own), Some(lead)) = (own, track(&index.index)) else { return Ok(None) };
        let Some(from) = lead.random_access_before(lead.units.len()) else { return Ok(None) };
        let plain = is_plain(lead)
            && lead.codec == own.codec
            && !lead.units[from..].iter().any(|it| it.damaged)
            && !matches!(lead.units[from].class, UnitClass::RecoveryPoint { frames } if frames > 0);
        let units = from..lead.units.len();
        let id = self.segment_id(&before)?;
        Ok(plain.then_some(Stretch { segment: before, id, index, units }))
    }

    /// Decodes the picture that was found, with those others wait for and that lie on the way; all are kept. `decoder` is
    /// where the one before left it, and is left where the next may go on.
    pub(super) fn decode(
        &self,
        found: &Found,
        group: Option<(GopKey, &Gop)>,
        decoder: &mut Option<GopDecoder>,
        token: &Token,
    ) -> Result<Arc<Still>> {
        if let Some((key, gop)) = group
            && let Some(chain) = self.chain(found, key, token)?
        {
            let from = if decoder.is_some() { "warm" } else { "cold" };
            match self.decode_chain(&chain, gop, decoder, token) {
                Ok(Some(still)) => {
                    self.metrics.frame_reads.with_label_values(&[from]).inc();
                    return Ok(still);
                }
                Ok(None) => *decoder = None,
                // What is wrong with it is for libav to make the best of.
                Err(error) if error.kind == Kind::Damaged => *decoder = None,
                Err(error) => return Err(error),
            }
        }
        self.metrics.frame_reads.with_label_values(&["plain"]).inc();
        self.decode_plainly(found, token)
    }

    /// By libav alone, from the segment's beginning.
    fn decode_plainly(&self, found: &Found, token: &Token) -> Result<Arc<Still>> {
        let before = clips::before(&self.archive, &found.segment)?;
        let clip = clips::clip(&self.archive, &found.segment);
        let at = found.facts.map_or(found.at, |it| it.time);
        let picture = frame::extract(before.as_ref(), &clip, at, token)?;
        self.metrics.media_decoded.with_label_values(&["frame"]).inc_by(picture.decoded as u64);
        let still = Arc::new(Still { frame: picture.frame, turn: picture.turn });
        if let Some(place) = &found.place {
            self.pictures.keep_decoded((found.id, place.unit), Arc::clone(&still));
        }
        Ok(still)
    }

    fn decode_chain(
        &self,
        chain: &Chain,
        gop: &Gop,
        decoder: &mut Option<GopDecoder>,
        token: &Token,
    ) -> Result<Option<Arc<Still>>> {
        let codec = chain.stretches[0].track()?.codec;
        let decoder = match decoder {
            Some(decoder) => decoder,
            None => match GopDecoder::open(codec)? {
                Some(fresh) => decoder.insert(fresh),
                None => return Ok(None),
            },
        };
        let also = gop.wanted();
        // Who wants the first of a run wants a keyframe, and no more work than that.
        let beside = if chain.wanted == 0 { Vec::new() } else { chain.run.beside(chain.wanted) };
        let pass = chain.run.pass(decoder.next(), chain.wanted, &also, &beside);
        if pass.restart {
            decoder.restart();
        }
        let neighbours = if pass.restart { NEIGHBOURS_BACK } else { NEIGHBOURS };
        let mut last: VecDeque<(PictureKey, Still)> = VecDeque::new();
        let (mut found, mut first) = (None, 0);
        for stretch in &chain.stretches {
            let positions = first..first + stretch.units.len();
            let feed: Vec<usize> = pass.feed.iter().copied().filter(|it| positions.contains(it)).collect();
            first = positions.end;
            let (Some(begin), Some(end)) = (feed.first(), feed.last()) else { continue };
            let track = stretch.track()?;
            let unit = |position: usize| stretch.units.start + position - positions.start;
            let window = self.window(stretch, track, unit(*begin)..unit(*end) + 1)?;
            let reader = ElementaryReader::window(&window.1, window.0, track.pid);
            for position in feed {
                token.check()?;
                let coded = &track.units[unit(position)];
                let mut bytes = Vec::with_capacity(coded.size as usize + 64);
                reader.read(coded.extent(), &mut bytes)?;
                let Some(frame) = decoder.feed(position, track, coded, bytes)? else { continue };
                self.metrics.media_decoded.with_label_values(&["frame"]).inc();
                let (key, still) = ((stretch.id, unit(position)), Still { frame, turn: Turn::NONE });
                // Where intra blocks wander, pictures beside the wanted one may be right from an earlier beginning only.
                let right = || {
                    let start = track.decode_start(unit(position));
                    chain.stretches.len() > 1 || start.is_some_and(|it| it >= stretch.units.start)
                };
                if position == chain.wanted {
                    found = Some((key, Arc::new(still)));
                } else if !right() {
                    continue;
                } else if position > chain.wanted || also.contains(&position) || beside.contains(&position) {
                    // What is decoded for the frame after it is itself shown soon.
                    self.pictures.keep_decoded(key, Arc::new(still));
                } else {
                    last.push_back((key, still));
                    if last.len() > neighbours {
                        last.pop_front();
                    }
                }
            }
        }
        for (key, still) in last {
            self.pictures.keep_decoded(key, Arc::new(still));
        }
        // Of two fields the picture is whole only now.
        Ok(found.map(|(key, still)| {
            self.pictures.keep_decoded(key, Arc::clone(&still));
            still
        }))
    }

    /// The bytes of a segment that hold some units, and where they begin.
    fn window(&self, stretch: &Stretch, track: &VideoTrack, units: Range<usize>) -> Result<(u64, Vec<u8>)> {
        let open = self.open_segment(&stretch.segment)?;
        let of = &track.units[units];
        let start = of.first().map_or(0, |it| it.offset);
        let end = of.last().map_or(0, |it| it.end).min(open.len);
        let length = end.saturating_sub(start);
        if length > MAX_READ {
            return Err(Error::damaged("the group of pictures is longer than 64 MiB"));
        }
        let mut bytes = vec![0; length as usize];
        let unreadable = |fault: std::io::Error| Error::io("a segment cannot be read", &fault);
        open.file.read_exact_at(&mut bytes, start).map_err(unreadable)?;
        Ok((start, bytes))
    }
}
