//! Events as their rows have them, and what is compared with them.
//!
//! Invariant: an event that is given out is what its own hash says; that all before it are too is for [`Db::walk`], which
//! reads the whole chain.

use super::chain::{self, Link, Walk};
use super::error::StoreError;
use super::rows::{Db, text};
use super::{StoredEvent, Verified};
use crate::model::books::Record;
use crate::model::digest::Digest;
use crate::model::limits::BOOKS_EVENTS_MAX;
use crate::model::time::Time;
use rusqlite::{Row, Rows};

const EVENTS: &str = "SELECT seq, at_ms, epoch, record, prev, hash FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2";
const INTENTS: &str =
    "SELECT event, event || ' ' || rollout || ' ' || command || ' ' || host || ' ' || epoch || ' ' || seq
    FROM intents ORDER BY rowid";
const OUTCOMES: &str = "SELECT event, event || ' ' || rollout || ' ' || command || ' ' || host || ' ' || epoch || ' '
    || seq || ' ' || result FROM outcomes ORDER BY rowid";

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

fn column<T: rusqlite::types::FromSql>(seq: &str, row: &Row<'_>, name: &str) -> Result<T, StoreError> {
    row.get(name).map_err(|e| StoreError::row("events", seq, e))
}

fn stored(seq: &str, row: &Row<'_>) -> Result<Stored, StoreError> {
    let number = seq.parse().map_err(|e: std::num::ParseIntError| StoreError::row("events", seq, e))?;
    let record = row.get_ref("record").map_err(|e| StoreError::row("events", seq, e))?;
    Ok(Stored {
        seq: number,
        at: Time(column(seq, row, "at_ms")?),
        epoch: column(seq, row, "epoch")?,
        record: text("events", seq, record)?.to_owned(),
        before: Digest::from_bytes(column(seq, row, "prev")?),
        hash: Digest::from_bytes(column(seq, row, "hash")?),
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
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.each(EVENTS, (after, limit), |key, row| each(stored(&key, row)?))
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
        let prepare = |sql| self.connection.prepare(sql).map_err(|e| self.failed(e));
        let (mut intents, mut outcomes) = (prepare(INTENTS)?, prepare(OUTCOMES)?);
        let mut intents = Copies::new(self, "intents", intents.query([]).map_err(|e| self.failed(e))?);
        let mut outcomes = Copies::new(self, "outcomes", outcomes.query([]).map_err(|e| self.failed(e))?);
        self.each_event(0, usize::MAX, |event| {
            walk.step(event.link(), event.before, event.hash)?;
            let seq = event.seq;
            match parsed(&event)? {
                Record::Intents { rollout, command, hosts } => hosts.iter().try_for_each(|(host, generation)| {
                    let place = format!("{} {}", generation.epoch, generation.seq);
                    intents.next(seq, Some(&format!("{seq} {} {command} {host} {place}", rollout.0)))
                }),
                Record::Outcome { rollout, command, host, generation, result } => {
                    let place = format!("{} {}", generation.epoch, generation.seq);
                    outcomes.next(seq, Some(&format!("{seq} {} {command} {host} {place} {result}", rollout.0)))
                }
                _ => Ok(()),
            }
        })?;
        let verified = walk.end(self.meta_value("events")?, self.meta_value("head")?)?;
        intents.next(verified.events, None)?;
        outcomes.next(verified.events, None)?;
        Ok(verified)
    }
}

fn own_hash(event: &Stored) -> Result<(), StoreError> {
    match chain::next(event.before, event.link()) == event.hash {
        true => Ok(()),
        false => Err(StoreError::Tampered { seq: event.seq, why: "is not what its hash says".to_owned() }),
    }
}

/// Rows that repeat what events say, in the order of these.
struct Copies<'a> {
    db: &'a Db<'a>,
    table: &'static str,
    rows: Rows<'a>,
}

impl<'a> Copies<'a> {
    fn new(db: &'a Db<'a>, table: &'static str, rows: Rows<'a>) -> Self {
        Self { db, table, rows }
    }

    /// The next row must be what the event `seq` says; `None`: there must be no further one.
    fn next(&mut self, seq: u64, expected: Option<&str>) -> Result<(), StoreError> {
        let row = self.rows.next().map_err(|e| self.db.failed(e))?;
        let found = match row {
            Some(row) => Some(text(self.table, "", row.get_ref(1).map_err(|e| self.db.failed(e))?)?),
            None => None,
        };
        match found == expected {
            true => Ok(()),
            false => Err(StoreError::row(self.table, seq, "it is not what the event says")),
        }
    }
}
