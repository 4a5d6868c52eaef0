//! Who keeps the books of a site: a file in a directory of its own, or a server that several deploy hosts share.
//!
//! Invariant: which of the two it is is asked here and nowhere else.

use super::error::StoreError;
use super::sqlstore::SqlStore;
use super::writer::Firm;
use super::{place, postgres, sqlite};
use crate::config::policy::Policy;
use crate::model::ids::BooksId;

/// Opens the books to read and write; makes them when there are none. Where a command is `firm`, whoever keeps it out of a
/// file is ended; a server by itself ends who stands in the way.
pub fn open(policy: &Policy, firm: Option<Firm>) -> Result<SqlStore, StoreError> {
    match &policy.store {
        Some(at) => postgres::open(&policy.books, at, true),
        None => sqlite::open_as(&policy.books, true, firm),
    }
}

/// Opens the books to look only.
pub fn open_read_only(policy: &Policy) -> Result<SqlStore, StoreError> {
    match &policy.store {
        Some(at) => postgres::open_read_only(&policy.books, at),
        None => sqlite::open_read_only(&policy.books),
    }
}

/// Moves the books out of the way; nothing is deleted.
pub fn set_aside(policy: &Policy) -> Result<(), StoreError> {
    match &policy.store {
        Some(at) => postgres::set_aside(&policy.books, at),
        None => place::set_aside(&policy.books),
    }
}

/// Begins new books for a fleet that knows the id, above every epoch it may have seen; [`StoreError::Exists`] when the
/// books there can be read.
pub fn rebuild(policy: &Policy, id: BooksId, epoch_floor: u64, firm: Firm) -> Result<SqlStore, StoreError> {
    match &policy.store {
        Some(at) => postgres::rebuild(&policy.books, at, id, epoch_floor),
        None => sqlite::rebuild(&policy.books, id, epoch_floor, Some(firm)),
    }
}
