//! Opening things below the archive's folder and nowhere else: a symbolic link that leads out of it is as good
//! as missing.

use crate::base::{Error, Result};
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The archive's folder. It is opened anew each time, so that a file system mounted over it later is seen.
#[derive(Debug, Clone)]
pub struct Root(PathBuf);

impl Root {
    /// # Errors
    /// [`Kind::Internal`](crate::base::Kind) where `path` is no folder that can be read.
    pub fn open(path: &Path) -> Result<Self> {
        let unreadable = |fault: std::io::Error| {
            Error::internal("the archive's folder cannot be read")
                .with_cause(format!("{}: {fault}", path.display()))
        };
        let root = Self(path.canonicalize().map_err(unreadable)?);
        root.folder(Path::new("."))?
            .map(|_| root)
            .ok_or_else(|| unreadable(std::io::ErrorKind::NotADirectory.into()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The folder at `relative`; `None` where there is none.
    pub(super) fn folder(&self, relative: &Path) -> Result<Option<OwnedFd>> {
        self.at(relative, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// The regular file at `relative` with its facts; `None` where there is none.
    pub fn file(&self, relative: &Path) -> Result<Option<(File, Stat)>> {
        // NONBLOCK: a named pipe laid into the archive must not hang the worker that opens it.
        let Some(fd) = self.at(relative, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)? else {
            return Ok(None);
        };
        let stat = rustix::fs::fstat(&fd).map_err(|errno| fault(relative, errno))?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        Ok(regular.then(|| (File::from(fd), stat)))
    }

    /// The facts of the regular file at `relative`, without opening it for reading.
    pub(super) fn stat_file(&self, relative: &Path) -> Result<Option<Stat>> {
        let Some(fd) = self.at(relative, OFlags::PATH)? else { return Ok(None) };
        let stat = rustix::fs::fstat(&fd).map_err(|errno| fault(relative, errno))?;
        Ok((FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then_some(stat))
    }

    fn at(&self, relative: &Path, flags: OFlags) -> Result<Option<OwnedFd>> {
        let flags = flags | OFlags::CLOEXEC;
        match open_beneath(&self.0, relative, flags) {
            Ok(fd) => Ok(Some(fd)),
            // XDEV: the path leads out. NXIO: a socket. The rest: nothing there that can be opened by that name.
            Err(
                Errno::NOENT | Errno::NOTDIR | Errno::XDEV | Errno::LOOP | Errno::NAMETOOLONG | Errno::NXIO,
            ) => Ok(None),
            Err(errno) => Err(fault(relative, errno)),
        }
    }
}

fn fault(relative: &Path, errno: Errno) -> Error {
    Error::io("the archive cannot be read", &errno.into())
        .with_cause(format!("{}: {errno}", relative.display()))
}

#[cfg(target_os = "linux")]
fn open_beneath(root: &Path, relative: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::ResolveFlags;
    /// The kernel answers AGAIN when a rename elsewhere made it unsure of a `..` in a link; more often than
    /// this in a row is no coincidence.
    const TRIES: usize = 16;
    let folder = rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..TRIES {
        match rustix::fs::openat2(&folder, relative, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => continue,
            // Kernels before 5.6, and sandboxes that do not know the call.
            Err(Errno::NOSYS | Errno::PERM) => return open_checked(root, relative, flags),
            answer => return answer,
        }
    }
    Err(Errno::AGAIN)
}

#[cfg(not(target_os = "linux"))]
fn open_beneath(root: &Path, relative: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    open_checked(root, relative, flags)
}

/// Resolves first and opens second. Someone who can rename folders in the archive could slip a link in between;
/// who can do that can read the files anyway.
fn open_checked(root: &Path, relative: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let real = root
        .join(relative)
        .canonicalize()
        .map_err(|fault| Errno::from_io_error(&fault).unwrap_or(Errno::IO))?;
    if !real.starts_with(root) {
        return Err(Errno::XDEV);
    }
    rustix::fs::open(&real, flags | OFlags::NOFOLLOW, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    fn archive() -> (tempfile::TempDir, Root) {
        let outside = tempfile::tempdir().unwrap();
        let inside = outside.path().join("archive");
        std::fs::create_dir_all(inside.join("chan/720p")).unwrap();
        std::fs::write(outside.path().join("secret"), "secret").unwrap();
        std::fs::write(inside.join("chan/720p/file"), "bytes").unwrap();
        std::fs::hard_link(inside.join("chan/720p/file"), inside.join("chan/hard")).unwrap();
        symlink("720p/file", inside.join("chan/within")).unwrap();
        symlink("../../secret", inside.join("chan/out")).unwrap();
        symlink(outside.path(), inside.join("chan/away")).unwrap();
        symlink("loop", inside.join("loop")).unwrap();
        let root = Root::open(&inside).unwrap();
        (outside, root)
    }

    #[test]
    fn serves_what_lies_below_and_nothing_that_leads_out() {
        let (_guard, root) = archive();
        for good in ["chan/720p/file", "chan/hard", "chan/within"] {
            let (mut file, stat) = root.file(Path::new(good)).unwrap().unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!((text.as_str(), stat.st_size), ("bytes", 5), "{good}");
            assert!(root.stat_file(Path::new(good)).unwrap().is_some(), "{good}");
        }
        let long = "x".repeat(300);
        for bad in
            ["chan", "nope", "chan/720p/file/x", "chan/out", "chan/away/secret", "loop", "../secret", &long]
        {
            assert!(root.file(Path::new(bad)).unwrap().is_none(), "{bad}");
            assert!(root.stat_file(Path::new(bad)).unwrap().is_none(), "{bad}");
        }
        assert!(root.folder(Path::new("chan/720p")).unwrap().is_some());
        for bad in ["chan/720p/file", "chan/away", "nope"] {
            assert!(root.folder(Path::new(bad)).unwrap().is_none(), "{bad}");
        }
    }

    #[test]
    fn a_named_pipe_does_not_hang_and_is_no_file() {
        let (_guard, root) = archive();
        let pipe = root.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(root.file(Path::new("pipe")).unwrap().is_none());
    }

    #[test]
    fn the_way_without_openat2_gives_the_same_answers() {
        let (_guard, root) = archive();
        let open = |path: &str| open_checked(root.path(), Path::new(path), OFlags::RDONLY).map(|_| ());
        assert_eq!(open("chan/720p/file"), Ok(()));
        assert_eq!(open("chan/within"), Ok(()));
        assert_eq!(open("chan/out"), Err(Errno::XDEV));
        assert_eq!(open("chan/away/secret"), Err(Errno::XDEV));
        assert_eq!(open("../secret"), Err(Errno::XDEV));
        assert_eq!(open("nope"), Err(Errno::NOENT));
        assert_eq!(open("loop"), Err(Errno::LOOP));
    }

    #[test]
    fn the_archive_itself_must_be_a_folder() {
        let (_guard, root) = archive();
        assert!(Root::open(&root.path().join("nope")).is_err());
        assert!(Root::open(&root.path().join("chan/720p/file")).is_err());
    }
}
