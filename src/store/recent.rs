//! Which part of the books is loaded: what is recent, and what is still needed whatever its age.

use crate::model::books::{Books, Rollout, Status};
use crate::model::ids::SnapshotId;
use std::collections::BTreeSet;

/// The snapshots that `rollouts` begin at and lead to, and the wanted one.
pub fn named<'a>(rollouts: impl IntoIterator<Item = &'a Rollout>, current: Option<SnapshotId>) -> BTreeSet<SnapshotId> {
    let ends = rollouts.into_iter().flat_map(|r| r.from.into_iter().chain([r.to]));
    ends.chain(current).collect()
}

/// The books without rollouts and snapshots that are older than the newest `limit` of each and not needed: open
/// rollouts stay, and so do the snapshots that [`named`] names.
pub fn trim(mut books: Books, limit: usize) -> Books {
    let oldest = books.rollouts.keys().rev().nth(limit.saturating_sub(1)).copied();
    books.rollouts.retain(|id, r| oldest.is_none_or(|oldest| *id >= oldest) || r.status == Status::Open);
    books.health.gates.retain(|id, _| books.rollouts.contains_key(id));
    super::playbooks::trim(&mut books.playbooks);
    let named = named(books.rollouts.values(), books.current);
    let oldest = books.snapshots.keys().rev().nth(limit.saturating_sub(1)).copied();
    books.snapshots.retain(|id, _| oldest.is_none_or(|oldest| *id >= oldest) || named.contains(id));
    books
}
