//! What the rows of the books ask of a database, so that SQLite and PostgreSQL keep the same ones.
//!
//! Statements are written once, in what both understand, and are constants: every value is bound (`?1`), none is ever
//! part of a text (S24). A backend knows transactions, statements and rows, and nothing of what is in them.

use super::error::StoreError;
use std::fmt;

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

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Int(number as u64)
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

    /// The number of the form that the tables have.
    fn form(&self) -> Result<i64, StoreError>;

    /// The database's own look at its pages and constraints.
    fn sound(&self) -> Result<(), StoreError>;

    /// Sentences on what was done to get in, that belong on the books.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}
