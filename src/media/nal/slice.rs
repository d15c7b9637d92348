//! Slice headers of H.264 (§7.3.3), read from one unit and written into another with some of it changed.

use super::h264::{OrderCount, Sps};
use super::{BitReader, BitWriter, Chroma, h264, without_trailing_zeros};

/// What a picture parameter set says about slice headers (§7.3.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syntax {
    /// CABAC.
    pub arithmetic: bool,
    /// bottom_field_pic_order_in_frame_present_flag
    pub order_present: bool,
    /// num_ref_idx_l0_default_active_minus1, and l1.
    references: [u32; 2],
    /// weighted_pred_flag, and whether weighted_bipred_idc is 1.
    pub weighted: [bool; 2],
    /// deblocking_filter_control_present_flag
    pub deblocking: bool,
    /// redundant_pic_cnt_present_flag
    pub redundant: bool,
}

impl Syntax {
    /// From a picture parameter set without emulation prevention. `None` when it has slice groups.
    pub fn parse(unit: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(unit.get(1..)?);
        bits.ue()?;
        bits.ue()?;
        let (arithmetic, order_present) = (bits.flag()?, bits.flag()?);
        bits.ue_to(0)?; // num_slice_groups_minus1
        let references = [bits.ue_to(31)?, bits.ue_to(31)?];
        let weighted = [bits.flag()?, bits.bits(2)? == 1];
        for _ in 0..3 {
            bits.se()?; // QP and QS to begin with, difference of chroma's
        }
        let (deblocking, _, redundant) = (bits.flag()?, bits.flag()?, bits.flag()?);
        Some(Self { arithmetic, order_present, references, weighted, deblocking, redundant })
    }
}

/// One memory management control operation (§7.4.3.3), but the one that ends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// 1: the reference frame, so many frames before, is none any more (difference_of_pic_nums_minus1 + 1).
    Unmark(u32),
    /// Any other, with its numbers.
    Other(u32, [u32; 2]),
}

/// How a reference picture that is no IDR picture marks those before it (§8.2.5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marking {
    /// The oldest gives way where there is no more room.
    Window,
    Commands(Vec<Command>),
}

/// Reads from one unit what it writes into the other.
pub(super) struct Mirror<'a> {
    pub from: BitReader<'a>,
    pub to: BitWriter,
}

impl<'a> Mirror<'a> {
    /// Of a unit whose first byte is `head` in the other.
    pub fn new(content: &'a [u8], head: u8) -> Self {
        let mut to = BitWriter::default();
        to.bits(head.into(), 8);
        Self { from: BitReader::new(content.get(1..).unwrap_or_default()), to }
    }

    pub fn flag(&mut self) -> Option<bool> {
        let value = self.from.flag()?;
        self.to.flag(value);
        Some(value)
    }

    pub fn bits(&mut self, count: u32) -> Option<u32> {
        let value = self.from.bits(count)?;
        self.to.bits(value, count);
        Some(value)
    }

    pub fn ue(&mut self) -> Option<u32> {
        let value = self.from.ue()?;
        self.to.ue(value);
        Some(value)
    }

    pub fn se(&mut self) -> Option<()> {
        let value = self.from.se()?;
        self.to.se(value);
        Some(())
    }

    /// ref_pic_list_modification( ) of one list (§7.3.3.1).
    pub fn modification(&mut self) -> Option<()> {
        if self.flag()? {
            while self.ue()? != 3 {
                self.ue()?;
            }
        }
        Some(())
    }

    /// What follows dec_ref_pic_marking( ), coded macroblocks included.
    pub fn finish(mut self, syntax: &Syntax, intra: bool) -> Option<Vec<u8>> {
        if syntax.arithmetic && !intra {
            self.ue()?; // cabac_init_idc
        }
        self.se()?; // slice_qp_delta
        if syntax.deblocking && self.ue()? != 1 {
            self.se()?;
            self.se()?;
        }
        if syntax.arithmetic {
            // Arithmetic code begins at a byte, after ones.
            while !self.from.left().is_multiple_of(8) {
                self.from.flag()?;
            }
            self.to.align_with_ones();
        }
        self.rest()
    }

    /// The rest of the unit, which ends in a stop bit and zeros.
    pub fn rest(mut self) -> Option<Vec<u8>> {
        while self.from.left() >= 8 {
            let byte = self.from.byte(8)?;
            self.to.bytes(&[byte]);
        }
        let left = self.from.left() as u32;
        let last = self.from.bits(left)?;
        self.to.bits(last, left);
        let mut out = self.to.finish();
        out.truncate(without_trailing_zeros(&out).len());
        Some(out)
    }

    /// pred_weight_table( ) (§7.3.3.2) for lists of so many pictures.
    fn weights(&mut self, sps: &Sps, lists: &[u32]) -> Option<()> {
        let colour = sps.chroma != Chroma::Monochrome;
        self.ue()?;
        if colour {
            self.ue()?;
        }
        for _ in 0..lists.iter().sum::<u32>() {
            if self.flag()? {
                self.se()?;
                self.se()?;
            }
            if colour && self.flag()? {
                for _ in 0..4 {
                    self.se()?;
                }
            }
        }
        Some(())
    }
}

/// dec_ref_pic_marking( ) of a picture that is no IDR picture.
fn read(bits: &mut BitReader<'_>) -> Option<Marking> {
    if !bits.flag()? {
        return Some(Marking::Window);
    }
    let mut commands = Vec::new();
    loop {
        commands.push(match bits.ue()? {
            0 => return Some(Marking::Commands(commands)),
            1 => Command::Unmark(bits.ue_to(1 << 17)? + 1),
            it @ 3 => Command::Other(it, [bits.ue()?, bits.ue()?]),
            it @ (2 | 4 | 6) => Command::Other(it, [bits.ue()?, 0]),
            it @ 5 => Command::Other(it, [0, 0]),
            _ => return None,
        });
    }
}

fn write(marking: &Marking, to: &mut BitWriter) {
    let Marking::Commands(commands) = marking else { return to.flag(false) };
    to.flag(true);
    for command in commands {
        match *command {
            Command::Unmark(before) => {
                to.ue(1);
                to.ue(before - 1);
            }
            Command::Other(kind, numbers) => {
                to.ue(kind);
                let count = match kind {
                    3 => 2,
                    5 => 0,
                    _ => 1,
                };
                numbers[..count].iter().for_each(|it| to.ue(*it));
            }
        }
    }
    to.ue(0);
}

/// Reads as far as dec_ref_pic_marking( ), which it does not write; with frame_num, and whether it is an I slice. `None` for
/// what is not a slice of a frame that is a reference and no IDR picture, without emulation prevention.
fn until_marking<'a>(content: &'a [u8], sps: &Sps, syntax: &Syntax) -> Option<(Mirror<'a>, u32, bool)> {
    let head = *content.first()?;
    if h264::header(head).0 != h264::kind::SLICE || h264::header(head).1 == 0 || sps.separate_planes {
        return None;
    }
    let mut it = Mirror::new(content, head);
    it.ue()?;
    let lists = match it.ue()? % 5 {
        0 => 1,
        1 => 2,
        2 => 0,
        _ => return None,
    };
    it.ue()?;
    let frame_num = it.bits(sps.frame_num_bits)?;
    if !sps.frame_mbs_only && it.flag()? {
        return None;
    }
    match sps.order {
        OrderCount::Sent { lsb_bits } => {
            it.bits(lsb_bits)?;
            if syntax.order_present {
                it.se()?;
            }
        }
        OrderCount::Cycle { always_zero: false } => {
            it.se()?;
            if syntax.order_present {
                it.se()?;
            }
        }
        OrderCount::Cycle { .. } | OrderCount::Decoding => {}
    }
    if syntax.redundant {
        it.ue()?;
    }
    if lists == 2 {
        it.flag()?; // direct_spatial_mv_pred_flag
    }
    if lists > 0 {
        let mut last = syntax.references;
        if it.flag()? {
            for last in &mut last[..lists] {
                *last = it.ue()?;
            }
        }
        for _ in 0..lists {
            it.modification()?;
        }
        if syntax.weighted[lists - 1] {
            let counts = last.map(|it| it.min(31) + 1);
            it.weights(sps, &counts[..lists])?;
        }
    }
    Some((it, frame_num, lists == 0))
}

/// frame_num of a slice and how its picture marks references. `None` for what is not a slice of a frame that is a reference
/// and no IDR picture, without emulation prevention.
pub fn marking(content: &[u8], sps: &Sps, syntax: &Syntax) -> Option<(u32, Marking)> {
    let (mut it, frame_num, _) = until_marking(content, sps, syntax)?;
    Some((frame_num, read(&mut it.from)?))
}

/// The slice with another marking, without emulation prevention like itself. `None` where [`marking`] is.
pub fn with_marking(content: &[u8], sps: &Sps, syntax: &Syntax, marking: &Marking) -> Option<Vec<u8>> {
    let (mut it, _, intra) = until_marking(content, sps, syntax)?;
    read(&mut it.from)?;
    write(marking, &mut it.to);
    it.finish(syntax, intra)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::nal::BitWriter;
    use proptest::prelude::*;

    fn sps(bits: u32) -> Sps {
        // High profile, frames only, order counts of six bits.
        Sps {
            id: 0,
            profile: 100,
            constraints: 0,
            level: 30,
            chroma: Chroma::Yuv420,
            separate_planes: false,
            depth_luma: 8,
            depth_chroma: 8,
            frame_num_bits: bits,
            order: OrderCount::Sent { lsb_bits: 6 },
            max_references: 4,
            frame_mbs_only: true,
            adaptive: false,
            width: 16,
            height: 16,
            coded: (1, 1),
            cropped_start: false,
            scaled: false,
            vui: None,
        }
    }

    fn markings() -> impl Strategy<Value = Marking> {
        let command = prop_oneof![
            (1u32..100).prop_map(Command::Unmark),
            (prop::sample::select(vec![2u32, 4, 6]), 0u32..9)
                .prop_map(|(kind, it)| Command::Other(kind, [it, 0])),
            (0u32..9, 0u32..9).prop_map(|(a, b)| Command::Other(3, [a, b])),
        ];
        prop_oneof![Just(Marking::Window), prop::collection::vec(command, 0..5).prop_map(Marking::Commands),]
    }

    proptest! {
        #[test]
        fn markings_are_replaced_and_nothing_else(
            kind in 0usize..3,
            arithmetic in any::<bool>(),
            weighted in any::<bool>(),
            frame_num in 0u32..16,
            before in markings(),
            after in markings(),
            data in prop::collection::vec(any::<u8>(), 1..40),
        ) {
            let sps = sps(4);
            let syntax = Syntax {
                arithmetic,
                order_present: false,
                references: [1, 0],
                weighted: [weighted; 2],
                deblocking: true,
                redundant: false,
            };
            let make = |marking: &Marking| {
                let mut to = BitWriter::default();
                to.bits(0x61, 8);
                to.ue(0);
                to.ue([2, 0, 1][kind]);
                to.ue(0);
                to.bits(frame_num, 4);
                to.bits(33, 6);
                if kind == 2 {
                    to.flag(true);
                }
                if kind > 0 {
                    // Two pictures in the first list, one in the second; one change of order.
                    to.flag(false);
                    to.flag(true);
                    [0, 2, 3].iter().for_each(|it| to.ue(*it));
                    if kind == 2 {
                        to.flag(false);
                    }
                    if weighted {
                        to.ue(5);
                        to.ue(5);
                        // Of the two pictures of the first list and the one of the second.
                        for at in 0..1 + kind {
                            to.flag(at == 1);
                            if at == 1 {
                                to.se(-3);
                                to.se(4);
                            }
                            to.flag(false);
                        }
                    }
                }
                write(marking, &mut to);
                if arithmetic && kind > 0 {
                    to.ue(2);
                }
                to.se(-7);
                to.ue(0);
                to.se(1);
                to.se(-1);
                if arithmetic {
                    to.align_with_ones();
                }
                to.bytes(&data);
                to.flag(true);
                to.finish()
            };
            let slice = make(&before);
            prop_assert_eq!(marking(&slice, &sps, &syntax), Some((frame_num, before)));
            prop_assert_eq!(with_marking(&slice, &sps, &syntax, &after), Some(make(&after)));
        }

        #[test]
        fn hostile_slices_panic_nowhere(bytes in prop::collection::vec(any::<u8>(), 0..60), set in prop::collection::vec(any::<u8>(), 0..20)) {
            let head = bytes.iter().copied().enumerate().map(|(at, it)| if at == 0 { 0x61 } else { it });
            if let Some(syntax) = Syntax::parse(&set) {
                with_marking(&head.collect::<Vec<u8>>(), &sps(4), &syntax, &Marking::Window);
            }
        }
    }
}
