//! A frame put into a template: cropped, scaled to a place in it, and laid under its transparent parts.

use super::Render;
use super::bytes::Made;
use super::frame::FrameSource;
use crate::base::{Error, Name, Result, Timestamp, Token};
use crate::media::Clip;
use crate::media::frame::extract;
use crate::media::picture::{Look, PictureFormat, Raster};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_128;

/// Pixels of a template, of a crop and of a place: as many as a picture of 4096 by 4096 has.
pub const MAX_PIXELS: u64 = 1 << 24;
/// How far from the corner a crop or a place may reach, in pixels.
const MAX_REACH: i64 = 1 << 16;
/// Templates that are listed.
const MAX_TEMPLATES: usize = 1000;
/// Bytes of the file that says where a template's frame goes.
const MAX_NOTES: u64 = 64 << 10;

/// A rectangle by its edges; right and bottom are the first pixels outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "[i64; 4]", into = "[i64; 4]")]
pub struct Edges {
    left: i64,
    top: i64,
    right: i64,
    bottom: i64,
}

impl From<[i64; 4]> for Edges {
    fn from([left, top, right, bottom]: [i64; 4]) -> Self {
        Self { left, top, right, bottom }
    }
}

impl From<Edges> for [i64; 4] {
    fn from(it: Edges) -> Self {
        [it.left, it.top, it.right, it.bottom]
    }
}

impl Edges {
    /// Reads `LEFT,TOP,RIGHT,BOTTOM`.
    ///
    /// # Errors
    /// `invalid-rectangle`, as [`Edges::check`].
    pub fn parse(parameter: &str, text: &str) -> Result<Self> {
        let numbers: Option<Vec<i64>> = text.split(',').map(|it| it.trim().parse().ok()).collect();
        match numbers.as_deref() {
            Some([left, top, right, bottom]) => {
                Self { left: *left, top: *top, right: *right, bottom: *bottom }.check(parameter)
            }
            _ => Err(wrong(parameter)),
        }
    }

    fn check(self, parameter: &str) -> Result<Self> {
        let reach = [self.left, self.top, self.right, self.bottom].map(i64::unsigned_abs);
        let near = reach.iter().all(|it| *it <= MAX_REACH as u64);
        let sound = near && self.left < self.right && self.top < self.bottom;
        if sound && (self.width() as u64) * (self.height() as u64) <= MAX_PIXELS {
            Ok(self)
        } else {
            Err(wrong(parameter))
        }
    }

    fn width(&self) -> usize {
        (self.right - self.left) as usize
    }

    fn height(&self) -> usize {
        (self.bottom - self.top) as usize
    }
}

fn wrong(parameter: &str) -> Error {
    let detail = format!(
        "{parameter} must be LEFT,TOP,RIGHT,BOTTOM: four whole numbers of pixels, none further than {MAX_REACH} from 0, \
         left of right, top above bottom, and at most {MAX_PIXELS} pixels inside"
    );
    Error::invalid("invalid-rectangle", parameter, detail)
}

/// What a template is used with where a request does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Notes {
    pub description: String,
    /// The part of the frame: left, top, right, bottom.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<[i64; 4]>)]
    pub crop: Option<Edges>,
    /// Where in the template it goes: left, top, right, bottom.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<[i64; 4]>)]
    pub location: Option<Edges>,
}

/// A template of the configured folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Listed {
    pub name: String,
    #[serde(flatten)]
    pub notes: Notes,
}

/// A picture to put a frame into.
#[derive(Debug, Clone)]
pub struct Template {
    pub bytes: Bytes,
    pub notes: Notes,
}

/// Where the frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Placement {
    pub crop: Edges,
    pub location: Edges,
}

impl Placement {
    /// What a request says, or else the template's notes.
    ///
    /// # Errors
    /// `missing-parameter` where neither says it.
    pub fn new(crop: Option<Edges>, location: Option<Edges>, notes: &Notes) -> Result<Self> {
        let needed = |parameter: &str, asked: Option<Edges>, noted: Option<Edges>| {
            let missing = || {
                let detail =
                    format!("The parameter {parameter} is required: LEFT,TOP,RIGHT,BOTTOM in pixels");
                Error::invalid("missing-parameter", parameter, detail)
            };
            asked.or(noted).ok_or_else(missing)?.check(parameter)
        };
        Ok(Self {
            crop: needed("crop", crop, notes.crop)?,
            location: needed("location", location, notes.location)?,
        })
    }

    /// The file of a frame in its place in a template.
    fn written(&self, template: &[u8], frame: &Raster, format: PictureFormat) -> Result<Vec<u8>> {
        self.compose(&Raster::read(template, MAX_PIXELS)?, frame)?.encode(format)
    }

    /// The frame in its place under the template.
    fn compose(&self, template: &Raster, frame: &Raster) -> Result<Raster> {
        let (crop, location) = (&self.crop, &self.location);
        let part = frame.window(crop.left, crop.top, crop.width(), crop.height());
        let part = part.scaled(None, location.width(), location.height())?;
        let mut picture = Raster::clear(template.width, template.height);
        picture.place(&part, location.left, location.top);
        picture.cover(template);
        Ok(picture)
    }
}

/// Reads a file that may not be there, up to a length.
fn read(path: &Path, most: u64) -> Result<Option<Vec<u8>>> {
    let unreadable = |fault: &std::io::Error| Error::io("a template cannot be read", fault);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(unreadable(&fault)),
    };
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|fault| unreadable(&fault))?;
    if bytes.len() as u64 > most {
        return Err(
            Error::internal("a template of the configured folder is too large").with_cause(path.display())
        );
    }
    Ok(Some(bytes))
}

fn notes(folder: &Path, name: &str) -> Result<Notes> {
    let path = folder.join(format!("{name}.json"));
    let Some(bytes) = read(&path, MAX_NOTES)? else { return Ok(Notes::default()) };
    serde_json::from_slice(&bytes)
        .map_err(|fault| Error::internal("the notes of a template cannot be read").with_cause(fault))
}

impl Render {
    fn templates(&self) -> Option<PathBuf> {
        let folder = &self.config.thumbnail.templates;
        (!folder.as_os_str().is_empty()).then(|| folder.clone())
    }

    /// The templates of the configured folder, by name.
    pub async fn template_list(&self) -> Result<Vec<Listed>> {
        let Some(folder) = self.templates() else { return Ok(Vec::new()) };
        self.ask(move |_, _| {
            let unreadable = |fault: std::io::Error| Error::io("the templates cannot be listed", &fault);
            let mut names = Vec::new();
            for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
                let name = entry.map_err(unreadable)?.file_name();
                let name = name.to_str().and_then(|it| it.strip_suffix(".png"));
                names.extend(name.filter(|it| Name::new("template", it).is_ok()).map(str::to_owned));
            }
            names.sort_unstable();
            names.truncate(MAX_TEMPLATES);
            names.into_iter().map(|name| Ok(Listed { notes: notes(&folder, &name)?, name })).collect()
        })
        .await
    }

    /// A template of the configured folder.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn template(&self, name: Name) -> Result<Template> {
        let none = || {
            Error::not_found("there is no such template; /templates lists them").with_parameter("template")
        };
        let folder = self.templates().ok_or_else(none)?;
        let most = self.config.thumbnail.upload.0;
        self.ask(move |_, _| {
            let bytes = read(&folder.join(format!("{}.png", name.as_str())), most)?.ok_or_else(none)?;
            Ok(Template { bytes: bytes.into(), notes: notes(&folder, name.as_str())? })
        })
        .await
    }

    /// A word that tells this thumbnail from every other, known before anything is decoded; without quotes.
    pub fn thumbnail_tag(source: &FrameSource, template: &Template, placement: &Placement) -> String {
        let text = format!("{}{placement:?}{:x}", source.tag(), xxh3_128(&template.bytes));
        format!("{:032x}", xxh3_128(text.as_bytes()))
    }

    /// Puts the frame into the template.
    ///
    /// # Errors
    /// `not-a-picture`, `large-picture` for a template that is none or too large.
    pub async fn thumbnail(
        &self,
        source: FrameSource,
        template: Template,
        placement: Placement,
        format: PictureFormat,
    ) -> Result<Made> {
        let tag = Self::thumbnail_tag(&source, &template, &placement);
        let metrics = self.metrics.clone();
        let compose = move |frame: &Raster| {
            let bytes = placement.written(&template.bytes, frame, format)?;
            metrics.media_encoded.with_label_values(&["thumbnail"]).inc();
            Ok(bytes)
        };
        let bytes = self.frame_with(source, compose).await?;
        Ok(Made { bytes: bytes.into(), tag, gzipped: false })
    }
}

/// A template, and beside it the notes of the same name.
///
/// # Errors
/// Where one cannot be read.
pub fn template_of_file(path: &Path, most: u64) -> Result<Template> {
    let none = || Error::not_found("there is no such template").with_parameter("template");
    let bytes = read(path, most)?.ok_or_else(none)?;
    let named = path.parent().zip(path.file_stem().and_then(|it| it.to_str()));
    let notes = named.map_or_else(|| Ok(Notes::default()), |(folder, name)| notes(folder, name))?;
    Ok(Template { bytes: bytes.into(), notes })
}

/// The frame of a file of any container that libav reads, in a template; the instant counts from its first picture.
///
/// # Errors
/// As [`super::frame::of_file`] and [`Render::thumbnail`].
pub fn of_file(
    path: &Path,
    at: Timestamp,
    template: &Template,
    placement: Placement,
    format: PictureFormat,
    token: &Token,
) -> Result<Made> {
    let clip = Clip { path: path.to_owned(), start: Timestamp::from_micros(0), duration: 0, whole: true };
    let picture = extract(None, &clip, at, token)?;
    let frame = Raster::of(&picture.frame, picture.turn, &Look::default())?;
    Ok(Made::new(placement.written(&template.bytes, &frame, format)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_are_read_or_refused_by_name() {
        let edges = Edges::parse("crop", "-10, -20,2000,1000").unwrap();
        assert_eq!((edges.width(), edges.height()), (2010, 1020));
        for bad in [
            "",
            "1,2,3",
            "1,2,3,4,5",
            "a,b,c,d",
            "0.5,0,10,10",
            "100,100,50,50",
            "0,0,0,0",
            "0,0,70000,1",
            "0,0,5000,5000",
            "-9223372036854775808,0,9223372036854775807,1",
        ] {
            let refused = Edges::parse("crop", bad).unwrap_err();
            assert_eq!(
                (refused.code, refused.parameter.as_deref()),
                ("invalid-rectangle", Some("crop")),
                "{bad}"
            );
        }
    }

    #[test]
    fn what_a_request_does_not_say_is_in_the_notes() {
        let notes: Notes = serde_json::from_str(r#"{"crop": [0, 0, 10, 10]}"#).unwrap();
        let place = Edges::from([1, 2, 3, 4]);
        let placement = Placement::new(None, Some(place), &notes).unwrap();
        assert_eq!((placement.crop, placement.location), ([0, 0, 10, 10].into(), place));
        assert_eq!(Placement::new(None, None, &notes).unwrap_err().parameter.as_deref(), Some("location"));
        let wrong: Notes = serde_json::from_str(r#"{"location": [3, 3, 1, 1]}"#).unwrap();
        assert_eq!(Placement::new(Some(place), None, &wrong).unwrap_err().code, "invalid-rectangle");
    }

    #[test]
    fn the_frame_lies_in_its_place_under_the_template() {
        let mut template = Raster::clear(8, 6);
        template.place(&Raster::plain(2, 6, [0, 0, 255]), 0, 0);
        let frame = Raster::plain(100, 50, [200, 100, 50]);
        let placement = Placement { crop: [0, 0, 50, 50].into(), location: [1, 1, 4, 4].into() };
        let picture = placement.compose(&template, &frame).unwrap();
        let at = |x: usize, y: usize| &picture.pixels()[(y * 8 + x) * 4..][..4];
        assert_eq!(at(1, 1), [0, 0, 255, 255], "the template covers the frame");
        assert_eq!(at(2, 2), [200, 100, 50, 255]);
        assert_eq!(at(5, 5), [0, 0, 0, 0], "and nothing is where neither is");
        let beyond = Placement { crop: [100, 0, 110, 10].into(), ..placement };
        assert_eq!(
            &beyond.compose(&template, &frame).unwrap().pixels()[(2 * 8 + 2) * 4..][..4],
            [0, 0, 0, 255]
        );
    }
}
