//! How a stored picture is to be turned to be seen upright.

/// Quarter turns, and a mirror after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Turn {
    /// Clockwise: 0, 90, 180 or 270.
    pub degrees: u32,
    /// From left to right, once it is turned.
    pub mirrored: bool,
}

impl Turn {
    pub const NONE: Self = Self { degrees: 0, mirrored: false };

    pub const fn new(degrees: u32, mirrored: bool) -> Self {
        Self { degrees: degrees % 360, mirrored }
    }

    /// What an orientation of 1 to 8 asks for (EXIF 2.32 §4.6.4).
    pub const fn of_orientation(orientation: u8) -> Self {
        match orientation {
            2 => Self::new(0, true),
            3 => Self::new(180, false),
            4 => Self::new(180, true),
            5 => Self::new(270, true),
            6 => Self::new(270, false),
            7 => Self::new(90, true),
            8 => Self::new(90, false),
            _ => Self::NONE,
        }
    }

    /// This, and another after it.
    pub const fn then(self, other: Self) -> Self {
        // What is mirrored turns the other way.
        let degrees = if self.mirrored { 360 - other.degrees } else { other.degrees };
        Self::new(self.degrees + degrees, self.mirrored != other.mirrored)
    }

    /// Quarter turns clockwise, 0 to 3.
    pub const fn quarters(self) -> u32 {
        self.degrees / 90 % 4
    }

    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the corner that is stored at the top left is seen: right, down.
    fn corner(turn: Turn) -> (bool, bool) {
        let (right, down) =
            [(false, false), (true, false), (true, true), (false, true)][turn.quarters() as usize];
        (right != turn.mirrored, down)
    }

    #[test]
    fn turns_follow_each_other() {
        let all = || [0, 90, 180, 270].into_iter().flat_map(|it| [Turn::new(it, false), Turn::new(it, true)]);
        for first in all() {
            assert_eq!(first.then(Turn::NONE), first);
            assert_eq!(Turn::NONE.then(first), first);
            for second in all() {
                // Seen as a whole: the square's corner, moved by the one and then by the other.
                let mut at = corner(first);
                for _ in 0..second.quarters() {
                    at = (!at.1, at.0);
                }
                if second.mirrored {
                    at.0 = !at.0;
                }
                assert_eq!(corner(first.then(second)), at, "{first:?} {second:?}");
            }
        }
    }
}
