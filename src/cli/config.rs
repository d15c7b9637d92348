//! `moviola config`.

use crate::base::{Error, Result};
use crate::config::Config;
use std::io::Write;

pub fn run(config: &Config) -> Result<()> {
    // Not `println!`, which panics when the reader of a pipe is gone.
    let written = std::io::stdout().write_all(config.to_toml().as_bytes());
    written.map_err(|fault| Error::io("the configuration could not be printed", &fault))
}
