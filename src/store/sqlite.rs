//! The books in SQLite: WAL and `synchronous=FULL` while a command acts, a plain closed file at rest.
//!
//! At rest the file is in rollback-journal mode, so that a command that only looks opens it without a `-wal` or `-shm`
//! beside it: not one byte of the directory changes (P15). While somebody writes, such a command reads the writer's
//! WAL; after a crash it reads the WAL that was left behind, without recovering it. The reader keeps the WAL's index
//! in its own memory for that (`readonly_shm`, <https://www.sqlite.org/wal.html#read_only_databases>).

use super::chain::{Link, Walk};
use super::error::StoreError;
use super::rows::{Db, Trace, key, text};
use super::writer::{self, Firm};
use super::{Claim, RELEASED, Store, StoredEvent, Verified, only_notes, place, schema, still_true, taken};
use crate::model::books::{Books, Lock, Record, Rollout, Snapshot};
use crate::model::digest::Digest;
use crate::model::ids::{BooksId, Generation, RolloutId, SnapshotId};
use crate::model::limits::{BOOKS_BUSY_MS_MAX, BOOKS_EVENTS_MAX, BOOKS_GRACE_MS, BOOKS_RECENT_MAX};
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
            Err(e) if e.is_damage() => place::set_aside(dir)?,
            Err(e) => return Err(e),
        }
        Self::prepare(dir, Some((id, epoch_floor)), firm)
    }

    /// Opens the books in `dir` to look only: nothing in the directory changes unless somebody else writes there.
    pub fn open_read_only(dir: &Path) -> Result<Self, StoreError> {
        place::check(dir, false)?;
        let path = place::open_file(dir, false)?;
        let quiet = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI, "readonly_shm=1");
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
        let path = place::open_file(dir, new.is_some())?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI;
        let mut connection = connect(&path, flags, "mode=rw")?;
        if firm.is_some() {
            let grace = connection.busy_timeout(Duration::from_millis(BOOKS_GRACE_MS));
            grace.map_err(|e| StoreError::sqlite(&path, e))?;
            writer::past(&path, firm.as_ref(), || connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK"))?;
        }
        let is_made = schema::is_made(&connection, &path)?;
        write_ahead(&connection).map_err(|e| StoreError::sqlite(&path, e))?;
        match (is_made, new) {
            (true, _) => schema::upgrade(&mut connection, &path)?,
            (false, Some((id, epoch))) => schema::make(&mut connection, &path, id, epoch)?,
            (false, None) => return Err(StoreError::NoBooks(dir.to_owned())),
        }
        Ok(Self::new(connection, dir, path, false, firm))
    }

    /// The directory that it was opened in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn db<'a>(&'a self, connection: &'a Connection) -> Db<'a> {
        Db { connection, path: &self.path }
    }

    /// Reads within one transaction, so that all of it is of one moment.
    fn read<T>(&self, read: impl FnOnce(Db<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let tx = self.connection.unchecked_transaction().map_err(|e| StoreError::sqlite(&self.path, e))?;
        // The first look into the file is what begins the transaction, and what others can keep us from.
        self.past(|| tx.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())))?;
        read(self.db(&tx))
    }

    /// Writes within one transaction that nobody else writes beside; an error leaves everything as it was.
    fn write<T>(&self, write: impl FnOnce(Db<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        let tx = self.past(|| Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate))?;
        let written = write(self.db(&tx))?;
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

/// A connection with every setting that one connection needs. `parameters` are of SQLite's URI form.
fn connect(path: &Path, flags: OpenFlags, parameters: &str) -> Result<Connection, StoreError> {
    use std::os::unix::ffi::OsStrExt;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
    let escaped = |b: &u8| if plain(*b) { char::from(*b).to_string() } else { format!("%{b:02x}") };
    let name: String = path.as_os_str().as_bytes().iter().map(escaped).collect();
    let open = || {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(format!("file:{name}?{parameters}"), flags)?;
        connection.busy_timeout(Duration::from_millis(BOOKS_BUSY_MS_MAX))?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        Ok(connection)
    };
    open().map_err(|e| StoreError::sqlite(path, e))
}

/// The connection, when its file has books in it.
fn made(connection: Connection, dir: &Path, path: &Path) -> Result<Connection, StoreError> {
    match schema::is_made(&connection, path)? {
        true => Ok(connection),
        false => Err(StoreError::NoBooks(dir.to_owned())),
    }
}

/// A connection that only looks, in SQLite's own way, which may leave an empty `-wal` and `-shm`.
fn looking(dir: &Path, path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    made(connect(path, flags, "mode=ro")?, dir, path)
}

/// Turns the write-ahead log on. A reader that has the file open at rest just now forbids that: then this command
/// writes through a rollback journal, which is as durable.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    match connection.pragma_update(None, "journal_mode", "WAL") {
        Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(()),
        done => done,
    }
}

/// A column of an event's row.
fn column<T: rusqlite::types::FromSql>(seq: &str, row: &Row<'_>, name: &str) -> Result<T, StoreError> {
    row.get(name).map_err(|e| StoreError::row("events", seq, e))
}

/// An event's row: when, in which epoch, the record's text, and the hashes before and after.
fn event(seq: &str, row: &Row<'_>) -> Result<(StoredAs, [Digest; 2]), StoreError> {
    let number = seq.parse().map_err(|e: std::num::ParseIntError| StoreError::row("events", seq, e))?;
    let record = row.get_ref("record").map_err(|e| StoreError::row("events", seq, e))?;
    let stored = StoredAs {
        seq: number,
        at: Time(column(seq, row, "at_ms")?),
        epoch: column(seq, row, "epoch")?,
        record: text("events", seq, record)?.to_owned(),
    };
    let hashes = [column(seq, row, "prev")?, column(seq, row, "hash")?];
    Ok((stored, hashes.map(Digest::from_bytes)))
}

/// An event as its row has it.
struct StoredAs {
    seq: u64,
    at: Time,
    epoch: u64,
    record: String,
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
        self.read(|db| db.load(self.recent_max))
    }

    fn snapshot(&self, id: SnapshotId) -> Result<Option<Snapshot>, StoreError> {
        self.read(|db| db.snapshot(id))
    }

    fn rollout(&self, id: RolloutId) -> Result<Option<Rollout>, StoreError> {
        self.read(|db| db.rollout(id))
    }

    fn rollouts(&self, limit: usize) -> Result<Vec<Rollout>, StoreError> {
        self.read(|db| db.rollouts("SELECT id, body FROM rollouts ORDER BY id DESC LIMIT ?1", [limit]))
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
        const EVENTS: &str = "SELECT seq, at_ms, epoch, record, prev, hash FROM events
            WHERE seq > ?1 ORDER BY seq LIMIT ?2";
        let mut events = Vec::new();
        let push = |key: String, row: &Row<'_>| {
            let (stored, [_, hash]) = event(&key, row)?;
            let record = serde_json::from_str(&stored.record).map_err(|e| StoreError::row("events", &key, e))?;
            events.push(StoredEvent { seq: stored.seq, at: stored.at, epoch: stored.epoch, record, hash });
            Ok(())
        };
        self.read(|db| db.each(EVENTS, (after, limit.min(BOOKS_EVENTS_MAX)), push))?;
        Ok(events)
    }

    fn signatures(&self, since: Time) -> Result<BTreeMap<String, Time>, StoreError> {
        self.read(|db| db.signatures(since))
    }

    fn verify(&self) -> Result<Verified, StoreError> {
        self.read(|db| {
            self.quick_check(db)?;
            let mut walk = Walk::new(db.id()?);
            db.each("SELECT seq, at_ms, epoch, record, prev, hash FROM events ORDER BY seq", [], |key, row| {
                let (stored, [before, hash]) = event(&key, row)?;
                let link = Link { seq: stored.seq, at: stored.at, epoch: stored.epoch, record: &stored.record };
                walk.step(link, before, hash)
            })?;
            walk.end(db.meta("events")?, db.meta("head")?)
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
