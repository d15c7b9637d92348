//! Wipes: when the front of a growing shape reaches each sample of a picture. Pure arithmetic, done once for a
//! transition; after that a picture costs a comparison and a multiplication a sample.

use super::blend::ONE;
use std::f32::consts::{PI, TAU};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A hand turning clockwise from twelve.
    Clock,
    /// A five-pointed star, one point up, growing from the middle.
    Star,
    /// A rhombus as wide and as high as the picture, growing from the middle.
    Diamond,
}

/// A tenth of a turn: from a point of the star to the notch beside it.
const TENTH: f32 = PI / 5.0;

/// Where a pentagram's notches lie, with its points at 1: the square of the golden ratio's inverse.
const NOTCH: f32 = 0.381_966;

impl Shape {
    /// How far the shape has to grow to reach `(x, y)`, from the middle, x to the right and y down, in a picture that
    /// reaches from `-half` to `half`; in a unit of its own.
    fn distance(self, (x, y): (f32, f32), half: (f32, f32)) -> f32 {
        match self {
            Self::Clock => x.atan2(-y).rem_euclid(TAU),
            Self::Diamond => x.abs() / half.0 + y.abs() / half.1,
            Self::Star => {
                // Every point looks like half of the one at twelve, which is bounded by the line from its tip (1, 0)
                // to the notch; how often that line has to be scaled to reach here is linear in the place.
                let turn = x.atan2(-y).rem_euclid(2.0 * TENTH);
                let turn = turn.min(2.0 * TENTH - turn);
                let radius = x.hypot(y);
                let (along, across) = (radius * turn.cos(), radius * turn.sin());
                along + across * (1.0 - NOTCH * TENTH.cos()) / (NOTCH * TENTH.sin())
            }
        }
    }
}

/// When a wipe reaches each sample of a plane.
pub struct Arrival {
    width: usize,
    /// 0 is the start of the transition, 65535 its end.
    times: Vec<u16>,
    /// The first and the last arrival in each row.
    bounds: Vec<(u16, u16)>,
    /// log2 of how long a sample takes to change: the edge is soft, over about two samples.
    soft: u32,
}

impl Arrival {
    /// For a plane of `size` samples in a picture that is seen `seen` wide and high, in any unit.
    pub fn new(shape: Shape, size: (usize, usize), seen: (f32, f32)) -> Self {
        let (width, height) = size;
        let half = (seen.0 / 2.0, seen.1 / 2.0);
        let mut distances = Vec::with_capacity(width * height);
        for row in 0..height {
            let y = (row as f32 + 0.5) / height as f32 * seen.1 - half.1;
            for column in 0..width {
                let x = (column as f32 + 0.5) / width as f32 * seen.0 - half.0;
                distances.push(shape.distance((x, y), half));
            }
        }
        let most = if shape == Shape::Clock { TAU } else { distances.iter().copied().fold(0.0, f32::max) };
        let scale = if most > 0.0 { 65535.0 / most } else { 0.0 };
        let times: Vec<u16> = distances.iter().map(|it| (it * scale).round() as u16).collect();
        let bounds = times
            .chunks_exact(width.max(1))
            .map(|row| row.iter().fold((u16::MAX, 0), |(low, high), it| (low.min(*it), high.max(*it))))
            .collect();
        let soft = (4 * 65536 / (width + height).max(1)).clamp(1, 4096).ilog2();
        Self { width, times, bounds, soft }
    }

    /// Where the front is when `share` of the transition, 0 to 1, is over.
    pub fn front(&self, share: f64) -> i32 {
        (share * f64::from(65535 + (1 << self.soft))).round() as i32
    }

    pub fn row(&self, number: usize) -> &[u16] {
        self.times.get(number * self.width..(number + 1) * self.width).unwrap_or_default()
    }

    /// Whether the front has been everywhere in a row, or nowhere.
    pub fn side(&self, number: usize, front: i32) -> Option<bool> {
        let (low, high) = *self.bounds.get(number)?;
        if front <= i32::from(low) {
            Some(false)
        } else if front >= i32::from(high) + (1 << self.soft) {
            Some(true)
        } else {
            None
        }
    }

    /// How much of the new picture is seen at a sample reached at `time`, 0 to [`ONE`].
    pub fn weight(&self, time: u16, front: i32) -> u32 {
        let since = (front - i32::from(time)).clamp(0, 1 << self.soft) as u32;
        since << (ONE.ilog2() - self.soft)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (usize, usize) = (64, 48);

    fn arrival(shape: Shape) -> Arrival {
        Arrival::new(shape, SIZE, (64.0, 48.0))
    }

    fn weight(it: &Arrival, x: usize, y: usize, share: f64) -> u32 {
        it.weight(it.row(y)[x], it.front(share))
    }

    #[test]
    fn every_shape_begins_with_nothing_and_ends_with_all() {
        for shape in [Shape::Clock, Shape::Star, Shape::Diamond] {
            let it = arrival(shape);
            for (y, x) in (0..SIZE.1).flat_map(|y| (0..SIZE.0).map(move |x| (y, x))) {
                assert_eq!(weight(&it, x, y, 0.0), 0, "{shape:?} at {x}, {y}");
                assert_eq!(weight(&it, x, y, 1.0), ONE, "{shape:?} at {x}, {y}");
            }
        }
    }

    #[test]
    fn nothing_that_was_reached_is_lost_again() {
        for shape in [Shape::Clock, Shape::Star, Shape::Diamond] {
            let it = arrival(shape);
            for (x, y) in [(0, 0), (32, 24), (63, 0), (10, 40), (50, 20)] {
                let weights: Vec<u32> =
                    (0..=100).map(|at| weight(&it, x, y, f64::from(at) / 100.0)).collect();
                assert!(weights.is_sorted(), "{shape:?} at {x}, {y}");
            }
        }
    }

    #[test]
    fn the_hand_turns_clockwise_from_twelve() {
        let it = arrival(Shape::Clock);
        // Between twelve and three, three and six, six and nine, nine and twelve.
        for (quarter, (x, y)) in [(48, 8), (48, 40), (16, 40), (16, 8)].into_iter().enumerate() {
            assert_eq!(weight(&it, x, y, quarter as f64 / 4.0), 0, "quarter {quarter} is not reached yet");
            assert_eq!(
                weight(&it, x, y, (quarter + 1) as f64 / 4.0),
                ONE,
                "quarter {quarter} is behind the hand"
            );
        }
    }

    #[test]
    fn the_rhombus_reaches_all_four_sides_half_way() {
        let it = arrival(Shape::Diamond);
        for (x, y) in [(0, 23), (63, 23), (31, 0), (31, 47)] {
            assert_eq!(weight(&it, x, y, 0.4), 0);
            assert_eq!(weight(&it, x, y, 0.7), ONE);
        }
        assert_eq!(weight(&it, 0, 0, 0.9), 0, "a corner comes last");
    }

    #[test]
    fn the_star_has_five_points_the_first_up() {
        let it = Arrival::new(Shape::Star, (400, 400), (400.0, 400.0));
        let time = |turn: f32| {
            let (x, y) = (200.0 + 150.0 * turn.sin(), 200.0 - 150.0 * turn.cos());
            it.row(y as usize)[x as usize]
        };
        let tips: Vec<u16> = (0..5).map(|point| time(2.0 * TENTH * point as f32)).collect();
        let notches: Vec<u16> = (0..5).map(|point| time(2.0 * TENTH * (point as f32 + 0.5))).collect();
        let (first, last) = (tips.iter().max().unwrap(), notches.iter().min().unwrap());
        assert!(f32::from(*last) > 2.0 * f32::from(*first), "{tips:?} {notches:?}");
    }

    #[test]
    fn a_row_knows_its_side() {
        let it = arrival(Shape::Diamond);
        for share in [0.0, 0.2, 0.5, 0.8, 1.0] {
            let front = it.front(share);
            for row in 0..SIZE.1 {
                let weights: Vec<u32> = it.row(row).iter().map(|time| it.weight(*time, front)).collect();
                match it.side(row, front) {
                    Some(true) => assert!(weights.iter().all(|it| *it == ONE)),
                    Some(false) => assert!(weights.iter().all(|it| *it == 0)),
                    None => assert!(weights.iter().any(|it| *it < ONE) && weights.iter().any(|it| *it > 0)),
                }
            }
        }
    }
}
