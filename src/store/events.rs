//! Events as their rows have them, and what is compared with them.
//!
//! Invariant: an event that is given out is what its own hash says; that all before it are too is for [`Db::walk`], which
//! reads the whole chain.

use super::backend::Value;
use super::chain::{self, Link, Walk};
use super::columns::{column, hash, key, number, text};
use super::error::StoreError;
use super::rows::Db;
use super::{StoredEvent, Verified};
use crate::model::books::Record;
use crate::model::digest::Digest;
use crate::model::ids::Generation;
use crate::model::limits::BOOKS_EVENTS_MAX;
use crate::model::time::Time;
use std::collections::VecDeque;

const EVENTS: &str = "SELECT seq, at_ms, epoch, record, prev, hash FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2";
const INTENTS: &str = "SELECT rowid, event, rollout, command, host, epoch, seq FROM intents
    WHERE rowid > ?1 ORDER BY rowid LIMIT ?2";
const OUTCOMES: &str = "SELECT rowid, event, rollout, command, host, epoch, seq, result FROM outcomes
    WHERE rowid > ?1 ORDER BY rowid LIMIT ?2";

/// An event as its row has it.
struct Stored {
    seq: u64,
    at: Time,
    epoch: u64,
    record: String,
    before: Digest,
    hash: Digest,
}

impl Stored {
    fn link(&self) -> Link<'_> {
        Link { seq: self.seq, at: self.at, epoch: self.epoch, record: &self.record }
    }
}

fn stored(seq: &str, row: &[Value]) -> Result<Stored, StoreError> {
    let of = |n| column("events", seq, row, n);
    let number = |n| number("events", seq, of(n)?);
    Ok(Stored {
        seq: number(0)?,
        at: Time(number(1)?),
        epoch: number(2)?,
        record: text("events", seq, of(3)?)?.to_owned(),
        before: hash("events", seq, of(4)?)?,
        hash: hash("events", seq, of(5)?)?,
    })
}

fn parsed(event: &Stored) -> Result<Record, StoreError> {
    serde_json::from_str(&event.record).map_err(|e| StoreError::row("events", event.seq, e))
}

impl Db<'_> {
    fn each_event(
        &self,
        after: u64,
        limit: usize,
        mut each: impl FnMut(Stored) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.each(EVENTS, &[after.into(), limit.into()], |key, row| each(stored(&key, row)?))
    }

    /// Events after `after`, each as its hash says.
    pub fn events(&self, after: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let mut events = Vec::new();
        self.each_event(after, limit.min(BOOKS_EVENTS_MAX), |event| {
            let record = parsed(&event)?;
            own_hash(&event)?;
            let Stored { seq, at, epoch, hash, .. } = event;
            events.push(StoredEvent { seq, at, epoch, record, hash });
            Ok(())
        })?;
        Ok(events)
    }

    /// The hash of the event `seq`; `None`: there is no such event.
    pub fn hash_at(&self, seq: u64) -> Result<Option<Digest>, StoreError> {
        let mut found = None;
        self.each_event(seq.saturating_sub(1), 1, |event| {
            found = Some(event).filter(|event| event.seq == seq).map(|event| event.hash);
            Ok(())
        })?;
        Ok(found)
    }

    /// Refuses a chain whose last event is not the one that the books noted.
    pub fn chain_ends_well(&self) -> Result<(), StoreError> {
        let (events, head): (u64, Digest) = (self.meta_value("events")?, self.meta_value("head")?);
        let tampered = |seq, why: &str| Err(StoreError::Tampered { seq, why: why.to_owned() });
        let mut last = None;
        self.each_event(events.saturating_sub(1), 2, |event| {
            last = Some(event);
            Ok(())
        })?;
        match last {
            None if events == 0 => Ok(()),
            None => tampered(events, "is missing"),
            Some(event) if event.seq > events => tampered(events + 1, "was added behind the end"),
            Some(event) if event.seq < events => tampered(events, "is missing"),
            Some(event) if event.hash != head => tampered(events, "is not the end that the books noted"),
            Some(event) => own_hash(&event),
        }
    }

    /// Goes along the whole chain, and along what was sent and answered, which are copies of events for questions that
    /// are asked often.
    pub fn walk(&self) -> Result<Verified, StoreError> {
        let mut walk = Walk::new(self.id()?);
        let mut intents = Copies::of(self, "intents", INTENTS, "SELECT count(*) FROM intents");
        let mut outcomes = Copies::of(self, "outcomes", OUTCOMES, "SELECT count(*) FROM outcomes");
        let (mut after, mut is_full) = (0, true);
        while is_full {
            let mut found = 0;
            self.each_event(after, BOOKS_EVENTS_MAX, |event| {
                (after, found) = (event.seq, found + 1);
                walk.step(event.link(), event.before, event.hash)?;
                compare(&event, &mut intents, &mut outcomes)
            })?;
            is_full = found == BOOKS_EVENTS_MAX;
        }
        let verified = walk.end(self.meta_value("events")?, self.meta_value("head")?)?;
        intents.end(verified.events)?;
        outcomes.end(verified.events)?;
        Ok(verified)
    }
}

/// Compares what repeats an event with it.
fn compare(event: &Stored, intents: &mut Copies<'_>, outcomes: &mut Copies<'_>) -> Result<(), StoreError> {
    let seq = event.seq;
    let line = |rollout: u64, command: &str, host: &dyn ToString, place: Generation| -> Vec<String> {
        let [host, epoch, number] = [host.to_string(), place.epoch.to_string(), place.seq.to_string()];
        vec![seq.to_string(), rollout.to_string(), command.to_owned(), host, epoch, number]
    };
    match parsed(event)? {
        Record::Intents { rollout, command, hosts } => hosts
            .iter()
            .try_for_each(|(host, generation)| intents.next(seq, line(rollout.0, &command, host, *generation))),
        Record::Outcome { rollout, command, host, generation, result } => {
            let mut expected = line(rollout.0, &command, &host, generation);
            expected.push(result);
            outcomes.next(seq, expected)
        }
        _ => Ok(()),
    }
}

fn own_hash(event: &Stored) -> Result<(), StoreError> {
    match chain::next(event.before, event.link()) == event.hash {
        true => Ok(()),
        false => Err(StoreError::Tampered { seq: event.seq, why: "is not what its hash says".to_owned() }),
    }
}

/// Rows that repeat what events say, in the order of these; read some at a time.
struct Copies<'a> {
    db: &'a Db<'a>,
    table: &'static str,
    sql: &'static str,
    count: &'static str,
    passed: u64,
    read: VecDeque<Vec<String>>,
    /// The last one that was read.
    after: u64,
}

impl<'a> Copies<'a> {
    fn of(db: &'a Db<'a>, table: &'static str, sql: &'static str, count: &'static str) -> Self {
        Self { db, table, sql, count, passed: 0, read: VecDeque::new(), after: 0 }
    }

    /// The next row must be what the event `seq` says.
    fn next(&mut self, seq: u64, expected: Vec<String>) -> Result<(), StoreError> {
        if self.read.is_empty() {
            self.read_on()?;
        }
        self.passed += 1;
        match self.read.pop_front() == Some(expected) {
            true => Ok(()),
            false => Err(StoreError::row(self.table, seq, "it is not what the event says")),
        }
    }

    /// There must be no other rows, also none that stand before the first.
    fn end(self, events: u64) -> Result<(), StoreError> {
        let mut rows = 0;
        self.db.each(self.count, &[], |shown, row| {
            rows = number(self.table, &shown, column(self.table, &shown, row, 0)?)?;
            Ok(())
        })?;
        match rows == self.passed {
            true => Ok(()),
            false => Err(StoreError::row(self.table, events, "it is not what the event says")),
        }
    }

    fn read_on(&mut self) -> Result<(), StoreError> {
        let Self { db, table, sql, read, after, .. } = self;
        db.each(sql, &[(*after).into(), BOOKS_EVENTS_MAX.into()], |shown, row| {
            *after = number(table, &shown, column(table, &shown, row, 0)?)?;
            read.push_back(row.iter().skip(1).map(key).collect());
            Ok(())
        })
    }
}
