//! From a stored picture to the one that is wanted: which part of it, how large, which way up. Pure arithmetic.

use crate::base::{Error, Kind, Result};
use crate::media::turn::Turn;

/// The longest side of a picture that is written, in pixels. A stream may claim any sample aspect.
pub const MAX_SIDE: u32 = 16_384;

/// How a picture is put into a box of both a width and a height. Nothing is ever enlarged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Fit {
    /// As large as fits, in its own shape.
    #[default]
    Contain,
    /// Fills the box in its own shape; what is too much on two sides is cut off.
    Cover,
    /// Stretched to the box.
    Fill,
    /// As `Contain`: CSS tells the two apart where a picture would be enlarged.
    ScaleDown,
}

impl Fit {
    pub const ALL: [(&str, Self); 4] = [
        ("contain", Self::Contain),
        ("cover", Self::Cover),
        ("fill", Self::Fill),
        ("scale-down", Self::ScaleDown),
    ];
}

/// A part of the upright picture with square pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Crop {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

/// What a picture is to look like; by default as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Look {
    /// Of the box, in pixels; a side that is left out follows from the other.
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub fit: Fit,
    /// Taken out before anything is scaled.
    pub crop: Option<Crop>,
}

/// What is known of a stored picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// In samples.
    pub width: usize,
    pub height: usize,
    /// Width of a sample over its height.
    pub aspect: (u32, u32),
    /// How it must be turned to be seen upright.
    pub turn: Turn,
}

/// A rectangle with fractions, in samples of the stored picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

/// What has to be done: take the region, scale it to the size, turn it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    pub region: Region,
    /// Before it is turned.
    pub width: usize,
    pub height: usize,
    pub turn: Turn,
}

impl Stored {
    /// Its size with square pixels: the shorter way is stretched, so that nothing is lost.
    fn square(&self) -> Result<(u32, u32)> {
        let (width, height) = (self.width as u64, self.height as u64);
        let (num, den) = (u64::from(self.aspect.0.max(1)), u64::from(self.aspect.1.max(1)));
        let (width, height) = if num >= den {
            ((width * num + den / 2) / den, height)
        } else {
            (width, (height * den + num / 2) / num)
        };
        let refuse =
            || Error::new(Kind::Damaged, "picture-size", "the picture has no size, or one past 16384 pixels");
        let side = |value: u64| {
            u32::try_from(value).ok().filter(|it| (1..=MAX_SIDE).contains(it)).ok_or_else(refuse)
        };
        Ok((side(width)?, side(height)?))
    }

    /// The size it is seen at: upright, with square pixels.
    ///
    /// # Errors
    /// `picture-size` where it has none, or one past [`MAX_SIDE`].
    pub fn upright(&self) -> Result<(u32, u32)> {
        let (width, height) = self.square()?;
        Ok(if self.turn.quarters() % 2 == 1 { (height, width) } else { (width, height) })
    }
}

fn rounded(value: f64) -> u32 {
    (value.round() as u32).max(1)
}

/// The part of `area` that is shown in a box, and the size it is shown at.
fn fitted(area: Region, look: &Look) -> (Region, (u32, u32)) {
    let (width, height) = (area.width, area.height);
    let side = |wanted: Option<u32>, own: f64| wanted.map_or(own, |it| f64::from(it).min(own));
    let scaled = |scale: f64| (rounded(width * scale), rounded(height * scale));
    match (look.width, look.height) {
        (None, None) => (area, scaled(1.0)),
        (Some(_), None) => (area, scaled(side(look.width, width) / width)),
        (None, Some(_)) => (area, scaled(side(look.height, height) / height)),
        (Some(box_width), Some(box_height)) => {
            let (across, down) = (f64::from(box_width) / width, f64::from(box_height) / height);
            match look.fit {
                Fit::Contain | Fit::ScaleDown => (area, scaled(across.min(down).min(1.0))),
                Fit::Fill => (area, (box_width.min(width as u32), box_height.min(height as u32))),
                Fit::Cover => {
                    let scale = across.max(down);
                    // A box the picture would have to grow for becomes smaller in its own shape.
                    let shown = (f64::from(box_width) / scale, f64::from(box_height) / scale);
                    let part = Region {
                        left: area.left + (width - shown.0) / 2.0,
                        top: area.top + (height - shown.1) / 2.0,
                        width: shown.0,
                        height: shown.1,
                    };
                    let scale = scale.min(1.0);
                    (part, (rounded(shown.0 * scale), rounded(shown.1 * scale)))
                }
            }
        }
    }
}

impl Shape {
    /// # Errors
    /// `invalid-crop` for one that reaches past the picture; `picture-size` for a picture no side of which is sensible.
    pub fn new(stored: &Stored, look: &Look) -> Result<Self> {
        let (width, height) = stored.upright()?;
        let whole = Crop { x: 0, y: 0, width, height };
        let crop = look.crop.unwrap_or(whole);
        let inside = |at: u32, length: u32, all: u32| {
            length > 0 && at.checked_add(length).is_some_and(|end| end <= all)
        };
        if !inside(crop.x, crop.width, width) || !inside(crop.y, crop.height, height) {
            let detail =
                format!("crop must be X,Y,WIDTH,HEIGHT within the picture's {width}x{height} pixels");
            return Err(Error::invalid("invalid-crop", "crop", detail));
        }
        let area = Region {
            left: crop.x.into(),
            top: crop.y.into(),
            width: crop.width.into(),
            height: crop.height.into(),
        };
        let (part, (to_width, to_height)) = fitted(area, look);
        let turns = stored.turn.quarters();
        let part_left =
            if stored.turn.mirrored { f64::from(width) - part.left - part.width } else { part.left };
        let (square_width, square_height) = stored.square()?;
        let (all_width, all_height) = (f64::from(square_width), f64::from(square_height));
        // Where the part lies before the picture is turned upright.
        let (left, top) = match turns {
            0 => (part_left, part.top),
            1 => (part.top, all_height - part_left - part.width),
            2 => (all_width - part_left - part.width, all_height - part.top - part.height),
            _ => (all_width - part.top - part.height, part_left),
        };
        let sideways = turns % 2 == 1;
        let swap = |pair: (f64, f64)| if sideways { (pair.1, pair.0) } else { pair };
        let (part_width, part_height) = swap((part.width, part.height));
        let (across, down) = (stored.width as f64 / all_width, stored.height as f64 / all_height);
        let (to_width, to_height) = if sideways { (to_height, to_width) } else { (to_width, to_height) };
        Ok(Self {
            region: Region {
                left: left * across,
                top: top * down,
                width: part_width * across,
                height: part_height * down,
            },
            width: to_width as usize,
            height: to_height as usize,
            turn: stored.turn,
        })
    }

    /// The samples the region consists of, where it is neither scaled nor lies between samples: left, top.
    pub fn copied(&self) -> Option<(usize, usize)> {
        let Region { left, top, width, height } = self.region;
        let plain = left.fract() == 0.0
            && top.fract() == 0.0
            && (width, height) == (self.width as f64, self.height as f64);
        plain.then_some((left as usize, top as usize))
    }

    /// Whether the stored picture is what is wanted, as it is.
    pub fn is_stored(&self, stored: &Stored) -> bool {
        self.turn.is_none()
            && self.copied() == Some((0, 0))
            && (self.width, self.height) == (stored.width, stored.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HD: Stored = Stored { width: 1280, height: 720, aspect: (1, 1), turn: Turn::NONE };

    fn look(width: u32, height: u32, fit: Fit) -> Look {
        let side = |it: u32| Some(it).filter(|it| *it > 0);
        Look { width: side(width), height: side(height), fit, crop: None }
    }

    fn size(stored: &Stored, look: &Look) -> (usize, usize) {
        let shape = Shape::new(stored, look).unwrap();
        if shape.turn.quarters() % 2 == 1 { (shape.height, shape.width) } else { (shape.width, shape.height) }
    }

    #[test]
    fn boxes_are_fitted_as_css_does_and_nothing_grows() {
        use Fit::{Contain, Cover, Fill, ScaleDown};
        for (width, height, fit, expected) in [
            (0, 0, Contain, (1280, 720)),
            (320, 0, Contain, (320, 180)),
            (0, 90, Contain, (160, 90)),
            (320, 320, Contain, (320, 180)),
            (320, 100, ScaleDown, (178, 100)),
            (4000, 0, Contain, (1280, 720)),
            (4000, 4000, Contain, (1280, 720)),
            (4000, 4000, ScaleDown, (1280, 720)),
            (1, 0, Contain, (1, 1)),
            (320, 320, Cover, (320, 320)),
            (4000, 4000, Cover, (720, 720)),
            (2000, 1000, Cover, (1280, 640)),
            (320, 320, Fill, (320, 320)),
            (4000, 100, Fill, (1280, 100)),
        ] {
            assert_eq!(size(&HD, &look(width, height, fit)), expected, "{width}x{height} {fit:?}");
        }
    }

    #[test]
    fn covering_takes_the_middle() {
        let shape = Shape::new(&HD, &look(180, 180, Fit::Cover)).unwrap();
        assert_eq!(shape.region, Region { left: 280.0, top: 0.0, width: 720.0, height: 720.0 });
    }

    #[test]
    fn pixels_become_square_and_upright() {
        let pal = Stored { width: 720, height: 576, aspect: (16, 15), turn: Turn::NONE };
        assert_eq!(pal.upright().unwrap(), (768, 576));
        let tall = Stored { width: 720, height: 480, aspect: (8, 9), turn: Turn::new(90, false) };
        assert_eq!(tall.upright().unwrap(), (540, 720));
        assert_eq!(size(&tall, &look(270, 0, Fit::Contain)), (270, 360));
        for (width, height, aspect) in [(0, 10, (1, 1)), (10, 10, (20_000, 1)), (10, 10, (1, 20_000))] {
            let stored = Stored { width, height, aspect, turn: Turn::NONE };
            assert_eq!(stored.upright().unwrap_err().code, "picture-size");
        }
    }

    #[test]
    fn a_crop_counts_in_pixels_of_the_upright_picture() {
        let crop = Some(Crop { x: 10, y: 20, width: 30, height: 40 });
        for (rotation, left, top) in [
            (0, 10.0, 20.0),
            // Upright it is 720 wide and 1280 high.
            (90, 20.0, 720.0 - 10.0 - 30.0),
            (180, 1280.0 - 10.0 - 30.0, 720.0 - 20.0 - 40.0),
            (270, 1280.0 - 20.0 - 40.0, 10.0),
        ] {
            let shape = Shape::new(
                &Stored { turn: Turn::new(rotation, false), ..HD },
                &Look { crop, ..Look::default() },
            )
            .unwrap();
            assert_eq!((shape.region.left, shape.region.top), (left, top), "{rotation}");
            let sides = if rotation % 180 == 0 { (30, 40) } else { (40, 30) };
            assert_eq!((shape.width, shape.height), sides);
            assert_eq!(shape.copied(), Some((left as usize, top as usize)));
        }
        for (x, y, width, height) in
            [(0, 0, 0, 5), (0, 0, 1281, 720), (1280, 0, 1, 1), (u32::MAX, 0, 2, 1), (0, 719, 1, 2)]
        {
            let crop = Some(Crop { x, y, width, height });
            let refused = Shape::new(&HD, &Look { crop, ..Look::default() }).unwrap_err();
            assert_eq!(refused.code, "invalid-crop");
        }
    }

    proptest! {
        #[test]
        fn regions_lie_in_the_picture_and_nothing_grows(
            width in 1usize..3000, height in 1usize..3000, aspect in (1u32..5, 1u32..5), quarter in 0u32..4,
            sides in (0u32..4000, 0u32..4000), fit in 0usize..4, crop in (0u32..4000, 0u32..4000, 0u32..4000, 0u32..4000),
            cropped: bool,
        ) {
            let stored = Stored { width, height, aspect, turn: Turn::new(quarter * 90, false) };
            let crop = Crop { x: crop.0, y: crop.1, width: crop.2, height: crop.3 };
            let look = Look { crop: cropped.then_some(crop), ..look(sides.0, sides.1, Fit::ALL[fit].1) };
            if let Ok(shape) = Shape::new(&stored, &look) {
                let Region { left, top, width: across, height: down } = shape.region;
                prop_assert!(left >= -1e-6 && top >= -1e-6);
                prop_assert!(left + across <= width as f64 + 1e-6 && top + down <= height as f64 + 1e-6);
                let (wide, high) = stored.upright().unwrap();
                let (got_wide, got_high) = size(&stored, &look);
                prop_assert!((1..=wide as usize).contains(&got_wide) && (1..=high as usize).contains(&got_high));
            }
        }
    }
}
