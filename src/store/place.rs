//! The directory of the books: whose it is, on which file system, and who lives.
//!
//! A holder's sign of life is a kernel lock on a file of its own epoch, `alive-12`: the kernel releases it when the
//! process ends in whatever way. The file is never written to, and a look at it changes nothing.
//!
//! `head` has the number and the hash of the last event that a command knew of when it closed the books. It may be older
//! than the books, when a command was killed; books that do not have that event are an old copy or lost their end.

use super::error::StoreError;
use crate::model::digest::Digest;
use crate::tree::lasting;
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

const FILE: &str = "books.sqlite";
const HEAD: &str = "head";
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
    let free = |n: &u32| !dir.join(format!("{FILE}.damaged-{n}")).exists();
    let n = (1..u32::MAX).find(free).expect("a directory has fewer files than that");
    for suffix in ["-head", "", "-wal", "-shm", "-journal"] {
        let from = if suffix == "-head" { dir.join(HEAD) } else { dir.join(format!("{FILE}{suffix}")) };
        match std::fs::rename(&from, dir.join(format!("{FILE}.damaged-{n}{suffix}"))) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(StoreError::io("set aside", &from)(e)),
            _ => {}
        }
    }
    Ok(())
}

/// The last event that was noted beside the books, and its hash; `None`: none was, or what stands there is no such note.
pub fn noted_head(dir: &Path) -> Option<(u64, Digest)> {
    let mut text = String::new();
    File::open(dir.join(HEAD)).ok()?.take(HEAD_BYTES_MAX).read_to_string(&mut text).ok()?;
    let (events, head) = text.trim_end().split_once(' ')?;
    Some((events.parse().ok()?, head.parse().ok()?))
}

/// Notes the last event beside the books, whole or not at all.
pub fn note_head(dir: &Path, events: u64, head: Digest) -> Result<(), StoreError> {
    let (path, next) = (dir.join(HEAD), dir.join(format!("{HEAD}.next")));
    let write = || {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::open(&next, flags, Mode::from_raw_mode(0o600))?);
        file.write_all(format!("{events} {head}\n").as_bytes())?;
        file.sync_data()?;
        std::fs::rename(&next, &path)
    };
    write().map_err(StoreError::io("write", &path))
}

fn sign(dir: &Path, epoch: u64) -> PathBuf {
    dir.join(format!("alive-{epoch}"))
}

/// Shows that the holder of `epoch` lives, as long as the returned file is open. Called before the epoch is committed,
/// so nobody can have asked for it yet.
pub fn live(dir: &Path, epoch: u64) -> Result<File, StoreError> {
    let path = sign(dir, epoch);
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600));
    let file = File::from(opened.map_err(|e| StoreError::io("make", &path)(e.into()))?);
    let locked = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
    locked.map_err(|e| StoreError::io("lock", &path)(e.into()))?;
    Ok(file)
}

/// Whether the holder of `epoch` lives.
pub fn lives(dir: &Path, epoch: u64) -> Result<bool, StoreError> {
    let path = sign(dir, epoch);
    let file = match File::open(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        file => file.map_err(StoreError::io("open", &path))?,
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(e) => Err(StoreError::io("lock", &path)(e.into())),
    }
}

/// Removes the sign of an epoch that is over. One that stays behind does no harm.
pub fn forget(dir: &Path, epoch: u64) {
    let _ = std::fs::remove_file(sign(dir, epoch));
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
    fn a_directory_that_others_may_read_is_refused() {
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
        assert!(!lives(dir.path(), 7).expect("it can be asked"));
        let sign = live(dir.path(), 7).expect("nobody has it");
        assert!(lives(dir.path(), 7).expect("it can be asked"));
        drop(sign);
        assert!(!lives(dir.path(), 7).expect("it can be asked"));
    }
}
