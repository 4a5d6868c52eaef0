//! The books: one contract, [`Store`], kept by SQLite or PostgreSQL for real and in memory for the simulator.
//!
//! Invariants. Loading a store gives what [`Books::apply`] gives for its records, in order (a property test holds the
//! two against each other). Nothing is written by an epoch that is not the newest, and then nothing at all: one call
//! is one transaction. Every record that was written is an event in a hash chain ([`chain`]). The lock is the epoch
//! row; the kernel lock beside it ([`place`]) only tells whether its holder lives, and only on the holder's machine.
//!
//! Absent on purpose: any decision (planning reads [`Books`]), async (calls take milliseconds and are made from one
//! thread), and repair of damaged books ([`keeper::rebuild`] begins new ones).

pub mod backend;
pub mod chain;
mod columns;
pub mod error;
mod events;
mod health;
pub mod keeper;
pub mod memory;
pub mod place;
mod playbooks;
pub mod postgres;
pub mod recent;
pub mod rows;
pub mod schema;
pub mod sqlite;
pub mod sqlstore;
mod sums;
#[cfg(test)]
mod tests;
pub mod writer;

use crate::model::books::{Books, HostRow, Lock, Record, Rollout, Snapshot};
use crate::model::digest::Digest;
use crate::model::health::HealthRecord;
use crate::model::ids::{RolloutId, SnapshotId};
use crate::model::limits::EVENTS_PAGE_MAX;
use crate::model::names::HostName;
use crate::model::step::Step;
use crate::model::time::Time;
use error::StoreError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What every keeper of books can do. Calls block, each is one transaction.
pub trait Store {
    /// The books: every host, the newest [`crate::model::limits::BOOKS_RECENT_MAX`] rollouts and every open one, as
    /// many snapshots, the wanted one and all that those rollouts name.
    fn load(&self) -> Result<Books, StoreError>;

    /// A snapshot of any age; `None` when it was never recorded.
    fn snapshot(&self, id: SnapshotId) -> Result<Option<Snapshot>, StoreError>;

    /// A rollout of any age; `None` when it was never recorded.
    fn rollout(&self, id: RolloutId) -> Result<Option<Rollout>, StoreError>;

    /// At most `limit` rollouts, the newest first.
    fn rollouts(&self, limit: usize) -> Result<Vec<Rollout>, StoreError>;

    /// What was sent for a rollout and what came of it, in the order of sending.
    fn steps(&self, rollout: RolloutId) -> Result<Vec<Step>, StoreError>;

    /// Takes the right to act, with a new epoch. [`StoreError::Locked`] when somebody alive has it and `take_over` is
    /// not set; the lock of a dead holder is taken, and the claim says so.
    fn take_lock(&mut self, now: Time, holder: &str, reason: &str, take_over: bool) -> Result<Claim, StoreError>;

    /// Gives the right back; [`StoreError::Superseded`] when it is not ours any more, and then nothing changes.
    fn release_lock(&mut self, now: Time, epoch: u64) -> Result<(), StoreError>;

    /// Whether somebody has the lock and lives. A holder that died without giving it back does not; `None`: it is on
    /// another machine, where that can't be seen from here.
    fn holder_lives(&self) -> Result<Option<bool>, StoreError>;

    /// Writes records in one transaction; [`StoreError::Superseded`] when `epoch` is not the newest or not held, and
    /// then nothing is written.
    fn append(&mut self, now: Time, epoch: u64, records: &[Record]) -> Result<(), StoreError>;

    /// Writes what a look saw that began when `looked_under` was the newest epoch, without the lock: only what
    /// [`only_notes`] lets pass; anything else is a mistake of ours and refused whole. What changes nothing but when a host was last seen leaves no event, so that a timer that
    /// finds all well does not fill the disk.
    fn note(&mut self, now: Time, looked_under: u64, records: &[Record]) -> Result<(), StoreError>;

    /// At most `limit` (and [`crate::model::limits::BOOKS_EVENTS_MAX`]) events after the one numbered `after`, oldest
    /// first; events are numbered from 1.
    fn events(&self, after: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError>;

    /// Log signatures that were seen at `since` or later, each with when it was last seen.
    fn signatures(&self, since: Time) -> Result<BTreeMap<String, Time>, StoreError>;

    /// Where the chain of events ends, without computing it again.
    fn head(&self) -> Result<Verified, StoreError> {
        self.verify()
    }

    /// Computes the chain of events again; [`StoreError::Tampered`] names the first event that is not as written.
    fn verify(&self) -> Result<Verified, StoreError>;
}

/// The right to act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Ours; every generation we send begins with it.
    pub epoch: u64,
    /// Who had it and did not give it back.
    pub took_over_from: Option<Lock>,
    /// Whether that one still lives; it ends when it next writes.
    pub alive: bool,
}

/// A record as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEvent {
    /// Counted from 1 without gaps.
    pub seq: u64,
    /// When it was committed.
    pub at: Time,
    /// The newest epoch then.
    pub epoch: u64,
    /// What was written.
    pub record: Record,
    /// The chain's hash up to here, see [`chain`].
    pub hash: Digest,
}

/// Every event after the one numbered `after`, in order, a page at a time.
pub fn events_after(store: &dyn Store, after: u64) -> impl Iterator<Item = Result<StoredEvent, StoreError>> + '_ {
    let (mut last, mut page) = (after, Vec::new().into_iter());
    std::iter::from_fn(move || {
        if page.len() == 0 {
            match store.events(last, EVENTS_PAGE_MAX) {
                Ok(events) => page = events.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
        let event: StoredEvent = page.next()?;
        last = event.seq;
        Some(Ok(event))
    })
}

/// A chain that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// How many events.
    pub events: u64,
    /// The hash of the last one, or of the books' id when there is none. Printed at the end of each run: books whose
    /// tables were all rewritten together can only be told by a head that somebody noted.
    pub head: Digest,
}

/// The words of the event that says that the lock was given back.
const RELEASED: &str = "gave the lock back";

/// How the event begins that says that a free lock was taken.
const TOOK: &str = "took the lock: ";

/// Refuses what may not be written without the lock.
fn only_notes(records: &[Record]) -> Result<(), StoreError> {
    let is_note = |r: &Record| match r {
        Record::Seen { .. } | Record::Stale { .. } | Record::Fresh { .. } | Record::Note { .. } => true,
        // What gates see, and what a person at another terminal says of it, waits for nobody's lock.
        Record::Health(health) => !matches!(health, HealthRecord::Asked { .. }),
        // A playbook holds no lock between its stages.
        Record::Playbook(_) => true,
        _ => false,
    };
    match records.iter().find(|record| !is_note(record)) {
        Some(record) => Err(StoreError::Ours(format!("written without the lock: {record:?}"))),
        None => Ok(()),
    }
}

/// What may be written of a look: that a host was fine is said only when nobody acted meanwhile, since otherwise the
/// look may be older than what the one who acts has just written of that host.
fn still_true(records: &[Record], nobody_acted: bool) -> Vec<Record> {
    let stays = |record: &&Record| nobody_acted || !matches!(record, Record::Fresh { .. });
    records.iter().filter(stays).cloned().collect()
}

/// Refuses records that name a snapshot that nobody recorded: a mistake of ours that would make a rollback's target
/// vanish. `known` says whether a snapshot is in the books.
fn check(records: &[Record], known: impl Fn(SnapshotId) -> Result<bool, StoreError>) -> Result<(), StoreError> {
    let mut brought = BTreeSet::new();
    for record in records {
        let Record::Opened { rollout, snapshot, .. } = record else { continue };
        brought.extend(snapshot.as_ref().map(|s| s.id));
        for id in rollout.from.into_iter().chain([rollout.to]) {
            if !brought.contains(&id) && !known(id)? {
                return Err(StoreError::Ours(format!("{} names {id}, which is not recorded", rollout.id)));
            }
        }
    }
    Ok(())
}

/// The host that a look was at; `None` for a line for people.
fn looked_at(record: &Record) -> Option<&HostName> {
    match record {
        Record::Seen { host, .. } | Record::Stale { host, .. } | Record::Fresh { host } => Some(host),
        _ => None,
    }
}

/// Whether a look changed more of a host's row than when it was last seen.
fn is_news(before: Option<&HostRow>, after: Option<&HostRow>) -> bool {
    let known = |row: Option<&HostRow>| row.map(|row| HostRow { seen: None, ..row.clone() });
    known(before) != known(after)
}

/// What an event says of the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockNote<'a> {
    /// It was free, and was taken for this reason.
    Took(&'a str),
    /// It was taken from somebody; the note's words say from whom and why.
    TookOver,
    /// It was given back.
    GaveBack,
}

/// What a record says of the lock; `None` when it is none that a store wrote of it. Only a holder is named with a
/// process id, so a line that a person wrote in the same words is no such note.
pub fn lock_note(record: &Record) -> Option<LockNote<'_>> {
    let Record::Note { by, text } = record else { return None };
    let by_holder = by.rsplit_once(" pid ").is_some_and(|(_, id)| id.parse::<u32>().is_ok());
    if !by_holder {
        return None;
    }
    if text == RELEASED {
        return Some(LockNote::GaveBack);
    }
    if let Some(reason) = text.strip_prefix(TOOK) {
        return Some(LockNote::Took(reason));
    }
    let from_somebody = text.starts_with("took the lock over from ") || text.starts_with("took the lock of ");
    from_somebody.then_some(LockNote::TookOver)
}

/// The words of the event that says who took the lock.
fn taken(reason: &str, from: Option<&Lock>, alive: bool) -> String {
    match (from, alive) {
        (None, _) => format!("{TOOK}{reason}"),
        (Some(lock), true) => format!("took the lock over from {}: {reason}", lock.holder),
        (Some(lock), false) => format!("took the lock of {}, which is dead: {reason}", lock.holder),
    }
}

/// The hosts and rollouts whose rows records change.
type Touched<'a> = (BTreeSet<&'a HostName>, BTreeSet<RolloutId>);

fn touched(records: &[Record]) -> Touched<'_> {
    let (mut hosts, mut rollouts) = Touched::default();
    for record in records {
        match record {
            Record::Opened { rollout, .. } => drop(rollouts.insert(rollout.id)),
            Record::Ended { rollout, .. } => drop(rollouts.insert(*rollout)),
            Record::Intents { rollout, hosts: sent, .. } => {
                rollouts.insert(*rollout);
                hosts.extend(sent.iter().map(|(host, _)| host));
            }
            Record::Seen { host, .. }
            | Record::Stale { host, .. }
            | Record::Fresh { host }
            | Record::Owed { host, .. }
            | Record::Depooled { host, .. }
            | Record::Pooled { host, .. }
            | Record::Forgotten { host } => drop(hosts.insert(host)),
            Record::Outcome { .. }
            | Record::Held { .. }
            | Record::Playbook(_)
            | Record::Released { .. }
            | Record::Health(_)
            | Record::Note { .. } => {}
        }
    }
    (hosts, rollouts)
}
