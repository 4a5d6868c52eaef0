//! The only door of the agent's logic to the world: files below two roots, hooks, identities and the clock.
//!
//! Invariant: what takes `&self` changes nothing on the host; whatever changes something takes `&mut self`. So a look
//! that holds a shared reference cannot write, and the compiler keeps "a peek changes not one byte".
//!
//! Deliberately absent: absolute paths, but for log files and plugins, which are only read and run. A [`Place`] is always
//! below the deploy root or the state directory, and no operation follows a symbolic link on the way there or at its end.

use crate::model::digest::Digest;
use crate::model::question::{MachineFacts, PluginSaid};
use crate::wire::fetch::{Failure, Parcel};
use crate::wire::serve::Refused;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Seek};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Which of the two directories a [`Place`] is below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Base {
    /// The deploy root, which the web tier reads.
    Root,
    /// The agent's own directory, mode 0700.
    State,
}

/// A file or directory of the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Below which directory.
    pub base: Base,
    /// Relative and normalised; empty for the base itself.
    pub path: String,
}

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file without set-uid or set-gid bit.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, a pipe, a socket, or a regular file with a set-uid or set-gid bit.
    Other,
}

/// How many paths to ask [`HostFs::lstat_all`] for, so that the answers take little memory.
pub const AT_ONCE: usize = 1_024;

/// What `lstat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Whether its owner may execute it.
    pub exec: bool,
    /// Its length, bytes.
    pub size: u64,
    /// When its bytes changed last, ns since 1970.
    pub mtime_ns: i64,
    /// When anything of it changed last, ns since 1970.
    pub ctime_ns: i64,
    /// Its number in the file system.
    pub inode: u64,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name; a stranger's may be any bytes.
    pub name: OsString,
    /// What it is.
    pub stat: Stat,
}

/// A file that was just written, closed and not changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The digest of the bytes that went in.
    pub digest: Digest,
    /// The file as it lies there.
    pub stat: Stat,
}

/// What is free for us on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes.
    pub bytes_free: u64,
    /// Inodes; [`u64::MAX`] where the file system does not count them.
    pub inodes_free: u64,
}

/// A hook of the site. No shell sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The program and its arguments, never empty.
    pub argv: Vec<String>,
    /// Where it runs.
    pub directory: Place,
    /// Its whole environment but for `PATH`; the values are texts or places, which the host knows the absolute path of.
    pub env: BTreeMap<&'static str, EnvValue>,
    /// After how long it is killed with all its children, ms.
    pub ms_max: u64,
}

/// A value in a hook's environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// As it is.
    Text(String),
    /// The absolute path of this place.
    Path(Place),
}

/// How a hook ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Whether with exit code 0.
    pub success: bool,
    /// `exit code 3`, `signal 9`, `killed after 900 s`.
    pub how: String,
    /// The last bytes that it printed, at most [`crate::model::limits::STDERR_BYTES_MAX`].
    pub output: String,
}

/// A log file, opened: what it was called may meanwhile be another file.
pub struct OpenLog {
    /// Its number in the file system.
    pub inode: u64,
    /// Its length when it was opened, bytes.
    pub size: u64,
    /// When it was last written, by the host's clock, ms since 1970.
    pub mtime_ms: u64,
    /// Its bytes.
    pub content: Box<dyn Content>,
}

/// Bytes that can be read from anywhere.
pub trait Content: Read + Seek {}

impl<T: Read + Seek> Content for T {}

/// Held while it lives; the kernel releases it when the process dies.
#[derive(Debug)]
pub struct SwitchLock {
    /// `None` where nobody else can be there.
    pub handle: Option<OwnedFd>,
}

/// A server of files by their digest; it ends when it is dropped.
pub trait Serving {
    /// Serves these too.
    fn add(&mut self, more: BTreeMap<Digest, Place>);
    /// Takes an object of so many bytes and serves it too; `false` when its bytes are others. It is kept in a file without a
    /// name, which goes with the server.
    fn shelve(&mut self, digest: Digest, bytes: u64, from: &mut dyn Read) -> io::Result<bool>;
}

/// A place that holds content by its hash.
pub trait Mirror {
    /// The bytes of an object, to be hashed by who reads them. A reader that takes too long ends with `TimedOut`.
    fn get<'a>(&'a mut self, parcel: &Parcel) -> Result<Box<dyn Read + 'a>, Failure>;
}

/// A host's files, hooks, identities and clock. Several threads may look at the same time.
pub trait HostFs: Sync {
    /// The way to a mirror, which trusts these PEM certificates, else the system's. A host in memory has none.
    fn mirror(&self, ca: Option<&str>) -> Result<Box<dyn Mirror>, Failure> {
        let _ = ca;
        Err(Failure::Unreachable)
    }
    /// A server there for who knows the token. A host in memory has none.
    fn serve(&self, listen: SocketAddr, token: &str) -> Result<Box<dyn Serving>, Refused> {
        let _ = (listen, token);
        Err(Refused::System)
    }
    /// The owner's list of who may sign what this host takes; `None`: there is none, as on every host in memory. Within an
    /// error: what is wrong with it, so that nobody is believed.
    fn signers(&self) -> Result<Option<PathBuf>, String> {
        Ok(None)
    }
    /// Whether one of `signers` signed this text; the signature lies at `signature`. Within an error: why it is none.
    fn verify(&self, signers: &Path, text: &str, signature: &Place) -> Result<(), String> {
        let _ = (signers, text, signature);
        Err("nothing can be verified here".to_owned())
    }
    /// The bytes of a regular file; an error when there are more than `bytes_max`.
    fn read(&self, at: &Place, bytes_max: usize) -> io::Result<Vec<u8>>;
    /// The digest and length of a regular file.
    fn hash(&self, at: &Place) -> io::Result<(Digest, u64)>;
    /// What stands there; `None`: nothing.
    fn lstat(&self, at: &Place) -> io::Result<Option<Stat>>;
    /// What stands at each of these paths below a directory; `None`: nothing. Made for many at once: on a disk a link that took
    /// the place of a directory on the way is followed, so what comes back is compared with what was known, and nothing else.
    fn lstat_all(&self, top: &Place, paths: &[&str]) -> io::Result<Vec<Option<Stat>>> {
        paths.iter().map(|path| self.lstat(&top.join(path))).collect()
    }
    /// The names in a directory, in order of their bytes, each with its [`Stat`].
    fn list(&self, at: &Place) -> io::Result<Vec<Listed>>;
    /// Where a link points to, as text; an error when it is not UTF-8.
    fn read_link(&self, at: &Place) -> io::Result<String>;
    /// What is free on the file system of the deploy root.
    fn space(&self) -> io::Result<Space>;
    /// The kernel's boot id; another one after each boot.
    fn boot_id(&self) -> io::Result<String>;
    /// The installation's machine id; empty when the system has none.
    fn machine_id(&self) -> io::Result<String>;
    /// `uname -m`.
    fn arch(&self) -> String;
    /// The host's clock, ms since 1970.
    fn clock_ms(&self) -> u64;
    /// For how long the machine has been up, asleep or not, ms; no clock that is set moves it.
    fn uptime_ms(&self) -> u64;
    /// A regular file that the site named, by its absolute path; `None`: nothing is there. A link at the end of the path
    /// is not followed, and nothing waits for a pipe.
    fn log(&self, file: &Path) -> io::Result<Option<OpenLog>>;
    /// Numbers of the machine, without log files.
    fn machine(&self) -> io::Result<MachineFacts>;
    /// Runs a plugin to its end, for at most so many ms; plugins are made to look and change nothing.
    fn plugin(&self, argv: &[String], ms_max: u64) -> io::Result<PluginSaid>;
    /// Lets the calling thread work only where nobody else wants to, as far as the system can.
    fn stand_back(&self);

    /// Makes both base directories when missing, the state directory for nobody else, and waits for the switch lock. The
    /// names of both outlast a power cut before this returns.
    fn lock(&mut self) -> io::Result<SwitchLock>;
    /// The time that a file below the deploy root would be given that is changed now, in the file system's own steps,
    /// ns since 1970.
    fn now_ns(&mut self) -> io::Result<i64>;
    /// 128 random bits.
    fn random(&mut self) -> io::Result<u128>;
    /// Puts a file with these bytes there, instead of whatever file or link stood there, and syncs it. Not atomic.
    fn write(&mut self, at: &Place, bytes: &[u8]) -> io::Result<()>;
    /// Puts a new file there with what `from` gives, which must be `size` bytes; mode 0755 or 0644. Not synced.
    fn receive(&mut self, at: &Place, exec: bool, size: u64, from: &mut dyn Read) -> io::Result<Written>;
    /// Puts a new file there with the bytes of another, sharing them where the file system can, hashed while they are
    /// read. Not synced.
    fn copy(&mut self, from: &Place, to: &Place, exec: bool) -> io::Result<Written>;
    /// Puts a new symbolic link there.
    fn symlink(&mut self, target: &str, at: &Place) -> io::Result<()>;
    /// Makes a directory, and those above it; one that is there is no error.
    fn make_dir(&mut self, at: &Place) -> io::Result<()>;
    /// Moves, over a file if there is one, never over a directory with something in it.
    fn rename(&mut self, from: &Place, to: &Place) -> io::Result<()>;
    /// Makes each stand in the other's place, at one moment.
    fn exchange(&mut self, a: &Place, b: &Place) -> io::Result<()>;
    /// Removes a file or link; nothing there is no error.
    fn remove_file(&mut self, at: &Place) -> io::Result<()>;
    /// Removes whatever stands there, with all that is below; nothing there is no error.
    fn remove_tree(&mut self, at: &Place) -> io::Result<()>;
    /// Removes programs of earlier agents until `kept` are left, this one among them; how many it removed.
    fn remove_old_agents(&mut self, kept: usize) -> io::Result<u64>;
    /// Makes the names of a directory outlast a power cut.
    fn sync_dir(&mut self, at: &Place) -> io::Result<()>;
    /// Makes everything written below the deploy root outlast a power cut.
    fn sync_root(&mut self) -> io::Result<()>;
    /// Runs a hook to its end.
    fn run(&mut self, program: &Program) -> io::Result<Ended>;
}

impl Place {
    /// Below the deploy root.
    pub fn root(path: impl Into<String>) -> Self {
        Self { base: Base::Root, path: path.into() }
    }

    /// Below the state directory.
    pub fn state(path: impl Into<String>) -> Self {
        Self { base: Base::State, path: path.into() }
    }

    /// What is below it.
    pub fn join(&self, below: &str) -> Self {
        let path = match self.path.is_empty() {
            true => below.to_owned(),
            false => format!("{}/{below}", self.path),
        };
        Self { base: self.base, path }
    }

    /// The directory it is in, and its name there.
    pub fn split(&self) -> (Place, &str) {
        let (parent, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        (Place { base: self.base, path: parent.to_owned() }, name)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = match self.base {
            Base::Root => "the deploy root",
            Base::State => "the state directory",
        };
        match self.path.is_empty() {
            true => f.write_str(base),
            false => write!(f, "`{}` in {base}", self.path.escape_debug()),
        }
    }
}

/// `None` where nothing is there.
pub fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}
