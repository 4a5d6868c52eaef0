//! The books in SQLite: WAL and `synchronous=FULL` while a command acts, a plain closed file at rest.
//!
//! At rest the file is in rollback-journal mode, so that a command that only looks opens it without a `-wal` or `-shm`
//! beside it: not one byte of the directory changes (P15). While somebody writes, such a command reads the writer's
//! WAL; after a crash it reads the WAL that was left behind, without recovering it. The reader keeps the WAL's index
//! in its own memory for that (`readonly_shm`, <https://www.sqlite.org/wal.html#read_only_databases>).

use super::error::StoreError;
use super::rows::{Db, Trace, key};
use super::writer::{self, Firm};
use super::{Claim, RELEASED, Store, StoredEvent, Verified, only_notes, place, schema, still_true, taken};
use crate::model::books::{Books, Lock, Record, Rollout, Snapshot};
use crate::model::ids::{BooksId, Generation, RolloutId, SnapshotId};
use crate::model::limits::{BOOKS_BUSY_MS_MAX, BOOKS_GRACE_MS, BOOKS_RECENT_MAX};
use crate::model::step::Step;
use crate::model::time::Time;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, Transaction, TransactionBehavior};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Books in a directory.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    dir: PathBuf,
    path: PathBuf,
    read_only: bool,
    /// The epoch that we took, and our sign of life.
    held: Option<(u64, File)>,
    /// Set when whoever stands in the way is ended.
    firm: Option<Firm>,
    pub(super) recent_max: usize,
}

impl SqliteStore {
    /// Opens the books in `dir` to read and write; makes them when `create` and there are none.
    pub fn open(dir: &Path, create: bool) -> Result<Self, StoreError> {
        Self::open_as(dir, create, None)
    }

    /// The same; where a command is `firm`, whoever keeps it out of the file is ended.
    pub fn open_as(dir: &Path, create: bool, firm: Option<Firm>) -> Result<Self, StoreError> {
        Self::prepare(dir, create.then(random_id).transpose()?.map(|id| (id, 0)), firm)
    }

    /// Begins new books for a fleet that knows the id, above every epoch it may have seen. Damaged books are set
    /// aside under another name; [`StoreError::Exists`] when the books there can be read.
    pub fn rebuild(dir: &Path, id: BooksId, epoch_floor: u64, firm: Option<Firm>) -> Result<Self, StoreError> {
        match Self::open_as(dir, false, firm.clone()).and_then(|store| store.load()) {
            Ok(_) => return Err(StoreError::Exists(dir.to_owned())),
            Err(StoreError::NoBooks(_)) => {}
            Err(e) if e.is_damage() || matches!(e, StoreError::Lost { .. }) => place::set_aside(dir)?,
            Err(e) => return Err(e),
        }
        Self::prepare(dir, Some((id, epoch_floor)), firm)
    }

    /// Opens the books in `dir` to look only: nothing in the directory changes unless somebody else writes there.
    pub fn open_read_only(dir: &Path) -> Result<Self, StoreError> {
        place::check(dir, false)?;
        let path = Self::file(dir, false)?;
        let quiet =
            connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI, "readonly_shm=1", None);
        let connection = match quiet.and_then(|c| made(c, dir, &path)) {
            // The header says WAL and there is none, or a writer is just beginning one: then SQLite needs its own way.
            Err(StoreError::Unfinished(_)) => looking(dir, &path)?,
            Err(StoreError::Sqlite { source, .. }) if source.sqlite_error_code() == Some(ErrorCode::CannotOpen) => {
                looking(dir, &path)?
            }
            opened => opened?,
        };
        Ok(Self::new(connection, dir, path, true, None))
    }

    fn new(connection: Connection, dir: &Path, path: PathBuf, read_only: bool, firm: Option<Firm>) -> Self {
        Self { connection, dir: dir.to_owned(), path, read_only, held: None, firm, recent_max: BOOKS_RECENT_MAX }
    }

    fn prepare(dir: &Path, new: Option<(BooksId, u64)>, firm: Option<Firm>) -> Result<Self, StoreError> {
        place::check(dir, new.is_some())?;
        let path = Self::file(dir, new.is_some())?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI;
        let mut connection = connect(&path, flags, "mode=rw", firm.as_ref())?;
        if firm.is_some() {
            writer::past(&path, firm.as_ref(), || connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK"))?;
        }
        let is_made = is_made(&connection, dir, &path)?;
        write_ahead(&connection).map_err(|e| StoreError::sqlite(&path, e))?;
        match (is_made, new) {
            (true, _) => schema::upgrade(&mut connection, &path)?,
            (false, Some((id, epoch))) => schema::make(&mut connection, &path, id, epoch)?,
            (false, None) => return Err(StoreError::NoBooks(dir.to_owned())),
        }
        Ok(Self::new(connection, dir, path, false, firm))
    }

    /// The database's file. Where there were books and are none now, none are begun in their place.
    fn file(dir: &Path, create: bool) -> Result<PathBuf, StoreError> {
        let noted = place::noted_head(dir);
        match (place::open_file(dir, create && noted.is_none()), noted) {
            (Err(StoreError::NoBooks(_)), Some((events, _))) => Err(StoreError::Lost { dir: dir.to_owned(), events }),
            (opened, _) => opened,
        }
    }

    /// Reads within one transaction, and refuses books that lack the event that was noted beside them before it began.
    fn read_whole<T>(&self, read: impl FnOnce(Db<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let noted = place::noted_head(&self.dir).filter(|(events, _)| *events > 0);
        self.read(|db| {
            let found = read(db)?;
            match noted {
                Some((events, head)) if db.hash_at(events)? != Some(head) => {
                    Err(StoreError::Behind { path: self.path.clone(), events })
                }
                _ => Ok(found),
            }
        })
    }

    /// Notes the last event beside the books, unless that is there already, or one that these books do not have.
    fn note_head(&self) -> Result<(), StoreError> {
        let Verified { events, head } = self.head()?;
        match place::noted_head(&self.dir) == Some((events, head)) {
            true => Ok(()),
            false => place::note_head(&self.dir, events, head),
        }
    }

    /// The directory that it was opened in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn db<'a>(&'a self, connection: &'a Connection) -> Result<Db<'a>, StoreError> {
        let form = schema::form(connection).map_err(|e| StoreError::sqlite(&self.path, e))?;
        Ok(Db { connection, path: &self.path, form })
    }

    /// Reads within one transaction, so that all of it is of one moment.
    fn read<T>(&self, read: impl FnOnce(Db<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let tx = self.connection.unchecked_transaction().map_err(|e| StoreError::sqlite(&self.path, e))?;
        // The first look into the file is what begins the transaction, and what others can keep us from.
        self.past(|| tx.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())))?;
        read(self.db(&tx)?)
    }

    /// Writes within one transaction that nobody else writes beside; an error leaves everything as it was.
    fn write<T>(&self, write: impl FnOnce(Db<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        let tx = self.past(|| Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate))?;
        let written = write(self.db(&tx)?)?;
        // Without a log, who reads can keep it from being committed; it then stands and can be committed again.
        self.past(|| tx.execute_batch("COMMIT"))?;
        Ok(written)
    }

    fn past<T>(&self, attempt: impl FnMut() -> rusqlite::Result<T>) -> Result<T, StoreError> {
        writer::past(&self.path, self.firm.as_ref(), attempt)
    }

    /// The lock, when it is of `epoch` and ours.
    fn ours(&self, db: Db<'_>, epoch: u64) -> Result<Lock, StoreError> {
        let (newest, lock) = db.lock()?;
        let held = self.held.as_ref().is_some_and(|(held, _)| *held == epoch);
        match lock {
            Some(lock) if newest == epoch && held => Ok(lock),
            lock => Err(StoreError::Superseded { epoch, lock }),
        }
    }
}

impl Drop for SqliteStore {
    /// Back to rest, when nobody else has the file open. What fails here is done by who closes it later.
    fn drop(&mut self) {
        if !self.read_only {
            let _ = self.connection.busy_timeout(Duration::ZERO);
            let _ = self.note_head();
            let _ = self.connection.pragma_update(None, "journal_mode", "DELETE");
        }
    }
}

fn random_id() -> Result<BooksId, StoreError> {
    let mut bytes = [0; 16];
    let failed =
        |e: getrandom::Error| StoreError::io("read", Path::new("random bytes"))(std::io::Error::other(e.to_string()));
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(BooksId(u128::from_be_bytes(bytes)))
}

/// A connection with every setting that one connection needs. `parameters` are of SQLite's URI form. Settings read the file
/// already, so whoever keeps a `firm` command out of it is ended here.
fn connect(path: &Path, flags: OpenFlags, parameters: &str, firm: Option<&Firm>) -> Result<Connection, StoreError> {
    use std::os::unix::ffi::OsStrExt;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
    let escaped = |b: &u8| if plain(*b) { char::from(*b).to_string() } else { format!("%{b:02x}") };
    let name: String = path.as_os_str().as_bytes().iter().map(escaped).collect();
    let busy_ms = if firm.is_some() { BOOKS_GRACE_MS } else { BOOKS_BUSY_MS_MAX };
    let open = || {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(format!("file:{name}?{parameters}"), flags)?;
        connection.busy_timeout(Duration::from_millis(busy_ms))?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        Ok(connection)
    };
    writer::past(path, firm, open)
}

/// Whether the file has books in it; [`StoreError::Lost`] when it had some and is empty.
fn is_made(connection: &Connection, dir: &Path, path: &Path) -> Result<bool, StoreError> {
    match (schema::is_made(connection, path)?, place::noted_head(dir)) {
        (false, Some((events, _))) => Err(StoreError::Lost { dir: dir.to_owned(), events }),
        (is_made, _) => Ok(is_made),
    }
}

/// The connection, when its file has books in it.
fn made(connection: Connection, dir: &Path, path: &Path) -> Result<Connection, StoreError> {
    match is_made(&connection, dir, path)? {
        true => Ok(connection),
        false => Err(StoreError::NoBooks(dir.to_owned())),
    }
}

/// A connection that only looks, in SQLite's own way, which may leave an empty `-wal` and `-shm`.
fn looking(dir: &Path, path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    made(connect(path, flags, "mode=ro", None)?, dir, path)
}

/// Turns the write-ahead log on. A reader that has the file open at rest just now forbids that: then this command
/// writes through a rollback journal, which is as durable.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    match connection.pragma_update(None, "journal_mode", "WAL") {
        Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(()),
        done => done,
    }
}

/// One command and its outcome, if any.
fn step(event: &str, row: &Row<'_>) -> Result<Step, StoreError> {
    let wrong = |e: &dyn ToString| StoreError::row("intents", event, e.to_string());
    let read = || {
        let generation = Generation { epoch: row.get("epoch")?, seq: row.get("seq")? };
        let outcome = row.get::<_, Option<u64>>("ended_ms")?.zip(row.get::<_, Option<String>>("result")?);
        let outcome = outcome.map(|(at, result)| (Time(at), result));
        Ok((row.get("command")?, row.get::<_, String>("host")?, generation, Time(row.get("sent_ms")?), outcome))
    };
    let (command, host, generation, sent, outcome) = read().map_err(|e: rusqlite::Error| wrong(&e))?;
    Ok(Step { command, host: host.parse().map_err(|e| wrong(&e))?, generation, sent, outcome })
}

const STEPS: &str = "SELECT i.event, i.command, i.host, i.epoch, i.seq, sent.at_ms AS sent_ms, o.result,
        (SELECT at_ms FROM events WHERE seq = o.event) AS ended_ms
    FROM intents i JOIN events sent ON sent.seq = i.event
    LEFT JOIN outcomes o ON o.rowid = (SELECT max(rowid) FROM outcomes
        WHERE rollout = i.rollout AND host = i.host AND epoch = i.epoch AND seq = i.seq)
    WHERE i.rollout = ?1 ORDER BY i.rowid";

impl Store for SqliteStore {
    fn load(&self) -> Result<Books, StoreError> {
        self.read_whole(|db| db.load(self.recent_max))
    }

    fn snapshot(&self, id: SnapshotId) -> Result<Option<Snapshot>, StoreError> {
        self.read(|db| db.snapshot(id))
    }

    fn rollout(&self, id: RolloutId) -> Result<Option<Rollout>, StoreError> {
        self.read(|db| db.rollout(id))
    }

    fn rollouts(&self, limit: usize) -> Result<Vec<Rollout>, StoreError> {
        self.read(|db| db.newest_rollouts(limit))
    }

    fn steps(&self, rollout: RolloutId) -> Result<Vec<Step>, StoreError> {
        let mut steps = Vec::new();
        let mut push = |key: String, row: &Row<'_>| step(&key, row).map(|step| steps.push(step));
        self.read(|db| db.each(STEPS, [rollout.0], &mut push))?;
        Ok(steps)
    }

    fn take_lock(&mut self, now: Time, holder: &str, reason: &str, take_over: bool) -> Result<Claim, StoreError> {
        let (claim, sign) = self.write(|db| {
            let (epoch, from) = db.lock()?;
            let alive = from.as_ref().map_or(Ok(false), |lock| place::lives(&self.dir, lock.epoch))?;
            if let Some(lock) = from.as_ref().filter(|_| alive && !take_over) {
                return Err(StoreError::Locked(lock.clone()));
            }
            let epoch = epoch + 1;
            let sign = place::live(&self.dir, epoch)?;
            let lock = Lock { epoch, holder: holder.into(), reason: reason.into(), since: now };
            db.set_lock(epoch, Some(&lock))?;
            let text = taken(reason, from.as_ref(), alive);
            let note = |text| Record::Note { by: holder.into(), text };
            let ended = self.firm.iter().flat_map(Firm::ended);
            let notes: Vec<Record> = [text].into_iter().chain(ended).map(note).collect();
            db.write(now, epoch, &notes, Trace::All)?;
            Ok((Claim { epoch, took_over_from: from, alive }, sign))
        })?;
        self.held = Some((claim.epoch, sign));
        if let Some(lock) = &claim.took_over_from {
            place::forget(&self.dir, lock.epoch);
        }
        Ok(claim)
    }

    fn release_lock(&mut self, now: Time, epoch: u64) -> Result<(), StoreError> {
        self.write(|db| {
            let lock = self.ours(db, epoch)?;
            db.set_lock(epoch, None)?;
            db.write(now, epoch, &[Record::Note { by: lock.holder, text: RELEASED.into() }], Trace::All)
        })?;
        place::forget(&self.dir, epoch);
        self.held = None;
        Ok(())
    }

    fn holder_lives(&self) -> Result<bool, StoreError> {
        let (_, lock) = self.read(|db| db.lock())?;
        lock.map_or(Ok(false), |lock| place::lives(&self.dir, lock.epoch))
    }

    fn append(&mut self, now: Time, epoch: u64, records: &[Record]) -> Result<(), StoreError> {
        self.write(|db| {
            self.ours(db, epoch)?;
            db.write(now, epoch, records, Trace::All)
        })
    }

    fn note(&mut self, now: Time, looked_under: u64, records: &[Record]) -> Result<(), StoreError> {
        only_notes(records)?;
        self.write(|db| {
            let (epoch, lock) = db.lock()?;
            let records = still_true(records, looked_under == epoch && lock.is_none());
            db.write(now, epoch, &records, Trace::News)
        })
    }

    fn events(&self, after: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.read(|db| db.events(after, limit))
    }

    fn signatures(&self, since: Time) -> Result<BTreeMap<String, Time>, StoreError> {
        self.read(|db| db.signatures(since))
    }

    fn head(&self) -> Result<Verified, StoreError> {
        self.read_whole(|db| Ok(Verified { events: db.meta("events")?, head: db.meta("head")? }))
    }

    fn verify(&self) -> Result<Verified, StoreError> {
        self.read_whole(|db| {
            self.quick_check(db)?;
            let verified = db.walk()?;
            db.check_all_rows()?;
            Ok(verified)
        })
    }
}

impl SqliteStore {
    /// SQLite's own look at its pages and at our constraints.
    fn quick_check(&self, db: Db<'_>) -> Result<(), StoreError> {
        db.each("PRAGMA quick_check(1)", [], |found, _| match found.as_str() {
            "ok" => Ok(()),
            _ => Err(StoreError::Damaged { path: self.path.clone(), why: found }),
        })?;
        db.each("PRAGMA foreign_key_check", [], |table, row| {
            let id = row.get_ref(1).map(key).unwrap_or_default();
            Err(StoreError::Damaged { path: self.path.clone(), why: format!("{table} {id} names a row that is gone") })
        })
    }
}
