//! The comparison with the golden record: requests an earlier server of this kind was asked, and its answers.
//!
//! Every difference must be a row of the table in docs/api.md. The quick comparison runs over the channels that
//! can be made in a minute; MOVIOLA_GOLDEN=full (`make golden`) runs over all of them.
//!
//! - MOVIOLA_REFERENCE: the folder with `reference/` and `tools/`; `../shared` when unset. Without it the test skips.
//! - MOVIOLA_REFERENCE_ARCHIVE: an archive made before; otherwise one is made under the target folder.
//! - MOVIOLA_GOLDEN_AT: ADDRESS:PORT of a server that runs over that archive already; otherwise one is started.

mod archive;
mod compare;
mod playlist;
mod record;
mod table;
mod wire;

use archive::Archive;
use record::Entry;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use wire::{Answer, Request};

/// The longest a recorded request may take: a full cut of seconds in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A segment of the record whose name tells whether an archive has the recorded bytes.
const KNOWN: &str =
    "mess/360p/2024-11-09T12/58:40.437000-2.0-full-PUzijb-PjC6SCGjTcuVFrzJ8-cVmkpXEgg47nY_7Cq0.ts";

struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    // The tested binary is a process of its own, as in production.
    #[allow(clippy::disallowed_methods)]
    fn start(archive: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_moviola"));
        // Whatever is configured for another server, and this test's own variables, which are no keys.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MOVIOLA_"))
        {
            command.env_remove(name);
        }
        let mut process = command
            .arg("serve")
            .arg("--archive")
            .arg(archive)
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stdout = process.stdout.take().expect("stdout is piped");
        let (send, receive) = mpsc::channel();
        // Reads on after the address, so that the server never blocks on a full pipe.
        std::thread::Builder::new()
            .name("golden-stdout".into())
            .spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if let Some(address) = address_in(&line) {
                        let _ = send.send(address);
                    }
                }
            })
            .expect("a thread starts");
        match receive.recv_timeout(Duration::from_secs(60)) {
            Ok(address) => Self { process, address },
            Err(_) => {
                let _ = process.kill();
                let _ = process.wait();
                panic!("`moviola serve` did not print `listening on http://ADDRESS:PORT`");
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The address in the line `listening on http://127.0.0.1:PORT`.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on http://")?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:[]".contains(c))).unwrap_or(rest.len());
    rest[..end].trim_end_matches(['.', ':']).parse().ok()
}

fn ask(entry: &Entry, to: SocketAddr) -> std::io::Result<Answer> {
    let mut headers: Vec<(String, String)> =
        entry.request_headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    // @ETAG and @LASTMOD stand for what a plain GET of the same target answers.
    if headers.iter().any(|(_, value)| value.starts_with('@')) {
        let plain = Request { method: "GET", target: &entry.target, http10: false, headers: &[], body: b"" };
        let before = plain.send(to, PATIENCE)?;
        for (_, value) in &mut headers {
            let name = match value.as_str() {
                "@ETAG" => "ETag",
                "@LASTMOD" => "Last-Modified",
                _ => continue,
            };
            *value = before.header(name).unwrap_or_default().to_owned();
        }
    }
    let body = entry.sent();
    let request = Request {
        method: &entry.method,
        target: &entry.target,
        http10: entry.http10,
        headers: &headers,
        body: &body,
    };
    request.send(to, PATIENCE)
}

/// Whether this archive can give the recorded answer at all.
fn comparable(entry: &Entry, archive: &Archive) -> bool {
    let (channel, quality) = record::about(&entry.target);
    let named = entry.target.contains("-full-") || entry.target.contains("-suspect-");
    if entry.group == "segments" && named && !archive.exact {
        return false;
    }
    // The archive serves many runs, so nothing is made in it: tests/it/jobs.rs makes videos in one of its own.
    let makes = entry.group == "generate_videos" && (entry.method == "POST" || entry.target == "/files");
    if makes && entry.status == 200 && entry.request_body.as_deref() != Some("{}")
        || entry.target.starts_with("/segments/mess_360p_golden")
    {
        return false;
    }
    // These are about the name or the method, whatever is on the disk.
    archive.holds(channel.as_deref(), quality.as_deref())
        || entry.method == "OPTIONS"
        || matches!(entry.status, 308 | 403 | 404 | 405 | 414)
}

fn folder_from(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[test]
fn answers_are_the_recorded_ones_or_deliberately_different() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = folder_from("MOVIOLA_REFERENCE").unwrap_or_else(|| package.join("../shared"));
    let file = shared.join("reference/restreamer-golden.jsonl");
    if !file.is_file() {
        println!("golden: skipped, there is no record at {}", file.display());
        return;
    }
    let document = std::fs::read_to_string(package.join("docs/api.md")).expect("docs/api.md is there");
    let rows = table::parse(&document, compare::ASPECTS).unwrap_or_else(|what| panic!("docs/api.md: {what}"));

    let full = std::env::var("MOVIOLA_GOLDEN").is_ok_and(|value| value == "full");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let given = folder_from("MOVIOLA_REFERENCE_ARCHIVE");
    let archive = Archive::open(given, &target.join("reference-archive"), &shared, full, KNOWN);
    assert!(archive.full || !full, "the whole comparison needs every channel of the reference archive");
    if !archive.exact {
        println!("golden: another FFmpeg made this archive; hashes and file bytes are not compared");
    }

    let entries = record::read(&file);
    for row in &rows {
        let known = row.explains() || entries.iter().any(|entry| row.names(&entry.id));
        assert!(known, "docs/api.md:{}: no entry of the record has these ids", row.line);
    }
    let running = std::env::var("MOVIOLA_GOLDEN_AT").ok().filter(|value| !value.is_empty());
    let mut started = None;
    let address = match running {
        Some(address) => address.parse().expect("MOVIOLA_GOLDEN_AT is ADDRESS:PORT"),
        None => started.insert(Server::start(&archive.root)).address,
    };
    let (mut same, mut absent, mut covered) = (0, 0, 0);
    let mut used = vec![false; rows.len()];
    let mut open = Vec::new();
    for entry in &entries {
        if !comparable(entry, &archive) {
            absent += 1;
            continue;
        }
        let told = format!("{} {} {}", entry.id, entry.method, shortened(&entry.target));
        let answer = match ask(entry, address) {
            Ok(answer) => answer,
            Err(error) => {
                open.push(format!("{told}\n    no answer: {error}; recorded: {}", entry.status));
                continue;
            }
        };
        let differences = compare::compare(entry, &answer, &archive);
        if differences.is_empty() {
            same += 1;
            continue;
        }
        let mut all = true;
        for difference in &differences {
            let row = rows
                .iter()
                .position(|row| row.covers(&entry.id, difference.aspect, answer.status, entry.status));
            match row {
                Some(row) => used[row] = true,
                None => {
                    all = false;
                    open.push(format!(
                        "{told}\n    {}: here {}; recorded {}",
                        difference.aspect, difference.here, difference.there
                    ));
                }
            }
        }
        covered += usize::from(all);
    }
    println!(
        "golden: {same} of {} the same, {covered} deliberately different, {absent} over \
         channels this archive has not, {} unexplained",
        entries.len(),
        open.len()
    );
    if archive.full {
        for (row, used) in rows.iter().zip(used) {
            if !used && !row.explains() {
                open.push(format!("docs/api.md:{}: this row covers no difference any more", row.line));
            }
        }
    }
    assert!(
        open.is_empty(),
        "not recorded and not in docs/api.md, \"Deliberate differences\":\n{}",
        open.join("\n")
    );
}

fn shortened(target: &str) -> String {
    match target.char_indices().nth(160) {
        Some((at, _)) => format!("{}…", &target[..at]),
        None => target.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_agrees_with_itself() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let shared = folder_from("MOVIOLA_REFERENCE").unwrap_or_else(|| package.join("../shared"));
        let file = shared.join("reference/restreamer-golden.jsonl");
        if !file.is_file() {
            return;
        }
        // An archive that has every channel of the listing.
        let archive = Archive { root: tempfile::tempdir().unwrap().keep(), full: true, exact: true };
        let entries = record::read(&file);
        for channel in entries
            .iter()
            .filter(|entry| entry.id == "files-001")
            .flat_map(|e| e.json_sorted.iter().flatten())
        {
            std::fs::create_dir_all(archive.root.join(channel)).unwrap();
        }
        for entry in &entries {
            // Entries whose body the record kept, answered with exactly that.
            let Some(text) = &entry.text else { continue };
            let answer = Answer {
                status: entry.status,
                headers: entry.headers.clone(),
                body: text.clone().into_bytes(),
                complete: true,
            };
            let differences = compare::compare(entry, &answer, &archive);
            assert!(
                differences.iter().all(|difference| difference.aspect == "type"),
                "{}: {differences:?}",
                entry.id
            );
            if entry.group == "media" && entry.status == 200 && entry.method == "GET" {
                assert_eq!(&playlist::Media::parse(text).unwrap().as_recorded(), text, "{}", entry.id);
            }
        }
        std::fs::remove_dir_all(&archive.root).unwrap();
    }

    #[test]
    fn the_table_of_the_documentation_can_be_read() {
        let document = include_str!("../../docs/api.md");
        assert!(table::parse(document, compare::ASPECTS).unwrap().len() > 5);
    }

    #[test]
    fn the_address_is_found_in_what_the_server_prints() {
        let found = |line: &str| address_in(line).map(|address| address.to_string());
        assert_eq!(found("listening on http://127.0.0.1:8000"), Some("127.0.0.1:8000".into()));
        assert_eq!(found("moviola 0.1.0, listening on http://[::1]:80/."), Some("[::1]:80".into()));
        assert_eq!(found("http://127.0.0.1:8000/docs"), None);
        assert_eq!(found("listening on http://nowhere"), None);
    }
}
