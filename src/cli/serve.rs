//! `moviola serve`.

use crate::app::App;
use crate::base::{Error, Result};
use crate::config::Config;
use std::io::Write;

pub fn run(config: Config) -> Result<()> {
    let app = App::new(config)?;
    tracing::info!(archive = %app.render().archive.path().display(), address = %app.address(), "serving");
    // The one line on standard output, for whoever started the server with port 0 and must know where it is.
    let mut out = std::io::stdout();
    writeln!(out, "listening on http://{}", app.address())
        .and_then(|()| out.flush())
        .map_err(|fault| Error::io("standard output is closed", &fault))?;
    app.run()
}
