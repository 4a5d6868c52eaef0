//! Books in memory, for the simulator and for tests: [`Books::apply`] and nothing else.
//!
//! Invariant: it accepts and refuses what [`super::sqlstore::SqlStore`] does. It is one value that several operators
//! share; who is alive is what [`MemoryStore::died`] was told.

use super::chain::{self, Link};
use super::error::StoreError;
use super::{
    Claim, RELEASED, Store, StoredEvent, Verified, check, is_news, looked_at, only_notes, recent, still_true, taken,
};
use crate::model::books::{Books, Lock, Record, Rollout, Snapshot};
use crate::model::health::HealthRecord;
use crate::model::ids::{BooksId, RolloutId, SnapshotId};
use crate::model::limits::{BOOKS_EVENTS_MAX, BOOKS_RECENT_MAX};
use crate::model::planted::{Bug, planted};
use crate::model::step::Step;
use crate::model::time::Time;
use std::collections::BTreeMap;

/// Books in memory.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    books: Books,
    events: Vec<(Time, u64, Record)>,
    alive: bool,
    recent_max: usize,
}

impl MemoryStore {
    /// Empty books.
    pub fn new(id: BooksId) -> Self {
        Self::with_recent(id, BOOKS_RECENT_MAX)
    }

    /// Empty books that load only `recent_max` rollouts and snapshots.
    pub fn with_recent(id: BooksId, recent_max: usize) -> Self {
        Self { books: Books::new(id), events: Vec::new(), alive: false, recent_max }
    }

    /// The books as they stand, whole.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Every record as it was written: when, in which epoch.
    pub fn written(&self) -> &[(Time, u64, Record)] {
        &self.events
    }

    /// The holder of the lock died without giving it back.
    pub fn died(&mut self) {
        self.alive = false;
    }

    fn ours(&self, epoch: u64) -> Result<(), StoreError> {
        let lock = self.books.lock.as_ref();
        match lock.is_some_and(|lock| lock.epoch == epoch) && self.books.epoch == epoch {
            true => Ok(()),
            false if planted(Bug::SupersededMayWrite) => Ok(()),
            false => Err(StoreError::Superseded { epoch, lock: lock.cloned() }),
        }
    }

    fn write(&mut self, now: Time, records: &[Record]) -> Result<(), StoreError> {
        check(records, |id| Ok(self.books.snapshots.contains_key(&id)))?;
        for record in records {
            self.books.apply(now, record);
            self.events.push((now, self.books.epoch, record.clone()));
        }
        Ok(())
    }

    /// Every event with its place in the chain.
    fn chain(&self) -> Vec<StoredEvent> {
        let mut hash = chain::origin(self.books.id);
        let mut stored = Vec::with_capacity(self.events.len());
        for (seq, (at, epoch, record)) in (1..).zip(&self.events) {
            let text = serde_json::to_string(record).expect("a record has only string keys");
            hash = chain::next(hash, Link { seq, at: *at, epoch: *epoch, record: &text });
            stored.push(StoredEvent { seq, at: *at, epoch: *epoch, record: record.clone(), hash });
        }
        stored
    }
}

impl Store for MemoryStore {
    fn load(&self) -> Result<Books, StoreError> {
        Ok(recent::trim(self.books.clone(), self.recent_max))
    }

    fn snapshot(&self, id: SnapshotId) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.books.snapshots.get(&id).cloned())
    }

    fn rollout(&self, id: RolloutId) -> Result<Option<Rollout>, StoreError> {
        Ok(self.books.rollouts.get(&id).cloned())
    }

    fn rollouts(&self, limit: usize) -> Result<Vec<Rollout>, StoreError> {
        Ok(self.books.rollouts.values().rev().take(limit).cloned().collect())
    }

    fn steps(&self, wanted: RolloutId) -> Result<Vec<Step>, StoreError> {
        let mut steps: Vec<Step> = Vec::new();
        for (at, _, record) in &self.events {
            match record {
                Record::Intents { rollout, command, hosts } if *rollout == wanted => {
                    let (command, sent) = (command.clone(), *at);
                    steps.extend(hosts.iter().map(|(host, generation)| Step {
                        command: command.clone(),
                        host: host.clone(),
                        generation: *generation,
                        sent,
                        outcome: None,
                    }));
                }
                Record::Outcome { rollout, host, generation, result, .. } if *rollout == wanted => {
                    let answered = |s: &&mut Step| s.host == *host && s.generation == *generation;
                    if let Some(step) = steps.iter_mut().find(answered) {
                        step.outcome = Some((*at, result.clone()));
                    }
                }
                _ => {}
            }
        }
        Ok(steps)
    }

    fn take_lock(&mut self, now: Time, holder: &str, reason: &str, take_over: bool) -> Result<Claim, StoreError> {
        let from = self.books.lock.clone();
        let alive = self.alive && from.is_some();
        if let Some(lock) = from.as_ref().filter(|_| alive && !take_over) {
            return Err(StoreError::Locked(lock.clone(), Some(alive)));
        }
        let epoch = self.books.epoch + u64::from(!planted(Bug::LockWithoutEpoch));
        self.books.epoch = epoch;
        self.books.lock = Some(Lock { epoch, holder: holder.into(), reason: reason.into(), since: now });
        self.alive = true;
        let text = taken(reason, from.as_ref(), alive);
        self.write(now, &[Record::Note { by: holder.into(), text }])?;
        Ok(Claim { epoch, took_over_from: from, alive })
    }

    fn release_lock(&mut self, now: Time, epoch: u64) -> Result<(), StoreError> {
        self.ours(epoch)?;
        let holder = self.books.lock.take().map(|lock| lock.holder).unwrap_or_default();
        self.write(now, &[Record::Note { by: holder, text: RELEASED.into() }])
    }

    fn holder_lives(&self) -> Result<Option<bool>, StoreError> {
        Ok(Some(self.alive && self.books.lock.is_some()))
    }

    fn append(&mut self, now: Time, epoch: u64, records: &[Record]) -> Result<(), StoreError> {
        self.ours(epoch)?;
        self.write(now, records)
    }

    fn note(&mut self, now: Time, looked_under: u64, records: &[Record]) -> Result<(), StoreError> {
        only_notes(records)?;
        let records = still_true(records, looked_under == self.books.epoch && self.books.lock.is_none());
        for record in &records {
            let row = |books: &Books| looked_at(record).and_then(|host| books.hosts.get(host)).cloned();
            let before = row(&self.books);
            self.books.apply(now, record);
            if looked_at(record).is_none() || is_news(before.as_ref(), row(&self.books).as_ref()) {
                self.events.push((now, self.books.epoch, record.clone()));
            }
        }
        Ok(())
    }

    fn events(&self, after: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let newer = self.chain().into_iter().filter(|event| event.seq > after);
        Ok(newer.take(limit.min(BOOKS_EVENTS_MAX)).collect())
    }

    fn signatures(&self, since: Time) -> Result<BTreeMap<String, Time>, StoreError> {
        let mut seen = BTreeMap::new();
        for (at, _, record) in &self.events {
            if let Record::Health(HealthRecord::Signatures { seen: those }) = record {
                seen.extend(those.iter().map(|signature| (signature.clone(), *at)));
            }
        }
        seen.retain(|_, at| *at >= since);
        Ok(seen)
    }

    fn verify(&self) -> Result<Verified, StoreError> {
        let chain = self.chain();
        let head = chain.last().map_or(chain::origin(self.books.id), |event| event.hash);
        Ok(Verified { events: chain.len() as u64, head })
    }
}
