//! The chain of events: each hash covers an event and all before it.
//!
//! The form that is hashed, with BLAKE3, fields one after the other: the 32 bytes of the hash before; `seq`, `at_ms`
//! and `epoch` as 8 bytes each, the least significant first; then the bytes of the record's JSON as it is stored.
//! Only the last has no fixed length, so no two events share a form. The hash before the first event is that of
//! `pointsman books ` and the 32 hexadecimal digits of the books' id.

use super::Verified;
use super::error::StoreError;
use crate::model::digest::Digest;
use crate::model::ids::BooksId;
use crate::model::time::Time;

/// An event without its meaning.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// Its number.
    pub seq: u64,
    /// When it was committed.
    pub at: Time,
    /// The newest epoch then.
    pub epoch: u64,
    /// The record as JSON.
    pub record: &'a str,
}

/// The hash before the first event.
pub fn origin(books: BooksId) -> Digest {
    Digest::of(format!("pointsman books {books}").as_bytes())
}

/// The hash after `link`, when it is `before` it.
pub fn next(before: Digest, link: Link<'_>) -> Digest {
    let mut bytes = before.as_bytes().to_vec();
    for number in [link.seq, link.at.0, link.epoch] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(link.record.as_bytes());
    Digest::of(&bytes)
}

/// Goes along a chain and stops at the first event that is not as written.
#[derive(Debug)]
pub struct Walk {
    events: u64,
    head: Digest,
}

impl Walk {
    /// At the beginning of the books `id`.
    pub fn new(books: BooksId) -> Self {
        Self { events: 0, head: origin(books) }
    }

    /// One event on: its number must be the next one, and both its hashes what they should be.
    pub fn step(&mut self, link: Link<'_>, before: Digest, hash: Digest) -> Result<(), StoreError> {
        let seq = self.events + 1;
        let wrong = |why: &str| Err(StoreError::Tampered { seq, why: why.to_owned() });
        if link.seq != seq {
            return wrong("is missing");
        }
        if before != self.head {
            return wrong("does not follow the one before it");
        }
        if next(before, link) != hash {
            return wrong("is not what its hash says");
        }
        *self = Self { events: seq, head: hash };
        Ok(())
    }

    /// At the end, which must be where the books say that it is.
    pub fn end(self, events: u64, head: Digest) -> Result<Verified, StoreError> {
        let wrong = |seq, why: &str| Err(StoreError::Tampered { seq, why: why.to_owned() });
        match self.events.cmp(&events) {
            std::cmp::Ordering::Less => wrong(self.events + 1, "is missing, and all after it"),
            std::cmp::Ordering::Greater => wrong(events + 1, "was added behind the end"),
            std::cmp::Ordering::Equal if self.head != head => wrong(events, "is not the end that the books noted"),
            std::cmp::Ordering::Equal => Ok(Verified { events, head }),
        }
    }
}
