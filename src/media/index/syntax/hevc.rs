//! HEVC: access units by §7.4.2.4.4 and §7.4.2.4.5, picture order by §8.3.1. Enhancement layers belong to the base
//! layer's unit.

use super::{Picture, Piece, SEI_BYTES, SLICE_BYTES};
use crate::media::index::sets::{MAX_SET_BYTES, SetKind, Sets};
use crate::media::index::{PictureType, Scan, UnitClass};
use crate::media::nal::hevc::{self, Header, Pps, SliceHeader, Sps, kind};
use crate::media::nal::{unescape, without_trailing_zeros};

#[derive(Debug)]
pub struct Hevc {
    /// By id, with the set's index.
    sps: [Option<(Sps, u16)>; 16],
    pps: [Option<Pps>; 64],
    recovery: Option<u16>,
    /// True while a picture is being read.
    inside: bool,
    /// PicOrderCntMsb and slice_pic_order_cnt_lsb of prevTid0Pic.
    order: (i64, i64),
    sequence: u32,
    /// The next CRA picture begins a sequence.
    ended: bool,
    scratch: Vec<u8>,
}

impl Default for Hevc {
    fn default() -> Self {
        Self {
            sps: [const { None }; 16],
            pps: [None; 64],
            recovery: None,
            inside: false,
            order: (0, 0),
            sequence: 0,
            ended: true,
            scratch: Vec::new(),
        }
    }
}

pub fn wanted(header: &[u8]) -> usize {
    match Header::parse(header) {
        Some(it) if it.layer > 0 => 2,
        Some(it) if it.is_slice() => SLICE_BYTES,
        Some(Header { kind: kind::VPS | kind::SPS | kind::PPS, .. }) => MAX_SET_BYTES + 1,
        Some(Header { kind: kind::PREFIX_SEI, .. }) => SEI_BYTES,
        _ => 2,
    }
}

impl Hevc {
    pub fn take(&mut self, unit: &[u8], sets: &mut Sets) -> Piece {
        let Some(header) = Header::parse(unit).filter(|it| it.layer == 0) else { return Piece::Follows };
        match header.kind {
            _ if header.is_slice() => return self.slice(unit, header),
            kind::VPS | kind::SPS | kind::PPS => self.set(header.kind, without_trailing_zeros(unit), sets),
            kind::PREFIX_SEI => {
                if self.inside {
                    self.recovery = None;
                }
                let found = hevc::recovery_point(unescape(unit, &mut self.scratch));
                self.recovery = found.or(self.recovery);
            }
            kind::END_OF_SEQUENCE => self.ended = true,
            _ => {}
        }
        if !header.opens_unit() {
            return Piece::Follows;
        }
        self.inside = false;
        Piece::Opens
    }

    fn set(&mut self, kind: u8, unit: &[u8], sets: &mut Sets) {
        let content = unescape(unit, &mut self.scratch);
        match kind {
            kind::VPS => {
                if let Some(id) = hevc::vps_id(content) {
                    sets.put(SetKind::Video, id, unit);
                }
            }
            kind::SPS => {
                if let Some(sps) = Sps::parse(content)
                    && let Some((index, _)) = sets.put(SetKind::Sequence, sps.id, unit)
                {
                    let place = usize::from(sps.id);
                    self.sps[place] = Some((sps, index));
                }
            }
            _ => {
                if let Some(pps) = Pps::parse(content)
                    && sets.put(SetKind::Picture, pps.id, unit).is_some()
                {
                    self.pps[usize::from(pps.id)] = Some(pps);
                }
            }
        }
    }

    fn slice(&mut self, unit: &[u8], header: Header) -> Piece {
        let content = unescape(unit, &mut self.scratch);
        // first_slice_segment_in_pic_flag stands before anything that needs parameter sets.
        let first = content.get(2).is_some_and(|it| it & 0x80 != 0);
        let (sps, pps) = (&self.sps, &self.pps);
        let slice = SliceHeader::parse(content, |id| {
            let pps = pps[usize::from(id)].as_ref()?;
            Some((&sps[usize::from(pps.sps_id)].as_ref()?.0, pps))
        });
        if !first && self.inside {
            return Piece::Goes(slice.and_then(|it| it.picture_type).unwrap_or_default());
        }
        self.inside = true;
        let irap = kind::IRAP.contains(&header.kind);
        let pps = slice.and_then(|it| self.pps[usize::from(it.pps_id)]);
        let sps = pps.and_then(|it| self.sps[usize::from(it.sps_id)].as_ref());
        let order = slice.zip(sps).map(|(slice, (sps, _))| {
            let restarts = irap && (header.kind != kind::CRA || self.ended);
            order(&mut self.order, &mut self.sequence, header, slice.order_lsb, sps, restarts)
        });
        self.ended &= !irap;
        let recovery = self.recovery.take();
        let class = match header.kind {
            kind::IDR_W_RADL | kind::IDR_N_LP => UnitClass::Idr,
            kind::CRA => UnitClass::Cra,
            it if kind::BLA.contains(&it) => UnitClass::Bla,
            kind::RASL_N | kind::RASL_R => UnitClass::Rasl,
            kind::RADL_N | kind::RADL_R => UnitClass::Radl,
            _ => recovery.map_or(UnitClass::Other, |frames| UnitClass::RecoveryPoint { frames }),
        };
        let guess = if irap { PictureType::I } else { PictureType::P };
        Piece::Begins(Picture {
            class,
            picture_type: slice.and_then(|it| it.picture_type).unwrap_or(guess),
            reference: header.is_reference(sps.map_or(1, |it| it.0.sub_layers)),
            field: sps.is_some_and(|it| it.0.fields),
            second_field: false,
            active: sps.map(|it| it.1),
            order,
            sequence: self.sequence,
            scan: sps.map(|it| if it.0.fields { Scan::Interlaced } else { Scan::Progressive }),
            whole: first,
        })
    }
}

/// The picture order count in half frames; a picture order count of HEVC counts pictures.
fn order(
    before: &mut (i64, i64),
    sequence: &mut u32,
    header: Header,
    lsb: u32,
    sps: &Sps,
    restarts: bool,
) -> i64 {
    let (lsb, turn) = (i64::from(lsb), 1i64 << sps.order_lsb_bits);
    let (before_msb, before_lsb) = *before;
    let msb = if restarts {
        *sequence += 1;
        0
    } else if lsb < before_lsb && before_lsb - lsb >= turn / 2 {
        before_msb + turn
    } else if lsb > before_lsb && lsb - before_lsb > turn / 2 {
        before_msb - turn
    } else {
        before_msb
    };
    let leading = (kind::RADL_N..=kind::RASL_R).contains(&header.kind);
    if header.temporal == 0 && !leading && header.is_reference(1) {
        *before = (msb, lsb);
    }
    2 * (msb + lsb)
}
