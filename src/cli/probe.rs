//! `moviola probe`.

use crate::base::{Error, Result, Token};
use crate::media::probe::probe;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Arguments {
    file: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let found = probe(&arguments.file, &Token::root())?;
    let text = serde_json::to_string_pretty(&found).map_err(|fault| Error::internal(fault.to_string()))?;
    println!("{text}");
    Ok(())
}
