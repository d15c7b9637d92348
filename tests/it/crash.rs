//! The real program, killed. What a killed writer leaves is never visible, and a server that is told to stop while it
//! cuts stops cleanly.

use crate::client::{HOUR, small_archive};
use base64::Engine;
use moviola::archive::{Archive, Limits};
use moviola::base::Token;
use moviola::base::metrics::Metrics;
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const SIGKILL: i32 = 9;
/// Far longer than anything here takes; only a test that has already failed waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at a program or at what it writes: short against a segment's making, and leaves it the processor.
pub const GLANCE: Duration = Duration::from_millis(1);

/// A child that does not outlive its test.
pub struct Program(pub Child);

impl Program {
    fn start(arguments: &[&str], archive: &Path) -> Self {
        Self::start_by(&[env!("CARGO_BIN_EXE_moviola")], arguments, archive)
    }

    /// Starts it by another program.
    #[allow(clippy::disallowed_methods)] // The rule against processes is about the server; this test is about one.
    pub fn start_by(command: &[&str], arguments: &[&str], archive: &Path) -> Self {
        let child = Command::new(command[0])
            .args(&command[1..])
            .args(arguments)
            .arg(archive)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("the program"))
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(id, signal).expect("a signal");
    }

    pub fn end(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("a status") {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "the program does not end");
            std::thread::sleep(GLANCE);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All files below a folder, hidden ones too; what vanishes on the way is left out.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            // What stands for a live source is no segment.
            Ok(kind) if kind.is_dir() && entry.file_name() == moviola::render::demo::LIVE_FOLDER => {}
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            Ok(_) => found.push(entry.path()),
            Err(_) => {}
        }
    }
    found
}

pub fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("a name")
}

pub fn hidden(path: &Path) -> bool {
    name(path).starts_with('.')
}

pub fn hidden_of(files: &[PathBuf]) -> usize {
    files.iter().filter(|path| hidden(path)).count()
}

pub fn visible_of(files: &[PathBuf]) -> usize {
    files.len() - hidden_of(files)
}

/// Looks at the archive until it is as wished.
fn until(archive: &Path, program: &mut Program, wish: impl Fn(&[PathBuf]) -> bool) {
    let began = Instant::now();
    while !wish(&files(archive)) {
        assert!(program.0.try_wait().expect("a status").is_none(), "the program ended by itself");
        assert!(began.elapsed() < PATIENCE, "the moment does not come");
        std::thread::sleep(GLANCE);
    }
}

#[test]
fn whatever_the_moment_of_a_kill_no_half_segment_is_visible() {
    // The moments: at once, while a segment is being written, right after one became visible.
    let moments: [fn(&[PathBuf]) -> bool; 4] = [
        |_| true,
        |files| hidden_of(files) >= 1,
        |files| visible_of(files) >= 1,
        |files| visible_of(files) >= 2 && hidden_of(files) >= 1,
    ];
    std::thread::scope(|scope| {
        for moment in moments {
            scope.spawn(move || {
                let archive = tempfile::tempdir().expect("a folder");
                let mut demo = Program::start(&["demo", "--minutes", "2"], archive.path());
                until(archive.path(), &mut demo, moment);
                demo.signal(rustix::process::Signal::KILL);
                assert_eq!(demo.end().signal(), Some(SIGKILL));
                judge(archive.path());
            });
        }
    });
}

/// Every visible file is what its name says; what else is there goes in a sweep.
pub fn judge(archive: &Path) {
    let left = files(archive);
    for path in left.iter().filter(|path| !hidden(path)) {
        let hash = Sha256::digest(std::fs::read(path).expect("a segment"));
        let hash = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash);
        assert!(name(path).ends_with(&format!("-{hash}.ts")), "{} is not what it says", name(path));
    }
    let opened = Archive::open(archive, Limits::default(), Metrics::new()).expect("an archive");
    assert_eq!(opened.sweep(Duration::ZERO, &Token::root()).expect("a sweep"), hidden_of(&left));
    assert_eq!(hidden_of(&files(archive)), 0);
}

/// A program that serves the archive, and its address.
fn serve(archive: &Path, set: &[&str]) -> (Program, String) {
    serve_by(&[env!("CARGO_BIN_EXE_moviola")], archive, set)
}

fn serve_by(command: &[&str], archive: &Path, set: &[&str]) -> (Program, String) {
    let arguments = [&["serve", "--listen", "127.0.0.1:0"], set, &["--archive"]].concat();
    let mut program = Program::start_by(command, &arguments, archive);
    let mut line = String::new();
    BufReader::new(program.0.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("listening on http://").expect("an address");
    (program, address.to_owned())
}

fn ask(address: &str, target: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    write!(stream, "GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
    stream
}

/// A minute of stream, and the address of a full cut over it.
fn minute(archive: &Path) -> &'static str {
    let mut demo = Program::start(&["demo", "--minutes", "1"], archive);
    // Three seconds of 360p are enough to begin a cut; the rest of the span are holes.
    until(archive, &mut demo, |files| {
        files.iter().filter(|path| !hidden(path) && path.to_string_lossy().contains("360p")).count() >= 3
    });
    "/cut/demo/360p.ts?type=mpegts&allow_holes=true&start=2025-06-01T11:59:30&end=2025-06-01T12:00:30"
}

#[test]
fn a_server_told_to_stop_while_it_cuts_exits_cleanly() {
    let archive = tempfile::tempdir().expect("a folder");
    let cut = minute(archive.path());
    // A client that reads the beginning and no more holds the cut open, which without loss is far larger than what
    // the sockets hold: the grace has to end it.
    let cut = format!("{cut}&quality=lossless");
    let (mut server, address) = serve(archive.path(), &["--set", "shutdown.grace=300 ms"]);
    let mut stream = ask(&address, &cut);
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 200");
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.end().code(), Some(0));
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"\r\n0\r\n\r\n"), "the cut was not broken off");
}

#[test]
fn a_cut_that_ends_within_the_grace_is_whole() {
    let archive = tempfile::tempdir().expect("a folder");
    let cut = minute(archive.path());
    let (mut server, address) = serve(archive.path(), &["--set", "shutdown.grace=60 s"]);
    let mut stream = ask(&address, cut);
    let mut bytes = vec![0; 12];
    stream.read_exact(&mut bytes).expect("an answer");
    server.signal(rustix::process::Signal::TERM);
    stream.read_to_end(&mut bytes).expect("all of it");
    assert!(bytes.starts_with(b"HTTP/1.1 200"));
    assert!(bytes.ends_with(b"\r\n0\r\n\r\n"), "the last chunk did not come");
    assert_eq!(server.end().code(), Some(0));
    assert!(TcpStream::connect(&address).is_err(), "nobody listens any more");
}

#[test]
fn an_idle_server_stops_at_once_on_an_interrupt() {
    let archive = tempfile::tempdir().expect("a folder");
    small_archive(archive.path());
    let (mut server, address) = serve(archive.path(), &["--set", "shutdown.grace=1 d"]);
    // A connection that is kept alive must not hold it up.
    let mut stream = ask(&address, &format!("/files/chan/720p/{HOUR}"));
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("an answer");
    server.signal(rustix::process::Signal::INT);
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn clients_that_only_connect_do_not_take_the_files_from_those_who_ask() {
    let archive = tempfile::tempdir().expect("a folder");
    small_archive(archive.path());
    // Few descriptors, so that the connections below would be more than all of them.
    let few = ["sh", "-c", "ulimit -n 256 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_moviola")];
    let seats =
        ["--set", "pool.interactive_seats=2", "--set", "pool.batch_seats=2", "--set", "pool.disk_seats=2"];
    let (_server, address) = serve_by(&few, archive.path(), &seats);
    let mut asker = BufReader::new(TcpStream::connect(&address).expect("a connection"));
    asker.get_ref().set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut answer = |target: &str| {
        write!(asker.get_mut(), "GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
        let head: Vec<String> = asker
            .by_ref()
            .lines()
            .map(|line| line.expect("a line"))
            .take_while(|line| !line.is_empty())
            .collect();
        let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        asker.read_exact(&mut vec![0; length.expect("a length")]).expect("a body");
        head[0][9..12].to_owned()
    };
    assert_eq!(answer("/health"), "200");
    // What the server does not take waits in the system's backlog, which has room for a hundred more.
    let idle: Vec<TcpStream> = (0..140).filter_map(|_| TcpStream::connect(&address).ok()).collect();
    for mut stream in &idle {
        let _ = stream.write_all(b"GET /fi");
    }
    for _ in 0..3 {
        assert_eq!(answer(&format!("/files/chan/720p/{HOUR}")), "200");
        assert_eq!(answer("/playlist/chan/720p.m3u8"), "200");
    }
}
