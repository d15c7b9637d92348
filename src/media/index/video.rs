//! Cuts a video stream into access units as its bytes come, without holding them.

use super::place::{Place, Places, Times};
use super::sets::{ParameterState, Sets};
use super::syntax::{Picture, Piece, Syntax};
use super::times::{self, Timing};
use super::{AccessUnit, MAX_UNITS, Scan, UnitClass, VideoCodec, VideoFormat, VideoTrack};
use crate::base::{Error, Result};
use crate::media::nal::StartCodes;
use crate::media::nal::prefixed::Sizes;
use crate::media::ts::pes::Chunk;

/// The access unit being read.
#[derive(Debug)]
struct Open {
    place: Place,
    times: Option<Times>,
    random_access: bool,
    damaged: bool,
    picture: Option<Picture>,
    state: u16,
    sizes: Sizes,
    /// Where bytes were left out that a reader which starts with this unit would take for its own.
    cut: Option<u64>,
}

/// Reads one video stream.
#[derive(Debug)]
pub struct VideoScanner {
    pid: u16,
    stream_type: u8,
    codec: VideoCodec,
    syntax: Option<Syntax>,
    codes: StartCodes,
    places: Places,
    sets: Sets,
    /// The last four bytes before the current chunk.
    tail: u32,
    /// The beginning of the unit of the byte stream being read, while more of it is wanted.
    unit: Vec<u8>,
    wanted: usize,
    reading: bool,
    unit_place: Place,
    /// Where the unit of the byte stream begins whose length is not known yet, and zeros taken last.
    begun: Option<u64>,
    zeros: u64,
    /// Where bytes were left out last.
    cut: Option<u64>,
    open: Option<Open>,
    units: Vec<AccessUnit>,
    timing: Vec<Timing>,
    scan: Option<Scan>,
}

impl VideoScanner {
    pub fn new(pid: u16, stream_type: u8, codec: VideoCodec) -> Self {
        Self {
            pid,
            stream_type,
            codec,
            syntax: Syntax::new(codec),
            codes: StartCodes::default(),
            places: Places::default(),
            sets: Sets::default(),
            tail: u32::MAX,
            unit: Vec::new(),
            wanted: 0,
            reading: false,
            unit_place: Place::default(),
            begun: None,
            zeros: 0,
            cut: None,
            open: None,
            units: Vec::new(),
            timing: Vec::new(),
            scan: None,
        }
    }

    pub fn push(&mut self, chunk: &Chunk<'_>, packet: u64, reference: &mut Option<i64>) -> Result<()> {
        if chunk.gap {
            // Bytes on both sides of a gap are no unit and no start code.
            self.tail = u32::MAX;
            self.reading = false;
            self.begun = None;
            self.zeros = 0;
            if let Some(open) = &mut self.open {
                open.damaged = true;
            }
        }
        let position = self.places.advance(chunk, packet, reference);
        let end = position + chunk.bytes.len() as u64;
        self.take(chunk, position)?;
        if chunk.cut {
            self.cut = Some(end);
            if let Some(open) = self.open.as_mut().filter(|it| it.place.skip != 0) {
                open.cut.get_or_insert(end);
            }
        }
        Ok(())
    }

    /// The bytes of a chunk, which begins at `position`.
    fn take(&mut self, chunk: &Chunk<'_>, position: u64) -> Result<()> {
        if self.syntax.is_none() {
            if chunk.begins.is_some() {
                let place = self.places.place(position);
                self.open_unit(place)?;
                self.begin(Picture::default());
            }
            return Ok(());
        }
        let bytes = chunk.bytes;
        let mut at = 0;
        while let Some(end) = self.next_code(bytes, at) {
            if self.reading {
                // The code may have begun in the chunk before; then its zeros are among what was kept.
                self.keep(&bytes[at..end.saturating_sub(3).max(at)])?;
                self.finish_unit()?;
            }
            let zeros = self.zeros_before(&bytes[..end - 1]);
            self.measure((position + end as u64 - 1).saturating_sub(zeros));
            self.begin_unit(bytes, position, end);
            at = end;
        }
        if self.reading {
            self.keep(&bytes[at..])?;
        }
        self.zeros = self.zeros_before(bytes);
        for byte in &bytes[bytes.len().saturating_sub(4)..] {
            self.tail = self.tail << 8 | u32::from(*byte);
        }
        Ok(())
    }

    /// Zeros at the end of what was taken, `bytes` of this chunk included.
    fn zeros_before(&self, bytes: &[u8]) -> u64 {
        match bytes.iter().rposition(|it| *it != 0) {
            Some(at) => (bytes.len() - at - 1) as u64,
            None => bytes.len() as u64 + self.zeros,
        }
    }

    /// The unit of the byte stream that was begun ends at `position`: what it adds to the picture it belongs to.
    fn measure(&mut self, position: u64) {
        let length = self.begun.take().map_or(0, |from| position.saturating_sub(from));
        let hevc = self.codec == VideoCodec::Hevc;
        if let (Some(open), Some(head), 1..) = (&mut self.open, self.unit.first(), length) {
            open.sizes.add(*head, length, hevc);
        }
    }

    /// Index after the next start code that ends behind `from`.
    fn next_code(&self, bytes: &[u8], from: usize) -> Option<usize> {
        if from == 0 {
            match *bytes {
                [1, ..] if self.tail & 0xffff == 0 => return Some(1),
                [0, 1, ..] if self.tail & 0xff == 0 => return Some(2),
                _ => {}
            }
        }
        self.codes.find(&bytes[from..]).map(|it| from + it + 3)
    }

    /// A start code ended at `end` of the chunk at `position`.
    fn begin_unit(&mut self, bytes: &[u8], position: u64, end: usize) {
        let before = match end {
            0..3 => self.tail >> (8 * (3 - end)) & 0xff,
            3 => self.tail & 0xff,
            _ => u32::from(bytes[end - 4]),
        };
        let mut start = (position + end as u64).saturating_sub(3);
        // A zero byte before belongs to the code (zero_byte, H.264 §B.1.1), but not out of the PES packet before.
        if before == 0 && start > 0 && start != self.places.pes_position() {
            start -= 1;
        }
        self.unit_place = self.places.place(start);
        self.unit.clear();
        self.begun = Some(position + end as u64);
        self.wanted = self.syntax.as_ref().map_or(1, Syntax::header_bytes);
        self.reading = true;
    }

    /// Takes bytes of the unit being read, until there are enough of them.
    fn keep(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at((self.wanted - self.unit.len()).min(bytes.len()));
            self.unit.extend_from_slice(now);
            bytes = later;
            if self.unit.len() < self.wanted {
                return Ok(());
            }
            let wanted = self.syntax.as_ref().map_or(0, |it| it.wanted(&self.unit));
            if wanted <= self.unit.len() {
                return self.finish_unit();
            }
            self.wanted = wanted;
        }
        Ok(())
    }

    /// Reads the unit's kept bytes, once.
    fn finish_unit(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.reading) {
            return Ok(());
        }
        let Some(syntax) = &mut self.syntax else { return Ok(()) };
        if self.unit.is_empty() {
            return Ok(());
        }
        let piece = syntax.take(&self.unit, &mut self.sets);
        if self.sets.overflow {
            return Err(Error::damaged("the segment changes its parameters more often than any real stream"));
        }
        let has_picture = self.open.as_ref().is_some_and(|it| it.picture.is_some());
        let opens = match piece {
            Piece::Opens | Piece::Begins(_) => has_picture,
            Piece::Follows | Piece::Goes(_) | Piece::Amends(_) => false,
        };
        if opens || self.open.is_none() {
            self.open_unit(self.unit_place)?;
        }
        match piece {
            Piece::Begins(picture) => self.begin(picture),
            Piece::Goes(picture_type) => match self.open.as_mut().and_then(|it| it.picture.as_mut()) {
                Some(picture) => picture.picture_type = picture.picture_type.max(picture_type),
                // The segment begins inside a picture.
                None => self.begin(Picture { picture_type, whole: false, ..Picture::default() }),
            },
            Piece::Amends(picture) => {
                self.scan = self.scan.or(picture.scan);
                if let Some(open) = &mut self.open {
                    open.picture = Some(picture);
                }
            }
            Piece::Follows | Piece::Opens => {}
        }
        Ok(())
    }

    fn begin(&mut self, picture: Picture) {
        // MPEG-2 tells the scan of a picture a little later.
        if self.codec != VideoCodec::Mpeg2 {
            self.scan = self.scan.or(picture.scan);
        }
        let state = self.sets.state(picture.active);
        if let Some(open) = &mut self.open {
            open.picture = Some(picture);
            open.damaged |= !picture.whole;
            open.state = state;
        }
    }

    /// Ends the unit being read at `place`, and begins the next there.
    fn open_unit(&mut self, place: Place) -> Result<()> {
        self.close(place.position)?;
        let (times, random_access) = self.places.take_times(place.position);
        self.open = Some(Open {
            place,
            times,
            random_access,
            damaged: false,
            picture: None,
            state: 0,
            sizes: Sizes::default(),
            // It is opened when its first unit of the byte stream is read, which may have been cut.
            cut: self.cut.filter(|it| *it > place.position && place.skip != 0),
        });
        Ok(())
    }

    fn close(&mut self, position: u64) -> Result<()> {
        // A last unit without a picture is the beginning of one that the segment does not hold.
        let Some(Open { place, times, random_access, damaged, picture: Some(picture), state, sizes, cut }) =
            self.open.take()
        else {
            return Ok(());
        };
        let damaged = damaged || cut.is_some_and(|at| at < position);
        if self.units.len() >= MAX_UNITS {
            return Err(Error::damaged(format!("the segment has more than {MAX_UNITS} pictures")));
        }
        let class = match picture.class {
            UnitClass::Other if self.syntax.is_none() && random_access => UnitClass::KeyOpen,
            class => class,
        };
        let Times { pts, dts } = times.unwrap_or(Times { pts: 0, dts: 0 });
        let size = u32::try_from(position.saturating_sub(place.position)).unwrap_or(u32::MAX);
        let sizes = match self.codec {
            VideoCodec::H264 | VideoCodec::Hevc => sizes,
            VideoCodec::Mpeg2 | VideoCodec::Vp9 | VideoCodec::Av1 | VideoCodec::Other(_) => {
                Sizes { payload: size, sets: 0 }
            }
        };
        self.units.push(AccessUnit {
            pts,
            dts,
            offset: place.offset,
            end: 0,
            skip: place.skip,
            size,
            payload: sizes.payload,
            sets: sizes.sets,
            class,
            picture_type: picture.picture_type,
            reference: picture.reference,
            second_field: picture.second_field,
            estimated: times.is_none(),
            damaged,
            parameter_set: state,
        });
        let Picture { order, sequence, field, .. } = picture;
        self.timing.push(Timing { order, sequence, field });
        Ok(())
    }

    /// The track, once the segment of `bytes` bytes is read.
    pub fn finish(mut self, bytes: u64) -> Result<VideoTrack> {
        self.finish_unit()?;
        self.measure(self.places.taken().saturating_sub(self.zeros));
        self.close(self.places.taken())?;
        let (codec, sets) = (self.codec, self.sets.sets);
        let states: Vec<ParameterState> = self
            .sets
            .states
            .into_iter()
            .map(|(force, active)| {
                let set = active.and_then(|it| sets.get(usize::from(it)));
                let format = set.and_then(|it| VideoFormat::of(codec, it)).unwrap_or_default();
                ParameterState { sets: force, active, format }
            })
            .collect();
        let frame = states.iter().find_map(|it| it.format.frame_ticks());
        times::fill(&mut self.units, &self.timing, frame);
        let mut track = VideoTrack {
            pid: self.pid,
            stream_type: self.stream_type,
            codec,
            sets,
            states,
            units: self.units,
            scan: self.scan.unwrap_or_default(),
            reorder: 0,
            has_b: false,
        };
        track.derive(bytes);
        Ok(track)
    }
}
