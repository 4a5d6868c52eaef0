//! The directory of the books: whose it is, on which file system, and who lives.
//!
//! A holder's sign of life is a kernel lock on a file of its own epoch, `alive-12`: the kernel releases it when the
//! process ends in whatever way. The file is never written to, and a look at it changes nothing.
//!
//! `head` has the number and the hash of the last event that a command knew of when it closed the books. It may be older
//! than the books, when a command was killed; books that do not have that event are an old copy or lost their end.
//! Where a server keeps the books each deploy host has a note of its own, `head.shared`, of what it saw. Since another
//! deploy host may begin the books anew, that note also says when these were begun, and which epoch was the newest.

use super::error::StoreError;
use crate::model::digest::Digest;
use crate::model::ids::BooksId;
use crate::tree::lasting;
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::fmt;
use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

const FILE: &str = "books.sqlite";
const HEAD: &str = "head";
const HEAD_SHARED: &str = "head.shared";
/// More than a head ever has, bytes.
const HEAD_BYTES_MAX: u64 = 200;

/// The database in the directory `dir`.
pub fn file(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// Refuses a directory that SQLite's locks do not hold in or that others may write to or read; makes it when `create`.
pub fn check(dir: &Path, create: bool) -> Result<(), StoreError> {
    if create {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(StoreError::io("make the directory", dir))?;
    }
    let found = match std::fs::metadata(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Err(StoreError::NoBooks(dir.to_owned())),
        found => found.map_err(StoreError::io("look at", dir))?,
    };
    private(dir, found.uid(), found.mode())?;
    let system = rustix::fs::statfs(dir).map_err(|e| StoreError::io("look at", dir)(e.into()))?;
    match network(system.f_type as u64) {
        Some(kind) => Err(StoreError::Network { dir: dir.to_owned(), kind }),
        None => Ok(()),
    }
}

/// Refuses what is not ours alone. Root may open anybody's, and SQLite then keeps the owner's name on new files.
fn private(path: &Path, owner: u32, mode: u32) -> Result<(), StoreError> {
    let us = rustix::process::geteuid().as_raw();
    let wrong = |why: String| Err(StoreError::Permissions { path: path.to_owned(), why });
    match (us == owner || us == 0, mode & 0o077) {
        (false, _) => wrong(format!("belongs to uid {owner}, and pointsman runs as uid {us}")),
        (true, 0) => Ok(()),
        (true, _) => wrong(format!("is open to others; type: chmod go= {}", path.display())),
    }
}

/// The name of a network file system, by the number that statfs(2) lists; `None`: not one of those.
fn network(magic: u64) -> Option<&'static str> {
    match magic & 0xffff_ffff {
        0x6969 => Some("NFS"),
        0x517b => Some("SMB"),
        0xfe53_4d42 => Some("SMB2"),
        0xff53_4d42 => Some("CIFS"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x00c3_6400 => Some("Ceph"),
        _ => None,
    }
}

/// Makes the database's file when `create` and there is none: empty, for the owner alone. Checks one that is there.
pub fn open_file(dir: &Path, create: bool) -> Result<PathBuf, StoreError> {
    let path = file(dir);
    match std::fs::symlink_metadata(&path) {
        Ok(found) if !found.is_file() => {
            Err(StoreError::Permissions { path, why: "is not a plain file, so it is not taken for books".into() })
        }
        Ok(found) => private(&path, found.uid(), found.mode()).map(|()| path),
        Err(e) if e.kind() == ErrorKind::NotFound && create => {
            let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let made = rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600));
            made.map_err(|e| StoreError::io("make", &path)(e.into()))?;
            // SQLite syncs what is in the directory, not the name of the directory.
            lasting::sync_above(&path).map_err(StoreError::io("sync the directories of", &path))?;
            Ok(path)
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Err(StoreError::NoBooks(dir.to_owned())),
        Err(e) => Err(StoreError::io("look at", &path)(e)),
    }
}

/// Moves the database and SQLite's files beside it out of the way, to names that are free; nothing is deleted.
pub fn set_aside(dir: &Path) -> Result<(), StoreError> {
    let n = first_free(|n| dir.join(format!("{FILE}.damaged-{n}")));
    for suffix in ["-head", "", "-wal", "-shm", "-journal"] {
        let from = if suffix == "-head" { dir.join(HEAD) } else { dir.join(format!("{FILE}{suffix}")) };
        move_away(&from, &dir.join(format!("{FILE}.damaged-{n}{suffix}")))?;
    }
    Ok(())
}

/// The first number under which nothing lies.
fn first_free(name: impl Fn(u32) -> PathBuf) -> u32 {
    (1..u32::MAX).find(|n| !name(*n).exists()).expect("a directory has fewer files than that")
}

/// Renames a file that may not be there.
fn move_away(from: &Path, to: &Path) -> Result<(), StoreError> {
    match std::fs::rename(from, to) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(StoreError::io("set aside", from)(e)),
        _ => Ok(()),
    }
}

/// The last event that a command of this machine saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub events: u64,
    /// Its hash.
    pub hash: Digest,
    /// Of books on a server: their name of when they were begun, and their newest epoch then.
    pub shared: Option<(BooksId, u64)>,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.events, self.hash)?;
        match self.shared {
            Some((begun, epoch)) => write!(f, " {begun} {epoch}"),
            None => Ok(()),
        }
    }
}

/// The note of it.
#[derive(Debug, Clone)]
pub struct Note(PathBuf);

impl Note {
    /// Of books that lie in `dir`.
    pub fn alone(dir: &Path) -> Self {
        Self(dir.join(HEAD))
    }

    /// Of books on a server, in this machine's own `dir`.
    pub fn shared(dir: &Path) -> Self {
        Self(dir.join(HEAD_SHARED))
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What it says; `None`: there is none, or what stands there is no such note.
    pub fn read(&self) -> Option<Head> {
        let mut text = String::new();
        File::open(&self.0).ok()?.take(HEAD_BYTES_MAX).read_to_string(&mut text).ok()?;
        let words: Vec<&str> = text.split_whitespace().collect();
        let shared = match words[..] {
            [_, _] => None,
            [_, _, begun, epoch] => Some((BooksId::try_from(begun.to_owned()).ok()?, epoch.parse().ok()?)),
            _ => return None,
        };
        Some(Head { events: words[0].parse().ok()?, hash: words[1].parse().ok()?, shared })
    }

    /// Writes it, whole or not at all.
    pub fn write(&self, head: Head) -> Result<(), StoreError> {
        let next = self.0.with_extension("next");
        let write = || {
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut file = File::from(rustix::fs::open(&next, flags, Mode::from_raw_mode(0o600))?);
            file.write_all(format!("{head}\n").as_bytes())?;
            file.sync_data()?;
            std::fs::rename(&next, &self.0)
        };
        write().map_err(StoreError::io("write", &self.0))
    }

    /// Moves it out of the way, together with the books that it speaks of.
    pub fn set_aside(&self) -> Result<(), StoreError> {
        let aside = |n: u32| PathBuf::from(format!("{}.damaged-{n}", self.0.display()));
        move_away(&self.0, &aside(first_free(aside)))
    }
}

/// Where holders of one store show that they live.
#[derive(Debug)]
pub struct Signs {
    dir: PathBuf,
    /// Begins the name of a sign; the epoch follows.
    prefix: String,
    /// Whether holders on other machines share the store, so that a sign that is not here may be there.
    shared: bool,
}

impl Signs {
    /// Of books that lie in `dir`.
    pub fn alone(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), prefix: "alive-".to_owned(), shared: false }
    }

    /// Of books that lie elsewhere, for this machine: in `dir`, under a name that no other books have.
    pub fn shared(dir: &Path, books: BooksId) -> Self {
        Self { dir: dir.to_owned(), prefix: format!("alive-{books}-"), shared: true }
    }

    fn sign(&self, epoch: u64) -> PathBuf {
        self.dir.join(format!("{}{epoch}", self.prefix))
    }

    /// Shows that the holder of `epoch` lives, as long as the returned file is open. Called before the epoch is
    /// committed, so nobody can have asked for it yet.
    pub fn live(&self, epoch: u64) -> Result<File, StoreError> {
        let path = self.sign(epoch);
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600));
        let file = File::from(opened.map_err(|e| StoreError::io("make", &path)(e.into()))?);
        let locked = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        locked.map_err(|e| StoreError::io("lock", &path)(e.into()))?;
        Ok(file)
    }

    /// Whether the holder of `epoch` lives; `None`: that can't be known here.
    pub fn lives(&self, epoch: u64) -> Result<Option<bool>, StoreError> {
        let path = self.sign(epoch);
        let file = match File::open(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(if self.shared { None } else { Some(false) }),
            file => file.map_err(StoreError::io("open", &path))?,
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(Some(false)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(Some(true)),
            Err(e) => Err(StoreError::io("lock", &path)(e.into())),
        }
    }

    /// Removes the sign of an epoch that is over. One that stays behind does no harm.
    pub fn forget(&self, epoch: u64) {
        let _ = std::fs::remove_file(self.sign(epoch));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn network_file_systems_are_told_by_name() {
        assert_eq!(network(0x6969), Some("NFS"));
        assert_eq!(network(0xffff_ffff_ff53_4d42), Some("CIFS"), "f_type is signed on some machines");
        for local in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630] {
            assert_eq!(network(local), None, "ext4, xfs, btrfs, tmpfs and overlayfs are local");
        }
    }

    #[test]
    fn s06_a_directory_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o750)).expect("it is ours");
        let refused = check(dir.path(), true).expect_err("its group may read it").to_string();
        assert!(
            refused.ends_with(&format!("is open to others; type: chmod go= {}", dir.path().display())),
            "{refused}"
        );
    }

    #[test]
    fn a_link_is_not_taken_for_books() {
        let dir = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::symlink("/dev/null", file(dir.path())).expect("it is free");
        assert!(matches!(open_file(dir.path(), true), Err(StoreError::Permissions { .. })));
    }

    #[test]
    fn life_ends_with_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let (alone, shared) = (Signs::alone(dir.path()), Signs::shared(dir.path(), BooksId(7)));
        for (signs, elsewhere) in [(alone, Some(false)), (shared, None)] {
            assert_eq!(signs.lives(7).expect("it can be asked"), elsewhere);
            let sign = signs.live(7).expect("nobody has it");
            assert_eq!(signs.lives(7).expect("it can be asked"), Some(true));
            drop(sign);
            assert_eq!(signs.lives(7).expect("it can be asked"), Some(false));
        }
    }
}
