//! The two directories that all of a host's places are below, on the real file system.
//!
//! Invariant: a look must not make them, so each is opened when it is first seen; whoever changes something makes them first.

use crate::tree::lasting;
use rustix::fs::{self, Mode, OFlags};
use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A base directory.
#[derive(Debug)]
pub(super) struct Directory {
    pub path: PathBuf,
    handle: OnceLock<OwnedFd>,
}

impl Directory {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), handle: OnceLock::new() }
    }

    pub fn open(&self) -> io::Result<BorrowedFd<'_>> {
        if let Some(handle) = self.handle.get() {
            return Ok(handle.as_fd());
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = fs::open(&self.path, flags, Mode::empty())?;
        Ok(self.handle.get_or_init(|| opened).as_fd())
    }

    /// Makes it where it is missing, for everybody to read.
    pub fn make(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o755).create(&self.path)
    }

    /// Makes it where it is missing, for its owner alone, and refuses one of somebody else.
    pub fn make_private(&self) -> io::Result<()> {
        let path = &self.path;
        if let Some(above) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o755).create(above)?;
        }
        match DirBuilder::new().mode(0o700).create(path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        let found = std::fs::symlink_metadata(path)?;
        let ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
        match ours && found.mode() & 0o077 == 0 {
            true => Ok(()),
            false => Err(io::Error::other(format!(
                "the state directory {} is not ours alone: it must belong to us and have mode 0700",
                path.display()
            ))),
        }
    }

    /// Makes its name outlast a power cut.
    pub fn make_lasting(&self) -> io::Result<()> {
        lasting::sync_above(&self.path)
    }
}
