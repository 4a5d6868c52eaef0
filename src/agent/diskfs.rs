//! The host's real file system, hooks and identities.
//!
//! Invariant: every path is opened below a handle of its base with `openat2` and `RESOLVE_BENEATH`, `RESOLVE_NO_SYMLINKS`
//! and `RESOLVE_NO_MAGICLINKS`; the last part of a path is never followed either. New files are made with `O_EXCL`, so
//! nothing is ever written through a link, a hard link or a pipe that somebody put there. Modes do not depend on the
//! umask: 0644 or 0755 below the deploy root, 0600 below the state directory, which is 0700.

use super::diskbase::Directory;
use super::diskmirror::Web;
use super::diskserve::Server;
use super::hostfs::{
    Base, Ended, HostFs, Listed, Mirror, OpenLog, Place, Program, Serving, Space, Stat, SwitchLock, Written,
};
use super::state::STAGING;
use super::{diskask, diskrun, disksigners, disktree, keygen};
use crate::model::digest::Digest;
use crate::model::limits::PROOF_NICE;
use crate::model::question::{MachineFacts, PluginSaid};
use crate::model::signed::{ALLOWED_SIGNERS, RELEASE_NAMESPACE};
use crate::wire::fetch::Failure;
use crate::wire::serve::Refused;
use rustix::fs::{self, AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, ResolveFlags};
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where the kernel says which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Where the system says which installation this is.
const MACHINE_ID: &str = "/etc/machine-id";
/// A file of which only its time is looked at, where there are no files without a name.
const CLOCK: &str = "removed-clock";
/// The most bytes that one read of a file's content takes.
const CHUNK_BYTES: usize = 256 << 10;

/// A host's disk.
#[derive(Debug)]
pub struct DiskFs {
    root: Directory,
    state: Directory,
    boot_id_file: PathBuf,
    /// Where the owner's list of signers would be.
    signers: PathBuf,
    /// Whether the file system refused to share blocks, so that it is not asked for each file.
    no_reflinks: bool,
}

impl DiskFs {
    /// A host that serves from `root` and whose agent keeps its state in `state`, both absolute. Opens nothing yet.
    pub fn new(root: &Path, state: &Path) -> Self {
        let (root, state) = (Directory::new(root), Directory::new(state));
        let [boot_id_file, signers] = [BOOT_ID, ALLOWED_SIGNERS].map(PathBuf::from);
        Self { root, state, boot_id_file, signers, no_reflinks: false }
    }

    /// The same with the owner's list of signers elsewhere, where the host is a directory.
    pub fn with_signers(self, signers: &Path) -> Self {
        Self { signers: signers.to_owned(), ..self }
    }

    /// The same with another file that has the boot id, for tests that reboot.
    pub fn with_boot_id_file(mut self, file: &Path) -> Self {
        self.boot_id_file = file.to_owned();
        self
    }

    fn directory(&self, base: Base) -> &Directory {
        match base {
            Base::Root => &self.root,
            Base::State => &self.state,
        }
    }

    fn base(&self, base: Base) -> io::Result<BorrowedFd<'_>> {
        self.directory(base).open()
    }

    fn open(&self, at: &Place, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let path = if at.path.is_empty() { "." } else { at.path.as_str() };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        Ok(fs::openat2(self.base(at.base)?, path, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, mode, resolve)?)
    }

    /// The directory that holds `at`, and its name there.
    fn parent<'a>(&self, at: &'a Place) -> io::Result<(OwnedFd, &'a str)> {
        let (parent, name) = at.split();
        match name {
            "" | "." | ".." => Err(io::Error::from(io::ErrorKind::InvalidInput)),
            _ if at.path.starts_with('/') => Err(io::Error::from(io::ErrorKind::InvalidInput)),
            name => Ok((self.open(&parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?, name)),
        }
    }

    /// A regular file to read from; anything else is an error, and a pipe does not block.
    pub(super) fn open_file(&self, at: &Place) -> io::Result<File> {
        let file = self.open(at, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty())?;
        match FileType::from_raw_mode(fs::fstat(&file)?.st_mode) {
            FileType::RegularFile => Ok(File::from(file)),
            _ => Err(io::Error::other(format!("{at} is not a regular file"))),
        }
    }

    /// A new file to write to, instead of whatever file or link stood there.
    fn create(&self, at: &Place, mode: u32) -> io::Result<File> {
        let (parent, name) = self.parent(at)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let make = || fs::openat(&parent, name, flags, Mode::from_raw_mode(0o600));
        let file = match make() {
            Err(rustix::io::Errno::EXIST) => {
                fs::unlinkat(&parent, name, AtFlags::empty())?;
                make()?
            }
            made => made?,
        };
        fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        Ok(File::from(file))
    }

    /// A file that nobody ever sees, on the file system of the deploy root. Where it has none without a name, it has this one
    /// for a moment, in the directory where only ours may lie.
    pub(super) fn nameless(&mut self, name: &str) -> io::Result<File> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        if let Ok(file) = fs::openat(self.base(Base::Root)?, ".", flags, Mode::from_raw_mode(0o600)) {
            return Ok(file.into());
        }
        self.make_dir(&Place::root(STAGING))?;
        let at = Place::root(STAGING).join(name);
        let file = self.create(&at, 0o600)?;
        self.remove_file(&at)?;
        Ok(file)
    }

    /// Puts `file`'s blocks below `target` too, where the file system can.
    fn reflink(&mut self, target: &File, file: &File) -> bool {
        let shared = !self.no_reflinks && fs::ioctl_ficlone(target, file).is_ok();
        self.no_reflinks = !shared;
        shared
    }

    fn absolute(&self, place: &Place) -> PathBuf {
        self.directory(place.base).path.join(&place.path)
    }
}

fn mode_of(at: &Place, exec: bool) -> u32 {
    match (at.base, exec) {
        (Base::State, _) => 0o600,
        (Base::Root, false) => 0o644,
        (Base::Root, true) => 0o755,
    }
}

/// How large a buffer is worth while for so many bytes.
fn buffer_bytes(size: u64) -> usize {
    usize::try_from(size).map_or(CHUNK_BYTES, |size| size.clamp(1, CHUNK_BYTES))
}

/// Copies to `to` at most `size` bytes and sees that there are exactly so many.
pub(super) fn pour(from: &mut dyn Read, mut to: impl Write, size: u64) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; buffer_bytes(size)];
    let mut left = size;
    loop {
        match from.read(&mut buffer) {
            Ok(0) if left == 0 => return Ok(Digest::from_bytes(*hasher.finalize().as_bytes())),
            Ok(0) => return Err(io::Error::new(io::ErrorKind::InvalidData, "fewer bytes than announced")),
            Ok(n) if n as u64 > left => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "more bytes than announced"));
            }
            Ok(n) => {
                hasher.update(&buffer[..n]);
                to.write_all(&buffer[..n])?;
                left -= n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

thread_local! {
    /// What a thread reads into, so that a small file costs no memory of its own.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK_BYTES]);
}

fn hash_file(file: &mut File) -> io::Result<(Digest, u64)> {
    let size = fs::fstat(&*file)?.st_size;
    hash_all(file, u64::try_from(size).unwrap_or(0))
}

/// The digest and the number of all bytes that come; `size` is how many a file is said to have.
pub(super) fn hash_all(from: &mut impl Read, size: u64) -> io::Result<(Digest, u64)> {
    BUFFER.with_borrow_mut(|buffer| {
        let first = read_some(from, buffer)?;
        // All of it came at once: the end need not be asked for.
        match first < buffer.len() && first as u64 == size {
            true => Ok((Digest::of(&buffer[..first]), size)),
            false => hash_rest(from, buffer, first),
        }
    })
}

fn read_some(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Hashes the `first` bytes of the buffer and what follows.
fn hash_rest(from: &mut impl Read, buffer: &mut [u8], first: usize) -> io::Result<(Digest, u64)> {
    let mut hasher = blake3::Hasher::new();
    let (mut read, mut bytes) = (first, 0);
    while read > 0 {
        hasher.update(&buffer[..read]);
        bytes += read as u64;
        read = read_some(from, buffer)?;
    }
    Ok((Digest::from_bytes(*hasher.finalize().as_bytes()), bytes))
}

/// How many files there is room for, where a file system that counts none has room for any number.
pub(super) fn inodes_free(all: u64, available: u64) -> u64 {
    if all == 0 { u64::MAX } else { available }
}

fn written(file: &File, digest: Digest) -> io::Result<Written> {
    Ok(Written { digest, stat: disktree::stat_of(&fs::fstat(file)?) })
}

impl HostFs for DiskFs {
    fn mirror(&self, ca: Option<&str>) -> Result<Box<dyn Mirror>, Failure> {
        Ok(Box::new(Web::new(ca)?))
    }

    fn serve(&self, listen: SocketAddr, token: &str) -> Result<Box<dyn Serving>, Refused> {
        let fs = [(); 2].map(|()| Self::new(&self.root.path, &self.state.path));
        Ok(Box::new(Server::start(fs, listen, token.to_owned())?))
    }

    fn read(&self, at: &Place, bytes_max: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open_file(at)?.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
        match bytes.len() > bytes_max {
            true => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{at} has more than {bytes_max} bytes"))),
            false => Ok(bytes),
        }
    }

    fn hash(&self, at: &Place) -> io::Result<(Digest, u64)> {
        hash_file(&mut self.open_file(at)?)
    }

    fn lstat(&self, at: &Place) -> io::Result<Option<Stat>> {
        super::hostfs::present(match at.path.is_empty() {
            true => self.base(at.base).and_then(|fd| Ok(fs::fstat(fd)?)),
            false => self.parent(at).and_then(|(fd, name)| Ok(fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW)?)),
        })
        .map(|found| found.map(|stat| disktree::stat_of(&stat)))
    }

    fn lstat_all(&self, top: &Place, paths: &[&str]) -> io::Result<Vec<Option<Stat>>> {
        disktree::lstat_all(self.open(top, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?, paths)
    }

    fn list(&self, at: &Place) -> io::Result<Vec<Listed>> {
        disktree::list(self.open(at, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?)
    }

    fn read_link(&self, at: &Place) -> io::Result<String> {
        let (parent, name) = self.parent(at)?;
        let target = fs::readlinkat(parent, name, Vec::new())?;
        target.into_string().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a link's target is not UTF-8"))
    }

    fn space(&self) -> io::Result<Space> {
        let found = fs::fstatvfs(self.base(Base::Root)?)?;
        let inodes_free = inodes_free(found.f_files, found.f_favail);
        Ok(Space { bytes_free: found.f_bavail.saturating_mul(found.f_frsize), inodes_free })
    }

    fn boot_id(&self) -> io::Result<String> {
        Ok(std::fs::read_to_string(&self.boot_id_file)?.trim().to_owned())
    }

    fn machine_id(&self) -> io::Result<String> {
        Ok(super::hostfs::present(std::fs::read_to_string(MACHINE_ID))?.unwrap_or_default().trim().to_owned())
    }

    fn arch(&self) -> String {
        rustix::system::uname().machine().to_string_lossy().into_owned()
    }

    fn clock_ms(&self) -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }

    fn uptime_ms(&self) -> u64 {
        let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let ms = |part: i64| u64::try_from(part).unwrap_or(0);
        ms(up.tv_sec).saturating_mul(1_000).saturating_add(ms(up.tv_nsec) / 1_000_000)
    }

    fn signers(&self) -> Result<Option<PathBuf>, String> {
        disksigners::signers(&self.signers)
    }

    fn verify(&self, signers: &Path, text: &str, signature: &Place) -> Result<(), String> {
        let (path, signature) = (diskask::PLUGIN_PATH.as_ref(), self.absolute(signature));
        let allowed = keygen::is_allowed(path, signers, text, &signature, RELEASE_NAMESPACE);
        allowed.map(drop).map_err(|why| why.to_string())
    }

    fn log(&self, file: &Path) -> io::Result<Option<OpenLog>> {
        diskask::open(file)
    }

    fn machine(&self) -> io::Result<MachineFacts> {
        diskask::machine(&self.root.path)
    }

    fn plugin(&self, argv: &[String], ms_max: u64) -> io::Result<PluginSaid> {
        diskask::plugin(argv, ms_max)
    }

    fn lock(&mut self) -> io::Result<SwitchLock> {
        self.root.make()?;
        self.state.make_private()?;
        let at = Place::state("lock");
        let file = match super::hostfs::present(self.open(&at, OFlags::RDWR, Mode::empty()))? {
            Some(file) => file,
            None => {
                // Where the file is, the names of the directories were made to last before.
                self.root.make_lasting()?;
                self.state.make_lasting()?;
                self.open(&at, OFlags::RDWR | OFlags::CREATE, Mode::from_raw_mode(0o600))?
            }
        };
        fs::flock(&file, FlockOperation::LockExclusive)?;
        Ok(SwitchLock { handle: Some(file) })
    }

    fn stand_back(&self) {
        // Refused only where nothing can be changed about it. Without a class of its own, I/O follows.
        let _ = rustix::process::setpriority_process(None, PROOF_NICE);
    }

    fn now_ns(&mut self) -> io::Result<i64> {
        Ok(disktree::stat_of(&fs::fstat(self.nameless(CLOCK)?)?).ctime_ns)
    }

    fn random(&mut self) -> io::Result<u128> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|e| io::Error::other(e.to_string()))?;
        Ok(u128::from_le_bytes(bytes))
    }

    fn write(&mut self, at: &Place, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.create(at, mode_of(at, false))?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn receive(&mut self, at: &Place, exec: bool, size: u64, from: &mut dyn Read) -> io::Result<Written> {
        let file = self.create(at, mode_of(at, exec))?;
        let digest = pour(from, &file, size)?;
        written(&file, digest)
    }

    fn copy(&mut self, from: &Place, to: &Place, exec: bool) -> io::Result<Written> {
        let mut source = self.open_file(from)?;
        let mut target = self.create(to, mode_of(to, exec))?;
        let digest = match self.reflink(&target, &source) {
            true => hash_file(&mut target)?.0,
            false => {
                let size = source.metadata()?.len();
                pour(&mut source, &target, size)?
            }
        };
        written(&target, digest)
    }

    fn symlink(&mut self, target: &str, at: &Place) -> io::Result<()> {
        let (parent, name) = self.parent(at)?;
        Ok(fs::symlinkat(target, parent, name)?)
    }

    fn make_dir(&mut self, at: &Place) -> io::Result<()> {
        let mode = Mode::from_raw_mode(if at.base == Base::State { 0o700 } else { 0o755 });
        let ends = at.path.match_indices('/').map(|(end, _)| end).chain([at.path.len()]);
        for end in ends {
            let part = Place { base: at.base, path: at.path[..end].to_owned() };
            let (parent, name) = self.parent(&part)?;
            match fs::mkdirat(&parent, name, mode) {
                Ok(()) => {
                    let made = self.open(&part, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
                    fs::fchmod(made, mode)?;
                }
                Err(rustix::io::Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            }
        }
        self.open(at, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).map(drop)
    }

    fn rename(&mut self, from: &Place, to: &Place) -> io::Result<()> {
        let ((a, a_name), (b, b_name)) = (self.parent(from)?, self.parent(to)?);
        Ok(fs::renameat(a, a_name, b, b_name)?)
    }

    fn exchange(&mut self, a: &Place, b: &Place) -> io::Result<()> {
        let ((a, a_name), (b, b_name)) = (self.parent(a)?, self.parent(b)?);
        Ok(fs::renameat_with(a, a_name, b, b_name, RenameFlags::EXCHANGE)?)
    }

    fn remove_file(&mut self, at: &Place) -> io::Result<()> {
        let removed = self.parent(at).and_then(|(fd, name)| Ok(fs::unlinkat(fd, name, AtFlags::empty())?));
        super::hostfs::present(removed).map(|_| ())
    }

    fn remove_tree(&mut self, at: &Place) -> io::Result<()> {
        let removed = self.parent(at).and_then(|(fd, name)| disktree::remove(fd.as_fd(), name.as_ref()));
        super::hostfs::present(removed).map(|_| ())
    }

    fn remove_old_agents(&mut self, kept: usize) -> io::Result<u64> {
        super::diskagents::remove(&std::env::current_exe()?, kept)
    }

    fn sync_dir(&mut self, at: &Place) -> io::Result<()> {
        Ok(fs::fsync(self.open(at, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?)?)
    }

    fn sync_root(&mut self) -> io::Result<()> {
        Ok(fs::syncfs(self.base(Base::Root)?)?)
    }

    fn run(&mut self, program: &Program) -> io::Result<Ended> {
        let path_of = |place: &Place| self.absolute(place);
        diskrun::run(program, &path_of)
    }
}
