//! Books in rows: the contract over a [`Backend`], the same for SQLite and PostgreSQL.
//!
//! Invariant: each call is one transaction; one that writes first reads the epoch's row, which the backend keeps from all
//! others until the transaction ends. An epoch is ours only when this store took it: knowing its number is not having it.

use super::backend::{Access, Backend, Value};
use super::chain::{Link, Walk};
use super::error::StoreError;
use super::place::Signs;
use super::rows::{Db, Trace, number, text};
use super::{Claim, RELEASED, Store, StoredEvent, Verified, only_notes, still_true, taken};
use crate::model::books::{Books, Lock, Record, Rollout, Snapshot};
use crate::model::digest::Digest;
use crate::model::ids::{Generation, RolloutId, SnapshotId};
use crate::model::limits::{BOOKS_EVENTS_MAX, BOOKS_RECENT_MAX};
use crate::model::step::Step;
use crate::model::time::Time;
use std::collections::BTreeMap;
use std::fs::File;

/// Books in a database.
#[derive(Debug)]
pub struct SqlStore {
    /// First, so that a holder's sign of life outlives its connection.
    backend: Box<dyn Backend>,
    signs: Signs,
    read_only: bool,
    /// The epoch that we took, and our sign of life.
    held: Option<(u64, File)>,
    pub(super) recent_max: usize,
}

/// A transaction that leaves nothing behind unless it was committed.
struct Open<'a> {
    backend: &'a dyn Backend,
    ended: bool,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.backend.abandon();
        }
    }
}

impl SqlStore {
    /// Books that a backend found or made.
    pub fn new(backend: Box<dyn Backend>, signs: Signs, read_only: bool) -> Self {
        Self { backend, signs, read_only, held: None, recent_max: BOOKS_RECENT_MAX }
    }

    /// Begins a write and leaves it at that, as a process that is stopped does.
    #[cfg(test)]
    pub(super) fn stand_still(&self) -> Result<(), StoreError> {
        self.backend.begin(Access::Write, false)
    }

    fn begin(&self, access: Access) -> Result<Open<'_>, StoreError> {
        // Who acts must not go on as if nothing had been: it may be that somebody took over meanwhile.
        self.backend.begin(access, self.held.is_none())?;
        Ok(Open { backend: &*self.backend, ended: false })
    }

    /// Reads within one transaction, so that all of it is of one moment.
    fn read<T>(&self, read: impl FnOnce(Db<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let open = self.begin(Access::Read)?;
        read(Db { backend: open.backend })
    }

    /// Writes within one transaction that nobody else writes beside; an error leaves everything as it was.
    fn write<T>(&self, write: impl FnOnce(Db<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        let mut open = self.begin(Access::Write)?;
        let written = write(Db { backend: open.backend })?;
        self.backend.commit()?;
        open.ended = true;
        Ok(written)
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

/// An event as its row has it.
struct StoredAs {
    seq: u64,
    at: Time,
    epoch: u64,
    record: String,
}

/// Events of an unbroken or a broken chain, some at a time.
const EVENTS: &str = "SELECT seq, at_ms, epoch, record, prev, hash FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2";

/// An event's row: when, in which epoch, the record's text, and the hashes before and after.
fn event(key: &str, row: &[Value]) -> Result<(StoredAs, [Digest; 2]), StoreError> {
    let [seq, at, epoch, record, prev, hash] = row else {
        return Err(StoreError::row("events", key, "it has other columns"));
    };
    let number = |value| number("events", key, value);
    let digest = |value: &Value| match value {
        Value::Bytes(bytes) => <[u8; 32]>::try_from(bytes.as_slice()).ok().map(Digest::from_bytes),
        _ => None,
    };
    let digest = |value| digest(value).ok_or_else(|| StoreError::row("events", key, "a hash is not 32 bytes"));
    let record = text("events", key, record)?.to_owned();
    let stored = StoredAs { seq: number(seq)?, at: Time(number(at)?), epoch: number(epoch)?, record };
    Ok((stored, [digest(prev)?, digest(hash)?]))
}

const STEPS: &str = "SELECT i.event, i.command, i.host, i.epoch, i.seq, sent.at_ms AS sent_ms, o.result,
        (SELECT at_ms FROM events WHERE seq = o.event) AS ended_ms
    FROM intents i JOIN events sent ON sent.seq = i.event
    LEFT JOIN outcomes o ON o.rowid = (SELECT max(rowid) FROM outcomes
        WHERE rollout = i.rollout AND host = i.host AND epoch = i.epoch AND seq = i.seq)
    WHERE i.rollout = ?1 ORDER BY i.rowid";

/// One command and its outcome, if any.
fn step(key: &str, row: &[Value]) -> Result<Step, StoreError> {
    let [_, command, host, epoch, seq, sent, result, ended] = row else {
        return Err(StoreError::row("intents", key, "it has other columns"));
    };
    let number = |value| number("intents", key, value);
    let text = |value| text("intents", key, value).map(str::to_owned);
    let host = text(host)?.parse().map_err(|e| StoreError::row("intents", key, e))?;
    let outcome = match (ended, result) {
        (Value::Null, _) | (_, Value::Null) => None,
        (at, result) => Some((Time(number(at)?), text(result)?)),
    };
    let generation = Generation { epoch: number(epoch)?, seq: number(seq)? };
    Ok(Step { command: text(command)?, host, generation, sent: Time(number(sent)?), outcome })
}

impl Store for SqlStore {
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
        self.read(|db| db.rollouts("SELECT id, body FROM rollouts ORDER BY id DESC LIMIT ?1", &[limit.into()]))
    }

    fn steps(&self, rollout: RolloutId) -> Result<Vec<Step>, StoreError> {
        let mut steps = Vec::new();
        let mut push = |key: String, row: &[Value]| step(&key, row).map(|step| steps.push(step));
        self.read(|db| db.each(STEPS, &[rollout.0.into()], &mut push))?;
        Ok(steps)
    }

    fn take_lock(&mut self, now: Time, holder: &str, reason: &str, take_over: bool) -> Result<Claim, StoreError> {
        let (claim, sign) = self.write(|db| {
            let (epoch, from) = db.lock()?;
            let life = from.as_ref().map_or(Ok(Some(false)), |lock| self.signs.lives(lock.epoch))?;
            if let Some(lock) = from.as_ref().filter(|_| life != Some(false) && !take_over) {
                return Err(StoreError::Locked(lock.clone(), life));
            }
            let (epoch, alive) = (epoch + 1, life != Some(false));
            let sign = self.signs.live(epoch)?;
            let lock = Lock { epoch, holder: holder.into(), reason: reason.into(), since: now };
            db.set_lock(epoch, Some(&lock))?;
            let text = taken(reason, from.as_ref(), alive);
            let note = |text| Record::Note { by: holder.into(), text };
            let notes: Vec<Record> = [text].into_iter().chain(self.backend.notes()).map(note).collect();
            db.write(now, epoch, &notes, Trace::All)?;
            Ok((Claim { epoch, took_over_from: from, alive }, sign))
        })?;
        self.held = Some((claim.epoch, sign));
        if let Some(lock) = &claim.took_over_from {
            self.signs.forget(lock.epoch);
        }
        Ok(claim)
    }

    fn release_lock(&mut self, now: Time, epoch: u64) -> Result<(), StoreError> {
        self.write(|db| {
            let lock = self.ours(db, epoch)?;
            db.set_lock(epoch, None)?;
            db.write(now, epoch, &[Record::Note { by: lock.holder, text: RELEASED.into() }], Trace::All)
        })?;
        self.signs.forget(epoch);
        self.held = None;
        Ok(())
    }

    fn holder_lives(&self) -> Result<Option<bool>, StoreError> {
        let (_, lock) = self.read(|db| db.lock())?;
        lock.map_or(Ok(Some(false)), |lock| self.signs.lives(lock.epoch))
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
        let mut events = Vec::new();
        let push = |key: String, row: &[Value]| {
            let (stored, [_, hash]) = event(&key, row)?;
            let record = serde_json::from_str(&stored.record).map_err(|e| StoreError::row("events", &key, e))?;
            events.push(StoredEvent { seq: stored.seq, at: stored.at, epoch: stored.epoch, record, hash });
            Ok(())
        };
        self.read(|db| db.each(EVENTS, &[after.into(), limit.min(BOOKS_EVENTS_MAX).into()], push))?;
        Ok(events)
    }

    fn signatures(&self, since: Time) -> Result<BTreeMap<String, Time>, StoreError> {
        self.read(|db| db.signatures(since))
    }

    fn verify(&self) -> Result<Verified, StoreError> {
        self.read(|db| {
            self.backend.sound()?;
            let (mut walk, mut after, mut full) = (Walk::new(db.id()?), 0_u64, true);
            while full {
                let mut found = 0;
                db.each(EVENTS, &[after.into(), BOOKS_EVENTS_MAX.into()], |key, row| {
                    let (stored, [before, hash]) = event(&key, row)?;
                    (after, found) = (stored.seq, found + 1);
                    let link = Link { seq: stored.seq, at: stored.at, epoch: stored.epoch, record: &stored.record };
                    walk.step(link, before, hash)
                })?;
                full = found == BOOKS_EVENTS_MAX;
            }
            walk.end(db.meta("events")?, db.meta("head")?)
        })
    }
}
