//! Connections that outlive the command that opened them, as directories: which there are, and which go.
//!
//! Invariant: a directory is named by all that decides where and how its connections are made, so that other settings
//! never find them, and only what belongs to this user alone is used. Each master has a path of its own that no other ever
//! gets, because one that ends late removes its path. No process is ended here: one that nobody uses ends by itself.

use super::runtime::{RuntimeError, SOCKET_PATH_BYTES_MAX, check_private, create, private};
use crate::model::limits::{SSH_KEPT_SWEEP_S, SSH_KEPT_TRIED_MAX};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// What directories of kept connections begin with.
const PREFIX: &str = "k-";
/// What comes after the directory of one host: `/cXXXXXX/master`, and `.` with 16 letters while ssh makes the socket.
const TAIL_BYTES: usize = 8 + 7 + 17;
/// The file that says that a connection is not to be used by anybody who does not use it already.
const RETIRED: &str = "retired";

/// Where connections to one host by one set of settings are.
#[derive(Debug)]
pub struct Kept {
    dir: PathBuf,
}

/// A directory in which a master is being started; it goes when that fails.
#[derive(Debug)]
pub struct Begun {
    dir: TempDir,
    /// Tells others that the socket is about to come.
    _lock: File,
}

impl Kept {
    /// Below `place`, for all that `key` stands for.
    pub fn new(place: &Path, key: &str) -> Self {
        Self { dir: place.join(format!("{PREFIX}{key}")) }
    }

    /// Directories of masters that may be alive, the newest first.
    pub fn found(&self) -> Vec<PathBuf> {
        if check_private(&self.dir).is_err() {
            return Vec::new();
        }
        let mut found: Vec<(SystemTime, PathBuf)> =
            instances(&self.dir).filter_map(|dir| Some((born(&dir)?, dir))).collect();
        found.sort();
        let usable = |dir: &PathBuf| !dir.join(RETIRED).exists() && check_private(dir).is_ok();
        found.into_iter().rev().map(|(_, dir)| dir).filter(usable).take(SSH_KEPT_TRIED_MAX).collect()
    }

    /// A fresh directory for a master.
    pub fn begin(&self) -> Result<Begun, RuntimeError> {
        let io = |source| RuntimeError::Io { path: self.dir.clone(), source };
        let over = (self.dir.as_os_str().len() + TAIL_BYTES).saturating_sub(SOCKET_PATH_BYTES_MAX);
        if over > 0 {
            return Err(RuntimeError::TooLong { path: self.dir.clone(), over });
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(io)?;
        check_private(&self.dir)?;
        let dir = private("c").tempdir_in(&self.dir).map_err(io)?;
        let lock = create(&dir.path().join("lock")).map_err(io)?;
        lock.lock().map_err(io)?;
        Ok(Begun { dir, _lock: lock })
    }
}

impl Begun {
    /// The directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves it to other commands; its master runs.
    pub fn keep(self) -> PathBuf {
        self.dir.keep()
    }

    /// Does not leave it to others.
    pub fn private(self) -> TempDir {
        self.dir
    }
}

/// Sees to it that a connection which did not answer is not used again; who uses it already goes on.
pub fn retire(instance: &Path) {
    if !is_dead(instance) || fs::remove_dir_all(instance).is_err() {
        let _ = create(&instance.join(RETIRED));
    }
}

/// Removes what masters left that have ended. What can't be removed stays for the next.
pub fn sweep(place: &Path) {
    let hosts = fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path());
    for host in hosts.filter(|path| named(path, PREFIX)) {
        for instance in instances(&host).filter(|instance| is_over(instance)) {
            let _ = fs::remove_dir_all(instance);
        }
        // It has content where a connection is kept.
        let _ = fs::remove_dir(host);
    }
}

fn is_over(instance: &Path) -> bool {
    let Some(born) = born(instance) else {
        let lock = File::open(instance.join("lock"));
        return lock.is_ok_and(|lock| lock.try_lock().is_ok());
    };
    let old = born.elapsed().is_ok_and(|age| age > Duration::from_secs(SSH_KEPT_SWEEP_S));
    (old || instance.join(RETIRED).exists()) && is_dead(instance)
}

/// When a master made its socket there; `None` when there is none of ours. A master that ends in order takes it along.
fn born(instance: &Path) -> Option<SystemTime> {
    let socket = fs::symlink_metadata(instance.join("master")).ok()?;
    let ours = socket.file_type().is_socket() && socket.uid() == rustix::process::geteuid().as_raw();
    socket.modified().ok().filter(|_| ours)
}

/// Whether the kernel says that nobody listens; it never waits.
fn is_dead(instance: &Path) -> bool {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
    let (Ok(socket), Ok(address)) = (socket, SocketAddrUnix::new(instance.join("master"))) else { return false };
    matches!(rustix::net::connect(&socket, &address), Err(Errno::CONNREFUSED | Errno::NOENT))
}

fn instances(host: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(host)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry: fs::DirEntry| entry.path())
        .filter(|path| named(path, "c"))
}

fn named(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn kept() -> (TempDir, Kept) {
        let place = private("p").tempdir().expect("a directory");
        let kept = Kept::new(place.path(), "0123456789");
        (place, kept)
    }

    fn listen(instance: &Path) -> UnixListener {
        UnixListener::bind(instance.join("master")).expect("its path is short")
    }

    #[test]
    fn what_is_begun_stays_and_what_ended_goes() {
        let (place, kept) = kept();
        let begun = kept.begin().expect("a directory");
        sweep(place.path());
        assert!(begun.path().exists(), "its master has no socket yet");
        assert_eq!(kept.found(), [] as [PathBuf; 0]);
        let master = listen(begun.path());
        let dir = begun.keep();
        sweep(place.path());
        assert_eq!(kept.found(), std::slice::from_ref(&dir));
        // A master that ends in order removes its socket.
        fs::remove_file(dir.join("master")).expect("it is ours");
        drop(master);
        sweep(place.path());
        assert_eq!(fs::read_dir(place.path()).expect("it stays").count(), 0);
    }

    #[test]
    fn what_was_retired_is_used_by_nobody_and_goes_when_its_master_has_ended() {
        let (place, kept) = kept();
        let dir = kept.begin().expect("a directory").keep();
        let master = listen(&dir);
        retire(&dir);
        sweep(place.path());
        assert_eq!((kept.found(), dir.exists()), (vec![], true), "somebody may be using it");
        drop(master);
        sweep(place.path());
        assert!(!dir.exists());
    }

    #[test]
    fn what_a_killed_master_left_goes_at_once_when_it_is_found_and_else_when_it_is_old() {
        let (place, kept) = kept();
        let found = kept.begin().expect("a directory").keep();
        drop(listen(&found));
        retire(&found);
        assert!(!found.exists());
        let unseen = kept.begin().expect("a directory").keep();
        drop(listen(&unseen));
        sweep(place.path());
        assert!(unseen.exists());
        let long_ago = SystemTime::now() - Duration::from_secs(SSH_KEPT_SWEEP_S + 60);
        let times = [long_ago, long_ago].map(|time| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
            rustix::fs::Timespec { tv_sec: i64::try_from(since.as_secs()).expect("it fits"), tv_nsec: 0 }
        });
        let times = rustix::fs::Timestamps { last_access: times[0], last_modification: times[1] };
        rustix::fs::utimensat(rustix::fs::CWD, unseen.join("master"), &times, rustix::fs::AtFlags::empty())
            .expect("it is ours");
        sweep(place.path());
        assert!(!unseen.exists());
    }

    #[test]
    fn the_newest_comes_first() {
        let (_place, kept) = kept();
        let (older, newer) = (kept.begin().expect("a directory").keep(), kept.begin().expect("a directory").keep());
        let _first = listen(&older);
        while born(&newer).is_none_or(|time| Some(time) <= born(&older)) {
            let _ = fs::remove_file(newer.join("master"));
            drop(listen(&newer));
        }
        assert_eq!(kept.found(), [newer, older]);
    }

    #[test]
    fn a_place_that_is_too_long_keeps_nothing() {
        let (place, _) = kept();
        let kept = Kept::new(&place.path().join("x".repeat(60)), "0123456789");
        assert!(matches!(kept.begin(), Err(RuntimeError::TooLong { .. })));
    }
}
