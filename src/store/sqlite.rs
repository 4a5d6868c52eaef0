//! The books in SQLite: WAL and `synchronous=FULL` while a command acts, a plain closed file at rest.
//!
//! At rest the file is in rollback-journal mode, so that a command that only looks opens it without a `-wal` or `-shm`
//! beside it: not one byte of the directory changes (P15). While somebody writes, such a command reads the writer's
//! WAL; after a crash it reads the WAL that was left behind, without recovering it. The reader keeps the WAL's index
//! in its own memory for that (`readonly_shm`, <https://www.sqlite.org/wal.html#read_only_databases>).

use super::backend::{Access, Backend, Each, Value};
use super::error::StoreError;
use super::place::{Note, Signs};
use super::rows::Db;
use super::sqlstore::{SqlStore, make_room, random_id};
use super::writer::{self, Firm};
use super::{place, schema};
use crate::model::ids::BooksId;
use crate::model::limits::{BOOKS_BUSY_MS_MAX, BOOKS_GRACE_MS};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, params_from_iter};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// SQLite's file, opened.
#[derive(Debug)]
struct Sqlite {
    connection: Connection,
    path: PathBuf,
    read_only: bool,
    /// Set when whoever stands in the way is ended.
    firm: Option<Firm>,
}

/// Opens the books in `dir` to read and write; makes them when `create` and there are none.
pub fn open(dir: &Path, create: bool) -> Result<SqlStore, StoreError> {
    open_as(dir, create, None)
}

/// The same; where a command is `firm`, whoever keeps it out of the file is ended.
pub fn open_as(dir: &Path, create: bool, firm: Option<Firm>) -> Result<SqlStore, StoreError> {
    prepare(dir, create.then(random_id).transpose()?.map(|id| (id, 0)), firm)
}

/// Begins new books for a fleet that knows the id, above every epoch it may have seen. Damaged books are set aside
/// under another name; [`StoreError::Exists`] when the books there can be read.
pub fn rebuild(dir: &Path, id: BooksId, epoch_floor: u64, firm: Option<Firm>) -> Result<SqlStore, StoreError> {
    make_room(open_as(dir, false, firm.clone()), || place::set_aside(dir))?;
    prepare(dir, Some((id, epoch_floor)), firm)
}

/// Opens the books in `dir` to look only: nothing in the directory changes unless somebody else writes there.
pub fn open_read_only(dir: &Path) -> Result<SqlStore, StoreError> {
    place::check(dir, false)?;
    let path = file(dir, false)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let quiet = connect(&path, flags, "readonly_shm=1", None);
    let connection = match quiet.and_then(|c| made(c, dir, &path)) {
        // The header says WAL and there is none, or a writer is just beginning one: then SQLite needs its own way.
        Err(StoreError::Unfinished(_)) => looking(dir, &path)?,
        Err(StoreError::Sqlite { source, .. }) if source.sqlite_error_code() == Some(ErrorCode::CannotOpen) => {
            looking(dir, &path)?
        }
        opened => opened?,
    };
    let backend = Sqlite { connection, path, read_only: true, firm: None };
    Ok(SqlStore::new(Box::new(backend), Note::alone(dir), Signs::alone(dir), true))
}

fn prepare(dir: &Path, new: Option<(BooksId, u64)>, firm: Option<Firm>) -> Result<SqlStore, StoreError> {
    place::check(dir, new.is_some())?;
    let path = file(dir, new.is_some())?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI;
    let connection = connect(&path, flags, "mode=rw", firm.as_ref())?;
    if firm.is_some() {
        writer::past(&path, firm.as_ref(), || connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK"))?;
    }
    let is_made = is_made(&connection, dir, &path)?;
    write_ahead(&connection).map_err(|e| StoreError::sqlite(&path, e))?;
    let backend = Sqlite { connection, path, read_only: false, firm };
    let (connection, path) = (&backend.connection, &backend.path);
    let sum = || Db { backend: &backend, form: schema::FORM, known: None }.fill_sums();
    match (is_made, new) {
        (true, _) => schema::upgrade(connection, path, sum)?,
        (false, Some(new)) => schema::make(connection, path, new, sum)?,
        (false, None) => return Err(StoreError::NoBooks(dir.to_owned())),
    }
    Ok(SqlStore::new(Box::new(backend), Note::alone(dir), Signs::alone(dir), false))
}

/// The database's file. Where there were books and are none now, none are begun in their place.
fn file(dir: &Path, create: bool) -> Result<PathBuf, StoreError> {
    let noted = Note::alone(dir).read();
    match (place::open_file(dir, create && noted.is_none()), noted) {
        (Err(StoreError::NoBooks(_)), Some(head)) => Err(lost(dir, head.events)),
        (opened, _) => opened,
    }
}

fn lost(dir: &Path, events: u64) -> StoreError {
    StoreError::Lost { dir: dir.to_owned(), note: Note::alone(dir).path().to_owned(), events }
}

/// Sums the rows of a file anew, as a careful hand could.
#[cfg(test)]
pub(super) fn sum_anew(path: &Path) -> Result<(), StoreError> {
    let connection = Connection::open(path).map_err(|e| StoreError::sqlite(path, e))?;
    let backend = Sqlite { connection, path: path.to_owned(), read_only: true, firm: None };
    Db { backend: &backend, form: schema::FORM, known: None }.fill_sums()
}

impl Sqlite {
    fn past<T>(&self, attempt: impl FnMut() -> rusqlite::Result<T>) -> Result<T, StoreError> {
        writer::past(&self.path, self.firm.as_ref(), attempt)
    }

    fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError::sqlite(&self.path, error)
    }

    fn damaged(&self, why: String) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), why }
    }
}

impl Drop for Sqlite {
    /// Back to rest, when nobody else has the file open. What fails here is done by who closes it later.
    fn drop(&mut self) {
        if !self.read_only {
            self.closing();
            let _ = self.connection.pragma_update(None, "journal_mode", "DELETE");
        }
    }
}

impl Backend for Sqlite {
    fn begin(&self, access: Access, _anew: bool) -> Result<(), StoreError> {
        if access == Access::Write {
            return self.past(|| self.connection.execute_batch("BEGIN IMMEDIATE"));
        }
        self.connection.execute_batch("BEGIN").map_err(|e| self.failed(e))?;
        // The first look into the file is what begins the transaction, and what others can keep us from.
        let looked = self.past(|| self.connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())));
        looked.inspect_err(|_| self.abandon())
    }

    fn commit(&self) -> Result<(), StoreError> {
        // Without a log, who reads can keep it from being committed; it then stands and can be committed again.
        self.past(|| self.connection.execute_batch("COMMIT"))
    }

    fn abandon(&self) {
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    fn run(&self, sql: &'static str, values: &[Value]) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|e| self.failed(e))?;
        statement.execute(params_from_iter(values)).map(drop).map_err(|e| self.failed(e))
    }

    fn rows(&self, sql: &'static str, values: &[Value], each: Each<'_>) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|e| self.failed(e))?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(values)).map_err(|e| self.failed(e))?;
        while let Some(row) = rows.next().map_err(|e| self.failed(e))? {
            let values: Result<Vec<Value>, _> = (0..columns).map(|n| row.get_ref(n).map(value)).collect();
            each(&values.map_err(|e| self.failed(e))?)?;
        }
        Ok(())
    }

    fn form(&self) -> Result<i64, StoreError> {
        schema::form(&self.connection).map_err(|e| self.failed(e))
    }

    fn sound(&self) -> Result<(), StoreError> {
        self.rows("PRAGMA quick_check(1)", &[], &mut |row| match row {
            [Value::Text(found)] if found == "ok" => Ok(()),
            [found, ..] => Err(self.damaged(super::columns::key(found))),
            [] => Ok(()),
        })?;
        self.rows("PRAGMA foreign_key_check", &[], &mut |row| {
            let [table, id] = [0, 1].map(|n| row.get(n).map(super::columns::key).unwrap_or_default());
            Err(self.damaged(format!("{table} {id} names a row that is gone")))
        })
    }

    fn notes(&self) -> Vec<String> {
        self.firm.iter().flat_map(Firm::ended).collect()
    }

    fn declarations(&self) -> &'static str {
        "SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema"
    }

    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    fn place(&self) -> PathBuf {
        self.path.parent().unwrap_or(&self.path).to_owned()
    }

    fn closing(&self) {
        let _ = self.connection.busy_timeout(Duration::ZERO);
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Value::Null => Ok(ToSqlOutput::Borrowed(ValueRef::Null)),
            Value::Int(number) => number.to_sql(),
            Value::Text(text) => text.to_sql(),
            Value::Bytes(bytes) => bytes.to_sql(),
        }
    }
}

/// A column as it is; what has no place in the books becomes a text that no number is read from.
fn value(column: ValueRef<'_>) -> Value {
    match column {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => u64::try_from(n).map_or_else(|_| Value::Text(n.to_string()), Value::Int),
        ValueRef::Real(n) => Value::Text(n.to_string()),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Bytes(bytes.to_owned()),
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_owned()),
    }
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
    match (schema::is_made(connection, path)?, Note::alone(dir).read()) {
        (false, Some(head)) => Err(lost(dir, head.events)),
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
