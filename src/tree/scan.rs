//! A walk over a source tree that costs one lstat a file and says what stands where.
//!
//! Invariant: the walk holds a descriptor of each directory it is in and follows no link, so that nothing outside of the
//! tree is ever looked at, even while somebody changes it. What could not be sent to a host as it is (devices, pipes,
//! sockets, set-user-id files, names that are not UTF-8) is refused by name, never left out in silence.

use super::path::{PathError, RelPath};
use crate::model::limits::TREE_FILES_MAX;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What `lstat` says of a file, as far as it tells that the file was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Bytes.
    pub size: u64,
    /// Last change of its bytes, ns since 1970.
    pub mtime_ns: i128,
    /// Last change of anything about it, ns since 1970; cannot be set by hand.
    pub ctime_ns: i128,
    /// Its inode.
    pub inode: u64,
    /// Whether its owner may execute it.
    pub exec: bool,
}

/// Something found in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where, relative to the tree.
    pub path: RelPath,
    /// What.
    pub kind: FoundKind,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundKind {
    /// A regular file, not read yet.
    File(Stat),
    /// A symbolic link, its target not judged yet.
    Symlink {
        /// As it is written.
        target: String,
    },
}

/// Why a tree cannot be taken as it is; a fragment that fits "failed to read the source tree: {...}".
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Something that is neither a file, a directory nor a link, or that may not be sent.
    #[error("`{}` is {what}, which is never sent to a host", .path.escape_debug())]
    Unsupported {
        /// Where.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// A name or a link's target that is not UTF-8 text.
    #[error("{0:?} is not UTF-8, or points to what is not")]
    NotText(OsString),
    /// A path that is not one of a tree.
    #[error("`{}`: {why}", .path.escape_debug())]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        why: PathError,
    },
    /// More files than the limit.
    #[error("there are more than {TREE_FILES_MAX} files")]
    TooMany,
    /// The system's own reason.
    #[error("`{}` cannot be read", .path.escape_debug())]
    Io {
        /// Where.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

type Result<T> = std::result::Result<T, ScanError>;

fn io<T>(path: &str, result: rustix::io::Result<T>) -> Result<T> {
    result.map_err(|errno| ScanError::Io { path: path.to_owned(), source: errno.into() })
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens the directory that is the tree.
///
/// # Errors
///
/// It is missing, or a link, or no directory.
pub fn open_tree(path: &Path) -> Result<OwnedFd> {
    io(&path.to_string_lossy(), rustix::fs::open(path, DIRECTORY, Mode::empty()))
}

/// Everything in the tree, but what is `excluded` or below; in no particular order.
///
/// # Errors
///
/// The first thing that may not be sent, or cannot be read.
pub fn walk(tree: BorrowedFd<'_>, excluded: &[String]) -> Result<Vec<Found>> {
    let mut walk = Walk { excluded, found: Vec::new() };
    walk.directory(io("", openat(tree, ".", DIRECTORY, Mode::empty()))?, "")?;
    Ok(walk.found)
}

/// What stands at `path` and below it; empty when nothing does.
///
/// # Errors
///
/// As of [`walk`]; also when a directory on the way is a link.
pub fn walk_below(tree: BorrowedFd<'_>, path: &RelPath, excluded: &[String]) -> Result<Vec<Found>> {
    let mut walk = Walk { excluded, found: Vec::new() };
    let parent = match open_parent(tree, path) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Vec::new()),
        opened => io(path.as_str(), opened)?,
    };
    match statat(&parent, path.name(), AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => {}
        _ => walk.entry(parent.as_fd(), path.name(), path.as_str())?,
    }
    Ok(walk.found)
}

/// Opens a file of the tree for reading, through no link.
///
/// # Errors
///
/// The system's own.
pub fn open_file(tree: BorrowedFd<'_>, path: &RelPath) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let open = || openat(open_parent(tree, path)?, path.name(), flags, Mode::empty());
    io(path.as_str(), open()).map(File::from)
}

/// What the system says of an opened file now.
///
/// # Errors
///
/// The system's own, or it is no regular file.
pub fn stat_file(file: &File, path: &RelPath) -> Result<Stat> {
    let stat = io(path.as_str(), rustix::fs::fstat(file))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(stat_of(&stat)),
        other => Err(ScanError::Unsupported { path: path.to_string(), what: kind_name(other) }),
    }
}

fn open_parent(tree: BorrowedFd<'_>, path: &RelPath) -> rustix::io::Result<OwnedFd> {
    let mut directory = openat(tree, ".", DIRECTORY, Mode::empty())?;
    let mut parts: Vec<&str> = path.segments().collect();
    parts.pop();
    for part in parts {
        directory = openat(&directory, part, DIRECTORY, Mode::empty())?;
    }
    Ok(directory)
}

fn stat_of(stat: &rustix::fs::Stat) -> Stat {
    let ns = |seconds: i128, ns: i128| seconds * 1_000_000_000 + ns;
    Stat {
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        mtime_ns: ns(stat.st_mtime as i128, stat.st_mtime_nsec as i128),
        ctime_ns: ns(stat.st_ctime as i128, stat.st_ctime_nsec as i128),
        inode: stat.st_ino,
        exec: stat.st_mode & 0o100 != 0,
    }
}

fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Directory => "a directory",
        _ => "neither a file, a directory nor a link",
    }
}

struct Walk<'a> {
    excluded: &'a [String],
    found: Vec<Found>,
}

impl Walk<'_> {
    fn directory(&mut self, directory: OwnedFd, at: &str) -> Result<()> {
        for entry in io(at, Dir::read_from(&directory))? {
            let entry = io(at, entry)?;
            let bytes = entry.file_name().to_bytes();
            if matches!(bytes, b"." | b"..") {
                continue;
            }
            let whole = || Path::new(at).join(OsStr::from_bytes(bytes)).into_os_string();
            let name = std::str::from_utf8(bytes).map_err(|_| ScanError::NotText(whole()))?;
            self.entry(directory.as_fd(), name, &join(at, name))?;
        }
        Ok(())
    }

    fn entry(&mut self, parent: BorrowedFd<'_>, name: &str, at: &str) -> Result<()> {
        let path: RelPath = at.parse().map_err(|why| ScanError::Path { path: at.to_owned(), why })?;
        if self.excluded.iter().any(|excluded| path.is_within(excluded)) {
            return Ok(());
        }
        let stat = io(at, statat(parent, name, AtFlags::SYMLINK_NOFOLLOW))?;
        let refuse = |what| Err(ScanError::Unsupported { path: at.to_owned(), what });
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.directory(io(at, openat(parent, name, DIRECTORY, Mode::empty()))?, at),
            FileType::RegularFile if stat.st_mode & 0o4000 != 0 => refuse("a set-user-id file"),
            FileType::RegularFile if stat.st_mode & 0o2000 != 0 => refuse("a set-group-id file"),
            FileType::RegularFile => self.push(path, FoundKind::File(stat_of(&stat))),
            FileType::Symlink => {
                let target = io(at, readlinkat(parent, name, Vec::new()))?;
                let target = target.into_string().map_err(|_| ScanError::NotText(at.into()))?;
                self.push(path, FoundKind::Symlink { target })
            }
            other => refuse(kind_name(other)),
        }
    }

    fn push(&mut self, path: RelPath, kind: FoundKind) -> Result<()> {
        self.found.push(Found { path, kind });
        match self.found.len() > TREE_FILES_MAX {
            true => Err(ScanError::TooMany),
            false => Ok(()),
        }
    }
}

fn join(directory: &str, name: &str) -> String {
    match directory {
        "" => name.to_owned(),
        directory => format!("{directory}/{name}"),
    }
}
