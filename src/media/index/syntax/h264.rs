//! H.264: access units by §7.4.1.2.3 and §7.4.1.2.4, picture order by §8.2.1.1.

use super::{Picture, Piece, SEI_BYTES, SLICE_BYTES};
use crate::media::index::sets::{MAX_SET_BYTES, SetKind, Sets};
use crate::media::index::{PictureType, Scan, UnitClass};
use crate::media::nal::h264::{self, Field, OrderCount, Pps, Sei, SliceHeader, Sps, kind};
use crate::media::nal::{BitReader, unescape, without_trailing_zeros};

#[derive(Debug)]
pub struct H264 {
    /// By id, with the set's index.
    sps: [Option<(Sps, u16)>; 32],
    pps: [Option<Pps>; 256],
    last_sps: Option<u8>,
    /// The last slice of the picture being read.
    slice: Option<SliceHeader>,
    /// The first field of a frame whose second has not come.
    first_field: Option<SliceHeader>,
    sei: Sei,
    /// prevPicOrderCntMsb and prevPicOrderCntLsb.
    order: (i64, i64),
    sequence: u32,
    scratch: Vec<u8>,
}

impl Default for H264 {
    fn default() -> Self {
        Self {
            sps: [const { None }; 32],
            pps: [None; 256],
            last_sps: None,
            slice: None,
            first_field: None,
            sei: Sei::default(),
            order: (0, 0),
            sequence: 0,
            scratch: Vec::new(),
        }
    }
}

pub fn wanted(header: &[u8]) -> usize {
    match header.first().map_or(0, |it| h264::header(*it).0) {
        kind::SPS | kind::PPS => MAX_SET_BYTES + 1,
        kind::SEI => SEI_BYTES,
        kind::SLICE | kind::PARTITION_A | kind::IDR => SLICE_BYTES,
        _ => 1,
    }
}

impl H264 {
    pub fn take(&mut self, unit: &[u8], sets: &mut Sets) -> Piece {
        let kind = unit.first().map_or(0, |it| h264::header(*it).0);
        match kind {
            kind::SLICE | kind::PARTITION_A | kind::IDR => return self.slice(unit),
            kind::SPS => self.take_sps(without_trailing_zeros(unit), sets),
            kind::PPS => self.take_pps(without_trailing_zeros(unit), sets),
            kind::SEI => {
                let sps = self.last_sps.and_then(|id| self.sps[usize::from(id)].as_ref());
                let it = h264::sei(unescape(unit, &mut self.scratch), sps.map(|it| &it.0));
                let before = if self.slice.is_some() { Sei::default() } else { self.sei };
                self.sei = Sei {
                    recovery: it.recovery.or(before.recovery),
                    pic_struct: it.pic_struct.or(before.pic_struct),
                };
            }
            kind::DELIMITER | 14..=18 => {}
            _ => return Piece::Follows,
        }
        // What follows is another picture, even if its slices look the same.
        self.slice = None;
        Piece::Opens
    }

    fn take_sps(&mut self, unit: &[u8], sets: &mut Sets) {
        let Some(sps) = Sps::parse(unescape(unit, &mut self.scratch)) else { return };
        let Some((index, _)) = sets.put(SetKind::Sequence, sps.id, unit) else { return };
        self.last_sps = Some(sps.id);
        let place = usize::from(sps.id);
        self.sps[place] = Some((sps, index));
    }

    fn take_pps(&mut self, unit: &[u8], sets: &mut Sets) {
        let Some(pps) = Pps::parse(unescape(unit, &mut self.scratch)) else { return };
        if sets.put(SetKind::Picture, pps.id, unit).is_some() {
            self.pps[usize::from(pps.id)] = Some(pps);
        }
    }

    fn slice(&mut self, unit: &[u8]) -> Piece {
        let content = unescape(unit, &mut self.scratch);
        let (sps, pps) = (&self.sps, &self.pps);
        let slice = SliceHeader::parse(content, |id| {
            let pps = pps[usize::from(id)].as_ref()?;
            Some((&sps[usize::from(pps.sps_id)].as_ref()?.0, pps))
        });
        match slice {
            Some(slice) if self.slice.is_some_and(|it| !slice.is_new_picture(&it)) => {
                Piece::Goes(slice.picture_type)
            }
            Some(slice) => self.picture(slice),
            None => self.unknown(unit),
        }
    }

    /// A slice whose parameter sets are missing: by first_mb and slice_type alone.
    fn unknown(&mut self, unit: &[u8]) -> Piece {
        let (kind, importance) = h264::header(unit[0]);
        let mut bits = BitReader::new(&unit[1..]);
        let first = bits.ue() == Some(0);
        let picture_type = match bits.ue().map(|it| it % 5) {
            Some(2 | 4) => PictureType::I,
            Some(1) => PictureType::B,
            _ => PictureType::P,
        };
        if !first {
            return Piece::Goes(picture_type);
        }
        self.slice = None;
        let sei = std::mem::take(&mut self.sei);
        Piece::Begins(Picture {
            class: class(kind == kind::IDR, sei),
            picture_type,
            reference: importance != 0,
            ..Picture::default()
        })
    }

    fn picture(&mut self, slice: SliceHeader) -> Piece {
        self.slice = Some(slice);
        let sei = std::mem::take(&mut self.sei);
        let Some((sps, index)) = &self.sps[usize::from(slice.sps_id)] else { return Piece::Follows };
        let second_field = self.first_field.take().is_some_and(|first| {
            slice.field.is_some()
                && slice.field != first.field
                && slice.frame_num == first.frame_num
                && !slice.idr
        });
        if slice.field.is_some() && !second_field {
            self.first_field = Some(slice);
        }
        if slice.idr {
            self.order = (0, 0);
            self.sequence += 1;
        }
        let order = match sps.order {
            OrderCount::Sent { lsb_bits } => {
                let (lsb, turn) = (i64::from(slice.order_lsb), 1i64 << lsb_bits);
                let (before_msb, before_lsb) = self.order;
                let msb = if lsb < before_lsb && before_lsb - lsb >= turn / 2 {
                    before_msb + turn
                } else if lsb > before_lsb && lsb - before_lsb > turn / 2 {
                    before_msb - turn
                } else {
                    before_msb
                };
                if slice.reference {
                    self.order = (msb, lsb);
                }
                Some(msb + lsb)
            }
            OrderCount::Cycle { .. } | OrderCount::Decoding => None,
        };
        let scan = match (sei.pic_struct, slice.field) {
            _ if sps.frame_mbs_only => Some(Scan::Progressive),
            (Some(3 | 5), _) => Some(Scan::TopFirst),
            (Some(4 | 6), _) => Some(Scan::BottomFirst),
            (_, Some(Field::Top)) if !second_field => Some(Scan::TopFirst),
            (_, Some(Field::Bottom)) if !second_field => Some(Scan::BottomFirst),
            (_, None) if slice.order_delta[0] > 0 => Some(Scan::TopFirst),
            (_, None) if slice.order_delta[0] < 0 => Some(Scan::BottomFirst),
            (Some(0), _) => Some(Scan::Progressive),
            _ => None,
        };
        Piece::Begins(Picture {
            class: if second_field { UnitClass::Other } else { class(slice.idr, sei) },
            picture_type: slice.picture_type,
            reference: slice.reference,
            field: slice.field.is_some(),
            second_field,
            active: Some(*index),
            order,
            sequence: self.sequence,
            scan,
            whole: slice.first_mb == 0,
        })
    }
}

fn class(idr: bool, sei: Sei) -> UnitClass {
    match sei.recovery {
        _ if idr => UnitClass::Idr,
        Some(frames) => UnitClass::RecoveryPoint { frames },
        None => UnitClass::Other,
    }
}
