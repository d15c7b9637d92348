//! H.264 pictures coded under one sequence's parameter set, rewritten to stand under another's (§7.3.2.2, §7.3.3).
//!
//! What an encoder of ours makes at a join so becomes part of the source's own sequence: same buffers, same output
//! delay, same colour, and numbers of our choosing, so that pictures copied behind it follow on. Only the numbers in
//! slice headers and the picture parameter set change; coded macroblocks are not touched.

use super::h264::{self, OrderCount, SliceHeader, Sps, kind};
use super::slice::{Mirror, Syntax};
use super::{escape, unescape, without_trailing_zeros};

/// How the encoder's pictures are put under the source's set.
#[derive(Debug, Clone)]
pub struct Adoption {
    own: Sps,
    picture: Syntax,
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
    /// Its picture order count, that of the top field, from 0 at the IDR picture.
    pub order: u32,
    /// Of the bottom field, more than that of the top field.
    pub bottom: i32,
    pub idr_pic_id: u32,
    /// False makes it a picture nothing refers to.
    pub reference: bool,
    /// An IDR picture that is kept as a long-term reference, without a number that tells it from others.
    pub long_term: bool,
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
        let picture = Syntax::parse(content).filter(|it| !it.weighted[0] && !it.redundant)?;
        let mut mirror = Mirror::new(content, *content.first()?);
        mirror.from.ue()?;
        mirror.from.ue()?;
        mirror.to.ue(pps_id.into());
        mirror.to.ue(source.id.into());
        mirror.flag()?;
        // bottom_field_pic_order_in_frame_present_flag: the fields may have counts of their own.
        mirror.from.flag()?;
        mirror.to.flag(true);
        let picture_set = escape(&mirror.rest()?);
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
        let mut it = Mirror::new(content, if keeps { content[0] } else { content[0] & 0x9f });
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
            it.to.se(numbers.bottom);
        }
        if !intra {
            if it.flag()? {
                it.ue()?; // num_ref_idx_l0_active_minus1
            }
            it.modification()?;
        }
        if importance != 0 {
            self.marking(&mut it, idr, (keeps, numbers.long_term))?;
        }
        it.finish(&self.picture, intra).map(|it| escape(&it))
    }

    /// dec_ref_pic_marking( ) (§7.3.3.3); left out of a picture that is no longer referred to.
    fn marking(&self, it: &mut Mirror<'_>, idr: bool, (keeps, long_term): (bool, bool)) -> Option<()> {
        if idr {
            it.flag()?; // no_output_of_prior_pics_flag
            it.from.flag()?;
            it.to.flag(long_term);
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

    /// Numbers of `count` pictures in the order of decoding, which is that of display, the first an IDR picture; such
    /// that `next`, which is none, follows on. `bottom` is 1 or -1 where the top or the bottom field is shown first, 0 for
    /// frames without an order of fields. `None` when no numbers do that.
    pub fn numbers(
        &self,
        count: usize,
        next: Option<&SliceHeader>,
        bottom: i32,
        idr_pic_id: u32,
    ) -> Option<Vec<Numbers>> {
        let turn = 1u64 << self.source.frame_num_bits;
        let frame_num = |at: usize| (at as u64 % turn) as u32;
        let last = count.checked_sub(1)?;
        // Were the last one referred to, the next would have to have another number than it. A lone one is told apart as
        // a long-term reference.
        let equal = next.is_some_and(|it| it.frame_num == frame_num(last));
        let (spare, long_term) = (equal && last > 0, equal && last == 0);
        let mut orders = Orders { counts: (0..count as u64).map(|at| 2 * at).collect(), lift: 0 };
        if let (OrderCount::Sent { lsb_bits }, Some(next)) = (self.source.order, next) {
            orders = Orders::before(count, spare, next.order_lsb.into(), 1 << lsb_bits)?;
        }
        // Lifting the top field says that the bottom field is shown first.
        if orders.lift > 0 && bottom > 0 {
            return None;
        }
        let numbers = orders.counts.iter().enumerate().map(|(at, order)| Numbers {
            frame_num: frame_num(at),
            order: (order + orders.lift) as u32,
            bottom: if orders.lift > 0 { -(orders.lift as i32) } else { bottom },
            idr_pic_id,
            reference: !spare || at != last,
            long_term,
        });
        Some(numbers.collect())
    }
}

/// Picture order counts of pictures before one that has a count of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Orders {
    counts: Vec<u64>,
    /// How much more the top field of each has than the bottom field, from which the picture's own count comes (§8.2.1).
    /// The next picture's count is told beside that of the last top field, which is not bound to begin at 0.
    lift: u64,
}

impl Orders {
    /// Rising counts from 0, such that a picture whose count has the low bits `lsb` comes after them all.
    fn before(count: usize, spare: bool, lsb: u64, turn: u64) -> Option<Self> {
        if let Some(counts) = orders_before(count, spare, lsb, turn) {
            return Some(Self { counts, lift: 0 });
        }
        let counts: Vec<u64> = (0..count as u64).map(|at| 2 * at).collect();
        let next = counts.last()? + 1;
        Some(Self { counts, lift: (lsb + turn - next % turn) % turn })
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
        fn what_follows_is_shown_after(count in 1usize..200, spare in any::<bool>(), bits in 4u32..16, lsb in any::<u64>()) {
            let turn = 1i64 << bits;
            let lsb = (lsb % turn as u64) as i64;
            let spare = spare && count > 1;
            let Orders { counts, lift } = Orders::before(count, spare, lsb as u64, turn as u64).unwrap();
            prop_assert_eq!((counts.len(), counts[0]), (count, 0));
            prop_assert!(counts.is_sorted_by(|a, b| a < b) && (lift as i64) < turn);
            // §8.2.1.1: the count beside that of the last reference picture's top field.
            let (mut msb, mut low) = (0, 0);
            let beside = |msb: i64, low: i64, lsb: i64| {
                if lsb < low && low - lsb >= turn / 2 {
                    msb + turn
                } else if lsb > low && lsb - low > turn / 2 {
                    msb - turn
                } else {
                    msb
                }
            };
            for (at, order) in counts.iter().enumerate() {
                let top = (order + lift) as i64;
                let its = beside(msb, low, top % turn);
                // The IDR picture's begins anew, with its low bits.
                let its = if at == 0 { 0 } else { its };
                prop_assert_eq!(its + top % turn, top, "picture {}", at);
                if !spare || at + 1 < count {
                    (msb, low) = (its, top % turn);
                }
            }
            prop_assert!(beside(msb, low, lsb) + lsb > *counts.last().unwrap() as i64);
        }
    }

    #[test]
    fn a_lone_picture_can_not_always_be_followed_by_its_count() {
        assert_eq!(orders_before(1, false, 6, 16), Some(vec![0]));
        assert_eq!(orders_before(1, false, 10, 16), None);
        assert_eq!(orders_before(2, false, 10, 16), Some(vec![0, 3]));
        assert_eq!(Orders::before(1, false, 10, 16), Some(Orders { counts: vec![0], lift: 9 }));
    }
}
