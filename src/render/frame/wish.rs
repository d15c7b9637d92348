//! What a frame is to be, from the words that HTTP and the command line share.

use crate::base::time::SECOND;
use crate::base::{Error, Result, Timestamp};
use crate::config;
use crate::media::picture::{Crop, Fit, Look, MAX_SIDE, PictureFormat};
use crate::render::words::{choice, number, seconds};

/// What a frame is encoded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Png,
    Jpeg,
    WebP,
    Avif,
}

impl Format {
    /// By the extensions they are asked for with.
    pub const ALL: [(&str, Self); 5] = [
        ("png", Self::Png),
        ("jpg", Self::Jpeg),
        ("jpeg", Self::Jpeg),
        ("webp", Self::WebP),
        ("avif", Self::Avif),
    ];

    pub fn named(extension: &str) -> Option<Self> {
        Self::ALL.iter().find(|it| it.0 == extension).map(|it| it.1)
    }

    /// With a quality, or the configured one.
    pub fn with(self, quality: Option<u8>, defaults: &config::Frame) -> PictureFormat {
        match self {
            Self::Png => PictureFormat::Png,
            Self::Jpeg => PictureFormat::Jpeg(quality.unwrap_or(defaults.jpeg_quality)),
            Self::WebP => PictureFormat::WebP(quality.unwrap_or(defaults.webp_quality)),
            Self::Avif => PictureFormat::Avif(quality.unwrap_or(defaults.avif_quality)),
        }
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => PictureFormat::Png.media_type(),
            Self::Jpeg => PictureFormat::Jpeg(0).media_type(),
            Self::WebP => PictureFormat::WebP(0).media_type(),
            Self::Avif => PictureFormat::Avif(0).media_type(),
        }
    }
}

/// Which frame is meant by a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Accuracy {
    /// The one on screen then.
    Exact,
    /// The last keyframe at or before it, this many microseconds before it at most.
    Keyframe(i64),
    /// The one that begins nearest to it, this many microseconds away at most.
    Nearest(i64),
}

/// The longest way to another frame, in microseconds: what bounds how many segments are looked through.
const MAX_TOLERANCE: i64 = 60 * SECOND;
/// When none is given.
const TOLERANCE: i64 = 30 * SECOND;

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wish {
    pub at: Timestamp,
    pub accuracy: Accuracy,
    pub look: Look,
    /// 1 to 100.
    pub quality: Option<u8>,
}

fn crop(text: &str) -> Result<Crop> {
    let numbers: Vec<u32> = text
        .split(',')
        .map(|it| it.trim().parse().ok().filter(|it| *it <= MAX_SIDE))
        .collect::<Option<_>>()
        .unwrap_or_default();
    match numbers[..] {
        [x, y, width, height] if width > 0 && height > 0 => Ok(Crop { x, y, width, height }),
        _ => {
            let detail = "crop must be X,Y,WIDTH,HEIGHT: four whole numbers of pixels, the last two above 0";
            Err(Error::invalid("invalid-crop", "crop", detail))
        }
    }
}

impl Wish {
    /// Reads the parameters, which `get` knows by name.
    ///
    /// # Errors
    /// [`crate::base::Kind::Invalid`] for the first parameter that says nothing sensible, with what is allowed.
    pub fn read<'a>(at: Timestamp, get: impl Fn(&str) -> Result<Option<&'a str>>) -> Result<Self> {
        let within = seconds("tolerance", get("tolerance")?, 0, MAX_TOLERANCE)?;
        let accuracies = [
            ("exact", Accuracy::Exact),
            ("keyframe", Accuracy::Keyframe(within.unwrap_or(TOLERANCE))),
            ("nearest", Accuracy::Nearest(within.unwrap_or(TOLERANCE))),
        ];
        let accuracy = choice("accuracy", get("accuracy")?, Accuracy::Exact, &accuracies)?;
        if accuracy == Accuracy::Exact && within.is_some() {
            let detail = "tolerance goes with accuracy=keyframe or accuracy=nearest; an exact frame has none";
            return Err(Error::invalid("unexpected-parameter", "tolerance", detail));
        }
        let quality = number("quality", get("quality")?, 1, 100)?.map(|it| it as u8);
        Ok(Self { at, accuracy, look: Self::look(get)?, quality })
    }

    /// Reads what a picture is to look like.
    pub fn look<'a>(get: impl Fn(&str) -> Result<Option<&'a str>>) -> Result<Look> {
        Ok(Look {
            width: number("width", get("width")?, 1, MAX_SIDE)?,
            height: number("height", get("height")?, 1, MAX_SIDE)?,
            fit: choice("fit", get("fit")?, Fit::Contain, &Fit::ALL)?,
            crop: get("crop")?.map(crop).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Wish> {
        let pairs: Vec<(&str, &str)> = query.split('&').filter_map(|it| it.split_once('=')).collect();
        Wish::read(Timestamp::from_micros(0), |key| Ok(pairs.iter().find(|it| it.0 == key).map(|it| it.1)))
    }

    #[test]
    fn what_is_said_is_what_is_wanted() {
        let plain = read("").unwrap();
        assert_eq!((plain.accuracy, plain.look, plain.quality), (Accuracy::Exact, Look::default(), None));
        let wish = read(
            "width=320&height=200&fit=scale-down&crop=1,2,30,40&quality=7&accuracy=nearest&tolerance=0.5",
        );
        let wish = wish.unwrap();
        let crop = Some(Crop { x: 1, y: 2, width: 30, height: 40 });
        assert_eq!(wish.look, Look { width: Some(320), height: Some(200), fit: Fit::ScaleDown, crop });
        assert_eq!((wish.accuracy, wish.quality), (Accuracy::Nearest(500_000), Some(7)));
        assert_eq!(read("accuracy=keyframe").unwrap().accuracy, Accuracy::Keyframe(TOLERANCE));
    }

    #[test]
    fn what_says_nothing_sensible_is_refused_by_name() {
        for (query, parameter) in [
            ("width=0", "width"),
            ("width=16385", "width"),
            ("height=1e3", "height"),
            ("height=-1", "height"),
            ("fit=stretch", "fit"),
            ("crop=1,2,3", "crop"),
            ("crop=1,2,3,0", "crop"),
            ("crop=1,2,3,4,5", "crop"),
            ("crop=-1,2,3,4", "crop"),
            ("crop=0,0,99999999999,1", "crop"),
            ("quality=0", "quality"),
            ("quality=101", "quality"),
            ("accuracy=about", "accuracy"),
            ("tolerance=1", "tolerance"),
            ("accuracy=nearest&tolerance=-1", "tolerance"),
            ("accuracy=nearest&tolerance=61", "tolerance"),
            ("accuracy=nearest&tolerance=NaN", "tolerance"),
            ("accuracy=keyframe&tolerance=inf", "tolerance"),
            ("accuracy=keyframe&tolerance=", "tolerance"),
        ] {
            let refused = read(query).unwrap_err();
            assert_eq!(refused.parameter.as_deref(), Some(parameter), "{query}");
            assert_eq!(refused.kind, crate::base::Kind::Invalid);
        }
    }
}
