//! Why the books could not be read or written. Each text is a fragment that fits "failed to {...}: {error}".

use super::writer::{self, Writer};
use crate::model::books::Lock;
use crate::model::limits::BOOKS_BUSY_MS_MAX;
use crate::model::words::count;
use std::path::{Path, PathBuf};

/// Why a call to a store failed; nothing was written then.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody alive has the right to act, or somebody of whom that is unknown.
    #[error("the books are locked by {} since {}: {}{}", .0.holder, .0.since.moment(), .0.reason, unknown(.0, .1))]
    Locked(Lock, Option<bool>),
    /// Somebody else took the right to act; we must end.
    #[error("epoch {epoch} is over: {}", superseded(.lock.as_ref()))]
    Superseded {
        /// Ours.
        epoch: u64,
        /// Who has it now; `None`: given back already, or the books were opened anew.
        lock: Option<Lock>,
    },
    /// There is no such file.
    #[error("there are no books in {}", .0.display())]
    NoBooks(PathBuf),
    /// There were books, and they are gone.
    #[error("the books in {} are gone: there were some, of {}", .dir.display(), count(*.events as usize, "event"))]
    Lost {
        /// Their directory or server.
        dir: PathBuf,
        /// Where it stands that there were some.
        note: PathBuf,
        /// How many events they had at least.
        events: u64,
    },
    /// The file is not the one that was written last: an old copy, or one that lost its end.
    #[error("the books {} are not those that were written last: these had an event {events} that is not in them", .path.display())]
    Behind {
        /// The file.
        path: PathBuf,
        /// The last event that was noted beside them.
        events: u64,
    },
    /// Books that can be read are not replaced.
    #[error("there are books in {} already", .0.display())]
    Exists(PathBuf),
    /// A newer pointsman wrote them.
    #[error("{} has the form {have} of a newer pointsman; this one knows up to {known}", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its form.
        have: i64,
        /// The newest form known here.
        known: i64,
    },
    /// Not a database, or one that was damaged.
    #[error("the books {} are damaged: {why}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        why: String,
    },
    /// A row is not of the form that was written.
    #[error("the books are damaged: table {table}, row {row}: {why}")]
    Row {
        /// Which table.
        table: &'static str,
        /// Which row, by its key.
        row: String,
        /// What is wrong with it.
        why: String,
    },
    /// The chain of events is not as written.
    #[error("the books were tampered with: event {seq} {why}")]
    Tampered {
        /// The first event that is wrong.
        seq: u64,
        /// In which way.
        why: String,
    },
    /// SQLite's locks do not hold there.
    #[error("{} is on {kind}, where locks do not hold; books need a local disk", .dir.display())]
    Network {
        /// The directory.
        dir: PathBuf,
        /// The file system.
        kind: &'static str,
    },
    /// Others could read or replace the books.
    #[error("{} {why}", .path.display())]
    Permissions {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong and what to type.
        why: String,
    },
    /// Another process wrote for too long.
    #[error("the books {} were busy for {}", .path.display(), busy(.writer.as_ref()))]
    Busy {
        /// The file.
        path: PathBuf,
        /// Which process; `None`: it ended just now, or another connection of ours.
        writer: Option<Writer>,
    },
    /// A process is in the way of a command that takes over, and can't be ended.
    #[error("the books {} are kept by {writer}, which can't be ended: {why}", .path.display())]
    Kept {
        /// The file.
        path: PathBuf,
        /// Which process.
        writer: Writer,
        /// Why not.
        why: String,
    },
    /// The store was opened to look only.
    #[error("the books were opened to look only")]
    ReadOnly,
    /// A crash in the middle of a change that only a command that may write can clean up.
    #[error("the books {} hold an unfinished write, which a command that only looks does not clean up", .0.display())]
    Unfinished(PathBuf),
    /// A call that no correct program makes.
    #[error("a mistake of pointsman's own: {0}")]
    Ours(String),
    /// What groups.yaml refers to is no address of a server.
    #[error("the address of the books ({reference}) is of no use: {why}")]
    Address {
        /// As it stands there: `env:POINTSMAN_BOOKS`.
        reference: String,
        /// What is wrong, without any part of it.
        why: String,
    },
    /// No connection to the server, or not any more.
    #[error("no connection to the books on {server}: {why}")]
    CutOff {
        /// Which, without who we are there.
        server: String,
        /// Why.
        why: String,
    },
    /// Others wrote for too long.
    #[error("the books on {} were busy for more than {} s", .0, BOOKS_BUSY_MS_MAX / 1000)]
    ServerBusy(String),
    /// The server's words.
    #[error("the books on {server}: {why}")]
    Server {
        /// Which.
        server: String,
        /// What it said.
        why: String,
    },
    /// The system's words.
    #[error("{what} {}", .path.display())]
    Io {
        /// What was tried: `open`.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// SQLite's words.
    #[error("the books {}", .path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: rusqlite::Error,
    },
}

/// What a holder's name says of the machine that it is on; `alice@deploy1 pid 7`.
pub fn machine(holder: &str) -> &str {
    let (by, _) = holder.rsplit_once(" pid ").unwrap_or((holder, ""));
    by.rsplit_once('@').map_or(by, |(_, machine)| machine)
}

fn unknown(lock: &Lock, lives: &Option<bool>) -> String {
    match lives {
        Some(_) => String::new(),
        None => format!(" (whether that process lives is unknown, on {})", machine(&lock.holder)),
    }
}

fn busy(writer: Option<&Writer>) -> String {
    let seconds = BOOKS_BUSY_MS_MAX / 1000;
    match writer {
        Some(writer) => format!("more than {seconds} s: {writer} keeps everybody else out"),
        None => format!("more than {seconds} s"),
    }
}

fn superseded(lock: Option<&Lock>) -> String {
    match lock {
        Some(lock) => format!("{} took over at {}: {}", lock.holder, lock.since, lock.reason),
        None => "the lock is not ours any more".to_owned(),
    }
}

impl StoreError {
    /// An error of the system on `path`.
    pub fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }

    /// What SQLite said of the file `path`, told apart.
    pub fn sqlite(path: &Path, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(Code::NotADatabase | Code::DatabaseCorrupt) => Self::Damaged { path, why: source.to_string() },
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => Self::Busy { writer: writer::of(&path), path },
            Some(Code::ReadOnly) => Self::Unfinished(path),
            _ => Self::Sqlite { path, source },
        }
    }

    /// A row that is not of the form that was written.
    pub fn row(table: &'static str, row: impl ToString, why: impl ToString) -> Self {
        let row = row.to_string().escape_debug().take(80).collect();
        Self::Row { table, row, why: why.to_string() }
    }

    /// Whether other books could be begun in their place without losing anything that can be read.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Row { .. } | Self::Tampered { .. } | Self::Behind { .. })
    }
}
