//! Says in one sentence what to install when the libav that would be linked is missing, too old or too new,
//! and tells the program its git revision and the FFmpeg it was built against. Puts the page into the program.

#[path = "build/page.rs"]
mod page;

use std::path::Path;
use std::process::Command;

/// FFmpeg 5.1 has libavcodec 59.37; FFmpeg 8.x has libavcodec 62.
const AVCODEC_MIN: &str = "59.37";
const AVCODEC_BELOW: &str = "63";

const LIBRARIES: [&str; 6] =
    ["libavcodec", "libavformat", "libavfilter", "libavutil", "libswscale", "libswresample"];

const INSTALL: &str = "on Debian 12/13 or Ubuntu 24.04 run `make prepare`, or: apt-get install clang libclang-dev \
     pkg-config cmake nasm libavcodec-dev libavformat-dev libavfilter-dev libavutil-dev libswscale-dev libswresample-dev";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    match libav() {
        Ok(versions) => println!("cargo::rustc-env=BUILT_FFMPEG={versions}"),
        Err(what) => {
            println!("cargo::error=Moviola needs FFmpeg 5.1 to 8.x, but {what}; {INSTALL}");
            std::process::exit(1);
        }
    }
    // FFmpeg 8 took fields out of AVFrame and AVStream that FFmpeg 5 to 7 have nothing else for.
    println!("cargo::rustc-check-cfg=cfg(libavutil_60)");
    if pkg_config::Config::new().cargo_metadata(false).atleast_version("60").probe("libavutil").is_ok() {
        println!("cargo::rustc-cfg=libavutil_60");
    }
    page::embed();
    println!("cargo::rustc-env=BUILT_REVISION={}", revision().unwrap_or_else(|| "unknown".into()));
}

/// The versions of the libraries, as `libavcodec 59.37.100, libavformat …`, or what is wrong with them.
fn libav() -> Result<String, String> {
    let mut versions = Vec::new();
    for name in LIBRARIES {
        // Only looked at: ffmpeg-sys-next prints the link lines.
        let mut probe = pkg_config::Config::new();
        probe.cargo_metadata(false).env_metadata(true);
        if name == "libavcodec" {
            probe.range_version(AVCODEC_MIN..AVCODEC_BELOW);
        }
        match probe.probe(name) {
            Ok(library) => versions.push(format!("{name} {}", library.version)),
            Err(_) => {
                let found = pkg_config::Config::new().cargo_metadata(false).probe(name);
                return Err(match found {
                    Ok(library) => format!(
                        "pkg-config finds {name} {} (from {AVCODEC_MIN} up to, not including, {AVCODEC_BELOW} is \
                         accepted)",
                        library.version
                    ),
                    Err(_) => format!("pkg-config does not find {name}"),
                });
            }
        }
    }
    Ok(versions.join(", "))
}

/// The short hash of the commit; none outside git.
fn revision() -> Option<String> {
    let root = std::env::var("CARGO_MANIFEST_DIR").ok()?;
    let git = |arguments: &[&str]| -> Option<String> {
        let output = git_command().arg("-C").arg(&root).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    // A checkout inside somebody else's repository (a vendored copy) has no revision of its own.
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok() != Path::new(&root).canonicalize().ok() {
        return None;
    }
    // HEAD moves when a branch is checked out; its log grows with each commit. In a linked worktree both lie
    // outside the checkout, so git is asked where.
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--path-format=absolute", "--git-path", name]);
        if let Some(path) = path.filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

// The rule against processes is about the server; a build script has to ask git.
#[allow(clippy::disallowed_methods)]
fn git_command() -> Command {
    Command::new("git")
}
