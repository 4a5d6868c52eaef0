//! The private directory of one run: ssh's configuration and the control sockets of connections that end with it.
//!
//! Invariant: it lies below a directory that belongs to this user alone (mode 0700, owner checked, no symlink), never
//! in /tmp. A run holds a kernel lock on its directory, so that what a killed run left is known and removed by the next.

use super::kept;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Bytes that a Unix socket's path may have (`sun_path` without its final zero).
pub(super) const SOCKET_PATH_BYTES_MAX: usize = 107;
/// What comes after a run's directory: `/cXXXXXX/master`, and `.` with 16 letters while ssh makes the socket.
const SOCKET_TAIL_BYTES: usize = 8 + 7 + 17;

/// Why there is no private directory.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// None of the places exists.
    #[error("no place for control sockets: neither XDG_RUNTIME_DIR nor /run/user/UID nor HOME is there")]
    NoPlace,
    /// Somebody else could get in.
    #[error("{} is not a directory of yours alone (owner {owner}, mode {mode:o}); it must be yours, mode 700", path.display())]
    NotPrivate {
        /// Which.
        path: PathBuf,
        /// Its owner's uid.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// Control sockets would have paths that the kernel refuses.
    #[error("{} is too long a path for control sockets, by {over} bytes; set XDG_RUNTIME_DIR to a shorter one", path.display())]
    TooLong {
        /// Which.
        path: PathBuf,
        /// How much.
        over: usize,
    },
    /// The system refused.
    #[error("{}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The directory of this run, removed when dropped.
#[derive(Debug)]
pub struct Runtime {
    dir: TempDir,
    place: PathBuf,
    _lock: File,
}

/// Where runs of this user have their directories: below `XDG_RUNTIME_DIR`, else `/run/user/UID`, else the home's cache.
pub fn place() -> Result<PathBuf, RuntimeError> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let of_user = PathBuf::from(format!("/run/user/{}", rustix::process::geteuid().as_raw()));
    let below = [variable("XDG_RUNTIME_DIR"), Some(of_user)];
    if let Some(base) = below.into_iter().flatten().find(|base| base.is_dir()) {
        return Ok(base.join("pointsman"));
    }
    variable("HOME").map(|home| home.join(".cache/pointsman/run")).ok_or(RuntimeError::NoPlace)
}

impl Runtime {
    /// Makes a run's directory below `place`, which is made too, and writes ssh's configuration into it.
    pub fn open(place: &Path, config: &str) -> Result<Self, RuntimeError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| RuntimeError::Io { path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(place).map_err(at(place))?;
        check_private(place)?;
        sweep(place);
        kept::sweep(place);
        let dir = private("f-").tempdir_in(place).map_err(at(place))?;
        let bytes = dir.path().as_os_str().len() + SOCKET_TAIL_BYTES;
        if bytes > SOCKET_PATH_BYTES_MAX {
            return Err(RuntimeError::TooLong { path: place.to_owned(), over: bytes - SOCKET_PATH_BYTES_MAX });
        }
        let lock = create(&dir.path().join("lock")).map_err(at(dir.path()))?;
        lock.lock().map_err(at(dir.path()))?;
        let file = dir.path().join("config");
        create(&file).and_then(|mut f| f.write_all(config.as_bytes())).map_err(at(&file))?;
        Ok(Self { dir, place: place.to_owned(), _lock: lock })
    }

    /// What lies there of all runs.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// ssh's configuration file.
    pub fn config(&self) -> PathBuf {
        self.path().join("config")
    }

    /// A fresh directory for one connection; its control socket is `master` in it.
    pub fn connection(&self) -> io::Result<TempDir> {
        private("c").tempdir_in(self.path())
    }
}

/// Makes directories with this prefix and six letters; the umask alone would let others look in.
pub(super) fn private(prefix: &str) -> tempfile::Builder<'_, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).permissions(Permissions::from_mode(0o700));
    builder
}

/// A new file of this user alone.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Refuses what is not a directory of this user alone.
pub(super) fn check_private(path: &Path) -> Result<(), RuntimeError> {
    let io = |source| RuntimeError::Io { path: path.to_owned(), source };
    let meta = fs::symlink_metadata(path).map_err(io)?;
    let (owner, mode) = (meta.uid(), meta.mode() & 0o7777);
    let ours = meta.is_dir() && owner == rustix::process::geteuid().as_raw() && mode & 0o077 == 0;
    ours.then_some(()).ok_or(RuntimeError::NotPrivate { path: path.to_owned(), owner, mode })
}

/// Removes directories whose run is over: nobody holds their lock. What can't be removed stays for the next.
fn sweep(place: &Path) {
    let Ok(entries) = fs::read_dir(place) else { return };
    for entry in entries.flatten().filter(|e| e.file_name().as_encoded_bytes().starts_with(b"f-")) {
        let lock = File::open(entry.path().join("lock"));
        if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").mode() & 0o777
    }

    #[test]
    fn s06_it_is_private_and_gone_afterwards() {
        let base = tempfile::tempdir().expect("a directory");
        let place = base.path().join("a/pointsman");
        let runtime = Runtime::open(&place, "BatchMode yes\n").expect("a runtime directory");
        assert_eq!((mode(&place), mode(runtime.path()), mode(&runtime.config())), (0o700, 0o700, 0o600));
        drop(runtime);
        assert_eq!(fs::read_dir(&place).expect("it stays").count(), 0);
    }

    #[test]
    fn s06_a_directory_that_others_can_enter_is_refused() {
        let base = tempfile::tempdir().expect("a directory");
        let place = base.path().join("open");
        fs::create_dir(&place).expect("it is new");
        fs::set_permissions(&place, fs::Permissions::from_mode(0o750)).expect("it is ours");
        assert!(matches!(Runtime::open(&place, ""), Err(RuntimeError::NotPrivate { mode: 0o750, .. })));
        symlink(base.path(), base.path().join("link")).expect("it is new");
        assert!(matches!(Runtime::open(&base.path().join("link"), ""), Err(RuntimeError::NotPrivate { .. })));
    }

    #[test]
    fn a_path_too_long_for_sockets_is_said() {
        let base = tempfile::tempdir().expect("a directory");
        let place = base.path().join("x".repeat(90));
        assert!(matches!(Runtime::open(&place, ""), Err(RuntimeError::TooLong { .. })));
    }

    #[test]
    fn what_a_killed_run_left_is_swept_and_a_living_run_is_not() {
        let base = tempfile::tempdir().expect("a directory");
        let place = base.path().join("run");
        let dead = place.join("f-dead");
        DirBuilder::new().recursive(true).mode(0o700).create(&dead).expect("it is new");
        fs::write(dead.join("lock"), "").expect("it is ours");
        let first = Runtime::open(&place, "").expect("a runtime directory");
        let second = Runtime::open(&place, "").expect("another beside it");
        assert!(!dead.exists());
        assert!(first.config().exists() && second.config().exists());
    }
}
