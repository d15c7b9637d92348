//! MPEG-2: a unit is a picture with the sequence and group headers before it (H.262 §6.2.2).

use super::{Picture, Piece};
use crate::media::index::sets::{SetKind, Sets};
use crate::media::index::{PictureType, Scan, UnitClass};
use crate::media::nal::mpeg2::{
    self, Group, PictureCoding, PictureHeader, Sequence, Structure, extension, kind,
};

/// A sequence header with both matrices.
const SEQUENCE_BYTES: usize = 140;
/// The longest extension of a sequence or picture: a quant matrix extension has 257.
const EXTENSION_BYTES: usize = 257;
/// Extensions a sequence header may have: sequence, display, scalable, and room for repetitions.
const MAX_SEQUENCE_BYTES: usize = 1024;

#[derive(Debug, Default)]
pub struct Mpeg2 {
    /// A sequence header and its extensions, until a group or picture ends them.
    pending: Vec<u8>,
    active: Option<u16>,
    progressive: bool,
    /// The group header of the picture to come.
    group: Option<Group>,
    sequence: u32,
    picture: Option<Picture>,
    /// The structure of a first field whose second has not come.
    first_field: Option<Structure>,
}

pub fn wanted(header: &[u8]) -> usize {
    match header.first() {
        Some(&kind::SEQUENCE) => SEQUENCE_BYTES,
        Some(&kind::EXTENSION) => EXTENSION_BYTES,
        Some(&kind::GROUP | &kind::PICTURE) => 8,
        _ => 1,
    }
}

impl Mpeg2 {
    pub fn take(&mut self, unit: &[u8], sets: &mut Sets) -> Piece {
        match unit.first() {
            Some(&kind::SEQUENCE) => {
                self.pending.clear();
                mpeg2::append(&mut self.pending, unit);
                Piece::Opens
            }
            Some(&kind::GROUP) => {
                self.put(sets);
                self.group = Group::parse(unit);
                self.sequence += 1;
                Piece::Opens
            }
            Some(&kind::PICTURE) => {
                self.put(sets);
                self.picture(unit)
            }
            Some(&kind::EXTENSION) if !self.pending.is_empty() => {
                if self.pending.len() + unit.len() <= MAX_SEQUENCE_BYTES {
                    mpeg2::append(&mut self.pending, unit);
                }
                Piece::Follows
            }
            Some(&kind::EXTENSION) if mpeg2::extension_of(unit) == Some(extension::PICTURE_CODING) => {
                self.coding(unit)
            }
            _ => Piece::Follows,
        }
    }

    fn put(&mut self, sets: &mut Sets) {
        if let Some(sequence) = Sequence::parse(&self.pending)
            && let Some((index, _)) = sets.put(SetKind::Sequence, 0, &self.pending)
        {
            self.active = Some(index);
            self.progressive = sequence.progressive;
        }
        self.pending.clear();
    }

    fn picture(&mut self, unit: &[u8]) -> Piece {
        let group = self.group.take();
        let Some(header) = PictureHeader::parse(unit) else { return Piece::Opens };
        let class = match (header.picture_type, group) {
            (PictureType::I, Some(Group { broken_link: true, .. })) => UnitClass::Bla,
            (PictureType::I, Some(Group { closed: true, .. })) => UnitClass::Idr,
            (PictureType::I, _) => UnitClass::KeyOpen,
            _ => UnitClass::Other,
        };
        let picture = Picture {
            class,
            picture_type: header.picture_type,
            reference: header.picture_type != PictureType::B,
            active: self.active,
            order: Some(2 * i64::from(header.temporal_reference)),
            sequence: self.sequence,
            scan: self.progressive.then_some(Scan::Progressive),
            ..Picture::default()
        };
        self.picture = Some(picture);
        Piece::Begins(picture)
    }

    fn coding(&mut self, unit: &[u8]) -> Piece {
        let (Some(mut picture), Some(coding)) = (self.picture.take(), PictureCoding::parse(unit)) else {
            return Piece::Follows;
        };
        let scan = |top_first: bool| if top_first { Scan::TopFirst } else { Scan::BottomFirst };
        if coding.structure == Structure::Frame {
            self.first_field = None;
            if !self.progressive {
                let progressive = coding.progressive && !coding.top_first;
                picture.scan = Some(if progressive { Scan::Progressive } else { scan(coding.top_first) });
            }
            return Piece::Amends(picture);
        }
        picture.field = true;
        picture.second_field = self.first_field.take().is_some_and(|first| first != coding.structure);
        if picture.second_field {
            picture.class = UnitClass::Other;
            picture.order = picture.order.map(|it| it + 1);
        } else {
            self.first_field = Some(coding.structure);
            picture.scan = Some(scan(coding.structure == Structure::TopField));
        }
        Piece::Amends(picture)
    }
}
