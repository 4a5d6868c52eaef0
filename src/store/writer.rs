//! Which process keeps everybody else out of SQLite's file, and how one is ended that does not go on.
//!
//! A process that was stopped in the middle of a write keeps SQLite's lock for as long as it stands. A command that
//! takes over gives it [`BOOKS_GRACE_MS`] and ends it with SIGKILL, which SQLite's journal makes safe; every other
//! command says which process it is.
//!
//! Invariant: a file that was opened to ask for its locks is never closed again, because the kernel drops all locks of
//! a process on a file with the first descriptor that it closes (<https://www.sqlite.org/howtocorrupt.html>, 2.2).
//! What is ended is the process that holds the lock at that moment: its descriptor is opened first and the lock asked
//! for again, so that a number that was given to another process meanwhile hits nobody.

use super::error::StoreError;
use crate::gate::signature::harmless;
use crate::model::limits::{BOOKS_ATTEMPTS_MAX, BOOKS_END_MS_MAX, BOOKS_GRACE_MS, FAULT_CHARS_MAX, USER_S_MAX};
use crate::model::time::Time;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Flock, FlockOffsetType, FlockType, Pid, PidfdFlags, Signal};
use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

/// A process that keeps others out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// Its number.
    pub pid: i32,
    /// Its command line, harmless to show.
    pub command: String,
    /// The name of its user.
    pub user: String,
    /// When it was begun; `None`: the system does not say.
    pub begun: Option<Time>,
    /// Whether it is stopped, so that it will not go on by itself.
    pub stopped: bool,
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, command, user, begun, stopped } = self;
        let begun = begun.map(|at| format!(", begun at {at}")).unwrap_or_default();
        let stopped = if *stopped { ", stopped" } else { "" };
        write!(f, "process {pid} ({command}; of {user}{begun}{stopped})")
    }
}

/// What a command has that takes over: it waits for nobody.
#[derive(Clone)]
pub struct Firm {
    warn: Rc<dyn Fn(&str)>,
    /// What was ended and is not on the books yet.
    ended: Rc<RefCell<Vec<String>>>,
}

impl fmt::Debug for Firm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Firm").finish_non_exhaustive()
    }
}

impl Firm {
    /// Whoever stands in the way is ended, and `warn` is told of it.
    pub fn new(warn: impl Fn(&str) + 'static) -> Self {
        Self { warn: Rc::new(warn), ended: Rc::default() }
    }

    /// What was ended since this was last asked, one sentence each.
    pub fn ended(&self) -> Vec<String> {
        self.ended.take()
    }

    /// Ends `writer`, if it still keeps others out of the file `path`.
    fn end(&self, path: &Path, writer: &Writer) -> Result<(), StoreError> {
        let kept = |why: String| StoreError::Kept { path: path.to_owned(), writer: writer.clone(), why };
        let Some(pid) = Pid::from_raw(writer.pid).filter(|pid| pid.as_raw_nonzero().get() > 1) else {
            return Err(kept("it is in another container".to_owned()));
        };
        let process = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::SRCH) => return Ok(()),
            process => process.map_err(|e| kept(e.to_string()))?,
        };
        if holder(path) != Some(writer.pid) {
            return Ok(());
        }
        match rustix::process::pidfd_send_signal(&process, Signal::KILL) {
            Ok(()) => {}
            Err(Errno::SRCH) => return Ok(()),
            Err(Errno::PERM) => return Err(kept(format!("it belongs to {}, and we run as {}", writer.user, us()))),
            Err(e) => return Err(kept(e.to_string())),
        }
        let within = Timespec { tv_sec: (BOOKS_END_MS_MAX / 1000) as i64, tv_nsec: 0 };
        let gone = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&within));
        if gone.map_err(|e| kept(e.to_string()))? == 0 {
            return Err(kept(format!("it did not end within {} s of SIGKILL", BOOKS_END_MS_MAX / 1000)));
        }
        let said = format!(
            "{writer} kept everybody out of the books for more than {} s and was ended (SIGKILL), because what takes \
             over waits for nobody",
            BOOKS_GRACE_MS / 1000
        );
        (self.warn)(&said);
        self.ended.borrow_mut().push(said);
        Ok(())
    }
}

/// Tries until it succeeds or fails for another reason than that somebody else writes. Whoever does so for longer than
/// SQLite waits on that connection is ended, where a command is `firm`.
pub fn past<T>(
    path: &Path,
    firm: Option<&Firm>,
    mut attempt: impl FnMut() -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let error = match attempt() {
            Ok(done) => return Ok(done),
            Err(error) => StoreError::sqlite(path, error),
        };
        match (&error, firm) {
            (StoreError::Busy { writer, .. }, Some(firm)) if attempts < BOOKS_ATTEMPTS_MAX => {
                writer.iter().try_for_each(|writer| firm.end(path, writer))?;
            }
            _ => return Err(error),
        }
    }
}

/// Who keeps others out of the database `path`; `None`: nobody any more, or a connection of this same process.
pub fn of(path: &Path) -> Option<Writer> {
    holder(path).map(described)
}

/// SQLite's bytes: of the database, where writers through a rollback journal have a lock, and readers below them; of
/// the index of the log, where writers through the log have one (os_unix.c and wal.c of SQLite).
const WRITERS: (u64, u64) = (0x4000_0000, 512);
const READERS: (u64, u64) = (0x4000_0002, 510);
const LOG_WRITERS: (u64, u64) = (120, 3);

/// The number of the process that keeps others out.
fn holder(path: &Path) -> Option<i32> {
    let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
    // A lock to read is in the way of locks to write only, so these find writers and not each other.
    let writes = || asked(&beside("-shm"), LOG_WRITERS, FlockType::ReadLock);
    let changes = || asked(path, WRITERS, FlockType::ReadLock);
    // With the log everybody has a lock to read, and it is in nobody's way.
    let reads = || match beside("-wal").exists() {
        true => None,
        false => asked(path, READERS, FlockType::WriteLock),
    };
    writes().or_else(changes).or_else(reads)
}

fn asked(path: &Path, (start, length): (u64, u64), typ: FlockType) -> Option<i32> {
    let file = kept_open(path).ok()?;
    let lock = Flock { start, length, pid: None, typ, offset_type: FlockOffsetType::Set };
    let found = rustix::process::fcntl_getlk(&*file, &lock).ok()??;
    Some(found.pid.map_or(0, |pid| pid.as_raw_nonzero().get()))
}

/// The file, opened once for as long as this process lives.
fn kept_open(path: &Path) -> std::io::Result<Arc<File>> {
    static KEPT: Mutex<Vec<(u64, u64, Arc<File>)>> = Mutex::new(Vec::new());
    let found = std::fs::metadata(path)?;
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((.., file)) = kept.iter().find(|(dev, ino, _)| (*dev, *ino) == (found.dev(), found.ino())) {
        return Ok(Arc::clone(file));
    }
    let file = Arc::new(File::open(path)?);
    let found = file.metadata()?;
    kept.push((found.dev(), found.ino(), Arc::clone(&file)));
    Ok(file)
}

/// What the system says of a process.
fn described(pid: i32) -> Writer {
    let of = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let stat = String::from_utf8_lossy(&of("stat")).into_owned();
    // The name in parentheses may have anything in it; what follows the last one has a form: proc_pid_stat(5).
    let fields: Vec<&str> = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
    let command: Vec<u8> = of("cmdline").iter().map(|b| if *b == 0 { b' ' } else { *b }).collect();
    let shown = harmless(&String::from_utf8_lossy(&command), FAULT_CHARS_MAX / 2);
    let owner = std::fs::metadata(format!("/proc/{pid}")).map(|found| user(found.uid()));
    Writer {
        pid,
        command: if shown.is_empty() { "its command is not known".to_owned() } else { shown },
        user: owner.unwrap_or_else(|_| "nobody known".to_owned()),
        begun: fields.get(19).and_then(|ticks| ticks.parse().ok()).and_then(begun),
        stopped: matches!(fields.first(), Some(&"T" | &"t")),
    }
}

/// A moment that the kernel gives in ticks since it started.
fn begun(ticks: u64) -> Option<Time> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let started: u64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(Time(started * 1000 + ticks * 1000 / rustix::param::clock_ticks_per_second()))
}

/// The name of a user, or its number.
pub fn user(uid: u32) -> String {
    match String::from_utf8_lossy(&id("-un", &uid.to_string())).trim() {
        "" => format!("uid{uid}"),
        name => name.to_owned(),
    }
}

/// What `/usr/bin/id` says of a user; nothing where there is no way to ask. What the directory that it asks does not say in time it
/// does not say: nobody waits for that, least of all a rollback.
pub fn id(what: &str, user: &str) -> Vec<u8> {
    let seconds = USER_S_MAX.to_string();
    let limited = ["--kill-after=1", &seconds, "/usr/bin/id", what, "--", user];
    Command::new("/usr/bin/timeout").args(limited).env_clear().output().map(|said| said.stdout).unwrap_or_default()
}

fn us() -> String {
    user(rustix::process::geteuid().as_raw())
}
