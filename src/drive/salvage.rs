//! Rebuilding books that are lost, damaged or an old copy, from what the hosts keep (P17).
//!
//! Each host keeps its last two confirmed maps with the pins and wanted ids of then. The rebuilt books get the identity
//! that most hosts obey and an epoch above every plausible fence, so that hosts go on obeying. Invariant: books that can be
//! read are replaced only when a host obeyed what they never sent, and while nobody alive holds their lock.

use super::clock;
use super::deploy::{Deploy, who};
use super::look::{Look, Looked};
use crate::model::books::{Books, Kind, Record, Rollout, Snapshot, Status};
use crate::model::ids::{BooksId, Generation, RolloutId, SnapshotId};
use crate::model::limits::FENCE_EPOCH_LEAP_MAX;
use crate::model::names::HostName;
use crate::model::protocol::{Confirmed, Observation};
use crate::model::stale::StaleReason;
use crate::model::words::count;
use crate::store::error::StoreError;
use crate::store::sqlstore::SqlStore;
use crate::store::writer::Firm;
use crate::store::{Store, keeper};
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
    /// What each host of these books obeyed last, where that is plausible.
    fences: BTreeMap<HostName, Generation>,
    /// Hosts whose fence nobody can have raised; they will be stale.
    absurd: BTreeMap<HostName, u64>,
    /// What most hosts served last.
    served: Confirmed,
    /// What most of these served before.
    before: Option<Confirmed>,
    /// How many hosts answered, of how many.
    answered: (usize, usize),
}

impl Found {
    /// What would be written, and what stands against it.
    pub fn lines(&self) -> Vec<String> {
        let counts = |state: &Confirmed| {
            let words = state.map.counts().into_iter().map(|(version, n)| format!("{version}: {n}"));
            words.collect::<Vec<_>>().join(", ")
        };
        let before = self.before.as_ref().map_or("not known".to_owned(), counts);
        let (answered, all) = self.answered;
        let first = format!(
            "rebuilding the books from the fleet: {answered} of {} answered; served now: {}; before: {before}",
            count(all, "host"),
            counts(&self.served)
        );
        let absurd = |(host, epoch): (&HostName, &u64)| {
            format!(
                "{host}: its fence claims epoch {epoch}, which nobody ever took; it is passed over and will be stale"
            )
        };
        [first].into_iter().chain(self.absurd.iter().map(absurd)).collect()
    }

    /// There is a state to go back to.
    ///
    /// # Errors
    ///
    /// [`SalvageError::NoState`] when there is none.
    pub fn has_a_way_back(&self) -> Result<(), SalvageError> {
        self.before.as_ref().map(drop).ok_or(SalvageError::NoState)
    }

    /// Whether some host obeyed what `books` never sent, so that they are an old copy, or not those of this fleet. They
    /// must have been loaded after the look.
    fn is_ahead_of(&self, books: &Books) -> bool {
        let sent = |host: &HostName| books.hosts.get(host).and_then(|row| row.sent);
        let never_sent = |(host, fence): (&HostName, &Generation)| {
            fence.epoch > books.epoch || sent(host).is_some_and(|sent| *fence > sent)
        };
        // A command that acted by them made the hosts obey them, and noted what it saw.
        let noted = books.hosts.values().filter_map(|row| row.stale.as_ref());
        let noted = noted.filter(|stale| matches!(stale.reason, StaleReason::BooksBehind { .. }));
        books.id != self.books || self.fences.iter().any(never_sent) || noted.count() > 0
    }
}

/// Looks at every host; changes nothing.
///
/// # Errors
///
/// [`SalvageError::Nothing`] when no host keeps anything.
pub async fn look(deploy: &Deploy) -> Result<Found, SalvageError> {
    let limits = &deploy.policy.limits;
    let look = Look::new(&deploy.fleet, limits.contact_ms_max());
    let hosts = deploy.policy.hosts.iter().filter(|(_, host)| host.serves()).map(|(name, _)| name);
    sift(&look.confirmed(hosts).await)
}

/// Chooses by majority, so that one host that lies or was restored decides nothing.
fn sift(looked: &BTreeMap<HostName, Looked>) -> Result<Found, SalvageError> {
    let seen: Vec<(&HostName, &Observation)> =
        looked.iter().filter_map(|(host, looked)| Some((host, looked.as_ref().ok()?))).collect();
    let books = most(seen.iter().filter_map(|(_, seen)| seen.fence).map(|fence| fence.books));
    let books = books.ok_or(SalvageError::Nothing)?;
    let ours: Vec<_> = seen.iter().filter(|(_, seen)| seen.fence.is_some_and(|fence| fence.books == books)).collect();
    let (fences, absurd) = plausible(&ours);
    let epoch = fences.values().map(|fence| fence.epoch).max().unwrap_or_default();
    let keeps = |nth: usize| ours.iter().filter_map(move |(_, seen)| seen.confirmed.get(nth));
    let served = most(keeps(0).map(|state| state.map.digest())).ok_or(SalvageError::Nothing)?;
    let before = |seen: &Observation| match seen.confirmed.as_slice() {
        [now, before, ..] if now.map.digest() == served => Some(before.map.digest()),
        _ => None,
    };
    let before = most(ours.iter().filter_map(|(_, seen)| before(seen)));
    let before = before.and_then(|digest| keeps(1).find(|state| state.map.digest() == digest)).cloned();
    let served = keeps(0).find(|state| state.map.digest() == served).cloned().ok_or(SalvageError::Nothing)?;
    Ok(Found { books, epoch, fences, absurd, served, before, answered: (seen.len(), looked.len()) })
}

/// What each host obeyed last, and apart from these the epochs of fences that are absurdly above the median of all.
fn plausible(ours: &[&(&HostName, &Observation)]) -> (BTreeMap<HostName, Generation>, BTreeMap<HostName, u64>) {
    let fences = ours.iter().filter_map(|(host, seen)| Some(((*host).clone(), seen.fence?.generation)));
    let fences: Vec<(HostName, Generation)> = fences.collect();
    let mut epochs: Vec<u64> = fences.iter().map(|(_, fence)| fence.epoch).collect();
    epochs.sort_unstable();
    // Of two hosts the lower one: one absurd fence among two is not the median.
    let median = epochs.get(epochs.len().saturating_sub(1) / 2).copied().unwrap_or_default();
    let highest = median.saturating_add(FENCE_EPOCH_LEAP_MAX);
    let (fences, absurd): (Vec<_>, Vec<_>) = fences.into_iter().partition(|(_, fence)| fence.epoch <= highest);
    (fences.into_iter().collect(), absurd.into_iter().map(|(host, fence)| (host, fence.epoch)).collect())
}

/// The value that stands there most often, the smallest of several.
fn most<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_default() += 1);
    let best = counts.values().copied().max()?;
    counts.into_iter().find(|(_, n)| *n == best).map(|(value, _)| value)
}

/// Whether the books may be replaced; `true`: there are some that can be read and are an old copy.
///
/// # Errors
///
/// [`StoreError::Exists`] when they are whole and know all that the hosts obeyed, [`StoreError::Locked`] when somebody acts
/// by them who is known to be alive. Of a holder on another deploy host that is not known; it finds its books gone, and its
/// epoch over.
pub fn replaceable(deploy: &Deploy, found: &Found) -> Result<bool, StoreError> {
    let load = |store: SqlStore| Ok((store.load()?, store.holder_lives()?, store.place()));
    match keeper::open_read_only(&deploy.policy).and_then(load) {
        Ok((books, _, place)) if !found.is_ahead_of(&books) => Err(StoreError::Exists(place)),
        Ok((Books { lock: Some(lock), .. }, lives @ Some(true), _)) => Err(StoreError::Locked(lock, lives)),
        Ok(_) => Ok(true),
        Err(StoreError::NoBooks(_) | StoreError::Lost { .. }) => Ok(false),
        Err(e) if e.is_damage() => Ok(false),
        Err(e) => Err(e),
    }
}

/// Writes new books in which the state served last is wanted and came from the one before, and which hold forward moves.
/// Says with which epoch they begin.
///
/// # Errors
///
/// As [`replaceable`], or the books can't be written.
pub fn rebuild(deploy: &Deploy, found: &Found, firm: Firm) -> Result<u64, StoreError> {
    if replaceable(deploy, found)? {
        keeper::set_aside(&deploy.policy)?;
    }
    let mut store = keeper::rebuild(&deploy.policy, found.books, found.epoch, firm)?;
    let now = clock::now();
    let claim = store.take_lock(now, &super::deploy::holder(), "rebuild from the fleet", false)?;
    let states: Vec<&Confirmed> = found.before.iter().chain([&found.served]).collect();
    let last = states.len();
    let mut records = Vec::new();
    for (id, state) in (1..).zip(states) {
        let kind = if id as usize == last && id > 1 { Kind::Converge } else { Kind::Sync };
        records.push(opened(found, id, kind, state));
        records.push(Record::Ended {
            rollout: RolloutId(id),
            status: Status::Done,
            moves_current: true,
            effect: "as the fleet keeps it".to_owned(),
        });
    }
    let reason = "the books were rebuilt from the fleet: holds and blockers of before are lost".to_owned();
    records.push(Record::Held { by: who().to_owned(), reason });
    store.append(now, claim.epoch, &records)?;
    store.release_lock(now, claim.epoch)?;
    Ok(claim.epoch)
}

/// The record of an undertaking that led to `state`.
fn opened(found: &Found, id: u64, kind: Kind, state: &Confirmed) -> Record {
    let now = clock::now();
    let snapshot = Snapshot {
        id: SnapshotId(id),
        map: state.map.clone(),
        pins: state.note.pins.clone(),
        wanted: found.served.note.wanted.clone(),
        at: now,
    };
    Record::Opened {
        rollout: Rollout {
            id: RolloutId(id),
            kind,
            groups: Vec::new(),
            version: None,
            from: (id > 1).then_some(SnapshotId(id - 1)),
            to: snapshot.id,
            by: who().to_owned(),
            why: "rebuilt from the fleet".to_owned(),
            at: now,
            status: Status::Open,
            dispatched: false,
            effect: String::new(),
            playbook: None,
        },
        snapshot: Some(snapshot),
        moves_current: true,
    }
}

/// The state to go back to in books that [`rebuild`] wrote, where there is one.
pub const BEFORE: SnapshotId = SnapshotId(1);
