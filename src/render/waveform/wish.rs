//! What a waveform is to be, from the words that HTTP and the command line share.

use crate::base::time::SECOND;
use crate::base::{Error, Result};
use crate::media::peaks::BLOCK;
use crate::media::peaks::audiowaveform::Bits;
use crate::media::waveform::{AXIS_ROWS, Colour, Layers, Look, Scale, Style};
use crate::render::words::{choice, number, seconds};

/// The picture's size when none is asked for.
pub const DEFAULT_SIZE: (u32, u32) = (1024, 64);

/// The largest side of a picture.
pub const MAX_SIDE: u32 = 4096;

/// The most samples a pixel may stand for: six minutes at 48 kHz.
pub const MAX_SAMPLES_PER_PIXEL: u32 = 1 << 24;

/// The kinds of answers, by the extension they are asked for with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extension {
    Png,
    Svg,
    Dat,
    Json,
    F32,
}

impl Extension {
    pub const ALL: [(&str, Self); 5] = [
        ("png", Self::Png),
        ("svg", Self::Svg),
        ("dat", Self::Dat),
        ("json", Self::Json),
        ("f32", Self::F32),
    ];

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Svg => "image/svg+xml",
            Self::Json => "application/json",
            Self::Dat | Self::F32 => "application/octet-stream",
        }
    }
}

/// How much sound a pixel stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zoom {
    SamplesPerPixel(u32),
    /// As few samples as make no more pixels than this.
    Width(u32),
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Dat(Bits),
    Json(Bits),
    /// 32-bit floats, channel after channel.
    F32,
    /// The arguments of wavesurfer.js.
    Wavesurfer,
}

impl Form {
    /// Bits of a value that it is made of.
    pub const fn bits(self) -> Bits {
        match self {
            Self::Dat(bits) | Self::Json(bits) => bits,
            Self::F32 | Self::Wavesurfer => Bits::Sixteen,
        }
    }
}

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wish {
    Png(Look),
    Svg(Look),
    Numbers {
        form: Form,
        zoom: Zoom,
        split: bool,
    },
    /// Where nothing is heard, as JSON.
    Silence(Quiet),
}

/// What counts as silence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quiet {
    /// In dB of full scale; no sample is above it.
    pub threshold: f64,
    /// How long it lasts at least, in microseconds.
    pub minimum: i64,
}

impl Quiet {
    const THRESHOLD: f64 = -50.0;
    const MINIMUM: i64 = SECOND / 2;

    /// Reads the parameters, which `get` knows by name.
    ///
    /// # Errors
    /// [`crate::base::Kind::Invalid`] with what is allowed.
    pub fn read<'a>(get: impl Fn(&str) -> Result<Option<&'a str>>) -> Result<Self> {
        let threshold = match get("threshold")? {
            None => Self::THRESHOLD,
            Some(text) => {
                let value = text.parse::<f64>().ok().filter(|it| (-90.0..=0.0).contains(it));
                value.ok_or_else(|| {
                    let detail = "threshold must be decibels of full scale, from -90 to 0";
                    Error::invalid("invalid-number", "threshold", detail)
                })?
            }
        };
        let minimum = seconds("minimum", get("minimum")?, 0, 3600 * SECOND)?;
        Ok(Self { threshold, minimum: minimum.unwrap_or(Self::MINIMUM) })
    }

    /// The largest sample of silence, of 32768.
    pub fn limit(self) -> i32 {
        (32_768.0 * 10f64.powf(self.threshold / 20.0)).floor() as i32
    }
}

/// Where the sound comes from: an archive's is cut into blocks already, a file's is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Archive,
    File,
}

fn colour(parameter: &str, text: Option<&str>, default: Colour) -> Result<Colour> {
    let Some(text) = text else { return Ok(default) };
    Colour::parse(text).ok_or_else(|| {
        let detail = format!(
            "{parameter} must be transparent or a colour in hexadecimal: RGB, RGBA, RRGGBB or RRGGBBAA, with or without a #"
        );
        Error::invalid("invalid-color", parameter, detail)
    })
}

impl Wish {
    /// Reads the parameters, which `get` knows by name; `size` is the picture's where neither side is given by itself.
    ///
    /// # Errors
    /// [`crate::base::Kind::Invalid`] for the first parameter that says nothing sensible, with what is allowed.
    pub fn read<'a>(
        extension: Extension,
        origin: Origin,
        size: (u32, u32),
        get: impl Fn(&str) -> Result<Option<&'a str>>,
    ) -> Result<Self> {
        let layers = [("mix", Layers::Mix), ("split", Layers::Split)];
        let form = match extension {
            Extension::Png | Extension::Svg => {
                let all = [("overlay", Layers::Overlay), layers[0], layers[1]];
                let look =
                    Self::look(size, choice("channels", get("channels")?, Layers::Overlay, &all)?, get)?;
                return Ok(if extension == Extension::Png { Self::Png(look) } else { Self::Svg(look) });
            }
            Extension::F32 => Form::F32,
            Extension::Dat | Extension::Json => {
                let bits = [("8", Bits::Eight), ("16", Bits::Sixteen)];
                let bits = choice("bits", get("bits")?, Bits::Sixteen, &bits)?;
                let forms = [("audiowaveform", Form::Json(bits)), ("wavesurfer", Form::Wavesurfer)];
                match extension {
                    Extension::Json => choice("format", get("format")?, Form::Json(bits), &forms)?,
                    _ => Form::Dat(bits),
                }
            }
        };
        let split = choice("channels", get("channels")?, Layers::Mix, &layers)? == Layers::Split;
        let each = number("samples_per_pixel", get("samples_per_pixel")?, 2, MAX_SAMPLES_PER_PIXEL);
        let zoom = match (each, number("width", get("width")?, 1, i32::MAX as u32)?) {
            (Ok(Some(each)), _) if origin == Origin::File || i64::from(each) % BLOCK == 0 => {
                Zoom::SamplesPerPixel(each)
            }
            (Ok(None), Some(width)) => Zoom::Width(width),
            (Ok(None), None) => Zoom::SamplesPerPixel(BLOCK as u32),
            (Err(error), _) if origin == Origin::File => return Err(error),
            _ => {
                let detail = format!(
                    "samples_per_pixel must be a multiple of {BLOCK} from {BLOCK} to {MAX_SAMPLES_PER_PIXEL}"
                );
                return Err(Error::invalid("invalid-number", "samples_per_pixel", detail));
            }
        };
        Ok(Self::Numbers { form, zoom, split })
    }

    fn look<'a>(
        size: (u32, u32),
        layers: Layers,
        get: impl Fn(&str) -> Result<Option<&'a str>>,
    ) -> Result<Look> {
        let styles = [("mean", Style::Mean), ("peak", Style::Peak), ("rms", Style::Rms)];
        let scales = [("sqrt", Scale::Sqrt), ("lin", Scale::Lin), ("log", Scale::Log), ("cbrt", Scale::Cbrt)];
        let axis = choice("axis", get("axis")?, false, &[("true", true), ("false", false)])?;
        let least = if axis { 2 * AXIS_ROWS as u32 } else { 1 };
        let height = number("height", get("height")?, least, MAX_SIDE)?.unwrap_or(size.1);
        if height < least {
            let detail = format!("a picture with an axis must be {least} to {MAX_SIDE} pixels high");
            return Err(Error::invalid("invalid-size", "axis", detail));
        }
        Ok(Look {
            width: number("width", get("width")?, 1, MAX_SIDE)?.unwrap_or(size.0) as usize,
            height: height as usize,
            style: choice("style", get("style")?, Style::Mean, &styles)?,
            scale: choice("scale", get("scale")?, Scale::Sqrt, &scales)?,
            layers,
            colour: colour("color", get("color")?, Colour::BLACK)?,
            background: colour("background", get("background")?, Colour::NONE)?,
            axis,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(extension: Extension, origin: Origin, query: &str) -> Result<Wish> {
        let pairs: Vec<(&str, &str)> = query.split('&').filter_map(|it| it.split_once('=')).collect();
        Wish::read(extension, origin, DEFAULT_SIZE, |key| {
            Ok(pairs.iter().find(|it| it.0 == key).map(|it| it.1))
        })
    }

    #[test]
    fn silence_is_decibels_and_seconds() {
        let read =
            |threshold, minimum| Quiet::read(|key| Ok(if key == "threshold" { threshold } else { minimum }));
        assert_eq!(read(None, None).unwrap(), Quiet { threshold: -50.0, minimum: 500_000 });
        let quiet = read(Some("-20"), Some("2.5")).unwrap();
        assert_eq!((quiet.limit(), quiet.minimum), (3276, 2_500_000));
        for (threshold, minimum, parameter) in
            [(Some("1"), None, "threshold"), (Some("x"), None, "threshold"), (None, Some("-1"), "minimum")]
        {
            assert_eq!(read(threshold, minimum).unwrap_err().parameter.as_deref(), Some(parameter));
        }
    }

    #[test]
    fn what_is_said_is_what_is_wanted() {
        let Wish::Png(look) = read(Extension::Png, Origin::Archive, "").unwrap() else { panic!("a PNG") };
        assert_eq!((look.width, look.height, look.style, look.scale), (1024, 64, Style::Mean, Scale::Sqrt));
        assert_eq!((look.colour, look.background, look.axis), (Colour::BLACK, Colour::NONE, false));
        let query = "style=peak&scale=log&color=%&channels=split&axis=true&width=10&height=28&bits=7";
        let query = query.replace('%', "f00");
        let Wish::Svg(look) = read(Extension::Svg, Origin::Archive, &query).unwrap() else {
            panic!("an SVG")
        };
        assert_eq!((look.width, look.height, look.layers, look.axis), (10, 28, Layers::Split, true));
        let numbers = |form, zoom, split| Wish::Numbers { form, zoom, split };
        let each = Zoom::SamplesPerPixel;
        for (extension, origin, query, wish) in [
            (Extension::Dat, Origin::Archive, "", numbers(Form::Dat(Bits::Sixteen), each(256), false)),
            (
                Extension::Dat,
                Origin::File,
                "samples_per_pixel=441",
                numbers(Form::Dat(Bits::Sixteen), each(441), false),
            ),
            (
                Extension::Json,
                Origin::Archive,
                "bits=8&width=7",
                numbers(Form::Json(Bits::Eight), Zoom::Width(7), false),
            ),
            (
                Extension::Json,
                Origin::Archive,
                "format=wavesurfer&channels=split",
                numbers(Form::Wavesurfer, each(256), true),
            ),
            (Extension::F32, Origin::Archive, "samples_per_pixel=512", numbers(Form::F32, each(512), false)),
        ] {
            assert_eq!(read(extension, origin, query).unwrap(), wish, "{query}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (extension, query, parameter, allowed) in [
            (Extension::Png, "style=loud", "style", "mean, peak, rms"),
            (Extension::Png, "scale=", "scale", "sqrt, lin, log, cbrt"),
            (Extension::Png, "color=reddish", "color", "RRGGBB"),
            (Extension::Png, "background=%23", "background", "transparent"),
            (Extension::Png, "channels=left", "channels", "overlay, mix, split"),
            (Extension::Svg, "axis=yes", "axis", "true, false"),
            (Extension::Svg, "axis=true&height=27", "height", "28 to 4096"),
            (Extension::Png, "width=4097", "width", "1 to 4096"),
            (Extension::Png, "height=+5", "height", "1 to 4096"),
            (Extension::Dat, "channels=overlay", "channels", "mix, split"),
            (Extension::Dat, "bits=12", "bits", "8, 16"),
            (Extension::Dat, "samples_per_pixel=300", "samples_per_pixel", "multiple of 256"),
            (Extension::Dat, "samples_per_pixel=0", "samples_per_pixel", "multiple of 256"),
            (Extension::Json, "samples_per_pixel=33554432", "samples_per_pixel", "16777216"),
            (Extension::Json, "width=0", "width", "from 1"),
            (Extension::Json, "format=xml", "format", "audiowaveform, wavesurfer"),
        ] {
            let error = read(extension, Origin::Archive, query).unwrap_err();
            assert_eq!(error.parameter.as_deref(), Some(parameter), "{query}");
            assert!(error.detail.contains(allowed), "{query}: {}", error.detail);
        }
        let small =
            Wish::read(
                Extension::Png,
                Origin::Archive,
                (10, 10),
                |key| Ok((key == "axis").then_some("true")),
            );
        assert_eq!(small.unwrap_err().parameter.as_deref(), Some("axis"));
    }
}
