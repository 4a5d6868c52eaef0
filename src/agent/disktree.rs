//! Directories of the real file system by their handles: listed with what each name is, and removed.
//!
//! Invariant: nothing that is opened or removed here has a path of more than one part, so no link can lead it elsewhere.

use super::hostfs::{Kind, Listed, Stat, present};
use crate::model::limits::{TREE_DEPTH_MAX, TREE_FILES_MAX};
use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// How deep a tree may be that is removed: deeper than any of ours, since a stranger's may lie there.
const REMOVED_DEPTH_MAX: usize = 4 * TREE_DEPTH_MAX;

/// What the kernel says of a file, in our words.
pub(super) fn stat_of(stat: &fs::Stat) -> Stat {
    let special = Mode::SUID | Mode::SGID;
    let mode = Mode::from_raw_mode(stat.st_mode);
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if !mode.intersects(special) => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Other,
    };
    let ns = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    Stat {
        kind,
        exec: mode.contains(Mode::XUSR),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mtime_ns: ns(stat.st_mtime, stat.st_mtime_nsec as i64),
        ctime_ns: ns(stat.st_ctime, stat.st_ctime_nsec as i64),
        inode: stat.st_ino,
    }
}

fn names(directory: &mut Dir, names_max: usize) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in directory {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
        if names.len() > names_max {
            return Err(io::Error::other(format!("a directory has more than {names_max} names")));
        }
    }
    names.sort();
    Ok(names)
}

/// The names in a directory, in order; one that vanishes meanwhile is left out.
pub(super) fn list(directory: OwnedFd) -> io::Result<Vec<Listed>> {
    let mut directory = Dir::new(directory)?;
    let names = names(&mut directory, TREE_FILES_MAX)?;
    let mut listed = Vec::with_capacity(names.len());
    for name in names {
        match fs::statat(directory.fd()?, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => listed.push(Listed { name, stat: stat_of(&stat) }),
            Err(rustix::io::Errno::NOENT) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(listed)
}

/// What stands at each of these paths; one system call for each, where a safe way there would take three.
pub(super) fn lstat_all(top: OwnedFd, paths: &[&str]) -> io::Result<Vec<Option<Stat>>> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let one = |path: &&str| {
        Ok(present(fs::statat(&top, *path, flags).map_err(io::Error::from))?.map(|found| stat_of(&found)))
    };
    paths.iter().map(one).collect()
}

/// Removes `name` in `parent` and all that is below it.
pub(super) fn remove(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    remove_below(parent, name, 0)
}

fn remove_below(parent: BorrowedFd<'_>, name: &OsStr, depth: usize) -> io::Result<()> {
    match fs::unlinkat(parent, name, AtFlags::empty()) {
        Err(rustix::io::Errno::ISDIR) if depth < REMOVED_DEPTH_MAX => {}
        Err(rustix::io::Errno::ISDIR) => return Err(io::Error::other("the directories are too deep to be removed")),
        done => return Ok(done?),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = fs::openat(parent, name, flags, Mode::empty())?;
    for below in names(&mut Dir::read_from(&directory)?, TREE_FILES_MAX)? {
        present(remove_below(directory.as_fd(), &below, depth + 1))?;
    }
    Ok(fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s14_a_directory_has_a_bounded_number_of_names() {
        let kept = tempfile::tempdir().expect("a directory is made");
        for name in ["a", "b", "c"] {
            std::fs::write(kept.path().join(name), "").expect("written");
        }
        let found = |names_max| {
            let opened = fs::open(kept.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).expect("opened");
            names(&mut Dir::new(opened).expect("read"), names_max).map_err(|error| error.to_string())
        };
        assert_eq!(found(3), Ok(["a", "b", "c"].map(OsString::from).to_vec()));
        assert_eq!(found(4).map(|names| names.len()), Ok(3));
        assert_eq!(found(2), Err("a directory has more than 2 names".to_owned()));
        assert_eq!(found(1), Err("a directory has more than 1 names".to_owned()));
    }

    #[test]
    fn s14_what_is_removed_is_of_bounded_depth() {
        let kept = tempfile::tempdir().expect("a directory is made");
        let top = fs::open(kept.path(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).expect("opened");
        // So many directories, one in the other.
        let make = |depth: usize| {
            let mut within = top.try_clone().expect("cloned");
            for _ in 0..depth {
                fs::mkdirat(&within, "d", Mode::RWXU).expect("made");
                within = fs::openat(&within, "d", OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).expect("opened");
            }
        };
        make(REMOVED_DEPTH_MAX);
        remove(top.as_fd(), "d".as_ref()).expect("it is not too deep");
        assert!(!kept.path().join("d").exists());
        make(REMOVED_DEPTH_MAX + 1);
        let said = remove(top.as_fd(), "d".as_ref()).expect_err("it is too deep").to_string();
        assert_eq!(said, "the directories are too deep to be removed");
    }
}
