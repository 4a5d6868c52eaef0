//! The books in PostgreSQL, shared by several deploy hosts.
//!
//! Invariants. Who writes holds the epoch's row (`SELECT ... FOR UPDATE`) from the beginning of its transaction to its
//! end, so writers follow each other and an older epoch is refused as in SQLite. Everything read in one call is of one
//! moment. A connection that is lost while we act stays lost: what follows could not know what was written meanwhile.
//! The server ends a session that stands still within a transaction, so a deploy host that was stopped or cut off
//! keeps nobody out for long. No error and no output has a part of the password ([`address`]).
//!
//! Content, stat indexes and signs of life stay on each deploy host, in the directory of the books.

pub mod address;
mod line;
mod tables;
mod tls;

use super::backend::{Access, Backend, Each, Value};
use super::error::StoreError;
use super::place::{self, Signs};
use super::rows::{Db, key};
use super::schema::FORM;
use super::sqlite::random_id;
use super::sqlstore::SqlStore;
use super::{Store, chain};
use crate::config::policy::StorePolicy;
use crate::model::ids::BooksId;
use crate::model::limits::{BOOKS_BUSY_MS_MAX, BOOKS_STANDSTILL_MS_MAX, BOOKS_STATEMENT_MS_MAX};
use address::Target;
use line::{Failure, Line};
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::sync::Arc;

/// A server's database with the books, and a connection to it.
#[derive(Debug)]
struct Postgres {
    target: Arc<Target>,
    line: RefCell<Line>,
    form: Cell<i64>,
    read_only: bool,
}

/// Opens the books to read and write; makes them when `create` and there are none. Signs of life lie in `dir`.
pub fn open(dir: &Path, at: &StorePolicy, create: bool) -> Result<SqlStore, StoreError> {
    place::check(dir, true)?;
    let postgres = Postgres::connect(at, false)?;
    match (postgres.is_made()?, create) {
        (true, _) => postgres.upgrade()?,
        (false, true) => postgres.make(random_id()?, 0)?,
        (false, false) => return Err(postgres.none()),
    }
    postgres.store(dir)
}

/// Opens the books to look only.
pub fn open_read_only(dir: &Path, at: &StorePolicy) -> Result<SqlStore, StoreError> {
    let postgres = Postgres::connect(at, true)?;
    match postgres.is_made()? {
        true => postgres.store(dir),
        false => Err(postgres.none()),
    }
}

/// Begins new books for a fleet that knows the id, above every epoch it may have seen. Damaged books are set aside
/// under another name; [`StoreError::Exists`] when the books there can be read.
pub fn rebuild(dir: &Path, at: &StorePolicy, id: BooksId, epoch_floor: u64) -> Result<SqlStore, StoreError> {
    place::check(dir, true)?;
    let found = open_read_only(dir, at).and_then(|store| store.load());
    let postgres = Postgres::connect(at, false)?;
    match found {
        Ok(_) => return Err(StoreError::Exists(postgres.target.server().into())),
        Err(StoreError::NoBooks(_)) => {}
        Err(e) if e.is_damage() => postgres.set_aside()?,
        Err(e) => return Err(e),
    }
    postgres.make(id, epoch_floor)?;
    postgres.store(dir)
}

impl Postgres {
    fn connect(at: &StorePolicy, read_only: bool) -> Result<Self, StoreError> {
        let target = Arc::new(address::target(at)?);
        let line = RefCell::new(Line::closed());
        let postgres = Self { target, line, form: Cell::new(0), read_only };
        postgres.dial()?;
        Ok(postgres)
    }

    /// A new connection, with every setting that one needs.
    fn dial(&self) -> Result<(), StoreError> {
        let line = Line::open(Arc::clone(&self.target)).map_err(|failure| self.failed(failure))?;
        self.line.replace(line);
        let settings = format!(
            "SET statement_timeout = {BOOKS_STATEMENT_MS_MAX}; SET lock_timeout = {BOOKS_BUSY_MS_MAX};
             SET idle_in_transaction_session_timeout = {BOOKS_STANDSTILL_MS_MAX}; SET synchronous_commit = on;
             SET search_path = pointsman, pg_temp; SET client_min_messages = warning;
             SET default_transaction_read_only = {}",
            if self.read_only { "on" } else { "off" }
        );
        self.batch(settings)?;
        self.rows("SELECT current_setting('server_encoding')", &[], &mut |row| match row.first() {
            Some(Value::Text(encoding)) if encoding != "UTF8" => {
                Err(self.failed(Failure::Said(format!("its encoding is {encoding}; books need UTF8"))))
            }
            _ => Ok(()),
        })
    }

    fn store(self, dir: &Path) -> Result<SqlStore, StoreError> {
        let id = Db { backend: &self }.id()?;
        let read_only = self.read_only;
        Ok(SqlStore::new(Box::new(self), Signs::shared(dir, id), read_only))
    }

    /// Whether the database has books; an error when they are newer than this program.
    fn is_made(&self) -> Result<bool, StoreError> {
        let mut made = false;
        self.rows("SELECT to_regclass('pointsman.meta')::text", &[], &mut |row| {
            made = matches!(row, [Value::Text(_)]);
            Ok(())
        })?;
        if !made {
            return Ok(false);
        }
        let have: i64 = Db { backend: self }.meta("form")?;
        self.form.set(have);
        match have {
            1..=FORM => Ok(true),
            have if have > FORM => Err(StoreError::Newer { path: self.target.server().into(), have, known: FORM }),
            _ => Err(self.damaged("not books of pointsman".to_owned())),
        }
    }

    /// Does `change` while nobody else makes or changes tables, in one transaction.
    fn alone(&self, change: impl FnOnce() -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.batch("BEGIN".to_owned())?;
        let changed = self.ask(tables::ALONE, &[]).and_then(|_| change());
        match changed {
            Ok(()) => self.commit(),
            Err(error) => {
                self.abandon();
                Err(error)
            }
        }
    }

    /// Makes empty books, unless another process just did.
    fn make(&self, id: BooksId, epoch: u64) -> Result<(), StoreError> {
        self.alone(|| {
            if self.is_made()? {
                return Ok(());
            }
            self.batch(tables::TABLES.to_owned())?;
            tables::STEPS.iter().try_for_each(|(_, sql)| self.batch((*sql).to_owned()))?;
            let head = chain::origin(id).to_string();
            let entries =
                [("books", id.to_string()), ("head", head), ("events", "0".to_owned()), ("form", FORM.to_string())];
            for (key, value) in entries {
                self.run("INSERT INTO meta (key, value) VALUES (?1, ?2)", &[key.into(), value.into()])?;
            }
            self.run("INSERT INTO lock (one, epoch, body) VALUES (1, ?1, NULL)", &[epoch.into()])?;
            self.form.set(FORM);
            Ok(())
        })
    }

    /// Brings books of an earlier form to this one.
    fn upgrade(&self) -> Result<(), StoreError> {
        if self.form.get() == FORM {
            return Ok(());
        }
        self.alone(|| {
            // Another process may have done it meanwhile.
            self.is_made()?;
            let have = self.form.get();
            for (_, sql) in tables::STEPS.iter().filter(|(from, _)| *from >= have) {
                self.batch((*sql).to_owned())?;
            }
            self.run("UPDATE meta SET value = ?1 WHERE key = 'form'", &[FORM.to_string().into()])?;
            self.form.set(FORM);
            Ok(())
        })
    }

    /// Moves damaged books out of the way, to a name that is free; nothing is deleted.
    fn set_aside(&self) -> Result<(), StoreError> {
        self.alone(|| {
            let mut taken = 0_u64;
            self.rows(tables::SET_ASIDE, &[], &mut |row| {
                taken = row.first().map(key).and_then(|n| n.parse().ok()).unwrap_or(taken);
                Ok(())
            })?;
            // A name can't be bound; this one is ours and a number.
            self.batch(format!("ALTER SCHEMA pointsman RENAME TO pointsman_damaged_{}", taken + 1))
        })
    }

    fn none(&self) -> StoreError {
        StoreError::NoBooks(self.target.server().into())
    }

    fn damaged(&self, why: String) -> StoreError {
        StoreError::Damaged { path: self.target.server().into(), why }
    }

    fn failed(&self, failure: Failure) -> StoreError {
        let server = self.target.server().to_owned();
        match failure {
            Failure::Lost(why) => StoreError::Lost { server, why },
            Failure::Busy => StoreError::ServerBusy(server),
            Failure::Missing(why) => self.damaged(why),
            Failure::Said(why) => StoreError::Server { server, why },
        }
    }

    fn batch(&self, sql: String) -> Result<(), StoreError> {
        self.line.borrow_mut().batch(sql).map_err(|failure| self.failed(failure))
    }

    fn ask(&self, sql: &'static str, values: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        self.line.borrow_mut().ask(sql, values).map_err(|failure| self.failed(failure))
    }
}

impl Backend for Postgres {
    fn begin(&self, access: Access, anew: bool) -> Result<(), StoreError> {
        let begin = match access {
            Access::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            Access::Write => "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE",
        };
        match self.batch(begin.to_owned()) {
            Err(StoreError::Lost { .. }) if anew => {
                self.dial()?;
                self.batch(begin.to_owned())?;
            }
            begun => begun?,
        }
        if access == Access::Write {
            self.ask("SELECT one FROM lock WHERE one = 1 FOR UPDATE", &[]).inspect_err(|_| self.abandon())?;
        }
        Ok(())
    }

    fn commit(&self) -> Result<(), StoreError> {
        self.batch("COMMIT".to_owned())
    }

    fn abandon(&self) {
        let _ = self.batch("ROLLBACK".to_owned());
    }

    fn run(&self, sql: &'static str, values: &[Value]) -> Result<(), StoreError> {
        self.ask(sql, values).map(drop)
    }

    fn rows(&self, sql: &'static str, values: &[Value], each: Each<'_>) -> Result<(), StoreError> {
        self.ask(sql, values)?.iter().try_for_each(|row| each(row))
    }

    fn form(&self) -> Result<i64, StoreError> {
        Ok(self.form.get())
    }

    /// The server keeps its own constraints and cannot be asked for its pages; the chain of events is what is verified.
    fn sound(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
