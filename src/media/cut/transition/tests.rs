//! Every transition on small pictures.

use super::*;

const SIZE: (usize, usize) = (48, 32);

/// A picture with something to see in every plane, in any format; `seed` makes it another one.
fn picture(format: PixelFormat, seed: usize) -> Frame {
    let mut frame = FrameMut::picture(format, SIZE.0, SIZE.1).unwrap();
    frame.set_colour(if seed == 0 { 1 } else { 2 }, 1, 1, 1);
    let deep = format.depth() > 8;
    for plane in 0..3 {
        let (bytes, stride) = frame.plane_mut(plane);
        for (at, sample) in bytes.chunks_exact_mut(if deep { 2 } else { 1 }).enumerate() {
            let stride = stride / if deep { 2 } else { 1 };
            let value = 30 + (at % stride * 3 + at / stride * 5 + seed * 40 + plane * 11) % 180;
            let value = if deep { value << (format.depth() - 8) } else { value };
            sample.copy_from_slice(&(value as u16).to_le_bytes()[..sample.len()]);
        }
    }
    let mut frame = frame.freeze();
    frame.set_pts(Some(seed as i64));
    frame
}

fn format(name: &str) -> PixelFormat {
    PixelFormat::named(name).unwrap()
}

/// The visible samples of a plane.
fn samples(frame: &Frame, plane: usize) -> Vec<u16> {
    let layout = Layout {
        bytes: if frame.format().depth() > 8 { 2 } else { 1 },
        shift: frame.format().chroma_shift(),
    };
    let (width, height) = plane_size(frame, layout, plane);
    let (bytes, stride) = frame.plane(plane);
    let row = |row: usize| &bytes[row * stride..][..width * layout.bytes];
    let value = |it: &[u8]| if it.len() == 2 { u16::from_le_bytes([it[0], it[1]]) } else { u16::from(it[0]) };
    (0..height).flat_map(|it| row(it).chunks_exact(layout.bytes).map(value)).collect()
}

const FORMATS: [&str; 7] =
    ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"];

/// Transitions whose middle shows other pictures than the two it is given, even when these are equal.
const INVENTIVE: [&str; 3] = ["fadeblack", "fadewhite", "fadegrays"];

/// Transitions that move or blur what they show, by the beginnings of their names.
const MOVING: [&str; 13] = [
    "slide",
    "circlecrop",
    "rectcrop",
    "pixelize",
    "hblur",
    "squeeze",
    "zoomin",
    "cover",
    "reveal",
    "hlwind",
    "hrwind",
    "vuwind",
    "vdwind",
];

#[test]
fn every_transition_gives_its_pictures_in_the_sources_format() {
    assert!(transitions().len() >= 46, "{}", transitions().len());
    for Description { name, description } in transitions() {
        assert!(description.ends_with('.') && description.len() > 3, "{name}: {description}");
        for format in FORMATS.map(format) {
            let mut mixer = Mixer::new(name, 4).unwrap();
            for at in 0..4 {
                let (mut left, right) = (picture(format, 0), picture(format, 3));
                left.set_pts(Some(100 + at));
                let first = samples(&left, 0);
                let mixed = mixer.mix(left, right).unwrap();
                let kind = (mixed.format(), mixed.width(), mixed.height(), mixed.pts(), mixed.colour());
                let expected = (format, SIZE.0, SIZE.1, Some(100 + at), (1, 1, 1, 1));
                assert_eq!(kind, expected, "{name} {}", format.name());
                if at == 0 && ["fade", "wipeleft", "clockwipe", "starwipe"].contains(&&**name) {
                    assert_eq!(samples(&mixed, 0), first, "{name} begins with the picture before it");
                }
            }
        }
    }
}

#[test]
fn equal_pictures_stay_what_they_are() {
    let formats = FORMATS.map(format);
    let still = |it: &&Description| {
        !INVENTIVE.contains(&&*it.name) && !MOVING.iter().any(|begin| it.name.starts_with(begin))
    };
    for Description { name, .. } in transitions().iter().filter(still) {
        for format in formats {
            let mut mixer = Mixer::new(name, 3).unwrap();
            for _ in 0..3 {
                let mixed = mixer.mix(picture(format, 2), picture(format, 2)).unwrap();
                let most = 1 << (format.depth() - 8);
                for plane in 0..3 {
                    let pairs = samples(&mixed, plane).into_iter().zip(samples(&picture(format, 2), plane));
                    let off = pairs.map(|(a, b)| a.abs_diff(b)).max().unwrap();
                    assert!(off <= most, "{name} {} changes plane {plane} by {off}", format.name());
                }
            }
        }
    }
}

#[test]
fn half_way_through_a_fade_is_the_mean() {
    for format in FORMATS.map(format) {
        let mut mixer = Mixer::new("fade", 2).unwrap();
        mixer.mix(picture(format, 0), picture(format, 3)).unwrap();
        let mixed = mixer.mix(picture(format, 0), picture(format, 3)).unwrap();
        for plane in 0..3 {
            let (left, right) = (samples(&picture(format, 0), plane), samples(&picture(format, 3), plane));
            let means: Vec<u16> = left.iter().zip(right).map(|(a, b)| (a + b).div_ceil(2)).collect();
            assert_eq!(samples(&mixed, plane), means, "{} plane {plane}", format.name());
        }
    }
}

#[test]
fn names_and_pictures_that_do_not_fit_are_refused() {
    assert_eq!(Mixer::new("custom", 4).err().unwrap().code, "unknown-transition");
    let mut mixer = Mixer::new("wipeleft", 4).unwrap();
    let other = mixer.mix(picture(format("yuv420p"), 0), picture(format("yuv422p"), 0));
    assert_eq!(other.err().unwrap().code, "unsupported-source");
    let mut mixer = Mixer::new("fade", 4).unwrap();
    let packed = || FrameMut::picture(PixelFormat::RGB24, 16, 16).unwrap().freeze();
    assert_eq!(mixer.mix(packed(), packed()).err().unwrap().code, "unsupported-source");
}

#[test]
fn sound_is_faded_linearly_and_in_parts_as_in_one() {
    let (left, right) = ([1.0; 8], [0.0; 8]);
    let whole = crossfade(&left, &right, 0, 8);
    assert_eq!(whole, [1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]);
    let mut parts = crossfade(&left[..3], &right[..3], 0, 8);
    parts.extend(crossfade(&left[3..], &right[3..], 3, 8));
    assert_eq!(parts, whole);
    assert_eq!(crossfade(&[0.5; 4], &[0.5; 4], 0, 4), [0.5; 4]);
}

#[test]
fn a_slide_shows_nothing_but_its_pictures() {
    let format = format("yuv420p");
    for name in ["slideleft", "slideright", "slideup", "slidedown"] {
        let mut mixer = Mixer::new(name, 5).unwrap();
        for _ in 0..5 {
            let even = |value| {
                let mut frame = FrameMut::picture(format, SIZE.0, SIZE.1).unwrap();
                for plane in 0..3 {
                    frame.plane_mut(plane).0.fill(value);
                }
                frame.freeze()
            };
            let mixed = mixer.mix(even(70), even(140)).unwrap();
            for plane in 0..3 {
                let luma = samples(&mixed, plane);
                assert!(
                    luma.iter().all(|it| (70..=140).contains(it)),
                    "{name} shows something else: {luma:?}"
                );
            }
        }
    }
}

#[test]
fn a_transition_is_read() {
    let read = |text: &str| parse(text).map(|it| it.map(|it| (it.name, it.micros)));
    assert_eq!(read("").unwrap(), None);
    assert_eq!(read("fade,1").unwrap(), Some(("fade".into(), 1_000_000)));
    assert_eq!(read("clockwipe,0.5").unwrap(), Some(("clockwipe".into(), 500_000)));
    assert_eq!(read("starwipe,60").unwrap(), Some(("starwipe".into(), 60_000_000)));
    for bad in
        ["fade", "fade,", "fade,0", "fade,-1", "fade,nan", "fade,inf", "fade,60.1", "fade,1,2", "fade,x", ","]
    {
        let code = read(bad).unwrap_err().code;
        assert!(
            code == if bad == "," { "unknown-transition" } else { "invalid-transition" },
            "{bad}: {code}"
        );
    }
    let error = read("banana,1").unwrap_err();
    assert_eq!((error.code, error.parameter.as_deref()), ("unknown-transition", Some("transition")));
    assert!(error.detail.contains("/transitions") && error.detail.contains("clockwipe"), "{}", error.detail);
}
