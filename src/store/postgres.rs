//! The books in PostgreSQL, shared by several deploy hosts.
//!
//! Invariants. Who writes holds the epoch's row (`SELECT ... FOR UPDATE`) from the beginning of its transaction to its
//! end, so writers follow each other and an older epoch is refused as in SQLite. Everything read in one call is of one
//! moment. A connection that is lost while we act stays lost: what follows could not know what was written meanwhile.
//! The server ends a session that stands still within a transaction, so a deploy host that was stopped or cut off
//! keeps nobody out for long. No error and no output has a part of the password ([`address`]).
//!
//! Content, stat indexes, signs of life and the note of the last event stay on each deploy host, in the directory of the
//! books. The note is what tells a server that was restored, or a replica that lagged behind: each deploy host refuses
//! books without the last event that it saw. Books that another deploy host began anew have a name of their own (`begun`)
//! and a newer epoch, and are taken.

pub mod address;
mod line;
mod tables;
mod tls;

use super::backend::{Access, Backend, Each, Value};
use super::chain;
use super::columns::key;
use super::error::StoreError;
use super::place::{self, Note, Signs};
use super::rows::Db;
use super::schema::FORM;
use super::sqlstore::{SqlStore, make_room, random_id};
use crate::config::policy::StorePolicy;
use crate::model::ids::BooksId;
use crate::model::limits::{BOOKS_BUSY_MS_MAX, BOOKS_STANDSTILL_MS_MAX, BOOKS_STATEMENT_MS_MAX};
use address::Target;
use line::{Ask, Change, Failure, Line};
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A server's database with the books, and a connection to it.
#[derive(Debug)]
struct Postgres {
    target: Arc<Target>,
    line: RefCell<Line>,
    form: Cell<i64>,
    read_only: bool,
    /// Statements of a transaction that change rows. Nobody waits for their answers one by one: they go out together
    /// with what asks next, or with its end, which fails where one of them did.
    later: RefCell<Vec<Change>>,
}

/// Opens the books to read and write; makes them when `create` and there are none. Signs of life lie in `dir`.
pub fn open(dir: &Path, at: &StorePolicy, create: bool) -> Result<SqlStore, StoreError> {
    place::check(dir, true)?;
    let postgres = Postgres::connect(at, false)?;
    match (postgres.is_made()?, create) {
        (true, _) => postgres.upgrade()?,
        (false, true) if Note::shared(dir).read().is_none() => postgres.make(random_id()?, 0)?,
        (false, _) => return Err(postgres.none(dir)),
    }
    postgres.store(dir)
}

/// Opens the books to look only.
pub fn open_read_only(dir: &Path, at: &StorePolicy) -> Result<SqlStore, StoreError> {
    let postgres = Postgres::connect(at, true)?;
    match postgres.is_made()? {
        true => postgres.store(dir),
        false => Err(postgres.none(dir)),
    }
}

/// Begins new books for a fleet that knows the id, above every epoch it may have seen and this machine saw. Damaged books
/// are set aside under another name; [`StoreError::Exists`] when the books there can be read.
pub fn rebuild(dir: &Path, at: &StorePolicy, id: BooksId, epoch_floor: u64) -> Result<SqlStore, StoreError> {
    place::check(dir, true)?;
    let seen = Note::shared(dir).read().and_then(|head| head.shared).map_or(0, |(_, epoch)| epoch);
    make_room(open_read_only(dir, at), || set_aside(dir, at))?;
    let postgres = Postgres::connect(at, false)?;
    postgres.make(id, epoch_floor.max(seen))?;
    postgres.store(dir)
}

/// Moves the books out of the way, to a name that is free, and this machine's note of them; nothing is deleted.
pub fn set_aside(dir: &Path, at: &StorePolicy) -> Result<(), StoreError> {
    Postgres::connect(at, false)?.set_aside()?;
    Note::shared(dir).set_aside()
}

impl Postgres {
    fn connect(at: &StorePolicy, read_only: bool) -> Result<Self, StoreError> {
        let target = Arc::new(address::target(at)?);
        let line = RefCell::new(Line::closed());
        let postgres = Self { target, line, form: Cell::new(0), read_only, later: RefCell::default() };
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
        let id = self.db().id()?;
        let read_only = self.read_only;
        Ok(SqlStore::new(Box::new(self), Note::shared(dir), Signs::shared(dir, id), read_only))
    }

    fn db(&self) -> Db<'_> {
        Db { backend: self, form: self.form.get(), known: None }
    }

    /// Whether the database has books; an error when they are newer than this program.
    fn is_made(&self) -> Result<bool, StoreError> {
        if !self.has("SELECT to_regclass('pointsman.meta')::text")? {
            return Ok(false);
        }
        let have: i64 = self.db().meta_value("form")?;
        self.form.set(have);
        match have {
            // Or one wrong digit would turn the comparison with the sums off.
            1..4 if self.has("SELECT to_regclass('pointsman.sums')::text")? => {
                Err(self.damaged(format!("they have sums, which form {have} has not")))
            }
            1..=FORM => Ok(true),
            have if have > FORM => Err(StoreError::Newer { path: self.path(), have, known: FORM }),
            _ => Err(self.damaged("not books of pointsman".to_owned())),
        }
    }

    /// Whether a table is there, by a question for its name.
    fn has(&self, name: &'static str) -> Result<bool, StoreError> {
        let mut found = false;
        self.rows(name, &[], &mut |row| {
            found = matches!(row, [Value::Text(_)]);
            Ok(())
        })?;
        Ok(found)
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
            self.begin_sums()
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
            if have < 4 { self.begin_sums() } else { Ok(()) }
        })
    }

    /// Sums all rows; the last step to form 4.
    fn begin_sums(&self) -> Result<(), StoreError> {
        self.form.set(FORM);
        let begun = random_id()?.to_string();
        self.run("INSERT INTO meta (key, value) VALUES ('begun', ?1)", &[begun.into()])?;
        self.db().fill_sums()
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

    /// There are none; or none any more, when this machine saw some.
    fn none(&self, dir: &Path) -> StoreError {
        let note = Note::shared(dir);
        match note.read() {
            Some(head) => StoreError::Lost { dir: self.path(), note: note.path().to_owned(), events: head.events },
            None => StoreError::NoBooks(self.path()),
        }
    }

    fn damaged(&self, why: String) -> StoreError {
        StoreError::Damaged { path: self.path(), why }
    }

    fn failed(&self, failure: Failure) -> StoreError {
        let server = self.target.server().to_owned();
        match failure {
            Failure::Lost(why) => StoreError::CutOff { server, why },
            Failure::Busy => StoreError::ServerBusy(server),
            Failure::Missing(why) => self.damaged(why),
            Failure::Said(why) => StoreError::Server { server, why },
        }
    }

    fn batch(&self, sql: String) -> Result<(), StoreError> {
        self.answered(Ask::Batch(sql)).map(drop)
    }

    fn ask(&self, sql: &'static str, values: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        self.answered(Ask::Statement(sql, values.to_vec()))
    }

    fn answered(&self, ask: Ask) -> Result<Vec<Vec<Value>>, StoreError> {
        let before = self.later.take();
        self.line.borrow_mut().answer(before, ask).map_err(|failure| self.failed(failure))
    }
}

impl Backend for Postgres {
    fn begin(&self, access: Access, anew: bool) -> Result<(), StoreError> {
        // Who writes has the epoch's row from here on to the end.
        let begin = match access {
            Access::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            Access::Write => {
                "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE; SELECT one FROM lock WHERE one = 1 FOR UPDATE"
            }
        };
        let begun = match self.batch(begin.to_owned()) {
            Err(StoreError::CutOff { .. }) if anew => self.dial().and_then(|()| self.batch(begin.to_owned())),
            begun => begun,
        };
        begun.inspect_err(|_| self.abandon())
    }

    fn commit(&self) -> Result<(), StoreError> {
        self.batch("COMMIT".to_owned())
    }

    fn abandon(&self) {
        self.later.take();
        let _ = self.batch("ROLLBACK".to_owned());
    }

    fn run(&self, sql: &'static str, values: &[Value]) -> Result<(), StoreError> {
        self.later.borrow_mut().push((sql, values.to_vec()));
        Ok(())
    }

    fn rows(&self, sql: &'static str, values: &[Value], each: Each<'_>) -> Result<(), StoreError> {
        self.ask(sql, values)?.iter().try_for_each(|row| each(row))
    }

    fn all(&self, sql: &'static str, each: Each<'_>) -> Result<(), StoreError> {
        self.batch(format!("DECLARE everything NO SCROLL CURSOR FOR {sql}"))?;
        loop {
            let page = self.answered(Ask::Page(tables::PAGE))?;
            if page.is_empty() {
                return self.batch("CLOSE everything".to_owned());
            }
            page.iter().try_for_each(|row| each(row))?;
        }
    }

    fn form(&self) -> Result<i64, StoreError> {
        Ok(self.form.get())
    }

    fn begun(&self) -> Result<Option<BooksId>, StoreError> {
        let text: String = self.db().meta("begun")?;
        BooksId::try_from(text).map(Some).map_err(|e| StoreError::row("meta", "begun", e))
    }

    fn hang_up(&self) {
        self.line.replace(Line::closed());
    }

    fn declarations(&self) -> &'static str {
        tables::DECLARED
    }

    fn path(&self) -> PathBuf {
        self.target.server().into()
    }

    /// The server keeps its own constraints and cannot be asked for its pages; the chain of events is what is verified.
    fn sound(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
