//! Makes the files of `web/dist` a table in the binary: each as it is, and compressed where that is worth it.

use flate2::{Compression, GzBuilder};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

const TYPES: [(&str, &str); 8] = [
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("json", "application/json"),
    ("woff2", "font/woff2"),
    ("webmanifest", "application/manifest+json"),
];

/// Writes the table to `OUT_DIR/page.rs`. Without the page it is empty.
pub fn embed() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    let dist = root.join("web/dist");
    // The folder is in the repository, so that cargo has something to watch before the page is built.
    println!("cargo::rerun-if-changed=web/dist");
    println!("cargo::rerun-if-changed=build/page.rs");
    let mut files = Vec::new();
    if dist.join("index.html").is_file() {
        walk(&dist, &mut files);
    }
    files.sort();
    let mut table = String::from("pub const FILES: &[File] = &[\n");
    for (number, file) in files.iter().enumerate() {
        let name = file.strip_prefix(&dist).expect("it lies there").to_str().expect("names are UTF-8");
        let Some((_, content_type)) = TYPES.iter().find(|it| name.ends_with(&format!(".{}", it.0))) else {
            continue;
        };
        let plain = std::fs::read(file).expect("a file of web/dist can be read");
        let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        encoder.write_all(&plain).expect("memory takes it");
        let gzip = encoder.finish().expect("memory takes it");
        let smaller = gzip.len() < plain.len() * 9 / 10;
        let packed = out.join(format!("page-{number}.gz"));
        std::fs::write(&packed, if smaller { &gzip } else { &plain }).expect("OUT_DIR takes files");
        let mut sum = flate2::Crc::new();
        sum.update(&plain);
        let gzip = if smaller { format!("Some(include_bytes!({packed:?}))") } else { "None".into() };
        let _ = writeln!(
            table,
            "    File {{ name: {name:?}, content_type: {content_type:?}, tag: \"{:x}-{:08x}\", plain: \
             include_bytes!({file:?}), gzip: {gzip} }},",
            plain.len(),
            sum.sum(),
        );
    }
    table.push_str("];\n");
    std::fs::write(out.join("page.rs"), table).expect("OUT_DIR takes files");
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("web/dist can be read") {
        let path = entry.expect("web/dist can be read").path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        match path.is_dir() {
            _ if hidden => {}
            true => walk(&path, files),
            false => files.push(path),
        }
    }
}
