//! Books in rows: the contract over a [`Backend`], the same for SQLite and PostgreSQL.
//!
//! Invariant: each call is one transaction; one that writes first reads the epoch's row, which the backend keeps from all
//! others until the transaction ends. An epoch is ours only when this store took it: knowing its number is not having it.

use super::backend::{Access, Backend, Value};
use super::columns::{number, text};
use super::error::StoreError;
use super::place::{Head, Note, Signs};
use super::rows::{Db, Trace};
use super::sums::Known;
use super::{Claim, RELEASED, Store, StoredEvent, Verified, only_notes, still_true, taken};
use crate::model::books::{Books, Lock, Record, Rollout, Snapshot};
use crate::model::ids::{BooksId, Generation, RolloutId, SnapshotId};
use crate::model::limits::BOOKS_RECENT_MAX;
use crate::model::step::Step;
use crate::model::time::Time;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Books in a database.
#[derive(Debug)]
pub struct SqlStore {
    /// First, so that a holder's sign of life outlives its connection.
    backend: Box<dyn Backend>,
    note: Note,
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
    pub fn new(backend: Box<dyn Backend>, note: Note, signs: Signs, read_only: bool) -> Self {
        Self { backend, note, signs, read_only, held: None, recent_max: BOOKS_RECENT_MAX }
    }

    /// Where they are, as messages name it.
    pub fn place(&self) -> PathBuf {
        self.backend.place()
    }

    /// Begins a write and leaves it at that, as a process that is stopped does.
    #[cfg(test)]
    pub(super) fn stand_still(&self) -> Result<(), StoreError> {
        self.backend.begin(Access::Write, false)
    }

    fn begin(&self, access: Access, anew: bool) -> Result<Open<'_>, StoreError> {
        self.backend.begin(access, anew)?;
        Ok(Open { backend: &*self.backend, ended: false })
    }

    /// Who acts must not go on as if nothing had been: it may be that somebody took over meanwhile.
    fn may_connect_anew(&self) -> bool {
        self.held.is_none()
    }

    /// What a connection means that was lost while we act: it may have been lost because somebody took over, who is seen
    /// by one more look. What was lost is not made anew for anything else.
    fn cut_off(&self, error: StoreError) -> StoreError {
        let (StoreError::CutOff { .. }, Some((held, _))) = (&error, &self.held) else { return error };
        let look = || {
            self.backend.begin(Access::Read, true)?;
            Db::of(&*self.backend)?.lock()
        };
        let looked = look();
        self.backend.hang_up();
        match looked {
            Ok((newest, lock)) if newest != *held => StoreError::Superseded { epoch: *held, lock },
            _ => error,
        }
    }

    /// Reads within one transaction, so that all of it is of one moment.
    fn read<T>(&self, read: impl FnOnce(Db<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let open = self.begin(Access::Read, self.may_connect_anew())?;
        read(Db::of(open.backend)?)
    }

    /// The same, and refuses books that lack the event that was noted before it began.
    fn read_whole<T>(&self, read: impl FnOnce(Db<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let noted = self.note.read();
        self.read(|db| {
            let found = read(db)?;
            self.refuse_behind(db, noted)?;
            Ok(found)
        })
    }

    fn refuse_behind(&self, db: Db<'_>, noted: Option<Head>) -> Result<(), StoreError> {
        let Some(noted) = noted.filter(|noted| noted.events > 0) else { return Ok(()) };
        if db.hash_at(noted.events)? == Some(noted.hash) {
            return Ok(());
        }
        // Another deploy host may have begun these anew; then they are above all that was.
        let is_later = match (noted.shared, self.backend.begun()?) {
            (Some((then, epoch)), Some(now)) => then != now && db.lock()?.0 > epoch,
            _ => false,
        };
        match is_later {
            true => Ok(()),
            false => Err(StoreError::Behind { path: self.backend.path(), events: noted.events }),
        }
    }

    /// Notes the last event, unless that is noted already, or one that these books do not have.
    fn note_head(&self) -> Result<(), StoreError> {
        let noted = self.note.read();
        let open = self.begin(Access::Read, false)?;
        let db = Db::of(open.backend)?;
        let (Verified { events, head: hash }, begun) = (head(db)?, self.backend.begun()?);
        self.refuse_behind(db, noted)?;
        let shared = begun.map(|begun| Ok((begun, db.lock()?.0))).transpose()?;
        let head = Head { events, hash, shared };
        if noted == Some(head) { Ok(()) } else { self.note.write(head) }
    }

    /// Writes within one transaction that nobody else writes beside; an error leaves everything as it was.
    fn write<T>(&self, write: impl FnOnce(Db<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        self.written(write).map_err(|error| self.cut_off(error))
    }

    fn written<T>(&self, write: impl FnOnce(Db<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut open = self.begin(Access::Write, self.may_connect_anew())?;
        let known = Known::default();
        let written = write(Db { known: Some(&known), ..Db::of(open.backend)? })?;
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

impl Drop for SqlStore {
    fn drop(&mut self) {
        if !self.read_only {
            self.backend.closing();
            let _ = self.note_head();
        }
    }
}

/// A name that no other books have.
pub(super) fn random_id() -> Result<BooksId, StoreError> {
    let mut bytes = [0; 16];
    let failed =
        |e: getrandom::Error| StoreError::io("read", Path::new("random bytes"))(std::io::Error::other(e.to_string()));
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(BooksId(u128::from_be_bytes(bytes)))
}

/// Makes way for new books: damaged ones, and what is left of lost ones, are set aside. [`StoreError::Exists`] when the books
/// there can be read.
pub(super) fn make_room(
    found: Result<SqlStore, StoreError>,
    set_aside: impl FnOnce() -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    match found.and_then(|store| store.load().map(|_| store.place())) {
        Ok(place) => Err(StoreError::Exists(place)),
        Err(StoreError::NoBooks(_)) => Ok(()),
        Err(e) if e.is_damage() || matches!(e, StoreError::Lost { .. }) => set_aside(),
        Err(e) => Err(e),
    }
}

/// The last event, as the books note it.
fn head(db: Db<'_>) -> Result<Verified, StoreError> {
    Ok(Verified { events: db.meta("events")?, head: db.meta("head")? })
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
        self.read_whole(|db| db.load(self.recent_max))
    }

    fn snapshot(&self, id: SnapshotId) -> Result<Option<Snapshot>, StoreError> {
        self.read(|db| db.snapshot(id))
    }

    fn rollout(&self, id: RolloutId) -> Result<Option<Rollout>, StoreError> {
        self.read(|db| db.rollout(id))
    }

    fn rollouts(&self, limit: usize) -> Result<Vec<Rollout>, StoreError> {
        self.read(|db| db.newest_rollouts(limit))
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
            match records {
                // Who asks only whether the lock is still theirs leaves everything as it is.
                [] => Ok(()),
                records => db.write(now, epoch, records, Trace::All),
            }
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
        self.read(|db| db.events(after, limit))
    }

    fn signatures(&self, since: Time) -> Result<BTreeMap<String, Time>, StoreError> {
        self.read(|db| db.signatures(since))
    }

    fn head(&self) -> Result<Verified, StoreError> {
        self.read_whole(head)
    }

    fn verify(&self) -> Result<Verified, StoreError> {
        self.read_whole(|db| {
            self.backend.sound()?;
            let verified = db.walk()?;
            db.check_all_rows()?;
            Ok(verified)
        })
    }
}
