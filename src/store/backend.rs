//! What the rows of the books ask of a database, so that SQLite and PostgreSQL keep the same ones.
//!
//! Statements are written once, in what both understand, and are constants: every value is bound (`?1`), none is ever
//! part of a text (S24). A backend knows transactions, statements and rows, and nothing of what is in them.

use super::error::StoreError;
use crate::model::ids::BooksId;
use std::fmt;
use std::path::PathBuf;

/// A value of a column, or one that is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A whole number; the books have no others.
    Int(u64),
    /// A text, or what stands where a number should and is none.
    Text(String),
    /// Bytes, or a text that is not UTF-8.
    Bytes(Vec<u8>),
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(number)
    }
}

/// How many at most; more than both databases can count is as many as they can.
impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Int((number as u64).min(i64::MAX as u64))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8; 32]> for Value {
    fn from(bytes: &[u8; 32]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// What is done with each row.
pub type Each<'a> = &'a mut dyn FnMut(&[Value]) -> Result<(), StoreError>;

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// All that is read is of one moment.
    Read,
    /// Nobody else writes beside it.
    Write,
}

/// A database with the tables of the books.
pub trait Backend: fmt::Debug {
    /// Begins a transaction. A connection that was lost is made anew only when `anew`.
    fn begin(&self, access: Access, anew: bool) -> Result<(), StoreError>;

    /// Ends the transaction; all of it holds once this has returned.
    fn commit(&self) -> Result<(), StoreError>;

    /// Ends the transaction, and nothing of it holds.
    fn abandon(&self);

    /// Runs a statement that changes rows.
    fn run(&self, sql: &'static str, values: &[Value]) -> Result<(), StoreError>;

    /// Calls `each` for every row.
    fn rows(&self, sql: &'static str, values: &[Value], each: Each<'_>) -> Result<(), StoreError>;

    /// The same for a question whose answer grows with the age of the books: what is in memory of it is bounded.
    fn all(&self, sql: &'static str, each: Each<'_>) -> Result<(), StoreError> {
        self.rows(sql, &[], each)
    }

    /// A question for how the tables are declared: rows of a name and a text.
    fn declarations(&self) -> &'static str;

    /// The number of the form that the tables have.
    fn form(&self) -> Result<i64, StoreError>;

    /// The database's own look at its pages and constraints.
    fn sound(&self) -> Result<(), StoreError>;

    /// The file or server, as it is named in messages.
    fn path(&self) -> PathBuf;

    /// The directory or server.
    fn place(&self) -> PathBuf {
        self.path()
    }

    /// The name that these books were given when they were begun, where others may begin them anew under the same id;
    /// `None`: nobody else has them.
    fn begun(&self) -> Result<Option<BooksId>, StoreError> {
        Ok(None)
    }

    /// Ends the connection, where there is one that can be lost.
    fn hang_up(&self) {}

    /// What follows is the last, and waits for nobody.
    fn closing(&self) {}

    /// Sentences on what was done to get in, that belong on the books.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}
