//! The reference frames of H.264 that a decoder holds (§8.2.5), by their numbers, and what pictures have to say of them
//! where some of those before are not there. Pure.

use super::h264::Sps;
use super::slice::{Command, Marking};

/// Short-term reference frames in decoding order, told apart by frame_num.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    frames: Vec<u32>,
    /// PrevRefFrameNum; none where nothing came before.
    last: Option<u32>,
    /// max_num_ref_frames
    most: usize,
    /// MaxFrameNum
    turn: u32,
}

impl Held {
    fn new(sps: &Sps) -> Self {
        let most = usize::from(sps.max_references).max(1);
        Self { frames: Vec::new(), last: None, most, turn: 1 << sps.frame_num_bits }
    }

    /// Frames of numbers left out before this one take their places all the same (§8.2.5.2).
    fn fill(&mut self, frame_num: u32) {
        let Some(last) = self.last else { return };
        let ahead = (frame_num + self.turn - last) % self.turn;
        // The oldest of more than there is room for go again.
        let skip = ahead.saturating_sub(1 + self.most as u32);
        for missing in 1 + skip..ahead {
            self.slide((last + missing) % self.turn);
        }
    }

    fn slide(&mut self, frame_num: u32) {
        if self.frames.len() >= self.most {
            self.frames.remove(0);
        }
        self.push(frame_num);
    }

    fn push(&mut self, frame_num: u32) {
        self.frames.push(frame_num);
        self.last = Some(frame_num);
    }

    fn before(&self, frame_num: u32, frames: u32) -> u32 {
        (frame_num + self.turn - frames % self.turn) % self.turn
    }

    /// A reference frame is decoded. `None` when it does what is not followed here: long-term references, and numbers
    /// that begin anew.
    fn take(&mut self, frame_num: u32, marking: &Marking) -> Option<()> {
        self.fill(frame_num);
        let Marking::Commands(commands) = marking else {
            self.slide(frame_num);
            return Some(());
        };
        for command in commands {
            match *command {
                Command::Unmark(before) => {
                    let named = self.before(frame_num, before);
                    self.frames.retain(|it| *it != named);
                }
                // There are none to be taken away.
                Command::Other(4, [0, _]) => {}
                Command::Other(..) => return None,
            }
        }
        // Of what the source holds, frames before the join are not known.
        if self.frames.len() >= self.most {
            return None;
        }
        self.push(frame_num);
        Some(())
    }
}

/// Follows what a decoder holds behind a join, beside what it would hold there in the source, so that pictures behind
/// the join leave it with what the source's have from the join on, and name nothing else.
#[derive(Debug, Clone)]
pub struct Follower {
    ours: Held,
    theirs: Held,
    /// Ours has a long-term reference, too.
    long_term: bool,
}

impl Follower {
    /// `before` are the numbers of the reference frames since the last IDR picture before the join. A lone one with the
    /// number of the `first` behind the join is a long-term reference.
    pub fn new(sps: &Sps, before: &[u32], first: u32) -> Self {
        let (mut ours, theirs) = (Held::new(sps), Held::new(sps));
        let long_term = before == [first];
        before.iter().filter(|_| !long_term).for_each(|it| ours.slide(*it));
        Self { ours, theirs, long_term }
    }

    /// A reference frame of the source that is not taken over.
    pub fn leave(&mut self, frame_num: u32, marking: &Marking) -> Option<()> {
        self.theirs.take(frame_num, marking)
    }

    /// A reference frame that is taken over, and the marking it needs. `None` when nobody can tell.
    pub fn keep(&mut self, frame_num: u32, marking: &Marking) -> Option<Marking> {
        self.theirs.take(frame_num, marking)?;
        self.ours.fill(frame_num);
        let Held { frames, turn, .. } = &self.ours;
        // All but the frame itself.
        let (_, theirs) = self.theirs.frames.split_last()?;
        let stale: Vec<u32> = frames.iter().copied().filter(|it| !theirs.contains(it)).collect();
        let slides = frames.len() >= self.ours.most && stale == frames[..1];
        let marking = match marking {
            // max_long_term_frame_idx_plus1 of 0 puts away what long-term references there are.
            _ if std::mem::take(&mut self.long_term) => Marking::Commands(vec![Command::Other(4, [0, 0])]),
            _ if stale.is_empty() || slides && *marking == Marking::Window => Marking::Window,
            _ => {
                let ahead = |it: &u32| Command::Unmark((frame_num + turn - it - 1) % turn + 1);
                let commands: Vec<Command> = stale.iter().map(ahead).collect();
                match marking {
                    // In another order it is the same.
                    Marking::Commands(all)
                        if all.len() == commands.len() && commands.iter().all(|it| all.contains(it)) =>
                    {
                        marking.clone()
                    }
                    _ => Marking::Commands(commands),
                }
            }
        };
        self.ours.take(frame_num, &marking)?;
        // Those left out may have driven out what the source keeps by name.
        (self.ours.frames == self.theirs.frames).then_some(marking)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn held(most: usize, turn: u32, frames: &[u32]) -> Held {
        Held { frames: frames.to_vec(), last: frames.last().copied(), most, turn }
    }

    fn follower(most: usize, before: &[u32]) -> Follower {
        Follower { ours: held(most, 16, before), theirs: held(most, 16, &[]), long_term: false }
    }

    fn unmark(before: &[u32]) -> Marking {
        Marking::Commands(before.iter().map(|it| Command::Unmark(*it)).collect())
    }

    #[test]
    fn numbers_left_out_take_places() {
        let mut it = held(4, 16, &[13, 14]);
        it.take(1, &Marking::Window).unwrap();
        assert_eq!(it.frames, [14, 15, 0, 1]);
        it.take(9, &Marking::Window).unwrap();
        assert_eq!(it.frames, [6, 7, 8, 9]);
        it.take(10, &unmark(&[2, 4])).unwrap();
        assert_eq!(it.frames, [6 + 1, 9, 10]);
        assert_eq!(it.take(11, &Marking::Commands(vec![Command::Other(5, [0, 0])])), None);
    }

    /// x264's open GOP with a pyramid: the keyframe is number 9, its leading B picture that others refer to 10, and the
    /// P picture behind them, 11, puts away that and what the source had before.
    #[test]
    fn a_keyframe_clears_what_is_before_it() {
        let mut it = follower(4, &[0, 1, 2]);
        // Numbers 3 to 8 are not sent.
        assert_eq!(it.keep(9, &Marking::Window), Some(unmark(&[4, 3, 2, 1])));
        assert_eq!(it.ours.frames, [9]);
        it.leave(10, &Marking::Window).unwrap();
        assert_eq!(it.keep(11, &unmark(&[1, 3, 6])), Some(unmark(&[1])));
        assert_eq!((&it.ours.frames[..], &it.theirs.frames[..]), (&[9, 11][..], &[9, 11][..]));
        assert_eq!(it.keep(12, &Marking::Window), Some(Marking::Window));
        // It names the one before the keyframe that the source has kept.
        assert_eq!(it.keep(13, &unmark(&[5])), Some(Marking::Window));
    }

    #[test]
    fn where_the_output_begins_nothing_is_put_away() {
        let mut it = follower(4, &[]);
        assert_eq!(it.keep(9, &unmark(&[1])), Some(Marking::Window));
        it.leave(10, &Marking::Window).unwrap();
        assert_eq!(it.keep(11, &unmark(&[1, 3])), Some(unmark(&[1])));
    }

    proptest! {
        /// Whatever the source does behind the join, ours holds what it holds of that.
        #[test]
        fn both_hold_the_same(
            most in 1usize..6,
            before in 0u32..9,
            // Fewer than a turn of numbers, so that they tell frames apart.
            pictures in prop::collection::vec((any::<bool>(), prop::collection::vec(1u32..8, 0..3), any::<bool>()), 1..10),
        ) {
            const KEY: u32 = 11;
            let mut it = follower(most, &(0..before).collect::<Vec<_>>());
            let mut source = held(most, 16, &(KEY - most as u32..KEY).collect::<Vec<_>>());
            let mut left = 0;
            for (at, (taken, commands, adaptive)) in pictures.iter().enumerate() {
                let frame_num = (KEY + at as u32) % 16;
                let named = |it: &u32| source.frames.contains(&source.before(frame_num, *it));
                let named: Vec<u32> = commands.iter().copied().filter(named).collect();
                // An encoder makes room.
                let room = source.frames.len() < most || !named.is_empty();
                let marking = if *adaptive && room { unmark(&named) } else { Marking::Window };
                source.take(frame_num, &marking).unwrap();
                if !*taken && at > 0 {
                    it.leave(frame_num, &marking).unwrap();
                    left += 1;
                    continue;
                }
                let held = it.ours.frames.len();
                if it.keep(frame_num, &marking).is_none() {
                    prop_assert!(left > 0 && held + left > most, "{held} held");
                    return Ok(());
                }
                left = 0;
                let since = |it: &u32| (it + 16 - KEY) % 16 <= at as u32;
                let since: Vec<u32> = source.frames.iter().copied().filter(since).collect();
                prop_assert_eq!(&it.ours.frames, &since);
            }
        }
    }
}
