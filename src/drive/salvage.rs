//! Rebuilding lost books from what the hosts keep, for an emergency rollback (P17).
//!
//! Each host keeps its last two confirmed maps with the pins and wanted ids of then. The rebuilt books get the identity
//! that most hosts obey and an epoch above every plausible fence, so that hosts go on obeying.

use super::clock;
use super::deploy::Deploy;
use super::look::{Look, Looked};
use crate::config::policy::Policy;
use crate::model::books::{Kind, Record, Rollout, Snapshot, Status};
use crate::model::ids::{BooksId, RolloutId, SnapshotId};
use crate::model::limits::FENCE_EPOCH_LEAP_MAX;
use crate::model::names::HostName;
use crate::model::protocol::Confirmed;
use crate::model::words::count;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::writer::Firm;
use crate::store::{postgres, sqlite};
use std::collections::BTreeMap;

/// Why the books can't be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum SalvageError {
    /// No host that answered obeys any books.
    #[error("no host that answered keeps a confirmed state")]
    Nothing,
    /// Every host keeps one state only.
    #[error("no host that answered keeps a state before the one it serves")]
    NoState,
}

/// What the fleet keeps.
#[derive(Debug, Clone)]
pub struct Found {
    /// The books that most hosts obey.
    books: BooksId,
    /// Above every plausible fence.
    epoch: u64,
    /// What most hosts served before, then what most serve.
    states: [Confirmed; 2],
    /// How many hosts answered, of how many.
    answered: (usize, usize),
}

impl Found {
    /// In one line.
    pub fn words(&self) -> String {
        let [before, now] = &self.states;
        let counts = |state: &Confirmed| {
            let words = state.map.counts().into_iter().map(|(version, n)| format!("{version}: {n}"));
            words.collect::<Vec<_>>().join(", ")
        };
        format!(
            "{} of {} answered; served now: {}; before: {}",
            self.answered.0,
            count(self.answered.1, "host"),
            counts(now),
            counts(before)
        )
    }
}

/// Looks at every host; changes nothing.
pub async fn look(deploy: &Deploy) -> Result<Found, SalvageError> {
    let limits = &deploy.policy.limits;
    let look = Look::new(&deploy.fleet, limits.connect_ms_max + limits.command_ms_max);
    let hosts = deploy.policy.hosts.iter().filter(|(_, host)| host.serves()).map(|(name, _)| name);
    sift(&look.confirmed(hosts).await)
}

/// Chooses by majority, so that one host that lies or was restored decides nothing.
fn sift(looked: &BTreeMap<HostName, Looked>) -> Result<Found, SalvageError> {
    let seen: Vec<_> = looked.values().filter_map(|looked| looked.as_ref().ok()).collect();
    let fences: Vec<_> = seen.iter().filter_map(|seen| seen.fence).collect();
    let books = most(fences.iter().map(|fence| fence.books)).ok_or(SalvageError::Nothing)?;
    let mut epochs: Vec<u64> = fences.iter().filter(|f| f.books == books).map(|f| f.generation.epoch).collect();
    epochs.sort_unstable();
    let median = epochs[epochs.len() / 2];
    let plausible = epochs.iter().filter(|epoch| **epoch <= median.saturating_add(FENCE_EPOCH_LEAP_MAX));
    let epoch = plausible.max().copied().unwrap_or(median);
    let ours = seen.iter().filter(|seen| seen.fence.is_some_and(|fence| fence.books == books));
    let pairs = ours.filter_map(|seen| match seen.confirmed.as_slice() {
        [now, before] => Some([before, now]),
        _ => None,
    });
    let pairs: Vec<[&Confirmed; 2]> = pairs.collect();
    let digests = pairs.iter().map(|[before, now]| (before.map.digest(), now.map.digest()));
    let chosen = most(digests).ok_or(SalvageError::NoState)?;
    let pair = pairs.iter().find(|[before, now]| (before.map.digest(), now.map.digest()) == chosen);
    let [before, now] = *pair.ok_or(SalvageError::NoState)?;
    let answered = (seen.len(), looked.len());
    Ok(Found { books, epoch, states: [before.clone(), now.clone()], answered })
}

/// The value that stands there most often, the smallest of several.
fn most<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_default() += 1);
    let best = counts.values().copied().max()?;
    counts.into_iter().find(|(_, n)| *n == best).map(|(value, _)| value)
}

/// Writes new books in which the state served now is wanted and came from the one before.
pub fn rebuild(deploy: &Deploy, found: &Found, firm: Firm) -> Result<(), StoreError> {
    let Policy { books, store, .. } = &deploy.policy;
    let mut store = match store {
        Some(at) => postgres::rebuild(books, at, found.books, found.epoch)?,
        None => sqlite::rebuild(books, found.books, found.epoch, Some(firm))?,
    };
    let now = clock::now();
    let claim = store.take_lock(now, &super::deploy::holder(&deploy.by), "rebuild from the fleet", false)?;
    let snapshot = |id: u64, state: &Confirmed| Snapshot {
        id: SnapshotId(id),
        map: state.map.clone(),
        pins: state.note.pins.clone(),
        wanted: found.states[1].note.wanted.clone(),
        at: now,
    };
    let [before, served] = &found.states;
    let opened = |id: u64, kind, from: Option<u64>, snapshot: Snapshot| Record::Opened {
        rollout: Rollout {
            id: RolloutId(id),
            kind,
            groups: Vec::new(),
            version: None,
            from: from.map(SnapshotId),
            to: snapshot.id,
            by: deploy.by.clone(),
            why: "rebuilt from the fleet".to_owned(),
            at: now,
            status: Status::Open,
            dispatched: false,
            effect: String::new(),
            playbook: None,
        },
        snapshot: Some(snapshot),
        moves_current: true,
    };
    let ended = |id: u64| Record::Ended {
        rollout: RolloutId(id),
        status: Status::Done,
        moves_current: true,
        effect: "as the fleet keeps it".to_owned(),
    };
    let records = [
        opened(1, Kind::Sync, None, snapshot(1, before)),
        ended(1),
        opened(2, Kind::Converge, Some(1), snapshot(2, served)),
        ended(2),
    ];
    store.append(now, claim.epoch, &records)?;
    store.release_lock(now, claim.epoch)
}

/// The state to go back to in books that [`rebuild`] wrote.
pub const BEFORE: SnapshotId = SnapshotId(1);
