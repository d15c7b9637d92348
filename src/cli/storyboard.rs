//! `moviola storyboard` and `contact-sheet`.

use super::source::{Of, Source};
use super::{output::save, wait};
use crate::app;
use crate::base::{Error, Result, Token};
use crate::config::Config;
use crate::render::storyboard::file::{Board, contact_of_file, of_file};
use crate::render::storyboard::wish::Wish;
use crate::render::storyboard::{ContactWish, SheetFormat, TextKind};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Storyboard {
    #[command(flatten)]
    source: Source,
    /// Of a tile, in pixels: 80, 120, 160, 240, 320, 480 or 640.
    #[arg(long)]
    width: Option<String>,
    /// Of a tile, in pixels; by default in the shape of the pictures.
    #[arg(long)]
    height: Option<String>,
    /// Tiles across a sheet.
    #[arg(long)]
    columns: Option<String>,
    /// Tiles down a sheet.
    #[arg(long)]
    rows: Option<String>,
    /// Seconds a tile stands for; by default 10, and on one sheet of a file as few as fit.
    #[arg(long)]
    interval: Option<String>,
    /// NAME.jpg, .png or .webp for one sheet; NAME.bif; a folder for the sheets of a file with storyboard.vtt and
    /// storyboard.json; of an archive NAME.vtt or .m3u8 too, whose addresses are those of its server.
    #[arg(long, short)]
    output: PathBuf,
}

#[derive(Debug, Args)]
pub struct Contact {
    #[command(flatten)]
    source: Source,
    /// Of a picture, in pixels: 80, 120, 160, 240, 320, 480 or 640.
    #[arg(long)]
    width: Option<String>,
    /// Pictures across.
    #[arg(long)]
    columns: Option<String>,
    /// Pictures down.
    #[arg(long)]
    rows: Option<String>,
    /// The JPEG to write, or - for standard output.
    #[arg(long, short)]
    output: PathBuf,
}

/// What the output's name asks for.
enum Kind {
    Sheet(SheetFormat),
    Bif,
    Folder,
    Text(TextKind),
}

fn kind(output: &Path) -> Result<Kind> {
    let ending = output.extension().and_then(|it| it.to_str()).map(str::to_ascii_lowercase);
    Ok(match ending.as_deref() {
        _ if output.is_dir() => Kind::Folder,
        None => Kind::Folder,
        Some("jpg" | "jpeg") => Kind::Sheet(SheetFormat::Jpeg),
        Some("png") => Kind::Sheet(SheetFormat::Png),
        Some("webp") => Kind::Sheet(SheetFormat::WebP),
        Some("bif") => Kind::Bif,
        Some("vtt") => Kind::Text(TextKind::Vtt),
        Some("m3u8") => Kind::Text(TextKind::Images),
        Some(_) => {
            let detail = "the output must be a folder or end in .jpg, .png, .webp, .bif, .vtt or .m3u8";
            return Err(Error::invalid("output", "output", detail));
        }
    })
}

pub fn storyboard(config: Config, arguments: &Storyboard) -> Result<()> {
    let wish = Wish::read(|key| {
        let value = match key {
            "width" => &arguments.width,
            "height" => &arguments.height,
            "columns" => &arguments.columns,
            "rows" => &arguments.rows,
            "interval" => &arguments.interval,
            _ => return Ok(None),
        };
        Ok(value.as_deref())
    })?;
    let output = &arguments.output;
    let unfit = |detail: &str| Err(Error::invalid("output", "output", detail));
    match (arguments.source.read()?, kind(output)?) {
        (Of::Archive(channel, quality, span), Kind::Sheet(format)) => {
            let render = app::build(config)?;
            let made = wait(async {
                let source = render.sheet_source(channel, quality, span.start, wish).await?;
                render.sheet(source, format).await
            })?;
            save(output, &made.bytes)
        }
        (Of::Archive(..), Kind::Folder) => {
            unfit("a folder is written of a file; of an archive name one output")
        }
        (Of::Archive(channel, quality, span), kind) => {
            let text = if let Kind::Text(text) = kind { text } else { TextKind::Bif };
            let render = app::build(config)?;
            let ends = (Some(span.start), Some(span.end));
            save(output, &wait(render.storyboard(channel, quality, ends, wish, text))?.bytes)
        }
        (Of::File(_), Kind::Text(_)) => unfit("of a file texts are written with their sheets: name a folder"),
        (Of::File(path), kind) => {
            let board = match kind {
                Kind::Sheet(format) => Board::Sheet(format),
                Kind::Bif => Board::Bif,
                Kind::Folder | Kind::Text(_) => Board::Texts { base: "sheet-".into() },
            };
            if matches!(board, Board::Texts { .. }) {
                std::fs::create_dir_all(output)
                    .map_err(|fault| Error::io("the folder could not be made", &fault))?;
            }
            for part in of_file(path, wish, &board, &Token::root())? {
                let name = part.name.map_or_else(|| output.clone(), |it| output.join(it));
                save(&name, &part.made.bytes)?;
            }
            Ok(())
        }
    }
}

pub fn contact(config: Config, arguments: &Contact) -> Result<()> {
    let wish = ContactWish::read(|key| {
        let value = match key {
            "width" => &arguments.width,
            "columns" => &arguments.columns,
            "rows" => &arguments.rows,
            _ => return Ok(None),
        };
        Ok(value.as_deref())
    })?;
    let made = match arguments.source.read()? {
        Of::Archive(channel, quality, span) => {
            let render = app::build(config)?;
            wait(render.contact_sheet(channel, quality, span, wish))?
        }
        Of::File(path) => contact_of_file(path, wish, &Token::root())?,
    };
    save(&arguments.output, &made.bytes)
}
