//! H.264 pictures coded under one sequence's parameter set, rewritten to stand under another's (§7.3.2.2, §7.3.3).
//!
//! What an encoder of ours makes at a join so becomes part of the source's own sequence: same buffers, same output
//! delay, same colour, and numbers of our choosing, so that pictures copied behind it follow on. Only the numbers in
//! slice headers and the picture parameter set change; coded macroblocks are not touched.

use super::h264::{self, OrderCount, SliceHeader, Sps, kind};
use super::{BitReader, BitWriter, escape, unescape, without_trailing_zeros};

/// What the encoder's picture parameter set says about slice headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OwnPicture {
    arithmetic: bool,
    order_present: bool,
    deblocking: bool,
}

/// How the encoder's pictures are put under the source's set.
#[derive(Debug, Clone)]
pub struct Adoption {
    own: Sps,
    picture: OwnPicture,
    source: Sps,
    pps_id: u8,
    /// The rewritten picture parameter set, a NAL unit without start code.
    pub picture_set: Vec<u8>,
}

/// The numbers of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// Pictures before it in the sequence that are referred to.
    pub frame_num: u32,
    /// Its picture order count, from 0 at the IDR picture.
    pub order: u32,
    /// Of the bottom field, more than that of the top field: 1, -1, or 0 for frames without an order of fields.
    pub bottom: i32,
    pub idr_pic_id: u32,
    /// False makes it a picture nothing refers to.
    pub reference: bool,
}

/// Reads from one unit what it writes into the other.
struct Mirror<'a> {
    from: BitReader<'a>,
    to: BitWriter,
}

impl Mirror<'_> {
    fn flag(&mut self) -> Option<bool> {
        let value = self.from.flag()?;
        self.to.flag(value);
        Some(value)
    }

    fn ue(&mut self) -> Option<u32> {
        let value = self.from.ue()?;
        self.to.ue(value);
        Some(value)
    }

    fn se(&mut self) -> Option<()> {
        let value = self.from.se()?;
        self.to.se(value);
        Some(())
    }

    /// The rest of the unit, which ends in a stop bit and zeros.
    fn rest(mut self) -> Option<Vec<u8>> {
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
}

impl Adoption {
    /// From the encoder's parameter sets and the source's, NAL units without start code. `pps_id` is one the source
    /// does not use. `None` when coded macroblocks would mean something else under the source's set.
    pub fn new(own_sps: &[u8], own_pps: &[u8], source_sps: &[u8], pps_id: u8) -> Option<Self> {
        let mut scratch = Vec::new();
        let own = Sps::parse(unescape(own_sps, &mut scratch))?;
        let source = Sps::parse(unescape(source_sps, &mut scratch))?;
        let rows = |sps: &Sps| sps.coded.1 * if sps.frame_mbs_only { 1 } else { 2 };
        // Frames of a sequence with fields that are not adaptive are coded like progressive ones.
        let same_scan = own.frame_mbs_only == source.frame_mbs_only && own.adaptive == source.adaptive
            || own.frame_mbs_only && !source.frame_mbs_only && !source.adaptive;
        let same = same_scan
            && (own.coded.0, rows(&own)) == (source.coded.0, rows(&source))
            && (own.width, own.height) == (source.width, source.height)
            && (own.chroma, own.depth_luma, own.depth_chroma)
                == (source.chroma, source.depth_luma, source.depth_chroma)
            && ![&own, &source].iter().any(|it| it.separate_planes || it.scaled || it.cropped_start)
            && !matches!(source.order, OrderCount::Cycle { .. })
            && source.max_references > 0;
        if !same {
            return None;
        }
        let content = unescape(own_pps, &mut scratch);
        let (header, rest) = content.split_first()?;
        let mut bits = BitReader::new(rest);
        bits.ue()?;
        bits.ue()?;
        let after_ids = bits;
        let (arithmetic, order_present) = (bits.flag()?, bits.flag()?);
        bits.ue_to(0)?; // num_slice_groups_minus1
        bits.ue()?;
        bits.ue()?;
        let weighted = bits.flag()?;
        bits.bits(2)?;
        for _ in 0..3 {
            bits.se()?; // QP and QS to begin with, difference of chroma's
        }
        let (deblocking, _, redundant) = (bits.flag()?, bits.flag()?, bits.flag()?);
        if weighted || redundant {
            return None;
        }
        let mut mirror = Mirror { from: after_ids, to: BitWriter::default() };
        mirror.to.bits((*header).into(), 8);
        mirror.to.ue(pps_id.into());
        mirror.to.ue(source.id.into());
        let picture_set = escape(&mirror.rest()?);
        let picture = OwnPicture { arithmetic, order_present, deblocking };
        Some(Self { own, picture, source, pps_id, picture_set })
    }

    /// A slice of a frame, rewritten. `None` when it is of a kind our encoder is not asked for.
    pub fn slice(&self, unit: &[u8], numbers: Numbers) -> Option<Vec<u8>> {
        let mut scratch = Vec::new();
        let content = unescape(without_trailing_zeros(unit), &mut scratch);
        let (kind, importance) = h264::header(*content.first()?);
        let idr = kind == kind::IDR;
        if !idr && kind != kind::SLICE || idr && !numbers.reference {
            return None;
        }
        let keeps = importance != 0 && numbers.reference;
        let mut it = Mirror { from: BitReader::new(&content[1..]), to: BitWriter::default() };
        it.to.bits(if keeps { content[0].into() } else { (content[0] & 0x9f).into() }, 8);
        it.ue()?;
        let intra = match it.ue()? % 5 {
            0 => false,
            2 => true,
            _ => return None,
        };
        it.from.ue()?;
        it.to.ue(self.pps_id.into());
        it.from.bits(self.own.frame_num_bits)?;
        it.to.bits(numbers.frame_num, self.source.frame_num_bits);
        if !self.own.frame_mbs_only && it.from.flag()? {
            return None;
        }
        if !self.source.frame_mbs_only {
            it.to.flag(false);
        }
        if idr {
            it.from.ue()?;
            it.to.ue(numbers.idr_pic_id);
        }
        if let OrderCount::Sent { lsb_bits } = self.own.order {
            it.from.bits(lsb_bits)?;
            if self.picture.order_present {
                it.from.se()?;
            }
        }
        if let OrderCount::Sent { lsb_bits } = self.source.order {
            it.to.bits(numbers.order, lsb_bits);
            if self.picture.order_present {
                it.to.se(numbers.bottom);
            }
        }
        if !intra {
            if it.flag()? {
                it.ue()?; // num_ref_idx_l0_active_minus1
            }
            if it.flag()? {
                while it.ue()? != 3 {
                    it.ue()?;
                }
            }
        }
        if importance != 0 {
            self.marking(&mut it, idr, keeps)?;
        }
        if self.picture.arithmetic && !intra {
            it.ue()?; // cabac_init_idc
        }
        it.se()?; // slice_qp_delta
        if self.picture.deblocking && it.ue()? != 1 {
            it.se()?;
            it.se()?;
        }
        if !self.picture.arithmetic {
            return Some(escape(&it.rest()?));
        }
        // Arithmetic code begins at a byte, after ones.
        while !it.from.left().is_multiple_of(8) {
            it.from.flag()?;
        }
        it.to.align_with_ones();
        Some(escape(&it.rest()?))
    }

    /// dec_ref_pic_marking( ) (§7.3.3.3); left out of a picture that is no longer referred to.
    fn marking(&self, it: &mut Mirror<'_>, idr: bool, keeps: bool) -> Option<()> {
        if idr {
            it.flag()?;
            it.flag()?;
            return Some(());
        }
        if !keeps {
            return (!it.from.flag()?).then_some(());
        }
        if it.flag()? {
            loop {
                match it.ue()? {
                    0 => break,
                    3 => {
                        it.ue()?;
                        it.ue()?;
                    }
                    5 => {}
                    _ => {
                        it.ue()?;
                    }
                }
            }
        }
        Some(())
    }

    /// frame_num, order and use of `count` pictures in the order of decoding, which is that of display, the first an
    /// IDR picture; such that `next`, which is none, follows on. `None` when no numbers do that.
    pub fn numbers(&self, count: usize, next: Option<&SliceHeader>) -> Option<Vec<(u32, u32, bool)>> {
        let turn = 1u64 << self.source.frame_num_bits;
        let frame_num = |at: usize| (at as u64 % turn) as u32;
        let last = count.checked_sub(1)?;
        // Were the last one referred to, the next would have to have another number than it.
        let spare = next.is_some_and(|it| it.frame_num == frame_num(last));
        if spare && last == 0 {
            return None;
        }
        let mut orders: Vec<u64> = (0..count as u64).map(|at| 2 * at).collect();
        if let (OrderCount::Sent { lsb_bits }, Some(next)) = (self.source.order, next) {
            orders = orders_before(count, spare, next.order_lsb.into(), 1 << lsb_bits)?;
        }
        let all = orders.into_iter().enumerate();
        Some(all.map(|(at, order)| (frame_num(at), order as u32, !spare || at != last)).collect())
    }
}

/// Rising picture order counts from 0, such that a picture whose count has the low bits `lsb` comes after them all. The
/// decoder takes the count with these bits that is nearest to the last reference picture's (§8.2.1.1), so that counts
/// may step by less than half a turn.
fn orders_before(count: usize, spare: bool, lsb: u64, turn: u64) -> Option<Vec<u64>> {
    let last = count as u64 - 1;
    let follows = |from: u64, to: u64| {
        let ahead = (lsb + turn - from % turn) % turn;
        ahead > to - from && ahead < turn / 2
    };
    let most = turn / 2 - 1;
    (0..turn).find_map(|more| {
        let mut left = more;
        let mut orders = vec![0];
        for at in 0..last {
            let step = 2 + left.min(most - 2);
            left -= step - 2;
            orders.push(orders[at as usize] + step);
        }
        let end = orders[last as usize];
        let from = orders[(last - u64::from(spare)) as usize];
        (left == 0 && follows(from, end)).then_some(orders)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_follows_is_shown_after(count in 3usize..200, spare in any::<bool>(), bits in 4u32..16, lsb in any::<u64>()) {
            let turn = 1u64 << bits;
            let lsb = lsb % turn;
            let orders = orders_before(count, spare, lsb, turn).unwrap();
            prop_assert_eq!((orders.len(), orders[0]), (count, 0));
            prop_assert!(orders.windows(2).all(|pair| pair[0] < pair[1] && pair[1] - pair[0] < turn / 2));
            let before = orders[count - 1 - usize::from(spare)];
            // §8.2.1.1, of the reference picture before.
            let (msb, low) = (before - before % turn, before % turn);
            let next = if lsb < low && low - lsb >= turn / 2 {
                (msb + turn + lsb) as i64
            } else if lsb > low && lsb - low > turn / 2 {
                msb as i64 - turn as i64 + lsb as i64
            } else {
                (msb + lsb) as i64
            };
            prop_assert!(next > orders[count - 1] as i64);
        }
    }

    #[test]
    fn a_lone_picture_can_not_always_be_followed() {
        assert_eq!(orders_before(1, false, 6, 16), Some(vec![0]));
        assert_eq!(orders_before(1, false, 10, 16), None);
        assert_eq!(orders_before(2, false, 10, 16), Some(vec![0, 3]));
    }
}
