//! `moviola serve`.

use crate::app::App;
use crate::base::Result;
use crate::config::Config;

pub fn run(config: Config) -> Result<()> {
    let app = App::new(config)?;
    tracing::info!(archive = %app.render().archive.path().display(), "serving http://{}/docs", app.address());
    app.run()
}
