//! `moviola serve`.

use crate::app::App;
use crate::base::time::SECOND;
use crate::base::{Channel, Error, Quality, Result};
use crate::config::Config;
use crate::http::page_built;
use crate::render::Render;
use std::io::Write;

pub fn run(config: Config) -> Result<()> {
    let app = App::new(config)?;
    tracing::info!(archive = %app.render().archive.path().display(), address = %app.address(), "serving");
    // The one line on standard output, for whoever started the server with port 0 and must know where it is.
    let mut out = std::io::stdout();
    writeln!(out, "listening on http://{}", app.address())
        .and_then(|()| out.flush())
        .map_err(|fault| Error::io("standard output is closed", &fault))?;
    for url in examples(app.render()) {
        eprintln!("try  http://{}{url}", app.address());
    }
    for stream in app.streams().list() {
        eprintln!("try  http://{}/streams/{}", app.address(), stream.id);
    }
    // Last, where people look who have just started it.
    if page_built() {
        eprintln!(
            "open http://{} in a browser: pick a moment, drag over the timeline, download",
            app.address()
        );
    } else {
        eprintln!("without its page, which `make page` builds and the next build takes in");
    }
    app.run()
}

/// Three things to look at, on the first quality that has content; none in an empty archive.
fn examples(render: &Render) -> Vec<String> {
    let archive = &render.archive;
    let found = archive.channels().unwrap_or_default().into_iter().find_map(|channel| {
        let channel = Channel::new(&channel).ok()?;
        let quality = archive.qualities(&channel).ok()?.into_iter().rev().find_map(|quality| {
            let quality = Quality::new(&quality).ok()?;
            let extent = archive.extent(&channel, &quality).ok()??;
            let first = archive.select(&channel, &quality, extent).ok()?.segments().next()?.start();
            Some((quality, first))
        })?;
        Some((channel, quality.0, quality.1))
    });
    let Some((channel, quality, first)) = found else { return vec!["/docs".into()] };
    vec![
        // With a span players take it for finished and begin at its start.
        format!("/playlist/{channel}.m3u8?start={first}&end={}", first + 60 * SECOND),
        format!("/frame/{channel}/{quality}.jpg?timestamp={}", first + 10 * SECOND),
        format!("/cut/{channel}/{quality}.ts?start={}&end={}", first + 5 * SECOND, first + 15 * SECOND),
        "/docs".into(),
    ]
}
