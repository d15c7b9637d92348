//! The archive the record was taken over, made once by the script that belongs to the record.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub struct Archive {
    pub root: PathBuf,
    /// Whether every channel of the record is there.
    pub full: bool,
    /// Whether its files are the recorded ones to the byte (another FFmpeg encodes other bytes, so other hashes).
    pub exact: bool,
}

impl Archive {
    /// The archive in `given`, or the one made into `cache` on first use.
    pub fn open(given: Option<PathBuf>, cache: &Path, shared: &Path, full: bool, known: &str) -> Self {
        let folder = given.unwrap_or_else(|| make(cache, shared, full));
        let root = if folder.join("archive").is_dir() { folder.join("archive") } else { folder };
        assert!(root.is_dir(), "there is no archive at {}", root.display());
        Self { full: root.join("chan/720p").is_dir(), exact: root.join(known).is_file(), root }
    }

    /// Whether what the record says of this channel (and quality) can be expected of this archive.
    pub fn holds(&self, channel: Option<&str>, quality: Option<&str>) -> bool {
        let Some(channel) = channel else { return true };
        let plain = |name: &str| !name.is_empty() && !name.starts_with('.') && !name.contains('\0');
        if self.full || !plain(channel) {
            return true;
        }
        match quality.filter(|quality| plain(quality)) {
            Some(quality) if self.root.join(channel).join(quality).is_dir() => true,
            // The quick archive has all of each channel it has, but of `chan` only the chat.
            _ => self.root.join(channel).is_dir() && channel != "chan",
        }
    }
}

// Test tools are processes; the rule against them is about the server.
#[allow(clippy::disallowed_methods)]
fn make(cache: &Path, shared: &Path, full: bool) -> PathBuf {
    let name = if full { "full" } else { "quick" };
    let done = cache.join(name);
    if done.is_dir() {
        return done;
    }
    let part = cache.join(format!("{name}.part-{}", std::process::id()));
    println!("golden: making the {name} reference archive in {}", done.display());
    std::fs::create_dir_all(cache).unwrap();
    let mut command = Command::new("bash");
    command.arg(shared.join("tools/make_reference_archive.sh")).arg(&part).stdout(Stdio::null());
    if !full {
        command.arg("quick");
    }
    let status = command.status().expect("bash can be started");
    assert!(
        status.success(),
        "the reference archive could not be made ({status}); `make prepare` installs its tools"
    );
    // Two test runs may have made it at once: the first one wins.
    if std::fs::rename(&part, &done).is_err() {
        assert!(done.is_dir(), "{} could not be moved into place", part.display());
        let _ = std::fs::remove_dir_all(&part);
    }
    done
}

/// A segment's name without its hash, for archives that are not exact.
pub fn mask(name: &str) -> String {
    // Unpadded base64 of 32 bytes.
    const HASH: usize = 43;
    let end = name.rfind('.').unwrap_or(name.len());
    let Some(start) = end.checked_sub(HASH).filter(|start| name.is_char_boundary(*start)) else {
        return name.to_owned();
    };
    if ["-full-", "-suspect-", "-partial-"].iter().any(|kind| name[..start].ends_with(kind)) {
        format!("{}HASH{}", &name[..start], &name[end..])
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_masked_and_nothing_else() {
        let hash = "PUzijb-PjC6SCGjTcuVFrzJ8-cVmkpXEgg47nY_7Cq0";
        assert_eq!(mask(&format!("58:40.437000-2.0-full-{hash}.ts")), "58:40.437000-2.0-full-HASH.ts");
        assert_eq!(
            mask(&format!("a/58:40.4-2.0-partial-{hash}.tombstone")),
            "a/58:40.4-2.0-partial-HASH.tombstone"
        );
        let temp = "59:50.437000-2.0-temp-cd613e30-d8f1-6adf-91b7-584a2265b1f5.ts";
        for name in ["", "foo.ts", "ü.ts", temp, &format!("x{hash}.ts")] {
            assert_eq!(mask(name), name);
        }
    }
}
